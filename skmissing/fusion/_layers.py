"""Layers of the networks: plain torch modules, without estimators.

Shapes in the comments: B samples, D columns in layout order, M modalities, T tokens of
all modalities together (T = M if every modality is a vector), hidden width p, H heads.
In stacks of layers: S layers, R samples, G queries, N keys. Masks are True for tokens
that may be used.
"""

from numbers import Integral, Real
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FusionOutput(NamedTuple):
    """Output of a fusion network.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_outputs)
        The log-odds of the second of two classes or of each label, the unnormalized
        log-probabilities of several classes, or the standardized targets.
    fused : Tensor of shape (n_samples, width), default=None
        Representation from which the logits are computed. Only needed by
        `criterion__consistency="align"`.
    losses : dict of str to Tensor, default=None
        Further scalar terms of the loss, by name. They are added to the loss of the
        task.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import FusionOutput
    >>> FusionOutput(torch.zeros(8, 1)).logits.shape
    torch.Size([8, 1])
    """

    logits: Tensor
    fused: Tensor | None = None
    losses: dict | None = None


def token_owners(n_tokens):
    """Number of the modality of each token, shape (T,)."""
    return torch.arange(len(n_tokens)).repeat_interleave(torch.tensor(n_tokens))


def check_sizes(hidden_dim, n_heads=1, *, dropout=0.0, **sizes):
    """Check sizes and dropout of a network. `n_heads` must divide `hidden_dim`."""
    if not isinstance(dropout, Real) or not 0 <= dropout < 1:
        raise ValueError(f"dropout must be a number in [0, 1); got {dropout!r}.")
    sizes = {"hidden_dim": hidden_dim, "n_heads": n_heads, **sizes}
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be a positive integer; got {size!r}.")
    if hidden_dim % n_heads:
        raise ValueError(
            f"hidden_dim={hidden_dim} must be a multiple of n_heads={n_heads}."
        )


def check_weights(**weights):
    """Check that factors of losses are finite numbers >= 0."""
    for name, weight in weights.items():
        if not isinstance(weight, Real) or not 0 <= weight < float("inf"):
            raise ValueError(f"{name} must be a finite number >= 0; got {weight!r}.")


class LinearStack(nn.Module):
    """Several linear maps of one shape. Map `s` is applied to `x[s]`."""

    def __init__(self, n_maps, in_dim, out_dim):
        super().__init__()
        bound = in_dim**-0.5  # as in nn.Linear
        self.weight = nn.Parameter(torch.empty(n_maps, out_dim, in_dim))
        self.bias = nn.Parameter(torch.empty(n_maps, 1, out_dim))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):  # (S, ..., in_dim)
        if len(x) == 1:
            return F.linear(x, self.weight[0], self.bias[0, 0])
        shape = x.shape[1:-1]
        x = torch.baddbmm(self.bias, x.flatten(1, -2), self.weight.transpose(1, 2))
        return x.unflatten(1, shape)  # (S, ..., out_dim)


class ModalityProjection(nn.Module):
    """One linear map per modality, from its columns to tokens of a common width.

    Modalities of equal shape are computed by one matrix product. The tokens of a
    sequence share a map. A learned embedding of the position is added, because
    attention ignores the order of tokens.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality, in layout order.
    dim : int
        Width of the resulting tokens.
    tokens_per_vector : int, default=1
        Number of tokens per modality that is a single vector.
    positions : bool, default=True
        Whether to add the embedding of the position.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import ModalityProjection
    >>> embed = ModalityProjection([(1, 5), (3, 2)], 8)  # a vector and a sequence
    >>> embed(torch.randn(10, 11)).shape
    torch.Size([10, 4, 8])
    """

    def __init__(self, shapes, dim, *, tokens_per_vector=1, positions=True):
        super().__init__()
        shapes = [tuple(shape) for shape in shapes]
        self.dim = dim
        owner = token_owners([tokens_per_vector if n == 1 else n for n, _ in shapes])
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

    def forward(self, x):
        """Make tokens.

        Parameters
        ----------
        x : Tensor of shape (B, D)
            Standardized columns in layout order.

        Returns
        -------
        Tensor of shape (B, T, dim)
            In the order of the layout.
        """
        blocks, made = x.split(self.widths, dim=1), []
        for linear, members, shape in zip(self.maps, self.members, self.shapes):
            alike = torch.stack([blocks[m] for m in members])  # (S, B, N * d)
            alike = linear(alike.unflatten(2, shape)).transpose(0, 1)  # (B, S, N, p)
            made.append(alike.flatten(1).unflatten(1, (-1, self.dim)))
        tokens = torch.cat(made, dim=1)  # (B, T, p), modalities of one shape together
        if not self.in_order:
            tokens = tokens[:, self.order]
        if len(self.in_sequence):
            offset = tokens.new_zeros(tokens.shape[1:])
            tokens = tokens + offset.index_copy(0, self.in_sequence, self.position)
        return tokens


