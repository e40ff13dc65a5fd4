"""skops, where it is installed, takes all estimators; only our types need trust."""

import pytest

from tests.io.models import make_pipelines
from tests.test_common import (
    assert_same,
    every_estimator,
    make_data,
    outputs,
    with_widths,
)

skops_io = pytest.importorskip("skops.io")


def check(fitted, X):
    """Save, look at the types, load with those of skmissing trusted."""
    data = skops_io.dumps(fitted)
    names = skops_io.get_untrusted_types(data=data)
    # scikit-learn's SimpleImputer keeps a dtype, and its forests trees.
    known = ("skmissing.", "numpy.dtype", "sklearn.tree._tree.Tree")
    assert [name for name in names if not name.startswith(known)] == []
    assert_same(outputs(skops_io.loads(data, trusted=names), X), outputs(fitted, X))


@every_estimator
def test_skops_round_trip(estimator):
    """Results are the same bit for bit."""
    X, y = make_data(estimator)
    check(with_widths(estimator).fit(X, y), X)


@pytest.mark.parametrize("pipeline", make_pipelines())
def test_skops_round_trip_of_pipelines(pipeline):
    """So are those of pipelines."""
    X, y = make_data(pipeline)
    check(pipeline.fit(X, y), X)
