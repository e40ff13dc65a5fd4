"""Networks that use similar training samples: ICL-CA and M3Care.

Shapes in the comments: B samples, D columns in layout order, M modalities, T tokens of
all modalities, N samples in the bank, Q neighbors of a sample, hidden width p.
"""

import torch
import torch.nn.functional as F
from torch import nn

from skmissing.fusion._layers import (
    CrossAttentionStack,
    FusionOutput,
    LinearStack,
    ModalityMean,
    ModalityProjection,
    ModalityVectors,
    check_sizes,
    normalize,
)
from skmissing.fusion._mhsa import AttentionLayer


class Bank(nn.Module):
    """Training samples that are saved with a network, and the search among them.

    The similarity of two samples is the sum of the cosines of their modalities. A
    modality that one of them lacks counts as 0. It is computed from the standardized
    columns, and does not change in training.
    """

    def __init__(self, shapes, n_outputs, n_neighbors):
        super().__init__()
        self.widths = [n_tokens * width for n_tokens, width in shapes]
        self.n_outputs, self.n_neighbors = n_outputs, n_neighbors
        owner = [width for n_tokens, width in shapes for _ in range(n_tokens)]
        owner = torch.arange(len(owner)).repeat_interleave(torch.tensor(owner))
        self.register_buffer("token_of_column", owner, persistent=False)
        for name in ("x", "present", "y"):
            self.register_buffer(name, torch.empty(0))
        self.register_buffer("unit", torch.empty(0), persistent=False)

    def fill(self, x, present, y):  # (N, D), (N, T), (N,) or (N, n_outputs)
        """Keep training samples. Classes become indicators."""
        if y.dim() == 1:
            y = F.one_hot(y, self.n_outputs).to(x.dtype)
        self.x, self.present, self.y = x, present, y
        self.unit = self.directions(x, present)

    def _load_from_state_dict(self, state, prefix, *args):
        for name in ("x", "present", "y"):  # of the size that was saved
            if prefix + name in state:
                setattr(self, name, torch.empty_like(state[prefix + name]))
        super()._load_from_state_dict(state, prefix, *args)
        if len(self.x):
            self.unit = self.directions(self.x, self.present)

    def directions(self, x, present):  # (B, D), (B, T)
        """Return the unit vectors of the modalities, (B, D), 0 where missing."""
        x = x.masked_fill(~present[:, self.token_of_column], 0.0)
        blocks = x.split(self.widths, dim=1)
        return torch.cat([F.normalize(block, dim=1) for block in blocks], dim=1)

    def forward(self, x, present):  # (B, D), (B, T)
        """Return the positions of neighbors (B, Q), and which may be used (B, Q).

        In training, the sample itself and its copies may not be used. Neither may
        samples that share no modality.
        """
        with torch.no_grad():
            similarity = self.directions(x, present) @ self.unit.T
            # Rounded, because the last digits depend on the other samples.
            similarity = torch.round(similarity, decimals=6)
            wanted = self.n_neighbors + self.training
            index = similarity.topk(min(wanted, len(self.x)), dim=1).indices
            usable = (self.present[index] & present[:, None]).any(dim=2)
            if self.training:
                usable &= (self.x[index] != x[:, None]).any(dim=2)
        return index, usable


class BankNetwork(nn.Module):
    """A network with a :class:`Bank`, which the training fills."""

    def set_bank(self, x, present, y):
        """Keep the training samples.

        Parameters
        ----------
        x : Tensor of shape (N, D)
            Standardized columns in layout order.
        present : Tensor of shape (N, T), dtype bool
            Observed tokens.
        y : Tensor of shape (N,) or (N, n_outputs)
            Class numbers, or targets as columns. NeighborGraph does not use them.
        """
        self.bank.fill(x, present, y)


