"""Fusion through a bottleneck: modalities exchange information by a few latents."""

import torch
from torch import nn

from skmissing.fusion._layers import (
    FusionOutput,
    ModalityMean,
    ModalityProjection,
    PreNormLayer,
    check_sizes,
)


class BottleneckFusion(nn.Module):
    """Fusion by a few latent tokens through which modalities exchange information.

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
    Let T_m be the tokens of modality m, Z the latents, and O the observed modalities of
    a sample. Each layer has a transformer per modality, with its own weights:

        [T_m, Z_m] <- Transformer_m([T_m, Z]);    Z <- sum_{m in O} Z_m / |O|

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
        check_sizes(hidden_dim, n_heads, n_layers=n_layers, n_latents=n_latents)
        self.n_tokens = [n for n, _ in shapes]
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.latents = nn.Parameter(0.02 * torch.randn(n_latents, hidden_dim))
        self.layers = nn.ModuleList(
            nn.ModuleList(PreNormLayer(hidden_dim, n_heads, dropout) for _ in shapes)
            for _ in range(n_layers)
        )
        self.pool = ModalityMean(self.n_tokens)
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present):  # (B, D), (B, T)
        """Compute the logits; see :ref:`own_network`."""
        h = self.embed(x).masked_fill(~present[..., None], 0.0)  # (B, T, p)
        tokens, masks = h.split(self.n_tokens, dim=1), present.split(self.n_tokens, 1)
        seen = torch.stack([mask.any(dim=1) for mask in masks], dim=1)  # (B, M)
        share = seen.to(h.dtype)
        share = share / share.sum(dim=1, keepdim=True).clamp(min=1)
        keys = [nn.functional.pad(m, (0, len(self.latents)), value=True) for m in masks]
        latents = self.latents.expand(x.shape[0], -1, -1)  # (B, Z, p)
        for layer in self.layers:
            joined = [
                transformer(torch.cat([own, latents], dim=1), key)
                for transformer, own, key in zip(layer, tokens, keys)
            ]
            tokens = [j[:, :n] for j, n in zip(joined, self.n_tokens)]
            made = torch.stack([j[:, n:] for j, n in zip(joined, self.n_tokens)], 1)
            latents = (share[..., None, None] * made).sum(dim=1)
        fused = self.norm(self.pool(torch.cat(tokens, dim=1), present))
        return FusionOutput(self.head(fused), fused)
