"""Artificial multimodal data, in which modalities overlap to a chosen degree."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skmissing._compat import Interval, validate_params
from skmissing._modalities import resolve_modalities
from skmissing.datasets._bunch import build_bunch
from skmissing.simulate import ampute

_DESCR = """Artificial multimodal data for {task}.

{n_samples} samples; modalities {modalities}; {n_shared} shared factors and {n_private}
private factors per modality; redundancy {redundancy}, noise {noise}.
"""

_CONSTRAINTS = {
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "widths": [list, tuple, dict],
    "n_shared": [Interval(Integral, 0, None, closed="left")],
    "n_private": [Interval(Integral, 0, None, closed="left")],
    "redundancy": [Interval(Real, 0, 1, closed="both")],
    "noise": [Interval(Real, 0, None, closed="left")],
    "return_X_y": ["boolean"],
    "as_frame": ["boolean"],
    "random_state": ["random_state"],
}


@validate_params(
    _CONSTRAINTS
    | {
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "flip_y": [Interval(Real, 0, 1, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def make_multimodal_classification(
    n_samples=200,
    *,
    widths=(20, 20, 20),
    n_classes=2,
    n_shared=4,
    n_private=4,
    redundancy=0.5,
    noise=1.0,
    flip_y=0.0,
    missing=None,
    return_X_y=True,
    as_frame=False,
    random_state=None,
):
    """Generate classes about which modalities have overlapping information.

    Parameters
    ----------
    n_samples : int, default=200
        Number of samples.
    widths : sequence of int or dict, default=(20, 20, 20)
        Number of columns per modality, in a dict by name. Each must be at least
        `n_shared + n_private`.
    n_classes : int, default=2
        Number of classes, which have equal probabilities.
    n_shared : int, default=4
        Number of factors shared by all modalities.
    n_private : int, default=4
        Number of factors per modality that are in no other modality.
    redundancy : float, default=0.5
        Share of the signal that is in every modality. With 1, each modality determines
        the class as well as all modalities together, except for noise. With 0, each
        modality determines a different part.
    noise : float, default=1.0
        Standard deviation of the noise in each column. The signal has variance 1.
    flip_y : float, default=0.0
        Fraction of the samples whose class is replaced by a random class.
    missing : float, dict, tuple, configuration object or None, default=None
        Modalities to hide, as in :class:`skmissing.simulate.ModalityAmputer`.
    return_X_y : bool, default=True
        Whether to return the pair `(X, y)` or a bunch.
    as_frame : bool, default=False
        Whether X and y are pandas objects.
    random_state : int, RandomState instance or None, default=None
        Seed of all draws, including the missing modalities.

    Returns
    -------
    X : ndarray or data frame of shape (n_samples, sum(widths))
        The modalities side by side, NaN where hidden.
    y : ndarray or series of shape (n_samples,)
        Class numbers.
    data : Bunch
        If `return_X_y=False`, with `data`, `target`, `modalities`, `feature_names`,
        `data_complete` (X before modalities were hidden), `scores` (of shape
        (n_samples, n_classes)) and so on.

    See Also
    --------
    make_multimodal_regression : The same with a continuous target.

    Notes
    -----
    Shared factors :math:`s` and private factors :math:`p_m` are independent standard
    normal. Modality m of M is a random mixture of both, with columns of variance 1,
    plus noise:

    .. math:: x_m = [s, p_m] A_m + \\mathrm{noise} \\cdot \\varepsilon_m

    The class is :math:`\\arg\\max_c \\eta_c` of the scores

    .. math::
        \\eta_c = \\sqrt{\\rho}\\; u_c^T s
                  + \\sqrt{(1 - \\rho) / M} \\sum_m v_{mc}^T p_m

    where :math:`\\rho` is the redundancy. The directions :math:`u_c`, and
    :math:`v_{mc}` for each m, are the corners of a randomly rotated regular simplex.
    There must therefore be at least `n_classes - 1` factors of each kind, unless
    :math:`\\rho` gives them no weight. Without noise, S modalities explain the share
    :math:`\\rho + (1 - \\rho) S / M` of the variance of the scores.

    Examples
    --------
    >>> from skmissing.datasets import make_multimodal_classification
    >>> X, y = make_multimodal_classification(
    ...     100, widths={"text": 12, "audio": 8}, redundancy=0.9, as_frame=True,
    ...     missing={"text": 0.8}, random_state=0)
    >>> X.shape
    (100, 20)
    >>> float(X["text__0"].isna().mean()) > 0.6
    True
    """
    rng = check_random_state(random_state)
    sizes = {"n_shared": n_shared, "n_private": n_private}
    sizes |= {"redundancy": redundancy, "noise": noise}
    least = n_classes - 1, f"n_classes - 1 = {n_classes - 1}"
    blocks, shared, private = _draw_factors(rng, n_samples, widths, least, **sizes)
    corners = [
        _simplex(rng, n_classes, f.shape[1]) for f in (shared, *private.values())
    ]
    scores = _mix_scores(shared, private, corners, redundancy)
    y = np.argmax(scores, axis=1)
    flipped = rng.uniform(size=n_samples) < flip_y
    y[flipped] = rng.randint(n_classes, size=flipped.sum())
    return _answer(
        blocks,
        y,
        rng,
        missing,
        task="classification",
        sizes=sizes,
        target_names=[str(c) for c in range(n_classes)],
        return_X_y=return_X_y,
        as_frame=as_frame,
        scores=scores,
    )


@validate_params(
    _CONSTRAINTS
    | {
        "n_targets": [Interval(Integral, 1, None, closed="left")],
        "target_noise": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def make_multimodal_regression(
    n_samples=200,
    *,
    widths=(20, 20, 20),
    n_targets=1,
    n_shared=4,
    n_private=4,
    redundancy=0.5,
    noise=1.0,
    target_noise=0.0,
    missing=None,
    return_X_y=True,
    as_frame=False,
    random_state=None,
):
    """Generate a target about which modalities have overlapping information.

    Parameters
    ----------
    n_samples, widths : int, sequence of int or dict
        As in :func:`make_multimodal_classification`.
    n_targets : int, default=1
        Number of targets. With one target, y is 1-D.
    n_shared, n_private : int, default=4
        As in :func:`make_multimodal_classification`.
    redundancy : float, default=0.5
        Share of the variance of the target that is in every modality. The rest is
        divided evenly between the modalities.
    noise : float, default=1.0
        As in :func:`make_multimodal_classification`.
    target_noise : float, default=0.0
        Standard deviation of the noise in the target. The signal has variance 1.
    missing, return_X_y, as_frame, random_state : object
        As in :func:`make_multimodal_classification`.

    Returns
    -------
    X : ndarray or data frame of shape (n_samples, sum(widths))
        The modalities side by side, NaN where hidden.
    y : ndarray, series or data frame of shape (n_samples,) or (n_samples, n_targets)
        Targets.
    data : Bunch
        If `return_X_y=False`, as in :func:`make_multimodal_classification`. `scores`
        is the target without noise.

    See Also
    --------
    make_multimodal_classification : The same with classes, and more notes.

    Notes
    -----
    The model is that of :func:`make_multimodal_classification`, with targets
    :math:`y_t = \\eta_t + \\mathrm{target\\_noise} \\cdot \\varepsilon_t` and random
    unit vectors as directions. Without noise, a linear model on S of the M modalities
    has :math:`R^2 = \\rho + (1 - \\rho) S / M`.

    Examples
    --------
    >>> from skmissing.datasets import make_multimodal_regression
    >>> data = make_multimodal_regression(50, return_X_y=False, random_state=0)
    >>> data.data.shape, data.target.shape
    ((50, 60), (50,))
    >>> data.modalities
    {'modality0': 20, 'modality1': 20, 'modality2': 20}
    """
    rng = check_random_state(random_state)
    sizes = {"n_shared": n_shared, "n_private": n_private}
    sizes |= {"redundancy": redundancy, "noise": noise}
    blocks, shared, private = _draw_factors(rng, n_samples, widths, (1, "1"), **sizes)
    directions = [
        _unit_rows(rng.standard_normal((n_targets, f.shape[1])))
        for f in (shared, *private.values())
    ]
    scores = _mix_scores(shared, private, directions, redundancy)
    y = scores + target_noise * rng.standard_normal(scores.shape)
    if n_targets == 1:
        y, scores = y[:, 0], scores[:, 0]
    return _answer(
        blocks,
        y,
        rng,
        missing,
        task="regression",
        sizes=sizes,
        return_X_y=return_X_y,
        as_frame=as_frame,
        scores=scores,
    )


def _draw_factors(
    rng, n_samples, widths, least, *, n_shared, n_private, redundancy, noise
):
    """Modalities by name, the shared factors, and the private factors by name."""
    weights = {"n_shared": redundancy, "n_private": 1 - redundancy}
    for (name, weight), value in zip(weights.items(), (n_shared, n_private)):
        if weight > 0 and value < least[0]:
            raise ValueError(
                f"{name}={value} must be at least {least[1]} with "
                f"redundancy={redundancy}."
            )
    sizes = list(widths.values() if isinstance(widths, dict) else widths)
    layout = resolve_modalities(sizes, sum(sizes))
    names = list(widths) if isinstance(widths, dict) else layout.names
    n_factors = n_shared + n_private
    shared = rng.standard_normal((n_samples, n_shared))
    blocks, private = {}, {}
    for name, width in zip(names, sizes):
        if width < n_factors:
            raise ValueError(
                f"widths: {name!r} must have at least n_shared + n_private = "
                f"{n_factors} columns to show all its factors; got {width}."
            )
        private[name] = rng.standard_normal((n_samples, n_private))
        # Weights of unit length, so that the signal of each column has variance 1.
        A = _unit_rows(rng.standard_normal((width, n_factors))).T
        blocks[name] = np.hstack([shared, private[name]]) @ A
        blocks[name] += noise * rng.standard_normal((n_samples, width))
    return blocks, shared, private


def _mix_scores(shared, private, directions, redundancy):
    scores = np.sqrt(redundancy) * shared @ directions[0].T
    for factors, direction in zip(private.values(), directions[1:]):
        scores += np.sqrt((1 - redundancy) / len(private)) * factors @ direction.T
    return scores


def _simplex(rng, n_corners, dim):
    """Corners of a randomly rotated regular simplex; zeros if `dim` is too small."""
    if dim < n_corners - 1:
        return np.zeros((n_corners, dim))
    centred = np.eye(n_corners) - 1 / n_corners
    # Coordinates of the corners in the space that they span, then in `dim` dimensions.
    basis = np.linalg.svd(centred)[2][: n_corners - 1]
    turn = np.linalg.qr(rng.standard_normal((dim, n_corners - 1)))[0]
    return _unit_rows(centred @ basis.T) @ turn.T


def _unit_rows(rows):
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def _answer(blocks, y, rng, missing, *, task, sizes, **options):
    """Hide modalities, and return a bunch or a pair."""
    complete = np.hstack(list(blocks.values()))
    widths = {name: block.shape[1] for name, block in blocks.items()}
    descr = _DESCR.format(task=task, n_samples=len(y), modalities=widths, **sizes)
    if missing is not None:
        seed = rng.randint(np.iinfo(np.int32).max)
        X = ampute(complete, missing, modalities=widths, random_state=seed)
        stops = np.cumsum(list(widths.values()))[:-1]
        blocks = dict(zip(blocks, np.split(X, stops, axis=1)))
    return build_bunch(blocks, y, descr=descr, data_complete=complete, **options)
