"""The only file that imports scikit-learn's underscored names, and optional packages.

Everything here is steady from scikit-learn 1.6 on; what changed between releases is
wrapped so that the rest of the library does not have to know.
"""

import functools
import importlib

import numpy as np
from sklearn.base import _fit_context as checked_fit
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    _get_feature_names,
)

__all__ = [
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "_check_feature_names_in",
    "_fit_context",
    "_get_feature_names",
    "check_sample_weight",
    "import_optional",
    "validate_params",
]


def _fit_context(*, prefer_skip_nested_validation):
    """As in scikit-learn; and a fit that ends early leaves nothing that is learnt.

    Be it by an error or by Ctrl-C, the estimator is then not fitted, never half: an
    earlier fit does not shine through. `partial_fit` is left to itself, since what it
    has learnt before is to last.

    Parameters
    ----------
    prefer_skip_nested_validation : bool
        Whether the parameters of inner estimators are not checked.

    Returns
    -------
    callable
        Decorator of `fit`.
    """
    check = checked_fit(prefer_skip_nested_validation=prefer_skip_nested_validation)

    def decorate(fit):
        if fit.__name__ == "partial_fit":
            return check(fit)

        @functools.wraps(fit)
        def whole_fit(estimator, *args, **kwargs):
            try:
                _forget(estimator)
                return fit(estimator, *args, **kwargs)
            except BaseException:
                _forget(estimator)
                raise

        return check(whole_fit)

    return decorate


def _forget(estimator):
    """Delete what fit has learnt: public attributes that end with an underscore."""
    learnt = [n for n in vars(estimator) if n.endswith("_") and not n.startswith("_")]
    for name in learnt:
        delattr(estimator, name)


def check_sample_weight(sample_weight, X, dtype=np.float64):
    """Return non-negative weights of one value a row, not all zero.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        None and a number give every row the same weight.
    X : array of shape (n_samples, n_features)
    dtype : dtype, default=np.float64

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If the shape is wrong, a weight is negative, or all are zero.
    """
    weight = _check_sample_weight(
        sample_weight, X, dtype=dtype, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; got "
            f"{weight.shape[0]} zeros."
        )
    return weight


def import_optional(name, extra):
    """Import a package that the base install does not bring.

    Parameters
    ----------
    name : str
        Module to import.
    extra : str
        The extra of skmissing that installs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        raise ImportError(
            f"{name} is needed here and is not installed. "
            f'Install it with: pip install "skmissing[{extra}]"'
        ) from exc
