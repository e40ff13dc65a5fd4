"""IncompleteGCCA."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA

from skmissing import ModalityWarning
from skmissing.cross_decomposition import IncompleteGCCA

from .test_imputer_baselines import NAN, WIDTHS, make_rows


def test_complete_pair_is_canonical_correlation(seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((80, 7)) @ rng.standard_normal((7, 7)) + 5
    gcca = IncompleteGCCA(3, modalities=[3, 4], alpha=0).fit(X)
    pair = CCA(3, max_iter=5000, tol=1e-12).fit_transform(X[:, :3], X[:, 3:])
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(*(Z.T for Z in pair))]
    assert_allclose(2 * gcca.eigenvalues_ - 1, correlations, atol=1e-5)
    alone = X.copy()
    alone[:, 3:] = NAN
    for found, expected in zip(gcca.transform(alone).T, pair[0].T):
        assert_allclose(abs(np.corrcoef(found, expected)[0, 1]), 1, atol=1e-5)
    assert_allclose(gcca.transform(X).mean(axis=0), 0, atol=1e-10)


@pytest.mark.parametrize("standardize", [True, False])
def test_eigenvectors_with_gaps(seed, standardize):
    """The generalised eigenvalue problem of all samples."""
    X = make_rows(np.random.RandomState(seed), 40) * [1, 2, 3, 1, 2, 3]
    gcca = IncompleteGCCA(4, modalities=WIDTHS, alpha=0.3, standardize=standardize).fit(
        X
    )
    centred = X - np.nanmean(X, axis=0)
    scale = np.nanstd(X, axis=0) if standardize else np.ones(6)
    Z = np.nan_to_num(centred / scale)
    blocks = Z[:, :2], Z[:, 2:5], Z[:, 5:]
    K = (~np.isnan(X[:, [0, 2, 5]])).astype(float).T
    solvers = [
        np.linalg.solve(B.T @ B + 0.3 * k.sum() * np.eye(B.shape[1]), B.T)
        for B, k in zip(blocks, K)
    ]
    total = sum(B @ solver for B, solver in zip(blocks, solvers))
    values, G = eigh(total, np.diag(K.sum(axis=0)))
    values, G = values[:-5:-1], G[:, :-5:-1] * np.sqrt(K.sum())
    assert_allclose(gcca.eigenvalues_, values)
    expected = sum(B @ (solver @ G) for B, solver in zip(blocks, solvers))
    expected /= K.sum(axis=0)[:, None]
    found = gcca.transform(X)
    signs = np.sign((found * expected).sum(axis=0))
    assert_allclose(found * signs, expected, atol=1e-10)
    alone = [gcca.transform(row[None])[0] for row in X]
    assert_allclose(alone, found, atol=1e-12)


def test_modalities_share_a_space(seed):
    """Each modality alone gives about the same components, though none is complete."""
    rng = np.random.RandomState(seed)
    hidden = rng.standard_normal((300, 4))
    X = np.hstack([hidden @ rng.standard_normal((4, w)) for w in (10, 20)])
    X += 0.1 * rng.standard_normal(X.shape)
    train = X[:200].copy()
    train[:60, :10] = train[60:120, 10:] = NAN
    gcca = IncompleteGCCA(4, modalities=[10, 20]).fit(train)
    left, right = X[200:].copy(), X[200:].copy()
    left[:, 10:] = right[:, :10] = NAN
    for found, other in zip(gcca.transform(left).T, gcca.transform(right).T):
        assert np.corrcoef(found, other)[0, 1] > 0.95


def test_modalities_that_no_sample_links_warn():
    X = make_rows(np.random.RandomState(0), 60, rate=0)
    X[:30, 2:5] = X[30:, [0, 1, 5]] = NAN
    match = r"2 groups .* never observed together: \['a', 'c'\], \['b'\]\. Samples"
    with pytest.warns(ModalityWarning, match=match):
        gcca = IncompleteGCCA(2, modalities={"a": 2, "b": 3, "c": 1}).fit(X)
    weights = [np.abs(W).max(axis=0) > 1e-12 for W in gcca.weights_]
    assert_array_equal(weights[1], ~weights[0])  # no component has both


def test_penalty_prevents_chance_correlations():
    X = np.random.RandomState(0).standard_normal((40, 120))
    free = IncompleteGCCA(5, modalities=[60, 60], alpha=0).fit(X)
    assert_allclose(free.eigenvalues_, 1)
    assert IncompleteGCCA(5, modalities=[60, 60], alpha=1).fit(X).eigenvalues_[0] < 0.8


def test_constant_and_partially_observed_columns():
    X = make_rows(np.random.RandomState(0), 50, rate=0)
    X[:, 3] = 0.1
    gcca = IncompleteGCCA(2, modalities=WIDTHS).fit(X)
    assert gcca.weights_[1][1].tolist() == [0, 0]
    gap, mean = X[:1].copy(), X[:1].copy()
    gap[0, 2], mean[0, 2] = NAN, X[:, 2].mean()
    assert_allclose(gcca.transform(gap), gcca.transform(mean))
    with pytest.raises(ValueError, match="column that varies; got none in 5 samples"):
        IncompleteGCCA().fit(np.ones((5, 2)))


def test_numbers_of_components():
    X = make_rows(np.random.RandomState(0), 50)
    gcca = IncompleteGCCA(modalities=WIDTHS).fit(X)
    assert gcca.transform(X).shape == (50, 6)
    assert gcca.get_feature_names_out()[0] == "incompletegcca0"
    with pytest.raises(ValueError, match="n_components must be at most .* 6; got 7"):
        gcca.set_params(n_components=7).fit(X)


def test_nothing_observed_is_at_zero_and_unknown_modalities_are_ignored():
    X = make_rows(np.random.RandomState(0), 30, rate=0)
    lacking = X.copy()
    lacking[:, 5] = NAN
    with pytest.warns(UserWarning, match="1 of 3 modalities are not observed in any"):
        gcca = IncompleteGCCA(2, modalities=WIDTHS).fit(lacking)
    with pytest.warns(UserWarning, match="not observed in fit are ignored"):
        assert_allclose(gcca.transform(X), gcca.transform(lacking))
    with pytest.warns(UserWarning, match="1 of 1 samples .* they are at 0"):
        assert not gcca.transform(np.full((1, 6), NAN)).any()


def test_x_without_an_observed_cell():
    error = pytest.raises(ValueError, match="must have an observed cell; got none")
    with pytest.warns(ModalityWarning), error:
        IncompleteGCCA(modalities=[1, 1]).fit(np.full((3, 2), np.nan))
