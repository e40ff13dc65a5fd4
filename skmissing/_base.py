"""What every estimator shares: the documentation link, validation, the layout of X."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skmissing._blocks import find_presence
from skmissing._compat import _check_feature_names_in
from skmissing._modalities import ModalityLayout, resolve_modalities

# Above this many modalities of one column each, `modalities` was likely forgotten.
MANY_COLUMNS = 256


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
        "modalities": [None, list, tuple, np.ndarray, dict, ModalityLayout],
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
        check_has_columns(X)
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

    def _warn_never_observed(self, seen, modalities, columns):
        """Warn of what no row given to `fit` has.

        Parameters
        ----------
        seen : ndarray of shape (n_features,), dtype bool
            Columns that some row has.
        modalities, columns : str
            What happens to modalities of which no column is seen, and to columns of
            the others; ends the sentence.
        """
        layout = self.modalities_
        whole = np.flatnonzero(~_any_column(layout, seen))
        warn_never_observed([layout.names[m] for m in whole], modalities)
        odd = self._odd_columns(seen)
        if len(odd):
            warnings.warn(
                f"{len(odd)} columns are not observed in any row: "
                f"{self._first_names(odd)}; {columns}.",
                UserWarning,
                stacklevel=3,
            )

    def _learnt_cells(self, X, learnt):
        """X without the cells of columns that `fit` never saw, of which it warns.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        learnt : ndarray of shape (n_features,), dtype bool
            Columns that some row of `fit` had.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            X itself if there are no such cells; else a copy with NaN in them.
        """
        known = hide_columns(X, ~learnt)
        if known is X:
            return X
        layout = self.modalities_
        presence, _ = find_presence(X, layout)
        warn_unlearnt(layout, presence, _any_column(layout, learnt))
        columns = self._odd_columns(learnt)
        having = (~np.isnan(X[:, columns])).any(axis=1)
        if having.any():
            _warn_ignored("Columns", self._first_names(columns), having)
        return known

    def _odd_columns(self, seen):
        """Columns not seen of modalities of which other columns are."""
        layout = self.modalities_
        return np.flatnonzero(~seen & _any_column(layout, seen)[layout.column_owner])

    def _first_names(self, columns, most=5):
        names = name_list(_check_feature_names_in(self)[columns[:most]])
        return names + (", ..." if len(columns) > most else "")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _any_column(layout, chosen):
    """Which modalities have any of the chosen columns, shape (n_modalities,)."""
    return np.bincount(layout.column_owner, chosen, minlength=len(layout)) > 0


def hide_columns(X, hidden):
    """Return X, with NaN in some columns.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    hidden : ndarray of shape (n_features,), dtype bool

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        X itself if nothing is observed there.
    """
    columns = np.flatnonzero(hidden)
    if np.isnan(X[:, columns]).all():
        return X
    X = X.copy()
    X[:, columns] = np.nan
    return X


def check_has_columns(X):
    """Raise ValueError for a table without columns.

    scikit-learn looks for the dtypes of a frame's columns first, and speaks of those.

    Parameters
    ----------
    X : object
    """
    shape = getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={tuple(shape)}) while a minimum of "
            "1 is required."
        )


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


def name_list(names):
    """Names in quotes, for messages."""
    return ", ".join(repr(str(name)) for name in names)


def warn_layout_forgotten(modalities, layout, consequence=""):
    """Warn if very many columns became a modality each, for want of a layout.

    Parameters
    ----------
    modalities : None, list or dict
        The parameter.
    layout : ModalityLayout
        What became of it.
    consequence : str
        What that costs; stands between commas.
    """
    if modalities is None and len(layout) > MANY_COLUMNS and max(layout.widths) == 1:
        warnings.warn(
            f"Each of the {len(layout)} columns of X is taken for a modality of its "
            f"own{consequence}, because modalities=None and the columns have no common "
            "prefixes. Pass the layout, for example modalities=[512, 256] or "
            "modalities={'text': 512, 'image': 256}.",
            UserWarning,
            stacklevel=3,
        )


def check_enough_rows(usable, weight=1.0, **wanted):
    """Raise ValueError if there are fewer rows than a parameter asks for.

    Parameters
    ----------
    usable : ndarray of shape (n_samples,), dtype bool
        Rows with an observed cell.
    weight : ndarray of shape (n_samples,) or float, default=1.0
    **wanted : int
        The one parameter, by its name.

    Returns
    -------
    int
        Number of usable rows of positive weight.
    """
    ((name, value),) = wanted.items()
    n_usable = np.count_nonzero(usable & (weight > 0))
    if n_usable < value:
        found = f"n_samples={len(usable)}"
        if n_usable < len(usable):
            weighed = "" if np.all(weight > 0) else " and a sample_weight above 0"
            found += f" ({n_usable} of them with an observed cell{weighed})"
        raise ValueError(f"{found} should be >= {name}={value}.")
    return n_usable


def warn_empty_rows(presence, consequence):
    """Warn of rows in which nothing at all is observed, if there are any.

    Parameters
    ----------
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    consequence : str
        What happens to them; ends the sentence.
    """
    n_empty = int((~presence.any(axis=1)).sum())
    if n_empty:
        warnings.warn(
            f"{n_empty} of {len(presence)} rows have no observed modality; they are "
            f"{consequence}.",
            UserWarning,
            stacklevel=3,
        )


def warn_never_observed(names, consequence):
    """Warn of modalities that no row given to `fit` has, if there are any.

    Parameters
    ----------
    names : list of str
    consequence : str
        What happens to them; ends the sentence.
    """
    if names:
        warnings.warn(
            f"{len(names)} modalities are not observed in any row: "
            f"{name_list(names)}; {consequence}.",
            UserWarning,
            stacklevel=3,
        )


def warn_unlearnt(layout, presence, learnt):
    """Warn if rows have modalities that were never observed in `fit`.

    Parameters
    ----------
    layout : ModalityLayout
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    learnt : ndarray of shape (n_modalities,), dtype bool
    """
    ignored = presence & ~learnt
    if ignored.any():
        names = [layout.names[m] for m in np.flatnonzero(ignored.any(axis=0))]
        _warn_ignored("Modalities", name_list(names), ignored.any(axis=1))


def _warn_ignored(what, names, having):
    """Warn of what `fit` never saw, and of how many rows have it."""
    warnings.warn(
        f"{what} that were not observed in fit are ignored: {names}, which "
        f"{int(having.sum())} of {len(having)} rows have.",
        UserWarning,
        stacklevel=4,
    )
