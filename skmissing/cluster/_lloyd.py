"""Initial centres and Lloyd's iteration for eq. (2) of UL4M4: arrays in, arrays out."""

import copy
import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csc_array

from skmissing._blocks import STREAM_CELLS, Centers, on_device
from skmissing._callbacks import NO_TASK
from skmissing._distances import (
    label_distances,
    map_groups,
    nearest_centers,
    squared_distances,
)
from skmissing._modalities import as_slice

# A weight below this share of the largest weight is a rounding error.
TINY = 1e-12


@dataclass(frozen=True)
class LloydResult:
    """Result of one run."""

    labels: np.ndarray  # (n_samples,), int32
    centers: Centers
    inertia: float
    n_iter: int
    counts: np.ndarray  # (n_clusters, n_features), weight of the cells of each mean


def lloyd(blocks, centers, sample_weight, *, max_iter, tol, verbose=0, task=NO_TASK):
    """Alternate assignment and update until labels repeat or centres stop moving."""
    # The order of steps and tests is that of sklearn.cluster.KMeans.
    labels, assigned = np.full(len(blocks.presence), -1, dtype=np.int32), None
    has_any = blocks.presence.any(axis=1)
    converged = relocated = False
    for n_iter in range(1, max_iter + 1):
        previous, unsettled = labels, relocated
        step = task.part("iteration")
        labels, assigned = _reassign(blocks, centers, sample_weight, previous, assigned)
        sums, unassigned = assigned, (labels < 0) & has_any
        if unassigned.any() or (sums.sizes <= 0).any():
            sums = copy.deepcopy(assigned)
        if unassigned.any():
            _adopt(sums, blocks, unassigned, sample_weight, sums.sizes.argmax())
        relocated = False
        if (sums.sizes <= 0).any():
            relocated = _relocate_empty(sums, blocks, centers, labels, sample_weight)
        old, centers = centers, sums.centers(centers)
        if verbose:
            inertia = label_distances(blocks, centers, labels) @ sample_weight
            print(f"Iteration {n_iter}, inertia {inertia:.6g}.")
        # After an empty cluster was moved, equal labels do not mean equal centres.
        unsettled |= relocated
        converged = not unsettled and np.array_equal(labels, previous)
        done = converged
        if not done and np.array_equal(old.presence, centers.presence):
            # Not by BLAS: its threads would stay busy while ours run the next pass.
            shift = np.square(centers.values - old.values, dtype=np.float64).sum()
            done = shift <= tol
        wanted = step.end(partial(_stop, blocks, centers, sample_weight, n_iter, sums))
        if done or wanted:
            break
    if not converged:
        return _stop(blocks, centers, sample_weight, n_iter, sums)
    inertia = float(label_distances(blocks, centers, labels) @ sample_weight)
    return LloydResult(labels, centers, inertia, n_iter, sums.counts())


def _stop(blocks, centers, sample_weight, n_iter, sums):
    """Result of a run that ends before labels repeat."""
    labels, distances = nearest_centers(blocks, centers, return_squared=True)
    inertia = float(distances @ sample_weight)
    return LloydResult(labels, centers, inertia, n_iter, sums.counts())


def lloyd_in_pieces(table, scaler, centers, *, max_iter, tol, verbose=0, task=NO_TASK):
    """Lloyd's iteration over the pieces of a SourceTable: one pass per iteration."""
    # The steps are those of `lloyd`. Sums are computed anew in each pass, and labels
    # are compared by their checksums.
    previous, relocated = None, False
    for n_iter in range(1, max_iter + 1):
        unsettled = relocated
        step = task.part("iteration", table.n_parts)
        total, lost, labels = table.sums(_assign_piece, scaler, centers, task=step)
        sums = ClusterSums(*total, scaler.layout.owner)
        if lost is not None:
            sums.add(lost, sums.sizes.argmax())
        relocated = False
        if (sums.sizes <= 0).any():
            relocated = _relocate_in_pieces(sums, table, scaler, centers)
        old, centers = centers, sums.centers(centers)
        if verbose:
            _, inertia = table.sums(_label_piece, scaler, centers, False)
            print(f"Iteration {n_iter}, inertia {inertia:.6g}.")
        unsettled |= relocated
        done = not unsettled and labels == previous
        previous = labels
        if not done and np.array_equal(old.presence, centers.presence):
            shift = np.square(centers.values - old.values, dtype=np.float64).sum()
            done = shift <= tol
        wanted = step.end(
            partial(_stop_in_pieces, table, scaler, centers, n_iter, sums)
        )
        if done or wanted:
            break
    return _stop_in_pieces(table, scaler, centers, n_iter, sums)


