"""Conformal prediction: sets and intervals with coverage per pattern of modalities."""

import re
import warnings
from itertools import product
from numbers import Integral, Real

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skmissing._base import _fit_context, in_pieces
from skmissing._blocks import find_patterns
from skmissing._compat import HasMethods, Interval, RealNotInt, StrOptions
from skmissing._docs import shared_docs
from skmissing._modalities import ModalityWarning, count
from skmissing._table import check_squares
from skmissing.conformal._base import (
    UNFITTED,
    WrappedEstimator,
    align,
    check_reject,
    make_default,
    read_proba,
)
from skmissing.conformal._quantiles import (
    ROUNDING,
    PatternScores,
    class_scores,
    count_needed,
    limit_mass,
    mass_below,
    reduce_pattern,
    upper_bounds,
)
from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor
from skmissing.ensemble._base import check_finite, route_weight, set_modalities
from skmissing.ensemble._folds import deal_folds, deal_groups
from skmissing.ensemble._routed import MOST_COMBINED

# Maximum number of cells of the reduced samples that are predicted at a time.
CHUNK_CELLS = 1 << 22
# Inverse penalty of the logistic models of which modalities are missing, and the
# minimum number of samples on either side.
WEIGHT_C, WEIGHT_SAMPLES = 0.05, 10
# Folds within a training set for the residuals of the spread model, and the smallest
# spread as a share of the mean residual.
SPREAD_FOLDS, SPREAD_FLOOR = 3, 0.1
QUANTILE = re.compile("(^|__)quantile$")


