"""Picture of how much the number of clusters matters."""

import re
import warnings
from numbers import Real

import numpy as np

from skmissing.inspection._plotting import (
    DARK,
    draw_curve,
    make_axes,
    place_legend,
    tidy,
)

# From this ratio of the largest to the smallest number on, the axis is logarithmic.
WIDE_RANGE = 16
MOST_TICKS = 12


class ClusterSensitivityDisplay:
    """Score against the number of clusters.

    A line is the mean over splits or runs, the band one standard deviation on either
    side; a ring marks the best mean of each curve.

    It is recommended to use :meth:`from_cv_results` or :meth:`from_data` to create a
    display.

    Parameters
    ----------
    n_clusters : array-like of shape (n_points,)
        Numbers of clusters, ascending.
    score : ndarray of shape (n_curves, n_points, n_runs)
        Scores, NaN where a combination was not run.
    curve : sequence of str
        Names of the curves.
    score_name : str, default="Score"
        Label of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : list of matplotlib Line2D
        The mean curves.
    bands_ : list of matplotlib artists
        The bands; None where there is one run.

    See Also
    --------
    sklearn.model_selection.ValidationCurveDisplay : Any parameter, one curve.

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
        """Draw the outcome of a search over the number of clusters.

        Parameters
        ----------
        cv_results : dict
            `cv_results_` of a fitted :class:`~sklearn.model_selection.GridSearchCV`
            or another search. Parameters searched beside the number of clusters give
            a curve for each of their combinations. Candidates that give no number,
            such as "auto", are left out, and a warning tells.
        param : str, default=None
            Name of the parameter; None takes the one that ends in `n_clusters`.
        metric : str, default="score"
            Name of the metric, if the search had several.
        score_name : str, default="Score"
            Label of the vertical axis.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

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
        display = cls(
            n_clusters=n_clusters, score=score, curve=curve, score_name=score_name
        )
        return display.plot(ax)

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
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

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
                f"table a curve; got {score.shape}."
            )
        curve = [f"curve {i}" for i in range(len(score))] if curve is None else curve
        if len(curve) != len(score):
            raise ValueError(f"curve has {len(curve)} names for {len(score)} curves.")
        order = np.argsort(n_clusters)
        display = cls(
            n_clusters=n_clusters[order],
            score=score[:, order],
            curve=curve,
            score_name=score_name,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

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
            f"cv_results has no test scores of metric={metric!r}; it has those of "
            f"{', '.join(map(repr, sorted(known))) or 'nothing'}."
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
            f"cv_results must have searched over {wanted}; it has "
            f"{', '.join(map(repr, names))}. Pass param= to choose."
        )
    return found[0]


def _find_numbers(candidates, param):
    """Which candidates can be drawn; warns of the others."""
    odd = {
        i: repr(params[param]) if param in params else "not set"
        for i, params in enumerate(candidates)
        if not isinstance(params.get(param), Real)
    }
    kept = [i for i in range(len(candidates)) if i not in odd]
    shown = ", ".join(sorted(set(odd.values())))
    if not kept:
        raise ValueError(
            f"cv_results has no candidate whose {param} is a number; found {shown}."
        )
    if odd:
        warnings.warn(
            f"{len(odd)} of the {len(candidates)} candidates are not drawn, "
            f"as their {param} is no number: {shown}.",
            UserWarning,
            stacklevel=3,
        )
    return kept


def _label_others(candidates, param):
    """What the other parameters of each candidate are: in short, if that is clear."""
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
