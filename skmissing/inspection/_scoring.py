"""Tables with modalities that can be hidden, scorers, and cached predictions."""

import functools

import narwhals.stable.v2 as nw
import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    is_classifier,
    is_regressor,
)
from sklearn.metrics import check_scoring, get_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmissing._modalities import Modality, ModalityLayout, resolve_modalities
from skmissing._table import (
    ModalityTable,
    check_sample_weight,
    check_target,
    check_unmasked,
    fill_masked,
    has_levels,
    read_array,
    take_samples,
    warn,
)
from skmissing.compose._tables import is_pandas, observed_rows

_RESPONSES = ("predict", "predict_proba", "predict_log_proba", "decision_function")
# Class of the scorers that need predictions only.
_PredictionScorer = type(get_scorer("accuracy"))


# ------------------------------------------------------------------ tables


class FrameTable(ModalityTable):
    """Table of a data frame whose values are not read. `partial` is unknown."""

    def __getitem__(self, rows):
        return FrameTable(
            take_samples(self.X, rows), self.layout, presence=self.presence[rows]
        )

    def hide(self, hidden):
        """Table without some modalities of some samples."""
        cells = hidden[:, self.layout.column_owner]
        if is_pandas(self.X):
            X = self.X.mask(cells)
        else:
            polars = nw.get_native_namespace(self.X)
            X = self.X.with_columns(
                polars.when(polars.Series(~gone)).then(polars.col(name)).alias(name)
                for name, gone in zip(self.X.columns, cells.T)
                if gone.any()
            )
        return FrameTable(X, self.layout, presence=self.presence & ~hidden)


def as_table(X, modalities, estimator=None):
    """Table of an array or data frame; None uses `modalities_` of the estimator."""
    for model in (
        estimator.estimators_ if isinstance(estimator, FoldModels) else [estimator]
    ):
        if isinstance(model, BaseEstimator):
            check_is_fitted(model)
    given, X = X, fill_masked(X)
    is_frame = is_pandas(X) or hasattr(X, "get_columns")
    if is_frame and not all(X.shape):
        raise ValueError(
            "X must have at least one sample and one column; got the shape "
            f"{tuple(X.shape)}."
        )
    X, names = (X, np.asarray(X.columns, object)) if is_frame else read_array(X, "X")
    if modalities is None and estimator is not None:
        modalities = find_layout(estimator, X.shape[1], names)
    says = None if has_levels(given) else warn
    layout = resolve_modalities(modalities, X.shape[1], names, says)
    if not is_frame:
        return ModalityTable(X, layout)
    frame = nw.from_native(X)
    presence = np.column_stack(
        [observed_rows(frame[:, m.columns.tolist()]) for m in layout.values()]
    )
    if has_levels(given):  # the estimator knows the names with several levels
        X = X.set_axis(given.columns, axis="columns")
    return FrameTable(X, layout, presence=presence)


def find_layout(estimator, n_features, names):
    """Layout of X from the models inside an estimator; None if there is no layout.

    Raises an error if the columns of X used by the models are unknown.
    """
    own = None if names is None else resolve_modalities(None, n_features, names, None)
    layouts = {}
    for model, places in _inner_models(estimator, np.arange(n_features)):
        layout = model.modalities_
        known = getattr(model, "feature_names_in_", None)
        if own and known is None and getattr(model, "modalities", None) is None:
            if layout.one_column_each and len(own) < len(layout):
                return own  # a wrapper has passed an array without names
        by_name = None if names is None or known is None else _places(known, names)
        for order in (by_name, places):
            if order is not None and np.array_equal(
                np.sort(order), np.arange(layout.n_features)
            ):
                layout = ModalityLayout(
                    Modality(m.name, order[m.columns], m.n_tokens)
                    for m in layout.values()
                )
                break
        else:
            layout = own
        if layout is None or {*layout} != {*model.modalities_}:
            raise ValueError(
                f"The modalities of the fitted {type(model).__name__} have "
                f"{model.modalities_.n_features} columns, but X has {n_features}: an "
                "earlier step changes the columns and does not keep all their names. "
                "Pass modalities= for the columns of X."
            )
        layouts.setdefault(frozenset(map(frozenset, _columns(layout))), layout)
    if len(layouts) > 1:
        shown = " and ".join(map(repr, layouts.values()))
        raise ValueError(
            "The models inside the estimator have different modalities: "
            f"{shown}. Pass modalities= for the columns of X."
        )
    return next(iter(layouts.values()), None)


