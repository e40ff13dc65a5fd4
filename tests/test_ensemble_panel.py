"""Panels of late fusion and their kernel members, against plain loops."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import log_softmax, ndtr
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.multiclass import type_of_target

from skmissing._table import ModalityWarning
from skmissing.ensemble import (
    KernelLogisticClassifier,
    KernelRidgeClassifier,
    KernelRidgeRegressor,
    LateFusionClassifier,
    LateFusionRegressor,
    PatternClassifier,
    PatternRegressor,
    _members,
    _panel,
)
from skmissing.ensemble._base import EncodedClassifier, make_linear, tree_means
from skmissing.ensemble._least_squares import (
    FEW_SAMPLES,
    KernelLeastSquares,
    NormalScores,
    squared_euclidean,
    weighted_median,
)
from skmissing.ensemble._panel import (
    fit_narrow,
    measure_dependence,
    pool_log_loss,
    pool_squared_error,
)

LINEAR = make_linear(classifier=True)
KERNELS = [
    KernelRidgeClassifier(),
    KernelRidgeClassifier("laplacian"),
    KernelRidgeClassifier("relevance"),
    KernelLogisticClassifier(),
]


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    """Forests of named panels are small here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_panel, "N_TREES", 15)
        yield


def make_folds(labels, n_folds=3):
    """Folds by the number of each sample, as lists of positions."""
    return [
        (np.flatnonzero(labels % n_folds != k), np.flatnonzero(labels % n_folds == k))
        for k in range(n_folds)
    ]


@pytest.fixture
def rings():
    """Two modalities in which the classes are rings: no line separates them."""
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=240)
    X = np.concatenate(
        [
            (1.5 * y[:, None] + 1) * v / np.linalg.norm(v, axis=1)[:, None]
            + 0.3 * rng.standard_normal((240, 2))
            for v in rng.standard_normal((2, 240, 2))
        ],
        axis=1,
    )
    X[:60, :2] = X[60:120, 2:] = np.nan
    return X, y


@pytest.mark.parametrize("few", [True, False])
def test_held_out_least_squares_equal_refits(few):
    """The closed form gives what solutions without the fold predict for it."""
    rng = np.random.RandomState(0)
    A, Y, weight = rng.randn(60, 3), rng.randn(60, 2), rng.rand(60) + 0.2
    folds = np.array_split(rng.permutation(60), 4)
    solver = KernelLeastSquares("rbf", 60 if few else 20, 0)
    solver.choose(A, Y, weight, folds, [0.7], [0.3], lambda F, rows: (1.0, 0.0))
    K = np.exp(-0.7 * squared_euclidean(A, A) / solver.median)
    L = np.exp(-0.7 * squared_euclidean(A, solver.landmarks) / solver.median)
    inner = np.exp(
        -0.7 * squared_euclidean(solver.landmarks, solver.landmarks) / solver.median
    )
    if not few:  # the kernel that the landmarks stand for
        K = L @ np.linalg.pinv(inner, rcond=1e-12, hermitian=True) @ L.T
    for rows in folds:
        rest = np.setdiff1d(np.arange(60), rows)
        penalty = 0.3 * np.diag(1 / weight[rest])
        coef = np.linalg.solve(K[np.ix_(rest, rest)] + penalty, Y[rest])
        expected = K[np.ix_(rows, rest)] @ coef
        np.testing.assert_allclose(solver.F[rows], expected, atol=1e-6)


def test_normal_scores_are_midranks():
    """Few and many samples, ties and weights give the same mid-ranks."""
    rng = np.random.RandomState(0)
    X, weight = rng.randint(6, size=(40, 3)).astype(float), rng.randint(1, 4, size=40)
    repeated = np.repeat(X, weight, axis=0)
    scores = NormalScores(X, weight.astype(float))
    expected = NormalScores(repeated, np.ones(len(repeated)))
    many = scores(X)
    np.testing.assert_allclose(many, expected(X), atol=1e-12)
    np.testing.assert_allclose(many[:5], scores(X[:5]), atol=1e-12)
    by_hand = (repeated[:, 0] < 3).sum() + (repeated[:, 0] == 3).sum() / 2
    three = np.flatnonzero(X[:, 0] == 3)[0]
    share = (by_hand + 0.5) / (len(repeated) + 1)
    np.testing.assert_allclose(ndtr(many[three, 0]), share)


