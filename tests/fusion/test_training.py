"""The training loop by itself: batches, masks, losses, schedule, best epoch, seeds."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler

from skmissing._masking import POLICIES
from skmissing._torch import seeded
from skmissing.fusion._mhsa import MHSAFusion
from skmissing.fusion._mmp import MMPFusion
from skmissing.fusion._training import (
    OPTIMIZERS,
    Batches,
    FusionLoss,
    Masking,
    Samples,
    arrays_of,
    fit_net,
    learning_rate,
    load_module,
    make_net,
    make_predictor,
)
from skmissing.fusion.modules import FusionOutput

CPU = torch.device("cpu")
SHAPES = [(1, 2), (1, 3)]
MODULE = {"shapes": SHAPES, "n_outputs": 1, "hidden_dim": 4, "n_heads": 1}
every_policy = pytest.mark.parametrize("policy", POLICIES)


def make_samples(n_samples=30, seed=0):
    rng = np.random.RandomState(seed)
    values = torch.from_numpy(rng.standard_normal((n_samples, 5)).astype(np.float32))
    return Samples(
        values,
        torch.ones(n_samples, 2, dtype=torch.bool),
        values.sum(dim=1, keepdim=True),
        torch.ones(n_samples),
    )


def train(samples=None, valid=None, *, module=MHSAFusion, seed=0, **params):
    """A short training of a tiny network for one target; returns the skorch net."""
    samples = make_samples() if samples is None else samples
    optimizer, defaults = OPTIMIZERS[params.pop("optimizer", "adamw")]
    defaults = {"weight_decay": 0.0, **defaults}
    known = {
        **{f"module__{name}": value for name, value in MODULE.items()},
        **{f"optimizer__{name}": value for name, value in defaults.items()},
        "criterion__task": "regression",
        "lr": 0.01,
        "batch_size": 8,
        "max_epochs": 4,
        "masking": Masking((1, 1)),
        "rng": np.random.RandomState(seed),
        "verbose": 0,
        **params,
    }
    net = make_net(module, samples=samples, valid=valid, optimizer=optimizer, **known)
    fit_net(net, samples, seed=seed, n_rows=16)
    return net


@pytest.mark.parametrize("n_samples, batch_size", [(30, 8), (33, 8), (7, 8), (64, 1)])
def test_batches_hold_every_sample_once(n_samples, batch_size):
    samples = make_samples(n_samples)
    batches = Batches(samples, batch_size, Masking((1, 1)), np.random.RandomState(0))
    seen, target = zip(*batches)
    assert len(seen) == batches.n_batches
    sizes = [len(batch["x"]) for batch in seen]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    x = torch.cat([batch["x"] for batch in seen])
    assert_array_equal(np.sort(x[:, 0]), np.sort(samples.values[:, 0]))
    y = torch.cat([batch["y"] for batch in target])
    assert_allclose(y[:, 0], x.sum(dim=1), rtol=1e-5)
    again = torch.cat([batch["x"] for batch, _ in batches])
    assert n_samples < 9 or not torch.equal(again, x)


def test_batches_mark_what_is_shown_and_what_is_observed():
    samples = make_samples(100)
    samples.tokens[:50, 0] = False
    batches = Batches(samples, 20, Masking((1, 1), 1.0), np.random.RandomState(0), True)
    present = torch.cat([x["present"] for x, _ in batches])
    observed = torch.cat([y["observed"] for _, y in batches])
    assert observed.sum() == samples.tokens.sum() == 150
    assert present.sum() < 150
    assert all(torch.equal(x["observed"], y["observed"]) for x, y in batches)


def test_validation_batches_keep_the_order():
    samples = make_samples(20)
    x = torch.cat([batch["x"] for batch, _ in Batches(samples, 6)])
    assert torch.equal(x, samples.values)


@every_policy
@pytest.mark.parametrize("level", ["sample", "batch"])
def test_masking_keeps_some_of_what_is_there(policy, level, seed):
    rng = np.random.RandomState(seed)
    tokens = rng.uniform(size=(500, 6)) < 0.5
    masking = Masking((1, 3, 2), 0.9, policy, level)
    kept = masking(tokens, rng, np.arange(500) // 10)
    assert not (kept & ~tokens).any()
    assert_array_equal(kept.any(axis=1), tokens.any(axis=1))
    assert (kept != tokens).any()


def test_a_modality_is_hidden_as_a_whole():
    rng = np.random.RandomState(0)
    tokens = rng.uniform(size=(300, 5)) < 0.7
    kept = Masking((2, 3), 1.0)(tokens, rng)
    for columns in (slice(0, 2), slice(2, 5)):
        same = (kept[:, columns] == tokens[:, columns]).all(axis=1)
        gone = ~kept[:, columns].any(axis=1)
        assert (same | gone).all()


@every_policy
def test_zero_probability_hides_nothing(policy):
    tokens = np.random.RandomState(0).uniform(size=(50, 4)) < 0.5
    kept = Masking((1, 1, 1, 1), 0.0, policy)(tokens, np.random.RandomState(0))
    assert_array_equal(kept, tokens)


@pytest.mark.parametrize(
    "policy, by_size", [("uniform_size", [1, 1, 1]), ("uniform_subset", [3, 3, 1])]
)
def test_share_of_masked_samples_and_sizes(policy, by_size):
    n_samples = 60_000
    kept = Masking((1, 1, 1), 0.4, policy)(
        np.ones((n_samples, 3), dtype=bool), np.random.RandomState(0)
    )
    found = np.bincount(kept.sum(axis=1), minlength=4)[1:] / n_samples
    expected = 0.4 * np.array(by_size) / sum(by_size) + [0, 0, 0.6]
    assert_allclose(found, expected, atol=0.01)
    assert_allclose(kept.mean(axis=0), kept.mean(), atol=0.01)  # all alike


def test_bernoulli_drops_each_modality():
    p = 0.3
    kept = Masking((1, 1), p, "bernoulli")(
        np.ones((60_000, 2), dtype=bool), np.random.RandomState(0)
    )
    # Both go with p * p; then either stays with one half.
    assert_allclose(kept.mean(axis=0), 1 - p + p * p / 2, atol=0.01)
    assert_allclose(kept.all(axis=1).mean(), (1 - p) ** 2, atol=0.01)


def test_batch_level_shares_one_draw():
    masking = Masking((1, 1, 1), 1.0, dropout_level="batch")
    batch = np.repeat(np.arange(40), 5)
    every = np.ones((200, 3), dtype=bool)
    kept = masking(every, np.random.RandomState(0), batch).reshape(40, 5, 3)
    assert (kept == kept[:, :1]).all()
    assert len(np.unique(kept[:, 0], axis=0)) > 3
    masking = Masking((1, 1), 1.0, dropout_level="batch")
    for x, _ in Batches(make_samples(60), 7, masking, np.random.RandomState(0)):
        assert (x["present"] == x["present"][0]).all()


def test_masking_is_drawn_anew_and_repeatable():
    tokens = np.ones((100, 3), dtype=bool)
    masking, rng = Masking((1, 1, 1)), np.random.RandomState(0)
    first, second = masking(tokens, rng), masking(tokens, rng)
    assert (first != second).any()
    assert_array_equal(masking(tokens, np.random.RandomState(0)), first)


@pytest.mark.parametrize("task", ["multiclass", "labels", "regression"])
def test_task_losses(task):
    rng = np.random.RandomState(0)
    logits, weight = rng.standard_normal((6, 3)), rng.uniform(size=6)
    if task == "multiclass":
        y = rng.randint(3, size=6)
        share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = -np.log(share[np.arange(6), y])
    elif task == "labels":
        y = rng.randint(2, size=(6, 3)).astype(float)
        p = 1 / (1 + np.exp(-logits))
        expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1)
    else:
        y = rng.standard_normal((6, 3))
        expected = ((logits - y) ** 2).mean(axis=1)
    loss = FusionLoss(task)
    logits, y, weight = (torch.from_numpy(a) for a in (logits, y, weight))
    assert_allclose(loss.by_sample(logits, y), expected, rtol=1e-9)
    found = loss(FusionOutput(logits), {"y": y, "weight": weight})["task"]
    assert_allclose(found, (expected * weight.numpy()).mean(), rtol=1e-9)


def gap(kind, task, fuller, reduced, losses=(0.0, 0.0)):
    views = [torch.from_numpy(np.array(view)) for view in (fuller, reduced)]
    losses = [torch.tensor(loss) for loss in losses]
    views = [FusionOutput(view, view) for view in views]
    return FusionLoss(task, kind).gap(*views, *losses)


P, Q = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.5, 0.3])
N = 1 - P
LABELS = [2 * np.log(p / (1 - p)) for p in (P, Q)]


@pytest.mark.parametrize(
    "kind, task, fuller, reduced, expected",
    [
        # Four times the Kullback-Leibler divergence at temperature 2.
        ("distill", "multiclass", 2 * np.log(P), 2 * np.log(Q) + 7, P @ np.log(P / Q)),
        # Each label is a choice of two, and their divergences add up.
        ("distill", "labels", *LABELS, P @ np.log(P / Q) + N @ np.log(N / (1 - Q))),
        # The squared difference, the mean over targets.
        ("distill", "regression", [1.0, 2.0], [2.0, 4.0], 2.5 / 4),
        # 1 minus the cosine: 0 for one direction, 1 for a right angle.
        ("align", "regression", [2.0, 0.0], [3.0, 0.0], 0.0),
        ("align", "regression", [1.0, 0.0], [0.0, 2.0], 1 / 4),
        ("align", "regression", [1.0, 0.0], [-1.0, 0.0], 2 / 4),
    ],
)
def test_consistency_by_hand(kind, task, fuller, reduced, expected):
    assert_allclose(gap(kind, task, [fuller], [reduced]), [4 * expected], atol=1e-12)


def test_ranking_by_hand():
    losses = [1.0, 2.0, 3.0], [1.5, 2.0, 0.5]
    found = gap("ranking", "regression", [[0.0]] * 3, [[0.0]] * 3, losses)
    assert_allclose(found, [0.0, 0.0, 2.5])


@pytest.mark.parametrize("kind", ["distill", "align"])
def test_fuller_view_is_the_teacher(kind):
    logits = [torch.randn(4, 3, requires_grad=True) for _ in range(2)]
    views = [FusionOutput(z, z) for z in logits]
    losses = [z.sum(dim=1) for z in logits]
    FusionLoss("multiclass", kind).gap(*views, *losses).sum().backward()
    assert logits[0].grad is None
    assert logits[1].grad.abs().max() > 0


def test_ranking_has_no_teacher():
    """As in SimMLM, both losses get a gradient if more modalities are worse."""
    losses = [torch.tensor(v, requires_grad=True) for v in ([3.0, 1.0], [2.0, 2.0])]
    FusionLoss("multiclass", "ranking").gap(None, None, *losses).sum().backward()
    assert [loss.grad.tolist() for loss in losses] == [[1, 0], [-1, 0]]


@pytest.mark.parametrize("kind", ["align", "distill", "ranking"])
def test_samples_of_which_nothing_is_hidden_count_as_zero(kind):
    generator = torch.Generator().manual_seed(0)
    same = torch.arange(6) >= 2
    values = [torch.randn(6, 3, generator=generator) for _ in range(2)]
    fuller, reduced = [FusionOutput(v, v) for v in values]
    target = {"y": torch.zeros(6, dtype=torch.long), "weight": torch.rand(6)}
    criterion = FusionLoss("multiclass", kind, 3.0)
    terms = criterion(reduced, target, fuller, same)
    losses = [criterion.by_sample(v, target["y"]) for v in values]
    expected = 3.0 * criterion.gap(fuller, reduced, *losses)[:2].sum() / 6
    assert_allclose(terms["consistency"], expected, rtol=1e-6)
    assert_allclose(terms["fuller"], (losses[0] * target["weight"]).mean(), rtol=1e-6)


def test_losses_of_the_module_are_added_and_recorded():
    """Training minimizes the sum of all terms; validation sees the task."""

    class TwoTerms(MHSAFusion):
        def forward(self, x, present):
            output = super().forward(x, present)
            return output._replace(losses={"size": output.fused.pow(2).mean()})

    net = train(valid=make_samples(5), module=TwoTerms, patience=9)
    for epoch in net.history:
        assert epoch["train_size"] > 0
        total = epoch["train_task"] + epoch["train_size"]
        assert_allclose(epoch["train_loss"], total, rtol=1e-5)
        assert epoch["valid_score"] == -epoch["valid_loss"] == -epoch["valid_task"]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_lowers_the_loss(optimizer):
    net = train(make_samples(60), optimizer=optimizer, max_epochs=10, lr=0.03)
    losses = net.history[:, "train_loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_one_step_by_hand():
    """A step of plain gradient descent moves weights by lr times the clipped gradient.

    The first step is taken at a tenth of the learning rate, from which it rises.
    """
    samples, params = make_samples(8), {"module__dropout": 0.0, "lr": 0.1}
    masking = Masking((1, 1), 0.0)
    net = train(
        samples, optimizer="sgd", max_epochs=1, masking=masking, seed=3, **params
    )
    with seeded(3, CPU):
        module = MHSAFusion(**MODULE, dropout=0.0)
    output = module(samples.values, samples.tokens)
    ((output.logits - samples.targets) ** 2).mean().backward()
    used = {name: w for name, w in module.named_parameters() if w.numel()}
    norm = torch.stack([w.grad.norm() for w in used.values()]).norm()
    factor, found = min(1.0, 1.0 / norm.item()), net.module_.state_dict()
    for name, weight in used.items():
        expected = weight - 0.1 * 0.1 * factor * weight.grad
        assert_allclose(found[name], expected.detach(), rtol=1e-4, atol=1e-6)


def test_learning_rate_rises_and_falls():
    """The rate starts at a tenth, peaks at lr, and ends near 0; skorch applies it."""
    rates = [learning_rate(step, 100) for step in range(100)]
    assert_allclose(rates[0], 0.1)
    assert np.argmax(rates) == 10 and max(rates) == 1.0
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert_allclose(rates[-1], (1 / 90) ** 0.9)
    found = []

    class Watch(Callback):
        def on_batch_begin(self, net, **kwargs):
            found.append(net.optimizer_.param_groups[0]["lr"])

    train(make_samples(32), callbacks=[Watch()], lr=0.5)
    assert_allclose(found, [0.5 * learning_rate(step, 16) for step in range(16)])


@pytest.mark.parametrize("best", [1, 3, 6])
def test_best_epoch_is_restored(best):
    seen = []

    def monitor(net):
        seen.append(arrays_of(net.module_))
        return -abs(len(seen) - best)

    net = train(valid=make_samples(10, 1), monitor=monitor, max_epochs=12, patience=3)
    assert len(net.history) == best + 3
    weights = arrays_of(net.module_)
    for name, weight in seen[best - 1].items():
        assert_array_equal(weights[name], weight)
    assert any((weights[k] != w).any() for k, w in seen[-1].items())


def test_validation_loss_is_the_default_monitor():
    valid = make_samples(10, 1)
    net = train(valid=valid, max_epochs=10, lr=0.3)
    module = net.module_.eval()
    loss = ((module(valid.values, valid.tokens).logits - valid.targets) ** 2).mean()
    assert_allclose(loss.item(), min(net.history[:, "valid_loss"]), rtol=1e-5)


def test_callbacks_of_the_user_replace_ours():
    mine = [
        ("mine", GradientNormClipping(0.1)),
        LRScheduler(torch.optim.lr_scheduler.ConstantLR, factor=0.5, total_iters=9),
        EarlyStopping("train_loss", patience=1, threshold=1e9, sink=lambda _: None),
    ]
    net = train(valid=make_samples(5), callbacks=mine, max_epochs=9)
    kinds = [type(callback) for _, callback in net.callbacks_]
    for kind in (GradientNormClipping, LRScheduler, EarlyStopping):
        assert kinds.count(kind) == 1
    assert len(net.history) == 2  # theirs has stopped it
    assert dict(net.callbacks_)["mine"] is mine[0][1]


def test_same_seed_same_weights():
    runs = []
    for seed, elsewhere in [(1, 5), (1, 6), (2, 5)]:
        torch.manual_seed(elsewhere)
        np.random.seed(elsewhere)
        runs.append(arrays_of(train(seed=seed).module_))
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not all(np.array_equal(runs[0][name], runs[2][name]) for name in runs[0])


def test_threads_do_not_disturb_each_other():
    def run(seed):
        weights = arrays_of(train(seed=seed).module_)
        load_module(MHSAFusion, MODULE, weights)
        return weights

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(run, range(3)))
    for seed, found in enumerate(together):
        for name, weight in run(seed).items():
            assert_array_equal(found[name], weight)


def test_global_state_is_left_alone():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    settings = torch.get_num_threads(), torch.get_default_dtype()
    weights = arrays_of(train().module_)
    load_module(MHSAFusion, MODULE, weights)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == settings


def test_predictor_is_in_double_precision():
    net = train()
    weights, history = arrays_of(net.module_), list(net.history)
    assert {type(w) for w in weights.values()} == {np.ndarray}
    assert {w.dtype for w in weights.values()} == {np.dtype("float32")}
    module = load_module(MHSAFusion, MODULE, weights)
    net = make_predictor(module, "regression", history, CPU)
    assert not net.module_.training
    for name, weight in net.module_.state_dict().items():
        assert weight.dtype == torch.float64
        assert_array_equal(weight.numpy(), weights[name].astype(np.float64))
    assert net.history[:, "train_loss"] == [e["train_loss"] for e in history]


@pytest.mark.parametrize("projector", [None, "cross_attention", "linear", "none"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_default_dtype_does_not_matter(dtype, projector):
    samples = make_samples()
    samples.tokens = torch.ones(30, 4, dtype=torch.bool)
    samples.tokens[::2, 0] = False
    module, shapes, own = MHSAFusion, [(1, 2), (3, 1)], {"missing": "token"}
    if projector is not None:
        module, own = MMPFusion, {"projector": projector}
    own["shapes"] = shapes
    params = {f"module__{name}": value for name, value in own.items()}
    params |= {"module": module, "masking": Masking((1, 3))}
    expected = arrays_of(train(samples, **params).module_)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = arrays_of(train(samples, **params).module_)
        loaded = load_module(module, {**MODULE, **own}, found)
    finally:
        torch.set_default_dtype(before)
    for name, weight in expected.items():
        assert_array_equal(found[name], weight, err_msg=name, strict=True)
    assert {w.dtype for w in loaded.parameters()} == {torch.float32}


def test_verbose_prints_a_line_per_epoch(capsys):
    train()
    assert capsys.readouterr().out == ""
    train(valid=make_samples(5), verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 6  # a head of two
    assert "train_loss" in lines[0] and "valid_score" in lines[0]


def interrupt(net):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "target, monitor, error, match",
    [
        (0.0, interrupt, KeyboardInterrupt, None),
        (0.0, lambda net: np.nan, ValueError, "score of the 5 validation samples is N"),
        (torch.inf, None, ValueError, "Training diverged: .* than 0.01 may help"),
    ],
)
def test_training_is_given_up(target, monitor, error, match):
    """Ctrl-C is handed on; a loss or score that is not finite is refused."""
    samples = make_samples()
    samples.targets[0] = target
    with pytest.raises(error, match=match):
        train(samples, make_samples(5), monitor=monitor)
