"""Scale of weights, used-up folds, and parameters that change after `fit`."""

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB

from skmissing.ensemble import (
    LateFusionClassifier,
    LateFusionRegressor,
    PatternClassifier,
    PatternRegressor,
)
from skmissing.ensemble._experts import at_least_one_each


def answers(model, X):
    """Probabilities or numbers."""
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def unseen_class(small_multimodal):
    """The usual rows; no row of class 2 has the first modality."""
    X, y, widths = small_multimodal
    X[y == 2, :2] = np.nan
    rows = ~np.isnan(X).all(axis=1)
    return X[rows], y[rows], widths


@pytest.mark.parametrize("scale", [1e-300, 1 / 60, 0.5])
@pytest.mark.parametrize(
    "model",
    [
        LateFusionClassifier(GaussianNB()),
        LateFusionClassifier(combine="mean"),
        LateFusionRegressor(LinearRegression()),
        LateFusionRegressor(),
        PatternClassifier(min_rows=5),
        PatternRegressor(min_rows=5),
    ],
)
def test_equal_weights_below_one_are_no_weights(model, scale, small_multimodal):
    """Weights that add up to 1, say, leave neither the prior nor the penalty alone."""
    X, y, widths = unseen_class(small_multimodal)
    model = model.set_params(modalities=widths, cv=2)
    expected = answers(clone(model).fit(X, y), X)
    weighted = clone(model).fit(X, y, sample_weight=np.full(len(y), scale))
    np.testing.assert_allclose(answers(weighted, X), expected, rtol=1e-3, atol=1e-4)


def test_weights_of_repetitions_stay_as_they_are():
    """Only a mean below 1 is scaled, to 1; the ratios stay."""
    for weight in ([1.0, 1.0], [1.0, 2.0], [0.5, 3.0]):
        np.testing.assert_array_equal(at_least_one_each(np.array(weight)), weight)
    np.testing.assert_allclose(at_least_one_each(np.array([0.1, 0.3])), [0.5, 1.5])


@pytest.mark.parametrize("cls", [LateFusionClassifier, PatternRegressor])
def test_generator_of_folds_serves_one_fit(cls, small_multimodal):
    """The second one is refused, instead of going on without any folds."""
    X, y, widths = small_multimodal
    model = cls(modalities=widths, cv=KFold(3).split(X)).fit(X, y)
    with pytest.raises(ValueError, match="generator .* gives no folds.*pass a list"):
        model.fit(X, y)


@pytest.mark.parametrize("after", ["stacked", "variance", "log", "mean"])
@pytest.mark.parametrize("before", ["stacked", "variance", "log", "mean"])
def test_predictions_follow_what_was_fitted(before, after, small_multimodal):
    """A rule that is set after fit waits for the next fit, for which it counts."""
    X, y, widths = small_multimodal
    classes = {LateFusionClassifier: "log", LateFusionRegressor: "variance"}
    for cls, other in classes.items():
        if {before, after} <= {"stacked", "mean", other}:
            model = cls(modalities=widths, combine=before, cv=2).fit(X, y)
            expected = answers(model, X)
            np.testing.assert_array_equal(
                answers(model.set_params(combine=after), X), expected
            )
            fresh = answers(clone(model).fit(X, y), X)
            np.testing.assert_array_equal(answers(model.fit(X, y), X), fresh)
