"""Shared parts: held-out probabilities of a classifier, and groups of samples."""

import warnings
from contextlib import contextmanager
from dataclasses import replace
from numbers import Real

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import HasMethods, Interval, StrOptions
from skmissing._modalities import ModalityWarning, count, resolve_modalities
from skmissing._table import (
    check_sample_weight,
    check_target,
    check_unmasked,
    framed,
    take_samples,
)
from skmissing.ensemble._base import (
    MODALITIES,
    BlockEnsemble,
    check_finite,
    set_modalities,
)
from skmissing.ensemble._late_fusion import LateFusionClassifier
from skmissing.inspection._scores import name_pattern, sort_patterns
from skmissing.inspection._scoring import as_table, find_layout

UNFITTED = (
    "estimator must be fitted if cv='prefit' or if it is frozen; got a new %(name)s."
)


class WrappedEstimator(BlockEnsemble):
    """Base of estimators around one that gets X with its columns as they are."""

    _own, _consequence = False, ""

    @property
    def _inner(self):
        """The estimator inside."""
        return self.estimator

    @property
    def _prefit(self):
        """Whether the estimator is fitted already."""
        named = isinstance(self.cv, str) and self.cv == "prefit"
        return named or isinstance(self._inner, FrozenEstimator)

    def _find_modalities(self, says):
        if isinstance(self._inner, type):
            raise TypeError(
                f"estimator must be an instance; got the class {self._inner.__name__}."
            )
        names, given = getattr(self, "feature_names_in_", None), self.modalities
        if given is None and self._prefit:
            given = find_layout(self._inner, self.n_features_in_, names)
        elif given is None and self._inner is not None:
            given = find_parameter(self._inner)
        self.modalities_ = resolve_modalities(given, self.n_features_in_, names, says)
        if given is None:
            self._warn_single_columns(names)

    def _splits(self, data):
        splits = super()._splits(data)
        n_shared = max(np.count_nonzero(i & o) for i, o in splits)
        if n_shared:
            raise ValueError(
                "cv must not hold out samples to which the estimator is fitted; got a "
                f"fold with {count(n_shared, 'such sample')}."
            )
        return splits

    def _framed(self, values, X):
        """Values as a data frame like X, or as an array for the estimator."""
        # Column-major like data frames, so that rounding errors are the same.
        names = getattr(self, "feature_names_in_", None)
        return framed(np.asfortranarray(values), X, names)

    def _read_inner(self, X, fate):
        """Presence of the modalities of new samples, and X for the estimator."""
        check_is_fitted(self)
        table = self._validate(X, reset=False)
        presence = table.warn_unlearnt(self._seen)
        if (presence != table.presence).any():
            table = table.hide(~presence)
        table.warn_empty(fate)
        return presence, self._framed(table.X, X)

    def _use_classes_of(self, model):
        """Use the classes of a fitted classifier, which must have those of y."""
        known = np.unique(model.classes_)
        unknown = np.setdiff1d(self.classes_, known)
        if len(unknown):
            raise ValueError(
                f"y must have classes of the fitted estimator, {known.tolist()}; got "
                f"{unknown.tolist()}."
            )
        self.classes_ = known

    @contextmanager
    def _hint(self):
        """Add a remedy to the error of an estimator that does not accept NaN."""
        try:
            yield
        except ValueError as error:
            if "NaN" not in str(error):
                raise
            raise ValueError(
                "estimator must accept NaN, which marks missing modalities; got "
                f"{self._inner!r}. Put an imputer in front: "
                "make_pipeline(SimpleImputer(), estimator)."
            ) from error


