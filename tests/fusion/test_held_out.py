"""The rows that early stopping holds out, and rows and classes that do not count."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.fusion import MMPClassifier
from skmissing.fusion._training import name_rarest, split_samples

from .data import SMALL, make_classifier, make_data, make_regressor, warns

RARE = np.repeat([0, 1, 2], [116, 2, 2])
EARLY = {"early_stopping": True, "n_iter_no_change": 99, "validation_fraction": 0.3}


def find_held_out(maker, X, y):
    found = []

    def scorer(model, X_valid, y_valid):
        found.append(X_valid[:, 0])
        return 0.0

    maker(**EARLY, scoring=scorer, modality_dropout=0).fit(X, y)
    return np.flatnonzero(np.isin(X[:, 0], found[0]))


@pytest.mark.parametrize("maker", [make_classifier, make_regressor])
def test_nothing_is_learnt_from_rows_held_out(maker):
    """Their X, their weight and, in regression, their y change no training loss."""
    X, y = make_data(60, missing=0.0)
    held_out = find_held_out(maker, X, y)
    assert len(held_out) == 18
    weight = np.linspace(1, 2, 60)
    first = maker(**EARLY).fit(X, y, sample_weight=weight)
    X, y, weight = X.copy(), y.astype(float), weight.copy()
    X[held_out] *= 50
    weight[held_out] = 9.0
    if maker is make_regressor:
        y[held_out] += 1000
    second = maker(**EARLY).fit(X, y, sample_weight=weight)
    assert second.loss_curve_ == first.loss_curve_
    assert second.validation_curve_ != first.validation_curve_
    with warns("1 of 1 samples have no observed modality"):
        nothing = first.predict(np.full((1, 9), np.nan))
    with warns("1 of 1 samples have no observed modality"):
        assert_array_equal(second.predict(np.full((1, 9), np.nan)), nothing)


def test_modality_that_only_rows_held_out_have():
    X, y = make_data(60, missing=0.0)
    held_out = find_held_out(make_classifier, X, y)
    X[np.setdiff1d(np.arange(60), held_out), 5:] = np.nan
    shown = []

    def scorer(model, X_valid, y_valid):
        shown.append(X_valid)
        return 0.0

    model = make_classifier(**EARLY, scoring=scorer)
    model.set_params(early_stopping=np.True_)  # as in a search over an array
    with warns("'modality2'; validation samples do not count"):
        model.fit(X, y)
    assert np.isnan(shown[0][:, 5:]).all() and not np.isnan(shown[0]).all()


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.95])
def test_split_leaves_every_class_on_both_sides(seed, fraction):
    labels = np.random.RandomState(seed).permutation(RARE)
    train, valid = split_samples(120, labels, np.arange(3), fraction, seed)
    assert_array_equal(np.sort(np.append(train, valid)), np.arange(120))
    assert set(labels[train]) == set(labels[valid]) == {0, 1, 2}
    assert abs(len(valid) - max(120 * fraction, 3)) <= 2


def test_split_of_even_classes_is_exact():
    labels = np.arange(90) % 3
    _, valid = split_samples(90, labels, np.arange(3), 0.2, 0)
    assert_array_equal(np.bincount(labels[valid]), [6, 6, 6])


@pytest.mark.parametrize(
    "scoring", ["neg_log_loss", "roc_auc_ovr", "top_k_accuracy", "balanced_accuracy"]
)
def test_rare_classes_are_scored(scoring):
    X = make_data(120)[0]
    model = make_classifier(early_stopping=True, scoring=scoring, max_epochs=2)
    assert np.isfinite(model.fit(X, RARE).validation_curve_).all()


def test_too_few_rows_to_split():
    X, y = make_data(6)
    match = r"=0.7 of 6 samples leaves 1 for training; .* 3, .*: \{0: 2, 1: 2, 2: 2\}"
    with pytest.raises(ValueError, match=match):
        make_classifier(early_stopping=True, validation_fraction=0.7).fit(X, y)
    with pytest.raises(
        ValueError, match="of 1 sample leaves 0 .* must leave at least 1"
    ):
        make_regressor(early_stopping=True).fit(X[:1], y[:1])
    assert name_rarest(np.arange(7), np.arange(7)[::-1]).endswith("2 classes more")


@pytest.mark.parametrize("labels", [1, 2])
def test_balanced_weights_count_the_rows_used(labels):
    X, y = make_data(60)
    y = np.eye(3, dtype=int)[y][:, :2] if labels == 2 else np.minimum(y, 1)
    empty = np.vstack([X, np.full((25, 9), np.nan)])
    first = make_classifier(class_weight="balanced").fit(X, y)
    with warns("25 of 85 samples have no observed modality"):
        second = make_classifier(class_weight="balanced").fit(
            empty, np.concatenate([y, y[[0] * 25]])
        )
    assert_allclose(second.predict_proba(X), first.predict_proba(X), atol=1e-12)
    plain = make_classifier().fit(X, y)
    assert np.abs(plain.predict_proba(X) - first.predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize("early_stopping", [False, True])
def test_class_of_weight_zero(early_stopping):
    X, y = make_data(60)
    names = np.array(["a", "b", "c"])[y]
    weight = (y != 1).astype(float)
    model = make_classifier(early_stopping=early_stopping, max_epochs=30)
    with warns("1 of 3 classes have no sample .* 'b'; all"):
        model.fit(X, names, sample_weight=weight)
    assert_array_equal(model.classes_, ["a", "b", "c"])
    rows = X[y != 1]
    proba = model.predict_proba(rows)
    assert proba.shape == (40, 3) and proba[:, 1].max() < 0.05
    assert set(model.predict(rows)) == {"a", "c"}
    X[y == 1] = np.arange(X.shape[1])
    with warns("1 of 3 classes have no sample"):
        model.fit(X, names, sample_weight=weight)
    assert_array_equal(model.predict_proba(rows), proba)
    with warns("1 of 1 samples have no observed modality"):
        prior = model.decision_function(np.full((1, 9), np.nan))
    assert_allclose(prior, np.log([[0.5, 1e-9, 0.5]]))


@pytest.mark.filterwarnings("ignore:MHSAFusionClassifier. 20 of 60 samples have no")
def test_class_without_any_modality():
    X, y = make_data(60)
    X[y == 1] = np.nan
    with warns("1 of 3 classes have no sample .* '1'; all"):
        model = make_classifier().fit(X, y)
    prior = model.predict_proba(X)[1]
    assert_allclose(prior, [1 / 3] * 3)


def test_one_class_of_positive_weight():
    X, y = make_data(60)
    with pytest.raises(ValueError, match="one class, .*0.* in the samples of pos"):
        make_classifier().fit(X, y, sample_weight=(y == 0).astype(float))


@pytest.mark.parametrize(
    "scoring, match",
    [
        (
            "neg_max_error",
            r"'neg_max_error' failed on the 24 validation samples, which have targets "
            r"from 0 to 2: .*sample_weight.*get sample_weight if fit did",
        ),
        (lambda *_: -np.inf, "must return a finite number; got -inf for the 24 val"),
        (lambda *_: None, "scoring=<function .* failed on the 24 .*'NoneType'"),
    ],
)
def test_scorer_that_gives_no_number(scoring, match):
    X, y = make_data(80)
    weight = np.linspace(1, 2, 80)
    with pytest.raises(ValueError, match=match):
        make_regressor(**EARLY, scoring=scoring).fit(X, y, sample_weight=weight)


def test_scorer_that_fails_on_classes_and_labels():
    X, y = make_data(80)

    def scorer(model, X_valid, y_valid):
        raise KeyError("nothing")

    match = r"24 .*, which have samples per class \{0: 8, 1: 8, 2: 8\}: 'nothing'"
    with pytest.raises(ValueError, match=match):
        make_classifier(**EARLY, scoring=scorer).fit(X, y)
    match = "24 validation samples, which have samples per label {0: "
    with pytest.raises(ValueError, match=match):
        make_classifier(**EARLY, scoring=scorer).fit(X, np.eye(3, dtype=int)[y])


def test_projection_follows_the_fit():
    X, y = make_data(30)
    params = {**SMALL, "max_epochs": 1}
    model = MMPClassifier(**params, projector="linear").fit(X, y)
    expected = model.project(X)
    model.set_params(projector="none")
    assert_array_equal(model.project(X)["modality0"], expected["modality0"])
    model = MMPClassifier(**params, projector="none").fit(X, y)
    model.set_params(projector="linear")
    with pytest.raises(AttributeError, match="'project'"):
        model.project(X)
    assert hasattr(MMPClassifier(projector="linear"), "project")
