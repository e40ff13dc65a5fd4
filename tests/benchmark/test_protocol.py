"""Samples, masks and scores of one cell."""

import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skmissing import ModalityWarning
from skmissing.benchmark import _methods, load_data
from skmissing.benchmark._data import split_rows
from skmissing.benchmark._protocol import (
    check_metric,
    count_parameters,
    make_cells,
    make_split,
)
from skmissing.benchmark._protocol import run_cell as run_method
from skmissing.benchmark._scores import Predictions, score_groups, score_predictions
from skmissing.metrics import sentiment_scores

from .conftest import make_toy

WHOLE = {"test_size": 0.4, "max_rows": None}
MOSI = [
    "100-text-100-audio-100-video",
    "100-text-100-audio-20-video",
    "100-text-20-audio-100-video",
    "100-text-20-audio-20-video",
    "20-text-100-audio-100-video",
    "20-text-100-audio-20-video",
    "20-text-20-audio-100-video",
    "complex-20-20-20-10-10-10-10",
]


def make_cell(data, missing="mcar:0.5", regime="R2", method="mean", seed=0):
    (cell,) = make_cells([data], [missing], [regime], {method: method}, 1, **WHOLE)
    return replace(cell, seed=seed)


def run_cell(cell, data, method=None, **settings):
    return run_method(cell, data, method or cell.method, {}, **settings)


def draw_rows(cell, data, **settings):
    return vars(make_split(cell, data, **settings))


def test_methods_and_regimes_share_split_and_masks(toy):
    """Other methods and regimes get the same samples; R1 trains on complete ones."""
    drawn = [
        draw_rows(make_cell(toy, regime=regime, method=method), toy, **WHOLE)
        for regime in ("R1", "R2")
        for method in ("mean", "late")
    ]
    for rows in drawn:
        assert_array_equal(rows["X_test"], drawn[0]["X_test"])
        assert_array_equal(rows["y_train"], drawn[0]["y_train"])
    for first, second in (drawn[:2], drawn[2:]):
        assert_array_equal(first["X_train"], second["X_train"])
    assert not np.isnan(drawn[0]["X_train"]).any()
    assert np.isnan(drawn[2]["X_train"]).any()
    seen = ~np.isnan(drawn[2]["X_train"])
    assert_array_equal(drawn[2]["X_train"][seen], drawn[0]["X_train"][seen])


def test_runs_differ_in_split_and_masks(toy):
    a, b = (draw_rows(make_cell(toy, seed=s), toy, **WHOLE) for s in (0, 1))
    assert not np.array_equal(a["X_full"], b["X_full"])
    assert not np.array_equal(np.isnan(a["X_test"]), np.isnan(b["X_test"]))


def test_training_and_test_masks_are_independent():
    data = make_toy(n=4000)
    rows = draw_rows(make_cell(data, "mcar:0.4"), data, **WHOLE)
    n = min(len(rows["X_train"]), len(rows["X_test"]))
    hidden = [np.isnan(rows[part][:n, 0]) for part in ("X_train", "X_test")]
    # Under independence the correlation has a standard deviation of n ** -0.5.
    assert abs(np.corrcoef(*hidden)[0, 1]) < 4 / np.sqrt(n)


@pytest.mark.parametrize("missing", MOSI)
def test_realised_rates_of_the_papers_configurations(missing):
    """Exact groups for `complex`, binomial bounds otherwise, and rates recorded."""
    data = make_toy(n=2000)
    row = run_cell(make_cell(data, missing, method="zero"), data, **WHOLE)
    assert row["error"] is None
    drawn = draw_rows(make_cell(data, missing), data, **WHOLE)
    for part in ("train", "test"):
        hidden = np.isnan(drawn[f"X_{part}"][:, ::3])
        assert_allclose(list(row[f"{part}_missing"].values()), hidden.mean(0))
        assert not hidden.all(axis=1).any()
        if missing.startswith("complex"):
            counts = [(hidden.sum(axis=1) == k).sum() for k in range(3)]
            assert counts == [0.2 * len(hidden), 0.3 * len(hidden), 0.5 * len(hidden)]
            continue
        kept = np.array([int(n) / 100 for n in missing.split("-")[::2]])
        # A row that would lose all keeps something, so less than asked may be hidden.
        most = 1 - kept + 4 * np.sqrt(kept * (1 - kept) / len(hidden))
        least = 1 - kept - np.prod(1 - kept) - (most - (1 - kept))
        assert (hidden.mean(0) <= most).all() and (hidden.mean(0) >= least).all()


