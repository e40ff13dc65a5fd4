"""Spectral clustering of a graph between samples and anchors."""

from numbers import Integral

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._blocks import Centers
from skmissing._compat import Interval, StrOptions
from skmissing._distances import squared_distances
from skmissing._docs import shared_docs
from skmissing.cluster._kmeans import PartialModalityKMeans

# Anchors per cluster for "auto", and the least number.
PER_CLUSTER, FEWEST = 10, 50
# Runs of k-means on the embedding, which has few columns.
N_INIT = 5


@shared_docs
class AnchorGraphClustering(ModalityMixin, ClusterMixin, SkmissingEstimator):
    """Spectral clustering for samples in which whole modalities are missing.

    Samples are linked to their nearest anchors, over all modalities that both have and
    over each modality alone. Samples that are linked to the same anchors are in the
    same cluster, so clusters need not be round. New samples are clustered by their
    links.

    Read more in the :ref:`User Guide <anchor_graph>`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    %(modalities)s
    n_anchors : "auto" or int, default="auto"
        Number of anchors: the centres of :class:`PartialModalityKMeans`. "auto" is 10
        per cluster and at least 50, but at most a third of the samples. There are at
        least `n_clusters` anchors.
    n_neighbors : int, default=5
        Number of anchors that a sample is linked to.
    standardize : bool or "modality", default=True
        Scales of the columns, as in :class:`PartialModalityKMeans`.
    random_state : int, RandomState instance or None, default=None
        Seed of the anchors and of the clusters.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), dtype int32
        Cluster of each sample, -1 for samples in which nothing was observed.
    anchors_ : ndarray of shape (n_anchors, n_features)
        Anchors in the units of X, NaN in the missing modalities of an anchor.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `n_clusters` or `n_anchors` is larger than the number of samples with an
        observed cell.

    See Also
    --------
    PartialModalityKMeans : Faster, with centres in the units of X.
    sklearn.cluster.SpectralClustering : For complete data, without `predict`.

    Notes
    -----
    Let :math:`d_{ij}` be the distance of sample i to anchor j. The link is
    :math:`w_{ij} = \\exp(-d_{ij}^2 / h_i)` for the `n_neighbors` nearest anchors and 0
    for all others, where :math:`h_i` is the squared distance to the next anchor. The
    links of a sample are divided by their sum. The matrix Z is the mean of the links
    over the shared modalities, and of the mean of the links over single observed
    modalities. With :math:`D = \\operatorname{diag}(Z^\\top 1)`, the embedding of a
    sample is its row of :math:`Z D^{-1/2} V`, divided by its norm, where V are the
    first eigenvectors of :math:`D^{-1/2} Z^\\top Z D^{-1/2}`. The clusters are found by
    k-means in the embedding. This is the landmark-based spectral clustering of [1]_,
    with anchors and links for missing modalities.

    References
    ----------
    .. [1] X. Chen and D. Cai. "Large scale spectral clustering with landmark-based
           representation." AAAI 2011.

    Examples
    --------
    Two rings. The second modality is missing in every second sample:

    >>> import numpy as np
    >>> from skmissing.cluster import AnchorGraphClustering
    >>> angle = np.linspace(0, 50, 400)
    >>> ring = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> radius = np.repeat([1.0, 4.0], 200)[:, None]
    >>> X = np.hstack([radius * ring, -radius * ring])
    >>> X[::2, 2:] = np.nan
    >>> model = AnchorGraphClustering(2, modalities=[2, 2], random_state=0).fit(X)
    >>> [len(np.unique(part)) for part in np.split(model.labels_, 2)]
    [1, 1]
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_anchors": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean", StrOptions({"modality"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        modalities=None,
        n_anchors="auto",
        n_neighbors=5,
        standardize=True,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.modalities = modalities
        self.n_anchors = n_anchors
        self.n_neighbors = n_neighbors
        self.standardize = standardize
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the clusters.

        Parameters
        ----------
        %(X, y)s

        Returns
        -------
        %(self)s
        """
        table = self._validate(X, reset=True)
        table.check_enough(n_clusters=self.n_clusters)
        n_anchors = self._count_anchors(table)
        table.check_enough(n_anchors=n_anchors)
        rng = check_random_state(self.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=2)
        kmeans = PartialModalityKMeans(
            n_anchors,
            modalities=self.modalities_,
            standardize=self.standardize,
            random_state=seeds[0],
        )
        kmeans._fit_table(table)
        self._scaler, centers = kmeans._scaler, kmeans._centers
        self._centers = Centers(centers.values.astype(np.float64), centers.presence)
        self.anchors_ = kmeans.cluster_centers_
        table.warn_empty("labelled -1")
        table.warn_never_observed(
            self._learnt_columns(), "links leave them out", "links leave them out"
        )
        links = self._links(table)[table.has_any]
        self._degrees = np.sqrt(np.maximum(links.sum(axis=0), np.finfo(float).tiny))
        links /= self._degrees
        vectors = np.linalg.eigh(links.T @ links)[1]
        self._vectors = vectors[:, ::-1][:, : self.n_clusters]
        self._kmeans = KMeans(self.n_clusters, n_init=N_INIT, random_state=seeds[1])
        self.labels_ = np.full(len(table), -1, dtype=np.int32)
        self.labels_[table.has_any] = self._kmeans.fit_predict(self._embed(links))
        return self

    def predict(self, X):
        """Predict the cluster of each sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int32
            -1, with a warning, for samples that share no modality with any anchor.
        """
        check_is_fitted(self)
        table = self._validate(X, reset=False).learnt(self._learnt_columns())
        table.warn_empty("labelled -1")
        links = self._links(table)
        linked = links.any(axis=1)
        labels = np.full(len(table), -1, dtype=np.int32)
        if linked.any():
            embedding = self._embed(links[linked] / self._degrees)
            labels[linked] = self._kmeans.predict(embedding)
        return labels

    def _count_anchors(self, table):
        if self.n_anchors != "auto":
            if self.n_anchors < self.n_clusters:
                raise ValueError(
                    f"n_anchors must be at least n_clusters ({self.n_clusters}); got "
                    f"{self.n_anchors}."
                )
            return self.n_anchors
        most = max(self.n_clusters, table.n_usable // 3)
        return min(max(PER_CLUSTER * self.n_clusters, FEWEST), most)

    def _links(self, table):
        """Links of samples (rows) and anchors: joint, and by modality."""
        joint = self._weights(self._distances(table))
        if len(table.layout) == 1:
            return joint
        alone = np.zeros_like(joint)
        for m in range(len(table.layout)):
            rows = np.flatnonzero(table.presence[:, m])
            if len(rows):
                hidden = np.ones((len(rows), len(table.layout)), dtype=bool)
                hidden[:, m] = False
                alone[rows] += self._weights(self._distances(table[rows].hide(hidden)))
        total = alone.sum(axis=1, keepdims=True)
        alone /= np.where(total > 0, total, 1)
        return (joint + alone) / 2

    def _distances(self, table):
        """Squared distances to the anchors, infinite without a shared modality."""
        squared = np.empty((len(table), len(self.anchors_)))
        for rows, blocks in self._scaler.pieces(table, dtype=np.float64):
            squared[rows] = squared_distances(blocks, self._centers)
        return squared

    def _weights(self, squared):
        """Links over some modalities. Their sum is 1, or 0 if there is no anchor."""
        n_samples, n_anchors = squared.shape
        n_neighbors = min(self.n_neighbors, n_anchors)
        order = np.argsort(squared, axis=1, kind="stable")
        near = np.take_along_axis(squared, order[:, : n_neighbors + 1], axis=1)
        # The largest finite distance, if there are not enough anchors.
        scale = np.where(np.isfinite(near), near, -np.inf).max(axis=1, keepdims=True)
        scale = np.where(scale > 0, scale, 1)
        weights = np.zeros((n_samples, n_anchors))
        values = np.exp(-near[:, :n_neighbors] / scale)
        np.put_along_axis(weights, order[:, :n_neighbors], values, axis=1)
        total = weights.sum(axis=1, keepdims=True)
        return weights / np.where(total > 0, total, 1)

    def _embed(self, links):
        """Coordinates of samples, of norm 1, from links divided by the degrees."""
        embedding = links @ self._vectors
        norm = np.linalg.norm(embedding, axis=1, keepdims=True)
        return embedding / np.maximum(norm, np.finfo(float).tiny)

    def _learnt_columns(self):
        """Columns of which `fit` saw a cell, shape (n_features,)."""
        in_anchors = self._centers.presence.any(axis=0)[self.modalities_.column_owner]
        return in_anchors & (self._scaler.column_weight > 0)
