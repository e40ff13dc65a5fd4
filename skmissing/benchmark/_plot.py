"""The picture of a report: scores with intervals, a panel a table."""

import numpy as np

from skmissing._compat import import_optional
from skmissing.benchmark._protocol import LOSSES

_COLORS = {"R1": "#0072B2", "R2": "#D55E00"}
_MARKERS = {"R1": "o", "R2": "s"}


def draw_summary(summary, path):
    """Draw means and intervals of all methods, by data set and what is missing.

    Parameters
    ----------
    summary : list of dict
        Of :func:`summarize`.
    path : path-like
        Where to save the picture.
    """
    figures = import_optional("matplotlib.figure", "plot")
    data = list(dict.fromkeys(line["data"] for line in summary))
    missing = list(dict.fromkeys(line["missing"] for line in summary))
    methods = list(dict.fromkeys(line["method"] for line in summary))[::-1]
    height = 0.7 + 0.2 * len(methods)
    figure = figures.Figure(
        figsize=(1.5 + 2.6 * len(missing), 0.9 + height * len(data)),
        layout="constrained",
    )
    axes = figure.subplots(
        len(data), len(missing), squeeze=False, sharey=True, sharex="row"
    )
    for row, name in zip(axes, data):
        for ax, gaps in zip(row, missing):
            place = (name, gaps)
            here = [s for s in summary if (s["data"], s["missing"]) == place]
            _draw_panel(ax, here, methods)
            ax.set_title(f"{name}, {gaps}", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=120)


def _draw_panel(ax, lines, methods):
    regimes = list(dict.fromkeys(line["regime"] for line in lines))
    for offset, regime in zip(np.linspace(0.15, -0.15, len(regimes)), regimes):
        found = [
            line
            for line in lines
            if line["regime"] == regime and line["mean"] is not None
        ]
        ax.errorbar(
            [line["mean"] for line in found],
            [methods.index(line["method"]) + offset for line in found],
            xerr=[line["half_width"] or 0.0 for line in found],
            color=_COLORS[regime],
            marker=_MARKERS[regime],
            markersize=4,
            linestyle="",
            elinewidth=1,
            label=regime,
        )
    ax.set_yticks(range(len(methods)), methods, fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    ax.set_axisbelow(True)
    metric = next((line["metric"] for line in lines if line["metric"]), "score")
    less = ", less is better" if metric in LOSSES else ""
    ax.set_xlabel(metric.replace("_", " ") + less, fontsize=8)
