"""All skorch glue: one training loop for every neural estimator.

Nothing here knows of columns, targets or scikit-learn estimators: tensors and a module
go in, weights as numpy arrays and a history of plain numbers come out.
"""

import contextlib
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from skorch import NeuralNet
from skorch.history import History
from torch import nn

from skmissing._torch import Making, seeded
from skmissing.fusion._consistency import Consistency
from skmissing.fusion._device import few_threads
from skmissing.fusion._masking import Masking
from skmissing.fusion._rows import Batches

GRAD_CLIP = 1.0
WARM_UP = 0.1  # share of the steps in which the learning rate rises ...
WARM_UP_START = 0.1  # ... from this fraction of it
DECAY_POWER = 0.9
VALID_BATCH = 1024
# Sizes up to this may be those of a part that the network does not have.
MOST_UNUSED = 1 << 16

OPTIMIZERS = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
}


class TaskLoss(nn.Module):
    """Weighted mean of the rows' losses.

    Parameters
    ----------
    task : {"multiclass", "labels", "regression"}
        Cross-entropy; binary cross-entropy summed over labels (one for two classes);
        squared error, the mean over targets.
    """

    def __init__(self, task):
        super().__init__()
        self.task = task

    def by_row(self, logits, y):
        """Loss of each row, shape (n_rows,)."""
        if self.task == "multiclass":
            return F.cross_entropy(logits, y, reduction="none")
        if self.task == "labels":
            loss = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
            return loss.sum(dim=1)
        return F.mse_loss(logits, y, reduction="none").mean(dim=1)

    def forward(self, output, target):
        """Named terms whose sum is minimised; validation looks at `"task"` only.

        Parameters
        ----------
        output : FusionOutput
        target : dict of Tensor
            `"y"`, `"weight"`, and `"observed"`: the tokens that are really there,
            also where training masked them.

        Returns
        -------
        dict of str to Tensor
        """
        loss = self.by_row(output.logits, target["y"]) * target["weight"]
        return {"task": loss.mean()}


class TrainingDone(Exception):
    """Ends the loop early."""


