"""Fusion by pooling: mean, sum, maximum, or the largest absolute value."""

import torch.nn.functional as F
from torch import nn

from skmissing.fusion._layers import (
    FusionOutput,
    ModalityProjection,
    ModalityVectors,
    check_sizes,
    normalize,
)

POOLINGS = ("mean", "max", "sum", "sign_max")


class PooledFusion(nn.Module):
    r"""Fusion by a mean, sum or maximum over the observed modalities.

    A network for :class:`skmissing.fusion.FusionClassifier`, as in
    `FusionClassifier(PooledFusion)`.

    Read more in the :ref:`User Guide <networks>`.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality. Set by the estimator.
    n_outputs : int
        Number of outputs. Set by the estimator.
    hidden_dim : int, default=64
        Width of the tokens.
    pooling : {"mean", "max", "sum", "sign_max"}, default="mean"
        How to combine the modalities. "sign_max" takes the value with the largest
        absolute value, with its sign.
    dropout : float, default=0.1
        Dropout rate after the pooling.

    Raises
    ------
    ValueError
        If `pooling` is unknown, or `hidden_dim` is not positive.

    See Also
    --------
    BottleneckFusion : Modalities exchange information before they are averaged.

    Notes
    -----
    Let :math:`h_m` be the normalized linear map of modality m, and O the observed
    modalities of a sample. A sequence is represented by the mean of its observed
    tokens. "mean", "max", "sum" and "sign_max" are

    .. math:: \frac{1}{|O|} \sum_{m \in O} h_{mc}, \quad \max_{m \in O} h_{mc}, \quad
              \sum_{m \in O} h_{mc}, \quad h_{kc} \; \mathrm{with} \;
              k = \mathrm{argmax}_{m \in O} |h_{mc}|

    for each value c of the vector. A linear map with ReLU and a linear head follow.
    Averages over the observed modalities are from [1]_, which also uses the variance,
    and "sign_max" from [2]_. There, images or videos are encoded by convolutions. The
    loss is that of the task only, so that any sample with a modality is used in
    training.

    References
    ----------
    .. [1] Havaei, M., Guizard, N., Chapados, N. and Bengio, Y. "HeMIS: hetero-modal
       image segmentation." MICCAI, 2016.
    .. [2] Marín-Jiménez, M. J., Castro, F. M., Delgado-Escaño, R., Kalogeiton, V. and
       Guil, N. "UGaitNet: multimodal gait recognition with missing input modalities."
       IEEE Transactions on Information Forensics and Security 16, 2021.

    Examples
    --------
    >>> import torch
    >>> from skmissing.fusion.modules import PooledFusion
    >>> network = PooledFusion([(1, 5), (3, 2)], n_outputs=4, pooling="sign_max")
    >>> present = torch.tensor([[True, True, True, False]])
    >>> network(torch.randn(1, 11), present).logits.shape
    torch.Size([1, 4])
    """

    def __init__(
        self, shapes, n_outputs, *, hidden_dim=64, pooling="mean", dropout=0.1
    ):
        super().__init__()
        check_sizes(hidden_dim, dropout=dropout)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}; got {pooling!r}.")
        self.pooling = pooling
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.vectors = ModalityVectors([n for n, _ in shapes])
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_dim, hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def forward(self, x, present):  # (B, D), (B, T)
        """Compute the logits; see :ref:`own_network`."""
        h, seen = self.vectors(normalize(self.embed(x)), present)
        pooled = self.dropout(self.pool(h, seen))
        fused = F.relu(self.project(pooled))  # (B, p)
        return FusionOutput(self.head(fused), fused)

    def pool(self, h, seen):
        """Combine modalities (B, M, p), of which `seen` (B, M) are observed."""
        # Missing modalities are zeros, and so are samples without any modality.
        if self.pooling == "sign_max":
            return h.gather(1, h.abs().argmax(dim=1, keepdim=True))[:, 0]
        if self.pooling == "max":
            seen = seen | ~seen.any(dim=1, keepdim=True)
            return h.masked_fill(~seen[..., None], float("-inf")).amax(dim=1)
        total = h.sum(dim=1)
        if self.pooling == "sum":
            return total
        return total / seen.sum(dim=1, keepdim=True).clamp(min=1)
