"""The fusion estimators: weights, early stopping, state, seeds, manners."""

import importlib
import pickle
import sys
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import cross_val_score

from skmissing.fusion import MHSAFusionClassifier, MMPClassifier
from skmissing.fusion._training import Masking

from .data import (
    WIDTHS,
    make_classifier,
    make_data,
    make_regressor,
    warns,
)

EARLY = {"early_stopping": True, "validation_fraction": 0.3}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_of_weight_zero_have_no_influence(early_stopping):
    X, y = make_data(60)
    other, labels = make_data(30, seed=5)
    weight = np.append(np.linspace(0.5, 2, 60), np.zeros(30))
    params = {"early_stopping": early_stopping, "scoring": "accuracy"}
    alone = make_classifier(**params).fit(X, y, sample_weight=weight[:60])
    both = make_classifier(**params).fit(
        np.vstack([X, 100 * other]), np.append(y, labels), sample_weight=weight
    )
    assert_array_equal(both.predict_proba(X), alone.predict_proba(X))


def test_only_ratios_of_weights_matter():
    X, y = make_data(60)
    weight = np.linspace(0.5, 2, 60)
    first = make_regressor().fit(X, y, sample_weight=weight)
    second = make_regressor().fit(X, y, sample_weight=8 * weight)
    assert_allclose(second.predict(X), first.predict(X), rtol=1e-6)


def test_weight_is_repetition_without_noise():
    X, y = make_data(40)
    params = {"module__dropout": 0.0, "modality_dropout": 0}
    params |= {"batch_size": 200, "lr": 0.01}
    weight = np.where(np.arange(40) < 15, 3, 1)
    weighted = make_classifier(**params).fit(X, y, sample_weight=weight)
    repeated = make_classifier(**params).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-4)
    plain = make_classifier(**params).fit(X, y)
    assert np.abs(plain.predict_proba(X) - weighted.predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize(
    "scoring", ["loss", "accuracy", "neg_log_loss", make_scorer(accuracy_score)]
)
def test_early_stopping_keeps_the_best_epoch(scoring):
    X, y = make_data(100)
    params = {**EARLY, "n_iter_no_change": 4, "max_epochs": 60}
    model = make_classifier(**params, scoring=scoring).fit(X, y)
    curve = np.array(model.validation_curve_)
    assert len(curve) == len(model.loss_curve_) == model.n_iter_
    best = curve.argmin() if scoring == "loss" else curve.argmax()
    assert model.best_iter_ == best + 1
    assert model.n_iter_ in (model.best_iter_ + 4, 60)


def test_scorer_sees_what_the_model_predicts():
    X, y = make_data(100)
    seen = []

    def scorer(model, X_valid, y_valid):
        whole, part = model.predict_proba(X_valid), model.predict_proba(X_valid[::2])
        assert_allclose(part, whole[::2], atol=1e-5)
        seen.append((X_valid, y_valid, whole))
        return accuracy_score(y_valid, model.predict(X_valid))

    params = {**EARLY, "validation_fraction": 0.2, "n_iter_no_change": 60}
    model = make_classifier(**params, scoring=scorer).fit(X, y)
    X_valid, y_valid, whole = seen[model.best_iter_ - 1]
    assert len(X_valid) == 20
    assert sorted(np.bincount(y_valid)) == [6, 7, 7]  # stratified
    assert_allclose(model.predict_proba(X_valid), whole, atol=1e-5)
    assert all(np.array_equal(first, X_valid, equal_nan=True) for first, _, _ in seen)


def test_validation_rows_are_masked_like_training_rows():
    X, y = make_data(200, missing=0.0)
    found = {}

    def scorer(model, X_valid, y_valid):
        found["gaps"] = np.isnan(X_valid[:, [0, 3, 5]])
        return 1.0

    for dropout in (0.0, 1.0):
        params = {**EARLY, "validation_fraction": 0.5, "modality_dropout": dropout}
        make_classifier(**params, scoring=scorer, max_epochs=1).fit(X, y)
        rate = found["gaps"].mean()
        assert rate == 0 if dropout == 0 else abs(rate - 1 / 3) < 0.1
        assert not found["gaps"].all(axis=1).any()


def test_weights_reach_the_named_scorer():
    X, y = make_data(100)
    y = np.random.RandomState(0).permutation(y)
    weight = np.where(y == 0, 50.0, 0.01)
    params = {**EARLY, "validation_fraction": 0.4, "max_epochs": 8}
    model = make_classifier(**params, scoring="accuracy")
    model.fit(X, y, sample_weight=weight)
    assert model.validation_curve_[-1] > 0.95  # all that counts is class 0


def test_regressor_stops_early():
    X, y = make_data(100)
    model = make_regressor(**EARLY, scoring="r2", max_epochs=20).fit(X, y)
    assert max(model.validation_curve_) == model.validation_curve_[model.best_iter_ - 1]
    assert model.score(X, y) > 0.5


def test_curves_without_early_stopping(fitted):
    model = fitted[0]
    assert model.n_iter_ == model.best_iter_ == len(model.loss_curve_) == 20
    assert model.validation_curve_ is None
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_pickle_holds_no_torch(fitted):
    model, X, _ = fitted
    data = pickle.dumps(model)
    assert b"torch" not in data and b"skorch" not in data
    again = pickle.loads(data)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.net_.history == model.net_.history


def test_net_is_a_skorch_net(fitted):
    from skorch import NeuralNet

    model = fitted[0]
    assert isinstance(model.net_, NeuralNet)
    assert {w.dtype for w in model.net_.module_.parameters()} == {torch.float64}
    assert not hasattr(clone(model), "net_")
    with pytest.raises(NotFittedError):
        clone(model).predict(fitted[1])


def test_clone_and_seeds(fitted):
    _, X, y = fitted
    model = make_classifier(max_epochs=2).fit(X, y)
    expected = model.predict_proba(X)
    assert_array_equal(clone(model).fit(X, y).predict_proba(X), expected)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert np.abs(other.predict_proba(X) - expected).max() > 1e-6
    rng = np.random.RandomState(0)
    first = clone(model).set_params(random_state=rng).fit(X, y)
    second = clone(model).set_params(random_state=rng).fit(X, y)
    assert (first.predict_proba(X) != second.predict_proba(X)).any()


def test_metadata_routing():
    X, y = make_data(60)
    weight = np.ones(60)
    with config_context(enable_metadata_routing=True):
        model = make_classifier(max_epochs=2).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        scores = cross_val_score(model, X, y, cv=2, params={"sample_weight": weight})
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "params", [{"module__n_layers": 2}, {"module__head_dims": (6, 5)}]
)
def test_depth(params):
    X, y = make_data(60)
    model = make_classifier(**params).fit(X, y)
    module = model.net_.module_
    assert len(module.layers) == params.get("module__n_layers", 1)
    assert len(module.head) == 3 * len(params.get("module__head_dims", ())) + 1


