"""Tables whose modalities can be hidden: arrays of floats, and any dataframe.

A dataframe may hold text or file names, for a pipeline that starts with encoders.
"""

from dataclasses import dataclass

import numpy as np

from skmissing._base import fill_masked
from skmissing._blocks import find_presence
from skmissing._compat import import_optional
from skmissing._modalities import resolve_modalities
from skmissing._table import read_array


@dataclass(frozen=True)
class Table:
    """X with its layout.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features) or dataframe
    layout : ModalityLayout
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    """

    X: object
    layout: object
    presence: np.ndarray

    @property
    def n_rows(self):
        """Number of rows."""
        return self.presence.shape[0]

    def take(self, rows):
        """The table of some rows."""
        X = self.X.iloc[rows] if is_pandas(self.X) else self.X[rows]
        return Table(X, self.layout, self.presence[rows])

    def hide(self, hidden):
        """X with some modalities missing.

        Parameters
        ----------
        hidden : ndarray of shape (n_samples or 1, n_modalities), dtype bool

        Returns
        -------
        ndarray or dataframe
            A copy, unless nothing is hidden.
        """
        hidden = np.broadcast_to(hidden, self.presence.shape)
        if not hidden.any():
            return self.X
        owner = np.empty(self.layout.n_features, dtype=np.intp)
        owner[self.layout.order] = self.layout.owner
        if isinstance(self.X, np.ndarray):
            return np.where(hidden[:, owner], self.X.dtype.type(np.nan), self.X)
        if is_pandas(self.X):
            return self.X.mask(hidden[:, owner])
        return _hide_polars(self.X, hidden, owner)


def as_table(X, modalities, estimator=None):
    """Read X and find out which columns make up its modalities.

    Parameters
    ----------
    X : array-like or dataframe of shape (n_samples, n_features)
    modalities : None, list of int, dict or ModalityLayout
        None asks the estimator, and then the names of the columns.
    estimator : estimator, default=None

    Returns
    -------
    Table
    """
    X = fill_masked(X)
    if is_pandas(X) or is_polars(X):
        if not all(X.shape):
            raise ValueError(
                "X must have at least one row and one column; got the shape "
                f"{tuple(X.shape)}."
            )
        names = np.asarray(X.columns, dtype=object)
    else:
        X, names = read_array(X, "X")
    if modalities is None and estimator is not None:
        modalities = _layout_of_estimator(estimator, X.shape[1])
    layout = resolve_modalities(modalities, X.shape[1], names)
    return Table(X, layout, _find_presence(X, layout))


def is_pandas(X):
    """Whether X is a pandas dataframe."""
    return hasattr(X, "iloc") and hasattr(X, "mask") and hasattr(X, "columns")


def is_polars(X):
    """Whether X is a polars dataframe."""
    return hasattr(X, "get_columns") and hasattr(X, "with_columns")


def _layout_of_estimator(estimator, n_features):
    """The layout that a fitted estimator, or a part of it, found in X."""
    layout = _search_layout(estimator)
    if layout is not None and layout.n_features != n_features:
        raise ValueError(
            f"The modalities of the fitted {type(estimator).__name__} hold "
            f"{layout.n_features} columns, but X has {n_features}: a step before "
            "changes the columns. Pass modalities= for the columns of X."
        )
    return layout


def _search_layout(estimator):
    """`modalities_` of an estimator, a search's best one, or a pipeline's first."""
    layout = getattr(estimator, "modalities_", None)
    if layout is not None:
        return layout
    if hasattr(estimator, "best_estimator_"):
        return _search_layout(estimator.best_estimator_)
    found = (_search_layout(step) for _, step in getattr(estimator, "steps", ()))
    return next((layout for layout in found if layout is not None), None)


def _find_presence(X, layout):
    if isinstance(X, np.ndarray):
        return find_presence(X, layout)[0]
    if is_pandas(X):
        missing = X.isna().to_numpy()
    else:
        missing = np.column_stack([_missing_polars(c) for c in X.get_columns()])
    return np.column_stack(
        [~missing[:, m.columns].all(axis=1) for m in layout.values()]
    )


def _missing_polars(column):
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(True)
    return missing.to_numpy()


def _hide_polars(X, hidden, owner):
    polars = import_optional("polars", "test")
    return X.with_columns(
        polars.when(polars.Series(~hidden[:, m])).then(polars.col(name)).alias(name)
        for name, m in zip(X.columns, owner)
        if hidden[:, m].any()
    )
