"""What late fusion and pattern models share: reading rows and fitting blocks."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn import get_config
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.parallel import Parallel, delayed

from skmissing._base import (
    ModalityMixin,
    SkmissingEstimator,
    warn_empty_rows,
    warn_layout_forgotten,
    warn_never_observed,
    warn_unlearnt,
)
from skmissing._blocks import find_presence
from skmissing._compat import HasMethods, Interval, check_sample_weight
from skmissing.ensemble._experts import (
    accepts_nan,
    at_least_one_each,
    column_means,
    deal_folds,
    default_classifier,
    default_regressor,
    fit_expert,
    predict_held_out,
    take_block,
    weight_names,
)


@dataclass(frozen=True)
class TrainingRows:
    """What `fit` reads its models from: rows with some modality and some weight.

    Attributes
    ----------
    X, y : ndarray
    weight : ndarray of shape (n_rows,)
        Ones if no weights were given; their mean is at least 1.
    fit_params : dict of str to ndarray
        What the inner estimator's `fit` takes beside X and y.
    presence : ndarray of shape (n_rows, n_modalities), dtype bool
    rows : ndarray of shape (n_samples,), dtype bool
        Which of the rows given to `fit` these are.
    given : tuple of ndarray
        X and y as given to `fit`, validated: a user's folds refer to them.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    fit_params: dict
    presence: np.ndarray
    rows: np.ndarray
    given: tuple


class BlockEnsemble(MetaEstimatorMixin, ModalityMixin, SkmissingEstimator):
    """Base of meta-estimators that fit clones of one estimator on blocks of X."""

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
        "n_jobs": [Integral, None],
    }

    def _template(self):
        """The estimator to clone."""
        if self.estimator is not None:
            return clone(self.estimator)
        if is_classifier(self):
            return default_classifier()
        return default_regressor()

    def _read(self, X, y, sample_weight, template):
        """Validate what `fit` was given; learn presence and column means."""
        classifier = is_classifier(self)
        checks = {"multi_output": True} if classifier else {"y_numeric": True}
        X, y = self._validate(X, y, reset=True, **checks)
        if classifier:
            y = self._check_classes(y)
            self.classes_ = np.unique(y)
        warn_layout_forgotten(
            self.modalities, self.modalities_, ", with a model of its own"
        )
        weight = check_sample_weight(sample_weight, X)
        presence, _ = find_presence(X, self.modalities_)
        rows = self._usable_rows(presence, weight)
        given = X, y
        X, y, presence = X[rows], y[rows], presence[rows]
        weight = at_least_one_each(weight[rows])
        self._seen = presence.any(axis=0)
        weighted = sample_weight is not None
        fit_params = self._inner_fit_params(template, weight if weighted else None)
        self._means = None
        if not accepts_nan(template):
            means, n_empty = column_means(X, presence, self.modalities_, weight)
            self._means = means
            if n_empty:
                warnings.warn(
                    f"{n_empty} columns have no observed cell in training; 0 stands "
                    "in for them.",
                    stacklevel=3,
                )
        return TrainingRows(X, y, weight, fit_params, presence, rows, given)

    def _check_classes(self, y):
        """One class a row, or an error that says what to do."""
        if type_of_target(y) == "multilabel-indicator":
            name = type(self).__name__
            raise ValueError(
                f"{name} takes one class a row; got a multilabel indicator of shape "
                f"{y.shape}. Use sklearn.multiclass.OneVsRestClassifier({name}())."
            )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y

    def _usable_rows(self, presence, weight):
        """Rows with a modality and a weight; tells of the others, and of modalities."""
        some = presence.any(axis=1)
        rows = some & (weight > 0)
        if not rows.any():
            raise ValueError(
                f"None of the {len(some)} rows of X has an observed modality and a "
                "weight above 0."
            )
        warn_empty_rows(presence, "left out of training")
        seen = presence[rows].any(axis=0)
        never = [name for name, known in zip(self.modalities_, seen) if not known]
        warn_never_observed(never, "they have no say")
        return rows

    def _inner_fit_params(self, template, sample_weight):
        """Arrays that go to the inner `fit` beside X and y."""
        if sample_weight is None:
            return {}
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", sample_weight=sample_weight)
            return dict(routed.estimator.fit)
        names = weight_names(template)
        if not names:
            raise ValueError(
                "sample_weight was given, but the fit of "
                f"estimator={type(template).__name__} does not take it."
            )
        return dict.fromkeys(names, sample_weight)

    def get_metadata_routing(self):
        """Get the metadata routing of this object.

        Returns
        -------
        MetadataRouter
            Sample weights are used here and, if the inner estimator requests them,
            handed to its `fit`.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__)
        router.add_self_request(self)
        return router.add(estimator=self._template(), method_mapping=mapping)

    def _fit_dtype(self, X):
        """What models are fitted in: double precision if it is Bayesian ridge.

        With few rows it may explain all of y, and takes rounding errors for precision.
        """
        is_default = self.estimator is None
        return np.float64 if is_default and not is_classifier(self) else X.dtype

    def _fit_blocks(self, template, train, blocks):
        """Fit one clone a pair of rows and columns."""
        return Parallel(n_jobs=self.n_jobs)(
            delayed(fit_expert)(
                template,
                train.X,
                train.y,
                train.fit_params,
                rows=rows,
                columns=columns,
                means=self._means,
                dtype=self._fit_dtype(train.X),
            )
            for rows, columns in blocks
        )

    def _predict_held_out(self, template, train, tasks):
        """Fit one clone a task; return only what it says of the rows held out."""
        return Parallel(n_jobs=self.n_jobs)(
            delayed(predict_held_out)(
                template,
                train.X,
                train.y,
                train.fit_params,
                rows=rows,
                held_out=held_out,
                columns=columns,
                means=self._means,
                dtype=self._fit_dtype(train.X),
                read=read,
            )
            for rows, held_out, columns, read in tasks
        )

    def _splits(self, train, codes):
        """Pairs of rows to fit on and rows to hold out, as masks."""
        if isinstance(self.cv, Integral):
            return deal_folds(train.X, codes, self.cv)
        splitter = check_cv(self.cv, train.given[1], classifier=is_classifier(self))
        splits = []
        for positions in splitter.split(*train.given):
            masks = np.zeros((2, len(train.rows)), dtype=bool)
            for mask, picked in zip(masks, positions):
                mask[picked] = True
            splits.append(tuple(masks[:, train.rows]))
        if not splits:
            raise ValueError(
                f"cv={self.cv!r} gives no folds. A generator does so when it has been "
                "used up by an earlier fit: pass a list of its folds."
            )
        return splits

    def _block(self, X, rows, columns):
        """Copy of some rows and columns, as the inner estimator wants it."""
        return take_block(X, rows, columns, self._means)

    def _read_new(self, X, fallback):
        """Validate new rows; warn of those that no model can answer for."""
        X = self._validate(X, reset=False)
        presence, _ = find_presence(X, self.modalities_)
        warn_unlearnt(self.modalities_, presence, self._seen)
        presence = presence & self._seen
        warn_empty_rows(presence, f"given {fallback}")
        return X, presence
