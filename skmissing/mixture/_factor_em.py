"""EM for a mixture with shared factors and missing blocks: arrays in, arrays out."""

from dataclasses import dataclass, replace

import numpy as np

from skmissing.mixture._posterior import FactorParams, Posterior, Units

# Noise is at least this share of a modality's mean variance.
NOISE_FLOOR = 1e-6


@dataclass(frozen=True)
class Prior:
    """Precisions of the parameters, in units of the inverse noise variance.

    Attributes
    ----------
    means : ndarray of shape (n_modalities,)
    loadings : ndarray of shape (n_modalities, n_factors)
    """

    means: np.ndarray
    loadings: np.ndarray


@dataclass(frozen=True)
class FactorResult:
    """What one run found.

    Attributes
    ----------
    params : FactorParams
    prior : Prior or None
    bounds : list of float
        Objective after each iteration, a weighted sum over rows: the log-likelihood
        without a prior, and a lower bound of the log evidence with one.
    n_iter : int
    converged : bool
    """

    params: FactorParams
    prior: Prior | None
    bounds: list
    n_iter: int
    converged: bool


@dataclass
class Moments:
    """Weighted sums over rows, all that the M-step needs.

    Attributes
    ----------
    sizes : ndarray of shape (n_components,)
        Weight of each cluster over all rows.
    counts : ndarray of shape (n_units, n_components)
        The same over the rows that have the unit.
    first : ndarray of shape (n_units, n_components, n_factors)
        Factors by cluster.
    second : ndarray of shape (n_units, n_factors, n_factors)
        Outer products of factors.
    cross : ndarray of shape (n_components + n_factors, n_features)
        Products of clusters and factors with columns.
    bound : float
        Log-likelihood.
    """

    sizes: np.ndarray
    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray
    cross: np.ndarray
    bound: float = 0.0

    @classmethod
    def zeros(cls, params):
        """Sums over no rows."""
        k, r, g = params.n_components, params.n_factors, len(params.units.sizes)
        shapes = (k,), (g, k), (g, k, r), (g, r, r), (k + r, len(params.noise))
        return cls(*(np.zeros(shape) for shape in shapes))

    def add(self, rows, weight):
        """Add the rows of a :class:`RowPosterior` by weight."""
        resp, factors = rows.resp * weight[:, None], rows.factors()
        self.bound += float(rows.log_likelihood @ weight)
        self.sizes += resp.sum(axis=0)
        both = np.hstack([resp, factors * weight[:, None]])
        values = rows.group.values[rows.chunk]
        self.cross[:, rows.group.columns] += both.T.astype(values.dtype) @ values
        if rows.one_pattern:
            self._add_pattern(rows, resp, weight)
        else:
            self._add_mixed(rows, resp, weight)

    def _add_pattern(self, rows, resp, weight):
        scores, shift, size = rows.scores, rows.shift[0], resp.sum(axis=0)
        pulled = resp.T @ scores
        first = pulled - size[:, None] * shift
        second = weight.sum() * rows.covariance[0]
        second = second + (scores * weight[:, None]).T @ scores
        second -= pulled.T @ shift + shift.T @ first
        has = rows.masks[0] > 0
        self.counts[has] += size
        self.first[has] += first
        self.second[has] += second

    def _add_mixed(self, rows, resp, weight):
        masks = rows.masks[rows.index].T
        means = rows.scores[:, None] - rows.shift[rows.index]
        first = resp[:, :, None] * means
        second = np.matmul(first.transpose(0, 2, 1), means)
        second += weight[:, None, None] * rows.covariance[rows.index]
        self.counts += masks @ resp
        for sums, parts in ((self.first, first), (self.second, second)):
            sums += (masks @ parts.reshape(len(parts), -1)).reshape(sums.shape)


