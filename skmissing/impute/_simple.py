"""Imputation by the mean, by zero, or from a random sample."""

import numpy as np
from sklearn.utils import check_random_state

from skmissing._compat import StrOptions
from skmissing._docs import shared_docs
from skmissing.impute._base import BaseModalityImputer, copy_with, sample_generators

FATES = {
    "mean": "imputed with the training mean",
    "zero": "filled with 0",
    "hot_deck": "imputed from random training samples",
}


@shared_docs
class SimpleModalityImputer(BaseModalityImputer):
    """Impute missing modalities by the mean, by zero, or from a random sample.

    These are the baselines for other imputers. They do not use the observed modalities
    of the sample. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation>`.

    Parameters
    ----------
    strategy : {"mean", "zero", "hot_deck"}, default="mean"
        What to fill in. "mean" is the training mean of the column, and "zero" is 0 in
        the unit of the column. "hot_deck" copies the modality from a random training
        sample in which it is observed.
    %(modalities)s
    %(add_indicator, keep_empty_features)s
    random_state : int, RandomState instance or None, default=None
        Seed of the draws of "hot_deck".

    Attributes
    ----------
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, or zeros if `strategy="zero"`.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    RetrievalImputer : Copies from similar samples instead of random ones.
    sklearn.impute.SimpleImputer : Has one indicator per column, and no hot deck.

    Notes
    -----
    A hot deck draws from the distribution of each modality, so it keeps the variance,
    whereas the mean does not. The draws depend on the seed and on the observed cells of
    the sample, rounded to single precision. They do not depend on the other samples,
    and `transform` always returns the same values. Samples with the same observed cells
    are filled from the same samples.

    Missing cells of a partially observed modality are filled in the same way. Hot decks
    are surveyed in [1]_.

    References
    ----------
    .. [1] R. R. Andridge and R. J. A. Little, "A Review of Hot Deck Imputation for
       Survey Non-response", International Statistical Review 78(1), 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import SimpleModalityImputer
    >>> X = np.array([[1., 2., 5.], [3., 4., 7.], [8., np.nan, np.nan]])
    >>> SimpleModalityImputer(modalities=[1, 2]).fit_transform(X)[2]
    array([8., 3., 6.])
    >>> hot_deck = SimpleModalityImputer("hot_deck", modalities=[1, 2], random_state=0)
    >>> hot_deck.fit_transform(X)[2]
    array([8., 2., 5.])
    """

    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "strategy": [StrOptions(set(FATES))],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        strategy="mean",
        *,
        modalities=None,
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
    ):
        self.strategy = strategy
        self.modalities = modalities
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    @property
    def _reads_sources(self):
        # A hot deck keeps the training samples in memory.
        return self.strategy != "hot_deck"

    @property
    def _fate_of_empty(self):
        return FATES[self._strategy]

    def _fit_imputer(self, table):
        self._strategy = self.strategy
        if self.strategy == "zero":
            return np.zeros(table.X.shape[1])
        if self.strategy == "hot_deck":
            rng = check_random_state(self.random_state)
            self._seed = rng.randint(np.iinfo(np.int32).max)
            self._donors = [
                donors(table.X[rows][:, modality.columns])
                for modality, rows in zip(table.layout.values(), table.presence.T)
            ]
        return table.column_means()[0]

    def _with_seed(self, seed):
        return copy_with(self, _seed=seed) if self._strategy == "hot_deck" else None

    def _impute(self, table):
        if self._strategy != "hot_deck":
            return np.tile(self.statistics_.astype(table.X.dtype), (len(table), 1))
        values = np.full_like(table.X, np.nan)
        # Numbers from 0 to 1, (n_samples, n_modalities)
        generators = sample_generators(table.X, self._seed)
        shares = np.array([g.random_sample(len(self.modalities_)) for g in generators])
        for m, modality in enumerate(table.layout.values()):
            own = self._donors[m]
            if len(own):
                drawn = own[(shares[:, m] * len(own)).astype(np.intp)]
                values[:, modality.columns] = drawn
        return values


def donors(block):
    """Samples with all cells of a modality, or those with some if there are none."""
    whole = ~np.isnan(block).any(axis=1)
    return block[whole] if whole.any() else block
