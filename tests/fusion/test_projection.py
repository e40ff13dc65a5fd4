"""ModalityProjector: what its estimates depend on, and what they must not depend on."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skmissing.fusion._projection import ProjectedSlots
from skmissing.fusion.modules import ModalityProjector, alignment_loss

from .reference import cross_attention_projection, linear_projection

DIM = 8
LAYOUTS = {"vectors": [1, 1, 1], "two": [1, 1], "ragged": [3, 1, 2], "even": [2, 2]}
every_layout = pytest.mark.parametrize("n_tokens", LAYOUTS.values(), ids=LAYOUTS)
every_kind = pytest.mark.parametrize("kind", ["cross_attention", "linear"])


def make_projector(n_tokens, seed=0, **params):
    """A projector in double precision and eval mode, no weight of which is zero."""
    params = {"n_heads": 2, "n_aggregated_tokens": 3, "dropout": 0.5, **params}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        projector = ModalityProjector(n_tokens, DIM, **params)
        for weight in projector.parameters():
            weight.data += 0.1 * torch.randn_like(weight)
    return projector.double().eval()


def make_batch(n_tokens, n_rows=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(n_rows, sum(n_tokens), DIM, generator=generator).double()
    present = torch.rand(n_rows, len(n_tokens), generator=generator) < 0.5
    rows = torch.arange(n_rows)
    present[rows, rows % len(n_tokens)] = True
    present[0] = True
    return tokens, present


def by_token(present, n_tokens):
    return present.repeat_interleave(torch.tensor(n_tokens), dim=1)


@every_layout
@every_kind
def test_estimates_equal_loops(n_tokens, kind):
    projector = make_projector(n_tokens, kind=kind)
    tokens, present = make_batch(n_tokens)
    seen, loops = by_token(present, n_tokens), linear_projection
    if kind == "cross_attention":  # equations (2) to (6)
        loops = partial(cross_attention_projection, n_heads=2)
        if max(n_tokens) == 3:
            seen[present[:, 0], 1] = False  # padding in the first modality
    filled = projector(tokens, seen).detach()
    for made, *row in zip(filled, tokens.numpy(), seen.numpy()):
        expected = loops(projector, n_tokens, *row)
        assert_allclose(made, expected, rtol=1e-9, atol=1e-12)


@every_layout
@every_kind
def test_present_tokens_come_back(n_tokens, kind):
    projector = make_projector(n_tokens, kind=kind)
    tokens, present = make_batch(n_tokens)
    filled, seen = projector(tokens, present), by_token(present, n_tokens)
    assert torch.equal(filled[seen], tokens[seen])
    assert not torch.isclose(filled[~seen], tokens[~seen]).all(dim=1).any()
    for weight in projector.parameters():
        weight.data.fill_(np.nan)
    complete = torch.ones_like(present)
    assert torch.equal(projector(tokens, complete), tokens)


@every_layout
@every_kind
@pytest.mark.parametrize("content", [1e6, np.nan])
def test_content_of_absent_tokens_never_matters(n_tokens, kind, content):
    projector = make_projector(n_tokens, kind=kind)
    tokens, present = make_batch(n_tokens)
    other = tokens.masked_fill(~by_token(present, n_tokens)[..., None], content)
    assert torch.equal(projector(tokens, present), projector(other, present))


@every_layout
@every_kind
def test_estimate_does_not_see_its_own_modality(n_tokens, kind):
    projector = make_projector(n_tokens, kind=kind)
    tokens, present = make_batch(n_tokens)
    first = projector.project(tokens, present)
    for m, part in enumerate(torch.arange(sum(n_tokens)).split(n_tokens)):
        other, hidden = tokens.clone(), present.clone()
        other[:, part] *= -1.0
        assert torch.equal(projector.project(other, present)[:, part], first[:, part])
        hidden[:, m] = False
        assert_allclose(
            projector.project(tokens, hidden)[:, part].detach(),
            first[:, part].detach(),
            rtol=1e-9,
            atol=1e-12,
        )
        assert not torch.allclose(projector.project(other, present), first)


@every_kind
def test_rows_do_not_matter_to_each_other(kind):
    projector = make_projector([3, 1, 2], kind=kind)
    tokens, present = make_batch([3, 1, 2])
    alone = [projector(tokens[i : i + 1], present[i : i + 1]) for i in range(20)]
    together = projector(tokens, present).detach()
    assert_allclose(torch.cat(alone).detach(), together, rtol=1e-11, atol=1e-13)


@every_kind
def test_a_source_that_is_there_twice_changes_nothing(kind):
    projector = make_projector([1, 1, 1], kind=kind)
    state = projector.estimator.state_dict()
    for name, weight in state.items():
        if name in ("mix", "maps.weight"):  # both of sources 1 and 2 of target 0
            first, _ = weight[0].chunk(2, dim=-1)
            weight[0] = torch.cat([first, first], dim=-1)
        elif name.startswith("aggregate"):
            weight[2] = weight[1]
    tokens, _ = make_batch([1, 1, 1])
    tokens[:, 2] = tokens[:, 1]
    once = torch.tensor([[False, True, False]]).expand(20, 3)
    twice = torch.tensor([[False, True, True]]).expand(20, 3)
    assert_allclose(
        projector(tokens, once)[:, 0].detach(),
        projector(tokens, twice)[:, 0].detach(),
        rtol=1e-9,
    )


def test_aggregated_tokens_learn_from_vectors():
    projector = make_projector([1, 1])
    tokens, _ = make_batch([1, 1])
    present = torch.tensor([[True, False]]).expand(20, 2)
    projector(tokens, present).square().sum().backward()
    gradient = projector.estimator.aggregated.grad
    assert (gradient.abs().amax(dim=2) > 1e-6).all()


@every_kind
def test_row_without_anything(kind):
    projector = make_projector([2, 1], kind=kind)
    tokens, _ = make_batch([2, 1])
    nothing = torch.zeros(20, 2, dtype=torch.bool)
    filled = projector(tokens, nothing)
    assert torch.isfinite(filled).all()
    assert torch.equal(filled, filled[:1].expand_as(filled))


@every_kind
def test_widths_of_their_own(kind):
    projector = make_projector([2, 1], widths=[5, 3], kind=kind)
    tokens = [torch.randn(6, 2, 5).double(), torch.randn(6, 1, 3).double()]
    present = torch.tensor([[True, True], [True, False], [False, True]]).repeat(2, 1)
    filled = projector(tokens, present)
    assert [one.shape for one in filled] == [(6, 2, 5), (6, 1, 3)]
    for m in range(2):
        assert torch.equal(filled[m][present[:, m]], tokens[m][present[:, m]])
        assert not torch.isclose(filled[m], tokens[m])[~present[:, m]].any()
    loss = alignment_loss(tokens, filled, present, n_tokens=[2, 1])
    loss.backward()
    assert projector.leave[0].weight.grad.abs().max() > 0


def test_alignment_by_hand():
    tokens = torch.zeros(4, 3, 2)
    filled = torch.tensor([[0.5, 1.0, 3.0]] * 4)[..., None].expand(4, 3, 2)
    present = torch.tensor([[1, 0], [0, 1], [0, 0], [1, 1]]) > 0
    observed = torch.tensor([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 1]]) > 0
    seen = present.repeat_interleave(torch.tensor([2, 1]), dim=1)
    loss = alignment_loss(tokens, filled, seen, observed, n_tokens=[2, 1])
    first, second, third = 0.5 * 0.5**2, 0.5, 2.5
    rows = [third, first, ((first + second) / 2 + third) / 2]
    assert_allclose(loss, np.mean(rows), rtol=1e-6)


def test_alignment_is_zero_where_nothing_was_hidden():
    tokens = torch.zeros(2, 3, 2)
    seen = torch.tensor([[True, False, True], [True, True, False]])
    assert alignment_loss(tokens, tokens + 1, seen, seen, n_tokens=[2, 1]) == 0
    padded = torch.tensor([[True, True, True], [True, True, False]])
    assert alignment_loss(tokens, tokens + 1, seen, padded, n_tokens=[2, 1]) == 0


def test_alignment_gives_real_tokens_no_gradient():
    tokens = torch.randn(2, 2, 3, requires_grad=True)
    filled = torch.randn(2, 2, 3, requires_grad=True)
    present = torch.tensor([[True, False], [True, False]])
    alignment_loss(tokens, filled, present, n_tokens=[1, 1]).backward()
    assert tokens.grad is None and filled.grad[:, 1].abs().min() > 0


def test_padding_stays_hidden():
    slots = ProjectedSlots([2, 1], DIM, n_heads=2).double()
    tokens, _ = make_batch([2, 1], 3)
    seen = torch.tensor(
        [[True, False, True], [True, True, False], [False, False, True]]
    )
    filled, key_mask = slots(tokens, seen)
    assert key_mask.tolist() == [[True, False, True], [True] * 3, [True] * 3]
    assert (filled[0, 1] == 0).all()


@pytest.mark.parametrize(
    "params, match",
    [
        ({"n_tokens": [3]}, r"at least two modalities; got \[3\]"),
        ({"n_tokens": [3, 0]}, r"at least two modalities; got \[3, 0\]"),
        ({"kind": "mlp"}, r"kind must be one of \('cross_attention'.*got 'mlp'"),
        ({"n_heads": 3}, "dim=8 must be a multiple of n_heads=3"),
        ({"widths": [3]}, "widths must hold one number for each of the 2 .*; got 1"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        ModalityProjector(**{"n_tokens": [1, 2], "dim": DIM, **params})


def test_bad_presence():
    projector = make_projector([1, 2])
    with pytest.raises(ValueError, match="each of the 2 modalities or of their 3 tok"):
        projector(torch.zeros(1, 3, DIM).double(), torch.ones(1, 4, dtype=torch.bool))