def test_the_same_modalities_are_drawn_for_training_and_test():
    data = make_toy(n=300)
    for seed in range(5):
        rows = draw_rows(make_cell(data, "mcar:0.34,0.5", seed=seed), data, **WHOLE)
        hit = [np.isnan(rows[p][:, ::3]).any(axis=0) for p in ("X_train", "X_test")]
        assert hit[0].sum() == 1
        assert_array_equal(*hit)


@pytest.mark.parametrize("mechanism", ["mar", "mnar", "label", "burst"])
def test_mechanisms_run(toy, mechanism):
    row = run_cell(make_cell(toy, f"{mechanism}:0.3"), toy, **WHOLE)
    assert row["error"] is None
    for part in ("train_missing", "test_missing"):
        assert 0.05 < np.mean(list(row[part].values())) < 0.5


def test_what_is_missing_depends_on_the_group():
    groups = np.repeat(["new", "old"], 300)[np.random.RandomState(0).permutation(600)]
    data = replace(make_toy(n=600), groups=groups, split=np.tile([0, 0, 2], 200))
    rows = draw_rows(make_cell(data, "group:0.4"), data, **WHOLE)
    split = np.tile([0, 0, 2], 200)
    for part, members in (("X_train", split == 0), ("X_test", split == 2)):
        hidden = np.isnan(rows[part][:, ::3])
        rates = [hidden[groups[members] == g].mean(axis=0) for g in ("new", "old")]
        assert (np.abs(rates[0] - rates[1]) > 0.1).any(), rates
    assert run_cell(make_cell(data, "group:0.4"), data, **WHOLE)["error"] is None


