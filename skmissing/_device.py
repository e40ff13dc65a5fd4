"""Arrays on a device: tables and eq. (2) of UL4M4 in the namespace of the array.

Written with functions of the Array API standard only, for torch, CuPy and others. Masks
of modalities, weights and sums are NumPy arrays. Cells stay on the device.
"""

import contextlib
import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skmissing._blocks import (
    CHUNK_CELLS,
    MIN_PATTERN_ROWS,
    ON_DEVICE,
    _moments,
    on_device,
    row_chunks,
)
from skmissing._compat import max_precision, to_numpy
from skmissing._modalities import as_slice
from skmissing._sources import N_SAMPLED
from skmissing._table import ModalityTable

# Number of cells per chunk. Larger than on a CPU, because each call takes a few
# microseconds to start.
DEVICE_CELLS = 1 << 24


@contextlib.contextmanager
def full_products(xp):
    """Products of float32 in full precision, whatever the settings of torch are."""
    # Distances are differences of products. TF32 would leave three digits of them.
    if "torch" not in xp.__name__:
        yield
        return
    matmul = sys.modules["torch"].backends.cuda.matmul
    # The second is that of torch before 2.9.
    settings = {"fp32_precision": "ieee", "allow_tf32": False}
    name = next(name for name in settings if hasattr(matmul, name))
    before = getattr(matmul, name)
    setattr(matmul, name, settings[name])
    try:
        yield
    finally:
        setattr(matmul, name, before)


