"""Shapley values against slow loops, known games and known models."""

import itertools
import math
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skmissing.inspection import modality_importance
from skmissing.inspection._importance import (
    all_subsets,
    exact_shapley,
    prefixes,
    sample_orders,
    sampled_shapley,
)
from skmissing.inspection._scoring import PredictedRows

WIDTHS = [2, 3, 1]


class Stub(ClassifierMixin, BaseEstimator):
    """Predicts by a rule, counts calls, and warns about rows with nothing."""

    def __init__(self, rule=None, refuse_empty=False):
        self.rule = rule
        self.refuse_empty = refuse_empty

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_calls_ = 0
        return self

    def predict(self, X):
        self.n_calls_ += 1
        empty = np.isnan(X).all(axis=1)
        if empty.any():
            if self.refuse_empty:
                raise ValueError("rows with nothing")
            warnings.warn(f"{empty.sum()} rows with nothing", UserWarning, stacklevel=2)
        return self.rule(X)


@pytest.fixture
def data(small_multimodal):
    """Rows with gaps, labels, and a classifier for them."""
    X, y, _ = small_multimodal
    model = make_pipeline(
        SimpleImputer(keep_empty_features=True), LogisticRegression(max_iter=500)
    )
    return X, y, model.fit(X, y)


def random_game(n_players, rng, n_games=2):
    """A value for every subset, drawn at random."""
    return {s: rng.standard_normal(n_games) for s in all_subsets(n_players)}


def slow_shapley(values, n_players):
    """Mean gain over every order, one by one."""
    shares = np.zeros((n_players, len(values[frozenset()])))
    for order in itertools.permutations(range(n_players)):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            shares[player] += values[before | {player}] - values[before]
    return shares / math.factorial(n_players)


def test_exact_shapley_equals_mean_over_all_orders(seed):
    """Random games of four players."""
    values = random_game(4, np.random.RandomState(seed))
    np.testing.assert_allclose(exact_shapley(values, 4), slow_shapley(values, 4))


def test_shapley_by_hand():
    """The glove game: a left glove and two right ones, a pair is worth 1."""
    worth = [0, 0, 0, 0, 1, 1, 0, 1]
    values = {s: np.array([float(w)]) for s, w in zip(all_subsets(3), worth)}
    np.testing.assert_allclose(exact_shapley(values, 3).ravel(), [2 / 3, 1 / 6, 1 / 6])


def test_sampled_shapley_with_all_orders_is_exact(seed):
    """And any set of orders adds up to the value of all."""
    rng = np.random.RandomState(seed)
    values = random_game(4, rng)
    forward = [o for o in itertools.permutations(range(4)) if o[0] < o[-1]]
    orders = np.array([order for f in forward for order in (f, f[::-1])])
    exact = slow_shapley(values, 4)
    np.testing.assert_allclose(sampled_shapley(values, orders, rng)[:, 0], exact[:, 0])
    few = sample_orders(4, 3, rng)
    assert len(few) == 4 and set(prefixes(few)) <= set(values)
    np.testing.assert_array_equal(few[1], few[0][::-1])
    gain = values[frozenset(range(4))] - values[frozenset()]
    np.testing.assert_allclose(sampled_shapley(values, few, rng).sum(axis=0), gain)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc_ovr"])
def test_importances_add_up(data, scoring):
    """To the full score less that of the constant prediction, each bootstrap too."""
    X, y, model = data
    result = modality_importance(
        model, X, y, modalities=WIDTHS, scoring=scoring, n_bootstraps=10, random_state=0
    )
    scorer = get_scorer(scoring or "accuracy")
    nothing = np.full_like(X, np.nan)
    assert result.full_score == pytest.approx(scorer(model, X, y))
    assert result.empty_score == pytest.approx(scorer(model, nothing, y))
    gain = result.full_score - result.empty_score
    assert result.importance.sum() == pytest.approx(gain)
    assert result.bootstraps.shape == (3, 10)
    assert (result.interval[:, 0] <= result.interval[:, 1]).all()


