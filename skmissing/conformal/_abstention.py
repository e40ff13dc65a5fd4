"""Abstention by cost or coverage, and risk-coverage curves by pattern."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmissing._base import _fit_context
from skmissing._compat import Interval, StrOptions, validate_params
from skmissing._docs import shared_docs
from skmissing.conformal._base import (
    HeldOutClassifier,
    check_reject,
    group_samples,
    judge_predictions,
    name_group,
    shrunk_weights,
)
from skmissing.conformal._calibration import calibration_error_by_pattern
from skmissing.inspection._displays import (
    COLORS,
    check_count,
    make_axes,
    place_legend,
    tidy,
)
from skmissing.inspection._scoring import InspectionResult


@shared_docs
class AbstainingClassifier(HeldOutClassifier):
    """Classifier that can abstain from samples for which it is not confident enough.

    The confidence is the largest probability of a class. `predict` with
    `reject="abstain"` masks samples whose confidence is below a threshold. It follows
    from the cost of abstaining, or from the share of samples to be answered.

    Read more in the :ref:`User Guide <calibration>`.

    Parameters
    ----------
    %(estimator)s
    cost : float or None, default=None
        Cost of abstaining, if the cost of an error is 1. The classifier abstains if the
        probability of an error exceeds it [1]_. The probabilities should be calibrated,
        for example by :class:`CalibrationByPattern`. None uses `coverage`.
    coverage : float, default=0.8
        Share of the samples to be answered, those with the highest confidence. The
        threshold is a quantile of the held-out confidences. Ignored with a `cost`.
    by : {"n_observed", "pattern"} or None, default=None
        None has one threshold, which gives the fewest errors if the probabilities are
        calibrated. Samples with few modalities are then answered less often. Otherwise,
        the share holds for samples with the same number of observed modalities, or with
        the same modalities. Ignored with a `cost`.
    shrinkage : float, default=20
        Number of samples as which all samples together count in the quantile of a
        group. Ignored if `by=None`.
    %(modalities, cv, n_jobs)s

    Attributes
    ----------
    %(classes_, estimator_)s
    groups_ : list of int or list of tuple of str
        Numbers of observed modalities, or names of the modalities, of the groups with a
        threshold of their own.
    thresholds_ : ndarray of shape (n_groups,)
        Threshold of each group.
    threshold_ : float
        Threshold of all other samples.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    risk_coverage_curve : Error rate of the answered samples against their share.
    CalibrationByPattern : Calibrates probabilities.

    References
    ----------
    .. [1] Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions
       on Information Theory 16(1), 1970.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skmissing.conformal import AbstainingClassifier
    >>> X = np.array([[0.0], [1.0], [4.0], [5.0], [7.0], [8.0]])
    >>> model = AbstainingClassifier(GaussianNB(), cost=0.1)
    >>> model = model.fit(X, [0, 0, 1, 0, 1, 1])
    >>> model.predict([[0.0], [4.0], [8.0]], reject="abstain")
    masked_array(data=[0, --, 1],
                 mask=[False,  True, False],
           fill_value=999999)
    """

    _parameter_constraints: dict = {
        **HeldOutClassifier._parameter_constraints,
        "cost": [Interval(Real, 0, 1, closed="both"), None],
        "coverage": [Interval(Real, 0, 1, closed="right")],
        "by": [StrOptions({"n_observed", "pattern"}), None],
    }

    def __init__(
        self,
        estimator=None,
        *,
        cost=None,
        coverage=0.8,
        by=None,
        shrinkage=20,
        modalities=None,
        cv=5,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.cost = cost
        self.coverage = coverage
        self.by = by
        self.shrinkage = shrinkage
        self.modalities = modalities
        self.cv = cv
        self.n_jobs = n_jobs

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the classifier and the thresholds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. Samples in which nothing is observed are
            left out, with a warning.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Number of times that each sample counts, in the classifier and in the
            thresholds. Weights with a mean below 1 are scaled to a mean of 1.
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
        hold_out, self._by = self.cost is None, self.by
        data, proba = self._fit_held_out(X, y, sample_weight, groups, hold_out)
        self.groups_, self.thresholds_ = [], np.empty(0)
        if not hold_out:
            self.threshold_ = 1.0 - self.cost
            return self
        weight, confidence = data.table.weight, proba.max(axis=1)
        self.threshold_ = find_threshold(confidence, weight, self.coverage)
        if self.by is not None:
            names = self.modalities_.names
            self.groups_, group = group_samples(data.table.presence, names, self.by)
            shrunk = (
                shrunk_weights(weight, group == g, self.shrinkage)
                for g in range(len(self.groups_))
            )
            self.thresholds_ = np.array(
                [find_threshold(confidence, each, self.coverage) for each in shrunk]
            )
        return self

    def predict_proba(self, X):
        """Predict the class probabilities of the classifier.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._predict_inner(X)[1]

    def predict(self, X, reject=None):
        """Predict the class with the highest probability, or abstain.

        Parameters
        ----------
        %(X)s
        reject : {"abstain"} or None, default=None
            "abstain" masks the samples whose confidence is below the threshold. None
            answers all samples.

        Returns
        -------
        ndarray or masked array of shape (n_samples,)
            Class labels. With `reject="abstain"`, a masked array.

        Raises
        ------
        ValueError
            If `reject` is another value.
        """
        check_is_fitted(self)
        check_reject(reject)
        presence, proba = self._predict_inner(X)
        labels = self.classes_[proba.argmax(axis=1)]
        if reject is None:
            return labels
        # Samples without a group have the last one.
        thresholds = np.append(self.thresholds_, self.threshold_)
        threshold = thresholds[self._find_groups(presence)]
        return np.ma.masked_array(labels, proba.max(axis=1) < threshold)


