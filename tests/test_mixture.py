"""PartialModalityFactorMixture against dense Gaussians, and what it owes its users."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from skmissing._blocks import fit_scaler
from skmissing._modalities import resolve_modalities
from skmissing._table import ModalityTable
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
)
from skmissing.mixture import PartialModalityFactorMixture
from skmissing.mixture._calibration import HiddenErrors, choice_folds, held_out_rows
from skmissing.mixture._em import (
    SamplesInMemory,
    expect,
    find_parts,
    fit_factors,
    start_factors,
)

WIDTHS = [3, 2, 4]
nan = np.nan


def make_rows(rng, n, holes=False, rate=0.4):
    """Rows with two clusters and shared factors, modalities missing, perhaps holes."""
    loadings = rng.standard_normal((2, sum(WIDTHS)))
    X = rng.standard_normal((n, 2)) @ loadings
    X += 3.0 * (rng.uniform(size=(n, 1)) < 0.5) * rng.standard_normal(sum(WIDTHS))
    X += 0.5 * rng.standard_normal(X.shape) + 1.0
    if holes:
        X[rng.uniform(size=X.shape) < 0.15] = np.nan
    keep = rng.uniform(size=(n, len(WIDTHS))) >= rate
    keep[np.arange(n), rng.randint(len(WIDTHS), size=n)] = True
    X[~np.repeat(keep, WIDTHS, axis=1)] = np.nan
    return X[~np.isnan(X).all(axis=1)]


def fitted(X, n_components=2, **params):
    model = PartialModalityFactorMixture(
        n_components, modalities=WIDTHS, random_state=0, **{"n_factors": 2, **params}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X)


def dense_row(model, row):
    """Log-likelihood, conditional mean and variance of one row, by full covariances."""
    covariance = model.loadings_ @ model.loadings_.T + np.diag(model.noise_variance_)
    o = ~np.isnan(row)
    with np.errstate(divide="ignore"):
        log_joint = np.log(model.weights_) + [
            multivariate_normal.logpdf(row[o], mean[o], covariance[np.ix_(o, o)])
            for mean in model.means_
        ]
    resp = np.exp(log_joint - logsumexp(log_joint))
    gain = covariance[:, o] @ np.linalg.inv(covariance[np.ix_(o, o)])
    means = np.array([m + gain @ (row[o] - m[o]) for m in model.means_])
    within = np.diag(covariance - gain @ covariance[o])
    mean = resp @ means
    variance = within + resp @ means**2 - mean**2
    return logsumexp(log_joint), resp, mean, variance


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("noise", ["modality", "feature"])
def test_equals_dense_gaussians(holes, noise, seed):
    """Likelihood, clusters, imputed values and their errors, by full covariances."""
    rng = np.random.RandomState(seed)
    model = fitted(make_rows(rng, 300, holes), ard=False, noise=noise, max_iter=20)
    rows = make_rows(rng, 25, holes)
    scores, proba = model.score_samples(rows), model.predict_proba(rows)
    imputed, std = model.impute(rows), model.imputation_std(rows)
    for i, row in enumerate(rows):
        score, resp, mean, variance = dense_row(model, row)
        gap = np.isnan(row)
        assert_allclose(scores[i], score, rtol=1e-8)
        assert_allclose(proba[i], resp, atol=1e-8)
        assert_allclose(imputed[i, gap], mean[gap], rtol=1e-6, atol=1e-8)
        assert_allclose(std[i, gap] ** 2, variance[gap], rtol=1e-6)
        assert_array_equal(imputed[i, ~gap], row[~gap])
        assert not std[i, ~gap].any()


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("ard", [False, True])
@pytest.mark.parametrize("noise", ["modality", "feature"])
def test_objective_never_falls(holes, ard, noise, seed):
    X = make_rows(np.random.RandomState(seed), 200, holes)
    model = fitted(X, 3, n_factors=4, ard=ard, noise=noise, tol=0, max_iter=60)
    gains = np.diff(model.lower_bounds_)
    assert len(gains) > 10
    assert gains.min() > -1e-9 * abs(model.lower_bound_)


def test_equals_factor_analysis(seed):
    """One cluster, complete data, maximum likelihood: that of scikit-learn."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 9))
    X += rng.standard_normal(X.shape)
    model = fitted(X, 1, ard=False, noise="feature", tol=1e-9, max_iter=1000)
    theirs = FactorAnalysis(2, tol=1e-6, max_iter=1000).fit(X)
    assert_allclose(model.score(X), theirs.score(X), rtol=1e-5)
    ours = model.loadings_ @ model.loadings_.T + np.diag(model.noise_variance_)
    assert_allclose(ours, theirs.get_covariance(), atol=0.02)


