"""Networks that are trained on tables read in pieces."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context

from skmissing import ModalityWarning
from skmissing._sources import RowSource
from skmissing.compose import scan_table
from skmissing.fusion import (
    MHSAFusionClassifier,
    MHSAFusionRegressor,
    MMPClassifier,
)
from skmissing.fusion._training import Batches, Masking, StreamedSamples

from ..test_sources import SOURCES, memmap, quietly, table

SMALL = {"working_memory": 0.03}  # pieces of 30 samples of float64
SHORT = {"modalities": [5, 3], "hidden_dim": 8, "max_epochs": 3, "random_state": 0}
FAST = {"modalities": [5, 3], "hidden_dim": 16, "lr": 0.01, "random_state": 0}


def in_parts(X, n_parts=7):
    """Source of an array, in unequal parts."""
    cuts = np.sort(np.random.RandomState(0).choice(len(X), n_parts - 1, replace=False))
    arrays = np.split(X, cuts)
    parts = [lambda array=array: [array] for array in arrays]
    return RowSource(parts, list(map(len, arrays)), X.shape[1], dtype=X.dtype)


def target(X):
    return (np.nan_to_num(X, nan=5.0).sum(axis=1) > 40).astype(int)


@pytest.mark.parametrize(
    "model",
    [
        MHSAFusionClassifier(**SHORT),
        MHSAFusionClassifier(early_stopping=True, scoring="accuracy", **SHORT),
        MMPClassifier(class_weight="balanced", **SHORT),
        MHSAFusionRegressor(iterator_train__dropout_level="batch", **SHORT),
    ],
    ids=lambda model: type(model).__name__,
)
def test_one_piece_is_as_in_memory(model):
    """The order of batches and the random numbers are the same."""
    X = table()
    X[7] = np.nan
    y, weight = target(X), np.random.RandomState(1).randint(3, size=300)
    expected = quietly(model.fit, X, y, weight)
    curves, weights = expected.loss_curve_, expected._weights
    valid, answers = expected.validation_curve_, quietly(expected.predict, X)
    quietly(model.fit, in_parts(X), y, weight)
    assert_allclose(model.loss_curve_, curves, rtol=1e-5)
    if valid is not None:
        assert_allclose(model.validation_curve_, valid, rtol=1e-5)
    for name, value in weights.items():
        assert_allclose(model._weights[name], value, rtol=1e-3, atol=1e-5)
    assert_allclose(quietly(model.predict, in_parts(X)), answers, rtol=1e-3)


@pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)
def test_kinds_of_sources_give_one_network(make, tmp_path):
    X = table()
    y, model = target(X), MHSAFusionClassifier(**{**SHORT, "max_epochs": 1})
    expected = quietly(model.fit, scan_table(memmap(X, tmp_path)), y)._weights
    quietly(model.fit, scan_table(make(X, tmp_path)), y)
    for name, value in expected.items():
        assert_array_equal(model._weights[name], value)


def numbered(n_samples=700):
    """Batches of samples whose values are their positions."""
    X = np.tile(np.arange(n_samples, dtype=float)[:, None], 2)
    samples = StreamedSamples(
        in_parts(X),
        np.arange(n_samples, dtype=np.float32),
        np.ones(n_samples, dtype=np.float32),
        read=lambda X: (X.astype(np.float32), np.ones(X.shape, dtype=bool)),
        device=torch.device("cpu"),
    )
    return Batches(samples, 64, Masking((1, 1)), np.random.RandomState(0))


def test_each_sample_is_seen_once_per_epoch():
    batches = numbered()
    with config_context(working_memory=0.02):  # pieces of 81 samples
        epochs = [list(batches) for _ in range(2)]
    orders = []
    for epoch in epochs:
        sizes = [len(y["y"]) for _, y in epoch]
        assert len(epoch) == batches.n_batches and max(sizes) - min(sizes) <= 1
        order = torch.cat([X["x"][:, 0] for X, _ in epoch])
        assert_array_equal(order, torch.cat([y["y"] for _, y in epoch]))
        assert_array_equal(np.sort(order), np.arange(700))
        orders.append(order)
    # Parts and samples come in another order in the next epoch.
    assert (orders[0] == orders[1]).float().mean() < 0.1
    # A batch is from few pieces, and half of the samples have a hidden modality.
    hidden = [(~X["present"]).any(dim=1) for X, _ in epochs[0]]
    assert 0.1 < torch.cat(hidden).float().mean() < 0.4


def test_batches_across_pieces_lose_the_same_modalities():
    batches = numbered()
    batches.masking = Masking((1, 1), 1.0, dropout_level="batch")
    with config_context(working_memory=0.02):
        for X, _ in batches:
            assert (X["present"] == X["present"][0]).all()


def test_network_learns_from_pieces():
    X = table(1000)
    y = target(X)
    model = MHSAFusionClassifier(max_epochs=8, **FAST)
    expected = quietly(model.fit, X, y)
    loss, score = expected.loss_curve_[-1], quietly(expected.score, X, y)
    with config_context(**SMALL):
        quietly(model.fit, in_parts(X, 20), y)
        assert quietly(model.score, in_parts(X, 20), y) > score - 0.03
    assert score > 0.85
    assert abs(model.loss_curve_[-1] - loss) < 0.05


@pytest.mark.parametrize("regression", [False, True])
def test_nothing_is_learnt_from_validation_samples(regression):
    """With other values in these samples, the training losses are the same."""
    X = np.random.RandomState(0).normal(5, size=(400, 8))
    y = X.mean(axis=1) if regression else target(X)
    shown = []

    def scorer(model, X_valid, y_valid):
        shown.append(X_valid[:, 0])
        return 0.0

    cls = MHSAFusionRegressor if regression else MHSAFusionClassifier
    params = {"early_stopping": True, "n_iter_no_change": 99, **SHORT}
    with config_context(**SMALL):
        cls(scoring=scorer, modality_dropout=0, **params).fit(in_parts(X), y)
        held_out = np.isin(X[:, 0], shown[0])
        assert held_out.sum() == 40
        first = cls(**params).fit(in_parts(X), y)
        X[held_out] *= 3
        if regression:
            y[held_out] += 9
        second = cls(**params).fit(in_parts(X), y)
    assert_allclose(second.loss_curve_, first.loss_curve_, rtol=1e-5)
    gaps = np.subtract(second.validation_curve_, first.validation_curve_)
    assert (np.abs(gaps) > 1e-3).all()


def test_fewer_validation_samples_than_memory_holds():
    X = table(400)
    model = MHSAFusionClassifier(early_stopping=True, **SHORT)
    with config_context(working_memory=0.005), pytest.warns(ModalityWarning) as given:
        model.fit(in_parts(X), target(X))  # memory for 20 samples
    assert "validation_fraction=0.1 is lowered to 0.05" in str(given[-1].message)


def test_interrupted_fit_changes_nothing():
    X, model = table(), MHSAFusionClassifier(**SHORT)
    y, source, n_read = target(X), in_parts(X), []
    first = source.parts[0]

    def read(most=np.inf):
        n_read.append(1)
        if len(n_read) > most:
            raise KeyboardInterrupt
        return first()

    with config_context(**SMALL):
        source.parts[0] = read
        quietly(model.fit, source, y)
        source.parts[0] = partial(read, len(n_read) - 2)  # not in the second epoch
        n_read.clear()
        before = dict(vars(model))
        with pytest.raises(KeyboardInterrupt):
            quietly(model.fit, source, y)
    assert vars(model) == before


def test_samples_are_not_held_in_memory():
    """The peak is far below the size of the table."""
    X = np.random.RandomState(0).normal(size=(6000, 200)).astype(np.float32)
    starts = range(0, 6000, 200)
    parts = [lambda start=n: [X[start : start + 200].copy()] for n in starts]
    source = RowSource(parts, [200] * 30, 200, dtype=X.dtype)
    params = {**SHORT, "modalities": [100, 100], "max_epochs": 1, "batch_size": 500}
    with config_context(working_memory=2):  # pieces of 163 samples
        tracemalloc.start()
        MHSAFusionRegressor(**params).fit(source, X[:, 0])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < X.nbytes / 3


@pytest.mark.parametrize("method", ["project", "embed"])
def test_methods_for_arrays_refuse_sources(method):
    X = table()
    model = quietly(MMPClassifier(**SHORT).fit, X, target(X))
    with pytest.raises(TypeError, match="X must be in memory for this method; got a"):
        getattr(model, method)(in_parts(X))


def test_gaps_are_refused_in_pieces():
    X = table()
    model = MHSAFusionClassifier(missing="error", **SHORT)
    counts = np.isnan(X[:, :5]).any(axis=1).sum(), np.isnan(X[:, 5:]).any(axis=1).sum()
    message = f"'modality0': {counts[0]}, 'modality1': {counts[1]}"
    with config_context(**SMALL), pytest.raises(ValueError, match=message):
        model.fit(in_parts(X), target(X))