class DeviceTable(ModalityTable):
    """A table whose cells X are on a device, and everything else in NumPy arrays."""

    in_pieces = on_device = True

    def __init__(self, X, layout, *, xp, presence=None, partial=None, **kwargs):
        X = X.detach() if hasattr(X, "detach") else X  # no gradients
        self.xp, self.device = xp, X.device
        self._blocks = None, None
        if presence is None:
            presence, partial = _find_presence(self, X, layout)
        super().__init__(X, layout, presence=presence, partial=partial, **kwargs)

    def __len__(self):
        return self.X.shape[0]

    def _like(self, X, **changes):
        return super()._like(X, xp=self.xp, **changes)

    def _take(self, rows):
        if isinstance(rows, slice):
            return self.X[rows, :]
        rows = np.arange(len(self))[rows]
        return self.xp.take(self.X, self.put(rows), axis=0)

    # ----------------------------------------------------- between NumPy and the device

    @property
    def dtype(self):
        """NumPy dtype of X."""
        return np.dtype(np.float32 if self.X.dtype == self.xp.float32 else np.float64)

    def put(self, array, dtype=None):
        """Copy a NumPy array to the device; floats in the dtype of X."""
        array = np.asarray(array)
        if dtype is None and array.dtype.kind == "f":
            dtype = self.X.dtype
        return self.xp.asarray(
            np.array(array, order="C"), dtype=dtype, device=self.device
        )

    def get(self, array):
        """Copy an array from the device to NumPy."""
        return to_numpy(array)

    def total(self, values, weight):
        """Weighted sum of one value per sample, a number."""
        xp = self.xp
        if self.wide == xp.float64:
            return float(xp.astype(values, xp.float64) @ self.put(weight, xp.float64))
        return float(self.get(values).astype(np.float64) @ weight)

    def as_given(self, array):
        """Array in the namespace and on the device of X."""
        return self.put(array) if isinstance(array, np.ndarray) else array

    def like_X(self, values):
        """Values in the dtype of X."""
        return self.xp.astype(values, self.X.dtype)

    @cached_property
    def wide(self):
        """The float dtype of the highest precision on this device."""
        return max_precision(self.xp, self.device)

    def widen(self):
        """Table with X in this dtype."""
        return self._like(self.xp.astype(self.X, self.wide))

    def host(self, rows=slice(None)):
        """Table of some samples in memory, for NumPy."""
        part = self[rows]
        return ModalityTable(
            self.get(part.X),
            self.layout,
            sample_weight=part.sample_weight,
            feature_names=self.feature_names,
            owner=self.owner,
            presence=part.presence,
            partial=part.partial,
        )

    def change(self, function, *args):
        """Table with the values of a function of NumPy that the namespace has, too."""
        own = getattr(self.xp, function.__name__)
        return self._like(own(self.X, *map(self.put, args)))

    def sample(self, n_samples, rng):
        """Table in memory of samples drawn at random; of all if there are not more."""
        if len(self) <= n_samples:
            return self.host()
        return self.host(np.sort(rng.choice(len(self), n_samples, replace=False)))

    # ------------------------------------------------------------------ what there is

    def sums(self, function, *args, task=None):
        """Return what the function has for a device, or its result for this table."""
        with full_products(self.xp):
            return ON_DEVICE.get(function, function)(self, *args)

    def blocks(self, scaler):
        """Scaled samples in groups. Those of the last scaler are kept."""
        if self._blocks[0] is not scaler:
            self._blocks = scaler, DeviceBlocks(self, scaler)
        return self._blocks[1]

    def map_blocks(self, scaler, function, wide=False):
        """Join `function(blocks)` over pieces of the samples."""
        parts = []
        with full_products(self.xp):
            for rows in row_chunks(*self.X.shape, 8 * CHUNK_CELLS, most=1 << 16):
                piece = self[rows].widen() if wide else self[rows]
                parts.append(function(DeviceBlocks(piece, scaler)))
        return parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=0)

    @property
    def n_partial(self):
        """Number of samples in which each modality is partially observed."""
        return self.host(np.flatnonzero(self.partial)).n_partial

    def fill(self, known, impute, seen, statistics):
        """X with `impute(samples)` in missing cells, or with statistics for NaN.

        Also returns the number of samples that have an observed cell and need these in
        columns that were seen. `known` is the table that `impute` is given.
        """
        xp, n_unreached, parts = self.xp, 0, []
        seen, statistics = self.put(seen), self.put(statistics)
        for rows in row_chunks(*self.X.shape, 8 * CHUNK_CELLS, most=1 << 16):
            whole, given = self[rows], known[rows]
            X, index = whole.X, np.arange(len(whole))
            places = whole.incomplete
            if len(places):
                given, part = given[places], whole._take(places)
                with full_products(xp):
                    values = impute(given)
                missing = xp.isnan(part)
                no_answer = missing & xp.isnan(values)
                unreached = self.get(xp.any(no_answer & seen, axis=1))
                n_unreached += np.count_nonzero(unreached & given.has_any)
                values = xp.where(no_answer, statistics, values)
                # The standard has no assignment to some rows.
                index[places] = len(whole) + np.arange(len(places))
                X = xp.concat([X, xp.where(missing, values, part)], axis=0)
                X = xp.take(X, self.put(index), axis=0)
            parts.append(X)
        return xp.concat(parts, axis=0), n_unreached

    def warn_codes(self):
        """Warn about values like codes for missing in a sample."""
        self.sample(N_SAMPLED, np.random.RandomState(0)).warn_codes()

    def near_mean(self):
        """Means of the columns, without weights."""
        n, total, _ = _sums_of_columns(self, np.zeros(self.X.shape[1]), self.dtype)
        return total / np.maximum(n, 1)

    @cached_property
    def bounds(self):
        """Smallest and largest observed value of each column, NaN if there is none."""
        xp, found = self.xp, []
        for rows in row_chunks(*self.X.shape, DEVICE_CELLS, most=1 << 16):
            x = self.X[rows, :]
            low = xp.min(xp.where(xp.isnan(x), xp.inf, x), axis=0)
            high = xp.max(xp.where(xp.isnan(x), -xp.inf, x), axis=0)
            found.append(self.get(xp.stack([low, -high])))
        low, high = np.min(found, axis=0)
        return np.where(np.isinf(low), np.nan, [low, -high])

    @cached_property
    def observed_columns(self):
        """Mask of columns observed in any sample, shape (n_features,)."""
        return ~np.isnan(self.bounds[0])

    def _cells(self, columns):
        return self.get(self.xp.take(self.X, self.put(columns), axis=1))

    def _without(self, columns):
        mask = np.zeros((1, self.X.shape[1]), dtype=bool)
        mask[:, columns] = True
        X = self.xp.where(self.put(mask), self.xp.nan, self.X)
        return self._like(X, presence=None, partial=None)


