"""Training with skorch: batches, losses, callbacks and the training loop.

This file does not depend on columns or scikit-learn estimators. It takes tensors and a
module, and returns weights as numpy arrays and a history of plain numbers.
"""

import inspect
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import train_test_split
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from skorch.helper import predefined_split
from skorch.history import History
from skorch.utils import noop
from torch import nn

from skmissing._callbacks import NO_TASK
from skmissing._masking import draw_subsets
from skmissing._modalities import count
from skmissing._table import LARGEST
from skmissing._torch import SMALL_WORK, few_threads, seeded, single_precision

GRAD_CLIP = 1.0
WARM_UP = 0.1  # share of the steps in which the learning rate rises
WARM_UP_START = 0.1  # factor of the learning rate in the first step
DECAY_POWER = 0.9
VALID_BATCH = 1024
# If above 1, distillation also compares unlikely classes.
TEMPERATURE = 2.0

OPTIMIZERS = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
}
# Callbacks of skorch that ours replace, or that record times, which differ by fit.
DISABLED = dict.fromkeys(
    ("callbacks__epoch_timer", "callbacks__train_loss", "callbacks__valid_loss")
)
CONSISTENCY_WEIGHTS = {"align": 0.1, "distill": 1.0, "ranking": 0.1}


# -------------------------------------------------------------------------------- data


@dataclass(eq=False)
class Samples(torch.utils.data.Dataset):
    """Samples as whole tensors."""

    values: torch.Tensor  # (n_samples, n_columns), standardized, 0 where missing
    tokens: torch.Tensor  # (n_samples, n_tokens), mask of observed tokens
    targets: torch.Tensor  # (n_samples,) or (n_samples, n_outputs)
    weight: torch.Tensor  # (n_samples,), factors of the losses, with mean 1

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        tensors = self.values, self.tokens, self.targets, self.weight
        return Samples(*(tensor[index] for tensor in tensors))

    def join(self, other):
        """Samples of both."""
        pairs = zip(vars(self).values(), vars(other).values())
        return Samples(*map(torch.cat, pairs))

    def blocks(self, rng):
        """Yield parts of the samples that are shuffled together: here, all."""
        yield self


class StreamedSamples(torch.utils.data.Dataset):
    """Samples that are read from a source in each epoch."""

    def __init__(self, source, targets, weight, *, read, device):
        # read: function that returns standardized values and tokens of X
        self.source, self.read, self.device = source, read, device
        self.targets, self.weight = targets, weight

    def __len__(self):
        return len(self.source)

    def blocks(self, rng):
        """Yield blocks of at most the size of a piece, in an order drawn by `rng`."""
        source, block = self.source, None
        several = len(source) > source.piece_rows
        for rows, X in source.iter_chunks(rng if several else None):
            arrays = *self.read(X), self.targets[rows], self.weight[rows]
            new = Samples(*(torch.from_numpy(v).to(self.device) for v in arrays))
            if block is None:
                block = new
            elif len(block) + len(new) <= source.piece_rows:
                block = block.join(new)
            else:
                yield block
                block = new
        yield block


class Target(NamedTuple):
    """The target in the form for training."""

    values: np.ndarray  # (n_samples,) or (n_samples, n_outputs), for the loss
    task: str  # "multiclass", "labels" or "regression"
    n_outputs: int
    prior: np.ndarray  # (n_outputs,), the output for samples without any modality
    factor: np.ndarray | None = None  # (n_samples,), factor of the loss by class


