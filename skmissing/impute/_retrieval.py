"""Imputation from the nearest rows that have the modality."""

from numbers import Integral

import numpy as np

from skmissing._blocks import Centers, fit_scaler, row_chunks
from skmissing._compat import Interval, StrOptions
from skmissing._distances import squared_distances
from skmissing._modalities import as_slice
from skmissing._table import ModalityTable
from skmissing.impute._base import BaseModalityImputer

# Distances held at a time.
DISTANCE_CELLS = 1 << 23


class RetrievalImputer(BaseModalityImputer):
    """Fill the modalities that a row lacks from the most similar rows that have them.

    Two rows are compared over the modalities that both have, each counting alike,
    and a gap is filled with the mean of the nearest training rows that have the
    modality. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of rows to average; fewer if fewer can be compared with the row.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality. None groups columns named `modality__feature`
        by their prefix if all are named so, and otherwise makes every column a
        modality of its own. A list gives widths from left to right. A dict gives, by
        name, a width, a token shape `(n_tokens, dim)`, a slice, or a list of column
        names or positions.

    weights : {"uniform", "soft"}, default="uniform"
        How neighbours count: alike, or by `exp(-d**2 / T)` with T the mean squared
        distance of the row's neighbours in excess of the nearest.

    n_hops : int, default=1
        With more than one, training rows are first completed from each other
        `n_hops - 1` times, so that rows that lack a modality pass on what they got
        from their own neighbours (feature propagation). Takes distances between all
        training rows.

    standardize : bool, default=True
        Whether distances are between standardised columns.

    add_indicator : bool, default=False
        Whether to append one column a modality that is 1 where the row lacks it.

    keep_empty_features : bool, default=True
        Whether columns that no row has in `fit` are kept, filled with 0. If False
        they are dropped.

    Attributes
    ----------
    n_samples_fit_ : int
        Number of rows that may lend their values.

    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for gaps that no row can fill.

    modalities_ : ModalityLayout
        Ordered mapping from the name of each modality to its columns.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    See Also
    --------
    ClusterGuidedImputer : Fills from centres and not from rows.
    sklearn.impute.KNNImputer : Cell by cell, so that wide modalities count more.

    Notes
    -----
    The distance is that of :class:`skmissing.cluster.PartialModalityKMeans`. Holes,
    missing cells of a modality that the row otherwise has, are filled from rows that
    have all of it, where there are any. In distances, a hole of the row to be filled is
    left out, and one of a training row counts as the column's mean. The training rows
    are kept, and each row to be filled is compared with all of them. Feature
    propagation is that of [1]_, on the graph of nearest neighbours.

    References
    ----------
    .. [1] D. Malitesta et al., "Do We Really Need to Drop Items with Missing
       Modalities in Multimodal Recommendation?", CIKM 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import RetrievalImputer
    >>> X = np.array([[0., 0., 5.], [0., 2., 7.], [8., 8., 1.], [8., 9., np.nan]])
    >>> RetrievalImputer(1, modalities=[2, 1]).fit_transform(X)
    array([[0., 0., 5.],
           [0., 2., 7.],
           [8., 8., 1.],
           [8., 9., 1.]])
    """

    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "weights": [StrOptions({"uniform", "soft"})],
        "n_hops": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
    }

    def __init__(
        self,
        n_neighbors=10,
        *,
        modalities=None,
        weights="uniform",
        n_hops=1,
        standardize=True,
        add_indicator=False,
        keep_empty_features=True,
    ):
        self.n_neighbors = n_neighbors
        self.modalities = modalities
        self.weights = weights
        self.n_hops = n_hops
        self.standardize = standardize
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features

    def _fit_imputer(self, table):
        X, presence, holes = table.X, table.presence, table.partial
        layout = self.modalities_
        self._scaler = fit_scaler(
            ModalityTable(X, layout, presence=presence, partial=holes),
            standardize=self.standardize,
        )
        rows = np.flatnonzero(presence.any(axis=1))
        self.n_samples_fit_ = len(rows)
        X, presence, holes = X[rows], presence[rows], holes[rows]
        self._rows = self._scaler.center_blocks(X)
        self._keep_lent(X)
        for _ in range(self.n_hops - 1):
            values = self._from_neighbors(X, presence, holes, spare=True)
            self._keep_lent(np.where(np.isnan(X), values, X))
        return self._scaler.column_mean

    def _keep_lent(self, X):
        """What each row may lend, in the units of X: the cells that it has."""
        self._can_lend = ~np.isnan(X)
        self._lent = np.where(self._can_lend, X, 0)

    def _impute(self, table):
        X, presence, holes = table.X, table.presence, table.partial
        return self._from_neighbors(X, presence, holes)

    def _from_neighbors(self, X, presence, holes, spare=False):
        """Weighted means of the nearest rows; `spare` leaves the row itself out."""
        layout = self.modalities_
        values = np.full_like(X, np.nan)
        lent = self._lent.astype(X.dtype, copy=False)
        rows = self._rows.values.astype(X.dtype, copy=False)
        rows = Centers(rows, self._rows.presence)
        for chunk in row_chunks(len(X), self.n_samples_fit_, DISTANCE_CELLS):
            blocks = self._scaler.split(
                ModalityTable(
                    X[chunk],
                    self.modalities_,
                    presence=presence[chunk],
                    partial=holes[chunk],
                )
            )
            squared = squared_distances(blocks, rows)
            if spare:
                squared[np.arange(len(squared)), np.arange(len(X))[chunk]] = np.inf
            for m, modality in enumerate(layout.values()):
                places = np.flatnonzero(~presence[chunk, m] | holes[chunk])
                columns = as_slice(modality.columns)
                # Rows with holes lend only if there is no other.
                lends = self._can_lend[:, columns]
                whole = lends.all(axis=1)
                owners = np.flatnonzero(whole if whole.any() else lends.any(axis=1))
                if len(places) and len(owners):
                    weights, found = self._nearest(squared[np.ix_(places, owners)])
                    mean = _weighted_mean(
                        weights, lent, self._can_lend, owners[found], columns
                    )
                    values[np.ix_(chunk.start + places, modality.columns)] = mean
        return values

    def _nearest(self, squared):
        """Weights and places of the nearest rows; weight 0 beyond comparison."""
        k = min(self.n_neighbors, squared.shape[1])
        found = np.argpartition(squared, k - 1, axis=1)[:, :k]
        found.sort(axis=1)
        near = np.take_along_axis(squared, found, axis=1)
        reached = np.isfinite(near)
        if self.weights == "uniform":
            return reached.astype(squared.dtype), found
        near = np.where(reached, near, 0)
        lowest = np.where(reached, near, np.inf).min(axis=1, keepdims=True)
        excess = np.where(reached, near - lowest, 0)
        scale = excess.sum(axis=1, keepdims=True) / np.maximum(
            reached.sum(axis=1, keepdims=True), 1
        )
        weights = np.exp(-excess / np.where(scale > 0, scale, 1))
        return (weights * reached).astype(squared.dtype), found


def _weighted_mean(weights, lent, can_lend, neighbors, columns):
    """Mean over neighbours of the cells that they have; NaN where none has it."""
    lent, can_lend = lent[:, columns], can_lend[:, columns]
    total, weight = np.zeros((2, len(weights), lent.shape[1]), lent.dtype)
    for place in range(weights.shape[1]):
        rows = neighbors[:, place]
        share = weights[:, place, None] * can_lend[rows]
        total += share * lent[rows]
        weight += share
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, np.nan)
