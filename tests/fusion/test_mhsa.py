"""MHSAFusionClassifier and MHSAFusionRegressor: what they answer for which rows."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax

from .data import WIDTHS, make_classifier, make_data, make_regressor, warns


def test_classifier_learns_from_incomplete_rows(fitted):
    model, X, y = fitted
    assert model.score(X, y) > 0.8
    late, truth = make_data(seed=1)
    assert model.score(late, truth) > 0.7


def test_answers_agree(fitted):
    model, X, _ = fitted
    proba, raw = model.predict_proba(X), model.decision_function(X)
    assert_allclose(proba, softmax(raw, axis=1))
    assert_allclose(model.predict_log_proba(X), np.log(proba))
    assert_array_equal(model.predict(X), model.classes_[raw.argmax(axis=1)])


def test_two_classes():
    X, y = make_data(n_classes=2)
    labels = np.array(["no", "yes"])[y]
    model = make_classifier().fit(X, labels)
    raw, proba = model.decision_function(X), model.predict_proba(X)
    assert raw.shape == (len(X),) and proba.shape == (len(X), 2)
    assert_allclose(proba, np.column_stack([expit(-raw), expit(raw)]))
    assert_allclose(model.predict_log_proba(X), np.log(proba))
    assert_array_equal(model.predict(X), np.where(raw > 0, "yes", "no"))
    assert model.score(X, labels) > 0.8


def test_several_labels():
    X, group = make_data(120)
    y = np.column_stack([group > 0, group == 1, group < 9]).astype(np.int32)
    model = make_classifier(max_epochs=30, class_weight="balanced").fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == y.shape
    assert_allclose(proba, expit(model.decision_function(X)))
    assert_allclose(model.predict_log_proba(X), np.log(proba))
    assert model.predict(X).dtype == y.dtype
    assert_array_equal(model.predict(X), proba > 0.5)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert (model.predict(X) == y).mean() > 0.8
    assert (proba[:, 2] > 0.9).all()  # a label that all rows have


def test_class_weight_moves_decisions():
    X, y = make_data(n_classes=2)
    X = X - 2.0 * y[:, None] + 0.3 * y[:, None]  # classes overlap
    labels = np.array(["a", "b"])[y]
    models = [make_classifier(class_weight={"b": w}) for w in (0.05, 1, 20)]
    shares = [(model.fit(X, labels).predict(X) == "b").mean() for model in models]
    assert shares[0] < shares[1] < shares[2]


def test_balanced_class_weight_is_that_of_sample_weight():
    X, y = make_data(n_classes=2)
    keep = (y == 0) | (np.arange(len(y)) % 4 == 1)
    X, y = X[keep], y[keep]
    balanced = make_classifier(class_weight="balanced").fit(X, y)
    weight = len(y) / (2 * np.bincount(y))[y]
    factors = {c: weight[y == c][0] for c in (0, 1)}
    byhand = make_classifier(class_weight=factors).fit(X, y)
    assert_allclose(balanced.predict_proba(X), byhand.predict_proba(X))


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 2)])
def test_regressor_targets(shape):
    X, group = make_data(120)
    y = 1000.0 * np.column_stack([group, 3 - group])[:, : abs(shape[-1])]
    y = y.reshape(shape)
    model = make_regressor(max_epochs=30).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.7


def test_bounds_clip_predictions(monkeypatch):
    X, y = make_data(60)
    free, bounded = make_regressor(), make_regressor(bounds=(0, 2))
    assert bounded.fit(X, y).loss_curve_ == free.fit(X, y).loss_curve_
    raw = np.array([[-9.0], [0.1], [9.0]])
    for model in (free, bounded):
        monkeypatch.setattr(model, "_outputs", lambda X: raw)
    assert_allclose(free.predict(X[:3]), (raw * y.std() + y.mean())[:, 0])
    assert_array_equal(bounded.predict(X[:3]), np.clip(free.predict(X[:3]), 0, 2))
    assert bounded.predict(X[:3])[0] == 0 and bounded.predict(X[:3])[2] == 2


def test_scale_of_targets_does_not_matter():
    X, y = make_data(60)
    plain = make_regressor().fit(X, y).predict(X)
    scaled = make_regressor().fit(X, 1e4 * y - 7).predict(X)
    assert_allclose(scaled, 1e4 * plain - 7, rtol=1e-3)


def test_constant_target():
    X, _ = make_data(60)
    y = np.full(60, 5.0)
    assert_allclose(make_regressor().fit(X, y).predict(X), 5.0, atol=0.5)


def test_chunks_do_not_matter(fitted, monkeypatch):
    model, X, _ = fitted
    expected = model.decision_function(X)
    alone = [model.decision_function(X[i : i + 1]) for i in range(len(X))]
    assert_allclose(np.vstack(alone), expected, rtol=1e-11, atol=1e-12)
    monkeypatch.setattr("skmissing.fusion._base.PREDICT_CELLS", 40)
    assert_allclose(model.decision_function(X), expected, rtol=1e-11, atol=1e-12)


def test_standardisation_sees_training_rows_only(fitted):
    model, X, _ = fitted
    wild = np.vstack([X, 1e6 * np.ones((3, X.shape[1]))])
    assert_allclose(model.predict_proba(wild)[:-3], model.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_columns_do_not_matter(dtype):
    X, y = make_data()
    X = X.astype(dtype)
    factor = np.logspace(-2, 3, X.shape[1]).astype(dtype)
    first = make_classifier().fit(X, y).predict_proba(X)
    second = make_classifier().fit(X * factor + 5, y).predict_proba(X * factor + 5)
    assert_allclose(second, first, atol=1e-2)
    raw = make_classifier(standardize=False)
    raw = raw.fit(X * factor, y).predict_proba(X * factor)
    assert np.abs(raw - first).max() > 0.02


def test_holes_are_training_means(fitted):
    model, X, _ = fitted
    row = np.array([[0.5, np.nan, 1.0, *[np.nan] * 6]])
    filled = row.copy()
    filled[0, 1] = np.nanmean(X[:, 1])
    assert_allclose(model.predict_proba(row), model.predict_proba(filled), rtol=1e-6)


def test_columns_may_lie_anywhere():
    X, y = make_data()
    order = np.random.RandomState(0).permutation(X.shape[1])
    place = np.argsort(order)  # column j of X is column place[j] of the shuffled X
    stops = np.cumsum(WIDTHS)
    groups = {
        f"m{i}": place[stop - width : stop].tolist()
        for i, (width, stop) in enumerate(zip(WIDTHS, stops))
    }
    expected = make_classifier().fit(X, y).predict_proba(X)
    shuffled = make_classifier(modalities=groups).fit(X[:, order], y)
    assert_allclose(shuffled.predict_proba(X[:, order]), expected, rtol=1e-6)


def test_sequences_and_padding():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((60, 8)), np.arange(60) % 2
    X[:, 2:] += y[:, None]
    X[::2, 6:] = np.nan  # the last of three tokens is padding
    X[::5, 2:] = np.nan  # the whole sequence is missing
    model = make_classifier(modalities={"vector": 2, "sequence": (3, 2)}).fit(X, y)
    assert model.score(X, y) > 0.6
    assert model.modalities_["sequence"].shape == (3, 2)
    late = X[1:2].copy()
    swapped = late[:, [0, 1, 4, 5, 2, 3, 6, 7]]
    assert not np.allclose(model.predict_proba(late), model.predict_proba(swapped))


def test_rows_without_any_modality():
    X, y = make_data(60)
    empty = np.full((4, X.shape[1]), np.nan)
    model = make_classifier()
    with warns("4 of 64 samples have no.*they are left out"):
        model.fit(np.vstack([X, empty]), np.append(y, [0, 0, 0, 2]))
    with warns("1 of 3 samples have no observed modality"):
        proba = model.predict_proba(np.vstack([X[:2], empty[:1]]))
    assert_allclose(proba[2], np.array([23, 20, 21]) / 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = make_classifier().fit(X, y)
    assert_allclose(proba[:2], same.predict_proba(X[:2]))


def test_rows_without_any_modality_other_tasks():
    X, y = make_data(60)
    empty = np.full((1, X.shape[1]), np.nan)
    weight = np.linspace(0.5, 2, 60)
    model = make_regressor().fit(X, y, sample_weight=weight)
    with warns("1 of 1 samples"):
        assert_allclose(model.predict(empty), [np.average(y, weights=weight)])
    model = make_classifier().fit(X, y == 1)
    with warns("1 of 1 samples"):
        assert_allclose(model.predict_proba(empty), [[2 / 3, 1 / 3]])
    model = make_classifier().fit(
        X, np.column_stack([y == 0, y < 3, y > 0]).astype(int)
    )
    with warns("1 of 1 samples"):
        assert_allclose(model.predict_proba(empty), [[1 / 3, 1, 2 / 3]], atol=1e-8)


def test_modality_never_seen_in_training():
    X, y = make_data(60)
    X[:, 3:5] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    y = y[: len(X)]
    with warns("not observed in any sample: 'modality1'"):
        model = make_classifier().fit(X, y)
    late = X.copy()
    late[:, 3:5] = 7.0
    with warns(f"'modality1', which {len(X)} of {len(X)}"):
        assert_array_equal(model.predict_proba(late), model.predict_proba(X))
    only = np.full((1, X.shape[1]), np.nan)
    only[0, 3:5] = 1.0
    with (
        warns("'modality1', which 1 of 1"),
        warns("1 of 1 samples have no observed modality"),
    ):
        model.predict(only)
