"""Scores of imputers, without labels or complete samples."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skmissing._compat import _get_feature_names
from skmissing._modalities import resolve_modalities
from skmissing._table import NUMBERS, ModalityTable, fill_masked, framed


def masked_imputation_score(estimator, X, y=None, *, modalities=None):
    """Score a fitted imputer by hiding each modality of some samples in turn.

    Pass it as `scoring` to :class:`sklearn.model_selection.GridSearchCV` or
    :func:`sklearn.model_selection.cross_val_score`. No y is needed.

    Parameters
    ----------
    estimator : object
        A fitted imputer, or a pipeline that ends in one. In a pipeline, modalities are
        hidden in the output of the steps before the imputer.
    X : array-like of shape (n_samples, n_features)
        Samples to score on, preferably not the training samples. NaN and masked cells
        are missing. Samples with fewer than two modalities are left out.
    y : None
        Ignored.
    modalities : None, list of int, or dict, default=None
        Which columns form a modality. None uses `modalities_` of the estimator, if it
        has this attribute. In a pipeline, the columns are those of the last step.

    Returns
    -------
    score : float
        Minus the error. It is 0 for perfect imputations, and -1 for the mean of X.

    Raises
    ------
    ValueError
        If no sample has two modalities, if no column of these samples varies, or if
        the estimator drops columns or returns missing cells.

    See Also
    --------
    skmissing.metrics.block_nrmse : The error if the true values are known.

    Notes
    -----
    The error of a modality is the mean squared error over the hidden cells, divided by
    the variance of these cells about their column means. The score is minus the square
    root of the mean over modalities. Cells that were missing before, and columns that
    do not vary, are not scored.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skmissing.impute import RetrievalImputer, masked_imputation_score
    >>> a = np.random.RandomState(0).standard_normal((60, 1))
    >>> X = np.hstack([a, 2 * a, a + 1])
    >>> X[::3, 0] = np.nan
    >>> grid = {"n_neighbors": [2, 40]}
    >>> search = GridSearchCV(RetrievalImputer(), grid, scoring=masked_imputation_score)
    >>> search.fit(X).best_params_
    {'n_neighbors': 2}
    """
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    X = fill_masked(X)
    names, frame = _get_feature_names(X), X
    X = check_array(X, **NUMBERS)
    layout = getattr(estimator, "modalities_", None)
    if modalities is not None or layout is None or layout.n_features != X.shape[1]:
        layout = resolve_modalities(modalities, X.shape[1], names)
    table = ModalityTable(X, layout)
    linked = table.presence.sum(axis=1) > 1
    if not linked.any():
        raise ValueError(
            f"X must have samples with two of the {len(layout)} modalities or more, "
            f"of which one can be hidden; got none in {len(X)} samples."
        )
    ratios = []
    for m, modality in enumerate(layout.values()):
        hidden = X[linked & table.presence[:, m]]
        if len(hidden):
            true = hidden[:, modality.columns]
            hidden[:, modality.columns] = np.nan
            filled = _transform(estimator, framed(hidden, frame, names), X.shape[1])
            ratios.extend(_error_ratio(true, filled[:, modality.columns], estimator))
    if not ratios:
        raise ValueError(
            "X must have a column that varies among its samples with two modalities; "
            f"got none in {linked.sum()} samples."
        )
    return -float(np.sqrt(np.mean(ratios)))


def _transform(estimator, hidden, n_features):
    """Output of the imputer as an array of at least the columns of X."""
    filled = np.asarray(estimator.transform(hidden))
    if filled.shape[1] < n_features:
        raise ValueError(
            f"{type(estimator).__name__} must return at least {n_features} "
            f"columns; got {filled.shape[1]}. Set keep_empty_features=True."
        )
    return filled


def _error_ratio(true, filled, estimator):
    """Squared error over variance, in a list that is empty if no column varies."""
    seen = ~np.isnan(true)
    n_gaps = int((seen & ~np.isfinite(filled)).sum())
    if n_gaps:
        raise ValueError(
            f"{type(estimator).__name__} must fill all {seen.sum()} hidden cells with "
            f"finite values; got {n_gaps} cells without one."
        )
    varies = np.fmin.reduce(true, axis=0) < np.fmax.reduce(true, axis=0)
    if not varies.any():
        return []
    true, seen = true[:, varies].astype(np.float64), seen[:, varies]
    mean = np.where(seen, true, 0).sum(axis=0) / seen.sum(axis=0)
    variance = np.where(seen, true - mean, 0) ** 2
    error = np.where(seen, true - filled[:, varies], 0) ** 2
    return [float(np.mean(error.sum(axis=0) / variance.sum(axis=0)))]
