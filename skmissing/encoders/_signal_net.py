"""The network behind SignalEncoder: a convolutional autoencoder, and its training.

Arrays in, arrays out; knows neither columns nor estimators.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skmissing._torch import Making, resolve_device, seeded

# Positions that the last feature map is reduced to, whatever the signal's length.
N_BINS = 16
GRAD_CLIP = 1.0


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network.

    Attributes
    ----------
    latent_dim : int
    channels : tuple of int
        Width of each convolution.
    kernel_size : int
    pool_size : int
    """

    latent_dim: int
    channels: tuple
    kernel_size: int
    pool_size: int


class Autoencoder(nn.Module):
    """Maps a signal of any length to a vector, and back to that length.

    Parameters
    ----------
    sizes : Architecture
    """

    def __init__(self, sizes):
        super().__init__()
        widths, self.pool_size = (1, *sizes.channels), sizes.pool_size
        self.down = nn.ModuleList(
            _block(a, b, sizes.kernel_size) for a, b in zip(widths, widths[1:])
        )
        self.to_latent = nn.Linear(widths[-1] * N_BINS, sizes.latent_dim)
        self.from_latent = nn.Linear(sizes.latent_dim, widths[-1] * N_BINS)
        back = (*reversed(widths[1:]), widths[1])
        self.up = nn.ModuleList(
            _block(a, b, sizes.kernel_size) for a, b in zip(back, back[1:])
        )
        self.out = nn.Conv1d(
            widths[1], 1, sizes.kernel_size, padding=sizes.kernel_size // 2
        )

    def encode(self, x):
        """Latent vectors of signals."""
        x = x.unsqueeze(1)  # (batch, 1, length)
        for block in self.down:
            x = F.max_pool1d(block(x), self.pool_size, ceil_mode=True)
        return self.to_latent(F.adaptive_avg_pool1d(x, N_BINS).flatten(1))

    def forward(self, x):
        """Reconstruction of signals from their latent vectors."""
        lengths = [x.shape[1]]
        for _ in self.down[1:]:
            lengths.append(-(-lengths[-1] // self.pool_size))
        z = self.from_latent(self.encode(x)).unflatten(1, (-1, N_BINS))
        for block, length in zip(self.up, reversed(lengths)):
            z = block(F.interpolate(z, size=length, mode="linear"))
        return self.out(z).squeeze(1)  # (batch, length)


def _block(n_in, n_out, kernel_size):
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm1d(n_out),
        nn.GELU(),
    )


def train_autoencoder(
    groups, read, sizes, *, max_epochs, batch_size, lr, device, seed, report=None
):
    """Train on signals without labels.

    Parameters
    ----------
    groups : list of int
        How many signals there are of each length.
    read : callable
        Takes the number of a group and positions in it; returns values of shape
        (n, length), 0 where not observed, and which of them were observed.
    sizes : Architecture
    max_epochs, batch_size : int
    lr : float
        Learning rate of Adam at the start; falls to 0 along a cosine.
    device : str
    seed : int
    report : callable, default=None
        Called after each epoch with its number and loss.

    Returns
    -------
    weights : dict of str to ndarray
        Of the half that encodes.
    losses : list of float
        Mean squared error of each epoch.
    """
    device = resolve_device(device)
    # Made on the CPU; training itself draws nothing from torch.
    with seeded(seed, torch.device("cpu")), Making(dtype=torch.float32):
        net = Autoencoder(sizes)
    net = net.to(device).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    n_batches = sum(-(-n // batch_size) for n in groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, max_epochs * n_batches
    )
    rng = np.random.RandomState(seed)
    losses = []
    for epoch in range(max_epochs):
        total = count = 0.0
        for group, part in _shuffled(groups, batch_size, rng):
            loss, n_cells = _step(net, optimizer, read(group, part), device)
            schedule.step()
            total, count = total + loss * n_cells, count + n_cells
        losses.append(total / count)
        if report is not None:
            report(epoch, losses[-1])
    kept = ("down.", "to_latent.")
    state = net.cpu().state_dict().items()
    return {k: v.numpy().copy() for k, v in state if k.startswith(kept)}, losses


def _shuffled(groups, batch_size, rng):
    """Batches of one epoch, each of one length, in random order."""
    parts = []
    for group, n_signals in enumerate(groups):
        order = rng.permutation(n_signals)
        # Even shares: batch normalisation has no use for a last batch of one.
        n_parts = -(-n_signals // batch_size)
        parts += [(group, part) for part in np.array_split(order, n_parts)]
    return [parts[i] for i in rng.permutation(len(parts))]


def _step(net, optimizer, batch, device):
    """One update; the loss and the number of cells that it is the mean of."""
    values, observed = (torch.from_numpy(array).to(device) for array in batch)
    if len(values) == 1:  # batch normalisation needs two
        values, observed = values.repeat(2, 1), observed.repeat(2, 1)
    error = (net(values) - values).square()
    loss = error.masked_fill(~observed, 0.0).sum() / observed.sum()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), GRAD_CLIP)
    optimizer.step()
    return loss.item(), int(observed.sum())


def load_encoder(weights, sizes, device, dtype):
    """A network that encodes, from the weights that training returned.

    Parameters
    ----------
    weights : dict of str to ndarray
    sizes : Architecture
    device : str
    dtype : numpy dtype

    Returns
    -------
    callable
        From an array of shape (n, length) to one of shape (n, latent_dim).
    """
    device = resolve_device(device)
    with Making(device="meta"):
        net = Autoencoder(sizes)
    del net.from_latent, net.up, net.out
    state = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    net.load_state_dict(state, assign=True)
    # In double precision a row does not depend on how many come with it.
    double = dtype == np.float64 and device.type != "mps"
    kind = torch.float64 if double else torch.float32
    net = net.eval().to(device, kind)

    def encode(values):
        with torch.inference_mode():
            values = torch.from_numpy(values).to(device, kind)
            return net.encode(values).cpu().numpy()

    return encode


def check_weights(weights, sizes):
    """Compare weights with the sizes that they are for.

    Parameters
    ----------
    weights : dict of str to ndarray
    sizes : tuple
        The arguments of :class:`Architecture`.

    Raises
    ------
    ValueError
        If the names or shapes are others, or if the sizes are none.
    """
    good = len(sizes) == 4 and isinstance(sizes[1], tuple) and len(sizes[1]) > 0
    if not good or not all(
        type(n) is int and n >= 1 for n in (sizes[0], *sizes[1], *sizes[2:])
    ):
        raise ValueError(f"sizes of a signal encoder: found {sizes!r}.")
    latent_dim, channels, kernel_size, _ = sizes
    wanted, widths = {}, (1, *channels)
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        wanted[f"down.{i}.0.weight"] = b, a, kernel_size
        for name in ("weight", "bias", "running_mean", "running_var"):
            wanted[f"down.{i}.1.{name}"] = (b,)
        wanted[f"down.{i}.1.num_batches_tracked"] = ()
    wanted["to_latent.weight"] = latent_dim, widths[-1] * N_BINS
    wanted["to_latent.bias"] = (latent_dim,)
    found = {name: array.shape for name, array in weights.items()}
    differing = sorted(set(wanted.items()) ^ set(found.items()))
    if differing:
        raise ValueError(f"weights: names or shapes differ in {differing[:4]}.")
