"""Panels: several unlike models per modality, pooled by their held-out predictions."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.ensemble._base import FLOOR, predict_values
from skmissing.ensemble._kernels import (
    KernelLogisticClassifier,
    KernelRidgeClassifier,
    KernelRidgeRegressor,
    class_frequencies,
    fit_temperature,
)

PANELS = ("auto", "full", "linear")
# A modality with fewer samples gets the linear model only.
LEAST_SAMPLES = 10
# How many samples the prior of equal pool weights is worth.
POOL_PRIOR = {True: 100.0, False: 20.0}
FORESTS = (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
KERNELS = (KernelRidgeClassifier, KernelRidgeRegressor, KernelLogisticClassifier)


def make_panel(name, classifier, random_state):
    """Members of a panel by name, as pairs of a name and an unfitted estimator."""
    linear = (
        LogisticRegression(C=0.05, max_iter=1000) if classifier else BayesianRidge()
    )
    members = [("linear", make_pipeline(StandardScaler(), linear))]
    if name == "linear":
        return members
    trees = {
        "n_estimators": 200,
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


def fit_classifier(template, block, codes, weight, params, folds, grouped, n_classes):
    """Fit a member; return it and its evidence for held-out samples.

    `folds` are pairs of positions to fit on and to hold out, or None if nothing is to
    be held out. Kernels have closed forms for held-out samples, and forests their
    out-of-bag votes unless samples are grouped; others are fitted once per fold.
    Evidence has shape (n_samples, n_classes); it is NaN for samples never held out.
    """
    E = np.full((len(codes), n_classes), np.nan)
    frequencies = class_frequencies(codes, n_classes, weight)
    known, inner = np.unique(codes, return_inverse=True)
    if len(known) == 1:
        model = DummyClassifier(strategy="prior").fit(block, inner)
    elif folds is not None and isinstance(template, KERNELS):
        return fit_kernel(template, block, inner, params, folds, (known, frequencies))
    else:
        model = clone(template).fit(block, inner, **params)
    calibrated = len(known) > 1 and not hasattr(model, "predict_proba")
    if folds is None and not calibrated:
        return model, E
    if isinstance(model, FORESTS) and model.bootstrap and model.oob_score:
        if not grouped:
            votes = model.oob_decision_function_
            voted = votes.sum(axis=1) > 0
            E[voted] = log_ratios(votes[voted], known, frequencies)
            return model, E
    F = np.full((len(codes), len(known)), np.nan)
    for inside, outside in folds:
        if not len(inside) or not len(outside):
            continue
        part = {name: value[inside] for name, value in params.items()}
        seen, target = np.unique(codes[inside], return_inverse=True)
        shares = class_frequencies(codes[inside], n_classes, weight[inside])
        if len(seen) == 1:
            other = DummyClassifier(strategy="prior")
        else:
            other = clone(template)
        other.fit(block[inside], target, **part)
        if not calibrated:
            E[outside] = log_ratios(other.predict_proba(block[outside]), seen, shares)
        elif len(seen) > 1:
            columns = np.searchsorted(known, seen)
            F[np.ix_(outside, columns)] = decision_scores(other, block[outside])
    if calibrated:
        measured = ~np.isnan(F).any(axis=1)
        T = 1.0
        log_prior = np.log(frequencies[known] / frequencies[known].sum())
        if measured.any():
            T, _ = fit_temperature(
                F[measured], inner[measured], log_prior, weight[measured]
            )
        model = TemperatureScaled(model, T, np.exp(log_prior))
        proba = softmax(log_prior + T * F[measured], axis=1)
        E[measured] = log_ratios(proba, known, frequencies)
    return model, E


def fit_kernel(template, block, codes, params, folds, classes):
    """Fit a kernel classifier, whose held-out predictions have a closed form."""
    known, frequencies = classes
    model = clone(template).set_params(cv=folds).fit(block, codes, **params)
    model.set_params(cv=template.cv)
    return model, log_ratios(np.exp(model.oof_log_proba_), known, frequencies)


def read_evidence(model, block, known, frequencies, floor):
    """Evidence of a fitted classifier for a block, (n_samples, n_classes)."""
    return log_ratios(model.predict_proba(block), known, frequencies, floor)


def log_ratios(proba, known, frequencies, floor=FLOOR):
    """Log-probabilities of all classes less the logarithm of their frequencies.

    A class that the model has not seen has its frequency: no evidence either way.
    Probabilities count as at least `floor` times an even split.
    """
    # proba (n, k) of the classes `known` (k,), frequencies (n_classes,)
    out = np.tile(frequencies, (len(proba), 1))
    unseen = 1 - np.isin(np.arange(len(frequencies)), known)
    out[:, known] = proba * (1 - frequencies @ unseen)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(out, floor / len(frequencies))) - np.log(frequencies)


def fit_regressor(template, block, y, params, folds, grouped):
    """Fit a member; return it and its predictions for held-out samples, NaN if none."""
    held_out = np.full(len(y), np.nan)
    if folds is not None and isinstance(template, KERNELS):
        model = clone(template).set_params(cv=folds).fit(block, y, **params)
        return model.set_params(cv=template.cv), model.oof_prediction_
    model = clone(template).fit(block, y, **params)
    if folds is None:
        return model, held_out
    if isinstance(model, FORESTS) and model.bootstrap and model.oob_score:
        if not grouped:
            return model, np.where(
                model.oob_prediction_ == 0, np.nan, model.oob_prediction_
            )
    for inside, outside in folds:
        if len(inside) and len(outside):
            part = {name: value[inside] for name, value in params.items()}
            other = clone(template).fit(block[inside], y[inside], **part)
            held_out[outside] = predict_values(other, block[outside])
    return model, held_out


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
