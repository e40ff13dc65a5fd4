"""Eq. (2) of UL4M4 between any two sets of samples."""

import numpy as np
from sklearn import get_config

from skmissing._blocks import fit_scaler
from skmissing._compat import device_namespace
from skmissing._distances import squared_distances
from skmissing._docs import shared_docs
from skmissing._modalities import resolve_modalities
from skmissing._table import ModalityTable, read_array

# Number of samples of Y that are compared at a time.
N_CENTERS = 1024


@shared_docs
def partial_modality_distances(X, Y=None, *, modalities=None, squared=False):
    """Compute distances between samples over the modalities that both have.

    Columns are not scaled. Standardise them first if their units differ.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        NaN and masked cells are missing.
    Y : array-like of shape (n_samples_Y, n_features), default=None
        None compares the samples of X with each other.
    %(modalities)s
    squared : bool, default=False
        Whether to return squared distances.

    Returns
    -------
    ndarray of shape (n_samples_X, n_samples_Y)
        The dtype is float32 if X and Y are both float32, otherwise float64. `inf` if
        two samples have no modality in common.

    See Also
    --------
    sklearn.metrics.pairwise.nan_euclidean_distances : Compares single columns.

    Notes
    -----
    The squared distance is eq. (2) of [1]_,

    .. math::
        d^2(x, y) = \\frac{1}{|S|} \\sum_{m \\in S}
        \\frac{1}{d_m} \\left\\| x^m - y^m \\right\\|^2 ,

    where S is the modalities that both samples have, and d_m is the width of modality
    m. Wide and narrow modalities thus have the same weight, and samples are not closer
    if they share fewer modalities. In a partially observed modality, the mean is over
    the columns observed in both samples. If there are none, the modality is not shared.

    This is not a metric: samples with different modalities are compared in different
    coordinates, so the triangle inequality can fail.

    The squares are expanded into one matrix product and computed in float64, about
    the column means. Two equal samples may therefore have a distance of about 1e-8
    times the spread of the columns. The diagonal is exactly zero if `Y` is None.

    References
    ----------
    .. [1] Ismkhan and Bouchahcia, "UL4M4", arXiv:2606.15743, eq. (2).

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.metrics import partial_modality_distances
    >>> nan = np.nan
    >>> X = [[0., 0., 0.], [2., 2., 4.], [2., 2., nan], [nan, nan, 4.]]
    >>> partial_modality_distances(X, modalities={"text": 2, "age": 1}, squared=True)
    array([[ 0., 10.,  4., 16.],
           [10.,  0.,  0.,  0.],
           [ 4.,  0.,  0., inf],
           [16.,  0., inf,  0.]])
    """
    first = read_array(X, "X", on_device=True)
    second = first if Y is None else read_array(Y, "Y", on_device=True)
    names = check_same_columns(first, second, "X", "Y")
    (X, _), (other, _) = first, second
    layout = resolve_modalities(modalities, X.shape[1], names)
    if device_namespace(X) is not None or device_namespace(other) is not None:
        return _on_device(X, None if Y is None else other, layout, squared)
    dtype = np.result_type(X.dtype, other.dtype)
    # Data frames are column-major. Sums must not depend on the memory order.
    X = np.ascontiguousarray(X, dtype=np.float64)
    left = right = both = ModalityTable(X, layout)
    if Y is not None:
        other = np.ascontiguousarray(other, dtype=np.float64)
        right = ModalityTable(other, layout)
        both = ModalityTable(np.vstack([X, other]), layout)
    scaler = fit_scaler(both, standardize=False)
    distances = np.empty((len(left), len(right)), dtype=dtype)
    # Centres of the kernel are never partially observed. If only samples of Y are
    # partially observed, the samples of X are the centres.
    whole, partial = np.flatnonzero(~right.partial), np.flatnonzero(right.partial)
    _fill(distances, left, right, whole, scaler)
    if len(partial):
        part = np.empty((len(partial), len(left)), dtype=dtype)
        _fill(part, right[partial], left, np.flatnonzero(~left.partial), scaler)
        distances[:, partial] = part.T
        rows = np.flatnonzero(left.partial)
        x, y = ((t - scaler.mean)[:, layout.order] for t in (X[rows], other[partial]))
        for chunk in _steps(len(rows), len(partial)):
            cells = _cellwise(np, x[chunk], y, layout)
            distances[np.ix_(rows[chunk], partial)] = cells
    if not squared:
        np.sqrt(distances, out=distances)
    if Y is None:
        np.fill_diagonal(distances, np.where(left.has_any, 0, np.inf))
    return distances


