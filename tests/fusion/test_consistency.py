"""Consistency of the views of more and of fewer modalities, in the estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmissing.fusion import MMPRegressor
from skmissing.fusion._training import CONSISTENCY_WEIGHTS

from .data import make_classifier, make_data, make_mmp, make_regressor

every_kind = pytest.mark.parametrize("kind", sorted(CONSISTENCY_WEIGHTS))


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
    params = {"criterion__consistency": kind}
    assert make_classifier(**params).fit(X, labels).score(X, labels) > 0.4
    assert make_regressor(**params).fit(X, group).score(X, group) > 0.2
    mmp = make_mmp(MMPRegressor, **params, max_epochs=2).fit(X, group)
    assert max(mmp.loss_terms_["consistency"]) > 0


@pytest.mark.parametrize("kind", ["align", "distill"])
def test_weight_brings_the_views_together(kind):
    X, y = make_data(missing=0.0)
    X -= 1.5 * y[:, None]  # classes overlap
    params = {"criterion__consistency": kind, "modality_dropout": 1.0}
    gaps = []
    for weight in (1e-6, 5.0):
        params["criterion__consistency_weight"] = weight
        model = make_classifier(max_epochs=10, **params).fit(X, y)
        gaps.append(np.mean(model.loss_terms_["consistency"][-5:]) / weight)
    assert gaps[1] < 0.5 * gaps[0]


def test_weight_of_none_is_that_of_the_kind():
    X, y = make_data(40)
    for kind, weight in {"ranking": 0.1, "distill": 1.0, "align": 0.1}.items():
        first = make_classifier(criterion__consistency=kind, max_epochs=2).fit(X, y)
        second = clone(first).set_params(criterion__consistency_weight=weight).fit(X, y)
        assert_array_equal(first.decision_function(X), second.decision_function(X))


def test_validation_is_by_the_task_alone():
    X, y = make_data()
    model = make_classifier(criterion__consistency="distill", early_stopping=True)
    model.fit(X, y)
    assert model.best_iter_ == 1 + int(np.argmin(model.validation_curve_))