def test_split_is_stratified_disjoint_and_in_order(toy):
    train, test = split_rows(toy, 0, **WHOLE)
    assert sorted([*train, *test]) == list(range(120))
    assert len(test) == 48 and (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    assert abs(toy.y[train].mean() - toy.y[test].mean()) < 0.02


def test_given_split_and_groups_are_kept():
    split = np.repeat([0, 1, 2], 40)
    train, test = split_rows(make_toy(split=split), 3, **WHOLE)
    assert_array_equal(train, np.arange(80))
    assert_array_equal(test, np.arange(80, 120))
    groups = np.arange(120) % 12
    train, test = split_rows(make_toy(groups=groups), 3, **WHOLE)
    assert not set(groups[train]) & set(groups[test])


def test_fewer_rows_keep_the_ratio(toy):
    parts = [split_rows(toy, s, test_size=0.4, max_rows=60) for s in (0, 1)]
    assert [len(p) for p in parts[0]] == [36, 24]
    assert not np.array_equal(parts[0][1], parts[1][1])


def test_split_without_test_rows_is_refused():
    data = make_toy(split=np.zeros(120, dtype=int))
    with pytest.raises(ValueError, match="got 120 training and 0 test samples"):
        split_rows(data, 0, **WHOLE)


def test_failing_cell_is_a_row_with_its_error(toy, failing):
    row = run_cell(make_cell(toy, method=failing), toy, **WHOLE)
    assert row["error"] == "ValueError: iterative is for at most 2 columns; X has 9."
    assert "scores" not in row and row["wall_seconds"] > 0


def test_warnings_are_counted_not_lost(toy):

    class Loud:
        def fit(self, X, y):
            import warnings

            for _ in range(2):
                warnings.warn("too loud", UserWarning, stacklevel=1)

        def predict(self, X):
            return np.zeros(len(X), dtype=int)

    row = run_cell(make_cell(toy), toy, lambda *given: Loud(), **WHOLE)
    assert row["warnings"] == ["UserWarning: too loud"] and row["n_warnings"] == 1


def test_full_score_is_that_of_complete_rows(toy):
    row = run_cell(make_cell(toy, "mcar:0.0"), toy, **WHOLE)
    assert row["scores"] == row["full_scores"]
    data = make_toy(n=1000)
    row = run_cell(make_cell(data, "mcar:0.6"), data, **WHOLE)
    assert row["full_scores"]["accuracy"] > row["scores"]["accuracy"]


def test_scores_by_task():
    y = np.array([-2.0, 0.0, 1.0, 3.0])
    data = make_toy("regression", sentiment=True)
    scores = score_predictions(data, y, Predictions(y + 0.5))
    assert scores["mae"] == 0.5 and scores["mse"] == 0.25
    assert scores["accuracy_zeros_positive"] == 1.0
    assert set(sentiment_scores(y, y)) < set(scores)
    data = make_toy("multilabel")
    scores = score_predictions(data, data.y, Predictions(data.y))
    assert scores == {"f1_micro": 1.0, "f1_macro": 1.0}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_probabilities(n_classes):
    rng = np.random.RandomState(n_classes)
    y = rng.randint(n_classes, size=60)
    proba = rng.dirichlet(np.ones(n_classes), 60)
    classes = np.arange(n_classes)
    data = replace(make_toy(n=60), y=y)
    scores = score_predictions(
        data, y, Predictions(proba.argmax(axis=1), proba, classes)
    )
    onehot = y[:, None] == classes
    given = proba[:, 1] if n_classes == 2 else proba
    multi = {} if n_classes == 2 else {"multi_class": "ovr"}
    assert_allclose(scores["roc_auc"], metrics.roc_auc_score(y, given, **multi))
    assert_allclose(
        scores["average_precision"],
        metrics.average_precision_score(y if n_classes == 2 else onehot, given),
    )
    assert_allclose(scores["log_loss"], metrics.log_loss(y, proba), rtol=1e-3)
    squares = np.mean(np.sum((proba - onehot) ** 2, axis=1))
    assert_allclose(scores["brier"], squares / (2 if n_classes == 2 else 1))
    if n_classes == 2:
        assert_allclose(scores["brier"], metrics.brier_score_loss(y, given))


def test_scores_of_a_class_that_was_not_in_training():
    data = make_toy(n=4)
    found = Predictions(np.zeros(4, int), np.ones((4, 1)), np.array([0]))
    scores = score_predictions(data, np.array([0, 0, 1, 1]), found)
    assert (scores["accuracy"], scores["roc_auc"], scores["brier"]) == (0.5, 0.5, 0.5)
    alone = score_predictions(data, np.zeros(4, int), found)
    assert (alone["roc_auc"], alone["log_loss"]) == (None, 0.0)


def test_scores_of_classes_are_those_of_scikit_learn():
    """Also if a class is predicted that is not in y, and the other way around."""
    y, predicted = np.array(list("aaabc")), np.array(list("abadb"))
    scores = score_predictions(make_toy(n=5), y, Predictions(predicted))
    assert scores == {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.recall_score(
            y, predicted, labels=["a", "b", "c"], average="macro"
        ),
        "f1_macro": metrics.f1_score(y, predicted, average="macro"),
    }


def test_scores_of_clusters():
    """Names of clusters do not matter; the second class has one sample elsewhere."""
    data = replace(make_toy(n=6), task="clustering")
    y, labels = np.array([0, 0, 0, 1, 1, 1]), np.array([7, 7, 7, 3, 3, 7])
    scores = score_predictions(data, y, Predictions(labels))
    assert scores["accuracy"] == 5 / 6
    assert scores["ari"] == metrics.adjusted_rand_score(y, labels)
    assert score_predictions(data, y, Predictions(1 - y))["nmi"] == 1.0


def test_scores_of_groups_by_hand():
    data = make_toy(n=4)
    found = Predictions(np.array([0, 1, 1, 1]))
    groups = np.array(["b", "b", "a", "a"])
    scores = score_groups(data, np.array([0, 1, 1, 0]), found, groups)
    assert list(scores) == ["b", "a"]
    assert (scores["b"]["n"], scores["b"]["accuracy"]) == (2, 1.0)
    assert scores["a"]["accuracy"] == 0.5


def test_scores_by_pattern_make_up_the_whole(toy):
    groups = np.arange(120) % 2
    row = run_cell(make_cell(toy), replace(toy, score_groups=groups), **WHOLE)
    patterns = row["pattern_scores"]
    assert {"text", "text + audio"} < set(patterns) and len(row["group_scores"]) == 2
    for parts in (patterns, row["group_scores"]):
        hits = sum(part["n"] * part["accuracy"] for part in parts.values())
        assert hits / row["n_test"] == pytest.approx(row["scores"]["accuracy"])


def test_parameters_are_counted(toy):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(toy.X, toy.y)
    # Mean, variance, scale and the number of samples; coefficients, intercept, classes,
    # and the number of iterations.
    assert count_parameters(model) == 3 * 9 + 9 + 1 + 2 + 1
    tree = DecisionTreeClassifier(max_depth=1).fit(toy.X, toy.y)
    assert count_parameters(tree) == 3 + 2


def test_load_data_reads_files(tmp_path):
    """A numpy archive becomes a data set; modalities, split and groups by name."""
    path = tmp_path / "films.npz"
    rng = np.random.RandomState(0)
    np.savez(
        path,
        image=rng.standard_normal((6, 3)),
        text=np.arange(12).reshape(6, 2),
        y=np.arange(6) % 2,
        age=np.arange(6.0),
        split=np.array([0, 0, 0, 1, 2, 2]),
        director=np.array(list("aabbcc")),
    )
    unused = r"films.npz: .* not used: 'age' of shape \(6,\), 'director' of shape"
    with pytest.warns(ModalityWarning, match=unused):
        data = load_data(path)
    assert (data.name, data.modalities) == ("films", {"image": 3, "text": 2})
    assert_array_equal(data.X[:, 3:], np.arange(12).reshape(6, 2))
    assert_array_equal(data.split, [0, 0, 0, 1, 2, 2])
    with pytest.warns(ModalityWarning, match="not used: 'age' of shape"):
        load_data(path, groups="director")
    data = load_data(path, modalities=["text"], split="random", groups="director")
    assert data.modalities == {"text": 2} and data.split is None
    assert_array_equal(data.groups, list("aabbcc"))
    with pytest.raises(
        ValueError, match="no array groups='actor'; found age, director"
    ):
        load_data(path, groups="actor")
    np.savez(path, a=np.ones((6, 2)), y=np.arange(6) % 2)
    with pytest.raises(ValueError, match="found no arrays but modalities and the targ"):
        load_data(path, groups="actor")


def test_unknown_data_is_refused():
    with pytest.raises(ValueError, match="data='iris' is neither one of breast_cancer"):
        load_data("iris")


def test_bad_data():
    with pytest.raises(
        ValueError, match=r"'toy': split must have as many samples as X \(120\); got 3"
    ):
        make_toy(split=np.zeros(3))
    with pytest.raises(ValueError, match="got multiclass-multioutput"):
        replace(make_toy(), y=np.arange(240).reshape(120, 2) % 5)
    with pytest.raises(
        ValueError, match="y must hold only numbers .* got NoneType, str"
    ):
        replace(make_toy(), y=np.array([None, "a"] * 60))
    with pytest.raises(ValueError, match="y must be finite; got 60 NaN"):
        replace(make_toy(), y=np.array([np.nan, 1.0] * 60))
    with pytest.raises(
        ValueError, match=r"groups must hold one value per sample; .* \(120, 2\)"
    ):
        make_toy(groups=np.zeros((120, 2)))
    with pytest.raises(ValueError, match="X of data 'toy' contains infinity"):
        replace(make_toy(), X=np.full((120, 9), np.inf))


@pytest.mark.parametrize("given", ["columns", "groups", "split"])
def test_dataframes_are_read_by_place(given):
    """Labels of the index are ignored, and columns belong to the modality they name."""
    pd = pytest.importorskip("pandas")
    array = make_toy(groups=np.arange(120) // 4)
    if given == "split":
        array = replace(array, split=np.arange(120) % 3)
    index = np.random.RandomState(1).permutation(120)
    order = np.arange(9).reshape(3, 3).T.ravel()
    names = [f"{name}__{i}" for name in array.modalities for i in range(3)]
    X = pd.DataFrame(array.X, index=index, columns=names).iloc[:, order]
    frame = replace(
        array,
        X=X,
        modalities=None if given == "columns" else array.modalities,
        y=pd.Series(array.y, index=index),
        **{
            key: pd.Series(getattr(array, key), index=index)
            for key in ("groups", "split")
            if getattr(array, key) is not None
        },
    )
    assert frame.modalities == array.modalities
    assert frame.fingerprint == array.fingerprint
    cell = make_cell(array, method="late")
    found, wanted = (run_cell(cell, data, **WHOLE) for data in (frame, array))
    assert found["error"] is None and found["scores"] == wanted["scores"]


def test_labels_of_dtype_object_are_known_by_their_values():
    words = np.array(["no", "yes"])[make_toy().y]
    first, again = (
        replace(make_toy(), y=np.array(["".join(list(w)) for w in words], dtype=object))
        for _ in "ab"
    )
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != replace(first, y=first.y[::-1]).fingerprint
    assert run_cell(make_cell(first), first, **WHOLE)["error"] is None


@pytest.mark.parametrize("dtype", [int, float, object])
def test_whole_numbers_may_be_a_regression(dtype):
    ages = (np.arange(120) % 60 + 20).astype(dtype)
    classes = replace(make_toy(), y=ages, task=None)
    numbers = replace(make_toy(), y=ages, task="regression")
    assert classes.task == "classification"
    assert numbers.task == "regression" and numbers.y.dtype == np.float64
    assert numbers.fingerprint != classes.fingerprint
    assert "mae" in run_cell(make_cell(numbers), numbers, **WHOLE)["scores"]


def test_task_must_fit():
    toy, numbers = make_toy(), make_toy("regression")
    with pytest.raises(ValueError, match="task must be None, .* got 'ranking'"):
        replace(toy, task="ranking")
    with pytest.raises(ValueError, match="'classification' does not fit .* continuous"):
        replace(numbers, task="classification")
    with pytest.raises(
        ValueError, match="'regression' does not fit y, which is binary"
    ):
        replace(toy, y=np.array(["a", "b"] * 60), task="regression")
    with pytest.raises(ValueError, match="sentiment=True; got 'classification'"):
        replace(toy, sentiment=True)
    ratings = replace(toy, y=np.arange(120) % 7 - 3, task="regression", sentiment=True)
    scores = run_cell(make_cell(ratings), ratings, **WHOLE)["scores"]
    assert "accuracy_seven_classes" in scores


@pytest.mark.parametrize(
    "options, name",
    [
        ({"modalities": ["mean"]}, "modalities"),
        ({"split": "fold"}, "split='fold'"),
        ({"groups": "person"}, "groups='person'"),
        ({"sentiment": True}, "sentiment=True"),
    ],
)
def test_options_of_files_are_refused_for_data_known_by_name(options, name):
    with pytest.raises(ValueError, match=f"and {name}.* is for .npz files only"):
        load_data("breast_cancer", **options)
    assert load_data("breast_cancer", split="random").split is None
    assert load_data("breast_cancer", task="regression").task == "regression"


def test_metric_is_checked_by_data():
    data = [make_toy("regression"), make_toy("regression", sentiment=True)]
    check_metric("r2", data)
    check_metric("accuracy_seven_classes", data[1:])
    check_metric("mine", data, ["mine"])
    with pytest.raises(
        ValueError, match="'f1' is not among .* toy: mae, mse, rmse, r2"
    ):
        check_metric("f1", data)


def test_iterative_imputer_needs_no_experimental_import(monkeypatch):
    """It is public from scikit-learn 1.10 on."""
    name = "enable_iterative_imputer"
    monkeypatch.delattr(f"sklearn.experimental.{name}", raising=False)
    monkeypatch.setitem(sys.modules, f"sklearn.experimental.{name}", None)
    runpy.run_path(_methods.__file__)
