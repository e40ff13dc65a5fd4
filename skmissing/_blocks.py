"""From X with NaN to what the kernels work on: presence, patterns, scaled blocks.

Values in the kernels are standardised, divided by the square root of their
modality's width, zero where nothing was observed, and in layout order. A squared
norm over a block is then already the mean over its columns, as eq. (2) of UL4M4
wants it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skmissing._threads import for_each, row_pieces

# Cells read at a time: few enough for a chunk and its temporaries to stay in cache,
# many enough that numpy's call overhead and the start of a matrix product do not show.
CHUNK_CELLS = 1 << 22
# The same where cells are only read and written once: smaller, to stay in cache, but
# large enough that threads seldom meet at the interpreter's lock.
STREAM_CELLS = 1 << 20
# A presence pattern gets blocks of its own from this many rows on; rarer ones share
# one zero-filled group, because every group costs a few calls per iteration.
MIN_PATTERN_ROWS = 256


def row_chunks(n_rows, n_columns, n_cells=CHUNK_CELLS, most=1 << 13):
    """Yield slices over rows that hold about `n_cells` cells each."""
    least = 256 if n_cells >= CHUNK_CELLS else 16
    step = min(max(n_cells // max(1, n_columns), least), most)
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
    ones = np.ones(X.shape[1], dtype=X.dtype)

    def scan(piece):
        gaps = False
        for part in row_chunks(piece.stop - piece.start, X.shape[1], STREAM_CELLS):
            rows = slice(piece.start + part.start, piece.start + part.stop)
            # Where there was a gap, there are more: look at the blocks at once.
            gaps = gaps or len(_suspects(X[rows], ones)) > 0
            if gaps:
                _scan_chunk(X[rows], columns, ones, presence[rows], holes[rows])

    for_each(scan, row_pieces(n_rows) if X.size > CHUNK_CELLS else [slice(0, n_rows)])
    return presence, holes


def _suspects(cells, ones):
    """Rows that may hold NaN: a row's sum is NaN if one of its cells is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.flatnonzero(np.isnan(cells @ ones[: cells.shape[1]]))


def _scan_chunk(X, columns, ones, presence, holes):
    """Note in `presence` and `holes` what a few rows lack."""
    for m, block in enumerate(columns):
        cells = X[:, block]
        suspects = _suspects(cells, ones)
        if len(suspects):
            missing = np.isnan(cells[suspects])
            whole = missing.all(axis=1)
            presence[suspects[whole], m] = False
            holes[suspects[~whole]] |= missing[~whole].any(axis=1)


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
    if presence.all() and len(presence):
        return presence[:1], np.zeros(len(presence), dtype=np.intp)
    packed = np.ascontiguousarray(np.packbits(presence, axis=1))
    if packed.shape[1] == 1:
        keys = packed.ravel()  # numbers sort much faster than strings of bytes
    else:
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
    source : ndarray of shape (n_rows, n_columns)
        Values in layout order, 0 where not observed, scaled unless `shift` and
        `factor` say how. Only the columns of `modalities` are kept.
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
    shift, factor : ndarray of shape (n_columns,) or None
        Of complete rows that are read from X itself: scaled values are
        `(source - shift) * factor`.
    """

    rows: np.ndarray
    source: np.ndarray
    presence: np.ndarray
    modalities: np.ndarray
    widths: np.ndarray
    columns: object
    observed: np.ndarray | None = None
    shift: np.ndarray | None = None
    factor: np.ndarray | None = None

    def scaled(self, rows):
        """Scaled values of some rows."""
        picked = self.source[rows]
        return picked if self.shift is None else (picked - self.shift) * self.factor

    @cached_property
    def values(self):
        """Scaled values of all rows; copies them if they are read from X itself."""
        return self.scaled(slice(None))

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
        out = np.empty((len(self.rows), len(self.widths)), dtype=self.source.dtype)
        for chunk in row_chunks(*self.source.shape):
            out[chunk] = block_norms(self.scaled(chunk), self.widths)
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
        return self.groups[0].source.dtype

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
            picked[:, group.columns] = group.scaled(inside[found])
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
            for chunk in row_chunks(*group.source.shape):
                yield prepared, chunk, group.rows[chunk]
