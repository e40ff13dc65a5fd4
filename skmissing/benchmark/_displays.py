"""Figures of the benchmark's results."""

import textwrap

import numpy as np

from skmissing._compat import import_optional
from skmissing._docs import shared_docs
from skmissing._table import warn
from skmissing.benchmark._protocol import REGIMES
from skmissing.benchmark._scores import LOSSES, check_results, check_share, name_score
from skmissing.benchmark._statistics import compare_ranks, pick_regime, summarize
from skmissing.inspection._displays import (
    COLORS,
    DARK,
    MARKERS,
    MIDDLE,
    PALE,
    make_axes,
    place_legend,
    tidy,
)

pd = import_optional("pandas", "benchmark")

LINES = ("-", "--", ":", "-.")
_REGIME_STYLES = {"R1": (COLORS[0], "o"), "R2": (COLORS[1], "s")}
# Height of the strip below the figures of a report that explains the regimes.
STRIP = 0.85


@shared_docs
class BenchmarkDisplay:
    """Results of a benchmark, as one of four figures of one regime.

    It is recommended to use :meth:`from_results` to create a display.

    Parameters
    ----------
    kind : {"rates", "sets", "ranks", "cost"}
        Kind of the figure, as in :meth:`from_results`.
    values : pandas.DataFrame or RankComparison
        What is drawn. For "ranks", the result of :func:`compare_ranks`. For the others,
        a data frame.
    regime : {"R1", "R2"}
        Regime, for the title.
    score_name : str, default="score"
        Label of the axis of scores.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the figure.
    %(figure_)s
    artists_ : dict of str to matplotlib artist
        The curve, the points or the line to the mean rank of each method.
    bars_ : list of matplotlib artists
        For "rates", the bands. For "ranks", the bars of the groups, and the critical
        difference as the last one.

    See Also
    --------
    summarize : The scores as a table.
    compare_ranks : The numbers of "ranks".

    Examples
    --------
    >>> from skmissing.benchmark import BenchmarkDisplay, run_benchmark
    >>> results = run_benchmark(
    ...     "breast_cancer", ["mcar:0.2", "mcar:0.5"], ["mean", "late"], n_runs=2)
    >>> display = BenchmarkDisplay.from_results(
    ...     results, kind="rates", regime="R1")  # doctest: +SKIP
    """

    def __init__(self, *, kind, values, regime, score_name="score"):
        self.kind = kind
        self.values = values
        self.regime = regime
        self.score_name = score_name

    @classmethod
    def from_results(
        cls,
        results,
        *,
        kind="rates",
        regime=None,
        metric=None,
        reference=None,
        over="data",
        confidence_level=0.95,
        ax=None,
    ):
        """Summarize the results and draw them.

        Parameters
        ----------
        results : pandas.DataFrame
            Results of :func:`run_benchmark` or :func:`read_results`.
        kind : {"rates", "sets", "ranks", "cost"}, default="rates"
            What to draw:

            - "rates": the score of each method against the share of modalities that is
              missing in test samples. Configurations of different mechanisms are drawn
              side by side. Bands are intervals of the mean over runs. With several data
              sets, the scores are means over them.
            - "sets": the score of each method on each data set.
            - "ranks": the critical-difference diagram of :func:`compare_ranks`. Thick
              bars join methods that do not differ.
            - "cost": the score against the median time to fit.
        regime : {"R1", "R2"} or None, default=None
            Regime. None is the only regime of the results.
        metric : str or None, default=None
            Name of the score, as in :func:`summarize`.
        reference : str or None, default=None
            For "sets", draw the difference to the score of this method. Positive
            differences are better, also for losses.
        over : {"data", "runs"}, default="data"
            For "ranks", what is ranked, as in :func:`compare_ranks`.
        confidence_level : float, default=0.95
            For "rates", the confidence level of the bands. For "ranks", one minus the
            level of the critical difference.
        %(ax)s

        Returns
        -------
        BenchmarkDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the results have several regimes or scores, and none is chosen.
        """
        _check_kind(kind)
        check_results(results)
        check_share("confidence_level", confidence_level)
        regime = pick_regime(list(results["regime"].unique()), regime)
        if kind == "ranks":
            ranks = compare_ranks(
                results,
                regime=regime,
                over=over,
                metric=metric,
                alpha=1 - confidence_level,
            )
            return cls(kind=kind, values=ranks, regime=regime).plot(ax)
        results = results[results["regime"] == regime]
        summary = summarize(results, metric=metric, confidence_level=confidence_level)
        methods = list(results["method"].unique())
        if reference is not None and reference not in methods:
            raise ValueError(
                f"reference must be among {', '.join(methods)}; got {reference!r}."
            )
        summary = _fill_in(summary, methods)
        gaps = summary.loc[summary["mean"].isna(), "method"].unique()
        if len(gaps):
            warn(
                "methods that have no score for some data set or configuration are not "
                f"drawn there: {', '.join(gaps)}.",
                UserWarning,
            )
        return cls._from_summary(summary, kind, methods, reference).plot(ax)

    @classmethod
    def _from_summary(cls, summary, kind, methods, reference=None):
        """Make the display of the only regime and score of a summary."""
        metrics = summary["metric"].dropna().unique()
        if len(metrics) != 1:
            found = ", ".join(metrics) or "none"
            raise ValueError(
                f"results must have one score for kind={kind!r}; got {found}. Pass "
                "metric=, or select data sets."
            )
        summary, score_name = _fill_in(summary, methods), name_score(metrics[0])
        values = _VALUES[kind](summary, methods)
        if kind == "sets" and reference is not None:
            sign = -1 if metrics[0] in LOSSES else 1
            values = sign * values.sub(values[reference], axis=0)
            score_name = f"{metrics[0].replace('_', ' ')}: better than {reference} by"
        regime = summary["regime"].iloc[0]
        return cls(kind=kind, values=values, regime=regime, score_name=score_name)

    def plot(self, ax=None):
        """Draw the figure.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        BenchmarkDisplay
            The display itself.
        """
        _check_kind(self.kind)
        ax = make_axes(ax, (5.6, self._height))
        self.artists_, self.bars_ = {}, []
        _DRAW[self.kind](self, ax)
        ax.set_title(title_of(self.regime), fontsize=9)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @property
    def _height(self):
        """Height in inches."""
        if self.kind == "sets":
            return 1.4 + 0.06 * self.values.size
        if self.kind == "ranks":
            lines = len(self.values.mean_ranks) / 2 + len(self.values.groups)
            return 1.8 + 0.2 * lines
        return 3.4

    def _draw_rates(self, ax):
        rates = self.values["missing_rate"]
        x = np.arange(len(rates)) if rates.isna().any() else rates.to_numpy()
        for number, name in enumerate(self.values["mean"]):
            mean = self.values["mean"][name].to_numpy()
            half = self.values["half_width"][name].to_numpy()
            style = _style(number) | {"linestyle": LINES[number // len(COLORS) % 4]}
            self.artists_[name] = ax.plot(x, mean, label=name, **style)[0]
            self.bars_.append(
                ax.fill_between(
                    x,
                    mean - half,
                    mean + half,
                    color=style["color"],
                    alpha=0.15,
                    linewidth=0,
                )
            )
        if rates.isna().any():
            ax.set_xticks(x, rates.index, rotation=20, ha="right")
        else:
            ax.set_xlabel("share of modalities missing in test samples")
        ax.set_ylabel(self.score_name)
        tidy(ax)
        place_legend(ax)

    def _draw_sets(self, ax):
        rows = np.arange(len(self.values))
        for number, name in enumerate(self.values):
            # From top to bottom, so that equal scores are all visible.
            shift = 0.6 * (number + 0.5) / self.values.shape[1] - 0.3
            style = _style(number) | {"linestyle": ""}
            self.artists_[name] = ax.plot(
                self.values[name], rows + shift, label=name, **style
            )[0]
        ax.set_yticks(rows, self.values.index)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.hlines(rows[1:] - 0.5, 0, 1, MIDDLE, lw=0.4, transform=_across(ax))
        if "better than" in self.score_name:
            ax.axvline(0, color=DARK, linewidth=0.8)
        ax.set_xlabel(self.score_name)
        tidy(ax, grid="x")
        place_legend(ax)

    def _draw_cost(self, ax):
        for number, (name, line) in enumerate(self.values.iterrows()):
            self.artists_[name] = ax.plot(
                line["fit_seconds"],
                line["mean"],
                label=name,
                **_style(number) | {"linestyle": "", "markersize": 8},
            )[0]
        ax.set_xscale("log")
        ticker = import_optional("matplotlib.ticker", "plot")
        seconds = self.values["fit_seconds"]
        steps = (1, 2, 5) if seconds.max() < 100 * seconds.min() else (1,)
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=steps))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        ax.set(xlabel="seconds to fit, median", ylabel=self.score_name)
        tidy(ax)
        place_legend(ax)

    def _draw_ranks(self, ax):
        """Draw the axis of ranks, and a line from each mean rank to its name."""
        found, ranks = self.values, self.values.mean_ranks
        k, groups = len(ranks), self.values.groups
        # Heights count downwards from the axis of ranks, in lines of text.
        first, left = 0.6 + 0.4 * len(groups), (k + 1) // 2
        for number, (name, rank) in enumerate(ranks.items()):
            on_left = number < left
            height = -first - 0.7 * (number if on_left else k - 1 - number)
            edge = 0.9 if on_left else k + 0.1
            (self.artists_[name],) = ax.plot(
                [rank, rank, edge], [0, height, height], color=DARK, linewidth=1
            )
            ax.text(
                *(edge, height, f" {name} "),
                ha="right" if on_left else "left",
                va="center",
            )
        for number, group in enumerate(groups):
            ends, height = ranks[[group[0], group[-1]]], -0.4 - 0.4 * number
            self.bars_ += ax.plot(ends, [height] * 2, color=DARK, linewidth=4)
        cd = found.critical_difference
        self.bars_ += ax.plot([1, 1 + cd], [1.4, 1.4], color=COLORS[1], marker="|")
        ax.text(1, 1.6, f"critical difference {cd:.2f}", color=COLORS[1])
        ax.spines[["bottom", "left", "right"]].set_visible(False)
        ax.spines["top"].set_position(("data", 0))
        ax.xaxis.tick_top()
        ax.set_xticks(range(1, k + 1))
        ax.set_yticks([])
        ax.set(xlim=(0.9, max(k, 1 + cd) + 0.1), ylim=(-first - 0.7 * left, 2.5))
        text = (
            f"Mean ranks, 1 is best; n = {found.n_blocks}; Friedman's test: "
            f"p = {found.p_value:.2g}.\nBars join methods that do not differ at "
            f"{100 * found.alpha:g} % (Nemenyi)."
        )
        ax.text(0.5, 0, text, transform=ax.transAxes, ha="center", va="top", fontsize=8)


