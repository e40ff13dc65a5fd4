"""What the ensembles share: weights, folds, groups, unseen classes, used-up folds."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skmissing._table import ModalityWarning
from skmissing.ensemble import (
    LateFusionClassifier,
    LateFusionRegressor,
    PatternClassifier,
    PatternRegressor,
)
from skmissing.ensemble._base import accepts_nan, all_classes, weight_names

from .estimators import skip_if_weights_do_not_count

BOOSTING = HistGradientBoostingClassifier()
ENSEMBLES = [
    LateFusionClassifier,
    LateFusionRegressor,
    PatternClassifier,
    PatternRegressor,
]
# One linear model per block, which is the default of pattern models.
LINEAR = {LateFusionClassifier: "linear", LateFusionRegressor: "linear"}


def predictions(model, X):
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


@pytest.mark.parametrize(
    "estimator, expected",
    [
        (LogisticRegression(), False),
        (BOOSTING, True),
        (make_pipeline(StandardScaler(), BOOSTING), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (make_pipeline(StandardScaler(), SimpleImputer(), PCA(), LinearSVC()), True),
        (make_pipeline(PCA(), SimpleImputer(), LinearSVC()), False),
        (make_pipeline("passthrough", BOOSTING), True),
        (make_pipeline(None, make_pipeline(SimpleImputer(), LinearSVC())), True),
    ],
)
def test_accepts_nan(estimator, expected):
    """Pipelines accept NaN as far as an imputer, or to the end, if each step does."""
    assert accepts_nan(estimator) is expected


@pytest.mark.parametrize(
    "estimator, expected",
    [
        (LogisticRegression(), ["sample_weight"]),
        (GridSearchCV(LogisticRegression(), {}), ["sample_weight"]),
        (KNeighborsClassifier(), []),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), []),
        (make_pipeline(PCA(), LinearSVC()), ["linearsvc__sample_weight"]),
        (
            make_pipeline("passthrough", make_pipeline(StandardScaler(), Ridge())),
            [
                f"pipeline__{name}__sample_weight"
                for name in ("standardscaler", "ridge")
            ],
        ),
        (make_pipeline("passthrough"), []),
    ],
)
def test_weight_names(estimator, expected):
    assert weight_names(estimator) == expected


def test_all_classes_leaves_no_evidence_on_unseen_ones(seed):
    rng = np.random.RandomState(seed)
    X, y = rng.standard_normal((30, 2)), np.array(["a", "c"])[np.arange(30) % 2]
    model = LogisticRegression().fit(X, y)
    frequencies = np.array([16 / 34, 1 / 34, 16 / 34, 1 / 34])
    found = all_classes(model.predict_proba(X), [0, 2], frequencies, 0.0)
    assert_allclose(found[:, [1, 3]], 1 / 34)
    expected = model.predict_proba(X) * (1 - 2 / 34)
    assert_allclose(found[:, [0, 2]], expected)


def test_class_frequencies_by_hand():
    X, y, weight = np.zeros((4, 1)), [0, 0, 2, 1], [1.0, 2.0, 3.0, 0.0]
    model = LateFusionClassifier(GaussianNB(var_smoothing=1), combine="log")
    # Three classes and a weight of six: class 1 gets 1/9, at the others' expense.
    found = model.fit(X, y, sample_weight=weight).class_prior_
    assert_allclose(found, [4 / 9, 1 / 9, 4 / 9])
    assert_allclose(model.fit(X, y).class_prior_, [1 / 2, 1 / 4, 1 / 4])


@pytest.mark.parametrize("cls", ENSEMBLES)
def test_integer_cv_is_that_of_scikit_learn(cls, small_multimodal):
    X, y, widths = small_multimodal
    X[3] = np.nan
    weight = np.ones(60)
    weight[::9] = 0
    used = (weight > 0) & (np.arange(60) != 3)
    splitter = StratifiedKFold(4) if is_classifier(cls()) else KFold(4)
    folds = [
        tuple(np.flatnonzero(used)[part] for part in fold)
        for fold in splitter.split(X[used], y[used])
    ]
    found, expected = (
        cls(LINEAR.get(cls), modalities=widths, cv=cv) for cv in (4, folds)
    )
    for model in (found, expected):
        with pytest.warns(ModalityWarning, match="1 of 60 samples"):
            model.fit(X, y, sample_weight=weight)
    assert_array_equal(predictions(found, X[used]), predictions(expected, X[used]))


@pytest.mark.parametrize("cls", ENSEMBLES)
@pytest.mark.parametrize("n_rows", [2, 7, 30])
def test_fewer_samples_than_folds(cls, n_rows, seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_rows, 2))
    # Six classes of 1 to 9 samples if there are thirty.
    y = np.sort(np.minimum(rng.permutation(n_rows) // 4, 5))
    y[:1], y[-1:] = 7, 8
    model = cls(cv=5).fit(X, y)
    assert np.isfinite(predictions(model, X)).all()


def test_rare_classes_are_spread_over_folds(seed):
    rng = np.random.RandomState(seed)
    y = np.repeat(np.arange(20), 3)
    X = np.column_stack([y, y]) + 0.01 * rng.standard_normal((60, 2))
    model = LateFusionClassifier(KNeighborsClassifier(1), cv=5).fit(X, y)
    # Models that never saw the classes held out would get no weight.
    assert (model.modality_weights_ * model.count_weights_[0] > 0.5).all()
    scores = PatternClassifier(KNeighborsClassifier(1), cv=5).fit(X, y).scores_
    assert_allclose(scores, 0, atol=0.02)


class Memory(KNeighborsClassifier):
    """Notes pairs of the groups, the first column, in fit and in predict_proba."""

    pairs = []

    def fit(self, X, y):
        self.groups_ = {*X[:, 0]}
        return super().fit(X, y)

    def predict_proba(self, X):
        self.pairs.append((self.groups_, {*X[:, 0]}))
        return super().predict_proba(X)


@pytest.mark.parametrize("how", ["direct", "routed", "search"])
@pytest.mark.parametrize(
    "cls, n_models", [(LateFusionClassifier, 2), (PatternClassifier, 3)]
)
def test_folds_never_split_a_group(cls, n_models, how, monkeypatch, seed):
    """Groups reach the splitter: given to fit, by routing, and within a search."""
    monkeypatch.setattr(Memory, "pairs", [])
    rng = np.random.RandomState(seed)
    groups, y = rng.permutation(np.arange(60) % 12), rng.permutation(np.arange(60) % 2)
    X = np.column_stack([groups, y, groups, -y]) + 0.0
    model = cls(Memory(), modalities=[2, 2], cv=GroupKFold(4))
    if how == "search":
        model = GridSearchCV(model, {}, cv=GroupKFold(2), scoring="accuracy")
    with sklearn.config_context(enable_metadata_routing=how != "direct"):
        model.fit(X, y, groups=groups)
    held_out = [pair for pair in Memory.pairs if pair[0] != pair[1]]
    assert len(held_out) >= 4 * n_models
    assert all(fitted.isdisjoint(tested) for fitted, tested in held_out)
    assert set.union(*(tested for _, tested in held_out)) == set(range(12))


def test_groups_that_are_not_used(small_multimodal):
    X, y, widths = small_multimodal
    groups = np.arange(60) // 2
    model = LateFusionRegressor("linear", modalities=widths)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_params(cv=KFold(3))
        with pytest.raises((TypeError, UnsetMetadataPassedError), match="groups"):
            model.fit(X, y, groups=groups)
    with pytest.raises(ValueError, match="groups"):
        model.set_params(cv=GroupKFold(3)).fit(X, y)


def unseen_class(small_multimodal):
    X, y, widths = small_multimodal
    X[y == 2, :2] = np.nan
    rows = ~np.isnan(X).all(axis=1)
    return X[rows], y[rows], widths


@pytest.mark.parametrize("scale", [1e-300, 1 / 60, 0.5])
@pytest.mark.parametrize(
    "model",
    [
        LateFusionClassifier(GaussianNB()),
        LateFusionClassifier("linear", combine="mean"),
        LateFusionRegressor(LinearRegression()),
        LateFusionRegressor("linear"),
        PatternClassifier(min_samples=5),
        PatternRegressor(min_samples=5),
    ],
)
def test_equal_weights_below_one_are_no_weights(model, scale, small_multimodal):
    X, y, widths = unseen_class(small_multimodal)
    model = model.set_params(modalities=widths, cv=2)
    expected = predictions(clone(model).fit(X, y), X)
    weighted = clone(model).fit(X, y, sample_weight=np.full(len(y), scale))
    assert_allclose(predictions(weighted, X), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cls", [LateFusionClassifier, PatternRegressor])
def test_weights_with_a_mean_below_one_are_scaled_to_one(cls, small_multimodal):
    skip_if_weights_do_not_count(cls)
    X, y, widths = small_multimodal
    weight = np.arange(60) / 59 + 0.01
    model = cls(LINEAR.get(cls), modalities=widths, cv=2)
    small, one, double = (
        predictions(clone(model).fit(X, y, sample_weight=w), X)
        for w in (0.1 * weight, weight / weight.mean(), 2 * weight / weight.mean())
    )
    assert_allclose(small, one, rtol=1e-4)
    assert not np.allclose(double, one, rtol=1e-4)


@pytest.mark.parametrize("cls", ENSEMBLES)
def test_sample_weight_is_repetition(cls, small_multimodal):
    skip_if_weights_do_not_count(cls)
    X, y, widths = small_multimodal
    weight = np.arange(60) % 3
    rows = np.repeat(np.arange(60), weight)
    folds = list(KFold(3).split(X))
    repeated = [tuple(np.flatnonzero(np.isin(rows, f)) for f in fold) for fold in folds]
    model = cls(LINEAR.get(cls), modalities=widths, cv=folds)
    if hasattr(model, "min_samples"):
        model.min_samples = 1
    first = clone(model).fit(X, y, sample_weight=weight)
    second = clone(model).set_params(cv=repeated).fit(X[rows], y[rows])
    assert_allclose(predictions(first, X), predictions(second, X), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("cls", [LateFusionClassifier, PatternClassifier])
def test_sample_weight_needs_an_estimator_that_takes_it(cls, small_multimodal):
    X, y, widths = small_multimodal
    model = cls(KNeighborsClassifier(), modalities=widths).fit(X, y)
    with pytest.raises(ValueError, match="estimator=KNeighborsClassifier does not"):
        model.fit(X, y, sample_weight=np.ones(60))


@pytest.mark.parametrize("cls", [LateFusionClassifier, PatternRegressor])
def test_generator_of_folds_serves_one_fit(cls, small_multimodal):
    X, y, widths = small_multimodal
    model = cls(LINEAR.get(cls), modalities=widths, cv=KFold(3).split(X)).fit(X, y)
    expected = predictions(model, X)
    with pytest.raises(ValueError, match="at least one fold.*pass a list of its folds"):
        model.fit(X, 2 * y)
    assert_array_equal(predictions(model, X), expected)


@pytest.mark.parametrize("after", ["stacked", "variance", "log", "mean"])
@pytest.mark.parametrize("before", ["stacked", "variance", "log", "mean"])
def test_predictions_follow_what_was_fitted(before, after, small_multimodal):
    X, y, widths = small_multimodal
    classes = {LateFusionClassifier: "log", LateFusionRegressor: "variance"}
    for cls, other in classes.items():
        if {before, after} <= {"stacked", "mean", other}:
            model = cls(LINEAR.get(cls), modalities=widths, combine=before, cv=2).fit(
                X, y
            )
            expected = predictions(model, X)
            model.set_params(combine=after)
            assert_array_equal(predictions(model, X), expected)
            fresh = predictions(clone(model).fit(X, y), X)
            assert_array_equal(predictions(model.fit(X, y), X), fresh)


@pytest.mark.parametrize("cls", ENSEMBLES)
def test_masked_targets_are_refused(cls, small_multimodal):
    """What lies below a mask must not be learnt."""
    X, y, widths = small_multimodal
    y = np.ma.masked_where(np.arange(60) < 5, y)
    with pytest.raises(ValueError, match="y must have no masked values; 5 of 60"):
        cls(modalities=widths).fit(X, y)
    weight = np.ma.masked_where(np.arange(60) < 5, np.ones(60))
    with pytest.raises(ValueError, match="sample_weight must have no masked values"):
        cls(modalities=widths).fit(X, y.data, weight)
    with pytest.raises(ValueError, match="sample_weight must be numbers: .*'balanced'"):
        cls(modalities=widths).fit(X, y.data, "balanced")


@pytest.mark.parametrize("cls", [LateFusionClassifier, PatternClassifier])
@pytest.mark.parametrize(
    "class_weight, match",
    [
        ({0: -1.0}, "numbers from 0 to 1e\\+150 as values; got -1.0 for 0"),
        ({1: np.nan}, "got nan for 1"),
        ({1: "much"}, "got 'much' for 1"),
        ({0: 0, 1: 0, 2: 0}, "must be positive for a class of the samples"),
        ({7: 1}, r"must have classes of y, \[0, 1, 2\], as keys; got \[7\]"),
    ],
)
def test_wrong_class_weight(cls, class_weight, match, small_multimodal):
    X, y, widths = small_multimodal
    with pytest.raises(ValueError, match=f"class_weight .*{match}"):
        cls(modalities=widths, class_weight=class_weight).fit(X, y)


@pytest.mark.parametrize(
    "groups, error, match",
    [
        (np.arange(5), ValueError, r"shape \(60,\); got an array of shape \(5,\)"),
        (np.zeros((60, 2)), ValueError, r"got an array of shape \(60, 2\)"),
        (np.r_[np.nan, np.ones(59)], ValueError, "values; 1 of 60 are missing"),
        (np.array([None] + ["a"] * 59), ValueError, "1 of 60 are missing"),
        (np.array([1] + ["a"] * 59, object), TypeError, "numbers or .*; got int, str"),
    ],
)
def test_wrong_groups(groups, error, match, small_multimodal):
    X, y, widths = small_multimodal
    for cls in (LateFusionClassifier, PatternRegressor):
        with pytest.raises(error, match=f"groups must .*{match}"):
            cls(modalities=widths).fit(X, y, groups=groups)


def test_one_group_warns(small_multimodal):
    X, y, widths = small_multimodal
    model = LateFusionClassifier("linear", modalities=widths)
    with pytest.warns(ModalityWarning, match="all samples are in one group") as caught:
        model.fit(X, y, groups=np.zeros(60))
    assert [w.filename for w in caught] == [__file__]
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize(
    "test, match",
    [
        (np.arange(40, 61), "positions from 0 to 59; got some from 40 to 60"),
        (np.arange(-5, 0), "got some from -5 to -1"),
        (np.arange(5.0), r"got an array of shape \(5,\) and dtype float64"),
    ],
)
def test_positions_of_a_splitter(test, match, small_multimodal):
    X, y, widths = small_multimodal
    with pytest.raises(ValueError, match=f"cv must yield .*{match}"):
        LateFusionClassifier(
            "linear", modalities=widths, cv=[(np.arange(30), test)]
        ).fit(X, y)


@pytest.mark.parametrize("cls", ENSEMBLES)
def test_numbers_that_are_too_large(cls, small_multimodal):
    """Errors, not NaN: squares overflow, and trees read single precision."""
    X, y, widths = small_multimodal
    model = cls(
        modalities=widths, **({"estimator": LINEAR[cls]} if cls in LINEAR else {})
    )
    model.fit(X, y)
    huge = X.copy()
    huge[np.flatnonzero(~np.isnan(X[:, 1]))[0], 1] = -1e300
    match = r"X must stay below 1e\+38; 1 column has .* 1e\+300: 'x1'"
    for method in (lambda X: model.fit(X, y), model.predict):
        with pytest.raises(ValueError, match=match):
            method(huge)
    with pytest.raises(ValueError, match="sample_weight must stay below"):
        model.fit(X, y, np.r_[1e300, np.ones(59)])
    if not is_classifier(model):
        with pytest.raises(ValueError, match=r"y must stay below 1e\+150.*e\+300"):
            model.fit(X, (y + 1) * 1e300)
        with pytest.raises(TypeError, match="y must be numbers; got dtype datetime64"):
            model.fit(X, np.arange(60).astype("datetime64[D]"))


class NanClassifier(GaussianNB):
    def predict_proba(self, X):
        return np.full_like(super().predict_proba(X), np.nan)


class NanRegressor(Ridge):
    def predict(self, X):
        return np.full(len(X), np.nan)


@pytest.mark.parametrize(
    "model",
    [
        LateFusionClassifier([("a", GaussianNB()), ("b", NanClassifier())]),
        LateFusionClassifier(NanClassifier(), combine="log"),
        LateFusionRegressor([("a", Ridge()), ("b", NanRegressor())]),
        LateFusionRegressor(NanRegressor(), combine="mean"),
        PatternClassifier(NanClassifier()),
        PatternRegressor(NanRegressor(), select="largest"),
    ],
)
def test_inner_estimators_that_predict_nan(model, small_multimodal):
    X, y, widths = small_multimodal
    match = (
        r"predictions of estimator=Nan\w+\(.*\) must be finite; those for .* are not"
    )
    with pytest.raises(ValueError, match=match):
        clone(model).set_params(modalities=widths).fit(X, y).predict(X)


@pytest.mark.parametrize(
    "convert, match",
    [
        (lambda X: [X[:, :2], X[:, 2:]], "got a list of 2"),
        (lambda X: {"a": X[:, :2], "b": X[:, 2:]}, "got a dict of 2"),
    ],
)
def test_one_table_per_modality_is_refused(convert, match, small_multimodal):
    X, y, widths = small_multimodal
    with pytest.raises(TypeError, match=f"X must be one table; {match}.*numpy.hstack"):
        LateFusionClassifier(modalities=widths).fit(convert(X), y)


def test_targets_in_single_precision(small_multimodal):
    X, y, widths = small_multimodal
    model = LateFusionRegressor("linear", modalities=widths, cv=2)
    assert np.isfinite(model.fit(X, y.astype(np.float32)).predict(X)).all()
