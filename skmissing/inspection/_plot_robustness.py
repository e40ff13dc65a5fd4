"""Picture of a robustness curve."""

import numpy as np

from skmissing._compat import import_optional
from skmissing.inspection._plotting import draw_curve, make_axes, place_legend, tidy
from skmissing.inspection._robustness import ANY, robustness_curve


class RobustnessCurveDisplay:
    """Score against the share of missing modalities.

    A line is the mean over the repeats, the band one standard deviation on either
    side, over the share that was hidden in fact. Several models, or several displays,
    can share one `ax`.

    It is recommended to use :meth:`from_estimator` or :meth:`from_result` to create a
    display.

    Parameters
    ----------
    realized_rate : ndarray of shape (n_curves, n_rates, n_repeats)
        Share of the modalities that was hidden in fact.
    score : ndarray of shape (n_curves, n_rates, n_repeats)
        Scores.
    curve : sequence of str
        What each curve hides.
    score_name : str, default="Score"
        Label of the vertical axis.
    name : str, default=None
        Name of the estimator, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : list of matplotlib Line2D
        The mean curves.
    bands_ : list of matplotlib artists
        The bands; None where there is one repeat.

    See Also
    --------
    robustness_curve : The numbers behind the picture.

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
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        modalities=None,
        hide="all",
        rates=tuple(i / 10 for i in range(10)),
        n_repeats=5,
        scoring=None,
        sample_weight=None,
        random_state=None,
        n_jobs=None,
        name=None,
        ax=None,
    ):
        """Compute the curves of a fitted estimator and draw them.

        Parameters
        ----------
        estimator : estimator
            Fitted; it must predict rows with missing modalities.
        X : array-like or dataframe of shape (n_samples, n_features)
            Rows that the estimator was not fitted on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        modalities : list of int, dict or None, default=None
            The groups of columns of X; None asks the estimator.
        hide : {"all", "each", "both"} or list, default="all"
            What is hidden, as in :func:`robustness_curve`.
        rates : array-like of float, default=(0.0, 0.1, ..., 0.9)
            Shares of the rows that have a modality and lose it.
        n_repeats : int, default=5
            How often rows are drawn anew.
        scoring : str, callable or None, default=None
            Scorer; None takes the estimator's own `score`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, handed to the scorer.
        random_state : int, RandomState instance or None, default=None
            Draws the rows that lose a modality.
        n_jobs : int, default=None
            Number of tables scored in parallel.
        name : str, default=None
            Name of the estimator, for the legend.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        RobustnessCurveDisplay
            The display, drawn.
        """
        import_optional("matplotlib.pyplot", "plot")
        result = robustness_curve(
            estimator,
            X,
            y,
            modalities=modalities,
            hide=hide,
            rates=rates,
            n_repeats=n_repeats,
            scoring=scoring,
            sample_weight=sample_weight,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        return cls.from_result(result, name=name, ax=ax)

    @classmethod
    def from_result(cls, result, *, name=None, ax=None):
        """Draw what :func:`robustness_curve` has returned.

        Parameters
        ----------
        result : :class:`~sklearn.utils.Bunch`
            From :func:`robustness_curve`.
        name : str, default=None
            Name of the estimator, for the legend.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        RobustnessCurveDisplay
            The display, drawn.
        """
        display = cls(
            realized_rate=result.realized_rate,
            score=result.score,
            curve=result.curve,
            score_name=result.score_name,
            name=name,
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
        hidden = f" of {self.curve[0]}" if alone else ""
        ax.set(xlabel=f"Missing rate{hidden} (%)", ylabel=self.score_name)
        tidy(ax)
        place_legend(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
