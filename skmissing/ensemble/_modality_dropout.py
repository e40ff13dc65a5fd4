"""Trains one estimator on the rows and on copies of them with modalities hidden."""

from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.utils import check_array, check_random_state, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator
from skmissing._blocks import find_presence
from skmissing._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    check_sample_weight,
)
from skmissing._masking import POLICIES, draw_subsets
from skmissing.ensemble._experts import weight_names


def _inner_has(method):
    """Whether the inner estimator has a method, fitted or not."""

    def check(self):
        # Raises the inner estimator's AttributeError, which says why.
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


def _as_given(values, X):
    """Put `values` in a dataframe like X, if X is one: inner estimators read names.

    Arrays are column-major, as dataframes are, so that both round alike.
    """
    values = np.asfortranarray(values)
    if hasattr(X, "iloc"):
        return type(X)(values, columns=X.columns)
    if hasattr(X, "columns"):
        return type(X)(values, schema=list(X.columns))
    return values


class ModalityDropout(MetaEstimatorMixin, ModalityMixin, SkmissingEstimator):
    """Trains an estimator on rows and on copies with modalities hidden at random.

    Any estimator that accepts NaN so learns to do with fewer modalities than training
    rows have. That is worth most when they are complete and later ones are not; when
    training rows lack modalities as later ones do, it adds little.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object
        Classifier or regressor that accepts NaN, such as
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier` or a pipeline with an
        imputer.
    n_copies : int, default=1
        Copies of each row, each with its own draw, beside the row itself. Training
        takes so much more memory and time, and a penalty that is weighed against the
        number of rows gets weaker.
    policy : {"uniform_size", "uniform_subset", "bernoulli"}, default="uniform_size"
        How the modalities that a copy keeps are drawn from those that the row has,
        never none. "uniform_size" draws their number, uniformly from one to all, and
        then which; "uniform_subset" gives each non-empty subset the same probability;
        "bernoulli" drops each with `drop_probability`, and keeps one at random where
        none would be left.
    drop_probability : float, default=0.5
        Used by `policy="bernoulli"` only.
    modalities : None, list of int or dict, default=None
        Which columns belong together. None groups columns by the prefix before `__`
        if all names have one, and otherwise makes each column a modality.
    random_state : int, RandomState instance or None, default=None
        Draws the subsets. An int makes runs repeatable.

    Attributes
    ----------
    estimator_ : estimator object
        Fitted clone of `estimator`.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Only if `estimator` is a classifier.
    modalities_ : mapping
        Name of each modality to its columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X had names that are all strings.

    See Also
    --------
    LateFusionClassifier : One model a modality, whose votes are joined.
    PatternClassifier : One model a combination of modalities.

    Notes
    -----
    Modality dropout comes from [1]_, where it is drawn anew in each step of training;
    here copies are drawn once, before training, so that any estimator can be used.
    Cells within a kept modality stay as they are, missing ones too.

    Only `predict`, `predict_proba`, `predict_log_proba`, `decision_function` and
    `score` are handed on, as far as `estimator` has them. What `estimator` tunes by
    itself, as by early stopping, built-in cross-validation or evidence, it tunes on
    copies of rows it was trained on, and fits too closely: switch it off.

    References
    ----------
    .. [1] Neverova, N., Wolf, C., Taylor, G. and Nebout, F. "ModDrop: adaptive
       multi-modal gesture recognition." IEEE Transactions on Pattern Analysis and
       Machine Intelligence 38(8), 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import ModalityDropout
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> late, y_late = X[1200:].copy(), y[1200:]
    >>> late[:, :32] = np.nan  # new rows lack the upper half
    >>> plain = make_pipeline(SimpleImputer(), LogisticRegression(C=0.01, max_iter=500))
    >>> robust = ModalityDropout(
    ...     plain, n_copies=2, modalities={"upper": 32, "lower": 32}, random_state=0
    ... )
    >>> before = plain.fit(X[:300], y[:300]).score(late, y_late)
    >>> robust.fit(X[:300], y[:300]).score(late, y_late) > before
    True
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"])],
        "n_copies": [Interval(Integral, 1, None, closed="left")],
        "policy": [StrOptions(set(POLICIES))],
        "drop_probability": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        n_copies=1,
        policy="uniform_size",
        drop_probability=0.5,
        modalities=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_copies = n_copies
        self.policy = policy
        self.drop_probability = drop_probability
        self.modalities = modalities
        self.random_state = random_state

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the estimator on the rows and on copies with modalities hidden.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target; None if `estimator` needs none.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, and of their copies.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        values = self._validate(X, None if y is None else "no_validation", reset=True)
        copies = self._hide(values)
        n_rows = len(values)
        rows = np.tile(np.arange(n_rows), self.n_copies + 1)
        if y is not None:
            y = check_array(
                y,
                accept_sparse="csr",
                dtype=None,
                ensure_2d=False,
                estimator=self,
                input_name="y",
            )
            check_consistent_length(values, y)
            y = y[rows]
        params = {}
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, values)[rows]
            params = self._inner_fit_params(weight)
        try:
            self.estimator_ = clone(self.estimator).fit(
                _as_given(copies, X), y, **params
            )
        except ValueError as error:
            if "NaN" not in str(error):
                raise
            raise ValueError(
                f"estimator={type(self.estimator).__name__} must accept NaN, by which "
                "hidden modalities are told; it does not. Put an imputer in front: "
                "make_pipeline(SimpleImputer(), estimator)."
            ) from error
        return self

    def _hide(self, values):
        """The rows, and below them their copies with modalities hidden."""
        rng = check_random_state(self.random_state)
        presence, _ = find_presence(values, self.modalities_)
        out = np.empty(
            (len(values) * (self.n_copies + 1), values.shape[1]), values.dtype, "F"
        )
        out[: len(values)] = values
        for copy in range(1, self.n_copies + 1):
            kept = draw_subsets(
                presence,
                rng,
                policy=self.policy,
                drop_probability=self.drop_probability,
            )
            part = out[copy * len(values) : (copy + 1) * len(values)]
            part[:] = values
            for m, modality in enumerate(self.modalities_.values()):
                part[np.ix_(~kept[:, m], modality.columns)] = np.nan
        return out

    def _inner_fit_params(self, weight):
        """What the inner `fit` takes beside X and y."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", sample_weight=weight).estimator.fit
        names = weight_names(self.estimator)
        if not names:
            raise ValueError(
                "sample_weight was given, but the fit of "
                f"estimator={type(self.estimator).__name__} does not take it."
            )
        return dict.fromkeys(names, weight)

    def get_metadata_routing(self):
        """Get the metadata routing of this object.

        Returns
        -------
        MetadataRouter
            Sample weights go to the `fit` and the `score` of the inner estimator.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="score", callee="score")
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def _validated(self, X):
        check_is_fitted(self)
        return _as_given(self._validate(X, reset=False), X)

    @property
    def classes_(self):
        """Class labels."""
        return self.estimator_.classes_

    def predict(self, X):
        """Predict with the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        X = self._validated(X)
        return self.estimator_.predict(X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X):
        """Class probabilities of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated(X)
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X):
        """Logarithms of the class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated(X)
        return self.estimator_.predict_log_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X):
        """Decision values of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            What the estimator returns.
        """
        X = self._validated(X)
        return self.estimator_.decision_function(X)

    @available_if(_inner_has("score"))
    def score(self, X, y=None, sample_weight=None):
        """Score of the fitted estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        float
            What the estimator's own `score` returns.
        """
        X = self._validated(X)
        params = {} if sample_weight is None else {"sample_weight": sample_weight}
        if params and get_config()["enable_metadata_routing"]:
            params = process_routing(self, "score", **params).estimator.score
        return self.estimator_.score(X, y, **params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.non_deterministic = inner.non_deterministic
        return tags
