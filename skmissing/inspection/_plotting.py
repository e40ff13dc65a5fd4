"""What the displays share: axes, colours, curves with bands."""

import numpy as np

from skmissing._compat import import_optional

# Okabe and Ito's palette, which the colour-blind can tell apart; the yellow is left
# out, being too light for lines.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PALE, MIDDLE, DARK = "#DDDDDD", "#777777", "#333333"
# A legend beside the axes from this many curves on.
MANY_CURVES = 5


def make_axes(ax, figsize):
    """Return the given axes, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
    figsize : tuple of float
        Of the new figure, in inches.

    Returns
    -------
    matplotlib Axes
    """
    pyplot = import_optional("matplotlib.pyplot", "plot")
    if ax is None:
        _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    return ax


def tidy(ax, grid="y"):
    """Take off the frame's top and right, and draw a pale grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)


def draw_curve(ax, x, score, label):
    """Draw mean scores with a band of one standard deviation on either side.

    Parameters
    ----------
    ax : matplotlib Axes
    x : array-like of shape (n_points,)
    score : ndarray of shape (n_points, n_repeats)
        NaN is left out.
    label : str

    Returns
    -------
    line, band : matplotlib artists
        `band` is None with one repeat.
    """
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


def place_legend(ax):
    """Put the legend where no data lie: beside the axes if there are many curves."""
    n_curves = len(ax.get_legend_handles_labels()[1])
    if n_curves > MANY_CURVES:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    elif n_curves > 1:
        ax.legend(frameon=False, loc="best")
