"""VariationalImputer."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from skmissing.fusion import VariationalImputer
from skmissing.fusion._autoencoder import CellLoss, Reconstruction
from skmissing.fusion._variational import ProductOfExperts

from .test_autoencoder import NAN, WIDTHS, make_rows


def make_imputer(**params):
    params = {"max_epochs": 60, "random_state": 0, **params}
    return VariationalImputer(
        3, hidden_dim=16, modalities=WIDTHS, lr=1e-2, device="cpu", **params
    )


@pytest.fixture(scope="module")
def fitted():
    return make_imputer().fit(make_rows(0, 300, rate=0.4)[1])


def test_posterior_is_the_product_of_the_densities():
    """On a grid, for two latent variables that are independent."""
    torch.manual_seed(0)
    module = ProductOfExperts(WIDTHS, 4, 2).double()
    x, present = torch.randn(1, 6).double(), torch.tensor([[True, False, True]])
    mean, variance = (a[0].detach().numpy() for a in module.posterior(x, present))
    grid = np.linspace(-12, 12, 4001)
    density = np.exp(-(grid**2) / 2) * np.ones((2, 1))
    for m, columns in ((0, slice(0, 2)), (2, slice(5, 6))):
        mu, log_variance = (
            module.encoders[m](x[0, columns]).detach().numpy().reshape(2, 2)
        )
        density *= np.exp(
            -((grid - mu[:, None]) ** 2) / 2 / np.exp(log_variance)[:, None]
        )
    density /= density.sum(axis=1, keepdims=True)
    assert_allclose(density @ grid, mean)
    assert_allclose(density @ grid**2 - mean**2, variance)


def test_divergence_from_the_prior():
    torch.manual_seed(0)
    module = ProductOfExperts(WIDTHS, 4, 2).double()
    x, present = torch.randn(5, 6).double(), torch.ones(5, 3, dtype=torch.bool)
    mean, variance = module.posterior(x, present)
    posterior = torch.distributions.Normal(mean, variance.sqrt())
    prior = torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    assert_allclose(module(x, present).divergence.detach(), expected.detach())


def test_loss_is_minus_the_evidence_lower_bound():
    """Of the observed cells, with constants left out."""
    rng = np.random.RandomState(0)
    made, values, log_variance = (rng.standard_normal(s) for s in ((5, 6), (5, 6), 6))
    divergence, observed = rng.uniform(size=5), rng.uniform(size=(5, 6)) < 0.6
    density = norm.logpdf(values, made, np.exp(log_variance / 2)) - norm.logpdf(0)
    expected = (divergence - np.sum(density * observed, axis=1)).mean()
    made, log_variance, divergence, values, observed = map(
        torch.from_numpy, (made, log_variance, divergence, values, observed)
    )
    output = Reconstruction(made, log_variance, divergence)
    assert_allclose(CellLoss(np.ones(6))(output, (values, observed)), expected)


def test_errors_are_small_and_standard_errors_fit_them(fitted):
    X, hidden = make_rows(1, 300, rate=0.4)
    gap = np.isnan(hidden)
    filled, std = fitted.transform(hidden), fitted.imputation_std(hidden)
    errors = (filled - X)[gap]
    assert np.mean(errors**2) < 0.4 * np.mean((fitted.statistics_ - X)[gap] ** 2)
    assert 0.6 < np.sqrt(np.mean((errors / std[gap]) ** 2)) < 1.6
    assert not std[~gap].any()
    # More observed modalities leave less uncertain.
    one, two = X[:100].copy(), X[:100].copy()
    one[:, 2:] = two[:, 5:] = NAN
    assert (
        fitted.imputation_std(two)[:, 5].mean()
        < fitted.imputation_std(one)[:, 5].mean()
    )


def test_draws_have_the_standard_errors_and_depend_on_the_sample_only(fitted):
    _, X = make_rows(2, 400, rate=0.4)
    gap = np.isnan(X)
    mean, std = fitted.transform(X), fitted.imputation_std(X)
    assert_allclose(fitted.imputation_std(X[7:8]), std[7:8], rtol=1e-8)
    fitted.set_params(sample_posterior=True)
    try:
        draws = fitted.transform(X)
        assert_allclose(fitted.transform(X[7:8]), draws[7:8], rtol=1e-8)
        assert_array_equal(fitted.transform(X), draws)
    finally:
        fitted.set_params(sample_posterior=False)
    assert 0.9 < ((draws - mean)[gap] / std[gap]).std() < 1.1


def test_standard_error_without_any_other_modality_is_the_deviation():
    X, _ = make_rows(0, 60, rate=0)
    X[:30, 5] = X[30:, :5] = NAN
    imputer = make_imputer(max_epochs=1).fit(X)
    assert_allclose(imputer.imputation_std(X)[:30, 5], np.nanstd(X[:, 5]))
