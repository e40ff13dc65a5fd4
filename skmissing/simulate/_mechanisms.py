"""Draws of the modalities that samples lose: arrays in and out.

The key of a sample is a hash of its cells and of the seed. All random numbers for the
sample are computed from its key. The mask therefore does not depend on the position of
the sample or on other samples. It is the same in `fit_transform` and in `transform`,
and independent for different samples.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from skmissing._blocks import fit_scaler, row_chunks
from skmissing._modalities import count
from skmissing._table import warn

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


# ------------------------------------------------------------------ random numbers


def row_keys(X, seed):
    """Hash of each sample, the seed and the number of equal samples before, uint64."""
    salt = int(seed).to_bytes(8, "little")
    keys = np.empty(len(X), dtype=np.uint64)
    for chunk in row_chunks(*X.shape):
        # Equal hashes for copies in float32 and float64, for all NaNs and both zeros.
        cells = X[chunk].astype(np.float64, order="C")
        cells += 0.0
        cells[np.isnan(cells)] = np.nan
        for i, row in enumerate(cells, start=chunk.start):
            digest = hashlib.blake2b(row, digest_size=8, key=salt).digest()
            keys[i] = int.from_bytes(digest, "little")
    return _mix(keys + _GOLDEN * _occurrence(keys))


def _occurrence(keys):
    """Number of equal keys before each key."""
    order = np.argsort(keys, kind="stable")
    position = np.arange(len(keys))
    new = np.r_[True, keys[order][1:] != keys[order][:-1]][: len(keys)]
    first = np.maximum.accumulate(np.where(new, position, 0))
    counts = np.empty(len(keys), dtype=np.uint64)
    counts[order] = position - first
    return counts


def _mix(keys):
    """Finaliser of SplitMix64: every bit of the key affects every bit of the result."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def uniforms(keys, n_draws):
    """Draw numbers in [0, 1) from each key, (n,) -> (n, n_draws)."""
    steps = np.arange(1, n_draws + 1, dtype=np.uint64) * _GOLDEN
    return (_mix(keys[:, None] + steps) >> np.uint64(11)) * 2.0**-53


# ------------------------------------------------------------------ hidden modalities


@dataclass
class Plan:
    """What to hide, resolved against the modalities of X."""

    rates: np.ndarray  # (n_modalities,), intended fraction of samples that lose each
    # Patterns of a table, (n_patterns, n_modalities). None hides by the rates.
    keep: np.ndarray | None = None
    probabilities: np.ndarray | None = None  # (n_patterns,)
    exact: bool = False  # whether the number of samples of each pattern is fixed
    # Log-odds of being hidden at score 0, (n_modalities,). None without scores.
    intercepts: np.ndarray | None = None


def draw_hidden(
    plan, keys, presence, *, scores=None, burst_length=None, groups=None, allow_empty
):
    """Draw the modalities that samples lose, shape (n_samples, n_modalities)."""
    n_modalities = presence.shape[1]
    draws = uniforms(keys, n_modalities + 1)
    if plan.keep is not None:
        assigned = assign_patterns(draws[:, -1], plan.probabilities, plan.exact)
        hidden = presence & ~plan.keep[assigned]
        if not allow_empty:
            give_back(hidden, presence, np.ones(n_modalities), draws[:, :-1])
        return hidden
    if burst_length is not None:
        return _draw_in_runs(plan, keys, presence, burst_length, groups, allow_empty)
    rates = plan.rates if scores is None else expit(plan.intercepts + scores)
    rates = np.broadcast_to(rates, presence.shape)
    draws = draws[:, :-1]
    hidden = presence & (draws < rates)
    if not allow_empty:
        # In a sample that would be empty, draws < rates, so the quotient is uniform.
        # With equal rates, the modality with the largest draw is returned.
        quotient = draws / np.maximum(rates, np.finfo(float).tiny)
        give_back(hidden, presence, 1 - rates, quotient)
    return hidden


def give_back(hidden, presence, weights, uniform):
    """Return a modality, drawn by weight, to samples that would lose all, in place."""
    # All have shape (n_samples, n_modalities). With equal weights, the largest draw
    # is chosen.
    rows = np.flatnonzero(presence.any(axis=1) & ~(presence & ~hidden).any(axis=1))
    weights = np.broadcast_to(weights, presence.shape)[rows]
    # The probability that an exponential variable is the smallest is proportional to
    # its rate. The lower bounds only keep numbers finite.
    waiting = -np.log(np.maximum(uniform[rows], 1e-20)) / np.maximum(weights, 1e-300)
    chosen = np.argmin(np.where(presence[rows], waiting, np.inf), axis=1)
    hidden[rows, chosen] = False


