"""Resuming, repeating, and the time left."""

import io
import json

import numpy as np
import pytest

from skmissing.benchmark import _runner, make_method, read_results, run_benchmark
from skmissing.benchmark._runner import Progress

from .conftest import make_toy

SMALL = {"methods": ["zero", "mean"], "n_runs": 2}
CLOCKS = ("wall_seconds", "fit_seconds", "predict_seconds", "peak_mb", "pid")


def numbers(results):
    return results.drop(columns=list(CLOCKS)).fillna("").to_dict("records")


@pytest.fixture
def counted(monkeypatch):
    ran = []

    def count(cell, *given, **settings):
        ran.append((cell.regime, cell.method, cell.seed))
        return run_cell(cell, *given, **settings)

    run_cell = _runner.run_cell
    monkeypatch.setattr(_runner, "run_cell", count)
    return ran


def test_twice_gives_the_same_numbers():
    toy = make_toy(n=80)
    methods = ["soft", "hgb", "dropout", "late"]
    first, second = (run_benchmark([toy], methods=methods, n_runs=1) for _ in "ab")
    assert numbers(first) == numbers(second)
    assert not first["error"].any()


@pytest.mark.slow
def test_order_of_rows_does_not_depend_on_jobs(toy):
    alone = run_benchmark([toy], **SMALL)
    assert numbers(run_benchmark([toy], **SMALL, n_jobs=2)) == numbers(alone)
    assert list(alone["seed"][:2]) == [0, 1]


def test_interrupted_run_does_what_is_left(toy, tmp_path, counted):
    whole = run_benchmark([toy], **SMALL, out=tmp_path)
    assert len(counted) == 8
    path = tmp_path / "results.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]) + lines[5][:40])
    counted.clear()
    with pytest.warns(UserWarning, match="last line is cut off"):
        again = run_benchmark([toy], **SMALL, out=tmp_path)
    assert len(counted) == 3
    assert numbers(again) == numbers(whole)
    assert len(read_results(tmp_path)) == 8


def test_finished_benchmark_runs_nothing(toy, tmp_path, counted):
    first = run_benchmark([toy], **SMALL, out=tmp_path)
    counted.clear()
    assert run_benchmark([toy], **SMALL, out=tmp_path).equals(first)
    assert counted == []
    run_benchmark([toy], methods=["zero", "mean"], n_runs=3, out=tmp_path)
    assert [seed for _, _, seed in counted] == [2, 2, 2, 2]


def test_other_data_or_settings_are_not_mixed(toy, tmp_path, counted):
    run_benchmark([toy], **SMALL, out=tmp_path)
    counted.clear()
    with pytest.warns(UserWarning, match="8 cells were run on other data or settings"):
        run_benchmark([toy], **SMALL, out=tmp_path, test_size=0.3)
    with pytest.warns(UserWarning, match="other data"):
        run_benchmark([make_toy(n=100)], **SMALL, out=tmp_path)
    assert len(counted) == 16


def test_failed_cells_are_rows_and_run_again_if_asked(tmp_path, counted, failing):
    data = make_toy(n=20)
    asked = {"methods": ["mean", failing], "n_runs": 1, "regimes": ["R1"]}
    rows = run_benchmark([data], **asked, out=tmp_path)
    assert list(rows["error"].isna()) == [True, False]
    counted.clear()
    run_benchmark([data], **asked, out=tmp_path)
    run_benchmark([data], **asked, out=tmp_path, retry_failed=True)
    assert counted == [("R1", failing, 0)]


