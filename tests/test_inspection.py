"""Scores by pattern, robustness curves and Shapley values against slow counts."""

import itertools
import math
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skmissing._table import ModalityMixin, SkmissingEstimator
from skmissing.inspection import modality_importance, robustness_curve, score_by_pattern
from skmissing.inspection._scores import (
    all_subsets,
    draw_hidden,
    exact_shapley,
    prefixes,
    sample_orders,
    sampled_shapley,
)
from skmissing.inspection._scoring import PredictedRows, as_table, name_score

WIDTHS = [2, 3, 1]
NAMES = ("modality0", "modality1", "modality2")
COLUMNS = [[0, 1], [2, 3, 4], [5]]


class KeepsLayout(ModalityMixin, TransformerMixin, SkmissingEstimator):
    """Returns X as it is, and has `modalities_`."""

    def __init__(self, modalities=None):
        self.modalities = modalities

    def fit(self, X, y=None):
        self._validate(X, reset=True)
        return self

    def transform(self, X):
        return self._validate(X, reset=False).X


class Stub(ClassifierMixin, BaseEstimator):
    """Predicts by a rule, counts calls, and warns about empty samples."""

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
    X, y, _ = small_multimodal
    model = make_pipeline(
        SimpleImputer(keep_empty_features=True), LogisticRegression(max_iter=500)
    )
    return X, y, model.fit(X, y)


def reduce_to(X, present):
    X = X.copy()
    for columns, keep in zip(COLUMNS, present):
        if not keep:
            X[:, columns] = np.nan
    return X


def has_all(X, present):
    return np.array(
        [
            all(not np.isnan(row[c]).all() for c, keep in zip(COLUMNS, present) if keep)
            for row in X
        ]
    )


# score_by_pattern


def test_score_by_pattern_equals_slow_loop(data):
    X, y, model = data
    result = score_by_pattern(model, X, y, modalities=WIDTHS)
    assert result.pattern[0] == "modality0 + modality1 + modality2"
    assert result.pattern[1] == "modality0 + modality1"
    assert result.pattern[-1] == "modality2"
    assert len(set(map(tuple, result.presence))) == 7 and result.presence.any(1).all()
    assert (np.diff(result.n_modalities) <= 0).all()
    for present, n, score in zip(result.presence, result.n_samples, result.score):
        rows = has_all(X, present)
        assert n == rows.sum() > 0
        expected = np.mean(model.predict(reduce_to(X, present)[rows]) == y[rows])
        assert score == pytest.approx(expected)
    assert result.modalities == NAMES and result.score_name == "Accuracy"


def test_observed_patterns_hide_nothing(data):
    X, y, model = data
    X = X.copy()
    X[:3] = np.nan
    result = score_by_pattern(model, X, y, modalities=WIDTHS, patterns="observed")
    assert result.n_samples.sum() == len(X)
    assert result.pattern[-1] == "(none)" and result.n_samples[-1] == 3
    assert (np.diff(result.n_modalities) <= 0).all()
    total = result.score @ result.n_samples / len(X)
    assert total == pytest.approx(model.score(X, y))
    has = np.column_stack([has_all(X, np.arange(3) == m) for m in range(3)])
    for present, n, score in zip(result.presence, result.n_samples, result.score):
        rows = (has == present).all(axis=1)
        assert n == rows.sum() and score == pytest.approx(model.score(X[rows], y[rows]))


def test_chosen_patterns(data):
    X, y, model = data
    everything = score_by_pattern(model, X, y, modalities=WIDTHS)
    chosen = score_by_pattern(
        model,
        X,
        y,
        modalities=WIDTHS,
        patterns=["modality2", ("modality1", "modality0")],
    )
    assert chosen.pattern == ["modality2", "modality0 + modality1"]
    assert list(chosen.score) == [everything.score[-1], everything.score[1]]


def test_pattern_without_samples_is_warned_of(data):
    X, y, model = data
    X = X.copy()
    X[:, 5] = np.nan
    with pytest.warns(
        UserWarning, match="4 of the 7 patterns have no sample.* modality0 . modal"
    ):
        result = score_by_pattern(model, X, y, modalities=WIDTHS)
    assert np.isnan(result.score).sum() == 4
    assert (result.n_samples[np.isnan(result.score)] == 0).all()


