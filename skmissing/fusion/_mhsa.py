"""Attention fusion: the network of UL4M4, its estimators, and the whole pipeline."""

from itertools import pairwise
from numbers import Integral

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.pipeline import make_pipeline
from torch import nn

from skmissing import impute
from skmissing._compat import Interval, StrOptions, validate_params
from skmissing._docs import shared_docs
from skmissing._table import framed
from skmissing.fusion._base import (
    BOUNDS,
    CLASS_WEIGHT,
    BaseFusion,
    FusionClassifier,
    FusionRegressor,
)
from skmissing.fusion._layers import (
    SLOTS,
    FusionOutput,
    ModalityMean,
    ModalityProjection,
    SelfAttention,
    check_sizes,
)


class AttentionLayer(nn.Module):
    """x <- LayerNorm(x + Dropout(SelfAttention(x))), without a feed-forward part."""

    def __init__(self, dim, n_heads, dropout):
        super().__init__()
        self.attention = SelfAttention(dim, n_heads)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x, key_mask):  # (B, T, p), (B, T)
        return self.norm(x + self.dropout(self.attention(x, key_mask)))


class FiLM(nn.Module):
    """h <- (1 + G v) * h + B v, where v is the mask of missing modalities."""

    def __init__(self, n_modalities, dim):
        super().__init__()
        self.scale = nn.Linear(n_modalities, dim, bias=False)
        self.shift = nn.Linear(n_modalities, dim, bias=False)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, h, missing):  # (B, T, p), (B, M)
        return (1 + self.scale(missing))[:, None] * h + self.shift(missing)[:, None]


