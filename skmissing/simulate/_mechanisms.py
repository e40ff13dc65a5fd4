"""Which rows lose what: numerics only, arrays in and arrays out.

Randomness comes from the rows themselves. A row's key is a hash of its cells and of
the seed, and everything that is drawn for the row comes from that key. So its mask
depends neither on its place nor on its neighbours, the same row has the same mask
whether it comes to `fit_transform` or to `transform`, and two different rows draw
independently, whatever split they are in.
"""

import hashlib

import numpy as np
from scipy.special import expit

from skmissing._blocks import row_chunks

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def row_keys(X, seed):
    """Hash each row of X, together with the seed.

    Equal rows are told apart by counting them, so that data with few distinct rows
    do not all share a mask.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    seed : int

    Returns
    -------
    ndarray of shape (n_samples,), dtype uint64
    """
    salt = int(seed).to_bytes(8, "little")
    keys = np.empty(len(X), dtype=np.uint64)
    for chunk in row_chunks(*X.shape):
        # float32 and float64 copies hash alike; so do the many NaNs and the two zeros.
        cells = X[chunk].astype(np.float64, order="C")
        cells += 0.0
        cells[np.isnan(cells)] = np.nan
        for i, row in enumerate(cells, start=chunk.start):
            digest = hashlib.blake2b(row, digest_size=8, key=salt).digest()
            keys[i] = int.from_bytes(digest, "little")
    return _mix(keys + _GOLDEN * _occurrence(keys))


def _occurrence(keys):
    """How many equal keys come before each key."""
    order = np.argsort(keys, kind="stable")
    position = np.arange(len(keys))
    new = np.r_[True, keys[order][1:] != keys[order][:-1]][: len(keys)]
    first = np.maximum.accumulate(np.where(new, position, 0))
    counts = np.empty(len(keys), dtype=np.uint64)
    counts[order] = position - first
    return counts


