"""MMPClassifier and MMPRegressor: what the projector changes, and what it must not."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skmissing.fusion import MMPRegressor
from skmissing.fusion._layers import ZeroSlots
from skmissing.fusion._projection import (
    CrossAttentionProjection,
    LinearProjection,
    ProjectedSlots,
)

from .data import WIDTHS, make_data, make_mmp, warns

SEQUENCES = {"vector": 3, "short": (2, 1), "long": (4, 1)}


def module_of(model):
    return model.net_.module_


def randomize(projector):
    with torch.random.fork_rng([]):
        for weight in projector.parameters():
            weight.data = torch.randn_like(weight)


@pytest.fixture(scope="module", params=["cross_attention", "linear"])
def fitted(request):
    X, y = make_data()
    return make_mmp(projector=request.param, max_epochs=20).fit(X, y), X, y


def test_complete_rows_never_reach_the_projector():
    X, y = make_data()
    complete = ~np.isnan(X).any(axis=1)
    model = make_mmp().fit(X, y)
    before = model.decision_function(X)
    randomize(module_of(model).slots.projector)
    after = model.decision_function(X)
    assert_array_equal(after[complete], before[complete])
    assert (np.abs(after - before)[~complete].max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("projector", ["cross_attention", "linear", "none"])
def test_contents_of_absent_blocks_never_matter(projector):
    X, y = make_data()
    module = module_of(make_mmp(projector=projector, max_epochs=1).fit(X, y))
    x = torch.from_numpy(np.nan_to_num(X))
    present = torch.from_numpy(~np.isnan(X)[:, [0, 3, 5]])
    hidden = torch.from_numpy(~np.repeat(present.numpy(), WIDTHS, axis=1))
    with torch.inference_mode():
        expected = module(x, present).logits
        for content in (1e6, np.nan):
            other = x.masked_fill(hidden, content)
            assert torch.equal(module(other, present).logits, expected)


def test_estimate_does_not_see_its_own_modality(fitted):
    model, X, _ = fitted
    found, first = model.project(X), slice(0, WIDTHS[0])
    hidden, other = X.copy(), X.copy()
    hidden[:, first] = np.nan
    other[:, first] *= -3.0
    rows = ~np.isnan(hidden).all(axis=1)
    assert_array_equal(model.project(other)["modality0"], found["modality0"])
    assert_allclose(
        model.project(hidden[rows])["modality0"], found["modality0"][rows], rtol=1e-9
    )


def test_alignment_weight_needs_hidden_modalities():
    X, y = make_data(missing=0.0)
    model = make_mmp(modality_dropout=0, alignment_weight=0.0, max_epochs=2).fit(X, y)
    first = model.decision_function(X)
    model.set_params(alignment_weight=7.0).fit(X, y)
    assert_array_equal(model.decision_function(X), first)
    assert set(model.loss_terms_["alignment"]) == {0.0}


def test_truly_absent_modalities_are_never_aligned():
    X, y = make_data(missing=0.5)
    model = make_mmp(modality_dropout=0).fit(X, y)
    assert set(model.loss_terms_["alignment"]) == {0.0}
    model = make_mmp(modality_dropout=0.5).fit(X, y)
    assert min(model.loss_terms_["alignment"]) > 0
    model.set_params(iterator_train__dropout_level="batch").fit(X, y)
    assert max(model.loss_terms_["alignment"]) > 0


def test_batch_size_does_not_matter(fitted):
    model, X, _ = fitted
    together = model.decision_function(X)
    alone = np.vstack([model.decision_function(X[i : i + 1]) for i in range(len(X))])
    assert_allclose(alone, together, rtol=1e-11, atol=1e-12)


LADDER = [
    ({"projector": "none", "modality_dropout": 0}, None, False),
    ({"projector": "none"}, None, False),
    ({"projector": "linear", "alignment_weight": 0}, LinearProjection, False),
    ({"projector": "linear"}, LinearProjection, True),
    ({"projector": "cross_attention"}, CrossAttentionProjection, True),
]


@pytest.mark.parametrize("params, estimator, aligned", LADDER)
def test_ladder(params, estimator, aligned):
    X, y = make_data()
    model = make_mmp(**params, max_epochs=2).fit(X, y)
    module = module_of(model)
    assert type(module.slots) is (ProjectedSlots if estimator else ZeroSlots)
    if estimator is None:
        assert not list(module.slots.parameters())
        assert not hasattr(model, "project")
    else:
        assert type(module.slots.projector.estimator) is estimator
    assert set(model.loss_terms_) == {"task", *["alignment"] * aligned}
    total = np.sum(list(model.loss_terms_.values()), axis=0)
    assert_allclose(model.loss_curve_, total, rtol=1e-5)


def test_number_of_weights():
    d, g, m = 8, 3, 3
    X, y = make_data()
    counts = {}
    for projector in ("none", "linear", "cross_attention"):
        module = module_of(make_mmp(projector=projector, max_epochs=1).fit(X, y))
        counts[projector] = sum(weight.numel() for weight in module.parameters())
    linear = m * ((m - 1) * d * d + d)
    square = d * d + d
    # Of one key: values and output; of several: queries and keys, too.
    attention = (2 + 4 + 2) * square
    mlp = (m - 1) * g + 2 * d * d + 2 * d + 2 * d * d + d
    assert counts["linear"] - counts["none"] == linear
    assert counts["cross_attention"] - counts["none"] == m * (g * d + attention + mlp)


def test_classifier_learns_from_incomplete_rows(fitted):
    model, X, y = fitted
    assert model.score(X, y) > 0.8
    late, truth = make_data(seed=1)
    assert model.score(late, truth) > 0.7


def test_regressor_learns_from_incomplete_rows():
    X, group = make_data()
    y = np.column_stack([group, 3.0 - group])
    model = make_mmp(MMPRegressor, optimizer__weight_decay=0.1, max_epochs=30).fit(X, y)
    assert model.score(X, y) > 0.6
    assert model.predict(X).shape == y.shape


def test_projector_learns_what_is_redundant():
    rng = np.random.RandomState(0)
    A = rng.standard_normal((150, 3))
    X, y = np.hstack([A, A @ rng.standard_normal((3, 3))]), (A[:, 0] > 0).astype(int)
    params = {"modalities": [3, 3], "lr": 0.02, "module__dropout": 0.0}
    model = make_mmp(**params, max_epochs=50, modality_dropout=0.9).fit(X, y)
    real, made = model.embed(X)["modality1"], model.project(X)["modality1"]
    error = np.square(real - made).mean()
    assert error < 0.2 * real.var(axis=0).mean()
    half = X.copy()
    half[:, :3] = np.nan
    assert model.score(half, y) > 0.9


def test_shapes_of_what_is_learnt():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((40, 9)), np.arange(40) % 2
    X[::2, 4:5] = np.nan  # padding
    X[1::4, 5:] = np.nan  # a missing modality
    X[3, :] = np.nan
    X[3, :3] = 1.0
    model = make_mmp(modalities=SEQUENCES, module__tokens_per_vector=2).fit(X, y)
    made, real = model.project(X), model.embed(X)
    for name, n_tokens in {"vector": 2, "short": 2, "long": 4}.items():
        assert made[name].shape == real[name].shape == (40, n_tokens, 8)
    assert np.isnan(real["short"][::2, 1]).all() and np.isnan(real["long"][1::4]).all()
    assert np.isnan(made["vector"][3]).all()  # nothing to be estimated from
    assert np.isfinite(made["short"]).all()
    assert model.transform(X).shape == (40, 8)
    assert_array_equal(model.get_feature_names_out()[:1], ["mmpclassifier0"])


def test_prediction_is_linear_in_the_representation(fitted):
    model, X, _ = fitted
    head = module_of(model).head
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    expected = model.transform(X) @ weight.T + bias
    assert_allclose(model.decision_function(X), expected, rtol=1e-9, atol=1e-12)
    for dtype in (np.float32, np.float64):
        frame = pd.DataFrame(X).astype(dtype)
        assert model.transform(frame).dtype == dtype


@pytest.mark.parametrize("n", [1, 3])
def test_padding_is_ignored(n):
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((40, 9)), np.arange(40) % 2
    X[::2, 7:] = np.nan
    params = {"modalities": SEQUENCES, "module__tokens_per_vector": n, "max_epochs": 1}
    module = module_of(make_mmp(**params).fit(X, y))
    x = torch.from_numpy(np.nan_to_num(X))
    present = torch.ones(40, 7, dtype=torch.bool)
    present[:, 5:] = False
    other = torch.cat([x[:, :7], torch.full((40, 2), 99.0)], dim=1).to(x)
    with torch.inference_mode():
        assert torch.equal(module(x, present).logits, module(other, present).logits)


def test_rows_without_any_modality():
    X, y = make_data(60)
    empty = np.full((2, X.shape[1]), np.nan)
    model = make_mmp().fit(X, y)
    with warns("2 of 2 samples have no .* training targets"):
        assert_allclose(model.predict_proba(empty), [[20 / 60] * 3] * 2)
    with warns("2 of 2 samples .* the same vector"):
        fused = model.transform(empty)
    assert np.isfinite(fused).all()
    assert_array_equal(fused[0], fused[1])
    assert np.isnan(model.project(empty)["modality1"]).all()


def test_one_modality():
    X, y = make_data(60, missing=0.0)
    model = make_mmp(modalities=[9], max_epochs=20).fit(X, y)
    assert model.score(X, y) > 0.8
    with pytest.raises(ValueError, match="several modalities .* got one, 'modality0'"):
        model.project(X)


def test_in_front_of_another_estimator():
    from sklearn.linear_model import LogisticRegression

    X, y = make_data()
    model = make_pipeline(make_mmp(max_epochs=20), LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.8


def test_early_stopping_looks_at_the_task_alone():
    X, y = make_data()
    model = make_mmp(early_stopping=True, alignment_weight=100.0, max_epochs=10)
    model.fit(X, y)
    assert model.best_iter_ == 1 + int(np.argmin(model.validation_curve_))
    assert max(model.validation_curve_) < min(model.loss_curve_)


@pytest.mark.parametrize("method", ["transform", "project", "embed", "predict"])
def test_bad_input(method, fitted):
    model, X, _ = fitted
    with pytest.raises(NotFittedError):
        getattr(clone(model), method)(X)
    with pytest.raises(ValueError, match="X has 5 features, but MMPClassifier"):
        getattr(model, method)(X[:, :5])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        getattr(model, method)(np.where(np.isnan(X), np.inf, X))


def test_project_needs_a_projector():
    X, y = make_data(30)
    model = make_mmp(projector="none", max_epochs=1).fit(X, y)
    with pytest.raises(AttributeError, match="no attribute 'project'") as error:
        model.project(X)
    assert "projector='none' estimates no modality" in str(error.value.__cause__)
