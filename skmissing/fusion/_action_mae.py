"""ActionMAE: an autoencoder predicts the tokens of missing modalities."""

import torch
from torch import nn

from skmissing.fusion._layers import (
    FusionOutput,
    ModalityMean,
    ModalityProjection,
    PreNormLayer,
    TokenSlots,
    check_sizes,
    check_weights,
    normalize,
)
from skmissing.fusion._projection import mean_of_hidden


class ActionMAE(nn.Module):
    r"""Predicts the tokens of missing modalities by a masked autoencoder.

    A network for :class:`skmissing.fusion.FusionClassifier`, as in
    `FusionClassifier(ActionMAE)`. Modality dropout in training is required, because the
    autoencoder is trained on hidden modalities.

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
    n_layers : int, default=1
        Number of layers of the encoder, and of the decoder.
    n_memory_tokens : int, default=1
        Number of learned tokens that the encoder gets with every sample.
    reconstruction_weight : float, default=1.0
        Factor of the reconstruction loss.
    dropout : float, default=0.1
        Dropout rate in the layers.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `n_heads` does not divide `hidden_dim`, or
        `reconstruction_weight` is negative.

    See Also
    --------
    ModalityProjector : Estimates missing modalities by a map per pair of modalities.

    Notes
    -----
    Let H be the normalized tokens of a sample, :math:`H_O` the observed ones, Z the
    memory tokens, and e a learned token for each missing one:

    .. math:: H' = \mathrm{Dec}(\mathrm{Enc}(Z, H_O), e)

    Observed tokens are kept, and missing ones are those of H'. A transformer layer, the
    mean over the modalities and a linear head follow. The loss is that of the task,
    plus `reconstruction_weight` times the mean over the hidden tokens t of

    .. math:: \frac{1}{p} \|h'_t - h_t\|^2

    with p = `hidden_dim`. H gets no gradient from it. This is the method of [1]_.

    The published code replaces the observed tokens by predictions, too, hides the same
    number of modalities in a batch, smooths the labels, and needs complete training
    samples. Its encoder and decoder have two layers each, of width 512. Here, the error
    is computed for modalities that are observed and artificially hidden, so that
    incomplete samples are used in training.

    References
    ----------
    .. [1] Woo, S., Lee, S., Park, Y., Nugroho, M. A. and Kim, C. "Towards good
       practices for missing modality robust action recognition." AAAI, 2023.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import ActionMAE
    >>> network = ActionMAE([(1, 5), (1, 4)], n_outputs=3)
    >>> x, observed = torch.randn(8, 9), torch.ones(8, 2, dtype=bool)
    >>> present = observed.clone()
    >>> present[:4, 0] = False  # hidden from the network
    >>> network(x, present, observed).losses["reconstruction"] > 0
    tensor(True)
    """

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_layers=1,
        n_memory_tokens=1,
        reconstruction_weight=1.0,
        dropout=0.1,
    ):
        super().__init__()
        sizes = {"n_layers": n_layers, "n_memory_tokens": n_memory_tokens}
        check_sizes(hidden_dim, n_heads, dropout=dropout, **sizes)
        check_weights(reconstruction_weight=reconstruction_weight)
        n_tokens = [n for n, _ in shapes]
        self.reconstruction_weight = float(reconstruction_weight)
        self.embed = ModalityProjection(shapes, hidden_dim, positions=False)
        self.slots = TokenSlots(n_tokens, hidden_dim)  # the mask tokens
        # Modality of each token, and its position in its sequence.
        self.place = nn.Parameter(0.02 * torch.randn(sum(n_tokens), hidden_dim))
        self.memory = nn.Parameter(0.02 * torch.randn(n_memory_tokens, hidden_dim))
        self.encoder, self.decoder = (
            nn.ModuleList(
                PreNormLayer(hidden_dim, n_heads, dropout) for _ in range(n_layers)
            )
            for _ in range(2)
        )
        self.predict = nn.Linear(hidden_dim, hidden_dim)
        self.fuse = PreNormLayer(hidden_dim, n_heads, dropout)
        self.pool = ModalityMean(n_tokens)
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present, observed=None):  # (B, D), (B, T), (B, T)
        """Compute the logits; see :ref:`own_network`."""
        tokens = normalize(self.embed(x))  # (B, T, p)
        made = self.reconstruct(tokens, present)
        losses = {}
        if observed is not None and self.reconstruction_weight:
            error = (made - tokens.detach()).square().mean(dim=2)
            loss = mean_of_hidden(error, present, observed, self.slots.n_tokens)
            losses["reconstruction"] = self.reconstruction_weight * loss
        usable = self.slots.usable(present)  # padding is not
        filled = torch.where(present[..., None], tokens, made)
        h = self.fuse(filled + self.place, usable)
        fused = self.norm(self.pool(h, usable))
        return FusionOutput(self.head(fused), fused, losses)

    def reconstruct(self, tokens, present):
        """Predict all tokens (B, T, p) from the observed ones."""
        memory = self.memory.expand(tokens.shape[0], -1, -1)
        n_memory = memory.shape[1]
        h = tokens.masked_fill(~present[..., None], 0.0) + self.place
        h = torch.cat([memory, h], dim=1)
        mask = nn.functional.pad(present, (n_memory, 0), value=True)
        for layer in self.encoder:
            h = layer(h, mask)
        placed, usable = self.slots(h[:, n_memory:], present)
        h = torch.cat([h[:, :n_memory], placed + self.place], dim=1)
        mask = nn.functional.pad(usable, (n_memory, 0), value=True)
        for layer in self.decoder:
            h = layer(h, mask)
        return self.predict(h[:, n_memory:])
