"""Scores of papers on missing modalities, with unambiguous names."""

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import f1_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skmissing._compat import StrOptions, validate_params
from skmissing._table import warn


def slot_accuracy(y_true, y_pred):
    """Share of correct label slots: the accuracy of the flattened indicator matrix.

    Some papers report this number as "F1-micro", because micro-averaged F1 over
    *flattened* labels is the accuracy of the slots. It is high if labels are rare.
    MM-IMDb has about 2.5 of 27 genres per film. A model that never predicts a genre has
    a slot accuracy of .91, and 0 in :func:`multilabel_f1`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_labels)
        True labels, 1 for each label that a sample has.
    y_pred : array-like of shape (n_samples, n_labels)
        Predicted labels, in the same format.

    Returns
    -------
    float
        Between 0 and 1.

    See Also
    --------
    multilabel_f1 : The F1 score in its usual meaning.

    Examples
    --------
    Two of twenty slots have a label, and no label is predicted:

    >>> import numpy as np
    >>> from skmissing.metrics import multilabel_f1, slot_accuracy
    >>> y_true = np.zeros((2, 10), dtype=int)
    >>> y_true[:, 3] = 1
    >>> y_pred = np.zeros_like(y_true)
    >>> slot_accuracy(y_true, y_pred)
    0.9
    >>> multilabel_f1(y_true, y_pred)
    0.0
    """
    y_true, y_pred = _check_indicators(y_true, y_pred)
    return float(np.mean(y_true == y_pred))


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "average": [StrOptions({"micro", "macro", "samples", "weighted"}), None],
    },
    prefer_skip_nested_validation=True,
)
def multilabel_f1(y_true, y_pred, *, average="micro"):
    """F1 of multilabel predictions, for indicator matrices only.

    Flattened labels raise an error, because their micro-averaged F1 is
    :func:`slot_accuracy`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_labels)
        True labels, 1 for each label that a sample has.
    y_pred : array-like of shape (n_samples, n_labels)
        Predicted labels, in the same format. Probabilities are not accepted.
    average : {"micro", "macro", "samples", "weighted"} or None, default="micro"
        Average over all slots, over labels, over samples, or over labels weighted by
        their frequency. None returns one value per label.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        The F1 score. It is 0 if there are neither true nor predicted labels.

    See Also
    --------
    sklearn.metrics.f1_score : Accepts any kind of labels.

    Examples
    --------
    >>> from skmissing.metrics import multilabel_f1
    >>> y_true = [[1, 0, 1], [0, 1, 0]]
    >>> y_pred = [[1, 0, 0], [0, 1, 1]]
    >>> round(multilabel_f1(y_true, y_pred), 3)
    0.667
    >>> multilabel_f1(y_true, y_pred, average=None)
    array([1., 1., 0.])
    """
    y_true, y_pred = _check_indicators(y_true, y_pred)
    score = f1_score(y_true, y_pred, average=average, zero_division=0.0)
    return score if average is None else float(score)


