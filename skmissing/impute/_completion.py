"""Which centre fills which gap: Algorithm 2 of UL4M4 in closed form, and kin.

Arrays in, arrays out. A donor is the centre that a gap is copied from; -1 means that
no centre can fill it.
"""

from dataclasses import dataclass, field

import numpy as np

from skmissing._blocks import block_norms, find_patterns
from skmissing._distances import (
    label_distances,
    nearest_centers,
    nearest_distances,
    squared_distances,
)

# Rows that a temperature is chosen by, at most.
MOST_SCORED = 2000


def nearest_donors(blocks, centers):
    """Nearest centre that has the modality, over the row's own modalities.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers

    Returns
    -------
    ndarray of shape (n_rows, n_modalities), dtype intp
    """
    if centers.presence.all():
        labels = nearest_centers(blocks, centers)
        return np.repeat(labels[:, None], centers.presence.shape[1], axis=1)
    return _nearest_owners(squared_distances(blocks, centers), centers.presence)


def _nearest_owners(squared, owned):
    donors = np.full((len(squared), owned.shape[1]), -1, dtype=np.intp)
    rows = np.arange(len(squared))
    for m in np.flatnonzero(owned.any(axis=0)):
        owners = np.flatnonzero(owned[:, m])
        best = squared[:, owners].argmin(axis=1)
        reached = np.isfinite(squared[rows, owners[best]])
        donors[reached, m] = owners[best[reached]]
    return donors


def soft_weights(blocks, centers, temperature):
    """Weights of the centres for each row.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers
    temperature : float

    Returns
    -------
    ndarray of shape (n_rows, n_clusters)
        :math:`\\exp(-(d^2 - \\min d^2) / T)`, 0 where nothing is shared. They do not
        add up to 1: a modality is averaged over the centres that have it.
    """
    return _fall_off(squared_distances(blocks, centers), temperature)


def _fall_off(squared, temperature):
    lowest = squared.min(axis=1, keepdims=True)
    lowest[np.isinf(lowest)] = 0
    return np.exp((lowest - squared) / squared.dtype.type(temperature))


def soft_values(weights, centers, owned):
    """Weighted mean of one modality over the centres that have it.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, n_clusters)
    centers : ndarray of shape (n_clusters, width)
        Columns of the modality.
    owned : ndarray of shape (n_clusters,), dtype bool
        Which centres have it.

    Returns
    -------
    values : ndarray of shape (n_rows, width)
    reached : ndarray of shape (n_rows,), dtype bool
        False where all of these centres have weight 0.
    """
    shares = weights[:, owned]
    total = shares.sum(axis=1, keepdims=True)
    reached = total > 0
    shares /= np.where(reached, total, 1)
    return shares @ centers[owned], reached[:, 0]


@dataclass(frozen=True)
class TemperatureScores:
    """How well each temperature fills hidden modalities of rows seen so far.

    Attributes
    ----------
    temperatures : ndarray of shape (n_temperatures,)
    errors : ndarray of shape (n_modalities, n_temperatures)
        Sums of squared errors over rows.
    counts : ndarray of shape (n_modalities,)
        Number of rows that each modality was hidden in.
    """

    temperatures: np.ndarray
    errors: np.ndarray
    counts: np.ndarray

    def best(self):
        """Temperature of the least mean error, modalities counted alike."""
        means = self.errors / np.maximum(self.counts, 1)[:, None]
        return float(self.temperatures[means.sum(axis=0).argmin()])


