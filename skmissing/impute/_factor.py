"""Imputation from clusters with shared factors, with standard errors."""

import zlib
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skmissing._blocks import fit_scaler
from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing.impute._base import (
    MOST_DEVIATIONS,
    BaseModalityImputer,
    ImputationStdMixin,
    copy_with,
)
from skmissing.mixture import PartialModalityFactorMixture


@shared_docs
class FactorImputer(ImputationStdMixin, BaseModalityImputer):
    """Impute missing modalities from factors that the modalities share.

    Missing cells are filled with their posterior mean under a
    :class:`skmissing.mixture.PartialModalityFactorMixture`. The posterior mean is
    shrunk towards the training mean by a factor that is learnt from held-out samples.
    Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation>`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of clusters. "auto" chooses 1, 10 or 40 by the errors on hidden
        modalities of the training samples.
    n_factors : int or "auto", default=32
        Maximum number of factors. "auto" chooses 8, 32 or 64 by the same errors.
    %(modalities)s
    sample_posterior : bool, default=False
        Whether to fill missing cells with draws from the posterior instead of its mean.
        The draws depend on `random_state` and on the samples. With an int, the same
        table is always filled in the same way.
    standardize : bool, default=True
        Whether to fit the model to standardised columns.
    init : {"k-means++", "random"}, default="k-means++"
        Initial centres of the clusters.
    n_init : int, default=1
        Number of runs. The best run is kept.
    max_iter : int, default=300
        Maximum number of iterations of EM.
    tol : float, default=1e-3
        EM ends when an iteration raises the objective by less than `tol` per observed
        cell.
    %(add_indicator, keep_empty_features)s
    random_state : int, RandomState instance or None, default=None
        Seed of the initial centres and of the draws.
    verbose : int, default=0
        Verbosity of the mixture.

    Attributes
    ----------
    mixture_ : PartialModalityFactorMixture
        The fitted mixture.
    n_iter_ : int
        Number of iterations of EM.
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for samples in which nothing is observed.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `n_components` is larger than the number of samples with an observed cell,
        or `modalities` does not fit the columns of X.

    See Also
    --------
    ClusterGuidedImputer : Imputes from cluster centres. Faster, has `partial_fit`.
    skmissing.mixture.PartialModalityFactorMixture : The model.

    Notes
    -----
    A fifth of the samples with two or more modalities is left out of a first fit. For
    small tables, this is repeated. Each modality of these samples is hidden in turn.
    Two numbers per modality are learnt from the hidden cells: the factor in [0, 1] by
    which the imputed distance from the mean is multiplied, and the ratio of actual to
    estimated errors. The model itself is then fitted to all samples. For "auto", the
    first fits with at least 100 hidden modalities in total are compared. Cells are
    clipped to four standard deviations from the mean.

    With one component, the model is group factor analysis [1]_.

    References
    ----------
    .. [1] S. Virtanen, A. Klami, S. A. Khan and S. Kaski, "Bayesian group factor
       analysis", AISTATS 2012.

    Examples
    --------
    The second column is twice the first:

    >>> import numpy as np
    >>> from skmissing.impute import FactorImputer
    >>> a = np.random.RandomState(0).standard_normal(200)
    >>> X = np.column_stack([a, 2 * a, -a])
    >>> X[:50, 0] = X[50:100, 1] = np.nan
    >>> imputer = FactorImputer(1, n_factors=1, random_state=0).fit(X)
    >>> imputer.transform([[1., np.nan, -1.]]).round(1)
    array([[ 1.,  2., -1.]])
    >>> imputer.imputation_std([[1., np.nan, -1.]]).round(1)
    array([[0., 0., 0.]])
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "n_components": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "n_factors": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "sample_posterior": ["boolean"],
        "standardize": ["boolean"],
        "init": [StrOptions({"k-means++", "random"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components="auto",
        *,
        n_factors=32,
        modalities=None,
        sample_posterior=False,
        standardize=True,
        init="k-means++",
        n_init=1,
        max_iter=300,
        tol=1e-3,
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.n_factors = n_factors
        self.modalities = modalities
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

    _reads_sources = True

    @property
    def _reads_devices(self):
        # Draws depend on NumPy's generator.
        return not self.sample_posterior

    def _fit_imputer(self, table):
        params = self.get_params(deep=False)
        for name in ("sample_posterior", "add_indicator", "keep_empty_features"):
            del params[name]
        mixture = PartialModalityFactorMixture(calibrate=True, **params)
        settled = getattr(self, "_settled", None)
        if settled is not None:
            mixture.set_params(calibrate=False, n_factors=settled.n_factors_)
            if self.n_components == "auto":
                mixture.n_components = min(
                    settled.n_components_, max(1, table.n_usable)
                )
        self._hand_on(mixture)
        scaler = fit_scaler(table)
        reach = MOST_DEVIATIONS * np.sqrt(scaler.variance)
        self._bounds = scaler.mean - reach, scaler.mean + reach
        mixture._fit_table(self._clipped(table), self._fit_task)
        if settled is not None:
            mixture.shrinkage_ *= settled.shrinkage_
        self.mixture_ = mixture
        self.n_iter_ = mixture.n_iter_
        self._shift = scaler.column_mean - mixture._scaler.mean
        return scaler.column_mean

    def _with_seed(self, seed):
        return copy_with(self, sample_posterior=True, random_state=seed)

    def _settle(self, fitted):
        self._settled = fitted.mixture_

    def _clipped(self, table):
        """Table with clipped outliers, which would dominate the posterior."""
        low, high = (bound.astype(table.dtype) for bound in self._bounds)
        return table.change(np.clip, low, high)

    def _std(self, table):
        return self.mixture_._std(self._clipped(table))

    def _impute(self, table):
        rng = None
        if self.sample_posterior:
            # The generator depends on the samples.
            rng = check_random_state(self.random_state)
            seed = rng.randint(np.iinfo(np.int32).max)
            samples = zlib.crc32(np.ascontiguousarray(table.X))
            rng = np.random.RandomState([seed, samples])
        values = self.mixture_._values(self._clipped(table), rng)
        # The means do not include the part that was clipped.
        values += table.as_given(self._shift.astype(table.dtype))
        return values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.sample_posterior
        return tags
