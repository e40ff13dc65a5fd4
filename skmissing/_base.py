"""What every estimator shares: the documentation link, validation, the layout of X."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skmissing._modalities import resolve_modalities


class SkmissingEstimator(BaseEstimator):
    """Base class that points HTML diagrams to the documentation.

    Think twice before adding anything to it: whatever stands here is in every
    estimator of the library.
    """

    _doc_link_module = "skmissing"

    @property
    def _doc_link_template(self):
        return (
            "https://skmissing.readthedocs.io/en/stable/generated/"
            "{estimator_module}.{estimator_name}.html"
        )


class ModalityMixin:
    """Validates X and resolves the parameter `modalities` when fitting.

    Needs `self.modalities`; sets `modalities_` beside scikit-learn's
    `n_features_in_` and `feature_names_in_`.
    """

    _parameter_constraints: dict = {
        "modalities": [None, list, tuple, np.ndarray, dict],
    }

    def _validate(self, X, y="no_validation", *, reset, **check_params):
        """Validate data where NaN is a missing cell, and so is a masked one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default="no_validation"
        reset : bool
            True in `fit`: learn the number and names of the columns and the layout.
        **check_params : dict
            Handed to :func:`sklearn.utils.validation.validate_data`.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32 or float64
            Or the pair (X, y), if y was given. May be the caller's own array: never
            write to it.
        """
        checked = validate_data(
            self,
            fill_masked(X),
            y,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            **check_params,
        )
        if reset:
            self.modalities_ = resolve_modalities(
                self.modalities,
                self.n_features_in_,
                getattr(self, "feature_names_in_", None),
            )
        return checked

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def fill_masked(X):
    """Return X, with NaN in the masked cells if it is a numpy masked array.

    Parameters
    ----------
    X : object
        Anything but a :class:`numpy.ma.MaskedArray` comes back as it is.

    Returns
    -------
    object
        scikit-learn's own validation would drop the mask without a word.
    """
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if X.dtype.kind in "biu":
        X = X.astype(np.float64)
    if np.ma.is_masked(X):
        return X.filled(np.nan)
    return X.data
