"""Rules that join what one model a modality says. Arrays in, arrays out.

D stands for evidence, of shape (n_samples, n_modalities, n_classes): the
log-probabilities of each modality's model less the logarithm of the class
frequencies it was trained on, and 0 where the modality is absent.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

# Standard deviation of the normal prior on the logarithms of stacking weights: the
# rule stays within a factor of about 1.6 of plain late fusion unless rows speak up.
PRIOR_DEVIATION = 0.5
# Rows that a prior of uncorrelated modalities is worth in `joint_covariance`.
PRIOR_ROWS = 10.0
# Subsets of modalities on which stacking weights are fitted, at most about so many.
MAX_SUBSETS = 64
# Terms of the stacking objective, at most about so many: more rows cost time and change
# the few weights little.
MAX_TERMS = 4_000_000


def nested_subsets(n_modalities, most=MAX_SUBSETS):
    """Subsets of the modalities that cover every size, without chance.

    Parameters
    ----------
    n_modalities : int
    most : int
        About how many to return at most.

    Returns
    -------
    ndarray of shape (n_subsets, n_modalities), dtype bool
        All modalities first; then, by size, runs of neighbours (the last is followed
        by the first), of which only some are taken if there are more than `most`.
        With up to three modalities these are all subsets.
    """
    every = np.arange(n_modalities)
    subsets = [np.ones(n_modalities, dtype=bool)]
    n_sizes = min(n_modalities - 1, most)
    sizes = np.unique(np.linspace(1, n_modalities - 1, n_sizes).round().astype(int))
    for size in sizes:
        n_starts = min(n_modalities, max(1, most // len(sizes)))
        for start in np.linspace(0, n_modalities, n_starts, endpoint=False).astype(int):
            subsets.append((every - start) % n_modalities < size)
    return np.array(subsets)


def combine_evidence(D, presence, log_prior, modality_weights, count_weights):
    """Unnormalised log-probabilities of weighted late fusion.

    Parameters
    ----------
    D : ndarray of shape (n_samples, n_modalities, n_classes)
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    log_prior : ndarray of shape (n_classes,)
    modality_weights, count_weights : ndarray of shape (n_modalities,)
        `count_weights[s - 1]` multiplies the evidence of rows with `s` modalities.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Row i is `log_prior + count_weights[s_i - 1] * sum_m modality_weights[m] *
        D[i, m]`, the sum over the modalities that row i has.
    """
    total = np.einsum("nmk,nm->nk", D, presence * modality_weights)
    counts = np.maximum(presence.sum(axis=1), 1)
    return log_prior + count_weights[counts - 1][:, None] * total


def enough_rows(n_modalities, n_classes):
    """How many rows are enough to fit stacking weights; at least 1000.

    Parameters
    ----------
    n_modalities, n_classes : int

    Returns
    -------
    int
    """
    terms = len(nested_subsets(n_modalities)) * n_modalities * n_classes
    return max(1000, MAX_TERMS // terms)


def fit_stacking(D, codes, presence, log_prior, sample_weight):
    """Fit one weight a modality and one a number of present modalities.

    Parameters
    ----------
    D : ndarray of shape (n_samples, n_modalities, n_classes)
        From models that did not see the row.
    codes : ndarray of shape (n_samples,), dtype intp
        Class of each row.
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    log_prior : ndarray of shape (n_classes,)
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    modality_weights, count_weights : ndarray of shape (n_modalities,)
        Positive; all 1 is the plain rule.

    Notes
    -----
    Minimises the weighted log-loss plus, on the logarithms of the weights, half their
    squares over the prior variance; those of the numbers are tied to their neighbours
    by the same prior, so that numbers which no row has take after them. Each row
    counts once, spread evenly over its non-empty intersections with
    :func:`nested_subsets`: otherwise complete training rows would say nothing about
    fewer modalities.
    """
    n_modalities = D.shape[1]
    cases = _subset_cases(presence, sample_weight)
    total = sum(weight.sum() for _, weight in cases)
    if total == 0:
        return np.ones(n_modalities), np.ones(n_modalities)

    def objective(theta):
        u, v = theta[:n_modalities], theta[n_modalities:]
        loss, gradient = _prior_loss(u, v)
        for kept, weight in cases:
            part, slope = _case_loss(D, codes, kept, weight, log_prior, u, v)
            loss += part
            gradient += slope
        return loss / total, gradient / total

    start = np.zeros(2 * n_modalities)
    options = {"maxiter": 200, "ftol": 1e-12, "gtol": 1e-7}
    best = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return np.exp(best.x[:n_modalities]), np.exp(best.x[n_modalities:])


def _subset_cases(presence, sample_weight):
    """Pairs of a masked presence and the weight of each row under it."""
    masked = [presence & subset for subset in nested_subsets(presence.shape[1])]
    shares = np.array([kept.any(axis=1) for kept in masked], dtype=np.float64)
    shares *= sample_weight / np.maximum(shares.sum(axis=0), 1)
    return list(zip(masked, shares))


def _prior_loss(u, v):
    """Minus the logarithm of the normal prior, and its gradient."""
    steps = np.diff(v)
    # The first of v has a prior of its own, or the common scale would be adrift.
    loss = u @ u + v[0] ** 2 + steps @ steps
    slope = np.zeros_like(v)
    slope[0] = v[0]
    slope[1:] += steps
    slope[:-1] -= steps
    precision = 1 / PRIOR_DEVIATION**2
    return 0.5 * precision * loss, precision * np.concatenate([u, slope])


def _case_loss(D, codes, kept, weight, log_prior, u, v):
    """Weighted log-loss of the rows under one masked presence, and its gradient."""
    rows = np.arange(len(codes))
    scales = np.exp(u)
    counts = np.maximum(kept.sum(axis=1), 1) - 1
    factor = np.exp(v)[counts]
    total = np.einsum("nmk,nm->nk", D, kept * scales)
    logits = log_prior + factor[:, None] * total
    norm = logsumexp(logits, axis=1)
    loss = weight @ (norm - logits[rows, codes])
    residual = np.exp(logits - norm[:, None])
    residual[rows, codes] -= 1
    residual *= (weight * factor)[:, None]
    agreement = np.einsum("nk,nmk->nm", residual, D)
    by_modality = scales * (agreement * kept).sum(axis=0)
    by_count = np.bincount(counts, (residual * total).sum(axis=1), minlength=len(v))
    return loss, np.concatenate([by_modality, by_count])


def joint_covariance(Z, sample_weight, *, prior_rows=PRIOR_ROWS, max_iter=200):
    """Maximum a posteriori covariance of centred columns with gaps, by EM.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_columns)
        Centred; NaN where missing. No row may be wholly NaN.
    sample_weight : ndarray of shape (n_samples,)
    prior_rows : float
        How many rows the prior, the diagonal of variances, is worth.
    max_iter : int

    Returns
    -------
    ndarray of shape (n_columns, n_columns)
        Positive semi-definite, which pairwise covariances need not be.
    """
    observed = ~np.isnan(Z)
    filled = np.where(observed, Z, 0)
    mass = sample_weight @ observed
    variances = sample_weight @ filled**2 / np.where(mass > 0, mass, 1)
    patterns, inverse = np.unique(observed, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    counts = np.bincount(inverse, sample_weight)
    scatters = []
    for p in range(len(patterns)):
        part = filled[inverse == p]
        scatters.append((part * sample_weight[inverse == p][:, None]).T @ part)
    covariance = np.diag(variances)
    for _ in range(max_iter):
        new = prior_rows * np.diag(variances)
        for pattern, scatter, count in zip(patterns, scatters, counts):
            new += _expected_scatter(covariance, pattern, scatter, count)
        new /= counts.sum() + prior_rows
        change = np.abs(new - covariance).max()
        covariance = new
        if change <= 1e-8 * variances.max(initial=0):
            break
    return covariance


def _expected_scatter(covariance, pattern, scatter, count):
    """Sum of outer products of rows of one pattern, their gaps taken in expectation."""
    seen, hidden = np.flatnonzero(pattern), np.flatnonzero(~pattern)
    if not len(hidden):
        return scatter
    map_ = np.eye(len(pattern))
    map_[hidden] = 0
    slope = regression_weights(covariance, seen, hidden)
    map_[np.ix_(hidden, seen)] = slope.T
    expected = map_ @ scatter @ map_.T
    explained = slope.T @ covariance[np.ix_(seen, hidden)]
    left = covariance[np.ix_(hidden, hidden)] - explained
    expected[np.ix_(hidden, hidden)] += count * left
    return expected


def regression_weights(covariance, given, wanted):
    """Weights of the best linear prediction of some columns from others.

    Parameters
    ----------
    covariance : ndarray of shape (n_columns, n_columns)
    given, wanted : ndarray of intp
        Columns to predict from, and columns to predict.

    Returns
    -------
    ndarray of shape (n_given, n_wanted)
    """
    inverse = np.linalg.pinv(covariance[np.ix_(given, given)], hermitian=True)
    return inverse @ covariance[np.ix_(given, wanted)]
