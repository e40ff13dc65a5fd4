"""Panels: several models per modality, pooled by their held-out predictions."""

import warnings
from contextlib import contextmanager

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from skmissing.ensemble._base import (
    FLOOR,
    FOREST_CLASSIFIERS,
    FOREST_REGRESSORS,
    LINEAR_C,
    EncodedClassifier,
    all_classes,
    is_default_linear,
    make_linear,
    predict_values,
)
from skmissing.ensemble._kernels import (
    KERNELS,
    KernelLogisticClassifier,
    KernelRidgeClassifier,
    KernelRidgeRegressor,
)
from skmissing.ensemble._least_squares import (
    NormalScores,
    fit_temperature,
    held_out,
    inverse,
    mass_frequencies,
    squared_euclidean,
    weighted_kernel,
    weighted_median,
)

PANELS = ("auto", "full", "linear")
N_TREES = 100
# A modality with fewer samples gets the first member only.
LEAST_SAMPLES = 10
# With more modalities than the first number, modalities with fewer columns than the
# second get the linear model only.
MANY_MODALITIES, NARROW = 50, 10
# With at most this number of coefficients, all folds of the linear model are fitted at
# once.
FEW_COEFFICIENTS = 24
# Strength of the prior of equal pool weights, as a number of samples.
POOL_PRIOR = {True: 100.0, False: 20.0}
# Check for dependent samples: maximum number of samples, length of runs of neighbouring
# samples, and minimum number of samples.
MAX_COMPARED, RUN, LEAST_COMPARED = 400, 50, 40
# Number of folds, and number of draws of random folds.
N_COMPARED, N_RANDOM = 5, 20
# Limits for a warning: the difference, and its ratio to the deviation between draws.
LEAST_GAP, LEAST_RATIO = 0.02, 4.0


def make_panel(name, classifier, random_state):
    """Members of a panel by name, as pairs of a name and an unfitted estimator."""
    members = [("linear", make_linear(classifier))]
    if name == "linear":
        return members
    trees = {
        "n_estimators": N_TREES,
        "bootstrap": True,
        "oob_score": True,
        "random_state": random_state,
    }
    kernel = {"random_state": random_state}
    if classifier:
        members += [
            ("rbf", KernelRidgeClassifier(**kernel)),
            ("trees", ExtraTreesClassifier(min_samples_leaf=2, **trees)),
        ]
        if name == "full":
            members += [
                ("relevance", KernelRidgeClassifier("relevance", **kernel)),
                ("laplacian", KernelRidgeClassifier("laplacian", **kernel)),
                ("logistic", KernelLogisticClassifier(**kernel)),
            ]
        return members
    forest = ExtraTreesRegressor(min_samples_leaf=3, max_features=0.33, **trees)
    members += [("rbf", KernelRidgeRegressor(**kernel)), ("trees", forest)]
    if name == "full":
        members.append(("laplacian", KernelRidgeRegressor("laplacian", **kernel)))
    return members


# ------------------------------------------------------------------------ one member


class TemperatureScaled:
    """Probabilities of a classifier that only has a decision function."""

    def __init__(self, model, temperature, frequencies):
        self.model = model
        self.temperature = temperature
        self.frequencies = frequencies
        self.classes_ = model.classes_

    def predict_proba(self, X):
        """Softmax of the log frequencies plus the scaled scores."""
        F = decision_scores(self.model, X)
        return softmax(np.log(self.frequencies) + self.temperature * F, axis=1)


def decision_scores(model, X):
    """Scores with one column per class; with two classes, plus and minus a half."""
    F = np.asarray(model.decision_function(X), dtype=np.float64)
    return F if F.ndim == 2 else np.stack([-F / 2, F / 2], axis=1)


