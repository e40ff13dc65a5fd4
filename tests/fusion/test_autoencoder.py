"""AutoencoderImputer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

from skmissing import ModalityWarning
from skmissing.fusion import AutoencoderImputer

WIDTHS = [2, 3, 1]
COLUMNS = slice(0, 2), slice(2, 5), slice(5, 6)
NAN = np.nan


def make_rows(seed, n, rate):
    """Six columns of two factors, with modalities missing."""
    rng = np.random.RandomState(seed)
    loadings = np.random.RandomState(9).standard_normal((2, 6))
    X = rng.standard_normal((n, 2)) @ loadings + 0.1 * rng.standard_normal((n, 6))
    keep = rng.uniform(size=(n, 3)) >= rate
    keep[np.arange(n), rng.randint(3, size=n)] = True
    return X, np.where(np.repeat(keep, WIDTHS, axis=1), X, NAN)


def make_imputer(**params):
    params = {"modalities": WIDTHS, "n_blocks": 2, "random_state": 0, **params}
    return AutoencoderImputer((16, 8), lr=1e-2, device="cpu", **params)


def test_cascade_by_loops():
    """Each block adds its output; it sees the sample so far and the mask."""
    _, X = make_rows(0, 40, rate=0.4)
    order = [5, 0, 1, 2, 3, 4]
    layout = {"c": [5], "a": [0, 1], "b": [2, 3, 4]}
    imputer = make_imputer(modalities=layout, max_epochs=2).fit(X)
    mean, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    weights = imputer._weights
    for row, filled in zip(X, imputer.transform(X)):
        z = np.nan_to_num((row - mean) / scale)[order]
        mask = ~np.isnan(row[[5, 0, 2]])
        for block in range(2):
            h = np.concatenate([z, mask])
            for layer in (0, 2, 4, 6):
                name = f"blocks.{block}.{layer}"
                h = weights[f"{name}.weight"] @ h + weights[f"{name}.bias"]
                if layer < 6:
                    h = h * (1 + erf(h / np.sqrt(2))) / 2
            z = z + h
        made = np.empty(6)
        made[order] = z
        expected = np.where(np.isnan(row), mean + scale * made, row)
        assert_allclose(filled, expected, rtol=1e-5, atol=1e-5)


def test_loss_by_hand():
    """Squared errors of observed cells. Modalities count equally, not columns."""
    _, X = make_rows(0, 40, rate=0.4)
    imputer = make_imputer(max_epochs=1, modality_dropout=0).set_params(lr=1e-12)
    imputer.fit(X)  # the weights stay as they were drawn
    table = imputer._validate(X, reset=False)
    made = imputer._compute(table, imputer._decode) / np.nanstd(X, axis=0)
    z = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    means = [np.nan_to_num(((made - z) ** 2)[:, c]).mean(axis=1) for c in COLUMNS]
    assert_allclose(imputer.loss_curve_, [np.sum(means) / 2 / 40], rtol=1e-5)


def test_incomplete_training_samples_are_enough_for_small_errors():
    _, train = make_rows(0, 300, rate=0.4)
    X, hidden = make_rows(1, 100, rate=0.4)
    gap = np.isnan(hidden)
    imputer = make_imputer(max_epochs=40).fit(train)
    error = np.mean((imputer.transform(hidden) - X)[gap] ** 2)
    assert error < 0.4 * np.mean((np.nanmean(train, axis=0) - X)[gap] ** 2)
    assert imputer.loss_curve_[-1] < 0.3 * imputer.loss_curve_[0]
    assert_array_equal(imputer.transform(hidden)[~gap], hidden[~gap])


def test_hiding_in_training_is_what_teaches_complete_samples_to_impute():
    train, _ = make_rows(0, 300, rate=0)
    X, hidden = make_rows(1, 100, rate=0.6)
    errors = []
    for dropout in (0.0, 0.5):
        imputer = make_imputer(modality_dropout=dropout, max_epochs=20).fit(train)
        errors.append(np.mean((imputer.transform(hidden) - X) ** 2))
    assert errors[1] < 0.5 * errors[0]


def test_modalities_that_were_never_together_are_imputed_with_the_mean():
    X, _ = make_rows(0, 60, rate=0)
    X[:30, 5] = X[30:, :5] = NAN
    imputer = make_imputer(max_epochs=1).fit(X)
    with pytest.warns(UserWarning, match="60 of 60 samples have missing cells that no"):
        filled = imputer.transform(X)
    assert_allclose(filled[:30, 5], imputer.statistics_[5])


@pytest.mark.parametrize("dims", [(), (8, 0), (8, 2.5)])
def test_hidden_dims_must_be_positive_integers(dims):
    _, X = make_rows(0, 20, rate=0.3)
    with pytest.raises(ValueError, match="hidden_dims must be one or more positive"):
        make_imputer().set_params(hidden_dims=dims).fit(X)


def test_x_without_an_observed_cell():
    error = pytest.raises(ValueError, match="must have an observed cell; got none")
    with pytest.warns(ModalityWarning), error:
        make_imputer().fit(np.full((3, 6), NAN))


def test_divergence_raises():
    _, X = make_rows(0, 20, rate=0.3)
    with pytest.raises(ValueError, match=r"Training diverged: .* smaller lr than 1e\+"):
        make_imputer(max_epochs=5).set_params(lr=1e30).fit(X)
