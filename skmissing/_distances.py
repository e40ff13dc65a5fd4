"""Eq. (2) of UL4M4 between samples and centres, with one matrix product per chunk.

The squared distance is the mean squared difference of columns, averaged over shared
modalities. Arrays in and out. Blocks are scaled by `_blocks`.
"""

from functools import cached_property, partial

import numpy as np

from skmissing._blocks import (
    N_PIECES,
    PIECE_CELLS,
    STREAM_CELLS,
    block_norms,
    map_pieces,
    row_chunks,
    row_pieces,
)


class GroupDistances:
    """Squared distances of the samples of one RowGroup to all Centers.

    Let X and C be the scaled blocks of samples and centres, A and B their presence, and
    A₂, C₂ their block norms. The sum over shared modalities is A₂Bᵀ − 2XCᵀ + AC₂ᵀ, and
    the number of shared modalities is ABᵀ. The inner dimension of A₂Bᵀ and AC₂ᵀ is the
    number of modalities. If centres are complete, A₂Bᵀ is constant for a sample.

    Partially observed modalities are compared over their observed cells only, whose
    squared differences are multiplied by `width / n_observed`. A second product with
    the mask replaces AC₂ᵀ.
    """

    # norms: squared norms of the blocks of the centres, (n_clusters, n_modalities).
    def __init__(self, centers, group, norms):
        self.group = group
        self._centers = centers.values[:, group.columns]
        self._minus_two = np.multiply(self._centers.T, -2, order="F")
        dtype = self._centers.dtype
        self._owned = centers.presence[:, group.modalities].astype(dtype)
        self._center_norms = norms[:, group.modalities].T
        self._offset = 0
        if group.shift is not None:
            self._minus_two *= group.factor[:, np.newaxis]
            self._offset = group.shift @ self._minus_two
        self._complete = bool(self._owned.all())
        # Whether every sample is known to share a modality with every centre.
        self._comparable = False
        # Factors of the norms of the samples, and what does not depend on a sample.
        self._terms = None
        if len(group.presence) == 1:
            shared = group.presence[0] @ self._owned.T
            self._comparable = bool(shared.all())
            if group.observed is None:
                scale = (1 / np.maximum(shared, 1)).astype(dtype)
                self._minus_two *= scale
                norms = group.presence[0].astype(dtype) @ self._center_norms
                constant = np.where(shared > 0, (norms - self._offset) * scale, np.inf)
                self._terms = np.vstack([self._owned.T * scale, constant])

    def chunks(self, rows):
        """Slices of some samples, and a buffer for the distances of a slice."""
        n_clusters, n_columns = self._centers.shape
        parts = row_chunks(rows.stop - rows.start, max(n_columns, 8 * n_clusters))
        chunks = [slice(rows.start + p.start, rows.start + p.stop) for p in parts]
        most = max((c.stop - c.start for c in chunks), default=0)
        return chunks, np.empty((most, n_clusters), dtype=self._centers.dtype)

    def squared(self, chunk, out=None):
        """Squared distances of a slice of samples; inf if no modality is shared."""
        group = self.group
        if self._terms is not None:
            sums = self._product(group.source[chunk], out)
            # One product and one sum, because a pass over few columns is slow.
            sums += group.norms_and_one[chunk] @ self._terms
            return np.maximum(sums, 0, out=sums)
        sums = self._sums(chunk, out)
        norms = group.norms[chunk]
        if group.observed is not None:
            norms = norms * self._inverse_share(chunk)
        sums += norms @ self._owned.T
        np.maximum(sums, 0, out=sums)
        shared = group.presence_of(chunk).astype(sums.dtype) @ self._owned.T
        shared = np.broadcast_to(shared, sums.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            sums /= shared
        sums[shared == 0] = np.inf
        return sums

    def nearest(self, chunk, out=None):
        """Index of the nearest centre; -1 if no centre shares a modality."""
        if not self._complete:
            squared = self.squared(chunk, out)
            labels = squared.argmin(axis=1)
            if not self._comparable:
                labels[np.isinf(squared[np.arange(len(labels)), labels])] = -1
            return labels
        labels = self._sums(chunk, out).argmin(axis=1)
        if not self._comparable:
            has_any = self.group.presence_of(chunk).any(axis=1)
            labels[~np.broadcast_to(has_any, labels.shape)] = -1
        return labels

    def measure(self, rows, labels, squared):
        """Write the squared distances of some samples to their labels; 0 for -1."""
        # By differences, to avoid cancellation. `labels` are those of all samples.
        group, n_columns = self.group, self.group.source.shape[1]
        # Label -1 is the last centre here, and the distance is set to 0 below.
        centers = self._centers if group.shift is None else self._unscaled
        parts = row_chunks(rows.stop - rows.start, n_columns, STREAM_CELLS)
        most = max((part.stop - part.start for part in parts), default=0)
        buffer = np.empty((most, n_columns), dtype=group.source.dtype)
        for part in parts:
            chunk = slice(rows.start + part.start, rows.start + part.stop)
            own, difference = (
                labels[group.rows[chunk]],
                buffer[: part.stop - part.start],
            )
            np.take(centers, own, axis=0, out=difference, mode="wrap")
            np.subtract(group.source[chunk], difference, out=difference)
            if group.shift is not None:
                difference *= group.factor
            if group.observed is not None:
                difference *= group.observed[chunk]
            norms = block_norms(difference, group.widths)
            if group.observed is not None:
                norms *= self._inverse_share(chunk)
            if self._comparable and self._complete:
                sums = norms.mean(axis=1)
            else:
                shared = group.presence_of(chunk) * self._owned[own]
                sums = (norms * shared).sum(axis=1)
                sums /= np.maximum(shared.sum(axis=1), 1)
            sums[own < 0] = 0
            squared[group.rows[chunk]] = sums

    @cached_property
    def _unscaled(self):
        """Centres in the units of samples that are not scaled."""
        return self._centers / self.group.factor + self.group.shift

    def _product(self, x, out):
        return np.matmul(x, self._minus_two, out=None if out is None else out[: len(x)])

    def _sums(self, chunk, out=None):
        """Sums over shared modalities, minus the norms of the sample itself."""
        group = self.group
        x = group.source[chunk]
        if self._terms is not None:
            sums = self._product(x, out)
            sums += self._terms[-1]
            return sums
        if group.observed is None:
            sums = self._product(x, out)
            norms = group.presence_of(chunk).astype(x.dtype) @ self._center_norms
            sums += norms - self._offset
            return sums
        ratio = np.repeat(self._inverse_share(chunk), group.widths, axis=1)
        sums = self._product(x * ratio, out)
        sums += (group.observed[chunk] * ratio) @ (self._centers**2).T
        return sums

    def _inverse_share(self, chunk):
        """Width divided by the number of observed cells, (n_chunk, n_kept)."""
        group, dtype = self.group, self._centers.dtype
        starts = np.cumsum(group.widths) - group.widths
        n_observed = np.add.reduceat(group.observed[chunk], starts, axis=1, dtype=dtype)
        return group.widths.astype(dtype) / np.maximum(n_observed, 1)


def _by_group(blocks, centers):
    """Yield the GroupDistances of all groups."""
    norms = block_norms(centers.values, blocks.layout.widths)
    for group in blocks.groups:
        yield GroupDistances(centers, group, norms)


def nearest_centers(blocks, centers, return_squared=False):
    """Label each sample with its nearest centre; -1 if no centre shares a modality."""
    labels = np.empty(len(blocks.presence), dtype=np.int32)
    squared = None
    if return_squared:
        squared = np.zeros(len(labels), dtype=blocks.dtype)
    list(map_groups(partial(_label, labels, squared), blocks, centers))
    return (labels, squared) if return_squared else labels


def _label(labels, squared, piece):
    """Write the labels of some samples, and distances while they are in cache."""
    distances, rows = piece
    chunks, buffer = distances.chunks(rows)
    for chunk in chunks:
        labels[distances.group.rows[chunk]] = distances.nearest(chunk, buffer)
        if squared is not None:
            distances.measure(chunk, labels, squared)


def map_groups(work, blocks, centers):
    """Map `work` over pairs of GroupDistances and a slice of the samples of a group."""
    n_rows, n_features = blocks.presence.shape[0], blocks.layout.n_features
    # Small tables are cut into fewer pieces, because each piece costs a few calls.
    n_total = max(n_rows, N_PIECES * PIECE_CELLS // max(1, n_features))
    pieces = [
        (distances, rows)
        for distances in _by_group(blocks, centers)
        for rows in row_pieces(len(distances.group.rows), n_total)
    ]
    # The largest first, so that no thread works alone at the end.
    pieces.sort(key=lambda p: (p[1].start - p[1].stop) * p[0].group.source.shape[1])
    return map_pieces(work, pieces, n_rows * n_features)


def squared_distances(blocks, centers):
    """Squared distance of each sample to each centre; inf if no modality is shared."""
    shape = len(blocks.presence), len(centers.values)
    squared = np.empty(shape, dtype=blocks.dtype)
    list(map_groups(partial(_write_squared, squared), blocks, centers))
    return squared


def _write_squared(squared, piece):
    """Write the squared distances of some samples."""
    distances, rows = piece
    chunks, buffer = distances.chunks(rows)
    for chunk in chunks:
        squared[distances.group.rows[chunk]] = distances.squared(chunk, buffer)


def label_distances(blocks, centers, labels):
    """Squared distance of each sample to the centre of its label; 0 for label -1."""
    squared = np.zeros(len(labels), dtype=blocks.dtype)
    pieces = map_groups(
        lambda piece: piece[0].measure(piece[1], labels, squared), blocks, centers
    )
    list(pieces)
    return squared
