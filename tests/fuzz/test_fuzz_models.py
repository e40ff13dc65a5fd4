"""A short run of the fuzzers; the long one is started by hand."""

from tests.fuzz.fuzz_models import fuzz, make_parts
from tests.fuzz.mutations import generator, mutate


def test_changed_models_end_in_clean_errors(seed):
    """A changed file loads, or ends in ModelFileError."""
    counts, failures, _ = fuzz(2000, seed=1000 + seed)
    assert not failures, failures[0][1]
    assert sum(counts.values()) == 2000
    # The changes go deep enough: most are refused, but not all.
    assert 0.5 < counts["refused"] / 2000 < 0.98


def test_cases_can_be_made_again():
    """A case depends on its seed and number alone."""
    parts = make_parts()
    twice = [mutate(parts[0], parts, generator(3, 17)) for _ in range(2)]
    assert twice[0] == twice[1]
    assert twice[0] != mutate(parts[0], parts, generator(3, 18))
