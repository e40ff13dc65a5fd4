"""The networks, as plain torch modules that know nothing of estimators.

Shapes in the comments: B rows, D columns in layout order, M modalities, T tokens of
all modalities together (T = M if every modality is a vector), p the hidden width, H
heads. Masks are True where something is there.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmissing.fusion._slots import make_slots, token_owners
from skmissing.fusion._stacks import LinearStack


class FusionOutput(NamedTuple):
    """What a fusion network returns.

    Attributes
    ----------
    logits : Tensor of shape (B, n_outputs)
    fused : Tensor of shape (B, p)
        What the head sees.
    tokens : Tensor of shape (B, T, p)
        The embedded tokens before the slots of absent modalities were filled.
    present : Tensor of shape (B, T), dtype bool
        The tokens that the network was allowed to see.
    projected : Tensor of shape (B, T, p) or None
        Estimates of all tokens, if the slot policy makes any.
    """

    logits: Tensor
    fused: Tensor
    tokens: Tensor
    present: Tensor
    projected: Tensor | None


def count_tokens(shapes, tokens_per_vector=1):
    """Number of tokens that the network makes of each modality.

    Parameters
    ----------
    shapes : list of (int, int)
    tokens_per_vector : int, default=1

    Returns
    -------
    list of int
    """
    return [tokens_per_vector if n == 1 else n for n, _ in shapes]


class ModalityProjection(nn.Module):
    """One linear map a modality, from its columns to tokens of one common width.

    Modalities of one shape share a matrix product. The tokens of a sequence share
    their map and get a learned embedding of their position, without which attention
    could not tell their order.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality, in layout order.
    dim : int
        Width of the tokens that come out.
    tokens_per_vector : int, default=1
        Tokens made of a modality that is one vector.
    positions : bool, default=True
        Whether to add the embedding of the position.
    """

    def __init__(self, shapes, dim, *, tokens_per_vector=1, positions=True):
        super().__init__()
        shapes = [tuple(shape) for shape in shapes]
        self.dim = dim
        owner = token_owners(count_tokens(shapes, tokens_per_vector))
        self.widths = [n_tokens * width for n_tokens, width in shapes]
        self.shapes = list(dict.fromkeys(shapes))
        self.members = [
            [m for m, shape in enumerate(shapes) if shape == group]
            for group in self.shapes
        ]
        self.maps = nn.ModuleList(
            LinearStack(len(members), width, dim * (tokens_per_vector if n == 1 else 1))
            for members, (n, width) in zip(self.members, self.shapes)
        )
        made = [(owner == m).nonzero()[:, 0] for group in self.members for m in group]
        self.register_buffer("order", torch.argsort(torch.cat(made)), persistent=False)
        self.in_order = bool((self.order.diff() == 1).all())
        in_sequence = torch.tensor([positions and n > 1 for n, _ in shapes])[owner]
        in_sequence = in_sequence.nonzero()[:, 0]
        self.register_buffer("in_sequence", in_sequence, persistent=False)
        self.position = nn.Parameter(0.02 * torch.randn(len(in_sequence), dim))

    def forward(self, x):  # (B, D)
        blocks = x.split(self.widths, dim=1)
        made = []
        for linear, members, shape in zip(self.maps, self.members, self.shapes):
            alike = torch.stack([blocks[m] for m in members], dim=1)  # (B, G, N * d)
            made.append(linear(alike.unflatten(2, shape)))
        made = [one.flatten(1).unflatten(1, (-1, self.dim)) for one in made]
        tokens = torch.cat(made, dim=1)  # (B, T, p), modalities of one shape together
        if not self.in_order:
            tokens = tokens[:, self.order]
        if len(self.in_sequence):
            offset = tokens.new_zeros(tokens.shape[1:])
            tokens = tokens + offset.index_copy(0, self.in_sequence, self.position)
        return tokens


class SelfAttention(nn.Module):
    """Multi-head self-attention in which some tokens may not be attended to.

    Parameters
    ----------
    dim : int
        Token width; a multiple of `n_heads`.
    n_heads : int
    """

    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, key_mask, n_queries=None):  # (B, T, p), (B, T)
        """Attend; of the first `n_queries` tokens only, if that is not None."""
        qkv = self.qkv(x).unflatten(2, (3, self.n_heads, -1))  # (B, T, 3, H, p / H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, p / H)
        q = q[:, :, :n_queries]
        mask = key_mask[:, None, None, :]  # the same for all heads and queries
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))  # (B, T, p)


class AttentionLayer(nn.Module):
    """x <- LayerNorm(x + Dropout(SelfAttention(x))); no feed-forward part.

    Parameters
    ----------
    dim, n_heads : int
    dropout : float
    """

    def __init__(self, dim, n_heads, dropout):
        super().__init__()
        self.attention = SelfAttention(dim, n_heads)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x, key_mask):  # (B, T, p), (B, T)
        return self.norm(x + self.dropout(self.attention(x, key_mask)))


class ModalityMean(nn.Module):
    """Mean over the modalities that take part, each the mean of its own tokens.

    Parameters
    ----------
    n_tokens : list of int
        Number of tokens of each modality.
    """

    def __init__(self, n_tokens):
        super().__init__()
        self.vectors = all(n == 1 for n in n_tokens)
        owner = token_owners(n_tokens)
        belongs = F.one_hot(owner, len(n_tokens)).float()
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("belongs", belongs, persistent=False)

    def forward(self, x, key_mask):  # (B, T, p), (B, T)
        share = key_mask.to(x.dtype)
        if not self.vectors:
            counts = share @ self.belongs  # (B, M)
            share = share / counts.clamp(min=1)[:, self.owner]
        # A row without any token gets zeros.
        share = share / share.sum(1, keepdim=True).clamp(min=1)
        return (share[:, None, :] @ x)[:, 0]  # (B, p)


def make_head(in_dim, head_dims, n_outputs, dropout):
    """Multi-layer perceptron with ReLU and dropout after each hidden layer.

    Parameters
    ----------
    in_dim : int
    head_dims : sequence of int
        Widths of the hidden layers; empty for one linear map.
    n_outputs : int
    dropout : float

    Returns
    -------
    nn.Sequential
    """
    layers = []
    for width in head_dims:
        layers += [nn.Linear(in_dim, width), nn.ReLU(), nn.Dropout(dropout)]
        in_dim = width
    return nn.Sequential(*layers, nn.Linear(in_dim, n_outputs))


class MHSAFusion(nn.Module):
    """Fusion by self-attention over modalities: equations (4) to (8) of UL4M4.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality, in layout order.
    n_outputs : int
    hidden_dim : int, default=64
    n_heads : int, default=4
    n_layers : int, default=1
    dropout : float, default=0.1
    head_dims : sequence of int, default=()
    missing : {"mask", "zero", "token"}, default="mask"
        What stands in the slot of an absent modality.
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
        head_dims=(),
        missing="mask",
    ):
        super().__init__()
        n_tokens = [n for n, _ in shapes]
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.slots = make_slots(missing, n_tokens, hidden_dim)
        self.layers = nn.ModuleList(
            AttentionLayer(hidden_dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.pool = ModalityMean(n_tokens)
        self.project = nn.Linear(hidden_dim, hidden_dim)
        self.head = make_head(hidden_dim, head_dims, n_outputs, dropout)

    def forward(self, x, present):  # (B, D), (B, T)
        tokens = self.embed(x)  # (B, T, p)
        h, key_mask, projected = self.slots(tokens, present)
        # A softmax over nothing is NaN: a row without keys attends to all of its
        # slots, and the pooling below leaves nothing of that.
        attend = key_mask | ~key_mask.any(dim=1, keepdim=True)
        for layer in self.layers:
            h = layer(h, attend)
        fused = F.relu(self.project(self.pool(h, key_mask)))  # (B, p)
        return FusionOutput(self.head(fused), fused, tokens, present, projected)
