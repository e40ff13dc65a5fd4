"""The training loop by itself: batches, schedule, best epoch, seeds, interruption."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmissing._torch import seeded
from skmissing.fusion._masking import Masking
from skmissing.fusion._modules import FusionOutput, MHSAFusion
from skmissing.fusion._net import (
    Architecture,
    TaskLoss,
    Training,
    check_trained,
    load,
    train,
)
from skmissing.fusion._rows import Batches, TokenRows
from skmissing.fusion._trunk import AlignedLoss, MMPFusion

CPU = torch.device("cpu")
SHAPES = [(1, 2), (1, 3)]


def make_rows(n_rows=30, seed=0):
    """Two modalities, one target that is a sum of columns."""
    rng = np.random.RandomState(seed)
    values = torch.from_numpy(rng.standard_normal((n_rows, 5)).astype(np.float32))
    return TokenRows(
        values,
        torch.ones(n_rows, 2, dtype=torch.bool),
        values.sum(dim=1, keepdim=True),
        torch.ones(n_rows),
    )


def make_architecture(**params):
    """A tiny network for one target."""
    params = {"hidden_dim": 4, "n_heads": 1, **params}
    return Architecture(
        MHSAFusion,
        {"shapes": SHAPES, "n_outputs": 1, **params},
        TaskLoss,
        {"task": "regression"},
    )


def make_training(**params):
    """A short training."""
    params = {
        "optimizer": "adamw",
        "lr": 0.01,
        "weight_decay": 0.0,
        "batch_size": 8,
        "max_epochs": 4,
        "patience": None,
        "masking": Masking((1, 1)),
        "device": CPU,
        **params,
    }
    return Training(**params)


@pytest.mark.parametrize("n_rows, batch_size", [(30, 8), (33, 8), (7, 8), (64, 1)])
def test_batches_hold_every_row_once(n_rows, batch_size):
    """A pass goes through all rows, in batches that are as equal as can be."""
    rows = make_rows(n_rows)
    batches = Batches(rows, batch_size, Masking((1, 1)), np.random.RandomState(0))
    seen, target = zip(*batches)
    assert len(seen) == len(batches)
    sizes = [len(batch["x"]) for batch in seen]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    x = torch.cat([batch["x"] for batch in seen])
    assert_array_equal(np.sort(x[:, 0]), np.sort(rows.values[:, 0]))
    y = torch.cat([batch["y"] for batch in target])
    assert_allclose(y[:, 0], x.sum(dim=1), rtol=1e-5)
    again = torch.cat([batch["x"] for batch, _ in batches])
    assert n_rows < 9 or not torch.equal(again, x)


def test_batches_say_what_is_seen_and_what_is_there():
    """`present` is masked; `observed` is not, for losses that compare the two."""
    rows = make_rows(100)
    rows.tokens[:50, 0] = False
    batches = Batches(rows, 20, Masking((1, 1), 1.0), np.random.RandomState(0))
    present = torch.cat([x["present"] for x, _ in batches])
    observed = torch.cat([y["observed"] for _, y in batches])
    assert observed.sum() == rows.tokens.sum() == 150
    assert present.sum() < 150


def test_one_batch_of_masks_at_batch_level():
    """At level "batch", the rows that make a step share their mask."""
    masking = Masking((1, 1), 1.0, level="batch")
    for x, _ in Batches(make_rows(60), 7, masking, np.random.RandomState(0)):
        assert (x["present"] == x["present"][0]).all()


def test_validation_batches_keep_the_order():
    """Without a generator nothing is shuffled or hidden."""
    rows = make_rows(20)
    x = torch.cat([batch["x"] for batch, _ in Batches(rows, 6)])
    assert torch.equal(x, rows.values)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_lowers_the_loss(optimizer):
    """Every optimiser learns."""
    trained = train(
        make_architecture(),
        make_training(optimizer=optimizer, max_epochs=10, lr=0.03),
        make_rows(100),
    )
    losses = [epoch["train_loss"] for epoch in trained.history]
    assert losses[-1] < 0.7 * losses[0]


def test_one_step_by_hand():
    """A step of plain gradient descent moves weights by lr times the clipped gradient.

    The first step is taken at a tenth of the learning rate, from which it rises.
    """
    rows, architecture = make_rows(8), make_architecture(dropout=0.0)
    training = make_training(
        optimizer="sgd", lr=0.1, max_epochs=1, masking=Masking((1, 1), 0.0)
    )
    trained = train(architecture, training, rows, seed=3)
    with seeded(3, CPU):
        module = MHSAFusion(**architecture.module_params)
    output = module(rows.values, rows.tokens)
    ((output.logits - rows.targets) ** 2).mean().backward()
    used = {name: w for name, w in module.named_parameters() if w.numel()}
    norm = torch.stack([w.grad.norm() for w in used.values()]).norm()
    factor = min(1.0, 1.0 / norm.item())
    for name, weight in used.items():
        expected = weight - 0.1 * 0.1 * factor * weight.grad
        assert_allclose(trained.weights[name], expected.detach(), rtol=1e-4, atol=1e-6)


def test_learning_rate_rises_and_falls():
    """The rate starts at a tenth, peaks at lr, and ends near 0."""
    net = make_architecture().make_net(n_steps=100, lr=0.5, optimizer=torch.optim.SGD)
    net.initialize()
    net.notify("on_train_begin")
    rates = []
    for _ in range(100):
        net._set_learning_rate()
        rates.append(net.optimizer_.param_groups[0]["lr"])
    assert_allclose(rates[0], 0.05)
    assert np.argmax(rates) == 10 and max(rates) == 0.5
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert_allclose(rates[-1], 0.5 * (1 / 90) ** 0.9)


@pytest.mark.parametrize("best", [1, 3, 6])
def test_best_epoch_is_restored(best):
    """The weights are those of the epoch with the best score, and training stops."""
    seen = []

    def monitor(net, logits):
        seen.append({k: w.clone().numpy() for k, w in net.module_.state_dict().items()})
        return -abs(len(seen) - best)

    training = make_training(max_epochs=12, patience=3)
    trained = train(
        make_architecture(), training, make_rows(), make_rows(10, 1), monitor=monitor
    )
    assert trained.best_epoch == best
    assert len(trained.history) == best + 3
    for name, weight in seen[best - 1].items():
        assert_array_equal(trained.weights[name], weight)
    assert any((trained.weights[k] != w).any() for k, w in seen[-1].items())


def test_validation_loss_is_the_default_monitor():
    """Without a monitor the epoch with the least validation loss is kept."""
    training = make_training(max_epochs=10, patience=10, lr=0.3)
    valid = make_rows(10, 1)
    trained = train(make_architecture(), training, make_rows(), valid)
    losses = [epoch["valid_task"] for epoch in trained.history]
    assert trained.best_epoch == 1 + np.argmin(losses)
    net = load(make_architecture(), trained, CPU)
    output = net.module_(valid.values.double(), valid.tokens).logits
    loss = ((output - valid.targets) ** 2).mean().item()
    assert_allclose(loss, min(losses), rtol=1e-5)


def test_same_seed_same_weights():
    """Equal seeds give equal weights, whatever the global generators hold."""
    runs = []
    for seed, elsewhere in [(1, 5), (1, 6), (2, 5)]:
        torch.manual_seed(elsewhere)
        np.random.seed(elsewhere)
        trained = train(make_architecture(), make_training(), make_rows(), seed=seed)
        runs.append(trained.weights)
    assert all(np.array_equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not all(np.array_equal(runs[0][name], runs[2][name]) for name in runs[0])


def test_threads_do_not_disturb_each_other():
    """Trainings in several threads give what they give one after the other."""

    def run(seed):
        return train(make_architecture(), make_training(), make_rows(), seed=seed)

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(run, range(3)))
    for seed, found in enumerate(together):
        for name, weight in run(seed).weights.items():
            assert_array_equal(found.weights[name], weight)


def test_global_state_is_left_alone():
    """Generators, the number of threads and the default type stay what they were."""
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    settings = torch.get_num_threads(), torch.get_default_dtype()
    trained = train(make_architecture(), make_training(), make_rows())
    load(make_architecture(), trained, CPU)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == settings


def test_trained_holds_plain_arrays():
    """What is kept can be pickled without torch: arrays of float32, and numbers."""
    trained = train(make_architecture(), make_training(), make_rows())
    assert {type(w) for w in trained.weights.values()} == {np.ndarray}
    assert {w.dtype for w in trained.weights.values()} == {np.dtype("float32")}
    assert {type(v) for epoch in trained.history for v in epoch.values()} <= {
        int,
        float,
    }


def test_loaded_net_predicts_in_double_precision():
    """The net for predictions has the trained weights, exactly, and the history."""
    trained = train(make_architecture(), make_training(), make_rows())
    net = load(make_architecture(), trained, CPU)
    assert not net.module_.training
    for name, weight in net.module_.state_dict().items():
        assert weight.dtype == torch.float64
        assert_array_equal(weight.numpy(), trained.weights[name].astype(np.float64))
    assert net.history[:, "train_loss"] == [e["train_loss"] for e in trained.history]


def test_loading_waits_for_no_training():
    """A net for predictions is built while another thread has the generators."""
    trained = train(make_architecture(), make_training(), make_rows())
    with ThreadPoolExecutor(1) as pool, seeded(0, CPU):
        before = torch.random.get_rng_state()
        net = pool.submit(load, make_architecture(), trained, CPU).result(timeout=60)
        assert torch.equal(torch.random.get_rng_state(), before)
    assert len(net.module_.state_dict()) == len(trained.weights)


@pytest.mark.parametrize("projector", [None, "cross_attention", "linear", "none"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_default_dtype_does_not_matter(dtype, projector):
    """Weights are the same float32 numbers whatever torch makes by default."""
    shapes = [(1, 2), (3, 1)]
    architecture = make_architecture(shapes=shapes, missing="token")
    if projector is not None:
        params = {"hidden_dim": 4, "n_heads": 1, "projector": projector}
        params |= {"shapes": shapes, "n_outputs": 1}
        loss = {"task": "regression", "shapes": shapes, "alignment_weight": 1.0}
        architecture = Architecture(MMPFusion, params, AlignedLoss, loss)
    rows = make_rows()
    rows.tokens = torch.ones(30, 4, dtype=torch.bool)
    rows.tokens[::2, 0] = False
    training = make_training(masking=Masking((1, 3)))
    expected = train(architecture, training, rows)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = train(architecture, training, rows)
        net = load(architecture, found, CPU)
        check_trained(architecture, found)
    finally:
        torch.set_default_dtype(before)
    for name, weight in expected.weights.items():
        assert_array_equal(found.weights[name], weight, err_msg=name, strict=True)
    assert {w.dtype for w in net.module_.parameters()} == {torch.float64}


def test_interruption_is_handed_on():
    """Ctrl-C ends training with KeyboardInterrupt instead of being swallowed."""

    def monitor(net, logits):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            make_architecture(),
            make_training(),
            make_rows(),
            make_rows(5),
            monitor=monitor,
        )


def test_divergence_is_an_error():
    """A loss that is not finite is refused, with the learning rate."""
    rows = make_rows()
    rows.targets[0] = torch.inf
    with pytest.raises(ValueError, match=r"Training diverged: .* than 0.01 may help"):
        train(make_architecture(), make_training(), rows)


def test_nan_score_is_an_error():
    """A score that cannot be compared is refused."""
    with pytest.raises(ValueError, match="score of the 5 validation rows is NaN"):
        train(
            make_architecture(),
            make_training(),
            make_rows(),
            make_rows(5),
            monitor=lambda net, logits: np.nan,
        )


def test_verbose_prints_a_line_an_epoch(capsys):
    """One line an epoch, with the validation score where there is one."""
    train(make_architecture(), make_training(), make_rows())
    assert capsys.readouterr().out == ""
    training = make_training(verbose=1, patience=9)
    train(make_architecture(), training, make_rows(), make_rows(5))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1/4: loss ")
    assert "validation score" in lines[0] and lines[0].endswith("(best so far)")


def test_terms_of_the_loss_are_added_and_recorded():
    """A criterion with several terms trains on their sum; validation sees the task."""

    class TwoTerms(TaskLoss):
        def forward(self, output, target):
            assert isinstance(output, FusionOutput)
            terms = super().forward(output, target)
            return {**terms, "size": output.fused.pow(2).mean()}

    architecture = Architecture(
        MHSAFusion,
        make_architecture().module_params,
        TwoTerms,
        {"task": "regression"},
    )
    trained = train(architecture, make_training(patience=9), make_rows(), make_rows(5))
    for epoch in trained.history:
        assert epoch["train_size"] > 0
        total = epoch["train_task"] + epoch["train_size"]
        assert_allclose(epoch["train_loss"], total, rtol=1e-5)
        assert epoch["valid_score"] == -epoch["valid_task"]


@pytest.mark.parametrize("task", ["multiclass", "labels", "regression"])
def test_task_losses(task):
    """Losses by row against their formulas, and the weighted mean of them."""
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
    loss = TaskLoss(task)
    logits, y, weight = (torch.from_numpy(a) for a in (logits, y, weight))
    assert_allclose(loss.by_row(logits, y), expected, rtol=1e-9)
    output = FusionOutput(logits, None, None, None, None)
    found = loss(output, {"y": y, "weight": weight})["task"]
    assert_allclose(found, (expected * weight.numpy()).mean(), rtol=1e-9)
