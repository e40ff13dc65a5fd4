"""Reads tables and layouts for functions that have no fitted estimator to ask."""

import numpy as np
from sklearn.utils import check_array

from skmissing._base import fill_masked
from skmissing._compat import _get_feature_names


def read_table(X, name):
    """Validate a table of floats, NaN where a cell is missing.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        A masked cell of a masked array becomes NaN.
    name : str
        What error messages call it.

    Returns
    -------
    array : ndarray of shape (n_samples, n_features), float32 or float64
        May be the caller's own array: never write to it.
    names : ndarray of str or None
        Column names, if X is a dataframe.
    """
    names = _get_feature_names(X)
    array = check_array(
        fill_masked(X),
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
        input_name=name,
    )
    return array, names


def check_same_columns(first, second, first_name, second_name):
    """Refuse two tables whose number of columns or column names differ.

    Parameters
    ----------
    first, second : pair of ndarray and names
        As :func:`read_table` returns them.
    first_name, second_name : str
    """
    (X, names), (Y, other_names) = first, second
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"{first_name} and {second_name} must have the same columns; got "
            f"{X.shape[1]} and {Y.shape[1]} of them."
        )
    if names is None or other_names is None:
        return
    for position in np.flatnonzero(names != other_names)[:1]:
        raise ValueError(
            f"{first_name} and {second_name} must have the same columns in the same "
            f"order; column {position} is {names[position]!r} in {first_name} and "
            f"{other_names[position]!r} in {second_name}."
        )
