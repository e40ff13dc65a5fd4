"""Imputation by a variational autoencoder of any subset of modalities."""

from numbers import Integral

import numpy as np
import torch
from torch import nn

from skmissing._compat import Interval
from skmissing._docs import shared_docs
from skmissing.fusion._autoencoder import (
    BaseAutoencoderImputer,
    Reconstruction,
    perceptron,
)
from skmissing.impute._base import ImputationStdMixin, copy_with, sample_generators

# Number of draws of the latent variables for means and standard errors.
N_DRAWS = 32
# Bounds of logarithms of variances, in units of standardised columns.
LEAST, MOST = -8.0, 8.0


class ProductOfExperts(nn.Module):
    """Variational autoencoder with one encoder and one decoder per modality."""

    def __init__(self, widths, hidden_dim, latent_dim):
        super().__init__()
        self.widths, self.latent_dim = widths, latent_dim
        self.encoders = nn.ModuleList(
            perceptron(width, hidden_dim, 2 * latent_dim) for width in widths
        )
        self.decoders = nn.ModuleList(
            perceptron(latent_dim, hidden_dim, width) for width in widths
        )
        self.log_variance = nn.Parameter(torch.zeros(sum(widths)))

    def posterior(self, x, present):  # (B, D), (B, M)
        """Means and variances of the latent variables, both (B, latent_dim)."""
        blocks = zip(self.encoders, x.split(self.widths, dim=1))
        parts = torch.stack([encode(block) for encode, block in blocks], dim=1)
        mean, log_variance = parts.chunk(2, dim=2)  # (B, M, latent_dim)
        precision = torch.exp(-log_variance.clamp(LEAST, MOST)) * present[:, :, None]
        total = 1 + precision.sum(dim=1)  # the prior is an expert, too
        return (precision * mean).sum(dim=1) / total, 1 / total

    def decode(self, z):  # (..., latent_dim)
        """Expected cells, (..., D)."""
        return torch.cat([decode(z) for decode in self.decoders], dim=-1)

    def noise(self):
        """Logarithms of the variances of the cells, (D,)."""
        return self.log_variance.clamp(LEAST, MOST)

    def forward(self, x, present):
        """Return cells of one draw, and the divergence from the prior."""
        mean, variance = self.posterior(x, present)
        z = mean + variance.sqrt() * torch.randn_like(mean)
        divergence = 0.5 * (variance + mean**2 - 1 - variance.log()).sum(dim=1)
        return Reconstruction(self.decode(z), self.noise(), divergence)


@shared_docs
class VariationalImputer(ImputationStdMixin, BaseAutoencoderImputer):
    """Impute missing modalities by a variational autoencoder.

    One vector of latent variables explains all modalities. Its posterior given any
    subset of modalities is a product of one factor per observed modality. Training
    samples may be incomplete. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    latent_dim : int, default=16
        Number of latent variables.
    hidden_dim : int, default=64
        Width of the hidden layer of each encoder and decoder.
    %(modalities)s
    sample_posterior : bool, default=False
        Whether to fill missing cells with draws from the posterior instead of its mean.
        The draws depend on `random_state` and on the cells of the sample, not on other
        samples.
    %(modality_dropout, max_epochs, batch_size)s
    lr : float, default=3e-3
        Largest learning rate. It rises at first, and then falls to 0.
    %(device)s
    %(add_indicator, keep_empty_features)s
    %(random_state, verbose)s

    Attributes
    ----------
    %(loss_curve_, statistics_)s
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If training diverges.

    See Also
    --------
    skmissing.impute.FactorImputer : A linear model of the same, with standard errors
        that are corrected on held-out samples.

    Notes
    -----
    Encoder m maps modality m to a Gaussian with mean :math:`\\mu_m` and precision
    :math:`\\tau_m`. The posterior given a set S of modalities multiplies these with the
    prior N(0, I) [1]_: its precision is :math:`1 + \\sum_{m \\in S} \\tau_m`, and its
    mean the average of 0 and :math:`\\mu_m`, weighted by precisions. Decoders map the
    latent variables to the mean of each cell, and the variance of the noise is a
    parameter per column. The loss is minus the evidence lower bound of the observed
    cells, where S is a random subset of the observed modalities. In [1]_, the bounds of
    all modalities, of each one, and of random subsets are added instead.

    Means and standard errors are computed from 32 draws of the latent variables, which
    are the same for all samples. Standard errors include the noise. They are too small
    if the model overfits. Cells are clipped to four standard deviations.

    References
    ----------
    .. [1] M. Wu and N. Goodman, "Multimodal Generative Models for Scalable
       Weakly-Supervised Learning", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.fusion import VariationalImputer
    >>> a = np.random.RandomState(0).standard_normal(200)
    >>> X = np.column_stack([a, 2 * a, a > 0])
    >>> X[:50, 0] = X[50:100, 1] = np.nan
    >>> imputer = VariationalImputer(2, max_epochs=50, lr=0.01, random_state=0).fit(X)
    >>> bool(abs(imputer.transform([[1.0, np.nan, 1.0]])[0, 1] - 2) < 0.8)
    True
    """

    _parameter_constraints: dict = {
        **BaseAutoencoderImputer._parameter_constraints,
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "sample_posterior": ["boolean"],
    }
    _module = ProductOfExperts

    def __init__(
        self,
        latent_dim=16,
        *,
        hidden_dim=64,
        modalities=None,
        sample_posterior=False,
        modality_dropout=0.5,
        max_epochs=100,
        batch_size=64,
        lr=3e-3,
        device="auto",
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
        verbose=0,
    ):
        self.latent_dim = latent_dim
        self.hidden_dim = hidden_dim
        self.modalities = modalities
        self.sample_posterior = sample_posterior
        self.modality_dropout = modality_dropout
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    def _sizes(self):
        return {
            "hidden_dim": int(self.hidden_dim),
            "latent_dim": int(self.latent_dim),
        }

    def _with_seed(self, seed):
        return copy_with(self, sample_posterior=True, _seed=seed)

    def _draws(self, module, x, present):
        """Expected cells of draws of the latent variables, (N_DRAWS, B, D)."""
        mean, variance = module.posterior(x, present)
        rng = np.random.RandomState(self._seed)
        normal = rng.standard_normal((N_DRAWS, 1, module.latent_dim))
        # Pairs of opposite draws, so that the mean of linear functions is exact.
        normal[1::2] = -normal[::2]
        return module.decode(mean + variance.sqrt() * torch.as_tensor(normal).to(x))

    def _decode(self, module, x, present, X):
        if not self.sample_posterior:
            return self._draws(module, x, present).mean(dim=0)
        mean, variance = module.posterior(x, present)
        k = module.latent_dim
        generators = sample_generators(X, self._seed)
        normal = [g.standard_normal(k + x.shape[1]) for g in generators]
        normal = torch.as_tensor(np.array(normal)).to(x)
        cells = module.decode(mean + variance.sqrt() * normal[:, :k])
        return cells + torch.exp(module.noise() / 2) * normal[:, k:]

    def _std(self, table):
        def deviation(module, x, present, X):
            spread = self._draws(module, x, present).var(dim=0, correction=0)
            return (spread + torch.exp(module.noise())).sqrt()

        std, scaler = self._compute(table, deviation), self._scaler
        unreached = self._unreached(table)
        std[unreached] = np.broadcast_to(np.sqrt(scaler.variance), std.shape)[unreached]
        return np.where(self._seen, std, np.nan)
