"""Calibration by pattern: estimator, error and diagram."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skmissing import ModalityWarning
from skmissing.conformal import (
    CalibrationByPattern,
    CalibrationByPatternDisplay,
    calibration_error_by_pattern,
    risk_coverage_curve,
)
from skmissing.ensemble import LateFusionClassifier

LAYOUT = {"a": 2, "b": 2, "c": 1}
NAIVE = make_pipeline(SimpleImputer(keep_empty_features=True), GaussianNB())


def make_data(n=240, n_classes=3, seed=0):
    """Correlated columns, with which naive Bayes is overconfident, and gaps."""
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n)
    X = rng.standard_normal((n, 1)) + 0.5 * rng.standard_normal((n, 5)) + y[:, None]
    X[::2, 2:4] = np.nan
    X[::3, 4] = np.nan
    return X, y


@pytest.mark.parametrize("n_classes", [2, 3])
def test_isotonic_of_complete_data_is_that_of_scikit_learn(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes, :2], y[y < n_classes]
    weight = 1.0 + np.arange(len(y)) % 3
    ours = CalibrationByPattern(GaussianNB(), method="isotonic", modalities=[1, 1])
    theirs = CalibratedClassifierCV(
        GaussianNB(), method="isotonic", ensemble=False, cv=StratifiedKFold(5)
    )
    expected = theirs.fit(X, y, weight).predict_proba(X)
    assert_allclose(ours.fit(X, y, weight).predict_proba(X), expected, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_temperature_of_complete_data_is_that_of_scikit_learn(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes, :2], y[y < n_classes]
    model = CalibrationByPattern(GaussianNB(), modalities=[1, 1]).fit(X, y)
    assert_allclose(model.temperatures_, model.temperature_, rtol=1e-6)
    try:
        theirs = CalibratedClassifierCV(
            GaussianNB(), method="temperature", ensemble=False, cv=StratifiedKFold(5)
        ).fit(X, y)
    except ValueError:  # before scikit-learn 1.8
        pytest.skip("no temperature scaling")
    assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("by", ["n_observed", "pattern"])
@pytest.mark.parametrize("shrinkage", [0, 50])
def test_temperatures_by_loops(by, shrinkage):
    """The loss of the group, and the mean loss of all samples times the shrinkage."""
    X, y = make_data()
    weight = 1.0 + np.arange(len(y)) % 2
    params = {"modalities": LAYOUT, "by": by, "shrinkage": shrinkage}
    model = CalibrationByPattern(DummyNaive(), **params).fit(X, y, weight)
    held = np.zeros((len(y), 3))
    for train, test in StratifiedKFold(5).split(X, y):
        fold = DummyNaive().fit(X[train], y[train], weight[train])
        held[test] = fold.predict_proba(X[test])
    presence = ~np.isnan(X[:, [0, 2, 4]])
    for key, temperature in zip(model.groups_, model.temperatures_):
        if by == "pattern":
            inside = (presence == [name in key for name in LAYOUT]).all(axis=1)
        else:
            inside = presence.sum(axis=1) == key

        def loss(log_beta, inside=inside):
            total = 0
            for p, code, w, own in zip(held, y, weight, inside):
                scaled = (p + 1e-12) ** np.exp(log_beta)
                share = own + shrinkage / weight.sum()
                total -= w * share * np.log(scaled[code] / scaled.sum())
            return total

        best = np.exp(-minimize_scalar(loss, bounds=(-5, 5)).x)
        assert_allclose(temperature, best, rtol=1e-4)
        proba = model.estimator_.predict_proba(X[inside]) + 1e-12
        proba = proba ** (1 / temperature)
        proba /= proba.sum(axis=1, keepdims=True)
        assert_allclose(model.predict_proba(X[inside]), proba, rtol=1e-4, atol=1e-9)


class DummyNaive(GaussianNB):
    """Naive Bayes with 0 for NaN."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(np.nan_to_num(X), y, sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(np.nan_to_num(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def test_isotonic_maps_by_group():
    X, y = make_data(n_classes=2)
    model = CalibrationByPattern(
        NAIVE, method="isotonic", modalities=LAYOUT, by="pattern", shrinkage=30
    ).fit(X, y)
    held = cross_val_predict(NAIVE, X, y, method="predict_proba")[:, 1]
    inside = np.isnan(X[:, 2]) & np.isnan(X[:, 4])
    isotonic = IsotonicRegression(out_of_bounds="clip")
    isotonic.fit(held, y, inside + 30 / len(y))
    expected = isotonic.predict(NAIVE.fit(X, y).predict_proba(X[inside])[:, 1])
    assert_allclose(model.predict_proba(X[inside])[:, 1], expected)
    # A pattern that training has not: the map of all samples.
    other = X[:9].copy()
    other[:, :2] = np.nan
    other[:, 2:] = 1.0
    expected = IsotonicRegression(out_of_bounds="clip").fit(held, y)
    expected = expected.predict(NAIVE.predict_proba(other)[:, 1])
    assert_allclose(model.predict_proba(other)[:, 1], expected)


