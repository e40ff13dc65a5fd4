"""Displays of missing patterns, robustness, importance and numbers of clusters."""

import re
from numbers import Integral, Real

import numpy as np

from skmissing._compat import import_optional
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing._table import warn
from skmissing.inspection._scores import ANY, modality_importance, robustness_curve
from skmissing.inspection._scoring import as_table

# Okabe and Ito's palette for colour-blind readers, without yellow: too light for lines.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PALE, MIDDLE, DARK = "#DDDDDD", "#777777", "#333333"
# With at least this number of curves, the legend is beside the axes.
MANY_CURVES = 5


def make_axes(ax, figsize):
    """Return the given axes, or axes of a new figure of this size in inches."""
    pyplot = import_optional("matplotlib.pyplot", "plot")
    if ax is None:
        _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    if not hasattr(ax, "get_xlim"):
        raise TypeError(f"ax must be Axes of matplotlib or None; got {ax!r}.")
    return ax


def check_count(value, name):
    """Raise an error if a number of things is not an integer of at least 1."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1; got {value!r}.")


def tidy(ax, grid="y"):
    """Remove the top and right spines, and draw a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)


def draw_curve(ax, x, score, label):
    """Draw means of scores (n_points, n_repeats), with a band if there are repeats."""
    number = len(ax.get_lines()) % len(COLORS)
    color = COLORS[number]
    mean, spread = np.nanmean(score, axis=1), np.nanstd(score, axis=1)
    (line,) = ax.plot(
        x, mean, color=color, marker=MARKERS[number], markersize=5, label=label
    )
    if score.shape[1] < 2:
        return line, None
    band = ax.fill_between(
        x, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0
    )
    return line, band


def draw_bars(ax, names, value, color, spec):
    """Draw bars of both signs from bottom to top, with their values."""
    bars = ax.barh(names, value, height=0.62, color=color)
    ax.axvline(0, color=DARK, linewidth=0.8)
    beside = ax.get_yaxis_transform()
    for y, number in enumerate(value):
        ax.text(1.02, y, format(number, spec), transform=beside, va="center")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    tidy(ax, grid="x")
    return bars


def place_legend(ax):
    """Place the legend; beside the axes if there are many curves."""
    n_curves = len(ax.get_legend_handles_labels()[1])
    if n_curves > MANY_CURVES:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    elif n_curves > 1:
        ax.legend(frameon=False, loc="best")


