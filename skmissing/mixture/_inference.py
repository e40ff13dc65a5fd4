"""What a fitted mixture says of rows: clusters, factors, likelihood, missing cells."""

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._base import (
    ModalityMixin,
    SkmissingEstimator,
    hide_columns,
    warn_empty_rows,
)
from skmissing._blocks import find_presence
from skmissing._compat import check_sample_weight
from skmissing._table import ModalityTable
from skmissing.mixture._posterior import Posterior, Units


class FactorInference(
    ModalityMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityMixin,
    SkmissingEstimator,
):
    """Base class of the mixture: all that follows `fit`; not for direct use."""

    def _factor(self):
        """By what columns were multiplied, in layout order; 1 where never observed."""
        layout = self.modalities_
        scale = self._scaler.scale[layout.order]
        return 1 / (scale * np.sqrt(layout.widths)[layout.owner])

    def _learnt_columns(self):
        """Columns of which `fit` saw a cell, shape (n_features,)."""
        return self._scaler.column_weight > 0

    def _rows(self, X, presence, holes, *, plug_in=False):
        """Posterior of checked rows by chunks, each with the parameters used."""
        params = self._params.plug_in() if plug_in else self._params
        table = ModalityTable(X, self.modalities_, presence=presence, partial=holes)
        blocks = self._scaler.split(table, min_rows=1 + len(X) // 50)
        if holes.any():
            split = np.ones(len(self.modalities_), dtype=bool)
            params = params.with_units(Units(self.modalities_.slices, split))
        for rows in Posterior(params).chunks(blocks):
            yield params, rows

    def _check(self, X, consequence):
        """Validate rows to predict for, and warn of what cannot be used.

        Returns X, and X without what cannot be used with its presence and holes.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        known = self._learnt_cells(X, self._learnt_columns())
        presence, holes = find_presence(known, self.modalities_)
        warn_empty_rows(presence, consequence)
        return X, (known, presence, holes)

    def predict_proba(self, X):
        """Posterior of the clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_components)
            `weights_` for rows in which nothing is observed.
        """
        _, known = self._check(X, "given the weights of the clusters")
        return self._predict_proba(*known)

    def _predict_proba(self, X, presence, holes):
        proba = np.empty((X.shape[0], len(self.weights_)))
        for _, rows in self._rows(X, presence, holes):
            proba[rows.rows] = rows.resp
        return proba

    def predict(self, X):
        """Likeliest cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            -1, with a warning, for rows in which nothing is observed.
        """
        _, (X, presence, holes) = self._check(X, "labelled -1")
        labels = self._predict_proba(X, presence, holes).argmax(axis=1)
        labels[~presence.any(axis=1)] = -1
        return labels

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit, and return the likeliest cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype int64
            -1, with a warning, for rows in which nothing is observed.
        """
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    def transform(self, X):
        """Posterior mean of the factors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        factors : ndarray of shape (n_samples, `n_factors_`)
            0 for rows in which nothing is observed. What clusters account for is not
            in them.
        """
        X, known = self._check(X, "given factors of 0")
        factors = np.empty((X.shape[0], self.n_factors_), dtype=X.dtype)
        for _, rows in self._rows(*known):
            factors[rows.rows] = rows.factors()
        return factors

    def score_samples(self, X):
        """Log-likelihood of the observed cells of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In the units of X; 0 for rows in which nothing is observed.
        """
        _, (X, presence, holes) = self._check(X, "given a log-likelihood of 0")
        scores = np.empty(X.shape[0])
        order = self.modalities_.order
        log_factor = np.log(self._factor()) * self._learnt_columns()[order]
        for _, rows in self._rows(X, presence, holes, plug_in=True):
            seen = ~np.isnan(X[np.ix_(rows.rows, order)])
            scores[rows.rows] = rows.log_likelihood + seen @ log_factor
        return scores

    def score(self, X, y=None, sample_weight=None):
        """Mean log-likelihood of the observed cells of a row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        log_likelihood : float
            In the units of X.
        """
        del y
        scores = self.score_samples(X)
        weight = check_sample_weight(sample_weight, scores[:, None])
        return float(np.average(scores, weights=weight))

    def _n_parameters(self):
        k, n_features, r = len(self.weights_), self.n_features_in_, self.n_factors_
        n_noise = len(self.modalities_) if self.noise == "modality" else n_features
        rotations = r * (r - 1) // 2
        return (k - 1) + (k + r) * n_features - rotations + n_noise

    def bic(self, X):
        """Bayesian information criterion: the lower, the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        bic : float
            Every loading counts as a parameter, whether `ard` turned it off or not.
        """
        scores = self.score_samples(X)
        return float(-2 * scores.sum() + self._n_parameters() * np.log(len(scores)))

    def aic(self, X):
        """Akaike's information criterion: the lower, the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        aic : float
            Every loading counts as a parameter, whether `ard` turned it off or not.
        """
        return float(-2 * self.score_samples(X).sum() + 2 * self._n_parameters())

    def sample(self, n_samples=1):
        """Draw complete rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in the order of their clusters.
        labels : ndarray of shape (n_samples,)
            Cluster of each row.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {n_samples}.")
        rng = check_random_state(self.random_state)
        weights = self.weights_ / self.weights_.sum()
        labels = np.repeat(np.arange(len(weights)), rng.multinomial(n_samples, weights))
        factors = rng.standard_normal((n_samples, self.n_factors_))
        X = self.means_[labels] + factors @ self.loadings_.T
        noise = rng.standard_normal(X.shape)
        return X + noise * np.sqrt(self.noise_variance_), labels

    def impute(self, X):
        """Fill missing cells with their posterior means.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        X_imputed : ndarray of shape (n_samples, n_features)
            Observed cells as they are; 0 in columns that no training row has, but in
            a sequence the mean of the other tokens.
        """
        X, known = self._check(X, "imputed with the training mean")
        return np.where(np.isnan(X), self._values(*known), X)

    def imputation_std(self, X):
        """Return standard errors of imputed cells.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing.

        Returns
        -------
        std : ndarray of shape (n_samples, n_features)
            Of the difference between the imputed and the actual value, in the units
            of X; 0 for observed cells, and NaN for missing cells of columns that no
            training row has: nothing is known of these.
        """
        X, (_, *known) = self._check(X, "imputed with the training mean")
        return self._std(X, *known)

    def _values(self, X, presence, holes, rng=None):
        """Values for all cells of checked rows; drawn if there is a generator."""
        layout, factor = self.modalities_, self._factor()
        seen = self._scaler.seen[layout.order]
        values = np.empty(X.shape, dtype=X.dtype)
        for params, rows in self._rows(X, presence, holes):
            part = rows.values(params)
            trust = np.where(presence[rows.rows], 1.0, self.shrinkage_)
            has_any = presence[rows.rows].any(axis=1)
            scaled = part * (trust * has_any[:, None])[:, layout.owner]
            if rng is not None:
                spread = rows.draw(params, rng) - part
                scaled += spread * (self.std_scale_[layout.owner] * seen)
            in_columns = np.empty_like(part)
            in_columns[:, layout.order] = scaled / factor
            values[rows.rows] = in_columns + self._scaler.mean
        return values

    def _std(self, X, presence, holes):
        layout, factor = self.modalities_, self._factor()
        learnt = self._learnt_columns()
        known = hide_columns(X, ~learnt)
        if known is not X:
            presence, holes = find_presence(known, layout)
        scale = self.std_scale_[layout.owner] / factor
        std = np.zeros(X.shape, dtype=X.dtype)
        for params, rows in self._rows(known, presence, holes):
            part = np.empty((len(rows.rows), X.shape[1]))
            part[:, layout.order] = np.sqrt(rows.variances(params)) * scale
            part[:, ~learnt] = np.nan
            missing = np.isnan(X[rows.rows])
            std[rows.rows] = np.where(missing, part, 0)
        return std

    @property
    def _n_features_out(self):
        return self.n_factors_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