def test_scoring_and_weights(data):
    X, y, model = data
    named = score_by_pattern(
        model, X, y, modalities=WIDTHS, scoring="balanced_accuracy"
    )
    by_hand = score_by_pattern(
        model, X, y, modalities=WIDTHS, scoring=get_scorer("balanced_accuracy")
    )
    assert_array_equal(named.score, by_hand.score)
    assert named.score_name == "Balanced accuracy"
    weight = np.random.RandomState(0).randint(1, 4, size=len(y))
    weighted = score_by_pattern(
        model, X, y, modalities=WIDTHS, sample_weight=weight.astype(float)
    )
    repeated = score_by_pattern(
        model, np.repeat(X, weight, axis=0), np.repeat(y, weight), modalities=WIDTHS
    )
    assert_allclose(weighted.score, repeated.score)


def test_regressors_and_clusterers(data):
    """R² by default for the one; the other's own score, without y."""
    X, y, _ = data
    model = make_pipeline(SimpleImputer(), LinearRegression()).fit(X, y)
    result = score_by_pattern(model, X, y, modalities=WIDTHS, patterns="observed")
    assert result.score_name == "R²"
    full = has_all(X, [1, 1, 1])
    assert result.score[0] == pytest.approx(model.score(X[full], y[full]))
    clusterer = make_pipeline(SimpleImputer(), KMeans(3, n_init=1, random_state=0))
    clusterer.fit(X)
    result = score_by_pattern(clusterer, X, modalities=WIDTHS)
    assert result.score[0] == pytest.approx(clusterer.score(X[full]))


def test_same_table_in_every_form(data, df_module):
    X, y, _ = data
    names = [f"m{m}__{c}" for m, columns in enumerate(COLUMNS) for c in columns]
    frame = df_module.DataFrame(dict(zip(names, X.T.copy())))
    model = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500))
    model.fit(frame, y)
    found = score_by_pattern(model, frame, y)
    assert found.pattern[0] == "m0 + m1 + m2"
    model.fit(X, y)
    expected = score_by_pattern(model, X, y, modalities=WIDTHS)
    assert_array_equal(found.n_samples, expected.n_samples)
    assert_allclose(found.score, expected.score)
    masked = np.ma.masked_array(np.where(np.isnan(X), 99, X), mask=np.isnan(X))
    found = score_by_pattern(model, masked, y, modalities=WIDTHS)
    assert_array_equal(found.score, expected.score)


def test_raw_dataframes_can_be_hidden(df_module):
    """Text and whole numbers become missing, cell by cell, and nothing else changes."""
    frame = df_module.DataFrame(
        {"review": ["good", None, "bad"], "stars": [5, 4, 1], "age": [1.0, 2.0, None]}
    )
    groups = {"text": ["review"], "numbers": ["stars", "age"]}
    table = as_table(frame, groups)
    assert_array_equal(table.presence, [[1, 1], [0, 1], [1, 1]])
    hidden = table.hide(np.array([[1, 0], [0, 1], [0, 0]], dtype=bool)).X
    assert list(hidden.columns) == ["review", "stars", "age"]
    presence = as_table(hidden, groups).presence
    assert_array_equal(presence, [[0, 1], [0, 0], [1, 1]])
    assert list(hidden["review"])[2] == "bad" and list(hidden["stars"])[0] == 5
    part = as_table(frame, groups)[np.array([2, 0])]
    assert list(part.X["stars"]) == [1, 5]


def test_layout_comes_from_the_estimator(data):
    X, y, _ = data
    model = make_pipeline(
        KeepsLayout(WIDTHS), SimpleImputer(), LogisticRegression(max_iter=500)
    )
    expected = score_by_pattern(model.fit(X, y), X, y, modalities=WIDTHS)
    assert score_by_pattern(model, X, y).pattern == expected.pattern
    grid = {"logisticregression__C": [0.1, 1]}
    search = GridSearchCV(model, grid, cv=2, scoring="f1_macro").fit(X, y)
    found = score_by_pattern(search, X, y)
    best = search.best_estimator_
    expected = score_by_pattern(best, X, y, scoring="f1_macro")
    assert_array_equal(found.score, expected.score)


def test_layout_of_other_columns_is_refused(data):
    X, y, _ = data
    model = make_pipeline(
        SimpleImputer(), PCA(4), KeepsLayout([2, 2]), LogisticRegression(max_iter=500)
    )
    model.fit(X, y)
    with pytest.raises(ValueError, match="hold 4 columns, but X has 6: .* modalities="):
        score_by_pattern(model, X, y)
    assert len(score_by_pattern(model, X, y, modalities=WIDTHS).score) == 7


