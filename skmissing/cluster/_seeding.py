"""Initial centres for partial modalities: random rows and k-means++."""

from functools import partial

import numpy as np

from skmissing._distances import GroupDistances
from skmissing._scaling import Centers


def centers_at_rows(blocks, rows):
    """Centres that have the values and the modalities of some rows.

    Parameters
    ----------
    blocks : Blocks
    rows : iterable of int
        Positions in X.

    Returns
    -------
    Centers
        Holes of a row become 0, the mean over all rows.
    """
    taken = blocks.take(rows)
    return Centers(taken.groups[0].values, taken.presence)


def random_rows(presence, n_clusters, sample_weight, rng):
    """Distinct rows drawn by weight, of which each modality is in at least one.

    Parameters
    ----------
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    n_clusters : int
    sample_weight : ndarray of shape (n_samples,)
        0 for rows that must not be drawn.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_clusters,), dtype intp
    """
    probability = sample_weight / sample_weight.sum()
    rows = rng.choice(len(presence), n_clusters, replace=False, p=probability)
    seen = presence[sample_weight > 0].any(axis=0)
    counts = presence[rows].sum(axis=0)
    for m in np.flatnonzero(seen & (counts == 0)):
        # A seed may go if each of its modalities is in another one too.
        spare = np.flatnonzero(~(presence[rows] & (counts <= 1)).any(axis=1))
        if not len(spare):
            break
        having = sample_weight * presence[:, m]
        counts -= presence[rows[spare[-1]]]
        rows[spare[-1]] = rng.choice(len(presence), p=having / having.sum())
        counts += presence[rows[spare[-1]]]
    return rows


def plus_plus_rows(blocks, n_clusters, sample_weight, rng):
    """Rows chosen by greedy k-means++.

    Parameters
    ----------
    blocks : Blocks
    n_clusters : int
    sample_weight : ndarray of shape (n_samples,)
        0 for rows that must not be drawn.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_clusters,), dtype intp

    Notes
    -----
    The first seeds are drawn among the rows that have most of the modalities that no
    seed has yet: then every row shares a modality with a seed, and no distance is
    infinite, which would make the draw follow patterns in place of values. The rest
    is the draw of :func:`sklearn.cluster.kmeans_plusplus`, by the same calls of the
    generator, so that complete data give the same seeds.
    """
    rows = _covering_rows(blocks.presence, n_clusters, sample_weight, rng)
    eligible = np.flatnonzero(sample_weight > 0)
    weight = sample_weight[eligible]
    n_trials = 2 + int(np.log(n_clusters))
    # A seed that shares nothing with a row is infinitely far; the first seeds
    # together are at a finite distance from every row.
    closest = _distances_to_rows(blocks, rows).min(axis=0)[eligible]
    potential = closest @ weight
    while len(rows) < n_clusters:
        draws = rng.uniform(size=n_trials) * potential
        candidates = np.searchsorted(np.cumsum(weight * closest), draws)
        np.clip(candidates, None, len(eligible) - 1, out=candidates)
        trial = _distances_to_rows(blocks, eligible[candidates])[:, eligible]
        np.minimum(trial, closest, out=trial)
        potentials = trial @ weight
        best = int(potentials.argmin())
        closest, potential = trial[best], potentials[best]
        rows.append(int(eligible[candidates[best]]))
    return np.array(rows, dtype=np.intp)


def _covering_rows(presence, n_clusters, sample_weight, rng):
    """Few rows that together have every modality, most of the uncovered ones first."""
    uncovered = presence[sample_weight > 0].any(axis=0)
    rows = []
    while uncovered.any() and len(rows) < n_clusters:
        gain = np.where(sample_weight > 0, presence[:, uncovered].sum(axis=1), 0)
        drawable = np.where(gain == gain.max(), sample_weight, 0)
        rows.append(int(rng.choice(len(presence), p=drawable / drawable.sum())))
        uncovered = uncovered & ~presence[rows[-1]]
    return rows


def _distances_to_rows(blocks, rows):
    """Squared distances from some rows to all, shape (len(rows), n_samples)."""
    prepare = partial(GroupDistances, centers_at_rows(blocks, rows))
    squared = np.empty((len(rows), blocks.n_rows), dtype=blocks.dtype)
    for distances, chunk, positions in blocks.chunked(prepare):
        squared[:, positions] = distances.squared(chunk).T
    return squared