@pytest.mark.parametrize("cls", [ExtraTreesClassifier, RandomForestRegressor])
def test_few_samples_pass_all_trees_at_once(cls):
    """As scikit-learn does it, also after refits; copies are not larger."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(80, 4), rng.randint(4, size=80)
    forest = cls(7, random_state=0)
    method = forest.predict_proba if hasattr(cls, "predict_proba") else forest.predict
    for rows in (slice(20), slice(80)):
        forest.fit(X[rows], y[rows])
        size = len(pickle.dumps(forest))
        for few in (X[:1], X[-FEW_SAMPLES:], np.where(X[:3] > 1, np.nan, X[:3])):
            found = tree_means(forest, few)
            expected = method(few).reshape(found.shape)
            np.testing.assert_allclose(found, expected, atol=1e-14)
        assert len(pickle.dumps(forest)) == size
    grown = forest.set_params(n_estimators=9, warm_start=True).fit(X, y)
    expected = method(X[:1]).ravel()
    np.testing.assert_allclose(tree_means(grown, X[:1])[0], expected, atol=1e-14)


def test_weighted_median_counts_pairs():
    """Weights are repetitions of rows."""
    rng = np.random.RandomState(0)
    D = squared_euclidean(*[rng.randn(9, 2)] * 2)
    weight = rng.randint(1, 4, size=9)
    rows = np.repeat(np.arange(9), weight)
    expected = np.median(D[np.ix_(rows, rows)])
    assert weighted_median(D, weight.astype(float)) == pytest.approx(expected)


@pytest.mark.parametrize("estimator", KERNELS, ids=lambda e: f"{type(e).__name__}")
def test_weights_are_repetitions(estimator):
    """A weight of two is the sample twice, in the same fold."""
    rng = np.random.RandomState(0)
    X, times = rng.randn(40, 3), rng.randint(1, 4, size=40)
    y = (X[:, 0] + 0.3 * rng.randn(40) > 0).astype(int)
    number = np.arange(40)
    rows = np.repeat(number, times)
    weighted = estimator.set_params(cv=make_folds(number)).fit(X, y, times)
    expected = weighted.predict_proba(X)
    repeated = estimator.set_params(cv=make_folds(rows)).fit(X[rows], y[rows])
    np.testing.assert_allclose(repeated.predict_proba(X), expected, atol=1e-8)


def test_splitter_must_be_a_partition():
    """Held-out predictions need each sample once."""
    X, y = np.random.RandomState(0).randn(20, 2), np.arange(20) % 2
    folds = [(np.arange(10), np.arange(10, 20))]
    with pytest.raises(ValueError, match="exactly one test set; 10 of 20 samples"):
        KernelRidgeClassifier(cv=folds).fit(X, y)


@pytest.mark.parametrize(
    "cls, name",
    [
        (KernelRidgeRegressor, "gamma"),
        (KernelRidgeClassifier, "alpha"),
        (KernelLogisticClassifier, "gamma"),
        (KernelLogisticClassifier, "C"),
    ],
)
@pytest.mark.parametrize("values", [[1, 0], [], [np.nan], ["a"], [None], [[1, 2]]])
def test_widths_and_penalties_are_positive(cls, name, values):
    """The error names the parameter and its value."""
    match = rf"{name} must be positive; got {re.escape(str(values))}"
    with pytest.raises(ValueError, match=match):
        cls(**{name: values}).fit(np.eye(6), np.arange(6) % 2)


KERNELS = [KernelRidgeClassifier, KernelRidgeRegressor, KernelLogisticClassifier]


@pytest.mark.parametrize("cls", KERNELS)
@pytest.mark.parametrize("n_samples", [1, 3, 10])
def test_kernels_of_few_samples(cls, n_samples):
    """There may be fewer samples, or of each class, than folds."""
    X = np.random.RandomState(0).standard_normal((n_samples, 2))
    model = cls().fit(X, np.arange(n_samples) % 3)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("cls", KERNELS)
def test_wrong_targets_and_folds_of_kernels(cls):
    X, y = np.eye(6), np.arange(6) % 2
    with pytest.raises(ValueError, match="y must have no masked values; 3 of 6"):
        cls().fit(X, np.ma.masked_equal(y, 1))
    with pytest.raises(ValueError, match=r"groups must have .*got .* shape \(3,\)"):
        cls().fit(X, y, groups=[0, 1, 2])
    with pytest.raises(ValueError, match="groups must have no missing .* 1 of 6"):
        cls().fit(X, y, groups=pd.array(["p"] * 5 + [None], dtype="string"))
    with pytest.raises(ValueError, match="6 of 6 samples are in none"):
        cls(cv=iter([])).fit(X, y)
    if cls is KernelRidgeRegressor:
        with pytest.raises(ValueError, match=r"y must stay below 1e\+150"):
            cls().fit(X, y * 1e300)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_laplacian_kernel_knows_no_units(scale):
    """Squares neither overflow nor vanish."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((40, 3)), np.arange(40) % 2
    expected = KernelRidgeClassifier("laplacian").fit(X, y).predict_proba(X)
    model = KernelRidgeClassifier("laplacian").fit(X * scale, y)
    np.testing.assert_allclose(model.predict_proba(X * scale), expected, atol=1e-9)