def test_as_frame_and_jobs(data):
    pytest.importorskip("pandas")
    X, y, model = data
    expected = score_by_pattern(model, X, y, modalities=WIDTHS)
    with joblib.parallel_config("threading"):
        frame = score_by_pattern(
            model, X, y, modalities=WIDTHS, as_frame=True, n_jobs=2
        )
    assert list(frame.columns) == ["n_modalities", "n_samples", "score"]
    assert list(frame.index) == expected.pattern
    assert_array_equal(frame["score"], expected.score)


BAD_SCORES = [
    ({"patterns": "most"}, "'all', 'observed' or a list .* got 'most'"),
    ({"patterns": []}, "patterns must hold at least one"),
    (
        {"patterns": ["modality0", ("video",)]},
        r"patterns\[1\] must name .*'modality0'.* got 'video'",
    ),
    ({"patterns": [()]}, r"patterns\[0\] must name at least one .* once; got \[\]"),
    ({"y": np.zeros(59)}, r"y must have as many samples as X \(60\); got 59"),
    ({"scoring": ["f1", "r2"]}, r"scoring must be .* \['f1', 'r2'\] of type list"),
    ({"n_jobs": "two"}, "'n_jobs' parameter of score_by_pattern"),
    ({"sample_weight": np.zeros(60)}, "at least one non-zero number"),
    ({"X": np.zeros((60, 11)), "modalities": None}, "got 11, which have 2047 subsets"),
]


@pytest.mark.parametrize("params, match", BAD_SCORES)
def test_score_by_pattern_refuses_bad_input(data, params, match):
    X, y, model = data
    with pytest.raises((ValueError, TypeError), match=match):
        score_by_pattern(model, **{"X": X, "y": y, "modalities": WIDTHS, **params})


def test_input_is_left_alone(data):
    X, y, model = data
    before = X.copy()
    score_by_pattern(model, X, y, modalities=WIDTHS)
    robustness_curve(model, X, y, modalities=WIDTHS, rates=[0.5], n_repeats=1)
    modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=2)
    assert_array_equal(X, before)


def test_names_of_scores(data):
    model = data[2]
    assert name_score(model, "neg_mean_squared_error") == "Negative mean squared error"
    assert name_score(model, "r2") == "R²"
    assert name_score(model, get_scorer("f1_macro")) == "F1 score"
    assert name_score(KMeans(), None) == "Score"
    assert name_score(LinearRegression(), None) == "R²"


# robustness_curve


@pytest.mark.parametrize("target", [[1, 1, 1], [0, 1, 0], [1, 0, 1]])
def test_drawn_gaps_are_exact_nested_and_never_total(seed, target):
    """The rate is met unless the sample would be empty; higher rates hide more."""
    rng = np.random.RandomState(seed)
    presence = rng.uniform(size=(200, 3)) < 0.7
    target = np.array(target, dtype=bool)
    rates = np.array([0, 0.25, 0.5, 1])
    drawn = draw_hidden(presence, target, rates, rng)
    assert not drawn[0].any()
    for rate, hidden in zip(rates, drawn):
        assert not (hidden & ~(presence & target)).any()
        left = presence & ~hidden
        assert left.any(axis=1)[presence.any(axis=1)].all()
        wanted = np.rint(rate * presence[:, target].sum(axis=0))
        assert (hidden[:, target].sum(axis=0) <= wanted).all()
        spared = left[:, target].sum(axis=1) * (left.sum(axis=1) == 1)
        assert hidden.sum() >= wanted.sum() - spared.sum()
    for fewer, more in itertools.pairwise(drawn):
        assert not (fewer & ~more).any()


def test_drawn_gaps_reach_the_rate_where_they_can():
    presence = np.ones((40, 2), dtype=bool)
    target = np.array([True, False])
    drawn = draw_hidden(presence, target, [0.1, 0.5, 1], np.random.RandomState(0))
    assert [h[:, 0].sum() for h in drawn] == [4, 20, 40]


def test_ends_of_the_robustness_curve(data):
    """Rate 0 is the plain score; rate 1 of one modality, the score without it."""
    X, y, model = data
    X = X[has_all(X, [1, 1, 1])]
    y = y[: len(X)]
    result = robustness_curve(
        model, X, y, modalities=WIDTHS, hide="each", rates=[1, 0], n_repeats=2
    )
    assert result.curve == list(NAMES)
    assert_array_equal(result.rate, [0, 1])
    assert_allclose(result.score[:, 0], model.score(X, y))
    for m in range(3):
        present = np.arange(3) != m
        assert_allclose(result.score[m, 1], model.score(reduce_to(X, present), y))
    assert_array_equal(result.realized_rate[:, :, 0], [[0, 1]] * 3)