def fit_factors(blocks, start, weight, *, ard, shared_noise, max_iter, tol, verbose=0):
    """Run EM until the objective stands still.

    Parameters
    ----------
    blocks : Blocks
    start : FactorParams
    weight : ndarray of shape (n_rows,)
        0 for rows to be left out.
    ard : bool
        Whether means and loadings have normal priors, one precision a modality and
        factor, learnt with them, and are integrated out; else they are point
        estimates of maximum likelihood.
    shared_noise : bool
        Whether the columns of a modality have one noise variance.
    max_iter : int
    tol : float
        Least gain of the objective per observed cell.
    verbose : int

    Returns
    -------
    FactorResult
    """
    squares, cells = _sums_of_squares(blocks, weight)
    floor = _noise_floor(squares, cells, start.units)
    params, prior = start, _first_prior(start) if ard else None
    bounds, moments = [], expect(blocks, params, weight)
    for n_iter in range(1, max_iter + 1):
        params = maximise(moments, params, prior, squares, floor, shared_noise)
        if ard:
            prior = update_prior(params)
        moments = expect(blocks, params, weight)
        bounds.append(moments.bound - penalty(params, prior))
        if verbose:
            print(f"Iteration {n_iter}, objective {bounds[-1]:.6g}.")
        converged = n_iter > 1 and bounds[-1] - bounds[-2] < tol * cells.sum()
        if converged:
            break
    return FactorResult(params, prior, bounds, n_iter, converged)


def expect(blocks, params, weight):
    """E-step.

    Parameters
    ----------
    blocks : Blocks
    params : FactorParams
    weight : ndarray of shape (n_rows,)

    Returns
    -------
    Moments
    """
    moments = Moments.zeros(params)
    for rows in Posterior(params).chunks(blocks):
        moments.add(rows, weight[rows.rows])
    return moments


def maximise(moments, params, prior, squares, floor, shared_noise):
    """M-step: means and loadings of a column are one regression.

    Parameters
    ----------
    moments : Moments
    params : FactorParams
    prior : Prior or None
    squares : ndarray of shape (n_features,)
        Weighted sum of squares of the observed cells.
    floor : ndarray of shape (n_features,)
        Least noise.
    shared_noise : bool

    Returns
    -------
    FactorParams

    Notes
    -----
    The matrix to be inverted is diagonal in the clusters, which are eliminated: what
    is left has the size of the factors.
    """
    units, k = params.units, params.n_components
    counts, second = moments.counts, moments.second
    if prior is None:
        # A ridge far below rounding, for clusters without a row.
        counts = counts + 1e-10 * (1 + counts.max())
        second = second + 1e-12 * (1 + counts.max()) * np.eye(params.n_factors)
    else:
        counts = counts + prior.means[units.modality][:, None]
        second = second + _diagonals(prior.loadings[units.modality])
    ratio = moments.first / counts[:, :, None]
    left = second - np.matmul(moments.first.transpose(0, 2, 1), ratio)
    inverse = np.linalg.inv((left + left.transpose(0, 2, 1)) / 2)
    pulled = np.matmul(ratio, inverse)
    of = units.of_column
    to_clusters, to_factors = moments.cross[:k], moments.cross[k:]
    loadings = np.empty_like(params.loadings)
    means = np.empty_like(params.means)
    for m, columns in enumerate(units.slices):
        # All columns of an unsplit modality have the same matrices.
        chosen = of[columns] if units.split[m] else of[columns][:1]
        target = to_factors[:, columns].T[:, None]
        target = target - np.matmul(to_clusters[:, columns].T[:, None], ratio[chosen])
        loadings[columns] = np.matmul(target, inverse[chosen])[:, 0]
        fitted = np.matmul(ratio[chosen], loadings[columns][:, :, None])[:, :, 0]
        means[:, columns] = to_clusters[:, columns] / counts[chosen].T - fitted.T
    explained = (to_clusters * means).sum(axis=0)
    explained += (to_factors.T * loadings).sum(axis=1)
    noise = _noise(squares - explained, moments.counts, units, floor, shared_noise)
    new = replace(
        params,
        weights=moments.sizes / moments.sizes.sum(),
        means=means, loadings=loadings, noise=noise,
    )  # fmt: skip
    if prior is None:
        return new
    var_means = 1 / counts + (pulled * ratio).sum(axis=2)
    return replace(new, var_means=var_means, cov_cross=-pulled, cov_loadings=inverse)