def _style(number):
    """Colour and marker, which differ together for 49 methods."""
    turn, place = divmod(number, len(COLORS))
    return {
        "color": COLORS[place],
        "marker": MARKERS[(place + turn) % len(MARKERS)],
        "markersize": 5,
    }


def _across(ax):
    return ax.get_yaxis_transform()


def title_of(regime):
    """The regime and what it means, in two lines."""
    return "\n".join(textwrap.wrap(f"{regime}: {REGIMES[regime]}", 36))


def _fill_in(summary, methods):
    """Add rows without scores for the methods that a table does not have."""
    tables = summary[["data", "missing", "regime", "metric"]].drop_duplicates()
    rows = tables.merge(pd.DataFrame({"method": methods}), how="cross")
    return rows.merge(summary, how="left")


def _values_of_rates(summary, methods):
    """Mean scores and half widths by configuration, with the actual missing rates."""
    names = summary["missing"].unique()
    tables = {
        name: summary.pivot_table(
            index="missing", columns="method", values=name, aggfunc=how, dropna=False
        ).reindex(index=names, columns=methods)
        for name, how in (("mean", _mean), ("half_width", _half_width))
    }
    rates = summary.groupby("missing", sort=False)["test_missing"].mean()
    mechanisms = {name.partition(":")[0] for name in names}
    if len(mechanisms) > 1 or mechanisms == set(names):
        rates[:] = np.nan
    values = pd.concat({**tables, "missing_rate": rates.to_frame("")}, axis=1)
    return values.sort_values(("missing_rate", ""), kind="stable")