def sentiment_scores(y_true, y_pred):
    """Score sentiment predictions on the scale from -3 to 3, with one name per score.

    Papers define accuracy and F1 on CMU-MOSI and CMU-MOSEI differently. Neutral samples
    count as positive or are left out. F1 is that of the positive class, the weighted
    mean of both classes, or a micro average, which equals the accuracy. This function
    returns all of these scores.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True sentiment, from -3 to 3.
    y_pred : array-like of shape (n_samples,)
        Predicted sentiment, possibly outside of this range.

    Returns
    -------
    dict of str to float
        `accuracy_zeros_positive`, `f1_zeros_positive`, `f1_weighted_zeros_positive`
            Two classes, split at 0. Zeros are positive.
        `accuracy_without_zeros`, `f1_without_zeros`, `f1_weighted_without_zeros`
            Samples with true sentiment 0 are left out. A prediction is positive if it
            is above 0.
        `accuracy_seven_classes`
            True and predicted values are clipped to [-3, 3] and rounded to integers,
            halves to even.
        `mae`
            Mean absolute error.
        `pearson`
            Correlation of true and predicted values.

    Warns
    -----
    UndefinedMetricWarning
        If a score is undefined and therefore NaN. The correlation is undefined if true
        or predicted values are constant. The scores without zeros are undefined if
        every sample is neutral.

    Notes
    -----
    `f1_without_zeros` and `f1_zeros_positive` are F1 of the positive class. The
    weighted scores are means over both classes, weighted by their true frequencies.
    Most papers on these data sets report the weighted scores.

    Examples
    --------
    >>> from skmissing.metrics import sentiment_scores
    >>> scores = sentiment_scores([-2.0, 0.0, 1.0, 3.0], [-1.0, -0.2, 1.4, 2.8])
    >>> scores["accuracy_zeros_positive"], scores["accuracy_without_zeros"]
    (0.75, 1.0)
    >>> round(scores["mae"], 2)
    0.45
    """
    y_true, y_pred = _check_sentiment(y_true, y_pred)
    polar = y_true != 0
    return {
        **_binary_scores(y_true >= 0, y_pred >= 0, "zeros_positive"),
        **_binary_scores(y_true[polar] > 0, y_pred[polar] > 0, "without_zeros"),
        "accuracy_seven_classes": float(np.mean(_classes(y_true) == _classes(y_pred))),
        "mae": float(np.mean(np.abs(y_true - y_pred))),
        "pearson": _pearson(y_true, y_pred),
    }


def _binary_scores(y_true, y_pred, suffix):
    names = [f"{name}_{suffix}" for name in ("accuracy", "f1", "f1_weighted")]
    if not len(y_true):
        _warn_undefined(" and ".join(names), "every sample has sentiment 0")
        return dict.fromkeys(names, np.nan)
    values = (
        np.mean(y_true == y_pred),
        f1_score(y_true, y_pred, average="binary", zero_division=0.0),
        f1_score(y_true, y_pred, average="weighted", zero_division=0.0),
    )
    return {name: float(value) for name, value in zip(names, values)}


def _classes(y):
    return np.rint(np.clip(y, -3, 3))


def _pearson(x, y):
    x, y = x - x.mean(), y - y.mean()
    # A constant vector minus its mean is a rounding error, not zero.
    lengths = [np.linalg.norm(v) if np.ptp(v) > 0 else 0.0 for v in (x, y)]
    for length, name in zip(lengths, ("y_true", "y_pred")):
        if length == 0:
            _warn_undefined("pearson", f"{name} is constant")
            return np.nan
    return float(np.clip((x / lengths[0]) @ (y / lengths[1]), -1, 1))


def _warn_undefined(name, reason):
    warn(f"{name} is undefined, and NaN: {reason}.", UndefinedMetricWarning)


def _check_sentiment(y_true, y_pred):
    y_true, y_pred = (
        column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, input_name=name))
        for y, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    )
    check_consistent_length(y_true, y_pred)
    outside = y_true[np.abs(y_true) > 3]
    if len(outside):
        raise ValueError(
            f"y_true must be between -3 and 3; got {outside[0]:g}, and {len(outside)} "
            "such value(s) in total."
        )
    return y_true, y_pred


def _check_indicators(y_true, y_pred):
    """Validate two indicator matrices of one shape."""
    tables = []
    for y, name in ((y_true, "y_true"), (y_pred, "y_pred")):
        y = check_array(y, ensure_2d=False, dtype=None, input_name=name)
        if y.ndim != 2 or y.shape[1] < 2:
            raise ValueError(
                f"{name} must be a 2-D indicator matrix with one column per label and "
                f"at least two labels; got shape {y.shape}. With flattened labels, F1 "
                "would be the slot accuracy."
            )
        strange = np.setdiff1d(y, [0, 1])
        if len(strange):
            raise ValueError(
                f"{name} must be 0 or 1; got {strange[0]!r}. Convert "
                "probabilities to labels first."
            )
        tables.append(y.astype(np.int8))
    if tables[0].shape != tables[1].shape:
        raise ValueError(
            "y_true and y_pred must have the same shape; got "
            f"{tables[0].shape} and {tables[1].shape}."
        )
    return tables
