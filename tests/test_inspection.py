"""Scores by pattern, robustness curves and Shapley values against slow counts."""

import itertools
import math
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skmissing import LateFusionClassifier, LateFusionRegressor
from skmissing._base import ModalityMixin, SkmissingEstimator
from skmissing._table import take_samples
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
    one = score_by_pattern(model, X, y, modalities=WIDTHS, patterns="modality2")
    assert one.pattern == ["modality2"] and one.score == chosen.score[0]
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
    with pytest.raises(ValueError, match="have 4 columns, but X has 6: .* modalities="):
        score_by_pattern(model, X, y)
    assert len(score_by_pattern(model, X, y, modalities=WIDTHS).score) == 7


# ------------------------------------------- layouts behind steps and in wrappers

# The text is informative, and the audio is not; their columns alternate.
MIXED = {"text": [0, 2], "audio": [1, 3]}
MIXED_NAMES = ["text__0", "audio__0", "text__1", "audio__1"]
AUDIO_FIRST = [1, 3, 0, 2]


def late(modalities=None):
    """A late fusion of MIXED by default."""
    return LateFusionClassifier("linear", modalities=modalities or MIXED, cv=2)


def reorder(names=None, **params):
    """A step that puts the audio first."""
    columns = AUDIO_FIRST if names is None else [names[i] for i in AUDIO_FIRST]
    parts = [("a", "passthrough", columns[:2]), ("t", "passthrough", columns[2:])]
    return ColumnTransformer(parts, **params)


@pytest.fixture(scope="module")
def mixed():
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=120)
    X = rng.standard_normal((120, 4))
    X[:, MIXED["text"]] += 2 * y[:, None]
    return X, y


def assert_text_is_worth_more(model, X, y):
    """The layout that is found scores like the one that is given."""
    found = score_by_pattern(model, X, y)
    given = score_by_pattern(model, X, y, modalities=MIXED)
    presence = [name.startswith(("text", "modality1")) for name in found.modalities]
    by_subset = {
        tuple(sorted(np.array(["audio", "text"])[np.array(presence, int)[p]])): score
        for p, score in zip(found.presence, found.score)
    }
    assert len(found.score) == 3
    for pattern, score in zip(given.pattern, given.score):
        assert by_subset[tuple(sorted(pattern.split(" + ")))] == score
    assert by_subset["text",] > by_subset["audio",] + 0.2


AUDIO_TEXT = {"audio": 2, "text": 2}
ARRAY_MODELS = {
    "pipeline": lambda: make_pipeline(reorder(), late(AUDIO_TEXT)),
    "list": lambda: make_pipeline(reorder(), late([2, 2])),
    "nested": lambda: make_pipeline(
        make_pipeline(StandardScaler(), reorder()),
        make_pipeline(StandardScaler(), late(AUDIO_TEXT)),
    ),
    "search": lambda: GridSearchCV(
        make_pipeline(reorder(), late(AUDIO_TEXT)),
        {"latefusionclassifier__combine": ["log"]},
        cv=2,
    ),
    "calibrated": lambda: CalibratedClassifierCV(
        make_pipeline(reorder(), late(AUDIO_TEXT)), cv=2
    ),
    "voting": lambda: VotingClassifier(
        [("a", late()), ("b", make_pipeline(reorder(), late(AUDIO_TEXT)))]
    ),
    "stacking": lambda: StackingClassifier([("a", late())], cv=2),
    "bagging": lambda: BaggingClassifier(late(), 2, random_state=0),
    "tuned": lambda: TunedThresholdClassifierCV(late(), cv=2),
    "fixed": lambda: FixedThresholdClassifier(late()),
    "one-vs-rest": lambda: OneVsRestClassifier(late()),
    "one-vs-one": lambda: OneVsOneClassifier(late()),
    "self-training": lambda: SelfTrainingClassifier(late()),
    "imputer": lambda: make_pipeline(
        reorder(), KeepsLayout(AUDIO_TEXT), SimpleImputer(), LogisticRegression()
    ),
}


