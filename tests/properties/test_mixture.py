"""What holds for the mixture, whatever the table."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.mixture import PartialModalityFactorMixture

from .strategies import FORMS, as_array, in_form, no_warnings, tables


def make(table, n_components=1, n_factors=1, **params):
    return PartialModalityFactorMixture(
        n_components,
        n_factors=n_factors,
        modalities=table.modalities,
        max_iter=20,
        random_state=0,
        **params,
    )


components = st.integers(1, 2)
factors = st.integers(0, 3)


@given(tables(), components, factors, st.sampled_from(FORMS))
def test_answers_are_finite_and_probabilities(table, n_components, n_factors, form):
    X, array = in_form(table.X, form), as_array(table.X, form)
    with no_warnings():
        mixture = make(table, n_components, n_factors).fit(X)
        proba, filled = mixture.predict_proba(X), mixture.impute(X)
        std, scores = mixture.imputation_std(X), mixture.score_samples(X)
        plain = make(table, n_components, n_factors).fit(array).impute(array)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    observed = ~np.isnan(table.X)
    assert np.isfinite(scores).all()
    assert (std[np.isfinite(std)] >= 0).all()
    assert_array_equal(np.isnan(std), ~observed & ~observed.any(axis=0))
    assert np.isfinite(filled).all()
    assert_array_equal(filled[observed], table.X[observed])
    assert (std[observed] == 0).all()
    assert_array_equal(filled, plain)


@given(tables(), components, factors)
def test_objective_never_falls(table, n_components, n_factors):
    with no_warnings():
        mixture = make(table, n_components, n_factors, tol=0).fit(table.X)
    bounds = np.array(mixture.lower_bounds_)
    slack = 1e-4 if table.X.dtype == np.float32 else 1e-7
    assert (np.diff(bounds) >= -slack * np.maximum(1, np.abs(bounds[1:]))).all()


@given(tables(ties=False), components, factors, st.randoms(use_true_random=False))
def test_order_of_rows_is_nothing(table, n_components, n_factors, random):
    rows = list(range(len(table.X)))
    random.shuffle(rows)
    with no_warnings():
        mixture = make(table, n_components, n_factors).fit(table.X)
        together = mixture.impute(table.X)
        shuffled = mixture.impute(table.X[rows])
        alone = np.vstack([mixture.impute(row) for row in table.X[:, None]])
    scale = np.nanmax(np.abs(table.X))
    assert_allclose(shuffled / scale, together[rows] / scale, atol=1e-5)
    assert_allclose(alone / scale, together / scale, atol=1e-5)


@given(tables(ties=False, dtypes=[np.float64]), st.data())
def test_weight_two_is_the_row_twice(table, data):
    n_rows = len(table.X)
    weight = data.draw(st.lists(st.integers(1, 3), min_size=n_rows, max_size=n_rows))
    with no_warnings():
        weighted = make(table).fit(table.X, sample_weight=weight)
        repeated = make(table).fit(np.repeat(table.X, weight, axis=0))
        found, expected = weighted.impute(table.X), repeated.impute(table.X)
    scale = np.nanmax(np.abs(table.X))
    assert_allclose(found / scale, expected / scale, atol=1e-6)
