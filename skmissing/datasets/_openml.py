"""Data from OpenML."""

import numpy as np
from sklearn.datasets import fetch_openml

from skmissing._compat import import_optional
from skmissing.datasets._bunch import build_bunch

# OpenML's number and width of each view, in the order of the UCI description.
_MFEAT = {
    "fou": (14, 76),
    "fac": (12, 216),
    "kar": (16, 64),
    "pix": (20, 240),
    "zer": (22, 47),
    "mor": (18, 6),
}

_DESCR = """Multiple features: 2000 handwritten numerals in six views.

From UCI by way of OpenML (data sets 12, 14, 16, 18, 20 and 22); CC BY 4.0, R. Duin.

- fou (76): Fourier coefficients of the shapes.
- fac (216): profile correlations.
- kar (64): Karhunen-Loeve coefficients.
- pix (240): pixel averages in windows of 2 by 3.
- zer (47): Zernike moments.
- mor (6): morphological features.

Target: the digit, 0 to 9, 200 of each.
"""


def fetch_mfeat(*, data_home=None, cache=True, return_X_y=False, as_frame=False):
    """Fetch UCI multiple features (handwritten numerals, six views) from OpenML.

    The first call downloads six data sets and stores them. pandas is required.

    Parameters
    ----------
    data_home : str or path-like or None, default=None
        Folder for the downloads. None is the folder of scikit-learn.
    cache : bool, default=True
        Whether to keep the downloads.
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `view__feature`.

    Returns
    -------
    data : Bunch
        With `data` of shape (2000, 649), `target` (the digits), `modalities` (widths
        by name), `feature_names`, `target_names`, `frame` and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Examples
    --------
    >>> from skmissing.datasets import fetch_mfeat
    >>> mfeat = fetch_mfeat()  # doctest: +SKIP
    >>> mfeat.data.shape  # doctest: +SKIP
    (2000, 649)
    """
    import_optional("pandas", "datasets")
    blocks, targets = {}, {}
    for view, (data_id, width) in _MFEAT.items():
        part = fetch_openml(
            data_id=data_id, data_home=data_home, cache=cache, as_frame=True
        )
        block = _as_numbers(part.data, view, data_id)
        if block.shape[1] != width:
            raise ValueError(
                f"OpenML data set {data_id} (view {view!r}) must have {width} columns; "
                f"got {block.shape[1]}."
            )
        blocks[view] = block
        targets[view] = part.target.astype(str).to_numpy(dtype=np.str_)
    first = targets["fou"]
    for view, target in targets.items():
        if not np.array_equal(target, first):
            raise ValueError(
                f"OpenML data set {_MFEAT[view][0]} (view {view!r}) must have the "
                "same classes as the view 'fou'; got different classes."
            )
    # OpenML counts classes from 1. The first class is the digit 0.
    digits = first.astype(float).astype(np.int64) - 1
    return build_bunch(
        blocks,
        digits,
        target_names=[str(d) for d in range(10)],
        descr=_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _as_numbers(frame, view, data_id):
    """Convert columns to floats. OpenML stores some numbers as categories."""
    columns = []
    for name in frame.columns:
        try:
            columns.append(
                frame[name].astype(str).to_numpy(dtype=np.str_).astype(float)
            )
        except ValueError as exc:
            raise ValueError(
                f"OpenML data set {data_id} (view {view!r}): column {name!r} must "
                f"have numbers; got {exc}."
            ) from exc
    return np.column_stack(columns)
