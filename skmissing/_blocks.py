"""From X with NaN to what the kernels work on: presence, patterns, scaled blocks.

Values in the kernels are standardised, divided by the square root of their
modality's width, zero where nothing was observed, and in layout order. A squared
norm over a block is then already the mean over its columns, as eq. (2) of UL4M4
wants it.
"""

from dataclasses import dataclass

import numpy as np

# Rows at a time when X is read: small enough for a chunk and its temporaries to stay
# in cache, large enough that numpy's call overhead does not show.
CHUNK_CELLS = 1 << 19
# A presence pattern gets blocks of its own from this many rows on; rarer ones share
# one zero-filled group, because every group costs a few calls per iteration.
MIN_PATTERN_ROWS = 256


def row_chunks(n_rows, n_columns, n_cells=CHUNK_CELLS):
    """Yield slices over rows that hold about `n_cells` cells each."""
    step = max(1, n_cells // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def find_presence(X, layout):
    """Which modalities each row has, and which rows have holes in one that they have.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Missing cells are NaN.
    layout : ModalityLayout

    Returns
    -------
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
        True where at least one cell of the modality is observed.
    holes : ndarray of shape (n_samples,), dtype bool
        True where some modality is present but not wholly observed.
    """
    n_rows = X.shape[0]
    presence = np.ones((n_rows, len(layout)), dtype=bool)
    holes = np.zeros(n_rows, dtype=bool)
    if (layout.widths == 1).all():
        np.logical_not(np.isnan(X[:, layout.order]), out=presence)
        return presence, holes
    columns = [layout.columns_of(m) for m in range(len(layout))]
    ones = np.ones(layout.widths.max(), dtype=X.dtype)
    for chunk in row_chunks(n_rows, X.shape[1]):
        part = X[chunk]
        for m, block in enumerate(columns):
            # A row sum is NaN if a cell is: cheap, and enough for most rows.
            sums = part[:, block] @ ones[: layout.widths[m]]
            suspects = np.flatnonzero(np.isnan(sums))
            if not len(suspects):
                continue
            missing = np.isnan(part[suspects][:, block])
            whole = missing.all(axis=1)
            presence[chunk.start + suspects[whole], m] = False
            holes[chunk.start + suspects[missing.any(axis=1) & ~whole]] = True
    return presence, holes


def find_patterns(presence):
    """Distinct rows of a presence matrix.

    Parameters
    ----------
    presence : ndarray of shape (n_samples, n_modalities), dtype bool

    Returns
    -------
    patterns : ndarray of shape (n_patterns, n_modalities), dtype bool
    inverse : ndarray of shape (n_samples,), dtype intp
        `patterns[inverse]` is `presence`.
    """
    packed = np.ascontiguousarray(np.packbits(presence, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return presence[first], inverse.reshape(-1)


@dataclass(frozen=True)
class RowGroup:
    """Rows that the kernels treat alike.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,), dtype intp
        Positions in X.
    values : ndarray of shape (n_rows, n_columns)
        Scaled values in layout order, 0 where not observed. With one pattern only
        the columns of its modalities are kept.
    presence : ndarray of shape (1 or n_rows, n_modalities), dtype bool
        One row if all rows have the same pattern.
    modalities : ndarray of intp
        The modalities whose columns `values` keeps.
    columns : slice or ndarray of intp
        Positions of the kept columns in layout order.
    observed : ndarray of shape (n_rows, n_columns), dtype bool, or None
        Observed cells; None if no row of the group has holes.
    """

    rows: np.ndarray
    values: np.ndarray
    presence: np.ndarray
    modalities: np.ndarray
    columns: object
    observed: np.ndarray | None = None

    @property
    def one_pattern(self):
        """Whether all rows have the same modalities."""
        return self.presence.shape[0] == 1


@dataclass(frozen=True)
class BlockScaler:
    """Affine map between X and the scaled blocks.

    Attributes
    ----------
    layout : ModalityLayout
    mean : ndarray of shape (n_features,)
        Subtracted from X; in X's column order.
    scale : ndarray of shape (n_features,)
        Divides what is left; ones if columns are not standardised.
    """

    layout: object
    mean: np.ndarray
    scale: np.ndarray

    def _coefficients(self, dtype):
        order = self.layout.order
        root = np.sqrt(np.repeat(self.layout.widths, self.layout.widths))
        shift = self.mean[order].astype(dtype)
        return shift, (1.0 / (self.scale[order] * root)).astype(dtype)

    def split(self, X, presence=None, holes=None, min_rows=MIN_PATTERN_ROWS):
        """Copy X into scaled, zero-filled groups of rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        presence, holes : ndarray or None
            As :func:`find_presence` returns them; found here if None.
        min_rows : int
            Patterns with fewer rows share one group.

        Returns
        -------
        list of RowGroup
            Each row of X is in exactly one of them.
        """
        if presence is None:
            presence, holes = find_presence(X, self.layout)
        coefficients = self._coefficients(X.dtype)
        patterns, inverse = find_patterns(presence)
        inverse[holes] = len(patterns)
        counts = np.bincount(inverse, minlength=len(patterns) + 1)
        whole = len(patterns) == 1 and not holes.any()
        own = (counts[:-1] >= min_rows) | whole
        rare = np.append(~own, False)[inverse]
        groups = []
        if own.any():
            # A stable sort lists the rows of each pattern in ascending order.
            by_pattern = np.split(
                np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1]
            )
            groups = [
                self._group(X, by_pattern[p], patterns[p : p + 1], coefficients)
                for p in np.flatnonzero(own)
            ]
        for members, has_holes in ((rare, False), (holes, True)):
            rows = np.flatnonzero(members)
            if len(rows):
                group = self._group(X, rows, presence[rows], coefficients, has_holes)
                groups.append(group)
        return groups

    def _group(self, X, rows, presence, coefficients, has_holes=False):
        layout = self.layout
        modalities = np.flatnonzero(presence.any(axis=0))
        kept = np.concatenate(
            [np.arange(layout.n_features)[layout.slices[m]] for m in modalities]
            or [np.empty(0, dtype=np.intp)]
        )
        shift, factor = (c[kept] for c in coefficients)
        source = layout.order[kept]
        if np.array_equal(source, np.arange(X.shape[1])):
            source = slice(None)
        values = np.empty((len(rows), len(kept)), dtype=X.dtype)
        observed = np.empty(values.shape, dtype=bool) if has_holes else None
        consecutive = len(rows) and rows[-1] - rows[0] + 1 == len(rows)
        for chunk in row_chunks(*values.shape):
            picked = slice(*(rows[[chunk.start, chunk.stop - 1]] + [0, 1]))
            part = X[picked if consecutive else rows[chunk]][:, source]
            out = values[chunk]
            np.subtract(part, shift, out=out)
            out *= factor
            if has_holes:
                np.logical_not(np.isnan(part), out=observed[chunk])
            if presence.shape[0] > 1 or has_holes:
                np.copyto(out, 0, where=np.isnan(part))
        columns = slice(None) if len(kept) == layout.n_features else kept
        return RowGroup(rows, values, presence, modalities, columns, observed)

    def center_blocks(self, centers):
        """Scale centres given in X's units; NaN becomes 0.

        Parameters
        ----------
        centers : ndarray of shape (n_clusters, n_features)

        Returns
        -------
        values : ndarray of shape (n_clusters, n_features)
            In layout order.
        presence : ndarray of shape (n_clusters, n_modalities), dtype bool
        """
        presence, _ = find_presence(centers, self.layout)
        shift, factor = self._coefficients(centers.dtype)
        values = (centers[:, self.layout.order] - shift) * factor
        return np.where(np.isnan(values), 0, values), presence

    def to_units(self, values, presence):
        """Inverse of :meth:`center_blocks`: X's units and columns, NaN if absent.

        Parameters
        ----------
        values : ndarray of shape (n_clusters, n_features)
        presence : ndarray of shape (n_clusters, n_modalities), dtype bool

        Returns
        -------
        ndarray of shape (n_clusters, n_features)
        """
        shift, factor = self._coefficients(values.dtype)
        filled = np.where(
            np.repeat(presence, self.layout.widths, axis=1),
            values / factor + shift,
            np.array(np.nan, dtype=values.dtype),
        )
        centers = np.empty_like(filled)
        centers[:, self.layout.order] = filled
        return centers


def fit_scaler(X, layout, presence, holes, *, sample_weight=None, standardize=True):
    """Learn column means and, if asked, standard deviations from observed cells.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    layout : ModalityLayout
    presence, holes : ndarray
        As :func:`find_presence` returns them.
    sample_weight : ndarray of shape (n_samples,) or None
    standardize : bool, default=True
        If False, columns are centred only: distances do not see the shift, and
        rounding errors are smaller near the origin.

    Returns
    -------
    BlockScaler

    Notes
    -----
    The standard deviation divides by the number of observed cells (`ddof=0`). A
    column that is constant up to rounding gets scale 1; one without any observed
    cell, mean 0 and scale 1. The tokens of a sequence share their statistics, so
    that a token's place does not change its scale.
    """
    weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
    base, n, total, square = np.zeros((4, layout.n_features))
    for m, modality in enumerate(layout.values()):
        rows = np.flatnonzero(presence[:, m])
        if len(rows):
            sums = _block_sums(X, layout.columns_of(m), modality, rows, holes, weight)
            for whole, block in zip((base, n, total, square), sums):
                whole[modality.columns] = np.tile(block, modality.n_tokens)
    counted = np.where(n > 0, n, 1)
    offset = total / counted
    mean = np.where(n > 0, base + offset, 0.0)
    scale = np.ones_like(mean)
    if standardize:
        deviation = np.sqrt(np.maximum(square / counted - offset**2, 0))
        constant = deviation <= 10 * np.finfo(X.dtype).eps * np.abs(mean)
        scale[~constant] = deviation[~constant]
    return BlockScaler(layout, mean, scale)


def _block_sums(X, columns, modality, rows, holes, weight):
    """Weighted count, sum and sum of squares by feature, about a value near the mean.

    That value, the first to be returned, keeps the one-pass variance from cancelling.
    All have shape (dim,): the tokens of a sequence are pooled.
    """
    first = X[rows[:64]][:, columns].reshape(-1, modality.dim).astype(np.float64)
    seen = ~np.isnan(first)
    base = np.where(seen, first, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    shift = np.tile(base, modality.n_tokens)
    sums = np.zeros((3, modality.width))
    for chunk in row_chunks(len(rows), modality.width):
        picked = rows[chunk]
        w = np.ones(len(picked)) if weight is None else weight[picked]
        part = np.subtract(X[picked][:, columns], shift, dtype=np.float64)
        if holes[picked].any():
            seen = ~np.isnan(part)
            part[~seen] = 0
            sums[0] += w @ seen
        else:
            sums[0] += w.sum()
        sums[1] += w @ part
        part *= part
        sums[2] += w @ part
    return base, *sums.reshape(3, *modality.shape).sum(axis=1)
