"""Kernel least squares: columns, distances, solutions and held-out predictions."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import ndtri

# With at most this number of samples, all columns are searched at once.
FEW_SAMPLES = 8
# With at most this number of samples, all are used to choose the width of a kernel.
ENOUGH_SAMPLES = 500
# Standard deviation of the normal prior on the logarithm of the temperature.
TEMPERATURE_DEVIATION = 3.0
# Added to the relevance of every column, so that none has weight 0.
LEAST_RELEVANCE = 0.02
# Eigenvalues below this share of the largest are rounding errors.
TINY = 1e-7


# ---------------------------------------------------------------- columns and distances


class NormalScores:
    """Transform columns to normal scores of their mid-ranks in the training samples.

    A value above r of n training samples becomes the normal quantile of
    (r + 1/2) / (n + 1). An equal sample counts half. Samples are weighted.
    """

    def __init__(self, X, weight):
        self.kept = np.flatnonzero(X.min(axis=0) < X.max(axis=0))
        X = X[:, self.kept]
        order = np.argsort(X, axis=0)
        self.values = np.asfortranarray(np.take_along_axis(X, order, axis=0))
        self.below = np.cumsum(np.pad(weight[order], [(1, 0), (0, 0)]), axis=0)
        # Table of the scores of all ranks, if ranks are halves of whole numbers.
        self.table, self.total = None, weight.sum()
        if (weight == 1).all():
            self.below = None
            self.table = self._score(np.arange(2 * len(order) + 1) / 2)

    def __call__(self, X):
        X = X[:, self.kept]
        if len(X) <= FEW_SAMPLES:
            low, tied = self._count(X, np.less)
            high = self._count(X, np.less_equal)[0] if tied else low
            twice = self._twice(low, high, None)
        else:
            # It is faster to search for sorted values.
            X = np.asfortranarray(X)
            order = np.argsort(X, axis=0)
            twice = np.empty(X.shape, order="F")
            for j, places in enumerate(order.T):
                old, new = self.values[:, j], X[:, j][places]
                low = high = old.searchsorted(new)
                tied = old.take(low, mode="clip") == new
                if tied.any():
                    high = low.copy()
                    high[tied] = old.searchsorted(new[tied], "right")
                twice[:, j][places] = self._twice(low, high, j)
        if self.table is None:
            return np.ascontiguousarray(self._score(twice / 2))
        return self.table[np.ascontiguousarray(twice.astype(np.int32))]

    def _count(self, X, before):
        """Number of training values before those of X, and whether some are equal."""
        # All columns are bisected at once: the first `low` values are before those of X
        n, d = self.values.shape
        flat, first = self.values.ravel(order="F"), n * np.arange(d)
        low, step = np.zeros(X.shape, dtype=np.intp), 1 << n.bit_length()
        while step > 1:
            step //= 2
            last = np.minimum(low + step, n) - 1
            after = before(flat.take(first + last), X) & (low + step <= n)
            low += step * after
        return low, (flat.take(first + np.minimum(low, n - 1)) == X).any()

    def _twice(self, low, high, column):
        """Return twice the weight below, where equal values count half."""
        if self.below is None:
            return low + high
        column = np.arange(len(self.kept)) if column is None else column
        return self.below[low, column] + self.below[high, column]

    def _score(self, ranks):
        return ndtri((ranks + 0.5) / (self.total + 1))


class Standard:
    """Scale columns to zero mean and unit variance, without constant columns."""

    def __init__(self, X, weight):
        # Powers of 2 are exact, and prevent overflow and underflow of squares.
        unit = np.ldexp(1.0, np.frexp(np.abs(X).max(axis=0))[1] - 1)
        X = X / unit
        mean = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        self.kept = np.flatnonzero(scale > 1e-9 * np.maximum(np.abs(mean), 1e-300))
        self.mean, self.scale = (mean * unit)[self.kept], (scale * unit)[self.kept]

    def __call__(self, X):
        return np.clip((X[:, self.kept] - self.mean) / self.scale, -1e3, 1e3)


def squared_euclidean(A, B, norms=None):
    """Squared distances, (n, d) and (k, d) -> (n, k); `norms` are those of B."""
    squared = -2 * A @ B.T
    squared += np.einsum("ij,ij->i", A, A)[:, None]
    squared += np.einsum("ij,ij->i", B, B) if norms is None else norms
    return np.maximum(squared, 0, out=squared)


def cityblock(A, B):
    """Sums of absolute differences, (n, d) and (k, d) -> (n, k)."""
    return cdist(A, B, "cityblock")


def weighted_median(distances, weight):
    """Return the median of all pairs, weighted by the product of their weights."""
    if (weight == weight[0]).all():
        median = np.median(distances)
    else:
        order = np.argsort(distances, axis=None)
        mass = np.cumsum(np.outer(weight, weight).ravel()[order])
        # As in numpy, take the mean if there are two middle values.
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


def held_out(G, A, Y, root, folds):
    """Predict each fold by the solution without it.

    Let S be the roots of the weights, G = (S K S + alpha)^-1, and A = G S Y. The
    prediction is Y_f - S_f^-1 G_ff^-1 A_f.
    """
    # G (n, n), A and Y (n, k), root (n,) -> (n, k)
    F = Y.copy()
    for rows in folds:
        error = np.linalg.solve(G[np.ix_(rows, rows)], A[rows])
        F[rows] -= error / root[rows, None]
    return F


def log_loss(L, codes, weight):
    """Weighted mean of minus the log-probability of the class."""
    top = L.max(axis=1)
    norm = top + np.log(np.exp(L - top[:, None]).sum(axis=1))
    terms = norm - L[np.arange(len(codes)), codes]
    return float(weight @ terms / weight.sum())


def fit_temperature(F, codes, log_prior, weight):
    """Return T with the lowest log-loss of softmax(log prior + T F), and that loss.

    The logarithm of T has a normal prior, which counts as one sample.
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

    If there are more than `max_samples` samples, the landmarks of the kernel are
    `max_samples` random samples (Nystroem).
    """

    def __init__(self, kernel, max_samples, seed):
        self.kernel_name = kernel
        self.max_samples = max_samples
        self.seed = seed

    def distance(self, A, B):
        """Distances between samples, (n, d) and (k, d) -> (n, k)."""
        laplacian = self.kernel_name == "laplacian"
        return (cityblock if laplacian else squared_euclidean)(A, B)

    def set_landmarks(self, rows):
        """Set the landmarks of the kernel."""
        self.landmarks = rows
        self._norms = np.einsum("ij,ij->i", rows, rows)

    def _mark(self, A, weight):
        """Choose the landmarks; return their positions and relative distances."""
        marks = np.arange(len(A))
        if len(A) > self.max_samples:
            rng = np.random.RandomState(self.seed)
            marks = np.sort(rng.choice(len(A), self.max_samples, replace=False))
        self.set_landmarks(A[marks])
        D = self.distance(self.landmarks, self.landmarks)
        self.median = weighted_median(D, weight[marks])
        D /= self.median
        return marks, D

    def choose(self, A, Y, weight, folds, gammas, alphas, judge):
        """Choose gamma and alpha with the lowest loss on held-out samples, and solve.

        `judge(F, rows)` returns a factor learnt from held-out predictions, and a loss.
        """
        # A (n, d) columns, Y (n, k) targets, folds: positions of the test sets
        marks, D = self._mark(A, weight)
        number = np.full(len(A), -1)
        for fold, rows in enumerate(folds):
            number[rows] = fold
        # With many landmarks, parameters are chosen on every n-th landmark. The penalty
        # is then compared with the neighbouring penalties on all landmarks.
        step = -(-len(marks) // ENOUGH_SAMPLES) if len(gammas) > 1 else 1
        every = slice(None, None, step)
        part = marks[every]
        best = self._search(
            D[every, every], part, Y, weight, number, gammas, alphas, judge
        )
        if step > 1:
            gammas, alphas = [best[1]], neighbours(alphas, best[2])
            best = self._search(D, marks, Y, weight, number, gammas, alphas, judge)
        _, self.gamma, self.alpha, self.extra, coef, self.F = best
        root = np.sqrt(weight[marks])
        if len(marks) == len(A):
            self.coef = root[:, None] * coef
            return self
        P, M = self._features(A, root, *eigen(D, self.gamma, root))
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
        # D (m, m) relative distances of the samples `marks` (m,); `number` of the folds
        folds = [np.flatnonzero(number[marks] == k) for k in np.unique(number[marks])]
        root, best = np.sqrt(weight[marks]), None
        for gamma in gammas:
            K = weighted_kernel(D, gamma, root)
            for alpha in alphas:
                G = inverse(K, alpha)
                coef = G @ (root[:, None] * Y[marks])
                F = held_out(G, coef, Y[marks], root, folds)
                extra, loss = judge(F, marks)
                if best is None or loss < best[0]:
                    best = loss, gamma, alpha, extra, coef, F
        return best

    def _features(self, A, root, w, U):
        """Nystroem features of some samples, and the map from the kernel to them."""
        kept = w > TINY * w[-1]
        M = root[:, None] * U[:, kept] / np.sqrt(w[kept])
        return self.kernel(A) @ M, M

    def path(self, A, Y, weight, gammas, alphas):
        """Yield gamma, alpha and the coefficients of each, without held-out samples."""
        marks, D = self._mark(A, weight)
        root = np.sqrt(weight[marks])
        for self.gamma in gammas:
            if len(marks) == len(A):
                G, b = weighted_kernel(D, self.gamma, root), root[:, None] * Y
            else:
                P, M = self._features(A, root, *eigen(D, self.gamma, root))
                G, b = (P.T * weight) @ P, (P.T * weight) @ Y
            for self.alpha in alphas:
                coef = cho_solve(cho_factor(add_penalty(G, self.alpha)), b)
                exact = len(marks) == len(A)
                self.coef = root[:, None] * coef if exact else M @ coef
                yield self.gamma, self.alpha, self.coef

    def kernel(self, A):
        """Kernel between samples and the landmarks."""
        if self.kernel_name == "laplacian":
            K = cityblock(A, self.landmarks)
        else:
            K = squared_euclidean(A, self.landmarks, self._norms)
        K *= -self.gamma / self.median
        return np.exp(K, out=K)

    def predict(self, A):
        """Predictions for other samples, (n, d) -> (n, k)."""
        return self.kernel(A) @ self.coef


def eigen(D, gamma, root):
    """Eigenvalues and vectors of the weighted kernel of relative distances."""
    w, U = np.linalg.eigh(weighted_kernel(D, gamma, root))
    return np.maximum(w, 0), U


def weighted_kernel(D, gamma, root):
    """Kernel of relative distances, multiplied by the roots of the weights."""
    return np.exp(-gamma * D) * root[:, None] * root


def inverse(K, alpha):
    """Inverse of a positive semi-definite matrix plus alpha on its diagonal."""
    L = cholesky(add_penalty(K, alpha), lower=True, overwrite_a=True)
    G = np.tril(dpotri(L, lower=1)[0])
    return G + np.tril(G, -1).T


def add_penalty(K, alpha):
    """Add alpha, or at least the size of rounding errors, to a copy's diagonal."""
    K = K.copy()
    K[np.diag_indices_from(K)] += alpha + 1e-13 * np.trace(K)
    return K


def neighbours(values, chosen):
    """The chosen value, the previous one and the next one."""
    place = list(values).index(chosen)
    return values[max(place - 1, 0) : place + 2]


def class_frequencies(codes, n_classes, weight):
    """Weighted class frequencies, none of them 0.

    A class without samples gets 1 / (n_samples + n_classes). The other frequencies are
    reduced accordingly.
    """
    return mass_frequencies(np.bincount(codes, weight, minlength=n_classes))


def mass_frequencies(mass):
    """Class frequencies from the total weight of each class, (..., n_classes)."""
    unseen, total = mass == 0, mass.sum(axis=-1, keepdims=True)
    floor = 1 / (total + mass.shape[-1])
    share = mass / np.where(total > 0, total, 1)
    kept = 1 - floor * unseen.sum(axis=-1, keepdims=True)
    return np.where(unseen, floor, share * kept)
