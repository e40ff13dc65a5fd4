"""Masked modality projection: the network and its estimators."""

from numbers import Integral, Real

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing.fusion._base import (
    BOUNDS,
    CLASS_WEIGHT,
    BaseFusion,
    FusionClassifier,
    FusionRegressor,
)
from skmissing.fusion._layers import (
    FusionOutput,
    ModalityProjection,
    PreNormLayer,
    ZeroSlots,
    check_sizes,
    token_owners,
)
from skmissing.fusion._projection import KINDS, ProjectedSlots, alignment_loss


class MMPFusion(nn.Module):
    """Fusion by a pre-norm transformer, with missing modalities projected."""

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_layers=1,
        dropout=0.1,
        projector="linear",
        n_aggregated_tokens=8,
        tokens_per_vector=1,
        alignment_weight=1.0,
    ):
        super().__init__()
        sizes = {"n_heads": n_heads, "n_layers": n_layers}
        sizes |= {"n_aggregated_tokens": n_aggregated_tokens}
        check_sizes(
            hidden_dim, tokens_per_vector=tokens_per_vector, dropout=dropout, **sizes
        )
        n_tokens = [tokens_per_vector if n == 1 else n for n, _ in shapes]
        owner = token_owners(n_tokens)
        # Token of the layout from which each token of the network is computed.
        made = [tokens_per_vector if n == 1 else 1 for n, _ in shapes for _ in range(n)]
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("source", token_owners(made), persistent=False)
        self.alignment_weight = float(alignment_weight)
        self.embed = ModalityProjection(
            shapes, hidden_dim, tokens_per_vector=tokens_per_vector, positions=False
        )
        self.scale = nn.Parameter(torch.ones(len(shapes), hidden_dim))
        self.shift = nn.Parameter(torch.zeros(len(shapes), hidden_dim))
        if projector == "none" or len(shapes) == 1:
            self.slots = ZeroSlots(n_tokens, hidden_dim)
        else:
            params = {"n_aggregated_tokens": n_aggregated_tokens, "n_heads": n_heads}
            params |= {"kind": projector, "dropout": dropout}
            self.slots = ProjectedSlots(n_tokens, hidden_dim, **params)
        # Modality of each token, and its position in its sequence.
        self.place = nn.Parameter(0.02 * torch.randn(len(owner), hidden_dim))
        self.summary = nn.Parameter(0.02 * torch.randn(hidden_dim))
        self.layers = nn.ModuleList(
            PreNormLayer(hidden_dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Linear(hidden_dim, n_outputs)

    def tokenize(self, x, present):  # (B, D), (B, tokens of the layout)
        """Tokens (B, T, p), normalized per modality, and a mask of observed tokens."""
        tokens = F.layer_norm(self.embed(x), self.summary.shape)
        tokens = tokens * self.scale[self.owner] + self.shift[self.owner]
        return tokens, present[:, self.source]

    def forward(self, x, present, observed=None):  # (B, D), (B, tokens of the layout)
        tokens, present = self.tokenize(x, present)
        h, key_mask = self.slots(tokens, present)
        losses, aligned = {}, not isinstance(self.slots, ZeroSlots)
        if observed is not None and self.alignment_weight and aligned:
            n_tokens, observed = self.slots.n_tokens, observed[:, self.source]
            loss = alignment_loss(tokens, h, present, observed, n_tokens=n_tokens)
            losses["alignment"] = self.alignment_weight * loss
        summary = self.summary.expand(h.shape[0], 1, -1)
        h = torch.cat([summary, h + self.place], dim=1)  # (B, 1 + T, p)
        key_mask = F.pad(key_mask, (1, 0), value=True)
        for i, layer in enumerate(self.layers, 1):
            # Only the first token of the last layer is used.
            h = layer(h, key_mask, 1 if i == len(self.layers) else None)
        fused = self.norm(h[:, 0])
        return FusionOutput(self.head(fused), fused, losses)


def _has_projector(estimator):
    projector = estimator.projector
    if hasattr(estimator, "n_iter_"):  # the fitted network, not later parameters
        projector = estimator._module[1]["projector"]
    if projector == "none":
        raise AttributeError("projector='none' estimates no modality.")
    return True


@shared_docs
class BaseMMP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseFusion):
    """The network of masked modality projection, for any task.

    Parameters
    ----------
    projector : {"linear", "cross_attention", "none"}, default="linear"
        How to estimate the tokens of a missing modality. "linear" uses a linear map
        from each other modality. "cross_attention" is the method of the paper. It takes
        several times as long and was not better on vectors. "none" uses zeros, so that
        the method is modality dropout only.
    alignment_weight : float, default=1.0
        Factor of the alignment loss between the estimated and the real tokens of hidden
        modalities. With 0, the projector is trained by the loss of the task only.
    **kwargs : dict
        Parameters of the components, as in :class:`FusionClassifier`. The network has
        `module__n_heads=4`, `module__n_layers=1`, `module__dropout=0.1`,
        `module__n_aggregated_tokens=8`, the number of learned tokens by which
        cross-attention summarizes a modality, and `module__tokens_per_vector=1`, the
        number of tokens per vector. The paper uses
        `iterator_train__dropout_level="batch"`.

    Attributes
    ----------
    loss_terms_ : dict of str to list of float
        Terms of the training loss: `"task"`, `"alignment"` times its weight (unless
        `projector="none"`), and the terms of the consistency, if any.
    """

    _parameter_constraints: dict = {
        **BaseFusion._parameter_constraints,
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "projector": [StrOptions({*KINDS, "none"})],
        "alignment_weight": [Interval(Real, 0, None, closed="left")],
    }
    module = MMPFusion

    def _find_module(self, params):
        names = ("hidden_dim", "projector", "alignment_weight")
        own = {name: getattr(self, name) for name in names}
        return self.module, {**own, **params}

    def _count_cells(self, params):
        """Approximate number of values that the network holds per sample."""
        per_vector = params.get("tokens_per_vector", 1)
        n_tokens = sum(self._token_counts) * per_vector
        dim = params["hidden_dim"]
        cells = n_tokens * (dim + params.get("n_heads", 4) * n_tokens)
        if params["projector"] == "none":
            return cells
        tokens = max(*self._token_counts, per_vector)
        tokens += params.get("n_aggregated_tokens", 8)
        return cells + len(self._token_counts) ** 2 * tokens * 2 * dim

    def transform(self, X):
        """Compute the fused representation: the input of the last linear map.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, hidden_dim)
            Representations. They are equal for all samples without any modality.
        """
        return self._outputs(
            X,
            lambda module, x, present: module(x, present).fused,
            "represented by the same vector",
            dtype=None,
        )

    @available_if(_has_projector)
    def project(self, X):
        """Estimate the tokens of each modality from the other modalities.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_tokens, hidden_dim)
            Estimates, also of observed modalities, for comparison with the tokens of
            :meth:`embed`. NaN for samples without another modality.
        """
        check_is_fitted(self)
        if len(self.modalities_) == 1:
            raise ValueError(
                "X must have several modalities to project one from the others; got "
                f"one, {next(iter(self.modalities_))!r}."
            )

        def estimate(module, x, present):
            tokens, present = module.tokenize(x, present)
            there = module.slots.modality_present(present)
            made = module.slots.projector.project(tokens, present)
            others = there.sum(dim=1, keepdim=True) - there.long()
            return made.masked_fill((others < 1)[:, module.owner, None], np.nan)

        return self._per_modality(X, estimate)

    def embed(self, X):
        """Compute the tokens of each observed modality.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_tokens, hidden_dim)
            Tokens by modality. NaN where a token is missing.
        """

        def tokenize(module, x, present):
            tokens, present = module.tokenize(x, present)
            return tokens.masked_fill(~present[..., None], np.nan)

        return self._per_modality(X, tokenize)

    def _per_modality(self, X, answer):
        """Compute tokens (n_samples, T, hidden_dim), and cut them by modality."""
        tokens = self._outputs(X, answer, None)
        stops = np.cumsum(self.net_.module_.slots.n_tokens)
        return dict(zip(self.modalities_, np.split(tokens, stops[:-1], axis=1)))

    @property
    def _n_features_out(self):
        check_is_fitted(self)
        return self._module[1]["hidden_dim"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@shared_docs
class MMPClassifier(BaseMMP, FusionClassifier):
    """Classifier that projects missing modalities from the observed modalities.

    Masked modality projection [1]_ trains one network for all subsets of the
    modalities. No imputer is needed, and incomplete samples are used in training. The
    target is binary, multiclass, or an indicator matrix of several labels per sample.

    Read more in the :ref:`User Guide <mmp>`.

    Parameters
    ----------
    %(modalities, hidden_dim, projector, alignment_weight, modality_dropout)s
    %(dropout_policy, optimizer, lr, batch_size, max_epochs, callbacks)s
    %(early_stopping, validation_fraction, n_iter_no_change, scoring, class_weight)s
    %(standardize, device, random_state, verbose, **kwargs)s

    Attributes
    ----------
    %(classes_, n_iter_, best_iter_, loss_curve_, loss_terms_)s
    %(validation_curve_, net_, modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    MMPRegressor : The same for regression.
    MHSAFusionClassifier : Masks missing modalities in the attention, which is cheaper.
    skmissing.fusion.modules.ModalityProjector : The projector for other networks.

    Notes
    -----
    A linear map and a layer norm per modality compute its tokens. The projector
    (:class:`skmissing.fusion.modules.ModalityProjector`) estimates the tokens of
    missing modalities. An embedding of modality and position is added to all tokens,
    and a CLS token is prepended. Pre-norm transformer layers follow. The prediction is
    a linear map of the CLS token.

    In training, random modalities are hidden, and the loss is

        task + alignment_weight * SmoothL1(projected, real)

    where the alignment is averaged over the observed modalities that were hidden.
    Missing modalities are projected but not aligned, so incomplete samples can be used
    in training. The real tokens get no gradient from the alignment.

    The steps of the ablation in the paper are parameters. `projector="none"` with
    `modality_dropout=0` hides no modality in training. With `modality_dropout=0.5`, it
    is modality dropout [2]_. The next steps are `projector="linear",
    alignment_weight=0`, then the default, and finally `projector="cross_attention"`,
    which is the method of the paper. With one token per modality, attention has no
    choice between tokens, and the projector is a sum of non-linear maps, one per
    source. The :ref:`User Guide <mmp>` has measurements on embeddings.

    The tokens of a sequence, `(n_tokens, dim)` in `modalities`, share a linear map. In
    an observed modality, tokens that are all NaN are padding and masked. Missing cells
    of partially observed tokens are filled with the training mean of the column. Loss,
    training, and samples without any modality are as in :class:`FusionClassifier`.

    References
    ----------
    .. [1] Nezakati, N., Reza, M. K., Patil, A., Solh, M. and Asif, M. S. "MMP: Towards
       robust multi-modal learning with masked modality projection." arXiv:2410.03010.
    .. [2] Neverova, N., Wolf, C., Taylor, G. and Nebout, F. "ModDrop: adaptive
       multi-modal gesture recognition." IEEE Transactions on Pattern Analysis and
       Machine Intelligence 38(8), 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmissing.fusion import MMPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X[1200:1500, :32] = np.nan  # the upper half is missing
    >>> model = MMPClassifier(
    ...     modalities={"upper": 32, "lower": 32}, max_epochs=10, random_state=0
    ... )
    >>> model.fit(X[:1200], y[:1200]).score(X[1200:1500], y[1200:1500]) > 0.6
    True
    >>> model.project(X[1200:])["upper"].shape
    (597, 1, 64)
    """

    _parameter_constraints = BaseMMP._parameter_constraints | CLASS_WEIGHT

    def __init__(
        self,
        *,
        modalities=None,
        hidden_dim=64,
        projector="linear",
        alignment_weight=1.0,
        modality_dropout=0.5,
        dropout_policy="uniform_size",
        optimizer="adamw",
        lr=1e-3,
        batch_size=64,
        max_epochs=100,
        callbacks=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        scoring="loss",
        class_weight=None,
        standardize=True,
        device="auto",
        random_state=None,
        verbose=0,
        **kwargs,
    ):
        self.modalities = modalities
        self.hidden_dim = hidden_dim
        self.projector = projector
        self.alignment_weight = alignment_weight
        self.modality_dropout = modality_dropout
        self.dropout_policy = dropout_policy
        self.optimizer = optimizer
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.callbacks = callbacks
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.class_weight = class_weight
        self.standardize = standardize
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        vars(self).update(kwargs)


@shared_docs
class MMPRegressor(BaseMMP, FusionRegressor):
    """Regressor that projects missing modalities from the observed modalities.

    Masked modality projection [1]_ trains one network for all subsets of the
    modalities. No imputer is needed, and incomplete samples are used in training. There
    may be one or several targets.

    Read more in the :ref:`User Guide <mmp>`.

    Parameters
    ----------
    %(modalities, hidden_dim, projector, alignment_weight, modality_dropout)s
    %(dropout_policy, optimizer, lr, batch_size, max_epochs, callbacks)s
    %(early_stopping, validation_fraction, n_iter_no_change, scoring, bounds)s
    %(standardize, device, random_state, verbose, **kwargs)s

    Attributes
    ----------
    %(n_iter_, best_iter_, loss_curve_, loss_terms_)s
    %(validation_curve_, net_, modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    MMPClassifier : The same for classification.
    MHSAFusionRegressor : Masks missing modalities in the attention, which is cheaper.
    skmissing.fusion.modules.ModalityProjector : The projector for other networks.

    Notes
    -----
    The network, the alignment loss and the steps of the ablation are those of
    :class:`MMPClassifier`. `projector="cross_attention"` is the method of the paper
    [1]_, and `projector="none"` is modality dropout only. Loss and training are as in
    :class:`FusionRegressor`.

    References
    ----------
    .. [1] Nezakati, N., Reza, M. K., Patil, A., Solh, M. and Asif, M. S. "MMP: Towards
       robust multi-modal learning with masked modality projection." arXiv:2410.03010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skmissing.fusion import MMPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[300:, :4] = np.nan  # only the blood values are observed
    >>> model = MMPRegressor(
    ...     modalities={"body": 4, "blood": 6}, max_epochs=20, random_state=0
    ... )
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.2
    True
    """

    _parameter_constraints = BaseMMP._parameter_constraints | BOUNDS

    def __init__(
        self,
        *,
        modalities=None,
        hidden_dim=64,
        projector="linear",
        alignment_weight=1.0,
        modality_dropout=0.5,
        dropout_policy="uniform_size",
        optimizer="adamw",
        lr=1e-3,
        batch_size=64,
        max_epochs=50,
        callbacks=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        scoring="loss",
        bounds=None,
        standardize=True,
        device="auto",
        random_state=None,
        verbose=0,
        **kwargs,
    ):
        self.modalities = modalities
        self.hidden_dim = hidden_dim
        self.projector = projector
        self.alignment_weight = alignment_weight
        self.modality_dropout = modality_dropout
        self.dropout_policy = dropout_policy
        self.optimizer = optimizer
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.callbacks = callbacks
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.bounds = bounds
        self.standardize = standardize
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        vars(self).update(kwargs)