class FusionNet(NeuralNet):
    """The skorch net behind the estimators: whole tensors in, no callbacks.

    Parameters
    ----------
    module, criterion, **kwargs
        As for :class:`skorch.NeuralNet`.
    n_steps : int or None
        Training steps over which the learning rate rises and falls; None keeps it.
    patience : int or None
        End training after so many epochs without a better validation score.
    monitor : callable or None
        Takes the validation rows' logits, returns a score to be maximised. None
        minimises the validation loss.
    consistency : Consistency or None
        Ties what is made of all that a row has to what is made of the part shown.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        n_steps=None,
        patience=None,
        monitor=None,
        consistency=None,
        **kwargs,
    ):
        super().__init__(module, criterion, **kwargs)
        self.consistency = consistency
        self.n_steps = n_steps
        self.patience = patience
        self.monitor = monitor

    @property
    def n_weights(self):
        """Number of weights of the module."""
        return sum(weight.numel() for weight in self.module_.parameters())

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Forget an earlier run."""
        self.step_, self.terms_, self.valid_logits_ = 0, {}, None
        self.parameters_ = [weight for _, weight in self.get_all_learnable_params()]
        self.best_score_, self.best_epoch_, self.best_state_ = -np.inf, 0, None

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Sum of the criterion's terms; in validation, the task's term alone."""
        terms = self.criterion_(y_pred, y_true)
        if training and self.consistency is not None:
            fuller = self.infer({"x": X["x"], "present": y_true["observed"]})
            terms |= self.consistency.terms(fuller, y_pred, y_true, self.criterion_)
        self.terms_ = {name: term.detach() for name, term in terms.items()}
        if training:
            self.terms_["loss"] = loss = sum(terms.values())
            return loss
        return terms["task"]

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go through the batches once; record the mean of each term, once."""
        if iterator is None:
            return
        totals, logits, n_rows = {}, [], 0
        for batch in iterator:
            if training:
                self._set_learning_rate()
            step = step_fn(batch, **fit_params)
            size = len(batch[0]["x"])
            n_rows += size
            for name, term in self.terms_.items():
                totals[name] = totals.get(name, 0.0) + size * term.detach()
            if not training:
                logits.append(step["y_pred"].logits)
        for name, total in totals.items():
            self.history.record(f"{prefix}_{name}", float(total) / n_rows)
        if not training:
            self.valid_logits_ = torch.cat(logits)

    def _set_learning_rate(self):
        """Linear warm-up, then polynomial decay to 0."""
        if self.n_steps is not None:
            warm_up = WARM_UP * self.n_steps
            rise = WARM_UP_START + (1 - WARM_UP_START) * self.step_ / max(warm_up, 1)
            left = (self.n_steps - self.step_) / max(self.n_steps - warm_up, 1)
            for group in self.optimizer_.param_groups:
                group["lr"] = self.lr * min(rise, left**DECAY_POWER)
        self.step_ += 1

    def _set_training(self, training=True):
        """Walk through the modules only if the mode changes."""
        if self.module_.training != training:
            super()._set_training(training)

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Clip the norm of the gradient."""
        nn.utils.clip_grad_norm_(self.parameters_, GRAD_CLIP)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Check the loss, keep the best weights, stop when they grow old."""
        epoch, record = len(self.history), self.history[-1]
        del record["batches"]
        if not np.isfinite(record["train_loss"]):
            raise ValueError(
                f"Training diverged: the loss is {record['train_loss']} in epoch "
                f"{epoch}. A smaller lr than {self.lr} may help."
            )
        if dataset_valid is not None:
            self._score_epoch(epoch, record)
        if self.verbose:
            self._report(epoch, record)
        if self.patience is not None and epoch - self.best_epoch_ >= self.patience:
            raise TrainingDone

    def _score_epoch(self, epoch, record):
        if self.monitor is None:
            record["valid_score"] = score = -record["valid_task"]
        else:
            record["valid_score"] = score = float(self.monitor(self.valid_logits_))
        if np.isnan(score):
            raise ValueError(
                f"The score of the {len(self.valid_logits_)} validation rows is NaN in "
                f"epoch {epoch}; a larger validation_fraction or another scoring may "
                "help."
            )
        if score > self.best_score_:
            state = self.module_.state_dict()
            self.best_state_ = {name: w.clone() for name, w in state.items()}
            self.best_score_, self.best_epoch_ = score, epoch

    def _report(self, epoch, record):
        line = f"epoch {epoch}/{self.max_epochs}: loss {record['train_loss']:.4g}"
        if "valid_score" in record:
            line += f", validation score {record['valid_score']:.4g}"
            line += " (best so far)" if self.best_epoch_ == epoch else ""
        print(line)


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a net anew: classes and arguments, no tensors.

    Attributes
    ----------
    module : type
        Its instances take `x` and `present`, and return a `FusionOutput`.
    module_params : dict
    criterion : type
        Its instances take that output and a dict of targets, and return named terms.
    criterion_params : dict
    """

    module: type
    module_params: dict
    criterion: type
    criterion_params: dict = field(default_factory=dict)

    def make_net(self, module=None, **params):
        """An uninitialised net, with a module of its own or the one given."""
        if module is None:
            module = self.module
            params |= {f"module__{k}": value for k, value in self.module_params.items()}
        return FusionNet(
            module,
            self.criterion,
            callbacks="disable",
            **{f"criterion__{k}": value for k, value in self.criterion_params.items()},
            **params,
        )

    def make_module_without_room(self):
        """A module whose weights have a shape and take no memory."""
        with Making(device="meta"):
            return self.module(**self.module_params)


@dataclass(frozen=True)
class Training:
    """How a net is trained.

    Attributes
    ----------
    optimizer : {"adam", "adamw", "sgd"}
    lr, weight_decay : float
    batch_size, max_epochs : int
    patience : int or None
        None trains for all epochs and keeps the last weights.
    masking : Masking
    device : torch.device
    verbose : int
    consistency : Consistency or None
    """

    optimizer: str
    lr: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int | None
    masking: Masking
    device: torch.device
    verbose: int = 0
    consistency: Consistency | None = None

    def net_params(self, n_batches, rng):
        """Arguments for a net that is to be trained."""
        optimizer, extra = OPTIMIZERS[self.optimizer]
        # One call for all weights; on the CPU torch knows how from 2.4 on.
        fused = self.device.type == "cuda" or torch.__version__ >= "2.4"
        extra = {**extra, "weight_decay": self.weight_decay, "fused": fused}
        return {
            "optimizer": optimizer,
            **{f"optimizer__{name}": value for name, value in extra.items()},
            "lr": self.lr,
            "max_epochs": self.max_epochs,
            "n_steps": n_batches * self.max_epochs,
            "patience": self.patience,
            "batch_size": self.batch_size,
            "iterator_train": Batches,
            "iterator_train__masking": self.masking,
            "iterator_train__rng": rng,
            "iterator_valid": Batches,
            "iterator_valid__batch_size": VALID_BATCH,
            "device": self.device,
            "verbose": self.verbose,
            "consistency": self.consistency,
        }


@dataclass(frozen=True)
class Trained:
    """What training leaves behind.

    Attributes
    ----------
    weights : dict of str to ndarray
        The state of the module, float32.
    history : list of dict
        One record of plain numbers an epoch.
    best_epoch : int
        The epoch, from 1 on, that the weights are from.
    """

    weights: dict
    history: list
    best_epoch: int


def train(architecture, training, rows, valid_rows=None, *, monitor=None, seed=0):
    """Train a net.

    Parameters
    ----------
    architecture : Architecture
    training : Training
    rows : TokenRows
    valid_rows : TokenRows or None
        Masked already, once and for all.
    monitor : callable or None
        As for :class:`FusionNet`; it is handed the net first: `monitor(net, logits)`.
    seed : int
        Decides the initial weights, dropout, the order of rows and their masks.

    Returns
    -------
    Trained
        Of the epoch with the best validation score, if there are validation rows.
    """
    rng = np.random.RandomState(seed)
    n_batches = len(Batches(rows, training.batch_size))
    net = architecture.make_net(
        **training.net_params(n_batches, rng),
        train_split=None if valid_rows is None else lambda *_: (rows, valid_rows),
    )
    if monitor is not None:
        net.monitor = partial(monitor, net)
    with seeded(seed, training.device), torch.enable_grad():
        with Making(dtype=torch.float32):
            net.initialize()
        net.notify("on_train_begin")
        work = net.n_weights * rows.tokens.shape[1] * training.batch_size
        # Not net.fit, which takes Ctrl-C for a wish to go on without a word.
        with few_threads(work, training.device), contextlib.suppress(TrainingDone):
            net.fit_loop(rows)
    state = net.module_.state_dict() if valid_rows is None else net.best_state_
    weights = {name: value.cpu().numpy() for name, value in state.items()}
    best = len(net.history) if valid_rows is None else net.best_epoch_
    return Trained(weights, list(net.history), best)


def load(architecture, trained, device):
    """Build a net for predictions, in float64.

    In single precision the result for a row would depend, in its last digits, on how
    many rows are computed together.

    Parameters
    ----------
    architecture : Architecture
    trained : Trained
    device : torch.device

    Returns
    -------
    FusionNet
    """
    # Without initial weights there are no random numbers to wait for while another
    # thread trains.
    module = architecture.make_module_without_room()
    weights = {k: torch.from_numpy(v.copy()) for k, v in trained.weights.items()}
    module.load_state_dict(weights, assign=True)
    net = architecture.make_net(
        module.double().eval(), device=device, train_split=None, verbose=0
    )
    net.initialize()
    net.history = History(trained.history)
    return net


def check_trained(architecture, trained):
    """Compare weights with the architecture, without making room for any.

    Parameters
    ----------
    architecture : Architecture
    trained : Trained

    Raises
    ------
    ValueError
        If the names, shapes or types of the weights are others, or if the
        architecture cannot be built.
    """
    weights, params = trained.weights, architecture.module_params
    most = max(MOST_UNUSED, sum(w.size for w in weights.values()))
    for name, value in params.items():
        limit = len(weights) if name == "n_layers" else most
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(number, int) and not 1 <= number <= limit:
                raise ValueError(
                    f"{name}={value!r} does not fit {len(weights)} arrays of "
                    f"{most} weights."
                )
    try:
        module = architecture.make_module_without_room()
        architecture.criterion(**architecture.criterion_params)
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as exc:
        raise ValueError(f"the network cannot be built from {params}: {exc}") from exc
    wanted = {name: tuple(w.shape) for name, w in module.state_dict().items()}
    found = {name: w.shape for name, w in weights.items()}
    differing = sorted(set(wanted.items()) ^ set(found.items()))
    if differing:
        raise ValueError(f"weights: names or shapes differ in {differing[:4]}.")
    if wrong := sorted({str(w.dtype) for w in weights.values()} - {"float32"}):
        raise ValueError(f"weights: wanted float32; found {wrong}.")
