"""Eq. (2) of UL4M4 between any two sets of rows."""

from dataclasses import dataclass

import numpy as np
from sklearn import get_config
from sklearn.utils import gen_batches

from skmissing._blocks import block_norms, find_presence
from skmissing._modalities import resolve_modalities
from skmissing.metrics._inputs import check_same_columns, read_table


def partial_modality_distances(X, Y=None, *, modalities=None, squared=False):
    """Compute distances between rows over the modalities that both have.

    Columns are compared as they are: standardise them first if their units differ.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        A missing cell is NaN, or masked if X is a masked array.
    Y : array-like of shape (n_samples_Y, n_features), default=None
        None compares the rows of X with each other.
    modalities : list of int, dict or None, default=None
        The groups of columns. A list gives widths from left to right; a dict gives
        widths, slices or columns by name; None groups columns named
        `modality__feature` by their prefix, and otherwise makes every column a
        modality of its own. The `modalities_` of a fitted estimator will do, too.
    squared : bool, default=False
        Whether to return squared distances.

    Returns
    -------
    ndarray of shape (n_samples_X, n_samples_Y)
        Of dtype float32 if both X and Y are, otherwise float64; `inf` where two rows
        have no modality in common.

    See Also
    --------
    sklearn.metrics.pairwise.nan_euclidean_distances : Compares single columns.

    Notes
    -----
    The squared distance is eq. (2) of [1]_,

    .. math::
        d^2(x, y) = \\frac{1}{|S|} \\sum_{m \\in S}
        \\frac{1}{d_m} \\lVert x^m - y^m \\rVert^2 ,

    with S the modalities that both rows have and d_m the width of modality m. Wide
    modalities thus count no more than narrow ones, and rows that share little are not
    closer for it. Where a modality that both rows have is only partly observed, the
    mean is over the columns observed in both; if there is none, the modality is not
    shared.

    This is no metric: rows with different modalities are compared in different
    coordinates, so the triangle inequality can fail.

    The squares are expanded into one matrix product and computed in float64, about
    the column means. Two equal rows may therefore come out about 1e-8 times the
    spread of the columns apart; the diagonal is exactly zero if `Y` is None.

    References
    ----------
    .. [1] Ismkhan and Bouchahcia, "UL4M4", arXiv:2606.15743, eq. (2).

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.metrics import partial_modality_distances
    >>> nan = np.nan
    >>> X = [[0., 0., 0.], [2., 2., 4.], [2., 2., nan], [nan, nan, 4.]]
    >>> partial_modality_distances(X, modalities={"text": 2, "age": 1}, squared=True)
    array([[ 0., 10.,  4., 16.],
           [10.,  0.,  0.,  0.],
           [ 4.,  0.,  0., inf],
           [16.,  0., inf,  0.]])
    """
    first = read_table(X, "X")
    second = first if Y is None else read_table(Y, "Y")
    check_same_columns(first, second, "X", "Y")
    (X, names), (other, other_names) = first, second
    layout = resolve_modalities(
        modalities, X.shape[1], other_names if names is None else names
    )
    # Dataframes come column by column; sums must not depend on that.
    X, other = np.ascontiguousarray(X), np.ascontiguousarray(other)
    shift = _column_means([X] if Y is None else [X, other])
    left = _as_blocks(X, layout, shift)
    right = left if Y is None else _as_blocks(other, layout, shift)
    distances = np.empty(
        (len(X), len(other)), dtype=np.result_type(X.dtype, other.dtype)
    )
    # Two products a modality are needed only where one of the rows has holes.
    for rows, columns, kernel in (
        (~left.holes, ~right.holes, _whole_kernel),
        (~left.holes, right.holes, _partial_kernel),
        (left.holes, np.ones_like(right.holes), _partial_kernel),
    ):
        _fill(distances, left, right, rows, columns, kernel, squared)
    if Y is None:
        np.fill_diagonal(distances, np.where(left.presence.any(axis=1), 0, np.inf))
    return distances


