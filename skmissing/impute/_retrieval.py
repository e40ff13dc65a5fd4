"""Imputation from the nearest samples that have the modality."""

from numbers import Integral

import numpy as np

from skmissing._blocks import Centers, fit_scaler, row_chunks
from skmissing._compat import Interval, StrOptions
from skmissing._distances import squared_distances
from skmissing._docs import shared_docs
from skmissing.impute._base import BaseModalityImputer

# Maximum number of distances in memory.
DISTANCE_CELLS = 1 << 23


@shared_docs
class RetrievalImputer(BaseModalityImputer):
    """Impute missing modalities from the most similar samples that have them.

    Two samples are compared over the modalities that both have, with equal weights.
    Missing cells are filled with the mean of the nearest training samples that have the
    modality. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of samples to average. Fewer are used if fewer can be compared.
    %(modalities)s
    weights : {"uniform", "soft"}, default="uniform"
        Weights of the neighbours: equal, or `exp(-d**2 / T)`. T is the mean squared
        distance to the neighbours, minus that to the nearest one.
    n_hops : int, default=1
        If more than 1, training samples are first completed from each other
        `n_hops - 1` times (feature propagation), so that values also come from
        neighbours of neighbours. This computes the distances between all training
        samples.
    standardize : bool, default=True
        Whether to compute distances on standardised columns.
    %(add_indicator, keep_empty_features)s

    Attributes
    ----------
    n_samples_fit_ : int
        Number of stored training samples.
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for missing cells that no sample can fill.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    ClusterGuidedImputer : Imputes from centres instead of samples.
    sklearn.impute.KNNImputer : Compares cells, so wide modalities count more.

    Notes
    -----
    The distance is that of :class:`skmissing.cluster.PartialModalityKMeans`. Missing
    cells of a partially observed modality are filled from samples in which it is fully
    observed, if there are any. In distances, missing cells of the sample to be filled
    are left out, and missing cells of a training sample are replaced by the mean of the
    column. The training samples are stored, and each sample to be filled is compared
    with all of them. Feature propagation follows [1]_, on the graph of nearest
    neighbours.

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
        self._scaler = fit_scaler(table, standardize=self.standardize)
        table = table[table.has_any]
        self.n_samples_fit_ = len(table)
        self._rows = self._scaler.center_blocks(table.X)
        self._keep_lent(table.X)
        for _ in range(self.n_hops - 1):
            values = self._impute(table, spare=True)
            self._keep_lent(np.where(np.isnan(table.X), values, table.X))
        return self._scaler.column_mean

    def _keep_lent(self, X):
        """Keep the observed cells of the training samples, in the units of X."""
        self._can_lend = ~np.isnan(X)
        self._lent = np.where(self._can_lend, X, 0)

    def _impute(self, table, spare=False):
        """Weighted means of the nearest samples; `spare` excludes the sample itself."""
        layout = self.modalities_
        values = np.full_like(table.X, np.nan)
        lent = self._lent.astype(table.X.dtype, copy=False)
        rows = self._rows.values.astype(table.X.dtype, copy=False)
        rows = Centers(rows, self._rows.presence)
        for chunk in row_chunks(len(table), self.n_samples_fit_, DISTANCE_CELLS):
            part = table[chunk]
            squared = squared_distances(self._scaler.split(part), rows)
            if spare:
                places = np.arange(len(part))
                squared[places, chunk.start + places] = np.inf
            for m, modality in enumerate(layout.values()):
                places = np.flatnonzero(~part.presence[:, m] | part.partial)
                columns = layout.columns[m]
                # Partially observed modalities are used only if there are no others.
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
        """Weights and places of the nearest samples; 0 if no modality is shared."""
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
    """Mean of the observed cells of neighbours; NaN if there is none."""
    lent, can_lend = lent[:, columns], can_lend[:, columns]
    total, weight = np.zeros((2, len(weights), lent.shape[1]), lent.dtype)
    for place in range(weights.shape[1]):
        rows = neighbors[:, place]
        share = weights[:, place, None] * can_lend[rows]
        total += share * lent[rows]
        weight += share
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, total / weight, np.nan)
