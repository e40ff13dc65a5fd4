"""Late fusion of survival models: risks per modality, whose weighted sum is a risk."""

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import HasMethods, Interval, import_optional
from skmissing._docs import shared_docs
from skmissing._table import name_list
from skmissing.ensemble._base import (
    BlockEnsemble,
    accepts_nan,
    check_finite,
    take_block,
)
from skmissing.ensemble._stacking import (
    joint_covariance,
    regression_weights,
    scatters_of,
)

# Penalty of the default Cox model.
RIDGE = 50.0


@dataclass
class RiskModel:
    """A survival model, and the mean and deviation of the risks of its samples."""

    model: object
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def fit(cls, template, block, y):
        """Fit a clone."""
        fitted = cls(clone(template).fit(block, y))
        risks = fitted.predict(block)
        return cls(fitted.model, risks.mean(), risks.std() or 1.0)

    def predict(self, block):
        """Standardised risks, (n_samples,)."""
        risks = np.asarray(self.model.predict(block))
        if risks.size != len(block) or risks.dtype.kind not in "biuf":
            raise ValueError(
                f"estimator must predict one number per sample; {self.model!r} "
                f"predicts an array of dtype {risks.dtype} and shape {risks.shape}."
            )
        # Some models of scikit-survival predict times.
        if not getattr(self.model, "_predict_risk_score", True):
            risks = -risks
        risks = check_finite(risks.reshape(len(block)).astype(float), self.model)
        return (risks - self.mean) / self.deviation


