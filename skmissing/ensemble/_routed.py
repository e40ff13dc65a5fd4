"""Routing: the cheapest good model per pattern of modalities."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import Bunch
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import Interval
from skmissing._docs import shared_docs
from skmissing._modalities import resolve_modalities
from skmissing._table import name_list
from skmissing.ensemble._base import (
    BlockEnsemble,
    EncodedClassifier,
    accepts_nan,
    set_modalities,
    take_block,
)

# Up to this number of modalities, all combinations are scored.
MOST_COMBINED = 6


def read_costs(costs, names, positive=False):
    """Cost of each modality, (n_modalities,)."""
    costs = dict.fromkeys(names, 1.0) if costs is None else costs
    numbers = isinstance(costs, dict) and all(
        isinstance(c, Real) and 0 <= c < np.inf and (c or not positive)
        for c in costs.values()
    )
    if not numbers or set(costs) != set(names):
        raise ValueError(
            f"costs must have a finite number {'above' if positive else 'of at least'} "
            f"0 per modality, {name_list(names)}; got {costs}."
        )
    return np.array([costs[name] for name in names], dtype=float)


@dataclass(frozen=True)
class Route:
    """One of the estimators, and the modalities that it uses."""

    name: str
    template: object
    uses: np.ndarray  # (n_modalities,), without modalities that fit never observed
    columns: np.ndarray
    accept_nan: bool

    def serves(self, presence):
        """Mask of samples or patterns that the estimator can predict."""
        enough = np.any if self.accept_nan else np.all
        return enough(presence[:, self.uses], axis=1)


@shared_docs
class RoutedClassifier(ClassifierMixin, BlockEnsemble):
    """Classify each sample by the cheapest model that is good for its modalities.

    Each estimator uses some of the modalities, and each modality has a cost, such as
    the price of its encoder. The accuracy on held-out samples is computed for each
    estimator and each pattern of observed modalities. A new sample is classified by
    the cheapest estimator that is at most `tolerance` below the best for its pattern.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimators : list of tuple
        Tuples `(name, classifier)` or `(name, classifier, modalities)`, with the names
        of the modalities that the classifier uses. By default, it uses all. A
        classifier that does not accept NaN is used for samples that have all of its
        modalities. Parameters `modalities` of a classifier or its steps that are None
        are set to these modalities.
    costs : dict or None, default=None
        Cost of each modality. The cost of an estimator is the sum over the modalities
        that it uses and the sample has. None is 1 for each.
    budget : float or None, default=None
        Maximum cost per sample. None is no limit. Like `tolerance`, it can be changed
        after `fit`, by `set_params`.
    tolerance : float, default=0.01
        How much lower the accuracy of a cheaper estimator may be than the best one
        within the budget.
    %(modalities)s
    cv : int, splitter or iterable, default=5
        Folds for the scores, as in :class:`PatternClassifier`.
    %(n_jobs)s

    Attributes
    ----------
    %(classes_)s
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class frequencies, for samples that no estimator can classify.
    estimators_ : list
        Classifiers, fitted to all samples that they can use.
    named_estimators_ : Bunch
        The same by name.
    patterns_ : list of tuple of str
        Scored patterns of observed modalities: those of the training samples, and for
        up to 6 modalities all others.
    scores_ : ndarray of shape (n_patterns, n_estimators)
        Accuracy on held-out samples. NaN if an estimator cannot be used.
    costs_ : ndarray of shape (n_patterns, n_estimators)
        Cost of each estimator per sample.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    PatternClassifier : One estimator, fitted per combination of modalities.

    Notes
    -----
    A pattern is scored on all held-out samples that have at least its modalities. The
    other modalities are hidden. If the class influences which modalities are missing,
    these samples differ from those of the pattern. A sample with another pattern is
    routed by the scores of the most similar pattern.

    Surveys of missing modalities call this a discrete scheduler.

    Examples
    --------
    The second modality costs more, and helps if the first is missing:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skmissing.ensemble import LateFusionClassifier, RoutedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RoutedClassifier(
    ...     [
    ...         ("petal", LogisticRegression(), ["petal"]),
    ...         ("both", LateFusionClassifier("linear")),
    ...     ],
    ...     costs={"sepal": 5, "petal": 1},
    ...     modalities={"sepal": 2, "petal": 2},
    ...     tolerance=0.05,
    ... ).fit(X, y)
    >>> X[1, 2:] = float("nan")
    >>> model.route(X[:2])
    array(['petal', 'both'], dtype=object)
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "estimators": [list, tuple],
        "costs": [dict, None],
        "budget": [Interval(Real, 0, None, closed="left"), None],
        "tolerance": [Interval(Real, 0, None, closed="left")],
    }
    del _parameter_constraints["estimator"]
    # None of the estimators is our own. They get X with its columns as they are.
    _own = False

    def __init__(
        self,
        estimators,
        *,
        costs=None,
        budget=None,
        tolerance=0.01,
        modalities=None,
        cv=5,
        n_jobs=None,
    ):
        self.estimators = estimators
        self.costs = costs
        self.budget = budget
        self.tolerance = tolerance
        self.modalities = modalities
        self.cv = cv
        self.n_jobs = n_jobs

    def _template(self, dtype):
        return None, dtype

    def _routed(self):
        return {entry[0]: entry[1] for entry in self.estimators}

    def _fit(self, data):
        costs = read_costs(self.costs, self.modalities_.names)
        self._routes = [self._read_route(entry) for entry in self.estimators]
        names = [route.name for route in self._routes]
        if not names:
            raise ValueError("estimators must hold at least one entry; got none.")
        if len(set(names)) < len(names):
            raise ValueError(f"estimators must have different names; got {names}.")
        patterns, seen = data.table.patterns[0], self._seen
        if len(seen) <= MOST_COMBINED:
            patterns = np.array(list(product([False, True], repeat=len(seen)))[1:])
        self.class_prior_ = data.class_frequencies()
        every = np.ones(len(data.codes), dtype=bool)
        splits = [(every, ~every), *self._splits(data)]
        tasks = [(route, *split) for route in self._routes for split in splits]
        task = self._fit_task.begin(len(tasks))
        fitted = Parallel(n_jobs=self.n_jobs, return_as=task.return_as)(
            delayed(self._fit_route)(data, patterns, *args) for args in tasks
        )
        fitted = task.collect([route.name for route, *_ in tasks], fitted)
        self._models = [model for model, _ in fitted[:: len(splits)]]
        totals = np.reshape([t for _, t in fitted], (len(names), len(splits), 2, -1))
        hits, mass = totals.sum(axis=1).transpose(1, 2, 0)
        self.scores_ = np.full(mass.shape, np.nan)
        np.divide(hits, mass, out=self.scores_, where=mass > 0)
        scored = mass.any(axis=1)
        self.scores_, self._patterns = self.scores_[scored], patterns[scored]
        uses = np.array([route.uses for route in self._routes])
        self._costs = (uses * costs).T
        self.costs_ = self._patterns @ self._costs
        every = np.array(self.modalities_.names, dtype=object)
        self.patterns_ = [tuple(every[pattern]) for pattern in self._patterns]
        self.estimators_ = [model.model for model in self._models]
        self.named_estimators_ = Bunch(**dict(zip(names, self.estimators_)))

    def _read_route(self, entry):
        """Read an entry of `estimators`, and pass the modalities on to it."""
        layout = self.modalities_
        fits = isinstance(entry, (tuple, list)) and len(entry) in (2, 3)
        if (
            not fits
            or not (isinstance(entry[0], str) and entry[0])
            or isinstance(entry[1], type)
            or not hasattr(entry[1], "predict_proba")
        ):
            raise ValueError(
                "estimators must be tuples (name, classifier) or (name, classifier, "
                f"modalities) of classifiers with predict_proba; got {entry!r}."
            )
        name, template, uses = *entry[:2], [*entry[2:], layout.names][0]
        uses = (
            [uses] if isinstance(uses, str) or not isinstance(uses, Iterable) else uses
        )
        uses = list(uses)
        mask = np.isin(layout.names, uses) & self._seen
        if not mask.any() or not set(uses) <= set(layout):
            seen = np.array(layout.names)[self._seen]
            raise ValueError(
                f"The modalities of estimator {name!r} must be among those observed in "
                f"training, {name_list(seen)}; got {uses}."
            )
        used = [m for m, chosen in zip(layout.values(), mask) if chosen]
        shapes = {m.name: m.shape if m.n_tokens > 1 else m.width for m in used}
        columns = np.concatenate([m.columns for m in used])
        # A layout: codes for missing have already been warned about.
        shapes = resolve_modalities(shapes, len(columns))
        template = set_modalities(clone(template), shapes)
        return Route(name, template, mask, columns, accepts_nan(template))

    def _block(self, table, rows, route):
        means = None if route.accept_nan else self._means
        return take_block(table.X, rows, route.columns, means)

    def _fit_route(self, data, patterns, route, inside, outside):
        """Fit a route; return it, and held-out hits and weights per pattern."""
        table, totals = data.table, np.zeros((2, len(patterns)))
        rows = np.flatnonzero(inside & route.serves(table.presence))
        if not len(rows) and outside.any():
            return None, totals
        if not len(rows):
            raise ValueError(
                f"The modalities of estimator {route.name!r} must be observed together "
                f"in a training sample; got none in {len(table)}."
            )
        params = self._params_of(table, route.template, route.name)
        model = EncodedClassifier.fit(
            route.template, self._block(table, rows, route), data.codes[rows],
            table.weight[rows], {k: v[rows] for k, v in params.items()}, data.labels,
        )  # fmt: skip
        for p in np.flatnonzero(route.serves(patterns)):
            rows = outside & (table.presence | ~patterns[p]).all(axis=1)
            if rows.any():
                part, weight = table[rows], table.weight[rows]
                part = part.hide(part.presence & ~patterns[p])
                proba = model.predict_proba(self._block(part, slice(None), route))
                hits = proba.argmax(axis=1) == data.codes[rows]
                totals[:, p] = weight @ hits, weight.sum()
        return None if outside.any() else model, totals

    def _choose(self, pattern):
        """Number of the estimator for a pattern, -1 if there is none."""
        costs = pattern @ self._costs
        usable = np.ravel([route.serves(pattern[None]) for route in self._routes])
        if self.budget is not None:
            usable &= costs <= self.budget
        usable = np.flatnonzero(usable)
        if not len(usable):
            return -1
        if not len(self._patterns):  # too few samples for held-out scores
            return usable[costs[usable].argmin()]
        nearest = (self._patterns != pattern).sum(axis=1).argmin()
        scores = np.nan_to_num(self.scores_[nearest, usable], nan=-np.inf)
        good = scores >= scores.max() - self.tolerance
        order = np.lexsort((-scores[good], costs[usable[good]]))
        return usable[good][order[0]]

    def _numbers(self, X):
        """Validated table, and the number of the estimator of each sample."""
        self._validate_params()  # the tolerance and the budget may be set after fit
        table = self._read_new(X, "the class frequencies of training")
        patterns, inverse = find_patterns(table.presence)
        numbers = np.array([self._choose(pattern) for pattern in patterns])[inverse]
        n_lost = np.count_nonzero((numbers < 0) & table.presence.any(axis=1))
        if n_lost:
            limit = "" if self.budget is None else f" within budget={self.budget:g}"
            table.warn(
                f"{n_lost} of {len(table)} samples have modalities that no estimator "
                f"can use{limit}; they are given the class frequencies of training."
            )
        return table, numbers

    def route(self, X):
        """Return which estimator classifies each sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,)
            Names of estimators. None if there is none for the sample.
        """
        check_is_fitted(self)
        names = [*(route.name for route in self._routes), None]
        return np.array(names, dtype=object)[self._numbers(X)[1]]

    def predict_proba(self, X):
        """Predict class probabilities with the chosen estimators.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`. Samples without an estimator get `class_prior_`,
            with a warning.
        """
        check_is_fitted(self)
        table, numbers = self._numbers(X)
        out = np.tile(self.class_prior_, (len(table), 1))
        for number in np.unique(numbers[numbers >= 0]):
            rows = np.flatnonzero(numbers == number)
            block = self._block(table, rows, self._routes[number])
            out[rows] = self._models[number].predict_proba(block)
        return out

    def predict(self, X):
        """Predict the class with the highest probability.

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