def test_curves_by_modality(data):
    X, y, model = data
    kept = {"modalities": WIDTHS, "rates": [0.5], "n_repeats": 2, "random_state": 0}
    both = robustness_curve(model, X, y, hide="both", **kept)
    assert both.curve == ["any modality", *NAMES]
    assert both.score.shape == both.realized_rate.shape == (4, 1, 2)
    assert 0 < both.realized_rate[0].max() <= 0.5
    listed = robustness_curve(
        model, X, y, hide=["modality1", ("modality2", "modality0")], **kept
    )
    assert listed.curve == ["modality1", "modality0 + modality2"]
    again = robustness_curve(model, X, y, hide="both", **kept)
    assert_array_equal(again.score, both.score)
    with joblib.parallel_config("threading"):
        jobs = robustness_curve(model, X, y, hide="both", n_jobs=2, **kept)
    assert_array_equal(jobs.score, both.score)


def test_realized_rate_is_counted(data):
    X, y, model = data
    X = reduce_to(X, [0, 1, 0])
    keep = ~np.isnan(X).all(axis=1)
    result = robustness_curve(
        model, X[keep], y[keep], modalities=WIDTHS, rates=[0.5, 1], n_repeats=1
    )
    assert_array_equal(result.realized_rate, 0)


@pytest.mark.parametrize(
    "params, match",
    [
        ({"rates": [0.5, 1.5]}, "numbers from 0 to 1; got 1.5"),
        ({"rates": [[0.5]]}, r"numbers from 0 to 1; got shape \(1, 1\)"),
        ({"hide": "some"}, "'all', 'each', 'both' .* got 'some'"),
        ({"hide": []}, "hide must name at least one"),
        ({"hide": ["video"]}, r"hide\[0\] must name modalities of X.* got 'video'"),
        ({"n_repeats": 0}, "'n_repeats' parameter of robustness_curve"),
    ],
)
def test_robustness_curve_refuses_bad_input(data, params, match):
    X, y, model = data
    with pytest.raises(ValueError, match=match):
        robustness_curve(model, X, y, modalities=WIDTHS, **params)


# modality_importance


def random_game(n_players, rng, n_games=2):
    return {s: rng.standard_normal(n_games) for s in all_subsets(n_players)}


def slow_shapley(values, n_players):
    shares = np.zeros((n_players, len(values[frozenset()])))
    for order in itertools.permutations(range(n_players)):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            shares[player] += values[before | {player}] - values[before]
    return shares / math.factorial(n_players)


def test_exact_shapley_equals_mean_over_all_orders(seed):
    values = random_game(4, np.random.RandomState(seed))
    assert_allclose(exact_shapley(values, 4), slow_shapley(values, 4))


def test_shapley_by_hand():
    """The glove game: a left glove and two right ones, a pair is worth 1."""
    worth = [0, 0, 0, 0, 1, 1, 0, 1]
    values = {s: np.array([float(w)]) for s, w in zip(all_subsets(3), worth)}
    assert_allclose(exact_shapley(values, 3).ravel(), [2 / 3, 1 / 6, 1 / 6])


def test_sampled_shapley_with_all_orders_is_exact(seed):
    rng = np.random.RandomState(seed)
    values = random_game(4, rng)
    forward = [o for o in itertools.permutations(range(4)) if o[0] < o[-1]]
    orders = np.array([order for f in forward for order in (f, f[::-1])])
    exact = slow_shapley(values, 4)
    assert_allclose(sampled_shapley(values, orders, rng)[:, 0], exact[:, 0])
    few = sample_orders(4, 3, rng)
    assert len(few) == 4 and set(prefixes(few)) <= set(values)
    assert_array_equal(few[1], few[0][::-1])
    gain = values[frozenset(range(4))] - values[frozenset()]
    assert_allclose(sampled_shapley(values, few, rng).sum(axis=0), gain)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc_ovr"])
def test_importances_add_up(data, scoring):
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
    assert_array_equal(again.interval, result.interval)


def test_importance_of_known_models():
    """An unused modality is worth exactly 0; two redundant ones share their worth."""
    y = np.tile([0, 1], 50)
    X = np.column_stack([y, y, np.arange(100.0)])

    def rule(X):
        return (np.where(np.isnan(X[:, :2]), 0, X[:, :2]).max(axis=1) > 0.5).astype(int)

    model = Stub(rule).fit(X, y)
    result = modality_importance(model, X, y, n_bootstraps=20, random_state=0)
    assert_allclose(result.importance, [0.25, 0.25, 0])
    assert (result.full_score, result.empty_score) == (1, 0.5)
    assert_array_equal(result.interval[2], 0)