@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
@pytest.mark.parametrize("name", ARRAY_MODELS)
def test_layout_through_wrappers(mixed, name):
    X, y = mixed
    assert_text_is_worth_more(ARRAY_MODELS[name]().fit(X, y), X, y)


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(reorder(MIXED_NAMES), late(AUDIO_TEXT)),
        lambda: make_pipeline(
            reorder(MIXED_NAMES, verbose_feature_names_out=False),
            LateFusionClassifier("linear", cv=2),
        ).set_output(transform="pandas"),
        lambda: make_pipeline(
            reorder(MIXED_NAMES), late({"audio": [0, 1], "text": [2, 3]})
        ).set_output(transform="pandas"),
        lambda: make_pipeline(
            FunctionTransformer(lambda X: X.iloc[:, AUDIO_FIRST]), late(AUDIO_TEXT)
        ),
        lambda: CalibratedClassifierCV(LateFusionClassifier("linear", cv=2), cv=2),
    ],
)
def test_layout_by_names(mixed, make):
    pandas = pytest.importorskip("pandas")
    X, y = mixed
    X = pandas.DataFrame(X, columns=MIXED_NAMES)
    assert_text_is_worth_more(make().fit(X, y), X, y)


@pytest.mark.filterwarnings("ignore:.*BaggingClassifier was given column names")
def test_layout_of_wrappers_that_lose_names_is_that_of_the_frame(mixed):
    pandas = pytest.importorskip("pandas")
    X, y = mixed
    X = pandas.DataFrame(X, columns=MIXED_NAMES)
    model = BaggingClassifier(LateFusionClassifier("linear", cv=2), 2, random_state=0)
    assert_text_is_worth_more(model.fit(X, y), X, y)


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(PCA(4), late([2, 2])),
        lambda: make_pipeline(FunctionTransformer(np.fliplr), late([2, 2])),
        lambda: BaggingClassifier(late([1, 1]), 2, max_features=0.5, random_state=0),
    ],
)
def test_columns_that_cannot_be_told_are_refused(mixed, make):
    X, y = mixed
    model = make().fit(X, y)
    with pytest.raises(ValueError, match="an earlier step .* Pass modalities="):
        score_by_pattern(model, X, y)
    with pytest.raises(ValueError, match="different modalities: .*Pass modalities="):
        models = [("a", late()), ("b", late([2, 2]))]
        score_by_pattern(VotingClassifier(models).fit(X, y), X, y)


def test_layout_of_a_regressor_of_a_transformed_target(mixed):
    X, _ = mixed
    inner = LateFusionRegressor("linear", modalities=MIXED, cv=2)
    model = TransformedTargetRegressor(inner).fit(X, X[:, 0])
    assert score_by_pattern(model, X, X[:, 0]).modalities == ("text", "audio")


@pytest.mark.parametrize(
    "function", [score_by_pattern, modality_importance, robustness_curve]
)
def test_unfitted_models_are_refused(mixed, function):
    for model in (late(), make_pipeline(StandardScaler(), late())):
        with pytest.raises(NotFittedError):
            function(model, *mixed)


# ------------------------------------------------- models of a cross-validation