def _noise(left, counts, units, floor, shared):
    """Variance of what means and loadings leave."""
    counts = counts.sum(axis=1)[units.of_column]
    if shared:
        starts = [columns.start for columns in units.slices]
        owner = units.modality[units.of_column]
        left = np.add.reduceat(left, starts)[owner]
        counts = np.add.reduceat(counts, starts)[owner]
    seen = counts > 0
    noise = np.divide(left, counts, out=np.ones_like(left), where=seen)
    return np.maximum(noise, floor)


def update_prior(params):
    """Precisions that make the present means and loadings likeliest.

    Parameters
    ----------
    params : FactorParams

    Returns
    -------
    Prior
    """
    units = params.units
    starts = [columns.start for columns in units.slices]
    widths = np.array([columns.stop - columns.start for columns in units.slices])
    variance = np.diagonal(params.cov_loadings, axis1=1, axis2=2)[units.of_column]
    square = variance + params.loadings**2 / params.noise[:, None]
    loadings = widths[:, None] / np.add.reduceat(square, starts, axis=0)
    square = params.var_means[units.of_column].T + params.means**2 / params.noise
    total = np.add.reduceat(square.sum(axis=0), starts)
    means = params.n_components * widths / total
    return Prior(np.clip(means, 1e-10, 1e10), np.clip(loadings, 1e-10, 1e10))


def _first_prior(params):
    """Precisions at the start, where no variance is known: nearly flat."""
    n_modalities = len(params.units.slices)
    return Prior(
        np.full(n_modalities, 1e-2), np.full((n_modalities, params.n_factors), 1e-2)
    )


def penalty(params, prior):
    """Divergence of the posterior of means and loadings from their prior.

    Parameters
    ----------
    params : FactorParams
    prior : Prior or None

    Returns
    -------
    float
        0 without a prior.
    """
    if prior is None:
        return 0.0
    units = params.units
    beta = prior.means[units.modality][:, None]
    alpha = prior.loadings[units.modality]
    log_det = np.linalg.slogdet(params.cov_loadings)[1]
    # The determinant of the whole covariance, from that of the loadings and that of
    # the means given the loadings, which is diagonal.
    pulled = np.linalg.solve(params.cov_loadings, params.cov_cross.transpose(0, 2, 1))
    given = params.var_means - (params.cov_cross * pulled.transpose(0, 2, 1)).sum(
        axis=2
    )
    log_det = log_det + np.log(given).sum(axis=1)
    trace = (beta * params.var_means).sum(axis=1)
    trace = trace + (np.diagonal(params.cov_loadings, axis1=1, axis2=2) * alpha).sum(1)
    log_prior = params.n_components * np.log(beta[:, 0]) + np.log(alpha).sum(axis=1)
    n_parameters = params.n_components + params.n_factors
    divergence = units.sizes @ (trace - n_parameters - log_prior - log_det)
    of = units.of_column
    size = (params.means**2).sum(axis=0) * beta[of, 0]
    size = size + (params.loadings**2 * alpha[of]).sum(axis=1)
    return float(divergence + (size / params.noise).sum()) / 2


