"""Errors of an imputer on hidden cells with known values."""

import numpy as np
from sklearn.utils import check_array

from skmissing._docs import shared_docs
from skmissing._modalities import resolve_modalities
from skmissing._table import fill_masked, read_array
from skmissing.metrics._distances import check_same_columns


def masked_rmse(X_true, X_imputed, mask):
    """Root mean squared error over the hidden cells, in the units of X.

    Every hidden cell has the same weight. A modality of 1000 columns therefore
    outweighs one of ten, and columns with large values outweigh all others. Use
    :func:`block_nrmse` to avoid this.

    Parameters
    ----------
    X_true : array-like of shape (n_samples, n_features)
        The table before anything was hidden.
    X_imputed : array-like of shape (n_samples, n_features)
        The completed table.
    mask : array-like of shape (n_samples, n_features)
        Cells to score: booleans that are True for hidden cells, or the incomplete table
        that was given to the imputer. In the second case, cells that are missing in
        this table and observed in `X_true` are scored.

    Returns
    -------
    float
        The error. It is 0 for a perfect imputation.

    See Also
    --------
    block_nrmse : Gives every column and every modality the same weight.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.metrics import masked_rmse
    >>> X_true = [[1., 2.], [3., 4.]]
    >>> X_missing = [[1., np.nan], [3., np.nan]]
    >>> masked_rmse(X_true, [[1., 3.], [3., 3.]], X_missing)
    1.0
    """
    true, imputed, hidden, _ = _check_imputed(X_true, X_imputed, mask)
    error = np.subtract(imputed[hidden], true[hidden], dtype=np.float64)
    return float(np.sqrt(np.mean(error**2)))


@shared_docs(like=masked_rmse)
def block_nrmse(X_true, X_imputed, mask, *, modalities=None, scale=None, average=True):
    """Normalised root mean squared error with the same weight for every modality.

    Imputation with the column means has an error of 1.

    Parameters
    ----------
    %(X_true, X_imputed, mask, modalities)s
    scale : array-like of shape (n_features,), default=None
        Divisor of the error of each column. Use the standard deviations of the
        *training* table, for example `numpy.nanstd(X_train, axis=0)`. None is the
        standard deviation of the observed cells of `X_true`, or 1 if it is 0.
    average : bool, default=True
        Whether to average over modalities. If False, return the error of each modality.

    Returns
    -------
    float or dict of str to float
        The error, or one error per modality if `average=False`. NaN for a modality
        without hidden cells.

    See Also
    --------
    masked_rmse : In the units of X, with the same weight for every cell.
    masked_cosine : Compares directions instead of lengths.

    Notes
    -----
    Let H_m be the hidden cells of modality m, s_c the scale of column c, and M' the
    modalities with hidden cells. Then,

    .. math::
        e_m^2 = \\frac{1}{|H_m|} \\sum_{(i, c) \\in H_m}
        \\left( \\frac{\\hat x_{ic} - x_{ic}}{s_c} \\right)^2 , \\qquad
        \\mathrm{NRMSE}^2 = \\frac{1}{|M'|} \\sum_{m \\in M'} e_m^2 .

    Squares are averaged over modalities, as in :func:`partial_modality_distances`. With
    the means and the scale of the training table, the error of the column means is
    close to 1. It is exactly 1 if means and scale are those of the hidden cells, and if
    columns have equal numbers of hidden cells.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.metrics import block_nrmse
    >>> X_true = np.array([[0., 1., 10.], [2., 3., 30.]])
    >>> X_mean = np.tile(X_true.mean(axis=0), (2, 1))
    >>> mask = np.ones_like(X_true, dtype=bool)
    >>> block_nrmse(X_true, X_mean, mask, modalities={"text": 2, "age": 1})
    1.0
    """
    true, imputed, hidden, names = _check_imputed(X_true, X_imputed, mask)
    layout = resolve_modalities(modalities, true.shape[1], names)
    scale = _own_scale(true) if scale is None else _check_scale(scale, true.shape[1])
    square = np.zeros(true.shape)
    np.subtract(imputed, true, out=square, where=hidden, dtype=np.float64)
    square /= scale
    square *= square
    errors = {}
    for name, modality in layout.items():
        cells = hidden[:, modality.columns]
        total = square[:, modality.columns].sum()
        errors[name] = total / cells.sum() if cells.any() else np.nan
    if average:
        return float(np.sqrt(np.nanmean(list(errors.values()))))
    return {name: float(np.sqrt(error)) for name, error in errors.items()}