@dataclass(frozen=True)
class Masking:
    """Hides observed modalities at random, but never all of a sample."""

    n_tokens: tuple  # of each modality, in layout order
    # Probability that a sample or batch is masked. With "bernoulli", that a modality is
    # masked. Or one probability per modality.
    probability: float | tuple = 0.5
    policy: str = "uniform_size"  # as in `draw_subsets`
    # With "batch", samples share one draw. Samples that would lose all are not masked.
    dropout_level: str = "sample"

    def __call__(self, tokens, rng, batch=None):
        """Return the mask of the kept tokens, (n_samples, n_tokens)."""
        # batch: number of the batch of each sample; None draws per sample
        if self.dropout_level not in ("sample", "batch"):
            raise ValueError(
                "iterator_train__dropout_level must be 'sample' or 'batch'; got "
                f"{self.dropout_level!r}."
            )
        if not np.any(self.probability):
            return tokens
        starts = np.cumsum(self.n_tokens) - self.n_tokens
        present = drawn = np.logical_or.reduceat(tokens, starts, axis=1)
        per_batch = self.dropout_level == "batch" and batch is not None
        if per_batch:
            drawn = np.ones((batch.max() + 1, len(starts)), dtype=bool)
        if self.policy == "bernoulli":
            keep = draw_subsets(
                drawn, rng, policy="bernoulli", drop_probability=self.probability
            )
        else:
            keep = drawn.copy()
            masked = np.flatnonzero(rng.random_sample(len(drawn)) < self.probability)
            keep[masked] = draw_subsets(drawn[masked], rng, policy=self.policy)
        if per_batch:
            keep = present & keep[batch]
            keep = np.where(keep.any(axis=1, keepdims=True), keep, present)
        return tokens & np.repeat(keep, self.n_tokens, axis=1)