def test_panel_beats_the_line(rings):
    """Where no line separates the classes, kernels and trees get the weight."""
    X, y = rings
    linear, panel = (
        LateFusionClassifier(estimator, modalities=[2, 2], random_state=0)
        .fit(X[::2], y[::2])
        for estimator in ("linear", "auto")
    )  # fmt: skip
    assert panel.score(X[1::2], y[1::2]) > linear.score(X[1::2], y[1::2]) + 0.2
    for name in ("modality0", "modality1"):
        members = panel.oof_scores_.members[name]
        assert set(members) == {"linear", "rbf", "trees"}
        assert members["linear"] > members["rbf"] > panel.oof_scores_.total
        assert panel.pool_weights_[name]["linear"] < panel.pool_weights_[name]["rbf"]
        assert panel.named_estimators_[name].rbf.classes_.tolist() == [0, 1]
        assert panel.named_estimators_[name].rbf.cv == 5


@pytest.mark.parametrize("n_columns, n_classes", [(1, 2), (1, 5), (3, 2), (3, 4)])
@pytest.mark.parametrize("weighted", [True, False])
def test_narrow_linear_models_are_those_of_scikit_learn(n_columns, n_classes, weighted):
    """Newton's method finds them, held out or not; folds may lack classes."""
    rng = np.random.RandomState(0)
    codes = rng.randint(n_classes, size=90)
    X = 100 + 7 * rng.randn(90, n_columns) + 10 * codes[:, None]
    X[:, -1] = 5.0 if n_columns > 1 else X[:, -1]
    weight = rng.randint(1, 5, size=90).astype(float) if weighted else np.ones(90)
    params = {f"{step}__sample_weight": weight for step in LINEAR.named_steps}
    template = clone(LINEAR).set_params(logisticregression__tol=1e-8)

    def fit(rows):
        part = {name: value[rows] for name, value in params.items()}
        args = X[rows], codes[rows], weight[rows], part, np.arange(n_classes)
        return EncodedClassifier.fit(template, *args)

    folds = make_folds(np.arange(90))
    # Without class 0, and with class 1 only.
    folds[1] = np.intersect1d(folds[1][0], np.flatnonzero(codes)), folds[1][1]
    folds[2] = np.flatnonzero(codes == 1), folds[2][1]
    member, E = fit_narrow(X, codes, weight, folds, n_classes)
    for inside, outside in folds:
        expected = fit(inside).evidence(X[outside])
        np.testing.assert_allclose(E[outside], expected, atol=5e-4)
    expected, every = fit(np.arange(90)), np.arange(90)
    for ours, theirs in zip(member.model, expected.model):
        assert vars(ours).keys() == vars(theirs).keys()
        for name, value in vars(theirs).items():
            if name.endswith("_") and name not in ("n_iter_", "n_samples_seen_"):
                np.testing.assert_allclose(vars(ours)[name], value, rtol=1e-3)
    proba = member.model.predict_proba(X[every])
    np.testing.assert_allclose(proba, expected.predict_proba(X), atol=1e-4)


