"""Fitting a clone of an estimator on some rows and some columns of X.

What the ensembles share below the level of estimators: default models, weights, holes,
folds, classes that a model has not seen.
"""

import zlib
from inspect import Parameter, signature

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

# Probabilities count as at least this share of an even split between the classes: a
# model that calls a class impossible, as forests do, must not overrule the others.
FLOOR = 0.01
# Cells that are copied at once for checksums.
CHUNK_CELLS = 1 << 20


def default_classifier():
    """Standardised logistic regression, strongly regularised."""
    return _requesting_weights(
        StandardScaler(), LogisticRegression(C=0.05, max_iter=1000)
    )


def default_regressor():
    """Standardised Bayesian ridge regression, which tunes its own penalty."""
    return _requesting_weights(StandardScaler(), BayesianRidge())


def _requesting_weights(*steps):
    if get_config()["enable_metadata_routing"]:
        steps = [step.set_fit_request(sample_weight=True) for step in steps]
    return make_pipeline(*steps)


def accepts_nan(estimator):
    """Whether `estimator` can be given NaN, as far as its tags tell.

    Parameters
    ----------
    estimator : estimator object

    Returns
    -------
    bool
        For a pipeline: whether every step accepts NaN up to and including an imputer,
        known by its parameter `keep_empty_features`, or to the end.
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


def weight_names(estimator):
    """Names under which the `fit` of `estimator` takes sample weights.

    Parameters
    ----------
    estimator : estimator object

    Returns
    -------
    list of str
        For a pipeline: those of its steps that take weights, if the last one does.
        Empty if weights are not taken.
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


def column_means(X, presence, layout, sample_weight):
    """Weighted mean of the observed cells of each column; 0 without any.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    layout : ModalityLayout
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    means : ndarray of shape (n_features,), dtype of X
    n_empty : int
        Columns without an observed cell in modalities that some row has.
    """
    means = np.zeros(X.shape[1], dtype=X.dtype)
    n_empty = 0
    for m in np.flatnonzero(presence.any(axis=0)):
        columns, rows = layout.columns_of(m), presence[:, m]
        part = X[rows][:, columns]
        seen = ~np.isnan(part)
        mass = sample_weight[rows] @ seen
        total = sample_weight[rows] @ np.where(seen, part, 0)
        means[columns] = total / np.where(mass > 0, mass, 1)
        n_empty += int((mass == 0).sum())
    return means, n_empty


def at_least_one_each(sample_weight):
    """Scale weights up to a mean of 1 if it is lower.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples,)
        Positive.

    Returns
    -------
    ndarray of shape (n_samples,)

    Notes
    -----
    Weights count rows, and what is weighed against a number of rows, as priors are,
    relies on that. Weights that add up to 1 would make all rows together count as one.
    Numbers of repetitions are at least 1 and stay as they are.
    """
    mean = sample_weight.mean()
    return sample_weight if mean >= 1 else sample_weight / mean


def take_block(X, rows, columns, means):
    """Copy of the given rows and columns, holes filled if `means` is not None."""
    block = X[rows][:, columns]
    if means is None:
        return block
    return np.where(np.isnan(block), means[columns], block)


def deal_folds(X, codes, n_splits):
    """Split rows into folds by what stands in them alone.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,), dtype intp
        Classes to spread evenly; zeros if there are none.
    n_splits : int

    Returns
    -------
    list of (ndarray of bool, ndarray of bool)
        Rows to fit on and rows to hold out; no empty folds.

    Notes
    -----
    Rows are dealt out in the order of a checksum of their values. That shuffles them
    without a random state, whatever the order of rows, and equal rows of one class
    share a fold, so that none is predicted by a model that saw its twin.
    """
    pairs = np.column_stack([codes, _checksums(X)])
    _, rank = np.unique(pairs, axis=0, return_inverse=True)
    folds = rank.reshape(-1) % n_splits
    return [(folds != k, folds == k) for k in np.unique(folds)]


