"""Small data sets of scikit-learn with several real modalities."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from skmissing.datasets._bunch import build_bunch

_DIGITS = """Handwritten digits as four views.

1797 images of 8 by 8 pixels from UCI, as in sklearn.datasets.load_digits. All four
views are computed from the same image.

- pixels (64): grey values from 0 to 16, row by row.
- fourier (34): magnitudes of the two-dimensional discrete Fourier transform, one per
  conjugate pair. They do not change if the image is shifted cyclically.
- gradients (32): histogram of the direction of the gradient in 8 bins, weighted by its
  length, for each quarter of the image.
- profiles (16): sums over the 8 rows and over the 8 columns.

Target: the digit, 0 to 9.
"""

_CANCER = """Breast cancer Wisconsin (diagnostic) as three views.

569 tumours, as in sklearn.datasets.load_breast_cancer. Ten properties of the cell
nuclei in an image were summarised in three views:

- mean (10): mean over the nuclei.
- error (10): standard error of that mean.
- worst (10): mean of the three largest values.

Target: malignant (0) or benign (1).
"""


def load_digits_views(*, return_X_y=False, as_frame=False):
    """Load handwritten digits as four views: pixels, Fourier, gradients, profiles.

    Nothing is downloaded: the images are part of scikit-learn, and the views are
    computed from them. Like modalities, the views contain different information. A
    linear model is best on the pixels and worst on the Fourier magnitudes. It is better
    on all four views together than on any single view.

    Parameters
    ----------
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `view__feature`.

    Returns
    -------
    data : Bunch
        With `data` of shape (1797, 146), `target`, `frame` (None, or data and target),
        `feature_names`, `target_names`, `modalities` (widths by name, to be passed as
        `modalities=`) and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    See Also
    --------
    load_breast_cancer_views : Another embedded data set.

    Examples
    --------
    >>> from skmissing.datasets import load_digits_views
    >>> digits = load_digits_views()
    >>> digits.data.shape
    (1797, 146)
    >>> digits.modalities
    {'pixels': 64, 'fourier': 34, 'gradients': 32, 'profiles': 16}
    """
    digits = load_digits()
    blocks, features = digit_views(digits.images)
    return build_bunch(
        blocks,
        digits.target,
        features=features,
        target_names=digits.target_names,
        descr=_DIGITS,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_breast_cancer_views(*, return_X_y=False, as_frame=False):
    """Load breast cancer data as three views: mean, error and worst.

    Parameters
    ----------
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `view__feature`.

    Returns
    -------
    data : Bunch
        As in :func:`load_digits_views`, with `data` of shape (569, 30).
    (data, target) : tuple
        If `return_X_y=True`.

    See Also
    --------
    load_digits_views : Another embedded data set.

    Examples
    --------
    >>> from skmissing.datasets import load_breast_cancer_views
    >>> X, y = load_breast_cancer_views(return_X_y=True, as_frame=True)
    >>> list(X.columns[[0, 10, 20]])
    ['mean__radius', 'error__radius', 'worst__radius']
    """
    cancer = load_breast_cancer()
    blocks, features = {}, {}
    for view in ("mean", "error", "worst"):
        columns = [i for i, n in enumerate(cancer.feature_names) if view in n.split()]
        words = [
            [word for word in cancer.feature_names[i].split() if word != view]
            for i in columns
        ]
        blocks[view] = cancer.data[:, columns]
        features[view] = ["_".join(w) for w in words]
    return build_bunch(
        blocks,
        cancer.target,
        features=features,
        target_names=cancer.target_names,
        descr=_CANCER,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def digit_views(images):
    """Views of square images of even size, and the names of their columns."""
    n, size, _ = images.shape
    square = [(i, j) for i in range(size) for j in range(size)]
    # (i, j) and (-i, -j) have conjugate coefficients. Only the first is kept.
    waves = [w for w in square if w <= tuple((-i) % size for i in w)]
    spectrum = np.abs(np.fft.fft2(images))
    lines = [images.sum(axis=2), images.sum(axis=1)]
    blocks = {
        "pixels": images.reshape(n, -1),
        "fourier": np.stack([spectrum[:, i, j] for i, j in waves], axis=1),
        "gradients": _direction_histograms(images),
        "profiles": np.concatenate(lines, axis=1),
    }
    quarters = ["upper_left", "upper_right", "lower_left", "lower_right"]
    features = {
        "pixels": [f"{i}_{j}" for i, j in square],
        "fourier": [f"{i}_{j}" for i, j in waves],
        "gradients": [f"{q}_{45 * b}deg" for q in quarters for b in range(8)],
        "profiles": [f"{part}_{i}" for part in ("row", "column") for i in range(size)],
    }
    return blocks, features


def _direction_histograms(images):
    """Sums of gradient lengths by quarter of the image and by direction."""
    down, right = np.gradient(images, axis=(1, 2))
    length = np.hypot(down, right)
    angle = np.arctan2(down, right)
    # Bin b is centred on b * 45 degrees. Angles are rounded first, so that an angle on
    # the edge of two bins is in the same bin on every machine.
    part = np.round(angle / (np.pi / 4), 9)
    direction = np.floor(part + 0.5).astype(int) % 8
    half = images.shape[1] // 2
    halves = (slice(None, half), slice(half, None))
    return np.stack(
        [
            np.where(direction == b, length, 0)[:, rows, columns].sum(axis=(1, 2))
            for rows in halves
            for columns in halves
            for b in range(8)
        ],
        axis=1,
    )
