"""Fusion through a bottleneck: modalities exchange information by a few latents."""

import torch
import torch.nn.functional as F
from torch import nn

from skmissing.fusion._layers import (
    FusionOutput,
    LinearStack,
    ModalityMean,
    ModalityProjection,
    check_sizes,
    normalize,
)


class TransformerStack(nn.Module):
    """One pre-norm transformer layer per modality, computed together."""

    def __init__(self, n_modalities, dim, n_heads, dropout):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = LinearStack(n_modalities, dim, 3 * dim)
        self.out = LinearStack(n_modalities, dim, dim)
        self.widen = LinearStack(n_modalities, dim, 2 * dim)
        self.narrow = LinearStack(n_modalities, 2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, key_mask):  # (M, B, N, p), (M, B, N)
        qkv = self.qkv(normalize(x)).unflatten(3, (3, self.n_heads, -1))
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # each (M, B, H, N, p / H)
        mask = key_mask[:, :, None, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.dropout(self.out(mixed.transpose(2, 3).flatten(3)))
        wide = self.dropout(F.gelu(self.widen(normalize(x))))
        return x + self.dropout(self.narrow(wide))


class BottleneckFusion(nn.Module):
    r"""Fusion by a few latent tokens through which modalities exchange information.

    A network for :class:`skmissing.fusion.FusionClassifier`, as in
    `FusionClassifier(BottleneckFusion)`. It is meant for long sequences of tokens,
    because the cost of attention is linear in the number of modalities.

    Read more in the :ref:`User Guide <networks>`.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality. Set by the estimator.
    n_outputs : int
        Number of outputs. Set by the estimator.
    hidden_dim : int, default=64
        Width of the tokens. It must be a multiple of `n_heads`.
    n_heads : int, default=4
        Number of heads of the attention.
    n_layers : int, default=2
        Number of layers. With one layer, modalities exchange no information.
    n_latents : int, default=4
        Number of latent tokens.
    dropout : float, default=0.1
        Dropout rate in the layers.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `n_heads` does not divide `hidden_dim`.

    See Also
    --------
    PooledFusion : Averages modalities that exchange no information.

    Notes
    -----
    Let :math:`H_m` be the tokens of modality m, Z the latents, and O the observed
    modalities of a sample. Each layer has a transformer per modality, with its own
    weights:

    .. math:: [H_m, Z_m] \leftarrow \mathrm{Transformer}_m([H_m, Z]), \quad
              Z \leftarrow \frac{1}{|O|} \sum_{m \in O} Z_m

    These are equations (8) and (9) of [1]_. The prediction is a linear head on the
    normalized mean of the observed modalities. The paper has complete samples, a CLS
    token per modality, and latents in the last layers only. Here, missing modalities
    are left out of both means, and the token of a vector takes the part of the CLS
    token. The loss is that of the task only, so that any sample with a modality is used
    in training.

    References
    ----------
    .. [1] Nagrani, A., Yang, S., Arnab, A., Jansen, A., Schmid, C. and Sun, C.
       "Attention bottlenecks for multimodal fusion." NeurIPS, 2021.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import BottleneckFusion
    >>> network = BottleneckFusion([(1, 5), (3, 2)], n_outputs=4, n_latents=2)
    >>> present = torch.tensor([[True, True, True, False]])
    >>> network(torch.randn(1, 11), present).logits.shape
    torch.Size([1, 4])
    """

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_layers=2,
        n_latents=4,
        dropout=0.1,
    ):
        super().__init__()
        check_sizes(
            hidden_dim, n_heads, n_layers=n_layers, n_latents=n_latents, dropout=dropout
        )
        n_tokens = [n for n, _ in shapes]
        counts, steps = torch.tensor(n_tokens), torch.arange(max(n_tokens))
        # Positions of the tokens of each modality, (M, N), padded with the last one.
        start, last = counts.cumsum(0) - counts, counts - 1
        place = start[:, None] + torch.minimum(steps, last[:, None])
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("real", steps < counts[:, None], persistent=False)
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.latents = nn.Parameter(0.02 * torch.randn(n_latents, hidden_dim))
        self.layers = nn.ModuleList(
            TransformerStack(len(shapes), hidden_dim, n_heads, dropout)
            for _ in range(n_layers)
        )
        self.pool = ModalityMean(n_tokens)
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present):  # (B, D), (B, T)
        """Compute the logits; see :ref:`own_network`."""
        h = self.embed(x).masked_fill(~present[..., None], 0.0)  # (B, T, p)
        h = h[:, self.place].transpose(0, 1)  # (M, B, N, p)
        mask = (present[:, self.place] & self.real).transpose(0, 1)
        share = mask.any(dim=2).to(h.dtype)  # (M, B), of each modality in the means
        share = share / share.sum(dim=0).clamp(min=1)
        mask = F.pad(mask, (0, len(self.latents)), value=True)
        latents = self.latents.expand(*h.shape[:2], -1, -1)
        for layer in self.layers:
            made = layer(torch.cat([h, latents], dim=2), mask)
            h, latents = made.split([h.shape[2], len(self.latents)], dim=2)
            latents = (share[..., None, None] * latents).sum(dim=0).expand_as(latents)
        h = h.transpose(0, 1)[:, self.real]  # (B, T, p)
        fused = self.norm(self.pool(h, present))
        return FusionOutput(self.head(fused), fused)