def _on_device(X, Y, layout, squared):
    """The same for arrays on a device, in its highest precision."""
    from skmissing._device import DeviceTable, full_products

    xp, other = device_namespace(X), X if Y is None else Y
    if device_namespace(other) is not xp or X.device != other.device:
        kinds = [f"{type(a).__module__}.{type(a).__name__}" for a in (X, other)]
        raise ValueError(
            "X and Y must be arrays of the same package on the same device; got "
            f"{kinds[0]} on {getattr(X, 'device', 'cpu')} and {kinds[1]} on "
            f"{getattr(other, 'device', 'cpu')}."
        )
    table, dtype = DeviceTable(X, layout, xp=xp), xp.result_type(X, other)
    wide = table.wide
    shift, order = table.put(table.near_mean(), wide), table.put(layout.order)
    x, y = (xp.take(xp.astype(a, wide) - shift, order, axis=1) for a in (X, other))
    number, parts = xp.arange(y.shape[0], device=X.device), []
    with full_products(xp):
        for rows in _steps(x.shape[0], y.shape[0]):
            part = _cellwise(xp, x[rows, :], y, layout)
            part = part if squared else xp.sqrt(part)
            if Y is None:
                same = number[rows][:, None] == number[None, :]
                part = xp.where(same & ~xp.isinf(part), 0.0, part)
            parts.append(xp.astype(part, dtype))
    return xp.concat(parts, axis=0)


def _steps(n_rows, n_columns):
    """Slices of rows whose distances fit in memory."""
    n_cells = get_config()["working_memory"] * 2**20 / 8 / 4
    step = max(1, int(n_cells / n_columns))
    return [slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]


def _fill(distances, left, right, columns, scaler):
    """Squared distances of all samples to samples that are not partially observed."""
    blocks = scaler.split(left)
    for start in range(0, len(columns), N_CENTERS):
        chunk = columns[start : start + N_CENTERS]
        centers = scaler.center_blocks(right.X[chunk])
        distances[:, chunk] = squared_distances(blocks, centers)


def _cellwise(xp, x, y, layout):
    """Squared distances over shared cells, (n, d) and (k, d) with NaN -> (n, k)."""
    # Each square is expanded in one product. `xp` is NumPy, or a similar namespace.
    total = n_shared = 0.0
    for columns in layout.slices:
        (a, a_seen), (b, b_seen) = (
            (xp.where(gaps, 0.0, z), xp.where(gaps, 0.0, xp.ones_like(z)))
            for z, gaps in ((z, xp.isnan(z)) for z in (x[:, columns], y[:, columns]))
        )
        n_cells = a_seen @ b_seen.T
        left = xp.concat([a**2, a, a_seen], axis=1)
        block = left @ xp.concat([b_seen, -2 * b, b**2], axis=1).T
        block = xp.where(block > 0, block, 0.0)
        total = total + block / xp.where(n_cells > 0, n_cells, 1.0)
        n_shared = n_shared + xp.where(n_cells > 0, 1.0, n_cells)
    mean = total / xp.where(n_shared > 0, n_shared, 1.0)
    return xp.where(n_shared > 0, mean, xp.inf)


def check_same_columns(first, second, first_name, second_name):
    """Check that two pairs of array and names have equal columns; return the names."""
    (X, names), (Y, other_names) = first, second
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"{first_name} and {second_name} must have the same columns; got "
            f"{X.shape[1]} and {Y.shape[1]} columns."
        )
    if names is None or other_names is None:
        return other_names if names is None else names
    for position in np.flatnonzero(names != other_names)[:1]:
        raise ValueError(
            f"{first_name} and {second_name} must have the same columns in the same "
            f"order; column {position} is {names[position]!r} in {first_name} and "
            f"{other_names[position]!r} in {second_name}."
        )
    return names
