"""Imputation by autoencoders that are trained with hidden modalities."""

from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from torch import Tensor, nn

from skmissing._blocks import fit_scaler, row_chunks
from skmissing._compat import Interval
from skmissing._docs import shared_docs
from skmissing._torch import resolve_device
from skmissing.fusion._training import (
    DISABLED,
    GRAD_CLIP,
    OPTIMIZERS,
    Masking,
    arrays_of,
    fit_net,
    learning_rate,
    load_module,
    report_epochs,
)
from skmissing.impute._base import MOST_DEVIATIONS, BaseModalityImputer

# ---------------------------------------------------------------------------- training


class Reconstruction(NamedTuple):
    """Output of an autoencoder."""

    made: Tensor  # (n_samples, n_columns)
    log_variance: Tensor  # of the noise, 0 or (n_columns,)
    divergence: Tensor | float = 0.0  # of the latent variables, (n_samples,)


@dataclass(eq=False)
class Cells(torch.utils.data.Dataset):
    """Standardised samples without labels."""

    values: np.ndarray  # (n_samples, n_columns), 0 where missing
    observed: np.ndarray  # mask of the same shape
    presence: np.ndarray  # (n_samples, n_modalities)
    owner: np.ndarray  # (n_columns,), number of the modality

    def __len__(self):
        return len(self.values)


class MaskedBatches:
    """Iterates over shuffled batches in which random modalities are hidden."""

    def __init__(self, cells, batch_size, rng, probability):
        self.cells, self.rng = cells, rng
        self.n_batches = -(-len(cells) // batch_size)
        self.masking = Masking((1,) * cells.presence.shape[1], probability)

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        cells = self.cells
        for part in np.array_split(self.rng.permutation(len(cells)), self.n_batches):
            values, observed = cells.values[part], cells.observed[part]
            kept = self.masking(cells.presence[part], self.rng)
            X = {"x": values * kept[:, cells.owner], "present": kept}
            X = {name: torch.from_numpy(array) for name, array in X.items()}
            yield X, (torch.from_numpy(values), torch.from_numpy(observed))


class CellLoss(nn.Module):
    """Negative log-likelihood of the observed cells, also of hidden modalities."""

    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.as_tensor(factor, dtype=torch.float32))

    def forward(self, output, target):
        """Return the mean over samples."""
        made, log_variance, divergence = output
        values, observed = target
        loss = (made - values).square() * torch.exp(-log_variance) + log_variance
        loss = (0.5 * loss * self.factor).masked_fill(~observed, 0.0).sum(dim=1)
        return (loss + divergence).mean()


class RecordLoss(Callback):
    """Record the mean loss of an epoch, and raise an error if it diverges."""

    def on_epoch_end(self, net, **kwargs):
        """Record the mean."""
        batches = net.history[-1, "batches", :, ("train_loss", "train_batch_size")]
        losses, sizes = zip(*batches)
        loss = float(np.average(losses, weights=sizes))
        net.history.record("train_loss", loss)
        if not np.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss is {loss} in epoch {len(net.history)}. A "
                f"smaller lr than {net.lr} may help."
            )


# --------------------------------------------------------------------------- estimator


