"""K-means on the modalities that a sample and a centre share."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context, in_pieces
from skmissing._blocks import Centers, fit_scaler
from skmissing._callbacks import NO_TASK
from skmissing._compat import Interval, StrOptions, to_numpy
from skmissing._distances import nearest_centers, squared_distances
from skmissing._docs import shared_docs
from skmissing._sources import N_SAMPLED
from skmissing._table import check_sample_weight, fill_masked
from skmissing.cluster._lloyd import (
    centers_at_rows,
    lloyd,
    lloyd_in_pieces,
    online_step,
    plus_plus_rows,
    random_rows,
)


@shared_docs
class PartialModalityKMeans(
    ModalityMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    SkmissingEstimator,
):
    """K-means for samples in which whole modalities are missing.

    The distance between a sample and a centre is computed over the modalities that
    both have. A centre has the modalities that at least one of its samples has, so it
    may be incomplete, too. Nothing is imputed.

    Read more in the :ref:`User Guide <clustering>`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    %(modalities)s
    init : {"k-means++", "random"}, callable or array-like of shape \
            (n_clusters, n_features), default="k-means++"
        Method of initialisation. "k-means++" is greedy k-means++ on the partial
        distance. "random" draws samples, as the paper does. Both ensure that each
        modality is in at least one centre. An array gives the centres in the units of
        X, with NaN in the missing modalities of a centre. A callable takes `X`,
        `n_clusters` and `random_state`, and returns such an array.
    n_init : "auto" or int, default="auto"
        Number of runs. The run with the lowest inertia is kept. "auto" is 10 for
        "random" and for a callable, and otherwise 1.
    max_iter : int, default=300
        Maximum number of iterations of a single run.
    tol : float, default=1e-4
        A run ends when the squared shift of all centres is below `tol` times the mean
        variance of the scaled columns, as in :class:`sklearn.cluster.KMeans`.
    standardize : bool or "modality", default=True
        Whether to scale columns to zero mean and unit variance over their observed
        cells. The tokens of a sequence share a mean and a variance. If False, columns
        with large values dominate their modality. "modality" divides all columns of a
        modality by the square root of their mean variance. Columns then keep their
        ratios, which is better for pixels and for embeddings, whose columns have the
        same unit.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial centres.
    verbose : int, default=0
        Print the inertia of each iteration if positive.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centres in the units of X, NaN in the missing modalities of a centre.
    center_presence_ : ndarray of shape (n_clusters, n_modalities), dtype bool
        Which modalities each centre has.
    labels_ : ndarray of shape (n_samples,), dtype int32
        Cluster of each sample, -1 for samples in which nothing was observed.
    inertia_ : float
        Weighted sum of squared distances of the samples to their centres.
    n_iter_ : int
        Number of iterations of the best run, or 1 after a later `partial_fit`.
    n_steps_ : int
        Number of batches seen: 1 after `fit`, and one more after each `partial_fit`.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `n_clusters` is larger than the number of samples with an observed cell, or
        `modalities` does not fit the columns of X.

    See Also
    --------
    skmissing.impute.ClusterGuidedImputer : Fills gaps from these centres.
    sklearn.cluster.KMeans : The same for complete data.

    Notes
    -----
    Let S be the modalities that sample i and centre j share, and d_m the number of
    columns of modality m. The squared distance is

    .. math:: d^2(i, j) = \\frac{1}{|S|} \\sum_{m \\in S}
              \\frac{\\left\\|z_i^m - c_j^m\\right\\|^2}{d_m},

    which is eq. (2) of [1]_. It is infinite if S is empty. In a partially observed
    modality, the mean is over the observed cells only. With complete data and
    modalities of equal width, labels and centres are the same as in
    :class:`sklearn.cluster.KMeans` with the same initial centres. The squared
    distances are then divided by the number of columns.

    This is not a metric: samples with different missing modalities are compared over
    different columns, so the triangle inequality fails. Elkan's bounds, which the
    script of the authors uses, may therefore prune wrongly. An iteration may also
    increase the inertia. A run ends when labels repeat, when centres stop moving, or
    after `max_iter` iterations.

    A sample may share no modality with any centre in the first iteration. It then adds
    its modalities to the centre of the largest cluster. The centre of an empty cluster
    moves to the sample that is farthest from its own centre.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    X has two modalities of two columns. The second is missing in the third sample:

    >>> import numpy as np
    >>> from skmissing.cluster import PartialModalityKMeans
    >>> X = np.array([[0., 0., 5., 5.],
    ...               [0., 1., 5., 6.],
    ...               [9., 9., np.nan, np.nan],
    ...               [9., 8., 1., 1.]])
    >>> kmeans = PartialModalityKMeans(2, modalities=[2, 2], random_state=0).fit(X)
    >>> bool(kmeans.labels_[2] == kmeans.labels_[3])
    True
    >>> bool(kmeans.predict([[np.nan, np.nan, 5., 5.]])[0] == kmeans.labels_[0])
    True
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "standardize": ["boolean", StrOptions({"modality"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        modalities=None,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        standardize=True,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.modalities = modalities
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.standardize = standardize
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters.

        Parameters
        ----------
        %(X, y, sample_weight)s

        Returns
        -------
        %(self)s
        """
        table = self._validate(X, reset=True, sample_weight=sample_weight)
        self._fit_table(table, self._fit_task)
        table.warn_empty("labelled -1")
        table.warn_never_observed(
            self._learnt_columns(),
            "distances leave them out and the centres are NaN there",
            "distances leave them out",
        )
        distinct = np.count_nonzero(self._counts.any(axis=1))
        if self.labels_ is not None:
            labels = to_numpy(self.labels_)
            distinct = len(np.unique(labels[labels >= 0]))
        if distinct < self.n_clusters:
            table.warn(
                f"Number of distinct clusters ({distinct}) found smaller than "
                f"n_clusters ({self.n_clusters}). Possibly due to duplicate points in "
                "X.",
                ConvergenceWarning,
            )
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Update the clusters with new samples.

        The first call is `fit`. Each later call assigns its samples to the nearest
        centres. It then moves each centre to the mean of all samples that were ever
        assigned to it, modality by modality. Means and variances for `standardize` are
        updated in the same way.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. At least `n_clusters` samples in the
            first call.
        %(y, sample_weight)s

        Returns
        -------
        self : object
            With `labels_` and `inertia_` of these samples.
        """
        if not hasattr(self, "cluster_centers_"):
            return self.fit(X, y, sample_weight=sample_weight)
        table = self._validate(
            X, reset=False, sample_weight=sample_weight, on_device=False
        )
        self._partial_fit_table(table)
        table.warn_empty("labelled -1")
        return self

    _reads_sources = _reads_devices = True

    def _fit_table(self, table, task=NO_TASK):
        """Fit to a ModalityTable and return its blocks, without warnings on cells."""
        rng = check_random_state(self.random_state)
        table.check_enough(n_clusters=self.n_clusters)
        is_array = not (isinstance(self.init, str) or callable(self.init))
        n_init = self.n_init
        if n_init == "auto":
            n_init = 1 if is_array or self.init == "k-means++" else 10
        elif is_array and n_init != 1:
            table.warn(
                "Explicit initial center position passed: performing only one init in "
                f"{type(self).__name__} instead of n_init={n_init}.",
                RuntimeWarning,
            )
            n_init = 1
        scaler = fit_scaler(table, standardize=self.standardize)
        # The initial centres of a source are chosen from a sample of it.
        seeds = table.sample(N_SAMPLED, rng) if table.in_pieces else table
        blocks = scaler.split(seeds, share=True)
        weight = seeds.weight * seeds.has_any
        # The mean variance of the scaled columns.
        variance = (scaler.variance / scaler.scale**2)[table.layout.order]
        widths = table.layout.widths[table.layout.owner]
        tol = self.tol * float((variance / widths).mean())
        task.begin(n_init)
        task.keep_by(self, lambda fitted, run: fitted._keep(scaler, run, 1, table))
        best = None
        for _ in range(n_init):
            run_task = task.part("run", self.max_iter)
            if isinstance(self.init, str):
                choose = plus_plus_rows if self.init == "k-means++" else random_rows
                rows = choose(blocks, self.n_clusters, weight, rng)
                start = centers_at_rows(blocks, rows)
            else:
                start = self._given_centers(seeds.X, scaler, rng)
            if self.verbose:
                print("Initialization complete")
            limits = {
                "max_iter": self.max_iter, "tol": tol,
                "verbose": self.verbose, "task": run_task,
            }  # fmt: skip
            if table.in_pieces:
                run = lloyd_in_pieces(table, scaler, start, **limits)
            else:
                run = lloyd(blocks, start, weight, **limits)
            run_task.end()
            if best is None or run.inertia < best.inertia:
                best = run
        self._keep(scaler, best, 1, table)
        return blocks

    def _keep(self, scaler, run, n_steps, table):
        self._scaler = scaler
        self._centers = run.centers
        self._counts = run.counts
        self.center_presence_ = table.as_given(run.centers.presence)
        self.labels_ = table.as_given(run.labels)
        self.inertia_ = run.inertia
        self.n_iter_ = run.n_iter
        self.n_steps_ = n_steps
        self.cluster_centers_ = table.as_given(scaler.to_units(run.centers))

    def _partial_fit_table(self, table):
        """Update the fitted state with new samples."""
        weight = table.weight * table.has_any
        new = fit_scaler(table)
        scaler = self._scaler.merge(new, self.standardize, table.X.dtype)
        blocks = scaler.split(table, share=True)
        centers = scaler.center_blocks(self._units().astype(table.X.dtype))
        run = online_step(blocks, centers, self._counts, weight)
        self._keep(scaler, run, self.n_steps_ + 1, table)

    def _units(self):
        """Centres in the units of X, as a NumPy array."""
        return to_numpy(self.cluster_centers_)

    def _given_centers(self, X, scaler, rng):
        """Initial centres from `init`, an array or a callable."""
        init = self.init
        if callable(init):
            init = init(X, self.n_clusters, random_state=rng)
        init = check_array(
            fill_masked(to_numpy(init)),
            dtype=X.dtype,
            ensure_all_finite="allow-nan",
            input_name="init",
        )
        if init.shape != (self.n_clusters, X.shape[1]):
            raise ValueError(
                f"The shape of the initial centers {init.shape} does not match "
                f"(n_clusters, n_features)={(self.n_clusters, X.shape[1])}."
            )
        centers = scaler.center_blocks(init)
        empty = np.flatnonzero(~centers.presence.any(axis=1))
        if len(empty):
            raise ValueError(f"init has nothing but NaN in row {empty[0]}.")
        return centers

    def predict(self, X):
        """Predict the nearest centre of each sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int32
            -1, with a warning, for samples that share no modality with any centre.
        """
        table = self._check_known(X)
        table.warn_empty("labelled -1")
        centers = self._centers_as(table.dtype)
        if table.on_device:
            return table.map_blocks(self._scaler, lambda b: b.nearest(centers)[0])
        labels = np.empty(len(table), dtype=np.int32)
        for rows, blocks in self._scaler.pieces(table):
            labels[rows] = nearest_centers(blocks, centers)
        return labels

    def transform(self, X):
        """Compute the distance of each sample to each centre.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Infinite where sample and centre share no modality.
        """
        table = self._check_known(X)
        table.warn_empty("infinitely far from all centers")
        # In float64, because cancellation in float32 would distort small distances.
        centers = self._centers_as(np.float64)
        if table.on_device:
            return table.map_blocks(
                self._scaler, lambda b: table.like_X(b.squared(centers) ** 0.5), True
            )
        squared = np.empty((len(table), self._n_features_out), table.X.dtype)
        for rows, blocks in self._scaler.pieces(table, dtype=np.float64):
            squared[rows] = squared_distances(blocks, centers)
        return np.sqrt(squared, out=squared)

    def fit_transform(self, X, y=None, sample_weight=None):
        """Fit, and return the distance of each sample to each centre.

        Parameters
        ----------
        %(X, y, sample_weight)s

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Infinite where sample and centre share no modality.
        """
        return self.fit(X, y, sample_weight=sample_weight).transform(X)

    def score(self, X, y=None, sample_weight=None):
        """Return minus the inertia of X: the higher, the better.

        Parameters
        ----------
        %(X, y, sample_weight)s

        Returns
        -------
        score : float
            Samples that share no modality with any centre are left out.
        """
        squared = self._squared_distances(X)
        weight = check_sample_weight(to_numpy(sample_weight), squared[:, None])
        return -float(squared @ weight)

    @in_pieces
    def _squared_distances(self, X):
        """Squared distance of each sample to its nearest centre."""
        table = self._check_known(X)
        centers, squared = self._centers_as(table.dtype), np.empty(len(table))
        if table.on_device:
            nearest = table.map_blocks(self._scaler, lambda b: b.nearest(centers)[1])
            return table.get(nearest).astype(np.float64)
        for rows, blocks in self._scaler.pieces(table):
            found = nearest_centers(blocks, centers, return_squared=True)
            squared[rows] = found[1]
        return squared

    def _centers_as(self, dtype):
        """Scaled centres in the dtype of the data, so that products need no cast."""
        values = self._centers.values.astype(dtype, copy=False)
        return Centers(values, self._centers.presence)

    def _check_known(self, X):
        """Validate samples of `predict`, and warn of cells that cannot be used."""
        check_is_fitted(self)
        table = self._validate(X, reset=False)
        return table.learnt(self._learnt_columns())

    def _learnt_columns(self):
        """Columns of which `fit` saw a cell, shape (n_features,)."""
        in_centers = self._centers.presence.any(axis=0)[self.modalities_.column_owner]
        return in_centers & (self._scaler.column_weight > 0)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "cluster_centers_")

    @property
    def _n_features_out(self):
        return self.cluster_centers_.shape[0]
