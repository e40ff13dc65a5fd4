"""Estimation of the tokens of missing modalities from observed modalities.

Shapes in the comments: B samples, M modalities, T tokens of all modalities, N tokens of
the longest modality, G aggregated tokens, width p, C samples that need the estimate of
one modality, K = M - 1 sources of each modality.
"""

import torch
import torch.nn.functional as F
from torch import nn

from skmissing.fusion._layers import (
    CrossAttentionStack,
    LinearStack,
    SlotPolicy,
    normalize,
    token_owners,
)

KINDS = ("cross_attention", "linear")


class CrossAttentionProjection(nn.Module):
    """Equations (2) to (6) of masked modality projection."""

    def __init__(self, n_tokens, dim, n_aggregated_tokens, n_heads, dropout):
        super().__init__()
        size, one_key = len(n_tokens), max(n_tokens) == 1
        shape = size, n_aggregated_tokens, dim
        self.aggregated = nn.Parameter(0.02 * torch.randn(shape))
        self.aggregate = CrossAttentionStack(
            size, dim, n_heads, dropout, one_key=one_key
        )
        self.project = CrossAttentionStack(size, dim, n_heads, dropout)
        self.refine = CrossAttentionStack(size, dim, n_heads, dropout, one_key=one_key)
        n_sources = (size - 1) * n_aggregated_tokens
        mix = torch.randn(size, max(n_tokens), n_sources)
        self.mix = nn.Parameter(mix / n_sources**0.5)
        self.widen = LinearStack(size, dim, 2 * dim)
        self.narrow = LinearStack(size, 2 * dim, dim)

    def forward(self, tokens, seen, pairs, share):
        # (B, M, N, p), (B, M, N), (M, C, K) positions in B * M, (M, C, K)
        n_targets, n_rows, n_sources = pairs.shape
        tokens = normalize(tokens)
        known = tokens.transpose(0, 1), seen.transpose(0, 1)
        aggregated = self.aggregate(self.aggregated, *known)  # (M, B, G, p)
        aggregated = normalize(aggregated).transpose(0, 1)
        keys, sources = take(aggregated, pairs), take(tokens, pairs)
        z = self.project(self.aggregated, keys)  # (M, C * K, G, p)
        z = self.refine(z, sources, take(seen, pairs))
        z = z.unflatten(1, (n_rows, n_sources)) * share[..., None, None]
        mixed = self.mix[:, None] @ z.flatten(2, 3)  # (M, C, N, p)
        return self.narrow(F.gelu(self.widen(normalize(mixed))))


class LinearProjection(nn.Module):
    """One linear map per pair of modalities, summed over the observed modalities."""

    def __init__(self, n_tokens, dim):
        super().__init__()
        size, most = len(n_tokens), max(n_tokens)
        self.mix = self.offset = None
        if most > 1:
            self.mix = nn.Parameter(torch.randn(size, size - 1, most, most))
            for m in range(size):
                others = [n for k, n in enumerate(n_tokens) if k != m]
                for weight, n in zip(self.mix.data[m], others):
                    weight *= n**-0.5
            self.offset = nn.Parameter(torch.zeros(size, 1, most, dim))
        self.maps = LinearStack(size, (size - 1) * dim, dim)

    def forward(self, tokens, seen, pairs, share):
        n_targets, n_rows, n_sources = pairs.shape
        z = take(tokens, pairs).unflatten(1, (n_rows, n_sources))  # (M, C, K, N, p)
        if self.mix is not None:
            z = self.mix[:, None] @ z
        z = z * share[..., None, None]
        # One map for the concatenated tokens of all sources.
        made = self.maps(z.transpose(2, 3).flatten(3))  # (M, C, N, p)
        return made if self.offset is None else made + self.offset


def take(x, pairs):  # (B, M, ...), (M, C, K)
    """Values of pairs of a sample and a source, shape (M, C * K, ...)."""
    taken = x.flatten(0, 1).index_select(0, pairs.flatten())
    return taken.unflatten(0, (len(pairs), -1))


