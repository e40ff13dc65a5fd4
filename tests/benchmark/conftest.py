"""Small data that the benchmark's tests share."""

import numpy as np
import pytest

from skmissing.benchmark import BenchmarkData


def make_toy(task="classification", n=120, name="toy", **extra):
    """Three modalities of width 3, each of which tells something about y."""
    rng = np.random.RandomState(0)
    signal = rng.standard_normal(n)
    X = rng.standard_normal((n, 9)) + 1.5 * signal[:, None]
    targets = {
        "classification": (signal > 0).astype(int),
        "regression": signal,
        "multilabel": np.column_stack([signal > 0, signal > 0.5]).astype(int),
    }
    modalities = {"text": 3, "audio": 3, "video": 3}
    return BenchmarkData(name, X, targets[task], modalities, **extra)


@pytest.fixture
def failing(monkeypatch):
    """The name of a method that fails."""
    monkeypatch.setattr("skmissing.benchmark._methods.MOST_COLUMNS_ITERATIVE", 2)
    return "iterative"


@pytest.fixture
def toy():
    return make_toy()
