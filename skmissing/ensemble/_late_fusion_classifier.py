"""Late fusion of classifiers: one a modality, and only those present vote."""

from functools import partial

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from skmissing._compat import HasMethods, StrOptions, _fit_context
from skmissing.ensemble._base import BlockEnsemble
from skmissing.ensemble._combine import combine_evidence, enough_rows, fit_stacking
from skmissing.ensemble._experts import (
    class_frequencies,
    deal_folds,
    floored_log,
    predict_all_classes,
)
from skmissing.ensemble._late_fusion import LateFusion


def _log_ratio(model, block, classes, frequencies):
    """Log-probabilities less the logarithm of the class frequencies in training."""
    probabilities = predict_all_classes(model, block, classes, frequencies)
    return floored_log(probabilities) - np.log(frequencies)


class LateFusionClassifier(ClassifierMixin, LateFusion):
    """Classifier that lets one model a modality vote, if the row has the modality.

    Each modality gets a clone of `estimator`, fitted on the rows that have it. A row
    is classified by the models of the modalities it has, so that any pattern of
    missing modalities will do, in training and after. Nothing is imputed, and what
    takes two modalities together to see is not seen: use a model of
    :mod:`skmissing.fusion` for that, and compare it with this one.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Classifier with `predict_proba`. None stands for standardised logistic
        regression with `C=0.05`: one modality alone decides little, and shy models
        add up better than bold ones.
    modalities : None, list of int or dict, default=None
        Which columns belong together. None groups columns by the prefix before `__`
        if all names have one, and otherwise makes each column a modality.
    combine : {"stacked", "log", "mean"}, default="stacked"
        How votes are joined. "log" adds log-probabilities less those of the class
        frequencies, as if modalities were independent given the class. "stacked" does
        so with one weight a modality and one a number of modalities present, fitted
        on predictions for rows that the models did not see; it takes `cv` more fits a
        modality and corrects the overconfidence of "log". "mean" averages
        probabilities.
    cv : int, splitter or iterable, default=5
        Folds for "stacked". An int deals rows out by class and by a checksum of what
        stands in them: the order of rows does not matter, and equal rows share a
        fold. A row that `cv` tests more than once is taken as last seen.
    n_jobs : int or None, default=None
        Number of models fitted at once, as joblib understands it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    estimators_ : dict
        Fitted model by name of modality. A modality whose training rows are all of
        one class has a :class:`~sklearn.dummy.DummyClassifier`; one never observed
        has none.
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class frequencies; rows without any modality get them.
    modality_weights_ : ndarray of shape (n_modalities,)
        Weight of each modality's evidence; ones unless `combine="stacked"`.
    count_weights_ : ndarray of shape (n_modalities,)
        `count_weights_[s - 1]` multiplies the evidence of rows with `s` modalities.
    modalities_ : mapping
        Name of each modality to its columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X had names that are all strings.

    See Also
    --------
    LateFusionRegressor : The same for numbers.
    PatternClassifier : One model a combination of modalities.
    ModalityDropout : Trains one estimator with modalities hidden.

    Notes
    -----
    With :math:`p_m` the probabilities of modality m's model, :math:`\\pi_m` the class
    frequencies of the rows that fitted it, :math:`\\pi` those of all rows and S the
    modalities of the row,

    .. math::

        \\log p(c) = \\log \\pi_c + g_{|S|} \\sum_{m \\in S} w_m
        \\log \\frac{p_m(c)}{\\pi_{m,c}} + \\text{const.}

    "log" has :math:`w = g = 1`: the product rule [1]_, called probabilistic ensembling
    in [2]_. "stacked" minimises the log-loss over :math:`w` and :math:`g`, positive
    and drawn towards 1; each row counts once, spread evenly over subsets of what it
    has, so that complete training rows, too, tell how far to trust fewer modalities.
    Of very many rows only a part is used, never less than 500 that differ.

    Where a modality's model has not seen a class, its ratio for that class is 1: no
    evidence either way. For "log" and "stacked", probabilities count as at least a
    hundredth of an even split, 0.01 / n_classes: forests and neighbours call classes
    impossible that are not.

    Cells missing within a modality that a row has are filled with the mean of the
    training column, unless the tags of `estimator` say that it accepts NaN.

    Sample weights are handed to `estimator`, for a pipeline to every step that takes
    them, and weigh class frequencies and the stacking. Multilabel targets:
    ``OneVsRestClassifier(LateFusionClassifier())``.

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
    >>> X[::2, :32] = np.nan  # every other row lacks the upper half
    >>> X[1::4, 32:] = np.nan  # and some of the others the lower one
    >>> model = LateFusionClassifier(modalities={"upper": 32, "lower": 32})
    >>> model.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.8
    True
    """

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "combine": [StrOptions({"stacked", "log", "mean"})],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit one model a modality, and the weights of their votes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing. Rows without any modality are left out, and
            told of in a warning.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How many rows each row counts as; those of weight 0 are left out. As in
            scikit-learn, the scale matters where rows are weighed against something
            else, such as a penalty or a prior. Weights with a mean below 1 are scaled
            to a mean of 1, also for `estimator`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        template = self._template()
        train = self._read(X, y, sample_weight, template)
        codes = np.searchsorted(self.classes_, train.y)
        self._frequencies = np.ones((len(self.modalities_), len(self.classes_)))
        for m in np.flatnonzero(self._seen):
            self._frequencies[m] = self._frequencies_of(train, codes, m)
        self.class_prior_ = self._frequencies_of(train, codes)
        self._fit_experts(template, train)
        self._averages = self.combine == "mean"
        self.modality_weights_ = np.ones(len(self.modalities_))
        self.count_weights_ = np.ones(len(self.modalities_))
        if self.combine == "stacked" and len(self.classes_) > 1:
            self._fit_weights(template, train, codes)
        return self

    def _frequencies_of(self, train, codes, m=None):
        """Class frequencies of the rows that have modality m, or of all."""
        rows = slice(None) if m is None else train.presence[:, m]
        return class_frequencies(codes[rows], len(self.classes_), train.weight[rows])

    def _fit_weights(self, template, train, codes):
        """Stack: learn how far to trust each modality, and each number of them."""

        def reader(_, rows):
            frequencies = class_frequencies(
                codes[rows], len(self.classes_), train.weight[rows]
            )
            return partial(_log_ratio, classes=self.classes_, frequencies=frequencies)

        D = np.full((*train.presence.shape, len(self.classes_)), np.nan)
        D = self._cross_predict(template, train, codes, D, reader)
        # So few weights need not all of many rows: a part, chosen as a fold is.
        n_parts = -(-len(codes) // enough_rows(*D.shape[1:]))
        rows = deal_folds(train.X, codes, n_parts)[0][1]
        D = D[rows]
        presence = ~np.isnan(D[:, :, 0])
        weights = fit_stacking(
            np.where(presence[:, :, None], D, 0),
            codes[rows],
            presence,
            np.log(self.class_prior_),
            train.weight[rows],
        )
        self.modality_weights_, self.count_weights_ = weights

    def predict_proba(self, X):
        """Class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Rows without any get `class_prior_`, and
            one warning says how many.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        X, presence = self._read_new(X, "the class frequencies of training")
        shape = (*presence.shape, len(self.classes_))
        if self._averages:
            return self._mean_of_probabilities(X, presence, shape)
        D = np.zeros(shape)
        for m, rows, model, block in self._ask(X, presence):
            D[rows, m] = _log_ratio(model, block, self.classes_, self._frequencies[m])
        logits = combine_evidence(
            D,
            presence,
            np.log(self.class_prior_),
            self.modality_weights_,
            self.count_weights_,
        )
        return softmax(logits, axis=1)

    def _mean_of_probabilities(self, X, presence, shape):
        total = np.zeros((shape[0], shape[2]))
        for m, rows, model, block in self._ask(X, presence):
            total[rows] += predict_all_classes(
                model, block, self.classes_, self._frequencies[m]
            )
        counts = presence.sum(axis=1)
        total[counts == 0] = self.class_prior_
        return total / np.maximum(counts, 1)[:, None]

    def predict_log_proba(self, X):
        """Logarithms of the class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As :meth:`predict_proba` takes it.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return np.log(self.predict_proba(X))

    def predict(self, X):
        """Most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As :meth:`predict_proba` takes it.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