def start_factors(blocks, means, n_factors, weight, rng, n_power=2):
    """Parameters to start from: given means, and the main directions of what is left.

    Parameters
    ----------
    blocks : Blocks
    means : ndarray of shape (n_components, n_features)
    n_factors : int
    weight : ndarray of shape (n_rows,)
    rng : RandomState
    n_power : int
        Power iterations of the randomised singular value decomposition.

    Returns
    -------
    FactorParams
    """
    squares, cells = _sums_of_squares(blocks, weight)
    split = np.zeros(len(blocks.layout), dtype=bool)
    for group in blocks.groups:
        if group.observed is not None:
            gaps = np.repeat(group.presence_of(slice(None)), group.widths, axis=1)
            gaps = (gaps & ~group.observed).any(axis=0)
            split[blocks.layout.owner[group.columns][gaps]] = True
    units = Units(blocks.layout.slices, split)
    total = weight.sum()
    params = _bare(units, means, np.zeros((means.shape[1], n_factors)), squares, cells)
    basis = rng.standard_normal((means.shape[1], n_factors))
    for _ in range(n_power + 1):
        basis, _ = np.linalg.qr(basis)
        basis, inner = _left_over(blocks, params, basis, weight)
    eigenvalues, vectors = np.linalg.eigh(inner / total)
    # Of the last basis only its span was used: orthonormal before the product.
    eigenvalues = np.maximum(eigenvalues, 1e-3 * eigenvalues.max(initial=0))
    span, _ = np.linalg.qr(basis)
    loadings = span @ vectors * np.sqrt(eigenvalues)
    return _bare(units, means, loadings, squares / 2, cells)


def _bare(units, means, loadings, squares, cells):
    """Point estimates with noise from sums of squares."""
    (k, _), r, g = means.shape, loadings.shape[1], len(units.sizes)
    starts = [columns.start for columns in units.slices]
    owner = units.modality[units.of_column]
    noise = np.add.reduceat(squares, starts)[owner]
    counts = np.add.reduceat(cells, starts)[owner]
    noise = np.where(noise > 0, noise, 1.0) / np.maximum(counts, 1)
    return FactorParams(
        units, np.full(k, 1 / k), means, loadings, noise,
        np.zeros((g, k)), np.zeros((g, k, r)), np.zeros((g, r, r)),
    )  # fmt: skip


def _left_over(blocks, params, basis, weight):
    """Product of the covariance of what the means leave with a basis, and its form."""
    product = np.zeros_like(basis)
    inner = np.zeros((basis.shape[1], basis.shape[1]))
    for rows in Posterior(params).chunks(blocks):
        group, chunk = rows.group, rows.chunk
        x = group.values[chunk] - (rows.resp @ params.means)[:, group.columns]
        seen = params.units.masks(group, chunk)[:, params.units.of_column]
        x *= seen[:, group.columns]
        scores = x @ basis[group.columns]
        weighted = scores * weight[rows.rows][:, None]
        product[group.columns] += x.T @ weighted
        inner += weighted.T @ scores
    return product, inner


def _sums_of_squares(blocks, weight):
    """Weighted sum of squares and weight of the observed cells of each column."""
    squares, cells = np.zeros((2, blocks.layout.n_features))
    for group in blocks.groups:
        w = weight[group.rows]
        squares[group.columns] += np.einsum(
            "ij,ij,i->j", group.values, group.values, w, dtype=np.float64
        )
        if group.observed is not None:
            cells[group.columns] += w @ group.observed
        else:
            seen = w @ np.broadcast_to(group.presence, (len(w), len(group.modalities)))
            cells[group.columns] += np.repeat(seen, group.widths)
    return squares, cells


def _noise_floor(squares, cells, units):
    starts = [columns.start for columns in units.slices]
    owner = units.modality[units.of_column]
    total, counts = (np.add.reduceat(v, starts)[owner] for v in (squares, cells))
    floor = NOISE_FLOOR * total / np.maximum(counts, 1)
    return np.where(floor > 0, floor, NOISE_FLOOR)


def _diagonals(values):
    """Diagonal matrices from their diagonals, shape (n, r) -> (n, r, r)."""
    return values[:, :, None] * np.eye(values.shape[1])