def test_separated_narrow_classes_need_no_special_case():
    """Large weights, and a column that separates the classes."""
    X, codes = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    member, _ = fit_narrow(X, codes, np.full(20, 1e5), [], 2)
    weight = {f"{step}__sample_weight": np.full(20, 1e5) for step in LINEAR.named_steps}
    expected = clone(LINEAR).fit(X, codes, **weight)[-1].coef_
    np.testing.assert_allclose(member.model[-1].coef_, expected, rtol=0.05)


def test_default_linear_model_predicts_as_scikit_learn(rings):
    """Its short cut skips the checks only."""
    X, y = rings
    for labels in (y, np.arange(240) % 3):
        model = LateFusionClassifier("linear", modalities=[2, 2], combine="mean")
        model.fit(X, labels)
        expected = model.estimators_[0].predict_proba(X[60:120, :2])
        np.testing.assert_allclose(model.predict_proba(X[60:120]), expected)


@pytest.mark.parametrize("cls", [LateFusionClassifier, LateFusionRegressor])
def test_many_narrow_modalities_are_linear(cls, monkeypatch):
    """Named panels of narrow modalities are; wide ones, and other panels, stay."""
    rng = np.random.RandomState(0)
    X = rng.randn(60, 65)
    y = (X[:, 0] > 0).astype(int)
    with pytest.warns(ModalityWarning, match="with a linear model of its own"):
        cls("auto", combine="mean").fit(X, y)
    monkeypatch.setattr(_members, "MANY_MODALITIES", 5)
    widths = {"wide": 10, "pair": 2} | {f"m{i}": 1 for i in range(4)}
    X = X[:, :16]
    model = cls("auto", modalities=widths, combine="mean", random_state=0).fit(X, y)
    weights = model.pool_weights_
    assert set(weights["wide"]) == {"linear", "rbf", "trees"}
    assert set(weights["pair"]) == set(weights["m3"]) == {"linear"}


def test_pool_of_log_loss_is_a_minimum():
    """No step away lowers the penalised loss; equal members get equal weights."""
    rng = np.random.RandomState(0)
    E, codes, weight = rng.randn(50, 3, 4), rng.randint(4, size=50), rng.rand(50) * 9
    E[:, 2] = E[:, 1]
    log_prior = np.log([0.1, 0.2, 0.3, 0.4])

    def loss(a):
        L = log_softmax(log_prior + np.einsum("nek,e->nk", E, a), axis=1)
        away = 50 * ((a - 1 / 3) ** 2).sum()
        return -(weight * L[np.arange(50), codes]).sum() + away

    best = pool_log_loss(E, codes, weight, log_prior)
    assert best[1] == pytest.approx(best[2], abs=1e-3)
    for step in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        if (best + step >= 0).all():
            assert loss(best + step) >= loss(best) - 1e-4


