"""Kernel least squares and kernel logistic regression, with held-out predictions."""

from numbers import Integral, Real

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skmissing._base import SkmissingEstimator, _fit_context
from skmissing._compat import Interval, StrOptions
from skmissing._table import check_sample_weight, check_squares, check_target
from skmissing.ensemble._folds import partition
from skmissing.ensemble._least_squares import (
    ENOUGH_SAMPLES,
    KernelLeastSquares,
    NormalScores,
    Standard,
    class_frequencies,
    class_relevance,
    eigen,
    fit_temperature,
    log_loss,
    neighbours,
)

_CONSTRAINTS = {
    "kernel": [StrOptions({"rbf", "laplacian", "relevance"})],
    "gamma": [Interval(Real, 0, None, closed="neither"), "array-like", None],
    "alpha": [Interval(Real, 0, None, closed="neither"), "array-like", None],
    "cv": ["cv_object"],
    "max_samples": [Interval(Integral, 2, None, closed="left")],
    "random_state": ["random_state"],
}
GAMMAS = {"rbf": (0.3, 1.0, 3.0), "laplacian": (0.5, 1.5), "relevance": (0.4, 1.2)}
ALPHAS = {
    "rbf": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "laplacian": (0.01, 0.03, 0.1, 0.3, 1.0),
    "relevance": (0.01, 0.03, 0.1, 0.3, 1.0),
}


def positive_values(values, name):
    """Return the values of a parameter as an array, all positive numbers."""
    found = np.atleast_1d(values)
    if (
        found.ndim != 1
        or not found.size
        or found.dtype.kind not in "iuf"
        or not ((found > 0) & (found < np.inf)).all()
    ):
        raise ValueError(f"{name} must be positive; got {np.asarray(values).tolist()}.")
    return found


class _BaseKernel(SkmissingEstimator):
    """Base class: validates, scales columns, and chooses gamma and alpha."""

    _parameter_constraints: dict = {**_CONSTRAINTS}

    def _columns(self, X, weight):
        kind = Standard if self.kernel == "laplacian" else NormalScores
        return kind(np.asarray(X, dtype=np.float64), weight)

    def _grid(self):
        grid = []
        for name, usual in (("gamma", GAMMAS), ("alpha", ALPHAS)):
            values = getattr(self, name)
            values = usual[self.kernel] if values is None else values
            grid.append(positive_values(values, name))
        return grid

    def _folds(self, X, y, groups, used):
        """Test sets among the used samples, as positions."""
        position = np.cumsum(used) - 1
        folds = partition(self.cv, X, y, groups, is_classifier(self))
        folds = [position[rows[used[rows]]] for rows in folds]
        return [rows for rows in folds if len(rows)]


