"""Ensembles and tables that are read in pieces."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit

from skmissing import ModalityWarning
from skmissing.compose import scan_table
from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor, _linear

from .test_sources import dask_array, hdf5, memmap, quietly, table


def task():
    """A table, classes of which one is rare, numbers, and weights."""
    X, rng = table(), np.random.RandomState(1)
    X[:, 7] = 1e-4 * X[:, 7] + 1  # a narrow column
    X[5], X[6, 2:] = np.nan, np.nan
    number = np.nan_to_num(X[:, 0]) - np.nan_to_num(X[:, 5]) + rng.normal(size=300)
    classes = np.array(["a", "b", "c"])[(number > -1).astype(int) + (number > 3)]
    classes[[20, 60]] = "d"
    return X, classes, number, rng.randint(3, size=300)


def compare(model, source, X, y, tolerance, **params):
    """Fit in memory and in pieces; the predictions and all numbers are the same."""
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    quietly(model.fit, X, y, **params)
    before = {name: v for name, v in vars(model).items() if name.endswith("_")}
    expected = quietly(getattr(model, method), X)
    source = scan_table(source)
    with config_context(working_memory=0.06):
        quietly(model.fit, source, y, **params)
        found = quietly(getattr(model, method), source)
    assert_allclose(found, expected, atol=tolerance)
    assert model.oof_scores_.keys() == before["oof_scores_"].keys()
    for name, score in before["oof_scores_"].pool.items():
        assert_allclose(model.oof_scores_.pool[name], score, rtol=10 * tolerance)
        assert model.oof_scores_.members[name]["linear"] == model.oof_scores_.pool[name]
    for name, value in before.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            assert_allclose(getattr(model, name), value, rtol=10 * tolerance)
    scalers = [member[0] for member in model.estimators_]
    for scaler, member in zip(scalers, before["estimators_"]):
        assert_allclose(scaler.mean_, member[0].mean_)
        assert_allclose(scaler.scale_, member[0].scale_)


SPLITS = ShuffleSplit(3, random_state=0)  # some samples are held out twice, some never


@pytest.mark.parametrize(
    "model, make, weigh",
    [
        (LateFusionClassifier("linear"), memmap, False),
        (
            LateFusionClassifier("linear", class_weight="balanced", cv=2),
            dask_array,
            True,
        ),
        (LateFusionClassifier("linear", combine="log", cv=SPLITS), memmap, True),
        (LateFusionClassifier("linear", cv=SPLITS), memmap, True),
        (LateFusionClassifier("linear", combine="mean"), memmap, True),
        (LateFusionRegressor("linear"), memmap, False),
        (LateFusionRegressor("linear"), dask_array, True),
        (LateFusionRegressor("linear", combine="variance", cv=SPLITS), memmap, True),
        (LateFusionRegressor("linear", combine="mean"), memmap, False),
    ],
)
def test_linear_members_in_pieces(model, make, weigh, tmp_path):
    X, classes, number, weight = task()
    y, tolerance = (number, 1e-9) if is_regressor(model) else (classes, 2e-5)
    model.set_params(modalities=[5, 3])
    weight = {"sample_weight": weight} if weigh else {}
    compare(model, make(X, tmp_path), X, y, tolerance, **weight)


def test_groups_in_pieces(tmp_path):
    X, y, _, _ = task()
    model = LateFusionClassifier("linear", modalities=[5, 3])
    compare(model, memmap(X, tmp_path), X, y, 2e-5, groups=np.arange(300) // 20)


def test_wide_columns_without_their_products(tmp_path):
    """With little memory, the columns are not preconditioned."""
    X, y, _, _ = task()
    model = LateFusionClassifier("linear", modalities=[5, 3], combine="mean")
    quietly(model.fit, X, y)
    with config_context(working_memory=1e-4):
        quietly(model.fit, memmap(X[:50], tmp_path), y[:50])
    small = LateFusionClassifier("linear", modalities=[5, 3], combine="mean")
    quietly(small.fit, X[:50], y[:50])
    found, expected = (quietly(m.predict_proba, X) for m in (model, small))
    assert_allclose(found, expected, atol=1e-4)


def test_linear_members_that_need_more(tmp_path, monkeypatch):
    X, y, number, _ = task()
    X[np.isnan(X).all(axis=1)] = np.arange(8)
    source = scan_table(memmap(X, tmp_path))
    regressor = LateFusionRegressor("linear", modalities=[5, 3])
    with config_context(working_memory=1.5e-3):
        with pytest.warns(ModalityWarning, match="fitted to 6 of 300 samples"):
            regressor.fit(source, number)
    monkeypatch.setattr(_linear, "MOST_PASSES", 2)
    model = LateFusionClassifier("linear", modalities=[5, 3], combine="mean")
    message = "^LateFusionClassifier: logistic regression did not converge in [23] pas"
    with config_context(working_memory=0.06):
        with pytest.warns(ConvergenceWarning, match=message):
            model.fit(source, y)


def test_one_class_in_pieces(tmp_path):
    X, y, _, _ = task()
    model = LateFusionClassifier("linear", modalities=[5, 3])
    with config_context(working_memory=0.06):
        quietly(model.fit, scan_table(memmap(X, tmp_path)), np.repeat("a", 300))
    assert quietly(model.predict, X).tolist() == ["a"] * 300


PANEL = ["linear", "rbf"]


@pytest.mark.parametrize(
    "kind, n_jobs", [(LateFusionClassifier, None), (LateFusionRegressor, 2)]
)
def test_panel_on_a_sample(kind, n_jobs, tmp_path):
    """Linear members are fitted to all samples, and kernels to a sample."""
    new, classes, number, _ = task()
    y = classes if kind is LateFusionClassifier else number
    X = np.where(np.isnan(new).all(axis=1, keepdims=True), np.arange(8), new)
    source = scan_table(hdf5(X, tmp_path))  # which no other process can read
    linear = kind("linear", modalities=[5, 3])
    with config_context(working_memory=0.06):
        linear.fit(source, y)
    model = kind(PANEL, modalities=[5, 3], random_state=0, n_jobs=n_jobs)
    message = "members that are not linear need X in memory. .* fitted to 122 of 300"
    with config_context(working_memory=0.03):
        with pytest.warns(ModalityWarning, match=message):
            model.fit(source, y)
        method = getattr(model, "predict_proba", model.predict)
        with pytest.warns(ModalityWarning, match="26 of 300 .* are given") as caught:
            found = method(scan_table(memmap(new, tmp_path)))
        assert len(caught) == 1
    assert_allclose(found, quietly(method, new))
    for panel, alone in zip(model.estimators_, linear.estimators_):
        assert_allclose(panel.linear[-1].coef_, alone[-1].coef_, atol=1e-5)
    whole = kind(PANEL, modalities=[5, 3]).fit(X, y)
    expected = getattr(whole, method.__name__)(X)
    assert np.corrcoef(method(X).ravel(), expected.ravel())[0, 1] > 0.95
    model.fit(scan_table(memmap(X, tmp_path)), y)  # all samples fit in memory
    assert_allclose(method(X), expected)


def test_modality_that_is_not_in_the_sample(tmp_path):
    X, y, _, _ = task()
    X[np.isnan(X[:, :5]).all(axis=1), :5] = np.arange(5)
    X[1:, 5:] = np.nan
    model = LateFusionClassifier(PANEL, modalities=[5, 3], random_state=0)
    message = "not observed in any sample: 'modality1'"
    with config_context(working_memory=0.02):
        with (
            pytest.warns(ModalityWarning, match="fitted to 81 of 300"),
            pytest.warns(ModalityWarning, match=message),
        ):
            model.fit(scan_table(memmap(X, tmp_path)), y)
    assert list(model.named_estimators_) == ["modality0"]