def largest_remainder(probabilities, n):
    """Round `probabilities * n` to whole numbers that sum to `n`."""
    # Rounded first: 0.29 * 100 is a little less than 29.
    shares = np.round(probabilities * n, 9)
    counts = np.floor(shares).astype(np.intp)
    order = np.argsort(counts - shares, kind="stable")
    counts[order[: n - counts.sum()]] += 1
    return counts


def assign_patterns(uniform, probabilities, exact):
    """Pattern of each sample; exact counts use the rank of `uniform`."""
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


def _draw_in_runs(plan, keys, presence, length, groups, allow_empty):
    short = [r for r in plan.rates if 0 < r < 1 and r / (1 - r) > length + 1e-9]
    if short:
        rate = max(short)
        raise ValueError(
            f"burst_length={length} is too short to hide a modality in {rate:.0%} of "
            f"the samples; it must be at least {rate / (1 - rate):.3g}."
        )
    hidden = np.empty_like(presence)
    code = np.zeros(len(keys), dtype=np.intp)
    if groups is not None:
        _, code = np.unique(groups, return_inverse=True)
    for c in np.unique(code):
        rows = np.flatnonzero(code == c)
        # The random numbers depend on all samples of the group and on their order.
        digest = hashlib.blake2b(keys[rows].tobytes(), digest_size=16).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "little"))
        part = np.column_stack(
            [draw_bursts(rng, len(rows), rate, length) for rate in plan.rates]
        )
        part &= presence[rows]
        if not allow_empty:
            _give_back_runs(part, presence[rows], 1 - plan.rates, rng)
        hidden[rows] = part
    return hidden


def draw_bursts(rng, n_rows, rate, length):
    """Hide runs of mean `length` by a Markov chain that starts at equilibrium."""
    if rate in (0, 1):
        return np.full(n_rows, bool(rate))
    state = rng.random() < rate
    # The mean of observed runs is length * (1 - rate) / rate, or one sample if larger.
    leave = {True: 1 / length, False: min(1.0, rate / (length * (1 - rate)))}
    hidden = np.empty(n_rows, dtype=bool)
    start = 0
    while start < n_rows:
        stop = start + rng.geometric(leave[state])
        hidden[start:stop] = state
        start, state = stop, not state
    return hidden


def _give_back_runs(hidden, presence, weights, rng):
    """Like `give_back`, with one choice for a whole run of empty samples."""
    empty = presence.any(axis=1) & ~(presence & ~hidden).any(axis=1)
    same = (presence[1:] == presence[:-1]).all(axis=1) & empty[1:] & empty[:-1]
    run = np.cumsum(np.r_[0, ~same])
    give_back(hidden, presence, weights, rng.random((len(hidden), len(weights)))[run])


# ------------------------------------------------------------------ segments


def count_steps(layout):
    """Number of tokens of each modality, or of columns if it has no tokens."""
    return np.array([tokens if tokens > 1 else dim for tokens, dim in layout.shapes])