def test_pool_of_squared_error_is_a_minimum():
    """The same for regression; a constant target leaves equal weights."""
    rng = np.random.RandomState(0)
    P, y, weight = rng.randn(50, 3), rng.randn(50), rng.rand(50)
    best = pool_squared_error(P, y, weight)
    variance = weight @ y**2 / weight.sum()

    def loss(a):
        error = (weight * (y - P @ a) ** 2).sum() / variance
        return 0.5 * error + 10 * ((a - 1 / 3) ** 2).sum()

    for step in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        if (best + step >= 0).all():
            assert loss(best + step) >= loss(best) - 1e-6
    assert pool_squared_error(P, 0 * y, weight).tolist() == [1 / 3] * 3


@pytest.mark.parametrize(
    "estimator",
    [
        [("bayes", GaussianNB()), ("line", LogisticRegression())],
        [("margin", LinearSVC()), ("trees", ExtraTreesClassifier(20))],
        {"modality0": "linear", "modality1": GaussianNB()},
        {"modality0": [("a", GaussianNB()), ("b", LinearSVC())], "modality1": "linear"},
        LinearSVC(),
    ],
    ids=str,
)
def test_panels_of_ones_own(rings, estimator):
    """Lists, dicts and classifiers without probabilities give probabilities."""
    X, y = rings
    labels = np.array(["inner", "outer"])[y]
    model = LateFusionClassifier(estimator, modalities=[2, 2]).fit(X, labels)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert set(model.predict(X)) <= {"inner", "outer"}


@pytest.mark.parametrize("cls", [KernelLogisticClassifier, KernelRidgeClassifier])
def test_parameters_are_chosen_on_some_landmarks(cls, rings, monkeypatch):
    """The model is fitted to all of them, and is about as good on held-out samples."""
    X, y = np.nan_to_num(rings[0]), rings[1]
    model = cls(cv=3, gamma=[0.1, 1.0, 10.0])
    whole = model.fit(X, y).oof_log_proba_
    for name in ("_kernels", "_least_squares"):
        monkeypatch.setattr(f"skmissing.ensemble.{name}.ENOUGH_SAMPLES", len(X) // 3)
    part = model.fit(X, y).oof_log_proba_
    right = [(log_proba.argmax(axis=1) == y).mean() for log_proba in (whole, part)]
    assert right[1] > right[0] - 0.05


@pytest.mark.parametrize(
    "estimator, match",
    [
        ("best", "estimator"),
        ({"modality0": "auto"}, "per modality, 'modality0', 'modality1'; got"),
        ([("a", GaussianNB()), ("a", GaussianNB())], "pairs .* with different names"),
        ({"modality0": "huge", "modality1": "auto"}, "one of .*'auto'.* got 'huge'"),
        ([], "list of pairs"),
        ([GaussianNB()], "list of pairs"),
        (["linear", "lines"], "one of 'linear', .*'logistic'; got 'lines'"),
    ],
)
def test_wrong_panels(rings, estimator, match):
    """The error says what a panel is."""
    X, y = rings
    with pytest.raises(ValueError, match=match):
        LateFusionClassifier(estimator, modalities=[2, 2]).fit(X, y)


def test_groups_reach_every_member(rings):
    """With groups, no member is judged on samples of a group that it was fitted on."""
    X, y = rings
    X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
    groups = np.repeat(np.arange(240), 2)
    rng = np.random.RandomState(0)
    noise = rng.permutation(y[::2]).repeat(2)  # labels that only twins can tell
    model = LateFusionClassifier("auto", modalities=[2, 2], random_state=0)
    grouped = model.fit(X, noise, groups=groups).oof_scores_
    with pytest.warns(ModalityWarning, match="samples look dependent"):
        free = model.fit(X, noise).oof_scores_
    for member in ("rbf", "trees"):
        assert grouped.members["modality0"][member] > 0.65
        assert grouped.members["modality0"][member] > free.members["modality0"][member]


@pytest.mark.parametrize("estimator", ["linear", "auto", "full"])
def test_units_of_the_target_change_nothing(estimator):
    """Targets in other units give predictions in these units."""
    rng = np.random.RandomState(0)
    X = rng.randn(90, 4)
    y = X[:, 0] + np.sin(3 * X[:, 2]) + 0.1 * rng.randn(90)
    X[:20, :2] = X[20:40, 2:] = np.nan
    model = LateFusionRegressor(estimator, modalities=[2, 2], random_state=0)
    expected = model.fit(X, y).predict(X)
    found = model.fit(X, 3e5 + 1e5 * y).predict(X)
    np.testing.assert_allclose((found - 3e5) / 1e5, expected, atol=1e-6)


def test_regression_panels():
    """Members of the user; forests by their out-of-bag predictions."""
    rng = np.random.RandomState(0)
    X = rng.randn(120, 4)
    y = 100 * np.abs(X[:, 0]) + 50 * X[:, 2]
    panel = [("forest", RandomForestRegressor(30, oob_score=True)), ("line", Ridge())]
    model = LateFusionRegressor(panel, modalities=[2, 2]).fit(X[:90], y[:90])
    members = model.oof_scores_.members["modality0"]
    assert members["forest"] < members["line"]
    assert model.score(X[90:], y[90:]) > 0.5


class FussyClassifier(LogisticRegression):
    """Wants the classes 0, 1, ... and predicts a column, as boosting libraries do."""

    def fit(self, X, y, sample_weight=None):
        assert np.array_equal(np.unique(y), np.arange(len(np.unique(y))))
        return super().fit(X, y, sample_weight)

    def predict(self, X):
        return super().predict(X)[:, None]


@pytest.mark.parametrize("cls", [LateFusionClassifier, PatternClassifier])
def test_models_see_numbers_of_the_classes(cls):
    """Also where a modality lacks a class."""
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=300)
    X = rng.standard_normal((300, 4)) + y[:, None]
    X[y == 1, :2] = np.nan
    numbers, labels = (
        cls(FussyClassifier(), modalities=[2, 2]).fit(X, target).predict(X)
        for target in (y, np.array(["b", "c", "a"])[y])
    )  # fmt: skip
    assert set(labels) == {"a", "b", "c"}
    assert np.mean(numbers == y) > 0.6
    plain = cls(LogisticRegression(), modalities=[2, 2]).fit(X, y).predict(X)
    np.testing.assert_array_equal(numbers, plain)


