"""Panels: several unlike models per modality, pooled by their held-out predictions."""

import warnings

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from skmissing.ensemble._base import (
    FLOOR,
    FOREST_CLASSIFIERS,
    FOREST_REGRESSORS,
    EncodedClassifier,
    all_classes,
    make_linear,
    predict_values,
)
from skmissing.ensemble._kernels import (
    KernelLogisticClassifier,
    KernelRidgeClassifier,
    KernelRidgeRegressor,
    NormalScores,
    eigen,
    fit_temperature,
    held_out,
    squared_euclidean,
    weighted_median,
)

PANELS = ("auto", "full", "linear")
# A modality with fewer samples gets the linear model only.
LEAST_SAMPLES = 10
# How many samples the prior of equal pool weights is worth.
POOL_PRIOR = {True: 100.0, False: 20.0}
# The guard against dependent samples: how many it compares at most, in runs of
# neighbours; folds, random ones; and what gap and ratio to their deviation it reports.
MAX_COMPARED, RUN, LEAST_COMPARED = 500, 50, 40
N_COMPARED, N_RANDOM = 5, 20
LEAST_GAP, LEAST_RATIO = 0.02, 4.0
KERNELS = (KernelRidgeClassifier, KernelRidgeRegressor, KernelLogisticClassifier)


def make_panel(name, classifier, random_state):
    """Members of a panel by name, as pairs of a name and an unfitted estimator."""
    members = [("linear", make_linear(classifier))]
    if name == "linear":
        return members
    trees = {
        "n_estimators": 100,
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
    """Probabilities of a classifier that has a decision function only."""

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
    """Scores with one column per class; those of two classes are half each."""
    F = np.asarray(model.decision_function(X), dtype=np.float64)
    return F if F.ndim == 2 else np.stack([-F / 2, F / 2], axis=1)


def fit_classifier(template, block, data, rows, params, folds):
    """Fit a member to some samples; return it and its evidence for held-out ones.

    `folds` are pairs of positions to fit on and to hold out, or None if nothing is to
    be held out. Kernels have closed forms for held-out samples, and forests their
    out-of-bag votes unless samples are grouped; others are fitted once per fold.
    Evidence has shape (n_samples, n_classes); it is NaN for samples never held out.
    """
    codes, weight = data.codes[rows], data.table.weight[rows]

    def fit(template, rows=slice(None)):
        part = {name: value[rows] for name, value in params.items()}
        with warnings.catch_warnings():
            # Of samples that are in the bag of every tree: they have no evidence.
            warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
            return EncodedClassifier.fit(
                template, block[rows], codes[rows], weight[rows], part, data.labels
            )

    E = np.full((len(codes), len(data.labels)), np.nan)
    closed = isinstance(template, KERNELS) and held_out_once(folds, len(rows))
    if closed:
        template = clone(template).set_params(cv=folds)
    member = fit(template)
    model, known = member.model, member.known
    if folds is None and member.has_probabilities:
        return member, E
    if closed and isinstance(model, KERNELS):
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


def held_out_once(folds, n_samples):
    """Whether each sample is held out exactly once."""
    tested = np.concatenate([outside for _, outside in folds or []] or [[]])
    counts = np.bincount(tested.astype(np.intp), minlength=n_samples)
    return bool((counts == 1).all())


def log_ratios(proba, known, frequencies):
    """Log-probabilities of all classes less the logarithm of their frequencies."""
    return np.log(all_classes(proba, known, frequencies, FLOOR)) - np.log(frequencies)


def fit_regressor(template, block, y, params, folds, grouped):
    """Fit a member; return it and its predictions for held-out samples, NaN if none."""
    oof = np.full(len(y), np.nan)
    if isinstance(template, KERNELS) and held_out_once(folds, len(y)):
        model = clone(template).set_params(cv=folds).fit(block, y, **params)
        return model.set_params(cv=template.cv), model.oof_prediction_
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
        model = clone(template).fit(block, y, **params)
    if folds is None:
        return model, oof
    if isinstance(model, FOREST_REGRESSORS) and model.oob_score and not grouped:
        return model, np.where(
            model.oob_prediction_ == 0, np.nan, model.oob_prediction_
        )
    for inside, outside in folds:
        if len(inside) and len(outside):
            part = {name: value[inside] for name, value in params.items()}
            other = clone(template).fit(block[inside], y[inside], **part)
            oof[outside] = predict_values(other, block[outside])
    return model, oof


# ----------------------------------------------------------------------------- pools


def pool_log_loss(E, codes, weight, log_prior):
    """Weights of a log-linear pool of least log-loss, drawn towards equal ones."""
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
    """Weights of a linear pool of least squared error, drawn towards equal ones."""
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
    """Compare held-out errors in folds of neighbours with those in random folds.

    Both kinds of folds are stratified, by class or by tenths of a numeric target, so
    that without dependence one is as likely as the other. Returns the difference of the
    explained shares of variance, and its ratio to the deviation between random folds.
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
    w, U = eigen(D / weighted_median(D, ones), 1.0, ones)
    b = U.T @ Y
    rng = np.random.RandomState(seed)

    def explained(alpha, shuffled):
        order = rng.permutation(len(y)) if shuffled else np.arange(len(y))
        order = order[np.argsort(strata[order], kind="stable")]
        # The number of the sample within its class gives its fold.
        counts = np.bincount(strata)
        within = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
        fold = within * N_COMPARED // counts[strata[order]]
        folds = [order[fold == k] for k in range(N_COMPARED)]
        F = held_out(U, 1 / (w + alpha), b, Y, ones, [f for f in folds if len(f)])
        return 1 - ((Y - F) ** 2).sum() / total

    alpha = max((0.01, 0.1, 1.0), key=lambda alpha: explained(alpha, True))
    random = [explained(alpha, True) for _ in range(N_RANDOM)]
    gap = np.mean(random) - explained(alpha, False)
    return float(gap), float(gap / max(np.std(random, ddof=1), 1e-12))
