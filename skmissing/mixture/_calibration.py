"""Calibration of the mixture by its errors on hidden modalities: arrays in and out."""

from dataclasses import dataclass

import numpy as np

from skmissing.mixture._em import Posterior, find_parts

# A "block" is one modality of one sample. A modality whose hidden blocks have a smaller
# total weight uses the sums over all modalities.
FEWEST_BLOCKS = 5
# Minimum number of samples with two modalities. With fewer, none is held out.
FEWEST_ROWS = 10
# Maximum number of held-out samples per fold, and of folds.
MOST_ROWS = 2000
MOST_FOLDS = 4
# Number of blocks to hide in total, within these limits.
ENOUGH_BLOCKS = 800
# Minimum number of blocks for the choice of n_components and n_factors.
CHOICE_BLOCKS = 100


@dataclass
class HiddenErrors:
    """Sums over hidden blocks: per modality, a list with one entry per block.

    All but `weights` are multiplied by the weight of the sample and summed over the
    columns of the modality.
    """

    products: list  # of imputed and true values
    squares: list  # of imputed values
    truths: list  # squares of true values
    variances: list  # predicted by the model
    weights: list

    @classmethod
    def empty(cls, n_modalities):
        """Sums over no blocks."""
        return cls(*([[] for _ in range(n_modalities)] for _ in range(5)))

    def add(self, blocks, params, positions, weight):
        """Hide each modality of samples in turn; `params` were fitted without them."""
        for m, columns in enumerate(blocks.layout.slices):
            having = positions[blocks.presence[positions, m]]
            if not len(having):
                continue
            truth = blocks.take(having).groups[0].source[:, columns]
            hidden = blocks.take(having, hide=m)
            for rows in Posterior(params).chunks(find_parts(hidden, params)):
                guess = rows.values(params, columns)
                true = truth[rows.rows].astype(np.float64)
                w = weight[having[rows.rows]]
                variances = rows.variances(params, columns)
                self.products[m].extend((guess * true).sum(axis=1) * w)
                self.squares[m].extend((guess**2).sum(axis=1) * w)
                self.truths[m].extend((true**2).sum(axis=1) * w)
                self.variances[m].extend(variances.sum(axis=1) * w)
                self.weights[m].extend(w)

    def shrinkage(self):
        """Factor in [0, 1] per modality: least squares minus its standard error."""
        sums = self.products, self.squares, self.weights
        pooled = _shrinkage(*(sum(lists, []) for lists in sums))
        return np.array([
            _shrinkage(p, s, w) if sum(w) >= FEWEST_BLOCKS else pooled
            for p, s, w in zip(*sums)
        ])  # fmt: skip

    def loss(self):
        """Squared error relative to imputing the mean, averaged over modalities."""
        ratios = [
            sum(t) - 2 * f * sum(p) + f**2 * sum(s)
            for f, p, s, t in zip(
                self.shrinkage(), self.products, self.squares, self.truths
            )
        ]
        ratios = [r / sum(t) for r, t in zip(ratios, self.truths) if sum(t) > 0]
        return float(np.mean(ratios)) if ratios else 1.0

    def std_scale(self, shrinkage):
        """Ratio of actual to predicted standard deviation per modality."""
        errors, stated = [], []
        for m, factor in enumerate(shrinkage):
            p, s, t = (
                np.array(v[m]) for v in (self.products, self.squares, self.truths)
            )
            errors.append((t - 2 * factor * p + factor**2 * s).sum())
            stated.append(sum(self.variances[m]))
        usual = sum(errors) / sum(stated) if sum(stated) > 0 else 1.0
        return np.sqrt([
            e / v if sum(w) >= FEWEST_BLOCKS and v > 0 else usual
            for e, v, w in zip(errors, stated, self.weights)
        ])  # fmt: skip


def _shrinkage(products, squares, weights):
    products, squares, weights = map(np.array, (products, squares, weights))
    total = squares.sum()
    if weights.sum() < FEWEST_BLOCKS or not total > 0:
        return 0.0
    factor = products.sum() / total
    error = np.sqrt(((products - factor * squares) ** 2 / weights).sum()) / total
    return float(np.clip(factor - error, 0, 1))


def held_out_rows(presence, weight, rng):
    """Folds of held-out samples with two modalities; none if there are too few."""
    eligible = np.flatnonzero((presence.sum(axis=1) > 1) & (weight > 0))
    if len(eligible) < FEWEST_ROWS:
        return []
    folds = np.array_split(rng.permutation(eligible), 5)
    blocks = presence[eligible].sum() / 5
    n_folds = min(MOST_FOLDS, int(np.ceil(ENOUGH_BLOCKS / blocks)))
    return [fold[:MOST_ROWS] for fold in folds[:n_folds]]


def choice_folds(presence, folds):
    """Number of folds with enough blocks to choose n_components and n_factors."""
    blocks = np.cumsum([presence[fold].sum() for fold in folds])
    return 1 + int(np.searchsorted(blocks, CHOICE_BLOCKS))
