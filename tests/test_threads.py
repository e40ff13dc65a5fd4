"""One fitted object in many threads, and searches in many processes."""

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils import get_tags

import skmissing
from skmissing._parallel import (
    SingleBlas,
    _controller,
    map_in_threads,
    n_blas_threads,
    process_lock,
)

from .estimators import is_installed, make_instances
from .properties.strategies import short_name
from .test_common import make_data, outputs, with_widths

ROOT = Path(skmissing.__file__).resolve().parents[1]
ESTIMATORS = [e for e in make_instances() if get_tags(e).input_tags.allow_nan]
SEARCH = """
def count_threads(model, X, y):
    import torch

    return float(torch.get_num_threads())

if __name__ == "__main__":  # workers import this file
    import json
    from sklearn.model_selection import GridSearchCV
    from threadpoolctl import threadpool_limits
    from skmissing.fusion import make_ul4m4
    from TESTS.fusion.data import WIDTHS, make_data
    from TESTS.test_determinism import JOBS, fit_and_read

    X, y = make_data(120)
    model = make_ul4m4(
        "classification", modalities=WIDTHS, hidden_dim=8, max_epochs=3, random_state=0
    )
    grid = {"mhsafusionclassifier__lr": [0.01, 0.1]}
    scoring = {"threads": count_threads, "accuracy": "accuracy"}
    model.fit(X, y).predict(X)  # torch has its threads before the workers start
    found = []
    for n_jobs in (1, 2):
        search = GridSearchCV(
            model, grid, cv=2, n_jobs=n_jobs, scoring=scoring, refit="accuracy"
        ).fit(X, y)
        with threadpool_limits(1):
            fits = [fit_and_read(e, 60, n_jobs=n_jobs).tolist() for e in JOBS]
        results = search.cv_results_
        scores = results["mean_test_accuracy"].tolist()
        found.append((results["mean_test_threads"].max(), scores, fits))
    print(json.dumps(found))
"""


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=short_name)
def test_eight_threads_share_a_fitted_estimator(estimator):
    X, y = make_data(estimator)
    fitted = with_widths(clone(estimator)).fit(X, y)
    pieces = [X[start:] for start in range(8)]
    expected = [outputs(fitted, piece) for piece in pieces]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda piece: outputs(fitted, piece), pieces * 3))
    for one, other in zip(found, expected * 3):
        assert one.keys() == other.keys()
        for method in other:
            assert_array_equal(one[method], other[method], err_msg=method)


def test_blas_limit_is_restored_by_the_last_to_leave():
    with ExitStack() as stack:
        stack.enter_context(_controller().limit(limits=2, user_api="blas"))
        if n_blas_threads() != 2:
            pytest.skip("the matrix library has one thread only")
        single = SingleBlas()
        single.__enter__()
        single.__enter__()
        assert n_blas_threads() == 1
        single.__exit__()
        assert n_blas_threads() == 1
        single.__exit__()
        assert n_blas_threads() == 2


def test_many_threads_map_at_once():
    """Maps that overlap in time give their own results and leave the limit alone."""
    A = np.random.RandomState(0).standard_normal((64, 64))
    with _controller().limit(limits=2, user_api="blas"):
        before = n_blas_threads()

        def work(i):
            return [float(r.sum()) for r in map_in_threads(A.__matmul__, [A + i] * 4)]

        expected = [work(i) for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, list(range(8)) * 5)) == expected * 5
        assert n_blas_threads() == before


def test_process_lock():
    with ThreadPoolExecutor(1) as pool, process_lock("one"), process_lock("one"):
        assert not pool.submit(process_lock("one").acquire, False).result()
        assert pool.submit(process_lock("two").acquire, False).result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_process_lock_is_open_after_a_fork():
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
        pool.submit(process_lock("forked").acquire).result()
        child = os.fork()
        if not child:
            os._exit(not process_lock("forked").acquire(blocking=False))
        assert os.waitpid(child, 0)[1] == 0
        assert not process_lock("forked").acquire(blocking=False)
        pool.submit(process_lock("forked").release).result()


@pytest.mark.skipif(not is_installed("skorch"), reason="needs torch and skorch")
def test_processes_neither_hang_nor_oversubscribe_nor_change_results(tmp_path):
    """Searches and ensembles: done, with the same results, on no more threads."""
    script = tmp_path / "search.py"
    script.write_text(SEARCH.replace("TESTS", __package__), encoding="utf-8")
    left_out = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {k: v for k, v in os.environ.items() if k not in left_out}
    env["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, script],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    alone, together = json.loads(done.stdout)
    assert together[1] == alone[1]
    assert together[0] <= max(1, (os.cpu_count() or 1) // 2)
    assert len(alone[2]) > 3
    for found, expected in zip(together[2], alone[2], strict=True):
        assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
