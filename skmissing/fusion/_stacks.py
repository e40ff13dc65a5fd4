"""Several layers of one shape side by side, each with weights of its own.

Shapes in the comments: S layers in the stack, R rows, G queries, N keys, p the width,
H heads.
"""

import torch
import torch.nn.functional as F
from torch import nn


class LinearStack(nn.Module):
    """Several linear maps of one shape, in one matrix product.

    Parameters
    ----------
    n_maps, in_dim, out_dim : int
    """

    def __init__(self, n_maps, in_dim, out_dim):
        super().__init__()
        bound = in_dim**-0.5  # as in nn.Linear
        self.weight = nn.Parameter(torch.empty(n_maps, out_dim, in_dim))
        self.bias = nn.Parameter(torch.empty(n_maps, 1, out_dim))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):  # (B, G, N, in_dim), G maps
        n_rows, n_maps, n_tokens, _ = x.shape
        if n_maps == 1:
            return F.linear(x, self.weight[0], self.bias[0, 0])
        x = self.apply_maps(x.transpose(0, 1).flatten(1, 2))  # (G, B * N, out_dim)
        return x.unflatten(1, (n_rows, n_tokens)).transpose(0, 1)  # (B, G, N, out_dim)

    def apply_maps(self, x):  # (G, ..., in_dim)
        """The same with the maps in front: `x[g]` goes through map `g`."""
        shape = x.shape[1:-1]
        x = torch.baddbmm(self.bias, x.flatten(1, -2), self.weight.transpose(1, 2))
        return x.unflatten(1, shape)  # (G, ..., out_dim)


def normalise(x):
    """Layer normalisation without weights, which a linear map that follows has."""
    return F.layer_norm(x, x.shape[-1:])


class CrossAttentionStack(nn.Module):
    """Several multi-head cross-attentions, pre-norm and with a residual.

    Each is `q + Dropout(Attention(norm(q), norm(k), norm(k)))`.

    Parameters
    ----------
    n_maps, dim, n_heads : int
    dropout : float
    one_key : bool, default=False
        There is never more than one key. It then gets all the attention whatever the
        query is, and the weights that make queries and keys are left out.
    """

    def __init__(self, n_maps, dim, n_heads, dropout, *, one_key=False):
        super().__init__()
        self.n_heads, self.one_key = n_heads, one_key
        self.value = LinearStack(n_maps, dim, dim)
        self.out = LinearStack(n_maps, dim, dim)
        if not one_key:
            self.query = LinearStack(n_maps, dim, dim)
            self.key = LinearStack(n_maps, dim, dim)
        for linear in self.children():
            bound = (3 / dim) ** 0.5  # Xavier's, of a square matrix
            nn.init.uniform_(linear.weight, -bound, bound)
            nn.init.zeros_(linear.bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries, keys, key_mask=None):
        # (S, G, p) for all rows or (S, R, G, p); (S, R, N, p), normalised; (S, R, N)
        if queries.dim() == 3:
            queries = queries[:, None]
        mixed = self.value.apply_maps(keys)
        if not self.one_key:
            mixed = self._attend(normalise(queries), keys, mixed, key_mask)
        return queries + self.dropout(self.out.apply_maps(mixed))  # (S, R, G, p)

    def _attend(self, queries, keys, values, key_mask):
        n_rows = keys.shape[1]
        q = self.query.apply_maps(queries).expand(-1, n_rows, -1, -1)
        k, v = self.key.apply_maps(keys), values
        q, k, v = (self._split(x) for x in (q, k, v))  # (S * R, H, G or N, p / H)
        if key_mask is not None:
            # A softmax over nothing is NaN; nobody looks at rows without keys.
            key_mask = key_mask | ~key_mask.any(dim=-1, keepdim=True)
            key_mask = key_mask.flatten(0, 1)[:, None, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=key_mask)
        return mixed.transpose(1, 2).flatten(2).unflatten(0, (-1, n_rows))

    def _split(self, x):  # (S, R, L, p)
        return x.flatten(0, 1).unflatten(2, (self.n_heads, -1)).transpose(1, 2)
