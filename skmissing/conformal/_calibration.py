"""Calibration of probabilities by pattern of modalities, its error and its diagram."""

from numbers import Integral

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from sklearn.isotonic import IsotonicRegression

from skmissing._base import _fit_context
from skmissing._compat import Interval, StrOptions, import_optional, validate_params
from skmissing._docs import shared_docs
from skmissing.conformal._base import (
    HeldOutClassifier,
    group_samples,
    judge_predictions,
    name_group,
    shrunk_weights,
)
from skmissing.inspection._displays import (
    COLORS,
    MARKERS,
    MIDDLE,
    check_count,
    make_axes,
    place_legend,
    tidy,
)
from skmissing.inspection._scoring import InspectionResult

# Added to probabilities before the logarithm, as in scikit-learn.
LEAST = 1e-12


@shared_docs
class CalibrationByPattern(HeldOutClassifier):
    """Calibrate the probabilities of a classifier per number or set of modalities.

    A classifier that is calibrated on average may be overconfident for samples with few
    modalities, and underconfident for complete samples. Here, the samples with the same
    number of observed modalities, or with the same modalities, have a calibration of
    their own, which is shrunk towards that of all samples.

    Read more in the :ref:`User Guide <calibration>`.

    Parameters
    ----------
    %(estimator)s
    method : {"temperature", "isotonic"}, default="temperature"
        "temperature" multiplies the logarithms of the probabilities by one number, and
        does not change which class is predicted. "isotonic" fits an increasing function
        per class, and needs more samples.
    by : {"n_observed", "pattern"}, default="n_observed"
        Whether samples with the same number of observed modalities or those with the
        same modalities have a calibration of their own.
    shrinkage : float, default=100
        Number of samples as which all samples together count in the calibration of a
        group. With 0, each group is calibrated on its own samples only.
    %(modalities, cv, n_jobs)s

    Attributes
    ----------
    %(classes_, estimator_)s
    groups_ : list of int or list of tuple of str
        Numbers of observed modalities, or names of the modalities, of the groups with a
        calibration of their own. Samples of other groups have that of all samples.
    temperatures_ : ndarray of shape (n_groups,)
        Temperature of each group. Above 1, the classifier is overconfident. Only for
        `method="temperature"`.
    temperature_ : float
        Temperature of all samples. Only for `method="temperature"`.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    calibration_error_by_pattern : Calibration error of a fitted classifier by pattern.
    CalibrationByPatternDisplay : Reliability diagram by pattern.
    sklearn.calibration.CalibratedClassifierCV : The same calibration for all samples.

    Notes
    -----
    The calibration is fitted to held-out probabilities, and the classifier to all
    samples, as in :class:`~sklearn.calibration.CalibratedClassifierCV` with
    `ensemble=False`. If all samples have the same modalities, the result is the same,
    except for probabilities of 0, which forests predict: for temperature scaling, they
    count as half of the smallest positive held-out probability.

    Let :math:`\\ell_i(\\theta)` be the loss of held-out sample i with weight
    :math:`w_i` after a calibration with the parameters :math:`\\theta`: the log-loss
    for temperature scaling [1]_, and the squared error of each class for isotonic
    regression [2]_. The calibration of group g minimises

    .. math::
        \\sum_{i \\in g} w_i \\ell_i(\\theta)
        + \\frac{s}{\\sum_i w_i} \\sum_i w_i \\ell_i(\\theta)

    where s is `shrinkage`. This assumes that new samples of a group resemble the
    training samples of the group.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks",
       ICML 2017.
    .. [2] Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass
       probability estimates", KDD 2002.

    Examples
    --------
    Naive Bayes is overconfident if columns are correlated, the more so the more of
    them are observed:

    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmissing.conformal import CalibrationByPattern
    >>> rng = np.random.RandomState(0)
    >>> y = rng.randint(2, size=400)
    >>> X = rng.standard_normal((400, 1)) + 0.5 * rng.standard_normal((400, 8))
    >>> X += y[:, None]
    >>> X[::2, 4:] = np.nan
    >>> model = CalibrationByPattern(
    ...     make_pipeline(SimpleImputer(), GaussianNB()), modalities={"a": 4, "b": 4}
    ... ).fit(X, y)
    >>> model.groups_
    [2, 1]
    >>> model.temperatures_.round(1)
    array([6.1, 4.4])
    """

    _parameter_constraints: dict = {
        **HeldOutClassifier._parameter_constraints,
        "method": [StrOptions({"temperature", "isotonic"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        method="temperature",
        by="n_observed",
        shrinkage=100,
        modalities=None,
        cv=5,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.method = method
        self.by = by
        self.shrinkage = shrinkage
        self.modalities = modalities
        self.cv = cv
        self.n_jobs = n_jobs

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the classifier and the calibrations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. Samples in which nothing is observed are
            left out, with a warning.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Number of times that each sample counts, in the classifier and in the
            calibrations. Weights with a mean below 1 are scaled to a mean of 1.
        groups : array-like of shape (n_samples,) or None, default=None
            Groups of the samples, such as persons. An integer `cv` then keeps each
            group in one fold; a splitter gets the groups in `split`.

        Returns
        -------
        %(self)s

        Raises
        ------
        ValueError
            If y has classes that a fitted estimator does not know, if `estimator` does
            not accept NaN or the weights, or if `cv` holds out samples to which it is
            fitted.
        """
        # Others, set after fit, need another calibration.
        self._method, self._by = self.method, self.by
        data, proba = self._fit_held_out(X, y, sample_weight, groups)
        weight, names = data.table.weight, self.modalities_.names
        self._least = 0.0
        if self.method == "temperature" and len(proba):
            self._least = np.min(proba, initial=1.0, where=proba > 0) / 2
        proba = np.maximum(proba, self._least)
        fit = fit_temperature if self.method == "temperature" else fit_isotonic
        self.groups_, group = group_samples(data.table.presence, names, self.by)
        self._calibrations = []
        for g in range(len(self.groups_)):
            shrunk = shrunk_weights(weight, group == g, self.shrinkage)
            self._calibrations.append(fit(proba, data.codes, shrunk))
        self._common = fit(proba, data.codes, weight)
        if self.method == "temperature":
            self.temperatures_ = 1 / np.array(self._calibrations)
            self.temperature_ = 1 / self._common
        return self

    def predict_proba(self, X):
        """Predict calibrated class probabilities.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        presence, proba = self._predict_inner(X)
        proba = np.maximum(proba, self._least)
        apply = scale_proba if self._method == "temperature" else map_proba
        group, out = self._find_groups(presence), np.empty_like(proba)
        for g in np.unique(group):
            calibration = self._common if g < 0 else self._calibrations[g]
            out[group == g] = apply(proba[group == g], calibration)
        return out

    def predict(self, X):
        """Predict the class with the highest calibrated probability.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


# --------------------------------------------------------------------- numerics


def fit_temperature(proba, codes, weight):
    """The inverse temperature with the smallest log-loss; 1 without samples."""
    if not len(codes):
        return 1.0
    logits = np.log(proba + LEAST)
    true = logits[np.arange(len(codes)), codes]

    def loss(log_beta):
        beta = np.exp(log_beta)
        return weight @ (logsumexp(beta * logits, axis=1) - beta * true) / weight.sum()

    options = {"xatol": 64 * np.finfo(float).eps}
    return float(np.exp(minimize_scalar(loss, bounds=(-10, 10), options=options).x))


def scale_proba(proba, beta):
    """Probabilities with logarithms multiplied by an inverse temperature."""
    return softmax(beta * np.log(proba + LEAST), axis=1)


def fit_isotonic(proba, codes, weight):
    """One isotonic regression per class; for two classes, of the second."""
    n_classes = proba.shape[1]
    given = [(proba[:, k], codes == k, weight) for k in range(n_classes)]
    if not len(codes):
        given = [([0, 1], [0, 1])] * n_classes  # probabilities as they are
    given = given[1:] if n_classes == 2 else given
    return [IsotonicRegression(out_of_bounds="clip").fit(*each) for each in given]


def map_proba(proba, maps):
    """Probabilities mapped per class and normalised, or an even split if all are 0."""
    if len(maps) == 1 < proba.shape[1]:
        second = maps[0].predict(proba[:, 1])
        return np.column_stack([1 - second, second])
    out = np.column_stack([m.predict(p) for m, p in zip(maps, proba.T)])
    total = out.sum(axis=1, keepdims=True)
    even = np.full_like(out, 1 / out.shape[1])
    return np.divide(out, total, out=even, where=total > 0)


def bin_confidences(confidence, hits, weight, n_bins):
    """Weights, and weighted sums of confidences and hits, per bin of equal width."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    parts = (weight, weight * confidence, weight * hits)
    return np.stack([np.bincount(bins, part, minlength=n_bins) for part in parts])


def calibration_error(confidence, hits, weight=None, n_bins=10):
    """Expected calibration error of the predicted classes, from bins of equal width."""
    weight = np.ones(len(hits)) if weight is None else weight
    mass, expected, observed = bin_confidences(confidence, hits, weight, n_bins)
    return np.abs(expected - observed).sum() / mass.sum()


# ------------------------------------------------------------------ by pattern


@validate_params(
    {
        "by": [StrOptions({"n_observed", "pattern"}), None],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=False,
)
def calibration_error_by_pattern(
    estimator,
    X,
    y,
    *,
    by="pattern",
    n_bins=10,
    modalities=None,
    classes=None,
    sample_weight=None,
    as_frame=False,
):
    """Compute the expected calibration error per pattern of observed modalities.

    The probabilities of the predicted classes, the confidences, are divided into bins
    of equal width. The error is the mean over the samples of the difference between the
    accuracy and the mean confidence of their bin.

    Parameters
    ----------
    estimator : classifier or array-like of shape (n_samples, n_classes)
        Fitted classifier with `predict_proba`, or its probabilities for X, such as
        those of :func:`~sklearn.model_selection.cross_val_predict`.
    X : array-like or data frame of shape (n_samples, n_features)
        Samples that were not used in `fit`.
    y : array-like of shape (n_samples,)
        Class labels.
    by : {"pattern", "n_observed"} or None, default="pattern"
        Whether to group the samples by their observed modalities, or by their number.
        None is one group.
    n_bins : int, default=10
        Number of bins.
    modalities : list of int, dict or None, default=None
        Groups of columns of X. None uses `modalities_` of the estimator, as in
        :func:`~skmissing.inspection.score_by_pattern`.
    classes : array-like of shape (n_classes,) or None, default=None
        Classes of the columns, if `estimator` is an array. None is the sorted classes
        of y.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples. Those of weight 0 are left out.
    as_frame : bool, default=False
        Whether to return a pandas data frame indexed by pattern.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        One entry per group in each of the following:

        pattern : list of str
            Names of the modalities, joined by " + ", or their number.
        n_samples : ndarray of int
            Number of samples.
        accuracy, confidence : ndarray of float
            Accuracy, and mean probability of the predicted class. If the second is
            larger, the classifier is overconfident.
        calibration_error : ndarray of float
            Expected calibration error.

    See Also
    --------
    CalibrationByPattern : Calibrates per pattern.
    CalibrationByPatternDisplay : Draws the bins.

    Notes
    -----
    The error of few samples is too large, because each bin has few samples: that of a
    calibrated classifier is not 0.

    References
    ----------
    .. [1] Pakdaman Naeini, Cooper and Hauskrecht, "Obtaining well calibrated
       probabilities using Bayesian binning", AAAI 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import calibration_error_by_pattern
    >>> X = np.array([[1.0, 2.0], [3.0, np.nan], [2.0, np.nan], [0.0, 1.0]])
    >>> proba = np.array([[0.8, 0.2], [0.9, 0.1], [0.1, 0.9], [0.2, 0.8]])
    >>> result = calibration_error_by_pattern(
    ...     proba, X, [0, 1, 1, 1], modalities={"a": 1, "b": 1}
    ... )
    >>> result.pattern, result.calibration_error.round(2)
    (['a + b', 'a'], array([0.2, 0.4]))
    """
    confidence, hits, weight, keys, group = judge_predictions(
        estimator, X, y, by, modalities, classes, sample_weight
    )
    rows = [group == g for g in range(len(keys))]
    result = InspectionResult(
        pattern=[name_group(key) for key in keys],
        n_samples=np.bincount(group, minlength=len(keys)),
        accuracy=np.array([np.average(hits[r], weights=weight[r]) for r in rows]),
        confidence=np.array(
            [np.average(confidence[r], weights=weight[r]) for r in rows]
        ),
        calibration_error=np.array(
            [calibration_error(confidence[r], hits[r], weight[r], n_bins) for r in rows]
        ),
    )
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    columns = {name: value for name, value in result.items() if name != "pattern"}
    return pandas.DataFrame(columns, pandas.Index(result.pattern, name="pattern"))


@shared_docs(like=calibration_error_by_pattern)
class CalibrationByPatternDisplay:
    """Reliability diagram by pattern of observed modalities.

    One line per pattern shows the accuracy against the mean confidence, per bin of the
    confidence. Below the diagonal, the classifier is overconfident.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create a display.

    Parameters
    ----------
    pattern : list of str
        Names of the patterns.
    n_samples : ndarray of shape (n_patterns,)
        Number of samples of each pattern.
    confidence, accuracy : ndarray of shape (n_patterns, n_bins)
        Mean confidence and accuracy per bin. NaN in bins without samples.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    %(figure_)s
    lines_ : list of matplotlib Line2D
        One line per pattern.

    See Also
    --------
    calibration_error_by_pattern : One number per pattern.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import CalibrationByPatternDisplay
    >>> X = np.array([[1.0, 2.0], [3.0, np.nan], [2.0, np.nan], [0.0, 1.0]])
    >>> proba = np.array([[0.8, 0.2], [0.9, 0.1], [0.1, 0.9], [0.2, 0.8]])
    >>> display = CalibrationByPatternDisplay.from_predictions(
    ...     [0, 1, 1, 1], proba, X, modalities={"a": 1, "b": 1}
    ... )  # doctest: +SKIP
    """

    def __init__(self, *, pattern, n_samples, confidence, accuracy):
        self.pattern = pattern
        self.n_samples = n_samples
        self.confidence = confidence
        self.accuracy = accuracy

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        by="pattern",
        n_bins=10,
        modalities=None,
        sample_weight=None,
        max_patterns=5,
        ax=None,
    ):
        """Predict probabilities, and draw their reliability.

        Parameters
        ----------
        estimator : classifier
            Fitted classifier with `predict_proba`.
        %(X, y, by, n_bins, modalities, sample_weight)s
        max_patterns : int, default=5
            Number of patterns to draw, those with the most samples.
        %(ax)s

        Returns
        -------
        CalibrationByPatternDisplay
            The display, drawn.
        """
        given = {"modalities": modalities, "sample_weight": sample_weight}
        display = cls._of(estimator, X, y, by, n_bins, classes=None, **given)
        return display.plot(ax, max_patterns=max_patterns)

    @classmethod
    def from_predictions(
        cls,
        y,
        y_proba,
        X,
        *,
        by="pattern",
        n_bins=10,
        modalities=None,
        classes=None,
        sample_weight=None,
        max_patterns=5,
        ax=None,
    ):
        """Draw the reliability of probabilities.

        Parameters
        ----------
        %(y)s
        y_proba : array-like of shape (n_samples, n_classes)
            Probabilities for X.
        %(X, by, n_bins, modalities, classes, sample_weight)s
        max_patterns : int, default=5
            Number of patterns to draw, those with the most samples.
        %(ax)s

        Returns
        -------
        CalibrationByPatternDisplay
            The display, drawn.
        """
        given = {"modalities": modalities, "sample_weight": sample_weight}
        display = cls._of(
            np.asarray(y_proba), X, y, by, n_bins, classes=classes, **given
        )
        return display.plot(ax, max_patterns=max_patterns)

    @classmethod
    def _of(cls, estimator, X, y, by, n_bins, **given):
        check_count(n_bins, "n_bins")
        confidence, hits, weight, keys, group = judge_predictions(
            estimator, X, y, by, **given
        )
        sums = np.stack(
            [
                bin_confidences(confidence[r], hits[r], weight[r], n_bins)
                for r in (group == g for g in range(len(keys)))
            ]
        )
        mass = np.where(sums[:, 0] > 0, sums[:, 0], np.nan)
        return cls(
            pattern=[name_group(key) for key in keys],
            n_samples=np.bincount(group, minlength=len(keys)),
            confidence=sums[:, 1] / mass,
            accuracy=sums[:, 2] / mass,
        )

    def plot(self, ax=None, *, max_patterns=5):
        """Draw the lines and the diagonal.

        Parameters
        ----------
        %(ax)s
        max_patterns : int, default=5
            Number of patterns to draw, those with the most samples.

        Returns
        -------
        CalibrationByPatternDisplay
            The display itself.
        """
        check_count(max_patterns, "max_patterns")
        ax = self.ax_ = make_axes(ax, (4.5, 4))
        self.figure_ = ax.figure
        order = np.sort(
            np.argsort(np.negative(self.n_samples), kind="stable")[:max_patterns]
        )
        ax.plot([0, 1], [0, 1], color=MIDDLE, linewidth=0.8, linestyle="--")
        self.lines_ = []
        for number, g in enumerate(order):
            filled = ~np.isnan(self.confidence[g])
            (line,) = ax.plot(
                self.confidence[g, filled],
                self.accuracy[g, filled],
                color=COLORS[number % len(COLORS)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=5,
                label=f"{self.pattern[g]} ({self.n_samples[g]})",
            )
            self.lines_.append(line)
        ax.set(xlabel="Confidence", ylabel="Accuracy", xlim=(0, 1), ylim=(0, 1))
        tidy(ax)
        place_legend(ax)
        return self
