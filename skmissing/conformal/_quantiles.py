"""Scores of classes, weighted quantiles with an infinite test score, and patterns."""

from dataclasses import dataclass

import numpy as np

# Relative tolerance of the mass that must be reached. Otherwise, the rounding of
# products such as 0.95 * 20 would count as one more sample.
ROUNDING = 1e-9
# Decimals of the scores of classes, so that rounding does not break ties.
DECIMALS = 10
# Penalty of each class after the first in RAPS.
RANK_PENALTY = 0.1
# Maximum number of cells of the table of test samples by calibration samples.
CHUNK_CELLS = 1 << 20


@dataclass
class PatternScores:
    """Scores of the calibration samples of a pattern, sorted."""

    pattern: np.ndarray  # (n_modalities,)
    scores: np.ndarray  # (n_samples,)
    weight: np.ndarray  # (n_samples,)
    fold: np.ndarray  # (n_samples,), number of the model that did not see the sample
    size: float  # effective number of samples
    weigher: object  # predicts the weight of a new sample; None is 1

    def own_weight(self, X):
        """Weight of new samples, (n_samples,)."""
        if self.weigher is None:
            return np.ones(len(X))
        return self.weigher.predict_proba(X)[:, 1]


def count_needed(level):
    """Smallest number of calibration samples for a finite quantile."""
    return max(1, int(np.ceil(level / (1 - level) - 1e-9)))


def limit_mass(level, total, own=1.0):
    """Mass of calibration samples that a bound must reach; `own` is of the test."""
    return level * (total + own) * (1 - ROUNDING)


def class_scores(proba, method):
    """Nonconformity score of each class, (n_samples, n_classes)."""
    if method == "lac":
        return np.round(1 - proba, DECIMALS)
    order = np.argsort(-proba, axis=1, kind="stable")
    scores = np.empty_like(proba, dtype=np.float64)
    summed = np.take_along_axis(proba, order, axis=1).cumsum(axis=1)
    if method == "raps":
        summed = summed + RANK_PENALTY * np.arange(proba.shape[1])
    np.put_along_axis(scores, order, summed, axis=1)
    return np.round(scores, DECIMALS)


def mass_below(values, scores, weight):
    """Total weight of the scores below each value; the scores are sorted."""
    mass = np.concatenate([[0.0], np.cumsum(weight)])
    return mass[np.searchsorted(scores, values, side="left")]


def upper_bounds(centre, scale, scores, weight, fold, limit):
    """Smallest bound per sample that reaches the mass `limit`, (n_samples,).

    Calibration sample i gives the bound ``centre[k] + scale[k] * scores[i]``, where k
    is its fold. centre, scale (n_folds, n_samples); scores, weight, fold (n_cal,),
    sorted by score; limit (n_samples,).
    """
    n_samples, n_cal = len(limit), len(scores)
    if len(centre) == 1:
        first = np.searchsorted(np.cumsum(weight), limit)
        padded = np.append(scores, np.inf)
        return centre[0] + scale[0] * padded[first]
    out = np.empty(n_samples)
    step = max(1, CHUNK_CELLS // n_cal)
    for start in range(0, n_samples, step):
        part = slice(start, start + step)
        ends = centre[fold, part] + scale[fold, part] * scores[:, None]
        order = np.argsort(ends, axis=0)
        first = (np.cumsum(weight[order], axis=0) < limit[part]).sum(axis=0)
        ends = np.take_along_axis(ends, order, axis=0)
        ends = np.vstack([ends, np.full(ends.shape[1], np.inf)])
        out[part] = ends[first, np.arange(ends.shape[1])]
    return out


def reduce_pattern(pattern, presence, weight, needed):
    """Drop modalities until samples with the weight `needed` have all others.

    Each time, drop the modality without which the most samples have the pattern, and
    among equal ones the rarest. pattern (n_modalities,); presence (n_samples,
    n_modalities); weight (n_samples,).
    """
    pattern, often = pattern.copy(), weight @ presence
    while pattern.sum() > 1:
        lacking = pattern & ~presence
        n_lacking = lacking.sum(axis=1)
        if weight[n_lacking == 0].sum() >= needed * (1 - ROUNDING):
            break
        last = n_lacking == 1
        gain = np.where(pattern, weight[last] @ lacking[last], -1.0)
        pattern[np.lexsort((-often, gain))[-1]] = False
    return pattern