@shared_docs
class PatternConformal(WrappedEstimator):
    """Base class: a model per fold, and scores of held-out samples per pattern.

    Parameters
    ----------
    confidence : float, default=0.9
        Share of the samples of each pattern whose true value is to be covered. It can
        be changed after `fit`, by `set_params`.
    patterns : {"mondrian", "nested", "weighted"}, default="mondrian"
        Which calibration samples a pattern uses.

        - "mondrian": those with exactly its modalities. If there are fewer than
          `min_samples`, those of "nested".
        - "nested": all that have at least its modalities. The others are hidden, and
          the model predicts again. This assumes that modalities are missing completely
          at random.
        - "weighted": the same samples, weighted by the estimated probability that the
          modalities beyond the pattern are missing. This assumes that, given the
          modalities of the pattern, which others are missing does not depend on y.
    min_samples : int, default=100
        Minimum number of calibration samples with exactly a pattern, for
        `patterns="mondrian"`.
    cv : int, float, splitter, iterable or "prefit", default=5
        How calibration samples are held out. With several folds, all samples are
        calibration samples, and the predictions of the models of all folds are
        combined: CV+ for an int, and jackknife+ for
        :class:`~sklearn.model_selection.LeaveOneOut`. A float is the share of samples
        that are held out once, by split conformal prediction. With "prefit",
        `estimator` is fitted, and all samples are calibration samples. If `groups` are
        given to `fit`, each group is in one fold. If a splitter holds out a sample
        several times, its last fold counts.
    random_state : int, RandomState instance or None, default=None
        Seed of the split if `cv` is a float, and of the default estimator.

    Attributes
    ----------
    estimators_ : list
        Fitted model of each fold.
    patterns_ : list of tuple of str
        Patterns with calibration samples: those of the training samples, each modality
        alone, and for up to 6 modalities all others. For more modalities, a pattern
        with too few samples is reduced to one with enough, by dropping one after the
        other.
    n_calibration_samples_ : ndarray of shape (n_patterns,)
        Number of calibration samples of each pattern.
    """

    _parameter_constraints: dict = {
        **WrappedEstimator._parameter_constraints,
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "patterns": [StrOptions({"mondrian", "nested", "weighted"})],
        "min_samples": [Interval(Integral, 1, None, closed="left")],
        "cv": [
            Interval(Integral, 2, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"prefit"}),
            "cv_object",
        ],
        "random_state": ["random_state"],
    }

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit the estimator, and compute the scores of calibration samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. Samples in which nothing is observed are
            left out, with a warning.
        y : array-like of shape (n_samples,)
            Class labels, or numbers to predict.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Number of times that each sample counts, for the estimator and for the
            calibration. Weights with a mean below 1 are scaled to a mean of 1.
        groups : array-like of shape (n_samples,) or None, default=None
            Groups of the samples, such as persons. Each group is in one fold. A
            splitter gets the groups in `split`.

        Returns
        -------
        %(self)s

        Raises
        ------
        ValueError
            If no pattern has enough calibration samples for `confidence`, if
            `estimator` does not accept NaN or the weights, or if `cv` holds out samples
            to which it is fitted.
        sklearn.exceptions.NotFittedError
            If `cv="prefit"`, and `estimator` is not fitted.
        """
        self._templates()  # raises if an estimator does not fit
        self._method = self.method  # another one needs another calibration
        data = self._read_training(X, y, sample_weight, groups)
        needed, n_samples = count_needed(self.confidence), len(data.codes)
        if n_samples < needed:
            of = ""
            if data.labels is not None:
                of = f" of {count(len(data.labels), 'class', 'classes')}"
            raise ValueError(
                f"confidence={self.confidence:g} needs at least {needed} "
                f"calibration samples; got n_samples={n_samples}{of}."
            )
        if self._prefit:
            self._seen[:] = True  # the estimator may know more modalities
        self._fit_all(self._read_classes(data), X)
        return self

    # ------------------------------------------------------------------ estimators

    @property
    def _inner(self):
        """The estimator, or the first of a pair."""
        pair = isinstance(self.estimator, (list, tuple))
        return self.estimator[0] if pair else self.estimator

    def _template(self, dtype):
        """Return the estimators of a fold, and the dtype that they are fitted in."""
        templates = self._templates()
        if self._prefit:
            for template in templates:
                check_is_fitted(template, msg=UNFITTED)
            return templates, dtype
        return [set_modalities(clone(t), self.modalities_) for t in templates], dtype

    def _routed(self):
        names = ["estimator", "second"]
        return dict(zip(names, self._templates()))

    # ------------------------------------------------------------------ calibration

    def _splits(self, data):
        n_samples = len(data.codes)
        if self._prefit:
            return [(np.zeros(n_samples, bool), np.ones(n_samples, bool))]
        if isinstance(self.cv, Integral) or not isinstance(self.cv, Real):
            splits = super()._splits(data)
        else:
            groups = data.given[2]
            kind = ShuffleSplit if groups is None else GroupShuffleSplit
            splitter = kind(1, test_size=self.cv, random_state=self.random_state)
            groups = None if groups is None else groups[data.used]
            try:
                ((_, test),) = splitter.split(np.zeros(n_samples), groups=groups)
            except ValueError:  # does not name cv
                test = slice(None)
            held_out = np.zeros(n_samples, dtype=bool)
            held_out[test] = True
            splits = [(~held_out, held_out)]
        if not all(inside.any() for inside, _ in splits):
            raise ValueError(
                f"cv={self.cv!r} must leave samples to fit the estimator on; got a "
                f"fold without any of the {n_samples} samples."
            )
        return splits

    def _fit_all(self, data, X):
        """Fit the models of all folds, and keep the scores of each pattern."""
        splits = self._splits(data)
        fold = np.full(len(data.codes), -1)
        for k, (_, held_out) in enumerate(splits):
            fold[held_out] = k
        plan = self._plan(data.table.presence, data.table.weight, fold)
        every = np.ones(len(fold), dtype=bool)
        alone = len(splits) == 1
        tasks = [(self._fit_final, splits[0][0] if alone else every, None)]
        if self._prefit or (alone and not self._has_own_point):
            tasks = []
        for k, (inside, _) in enumerate(splits):
            pairs = [rows[fold[rows] == k] for _, rows in plan]
            tasks.append((self._fit_fold, inside, pairs))
        task = self._fit_task.begin(len(tasks))
        results = Parallel(n_jobs=self.n_jobs, return_as=task.return_as)(
            delayed(run)(data, X, inside, pairs, [p for p, _ in plan], quiet=not alone)
            for run, inside, pairs in tasks
        )
        names = [run.__name__.removeprefix("_fit_") for run, *_ in tasks]
        results = task.collect(names, results)
        final = results.pop(0) if len(results) > len(splits) else None
        self._models = [models for models, _ in results]
        self._final = self._point(self._models[0]) if final is None else final
        self.estimators_ = [_single(models) for models in self._models]
        self.estimator_ = _single(self._final)
        self._calibrate(data, plan, fold, [scores for _, scores in results])

    def _read_classes(self, data):
        return data

    def _plan(self, presence, weight, fold):
        """Pairs of a pattern and the positions of its calibration samples."""
        n_modalities, needed = len(self._seen), count_needed(self.confidence)
        observed, known = find_patterns(presence)[0], fold >= 0
        candidates = [observed, np.eye(n_modalities, dtype=bool)]
        if n_modalities <= MOST_COMBINED:
            every = np.array(list(product([False, True], repeat=n_modalities)))
            candidates.append(every)
        else:
            samples = presence[known], weight[known]
            candidates += [reduce_pattern(p, *samples, needed)[None] for p in observed]
        candidates = find_patterns(np.concatenate(candidates))[0]
        learnt = candidates.any(axis=1) & ~candidates[:, ~self._seen].any(axis=1)
        plan, most = [], 0
        for pattern in candidates[learnt]:
            rows = (presence | ~pattern).all(axis=1) & known
            if self.patterns == "mondrian":
                exact = rows & ~(presence & ~pattern).any(axis=1)
                if weight[exact].sum() >= max(needed, self.min_samples):
                    rows = exact
            most = max(most, rows.sum())
            if weight[rows].sum() >= needed * (1 - ROUNDING):
                plan.append((pattern, np.flatnonzero(rows)))
        if not plan:
            raise ValueError(
                f"confidence={self.confidence:g} needs at least {needed} "
                f"calibration samples of a pattern; got at most {most}, of "
                f"{count(known.sum(), 'calibration sample')}."
            )
        return plan

    def _fit_fold(self, data, given, inside, pairs, patterns, quiet):
        """Fit the models of a fold; return them, and scores of pairs per pattern."""
        X = data.table.X
        with warnings.catch_warnings():
            if quiet:  # the fit to all samples has the same warnings
                warnings.simplefilter("ignore", ModalityWarning)
            models = data.template
            if not self._prefit:
                models = self._fit_models(data, given, np.flatnonzero(inside))
        owner, scores = self.modalities_.column_owner, []
        step = max(1, CHUNK_CELLS // X.shape[1])
        which = np.repeat(np.arange(len(pairs)), [len(rows) for rows in pairs])
        rows = np.concatenate(pairs)
        with warnings.catch_warnings():
            # Warnings about modalities that are hidden here would not help.
            warnings.simplefilter("ignore", ModalityWarning)
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                kept = np.array(patterns)[which[part]][:, owner]
                block = np.where(kept, X[rows[part]], np.nan)
                block = self._framed(block.astype(X.dtype), given)
                scores.append(self._score(models, block, data, rows[part]))
        scores = np.concatenate(scores) if scores else np.zeros(0)
        return models, np.split(scores, np.cumsum([len(r) for r in pairs])[:-1])

    def _fit_final(self, data, given, inside, *args, **params):
        """Fit the models of `predict` to all samples."""
        rows = np.flatnonzero(inside)
        return [
            self._fit_one(template, data, given, rows)
            for template in self._point_templates(data.template)
        ]

    def _fit_one(self, template, data, given, rows, y=None):
        """Fit a clone to some samples."""
        params, weight = {}, data.table.sample_weight
        if weight is not None:
            key = "second" if template is not data.template[0] else "estimator"
            key = key if key in self._routed() else "estimator"
            params = route_weight(self, template, weight, key)
            params = {name: value[rows] for name, value in params.items()}
        X = self._framed(data.table.X[rows], given)
        with self._hint():
            return clone(template).fit(X, data.y[rows] if y is None else y, **params)

    def _calibrate(self, data, plan, fold, scores):
        """Keep the scores of each pattern, sorted."""
        self._records = []
        for number, (pattern, rows) in enumerate(plan):
            found = np.empty(len(rows))
            for k, parts in enumerate(scores):
                found[fold[rows] == k] = parts[number]
            weight, tilt, weigher = data.table.weight[rows], np.ones(len(rows)), None
            if self.patterns == "weighted":
                tilt, weigher = self._fit_weights(data.table, pattern, rows)
            size = (weight @ tilt) ** 2 / (weight @ tilt**2)
            order = np.argsort(found, kind="stable")
            known = found[order], (weight * tilt)[order], fold[rows][order]
            self._records.append(PatternScores(pattern, *known, size, weigher))
        names = np.array(self.modalities_.names, dtype=object)
        self._patterns = np.array([pattern for pattern, _ in plan])
        self._sizes = np.array([record.size for record in self._records])
        self.patterns_ = [tuple(names[pattern]) for pattern in self._patterns]
        self.n_calibration_samples_ = np.array([len(rows) for _, rows in plan])

    def _fit_weights(self, table, pattern, rows):
        """Held-out weights of calibration samples, and the model for new samples."""
        exact = ~table.presence[rows][:, ~pattern].any(axis=1)
        few = min(exact.sum(), (~exact).sum())
        if few < WEIGHT_SAMPLES:
            return np.ones(len(rows)), None
        X = table.X[rows][:, pattern[self.modalities_.column_owner]]
        model = make_pipeline(
            SimpleImputer(keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(C=WEIGHT_C, max_iter=1000),
        )
        params = {"logisticregression__sample_weight": table.weight[rows]}
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        with config_context(enable_metadata_routing=False):
            held_out = cross_val_predict(
                model, X, exact, cv=folds, params=params, method="predict_proba"
            )
            return held_out[:, 1], model.fit(X, exact, **params)

    # ------------------------------------------------------------------ prediction

    def _choose(self, pattern):
        """Number of the record for a pattern, -1 if there is none."""
        patterns, sizes = self._patterns, self._sizes
        enough = sizes >= count_needed(self.confidence) * (1 - ROUNDING)
        usable = np.flatnonzero(enough & ~(patterns & ~pattern).any(axis=1))
        if not len(usable):
            return -1
        order = np.lexsort((sizes[usable], patterns[usable].sum(axis=1)))
        return usable[order[-1]]

    def _route(self, X, fallback):
        """Validate X; return the number of samples, and its parts by record.

        A part is samples, a record, a block for the models, and the weight of each
        sample.
        """
        self._validate_params()  # the level may be set after fit
        table = self._read_new(X, fallback)
        patterns, inverse = find_patterns(table.presence)
        chosen = np.array([self._choose(pattern) for pattern in patterns])
        own = self._patterns[chosen]
        own[chosen < 0] = False
        self._warn_reduced(table, patterns, inverse, chosen, own, fallback)
        reduced = table.hide(~own[inverse] & table.presence)
        parts = []
        for i in np.unique(chosen[chosen >= 0]):
            rows, record = np.flatnonzero(chosen[inverse] == i), self._records[i]
            block = reduced.X[rows]
            columns = record.pattern[self.modalities_.column_owner]
            weight = record.own_weight(block[:, columns])
            parts.append((rows, record, self._framed(block, X), weight))
        return len(table), parts

    def _warn_reduced(self, table, patterns, inverse, chosen, own, fallback):
        """Warn about patterns with too few calibration samples."""
        filled = patterns.any(axis=1)
        needed = count_needed(self.confidence)
        for odd, fate in (
            (filled & (chosen >= 0) & (own != patterns).any(axis=1),
             "they are calibrated with fewer of their modalities"),
            (filled & (chosen < 0), f"they are given {fallback}"),
        ):  # fmt: skip
            if odd.any():
                table.warn(
                    f"{odd[inverse].sum()} of {len(table)} samples have "
                    f"{count(odd.sum(), 'pattern')} of modalities with fewer than the "
                    f"{needed} calibration samples that "
                    f"confidence={self.confidence:g} needs; {fate}."
                )

    def _each_model(self, predict, block):
        """Results of the models of all folds, of which only the first one warns."""
        results = []
        for models in self._models:
            with warnings.catch_warnings():
                if results:
                    warnings.simplefilter("ignore", ModalityWarning)
                results.append(predict(models, block))
        return results

    def _validated(self, X):
        """X for the estimator of `predict`."""
        fate = "predicted by the estimator as it predicts such samples"
        return self._read_inner(X, fate)[1]


def _single(models):
    """The only model of a list, or a pair of models."""
    return models[0] if len(models) == 1 else tuple(models[:2])


@shared_docs
class PatternConformalClassifier(ClassifierMixin, PatternConformal):
    """Prediction sets that cover the true class for each pattern of modalities.

    A classifier is calibrated on held-out samples, for each pattern of observed
    modalities separately. The set of a new sample contains its class with probability
    `confidence`, also among samples with the same modalities. Sets of hard
    patterns are larger.

    Read more in the :ref:`User Guide <conformal>`.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Classifier with `predict_proba` that accepts NaN. None is
        :class:`~skmissing.ensemble.LateFusionClassifier`. Parameters `modalities` of
        the classifier or its steps that are None are set to `modalities`, and if this
        is None, those of the classifier are used.
    %(confidence)s
    method : {"lac", "aps", "raps"}, default="lac"
        Score of a class. "lac" is 1 minus its probability, for the smallest sets on
        average [1]_. "aps" is the sum of the probabilities of all classes at least as
        probable, without randomisation, for sets that adapt to the difficulty of the
        sample [2]_. "raps" adds 0.1 for each more probable class, for fewer large sets
        [3]_. With "aps" and "raps", a set that would be empty contains the most
        probable class.
    %(patterns, min_samples, modalities, cv, random_state, n_jobs)s

    Attributes
    ----------
    %(classes_)s
    estimator_ : classifier
        Classifier of `predict` and `predict_proba`, fitted to all samples. If there is
        only one fold, it is that of the fold.
    %(estimators_, patterns_, n_calibration_samples_)s
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    PatternConformalRegressor : Prediction intervals.
    coverage_by_pattern : Coverage and size of the sets on test samples.

    Notes
    -----
    Let :math:`w_i` be the weights of the calibration samples of a pattern, :math:`s_i`
    their scores, and w the weight of the new sample. The set contains the classes y
    with

    .. math::
        \\sum_i w_i \\, 1[s_i < s_{k(i)}(x, y)] < c \\, (w + \\sum_i w_i) ,

    where c is the confidence level, and :math:`s_{k(i)}` the score by the model that
    was fitted without sample i. Weights are 1, or `sample_weight`, times the ratio
    :math:`P(M = S \\mid x_S) / P(M \\supseteq S \\mid x_S)` for "weighted" [4]_. It is
    estimated by logistic regression on the modalities S of the pattern, out of fold.
    For split conformal prediction, the coverage is at least c if the samples of the
    pattern are exchangeable with its calibration samples. With several folds, the
    guarantee is 2c - 1, but the coverage is about c in practice [2]_ [5]_.

    c / (1 - c) calibration samples are needed, for example 19 for 0.95. A pattern with
    fewer is reduced to one with fewer modalities, with a warning: the one with the most
    modalities, and among these the most samples. If there is none, the set contains all
    classes. So it does if nothing is observed. Sets can be empty with "lac": no class
    is as probable as the true classes of the calibration samples were. They count as
    errors.

    References
    ----------
    .. [1] Sadinle, M., Lei, J. and Wasserman, L. "Least ambiguous set-valued
       classifiers with bounded error levels." JASA 114(525), 2019.
    .. [2] Romano, Y., Sesia, M. and Candes, E. "Classification with valid and adaptive
       coverage." NeurIPS 2020.
    .. [3] Angelopoulos, A. et al. "Uncertainty sets for image classifiers using
       conformal prediction." ICLR 2021.
    .. [4] Tibshirani, R. J. et al. "Conformal prediction under covariate shift."
       NeurIPS 2019.
    .. [5] Barber, R. F. et al. "Predictive inference with the jackknife+." Annals of
       Statistics 49(1), 2021.
    .. [6] Zaffran, M. et al. "Conformal prediction with missing values." ICML 2023.
       The source of "nested".

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import PatternConformalClassifier
    >>> from skmissing.ensemble import LateFusionClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> X[::2, :32] = np.nan  # the upper half is missing in every other sample
    >>> model = PatternConformalClassifier(
    ...     LateFusionClassifier("linear"), modalities={"upper": 32, "lower": 32}
    ... )
    >>> sets = model.fit(X[:1200], y[:1200]).predict_set(X[1200:])
    >>> sizes = sets.sum(axis=1)
    >>> print(f"{sizes[::2].mean():.2f} {sizes[1::2].mean():.2f}")
    1.37 1.04
    """

    _parameter_constraints: dict = {
        **PatternConformal._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "method": [StrOptions({"lac", "aps", "raps"})],
    }
    _has_own_point = False

    def __init__(
        self,
        estimator=None,
        *,
        confidence=0.9,
        method="lac",
        patterns="mondrian",
        min_samples=100,
        modalities=None,
        cv=5,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.confidence = confidence
        self.method = method
        self.patterns = patterns
        self.min_samples = min_samples
        self.modalities = modalities
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _templates(self):
        if self.estimator is None:
            return [make_default(LateFusionClassifier, random_state=self.random_state)]
        return [self.estimator]

    def _point_templates(self, templates):
        return templates

    def _point(self, models):
        return models

    def _fit_models(self, data, given, rows):
        template = data.template[0]
        if len(np.unique(data.codes[rows])) == 1:
            template = DummyClassifier(strategy="prior")
        return [self._fit_one(template, data, given, rows)]

    def _read_classes(self, data):
        """Use the classes of a fitted classifier."""
        if self._prefit:
            self._use_classes_of(data.template[0])
        return data

    def _proba(self, models, X):
        """Probabilities of all classes by a model of a fold."""
        with self._hint():
            proba = read_proba(models[0], X)
        return align(proba, models[0].classes_, self.classes_)

    def _score(self, models, X, data, rows):
        scores = class_scores(self._proba(models, X), self._method)
        codes = np.searchsorted(self.classes_, data.y[rows])
        return scores[np.arange(len(rows)), codes]

    @in_pieces
    def predict_set(self, X):
        """Predict the set of classes of each sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype bool
            Whether a class is in the set, in the order of `classes_`.
        """
        check_is_fitted(self)
        n_samples, parts = self._route(X, "all classes")
        out = np.ones((n_samples, len(self.classes_)), dtype=bool)
        for rows, record, block, weight in parts:
            below, probas = 0.0, self._each_model(self._proba, block)
            for k, proba in enumerate(probas):
                own = record.fold == k
                scores = class_scores(proba, self._method)
                below += mass_below(scores, record.scores[own], record.weight[own])
            limit = limit_mass(self.confidence, record.weight.sum(), weight)
            sets = below < limit[:, None]
            if self._method != "lac":
                empty = np.flatnonzero(~sets.any(axis=1))
                sets[empty, np.sum(probas, axis=0)[empty].argmax(axis=1)] = True
            out[rows] = sets
        return out

    def predict_proba(self, X):
        """Predict class probabilities with the estimator fitted to all samples.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated(X)
        return self.estimator_.predict_proba(X)

    def predict(self, X, reject=None):
        """Predict the class with the estimator fitted to all samples.

        Parameters
        ----------
        %(X)s
        reject : {None, "abstain"}, default=None
            "abstain" predicts the class of each set that has exactly one. All other
            samples are masked.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels. A :class:`numpy.ma.MaskedArray` for "abstain".
        """
        check_reject(reject)
        if reject is None:
            X = self._validated(X)
            return self.estimator_.predict(X)
        sets = self.predict_set(X)
        labels = self.classes_[sets.argmax(axis=1)]
        return np.ma.MaskedArray(labels, mask=sets.sum(axis=1) != 1)


