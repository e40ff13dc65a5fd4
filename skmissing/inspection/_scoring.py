"""Tables with modalities that can be hidden, scorers, and cached predictions."""

import functools

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed

from skmissing._compat import import_optional
from skmissing._modalities import resolve_modalities
from skmissing._table import (
    ModalityTable,
    check_sample_weight,
    check_unmasked,
    fill_masked,
    read_array,
)

_RESPONSES = ("predict", "predict_proba", "predict_log_proba", "decision_function")
# Class of the scorers that need predictions only.
_PredictionScorer = type(get_scorer("accuracy"))


# ------------------------------------------------------------------ tables


class FrameTable(ModalityTable):
    """Table of a dataframe, whose values are not read; `partial` is not known."""

    def __getitem__(self, rows):
        X = self.X.iloc[rows] if is_pandas(self.X) else self.X[rows]
        return FrameTable(X, self.layout, presence=self.presence[rows])

    def hide(self, hidden):
        """Table without some modalities of some samples."""
        cells = hidden[:, self.layout.column_owner]
        if is_pandas(self.X):
            X = self.X.mask(cells)
        else:
            polars = import_optional("polars", "test")
            X = self.X.with_columns(
                polars.when(polars.Series(~gone)).then(polars.col(name)).alias(name)
                for name, gone in zip(self.X.columns, cells.T)
                if gone.any()
            )
        return FrameTable(X, self.layout, presence=self.presence & ~hidden)


def as_table(X, modalities, estimator=None):
    """Table of an array or a dataframe; modalities=None asks the estimator first."""
    X = fill_masked(X)
    is_frame = is_pandas(X) or hasattr(X, "get_columns")
    if is_frame and not all(X.shape):
        raise ValueError(
            "X must have at least one sample and one column; got the shape "
            f"{tuple(X.shape)}."
        )
    X, names = (X, np.asarray(X.columns, object)) if is_frame else read_array(X, "X")
    if modalities is None and estimator is not None:
        modalities = _find_layout(estimator)
        if modalities is not None and modalities.n_features != X.shape[1]:
            raise ValueError(
                f"The modalities of the fitted {type(estimator).__name__} hold "
                f"{modalities.n_features} columns, but X has {X.shape[1]}: a step "
                "before changes the columns. Pass modalities= for the columns of X."
            )
    layout = resolve_modalities(modalities, X.shape[1], names)
    if not is_frame:
        return ModalityTable(X, layout)
    if is_pandas(X):
        missing = X.isna().to_numpy()
    else:
        missing = np.column_stack([_missing_polars(c) for c in X.get_columns()])
    presence = np.column_stack(
        [~missing[:, m.columns].all(axis=1) for m in layout.values()]
    )
    return FrameTable(X, layout, presence=presence)


def is_pandas(X):
    """Whether X is a pandas dataframe."""
    return hasattr(X, "iloc") and hasattr(X, "mask") and hasattr(X, "columns")


def _find_layout(estimator):
    """`modalities_` of an estimator, a search's best one, or a pipeline's first."""
    layout = getattr(estimator, "modalities_", None)
    if layout is not None:
        return layout
    if hasattr(estimator, "best_estimator_"):
        return _find_layout(estimator.best_estimator_)
    found = (_find_layout(step) for _, step in getattr(estimator, "steps", ()))
    return next((layout for layout in found if layout is not None), None)


def _missing_polars(column):
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(True)
    return missing.to_numpy()


def hide_modalities(table, hidden):
    """X with some modalities missing; `hidden` is (n_samples or 1, n_modalities)."""
    hidden = np.broadcast_to(hidden, table.presence.shape)
    return table.hide(hidden).X if hidden.any() else table.X


# ------------------------------------------------------------------ scores


def find_scorer(estimator, scoring):
    """Turn `scoring` into a callable of estimator, X and y."""
    if scoring is None:
        last = estimator
        while isinstance(last, Pipeline):
            last = last.steps[-1][1]
        score = getattr(type(last), "score", None)
        # By name, because such a scorer needs predictions only.
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


class Scoring:
    """A fitted estimator, a scorer, and the targets and weights of some samples."""

    def __init__(self, estimator, scoring, y, sample_weight, n_samples):
        self.estimator = estimator
        self.scorer = find_scorer(estimator, scoring)
        self.name = (
            scoring if isinstance(scoring, str) else name_score(estimator, scoring)
        )
        check_unmasked(y, "y")
        self.y = None if y is None else np.asarray(y)
        self.weight = sample_weight
        if y is not None and len(self.y) != n_samples:
            raise ValueError(
                f"y must have as many samples as X ({n_samples}); got {len(self.y)}."
            )
        if sample_weight is not None:
            self.weight = check_sample_weight(sample_weight, np.empty((n_samples, 1)))

    def score(self, X, rows=slice(None)):
        """Score of X, which holds the samples `rows` of the table."""
        return self._score(self.estimator, X, rows)

    def resampled(self, table, hidden, resamples):
        """Scores of the whole table and of resamples: (1 + n_resamples,)."""
        X = hide_modalities(table, hidden)
        if not isinstance(self.scorer, _PredictionScorer):
            scores = [
                self.score(hide_modalities(table[s], hidden), s) for s in resamples
            ]
            return np.array([self.score(X), *scores])
        known = PredictedRows(self.estimator, X)
        every = np.arange(len(table))
        return np.array([self._score(known, s, s) for s in (every, *resamples)])

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
                f"{self.name} fails on {len(y)} samples without the classes "
                f"{', '.join(map(repr, lost))}: {str(error).rstrip('.')}. Score more "
                "samples of them, or choose another scoring. Resampling (n_bootstraps) "
                "loses rare classes by chance."
            ) from error

    def _find_lost_classes(self, y):
        """Classes that the estimator knows and none of these samples has."""
        classes = getattr(self.estimator, "classes_", None)
        if y is None or y.ndim != 1 or not isinstance(classes, np.ndarray):
            return []
        return np.setdiff1d(classes, y).tolist()


class PredictedRows:
    """Estimator with cached predictions, whose X holds row numbers."""

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
            if isinstance(known, list):  # one array per output
                return [part[rows] for part in known]
            return known[rows]

        return look_up

    def __sklearn_tags__(self):
        return get_tags(self._estimator)


def run_parallel(function, tasks, n_jobs):
    """List of the results of a function, one per tuple of arguments."""
    return Parallel(n_jobs=n_jobs)(delayed(function)(*task) for task in tasks)
