"""Whatever stands in rows that are held out, the fit and the other rows stay the same.

Held out by cross-validation, where a model's own folds lie within the training rows.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skmissing.impute import ClusterGuidedImputer
from skmissing.simulate import ModalityAmputer

from ..estimators import make_instances
from .conftest import few
from .strategies import no_warnings, short_name, tables

ESTIMATORS = [e for e in make_instances() if get_tags(e).input_tags.allow_nan]
READS = ("predict_proba", "predict", "transform")


def poison(table, test, how):
    X, y = table.X.copy(), table.y.copy()
    if how == "huge":
        X[test] = 1e9
    elif how == "missing":
        X[test] = np.nan
    else:
        X[test], y[test] = X[test[::-1]], 1 - y[test[::-1]]
    return X, y


def fit_on_split(estimator, X, y, train, test):
    done = cross_validate(
        estimator,
        X,
        y,
        cv=[(train, test)],
        scoring=lambda model, X, y: 0.0,
        return_estimator=True,
    )
    return done["estimator"][0]


def assert_same_fit(estimator, table, split, how):
    """Check that fits beside clean and beside poisoned test samples are equal."""
    test = np.sort(split)
    train = np.setdiff1d(np.arange(len(table.X)), test)
    with no_warnings():
        clean = fit_on_split(estimator, table.X, table.y, train, test)
        dirty = fit_on_split(estimator, *poison(table, test, how), train, test)
        read = next(name for name in READS if hasattr(clean, name))
        expected = np.asarray(getattr(clean, read)(table.X))
        assert_array_equal(getattr(dirty, read)(table.X), expected)


poisons = st.sampled_from(["huge", "missing", "shuffled"])
# At most 6 of 16 rows and more, so that both classes are left.
splits = st.lists(st.integers(0, 15), min_size=1, max_size=6, unique=True)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=short_name)
@few
@given(tables(min_rows=16, empty_rows=False), splits, poisons)
def test_estimators_never_read_test_rows(estimator, table, split, how):
    estimator = clone(estimator).set_params(modalities=table.modalities)
    assert_same_fit(estimator, table, split, how)


@given(tables(min_rows=16, empty_rows=False), splits, poisons)
def test_pipelines_never_read_test_rows(table, split, how):
    model = make_pipeline(
        ModalityAmputer(0.3, modalities=table.modalities, random_state=0),
        ClusterGuidedImputer(2, modalities=table.modalities, random_state=0),
        StandardScaler(),
        LogisticRegression(),
    )
    assert is_classifier(model)
    assert_same_fit(model, table, split, how)
