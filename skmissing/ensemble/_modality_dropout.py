"""Modality dropout: one estimator, also trained on copies with hidden modalities."""

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

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._compat import HasMethods, Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing._masking import POLICIES, draw_subsets, read_dropout
from skmissing._table import check_target, framed
from skmissing.ensemble._base import route_weight


def _inner_has(method):
    """Whether the inner estimator has a method, fitted or not."""

    def check(self):
        # Raises the inner estimator's AttributeError, which says why.
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


@shared_docs
class ModalityDropout(MetaEstimatorMixin, ModalityMixin, SkmissingEstimator):
    """Train an estimator on the samples and on copies with random modalities hidden.

    Any estimator that accepts NaN thus learns to predict from fewer modalities than
    the training samples have. This helps most if training samples are complete and
    new samples are not. It helps little if modalities are missing in training, too.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object
        Classifier or regressor that accepts NaN, such as
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier` or a pipeline with an
        imputer.
    n_copies : int, default=1
        Number of copies per sample, in addition to the sample itself. Hidden modalities
        are drawn for each copy. More copies need more memory and time, and weaken any
        penalty relative to the number of samples.
    dropout_policy : {"uniform_size", "uniform_subset", "bernoulli"}, \
            default="uniform_size"
        How to draw the modalities that a copy keeps, at least one. "uniform_size" draws
        their number, uniformly from one to all, and then the modalities.
        "uniform_subset" gives each non-empty subset the same probability. "bernoulli"
        drops each modality with probability `modality_dropout`, and keeps a random one
        if all would be dropped.
    modality_dropout : float or dict, default=0.5
        Probability of dropping a modality, for `dropout_policy="bernoulli"` only. A
        dict has one probability per modality, for any policy. With 0, the modality is
        never dropped.
    %(modalities)s
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. An int makes runs repeatable.

    Attributes
    ----------
    estimator_ : estimator object
        Fitted clone of `estimator`.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Only if `estimator` is a classifier.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    LateFusionClassifier : Models per modality, whose predictions are combined.
    PatternClassifier : One model per combination of modalities.

    Notes
    -----
    In [1]_, hidden modalities are drawn in each training step. Here, copies are drawn
    once before training, so that any estimator can be used. Cells of a kept modality
    are unchanged, including missing cells.

    Only `predict`, `predict_proba`, `predict_log_proba`, `decision_function` and
    `score` are delegated, if `estimator` has them. Do not use early stopping or
    built-in cross-validation in `estimator`: they would test on copies of training
    samples, and overfit.

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
    >>> late[:, :32] = np.nan  # the upper half is missing
    >>> plain = make_pipeline(SimpleImputer(), LogisticRegression(C=0.01, max_iter=500))
    >>> robust = ModalityDropout(
    ...     plain, n_copies=2, modalities={"upper": 32, "lower": 32}, random_state=0
    ... )
    >>> before = plain.fit(X[:300], y[:300]).score(late, y_late)
    >>> robust.fit(X[:300], y[:300]).score(late, y_late) > before
    True
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"])],
        "n_copies": [Interval(Integral, 1, None, closed="left")],
        "dropout_policy": [StrOptions(set(POLICIES))],
        "modality_dropout": [Interval(Real, 0, 1, closed="left"), dict],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        n_copies=1,
        dropout_policy="uniform_size",
        modality_dropout=0.5,
        modalities=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_copies = n_copies
        self.dropout_policy = dropout_policy
        self.modality_dropout = modality_dropout
        self.modalities = modalities
        self.random_state = random_state

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the estimator on the samples and on copies with modalities hidden.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. None if `estimator` does not use targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples, and of their copies.

        Returns
        -------
        %(self)s

        Raises
        ------
        ValueError
            If `estimator` does not accept NaN, or does not take the weights.
        """
        unchecked = None if y is None else "no_validation"
        table = self._validate(X, unchecked, reset=True, sample_weight=sample_weight)
        table = table[0] if y is None else table
        rows = np.tile(np.arange(len(table)), self.n_copies + 1)
        if y is not None:
            check_target(y)
            y = check_array(
                y,
                accept_sparse="csr",
                dtype=None,
                ensure_2d=False,
                estimator=self,
                input_name="y",
            )
            check_consistent_length(table.X, y)
            y = y[rows]
        params = {}
        if sample_weight is not None:
            params = route_weight(self, self.estimator, table.weight[rows])
        copies = framed(self._with_copies(table), X, table.feature_names)
        estimator = clone(self.estimator)
        try:
            with self._fit_task.begin(1).member("estimator", estimator):
                self.estimator_ = estimator.fit(copies, y, **params)
        except ValueError as error:
            if "NaN" not in str(error):
                raise
            raise ValueError(
                "estimator must accept NaN, which marks hidden modalities; got "
                f"{type(self.estimator).__name__}. Put an imputer in front: "
                "make_pipeline(SimpleImputer(), estimator)."
            ) from error
        return self

    def _with_copies(self, table):
        """Return the samples, followed by copies with modalities hidden."""
        rng = check_random_state(self.random_state)
        n_samples, n_features = table.X.shape
        shape = n_samples * (self.n_copies + 1), n_features
        out = np.empty(shape, table.X.dtype, order="F")
        out[:n_samples] = table.X
        dropout, policy = self.modality_dropout, self.dropout_policy
        if isinstance(dropout, dict):
            dropout, policy = read_dropout(dropout, table.layout.names)
        for start in range(n_samples, len(out), n_samples):
            kept = draw_subsets(
                table.presence, rng, policy=policy, drop_probability=dropout
            )
            out[start : start + n_samples] = table.hide(~kept).X
        return out

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
        table = self._validate(X, reset=False)
        # Column-major like data frames, so that rounding errors are the same.
        return framed(np.asfortranarray(table.X), X, table.feature_names)

    @property
    def classes_(self):
        """Class labels."""
        return self.estimator_.classes_

    def predict(self, X):
        """Predict with the fitted estimator.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        X = self._validated(X)
        return self.estimator_.predict(X)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X):
        """Predict class probabilities with the fitted estimator.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated(X)
        return self.estimator_.predict_proba(X)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X):
        """Predict the logarithms of the class probabilities.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated(X)
        return self.estimator_.predict_log_proba(X)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X):
        """Compute the decision values of the fitted estimator.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            As the estimator returns them.
        """
        X = self._validated(X)
        return self.estimator_.decision_function(X)

    @available_if(_inner_has("score"))
    def score(self, X, y=None, sample_weight=None):
        """Return the score of the fitted estimator.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples.

        Returns
        -------
        float
            As the estimator's own `score` returns it.
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
