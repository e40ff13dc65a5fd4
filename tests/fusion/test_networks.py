"""Networks of the literature: against loops, what is typical of each, and in fit."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmissing import ModalityWarning
from skmissing.fusion import FusionClassifier, FusionRegressor
from skmissing.fusion._mhsa import MHSAFusion
from skmissing.fusion.modules import (
    ActionMAE,
    BottleneckFusion,
    DynamicExperts,
    PooledFusion,
    ShaSpec,
)

from .data import WIDTHS, make_data
from .reference import arrays, layer_norm, pre_norm_layer, prediction
from .test_modules import columns_of_tokens, make_batch

VECTORS = [(1, 3), (1, 5), (1, 2)]
SEQUENCES = [(1, 4), (3, 2), (2, 2)]
NETWORKS = {
    "ActionMAE": (ActionMAE, {"n_heads": 2}),
    "ShaSpec": (ShaSpec, {}),
    "BottleneckFusion": (BottleneckFusion, {"n_heads": 2, "n_latents": 2}),
    "mean": (PooledFusion, {"pooling": "mean"}),
    "max": (PooledFusion, {"pooling": "max"}),
    "sum": (PooledFusion, {"pooling": "sum"}),
    "sign_max": (PooledFusion, {"pooling": "sign_max"}),
    "film": (MHSAFusion, {"n_heads": 2, "adaptation": "film"}),
    "prompt": (MHSAFusion, {"n_heads": 2, "adaptation": "prompt"}),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def make(module, shapes, **params):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = module(shapes, 3, **{"hidden_dim": 8, **params})
        for weight in module.parameters():  # so that no weight is zero
            weight.data += 0.1 * torch.randn_like(weight)
    return module.double().eval()


@every_network
@pytest.mark.parametrize("shapes", [VECTORS, SEQUENCES], ids=["vectors", "sequences"])
def test_samples_and_missing_modalities(name, shapes):
    """Neither missing tokens nor other samples matter, and samples may be empty."""
    module, params = NETWORKS[name]
    module = make(module, shapes, **params)
    x, present = make_batch(shapes)
    present[:2] = False
    expected = module(x, present)
    other = x.clone()
    other[~columns_of_tokens(shapes, present.numpy())] = np.nan
    assert torch.equal(module(other, present).logits, expected.logits)
    alone = [module(x[i : i + 1], present[i : i + 1]).logits[0] for i in range(len(x))]
    logits = expected.logits.detach()
    assert_allclose(torch.stack(alone).detach(), logits, rtol=1e-11, atol=1e-13)
    assert logits.isfinite().all() and logits[2:].std(dim=0).min() > 0
    assert_allclose(logits[0], logits[1], rtol=1e-12)
    observed = torch.ones_like(present)
    output = module(x, present, observed) if name in ("ActionMAE", "ShaSpec") else None
    terms = output.losses.values() if output else [expected.logits.square().sum()]
    sum(terms).backward()
    grads = [w.grad for w in module.parameters() if w.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads)


def test_poolings_by_hand():
    h = torch.tensor([[[1.0, -4.0], [0.0, 0.0], [3.0, 2.0]], [[0.0, 0.0]] * 3])
    seen = torch.tensor([[True, False, True], [False] * 3])
    expected = {"mean": [2, -1], "sum": [4, -2], "max": [3, 2], "sign_max": [3, -4]}
    for pooling, values in expected.items():
        network = PooledFusion(VECTORS, 2, hidden_dim=2, pooling=pooling)
        assert network.pool(h, seen).tolist() == [values, [0, 0]]
    negative = torch.tensor([[[-1.0], [0.0]]])  # the missing modality is no maximum
    network = PooledFusion(VECTORS, 2, pooling="max")
    assert network.pool(negative, torch.tensor([[True, False]])) == -1


@pytest.mark.parametrize("pooling", ["mean", "max", "sum", "sign_max"])
def test_pooling_equals_loops(pooling):
    module = make(PooledFusion, SEQUENCES, pooling=pooling)
    state, (x, present) = arrays(module), make_batch(SEQUENCES)
    tokens, found = module.embed(x).detach().numpy(), module(x, present).logits.detach()
    for i, seen in enumerate(present.numpy()):
        parts = [p[seen[p]] for p in np.split(np.arange(6), [1, 4]) if seen[p].any()]
        normed = [[layer_norm(tokens[i, t], 1, 0) for t in part] for part in parts]
        h = np.array([np.mean(own, axis=0) for own in normed])
        if pooling == "sign_max":
            h = h[np.abs(h).argmax(axis=0), np.arange(8)]
        else:
            h = getattr(h, pooling)(axis=0)
        assert_allclose(found[i], prediction(state, h), rtol=1e-9)


def layer_of(state, number, m):
    """Weights of the layer of modality m, with the names of a PreNormLayer."""
    found = {"attention_norm": (1.0, 0.0), "feed_norm": (1.0, 0.0)}
    for name in ("qkv", "out", "widen", "narrow"):
        prefix = "attention." if name in ("qkv", "out") else ""
        weight, bias = (
            state[f"layers.{number}.{name}.{kind}"] for kind in ("weight", "bias")
        )
        found[prefix + name] = weight[m], bias[m, 0]
    kinds = ("weight", "bias")
    return {f"{n}.{k}": v for n, pair in found.items() for k, v in zip(kinds, pair)}


def test_bottleneck_equals_loops():
    module = make(BottleneckFusion, SEQUENCES, n_heads=2, n_latents=2)
    state, (x, present) = arrays(module), make_batch(SEQUENCES, n_rows=6)
    found = module(x, present).logits.detach()
    for i, embedded in enumerate(module.embed(x).detach().numpy()):
        parts = np.split(np.arange(6), [1, 4])
        masks = [present[i, part].tolist() for part in parts]
        tokens, latents = [list(embedded[part]) for part in parts], state["latents"]
        for number in range(2):
            made = []
            for m, mask in enumerate(masks):
                own, keys = layer_of(state, number, m), [*mask, True, True]
                h = pre_norm_layer([*tokens[m], *latents], keys, own, "", 2)
                tokens[m] = h[:-2]
                made += [h[-2:]] if any(mask) else []
            latents = np.mean(made, axis=0)
        means = [
            np.mean([t for t, key in zip(own, mask) if key], axis=0)
            for own, mask in zip(tokens, masks)
            if any(mask)
        ]
        h = layer_norm(np.mean(means, axis=0), state["norm.weight"], state["norm.bias"])
        expected = state["head.weight"] @ h + state["head.bias"]
        assert_allclose(found[i], expected, rtol=1e-9)


@pytest.mark.parametrize("n_layers, exchanged", [(1, False), (2, True)])
def test_modalities_meet_in_the_bottleneck_only(n_layers, exchanged):
    module = make(BottleneckFusion, VECTORS, n_heads=2, n_layers=n_layers)
    x, seen = torch.randn(4, 10).double().requires_grad_(), []
    module.pool.register_forward_pre_hook(lambda pool, args: seen.append(args[0]))
    module(x, torch.ones(4, 3, dtype=bool))
    seen[0][:, 0].square().sum().backward()  # the first modality: three columns
    assert x.grad[:, :3].abs().min() > 0
    assert bool(x.grad[:, 3:].any()) == exchanged


def test_action_mae_equals_loops():
    module = make(ActionMAE, SEQUENCES, n_heads=2, n_memory_tokens=2)
    state, (x, observed) = arrays(module), make_batch(SEQUENCES, n_rows=6)
    present = observed.clone()
    present[:4, 1:4] = False  # the second modality is hidden
    output = module(x, present, observed)
    owner, errors = np.array([0, 1, 1, 1, 2, 2]), []
    for i, embedded in enumerate(module.embed(x).detach().numpy()):
        tokens = [layer_norm(t, 1.0, 0.0) for t in embedded]
        keys = present[i].numpy()
        there = np.array([keys[owner == m].any() for m in owner])
        usable, memory = keys | ~there, list(state["memory"])
        h = [*memory, *(t + p for t, p in zip(tokens, state["place"]))]
        h = pre_norm_layer(h, [True, True, *keys], state, "encoder.0.", 2)
        slots = [t if k else s for t, k, s in zip(h[2:], keys, state["slots.token"])]
        h = h[:2] + [t + p for t, p in zip(slots, state["place"])]
        h = pre_norm_layer(h, [True, True, *usable], state, "decoder.0.", 2)
        made = [state["predict.weight"] @ t + state["predict.bias"] for t in h[2:]]
        error = [
            np.mean([np.mean((made[t] - tokens[t]) ** 2) for t in hidden])
            for m in range(3)
            if (
                hidden := np.flatnonzero((owner == m) & ~there & observed[i].numpy())
            ).size
        ]
        errors += [np.mean(error)] if error else []
        h = [t if k else r for t, k, r in zip(tokens, keys, made)]
        h = [t + p for t, p in zip(h, state["place"])]
        h = pre_norm_layer(h, usable, state, "fuse.", 2)
        means = [
            np.mean([h[t] for t in np.flatnonzero((owner == m) & usable)], axis=0)
            for m in range(3)
        ]
        h = layer_norm(np.mean(means, axis=0), state["norm.weight"], state["norm.bias"])
        expected = state["head.weight"] @ h + state["head.bias"]
        assert_allclose(output.logits[i].detach(), expected, rtol=1e-9)
    assert len(errors) > 1
    assert_allclose(output.losses["reconstruction"].item(), np.mean(errors), rtol=1e-9)


def test_hidden_modalities_are_targets_without_gradient():
    """Otherwise, equal tokens for all samples would minimize the reconstruction."""
    module = make(ActionMAE, VECTORS, n_heads=2)
    x, observed = torch.randn(5, 10).double(), torch.ones(5, 3, dtype=bool)
    present = torch.tensor([False, True, True]).expand(5, -1)
    module(x, present, observed).losses["reconstruction"].backward()
    changed = [bool(linear.weight.grad.any()) for linear in module.embed.maps]
    assert changed == [False, True, True]


def test_shaspec_equals_loops():
    module = make(ShaSpec, VECTORS, alignment_weight=2.0, domain_weight=3.0)
    state, (x, observed) = arrays(module), make_batch(VECTORS, n_rows=8)
    present = observed.clone()
    present[:4, 0] &= ~observed[:4, 1:].any(dim=1)  # hidden if another is left
    output = module(x, present, observed)

    def linear(name, h):
        return state[f"{name}.weight"] @ h + state[f"{name}.bias"]

    gaps, entropies = [], []
    adapted, specific = module.adapt(x).detach(), module.specific(x).detach()
    for i in range(len(x)):
        s = [linear("shared", np.maximum(a, 0)) for a in adapted[i].numpy()]
        p = [np.maximum(h, 0) for h in specific[i].numpy()]
        f = [s[m] + linear("compose", np.concatenate([s[m], p[m]])) for m in range(3)]
        common = np.mean([s[m] for m in range(3) if present[i, m]], axis=0)
        f = [f[m] if present[i, m] else common for m in range(3)]
        h = np.maximum(linear("project", np.concatenate(f)), 0)
        assert_allclose(output.logits[i].detach(), linear("head", h), rtol=1e-9)
        there = [m for m in range(3) if observed[i, m]]
        pairs = [np.abs(s[j] - s[k]).mean() for j in there for k in there if j < k]
        gaps += [np.mean(pairs)] if pairs else []
        z = [linear("domain", p[m]) for m in there]
        entropies.append(
            np.mean([np.log(np.exp(v).sum()) - v[m] for v, m in zip(z, there)])
        )
    losses = {name: loss.item() for name, loss in output.losses.items()}
    expected = {"alignment": 2 * np.mean(gaps), "domain": 3 * np.mean(entropies)}
    assert losses == pytest.approx(expected, rel=1e-9)


def make_related(n_rows=120):
    """Three modalities that are linear functions of the same two numbers."""
    rng = np.random.RandomState(0)
    factors = rng.standard_normal((n_rows, 2))
    X = factors @ rng.standard_normal((2, sum(WIDTHS)))
    y = (factors[:, 0] > 0).astype(int)
    X[:40, :3] = X[40:60, 3:] = np.nan
    return X, y


FIT = {"modalities": WIDTHS, "lr": 0.01, "max_epochs": 20, "random_state": 0}


def test_action_mae_learns_to_predict_hidden_modalities():
    """Without a relation, the mean squared error of normalized tokens is about 1."""
    X, y = make_related()
    model = FusionClassifier(ActionMAE, **FIT).fit(X, y)
    errors = model.loss_terms_["reconstruction"]
    assert errors[0] > 0.9 and errors[-1] < 0.4
    model.set_params(module__reconstruction_weight=0.0, max_epochs=1)
    assert list(model.fit(X, y).loss_terms_) == ["task"]


def test_shaspec_separates_shared_from_specific():
    X, y = make_related()
    gaps = []
    for weight in (1e-6, 1.0):
        model = FusionClassifier(ShaSpec, module__alignment_weight=weight, **FIT)
        terms = model.fit(X, y).loss_terms_
        gaps.append(terms["alignment"][-1] / weight)
        domain = np.array(terms["domain"]) / 0.02
        assert domain[0] > 0.9 and domain[-1] < 0.5  # log(3) is chance
    assert gaps[1] < gaps[0] / 3


@pytest.mark.parametrize("adaptation", ["film", "prompt"])
def test_adaptation_to_missing_modalities(adaptation):
    plain = make(MHSAFusion, VECTORS, n_heads=2)
    module = make(MHSAFusion, VECTORS, n_heads=2, adaptation=adaptation)
    module.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(3, 10).double()
    present = torch.tensor([[1, 1, 1], [1, 0, 1], [1, 1, 0]]).bool()
    before, after = plain(x, present).logits, module(x, present).logits
    same = (before == after).all(dim=1)
    assert same.tolist() == [adaptation == "film", False, False]
    if adaptation == "film":
        fresh = MHSAFusion(VECTORS, 3, hidden_dim=8, n_heads=2, adaptation="film")
        fresh = fresh.double().eval()
        fresh.load_state_dict(plain.state_dict(), strict=False)
        assert torch.equal(fresh(x, present).logits, before)  # starts without effect


@every_network
def test_classes_numbers_and_files(name, tmp_path):
    X, y = make_data()
    module, params = NETWORKS[name]
    params = {f"module__{key}": value for key, value in params.items()}
    params |= {"module__hidden_dim": 8, **FIT, "lr": 0.05, "max_epochs": 10}
    model = FusionClassifier(module, **params).fit(X, y)
    assert model.score(X, y) > 0.85
    assert FusionRegressor(module, **params).fit(X, y).score(X, y) > 0.6
    io = pytest.importorskip("skmissing.io")
    pytest.importorskip("skops")
    io.dump(model, tmp_path / "model.skops")
    again = io.load(tmp_path / "model.skops")
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ActionMAE", "BottleneckFusion"])
def test_graph_of_any_number_of_samples(name):
    module, params = NETWORKS[name]
    module, inputs = make(module, VECTORS, **params), make_batch(VECTORS)
    shapes = ({0: torch.export.Dim("n_samples")},) * 2
    graph = torch.export.export(module, inputs, dynamic_shapes=shapes).module()
    found, expected = (f(*(v[:3] for v in inputs))[0] for f in (graph, module))
    assert_allclose(found.detach(), expected.detach(), rtol=1e-9)


@pytest.mark.parametrize(
    "module, params, message",
    [
        (PooledFusion, {"pooling": "min"}, "pooling must be one of .*; got 'min'"),
        (DynamicExperts, {"hidden_dim": 0}, "hidden_dim must be .*; got 0"),
        (PooledFusion, {"hidden_dim": 0}, "hidden_dim must be a positive .*; got 0"),
        (BottleneckFusion, {"n_latents": 0}, "n_latents must be a positive .*; got 0"),
        (BottleneckFusion, {"n_heads": 5}, "hidden_dim=64 must be a multiple of .*=5"),
        (ActionMAE, {"n_memory_tokens": 1.5}, "n_memory_tokens must be .* got 1.5"),
        (ActionMAE, {"reconstruction_weight": -1}, "reconstruction_weight .*; got -1"),
        (ShaSpec, {"alignment_weight": -1.0}, "alignment_weight must be .* got -1.0"),
        (ShaSpec, {"domain_weight": "no"}, "domain_weight must be .*>= 0; got 'no'"),
        (MHSAFusion, {"adaptation": "lora"}, "adaptation must be .*; got 'lora'"),
    ],
)
def test_wrong_parameters(module, params, message):
    with pytest.raises(ValueError, match=message):
        module(VECTORS, 2, **params)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"module__hidden_dim": "a"}, "hidden_dim must be a positive .*; got 'a'"),
        ({"criterion__consistency_weight": "a"}, "weight must be .* >= 0; got 'a'"),
        ({"module__domain_weight": np.inf, "module": ShaSpec}, "finite .* got inf"),
        ({"module": PooledFusion(VECTORS, 2)}, "a subclass .* instance of PooledFus"),
        ({"module": lambda **params: None}, "a subclass .* instance of function"),
        ({"module": dict}, "must be a subclass of torch.nn.Module; got dict"),
        ({"module__hiden": 3}, r"Pooled.*'hidden_dim', .*'dropout'.; got .'hiden'."),
        ({"callbacks": [3]}, "callbacks must be callbacks of skorch; got 3"),
    ],
)
def test_wrong_parameters_of_the_estimator(params, message):
    model = FusionClassifier(PooledFusion, modalities=[1, 1], max_epochs=1)
    with pytest.raises((TypeError, ValueError), match=message):
        model.set_params(**params).fit(np.eye(4, 2), [0, 1, 0, 1])


def test_consistency_without_dropout_warns():
    params = {"criterion__consistency": "ranking", "modality_dropout": 0.0}
    model = FusionClassifier(PooledFusion, modalities=[1, 1], max_epochs=1, **params)
    with pytest.warns(ModalityWarning, match="no effect with modality_dropout=0"):
        model.fit(np.eye(4, 2), [0, 1, 0, 1])


@pytest.mark.parametrize("dropout", ["0.1", 1.0, None])
@pytest.mark.parametrize(
    "module", [network for network, _ in NETWORKS.values()] + [DynamicExperts]
)
def test_dropout_must_be_a_share(module, dropout):
    with pytest.raises(ValueError, match=r"dropout must be a number in \[0, 1\); got"):
        module(VECTORS, 3, dropout=dropout)
