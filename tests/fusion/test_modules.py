"""The network against slow loops, and what must not matter to it."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.fusion._layers import SLOTS
from skmissing.fusion._mhsa import MHSAFusion

from .reference import mhsa_fusion, weights_by_modality

LAYOUTS = {
    "vectors": [(1, 3), (1, 5), (1, 2)],
    "equal widths": [(1, 3), (1, 2), (1, 3), (1, 2)],
    "sequences": [(1, 4), (3, 2), (1, 4), (2, 2), (3, 2)],
}
every_layout = pytest.mark.parametrize("shapes", LAYOUTS.values(), ids=LAYOUTS)
every_policy = pytest.mark.parametrize("missing", sorted(SLOTS))


def make_module(shapes, **params):
    params = {"hidden_dim": 8, "n_heads": 2, "dropout": 0.5, **params}
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = MHSAFusion(shapes, 3, **params)
        for weight in module.parameters():  # so that no bias is zero
            weight.data += 0.1 * torch.randn_like(weight)
    return module.double().eval()


def make_batch(shapes, n_rows=12, seed=0):
    rng = np.random.RandomState(seed)
    x = rng.standard_normal((n_rows, sum(n * d for n, d in shapes)))
    present = rng.uniform(size=(n_rows, sum(n for n, _ in shapes))) < 0.6
    present[np.arange(n_rows), rng.randint(present.shape[1], size=n_rows)] = True
    return torch.from_numpy(x), torch.from_numpy(present)


def columns_of_tokens(shapes, tokens):
    dims = [d for n, d in shapes for _ in range(n)]
    return np.repeat(tokens, dims, axis=1)


def owners(shapes):
    return np.repeat(np.arange(len(shapes)), [n for n, _ in shapes])


@every_layout
@pytest.mark.parametrize(
    "n_layers, head_dims, adaptation",
    [(1, (), None), (2, (5,), "film"), (3, (5, 4), "prompt")],
)
def test_network_equals_loops(shapes, n_layers, head_dims, adaptation):
    params = {"head_dims": head_dims, "adaptation": adaptation}
    module = make_module(shapes, n_layers=n_layers, **params)
    x, present = make_batch(shapes)
    expected = mhsa_fusion(module, shapes, x.numpy(), present.numpy(), 2, n_layers)
    assert_allclose(module(x, present).logits.detach(), expected, rtol=1e-9)


@every_layout
@every_policy
@pytest.mark.parametrize("content", [-3.0, 1e6, np.nan])
def test_content_of_absent_tokens_never_matters(shapes, missing, content):
    module = make_module(shapes, missing=missing, n_layers=2)
    x, present = make_batch(shapes)
    other = x.clone()
    other[~columns_of_tokens(shapes, present.numpy())] = content
    expected, found = module(x, present), module(other, present)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.fused, expected.fused)


def set_projections(module, weights):
    for linear, members in zip(module.embed.maps, module.embed.members):
        for g, m in enumerate(members):
            linear.weight.data[g] = torch.from_numpy(weights[m][0])
            linear.bias.data[g, 0] = torch.from_numpy(weights[m][1])


@every_policy
@pytest.mark.parametrize("order", [(2, 0, 1, 3), (3, 2, 1, 0)])
def test_order_of_modalities_does_not_matter(missing, order):
    shapes = LAYOUTS["equal widths"]
    module = make_module(shapes, missing=missing, n_layers=2)
    x, present = make_batch(shapes)
    permuted = make_module([shapes[m] for m in order], missing=missing, n_layers=2)
    permuted.load_state_dict(
        {n: w for n, w in module.state_dict().items() if not n.startswith("embed")},
        strict=False,
    )
    if missing == "token":
        permuted.slots.token.data = module.slots.token.data[list(order)]
    weights = weights_by_modality(module)
    set_projections(permuted, [weights[m] for m in order])
    blocks = x.split([d for _, d in shapes], dim=1)
    found = permuted(torch.cat([blocks[m] for m in order], 1), present[:, list(order)])
    assert_allclose(
        found.logits.detach(), module(x, present).logits.detach(), rtol=1e-9
    )


@every_layout
@every_policy
def test_rows_with_nothing_are_finite(shapes, missing):
    module = make_module(shapes, missing=missing, n_layers=2)
    x, present = make_batch(shapes)
    present[:3] = False
    logits = module(x, present).logits
    assert logits.isfinite().all()
    assert_allclose(logits[0].detach(), logits[1].detach(), rtol=1e-12)
    logits.sum().backward()
    assert all(w.grad.isfinite().all() for w in module.parameters() if w.numel())


@every_layout
@every_policy
def test_rows_are_independent(shapes, missing):
    module = make_module(shapes, missing=missing)
    x, present = make_batch(shapes)
    together = module(x, present).logits.detach()
    alone = [module(x[i : i + 1], present[i : i + 1]).logits[0] for i in range(len(x))]
    assert_allclose(torch.stack(alone).detach(), together, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("missing", ["zero", "token"])
def test_padding_is_hidden_where_absence_is_shown(missing):
    slots = SLOTS[missing]([1, 3], 2)
    tokens = torch.ones(3, 4, 2)
    present = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]]).bool()
    filled, key_mask = slots(tokens, present)
    expected = [[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 0]]
    assert_array_equal(key_mask, np.array(expected, dtype=bool))
    stand_in = torch.zeros(4, 2) if missing == "zero" else slots.token
    assert_array_equal(filled[1, 1:].detach(), stand_in[1:].detach())
    assert_array_equal(filled[present].detach(), 1.0)


def test_vectors_have_no_position():
    assert make_module(LAYOUTS["vectors"]).embed.position.numel() == 0
