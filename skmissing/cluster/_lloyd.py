"""Lloyd's iteration for eq. (2) of UL4M4: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from skmissing._blocks import STREAM_CELLS
from skmissing._distances import group_pieces, label_distances, nearest_distances
from skmissing._modalities import as_slice
from skmissing._scaling import Centers
from skmissing._threads import map_in_threads

# Share of the largest weight below which one is a rounding error.
TINY = 1e-12


@dataclass(frozen=True)
class LloydResult:
    """What one run found.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,), dtype int32
    centers : Centers
    inertia : float
    n_iter : int
    counts : ndarray of shape (n_clusters, n_features)
        Weight of the cells that each centre is the mean of, in layout order.
    """

    labels: np.ndarray
    centers: Centers
    inertia: float
    n_iter: int
    counts: np.ndarray


def lloyd(blocks, centers, sample_weight, *, max_iter, tol, verbose=0):
    """Alternate assignment and update until labels repeat or centres stand still.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers
        Where to start.
    sample_weight : ndarray of shape (n_samples,)
    max_iter : int
    tol : float
        On the squared shift of all centres together, in the scaled space.
    verbose : int

    Returns
    -------
    LloydResult

    Notes
    -----
    The order of steps and tests is that of :class:`sklearn.cluster.KMeans`, so that
    complete data with modalities of equal width give its labels and iterations.
    """
    labels, assigned = _nothing_yet(blocks, centers)
    converged = relocated = False
    for n_iter in range(1, max_iter + 1):
        previous, unsettled = labels, relocated
        labels, assigned = _reassign(blocks, centers, sample_weight, previous, assigned)
        sums = assigned.copy()
        _adopt_unassigned(sums, blocks, labels, sample_weight)
        relocated = _relocate_empty(sums, blocks, centers, labels, sample_weight)
        old, centers = centers, sums.centers(centers)
        if verbose:
            inertia = label_distances(blocks, centers, labels) @ sample_weight
            print(f"Iteration {n_iter}, inertia {inertia:.6g}.")
        # Where a centre was moved, equal labels do not mean equal centres.
        unsettled |= relocated
        converged = not unsettled and np.array_equal(labels, previous)
        if converged or _shift(old, centers) <= tol:
            break
    if converged:
        distances = label_distances(blocks, centers, labels)
    else:
        labels, distances = nearest_distances(blocks, centers)
    inertia = float(distances @ sample_weight)
    return LloydResult(labels, centers, inertia, n_iter, sums.counts())


def online_step(blocks, centers, counts, sample_weight):
    """Assign new rows, and move each centre to the mean of old and new rows.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers
    counts : ndarray of shape (n_clusters, n_features)
        As in :class:`LloydResult`.
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    LloydResult
        Labels and inertia are those of the new rows after the step.
    """
    start = _nothing_yet(blocks, centers)
    labels, sums = _reassign(blocks, centers, sample_weight, *start)
    # Rows that lack the commonest column are not known any more.
    sizes = counts.max(axis=1) + sums.sizes
    _adopt_unassigned(sums, blocks, labels, sample_weight, sizes)
    new = sums.counts()
    total = counts + new
    values = centers.values + np.divide(
        sums.values - new * centers.values,
        total,
        out=np.zeros_like(total),
        where=total > 0,
    )
    # What no row of a cluster ever had is at the mean over all rows. A cluster that
    # never had a row stays where it is, but for what no cluster had.
    nothing = total <= TINY * total.max()
    stays = nothing.all(axis=1, keepdims=True) & counts.any(axis=0)
    values[nothing & ~stays] = 0
    presence = centers.presence | (sums.weights > 0)
    centers = Centers(values.astype(centers.values.dtype), presence)
    labels, distances = nearest_distances(blocks, centers)
    return LloydResult(labels, centers, float(distances @ sample_weight), 1, total)


@dataclass
class ClusterSums:
    """Weighted sums by cluster, from which centres are means.

    Attributes
    ----------
    values : ndarray of shape (n_clusters, n_features)
        Sums of observed cells.
    weights : ndarray of shape (n_clusters, n_modalities)
        Weight of the rows that have the modality.
    holes : ndarray of shape (n_clusters, n_features) or None
        Weight to take off again where such a row has a hole; None without holes.
    sizes : ndarray of shape (n_clusters,)
        Weight of all rows.
    owner : ndarray of shape (n_features,)
        Index of the modality of each column, in layout order.
    """

    values: np.ndarray
    weights: np.ndarray
    holes: np.ndarray | None
    sizes: np.ndarray
    owner: np.ndarray

    @classmethod
    def zeros(cls, n_clusters, blocks):
        """Empty sums, in float64 whatever the data."""
        owner = blocks.layout.owner
        return cls(
            np.zeros((n_clusters, len(owner))),
            np.zeros((n_clusters, len(blocks.layout))),
            np.zeros((n_clusters, len(owner))) if blocks.has_holes else None,
            np.zeros(n_clusters),
            owner,
        )

    def copy(self):
        """The same sums in arrays of their own."""
        holes = None if self.holes is None else self.holes.copy()
        return ClusterSums(
            self.values.copy(),
            self.weights.copy(),
            holes,
            self.sizes.copy(),
            self.owner,
        )

    def add(self, group, values, weights, holes, sizes, clusters=slice(None)):
        """Add sums over rows of a group to some clusters."""
        self.values[clusters, group.columns] += values
        self.weights[clusters, group.modalities] += weights
        if holes is not None:
            self.holes[clusters, group.columns] += holes
        self.sizes[clusters] += sizes

    def add_rows(self, group, rows, weight, cluster):
        """Add rows of a group, by weight, to one cluster."""
        presence = np.broadcast_to(
            group.presence if group.one_pattern else group.presence[rows],
            (len(rows), len(group.modalities)),
        )
        holes = None
        if group.observed is not None:
            gaps = np.repeat(presence, group.widths, axis=1) & ~group.observed[rows]
            holes = weight @ gaps
        self.add(
            group,
            weight @ group.scaled(rows).astype(np.float64),
            weight @ presence,
            holes,
            weight.sum(),
            cluster,
        )

    def counts(self):
        """Weight of the observed cells by cluster and column, in layout order."""
        counts = self.weights[:, self.owner]
        return counts if self.holes is None else counts - self.holes

    def centers(self, old):
        """Means of the clusters; an empty cluster keeps its old centre.

        A hole that no row of the cluster fills becomes 0, the mean over all rows.
        """
        # A row that was moved away can leave rounding errors behind.
        tiny = TINY * self.sizes.max()
        counts = self.counts()
        values = np.divide(
            self.values, counts, out=np.zeros_like(self.values), where=counts > tiny
        )
        presence = self.weights > tiny
        empty = self.sizes <= tiny
        presence[empty] = old.presence[empty]
        values[empty] = old.values[empty]
        return Centers(values.astype(old.values.dtype), presence)


def _nothing_yet(blocks, centers):
    """Labels and sums before any row was assigned."""
    labels = np.full(blocks.n_rows, -1, dtype=np.int32)
    return labels, ClusterSums.zeros(len(centers.values), blocks)


def _reassign(blocks, centers, sample_weight, previous, sums):
    """One pass: nearest centre of each row, and the sums by cluster.

    Only rows whose label is not the previous one are taken from one cluster's sum of
    values and added to another's. Weights are summed anew, so that an empty cluster
    weighs exactly nothing.
    """
    n_clusters = len(centers.values)
    labels = np.empty(blocks.n_rows, dtype=np.int32)
    sums = sums.copy()
    sums.weights[:], sums.sizes[:] = 0, 0

    def work(piece):
        group_distances, rows = piece
        parts = _sum_piece(
            group_distances, rows, n_clusters, sample_weight, previous, labels
        )
        return group_distances.group, parts

    for group, parts in map_in_threads(work, group_pieces(blocks, centers)):
        sums.add(group, *parts)
    return labels, sums


def _sum_piece(distances, rows, n_clusters, sample_weight, previous, labels):
    """Label some rows of a group; what that adds to the sums by cluster."""
    group = distances.group
    moved = _MovedRows(group, n_clusters)
    weights = np.zeros((n_clusters, len(group.modalities)))
    sizes = np.zeros(n_clusters)
    buffer = distances.buffer(rows)
    for chunk in distances.chunks(rows):
        positions = as_slice(group.rows[chunk])
        nearest, weight = distances.nearest(chunk, buffer), sample_weight[positions]
        moved.note(chunk, previous[positions], nearest, weight)
        labels[positions] = nearest
        # One more bin than clusters, for -1.
        size = np.bincount(nearest + 1, weight, minlength=n_clusters + 1)[1:]
        sizes += size
        presence = group.presence_of(chunk)
        if group.one_pattern:
            weights += np.outer(size, presence)
        else:
            members = _moves(np.full_like(nearest, -1), nearest, weight, n_clusters)
            weights += members @ presence.astype(float)
    values, holes = moved.sums()
    return values, weights, holes, sizes


class _MovedRows:
    """Sums of the rows whose label is new, less those of their old clusters.

    Rows wait until there are many: a product with few is dearer than it looks,
    because its result has the size of all centres.

    Parameters
    ----------
    group : RowGroup
    n_clusters : int
    """

    def __init__(self, group, n_clusters):
        self.group = group
        self._values = np.zeros((n_clusters, group.source.shape[1]))
        self._holes = None if group.observed is None else np.zeros_like(self._values)
        self._weights = np.zeros(n_clusters)
        self._many = max(256, STREAM_CELLS // max(1, group.source.shape[1]))
        self._waiting, self._n_waiting = [], 0

    def note(self, chunk, old, new, weight):
        """Remember those of a slice of the rows that have moved."""
        moved = np.flatnonzero(old != new)
        self._waiting.append(
            (chunk.start + moved, old[moved], new[moved], weight[moved])
        )
        self._n_waiting += len(moved)
        if self._n_waiting >= self._many:
            self._add_up()

    def sums(self):
        """Sums of scaled values by cluster, and of holes or None."""
        self._add_up()
        group = self.group
        if group.shift is None:
            return self._values, self._holes
        shift = np.outer(self._weights, group.shift)
        return (self._values - shift) * group.factor, self._holes

    def _add_up(self):
        """Add the rows that wait to the sums."""
        if self._n_waiting:
            rows, *move = (np.concatenate(part) for part in zip(*self._waiting))
            self._add(as_slice(rows), *move)
        self._waiting, self._n_waiting = [], 0

    def _add(self, rows, old, new, weight):
        n_clusters, source = len(self._values), self.group.source
        moves = _moves(old, new, weight, n_clusters)
        self._values += moves.astype(source.dtype) @ source[rows]
        self._weights += moves.sum(axis=1)
        if self._holes is not None:
            presence = self.group.presence_of(rows)
            gaps = np.repeat(presence, self.group.widths, axis=1)
            gaps = gaps & ~self.group.observed[rows]
            self._holes += moves @ gaps.astype(float)


def _moves(old, new, weight, n_clusters):
    """Sparse (n_clusters, n_rows): each row's weight to its new label, off its old.

    A label of -1 has no entry.
    """
    labels = np.stack([new, old], axis=1)
    entries = labels >= 0
    starts = np.concatenate([[0], np.cumsum(entries.sum(axis=1))])
    signed = np.stack([weight, -weight], axis=1)[entries]
    shape = (n_clusters, len(new))
    return csc_array((signed, labels[entries], starts), shape=shape)


def _adopt_unassigned(sums, blocks, labels, sample_weight, sizes=None):
    """Add rows that share nothing with any centre to the largest cluster's sums.

    The largest is by `sizes`, the weight of all rows ever, or else by that of these.

    Its centre then has their modalities, so from the next iteration on no row is left
    over, and every modality is in at least one centre. With one cluster this makes
    the centre the mean of the observed cells.
    """
    unassigned = (labels < 0) & blocks.presence.any(axis=1)
    if not unassigned.any():
        return
    largest = int((sums.sizes if sizes is None else sizes).argmax())
    for group in blocks.groups:
        rows = np.flatnonzero(unassigned[group.rows])
        if len(rows):
            sums.add_rows(group, rows, sample_weight[group.rows[rows]], largest)


def _relocate_empty(sums, blocks, centers, labels, sample_weight):
    """Move the centres of empty clusters to the rows farthest from theirs.

    Returns whether any was moved.
    """
    empty = np.flatnonzero(sums.sizes <= 0)
    if not len(empty):
        return False
    distances = label_distances(blocks, centers, labels)
    distances[sample_weight == 0] = 0
    if distances.max() == 0:
        # More clusters than distinct rows: there is nowhere to go.
        return False
    moved = False
    farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
    for cluster, position in zip(empty, farthest):
        weight = sample_weight[[position]]
        origin = labels[position]
        if origin < 0 or weight[0] == 0 or sums.sizes[origin] <= weight[0]:
            continue
        group, row = blocks.find(position)
        sums.add_rows(group, row, weight, cluster)
        sums.add_rows(group, row, -weight, origin)
        moved = True
    return moved


def _shift(old, new):
    """Squared shift of all centres; infinite if one gained or lost a modality."""
    if not np.array_equal(old.presence, new.presence):
        return np.inf
    # No BLAS here: its threads would spin on while ours go through the next pass.
    return float(np.square(new.values - old.values, dtype=np.float64).sum())