class ModalityMean(nn.Module):
    """Mean over the observed modalities of the means of their tokens.

    Parameters
    ----------
    n_tokens : list of int
        Number of tokens of each modality.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import ModalityMean
    >>> tokens = torch.tensor([[[1.0], [3.0], [5.0]]])
    >>> mask = torch.tensor([[True, True, True]])
    >>> ModalityMean([1, 2])(tokens, mask)  # of 1, and of the mean of 3 and 5
    tensor([[2.5000]])
    """

    def __init__(self, n_tokens):
        super().__init__()
        self.vectors = all(n == 1 for n in n_tokens)
        owner = token_owners(n_tokens)
        belongs = F.one_hot(owner, len(n_tokens)).float()
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("belongs", belongs, persistent=False)

    def forward(self, tokens, mask):
        """Average tokens.

        Parameters
        ----------
        tokens : Tensor of shape (B, T, p)
            Tokens of all modalities.
        mask : Tensor of shape (B, T), dtype bool
            The tokens to average.

        Returns
        -------
        Tensor of shape (B, p)
            Zeros for samples without any token.
        """
        share = mask.to(tokens.dtype)
        if not self.vectors:
            counts = share @ self.belongs  # (B, M)
            share = share / counts.clamp(min=1)[:, self.owner]
        share = share / share.sum(1, keepdim=True).clamp(min=1)
        return (share[:, None, :] @ tokens)[:, 0]


class ModalityVectors(nn.Module):
    """One vector per modality, the mean of its observed tokens."""

    def __init__(self, n_tokens):
        super().__init__()
        self.vectors = all(n == 1 for n in n_tokens)
        belongs = F.one_hot(token_owners(n_tokens), len(n_tokens)).float()
        self.register_buffer("belongs", belongs, persistent=False)

    def forward(self, tokens, mask):  # (..., T, p), (..., T)
        # Returns vectors (..., M, p), 0 where missing, and their mask (..., M).
        tokens = tokens.masked_fill(~mask[..., None], 0.0)
        if self.vectors:
            return tokens, mask
        counts = mask.to(tokens.dtype) @ self.belongs
        sums = self.belongs.T @ tokens
        return sums / counts.clamp(min=1)[..., None], counts > 0


class SelfAttention(nn.Module):
    """Multi-head self-attention with a mask of the tokens to attend to."""

    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, key_mask, n_queries=None):  # (B, T, p), (B, T)
        """Attend, with the first `n_queries` tokens as queries, or all if None."""
        qkv = self.qkv(x).unflatten(2, (3, self.n_heads, -1))  # (B, T, 3, H, p / H)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, T, p / H)
        q = q[:, :, :n_queries]
        mask = key_mask[:, None, None, :]  # the same for all heads and queries
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))  # (B, T, p)


class PreNormLayer(nn.Module):
    """x <- x + SelfAttention(norm(x)), x <- x + FeedForward(norm(x)), with dropout."""

    def __init__(self, dim, n_heads, dropout):
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, n_heads)
        self.feed_norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 2 * dim)
        self.narrow = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, key_mask, n_queries=None):  # (B, T, p), (B, T)
        """Update the first `n_queries` tokens, or all if None."""
        mixed = self.attention(self.attention_norm(x), key_mask, n_queries)
        x = x[:, :n_queries] + self.dropout(mixed)
        wide = self.dropout(F.gelu(self.widen(self.feed_norm(x))))
        return x + self.dropout(self.narrow(wide))


