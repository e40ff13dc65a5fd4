"""Means, intervals, tests and ranks against values computed by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from skmissing.benchmark import rank_methods, summarize
from skmissing.benchmark._report import holm


def make_rows(scores, *, data="a", regime="R1", metric="accuracy"):
    """Results from scores by method, one per run; None stands for a failure."""
    task = {"accuracy": "classification", "mae": "regression"}[metric]
    rows = []
    for method, values in scores.items():
        for seed, value in enumerate(values):
            row = {"data": data, "missing": "mcar:0.5", "regime": regime}
            row |= {"method": method, "seed": seed, "error": None}
            if value is None:
                row["error"] = "ValueError: no"
            else:
                row |= {
                    "task": task,
                    f"scores.{metric}": value,
                    f"full_scores.{metric}": value + 0.1,
                    "fit_seconds": 1.0 + seed,
                    "predict_seconds": 0.5,
                    "peak_mb": 10.0 * seed,
                    "train_missing.x": 0.2,
                    "train_missing.y": 0.4,
                    "test_missing.x": 0.5,
                }
            rows.append(row)
    return pd.DataFrame(rows)


def lines_of(frame):
    """Rows of a table as dicts, with None for NaN."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def test_summary_of_runs_by_hand():
    a, b = [0.9, 0.8, 0.85, 0.95], [0.7, 0.75, 0.72, 0.74]
    best, other = lines_of(summarize(make_rows({"weak": b, "strong": a})))
    assert (best["method"], best["best"], best["p_ttest"]) == ("strong", True, None)
    assert best["mean"] == pytest.approx(0.875)
    half = stats.t.interval(0.95, 3, loc=0, scale=stats.sem(a))[1]
    assert best["half_width"] == pytest.approx(half)
    assert best["full"] == pytest.approx(0.975)
    assert best["fit_seconds"] == 2.5 and best["peak_mb"] == 30.0
    assert best["train_missing"] == pytest.approx(0.3)
    assert other["p_ttest"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert other["p_wilcoxon"] == pytest.approx(stats.wilcoxon(a, b).pvalue)


def test_equal_means_are_both_the_best():
    found = summarize(make_rows({"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.4, 0.5]}))
    assert found.set_index("method")["best"].to_dict() == {
        "a": True,
        "b": True,
        "c": False,
    }


def test_p_values_are_corrected_for_their_number():
    """Two methods against the best: Holm's factors are 2 and 1."""
    rng = np.random.RandomState(0)
    best = 0.9 + 0.01 * rng.standard_normal(6)
    near = best - 0.01 + 0.01 * rng.standard_normal(6)
    far = best - 0.3 + 0.01 * rng.standard_normal(6)
    lines = summarize(make_rows({"best": best, "near": near, "far": far}))
    p = lines.set_index("method")["p_ttest"]
    assert p["far"] == pytest.approx(2 * stats.ttest_rel(best, far).pvalue)
    assert p["near"] == pytest.approx(stats.ttest_rel(best, near).pvalue)


def test_holm_by_hand():
    assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    assert_allclose(holm([0.6, 0.9]), [1.0, 1.0])
    assert holm([]).shape == (0,)


def test_equal_scores_are_no_difference():
    """Without spread of the differences, p is 1 if they are 0, else not defined."""
    scores = {"a": [0.5, 0.75], "b": [0.5, 0.75], "c": [0.25, 0.5]}
    lines = lines_of(summarize(make_rows(scores)))
    p = {line["method"]: (line["p_ttest"], line["p_wilcoxon"]) for line in lines}
    assert p["b"] == (1.0, 1.0) and p["c"][0] is None


def test_losses_rank_the_other_way():
    lines = summarize(make_rows({"a": [1.0, 1.1], "b": [0.5, 0.4]}, metric="mae"))
    assert list(lines["method"]) == list(rank_methods(lines)["method"]) == ["b", "a"]


def test_failed_runs_are_counted_and_left_out_of_pairs():
    rows = make_rows({"a": [0.9, 0.8, 0.7], "b": [0.6, None, 0.5], "c": [None] * 3})
    lines = {line["method"]: line for line in lines_of(summarize(rows))}
    assert (lines["b"]["n_runs"], lines["b"]["n_errors"]) == (2, 1)
    assert lines["b"]["p_wilcoxon"] == stats.wilcoxon([0.3, 0.2]).pvalue
    assert lines["c"]["mean"] is None and lines["c"]["error"] == "ValueError: no"


def test_all_failed_is_no_score():
    summary = summarize(make_rows({"a": [None, None]}))
    (line,) = lines_of(summary)
    assert (line["best"], line["mean"], line["metric"]) == (False, None, None)
    assert rank_methods(summary)["mean_rank"].isna().all()


def test_mean_rank_over_data_sets():
    """Ties share ranks; a method without a score somewhere gets none."""
    rows = make_rows({"a": [0.9], "b": [0.8], "c": [0.7], "d": [0.6]}, data="x")
    more = make_rows({"a": [0.5], "b": [0.5], "c": [0.7], "d": [None]}, data="y")
    ranks = lines_of(rank_methods(summarize(pd.concat([rows, more]))))
    ranks = {r["method"]: r for r in ranks}
    found = {name: r["mean_rank"] for name, r in ranks.items()}
    assert found == {"a": 1.75, "b": 2.25, "c": 2.0, "d": None}
    assert ranks["d"]["n_failed"] == 1 and ranks["a"]["n_data"] == 2


def test_unknown_metric():
    with pytest.raises(ValueError, match="metric='auc' is not among the scores of a"):
        summarize(make_rows({"a": [0.5]}), metric="auc")