def test_lower_bound_is_the_likelihood_without_priors(seed):
    X = make_rows(np.random.RandomState(seed), 200, rate=0)
    model = fitted(X, ard=False)
    layout = model.modalities_
    shift = np.log(X.std(axis=0)).sum() + (np.log(layout.widths) / 2) @ layout.widths
    assert_allclose(model.score(X) + shift, model.lower_bound_)


def kernel_input(X, n_components=2, n_factors=3):
    layout = resolve_modalities(WIDTHS, X.shape[1])
    scaler = fit_scaler(ModalityTable(X, layout))
    blocks = scaler.split(ModalityTable(X, layout), min_rows=5)
    rng = np.random.RandomState(0)
    means = 0.1 * rng.standard_normal((n_components, X.shape[1]))
    start = start_factors(blocks, means, n_factors, np.ones(len(X)), rng)
    return scaler, blocks, start


@pytest.mark.parametrize("holes", [False, True])
def test_grouping_of_rows_does_not_matter(holes, seed):
    X = make_rows(np.random.RandomState(seed), 120, holes)
    scaler, blocks, start = kernel_input(X)
    one_group = scaler.split(ModalityTable(X, scaler.layout), min_rows=10**6)
    assert len(one_group.groups) < len(blocks.groups)
    found = [
        expect(find_parts(b, start), start, np.ones(len(X)))
        for b in (blocks, one_group)
    ]
    for name in ("sizes", "counts", "first", "second", "cross", "bound"):
        assert_allclose(*(getattr(f, name) for f in found), atol=1e-9)


def test_weight_of_two_is_the_row_twice(seed):
    X = make_rows(np.random.RandomState(seed), 80)
    options = {"ard": True, "shared_noise": True, "max_iter": 15, "tol": 0}
    weight = np.random.RandomState(1).randint(1, 4, size=len(X))
    scaler, blocks, start = kernel_input(X)
    weighted = fit_factors(
        SamplesInMemory(blocks, weight.astype(float)), start, **options
    )
    again = scaler.split(ModalityTable(np.repeat(X, weight, axis=0), scaler.layout))
    repeated = fit_factors(
        SamplesInMemory(again, np.ones(weight.sum())), start, **options
    )
    for name in ("weights", "means", "loadings", "noise", "cov_loadings"):
        values = [getattr(r.params, name) for r in (weighted, repeated)]
        assert_allclose(*values, atol=1e-8)


def test_draws_have_the_posterior_moments():
    rng = np.random.RandomState(0)
    model = fitted(make_rows(rng, 300), ard=False)
    row = make_rows(rng, 1)[:1]
    rows = np.repeat(row, 20000, axis=0)
    draws = model._values(ModalityTable(rows, model.modalities_), rng)
    gap = np.isnan(row[0])
    std = model.imputation_std(row)[0, gap]
    mean = model.impute(row)[0, gap]
    assert_allclose(draws.mean(axis=0)[gap], mean, atol=0.05 * std.max())
    assert_allclose(draws.std(axis=0)[gap], std, rtol=0.05)


def test_samples_have_the_moments_of_the_model():
    model = fitted(make_rows(np.random.RandomState(0), 300))
    X, labels = model.sample(50000)
    assert X.shape == (50000, sum(WIDTHS))
    share = np.bincount(labels) / len(labels)
    assert_allclose(share, model.weights_, atol=0.01)
    centered = X - model.means_[labels]
    expected = model.loadings_ @ model.loadings_.T + np.diag(model.noise_variance_)
    assert_allclose(np.cov(centered.T), expected, atol=0.2)
    with pytest.raises(ValueError, match="n_samples must be at least 1; got 0"):
        model.sample(0)


def test_relevance_follows_the_data():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((600, 2)) @ rng.standard_normal((2, 9))
    X += 0.3 * rng.standard_normal(X.shape)
    model = fitted(X, 1, n_factors=8, tol=1e-5, max_iter=200)
    used = model.relevance_.max(axis=0) > 0.01
    assert 2 <= used.sum() <= 4