def _mean(scores):
    """Mean over data sets. NaN if one of them has no score."""
    return scores.mean(skipna=False)


def _half_width(half_widths):
    """Half width of the mean over data sets, whose runs are independent."""
    return np.sqrt((half_widths**2).sum(skipna=False)) / len(half_widths)


def _values_of_sets(summary, methods):
    means = summary.pivot_table(
        index="data", columns="method", values="mean", aggfunc=_mean, sort=False
    )
    return means.reindex(columns=methods)


def _values_of_cost(summary, methods):
    runs = summary.groupby("method")
    found = {
        "fit_seconds": runs["fit_seconds"].median(),
        "mean": runs["mean"].agg(_mean),
    }
    return pd.DataFrame(found).reindex(methods)


_VALUES = {
    "rates": _values_of_rates,
    "sets": _values_of_sets,
    "cost": _values_of_cost,
}
_DRAW = {
    "rates": BenchmarkDisplay._draw_rates,
    "sets": BenchmarkDisplay._draw_sets,
    "ranks": BenchmarkDisplay._draw_ranks,
    "cost": BenchmarkDisplay._draw_cost,
}


def draw_panels(rows, figsize=None):
    """Draw pairs of a label and displays by regime, one row each, in a new figure."""
    regimes = list(dict.fromkeys(display.regime for _, row in rows for display in row))
    heights = [row[0]._height for _, row in rows]
    top, figure = new_figure(regimes, (2.0 + 3.8 * len(regimes), sum(heights)), figsize)
    axes = top.subplots(len(rows), len(regimes), squeeze=False, height_ratios=heights)
    handles = {}
    for (label, row), line in zip(rows, axes):
        for ax in line:
            ax.set_axis_off()
        for display in row:
            ax = line[regimes.index(display.regime)]
            ax.set_axis_on()
            display.plot(ax)
            handles |= dict(zip(*ax.get_legend_handles_labels()[::-1]))
            if ax.get_legend():
                ax.get_legend().remove()
            if label:
                ax.set_ylabel(f"{label}\n{ax.get_ylabel()}")
    if handles:
        names = list(handles)
        top.legend(handles.values(), names, loc="outside right center", frameon=False)
    return figure


