"""A mixture of Gaussians with shared factors, for rows that lack modalities."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skmissing._base import ModalityMixin, check_enough_rows, warn_empty_rows
from skmissing._blocks import find_presence
from skmissing._compat import Interval, StrOptions, _fit_context, check_sample_weight
from skmissing.mixture._fitting import fit_mixture
from skmissing.mixture._inference import FactorInference


class PartialModalityFactorMixture(FactorInference):
    """Mixture of Gaussians with shared factors, for rows that lack modalities.

    A row is the mean of its cluster, plus factors that all modalities share, plus
    noise. What a row has tells of its cluster and its factors, and these tell of what
    it lacks. Nothing is filled in when fitting: a row counts with what it has.

    Read more in the :ref:`User Guide <mixture>`.

    Parameters
    ----------
    n_components : int or "auto", default=10
        Number of clusters. With one the model is group factor analysis. "auto" takes
        of 1, 10 and 40 the number that fills hidden blocks best, see `calibrate`.

    n_factors : int or "auto", default=32
        Number of factors, no more of which are used than there are columns or rows.
        With `ard=True` it is an upper limit: factors that the data do not bear out
        are turned off, for each modality apart. With 0 the clusters are all there is.
        "auto" takes the best of 8, 32 and 64 in the same way.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality. None groups columns named `modality__feature`
        by their prefix if all are named so, and otherwise makes every column a
        modality of its own. A list gives widths from left to right. A dict gives, by
        name, a width, a token shape `(n_tokens, dim)`, a slice, or a list of column
        names or positions.

    noise : {"modality", "feature"}, default="modality"
        Whether the columns of a modality share one noise variance.

    ard : bool, default=True
        Automatic relevance determination: means and loadings have normal priors
        whose precisions, one a modality and factor, are learnt, and are integrated
        out (variational Bayes). If False they are estimated by maximum likelihood,
        which overfits where rows are few.

    max_iter : int, default=100
        Most iterations of one run.

    tol : float, default=1e-3
        A run ends when an iteration raises the objective by less than this per
        observed cell.

    init : {"kmeans", "random"}, default="kmeans"
        How to start. A few iterations with one cluster find factors; then the rows
        are clustered by their factors, by k-means or by the nearest of some rows
        drawn at random.

    n_init : int, default=1
        Number of runs, of which the one with the highest objective is kept.

    standardize : bool, default=True
        Whether to bring columns to zero mean and unit variance first. The tokens of a
        sequence share mean and variance.

    calibrate : bool, default=False
        Whether to fit the model first without some rows, and to learn from these, of
        which one modality after the other is hidden, how far imputed values are to be
        trusted (`shrinkage_`) and how wide their errors are (`std_scale_`). Takes
        about as long again, or longer if rows are few; "auto" takes three times that.

    random_state : int, RandomState instance or None, default=None
        Seed of the start, and of :meth:`sample` if it is an int.

    verbose : int, default=0
        Print the objective of each iteration if positive.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Share of each cluster.

    means_ : ndarray of shape (n_components, n_features)
        Means of the clusters in the units of X.

    loadings_ : ndarray of shape (n_features, `n_factors_`)
        What one unit of a factor adds to a column, in the units of X.

    noise_variance_ : ndarray of shape (n_features,)
        In the squared units of X.

    relevance_ : ndarray of shape (n_modalities, `n_factors_`)
        Share of the variance of each modality that each factor accounts for.

    n_components_ : int
        Number of clusters.

    n_factors_ : int
        Number of factors, at most that of columns or rows.

    shrinkage_ : ndarray of shape (n_modalities,)
        By what an imputed block's distance from the mean is multiplied: 0 for a
        modality that no row has together with another one; else 1, or with
        `calibrate`, what the hidden blocks say.

    std_scale_ : ndarray of shape (n_modalities,)
        By what the model's standard errors are multiplied; 1 without `calibrate`.

    lower_bound_ : float
        The objective per row, at the parameters that were kept: with `ard=False` the
        log-likelihood, else a lower bound of the log evidence. In the standardised
        columns, and up to a constant.

    lower_bounds_ : list of float
        The objective at each iteration.

    n_iter_ : int
        Iterations of the run that was kept.

    converged_ : bool
        Whether that run ended by `tol`.

    modalities_ : ModalityLayout
        Ordered mapping from the name of each modality to its columns.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    Raises
    ------
    ValueError
        If `n_components` is larger than the number of rows with an observed cell, or
        `modalities` does not fit the columns of X.

    See Also
    --------
    skmissing.impute.ClusterGuidedImputer : With `strategy="factor"`, fills gaps by
        this model.
    skmissing.cluster.PartialModalityKMeans : Clusters without factors or variances.
    sklearn.mixture.GaussianMixture : Full covariances, complete data.
    sklearn.decomposition.FactorAnalysis : One cluster, complete data.

    Notes
    -----
    The model is

    .. math:: x = \\mu_j + W u + \\varepsilon, \\quad u \\sim N(0, I), \\quad
              \\varepsilon_m \\sim N(0, \\sigma_m^2 I)

    with cluster j drawn by `weights_`, W and the noise shared by the clusters.
    Imputation from the nearest centre is its limit without factors and with small
    noise. In the E-step the covariance of u given what a row has depends on the
    row's pattern only: one small factorisation a pattern, and rows are two matrix
    products. Nothing of size (n_features, n_features) is ever made. Where modalities
    have holes, each column has moments of its own, which takes memory of
    `n_features * n_factors * (n_factors + n_components)` numbers.

    With `ard`, the parameters of a column with noise :math:`\\sigma^2` have the prior
    :math:`w_f \\sim N(0, \\sigma^2 / \\alpha_{mf})`,
    :math:`\\mu_j \\sim N(0, \\sigma^2 / \\beta_m)`, in standardised columns, as in
    variational principal components [1]_ and group factor analysis [2]_. The
    objective never falls. :meth:`score_samples`, `bic` and `aic` take means and
    loadings at their posterior means.

    References
    ----------
    .. [1] C. M. Bishop, "Variational principal components", ICANN 1999.
    .. [2] S. Virtanen, A. Klami, S. A. Khan and S. Kaski, "Bayesian group factor
       analysis", AISTATS 2012.

    Examples
    --------
    The second column is twice the first, where both are there:

    >>> import numpy as np
    >>> from skmissing.mixture import PartialModalityFactorMixture
    >>> a = np.random.RandomState(0).standard_normal(200)
    >>> X = np.column_stack([a, 2 * a, -a])
    >>> X[:50, 0] = X[50:100, 1] = np.nan
    >>> mixture = PartialModalityFactorMixture(1, n_factors=1, random_state=0).fit(X)
    >>> mixture.impute([[1., np.nan, np.nan]]).round(1)
    array([[ 1.,  2., -1.]])
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "n_components": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "n_factors": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "noise": [StrOptions({"modality", "feature"})],
        "ard": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"kmeans", "random"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "calibrate": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=10,
        *,
        n_factors=32,
        modalities=None,
        noise="modality",
        ard=True,
        max_iter=100,
        tol=1e-3,
        init="kmeans",
        n_init=1,
        standardize=True,
        calibrate=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.n_factors = n_factors
        self.modalities = modalities
        self.noise = noise
        self.ard = ard
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.n_init = n_init
        self.standardize = standardize
        self.calibrate = calibrate
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Estimate the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row: the number of times that it counts, so that weights
            of 1/n are one row's worth of data, of which little is learnt.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        del y
        X = self._validate(X, reset=True)
        weight = check_sample_weight(sample_weight, X)
        presence, holes = find_presence(X, self.modalities_)
        self._fit_validated(X, presence, holes, weight)
        warn_empty_rows(presence, "left out of the fit")
        self._warn_never_observed(
            self._learnt_columns(),
            "their means are 0 and nothing is learnt of them",
            "nothing is learnt of them",
        )
        n_dead = np.count_nonzero(self.weights_ < np.finfo(np.float64).eps)
        if n_dead:
            warnings.warn(
                f"{n_dead} of {self.n_components_} clusters have weight 0, possibly "
                "due to duplicate points in X; lower n_components.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _fit_validated(self, X, presence, holes, weight=None):
        """Fit to checked arrays; an imputer starts here."""
        rng = check_random_state(self.random_state)
        weight = np.ones(len(X)) if weight is None else weight
        usable = presence.any(axis=1)
        self._check_params_vs_input(X, usable, weight)
        weight = np.where(usable, weight, 0.0)
        found = fit_mixture(self, X, presence, holes, weight, rng)
        self._scaler, self._params = found.scaler, found.params
        self.shrinkage_, self.std_scale_ = found.shrinkage, found.std_scale
        total = weight.sum()
        self.lower_bounds_ = [bound / total for bound in found.bounds]
        self.lower_bound_ = self.lower_bounds_[-1]
        self.n_iter_, self.converged_ = found.n_iter, found.converged
        self._set_units()
        if not self.converged_:
            warnings.warn(
                f"EM did not converge in max_iter={self.max_iter} iterations; raise "
                "max_iter or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _check_params_vs_input(self, X, usable, weight):
        wanted = 1 if self.n_components == "auto" else self.n_components
        n_usable = check_enough_rows(usable, weight, n_components=wanted)
        most = min(X.shape[1], n_usable)
        if not self.ard and self.n_factors != "auto" and self.n_factors > most:
            raise ValueError(
                f"n_factors={self.n_factors} with ard=False must be at most {most}, "
                f"the smaller of {X.shape[1]} columns and {n_usable} rows."
            )

    def _set_units(self):
        """Public attributes in the units of X."""
        params, layout = self._params, self.modalities_
        factor = self._factor()
        self.weights_ = params.weights
        self.means_ = np.empty_like(params.means)
        self.loadings_ = np.empty_like(params.loadings)
        self.noise_variance_ = np.empty_like(params.noise)
        self.means_[:, layout.order] = params.means / factor
        self.means_ += self._scaler.mean
        self.loadings_[layout.order] = params.loadings / factor[:, None]
        self.noise_variance_[layout.order] = params.noise / factor**2
        starts = [columns.start for columns in layout.slices]
        mean = params.weights @ params.means
        between = params.weights @ (params.means - mean) ** 2
        total = (params.loadings**2).sum(axis=1) + params.noise + between
        shared = np.add.reduceat(params.loadings**2, starts, axis=0)
        self.relevance_ = shared / np.add.reduceat(total, starts)[:, None]
