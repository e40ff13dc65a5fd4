"""Shared parts of the ensembles: validation, folds, and fitting clones on blocks.

A block holds some samples and some columns of X.
"""

import re
from dataclasses import dataclass, field
from inspect import Parameter, signature
from numbers import Integral, Real
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import softmax
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.parallel import Parallel, delayed

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._compat import HasMethods, Interval
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing._table import (
    LARGEST,
    ModalityTable,
    check_groups,
    check_squares,
    check_target,
)
from skmissing.ensemble._folds import check_positions, deal_folds, deal_groups
from skmissing.ensemble._kernels import KERNELS
from skmissing.ensemble._least_squares import FEW_SAMPLES, class_frequencies

# Probabilities are clipped to at least this share of an even split between the classes.
# Otherwise a probability of 0, which forests predict, would overrule all other models.
FLOOR = 0.01
# Inverse penalty of the default linear classifier.
LINEAR_C = 0.05
# Columns with a smaller range are widened for our own models.
LEAST_SPAN = 0.01
# Parameters of estimators and their steps.
MODALITIES = re.compile("(^|__)modalities$")
# Forests that predict tree by tree here, because their own methods start threads.
FOREST_CLASSIFIERS = (ExtraTreesClassifier, RandomForestClassifier)
FOREST_REGRESSORS = (ExtraTreesRegressor, RandomForestRegressor)


@dataclass(frozen=True)
class TrainingData:
    """The samples with an observed modality and a positive weight."""

    table: ModalityTable  # the mean of its weights is at least 1
    y: np.ndarray  # in a regression with our own models, without unit
    codes: np.ndarray  # number of the class of each sample; zeros in a regression
    labels: np.ndarray  # classes; None in a regression
    template: object  # the estimator that is cloned for each block, if it is one
    dtype: object  # of the blocks to which the clones are fitted
    used: np.ndarray  # mask of these samples among those given to `fit`
    given: tuple  # X, y and groups given to `fit`, for a splitter of the user
    # If these are a part of the samples of a table in pieces: the TrainingData of all,
    # the positions of the part, and the linear members by number of the modality, with
    # their held-out predictions.
    whole: object = None
    rows: object = None
    linear: dict = field(default_factory=dict)

    @property
    def grouped(self):
        """Whether samples are held out by group."""
        return self.given[2] is not None

    def class_frequencies(self, rows=slice(None)):
        """Weighted class frequencies of some samples, none of them 0."""
        weight = self.table.weight[rows]
        return class_frequencies(self.codes[rows], len(self.labels), weight)


@dataclass
class EncodedClassifier:
    """A classifier fitted to the class numbers 0, 1, ... of its own samples."""

    model: object
    known: np.ndarray  # codes of these classes
    frequencies: np.ndarray  # of all classes, with the class weights of the model
    linear: bool = False  # whether the model is the default one

    @classmethod
    def fit(cls, template, block, codes, weight, params, labels):
        """Fit a clone, or a dummy if the samples are of one class."""
        frequencies = class_frequencies(codes, len(labels), weight)
        known, inner = np.unique(codes, return_inverse=True)
        if len(known) == 1:
            model = DummyClassifier(strategy="prior").fit(block, inner)
            return cls(model, known, frequencies)
        model = clone(template)
        for name, value in model.get_params().items():
            if name.split("__")[-1] == "class_weight" and isinstance(value, dict):
                numbered = {
                    k: value[c] for k, c in enumerate(labels[known]) if c in value
                }
                model.set_params(**{name: numbered})
        last = model
        while isinstance(last, Pipeline):
            last = last[-1]
        class_weight = getattr(last, "class_weight", None)
        if class_weight is not None:
            share = frequencies[known]
            if isinstance(class_weight, dict):
                tilted = share * [class_weight.get(k, 1) for k in range(len(known))]
            else:
                tilted = np.ones(len(known))
            frequencies[known] = tilted * share.sum() / tilted.sum()
        linear = is_default_linear(template)
        return cls(model.fit(block, inner, **params), known, frequencies, linear)

    @property
    def has_probabilities(self):
        """Whether the model predicts probabilities."""
        return hasattr(self.model, "predict_proba")

    def predict_proba(self, block, floor=0.0):
        """Probabilities of all classes, (n_samples, n_classes).

        An unknown class gets its frequency, which has no effect in a combination.
        Probabilities are at least `floor` times an even split.
        """
        find = linear_proba if self.linear else member_proba
        proba = check_finite(find(self.model, block), self.model)
        return all_classes(proba, self.known, self.frequencies, floor)

    def evidence(self, block, floor=FLOOR):
        """Log-probabilities of all classes minus the logarithms of the frequencies."""
        with np.errstate(divide="ignore"):
            log_proba = np.log(self.predict_proba(block, floor))
        return log_proba - np.log(self.frequencies)

    def predict(self, block):
        """Codes of the classes, (n_samples,)."""
        inner = np.asarray(self.model.predict(block)).reshape(len(block))
        return self.known[inner.astype(np.intp)]


