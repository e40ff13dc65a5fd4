"""Picture of what each modality is worth."""

import numpy as np

from skmissing._compat import import_optional
from skmissing.inspection._importance import modality_importance
from skmissing.inspection._plotting import COLORS, DARK, make_axes, tidy


class ModalityImportanceDisplay:
    """Shapley value of each modality, with its interval.

    The bars add up to what the score gains from no modality to all of them; both
    scores stand above.

    It is recommended to use :meth:`from_estimator` or :meth:`from_result` to create a
    display.

    Parameters
    ----------
    modalities : sequence of str
        Names of the modalities.
    importance : ndarray of shape (n_modalities,)
        Shapley values.
    interval : ndarray of shape (n_modalities, 2)
        Lower and upper bounds; NaN draws none.
    full_score : float
        Score with all modalities.
    empty_score : float
        Score with none.
    confidence_level : float, default=0.95
        Of the intervals.
    score_name : str, default="Score"
        Name of the score.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure that holds them.
    bars_ : matplotlib BarContainer
        The bars, from the bottom up.

    See Also
    --------
    modality_importance : The numbers behind the picture.

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
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        modalities=None,
        scoring=None,
        empty_score=None,
        n_bootstraps=200,
        confidence_level=0.95,
        n_permutations=100,
        sample_weight=None,
        random_state=None,
        n_jobs=None,
        ax=None,
    ):
        """Compute the importances of a fitted estimator and draw them.

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
        scoring : str, callable or None, default=None
            Scorer; None takes the estimator's own `score`.
        empty_score : float, default=None
            The score with no modality; None asks the estimator for it.
        n_bootstraps : int, default=200
            How often the rows of X are resampled for the intervals; 0 for none.
        confidence_level : float, default=0.95
            Of the intervals.
        n_permutations : int, default=100
            Orders that are sampled with more than 10 modalities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, handed to the scorer.
        random_state : int, RandomState instance or None, default=None
            Resamples rows, and samples orders.
        n_jobs : int, default=None
            Number of subsets scored in parallel.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ModalityImportanceDisplay
            The display, drawn.
        """
        import_optional("matplotlib.pyplot", "plot")
        result = modality_importance(
            estimator,
            X,
            y,
            modalities=modalities,
            scoring=scoring,
            empty_score=empty_score,
            n_bootstraps=n_bootstraps,
            confidence_level=confidence_level,
            n_permutations=n_permutations,
            sample_weight=sample_weight,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        return cls.from_result(result, ax=ax)

    @classmethod
    def from_result(cls, result, *, ax=None):
        """Draw what :func:`modality_importance` has returned.

        Parameters
        ----------
        result : :class:`~sklearn.utils.Bunch`
            From :func:`modality_importance`.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ModalityImportanceDisplay
            The display, drawn.
        """
        display = cls(
            modalities=result.modalities,
            importance=result.importance,
            interval=result.interval,
            full_score=result.full_score,
            empty_score=result.empty_score,
            confidence_level=result.confidence_level,
            score_name=result.score_name,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the importances, the largest on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

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
        self.bars_ = ax.barh(names, value, height=0.62, color=COLORS[0])
        known = np.isfinite(interval).all(axis=1)
        ax.hlines(np.flatnonzero(known), *interval[known].T, color=DARK, linewidth=1.6)
        ax.axvline(0, color=DARK, linewidth=0.8)
        beside = ax.get_yaxis_transform()
        for y, number in enumerate(value):
            ax.text(1.02, y, f"{number:+.3f}", transform=beside, va="center")
        gain = f"no modality {self.empty_score:.3f}, all {self.full_score:.3f}"
        ax.set_title(f"{self.score_name}: {gain}", loc="left", fontsize=10)
        band = f", {100 * self.confidence_level:g} % interval" if known.any() else ""
        ax.set_xlabel(f"Shapley value{band}")
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        tidy(ax, grid="x")
        self.ax_, self.figure_ = ax, ax.figure
        return self