def _mix(keys):
    """Finaliser of SplitMix64: every bit of the key reaches every bit of the result."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def uniforms(keys, n_draws):
    """Draw numbers from each key.

    Parameters
    ----------
    keys : ndarray of shape (n_samples,), dtype uint64
    n_draws : int

    Returns
    -------
    ndarray of shape (n_samples, n_draws)
        In [0, 1). The first draws stay the same if more are asked for.
    """
    steps = np.arange(1, n_draws + 1, dtype=np.uint64) * _GOLDEN
    return (_mix(keys[:, None] + steps) >> np.uint64(11)) * 2.0**-53


def set_generator(keys):
    """A generator that depends on all rows and on their order.

    Parameters
    ----------
    keys : ndarray of shape (n_samples,), dtype uint64

    Returns
    -------
    numpy.random.Generator
    """
    digest = hashlib.blake2b(keys.tobytes(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def give_back(hidden, presence, weights, uniform):
    """Return one modality to every row that would lose all it has, in place.

    Parameters
    ----------
    hidden : ndarray of shape (n_samples, n_modalities), dtype bool
        Changed in place.
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
        What the rows have before anything is hidden.
    weights : ndarray of shape (n_modalities,) or (n_samples, n_modalities)
        A modality is chosen with probability proportional to its weight, among those
        the row has; evenly, if all of them have weight 0.
    uniform : ndarray of shape (n_samples, n_modalities)
        Decides. With equal weights the largest number wins.
    """
    rows = np.flatnonzero(presence.any(axis=1) & ~(presence & ~hidden).any(axis=1))
    weights = np.broadcast_to(weights, presence.shape)[rows]
    # The first of exponential variables with these rates comes first with
    # probability proportional to its rate. The floors only keep numbers finite.
    waiting = -np.log(np.maximum(uniform[rows], 1e-20)) / np.maximum(weights, 1e-300)
    chosen = np.argmin(np.where(presence[rows], waiting, np.inf), axis=1)
    hidden[rows, chosen] = False


def largest_remainder(probabilities, n):
    """Whole numbers that sum to `n`, each next to `probabilities * n`.

    Parameters
    ----------
    probabilities : ndarray of shape (n_groups,)
        Sum to 1.
    n : int

    Returns
    -------
    ndarray of shape (n_groups,), dtype intp
    """
    # Rounded first: 0.29 * 100 is a little less than 29.
    shares = np.round(probabilities * n, 9)
    counts = np.floor(shares).astype(np.intp)
    order = np.argsort(counts - shares, kind="stable")
    counts[order[: n - counts.sum()]] += 1
    return counts


def assign_patterns(uniform, probabilities, exact):
    """Give each row one pattern.

    Parameters
    ----------
    uniform : ndarray of shape (n_samples,)
    probabilities : ndarray of shape (n_patterns,)
    exact : bool
        Whether the counts are fixed; the rows are then taken by rank of `uniform`.

    Returns
    -------
    ndarray of shape (n_samples,), dtype intp
    """
    if not exact:
        upto = np.cumsum(probabilities)
        upto[np.flatnonzero(probabilities)[-1] :] = 1
        return np.searchsorted(upto, uniform, side="right")
    assigned = np.empty(len(uniform), dtype=np.intp)
    counts = largest_remainder(probabilities, len(uniform))
    assigned[np.argsort(uniform, kind="stable")] = np.repeat(
        np.arange(len(counts)), counts
    )
    return assigned


def draw_bursts(rng, n_rows, rate, length):
    """Hide runs of consecutive rows: a two-state Markov chain that starts in balance.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_rows : int
    rate : float
        The fraction of rows hidden, in the long run.
    length : float
        The mean number of rows in a run; at least `rate / (1 - rate)`.

    Returns
    -------
    ndarray of shape (n_rows,), dtype bool
    """
    if rate in (0, 1):
        return np.full(n_rows, bool(rate))
    state = rng.random() < rate
    # A visible run lasts length * (1 - rate) / rate on average, at least one row.
    leave = {True: 1 / length, False: min(1.0, rate / (length * (1 - rate)))}
    hidden = np.empty(n_rows, dtype=bool)
    start = 0
    while start < n_rows:
        stop = start + rng.geometric(leave[state])
        hidden[start:stop] = state
        start, state = stop, not state
    return hidden


def give_back_runs(hidden, presence, weights, rng):
    """As :func:`give_back`, with one choice for a whole run of empty rows.

    Parameters
    ----------
    hidden, presence, weights : ndarray
        As in :func:`give_back`; `hidden` is changed in place.
    rng : numpy.random.Generator
    """
    empty = presence.any(axis=1) & ~(presence & ~hidden).any(axis=1)
    same = (presence[1:] == presence[:-1]).all(axis=1) & empty[1:] & empty[:-1]
    run = np.cumsum(np.r_[0, ~same])
    give_back(hidden, presence, weights, rng.random((len(hidden), len(weights)))[run])


def block_levels(X, layout, scaler):
    """Mean standardised cell of each modality in each row; NaN where it is absent.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    layout : ModalityLayout
    scaler : BlockScaler

    Returns
    -------
    ndarray of shape (n_samples, n_modalities)
    """
    levels = np.full((len(X), len(layout)), np.nan)
    for m in range(len(layout)):
        columns = layout.columns_of(m)
        for chunk in row_chunks(len(X), layout.widths[m]):
            z = (X[chunk, columns] - scaler.mean[columns]) / scaler.scale[columns]
            seen = ~np.isnan(z)
            n_seen = seen.sum(axis=1)
            total = np.where(seen, z, 0).sum(axis=1, dtype=np.float64)
            np.divide(total, n_seen, out=levels[chunk, m], where=n_seen > 0)
    return levels


def spread_scores(counts, n_modalities, rng):
    """Scores for groups: evenly spaced, shuffled anew for each modality.

    Parameters
    ----------
    counts : ndarray of shape (n_groups,)
        Rows of each group.
    n_modalities : int
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_groups, n_modalities)
        Mean 0 and variance 1 over the rows; all 0 if there is one group.
    """
    scores = np.column_stack(
        [rng.permutation(len(counts)) for _ in range(n_modalities)]
    ).astype(np.float64)
    share = counts / counts.sum()
    scores -= share @ scores
    deviation = np.sqrt(share @ scores**2)
    return scores / np.where(deviation > 0, deviation, 1)


def solve_intercept(scores, rate, strength):
    """Find a so that the mean of expit(a + strength * scores) is `rate`.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
    rate : float
    strength : float

    Returns
    -------
    float
        Infinite for the rates 0 and 1.
    """
    if rate in (0, 1):
        return np.inf if rate == 1 else -np.inf
    scores = scores if len(scores) else np.zeros(1)
    high = 40 + np.abs(strength * scores).max()
    low = -high
    for _ in range(100):
        middle = (low + high) / 2
        if expit(middle + strength * scores).mean() < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
