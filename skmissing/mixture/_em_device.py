"""Posterior and E-step for arrays on a device. The formulas are those of `_em`.

Each group of samples with equal modalities has one factorisation. In other groups, each
sample has its own.
"""

import numpy as np

from skmissing._blocks import row_chunks
from skmissing._device import DEVICE_CELLS, Sums, full_products
from skmissing.mixture._em import Moments, Posterior


class SamplesOnDevice:
    """Samples of a DeviceTable, from which EM computes sums."""

    n_parts = 0

    def __init__(self, table, scaler):
        self.table, self.groups = table, table.blocks(scaler).groups

    def squares(self):
        """Weighted sum of squares and weight of the observed cells of each column."""
        squares, cells = np.zeros((2, self.table.layout.n_features))
        with full_products(self.table.xp):
            for group in self.groups:
                sums = Sums(self.table)
                for rows in group.chunks(1):
                    w = group.weight[rows]
                    seen = group.presence_of(rows)
                    seen = seen * w[:, None] if group.simple else w[:, None] * seen
                    seen = self.table.xp.sum(seen, axis=0)
                    gaps = None
                    if group.observed is not None:
                        gaps = w @ group.observed[rows, :]
                    sums.add(w @ group.x[rows, :] ** 2, seen, gaps)
                square, seen, observed = sums.totals()
                squares[group.columns] += square
                seen = np.repeat(seen, group.widths)
                cells[group.columns] += seen if observed is None else observed
        self._squares = squares
        return squares, cells

    def expect(self, params, task=None):
        """E-step: the Moments of the samples."""
        moments, whole = Moments.zeros(params), DevicePosterior(self.table, params)
        with full_products(self.table.xp):
            for group in self.groups:
                posterior, sums = GroupPosterior(whole, group), Sums(self.table)
                for rows in posterior.chunks():
                    sums.add(*posterior.sums(rows))
                posterior.add_to(moments, sums.totals())
        moments.bound -= float(self._squares @ (1 / params.noise)) / 2
        return moments


class DevicePosterior:
    """Posterior of the samples of a table; its sums over units are on the device."""

    def __init__(self, table, params):
        self.table, self.params = table, params
        self.host = Posterior(params)
        n_units = len(params.units.sizes)
        self.n_clusters, self.n_factors = params.n_components, params.n_factors
        self._precision, self._offset = (
            self.wide(sums.reshape(n_units, sums.shape[1] * sums.shape[2]))
            for sums in (self.host._precision, self.host._offset)
        )
        constant = self.host._constant + self.host._log_noise[:, None]
        self._constant = self.wide(constant)
        self._log_weights = self.wide(self.host._log_weights)
        self._identity = self.wide(np.eye(self.n_factors))

    def wide(self, array):
        """Copy to the device in its highest precision."""
        return self.table.put(array, self.table.wide)

    def moments(self, masks):
        """Moments of the factors, computed from masks of units, (n, n_units)."""
        xp, n = self.table.xp, masks.shape[0]
        k, r = self.n_clusters, self.n_factors
        precision = xp.reshape(masks @ self._precision, (n, r, r)) + self._identity
        offset = xp.reshape(masks @ self._offset, (n, k, r))
        covariance = xp.linalg.inv(precision)
        covariance = (covariance + xp.matrix_transpose(covariance)) / 2
        shift = xp.matmul(offset, covariance)
        constant = masks @ self._constant - xp.sum(shift * offset, axis=2)
        constant = constant + xp.linalg.slogdet(precision)[1][:, None]
        return covariance, offset, shift, self._log_weights - constant / 2