def _find_presence(table, X, layout):
    """Masks of observed modalities, and of samples with partially observed ones."""
    xp = table.xp
    presence = np.empty((X.shape[0], len(layout)), dtype=bool)
    partial = np.empty(len(presence), dtype=bool)
    member = np.eye(len(layout), dtype=np.float32)[layout.column_owner]
    member = xp.asarray(member, device=table.device)
    with full_products(xp):
        for rows in row_chunks(*X.shape, DEVICE_CELLS, most=1 << 16):
            # Counts, which are exact in float32.
            missing = xp.astype(xp.isnan(X[rows, :]), xp.float32) @ member
            missing = table.get(missing)
            presence[rows] = missing < layout.widths
            partial[rows] = (presence[rows] & (missing > 0)).any(axis=1)
    return presence, partial


@on_device(_moments)
def _sums_of_columns(table, base, dtype):
    """Weights, sums and sums of squares of the observed cells of X - base."""
    xp, sums = table.xp, Sums(table)
    wide = table.X.dtype if dtype == table.dtype else table.wide
    base, weight = table.put(base, wide), table.put(table.weight, wide)
    for rows in row_chunks(*table.X.shape, DEVICE_CELLS, most=1 << 14):
        x, w = xp.astype(table.X[rows, :], wide), weight[rows]
        seen = ~xp.isnan(x)
        x = xp.where(seen, x - base, 0.0)
        sums.add(w @ xp.astype(seen, wide), w @ x, w @ (x * x))
    return sums.totals()


class Sums:
    """Sums of arrays on a device, in its highest precision, or on the host."""

    def __init__(self, table):
        self.table, self._sums = table, None
        self._stays = table.wide == table.xp.float64

    def add(self, *parts):
        """Add arrays, None for nothing."""
        xp = self.table.xp
        if self._stays:
            parts = [p if p is None else xp.astype(p, xp.float64) for p in parts]
        else:
            parts = [p if p is None else self._host(p) for p in parts]
        if self._sums is not None:
            parts = [p if p is None else s + p for s, p in zip(self._sums, parts)]
        self._sums = parts

    def totals(self):
        """The sums as NumPy arrays of float64."""
        return [s if s is None else self._host(s) for s in self._sums]

    def _host(self, part):
        if isinstance(part, np.ndarray):
            return part
        return self.table.get(part).astype(np.float64)


# ------------------------------------------------------------- samples and distances


@dataclass(frozen=True)
class DeviceGroup:
    """Samples that are treated together; see RowGroup."""

    table: DeviceTable
    rows: np.ndarray  # (n_rows,), positions in X
    modalities: np.ndarray  # (n_kept,)
    widths: np.ndarray  # (n_kept,)
    columns: object  # slice or positions of the kept columns in layout order
    simple: bool  # whether all samples have the same modalities
    # On the device:
    x: object  # (n_rows, n_columns), scaled, 0 where not observed
    presence: object  # (1 or n_rows, n_kept), 0 or 1
    observed: object  # (n_rows, n_columns), 0 or 1; None if no sample is partial
    weight: object  # (n_rows,)

    def chunks(self, n_clusters):
        """Slices of the samples."""
        n_columns = max(self.x.shape[1], n_clusters)
        return row_chunks(len(self.rows), n_columns, DEVICE_CELLS)

    def presence_of(self, rows):
        """Presence of some samples, shape (1 or n_rows, n_kept)."""
        return self.presence if self.simple else self.presence[rows, :]

    @cached_property
    def _member(self):
        owner = np.repeat(np.arange(len(self.widths)), self.widths)
        return self.table.put(np.eye(len(self.widths))[owner])

    def block_sums(self, cells):
        """Sum over the columns of each modality, (n, n_columns) -> (n, n_kept)."""
        return cells if (self.widths == 1).all() else cells @ self._member

    def inverse_share(self, rows):
        """Width divided by the number of observed cells, (n_rows, n_kept)."""
        n_observed = self.block_sums(self.observed[rows, :])
        one = n_observed > 0
        widths = self.table.put(self.widths.astype(float))
        return widths / self.table.xp.where(one, n_observed, 1.0)

    def ratio(self, rows):
        """The same for each column, 0 where not observed."""
        share = self.inverse_share(rows)
        share = share if (self.widths == 1).all() else share @ self._member.T
        return share * self.observed[rows, :]

    @cached_property
    def norms(self):
        """Sum of squares per sample and kept modality, shape (n_rows, n_kept)."""
        xp, parts = self.table.xp, []
        for rows in self.chunks(1):
            norms = self.block_sums(self.x[rows, :] ** 2)
            if self.observed is not None:
                norms = norms * self.inverse_share(rows)
            parts.append(norms)
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


