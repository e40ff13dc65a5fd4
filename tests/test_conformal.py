"""Conformal sets and intervals per pattern, against loops and ordinary methods."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skmissing import ModalityWarning
from skmissing.compose import scan_table
from skmissing.conformal import (
    PatternConformalClassifier,
    PatternConformalRegressor,
    coverage_by_pattern,
)
from skmissing.conformal._quantiles import (
    class_scores,
    count_needed,
    reduce_pattern,
    upper_bounds,
)
from skmissing.ensemble import LateFusionClassifier

from .estimators import make_imputing
from .test_sources import memmap

LAYOUT = {"a": 2, "b": 2}
LOGISTIC = make_imputing(LogisticRegression(max_iter=1000))
RIDGE = make_imputing(Ridge())


def flowers(missing=True, n_samples=150, seed=0):
    """Noisy iris in random order, whose halves are missing in thirds of the samples."""
    rng = np.random.RandomState(seed)
    X, y = load_iris(return_X_y=True)
    rows = rng.randint(150, size=n_samples)
    X = X[rows] + rng.standard_normal((n_samples, 4))
    if missing:
        X[::3, :2] = X[1::3, 2:] = np.nan
    return X, y[rows]


def sugars(missing=True):
    X, y = load_diabetes(return_X_y=True)
    X = X[:, :4].copy()
    if missing:
        X[::3, :2] = X[1::3, 2:] = np.nan
    return X, y


def classifier(estimator=LOGISTIC, **params):
    return PatternConformalClassifier(estimator, **{"modalities": LAYOUT, **params})


def regressor(estimator=RIDGE, **params):
    return PatternConformalRegressor(estimator, **{"modalities": LAYOUT, **params})


# ------------------------------------------------------------------ ordinary methods


@pytest.mark.parametrize("level, needed", [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_number_needed(level, needed):
    """The rank of the quantile is at most the number of samples."""
    assert count_needed(level) == needed
    assert np.ceil(level * (needed + 1) - 1e-9) <= needed
    assert np.ceil(level * needed - 1e-9) > needed - 1


def test_scores_of_classes():
    proba = np.array([[0.2, 0.5, 0.3]])
    assert_allclose(class_scores(proba, "lac"), [[0.8, 0.5, 0.7]])
    assert_allclose(class_scores(proba, "aps"), [[1.0, 0.5, 0.8]])
    assert_allclose(class_scores(proba, "raps"), [[1.2, 0.5, 0.9]])


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_complete_samples_are_split_conformal(method, level):
    """A loop over calibration samples, as in the textbook."""
    X, y = flowers(missing=False)
    model = clone(LOGISTIC).fit(X[:50], y[:50])
    conformal = classifier(model, cv="prefit", method=method, confidence=level).fit(
        X[50:100], y[50:100]
    )
    scores = class_scores(model.predict_proba(X[50:]), method)
    known = sorted(s[c] for s, c in zip(scores[:50], y[50:]))
    threshold = known[int(np.ceil(round(level * 51, 9))) - 1]
    expected = scores[50:] <= threshold
    if method != "lac":
        first = scores[50:] == scores[50:].min(axis=1, keepdims=True)
        expected |= first & ~expected.any(axis=1, keepdims=True)
    assert_array_equal(conformal.predict_set(X[100:]), expected)


@pytest.mark.parametrize("method", ["aps", "raps"])
def test_sets_of_sure_samples_are_not_empty(method):
    """Their most probable class has a higher score than most true classes."""
    X, y = flowers(n_samples=300)
    params = {"confidence": 0.5, "min_samples": 20, "cv": 3}
    conformal = classifier(method=method, **params).fit(X, y)
    sets = conformal.predict_set(X)
    assert sets.any(axis=1).all()
    assert not classifier(**params).fit(X, y).predict_set(X).any(axis=1).all()
    best = conformal.predict_proba(X).argmax(axis=1)
    sure = conformal.predict_proba(X).max(axis=1) > 0.99
    assert sure.any()
    assert_array_equal(sets[sure].argmax(axis=1), best[sure])


@pytest.mark.parametrize("patterns", ["mondrian", "nested", "weighted"])
def test_each_pattern_has_its_own_quantile(patterns):
    """With exact patterns or reduced samples, by a loop over patterns."""
    X, y = flowers(n_samples=300)
    model = clone(LOGISTIC).fit(X[:100], y[:100])
    conformal = classifier(model, cv="prefit", patterns=patterns, min_samples=10)
    conformal.fit(X[100:200], y[100:200])
    sets = conformal.predict_set(X[200:])
    has = ~np.isnan(X[:, [0, 2]])
    for pattern in ([True, True], [True, False], [False, True]):
        exact = (has[100:200] == pattern).all(axis=1)
        rows = (
            exact if patterns == "mondrian" else (has[100:200] >= pattern).all(axis=1)
        )
        held_out = np.where(np.repeat(pattern, 2), X[100:200][rows], np.nan)
        scores = 1 - model.predict_proba(held_out)
        scores = scores[np.arange(rows.sum()), y[100:200][rows]]
        test = (has[200:] == pattern).all(axis=1)
        found = 1 - model.predict_proba(X[200:][test])
        weight, own = np.ones(rows.sum()), np.ones(test.sum())
        if patterns == "weighted" and not all(pattern):
            (record,) = [r for r in conformal._records if (r.pattern == pattern).all()]
            # The held-out weights are those of the scores, in their order.
            order = np.argsort(np.round(scores, 10), kind="stable")
            weight[order] = record.weight
            assert np.ptp(weight) > 0
            columns = np.repeat(pattern, 2)
            own = record.weigher.predict_proba(X[200:][test][:, columns])[:, 1]
        for s, w, chosen in zip(found, own, sets[test]):
            below = [weight[scores < value - 1e-9].sum() for value in s]
            assert_array_equal(chosen, below < 0.9 * (weight.sum() + w) - 1e-6)


@pytest.mark.parametrize("cv", [KFold(3), LeaveOneOut()], ids=["CV+", "jackknife+"])
def test_folds_are_combined_as_in_the_papers(cv):
    X, y = sugars(missing=False)
    X, y, new = X[:40], y[:40], X[40:50]
    conformal = regressor(LinearRegression(), modalities=[4], cv=cv).fit(X, y)
    low, high = [], []
    for train, test in cv.split(X):
        model = LinearRegression().fit(X[train], y[train])
        for i in test:
            residual = abs(y[i] - model.predict(X[[i]])[0])
            low.append(model.predict(new) - residual)
            high.append(model.predict(new) + residual)
    rank = int(np.ceil(0.9 * 41)) - 1
    expected = -np.sort(-np.array(low), axis=0)[rank], np.sort(high, axis=0)[rank]
    assert_allclose(conformal.predict_interval(new).T, expected)
    assert_allclose(conformal.predict(new), LinearRegression().fit(X, y).predict(new))


def test_folds_of_a_classifier_are_combined():
    X, y = flowers(missing=False)
    conformal = classifier(cv=KFold(3)).fit(X[:60], y[:60])
    below = np.zeros((90, 3))
    for train, test in KFold(3).split(X[:60]):
        model = clone(LOGISTIC).fit(X[train], y[train])
        known = 1 - model.predict_proba(X[test])[np.arange(len(test)), y[test]]
        below += (known < (1 - model.predict_proba(X[60:]))[:, :, None]).sum(axis=2)
    assert_array_equal(conformal.predict_set(X[60:]), below < 0.9 * 61)


def test_one_fold_is_the_shortcut_of_several():
    rng = np.random.RandomState(0)
    centre, scale = rng.standard_normal((2, 1, 7))
    scores, weight = np.sort(rng.standard_normal(20)), rng.uniform(0.5, 2, size=20)
    limit = np.linspace(1, weight.sum() + 1, 7)
    args = np.abs(scale), scores, weight
    one = upper_bounds(centre, *args, np.zeros(20, int), limit)
    twice = [np.concatenate([part, part]) for part in (centre, np.abs(scale))]
    two = upper_bounds(*twice, scores, weight, np.arange(20) % 2, limit)
    assert_allclose(one, two)
    assert one[-1] == np.inf


def test_scores_of_values():
    """The interval of "normalized" follows the spread, and that of "cqr" quantiles."""
    X, y = sugars()
    Z = np.nan_to_num(X)
    # The first model predicts column 0, the second one predicts column 2 plus 1.
    pair = (
        clone(RIDGE).fit(X, Z[:, 0]),
        make_imputing(LinearRegression()).fit(X, 1 + Z[:, 2]),
    )
    conformal = regressor(pair, cv="prefit", method="normalized").fit(X, y)
    low, high = conformal.predict_interval(X).T
    assert_allclose((low + high) / 2, pair[0].predict(X), atol=1e-9)
    exact = ~np.isnan(X).any(axis=1)
    ratio = (high - low)[exact] / pair[1].predict(X)[exact]
    assert np.ptp(ratio) < 1e-8
    cqr = regressor(pair, cv="prefit", method="cqr").fit(X, y)
    low, high = cqr.predict_interval(X[exact]).T
    below, above = pair[0].predict(X[exact]) - low, high - pair[1].predict(X[exact])
    assert np.ptp(below) < 1e-8
    assert_allclose(below, above)
    assert_allclose(cqr.predict(X), sum(model.predict(X) for model in pair) / 2)


@pytest.mark.parametrize("method", ["normalized", "cqr"])
def test_second_models_are_fitted(method):
    """They learn where the values spread."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(300, 2))
    y = (1 + 5 * (X[:, 0] > 0)) * rng.standard_normal(300)
    trees = HistGradientBoostingRegressor(max_iter=10, quantile=0.3)
    conformal = PatternConformalRegressor(trees, method=method)
    conformal.set_params(cv=2, confidence=0.8).fit(X, y)
    width = np.diff(conformal.predict_interval(X), axis=1)[:, 0]
    assert width[X[:, 0] > 0.2].mean() > 2 * width[X[:, 0] < -0.2].mean()
    assert len(conformal.estimators_[0]) == 2
    if method == "cqr":
        quantiles = [model.quantile for model in conformal.estimators_[0]]
        assert_allclose(quantiles, [0.1, 0.9])
        assert (conformal.estimator_.quantile, conformal.estimator_.loss) == (
            0.5,
            "quantile",
        )