@pytest.mark.parametrize("as_frame", [False, True])
def test_models_of_folds_predict_what_they_have_not_seen(mixed, as_frame):
    X, y = mixed
    if as_frame:
        X = pytest.importorskip("pandas").DataFrame(X, columns=MIXED_NAMES)
    folds = KFold(3, shuffle=True, random_state=0)
    kept = {"return_estimator": True, "return_indices": True}
    results = cross_validate(late(), X, y, cv=folds, **kept)
    models, test_indices = results["estimator"], results["indices"]["test"]
    hidden = X.copy()
    if as_frame:
        hidden = X.mask([[i in MIXED["audio"] for i in range(4)]] * 120)
    else:
        hidden[:, MIXED["audio"]] = np.nan
    rows = np.arange(0, 120, 2)  # the weights of other samples are 0
    weight = np.isin(np.arange(120), rows).astype(float)
    kept = {"test_indices": test_indices, "sample_weight": weight}
    for scoring, method in ((None, "predict"), ("roc_auc", "predict_proba")):
        kept["scoring"] = scoring
        scorer = get_scorer(scoring or "accuracy")._score_func
        predicted = cross_val_predict(late(), X, y, cv=folds, method=method)
        found = score_by_pattern(models, X, y, **kept)
        predicted = predicted[:, 1] if predicted.ndim == 2 else predicted
        assert_allclose(found.score[0], scorer(y[rows], predicted[rows]))
        assert found.n_samples.tolist() == [120] * 3
        for model, test in zip(models, test_indices):
            part = model.predict_proba(take_samples(hidden, test))
            predicted[test] = part[:, 1] if method[7:] else part.argmax(axis=1)
        assert_allclose(found.score[1], scorer(y[rows], predicted[rows]))
    worth = modality_importance(models, X, y, n_bootstraps=3, **kept)
    assert_allclose(worth.full_score, found.score[0])
    curve = robustness_curve(models, X, y, rates=[0], n_repeats=1, **kept)
    assert_allclose(curve.score[0, 0, 0], found.score[0])


def test_models_of_folds_refuse_bad_input(mixed):
    X, y = mixed
    models = [late().fit(X, y)] * 2
    for given, match in (
        (None, "test_indices must have .* 2 models; got None. Call cross_validate"),
        ([[0, 1]], "2 models; got 1"),
        ([[0], [120]], "positions in X, 0 to 119; got 0 to 120"),
    ):
        with pytest.raises(ValueError, match=match):
            score_by_pattern(models, X, y, test_indices=given)
    with pytest.raises(TypeError, match="test_indices must be None for a single"):
        score_by_pattern(models[0], X, y, test_indices=[[0]])
    with pytest.raises(TypeError, match="scoring must be the name of a score"):
        score_by_pattern(
            models, X, y, test_indices=[[0], [1]], scoring=lambda model, X, y: 0
        )
    with pytest.raises(ValueError, match="y must have as many samples as X .120.; got"):
        score_by_pattern(models, X, y[:9], test_indices=[[0], [1]])
    models[1] = late().fit(X, y + 1)
    with pytest.raises(ValueError, match="not need predict_proba.* the same classes"):
        score_by_pattern(
            models, X, y, test_indices=[range(60), range(60, 120)], scoring="roc_auc"
        )
    with pytest.raises(NotFittedError):
        score_by_pattern([late(), late()], X, y, test_indices=[[0], [1]])


def test_results_are_short_and_come_as_frames(mixed):
    pytest.importorskip("pandas")
    X, y = mixed
    model = late().fit(X, y)
    seed = {"random_state": 0}
    few = {"n_bootstraps": 20, **seed}
    worth = modality_importance(model, X, y, **few)
    assert len(repr(worth).splitlines()) == 8 and len(repr(worth)) < 500
    assert "bootstraps: array of shape (2, 20)" in repr(worth)
    frame = modality_importance(model, X, y, as_frame=True, **few)
    assert frame.index.tolist() == ["text", "audio"]
    assert_array_equal(frame["importance"], worth.importance)
    assert_array_equal(frame[["low", "high"]], worth.interval)
    few = {"hide": "both", "rates": [0, 0.3], "n_repeats": 4, **seed}
    curve = robustness_curve(model, X, y, **few)
    assert len(repr(curve)) < 500
    frame = robustness_curve(model, X, y, as_frame=True, **few)
    assert frame.shape == (3 * 2 * 4, 5)
    at = frame.query("curve == 'audio' and rate == 0.3 and repeat == 2")
    assert at["score"].item() == curve.score[2, 1, 2]
    assert at["realized_rate"].item() == curve.realized_rate[2, 1, 2]


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
    ({"patterns": []}, "patterns must have at least one"),
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
    one = robustness_curve(model, X, y, hide="modality1", **kept)
    assert one.curve == ["modality1"]
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
