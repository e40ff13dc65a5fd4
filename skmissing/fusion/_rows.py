"""Rows as whole tensors, batches sliced from them, and rows held out."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split


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


def name_rarest(classes, counts, most=5):
    """Rows of each class, the rarest first, for messages."""
    order = np.argsort(counts, kind="stable")[:most]
    named = str(dict(zip(classes[order].tolist(), counts[order].tolist())))
    return named + f" and {len(counts) - most} classes more" * (len(counts) > most)


def split_rows(n_rows, labels, classes, fraction, seed):
    """Split rows in those to train on and those to validate on.

    Parameters
    ----------
    n_rows : int
    labels : ndarray of shape (n_rows,) or None
        Number of each row's class. Both parts have their share of every class, and
        at least one row. None splits at random.
    classes : ndarray of shape (n_classes,) or None
        Their names.
    fraction : float
        Share of the second part.
    seed : int

    Returns
    -------
    train, valid : ndarray of int

    Raises
    ------
    ValueError
        If there are too few rows, of a class or for one of the parts.
    """
    least, wanted = 1, "1"
    if labels is not None:
        counts = np.bincount(labels, minlength=len(classes))
        lonely = classes[counts == 1].tolist()
        if lonely:
            raise ValueError(
                "early_stopping=True needs at least two rows of each class, one to "
                f"train on and one to validate on; these have one row: {lonely}."
            )
        least = int((counts > 0).sum())
        wanted = (
            f"{least}, one of each class, and as many to validate on; rows by class: "
            f"{name_rarest(classes, counts)}"
        )
    n_valid = max(int(np.ceil(fraction * n_rows)), least)
    if n_rows - n_valid < least:
        raise ValueError(
            f"validation_fraction={fraction} of {n_rows} rows leaves "
            f"{n_rows - n_valid} to train on; wanted is at least {wanted}."
        )
    train, valid = train_test_split(
        np.arange(n_rows), test_size=n_valid, stratify=labels, random_state=seed
    )
    if labels is not None:
        valid, train = _lend(valid, train, labels)
        train, valid = _lend(train, valid, labels)
    return train, valid


def _lend(poor, rich, labels):
    """Move one row of each class that only the second part has to the first."""
    codes, first = np.unique(labels[rich], return_index=True)
    moved = first[~np.isin(codes, labels[poor])]
    return np.append(poor, rich[moved]), np.delete(rich, moved)