# --------------------------------------------------------------------- numerics


def find_threshold(confidence, weight, coverage):
    """The largest threshold that at least a share of the weight reaches."""
    order = np.argsort(-confidence, kind="stable")
    reached = np.cumsum(weight[order])
    if not len(order) or coverage == 1:
        return 0.0
    place = np.searchsorted(reached, (coverage - 1e-12) * reached[-1])
    return float(confidence[order[place]])


def trace_risk(confidence, hits, weight):
    """Coverage, risk and threshold for each distinct confidence, and the area."""
    order = np.argsort(-confidence, kind="stable")
    threshold, mass = confidence[order], np.cumsum(weight[order])
    errors = np.cumsum(weight[order] * ~hits[order])
    last = np.append(np.flatnonzero(np.diff(threshold)), len(order) - 1)
    last = last[mass[last] > 0]
    coverage, risk = mass[last] / mass[-1], errors[last] / mass[last]
    return coverage, risk, threshold[last], np.diff(coverage, prepend=0) @ risk


# ------------------------------------------------------------------ by pattern


@shared_docs(like=calibration_error_by_pattern)
@validate_params(
    {"by": [StrOptions({"n_observed", "pattern"}), None]},
    prefer_skip_nested_validation=False,
)
def risk_coverage_curve(
    estimator,
    X,
    y,
    *,
    by="pattern",
    modalities=None,
    classes=None,
    sample_weight=None,
):
    """Compute the error rate of the most confident samples, by pattern.

    The samples are answered in the order of their confidence, the largest probability
    of a class. The risk is the error rate of the answered samples, and the coverage is
    their share.

    Parameters
    ----------
    %(estimator, X, y, by, modalities, classes, sample_weight)s

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        One entry per group in each of the following:

        pattern : list of str
            Names of the modalities, joined by " + ", or their number.
        n_samples : ndarray of int
            Number of samples.
        coverage, risk, threshold : list of ndarray
            Share of the samples with at least this confidence, and their error rate.
            Samples with the same confidence are answered together.
        area : ndarray of float
            Area under the curve [1]_: the mean of the risk over all coverages. It is
            small if the model makes few errors, and if these have a low confidence.

    See Also
    --------
    RiskCoverageDisplay : Draws the curves.
    AbstainingClassifier : Abstains from samples with a low confidence.

    References
    ----------
    .. [1] Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep
       neural classifiers", ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import risk_coverage_curve
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> X = np.zeros((4, 1))
    >>> result = risk_coverage_curve(proba, X, [0, 1, 0, 0], by=None)
    >>> result.coverage[0], result.risk[0].round(2), result.area.round(2)
    (array([0.25, 0.5 , 0.75, 1.  ]), array([0.  , 0.  , 0.33, 0.25]), array([0.15]))
    """
    confidence, hits, weight, keys, group = judge_predictions(
        estimator, X, y, by, modalities, classes, sample_weight
    )
    rows = (group == g for g in range(len(keys)))
    curves = [trace_risk(confidence[r], hits[r], weight[r]) for r in rows]
    coverage, risk, threshold, area = zip(*curves)
    return InspectionResult(
        pattern=[name_group(key) for key in keys],
        n_samples=np.bincount(group, minlength=len(keys)),
        coverage=list(coverage),
        risk=list(risk),
        threshold=list(threshold),
        area=np.array(area),
    )


