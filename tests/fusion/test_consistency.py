"""Consistency of the views of more and of fewer modalities, in the estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV

from skmissing.fusion import MMPClassifier, MMPRegressor
from skmissing.fusion._training import CONSISTENCY_WEIGHTS
from tests.fusion.data import SMALL, make_classifier, make_data, make_regressor

every_kind = pytest.mark.parametrize("kind", sorted(CONSISTENCY_WEIGHTS))


def make_mmp(**params):
    return MMPClassifier(**{**SMALL, **params})


@every_kind
@pytest.mark.parametrize("make", [make_classifier, make_mmp])
def test_classifiers(kind, make):
    X, y = make_data()
    model = make(criterion__consistency=kind, max_epochs=10).fit(X, y)
    assert model.score(X, y) > 0.7
    assert {"task", "fuller", "consistency"} <= set(model.loss_terms_)
    assert max(model.loss_terms_["consistency"]) > 0
    total = np.sum(list(model.loss_terms_.values()), axis=0)
    assert_allclose(model.loss_curve_, total, rtol=1e-5)


@every_kind
def test_other_tasks(kind):
    X, group = make_data()
    labels = np.column_stack([group > 0, group == 1]).astype(int)
    assert (
        make_classifier(criterion__consistency=kind).fit(X, labels).score(X, labels)
        > 0.4
    )
    assert (
        make_regressor(criterion__consistency=kind).fit(X, group).score(X, group) > 0.2
    )
    mmp = MMPRegressor(**SMALL, criterion__consistency=kind).fit(X, group)
    assert max(mmp.loss_terms_["consistency"]) > 0


def test_weight_brings_the_views_together():
    X, y = make_data(missing=0.0)
    params = {
        "criterion__consistency": "distill",
        "max_epochs": 15,
        "modality_dropout": 1.0,
    }
    gaps = []
    for weight in (1e-6, 5.0):
        model = make_classifier(criterion__consistency_weight=weight, **params).fit(
            X, y
        )
        gaps.append(np.mean(model.loss_terms_["consistency"][-5:]) / weight)
    assert gaps[1] < 0.8 * gaps[0]


def test_weight_of_none_is_that_of_the_kind():
    X, y = make_data(40)
    for kind, weight in {"mofe": 0.1, "distill": 1.0, "align": 0.1}.items():
        first = make_classifier(criterion__consistency=kind, max_epochs=2).fit(X, y)
        second = make_classifier(
            criterion__consistency=kind,
            criterion__consistency_weight=weight,
            max_epochs=2,
        ).fit(X, y)
        assert_array_equal(first.decision_function(X), second.decision_function(X))


def test_validation_is_by_the_task_alone():
    X, y = make_data()
    model = make_classifier(criterion__consistency="distill", early_stopping=True).fit(
        X, y
    )
    assert model.best_iter_ == 1 + int(np.argmin(model.validation_curve_))


def test_kinds_are_searched():
    X, y = make_data(60)
    grid = {"criterion__consistency": [None, "mofe", "distill", "align"]}
    search = GridSearchCV(make_classifier(max_epochs=2), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    "params, match",
    [
        (
            {"criterion__consistency": "ranking"},
            "criterion__consistency must be None or one of",
        ),
        (
            {"criterion__consistency_weight": -1.0},
            "criterion__consistency_weight must be",
        ),
    ],
)
def test_bad_parameters(params, match):
    X, y = make_data(30)
    with pytest.raises(ValueError, match=match):
        make_classifier(**params).fit(X, y)
