"""Kernel least squares and kernel logistic regression, with held-out predictions."""

from numbers import Integral, Real

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, ndtri
from sklearn.base import ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skmissing._compat import Interval, StrOptions
from skmissing._table import SkmissingEstimator, _fit_context, check_sample_weight

# Samples up to which columns are ranked by comparing, not by searching.
FEW_SAMPLES = 8
# Samples up to which all of them choose the width of a kernel.
ENOUGH_SAMPLES = 500
# Standard deviation of the normal prior on the logarithm of the temperature.
TEMPERATURE_DEVIATION = 3.0
# Added to the relevance of every column, so that none is lost.
LEAST_RELEVANCE = 0.02
# Eigenvalues below this share of the largest are rounding errors.
TINY = 1e-7


# ---------------------------------------------------------------- columns and distances


class NormalScores:
    """Columns to normal scores: their mid-ranks among the training samples.

    A value with r training samples below it (half of the equal ones count) becomes the
    normal quantile of (r + 1/2) / (n + 1). Samples count by weight.
    """

    def __init__(self, X, weight):
        self.kept = np.flatnonzero(X.min(axis=0) < X.max(axis=0))
        X = X[:, self.kept]
        order = np.argsort(X, axis=0)
        self.values = np.asfortranarray(np.take_along_axis(X, order, axis=0))
        self.below = np.cumsum(np.pad(weight[order], [(1, 0), (0, 0)]), axis=0)
        # Scores of all ranks if these are halves of whole numbers.
        self.table, self.total = None, weight.sum()
        if (weight == 1).all():
            self.below = None
            self.table = self._score(np.arange(2 * len(order) + 1) / 2)

    def __call__(self, X):
        X = X[:, self.kept]
        if len(X) <= FEW_SAMPLES:
            twice = np.empty(X.shape)
            for row, out in zip(X, twice):
                low = (self.values < row).sum(axis=0)
                out[:] = self._twice(low, (self.values <= row).sum(axis=0), None)
        else:
            twice = np.empty(X.shape, order="F")
            for j, new in enumerate(np.asfortranarray(X).T):
                old = self.values[:, j]
                low = np.searchsorted(old, new, "left")
                high = low.copy()
                tied = np.flatnonzero(old[np.minimum(low, len(old) - 1)] == new)
                high[tied] = np.searchsorted(old, new[tied], "right")
                twice[:, j] = self._twice(low, high, j)
        if self.table is None:
            return np.ascontiguousarray(self._score(twice / 2))
        return self.table[np.ascontiguousarray(twice.astype(np.int32))]

    def _twice(self, low, high, column):
        """Twice the weight below, of which equal values have half."""
        if self.below is None:
            return low + high
        column = np.arange(len(self.kept)) if column is None else column
        return self.below[low, column] + self.below[high, column]

    def _score(self, ranks):
        return ndtri((ranks + 0.5) / (self.total + 1))


class Standard:
    """Columns to zero mean and unit variance; constant columns are left out."""

    def __init__(self, X, weight):
        mean = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        self.kept = np.flatnonzero(scale > 1e-9 * np.maximum(np.abs(mean), 1e-300))
        self.mean, self.scale = mean[self.kept], scale[self.kept]

    def __call__(self, X):
        return np.clip((X[:, self.kept] - self.mean) / self.scale, -1e3, 1e3)


def squared_euclidean(A, B):
    """Squared distances, (n, d) and (k, d) -> (n, k)."""
    squared = -2 * A @ B.T
    squared += np.einsum("ij,ij->i", A, A)[:, None]
    squared += np.einsum("ij,ij->i", B, B)
    return np.maximum(squared, 0, out=squared)


def cityblock(A, B):
    """Sums of absolute differences, (n, d) and (k, d) -> (n, k)."""
    return cdist(A, B, "cityblock")


def weighted_median(distances, weight):
    """Median of all pairs, which count by the product of their weights."""
    if (weight == weight[0]).all():
        median = np.median(distances)
    else:
        order = np.argsort(distances, axis=None)
        mass = np.cumsum(np.outer(weight, weight).ravel()[order])
        # As in numpy, the mean of the two middle ones if there are two.
        half = mass[-1] / 2
        middle = [np.searchsorted(mass, half, side) for side in ("left", "right")]
        median = distances.ravel()[order[np.minimum(middle, len(order) - 1)]].mean()
    return max(float(median), np.finfo(float).tiny ** 0.5)


