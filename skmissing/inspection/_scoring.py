"""Scorers, their names, and predictions that are made once and scored many times."""

import functools

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed

from skmissing._compat import check_sample_weight

_RESPONSES = ("predict", "predict_proba", "predict_log_proba", "decision_function")
# The class of scorers that look at predictions only.
_PredictionScorer = type(get_scorer("accuracy"))


def find_scorer(estimator, scoring):
    """Turn `scoring` into a callable of estimator, X and y.

    Parameters
    ----------
    estimator : estimator
    scoring : None, str or callable

    Returns
    -------
    callable
        For None, accuracy or R² by name if that is what `estimator.score` computes:
        such a scorer needs predictions only.
    """
    if scoring is None:
        last = _last_step(estimator)
        score = getattr(type(last), "score", None)
        if score is ClassifierMixin.score:
            scoring = "accuracy"
        elif score is RegressorMixin.score:
            scoring = "r2"
    elif not (isinstance(scoring, str) or callable(scoring)):
        raise TypeError(
            "scoring must be None, the name of one scorer or a callable; got "
            f"{scoring!r} of type {type(scoring).__name__}."
        )
    return check_scoring(estimator, scoring=scoring)


def name_score(estimator, scoring):
    """Name of a score, for the axis of a plot."""
    if isinstance(scoring, str):
        name = scoring.removeprefix("neg_").replace("_", " ")
        name = name if name == scoring.replace("_", " ") else f"negative {name}"
        return {"r2": "R²"}.get(name, name[0].upper() + name[1:])
    if scoring is not None:
        function = getattr(scoring, "_score_func", scoring)
        name = getattr(function, "__name__", type(function).__name__)
        return name.replace("_", " ").capitalize()
    if is_classifier(estimator):
        return "Accuracy"
    return "R²" if is_regressor(estimator) else "Score"


def _last_step(estimator):
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


class Scoring:
    """An estimator, a scorer, and the truth of some rows.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    scoring : None, str or callable
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
    sample_weight : array-like of shape (n_samples,) or None
    n_rows : int
    """

    def __init__(self, estimator, scoring, y, sample_weight, n_rows):
        self.estimator = estimator
        self.scorer = find_scorer(estimator, scoring)
        self.name = (
            scoring if isinstance(scoring, str) else name_score(estimator, scoring)
        )
        self.y = None if y is None else np.asarray(y)
        self.weight = sample_weight
        if y is not None and len(self.y) != n_rows:
            raise ValueError(f"X has {n_rows} rows, but y has {len(self.y)}.")
        if sample_weight is not None:
            rows = np.empty((n_rows, 1))
            self.weight = check_sample_weight(sample_weight, rows)

    def score(self, X, rows=slice(None)):
        """Score of X, whose rows are `rows` of the table.

        Parameters
        ----------
        X : ndarray or dataframe
        rows : slice or ndarray of intp

        Returns
        -------
        float
        """
        return self._score(self.estimator, X, rows)

    def resampled(self, table, hidden, samples):
        """Scores of the whole table and of samples of its rows.

        Parameters
        ----------
        table : Table
        hidden : ndarray of shape (n_modalities,), dtype bool
            Hidden in every row.
        samples : list of ndarray of intp
            Row numbers.

        Returns
        -------
        ndarray of shape (1 + n_resamples,)
        """
        X = table.hide(hidden)
        if not isinstance(self.scorer, _PredictionScorer):
            parts = (table.take(s).hide(hidden) for s in samples)
            scores = [self.score(part, s) for part, s in zip(parts, samples)]
            return np.array([self.score(X), *scores])
        known = PredictedRows(self.estimator, X)
        every_row = np.arange(table.n_rows)
        return np.array([self._score(known, s, s) for s in (every_row, *samples)])

    def _score(self, estimator, X, rows):
        y = None if self.y is None else self.y[rows]
        weight = {}
        if self.weight is not None:
            weight["sample_weight"] = self.weight[rows]
        try:
            return float(self.scorer(estimator, X, y, **weight))
        except ValueError as error:
            lost = self._find_lost_classes(y)
            if not lost:
                raise
            raise ValueError(
                f"{self.name} fails on {len(y)} rows without the classes "
                f"{', '.join(map(repr, lost))}: {str(error).rstrip('.')}. Score more "
                "rows of them, or choose another scoring. Where rows are resampled "
                "(n_bootstraps), rare classes get lost by chance."
            ) from error

    def _find_lost_classes(self, y):
        """Classes that the estimator knows and none of these rows has."""
        classes = getattr(self.estimator, "classes_", None)
        if y is None or y.ndim != 1 or not isinstance(classes, np.ndarray):
            return []
        return np.setdiff1d(classes, y).tolist()


class PredictedRows:
    """Stands in for an estimator whose predictions are known: X are row numbers.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Each method of the estimator predicts it once, when first asked.
    """

    def __init__(self, estimator, X):
        self._estimator = estimator
        self._X = X
        self._known = {}

    def __getattr__(self, name):
        value = getattr(self._estimator, name)
        if name not in _RESPONSES:
            return value

        @functools.wraps(value)
        def look_up(rows):
            if name not in self._known:
                self._known[name] = value(self._X)
            known = self._known[name]
            if isinstance(known, list):  # one array an output
                return [part[rows] for part in known]
            return known[rows]

        return look_up

    def __sklearn_tags__(self):
        return get_tags(self._estimator)


def run_parallel(function, tasks, n_jobs):
    """Call a function with each of some tuples of arguments.

    Parameters
    ----------
    function : callable
    tasks : iterable of tuple
    n_jobs : int or None

    Returns
    -------
    list
    """
    return Parallel(n_jobs=n_jobs)(delayed(function)(*task) for task in tasks)
