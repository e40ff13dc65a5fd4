"""Scores of imputers that need no labels and no complete rows."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from skmissing._base import fill_masked
from skmissing._blocks import find_presence
from skmissing._compat import _get_feature_names
from skmissing._modalities import resolve_modalities


def masked_imputation_score(estimator, X, y=None, *, modalities=None):
    """Score a fitted imputer by hiding from it, in turn, each modality of some rows.

    A scorer: pass it as `scoring` to :class:`sklearn.model_selection.GridSearchCV`
    or :func:`sklearn.model_selection.cross_val_score`, which need no y for it.

    Parameters
    ----------
    estimator : object
        Fitted, with `transform`: an imputer, or a pipeline that ends in one. Modalities
        are then hidden in what the imputer gets from the steps before it.
    X : array-like of shape (n_samples, n_features)
        Rows to score on, best ones that were not given to `fit`. NaN and masked cells
        are missing; rows with fewer than two modalities are left out.
    y : None
        Ignored.
    modalities : None, list of int, or dict, default=None
        Which columns form a modality. None takes those of the estimator, its
        `modalities_`, if it has that. Of a pipeline, those of the last step's input.

    Returns
    -------
    score : float
        Minus the error: 0 is perfect, and what the mean of X scores is -1.

    Raises
    ------
    ValueError
        If no row has two modalities, if no column of those varies, or if the estimator
        drops columns or leaves gaps.

    See Also
    --------
    skmissing.metrics.block_nrmse : The error when the truth is known.

    Notes
    -----
    The error of modality m is the mean squared error over the hidden cells divided by
    the variance of the same cells about their column means; the score is minus the
    square root of the mean over modalities. Cells that were missing before, and
    columns that do not vary, are not scored.

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
    del y
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    names = _get_feature_names(X)
    frame = X if hasattr(X, "columns") else None
    X = check_array(
        fill_masked(X), dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
    )
    layout = _layout(estimator, modalities, X.shape[1], names)
    presence, _ = find_presence(X, layout)
    linked = presence.sum(axis=1) > 1
    if not linked.any():
        raise ValueError(
            f"No row of X, of {len(X)}, has two of the {len(layout)} modalities: "
            "nothing can be hidden that the rest could tell of."
        )
    ratios = []
    for m, modality in enumerate(layout.values()):
        rows = np.flatnonzero(linked & presence[:, m])
        if len(rows):
            hidden = X[rows].copy()
            hidden[:, modality.columns] = np.nan
            filled = _transform(estimator, hidden, frame)
            true = X[np.ix_(rows, modality.columns)]
            ratio = _error_ratio(true, filled[:, modality.columns], estimator)
            ratios.extend(ratio)
    if not ratios:
        raise ValueError(
            f"No column of the {linked.sum()} rows of X with two modalities varies: "
            "there is nothing to score."
        )
    return -float(np.sqrt(np.mean(ratios)))


def _layout(estimator, modalities, n_features, names):
    found = getattr(estimator, "modalities_", None)
    if modalities is None and found is not None and found.n_features == n_features:
        return found
    return resolve_modalities(modalities, n_features, names)


def _transform(estimator, hidden, frame):
    """Output of the imputer as an array of at least the columns of X."""
    table = hidden
    if frame is not None:
        table = type(frame)(dict(zip(frame.columns, hidden.T)))
    filled = np.asarray(estimator.transform(table))
    if filled.shape[1] < hidden.shape[1]:
        raise ValueError(
            f"{type(estimator).__name__} turns {hidden.shape[1]} columns into "
            f"{filled.shape[1]}; set keep_empty_features=True."
        )
    return filled


def _error_ratio(true, filled, estimator):
    """Squared error over variance, in a list; an empty one if all is constant."""
    seen = ~np.isnan(true)
    n_gaps = int((seen & ~np.isfinite(filled)).sum())
    if n_gaps:
        raise ValueError(
            f"{type(estimator).__name__} leaves {n_gaps} of {seen.sum()} hidden cells "
            "without a finite value; it should fill all."
        )
    varies = np.fmin.reduce(true, axis=0) < np.fmax.reduce(true, axis=0)
    if not varies.any():
        return []
    true, seen = true[:, varies].astype(np.float64), seen[:, varies]
    mean = np.where(seen, true, 0).sum(axis=0) / seen.sum(axis=0)
    variance = np.where(seen, true - mean, 0) ** 2
    error = np.where(seen, true - filled[:, varies], 0) ** 2
    return [float(np.mean(error.sum(axis=0) / variance.sum(axis=0)))]
