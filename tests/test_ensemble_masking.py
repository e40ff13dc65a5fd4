"""Random subsets of the modalities that samples have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing._masking import POLICIES, draw_subsets

COMPLETE = np.ones((6000, 3), dtype=bool)


@pytest.mark.parametrize("policy", POLICIES)
def test_subsets_are_nonempty_and_available(policy, seed):
    rng = np.random.RandomState(seed)
    presence = rng.uniform(size=(500, 5)) < 0.4
    kept = draw_subsets(presence, rng, policy=policy, drop_probability=0.9)
    assert not (kept & ~presence).any()
    assert_array_equal(kept.any(axis=1), presence.any(axis=1))


def frequencies(kept):
    """Share of samples per subset, the subset read as a binary number."""
    return np.bincount(kept @ [1, 2, 4], minlength=8) / len(kept)


@pytest.mark.parametrize(
    "policy, expected",
    [
        # Index 3 is {0, 1}, of size two; 1, 2 and 4 are single modalities.
        ("uniform_size", np.array([0, 3, 3, 3, 3, 3, 3, 9]) / 27),
        ("uniform_subset", np.array([0, 1, 1, 1, 1, 1, 1, 1]) / 7),
        # As likely as independent drops make them; the empty one is shared.
        ("bernoulli", np.array([0, 4, 4, 3, 4, 3, 3, 3]) / 24),
    ],
)
def test_subsets_are_as_likely_as_the_policy_says(policy, expected, seed):
    """Sizes evenly, subsets evenly, or independent drops with probability 0.5."""
    kept = draw_subsets(COMPLETE, np.random.RandomState(seed), policy=policy)
    assert_allclose(frequencies(kept), expected, atol=0.03)


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="policy must be one of .*; got 'half'"):
        draw_subsets(COMPLETE, np.random.RandomState(0), policy="half")
