"""What holds for classifiers and regressors, whatever the table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import get_tags

from ..estimators import make_instances, skip_if_weights_do_not_count
from .conftest import few
from .strategies import (
    FORMS,
    Table,
    as_array,
    in_form,
    no_warnings,
    short_name,
    tables,
)

TABULAR = [e for e in make_instances() if get_tags(e).input_tags.allow_nan]
PREDICTORS = [e for e in TABULAR if is_classifier(e) or is_regressor(e)]
STEADY = [e for e in PREDICTORS if not get_tags(e).non_deterministic]
# Models of blocks, which read rows through sums only.
BLOCKWISE = [
    e
    for e in PREDICTORS
    if type(e).__name__.startswith(("Late", "Pattern"))
    and "Conformal" not in type(e).__name__  # which predict by the estimator inside
]
# How near two solutions of the same logistic regression are, found on other ways.
SOLVED = 1e-3


def each(estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=short_name)


def fitted(estimator, table, X=None, rows=slice(None), **fit_params):
    estimator = clone(estimator).set_params(modalities=table.modalities)
    y = table.y if is_classifier(estimator) else table.target
    return estimator.fit(table.X[rows] if X is None else X, y[rows], **fit_params)


def with_folds(estimator, rows):
    folds = np.asarray(rows) % 2
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in (0, 1)]
    return clone(estimator).set_params(cv=splits)


def predictions(model, X):
    read = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    return np.asarray(read(X))


def assert_near(found, expected, table, error=1e-5):
    """Equal up to an error in units of the largest target or probability."""
    scale = max(1.0, np.abs(table.target).max())
    assert_allclose(found / scale, expected / scale, rtol=0, atol=error)


@each(PREDICTORS)
@few
@given(tables(min_rows=12), st.sampled_from(FORMS))
def test_predictions_are_finite_and_the_same_for_any_container(estimator, table, form):
    """No NaN; probabilities add up to 1; a memmap or a frame is as good as an array."""
    X, array = in_form(table.X, form), as_array(table.X, form)
    with no_warnings():
        found = predictions(fitted(estimator, table, X), X)
        plain = predictions(fitted(estimator, table, array), array)
    assert np.isfinite(found).all()
    if found.ndim == 2:
        assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert_near(found, plain, table)


@each(STEADY)
@few
@given(tables(min_rows=12), st.randoms(use_true_random=False))
def test_a_row_alone_is_predicted_as_among_others(estimator, table, random):
    rows = list(range(len(table.X)))
    random.shuffle(rows)
    with no_warnings():
        model = fitted(estimator, table)
        together = predictions(model, table.X)
        alone = np.concatenate([predictions(model, row) for row in table.X[:, None]])
        shuffled = predictions(model, table.X[rows])
    assert_near(alone, together, table)
    assert_near(shuffled, together[rows], table)


@each(BLOCKWISE)
@few
@given(tables(min_rows=12, ties=False), st.randoms(use_true_random=False))
def test_order_of_training_samples_is_nothing(estimator, table, random):
    rows = list(range(len(table.X)))
    random.shuffle(rows)
    with no_warnings():
        same = with_folds(estimator, range(len(rows)))
        plain = predictions(fitted(same, table), table.X)
        moved = with_folds(estimator, rows)
        shuffled = predictions(fitted(moved, table, rows=rows), table.X)
    assert_near(shuffled, plain, table, 1e-4)


@each(STEADY)
@few
@given(tables(min_rows=12, ties=False, dtypes=[np.float32]))
def test_float32_is_close_to_float64(estimator, table):
    X = table.X.astype(np.float64)
    with no_warnings():
        model = fitted(estimator, table, X)
        wide, narrow = predictions(model, X), predictions(model, table.X)
    assert_near(narrow, wide, table, 1e-4)


@each(BLOCKWISE)
@few
@given(
    tables(min_rows=12, max_modalities=3, ties=False), st.randoms(use_true_random=False)
)
def test_order_of_modalities_is_nothing(estimator, table, random):
    order = list(range(len(table.columns)))
    random.shuffle(order)
    columns = [table.columns[m] for m in order]
    moved = Table(table.X, columns, table.presence[:, order], table.y)
    with no_warnings():
        plain = predictions(fitted(estimator, table), table.X)
        permuted = predictions(fitted(estimator, moved), table.X)
    assert_near(permuted, plain, table, SOLVED)


@each(BLOCKWISE)
@few
@given(tables(min_rows=12, ties=False), st.randoms(use_true_random=False))
def test_weight_is_repetition(estimator, table, random):
    skip_if_weights_do_not_count(estimator)
    weight = np.array([random.randint(0, 2) for _ in table.X])
    weight[:4] = 1
    rows = np.repeat(np.arange(len(weight)), weight)
    if hasattr(estimator, "min_samples"):  # which counts rows, whatever their weight
        estimator = clone(estimator).set_params(min_samples=1)
    with no_warnings():
        same = with_folds(estimator, range(len(weight)))
        weighted = fitted(same, table, sample_weight=weight)
        repeated = fitted(with_folds(estimator, rows), table, rows=rows)
        assert_near(
            predictions(weighted, table.X),
            predictions(repeated, table.X),
            table,
            SOLVED,
        )