class _KernelClassifier(ClassifierMixin, _BaseKernel):
    """Base class: validates classes, weights and folds."""

    def _fit_classes(self, X, y, sample_weight, groups):
        """Validate, and fit on the samples of positive weight."""
        check_target(y, one_column=type(self).__name__)
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        weight = check_sample_weight(sample_weight, X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        used = weight > 0
        folds = self._folds(X, y, groups, used)
        self._fit_codes(X[used], codes[used], weight[used], folds)
        if not used.all():
            log_proba = self.predict_log_proba(X)
            log_proba[used] = self.oof_log_proba_
            self.oof_log_proba_ = log_proba
        return self

    def predict_log_proba(self, X):
        """Predict the log-probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return self._log_proba_of(X)

    def _log_proba_of(self, X):
        """Log-probabilities for checked samples."""
        return self._predict_log_proba(self._scale(np.asarray(X, dtype=np.float64)))

    def predict_proba(self, X):
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            One of `classes_` per sample.
        """
        log_proba = self.predict_log_proba(X)
        return self.classes_[log_proba.argmax(axis=1)]


class KernelRidgeClassifier(_KernelClassifier):
    """Kernel least squares classifier that chooses its kernel on held-out samples.

    One-hot targets minus the class frequencies are fitted by least squares with a
    kernel. The scores F become probabilities by softmax(log frequencies + T F). The
    width of the kernel, the penalty and the temperature T are those with the lowest
    log-loss on held-out samples. Held-out predictions have a closed form, so all folds
    take little more time than one fit.

    Parameters
    ----------
    kernel : {"rbf", "laplacian", "relevance"}, default="rbf"
        "rbf" is Gaussian, on columns turned into normal scores by rank. "laplacian" is
        the exponential of minus the cityblock distance, on standardised columns.
        "relevance" is "rbf" on weighted columns. The weight of a column is larger if
        the classes differ more in it.

    gamma : float, array-like of float or None, default=None
        Kernel widths to choose from, relative to the median distance: the kernel is
        `exp(-gamma * distance / median)`. None tries a few default widths.

    alpha : float, array-like of float or None, default=None
        Penalties to choose from. None tries a few default penalties.

    cv : int, cross-validation generator or iterable, default=5
        Folds for the choice and for `oof_log_proba_`. Each sample must be in exactly
        one test set.

    max_samples : int, default=1000
        Maximum number of landmarks of the kernel. If there are more samples, the
        landmarks are random samples, and time and memory are linear in the number of
        samples.

    random_state : int, RandomState instance or None, default=None
        Seed of the landmarks.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    gamma_, alpha_, temperature_ : float
        Values with the lowest loss on held-out samples.

    oof_log_proba_ : ndarray of shape (n_samples, n_classes)
        Held-out log-probabilities of the training samples.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    See Also
    --------
    LateFusionClassifier : Pools several classifiers per modality.
    sklearn.kernel_ridge.KernelRidge : Kernel least squares for regression.

    Notes
    -----
    Let K be the kernel, S the square roots of the weights, and
    :math:`G = (S K S + \\alpha I)^{-1}`. The held-out scores of a fold are
    :math:`Y_f - S_f^{-1} G_{ff}^{-1} (G S Y)_f`. With `kernel="relevance"`, the weights
    of the columns depend on the targets. They are therefore computed inside each fold.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skmissing.ensemble import KernelRidgeClassifier
    >>> X, y = make_moons(300, noise=0.2, random_state=0)
    >>> KernelRidgeClassifier().fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma=None,
        alpha=None,
        cv=5,
        max_samples=1000,
        random_state=None,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.alpha = alpha
        self.cv = cv
        self.max_samples = max_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.
        groups : array-like of shape (n_samples,), default=None
            Groups for a `cv` that uses them.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._fit_classes(X, y, sample_weight, groups)

    def _fit_codes(self, X, codes, weight, folds):
        """Fit to checked samples with positive weights."""
        n_classes = len(self.classes_)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._scale = self._columns(X, weight)
        A = self._scale(np.asarray(X, dtype=np.float64))
        frequencies = class_frequencies(codes, n_classes, weight)
        self._log_prior = np.log(frequencies)
        solver = KernelLeastSquares(self.kernel, self.max_samples, seed)
        gammas, alphas = self._grid()

        def judge(F, rows):
            return fit_temperature(F, codes[rows], self._log_prior, weight[rows])

        if self.kernel == "relevance":
            F = self._held_out_relevance(A, codes, weight, folds, solver, judge)
            A = self._weigh(A, codes, weight)
            gammas, alphas = [self.gamma_], [self.alpha_]
            Y = np.eye(n_classes)[codes] - frequencies
            for _ in solver.path(A, Y, weight, gammas, alphas):
                pass
        else:
            Y = np.eye(n_classes)[codes] - frequencies
            solver.choose(A, Y, weight, folds, gammas, alphas, judge)
            F, self.temperature_ = solver.F, solver.extra
            self._relevance = None
            del solver.F
        self._solution = solver
        self.gamma_, self.alpha_ = float(solver.gamma), float(solver.alpha)
        self.oof_log_proba_ = self._log_proba(F)

    def _weigh(self, A, codes, weight):
        """Multiply columns by their relevance for these samples."""
        self._relevance = class_relevance(A, codes, weight, len(self.classes_))
        return A * self._relevance

    def _held_out_relevance(self, A, codes, weight, folds, solver, judge):
        """Choose gamma, alpha and temperature, with the relevance of each fold."""
        gammas, alphas = self._grid()
        every, number = np.arange(len(A)), np.empty(len(A), dtype=np.intp)
        for fold, rows in enumerate(folds):
            number[rows] = fold
        step = -(-len(A) // ENOUGH_SAMPLES) if len(gammas) > 1 else 1
        for part in [every[::step], every] if step > 1 else [every]:
            F = self._relevance_path(
                A[part], codes[part], weight[part], number[part], solver, gammas, alphas
            )
            judged = [judge(f, part) for f in F]
            best = min(range(len(F)), key=lambda i: judged[i][1])
            self.gamma_, self.alpha_ = (
                gammas[best // len(alphas)],
                alphas[best % len(alphas)],
            )
            gammas, alphas = [self.gamma_], neighbours(alphas, self.alpha_)
        self.temperature_ = judged[best][0]
        return F[best]

    def _relevance_path(self, A, codes, weight, number, solver, gammas, alphas):
        """Held-out scores of all gammas and alphas."""
        K, onehot = len(self.classes_), np.eye(len(self.classes_))
        F = np.zeros((len(gammas) * len(alphas), len(A), K))
        for fold in np.unique(number):
            rows, rest = np.flatnonzero(number == fold), number != fold
            if not rest.any():
                continue
            frequencies = class_frequencies(codes[rest], K, weight[rest])
            B = self._weigh(A[rest], codes[rest], weight[rest])
            Y = onehot[codes[rest]] - frequencies
            shift = frequencies - np.exp(self._log_prior)
            new = A[rows] * self._relevance
            for i, _ in enumerate(solver.path(B, Y, weight[rest], gammas, alphas)):
                F[i, rows] = solver.predict(new) + shift
        return F

    def _log_proba(self, F):
        return log_softmax(self._log_prior + self.temperature_ * F, axis=1)

    def _predict_log_proba(self, A):
        if self._relevance is not None:
            A = A * self._relevance
        return self._log_proba(self._solution.predict(A))


class KernelRidgeRegressor(RegressorMixin, _BaseKernel):
    """Kernel least squares regressor that chooses its kernel on held-out samples.

    The target is standardised. Predictions are multiplied by a factor between 0 and
    1.5. The factor, the width of the kernel and the penalty are those with the lowest
    squared error on held-out samples.

    Parameters
    ----------
    kernel : {"rbf", "laplacian"}, default="rbf"
        "rbf" is Gaussian, on columns turned into normal scores by rank. "laplacian" is
        the exponential of minus the cityblock distance, on standardised columns.

    gamma : float, array-like of float or None, default=None
        Kernel widths to choose from, relative to the median distance: the kernel is
        `exp(-gamma * distance / median)`. None tries a few default widths.

    alpha : float, array-like of float or None, default=None
        Penalties to choose from. None tries a few default penalties.

    cv : int, cross-validation generator or iterable, default=5
        Folds for the choice and for `oof_prediction_`. Each sample must be in exactly
        one test set.

    max_samples : int, default=1000
        Maximum number of landmarks of the kernel. If there are more samples, the
        landmarks are random samples, and time and memory are linear in the number of
        samples.

    random_state : int, RandomState instance or None, default=None
        Seed of the landmarks.

    Attributes
    ----------
    gamma_, alpha_ : float
        Values with the lowest loss on held-out samples.

    oof_prediction_ : ndarray of shape (n_samples,)
        Held-out predictions for the training samples.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    See Also
    --------
    LateFusionRegressor : Pools several regressors per modality.
    sklearn.kernel_ridge.KernelRidge : The same with a given kernel and penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import KernelRidgeRegressor
    >>> X = np.random.RandomState(0).uniform(-3, 3, size=(300, 1))
    >>> y = np.sin(X[:, 0])
    >>> KernelRidgeRegressor().fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **_CONSTRAINTS,
        "kernel": [StrOptions({"rbf", "laplacian"})],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma=None,
        alpha=None,
        cv=5,
        max_samples=1000,
        random_state=None,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.alpha = alpha
        self.cv = cv
        self.max_samples = max_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.
        groups : array-like of shape (n_samples,), default=None
            Groups for a `cv` that uses them.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_target(y, numeric=True, one_column=type(self).__name__)
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], y_numeric=True)
        weight = check_sample_weight(sample_weight, X)
        used = weight > 0
        folds = self._folds(X, y, groups, used)
        self._fit_targets(X[used], y[used], weight[used], folds)
        if not used.all():
            prediction = self.predict(X)
            prediction[used] = self.oof_prediction_
            self.oof_prediction_ = prediction
        return self

    def _fit_targets(self, X, y, weight, folds):
        """Fit to checked samples with positive weights."""
        self._scale = self._columns(X, weight)
        A = self._scale(np.asarray(X, dtype=np.float64))
        check_squares(y)
        self._mean = np.average(y, weights=weight)
        deviation = np.sqrt(np.average((y - self._mean) ** 2, weights=weight))
        self._deviation = deviation if deviation > 0 else 1.0
        Y = ((y - self._mean) / self._deviation)[:, None]

        def judge(F, rows):
            w = weight[rows, None]
            square = (w * F * F).sum()
            factor = (w * F * Y[rows]).sum() / square if square > 0 else 0.0
            factor = min(max(float(factor), 0.0), 1.5)
            return factor, float((w * (Y[rows] - factor * F) ** 2).sum() / w.sum())

        seed = check_random_state(self.random_state).randint(2**31 - 1)
        solver = KernelLeastSquares(self.kernel, self.max_samples, seed)
        solver.choose(A, Y, weight, folds, *self._grid(), judge)
        self.oof_prediction_ = self._to_units(solver.extra * solver.F)
        del solver.F
        self._solution = solver
        self.gamma_, self.alpha_ = float(solver.gamma), float(solver.alpha)

    def _to_units(self, F):
        return self._mean + self._deviation * F[:, 0]

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return self._values_of(X)

    def _values_of(self, X):
        """Predictions for checked samples."""
        A = self._scale(np.asarray(X, dtype=np.float64))
        return self._to_units(self._solution.extra * self._solution.predict(A))


