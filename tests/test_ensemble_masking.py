"""Random subsets of the modalities that rows have."""

import numpy as np
import pytest

from skmissing._masking import POLICIES, draw_subsets

COMPLETE = np.ones((6000, 3), dtype=bool)


@pytest.mark.parametrize("policy", POLICIES)
def test_subsets_are_nonempty_and_available(policy, seed):
    """A row keeps some of what it has, nothing else, and nothing if it has nothing."""
    rng = np.random.RandomState(seed)
    presence = rng.uniform(size=(500, 5)) < 0.4
    kept = draw_subsets(presence, rng, policy=policy, drop_probability=0.9)
    assert not (kept & ~presence).any()
    np.testing.assert_array_equal(kept.any(axis=1), presence.any(axis=1))


def frequencies(kept):
    """Share of rows by subset, the subset read as a binary number."""
    return np.bincount(kept @ [1, 2, 4], minlength=8) / len(kept)


def test_uniform_size_draws_sizes_evenly(seed):
    """Each size has a third of the rows, and subsets of one size are as likely."""
    kept = draw_subsets(COMPLETE, np.random.RandomState(seed))
    expected = np.array([0, 3, 3, 3, 3, 3, 3, 9]) / 27
    # Index 3 is {0, 1}, of size two; 1, 2 and 4 are single modalities.
    np.testing.assert_allclose(frequencies(kept), expected, atol=0.03)


def test_uniform_subset_draws_subsets_evenly(seed):
    """Each of the seven subsets has a seventh of the rows."""
    rng = np.random.RandomState(seed)
    kept = draw_subsets(COMPLETE, rng, policy="uniform_subset")
    np.testing.assert_allclose(frequencies(kept)[1:], np.full(7, 1 / 7), atol=0.03)


def test_bernoulli_drops_with_its_probability(seed):
    """Subsets are as likely as independent drops make them; the empty one is shared."""
    rng = np.random.RandomState(seed)
    kept = draw_subsets(COMPLETE, rng, policy="bernoulli", drop_probability=0.5)
    single, more = 1 / 8 + 1 / 24, 1 / 8
    expected = [0, single, single, more, single, more, more, more]
    np.testing.assert_allclose(frequencies(kept), expected, atol=0.03)


def test_unknown_policy_is_named():
    """A policy that does not exist is refused."""
    with pytest.raises(ValueError, match="policy must be one of .*; got 'half'"):
        draw_subsets(COMPLETE, np.random.RandomState(0), policy="half")
