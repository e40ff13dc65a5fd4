"""Linear members of late fusion, fitted to tables that are read in pieces.

For each modality there are several problems, which are numbered by p: one without each
fold, and the last with all samples. A pass over the pieces is one for all problems.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning

from skmissing._blocks import row_chunks
from skmissing._sources import working_memory
from skmissing.ensemble._base import (
    LINEAR_C,
    EncodedClassifier,
    make_linear,
    take_block,
)
from skmissing.ensemble._least_squares import log_loss, mass_frequencies
from skmissing.ensemble._panel import as_pipeline, log_ratios
from skmissing.ensemble._stacking import (
    combine_evidence,
    fit_stacking,
    scatters_of,
    stacking_rows,
)

# Largest component of the gradient at which logistic regression ends, and the largest
# number of passes over X.
GRADIENT_TOLERANCE, MOST_PASSES = 1e-6, 500


@dataclass(frozen=True)
class Problems:
    """Sums of the training samples of each problem, and its solution."""

    n_rows: int  # samples that have the modality
    total: np.ndarray  # (p,) or (p, classes), weights
    mean: np.ndarray  # (p, d)
    variance: np.ndarray  # (p, d)
    products: np.ndarray | None = None  # (d, d), or (p, d, d) in a regression
    coef: np.ndarray | None = None  # (p, d) or (p, classes, d), of standardised columns
    intercept: np.ndarray | None = None  # (p,) or (p, classes), -inf for unseen classes

    @cached_property
    def scale(self):
        """Standard deviations as those of StandardScaler, 1 for constant columns."""
        eps, n = np.finfo(float).eps, self.n_rows
        constant = self.variance <= n * eps * self.variance + (n * self.mean * eps) ** 2
        return np.where(constant, 1, np.sqrt(np.maximum(self.variance, 0)))

    @cached_property
    def active(self):
        """Whether each problem has several classes."""
        return (self.total > 0).sum(axis=1) > 1

    @cached_property
    def weight(self):
        """Weight of the samples of each problem, 1 if there are none."""
        total = self.total.sum(axis=1)
        return np.where(total > 0, total, 1)

    @property
    def penalty(self):
        """Penalty of logistic regression, relative to the mean loss."""
        # With two classes, scikit-learn penalises the difference of the slopes.
        return (1 + ((self.total > 0).sum(axis=1) == 2)) / LINEAR_C / self.weight

    def affine(self, means):
        """Slopes and intercepts for columns from which `means` are subtracted."""
        # coef (p, ..., d) -> (p * classes, d) and (p * classes,)
        shape = len(self.mean), *[1] * (self.coef.ndim - 2), -1
        slopes = self.coef / self.scale.reshape(shape)
        shifts = (self.mean - means).reshape(shape)
        intercepts = self.intercept - (slopes * shifts).sum(axis=-1)
        return slopes.reshape(-1, self.mean.shape[1]), intercepts.ravel()


def blocks(table, m, means, n_values):
    """Yield samples that have a modality, and their cells minus the means, or 0."""
    rows, columns = np.flatnonzero(table.presence[:, m]), table.layout.columns[m]
    width = len(means[columns])
    for chunk in row_chunks(len(rows), max(width, n_values)):
        cells = take_block(table.X, rows[chunk], columns, means)
        yield rows[chunk], cells.astype(np.float64) - means[columns]


def problem_weights(weight, inside):
    """Weights of samples in each problem, (n,) and (n, folds) -> (n, p)."""
    every = np.ones((len(weight), 1), dtype=bool)
    return weight[:, None] * np.concatenate([inside, every], axis=1)


def last_fold(outside):
    """Number of the last fold that tests a sample, -1 if there is none."""
    found = outside.any(axis=1)
    if not outside.shape[1]:
        return np.full(len(outside), -1)
    last = outside.shape[1] - 1 - outside[:, ::-1].argmax(axis=1)
    return np.where(found, last, -1)


def fold_masks(splits, n_samples):
    """Masks of training samples and of test samples, (n, folds) each."""
    masks = np.zeros((2, n_samples, len(splits)), dtype=bool)
    for f, (inside, outside) in enumerate(splits):
        masks[0, :, f], masks[1, :, f] = inside, outside
    return masks


# ----------------------------------------------------------------- logistic regression


def fit_logistic(data, means, seen, masks):
    """Default linear classifiers per modality and problem, as a dict of Problems."""
    table, per_sample = data.table, (data.codes, masks[0])
    n_classes = len(data.labels)
    found = table.sums(_class_sums, means, seen, n_classes, per_sample=per_sample)
    problems = {}
    for m, (n_rows, mass, first, second, products) in zip(seen, found):
        total = mass.sum(axis=1)
        counted = np.where(total > 0, total, 1)[:, None]
        first, second = first / counted, second / counted
        if products is not None:
            products = products / total[-1] - np.outer(first[-1], first[-1])
        problems[m] = Problems(
            int(n_rows), mass, means[table.layout.columns[m]] + first,
            second - first**2, products, np.zeros((*mass.shape, first.shape[1])),
            np.where(mass > 0, 0.0, -np.inf),
        )  # fmt: skip
    objective = LogisticObjective(table, means, problems, per_sample)
    if not objective.size:
        return problems
    best = minimize(
        objective, np.zeros(objective.size), jac=True, method="L-BFGS-B",
        options={
            "gtol": GRADIENT_TOLERANCE, "ftol": 1e-15, "maxcor": 20,
            "maxiter": MOST_PASSES, "maxfun": MOST_PASSES,
        },
    )  # fmt: skip
    slopes = np.abs(best.jac).max()
    if slopes > 100 * GRADIENT_TOLERANCE:
        table.warn(
            f"logistic regression did not converge in {best.nfev} passes over X: the "
            f"largest component of the gradient is {slopes:.1g}.",
            ConvergenceWarning,
        )
    return objective.solved(best.x)


def _class_sums(table, means, seen, n_classes, codes, inside):
    """Per modality, sums of the samples of a piece that have it."""
    found = []
    weights = problem_weights(table.weight, inside)
    for m in seen:
        width = len(means[table.layout.columns[m]])
        small = 8 * width**2 <= working_memory() / 4
        n_rows, products = 0, np.zeros((width, width)) if small else None
        mass = np.zeros((weights.shape[1], n_classes))
        first, second = np.zeros((2, weights.shape[1], width))
        for rows, Z in blocks(table, m, means, n_classes):
            W = weights[rows]
            n_rows += len(rows)
            mass += W.T @ np.eye(n_classes)[codes[rows]]
            first += W.T @ Z
            second += W.T @ Z**2
            if small:
                products += (Z.T * W[:, -1]) @ Z
        found.append((n_rows, mass, first, second, products))
    return tuple(found)


class LogisticObjective:
    """Sum of the mean penalised losses of all problems with several classes.

    Slopes are multiplied by the root of a bound of the Hessian matrix, the same for all
    problems of a modality. Then few iterations suffice.
    """

    def __init__(self, table, means, problems, per_sample):
        self.table, self.means, self.per_sample = table, means, per_sample
        self.problems, self.roots, self.size = problems, {}, 0
        for m, one in problems.items():
            n_classes, width = one.coef.shape[1:]
            self.size += int(one.active.sum()) * n_classes * (width + 1)
            self.roots[m] = None
            if one.products is not None:
                scale = one.scale[-1]
                bound = one.products / np.outer(scale, scale) / 2
                bound[np.diag_indices_from(bound)] += one.penalty[-1]
                self.roots[m] = cholesky(bound, lower=True)

    def solved(self, theta):
        """Problems with the coefficients of a vector of parameters."""
        solved, start = {}, 0
        for m, one in self.problems.items():
            coef, intercept = one.coef.copy(), one.intercept.copy()
            shape = coef[one.active].shape
            stop = start + np.prod(shape)
            slopes = self._by_root(m, theta[start:stop].reshape(-1, shape[-1]), "T")
            coef[one.active] = slopes.reshape(shape)
            start, stop = stop, stop + np.prod(shape[:-1])
            intercept[one.active] += theta[start:stop].reshape(shape[:-1])
            start = stop
            solved[m] = replace(one, coef=coef, intercept=intercept)
        return solved

    def _by_root(self, m, rows, trans):
        """Rows of slopes or gradients divided by the root of a modality."""
        if self.roots[m] is None or not len(rows):
            return rows
        return solve_triangular(self.roots[m], rows.T, lower=True, trans=trans).T

    def __call__(self, theta):
        solved, columns = self.solved(theta), self.table.layout.columns
        lines = {m: one.affine(self.means[columns[m]]) for m, one in solved.items()}
        found = self.table.sums(
            _logistic_slopes, self.means, lines, per_sample=self.per_sample
        )
        value, gradient = 0.0, []
        for (m, one), (loss, slopes, constants) in zip(solved.items(), found):
            constants = constants.reshape(one.total.shape) / one.weight[:, None]
            slopes = slopes.reshape(one.coef.shape) / one.weight[:, None, None]
            # In terms of the slopes of standardised columns.
            shift = one.mean - self.means[columns[m]]
            slopes = slopes - constants[:, :, None] * shift[:, None]
            slopes = slopes / one.scale[:, None] + one.penalty[:, None, None] * one.coef
            squares = (one.coef**2).sum(axis=(1, 2))
            value += (loss / one.weight + one.penalty * squares / 2)[one.active].sum()
            slopes = slopes[one.active].reshape(-1, slopes.shape[-1])
            gradient += [self._by_root(m, slopes, "N").ravel()]
            gradient += [constants[one.active].ravel()]
        return value, np.concatenate(gradient)


def _logistic_slopes(table, means, lines, codes, inside):
    """Per modality, losses of the problems, and their derivatives, for a piece."""
    found, weights = [], problem_weights(table.weight, inside)
    n_problems = weights.shape[1]
    for m, (slopes, intercepts) in lines.items():
        loss, sums = np.zeros(n_problems), np.zeros_like(slopes)
        constants = np.zeros(len(slopes))
        for rows, Z in blocks(table, m, means, len(slopes)):
            W, each = weights[rows], np.arange(len(rows))
            L = (Z @ slopes.T + intercepts).reshape(len(rows), n_problems, -1)
            top = L.max(axis=2, keepdims=True, initial=-1e300)
            P = np.exp(L - top)
            norm = P.sum(axis=2, keepdims=True)
            own = L[each, :, codes[rows]]
            norm[norm == 0] = 1
            terms = np.log(norm[:, :, 0]) + top[:, :, 0] - own
            loss += (W * np.where(W > 0, terms, 0)).sum(axis=0)
            P /= norm
            P[each, :, codes[rows]] -= 1
            R = (P * W[:, :, None]).reshape(len(rows), -1)
            sums += R.T @ Z
            constants += R.sum(axis=0)
        found.append((loss, sums, constants))
    return tuple(found)


def linear_classifiers(problems):
    """The classifiers fitted to all samples, by modality."""
    members = {}
    for m, one in problems.items():
        seen = np.flatnonzero(one.total[-1] > 0)
        frequencies = mass_frequencies(one.total[-1])
        if len(seen) == 1:
            model = DummyClassifier(strategy="prior")
            model.fit(np.zeros((1, one.mean.shape[1])), [0])
            members[m] = EncodedClassifier(model, seen, frequencies)
            continue
        both = np.column_stack([one.coef[-1], one.intercept[-1]])[seen]
        model = as_pipeline(
            one.mean[-1], one.variance[-1], one.scale[-1], both, one.n_rows
        )
        members[m] = EncodedClassifier(model, seen, frequencies, True)
    return members


def held_out_evidence(table, means, problems, outside):
    """Evidence of samples that are held out, (n, modalities, classes), NaN if not."""
    fold, D = last_fold(outside), None
    for m, one in problems.items():
        if D is None:
            D = np.full((*table.presence.shape, one.total.shape[1]), np.nan)
        slopes, intercepts = one.affine(means[table.layout.columns[m]])
        known, frequencies = one.total > 0, mass_frequencies(one.total)
        for rows, Z in blocks(table, m, means, len(slopes)):
            L = (Z @ slopes.T + intercepts).reshape(len(rows), *known.shape)
            for f in np.unique(fold[rows]):
                seen = np.flatnonzero(known[f])
                if f >= 0 and len(seen):
                    own = fold[rows] == f
                    P = softmax(L[own, f][:, seen], axis=1)
                    D[rows[own], m] = log_ratios(P, seen, frequencies[f])
    return D


def _score_evidence(table, means, problems, log_priors, codes, outside, chosen):
    """Losses and weights per modality, and the evidence of the chosen samples."""
    D = held_out_evidence(table, means, problems, outside)
    losses, weights = np.zeros((2, D.shape[1]))
    for m in problems:
        rows = np.flatnonzero(~np.isnan(D[:, m, 0]))
        weight = table.weight[rows]
        if weight.sum() > 0:
            weights[m] = weight.sum()
            losses[m] = weights[m] * log_loss(
                log_priors[m] + D[rows, m], codes[rows], weight
            )
    return losses, weights, [D[chosen]]


def stack_in_pieces(data, means, problems, frequencies, outside):
    """Weights of stacking, the losses by modality, and that of the ensemble, if any."""
    table, chosen = data.table, np.zeros(len(data.codes), dtype=bool)
    chosen[stacking_rows(data.codes, *frequencies.shape)] = True
    losses, weights, D = table.sums(
        _score_evidence, means, problems, np.log(frequencies),
        per_sample=(data.codes, outside, chosen),
    )  # fmt: skip
    scores = {m: losses[m] / weights[m] for m in np.flatnonzero(weights > 0)}
    D = np.concatenate(D)
    presence, log_prior = ~np.isnan(D[:, :, 0]), np.log(data.class_frequencies())
    rule = fit_stacking(
        np.nan_to_num(D), data.codes[chosen], presence, log_prior, table.weight[chosen]
    )
    loss, weight = table.sums(
        _score_joined, means, problems, (log_prior, *rule),
        per_sample=(data.codes, outside),
    )  # fmt: skip
    return rule, scores, {"total": loss / weight} if weight > 0 else {}


def _score_joined(table, means, problems, rule, codes, outside):
    """Loss and weight of the combined evidence of all modalities."""
    D = held_out_evidence(table, means, problems, outside)
    rows = np.flatnonzero(~np.isnan(D[:, :, 0]).all(axis=1))
    weight = table.weight[rows]
    if not weight.sum():
        return np.zeros(2)
    L = combine_evidence(np.nan_to_num(D[rows]), ~np.isnan(D[rows, :, 0]), *rule)
    return weight.sum() * np.array([log_loss(L, codes[rows], weight), 1])


# ----------------------------------------------------------------------------- ridge


def fit_ridge(data, means, seen, masks):
    """Bayesian ridge regressions per modality and problem, and the fitted models."""
    table = data.table
    found = table.sums(_product_sums, means, seen, per_sample=(data.y, masks[0]))
    problems, models = {}, {}
    for m, (n_rows, total, first, products, target, cross, square) in zip(seen, found):
        for sums in (total, first, products, target, cross, square):
            sums[:-1] = sums[-1] - sums[:-1]  # those of the samples that stay
        counted = np.where(total > 0, total, 1)
        first, target = first / counted[:, None], target / counted
        variance = np.einsum("pii->pi", products) / counted[:, None] - first**2
        centre = means[table.layout.columns[m]]
        one = Problems(int(n_rows), total, centre + first, variance)
        coef = np.zeros_like(first)
        for p in np.flatnonzero(total > 0):
            G = products[p] - total[p] * np.outer(first[p], first[p])
            b = cross[p] - total[p] * target[p] * first[p]
            yy = max(square[p] - total[p] * target[p] ** 2, 0)
            scale = one.scale[p]
            model = bayesian_ridge(
                G / np.outer(scale, scale), b / scale, yy, total[p], target[p]
            )
            coef[p] = model.coef_
        intercept = np.where(total > 0, target, np.nan)
        problems[m] = replace(one, coef=coef, intercept=intercept)
        models[m] = as_regressor(problems[m], model)
    return problems, models


def _product_sums(table, means, seen, y, inside):
    """Per modality, sums of a piece: those of held-out samples, and of all samples."""
    weights, found = problem_weights(table.weight, ~inside), []
    n_problems = weights.shape[1]
    for m in seen:
        width, n_rows = len(means[table.layout.columns[m]]), 0
        first, cross = np.zeros((2, n_problems, width))
        products = np.zeros((n_problems, width, width))
        total, target, square = np.zeros((3, n_problems))
        for rows, Z in blocks(table, m, means, n_problems):
            W, own = weights[rows], y[rows]
            n_rows += len(rows)
            total += W.sum(axis=0)
            first += W.T @ Z
            target += W.T @ own
            square += W.T @ own**2
            cross += (W * own[:, None]).T @ Z
            for p, weight in enumerate(W.T):
                used = np.flatnonzero(weight)
                products[p] += (Z[used].T * weight[used]) @ Z[used]
        found.append((n_rows, total, first, products, target, cross, square))
    return tuple(found)


def bayesian_ridge(G, b, yy, total, mean):
    """Fitted BayesianRidge from centred sums of products; `mean` is that of y."""
    # G (d, d) and b (d,) of standardised columns, yy the sum of squares of y
    model = make_linear(classifier=False)[-1]
    w, V = np.linalg.eigh(G)
    w, c = np.maximum(w, 0), V.T @ b
    alpha, lambda_, old = 1 / (yy / total + np.finfo(np.float64).eps), 1.0, None
    for n_iter in range(1, model.max_iter + 1):
        model.n_iter_ = n_iter
        u = c / (w + lambda_ / alpha)  # coefficients in the basis V
        error = max(yy - 2 * u @ c + w @ u**2, 0)
        gamma = (alpha * w / (lambda_ + alpha * w)).sum()
        lambda_ = (gamma + 2 * model.lambda_1) / (u @ u + 2 * model.lambda_2)
        alpha = (total - gamma + 2 * model.alpha_1) / (error + 2 * model.alpha_2)
        coef = V @ u
        if old is not None and np.abs(old - coef).sum() < model.tol:
            break
        old = coef
    model.coef_, model.intercept_ = V @ (c / (w + lambda_ / alpha)), mean
    model.alpha_, model.lambda_ = alpha, lambda_
    model.sigma_ = (V / (lambda_ + alpha * w)) @ V.T
    model.X_offset_, model.X_scale_ = np.zeros_like(b), np.ones_like(b)
    model.scores_, model.n_features_in_ = np.array([]), len(b)
    return model


def as_regressor(one, model):
    """The default pipeline, fitted to all samples."""
    pipeline = make_linear(classifier=False)
    scaler = pipeline[0]
    scaler.mean_, scaler.var_ = one.mean[-1], one.variance[-1]
    scaler.scale_, scaler.n_samples_seen_ = one.scale[-1], one.n_rows
    scaler.n_features_in_ = len(scaler.mean_)
    pipeline.steps[-1] = pipeline.steps[-1][0], model
    return pipeline


def held_out_values(table, means, problems, outside):
    """Predictions for held-out samples, (n, modalities), NaN if not held out."""
    fold, every = last_fold(outside), np.full(table.presence.shape, np.nan)
    for m, one in problems.items():
        slopes, intercepts = one.affine(means[table.layout.columns[m]])
        for rows, Z in blocks(table, m, means, len(slopes)):
            values = (Z @ slopes.T + intercepts)[np.arange(len(rows)), fold[rows]]
            every[rows, m] = np.where(fold[rows] >= 0, values, np.nan)
    return every


def score_values(table, means, problems, offsets, centre, y, outside):
    """Squared errors and weights per modality, and scatters of held-out predictions."""
    every = held_out_values(table, means, problems, outside)
    errors = np.where(np.isnan(every), 0, every - y[:, None]) ** 2
    sums = table.weight @ errors, table.weight @ ~np.isnan(every)
    centred = np.column_stack([every - offsets, y - centre])
    return *sums, scatters_of(centred, table.weight)