def draw_summary(summary, figsize=None):
    """Draw means and intervals of all methods, by data set and configuration."""
    data, missing = summary["data"].unique(), summary["missing"].unique()
    methods = list(summary["method"].unique()[::-1])
    height = (0.7 + 0.2 * len(methods)) * len(data)
    regimes = list(summary["regime"].unique())
    size = (1.5 + 2.6 * len(missing), 0.3 + height)
    top, figure = new_figure(regimes, size, figsize, marked=True)
    axes = top.subplots(
        len(data), len(missing), squeeze=False, sharey=True, sharex="row"
    )
    for row, name in zip(axes, data):
        for ax, gaps in zip(row, missing):
            here = (summary["data"] == name) & (summary["missing"] == gaps)
            _draw_means(ax, summary[here], methods)
            ax.set_title(f"{name}, {gaps}", fontsize=9)
    return figure


def _draw_means(ax, table, methods):
    regimes = table["regime"].unique()
    for offset, regime in zip(np.linspace(0.15, -0.15, len(regimes)), regimes):
        found = table[(table["regime"] == regime) & table["mean"].notna()]
        ax.errorbar(
            found["mean"],
            [methods.index(method) + offset for method in found["method"]],
            xerr=found["half_width"].fillna(0.0),
            color=_REGIME_STYLES[regime][0],
            marker=_REGIME_STYLES[regime][1],
            markersize=4,
            linestyle="",
            elinewidth=1,
            label=regime,
        )
    ax.set_yticks(range(len(methods)), methods, fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    tidy(ax, grid="x")
    metric = next(iter(table["metric"].dropna()), None)
    ax.set_xlabel(name_score(metric), fontsize=8)


def new_figure(regimes, size, figsize, marked=False):
    """Return the upper part of a new figure, and the figure. Below is the strip."""
    figures = import_optional("matplotlib.figure", "plot")
    width, height = size
    figsize = (max(width, 4.2), height + STRIP) if figsize is None else figsize
    figure = figures.Figure(figsize=figsize, layout="constrained")
    above = max(figsize[1] - STRIP, STRIP)
    top, bottom = figure.subfigures(2, 1, height_ratios=[above, STRIP])
    _draw_strip(bottom.subplots(), regimes, marked)
    return top, figure


def _draw_strip(ax, regimes, marked):
    """Explain the regimes: tables of training and test samples, with white gaps."""
    gaps = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=bool)
    row, column = np.indices(gaps.shape)
    for number, regime in enumerate(regimes):
        x = 13 * number
        if marked:
            color, marker = _REGIME_STYLES[regime]
            ax.plot(x, 1, color=color, marker=marker, markersize=5)
        ax.text(x + 0.7, 1, regime, va="center", weight="bold", fontsize=9)
        training = gaps if regime == "R2" else np.ones_like(gaps)
        for shift, name, seen in ((3.5, "training", training), (8, "test", gaps[::-1])):
            colors = np.where(seen, (DARK, MIDDLE, PALE), "white")
            ax.scatter(
                x + shift + column,
                row,
                c=colors.ravel(),
                marker="s",
                s=30,
                edgecolors=MIDDLE,
                linewidths=0.4,
            )
            ax.text(x + shift + 1, 2.8, name, ha="center", fontsize=7)
    text = "a row is a sample, a column is a modality, white is missing"
    ax.text(0.7, -1.4, text, fontsize=7, va="center")
    ax.set(xlim=(-1, 25), ylim=(-2, 4))
    ax.set_aspect("equal", anchor="W")
    ax.set_axis_off()


def _check_kind(kind):
    if kind not in list(_DRAW):
        raise ValueError(f"kind must be one of {', '.join(_DRAW)}; got {kind!r}.")
