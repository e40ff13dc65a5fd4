"""What holds for every imputer, whatever the table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmissing.impute._base import BaseModalityImputer

from ..estimators import make_instances
from .strategies import (
    FORMS,
    as_array,
    in_form,
    no_warnings,
    short_name,
    tables,
)

IMPUTERS = [e for e in make_instances() if isinstance(e, BaseModalityImputer)]
# Largest difference between what is imputed in float32 and in float64, in units of the
# largest number in the table: the error that the guide states.
FLOAT32_ERROR = 1e-4


every_imputer = pytest.mark.parametrize("imputer", IMPUTERS, ids=short_name)


def fitted(imputer, X, modalities):
    return clone(imputer).set_params(modalities=modalities).fit(X)


def assert_near(found, expected, X, error=1e-6):
    largest = np.nanmax(np.abs(X), initial=1e-300)
    assert_allclose(found / largest, expected / largest, rtol=0, atol=error)


@every_imputer
@given(tables(), st.sampled_from(FORMS))
def test_fills_gaps_and_nothing_else(imputer, table, form):
    """No NaN comes out, observed cells are the same to the bit, X is as it was.

    It makes no difference what kind of object the table is.
    """
    before, X = table.X.copy(), in_form(table.X, form)
    array = as_array(table.X, form)
    with no_warnings():
        out = np.asarray(fitted(imputer, X, table.modalities).transform(X))
        plain = fitted(imputer, array, table.modalities).transform(array)
    observed = ~np.isnan(before)
    assert out.shape == before.shape
    assert np.isfinite(out).all()
    assert_array_equal(out[observed], before[observed])
    assert_array_equal(table.X, before)
    assert_array_equal(out, plain)


@every_imputer
@given(tables(), st.booleans(), st.booleans())
def test_transform_after_fit_is_fit_transform(imputer, table, indicator, keep):
    imputer = clone(imputer).set_params(
        modalities=table.modalities, add_indicator=indicator, keep_empty_features=keep
    )
    with no_warnings():
        once = clone(imputer).fit_transform(table.X)
        model = imputer.fit(table.X)
        twice = model.transform(table.X)
    assert_array_equal(once, twice)
    assert once.shape[1] == len(model.get_feature_names_out())


@every_imputer
@given(tables(ties=False), st.randoms(use_true_random=False))
def test_order_of_rows_is_nothing(imputer, table, random):
    """Rows in another order, or one at a time, get what they get together.

    Where two candidates are equally far, rounding decides: hence no ties.
    """
    rows = list(range(len(table.X)))
    random.shuffle(rows)
    with no_warnings():
        model = fitted(imputer, table.X, table.modalities)
        together = model.transform(table.X)
        shuffled = model.transform(table.X[rows])
        alone = np.vstack([model.transform(row) for row in table.X[:, None]])
    assert_near(shuffled, together[rows], table.X)
    assert_near(alone, together, table.X)


# The hot deck draws samples in the order of the modalities.
@pytest.mark.parametrize(
    "imputer",
    [e for e in IMPUTERS if getattr(e, "strategy", "") != "hot_deck"],
    ids=short_name,
)
@given(tables(ties=False), st.data())
def test_order_of_columns_is_nothing(imputer, table, data):
    order = np.array(data.draw(st.permutations(range(table.X.shape[1]))))
    place = np.argsort(order)
    moved = {n: place[list(c)].tolist() for n, c in table.modalities.items()}
    with no_warnings():
        expected = fitted(imputer, table.X, table.modalities).transform(table.X)
        X = table.X[:, order]
        found = fitted(imputer, X, moved).transform(X)
    assert_near(found, expected[:, order], table.X)


@every_imputer
@given(tables(ties=False, dtypes=[np.float32]))
def test_float32_is_close_to_float64(imputer, table):
    X = table.X.astype(np.float64)
    with no_warnings():
        model = fitted(imputer, X, table.modalities)
        wide, narrow = model.transform(X), model.transform(table.X)
    assert narrow.dtype == np.float32
    assert_near(narrow, wide, X, FLOAT32_ERROR)