class NeighborAttention(BankNetwork):
    """Attention to the modalities and targets of similar training samples.

    A network for :class:`skmissing.fusion.FusionClassifier`. The training samples are a
    part of the fitted network. The tokens of a sample attend to the tokens of its
    neighbors among them.

    Read more in the :ref:`User Guide <neighbors>`.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality. Set by the estimator.
    n_outputs : int
        Number of outputs. Set by the estimator.
    hidden_dim : int, default=64
        Width of the tokens.
    n_heads : int, default=4
        Number of attention heads.
    n_neighbors : int, default=8
        Number of neighbors of a sample.
    dropout : float, default=0.1
        Dropout after the attention.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `hidden_dim` is not a multiple of
        `n_heads`.

    Notes
    -----
    Let the rows of T be the tokens of the observed modalities of a sample, and the rows
    of N those of its neighbors. A linear map E of the target y is added to the tokens
    of each neighbor. The network computes

    .. math:: H = T + \\mathrm{MultiHeadAttention}(T, N + E y)

    and predicts from the mean of H over the observed modalities. This is ICL-CA of
    [1]_. In training, a sample and its exact copies are not among its own neighbors,
    because the network would learn to copy its target. In prediction, a training sample
    is its own neighbor.

    In the paper, a pretrained network makes the tokens and the vector for the search,
    and neighbors have all modalities. Here, tokens are linear maps of the standardized
    columns. Neighbors may be incomplete. The similarity is the sum of the cosines of
    the modalities that both samples have.

    References
    ----------
    .. [1] Zhi, Z., Liu, Z., Elbadawi, M., Daneshmend, A., Orlu, M., Basit, A.,
       Demosthenous, A. and Rodrigues, M. "Borrowing treasures from neighbors:
       In-context learning for multimodal learning with missing modalities and data
       scarcity." arXiv:2403.09428, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmissing.fusion import FusionClassifier
    >>> from skmissing.fusion.modules import NeighborAttention
    >>> X, y = load_digits(return_X_y=True)
    >>> model = FusionClassifier(
    ...     NeighborAttention, modalities=[32, 32], lr=0.01, max_epochs=8,
    ...     random_state=0,
    ... )
    >>> model.fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.8
    True
    """

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_neighbors=8,
        dropout=0.1,
    ):
        super().__init__()
        check_sizes(
            hidden_dim, n_heads=n_heads, n_neighbors=n_neighbors, dropout=dropout
        )
        self.bank = Bank(shapes, n_outputs, n_neighbors)
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.embed_target = nn.Linear(n_outputs, hidden_dim, bias=False)
        self.attend = CrossAttentionStack(1, hidden_dim, n_heads, dropout)
        self.pool = ModalityMean([n_tokens for n_tokens, _ in shapes])
        self.project = nn.Linear(hidden_dim, hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present):
        """Predict from the observed modalities and the neighbors.

        Parameters
        ----------
        x : Tensor of shape (B, D)
            Standardized columns in layout order.
        present : Tensor of shape (B, T), dtype bool
            Observed tokens.

        Returns
        -------
        FusionOutput
            With `fused`.
        """
        index, usable = self.bank(x, present)  # (B, Q)
        near = self.embed(self.bank.x[index].flatten(0, 1))  # (B * Q, T, p)
        targets = self.embed_target(self.bank.y[index].flatten(0, 1))
        keys = normalize(near + targets[:, None]).unflatten(0, index.shape)
        seen = self.bank.present[index] & usable[..., None]  # (B, Q, T)
        keys = keys.masked_fill(~seen[..., None], 0.0).flatten(1, 2)
        h = self.embed(x).masked_fill(~present[..., None], 0.0)  # (B, T, p)
        h = self.attend(h[None], keys[None], seen.flatten(1)[None])[0]
        fused = F.relu(self.project(self.pool(h, present)))
        return FusionOutput(self.head(fused), fused)


