"""What training hides: never everything, with the promised frequencies."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.fusion._masking import POLICIES, Masking

every_policy = pytest.mark.parametrize("policy", POLICIES)
every_level = pytest.mark.parametrize("level", ["sample", "batch"])


@every_policy
@every_level
def test_masking_keeps_some_of_what_is_there(policy, level, seed):
    """Rows keep a part of what they have, not nothing; empty rows stay empty."""
    rng = np.random.RandomState(seed)
    tokens = rng.uniform(size=(500, 6)) < 0.5
    masking = Masking((1, 3, 2), 0.9, policy, level)
    kept = masking(tokens, rng, np.arange(500) // 10)
    assert not (kept & ~tokens).any()
    assert_array_equal(kept.any(axis=1), tokens.any(axis=1))
    assert (kept != tokens).any()


def test_a_modality_is_hidden_as_a_whole():
    """Either all tokens that are there stay, or none."""
    rng = np.random.RandomState(0)
    tokens = rng.uniform(size=(300, 5)) < 0.7
    kept = Masking((2, 3), 1.0)(tokens, rng)
    for columns in (slice(0, 2), slice(2, 5)):
        same = (kept[:, columns] == tokens[:, columns]).all(axis=1)
        gone = ~kept[:, columns].any(axis=1)
        assert (same | gone).all()


@every_policy
def test_zero_probability_hides_nothing(policy):
    """modality_dropout=0 shows everything."""
    tokens = np.random.RandomState(0).uniform(size=(50, 4)) < 0.5
    kept = Masking((1, 1, 1, 1), 0.0, policy)(tokens, np.random.RandomState(0))
    assert_array_equal(kept, tokens)


@pytest.mark.parametrize(
    "policy, by_size", [("uniform_size", [1, 1, 1]), ("uniform_subset", [3, 3, 1])]
)
def test_share_of_masked_rows_and_sizes(policy, by_size):
    """A row is masked with the probability given; sizes come as the policy says."""
    n_rows = 60_000
    kept = Masking((1, 1, 1), 0.4, policy)(
        np.ones((n_rows, 3), dtype=bool), np.random.RandomState(0)
    )
    found = np.bincount(kept.sum(axis=1), minlength=4)[1:] / n_rows
    expected = 0.4 * np.array(by_size) / sum(by_size) + [0, 0, 0.6]
    assert_allclose(found, expected, atol=0.01)
    assert_allclose(kept.mean(axis=0), kept.mean(), atol=0.01)  # all alike


def test_bernoulli_drops_each_modality():
    """The probability is that of one modality; one stays where all would go."""
    n_rows, p = 60_000, 0.3
    kept = Masking((1, 1), p, "bernoulli")(
        np.ones((n_rows, 2), dtype=bool), np.random.RandomState(0)
    )
    # Both go with p * p; then either stays with one half.
    assert_allclose(kept.mean(axis=0), 1 - p + p * p / 2, atol=0.01)
    assert_allclose(kept.all(axis=1).mean(), (1 - p) ** 2, atol=0.01)


def test_batch_level_shares_one_draw():
    """Complete rows of one batch keep the same; batches differ."""
    batch = np.repeat(np.arange(40), 5)
    kept = Masking((1, 1, 1), 1.0, level="batch")(
        np.ones((200, 3), dtype=bool), np.random.RandomState(0), batch
    )
    by_batch = kept.reshape(40, 5, 3)
    assert (by_batch == by_batch[:, :1]).all()
    assert len(np.unique(by_batch[:, 0], axis=0)) > 3


def test_masking_is_drawn_anew_and_repeatable():
    """The next call hides others; the same seed hides the same."""
    tokens = np.ones((100, 3), dtype=bool)
    masking, rng = Masking((1, 1, 1)), np.random.RandomState(0)
    first, second = masking(tokens, rng), masking(tokens, rng)
    assert (first != second).any()
    assert_array_equal(masking(tokens, np.random.RandomState(0)), first)