def test_noise_falls_back_to_the_mean():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 40))
    model = PartialModalityFactorMixture(
        3, modalities=[20, 20], calibrate=True, random_state=0, max_iter=30
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    test = rng.standard_normal((50, 40))
    hidden = test.copy()
    hidden[:, 20:] = np.nan
    error = np.mean((model.impute(hidden)[:, 20:] - test[:, 20:]) ** 2)
    mean_error = np.mean((X[:, 20:].mean(axis=0) - test[:, 20:]) ** 2)
    assert error < 1.01 * mean_error
    assert (model.shrinkage_ < 0.2).all()


def test_calibrated_errors_cover():
    """About 90 % of hidden values lie in the intervals, though the model is wrong."""
    rng = np.random.RandomState(0)
    X = rng.standard_t(5, size=(900, 3)) @ rng.standard_normal((3, 9))
    X = np.tanh(X) * 2 + 0.3 * rng.standard_normal(X.shape)
    model = fitted(X[:600], 3, calibrate=True)
    hidden = X[600:].copy()
    hidden[:, :3] = np.nan
    z = (model.impute(hidden) - X[600:])[:, :3] / model.imputation_std(hidden)[:, :3]
    assert 0.85 < np.mean(np.abs(z) < 1.645) < 0.95


def test_hidden_errors_by_hand():
    sums = [[2.0] * 8], [[4.0] * 8], [[3.0] * 8], [[1.0] * 8]
    errors = HiddenErrors(*sums, [[1.0] * 8])
    assert_allclose(errors.shrinkage(), [0.5])
    assert_allclose(errors.std_scale(np.array([0.5])), [np.sqrt(2.0)])
    assert_allclose(errors.loss(), 2 / 3)
    few = HiddenErrors(*sums, [[0.5] * 8])
    assert few.shrinkage() == [0.0]
    # Two blocks of weight 4, by the weighted formula of the standard error.
    uneven = HiddenErrors([[1.0, 3]], [[2.0, 2]], [[4.0, 4]], [[1.0, 1]], [[4.0, 4]])
    assert_allclose(uneven.shrinkage(), [1 - np.sqrt(1 / 4 + 1 / 4) / 4])


def test_held_out_rows_have_two_modalities():
    rng = np.random.RandomState(0)
    presence = rng.uniform(size=(200, 3)) < 0.5
    folds = held_out_rows(presence, np.ones(200), rng)
    rows = np.concatenate(folds)
    assert len(set(rows)) == len(rows) > 0
    assert (presence[rows].sum(axis=1) > 1).all()
    assert held_out_rows(presence[:5], np.ones(5), rng) == []


def test_sizes_are_chosen_on_few_folds():
    """The first folds with 100 hidden modalities in all, or each of them."""
    presence = np.ones((60, 3), dtype=bool)
    folds = np.split(np.arange(60), 3)
    assert choice_folds(presence, folds) == 2
    assert choice_folds(presence, [np.arange(60), np.arange(60)]) == 1
    assert choice_folds(presence, folds[:1]) >= 1


def test_sizes_are_chosen():
    rng = np.random.RandomState(0)
    centers = 4 * rng.standard_normal((8, 9))
    X = centers[rng.randint(8, size=500)] + 0.3 * rng.standard_normal((500, 9))
    model = fitted(X, "auto", n_factors="auto", max_iter=30)
    assert model.n_components_ > 1
    assert model.n_factors_ in (8, 9)
    assert model.means_.shape == (model.n_components_, 9)


def test_no_factors_is_a_mixture_of_centers():
    X = make_rows(np.random.RandomState(0), 200)
    model = fitted(X, 4, n_factors=0)
    assert model.loadings_.shape == (9, 0)
    assert model.transform(X).shape == (len(X), 0)
    assert np.isfinite(model.impute(X)).all()
    assert_array_equal(model.imputation_std(X) > 0, np.isnan(X))


def test_one_row_and_one_pattern():
    model = fitted([[1.0] * 9], 1)
    assert_allclose(model.impute([[np.nan] * 8 + [1.0]]), 1.0)
    X = make_rows(np.random.RandomState(0), 50, rate=0)
    X[:, :3] = np.nan
    with pytest.warns(UserWarning, match="'modality0'; their means are 0"):
        model = fitted(X)
    imputed = model.impute(X)
    assert not imputed[:, :3].any()


def test_unlinked_modality_is_imputed_by_its_mean():
    X = make_rows(np.random.RandomState(0), 100, rate=0)
    X[:50, :3] = np.nan
    X[50:, 3:] = np.nan
    with pytest.warns(UserWarning, match="never observed together.*'modality0'"):
        model = fitted(X)
    mean = np.nanmean(X, axis=0)
    assert_allclose(model.impute(X)[:50, :3], np.tile(mean[:3], (50, 1)))
    assert_array_equal(model.shrinkage_, [0, 1, 1])


def test_empty_rows():
    X = make_rows(np.random.RandomState(0), 100)
    model = fitted(X)
    empty = np.full((1, 9), np.nan)
    with pytest.warns(UserWarning, match="1 of 1 samples.*labelled -1"):
        assert model.predict(empty) == [-1]
    with pytest.warns(UserWarning, match="imputed with the training mean"):
        assert_allclose(model.impute(empty)[0], np.nanmean(X, axis=0))
    with pytest.warns(UserWarning, match="weights of the clusters"):
        assert_allclose(model.predict_proba(empty)[0], model.weights_)


def test_unlearnt_modality_is_ignored():
    rng = np.random.RandomState(0)
    X = make_rows(rng, 100, rate=0)
    X[:, :3] = np.nan
    with pytest.warns(UserWarning, match="not observed in any sample"):
        model = fitted(X)
    new = make_rows(rng, 10, rate=0)
    with pytest.warns(UserWarning, match="not observed in fit are ignored"):
        found = model.predict_proba(new)
    new[:, :3] = np.nan
    assert_allclose(found, model.predict_proba(new))


def test_more_runs_never_lose():
    X = make_rows(np.random.RandomState(0), 100)
    one, many = (fitted(X, 4, init="random", n_init=n) for n in (1, 4))
    assert many.lower_bound_ >= one.lower_bound_


def test_criteria_count_parameters():
    X = make_rows(np.random.RandomState(0), 100)
    model = fitted(X)
    n_parameters = 1 + (2 + 2) * 9 - 1 + 3
    total = model.score_samples(X).sum()
    assert_allclose(model.aic(X), -2 * total + 2 * n_parameters)
    expected = -2 * total + np.log(len(X)) * n_parameters
    assert_allclose(model.bic(X), expected)


@pytest.mark.filterwarnings("ignore:.* clusters have weight 0")
def test_default_fits_few_samples():
    X = make_rows(np.random.RandomState(0), 30, rate=0)
    X[6:] = nan
    model = PartialModalityFactorMixture(modalities=WIDTHS, random_state=0)
    with pytest.warns(UserWarning, match="24 of 30 samples have no observed modality"):
        assert len(model.fit(X).weights_) == model.n_components_ == 6
    assert np.isfinite(model.impute(X[:6])).all()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_components": 50}, "n_samples=20 should be >= n_components=50"),
        ({"n_factors": 10, "ard": False}, "n_factors=10 with ard=False must be at"),
    ],
)
def test_impossible_sizes_are_refused(params, message):
    X = make_rows(np.random.RandomState(0), 20, rate=0)
    with pytest.raises(ValueError, match=message):
        fitted(X, **params)