def all_classes(proba, known, frequencies, floor):
    """Extend probabilities of the classes `known` to all, (n_samples, n_classes)."""
    out = proba
    if len(known) < len(frequencies):
        out = np.tile(frequencies, (len(proba), 1))
        out[:, known] = proba * (1 - np.delete(frequencies, known).sum())
    return np.maximum(out, floor / len(frequencies)) if floor else out


def linear_proba(model, block):
    """Probabilities of the default linear classifier, without further checks."""
    scaler, last = model
    Z = (np.asarray(block, dtype=np.float64) - scaler.mean_) / scaler.scale_
    F = Z @ last.coef_.T + last.intercept_
    if F.shape[1] == 1:
        F = np.concatenate([-F, F], axis=1) / 2
    return softmax(F, axis=1)


def member_proba(model, block):
    """Probabilities of a classifier. Our kernels skip further checks."""
    if isinstance(model, FOREST_CLASSIFIERS) and model.n_jobs is None:
        return tree_means(model, block)
    if type(model) in KERNELS:
        return np.exp(model._log_proba_of(block))
    return model.predict_proba(block)


def tree_means(model, block):
    """Mean prediction of the trees of a forest."""
    X, trees = np.ascontiguousarray(block, dtype=np.float32), model.estimators_
    if len(X) > FEW_SAMPLES or np.isnan(X).any():
        return sum(tree.tree_.predict(X) for tree in trees) / len(trees)
    flat = FLAT_TREES.get(trees[0])
    if flat is None or len(flat.roots) != len(trees):
        flat = FLAT_TREES[trees[0]] = FlatTrees([tree.tree_ for tree in trees])
    return flat.means(X)


class FlatTrees:
    """The nodes of all trees of a forest, one after the other.

    For few samples, it is faster to go through all trees at once.
    """

    def __init__(self, trees):
        sizes = [tree.node_count for tree in trees]
        self.roots = np.cumsum(sizes) - sizes
        self.depth = max(tree.max_depth for tree in trees)
        start, leaf = np.repeat(self.roots, sizes), self._gather(trees, "feature") < 0
        own = np.arange(len(leaf))
        self.feature = np.where(leaf, 0, self._gather(trees, "feature"))
        self.threshold = self._gather(trees, "threshold")
        # Children (right, left). Both children of a leaf are the leaf itself.
        self.children = np.stack(
            [
                np.where(leaf, own, start + self._gather(trees, f"children_{side}"))
                for side in ("right", "left")
            ],
            axis=1,
        ).ravel()
        self.number = np.cumsum(leaf) - 1
        self.values = self._gather(trees, "value")[leaf, 0]

    @staticmethod
    def _gather(trees, name):
        return np.concatenate([getattr(tree, name) for tree in trees])

    def means(self, X):
        """Mean value of the leaves of each sample, (n, d) -> (n, values)."""
        node, first = np.tile(self.roots, (len(X), 1)), np.arange(len(X)) * X.shape[1]
        for _ in range(self.depth):
            value = X.take(self.feature.take(node) + first[:, None])
            node = self.children.take(2 * node + (value <= self.threshold.take(node)))
        return self.values[self.number[node]].mean(axis=1)


