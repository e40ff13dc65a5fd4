"""Learns to encode signals with an autoencoder (stage 0 of UL4M4)."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from torch import nn

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._blocks import row_chunks
from skmissing._compat import Interval, _check_feature_names_in
from skmissing._docs import shared_docs
from skmissing._modalities import Modality, ModalityLayout
from skmissing._table import ModalityTable
from skmissing._torch import resolve_device
from skmissing.fusion._training import DISABLED, arrays_of, fit_net, report_epochs

# Values in the largest feature map of one forward pass.
CHUNK_VALUES = 1 << 23
# Number of positions to which the last feature map is reduced, for any length.
N_BINS = 16
GRAD_CLIP = 1.0


@shared_docs
class SignalEncoder(ModalityMixin, TransformerMixin, SkmissingEstimator):
    """Learn to encode signals with an autoencoder, without labels.

    Each modality is a channel, with one time point per column. One convolutional
    autoencoder is trained on all observed channels of the training samples. Its encoder
    then maps each observed channel to a vector. Missing channels stay missing.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    latent_dim : int, default=128
        Width of the embedding of a channel.
    modalities : None, list of int, or dict, default=None
        Columns of each channel. A list is the lengths of the channels, from left to
        right. A dict maps each name to a length, a slice, a list of columns, or
        `(n_channels, length)` for several consecutive channels. None groups columns
        named `channel__time` by their prefix.
    channels : tuple of int, default=(32, 64, 128)
        Number of output channels of each convolution.
    kernel_size : int, default=7
        Size of the kernels, an odd number.
    pool_size : int, default=4
        Factor by which pooling shortens a signal after each convolution.
    max_epochs : int, default=30
        Number of passes over the signals.
    batch_size : int, default=128
        Number of signals per training step.
    lr : float, default=1e-3
        Initial learning rate. It decreases to 0 with a cosine schedule.
    %(device)s
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights and of the order of the signals.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    channels_ : ModalityLayout
        The channels, by name. The channels of a modality `ecg` of the form
        `(n_channels, length)` are `ecg0`, `ecg1` and so on.
    mean_ : ndarray of shape (n_channels,)
        Mean of each channel. NaN if no sample has it.
    scale_ : ndarray of shape (n_channels,)
        Standard deviation of each channel.
    loss_curve_ : list of float
        Mean squared error of the reconstruction in each epoch, relative to the
        variances of the channels.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If no sample has an observed channel.

    See Also
    --------
    AudioEncoder : Encodes sound by a pretrained model.
    skmissing.impute.ClusterGuidedImputer : Completes missing channels.

    Notes
    -----
    The network and its training follow stage 0 of UL4M4 [1]_. Batch normalisation, GELU
    and max pooling follow each convolution. The last feature map is averaged to 16
    positions and mapped to the latent vector. The decoder mirrors the encoder with
    linear interpolation. The loss is the mean squared error, minimised by Adam with a
    cosine schedule and clipped gradients. The sizes of the network are those of the
    paper, except for `pool_size`, which the paper does not report.

    Each channel is standardised by one mean and one standard deviation. Channels may
    differ in length. A missing cell of an observed channel is set to the mean of the
    channel and excluded from the loss. `transform` computes in the precision of X,
    except on Apple's GPU, which has no double precision.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.encoders import SignalEncoder
    >>> X = np.sin(np.arange(20)[:, None] * np.arange(100) / 50)
    >>> X[0, 50:] = np.nan
    >>> encoder = SignalEncoder(
    ...     4, modalities={"left": 50, "right": 50}, max_epochs=2, random_state=0
    ... )
    >>> encoder.fit_transform(X).shape
    (20, 8)
    >>> encoder.get_feature_names_out()[[0, 4]]
    array(['left__0', 'right__0'], dtype=object)
    >>> np.isnan(encoder.transform(X)[0])
    array([False, False, False, False,  True,  True,  True,  True])
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "channels": [tuple, list],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        latent_dim=128,
        *,
        modalities=None,
        channels=(32, 64, 128),
        kernel_size=7,
        pool_size=4,
        max_epochs=30,
        batch_size=128,
        lr=1e-3,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.latent_dim = latent_dim
        self.modalities = modalities
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals, with concatenated channels. NaN and masked cells are missing.
        %(y)s

        Returns
        -------
        %(self)s
        """
        table = self._validate(X, reset=True)
        self._check_params()
        rng = check_random_state(self.random_state)
        self.channels_ = ModalityLayout(_split_channels(self.modalities_))
        table = self._by_channel(table)
        seen = table.presence.any(axis=0)
        if not seen.any():
            raise ValueError(
                "X must have at least one observed channel; all channels of all "
                f"{len(table)} samples are missing."
            )
        table.warn_never_observed(seen, "they are encoded as missing")
        self._fit_scale(table.X)
        self._sizes = (
            int(self.latent_dim),
            tuple(int(n) for n in self.channels),
            int(self.kernel_size),
            int(self.pool_size),
        )
        self._weights, self.loss_curve_ = train_autoencoder(
            Signals(*self._signals(table)),
            self._sizes,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            device=self.device,
            seed=int(rng.randint(2**31 - 1)),
            verbose=self.verbose,
            task=self._fit_task.begin(self.max_epochs),
        )
        return self

    def _check_params(self):
        if self.kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd; got {self.kernel_size}.")
        good = [isinstance(n, Integral) and n >= 1 for n in self.channels]
        if not good or not all(good):
            raise ValueError(
                f"`channels` must be one or more positive ints; got {self.channels!r}."
            )

    def _by_channel(self, table):
        """Return a table in which each channel is a modality."""
        return ModalityTable(
            table.X,
            self.channels_,
            feature_names=table.feature_names,
            owner=table.owner,
        )

    def _fit_scale(self, X):
        n_channels = len(self.channels_)
        self.mean_, self.scale_ = np.full(n_channels, np.nan), np.ones(n_channels)
        for c in range(n_channels):
            block = X[:, self.channels_.columns[c]]
            values = block[~np.isnan(block)].astype(np.float64)
            if values.size:
                self.mean_[c], deviation = values.mean(), values.std()
                # Because of rounding, a constant channel has a small deviation.
                if deviation > 10 * np.finfo(X.dtype).eps * abs(self.mean_[c]):
                    self.scale_[c] = deviation

    def _scaled(self, values, channel):
        """Return standardised signals, and the mask of observed cells."""
        mean = self.mean_[channel].reshape(-1, 1)
        values = (values - mean) / self.scale_[channel].reshape(-1, 1)
        observed = ~np.isnan(values)
        values[~observed] = 0.0
        return values, observed

    def _signals(self, table):
        """Return the number of signals of each length, and a function to read them."""
        X, presence = table.X, table.presence
        widths, groups = self.channels_.widths, []
        for width in np.unique(widths[presence.any(axis=0)]):
            of_width = np.flatnonzero(widths == width)
            rows, which = np.nonzero(presence[:, of_width])
            columns = [m.columns for m in self.channels_.values() if m.width == width]
            groups.append((rows, of_width[which], np.array(columns)[which]))

        def read(group, part):
            rows, channels, columns = (array[part] for array in groups[group])
            values, observed = self._scaled(X[rows[:, None], columns], channels)
            return values.astype(np.float32), observed

        return [len(rows) for rows, _, _ in groups], read

    def transform(self, X):
        """Encode signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals, as in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_channels * latent_dim)
            Concatenated embeddings of the channels, in the dtype of X. NaN for missing
            channels.
        """
        check_is_fitted(self)
        table = self._by_channel(self._validate(X, reset=False))
        X, learnt = table.X, ~np.isnan(self.mean_)
        presence = table.warn_unlearnt(learnt)
        encode = load_encoder(self._weights, self._sizes, self.device, X.dtype)
        dim, (width, *_) = self._sizes[:2]
        out = np.full((len(X), len(learnt), dim), np.nan, dtype=X.dtype)
        for c in np.flatnonzero(learnt):
            block = X[:, self.channels_.columns[c]]
            rows = np.flatnonzero(presence[:, c])
            n_values = block.shape[1] * width
            for chunk in row_chunks(len(rows), n_values, CHUNK_VALUES):
                values, _ = self._scaled(block[rows[chunk]], np.array([c]))
                out[rows[chunk], c] = encode(values)
        return out.reshape(len(X), -1)

    def get_feature_names_out(self, input_features=None):
        """Get the names of the output columns: the channel, `__` and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X. They are only checked.

        Returns
        -------
        ndarray of str
            Numbers are padded with zeros, so that sorting keeps the order.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        dim = self._sizes[0]
        width = len(str(dim - 1))
        names = [f"{c}__{i:0{width}d}" for c in self.channels_ for i in range(dim)]
        return np.array(names, dtype=object)


