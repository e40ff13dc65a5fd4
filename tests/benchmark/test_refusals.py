"""Errors of the benchmark name the parameter and the value."""

import re

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from skmissing.benchmark import (
    BenchmarkData,
    BenchmarkDisplay,
    BenchmarkResults,
    compare_methods,
    compare_ranks,
    make_method,
    modality_equity_index,
    rank_methods,
    run_benchmark,
    score_parts,
    splits,
    summarize,
    write_report,
)
from skmissing.benchmark.__main__ import main

ONCE = {"regimes": "R1", "n_runs": 1}
DUMMY = {"a": DummyClassifier(), "b": DummyClassifier()}


@pytest.fixture
def results(toy):
    return run_benchmark(toy, methods=DUMMY, **ONCE)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"methods": None}, "methods must be a list of names, or a dict .*; got None"),
        ({"methods": {3: None}}, "methods must have names as keys; got 3"),
        ({"scoring": 3}, "scoring must be None, a name, .*; got 3"),
        ({"scoring": [len]}, "scoring must have names for scorers; got <built-in"),
        ({"n_runs": 1.5}, "n_runs must be an integer of at least 1; got 1.5"),
        ({"test_size": "a"}, "test_size must lie between 0 and 1; got 'a'"),
        ({"max_rows": 60.5}, "max_rows must be None or an integer .*; got 60.5"),
        ({"missing": 0.5}, "missing must be a list; got float"),
        ({"missing": [0.5]}, "missing must hold strings; got 0.5"),
        ({"regimes": [1]}, "regimes must hold strings; got 1"),
    ],
)
def test_settings(toy, params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run_benchmark(toy, **{"methods": DUMMY, **ONCE, **params})


class Wrong(DummyClassifier):
    """A classifier with wrong probabilities."""

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


@pytest.mark.parametrize(
    "method, message",
    [
        (DummyRegressor(), "y_pred must hold the classes of y, such as "),
        (Wrong(), "y_proba must hold probabilities, which add up to 1"),
        (lambda modalities, random_state: None, "must return an estimator .* got None"),
    ],
)
def test_methods_that_fail(toy, method, message):
    found = run_benchmark(toy, methods={"wrong": method}, **ONCE)
    assert found["error"].str.contains(message).all()


def test_scorers_must_return_numbers(toy):
    found = run_benchmark(
        toy, methods=DUMMY, scoring={"s": lambda model, X, y: "x"}, **ONCE
    )
    message = r"scoring\['s'\] must return a number; got 'x'"
    assert found["error"].str.contains(message).all()


@pytest.mark.parametrize(
    "given, message",
    [
        ({"split": "x"}, r"split must be one of splits\(\); got 'x'"),
        ({"method": 3}, "method must be a name; got 3"),
        ({"y_pred": None}, "y_pred must have as many samples .*; got None"),
        ({"y_pred": "column"}, r"y_pred must have the shape .*; got \(\d+, 1\)"),
        ({"y_pred": "nan"}, "y_pred must hold the classes of y, .*; got nan"),
        ({"y_proba": 5.0}, "y_proba must hold probabilities"),
        ({"y_proba": 0.5, "classes": [1, 1]}, r"different classes of y; got \[1, 1\]"),
        ({"scores": [1]}, r"scores must be a dict of numbers; got \[1\]"),
        ({"scores": {"s": "x"}}, r"scores\['s'\] must be a finite number; got 'x'"),
        ({"fit_seconds": "x"}, "fit_seconds must be a finite number; got 'x'"),
    ],
)
def test_added_results(toy, given, message):
    split = next(splits(toy, **ONCE))
    y = split.y_test
    shaped = {"column": y[:, None], "nan": np.full(len(y), np.nan)}
    given = {"split": split, "method": "mine", "y_pred": y, **given}
    if isinstance(given["y_pred"], str):
        given["y_pred"] = shaped[given["y_pred"]]
    if "y_proba" in given:
        given["y_proba"] = np.full((len(y), 2), given["y_proba"])
    results = BenchmarkResults()
    with pytest.raises((TypeError, ValueError), match=message):
        results.add(**given)
    assert len(results.frame) == 0


def test_added_results_of_other_tasks():
    X = np.arange(40.0).reshape(20, 2)
    sets = {
        "regression": X[:, 0] / 7,
        "clustering": np.repeat([0, 1], 10),
    }
    for task, y in sets.items():
        data = BenchmarkData("d", X, y, {"a": 1, "b": 1}, task=task)
        split, results = next(splits(data, **ONCE)), BenchmarkResults()
        results.add(split, "fits", split.y_test)
        message = f"y_proba must be None for the task '{task}'"
        with pytest.raises(ValueError, match=message):
            results.add(split, "m", split.y_test, y_proba=np.ones((8, 2)))
        if task == "regression":
            with pytest.raises(ValueError, match="finite numbers; got NaN or inf"):
                results.add(split, "m", split.y_test * np.nan)
            with pytest.raises(ValueError, match="hold numbers; got the dtype <U"):
                results.add(split, "m", split.y_test.astype(str))


@pytest.mark.parametrize(
    "params, message",
    [
        ({"name": "late"}, "name must be among .* task 'clustering'; got 'late'"),
        ({"name": "kmeans"}, "n_classes must be given for clustering; got None"),
    ],
)
def test_methods_of_clustering(params, message):
    with pytest.raises(ValueError, match=message):
        make_method(task="clustering", modalities={"a": 2}, n_features=2, **params)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"name": 3}, "name must be a string; got 3"),
        ({"y": None, "task": "clustering"}, "y must be given, also to score clusters"),
    ],
)
def test_data(params, message):
    given = {"name": "d", "X": np.eye(2), "y": [0, 1], "modalities": [1, 1]}
    with pytest.raises((TypeError, ValueError), match=message):
        BenchmarkData(**(given | params))


