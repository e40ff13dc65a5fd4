"""The only file that imports scikit-learn's underscored names, and optional packages.

These names have not changed since scikit-learn 1.6, or are wrapped here if they have.
"""

import importlib

# ruff: noqa: F401
import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context as checked_fit
from sklearn.utils._array_api import _convert_to_numpy as _to_numpy
from sklearn.utils._array_api import _max_precision_float_dtype as max_precision
from sklearn.utils._array_api import get_namespace
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    _get_feature_names,
)

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:
        """Stands for that of scikit-learn, and has no callbacks."""


# Attributes of a fit with callbacks, which scikit-learn removes when it has torn these
# down.
CALLBACK_STATE = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def import_optional(name, extra):
    """Import a module of an optional package; errors name the extra to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        raise ImportError(
            f"{name} is needed here and is not installed. "
            f'Install it with: pip install "skmissing[{extra}]"'
        ) from exc


def device_namespace(X):
    """Namespace of an array of torch, CuPy or another package, if it is to be kept.

    None for NumPy, for data frames, and without `array_api_dispatch`.
    """
    if isinstance(X, np.ndarray) or not get_config()["array_api_dispatch"]:
        return None
    if not (hasattr(X, "__dlpack__") and hasattr(X, "device")):
        return None
    return get_namespace(X)[0]


def to_numpy(array):
    """Copy an array on a device to NumPy. Other values are returned as they are."""
    if isinstance(array, np.ndarray) or not hasattr(array, "__dlpack__"):
        return array
    if hasattr(array, "detach"):  # of torch
        return array.detach().cpu().numpy()
    return _to_numpy(array, array.__array_namespace__())
