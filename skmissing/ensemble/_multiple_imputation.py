"""Multiple imputation: one model per completion of X, whose predictions are pooled."""

import copy
import warnings
from functools import partial
from numbers import Integral

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
    is_regressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context, in_pieces
from skmissing._compat import HasMethods, Interval
from skmissing._docs import shared_docs
from skmissing._sources import Piece
from skmissing._table import (
    NUMBERS,
    ModalityWarning,
    check_columns,
    check_table,
    check_target,
    fill_masked,
    validate_numbers,
    validate_piece,
)
from skmissing.impute import FactorImputer


def quietly(transform, X):
    """Complete X without a ModalityWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalityWarning)
        return transform(X)


@shared_docs
class BaseMultipleImputation(MetaEstimatorMixin, SkmissingEstimator):
    """Base class. Subclasses define `_default_estimator` and `_predict` of one model.

    Parameters
    ----------
    imputer : imputer or None, default=None
        Imputer with the parameters `sample_posterior`, which is set to True, and
        `random_state`. None is `FactorImputer()`.
    modalities : None, list of int, or dict, default=None
        Which columns form a modality. Passed to the imputer unless it is None.
    n_imputations : int, default=5
        Number of completions.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    imputers_ : list
        Fitted imputers, one per completion.
    modalities_ : ModalityLayout
        Modalities of the imputer. Only if it has this attribute.
    """

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

    _has_parts = True
    _most_columns, _consequence = ModalityMixin._most_columns, ""
    _warn_single_columns = ModalityMixin._warn_single_columns

    # fit may call nested validation of the inner estimators.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Complete X several times, and fit a model to each completion.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,)
            Class labels, or target values.

        Returns
        -------
        %(self)s

        Raises
        ------
        ValueError
            If the imputer has no parameters `sample_posterior` and `random_state`.
        """
        name = type(self).__name__
        check_target(y, numeric=is_regressor(self), one_column=name)
        X, y = self._validated(X, y=y)
        rng = check_random_state(self.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_imputations)
        self._fit_task.begin(1 + self.n_imputations)
        part = self._fit_task.part("imputers")
        self.imputers_ = self._fit_imputers(X, seeds)
        part.end()
        if hasattr(self.imputers_[0], "modalities_"):
            self.modalities_ = self.imputers_[0].modalities_
            if self.modalities is None:
                self._warn_single_columns(getattr(self, "feature_names_in_", None))
        template = self.estimator
        if template is None:
            template = make_pipeline(StandardScaler(), self._default_estimator)
        self.estimators_ = []
        for complete in self._completions():
            estimator = clone(template)
            with self._fit_task.member("estimator", estimator):
                self.estimators_.append(estimator.fit(complete(X), y))
        return self

    def _fit_imputers(self, X, seeds):
        """Fit imputers that draw with different seeds."""
        imputer = FactorImputer() if self.imputer is None else clone(self.imputer)
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
            # One fit is enough, because draws depend on the seed during transform.
            imputers = [imputer.fit(X)] + [copy.copy(imputer) for _ in seeds[1:]]
            return [i.set_params(random_state=int(s)) for i, s in zip(imputers, seeds)]
        return [
            clone(imputer).set_params(random_state=int(seed)).fit(X) for seed in seeds
        ]

    def _validated(self, X, *, reset=True, **check_params):
        """Check X, and y in `fit`; data frames are not converted, to keep names."""
        params = {"reset": reset, **NUMBERS, **check_params}
        if type(X) is Piece:
            check_columns(self, X, reset)
            checked = validate_piece(self, X.values, **params)
            if self.imputer is not None and not isinstance(self.imputer, ModalityMixin):
                X = X.values  # only our own imputers know pieces
        else:
            check_table(X)
            checked = validate_numbers(self, fill_masked(X), **params)
        if "y" in check_params:
            return (X if hasattr(X, "columns") else checked[0]), checked[1]
        return X if hasattr(X, "columns") else checked

    def _completions(self):
        """Functions that complete X. Only the first one warns."""
        first, *others = (imputer.transform for imputer in self.imputers_)
        return [first, *(partial(quietly, transform) for transform in others)]

    def _predict_each(self, X):
        """Predictions of each model for its own completion, stacked."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        return np.stack(
            [
                self._predict(model, complete(X))
                for model, complete in zip(self.estimators_, self._completions())
            ]
        )

    @in_pieces
    def imputation_spread(self, X):
        """Compute the standard deviation of the predictions across imputations.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        spread : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Standard deviation of the predictions or probabilities. Near 0 for samples
            in which all relevant modalities are observed.
        """
        return self._predict_each(X).std(axis=0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = True
        return tags


@shared_docs
class MultipleImputationClassifier(ClassifierMixin, BaseMultipleImputation):
    """Classifier that pools over several imputations.

    X is completed several times with draws from the posterior, and a clone of the
    classifier is fitted to each completion. New samples are completed the same number
    of times, and their probabilities are averaged. Cells with a wide posterior thus
    have little influence.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Classifier with `predict_proba`. None is logistic regression on standardised
        columns.
    %(imputer, modalities, n_imputations, random_state)s

    Attributes
    ----------
    %(imputers_)s
    estimators_ : list
        Fitted classifiers, one per completion.
    %(classes_)s
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    MultipleImputationRegressor : The same for regression.
    skmissing.impute.FactorImputer : Draws with `sample_posterior=True`.

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
    >>> from skmissing.ensemble import MultipleImputationClassifier
    >>> from skmissing.impute import FactorImputer
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> X[::2, :32] = np.nan  # the upper half is missing in every other sample
    >>> imputer = FactorImputer(3, modalities=[32, 32], n_factors=8, random_state=0)
    >>> model = MultipleImputationClassifier(imputer=imputer, random_state=0)
    >>> model.fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseMultipleImputation._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
    }
    _default_estimator = LogisticRegression(max_iter=1000)

    def _validated(self, X, **check_params):
        checked = super()._validated(X, **check_params)
        if "y" in check_params:
            check_classification_targets(checked[1])
        return checked

    def _predict(self, model, X):
        return model.predict_proba(X)

    @property
    def classes_(self):
        """Class labels."""
        return self.estimators_[0].classes_

    @in_pieces
    def predict_proba(self, X):
        """Predict the mean of the probabilities over the completions.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._predict_each(X).mean(axis=0)

    @in_pieces
    def predict(self, X):
        """Predict the class with the highest mean probability.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Class labels.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]


@shared_docs
class MultipleImputationRegressor(RegressorMixin, BaseMultipleImputation):
    """Regressor that pools over several imputations.

    X is completed several times with draws from the posterior, and a clone of the
    regressor is fitted to each completion. New samples are completed the same number of
    times, and their predictions are averaged.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Regressor. None is ridge regression on standardised columns.
    %(imputer, modalities, n_imputations, random_state)s

    Attributes
    ----------
    %(imputers_)s
    estimators_ : list
        Fitted regressors, one per completion.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    MultipleImputationClassifier : The same for classification, with a reference.
    skmissing.impute.FactorImputer : Draws with `sample_posterior=True`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import MultipleImputationRegressor
    >>> from skmissing.impute import FactorImputer
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
    _default_estimator = Ridge()

    def _predict(self, model, X):
        return model.predict(X)

    @in_pieces
    def predict(self, X):
        """Predict the mean over the completions.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted values.
        """
        return self._predict_each(X).mean(axis=0)
