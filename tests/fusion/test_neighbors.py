"""Networks that keep training samples: NeighborAttention and NeighborGraph."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn import config_context

from skmissing._sources import RowSource
from skmissing.fusion import FusionClassifier, FusionRegressor
from skmissing.fusion.modules import NeighborAttention, NeighborGraph

from .data import WIDTHS, make_data
from .reference import (
    arrays,
    cross_attention,
    layer_norm,
    prediction,
    self_attention,
)
from .test_modules import LAYOUTS, columns_of_tokens, make_batch, owners

MODULES = [NeighborAttention, NeighborGraph]
SMALL = {"module__hidden_dim": 8, "module__n_heads": 2, "module__n_neighbors": 4}
BASE = {"modalities": WIDTHS, "lr": 0.05, "max_epochs": 10, "random_state": 0, **SMALL}
every_module = pytest.mark.parametrize("module", MODULES)
every_layout = pytest.mark.parametrize("shapes", LAYOUTS.values(), ids=LAYOUTS)


def make_module(make, shapes, n_bank=20, **params):
    params = {"hidden_dim": 8, "n_heads": 2, "n_neighbors": 4, "dropout": 0, **params}
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = make(shapes, 3, **params).double().eval()
    x, present = make_batch(shapes, n_bank, seed=1)
    x[torch.from_numpy(~columns_of_tokens(shapes, present.numpy()))] = 0.0
    module.set_bank(x, present, torch.arange(n_bank) % 3)
    return module


def similar_by_loops(bank, shapes, x, present):
    """Similarity of a sample to all samples of the bank, one modality at a time."""
    found = np.zeros(len(bank.x))
    columns, tokens = 0, 0
    for n_tokens, width in shapes:
        part = slice(columns, columns + n_tokens * width)
        for j in range(len(bank.x)):
            vectors = []
            for row, mask in ((x, present), (bank.x[j], bank.present[j])):
                seen = np.repeat(mask[tokens : tokens + n_tokens].numpy(), width)
                vectors.append(np.where(seen, row[part].numpy(), 0.0))
            norms = np.linalg.norm(vectors[0]) * np.linalg.norm(vectors[1])
            if norms:
                found[j] += vectors[0] @ vectors[1] / norms
        columns, tokens = columns + n_tokens * width, tokens + n_tokens
    return found


@every_layout
def test_neighbors_are_the_most_similar(shapes):
    bank = make_module(NeighborAttention, shapes).bank
    x, present = make_batch(shapes)
    index, usable = bank(x, present)
    for i in range(len(x)):
        similarity = similar_by_loops(bank, shapes, x[i], present[i])
        assert_allclose(similarity[index[i]], np.sort(similarity)[::-1][:4], atol=1e-5)
        shared = [(bank.present[j] & present[i]).any() for j in index[i]]
        assert_array_equal(usable[i], shared)


@every_module
def test_a_training_sample_does_not_see_its_own_target(module):
    """Whether modalities are hidden or not. Others see it, and so does prediction."""
    shapes = LAYOUTS["vectors"]
    module = make_module(module, shapes).train()
    x, present = module.bank.x, module.bank.present
    hidden = present.clone()
    hidden[:, 0] &= ~hidden[:, 1:].any(dim=1)
    for mask in (present, hidden):
        index, usable = module.bank(x, mask)
        itself = index == torch.arange(len(x))[:, None]
        assert itself.any() and not (itself & usable).any()
        assert usable.any(dim=1).all()
    index, usable = module.eval().bank(x, present)
    assert (index == torch.arange(len(x))[:, None])[usable].any()


def test_targets_of_others_matter_and_the_own_target_does_not():
    module = make_module(NeighborAttention, LAYOUTS["vectors"]).train()
    x, present = module.bank.x, module.bank.present
    before = module(x, present).logits.detach()
    module.bank.y[5] = module.bank.y[5].roll(1)
    after = module(x, present).logits.detach()
    assert torch.equal(after[5], before[5])
    assert (after != before).any()
    module.eval()
    now = module(x, present).logits[5]
    assert (now != after[5]).any()


@every_module
def test_copies_of_one_sample_see_nothing(module):
    module = make_module(module, [(1, 2), (1, 3)]).train()
    ones = torch.ones(6, 5).double(), torch.ones(6, 2).bool()
    module.set_bank(*ones, torch.arange(6) % 3)
    logits = module(*ones).logits
    module.set_bank(*ones, torch.zeros(6, dtype=torch.long))
    assert torch.equal(module(*ones).logits, logits) and logits.isfinite().all()


@every_layout
def test_attention_to_neighbors_equals_loops(shapes):
    """Tokens attend to the tokens of the neighbors, each with its target added."""
    module = make_module(NeighborAttention, shapes)
    state, (x, present) = arrays(module), make_batch(shapes)
    bank, owner = module.bank, owners(shapes)
    h, near = (module.embed(v).detach().numpy() for v in (x, bank.x))
    near = near + (bank.y.numpy() @ state["embed_target.weight"].T)[:, None]
    index, usable = bank(x, present)
    found = module(x, present).logits.detach()
    for i in range(len(x)):
        keys = [t for j in index[i][usable[i]] for t in near[j][bank.present[j]]]
        means = []
        for m in set(owner[present[i]]):
            own = h[i][present[i].numpy() & (owner == m)]
            own = [cross_attention(state, "attend.", 0, t, keys, 2) for t in own]
            means.append(np.mean(own, axis=0))
        assert_allclose(found[i], prediction(state, np.mean(means, axis=0)), rtol=1e-9)


@every_layout
def test_graph_equals_loops(shapes):
    """A gate mixes observed modalities with their estimates; all of them attend."""
    module = make_module(NeighborGraph, shapes)
    module.threshold.data -= 2.0
    state, (x, present) = arrays(module), make_batch(shapes)
    h, seen = module.vectors(module.embed(x), present)
    made = module.estimate(h, seen, *module.bank(x, present)).detach().numpy()
    h, found = h.detach().numpy(), module(x, present).logits.detach()
    for i in range(len(x)):
        tokens = list(made[i])
        for m in np.flatnonzero(seen[i]):
            both = np.concatenate([h[i, m], made[i, m]])
            a = expit(state["gate.weight"] @ both + state["gate.bias"])
            tokens[m] = a * h[i, m] + (1 - a) * made[i, m]
        keys = [True] * len(tokens)
        mixed = self_attention(tokens, keys, state, "layer.attention.", 2)
        norm = state["layer.norm.weight"], state["layer.norm.bias"]
        tokens = [layer_norm(t + b, *norm) for t, b in zip(tokens, mixed)]
        assert_allclose(found[i], prediction(state, np.mean(tokens, axis=0)), rtol=1e-9)


@every_layout
def test_estimates_equal_loops(shapes):
    module = make_module(NeighborGraph, shapes, n_neighbors=6)
    module.threshold.data -= 2.0
    x, present = make_batch(shapes)
    index, usable = module.bank(x, present)
    h, seen = (v.detach() for v in module.vectors(module.embed(x), present))
    bank = module.bank
    near, owned = module.vectors(module.embed(bank.x), bank.present)
    found = module.estimate(h, seen, index, usable).detach()
    cut, gamma = module.threshold.sigmoid(), torch.log1p(module.bandwidth.exp())
    for i in range(len(x)):
        weights = {}
        for j in index[i][usable[i]].tolist():
            both = [m for m in range(len(shapes)) if seen[i, m] and owned[j, m]]
            kernels = [
                torch.exp(-gamma[m] * ((h[i, m] - near[j, m]) ** 2).mean())
                for m in both
            ]
            weights[j] = max(sum(kernels) / len(both) - cut, torch.tensor(0.0))
        for m in range(len(shapes)):
            having = [j for j in weights if owned[j, m]]
            total = sum(weights[j] for j in having)
            mean = sum(weights[j] * near[j, m] for j in having)
            mean = mean / total if total > 0 else torch.zeros(8).double()
            linear = module.complete
            expected = (linear.weight[m] @ mean + linear.bias[m, 0]).relu()
            assert_allclose(found[i, m], expected.detach(), rtol=1e-6, atol=1e-9)


@every_module
@every_layout
def test_samples_are_independent_and_missing_columns_do_not_matter(module, shapes):
    module = make_module(module, shapes)
    x, present = make_batch(shapes)
    other = x.clone()
    other[~columns_of_tokens(shapes, present.numpy())] = np.nan
    together = module(x, present).logits.detach()
    assert torch.equal(module(other, present).logits, together)
    alone = [module(x[i : i + 1], present[i : i + 1]).logits[0] for i in range(len(x))]
    assert_allclose(torch.stack(alone).detach(), together, rtol=1e-12, atol=1e-14)
    logits = module(x, present & False).logits
    assert logits.isfinite().all()
    logits.sum().backward()
    assert all(w.grad.isfinite().all() for w in module.parameters() if w.numel())


@every_module
def test_classes_labels_and_numbers(module):
    X, y = make_data()
    assert FusionClassifier(module, **BASE).fit(X, y).score(X, y) > 0.8
    labels = np.column_stack([y > 0, y == 1]).astype(int)
    assert FusionClassifier(module, **BASE).fit(X, labels).score(X, labels) > 0.4
    assert FusionRegressor(module, **BASE).fit(X, y).score(X, y) > 0.5


@every_module
def test_saved_with_the_training_samples(module, tmp_path):
    io = pytest.importorskip("skmissing.io")
    pytest.importorskip("skops")
    X, y = make_data(60)
    model = FusionClassifier(module, early_stopping=True, **BASE).fit(X, y)
    expected = model.predict_proba(X)
    io.dump(model, tmp_path / "model.skops")
    for again in (pickle.loads(pickle.dumps(model)), io.load(tmp_path / "model.skops")):
        assert len(again.net_.module_.bank.x) == 54
        assert_array_equal(again.predict_proba(X), expected)


def test_a_table_in_pieces_is_refused():
    X, y = make_data(60)
    source = RowSource([lambda: [X]], [60], X.shape[1], dtype=X.dtype)
    match = "X must be in memory for a module that keeps"
    with config_context(working_memory=0.005), pytest.raises(TypeError, match=match):
        FusionClassifier(NeighborGraph, **BASE).fit(source, y)


@every_module
def test_refusals(module):
    X, y = make_data(60)
    model = FusionClassifier(module, **{**BASE, "module__n_neighbors": 0})
    with pytest.raises(ValueError, match="n_neighbors must be a positive integer"):
        model.fit(X, y)
