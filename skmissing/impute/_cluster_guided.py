"""Imputation from cluster centres, stages 1 and 2 of UL4M4."""

import copy
import zlib
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmissing._base import check_enough_rows, warn_empty_rows
from skmissing._blocks import find_presence
from skmissing._compat import Interval, StrOptions, _fit_context
from skmissing._scaling import fit_scaler
from skmissing.cluster import PartialModalityKMeans
from skmissing.impute._base import MOST_DEVIATIONS, BaseModalityImputer
from skmissing.impute._completion import (
    GreedyCompletion,
    nearest_donors,
    score_temperatures,
    soft_values,
    soft_weights,
    thin_out,
)
from skmissing.mixture import PartialModalityFactorMixture


def _strategy_of(imputer):
    """Strategy of the fit; before it, the parameter."""
    return getattr(imputer, "_strategy", imputer.strategy)


def _has_factors(imputer):
    """Whether the strategy knows its own errors."""
    strategy = _strategy_of(imputer)
    if strategy != "factor":
        raise AttributeError(
            f"imputation_std needs strategy='factor'; got {strategy!r}."
        )
    return True


def _updates_centers(imputer):
    """Whether the strategy goes by centres, which new rows can update."""
    if _strategy_of(imputer) == "factor":
        raise AttributeError("partial_fit is not available with strategy='factor'.")
    return True


