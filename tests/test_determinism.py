"""The same numbers with another number of threads."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone, is_regressor
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from .estimators import make_instances
from .properties.strategies import short_name

ESTIMATORS = [e for e in make_instances() if get_tags(e).input_tags.allow_nan]
JOBS = [e for e in ESTIMATORS if "n_jobs" in e.get_params(deep=False)]
NEURAL = ("skmissing.fusion", "skmissing.encoders")
WIDTHS = [40, 30, 50]
READS = ("predict_proba", "decision_function", "predict", "transform")

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
    for n_threads in (1, 2):
        before = set_torch_threads(n_threads) if neural else None
        try:
            with threadpool_limits(n_threads):
                results.append(fit_and_read(estimator, 100))
        finally:
            if neural:
                set_torch_threads(before)
    assert_allclose(*results, rtol=1e-6, atol=1e-6)
