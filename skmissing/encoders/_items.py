"""Reads one column of raw items, and tells which of them are missing."""

import os
import sys

import numpy as np

# What a table of one column, given as nested lists, may hold in its rows.
SCALARS = (str, bytes, os.PathLike, float, type(None))


class BrokenItemError(ValueError):
    """An item cannot be read; the message is the reason, without the row."""


def read_column(X, owner, takes_arrays=False):
    """Items of a column, as a list.

    Parameters
    ----------
    X : sequence, or table of one column
        List, tuple, array, masked array, or pandas or polars series or dataframe.
    owner : str
        Who asks, for messages.
    takes_arrays : bool, default=False
        Whether an item may be an array, so that an array of numbers with several axes
        is a stack of items.

    Returns
    -------
    list

    Raises
    ------
    TypeError
        If X is not a sequence.
    ValueError
        If it is a table of several columns.
    """
    if isinstance(X, np.ma.MaskedArray):
        X = np.where(np.ma.getmaskarray(X), None, np.asarray(X, dtype=object))
    if isinstance(X, np.ndarray):
        return _from_array(X, owner, takes_arrays)
    if hasattr(X, "columns") and hasattr(X, "shape"):
        _check_one_column(X.shape[1], owner, list(X.columns))
        X = X.iloc[:, 0] if hasattr(X, "iloc") else X[X.columns[0]]
    if hasattr(X, "to_list"):  # pandas and polars series
        return X.to_list()
    if not isinstance(X, (list, tuple)):
        raise TypeError(
            f"{owner} takes a sequence of items or a table of one column; got "
            f"{_describe_type(X)}."
        )
    if X and all(isinstance(row, (list, tuple)) and len(row) == 1 for row in X):
        if all(isinstance(row[0], SCALARS) for row in X):
            return [row[0] for row in X]
    return list(X)


def _describe_type(X):
    return f"{X!r:.50} of type {type(X).__name__}"


def _check_one_column(n_columns, owner, names=None):
    if n_columns != 1:
        named = "" if names is None else f": {', '.join(repr(n) for n in names[:5])}"
        raise ValueError(
            f"{owner} takes one column; got {n_columns}{named}. Use one encoder a "
            "column, in a ColumnTransformer."
        )


def _from_array(X, owner, takes_arrays):
    if X.ndim == 0:
        raise TypeError(f"{owner} takes a sequence of items; got {_describe_type(X)}.")
    if X.ndim == 1 or (X.dtype.kind in "biuf" and takes_arrays):
        return list(X)
    if X.ndim == 2:
        _check_one_column(X.shape[1], owner)
        return list(X[:, 0])
    raise ValueError(f"{owner} takes one column; got an array of shape {X.shape}.")


def column_name(X):
    """Name of the column if X is a series or a table whose name is a string.

    Parameters
    ----------
    X : object

    Returns
    -------
    str or None
    """
    if hasattr(X, "columns") and hasattr(X, "shape"):
        name = list(X.columns)[0]
    else:
        name = getattr(X, "name", None)
    return name if isinstance(name, str) and name else None


def is_missing(item, empty_is_missing):
    """Whether an item is None, NaN, a masked or null cell, or an array of NaN.

    Parameters
    ----------
    item : object
    empty_is_missing : bool
        Whether a blank string and empty bytes are missing too.

    Returns
    -------
    bool
    """
    if item is None or item is np.ma.masked:
        return True
    if isinstance(item, str):
        return empty_is_missing and not item.strip()
    if isinstance(item, bytes):
        return empty_is_missing and not item
    if isinstance(item, (float, np.floating)):
        return bool(np.isnan(item))
    if isinstance(item, np.ndarray):
        floats = item.dtype.kind == "f" and item.size > 0
        return bool(floats and np.isnan(item).all())
    pandas = sys.modules.get("pandas")
    return pandas is not None and (item is pandas.NA or item is pandas.NaT)


def describe(item):
    """An item in a few words, for messages.

    Parameters
    ----------
    item : object

    Returns
    -------
    str
    """
    if isinstance(item, (str, os.PathLike)):
        return (
            repr(os.fspath(item)) if len(str(item)) < 80 else f"{str(item)[:77]!r}..."
        )
    if isinstance(item, np.ndarray):
        return f"an array of shape {item.shape}"
    if isinstance(item, bytes):
        return f"{len(item)} bytes"
    return f"an item of type {type(item).__name__}"


def digest_item(item, hasher):
    """Feed the content of an item to a hash; for a path, the content of the file.

    Parameters
    ----------
    item : path, bytes, array, PIL image, number, or list or tuple of such
    hasher : object with a method `update`

    Raises
    ------
    BrokenItemError
        If a file cannot be read.
    """
    if isinstance(item, (str, os.PathLike)):
        try:
            with open(item, "rb") as file:
                while chunk := file.read(1 << 20):
                    hasher.update(chunk)
        except OSError as exc:
            raise BrokenItemError(exc.strerror or str(exc)) from exc
    elif isinstance(item, (bytes, bytearray)):
        hasher.update(item)
    elif isinstance(item, np.ndarray):
        hasher.update(f"{item.dtype.str}{item.shape}".encode())
        hasher.update(np.ascontiguousarray(item).data)
    elif isinstance(item, (list, tuple)):
        hasher.update(f"{type(item).__name__}{len(item)}".encode())
        for part in item:
            digest_item(part, hasher)
    elif hasattr(item, "tobytes") and hasattr(item, "mode"):  # a PIL image
        hasher.update(f"{item.mode}{item.size}{item.getpalette()}".encode())
        hasher.update(item.tobytes())
    else:
        hasher.update(repr(item).encode())