@pytest.fixture
def rare():
    """A tenth of the samples are of the class "yes", which is hard to tell."""
    rng = np.random.RandomState(0)
    y = np.where(np.arange(200) % 10 == 0, "yes", "no")
    X = rng.standard_normal((200, 4)) + 0.7 * (y == "yes")[:, None]
    X[:50, :2] = X[50:100, 2:] = np.nan
    return X, y


@pytest.mark.parametrize(
    "model",
    [
        LateFusionClassifier("auto", modalities=[2, 2], random_state=0),
        LateFusionClassifier("linear", modalities=[2, 2], combine="mean"),
        PatternClassifier(modalities=[2, 2]),
    ],
    ids=str,
)
def test_class_weight_is_sample_weight(rare, model):
    """Balanced classes are found more often; a dict is the same by hand."""
    X, y = rare
    weight = np.where(y == "yes", 5.0, 10 / 9 / 2)
    expected = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    balanced = clone(model).set_params(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X), expected, atol=1e-6)
    by_hand = clone(model).set_params(class_weight={"yes": 5.0, "no": 10 / 9 / 2})
    found = by_hand.fit(X, y).predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.mean(balanced.predict(X) == "yes") > 0.2
    assert np.mean(model.fit(X, y).predict(X) == "yes") < 0.1
    with pytest.raises(
        ValueError, match=r"classes of y, \['no', 'yes'\].* got \['x'\]"
    ):
        model.set_params(class_weight={"x": 1}).fit(X, y)
    model.set_params(class_weight="balanced", estimator=KNeighborsClassifier())
    with pytest.raises(ValueError, match="class_weight must be None, because the fit"):
        model.fit(X, y)
    model.set_params(class_weight=None)


