"""Slow, obvious loops: what the fast code is compared with."""

import numpy as np


def partial_distance(x, y, layout):
    """Squared distance of two rows by eq. (2), over the cells that both have."""
    means = []
    for modality in layout.values():
        both = [c for c in modality.columns if not np.isnan(x[c]) | np.isnan(y[c])]
        if both:
            means.append(sum((x[c] - y[c]) ** 2 for c in both) / len(both))
    return sum(means) / len(means) if means else np.inf


def greedy_completion(x, centers, layout):
    """Algorithm 2 of UL4M4, one row, as written: a search over candidates and centres.

    Returns the index of the centre that each missing modality is copied from, -1 if
    none is found. `x` and `centers` are standardised, NaN where missing. Ties go to
    the candidate whose centre is closest to the row, then to the lowest index.
    """
    blocks = [m.columns for m in layout.values()]
    missing = {m for m, columns in enumerate(blocks) if np.isnan(x[columns]).all()}
    candidates = []
    for center in centers:
        candidate = x.copy()
        for m in missing:
            candidate[blocks[m]] = center[blocks[m]]
        candidates.append(candidate)
    own = [partial_distance(x, center, layout) for center in centers]
    score = [min(partial_distance(f, c, layout) for c in centers) for f in candidates]
    remaining = set(range(len(centers)))
    donors = dict.fromkeys(missing, -1)
    todo = set(missing)
    while todo and remaining:
        best = min(remaining, key=lambda j: (score[j], own[j], j))
        if np.isinf(score[best]):
            break
        remaining.remove(best)
        for m in sorted(todo):
            if not np.isnan(centers[best][blocks[m]]).any():
                donors[m] = best
                todo.remove(m)
    return donors