@shared_docs
class LateFusionSurvival(BlockEnsemble):
    """Late fusion of survival models per modality, with censored times.

    Each modality gets a survival model of scikit-survival, which is fitted to the
    samples in which it is observed. The risk of a sample is a weighted sum of the
    standardised risks of its modalities. The risk of a missing modality is the expected
    one, given those of the observed modalities. The weights maximise the partial
    likelihood of held-out risks. Any pattern of missing modalities is possible, in
    `fit` and in `predict`.

    It needs the extra `survival`. Read more in the :ref:`User Guide <survival>`.

    Parameters
    ----------
    estimator : estimator, dict or None, default=None
        Survival model of scikit-survival, or a pipeline that ends with one. A dict
        gives one per modality. None is a Cox model on standardised columns with a ridge
        penalty, ``CoxPHSurvivalAnalysis(alpha=50)``. It is slow for more than a few
        hundred columns; :class:`sksurv.linear_model.CoxnetSurvivalAnalysis` is not.
    %(modalities)s
    alpha : float, default=1
        Ridge penalty of the weights.
    cv : int, splitter or iterable, default=5
        Folds for the held-out risks. An int is the number of folds of
        :class:`~sklearn.model_selection.StratifiedKFold`, without shuffling, in which
        equal shares of the samples are censored. If `groups` are passed to `fit`, an
        int is the number of folds of
        :class:`~sklearn.model_selection.StratifiedGroupKFold`. If `cv` tests a sample
        more than once, the last risk is used.
    %(n_jobs)s

    Attributes
    ----------
    estimators_ : list
        Fitted models, one per modality with an event in training, in the order of
        `modalities_`.
    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The same by name of modality.
    modality_weights_ : ndarray of shape (n_modalities,)
        Change of the log-hazard per standard deviation of the risk of each modality, at
        least 0.
    covariance_ : ndarray of shape (n_modalities, n_modalities)
        Covariances of the held-out standardised risks.
    baseline_ : :class:`sksurv.linear_model.coxph.BreslowEstimator`
        Hazard of samples with a risk of 0, estimated from held-out risks.
    unique_times_ : ndarray of shape (n_unique_times,)
        Times of training samples, at which the functions of `predict_survival_function`
        and `predict_cumulative_hazard_function` change.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    LateFusionClassifier : Late fusion for classification.
    skmissing.inspection.score_by_pattern : Scores by pattern of observed modalities.

    Notes
    -----
    Let :math:`r_m` be the risk that the model of modality m predicts, and
    :math:`\\mu_m` and :math:`\\sigma_m` its mean and standard deviation over the
    samples to which the model is fitted. The hazard of a sample is

    .. math::

        h(t) = h_0(t) \\exp(\\eta), \\qquad \\eta = \\sum_m w_m z_m, \\qquad
        z_m = \\frac{r_m - \\mu_m}{\\sigma_m}.

    If m is missing, :math:`z_m` is the best linear prediction from the observed ones,
    by the covariance of held-out z. It is 0, the average, for uncorrelated risks. In a
    fold, the mean and the standard deviation are those of the samples outside the fold.
    With these held-out :math:`\\eta_i`, the weights :math:`w \\geq 0` minimise

    .. math::

        - \\sum_{i: \\text{event}} \\left( \\eta_i - \\log \\sum_{j: t_j \\geq t_i}
        \\exp \\eta_j \\right) + \\frac{\\alpha}{2} \\sum_m w_m^2,

    Cox's partial likelihood [1]_ with Breslow's treatment of ties. Weights of at least
    0 are recommended for stacking [2]_: held-out risks of a modality without
    information are often ordered the wrong way round. The baseline is Breslow's
    estimator from the same :math:`\\eta_i`. This assumes that hazards are proportional,
    and that censoring is independent of the time of the event given X.

    Missing cells of a partially observed modality are filled with the mean of the
    training column, unless the tags of the model state that it accepts NaN.

    References
    ----------
    .. [1] Cox, D. R. "Regression models and life-tables." Journal of the Royal
       Statistical Society B 34(2), 1972.
    .. [2] Breiman, L. "Stacked regressions." Machine Learning 24, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import LateFusionSurvival
    >>> from sksurv.util import Surv
    >>> rng = np.random.RandomState(0)
    >>> X = rng.standard_normal((300, 4))
    >>> time = rng.exponential(np.exp(-X[:, 0] - X[:, 2]))
    >>> y = Surv.from_arrays(event=time < 2, time=np.minimum(time, 2))
    >>> X[::2, 2:] = np.nan
    >>> model = LateFusionSurvival(modalities={"lab": 2, "scan": 2}).fit(X, y)
    >>> model.predict(X[:2]).round(1)
    array([1.6, 2.3])
    >>> survival = model.predict_survival_function(X[:2])
    >>> [f"{function(0.1):.2f}" for function in survival]
    ['0.59', '0.36']
    >>> print(f"{model.score(X, y):.2f}")
    0.74
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), dict, None],
        "alpha": [Interval(Real, 0, None, closed="neither")],
    }
    # Columns are given to the models as they are.
    _own = False
    _stratified = True

    def __init__(
        self, estimator=None, *, modalities=None, alpha=1.0, cv=5, n_jobs=None
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.alpha = alpha
        self.cv = cv
        self.n_jobs = n_jobs

    def fit(self, X, y, groups=None):
        """Fit a model per modality, and their weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. Samples in which nothing is observed are
            left out, with a warning.
        y : structured array of shape (n_samples,)
            Event indicator, and time of the event or of censoring, such as made by
            :class:`sksurv.util.Surv`.
        groups : array-like of shape (n_samples,) or None, default=None
            Groups of the samples, such as persons. An integer `cv` then keeps each
            group in one fold; a splitter gets the groups in `split`.

        Returns
        -------
        %(self)s

        Raises
        ------
        ImportError
            If scikit-survival is not installed.
        ValueError
            If y is not a structured array of events and times, if all samples are
            censored, or if `estimator` is a dict without an entry per modality.
        """
        return super().fit(X, y, groups=groups)

    def _read_training(self, X, y, sample_weight, groups):
        event, time = read_events(y)
        data = super()._read_training(X, time, sample_weight, groups)
        event = event[data.used]
        if not event.any():
            raise ValueError(
                "y must have an event in a sample with an observed modality; all of "
                f"these {len(event)} samples are censored."
            )
        return replace(
            data, y=y[data.used], codes=event.astype(np.intp),
            given=(data.given[0], y, groups),
        )  # fmt: skip

    def _without_unit(self, y, weight):
        return y

    def _template(self, dtype):
        return None, np.float64

    def _routed(self):
        forms = self.estimator
        if forms is None:
            return {}
        return forms if isinstance(forms, dict) else {"estimator": forms}

    def _read_templates(self):
        """Model of each modality, to be cloned."""
        names, forms = self.modalities_.names, self.estimator
        if forms is None:
            linear = import_optional("sksurv.linear_model", "survival")
            cox = linear.CoxPHSurvivalAnalysis(alpha=RIDGE)
            forms = make_pipeline(StandardScaler(), cox)
        if not isinstance(forms, dict):
            return [forms] * len(names)
        good = all(hasattr(form, "fit") for form in forms.values())
        if set(forms) != set(names) or not good:
            raise ValueError(
                "estimator must have one survival model per modality, "
                f"{name_list(names)}; got {forms}."
            )
        return [forms[name] for name in names]

    def _fit(self, data):
        table, event = data.table, data.codes > 0
        templates = self._read_templates()
        self._fills = [not accepts_nan(template) for template in templates]
        self._ignore_censored(table, event)
        every = np.ones(len(table), dtype=bool)
        tasks = []
        for m in np.flatnonzero(self._seen):
            had = table.presence[:, m]
            for k, split in enumerate([(every, ~every), *self._splits(data)]):
                rows = [np.flatnonzero(part & had) for part in split]
                if event[rows[0]].any() and (k == 0 or len(rows[1])):
                    tasks.append((m, templates[m], *rows))
        names = [self.modalities_.names[m] for m, *_ in tasks]
        task = self._fit_task.begin(len(tasks))
        fitted = Parallel(n_jobs=self.n_jobs, return_as=task.return_as)(
            delayed(self._fit_risks)(data, *args) for args in tasks
        )
        self._models, Z = {}, np.full(table.presence.shape, np.nan)
        for (m, *_, held_out), one in zip(tasks, task.collect(names, fitted)):
            if m in self._models:
                Z[held_out, m] = one
            else:
                self._models[m] = one
        self.named_estimators_ = Bunch(
            **{self.modalities_.names[m]: one.model for m, one in self._models.items()}
        )
        self.estimators_ = list(self.named_estimators_.values())
        self._stack(data, Z, event)

    def _ignore_censored(self, table, event):
        """Ignore modalities without an event, with a warning."""
        known = table.presence[event].any(axis=0)
        names = [self.modalities_.names[m] for m in np.flatnonzero(self._seen & ~known)]
        if names:
            table.warn(
                f"all samples with {name_list(names)} are censored; modalities "
                "without an event are ignored."
            )
        self._seen = self._seen & known

    def _fit_risks(self, data, m, template, rows, held_out):
        """Fit the model of a modality; return it, or the risks of held-out samples."""
        block = self._block(data.table, rows, m)
        try:
            model = RiskModel.fit(template, block, data.y[rows])
        except Exception as error:
            error.add_note(
                f"In the fit of {template!r} to modality {self.modalities_.names[m]!r}."
            )
            raise
        if not len(held_out):
            return model
        return model.predict(self._block(data.table, held_out, m))

    def _block(self, table, rows, m):
        means = self._means if self._fills[m] else None
        block = take_block(table.X, rows, self.modalities_.columns[m], means)
        return block.astype(np.float64, copy=False)

    def _stack(self, data, Z, event):
        """Fit the weights and the baseline to held-out risks."""
        held = ~np.isnan(Z).all(axis=1)
        if not event[held].any():
            raise ValueError(
                "cv must hold out a sample with an event; all of the "
                f"{np.count_nonzero(held)} samples with a held-out risk are censored."
            )
        if not held.all():
            data.table.warn(
                f"{np.count_nonzero(~held)} of {len(held)} samples have no held-out "
                "risk; the weights of the modalities are fitted without them."
            )
        Z, event = Z[held], event[held]
        self.covariance_ = joint_covariance(scatters_of(Z, np.ones(len(Z))))
        Z = expected_risks(Z, self.covariance_)
        time = data.y[data.y.dtype.names[1]][held]
        self.modality_weights_ = fit_weights(Z, event, time, self.alpha)
        coxph = import_optional("sksurv.linear_model.coxph", "survival")
        self.baseline_ = coxph.BreslowEstimator()
        self.baseline_.fit(Z @ self.modality_weights_, event, time)
        self.unique_times_ = self.baseline_.unique_times_

    def predict(self, X):
        """Predict the risk, which is higher if the event is expected earlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Samples in which nothing is observed have
            a risk of 0, the average, with a warning.

        Returns
        -------
        ndarray of shape (n_samples,)
            Logarithm of the hazard relative to the baseline.
        """
        check_is_fitted(self)
        table = self._read_new(X, "the average risk of training, 0")
        Z = np.full(table.presence.shape, np.nan)
        for m, model in self._models.items():
            rows = np.flatnonzero(table.presence[:, m])
            if len(rows):
                Z[rows, m] = model.predict(self._block(table, rows, m))
        return expected_risks(Z, self.covariance_) @ self.modality_weights_

    def predict_survival_function(self, X, return_array=False):
        """Predict the probability that no event has happened, as a function of time.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities.
        return_array : bool, default=False
            Whether to return the values at `unique_times_` instead of functions.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_unique_times)
            A :class:`sksurv.functions.StepFunction` per sample, or its values.
        """
        risks = self.predict(X)
        functions = self.baseline_.get_survival_function(risks)
        return self._functions(functions, return_array)

    def predict_cumulative_hazard_function(self, X, return_array=False):
        """Predict the cumulative hazard, as a function of time.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities.
        return_array : bool, default=False
            Whether to return the values at `unique_times_` instead of functions.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_unique_times)
            A :class:`sksurv.functions.StepFunction` per sample, or its values.
        """
        risks = self.predict(X)
        functions = self.baseline_.get_cumulative_hazard_function(risks)
        return self._functions(functions, return_array)

    def _functions(self, functions, return_array):
        if not return_array:
            return functions
        return np.array([function(self.unique_times_) for function in functions])

    def score(self, X, y):
        """Return the concordance index of the predicted risks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities.
        y : structured array of shape (n_samples,)
            Event indicators and times.

        Returns
        -------
        float
            Share of the comparable pairs of samples that are in the right order.
        """
        metrics = import_optional("sksurv.metrics", "survival")
        risks, (event, time) = self.predict(X), read_events(y)
        if len(event) != len(risks):
            raise ValueError(
                f"y must have as many samples as X ({len(risks)}); got {len(event)}."
            )
        if len(event) < 2 or not event.any():
            raise ValueError(
                "y must have at least two samples and an event; got "
                f"{len(event)} samples and {event.sum()} events."
            )
        return metrics.concordance_index_censored(event, time, risks)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def expected_risks(Z, covariance):
    """Risks in which missing ones are those expected from the others of the sample."""
    # Z (n, m) with NaN, covariance (m, m) -> (n, m)
    out = np.nan_to_num(Z)
    patterns, inverse = find_patterns(~np.isnan(Z))
    for p, seen in enumerate(patterns):
        if seen.any() and not seen.all():
            rows, given, wanted = map(np.flatnonzero, (inverse == p, seen, ~seen))
            slope = regression_weights(covariance, given, wanted)
            out[np.ix_(rows, wanted)] = Z[np.ix_(rows, given)] @ slope
    return out


def read_events(y):
    """Events and times of y, (n_samples,) each, or an error that names y."""
    check_y_survival = import_optional("sksurv.util", "survival").check_y_survival
    try:
        event, time = check_y_survival(y, allow_all_censored=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "y must be a structured array of boolean events and finite times of at "
            f"least 0, as made by sksurv.util.Surv: {str(error).rstrip('.')}."
        ) from error
    if np.ndim(y) != 1:
        raise ValueError(
            f"y must have the shape (n_samples,); got an array of shape {np.shape(y)}."
        )
    return event, time


def fit_weights(Z, event, time, alpha):
    """Weights of the penalised partial likelihood, none below 0, (n_columns,)."""
    # Z (n, columns), event (n,) bool, time (n,)
    order = np.argsort(-time, kind="stable")
    Z, event, time = Z[order], event[order], time[order]
    # The samples at risk at the time of an event are the first ones, up to this one.
    last = np.searchsorted(-time, -time[event], side="right") - 1
    tiny = np.finfo(np.float64).tiny

    def loss(w):
        eta = Z @ w
        top = eta.max()
        hazard = np.exp(eta - top)
        total = np.maximum(np.cumsum(hazard)[last], tiny)
        mean = np.cumsum(hazard[:, None] * Z, axis=0)[last] / total[:, None]
        value = (np.log(total) + top - eta[event]).sum() + alpha / 2 * w @ w
        slope = (mean - Z[event]).sum(axis=0) + alpha * w
        return value / len(last), slope / len(last)

    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-9}
    best = minimize(
        loss, np.zeros(Z.shape[1]), jac=True, method="L-BFGS-B", options=options,
        bounds=[(0, None)] * Z.shape[1],
    )  # fmt: skip
    return best.x