# ------------------------------------------------------------------ patterns


def test_rare_patterns_borrow_and_others_are_reduced():
    X, y = flowers(n_samples=120)
    X[:, 2:][np.arange(120) % 3 == 2] = np.nan  # no sample is complete
    X[:5] = flowers(missing=False)[0][:5]
    conformal = classifier(min_samples=10).fit(X, y)
    counts = dict(zip(conformal.patterns_, conformal.n_calibration_samples_))
    has = ~np.isnan(X[:, [0, 2]])
    expected = {
        ("a",): (has == [1, 0]).all(axis=1),
        ("b",): (has == [0, 1]).all(axis=1),
    }
    assert counts == {name: rows.sum() for name, rows in expected.items()}
    more = classifier(min_samples=90).fit(X, y)
    counts = dict(zip(more.patterns_, more.n_calibration_samples_))
    assert counts == {("a",): has[:, 0].sum(), ("b",): has[:, 1].sum()}
    with pytest.warns(ModalityWarning, match="5 of 5 samples have 1 pattern .* 9 cal"):
        sets = conformal.predict_set(X[:5])
    reduced = X[:5].copy()
    reduced[:, 2:] = np.nan  # more samples have a
    assert_array_equal(sets, conformal.predict_set(reduced))


def test_many_modalities_are_dropped_one_after_the_other():
    """Each time, the one without which the most samples have the others."""
    presence = (
        np.array([[1, 1, 1, 0]] * 4 + [[1, 1, 0, 1]] * 5 + [[1, 1, 0, 0]] * 2) > 0
    )
    full, weight = np.ones(4, dtype=bool), np.ones(11)
    for needed, left in ((4, [0, 1, 3]), (6, [0, 1]), (12, [0])):
        found = reduce_pattern(full, presence, weight, needed)
        assert np.flatnonzero(found).tolist() == left
    # Few samples have the same modalities, but they keep several.
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 10))
    y = (X[:, 0] > 0).astype(int)
    X[rng.uniform(size=X.shape) < 0.3] = np.nan
    conformal = classifier(modalities=[1] * 10, cv=0.5, random_state=0).fit(X, y)
    chosen = [conformal._choose(has) for has in ~np.isnan(X)]
    assert np.mean([len(conformal.patterns_[i]) for i in chosen]) > 4
    assert conformal.n_calibration_samples_[chosen].min() >= 9


