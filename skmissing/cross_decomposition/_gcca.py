"""Generalised canonical correlation analysis with missing modalities."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse.csgraph import connected_components
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._blocks import fit_scaler
from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs

# Maximum number of components of "auto".
MOST_COMPONENTS = 32


@shared_docs
class IncompleteGCCA(
    ModalityMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, SkmissingEstimator
):
    """Generalised canonical correlation analysis (GCCA) with missing modalities.

    The components are latent variables that linear functions of each modality predict
    as well as possible. A sample is transformed by any of its modalities, so samples
    with different modalities get coordinates in the same space. No labels are used.

    Read more in the :ref:`User Guide <gcca>`.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components. "auto" is 32, or the rank of the data if it is lower.
    %(modalities)s
    alpha : float, default=0.1
        Ridge penalty on the weights of each modality, relative to the variance of a
        column and the number of samples. Wide modalities need a penalty. Otherwise
        they correlate by chance, and predict each training sample exactly if they
        have more columns than samples.
    standardize : bool, default=True
        Whether to standardise the columns. They are always centred.

    Attributes
    ----------
    weights_ : list of ndarray of shape (width, n_components)
        Weights of the centred columns, per modality.
    mean_ : ndarray of shape (n_features,)
        Training mean of each column.
    eigenvalues_ : ndarray of shape (n_components,)
        Share of the variance of each component that the observed modalities predict,
        from 0 to 1, in descending order. For two complete modalities and `alpha=0`, it
        is (1 + r) / 2, where r is the canonical correlation.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `n_components` is larger than the rank of the data, or if no column varies.

    See Also
    --------
    sklearn.cross_decomposition.CCA : Two modalities without missing ones.
    skmissing.mixture.PartialModalityFactorMixture : Factors that modalities share,
        which also give imputed values and their errors.

    Notes
    -----
    This is the MAXVAR form of GCCA for missing values [1]_, with a ridge penalty as in
    [2]_. Let :math:`X_k` be the centred columns of modality k, with zeros in missing
    cells, and :math:`K_k` a diagonal matrix with 1 for each of the :math:`n_k` samples
    that have the modality. The components G and weights :math:`W_k` minimise

    .. math:: \\sum_k \\|K_k (G - X_k W_k)\\|^2 + \\alpha n_k \\|W_k\\|^2
        \\quad \\text{subject to} \\quad G^T (\\sum_k K_k) G = I.

    Then :math:`(\\sum_k K_k)^{1/2} G` has the first left singular vectors of the matrix
    with the blocks :math:`(\\sum_k K_k)^{-1/2} X_k (X_k^T X_k + \\alpha n_k I)^{-1/2}`.
    The weights are scaled so that the components have variance 1 over all observed
    modalities of all training samples. `transform` is the mean of :math:`x_k W_k` over
    the observed modalities, also for training samples. In a partially observed
    modality, missing cells are replaced by the mean of the column. Samples with several
    modalities must link all of them. Otherwise, there is a warning.

    The time is that of one singular value decomposition of the training samples.

    References
    ----------
    .. [1] M. van de Velden and Y. Takane, "Generalized canonical correlation analysis
       with missing values", Computational Statistics 27, 2012.
    .. [2] P. Rastogi, B. Van Durme and R. Arora, "Multiview LSA: Representation
       Learning via Generalized CCA", NAACL 2015.

    Examples
    --------
    Both modalities have one column that follows the same hidden variable:

    >>> import numpy as np
    >>> from skmissing.cross_decomposition import IncompleteGCCA
    >>> rng = np.random.RandomState(0)
    >>> hidden, X = rng.standard_normal(200), rng.standard_normal((200, 5))
    >>> X[:, 1] += 3 * hidden
    >>> X[:, 3] += 3 * hidden
    >>> X[:50, :2] = X[50:100, 2:] = np.nan
    >>> gcca = IncompleteGCCA(1, modalities=[2, 3])
    >>> Z = gcca.fit_transform(X)
    >>> bool(abs(np.corrcoef(Z[:, 0], hidden)[0, 1]) > 0.9)
    True
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "n_components": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "standardize": ["boolean"],
    }

    def __init__(
        self, n_components="auto", *, modalities=None, alpha=0.1, standardize=True
    ):
        self.n_components = n_components
        self.modalities = modalities
        self.alpha = alpha
        self.standardize = standardize

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the components.

        Parameters
        ----------
        %(X, y)s

        Returns
        -------
        %(self)s
        """
        table = self._validate(X, reset=True)
        self._seen = table.observed_columns
        table.warn_never_observed(self._seen, "they are ignored", "they are ignored")
        table.warn_empty("left out of the fit")
        table = table[table.has_any]
        if not len(table):
            raise ValueError("X must have an observed cell; got none.")
        _warn_unlinked(table)
        scaler = fit_scaler(table, standardize=self.standardize).centered()
        # Constant columns count as 0, because they are divided by infinity.
        error = 10 * np.finfo(np.float64).eps * np.abs(scaler.mean)
        varies = np.sqrt(scaler.variance) > error
        self.mean_, self._scale = scaler.mean, np.where(varies, scaler.scale, np.inf)
        n_observed = table.presence.sum(axis=1)
        parts, blocks = [], []
        for Z, rows in self._blocks(table):
            U, s, Vt = thin_svd(Z)
            penalised = s**2 + self.alpha * len(rows)
            block = np.zeros((len(table), len(s)))
            block[rows] = U * (s / np.sqrt(penalised))
            blocks.append(block / np.sqrt(n_observed)[:, None])
            # (width, rank): from coordinates in U to weights of the columns
            parts.append(Vt.T / np.sqrt(penalised))
        U, s, Vt = thin_svd(np.hstack(blocks))
        k = self._count_components(len(s), len(table))
        self.eigenvalues_ = s[:k] ** 2
        stops = np.cumsum([part.shape[1] for part in parts])[:-1]
        scale = s[:k] * np.sqrt(n_observed.sum())
        weights = [
            part @ (V.T * scale)
            for part, V in zip(parts, np.split(Vt[:k], stops, axis=1))
        ]
        every = np.vstack(weights)
        signs = np.sign(every[np.abs(every).argmax(axis=0), np.arange(k)])
        self.weights_ = [
            W * signs / self._scale[modality.columns, None]
            for W, modality in zip(weights, self.modalities_.values())
        ]
        return self

    def _blocks(self, table):
        """Yield standardised columns of each modality, and the samples that have it."""
        for modality, present in zip(self.modalities_.values(), table.presence.T):
            rows, columns = np.flatnonzero(present), modality.columns
            Z = table.X[np.ix_(rows, columns)] - self.mean_[columns]
            yield np.where(np.isnan(Z), 0, Z) / self._scale[columns], rows

    def _count_components(self, rank, n_samples):
        if not rank:
            raise ValueError(
                f"X must have a column that varies; got none in {n_samples} samples."
            )
        if self.n_components == "auto":
            return min(MOST_COMPONENTS, rank)
        if self.n_components > rank:
            raise ValueError(
                f"n_components must be at most the rank of the data, {rank}; got "
                f"{self.n_components}."
            )
        return self.n_components

    def transform(self, X):
        """Return the components of samples by their observed modalities.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Samples in which nothing is observed get zeros, with a warning.
        """
        check_is_fitted(self)
        table = self._validate(X, reset=False).learnt(self._seen)
        table.warn_empty("at 0, the training mean")
        total = np.zeros((len(table), self._n_features_out))
        for m, modality in enumerate(self.modalities_.values()):
            rows, columns = np.flatnonzero(table.presence[:, m]), modality.columns
            Z = table.X[np.ix_(rows, columns)] - self.mean_[columns]
            total[rows] += np.where(np.isnan(Z), 0, Z) @ self.weights_[m]
        total /= np.maximum(table.presence.sum(axis=1), 1)[:, None]
        return total.astype(table.dtype)

    @property
    def _n_features_out(self):
        return len(self.eigenvalues_)


def _warn_unlinked(table):
    """Warn about groups of modalities between which no sample is a link."""
    seen = np.flatnonzero(table.presence.any(axis=0))
    names, rows = np.array(table.layout.names)[seen], table.presence[:, seen]
    together = rows.T.astype(float) @ rows
    n_groups, labels = connected_components(together, directed=False)
    if n_groups > 1:
        groups = [names[labels == group].tolist() for group in range(n_groups)]
        table.warn(
            f"the modalities are in {n_groups} groups that are never observed "
            f"together: {', '.join(map(str, groups))}. Samples of different groups "
            "cannot be compared by the components."
        )


def thin_svd(Z):
    """Singular value decomposition without the null space."""
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    tolerance = max(Z.shape) * np.finfo(np.float64).eps
    kept = s > tolerance * s.max(initial=0)
    return U[:, kept], s[kept], Vt[kept]