def _stop_in_pieces(table, scaler, centers, n_iter, sums):
    """Result of a run; without labels if they are not to leave their partitions."""
    keep = not getattr(table.X, "lazy", False)
    labels, inertia = table.sums(_label_piece, scaler, centers, keep)
    if len(labels) > 1:
        labels = [np.concatenate(labels)]
    labels = labels[0] if labels else None
    return LloydResult(labels, centers, float(inertia), n_iter, sums.counts())


def _assign_piece(table, scaler, centers):
    """Sums by cluster of a piece, those of unassigned samples, and a checksum."""
    blocks = scaler.split(table, share=True)
    weight = table.weight * table.has_any
    labels = np.full(len(table), -1, dtype=np.int32)
    labels, sums = _reassign(blocks, centers, weight, labels, None)
    lost, unassigned = None, (labels < 0) & table.has_any
    if unassigned.any():
        lost = _no_sums(1, blocks)
        _adopt(lost, blocks, unassigned, weight, 0)
        lost = lost.parts()
    return sums.parts(), lost, [zlib.crc32(labels)]


def _label_piece(table, scaler, centers, keep):
    """Labels of a piece, if they are to be kept, and its inertia."""
    blocks = scaler.split(table, share=True)
    labels, squared = nearest_centers(blocks, centers, return_squared=True)
    return [labels] * keep, float(squared @ (table.weight * table.has_any))


@on_device(_assign_piece)
def _assign_on_device(table, scaler, centers):
    parts, positions, number = table.blocks(scaler).assign(centers)
    lost = None
    if len(positions):
        few = table.host(positions)
        blocks = scaler.split(few)
        lost = _no_sums(1, blocks)
        _adopt(lost, blocks, few.has_any, few.weight, 0)
        lost = lost.parts()
    return parts, lost, [number]


@on_device(_label_piece)
def _label_on_device(table, scaler, centers, keep):
    labels, squared = table.blocks(scaler).nearest(centers)
    return [labels], table.total(squared, table.weight * table.has_any)


def _relocate_in_pieces(sums, table, scaler, centers):
    """Move centres of empty clusters to the farthest samples; return if any moved."""
    empty = np.flatnonzero(sums.sizes <= 0)
    found = table.sums(_farthest, scaler, centers, len(empty))
    found = sorted(found, key=lambda far: far[0], reverse=True)[: len(empty)]
    moved = False
    for cluster, (distance, origin, weight, parts) in zip(empty, found):
        if distance == 0 or origin < 0 or sums.sizes[origin] <= weight:
            continue
        sums.add(parts, cluster)
        sums.add(parts, origin, -1)
        moved = True
    return moved


def _farthest(table, scaler, centers, most):
    """Samples of a piece that are farthest from their centres, with their sums."""
    blocks = scaler.split(table, share=True)
    weight = table.weight * table.has_any
    labels, distances = nearest_centers(blocks, centers, return_squared=True)
    distances[weight == 0] = 0
    positions = np.argsort(-distances, kind="stable")[:most]
    return _describe_far(blocks, positions, distances, labels, weight)


@on_device(_farthest)
def _farthest_on_device(table, scaler, centers, most):
    labels, squared = map(table.get, table.blocks(scaler).nearest(centers))
    weight = table.weight * table.has_any
    squared = np.where(weight == 0, 0, squared)
    rows = np.argsort(-squared, kind="stable")[:most]
    blocks, each = scaler.split(table.host(rows)), np.arange(len(rows))
    return _describe_far(blocks, each, squared[rows], labels[rows], weight[rows])