@pytest.mark.parametrize("n_factors", [9, 50])
def test_more_factors_than_columns_or_rows(n_factors):
    X = make_rows(np.random.RandomState(0), 100)
    many = fitted(X, n_factors=n_factors)
    assert many.n_factors_ == 9
    assert fitted(X[:7], n_factors=n_factors).n_factors_ == 7
    mean = np.nanmean(X, axis=0)
    error = np.abs(many.impute(X) - fitted(X).impute(X))[np.isnan(X)]
    assert error.mean() < 0.2 * np.abs(X - mean)[~np.isnan(X)].mean()


def test_clusters_that_die_warn():
    X = np.repeat(make_rows(np.random.RandomState(0), 9, rate=0)[:2], 20, axis=0)
    model = PartialModalityFactorMixture(
        5, modalities=WIDTHS, n_factors=2, max_iter=500, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="3 of 5 clusters have weight 0"):
        model.fit(X)
    assert_allclose(np.sort(model.weights_), [0, 0, 0, 0.5, 0.5])
    assert set(model.predict(X)) == set(np.flatnonzero(model.weights_))
    assert np.isfinite(model.sample(10)[0]).all()
    hidden = X[[0, -1]].copy()
    hidden[:, 3:] = np.nan
    assert_allclose(model.impute(hidden), X[[0, -1]], atol=0.05)


