"""Reads one column of raw items and finds missing items."""

import contextlib
import os
import unicodedata
from collections.abc import Sequence
from numbers import Number

import numpy as np

from skmissing._modalities import count
from skmissing._table import _is_null

# Types of items in a table of one column given as nested lists.
SCALARS = (str, bytes, os.PathLike, float, type(None))
# Categories of Unicode: spaces, control characters and format characters.
INVISIBLE = {"Zs", "Zl", "Zp", "Cc", "Cf"}


class BrokenItemError(ValueError):
    """An item cannot be read. The message is the reason, without the position."""


@contextlib.contextmanager
def broken_if_it_fails():
    """Convert any error of a decoder to BrokenItemError."""
    try:
        yield
    except BrokenItemError:
        raise
    except Exception as exc:  # decoders raise many types for damaged files
        reason = getattr(exc, "strerror", None) or getattr(exc, "error_string", None)
        lines = str(reason or exc).split(" <_io")[0].strip().splitlines()
        reason = lines[0][:200].rstrip(".") if lines else type(exc).__name__
        if isinstance(exc, LookupError):  # its message is only a key
            reason = f"{type(exc).__name__} {reason}"
        raise BrokenItemError(reason) from exc


def why_no_file(path):
    """Return the reason why a path is not a file."""
    return "it is a folder" if os.path.isdir(path) else "there is no such file"


def try_to(read, *args):
    """Return the result of `read`, or the BrokenItemError that it raises."""
    try:
        return read(*args)
    except BrokenItemError as exc:
        return exc


def read_column(X, owner, takes_arrays=False):
    """Return the items of a sequence, or of a table with one column, as a list."""
    # `takes_arrays`: an array of numbers with several axes is a stack of items.
    if isinstance(X, np.ma.MaskedArray):
        X = np.where(np.ma.getmaskarray(X), None, np.asarray(X, dtype=object))
    if isinstance(X, np.ndarray) and X.ndim > 0:
        return _from_array(X, owner, takes_arrays)
    if hasattr(X, "columns") and hasattr(X, "shape"):
        names = list(getattr(X, "column_names", X.columns))  # pyarrow: column_names
        _check_one_column(X.shape[1], owner, names)
        X = X.iloc[:, 0] if hasattr(X, "iloc") else X[names[0]]
    for method in ("to_list", "to_pylist", "tolist"):  # series, pyarrow, arrays
        if hasattr(X, method):
            X = getattr(X, method)()
    if not isinstance(X, Sequence) or isinstance(X, (str, bytes, bytearray)):
        raise TypeError(
            f"{owner}: X must be a sequence of items or a table with one column; got "
            f"{X!r:.50} of type {type(X).__name__}."
        )
    if X and all(isinstance(row, (list, tuple)) and len(row) == 1 for row in X):
        if all(isinstance(row[0], SCALARS) or is_missing(row[0], False) for row in X):
            return [row[0] for row in X]
    return list(X)


def _from_array(X, owner, takes_arrays):
    if X.ndim == 1 or (X.dtype.kind in "biuf" and takes_arrays):
        return list(X)
    if X.ndim == 2:
        _check_one_column(X.shape[1], owner)
        return list(X[:, 0])
    raise ValueError(
        f"{owner}: X must have one column; got an array of shape {X.shape}."
    )


def _check_one_column(n_columns, owner, names=None):
    if n_columns != 1:
        named = "" if names is None else f": {', '.join(repr(n) for n in names[:5])}"
        raise ValueError(
            f"{owner}: X must have one column; got {n_columns}{named}. Use one encoder "
            "per column, in a ColumnTransformer."
        )


def read_columns(X, owner, wanted):
    """Return the items of each column of a table, or of a sequence of samples."""
    names = None
    if hasattr(X, "columns") and hasattr(X, "shape"):
        names = list(getattr(X, "column_names", X.columns))
        if len(names) == len(wanted):
            if hasattr(X, "iloc"):
                return [read_column(X.iloc[:, [i]], owner) for i in range(len(names))]
            return [read_column(X[name], owner) for name in names]
    elif isinstance(X, (Sequence, np.ndarray)) and not isinstance(X, (str, bytes)):
        if all(isinstance(x, (Sequence, np.ndarray)) for x in X) and all(
            len(x) == len(wanted) and not isinstance(x, str) for x in X
        ):
            return [[x[i] for x in X] for i in range(len(wanted))]
    found = f"{X!r:.50}" if names is None else f"the columns {names!r:.50}"
    raise ValueError(
        f"{owner}: X must be a table, an array or a list of samples with "
        f"{len(wanted)} columns: {' and '.join(wanted)}; got {found}."
    )


def column_name(X):
    """Return the name of a series or of the only column of a table, or None."""
    if hasattr(X, "columns") and hasattr(X, "shape"):
        name = list(getattr(X, "column_names", X.columns))[0]
    else:
        name = getattr(X, "name", None)
    return name if isinstance(name, str) and name else None


def is_blank(text):
    """Whether a text has no visible characters."""
    return all(unicodedata.category(character) in INVISIBLE for character in text)


def is_missing(item, empty_is_missing):
    """Whether an item is None, NaN, masked, null, an array of NaN, or blank."""
    if item is None or item is np.ma.masked:
        return True
    if isinstance(item, str):
        return empty_is_missing and is_blank(item)
    if isinstance(item, bytes):
        return empty_is_missing and not item
    if isinstance(item, np.ndarray):
        floats = item.dtype.kind == "f" and item.size > 0
        return bool(floats and np.isnan(item).all())
    if isinstance(item, (Number, np.generic)):  # NaN and NaT of Python and NumPy
        return bool(item != item)
    return _is_null(item)


def describe(item):
    """Describe an item in a few words, for messages."""
    if isinstance(item, (str, os.PathLike)):
        return (
            repr(os.fspath(item)) if len(str(item)) < 80 else f"{str(item)[:77]!r}..."
        )
    if isinstance(item, np.ndarray):
        return f"an array of shape {item.shape}"
    if isinstance(item, bytes):
        return count(len(item), "byte")
    return f"an item of type {type(item).__name__}"


def digest_item(item, hasher):
    """Update a hash with the content of an item, or of the file of a path."""
    if isinstance(item, (str, os.PathLike)):
        with broken_if_it_fails(), open(item, "rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
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