def _describe_far(blocks, positions, distances, labels, weight):
    found = []
    for position in positions:
        group, row = blocks.find(position)
        one = _no_sums(1, blocks)
        one.add_rows(group, row, weight[[position]], 0)
        far = distances[position], labels[position], weight[position], one.parts()
        found.append(far)
    return found


def online_step(blocks, centers, counts, sample_weight):
    """Assign new samples, and move each centre to the mean of old and new samples."""
    labels = np.full(len(blocks.presence), -1, dtype=np.int32)
    labels, sums = _reassign(blocks, centers, sample_weight, labels, None)
    unassigned = (labels < 0) & blocks.presence.any(axis=1)
    if unassigned.any():
        # Old samples in which the commonest column is missing are not counted.
        largest = (counts.max(axis=1) + sums.sizes).argmax()
        _adopt(sums, blocks, unassigned, sample_weight, largest)
    new = sums.counts()
    total = counts + new
    values = centers.values + np.divide(
        sums.values - new * centers.values,
        total,
        out=np.zeros_like(total),
        where=total > 0,
    )
    # Cells that were never observed in a cluster are set to the mean of all samples. A
    # cluster that was always empty keeps its centre, except for cells that were never
    # observed in any cluster.
    nothing = total <= TINY * total.max()
    stays = nothing.all(axis=1, keepdims=True) & counts.any(axis=0)
    values[nothing & ~stays] = 0
    presence = centers.presence | (sums.weights > 0)
    centers = Centers(values.astype(centers.values.dtype), presence)
    labels, distances = nearest_centers(blocks, centers, return_squared=True)
    return LloydResult(labels, centers, float(distances @ sample_weight), 1, total)


@dataclass
class ClusterSums:
    """Weighted sums by cluster. Centres are computed from them."""

    values: np.ndarray  # (n_clusters, n_features), sums of observed cells
    weights: np.ndarray  # (n_clusters, n_modalities), of samples with the modality
    missing: np.ndarray | None  # (n_clusters, n_features), weight of missing cells
    sizes: np.ndarray  # (n_clusters,), weight of all samples
    owner: np.ndarray  # (n_features,), number of the modality, in layout order

    def add_rows(self, group, rows, weight, cluster):
        """Add weighted samples of a group to one cluster."""
        shape = len(rows), len(group.modalities)
        presence = np.broadcast_to(group.presence_of(rows), shape)
        values = weight @ group.scaled(rows).astype(np.float64)
        self.values[cluster, group.columns] += values
        self.weights[cluster, group.modalities] += weight @ presence
        self.sizes[cluster] += weight.sum()
        if group.observed is not None:
            gaps = np.repeat(presence, group.widths, axis=1) & ~group.observed[rows]
            self.missing[cluster, group.columns] += weight @ gaps

    def parts(self):
        """The sums as a tuple, which can be added to those of another piece."""
        return self.values, self.weights, self.missing, self.sizes

    def add(self, parts, cluster, sign=1):
        """Add sums of one cluster, or subtract them."""
        values, weights, missing, sizes = parts
        self.values[cluster] += sign * values[0]
        self.weights[cluster] += sign * weights[0]
        self.sizes[cluster] += sign * sizes[0]
        if missing is not None:
            if self.missing is None:
                self.missing = np.zeros_like(self.values)
            self.missing[cluster] += sign * missing[0]

    def counts(self):
        """Weight of the observed cells by cluster and column, in layout order."""
        counts = self.weights[:, self.owner]
        return counts if self.missing is None else counts - self.missing

    def centers(self, old):
        """Means of the clusters; an empty cluster keeps its old centre."""
        # Subtracting a sample can leave rounding errors.
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


