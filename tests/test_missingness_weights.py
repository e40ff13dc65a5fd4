"""Weights against known probabilities, and importances with weights."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from skmissing import LateFusionClassifier, ModalityWarning
from skmissing.conformal import missingness_weights
from skmissing.inspection import modality_importance, robustness_curve

LAYOUT = {"age": 1, "assay": 2, "scan": 1}


@pytest.fixture(scope="module")
def selective():
    """X in which the assay and the scan are measured by age, and probabilities."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((4000, 4))
    X[:, 1:] += X[:, :1]
    proba = 1 / (1 + np.exp(-np.column_stack([X[:, 0], 1 - X[:, 0]])))
    has = rng.uniform(size=proba.shape) < proba
    hidden = X.copy()
    hidden[~has[:, 0], 1:3] = np.nan
    hidden[~has[:, 1], 3] = np.nan
    return X, hidden, has, proba


@pytest.mark.parametrize(
    ("observed", "used"), [(["assay"], [0]), ("scan", [1]), (["assay", "age"], [0])]
)
def test_weights_are_those_of_the_true_probabilities(selective, observed, used):
    X, hidden, has, proba = selective
    weights = missingness_weights(hidden, modalities=LAYOUT, observed=observed)
    rows = has[:, used].all(axis=1)
    expected = rows.mean() / proba[rows][:, used].prod(axis=1)
    assert (weights[~rows] == 0).all()
    assert_allclose(np.log(weights[rows]), np.log(expected), atol=0.25)
    assert weights[rows].mean() == pytest.approx(1, abs=0.05)
    for column in range(4):
        plain = X[rows, column].mean() - X[:, column].mean()
        corrected = np.average(X[:, column], weights=weights) - X[:, column].mean()
        assert abs(corrected) < 0.05 < abs(plain)


def test_all_modalities_must_be_observed_by_default(selective):
    _, hidden, has, _ = selective
    weights = missingness_weights(hidden, modalities=LAYOUT)
    assert_array_equal(weights > 0, has.all(axis=1))
    named = missingness_weights(hidden, modalities=LAYOUT, observed=["assay", "scan"])
    assert_array_equal(weights, named)
    age = missingness_weights(hidden, modalities=LAYOUT, covariates=hidden[:, :1])
    assert_array_equal(weights, age)


class Frequency(ClassifierMixin, BaseEstimator):
    """Predicts the frequencies of training."""

    def fit(self, Z, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.proba_ = counts / len(y)
        return self

    def predict(self, Z):
        return np.zeros(len(Z), dtype=int)

    def predict_proba(self, Z):
        return np.tile(self.proba_, (len(Z), 1))


def test_probabilities_are_of_models_of_other_samples():
    X = np.column_stack([np.arange(6.0), [1, 1, 1, np.nan, 1, np.nan]])
    weights = missingness_weights(X, estimator=Frequency(), cv=KFold(3))
    # In the training samples of the folds, 2 of 4, 3 of 4 and 3 of 4 are complete.
    expected = 4 / 6 / np.array([0.5, 0.5, 0.75, np.inf, 0.75, np.inf])
    assert_allclose(weights, expected)


def test_complete_samples_have_equal_weights(selective):
    X = selective[0]
    assert_array_equal(missingness_weights(X, modalities=LAYOUT), np.ones(len(X)))
    hidden = selective[1]
    only = missingness_weights(hidden, modalities=LAYOUT, observed="age")
    assert_array_equal(only, np.ones(len(X)))


def test_clipped_probabilities_are_warned_of(selective):
    X, hidden, has, _ = selective
    model = LogisticRegression()
    full = missingness_weights(
        hidden, modalities=LAYOUT, observed="assay", estimator=model
    )
    highest = has[:, 0].mean() / 0.3
    n_rare = (full > highest).sum()
    match = f"{n_rare} of {has[:, 0].sum()} samples .* less than clip=0.3"
    with pytest.warns(ModalityWarning, match=match) as found:
        clipped = missingness_weights(
            hidden, modalities=LAYOUT, observed="assay", estimator=model, clip=0.3
        )
    assert_allclose(clipped, np.minimum(full, highest))
    assert len(found) == 1 and found[0].filename == __file__


class Sure(BaseEstimator):
    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"X": [[1.0, np.nan]] * 6},
            "X must have samples with all of 'x0', 'x1'; got none",
        ),
        ({"X": [[1, np.nan], [np.nan, 1], [1, 1]]}, "covariates must be given if no"),
        ({"X": [[1.0, 2.0], [3.0, np.nan]]}, r"cv=5 must be .* \(1\) and of .* \(1\)"),
        ({"observed": ["x9"]}, "observed must name modalities of X.*; got 'x9'"),
        ({"observed": []}, "observed must name at least one modality"),
        ({"covariates": [[1.0]] * 3}, r"as many samples as X \(6\); got 3"),
        ({"covariates": [[np.inf]] * 6}, "covariates contains infinity"),
        ({"covariates": np.arange(6)}, r"covariates must have the shape .* \(6,\)"),
        ({"covariates": [["a"]] * 6}, "covariates must be numbers: .*Encode words"),
        ({"covariates": [[np.nan]] * 6}, "covariates must have no missing .* 6 of 6"),
        ({"cv": [([0, 1, 2], [3, 4])]}, "cv must hold out each of the 6 samples once"),
        ({"cv": []}, "cv must hold out each of the 6 samples once; got 0 folds"),
        ({"cv": [([0, 2], [1, 3, 4, 5]), ([1], [0, 2])]}, "a fold with 2 and 0"),
        ({"cv": 2, "estimator": Sure()}, "The probabilities of Sure must add up to 1"),
        ({"clip": 0}, "clip"),
        ({"estimator": KFold()}, "estimator"),
    ],
)
def test_bad_input(changes, match):
    X = np.column_stack([np.arange(6.0), [1, np.nan, 2, np.nan, 3, np.nan]])
    with pytest.raises(ValueError, match=match):
        missingness_weights(**({"X": X} | changes))


