"""Late fusion: models per modality, whose predictions are combined."""

from numbers import Integral

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import mean_squared_error
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import StrOptions
from skmissing._docs import shared_docs
from skmissing._sources import working_memory
from skmissing.ensemble._base import FLOOR, predict_values
from skmissing.ensemble._least_squares import log_loss, mass_frequencies
from skmissing.ensemble._linear import (
    fit_logistic,
    fit_ridge,
    fold_masks,
    held_out_evidence,
    held_out_values,
    linear_classifiers,
    score_values,
    stack_in_pieces,
)
from skmissing.ensemble._members import LateFusion
from skmissing.ensemble._panel import (
    fit_classifier,
    fit_regressor,
    pool_log_loss,
    pool_squared_error,
)
from skmissing.ensemble._stacking import (
    combine_evidence,
    fit_stacking,
    joint_covariance,
    regression_weights,
    scatters_of,
)


@shared_docs
class LateFusionClassifier(ClassifierMixin, LateFusion):
    """Late fusion: classifiers per modality, whose probabilities are combined.

    Each modality gets a panel of different classifiers, which are fitted on the samples
    in which it is observed. Their probabilities are pooled. A sample is classified by
    the pools of its observed modalities. Any pattern of missing modalities is possible,
    in `fit` and in `predict`. Nothing is imputed. Interactions between modalities are
    not modelled. To model them, use :mod:`skmissing.fusion`, and compare the results
    with this classifier.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : {"auto", "full", "linear"}, estimator, list or dict, default="auto"
        Classifiers per modality. A string is a panel of models. They are pooled by how
        well they predict held-out samples.

        - "auto": a linear model, a Gaussian kernel on ranks, and extremely randomised
          trees.
        - "full": the models of "auto", a kernel on columns weighted by relevance, a
          Laplacian kernel, and kernel logistic regression.
        - "linear": standardised logistic regression with `C=0.05` only, the fastest.

        A list of pairs `(name, estimator)` defines another panel, and an estimator is a
        panel with one member. A list may also contain names of members of "full":
        "linear", "rbf", "trees", "relevance", "laplacian" and "logistic". A dict gives
        one of these values per modality. A modality with fewer than 10 training samples
        only gets the first member. If there are more than 50 modalities, those with
        fewer than 10 columns get "linear" instead of another named panel.
    %(modalities)s
    combine : {"stacked", "log", "mean"}, default="stacked"
        How probabilities are combined. "log" adds the log-probabilities minus the
        logarithms of the class frequencies. This assumes that modalities are
        independent given the class. "stacked" also has one weight per modality and one
        per number of observed modalities. The weights are fitted on held-out
        predictions and correct the overconfidence of "log". "mean" averages
        probabilities.
    cv : int, splitter or iterable, default=5
        Folds for the weights of the members and for "stacked". Members are fitted `cv`
        more times. Exceptions are kernels, whose held-out predictions have a closed
        form, and forests with `oob_score=True`, unless `groups` are given. An int is
        the number of folds of :class:`~sklearn.model_selection.StratifiedKFold`,
        without shuffling. Classes with fewer samples than folds are spread over as many
        folds as they have samples. If `cv` tests a sample more than once, the last
        prediction is used. If `groups` are passed to `fit`, an int is the number of
        folds of :class:`~sklearn.model_selection.StratifiedGroupKFold`.
    class_weight : "balanced", dict or None, default=None
        Factor of the weight of each class, in the members, their pool and the stacking.
        "balanced" gives all classes the same total weight. Predictions then assume
        equally frequent classes.
    random_state : int, RandomState instance or None, default=None
        Seed of the trees, and of the landmarks of kernels for many samples.
    %(n_jobs)s

    Attributes
    ----------
    %(classes_)s
    estimators_ : list
        One entry per modality observed in training, in the order of `modalities_`: a
        :class:`~sklearn.utils.Bunch` of the fitted members by name, or the fitted
        estimator if there is only one. Their targets are the positions of the classes
        in `classes_`. If all training samples of a modality are of one class, its
        members are :class:`~sklearn.dummy.DummyClassifier`.
    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The entries of `estimators_` by name of modality.
    pool_weights_ : :class:`~sklearn.utils.Bunch`
        Weight of each member, by name of modality and name of member.
    oof_scores_ : :class:`~sklearn.utils.Bunch`
        Log-loss on held-out samples: `members` by modality and name, `pool` by
        modality, and `total` for the ensemble. Empty if nothing was held out.
    dependence_ : :class:`~sklearn.utils.Bunch`
        Explained share of the variance of y in random folds minus that in folds of
        neighbouring samples, for a kernel model per modality. A large value means that
        samples depend on their neighbours, and causes a warning. Empty if `groups` or
        the folds are given, or if no member has a kernel.
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class frequencies, which are predicted for samples without any
        modality.
    modality_weights_ : ndarray of shape (n_modalities,)
        Weight of the evidence of each modality. Ones unless `combine="stacked"`.
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
    Let :math:`p_{me}` be the probabilities of member e of the panel of modality m, and
    :math:`\\pi_m` the class frequencies of its training samples. The pool of the
    members is log-linear [1]_:

    .. math::

        \\log p_m(c) = \\log \\pi_{m,c} + \\sum_e a_{me}
        \\log \\frac{p_{me}(c)}{\\pi_{m,c}} + \\text{const.}

    The weights :math:`a_m \\geq 0` minimise the sum of the log-losses of held-out
    samples plus :math:`\\frac{\\tau}{2} \\sum_e (a_{me} - 1 / n_\\text{members})^2`, a
    prior worth :math:`\\tau = 100` samples. Let :math:`\\pi` be the class frequencies
    of all training samples, and S the modalities of a sample. Then

    .. math::

        \\log p(c) = \\log \\pi_c + g_{|S|} \\sum_{m \\in S} w_m
        \\log \\frac{p_m(c)}{\\pi_{m,c}} + \\text{const.}

    "log" has :math:`w = g = 1`: the product rule [2]_, called probabilistic ensembling
    in [3]_. "stacked" minimises the log-loss over :math:`w` and :math:`g`, which are
    positive and have a prior around 1. The weight of each sample is divided evenly
    between subsets of its modalities, so that complete training samples also contribute
    to the weights for fewer modalities. If there are more than a few thousand samples,
    only a part of them is used.

    If a modality has no training sample of a class, its ratio for that class is 1,
    which has no effect. For "log" and "stacked", probabilities of members are at least
    0.01 / n_classes, because forests and nearest neighbours predict probabilities of 0.

    Missing cells of a partially observed modality are filled with the mean of the
    training column, unless the member has the tag for accepting NaN.

    Sample weights are passed to all members, and in a pipeline to every step that takes
    them. They are also used for the class frequencies, the pools and the stacking. A
    weight is a number of samples, so the scale of the weights matters if there is a
    penalty or a prior. Weights with a mean below 1 are scaled to a mean of 1, also for
    the members. For multilabel targets, use
    ``OneVsRestClassifier(LateFusionClassifier())``.

    If X is read in pieces (:func:`skmissing.compose.scan_table`), "linear" members are
    fitted to all samples. All of these logistic regressions, those without a fold, too,
    are fitted at the same time. One pass over X is one step of L-BFGS, and 15 to 30
    passes are needed, because columns are transformed by the root of a bound of the
    Hessian matrix. At the end, each derivative of the mean loss is below
    :math:`10^{-6}`. The solver in memory ends at :math:`10^{-4}`, so coefficients
    differ by about :math:`10^{-3}`. All other members are fitted to a random sample.
    Held-out predictions for the pools and the stacking are those of this sample. If all
    members are "linear", they are those of all samples, as in memory.

    References
    ----------
    .. [1] Genest, C. and Zidek, J. V. "Combining probability distributions: a critique
       and an annotated bibliography." Statistical Science 1(1), 1986.
    .. [2] Kittler, J., Hatef, M., Duin, R. P. W. and Matas, J. "On combining
       classifiers." IEEE Transactions on Pattern Analysis and Machine Intelligence
       20(3), 1998.
    .. [3] Chen, Y.-T., Shi, J., Ye, Z., Mertz, C., Ramanan, D. and Kong, S.
       "Multimodal object detection via probabilistic ensembling." ECCV, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import LateFusionClassifier
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_digits(return_X_y=True)
    >>> X[::2, :32] = np.nan  # the upper half is missing in every other sample
    >>> X[1::4, 32:] = np.nan  # the lower half in some of the others
    >>> X, X_test, y, y_test = train_test_split(X, y, train_size=600, random_state=0)
    >>> model = LateFusionClassifier(
    ...     modalities={"upper": 32, "lower": 32}, random_state=0
    ... )
    >>> model.fit(X, y).score(X_test, y_test) > 0.87
    True
    >>> list(model.named_estimators_.upper)
    ['linear', 'rbf', 'trees']
    """

    _parameter_constraints: dict = {
        **LateFusion._parameter_constraints,
        "combine": [StrOptions({"stacked", "log", "mean"})],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    _methods = ("predict_proba", "decision_function")

    def __init__(
        self,
        estimator="auto",
        *,
        modalities=None,
        combine="stacked",
        cv=5,
        class_weight=None,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.combine = combine
        self.cv = cv
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit(self, data):
        if data.table.in_pieces:
            if self.estimator == "linear":
                return self._fit_in_pieces(data)
            data = self._sampled(data)
        table, codes = data.table, data.codes
        n_classes = len(self.classes_)
        self._frequencies = np.ones((table.presence.shape[1], n_classes))
        for m in np.flatnonzero(self._seen):
            self._frequencies[m] = data.class_frequencies(table.presence[:, m])
        self.class_prior_ = (data.whole or data).class_frequencies()
        panels = self._resolve_panels()
        self._averages = self.combine == "mean"
        stacked = self.combine == "stacked" and n_classes > 1
        pooled = n_classes > 1 and any(
            len(members) > 1 or not hasattr(members[0][1], "predict_proba")
            for members in panels.values()
        )
        held_out = self._fit_members(data, panels, stacked or pooled)
        D = np.full((*table.presence.shape, n_classes), np.nan)
        self.pool_weights_, self.oof_scores_ = Bunch(), Bunch(members={}, pool={})
        for name, E in held_out.items():
            m = self.modalities_.names.index(name)
            rows = np.flatnonzero(table.presence[:, m])
            D[rows, m] = self._pool(name, E, rows, np.log(self._frequencies[m]), data)
        self.modality_weights_, self.count_weights_ = np.ones((2, D.shape[1]))
        if stacked:
            presence = ~np.isnan(D[:, :, 0])
            self.modality_weights_, self.count_weights_ = fit_stacking(
                np.where(presence[:, :, None], D, 0),
                codes,
                presence,
                np.log(self.class_prior_),
                table.weight,
            )
        rows = np.flatnonzero(~np.isnan(D[:, :, 0]).all(axis=1))
        if len(rows) and not self._averages:
            L = self._join(np.nan_to_num(D[rows]), ~np.isnan(D[rows, :, 0]))
            self.oof_scores_.total = log_loss(L, codes[rows], table.weight[rows])

    def _fit_linear(self, data, modalities, hold_out):
        """Fit linear members to all samples of a table in pieces.

        Return them and their evidence on held-out samples of data, which are a part.
        """
        whole, rows = data.whole, data.rows
        masks = fold_masks(self._splits(whole) if hold_out else [], len(whole.y))
        problems = fit_logistic(whole, self._means, modalities, masks)
        E = held_out_evidence(data.table, self._means, problems, masks[1][rows])
        members, presence = linear_classifiers(problems), data.table.presence
        return {m: (members[m], E[presence[:, m], m]) for m in modalities}

    def _fit_in_pieces(self, data):
        """Fit linear members, and the weights of modalities, over pieces."""
        stacked = self.combine == "stacked" and len(self.classes_) > 1
        task = self._fit_task.begin(1 + stacked)
        masks = fold_masks(self._splits(data) if stacked else [], len(data.y))
        part = task.part("linear")
        problems = fit_logistic(data, self._means, np.flatnonzero(self._seen), masks)
        part.end()
        self._keep_linear(linear_classifiers(problems))
        shape = len(self.modalities_), len(self.classes_)
        self._frequencies = np.ones(shape)
        for m, one in problems.items():
            self._frequencies[m] = mass_frequencies(one.total[-1])
        self.class_prior_ = data.class_frequencies()
        self._averages = self.combine == "mean"
        self.modality_weights_, self.count_weights_ = np.ones((2, shape[0]))
        if stacked:
            part = task.part("stacking")
            weights, *scores = stack_in_pieces(
                data, self._means, problems, self._frequencies, masks[1]
            )
            self.modality_weights_, self.count_weights_ = weights
            self._keep_scores(scores[0])
            self.oof_scores_.update(scores[1])
            part.end()

    def _join(self, D, presence):
        """Unnormalised log-probabilities of the evidence of all modalities."""
        return combine_evidence(
            D,
            presence,
            np.log(self.class_prior_),
            self.modality_weights_,
            self.count_weights_,
        )

    def _fit_member(self, data, template, nan, m, rows, params, folds):
        block = self._read_block(data.table.X, rows, m, nan)
        block = block.astype(data.dtype, copy=False)
        return fit_classifier(template, block, data, rows, params, folds)

    def _pool(self, name, E, rows, log_prior, data):
        """Choose the pool weights of a modality; return its held-out evidence."""
        panel = self._panels[name]
        measured = ~np.isnan(E).any(axis=(1, 2))
        codes, weight = data.codes[rows], data.table.weight[rows]
        truth = codes[measured], weight[measured]
        if len(panel.names) > 1 and measured.any():
            panel.weights = pool_log_loss(E[measured], *truth, log_prior)
        D = np.einsum("nek,e->nk", E, panel.weights)
        if measured.any():
            losses = [
                log_loss(log_prior + e, *truth) for e in E[measured].swapaxes(0, 1)
            ]
            self.oof_scores_.members[name] = dict(zip(panel.names, losses))
            if len(losses) > 1:
                losses = [log_loss(log_prior + D[measured], *truth)]
            self.oof_scores_.pool[name] = losses[0]
        self.pool_weights_[name] = dict(zip(panel.names, panel.weights.tolist()))
        return D

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
        table = self._read_new(X, "the class frequencies of training")
        D = self._evidence(table, 0.0 if self._averages else FLOOR)
        if self._averages:
            proba = softmax(D + np.log(self._frequencies), axis=2)
            proba *= table.presence[:, :, None]
            counts = table.presence.sum(axis=1)[:, None]
            mean = proba.sum(axis=1) / np.maximum(counts, 1)
            return np.where(counts > 0, mean, self.class_prior_)
        return softmax(self._join(D, table.presence), axis=1)

    def contributions(self, X):
        """Compute the contribution of each modality to the log-odds.

        The log-probability of a class is the logarithm of `class_prior_` plus the sum
        of the contributions, up to a constant per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities.

        Returns
        -------
        ndarray of shape (n_samples, n_modalities) or \
                (n_samples, n_modalities, n_classes)
            If there are two classes, the log-odds of the second class against the
            first. Otherwise, the log-odds of each class against the geometric mean of
            all classes. 0 if a modality is missing.

        Raises
        ------
        ValueError
            If `combine="mean"`, which does not add log-odds.

        See Also
        --------
        skmissing.inspection.ContributionDisplay : Draws contributions of one sample.
        """
        check_is_fitted(self)
        if self._averages:
            raise ValueError(
                "combine must be 'stacked' or 'log', whose log-odds add up; got 'mean'."
            )
        table = self._read_new(X, "contributions of 0")
        D = self._evidence(table, FLOOR)
        counts = np.maximum(table.presence.sum(axis=1), 1)
        D *= self.modality_weights_[:, None]
        D *= self.count_weights_[counts - 1][:, None, None]
        if D.shape[2] == 2:
            return D[:, :, 1] - D[:, :, 0]
        return D - D.mean(axis=2, keepdims=True)

    def _evidence(self, table, floor):
        """Evidence of all modalities, (n_samples, n_modalities, n_classes)."""
        D = np.zeros((*table.presence.shape, len(self.classes_)))

        def read(member, block):
            return member.evidence(block, floor)

        for m, rows, panel in self._observed_panels(table):
            D[rows, m] = self._pooled(table, m, rows, panel, read)
        return D

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


@shared_docs
class LateFusionRegressor(RegressorMixin, LateFusion):
    """Late fusion: regressors per modality, whose predictions are combined.

    Each modality gets a panel of different regressors, which are fitted on the samples
    in which it is observed. Their predictions are pooled. A sample is predicted by the
    pools of its observed modalities. See :class:`LateFusionClassifier` for the method
    and its limits.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : {"auto", "full", "linear"}, estimator, list or dict, default="auto"
        Regressors per modality. A string is a panel of models. They are pooled by how
        well they predict held-out samples.

        - "auto": a linear model, a Gaussian kernel on ranks, and extremely randomised
          trees.
        - "full": the models of "auto" and a Laplacian kernel.
        - "linear": standardised Bayesian ridge regression only, the fastest.

        A list of pairs `(name, estimator)` defines another panel, and an estimator is a
        panel with one member. A list may also contain names of members of "full":
        "linear", "rbf", "trees" and "laplacian". A dict gives one of these values per
        modality. A modality with fewer than 10 training samples only gets the first
        member. If there are more than 50 modalities, those with fewer than 10 columns
        get "linear" instead of another named panel.
    %(modalities)s
    combine : {"stacked", "variance", "mean"}, default="stacked"
        How predictions are combined. "variance" is a weighted mean. The weights are
        inverse to the mean squared errors of the pools on held-out samples. "stacked"
        uses the best linear combination for each combination of modalities, computed
        from the joint covariance of held-out predictions and the target. It corrects
        for modalities whose predictions are correlated. "mean" is the plain mean.
    cv : int, splitter or iterable, default=5
        Folds for the weights of the members, for "stacked" and for "variance". Members
        are fitted `cv` more times. Exceptions are kernels, whose held-out predictions
        have a closed form, and forests with `oob_score=True`, unless `groups` are
        given. An int is the number of folds of :class:`~sklearn.model_selection.KFold`,
        without shuffling. If samples are sorted by the target, pass ``KFold(5,
        shuffle=True, random_state=0)``. If `cv` tests a sample more than once, the last
        prediction is used. If `groups` are passed to `fit`, an int is the number of
        folds of :class:`~sklearn.model_selection.GroupKFold`.
    random_state : int, RandomState instance or None, default=None
        Seed of the trees, and of the landmarks of kernels for many samples.
    %(n_jobs)s

    Attributes
    ----------
    estimators_ : list
        One entry per modality observed in training, in the order of `modalities_`: a
        :class:`~sklearn.utils.Bunch` of the fitted members by name, or the fitted
        estimator if there is only one. Members of "auto", "full" and "linear" are
        fitted to the standardised target.
    named_estimators_ : :class:`~sklearn.utils.Bunch`
        The entries of `estimators_` by name of modality.
    pool_weights_ : :class:`~sklearn.utils.Bunch`
        Weight of each member, by name of modality and name of member.
    oof_scores_ : :class:`~sklearn.utils.Bunch`
        Mean squared error on held-out samples: `members` by modality and name, `pool`
        by modality, and `total` for the ensemble. Empty if nothing was held out.
    dependence_ : :class:`~sklearn.utils.Bunch`
        Explained share of the variance of y in random folds minus that in folds of
        neighbouring samples, for a kernel model per modality. A large value means that
        samples depend on their neighbours, and causes a warning. Empty if `groups` or
        the folds are given, or if no member has a kernel.
    target_mean_ : float
        Weighted mean of y, which is predicted for samples without any modality.
    error_variances_ : ndarray of shape (n_modalities,)
        Mean squared error of each pool on held-out samples. NaN if it was not measured
        or if `combine="mean"`.
    covariance_ : ndarray of shape (n_modalities + 1, n_modalities + 1)
        Joint covariance of the predictions and the target, which is in the last row and
        column. Only if `combine="stacked"`, otherwise None.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    LateFusionClassifier : The same for classification.
    PatternRegressor : One model per combination of modalities.

    Notes
    -----
    Let :math:`f_{me}` be the prediction of member e of the panel of modality m, minus
    the mean of y over the samples that have m. The pool of the members is
    :math:`f_m = \\sum_e a_{me} f_{me}` [1]_. The weights :math:`a_m \\geq 0` minimise
    half the sum of the squared errors of held-out samples, in units of the variance of
    y, plus :math:`\\frac{\\tau}{2} \\sum_e (a_{me} - 1 / n_\\text{members})^2`, a prior
    worth :math:`\\tau = 20` samples.

    For "stacked", the covariance :math:`\\Sigma` of all :math:`f_m` and y is estimated
    by EM [2]_ from held-out predictions. The prior is worth ten samples of uncorrelated
    predictions. The prediction for a sample with modalities S is

    .. math::

        \\bar y + \\Sigma_{yS} \\Sigma_{SS}^{-1} f_S .

    This assumes that modalities are missing at random. Missing cells of a partially
    observed modality, and sample weights, are treated as in
    :class:`LateFusionClassifier`. For several targets, use
    ``MultiOutputRegressor(LateFusionRegressor())``.

    If X is read in pieces (:func:`skmissing.compose.scan_table`), "linear" members are
    fitted to all samples, in one pass over X, from sums of products of columns:
    `cv + 1` matrices per modality. They are those in memory, up to rounding. If these
    matrices do not fit in the `working_memory` of :func:`sklearn.set_config`, and for
    all other members, the models are fitted to a random sample. Held-out predictions
    for the pools and the covariance are those of this sample. If all members are
    "linear", they are those of all samples, as in memory.

    References
    ----------
    .. [1] Breiman, L. "Stacked regressions." Machine Learning 24(1), 1996.
    .. [2] Little, R. J. A. and Rubin, D. B. "Statistical Analysis with Missing Data",
       section 11.2. Wiley, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.ensemble import LateFusionRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[::3, :4] = np.nan
    >>> X[1::3, 4:] = np.nan
    >>> model = LateFusionRegressor(modalities={"body": 4, "blood": 6}, random_state=0)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints: dict = {
        **LateFusion._parameter_constraints,
        "combine": [StrOptions({"stacked", "variance", "mean"})],
    }
    _methods = ("predict",)

    def __init__(
        self,
        estimator="auto",
        *,
        modalities=None,
        combine="stacked",
        cv=5,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.combine = combine
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit(self, data):
        if data.table.in_pieces:
            if self.estimator == "linear" and self._linear_fits(data):
                return self._fit_in_pieces(data)
            data = self._sampled(data)
        presence, weight = data.table.presence, data.table.weight
        # Mean target of each modality and of all samples, in the unit of the models.
        self._offsets = np.zeros(presence.shape[1])
        for m in np.flatnonzero(self._seen):
            rows = presence[:, m]
            self._offsets[m] = np.average(data.y[rows], weights=weight[rows])
        every = data.whole or data
        self._centre = np.average(every.y, weights=every.table.weight)
        panels = self._resolve_panels()
        pooled = any(len(p) > 1 for p in panels.values())
        held_out = self._fit_members(data, panels, self.combine != "mean" or pooled)
        self.pool_weights_, self.oof_scores_ = Bunch(), Bunch(members={}, pool={})
        every = np.full(presence.shape, np.nan)
        for name, P in held_out.items():
            m = self.modalities_.names.index(name)
            rows = np.flatnonzero(presence[:, m])
            every[rows, m] = self._pool(name, m, P, rows, data)
        self.error_variances_ = np.full(presence.shape[1], np.nan)
        self.covariance_ = None
        if self.combine == "mean":
            return
        for m in np.flatnonzero(~np.isnan(every).all(axis=0)):
            rows = ~np.isnan(every[:, m])
            error = mean_squared_error(
                data.y[rows], every[rows, m], sample_weight=weight[rows]
            )
            self.error_variances_[m] = self._square * error
        if self.combine == "stacked":
            centred = np.column_stack([every - self._offsets, data.y - self._centre])
            self.covariance_ = self._square * joint_covariance(
                scatters_of(centred, weight)
            )
            if pooled:
                self._score_whole(data, every)

    def _linear_fits(self, data):
        """Whether the products of the columns of all modalities fit in memory."""
        n_folds = self.cv if isinstance(self.cv, Integral) else len(self._splits(data))
        widths = self.modalities_.widths.astype(float)
        return 8 * (n_folds + 1) * (widths @ widths) <= working_memory()

    def _fit_linear(self, data, modalities, hold_out):
        """Fit linear members to all samples of a table in pieces.

        Return them and their predictions of held-out samples of data, a part.
        """
        whole, rows = data.whole, data.rows
        masks = fold_masks(self._splits(whole) if hold_out else [], len(whole.y))
        problems, models = fit_ridge(whole, self._means, modalities, masks)
        P = held_out_values(data.table, self._means, problems, masks[1][rows])
        presence = data.table.presence
        return {m: (models[m], P[presence[:, m], m]) for m in modalities}

    def _fit_in_pieces(self, data):
        """Fit linear members, and the covariance of predictions, over pieces."""
        part = self._fit_task.begin(1).part("linear")
        splits = self._splits(data) if self.combine != "mean" else []
        masks = fold_masks(splits, len(data.y))
        seen, shape = np.flatnonzero(self._seen), len(self.modalities_)
        problems, models = fit_ridge(data, self._means, seen, masks)
        self._keep_linear(models)
        self._offsets = np.zeros(shape)
        for m, one in problems.items():
            self._offsets[m] = one.intercept[-1]
        self._centre = np.average(data.y, weights=data.table.weight)
        self.error_variances_, self.covariance_ = np.full(shape, np.nan), None
        if splits:
            errors, weight, scatters = data.table.sums(
                score_values, self._means, problems, self._offsets, self._centre,
                per_sample=(data.y, masks[1]),
            )  # fmt: skip
            measured = weight > 0
            errors = self._square * errors[measured] / weight[measured]
            self.error_variances_[measured] = errors
            self._keep_scores(dict(zip(np.flatnonzero(measured), errors.tolist())))
            if self.combine == "stacked":
                self.covariance_ = self._square * joint_covariance(scatters)
        part.end()

    @property
    def _square(self):
        """Square of the unit of y in the models."""
        return 1.0 if self._deviation is None else self._deviation**2

    def _score_whole(self, data, every):
        """Add the mean squared error of held-out predictions of the ensemble."""
        presence = ~np.isnan(every)
        rows = presence.any(axis=1)
        if not rows.any():
            return
        terms = self._stacked(np.nan_to_num(every[rows]), presence[rows])
        found, weight = self._centre + terms.sum(axis=1), data.table.weight[rows]
        error = mean_squared_error(data.y[rows], found, sample_weight=weight)
        self.oof_scores_.total = self._square * error

    def _fit_member(self, data, template, nan, m, rows, params, folds):
        block = self._read_block(data.table.X, rows, m, nan)
        block = block.astype(data.dtype, copy=False)
        return fit_regressor(template, block, data.y[rows], params, folds, data.grouped)

    def _pool(self, name, m, P, rows, data):
        """Choose the pool weights of a modality; return its held-out predictions."""
        panel, offset = self._panels[name], self._offsets[m]
        measured = ~np.isnan(P).any(axis=1)
        y, weight = data.y[rows][measured], data.table.weight[rows][measured]
        if len(panel.names) > 1 and measured.any():
            panel.weights = pool_squared_error(P[measured] - offset, y - offset, weight)
        pooled = offset + (P - offset) @ panel.weights
        if measured.any():
            self.oof_scores_.members[name] = {
                member: self._square * mean_squared_error(y, p, sample_weight=weight)
                for member, p in zip(panel.names, P[measured].T)
            }
            error = mean_squared_error(y, pooled[measured], sample_weight=weight)
            self.oof_scores_.pool[name] = self._square * error
        self.pool_weights_[name] = dict(zip(panel.names, panel.weights.tolist()))
        return pooled

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
        table = self._read_new(X, "the mean target of training")
        return self._with_unit(self._centre + self._terms(table).sum(axis=1))

    def contributions(self, X):
        """Compute the contribution of each modality to the prediction.

        The prediction is `target_mean_` plus the sum of the contributions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities.

        Returns
        -------
        ndarray of shape (n_samples, n_modalities)
            Contributions in units of y. 0 if a modality is missing.

        See Also
        --------
        skmissing.inspection.ContributionDisplay : Draws contributions of one sample.
        """
        check_is_fitted(self)
        terms = self._terms(self._read_new(X, "contributions of 0"))
        return terms if self._deviation is None else self._deviation * terms

    def _terms(self, table):
        """Return the contribution of each modality, in the unit of the models."""
        values = np.zeros(table.presence.shape)
        for m, rows, panel in self._observed_panels(table):
            offset = self._offsets[m]

            def read(model, block, offset=offset):
                return predict_values(model, block) - offset

            values[rows, m] = offset + self._pooled(table, m, rows, panel, read)
        # `combine` may have been changed since fit.
        if self.covariance_ is not None:
            return self._stacked(values, table.presence)
        trust = table.presence * self._trust()
        total = trust.sum(axis=1, keepdims=True)
        return (values - self._centre) * trust / np.where(total > 0, total, 1)

    def _trust(self):
        """Weight of each modality's prediction in an average, shape (n_modalities,)."""
        # A model without a measured error gets the weight of the worst model. If none
        # was measured, all weights are equal. Errors of 0 give finite weights.
        measured = ~np.isnan(self.error_variances_)
        worst = np.max(self.error_variances_, initial=0, where=measured)
        if worst == 0:
            return np.ones(len(measured))
        relative = np.where(measured, self.error_variances_ / worst, 1)
        return 1 / np.maximum(relative, np.finfo(np.float64).eps)

    def _stacked(self, values, presence):
        """Terms of the best linear combination for each pattern of presence."""
        terms, target = np.zeros(presence.shape), np.array([presence.shape[1]])
        patterns, inverse = find_patterns(presence)
        for p, pattern in enumerate(patterns):
            rows, seen = np.flatnonzero(inverse == p), np.flatnonzero(pattern)
            if len(seen):
                weights = regression_weights(self.covariance_, seen, target)[:, 0]
                cells = np.ix_(rows, seen)
                terms[cells] = (values[cells] - self._offsets[seen]) * weights
        return terms