def _checksums(X):
    """A checksum a row; rows of equal values have equal ones, whatever their bytes."""
    keys = np.empty(len(X), dtype=np.int64)
    step = max(1, CHUNK_CELLS // X.shape[1])
    for start in range(0, len(X), step):
        # Adding zero makes -0.0 the same as 0.0.
        part = X[start : start + step].astype(np.float64, order="C") + 0.0
        part[np.isnan(part)] = np.nan
        keys[start : start + step] = [zlib.crc32(row) for row in part]
    return keys


def fit_expert(template, X, y, fit_params, *, rows, columns, means, dtype):
    """Fit a clone of `template` on a block of X.

    Parameters
    ----------
    template : estimator object
    X, y : ndarray
    fit_params : dict of str to ndarray
        Values of one entry a row of X.
    rows : ndarray of shape (n_samples,), dtype bool
    columns : slice or ndarray of intp
    means : ndarray of shape (n_features,) or None
        Fill holes.
    dtype : dtype
        Of the block that the clone is fitted to.

    Returns
    -------
    fitted estimator
        A :class:`~sklearn.dummy.DummyClassifier` if `template` is a classifier and the
        rows are of one class.
    """
    target = y[rows]
    params = {name: value[rows] for name, value in fit_params.items()}
    block = take_block(X, rows, columns, means).astype(dtype, copy=False)
    kind = get_tags(template).estimator_type
    if kind == "classifier" and (target == target[0]).all():
        return DummyClassifier(strategy="prior").fit(block, target)
    return clone(template).fit(block, target, **params)


def predict_held_out(
    template, X, y, fit_params, *, rows, held_out, columns, means, dtype, read
):
    """Fit a clone of `template` and return what it says of other rows.

    Parameters
    ----------
    template, X, y, fit_params, rows, columns, means, dtype
        As :func:`fit_expert` takes them.
    held_out : ndarray of shape (n_samples,), dtype bool
    read : callable
        Called with the fitted model and the block of the rows held out.

    Returns
    -------
    object
        What `read` returns.
    """
    model = fit_expert(
        template, X, y, fit_params, rows=rows, columns=columns, means=means,
        dtype=dtype,
    )  # fmt: skip
    return read(model, take_block(X, held_out, columns, means))


def class_frequencies(codes, n_classes, sample_weight):
    """Weighted class frequencies, none of them 0.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype intp
    n_classes : int
    sample_weight : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_classes,)
        A class without rows gets one over the number of rows plus the number of
        classes, at the expense of the others; plain frequencies if all have rows.
    """
    mass = np.bincount(codes, sample_weight, minlength=n_classes)
    unseen = mass == 0
    floor = 1 / (mass.sum() + n_classes)
    return np.where(unseen, floor, mass / mass.sum() * (1 - floor * unseen.sum()))


def predict_all_classes(model, block, classes, frequencies):
    """Probabilities for all classes, also those that a model has not seen.

    Parameters
    ----------
    model : fitted classifier
    block : ndarray of shape (n_samples, n_columns)
    classes : ndarray of shape (n_classes,)
    frequencies : ndarray of shape (n_classes,)
        As :func:`class_frequencies` gives them for the rows that fitted `model`.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        An unseen class has its value in `frequencies`: no evidence either way.
    """
    known = np.searchsorted(classes, model.classes_)
    out = np.tile(frequencies, (len(block), 1))
    unseen = 1 - np.isin(np.arange(len(classes)), known)
    out[:, known] = model.predict_proba(block) * (1 - frequencies @ unseen)
    return out


def floored_log(probabilities):
    """Logarithm of probabilities of shape (n_samples, n_classes), none too small."""
    return np.log(np.maximum(probabilities, FLOOR / probabilities.shape[1]))


def predict_values(model, block):
    """Predictions of one number a row.

    Parameters
    ----------
    model : fitted regressor
    block : ndarray of shape (n_samples, n_columns)

    Returns
    -------
    ndarray of shape (n_samples,)
    """
    return np.asarray(model.predict(block), dtype=np.float64).reshape(len(block))
