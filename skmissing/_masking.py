"""Draws random subsets of observed modalities, to hide the others in training."""

from numbers import Real

import numpy as np

POLICIES = ("uniform_size", "uniform_subset", "bernoulli")


def read_dropout(modality_dropout, names):
    """Probability of each modality, and the policy for :func:`draw_subsets`."""
    if set(modality_dropout) != set(names):
        raise ValueError(
            f"modality_dropout must have a probability of each modality {list(names)}; "
            f"got {dict(modality_dropout)}."
        )
    for name, value in modality_dropout.items():
        if not isinstance(value, Real) or not 0 <= value <= 1:
            raise ValueError(
                f"modality_dropout[{name!r}] must be a number from 0 to 1; got "
                f"{value!r}."
            )
    return tuple(float(modality_dropout[name]) for name in names), "bernoulli"


def draw_subsets(presence, rng, *, policy="uniform_size", drop_probability=0.5):
    """Draw a random, non-empty subset of the modalities of each row of `presence`."""
    if policy == "uniform_size":
        available = presence.sum(axis=1)
        sizes = 1 + np.floor(rng.random_sample(len(available)) * available)
        return _first_of_shuffled(presence, sizes, rng)
    if policy == "uniform_subset":
        kept = np.zeros_like(presence)
        left = np.flatnonzero(presence.any(axis=1))
        # If empty subsets are drawn again, all others are equally probable. On average,
        # each round replaces at least half of the empty subsets.
        while len(left):
            kept[left] = presence[left] & (rng.random_sample(kept[left].shape) < 0.5)
            left = left[~kept[left].any(axis=1)]
        return kept
    if policy == "bernoulli":
        kept = presence & (rng.random_sample(presence.shape) >= drop_probability)
        emptied = np.flatnonzero(presence.any(axis=1) & ~kept.any(axis=1))
        kept[emptied] = _first_of_shuffled(presence[emptied], 1, rng)
        return kept
    raise ValueError(f"policy must be one of {POLICIES}; got {policy!r}.")


def _first_of_shuffled(presence, sizes, rng):
    """Keep the first `sizes` modalities of each row in random order."""
    keys = np.where(presence, rng.random_sample(presence.shape), 2.0)
    ranks = keys.argsort(axis=1).argsort(axis=1)
    return presence & (ranks < np.reshape(sizes, (-1, 1)))