@shared_docs(like=masked_rmse)
def masked_cosine(
    X_true, X_imputed, mask, *, modalities=None, center=None, average=True
):
    """Cosine between true and imputed values, with the same weight for every modality.

    Use it for embeddings, whose direction often matters more than their length.

    Parameters
    ----------
    %(X_true, X_imputed, mask, modalities)s
    center : array-like of shape (n_features,), default=None
        Vector to subtract first, for example the training means. Embeddings often have
        a large common component. Without centring, the mean of all samples would then
        score near 1.
    average : bool, default=True
        Whether to average over modalities. If False, return the cosine of each.

    Returns
    -------
    float or dict of str to float
        The cosine between -1 and 1, or one cosine per modality if `average=False`.
        Higher is better. NaN for a modality without hidden cells.

    See Also
    --------
    block_nrmse : Also considers the length of the error.

    Notes
    -----
    The cosine of a sample is computed over the hidden cells of a modality. It is 0 if
    one of the two vectors is zero, such as the training mean after centring. The mean
    is first over the samples with hidden cells in the modality, then over the
    modalities with hidden cells.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.metrics import masked_cosine
    >>> X_true = np.array([[1., 0., 5.], [0., 2., 6.]])
    >>> X_imputed = np.array([[3., 0., 5.], [1., 0., 6.]])
    >>> mask = np.array([[True, True, False], [True, True, False]])
    >>> masked_cosine(X_true, X_imputed, mask, modalities={"text": 2, "age": 1})
    0.5
    """
    true, imputed, hidden, names = _check_imputed(X_true, X_imputed, mask)
    layout = resolve_modalities(modalities, true.shape[1], names)
    center = np.zeros(true.shape[1]) if center is None else center
    center = _check_columns(center, "center", true.shape[1])
    cosines = {}
    for name, modality in layout.items():
        cells = hidden[:, modality.columns]
        rows = cells.any(axis=1)
        x, y = (
            np.where(cells, table[:, modality.columns] - center[modality.columns], 0)
            for table in (true, imputed)
        )
        # 0 if one of the vectors is zero
        cosine, products = np.zeros(rows.sum()), np.einsum("ij,ij->i", x[rows], y[rows])
        lengths = np.linalg.norm(x[rows], axis=1) * np.linalg.norm(y[rows], axis=1)
        np.divide(products, lengths, out=cosine, where=lengths > 0)
        cosines[name] = float(cosine.mean()) if rows.any() else np.nan
    return float(np.nanmean(list(cosines.values()))) if average else cosines


def _own_scale(X):
    """Standard deviation of the observed cells; 1 if constant or never observed."""
    seen = ~np.isnan(X)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.sum(X, axis=0, where=seen, dtype=np.float64) / count
    square = np.square(X - mean, where=seen, out=np.zeros(X.shape))
    scale = np.sqrt(square.sum(axis=0) / count)
    constant = scale <= 10 * np.finfo(X.dtype).eps * np.abs(mean)
    return np.where(constant, 1.0, scale)


def _check_columns(values, name, n_features):
    values = check_array(values, dtype=np.float64, ensure_2d=False, input_name=name)
    if values.shape != (n_features,):
        raise ValueError(
            f"{name} must have one number per column ({n_features}); got an "
            f"array of shape {values.shape}."
        )
    return values


def _check_scale(scale, n_features):
    scale = _check_columns(scale, "scale", n_features)
    for column in np.flatnonzero(scale <= 0)[:1]:
        raise ValueError(
            f"scale must be positive; got {scale[column]} for column {column}. Use "
            "1 for a constant column."
        )
    return scale


def _check_imputed(X_true, X_imputed, mask):
    """Validate both tables; return them, the cells to score, and the column names."""
    true, imputed = read_array(X_true, "X_true"), read_array(X_imputed, "X_imputed")
    check_same_columns(true, imputed, "X_true", "X_imputed")
    named = ("X_imputed", imputed) if true[1] is None else ("X_true", true)
    (true, _), (imputed, _) = true, imputed
    if len(true) != len(imputed):
        raise ValueError(
            "X_true and X_imputed must have the same samples; got "
            f"{len(true)} and {len(imputed)} samples."
        )
    hidden = _find_hidden(mask, true, *named)
    for table, name, advice in (
        (true, "X_true", "there is no true value to compare with"),
        (imputed, "X_imputed", "impute them, or leave them out of mask"),
    ):
        n_missing = np.count_nonzero(np.isnan(table[hidden]))
        if n_missing:
            raise ValueError(
                f"{name} is NaN in {n_missing} of the {hidden.sum()} cells to score: "
                f"{advice}."
            )
    return true, imputed, hidden, named[1][1]


def _find_hidden(mask, true, named, columns):
    """Cells to score, from booleans or the incomplete table."""
    mask, names, dtypes = fill_masked(mask), None, getattr(mask, "dtypes", None)
    table = np.asarray(mask) if dtypes is None else mask
    if table.shape != true.shape:
        raise ValueError(
            f"mask must have the shape of X_true, {true.shape}; got {table.shape}."
        )
    kinds = {str(d).lower() for d in ([table.dtype] if dtypes is None else dtypes)}
    if "object" not in kinds and dtypes is not None:
        table, names = read_array(mask, "mask")
    check_same_columns(columns, (table, names), named, "mask")
    if all(kind.startswith("bool") for kind in kinds):
        hidden = _true_cells(table)
    elif "object" in kinds or not (table.dtype.kind == "f" and _has_gaps(table, kinds)):
        raise ValueError(
            "mask must have booleans, or be the incomplete table with NaN in its "
            f"missing cells; got dtype {', '.join(sorted(kinds))}."
        )
    else:
        hidden = np.isnan(table) & ~np.isnan(true)
    if not hidden.any():
        raise ValueError("mask must hide a cell whose true value is known; got none.")
    return hidden


def _true_cells(table):
    """Cells that are True. In a data frame, booleans may have become floats."""
    n_missing = np.count_nonzero(np.isnan(table)) if table.dtype.kind == "f" else 0
    if n_missing:
        raise ValueError(
            f"mask must be True or False; got booleans of which {n_missing} are "
            "missing."
        )
    return table.astype(bool, copy=False)


def _has_gaps(table, kinds):
    """Whether this is a table with missing cells instead of a mask of 0 and 1."""
    return np.isnan(table).any() or any(
        k.startswith(("float", "double")) for k in kinds
    )
