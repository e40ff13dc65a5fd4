"""Figures of the benchmark, by the positions of what is drawn."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skmissing.benchmark import BenchmarkDisplay, summarize
from skmissing.benchmark._statistics import rank_scores

from .test_statistics import TREES, make_rows

pytest.importorskip("matplotlib").use("agg")


@pytest.fixture(autouse=True)
def _close():
    from matplotlib import pyplot

    yield
    pyplot.close("all")


def make_rates():
    """Two methods on two data sets with two rates, in one regime."""
    parts = []
    for data, better in (("x", 0.0), ("y", 0.1)):
        for rate in (0.7, 0.3):
            scores = {"a": [0.9 - rate + better] * 2, "b": [0.8 - rate, 1.0 - rate]}
            rows = make_rows(scores, data=data)
            parts.append(rows.assign(**{"missing": f"mcar:{rate}"}))
            parts[-1]["test_missing.x"] = rate - 0.05
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    "alpha, groups", [(0.05, [(1.964, 3.143)]), (0.1, [(1.964, 2.893), (2.893, 3.143)])]
)
def test_critical_differences_of_the_worked_example(alpha, groups):
    """Lines from the mean ranks of Demšar (2006), and a bar for each group."""
    found = rank_scores(TREES, alpha)
    display = BenchmarkDisplay(kind="ranks", values=found, regime="R1").plot()
    starts = {n: round(a.get_xdata()[0], 3) for n, a in display.artists_.items()}
    assert starts == found.mean_ranks.round(3).to_dict()
    *bars, critical = [artist.get_xdata() for artist in display.bars_]
    assert_allclose(bars, groups, atol=5e-4)
    assert_allclose(critical, [1, 1 + found.critical_difference])
    texts = {text.get_text().strip(): text for text in display.ax_.texts}
    assert texts["C4.5+m"].get_ha() == "right" and texts["C4.5"].get_ha() == "left"
    assert f"critical difference {found.critical_difference:.2f}" in texts
    # Lines do not cross: outside names are higher.
    heights = [line.get_ydata()[-1] for line in display.artists_.values()]
    assert heights[0] > heights[1] and heights[3] > heights[2]


def test_rates_are_means_over_data_sets():
    rows = make_rates()
    display = BenchmarkDisplay.from_results(rows, kind="rates")
    x, y = display.artists_["a"].get_data()
    assert_allclose(x, [0.25, 0.65])
    assert_allclose(y, [0.65, 0.25])
    one = summarize(rows)["half_width"].max()
    band = display.bars_[1].get_paths()[0].vertices[:, 1]
    # The mean of two independent means.
    assert band.max() == pytest.approx(0.6 + one / np.sqrt(2))
    assert display.ax_.get_title().startswith("R1: complete training samples")
    assert display.ax_.get_ylabel() == "accuracy"


def test_configurations_that_are_not_rates_are_in_order():
    rows = make_rates().replace({"missing": {"mcar:0.3": "mnar:0.3"}})
    display = BenchmarkDisplay.from_results(rows, kind="rates")
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["mcar:0.7", "mnar:0.3"]
    assert_allclose(display.artists_["a"].get_data(), [[0, 1], [0.25, 0.65]])


@pytest.mark.parametrize("metric, sign", [("accuracy", 1), ("mae", -1)])
def test_sets_against_a_reference(metric, sign):
    """To the right is better, also for losses."""
    parts = [
        make_rows({"a": [0.5], "b": [b]}, data=d, metric=metric)
        for d, b in (("x", 0.7), ("y", 0.4))
    ]
    display = BenchmarkDisplay.from_results(
        pd.concat(parts), kind="sets", reference="a"
    )
    assert_allclose(display.artists_["b"].get_xdata(), [0.2 * sign, -0.1 * sign])
    assert_allclose(display.artists_["a"].get_xdata(), [0, 0])
    assert display.ax_.get_xlabel() == f"{metric}: better than a by"


def test_methods_look_different():
    rows = make_rows({f"m{number}": [0.5] for number in range(15)})
    lines = BenchmarkDisplay.from_results(rows, kind="cost").artists_.values()
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 15


def test_cost_is_the_median_time():
    rows = make_rates()
    display = BenchmarkDisplay.from_results(rows, kind="cost")
    assert_allclose(display.artists_["b"].get_data(), [[1.5], [0.4]])
    assert display.ax_.get_xscale() == "log"


def test_methods_without_scores_are_named():
    rows = make_rows({"a": [0.5], "b": [None], "c": [0.6]})
    with pytest.warns(UserWarning, match="not drawn there: b"):
        BenchmarkDisplay.from_results(rows, kind="cost")


def test_means_over_other_data_sets_are_not_drawn():
    """b has no run on y, so that its mean is not comparable with the mean of a."""
    rows = make_rates().query("data == 'x' or method == 'a'")
    with pytest.warns(UserWarning, match="not drawn there: b"):
        display = BenchmarkDisplay.from_results(rows, kind="cost")
    assert_allclose(display.artists_["b"].get_ydata(), [np.nan])
    assert_allclose(display.artists_["a"].get_ydata(), [0.45])


def test_ranks_of_results():
    rows = make_rows({"a": [0.5, 0.6], "b": [0.4, 0.5], "c": [0.1, 0.2]})
    display = BenchmarkDisplay.from_results(rows, kind="ranks", over="runs")
    assert list(display.artists_) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "bars"}, "kind must be one of rates, sets, ranks, cost; got 'bars'"),
        ({"regime": "R3"}, "regime must be among R1; got 'R3'"),
        ({"kind": "sets", "reference": "c"}, "reference must be among a, b; got 'c'"),
        (
            {"kind": "sets"},
            "one score for kind='sets'; got accuracy, mae. Pass metric=",
        ),
    ],
)
def test_bad_figures(options, message):
    loss = make_rows({"a": [0.5], "b": [0.6]}, data="z", metric="mae")
    with pytest.raises(ValueError, match=message):
        BenchmarkDisplay.from_results(pd.concat([make_rates(), loss]), **options)
    if options == {"kind": "bars"}:
        with pytest.raises(ValueError, match=message):
            BenchmarkDisplay(kind="bars", values=loss, regime="R1").plot()
