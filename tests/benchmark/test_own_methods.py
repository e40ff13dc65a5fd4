"""Estimators, factories and predictions of the user beside the benchmark's methods."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmissing.benchmark import (
    BenchmarkResults,
    read_results,
    run_benchmark,
    score_parts,
    splits,
)
from skmissing.benchmark.__main__ import main
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer

from .conftest import make_toy

ONCE = {"regimes": "R1", "n_runs": 1}
DUMMY = DummyClassifier()


def make_late(modalities, random_state):
    return LateFusionClassifier("linear", modalities=modalities)


def make_error(modalities, random_state):
    raise RuntimeError("no licence")


def test_estimators_factories_and_names_mix(toy):
    search = GridSearchCV(
        make_pipeline(ClusterGuidedImputer(), LogisticRegression()),
        {"clusterguidedimputer__n_clusters": [1, 2]},
        cv=2,
    )
    methods = {
        "mine, tuned": search,
        "factory": make_late,
        "late": None,
        "my late": "late",
        "estimator": LateFusionClassifier("linear"),
        "broken": make_error,
    }
    results = run_benchmark(toy, methods=methods, **ONCE).set_index("method")
    assert list(results.index) == list(methods)
    assert results.loc["broken", "error"] == "RuntimeError: no licence"
    good = results.drop("broken")
    assert good["error"].isna().all() and (good["scores.accuracy"] > 0.6).all()
    same = results.loc[["factory", "late", "my late", "estimator"], "scores.log_loss"]
    assert same.nunique() == 1
    assert not hasattr(search, "best_params_")


@pytest.mark.parametrize(
    "methods, message",
    [
        ([DUMMY], "methods must be a dict to name estimators"),
        ({"a": 3}, r"methods\['a'\] must be a name of the benchmark.*got 3"),
        ({"a": DummyClassifier}, r"methods\['a'\] must be .*DummyClassifier"),
    ],
)
def test_methods_that_are_none(toy, methods, message):
    with pytest.raises(TypeError, match=message):
        run_benchmark(toy, methods=methods)


def test_unknown_name_in_a_dict(toy):
    with pytest.raises(ValueError, match="methods must be among .* got 'mine'"):
        run_benchmark(toy, methods={"mine": None})
    with pytest.raises(ValueError, match="methods must hold at least one entry"):
        run_benchmark(toy, methods={})


def test_other_parameters_are_run_again(toy, tmp_path):
    def run(**params):
        methods = {"mine": HistGradientBoostingClassifier(max_iter=2, **params)}
        return run_benchmark(toy, methods=methods, out=tmp_path, **ONCE)

    first = run()
    assert run().equals(first)
    with pytest.warns(UserWarning, match="another estimator of the same name"):
        second = run(max_depth=1)
    assert second["protocol"][0] != first["protocol"][0]
    assert len(read_results(tmp_path)) == 2


def test_splits_are_those_of_the_benchmark(toy, tmp_path):
    """Predictions made by hand get the row of the same estimator."""
    wanted = run_benchmark(toy, methods={"mine": make_late}, n_runs=2, out=tmp_path)
    results = BenchmarkResults(tmp_path)
    for split in splits(toy, n_runs=2):
        assert_array_equal(split.y_test, toy.y[split.test])
        assert np.isnan(split.X_train).any() == (split.regime == "R2")
        model = make_late(toy.modalities, 0).fit(split.X_train, split.y_train)
        proba = model.predict_proba(split.X_test)
        results.add(split, "by hand", model.predict(split.X_test), y_proba=proba)
    found = read_results(tmp_path)
    assert found.equals(results.frame)
    found = found[found["method"] == "by hand"]
    for column in wanted.filter(regex="^scores|missing|n_t"):
        assert wanted[column].tolist() == found[column].tolist()
    assert found["pattern_scores"].tolist() == wanted["pattern_scores"].tolist()


def test_bad_predictions_are_refused(toy):
    split, results = next(splits(toy)), BenchmarkResults()
    with pytest.raises(ValueError, match=r"y_pred must have as many .* \(48\); got 3"):
        results.add(split, "mine", [0, 1, 0])
    with pytest.raises(
        ValueError, match=r"y_proba must have one column per class \(2\).*\(48, 3\)"
    ):
        results.add(split, "mine", split.y_test, y_proba=np.ones((48, 3)))
    with pytest.raises(ValueError, match="scores must not hold 'accuracy'"):
        results.add(split, "mine", split.y_test, scores={"accuracy": 1.0})
    results.add(split, "mine", split.y_test, scores={"kappa": 0.5})
    assert results.frame["scores.kappa"].tolist() == [0.5]


def test_clusterers_are_compared_with_classes(toy):
    """They are fitted without y. One without predict is fitted to the test samples."""
    data = replace(toy, task="clustering")
    blobs = AgglomerativeClustering(2)
    methods = {"kmeans": None, "mixture": None, "mean+kmeans": None}
    own = {"mine": KMeans(2, n_init=1), "no predict": blobs}
    methods |= {"kmeans-modality": None, "anchor": None}
    results = run_benchmark(data, "mcar:0.3", methods, **ONCE)
    assert results["error"].isna().all() and (results["scores.ari"] > 0.2).all()
    complete = run_benchmark(data, "mcar:0.0", own, **ONCE)
    split = next(splits(data, "mcar:0.0"))
    wanted = adjusted_rand_score(split.y_test, blobs.fit_predict(split.X_test))
    assert complete["scores.ari"].tolist()[1] == wanted
    with pytest.raises(ValueError, match="must be among kmeans.* 'clustering' of data"):
        run_benchmark(data, methods="late")
    with pytest.raises(ValueError, match="for the task 'classification' of data 'toy'"):
        run_benchmark(toy, methods="kmeans")


def test_methods_of_other_packages(toy, monkeypatch):
    """If one is not installed, its row says so. Modalities of imml are a list."""
    monkeypatch.setitem(sys.modules, "tabicl", None)
    boosting = SimpleNamespace(LGBMClassifier=FakeBoosting, LGBMRegressor=None)
    monkeypatch.setitem(sys.modules, "lightgbm", boosting)
    results = run_benchmark(toy, methods=["tabicl", "lightgbm"], **ONCE)
    assert "needs the package tabicl" in results["error"][0]
    assert results["error"].isna().tolist() == [False, True]
    imml = SimpleNamespace(NEMO=FakeNemo)
    monkeypatch.setitem(sys.modules, "imml", SimpleNamespace(cluster=imml))
    monkeypatch.setitem(sys.modules, "imml.cluster", imml)
    data = replace(toy, task="clustering")
    results = run_benchmark(data, "mcar:0.0", "imml-nemo", **ONCE)
    assert results["scores.ari"][0] > 0.2


class FakeBoosting(DummyClassifier):
    def __init__(self, random_state, n_jobs, verbose):
        super().__init__(random_state=random_state)
        self.n_jobs = n_jobs
        self.verbose = verbose


class FakeNemo:
    def __init__(self, n_clusters, random_state):
        self.kmeans = KMeans(n_clusters, random_state=random_state, n_init=1)

    def fit_predict(self, Xs):
        assert [X.shape[1] for X in Xs] == [3, 3, 3]
        return self.kmeans.fit_predict(np.hstack(Xs))


def count_true(estimator, X, y):
    return float(len(y))


def test_further_scorers(toy, tmp_path):
    scoring = {"n": count_true, "f1_weighted": "f1_weighted"}
    results = run_benchmark(toy, methods={"a": DUMMY}, scoring=scoring, **ONCE)
    assert results[["scores.n", "full_scores.n"]].values.tolist() == [[48.0, 48.0]]
    assert 0 < results["scores.f1_weighted"][0] < 1
    run = {"methods": {"a": DUMMY}, "out": tmp_path, **ONCE}
    run_benchmark(toy, **run)
    with pytest.warns(UserWarning, match="scoring"):
        again = run_benchmark(toy, scoring=["accuracy", "f1_weighted"], **run)
    assert "scores.f1_weighted" in again


@pytest.mark.parametrize(
    "scoring, message",
    [
        ("f2", r"scoring\['f2'\]: 'f2' is not a valid"),
        (count_true, "scoring must be None, a name"),
        ({"accuracy": "f1_weighted"}, "scoring must not use 'accuracy'"),
        ({"a": 3}, r"scoring\['a'\] must be the name of a scorer .* got 3"),
    ],
)
def test_bad_scoring(toy, scoring, message):
    with pytest.raises(ValueError, match=message):
        run_benchmark(toy, methods="mean", scoring=scoring)


def test_parts_are_summarized():
    toy = make_toy(score_groups=np.repeat(["x", "y"], 60))
    results = run_benchmark(toy, methods=["mean"], regimes="R1", n_runs=2)
    for by, name in (("pattern", "pattern_scores"), ("group", "group_scores")):
        table = score_parts(results, by=by).set_index("part")
        parts = sorted({part for row in results[name] for part in row})
        assert sorted(table.index) == parts
        for part, line in table.iterrows():
            runs = [row[part] for row in results[name] if part in row]
            assert line["mean"] == np.mean([run["accuracy"] for run in runs])
            assert line["n_samples"] == np.mean([run["n"] for run in runs])
        assert (table["gap"] == table["mean"].max() - table["mean"].min()).all()
        assert (table["worst"] == (table["mean"] == table["mean"].min())).all()
    loss = score_parts(results, metric="log_loss")
    assert (loss["worst"] == (loss["mean"] == loss["mean"].max())).all()


def test_parts_that_are_not_there(toy):
    results = run_benchmark(toy, methods="mean", **ONCE)
    with pytest.raises(
        ValueError, match="scores by group; got none. Pass score_groups"
    ):
        score_parts(results, by="group")
    with pytest.raises(ValueError, match="by must be 'pattern' or 'group'; got 'sex'"):
        score_parts(results, by="sex")
    with pytest.raises(ValueError, match="metric='mae' is not among .* by pattern"):
        score_parts(results, metric="mae")


def test_own_method_on_the_command_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "my_methods.py").write_text(
        "from sklearn.dummy import DummyClassifier\n"
        "prior = DummyClassifier()\n"
        "def make(modalities, random_state): return DummyClassifier()\n"
    )
    monkeypatch.chdir(tmp_path)
    command = ["--data", "breast_cancer", "--methods", "", "--regimes", "R1"]
    command += ["--n-runs", "1", "--out", "results", "--quiet"]
    own = ["--method", "mine=my_methods:prior", "--method", "made=my_methods:make"]
    assert main([*command, *own, "--scoring", "f1_weighted"]) == 0
    out = capsys.readouterr().out
    assert "| mine |" in out and "| made |" in out
    for text, message in (
        ("mine", "--method must be name=package.module:attribute; got 'mine'"),
        ("a=my_methods:magic", "my_methods has no magic"),
        ("a=no_module:magic", "No module named 'no_module'"),
    ):
        assert main([*command, "--method", text]) == 2
        assert message in capsys.readouterr().err