def _columns(layout):
    return [modality.columns.tolist() for modality in layout.values()]


# Attributes in which meta-estimators keep fitted estimators, with unchanged columns.
_FITTED = (
    "best_estimator_",
    "estimator_",
    "regressor_",
    "calibrated_classifiers_",
    "estimators_",
    "estimator",
)


def _inner_models(estimator, places):
    """Pairs of a model with `modalities_` and the positions in X of its columns.

    The positions are None if they are unknown. In a pipeline, the first model is used.
    """
    if hasattr(estimator, "modalities_"):
        return [(estimator, places)]
    if hasattr(estimator, "steps"):
        for _, step in estimator.steps:
            found = _inner_models(step, places)
            if found:
                return found
            if step not in (None, "passthrough"):
                places = _places_after(step, places)
        return []
    for name in _FITTED:
        inner = getattr(estimator, name, None)
        if isinstance(inner, np.ndarray):
            inner = inner.ravel().tolist()
        inner = inner if isinstance(inner, (list, tuple)) else [inner]
        subsets = getattr(estimator, "estimators_features_", [slice(None)] * len(inner))
        found = [
            pair
            for model, subset in zip(inner, subsets)
            if hasattr(model, "get_params") or hasattr(model, "estimator")
            for pair in _inner_models(model, None if places is None else places[subset])
        ]
        if found:
            return found
    return []


def _places_after(step, places):
    """Positions in X of the columns that a fitted transformer returns, or None."""
    try:
        names = getattr(step, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(step.n_features_in_)]
        found = _places(step.get_feature_names_out(), names)
        return places[found]
    except (AttributeError, ValueError, IndexError, TypeError):
        return None  # there are no names of the output


def _places(names, among):
    """Positions of names among others that may have prefixes of steps, or None."""
    known = {str(name): place for place, name in enumerate(among)}
    places = []
    for name in map(str, names):
        while name not in known and "__" in name:
            name = name.partition("__")[2]
        places.append(known.get(name))
    return None if None in places or len(known) < len(among) else np.array(places)


def hide_modalities(table, hidden):
    """Hide modalities of X by a mask of shape (n_samples or 1, n_modalities)."""
    hidden = np.broadcast_to(hidden, table.presence.shape)
    return table.hide(hidden).X if hidden.any() else table.X


# ------------------------------------------------------------------ results


class InspectionResult(Bunch):
    """Bunch that is printed without its large arrays."""

    def __repr__(self):
        shown = {
            name: f"array of shape {value.shape}"
            if isinstance(value, np.ndarray) and value.size > 20
            else str(value).replace("\n", "")
            for name, value in self.items()
        }
        return "\n".join(f"{name}: {text}" for name, text in shown.items())


# ------------------------------------------------------------------ models of folds


class FoldModels:
    """Models of a cross-validation. Each model predicts its own test samples.

    `fold` (n_samples,) is the number of the model for each sample of a table.
    """

    def __init__(self, models, fold):
        self.estimators_ = models
        self.fold = fold

    def of(self, rows):
        """The models for some samples of the table."""
        return FoldModels(self.estimators_, self.fold[rows])

    def __getattr__(self, name):
        if name not in (*_RESPONSES, "classes_"):
            raise AttributeError(name)
        first = getattr(self.estimators_[0], name)
        if name == "classes_":
            parts = [np.ravel(model.classes_) for model in self.estimators_]
            return np.unique(np.concatenate(parts))
        for model in self.estimators_ if name != "predict" else ():
            if not np.array_equal(model.classes_, self.classes_):
                raise ValueError(
                    f"scoring must not need {name}, because the models must have the "
                    f"same classes for it; got {model.classes_.tolist()} instead of "
                    f"{self.classes_.tolist()}."
                )

        @functools.wraps(first)
        def predict_folds(X):
            values = None
            for number in np.unique(self.fold):
                rows = np.flatnonzero(self.fold == number)
                part = getattr(self.estimators_[number], name)(take_samples(X, rows))
                if values is None:
                    values = np.empty((len(self.fold), *part.shape[1:]), part.dtype)
                elif part.dtype != values.dtype:
                    values = values.astype(np.result_type(values, part))
                values[rows] = part
            return values

        return predict_folds

    def __sklearn_tags__(self):
        return get_tags(self.estimators_[0])