def fit_classifier(template, block, data, rows, params, folds):
    """Fit a member to some samples; return it and its evidence on held-out samples.

    `folds` are pairs of positions to fit on and to hold out, or None to hold out
    nothing. Kernels have a closed form for held-out samples. Forests use out-of-bag
    votes unless samples are grouped. Other models are fitted once per fold. Evidence
    has shape (n_samples, n_classes). It is NaN for samples that are never held out.
    """
    codes, weight = data.codes[rows], data.table.weight[rows]
    n_coefficients = (block.shape[1] + 1) * len(data.labels)
    if n_coefficients <= FEW_COEFFICIENTS and is_default_linear(template):
        fitted = fit_narrow(block, codes, weight, folds or [], len(data.labels))
        if fitted is not None:
            return fitted

    def fit(template, rows=slice(None)):
        part = {name: value[rows] for name, value in params.items()}
        with quiet():
            return EncodedClassifier.fit(
                template, block[rows], codes[rows], weight[rows], part, data.labels
            )

    E = np.full((len(codes), len(data.labels)), np.nan)
    closed = isinstance(template, KERNELS) and held_out_once(folds, len(rows))
    member = fit(clone(template).set_params(cv=folds) if closed else template)
    model, known = member.model, member.known
    if folds is None and member.has_probabilities:
        return member, E
    if closed and isinstance(model, KERNELS):
        model.set_params(cv=template.cv)
        proba = np.exp(model.oof_log_proba_)
    elif isinstance(model, FOREST_CLASSIFIERS) and model.oob_score and not data.grouped:
        proba = model.oob_decision_function_
        proba[proba.sum(axis=1) == 0] = np.nan
    elif member.has_probabilities:
        for inside, outside in folds:
            if len(inside) and len(outside):
                E[outside] = fit(template, inside).evidence(block[outside])
        return member, E
    else:
        prior = member.frequencies[known] / member.frequencies[known].sum()
        F = np.full((len(codes), len(known)), np.nan)
        for inside, outside in folds or []:
            if len(inside) and len(np.unique(codes[inside])) == len(known):
                F[outside] = decision_scores(
                    fit(template, inside).model, block[outside]
                )
        T, measured = 1.0, ~np.isnan(F).any(axis=1)
        if measured.any():
            inner = np.searchsorted(known, codes[measured])
            T, _ = fit_temperature(F[measured], inner, np.log(prior), weight[measured])
        member.model = TemperatureScaled(model, T, prior)
        proba = softmax(np.log(prior) + T * F, axis=1)
    return member, log_ratios(proba, known, member.frequencies)


