"""Boxes, arrows and tables, in inches, for the drawings."""

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch, Rectangle

BLUE, ORANGE, GREEN, GREY, PALE = "#0072B2", "#E69F00", "#009E73", "#666666", "#eeeeee"
MODALITIES = {"text": (BLUE, 3), "audio": (ORANGE, 2), "image": (GREEN, 3)}
CELL = 0.17
FAINT = {"linestyle": "--", "edgecolor": "#aaaaaa", "ink": "#888888"}


def canvas(width, height):
    """Return axes without ticks that fill a figure of this size."""
    figure = plt.figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def box(ax, x, y, text, width=1.0, height=0.4, color="white", ink="black", **style):
    """Draw a box with its centre at x, y."""
    corner = (x - width / 2, y - height / 2)
    rounded = "round,pad=0,rounding_size=0.06"
    style = {"edgecolor": GREY, "linewidth": 1, "zorder": 2} | style
    box = FancyBboxPatch(corner, width, height, rounded, facecolor=color, **style)
    ax.add_patch(box)
    ax.text(x, y, text, color=ink, ha="center", va="center", zorder=3)


def arrow(ax, start, stop, color=GREY, **style):
    style = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0} | style
    ax.annotate("", stop, start, arrowprops=style)


def table(ax, x, y, presence, empty=()):
    """Draw a table from its upper left corner; return the centres of the modalities.

    presence has a row of letters per sample: "ti" has a text and an image. empty are
    single cells, as pairs of row and column, that are missing.
    """
    left, centres = x, []
    column = 0
    for name, (color, width) in MODALITIES.items():
        for row, letters in enumerate(presence):
            for j in range(width):
                seen = name[0] in letters and (row, column + j) not in empty
                corner = (left + j * CELL, y - (row + 1) * CELL)
                face = color if seen else "white"
                edge = {"edgecolor": "white" if seen else "#bbbbbb", "linewidth": 0.7}
                cell = Rectangle(corner, CELL, CELL, facecolor=face, **edge)
                ax.add_patch(cell)
        centres.append(left + width * CELL / 2)
        left, column = left + width * CELL + 0.06, column + width
    return centres
