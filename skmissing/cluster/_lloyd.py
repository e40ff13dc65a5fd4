"""Lloyd's iteration for eq. (2) of UL4M4: arrays in, arrays out."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from skmissing._blocks import row_chunks
from skmissing._distances import (
    GroupDistances,
    label_distances,
    nearest_centers,
)
from skmissing._scaling import Centers
from skmissing._threads import map_in_threads, row_pieces


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
    labels = np.full(blocks.n_rows, -1, dtype=np.int32)
    converged = False
    for n_iter in range(1, max_iter + 1):
        previous = labels
        labels, sums = _assign_and_sum(blocks, centers, sample_weight)
        _adopt_unassigned(sums, blocks, labels, sample_weight)
        _relocate_empty(sums, blocks, centers, labels, sample_weight)
        old, centers = centers, sums.centers(centers)
        if verbose:
            inertia = _inertia(blocks, centers, labels, sample_weight)
            print(f"Iteration {n_iter}, inertia {inertia:.6g}.")
        converged = np.array_equal(labels, previous)
        if converged or _shift(old, centers) <= tol:
            break
    if not converged:
        labels = nearest_centers(blocks, centers)
    inertia = _inertia(blocks, centers, labels, sample_weight)
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
    labels, sums = _assign_and_sum(blocks, centers, sample_weight)
    _adopt_unassigned(sums, blocks, labels, sample_weight)
    new = sums.counts()
    total = counts + new
    values = centers.values + np.divide(
        sums.values - new * centers.values,
        total,
        out=np.zeros_like(total),
        where=total > 0,
    )
    presence = centers.presence | (sums.weights > 0)
    centers = Centers(values.astype(centers.values.dtype), presence)
    labels = nearest_centers(blocks, centers)
    inertia = _inertia(blocks, centers, labels, sample_weight)
    return LloydResult(labels, centers, inertia, 1, total)


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
            weight @ group.values[rows].astype(np.float64),
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
        tiny = 1e-12 * self.sizes.max()
        counts = self.counts()
        values = np.divide(
            self.values, counts, out=np.zeros_like(self.values), where=counts > tiny
        )
        presence = self.weights > tiny
        empty = self.sizes <= tiny
        presence[empty] = old.presence[empty]
        values[empty] = old.values[empty]
        return Centers(values.astype(old.values.dtype), presence)


def _assign_and_sum(blocks, centers, sample_weight):
    """One pass: nearest centre of each row, and the sums by cluster.

    A chunk of rows is summed while it is still in cache from the product.
    """
    n_clusters = len(centers.values)
    labels = np.empty(blocks.n_rows, dtype=np.int32)
    distances = [GroupDistances(centers, group) for group in blocks.groups]
    sums = ClusterSums.zeros(n_clusters, blocks)

    def work(piece):
        group_distances, rows = piece
        parts = _sum_piece(group_distances, rows, n_clusters, sample_weight, labels)
        return group_distances.group, parts

    pieces = [
        (group_distances, rows)
        for group_distances in distances
        for rows in row_pieces(len(group_distances.group.rows), blocks.n_rows)
    ]
    for group, parts in map_in_threads(work, pieces):
        sums.add(group, *parts)
    return labels, sums


def _sum_piece(distances, rows, n_clusters, sample_weight, labels):
    group = distances.group
    n_columns = group.values.shape[1]
    values = np.zeros((n_clusters, n_columns))
    weights = np.zeros((n_clusters, len(group.modalities)))
    holes = None if group.observed is None else np.zeros((n_clusters, n_columns))
    sizes = np.zeros(n_clusters)
    for part in row_chunks(rows.stop - rows.start, n_columns):
        chunk = slice(rows.start + part.start, rows.start + part.stop)
        positions = group.rows[chunk]
        nearest = distances.nearest(chunk)
        labels[positions] = nearest
        weight = np.where(nearest >= 0, sample_weight[positions], 0)
        members = _one_hot(np.maximum(nearest, 0), weight, n_clusters)
        values += members.astype(group.values.dtype) @ group.values[chunk]
        size = members.sum(axis=1)
        sizes += size
        presence = group.presence_of(chunk)
        if group.one_pattern:
            weights += np.outer(size, presence)
        else:
            weights += members @ presence.astype(np.float64)
        if holes is not None:
            gaps = np.repeat(presence, group.widths, axis=1) & ~group.observed[chunk]
            holes += members @ gaps.astype(np.float64)
    return values, weights, holes, sizes


def _one_hot(labels, weight, n_clusters):
    """Sparse (n_clusters, n_rows) matrix with each row's weight at its label."""
    n_rows = len(labels)
    return csc_array(
        (weight, labels, np.arange(n_rows + 1)), shape=(n_clusters, n_rows)
    )


def _adopt_unassigned(sums, blocks, labels, sample_weight):
    """Add rows that share nothing with any centre to the largest cluster's sums.

    Its centre then has their modalities, so from the next iteration on no row is left
    over, and every modality is in at least one centre. With one cluster this makes
    the centre the mean of the observed cells.
    """
    unassigned = (labels < 0) & blocks.presence.any(axis=1)
    if not unassigned.any():
        return
    largest = int(sums.sizes.argmax())
    for group in blocks.groups:
        rows = np.flatnonzero(unassigned[group.rows])
        if len(rows):
            sums.add_rows(group, rows, sample_weight[group.rows[rows]], largest)


def _relocate_empty(sums, blocks, centers, labels, sample_weight):
    """Move the centres of empty clusters to the rows farthest from theirs."""
    empty = np.flatnonzero(sums.sizes <= 0)
    if not len(empty):
        return
    distances = label_distances(blocks, centers, labels)
    if distances.max() == 0:
        # More clusters than distinct rows: there is nowhere to go.
        return
    farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
    for cluster, position in zip(empty, farthest):
        weight = sample_weight[[position]]
        origin = labels[position]
        if origin < 0 or weight[0] == 0 or sums.sizes[origin] <= weight[0]:
            continue
        group, row = blocks.find(position)
        sums.add_rows(group, row, weight, cluster)
        sums.add_rows(group, row, -weight, origin)


def _shift(old, new):
    """Squared shift of all centres; infinite if one gained or lost a modality."""
    if not np.array_equal(old.presence, new.presence):
        return np.inf
    difference = (new.values - old.values).astype(np.float64)
    return float(np.vdot(difference, difference))


def _inertia(blocks, centers, labels, sample_weight):
    return float(label_distances(blocks, centers, labels) @ sample_weight)
