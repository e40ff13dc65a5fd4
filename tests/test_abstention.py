"""Abstention, and risk-coverage curves by pattern."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from skmissing.compose import scan_table
from skmissing.conformal import (
    AbstainingClassifier,
    CalibrationByPattern,
    RiskCoverageDisplay,
    risk_coverage_curve,
)

from .test_calibration import LAYOUT, NAIVE, DummyNaive, make_data


def test_cost_is_chows_rule():
    X, y = make_data()
    model = AbstainingClassifier(NAIVE, cost=0.3, modalities=LAYOUT).fit(X, y)
    proba = NAIVE.fit(X, y).predict_proba(X)
    assert_allclose(model.predict_proba(X), proba)
    answers = model.predict(X, reject="abstain")
    assert_array_equal(answers.mask, 1 - proba.max(axis=1) > 0.3)
    assert_array_equal(answers.data, proba.argmax(axis=1))
    plain = model.predict(X)
    assert not isinstance(plain, np.ma.MaskedArray)
    assert_array_equal(plain, proba.argmax(axis=1))
    every = AbstainingClassifier(NAIVE, cost=1, modalities=LAYOUT).fit(X, y)
    assert not every.predict(X, reject="abstain").mask.any()


def test_rule_has_the_lowest_cost_for_true_probabilities():
    """Of all thresholds, that of Chow has the lowest mean cost."""
    rng = np.random.RandomState(0)
    proba = rng.dirichlet([1, 1], size=20_000)
    error = rng.uniform(size=len(proba)) > proba.max(axis=1)
    costs = {}
    for threshold in np.linspace(0.5, 1, 11):
        masked = proba.max(axis=1) < threshold
        costs[round(1 - threshold, 2)] = np.where(masked, 0.25, error).mean()
    assert min(costs, key=costs.get) == 0.25


@pytest.mark.parametrize("by", [None, "n_observed", "pattern"])
def test_threshold_by_loops(by):
    """At least the share of the held-out weight, and less for any larger value."""
    X, y = make_data()
    weight = 1.0 + np.arange(len(y)) % 3
    model = AbstainingClassifier(
        DummyNaive(), coverage=0.7, by=by, shrinkage=10, modalities=LAYOUT
    ).fit(X, y, weight)
    held = np.zeros(len(y))
    for train, test in StratifiedKFold(5).split(X, y):
        fold = DummyNaive().fit(X[train], y[train], weight[train])
        held[test] = fold.predict_proba(X[test]).max(axis=1)
    presence = ~np.isnan(X[:, [0, 2, 4]])
    cases = [(model.threshold_, weight)]
    for key, threshold in zip(model.groups_, model.thresholds_):
        if by == "pattern":
            inside = (presence == [name in key for name in LAYOUT]).all(axis=1)
        else:
            inside = presence.sum(axis=1) == key
        cases.append((threshold, weight * (inside + 10 / weight.sum())))
    assert len(cases) == {None: 1, "n_observed": 4, "pattern": 5}[by]
    for threshold, w in cases:
        assert w[held >= threshold - 1e-12].sum() >= 0.7 * w.sum() - 1e-9
        assert w[held > threshold + 1e-12].sum() < 0.7 * w.sum()


def test_share_holds_for_new_samples_of_each_pattern():
    X, y = make_data(3000)
    model = AbstainingClassifier(NAIVE, by="pattern", modalities=LAYOUT)
    answers = model.fit(X[:1500], y[:1500]).predict(X[1500:], reject="abstain")
    bits = np.isnan(X[1500:, [2, 4]]) @ [1, 2]
    for b in range(4):
        assert_allclose(1 - answers.mask[bits == b].mean(), 0.8, atol=0.08)
    one = AbstainingClassifier(NAIVE, modalities=LAYOUT).fit(X[:1500], y[:1500])
    answers = one.predict(X[1500:], reject="abstain")
    assert_allclose(1 - answers.mask.mean(), 0.8, atol=0.04)


def test_thresholds_are_held_out():
    """A nearest neighbour is certain of training samples, but never of others."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((100, 2)), rng.randint(2, size=100)
    model = AbstainingClassifier(KNeighborsClassifier(20, weights="distance"))
    held = cross_val_predict(model.estimator, X, y, method="predict_proba")
    model.fit(X, y)
    assert model.threshold_ == np.sort(held.max(axis=1))[20] < 1
    assert (model.predict_proba(X).max(axis=1) == 1).all()


