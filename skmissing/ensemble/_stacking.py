"""Rules that combine the predictions of one model per modality: arrays in and out.

D is the evidence, of shape (n_samples, n_modalities, n_classes): the log-probabilities
of the model of each modality minus the logarithms of its training class frequencies. It
is 0 where the modality is missing.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

from skmissing._sources import KeyedSums

# Standard deviation of the normal prior on the logarithms of stacking weights. Without
# evidence against it, they stay within a factor of about 1.6 of plain late fusion.
PRIOR_DEVIATION = 0.5
# Bound of these logarithms, far beyond the prior, so that no step overflows.
MAX_LOG_WEIGHT = 10.0
# Strength of the prior of `joint_covariance`, as a number of samples.
PRIOR_SAMPLES = 10.0
# Maximum of patterns times cubed columns for which `joint_covariance` iterates.
MAX_PATTERN_COST = 1e6
# Approximate maximum number of subsets on which stacking weights are fitted.
MAX_SUBSETS = 64
# Approximate maximum number of terms of the stacking objective. More samples take time
# but hardly change the few weights. At least MIN_SAMPLES are used.
MAX_TERMS = 4_000_000
MIN_SAMPLES = 1000
# Approximate maximum number of log-probabilities in memory at a time.
MAX_CELLS = 500_000


def nested_subsets(n_modalities, most=MAX_SUBSETS):
    """Subsets of the modalities that cover every size, chosen deterministically.

    Returns an array of shape (n_subsets, n_modalities), dtype bool. The first subset is
    all modalities. Cyclic runs of neighbouring modalities follow, by size. If there are
    more than about `most`, only some are used. With up to three modalities, these are
    all subsets.
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
    """Unnormalised log-probabilities of weighted late fusion, (n_samples, n_classes).

    Row i is `log_prior + count_weights[s_i - 1] * sum_m modality_weights[m] * D[i, m]`,
    where the sum is over the s_i modalities that the sample has.
    """
    total = np.einsum("nmk,nm->nk", D, presence * modality_weights)
    counts = np.maximum(presence.sum(axis=1), 1)
    return log_prior + count_weights[counts - 1][:, None] * total