# The key is the first tree. The values are not saved, and are freed with the forest.
FLAT_TREES = WeakKeyDictionary()


@shared_docs
class BlockEnsemble(MetaEstimatorMixin, ModalityMixin, SkmissingEstimator):
    """Base of meta-estimators that fit clones of one estimator on blocks of X.

    A subclass fits its models in `_fit(data)`.
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
        "n_jobs": [Integral, None],
    }
    # Groups are for the splitter, which requests them.
    __metadata_request__fit = {"groups": UNUSED}

    # Part of the warning about modalities of one column.
    _consequence = ", with a model of its own"
    # Classifiers have a parameter of this name.
    class_weight = None

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit models per modality, or one per combination of modalities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. Samples in which nothing is observed are
            left out, with a warning. If X is read in pieces
            (:func:`skmissing.compose.scan_table`), the linear members of late fusion
            are fitted to all samples. All other models are fitted to a random sample
            that fits in a quarter of the `working_memory` of
            :func:`sklearn.set_config`, with a warning.
        y : array-like of shape (n_samples,)
            Class labels, or numbers to predict.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Number of times that each sample counts. Samples of weight 0 are left out.
            As in scikit-learn, the scale of the weights matters if there is a penalty
            or a prior. Weights with a mean below 1 are scaled to a mean of 1, also for
            `estimator`.
        groups : array-like of shape (n_samples,) or None, default=None
            Groups of the samples, such as persons. An integer `cv` then keeps each
            group in one fold; a splitter gets the groups in `split`.

        Returns
        -------
        %(self)s

        Raises
        ------
        ValueError
            If no sample has an observed modality and a positive weight, if y has
            several columns, or if `estimator` does not take the weights.
        """
        data = self._read_training(X, y, sample_weight, groups)
        self._means = None
        if data.template is None or not accepts_nan(data.template):
            self._means, mass = data.table.column_means()
            n_empty = int((mass == 0)[self._seen[self.modalities_.column_owner]].sum())
            if n_empty:
                data.table.warn(
                    f"{count(n_empty, 'column has', 'columns have')} no observed cell "
                    "in training; missing cells there are filled with 0."
                )
        self._fit(data)
        return self

    def _read_training(self, X, y, sample_weight, groups):
        """Validate the arguments of `fit`; return the samples that can be used."""
        classifier = is_classifier(self)
        checks = {"multi_output": True} if classifier else {"y_numeric": True}
        table, y = self._validate(
            X, y, reset=True, sample_weight=sample_weight, **checks
        )
        if classifier:
            y = self._check_classes(y)
            self.classes_ = np.unique(y)
        groups = check_groups(groups, len(y))
        given = table.X, y, groups
        table.check_size()
        used = table.has_any & (table.weight > 0)
        if not used.any():
            raise ValueError(
                "X must have a sample with an observed modality and a positive weight; "
                f"none of its {len(used)} samples has both."
            )
        table.warn_empty("left out of training")
        if not used.all():
            table, y = table[used], y[used]
        self._factor = self._find_factor(table.X.dtype) if self._own else None
        if self._factor is not None:
            table = table.change(np.multiply, self._factor)
        if classifier:
            labels, codes = self.classes_, np.searchsorted(self.classes_, y)
            if self.class_weight is not None:
                factors = class_factors(
                    self.class_weight, labels, np.bincount(codes, table.weight)
                )
                table.sample_weight = table.weight = table.weight * factors[codes]
        if table.sample_weight is not None and table.weight.mean() < 1:
            # The strength of a prior is a number of samples, so weights must be, too.
            table.sample_weight = table.weight / table.weight.mean()
            table.weight = table.sample_weight
        self._seen = table.pattern_counts[0].any(axis=0)
        table.warn_never_observed(self._seen, "they are ignored")
        if not classifier:
            labels, codes = None, np.zeros(len(y), dtype=np.intp)
            y = self._without_unit(y, table.weight)
        template, dtype = self._template(table.X.dtype)
        return TrainingData(table, y, codes, labels, template, dtype, used, given)

    def _check_classes(self, y):
        """Return y with one class per sample, or raise."""
        if type_of_target(y) == "multilabel-indicator":
            name = type(self).__name__
            raise ValueError(
                "y must have one class per sample; got a multilabel indicator of shape "
                f"{y.shape}. Use sklearn.multiclass.OneVsRestClassifier({name}())."
            )
        check_target(y, one_column=type(self).__name__)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y

    def _template(self, dtype):
        """Return the estimator to clone, and the dtype that it is fitted in."""
        if self.estimator is not None:
            return clone(self.estimator), dtype
        # With few samples in single precision, ridge regression fits rounding errors.
        classifier = is_classifier(self)
        return make_linear(classifier), dtype if classifier else np.float64

    def _routed(self):
        """Return the inner estimators by name, for the routing of metadata."""
        return {"estimator": self._template(None)[0]}

    def get_metadata_routing(self):
        """Get the metadata routing of this object.

        Returns
        -------
        MetadataRouter
            Sample weights are used here, and are passed to the `fit` of the inner
            estimator if it requests them. Groups are passed to the `split` of `cv`.
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        router.add(
            **self._routed(),
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )
        return router.add(
            splitter=self.cv,
            method_mapping=MethodMapping().add(caller="fit", callee="split"),
        )

    @property
    def _stratified(self):
        """Whether each fold has the same share of each class."""
        return is_classifier(self)

    def _splits(self, data):
        """Return pairs of samples to fit on and to hold out, as masks."""
        if data.whole is not None:
            return [[m[data.rows] for m in s] for s in self._splits(data.whole)]
        X, y, groups = data.given
        if isinstance(self.cv, Integral):
            if groups is None:
                folds = deal_folds(data.codes, self.cv, self._stratified)
            else:
                folds = deal_groups(
                    data.codes, groups[data.used], self.cv, self._stratified
                )
                if not folds.any():
                    data.table.warn(
                        "all samples are in one group, so none can be held out to "
                        "compare models."
                    )
            return [(folds != k, folds == k) for k in np.unique(folds)]
        params = {} if groups is None else {"groups": groups}
        if params and get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).splitter.split
        splits = []
        for positions in check_cv(self.cv).split(X, y, **params):
            masks = np.zeros((2, len(data.used)), dtype=bool)
            for mask, picked in zip(masks, positions):
                mask[check_positions(picked, len(mask))] = True
            splits.append(tuple(masks[:, data.used]))
        if not splits:
            raise ValueError(
                f"cv must yield at least one fold; got {self.cv!r}. A generator yields "
                "none if an earlier fit has used it up: pass a list of its folds."
            )
        return splits

    def _params_of(self, table, template, key="estimator"):
        """Return the arguments for `fit` of an inner estimator besides X and y."""
        if table.sample_weight is None:
            return {}
        return route_weight(self, template, table.weight, key)

    @property
    def _own(self):
        """Whether all inner estimators are our own."""
        return self.estimator is None

    def _without_unit(self, y, weight):
        """Return y, standardised if the models are our own."""
        check_squares(y)
        self.target_mean_, self._deviation = float(np.average(y, weights=weight)), None
        if not self._own:
            return y
        y = y - self.target_mean_
        self._deviation = float(np.sqrt(np.average(y**2, weights=weight))) or 1.0
        return y / self._deviation

    def _with_unit(self, y):
        """Return predictions of the models in the unit of the target."""
        return y if self._deviation is None else self.target_mean_ + self._deviation * y

    def _fit_blocks(self, data, blocks, name):
        """Fit one clone per pair of samples and columns.

        With held-out samples and a function `read`, return the results of `read` for
        the clones and the held-out blocks.
        """
        params = self._params_of(data.table, data.template)
        part = self._fit_task.part(name, len(blocks))
        models = Parallel(n_jobs=self.n_jobs, return_as=part.return_as)(
            delayed(fit_block)(data, params, self._means, *block) for block in blocks
        )
        models = part.collect(["model"] * len(blocks), models)
        part.end()
        return models

    def _find_factor(self, dtype):
        """Powers of two that widen narrow columns; None if there are none.

        Trees treat a column as constant if its values differ by less than 1e-7. Our
        other models standardise columns, so their results do not change at all.
        """
        span = np.subtract(*self._training["range"][::-1].astype(np.float64))
        narrow = (span > 0) & (span < LEAST_SPAN)
        if not narrow.any():
            return None
        exponent = np.floor(np.log2(np.where(narrow, span, 1.0)))
        return np.exp2(np.minimum(-exponent, 120)).astype(dtype)

    def _read_new(self, X, fallback):
        """Validate new samples, and warn of samples that no model can predict.

        Modalities that were never observed in `fit` count as missing.
        """
        table = self._validate(X, reset=False)
        table.check_size()
        if self._factor is not None:
            table = table.replace(table.X * self._factor)
        table.presence = table.warn_unlearnt(self._seen)
        table.warn_empty(f"given {fallback}", table.presence)
        return table


# --------------------------------------------------------------------- numerics


def class_factors(class_weight, labels, mass):
    """Factor of the weight of each class, (n_classes,)."""
    # mass (n_classes,): sums of sample weights
    if class_weight == "balanced":
        return np.where(
            mass > 0, mass.sum() / len(mass) / np.where(mass > 0, mass, 1), 0
        )
    unknown = [label for label in class_weight if label not in labels.tolist()]
    if unknown:
        raise ValueError(
            f"class_weight must have classes of y, {labels.tolist()}, as keys; got "
            f"{unknown}."
        )
    for label, factor in class_weight.items():
        if not (isinstance(factor, Real) and 0 <= factor <= LARGEST):
            raise ValueError(
                f"class_weight must have numbers from 0 to {LARGEST:g} as values; got "
                f"{factor!r} for {label!r}."
            )
    factors = np.array([class_weight.get(label, 1.0) for label in labels.tolist()])
    if not (mass * factors).any():
        raise ValueError(
            "class_weight must be positive for a class of the samples; got "
            f"{class_weight}."
        )
    return factors.astype(np.float64)


def accepts_nan(estimator):
    """Whether `estimator` accepts NaN according to its tags.

    A pipeline does if all of its steps do, or all steps up to and including an imputer,
    which is recognised by its parameter `keep_empty_features`.
    """
    if not isinstance(estimator, Pipeline):
        return bool(get_tags(estimator).input_tags.allow_nan)
    for _, step in estimator.steps:
        if step is None or step == "passthrough":
            continue
        if not accepts_nan(step):
            return False
        if "keep_empty_features" in step.get_params(deep=False):
            return True
    return True


def set_modalities(estimator, layout):
    """Set the parameters `modalities` of an estimator and its steps that are None."""
    params = estimator.get_params()
    unset = [k for k, v in params.items() if v is None and MODALITIES.search(k)]
    return estimator.set_params(**dict.fromkeys(unset, layout))


def make_linear(classifier):
    """The default model: linear, on standardised columns."""
    model = (
        LogisticRegression(C=LINEAR_C, max_iter=1000) if classifier else BayesianRidge()
    )
    steps = [StandardScaler(), model]
    if get_config()["enable_metadata_routing"]:
        steps = [step.set_fit_request(sample_weight=True) for step in steps]
    return Pipeline([(type(step).__name__.lower(), step) for step in steps])


def is_default_linear(estimator, classifier=True):
    """Whether an unfitted estimator is the default linear model."""
    if type(estimator) is not Pipeline:
        return False
    default = make_linear(classifier)
    if len(estimator.steps) != len(default.steps):
        return False
    for (_, step), (_, own) in zip(estimator.steps, default.steps):
        params = {k: v for k, v in vars(own).items() if k != "_metadata_request"}
        if type(step) is not type(own) or params != {k: vars(step)[k] for k in params}:
            return False
    return True


def route_weight(meta, estimator, sample_weight, key="estimator"):
    """Return the arguments for `fit` of an inner estimator besides X and y, by name.

    `key` is its name in the metadata routing, or None if it is our own.
    """
    if get_config()["enable_metadata_routing"]:
        if key is None:
            return {"sample_weight": sample_weight}
        routed = process_routing(meta, "fit", sample_weight=sample_weight)
        return dict(routed[key].fit)
    names = weight_names(estimator)
    if not names:
        balanced = getattr(meta, "class_weight", None) is not None
        what = "class_weight" if balanced else "sample_weight"
        raise ValueError(
            f"{what} must be None, because the fit of "
            f"estimator={type(estimator).__name__} does not take weights."
        )
    return dict.fromkeys(names, sample_weight)


def weight_names(estimator):
    """Names under which the `fit` of `estimator` takes sample weights.

    For a pipeline, the names for all steps that take weights, if the last step does.
    """
    if not isinstance(estimator, Pipeline):
        parameters = signature(estimator.fit).parameters
        open_ended = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
        return ["sample_weight"] if "sample_weight" in parameters or open_ended else []
    steps = [s for s in estimator.steps if s[1] not in (None, "passthrough")]
    if not steps or not weight_names(steps[-1][1]):
        return []
    names = []
    for position, (name, step) in enumerate(steps):
        last = position == len(steps) - 1
        if (
            last
            or isinstance(step, Pipeline)
            or "sample_weight" in signature(step.fit).parameters
        ):
            names += [f"{name}__{inner}" for inner in weight_names(step)]
    return names


def take_block(X, rows, columns, means):
    """Copy some cells of X; missing cells are filled if `means` is not None."""
    block = X[:, columns][rows]
    if means is not None:
        missing = np.isnan(block)
        if missing.any():
            return np.where(missing, means[columns], block)
    return block


def fit_block(data, params, means, rows, columns, held_out=None, read=None):
    """Fit a clone on a block; return it, or the result of `read` on another block."""
    block = take_block(data.table.X, rows, columns, means)
    block = block.astype(data.dtype, copy=False)
    params = {name: value[rows] for name, value in params.items()}
    if data.labels is None:
        model = clone(data.template).fit(block, data.y[rows], **params)
    else:
        model = EncodedClassifier.fit(
            data.template, block, data.codes[rows], data.table.weight[rows], params,
            data.labels,
        )  # fmt: skip
    if read is None:
        return model
    return read(model, take_block(data.table.X, held_out, columns, means))


def predict_values(model, block):
    """Predictions of one number per sample, shape (n_samples,)."""
    if isinstance(model, FOREST_REGRESSORS) and model.n_jobs is None:
        return tree_means(model, block)[:, 0]
    if type(model) in KERNELS:
        return check_finite(model._values_of(block), model)
    values = np.asarray(model.predict(block), dtype=np.float64).reshape(len(block))
    return check_finite(values, model)


def check_finite(predicted, model):
    """Return the predictions of an inner estimator, or raise if any is not finite."""
    bad = ~np.isfinite(predicted).reshape(len(predicted), -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"The predictions of estimator={model!r} must be finite; those for "
            f"{np.count_nonzero(bad)} of {len(bad)} samples are not."
        )
    return predicted