class HeldOutClassifier(ClassifierMixin, WrappedEstimator):
    """Base of classifiers that learn from held-out probabilities of an estimator.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Classifier with `predict_proba` that accepts samples with missing modalities.
        None is :class:`~skmissing.ensemble.LateFusionClassifier`. Parameters
        `modalities` of the classifier or its steps that are None are set to
        `modalities`.
    modalities : None, list of int or dict, default=None
        Which columns form a modality, as in other estimators. None uses `modalities` of
        the estimator or of the first of its steps that has them.
    cv : int, splitter, iterable or "prefit", default=5
        Folds for the held-out probabilities. An integer is the number of folds, which
        are stratified; groups are kept together. With "prefit", or with a
        :class:`~sklearn.frozen.FrozenEstimator`, the estimator is fitted already, and
        all samples given to `fit` are held out. It must not have been fitted to them.
    n_jobs : int or None, default=None
        Number of folds fitted in parallel, as in joblib.

    Attributes
    ----------
    estimator_ : classifier
        The classifier, fitted to all samples.
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "by": [StrOptions({"n_observed", "pattern"})],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "cv": [*BlockEnsemble._parameter_constraints["cv"], StrOptions({"prefit"})],
    }

    def _template(self, dtype):
        if self._prefit:
            return self.estimator, dtype
        if self.estimator is None:
            template = make_default(LateFusionClassifier)
        else:
            template = clone(self.estimator)
        return set_modalities(template, getattr(self, "modalities_", None)), dtype

    def _fit_held_out(self, X, y, sample_weight, groups, hold_out=True):
        """Fit `estimator_`; return its held-out probabilities and their samples.

        Returns TrainingData of the samples with held-out probabilities, and these.
        """
        data = self._read_training(X, y, sample_weight, groups)
        frame = self._framed(data.table.X, X)
        if self._prefit:
            return self._read_fitted(data, frame)
        params = {}
        if data.table.sample_weight is not None:
            params = self._params_of(data.table, data.template)
        every = np.ones(len(data.table), dtype=bool)
        # From one class, nothing can be learnt.
        few = min(2, len(np.unique(data.codes)))
        splits = self._splits(data) if hold_out else []
        lost = np.sum([~every, *(outside for _, outside in splits)], axis=0) > 0
        splits = [s for s in splits if len(np.unique(data.codes[s[0]])) >= few]
        task = self._fit_task.begin(1 + len(splits))
        names = ["estimator"] * (1 + len(splits))
        with self._hint():
            fitted = Parallel(n_jobs=self.n_jobs, return_as=task.return_as)(
                delayed(fit_fold)(data.template, frame, data.y, params, *split)
                for split in [(every, None), *splits]
            )
            self.estimator_, *parts = task.collect(names, fitted)
        total, times = np.zeros((len(every), len(self.classes_))), np.zeros(len(every))
        for (_, outside), (known, proba) in zip(splits, parts):
            fits = np.isin(data.y[outside], known)
            rows = np.flatnonzero(outside)[fits]
            total[rows] += align(proba, known, self.classes_)[fits]
            times[rows] += 1
        held = times > 0
        lost &= ~held
        if lost.any():
            self._warn(
                f"{np.count_nonzero(lost)} of {len(lost)} samples cannot be held out, "
                "because the samples of the other folds lack their class or have one "
                "class only; they are only used to fit the estimator."
            )
        table, codes = data.table[held], data.codes[held]
        data = replace(data, table=table, y=data.y[held], codes=codes)
        return data, total[held] / times[held, None]

    def _read_fitted(self, data, frame):
        """Probabilities of an estimator that is fitted already."""
        check_is_fitted(self.estimator, msg=UNFITTED)
        self._fit_task.begin()
        self.estimator_, self._seen[:] = self.estimator, True
        self._use_classes_of(self.estimator_)
        labels = self.classes_
        data = replace(data, codes=np.searchsorted(labels, data.y), labels=labels)
        return data, self._proba_of(frame)

    def _proba_of(self, frame):
        """Probabilities of the fitted estimator, (n_samples, n_classes)."""
        model = self.estimator_
        with self._hint():
            proba = read_proba(model, frame)
        return align(proba, model.classes_, self.classes_)

    def _predict_inner(self, X):
        """Presence of the modalities of new samples, and the estimator's answer."""
        fate = "given what the estimator predicts without any"
        presence, frame = self._read_inner(X, fate)
        return presence, self._proba_of(frame)

    def _find_groups(self, presence):
        """Position of the group of each sample in `groups_`, -1 for a new one."""
        keys, number = group_samples(presence, self.modalities_.names, self._by)
        places = {key: place for place, key in enumerate(self.groups_)}
        return np.array([places.get(key, -1) for key in keys], dtype=np.intp)[number]


def make_default(kind, **params):
    """Late fusion, which requests weights if metadata are routed."""
    estimator = kind(**params)
    if get_config()["enable_metadata_routing"]:
        estimator.set_fit_request(sample_weight=True)
    return estimator


def find_parameter(estimator):
    """The parameter `modalities` of an estimator or of its first step with one."""
    params = estimator.get_params()
    paths = [k for k, v in params.items() if v is not None and MODALITIES.search(k)]
    return params[min(paths, key=lambda path: path.count("__"))] if paths else None


def fit_fold(template, X, y, params, inside, outside):
    """Fit a clone; return it, or the known classes and probabilities of others.

    The folds do not repeat warnings about samples and modalities.
    """
    params = {name: value[inside] for name, value in params.items()}
    if outside is None:
        return clone(template).fit(X, y, **params)
    train, test = (take_samples(X, np.flatnonzero(part)) for part in (inside, outside))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalityWarning)
        model = clone(template).fit(train, y[inside], **params)
        return model.classes_, read_proba(model, test)


def read_proba(model, X):
    """Probabilities that an inner estimator predicts, (n_samples, n_classes)."""
    proba, shape = model.predict_proba(X), (len(X), len(model.classes_))
    if np.shape(proba) == shape:
        check_finite(np.asarray(proba, dtype=np.float64), model)
    return check_proba(proba, shape, f"The probabilities of {type(model).__name__}")


def align(proba, known, classes):
    """Probabilities of all classes, which are sorted; unknown ones have 0."""
    out = np.zeros((len(proba), len(classes)))
    out[:, np.searchsorted(classes, known)] = proba
    return out


# ------------------------------------------------------------------ groups