class ModalityProjector(nn.Module):
    """Fill the slots of missing modalities with tokens projected from other modalities.

    This is the projector of masked modality projection [1]_. Use it between the
    embedding layers and the fusion of any network.

    Parameters
    ----------
    n_tokens : list of int
        Number of tokens of each modality, at least two modalities.
    dim : int
        Width of the projector, and of the tokens unless `widths` is given.
    widths : list of int, default=None
        Widths of the tokens of each modality, if they differ. Input and output are then
        lists of tensors.
    kind : {"cross_attention", "linear"}, default="cross_attention"
        The projection of the paper, or a linear map for each pair of modalities.
    n_aggregated_tokens : int, default=8
        Number of learned tokens that summarize a modality.
    n_heads : int, default=4
        Number of heads of the cross-attention.
    dropout : float, default=0.1
        Dropout rate after a cross-attention.

    Notes
    -----
    Let A be the learned tokens of each modality, and CA(q, k) = q + Attention(LN(q),
    LN(k)). A missing modality m is estimated from each observed modality k:

        A'_k = CA(A_k, T_k);  Z = CA(A_m, A'_k);  R_k = CA(Z, T_k)

    The R_k are concatenated, with zeros where k is missing, and scaled so that the sum
    does not depend on the number of observed modalities. A linear map over these tokens
    computes the number of tokens of m, and a multi-layer perceptron the estimate. The
    paper does not specify where the norm and the residual are, or how to treat a
    varying number of sources.

    The weights differ by target, or by source in the first step. Estimates are computed
    for missing modalities only, so complete samples are returned unchanged at no cost.

    References
    ----------
    .. [1] Nezakati, N., Reza, M. K., Patil, A., Solh, M. and Asif, M. S. "MMP: Towards
       robust multi-modal learning with masked modality projection." arXiv:2410.03010,
       equations (1) to (8).

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import ModalityProjector, alignment_loss
    >>> projector = ModalityProjector([1, 4], 16)  # a vector and a sequence
    >>> tokens = torch.randn(3, 5, 16)
    >>> seen = torch.tensor([[True, True], [True, False], [False, True]])
    >>> filled = projector(tokens, seen)
    >>> torch.equal(filled[0], tokens[0]), torch.equal(filled[1, 1:], tokens[1, 1:])
    (True, False)
    >>> alignment_loss(tokens, filled, seen, n_tokens=[1, 4]) > 0
    tensor(True)
    """

    def __init__(
        self,
        n_tokens,
        dim,
        *,
        widths=None,
        kind="cross_attention",
        n_aggregated_tokens=8,
        n_heads=4,
        dropout=0.1,
    ):
        super().__init__()
        self.n_tokens, self.dim = [int(n) for n in n_tokens], dim
        # Whether to estimate all modalities of all samples, even if they are not used.
        # For exported graphs, whose shapes must not depend on values.
        self.dense = False
        self._check(widths, kind, n_heads)
        size, most = len(self.n_tokens), max(self.n_tokens)
        if kind == "linear":
            self.estimator = LinearProjection(self.n_tokens, dim)
        else:
            self.estimator = CrossAttentionProjection(
                self.n_tokens, dim, n_aggregated_tokens, n_heads, dropout
            )
        self.enter = self.leave = None
        if widths is not None:
            self.enter = nn.ModuleList(nn.Linear(width, dim) for width in widths)
            self.leave = nn.ModuleList(nn.Linear(dim, width) for width in widths)
        counts = torch.tensor(self.n_tokens)
        steps = torch.arange(most)
        start = counts.cumsum(0) - counts
        # Positions of the tokens of each modality, padded with the last one.
        place = start[:, None] + torch.minimum(steps, counts[:, None] - 1)
        others = [[k for k in range(size) if k != m] for m in range(size)]
        buffers = {
            "owner": token_owners(self.n_tokens),
            "place": place,
            "real": steps < counts[:, None],
            "others": torch.tensor(others),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def _check(self, widths, kind, n_heads):
        if len(self.n_tokens) < 2 or min(self.n_tokens) < 1:
            raise ValueError(
                "n_tokens must hold one positive number for each of at least two "
                f"modalities; got {self.n_tokens}."
            )
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}; got {kind!r}.")
        if kind == "cross_attention" and self.dim % n_heads:
            raise ValueError(f"dim={self.dim} must be a multiple of n_heads={n_heads}.")
        if widths is not None and len(widths) != len(self.n_tokens):
            raise ValueError(
                f"widths must hold one number for each of the {len(self.n_tokens)} "
                f"modalities; got {len(widths)}."
            )

    def forward(self, tokens, present):
        """Fill the slots of missing modalities.

        Parameters
        ----------
        tokens : Tensor of shape (B, T, dim)
            The concatenated tokens of all modalities. Tokens of missing modalities may
            have any value. With `widths`, a list of tensors of shape
            (B, n_tokens, width).
        present : Tensor of shape (B, M) or (B, T), dtype bool
            Mask of the observed modalities or tokens. A missing token of an observed
            modality is padding: it is not a source, and is returned as zeros.

        Returns
        -------
        Tensor of shape (B, T, dim), or list of Tensor
            Like `tokens`, with estimates of missing modalities. All samples without any
            modality have the same estimates.
        """
        present = self._by_token(present)
        return self._fill(tokens, present, ~self._by_modality(present))

    def project(self, tokens, present):
        """Estimate every modality from the others, including observed modalities.

        Parameters
        ----------
        tokens : Tensor of shape (B, T, dim), or list of Tensor
            As in :meth:`forward`.
        present : Tensor of shape (B, M) or (B, T), dtype bool
            Mask of the observed modalities or tokens.

        Returns
        -------
        Tensor of shape (B, T, dim), or list of Tensor
            The estimates.
        """
        present = self._by_token(present)
        every = torch.ones_like(self._by_modality(present))
        return self._fill(tokens, present, every)

    def _by_token(self, present):
        """Presence of each token, from the presence of tokens or modalities."""
        if present.shape[1] == len(self.owner):
            return present
        if present.shape[1] == len(self.n_tokens):
            return present[:, self.owner]
        raise ValueError(
            f"present must have a column for each of the {len(self.n_tokens)} "
            f"modalities or of their {len(self.owner)} tokens; got "
            f"{present.shape[1]}."
        )

    def _by_modality(self, present):
        return (present[:, self.place] & self.real).any(dim=2)

    def _fill(self, tokens, present, wanted):
        """Fill in estimates where `wanted` (B, M) is True."""
        if self.enter is None:
            tokens = tokens.masked_fill(~present[..., None], 0.0)
            return self._estimate(tokens, present, wanted)
        parts = present.split(self.n_tokens, dim=1)
        tokens = [t.masked_fill(~p[..., None], 0.0) for t, p in zip(tokens, parts)]
        inner = torch.cat([enter(t) for enter, t in zip(self.enter, tokens)], dim=1)
        inner = self._estimate(inner, present, wanted).split(self.n_tokens, dim=1)
        back = [leave(t) for leave, t in zip(self.leave, inner)]
        return [
            torch.where(wanted[:, m, None, None], back[m], tokens[m])
            for m in range(len(tokens))
        ]

    def _estimate(self, tokens, present, wanted):
        """Compute the wanted estimates, for samples that need an estimate."""
        if self.dense:
            return self._estimate_all(tokens, present, wanted)
        needy = wanted.any(dim=1).nonzero()[:, 0]
        if not len(needy):
            return tokens
        wanted, blocks = wanted[needy].T, tokens[needy][:, self.place]  # (B, M, N, p)
        seen = present[needy][:, self.place] & self.real  # (B, M, N)
        blocks = blocks.masked_fill(~seen[..., None], 0.0)
        # The same number of samples per target. Samples that need it come first.
        size = int(wanted.sum(dim=1).max())
        rows = wanted.byte().argsort(dim=1, descending=True, stable=True)[:, :size]
        pairs = rows[:, :, None] * len(wanted) + self.others[:, None]  # (M, C, K)
        share = seen.any(dim=2).flatten()[pairs].to(tokens.dtype)
        n_sources = share.sum(dim=2, keepdim=True).clamp(min=1)
        made = self.estimator(blocks, seen, pairs, share * pairs.shape[2] / n_sources)
        kept = wanted.gather(1, rows)[..., None] & self.real[:, None]  # (M, C, N)
        target = needy[rows][..., None] * tokens.shape[1] + self.place[:, None]
        kept = kept.flatten().nonzero()[:, 0]
        made = made.flatten(0, 2).index_select(0, kept)
        filled = tokens.flatten(0, 1).index_copy(0, target.flatten()[kept], made)
        return filled.unflatten(0, tokens.shape[:2])

    def _estimate_all(self, tokens, present, wanted):
        """Like `_estimate`, but compute all estimates."""
        seen = present[:, self.place] & self.real  # (B, M, N)
        blocks = tokens[:, self.place].masked_fill(~seen[..., None], 0.0)
        n_samples, size = wanted.shape
        rows = torch.arange(n_samples, device=tokens.device)[:, None]
        pairs = rows * size + self.others[:, None]  # (M, B, K)
        share = seen.any(dim=2).flatten()[pairs].to(tokens.dtype)
        n_sources = share.sum(dim=2, keepdim=True).clamp(min=1)
        made = self.estimator(blocks, seen, pairs, share * pairs.shape[2] / n_sources)
        made = made.transpose(0, 1)[:, self.real]  # (M, B, N, p) -> (B, T, p)
        return torch.where(wanted[:, self.owner, None], made, tokens)


