"""One regressor a combination of modalities."""

from functools import partial

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from skmissing._compat import _fit_context
from skmissing.ensemble._experts import predict_values
from skmissing.ensemble._pattern import PatternEnsemble


def _negative_error(model, block, target):
    """Minus the squared error of each row."""
    return -((predict_values(model, block) - target) ** 2)


class PatternRegressor(RegressorMixin, PatternEnsemble):
    """Regressor with one model a combination of modalities.

    A combination that training rows show gets a clone of `estimator`, fitted on all
    rows that have at least those modalities, restricted to their columns. A new row is
    answered by one of the models whose modalities it has. See
    :class:`PatternClassifier` for the idea and its limits.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Regressor. None stands for standardised Bayesian ridge regression.
    modalities : None, list of int or dict, default=None
        Which columns belong together. None groups columns by the prefix before `__`
        if all names have one, and otherwise makes each column a modality.
    patterns : {"observed", "all"}, default="observed"
        Which combinations get a model: those that some training row has exactly, or
        all of at most ten modalities. Take "all" if training rows are more complete
        than later ones. Each single modality gets a model either way.
    min_rows : int, default=30
        A combination of several modalities needs so many training rows that contain
        it, or all of them if there are fewer; otherwise its rows back off to a model
        of fewer modalities.
    select : {"score", "largest"}, default="score"
        Which of the models that a row can feed answers for it: the one with the best
        cross-validated score, which takes `cv` more fits a combination, or the one
        with the most modalities, then the most rows.
    cv : int, splitter or iterable, default=5
        Folds for `select="score"`. An int deals rows out by a checksum of what stands
        in them: the order of rows does not matter, and equal rows share a fold.
    n_jobs : int or None, default=None
        Number of models fitted at once, as joblib understands it.

    Attributes
    ----------
    target_mean_ : float
        Weighted mean of y; rows without any modality get it.
    patterns_ : list of tuple of str
        Names of the modalities of each model.
    estimators_ : list
        Fitted models, in the order of `patterns_`.
    n_rows_ : ndarray of shape (n_models,)
        Rows that fitted each model.
    scores_ : ndarray of shape (n_models,)
        Minus the mean squared error on rows that a model of the same kind did not
        see. NaN if not needed.
    modalities_ : mapping
        Name of each modality to its columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X had names that are all strings.

    See Also
    --------
    PatternClassifier : The same for classes, with notes and references.
    LateFusionRegressor : One model a modality, joined.

    Notes
    -----
    Holes within a modality, combinations that first appear when predicting, and the
    comparison of scores are as in :class:`PatternClassifier`. Several targets at once:
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

    # fit may call nested validation of the inner estimator.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Fit one model a combination of modalities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN, or masked, where missing. Rows without any modality are left out, and
            told of in a warning.
        y : array-like of shape (n_samples,)
            Numbers to predict.
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
        self.target_mean_ = float(np.average(train.y, weights=train.weight))
        codes = np.zeros(len(train.y), dtype=np.intp)

        def read_score(rows, held_out):
            return partial(_negative_error, target=train.y[held_out])

        self._fit_patterns(template, train, codes, read_score)
        return self

    def predict(self, X):
        """Predict a number a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Rows without any get `target_mean_`, and
            one warning says how many.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions.
        """
        check_is_fitted(self)
        n_rows, routes = self._route(X, "the mean target of training")
        out = np.full(n_rows, self.target_mean_)
        for rows, i, block in routes:
            out[rows] = predict_values(self.estimators_[i], block)
        return out
