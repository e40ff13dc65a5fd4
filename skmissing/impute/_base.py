"""Base class of the imputers. They fill missing cells and keep observed cells."""

import copy
import zlib

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._blocks import CHUNK_CELLS, on_device, row_chunks
from skmissing._compat import _check_feature_names_in, to_numpy
from skmissing._docs import shared_docs
from skmissing._modalities import count

# Cells are clipped to this number of standard deviations from the mean for linear
# models, which outliers would dominate.
MOST_DEVIATIONS = 4.0


@shared_docs
class BaseModalityImputer(ModalityMixin, TransformerMixin, SkmissingEstimator):
    """Base class of the imputers.

    A subclass implements `_fit_imputer` and `_impute`. This class writes imputed values
    into missing cells only. Where there is no value, it uses the training mean and
    warns.

    Parameters
    ----------
    add_indicator : bool, default=False
        Whether to append one column per modality, which is 1 where the modality is
        missing. All modalities get a column, even if they are never missing in `fit`.
    keep_empty_features : bool, default=True
        Whether to keep columns that are never observed in `fit` and fill them with 0.
        If False, they are dropped.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.base import BaseModalityImputer
    >>> class LargestImputer(BaseModalityImputer):
    ...     def __init__(self, modalities=None):
    ...         self.modalities = modalities
    ...         self.add_indicator, self.keep_empty_features = False, True
    ...
    ...     def _fit_imputer(self, table):
    ...         self.largest_ = np.nanmax(table.X, axis=0)
    ...         return self.largest_
    ...
    ...     def _impute(self, table):
    ...         return np.tile(self.largest_, (len(table), 1))
    >>> LargestImputer([1, 1]).fit_transform([[1.0, np.nan], [3.0, 5.0]])
    array([[1., 5.],
           [3., 5.]])
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
    }

    # End of the warning about samples in which nothing is observed.
    _fate_of_empty = "imputed with the training mean"
    # No warning: these imputers may replace those of scikit-learn for single columns.
    _most_columns = np.inf, np.inf

    def _fit_imputer(self, table):
        """Learn from a ModalityTable; return the training mean of each column."""
        raise NotImplementedError

    def _impute(self, table):
        """Values of the missing cells; NaN if the observed cells determine no value.

        Returns an array of the shape of `table.X`. Its other cells are not used.
        """
        raise NotImplementedError

    def _settle(self, fitted):
        """Take slow choices from the same imputer, fitted to more samples.

        The choices must be a few numbers that hardly depend on any single sample.
        """

    def _with_seed(self, seed):
        """Copy of a fitted imputer that draws with a seed; None if it cannot draw."""
        return None

    def _hand_on(self, estimator):
        """Pass the columns and modalities on to an inner estimator."""
        for name in ("n_features_in_", "feature_names_in_", "modalities_"):
            if hasattr(self, name):
                setattr(estimator, name, getattr(self, name))

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn to fill missing cells.

        Parameters
        ----------
        %(X, y)s

        Returns
        -------
        %(self)s
        """
        return self._fit(X)

    def _fit(self, X, **params):
        """Validate, warn and fit. `params` are passed to `_fit_imputer`."""
        table = self._validate(X, reset=True)
        self._seen = table.observed_columns
        fate = "filled with 0" if self.keep_empty_features else "dropped"
        table.warn_never_observed(
            self._seen, f"their columns are {fate}", f"they are {fate}"
        )
        if self.modalities_.has_tokens:
            _warn_padding(table)
        table.warn_empty("left out of the fit")
        means = self._fit_imputer(table, **params)
        if np.shape(means) != (self.n_features_in_,):
            raise ValueError(
                f"{type(self).__name__}._fit_imputer must return one number per column "
                f"({self.n_features_in_}); got {means!r:.60}."
            )
        self.statistics_ = table.as_given(means)
        return self

    def transform(self, X):
        """Fill the missing cells of X.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        X_imputed : ndarray of shape (n_samples, n_features_out)
            X without NaN, in the same dtype and column order. Observed cells are
            unchanged to the last bit. With `add_indicator`, there is one more column
            per modality, which is 1 where the modality is missing.
        """
        check_is_fitted(self)
        table = self._validate(X, reset=False)
        known = table.learnt(self._seen)
        known.warn_empty(self._fate_of_empty)
        statistics = to_numpy(self.statistics_)
        if table.on_device:
            filled, n_unreached = table.fill(
                known, self._impute, self._seen, statistics
            )
            self._warn_unreached(table, n_unreached)
            return self._finish_on_device(table, filled)
        filled = table.X.copy()
        n_unreached = 0
        n_incomplete = len(table.incomplete)
        for chunk in row_chunks(
            n_incomplete, filled.shape[1], 8 * CHUNK_CELLS, 1 << 16
        ):
            rows = table.incomplete[chunk]
            given = known[rows]
            part = given.X if known is table else filled[rows]
            values = self._impute(given)
            if np.shape(values) != given.X.shape:
                raise ValueError(
                    f"{type(self).__name__}._impute must return an array of the shape "
                    f"{given.X.shape}; got {values!r:.60}."
                )
            missing = np.isnan(part)
            no_answer = missing & np.isnan(values)
            unreached = (no_answer & self._seen)[given.has_any].any(axis=1)
            n_unreached += int(unreached.sum())
            np.copyto(values, statistics, where=no_answer, casting="same_kind")
            np.copyto(part, values, where=missing)
            filled[rows] = part
        self._warn_unreached(table, n_unreached)
        if not self.keep_empty_features and not self._seen.all():
            filled = filled[:, self._seen]
        if self.add_indicator:
            filled = np.hstack([filled, (~table.presence).astype(filled.dtype)])
        return filled

    def _warn_unreached(self, table, n_unreached):
        if n_unreached:
            table.warn(
                f"{n_unreached} of {len(table)} samples have missing cells that no "
                "observed cell predicts. They are imputed with the training mean."
            )

    def _finish_on_device(self, table, filled):
        """The last lines of `transform` for an array on a device."""
        xp = table.xp
        if not self.keep_empty_features and not self._seen.all():
            filled = xp.take(filled, table.put(np.flatnonzero(self._seen)), axis=1)
        if self.add_indicator:
            missing = table.put((~table.presence).astype(float))
            filled = xp.concat([filled, missing], axis=1)
        return filled

    def get_feature_names_out(self, input_features=None):
        """Get the names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X. The default is the names seen in `fit`, or `x0`,
            `x1` and so on.

        Returns
        -------
        ndarray of str
            With `add_indicator`, the last names are `missing_<modality>`. If all
            columns have prefixes, they are `missing__<modality>`, so that later
            estimators treat the indicators as one modality.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        if not self.keep_empty_features:
            names = names[self._seen]
        if self.add_indicator:
            prefix = "missing__" if all("__" in name for name in names) else "missing_"
            extra = [prefix + name for name in self.modalities_]
            names = np.concatenate([names, np.array(extra, dtype=object)])
        return names

    def __sklearn_is_fitted__(self):
        return hasattr(self, "statistics_")


@shared_docs
class ImputationStdMixin:
    """Adds `imputation_std` to an imputer that defines `_std(table)`."""

    def imputation_std(self, X):
        """Return standard errors of imputed cells.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        std : ndarray of shape (n_samples, n_features_out)
            Standard errors of the difference between the imputed and the actual value,
            in the units of X. 0 for observed cells, and NaN in columns that were never
            observed in `fit`. The columns of `add_indicator` are not included.
        """
        check_is_fitted(self)
        table = self._validate(X, reset=False, on_device=False)
        std = self._std(table.learnt(self._seen))
        std = np.where(np.isnan(table.X), std, 0)
        return std if self.keep_empty_features else std[:, self._seen]


def copy_with(imputer, **attributes):
    """Copy of a fitted imputer with other attributes, and with the columns of X."""
    changed = copy.copy(imputer)
    vars(changed).update(attributes, add_indicator=False, keep_empty_features=True)
    return changed


def sample_generators(X, seed):
    """Yield one generator, seeded anew per sample by its cells in single precision."""
    rng = np.random.RandomState(seed)
    with np.errstate(over="ignore"):
        cells = X.astype(np.float32) + 0  # no negative zeros
    cells[np.isnan(cells)] = np.nan  # one bit pattern
    for cell in np.ascontiguousarray(cells):
        rng.seed([seed, zlib.crc32(cell)])  # faster than another generator
        yield rng


def _warn_padding(table):
    """Warn about sequences with missing tokens, because these will be filled."""
    for modality, found in zip(table.layout.values(), table.sums(_count_padding)):
        n_tokens, n_samples = map(int, found)
        if n_tokens:
            table.warn(
                f"{count(n_tokens, 'token is', 'tokens are')} missing in "
                f"{count(n_samples, 'sample')} that have other tokens of modality "
                f"{modality.name!r}. They are filled like other missing cells. "
                "If they are padding of short sequences, pool the tokens first, or do "
                "not use an imputer."
            )


def _count_padding(table):
    """Numbers of missing tokens and of samples with any, (n_modalities, 2)."""
    found = np.zeros((len(table.layout), 2))
    for m, modality in enumerate(table.layout.values()):
        rows = np.flatnonzero(table.presence[:, m] & table.partial)
        if modality.n_tokens == 1:
            continue
        for chunk in row_chunks(len(rows), modality.width):
            missing = np.isnan(table.X[np.ix_(rows[chunk], modality.columns)])
            lacking = missing.reshape(-1, *modality.shape).all(axis=2)
            found[m] += lacking.sum(), lacking.any(axis=1).sum()
    return found


@on_device(_count_padding)
def _count_padding_on_device(table):
    return _count_padding(table.host(np.flatnonzero(table.partial)))