def alignment_loss(tokens, filled, present, observed=None, *, n_tokens):
    """Compute the mean smooth L1 distance between estimated and real tokens.

    Parameters
    ----------
    tokens : Tensor of shape (B, T, p), or list of Tensor
        The real tokens. They get no gradient. Otherwise, embedding layers could lower
        the loss by making all tokens equal.
    filled : Tensor of shape (B, T, p), or list of Tensor
        The output of :class:`ModalityProjector`.
    present : Tensor of shape (B, M) or (B, T), dtype bool
        Mask of the modalities or tokens that were not hidden from the projector.
    observed : Tensor of the same shape, dtype bool, default=None
        Mask of the observed modalities or tokens. None is all.
    n_tokens : list of int
        Number of tokens of each modality.

    Returns
    -------
    Tensor of shape ()
        The mean over tokens, then over the hidden modalities of a sample, then over
        samples with hidden modalities. 0 if no modality is hidden.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import alignment_loss
    >>> tokens, filled = torch.zeros(1, 2, 3), torch.ones(1, 2, 3)
    >>> seen = torch.tensor([[True, False]])
    >>> alignment_loss(tokens, filled, seen, n_tokens=[1, 1])
    tensor(0.5000)
    """
    if torch.is_tensor(tokens):
        tokens, filled = [tokens], [filled]
    error = torch.cat(
        [
            F.smooth_l1_loss(made, real.detach(), reduction="none").mean(dim=2)
            for made, real in zip(filled, tokens)
        ],
        dim=1,
    )
    return mean_of_hidden(error, present, observed, n_tokens)


def mean_of_hidden(error, present, observed, n_tokens):  # (B, T), then masks
    """Mean over tokens, then hidden modalities, then samples with hidden modalities."""
    owner = token_owners(n_tokens).to(error.device)
    observed = torch.ones_like(present) if observed is None else observed
    if present.shape[1] != len(owner):
        present, observed = present[:, owner], observed[:, owner]
    belongs = F.one_hot(owner, len(n_tokens)).to(error.dtype)
    seen = present.to(error.dtype) @ belongs > 0
    hidden = (observed & ~seen[:, owner]).to(error.dtype)
    counts = hidden @ belongs  # (B, M)
    by_modality = (error * hidden) @ belongs / counts.clamp(min=1)
    n_hidden = (counts > 0).sum(dim=1)
    by_row = by_modality.sum(dim=1) / n_hidden.clamp(min=1)
    return by_row.sum() / (n_hidden > 0).sum().clamp(min=1)


class ProjectedSlots(SlotPolicy):
    """Missing modalities are estimated from the other modalities."""

    def __init__(self, n_tokens, dim, **params):
        super().__init__(n_tokens, dim)
        self.projector = ModalityProjector(n_tokens, dim, **params)

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        return self.projector(tokens, present), self.usable(present)