class GroupPosterior:
    """Posterior of the samples of a DeviceGroup."""

    def __init__(self, whole, group):
        self.whole, self.group, self.xp = whole, group, whole.table.xp
        weight, inverse = whole.host.products(group.columns, whole.table.dtype)
        self._weight, self._inverse = map(whole.table.put, (weight, inverse))
        self._places = group.table.put(self._places_of_units())
        self._moments = None
        if group.simple:
            self._moments = whole.moments(self.masks(slice(0, 1)))

    def chunks(self):
        """Slices of the samples."""
        k, r = self.whole.n_clusters, self.whole.n_factors
        if self.group.simple:
            return self.group.chunks(k + r)
        n_cells = max(self.group.x.shape[1], r * (r + 2 * k) + self._places.shape[0])
        return row_chunks(len(self.group.rows), n_cells, DEVICE_CELLS)

    def _places_of_units(self):
        """For each unit, its column among those that `masks` joins."""
        group, units = self.group, self.whole.params.units
        n_kept = len(group.modalities)
        n_cells = 0 if group.observed is None else group.x.shape[1]
        # The last column is 0.
        places = np.full(len(units.slices), n_kept + n_cells)
        places[group.modalities] = np.arange(n_kept)
        places = places[units.modality]
        if n_cells:
            cells = np.full(len(units.of_column), n_kept + n_cells)
            cells[group.columns] = n_kept + np.arange(n_cells)
            first = np.unique(units.of_column, return_index=True)[1]
            places = np.where(units.split[units.modality], cells[first], places)
        return places

    def masks(self, rows):
        """Whether each unit is observed, 0 or 1, shape (1 or n_rows, n_units)."""
        group, xp = self.group, self.xp
        joined = [group.presence_of(rows)]
        if group.observed is not None:
            joined.append(group.observed[rows, :])
        joined.append(xp.zeros_like(xp.sum(joined[0], axis=1, keepdims=True)))
        masks = xp.take(xp.concat(joined, axis=1), self._places, axis=1)
        return xp.astype(masks, group.table.wide)

    def at(self, rows):
        """Return a ChunkPosterior of a slice of the samples."""
        moments = self._moments or self.whole.moments(self.masks(rows))
        return ChunkPosterior(self, rows, moments)

    def sums(self, rows):
        """Sums over a slice of the samples, for `add_to`."""
        xp, table = self.xp, self.group.table
        at = self.at(rows)
        weight = xp.astype(self.group.weight[rows], table.wide)
        resp = at.resp * weight[:, None]
        both = xp.concat([resp, at.factors() * weight[:, None]], axis=1)
        cross = table.like_X(both).T @ self.group.x[rows, :]
        bound = xp.sum(weight * at.log_total)[None]
        if self.group.simple:
            weighted = at.scores * weight[:, None]
            parts = resp.T @ at.scores, weighted.T @ at.scores
            return bound, cross, xp.sum(resp, axis=0), *parts, xp.sum(weight)[None]
        covariance, _, shift, _ = at.moments
        n, k, r = shift.shape
        mean = at.scores[:, None, :] - shift
        first = resp[:, :, None] * mean
        second = covariance * weight[:, None, None]
        second = second + xp.matmul(xp.matrix_transpose(mean), first)
        masks = self.masks(rows).T
        by_unit = (
            masks @ v
            for v in (
                resp,
                xp.reshape(first, (n, k * r)),
                xp.reshape(second, (n, r * r)),
            )
        )
        return bound, cross, xp.sum(resp, axis=0), *by_unit, None

    def add_to(self, moments, totals):
        """Add what `sums` returns for all samples to the Moments."""
        bound, cross, sizes, *parts, weight = totals
        moments.bound += float(bound[0])
        moments.cross[:, self.group.columns] += cross
        moments.sizes += sizes
        if not self.group.simple:
            counts, first, second = parts
        else:
            get = self.group.table.get
            covariance, _, shift, _ = (get(m[0, ...]) for m in self._moments)
            pulled, outer = parts
            masks = get(self.masks(slice(0, 1))).T
            first = pulled - sizes[:, None] * shift
            second = weight * covariance + outer
            second -= pulled.T @ shift + shift.T @ first
            # All samples have the same units.
            counts, first, second = (
                masks * v.reshape(1, v.size) for v in (sizes, first, second)
            )
        moments.counts += counts
        moments.first += first.reshape(moments.first.shape)
        moments.second += second.reshape(moments.second.shape)


class ChunkPosterior:
    """Posterior of some samples of a group; see RowPosterior."""

    def __init__(self, posterior, rows, moments):
        self.posterior, self.rows, self.moments = posterior, rows, moments
        xp, r = posterior.xp, posterior.whole.n_factors
        covariance, offset, _, constant = moments
        products = posterior.group.x[rows, :] @ posterior._weight
        products = xp.astype(products, posterior.group.table.wide)
        t, log_joint = products[:, :r], products[:, r:]
        self.scores = self._by_row(t, covariance)
        log_joint = log_joint - self._by_row(self.scores, xp.matrix_transpose(offset))
        log_joint = log_joint + constant
        highest = xp.max(log_joint, axis=1, keepdims=True)
        joint = xp.exp(log_joint - highest)
        total = xp.sum(joint, axis=1, keepdims=True)
        self.resp = joint / total
        # The log-likelihood without half the sum of squares.
        self.log_total = (highest + xp.log(total))[:, 0]
        self.log_total = self.log_total + xp.sum(self.scores * t, axis=1) / 2

    def _by_row(self, values, matrices):
        """Product of each sample and its matrix, or the only one."""
        if matrices.shape[0] == 1:
            return values @ matrices[0, ...]
        return self.posterior.xp.matmul(values[:, None, :], matrices)[:, 0, :]

    def factors(self):
        """Posterior mean of the factors, shape (n_rows, n_factors)."""
        return self.scores - self._by_row(self.resp, self.moments[2])

    def log_likelihood(self):
        """Log-likelihood in the scaled space, shape (n_rows,)."""
        table = self.posterior.group.table
        x = self.posterior.xp.astype(self.posterior.group.x[self.rows, :], table.wide)
        inverse = self.posterior.xp.astype(self.posterior._inverse, table.wide)
        return self.log_total - (x * x) @ inverse / 2

    def values(self):
        """Posterior mean of all columns in layout order, shape (n_rows, n_features)."""
        whole = self.posterior.whole
        both = self.posterior.xp.concat([self.resp, self.factors()], axis=1)
        params = whole.params
        columns = np.concatenate([params.means, params.loadings.T])
        return whole.table.like_X(both) @ whole.table.put(columns)


def map_posterior(table, scaler, params, function):
    """Join `function` of each ChunkPosterior, in the order of X."""

    def work(blocks):
        whole, found = DevicePosterior(blocks.table, params), []
        for group in blocks.groups:
            posterior = GroupPosterior(whole, group)
            parts = [function(posterior.at(rows)) for rows in posterior.chunks()]
            found.append(table.xp.concat([table.like_X(p) for p in parts], axis=0))
        return blocks.in_order(found)

    return table.map_blocks(scaler, work)