@pytest.mark.parametrize("policy", ["uniform_size", "uniform_subset", "bernoulli"])
def test_mask_policies_train(policy):
    X, y = make_data(60)
    proba = make_classifier(dropout_policy=policy).fit(X, y).predict_proba(X)
    without = make_classifier(modality_dropout=0).fit(X, y).predict_proba(X)
    assert np.abs(proba - without).max() > 1e-3


@pytest.mark.parametrize("network", [MHSAFusionClassifier, MMPClassifier])
def test_protected_modality_is_never_hidden(monkeypatch, network):
    """The masks of training hide the others only."""
    X, y = make_data(60)
    X[np.isnan(X)] = np.random.RandomState(0).standard_normal(np.isnan(X).sum())
    seen, names = [], [f"modality{m}" for m in range(len(WIDTHS))]
    hide = Masking.__call__

    def record(self, tokens, rng, batch=None):
        seen.append(hide(self, tokens, rng, batch))
        return seen[-1]

    monkeypatch.setattr(Masking, "__call__", record)
    params = {"modalities": WIDTHS, "max_epochs": 3, "random_state": 0}
    network(modality_dropout={**dict.fromkeys(names, 0.5), names[1]: 0}, **params).fit(
        X, y
    )
    shown = np.concatenate(seen)
    assert shown[:, 1].all() and not shown[:, 0].all()
    with pytest.raises(ValueError, match="a probability of each modality"):
        network(modality_dropout={names[0]: 0.5}, **params).fit(X, y)


def test_many_single_columns():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((10, 257)), np.arange(10) % 2
    params = {"modalities": None, "max_epochs": 1}
    params |= {"hidden_dim": 2, "module__n_heads": 1}
    with warns("each of the 257 columns .* modalities=\\["):
        make_classifier(**params).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_classifier(**{**params, "modalities": [1] * 257}).fit(X, y)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "skmissing.fusion")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "skmissing\[neural\]"'):
        importlib.import_module("skmissing.fusion")