def normalize(x):
    """Layer normalization without weights, for use before a linear map."""
    return F.layer_norm(x, x.shape[-1:])


class CrossAttentionStack(nn.Module):
    """Several multi-head maps q + Dropout(Attention(norm(q), norm(k), norm(k)))."""

    def __init__(self, n_maps, dim, n_heads, dropout, *, one_key=False):
        super().__init__()
        self.n_heads, self.one_key = n_heads, one_key
        self.value = LinearStack(n_maps, dim, dim)
        self.out = LinearStack(n_maps, dim, dim)
        if not one_key:  # a single key always gets all the attention
            self.query = LinearStack(n_maps, dim, dim)
            self.key = LinearStack(n_maps, dim, dim)
        for linear in self.children():
            bound = (3 / dim) ** 0.5  # Xavier's, of a square matrix
            nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(linear.bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries, keys, key_mask=None):
        # (S, G, p) for all samples or (S, R, G, p); (S, R, N, p), normalized; (S, R, N)
        if queries.dim() == 3:
            queries = queries[:, None]
        mixed = self.value(keys)
        if not self.one_key:
            mixed = self._attend(normalize(queries), keys, mixed, key_mask)
        return queries + self.dropout(self.out(mixed))  # (S, R, G, p)

    def _attend(self, queries, keys, values, key_mask):
        n_rows = keys.shape[1]
        q = self.query(queries).expand(-1, n_rows, -1, -1)
        q, k, v = (
            x.flatten(0, 1).unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for x in (q, self.key(keys), values)
        )  # (S * R, H, G or N, p / H)
        if key_mask is not None:
            # A softmax over no keys is NaN. Samples without keys are not used.
            key_mask = key_mask | ~key_mask.any(dim=-1, keepdim=True)
            key_mask = key_mask.flatten(0, 1)[:, None, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=key_mask)
        return mixed.transpose(1, 2).flatten(2).unflatten(0, (-1, n_rows))


class SlotPolicy(nn.Module):
    """Base class of layers that replace the tokens of missing modalities.

    `forward(tokens, present)` takes the embedded tokens (B, T, p) and a mask of the
    observed tokens (B, T). A modality is missing if none of its tokens is observed. In
    an observed modality, other tokens are padding. The method returns the filled
    tokens, and a mask (B, T) of the tokens for attention and pooling. The mask is
    always False for padding.
    """

    def __init__(self, n_tokens, dim):
        super().__init__()
        self.n_tokens, self.dim = list(n_tokens), dim
        owner = token_owners(n_tokens)
        belongs = F.one_hot(owner, len(self.n_tokens)).float()
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("belongs", belongs, persistent=False)

    def modality_present(self, present):
        """Modalities with at least one observed token, shape (B, M)."""
        if len(self.owner) == len(self.n_tokens):
            return present
        return present.to(self.belongs.dtype) @ self.belongs > 0

    def usable(self, present):
        """All tokens except padding, shape (B, T)."""
        if len(self.owner) == len(self.n_tokens):
            return torch.ones_like(present)
        return present | ~self.modality_present(present)[:, self.owner]


class MaskedSlots(SlotPolicy):
    """Missing modalities are excluded from attention and from the mean."""

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        return tokens.masked_fill(~present[..., None], 0.0), present


class ZeroSlots(SlotPolicy):
    """Missing modalities are zeros."""

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        tokens = tokens.masked_fill(~present[..., None], 0.0)
        return tokens, self.usable(present)


class TokenSlots(SlotPolicy):
    """Missing modalities are learned tokens."""

    def __init__(self, n_tokens, dim):
        super().__init__(n_tokens, dim)
        self.token = nn.Parameter(0.02 * torch.randn(len(self.owner), dim))

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        tokens = torch.where(present[..., None], tokens, self.token)
        return tokens, self.usable(present)


SLOTS = {"mask": MaskedSlots, "zero": ZeroSlots, "token": TokenSlots}
