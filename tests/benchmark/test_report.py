"""Files of the report, and the command."""

import csv
import importlib.util
from functools import partial

import numpy as np
import pandas as pd
import pytest

from skmissing.benchmark import (
    _methods,
    list_methods,
    make_method,
    run_benchmark,
    write_report,
)
from skmissing.benchmark.__main__ import _words, main

from .conftest import make_toy
from .test_statistics import make_rows

TORCH = list(_methods.TORCH)
LIGHT = [n for n in _methods.METHODS if n not in {*TORCH, *_methods.OUTSIDE}]


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_every_light_method_runs(task):
    # Several labels are the models of one label in OneVsRestClassifier.
    methods = ["mean", "hgb", "late", "pattern"] if task == "multilabel" else LIGHT
    if task == "regression":
        methods = [name for name in LIGHT if name != "routed"]
    rows = run_benchmark(
        [make_toy(task, n=70)], "mcar:0.5", methods, n_runs=1, regimes="R2"
    )
    assert set(rows["method"]) == set(methods) and not rows["error"].any()


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs torch")
def test_every_torch_method_runs():
    def short(name, modalities, random_state):
        model = make_method(
            name, task="classification", modalities=modalities, n_features=9,
            n_samples=24, random_state=random_state,
        )  # fmt: skip
        few = [key for key in model.get_params() if key.endswith("max_epochs")]
        return model.set_params(**dict.fromkeys(few, 2))

    rows = run_benchmark(
        [make_toy(n=40)], methods={name: partial(short, name) for name in TORCH},
        n_runs=1, regimes=["R2"],
    )  # fmt: skip
    assert set(rows["method"]) == set(TORCH) and not rows["error"].any()


def test_iterative_is_for_narrow_data():
    with pytest.raises(ValueError, match="at most 60 columns; X has 61"):
        make_method("iterative", task="classification", modalities=[61], n_features=61)


def test_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task must be .* got 'ranking'"):
        make_method("mean", task="ranking", modalities=[2], n_features=2)


def test_methods_without_their_package_are_refused(toy, monkeypatch):
    """Neural methods are listed, and raise an error before anything runs."""

    def absent(name, extra):
        raise ImportError(f'{name} is needed: pip install "skmissing[{extra}]"')

    monkeypatch.setattr(_methods, "import_optional", absent)
    assert "needs torch" in list_methods()["mask"]
    with pytest.raises(ImportError, match=r"'mask' cannot run: torch .*\[neural\]"):
        run_benchmark([toy], methods=["mean", "mask"])


def test_report_holds_tables_and_failures(tmp_path, failing):
    rows = run_benchmark([make_toy(n=60)], methods=["zero", "mean", failing], n_runs=2)
    written = write_report(rows, tmp_path / "deep" / "report", formats=["md", "csv"])
    text = written[0].read_text(encoding="utf-8")
    assert "## mcar:0.5, R1: complete training samples" in text
    assert "## mcar:0.5, R2: modalities hidden in training" in text
    assert text.count("**0.") == 2  # one best per table
    assert "| iterative | – | – |" in text
    assert "iterative: 2 of 2 runs; ValueError: iterative is for" in text
    with written[2].open(encoding="utf-8") as file:
        runs = list(csv.DictReader(file))
    assert len(runs) == len(rows) == 12
    for run, score in zip(runs, rows["scores.accuracy"].astype(object).fillna("")):
        assert run["scores.accuracy"] == str(score)
    with written[1].open(encoding="utf-8") as file:
        assert {line["method"] for line in csv.DictReader(file)} == {
            "zero",
            "mean",
            "iterative",
        }


def test_report_marks_fewer_runs(toy, tmp_path):
    rows = run_benchmark([toy], methods=["zero", "mean"], n_runs=3)
    rows = rows[(rows["method"] == "mean") | (rows["seed"] < 2)]
    (path,) = write_report(rows, tmp_path, formats=["md"])
    text = path.read_text(encoding="utf-8")
    assert text.count("(2 of 3 runs)") == 2


def make_report_rows():
    """Three methods on two data sets and rates, in both regimes; one name is odd."""
    rng = np.random.RandomState(0)
    parts = []
    for data in ("x & y", "z_1"):
        for missing in ("mcar:0.3", "mcar:0.5"):
            for regime in ("R1", "R2"):
                scores = {name: rng.rand(3) for name in ("mean", "late", "<b>|50 %")}
                rows = make_rows(scores, data=data, regime=regime)
                parts.append(rows.assign(missing=missing, n_parameters=1234))
    rows = pd.concat(parts, ignore_index=True)
    parts = {"text": {"n": 5, "accuracy": 0.25}, "audio": {"n": 9, "accuracy": 0.75}}
    return rows.assign(pattern_scores=[parts] * len(rows))


