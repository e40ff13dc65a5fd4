"""Calibration of the mixture by its errors on hidden modalities, on arrays."""

from dataclasses import dataclass

import numpy as np

from skmissing.mixture._em import Posterior, find_parts

# If its hidden blocks weigh less than this, a modality uses the sums of all modalities.
FEWEST_BLOCKS = 5
# Minimum number of rows with two modalities for any to be held out.
FEWEST_ROWS = 10
# Maximum number of rows to hold out at a time, and of times.
MOST_ROWS = 2000
MOST_FOLDS = 4
# Number of blocks to hide in all, if these folds allow it.
ENOUGH_BLOCKS = 800
# Minimum number of blocks to choose the numbers of clusters and factors on, likewise.
CHOICE_BLOCKS = 100


@dataclass
class HiddenErrors:
    """Sums over hidden blocks: per modality, a list with one entry per block.

    A block is one modality of one row. All but `weights` are multiplied by the weight
    of the row and summed over the columns of the modality.
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
        """Add rows that `params` were not fitted to, each modality hidden in turn."""
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
        """Factor in [0, 1] per modality: least squares less its standard error."""
        sums = self.products, self.squares, self.weights
        pooled = _shrinkage(*(sum(lists, []) for lists in sums))
        return np.array([
            _shrinkage(p, s, w) if sum(w) >= FEWEST_BLOCKS else pooled
            for p, s, w in zip(*sums)
        ])  # fmt: skip

    def loss(self):
        """Mean over modalities of squared error over that of the mean, shrunk."""
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
    """Folds of rows with two modalities to leave out; none if there are few rows."""
    eligible = np.flatnonzero((presence.sum(axis=1) > 1) & (weight > 0))
    if len(eligible) < FEWEST_ROWS:
        return []
    folds = np.array_split(rng.permutation(eligible), 5)
    blocks = presence[eligible].sum() / 5
    n_folds = min(MOST_FOLDS, int(np.ceil(ENOUGH_BLOCKS / blocks)))
    return [fold[:MOST_ROWS] for fold in folds[:n_folds]]


def choice_folds(presence, folds):
    """Number of folds that have enough blocks to choose sizes."""
    blocks = np.cumsum([presence[fold].sum() for fold in folds])
    return 1 + int(np.searchsorted(blocks, CHOICE_BLOCKS))