@pytest.mark.parametrize(
    "use",
    [
        summarize,
        score_parts,
        modality_equity_index,
        compare_methods,
        compare_ranks,
        BenchmarkDisplay.from_results,
        lambda results: write_report(results, "unused"),
    ],
)
def test_results(results, use):
    with pytest.raises(TypeError, match="results must be a data frame .*; got list"):
        use([1])
    with pytest.raises(ValueError, match="columns of run_benchmark; got no 'seed'"):
        use(results.drop(columns="seed"))
    with pytest.raises(ValueError, match="results must hold at least one row"):
        use(results.iloc[:0])


@pytest.mark.parametrize("level", [0, 95, "a", np.nan])
def test_levels(results, level):
    message = f"confidence_level must lie between 0 and 1; got {level!r}"
    for use in (summarize, compare_methods, BenchmarkDisplay.from_results):
        with pytest.raises(ValueError, match=message):
            use(results, confidence_level=level)
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        compare_ranks(results, over="runs", alpha=level)


def test_other_options(results, tmp_path):
    with pytest.raises(ValueError, match="n_resamples must be an integer .*; got 0"):
        compare_methods(results, n_resamples=0)
    with pytest.raises(ValueError, match="must be the result of summarize"):
        rank_methods(results)
    with pytest.raises(ValueError, match="formats must hold at least one entry"):
        write_report(results, tmp_path, formats=[])
    with pytest.raises(ValueError, match="formats must .* once; got 'md' twice"):
        write_report(results, tmp_path, formats=["md", "md"])
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="folder must be a folder; got the"):
        write_report(results, tmp_path / "file")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--method", "x=math:pi"], r"methods\['x'\] must be a name .*; got 3.14"),
        (["--method", "late=math:pi"], "must have a new name; got 'late' twice"),
        (["--formats", ","], "formats must hold at least one entry"),
    ],
)
def test_command(capsys, arguments, message):
    assert main(["--data", "breast_cancer", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
