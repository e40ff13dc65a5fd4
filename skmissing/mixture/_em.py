"""Posterior and EM of a mixture with shared factors: arrays in, arrays out.

In the scaled space of the blocks, a sample of cluster j is
`means[j] + loadings @ u + noise` with standard normal factors u. Sums over columns are
kept per unit: a whole modality, or one column of a partially observed modality.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from skmissing._blocks import check_overflow, find_patterns, row_chunks
from skmissing._callbacks import NO_TASK

# Noise is at least this share of a modality's mean variance.
NOISE_FLOOR = 1e-6
# Maximum number of values in a chunk in which each sample has its own moments.
MOMENT_CELLS = 1 << 22


class Units:
    """Sets of columns observed together: modalities, or columns of `split` ones."""

    # modality: (n_units,), modality of each unit; sizes: (n_units,), its number of
    # columns; of_column: (n_features,), unit of each column.
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
        self.starts = [columns.start for columns in slices]  # of the modalities

    def pool(self, values):
        """Sum over the modality of each column, (n_features,) -> (n_features,)."""
        return np.add.reduceat(values, self.starts)[self.modality[self.of_column]]

    def products(self, left, right):
        """Sums over units: (n_features, a), (n_features, b) -> (n_units, a, b)."""
        out = np.empty((len(self.modality), left.shape[1], right.shape[1]))
        for m, columns in enumerate(self.slices):
            units = self.modality == m
            if self.split[m]:
                out[units] = left[columns, :, None] * right[columns, None, :]
            else:
                out[units] = left[columns].T @ right[columns]
        return out

    def sums(self, values):
        """Sum over the columns of each unit. The last axis of `values` is columns."""
        return np.add.reduceat(values, self._starts, axis=-1)

    def masks(self, group, chunk):
        """Mask of the observed units of a group, shape (1 or n_chunk, n_units)."""
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
    """Parameters of the model: point estimates, and their uncertainty."""

    units: Units
    weights: np.ndarray  # (n_components,)
    means: np.ndarray  # (n_components, n_features)
    loadings: np.ndarray  # (n_features, n_factors)
    noise: np.ndarray  # (n_features,), variances
    # Posterior covariance of the means and loadings of a column, divided by its noise
    # variance; zero if they are point estimates.
    var_means: np.ndarray  # (n_units, n_components)
    cov_cross: np.ndarray  # (n_units, n_components, n_factors)
    cov_loadings: np.ndarray  # (n_units, n_factors, n_factors)

    @property
    def n_components(self):
        """Number of clusters."""
        return self.means.shape[0]

    @property
    def n_factors(self):
        """Number of factors."""
        return self.loadings.shape[1]

    def plug_in(self):
        """Return the parameters as point estimates, without uncertainty."""
        return replace(
            self,
            var_means=np.zeros_like(self.var_means),
            cov_cross=np.zeros_like(self.cov_cross),
            cov_loadings=np.zeros_like(self.cov_loadings),
        )

    def with_units(self, units):
        """Return the parameters with units that are parts of the current units."""
        source = self.units.of_column[np.unique(units.of_column, return_index=True)[1]]
        return replace(
            self,
            units=units,
            var_means=self.var_means[source],
            cov_cross=self.cov_cross[source],
            cov_loadings=self.cov_loadings[source],
        )


class Posterior:
    """Posterior of samples. Samples of one pattern share one factorisation."""

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

    def products(self, columns, dtype):
        """Matrix that columns are multiplied by, and the inverse of their noise."""
        weight = np.hstack([self._scaled[columns], self._scaled_means[columns]])
        return weight.astype(dtype), (1 / self.params.noise[columns]).astype(dtype)

    def chunks(self, parts):
        """Yield a RowPosterior for each Part."""
        group = None
        for part in parts:
            if part.group is not group:
                group = part.group
                weight, inverse = self.products(group.columns, group.values.dtype)
            yield RowPosterior(self, part, weight, inverse)

    def moments(self, masks):
        """Moments of the factors per pattern, computed from masks of units."""
        masks = masks.astype(np.float64)
        k, n_factors = self.params.n_components, self.params.n_factors
        shapes = (n_factors, n_factors), (k, n_factors)
        precision, offset = (
            (masks @ sums.reshape(len(sums), a * b)).reshape(len(masks), a, b)
            for sums, (a, b) in zip((self._precision, self._offset), shapes)
        )
        precision += np.eye(n_factors)
        constant = masks @ self._constant + (masks @ self._log_noise)[:, None]
        root = np.linalg.cholesky(precision)
        log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        covariance = np.linalg.inv(precision)
        covariance = (covariance + covariance.transpose(0, 2, 1)) / 2
        shift = offset @ covariance
        constant += log_det[:, None] - (shift * offset).sum(axis=2)
        return covariance, offset, shift, self._log_weights - constant / 2


@dataclass(frozen=True)
class Part:
    """Samples of a group, sorted into slots. The samples of a slot have equal units."""

    # One call multiplies the samples of all slots by the matrices of their patterns.
    # Slots are padded by repeating their last sample.
    group: object
    chunk: slice
    masks: np.ndarray  # (n_patterns, n_units), units of each pattern
    index: np.ndarray  # (n_rows,), pattern of each row
    slots: np.ndarray  # (n_slots, n_places), rows of the chunk
    real: np.ndarray  # (n_slots, n_places), False for repetitions
    pattern: np.ndarray  # (n_slots,)

    @property
    def rows(self):
        """Positions of the samples in X."""
        return self.group.rows[self.chunk]


def find_parts(blocks, params):
    """Yield the Parts of blocks, of limited size in memory."""
    cells = params.n_factors * (params.n_factors + 2 * params.n_components)
    cells += len(params.units.modality)
    for group in blocks.groups:
        simple = len(group.presence) == 1 and group.observed is None
        chunks = (
            row_chunks(*group.values.shape)
            if simple
            else row_chunks(len(group.rows), cells, MOMENT_CELLS)
        )
        for chunk in chunks:
            masks, index = params.units.masks(group, chunk), None
            if len(masks) > 1:
                masks, index = find_patterns(masks)
            if len(masks) == 1:
                index = np.zeros(chunk.stop - chunk.start, dtype=np.intp)
            yield Part(group, chunk, masks, index, *_find_slots(index, len(masks)))


def _find_slots(index, n_patterns):
    """Slots, real places and patterns of a Part; at most two slots per pattern."""
    width = -(-len(index) // n_patterns)
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=n_patterns)
    n_slots = -(-counts // width)
    pattern = np.repeat(np.arange(n_patterns), n_slots)
    # Number of each slot within its pattern.
    number = np.arange(len(pattern)) - np.repeat(n_slots.cumsum() - n_slots, n_slots)
    place = number[:, None] * width + np.arange(width)
    last = counts[pattern][:, None] - 1
    start = (counts.cumsum() - counts)[pattern][:, None]
    return order[start + np.minimum(place, last)], place <= last, pattern


class RowPosterior:
    """Posterior of the samples of a Part."""

    # covariance of the factors: (n_patterns, n_factors, n_factors); shift:
    # (n_patterns, n_components, n_factors). The mean of the factors of a sample in
    # cluster j is scores - shift[j].
    # scores: (n_rows, n_factors); log_likelihood: (n_rows,);
    # resp: (n_rows, n_components), posterior probabilities of the clusters.

    def __init__(self, whole, part, weight, inverse):
        self.part, self.rows = part, part.rows
        self.covariance, offset, self.shift, constant = whole.moments(part.masks)
        x = part.group.values[part.chunk]
        n_factors = whole.params.n_factors
        products = (x @ weight).astype(np.float64)
        t, log_joint = products[:, :n_factors], products[:, n_factors:]
        square = np.einsum("ij,ij,j->i", x, x, inverse, dtype=np.float64)
        self.scores = self._by_slot(t, self.covariance)
        log_joint -= self._by_slot(self.scores, offset.transpose(0, 2, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            square -= (self.scores * t).sum(axis=1)
        check_overflow(np.isfinite(square), square.dtype)
        log_joint += constant[part.index]
        highest = log_joint.max(axis=1, keepdims=True)
        log_joint -= highest
        np.exp(log_joint, out=log_joint)
        total = log_joint.sum(axis=1, keepdims=True)
        self.resp = log_joint / total
        self.log_likelihood = (highest + np.log(total))[:, 0] - square / 2

    def _by_slot(self, values, matrices):
        """Product of each sample and the matrix of its pattern."""
        if len(matrices) == 1:
            return values @ matrices[0]
        out = np.empty((len(values), matrices.shape[2]))
        slots = self.part.slots
        out[slots] = values[slots] @ matrices[self.part.pattern]
        return out

    def factors(self):
        """Posterior mean of the factors, shape (n_rows, n_factors)."""
        return self.scores - self._by_slot(self.resp, self.shift)

    def values(self, params, columns=slice(None)):
        """Posterior mean of columns, shape (n_rows, n_columns)."""
        values = self.resp @ params.means[:, columns]
        return values + self.factors() @ params.loadings[columns].T

    def variances(self, params, columns=slice(None)):
        """Variance of missing cells, shape (n_rows, n_columns)."""
        means, loadings = params.means[:, columns], params.loadings[columns]
        unit = params.units.of_column[columns]
        out = np.empty((len(self.resp), len(unit)))
        for p in range(len(self.part.masks)):
            places = np.flatnonzero(self.part.index == p)
            resp, covariance = self.resp[places], self.covariance[p]
            kernel = means - self.shift[p] @ loadings.T
            between = resp @ kernel**2 - (resp @ kernel) ** 2
            within = ((loadings @ covariance) * loadings).sum(axis=1)
            unsure = self._unsure(params, p, places)[:, unit]
            own = params.noise[columns] * (1 + unsure)
            out[places] = np.maximum(between, 0) + within + own
        return out

    def _unsure(self, params, p, places):
        """Variance per unit from means and loadings, divided by the noise."""
        resp, n_units = self.resp[places], len(params.cov_loadings)
        mean = self.scores[places][:, None] - self.shift[p]
        weighted = resp[:, :, None] * mean
        second = np.einsum("nkr,nks->nrs", weighted, mean) + self.covariance[p]
        # -1 would be ambiguous here: a model without factors has arrays of size 0.
        n_pairs, n_means = params.n_factors**2, resp.shape[1] * params.n_factors
        flat = params.cov_loadings.reshape(n_units, n_pairs)
        cross = params.cov_cross.reshape(n_units, n_means)
        return (
            second.reshape(len(places), n_pairs) @ flat.T
            + 2 * weighted.reshape(len(places), n_means) @ cross.T
            + resp @ params.var_means.T
        )

    def draw(self, params, rng):
        """Draw cluster, factors and noise; shape (n_rows, n_features)."""
        n, n_factors = self.scores.shape
        cumulated = self.resp.cumsum(axis=1)
        draws = rng.uniform(size=(n, 1)) * cumulated[:, -1:]
        component = (cumulated < draws).sum(axis=1)
        root = np.linalg.cholesky(self.covariance).transpose(0, 2, 1)
        normal = rng.standard_normal((n, n_factors))
        factors = self.scores - self.shift[self.part.index, component]
        factors += self._by_slot(normal, root)
        noise = rng.standard_normal((n, len(params.noise))) * np.sqrt(params.noise)
        return params.means[component] + factors @ params.loadings.T + noise


@dataclass(frozen=True)
class Prior:
    """Precisions of the parameters, in units of the inverse noise variance."""

    means: np.ndarray  # (n_modalities,)
    loadings: np.ndarray  # (n_modalities, n_factors)


@dataclass(frozen=True)
class FactorResult:
    """Result of one run."""

    params: FactorParams
    bounds: list  # objective after each iteration, a weighted sum over samples
    n_iter: int
    converged: bool


@dataclass
class Moments:
    """Weighted sums over samples for the M-step."""

    sizes: np.ndarray  # (n_components,), weight of each cluster
    counts: np.ndarray  # (n_units, n_components), weight of samples with the unit
    first: np.ndarray  # (n_units, n_components, n_factors), factors by cluster
    second: np.ndarray  # (n_units, n_factors, n_factors), outer products of factors
    # (n_components + n_factors, n_features), products of both with columns.
    cross: np.ndarray
    bound: float = 0.0  # log-likelihood

    @classmethod
    def zeros(cls, params):
        """Sums over no samples."""
        k, r, g = params.n_components, params.n_factors, len(params.units.sizes)
        shapes = (k,), (g, k), (g, k, r), (g, r, r), (k + r, len(params.noise))
        return cls(*(np.zeros(shape) for shape in shapes))

    def add(self, rows, weight):
        """Add the weighted samples of a :class:`RowPosterior`."""
        part, shift = rows.part, rows.shift
        resp = rows.resp * weight[:, None]
        self.bound += float(rows.log_likelihood @ weight)
        self.sizes += resp.sum(axis=0)
        both = np.hstack([resp, rows.factors() * weight[:, None]])
        values = part.group.values[part.chunk]
        self.cross[:, part.group.columns] += both.T.astype(values.dtype) @ values
        masks = part.masks[part.pattern].T.astype(np.float64)
        shift, covariance = shift[part.pattern], rows.covariance[part.pattern]
        # Sums over the samples of each slot. Repetitions have no weight.
        weight = weight[part.slots] * part.real
        resp, scores = rows.resp[part.slots], rows.scores[part.slots]
        resp *= weight[:, :, None]
        counts = resp.sum(axis=1)
        pulled = resp.transpose(0, 2, 1) @ scores
        first = pulled - counts[:, :, None] * shift
        second = weight.sum(axis=1)[:, None, None] * covariance
        second += (scores * weight[:, :, None]).transpose(0, 2, 1) @ scores
        second -= pulled.transpose(0, 2, 1) @ shift + shift.transpose(0, 2, 1) @ first
        self.counts += masks @ counts
        for sums, parts in ((self.first, first), (self.second, second)):
            n_slots, a, b = parts.shape
            sums += (masks @ parts.reshape(n_slots, a * b)).reshape(sums.shape)


class SamplesInMemory:
    """Blocks of all samples and their weights, from which EM computes sums."""

    n_parts = 0  # of a task that `expect` reports

    def __init__(self, blocks, weight):
        self.blocks, self.weight, self._parts = blocks, weight, None

    def squares(self):
        """Weighted sum of squares and weight of the observed cells of each column."""
        return _sums_of_squares(self.blocks, self.weight)

    def expect(self, params, task=NO_TASK):
        """E-step: the Moments of the samples."""
        if self._parts is None:
            self._parts = list(find_parts(self.blocks, params))
        return expect(self._parts, params, self.weight)


class SamplesInPieces:
    """The same for the pieces of a SourceTable, each of which becomes Blocks."""

    def __init__(self, table, scaler):
        self.table, self.scaler, self.n_parts = table, scaler, table.n_parts

    def squares(self):
        """Weighted sum of squares and weight of the observed cells of each column."""
        return self.table.sums(_squares_of_piece, self.scaler)

    def expect(self, params, task=NO_TASK):
        """E-step: the Moments of the samples."""
        sums = self.table.sums(_expect_piece, self.scaler, params, task=task)
        return Moments(*sums)


def _piece_blocks(table, scaler):
    return scaler.split(table, min_rows=max(64, len(table) // 64))


def _squares_of_piece(table, scaler):
    return _sums_of_squares(_piece_blocks(table, scaler), table.weight * table.has_any)


def _expect_piece(table, scaler, params):
    parts = find_parts(_piece_blocks(table, scaler), params)
    moments = expect(parts, params, table.weight * table.has_any)
    return tuple(vars(moments).values())


def fit_factors(
    samples, start, *, ard, shared_noise, max_iter, tol, verbose=0, task=NO_TASK
):
    """Run EM until the objective increases by less than `tol` per observed cell."""
    squares, cells = samples.squares()
    pool = start.units.pool
    floor = NOISE_FLOOR * pool(squares) / np.maximum(pool(cells), 1)
    floor = np.where(floor > 0, floor, NOISE_FLOOR)
    params, prior = start, None
    if ard:
        # Nearly flat.
        shape = len(start.units.slices), start.n_factors
        prior = Prior(np.full(shape[0], 1e-2), np.full(shape, 1e-2))
    bounds, moments = [], samples.expect(params)
    for n_iter in range(1, max_iter + 1):
        step = task.part("iteration", samples.n_parts)
        params = maximise(moments, params, prior, squares, floor, shared_noise)
        if ard:
            prior = update_prior(params)
        moments = samples.expect(params, step)
        bounds.append(moments.bound - penalty(params, prior))
        if verbose:
            print(f"Iteration {n_iter}, objective {bounds[-1]:.6g}.")
        converged = n_iter > 1 and bounds[-1] - bounds[-2] < tol * cells.sum()
        result = FactorResult(params, bounds, n_iter, converged)
        if step.end(partial(replace, result)) or converged:
            break
    return result


def expect(parts, params, weight):
    """E-step: the Moments of the samples."""
    moments = Moments.zeros(params)
    for rows in Posterior(params).chunks(parts):
        moments.add(rows, weight[rows.rows])
    return moments


def maximise(moments, params, prior, squares, floor, shared_noise):
    """M-step: estimate the means and loadings of each column by one regression."""
    # The clusters are eliminated, because their part of the matrix is diagonal.
    units, k = params.units, params.n_components
    counts, second = moments.counts, moments.second
    if prior is None:
        # A ridge far below rounding, for empty clusters.
        counts = counts + 1e-10 * (1 + counts.max())
        second = second + 1e-12 * (1 + counts.max()) * np.eye(params.n_factors)
    else:
        counts = counts + prior.means[units.modality][:, None]
        diagonals = prior.loadings[units.modality][:, :, None]
        second = second + diagonals * np.eye(params.n_factors)
    ratio = moments.first / counts[:, :, None]
    left = second - np.matmul(moments.first.transpose(0, 2, 1), ratio)
    inverse = np.linalg.inv((left + left.transpose(0, 2, 1)) / 2)
    pulled = np.matmul(ratio, inverse)
    of = units.of_column
    to_clusters, to_factors = moments.cross[:k], moments.cross[k:]
    loadings = np.empty_like(params.loadings)
    means = np.empty_like(params.means)
    for m, columns in enumerate(units.slices):
        of_clusters, of_factors = to_clusters[:, columns].T, to_factors[:, columns].T
        unit = of[columns]
        if not units.split[m]:
            # All columns have the same matrices.
            unit = unit[0]
            target = of_factors - of_clusters @ ratio[unit]
            loadings[columns] = target @ inverse[unit]
            fitted = loadings[columns] @ ratio[unit].T
        else:
            target = of_factors - (of_clusters[:, None] @ ratio[unit])[:, 0]
            loadings[columns] = (target[:, None] @ inverse[unit])[:, 0]
            fitted = (ratio[unit] @ loadings[columns][:, :, None])[:, :, 0]
        means[:, columns] = (of_clusters / counts[unit] - fitted).T
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
    """Variance of the residuals of means and loadings."""
    counts = counts.sum(axis=1)[units.of_column]
    if shared:
        left, counts = units.pool(left), units.pool(counts)
    seen = counts > 0
    noise = np.divide(left, counts, out=np.ones_like(left), where=seen)
    return np.maximum(noise, floor)


def update_prior(params):
    """Precisions that maximise the likelihood of the current means and loadings."""
    units = params.units
    widths = np.array([columns.stop - columns.start for columns in units.slices])
    variance = np.diagonal(params.cov_loadings, axis1=1, axis2=2)[units.of_column]
    square = variance + params.loadings**2 / params.noise[:, None]
    loadings = widths[:, None] / np.add.reduceat(square, units.starts, axis=0)
    square = params.var_means[units.of_column].T + params.means**2 / params.noise
    total = np.add.reduceat(square.sum(axis=0), units.starts)
    means = params.n_components * widths / total
    return Prior(np.clip(means, 1e-10, 1e10), np.clip(loadings, 1e-10, 1e10))


def penalty(params, prior):
    """Divergence of the posterior of means and loadings from their prior, or 0."""
    if prior is None:
        return 0.0
    units = params.units
    beta = prior.means[units.modality][:, None]
    alpha = prior.loadings[units.modality]
    log_det = np.linalg.slogdet(params.cov_loadings)[1]
    # The determinant of the covariance is the product of two determinants: of the
    # loadings, and of the means given the loadings, which is diagonal.
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
    """Initial parameters: given means, and the main directions of the residuals."""
    # Power iterations of a randomised singular value decomposition.
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
    parts = list(find_parts(blocks, params))
    basis = rng.standard_normal((means.shape[1], n_factors))
    for _ in range(n_power + 1):
        basis, _ = np.linalg.qr(basis)
        basis, inner = _left_over(parts, params, basis, weight)
    eigenvalues, vectors = np.linalg.eigh(inner / total)
    # The basis must be orthonormal before the last product.
    eigenvalues = np.maximum(eigenvalues, 1e-3 * eigenvalues.max(initial=0))
    span, _ = np.linalg.qr(basis)
    loadings = span @ vectors * np.sqrt(eigenvalues)
    return _bare(units, means, loadings, squares / 2, cells)


def _bare(units, means, loadings, squares, cells):
    """Point estimates with noise from sums of squares."""
    (k, _), r, g = means.shape, loadings.shape[1], len(units.sizes)
    noise, counts = units.pool(squares), units.pool(cells)
    noise = np.where(noise > 0, noise, 1.0) / np.maximum(counts, 1)
    return FactorParams(
        units, np.full(k, 1 / k), means, loadings, noise,
        np.zeros((g, k)), np.zeros((g, k, r)), np.zeros((g, r, r)),
    )  # fmt: skip


def _left_over(parts, params, basis, weight):
    """Product of the residuals' covariance and a basis, and its quadratic form."""
    product = np.zeros_like(basis)
    inner = np.zeros((basis.shape[1], basis.shape[1]))
    for rows in Posterior(params).chunks(parts):
        group, chunk = rows.part.group, rows.part.chunk
        x = group.values[chunk] - (rows.resp @ params.means)[:, group.columns]
        seen = rows.part.masks[:, params.units.of_column][:, group.columns]
        x *= seen[rows.part.index]
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
