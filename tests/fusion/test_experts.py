"""DynamicExperts, and what the ranking loss does to them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skmissing._masking import draw_subsets
from skmissing.datasets import load_digits_views
from skmissing.fusion import FusionClassifier, FusionRegressor
from skmissing.fusion.modules import DynamicExperts

from .data import WIDTHS, make_data
from .test_modules import LAYOUTS, columns_of_tokens, make_batch

BASE = {"modalities": WIDTHS, "lr": 0.05, "max_epochs": 10, "random_state": 0}
every_layout = pytest.mark.parametrize("shapes", LAYOUTS.values(), ids=LAYOUTS)


def make_module(shapes):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return DynamicExperts(shapes, 3, hidden_dim=8).double().eval()


@every_layout
def test_equals_a_loop_over_samples_and_experts(shapes):
    module = make_module(shapes)
    x, present = make_batch(shapes)
    owner = module.vectors.belongs.argmax(dim=1)
    h = module.embed(x).relu()
    for i in range(len(x)):
        seen = [m for m in range(len(shapes)) if present[i][owner == m].any()]
        hidden = torch.zeros(len(shapes), 8, dtype=x.dtype)
        for m in seen:
            hidden[m] = h[i, present[i] & (owner == m)].mean(dim=0)
        share = module.gate(hidden.flatten())[seen].softmax(dim=0)
        weight, bias = module.experts.weight, module.experts.bias[:, 0]
        votes = [weight[m] @ hidden[m] + bias[m] for m in seen]
        expected = sum(w * vote for w, vote in zip(share, votes))
        output = module(x[i : i + 1], present[i : i + 1])  # alone
        assert_allclose(output.logits[0].detach(), expected.detach(), rtol=1e-9)
        together = module(x, present).logits[i]
        assert_allclose(together.detach(), expected.detach(), rtol=1e-9)


@every_layout
def test_missing_modalities_do_not_matter(shapes):
    module = make_module(shapes)
    x, present = make_batch(shapes)
    other = x.clone()
    other[~columns_of_tokens(shapes, present.numpy())] = np.nan
    assert torch.equal(module(other, present).logits, module(x, present).logits)
    assert module(x, present & False).logits.isfinite().all()


@pytest.mark.parametrize("kind", [None, "ranking", "distill", "align"])
def test_classes_labels_and_numbers(kind):
    X, y = make_data()
    params = {"module": DynamicExperts, "criterion__consistency": kind, **BASE}
    assert FusionClassifier(**params).fit(X, y).score(X, y) > 0.8
    labels = np.column_stack([y > 0, y == 1]).astype(int)
    assert FusionClassifier(**params).fit(X, labels).score(X, labels) > 0.4
    assert FusionRegressor(**params).fit(X, y).score(X, y) > 0.5


def share_of_hurt_pairs(model, X, y, widths, n_draws=5, margin=0.1):
    """Share of pairs of nested subsets in which more modalities raise the loss."""
    rng, hurt = np.random.RandomState(0), []
    everything = np.ones((len(X), len(widths)), dtype=bool)
    for _ in range(n_draws):
        more = draw_subsets(everything, rng)
        fewer = draw_subsets(more, rng)
        masks = [np.repeat(keep, widths, axis=1) for keep in (more, fewer)]
        predicted = [model.predict_log_proba(np.where(m, X, np.nan)) for m in masks]
        loss_more, loss_fewer = (-p[np.arange(len(y)), y] for p in predicted)
        hurt.append((loss_more > loss_fewer + margin)[(more != fewer).any(axis=1)])
    return np.concatenate(hurt).mean()


def test_ranking_lowers_the_share_of_pairs_in_which_more_modalities_hurt():
    digits = load_digits_views()
    widths = list(digits.modalities.values())
    X = digits.data + 2 * np.random.RandomState(0).standard_normal(digits.data.shape)
    y, shares = digits.target, []
    for weight in (0.0, 5.0):
        model = FusionClassifier(
            DynamicExperts, modalities=widths, modality_dropout=1.0, lr=2e-3,
            batch_size=100, max_epochs=30, criterion__consistency="ranking",
            criterion__consistency_weight=weight, random_state=0,
        ).fit(X[:400], y[:400])  # fmt: skip
        shares.append(share_of_hurt_pairs(model, X[400:900], y[400:900], widths))
    assert shares[1] < 0.8 * shares[0]
