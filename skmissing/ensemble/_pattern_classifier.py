"""One classifier a combination of modalities."""

from functools import partial

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmissing._compat import _fit_context
from skmissing.ensemble._experts import (
    class_frequencies,
    floored_log,
    predict_all_classes,
)
from skmissing.ensemble._pattern import PatternEnsemble


def _hits(model, block, target):
    """1 or 0 for each row that is classified right or wrong."""
    return (model.predict(block) == target).astype(np.float64)


def _log_score(model, block, classes, frequencies, codes):
    """Log-probability of each row's class."""
    said = predict_all_classes(model, block, classes, frequencies)
    return floored_log(said)[np.arange(len(codes)), codes]


def _can_tell_probabilities(self):
    if self.estimator is None:
        return True
    # Raises the inner estimator's AttributeError, which says why.
    self.estimator.predict_proba  # noqa: B018
    return True


class PatternClassifier(ClassifierMixin, PatternEnsemble):
    """Classifier with one model a combination of modalities.

    A combination that training rows show gets a clone of `estimator`, fitted on all
    rows that have at least those modalities, restricted to their columns. A new row is
    answered by one of the models whose modalities it has. Nothing is imputed, and
    modalities may interact, but with much missing in training the models of many
    modalities have few rows to learn from: compare with
    :class:`LateFusionClassifier`.

    Read more in the :ref:`User Guide <ensemble>`.

    Parameters
    ----------
    estimator : estimator object or None, default=None
        Classifier. None stands for standardised logistic regression with `C=0.05`.
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
        Which of the models that a row can feed answers for it. "score" takes the one
        with the best cross-validated score, which may well be one of fewer modalities
        but more rows; it takes `cv` more fits a combination. "largest" takes the one
        with the most modalities, then the most rows.
    cv : int, splitter or iterable, default=5
        Folds for `select="score"`. An int deals rows out by class and by a checksum of
        what stands in them: the order of rows does not matter, and equal rows share a
        fold.
    n_jobs : int or None, default=None
        Number of models fitted at once, as joblib understands it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    class_prior_ : ndarray of shape (n_classes,)
        Weighted class frequencies; rows without any modality get them.
    patterns_ : list of tuple of str
        Names of the modalities of each model.
    estimators_ : list
        Fitted models, in the order of `patterns_`.
    n_rows_ : ndarray of shape (n_models,)
        Rows that fitted each model.
    scores_ : ndarray of shape (n_models,)
        Mean log-probability of the true class on rows that a model of the same kind
        did not see; accuracy, if `estimator` has no probabilities. NaN if not needed.
    modalities_ : mapping
        Name of each modality to its columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X had names that are all strings.

    See Also
    --------
    PatternRegressor : The same for numbers.
    LateFusionClassifier : One model a modality, whose votes are joined.

    Notes
    -----
    Training rows are not kept, so no model is fitted for a combination that first
    appears when predicting: models of fewer modalities answer, and a warning says for
    how many rows. Scores of different models come from different rows; with values
    missing for a reason that has to do with the class they are not quite comparable,
    and `select="largest"` is the safer choice.

    Cells missing within a modality that a row has are filled with the mean of the
    training column, unless the tags of `estimator` say that it accepts NaN. A class
    that a model has not seen gets one over its rows plus the number of classes.
    Multilabel targets: ``OneVsRestClassifier(PatternClassifier())``.

    The idea is as old as pattern submodels [1]_; with rows shared between patterns
    as here, it is what surveys of missing modalities call dedicated training.

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
    >>> X[::3, :32] = np.nan  # every third row lacks the upper half
    >>> model = PatternClassifier(modalities={"upper": 32, "lower": 32})
    >>> model.fit(X[:1200], y[:1200]).patterns_
    [('lower',), ('upper',), ('upper', 'lower')]
    >>> model.n_rows_
    array([1200,  800,  800])
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

        def frequencies_of(rows):
            return class_frequencies(
                codes[rows], len(self.classes_), train.weight[rows]
            )

        # One score for all models: where a class has no rival, the model is a dummy,
        # which has probabilities even if the others have none.
        probabilities = hasattr(template, "predict_proba")

        def read_score(rows, held_out):
            if not probabilities:
                return partial(_hits, target=train.y[held_out])
            return partial(
                _log_score,
                classes=self.classes_,
                frequencies=frequencies_of(rows),
                codes=codes[held_out],
            )

        self.class_prior_ = frequencies_of(slice(None))
        self._fit_patterns(template, train, codes, read_score)
        self._frequencies = [
            frequencies_of((train.presence | ~pattern).all(axis=1))
            for pattern in self._patterns
        ]
        return self

    @available_if(_can_tell_probabilities)
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
        n_rows, routes = self._route(X, "the class frequencies of training")
        out = np.tile(self.class_prior_, (n_rows, 1))
        for rows, i, block in routes:
            out[rows] = predict_all_classes(
                self.estimators_[i], block, self.classes_, self._frequencies[i]
            )
        return out

    @available_if(_can_tell_probabilities)
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
        check_is_fitted(self)
        return np.log(self.predict_proba(X))

    def predict(self, X):
        """Class that the chosen model names.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any pattern of missing modalities. Rows without any get the most frequent
            class, and one warning says how many.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        n_rows, routes = self._route(X, "the most frequent class of training")
        out = np.empty(n_rows, dtype=self.classes_.dtype)
        out[:] = self.classes_[self.class_prior_.argmax()]
        for rows, i, block in routes:
            out[rows] = self.estimators_[i].predict(block)
        return out