def score_temperatures(blocks, centers, labels=None, before=None):
    """Fill hidden modalities of some of the rows at several temperatures.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers
    labels : ndarray of shape (n_rows,) or None
        Cluster that each row is part of; None if the centres never saw the rows.
    before : TemperatureScores or None
        Of other rows, to which these are added.

    Returns
    -------
    TemperatureScores or None
        Of the median squared distance to the nearest centre times 4, 2, ..., 1/256,
        or of the temperatures of `before`; `before` itself if no row has two
        modalities.

    Notes
    -----
    The centre of a row's own cluster is the mean of rows of which it is one, so with
    few rows a cluster low temperatures would look too good. Its distance and its
    values are therefore those of the mean of the others,
    :math:`c + (c - x) / (n - 1)`.
    """
    linked = blocks.presence.sum(axis=1) > 1
    members = None
    if labels is not None:
        linked &= labels >= 0
        members = np.zeros(centers.presence.shape)
        np.add.at(members, labels[labels >= 0], blocks.presence[labels >= 0])
    linked = np.flatnonzero(linked)
    if not len(linked):
        return before
    linked = thin_out(linked)
    sample = blocks.take(linked)
    labels = None if labels is None else labels[linked]
    if before is None:
        n_modalities = len(blocks.layout)
        temperatures = _temperature_grid(sample, centers)
        before = TemperatureScores(
            temperatures,
            np.zeros((n_modalities, len(temperatures))),
            np.zeros(n_modalities),
        )
    errors, counts = before.errors.copy(), before.counts.copy()
    for m in range(len(blocks.layout)):
        rows = np.flatnonzero(sample.presence[:, m])
        if len(rows):
            hidden = blocks.take(linked[rows], hide=m)
            own = None if labels is None else (labels[rows], members[labels[rows]] - 1)
            errors[m] += _hidden_errors(
                sample, hidden, m, centers, rows, before.temperatures, own
            )
            counts[m] += len(rows)
    return TemperatureScores(before.temperatures, errors, counts)


