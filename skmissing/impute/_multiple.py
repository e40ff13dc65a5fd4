"""Multiple imputation: one model a completion of the table, predictions pooled."""

import copy
from numbers import Integral

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skmissing._base import (
    ModalityMixin,
    SkmissingEstimator,
    check_has_columns,
    fill_masked,
)
from skmissing._compat import HasMethods, Interval, _fit_context
from skmissing.impute._factor import FactorImputer


class BaseMultipleImputation(MetaEstimatorMixin, SkmissingEstimator):
    """Base class; not for direct use. A subclass gives `_default` and `_say`."""

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "imputer": [HasMethods(["fit", "transform"]), None],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        imputer=None,
        *,
        modalities=None,
        n_imputations=5,
        random_state=None,
    ):
        self.estimator = estimator
        self.imputer = imputer
        self.modalities = modalities
        self.n_imputations = n_imputations
        self.random_state = random_state

    def _fit(self, X, y):
        rng = check_random_state(self.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_imputations)
        self.imputers_ = self._fit_imputers(X, seeds)
        if hasattr(self.imputers_[0], "modalities_"):
            self.modalities_ = self.imputers_[0].modalities_
        template = self._default() if self.estimator is None else self.estimator
        self.estimators_ = [
            clone(template).fit(imputer.transform(X), y) for imputer in self.imputers_
        ]
        return self

    def _fit_imputers(self, X, seeds):
        """Imputers that draw, each with a seed of its own."""
        imputer = FactorImputer()
        imputer = imputer if self.imputer is None else clone(self.imputer)
        known = imputer.get_params()
        if "sample_posterior" not in known or "random_state" not in known:
            raise ValueError(
                "imputer must have the parameters sample_posterior and random_state, "
                f"so that it can draw; got {type(imputer).__name__}."
            )
        imputer.set_params(sample_posterior=True, random_state=int(seeds[0]))
        if self.modalities is not None:
            imputer.set_params(modalities=self.modalities)
        if isinstance(imputer, FactorImputer):
            # Draws depend on the seed at the time of transform: one fit is enough.
            imputers = [imputer.fit(X)] + [copy.copy(imputer) for _ in seeds[1:]]
            return [i.set_params(random_state=int(s)) for i, s in zip(imputers, seeds)]
        return [
            clone(imputer).set_params(random_state=int(seed)).fit(X) for seed in seeds
        ]

    def _validated(self, X, y):
        """Check X and y; X comes back as a frame if it was one, to keep its names."""
        check_has_columns(X)
        filled = fill_masked(X)
        checked, y = validate_data(
            self, filled, y, dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )  # fmt: skip
        return (X if hasattr(self, "feature_names_in_") else checked), y

    def _each(self, X):
        """What each model says of a completion of its own, stacked."""
        check_is_fitted(self)
        checked = validate_data(
            self, fill_masked(X), reset=False, dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )  # fmt: skip
        X = X if hasattr(X, "columns") else checked
        return np.stack([
            self._say(model, imputer.transform(X))
            for model, imputer in zip(self.estimators_, self.imputers_)
        ])  # fmt: skip

    def imputation_spread(self, X):
        """Return how far predictions differ between imputations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        spread : ndarray
            Standard deviation between the imputations of what is pooled, in its
            shape: near 0 where a row has all that matters.
        """
        return self._each(X).std(axis=0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = True
        return tags


class MultipleImputationClassifier(ClassifierMixin, BaseMultipleImputation):
    """Classifier that pools over several draws of what is missing.

    The table is completed several times with draws from the posterior, and a clone of
    the classifier is fitted to each. A row to classify is completed as often, and its
    probabilities are averaged: a guess that the draws disagree on moves them little.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Has `predict_proba`. None is logistic regression on standardised columns.

    imputer : imputer or None, default=None
        Has the parameters `sample_posterior`, which is set, and `random_state`. None
        is `FactorImputer()`.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality; handed to the imputer unless it is None.

    n_imputations : int, default=5
        Number of completions.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    imputers_ : list
        Fitted imputers, one a completion.

    estimators_ : list
        Fitted classifiers, one a completion.

    classes_ : ndarray of shape (n_classes,)
        Class labels.

    modalities_ : ModalityLayout
        That of the imputer; only if it has one.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, only if they were strings.

    See Also
    --------
    MultipleImputationRegressor : The same for numbers.
    ClusterGuidedImputer : Draws with `sample_posterior=True`.

    Notes
    -----
    Pooling is by the mean, as in [1]_.

    References
    ----------
    .. [1] D. B. Rubin, "Multiple Imputation for Nonresponse in Surveys", Wiley, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmissing.impute import FactorImputer, MultipleImputationClassifier
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> X[::2, :32] = np.nan  # every other row lacks the upper half
    >>> imputer = FactorImputer(3, modalities=[32, 32], n_factors=8, random_state=0)
    >>> model = MultipleImputationClassifier(imputer=imputer, random_state=0)
    >>> model.fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseMultipleImputation._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
    }

    def _default(self):
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    def _say(self, model, X):
        return model.predict_proba(X)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Complete the table several times, and fit a classifier to each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        X, y = self._validated(X, y)
        check_classification_targets(y)
        self._fit(X, y)
        self.classes_ = self.estimators_[0].classes_
        return self

    def predict_proba(self, X):
        """Mean of the probabilities over the completions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._each(X).mean(axis=0)

    def predict(self, X):
        """Class of the highest mean probability.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Class labels.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]


class MultipleImputationRegressor(RegressorMixin, BaseMultipleImputation):
    """Regressor that pools over several draws of what is missing.

    The table is completed several times with draws from the posterior, and a clone of
    the regressor is fitted to each. A row to predict is completed as often, and the
    predictions are averaged.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    estimator : regressor or None, default=None
        None is ridge regression on standardised columns.

    imputer : imputer or None, default=None
        Has the parameters `sample_posterior`, which is set, and `random_state`. None
        is `FactorImputer()`.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality; handed to the imputer unless it is None.

    n_imputations : int, default=5
        Number of completions.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    imputers_ : list
        Fitted imputers, one a completion.

    estimators_ : list
        Fitted regressors, one a completion.

    modalities_ : ModalityLayout
        That of the imputer; only if it has one.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, only if they were strings.

    See Also
    --------
    MultipleImputationClassifier : The same for classes.
    ClusterGuidedImputer : Draws with `sample_posterior=True`.

    Notes
    -----
    Pooling is by the mean, as in [1]_.

    References
    ----------
    .. [1] D. B. Rubin, "Multiple Imputation for Nonresponse in Surveys", Wiley, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import FactorImputer, MultipleImputationRegressor
    >>> a = np.random.RandomState(0).standard_normal(200)
    >>> X, y = np.column_stack([a, 2 * a, -a]), 3 * a
    >>> X[:50, 0] = X[50:100, 1] = np.nan
    >>> imputer = FactorImputer(1, n_factors=1)
    >>> model = MultipleImputationRegressor(imputer=imputer, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseMultipleImputation._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
    }

    def _default(self):
        return make_pipeline(StandardScaler(), Ridge())

    def _say(self, model, X):
        return model.predict(X)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Complete the table several times, and fit a regressor to each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.
        y : array-like of shape (n_samples,)
            Target values.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        X, y = self._validated(X, y)
        return self._fit(X, y)

    def predict(self, X):
        """Mean of the predictions over the completions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted values.
        """
        return self._each(X).mean(axis=0)