class DeviceBlocks:
    """The samples of X in groups, scaled, on the device."""

    def __init__(self, table, scaler, min_rows=MIN_PATTERN_ROWS):
        self.table = table
        self._previous, self._n_changes = None, 0
        self.groups = [
            self._group(scaler, *members)
            for members in scaler.row_sets(table, min_rows)
        ]

    def _group(self, scaler, rows, presence, gappy):
        table, xp, layout = self.table, self.table.xp, self.table.layout
        modalities = np.flatnonzero(presence.any(axis=0))
        columns = slice(None)
        if len(modalities) < len(layout):
            columns = as_slice(np.flatnonzero(np.isin(layout.owner, modalities)))
        shift = table.put(scaler.mean[layout.order][columns])
        factor = table.put(scaler.factor[columns])
        source = table.put(layout.order[columns])
        x = xp.empty(
            (len(rows), shift.shape[0]), dtype=table.X.dtype, device=table.device
        )
        observed = xp.empty_like(x) if gappy else None
        for chunk in row_chunks(len(rows), len(layout.order), DEVICE_CELLS):
            part = xp.take(table._take(rows[chunk]), source, axis=1)
            part = (part - shift) * factor
            if gappy or len(presence) > 1:
                missing = xp.isnan(part)
                part = xp.where(missing, 0.0, part)
                if gappy:
                    observed[chunk, :] = table.like_X(~missing)
            x[chunk, :] = part
        weight = (table.weight * table.has_any)[rows]
        return DeviceGroup(
            table, rows, modalities, layout.widths[modalities], columns,
            len(presence) == 1, x,
            table.put(presence[:, modalities].astype(float)), observed,
            table.put(weight.astype(float)),
        )  # fmt: skip

    def in_order(self, parts):
        """Join arrays of the groups, in the order of X."""
        xp, order = self.table.xp, np.concatenate([g.rows for g in self.groups])
        joined = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        if (order[1:] > order[:-1]).all():
            return joined
        return xp.take(joined, self.table.put(np.argsort(order)), axis=0)

    def squared(self, centers):
        """Squared distances to all centres, (n_samples, n_clusters)."""
        return self._map(lambda to, rows: [to.squared(rows)], centers)[0]

    def nearest(self, centers):
        """Nearest centre of each sample, and the squared distance to it."""

        def work(to, rows):
            labels = to.nearest(rows)
            return labels, to.measure(rows, labels)

        return self._map(work, centers)

    def _map(self, work, centers):
        """Join what `work` returns for chunks of the samples, in the order of X."""
        found = []
        for group in self.groups:
            to = GroupToCenters(group, centers)
            chunks = group.chunks(len(centers.values))
            parts = zip(*(work(to, rows) for rows in chunks))
            found.append([self.table.xp.concat(part, axis=0) for part in parts])
        return [self.in_order(parts) for parts in zip(*found)]

    def assign(self, centers):
        """Sums by cluster of the nearest centre, for ClusterSums; see `_assign_piece`.

        Also returns the positions of samples without a centre, and a number that
        changes if the label of any sample does.
        """
        table, xp = self.table, self.table.xp
        k, n_features = centers.values.shape
        values, missing = np.zeros((2, k, n_features))
        weights, sizes = np.zeros(centers.presence.shape), np.zeros(k)
        partial = any(g.observed is not None for g in self.groups)
        number = xp.arange(k, device=table.device)[None, :]
        labels, lost = [], []
        for group in self.groups:
            to, sums, found = GroupToCenters(group, centers), Sums(table), []
            for rows in group.chunks(k):
                nearest = to.nearest(rows)
                members = table.like_X(nearest[:, None] == number)
                members = (members * group.weight[rows][:, None]).T
                sums.add(*_sums_of_members(group, rows, members))
                found.append(nearest)
            labels.append(found[0] if len(found) == 1 else xp.concat(found))
            total, by_modality, size, gaps = sums.totals()
            if by_modality is None:
                by_modality = np.ones((1, len(group.modalities))) * size[:, None]
            values[:, group.columns] += total
            weights[:, group.modalities] += by_modality
            sizes += size
            if gaps is not None:
                missing[:, group.columns] += gaps
            if to.may_fail and bool(xp.any(labels[-1] < 0)):
                lost.append(group.rows[table.get(labels[-1]) < 0])
        if self._previous is None or any(
            bool(xp.any(a != b)) for a, b in zip(labels, self._previous)
        ):
            self._n_changes += 1
        self._previous = labels
        lost = np.concatenate(lost) if lost else np.zeros(0, dtype=np.intp)
        parts = values, weights, missing if partial else None, sizes
        return parts, lost[table.has_any[lost]], self._n_changes


