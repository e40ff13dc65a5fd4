"""What hidden blocks say of a model: how far to trust it, and how wide its errors are.

Arrays in, arrays out.
"""

from dataclasses import dataclass

import numpy as np

from skmissing.mixture._posterior import Posterior

# With less weight of hidden blocks than this a modality goes by all of them together.
FEWEST_BLOCKS = 5
# Rows with two modalities that it takes to hold any out.
FEWEST_ROWS = 10
# Most rows to hold out at a time.
MOST_ROWS = 2000
MOST_FOLDS = 4
# Blocks to hide in all, as far as these folds can.
ENOUGH_BLOCKS = 800


@dataclass
class HiddenErrors:
    """Sums over hidden blocks, one entry a block, modalities as lists.

    All but `weights` are multiplied by the weight of the row.

    Attributes
    ----------
    products : list of list of float
        Of the imputed and the true values of each block, summed over its columns.
    squares : list of list of float
        Of the imputed values.
    truths : list of list of float
        Of the true values.
    variances : list of list of float
        Variance that the model states, summed over the columns.
    weights : list of list of float
        Of the rows.
    """

    products: list
    squares: list
    truths: list
    variances: list
    weights: list

    @classmethod
    def empty(cls, n_modalities):
        """No block yet."""
        return cls(*([[] for _ in range(n_modalities)] for _ in range(5)))

    def add(self, blocks, params, positions, weight):
        """Score a model on rows that it was fitted without.

        Parameters
        ----------
        blocks : Blocks
        params : FactorParams
        positions : ndarray of intp
            Rows with two modalities or more, each of which is hidden in turn.
        weight : ndarray of shape (n_rows,)
            Of all rows; a weight of 2 counts as the row twice.
        """
        for m, columns in enumerate(blocks.layout.slices):
            having = positions[blocks.presence[positions, m]]
            if not len(having):
                continue
            truth = blocks.take(having).groups[0].values[:, columns]
            for rows in Posterior(params).chunks(blocks.take(having, hide=m)):
                guess = rows.values(params)[:, columns]
                true = truth[rows.rows].astype(np.float64)
                w = weight[having[rows.rows]]
                variances = rows.variances(params)[:, columns]
                self.products[m].extend((guess * true).sum(axis=1) * w)
                self.squares[m].extend((guess**2).sum(axis=1) * w)
                self.truths[m].extend((true**2).sum(axis=1) * w)
                self.variances[m].extend(variances.sum(axis=1) * w)
                self.weights[m].extend(w)

    def shrinkage(self):
        """Factor in [0, 1] for each modality.

        Returns
        -------
        ndarray of shape (n_modalities,)
            The least squares factor less its standard error.
        """
        sums = self.products, self.squares, self.weights
        pooled = _shrinkage(*(sum(lists, []) for lists in sums))
        return np.array([
            _shrinkage(p, s, w) if sum(w) >= FEWEST_BLOCKS else pooled
            for p, s, w in zip(*sums)
        ])  # fmt: skip

    def loss(self):
        """Mean over modalities of the squared error, shrunk, over that of the mean.

        Returns
        -------
        float
            1 if no block was hidden.
        """
        ratios = [
            sum(t) - 2 * f * sum(p) + f**2 * sum(s)
            for f, p, s, t in zip(
                self.shrinkage(), self.products, self.squares, self.truths
            )
        ]
        ratios = [r / sum(t) for r, t in zip(ratios, self.truths) if sum(t) > 0]
        return float(np.mean(ratios)) if ratios else 1.0

    def std_scale(self, shrinkage):
        """Ratio of actual to stated standard deviation for each modality.

        Parameters
        ----------
        shrinkage : ndarray of shape (n_modalities,)

        Returns
        -------
        ndarray of shape (n_modalities,)
        """
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
    """Folds of rows to leave out, each a fifth, as many as it takes for enough blocks.

    Parameters
    ----------
    presence : ndarray of shape (n_rows, n_modalities), dtype bool
    weight : ndarray of shape (n_rows,)
    rng : RandomState

    Returns
    -------
    list of ndarray of intp
        Only rows with two modalities or more; empty if too few have them.
    """
    eligible = np.flatnonzero((presence.sum(axis=1) > 1) & (weight > 0))
    if len(eligible) < FEWEST_ROWS:
        return []
    folds = np.array_split(rng.permutation(eligible), 5)
    blocks = presence[eligible].sum() / 5
    n_folds = min(MOST_FOLDS, int(np.ceil(ENOUGH_BLOCKS / blocks)))
    return [fold[:MOST_ROWS] for fold in folds[:n_folds]]