class MHSAFusion(nn.Module):
    """Fusion by self-attention over modalities: equations (4) to (8) of UL4M4."""

    def __init__(
        self,
        shapes,
        n_outputs,
        *,
        hidden_dim=64,
        n_heads=4,
        n_layers=1,
        dropout=0.1,
        head_dims=(),
        missing="mask",
        adaptation=None,
    ):
        super().__init__()
        check_sizes(hidden_dim, n_heads=n_heads, n_layers=n_layers, dropout=dropout)
        if adaptation not in (None, "film", "prompt"):
            raise ValueError(
                f"adaptation must be None, 'film' or 'prompt'; got {adaptation!r}."
            )
        many = isinstance(head_dims, (list, tuple))
        if not many or any(not isinstance(n, Integral) or n < 1 for n in head_dims):
            raise ValueError(
                "head_dims must be a tuple of positive integers; got "
                f"head_dims={head_dims!r}."
            )
        n_tokens = [n for n, _ in shapes]
        self.embed = ModalityProjection(shapes, hidden_dim)
        self.slots = SLOTS[missing](n_tokens, hidden_dim)
        self.layers = nn.ModuleList(
            AttentionLayer(hidden_dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.pool = ModalityMean(n_tokens)
        self.project = nn.Linear(hidden_dim, hidden_dim)
        head, widths = [], [hidden_dim, *head_dims]
        for before, after in pairwise(widths):
            head += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*head, nn.Linear(widths[-1], n_outputs))
        self.films = self.prompt = None
        if adaptation == "film":
            films = [FiLM(len(shapes), hidden_dim) for _ in range(n_layers)]
            self.films = nn.ModuleList(films)
        elif adaptation == "prompt":
            self.prompt = nn.Linear(len(shapes), hidden_dim)

    def forward(self, x, present):  # (B, D), (B, T)
        h, key_mask = self.slots(self.embed(x), present)  # (B, T, p), (B, T)
        # A softmax over no keys is NaN. A sample without keys therefore attends to all
        # slots, and the pooling below discards the result.
        attend = key_mask | ~key_mask.any(dim=1, keepdim=True)
        if self.films or self.prompt:
            missing = (~self.slots.modality_present(present)).to(h.dtype)  # (B, M)
        if self.prompt is not None:
            h = torch.cat([h, self.prompt(missing)[:, None]], dim=1)
            attend = F.pad(attend, (0, 1), value=True)
        for i, layer in enumerate(self.layers):
            h = layer(h, attend)
            if self.films is not None:
                h = self.films[i](h, missing)
        h = h[:, : key_mask.shape[1]]  # without the prompt
        fused = F.relu(self.project(self.pool(h, key_mask)))  # (B, p)
        return FusionOutput(self.head(fused), fused)


class BaseMHSA(BaseFusion):
    """The network of UL4M4, for any task.

    Parameters
    ----------
    missing : {"mask", "zero", "token", "error"}, default="mask"
        How to treat missing modalities. `"mask"` excludes them from attention and from
        the mean. `"zero"` replaces their tokens by zeros, and `"token"` by a learned
        token. `"error"` is for use after an imputer: samples with missing modalities
        raise an error, in `fit` and in prediction, and modalities hidden by
        `modality_dropout` are masked.
    **kwargs : dict
        Parameters of the components, as in :class:`FusionClassifier`. The network
        has `module__n_heads=4`, `module__n_layers=1`, `module__dropout=0.1`,
        `module__head_dims=()`, the widths of hidden layers in the head, and
        `module__adaptation=None`. `"film"` and `"prompt"` tell the layers which
        modalities are missing, see the :ref:`User Guide <adaptation>`.
    """

    _parameter_constraints: dict = {
        **BaseFusion._parameter_constraints,
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "missing": [StrOptions({*SLOTS, "error"})],
    }
    module = MHSAFusion

    def _find_module(self, params):
        # Modalities of complete samples are still hidden in training.
        missing = "mask" if self.missing == "error" else self.missing
        own = {"hidden_dim": self.hidden_dim, "missing": missing}
        return self.module, {**own, **params}

    def _refuse_gaps(self, table):
        """Raise ValueError if a modality or a part of a token is missing."""
        counts = table.sums(_count_gaps).tolist()
        found = {name: n for name, n in zip(self.modalities_, counts) if n}
        if found:
            raise ValueError(
                "with missing='error', X must have no missing modality; got "
                f"incomplete samples per modality: {found}, of {len(table)}. Impute "
                "first, or use missing='mask'."
            )


def _count_gaps(table):
    """Number of samples per modality that lack it or a part of a token."""
    counts = []
    for modality in table.layout.values():
        gaps = np.isnan(table.X[:, modality.columns])
        gaps = gaps.reshape(len(table), *modality.shape)
        partial = gaps.any(axis=2) & ~gaps.all(axis=2)
        rows = partial.any(axis=1) | gaps.all(axis=(1, 2))
        counts.append(np.count_nonzero(rows))
    return np.array(counts)


@shared_docs
class MHSAFusionClassifier(BaseMHSA, FusionClassifier):
    """Classifier that attends to the observed modalities.

    No imputer is needed: every sample is classified by its observed modalities. The
    target is binary, multiclass, or an indicator matrix of several labels per sample.

    Read more in the :ref:`User Guide <fusion>`.

    Parameters
    ----------
    %(modalities, hidden_dim, missing, modality_dropout)s
    %(dropout_policy, optimizer, lr, batch_size, max_epochs, callbacks)s
    %(early_stopping, validation_fraction, n_iter_no_change, scoring, class_weight)s
    %(standardize, device, random_state, verbose, **kwargs)s

    Attributes
    ----------
    %(classes_, n_iter_, best_iter_, loss_curve_, loss_terms_)s
    %(validation_curve_, net_, modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    MHSAFusionRegressor : The same for regression.
    FusionClassifier : Trains a custom network.
    skmissing.ensemble.LateFusionClassifier : A panel of models per modality.
    skmissing.impute.ClusterGuidedImputer : Imputes missing modalities first, as in the
        paper.

    Notes
    -----
    A linear map per modality computes tokens of width `hidden_dim`. Let the tokens be
    the rows of H. Each layer is

        H <- LayerNorm(H + Dropout(MultiHeadAttention(H)))

    without a feed-forward part. A linear map, a ReLU and the head follow on the mean
    over the modalities. These are equations (4) to (8) of [1]_. In the paper, an
    imputer completes the samples first, and no modality is hidden in training:
    `missing="error", modality_dropout=0`. For samples with missing modalities, hiding
    modalities at random in training [2]_ matters more than the choice of `missing`.

    The tokens of a sequence, `(n_tokens, dim)` in `modalities`, share a linear map. A
    learned embedding of the position is added, and the sequence counts as one modality
    in the mean. In an observed modality, tokens that are all NaN are padding and
    masked. Missing cells of partially observed tokens are filled with the training mean
    of the column.

    Loss, training, and samples without any modality are as in
    :class:`FusionClassifier`.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743, equations (4) to
       (8).
    .. [2] Neverova, N., Wolf, C., Taylor, G. and Nebout, F. "ModDrop: adaptive
       multi-modal gesture recognition." IEEE Transactions on Pattern Analysis and
       Machine Intelligence 38(8), 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmissing.fusion import MHSAFusionClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X[1200:1500, :32] = np.nan  # the upper half is missing
    >>> model = MHSAFusionClassifier(
    ...     modalities={"upper": 32, "lower": 32}, max_epochs=10, random_state=0
    ... )
    >>> model.fit(X[:1200], y[:1200]).score(X[1200:1500], y[1200:1500]) > 0.6
    True
    """

    _parameter_constraints = BaseMHSA._parameter_constraints | CLASS_WEIGHT

    def __init__(
        self,
        *,
        modalities=None,
        hidden_dim=64,
        missing="mask",
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
        self.missing = missing
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
class MHSAFusionRegressor(BaseMHSA, FusionRegressor):
    """Regressor that attends to the observed modalities.

    No imputer is needed: every sample is predicted from its observed modalities. There
    may be one or several targets.

    Read more in the :ref:`User Guide <fusion>`.

    Parameters
    ----------
    %(modalities, hidden_dim, missing, modality_dropout)s
    %(dropout_policy, optimizer, lr, batch_size, max_epochs, callbacks)s
    %(early_stopping, validation_fraction, n_iter_no_change, scoring, bounds)s
    %(standardize, device, random_state, verbose, **kwargs)s

    Attributes
    ----------
    %(n_iter_, best_iter_, loss_curve_, loss_terms_)s
    %(validation_curve_, net_, modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    MHSAFusionClassifier : The same for classification.
    FusionRegressor : Trains a custom network.
    skmissing.ensemble.LateFusionRegressor : A panel of models per modality.
    skmissing.impute.ClusterGuidedImputer : Imputes missing modalities first, as in the
        paper.

    Notes
    -----
    The network is that of :class:`MHSAFusionClassifier`, equations (4) to (8) of [1]_.
    Sequences, padding and partially observed tokens are treated in the same way. Unlike
    in [1]_, predictions are not clipped to `bounds` in training. The network learns to
    predict from fewer modalities because modalities are hidden at random. Loss and
    training are as in :class:`FusionRegressor`.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743, equations (4) to
       (8).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skmissing.fusion import MHSAFusionRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[300:, :4] = np.nan  # only the blood values are observed
    >>> model = MHSAFusionRegressor(
    ...     modalities={"body": 4, "blood": 6}, max_epochs=20, random_state=0
    ... )
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.2
    True
    """

    _parameter_constraints = BaseMHSA._parameter_constraints | BOUNDS

    def __init__(
        self,
        *,
        modalities=None,
        hidden_dim=64,
        missing="mask",
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
        self.missing = missing
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


class ClusterGuidedImputer(impute.ClusterGuidedImputer):
    """Returns a data frame for a data frame, so that the next step has its names."""

    def transform(self, X):
        filled = super().transform(X)
        if isinstance(filled, np.ndarray):
            return framed(filled, X, self.get_feature_names_out())
        return filled


_ESTIMATORS = {
    "classification": MHSAFusionClassifier,
    "regression": MHSAFusionRegressor,
}


@validate_params(
    {"task": [StrOptions(set(_ESTIMATORS))]}, prefer_skip_nested_validation=True
)
def make_ul4m4(
    task,
    *,
    modalities=None,
    n_clusters=40,
    strategy="greedy",
    modality_dropout=0.0,
    random_state=None,
    **fusion_params,
):
    """Make the pipeline of UL4M4: cluster-guided imputation, then attention.

    The defaults are those of the paper [1]_. Predictions are usually better with
    `strategy="soft"` and `modality_dropout=0.5`, see the :ref:`User Guide <ul4m4>`.

    Parameters
    ----------
    task : {"classification", "regression"}
        Which fusion estimator is the last step of the pipeline.
    modalities : None, list of int, or dict, default=None
        Which columns form a modality, as in all estimators. Passed to both steps.
    n_clusters : int, default=40
        Number of clusters of the imputer.
    strategy : {"soft", "nearest", "greedy"}, default="greedy"
        Strategy of the imputer. `"greedy"` is the strategy of the paper.
    modality_dropout : float, default=0.0
        Probability that modalities of a training sample are hidden from the network.
        They are imputed before. In the paper, no modality is hidden.
    random_state : int, RandomState instance or None, default=None
        Seed of both steps.
    **fusion_params : dict
        Other parameters of :class:`skmissing.fusion.MHSAFusionClassifier` or
        :class:`skmissing.fusion.MHSAFusionRegressor`.

    Returns
    -------
    Pipeline
        Pipeline with the steps `clusterguidedimputer` and `mhsafusionclassifier` or
        `mhsafusionregressor`.

    See Also
    --------
    skmissing.impute.ClusterGuidedImputer : The first step.
    skmissing.fusion.MHSAFusionClassifier : The second step, which also works alone.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.fusion import make_ul4m4
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 50)
    >>> X = rng.normal(size=(100, 5)) + 3 * y[:, None]
    >>> X[::3, :2] = np.nan
    >>> model = make_ul4m4(
    ...     "classification", modalities=[2, 3], n_clusters=4, random_state=0
    ... )
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    """
    by_name = modalities is None or isinstance(modalities, dict)
    imputer = ClusterGuidedImputer if by_name else impute.ClusterGuidedImputer
    imputer = imputer(
        n_clusters, modalities=modalities, strategy=strategy, random_state=random_state
    )
    fusion = _ESTIMATORS[task](
        modalities=modalities,
        modality_dropout=modality_dropout,
        random_state=random_state,
        **fusion_params,
    )
    return make_pipeline(imputer, fusion)