def _sums_of_members(group, rows, members):
    """Sums of cells, of modalities unless all are equal, of weights, and of gaps."""
    x, xp = group.x[rows, :], group.table.xp
    by_modality = gaps = None
    if not group.simple:
        by_modality = members @ group.presence[rows, :]
    if group.observed is not None:
        there = group.presence[rows, :]
        there = there if (group.widths == 1).all() else there @ group._member.T
        gaps = members @ (there - group.observed[rows, :])
    return members @ x, by_modality, xp.sum(members, axis=1), gaps


class GroupToCenters:
    """Squared distances of the samples of a group to all centres.

    The formulas are those of GroupDistances.
    """

    def __init__(self, group, centers):
        self.group = group
        owned = centers.presence[:, group.modalities]
        self._complete, put = bool(owned.all()), group.table.put
        # Whether a sample may share no modality with any centre.
        self.may_fail = not (self._complete and group.simple and owned.shape[1])
        self._centers = put(centers.values[:, group.columns])
        self._owned = put(owned.astype(float))
        self._squares = self._centers**2
        self._center_norms = group.block_sums(self._squares).T

    def _sums(self, rows):
        """Sums over shared modalities, minus the norms of the sample itself."""
        group, x = self.group, self.group.x[rows, :]
        if group.observed is None:
            norms = group.presence_of(rows) @ self._center_norms
            return norms - 2 * (x @ self._centers.T)
        ratio = group.ratio(rows)
        return ratio @ self._squares.T - 2 * ((x * ratio) @ self._centers.T)

    def squared(self, rows):
        """Squared distances of a slice of samples; inf if no modality is shared."""
        xp, owned = self.group.table.xp, self._owned.T
        sums = self._sums(rows) + self.group.norms[rows, :] @ owned
        shared = self.group.presence_of(rows) @ owned
        mean = xp.where(sums > 0, sums, 0.0) / xp.where(shared > 0, shared, 1.0)
        return xp.where(shared > 0, mean, xp.inf)

    def nearest(self, rows):
        """Index of the nearest centre; -1 if no centre shares a modality."""
        xp = self.group.table.xp
        if not self.may_fail:
            return xp.astype(xp.argmin(self._sums(rows), axis=1), xp.int32)
        squared = self.squared(rows)
        labels = xp.astype(xp.argmin(squared, axis=1), xp.int32)
        return xp.where(xp.isinf(xp.min(squared, axis=1)), -1, labels)

    def measure(self, rows, labels):
        """Squared distances of a slice of samples to their labels; 0 for -1."""
        # By differences, to avoid cancellation.
        group, xp = self.group, self.group.table.xp
        own = xp.where(labels < 0, 0, labels)
        difference = group.x[rows, :] - xp.take(self._centers, own, axis=0)
        squares = difference**2
        if group.observed is not None:
            squares = squares * group.ratio(rows)
        shared = group.presence_of(rows) * xp.take(self._owned, own, axis=0)
        sums = xp.sum(group.block_sums(squares) * shared, axis=1)
        n_shared = xp.sum(shared, axis=1)
        return xp.where(labels < 0, 0.0, sums / xp.where(n_shared > 0, n_shared, 1.0))
