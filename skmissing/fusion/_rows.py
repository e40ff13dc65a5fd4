"""Rows as whole tensors, and batches sliced from them."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(eq=False)
class TokenRows(torch.utils.data.Dataset):
    """Rows for a network, as whole tensors.

    Attributes
    ----------
    values : Tensor of shape (n_rows, n_columns)
        Standardised, in layout order, 0 where nothing was observed.
    tokens : Tensor of shape (n_rows, n_tokens), dtype bool
        The tokens that are present.
    targets : Tensor of shape (n_rows,) or (n_rows, n_outputs)
    weight : Tensor of shape (n_rows,)
        Weights of the rows' losses, with mean 1.
    """

    values: torch.Tensor
    tokens: torch.Tensor
    targets: torch.Tensor
    weight: torch.Tensor

    def __len__(self):
        return len(self.values)

    def to(self, device):
        """The same rows on a device."""
        return TokenRows(*(t.to(device) for t in vars(self).values()))


class Batches:
    """Iterates over slices of whole tensors; nothing is collated row by row.

    Parameters
    ----------
    rows : TokenRows
    batch_size : int
        The largest size: batches are made as equal as can be, so that no small one
        at the end takes a noisy step.
    masking : Masking or None
    rng : RandomState or None
        Shuffles and masks the rows, anew in every pass; None keeps their order.
    """

    def __init__(self, rows, batch_size, masking=None, rng=None):
        self.rows, self.batch_size = rows, batch_size
        self.masking, self.rng = masking, rng
        self._tokens = rows.tokens.cpu().numpy()

    def __len__(self):
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self):
        rows, device = self.rows, self.rows.values.device
        n_rows = len(rows)
        order = np.arange(n_rows) if self.rng is None else self.rng.permutation(n_rows)
        present = rows.tokens
        if self.masking is not None:
            batch = np.empty(n_rows, dtype=np.intp)
            batch[order] = np.arange(n_rows) * len(self) // n_rows
            present = self.masking(self._tokens, self.rng, batch)
            present = torch.from_numpy(present).to(device)
        ends = -(-np.arange(1, len(self)) * n_rows // len(self))
        for index in np.split(order, ends):
            index = torch.from_numpy(index).to(device)
            yield (
                {"x": rows.values[index], "present": present[index]},
                {
                    "y": rows.targets[index],
                    "weight": rows.weight[index],
                    "observed": rows.tokens[index],
                },
            )
