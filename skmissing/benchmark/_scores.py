"""Scores of the benchmark: of all test samples, by pattern and by group."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import (
    adjusted_rand_score,
    average_precision_score,
    get_scorer,
    mean_absolute_error,
    mean_squared_error,
    normalized_mutual_info_score,
    r2_score,
    roc_auc_score,
)
from sklearn.metrics.cluster import contingency_matrix

from skmissing._table import read_table
from skmissing.conformal._calibration import calibration_error
from skmissing.metrics import multilabel_f1, sentiment_scores

# The score in tables, by task.
MAIN_SCORES = {
    "classification": "accuracy",
    "regression": "mae",
    "multilabel": "f1_micro",
    "clustering": "ari",
}
# For these scores, less is better. For all others, more is better.
LOSSES = {"mae", "mse", "rmse", "log_loss", "brier", "calibration_error"}
OF_PROBABILITIES = (
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_error",
)
# Names of the scores by task, without those of sentiments.
SCORES = {
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", *OF_PROBABILITIES),
    "regression": ("mae", "mse", "rmse", "r2", "pearson"),
    "multilabel": ("f1_micro", "f1_macro"),
    "clustering": ("ari", "nmi", "accuracy"),
}
# For the true class, a smaller probability counts as this one in the log-loss.
LEAST_PROBABILITY = 1e-4


def name_score(metric):
    """The name of a score for titles and axes."""
    if not isinstance(metric, str):
        return "no score"
    return metric.replace("_", " ") + (", less is better" if metric in LOSSES else "")


@dataclass(frozen=True)
class Predictions:
    """Predictions for some samples, with probabilities where a method has them."""

    predicted: np.ndarray
    proba: np.ndarray | None = None
    classes: np.ndarray | None = None

    @classmethod
    def of(cls, model, X, task, predicted=None):
        """Predictions of a fitted method, unless some are given, and probabilities."""
        predicted = predict_test(model, X) if predicted is None else predicted
        if task != "classification" or not hasattr(model, "predict_proba"):
            return cls(predicted)
        return cls(predicted, np.asarray(model.predict_proba(X)), model.classes_)

    def check(self, y, data):
        """Raise an error if these are not predictions for targets of the data."""
        predicted, proba = self.predicted, self.proba
        if predicted.shape != y.shape:
            raise ValueError(
                f"y_pred must have the shape {y.shape}; got {predicted.shape}."
            )
        if data.task == "classification":
            known = np.unique(data.y).tolist()
            unknown = [each for each in predicted.tolist() if each not in known]
            if unknown:
                raise ValueError(
                    f"y_pred must hold the classes of y, such as {known[0]!r}; got "
                    f"{unknown[0]!r}."
                )
        elif data.task != "clustering":
            if predicted.dtype.kind not in "biuf":
                raise ValueError(
                    f"y_pred must hold numbers; got the dtype {predicted.dtype}."
                )
            if not np.isfinite(predicted).all():
                raise ValueError("y_pred must hold finite numbers; got NaN or inf.")
        if proba is None:
            return
        if data.task != "classification":
            raise ValueError(
                f"y_proba must be None for the task {data.task!r}; got an array."
            )
        classes = np.asarray(self.classes)
        if proba.shape != (len(y), *classes.shape):
            raise ValueError(
                f"y_proba must have one column per class ({len(classes)}); got the "
                f"shape {proba.shape}."
            )
        if len(np.unique(classes)) < len(classes) or not np.isin(classes, known).all():
            raise ValueError(
                f"classes must be different classes of y; got {classes.tolist()}."
            )
        fits = proba.dtype.kind in "iuf" and (proba >= 0).all()
        if not fits or not np.allclose(proba.sum(axis=1), 1, atol=1e-3):
            raise ValueError(
                "y_proba must hold probabilities, which add up to 1 in each sample; "
                "got other values."
            )

    def take(self, rows):
        """The predictions for some of the samples."""
        proba = None if self.proba is None else self.proba[rows]
        return Predictions(self.predicted[rows], proba, self.classes)


def predict_test(model, X):
    """Predictions of a fitted method, or of a clusterer that has no predict."""
    predict = model.predict if hasattr(model, "predict") else model.fit_predict
    return np.asarray(predict(X))


def score_predictions(data, y, predictions, areas=True):
    """All scores of a task, by name; None if a score is undefined.

    Without `areas`, the areas under curves, which take most of the time, are left out.
    """
    predicted = predictions.predicted
    if data.task == "multilabel":
        scores = {
            "f1_micro": multilabel_f1(y, predicted),
            "f1_macro": multilabel_f1(y, predicted, average="macro"),
        }
    elif data.task == "clustering":
        scores = {
            "ari": adjusted_rand_score(y, predicted),
            "nmi": normalized_mutual_info_score(y, predicted),
            "accuracy": _matched_accuracy(y, predicted),
        }
    elif data.task == "classification":
        scores = _score_classes(y, predicted)
        if predictions.proba is not None:
            scores |= _score_probabilities(y, predictions, areas)
    else:
        scores = {
            "mae": mean_absolute_error(y, predicted),
            "mse": mean_squared_error(y, predicted),
            "rmse": mean_squared_error(y, predicted) ** 0.5,
            "r2": r2_score(y, predicted) if len(y) > 1 else np.nan,
            "pearson": _pearson(y, predicted),
        }
        if data.sentiment:
            scores |= sentiment_scores(y, predicted)
    return {k: float(v) if np.isfinite(v) else None for k, v in scores.items()}


def _score_classes(y, predicted):
    """Scores of classes, from one table. scikit-learn validates anew for each score."""
    every, codes = np.unique(np.concatenate([y, predicted]), return_inverse=True)
    shape = len(every), len(every)
    cells = np.ravel_multi_index((codes[: len(y)], codes[len(y) :]), shape)
    table = np.bincount(cells, minlength=len(every) ** 2).reshape(shape)
    hits, n_true, n_predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return {
        "accuracy": hits.sum() / len(y),
        "balanced_accuracy": np.mean(hits[n_true > 0] / n_true[n_true > 0]),
        "f1_macro": np.mean(2 * hits / (n_true + n_predicted)),
    }


def _matched_accuracy(y, labels):
    """Accuracy if each cluster is matched to one class, in the best way."""
    table = contingency_matrix(y, labels)
    return table[linear_sum_assignment(table, maximize=True)].sum() / len(y)


def _pearson(y, predicted):
    if np.ptp(y) == 0 or np.ptp(predicted) == 0:
        return np.nan
    return np.corrcoef(y, predicted)[0, 1]


def _score_probabilities(y, predictions, areas):
    """Scores of probabilities. Classes that were not in training have probability 0."""
    every = np.union1d(predictions.classes, y)
    full = np.zeros((len(y), len(every)))
    full[:, np.searchsorted(every, predictions.classes)] = predictions.proba
    codes = np.searchsorted(every, y)
    confidence = full.max(axis=1)
    hits = full.argmax(axis=1) == codes
    true = np.clip(full[np.arange(len(y)), codes], LEAST_PROBABILITY, 1)
    onehot = codes[:, None] == np.arange(len(every))
    squares = ((full - onehot) ** 2).sum(axis=1).mean()
    scores = {}
    if areas:
        scores = {
            name: _mean_over_classes(score, onehot, full)
            for name, score in (
                ("roc_auc", roc_auc_score),
                ("average_precision", average_precision_score),
            )
        }
    return scores | {
        "log_loss": -np.log(true).mean(),
        # Halved for two classes, so that it lies between 0 and 1 as in scikit-learn.
        "brier": squares / 2 if len(every) <= 2 else squares,
        "calibration_error": calibration_error(confidence, hits),
    }


def _mean_over_classes(score, onehot, proba):
    """Mean of a score of each class against the rest; of two classes, the second."""
    classes = range(1, 2) if onehot.shape[1] == 2 else range(onehot.shape[1])
    found = [
        score(onehot[:, k], proba[:, k])
        for k in classes
        if 0 < onehot[:, k].sum() < len(onehot)
    ]
    return np.mean(found) if found else np.nan


def score_groups(data, y, predictions, groups):
    """Number of samples and scores of each group, by name."""
    scores = {}
    with warnings.catch_warnings():
        # Scores that are undefined in a small group are None.
        warnings.simplefilter("ignore")
        for name in dict.fromkeys(groups):
            rows = np.flatnonzero(groups == name)
            part = score_predictions(data, y[rows], predictions.take(rows), areas=False)
            scores[str(name)] = {"n": len(rows), **part}
    return scores


def name_patterns(X, modalities):
    """The observed modalities of each sample, joined by " + "."""
    presence = read_table(X, modalities).presence
    names = np.array(list(modalities))
    patterns, codes = np.unique(presence, axis=0, return_inverse=True)
    texts = [" + ".join(names[row]) or "none" for row in patterns]
    return np.array(texts, dtype=object)[codes.ravel()]


def check_results(results):
    """Raise an error if these are not results of the benchmark."""
    if not hasattr(results, "columns"):
        raise TypeError(
            "results must be a data frame of run_benchmark or read_results; got "
            f"{type(results).__name__}."
        )
    if not len(results):
        raise ValueError("results must hold at least one row; got none.")
    for name in ("data", "missing", "regime", "method", "seed"):
        if name not in results:
            raise ValueError(
                f"results must have the columns of run_benchmark; got no {name!r}."
            )


def check_share(name, value):
    """Raise an error if a value is not between 0 and 1."""
    if not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1; got {value!r}.")


def read_scoring(scoring):
    """Scorers of scikit-learn by name, as for `cross_validate`."""
    if scoring is None:
        return {}
    if isinstance(scoring, str):
        scoring = [scoring]
    if not isinstance(scoring, Iterable):
        raise ValueError(
            "scoring must be None, a name, a list of names or a dict of scorers; got "
            f"{scoring!r}. Pass it with a name, as in scoring={{'mine': scorer}}."
        )
    if not isinstance(scoring, Mapping):
        scoring = dict(zip(scoring, scoring))
    scorers, known = {}, {name for names in SCORES.values() for name in names}
    for name, scorer in scoring.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"scoring must have names for scorers; got {name!r}.")
        if name in known and name == scorer:
            continue
        if name in known:
            raise ValueError(
                f"scoring must not use {name!r} for another score, because the "
                "benchmark has a score of this name."
            )
        if not isinstance(scorer, str) and not callable(scorer):
            raise ValueError(
                f"scoring[{name!r}] must be the name of a scorer or a callable; got "
                f"{scorer!r}."
            )
        try:
            scorers[name] = get_scorer(scorer)
        except ValueError as exc:
            raise ValueError(f"scoring[{name!r}]: {exc}") from exc
    return scorers