def thin_out(rows):
    """Evenly spaced ones of some rows, enough to choose a temperature by."""
    return rows[:: max(1, -(-len(rows) // MOST_SCORED))]


def _temperature_grid(sample, centers):
    _, squared = nearest_distances(sample, centers)
    usual = float(np.median(np.sqrt(squared[np.isfinite(squared)]))) ** 2
    return (usual if usual > 0 else 1.0) * 2.0 ** np.arange(2, -9, -1)


def _hidden_errors(sample, hidden, m, centers, rows, temperatures, own):
    """Sum of squared errors on modality m, hidden, by temperature.

    `own` is the cluster of each row and the numbers of other rows in it, or None.
    """
    columns = sample.layout.slices[m]
    truth = sample.groups[0].values[rows, columns]
    owned, center_values = centers.presence[:, m], centers.values[:, columns]
    squared = squared_distances(hidden, centers)
    each = np.arange(len(rows))
    if own is not None:
        labels, others = own
        squared[each, labels] = _distance_to_others(hidden, centers, labels, others)
        alone = others[:, m] < 1
        squared[each[alone], labels[alone]] = np.inf
        lent = (center_values[labels] - truth) / np.maximum(others[:, m], 1)[:, None]
    errors = []
    for temperature in temperatures:
        weights = _fall_off(squared, temperature)
        values, _ = soft_values(weights, center_values, owned)
        if own is not None:
            total = weights[:, owned].sum(axis=1)
            share = weights[each, labels] / np.where(total > 0, total, 1)
            values += share[:, None] * lent
        errors.append(((values - truth) ** 2).sum())
    return np.array(errors)


def _distance_to_others(hidden, centers, labels, others):
    """Squared distance of each row to the mean of the other rows of its cluster."""
    group = hidden.groups[0]
    norms = block_norms(group.values - centers.values[labels], group.widths)
    shared = hidden.presence & (others >= 1)
    grown = (1 + 1 / np.maximum(others, 1)) ** 2 * norms * shared
    n_shared = shared.sum(axis=1)
    mean = grown.sum(axis=1) / np.maximum(n_shared, 1)
    return np.where(n_shared > 0, mean, np.inf)


@dataclass
class GreedyCompletion:
    """Algorithm 2 of UL4M4, without its loops over candidates.

    Candidate j of a row is the row with its gaps filled from centre j. Its score is
    the least distance to any centre c,

    (S(x, c) + sum of E_m(j, c) over what j lends and c has) / number of shared
    modalities,

    with S over the row's own modalities and E between centres. Candidates are taken
    in the order of their scores, and each gap is copied from the first that can fill
    it. Donors that lend the same set of modalities (a signature) differ in E alone,
    which does not depend on the row: so per pattern, signature and centre only the
    donors of least E matter, and rows cost one comparison a signature and centre.

    Ties go to the donor closest to the row over its own modalities, then to the
    lowest index.

    Parameters
    ----------
    centers : Centers
    slices : list of slice
        Columns of each modality in layout order.
    """

    centers: object
    slices: list
    _between: np.ndarray = field(init=False, repr=False)
    _plans: dict = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self):
        owned = self.centers.presence
        self._between = np.zeros((owned.shape[1], *[len(owned)] * 2))
        for m, columns in enumerate(self.slices):
            block = self.centers.values[:, columns].astype(np.float64)
            norms = np.einsum("ij,ij->i", block, block)
            squared = norms[:, None] - 2 * block @ block.T + norms
            np.maximum(squared, 0, out=squared)
            # A centre is at no distance from itself, to the last bit.
            np.fill_diagonal(squared, 0)
            self._between[m] = np.where(np.outer(owned[:, m], owned[:, m]), squared, 0)

    def donors(self, blocks):
        """Donor of each gap.

        Parameters
        ----------
        blocks : Blocks

        Returns
        -------
        ndarray of shape (n_rows, n_modalities), dtype intp
            For a modality that the row has, the nearest centre that has it too.
        """
        if self.centers.presence.all():
            return nearest_donors(blocks, self.centers)
        squared = squared_distances(blocks, self.centers).astype(np.float64)
        # A row that is a centre is at distance 0, which a product only comes near;
        # that matters here, because candidates at distance 0 tie.
        labels = squared.argmin(axis=1)
        exact = label_distances(blocks, self.centers, labels)
        reached = np.flatnonzero(blocks.presence.any(axis=1))
        squared[reached, labels[reached]] = exact[reached]
        donors = _nearest_owners(squared, self.centers.presence)
        patterns, inverse = find_patterns(blocks.presence)
        for p, pattern in enumerate(patterns):
            if not pattern.all() and pattern.any():
                rows = np.flatnonzero(inverse == p)
                donors[np.ix_(rows, ~pattern)] = self._complete(squared[rows], pattern)
        return donors

    def _complete(self, squared, pattern):
        """Donors of the absent modalities for rows of one pattern."""
        owned = self.centers.presence
        n_shared = owned[:, pattern].sum(axis=1)
        sums = np.where(n_shared > 0, squared, 0) * n_shared
        absent = np.flatnonzero(~pattern)
        best = np.full((len(absent), 3, len(squared)), np.inf)
        for lent, *plan in self._plan(pattern):
            found = np.stack(_best_candidate(sums, squared, n_shared, *plan))
            for a in np.flatnonzero(lent[absent]):
                better = _comes_before(found, best[a])
                best[a][:, better] = found[:, better]
        donors = np.where(np.isinf(best[:, 0]), -1, best[:, 2])
        return donors.T.astype(np.intp)

    def _plan(self, pattern):
        """By signature: what is lent, by whom, least E to each centre, who has it."""
        key = pattern.tobytes()
        if key not in self._plans:
            owned = self.centers.presence
            signatures, inverse = find_patterns(owned & ~pattern)
            self._plans[key] = []
            for s, lent in enumerate(signatures):
                if not lent.any():
                    continue
                donors = np.flatnonzero(inverse == s)
                between = self._between[lent][:, donors].sum(axis=0)
                least = between.min(axis=0)
                n_lent = owned[:, lent].sum(axis=1)
                plan = (lent, donors, least, n_lent, between == least)
                self._plans[key].append(plan)
        return self._plans[key]


def _best_candidate(sums, squared, n_shared, donors, least, n_lent, attains):
    """Score, distance to the row, and index of the best donor of one signature."""
    rows = np.arange(len(sums))
    n_terms = n_shared + n_lent
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(n_terms > 0, (sums + least) / n_terms, np.inf)
    center = scores.argmin(axis=1)
    score = scores[rows, center]
    donor = donors[attains.argmax(axis=0)[center]]
    tied = (scores == score[:, None]).sum(axis=1) > 1
    tied |= attains.sum(axis=0)[center] > 1
    again = np.flatnonzero(tied & np.isfinite(score))
    if len(again):
        at_best = scores[again] == score[again, None]
        candidates = at_best.astype(np.float64) @ attains.T > 0
        own = np.minimum(squared[again][:, donors], np.finfo(np.float64).max)
        own[~candidates] = np.inf
        donor[again] = donors[own.argmin(axis=1)]
    return score, squared[rows, donor], donor


def _comes_before(found, best):
    """Whether score, distance, index of one candidate precede those of another."""
    before = found[2] < best[2]
    for key in (1, 0):
        before = (found[key] < best[key]) | ((found[key] == best[key]) & before)
    return before