def test_without_a_pattern_nothing_is_excluded():
    """Too few samples with b, and samples with nothing observed."""
    X, y = flowers(missing=False)
    X[8:, 2:] = np.nan
    conformal = classifier().fit(X, y)
    X[:2, :2] = np.nan
    with pytest.warns(ModalityWarning, match="2 of 4 samples .*; they are given all"):
        assert conformal.predict_set(X[[0, 1, 20, 21]])[:2].all()
    with pytest.warns(ModalityWarning, match="1 of 2 samples have no observed"):
        assert conformal.predict_set(np.stack([X[30] * np.nan, X[30]]))[0].all()
    values = regressor().fit(*sugars())
    with pytest.warns(ModalityWarning, match="given an infinite interval"):
        ends = values.predict_interval(np.full((1, 4), np.nan))
    assert_array_equal(ends, [[-np.inf, np.inf]])


def test_level_can_be_changed_after_fit():
    X, y = flowers(n_samples=90)
    conformal = classifier(confidence=0.5, patterns="nested").fit(X[:60], y[:60])
    fresh = classifier(confidence=0.9, patterns="nested").fit(X[:60], y[:60])
    conformal.set_params(confidence=0.9)
    assert_array_equal(conformal.predict_set(X[60:]), fresh.predict_set(X[60:]))