@shared_docs
class MissingPatternDisplay:
    """Frequency of each pattern of observed modalities.

    The upper part has one bar per pattern, with the most frequent first. The lower part
    shows the modalities of each pattern as linked dots, and the share of samples that
    have each modality.

    It is recommended to use :meth:`from_data` to create a display.

    Parameters
    ----------
    presence : ndarray of shape (n_patterns, n_modalities), dtype bool
        The modalities of each pattern.
    counts : ndarray of shape (n_patterns,)
        Number of samples with each pattern.
    modalities : sequence of str
        Names of the modalities.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that contain the other axes.
    bar_ax_ : matplotlib Axes
        Axes of the bars.
    dot_ax_ : matplotlib Axes
        Axes of the dots.
    %(figure_)s

    See Also
    --------
    score_by_pattern : Score of a model by pattern.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.inspection import MissingPatternDisplay
    >>> X = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, np.nan], [4.0, 5.0, np.nan]])
    >>> display = MissingPatternDisplay.from_data(
    ...     X, modalities={"text": 2, "age": 1}
    ... )  # doctest: +SKIP
    """

    def __init__(self, *, presence, counts, modalities):
        self.presence = presence
        self.counts = counts
        self.modalities = modalities

    @classmethod
    def from_data(cls, X, *, modalities=None, max_patterns=20, ax=None):
        """Count the patterns of a table and draw them.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN, null and masked cells are missing.
        %(modalities)s
        max_patterns : int, default=20
            Number of patterns to draw. The others are drawn as one bar.
        %(ax)s

        Returns
        -------
        MissingPatternDisplay
            The display, drawn.
        """
        table = as_table(X, modalities)
        presence, inverse = table.patterns
        counts = np.bincount(inverse)
        order = np.lexsort([*~presence.T[::-1], -presence.sum(axis=1), -counts])
        found = {"presence": presence[order], "counts": counts[order]}
        display = cls(**found, modalities=table.layout.names)
        return display.plot(ax, max_patterns=max_patterns)

    def plot(self, ax=None, *, max_patterns=20):
        """Draw the patterns.

        Parameters
        ----------
        %(ax)s
        max_patterns : int, default=20
            Number of patterns to draw. The others are drawn as one bar.

        Returns
        -------
        MissingPatternDisplay
            The display itself.
        """
        check_count(max_patterns, "max_patterns")
        n_shown = min(len(self.counts), max_patterns)
        n_bars = n_shown + (n_shown < len(self.counts))
        height = 0.3 * len(self.modalities)
        ax = make_axes(ax, (max(4.0, 2.2 + 0.55 * n_bars), 2.3 + height))
        ax.set_axis_off()
        share = min(0.75, height / (1.9 + height))
        self.ax_, self.figure_ = ax, ax.figure
        self.bar_ax_ = ax.inset_axes([0, share + 0.03, 1, 0.97 - share])
        self.dot_ax_ = ax.inset_axes([0, 0, 1, share], sharex=self.bar_ax_)
        self._draw_bars(n_shown, n_bars)
        self._draw_dots(n_shown, n_bars)
        return self

    def _draw_bars(self, n_shown, n_bars):
        ax, total = self.bar_ax_, self.counts.sum()
        counts = np.append(self.counts[:n_shown], self.counts[n_shown:].sum())[:n_bars]
        colors = [COLORS[0]] * n_shown + ["#999999"] * (n_bars - n_shown)
        bars = ax.bar(np.arange(n_bars), counts, width=0.7, color=colors)
        labels = [f"{count}\n{_percent(count / total)}" for count in counts]
        ax.bar_label(bars, labels, padding=2, fontsize=8, color=DARK)
        ax.set_ylabel(f"Samples of {total}")
        ax.set_ylim(0, 1.25 * counts.max())
        ax.tick_params(bottom=False, labelbottom=False)
        tidy(ax)

    def _draw_dots(self, n_shown, n_bars):
        ax, n_modalities = self.dot_ax_, len(self.modalities)
        presence = self.presence[:n_shown]
        column, row = np.nonzero(~presence)
        ax.scatter(column, row, s=45, color=PALE, zorder=2)
        column, row = np.nonzero(presence)
        ax.scatter(column, row, s=45, color=DARK, zorder=3)
        for x, present in enumerate(presence):
            ends = np.flatnonzero(present)
            if len(ends) > 1:
                ax.plot([x, x], ends[[0, -1]], color=DARK, linewidth=1.5, zorder=2)
        if n_bars > n_shown:
            n_others = len(self.counts) - n_shown
            ax.text(
                n_shown,
                (n_modalities - 1) / 2,
                count(n_others, "other"),
                rotation=90,
                ha="center",
                va="center",
                fontsize=8,
                color=DARK,
            )
        shares = self.counts @ self.presence / self.counts.sum()
        labels = [f"{n}  {_percent(s)}" for n, s in zip(self.modalities, shares)]
        ax.set_yticks(np.arange(n_modalities), labels)
        ax.set_ylim(n_modalities - 0.5, -0.5)
        ax.set_xlim(-0.6, n_bars - 0.4)
        ax.tick_params(length=0, labelbottom=False)
        ax.spines[:].set_visible(False)


def _percent(share):
    """Share in whole percent."""
    percent = 100 * share
    return "<1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"