def test_predictions_are_made_once_per_subset(data):
    X, y, _ = data
    model = Stub(lambda X: np.zeros(len(X), dtype=int)).fit(X, y)
    modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=50)
    assert model.n_calls_ == 8


def test_other_scorers_predict_each_resample(data):
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
        assert_allclose(called.bootstraps, named.bootstraps)
        assert_allclose(called.importance, named.importance)


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "roc_auc", "neg_log_loss"])
def test_known_predictions_score_like_the_estimator(scoring):
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
    X, y, _ = data
    X = X[~np.isnan(X).any(axis=1)]
    y = np.zeros(len(X), dtype=int)
    y[0] = 1
    model = Stub(lambda X: np.zeros(len(X), dtype=int), refuse_empty=True).fit(X, y)
    with pytest.raises(ValueError, match="rows with nothing"):
        modality_importance(model, X, y, modalities=WIDTHS)
    result = modality_importance(
        model, X, y, modalities=WIDTHS, empty_score=0.25, n_bootstraps=5
    )
    assert result.empty_score == 0.25
    assert result.importance.sum() == pytest.approx(1 - 1 / len(y) - 0.25)


def test_warnings_about_emptied_rows_are_not_shown(data):
    X, y, _ = data
    model = Stub(lambda X: np.zeros(len(X), dtype=int)).fit(X, y)
    modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=0)

    def noisy(X):
        warnings.warn("something else", UserWarning, stacklevel=2)
        return np.zeros(len(X), dtype=int)

    with pytest.warns(UserWarning, match="something else"):
        modality_importance(
            Stub(noisy).fit(X, y), X, y, modalities=WIDTHS, n_bootstraps=2
        )


def test_scorers_that_need_every_class(data):
    X = data[0]
    y = np.where(np.arange(len(X)) == 0, "rare", np.where(X[:, 0] > 0, "a", "b"))
    model = make_pipeline(SimpleImputer(keep_empty_features=True), DummyClassifier())
    model.fit(X, y)
    kept = {"modalities": WIDTHS, "scoring": "roc_auc_ovr", "random_state": 0}
    match = (
        "roc_auc_ovr fails on 60 samples without the classes 'rare': Number of classes"
    )
    with pytest.raises(ValueError, match=match):
        modality_importance(model, X, y, **kept)
    modality_importance(model, X, y, n_bootstraps=0, **kept)
    with pytest.raises(
        ValueError, match="fails on 59 samples without the classes 'rare'"
    ):
        modality_importance(model, X[1:], y[1:], n_bootstraps=0, **kept)
    kept = {**kept, "scoring": "accuracy", "n_bootstraps": 5}
    modality_importance(model, X[1:], y[1:], **kept)


def test_constant_model_is_worth_nothing(data):
    X, y, _ = data
    model = DummyClassifier().fit(X, y)
    result = modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=3)
    assert not result.importance.any() and not result.interval.any()
    assert result.full_score == result.empty_score


def test_interval_covers_less_with_less_confidence(data):
    X, y, model = data
    kept = {"modalities": WIDTHS, "random_state": 0}
    few = {**kept, "n_bootstraps": 40}
    wide = modality_importance(model, X, y, confidence_level=0.95, **few)
    narrow = modality_importance(model, X, y, confidence_level=0.5, **few)
    assert (np.ptp(wide.interval, axis=1) > np.ptp(narrow.interval, axis=1)).all()
    low, high = np.quantile(wide.bootstraps, [0.025, 0.975], axis=1)
    assert_allclose(wide.interval, np.column_stack([low, high]))
    bare = modality_importance(model, X, y, n_bootstraps=0, **kept)
    assert np.isnan(bare.interval).all()
    assert_array_equal(bare.importance, wide.importance)


@pytest.mark.parametrize(
    "name, value",
    [
        ("n_bootstraps", -1),
        ("confidence_level", 1.0),
        ("n_permutations", 0),
        ("empty_score", "none"),
    ],
)
def test_modality_importance_refuses_bad_input(data, name, value):
    X, y, model = data
    match = f"'{name}' parameter of modality_importance .* Got {value!r} instead"
    with pytest.raises(ValueError, match=match):
        modality_importance(model, X, y, modalities=WIDTHS, **{name: value})
