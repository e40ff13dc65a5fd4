"""The network of masked modality projection: estimates in the slots, then a CLS token.

Shapes in the comments as in `_modules.py`; T counts the tokens that the network makes,
which are more than those of the layout where a vector becomes several.
"""

import torch
import torch.nn.functional as F
from torch import nn

from skmissing.fusion._modules import (
    FusionOutput,
    ModalityProjection,
    SelfAttention,
    count_tokens,
)
from skmissing.fusion._net import TaskLoss
from skmissing.fusion._projection import ProjectedSlots, alignment_loss
from skmissing.fusion._slots import ZeroSlots, token_owners


def token_sources(shapes, tokens_per_vector=1):
    """Which token of the layout each token of the network is made of, shape (T,)."""
    made = [tokens_per_vector if n == 1 else 1 for n, _ in shapes for _ in range(n)]
    return token_owners(made)


class PreNormLayer(nn.Module):
    """x <- x + SelfAttention(norm(x)), x <- x + FeedForward(norm(x)), with dropout.

    Parameters
    ----------
    dim, n_heads : int
    dropout : float
    """

    def __init__(self, dim, n_heads, dropout):
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, n_heads)
        self.feed_norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 2 * dim)
        self.narrow = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, key_mask, n_queries=None):  # (B, T, p), (B, T)
        """Update the tokens; only the first `n_queries`, if that is not None."""
        mixed = self.attention(self.attention_norm(x), key_mask, n_queries)
        x = x[:, :n_queries] + self.dropout(mixed)
        wide = self.dropout(F.gelu(self.widen(self.feed_norm(x))))
        return x + self.dropout(self.narrow(wide))


class MMPFusion(nn.Module):
    """Fusion by a pre-norm transformer, with absent modalities projected.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality, in layout order.
    n_outputs : int
    hidden_dim : int, default=64
    n_heads : int, default=4
    n_layers : int, default=1
    dropout : float, default=0.1
    projector : {"cross_attention", "linear", "none"}, default="cross_attention"
        What makes the tokens of absent modalities; `"none"` puts zeros there.
    n_aggregated_tokens : int, default=8
    tokens_per_vector : int, default=1
    """

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_layers=1,
        dropout=0.1,
        projector="cross_attention",
        n_aggregated_tokens=8,
        tokens_per_vector=1,
    ):
        super().__init__()
        n_tokens = count_tokens(shapes, tokens_per_vector)
        owner = token_owners(n_tokens)
        source = token_sources(shapes, tokens_per_vector)
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("source", source, persistent=False)
        self.embed = ModalityProjection(
            shapes, hidden_dim, tokens_per_vector=tokens_per_vector, positions=False
        )
        self.scale = nn.Parameter(torch.ones(len(shapes), hidden_dim))
        self.shift = nn.Parameter(torch.zeros(len(shapes), hidden_dim))
        if projector == "none" or len(shapes) == 1:
            self.slots = ZeroSlots(n_tokens, hidden_dim)
        else:
            params = {"n_aggregated_tokens": n_aggregated_tokens, "n_heads": n_heads}
            params |= {"kind": projector, "dropout": dropout}
            self.slots = ProjectedSlots(n_tokens, hidden_dim, **params)
        # Says of which modality a token is, and where in its sequence.
        self.place = nn.Parameter(0.02 * torch.randn(len(owner), hidden_dim))
        self.summary = nn.Parameter(0.02 * torch.randn(hidden_dim))
        self.layers = nn.ModuleList(
            PreNormLayer(hidden_dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def tokenize(self, x, present):  # (B, D), (B, tokens of the layout)
        """Tokens (B, T, p), normalised by modality, and which of them are there."""
        tokens = F.layer_norm(self.embed(x), self.summary.shape)
        tokens = tokens * self.scale[self.owner] + self.shift[self.owner]
        return tokens, present[:, self.source]

    def forward(self, x, present):  # (B, D), (B, tokens of the layout)
        tokens, present = self.tokenize(x, present)
        h, key_mask, projected = self.slots(tokens, present)
        summary = self.summary.expand(len(h), 1, -1)
        h = torch.cat([summary, h + self.place], dim=1)  # (B, 1 + T, p)
        key_mask = F.pad(key_mask, (1, 0), value=True)
        for i, layer in enumerate(self.layers, 1):
            # Nobody looks at more than the first token of the last layer.
            h = layer(h, key_mask, 1 if i == len(self.layers) else None)
        fused = self.norm(h[:, 0])
        return FusionOutput(self.head(fused), fused, tokens, present, projected)


class AlignedLoss(TaskLoss):
    """The loss of the task, and that of estimated tokens beside it.

    Parameters
    ----------
    task : {"multiclass", "labels", "regression"}
    shapes : list of (int, int)
    alignment_weight : float
    tokens_per_vector : int, default=1
    """

    def __init__(self, task, shapes, alignment_weight, tokens_per_vector=1):
        super().__init__(task)
        self.alignment_weight = alignment_weight
        self.n_tokens = count_tokens(shapes, tokens_per_vector)
        source = token_sources(shapes, tokens_per_vector)
        self.register_buffer("source", source, persistent=False)

    def forward(self, output, target):
        """The terms of :class:`TaskLoss`, and `"alignment"` if tokens are estimated."""
        terms = super().forward(output, target)
        if output.projected is not None and self.alignment_weight:
            terms["alignment"] = self.alignment_weight * alignment_loss(
                output.tokens,
                output.projected,
                output.present,
                target["observed"][:, self.source],
                n_tokens=self.n_tokens,
            )
        return terms
