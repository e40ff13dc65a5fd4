"""Rules of late fusion, compared with loops and closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax

from skmissing.ensemble._stacking import (
    combine_evidence,
    fit_stacking,
    joint_covariance,
    nested_subsets,
    regression_weights,
    scatters_of,
    stacking_loss,
)


def random_presence(rng, n_rows, n_modalities, rate=0.6):
    presence = rng.uniform(size=(n_rows, n_modalities)) < rate
    presence[np.arange(n_rows), rng.randint(n_modalities, size=n_rows)] = True
    return presence


def make_evidence(rng, n_rows=200, n_modalities=3, n_classes=4):
    """Evidence of models of decreasing quality, presence, classes, and a log-prior."""
    codes = rng.randint(n_classes, size=n_rows)
    worth = 2.0 / (1 + np.arange(n_modalities))
    logits = rng.standard_normal((n_rows, n_modalities, n_classes))
    logits[np.arange(n_rows), :, codes] += worth
    presence = random_presence(rng, n_rows, n_modalities)
    D = np.where(presence[:, :, None], log_softmax(logits, axis=2), 0)
    return D, codes, presence, np.log(np.full(n_classes, 1 / n_classes))


@pytest.mark.parametrize("n_modalities", [1, 2, 3])
def test_nested_subsets_are_all_of_few(n_modalities):
    """Up to three modalities every non-empty subset appears once, all of them first."""
    subsets = nested_subsets(n_modalities)
    assert subsets[0].all()
    assert len(subsets) == len(np.unique(subsets, axis=0)) == 2**n_modalities - 1


@pytest.mark.parametrize("n_modalities", [4, 6, 20, 300])
def test_nested_subsets_cover_sizes_within_bounds(n_modalities):
    subsets = nested_subsets(n_modalities)
    sizes = subsets.sum(axis=1)
    assert sizes.min() == 1 and sizes.max() == n_modalities
    assert len(subsets) <= 65
    if n_modalities <= 60:
        assert set(sizes) == set(range(1, n_modalities + 1))


def test_combine_evidence_is_the_formula(seed):
    rng = np.random.RandomState(seed)
    D, _, presence, log_prior = make_evidence(rng)
    w, g = rng.uniform(size=3), rng.uniform(size=3)
    found = combine_evidence(D, presence, log_prior, w, g)
    for i, row in enumerate(found):
        had = np.flatnonzero(presence[i])
        expected = log_prior + g[len(had) - 1] * sum(w[m] * D[i, m] for m in had)
        assert_allclose(row, expected)


def loop_over_subsets(theta, D, codes, presence, log_prior, weight):
    """The penalised loss, sample by sample and subset by subset."""
    n_modalities = D.shape[1]
    u, v = np.split(theta, 2)
    loss = 2 * (u @ u + v[0] ** 2 + np.diff(v) @ np.diff(v))
    subsets, total = nested_subsets(n_modalities), 0
    for evidence, code, seen, w in zip(D, codes, presence, weight):
        kept = [seen & subset for subset in subsets if (seen & subset).any()]
        total += w
        for part in kept:
            factor = np.exp(v[part.sum() - 1])
            logits = log_prior + factor * (np.exp(u) * part) @ evidence
            loss -= w / len(kept) * log_softmax(logits)[code]
    return loss / total


@pytest.mark.parametrize("n_modalities", [1, 3, 8, 90])
@pytest.mark.parametrize("max_cells", [1, 10**6])
def test_loss_of_all_subsets_is_that_of_a_loop(n_modalities, max_cells, monkeypatch):
    """In pieces and at once; the gradient is its slope."""
    monkeypatch.setattr("skmissing.ensemble._stacking.MAX_CELLS", max_cells)
    rng = np.random.RandomState(0)
    D, codes, presence, log_prior = make_evidence(rng, 12, n_modalities, 3)
    weight = rng.uniform(size=12)
    caught = {}

    def catch(function, start, args, **kwargs):
        caught["args"] = args
        return minimize(function, start, args, **kwargs)

    monkeypatch.setattr("skmissing.ensemble._stacking.minimize", catch)
    fit_stacking(D, codes, presence, log_prior, weight)
    theta, args = rng.standard_normal(2 * n_modalities), caught["args"]
    loss, gradient = stacking_loss(theta, *args)
    expected = loop_over_subsets(theta, D, codes, presence, log_prior, weight)
    assert_allclose(loss, expected)
    slopes = approx_fprime(theta, lambda t: stacking_loss(t, *args)[0])
    assert_allclose(gradient, slopes, atol=1e-4)


def test_stacking_ranks_modalities_by_worth(seed):
    rng = np.random.RandomState(seed)
    D, codes, presence, log_prior = make_evidence(rng, n_rows=1000)
    D[:, 2] = 3 * rng.standard_normal(D[:, 2].shape) * presence[:, 2, None]
    w, _ = fit_stacking(D, codes, presence, log_prior, np.ones(1000))
    assert w[2] < 0.2 * w[0]


def test_stacking_discounts_repetition(seed):
    rng = np.random.RandomState(seed)
    logits = 2 * rng.standard_normal((3000, 1, 3))
    # Drawn from the model's own probabilities, so that one alone is calibrated.
    codes = (logits[:, 0] + rng.gumbel(size=(3000, 3))).argmax(axis=1)
    D = np.repeat(log_softmax(logits, axis=2) - np.log(1 / 3), 2, axis=1)
    presence = np.ones((3000, 2), dtype=bool)
    w, g = fit_stacking(D, codes, presence, np.log(np.full(3, 1 / 3)), np.ones(3000))
    assert_allclose(w[0] * g[0], 1, rtol=0.15)
    assert_allclose((w[0] + w[1]) * g[1], 1, rtol=0.15)


def test_stacking_weights_are_repetitions(seed):
    """Weight 2 is the sample twice, and weight 0 none; the order does not matter."""
    rng = np.random.RandomState(seed)
    D, codes, presence, log_prior = make_evidence(rng, n_rows=80)
    weight = rng.randint(3, size=80)
    rows = rng.permutation(np.repeat(np.arange(80), weight))
    found = fit_stacking(D, codes, presence, log_prior, weight.astype(float))
    args = D[rows], codes[rows], presence[rows], log_prior, np.ones(len(rows))
    assert_allclose(found, fit_stacking(*args), rtol=1e-5)


def test_stacking_uses_a_part_of_many_samples(seed, monkeypatch):
    """Every n-th sample of each class is used; the weights change little."""
    rng = np.random.RandomState(seed)
    D, codes, presence, log_prior = make_evidence(rng, n_rows=6000)
    args = D, codes, presence, log_prior, np.ones(6000)
    whole = fit_stacking(*args)
    # Seven subsets of three modalities with four classes: 2000 samples are enough.
    monkeypatch.setattr("skmissing.ensemble._stacking.MAX_TERMS", 2000 * 84)
    part = fit_stacking(*args)
    rows = np.sort(np.argsort(codes, kind="stable")[::3])
    expected = fit_stacking(
        D[rows], codes[rows], presence[rows], log_prior, np.ones(2000)
    )
    assert_array_equal(part, expected)
    assert (np.array(part) != whole).any()
    assert_allclose(part, whole, rtol=0.2)


def test_stacking_without_any_sample_is_plain():
    nothing = np.zeros((4, 3), dtype=bool)
    w, g = fit_stacking(
        np.zeros((4, 3, 2)), np.arange(4) % 2, nothing, np.zeros(2), np.ones(4)
    )
    assert_array_equal([w, g], np.ones((2, 3)))


def test_joint_covariance_of_complete_samples(seed):
    rng = np.random.RandomState(seed)
    Z, weight = rng.standard_normal((50, 4)), rng.uniform(size=50)
    expected = (Z * weight[:, None]).T @ Z / weight.sum()
    found = joint_covariance(scatters_of(Z, weight), prior_samples=0.0)
    assert_allclose(found, expected)


def test_joint_covariance_of_monotone_gaps(seed):
    """With one column complete, EM finds the closed form of maximum likelihood."""
    rng = np.random.RandomState(seed)
    x = rng.standard_normal(200)
    y = 0.8 * x + 0.5 * rng.standard_normal(200)
    both = np.arange(200) < 120
    Z = np.column_stack([x, np.where(both, y, np.nan)])
    slope = x[both] @ y[both] / (x[both] @ x[both])
    left = np.mean((y[both] - slope * x[both]) ** 2)
    xx = np.mean(x**2)
    expected = [[xx, slope * xx], [slope * xx, left + slope**2 * xx]]
    found = joint_covariance(scatters_of(Z, np.ones(200)), prior_samples=0.0)
    assert_allclose(found, expected, rtol=1e-5)


def test_joint_covariance_is_positive_semidefinite(seed):
    rng = np.random.RandomState(seed)
    Z = np.full((90, 3), np.nan)
    signs = {(0, 1): 1, (1, 2): 1, (0, 2): -1}
    for k, ((i, j), sign) in enumerate(signs.items()):
        value = rng.standard_normal(30)
        rows = slice(30 * k, 30 * k + 30)
        Z[rows, i], Z[rows, j] = value, sign * value
    found = joint_covariance(scatters_of(Z, np.ones(90)), prior_samples=1.0)
    assert np.linalg.eigvalsh(found).min() > -1e-10


def test_regression_weights_are_least_squares(seed):
    """On second moments they solve the normal equations; redundant columns share."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((40, 3))
    target = X @ [1.0, -2.0, 0.5] + rng.standard_normal(40)
    Z = np.column_stack([X, target])
    found = regression_weights(Z.T @ Z, np.arange(3), np.array([3]))[:, 0]
    assert_allclose(found, np.linalg.lstsq(X, target)[0])
    twice = np.column_stack([X[:, [0, 0]], target])
    shared = regression_weights(twice.T @ twice, np.arange(2), np.array([2]))[:, 0]
    assert_allclose(shared[0], shared[1])


def test_pairwise_covariance_of_many_columns(monkeypatch):
    """It is that of complete samples, near that with gaps, and positive definite."""
    rng = np.random.RandomState(0)
    Z = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 6))
    Z -= Z.mean(axis=0)
    expected, weight = Z.T @ Z / 400, np.ones(400)
    gaps = np.where(random_presence(rng, 400, 6, 0.7), Z, np.nan)
    exact = joint_covariance(scatters_of(gaps, weight))
    monkeypatch.setattr("skmissing.ensemble._stacking.MAX_PATTERN_COST", 0)
    assert_allclose(
        joint_covariance(scatters_of(Z, weight), prior_samples=1e-6),
        expected,
        rtol=1e-6,
    )
    found = joint_covariance(scatters_of(gaps, weight))
    assert np.abs(found - exact).max() < 0.2 * np.abs(exact).max()
    scale = np.sqrt(np.diag(found))
    assert np.linalg.eigvalsh(found / np.outer(scale, scale)).min() > 0.02
