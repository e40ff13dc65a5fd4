"""What stands in the slot of an absent modality.

A slot policy is a module with

    forward(tokens, present) -> tokens, key_mask, projected

* `tokens` (B, T, p): the embedded tokens of all modalities, side by side. What stands
  at an absent token is meaningless and must not reach the output.
* `present` (B, T), bool: the tokens that the network may see. A modality is absent in
  a row if none of its tokens is present. An absent token of a present modality is
  padding.
* returned `tokens` (B, T, p): with every absent slot filled.
* `key_mask` (B, T), bool: the tokens that attention and pooling may use. Padding never.
* `projected` (B, T, p) or None: estimates of all tokens from the other modalities, for
  an alignment loss. The policies here make none.

A new policy is a subclass of :class:`SlotPolicy` and an entry in `SLOTS`.
"""

import torch
from torch import nn


def token_owners(n_tokens):
    """Number of the modality that each token belongs to, shape (T,)."""
    owners = [m for m, n in enumerate(n_tokens) for _ in range(int(n))]
    return torch.tensor(owners, dtype=torch.long)


class SlotPolicy(nn.Module):
    """What all policies know: whose token is whose.

    Parameters
    ----------
    n_tokens : list of int
        Number of tokens of each modality, in layout order.
    dim : int
        Width of the tokens.
    """

    def __init__(self, n_tokens, dim):
        super().__init__()
        self.n_tokens, self.dim = list(n_tokens), dim
        owner = token_owners(n_tokens)
        belongs = nn.functional.one_hot(owner, len(self.n_tokens)).float()
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("belongs", belongs, persistent=False)

    def modality_present(self, present):
        """Modalities with at least one present token, shape (B, M)."""
        if len(self.owner) == len(self.n_tokens):
            return present
        return present.to(self.belongs.dtype) @ self.belongs > 0

    def usable(self, present):
        """Every token but padding, shape (B, T)."""
        if len(self.owner) == len(self.n_tokens):
            return torch.ones_like(present)
        return present | ~self.modality_present(present)[:, self.owner]


class MaskedSlots(SlotPolicy):
    """Absent tokens get no attention and no share in the pooling."""

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        return tokens.masked_fill(~present[..., None], 0.0), present, None


class ZeroSlots(SlotPolicy):
    """Absent modalities are seen as zeros."""

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        tokens = tokens.masked_fill(~present[..., None], 0.0)
        return tokens, self.usable(present), None


class TokenSlots(SlotPolicy):
    """Absent modalities are seen as learned tokens."""

    def __init__(self, n_tokens, dim):
        super().__init__(n_tokens, dim)
        self.token = nn.Parameter(0.02 * torch.randn(len(self.owner), dim))

    def forward(self, tokens, present):  # (B, T, p), (B, T)
        tokens = torch.where(present[..., None], tokens, self.token)
        return tokens, self.usable(present), None


SLOTS = {"mask": MaskedSlots, "zero": ZeroSlots, "token": TokenSlots}


def make_slots(missing, n_tokens, dim):
    """The slot policy of a name in `SLOTS`.

    Parameters
    ----------
    missing : str
    n_tokens : list of int
    dim : int

    Returns
    -------
    SlotPolicy
    """
    return SLOTS[missing](n_tokens, dim)