def test_report_in_all_tables(tmp_path):
    """The same cells, escaped as the format needs."""
    formats = ["md", "tex", "csv"]
    written = write_report(
        make_report_rows(), tmp_path, formats=formats, reference="mean"
    )
    names = ["report.md", "report.tex", "summary.csv", "runs.csv", "comparisons.csv"]
    assert [path.name for path in written] == [*names, "parts.csv"]
    markdown, latex = (path.read_text(encoding="utf-8") for path in written[:2])
    for text in ("0.250 (text; gap 0.500)", "1234", "Differences to mean over 2 data"):
        assert text in markdown and text in latex
    assert r"| \<b>\|50 % | 0.250 (text" in markdown.replace("mcar:0.3 | R1 ", "")
    assert r"$<$b$>$|50 \% &" in latex and r"x \& y (accuracy) & z\_1" in latex
    assert markdown.count("**0.") == latex.count(r"\textbf{0.") == 8
    for command in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert latex.count(command) == markdown.count("\n| --- |")
    comparisons = pd.read_csv(written[4])
    assert len(comparisons) == 2 * 3 and (comparisons["n_pairs"] == 2).all()


def test_figures_are_drawn_if_there_is_enough(tmp_path):
    """The page holds its figures."""
    pytest.importorskip("matplotlib")
    rows = make_report_rows().query("regime == 'R1'")
    formats = ["svg", "md", "html"]
    written = write_report(rows, tmp_path, formats=formats, figsize=(6, 8))
    kinds = ["scores", "rates", "sets", "ranks", "cost"]
    assert [path.stem for path in written] == [*kinds, "report", "report"]
    texts = [path.read_text(encoding="utf-8") for path in written]
    assert all('width="432pt" height="576pt"' in text for text in texts[:5])
    assert "](ranks.svg)" in texts[5]
    assert texts[6].count('src="data:image/svg+xml;base64,') == 5
    assert "<td>&lt;b&gt;|50 %" in texts[6] and "<td><b>0." in texts[6]
    assert "x &amp; y (accuracy)" in texts[6]


def test_figures_in_two_formats(tmp_path):
    pytest.importorskip("matplotlib")
    rows = make_rows({"a": [0.5, 0.6]})
    (png, pdf) = write_report(rows, tmp_path, formats=["png", "pdf"])
    assert (png.name, pdf.name) == ("scores.png", "scores.pdf")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert pdf.read_bytes()[:5] == b"%PDF-"


def test_report_of_one_run_has_no_comparisons(tmp_path):
    rows = make_rows({"a": [0.5], "b": [0.6]})
    (path,) = write_report(rows, tmp_path, formats=["md"])
    assert "Comparisons" not in path.read_text(encoding="utf-8")


def test_report_of_incomplete_results(tmp_path):
    """Only one method has R2, where it fails."""
    rows = make_rows({"a": [0.5, 0.6], "b": [0.6, 0.8]})
    failed = make_rows({"a": [None, None]}, regime="R2")
    path, _, _, comparisons = write_report(
        pd.concat([rows, failed]), tmp_path, formats=["md", "csv"], reference="b"
    )
    text = path.read_text(encoding="utf-8")
    assert "R1: complete training samples, " in text and "to b over 2 runs" in text
    assert "| a | 2.00 | -0.150 | -0.200 to -0.100 | 0-0-2 |" in text
    assert "- a, mcar:0.5, R2, a: 2 of 2 runs; ValueError: no" in text
    assert pd.read_csv(comparisons)["regime"].tolist() == ["R1"]


