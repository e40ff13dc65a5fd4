"""Late fusion: one model per modality, whose predictions are combined."""

from functools import partial

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import HasMethods, StrOptions
from skmissing._docs import shared_docs
from skmissing.ensemble._base import (
    FLOOR,
    BlockEnsemble,
    predict_all_classes,
    predict_values,
    take_block,
)
from skmissing.ensemble._stacking import (
    combine_evidence,
    fit_stacking,
    joint_covariance,
    regression_weights,
)


class LateFusion(BlockEnsemble):
    """Fits one model per modality; subclasses combine the predictions."""

    def __init__(
        self, estimator=None, *, modalities=None, combine="stacked", cv=5, n_jobs=None
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.combine = combine
        self.cv = cv
        self.n_jobs = n_jobs

    def _fit_models(self, data):
        """Fit one model per observed modality, on the samples that have it."""
        known = np.flatnonzero(self._seen)
        columns = self.modalities_.columns
        blocks = [(data.table.presence[:, m], columns[m]) for m in known]
        self.estimators_ = self._fit_blocks(data, blocks)
        names = [self.modalities_.names[m] for m in known]
        self.named_estimators_ = Bunch()
        self.named_estimators_.update(zip(names, self.estimators_))

    def _cross_predict(self, data, out, reader):
        """Fill `out[:, m]` with predictions of models not fitted on the sample.

        `reader(rows)` returns a function that is called with a model fitted on `rows`
        and with the held-out block. `out` stays NaN where no sample outside the fold
        has the modality.
        """
        places, blocks = [], []
        presence = data.table.presence
        for inside, outside in self._splits(data):
            for m in np.flatnonzero(self._seen):
                rows, held_out = inside & presence[:, m], outside & presence[:, m]
                if rows.any() and held_out.any():
                    places.append((held_out, m))
                    columns = self.modalities_.columns[m]
                    blocks.append((rows, columns, held_out, reader(rows)))
        for place, values in zip(places, self._fit_blocks(data, blocks)):
            out[place] = values
        return out

    def _observed_blocks(self, table):
        """Yield number, samples, model and block of each modality that is observed."""
        for m, name in enumerate(self.modalities_.names):
            rows = np.flatnonzero(table.presence[:, m])
            if len(rows):
                block = take_block(
                    table.X, rows, self.modalities_.columns[m], self._means
                )
                yield m, rows, self.named_estimators_[name], block


@shared_docs
class LateFusionClassifier(ClassifierMixin, LateFusion):
    """Late fusion: one classifier per modality, whose probabilities are combined.

    Each modality gets a clone of `estimator`, fitted on the samples that have it. A
    sample is classified by the models of its observed modalities. Any pattern of
    missing modalities is possible, in `fit` and in `predict`. Nothing is imputed.
    Interactions between modalities are not modelled: use :mod:`skmissing.fusion` for
    these, and compare it with this classifier.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Classifier with `predict_proba`. None is logistic regression on standardised
        columns with `C=0.05`. The strong penalty keeps the probabilities of a single
        modality moderate.
    %(modalities)s
    combine : {"stacked", "log", "mean"}, default="stacked"
        How probabilities are combined. "log" adds the log-probabilities minus the
        logarithms of the class frequencies, as if modalities were independent given the
        class. "stacked" does the same with one weight per modality and one per number
        of observed modalities. The weights are fitted on out-of-fold predictions, which
        takes `cv` more fits per modality and corrects the overconfidence of "log".
        "mean" averages probabilities.
    cv : int, splitter or iterable, default=5
        Folds for "stacked". An int is the number of folds of
        :class:`~sklearn.model_selection.StratifiedKFold`, without shuffling. Classes
        with fewer samples than folds are spread over as many folds as they have
        samples. If `cv` tests a sample more than once, the last prediction counts.
    %(n_jobs)s

    Attributes
    ----------
    %(classes_)s
    estimators_ : list
        Fitted models, one per modality that is observed in training, in the order of
        `modalities_`. A modality whose training samples are all of one class has a
        :class:`~sklearn.dummy.DummyClassifier`.
    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The models by name of the modality.
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class frequencies, which are predicted for samples without any
        modality.
    modality_weights_ : ndarray of shape (n_modalities,)
        Weight of the evidence of each modality; ones unless `combine="stacked"`.
    count_weights_ : ndarray of shape (n_modalities,)
        `count_weights_[s - 1]` multiplies the evidence of samples with `s` modalities.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    LateFusionRegressor : The same for regression.
    PatternClassifier : One model per combination of modalities.
    ModalityDropout : Trains one estimator with modalities hidden.

    Notes
    -----
    Let :math:`p_m` be the probabilities of the model of modality m, :math:`\\pi_m` the
    class frequencies of its training samples, :math:`\\pi` those of all training
    samples, and S the modalities of the sample. Then

    .. math::

        \\log p(c) = \\log \\pi_c + g_{|S|} \\sum_{m \\in S} w_m
        \\log \\frac{p_m(c)}{\\pi_{m,c}} + \\text{const.}

    "log" has :math:`w = g = 1`: the product rule [1]_, called probabilistic ensembling
    in [2]_. "stacked" minimises the log-loss over :math:`w` and :math:`g`, which are
    positive and have a prior around 1. The weight of each sample is divided evenly
    between subsets of its modalities, so that complete training samples also contribute
    to the weights for fewer modalities. If there are more than a few thousand samples,
    only a part of them is used.

    If the model of a modality was not trained on a class, its ratio for that class is
    1, which is neutral. For "log" and "stacked", probabilities are clipped to at least
    0.01 / n_classes, because forests and nearest neighbours predict probabilities of 0.

    Missing cells of a partially observed modality are filled with the mean of the
    training column, unless the tags of `estimator` say that it accepts NaN.

    Sample weights are passed to `estimator`; in a pipeline, to every step that takes
    them. The class frequencies and the stacking use them, too. They count samples, and
    their scale matters where samples are weighed against a penalty or a prior. Weights
    with a mean below 1 are scaled to a mean of 1, also for `estimator`. For multilabel
    targets, use ``OneVsRestClassifier(LateFusionClassifier())``.

    References
    ----------
    .. [1] Kittler, J., Hatef, M., Duin, R. P. W. and Matas, J. "On combining
       classifiers." IEEE Transactions on Pattern Analysis and Machine Intelligence
       20(3), 1998.
    .. [2] Chen, Y.-T., Shi, J., Ye, Z., Mertz, C., Ramanan, D. and Kong, S.
       "Multimodal object detection via probabilistic ensembling." ECCV, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import LateFusionClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> X[::2, :32] = np.nan  # the upper half is missing in every other sample
    >>> X[1::4, 32:] = np.nan  # the lower half in some of the others
    >>> model = LateFusionClassifier(modalities={"upper": 32, "lower": 32})
    >>> model.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.8
    True
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "combine": [StrOptions({"stacked", "log", "mean"})],
    }

    def _fit(self, data):
        shape = *data.table.presence.shape, len(self.classes_)
        self._frequencies = np.ones(shape[1:])
        for m in np.flatnonzero(self._seen):
            rows = data.table.presence[:, m]
            self._frequencies[m] = data.class_frequencies(shape[2], rows)
        self.class_prior_ = data.class_frequencies(shape[2])
        self._fit_models(data)
        self._averages = self.combine == "mean"
        self.modality_weights_, self.count_weights_ = np.ones((2, shape[1]))
        if self.combine != "stacked" or shape[2] == 1:
            return

        def reader(rows):
            frequencies = data.class_frequencies(shape[2], rows)
            return partial(_log_ratios, classes=self.classes_, frequencies=frequencies)

        D = self._cross_predict(data, np.full(shape, np.nan), reader)
        presence = ~np.isnan(D[:, :, 0])
        self.modality_weights_, self.count_weights_ = fit_stacking(
            np.where(presence[:, :, None], D, 0),
            data.codes,
            presence,
            np.log(self.class_prior_),
            data.table.weight,
        )

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Samples without any get `class_prior_`,
            with a warning.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        table = self._read_new(X, "the class frequencies of training")
        shape = *table.presence.shape, len(self.classes_)
        if self._averages:
            total = np.zeros((shape[0], shape[2]))
            for m, rows, model, block in self._observed_blocks(table):
                total[rows] += predict_all_classes(
                    model, block, self.classes_, self._frequencies[m]
                )
            counts = table.presence.sum(axis=1)
            total[counts == 0] = self.class_prior_
            return total / np.maximum(counts, 1)[:, None]
        D = np.zeros(shape)
        for m, rows, model, block in self._observed_blocks(table):
            D[rows, m] = _log_ratios(model, block, self.classes_, self._frequencies[m])
        logits = combine_evidence(
            D,
            table.presence,
            np.log(self.class_prior_),
            self.modality_weights_,
            self.count_weights_,
        )
        return softmax(logits, axis=1)

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
        return np.log(self.predict_proba(X))

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _log_ratios(model, block, classes, frequencies):
    """Log-probabilities minus the logarithm of the class frequencies in training."""
    every = predict_all_classes(model, block, classes, frequencies, FLOOR)
    return np.log(every) - np.log(frequencies)


@shared_docs
class LateFusionRegressor(RegressorMixin, LateFusion):
    """Late fusion: one regressor per modality, whose predictions are combined.

    Each modality gets a clone of `estimator`, fitted on the samples that have it. A
    sample is predicted by the models of its observed modalities. See
    :class:`LateFusionClassifier` for the idea and its limits.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Regressor. None is Bayesian ridge regression on standardised columns, which
        tunes its own penalty.
    %(modalities)s
    combine : {"stacked", "variance", "mean"}, default="stacked"
        How predictions are combined. "variance" is a weighted mean. The weights are
        inverse to the mean squared errors of the models on held-out samples. "stacked"
        uses the best linear combination for each combination of modalities, computed
        from the joint covariance of out-of-fold predictions and the target. It corrects
        for models whose predictions are correlated. "mean" is the plain mean, which
        needs no folds.
    cv : int, splitter or iterable, default=5
        Folds for "stacked" and "variance". An int is the number of folds of
        :class:`~sklearn.model_selection.KFold`, without shuffling: if samples are
        sorted by the target, pass ``KFold(5, shuffle=True, random_state=0)``. If `cv`
        tests a sample more than once, the last prediction counts.
    %(n_jobs)s

    Attributes
    ----------
    estimators_ : list
        Fitted models, one per modality that is observed in training, in the order of
        `modalities_`.
    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The models by name of the modality.
    target_mean_ : float
        Weighted mean of y, which is predicted for samples without any modality.
    error_variances_ : ndarray of shape (n_modalities,)
        Mean squared error of each model on held-out samples. NaN if it was never
        measured, and if `combine="mean"`.
    covariance_ : ndarray of shape (n_modalities + 1, n_modalities + 1)
        Joint covariance of the predictions and the target, which is last. Only if
        `combine="stacked"`.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    LateFusionClassifier : The same for classification.
    PatternRegressor : One model per combination of modalities.

    Notes
    -----
    "stacked": let :math:`f_m` be the prediction of modality m minus the mean of y over
    the samples that have m. The covariance :math:`\\Sigma` of all :math:`f_m` and y is
    estimated by EM [1]_ from out-of-fold predictions, with a prior worth ten samples of
    uncorrelated predictions. The prediction for a sample with modalities S is

    .. math::

        \\bar y + \\Sigma_{yS} \\Sigma_{SS}^{-1} f_S .

    This assumes that modalities are missing at random. Missing cells of a partially
    observed modality, and sample weights, are treated as in
    :class:`LateFusionClassifier`. For several targets, use
    ``MultiOutputRegressor(LateFusionRegressor())``.

    References
    ----------
    .. [1] Little, R. J. A. and Rubin, D. B. "Statistical Analysis with Missing Data",
       section 11.2. Wiley, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import LateFusionRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[::3, :4] = np.nan
    >>> X[1::3, 4:] = np.nan
    >>> model = LateFusionRegressor(modalities={"body": 4, "blood": 6})
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "combine": [StrOptions({"stacked", "variance", "mean"})],
    }

    def _fit(self, data):
        presence, weight = data.table.presence, data.table.weight
        self._offsets = np.zeros(presence.shape[1])
        for m in np.flatnonzero(self._seen):
            rows = presence[:, m]
            self._offsets[m] = np.average(data.y[rows], weights=weight[rows])
        self.target_mean_ = float(np.average(data.y, weights=weight))
        self._fit_models(data)
        self.error_variances_ = np.full(presence.shape[1], np.nan)
        if self.combine == "mean":
            return
        held_out = self._cross_predict(
            data, np.full(presence.shape, np.nan), lambda rows: predict_values
        )
        for m in np.flatnonzero(~np.isnan(held_out).all(axis=0)):
            rows = ~np.isnan(held_out[:, m])
            errors = (held_out[rows, m] - data.y[rows]) ** 2
            self.error_variances_[m] = np.average(errors, weights=weight[rows])
        if self.combine == "stacked":
            target = data.y - self.target_mean_
            centred = np.column_stack([held_out - self._offsets, target])
            self.covariance_ = joint_covariance(centred, weight)

    def predict(self, X):
        """Predict one number per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Samples without any get `target_mean_`,
            with a warning.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions.
        """
        check_is_fitted(self)
        table = self._read_new(X, "the mean target of training")
        values = np.zeros(table.presence.shape)
        for m, rows, model, block in self._observed_blocks(table):
            values[rows, m] = predict_values(model, block)
        # Use what was fitted, not what `combine` has been set to since.
        if getattr(self, "covariance_", None) is not None:
            return self._stacked(values, table.presence)
        trust = table.presence * self._trust()
        total = trust.sum(axis=1)
        joined = (values * trust).sum(axis=1) / np.where(total > 0, total, 1)
        return np.where(table.presence.any(axis=1), joined, self.target_mean_)

    def _trust(self):
        """Weight of each modality's prediction in an average, shape (n_modalities,)."""
        # A model that was never measured gets the weight of the worst one, so that all
        # weights are equal if none was measured. Errors of 0 stay finite.
        measured = ~np.isnan(self.error_variances_)
        worst = np.max(self.error_variances_, initial=0, where=measured)
        if worst == 0:
            return np.ones(len(measured))
        relative = np.where(measured, self.error_variances_ / worst, 1)
        return 1 / np.maximum(relative, np.finfo(np.float64).eps)

    def _stacked(self, values, presence):
        """Best linear combination for each pattern of presence."""
        out = np.full(len(values), self.target_mean_)
        target = np.array([presence.shape[1]])
        patterns, inverse = find_patterns(presence)
        for p, pattern in enumerate(patterns):
            if not pattern.any():
                continue
            rows, seen = inverse == p, np.flatnonzero(pattern)
            weights = regression_weights(self.covariance_, seen, target)[:, 0]
            centred = values[np.ix_(rows, seen)] - self._offsets[seen]
            out[rows] += (centred * weights).sum(axis=1)
        return out
