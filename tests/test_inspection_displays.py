"""Displays: what they hold and draw, and bad input."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor
from skmissing.impute import RetrievalImputer
from skmissing.inspection import (
    ClusterSensitivityDisplay,
    ContributionDisplay,
    ImputationDisplay,
    MissingPatternDisplay,
    ModalityImportanceDisplay,
    RobustnessCurveDisplay,
    modality_importance,
    robustness_curve,
)

WIDTHS = {"text": 2, "image": 3, "age": 1}


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture
def data(small_multimodal):
    X, y, _ = small_multimodal
    model = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500))
    return X, y, model.fit(X, y)


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


# MissingPatternDisplay


def test_patterns_are_counted_and_drawn(pyplot):
    X = np.ones((6, 6))
    X[3:5, 2:] = np.nan
    X[5] = np.nan
    display = MissingPatternDisplay.from_data(X, modalities=WIDTHS)
    assert_array_equal(display.counts, [3, 2, 1])
    assert_array_equal(display.presence, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    heights = [bar.get_height() for bar in display.bar_ax_.patches]
    assert heights == [3, 2, 1]
    labels = [label.get_text() for label in display.dot_ax_.get_yticklabels()]
    assert labels == ["text  83 %", "image  50 %", "age  50 %"]
    assert texts_of(display.bar_ax_) == ["3\n50 %", "2\n33 %", "1\n17 %"]
    assert display.figure_ is display.ax_.figure
    display.figure_.canvas.draw()


def test_rare_patterns_become_one_bar(pyplot, data):
    X = data[0]
    _, ax = pyplot.subplots()
    display = MissingPatternDisplay.from_data(
        X, modalities=WIDTHS, max_patterns=2, ax=ax
    )
    heights = [bar.get_height() for bar in display.bar_ax_.patches]
    assert len(heights) == 3 and sum(heights) == len(X)
    assert heights[2] == display.counts[2:].sum()
    assert f"{len(display.counts) - 2} others" in texts_of(display.dot_ax_)
    assert display.ax_ is ax
    with pytest.raises(ValueError, match="max_patterns must be an int.* 1; got 0"):
        display.plot(max_patterns=0)


def test_patterns_of_raw_dataframes(pyplot, df_module):
    frame = df_module.DataFrame({"t__a": ["x", None], "i__b": [1.0, 2.0]})
    display = MissingPatternDisplay.from_data(frame)
    assert display.modalities == ("t", "i")
    assert sorted(display.counts) == [1, 1]


# RobustnessCurveDisplay


def test_robustness_curves_are_drawn(pyplot, data):
    X, y, model = data
    kept = {"modalities": WIDTHS, "rates": [0, 0.5, 1], "random_state": 0}
    display = RobustnessCurveDisplay.from_estimator(model, X, y, hide="both", **kept)
    result = robustness_curve(model, X, y, hide="both", **kept)
    assert_array_equal(display.score, result.score)
    assert len(display.lines_) == len(display.bands_) == 4
    for line, rate, score in zip(display.lines_, result.realized_rate, result.score):
        assert_allclose(line.get_xdata(), 100 * rate.mean(axis=1))
        assert_allclose(line.get_ydata(), score.mean(axis=1))
    assert len({line.get_color() for line in display.lines_}) == 4
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["any modality", "text", "image", "age"]
    assert display.ax_.get_ylabel() == "Accuracy"
    assert display.ax_.get_xlabel() == "Hidden in addition (% of the observed)"
    display.figure_.canvas.draw()


def test_models_share_axes(pyplot, data):
    X, y, model = data
    result = robustness_curve(model, X, y, modalities=WIDTHS, n_repeats=1)
    first = RobustnessCurveDisplay.from_result(result, name="one")
    second = RobustnessCurveDisplay.from_result(result, name="two", ax=first.ax_)
    assert first.bands_ == [None] and second.figure_ is first.figure_
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    legend = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert legend == ["one", "two"]
    alone = robustness_curve(model, X, y, modalities=WIDTHS, n_repeats=1, hide=["age"])
    display = RobustnessCurveDisplay.from_result(alone)
    assert display.ax_.get_xlabel() == "Hidden in addition: age (% of the observed)"


# ModalityImportanceDisplay


def test_importances_are_drawn(pyplot, data):
    X, y, model = data
    kept = {"modalities": WIDTHS, "n_bootstraps": 20, "random_state": 0}
    display = ModalityImportanceDisplay.from_estimator(model, X, y, **kept)
    result = modality_importance(model, X, y, **kept)
    assert_array_equal(display.importance, result.importance)
    widths = [bar.get_width() for bar in display.bars_]
    assert widths == sorted(result.importance)
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == [result.modalities[m] for m in np.argsort(result.importance)]
    (lines,) = display.ax_.collections
    ends = np.sort(np.array(lines.get_segments())[:, :, 0], axis=1)
    assert_allclose(ends, result.interval[np.argsort(result.importance)])
    label, scores = display.ax_.get_xlabel().split("\n")
    assert label == "Shapley value, 95 % interval"
    assert scores == (
        f"Accuracy: no modality {result.empty_score:.3f}, all {result.full_score:.3f}"
    )
    # A title is the user's.
    assert not any(display.ax_.get_title(loc=loc) for loc in ("left", "center"))
    display.figure_.canvas.draw()


def test_importances_without_intervals(pyplot, data):
    X, y, model = data
    result = modality_importance(model, X, y, modalities=WIDTHS, n_bootstraps=0)
    _, ax = pyplot.subplots()
    display = ModalityImportanceDisplay.from_result(result, ax=ax)
    assert display.ax_ is ax and ax.get_xlabel().startswith("Shapley value\n")


# ImputationDisplay


def test_imputed_points_differ_from_real_ones(pyplot, data):
    X = data[0]
    imputer = SimpleImputer().fit(X)
    with pytest.warns(UserWarning, match="1 modality of one column is not drawn: age"):
        display = ImputationDisplay.from_estimator(imputer, X, modalities=WIDTHS)
    assert list(display.points) == ["text", "image"] and len(display.axes_) == 2
    missing = np.isnan(X[:, :2]).all(axis=1)
    assert_array_equal(display.imputed["text"], missing)
    imputed = display.points["text"][missing]
    assert_allclose(imputed, 0, atol=1e-9)
    assert np.ptp(display.points["text"][~missing], axis=0).min() > 1
    assert display.ax_ is display.axes_[0]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == [f"real ({(~missing).sum()})", f"imputed ({missing.sum()})"]
    display.figure_.canvas.draw()


def test_pca_keeps_the_plane(pyplot):
    rng = np.random.RandomState(0)
    true = rng.standard_normal((30, 3)) * [1, 5, 1]
    X = true.copy()
    X[:8, :2] = np.nan
    display = ImputationDisplay.from_data(X, true, modalities=[2, 1])
    points = display.points["modality0"]
    z = true[:, :2] / true[8:, :2].std(axis=0)
    expected = np.linalg.norm(z[:, None] - z[None], axis=2)
    found = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert_allclose(found, expected)


def test_tsne_and_samples(pyplot, data):
    X = data[0]
    kept = {
        "modalities": WIDTHS,
        "show": "image",
        "method": "tsne",
        "max_samples": 9,
        "random_state": 0,
    }
    imputed = SimpleImputer().fit_transform(X) + 1e-3 * np.arange(60)[:, None]
    _, ax = pyplot.subplots()
    display = ImputationDisplay.from_data(X, imputed, ax=ax, **kept)
    assert display.axes_[0] is ax
    assert np.bincount(display.imputed["image"]).tolist() == [9, 9]
    again = ImputationDisplay.from_data(X, imputed, **kept)
    assert_array_equal(again.points["image"], display.points["image"])
    assert ax.get_xlabel() == "t-SNE 1"


def test_many_modalities_get_a_panel_each(pyplot):
    rng = np.random.RandomState(0)
    true = rng.standard_normal((20, 10))
    X = true.copy()
    for m in range(5):
        X[m : m + 3, 2 * m : 2 * m + 2] = np.nan
    display = ImputationDisplay.from_data(X, true, modalities=[2] * 5)
    assert len(display.axes_) == len(display.figure_.axes) == 5


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_indicators_are_not_drawn(pyplot, data, output):
    """Columns that an imputer adds are left out, of frames and of pipelines too."""
    X = data[0]
    kept = {"modalities": WIDTHS, "show": "text", "random_state": 0}
    bare = ImputationDisplay.from_data(X, SimpleImputer().fit_transform(X), **kept)
    for imputer in (
        SimpleImputer(add_indicator=True),
        make_pipeline(SimpleImputer(add_indicator=True)),
    ):
        imputer.set_output(transform=output).fit(X)
        display = ImputationDisplay.from_estimator(imputer, X, **kept)
        assert_allclose(display.points["text"], bare.points["text"])
    own = RetrievalImputer(modalities=WIDTHS, add_indicator=True).fit(X)
    display = ImputationDisplay.from_estimator(own, X, show="text")
    assert display.points["text"].shape == bare.points["text"].shape


def test_columns_that_an_imputer_dropped(pyplot, data):
    X = data[0].copy()
    X[:, 0] = np.nan
    with pytest.warns(UserWarning, match="Skipping features without any observed"):
        imputer = SimpleImputer(add_indicator=True).fit(X)
        with pytest.raises(ValueError, match="must have the same columns; got 6 and"):
            ImputationDisplay.from_estimator(imputer, X, modalities=WIDTHS)


def test_imputation_display_refuses_bad_input(pyplot, data):
    X = data[0]
    imputed = SimpleImputer().fit_transform(X)
    kept = {"modalities": WIDTHS}
    with pytest.raises(ValueError, match="method must be 'pca' or 'tsne'; got 'umap'"):
        ImputationDisplay.from_data(X, imputed, method="umap", **kept)
    with pytest.raises(ValueError, match=r"as many samples as X \(60\); got 59"):
        ImputationDisplay.from_data(X, imputed[1:], **kept)
    with pytest.raises(ValueError, match="the same columns; got 6 and 7 columns"):
        ImputationDisplay.from_data(X, np.hstack([imputed, imputed[:, :1]]), **kept)
    with pytest.raises(
        ValueError, match="show must name modalities of at least two .* got 'age'"
    ):
        ImputationDisplay.from_data(X, imputed, show=["text", "age"], **kept)
    with pytest.raises(
        ValueError, match="show must name modalities of X, .* got 'video'"
    ):
        ImputationDisplay.from_data(X, imputed, show="video", **kept)
    with pytest.raises(
        ValueError, match="must be complete; got NaN in modality 'text'"
    ):
        ImputationDisplay.from_data(X, X, show="text", **kept)
    with pytest.raises(
        ValueError, match="X must have a modality of at least two columns"
    ):
        ImputationDisplay.from_data(imputed, imputed, **kept)
    with pytest.raises(ValueError, match=r"ax must have one Axes per modality \(1\)"):
        ImputationDisplay.from_data(
            X, imputed, show="text", ax=pyplot.subplots(1, 2)[1], **kept
        )


# ClusterSensitivityDisplay


def test_search_over_clusters_is_drawn(pyplot):
    X = np.random.RandomState(0).standard_normal((60, 2))
    grid = {"n_clusters": [8, 2, 4], "init": ["random", "k-means++"]}
    search = GridSearchCV(KMeans(n_init=1, random_state=0), grid, cv=3).fit(X)
    display = ClusterSensitivityDisplay.from_cv_results(
        search.cv_results_, score_name="Negative inertia"
    )
    assert display.curve == ["init=random", "init=k-means++"]
    for line, init in zip(display.lines_, ("random", "k-means++")):
        assert_array_equal(line.get_xdata(), [2, 4, 8])
        for k, mean in zip(line.get_xdata(), line.get_ydata()):
            place = search.cv_results_["params"].index({"n_clusters": k, "init": init})
            assert mean == pytest.approx(search.cv_results_["mean_test_score"][place])
    assert display.ax_.get_ylabel() == "Negative inertia"
    assert display.ax_.get_xscale() == "linear"
    display.figure_.canvas.draw()


def test_candidates_without_a_number_are_warned_of(pyplot):
    results = {
        "params": [
            {"k__n_clusters": "auto", "k__init": "a"},
            {"k__n_clusters": 4, "k__init": "a"},
            {"k__n_clusters": 2, "k__init": "a"},
            {"k": "passthrough", "other__init": "a"},
            {"k__n_clusters": 2, "other__init": "a"},
        ],
        "split0_test_score": np.array([0.9, 0.2, 0.3, 0.8, 0.6]),
    }
    match = "2 of the 5 candidates .* k__n_clusters is not a number: 'auto', not set."
    with pytest.warns(UserWarning, match=match):
        display = ClusterSensitivityDisplay.from_cv_results(results)
    assert display.curve == ["k__init=a", "other__init=a"]
    assert_array_equal(display.lines_[0].get_xydata(), [[2, 0.3], [4, 0.2]])
    assert_array_equal(display.lines_[1].get_xydata(), [[2, 0.6]])
    nothing = {"params": results["params"][:1], "split0_test_score": np.zeros(1)}
    with pytest.raises(
        ValueError, match="a candidate whose k__n_clusters .* got 'auto'"
    ):
        ClusterSensitivityDisplay.from_cv_results(nothing)


def test_sensitivity_from_arrays(pyplot):
    """Sorted by k; a wide range gets a logarithmic axis with the tested numbers."""
    score = [[0.8, 0.9], [0.5, 0.6], [0.7, 0.7]]
    display = ClusterSensitivityDisplay.from_data([100, 2, 10], score)
    assert_array_equal(display.n_clusters, [2, 10, 100])
    assert_allclose(display.lines_[0].get_ydata(), [0.55, 0.7, 0.85])
    assert display.ax_.get_xscale() == "log"
    ticks = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert ticks == ["2", "10", "100"]
    ring = display.ax_.collections[-1]
    assert_allclose(ring.get_offsets(), [[100, 0.85]])
    two = ClusterSensitivityDisplay.from_data(
        [1, 2], np.zeros((2, 2, 1)), curve=["a", "b"], ax=display.ax_
    )
    assert two.bands_ == [None, None]
    display.figure_.canvas.draw()


def test_runs_that_were_not_made_leave_gaps(pyplot):
    results = {
        "params": [
            {"a__n_clusters": 2, "a__strategy": "soft"},
            {"a__n_clusters": 4, "a__strategy": "nearest"},
            {"a__n_clusters": 8, "a__strategy": "soft"},
        ],
        "split0_test_f1": np.array([0.1, 0.2, 0.3]),
        "split1_test_f1": np.array([0.1, 0.2, 0.5]),
    }
    display = ClusterSensitivityDisplay.from_cv_results(results, metric="f1")
    assert_array_equal(display.lines_[0].get_xdata(), [2, 8])
    assert_allclose(display.lines_[0].get_ydata(), [0.1, 0.4])
    assert_array_equal(display.lines_[1].get_xdata(), [4])
    with pytest.raises(ValueError, match="metric must be one of 'f1', .* got 'score'"):
        ClusterSensitivityDisplay.from_cv_results(results)
    with pytest.raises(ValueError, match="a parameter 'k'; got 'a__n_clusters'"):
        ClusterSensitivityDisplay.from_cv_results(results, param="k", metric="f1")


def test_sensitivity_refuses_bad_arrays(pyplot):
    with pytest.raises(ValueError, match=r"shape \(2, n_runs\), .* got \(1, 3, 1\)"):
        ClusterSensitivityDisplay.from_data([1, 2], np.zeros((3, 1)))
    with pytest.raises(ValueError, match="curve must have 2 names, .* got 1"):
        ClusterSensitivityDisplay.from_data([1, 2], np.zeros((2, 2, 1)), curve=["a"])


def test_tables_without_rows_are_refused(pyplot, df_module):
    empty = df_module.DataFrame({"text__0": [1.0], "text__1": [2.0]})[:0]
    with pytest.raises(ValueError, match=r"at least one sample .* the shape \(0, 2\)"):
        MissingPatternDisplay.from_data(empty)
    with pytest.raises(ValueError, match=r"Found array with 0 sample"):
        MissingPatternDisplay.from_data(np.empty((0, 2)))


def test_without_matplotlib_the_extra_is_named(data, monkeypatch):
    X, y, model = data
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    kept = {"modalities": WIDTHS}
    result = robustness_curve(model, X, y, rates=[0], n_repeats=1, **kept)
    for draw in (
        lambda: RobustnessCurveDisplay.from_result(result),
        lambda: RobustnessCurveDisplay.from_estimator(model, X, y, **kept),
        lambda: ModalityImportanceDisplay.from_estimator(model, X, y, **kept),
        lambda: MissingPatternDisplay.from_data(X, **kept),
        lambda: ImputationDisplay.from_data(X, X, **kept),
        lambda: ClusterSensitivityDisplay.from_data([1], [[1.0]]),
    ):
        with pytest.raises(ImportError, match=r'pip install "skmissing\[plot\]"'):
            draw()


# ContributionDisplay


def test_contributions_of_one_sample(pyplot, small_multimodal):
    X, y, widths = small_multimodal
    X[0, :2] = np.nan
    model = LateFusionClassifier("linear", modalities=widths).fit(X, y)
    display = ContributionDisplay.from_estimator(model, X[:1])
    likeliest = model.predict(X[:1])[0]
    assert_allclose(display.contribution, model.contributions(X)[0, :, likeliest])
    widths_drawn = [bar.get_width() for bar in display.bars_]
    assert_allclose(widths_drawn, np.sort(display.contribution))
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert sum("(missing)" in label for label in labels) == 1
    assert f"Log-odds of {likeliest}" in display.ax_.get_xlabel()
    with pytest.raises(ValueError, match=r"label must be one of \[0, 1, 2\]; got 7"):
        ContributionDisplay.from_estimator(model, X[:1], label=7)
    with pytest.raises(ValueError, match="X must have one sample; got 2"):
        ContributionDisplay.from_estimator(model, X[:2])
    with pytest.raises(
        ValueError, match=r"label must be one of .*; got array\(\[0, 1\]"
    ):
        ContributionDisplay.from_estimator(model, X[:1], label=np.array([0, 1]))
    with pytest.raises(TypeError, match="method contributions, .*; got Pipeline"):
        ContributionDisplay.from_estimator(make_pipeline(model), X[:1])
    with pytest.raises(ValueError, match="y must have no masked values; 1 of 60"):
        robustness_curve(model, X, np.ma.masked_where(np.arange(60) < 1, y))


def test_contributions_of_two_classes_and_numbers(pyplot, small_multimodal):
    X, y, widths = small_multimodal
    names = np.array(["no", "yes"])[y % 2]
    model = LateFusionClassifier("linear", modalities=widths).fit(X, names)
    for label, sign in (("no", -1), ("yes", 1)):
        display = ContributionDisplay.from_estimator(model, X[:1], label=label)
        assert_allclose(display.contribution, sign * model.contributions(X)[0])
    model = LateFusionRegressor("linear", modalities=widths).fit(X, y)
    display = ContributionDisplay.from_estimator(model, X[:1])
    total = model.target_mean_ + display.contribution.sum()
    assert_allclose(total, model.predict(X)[0])
    with pytest.raises(ValueError, match="label must be None for a regressor; got 1"):
        ContributionDisplay.from_estimator(model, X[:1], label=1)
