"""Means, intervals, tests and ranks against values computed by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from skmissing.benchmark import compare_methods, compare_ranks, rank_methods, summarize
from skmissing.benchmark._statistics import holm, rank_scores


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


# Accuracies of four settings of a decision tree on 14 data sets: Table 6 of Demšar
# (2006), the worked example of the tests.
TREES = pd.DataFrame(
    {
        "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661]
        + [0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957],
        "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668]
        + [0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978],
        "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609]
        + [0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946],
        "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685]
        + [0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970],
    }
)


def test_ranks_of_the_worked_example():
    """Mean ranks, Friedman's statistic and the critical difference of the paper."""
    found = rank_scores(TREES)
    ranks = found.mean_ranks.round(3).to_dict()
    assert ranks == {
        "C4.5+m+cf": 1.964,
        "C4.5+m": 2.0,
        "C4.5+cf": 2.893,
        "C4.5": 3.143,
    }
    # 2.569 * sqrt(4 * 5 / (6 * 14)); the paper has 1.25 for alpha = 0.05.
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)
    assert rank_scores(TREES, 0.1).critical_difference == pytest.approx(1.12, abs=0.01)
    # 9.28 in the paper, without the correction for ties.
    assert found.statistic == stats.friedmanchisquare(*TREES.to_numpy().T).statistic
    assert found.p_value < 0.05
    assert found.groups == [["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]]
    strict = rank_scores(TREES, 0.1)
    assert strict.groups == [["C4.5+m+cf", "C4.5+m", "C4.5+cf"], ["C4.5+cf", "C4.5"]]


def test_two_methods_are_a_sign_test():
    """Friedman's test of two methods is (wins - losses)^2 / (wins + losses)."""
    scores = pd.DataFrame({"a": [3.0, 2, 1, 5, 4], "b": [1.0, 1, 2, 5, 3]})
    found = rank_scores(scores)
    assert found.statistic == (3 - 1) ** 2 / (3 + 1)
    assert found.p_value == stats.chi2.sf(1.0, 1)


def test_comparisons_by_hand():
    a, b = [0.9, 0.8, 0.6, 0.7, 0.9], [0.8, 0.7, 0.7, 0.4, 0.9]
    rows = make_rows({"a": a, "b": b})
    (line,) = compare_methods(rows, over="runs").to_dict("records")
    d = np.subtract(a, b)
    assert (line["method"], line["other"], line["n_pairs"]) == ("a", "b", 5)
    assert (line["wins"], line["ties"], line["losses"]) == (3, 1, 1)
    assert line["difference"] == pytest.approx(0.08)
    assert line["p_ttest"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert line["cohen_d"] == pytest.approx(0.08 / d.std(ddof=1))
    assert d.min() <= line["low"] < 0.08 < line["high"] <= d.max()
    swapped = compare_methods(rows, reference="a", over="runs").iloc[0]
    assert swapped["rank_biserial"] == pytest.approx(-line["rank_biserial"])
    assert (swapped["method"], swapped["difference"]) == ("b", pytest.approx(-0.08))


def test_rank_biserial_by_hand():
    """Differences 1, -2, 3, 4: ranks 1 + 3 + 4 against 2, of 10."""
    rows = make_rows({"a": [1.0, 0.0, 3.0, 4.0], "b": [0.0, 2.0, 0.0, 0.0]})
    line = compare_methods(rows, over="runs").iloc[0]
    assert line["rank_biserial"] == pytest.approx(0.6)


def test_pairs_are_data_sets_or_runs():
    """Means are over runs that both methods finished. Losses count the other way."""
    rows = pd.concat(
        [
            make_rows({"a": [1.0, 3.0], "b": [2.0, None]}, data="x", metric="mae"),
            make_rows({"a": [0.5, 0.7], "b": [0.4, 0.6]}, data="y"),
        ]
    )
    line = compare_methods(rows).iloc[0]
    assert (line["n_pairs"], line["wins"], line["losses"]) == (2, 2, 0)
    assert line["difference"] == pytest.approx((1.0 + 0.1) / 2)
    assert compare_methods(rows, over="runs").iloc[0]["n_pairs"] == 3


def test_p_values_of_all_pairs_are_corrected():
    rng = np.random.RandomState(0)
    rows = make_rows({name: rng.rand(8) for name in "abc"})
    found = compare_methods(rows, over="runs")
    scores = rows.pivot(index="seed", columns="method", values="scores.accuracy")
    raw = [stats.wilcoxon(scores[i], scores[j]).pvalue for i, j in ("ab", "ac", "bc")]
    assert_allclose(found["p_wilcoxon"], holm(raw))


def test_methods_without_scores_are_not_ranked():
    rows = make_rows({"a": [0.9, 0.8], "b": [0.7, 0.9], "c": [None, None]})
    with pytest.warns(UserWarning, match="are not ranked: c"):
        ranks = compare_ranks(rows, over="runs")
    assert sorted(ranks.mean_ranks.index) == ["a", "b"] and ranks.n_blocks == 2


@pytest.mark.parametrize(
    "compare, options, message",
    [
        (compare_methods, {"over": "sets"}, "over must be 'data' or 'runs'"),
        (compare_methods, {"reference": "c"}, "reference must be among a, b; got 'c'"),
        (compare_methods, {"metric": "auc"}, "metric='auc' is not among .*: accuracy"),
        (compare_ranks, {"regime": "R2"}, "regime must be among R1; got 'R2'"),
        (compare_ranks, {}, "two data sets or runs; got 2 methods and 1 data"),
    ],
)
def test_bad_comparisons(compare, options, message):
    with pytest.raises(ValueError, match=message):
        compare(make_rows({"a": [0.5, 0.6], "b": [0.4, 0.7]}), **options)


def test_comparisons_need_methods_and_one_regime():
    rows = make_rows({"a": [0.5, 0.6], "b": [0.4, 0.7]})
    with pytest.raises(ValueError, match="at least two methods; got a"):
        compare_methods(rows[rows["method"] == "a"])
    both = pd.concat([rows, rows.assign(regime="R2")])
    with pytest.raises(ValueError, match="regime must be given, .* R1, R2; got None"):
        compare_ranks(both)
    assert compare_methods(both, over="runs")["regime"].tolist() == ["R1", "R2"]
