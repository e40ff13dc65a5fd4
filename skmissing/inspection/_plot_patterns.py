"""Picture of which modalities the rows of a table have."""

import numpy as np

from skmissing._blocks import find_patterns
from skmissing.inspection._plotting import COLORS, DARK, PALE, make_axes, tidy
from skmissing.inspection._tables import as_table


class MissingPatternDisplay:
    """Which modalities are missing together, and how often.

    Above, a bar for each pattern of present modalities, the most frequent first;
    below, its modalities as dots, linked where there are several. Beside each
    modality stands the share of rows that have it.

    It is recommended to use :meth:`from_data` to create a display.

    Parameters
    ----------
    presence : ndarray of shape (n_patterns, n_modalities), dtype bool
        The modalities of each pattern.
    counts : ndarray of shape (n_patterns,)
        Number of rows with each pattern.
    modalities : sequence of str
        Names of the modalities.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The place of the whole picture.
    bar_ax_ : matplotlib Axes
        The bars.
    dot_ax_ : matplotlib Axes
        The dots.
    figure_ : matplotlib Figure
        Figure that holds them.

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
        X : array-like or dataframe of shape (n_samples, n_features)
            A missing cell is NaN, or masked, or null.
        modalities : list of int, dict or None, default=None
            The groups of columns, as in every estimator; or the `modalities_` of a
            fitted one.
        max_patterns : int, default=20
            Draw no more patterns than this, and the others as one bar.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        MissingPatternDisplay
            The display, drawn.
        """
        table = as_table(X, modalities)
        presence, inverse = find_patterns(table.presence)
        counts = np.bincount(inverse)
        order = np.lexsort([*~presence.T[::-1], -presence.sum(axis=1), -counts])
        display = cls(
            presence=presence[order],
            counts=counts[order],
            modalities=table.layout.names,
        )
        return display.plot(ax, max_patterns=max_patterns)

    def plot(self, ax=None, *, max_patterns=20):
        """Draw the patterns.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        max_patterns : int, default=20
            Draw no more patterns than this, and the others as one bar.

        Returns
        -------
        MissingPatternDisplay
            The display itself.
        """
        if max_patterns < 1:
            raise ValueError(f"max_patterns must be at least 1; got {max_patterns}.")
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
        ax.set_ylabel(f"Rows of {total}")
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
                f"{n_others} others",
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
    """Share in percent, no more exact than it needs to be."""
    percent = 100 * share
    return "<1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"