def test_names_must_be_a_list():
    with pytest.raises(TypeError, match="observed must be a list of names .*; got 3"):
        missingness_weights([[1.0, np.nan], [2.0, 3.0]], observed=3)


def test_masked_covariates_are_missing():
    X = np.column_stack([np.arange(6.0), [1, np.nan, 2, np.nan, 3, np.nan]])
    covariates = np.ma.masked_less(X[:, :1], 2)
    with pytest.raises(ValueError, match="covariates must have no missing .* 2 of 6"):
        missingness_weights(X, covariates=covariates, cv=2)


def test_importance_with_weights_is_that_of_all_samples():
    """The assay is informative in old persons, in whom it is measured more often."""
    rng = np.random.RandomState(0)
    age, y = rng.standard_normal(6000), rng.randint(2, size=6000)
    assay = rng.standard_normal(6000) + 2 * y * (age > 0)
    scan = rng.standard_normal(6000) + y
    X = np.column_stack([age, assay, scan])
    model = LateFusionClassifier("linear", modalities=[1, 1, 1]).fit(X[:3000], y[:3000])
    X, y, age = X[3000:], y[3000:], age[3000:]
    hidden = X.copy()
    hidden[rng.uniform(size=3000) > 1 / (1 + np.exp(-1.5 * age)), 1] = np.nan
    has = ~np.isnan(hidden[:, 1])
    truth, plain, weighted = (
        modality_importance(model, *given, sample_weight=weight, n_bootstraps=0)
        for *given, weight in (
            (X, y, None),
            (X[has], y[has], None),
            (hidden, y, missingness_weights(hidden)),
        )
    )
    errors = [abs(r.importance[1] - truth.importance[1]) for r in (plain, weighted)]
    assert errors[1] < 0.02 < 0.03 < errors[0]


def test_scores_with_weights_are_those_of_repeated_samples(small_multimodal):
    X, y, widths = small_multimodal
    model = LateFusionClassifier("linear", modalities=widths, cv=2).fit(X, y)
    weight = np.random.RandomState(0).randint(3, size=len(y))
    several = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    weighted, repeated = (
        modality_importance(model, *given, sample_weight=w, n_bootstraps=0)
        for *given, w in ((X, y, weight), (*several, None))
    )
    assert_allclose(weighted.importance, repeated.importance)
    kept = {"hide": "each", "rates": [0, 1], "n_repeats": 1, "random_state": 0}
    X = np.where(np.isnan(X), 0.0, X)
    several = np.repeat(X, weight, axis=0), several[1]
    curves = [
        robustness_curve(model, *given, sample_weight=w, **kept)
        for *given, w in ((X, y, weight), (*several, None))
    ]
    assert_allclose(curves[0].score, curves[1].score)