@dataclass(frozen=True)
class _Blocks:
    """Rows in layout order, in float64.

    `values` are divided by the root of their modality's width and zero where nothing
    was observed; `norms` are the squared norms of the blocks.
    """

    layout: object
    values: np.ndarray
    presence: np.ndarray
    norms: np.ndarray
    observed: np.ndarray | None
    holes: np.ndarray

    def take(self, rows):
        """The blocks of some rows."""
        observed = None if self.observed is None else self.observed[rows]
        return _Blocks(
            self.layout,
            self.values[rows],
            self.presence[rows],
            self.norms[rows],
            observed,
            self.holes[rows],
        )


def _column_means(tables):
    """Mean of the observed cells of each column, 0 where there are none."""
    total, count = 0, 0
    for table in tables:
        seen = ~np.isnan(table)
        total += np.sum(table, axis=0, where=seen, dtype=np.float64)
        count += seen.sum(axis=0)
    return total / np.maximum(count, 1)


def _as_blocks(X, layout, shift):
    presence, holes = find_presence(X, layout)
    values = (X - shift)[:, layout.order]
    values /= np.sqrt(layout.widths[layout.owner])
    observed = ~np.isnan(values) if holes.any() else None
    np.nan_to_num(values, copy=False)
    norms = block_norms(values, layout.widths)
    return _Blocks(layout, values, presence.astype(float), norms, observed, holes)


def _fill(distances, left, right, rows, columns, make_kernel, squared):
    """Compute the distances of some rows to some columns, a chunk at a time."""
    rows, columns = np.flatnonzero(rows), np.flatnonzero(columns)
    if not (len(rows) and len(columns)):
        return
    whole = len(columns) == len(right.holes)
    kernel = make_kernel(right if whole else right.take(columns))
    # A chunk has about four temporaries of its size.
    n_cells = min(1 << 23, int(get_config()["working_memory"] * 2**20 / 8 / 4))
    for chunk in gen_batches(len(rows), max(1, n_cells // len(columns))):
        picked = rows[chunk]
        result = kernel(left.take(picked))
        if not squared:
            np.sqrt(result, out=result)
        distances[picked if whole else np.ix_(picked, columns)] = result


def _whole_kernel(right):
    """Squared distances between rows without holes."""
    factors = np.hstack([right.presence, -2 * right.values, right.norms]).T

    def squared(left):
        total = np.hstack([left.norms, left.values, left.presence]) @ factors
        return _mean(total, left.presence @ right.presence.T)

    return squared


def _partial_kernel(right):
    """Squared distances over the cells that both rows have."""
    layout = right.layout
    seen = _seen(right)
    factors = []
    for columns in layout.slices:
        y, y_seen = right.values[:, columns], seen[:, columns]
        factors.append(np.hstack([y_seen, -2 * y, y**2]).T)

    def squared(left):
        shape = len(left.values), len(right.values)
        total, n_shared = np.zeros(shape), np.zeros(shape)
        left_seen = _seen(left)
        for columns, width, factor in zip(layout.slices, layout.widths, factors):
            x, x_seen = left.values[:, columns], left_seen[:, columns]
            n_cells = x_seen @ factor[:width]
            block = np.hstack([x**2, x, x_seen]) @ factor
            # The values are already divided by the root of the width.
            block *= width / np.maximum(n_cells, 1)
            total += block
            n_shared += n_cells > 0
        return _mean(total, n_shared)

    return squared


def _seen(blocks):
    """Observed cells, 1.0 where observed."""
    if blocks.observed is not None:
        return blocks.observed.astype(np.float64)
    return blocks.presence[:, blocks.layout.owner]


def _mean(total, count):
    """total / count, not below 0, and inf where nothing was counted."""
    np.maximum(total, 0, out=total)
    mean = np.full_like(total, np.inf)
    return np.divide(total, count, out=mean, where=count > 0)
