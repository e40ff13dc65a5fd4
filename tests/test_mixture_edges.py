"""PartialModalityFactorMixture: weights, columns never seen, and what is told."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
)
from skmissing.mixture import PartialModalityFactorMixture

nan = np.nan


def one_factor(rng, n):
    """Rows whose two modalities share a factor."""
    return rng.standard_normal((n, 1)) + 0.1 * rng.standard_normal((n, 4))


def fitted(X, sample_weight=None, **params):
    """A model of two modalities; it need not have converged."""
    params = {"n_factors": 2, "modalities": [2, 2], "random_state": 0, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = PartialModalityFactorMixture(1, **params)
        return model.fit(X, sample_weight=sample_weight)


def test_rows_of_little_weight_do_not_calibrate():
    """Unrelated rows that weigh next to nothing leave the trust as it was."""
    rng = np.random.RandomState(0)
    X, junk = one_factor(rng, 300), rng.standard_normal((300, 4))
    weight = np.r_[np.ones(300), np.full(300, 1e-6)]
    alone = fitted(X, calibrate=True)
    found = fitted(np.vstack([X, junk]), weight, calibrate=True)
    np.testing.assert_allclose(found.shrinkage_, alone.shrinkage_, atol=0.02)
    np.testing.assert_allclose(found.std_scale_, alone.std_scale_, rtol=0.2)


def unseen_column(rng):
    """Rows of which no one has the third column, of the first modality."""
    X = one_factor(rng, 100)
    X[:, 2] = nan
    X[:20, 3] = nan
    return X


def test_column_never_observed():
    """It counts for nothing later, is named, and its errors are not known."""
    X = unseen_column(np.random.RandomState(0))
    with pytest.warns(UserWarning, match="1 columns are not .*'x2'; nothing is learnt"):
        model = fitted(X, modalities=[3, 1])
    hidden = np.array([[1.0, 2, nan, nan], [nan] * 4])
    rows = hidden.copy()
    rows[:, 2] = 7
    for name in (
        "score_samples", "predict_proba", "predict", "transform", "impute",
        "imputation_std",
    ):  # fmt: skip
        method = getattr(model, name)
        with (
            pytest.warns(UserWarning, match="'x2', which 2 of 2 samples have"),
            pytest.warns(UserWarning, match="1 of 2 samples have no observed modality"),
        ):
            found = method(rows)
        with pytest.warns(
            UserWarning, match="1 of 2 samples have no observed modality"
        ):
            expected = method(hidden)
        columns = [0, 1, 3] if name.startswith("impu") else slice(None)
        np.testing.assert_array_equal(*(v.T[columns] for v in (found, expected)))
        if name == "impute":
            np.testing.assert_array_equal(found[:, 2], 7)
            np.testing.assert_array_equal(expected[:, 2], 0)
        if name == "imputation_std":
            np.testing.assert_array_equal(found[:, 2], 0)
            np.testing.assert_array_equal(expected[:, 2], nan)
            assert (expected[1, [0, 1, 3]] > 0).all()


@pytest.mark.parametrize(
    "imputer",
    [
        ClusterGuidedImputer(5, random_state=0),
        ClusterGuidedImputer(5, strategy="greedy", random_state=0),
        FactorImputer(1, n_factors=2, random_state=0),
        RetrievalImputer(5),
        RegressionImputer(),
    ],
)
def test_imputers_do_not_go_by_a_column_never_observed(imputer):
    """Its value is kept, told, and fills no other gap in another way."""
    X = unseen_column(np.random.RandomState(0))
    imputer = clone(imputer).set_params(modalities=[3, 1], add_indicator=True)
    with pytest.warns(UserWarning, match="'x2'; they are filled with 0"):
        imputer.fit(X)
    hidden = np.array([[1.0, 2, nan, nan], [0.5, 1, nan, 3]])
    rows = hidden.copy()
    rows[0, 2] = 7
    with pytest.warns(UserWarning, match="ignored: 'x2', which 1 of 2 samples have"):
        found = imputer.transform(rows)
    expected = imputer.transform(hidden)
    assert found[0, 2] == 7
    assert expected[0, 2] == 0
    found[0, 2] = 0
    np.testing.assert_array_equal(found, expected)


def test_no_convergence_is_told_by_the_imputer_too():
    """It fits the same model, and says the same of it."""
    X = one_factor(np.random.RandomState(0), 100)
    X[::3, :2] = nan
    imputer = FactorImputer(1, n_factors=2, modalities=[2, 2], max_iter=1)
    with pytest.warns(ConvergenceWarning, match="EM did not converge in max_iter=1"):
        imputer.fit(X)