@shared_docs
class BaseAutoencoderImputer(BaseModalityImputer):
    """Base of imputers by an autoencoder `_module` with parameters `_sizes()`.

    Parameters
    ----------
    modality_dropout : float, default=0.5
        Probability that modalities of a sample are hidden in a training step. Their
        number is then uniform, and at least one modality stays.
    max_epochs : int, default=100
        Number of passes over the training samples.
    batch_size : int, default=64
        Number of samples per training step.
    lr : float, default=1e-3
        Largest learning rate. It rises at first, and then falls to 0.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batches, hidden modalities and draws.

    Attributes
    ----------
    loss_curve_ : list of float
        Training loss of each epoch.
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for samples in which nothing is observed.
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "modality_dropout": [Interval(Real, 0, 1, closed="both")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    # Whether modalities count equally in the loss, instead of columns.
    _equal_modalities = False

    def _fit_imputer(self, table):
        sizes = self._sizes()
        if not table.has_any.any():
            raise ValueError("X must have an observed cell; got none.")
        layout, rng = table.layout, check_random_state(self.random_state)
        self._seed = int(rng.randint(np.iinfo(np.int32).max))
        self._scaler = fit_scaler(table).centered()
        training, presence = table[table.has_any], table.presence.astype(float)
        # Modalities that were never observed together do not predict each other.
        self._linked = presence.T @ presence > 0
        width = layout.widths[layout.owner] if self._equal_modalities else 1
        sizes = {"widths": layout.widths.tolist(), **sizes}
        self._weights, self.loss_curve_ = train(
            self._module,
            sizes,
            Cells(*self._cells(training), training.presence, layout.owner),
            np.ones(len(layout.owner)) / width,
            task=self._fit_task.begin(self.max_epochs),
            seed=self._seed,
            **{name: getattr(self, name) for name in TRAINING},
        )
        self._kept_sizes = sizes
        return self._scaler.column_mean

    def _cells(self, table, dtype=np.float32):
        """Standardised cells in layout order without outliers, and observed cells."""
        order, scaler = table.layout.order, self._scaler
        values = ((table.X - scaler.mean) / scaler.scale)[:, order]
        observed = ~np.isnan(values)
        np.clip(values, -MOST_DEVIATIONS, MOST_DEVIATIONS, out=values)
        return np.where(observed, values, 0).astype(dtype), observed

    def _compute(self, table, function):
        """Arrays in units and columns of X, from `function(module, x, present)`."""
        device = resolve_device(self.device)
        kind = torch.float32 if device.type == "mps" else torch.float64
        module = load_module(self._module, self._kept_sizes, self._weights)
        module = module.eval().to(device, kind)
        values, _ = self._cells(table, np.float64)
        made = np.empty_like(values)
        with torch.inference_mode():
            for chunk in row_chunks(*values.shape):
                x = torch.from_numpy(values[chunk]).to(device, kind)
                present = torch.from_numpy(table.presence[chunk]).to(device)
                made[chunk] = function(module, x, present, table.X[chunk]).cpu().numpy()
        out = np.empty_like(made)
        out[:, table.layout.order] = made
        return out * self._scaler.scale

    def _unreached(self, table):
        """Mask of cells of modalities that no observed modality predicts."""
        reached = table.presence @ self._linked
        return ~reached[:, table.layout.column_owner]

    def _impute(self, table):
        values = self._compute(table, self._decode) + self._scaler.mean
        values[self._unreached(table)] = np.nan
        return values.astype(table.dtype)

    def _decode(self, module, x, present, X):
        return module(x, present).made


TRAINING = (
    "modality_dropout", "max_epochs", "batch_size", "lr", "device", "verbose",
)  # fmt: skip


def train(
    module, sizes, cells, factor, *,
    modality_dropout, max_epochs, batch_size, lr, device, verbose, seed, task,
):  # fmt: skip
    """Train an autoencoder; return its weights and the losses."""
    optimizer, params = OPTIMIZERS["adamw"]
    n_batches = -(-len(cells) // batch_size)
    schedule = partial(learning_rate, n_steps=max_epochs * n_batches)
    net = NeuralNet(
        module,
        CellLoss,
        criterion__factor=factor,
        **{f"module__{name}": size for name, size in sizes.items()},
        optimizer=optimizer,
        **{f"optimizer__{name}": value for name, value in params.items()},
        lr=lr,
        max_epochs=max_epochs,
        iterator_train=MaskedBatches,
        iterator_train__batch_size=batch_size,
        iterator_train__rng=np.random.RandomState(seed),
        iterator_train__probability=modality_dropout,
        train_split=None,
        callbacks=[
            RecordLoss(),
            *report_epochs(task),
            LRScheduler(
                torch.optim.lr_scheduler.LambdaLR,
                lr_lambda=schedule,
                step_every="batch",
            ),
            GradientNormClipping(GRAD_CLIP),
        ],
        **DISABLED,
        device=resolve_device(device),
        verbose=verbose,
    )
    fit_net(net, cells, seed=seed, n_rows=batch_size)
    return arrays_of(net.module_), net.history[:, "train_loss"]


def perceptron(*widths):
    """Linear layers with GELU between them."""
    layers = [nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
    pairs = [part for layer in layers for part in (layer, nn.GELU())]
    return nn.Sequential(*pairs[:-1])


class CascadedAutoencoder(nn.Module):
    """Autoencoders in sequence. Each one corrects the output of those before it."""

    def __init__(self, widths, hidden_dims, n_blocks):
        super().__init__()
        outer, code = sum(widths), hidden_dims[:-1]
        inner = outer + len(widths), *hidden_dims, *reversed(code), outer
        self.blocks = nn.ModuleList(perceptron(*inner) for _ in range(n_blocks))

    def forward(self, x, present):  # (B, D) with 0 where missing, (B, M)
        """Return the input plus the corrections of all blocks."""
        present = present.to(x.dtype)
        for block in self.blocks:
            x = x + block(torch.cat([x, present], dim=1))
        return Reconstruction(x, x.new_zeros(()))


@shared_docs
class AutoencoderImputer(BaseAutoencoderImputer):
    """Impute missing modalities by a cascaded residual autoencoder.

    An autoencoder of all modalities learns to reconstruct modalities that are hidden in
    training. Training samples may be incomplete. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    hidden_dims : tuple of int, default=(128, 64, 32)
        Widths of the layers of each encoder. Its decoder has them in reverse order.
    n_blocks : int, default=3
        Number of autoencoders in the cascade.
    %(modalities)s
    %(modality_dropout, max_epochs, batch_size, lr, device)s
    %(add_indicator, keep_empty_features)s
    %(random_state, verbose)s

    Attributes
    ----------
    %(loss_curve_, statistics_)s
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `hidden_dims` has no positive integers, or if training diverges.

    See Also
    --------
    skmissing.impute.RegressionImputer : A linear model of the same, often better.

    Notes
    -----
    Let :math:`x_0` be the standardised sample with zeros in missing cells, and p the
    mask of observed modalities. Block b computes :math:`x_b = x_{b-1} + f_b(x_{b-1},
    p)`, and the loss is the mean squared error of :math:`x_B` in all observed cells,
    also the hidden ones. Modalities count equally, whatever their width.

    In [1]_, training samples are complete, and the blocks do not see the mask, so they
    cannot distinguish a missing cell from one at the mean. Cells are clipped to four
    standard deviations. A modality is imputed with the mean if it was never observed
    together with one of the observed modalities.

    References
    ----------
    .. [1] L. Tran, X. Liu, J. Zhou and R. Jin, "Missing Modalities Imputation via
       Cascaded Residual Autoencoder", CVPR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.fusion import AutoencoderImputer
    >>> a = np.random.RandomState(0).standard_normal(200)
    >>> X = np.column_stack([a, 2 * a, a > 0])
    >>> X[:50, 0] = X[50:100, 1] = np.nan
    >>> imputer = AutoencoderImputer(max_epochs=50, random_state=0).fit(X)
    >>> bool(abs(imputer.transform([[1.0, np.nan, 1.0]])[0, 1] - 2) < 0.5)
    True
    """

    _parameter_constraints: dict = {
        **BaseAutoencoderImputer._parameter_constraints,
        "hidden_dims": [list, tuple],
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
    }
    _module, _equal_modalities = CascadedAutoencoder, True

    def __init__(
        self,
        hidden_dims=(128, 64, 32),
        *,
        n_blocks=3,
        modalities=None,
        modality_dropout=0.5,
        max_epochs=100,
        batch_size=64,
        lr=1e-3,
        device="auto",
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
        verbose=0,
    ):
        self.hidden_dims = hidden_dims
        self.n_blocks = n_blocks
        self.modalities = modalities
        self.modality_dropout = modality_dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    def _sizes(self):
        dims = list(self.hidden_dims)
        if not dims or not all(isinstance(d, Integral) and d >= 1 for d in dims):
            raise ValueError(
                "hidden_dims must be one or more positive integers; got "
                f"{self.hidden_dims!r}."
            )
        return {"hidden_dims": [int(d) for d in dims], "n_blocks": int(self.n_blocks)}