@contextmanager
def quiet():
    """Ignore warnings of scikit-learn that are caused by our folds and modalities.

    Samples may be in the training set of every tree, and classes may have few samples.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        warnings.filterwarnings("ignore", "The least populated class in y has only")
        yield


def fit_narrow(block, codes, weight, folds, n_classes):
    """Fit the default linear classifier to few columns, also without each fold.

    Newton's method fits the classifier to all samples. From this solution, it fits the
    classifiers without a fold, all at once. Return the member and its evidence, or None
    if the method does not converge.
    """
    # block (n, d), codes and weight (n,) -> evidence (n, classes)
    folds = [fold for fold in folds if len(fold[0]) and len(fold[1])]
    inside = np.zeros((len(folds) + 1, len(codes)))
    inside[-1] = 1
    for mask, (rows, _) in zip(inside, folds):
        mask[rows] = 1
    onehot = np.eye(n_classes)[codes]
    W, mass = inside * weight, (inside * weight) @ onehot
    total, known = mass.sum(axis=1, keepdims=True), mass > 0
    if known[-1].sum() == 1:
        return None
    X = np.asarray(block, dtype=np.float64)
    mean = W @ X / total
    variance = np.maximum(W @ (X - mean[-1]) ** 2 / total - (mean - mean[-1]) ** 2, 0)
    scale = np.sqrt(variance)
    scale[scale <= 1e-7 * np.abs(mean) + np.finfo(float).tiny] = 1
    Z = np.ones((len(W), X.shape[1] + 1, len(X)))
    Z[:, :-1] = (X.T - mean[:, :, None]) / scale[:, :, None]
    # With two classes, scikit-learn penalises the difference of the slopes.
    penalty = (1 + (known.sum(axis=1) == 2)) / LINEAR_C
    frequencies = mass_frequencies(mass)
    problem = Z, W, known, penalty
    B = solve_logistic(onehot.T, *(part[-1:] for part in problem))
    if B is None:
        return None
    E = np.full((len(codes), n_classes), np.nan)
    if folds:
        others = solve_logistic(onehot.T, *(part[:-1] for part in problem), start=B)
        if others is None:
            return None
        for f, (_, outside) in enumerate(folds):
            seen = np.flatnonzero(known[f])
            P = logistic_proba(others[f : f + 1], Z[f : f + 1, :, outside])[0]
            E[outside] = log_ratios(P[seen].T, seen, frequencies[f])
    seen = np.flatnonzero(known[-1])
    model = as_pipeline(mean[-1], variance[-1], scale[-1], B[0][seen], len(codes))
    return EncodedClassifier(model, seen, frequencies[-1], True), E


def as_pipeline(mean, variance, scale, coefficients, n_samples):
    """Build a fitted default linear classifier from its parameters."""
    # mean, variance and scale (d,), coefficients (classes, d + 1)
    model = make_linear(classifier=True)
    scaler, last = model
    scaler.n_features_in_ = last.n_features_in_ = len(mean)
    scaler.mean_, scaler.var_, scaler.scale_ = mean, variance, scale
    scaler.n_samples_seen_ = n_samples
    last.classes_ = np.arange(len(coefficients))
    if len(coefficients) == 2:
        coefficients = np.diff(coefficients, axis=0)
    last.coef_, last.intercept_ = coefficients[:, :-1], coefficients[:, -1]
    last.n_iter_ = np.ones(1, dtype=np.int32)
    return model


def solve_logistic(Y, Z, W, known, penalty, start=0.0, max_iter=30):
    """Coefficients of several logistic regressions, or None."""
    # Y (k, n) one-hot, Z (f, p, n) columns, the last of ones, W (f, n) weights,
    # known (f, k) classes, penalty (f,), start (1, k, p) -> (f, k, p)
    n_models, p, n_samples = Z.shape
    k = len(Y)
    B, each = np.zeros((n_models, k, p)) + start, np.arange(k)
    B[~known] = 0
    B[~known, -1] = -np.inf
    ridge = np.zeros((n_models, k, p, k, p))
    for j in range(p - 1):
        ridge[:, each, j, each, j] = penalty[:, None]
    # The sum of the intercepts, and the steps of unknown classes, are 0.
    ridge[:, :, -1, :, -1] = 1
    ridge[:, each, -1, each, -1] += ~known
    columns = Z.swapaxes(1, 2)
    for _ in range(max_iter):
        P = logistic_proba(B, Z)
        slope = (W[:, None] * (P - Y)) @ columns
        slope[:, :, :-1] += penalty[:, None, None] * B[:, :, :-1]
        V = (P[:, :, None] * Z[:, None]).reshape(n_models, k * p, n_samples)
        WV = W[:, None] * V
        H = ridge - (WV @ V.swapaxes(1, 2)).reshape(ridge.shape)
        blocks = (WV @ columns).reshape(n_models, k, p, p)
        H[:, each, :, each] += blocks.swapaxes(0, 1)
        H, slope = H.reshape(n_models, k * p, -1), slope.reshape(n_models, k * p, 1)
        step = np.linalg.solve(H, slope).reshape(B.shape)
        B -= step
        # The remaining error is of the order of the square.
        if np.abs(step).max() < 5e-3:
            return B
        if not np.abs(step).max() < 1e3:
            break
    return None


def logistic_proba(B, Z):
    """Probabilities, (f, k, p) coefficients and (f, p, n) columns -> (f, k, n)."""
    P = B[:, :, :-1] @ Z[:, :-1] + B[:, :, -1:]
    P = np.exp(P - P.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    return P


def held_out_once(folds, n_samples):
    """Whether each sample is held out exactly once."""
    tested = np.concatenate([outside for _, outside in folds or []] or [[]])
    counts = np.bincount(tested.astype(np.intp), minlength=n_samples)
    return bool((counts == 1).all())


def log_ratios(proba, known, frequencies):
    """Log-probabilities of all classes minus the logarithms of the frequencies."""
    return np.log(all_classes(proba, known, frequencies, FLOOR)) - np.log(frequencies)


def fit_regressor(template, block, y, params, folds, grouped):
    """Fit a member; return it and its held-out predictions, NaN if not held out."""
    oof = np.full(len(y), np.nan)

    def fit(template, rows=slice(None)):
        part = {name: value[rows] for name, value in params.items()}
        with quiet():
            return clone(template).fit(block[rows], y[rows], **part)

    if isinstance(template, KERNELS) and held_out_once(folds, len(y)):
        model = fit(clone(template).set_params(cv=folds))
        return model.set_params(cv=template.cv), model.oof_prediction_
    model = fit(template)
    if folds is None:
        return model, oof
    if isinstance(model, FOREST_REGRESSORS) and model.oob_score and not grouped:
        return model, np.where(
            model.oob_prediction_ == 0, np.nan, model.oob_prediction_
        )
    for inside, outside in folds:
        if len(inside) and len(outside):
            oof[outside] = predict_values(fit(template, inside), block[outside])
    return model, oof


# ----------------------------------------------------------------------------- pools


def pool_log_loss(E, codes, weight, log_prior):
    """Weights of a log-linear pool that minimise the log-loss, with a prior of 1/n."""
    # E (n, members, classes) evidence, codes (n,), weight (n,) -> (members,)
    n_members = E.shape[1]
    equal = np.full(n_members, 1 / n_members)
    each = np.arange(len(codes))
    prior = POOL_PRIOR[True]

    def objective(a):
        L = log_prior + np.einsum("nek,e->nk", E, a)
        norm = logsumexp(L, axis=1)
        residual = np.exp(L - norm[:, None])
        residual[each, codes] -= 1
        loss = weight @ (norm - L[each, codes])
        gradient = np.einsum("nk,nek->e", residual * weight[:, None], E)
        away = a - equal
        return loss + 0.5 * prior * away @ away, gradient + prior * away

    best = minimize(
        objective, equal, jac=True, method="L-BFGS-B", bounds=[(0, None)] * n_members
    )
    return best.x


def pool_squared_error(P, y, weight):
    """Weights of a linear pool that minimise squared errors, with a prior of 1/n."""
    # P (n, members) centred predictions, y (n,) centred targets -> (members,)
    n_members = P.shape[1]
    variance = weight @ y**2 / weight.sum()
    equal = np.full(n_members, 1 / n_members)
    if variance == 0:
        return equal
    prior = POOL_PRIOR[False]
    G = (P.T * weight) @ P / variance + prior * np.eye(n_members)
    h = (P.T * weight) @ y / variance + prior * equal
    best = minimize(
        lambda a: (0.5 * a @ G @ a - h @ a, G @ a - h),
        equal,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * n_members,
    )
    return best.x


# ------------------------------------------------------------------------- dependence


def measure_dependence(block, y, classifier, seed):
    """Compare held-out errors in random folds and in folds of neighbouring samples.

    Both kinds of folds are stratified, by class or by deciles of a numeric target. If
    samples are independent, errors have the same distribution in both. Return the
    difference of the explained shares of variance, and its ratio to the deviation
    between random folds.
    """
    # block (n, d) in the order given to fit, y (n,) codes of classes or numbers
    rows = np.arange(len(y))
    if len(y) > MAX_COMPARED:
        starts = np.linspace(0, len(y) - RUN, MAX_COMPARED // RUN).round()
        rows = np.unique((starts[:, None] + np.arange(RUN)).astype(np.intp))
    block, y = block[rows], y[rows]
    if classifier:
        strata = np.unique(y, return_inverse=True)[1]
        Y = np.eye(strata.max() + 1)[strata]
    else:
        strata, Y = np.argsort(np.argsort(y, kind="stable")) * 10 // len(y), y[:, None]
    Y = Y - Y.mean(axis=0)
    total = (Y**2).sum()
    if total == 0 or len(y) < LEAST_COMPARED:
        return np.nan, 0.0
    ones = np.ones(len(y))
    A = NormalScores(block, ones)(block)
    D = squared_euclidean(A, A)
    K = weighted_kernel(D / weighted_median(D, ones), 1.0, ones)
    solved = {alpha: inverse(K, alpha) for alpha in (0.01, 0.1, 1.0)}
    solved = {alpha: (G, G @ Y) for alpha, G in solved.items()}
    rng = np.random.RandomState(seed)

    def explained(alpha, shuffled):
        order = rng.permutation(len(y)) if shuffled else np.arange(len(y))
        order = order[np.argsort(strata[order], kind="stable")]
        # The number of the sample within its class gives its fold.
        counts = np.bincount(strata)
        within = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
        fold = within * N_COMPARED // counts[strata[order]]
        folds = [order[fold == k] for k in range(N_COMPARED)]
        F = held_out(*solved[alpha], Y, ones, [f for f in folds if len(f)])
        return 1 - ((Y - F) ** 2).sum() / total

    alpha = max(solved, key=lambda alpha: explained(alpha, True))
    random = [explained(alpha, True) for _ in range(N_RANDOM)]
    gap = np.mean(random) - explained(alpha, False)
    return float(gap), float(gap / max(np.std(random, ddof=1), 1e-12))