@shared_docs(like=risk_coverage_curve)
class RiskCoverageDisplay:
    """Risk-coverage curves by pattern of observed modalities.

    One line per pattern shows the error rate of the answered samples against their
    share, if those with the highest confidence are answered.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create a display.

    Parameters
    ----------
    pattern : list of str
        Names of the patterns.
    n_samples : ndarray of shape (n_patterns,)
        Number of samples of each pattern.
    coverage, risk : list of ndarray
        Coverages and risks per pattern.
    area : ndarray of shape (n_patterns,)
        Areas under the curves, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    %(figure_)s
    lines_ : list of matplotlib Line2D
        One line per pattern.

    See Also
    --------
    risk_coverage_curve : The numbers behind the display.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import RiskCoverageDisplay
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> display = RiskCoverageDisplay.from_predictions(
    ...     [0, 1, 0, 0], proba, np.zeros((4, 1))
    ... )  # doctest: +SKIP
    """

    def __init__(self, *, pattern, n_samples, coverage, risk, area):
        self.pattern = pattern
        self.n_samples = n_samples
        self.coverage = coverage
        self.risk = risk
        self.area = area

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        by="pattern",
        modalities=None,
        sample_weight=None,
        max_patterns=5,
        ax=None,
    ):
        """Predict probabilities, and draw their curves.

        Parameters
        ----------
        estimator : classifier
            Fitted classifier with `predict_proba`.
        %(X, y, by, modalities, sample_weight)s
        max_patterns : int, default=5
            Number of patterns to draw, those with the most samples.
        %(ax)s

        Returns
        -------
        RiskCoverageDisplay
            The display, drawn.
        """
        given = {"modalities": modalities, "sample_weight": sample_weight}
        result = risk_coverage_curve(estimator, X, y, by=by, **given)
        display = cls(**{k: v for k, v in result.items() if k != "threshold"})
        return display.plot(ax, max_patterns=max_patterns)

    @classmethod
    def from_predictions(
        cls, y, y_proba, X, *, classes=None, max_patterns=5, ax=None, **params
    ):
        """Draw the curves of probabilities.

        Parameters
        ----------
        %(y)s
        y_proba : array-like of shape (n_samples, n_classes)
            Probabilities for X.
        %(X, classes)s
        max_patterns : int, default=5
            Number of patterns to draw, those with the most samples.
        %(ax)s
        **params : dict
            Other parameters of :func:`risk_coverage_curve`: `by`, `modalities`,
            `sample_weight`.

        Returns
        -------
        RiskCoverageDisplay
            The display, drawn.
        """
        y_proba = np.asarray(y_proba)
        result = risk_coverage_curve(y_proba, X, y, classes=classes, **params)
        display = cls(**{k: v for k, v in result.items() if k != "threshold"})
        return display.plot(ax, max_patterns=max_patterns)

    def plot(self, ax=None, *, max_patterns=5):
        """Draw the curves.

        Parameters
        ----------
        %(ax)s
        max_patterns : int, default=5
            Number of patterns to draw, those with the most samples.

        Returns
        -------
        RiskCoverageDisplay
            The display itself.
        """
        check_count(max_patterns, "max_patterns")
        ax = self.ax_ = make_axes(ax, (5, 3.6))
        self.figure_ = ax.figure
        order = np.sort(
            np.argsort(np.negative(self.n_samples), kind="stable")[:max_patterns]
        )
        self.lines_ = []
        for number, g in enumerate(order):
            label = f"{self.pattern[g]} ({self.n_samples[g]}, area {self.area[g]:.2f})"
            color = COLORS[number % len(COLORS)]
            (line,) = ax.plot(self.coverage[g], self.risk[g], color=color, label=label)
            self.lines_.append(line)
        ax.set(xlabel="Coverage", ylabel="Risk", xlim=(0, 1))
        ax.set_ylim(bottom=0)
        tidy(ax)
        place_legend(ax)
        return self
