"""Pattern models: one model per combination of modalities."""

from functools import partial
from itertools import product
from numbers import Integral

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing.ensemble._base import (
    FLOOR,
    BlockEnsemble,
    predict_values,
    take_block,
)

# Maximum number of modalities for which every combination can get a model.
MAX_MODALITIES = 10
# More models than this cause a warning.
MANY_MODELS = 256
# Maximum number of cells of the patterns-by-patterns table at a time.
CHUNK_CELLS = 1 << 18


def count_rows(candidates, presence):
    """Count samples with at least the modalities of each pattern, (n_patterns,)."""
    found, inverse = find_patterns(presence)
    counts = np.bincount(inverse, minlength=len(found))
    missing = (~found).T.astype(np.float32)
    out = np.empty(len(candidates), dtype=np.int64)
    step = max(1, CHUNK_CELLS // len(found))
    for start in range(0, len(candidates), step):
        n_missing = candidates[start : start + step].astype(np.float32) @ missing
        out[start : start + step] = (n_missing == 0) @ counts
    return out


class PatternEnsemble(BlockEnsemble):
    """Fit one model per combination of modalities, and choose one per sample.

    Parameters
    ----------
    patterns : {"observed", "all"}, default="observed"
        Which combinations get a model. "observed" is the combinations that occur in
        training. "all" is every combination, for at most ten modalities. Use it if
        training samples are more complete than new samples. In both cases, each single
        modality gets a model.
    min_samples : int, default=30
        Minimum number of training samples for a model of several modalities. If there
        are fewer samples in total, all samples must have these modalities. For other
        combinations, models of fewer modalities are used.

    Attributes
    ----------
    patterns_ : list of tuple of str
        Names of the modalities of each model.
    estimators_ : list
        Fitted models, in the order of `patterns_`. To map combinations to models, use
        ``dict(zip(model.patterns_, model.estimators_))``.
    n_training_samples_ : ndarray of shape (n_models,)
        Number of training samples of each model.
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "patterns": [StrOptions({"observed", "all"})],
        "min_samples": [Interval(Integral, 1, None, closed="left")],
        "select": [StrOptions({"score", "largest"})],
    }

    def _fit_patterns(self, data, reader):
        """Fit the models, and compute scores if `select` needs them.

        `reader(rows, held_out)` returns a function that takes a model fitted on `rows`
        and the held-out block, and returns one score per sample.
        """
        presence = data.table.presence
        candidates = self._candidates(data.table)
        n_rows = count_rows(candidates, presence)
        # A pattern that all samples contain is not rare, even if there are few samples.
        enough = min(self.min_samples, len(presence))
        alone = candidates.sum(axis=1) == 1
        kept = (n_rows >= enough) | (alone & (n_rows > 0))
        self._patterns = candidates[kept]
        self.n_training_samples_ = n_rows[kept]
        if self.patterns == "observed" and len(self._patterns) > MANY_MODELS:
            data.table.warn(
                f"{len(self._patterns)} combinations of modalities get one model each, "
                f"because each has at least min_samples={self.min_samples} training "
                "samples. A larger min_samples reduces their number."
            )
        names = np.array(self.modalities_.names, dtype=object)
        self.patterns_ = [tuple(names[pattern]) for pattern in self._patterns]
        support = [(presence | ~p).all(axis=1) for p in self._patterns]
        columns = [self._columns_of(p) for p in self._patterns]
        scored = self.select == "score" and len(support) > 1
        self._fit_task.begin(1 + scored)
        self._models = self._fit_blocks(data, list(zip(support, columns)), "models")
        self.scores_ = np.full(len(support), np.nan)
        if scored:
            self._fit_scores(data, support, columns, reader)

    def _candidates(self, table):
        """Combinations to fit: those of `patterns`, and each single modality."""
        n_modalities = len(self._seen)
        self._observed = table.patterns[0]
        if self.patterns == "observed":
            alone = np.eye(n_modalities, dtype=bool)[self._seen]
            return find_patterns(np.concatenate([self._observed, alone]))[0]
        n_seen = int(self._seen.sum())
        if n_seen > MAX_MODALITIES:
            raise ValueError(
                "patterns='all' fits 2**n_modalities - 1 models, so n_modalities must "
                f"be at most {MAX_MODALITIES}; got {n_seen}. Use patterns='observed'."
            )
        subsets = np.array(list(product([False, True], repeat=n_seen))[1:])
        every = np.zeros((len(subsets), n_modalities), dtype=bool)
        every[:, self._seen] = subsets
        return every

    def _columns_of(self, pattern):
        """Columns of a combination, in the order of the layout."""
        modalities = self.modalities_.values()
        return np.concatenate([m.columns for m, had in zip(modalities, pattern) if had])

    def _fit_scores(self, data, support, columns, reader):
        """Weighted mean score of the model of each pattern on held-out samples."""
        places, blocks = [], []
        for inside, outside in self._splits(data):
            for i, rows in enumerate(support):
                fitted, held_out = inside & rows, outside & rows
                if fitted.any() and held_out.any():
                    places.append((i, data.table.weight[held_out]))
                    read = reader(fitted, held_out)
                    blocks.append((fitted, columns[i], held_out, read))
        totals, masses = np.zeros((2, len(support)))
        scored = self._fit_blocks(data, blocks, "scores")
        for (i, weight), scores in zip(places, scored):
            totals[i] += weight @ scores
            masses[i] += weight.sum()
        tested = masses > 0
        self.scores_[tested] = totals[tested] / masses[tested]

    def _choose(self, pattern):
        """Index of the model for samples with this pattern."""
        usable = np.flatnonzero((pattern | ~self._patterns).all(axis=1))
        scores = np.nan_to_num(self.scores_[usable], nan=-np.inf)
        sizes = self._patterns[usable].sum(axis=1)
        order = np.lexsort((self.n_training_samples_[usable], sizes, scores))
        return usable[order[-1]]

    def _route(self, X, fallback):
        """Return the number of samples and, per model, its samples, index and block."""
        table = self._read_new(X, fallback)
        patterns, inverse = find_patterns(table.presence)
        chosen = np.full(len(patterns), -1)
        unseen = np.zeros(len(patterns), dtype=bool)
        known = np.concatenate([self._patterns, self._observed])
        for p in np.flatnonzero(patterns.any(axis=1)):
            chosen[p] = self._choose(patterns[p])
            unseen[p] = not (known == patterns[p]).all(axis=1).any()
        if unseen.any():
            advice = "patterns='all' fits a model for every combination"
            if self.patterns == "all":
                least = f"min_samples={self.min_samples}"
                advice = f"fewer than {least} training samples have it"
            table.warn(
                f"{unseen[inverse].sum()} of {len(inverse)} samples have "
                f"{count(unseen.sum(), 'combination')} of modalities not seen in the "
                "training samples. Models of fewer modalities are used for them "
                f"({advice})."
            )
        by_row = chosen[inverse]
        routes = []
        for i in np.unique(chosen[chosen >= 0]):
            rows = np.flatnonzero(by_row == i)
            columns = self._columns_of(self._patterns[i])
            routes.append((rows, i, take_block(table.X, rows, columns, self._means)))
        return len(inverse), routes


def _hits(model, block, codes):
    """1 for each correctly classified sample, otherwise 0."""
    return (model.predict(block) == codes).astype(np.float64)


def _log_score(model, block, codes):
    """Log-probability of the class of each sample."""
    every = model.predict_proba(block, FLOOR)
    return np.log(every[np.arange(len(codes)), codes])


def _negative_error(model, block, target):
    """Minus the squared error of each sample."""
    return -((predict_values(model, block) - target) ** 2)


def _has_probabilities(self):
    if self.estimator is None:
        return True
    # Raises the inner estimator's AttributeError, which says why.
    self.estimator.predict_proba  # noqa: B018
    return True


@shared_docs
class PatternClassifier(ClassifierMixin, PatternEnsemble):
    """Classifier with one model per combination of modalities.

    A combination that occurs in training gets a clone of `estimator`. It is fitted on
    the columns of these modalities, for all samples that have at least them. A new
    sample is classified by one of the models whose modalities it has. Nothing is
    imputed, and modalities may interact. With many missing modalities in training, the
    models of many modalities have few samples: compare with
    :class:`LateFusionClassifier`.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Classifier. None is logistic regression on standardised columns with `C=0.05`.
    %(modalities, patterns, min_samples)s
    select : {"score", "largest"}, default="score"
        Which model is used if several apply to a sample. "score" selects the model
        with the best cross-validated score, which may have fewer modalities but more
        training samples. It takes `cv` more fits per combination. "largest" selects the
        model with the most modalities, and among these the most training samples.
    cv : int, splitter or iterable, default=5
        Folds for `select="score"`. An int is the number of folds of
        :class:`~sklearn.model_selection.StratifiedKFold`, without shuffling. Classes
        with fewer samples than folds are spread over as many folds as they have
        samples. If `groups` are given to `fit`, an int is the number of folds of
        :class:`~sklearn.model_selection.StratifiedGroupKFold`.
    class_weight : "balanced", dict or None, default=None
        Factor of the weight of each class. "balanced" gives all classes the same total
        weight.
    %(n_jobs)s

    Attributes
    ----------
    %(classes_)s
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class frequencies, which are predicted for samples without any
        modality.
    %(patterns_, estimators_, n_training_samples_)s
    scores_ : ndarray of shape (n_models,)
        Mean log-probability of the true class on held-out samples, or accuracy if
        `estimator` has no `predict_proba`. NaN if not needed.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    PatternRegressor : The same for regression.
    LateFusionClassifier : Models per modality, whose predictions are combined.

    Notes
    -----
    If a combination first appears in `predict`, models of fewer modalities are used,
    with a warning. The scores of different models are computed on different samples.
    They are not comparable if the class influences which modalities are missing. In
    that case, `select="largest"` is the safer choice.

    Missing cells of a partially observed modality are filled with the mean of the
    training column, unless the tags of `estimator` state that it accepts NaN. A class
    without training samples of a model has the probability 1 / (n_samples + n_classes),
    where n_samples is that of the model. Sample weights are treated as in
    :class:`LateFusionClassifier`. For multilabel targets, use
    ``OneVsRestClassifier(PatternClassifier())``.

    The models are pattern submodels [1]_, except that patterns share samples. Surveys
    of missing modalities call this dedicated training.

    References
    ----------
    .. [1] Fletcher Mercaldo, S. and Blume, J. D. "Missing data and prediction: the
       pattern submodel." Biostatistics 21(2), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import PatternClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> X[::3, :32] = np.nan  # the upper half is missing in every third sample
    >>> model = PatternClassifier(modalities={"upper": 32, "lower": 32})
    >>> model.fit(X[:1200], y[:1200]).patterns_
    [('lower',), ('upper',), ('upper', 'lower')]
    >>> model.n_training_samples_
    array([1200,  800,  800])
    """

    _parameter_constraints: dict = {
        **PatternEnsemble._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        estimator=None,
        *,
        modalities=None,
        patterns="observed",
        min_samples=30,
        select="score",
        cv=5,
        class_weight=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.patterns = patterns
        self.min_samples = min_samples
        self.select = select
        self.cv = cv
        self.class_weight = class_weight
        self.n_jobs = n_jobs

    def _fit(self, data):
        # All models need the same kind of score. A model of a single class is a dummy,
        # which has probabilities even if the other models do not.
        has_probabilities = hasattr(data.template, "predict_proba")
        score = _log_score if has_probabilities else _hits

        def reader(rows, held_out):
            return partial(score, codes=data.codes[held_out])

        self.class_prior_ = data.class_frequencies()
        self._fit_patterns(data, reader)
        self.estimators_ = [fitted.model for fitted in self._models]

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Samples in which nothing is observed get
            `class_prior_`, with a warning.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        n_samples, routes = self._route(X, "the class frequencies of training")
        out = np.tile(self.class_prior_, (n_samples, 1))
        for rows, i, block in routes:
            out[rows] = self._models[i].predict_proba(block)
        return out

    @available_if(_has_probabilities)
    def predict_log_proba(self, X):
        """Predict the logarithms of the class probabilities.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return np.log(self.predict_proba(X))

    def predict(self, X):
        """Predict the class with the chosen model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Samples in which nothing is observed get
            the most frequent class, with a warning.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        n_samples, routes = self._route(X, "the most frequent class of training")
        out = np.empty(n_samples, dtype=self.classes_.dtype)
        out[:] = self.classes_[self.class_prior_.argmax()]
        for rows, i, block in routes:
            out[rows] = self.classes_[self._models[i].predict(block)]
        return out


@shared_docs
class PatternRegressor(RegressorMixin, PatternEnsemble):
    """Regressor with one model per combination of modalities.

    A combination that occurs in training gets a clone of `estimator`. It is fitted on
    the columns of these modalities, for all samples that have at least them. A new
    sample is predicted by one of the models whose modalities it has. See
    :class:`PatternClassifier` for the idea and its limits.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Regressor. None is Bayesian ridge regression on standardised columns.
    %(modalities, patterns, min_samples)s
    select : {"score", "largest"}, default="score"
        Which model is used if several apply to a sample. "score" selects the model
        with the best cross-validated score, which takes `cv` more fits per combination.
        "largest" selects the model with the most modalities, and among these the most
        training samples.
    cv : int, splitter or iterable, default=5
        Folds for `select="score"`. An int is the number of folds of
        :class:`~sklearn.model_selection.KFold`, without shuffling. If samples are
        sorted by the target, pass ``KFold(5, shuffle=True, random_state=0)``.
    %(n_jobs)s

    Attributes
    ----------
    target_mean_ : float
        Weighted mean of y, which is predicted for samples without any modality.
    %(patterns_, estimators_, n_training_samples_)s
    scores_ : ndarray of shape (n_models,)
        Minus the mean squared error on held-out samples. NaN if not needed.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    PatternClassifier : The same for classification, with notes and references.
    LateFusionRegressor : Models per modality, whose predictions are combined.

    Notes
    -----
    Partially observed modalities, combinations that first appear in `predict`, and the
    comparison of scores are as in :class:`PatternClassifier`. For several targets, use
    ``MultiOutputRegressor(PatternRegressor())``.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import PatternRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[::3, :4] = np.nan
    >>> model = PatternRegressor(modalities={"body": 4, "blood": 6})
    >>> model.fit(X[:300], y[:300]).patterns_
    [('blood',), ('body',), ('body', 'blood')]
    """

    def __init__(
        self,
        estimator=None,
        *,
        modalities=None,
        patterns="observed",
        min_samples=30,
        select="score",
        cv=5,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.patterns = patterns
        self.min_samples = min_samples
        self.select = select
        self.cv = cv
        self.n_jobs = n_jobs

    def _fit(self, data):
        def reader(rows, held_out):
            return partial(_negative_error, target=data.y[held_out])

        self._fit_patterns(data, reader)
        self.estimators_ = self._models
        self.scores_ *= (self._deviation or 1.0) ** 2

    def predict(self, X):
        """Predict one number per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Samples in which nothing is observed get
            `target_mean_`, with a warning.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions.
        """
        check_is_fitted(self)
        n_samples, routes = self._route(X, "the mean target of training")
        out = np.full(n_samples, self.target_mean_)
        for rows, i, block in routes:
            out[rows] = self._with_unit(predict_values(self._models[i], block))
        return out