def _reassign(blocks, centers, sample_weight, previous, sums):
    """One pass: the nearest centre of each sample, and the sums by cluster."""
    # `sums` are those of the labels `previous`. Only samples with a new label are
    # added and subtracted.
    n_clusters = len(centers.values)
    if sums is None:
        sums = _no_sums(n_clusters, blocks)
    labels = np.empty_like(previous)
    # These are summed anew, so that the weight of an empty cluster is exactly 0.
    sums.weights[:], sums.sizes[:] = 0, 0
    work = partial(_sum_piece, n_clusters, sample_weight, previous, labels)
    for group, values, weights, missing, sizes in map_groups(work, blocks, centers):
        sums.values[:, group.columns] += values
        sums.weights[:, group.modalities] += weights
        sums.sizes += sizes
        if missing is not None:
            sums.missing[:, group.columns] += missing
    return labels, sums


def _no_sums(n_clusters, blocks):
    """Sums over no samples, in float64 for any dtype of the data."""
    owner = blocks.layout.owner
    some_partial = any(group.observed is not None for group in blocks.groups)
    values, missing = np.zeros((2, n_clusters, len(owner)))
    weights = np.zeros((n_clusters, blocks.presence.shape[1]))
    missing = missing if some_partial else None
    return ClusterSums(values, weights, missing, np.zeros(n_clusters), owner)