@shared_docs
class PatternConformalRegressor(RegressorMixin, PatternConformal):
    """Prediction intervals that cover the true value for each pattern of modalities.

    A regressor is calibrated on held-out samples, for each pattern of observed
    modalities separately. The interval of a new sample contains its value with
    probability `confidence`, also among samples with the same modalities. See
    :class:`PatternConformalClassifier` for the method and its limits.

    Read more in the :ref:`User Guide <conformal>`.

    Parameters
    ----------
    estimator : regressor, pair of regressors, or None, default=None
        Regressor that accepts NaN. None is
        :class:`~skmissing.ensemble.LateFusionRegressor`, and
        :class:`~sklearn.ensemble.HistGradientBoostingRegressor` for "cqr". A pair is
        the regressor and that of the absolute residuals for "normalized", and the
        regressors of the lower and the upper quantile for "cqr". Parameters
        `modalities` are set as in :class:`PatternConformalClassifier`.
    %(confidence)s
    method : {"absolute", "normalized", "cqr"}, default="absolute"
        Score of a value. "absolute" is its distance from the prediction, so all
        intervals of a pattern have the same width. "normalized" divides it by a spread,
        which a second model predicts. A clone of `estimator` is fitted to the absolute
        residuals of three folds of the training samples. "cqr" is the distance from the
        interval between two predicted quantiles [1]_. They are predicted by clones
        with other values of the parameter `quantile` of `estimator` or its last step. A
        parameter `loss` beside it is set to "quantile".
    %(patterns, min_samples, modalities, cv, random_state, n_jobs)s

    Attributes
    ----------
    estimator_ : regressor or pair of regressors
        Regressor of `predict`, fitted to all samples. If there is only one fold, it is
        that of the fold. For "cqr", it predicts the median. A pair is averaged.
    %(estimators_, patterns_, n_calibration_samples_)s
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    PatternConformalClassifier : Prediction sets, with the formula.
    coverage_by_pattern : Coverage and width of the intervals on test samples.

    Notes
    -----
    Each calibration sample i gives the bounds :math:`l_{k(i)}(x) - \\sigma_{k(i)}(x)
    s_i` and :math:`u_{k(i)}(x) + \\sigma_{k(i)}(x) s_i` by the model that was fitted
    without it. The interval ends at the weighted quantiles of these bounds [2]_, where
    the mass beyond the quantile, including that of the new sample, is at most 1 - c.
    Intervals are infinite if nothing is observed, or if no pattern among the modalities
    of the sample has enough calibration samples.

    References
    ----------
    .. [1] Romano, Y., Patterson, E. and Candes, E. "Conformalized quantile regression."
       NeurIPS 2019.
    .. [2] Barber, R. F. et al. "Predictive inference with the jackknife+." Annals of
       Statistics 49(1), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import PatternConformalRegressor
    >>> from skmissing.ensemble import LateFusionRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[::3, :4] = np.nan
    >>> X[1::3, 4:] = np.nan
    >>> model = PatternConformalRegressor(
    ...     LateFusionRegressor("linear"), modalities={"body": 4, "blood": 6}
    ... )
    >>> intervals = model.fit(X[:300], y[:300]).predict_interval(X[300:303])
    >>> np.diff(intervals).ravel().round()
    array([194., 190., 177.])
    """

    _parameter_constraints: dict = {
        **PatternConformal._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), list, tuple, None],
        "method": [StrOptions({"absolute", "normalized", "cqr"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        confidence=0.9,
        method="absolute",
        patterns="mondrian",
        min_samples=100,
        modalities=None,
        cv=5,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.confidence = confidence
        self.method = method
        self.patterns = patterns
        self.min_samples = min_samples
        self.modalities = modalities
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _without_unit(self, y, weight):
        check_squares(y)
        return y

    def _templates(self):
        estimator, score = self.estimator, self.method
        paired = isinstance(estimator, (list, tuple))
        members = list(estimator) if paired else [estimator]
        fits = not paired or (len(members) == 2 and score != "absolute")
        if not fits or not all(e is None or _may_regress(e) for e in members):
            wanted = "a pair of regressors" if paired else "a regressor"
            if score == "absolute":
                wanted = "a regressor"
            raise ValueError(
                f"estimator must be {wanted} for method={score!r}; got {estimator!r}."
            )
        if paired:
            return members
        if self._prefit and score != "absolute":
            raise ValueError(
                f"estimator must be a pair of fitted regressors for cv='prefit' and "
                f"method={score!r}; got {estimator!r}."
            )
        if score == "cqr":
            if estimator is None:
                estimator = HistGradientBoostingRegressor(
                    loss="quantile", quantile=0.5, random_state=self.random_state
                )
                if get_config()["enable_metadata_routing"]:
                    estimator.set_fit_request(sample_weight=True)
            low = (1 - self.confidence) / 2
            return [_at_quantile(estimator, q) for q in (low, 1 - low)]
        if estimator is None:
            estimator = make_default(
                LateFusionRegressor, random_state=self.random_state
            )
        return [estimator] * (1 + (score == "normalized"))

    @property
    def _has_own_point(self):
        """Whether `predict` needs a model besides those of the intervals."""
        pair = isinstance(self.estimator, (list, tuple))
        return self.method == "cqr" and not pair

    def _point_templates(self, templates):
        if self._has_own_point:
            return [_at_quantile(templates[0], 0.5)]
        return self._point(templates)

    def _point(self, models):
        return models if self.method == "cqr" else models[:1]

    def _fit_models(self, data, given, rows):
        models = [self._fit_one(data.template[0], data, given, rows)]
        if self.method == "cqr":
            models.append(self._fit_one(data.template[1], data, given, rows))
        elif self.method == "normalized":
            residuals = self._residuals(data, given, rows)
            spread = self._fit_one(data.template[1], data, given, rows, residuals)
            models += [spread, SPREAD_FLOOR * residuals.mean()]
        return models

    def _residuals(self, data, given, rows):
        """Absolute residuals of samples that are held out among some samples."""
        groups = data.given[2]
        codes = np.zeros(len(rows), dtype=np.intp)
        if groups is None:
            folds = deal_folds(codes, SPREAD_FOLDS, False)
        else:
            folds = deal_groups(codes, groups[data.used][rows], SPREAD_FOLDS, False)
        residuals = np.zeros(len(rows))
        for k in np.unique(folds):
            inside = rows[folds != k] if len(np.unique(folds)) > 1 else rows
            model = self._fit_one(data.template[0], data, given, inside)
            held_out = rows[folds == k]
            X = self._framed(data.table.X[held_out], given)
            residuals[folds == k] = np.abs(data.y[held_out] - model.predict(X))
        return residuals

    def _ends(self, models, X):
        """Lower and upper predictions, and spreads: (3, n_samples)."""
        with self._hint():
            values = [np.asarray(model.predict(X)) for model in models[:2]]
        for k, (model, value) in enumerate(zip(models, values)):
            if value.size != len(X) or value.dtype.kind not in "biuf":
                raise ValueError(
                    f"estimator must predict one number per sample; {model!r} predicts "
                    f"an array of dtype {value.dtype} and shape {value.shape}."
                )
            values[k] = check_finite(value.ravel(), model)
        low = high = values[0]
        spread = np.ones(len(low))
        if self._method == "cqr":
            high = values[1]
        elif self._method == "normalized":
            spread = np.maximum(values[1], models[2]) if len(models) > 2 else values[1]
            if not (spread > 0).all():
                raise ValueError(
                    "The second of the two estimators of method='normalized' must "
                    "predict a positive spread; got "
                    f"{spread.min():g} as the smallest."
                )
        return np.stack([low, high, spread])

    def _score(self, models, X, data, rows):
        low, high, spread = self._ends(models, X)
        y = data.y[rows]
        return np.maximum(low - y, y - high) / spread

    @in_pieces
    def predict_interval(self, X):
        """Predict an interval per sample.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, 2)
            Lower and upper ends. If they would cross, both are the middle.
        """
        check_is_fitted(self)
        n_samples, parts = self._route(X, "an infinite interval")
        out = np.tile([-np.inf, np.inf], (n_samples, 1))
        for rows, record, block, weight in parts:
            ends = np.stack(self._each_model(self._ends, block), axis=1)
            low, high, spread = ends
            limit = limit_mass(self.confidence, record.weight.sum(), weight)
            known = record.scores, record.weight, record.fold, limit
            out[rows, 0] = -upper_bounds(-low, spread, *known)
            out[rows, 1] = upper_bounds(high, spread, *known)
        crossed = out[:, 0] > out[:, 1]
        out[crossed] = out[crossed].mean(axis=1, keepdims=True)
        return out

    def predict(self, X):
        """Predict with the estimator fitted to all samples.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,)
            Predicted values.
        """
        X = self._validated(X)
        return np.mean([np.ravel(model.predict(X)) for model in self._final], axis=0)


def _may_regress(estimator):
    """Whether this is an estimator, and not a classifier."""
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        return False
    return not (isinstance(estimator, BaseEstimator) and is_classifier(estimator))


def _at_quantile(estimator, quantile):
    """Clone that predicts a quantile."""
    estimator = clone(estimator)
    params = estimator.get_params()
    paths = [name for name in params if QUANTILE.search(name)]
    if not paths:
        raise ValueError(
            "estimator must have a parameter `quantile` for method='cqr', or "
            f"be a pair of regressors; got {estimator!r}."
        )
    for path in paths:
        loss = path.removesuffix("quantile") + "loss"
        changes = {loss: "quantile"} if loss in params else {}
        estimator.set_params(**{path: quantile}, **changes)
    return estimator