def read_folds(estimator, X, y, sample_weight, test_indices):
    """Return the arguments with one row per test sample, if estimator is a list."""
    if not isinstance(estimator, (list, tuple, np.ndarray)):
        if test_indices is not None:
            raise TypeError(
                "test_indices must be None for a single model; got test_indices with "
                f"{type(estimator).__name__}, which is not a list of models."
            )
        return estimator, X, y, sample_weight
    n_samples = len(X)
    if test_indices is None or not len(estimator) == len(test_indices) > 0:
        found = "None" if test_indices is None else str(len(test_indices))
        raise ValueError(
            "test_indices must have the test samples of each of the "
            f"{len(estimator)} models; got {found}. Call cross_validate with "
            "return_estimator=True and return_indices=True, and pass "
            "results['indices']['test']."
        )
    rows = np.concatenate([np.asarray(part, dtype=np.intp) for part in test_indices])
    if rows.min() < 0 or rows.max() >= n_samples:
        raise ValueError(
            f"test_indices must be positions in X, 0 to {n_samples - 1}; got "
            f"{rows.min()} to {rows.max()}."
        )
    fold = np.repeat(np.arange(len(test_indices)), [len(part) for part in test_indices])
    values = []
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        check_unmasked(value, name)
        if value is not None and len(value) != n_samples:
            raise ValueError(
                f"{name} must have as many samples as X ({n_samples}); got "
                f"{len(value)}."
            )
        values.append(None if value is None else np.asarray(value)[rows])
    return FoldModels(list(estimator), fold), take_samples(X, rows), *values


# ------------------------------------------------------------------ scores


def find_scorer(estimator, scoring):
    """Turn `scoring` into a callable of estimator, X and y."""
    if isinstance(estimator, FoldModels):
        scorer = find_scorer(estimator.estimators_[0], scoring)
        if not isinstance(scorer, _PredictionScorer):
            raise TypeError(
                "scoring must be the name of a score of predictions, such as "
                f"'accuracy', for a list of models; got {scoring!r}."
            )
        return scorer
    if scoring is None:
        last = estimator
        while isinstance(last, Pipeline):
            last = last.steps[-1][1]
        score = getattr(type(last), "score", None)
        # By name, because a named scorer needs predictions only.
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
        check_target(y)
        self.y = None if y is None else np.asarray(y)
        self.weight = sample_weight
        if y is not None and len(self.y) != n_samples:
            raise ValueError(
                f"y must have as many samples as X ({n_samples}); got {len(self.y)}."
            )
        if sample_weight is not None:
            self.weight = check_sample_weight(sample_weight, np.empty((n_samples, 1)))

    def score(self, X, rows=slice(None)):
        """Score of X, which contains the samples `rows` of the table."""
        if isinstance(self.estimator, FoldModels):
            known = PredictedRows(self.estimator.of(rows), X)
            return self._score(known, np.arange(len(X)), rows)
        return self._score(self.estimator, X, rows)

    def resampled(self, table, hidden, resamples):
        """Scores of the whole table and of resamples, (1 + n_resamples,)."""
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
        """Score of X, which may be row numbers of cached predictions."""
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
                "samples of these classes, or choose another scoring. Resampling "
                "(n_bootstraps) may leave out rare classes."
            ) from error

    def _find_lost_classes(self, y):
        """Classes of the estimator that none of these samples has."""
        classes = getattr(self.estimator, "classes_", None)
        if y is None or y.ndim != 1 or not isinstance(classes, np.ndarray):
            return []
        return np.setdiff1d(classes, y).tolist()


class PredictedRows:
    """Estimator with cached predictions. Its X contains row numbers."""

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
    """Results of a function, one per tuple of arguments."""
    return Parallel(n_jobs=n_jobs)(delayed(function)(*task) for task in tasks)
