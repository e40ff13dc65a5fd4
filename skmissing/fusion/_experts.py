"""Dynamic mixture of experts: the network of SimMLM."""

import torch
import torch.nn.functional as F
from torch import nn

from skmissing.fusion._layers import (
    FusionOutput,
    LinearStack,
    ModalityProjection,
    ModalityVectors,
    check_sizes,
)


class DynamicExperts(nn.Module):
    """Mixture of one expert per modality, with weights per sample.

    A network for :class:`skmissing.fusion.FusionClassifier`. Each expert predicts from
    one modality. A gate weights the experts of the observed modalities.

    Read more in the :ref:`User Guide <experts>`.

    Parameters
    ----------
    shapes : list of (int, int)
        Number of tokens and token width of each modality. Set by the estimator.
    n_outputs : int
        Number of outputs. Set by the estimator.
    hidden_dim : int, default=64
        Width of the hidden layer of each expert, and of the gate.
    dropout : float, default=0.1
        Dropout in the hidden layers of the experts.

    Raises
    ------
    ValueError
        If `hidden_dim` is not a positive integer, or `dropout` is not in [0, 1).

    Notes
    -----
    Let :math:`h_m` be the hidden layer of expert m, and 0 if modality m is missing.
    Its outputs are :math:`o_m = W_m h_m + b_m`. The gate g is a network with one hidden
    layer. Missing modalities are excluded from its softmax:

    .. math:: w = \\mathrm{softmax}(g(h_1, \\ldots, h_M)), \\quad o = \\sum_m w_m o_m

    This is the mixture of SimMLM [1]_, whose second part is the ranking loss,
    `criterion__consistency="ranking"`. In the paper, the gate has encoders of its own
    and the experts are trained first. Here, the gate reads the hidden layers of the
    experts, and all parts are trained together. This may need an `lr` of 0.01. A
    sequence enters its expert as the mean of its observed tokens. As `fused`, the
    network returns the weighted sum of the hidden layers.

    References
    ----------
    .. [1] Li, S., Chen, C. and Han, J. "SimMLM: A simple framework for multi-modal
       learning with missing modality." ICCV, 2025.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmissing.fusion import FusionClassifier
    >>> from skmissing.fusion.modules import DynamicExperts
    >>> X, y = load_digits(return_X_y=True)
    >>> model = FusionClassifier(
    ...     DynamicExperts, modalities=[32, 32], modality_dropout=1.0,
    ...     criterion__consistency="ranking", max_epochs=10, random_state=0,
    ... )
    >>> model.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.8
    True
    """

    def __init__(self, shapes, n_outputs, *, hidden_dim=64, dropout=0.1):
        super().__init__()
        check_sizes(hidden_dim, dropout=dropout)
        size = len(shapes)
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.vectors = ModalityVectors([n_tokens for n_tokens, _ in shapes])
        self.dropout = nn.Dropout(dropout)
        self.experts = LinearStack(size, hidden_dim, n_outputs)
        self.gate = nn.Sequential(
            nn.Linear(size * hidden_dim, hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, size),
        )

    def forward(self, x, present):
        """Predict from the observed modalities.

        Parameters
        ----------
        x : Tensor of shape (B, D)
            Standardized columns in layout order.
        present : Tensor of shape (B, T), dtype bool
            Observed tokens.

        Returns
        -------
        FusionOutput
            With `fused`.
        """
        h, present = self.vectors(F.relu(self.embed(x)), present)  # (B, M, p), (B, M)
        h = self.dropout(h)
        votes = self.experts(h.transpose(0, 1)).transpose(0, 1)  # (B, M, n_outputs)
        scores = self.gate(h.flatten(1))
        # Finite, because a softmax over no expert would be NaN.
        least = torch.finfo(scores.dtype).min
        share = scores.masked_fill(~present, least).softmax(dim=1)[:, None]
        return FusionOutput((share @ votes)[:, 0], (share @ h)[:, 0])