class ClusterGuidedImputer(BaseModalityImputer):
    """Fill the modalities that a row lacks from the centres of clusters.

    The rows are clustered by :class:`skmissing.cluster.PartialModalityKMeans`; a gap
    is filled from the centres that are near over what the row does have. Observed
    cells are never changed.

    Read more in the :ref:`User Guide <imputation>`.

    Parameters
    ----------
    n_clusters : int or "auto", default=40
        Number of clusters. With one and no factors, every gap gets the training mean.
        "auto", for `strategy="factor"` only, takes of 1, 10 and 40 the number that
        fills hidden modalities of the training rows best.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality. None groups columns named `modality__feature`
        by their prefix if all are named so, and otherwise makes every column a
        modality of its own. A list gives widths from left to right. A dict gives, by
        name, a width, a token shape `(n_tokens, dim)`, a slice, or a list of column
        names or positions.

    strategy : {"soft", "nearest", "greedy", "factor"}, default="soft"
        What a gap is filled from.

        - "soft": the mean of all centres that have the modality, weighted by
          `exp(-d**2 / temperature_)`, with d the distance over what the row has.
        - "nearest": each missing modality from the nearest centre that has it.
        - "greedy": Algorithm 2 of the paper to the letter. The same as "nearest" if
          all centres are complete; if not, it favours centres that share nothing with
          the row, see Notes.
        - "factor": the posterior mean of a
          :class:`skmissing.mixture.PartialModalityFactorMixture`, clusters with
          factors that modalities share, shrunk towards the training mean as far as
          held-out rows say.

    n_factors : int or "auto", default=32
        Most factors of `strategy="factor"`; "auto" takes the best of 8, 32 and 64.

    sample_posterior : bool, default=False
        Whether gaps are filled with draws from the posterior and not with its mean.
        Needs `strategy="factor"`. The draws depend on `random_state` and on the
        rows: with an int, the same table is filled in the same way each time.

    standardize : bool, default=True
        Whether distances are between standardised columns.

    init : {"k-means++", "random"}, callable or array-like of shape \
            (n_clusters, n_features), default="k-means++"
        How to start the clustering; a string for `strategy="factor"`.

    n_init : "auto" or int, default="auto"
        Number of runs of the clustering; "auto" is one run for `strategy="factor"`.

    max_iter : int, default=300
        Most iterations of one run.

    tol : float, default=1e-4
        Tolerance of the clustering. EM ends with `strategy="factor"` when an
        iteration raises the objective by less than `10 * tol` per observed cell.

    add_indicator : bool, default=False
        Whether to append one column a modality that is 1 where the row lacks it. The
        columns depend on the layout only, not on what was missing in `fit`.

    keep_empty_features : bool, default=True
        Whether columns that no row has in `fit` are kept, filled with 0. If False
        they are dropped.

    random_state : int, RandomState instance or None, default=None
        Seed of the clustering.

    verbose : int, default=0
        Verbosity of the clustering.

    Attributes
    ----------
    clusterer_ : PartialModalityKMeans or PartialModalityFactorMixture
        The fitted clustering; the mixture with `strategy="factor"`.

    temperature_ : float
        Only with `strategy="soft"`: the scale of squared distances at which weights
        fall off.

    n_iter_ : int
        Iterations of the clustering.

    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for rows in which nothing is observed.

    modalities_ : ModalityLayout
        Ordered mapping from the name of each modality to its columns.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    Raises
    ------
    ValueError
        If `n_clusters` is larger than the number of rows with an observed cell, or
        `modalities` does not fit the columns of X.

    See Also
    --------
    skmissing.cluster.PartialModalityKMeans : The clustering.
    sklearn.impute.KNNImputer : Averages rows and not centres, cell by cell.

    Notes
    -----
    The paper [1]_ builds one candidate a centre (the row, its gaps filled from that
    centre), takes the candidate of the closest pair of candidate and centre, copies
    from it what is still missing, and repeats. With complete centres that first
    candidate is the nearest centre. With incomplete ones the comparison of a
    candidate covers cells that were copied, at distance 0 from where they came: a
    centre that shares nothing with the row always wins. "nearest" keeps to the row's
    own cells.

    Holes, missing cells of a modality that the row otherwise has, are filled from
    the nearest centre that has the modality.

    With "factor", a fifth of the rows with two modalities or more is left out of a
    first fit (as often as it takes, for small tables), each of their modalities is
    hidden in turn, and for each modality the factor in [0, 1] by which the imputed
    distance from the mean is multiplied, and the ratio of actual to stated errors,
    are learnt from these. The model itself is then fitted to all rows. Cells farther
    than four standard deviations from the mean enter it as if they were that far.

    The temperature is chosen by hiding: of the training rows with two modalities or
    more (2000 at most), each modality is hidden in turn, and of a grid of multiples
    of the median squared distance to the nearest centre, the temperature with the
    least mean squared error on the hidden modalities is taken.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import ClusterGuidedImputer
    >>> X = np.array([[0., 0., 5.], [0., 2., 5.], [8., 8., 1.], [8., 9., np.nan]])
    >>> imputer = ClusterGuidedImputer(2, modalities=[2, 1], random_state=0)
    >>> imputer.fit_transform(X)
    array([[0., 0., 5.],
           [0., 2., 5.],
           [8., 8., 1.],
           [8., 9., 1.]])
    """

    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        **PartialModalityKMeans._parameter_constraints,
        "strategy": [StrOptions({"nearest", "greedy", "soft", "factor"})],
        "n_clusters": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "n_factors": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "sample_posterior": ["boolean"],
    }

    def __init__(
        self,
        n_clusters=40,
        *,
        modalities=None,
        strategy="soft",
        n_factors=32,
        sample_posterior=False,
        standardize=True,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.modalities = modalities
        self.strategy = strategy
        self.n_factors = n_factors
        self.sample_posterior = sample_posterior
        self.standardize = standardize
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    def _fit_imputer(self, X, presence, holes):
        self._strategy = self.strategy
        if self.strategy == "factor":
            return self._fit_mixture(X, presence, holes)
        if self.sample_posterior:
            raise ValueError(
                "sample_posterior=True needs strategy='factor'; got "
                f"strategy={self.strategy!r}."
            )
        if self.n_clusters == "auto":
            raise ValueError(
                "n_clusters='auto' needs strategy='factor'; got "
                f"strategy={self.strategy!r}. Search with masked_imputation_score."
            )
        names = set(PartialModalityKMeans().get_params())
        shared = {k: v for k, v in self.get_params(deep=False).items() if k in names}
        clusterer = PartialModalityKMeans(**shared)
        self._hand_layout(clusterer)
        blocks = clusterer._fit_validated(X, presence, holes)
        self.clusterer_ = clusterer
        self.n_iter_ = clusterer.n_iter_
        if self.strategy == "soft":
            labels = clusterer.labels_
            self._keep_scores(score_temperatures(blocks, clusterer._centers, labels))
        return clusterer._scaler.column_mean

    def _hand_layout(self, clusterer):
        for name in ("n_features_in_", "feature_names_in_", "modalities_"):
            if hasattr(self, name):
                setattr(clusterer, name, getattr(self, name))

    def _fit_mixture(self, X, presence, holes):
        starts = {"k-means++": "kmeans", "random": "random"}
        if not isinstance(self.init, str):
            raise ValueError(
                "With strategy='factor', init must be 'k-means++' or 'random'; got "
                f"{type(self.init).__name__}."
            )
        if self.n_clusters != "auto":
            check_enough_rows(presence.any(axis=1), n_clusters=self.n_clusters)
        mixture = PartialModalityFactorMixture(
            self.n_clusters,
            n_factors=self.n_factors,
            modalities=self.modalities,
            max_iter=self.max_iter,
            tol=10 * self.tol,
            init=starts[self.init],
            n_init=1 if self.n_init == "auto" else self.n_init,
            standardize=self.standardize,
            calibrate=True,
            random_state=self.random_state,
            verbose=self.verbose,
        )
        self._hand_layout(mixture)
        scaler = fit_scaler(X, self.modalities_, presence, holes)
        reach = MOST_DEVIATIONS * np.sqrt(scaler.variance)
        self._bounds = scaler.mean - reach, scaler.mean + reach
        mixture._fit_validated(self._clipped(X), presence, holes)
        self.clusterer_ = mixture
        self.n_iter_ = mixture.n_iter_
        self._shift = scaler.column_mean - mixture._scaler.mean
        return scaler.column_mean

    def _clipped(self, X):
        """X without outliers, of which the posterior would make too much."""
        low, high = (bound.astype(X.dtype) for bound in self._bounds)
        return np.clip(X, low, high)

    def _keep_scores(self, scores):
        self._temperature_scores = scores
        self.temperature_ = 1.0 if scores is None else scores.best()

    def _score_before_learning(self, X, presence, holes):
        """Temperatures judged by rows that the centres have not seen yet."""
        rows = thin_out(np.flatnonzero(presence.sum(axis=1) > 1))
        clusterer = self.clusterer_
        blocks = clusterer._scaler.split(X[rows], presence[rows], holes[rows])
        centers = clusterer._centers_as(X.dtype)
        before = self._temperature_scores
        self._keep_scores(score_temperatures(blocks, centers, before=before))

    @available_if(_updates_centers)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Update the clusters with new rows.

        The first call is `fit`; later ones go on by
        :meth:`skmissing.cluster.PartialModalityKMeans.partial_fit`. The temperature
        of `strategy="soft"` is chosen on the rows of all calls, each judged by the
        centres as they were before its call.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. At least `n_clusters` rows in the first
            call.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        if not hasattr(self, "statistics_"):
            return self.fit(X, y)
        X = self._validate(X, reset=False)
        presence, holes = find_presence(X, self.modalities_)
        warn_empty_rows(presence, "left out of the fit")
        # On a copy: an interrupted call leaves all as it was before.
        new = copy.copy(self)
        new.clusterer_ = copy.copy(self.clusterer_)
        new._seen = self._seen | self._observed_columns(X, presence, holes)
        if self._strategy == "soft":
            new._score_before_learning(X, presence, holes)
        new.clusterer_._partial_fit_validated(X, presence, holes)
        new.statistics_ = new.clusterer_._scaler.column_mean
        vars(self).update(vars(new))
        return self

    @available_if(_has_factors)
    def imputation_std(self, X):
        """Return standard errors of imputed cells.

        Only with `strategy="factor"`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        std : ndarray of shape (n_samples, n_features_out)
            Of the difference between the imputed and the actual value, in the units
            of X; 0 for observed cells, and NaN in columns that `fit` never saw, of
            which nothing is known. Without the columns of `add_indicator`.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        presence, holes = find_presence(X, self.modalities_)
        std = self.clusterer_._std(self._clipped(X), presence, holes)
        return std if self.keep_empty_features else std[:, self._seen]

    def _impute(self, X, presence, holes):
        if self._strategy == "factor":
            rng = self._generator_for(X) if self.sample_posterior else None
            values = self.clusterer_._values(self._clipped(X), presence, holes, rng)
            # What was cut off is missing from the means.
            values += self._shift.astype(X.dtype)
            return values
        clusterer = self.clusterer_
        blocks = clusterer._scaler.split(X, presence, holes)
        centers = clusterer._centers_as(X.dtype)
        units = clusterer.cluster_centers_.astype(X.dtype, copy=False)
        values = np.full_like(X, np.nan)
        if self._strategy == "soft":
            weights = soft_weights(blocks, centers, self.temperature_)
        elif self._strategy == "greedy":
            donors = GreedyCompletion(centers, self.modalities_.slices).donors(blocks)
        else:
            donors = nearest_donors(blocks, centers)
        for m in range(len(self.modalities_)):
            columns = self.modalities_.columns_of(m)
            rows = np.flatnonzero(~presence[:, m] | holes)
            if self._strategy == "soft":
                soft, reached = soft_values(
                    weights[rows], units[:, columns], centers.presence[:, m]
                )
                rows, filling = rows[reached], soft[reached]
            else:
                rows = rows[donors[rows, m] >= 0]
                filling = units[:, columns][donors[rows, m]]
            if isinstance(columns, slice):
                values[rows, columns] = filling
            else:
                values[np.ix_(rows, columns)] = filling
        return values

    def _generator_for(self, X):
        """Generator for the draws: other ones for other rows, if by the same seed."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return np.random.RandomState([seed, zlib.crc32(np.ascontiguousarray(X))])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.sample_posterior
        return tags
