"""Conversion of X with NaN for the kernels: presence, patterns and scaled blocks.

Values in the kernels are standardised, divided by the square root of the width of their
modality, zero if missing, and in layout order. The squared norm of a block is thus the
mean over its columns, as in eq. (2) of UL4M4.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from functools import partial as partial_function

import numpy as np

from skmissing._modalities import as_slice, count
from skmissing._parallel import map_in_threads

# Number of cells per chunk. Small enough to stay in cache with temporary arrays, and
# large enough to hide the overhead of NumPy calls and matrix products.
CHUNK_CELLS = 1 << 22
# The same if cells are read and written only once. Small enough to stay in cache, and
# large enough that threads rarely wait for the lock of the interpreter.
STREAM_CELLS = 1 << 20
# With fewer cells, starting threads takes longer than the work.
THREAD_CELLS = 1 << 16
# Minimum number of samples for a pattern to have its own group. Rarer patterns share
# one zero-filled group, because every group costs a few calls per iteration.
MIN_PATTERN_ROWS = 256
# Number of pieces into which samples are cut. It is fixed, because sums are rounded per
# piece, and results must not depend on the number of cores.
N_PIECES = 8
# Minimum number of cells of a piece.
PIECE_CELLS = 1 << 18
# Maximum distance of column means from 0, in standard deviations, to multiply columns
# without centring. Rounding errors of distances grow by about this factor.
SHARED_OFFSET = 4


# Functions for `ModalityTable.sums`, and those that do the same for arrays on a device.
ON_DEVICE = {}


def on_device(function):
    """Decorate what is called for an array on a device instead of a function."""

    def register(own):
        ON_DEVICE[function] = own
        return own

    return register


def row_chunks(n_rows, n_columns, n_cells=CHUNK_CELLS, most=1 << 13):
    """Return slices over rows with about `n_cells` cells each."""
    least = 256 if n_cells >= CHUNK_CELLS else 16
    step = min(max(n_cells // max(1, n_columns), least), most)
    return [slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]


def row_pieces(n_rows, n_total=None):
    """Cut rows into slices of `n_total / N_PIECES` rows, by default of all rows."""
    step = max(1, -(-(n_total or n_rows) // N_PIECES))
    return [slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]


def map_pieces(function, pieces, n_cells):
    """Map over pieces of work, in several threads if there are many cells."""
    if n_cells < THREAD_CELLS:
        return map(function, pieces)
    return map_in_threads(function, pieces)


def check_overflow(finite, dtype):
    """Raise an error if squared distances of samples are not finite."""
    n_huge = np.count_nonzero(~finite)
    if n_huge:
        raise ValueError(
            "Values of X must be closer to those of the training samples; squares of "
            f"distances overflow in {np.dtype(dtype)} in {count(n_huge, 'sample')}."
        )


def block_norms(values, widths):
    """Sum of squares per row and block, (n_rows, n_columns) -> (n_rows, M)."""
    if (widths == 1).all():
        return values * values
    stops = np.cumsum(widths)
    norms = np.empty((values.shape[0], len(widths)), dtype=values.dtype)
    for m, (start, stop) in enumerate(zip(stops - widths, stops)):
        block = values[:, start:stop]
        np.einsum("ij,ij->i", block, block, out=norms[:, m])
    return norms


def find_presence(X, layout):
    """Masks of observed modalities, and of samples with partially observed ones."""
    n_rows = X.shape[0]
    presence = np.ones((n_rows, len(layout.names)), dtype=bool)
    partial = np.zeros(n_rows, dtype=bool)
    if layout.one_column_each:
        np.logical_not(np.isnan(X[:, layout.order]), out=presence)
        return presence, partial
    if X.size > CHUNK_CELLS:
        work = partial_function(_scan, X, layout, presence, partial)
        list(map_pieces(work, row_pieces(n_rows), X.size))
    else:
        _scan(X, layout, presence, partial, slice(0, n_rows))
    return presence, partial


def _scan(X, layout, presence, partial, piece):
    """Find missing cells in a slice of samples; update `presence` and `partial`."""
    ones = np.ones(X.shape[1], dtype=X.dtype)
    gaps = False
    for part in row_chunks(piece.stop - piece.start, X.shape[1], STREAM_CELLS):
        chunk = slice(piece.start + part.start, piece.start + part.stop)
        with np.errstate(over="ignore", invalid="ignore"):
            # A sum is NaN if any cell is NaN. After the first missing cell, all further
            # slices are likely to have some, so this check is left out.
            gaps = gaps or np.isnan(X[chunk] @ ones).any()
            for m, columns in enumerate(layout.columns if gaps else ()):
                cells = X[chunk, columns]
                suspects = np.flatnonzero(np.isnan(cells @ ones[: cells.shape[1]]))
                if len(suspects):
                    missing = np.isnan(cells[suspects])
                    whole = missing.all(axis=1)
                    suspects += chunk.start
                    presence[suspects[whole], m] = False
                    partial[suspects[~whole]] |= missing[~whole].any(axis=1)


def find_patterns(presence):
    """Distinct rows of a presence matrix, and the number of the one of each sample."""
    if presence.all() and len(presence):
        return presence[:1], np.zeros(len(presence), dtype=np.intp)
    packed = np.ascontiguousarray(np.packbits(presence, axis=1))
    if packed.shape[1] == 1:
        keys = packed.ravel()  # sorting numbers is much faster than sorting bytes
    else:
        keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return presence[first], inverse.reshape(-1)


@dataclass(frozen=True)
class RowGroup:
    """Samples that kernels treat together, with the columns of `modalities` only."""

    rows: np.ndarray  # (n_rows,), positions in X, ascending
    # (n_rows, n_columns), in layout order, 0 where not observed. Scaled values are
    # `(source - shift) * factor` if there are `shift` and `factor`, (n_columns,).
    source: np.ndarray
    presence: np.ndarray  # (1 or n_rows, n_kept), one row if all samples are equal
    modalities: np.ndarray  # (n_kept,), observed in at least one of the samples
    widths: np.ndarray  # (n_kept,), numbers of columns of these modalities
    columns: object  # slice or positions of the kept columns in layout order
    observed: np.ndarray | None = None  # (n_rows, n_columns), if any row is partial
    shift: np.ndarray | None = None
    factor: np.ndarray | None = None

    def scaled(self, rows):
        """Scaled values of some samples."""
        picked = self.source[rows]
        return picked if self.shift is None else (picked - self.shift) * self.factor

    @cached_property
    def values(self):
        """Scaled values of all samples, copied if they are read from X itself."""
        return self.scaled(slice(None))

    def presence_of(self, rows):
        """Presence of some samples, shape (1 or n_rows, n_kept)."""
        return self.presence if len(self.presence) == 1 else self.presence[rows]

    @cached_property
    def norms(self):
        """Sum of squares per sample and kept modality, shape (n_rows, n_kept)."""
        out = np.empty((len(self.rows), len(self.widths)), dtype=self.source.dtype)
        for chunk in row_chunks(*self.source.shape):
            with np.errstate(over="ignore"):
                out[chunk] = block_norms(self.scaled(chunk), self.widths)
        check_overflow(np.isfinite(out).all(axis=1), out.dtype)
        return out

    @cached_property
    def norms_and_one(self):
        """The norms, and a column of ones."""
        return np.insert(self.norms, self.norms.shape[1], 1, axis=1)


@dataclass(frozen=True)
class Blocks:
    """The samples of X in groups."""

    groups: list  # of RowGroup; each sample of X is in exactly one group
    presence: np.ndarray  # (n_samples, n_modalities), in the order of X
    layout: object
    dtype: np.dtype  # of the values

    def find(self, position):
        """Group of a sample, and its place in the group as an array of length 1."""
        for group in self.groups:
            place = np.searchsorted(group.rows, [position])
            if place[0] < len(group.rows) and group.rows[place[0]] == position:
                return group, place
        raise IndexError(f"no row {position} among {len(self.presence)}")

    def take(self, positions, hide=None):
        """Some samples as one zero-filled group, with the modality `hide` hidden."""
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
        every = np.arange(presence.shape[1])
        group = RowGroup(
            np.arange(len(values)), values, presence, every, self.layout.widths,
            slice(None),
        )  # fmt: skip
        return Blocks([group], presence, self.layout, self.dtype)


@dataclass(frozen=True)
class Centers:
    """Centres in the scaled space of the blocks."""

    values: np.ndarray  # (n_clusters, n_features), in layout order, 0 where missing
    presence: np.ndarray  # (n_clusters, n_modalities)


@dataclass(frozen=True)
class BlockScaler:
    """Affine map between X and the scaled blocks."""

    layout: object
    factor: np.ndarray  # multiplies X - mean, in layout order; 0 for unseen columns
    # All have shape (n_features,). The following are in the order of X.
    mean: np.ndarray
    scale: np.ndarray  # ones if columns are not standardised
    variance: np.ndarray  # of the observed cells, in the units of X
    # If a column has no weight, later values are mapped to 0 and do not affect
    # distances.
    weight: np.ndarray
    # The same per column. Tokens of a sequence share the values above.
    column_mean: np.ndarray
    column_weight: np.ndarray

    @property
    def seen(self):
        """Whether each column has any observed cell, shape (n_features,)."""
        return self.weight > 0

    @classmethod
    def of_moments(cls, layout, mean, variance, weight, columns, standardize, dtype):
        """Scaler of columns with these moments; constant columns get scale 1."""
        scale = np.ones_like(mean)
        if standardize:
            deviation = np.sqrt(variance)
            if standardize == "modality":
                # One scale for all columns of a modality that were observed.
                owner, seen = layout.column_owner, weight > 0
                n_seen = np.bincount(owner, seen, len(layout.widths))
                total = np.bincount(owner, variance * seen, len(layout.widths))
                deviation = np.sqrt(total / np.maximum(n_seen, 1))[owner]
            # Rounding errors of float64, or numbers whose inverse overflows in `dtype`.
            constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)
            constant |= deviation < np.finfo(dtype).tiny
            scale[~constant] = deviation[~constant]
        column_mean = np.where(columns[1] > 0, columns[0], mean)
        order, owner = layout.order, layout.owner
        factor = (weight > 0)[order] / scale[order]
        factor /= np.sqrt(layout.widths)[owner]
        return cls(
            layout, factor, mean, scale, variance, weight, column_mean, columns[1]
        )

    def merge(self, other, standardize, dtype):
        """Scaler of the samples of both scalers, computed from their moments."""
        weight, mean, share = _merge_means(
            (self.weight, other.weight), (self.mean, other.mean)
        )
        shift = other.mean - self.mean
        variance = (1 - share) * (self.variance + share * shift**2)
        variance += share * other.variance
        column_weight, column_mean, _ = _merge_means(
            (self.column_weight, other.column_weight),
            (self.column_mean, other.column_mean),
        )
        columns = column_mean, column_weight
        return self.of_moments(
            self.layout, mean, variance, weight, columns, standardize, dtype
        )

    def centered(self):
        """Scaler with the same scale and the mean of each column, also of tokens."""
        return replace(self, mean=self.column_mean)

    def split(self, table, min_rows=MIN_PATTERN_ROWS, share=False):
        """Copy a ModalityTable into scaled, zero-filled groups of samples."""
        X, presence, partial = table.X, table.presence, table.partial
        shift, factor = self.mean[self.layout.order], self.factor
        coefficients = shift.astype(X.dtype), factor.astype(X.dtype)
        if share and presence.all() and not partial.any() and self._may_share(X):
            # Without a copy: the kernels scale the values that they read from X.
            every = np.arange(presence.shape[1])
            group = RowGroup(
                np.arange(len(X)), X, presence[:1], every, self.layout.widths,
                slice(None), None, *coefficients,
            )  # fmt: skip
            return Blocks([group], presence, self.layout, X.dtype)
        groups = [
            self._group(X, *members, coefficients)
            for members in self.row_sets(table, min_rows)
        ]
        return Blocks(groups, presence, self.layout, X.dtype)

    @staticmethod
    def row_sets(table, min_rows):
        """Samples of each group, their presence, and whether some are partial."""
        presence, partial = table.presence, table.partial
        patterns, inverse = find_patterns(presence)
        inverse = np.where(partial, len(patterns), inverse)
        counts = np.bincount(inverse, minlength=len(patterns) + 1)
        whole = len(patterns) == 1 and not partial.any()
        own = (counts[:-1] >= min_rows) | whole
        rare = np.append(~own, False)[inverse]
        sets = []
        if own.any():
            # A stable sort lists the samples of each pattern in ascending order.
            by_pattern = np.split(
                np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1]
            )
            sets = [
                (by_pattern[p], patterns[p : p + 1], False) for p in np.flatnonzero(own)
            ]
        for members, gappy in ((rare, False), (partial, True)):
            rows = np.flatnonzero(members)
            if len(rows):
                sets.append((rows, presence[rows], gappy))
        return sets

    def _may_share(self, X):
        """Whether products with X are precise without centring or sorting columns."""
        sorted_ = X.flags.c_contiguous and (np.diff(self.layout.order) == 1).all()
        near = np.square(self.mean) <= SHARED_OFFSET**2 * self.variance
        return bool(sorted_ and len(X) and (near & self.seen).all())

    def _group(self, X, rows, presence, gappy, coefficients):
        layout = self.layout
        modalities = np.flatnonzero(presence.any(axis=0))
        widths = layout.widths[modalities]
        columns = slice(None)
        if len(modalities) < presence.shape[1]:
            columns = as_slice(np.flatnonzero(np.isin(layout.owner, modalities)))
        shift, factor = (c[columns] for c in coefficients)
        values = np.empty((len(rows), widths.sum()), dtype=X.dtype)
        observed = np.empty(values.shape, dtype=bool) if gappy else None
        # Consecutive columns of X are copied by one call.
        source = layout.order[columns]
        runs = np.split(source, np.flatnonzero(np.diff(source) != 1) + 1)
        runs = [as_slice(run) for run in runs if len(run)]
        stops = np.cumsum([run.stop - run.start for run in runs])
        if len(runs) > len(modalities):
            runs, stops = [source], np.array([len(source)])
        zero_fill = presence.shape[0] > 1 or gappy

        def fill(piece):
            n_rows = piece.stop - piece.start
            for part in row_chunks(n_rows, len(shift), STREAM_CELLS):
                chunk = slice(piece.start + part.start, piece.start + part.stop)
                picked, out = as_slice(rows[chunk]), values[chunk]
                for run, start, stop in zip(runs, [0, *stops[:-1]], stops):
                    # Columns first, because a slice of columns is a view.
                    is_view = isinstance(run, slice)
                    cells = X[:, run][picked] if is_view else X[picked][:, run]
                    np.subtract(cells, shift[start:stop], out=out[:, start:stop])
                out *= factor
                if zero_fill:
                    missing = np.isnan(out)
                    np.copyto(out, 0, where=missing)
                    if gappy:
                        np.logical_not(missing, out=observed[chunk])

        whole = [slice(0, len(rows))]
        pieces = row_pieces(len(rows)) if values.size > CHUNK_CELLS else whole
        list(map_pieces(fill, pieces, values.size))
        return RowGroup(
            rows, values, presence[:, modalities], modalities, widths, columns, observed
        )

    def pieces(self, table, dtype=None):
        """Yield slices of samples and their Blocks, to save memory."""
        for rows in row_chunks(*table.X.shape, n_cells=8 * CHUNK_CELLS, most=1 << 16):
            part = table[rows]
            if dtype is not None and dtype != part.X.dtype:
                part = part.replace(part.X.astype(dtype))
            yield rows, self.split(part, share=True)

    def center_blocks(self, centers):
        """Scale centres in the units of X, with NaN in missing modalities."""
        presence, _ = find_presence(centers, self.layout)
        shift = self.mean[self.layout.order].astype(centers.dtype)
        values = centers[:, self.layout.order] - shift
        values *= self.factor.astype(centers.dtype)
        return Centers(np.where(np.isnan(values), 0, values), presence)

    def to_units(self, centers):
        """Inverse of `center_blocks`: Centers -> (n_clusters, n_features)."""
        factor = self.factor.astype(centers.values.dtype)
        unseen = factor == 0
        units = np.where(unseen, 0, centers.values / np.where(unseen, 1, factor))
        units += self.mean[self.layout.order].astype(units.dtype)
        units[~centers.presence[:, self.layout.owner]] = np.nan
        in_columns = np.empty_like(units)
        in_columns[:, self.layout.order] = units
        return in_columns


def fit_scaler(table, *, standardize=True):
    """Learn means and, if asked, standard deviations of columns from observed cells."""
    # Columns are always centred, because rounding errors are smaller near 0.
    layout = table.layout
    base = table.near_mean().astype(table.dtype)
    for dtype in (table.dtype, np.dtype(np.float64)):
        # Again in float64 if squares overflow.
        sums = table.sums(_moments, base, dtype)
        if dtype == np.float64 or not _out_of_range(*sums, dtype):
            break
    n, total, square = sums
    columns = base + total / np.where(n > 0, n, 1), n.copy()
    if layout.has_tokens:
        n, total, square = (_pool_tokens(s, layout, np.sum) for s in sums)
    counted = np.where(n > 0, n, 1)
    offset = total / counted
    mean = np.where(n > 0, base + offset, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = np.maximum(square / counted - offset**2, 0)
    infinite = np.flatnonzero(~np.isfinite(variance))
    if len(infinite):
        name = layout.names[layout.column_owner[infinite[0]]]
        raise ValueError(
            f"The variance of {count(len(infinite), 'column')} of X overflows: column "
            f"{infinite[0]}, of modality {name!r}, is the first. Values must stay "
            "below 1e150. Divide these columns by a constant."
        )
    return BlockScaler.of_moments(
        layout, mean, variance, n, columns, standardize, table.dtype
    )


def _moments(table, base, dtype):
    """Weights, sums and sums of squares of the observed cells of X - base."""
    work = partial_function(_column_sums, table, base, dtype)
    sums = np.zeros((3, table.X.shape[1]))
    for part in map_pieces(work, row_pieces(len(table)), table.X.size):
        sums += part
    return sums


def _merge_means(weights, means):
    """Weight and mean of two sets of samples, and the share of the second set."""
    weight = weights[0] + weights[1]
    share = weights[1] / np.where(weight > 0, weight, 1)
    return weight, means[0] + share * (means[1] - means[0]), share


def near_mean(table):
    """Mean of each column over a few samples, a shift to compute precise variances."""
    X, layout, weight = table.X, table.layout, table.weight
    every = slice(None, None, -(-len(X) // 256))
    sample = np.array(X[every], dtype=np.float64, order="C")
    sample[weight[every] <= 0] = np.nan
    mean = mean_of_cells(sample)
    lacking = np.isnan(mean)
    for m in np.unique(layout.column_owner[lacking]):
        rows = np.flatnonzero(table.presence[:, m] & (weight > 0))[:256]
        columns = np.flatnonzero(lacking & (layout.column_owner == m))
        mean[columns] = mean_of_cells(X[np.ix_(rows, columns)].astype(np.float64))
    return shared_mean(mean, layout)


def shared_mean(mean, layout):
    """Means of columns, those of tokens pooled, and 0 for NaN."""
    if layout.has_tokens:
        mean = _pool_tokens(mean, layout, mean_of_cells)
    return np.where(np.isnan(mean), 0, mean)


def mean_of_cells(values, axis=0):
    """Mean of the cells that are not NaN, or NaN if there are none."""
    seen = ~np.isnan(values)
    counts = seen.sum(axis=axis)
    mean = np.where(seen, values, 0).sum(axis=axis) / np.maximum(counts, 1)
    return np.where(counts > 0, mean, np.nan)


def _pool_tokens(values, layout, pool):
    """Replace the values of a feature of several tokens by their pool."""
    for modality in layout.values():
        if modality.n_tokens > 1:
            block = values[modality.columns].reshape(modality.shape)
            values[modality.columns] = np.tile(pool(block, axis=0), modality.n_tokens)
    return values


def _out_of_range(n, total, square, dtype):
    """Whether squares of this dtype may have overflowed or underflowed."""
    limits = np.finfo(dtype)
    mean_square = square[n > 0] / n[n > 0]
    inside = (mean_square > limits.tiny * 1e8) & (mean_square < limits.max / 1e8)
    return not (inside.all() and np.isfinite(total).all())


def _column_sums(table, base, dtype, piece):
    """The same of a slice of the rows."""
    X, weight = table.X[piece], table.weight[piece]
    presence, partial = table.presence[piece], table.partial[piece]
    total, square = np.zeros((2, X.shape[1]))
    gaps = partial.any() or not presence.all()
    chunks = row_chunks(*X.shape, STREAM_CELLS)
    # One buffer in C order, so that rounding does not depend on the order of X.
    shape = (max((c.stop - c.start for c in chunks), default=0), X.shape[1])
    buffer = np.empty(shape, dtype=dtype)
    with np.errstate(over="ignore", under="ignore"):
        for chunk in chunks:
            part, w = buffer[: chunk.stop - chunk.start], weight[chunk].astype(dtype)
            np.subtract(X[chunk], base, out=part, dtype=dtype)
            if gaps:
                np.copyto(part, 0, where=np.isnan(part))
            total += w @ part
            part *= part
            square += w @ part
    owner = table.layout.column_owner
    n = (weight @ presence)[owner]
    n -= weight[partial] @ (np.isnan(X[partial]) & presence[partial][:, owner])
    return n, total, square
