"""ShaSpec: shared and specific representations of the modalities."""

import torch
import torch.nn.functional as F
from torch import nn

from skmissing.fusion._layers import (
    FusionOutput,
    ModalityProjection,
    ModalityVectors,
    check_sizes,
    check_weights,
)


class ShaSpec(nn.Module):
    r"""Separates what modalities share from what is specific to each of them.

    A network for :class:`skmissing.fusion.FusionClassifier`, as in
    `FusionClassifier(ShaSpec)`. The shared part of the observed modalities replaces
    missing modalities.

    Read more in the :ref:`User Guide <networks>`.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality. Set by the estimator.
    n_outputs : int
        Number of outputs. Set by the estimator.
    hidden_dim : int, default=64
        Width of the representations.
    alignment_weight : float, default=0.1
        Factor of the distance between the shared representations.
    domain_weight : float, default=0.02
        Factor of the loss of the domain classifier.
    dropout : float, default=0.1
        Dropout rate before the fusion.

    Raises
    ------
    ValueError
        If `hidden_dim` is not a positive integer, or a factor is negative.

    See Also
    --------
    ActionMAE : Predicts missing modalities by an autoencoder.

    Notes
    -----
    Let :math:`a_m` be the output of a linear map with ReLU per modality, and O the
    observed modalities of a sample. The shared encoder S is a linear map, and the
    encoder :math:`P_m` of modality m a linear map with ReLU:

    .. math:: s_m = S(a_m), \quad p_m = P_m(x_m), \quad
              f_m = s_m + W [s_m, p_m] \quad (m \in O)

    .. math:: f_m = \frac{1}{|O|} \sum_{k \in O} s_k \quad (m \notin O)

    A linear map of all :math:`f_m` with ReLU, and a linear head follow. The loss is
    that of the task, plus `alignment_weight` times the mean over pairs of
    :math:`\|s_j - s_k\|_1 / p`, plus `domain_weight` times the mean over m of the
    cross-entropy of D, a linear classifier that finds m from :math:`p_m`. The width p
    is `hidden_dim`. This is the method of [1]_.
    In the published code, pairs form a ring and a missing modality is replaced by the
    shared representation of the first observed one, so that results depend on the order
    of modalities. All modalities have the same shape there, so that S is applied to x_m
    itself. Complete training samples are needed. Here, both losses are means over the
    observed modalities of a sample, including those hidden by modality dropout.

    References
    ----------
    .. [1] Wang, H., Chen, Y., Ma, C., Avery, J., Hull, L. and Carneiro, G. "Multi-modal
       learning with missing modality via shared-specific feature modelling." CVPR,
       2023.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import ShaSpec
    >>> network = ShaSpec([(1, 5), (1, 4)], n_outputs=3)
    >>> x, observed = torch.randn(8, 9), torch.ones(8, 2, dtype=bool)
    >>> sorted(network(x, observed, observed).losses)
    ['alignment', 'domain']
    """

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        alignment_weight=0.1,
        domain_weight=0.02,
        dropout=0.1,
    ):
        super().__init__()
        check_sizes(hidden_dim, dropout=dropout)
        check_weights(alignment_weight=alignment_weight, domain_weight=domain_weight)
        self.alignment_weight = float(alignment_weight)
        self.domain_weight = float(domain_weight)
        self.adapt = ModalityProjection(shapes, hidden_dim, positions=False)
        self.specific = ModalityProjection(shapes, hidden_dim, positions=False)
        self.vectors = ModalityVectors([n for n, _ in shapes])
        self.shared = nn.Linear(hidden_dim, hidden_dim)
        self.compose = nn.Linear(2 * hidden_dim, hidden_dim)
        self.domain = nn.Linear(hidden_dim, len(shapes))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(len(shapes) * hidden_dim, hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present, observed=None):  # (B, D), (B, T), (B, T)
        """Compute the logits; see :ref:`own_network`."""
        shared, specific, seen = self.encode(x, present)
        share = seen.to(x.dtype)
        share = share / share.sum(dim=1, keepdim=True).clamp(min=1)
        common = share[:, None] @ shared  # (B, 1, p)
        composed = shared + self.compose(torch.cat([shared, specific], dim=2))
        features = torch.where(seen[..., None], composed, common)  # (B, M, p)
        fused = F.relu(self.project(self.dropout(features.flatten(1))))
        losses = {} if observed is None else self.losses(x, observed)
        return FusionOutput(self.head(fused), fused, losses)

    def encode(self, x, present):
        """Shared and specific representations (B, M, p), and observed modalities."""
        adapted, seen = self.vectors(self.adapt(x), present)
        specific, _ = self.vectors(self.specific(x), present)
        return self.shared(F.relu(adapted)), F.relu(specific), seen

    def losses(self, x, observed):
        """Alignment of shared representations, and domains of specific ones."""
        shared, specific, seen = self.encode(x, observed)
        share, n_modalities = seen.to(x.dtype), seen.shape[1]
        gap = (shared[:, :, None] - shared[:, None]).abs().mean(dim=3)  # (B, M, M)
        pair = share[:, :, None] * share[:, None]
        pair = pair * (1 - torch.eye(n_modalities).to(pair))
        target = torch.arange(n_modalities, device=x.device).expand(len(x), -1)
        logits = self.domain(specific).transpose(1, 2)  # (B, classes, M)
        domain = F.cross_entropy(logits, target, reduction="none")
        return {
            "alignment": self.alignment_weight * mean_by_sample(gap, pair),
            "domain": self.domain_weight * mean_by_sample(domain, share),
        }


def mean_by_sample(values, weight):
    """Weighted mean of each sample, then the mean over samples that have a weight."""
    values, weight = values.flatten(1), weight.flatten(1)
    totals = weight.sum(dim=1)
    means = (values * weight).sum(dim=1) / totals.clamp(min=1)
    return means.sum() / (totals > 0).sum().clamp(min=1)
