"""Which of the present modalities the network may see while it is trained."""

from dataclasses import dataclass

import numpy as np

from skmissing._masking import POLICIES, draw_subsets

__all__ = ["LEVELS", "POLICIES", "Masking"]

LEVELS = ("sample", "batch")


@dataclass(frozen=True)
class Masking:
    """Hides present modalities, anew at every call; never all that a row has.

    Attributes
    ----------
    n_tokens : tuple of int
        Number of tokens of each modality, in layout order.
    probability : float
        The chance that a row, or at level "batch" a batch, is masked at all. With
        `policy="bernoulli"` all are, and this is the chance that a modality is
        dropped.
    policy : {"uniform_size", "uniform_subset", "bernoulli"}
        As for :func:`skmissing._masking.draw_subsets`.
    level : {"sample", "batch"}
        Whether each row has a draw of its own, or all rows of a batch share one. In
        the second case a row that would be left with nothing keeps all that it has.
    """

    n_tokens: tuple
    probability: float = 0.5
    policy: str = "uniform_size"
    level: str = "sample"

    def __call__(self, tokens, rng, batch=None):
        """Draw the tokens that stay.

        Parameters
        ----------
        tokens : ndarray of shape (n_rows, n_tokens), dtype bool
            The tokens that are there.
        rng : RandomState
        batch : ndarray of shape (n_rows,) or None
            Number of the batch that each row is in, from 0 on. None draws by row
            whatever the level.

        Returns
        -------
        ndarray of shape (n_rows, n_tokens), dtype bool
        """
        if self.probability == 0:
            return tokens
        starts = np.cumsum(self.n_tokens) - self.n_tokens
        present = np.logical_or.reduceat(tokens, starts, axis=1)
        if self.level == "batch" and batch is not None:
            every = np.ones((batch.max() + 1, len(starts)), dtype=bool)
            keep = present & self._draw(every, rng)[batch]
            keep = np.where(keep.any(axis=1, keepdims=True), keep, present)
        else:
            keep = self._draw(present, rng)
        return tokens & np.repeat(keep, self.n_tokens, axis=1)

    def _draw(self, present, rng):
        if self.policy == "bernoulli":
            return draw_subsets(
                present, rng, policy="bernoulli", drop_probability=self.probability
            )
        keep = present.copy()
        masked = np.flatnonzero(rng.random_sample(len(present)) < self.probability)
        keep[masked] = draw_subsets(present[masked], rng, policy=self.policy)
        return keep