def stacking_rows(codes, n_modalities, n_classes):
    """Samples that stacking weights are fitted to: all, or every n-th of each class."""
    size = len(nested_subsets(n_modalities)) * n_modalities * n_classes
    step = -(-len(codes) // max(MIN_SAMPLES, MAX_TERMS // size))
    if step <= 1:
        return slice(None)
    return np.sort(np.argsort(codes, kind="stable")[::step])


def fit_stacking(D, codes, presence, log_prior, sample_weight):
    """Fit one weight per modality and one per number of observed modalities.

    Minimises the weighted log-loss plus a penalty: half the squared logarithms of the
    weights over the prior variance. The same prior ties the weight of each count to
    its neighbours, which determines it if no sample has this count. The weight of each
    sample is divided evenly between its non-empty intersections with
    :func:`nested_subsets`. Otherwise complete training samples would not contribute to
    the weights for fewer modalities. If there are very many samples, every n-th of each
    class is used. Returns two arrays of shape (n_modalities,). Ones are the plain rule.
    """
    # D is from out-of-fold predictions; codes (n_samples,), presence
    # (n_samples, n_modalities), log_prior (n_classes,), sample_weight (n_samples,).
    n_modalities = D.shape[1]
    subsets = nested_subsets(n_modalities)
    rows = stacking_rows(codes, *D.shape[1:])
    D, codes, presence = D[rows], codes[rows], presence[rows]
    sample_weight = sample_weight[rows]
    counts = presence @ subsets.T.astype(np.intp)
    observed = counts > 0
    shares = sample_weight / np.maximum(observed.sum(axis=1), 1)
    shares = observed * shares[:, None]
    total = shares.sum()
    if total == 0:
        return np.ones(n_modalities), np.ones(n_modalities)
    D = np.where(presence[:, :, None], D, 0)
    pieces = split_evidence(D, codes, counts, shares)
    start = np.zeros(2 * n_modalities)
    args = pieces, *merge_modalities(subsets), log_prior, total
    options = {"maxiter": 200, "ftol": 1e-9, "gtol": 1e-5}
    best = minimize(
        stacking_loss, start, args, jac=True, method="L-BFGS-B", options=options,
        bounds=[(-MAX_LOG_WEIGHT, MAX_LOG_WEIGHT)] * len(start),
    )  # fmt: skip
    return np.exp(best.x[:n_modalities]), np.exp(best.x[n_modalities:])


def split_evidence(D, codes, counts, shares):
    """Cut the samples into pieces whose terms for all subsets fit into memory."""
    # D (n, m, k), codes (n,), counts and shares (n, subsets) -> per piece, D (m, k, n),
    # codes (n,), counts and shares (subsets, n)
    n_samples, n_classes = len(codes), D.shape[2]
    size = max(1, MAX_CELLS // (counts.shape[1] * n_classes))
    return [
        (
            np.ascontiguousarray(D[rows].transpose(1, 2, 0)),
            codes[rows],
            np.maximum(counts[rows].T, 1) - 1,
            np.ascontiguousarray(shares[rows].T),
        )
        for rows in (slice(i, i + size) for i in range(0, n_samples, size))
    ]


def merge_modalities(subsets):
    """Starts of the runs of modalities that are in the same subsets, and the subsets.

    The evidence of a run is summed once for all subsets.
    """
    # subsets (s, m) -> starts (r,), members (s, r)
    changes = (subsets[:, 1:] != subsets[:, :-1]).any(axis=0)
    starts = np.flatnonzero(np.append(True, changes))
    return starts, subsets[:, starts].astype(np.float64)


def stacking_loss(theta, pieces, starts, members, log_prior, total):
    """Penalised log-loss and its gradient.

    `theta` holds the logarithms of the modality weights u and of the count weights v.
    """
    u, v = np.split(theta, 2)
    # Minus the logarithm of the normal prior. The first of v has its own prior, because
    # the common scale would be undetermined otherwise.
    steps = np.diff(v)
    loss = u @ u + v[0] ** 2 + steps @ steps
    slope = np.zeros_like(v)
    slope[0] = v[0]
    slope[1:] += steps
    slope[:-1] -= steps
    precision = 1 / PRIOR_DEVIATION**2
    loss, gradient = 0.5 * precision * loss, precision * np.concatenate([u, slope])
    for piece in pieces:
        part, slope = _piece_loss(*piece, starts, members, log_prior, u, v)
        loss += part
        gradient += slope
    return loss / total, gradient / total


def _piece_loss(D, codes, counts, weight, starts, members, log_prior, u, v):
    """Weighted log-loss of some samples for all subsets, and its gradient."""
    n_modalities, n_classes, n_samples = D.shape
    flat, scales, factor = D.reshape(n_modalities, -1), np.exp(u), np.exp(v)[counts]
    runs = [slice(*pair) for pair in zip(starts, [*starts[1:], n_modalities])]
    sums = members @ np.stack([scales[run] @ flat[run] for run in runs])
    sums = sums.reshape(-1, n_classes, n_samples)
    residual = factor[:, None] * sums
    residual += log_prior[:, None]
    residual -= residual.max(axis=1, keepdims=True)
    true = residual[:, codes, np.arange(n_samples)]
    np.exp(residual, out=residual)
    norm = residual.sum(axis=1)
    loss = (weight * (np.log(norm) - true)).sum()
    residual /= norm[:, None]
    residual[:, codes, np.arange(n_samples)] -= 1
    residual *= (weight * factor)[:, None]
    agreement = members.T @ residual.reshape(len(members), -1)
    slopes = [flat[run] @ part for run, part in zip(runs, agreement)]
    residual *= sums
    by_count = np.bincount(
        counts.ravel(), residual.sum(axis=1).ravel(), minlength=len(v)
    )
    return loss, np.concatenate([scales * np.concatenate(slopes), by_count])


def scatters_of(Z, sample_weight):
    """Weight and sum of outer products of the samples of each pattern of NaN."""
    # Z (n, columns) -> (weight, (columns, columns)) by pattern
    observed = ~np.isnan(Z)
    filled = np.where(observed, Z, 0)
    patterns, inverse = np.unique(observed, axis=0, return_inverse=True)
    inverse, found = inverse.reshape(-1), KeyedSums()
    for p, pattern in enumerate(patterns):
        part, weight = filled[inverse == p], sample_weight[inverse == p]
        found[pattern.tobytes()] = weight.sum(), (part * weight[:, None]).T @ part
    return found


def joint_covariance(scatters, *, prior_samples=PRIOR_SAMPLES, max_iter=200):
    """Maximum a posteriori covariance of centred columns with missing values, by EM.

    `scatters` are those of :func:`scatters_of`. No sample is all NaN. The prior is the
    diagonal of variances, and is worth `prior_samples` samples. The result is positive
    semi-definite. With many columns and many patterns, EM would take hours. Pairwise
    covariances, corrected to be positive definite, are used instead.
    """
    patterns = [np.frombuffer(key, dtype=bool) for key in sorted(scatters)]
    patterns = np.array(patterns)
    counts, scatters = zip(*(scatters[key] for key in sorted(scatters)))
    counts, scatters = np.array(counts), np.array(scatters)
    mass = counts @ patterns
    variances = np.diag(scatters.sum(axis=0)) / np.where(mass > 0, mass, 1)
    if len(patterns) * len(mass) ** 3 > MAX_PATTERN_COST:
        return pairwise_covariance(
            patterns, counts, scatters.sum(axis=0), variances, prior_samples
        )
    covariance = np.diag(variances)
    for _ in range(max_iter):
        new = prior_samples * np.diag(variances)
        for pattern, scatter, count in zip(patterns, scatters, counts):
            new += _expected_scatter(covariance, pattern, scatter, count)
        new /= counts.sum() + prior_samples
        change = np.abs(new - covariance).max()
        covariance = new
        if change <= 1e-8 * variances.max(initial=0):
            break
    return covariance


def pairwise_covariance(patterns, counts, scatter, variances, prior_samples):
    """Covariances of pairs of columns, from the samples in which both are observed.

    The eigenvalues of the correlations are at least the share of the prior.
    """
    # patterns (p, columns), counts (p,), variances (columns,) -> (columns, columns)
    scale = np.sqrt(variances)
    unit = np.where(scale > 0, scale, 1)
    mass = (patterns.T * counts) @ patterns
    R = scatter / np.outer(unit, unit) / (mass + prior_samples)
    R[np.diag_indices_from(R)] = 1
    w, U = np.linalg.eigh(R)
    least = prior_samples / (counts.sum() + prior_samples)
    return (U * np.maximum(w, least)) @ U.T * np.outer(scale, scale)


def _expected_scatter(covariance, pattern, scatter, count):
    """Expected sum of outer products of the samples of one pattern."""
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
    """Weights of the best linear prediction of columns, shape (n_given, n_wanted)."""
    A, b = covariance[np.ix_(given, given)], covariance[np.ix_(given, wanted)]
    try:
        return cho_solve(cho_factor(A), b)
    except LinAlgError:  # a column is constant
        return np.linalg.pinv(A, hermitian=True) @ b
