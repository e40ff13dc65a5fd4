"""Mixture of Gaussians with shared factors, for samples with missing modalities."""

import warnings
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn import config_context
from sklearn.base import ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._blocks import fit_scaler
from skmissing._callbacks import NO_TASK
from skmissing._compat import Interval, StrOptions, to_numpy
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing._sources import N_SAMPLED
from skmissing._table import check_sample_weight, name_list
from skmissing.cluster._lloyd import centers_at_rows, lloyd, plus_plus_rows, random_rows
from skmissing.mixture._calibration import HiddenErrors, choice_folds, held_out_rows
from skmissing.mixture._em import (
    Posterior,
    SamplesInMemory,
    SamplesInPieces,
    Units,
    find_parts,
    fit_factors,
    start_factors,
)

# Default number of clusters. With fewer samples, it is their number.
USUAL_COMPONENTS = 10
# Candidates of "auto". The first number of factors is used to choose n_components.
AUTO_COMPONENTS = 1, 10, 40
AUTO_FACTORS = 32, 8, 64
# Fitted attributes that are arrays.
FITTED = (
    "weights_", "means_", "loadings_", "noise_variance_", "relevance_", "shrinkage_",
    "std_scale_",
)  # fmt: skip
# Iterations with one cluster before the samples are clustered by their factors.
FIRST_ITERATIONS = 10


