"""Posterior of clusters and shared factors: arrays in, arrays out.

The model, in the scaled space of the blocks: a row of cluster j is
`means[j] + loadings @ u + noise` with standard normal factors u. Columns are summed
over in units: a unit is a whole modality, or one column of a modality that has holes.
"""

from dataclasses import dataclass, replace

import numpy as np

from skmissing._blocks import find_patterns, row_chunks

# Numbers that the rows of a chunk may take up where each has moments of its own.
MOMENT_CELLS = 1 << 22


class Units:
    """Sets of columns that are observed together.

    Parameters
    ----------
    slices : list of slice
        Columns of each modality in layout order.
    split : ndarray of shape (n_modalities,), dtype bool
        Modalities of which each column is a unit of its own.

    Attributes
    ----------
    of_column : ndarray of shape (n_features,), dtype intp
        Unit of each column.
    modality : ndarray of shape (n_units,), dtype intp
        Modality of each unit.
    sizes : ndarray of shape (n_units,)
        Columns of each unit.
    """

    def __init__(self, slices, split):
        self.slices, self.split = slices, np.asarray(split)
        widths = np.array([s.stop - s.start for s in slices])
        counts = np.where(self.split, widths, 1)
        self.modality = np.repeat(np.arange(len(slices)), counts)
        self.sizes = (widths // counts)[self.modality].astype(np.float64)
        self.of_column = np.repeat(
            np.arange(len(self.modality)), self.sizes.astype(int)
        )
        self._starts = np.cumsum(self.sizes.astype(int)) - self.sizes.astype(int)

    def products(self, left, right):
        """Sum over the columns of each unit of outer products of rows.

        Parameters
        ----------
        left : ndarray of shape (n_features, a)
        right : ndarray of shape (n_features, b)

        Returns
        -------
        ndarray of shape (n_units, a, b)
        """
        out = np.empty((len(self.modality), left.shape[1], right.shape[1]))
        for m, columns in enumerate(self.slices):
            units = self.modality == m
            if self.split[m]:
                out[units] = left[columns, :, None] * right[columns, None, :]
            else:
                out[units] = left[columns].T @ right[columns]
        return out

    def sums(self, values):
        """Sum over the columns of each unit; `values` has columns last."""
        return np.add.reduceat(values, self._starts, axis=-1)

    def masks(self, group, chunk):
        """Which units rows of a group have, shape (1 or n_chunk, n_units)."""
        presence = np.zeros(
            (len(group.presence_of(chunk)), len(self.slices)), dtype=bool
        )
        presence[:, group.modalities] = group.presence_of(chunk)
        if group.observed is None:
            return presence[:, self.modality]
        presence = np.broadcast_to(
            presence, (chunk.stop - chunk.start, len(self.slices))
        )
        observed = np.zeros((len(presence), len(self.of_column)), dtype=bool)
        observed[:, group.columns] = group.observed[chunk]
        split = self.split[self.modality]
        return np.where(split, observed[:, self._starts], presence[:, self.modality])


@dataclass(frozen=True)
class FactorParams:
    """What is known of the model: point estimates, and how sure they are.

    Attributes
    ----------
    units : Units
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    loadings : ndarray of shape (n_features, n_factors)
    noise : ndarray of shape (n_features,)
        Variance of the noise.
    var_means : ndarray of shape (n_units, n_components)
        Posterior variance of a column's means over its noise variance; this and the
        next two are zero where the parameters are point estimates.
    cov_cross : ndarray of shape (n_units, n_components, n_factors)
        The same between its means and its loadings.
    cov_loadings : ndarray of shape (n_units, n_factors, n_factors)
        The same of its loadings.
    """

    units: Units
    weights: np.ndarray
    means: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    var_means: np.ndarray
    cov_cross: np.ndarray
    cov_loadings: np.ndarray

    @property
    def n_components(self):
        """Number of clusters."""
        return self.means.shape[0]

    @property
    def n_factors(self):
        """Number of factors."""
        return self.loadings.shape[1]

    def plug_in(self):
        """The same as point estimates, as if they were known for sure."""
        return replace(
            self,
            var_means=np.zeros_like(self.var_means),
            cov_cross=np.zeros_like(self.cov_cross),
            cov_loadings=np.zeros_like(self.cov_loadings),
        )

    def with_units(self, units):
        """The same with units that are parts of the present ones."""
        source = self.units.of_column[np.unique(units.of_column, return_index=True)[1]]
        return replace(
            self,
            units=units,
            var_means=self.var_means[source],
            cov_cross=self.cov_cross[source],
            cov_loadings=self.cov_loadings[source],
        )


class Posterior:
    """Posterior of the rows of blocks under fixed parameters.

    Given the cluster, the factors are normal; their precision depends on the units
    that a row has, and on nothing else, so that rows of one pattern share one
    factorisation.

    Parameters
    ----------
    params : FactorParams
    """

    def __init__(self, params):
        self.params = params
        units, inverse = params.units, 1 / params.noise
        self._scaled = params.loadings * inverse[:, None]
        self._scaled_means = params.means.T * inverse[:, None]
        sizes = units.sizes[:, None]
        self._precision = units.products(self._scaled, params.loadings)
        self._precision += sizes[:, :, None] * params.cov_loadings
        self._offset = units.products(self._scaled_means, params.loadings)
        self._offset += sizes[:, :, None] * params.cov_cross
        self._constant = units.sums(params.means**2 * inverse).T
        self._constant = self._constant + sizes * params.var_means
        self._log_noise = units.sums(np.log(2 * np.pi * params.noise))
        with np.errstate(divide="ignore"):
            self._log_weights = np.log(params.weights)

    def chunks(self, blocks):
        """Walk over the rows of blocks.

        Parameters
        ----------
        blocks : Blocks

        Yields
        ------
        RowPosterior
        """
        for group in blocks.groups:
            columns = group.columns
            weight = np.hstack([self._scaled[columns], self._scaled_means[columns]])
            weight = weight.astype(group.values.dtype)
            inverse = (1 / self.params.noise[columns]).astype(group.values.dtype)
            simple = group.one_pattern and group.observed is None
            cells = self.params.n_factors * (
                self.params.n_factors + 2 * self.params.n_components
            )
            cells += len(self.params.units.modality)
            prepared = None
            for chunk in (
                row_chunks(*group.values.shape)
                if simple
                else row_chunks(len(group.rows), cells, MOMENT_CELLS)
            ):
                if prepared is None or not simple:
                    prepared = self._prepare(group, chunk)
                yield RowPosterior(self, group, chunk, weight, inverse, *prepared)

    def _prepare(self, group, chunk):
        """Moments of the distinct patterns of some rows, and each row's pattern."""
        masks, index = find_patterns(self.params.units.masks(group, chunk))
        masks = masks.astype(np.float64)
        n_factors = self.params.n_factors
        precision = np.tensordot(masks, self._precision, 1) + np.eye(n_factors)
        offset = np.tensordot(masks, self._offset, 1)
        constant = masks @ self._constant + (masks @ self._log_noise)[:, None]
        root = np.linalg.cholesky(precision)
        log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        covariance = np.linalg.inv(precision)
        covariance = (covariance + covariance.transpose(0, 2, 1)) / 2
        shift = offset @ covariance
        constant += log_det[:, None] - (shift * offset).sum(axis=2)
        constant = self._log_weights - constant / 2
        return masks, index, covariance, offset, shift, constant


class RowPosterior:
    """Posterior of some rows of a group.

    Attributes
    ----------
    group : RowGroup
    chunk : slice
        Rows of the group.
    masks : ndarray of shape (n_patterns, n_units)
    index : ndarray of shape (n_rows,)
        Pattern of each row; without meaning if there is but one.
    covariance : ndarray of shape (n_patterns, n_factors, n_factors)
        Of the factors.
    shift : ndarray of shape (n_patterns, n_components, n_factors)
        The factors of a row in cluster j have mean `scores - shift[j]`.
    scores : ndarray of shape (n_rows, n_factors)
    log_likelihood : ndarray of shape (n_rows,)
    resp : ndarray of shape (n_rows, n_components)
        Posterior of the clusters.
    """

    def __init__(
        self, whole, group, chunk, weight, inverse, masks, index, covariance, offset,
        shift, constant,
    ):  # fmt: skip
        self.group, self.chunk, self.masks, self.index = group, chunk, masks, index
        self.covariance, self.shift = covariance, shift
        x = group.values[chunk]
        n_factors = whole.params.n_factors
        products = (x @ weight).astype(np.float64)
        t, log_joint = products[:, :n_factors], products[:, n_factors:]
        square = np.einsum("ij,ij,j->i", x, x, inverse, dtype=np.float64)
        if self.one_pattern:
            self.scores = t @ covariance[0]
            log_joint -= self.scores @ offset[0].T
        else:
            self.scores = np.einsum("nr,nrs->ns", t, covariance[index])
            log_joint -= np.einsum("nr,nkr->nk", self.scores, offset[index])
        square -= (self.scores * t).sum(axis=1)
        log_joint += constant[0] if self.one_pattern else constant[index]
        highest = log_joint.max(axis=1, keepdims=True)
        log_joint -= highest
        np.exp(log_joint, out=log_joint)
        total = log_joint.sum(axis=1, keepdims=True)
        self.resp = log_joint / total
        self.log_likelihood = (highest + np.log(total))[:, 0] - square / 2

    @property
    def rows(self):
        """Positions of the rows in X."""
        return self.group.rows[self.chunk]

    @property
    def one_pattern(self):
        """Whether all rows have the same units."""
        return len(self.masks) == 1

    def factors(self):
        """Posterior mean of the factors, shape (n_rows, n_factors)."""
        if self.one_pattern:
            return self.scores - self.resp @ self.shift[0]
        return self.scores - np.einsum("nk,nkr->nr", self.resp, self.shift[self.index])

    def values(self, params):
        """Posterior mean of all columns, shape (n_rows, n_features)."""
        return self.resp @ params.means + self.factors() @ params.loadings.T

    def by_pattern(self):
        """Yield each pattern with the places of its rows in the chunk."""
        if self.one_pattern:
            yield 0, np.arange(len(self.resp))
            return
        order = np.argsort(self.index, kind="stable")
        counts = np.bincount(self.index, minlength=len(self.masks))
        yield from enumerate(np.split(order, np.cumsum(counts)[:-1]))

    def variances(self, params):
        """Variance of what is not observed, noise included.

        Parameters
        ----------
        params : FactorParams

        Returns
        -------
        ndarray of shape (n_rows, n_features)

        Notes
        -----
        The sum of the variance between clusters, that of the factors within one, the
        noise, and what is not known of means and loadings.
        """
        out = np.empty((len(self.resp), len(params.noise)))
        for p, places in self.by_pattern():
            resp, covariance = self.resp[places], self.covariance[p]
            kernel = params.means - self.shift[p] @ params.loadings.T
            between = resp @ kernel**2 - (resp @ kernel) ** 2
            within = ((params.loadings @ covariance) * params.loadings).sum(axis=1)
            unsure = self._unsure(params, p, places)[:, params.units.of_column]
            out[places] = np.maximum(between, 0) + within + params.noise * (1 + unsure)
        return out

    def _unsure(self, params, p, places):
        """Variance by unit from means and loadings, over the noise."""
        resp, n_units = self.resp[places], len(params.cov_loadings)
        mean = self.scores[places][:, None] - self.shift[p]
        weighted = resp[:, :, None] * mean
        second = np.einsum("nkr,nks->nrs", weighted, mean) + self.covariance[p]
        # No -1 in place of these: a model without factors has arrays of no size.
        n_pairs, n_means = params.n_factors**2, resp.shape[1] * params.n_factors
        flat = params.cov_loadings.reshape(n_units, n_pairs)
        cross = params.cov_cross.reshape(n_units, n_means)
        return (
            second.reshape(len(places), n_pairs) @ flat.T
            + 2 * weighted.reshape(len(places), n_means) @ cross.T
            + resp @ params.var_means.T
        )

    def draw(self, params, rng):
        """Draw cluster, factors and noise; shape (n_rows, n_features).

        Parameters
        ----------
        params : FactorParams
        rng : RandomState

        Returns
        -------
        ndarray of shape (n_rows, n_features)
        """
        n, n_factors = self.scores.shape
        cumulated = self.resp.cumsum(axis=1)
        draws = rng.uniform(size=(n, 1)) * cumulated[:, -1:]
        component = (cumulated < draws).sum(axis=1)
        root = np.linalg.cholesky(self.covariance)
        normal = rng.standard_normal((n, n_factors))
        index = np.zeros(n, dtype=np.intp) if self.one_pattern else self.index
        factors = self.scores - self.shift[index, component]
        if self.one_pattern:
            factors = factors + normal @ root[0].T
        else:
            factors = factors + np.einsum("nrs,ns->nr", root[index], normal)
        noise = rng.standard_normal((n, len(params.noise))) * np.sqrt(params.noise)
        return params.means[component] + factors @ params.loadings.T + noise