class NeighborGraph(BankNetwork):
    """Graph of similar training samples, which completes missing modalities.

    A network for :class:`skmissing.fusion.FusionClassifier`. The training samples are a
    part of the fitted network. The hidden vector of a missing modality is computed from
    the neighbors that have the modality.

    Read more in the :ref:`User Guide <neighbors>`.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality. Set by the estimator.
    n_outputs : int
        Number of outputs. Set by the estimator.
    hidden_dim : int, default=64
        Width of the hidden vectors.
    n_heads : int, default=4
        Number of attention heads.
    n_neighbors : int, default=16
        Number of neighbors of a sample.
    dropout : float, default=0.1
        Dropout after the attention.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `hidden_dim` is not a multiple of
        `n_heads`.

    Notes
    -----
    Let :math:`h_{im}` be the hidden vector of modality m of sample i. With a learned
    :math:`\\gamma_m`, the mean over the modalities that samples i and j share is

    .. math:: S_{ij} = \\mathrm{mean}_m \\exp(-\\gamma_m \\|h_{im} - h_{jm}\\|^2 / p)

    A neighbor has the weight :math:`\\mathrm{relu}(S_{ij} - \\sigma(\\theta))`, with a
    learned :math:`\\theta`. The vector :math:`\\hat h_{im}` is a linear map with ReLU
    of the weighted mean of the neighbors that have modality m. It replaces a missing
    vector. An observed vector becomes :math:`a h_{im} + (1 - a) \\hat h_{im}`, where a
    gate computes a from both. A layer of attention over all modalities follows.

    This is M3Care [1]_, except that the graph is different. In the paper, neighbors are
    the other samples of the batch, so that a prediction depends on them. Here, they are
    training samples, found as in :class:`NeighborAttention`. In training, a sample and
    its exact copies are not among its own neighbors. The graph has one convolution
    instead of two. The kernel has one bandwidth per modality, and is not mixed with a
    kernel of a second map. The published code lets a sample that lacks a modality have
    no neighbors for it. Here, all neighbors with the modality are used.

    References
    ----------
    .. [1] Zhang, C., Chu, X., Ma, L., Zhu, Y., Wang, Y., Wang, J. and Zhao, J.
       "M3Care: Learning with missing modalities in multimodal healthcare data." KDD,
       2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmissing.fusion import FusionClassifier
    >>> from skmissing.fusion.modules import NeighborGraph
    >>> X, y = load_digits(return_X_y=True)
    >>> model = FusionClassifier(
    ...     NeighborGraph, modalities=[32, 32], lr=0.01, max_epochs=8,
    ...     random_state=0,
    ... )
    >>> model.fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.8
    True
    """

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_neighbors=16,
        dropout=0.1,
    ):
        super().__init__()
        check_sizes(
            hidden_dim, n_heads=n_heads, n_neighbors=n_neighbors, dropout=dropout
        )
        size = len(shapes)
        self.bank = Bank(shapes, n_outputs, n_neighbors)
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.vectors = ModalityVectors([n_tokens for n_tokens, _ in shapes])
        self.bandwidth = nn.Parameter(torch.zeros(size))
        self.threshold = nn.Parameter(torch.zeros(()))
        self.complete = LinearStack(size, hidden_dim, hidden_dim)
        self.gate = nn.Linear(2 * hidden_dim, 1)
        self.layer = AttentionLayer(hidden_dim, n_heads, dropout)
        self.project = nn.Linear(hidden_dim, hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present):
        """Complete the missing modalities, and predict from all modalities.

        Parameters
        ----------
        x : Tensor of shape (B, D)
            Standardized columns in layout order.
        present : Tensor of shape (B, T), dtype bool
            Observed tokens.

        Returns
        -------
        FusionOutput
            With `fused`.
        """
        h, seen = self.vectors(self.embed(x), present)  # (B, M, p), (B, M)
        estimate = self.estimate(h, seen, *self.bank(x, present))
        share = self.gate(torch.cat([h, estimate], dim=2)).sigmoid()
        share = share.masked_fill(~seen[..., None], 0.0)
        h = share * h + (1 - share) * estimate
        h = self.layer(h, torch.ones_like(seen))
        fused = F.relu(self.project(h.mean(dim=1)))
        return FusionOutput(self.head(fused), fused)

    def estimate(self, h, seen, index, usable):
        """Estimate all modalities from neighbors.

        Parameters
        ----------
        h : Tensor of shape (B, M, p)
            Hidden vectors.
        seen : Tensor of shape (B, M), dtype bool
            Observed modalities.
        index : Tensor of shape (B, Q)
            Positions of the neighbors in the bank.
        usable : Tensor of shape (B, Q), dtype bool
            Neighbors that may be used.

        Returns
        -------
        Tensor of shape (B, M, p)
            Estimates.
        """
        tokens = self.embed(self.bank.x[index].flatten(0, 1))
        near, owned = self.vectors(tokens, self.bank.present[index].flatten(0, 1))
        near = near.unflatten(0, index.shape)  # (B, Q, M, p)
        owned = owned.unflatten(0, index.shape) & usable[..., None]  # (B, Q, M)
        gaps = (h[:, None] - near).square().mean(dim=3)
        kernel = torch.exp(-F.softplus(self.bandwidth) * gaps)
        both = (seen[:, None] & owned).to(h.dtype)
        similarity = (kernel * both).sum(dim=2) / both.sum(dim=2).clamp(min=1)
        weight = F.relu(similarity - self.threshold.sigmoid())[..., None] * owned
        weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-6)
        mean = (weight[..., None] * near).sum(dim=1)  # (B, M, p)
        return F.relu(self.complete(mean.transpose(0, 1)).transpose(0, 1))