@shared_docs(like=robustness_curve)
class RobustnessCurveDisplay:
    """Score against the share of missing modalities.

    Lines show the mean over repeats against the share that was actually hidden. Bands
    show one standard deviation on either side. Several displays can share one `ax`.

    It is recommended to use :meth:`from_estimator` or :meth:`from_result` to create a
    display.

    Parameters
    ----------
    realized_rate : ndarray of shape (n_curves, n_rates, n_repeats)
        Share of the modalities that was actually hidden.
    score : ndarray of shape (n_curves, n_rates, n_repeats)
        Scores.
    curve : sequence of str
        Modalities hidden by each curve.
    score_name : str, default="Score"
        Label of the vertical axis.
    name : str, default=None
        Name of the estimator, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    %(figure_)s
    lines_ : list of matplotlib Line2D
        The mean curves.
    bands_ : list of matplotlib artists
        The bands, None if there is one repeat.

    See Also
    --------
    robustness_curve : The numbers behind the display.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmissing.inspection import RobustnessCurveDisplay
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 200)
    >>> X = rng.standard_normal((400, 4)) + y[:, None]
    >>> model = make_pipeline(SimpleImputer(), LogisticRegression())
    >>> model = model.fit(X[::2], y[::2])
    >>> display = RobustnessCurveDisplay.from_estimator(
    ...     model, X[1::2], y[1::2], modalities={"text": 2, "audio": 2}, hide="both"
    ... )  # doctest: +SKIP
    """

    def __init__(self, *, realized_rate, score, curve, score_name="Score", name=None):
        self.realized_rate = realized_rate
        self.score = score
        self.curve = curve
        self.score_name = score_name
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, name=None, ax=None, **params):
        """Compute the curves of a fitted estimator and draw them.

        Parameters
        ----------
        %(estimator, X, y)s
        name : str, default=None
            Name of the estimator, for the legend.
        %(ax)s
        **params : dict
            Other parameters of :func:`robustness_curve`: `test_indices`, `modalities`,
            `hide`, `rates`, `n_repeats`, `scoring`, `sample_weight`, `random_state`,
            `n_jobs`.

        Returns
        -------
        RobustnessCurveDisplay
            The display, drawn.
        """
        import_optional("matplotlib.pyplot", "plot")
        result = robustness_curve(estimator, X, y, **params)
        return cls.from_result(result, name=name, ax=ax)

    @classmethod
    def from_result(cls, result, *, name=None, ax=None):
        """Draw the result of :func:`robustness_curve`.

        Parameters
        ----------
        result : :class:`~sklearn.utils.Bunch`
            Result of :func:`robustness_curve`.
        name : str, default=None
            Name of the estimator, for the legend.
        %(ax)s

        Returns
        -------
        RobustnessCurveDisplay
            The display, drawn.
        """
        given = {key: value for key, value in result.items() if key != "rate"}
        return cls(**given, name=name).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        RobustnessCurveDisplay
            The display itself.
        """
        ax = make_axes(ax, (5.6, 3.8))
        self.lines_, self.bands_ = [], []
        for name, rate, score in zip(self.curve, self.realized_rate, self.score):
            label = name if self.name is None else f"{self.name}: {name}"
            if self.name is not None and len(self.curve) == 1:
                label = self.name
            line, band = draw_curve(ax, 100 * np.mean(rate, axis=1), score, label)
            self.lines_.append(line)
            self.bands_.append(band)
        alone = len(self.curve) == 1 and self.curve[0] != ANY
        hidden = f": {self.curve[0]}" if alone else ""
        # Modalities that were missing before are not counted.
        ax.set(
            xlabel=f"Hidden in addition{hidden} (% of the observed)",
            ylabel=self.score_name,
        )
        tidy(ax)
        place_legend(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


@shared_docs(like=modality_importance)
class ModalityImportanceDisplay:
    """Shapley value of each modality, with its interval.

    The bars sum to the score with all modalities minus the score with none. The label
    of the axis contains both scores.

    It is recommended to use :meth:`from_estimator` or :meth:`from_result` to create a
    display.

    Parameters
    ----------
    modalities : sequence of str
        Names of the modalities.
    importance : ndarray of shape (n_modalities,)
        Shapley values.
    interval : ndarray of shape (n_modalities, 2)
        Lower and upper bounds. NaN for no interval.
    full_score : float
        Score with all modalities.
    empty_score : float
        Score with no modality.
    confidence_level : float, default=0.95
        Confidence level of the intervals.
    score_name : str, default="Score"
        Name of the score.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    %(figure_)s
    bars_ : matplotlib BarContainer
        The bars, from bottom to top.

    See Also
    --------
    modality_importance : The numbers behind the display.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmissing.inspection import ModalityImportanceDisplay
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 200)
    >>> X = rng.standard_normal((400, 4)) + y[:, None]
    >>> model = make_pipeline(SimpleImputer(), LogisticRegression())
    >>> model = model.fit(X[::2], y[::2])
    >>> display = ModalityImportanceDisplay.from_estimator(
    ...     model, X[1::2], y[1::2], modalities={"text": 2, "audio": 2}
    ... )  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        modalities,
        importance,
        interval,
        full_score,
        empty_score,
        confidence_level=0.95,
        score_name="Score",
    ):
        self.modalities = modalities
        self.importance = importance
        self.interval = interval
        self.full_score = full_score
        self.empty_score = empty_score
        self.confidence_level = confidence_level
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, ax=None, **params):
        """Compute the importances of a fitted estimator and draw them.

        Parameters
        ----------
        %(estimator, X, y, ax)s
        **params : dict
            Other parameters of :func:`modality_importance`: `test_indices`,
            `modalities`, `scoring`, `empty_score`, `n_bootstraps`, `confidence_level`,
            `n_permutations`, `sample_weight`, `random_state`, `n_jobs`.

        Returns
        -------
        ModalityImportanceDisplay
            The display, drawn.
        """
        import_optional("matplotlib.pyplot", "plot")
        return cls.from_result(modality_importance(estimator, X, y, **params), ax=ax)

    @classmethod
    def from_result(cls, result, *, ax=None):
        """Draw the result of :func:`modality_importance`.

        Parameters
        ----------
        result : :class:`~sklearn.utils.Bunch`
            Result of :func:`modality_importance`.
        %(ax)s

        Returns
        -------
        ModalityImportanceDisplay
            The display, drawn.
        """
        given = {name: v for name, v in result.items() if name != "bootstraps"}
        return cls(**given).plot(ax)

    def plot(self, ax=None):
        """Draw the importances, the largest at the top.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        ModalityImportanceDisplay
            The display itself.
        """
        n_bars = len(self.modalities)
        ax = make_axes(ax, (5.6, 1.4 + 0.38 * n_bars))
        order = np.argsort(self.importance, kind="stable")
        value, interval = self.importance[order], self.interval[order]
        names = [self.modalities[m] for m in order]
        self.bars_ = draw_bars(ax, names, value, COLORS[0], "+.3f")
        known = np.isfinite(interval).all(axis=1)
        ax.hlines(np.flatnonzero(known), *interval[known].T, color=DARK, linewidth=1.6)
        band = f", {100 * self.confidence_level:g} % interval" if known.any() else ""
        # Below the axis, because the title is left to users.
        ax.set_xlabel(
            f"Shapley value{band}\n{self.score_name}: no modality "
            f"{self.empty_score:.3f}, all {self.full_score:.3f}"
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


@shared_docs
class ContributionDisplay:
    """Contribution of each modality to the prediction for one sample.

    The bars and the prior sum to the log-odds of a class, or to the predicted number.

    It is recommended to use :meth:`from_estimator` to create a display.

    Parameters
    ----------
    modalities : sequence of str
        Names of the modalities.
    contribution : ndarray of shape (n_modalities,)
        Contribution of each modality.
    presence : ndarray of shape (n_modalities,)
        Whether the sample has each modality.
    target_name : str, default="Prediction"
        Name of the sum of the contributions.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    %(figure_)s
    bars_ : matplotlib BarContainer
        The bars, from bottom to top.

    See Also
    --------
    skmissing.ensemble.LateFusionClassifier.contributions : The numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmissing.ensemble import LateFusionClassifier
    >>> from skmissing.inspection import ContributionDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LateFusionClassifier(modalities={"sepal": 2, "petal": 2}).fit(X, y)
    >>> ContributionDisplay.from_estimator(model, X[:1])  # doctest: +SKIP
    """

    def __init__(self, *, modalities, contribution, presence, target_name="Prediction"):
        self.modalities = modalities
        self.contribution = contribution
        self.presence = presence
        self.target_name = target_name

    @classmethod
    def from_estimator(cls, estimator, X, *, label=None, ax=None):
        """Compute the contributions for one sample and draw them.

        Parameters
        ----------
        estimator : LateFusionClassifier or LateFusionRegressor
            Fitted estimator.
        X : array-like of shape (1, n_features)
            The sample.
        label : object, default=None
            Class whose log-odds are drawn. None is the predicted class.
        %(ax)s

        Returns
        -------
        ContributionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If X is not one sample, or `label` is not one of the classes.
        TypeError
            If `estimator` has no contributions.
        """
        import_optional("matplotlib.pyplot", "plot")
        if not hasattr(estimator, "contributions"):
            raise TypeError(
                "estimator must have the method contributions, as LateFusionClassifier "
                f"and LateFusionRegressor do; got {type(estimator).__name__}. For a "
                "pipeline or a search, pass the fitted estimator inside."
            )
        contribution = estimator.contributions(X)
        if len(contribution) != 1:
            raise ValueError(f"X must have one sample; got {len(contribution)}.")
        contribution, target_name = contribution[0], "Prediction"
        if hasattr(estimator, "classes_"):
            classes = estimator.classes_.tolist()
            label = estimator.predict(X).tolist()[0] if label is None else label
            if np.ndim(label) or label not in classes:
                raise ValueError(f"label must be one of {classes}; got {label!r}.")
            number = classes.index(label)
            if contribution.ndim == 2:
                contribution = contribution[:, number]
            elif number == 0:
                contribution = -contribution
            target_name = f"Log-odds of {label!r}"
        elif label is not None:
            raise ValueError(f"label must be None for a regressor; got {label!r}.")
        return cls(
            modalities=estimator.modalities_.names,
            contribution=contribution,
            presence=as_table(X, None, estimator).presence[0],
            target_name=target_name,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the contributions, the largest at the top.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        ContributionDisplay
            The display itself.
        """
        ax = make_axes(ax, (5.6, 1.4 + 0.38 * len(self.modalities)))
        order = np.argsort(self.contribution, kind="stable")
        value = np.asarray(self.contribution)[order]
        names = [
            self.modalities[m] + ("" if self.presence[m] else " (missing)")
            for m in order
        ]
        colors = [COLORS[0] if v >= 0 else COLORS[1] for v in value]
        self.bars_ = draw_bars(ax, names, value, colors, "+.3g")
        ax.set_xlabel(f"{self.target_name}: what each modality adds")
        self.ax_, self.figure_ = ax, ax.figure
        return self


# The axis is logarithmic from this ratio of the largest to the smallest number.
WIDE_RANGE = 16
MOST_TICKS = 12


@shared_docs
class ClusterSensitivityDisplay:
    """Score against the number of clusters.

    Lines show the mean over splits or runs. Bands show one standard deviation on either
    side. A circle marks the best mean of each curve.

    It is recommended to use :meth:`from_cv_results` or :meth:`from_data` to create a
    display.

    Parameters
    ----------
    n_clusters : array-like of shape (n_points,)
        Numbers of clusters, ascending.
    score : ndarray of shape (n_curves, n_points, n_runs)
        Scores. NaN for combinations that were not run.
    curve : sequence of str
        Names of the curves.
    score_name : str, default="Score"
        Label of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    %(figure_)s
    lines_ : list of matplotlib Line2D
        The mean curves.
    bands_ : list of matplotlib artists
        The bands, None if there is one run.

    See Also
    --------
    sklearn.model_selection.ValidationCurveDisplay : One curve for any parameter.

    Examples
    --------
    >>> from skmissing.inspection import ClusterSensitivityDisplay
    >>> display = ClusterSensitivityDisplay.from_data(
    ...     [5, 10, 20], [[0.81, 0.83], [0.86, 0.88], [0.85, 0.89]]
    ... )  # doctest: +SKIP
    """

    def __init__(self, *, n_clusters, score, curve, score_name="Score"):
        self.n_clusters = n_clusters
        self.score = score
        self.curve = curve
        self.score_name = score_name

    @classmethod
    def from_cv_results(
        cls, cv_results, *, param=None, metric="score", score_name="Score", ax=None
    ):
        """Draw the result of a search over the number of clusters.

        Parameters
        ----------
        cv_results : dict
            `cv_results_` of a fitted :class:`~sklearn.model_selection.GridSearchCV`
            or another search. There is one curve per combination of other parameters.
            Candidates whose number of clusters is not a number, such as "auto", are
            left out with a warning.
        param : str, default=None
            Name of the parameter. None is the parameter that ends in `n_clusters`.
        metric : str, default="score"
            Name of the metric, if the search had several metrics.
        score_name : str, default="Score"
            Label of the vertical axis.
        %(ax)s

        Returns
        -------
        ClusterSensitivityDisplay
            The display, drawn.
        """
        scores = _split_scores(cv_results, metric)
        param = _find_param(cv_results, param)
        kept = _find_numbers(cv_results["params"], param)
        candidates = [cv_results["params"][i] for i in kept]
        numbers = np.array([p[param] for p in candidates])
        labels = _label_others(candidates, param)
        n_clusters, place = np.unique(numbers, return_inverse=True)
        curve = list(dict.fromkeys(labels))
        score = np.full((len(curve), len(n_clusters), scores.shape[1]), np.nan)
        for label, point, values in zip(labels, place, scores[kept]):
            score[curve.index(label), point] = values
        found = {"n_clusters": n_clusters, "score": score}
        return cls(**found, curve=curve, score_name=score_name).plot(ax)

    @classmethod
    def from_data(cls, n_clusters, score, *, curve=None, score_name="Score", ax=None):
        """Draw scores that were computed before.

        Parameters
        ----------
        n_clusters : array-like of shape (n_points,)
            Numbers of clusters.
        score : array-like of shape (n_points, n_runs) or \
                (n_curves, n_points, n_runs)
            Scores of each run.
        curve : sequence of str, default=None
            Names of the curves.
        score_name : str, default="Score"
            Label of the vertical axis.
        %(ax)s

        Returns
        -------
        ClusterSensitivityDisplay
            The display, drawn.
        """
        n_clusters, score = np.asarray(n_clusters), np.asarray(score, dtype=float)
        score = score[None] if score.ndim == 2 else score
        if score.ndim != 3 or score.shape[1] != len(n_clusters):
            raise ValueError(
                f"score must have the shape ({len(n_clusters)}, n_runs), or one such "
                f"table per curve; got {score.shape}."
            )
        curve = [f"curve {i}" for i in range(len(score))] if curve is None else curve
        if len(curve) != len(score):
            raise ValueError(
                f"curve must have {len(score)} names, one per curve; got {len(curve)}."
            )
        order = np.argsort(n_clusters)
        found = {"n_clusters": n_clusters[order], "score": score[:, order]}
        return cls(**found, curve=curve, score_name=score_name).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        ClusterSensitivityDisplay
            The display itself.
        """
        ax = make_axes(ax, (5.6, 3.8))
        self.lines_, self.bands_ = [], []
        for name, score in zip(self.curve, self.score):
            ran = ~np.isnan(score).all(axis=1)
            x, score = self.n_clusters[ran], score[ran]
            line, band = draw_curve(ax, x, score, name)
            best = np.nanmean(score, axis=1).argmax()
            ax.scatter(
                x[best],
                np.nanmean(score[best]),
                s=110,
                facecolors="none",
                edgecolors=DARK,
                linewidths=1.2,
                zorder=4,
            )
            self.lines_.append(line)
            self.bands_.append(band)
        if self.n_clusters[-1] >= WIDE_RANGE * self.n_clusters[0] > 0:
            ax.set_xscale("log")
        if len(self.n_clusters) <= MOST_TICKS:
            ax.set_xticks(self.n_clusters, [str(k) for k in self.n_clusters])
            ax.set_xticks([], minor=True)
        ax.set(xlabel="Number of clusters", ylabel=self.score_name)
        tidy(ax)
        place_legend(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _split_scores(cv_results, metric):
    """Test scores, shape (n_candidates, n_splits)."""
    pattern = re.compile(rf"split\d+_test_{re.escape(metric)}")
    keys = [key for key in cv_results if pattern.fullmatch(key)]
    if not keys:
        known = {k.partition("_test_")[2] for k in cv_results if "_test_" in k}
        raise ValueError(
            f"metric must be one of {', '.join(map(repr, sorted(known)))}, the metrics "
            f"of cv_results; got {metric!r}."
        )
    return np.column_stack([cv_results[key] for key in keys])


def _find_param(cv_results, param):
    """Name of the parameter that is the number of clusters."""
    names = sorted({name for params in cv_results["params"] for name in params})
    if param is None:
        found = [name for name in names if name.split("__")[-1] == "n_clusters"]
    else:
        found = [name for name in names if name == param]
    if len(found) != 1:
        wanted = "one that ends in 'n_clusters'" if param is None else repr(param)
        raise ValueError(
            f"cv_results must contain a parameter {wanted}; got "
            f"{', '.join(map(repr, names))}. Pass param= to choose."
        )
    return found[0]


def _find_numbers(candidates, param):
    """Return the candidates that can be drawn, and warn of the others."""
    odd = {
        i: repr(params[param]) if param in params else "not set"
        for i, params in enumerate(candidates)
        if not isinstance(params.get(param), Real)
    }
    kept = [i for i in range(len(candidates)) if i not in odd]
    shown = ", ".join(sorted(set(odd.values())))
    if not kept:
        raise ValueError(
            f"cv_results must have a candidate whose {param} is a number; got {shown}."
        )
    if odd:
        warn(
            f"ClusterSensitivityDisplay: {len(odd)} of the {len(candidates)} "
            f"candidates are not drawn, because their {param} is not a number: {shown}."
        )
    return kept


def _label_others(candidates, param):
    """Label candidates by their other parameters, with short names if unique."""
    others = [
        {name: value for name, value in params.items() if name != param}
        for params in candidates
    ]
    names = {name for params in others for name in params}
    short = {name: name.split("__")[-1] for name in names}
    if len(set(short.values())) < len(short):
        short = {name: name for name in names}
    return [
        ", ".join(f"{short[name]}={value}" for name, value in params.items())
        or param.split("__")[-1]
        for params in others
    ]