def class_relevance(A, codes, weight, n_classes):
    """Weights of columns: the root of adjusted eta squared, plus a little.

    Eta squared is the between-class share of the sum of squares.
    """
    # A (n, d), codes (n,) -> (d,)
    total = weight.sum()
    mean = weight @ A / total
    spread = weight @ (A - mean) ** 2 + 1e-9
    mass = np.bincount(codes, weight, minlength=n_classes)
    onehot = np.zeros((n_classes, len(A)))
    onehot[codes, np.arange(len(A))] = weight
    means = onehot @ A / np.where(mass > 0, mass, 1)[:, None]
    between = mass @ (means - mean) ** 2
    chance = (np.count_nonzero(mass) - 1) / max(total - 1, 1)
    adjusted = (between / spread - chance) / max(1 - chance, 1e-9)
    return np.sqrt(np.maximum(adjusted, 0)) + LEAST_RELEVANCE


def held_out(U, d, b, Y, root, folds):
    """Predictions for each fold by the solution without it.

    With G = (S K S + alpha)^-1, S the roots of the weights, and A = G S Y, the
    prediction is Y_f - S_f^-1 G_ff^-1 A_f.
    """
    # U (n, r), d (r,), b (r, k), Y (n, k), root (n,) -> (n, k)
    A = (U * d) @ b
    F = np.empty_like(Y)
    for rows in folds:
        G = (U[rows] * d) @ U[rows].T
        F[rows] = Y[rows] - np.linalg.solve(G, A[rows]) / root[rows, None]
    return F


def log_loss(L, codes, weight):
    """Weighted mean of minus the log-probability of the class."""
    top = L.max(axis=1)
    norm = top + np.log(np.exp(L - top[:, None]).sum(axis=1))
    terms = norm - L[np.arange(len(codes)), codes]
    return float(weight @ terms / weight.sum())


def fit_temperature(F, codes, log_prior, weight):
    """Factor T of least log-loss of softmax(log prior + T F), and that loss.

    The logarithm of T has a normal prior, which counts as much as one sample.
    """
    total = weight.sum()

    def objective(t):
        penalty = 0.5 * (t / TEMPERATURE_DEVIATION) ** 2 / total
        return log_loss(log_prior + np.exp(t) * F, codes, weight) + penalty

    best = minimize_scalar(
        objective, bounds=(-5, 5), method="bounded", options={"xatol": 0.05}
    )
    return float(np.exp(best.x)), float(best.fun)