def test_error_falls_most_where_it_was_largest():
    X, y = make_data(2000)
    model = CalibrationByPattern(NAIVE, modalities=LAYOUT).fit(X[:1000], y[:1000])
    given = {"X": X[1000:], "y": y[1000:], "modalities": LAYOUT}
    before = calibration_error_by_pattern(model.estimator_, **given)
    after = calibration_error_by_pattern(model, **given)
    assert before.pattern == ["a + b + c", "a + b", "a + c", "a"] == after.pattern
    assert before.calibration_error[0] > 0.25 > 0.1 > after.calibration_error[0]
    assert before.calibration_error.mean() > 2 * after.calibration_error.mean()
    assert_array_equal(before.accuracy, after.accuracy)


def test_permuted_modalities_and_samples():
    X, y = make_data()
    cv = [(np.arange(0, 240, 2), np.arange(1, 240, 2))]
    params = {"by": "pattern", "modalities": LAYOUT}
    model = CalibrationByPattern(NAIVE, **params, cv=cv).fit(X, y)
    order, rows = [4, 2, 3, 0, 1], np.random.RandomState(0).permutation(240)
    place = np.argsort(rows)
    other = CalibrationByPattern(
        NAIVE,
        by="pattern",
        modalities={"c": 1, "b": 2, "a": 2},
        cv=[tuple(place[part] for part in cv[0])],
    ).fit(X[rows][:, order], y[rows])
    expected = dict(zip(map(frozenset, model.groups_), model.temperatures_))
    for key, temperature in zip(other.groups_, other.temperatures_):
        assert_allclose(temperature, expected[frozenset(key)], rtol=1e-6)


@pytest.mark.parametrize("freeze", [False, True])
def test_fitted_estimator_is_not_fitted_again(freeze):
    X, y = make_data()
    fitted = LateFusionClassifier("linear", modalities=LAYOUT).fit(X[:120], y[:120])
    before = fitted.predict_proba(X[:20])
    model = CalibrationByPattern(
        FrozenEstimator(fitted) if freeze else fitted, cv=5 if freeze else "prefit"
    ).fit(X[120:], np.minimum(y[120:], 1))  # the third class is not in y
    assert_array_equal(fitted.predict_proba(X[:20]), before)
    assert model.modalities_.names == tuple(LAYOUT)
    assert model.predict_proba(X[:5]).shape == (5, 3)
    with pytest.raises(ValueError, match=r"y must have classes of the fitted .*\[7\]"):
        model.fit(X[120:], np.where(y[120:] == 2, 7, 0))


def test_modalities_are_those_of_the_estimator_and_the_reverse():
    X, y = make_data()
    inner = LateFusionClassifier("linear", modalities=LAYOUT, cv=2)
    model = CalibrationByPattern(inner, cv=2).fit(X, y)
    assert model.modalities_.names == tuple(LAYOUT)
    inner = LateFusionClassifier("linear", cv=2)
    model = CalibrationByPattern(inner, modalities=LAYOUT, cv=2).fit(X, y)
    assert model.estimator_.modalities_.names == tuple(LAYOUT)
    assert inner.modalities is None