def test_report_without_matplotlib_warns(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    rows = make_rows({"a": [0.5]})
    with pytest.warns(UserWarning, match=r"figures are left out.*skmissing\[plot\]"):
        written = write_report(rows, tmp_path)
    assert [path.name for path in written] == ["report.md", "summary.csv", "runs.csv"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"formats": ["md", "jpg"]}, "formats must be among md, html, tex, .*'jpg'"),
        ({"reference": "c"}, "reference must be among a; got 'c'"),
    ],
)
def test_bad_reports(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_report(make_rows({"a": [0.5]}), tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_empty_report(tmp_path):
    with pytest.raises(ValueError, match="results must hold at least one row"):
        write_report(pd.DataFrame(), tmp_path)


def test_command_lists_data_and_methods(capsys):
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for word in ["digits", "complex-10-45-45", "MuteBench", "R1", *list_methods()]:
        assert f"  {word}" in text


def test_command_takes_a_file(tmp_path, capsys):
    data = make_toy()
    path = tmp_path / "own.npz"
    np.savez(path, a=data.X[:, :4], b=data.X[:, 4:], y=data.y)
    command = ["--data", str(path), "--methods", "zero,mean", "--n-runs", "1"]
    command += ["--missing", "mcar:0.3,100-a-20-b", "--out", str(tmp_path / "out")]
    command += ["--formats", "md,csv"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert first.err.count("run 0:") == 8
    assert "## 100-a-20-b, R2" in first.out
    assert main(command) == 0
    again = capsys.readouterr()
    assert again.err == "" and again.out == first.out


def test_command_reports_failures_by_its_status(tmp_path, capsys, failing):
    path = tmp_path / "own.npz"
    np.savez(path, a=np.eye(20), y=np.arange(20) % 2)
    command = ["--data", str(path), "--n-runs", "1", "--out", str(tmp_path), "--quiet"]
    assert main([*command, "--methods", f"mean,{failing}"]) == 1
    assert "2 of 4 cells failed" in capsys.readouterr().err
    assert main(["--data", "iris", "--out", str(tmp_path)]) == 2
    assert "neither one of breast_cancer, digits" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--groups", "person"], "groups='person' is for .npz files only"),
        (["--metric", "acuracy"], "metric='acuracy' is not among the scores of"),
        (["--metric", "acuracy"], "Did you mean 'accuracy'?"),
        (["--methods", "sfot"], "Did you mean 'soft'?"),
        (["--regimes", "r1"], "got 'r1'. Did you mean 'R1'?"),
        (["--data", "Digit"], "Did you mean 'digits'?"),
        (["--task", "ranking"], "task must be None"),
        (["--formats", "md,jpg"], "formats must be among md, html, tex"),
        (["--reference", "mean"], "reference must be among zero; got 'mean'"),
        (["--out", __file__], "out must be a folder; got the file"),
        (["--out", __file__ + "/deeper"], "Not a directory"),
    ],
)
def test_bad_options_raise_before_anything_runs(tmp_path, capsys, options, message):
    command = ["--data", "breast_cancer", "--methods", "zero", "--n-runs", "1"]
    assert main([*command, "--out", str(tmp_path), *options]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_command_without_arguments_prints_help(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmark"])
    assert main() == 0
    assert "--missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, words",
    [
        ("mcar:0.5", ["mcar:0.5"]),
        ("mcar:0.3, mar:0.3", ["mcar:0.3", "mar:0.3"]),
        ("mcar:0.4,0.8,label:0.3", ["mcar:0.4,0.8", "label:0.3"]),
        ("mcar:0.4,0.8+segment:0.3,0.5", ["mcar:0.4,0.8+segment:0.3", "0.5"]),
        ("100-a-20-b,mcar:.4,.8,", ["100-a-20-b", "mcar:.4,.8"]),
        ("0.3,0.5,mcar:0.5,20-a-100-b", ["0.3", "0.5", "mcar:0.5", "20-a-100-b"]),
        (None, None),
    ],
)
def test_lists_with_commas(text, words):
    """A pair of numbers is one word."""
    assert _words(text) == words


def test_command_takes_a_task(tmp_path, capsys):
    command = ["--data", "breast_cancer", "--methods", "zero", "--n-runs", "1"]
    command += ["--regimes", "R1", "--task", "regression", "--quiet"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert "breast_cancer (mae, less is better)" in capsys.readouterr().out


def test_interrupted_command(tmp_path, capsys, monkeypatch):
    command = ["--data", "breast_cancer", "--methods", "zero,mean", "--n-runs", "1"]
    command += ["--regimes", "R1", "--out", str(tmp_path)]

    def interrupt(self, row):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("skmissing.benchmark._runner.Progress.update", interrupt)
        assert main(command) == 130
    assert "Repeat the command" in capsys.readouterr().err
    assert main(command) == 0
    assert "[1/1] breast_cancer mcar:0.5 R1 mean run 0" in capsys.readouterr().err
