"""Standardisation of columns, and the affine map between X and the scaled blocks."""

from dataclasses import dataclass, replace

import numpy as np

from skmissing._blocks import (
    CHUNK_CELLS,
    MIN_PATTERN_ROWS,
    STREAM_CELLS,
    Blocks,
    RowGroup,
    find_patterns,
    find_presence,
    row_chunks,
)
from skmissing._modalities import as_slice
from skmissing._threads import for_each, map_in_threads, row_pieces

# How many standard deviations columns may be away from 0 and still be multiplied as
# they are: rounding errors of distances grow by about as much.
SHARED_OFFSET = 4


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
    weight : ndarray of shape (n_features,)
        Of the observed cells. Without any, whatever comes in that column later is
        mapped to 0, the same for all rows, and so takes no part in distances.
    column_mean, column_weight : ndarray of shape (n_features,)
        The same for each column by itself, where `mean` and `weight` are shared by
        the tokens of a sequence; `mean` if the column has no observed cell.
    """

    layout: object
    mean: np.ndarray
    scale: np.ndarray
    variance: np.ndarray
    weight: np.ndarray
    column_mean: np.ndarray
    column_weight: np.ndarray

    @property
    def seen(self):
        """Whether each column has any observed cell, shape (n_features,)."""
        return self.weight > 0

    @classmethod
    def of_moments(cls, layout, mean, variance, weight, columns, standardize, dtype):
        """Scaler of columns with these moments; constant columns get scale 1.

        `columns` are the mean and the weight of each column by itself. A column is
        constant if its deviation is rounding error of float64 whatever the dtype,
        because deviations are from a value near the mean; or if `dtype` cannot hold
        the inverse of its deviation.
        """
        scale = np.ones_like(mean)
        if standardize:
            deviation = np.sqrt(variance)
            constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)
            constant |= deviation < np.finfo(dtype).tiny
            scale[~constant] = deviation[~constant]
        column_mean = np.where(columns[1] > 0, columns[0], mean)
        return cls(layout, mean, scale, variance, weight, column_mean, columns[1])

    def merge(self, other, standardize, dtype):
        """Scaler of the rows of both, from their moments alone."""
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
        """The same scale; each column, also that of a token, about its own mean."""
        return replace(self, mean=self.column_mean)

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

    def split(
        self, X, presence=None, holes=None, min_rows=MIN_PATTERN_ROWS, share=False
    ):
        """Copy X into scaled, zero-filled groups of rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        presence, holes : ndarray or None
            As :func:`find_presence` returns them; found here if None.
        min_rows : int
            Patterns with fewer rows share one group.
        share : bool
            Read complete rows from X itself if that costs no precision, and leave
            the scaling to the kernels.

        Returns
        -------
        Blocks
        """
        if presence is None:
            presence, holes = find_presence(X, self.layout)
        coefficients = self._coefficients(X.dtype)
        if share and presence.all() and not holes.any() and self._may_share(X):
            every = np.arange(len(self.layout))
            group = RowGroup(
                np.arange(len(X)), X, presence[:1], every, self.layout.widths,
                slice(None), None, *coefficients,
            )  # fmt: skip
            return Blocks([group], presence, self.layout)
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

    def _may_share(self, X):
        """Whether products with X, columns neither centred nor sorted, are precise."""
        sorted_ = X.flags.c_contiguous and (np.diff(self.layout.order) == 1).all()
        near = np.square(self.mean) <= SHARED_OFFSET**2 * self.variance
        return bool(sorted_ and len(X) and (near & self.seen).all())

    def _group(self, X, rows, presence, coefficients, has_holes=False):
        layout = self.layout
        modalities = np.flatnonzero(presence.any(axis=0))
        widths = layout.widths[modalities]
        columns = slice(None)
        if len(modalities) < len(layout):
            columns = as_slice(np.flatnonzero(np.isin(layout.owner, modalities)))
        shift, factor = (c[columns] for c in coefficients)
        values = np.empty((len(rows), widths.sum()), dtype=X.dtype)
        observed = np.empty(values.shape, dtype=bool) if has_holes else None
        # Columns that stand side by side in X are copied by one call.
        source = layout.order[columns]
        runs = np.split(source, np.flatnonzero(np.diff(source) != 1) + 1)
        runs = [as_slice(run) for run in runs if len(run)]
        stops = np.cumsum([run.stop - run.start for run in runs])
        if len(runs) > len(modalities):
            runs, stops = [source], np.array([len(source)])
        zero_fill = presence.shape[0] > 1 or has_holes

        def fill(piece):
            for rows_of in row_chunks(
                piece.stop - piece.start, len(shift), STREAM_CELLS
            ):
                chunk = slice(piece.start + rows_of.start, piece.start + rows_of.stop)
                picked, out = as_slice(rows[chunk]), values[chunk]
                for run, start, stop in zip(runs, [0, *stops[:-1]], stops):
                    # Columns first: a slice of them is a view, and few are copied.
                    is_view = isinstance(run, slice)
                    part = X[:, run][picked] if is_view else X[picked][:, run]
                    np.subtract(part, shift[start:stop], out=out[:, start:stop])
                out *= factor
                if zero_fill:
                    missing = np.isnan(out)
                    np.copyto(out, 0, where=missing)
                    if has_holes:
                        np.logical_not(missing, out=observed[chunk])

        whole = [slice(0, len(rows))]
        for_each(fill, row_pieces(len(rows)) if values.size > CHUNK_CELLS else whole)
        return RowGroup(
            rows, values, presence[:, modalities], modalities, widths, columns, observed
        )

    def pieces(self, X, dtype=None):
        """Split X piece by piece, so that no copy of the whole is made.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        dtype : dtype or None
            Of the blocks; that of X if None.

        Yields
        ------
        rows : slice
        blocks : Blocks
            Of `X[rows]`.
        """
        for rows in row_chunks(*X.shape, n_cells=8 * CHUNK_CELLS, most=1 << 16):
            yield (
                rows,
                self.split(X[rows].astype(dtype or X.dtype, copy=False), share=True),
            )

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

    Raises
    ------
    ValueError
        If the variance of a column overflows float64.

    Notes
    -----
    The standard deviation divides by the number of observed cells (`ddof=0`). A
    column that is constant up to rounding gets scale 1; one without any observed
    cell, mean 0 and scale 1. The tokens of a sequence share their statistics, so
    that a token's place does not change its scale.
    """
    weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    base = _near_mean(X, layout, presence, weight).astype(X.dtype)
    sums = _observed_sums(X, base, layout, presence, holes, weight, X.dtype)
    if X.dtype != np.float64 and _out_of_range(*sums, X.dtype):
        sums = _observed_sums(X, base, layout, presence, holes, weight, np.float64)
    n, total, _ = sums
    columns = base + total / np.where(n > 0, n, 1), n.copy()
    n, total, square = (_pool_tokens(s, layout, np.sum) for s in sums)
    counted = np.where(n > 0, n, 1)
    offset = total / counted
    mean = np.where(n > 0, base + offset, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = np.maximum(square / counted - offset**2, 0)
    _check_finite(variance, layout)
    return BlockScaler.of_moments(
        layout, mean, variance, n, columns, standardize, X.dtype
    )


def _check_finite(variance, layout):
    """Raise ValueError for columns whose squares overflow."""
    columns = np.flatnonzero(~np.isfinite(variance))
    if len(columns):
        name = layout.names[layout.column_owner[columns[0]]]
        raise ValueError(
            f"The variance of {len(columns)} columns of X overflows: column "
            f"{columns[0]}, of modality {name!r}, is the first. Divide them by "
            "something, so that values stay below 1e150."
        )


def _merge_means(weights, means):
    """Weight and mean of both, and the share of the second."""
    weight = weights[0] + weights[1]
    share = weights[1] / np.where(weight > 0, weight, 1)
    return weight, means[0] + share * (means[1] - means[0]), share


def _near_mean(X, layout, presence, weight):
    """Mean of each column over a few rows: a shift that keeps variances exact.

    Rows without weight do not count. A column that evenly spaced rows lack goes by
    the first rows that have its modality; 0 if there is no cell.
    """
    every = slice(None, None, -(-len(X) // 256))
    sample = np.array(X[every], dtype=np.float64, order="C")
    sample[weight[every] <= 0] = np.nan
    mean = _mean_of_cells(sample)
    lacking = np.isnan(mean)
    for m in np.unique(layout.column_owner[lacking]):
        rows = np.flatnonzero(presence[:, m] & (weight > 0))[:256]
        columns = np.flatnonzero(lacking & (layout.column_owner == m))
        mean[columns] = _mean_of_cells(X[np.ix_(rows, columns)].astype(np.float64))
    mean = _pool_tokens(mean, layout, _mean_of_cells)
    return np.where(np.isnan(mean), 0, mean)


def _mean_of_cells(values, axis=0):
    """Mean of what is not NaN; NaN where there is nothing."""
    seen = ~np.isnan(values)
    counts = seen.sum(axis=axis)
    mean = np.where(seen, values, 0).sum(axis=axis) / np.maximum(counts, 1)
    return np.where(counts > 0, mean, np.nan)


def _pool_tokens(values, layout, pool):
    """Replace what belongs to one feature of several tokens by its pool."""
    for modality in layout.values():
        if modality.n_tokens > 1:
            block = values[modality.columns].reshape(modality.shape)
            values[modality.columns] = np.tile(pool(block, axis=0), modality.n_tokens)
    return values


def _observed_sums(X, base, layout, presence, holes, weight, dtype):
    """Weight, weighted sum and sum of squares of the observed cells of X - base."""
    sums = np.zeros((3, layout.n_features))

    def work(rows):
        return _column_sums(
            X[rows], base, layout, presence[rows], holes[rows], weight[rows], dtype
        )

    for part in map_in_threads(work, row_pieces(len(X))):
        sums += part
    return sums


def _out_of_range(n, total, square, dtype):
    """Whether squares of this dtype may have overflown, or vanished."""
    limits = np.finfo(dtype)
    mean_square = square[n > 0] / n[n > 0]
    inside = (mean_square > limits.tiny * 1e8) & (mean_square < limits.max / 1e8)
    return not (inside.all() and np.isfinite(total).all())


def _column_sums(X, base, layout, presence, holes, weight, dtype):
    """The same of some rows, summed in `dtype` within a chunk."""
    total, square = np.zeros((2, X.shape[1]))
    gaps = holes.any() or not presence.all()
    chunks = list(row_chunks(*X.shape, STREAM_CELLS))
    # One buffer, in C order: sums must not round differently with the order of X.
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
    n = (weight @ presence)[layout.column_owner]
    in_present = presence[holes][:, layout.column_owner]
    n -= weight[holes] @ (np.isnan(X[holes]) & in_present)
    return n, total, square