def test_float32_agrees_with_float64():
    X = make_rows(np.random.RandomState(0), 300)
    double = fitted(X).impute(X)
    single = fitted(X.astype(np.float32)).impute(X.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, double, atol=2e-2)


def one_factor(rng, n):
    return rng.standard_normal((n, 1)) + 0.1 * rng.standard_normal((n, 4))


def one_cluster(X, sample_weight=None, **params):
    params = {"n_factors": 2, "modalities": [2, 2], "random_state": 0, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = PartialModalityFactorMixture(1, **params)
        return model.fit(X, sample_weight=sample_weight)


def test_rows_of_little_weight_do_not_calibrate():
    rng = np.random.RandomState(0)
    X, junk = one_factor(rng, 300), rng.standard_normal((300, 4))
    weight = np.r_[np.ones(300), np.full(300, 1e-6)]
    alone = one_cluster(X, calibrate=True)
    found = one_cluster(np.vstack([X, junk]), weight, calibrate=True)
    assert_allclose(found.shrinkage_, alone.shrinkage_, atol=0.02)
    assert_allclose(found.std_scale_, alone.std_scale_, rtol=0.2)


def unseen_column(rng):
    X = one_factor(rng, 100)
    X[:, 2] = nan
    X[:20, 3] = nan
    return X


def test_column_never_observed():
    X = unseen_column(np.random.RandomState(0))
    with pytest.warns(UserWarning, match="1 of 4 columns .*'x2'; nothing is"):
        model = one_cluster(X, modalities=[3, 1])
    hidden = np.array([[1.0, 2, nan, nan], [nan] * 4])
    rows = hidden.copy()
    rows[:, 2] = 7
    for name in (
        "score_samples", "predict_proba", "predict", "transform", "impute",
        "imputation_std",
    ):  # fmt: skip
        method = getattr(model, name)
        with (
            pytest.warns(UserWarning, match="'x2', which 2 of 2 samples have"),
            pytest.warns(UserWarning, match="1 of 2 samples have no observed modality"),
        ):
            found = method(rows)
        with pytest.warns(
            UserWarning, match="1 of 2 samples have no observed modality"
        ):
            expected = method(hidden)
        columns = [0, 1, 3] if name.startswith("impu") else slice(None)
        assert_array_equal(*(v.T[columns] for v in (found, expected)))
        if name == "impute":
            assert_array_equal(found[:, 2], 7)
            assert_array_equal(expected[:, 2], 0)
        if name == "imputation_std":
            assert_array_equal(found[:, 2], 0)
            assert_array_equal(expected[:, 2], nan)
            assert (expected[1, [0, 1, 3]] > 0).all()


@pytest.mark.parametrize(
    "imputer",
    [
        ClusterGuidedImputer(5, random_state=0),
        ClusterGuidedImputer(5, strategy="greedy", random_state=0),
        FactorImputer(1, n_factors=2, random_state=0),
        RetrievalImputer(5),
        RegressionImputer(),
    ],
)
def test_imputers_do_not_go_by_a_column_never_observed(imputer):
    X = unseen_column(np.random.RandomState(0))
    imputer = clone(imputer).set_params(modalities=[3, 1], add_indicator=True)
    with pytest.warns(UserWarning, match="'x2'; they are filled with 0"):
        imputer.fit(X)
    hidden = np.array([[1.0, 2, nan, nan], [0.5, 1, nan, 3]])
    rows = hidden.copy()
    rows[0, 2] = 7
    with pytest.warns(UserWarning, match="ignored: 'x2', which 1 of 2 samples have"):
        found = imputer.transform(rows)
    expected = imputer.transform(hidden)
    assert found[0, 2] == 7
    assert expected[0, 2] == 0
    found[0, 2] = 0
    assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [PartialModalityFactorMixture, FactorImputer])
def test_warns_if_not_converged(kind):
    X = one_factor(np.random.RandomState(0), 100)
    X[::3, :2] = nan
    model = kind(1, n_factors=2, modalities=[2, 2], max_iter=1)
    message = f"{kind.__name__}: EM did not converge in max_iter=1"
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(X)