@pytest.mark.parametrize("class_weight", ["balanced", {"yes": 9.0}])
def test_votes_of_balanced_members_are_corrected(rare, class_weight):
    """Evidence is relative to the frequencies that the member was made to see."""
    X, y = rare
    plain, balanced = (
        LateFusionClassifier(
            LogisticRegression(class_weight=w, C=1e6), modalities=[2, 2], combine="log"
        )
        .fit(X, y)
        .predict_proba(X)
        for w in (None, class_weight)
    )  # fmt: skip
    assert np.abs(plain - balanced).mean() < 0.02


@pytest.mark.parametrize("estimator", ["linear", "auto"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("combine", ["stacked", "log"])
def test_contributions_of_classes_add_up(rings, estimator, n_classes, combine):
    """Prior and contributions are the log-probabilities, up to a constant."""
    X, y = rings
    y = y + (np.arange(240) % n_classes == 2)
    model = LateFusionClassifier(
        estimator, modalities=[2, 2], combine=combine, random_state=0
    ).fit(X, y)
    parts = model.contributions(X)
    assert (parts[:60, 0] == 0).all()
    log_proba = model.predict_log_proba(X)
    if n_classes == 2:
        prior = np.subtract(*np.log(model.class_prior_[::-1]))
        found = prior + parts.sum(axis=1)
        np.testing.assert_allclose(found, log_proba[:, 1] - log_proba[:, 0], atol=1e-9)
    else:
        found = log_softmax(np.log(model.class_prior_) + parts.sum(axis=1), axis=1)
        np.testing.assert_allclose(found, log_proba, atol=1e-9)


def test_averaged_probabilities_have_no_contributions(rings):
    model = LateFusionClassifier("linear", modalities=[2, 2], combine="mean")
    with pytest.raises(ValueError, match="combine must be 'stacked' or 'log'"):
        model.fit(*rings).contributions(rings[0])


@pytest.mark.parametrize("estimator", ["auto", Ridge()])
@pytest.mark.parametrize("combine", ["stacked", "variance", "mean"])
def test_contributions_of_numbers_add_up(rings, estimator, combine):
    X, y = rings
    y = 1e4 * (3 + y)
    model = LateFusionRegressor(
        estimator, modalities=[2, 2], combine=combine, random_state=0
    ).fit(X, y)
    total = model.target_mean_ + model.contributions(X).sum(axis=1)
    np.testing.assert_allclose(total, model.predict(X), rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-4, 1e6])
def test_pattern_models_know_no_units(rings, unit):
    X, y = rings
    y = y + X[:, 2:].sum(axis=1, where=~np.isnan(X[:, 2:]))
    model = PatternRegressor(modalities=[2, 2])
    expected, scores = model.fit(X, y).predict(X), model.scores_
    found = model.fit(X, unit * y).predict(X)
    np.testing.assert_allclose(found / unit, expected, atol=1e-7)
    np.testing.assert_allclose(model.scores_ / unit**2, scores)


def make_twins(classifier):
    """Samples of persons, in runs; the target is the person's, and unrelated to X."""
    rng = np.random.RandomState(0)
    person = np.repeat(np.arange(30), 4)
    y = rng.randint(2, size=30)[person] if classifier else rng.randn(30)[person]
    return rng.randn(30, 6)[person] + 0.2 * rng.randn(120, 6), y, person


@pytest.mark.parametrize("cls", [LateFusionClassifier, LateFusionRegressor])
def test_dependent_samples_warn(cls):
    """Runs of samples of one person do; shuffled ones, and given groups, do not."""
    X, y, person = make_twins(cls is LateFusionClassifier)
    model = cls("auto", modalities={"face": 3, "voice": 3}, random_state=0)
    match = (
        f"{cls.__name__}: samples look dependent. On '(face|voice)'.* groups= .*routing"
    )
    with pytest.warns(ModalityWarning, match=match):
        model.fit(X, y)
    assert min(model.dependence_.values()) > 0.1
    assert clone(model).fit(X, y, groups=person).dependence_ == {}
    order = np.random.RandomState(0).permutation(120)
    shuffled = clone(model).fit(X[order], y[order])
    assert max(shuffled.dependence_.values()) < 0.1


@pytest.mark.parametrize("classifier", [True, False])
def test_independent_samples_rarely_look_dependent(classifier):
    """The ratio of the guard is that of a random fold among others."""
    ratios = []
    for seed in range(40):
        rng = np.random.RandomState(seed)
        X = rng.randn(80, 3)
        y = X[:, 0] + 0.5 * rng.randn(80)
        y = np.sort(y > 0).astype(int) if classifier else y
        ratios.append(measure_dependence(X, y, classifier, 0)[1])
    assert np.max(ratios) < 5
    assert abs(np.mean(ratios)) < 0.6
    assert 0.6 < np.std(ratios) < 1.7


def test_named_panels_have_no_parameters(rings):
    """Searches over them fail with an error that says so."""
    match = "estimator__C needs an estimator .*; got estimator='auto', a panel"
    with pytest.raises(ValueError, match=match):
        LateFusionClassifier().set_params(estimator__C=1)
    with pytest.raises(ValueError, match=match):
        GridSearchCV(LateFusionClassifier(), {"estimator__C": [1]}).fit(*rings)
    model = LateFusionClassifier().set_params(estimator=Ridge(), estimator__alpha=2)
    assert model.estimator.alpha == 2


@pytest.mark.parametrize("cls", [LateFusionClassifier, LateFusionRegressor])
@pytest.mark.parametrize("routing", [True, False])
def test_members_by_name(rings, cls, routing):
    """Alone or renamed; with members of the user, also with metadata routing."""
    X, y = rings
    own = GaussianNB() if cls is LateFusionClassifier else Ridge()
    panel = ["linear", ("smooth", "rbf"), ("own", own)]
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            own.set_fit_request(sample_weight=True)
        model = cls(panel, modalities=[2, 2]).fit(X, y, sample_weight=np.ones(240))
    members = model.named_estimators_.modality0
    assert list(members) == ["linear", "smooth", "own"]
    assert type(members.smooth).__name__.startswith("KernelRidge")
    named = cls(["linear"], modalities=[2, 2]).fit(X, y)
    plain = cls("linear", modalities=[2, 2]).fit(X, y)
    np.testing.assert_array_equal(named.predict(X), plain.predict(X))


class NoisyClassifier(GaussianNB):
    """Warns as scikit-learn does, or fails."""

    def __init__(self, fails=False):
        super().__init__()
        self.fails = fails

    def fit(self, X, y, sample_weight=None):
        if self.fails:
            raise TypeError("too hard")
        warnings.warn("The least populated class in y has only 1 members", stacklevel=1)
        type_of_target(np.arange(30))
        return super().fit(X, y)


def test_errors_and_warnings_of_members(rings):
    """Errors name the member; warnings that come of our folds are not shown."""
    X, y = rings
    panel = ["linear", ("noisy", NoisyClassifier())]
    LateFusionClassifier(panel, modalities=[2, 2]).fit(X, y)
    panel[1] = ("noisy", NoisyClassifier(fails=True))
    with pytest.raises(TypeError, match="too hard") as caught:
        LateFusionClassifier(panel, modalities=[2, 2]).fit(X, y)
    note = "In the fit of member 'noisy' to modality 'modality0'."
    assert note in caught.value.__notes__


def test_searches_pass_groups_to_the_model(rings):
    """With metadata routing, as the guide says; the warning says so."""
    X, y = rings
    groups, folds = np.arange(240) // 4, GroupKFold(2)
    model = LateFusionClassifier("linear", modalities=[2, 2], cv=folds)
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(model, {"combine": ["log", "stacked"]}, cv=folds)
        assert search.fit(X, y, groups=groups).best_score_ > 0.3
