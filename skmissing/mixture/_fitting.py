"""From checked rows to a fitted mixture: scaling, start, runs, calibration."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from skmissing._base import name_list
from skmissing._blocks import fit_scaler
from skmissing._table import ModalityTable
from skmissing.cluster._lloyd import (
    centers_at_rows,
    lloyd,
    plus_plus_rows,
    random_rows,
)
from skmissing.mixture._calibration import HiddenErrors, held_out_rows
from skmissing.mixture._factor_em import fit_factors, start_factors
from skmissing.mixture._posterior import Posterior

# Iterations with one cluster before the rows are clustered by their factors.
FIRST_ITERATIONS = 10
# What "auto" tries; the first number of factors while it looks for that of clusters.
AUTO_COMPONENTS = 1, 10, 40
AUTO_FACTORS = 32, 8, 64


@dataclass(frozen=True)
class FittedMixture:
    """What fitting found.

    Attributes
    ----------
    scaler : BlockScaler
    params : FactorParams
    bounds : list of float
    n_iter : int
    converged : bool
    shrinkage : ndarray of shape (n_modalities,)
    std_scale : ndarray of shape (n_modalities,)
    """

    scaler: object
    params: object
    bounds: list
    n_iter: int
    converged: bool
    shrinkage: np.ndarray
    std_scale: np.ndarray


def fit_mixture(model, X, presence, holes, weight, rng):
    """Fit a mixture to checked rows.

    Parameters
    ----------
    model : PartialModalityFactorMixture
        Holds the parameters; gets `n_components_` and `n_factors_`.
    X : ndarray of shape (n_rows, n_features)
    presence, holes : ndarray
        As :func:`skmissing._blocks.find_presence` returns them.
    weight : ndarray of shape (n_rows,)
        0 for rows with nothing observed.
    rng : RandomState

    Returns
    -------
    FittedMixture
    """
    layout = model.modalities_
    scaler = fit_scaler(
        ModalityTable(X, layout, presence=presence, partial=holes),
        sample_weight=weight,
        standardize=model.standardize,
    ).centered()
    blocks = split_rows(scaler, X, presence, holes)
    linked = _linked(layout, presence, weight)
    shrinkage, std_scale = linked.astype(np.float64), np.ones(len(layout))
    errors = _choose_sizes(model, blocks, weight, rng)
    if model.calibrate:
        shrinkage = errors.shrinkage() * linked
        std_scale = errors.std_scale(shrinkage)
    best = None
    for _ in range(model.n_init):
        run = _run(model, blocks, weight, rng)
        if best is None or run.bounds[-1] > best.bounds[-1]:
            best = run
    return FittedMixture(
        scaler, best.params, best.bounds, best.n_iter, best.converged, shrinkage,
        std_scale,
    )  # fmt: skip


def split_rows(scaler, X, presence, holes):
    """Blocks in which the commoner patterns have groups of their own."""
    table = ModalityTable(X, scaler.layout, presence=presence, partial=holes)
    return scaler.split(table, min_rows=max(16, len(X) // 64))


def _linked(layout, presence, weight):
    """Which modalities some row has together with another; warns of the others."""
    if len(layout) == 1:
        return np.ones(1, dtype=bool)
    rows = presence[weight > 0].astype(np.float64)
    together = rows.T @ rows
    seen = np.diagonal(together) > 0
    np.fill_diagonal(together, 0)
    linked = together.any(axis=1)
    alone = [layout.names[m] for m in np.flatnonzero(seen & ~linked)]
    if alone:
        warnings.warn(
            f"{len(alone)} modalities are never observed together with another one: "
            f"{name_list(alone)}; where they are missing they are imputed with the "
            "training mean.",
            UserWarning,
            stacklevel=2,
        )
    return linked


def _run(model, blocks, weight, rng):
    """One run of EM: one cluster first, then all."""
    options = {
        "ard": model.ard, "shared_noise": model.noise == "modality",
        "tol": model.tol, "verbose": model.verbose,
    }  # fmt: skip
    n_features, k = blocks.layout.n_features, model.n_components_
    if not model.n_factors_:
        means = _centers(model, blocks, weight, rng)
        start = start_factors(blocks, means, 0, weight, rng)
        return fit_factors(blocks, start, weight, max_iter=model.max_iter, **options)
    origin = np.zeros((1, n_features))
    start = start_factors(blocks, origin, model.n_factors_, weight, rng)
    if k > 1:
        first = min(FIRST_ITERATIONS, model.max_iter)
        run = fit_factors(blocks, start, weight, max_iter=first, **options)
        start = _divide(model, run.params, blocks, weight, rng)
    return fit_factors(blocks, start, weight, max_iter=model.max_iter, **options)


def _centers(model, blocks, weight, rng):
    """Means to start from if there are no factors: k-means over shared modalities."""
    choose = plus_plus_rows if model.init == "kmeans" else _random_rows
    rows = choose(blocks, model.n_components_, weight, rng)
    centers = centers_at_rows(blocks, rows)
    return lloyd(blocks, centers, weight, max_iter=20, tol=0).centers.values


def _random_rows(blocks, n_clusters, weight, rng):
    return random_rows(blocks.presence, n_clusters, weight, rng)


def _divide(model, params, blocks, weight, rng):
    """Parameters for all clusters from those for one, by k-means of the factors.

    Factors do not depend on which modalities a row has as its distances do, so the
    clusters are not those of patterns.
    """
    k = model.n_components_
    factors = np.zeros((len(blocks), params.n_factors))
    for rows in Posterior(params).chunks(blocks):
        factors[rows.rows] = rows.factors()
    used = np.flatnonzero(weight > 0)
    kmeans = KMeans(
        k,
        init="k-means++" if model.init == "kmeans" else "random",
        n_init=1,
        max_iter=50 if model.init == "kmeans" else 1,
        random_state=rng.randint(np.iinfo(np.int32).max),
    )
    with warnings.catch_warnings():
        # Fewer distinct rows than clusters: the clusters left over die in EM,
        # and `fit` tells of them.
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = kmeans.fit_predict(factors[used], sample_weight=weight[used])
    centers = kmeans.cluster_centers_
    sizes = np.bincount(labels, weight[used], minlength=k)
    between = sizes @ centers**2 / sizes.sum()
    n_units = len(params.units.sizes)
    return replace(
        params,
        weights=sizes / sizes.sum(),
        means=params.means + centers @ params.loadings.T,
        loadings=params.loadings * np.sqrt(np.maximum(1 - between, 0.05)),
        var_means=np.zeros((n_units, k)),
        cov_cross=np.zeros((n_units, k, params.n_factors)),
        cov_loadings=np.zeros_like(params.cov_loadings),
    )


def _choose_sizes(model, blocks, weight, rng):
    """Set the numbers of clusters and factors; returns errors on hidden blocks.

    These are None if nothing asks for them.
    """
    n_rows = np.count_nonzero(weight)
    most = min(blocks.layout.n_features, n_rows)
    clusters, factors = [model.n_components], [model.n_factors]
    if model.n_components == "auto":
        clusters = [k for k in AUTO_COMPONENTS if k == 1 or 5 * k <= n_rows]
    if model.n_factors == "auto":
        factors = [r for r in AUTO_FACTORS if r == 32 or r < most]
    model.n_components_, model.n_factors_ = clusters[0], int(min(factors[0], most))
    if not model.calibrate and len(clusters) == len(factors) == 1:
        return None
    folds = held_out_rows(blocks.presence, weight, rng)
    tried = {}

    def errors_of(k, r):
        model.n_components_, model.n_factors_ = k, int(min(r, most))
        key = k, model.n_factors_
        if key not in tried:
            tried[key] = _hidden_errors(model, blocks, weight, folds, rng)
        return tried[key].loss()

    k = min(clusters, key=lambda k: errors_of(k, factors[0]))
    r = min(factors, key=lambda r: errors_of(k, r))
    errors_of(k, r)
    return tried[k, model.n_factors_]


def _hidden_errors(model, blocks, weight, folds, rng):
    """Errors on blocks of the training rows, from models fitted without these rows."""
    errors = HiddenErrors.empty(len(blocks.layout))
    for positions in folds:
        rest = weight.copy()
        rest[positions] = 0
        if np.count_nonzero(rest) >= model.n_components_:
            run = _run(model, blocks, rest, rng)
            errors.add(blocks, run.params, positions, weight)
    return errors