class Batches:
    """Iterates over slices of whole tensors, so that samples are not collated.

    Each block of the samples is shuffled. Samples at its end that do not fill a batch
    are put before the next block.
    """

    def __init__(self, samples, batch_size, masking=None, rng=None, observed=False):
        self.samples, self.batch_size = samples, batch_size
        self.masking, self.rng, self.observed = masking, rng, observed
        # Sizes are nearly equal, because a small last batch would be a noisy step.
        self.n_batches = -(-len(samples) // batch_size)

    def __iter__(self):
        # Positions behind the last sample of each batch.
        ends = np.arange(1, self.n_batches + 1) * len(self.samples)
        ends = -(-ends // self.n_batches)
        start, rest = 0, None
        for block in self.samples.blocks(self.rng):
            order = np.arange(len(block))
            if self.rng is not None:
                order = self.rng.permutation(len(block))
            if rest is not None:
                order = np.append(np.arange(len(rest)), len(rest) + order)
                block = rest.join(block)
            cuts = ends[(ends > start) & (ends <= start + len(block))] - start
            *batches, left = np.split(order, cuts)
            rest = block[torch.from_numpy(left).to(block.values.device)]
            yield from self._slices(block, batches)
            start += cuts[-1] if len(cuts) else 0

    def _slices(self, samples, batches):
        """Yield batches of samples at these positions."""
        present, device = samples.tokens, samples.values.device
        if self.masking is not None and batches:
            batch = np.full(len(samples), -1)
            for number, index in enumerate(batches):
                batch[index] = number
            drawn = batch >= 0
            tokens = present.cpu().numpy().copy()
            tokens[drawn] = self.masking(tokens[drawn], self.rng, batch[drawn])
            present = torch.from_numpy(tokens).to(device)
        for index in batches:
            index = torch.from_numpy(index).to(device)
            observed = samples.tokens[index]
            X = {"x": samples.values[index], "present": present[index]}
            if self.observed:
                X["observed"] = observed
            y = {"y": samples.targets[index], "weight": samples.weight[index]}
            yield X, {**y, "observed": observed}


def name_rarest(classes, counts, most=5):
    """Number of samples per class, the rarest first, for messages."""
    order = np.argsort(counts, kind="stable")[:most]
    named = str(dict(zip(classes[order].tolist(), counts[order].tolist())))
    return named + f" and {count(len(counts) - most, 'class', 'classes')} more" * (
        len(counts) > most
    )


def split_samples(n_samples, labels, classes, fraction, seed):
    """Positions of training and validation samples, stratified if there are labels."""
    least, wanted = 1, "1"
    if labels is not None:
        counts = np.bincount(labels, minlength=len(classes))
        lonely = classes[counts == 1].tolist()
        if lonely:
            raise ValueError(
                "with early_stopping=True, each class must have at least two samples, "
                "one for training and one for validation; got one sample of each of "
                f"{lonely}."
            )
        least = int((counts > 0).sum())
        wanted = (
            f"{least}, one of each class, and as many for validation; samples per "
            f"class: {name_rarest(classes, counts)}"
        )
    n_valid = max(int(np.ceil(fraction * n_samples)), least)
    if n_samples - n_valid < least:
        raise ValueError(
            f"validation_fraction={fraction} of {count(n_samples, 'sample')} leaves "
            f"{n_samples - n_valid} for training; it must leave at least {wanted}."
        )
    train, valid = train_test_split(
        np.arange(n_samples), test_size=n_valid, stratify=labels, random_state=seed
    )
    if labels is not None:
        valid, train = _lend(valid, train, labels)
        train, valid = _lend(train, valid, labels)
    return train, valid


def _lend(poor, rich, labels):
    """Move one sample per class that is only in `rich` to `poor`."""
    codes, first = np.unique(labels[rich], return_index=True)
    moved = first[~np.isin(codes, labels[poor])]
    return np.append(poor, rich[moved]), np.delete(rich, moved)


# ------------------------------------------------------------------------------ checks


def check_module(module, params):
    """Raise an error if this is not the class of a network with these parameters."""
    if not (isinstance(module, type) and issubclass(module, nn.Module)):
        kind = "" if isinstance(module, type) else "an instance of "
        name = (module if isinstance(module, type) else type(module)).__name__
        raise TypeError(
            f"module must be a subclass of torch.nn.Module; got {kind}{name}."
        )
    known = inspect.signature(module).parameters
    odd = [name for name in params if name not in known]
    if odd and all(p.kind is not p.VAR_KEYWORD for p in known.values()):
        known = [name for name in known if name not in ("shapes", "n_outputs")]
        raise TypeError(
            f"Parameters module__... must be those of {module.__name__}, {known}; got "
            f"{odd}."
        )


def check_size(values, layout, table):
    """Raise an error if squares of standardised values of new samples overflow."""
    if max(values.max(), -values.min()) > LARGEST:
        huge = np.flatnonzero((np.abs(values) > LARGEST).any(axis=0))
        raise ValueError(
            "Values of X must be closer to those of the training samples; squares "
            f"overflow in {count(len(huge), 'column')}: "
            f"{table.name_columns(layout.order[huge])}."
        )


# -------------------------------------------------------------------------------- loss


class FusionLoss(nn.Module):
    """Loss of the task, losses of the module, and consistency with more modalities."""

    def __init__(self, task, consistency=None, consistency_weight=None):
        super().__init__()
        if consistency not in (None, *CONSISTENCY_WEIGHTS):
            raise ValueError(
                f"criterion__consistency must be None or one of "
                f"{sorted(CONSISTENCY_WEIGHTS)}; got {consistency!r}."
            )
        is_number = isinstance(consistency_weight, Real)
        is_number = is_number and 0 <= consistency_weight < float("inf")
        if consistency_weight is not None and not is_number:
            raise ValueError(
                "criterion__consistency_weight must be None or a finite number >= 0; "
                f"got {consistency_weight!r}."
            )
        self.task, self.consistency = task, consistency
        if consistency_weight is None:
            consistency_weight = CONSISTENCY_WEIGHTS.get(consistency)
        self.consistency_weight = consistency_weight
        # Sums over the samples of an epoch, in training and in validation.
        self.sums = {"train": {}, "valid": {}}
        self.n_samples = {"train": 0, "valid": 0}

    def by_sample(self, logits, y):
        """Return the loss of each sample, shape (n_samples,)."""
        if self.task == "multiclass":
            return F.cross_entropy(logits, y, reduction="none")
        if self.task == "labels":
            loss = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
            return loss.sum(dim=1)
        return F.mse_loss(logits, y, reduction="none").mean(dim=1)

    def forward(self, output, target, fuller=None, same=None):
        """Return named terms whose sum is minimized."""
        # fuller: output with all observed modalities; same: mask of unhidden samples.
        if not hasattr(output, "logits"):
            raise TypeError(
                "forward of the module must return a FusionOutput; got "
                f"{type(output).__name__}. Return FusionOutput(logits)."
            )
        y, weight = target["y"], target["weight"]
        loss = self.by_sample(output.logits, y)
        terms = {"task": (loss * weight).mean(), **(output.losses or {})}
        if fuller is not None:
            full_loss = self.by_sample(fuller.logits, y)
            loss = self.by_sample(output.logits, y)
            gap = self.gap(fuller, output, full_loss, loss).masked_fill(same, 0.0)
            terms["fuller"] = (full_loss * weight).mean()
            terms["consistency"] = self.consistency_weight * gap.mean()
        return terms

    def gap(self, fuller, reduced, full_loss, loss):
        """Return the consistency loss of each sample."""
        if self.consistency == "ranking":  # the loss increases with more modalities
            return F.relu(full_loss - loss)
        if self.consistency == "align":
            if fuller.fused is None:
                raise ValueError(
                    "criterion__consistency='align' needs a module that returns "
                    "`fused`; got a FusionOutput without it."
                )
            return 1 - F.cosine_similarity(reduced.fused, fuller.fused.detach(), dim=1)
        teacher, student = fuller.logits.detach(), reduced.logits
        if self.task == "regression":
            return (teacher - student).square().mean(dim=1)
        if self.task == "labels":  # each label has two classes
            teacher, student = (
                torch.stack([z, torch.zeros_like(z)], dim=2) for z in (teacher, student)
            )
        teacher = F.log_softmax(teacher / TEMPERATURE, dim=-1)
        student = F.log_softmax(student / TEMPERATURE, dim=-1)
        divergence = F.kl_div(student, teacher, reduction="none", log_target=True)
        return TEMPERATURE**2 * divergence.flatten(1).sum(dim=1)


class FusionNet(NeuralNet):
    """The skorch net of the estimators, with several terms in the loss."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the sum of all terms in training, otherwise the loss of the task."""
        fuller = same = None
        if training and self.criterion_.consistency is not None:
            observed = y_true["observed"]
            fuller = self.module_(X["x"], observed)
            same = (X["present"] == observed).all(dim=1)
        terms = self.criterion_(y_pred, y_true, fuller, same)
        loss = sum(terms.values()) if training else terms["task"]
        part, size = "train" if training else "valid", len(y_true["y"])
        sums = self.criterion_.sums[part]
        for name, term in {**terms, "loss": loss}.items():
            sums[name] = sums.get(name, 0.0) + size * term.detach()
        self.criterion_.n_samples[part] += size
        return loss

    def on_train_begin(self, net, X=None, **kwargs):
        """Give the training samples to a module that keeps them."""
        if hasattr(self.module_, "set_bank"):
            if not isinstance(X, Samples):
                raise TypeError(
                    "X must be in memory for a module that keeps training samples "
                    "(set_bank); got a table that is read in pieces."
                )
            self.module_.set_bank(X.values, X.tokens, X.targets)

    def on_epoch_end(self, net, **kwargs):
        """Record the mean of each term, and raise an error if the loss diverges."""
        sums, n_samples = self.criterion_.sums, self.criterion_.n_samples
        self.terms_ = [name for name in sums["train"] if name != "loss"]
        for part in ("train", "valid"):
            for name, total in sums[part].items():
                mean = float(total) / n_samples[part]
                self.history.record(f"{part}_{name}", mean)
            sums[part], n_samples[part] = {}, 0
        loss = self.history[-1, "train_loss"]
        if not np.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss is {loss} in epoch {len(self.history)}. "
                f"A smaller lr than {self.lr} may help."
            )


# --------------------------------------------------------------------------- callbacks


class ScoreEpoch(Callback):
    """Records the validation score: `monitor(net)`, or the negative loss if None."""

    def __init__(self, monitor=None):
        self.monitor = monitor

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        """Compute the score."""
        if self.monitor is None:
            score = -net.history[-1, "valid_loss"]
        else:
            score = float(self.monitor(net))
        if np.isnan(score):
            raise ValueError(
                f"The score of the {count(len(dataset_valid), 'validation sample')} is "
                f"NaN in epoch {len(net.history)}. A larger validation_fraction or "
                "another scoring may help."
            )
        net.history.record("valid_score", score)


class ReportEpoch(Callback):
    """Reports each epoch as a part of the fit, and stops if that is wanted."""

    def __init__(self, task):
        self.task, self.stops = task, False

    def on_epoch_begin(self, net, **kwargs):
        """Begin the part."""
        self.epoch = self.task.part("epoch")

    def on_epoch_end(self, net, **kwargs):
        """End the part, of which the net is the result."""
        self.stops = self.epoch.end(lambda: net)
        if self.stops:
            raise KeyboardInterrupt  # as skorch's early stopping


def report_epochs(task):
    """List of the callback that reports to a task, empty if that does nothing."""
    return [ReportEpoch(task)] if task else []


def learning_rate(step, n_steps):
    """Factor of the learning rate: linear warm-up, then polynomial decay to 0."""
    warm_up = WARM_UP * n_steps
    rise = WARM_UP_START + (1 - WARM_UP_START) * step / max(warm_up, 1)
    left = (n_steps - step) / max(n_steps - warm_up, 1)
    return min(rise, left**DECAY_POWER)


# ---------------------------------------------------------------------------- the loop


def make_net(
    module,
    *,
    samples,
    valid=None,
    masking=None,
    rng=None,
    observed=False,
    monitor=None,
    patience=10,
    callbacks=None,
    task=NO_TASK,
    **params,
):
    """Return a skorch net. The user's callbacks replace ours of the same class."""
    n_steps = params["max_epochs"] * Batches(samples, params["batch_size"]).n_batches
    own = [
        GradientNormClipping(GRAD_CLIP),
        LRScheduler(
            torch.optim.lr_scheduler.LambdaLR,
            lr_lambda=partial(learning_rate, n_steps=n_steps),
            step_every="batch",
        ),
    ]
    scores = []
    if valid is not None:
        scores.append(("valid_score", ScoreEpoch(monitor)))
        stop = {"patience": patience, "threshold": 0, "lower_is_better": False}
        own.append(EarlyStopping("valid_score", load_best=True, sink=noop, **stop))
    # Before early stopping, which ends the epoch in which it stops.
    scores += report_epochs(task)
    given = list(callbacks or ())
    taken = [c[1] if isinstance(c, tuple) and len(c) == 2 else c for c in given]
    for entry, callback in zip(given, taken):
        if callback is not None and not hasattr(callback, "set_params"):
            raise TypeError(f"callbacks must be callbacks of skorch; got {entry!r}.")
    taken = tuple(c if isinstance(c, type) else type(c) for c in taken)
    own = [c for c in own if not any(issubclass(t, type(c)) for t in taken)]
    return FusionNet(
        module,
        FusionLoss,
        iterator_train=Batches,
        iterator_train__masking=masking,
        iterator_train__rng=rng,
        iterator_train__observed=observed,
        iterator_valid=Batches,
        iterator_valid__batch_size=VALID_BATCH,
        train_split=None if valid is None else predefined_split(valid),
        callbacks=[*scores, *own, *given],
        **DISABLED,
        **params,
    )


def fit_net(net, dataset, *, seed, n_rows=None):
    """Train a skorch net with its own random numbers, seeded by `seed`."""
    # Small steps use one thread. `n_rows` is the approximate number of rows per step.
    device = torch.device(net.device)
    with seeded(seed, device), torch.enable_grad():
        with single_precision():
            net.initialize()
        net.notify("on_train_begin", X=dataset)
        n_weights = sum(weight.numel() for weight in net.module_.parameters())
        work = SMALL_WORK if n_rows is None else n_rows * n_weights
        try:
            with few_threads(work, device):
                net.fit_loop(dataset)
        except KeyboardInterrupt:  # by Ctrl-C or early stopping
            known = [c for _, c in net.callbacks_]
            stops = [c for c in known if isinstance(c, EarlyStopping)]
            asked = any(c.stops for c in known if isinstance(c, ReportEpoch))
            if not asked and not any(stop.misses_ == stop.patience for stop in stops):
                raise
        net.notify("on_train_end", X=dataset)


def arrays_of(module):
    """State of a module as numpy arrays."""
    return {name: w.cpu().numpy().copy() for name, w in module.state_dict().items()}


def load_module(module, params, weights):
    """Make an instance of `module` with these weights."""
    if not issubclass(module, nn.Module):  # an altered file may have another type
        raise TypeError(f"module must be a subclass of torch.nn.Module; got {module}.")
    with seeded(0, torch.device("cpu")), single_precision():
        module = module(**params)
    state = {name: torch.from_numpy(w.copy()) for name, w in weights.items()}
    module.load_state_dict(state)
    return module


def make_predictor(module, task, history, device):
    """Skorch net for predictions, in float64 to be independent of other samples."""
    net = FusionNet(
        module.double().eval(), FusionLoss(task), callbacks="disable", device=device,
        train_split=None, verbose=0,
    )  # fmt: skip
    net.initialize()
    net.history = History(history)
    return net