def hide_segments(X, layout, share, draws):
    """Hide one run of steps in each observed modality of each sample, in place."""
    # Steps are columns or tokens. draws: (n_samples, 2 * n_modalities)
    for m, n_steps in enumerate(count_steps(layout)):
        columns, length_and_start = layout.columns[m], draws[:, 2 * m : 2 * m + 2]
        for chunk in row_chunks(len(X), layout.widths[m]):
            cells = X[chunk, columns].reshape(-1, n_steps, layout.widths[m] // n_steps)
            lost = draw_segments(
                ~np.isnan(cells).all(axis=2), share, length_and_start[chunk]
            )
            cells = np.where(lost[:, :, None], np.nan, cells)
            X[chunk, columns] = cells.reshape(len(lost), -1)


def draw_segments(observed, share, draws):
    """Mask of one run of the observed steps of each sample, like `observed`."""
    # draws: (n_samples, 2), for the length and the start
    n_observed = observed.sum(axis=1)
    length = np.floor(share * n_observed + draws[:, 0])
    length = np.minimum(length, np.maximum(n_observed - 1, 0))
    start = np.floor(draws[:, 1] * (n_observed - length + 1))
    rank = observed.cumsum(axis=1) - 1
    return observed & (rank >= start[:, None]) & (rank < (start + length)[:, None])


# ------------------------------------------------------------------ scores


class LevelScores:
    """Scores from the values of the driver, or of each modality; 0 if unknown."""

    def __init__(self, table, driver):
        self.layout, self.driver = table.layout, driver
        self.scaler = fit_scaler(table)
        levels = self._levels(table.X)
        seen = ~np.isnan(levels)
        n_seen = np.maximum(seen.sum(axis=0), 1)
        self.mean = np.where(seen, levels, 0).sum(axis=0) / n_seen
        spread = np.where(seen, levels - self.mean, 0)
        deviation = np.sqrt((spread**2).sum(axis=0) / n_seen)
        flat = deviation <= 1e-12
        self.deviation = np.where(flat, np.inf, deviation)
        used = range(len(self.layout)) if driver is None else [driver]
        names = [repr(self.layout.names[m]) for m in used if flat[m]]
        if names:
            nouns = "modality has", "modalities have"
            table.warn(
                f"{count(len(names), *nouns)} one value in all samples: "
                f"{', '.join(names[:5])}. Modalities that depend on it are hidden at "
                "random."
            )

    def __call__(self, X, values=None):
        scores = np.nan_to_num((self._levels(X) - self.mean) / self.deviation)
        if self.driver is None:
            return scores
        return np.repeat(scores[:, [self.driver]], len(self.layout), axis=1)

    def _levels(self, X):
        """Mean standardised cell: (n_samples, n_modalities), NaN where missing."""
        levels = np.full((len(X), len(self.layout)), np.nan)
        for m, width in enumerate(self.layout.widths):
            columns = self.layout.columns[m]
            mean, scale = self.scaler.mean[columns], self.scaler.scale[columns]
            for chunk in row_chunks(len(X), width):
                z = (X[chunk, columns] - mean) / scale
                seen = ~np.isnan(z)
                n_seen = seen.sum(axis=1)
                total = np.where(seen, z, 0).sum(axis=1, dtype=np.float64)
                np.divide(total, n_seen, out=levels[chunk, m], where=n_seen > 0)
        return levels


class StratumScores:
    """Scores from the class or group of a sample; `rng` shuffles classes or groups."""

    def __init__(self, values, n_modalities, rng, what):
        self.what = what
        values = [v for v in values.tolist() if v == v]
        try:
            self.strata = sorted(set(values))
        except TypeError:
            raise TypeError(
                f"The {what} of the samples must be all numbers or all strings; got "
                f"{sorted({type(v).__name__ for v in values})}."
            ) from None
        if len(self.strata) < 2:
            warn(
                f"ModalityAmputer: all samples have the same {what}, {self.strata!r}; "
                "modalities are hidden at random."
            )
        counter = Counter(values)
        counts = np.array([counter[v] for v in self.strata] or [1])
        self.table = _spread_scores(counts, n_modalities, rng)

    def __call__(self, X, values):
        code = {v: i for i, v in enumerate(self.strata)}
        values = values.tolist()
        found = np.array([code.get(v, -1) for v in values])
        new = {v for v, i in zip(values, found) if i < 0 and v == v}
        if new:
            n_new = sum(v in new for v in values)
            shown = ", ".join(sorted(map(repr, new))[:5])
            warn(
                f"ModalityAmputer: {count(n_new, 'sample has', 'samples have')} a "
                f"{self.what} that was not seen in fit ({shown}); each loses "
                "modalities at the average rate."
            )
        return np.where(found[:, None] >= 0, self.table[found], 0.0)


class TargetScores:
    """Scores from a continuous target: its standardised value for all modalities."""

    def __init__(self, values, n_modalities):
        self.n_modalities = n_modalities
        self.mean, self.deviation = values.mean(), values.std() or 1.0

    def __call__(self, X, values):
        scores = (values - self.mean) / self.deviation
        return np.repeat(scores[:, None], self.n_modalities, axis=1)


def _spread_scores(counts, n_modalities, rng):
    """Evenly spaced and standardised scores of groups, shuffled per modality."""
    scores = np.column_stack(
        [rng.permutation(len(counts)) for _ in range(n_modalities)]
    ).astype(np.float64)
    share = counts / counts.sum()
    scores -= share @ scores
    deviation = np.sqrt(share @ scores**2)
    return scores / np.where(deviation > 0, deviation, 1)


def solve_intercept(scores, rate, strength):
    """Find a such that the mean of expit(a + strength * scores) is `rate`."""
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