def _split_channels(layout):
    """Return one modality per channel."""
    channels = []
    for modality in layout.values():
        if modality.n_tokens == 1:
            channels.append(modality)
            continue
        columns = modality.columns.reshape(modality.shape)
        channels += [
            Modality(f"{modality.name}{i}", row) for i, row in enumerate(columns)
        ]
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"`modalities` must have a name per channel; got {doubled!r} twice."
        )
    return channels


class Autoencoder(nn.Module):
    """Map a signal of any length to a vector, and back to a signal of that length."""

    def __init__(self, latent_dim, channels, kernel_size, pool_size):
        super().__init__()
        widths, self.pool_size = (1, *channels), pool_size
        self.down = nn.ModuleList(
            _block(a, b, kernel_size) for a, b in zip(widths, widths[1:])
        )
        self.to_latent = nn.Linear(widths[-1] * N_BINS, latent_dim)
        self.from_latent = nn.Linear(latent_dim, widths[-1] * N_BINS)
        back = (*reversed(widths[1:]), widths[1])
        self.up = nn.ModuleList(
            _block(a, b, kernel_size) for a, b in zip(back, back[1:])
        )
        self.out = nn.Conv1d(widths[1], 1, kernel_size, padding=kernel_size // 2)

    def encode(self, x):
        """Return the latent vectors of signals."""
        x = x.unsqueeze(1)  # (batch, 1, length)
        for block in self.down:
            x = F.max_pool1d(block(x), self.pool_size, ceil_mode=True)
        return self.to_latent(F.adaptive_avg_pool1d(x, N_BINS).flatten(1))

    def forward(self, x):
        """Reconstruct signals from their latent vectors."""
        lengths = [x.shape[1]]
        for _ in self.down[1:]:
            lengths.append(-(-lengths[-1] // self.pool_size))
        z = self.from_latent(self.encode(x)).unflatten(1, (-1, N_BINS))
        for block, length in zip(self.up, reversed(lengths)):
            z = block(F.interpolate(z, size=length, mode="linear"))
        return self.out(z).squeeze(1)  # (batch, length)


class Encoder(Autoencoder):
    """The encoder of an autoencoder."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        del self.from_latent, self.up, self.out


def _block(n_in, n_out, kernel_size):
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm1d(n_out),
        nn.GELU(),
    )


@dataclass(eq=False)
class Signals(torch.utils.data.Dataset):
    """Signals without labels."""

    groups: list  # number of signals of each length
    # Function of a group and positions in it. It returns values (n, length), which are
    # 0 where missing, and a mask.
    read: Callable

    def __len__(self):
        return sum(self.groups)


class SignalBatches:
    """Iterate over batches in random order. Signals of a batch have equal lengths."""

    def __init__(self, dataset, batch_size, rng):
        self.groups, self.read = dataset.groups, dataset.read
        self.batch_size, self.rng = batch_size, rng

    def __len__(self):
        return sum(-(-n // self.batch_size) for n in self.groups)

    def __iter__(self):
        parts = []
        for group, n_signals in enumerate(self.groups):
            order = self.rng.permutation(n_signals)
            # Nearly equal sizes, because batch normalisation fails on a single signal.
            n_parts = -(-n_signals // self.batch_size)
            parts += [(group, part) for part in np.array_split(order, n_parts)]
        for i in self.rng.permutation(len(parts)):
            values, observed = map(torch.from_numpy, self.read(*parts[i]))
            if len(values) == 1:  # batch normalisation needs two signals
                values, observed = values.repeat(2, 1), observed.repeat(2, 1)
            yield values, (values, observed)


class CellError(nn.Module):
    """Mean squared error of the observed cells."""

    def forward(self, made, target):
        values, observed = target
        error = (made - values).square()
        return error.masked_fill(~observed, 0.0).sum() / observed.sum()


class RecordCellError(Callback):
    """Record the mean error of the observed cells of an epoch."""

    def on_batch_end(self, net, batch=None, **kwargs):
        """Record the number of observed cells."""
        net.history.record_batch("n_cells", int(batch[1][1].sum()))

    def on_epoch_end(self, net, **kwargs):
        """Record the mean."""
        losses = net.history[-1, "batches", :, ("train_loss", "n_cells")]
        total = sum(loss * n_cells for loss, n_cells in losses)
        count = sum(n_cells for _, n_cells in losses)
        net.history.record("train_loss", total / count)


def train_autoencoder(
    dataset, sizes, *, max_epochs, batch_size, lr, device, seed, verbose, task
):
    """Train without labels; return the weights of the encoder and the losses."""
    batches = {"batch_size": batch_size, "rng": np.random.RandomState(seed)}
    names = ("latent_dim", "channels", "kernel_size", "pool_size")
    schedule = LRScheduler(
        torch.optim.lr_scheduler.CosineAnnealingLR,
        T_max=max_epochs * len(SignalBatches(dataset, **batches)),
        step_every="batch",
    )
    net = NeuralNet(
        Autoencoder,
        CellError,
        **{f"module__{name}": size for name, size in zip(names, sizes)},
        optimizer=torch.optim.Adam,
        lr=lr,
        max_epochs=max_epochs,
        iterator_train=SignalBatches,
        **{f"iterator_train__{name}": value for name, value in batches.items()},
        train_split=None,
        callbacks=[
            RecordCellError(),
            *report_epochs(task),
            schedule,
            GradientNormClipping(GRAD_CLIP),
        ],
        **DISABLED,
        device=resolve_device(device),
        verbose=verbose,
    )
    fit_net(net, dataset, seed=seed)
    kept = ("down.", "to_latent.")
    weights = {k: w for k, w in arrays_of(net.module_).items() if k.startswith(kept)}
    return weights, net.history[:, "train_loss"]


def load_encoder(weights, sizes, device, dtype):
    """Return a function that maps signals (n, length) to embeddings (n, latent_dim)."""
    device = resolve_device(device)
    names = ("latent_dim", "channels", "kernel_size", "pool_size")
    with torch.device("meta"):  # without memory and random numbers
        net = Encoder(**dict(zip(names, sizes)))
    state = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    net.load_state_dict(state, assign=True)
    # In double precision, an embedding does not depend on the size of its batch.
    double = dtype == np.float64 and device.type != "mps"
    kind = torch.float64 if double else torch.float32
    net = net.eval().to(device, kind)

    def encode(values):
        with torch.inference_mode():
            values = torch.from_numpy(values).to(device, kind)
            return net.encode(values).cpu().numpy()

    return encode