def test_groups_stay_together_and_data_frames_stay_so():
    pandas = pytest.importorskip("pandas")
    X, y = make_data(60)
    frame = pandas.DataFrame(X, columns=["a__0", "a__1", "b__0", "b__1", "c__0"])
    groups = np.repeat(np.arange(20), 3)
    seen = []

    class Recorder(DummyNaive):
        def fit(self, X, y):
            seen.append((set(X.index // 3) if len(X) == 60 else None, list(X.columns)))
            return super().fit(X.to_numpy(), y)

        def predict_proba(self, X):
            return super().predict_proba(X.to_numpy())

    model = CalibrationByPattern(Recorder(), cv=4).fit(frame, y, groups=groups)
    assert len(seen) == 5
    assert all(columns == list(frame.columns) for _, columns in seen)
    assert model.modalities_.names == ("a", "b", "c")
    # A sample of the same group would give the answer away.
    X = np.repeat(np.random.RandomState(0).standard_normal((80, 2)), 2, axis=0)
    y = np.repeat(np.random.RandomState(1).randint(2, size=80), 2)
    nearest = KNeighborsClassifier(1)
    apart = CalibrationByPattern(nearest).fit(X, y, groups=np.arange(160) // 2)
    shuffled = StratifiedKFold(5, shuffle=True, random_state=0)
    leaky = CalibrationByPattern(nearest, cv=shuffled).fit(X, y)
    assert apart.temperature_ > 3 * leaky.temperature_


def test_held_out_probabilities_do_not_use_the_sample():
    """The nearest neighbour of a training sample is the sample itself."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((100, 2)), rng.randint(2, size=100)
    model = CalibrationByPattern(KNeighborsClassifier(1)).fit(X, y)
    assert model.temperature_ > 20  # chance level


def test_rare_class_is_not_held_out():
    X, y = make_data()
    y[0] = 9
    with pytest.warns(ModalityWarning, match="1 of 240 samples cannot be held out"):
        model = CalibrationByPattern(NAIVE, modalities=LAYOUT).fit(X, y)
    assert model.predict_proba(X).shape == (240, 4)
    assert model.temperature_ < 10


def test_refusals():
    X, y = make_data(30)
    X[:, 2] = 1.0
    with pytest.raises(ValueError, match="'shrinkage' parameter .* Got -1"):
        CalibrationByPattern(NAIVE, shrinkage=-1).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight must be None"):
        CalibrationByPattern(KNeighborsClassifier()).fit(X[:, :2], y, np.ones(30))
    with pytest.raises(ValueError, match="estimator must accept NaN.*in front"):
        CalibrationByPattern(KNeighborsClassifier()).fit(*make_data(30))
    every = [(np.arange(30), np.arange(20))]
    with pytest.raises(ValueError, match="cv must not hold out .* 20 such samples"):
        CalibrationByPattern(NAIVE, cv=every).fit(X, y)
    with pytest.raises(
        NotFittedError, match="must be fitted if cv='prefit'.*new Gauss"
    ):
        CalibrationByPattern(GaussianNB(), cv="prefit").fit(X, y)
    proba = np.full((30, 3), 1 / 3)
    with pytest.raises(ValueError, match="as many samples as X \\(30\\); got 29"):
        calibration_error_by_pattern(proba, X, y[:29])
    with pytest.raises(ValueError, match="shape \\(30, 3\\).*got \\(30, 2\\)"):
        calibration_error_by_pattern(proba[:, :2], X, y)
    with pytest.raises(ValueError, match="must add up to 1.* in 30 of 30 samples, suc"):
        calibration_error_by_pattern(proba / 2, X, y)
    with pytest.raises(ValueError, match="max_patterns must be an int.* 1; got 0"):
        CalibrationByPatternDisplay.from_predictions(y, proba, X, max_patterns=0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"estimator": None}, "estimator must be a fitted classifier .*; got None"),
        (
            {"estimator": SVC()},
            r"estimator must be a fitted .*; got SVC\(\)",
        ),
        (
            {"estimator": GaussianNB},
            "estimator must be a fitted .*GaussianNB",
        ),
        ({"estimator": [[1, 2], [3]]}, "The probabilities must be an array of numbers"),
        ({"estimator": np.ma.masked_less([[0.2, 0.8]] * 9, 0.5)}, "no masked values"),
        ({"estimator": np.full((9, 2), np.nan)}, "add up to 1 .* 9 of 9 samples"),
        ({"y": None}, "y must be an array of shape .*; got NoneType"),
        ({"y": csr_array(np.eye(9))}, "y must be an array of shape .*; got csr_array"),
        ({"y": np.zeros((9, 2))}, r"y must have one value per sample; .*\(9, 2\)"),
        ({"y": 3}, "y must have one value per sample"),
        ({"classes": ["a", "b"]}, r"y must have some of the classes \['a', 'b'\]"),
        ({"classes": [1, 1]}, r"classes must be different labels; got \[1, 1\]"),
        ({"classes": "ab"}, "classes must be different labels; got 'ab'"),
        ({"by": "x"}, "'by' parameter|by must be"),
    ],
)
def test_bad_input_of_scores(changes, match):
    given = {"estimator": [[0.2, 0.8]] * 9, "X": np.eye(9), "y": np.arange(9) % 2}
    for score in (calibration_error_by_pattern, risk_coverage_curve):
        with pytest.raises((TypeError, ValueError), match=match):
            score(**(given | changes))


def test_bad_input_of_displays():
    proba, X, y = [[0.2, 0.8]] * 9, np.eye(9), np.arange(9) % 2
    for changes, match in (
        ({"by": "x"}, "by must be 'pattern', 'n_observed' or None; got 'x'"),
        ({"n_bins": 0}, "n_bins must be an integer of at least 1; got 0"),
        ({"max_patterns": None}, "max_patterns must be an integer .*; got None"),
        ({"ax": "a"}, "ax must be Axes of matplotlib or None; got 'a'"),
    ):
        with pytest.raises((TypeError, ValueError), match=match):
            CalibrationByPatternDisplay.from_predictions(y, proba, X, **changes)
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match="classes must be None, because GaussianNB"):
        calibration_error_by_pattern(model, X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must have some of the classes \[0, 1\]"):
        calibration_error_by_pattern(model, X, y + 5)


def test_samples_of_weight_0_are_left_out():
    X, y = make_data(60)
    proba = np.random.RandomState(0).dirichlet([1, 1, 1], size=60)
    kept = ~np.isnan(X).any(axis=1)
    for score in (calibration_error_by_pattern, risk_coverage_curve):
        given = {"modalities": LAYOUT, "classes": [0, 1, 2]}
        found = score(proba, X, y, sample_weight=kept * 1.0, **given)
        expected = score(proba[kept], X[kept], y[kept], **given)
        assert found.pattern == expected.pattern
        for name in set(found) - {"pattern"}:
            assert_allclose(found[name], expected[name])


def test_other_parameters_need_another_fit():
    X, y = make_data(60)
    model = CalibrationByPattern(NAIVE, modalities=LAYOUT, cv=2).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(method="isotonic", by="pattern")
    assert_array_equal(model.predict_proba(X), expected)


def test_error_by_loops_and_as_frame():
    pytest.importorskip("pandas")
    X, y = make_data(300)
    proba = np.random.RandomState(0).dirichlet([1, 1, 1], size=300)
    weight = 1.0 + np.arange(300) % 4
    frame = calibration_error_by_pattern(
        proba, X, y, by="n_observed", modalities=LAYOUT, sample_weight=weight, n_bins=7,
        as_frame=True,
    )  # fmt: skip
    n_observed = (~np.isnan(X[:, [0, 2, 4]])).sum(axis=1)
    assert list(frame.index) == ["3 observed", "2 observed", "1 observed"]
    for n, found in zip([3, 2, 1], frame.itertuples()):
        total = 0
        for low in np.arange(7) / 7:
            rows = (n_observed == n) & (proba.max(axis=1) >= low)
            rows &= proba.max(axis=1) < low + 1 / 7
            hits = proba[rows].argmax(axis=1) == y[rows]
            total += abs(weight[rows] @ (hits - proba[rows].max(axis=1)))
        assert_allclose(found.calibration_error, total / weight[n_observed == n].sum())
        assert found.n_samples == (n_observed == n).sum()


def test_duplicates_are_weights_of_two():
    X, y = make_data(60)
    proba = np.random.RandomState(0).dirichlet([1, 1, 1], size=60)
    rows, weight = np.r_[:60, :20], 1.0 + (np.arange(60) < 20)
    given = {"modalities": LAYOUT, "classes": [0, 1, 2]}
    twice = calibration_error_by_pattern(proba[rows], X[rows], y[rows], **given)
    once = calibration_error_by_pattern(proba, X, y, sample_weight=weight, **given)
    for name in ("accuracy", "confidence", "calibration_error"):
        assert_allclose(twice[name], once[name])


def test_display():
    pytest.importorskip("matplotlib").use("agg")
    X, y = make_data(200)
    model = clone(NAIVE).fit(X, y)
    given = {"modalities": LAYOUT, "by": "n_observed", "n_bins": 4}
    display = CalibrationByPatternDisplay.from_estimator(
        model, X, y, max_patterns=2, **given
    )
    sizes = display.n_samples
    labels = [line.get_label() for line in display.lines_]
    assert labels == [f"{n} observed ({sizes[3 - n]})" for n in (3, 2, 1)
                      if sizes[3 - n] != sizes.min()]  # fmt: skip
    other = CalibrationByPatternDisplay.from_predictions(
        y, model.predict_proba(X), X, ax=display.ax_, **given
    )
    assert_array_equal(other.accuracy, display.accuracy)
    assert other.ax_ is display.ax_
    assert display.ax_.get_xlabel() == "Confidence"


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
@pytest.mark.parametrize("by", ["n_observed", "pattern"])
def test_nothing_held_out_is_not_calibrated(method, by):
    X, y = make_data(8)
    model = CalibrationByPattern(GaussianNB(), method=method, by=by)
    with pytest.warns(ModalityWarning) as record:
        model.fit(X[:, :2], y, groups=np.ones(8))
    assert "8 of 8 samples cannot be held out" in str(record[-1].message)
    expected = GaussianNB().fit(X[:, :2], y).predict_proba(X[:, :2])
    assert_allclose(model.predict_proba(X[:, :2]), expected, atol=1e-9)


def test_probabilities_of_zero_count_as_half_of_the_smallest():
    """A forest is certain of a wrong class once; its temperature stays small."""
    proba = np.tile([[0.9, 0.1], [0.2, 0.8]], (50, 1))
    y = np.tile([0, 1], 50)
    proba[0], proba[2], y[:20] = [0, 1], [0.999, 0.001], 0
    model = CalibrationByPattern(Table(proba), cv="prefit", modalities=[1])
    X = np.arange(100.0)[:, None]
    model.fit(X, y)
    lifted = CalibrationByPattern(
        Table(np.maximum(proba, 0.0005)), cv="prefit", modalities=[1]
    ).fit(X, y)
    assert_allclose(model.temperature_, lifted.temperature_)
    assert_allclose(model.predict_proba(X), lifted.predict_proba(X))


class Table(DummyNaive):
    """Fitted classifier whose X are positions of known probabilities."""

    def __init__(self, proba):
        self.proba = proba
        self.classes_ = np.arange(proba.shape[1])

    def predict_proba(self, X):
        return self.proba[X[:, 0].astype(int)]
