"""Late fusion of regressors: one a modality, joined as far as a row has them."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import StrOptions, _fit_context
from skmissing.ensemble._base import BlockEnsemble
from skmissing.ensemble._combine import joint_covariance, regression_weights
from skmissing.ensemble._experts import predict_values
from skmissing.ensemble._late_fusion import LateFusion


class LateFusionRegressor(RegressorMixin, LateFusion):
    """Regressor that joins one model a modality, as far as the row has them.

    Each modality gets a clone of `estimator`, fitted on the rows that have it; a row
    is predicted by the models of the modalities it has. See
    :class:`LateFusionClassifier` for the idea and its limits.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Regressor. None stands for standardised Bayesian ridge regression, which tunes
        its own penalty.
    modalities : None, list of int or dict, default=None
        Which columns belong together. None groups columns by the prefix before `__`
        if all names have one, and otherwise makes each column a modality.
    combine : {"stacked", "variance", "mean"}, default="stacked"
        How predictions are joined. "variance" averages them with weights inverse to
        the mean squared error of each model on rows it did not see. "stacked" takes,
        for each combination of modalities, the linear combination that is best for
        the joint covariance of such predictions and the target; it knows that two
        models may say the same twice. "mean" averages plainly, and needs no folds.
    cv : int, splitter or iterable, default=5
        Folds for "stacked" and "variance". An int deals rows out by a checksum of
        what stands in them: the order of rows does not matter, and equal rows share a
        fold. A row that `cv` tests more than once is taken as last seen.
    n_jobs : int or None, default=None
        Number of models fitted at once, as joblib understands it.

    Attributes
    ----------
    estimators_ : dict
        Fitted model by name of modality; one never observed has none.
    target_mean_ : float
        Weighted mean of y; rows without any modality get it.
    error_variances_ : ndarray of shape (n_modalities,)
        Mean squared error of each model on rows it did not see. NaN if never measured,
        and if `combine="mean"`.
    covariance_ : ndarray of shape (n_modalities + 1, n_modalities + 1)
        Joint covariance of predictions and, last, of the target. Only if
        `combine="stacked"`.
    modalities_ : mapping
        Name of each modality to its columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X had names that are all strings.

    See Also
    --------
    LateFusionClassifier : The same for classes.
    PatternRegressor : One model a combination of modalities.

    Notes
    -----
    "stacked": let :math:`f_m` be the prediction of modality m less the mean of y over
    the rows that have m. The covariance :math:`\\Sigma` of all :math:`f_m` and y is
    estimated by EM [1]_ from predictions for rows that the models did not see, with a
    prior worth ten rows of uncorrelated predictions. A row with modalities S gets

    .. math::

        \\bar y + \\Sigma_{yS} \\Sigma_{SS}^{-1} f_S .

    That treats errors as missing at random. Cells missing within a modality that a
    row has are filled with the mean of the training column, unless the tags of
    `estimator` say that it accepts NaN. Several targets at once:
    ``MultiOutputRegressor(LateFusionRegressor())``.

    References
    ----------
    .. [1] Little, R. J. A. and Rubin, D. B. "Statistical Analysis with Missing Data",
       section 11.2. Wiley, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import LateFusionRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[::3, :4] = np.nan
    >>> X[1::3, 4:] = np.nan
    >>> model = LateFusionRegressor(modalities={"body": 4, "blood": 6})
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "combine": [StrOptions({"stacked", "variance", "mean"})],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit one model a modality, and how to join them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing. Rows without any modality are left out, and
            told of in a warning.
        y : array-like of shape (n_samples,)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How many rows each row counts as; those of weight 0 are left out. As in
            scikit-learn, the scale matters where rows are weighed against something
            else, such as a penalty or a prior. Weights with a mean below 1 are scaled
            to a mean of 1, also for `estimator`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        template = self._template()
        train = self._read(X, y, sample_weight, template)
        self._offsets = np.zeros(len(self.modalities_))
        for m in np.flatnonzero(self._seen):
            rows = train.presence[:, m]
            self._offsets[m] = np.average(train.y[rows], weights=train.weight[rows])
        self.target_mean_ = float(np.average(train.y, weights=train.weight))
        self._fit_experts(template, train)
        self.error_variances_ = np.full(len(self.modalities_), np.nan)
        if self.combine != "mean":
            self._fit_weights(template, train)
        return self

    def _fit_weights(self, template, train):
        """Learn from predictions for unseen rows how far to trust each modality."""
        said = self._cross_predict(
            template,
            train,
            np.zeros(len(train.y), dtype=np.intp),
            np.full(train.presence.shape, np.nan),
            lambda m, rows: predict_values,
        )
        for m in np.flatnonzero(~np.isnan(said).all(axis=0)):
            rows = ~np.isnan(said[:, m])
            errors = (said[rows, m] - train.y[rows]) ** 2
            self.error_variances_[m] = np.average(errors, weights=train.weight[rows])
        if self.combine == "stacked":
            centred = np.column_stack(
                [said - self._offsets, train.y - self.target_mean_]
            )
            self.covariance_ = joint_covariance(centred, train.weight)

    def predict(self, X):
        """Predict a number a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Rows without any get `target_mean_`, and
            one warning says how many.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions.
        """
        check_is_fitted(self)
        X, presence = self._read_new(X, "the mean target of training")
        said = np.zeros(presence.shape)
        for m, rows, model, block in self._ask(X, presence):
            said[rows, m] = predict_values(model, block)
        # What was fitted counts, not what `combine` has been set to since.
        if getattr(self, "covariance_", None) is not None:
            return self._stacked(said, presence)
        trust = presence * self._trust()
        total = trust.sum(axis=1)
        joined = (said * trust).sum(axis=1) / np.where(total > 0, total, 1)
        return np.where(presence.any(axis=1), joined, self.target_mean_)

    def _trust(self):
        """Weight of each modality's prediction in an average."""
        # One that was never measured counts like the worst, so that all count alike
        # if none was; errors of 0 stay finite.
        worst = np.max(self.error_variances_, initial=0, where=self._measured())
        if worst == 0:
            return np.ones(len(self.modalities_))
        relative = np.where(self._measured(), self.error_variances_ / worst, 1)
        return 1 / np.maximum(relative, np.finfo(np.float64).eps)

    def _measured(self):
        return ~np.isnan(self.error_variances_)

    def _stacked(self, said, presence):
        """Best linear combination for each pattern of presence."""
        out = np.full(len(said), self.target_mean_)
        target = np.array([len(self.modalities_)])
        patterns, inverse = find_patterns(presence)
        for p, pattern in enumerate(patterns):
            if not pattern.any():
                continue
            rows, seen = inverse == p, np.flatnonzero(pattern)
            weights = regression_weights(self.covariance_, seen, target)[:, 0]
            centred = said[np.ix_(rows, seen)] - self._offsets[seen]
            out[rows] += (centred * weights).sum(axis=1)
        return out
