"""What classification and regression add to a fusion estimator: y in, answers out."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skmissing._base import name_list
from skmissing._compat import StrOptions, _fit_context
from skmissing.fusion._rows import name_rarest

# Keeps the logit of a label that all or no training rows have finite.
TINY = 1e-9


@dataclass(frozen=True)
class Target:
    """What training has to know of y.

    Attributes
    ----------
    values : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        As the loss wants it.
    task : {"multiclass", "labels", "regression"}
    n_outputs : int
    prior : ndarray of shape (n_outputs,)
        What the network stands back for in rows that have no modality.
    row_weight : ndarray of shape (n_rows,) or None
        Factor of each row's loss that stems from its class.
    """

    values: np.ndarray
    task: str
    n_outputs: int
    prior: np.ndarray
    row_weight: np.ndarray | None = None


class FusionClassifierMixin(ClassifierMixin):
    """Fitting and predicting labels; goes before the base of the estimator."""

    _parameter_constraints: dict = {
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or for several labels a row an indicator matrix of 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses. A row of weight 0 is left out; a class that
            has no other rows stays in `classes_`, with a warning.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def _check_y(self, y):
        y = y.toarray() if sparse.issparse(y) else y
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns that are not labels of 0 and 1 "
                f"({kind}); fit one classifier a column."
            )
        self._multilabel = kind == "multilabel-indicator"
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
            return y
        y = column_or_1d(y, warn=True)
        self.classes_ = np.unique(y)
        return y

    def _labels(self, y):
        """Number of each row's class; None for an indicator matrix."""
        if self._multilabel:
            return None
        codes = np.searchsorted(self.classes_, y)
        if (codes == codes[0]).all():
            where = " in the rows of positive sample_weight" * (len(self.classes_) > 1)
            raise ValueError(
                f"{type(self).__name__} needs at least two classes; y has one class, "
                f"{y[0]!r}{where}."
            )
        return codes

    def _warn_untaught(self, codes):
        """Warn of classes without a row to learn from, if there are any."""
        absent = np.bincount(codes, minlength=len(self.classes_)) == 0
        if absent.any():
            warnings.warn(
                f"{absent.sum()} of {len(absent)} classes have no row to learn from: "
                f"{name_list(self.classes_[absent])}; all their rows have "
                "sample_weight=0 or no modality. They stay in classes_, and nothing "
                "teaches the network to predict them.",
                UserWarning,
                stacklevel=3,
            )

    def _describe(self, y):
        """What validation rows hold, for messages."""
        if self._multilabel:
            return f"rows by label: {name_rarest(self.classes_, y.sum(axis=0))}"
        codes = np.searchsorted(self.classes_, y)
        counts = np.bincount(codes, minlength=len(self.classes_))
        return f"rows by class: {name_rarest(self.classes_, counts)}"

    def _learn_target(self, y, weight, learnt, used):
        """Learn the classes' frequencies; return y as the loss wants it."""
        self._y_dtype = y.dtype.str  # no type of numpy's, so that models save
        row_weight, weight = self._weigh_classes(y, used), weight[learnt]
        if self._multilabel:
            share = np.average(y[learnt], axis=0, weights=weight)
            share = share.clip(TINY, 1 - TINY)
            prior = np.log(share / (1 - share))
            return Target(y, "labels", y.shape[1], prior, row_weight)
        codes, n_classes = self._labels(y), len(self.classes_)
        share = np.bincount(codes[learnt], weights=weight, minlength=n_classes)
        share = np.maximum(share / weight.sum(), TINY)
        if n_classes == 2:
            prior = np.log(share[1:] / share[0])
            return Target(codes[:, None], "labels", 1, prior, row_weight)
        return Target(codes, "multiclass", n_classes, np.log(share), row_weight)

    def _weigh_classes(self, y, used):
        """Factor of each row's loss by its class; balanced in the rows used."""
        if self.class_weight is None:
            return None
        counted = used if self.class_weight == "balanced" else None
        return compute_sample_weight(self.class_weight, y, indices=counted)

    def decision_function(self, X):
        """Raw outputs of the network, before they become probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes or n_labels)
            For two classes, the log-odds of the second; otherwise one column a class
            or label. A row without any modality gets the training frequencies.
        """
        check_is_fitted(self)
        raw = self._outputs(X)
        return raw if self._multilabel or raw.shape[1] > 1 else raw[:, 0]

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`. With an indicator y, the probability that a
            row has each label, which need not add up to 1.
        """
        check_is_fitted(self)
        raw = self._outputs(X)
        if self._multilabel:
            return expit(raw)
        if raw.shape[1] == 1:
            return np.hstack([expit(-raw), expit(raw)])
        return softmax(raw, axis=1)

    def predict_log_proba(self, X):
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Exact also where the probabilities would round to 0.
        """
        check_is_fitted(self)
        raw = self._outputs(X)
        if self._multilabel:
            return -np.logaddexp(0, -raw)
        if raw.shape[1] == 1:
            return -np.logaddexp(0, np.hstack([raw, -raw]))
        return log_softmax(raw, axis=1)

    def predict(self, X):
        """Most probable class, or all labels more probable than not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or an indicator matrix like the y of `fit`.
        """
        check_is_fitted(self)
        raw = self._outputs(X)
        if self._multilabel:
            return (raw > 0).astype(self._y_dtype)
        if raw.shape[1] == 1:
            return self.classes_[(raw[:, 0] > 0).astype(int)]
        return self.classes_[raw.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class FusionRegressorMixin(RegressorMixin):
    """Fitting and predicting numbers; goes before the base of the estimator."""

    _parameter_constraints: dict = {"bounds": [tuple, list, None]}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses. A row of weight 0 is left out.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._fit(X, y, sample_weight)

    def _check_y(self, y):
        y = y.toarray() if sparse.issparse(y) else y
        return np.asarray(y, dtype=np.float64)

    def _labels(self, y):
        """There are no classes."""

    def _describe(self, y):
        """What validation rows hold, for messages."""
        return f"targets from {y.min():g} to {y.max():g}"

    def _learn_target(self, y, weight, learnt, used):
        """Learn mean and scale of the targets; return them standardised."""
        self._bounds = low, high = self._check_bounds()
        if ((y < low) | (y > high)).any():
            raise ValueError(
                f"bounds={self.bounds!r} leaves out training targets, which go from "
                f"{y.min():g} to {y.max():g}."
            )
        self._y_is_1d = y.ndim == 1
        columns = y.reshape(len(y), -1)
        weight, known = weight[learnt], columns[learnt]
        self._y_mean = np.average(known, axis=0, weights=weight)
        variance = np.average((known - self._y_mean) ** 2, axis=0, weights=weight)
        scale = np.sqrt(variance)
        constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(self._y_mean)
        self._y_scale = np.where(constant, 1.0, scale)
        n_outputs = columns.shape[1]
        values = (columns - self._y_mean) / self._y_scale
        return Target(values, "regression", n_outputs, np.zeros(n_outputs))

    def _check_bounds(self):
        if self.bounds is None:
            return -np.inf, np.inf
        if len(self.bounds) != 2:
            raise ValueError(f"bounds must be a pair (low, high); got {self.bounds!r}.")
        low, high = (float(bound) for bound in self.bounds)
        if not low < high:
            raise ValueError(
                f"bounds={self.bounds!r}: the lower bound must be below the upper one."
            )
        return low, high

    def predict(self, X):
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Clipped to `bounds`. A row without any modality gets the training mean.
        """
        check_is_fitted(self)
        y = self._outputs(X) * self._y_scale + self._y_mean
        y = np.clip(y, *self._bounds)
        return y[:, 0] if self._y_is_1d else y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
