"""Base classes for your own estimators.

The guide page "Write your own method" has a working template of an imputer and of an
ensemble.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator
from skmissing._table import ModalityTable
from skmissing.impute._base import BaseModalityImputer

__all__ = [
    "BaseModalityImputer",
    "ModalityMixin",
    "ModalityTable",
    "SkmissingEstimator",
    "validate_table",
]


def validate_table(estimator, X, y="no_validation", *, reset, sample_weight=None):
    """Validate X of an estimator, and find out which modalities are observed.

    This is for modalities what :func:`sklearn.utils.validation.validate_data` is for
    complete data.

    Parameters
    ----------
    estimator : ModalityMixin
        Estimator with a parameter `modalities`.
    X : array-like or data frame of shape (n_samples, n_features)
        Samples. NaN and masked cells are missing.
    y : array-like of shape (n_samples,), default="no_validation"
        Targets. Without them, only the table is returned.
    reset : bool
        True in `fit`: sets `n_features_in_`, `feature_names_in_` and `modalities_`.
        False in all other methods: checks X against them.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    table : ModalityTable
        The samples. `table.X` may be the array of the caller, so do not write to it.
    y : ndarray of shape (n_samples,)
        Validated targets. Only if y is given.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.base import validate_table
    >>> from skmissing.cluster import PartialModalityKMeans
    >>> kmeans = PartialModalityKMeans(modalities={"text": 2, "age": 1})
    >>> X = [[1.0, 2.0, np.nan], [np.nan, np.nan, 30.0]]
    >>> table = validate_table(kmeans, X, reset=True)
    >>> table.presence
    array([[ True, False],
           [False,  True]])
    """
    if not isinstance(estimator, ModalityMixin) or not isinstance(
        estimator, SkmissingEstimator
    ):
        raise TypeError(
            "estimator must be an instance of ModalityMixin and SkmissingEstimator; "
            f"got {estimator!r}."
        )
    if not isinstance(reset, (bool, np.bool_)):
        raise TypeError(f"reset must be True or False; got {reset!r}.")
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    if not reset:
        check_is_fitted(estimator, "modalities_")
    return estimator._validate(X, y, reset=reset, sample_weight=sample_weight)
