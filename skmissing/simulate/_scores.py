"""What a mechanism goes by: one score a row and modality, standardised in training."""

import warnings
from collections import Counter

import numpy as np

from skmissing._blocks import fit_scaler
from skmissing._table import ModalityTable
from skmissing.simulate._mechanisms import (
    block_levels,
    solve_intercept,
    spread_scores,
)


class LevelScores:
    """Scores from the values of modalities: of one for all, or of each for itself.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    layout : ModalityLayout
    presence, holes : ndarray
        As :func:`skmissing._blocks.find_presence` returns them.
    driver : int or None
        The modality that drives all others; None, if each drives itself.
    """

    def __init__(self, X, layout, presence, holes, driver):
        self.layout, self.driver = layout, driver
        self.scaler = fit_scaler(
            ModalityTable(X, layout, presence=presence, partial=holes)
        )
        levels = block_levels(X, layout, self.scaler)
        seen = ~np.isnan(levels)
        n_seen = np.maximum(seen.sum(axis=0), 1)
        self.mean = np.where(seen, levels, 0).sum(axis=0) / n_seen
        spread = np.where(seen, levels - self.mean, 0)
        deviation = np.sqrt((spread**2).sum(axis=0) / n_seen)
        flat = deviation <= 1e-12
        self.deviation = np.where(flat, np.inf, deviation)
        used = range(len(layout)) if driver is None else [driver]
        names = [repr(layout.names[m]) for m in used if flat[m]]
        if names:
            warnings.warn(
                f"{len(names)} modalities that should drive the mechanism have one "
                f"value in all rows: {', '.join(names[:5])}. What they drive is hidden "
                "at random.",
                stacklevel=5,
            )

    def __call__(self, X, values=None):
        """Scores of the rows of X, shape (n_samples, n_modalities); 0 where unknown."""
        levels = block_levels(X, self.layout, self.scaler)
        scores = np.nan_to_num((levels - self.mean) / self.deviation)
        if self.driver is None:
            return scores
        return np.repeat(scores[:, [self.driver]], len(self.layout), axis=1)


class StratumScores:
    """Scores from the class or the group that a row belongs to.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
    n_modalities : int
    rng : RandomState
        Shuffles the strata.
    what : str
        Names them in messages.
    """

    def __init__(self, values, n_modalities, rng, what):
        self.what = what
        values = [v for v in values.tolist() if v == v]
        try:
            self.strata = sorted(set(values))
        except TypeError:
            raise TypeError(
                f"The {what} of the rows must be all numbers or all strings; got "
                f"{sorted({type(v).__name__ for v in values})}."
            ) from None
        if len(self.strata) < 2:
            warnings.warn(
                f"All rows have the same {what}, {self.strata!r}; modalities are "
                "hidden at random.",
                stacklevel=5,
            )
        counter = Counter(values)
        counts = np.array([counter[v] for v in self.strata] or [1])
        self.table = spread_scores(counts, n_modalities, rng)

    def __call__(self, X, values):
        """Scores of the rows, shape (n_samples, n_modalities); 0 where not known."""
        code = {v: i for i, v in enumerate(self.strata)}
        values = values.tolist()
        found = np.array([code.get(v, -1) for v in values])
        new = {v for v, i in zip(values, found) if i < 0 and v == v}
        if new:
            n_new = sum(v in new for v in values)
            shown = ", ".join(sorted(map(repr, new))[:5])
            warnings.warn(
                f"{n_new} rows have a {self.what} that fit did not see ({shown}); they "
                "lose modalities at the average rate.",
                stacklevel=5,
            )
        return np.where(found[:, None] >= 0, self.table[found], 0.0)


class TargetScores:
    """Scores from a continuous target: its standardised value, for all modalities.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
    n_modalities : int
    """

    def __init__(self, values, n_modalities):
        self.n_modalities = n_modalities
        self.mean, self.deviation = values.mean(), values.std() or 1.0

    def __call__(self, X, values):
        """Scores of the rows, shape (n_samples, n_modalities)."""
        scores = (values - self.mean) / self.deviation
        return np.repeat(scores[:, None], self.n_modalities, axis=1)


def fit_intercepts(scores, rates, strength, presence):
    """Intercepts with which the rows that have a modality lose it at its rate.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_modalities)
    rates : ndarray of shape (n_modalities,)
    strength : float
    presence : ndarray of shape (n_samples, n_modalities), dtype bool

    Returns
    -------
    ndarray of shape (n_modalities,)
    """
    return np.array(
        [
            solve_intercept(scores[presence[:, m], m], rate, strength)
            for m, rate in enumerate(rates)
        ]
    )