def group_samples(presence, names, by):
    """Groups of samples, the largest patterns first, and the number of each sample's.

    A group is a number of observed modalities, or a tuple of their names.
    """
    if by is None:
        return ["all"], np.zeros(len(presence), dtype=np.intp)
    if by == "n_observed":
        keys, inverse = np.unique(-presence.sum(axis=1), return_inverse=True)
        return (-keys).tolist(), inverse
    if by != "pattern":
        raise ValueError(f"by must be 'pattern', 'n_observed' or None; got {by!r}.")
    patterns, number = sort_patterns(*find_patterns(presence))
    names = np.array(names, dtype=object)
    return [tuple(names[pattern]) for pattern in patterns], number


def shrunk_weights(weight, inside, shrinkage):
    """Weights for a group of samples, plus all samples with a given total weight."""
    return weight * (inside + shrinkage / weight.sum())


def name_group(key):
    """Name of a group for tables and legends."""
    if isinstance(key, tuple):
        return name_pattern([True] * len(key), key)
    return key if isinstance(key, str) else f"{key} observed"


# ------------------------------------------------------------------ bad input


def check_reject(reject):
    """Raise an error if `reject` is not None or "abstain"."""
    if reject is not None and not (isinstance(reject, str) and reject == "abstain"):
        raise ValueError(f"reject must be None or 'abstain'; got {reject!r}.")


def check_proba(proba, shape, name, hint=""):
    """Return probabilities of the given shape, or raise an error."""
    check_unmasked(proba, name)
    try:
        found = np.asarray(proba)
        found = found.astype(np.float64 if found.dtype.kind in "biufO" else None)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers: {error}.") from error
    if found.shape != shape:
        raise ValueError(
            f"{name} must have the shape {shape}, one column per class; got "
            f"{found.shape}.{hint}"
        )
    good = (found >= 0).all(axis=1) & np.isclose(found.sum(axis=1), 1, atol=1e-3)
    if not good.all():
        raise ValueError(
            f"{name} must add up to 1 in each sample, and none must be negative; got "
            f"others in {np.count_nonzero(~good)} of {len(good)} samples, such as "
            f"{found[~good][0].tolist()}."
        )
    return found


def read_target(y, n_samples, numeric=False):
    """Return y as a known value per sample, (n_samples,)."""
    if y is None or sparse.issparse(y):
        raise TypeError(
            f"y must be an array of shape (n_samples,); got {type(y).__name__}."
        )
    check_target(y, numeric=numeric)
    y = np.asarray(y)
    if y.ndim == 0 or y.size != len(y):
        raise ValueError(f"y must have one value per sample; got the shape {y.shape}.")
    y = y.reshape(-1)
    if numeric and (np.iscomplexobj(y) or not np.isfinite(y.astype(float)).all()):
        raise ValueError("y must be finite real numbers; got others.")
    if len(y) != n_samples:
        raise ValueError(
            f"y must have as many samples as X ({n_samples}); got {len(y)}."
        )
    return y


def check_known(y, classes):
    """Raise an error if no sample is of any of the classes."""
    if not np.any(y[:, None] == classes):
        raise ValueError(
            f"y must have some of the classes {np.asarray(classes).tolist()}; got "
            f"{np.unique(y)[:10].tolist()}."
        )


def judge_predictions(estimator, X, y, by, modalities, classes, sample_weight):
    """Confidence, hit and weight of each sample, and the groups of the samples.

    `estimator` may be the probabilities of X. Samples of weight 0 are left out.
    """
    fitted = hasattr(estimator, "predict_proba")
    array = hasattr(estimator, "__len__") and not hasattr(estimator, "fit")
    if isinstance(estimator, type) or not (fitted or array):
        raise TypeError(
            "estimator must be a fitted classifier with predict_proba, or an array of "
            f"its probabilities; got {estimator!r}."
        )
    table = as_table(X, modalities, estimator if fitted else None)
    y = read_target(y, len(table))
    if fitted and classes is not None:
        raise ValueError(
            f"classes must be None, because {type(estimator).__name__} has classes_; "
            f"got {classes!r}."
        )
    if fitted:
        proba, classes = estimator.predict_proba(X), estimator.classes_
        name, hint = f"The probabilities of {type(estimator).__name__}", ""
    else:
        proba = estimator
        classes = np.unique(y) if classes is None else np.asarray(classes)
        name = "The probabilities"
        hint = " Pass the classes of the columns as classes= if y does not have all."
    if classes.ndim != 1 or len(np.unique(classes)) < len(classes):
        raise ValueError(f"classes must be different labels; got {classes.tolist()!r}.")
    proba = check_proba(proba, (len(y), len(classes)), name, hint)
    check_known(y, classes)
    weight = np.ones(len(y))
    if sample_weight is not None:
        weight = check_sample_weight(sample_weight, np.empty((len(y), 1)))
    kept = weight > 0
    groups = group_samples(table.presence[kept], table.layout.names, by)
    hits = classes[proba.argmax(axis=1)] == y
    return proba.max(axis=1)[kept], hits[kept], weight[kept], *groups