class KernelLogisticClassifier(_KernelClassifier):
    """Logistic regression on the leading kernel principal components.

    The kernel is Gaussian, on columns transformed to normal scores by rank. Its width
    and the penalty are those with the lowest log-loss on held-out samples.

    Parameters
    ----------
    gamma : float or array-like of float, default=(0.4, 1.5)
        Kernel widths to choose from, relative to the median distance.

    C : float or array-like of float, default=(3.0, 20.0)
        Inverse penalties to choose from.

    n_components : int, default=300
        Maximum number of components.

    cv : int, cross-validation generator or iterable, default=5
        Folds for the choice and for `oof_log_proba_`. Each sample must be in exactly
        one test set.

    max_samples : int, default=1000
        Maximum number of samples to compute the components from. If there are more
        samples, this number of them is drawn at random.

    random_state : int, RandomState instance or None, default=None
        Seed of the drawn samples.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    gamma_, C_ : float
        Values with the lowest loss on held-out samples.

    oof_log_proba_ : ndarray of shape (n_samples, n_classes)
        Held-out log-probabilities of the training samples.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    See Also
    --------
    KernelRidgeClassifier : Least squares in place of logistic regression.

    Notes
    -----
    The components are computed from all training samples, including held-out ones.
    They do not depend on the targets.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skmissing.ensemble import KernelLogisticClassifier
    >>> X, y = make_moons(300, noise=0.2, random_state=0)
    >>> KernelLogisticClassifier().fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        "gamma": _CONSTRAINTS["gamma"][:2],
        "C": _CONSTRAINTS["alpha"][:2],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "cv": _CONSTRAINTS["cv"],
        "max_samples": _CONSTRAINTS["max_samples"],
        "random_state": ["random_state"],
    }
    kernel = "rbf"

    def __init__(
        self,
        gamma=(0.4, 1.5),
        *,
        C=(3.0, 20.0),
        n_components=300,
        cv=5,
        max_samples=1000,
        random_state=None,
    ):
        self.gamma = gamma
        self.C = C
        self.n_components = n_components
        self.cv = cv
        self.max_samples = max_samples
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample.
        groups : array-like of shape (n_samples,), default=None
            Groups for a `cv` that uses them.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._fit_classes(X, y, sample_weight, groups)

    def _fit_codes(self, X, codes, weight, folds):
        """Fit to checked samples with positive weights."""
        n_classes = len(self.classes_)
        self._scale = self._columns(X, weight)
        A = self._scale(np.asarray(X, dtype=np.float64))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        solver = KernelLeastSquares("rbf", self.max_samples, seed)
        marks, D = solver._mark(A, weight)
        number = np.empty(len(A), dtype=np.intp)
        for fold, rows in enumerate(folds):
            number[rows] = fold
        gammas, Cs = positive_values(self.gamma, "gamma"), positive_values(self.C, "C")
        step = -(-len(marks) // ENOUGH_SAMPLES)
        if step > 1 and len(gammas) * len(Cs) > 1:
            # Parameters are chosen on two folds, with every n-th landmark.
            part, two = marks[::step], np.where(number < 2, number, -1)
            near = D[::step, ::step]
            best = self._search(
                solver, A, near, part, part, codes, weight, two, gammas, Cs
            )
            gammas, Cs = [best[1]], [best[2]]
        every = np.arange(len(A))
        best = self._search(
            solver, A, D, marks, every, codes, weight, number, gammas, Cs
        )
        _, solver.gamma, self.C_, Z, self._map, model, self.oof_log_proba_ = best
        self.gamma_, self.C_ = float(solver.gamma), float(self.C_)
        self._solution, self._model = solver, None
        self._frequencies = class_frequencies(codes, n_classes, weight)
        if n_classes > 1:
            self._model = model.fit(Z, codes, weight)

    def _search(self, solver, A, D, marks, rows, codes, weight, number, gammas, Cs):
        """Return the best held-out loss among `rows`, with its model and parameters."""
        solver.set_landmarks(A[marks])
        root, best = np.sqrt(weight[marks]), None
        codes, weight, number = codes[rows], weight[rows], number[rows]
        tested = number >= 0
        folds = [np.flatnonzero(number == k) for k in np.unique(number[tested])]
        for solver.gamma in gammas:
            w, U = eigen(D, solver.gamma, root)
            leading = slice(None, -self.n_components - 1, -1)
            Z, M = solver._features(A[rows], root, w[leading], U[:, leading])
            for C in Cs:
                model = LogisticRegression(C=C, max_iter=300, tol=1e-3)
                L = held_out_log_proba(
                    model, Z, codes, weight, folds, len(self.classes_)
                )
                loss = log_loss(L[tested], codes[tested], weight[tested])
                if best is None or loss < best[0]:
                    best = loss, solver.gamma, C, Z, M, model, L
        return best

    def _predict_log_proba(self, A):
        if self._model is None:
            return np.zeros((len(A), 1))
        return self._model.predict_log_proba(self._solution.kernel(A) @ self._map)


def held_out_log_proba(model, Z, codes, weight, folds, n_classes):
    """Log-probabilities of each fold, predicted by clones fitted without it.

    If a class is not in the training part of a fold, its frequency is predicted.
    """
    L = np.empty((len(Z), n_classes))
    for rows in folds:
        rest = np.setdiff1d(np.arange(len(Z)), rows)
        frequencies = class_frequencies(codes[rest], n_classes, weight[rest])
        proba = np.tile(frequencies, (len(rows), 1))
        known = np.unique(codes[rest])
        if len(known) > 1:
            fitted = clone(model).fit(Z[rest], codes[rest], weight[rest])
            unseen = frequencies.sum() - frequencies[known].sum()
            proba[:, known] = fitted.predict_proba(Z[rows]) * (1 - unseen)
        L[rows] = np.log(np.maximum(proba, 1e-12))
    return L


KERNELS = (KernelRidgeClassifier, KernelRidgeRegressor, KernelLogisticClassifier)
