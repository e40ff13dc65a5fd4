"""The only file that imports scikit-learn's underscored names, and optional packages.

These names have not changed since scikit-learn 1.6, or are wrapped here if they have.
"""

import importlib

# ruff: noqa: F401
from sklearn.base import _fit_context as checked_fit
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
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