def test_weights_are_repetitions_and_groups_stay_together():
    X, y = flowers(n_samples=120)
    weight = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weight)
    model = clone(LOGISTIC).fit(X[60:], y[60:])
    for patterns in ("mondrian", "nested"):
        one = classifier(model, cv="prefit", patterns=patterns, min_samples=15)
        two = classifier(model, cv="prefit", patterns=patterns, min_samples=15)
        one.fit(X[:60], y[:60], sample_weight=weight)
        two.fit(X[rows], y[rows])
        assert_array_equal(one.predict_set(X[60:]), two.predict_set(X[60:]))
    groups = np.repeat(np.arange(20), 6)
    by_int = classifier(cv=4).fit(X, y, groups=groups)
    conformal = classifier(cv=GroupKFold(4)).fit(X, y, groups=groups)
    assert len(by_int.estimators_) == len(conformal.estimators_) == 4
    share = classifier(cv=0.25, random_state=0).fit(X, y, groups=groups)
    assert share.estimator_ is share.estimators_[0]
    assert share.n_calibration_samples_.max() <= 30


def test_held_out_samples_are_not_read_by_their_model():
    """The model of a fold does not change with the labels of its held-out samples."""
    X, y = flowers()
    splits = [
        (np.arange(100), np.arange(100, 150)),
        (np.arange(50, 150), np.arange(50)),
    ]
    other = y.copy()
    other[100:] = 2 - y[100:]
    one, two = (classifier(cv=splits).fit(X, labels) for labels in (y, other))
    found = [m.estimators_[0].predict_proba(X) for m in (one, two)]
    assert_array_equal(*found)
    changed = [m.estimators_[1].predict_proba(X) for m in (one, two)]
    assert np.abs(changed[0] - changed[1]).max() > 0.01


def test_frozen_estimators_and_classes_of_a_fitted_one():
    X, y = flowers(n_samples=200)
    model = clone(LOGISTIC).fit(X[:100], y[:100])
    known = y[100:] < 2  # the third class is not among the calibration samples
    Z, z = X[100:][known], y[100:][known]
    prefit = classifier(model, cv="prefit").fit(Z, z)
    frozen = classifier(FrozenEstimator(model)).fit(Z, z)
    assert prefit.predict_set(X).shape == (200, 3)
    assert_array_equal(prefit.predict_set(X), frozen.predict_set(X))
    assert prefit.estimator_ is model
    with pytest.raises(ValueError, match=r"y must have classes of the fitted .* \[3\]"):
        classifier(model, cv="prefit").fit(X[100:], np.where(y[100:], y[100:], 3))


def test_modalities_are_passed_on_or_taken_over():
    X, y = flowers()
    passed = classifier(LateFusionClassifier("linear")).fit(X, y)
    assert list(passed.estimator_.modalities_) == ["a", "b"]
    inner = LateFusionClassifier("linear", modalities=LAYOUT)
    taken = classifier(inner, modalities=None).fit(X, y)
    fitted = classifier(taken.estimator_, modalities=None, cv="prefit").fit(X, y)
    for model in (taken, fitted):
        assert list(model.modalities_) == ["a", "b"]
    # A single modality has one quantile for all samples.
    assert classifier(inner, modalities=[4]).fit(X, y).patterns_ == [("modality0",)]


