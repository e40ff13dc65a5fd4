"""Eq. (2) of UL4M4 between rows and centres, one matrix product a chunk.

The squared distance is the mean over shared modalities of the mean squared difference
of their columns. Arrays in, arrays out; scaled blocks as `_blocks` makes them.
"""

from functools import cached_property, partial

import numpy as np

from skmissing._blocks import STREAM_CELLS, block_norms, row_chunks
from skmissing._threads import for_each, row_pieces


class GroupDistances:
    """Squared distances of the rows of one group to all centres.

    With x the scaled blocks, A and B the presence of rows and centres, and A₂, C₂ the
    block norms, the sum over shared modalities is A₂Bᵀ − 2XCᵀ + AC₂ᵀ and their number
    is ABᵀ. Both outer products have the number of modalities as inner dimension, and
    A₂Bᵀ is constant along a row when the centres are complete.

    A row with holes is compared over its observed cells only: their squared
    differences count `width / n_observed` fold, and a second product with the mask
    stands in for AC₂ᵀ.

    Parameters
    ----------
    centers : Centers
    group : RowGroup
    """

    def __init__(self, centers, group):
        self.group = group
        self._centers = centers.values[:, group.columns]
        self._minus_two = np.multiply(self._centers.T, -2, order="F")
        dtype = self._centers.dtype
        self._owned = centers.presence[:, group.modalities].astype(dtype)
        self._center_norms = block_norms(self._centers, group.widths).T
        self._offset = None
        if group.shift is not None:
            self._minus_two *= group.factor[:, np.newaxis]
            self._offset = group.shift @ self._minus_two
        self._complete = bool(self._owned.all())
        # Whether every row is known to share a modality with every centre.
        self._comparable = group.one_pattern and bool(
            (group.presence @ self._owned.T > 0).all()
        )

    def chunks(self, rows):
        """Slices of some rows, such that blocks and distances fit in cache."""
        n_clusters, n_columns = self._centers.shape
        for part in row_chunks(rows.stop - rows.start, max(n_columns, 8 * n_clusters)):
            yield slice(rows.start + part.start, rows.start + part.stop)

    def buffer(self, rows):
        """Room for the distances of the largest of these slices."""
        most = max((c.stop - c.start for c in self.chunks(rows)), default=0)
        return np.empty((most, len(self._centers)), dtype=self._centers.dtype)

    def squared(self, chunk, out=None):
        """Squared distances of a slice of the rows, inf where nothing is shared.

        Parameters
        ----------
        chunk : slice
        out : ndarray of shape (at least n_chunk, n_clusters) or None
            Written to, in place of new memory.

        Returns
        -------
        ndarray of shape (n_chunk, n_clusters)
        """
        sums = self._sums(chunk, out)
        sums += self.group.norms[chunk] * self._hole_ratio(chunk) @ self._owned.T
        np.maximum(sums, 0, out=sums)
        return self._per_shared(sums, chunk)

    def nearest(self, chunk, out=None):
        """Index of the nearest centre, -1 where no centre shares a modality.

        Parameters
        ----------
        chunk : slice
        out : ndarray of shape (at least n_chunk, n_clusters) or None
            Written to, in place of new memory.

        Returns
        -------
        ndarray of shape (n_chunk,), dtype intp
        """
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

    def to_label(self, chunk, labels, out=None):
        """Squared distance to one centre a row, by differences: no cancellation.

        Parameters
        ----------
        chunk : slice
        labels : ndarray of shape (n_chunk,)
            -1 gives 0.
        out : ndarray of shape (at least n_chunk, n_columns) or None
            Written to, in place of new memory.

        Returns
        -------
        ndarray of shape (n_chunk,)
        """
        if out is not None:
            out = out[: len(labels)]
        # Label -1 takes the last centre here, and 0 below.
        difference = np.take(self._unscaled, labels, axis=0, out=out, mode="wrap")
        np.subtract(self.group.source[chunk], difference, out=difference)
        if self.group.shift is not None:
            difference *= self.group.factor
        if self.group.observed is not None:
            difference *= self.group.observed[chunk]
        norms = block_norms(difference, self.group.widths)
        norms *= self._hole_ratio(chunk)
        if self._comparable and self._complete:
            sums = norms.mean(axis=1)
        else:
            shared = self.group.presence_of(chunk) * self._owned[labels]
            sums = (norms * shared).sum(axis=1)
            sums /= np.maximum(shared.sum(axis=1), 1)
        sums[labels < 0] = 0
        return sums

    @cached_property
    def _unscaled(self):
        """Centres as the rows of the group are: scaled or not."""
        if self.group.shift is None:
            return self._centers
        return self._centers / self.group.factor + self.group.shift

    def _sums(self, chunk, out=None):
        """The sums over shared modalities, less the row's own norms."""
        group = self.group
        x = group.source[chunk]
        if out is not None:
            out = out[: len(x)]
        if group.observed is None:
            sums = np.matmul(x, self._minus_two, out=out)
            norms = group.presence_of(chunk).astype(x.dtype) @ self._center_norms
            sums += norms if self._offset is None else norms - self._offset
            return sums
        ratio = np.repeat(self._hole_ratio(chunk), group.widths, axis=1)
        sums = np.matmul(x * ratio, self._minus_two, out=out)
        sums += (group.observed[chunk] * ratio) @ (self._centers**2).T
        return sums

    def _hole_ratio(self, chunk):
        """Width over observed cells by row and modality; the number 1 without holes."""
        group, dtype = self.group, self._centers.dtype
        if group.observed is None:
            return dtype.type(1)
        starts = np.cumsum(group.widths) - group.widths
        n_observed = np.add.reduceat(group.observed[chunk], starts, axis=1, dtype=dtype)
        return group.widths.astype(dtype) / np.maximum(n_observed, 1)

    def _per_shared(self, sums, chunk):
        if self._comparable and self._complete:
            sums /= self._owned.shape[1]
            return sums
        shared = self.group.presence_of(chunk).astype(sums.dtype) @ self._owned.T
        shared = np.broadcast_to(shared, sums.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            sums /= shared
        sums[shared == 0] = np.inf
        return sums


def nearest_centers(blocks, centers):
    """Nearest centre of every row.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers

    Returns
    -------
    labels : ndarray of shape (n_rows,), dtype int32
        -1 where no centre shares a modality with the row.
    """
    return _assign(blocks, centers)


def nearest_distances(blocks, centers):
    """Nearest centre of every row, and the squared distance to it.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers

    Returns
    -------
    labels : ndarray of shape (n_rows,), dtype int32
        As :func:`nearest_centers` finds them.
    squared : ndarray of shape (n_rows,)
        As :func:`label_distances` measures them.
    """
    squared = np.zeros(blocks.n_rows, dtype=blocks.dtype)
    return _assign(blocks, centers, squared), squared


def _assign(blocks, centers, squared=None):
    """Labels of all rows; their distances are written to `squared`, while in cache."""
    labels = np.empty(blocks.n_rows, dtype=np.int32)

    def work(piece):
        distances, rows = piece
        buffer = distances.buffer(rows)
        for chunk in distances.chunks(rows):
            labels[distances.group.rows[chunk]] = distances.nearest(chunk, buffer)
            if squared is not None:
                _measure(distances, chunk, labels, squared)

    for_each(work, group_pieces(blocks, centers))
    return labels


def group_pieces(blocks, centers):
    """Work for threads: the distances of each group, with a slice of its rows.

    The largest come first, so that no thread is left alone with one at the end.
    """
    pieces = [
        (distances, rows)
        for distances in (GroupDistances(centers, group) for group in blocks.groups)
        for rows in row_pieces(len(distances.group.rows), blocks.n_rows)
    ]
    pieces.sort(key=lambda piece: -_n_cells(*piece))
    return pieces


def _n_cells(distances, rows):
    return (rows.stop - rows.start) * distances.group.source.shape[1]


def _measure(distances, rows, labels, squared):
    """Write the squared distances of some rows of a group to their labels."""
    group, n_columns = distances.group, distances.group.source.shape[1]
    parts = list(row_chunks(rows.stop - rows.start, n_columns, STREAM_CELLS))
    most = max((part.stop - part.start for part in parts), default=0)
    buffer = np.empty((most, n_columns), dtype=group.source.dtype)
    for part in parts:
        chunk = slice(rows.start + part.start, rows.start + part.stop)
        positions = group.rows[chunk]
        squared[positions] = distances.to_label(chunk, labels[positions], buffer)


def squared_distances(blocks, centers):
    """Squared distance of every row to every centre.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers

    Returns
    -------
    ndarray of shape (n_rows, n_clusters)
        inf where nothing is shared.
    """
    squared = np.empty((blocks.n_rows, len(centers.values)), dtype=blocks.dtype)
    for distances, chunk, rows in blocks.chunked(partial(GroupDistances, centers)):
        squared[rows] = distances.squared(chunk)
    return squared


def label_distances(blocks, centers, labels):
    """Squared distance of every row to the centre of its label, 0 for label -1.

    Parameters
    ----------
    blocks : Blocks
    centers : Centers
    labels : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    squared = np.zeros(blocks.n_rows, dtype=blocks.dtype)

    def work(piece):
        _measure(*piece, labels, squared)

    for_each(work, group_pieces(blocks, centers))
    return squared