def test_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({"data": "a"}) + "\n")
    with pytest.raises(ValueError, match="line 1 is not a result of a benchmark"):
        read_results(path)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"methods": ["mean", "magic"]}, "methods must be among .* got 'magic'"),
        ({"methods": []}, "methods must hold at least one"),
        (
            {"methods": ["mean", "mean"]},
            "methods must hold each entry once; got 'mean' twice",
        ),
        ({"regimes": ["R3"]}, "regimes must be among R1, R2; got 'R3'"),
        ({"n_runs": 0}, "n_runs must be an integer of at least 1; got 0"),
        ({"test_size": 1.5}, "test_size must lie between 0 and 1; got 1.5"),
        ({"max_rows": 3}, "max_rows must be None or an integer of at least 10; got 3"),
        ({"missing": ["group:0.5"]}, "data 'toy': it needs groups"),
        ({"missing": ["mcar"]}, "must have a rate, such as 'mcar:0.5'; got 'mcar'"),
        ({"missing": ["magic:0.5"]}, "mechanism must be among .* got 'magic'"),
        ({"missing": ["complex-10-80"]}, "missing='complex-10-80' on data 'toy'"),
    ],
)
def test_bad_settings_raise_before_anything_runs(toy, settings, message):
    with pytest.raises(ValueError, match=message):
        run_benchmark([toy], **settings)


def test_label_needs_one_label_per_sample():
    with pytest.raises(
        ValueError, match="'label:0.3' on data 'toy': it needs one class"
    ):
        run_benchmark([make_toy("multilabel")], ["label:0.3"])


def test_out_must_be_a_folder(toy, tmp_path, counted):
    (tmp_path / "results").write_text("mine")
    with pytest.raises(
        NotADirectoryError, match="out must be a folder; got the file .*results'"
    ):
        run_benchmark([toy], **SMALL, out=tmp_path / "results")
    assert counted == []


def test_progress_has_the_time_left(toy):
    cells = _runner.make_cells(
        [toy],
        ["mcar:0.5"],
        ["R1"],
        {"fast": "mean", "slow": "mean"},
        3,
        test_size=0.4,
        max_rows=None,
    )
    stream = io.StringIO()
    progress = Progress(cells, 2, stream)
    row = {"data": "toy", "missing": "m", "regime": "R1", "seed": 0, "error": None}
    row |= {"task": "classification", "scores": {"accuracy": 0.5}}
    progress.update(row | {"method": "fast", "wall_seconds": 1.0})
    assert progress.seconds_left() == (2 * 1.0 + 3 * 1.0) / 2
    progress.update(row | {"method": "slow", "wall_seconds": 59.0})
    assert progress.seconds_left() == (2 * 1.0 + 2 * 59.0) / 2
    assert stream.getvalue().splitlines()[1] == (
        "[2/6] toy m R1 slow run 0: 0.500 (59.0 s; 1 min 0 s left)"
    )


QUICK = ["mean", "greedy", "nearest", "soft", "factor", "retrieval", "ridge", "late"]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_methods_run_on_few_samples(task):
    """There are no more clusters than training samples that have a modality."""
    data = make_toy(task, n=20)
    data.X[:3] = np.nan
    results = run_benchmark(data, "mcar:0.3", QUICK, n_runs=1)
    assert results["error"].isna().all()
    assert len(results) == 2 * len(QUICK)
    assert (
        make_method("soft", task=task, modalities={"a": 2}, n_features=2, n_samples=7)[
            0
        ].n_clusters
        == 7
    )


def test_single_entries_are_lists_of_one():
    data = make_toy(n=40)
    one = run_benchmark(data, "mcar:0.3", "mean", regimes="R1", n_runs=1)
    listed = run_benchmark([data], ["mcar:0.3"], ["mean"], regimes=["R1"], n_runs=1)
    assert one["scores.accuracy"].tolist() == listed["scores.accuracy"].tolist()
    with pytest.raises(ValueError, match="got 'lat'. Did you mean 'late'"):
        run_benchmark(data, methods="lat")
    with pytest.raises(ValueError, match="got 'mean,late'"):
        run_benchmark("digits", methods="mean,late")
    with pytest.raises(ValueError, match="data='breast_canser' .* Did you mean 'breas"):
        run_benchmark("breast_canser")
