"""SimpleModalityImputer: mean, zero and hot deck."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import SimpleImputer

from skmissing.impute import SimpleModalityImputer

from .test_imputer_baselines import NAN, WIDTHS, make_rows


def hot_deck(seed=0, **params):
    return SimpleModalityImputer(
        "hot_deck", modalities=WIDTHS, random_state=seed, **params
    )


@pytest.mark.parametrize(
    "strategy, plain",
    [
        ("mean", SimpleImputer()),
        ("zero", SimpleImputer(strategy="constant", fill_value=0.0)),
    ],
)
def test_values_of_scikit_learn_and_one_indicator_per_modality(strategy, plain, seed):
    X = make_rows(np.random.RandomState(seed), 40)
    imputer = SimpleModalityImputer(strategy, modalities=WIDTHS, add_indicator=True)
    filled = imputer.fit_transform(X)
    assert_allclose(filled[:, :6], plain.fit_transform(X))
    assert_array_equal(filled[:, 6:], np.isnan(X[:, [0, 2, 5]]))


def test_hot_deck_copies_whole_modalities_of_training_samples(seed):
    train, X = make_rows(np.random.RandomState(seed), 60).reshape(2, 30, 6)
    filled = hot_deck(seed).fit(train).transform(X)
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    for columns in (slice(0, 2), slice(2, 5), slice(5, 6)):
        donors = {tuple(row) for row in train[:, columns] if not np.isnan(row).any()}
        copied = {tuple(r) for r in filled[np.isnan(X[:, columns.start]), columns]}
        assert copied <= donors and len(copied) > 3


def test_hot_deck_draws_each_donor_equally_often_and_keeps_the_variance():
    rng = np.random.RandomState(0)
    train, X = rng.standard_normal((20, 6)), rng.standard_normal((2000, 6))
    X[:, 2:] = NAN
    filled = hot_deck().fit(train).transform(X)
    counts = [np.count_nonzero(filled[:, 2] == value) for value in train[:, 2]]
    assert 60 < min(counts) and max(counts) < 140
    assert_allclose(filled[:, 2:].std(axis=0), train[:, 2:].std(axis=0), rtol=0.1)
    # The modalities are drawn independently of each other.
    pairs = {tuple(pair) for pair in filled[:, [2, 5]]}
    assert len(pairs) > 350


def test_hot_deck_depends_on_the_sample_and_the_seed_only():
    X = make_rows(np.random.RandomState(0), 50)
    X[0, 0], X[0, 2:] = 0.0, NAN
    imputer = hot_deck().fit(X)
    filled = imputer.transform(X)
    assert_array_equal(np.vstack([imputer.transform(row[None]) for row in X]), filled)
    assert_array_equal(hot_deck().fit(X).transform(X), filled)
    assert not np.array_equal(hot_deck(1).fit(X).transform(X), filled)
    single = imputer.transform(X.astype(np.float32))
    assert_allclose(single, filled, rtol=1e-6)
    X[0, 0] = -0.0
    assert_array_equal(imputer.transform(X), filled)


def test_hot_deck_fills_cells_from_samples_that_have_all_of_the_modality():
    X = [[1.0, 2.0, 0.0, 0.0, 0.0, 5.0], [NAN, 3.0, 0.0, NAN, 0.0, 6.0]]
    assert hot_deck().fit_transform(X)[1].tolist() == [1.0, 3.0, 0.0, 0.0, 0.0, 6.0]
    X = np.array([[1.0, NAN, 0.0, 0.0, 0.0, 5.0], [NAN, 3.0, 0.0, 0.0, 0.0, 6.0]])
    with pytest.warns(UserWarning, match="1 of 1 samples have missing cells that no"):
        filled = hot_deck().fit(X).transform(np.where(np.arange(6) < 2, NAN, X[:1]))
    assert filled[0, :2].tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    "strategy, fate",
    [
        ("mean", "imputed with the training mean"),
        ("zero", "filled with 0"),
        ("hot_deck", "imputed from random training samples"),
    ],
)
def test_warning_states_what_empty_samples_get(strategy, fate):
    X = np.random.RandomState(0).standard_normal((9, 6))
    imputer = hot_deck().set_params(strategy=strategy).fit(X)
    with pytest.warns(UserWarning, match=f"1 of 1 samples .* they are {fate}"):
        filled = imputer.transform(np.full((1, 6), NAN))
    expected = {"mean": X.mean(axis=0), "zero": np.zeros(6)}
    if strategy == "hot_deck":
        assert set(filled[0]) <= set(X.ravel())
    else:
        assert_allclose(filled[0], expected[strategy])
