"""From X with NaN to what the kernels work on: presence, patterns, scaled blocks.

Values in the kernels are standardised, divided by the square root of their
modality's width, zero where nothing was observed, and in layout order. A squared
norm over a block is then already the mean over its columns, as eq. (2) of UL4M4
wants it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skmissing._modalities import as_slice

# Cells read at a time: few enough for a chunk and its temporaries to stay in cache,
# many enough that numpy's call overhead and the start of a matrix product do not show.
CHUNK_CELLS = 1 << 21
# A presence pattern gets blocks of its own from this many rows on; rarer ones share
# one zero-filled group, because every group costs a few calls per iteration.
MIN_PATTERN_ROWS = 256


def row_chunks(n_rows, n_columns, n_cells=CHUNK_CELLS, most=1 << 13):
    """Yield slices over rows that hold about `n_cells` cells each."""
    step = min(max(n_cells // max(1, n_columns), 256), most)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def block_norms(values, widths):
    """Sum of squares of each block of each row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
    widths : ndarray of shape (n_blocks,)
        Columns of each block, from left to right.

    Returns
    -------
    ndarray of shape (n_rows, n_blocks)
    """
    if (widths == 1).all():
        return values * values
    stops = np.cumsum(widths)
    norms = np.empty((values.shape[0], len(widths)), dtype=values.dtype)
    for m, (start, stop) in enumerate(zip(stops - widths, stops)):
        block = values[:, start:stop]
        np.einsum("ij,ij->i", block, block, out=norms[:, m])
    return norms


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
        Positions in X, ascending.
    values : ndarray of shape (n_rows, n_columns)
        Scaled values in layout order, 0 where not observed. Only the columns of
        `modalities` are kept.
    presence : ndarray of shape (1 or n_rows, n_kept), dtype bool
        Which of `modalities` a row has; one row if all have the same.
    modalities : ndarray of shape (n_kept,), dtype intp
        Modalities that at least one of the rows has.
    widths : ndarray of shape (n_kept,), dtype intp
        Their numbers of columns.
    columns : slice or ndarray of intp
        Positions of the kept columns in layout order.
    observed : ndarray of shape (n_rows, n_columns), dtype bool, or None
        Observed cells; None if no row of the group has holes.
    """

    rows: np.ndarray
    values: np.ndarray
    presence: np.ndarray
    modalities: np.ndarray
    widths: np.ndarray
    columns: object
    observed: np.ndarray | None = None

    @property
    def one_pattern(self):
        """Whether all rows have the same modalities."""
        return self.presence.shape[0] == 1

    def presence_of(self, chunk):
        """Presence of a slice of the rows, of shape (1 or n_chunk, n_kept)."""
        return self.presence if self.one_pattern else self.presence[chunk]

    @cached_property
    def norms(self):
        """Sum of squares by row and kept modality, shape (n_rows, n_kept)."""
        out = np.empty((len(self.rows), len(self.widths)), dtype=self.values.dtype)
        for chunk in row_chunks(*self.values.shape):
            out[chunk] = block_norms(self.values[chunk], self.widths)
        return out


@dataclass(frozen=True)
class Blocks:
    """The rows of X in groups.

    Attributes
    ----------
    groups : list of RowGroup
        Each row of X is in exactly one of them.
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
        In the order of X.
    layout : ModalityLayout
    """

    groups: list
    presence: np.ndarray
    layout: object

    @property
    def n_rows(self):
        """Number of rows of X."""
        return self.presence.shape[0]

    @property
    def dtype(self):
        """Dtype of the values."""
        return self.groups[0].values.dtype

    @property
    def has_holes(self):
        """Whether some row has holes in a modality that it has."""
        return any(group.observed is not None for group in self.groups)

    def find(self, position):
        """Group that holds a row of X, and its place there as an array of one."""
        for group in self.groups:
            place = np.searchsorted(group.rows, [position])
            if place[0] < len(group.rows) and group.rows[place[0]] == position:
                return group, place
        raise IndexError(f"no row {position} among {self.n_rows}")

    def take(self, positions, hide=None):
        """Some rows of X as one zero-filled group, perhaps with a modality hidden.

        Parameters
        ----------
        positions : sequence of int
        hide : int or None
            Index of a modality to take away from them.

        Returns
        -------
        Blocks
            Of `len(positions)` rows. Holes count as observed zeros, the mean.
        """
        values = np.zeros((len(positions), self.layout.n_features), dtype=self.dtype)
        for group in self.groups:
            place = np.searchsorted(group.rows, positions)
            inside = np.minimum(place, len(group.rows) - 1)
            found = np.flatnonzero(group.rows[inside] == positions)
            picked = np.zeros((len(found), values.shape[1]), dtype=self.dtype)
            picked[:, group.columns] = group.values[inside[found]]
            values[found] = picked
        presence = self.presence[positions]
        if hide is not None:
            values[:, self.layout.slices[hide]] = 0
            presence[:, hide] = False
        every = np.arange(len(self.layout))
        group = RowGroup(
            np.arange(len(values)), values, presence, every, self.layout.widths,
            slice(None),
        )  # fmt: skip
        return Blocks([group], presence, self.layout)

    def chunked(self, prepare):
        """Walk over all rows in chunks.

        Parameters
        ----------
        prepare : callable
            Called once a group; what it returns is handed back with each chunk.

        Yields
        ------
        prepared : object
        chunk : slice
            Rows of the group.
        rows : ndarray of intp
            Their positions in X.
        """
        for group in self.groups:
            prepared = prepare(group)
            for chunk in row_chunks(*group.values.shape):
                yield prepared, chunk, group.rows[chunk]


