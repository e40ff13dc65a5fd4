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