def test_importances_add_up_with_many_modalities():
    """Beyond ten modalities orders are sampled; the sum is still exact."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], 30)
    X = rng.standard_normal((60, 11))
    X[:, 0] += 3 * y
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, y)
    result = modality_importance(
        model, X, y, n_permutations=3, n_bootstraps=5, random_state=0
    )
    gain = result.full_score - result.empty_score
    assert result.importance.sum() == pytest.approx(gain)
    assert result.importance.argmax() == 0
    again = modality_importance(
        model, X, y, n_permutations=3, n_bootstraps=5, random_state=0
    )
    np.testing.assert_array_equal(again.interval, result.interval)


def test_importance_of_known_models():
    """A modality never used is worth exactly 0; two that say the same share it."""
    y = np.tile([0, 1], 50)
    X = np.column_stack([y, y, np.arange(100.0)])

    def rule(X):
        return (np.where(np.isnan(X[:, :2]), 0, X[:, :2]).max(axis=1) > 0.5).astype(int)

    model = Stub(rule).fit(X, y)
    result = modality_importance(model, X, y, random_state=0)
    np.testing.assert_allclose(result.importance, [0.25, 0.25, 0])
    assert (result.full_score, result.empty_score) == (1, 0.5)
    np.testing.assert_array_equal(result.interval[2], 0)


def test_predictions_are_made_once_a_subset(data):
    """However many bootstraps, if the scorer needs predictions only."""
    X, y, _ = data
    model = Stub(lambda X: np.zeros(len(X), dtype=int)).fit(X, y)
    modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=50)
    assert model.n_calls_ == 8


def test_other_scorers_predict_anew_to_the_same_end(data):
    """A callable gives what the named scorer gives, resample by resample."""
    X, y, model = data
    kept = {"modalities": WIDTHS, "n_bootstraps": 8, "random_state": 3}
    weight = np.random.RandomState(0).uniform(size=len(y))

    def callable_scorer(estimator, X, y, sample_weight=None):
        return accuracy_score(y, estimator.predict(X), sample_weight=sample_weight)

    for sample_weight in (None, weight):
        named = modality_importance(model, X, y, sample_weight=sample_weight, **kept)
        called = modality_importance(
            model, X, y, scoring=callable_scorer, sample_weight=sample_weight, **kept
        )
        np.testing.assert_allclose(called.bootstraps, named.bootstraps)
        np.testing.assert_allclose(called.importance, named.importance)


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "roc_auc", "neg_log_loss"])
def test_known_predictions_score_like_the_estimator(scoring):
    """Also for several outputs, whose probabilities come as a list."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 3))
    Y = (X[:, :2] + rng.standard_normal((60, 2)) > 0).astype(int)
    scorer = get_scorer(scoring)
    targets = [Y[:, 0]] if scoring == "neg_log_loss" else [Y[:, 0], Y]
    for y in targets:
        model = KNeighborsClassifier(5).fit(X, y)
        rows = rng.randint(60, size=60)
        known = scorer(PredictedRows(model, X), rows, y[rows])
        assert known == pytest.approx(scorer(model, X[rows], y[rows]))
    with pytest.raises(AttributeError, match="decision_function"):
        _ = PredictedRows(model, X).decision_function


def test_estimators_that_refuse_empty_rows(data):
    """`empty_score` stands in, and the estimator never sees such a row."""
    X, y, _ = data
    X = X[~np.isnan(X).any(axis=1)]
    y = np.zeros(len(X), dtype=int)
    y[0] = 1
    model = Stub(lambda X: np.zeros(len(X), dtype=int), refuse_empty=True).fit(X, y)
    with pytest.raises(ValueError, match="rows with nothing"):
        modality_importance(model, X, y, modalities=WIDTHS)
    result = modality_importance(model, X, y, modalities=WIDTHS, empty_score=0.25)
    assert result.empty_score == 0.25
    assert result.importance.sum() == pytest.approx(1 - 1 / len(y) - 0.25)


def test_warnings_about_emptied_rows_are_not_shown(data):
    """We emptied them ourselves; those about other rows are shown."""
    X, y, _ = data
    model = Stub(lambda X: np.zeros(len(X), dtype=int)).fit(X, y)
    modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=0)

    def noisy(X):
        warnings.warn("something else", UserWarning, stacklevel=2)
        return np.zeros(len(X), dtype=int)

    with pytest.warns(UserWarning, match="something else"):
        modality_importance(Stub(noisy).fit(X, y), X, y, modalities=WIDTHS)


def test_scorers_that_need_every_class_say_so(data):
    """A resample, or X itself, that lacks a class is told with rows and classes."""
    X = data[0]
    y = np.where(np.arange(len(X)) == 0, "rare", np.where(X[:, 0] > 0, "a", "b"))
    model = make_pipeline(SimpleImputer(keep_empty_features=True), DummyClassifier())
    model.fit(X, y)
    kept = {"modalities": WIDTHS, "scoring": "roc_auc_ovr", "random_state": 0}
    match = "roc_auc_ovr fails on 60 rows without the classes 'rare': Number of classes"
    with pytest.raises(ValueError, match=match):
        modality_importance(model, X, y, **kept)
    modality_importance(model, X, y, n_bootstraps=0, **kept)
    with pytest.raises(ValueError, match="fails on 59 rows without the classes 'rare'"):
        modality_importance(model, X[1:], y[1:], n_bootstraps=0, **kept)
    modality_importance(model, X[1:], y[1:], **{**kept, "scoring": "accuracy"})


def test_constant_model_is_worth_nothing(data):
    """All importances are 0, with intervals of no width."""
    X, y, _ = data
    model = DummyClassifier().fit(X, y)
    result = modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=3)
    assert not result.importance.any() and not result.interval.any()
    assert result.full_score == result.empty_score


def test_interval_covers_less_with_less_confidence(data):
    """And there is none without bootstraps."""
    X, y, model = data
    kept = {"modalities": WIDTHS, "random_state": 0}
    wide = modality_importance(model, X, y, confidence_level=0.95, **kept)
    narrow = modality_importance(model, X, y, confidence_level=0.5, **kept)
    assert (np.ptp(wide.interval, axis=1) > np.ptp(narrow.interval, axis=1)).all()
    low, high = np.quantile(wide.bootstraps, [0.025, 0.975], axis=1)
    np.testing.assert_allclose(wide.interval, np.column_stack([low, high]))
    bare = modality_importance(model, X, y, n_bootstraps=0, **kept)
    assert np.isnan(bare.interval).all()
    np.testing.assert_array_equal(bare.importance, wide.importance)


def test_modality_importance_refuses_bad_input(data):
    """Each refusal names the parameter and the value."""
    X, y, model = data
    for name, value in (
        ("n_bootstraps", -1),
        ("confidence_level", 1.0),
        ("n_permutations", 0),
        ("empty_score", "none"),
    ):
        match = f"'{name}' parameter of modality_importance .* Got {value!r} instead"
        with pytest.raises(ValueError, match=match):
            modality_importance(model, X, y, modalities=WIDTHS, **{name: value})