@dataclass(frozen=True)
class Centers:
    """Centres in the scaled space of the blocks.

    Attributes
    ----------
    values : ndarray of shape (n_clusters, n_features)
        In layout order, 0 where the centre lacks the modality.
    presence : ndarray of shape (n_clusters, n_modalities), dtype bool
    """

    values: np.ndarray
    presence: np.ndarray


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
    variance : ndarray of shape (n_features,)
        Of the observed cells, in X's units.
    seen : ndarray of shape (n_features,), dtype bool
        False for columns without any observed cell: whatever comes there later is
        mapped to 0, the same for all rows, and so takes no part in distances.
    """

    layout: object
    mean: np.ndarray
    scale: np.ndarray
    variance: np.ndarray
    seen: np.ndarray

    def mean_variance(self):
        """Mean over columns of the variance in the scaled blocks."""
        widths = self.layout.widths[self.layout.owner]
        scaled = (self.variance / self.scale**2)[self.layout.order] / widths
        return float(scaled.mean())

    def _coefficients(self, dtype):
        """Shift and factor of each column, in layout order."""
        order, owner = self.layout.order, self.layout.owner
        factor = self.seen[order] / self.scale[order]
        factor /= np.sqrt(self.layout.widths)[owner]
        return self.mean[order].astype(dtype), factor.astype(dtype)

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
        Blocks
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
        return Blocks(groups, presence, self.layout)

    def _group(self, X, rows, presence, coefficients, has_holes=False):
        layout = self.layout
        modalities = np.flatnonzero(presence.any(axis=0))
        widths = layout.widths[modalities]
        columns = slice(None)
        if len(modalities) < len(layout):
            columns = np.flatnonzero(np.isin(layout.owner, modalities))
        shift, factor = (c[columns] for c in coefficients)
        values = np.empty((len(rows), widths.sum()), dtype=X.dtype)
        observed = np.empty(values.shape, dtype=bool) if has_holes else None
        blocks = [layout.columns_of(m) for m in modalities]
        stops = np.cumsum(widths)
        zero_fill = presence.shape[0] > 1 or has_holes
        for chunk in row_chunks(*values.shape):
            picked = as_slice(rows[chunk])
            out = values[chunk]
            for block, start, stop in zip(blocks, stops - widths, stops):
                # Slicing first keeps the copy to the block's own columns.
                source = X[:, block] if isinstance(block, slice) else X
                part = source[picked]
                part = part if isinstance(block, slice) else part[:, block]
                np.subtract(part, shift[start:stop], out=out[:, start:stop])
            out *= factor
            if zero_fill:
                missing = np.isnan(out)
                out[missing] = 0
                if has_holes:
                    np.logical_not(missing, out=observed[chunk])
        return RowGroup(
            rows, values, presence[:, modalities], modalities, widths, columns, observed
        )

    def pieces(self, X):
        """Split X piece by piece, so that no copy of the whole is made.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)

        Yields
        ------
        rows : slice
        blocks : Blocks
            Of `X[rows]`.
        """
        for rows in row_chunks(*X.shape, n_cells=8 * CHUNK_CELLS, most=1 << 16):
            yield rows, self.split(X[rows])

    def center_blocks(self, centers):
        """Scale centres given in X's units, with NaN in the modalities they lack.

        Parameters
        ----------
        centers : ndarray of shape (n_clusters, n_features)

        Returns
        -------
        Centers
        """
        presence, _ = find_presence(centers, self.layout)
        shift, factor = self._coefficients(centers.dtype)
        values = (centers[:, self.layout.order] - shift) * factor
        return Centers(np.where(np.isnan(values), 0, values), presence)

    def to_units(self, centers):
        """Inverse of :meth:`center_blocks`.

        Parameters
        ----------
        centers : Centers

        Returns
        -------
        ndarray of shape (n_clusters, n_features)
        """
        shift, factor = self._coefficients(centers.values.dtype)
        unseen = factor == 0
        units = np.where(unseen, 0, centers.values / np.where(unseen, 1, factor))
        units += shift
        units[~centers.presence[:, self.layout.owner]] = np.nan
        in_columns = np.empty_like(units)
        in_columns[:, self.layout.order] = units
        return in_columns


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
    variance = np.maximum(square / counted - offset**2, 0)
    scale = np.ones_like(mean)
    if standardize:
        deviation = np.sqrt(variance)
        constant = deviation <= 10 * np.finfo(X.dtype).eps * np.abs(mean)
        scale[~constant] = deviation[~constant]
    return BlockScaler(layout, mean, scale, variance, n > 0)


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
