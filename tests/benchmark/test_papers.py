"""Protocols of papers on embedded data, and the Modality Equity Index by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.benchmark import modality_equity_index, run_benchmark, splits


@pytest.mark.parametrize(
    "missing",
    [
        "complex-20-20-20-10-10-10-10",
        "80-mean-50-error-20-worst",
        "segment:0.3",
        "mcar:0.3+segment:0.3",
        "label:0.3+segment:0.3",
        "0-mean-100-error-100-worst",
    ],
)
def test_protocols_run(missing):
    results = run_benchmark(
        "breast_cancer", missing, ["mean", "late"], n_runs=1, max_rows=100
    )
    assert results["error"].isna().all()
    # Methods ignore a modality that is missing in all training samples, with a warning.
    assert results["n_warnings"].any() == missing.startswith("0-")


def first(missing, regime="R1"):
    return next(splits("breast_cancer", missing, regimes=regime, n_runs=1))


def test_segments_take_their_share_of_each_observed_modality():
    split = first("mcar:0.3+segment:0.3", "R2")
    for X in (split.X_train, split.X_test):
        lost = np.isnan(X).reshape(len(X), 3, 10).sum(axis=2)
        assert set(np.unique(lost)) == {3, 10}
    # 0.3 - 0.3^3 / 3: a sample that would lose all modalities keeps one.
    assert_allclose((lost == 10).mean(), 0.291, atol=0.05)
    assert not np.isnan(first("segment:0.3").X_train).any()


def test_label_and_segment():
    split = first("label:0.3+segment:0.5")
    assert np.isnan(split.X_test).any(axis=1).all()
    assert not np.isnan(split.X_train).any()


def test_fixed_and_random_patterns():
    fixed = np.isnan(first("0-mean-100-error-0-worst").X_test)
    assert_array_equal(fixed, np.tile(np.repeat([True, False, True], 10), (228, 1)))
    one = np.isnan(first("complex-0-0-0-0-34-33-33").X_test)[:, ::10]
    # 228 samples: 77.5, 75.2 and 75.2, by largest remainders
    assert_array_equal(one.sum(axis=1), 1)
    assert sorted(one.sum(axis=0)) == [75, 75, 78]


def make_results(scores, *, metric="accuracy", modalities="ta"):
    """Results of one cell with these scores by pattern."""
    parts = {part: {"n": 9, metric: score} for part, score in scores.items()}
    row = {
        "data": "x",
        "missing": "mcar:0.5",
        "regime": "R1",
        "method": "mine",
        "seed": 0,
    }
    row |= {"task": "classification", "pattern_scores": parts}
    return pd.DataFrame([row | {f"test_missing.{m}": 0.5 for m in modalities}])


def test_index_by_hand():
    results = make_results({"t": 0.6, "a": 0.5, "t + a": 0.8})
    table = modality_equity_index(results)
    assert list(table["modality"]) == ["t", "a"]
    assert list(table["n_pairs"]) == [1, 1]
    assert_allclose(table["gain"], [0.3, 0.2])
    assert_allclose(table["share"], [0.6, 0.4])
    # -(0.6 ln 0.6 + 0.4 ln 0.4) / ln 2
    assert_allclose(table["index"], 0.970951, atol=1e-6)


def test_index_with_three_modalities_a_loss_and_a_negative_gain():
    scores = {"t": 0.5, "a": 0.9, "v": 0.7, "t + a": 0.6, "t + v": 0.3, "a + v": 0.9}
    results = make_results(scores, metric="log_loss", modalities="tav")
    table = modality_equity_index(results, metric="log_loss")
    # t: a to t + a, v to t + v. a: t to t + a, v to a + v. v: t to t + v, a to a + v.
    assert_allclose(table["gain"], [0.35, -0.15, 0.1])
    assert_allclose(table["share"], [7 / 9, 0, 2 / 9])
    entropy = -(7 / 9 * np.log(7 / 9) + 2 / 9 * np.log(2 / 9))
    assert_allclose(table["index"], entropy / np.log(3))


@pytest.mark.parametrize(
    "scores, gains",
    [
        ({"t": 0.6, "t + a": 0.8}, [np.nan, 0.2]),  # t is never missing
        ({"t": 0.8, "a": 0.8, "t + a": 0.7}, [-0.1, -0.1]),
    ],
)
def test_index_that_is_undefined(scores, gains):
    table = modality_equity_index(make_results(scores))
    assert_allclose(table["gain"], gains)
    assert table[["share", "index"]].isna().all(axis=None)


def test_index_of_several_methods_and_sets():
    both = pd.concat(
        [
            make_results({"t": 0.5, "a": 0.5, "t + a": 0.9}),
            make_results({"v": 0.5, "x": 0.9, "v + x": 0.9}, modalities="vx").assign(
                data="y", method="other"
            ),
        ]
    )
    table = modality_equity_index(both)
    assert list(table["data"]) == list("xxyy")
    assert list(table["modality"]) == list("tavx")
    assert_allclose(table["index"], [1, 1, 0, 0], atol=1e-12)
