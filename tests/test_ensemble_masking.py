"""Random subsets of the modalities that samples have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier

from skmissing._masking import POLICIES, draw_subsets, read_dropout
from skmissing.ensemble import ModalityDropout

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


def test_each_modality_has_its_probability(seed):
    """Without the samples that lose all: those keep one at random."""
    dropout, policy = read_dropout({"b": 1.0, "a": 0.0, "c": 0.25}, "abc")
    assert (dropout, policy) == ((0.0, 1.0, 0.25), "bernoulli")
    rng = np.random.RandomState(seed)
    kept = draw_subsets(COMPLETE, rng, policy=policy, drop_probability=dropout)
    assert_allclose(kept.mean(axis=0), [1, 0, 0.75], atol=0.03)


def recorded(X, **params):
    """X as the estimator inside gets it."""

    class Recorder(DummyClassifier):
        def fit(self, X, y, **params):
            seen.append(X)
            return super().fit(X, y, **params)

    seen = []
    ModalityDropout(Recorder(), n_copies=20, **params).fit(X, np.arange(len(X)) % 2)
    return seen[0]


def test_protected_modality_is_never_hidden():
    X = np.ones((100, 3))
    params = {"modalities": {"a": 1, "b": 2}, "random_state": 0}
    seen = recorded(X, modality_dropout={"a": 0, "b": 0.9}, **params)
    assert not np.isnan(seen[:, 0]).any()
    assert 0.85 < np.isnan(seen[100:, 1:]).mean() < 0.95


@pytest.mark.parametrize(
    "dropout, match",
    [
        ({"a": 0.5}, "of each modality .*'a', 'b'.*; got {'a': 0.5}"),
        ({"a": 0.5, "b": 2}, r"modality_dropout\['b'\] must be .* 0 to 1; got 2"),
        ({"a": 0.5, "b": "no"}, r"modality_dropout\['b'\] must be .* got 'no'"),
    ],
)
def test_bad_probabilities_per_modality(dropout, match):
    params = {"modalities": {"a": 1, "b": 2}, "modality_dropout": dropout}
    with pytest.raises(ValueError, match=match):
        ModalityDropout(DummyClassifier(), **params).fit(np.ones((9, 3)), np.arange(9))