@shared_docs
class PartialModalityFactorMixture(
    ModalityMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    SkmissingEstimator,
):
    """Mixture of Gaussians with shared factors, for samples with missing modalities.

    A sample is the sum of the mean of its cluster, factors shared by all modalities,
    and noise. The observed modalities determine the posterior of the cluster and the
    factors, which predict the missing modalities. Nothing is imputed in `fit`: each
    sample contributes its observed cells only.

    Read more in the :ref:`User Guide <mixture>`.

    Parameters
    ----------
    n_components : int, "auto" or None, default=None
        Number of clusters. With one cluster, the model is group factor analysis. None
        is 10, or the number of samples with an observed cell if there are fewer.
        "auto" chooses 1, 10 or 40 by the errors on hidden modalities, as in
        `calibrate`.
    n_factors : int or "auto", default=32
        Number of factors, at most the number of columns or samples. With `ard=True`, it
        is an upper limit: factors that the data do not support are turned off, for each
        modality separately. With 0, there are only clusters. "auto" chooses 8, 32 or 64
        by the errors on hidden modalities.
    %(modalities)s
    noise : {"modality", "feature"}, default="modality"
        Whether the columns of a modality share one noise variance.
    ard : bool, default=True
        Automatic relevance determination: means and loadings have normal priors and
        are integrated out (variational Bayes). The precisions of the priors, one per
        modality and factor, are learnt. If False, means and loadings are estimated by
        maximum likelihood, which overfits if there are few samples.
    max_iter : int, default=100
        Maximum number of iterations of a single run.
    tol : float, default=1e-3
        A run ends when an iteration raises the objective by less than `tol` per
        observed cell.
    init : {"k-means++", "random"}, default="k-means++"
        Method of initialisation. A few iterations with one cluster find factors. The
        samples are then clustered by their factors: by k-means, or by the nearest of
        some randomly drawn samples.
    n_init : int, default=1
        Number of runs. The run with the highest objective is kept.
    standardize : bool, default=True
        Whether to scale columns to zero mean and unit variance first. The tokens of a
        sequence share a mean and a variance.
    calibrate : bool, default=False
        Whether to learn the shrinkage of imputed values (`shrinkage_`) and the scale of
        their standard errors (`std_scale_`). The model is first fitted without some
        samples, and each modality of these samples is hidden in turn. The fit takes
        about twice as long, or longer if there are few samples. With "auto" for a
        number above, it takes up to three times as long again.
    random_state : int, RandomState instance or None, default=None
        Seed of the initialisation, and of :meth:`sample` if it is an int.
    verbose : int, default=0
        Print the objective of each iteration if positive.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Share of each cluster.
    means_ : ndarray of shape (n_components, n_features)
        Means of the clusters in the units of X.
    loadings_ : ndarray of shape (n_features, `n_factors_`)
        Change of a column per unit of a factor, in the units of X.
    noise_variance_ : ndarray of shape (n_features,)
        Variance of the noise in the squared units of X.
    relevance_ : ndarray of shape (n_modalities, `n_factors_`)
        Share of the variance of each modality that each factor accounts for.
    n_components_ : int
        Number of clusters.
    n_factors_ : int
        Number of factors, at most the number of columns or samples.
    shrinkage_ : ndarray of shape (n_modalities,)
        Factor by which the distance of imputed values from the mean is multiplied. It
        is 0 for a modality that is never observed together with another one. Otherwise
        it is 1, or learnt from hidden modalities with `calibrate`.
    std_scale_ : ndarray of shape (n_modalities,)
        Factor by which the standard errors of the model are multiplied. It is 1
        without `calibrate`.
    lower_bound_ : float
        Objective per sample at the final parameters, in standardised columns and up to
        a constant. With `ard=False`, it is the log-likelihood. Otherwise, it is a lower
        bound of the log evidence.
    lower_bounds_ : list of float
        The objective at each iteration.
    n_iter_ : int
        Number of iterations of the run that was kept.
    converged_ : bool
        Whether that run reached `tol`.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `n_components` is larger than the number of samples with an observed cell,
        or `modalities` does not fit the columns of X.

    See Also
    --------
    skmissing.impute.FactorImputer : Imputes with this model.
    skmissing.cluster.PartialModalityKMeans : Clusters without factors or variances.
    sklearn.mixture.GaussianMixture : Full covariances, for complete data.
    sklearn.decomposition.FactorAnalysis : One cluster, for complete data.

    Notes
    -----
    The model is

    .. math:: x = \\mu_j + W u + \\varepsilon, \\quad u \\sim N(0, I), \\quad
              \\varepsilon_m \\sim N(0, \\sigma_m^2 I)

    where cluster j has probability `weights_[j]`. The clusters share W and the noise.
    Imputation from the nearest centre is the limit without factors and with small
    noise. In the E-step, the covariance of u depends only on the pattern of observed
    modalities. It takes one small factorisation per pattern, and two matrix products
    for the samples. No array has the shape (n_features, n_features). In partially
    observed modalities, each column has its own moments, which need memory for
    `n_features * n_factors * (n_factors + n_components)` numbers.

    With `ard`, the parameters of a standardised column with noise :math:`\\sigma^2`
    have the priors :math:`w_f \\sim N(0, \\sigma^2 / \\alpha_{mf})` and
    :math:`\\mu_j \\sim N(0, \\sigma^2 / \\beta_m)`, as in variational principal
    components [1]_ and group factor analysis [2]_. The objective never decreases.
    :meth:`score_samples`, `bic` and `aic` use posterior means of means and loadings.

    References
    ----------
    .. [1] C. M. Bishop, "Variational principal components", ICANN 1999.
    .. [2] S. Virtanen, A. Klami, S. A. Khan and S. Kaski, "Bayesian group factor
       analysis", AISTATS 2012.

    Examples
    --------
    The second column is twice the first:

    >>> import numpy as np
    >>> from skmissing.mixture import PartialModalityFactorMixture
    >>> a = np.random.RandomState(0).standard_normal(200)
    >>> X = np.column_stack([a, 2 * a, -a])
    >>> X[:50, 0] = X[50:100, 1] = np.nan
    >>> mixture = PartialModalityFactorMixture(1, n_factors=1, random_state=0).fit(X)
    >>> mixture.impute([[1., np.nan, np.nan]]).round(1)
    array([[ 1.,  2., -1.]])
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "n_components": [
            None,
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "n_factors": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "noise": [StrOptions({"modality", "feature"})],
        "ard": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"k-means++", "random"})],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "calibrate": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=None,
        *,
        n_factors=32,
        modalities=None,
        noise="modality",
        ard=True,
        max_iter=100,
        tol=1e-3,
        init="k-means++",
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
        %(X, y)s
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample: the number of times that it counts. With weights of
            1/n, all samples together count as one sample, so the priors dominate.

        Returns
        -------
        %(self)s
        """
        table = self._validate(X, reset=True, sample_weight=sample_weight)
        self._fit_table(table, self._fit_task)
        table.warn_empty("left out of the fit")
        table.warn_never_observed(
            self._learnt_columns(),
            "their means are 0 and nothing is learnt about them",
            "nothing is learnt about them",
        )
        n_dead = np.count_nonzero(self._params.weights < np.finfo(np.float64).eps)
        if n_dead:
            self._warn(
                f"{n_dead} of {self.n_components_} clusters have weight 0, possibly "
                "due to duplicate points in X; lower n_components.",
                ConvergenceWarning,
            )
        return self

    _reads_sources = _reads_devices = True

    def _fit_table(self, table, task=NO_TASK):
        """Fit to a ModalityTable; called by imputers."""
        rng = check_random_state(self.random_state)
        self._check_sizes(table)
        scaler = fit_scaler(table, standardize=self.standardize)
        self._scaler = scaler.centered()
        # Sizes, calibration and initial parameters are chosen on a sample of a source.
        few = table.sample(N_SAMPLED, rng) if table.in_pieces else table
        weight = few.weight * few.has_any
        # Frequent patterns have their own groups.
        blocks = self._scaler.split(few, min_rows=max(64, len(few) // 64))
        linked = _linked(few, weight)
        k, r, errors = self._choose_sizes(blocks, weight, rng, task)
        self.shrinkage_, self.std_scale_ = linked.astype(float), np.ones(len(linked))
        if self.calibrate:
            self.shrinkage_ = errors.shrinkage() * linked
            self.std_scale_ = errors.std_scale(self.shrinkage_)
        total, best = table.sums(_total_weight), None
        task.keep_by(self, lambda fitted, run: fitted._keep(run, total))
        samples = None
        if table.on_device:
            from skmissing.mixture._em_device import SamplesOnDevice

            samples = SamplesOnDevice(table, self._scaler)
        elif table.in_pieces:
            samples = SamplesInPieces(table, self._scaler)
        for _ in range(self.n_init):
            most = self.max_iter + FIRST_ITERATIONS * (r > 0 and k > 1)
            run_task = task.part("run", most)
            run = self._run(blocks, weight, rng, k, r, run_task, samples)
            run_task.end()
            if best is None or run.bounds[-1] > best.bounds[-1]:
                best = run
        self._keep(best, total)
        for name in FITTED:
            setattr(self, name, table.as_given(getattr(self, name)))
        if not self.converged_:
            table.warn(
                f"EM did not converge in max_iter={self.max_iter} iterations; raise "
                "max_iter or tol.",
                ConvergenceWarning,
            )

    def _check_sizes(self, table):
        """Check that the numbers of clusters and factors are not too large."""
        is_number = isinstance(self.n_components, Integral)
        n_usable = table.check_enough(
            n_components=self.n_components if is_number else 1
        )
        most = min(table.X.shape[1], n_usable)
        if not self.ard and self.n_factors != "auto" and self.n_factors > most:
            raise ValueError(
                f"n_factors={self.n_factors} with ard=False must be at most {most}, "
                f"the smaller of {table.X.shape[1]} columns and {n_usable} samples."
            )

    def _choose_sizes(self, blocks, weight, rng, task):
        """Choose n_components and n_factors; return them and the errors if measured."""
        n_samples = np.count_nonzero(weight)
        most = min(blocks.layout.n_features, n_samples)
        components, factors = [self.n_components], [self.n_factors]
        if self.n_components is None:
            components = [min(USUAL_COMPONENTS, n_samples)]
        elif self.n_components == "auto":
            components = [k for k in AUTO_COMPONENTS if k == 1 or 5 * k <= n_samples]
        if self.n_factors == "auto":
            factors = [r for r in AUTO_FACTORS if r == AUTO_FACTORS[0] or r < most]
        factors = [int(min(r, most)) for r in factors]
        if not self.calibrate and len(components) == len(factors) == 1:
            task.begin(self.n_init)
            return components[0], factors[0], None
        task.begin(len(components) + len(factors) + self.n_init)
        folds = held_out_rows(blocks.presence, weight, rng)
        # Numbers are chosen on the first folds.
        few, tried = choice_folds(blocks.presence, folds), {}

        def loss(k, r):
            part = task.part(f"try {k} clusters, {r} factors")
            tried[k, r] = HiddenErrors.empty(len(blocks.layout))
            self._hide(tried[k, r], blocks, weight, folds[:few], rng, k, r)
            part.end()
            return tried[k, r].loss()

        losses = [loss(k, factors[0]) for k in components]
        k = components[int(np.argmin(losses))]
        losses = [min(losses), *(loss(k, r) for r in factors[1:])]
        r = factors[int(np.argmin(losses))]
        part = task.part("calibrate")
        self._hide(tried[k, r], blocks, weight, folds[few:], rng, k, r)
        part.end()
        return k, r, tried[k, r]

    def _hide(self, errors, blocks, weight, folds, rng, k, r):
        """Add the errors on hidden modalities of held-out samples."""
        for positions in folds:
            rest = weight.copy()
            rest[positions] = 0
            if np.count_nonzero(rest) >= k:
                run = self._run(blocks, rest, rng, k, r)
                errors.add(blocks, run.params, positions, weight)

    def _run(self, blocks, weight, rng, k, r, task=NO_TASK, samples=None):
        """One run of EM with k clusters and r factors: one cluster first, then all.

        `samples` are more samples, which the last step is fitted to.
        """
        options = {
            "ard": self.ard, "shared_noise": self.noise == "modality",
            "tol": self.tol, "verbose": self.verbose, "task": task,
        }  # fmt: skip
        if not r:
            # Clusters of k-means on the modalities that samples share.
            choose = plus_plus_rows if self.init == "k-means++" else random_rows
            centers = centers_at_rows(blocks, choose(blocks, k, weight, rng))
            means = lloyd(blocks, centers, weight, max_iter=20, tol=0).centers.values
        else:
            means = np.zeros((1, blocks.layout.n_features))
        start = start_factors(blocks, means, r, weight, rng)
        if r and k > 1:
            first = min(FIRST_ITERATIONS, self.max_iter)
            few = SamplesInMemory(blocks, weight)
            run = fit_factors(few, start, max_iter=first, **options)
            start = self._divide(run.params, blocks, weight, rng, k)
        if samples is None:
            samples = SamplesInMemory(blocks, weight)
        else:
            split = samples.table.n_partial > 0
            start = start.with_units(Units(self.modalities_.slices, split))
        return fit_factors(samples, start, max_iter=self.max_iter, **options)

    def _divide(self, params, blocks, weight, rng, k):
        """Parameters of k clusters: k-means of the factors divides the only cluster."""
        # Unlike distances, factors do not depend on which modalities a sample has.
        factors = np.zeros((len(blocks.presence), params.n_factors))
        for rows in Posterior(params).chunks(find_parts(blocks, params)):
            factors[rows.rows] = rows.factors()
        used = np.flatnonzero(weight > 0)
        kmeans = KMeans(
            k,
            init=self.init,
            n_init=1,
            max_iter=50 if self.init == "k-means++" else 1,
            random_state=rng.randint(np.iinfo(np.int32).max),
        )
        # Old releases of scikit-learn fail with dispatch, also for NumPy arrays.
        with warnings.catch_warnings(), config_context(array_api_dispatch=False):
            # With fewer distinct samples than clusters, the other clusters get weight 0
            # in EM, and `fit` warns about them.
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = kmeans.fit_predict(factors[used], sample_weight=weight[used])
        centers = kmeans.cluster_centers_
        sizes = np.bincount(labels, weight[used], minlength=k)
        between = sizes @ centers**2 / sizes.sum()
        n_units = len(params.units.sizes)
        return replace(
            params,
            weights=sizes / sizes.sum(),
            means=params.means + centers @ params.loadings.T,
            loadings=params.loadings * np.sqrt(np.maximum(1 - between, 0.05)),
            var_means=np.zeros((n_units, k)),
            cov_cross=np.zeros((n_units, k, params.n_factors)),
            cov_loadings=np.zeros_like(params.cov_loadings),
        )

    def _keep(self, run, total):
        """Set the attributes that a run results in, in the units of X."""
        self.lower_bounds_ = [bound / total for bound in run.bounds]
        self.lower_bound_ = self.lower_bounds_[-1]
        self.n_iter_, self.converged_ = run.n_iter, run.converged
        self._params = params = run.params
        self.n_components_, self.n_factors_ = params.n_components, params.n_factors
        layout = self.modalities_
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

    def _factor(self):
        """Factor of each column in layout order; 1 if it was never observed."""
        layout = self.modalities_
        scale = self._scaler.scale[layout.order]
        return 1 / (scale * np.sqrt(layout.widths)[layout.owner])

    def _learnt_columns(self):
        """Columns of which `fit` saw a cell, shape (n_features,)."""
        return self._scaler.column_weight > 0

    def _check_known(self, X, fate, on_device=None):
        """Validate samples; return the table with and without unlearnt cells."""
        check_is_fitted(self)
        table = self._validate(X, reset=False, on_device=on_device)
        known = table.learnt(self._learnt_columns())
        known.warn_empty(fate)
        return table, known

    def _posteriors(self, table, *, plug_in=False):
        """Yield the posterior of each chunk of a table, and the parameters used."""
        params = self._params_for(table, plug_in)
        blocks = self._scaler.split(table, min_rows=1 + len(table) // 50)
        for rows in Posterior(params).chunks(find_parts(blocks, params)):
            yield params, rows

    def predict_proba(self, X):
        """Predict the posterior probability of each cluster.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        proba : ndarray of shape (n_samples, n_components)
            `weights_` for samples in which nothing is observed.
        """
        _, known = self._check_known(X, "given the weights of the clusters")
        return self._proba(known)

    def _map_on_device(self, table, function, plug_in=False):
        """Join `function` of the posteriors of samples on a device."""
        from skmissing.mixture._em_device import map_posterior

        params = self._params_for(table, plug_in)
        return map_posterior(table, self._scaler, params, function)

    def _params_for(self, table, plug_in):
        """Parameters, with a unit per column if a modality is partially observed."""
        params = self._params.plug_in() if plug_in else self._params
        if not table.partial.any():
            return params
        split = np.ones(len(self.modalities_), dtype=bool)
        return params.with_units(Units(self.modalities_.slices, split))

    def _proba(self, table):
        if table.on_device:
            return self._map_on_device(table, lambda rows: rows.resp)
        proba = np.empty((len(table), self.n_components_))
        for _, rows in self._posteriors(table):
            proba[rows.rows] = rows.resp
        return proba

    def predict(self, X):
        """Predict the most probable cluster of each sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            -1, with a warning, for samples in which nothing is observed.
        """
        _, known = self._check_known(X, "labelled -1")
        proba = self._proba(known)
        if known.on_device:
            xp, has_any = known.xp, known.put(known.has_any)
            return xp.where(has_any, xp.argmax(proba, axis=1), -1)
        labels = proba.argmax(axis=1)
        labels[~known.has_any] = -1
        return labels

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit, and return the most probable cluster of each sample.

        Parameters
        ----------
        %(X, y, sample_weight)s

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            -1, with a warning, for samples in which nothing is observed.
        """
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    def transform(self, X):
        """Return the posterior mean of the factors.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        factors : ndarray of shape (n_samples, `n_factors_`)
            0 for samples in which nothing is observed. The means of the clusters are
            not included.
        """
        _, known = self._check_known(X, "given factors of 0")
        if known.on_device:
            return self._map_on_device(known, lambda rows: rows.factors())
        factors = np.empty((len(known), self.n_factors_), dtype=known.X.dtype)
        for _, rows in self._posteriors(known):
            factors[rows.rows] = rows.factors()
        return factors

    def score_samples(self, X):
        """Return the log-likelihood of the observed cells of each sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In the units of X; 0 for samples in which nothing is observed.
        """
        _, known = self._check_known(X, "given a log-likelihood of 0")
        order = self.modalities_.order
        log_factor = np.log(self._factor()) * self._learnt_columns()[order]
        if known.on_device:
            scores = self._map_on_device(
                known, lambda rows: rows.log_likelihood(), plug_in=True
            )
            seen = ~known.xp.isnan(known.X)
            return scores + known.like_X(seen) @ known.put(
                log_factor[np.argsort(order)]
            )
        scores = np.empty(len(known))
        for _, rows in self._posteriors(known, plug_in=True):
            seen = ~np.isnan(known.X[np.ix_(rows.rows, order)])
            scores[rows.rows] = rows.log_likelihood + seen @ log_factor
        return scores

    def score(self, X, y=None, sample_weight=None):
        """Return the mean log-likelihood of the observed cells per sample.

        Parameters
        ----------
        %(X, y, sample_weight)s

        Returns
        -------
        log_likelihood : float
            In the units of X.
        """
        scores = to_numpy(self.score_samples(X))
        weight = check_sample_weight(to_numpy(sample_weight), scores[:, None])
        return float(np.average(scores, weights=weight))

    def _n_parameters(self):
        k, n_features, r = self.n_components_, self.n_features_in_, self.n_factors_
        n_noise = len(self.modalities_) if self.noise == "modality" else n_features
        rotations = r * (r - 1) // 2
        return (k - 1) + (k + r) * n_features - rotations + n_noise

    def bic(self, X):
        """Return the Bayesian information criterion: the lower, the better.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        bic : float
            Every loading counts as a parameter, even if `ard` turned it off.
        """
        scores = to_numpy(self.score_samples(X))
        return float(-2 * scores.sum() + self._n_parameters() * np.log(len(scores)))

    def aic(self, X):
        """Return Akaike's information criterion: the lower, the better.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        aic : float
            Every loading counts as a parameter, even if `ard` turned it off.
        """
        scores = to_numpy(self.score_samples(X))
        return float(-2 * scores.sum() + 2 * self._n_parameters())

    def sample(self, n_samples=1):
        """Draw complete samples from the model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Samples in the order of their clusters.
        labels : ndarray of shape (n_samples,)
            Cluster of each sample.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {n_samples}.")
        rng = check_random_state(self.random_state)
        means, loadings = to_numpy(self.means_), to_numpy(self.loadings_)
        weights = self._params.weights / self._params.weights.sum()
        labels = np.repeat(np.arange(len(weights)), rng.multinomial(n_samples, weights))
        factors = rng.standard_normal((n_samples, self.n_factors_))
        X = means[labels] + factors @ loadings.T
        noise = rng.standard_normal(X.shape)
        return X + noise * np.sqrt(to_numpy(self.noise_variance_)), labels

    def impute(self, X):
        """Fill missing cells with their posterior means.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        X_imputed : ndarray of shape (n_samples, n_features)
            Observed cells are unchanged. Columns that were never observed in `fit` are
            0, or in a sequence the mean of the other tokens.
        """
        table, known = self._check_known(X, "imputed with the training mean")
        values, xp = self._values(known), table.xp if table.on_device else np
        return xp.where(xp.isnan(table.X), values, table.X)

    def imputation_std(self, X):
        """Return standard errors of imputed cells.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        std : ndarray of shape (n_samples, n_features)
            Standard errors of the difference between the imputed and the actual value,
            in the units of X. 0 for observed cells, and NaN for missing cells of
            columns that were never observed in `fit`.
        """
        table, known = self._check_known(
            X, "imputed with the training mean", on_device=False
        )
        return np.where(np.isnan(table.X), self._std(known), 0)

    def _values(self, table, rng=None):
        """Values of all cells, drawn from the posterior if there is a generator."""
        layout, factor = self.modalities_, self._factor()
        shrinkage, std_scale = to_numpy(self.shrinkage_), to_numpy(self.std_scale_)
        if table.on_device:
            trust = np.where(table.presence, 1.0, shrinkage)
            trust = table.put(trust * table.has_any[:, None])
            member = table.put(np.eye(len(layout))[:, layout.owner] / factor)
            values = self._map_on_device(table, lambda rows: rows.values())
            values = values * (trust @ member)
            order = table.put(np.argsort(layout.order))
            values = table.xp.take(values, order, axis=1)
            return values + table.put(self._scaler.mean)
        seen = self._scaler.seen[layout.order]
        values = np.empty(table.X.shape, dtype=table.X.dtype)
        for params, rows in self._posteriors(table):
            part, presence = rows.values(params), table.presence[rows.rows]
            trust = np.where(presence, 1.0, shrinkage)
            has_any = presence.any(axis=1)
            scaled = part * (trust * has_any[:, None])[:, layout.owner]
            if rng is not None:
                spread = rows.draw(params, rng) - part
                scaled += spread * (std_scale[layout.owner] * seen)
            in_columns = np.empty_like(part)
            in_columns[:, layout.order] = scaled / factor
            values[rows.rows] = in_columns + self._scaler.mean
        return values

    def _std(self, table):
        """Standard errors of all cells; NaN in columns that `fit` never saw."""
        layout = self.modalities_
        scale = to_numpy(self.std_scale_)[layout.owner] / self._factor()
        std = np.empty(table.X.shape, dtype=table.X.dtype)
        for params, rows in self._posteriors(table):
            part = np.empty((len(rows.rows), table.X.shape[1]))
            part[:, layout.order] = np.sqrt(rows.variances(params)) * scale
            std[rows.rows] = part
        std[:, ~self._learnt_columns()] = np.nan
        return std

    @property
    def _n_features_out(self):
        return self.n_factors_


def _total_weight(table):
    return float(table.weight @ table.has_any)


def _linked(table, weight):
    """Mask of modalities observed together with another one; warns of the others."""
    if len(table.layout) == 1:
        return np.ones(1, dtype=bool)
    rows = table.presence[weight > 0].astype(np.float64)
    together = rows.T @ rows
    seen = np.diagonal(together) > 0
    np.fill_diagonal(together, 0)
    linked = together.any(axis=1)
    alone = [table.layout.names[m] for m in np.flatnonzero(seen & ~linked)]
    if alone:
        table.warn(
            f"{count(len(alone), 'modality is', 'modalities are')} never "
            f"observed together with another one: {name_list(alone)}; each is "
            "imputed with the training mean where it is missing."
        )
    return linked
