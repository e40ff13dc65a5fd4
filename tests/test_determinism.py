"""The same numbers again: in other processes, with other threads and other jobs."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone, is_regressor
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from tests.estimators import make_instances
from tests.properties.strategies import no_warnings, short_name

ROOT = Path(__file__).resolve().parents[1]
ESTIMATORS = [e for e in make_instances() if get_tags(e).input_tags.two_d_array]
JOBS = [e for e in ESTIMATORS if "n_jobs" in e.get_params(deep=False)]
NEURAL = ("skmissing.fusion", "skmissing.encoders")
WIDTHS = [40, 30, 50]
READS = ("predict_proba", "decision_function", "predict", "transform")

DIGEST = "from tests.test_determinism import digests; print(*digests(), sep='\\n')"

each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=short_name)


def make_rows(n_rows):
    rng = np.random.RandomState(0)
    group = np.arange(n_rows) % 3
    X = rng.standard_normal((n_rows, sum(WIDTHS))) + group[:, None]
    keep = rng.uniform(size=(n_rows, 3)) < 2 / 3
    keep[np.arange(n_rows), rng.randint(3, size=n_rows)] = True
    X[~np.repeat(keep, WIDTHS, axis=1)] = np.nan
    return X, group


def fit_and_read(estimator, n_rows, **params):
    estimator = clone(estimator).set_params(modalities=WIDTHS, **params)
    X, group = make_rows(n_rows)
    y = group + 0.1 * np.nansum(X, axis=1) if is_regressor(estimator) else group
    estimator.fit(X, y)
    read = next(name for name in READS if hasattr(estimator, name))
    return np.asarray(getattr(estimator, read)(X))


def digests():
    with no_warnings():
        return [
            type(e).__name__ + hashlib.blake2b(fit_and_read(e, 60)).hexdigest()
            for e in ESTIMATORS
        ]


def set_torch_threads(n_threads):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    return before


@pytest.mark.slow
@each_estimator
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_number_of_threads_makes_no_difference(estimator):
    neural = type(estimator).__module__.startswith(NEURAL)
    results = []
    for n_threads in (1, 2 if neural else 4):
        before = set_torch_threads(n_threads) if neural else None
        try:
            with threadpool_limits(n_threads):
                results.append(fit_and_read(estimator, 200))
        finally:
            if neural:
                set_torch_threads(before)
    assert_allclose(*results, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("estimator", JOBS, ids=short_name)
def test_number_of_jobs_makes_no_difference(estimator):
    found = fit_and_read(estimator, 300, n_jobs=2)
    expected = fit_and_read(estimator, 300, n_jobs=1)
    assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_another_process_gives_the_same_bits():
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with threadpool_limits(1):  # earlier tests may have left another number
        assert done.stdout.splitlines() == digests()