def _sum_piece(n_clusters, sample_weight, previous, labels, piece):
    """Label some samples of a group, and return the changes of the sums by cluster."""
    distances, rows = piece
    group, n_columns = distances.group, distances.group.source.shape[1]
    weights, sizes = np.zeros((n_clusters, len(group.modalities))), np.zeros(n_clusters)
    moved = _Moved(
        np.zeros((n_clusters, n_columns)),
        np.zeros(n_clusters),
        None if group.observed is None else np.zeros((n_clusters, n_columns)),
    )
    waiting, n_waiting = [], 0
    # Products with few samples are slow: the result has the size of all centres.
    many = max(256, STREAM_CELLS // max(1, n_columns))
    chunks, buffer = distances.chunks(rows)
    for chunk in chunks:
        positions = as_slice(group.rows[chunk])
        nearest, weight = distances.nearest(chunk, buffer), sample_weight[positions]
        old = previous[positions]
        new = np.flatnonzero(old != nearest)
        waiting.append((chunk.start + new, old[new], nearest[new], weight[new]))
        n_waiting += len(new)
        if n_waiting >= many:
            moved.add(group, waiting)
            waiting, n_waiting = [], 0
        labels[positions] = nearest
        # One more bin than clusters, for -1.
        size = np.bincount(nearest + 1, weight, minlength=n_clusters + 1)[1:]
        sizes += size
        presence = group.presence_of(chunk)
        if len(group.presence) == 1:
            weights += np.outer(size, presence)
        else:
            members = _moves(np.full_like(nearest, -1), nearest, weight, n_clusters)
            weights += members @ presence.astype(float)
    if n_waiting:
        moved.add(group, waiting)
    values = moved.values
    if group.shift is not None:
        values = (values - np.outer(moved.weights, group.shift)) * group.factor
    return group, values, weights, moved.missing, sizes


@dataclass
class _Moved:
    """Changes of the sums by cluster due to samples with a new label."""

    values: np.ndarray  # (n_clusters, n_columns), not scaled
    weights: np.ndarray  # (n_clusters,)
    missing: np.ndarray | None  # (n_clusters, n_columns), None without missing cells

    def add(self, group, waiting):
        """Add samples of a group, as a list of (rows, old label, new label, weight)."""
        rows, *move = (np.concatenate(part) for part in zip(*waiting))
        rows = as_slice(rows)
        moves = _moves(*move, len(self.values))
        self.values += moves.astype(group.source.dtype) @ group.source[rows]
        self.weights += moves.sum(axis=1)
        if self.missing is not None:
            presence = group.presence_of(rows)
            gaps = np.repeat(presence, group.widths, axis=1) & ~group.observed[rows]
            self.missing += moves @ gaps.astype(float)


def _moves(old, new, weight, n_clusters):
    """Sparse weights, (n_clusters, n_rows): plus for new labels, minus for old."""
    labels = np.stack([new, old], axis=1)
    entries = labels >= 0
    starts = np.concatenate([[0], np.cumsum(entries.sum(axis=1))])
    signed = np.stack([weight, -weight], axis=1)[entries]
    shape = (n_clusters, len(new))
    return csc_array((signed, labels[entries], starts), shape=shape)


def _adopt(sums, blocks, unassigned, sample_weight, largest):
    """Add samples that share no modality with any centre to the largest cluster."""
    # From the next iteration on, every sample shares a modality with some centre.
    for group in blocks.groups:
        rows = np.flatnonzero(unassigned[group.rows])
        if len(rows):
            sums.add_rows(group, rows, sample_weight[group.rows[rows]], largest)


def _relocate_empty(sums, blocks, centers, labels, sample_weight):
    """Move empty clusters to the farthest samples; return whether any was moved."""
    empty = np.flatnonzero(sums.sizes <= 0)
    distances = label_distances(blocks, centers, labels)
    distances[sample_weight == 0] = 0
    if distances.max() == 0:
        # There are more clusters than distinct samples.
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


def centers_at_rows(blocks, rows):
    """Centres with the values and the modalities of some samples."""
    taken = blocks.take(rows)
    return Centers(taken.groups[0].source, taken.presence)


def random_rows(blocks, n_clusters, sample_weight, rng):
    """Draw distinct samples by weight; each modality is observed in at least one."""
    presence = blocks.presence
    probability = sample_weight / sample_weight.sum()
    rows = rng.choice(len(presence), n_clusters, replace=False, p=probability)
    seen = presence[sample_weight > 0].any(axis=0)
    counts = presence[rows].sum(axis=0)
    for m in np.flatnonzero(seen & (counts == 0)):
        # A seed may be replaced if another seed has each of its modalities.
        spare = np.flatnonzero(~(presence[rows] & (counts <= 1)).any(axis=1))
        if not len(spare):
            break
        having = sample_weight * presence[:, m]
        counts -= presence[rows[spare[-1]]]
        rows[spare[-1]] = rng.choice(len(presence), p=having / having.sum())
        counts += presence[rows[spare[-1]]]
    return rows


def plus_plus_rows(blocks, n_clusters, sample_weight, rng):
    """Choose samples by greedy k-means++; positions of shape (n_clusters,)."""
    # The first seeds cover all modalities. Otherwise, infinite distances would make
    # draws depend on patterns instead of values. The rest is sklearn's kmeans_plusplus,
    # with the same calls of the generator.
    rows, presence = [], blocks.presence
    uncovered = presence[sample_weight > 0].any(axis=0)
    while uncovered.any() and len(rows) < n_clusters:
        gain = np.where(sample_weight > 0, presence[:, uncovered].sum(axis=1), 0)
        drawable = np.where(gain == gain.max(), sample_weight, 0)
        rows.append(int(rng.choice(len(presence), p=drawable / drawable.sum())))
        uncovered = uncovered & ~presence[rows[-1]]
    eligible = np.flatnonzero(sample_weight > 0)
    weight = sample_weight[eligible]
    n_trials = 2 + int(np.log(n_clusters))
    # Each sample is at a finite distance from at least one of the first seeds.
    closest = _distances_to_rows(blocks, rows).min(axis=0)[eligible]
    potential = closest @ weight
    while len(rows) < n_clusters:
        draws = rng.uniform(size=n_trials) * potential
        candidates = np.searchsorted(np.cumsum(weight * closest), draws)
        np.clip(candidates, None, len(eligible) - 1, out=candidates)
        trial = _distances_to_rows(blocks, eligible[candidates])[:, as_slice(eligible)]
        np.minimum(trial, closest, out=trial)
        potentials = trial @ weight
        best = int(potentials.argmin())
        closest, potential = trial[best], potentials[best]
        rows.append(int(eligible[candidates[best]]))
    return np.array(rows, dtype=np.intp)


def _distances_to_rows(blocks, rows):
    """Squared distances from some samples to all, shape (len(rows), n_samples)."""
    # Products with four or eight columns are faster than those with six.
    padded = np.resize(rows, -(-len(rows) // 4) * 4)
    squared = squared_distances(blocks, centers_at_rows(blocks, padded))
    return np.ascontiguousarray(squared.T[: len(rows)])
