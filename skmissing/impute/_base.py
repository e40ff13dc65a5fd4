"""What all imputers of modalities share: gaps in, no gap out, nothing else touched."""

import warnings

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmissing._base import (
    ModalityMixin,
    SkmissingEstimator,
    warn_empty_rows,
)
from skmissing._blocks import CHUNK_CELLS, find_presence, row_chunks
from skmissing._compat import _check_feature_names_in, _fit_context

# Standard deviations from the mean beyond which cells are cut off where a linear model
# would make too much of them.
MOST_DEVIATIONS = 4.0


class BaseModalityImputer(ModalityMixin, TransformerMixin, SkmissingEstimator):
    """Base class of the imputers; not for direct use.

    A subclass learns in `_fit_imputer` and answers in `_impute`. This class writes
    that answer into missing cells only, puts the training mean where there is none,
    and gives the warnings.
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
    }

    def _fit_imputer(self, X, presence, holes):
        """Learn from checked rows; returns the training mean of each column."""
        raise NotImplementedError

    def _impute(self, X, presence, holes):
        """Values for the missing cells of X, NaN where there is nothing to go by.

        What stands in the other cells of the answer is not read.
        """
        raise NotImplementedError

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn how to fill gaps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        del y
        X = self._validate(X, reset=True)
        presence, holes = find_presence(X, self.modalities_)
        self._fit_seen(X, presence, holes)
        self._warn_padding(X, presence & holes[:, None])
        warn_empty_rows(presence, "left out of the fit")
        self.statistics_ = self._fit_imputer(X, presence, holes)
        return self

    def _fit_seen(self, X, presence, holes):
        """Note which columns were ever observed, and tell of those that were not."""
        self._seen = self._observed_columns(X, presence, holes)
        fate = "filled with 0" if self.keep_empty_features else "dropped"
        self._warn_never_observed(
            self._seen, f"their columns are {fate}", f"they are {fate}"
        )

    def _warn_padding(self, X, with_holes):
        """Tell of sequences that lack tokens, which will be filled."""
        for m, modality in enumerate(self.modalities_.values()):
            rows = np.flatnonzero(with_holes[:, m])
            if modality.n_tokens == 1 or not len(rows):
                continue
            n_tokens = n_rows = 0
            for chunk in row_chunks(len(rows), modality.width):
                missing = np.isnan(X[np.ix_(rows[chunk], modality.columns)])
                lacking = missing.reshape(-1, *modality.shape).all(axis=2)
                n_tokens += int(lacking.sum())
                n_rows += int(lacking.any(axis=1).sum())
            if n_tokens:
                warnings.warn(
                    f"{n_tokens} tokens are missing in {n_rows} rows that have others "
                    f"of modality {modality.name!r}, and are filled as any gap. If "
                    "they are padding of short sequences, pool the tokens first, or "
                    "do without an imputer.",
                    UserWarning,
                    stacklevel=3,
                )

    def _observed_columns(self, X, presence, holes):
        whole = presence[~holes].any(axis=0)[self.modalities_.column_owner]
        return whole | ~np.isnan(X[holes]).all(axis=0)

    def transform(self, X):
        """Fill the gaps of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        X_imputed : ndarray of shape (n_samples, n_features_out)
            Without NaN, in the dtype and the column order of X; observed cells are
            the same to the last bit. With `add_indicator`, one more column a
            modality: 1 where the row lacks it.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        presence, holes = find_presence(X, self.modalities_)
        known, given, gappy = self._learnt_cells(X, self._seen), presence, holes
        if known is not X:
            given, gappy = find_presence(known, self.modalities_)
        warn_empty_rows(given, "imputed with the training mean")
        filled = X.copy()
        incomplete = np.flatnonzero(~presence.all(axis=1) | holes)
        n_unreached = 0
        for chunk in row_chunks(len(incomplete), X.shape[1], 8 * CHUNK_CELLS, 1 << 16):
            rows = incomplete[chunk]
            part, has_any = X[rows], given[rows].any(axis=1)
            usable = part if known is X else known[rows]
            values = self._impute(usable, given[rows], gappy[rows])
            missing = np.isnan(part)
            no_answer = missing & np.isnan(values)
            n_unreached += int((no_answer & self._seen)[has_any].any(axis=1).sum())
            np.copyto(values, self.statistics_, where=no_answer, casting="same_kind")
            np.copyto(part, values, where=missing)
            filled[rows] = part
        if n_unreached:
            warnings.warn(
                f"{n_unreached} of {X.shape[0]} rows have a gap that nothing observed "
                "in the row leads to; it is imputed with the training mean.",
                UserWarning,
                stacklevel=2,
            )
        return self._output(filled, presence)

    def _output(self, filled, presence):
        if not self.keep_empty_features and not self._seen.all():
            filled = filled[:, self._seen]
        if self.add_indicator:
            filled = np.hstack([filled, (~presence).astype(filled.dtype)])
        return filled

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; by default those seen in `fit`, or `x0`, `x1`
            and so on.

        Returns
        -------
        ndarray of str
            With `add_indicator`, followed by `missing_<modality>` for each modality;
            by `missing__<modality>` if all columns have prefixes, so that estimators
            that go by them take the indicators for a modality too.
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