def test_abstention():
    X, y = flowers()
    conformal = classifier().fit(X, y)
    sets, found = conformal.predict_set(X), conformal.predict(X, reject="abstain")
    single = sets.sum(axis=1) == 1
    assert_array_equal(found.mask, ~single)
    assert 0 < single.sum() < len(X)
    assert_array_equal(found.compressed(), conformal.classes_[sets[single].argmax(1)])
    assert_array_equal(conformal.predict(X), conformal.estimator_.predict(X))
    with pytest.raises(ValueError, match="reject must be None or 'abstain'; got 'no'"):
        conformal.predict(X, reject="no")


# ------------------------------------------------------------------ coverage


@pytest.mark.parametrize("patterns", ["mondrian", "nested", "weighted"])
def test_hard_patterns_are_covered(patterns):
    """One quantile for all samples covers too few samples of the hard pattern."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((3000, 4))
    y = X[:, 0] + 0.1 * X[:, 2]
    X[::10, :2] = X[1::10, 2:] = np.nan
    params = {"cv": 0.4, "patterns": patterns, "random_state": 0}
    own = regressor(**params).fit(X[:2000], y[:2000])
    marginal = regressor(**{**params, "modalities": [4]}).fit(X[:2000], y[:2000])
    by = {"modalities": LAYOUT}
    one = coverage_by_pattern(marginal, X[2000:], y[2000:], **by)
    each = coverage_by_pattern(own, X[2000:], y[2000:], **by)
    assert one.pattern == each.pattern == ["a + b", "a", "b"]
    assert one.coverage[2] < 0.5
    assert each.coverage.min() > 0.84
    assert each.mean_width[2] > 2 * each.mean_width[0]


def test_coverage_is_a_mean_per_pattern():
    X, y = flowers()
    conformal = classifier(min_samples=20).fit(X, y)
    frame = coverage_by_pattern(conformal, X, y, as_frame=True)
    sets, has = conformal.predict_set(X), ~np.isnan(X[:, [0, 2]])
    for name, pattern in (("a + b", [1, 1]), ("a", [1, 0]), ("b", [0, 1])):
        rows = (has == pattern).all(axis=1)
        row = frame.loc[name]
        assert row["coverage"] == sets[rows, y[rows]].mean()
        assert row["mean_size"] == sets[rows].sum(axis=1).mean()
        assert row["n_samples"] == row["n_calibration_samples"] == rows.sum()
    with pytest.raises(ValueError, match=r"y must have as many samples as X \(150\)"):
        coverage_by_pattern(conformal, X, y[:10])
    with pytest.raises(
        ValueError, match=r"y must have some of the classes \[0, 1, 2\]"
    ):
        coverage_by_pattern(conformal, X, np.array(list("abc"))[y])
    with pytest.raises(ValueError, match="y must have one value per sample"):
        coverage_by_pattern(conformal, X, np.zeros((150, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1j, "a"])
def test_coverage_of_values_that_are_not_numbers(value):
    X, y = sugars()
    conformal = regressor().fit(X, y)
    with pytest.raises((TypeError, ValueError), match="y must"):
        coverage_by_pattern(conformal, X, [value] * len(y))


# ------------------------------------------------------------------ containers


def test_pieces_have_the_same_sets_and_masks(tmp_path):
    X, y = flowers()
    conformal = classifier(cv=3).fit(X, y)
    with config_context(working_memory=1e-3):
        pieces = scan_table(memmap(X, tmp_path))
        assert len(list(pieces.iter_chunks())) > 1
        assert_array_equal(conformal.predict_set(pieces), conformal.predict_set(X))
        found = conformal.predict(pieces, reject="abstain")
    assert_array_equal(found.mask, conformal.predict(X, reject="abstain").mask)
    result = coverage_by_pattern(conformal, pieces, y)
    whole = coverage_by_pattern(conformal, X, y)
    for name in ("coverage", "n_samples", "n_calibration_samples"):
        assert_array_equal(result[name], whole[name])


def test_steps_get_the_names_of_columns():
    pandas = pytest.importorskip("pandas")
    X, y = flowers()
    frame = pandas.DataFrame(X, columns=["a__0", "a__1", "b__0", "b__1"])
    columns = make_column_transformer(("passthrough", ["a__0", "b__1"]))
    inner = make_pipeline(columns, LOGISTIC)
    conformal = PatternConformalClassifier(inner, cv=2, n_jobs=2).fit(frame, y)
    assert len(conformal.patterns_) == 3
    assert conformal.predict_set(frame).shape == (150, 3)


@pytest.mark.parametrize("patterns", ["mondrian", "weighted"])
def test_routed_metadata(patterns):
    X, y = flowers()
    params = {"sample_weight": np.ones(150), "groups": np.arange(150) // 3}
    with config_context(enable_metadata_routing=True):
        inner = LateFusionClassifier("linear", cv=2).set_fit_request(sample_weight=True)
        cv = GroupKFold(2).set_split_request(groups=True)
        conformal = classifier(inner, cv=cv, patterns=patterns).fit(X, y, **params)
    assert len(conformal.estimators_) == 2


# ------------------------------------------------------------------ bad input


class Odd(BaseEstimator):
    """Predicts the same array for all samples."""

    def __init__(self, found):
        self.found = found

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.asarray(self.found[: len(X)])

    predict_proba = predict


@pytest.mark.parametrize(
    "params, match",
    [
        ({"confidence": 1.0}, "'confidence' parameter .* range"),
        ({"confidence": 0.0}, "'confidence' parameter .* range"),
        ({"estimator": LinearSVC()}, "implementing 'fit' and 'predict_proba'"),
        ({"estimator": LogisticRegression()}, "estimator must accept NaN"),
        (
            {"confidence": 0.999},
            "at least 999 calibration samples; got n_samples",
        ),
        ({"cv": 0.1, "confidence": 0.95}, "needs at least 19 .* got at most"),
        ({"cv": [(np.arange(0), np.arange(150))]}, "must leave samples to fit"),
        ({"cv": 0.999}, "cv=0.999 must leave samples to fit"),
        (
            {"cv": [(np.arange(99), np.arange(90, 150))]},
            "cv must not .* 9 such samples",
        ),
        ({"estimator": LogisticRegression}, "got the class LogisticRegression"),
        (
            {"estimator": Odd(np.ones((150, 5)))},
            r"probabilities of Odd must have the sh",
        ),
        ({"estimator": Odd(np.ones((3, 3)))}, r"probabilities of Odd must have the sh"),
        (
            {"estimator": Odd(np.ones((150, 3)))},
            "probabilities of Odd must add up to 1",
        ),
    ],
)
def test_bad_classifiers(params, match):
    with pytest.raises((TypeError, ValueError), match=match):
        classifier(**params).fit(*flowers())


@pytest.mark.parametrize(
    "params, match",
    [
        ({"method": "cqr"}, "must have a parameter `quantile`"),
        ({"estimator": (RIDGE, RIDGE)}, "estimator must be a regressor for"),
        ({"estimator": [RIDGE], "method": "cqr"}, "must be a pair of regr"),
        ({"cv": "prefit", "method": "cqr"}, "must be a pair of fitted"),
        ({"estimator": [], "method": "cqr"}, r"must be a pair of regr.*; got \[\]"),
        ({"estimator": [Ridge, Ridge], "method": "cqr"}, "must be a pair of regr"),
        ({"estimator": LOGISTIC}, "estimator must be a regressor for"),
        ({"estimator": Ridge}, "estimator must be a regressor for"),
        ({"estimator": Odd(np.ones(3))}, r"one number per sample; Odd.*shape \(3,\)"),
        ({"estimator": Odd(["a"] * 442)}, "one number per sample; Odd"),
    ],
)
def test_bad_regressors(params, match):
    with pytest.raises(ValueError, match=match):
        regressor(**params).fit(*sugars())


def test_another_method_needs_another_fit():
    X, y = flowers()
    conformal = classifier().fit(X, y)
    expected = conformal.predict_set(X)
    assert_array_equal(conformal.set_params(method="aps").predict_set(X), expected)
    X, y = sugars()
    conformal = regressor().fit(X, y)
    expected = conformal.predict_interval(X)
    conformal.set_params(method="normalized")
    assert_array_equal(conformal.predict_interval(X), expected)


def test_prefit_must_be_fitted():
    fresh = clone(LOGISTIC)
    with pytest.raises(NotFittedError, match="estimator must be fitted if cv='prefit'"):
        classifier(fresh, cv="prefit").fit(*flowers())
    X, y = sugars()
    pair = (make_imputing(Ridge()).fit(X, y), make_imputing(Ridge()).fit(X, -y))
    with pytest.raises(ValueError, match="must predict a positive spread; got -"):
        regressor(pair, cv="prefit", method="normalized").fit(X, y)


def test_complete_samples_do_not_warn():
    X, y = flowers(missing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier().fit(X, y).predict_set(X)
