"""Fixtures that several test files share."""

import os

# Before numpy is loaded: test processes that run side by side, each with a thread per
# core for its small matrix products, take three times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
import pytest

N_SEEDS = 20


def pytest_generate_tests(metafunc):
    """Run a test that takes `seed` with seed 0, or with what SKMISSING_SEEDS says.

    SKMISSING_SEEDS is `all` or seeds with commas between, such as `3,17`.
    """
    if "seed" in metafunc.fixturenames:
        wanted = os.environ.get("SKMISSING_SEEDS", "0")
        seeds = range(N_SEEDS) if wanted == "all" else map(int, wanted.split(","))
        metafunc.parametrize("seed", list(seeds))


@pytest.fixture(scope="session", autouse=True)
def _jobs_are_threads():
    """Start no processes for `n_jobs=2`; tests/test_threads.py has a test that does."""
    with joblib.parallel_config("threading"):
        yield


@pytest.fixture
def small_multimodal():
    """X of 60 rows with modalities of widths 2, 3 and 1, and labels of 3 groups.

    A third of the modalities is missing, never all of a row.
    """
    rng = np.random.RandomState(0)
    widths = [2, 3, 1]
    y = rng.randint(3, size=60)
    X = rng.standard_normal((60, sum(widths))) + 2.0 * y[:, None]
    keep = rng.uniform(size=(60, len(widths))) < 2 / 3
    keep[np.arange(60), rng.randint(len(widths), size=60)] = True
    X[~np.repeat(keep, widths, axis=1)] = np.nan
    return X, y, widths


@pytest.fixture(params=["pandas", "polars"])
def df_module(request):
    return pytest.importorskip(request.param)