class KernelLeastSquares:
    """Kernel least squares for several targets at once.

    Above `max_samples` samples, the kernel has so many random landmarks (Nystroem).
    """

    def __init__(self, kernel, max_samples, seed):
        self.kernel_name = kernel
        self.max_samples = max_samples
        self.seed = seed

    def distance(self, A, B):
        """Distances between rows, (n, d) and (k, d) -> (n, k)."""
        laplacian = self.kernel_name == "laplacian"
        return (cityblock if laplacian else squared_euclidean)(A, B)

    def _mark(self, A, weight):
        """Choose the landmarks; return their positions and relative distances."""
        marks = np.arange(len(A))
        if len(A) > self.max_samples:
            rng = np.random.RandomState(self.seed)
            marks = np.sort(rng.choice(len(A), self.max_samples, replace=False))
        self.landmarks = A[marks]
        D = self.distance(self.landmarks, self.landmarks)
        self.median = weighted_median(D, weight[marks])
        D /= self.median
        return marks, D

    def choose(self, A, Y, weight, folds, gammas, alphas, judge):
        """Take gamma and alpha of least loss on held-out samples, and solve.

        `judge(F, rows)` returns what is learnt from held-out predictions, and a loss.
        """
        # A (n, d) columns, Y (n, k) targets, folds: positions of the test sets
        marks, D = self._mark(A, weight)
        number = np.full(len(A), -1)
        for fold, rows in enumerate(folds):
            number[rows] = fold
        # Every n-th landmark chooses if there are many; all of them compare the penalty
        # with its neighbours.
        step = -(-len(marks) // ENOUGH_SAMPLES) if len(gammas) > 1 else 1
        every = slice(None, None, step)
        part = marks[every]
        best = self._search(
            D[every, every], part, Y, weight, number, gammas, alphas, judge
        )
        if step > 1:
            place = list(alphas).index(best[2])
            gammas, alphas = [best[1]], alphas[max(place - 1, 0) : place + 2]
            best = self._search(D, marks, Y, weight, number, gammas, alphas, judge)
        _, self.gamma, self.alpha, self.extra, w, U, b, self.F = best
        root = np.sqrt(weight[marks])
        if len(marks) == len(A):
            self.coef = root[:, None] * (U @ (b / (w + self.alpha)[:, None]))
            return self
        P, M = self._features(A, root, w, U)
        G, b = (P.T * weight) @ P, (P.T * weight) @ Y
        G[np.diag_indices_from(G)] += self.alpha
        self.F = np.empty_like(Y)
        for rows in folds:
            share = P[rows].T * weight[rows]
            without = np.linalg.solve(G - share @ P[rows], b - share @ Y[rows])
            self.F[rows] = P[rows] @ without
        self.coef = M @ np.linalg.solve(G, b)
        self.extra, _ = judge(self.F, np.arange(len(A)))
        return self

    @staticmethod
    def _search(D, marks, Y, weight, number, gammas, alphas, judge):
        """Best loss, gamma and alpha of exact solutions for some samples."""
        # D (m, m) relative distances of the samples `marks` (m,); number of the folds
        folds = [np.flatnonzero(number[marks] == k) for k in np.unique(number[marks])]
        root, best = np.sqrt(weight[marks]), None
        for gamma in gammas:
            w, U = eigen(D, gamma, root)
            b = U.T @ (root[:, None] * Y[marks])
            for alpha in alphas:
                F = held_out(U, 1 / (w + alpha), b, Y[marks], root, folds)
                extra, loss = judge(F, marks)
                if best is None or loss < best[0]:
                    best = loss, gamma, alpha, extra, w, U, b, F
        return best

    def _features(self, A, root, w, U):
        """Nystroem features of some rows, and the map from the kernel to them."""
        kept = w > TINY * w[-1]
        M = root[:, None] * U[:, kept] / np.sqrt(w[kept])
        return self.kernel(A) @ M, M

    def path(self, A, Y, weight, gammas, alphas):
        """Yield gamma, alpha and the coefficients of each, without held-out samples."""
        marks, D = self._mark(A, weight)
        root = np.sqrt(weight[marks])
        for self.gamma in gammas:
            w, U = eigen(D, self.gamma, root)
            Q, b = root[:, None] * U, U.T @ (root[:, None] * Y[marks])
            if len(marks) < len(A):
                P, M = self._features(A, root, w, U)
                w, R = np.linalg.eigh((P.T * weight) @ P)
                Q, b = M @ R, R.T @ ((P.T * weight) @ Y)
            for self.alpha in alphas:
                self.coef = Q @ (b / (np.maximum(w, 0) + self.alpha)[:, None])
                yield self.gamma, self.alpha, self.coef

    def kernel(self, A):
        """Kernel between rows and the landmarks."""
        K = self.distance(A, self.landmarks)
        K *= -self.gamma / self.median
        return np.exp(K, out=K)

    def predict(self, A):
        """Predictions for other rows, (n, d) -> (n, k)."""
        return self.kernel(A) @ self.coef


def eigen(D, gamma, root):
    """Eigenvalues and vectors of the weighted kernel of relative distances."""
    w, U = np.linalg.eigh(np.exp(-gamma * D) * root[:, None] * root)
    return np.maximum(w, 0), U


# ------------------------------------------------------------------------- estimators

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


def class_frequencies(codes, n_classes, weight):
    """Weighted class frequencies, none of them 0.

    A class without samples gets one over the number of samples plus the number of
    classes, at the expense of the others.
    """
    mass = np.bincount(codes, weight, minlength=n_classes)
    unseen = mass == 0
    floor = 1 / (mass.sum() + n_classes)
    return np.where(unseen, floor, mass / mass.sum() * (1 - floor * unseen.sum()))


def partition(cv, X, y, groups, classifier):
    """Test sets of a splitter as positions; each sample must be in exactly one."""
    folds = [
        test for _, test in check_cv(cv, y, classifier=classifier).split(X, y, groups)
    ]
    counts = np.bincount(np.concatenate(folds), minlength=len(X))
    if not (counts == 1).all():
        raise ValueError(
            f"cv={cv!r} must put each sample in exactly one test set; "
            f"{np.count_nonzero(counts != 1)} of {len(X)} samples are in none or in "
            "several."
        )
    return folds


class _BaseKernel(SkmissingEstimator):
    """Validation, columns and the choice of gamma and alpha; not for direct use."""

    _parameter_constraints: dict = {**_CONSTRAINTS}

    def _columns(self, X, weight):
        kind = Standard if self.kernel == "laplacian" else NormalScores
        return kind(np.asarray(X, dtype=np.float64), weight)

    def _grid(self):
        grid = []
        for name, usual in (("gamma", GAMMAS), ("alpha", ALPHAS)):
            values = getattr(self, name)
            values = np.atleast_1d(usual[self.kernel] if values is None else values)
            if not (values > 0).all():
                raise ValueError(f"{name} must be positive; got {values.tolist()}.")
            grid.append(values)
        return grid

    def _folds(self, X, y, groups, used):
        """Test sets among the used samples, as positions."""
        position = np.cumsum(used) - 1
        folds = partition(self.cv, X, y, groups, is_classifier(self))
        folds = [position[rows[used[rows]]] for rows in folds]
        return [rows for rows in folds if len(rows)]


class _KernelClassifier(ClassifierMixin, _BaseKernel):
    """Classes, weights and folds; not for direct use."""

    def _fit_classes(self, X, y, sample_weight, groups):
        """Validate, and fit on the samples of positive weight."""
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
        """Log-probabilities of the classes.

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
        A = self._scale(np.asarray(X, dtype=np.float64))
        return self._predict_log_proba(A)

    def predict_proba(self, X):
        """Probabilities of the classes.

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
        """Likeliest classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Complete samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            One of `classes_` per sample.
        """
        return self.classes_[self.predict_log_proba(X).argmax(axis=1)]


class KernelRidgeClassifier(_KernelClassifier):
    """Kernel least squares classifier that chooses its kernel out of fold.

    One-hot targets less the class frequencies are fitted by least squares with a
    kernel. The scores F become probabilities by softmax(log frequencies + T F). The
    width of the kernel, the penalty and the temperature T are those of least log-loss
    on samples that the solution has not seen. Their predictions have a closed form, so
    that all folds cost little more than one fit.

    Parameters
    ----------
    kernel : {"rbf", "laplacian", "relevance"}, default="rbf"
        "rbf" is Gaussian, on columns turned to normal scores by rank. "laplacian" is
        the exponential of minus the cityblock distance, on standardised columns.
        "relevance" is "rbf" with each column weighted by how far the classes differ
        in it.

    gamma : float, array-like of float or None, default=None
        Kernel widths to choose from, relative to the median distance: the kernel is
        `exp(-gamma * distance / median)`. None takes a few usual ones.

    alpha : float, array-like of float or None, default=None
        Penalties to choose from. None takes a few usual ones.

    cv : int, cross-validation generator or iterable, default=5
        Folds for the choice and for `oof_log_proba_`. Each sample must be in exactly
        one test set.

    max_samples : int, default=1000
        Above this number of samples the kernel has as many random landmarks, and time
        and memory grow linearly.

    random_state : int, RandomState instance or None, default=None
        Seed of the landmarks.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    gamma_, alpha_, temperature_ : float
        What was chosen.

    oof_log_proba_ : ndarray of shape (n_samples, n_classes)
        Log-probabilities of the training samples, each by a solution without its fold.

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
    With K the kernel, S the square roots of the weights and
    :math:`G = (S K S + \\alpha I)^{-1}`, the held-out scores of a fold are
    :math:`Y_f - S_f^{-1} G_{ff}^{-1} (G S Y)_f`. With `kernel="relevance"` the weights
    of the columns see the targets, and are computed inside each fold.

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
        """Fit to checked arrays, of positive weight."""
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
        """Columns times the relevance that these samples give them."""
        self._relevance = class_relevance(A, codes, weight, len(self.classes_))
        return A * self._relevance

    def _held_out_relevance(self, A, codes, weight, folds, solver, judge):
        """Choose gamma, alpha and temperature; the relevance is that of each fold."""
        gammas, alphas = self._grid()
        K, onehot = len(self.classes_), np.eye(len(self.classes_))
        F = np.zeros((len(gammas) * len(alphas), len(A), K))
        for rows in folds:
            rest = np.setdiff1d(np.arange(len(A)), rows)
            if not len(rest):
                continue
            frequencies = class_frequencies(codes[rest], K, weight[rest])
            B = self._weigh(A[rest], codes[rest], weight[rest])
            Y = onehot[codes[rest]] - frequencies
            shift = frequencies - np.exp(self._log_prior)
            new = A[rows] * self._relevance
            for i, _ in enumerate(solver.path(B, Y, weight[rest], gammas, alphas)):
                F[i, rows] = solver.predict(new) + shift
        judged = [judge(f, np.arange(len(A))) for f in F]
        best = min(range(len(F)), key=lambda i: judged[i][1])
        self.gamma_, self.alpha_ = (
            gammas[best // len(alphas)],
            alphas[best % len(alphas)],
        )
        self.temperature_ = judged[best][0]
        return F[best]

    def _log_proba(self, F):
        return log_softmax(self._log_prior + self.temperature_ * F, axis=1)

    def _predict_log_proba(self, A):
        if self._relevance is not None:
            A = A * self._relevance
        return self._log_proba(self._solution.predict(A))


class KernelRidgeRegressor(RegressorMixin, _BaseKernel):
    """Kernel least squares regressor that chooses its kernel out of fold.

    The target is standardised. Predictions are multiplied by the factor, in [0, 1.5],
    of least squared error on samples that the solution has not seen; the width of the
    kernel and the penalty are chosen by that error, too.

    Parameters
    ----------
    kernel : {"rbf", "laplacian"}, default="rbf"
        "rbf" is Gaussian, on columns turned to normal scores by rank. "laplacian" is
        the exponential of minus the cityblock distance, on standardised columns.

    gamma : float, array-like of float or None, default=None
        Kernel widths to choose from, relative to the median distance: the kernel is
        `exp(-gamma * distance / median)`. None takes a few usual ones.

    alpha : float, array-like of float or None, default=None
        Penalties to choose from. None takes a few usual ones.

    cv : int, cross-validation generator or iterable, default=5
        Folds for the choice and for `oof_prediction_`. Each sample must be in exactly
        one test set.

    max_samples : int, default=1000
        Above this number of samples the kernel has as many random landmarks, and time
        and memory grow linearly.

    random_state : int, RandomState instance or None, default=None
        Seed of the landmarks.

    Attributes
    ----------
    gamma_, alpha_ : float
        What was chosen.

    oof_prediction_ : ndarray of shape (n_samples,)
        Predictions for the training samples, each by a solution without its fold.

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
        """Fit to checked arrays, of positive weight."""
        self._scale = self._columns(X, weight)
        A = self._scale(np.asarray(X, dtype=np.float64))
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
        A = self._scale(np.asarray(X, dtype=np.float64))
        return self._to_units(self._solution.extra * self._solution.predict(A))


class KernelLogisticClassifier(_KernelClassifier):
    """Logistic regression on the leading kernel principal components.

    The kernel is Gaussian, on columns turned to normal scores by rank. Its width and
    the penalty are those of least log-loss on held-out samples.

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
        Above this number of samples the components are those of as many random
        samples.

    random_state : int, RandomState instance or None, default=None
        Seed of these.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    gamma_, C_ : float
        What was chosen.

    oof_log_proba_ : ndarray of shape (n_samples, n_classes)
        Log-probabilities of the training samples, each by a model without its fold.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    See Also
    --------
    KernelRidgeClassifier : Least squares in place of logistic regression.

    Notes
    -----
    The components are those of all training samples, held-out ones included; they do
    not see the targets.

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
        """Fit to checked arrays, of positive weight."""
        n_classes = len(self.classes_)
        self._scale = self._columns(X, weight)
        A = self._scale(np.asarray(X, dtype=np.float64))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        solver = KernelLeastSquares("rbf", self.max_samples, seed)
        marks, D = solver._mark(A, weight)
        root, best = np.sqrt(weight[marks]), None
        for solver.gamma in np.atleast_1d(self.gamma):
            w, U = eigen(D, solver.gamma, root)
            leading = slice(None, -self.n_components - 1, -1)
            Z, M = solver._features(A, root, w[leading], U[:, leading])
            for C in np.atleast_1d(self.C):
                model = LogisticRegression(C=C, max_iter=300, tol=1e-3)
                L = held_out_log_proba(model, Z, codes, weight, folds, n_classes)
                loss = log_loss(L, codes, weight)
                if best is None or loss < best[0]:
                    best = loss, solver.gamma, C, Z, M, model, L
        _, solver.gamma, self.C_, Z, self._map, model, self.oof_log_proba_ = best
        self.gamma_, self.C_ = float(solver.gamma), float(self.C_)
        self._solution, self._model = solver, None
        self._frequencies = class_frequencies(codes, n_classes, weight)
        if n_classes > 1:
            self._model = model.fit(Z, codes, weight)

    def _predict_log_proba(self, A):
        if self._model is None:
            return np.zeros((len(A), 1))
        return self._model.predict_log_proba(self._solution.kernel(A) @ self._map)


def held_out_log_proba(model, Z, codes, weight, folds, n_classes):
    """Log-probabilities of each fold by clones that were fitted without it.

    A class that a fold lacks has its frequency.
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
