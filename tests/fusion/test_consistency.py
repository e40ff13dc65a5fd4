"""Terms that tie a row's reduced view to its fuller one."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV

from skmissing.fusion import MMPClassifier, MMPRegressor
from skmissing.fusion._consistency import (
    CONSISTENCY,
    Consistency,
    View,
    alignment,
    distillation,
    ranking_gap,
)
from skmissing.fusion._modules import FusionOutput
from skmissing.fusion._net import TaskLoss
from tests.fusion.data import SMALL, make_classifier, make_data, make_regressor

every_kind = pytest.mark.parametrize("kind", sorted(CONSISTENCY))


def make_view(logits, fused=None, loss=None):
    """A view of lists."""
    values = [logits, logits if fused is None else fused, loss or [0.0] * len(logits)]
    return View(*(torch.from_numpy(np.array(v)) for v in values))


def make_mmp(**params):
    """A small, quick classifier with a projector."""
    return MMPClassifier(**{**SMALL, "n_aggregated_tokens": 2, **params})


# -------------------------------------------------------------------------------- terms


def test_ranking_gap_by_hand():
    """Only rows whose loss is larger with more modalities count, and by how much."""
    fuller = make_view([[0.0]] * 3, loss=[1.0, 2.0, 3.0])
    reduced = make_view([[0.0]] * 3, loss=[1.5, 2.0, 0.5])
    assert_allclose(ranking_gap(fuller, reduced, "regression"), [0.0, 0.0, 2.5])


def test_distillation_of_classes_by_hand():
    """Four times the Kullback-Leibler divergence at temperature 2."""
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.5, 0.3])
    fuller, reduced = make_view([2 * np.log(p)]), make_view([2 * np.log(q) + 7.0])
    expected = 4 * np.sum(p * np.log(p / q))
    assert_allclose(distillation(fuller, reduced, "multiclass"), [expected])


def test_distillation_of_labels_by_hand():
    """Each label is a choice of two, and their divergences add up."""
    p, q = np.array([0.7, 0.5]), np.array([0.2, 0.5])
    logits = [2 * np.log(share / (1 - share)) for share in (p, q)]
    fuller, reduced = (make_view([one]) for one in logits)
    expected = 4 * np.sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    assert_allclose(distillation(fuller, reduced, "labels"), [expected])


def test_distillation_of_numbers_by_hand():
    """The squared difference, the mean over targets."""
    fuller, reduced = make_view([[1.0, 2.0]]), make_view([[2.0, 4.0]])
    assert_allclose(distillation(fuller, reduced, "regression"), [2.5])


def test_alignment_by_hand():
    """1 minus the cosine: 0 for the same direction, 1 for a right angle."""
    fuller = make_view([[0.0]] * 3, [[2.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    reduced = make_view([[0.0]] * 3, [[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert_allclose(alignment(fuller, reduced, "regression"), [0.0, 1.0, 2.0])


@pytest.mark.parametrize("term", [distillation, alignment])
def test_fuller_view_is_the_teacher(term):
    """It gets no gradient from what the reduced view has to learn from it."""
    logits = [torch.randn(4, 3, requires_grad=True) for _ in range(2)]
    fuller, reduced = (View(z, z, z.sum(dim=1)) for z in logits)
    term(fuller, reduced, "multiclass").sum().backward()
    assert logits[0].grad is None
    assert logits[1].grad.abs().max() > 0


@every_kind
def test_rows_of_which_nothing_is_hidden_count_as_zero(kind):
    """Dropout makes their views differ, too, but that is not what is tied."""
    generator = torch.Generator().manual_seed(0)
    seen = torch.ones(6, 2, dtype=torch.bool)
    part = seen.clone()
    part[:2, 0] = False
    outputs = []
    for present in (seen, part):
        values = torch.randn(6, 3, generator=generator)
        outputs.append(FusionOutput(values, values, None, present, None))
    target = {"y": torch.zeros(6, dtype=torch.long), "weight": torch.rand(6)}
    criterion = TaskLoss("multiclass")
    terms = Consistency(kind, 3.0).terms(*outputs, target, criterion)
    views = [
        View(o.logits[:2], o.fused[:2], criterion.by_row(o.logits, target["y"])[:2])
        for o in outputs
    ]
    expected = 3.0 * CONSISTENCY[kind](*views, "multiclass").sum() / 6
    assert_allclose(terms["consistency"], expected, rtol=1e-6)
    loss = criterion.by_row(outputs[0].logits, target["y"]) * target["weight"]
    assert_allclose(terms["fuller"], loss.mean(), rtol=1e-6)


# --------------------------------------------------------------------------- estimators


@every_kind
@pytest.mark.parametrize("make", [make_classifier, make_mmp])
def test_classifiers(kind, make):
    """Every kind trains, and the curve is the sum of the terms."""
    X, y = make_data()
    model = make(consistency=kind, max_epochs=10).fit(X, y)
    assert model.score(X, y) > 0.7
    assert {"task", "fuller", "consistency"} <= set(model.loss_terms_)
    assert max(model.loss_terms_["consistency"]) > 0
    total = np.sum(list(model.loss_terms_.values()), axis=0)
    assert_allclose(model.loss_curve_, total, rtol=1e-5)


@every_kind
def test_other_tasks(kind):
    """So do labels and numbers."""
    X, group = make_data()
    labels = np.column_stack([group > 0, group == 1]).astype(int)
    assert make_classifier(consistency=kind).fit(X, labels).score(X, labels) > 0.4
    assert make_regressor(consistency=kind).fit(X, group).score(X, group) > 0.2
    mmp = MMPRegressor(**SMALL, consistency=kind).fit(X, group)
    assert max(mmp.loss_terms_["consistency"]) > 0


def test_weight_brings_the_views_together():
    """Answers from fewer modalities differ less from those from all."""
    X, y = make_data(missing=0.0)
    params = {"consistency": "distill", "max_epochs": 15, "modality_dropout": 1.0}
    gaps = []
    for weight in (1e-6, 5.0):
        model = make_classifier(consistency_weight=weight, **params).fit(X, y)
        gaps.append(np.mean(model.loss_terms_["consistency"][-5:]) / weight)
    assert gaps[1] < 0.8 * gaps[0]


def test_weight_of_none_is_that_of_the_kind():
    """None stands for 0.1, 1 and 0.1."""
    X, y = make_data(40)
    for kind, weight in {"mofe": 0.1, "distill": 1.0, "align": 0.1}.items():
        first = make_classifier(consistency=kind, max_epochs=2).fit(X, y)
        second = make_classifier(
            consistency=kind, consistency_weight=weight, max_epochs=2
        ).fit(X, y)
        assert_array_equal(first.decision_function(X), second.decision_function(X))


def test_validation_is_by_the_task_alone():
    """The second view is for training only."""
    X, y = make_data()
    model = make_classifier(consistency="distill", early_stopping=True).fit(X, y)
    assert model.best_iter_ == 1 + int(np.argmin(model.validation_curve_))


def test_kinds_are_searched():
    """They are parameters like any other."""
    X, y = make_data(60)
    grid = {"consistency": [None, "mofe", "distill", "align"]}
    search = GridSearchCV(make_classifier(max_epochs=2), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    "params, match",
    [
        ({"consistency": "ranking"}, "The 'consistency' parameter of MHSAFusionClass"),
        ({"consistency_weight": -1.0}, "The 'consistency_weight' parameter"),
    ],
)
def test_bad_parameters(params, match):
    """A bad parameter is named."""
    X, y = make_data(30)
    with pytest.raises(ValueError, match=match):
        make_classifier(**params).fit(X, y)