def test_full_coverage_strings_and_unknown_pattern():
    X, y = make_data()
    names = np.array(["low", "middle", "high"])
    model = AbstainingClassifier(NAIVE, coverage=1, modalities=LAYOUT)
    answers = model.fit(X, names[y]).predict(X, reject="abstain")
    assert set(answers.data) <= set(names) and not answers.mask.any()
    model.set_params(coverage=0.5, by="pattern").fit(X, names[y])
    X[:, :2] = np.nan
    X[:, 2:] = np.linspace(-3, 3, len(X))[:, None]
    confidence = model.predict_proba(X).max(axis=1)
    masked = model.predict(X, reject="abstain").mask
    assert_array_equal(masked, confidence < model.threshold_)


def test_of_calibrated_and_fitted_classifier():
    X, y = make_data()
    inner = CalibrationByPattern(NAIVE, modalities=LAYOUT).fit(X[:120], y[:120])
    model = AbstainingClassifier(inner, cost=0.2, cv="prefit").fit(X[120:], y[120:])
    assert_array_equal(model.predict_proba(X), inner.predict_proba(X))
    assert model.modalities_.names == tuple(LAYOUT)


def test_curve_by_loops():
    X, y = make_data()
    proba = np.random.RandomState(0).dirichlet([1, 1, 1], size=len(y)).round(1)
    proba[:, 0] = 1 - proba[:, 1:].sum(axis=1)  # with many ties
    proba = np.clip(proba, 0, 1)
    proba /= proba.sum(axis=1, keepdims=True)
    weight = 1.0 + np.arange(len(y)) % 2
    result = risk_coverage_curve(
        proba, X, y, by="n_observed", modalities=LAYOUT, sample_weight=weight
    )
    n_observed = (~np.isnan(X[:, [0, 2, 4]])).sum(axis=1)
    for g, n in enumerate([3, 2, 1]):
        inside, area, before = n_observed == n, 0, 0
        curve = zip(result.threshold[g], result.coverage[g], result.risk[g])
        for threshold, coverage, risk in curve:
            rows = inside & (proba.max(axis=1) >= threshold)
            assert_allclose(coverage, weight[rows].sum() / weight[inside].sum())
            errors = proba[rows].argmax(axis=1) != y[rows]
            assert_allclose(risk, np.average(errors, weights=weight[rows]))
            area += risk * (coverage - before)
            before = coverage
        assert len(result.threshold[g]) == len(np.unique(proba[inside].max(axis=1)))
        assert_allclose(result.area[g], area)
        assert_allclose(coverage, 1)


def test_refusals():
    X, y = make_data(30)
    X[:, 2] = 1.0
    with pytest.raises(ValueError, match="'cost' parameter .* Got 2"):
        AbstainingClassifier(NAIVE, cost=2).fit(X, y)
    with pytest.raises(ValueError, match="'coverage' parameter .* Got 0"):
        AbstainingClassifier(NAIVE, coverage=0).fit(X, y)
    model = AbstainingClassifier(GaussianNB(), cost=0.2).fit(X[:, :2], y)
    with pytest.raises(ValueError, match="reject must be None or 'abstain'; got arr"):
        model.predict(X[:, :2], reject=np.zeros(2))
    with pytest.raises(ValueError, match="reject must be None or 'abstain'; got True"):
        model.predict(X[:, :2], reject=True)


def test_table_in_pieces_keeps_the_mask(tmp_path):
    X, y = make_data()
    model = AbstainingClassifier(NAIVE, cost=0.3, modalities=LAYOUT).fit(X, y)
    np.save(tmp_path / "X.npy", X)
    on_disk = scan_table(np.load(tmp_path / "X.npy", mmap_mode="r"))
    found, expected = (model.predict(x, reject="abstain") for x in (on_disk, X))
    assert_array_equal(found.mask, expected.mask)
    assert_array_equal(found.data, expected.data)
    assert expected.mask.any()


def test_display():
    pytest.importorskip("matplotlib").use("agg")
    X, y = make_data(100)
    model = AbstainingClassifier(NAIVE, cost=0.2, modalities=LAYOUT).fit(X, y)
    display = RiskCoverageDisplay.from_estimator(model, X, y, max_patterns=2)
    assert len(display.lines_) == 2
    assert display.lines_[0].get_label().startswith("a + b + c (33, area")
    other = RiskCoverageDisplay.from_predictions(
        y, model.predict_proba(X), X, modalities=LAYOUT, ax=display.ax_
    )
    assert_array_equal(np.concatenate(other.risk), np.concatenate(display.risk))
    with pytest.raises(ValueError, match="max_patterns must be an int.* 1; got 0"):
        display.plot(max_patterns=0)
