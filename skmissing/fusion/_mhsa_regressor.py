"""Attention fusion of modalities that may be missing, for numbers."""

from skmissing.fusion._mhsa import BaseMHSAFusion
from skmissing.fusion._tasks import FusionRegressorMixin


class MHSAFusionRegressor(FusionRegressorMixin, BaseMHSAFusion):
    """Predicts numbers from rows of which modalities may be missing, by attention.

    Needs no imputer: every row is predicted from the modalities that it has. Takes
    one target or several.

    Read more in the :ref:`User Guide <fusion>`.

    Parameters
    ----------
    modalities : None, list of int or dict, default=None
        Which columns belong together: widths from left to right, or a dict from name
        to width, token shape `(n_tokens, dim)`, slice or list of columns. None groups
        columns by the prefix before `__` if all names have one, and otherwise makes
        each column a modality.
    hidden_dim : int, default=64
        Width of the tokens; a multiple of `n_heads`.
    n_heads : int, default=4
        Heads of the attention.
    n_layers : int, default=1
        Layers of attention.
    dropout : float, default=0.1
        Chance that a number is dropped after the attention and in the head.
    head_dims : sequence of int, default=()
        Widths of hidden layers between the fused representation and the output.
    missing : {"mask", "zero", "token", "error"}, default="mask"
        What stands in the slot of an absent modality. With `"mask"` nothing does: it
        gets no attention and no share in the mean. `"zero"` puts zeros there,
        `"token"` a learned token. `"error"` refuses rows with gaps, in `fit` and in
        prediction, for use after an imputer; modalities that `modality_dropout`
        hides are then masked.
    modality_dropout : float, default=0.5
        Chance that a training row is shown with fewer modalities than it has, drawn
        anew in every epoch and never none. 0 shows all.
    mask_policy : {"uniform_size", "uniform_subset", "bernoulli"}, \
            default="uniform_size"
        What such a row keeps: a random number of its modalities, from one to all;
        any non-empty subset with equal chance; or, with `"bernoulli"`, each modality
        but for the chance `modality_dropout`, in every row.
    consistency : {"mofe", "distill", "align"} or None, default=None
        If not None, a training step sees each row with all that it has and with what
        is shown of it, learns from both, and ties them: more modalities must not make
        the loss larger (`"mofe"`, [3]_); the answer from fewer is drawn to that from
        more (`"distill"`); so is its representation (`"align"`, [4]_). Training takes
        twice as long.
    consistency_weight : float or None, default=None
        Factor of that term; None takes 0.1 for `"mofe"` and `"align"`, 1 for
        `"distill"`.
    optimizer : {"adamw", "adam", "sgd"}, default="adamw"
        How weights are updated; `"sgd"` has a momentum of 0.9. The gradient's norm is
        clipped to 1.
    lr : float, default=1e-3
        Largest learning rate. It rises to this during the first tenth of the steps
        and then falls to 0 at `max_epochs`.
    weight_decay : float, default=1.0
        Pulls weights to 0; decoupled from the gradient with `"adamw"`, and an L2
        penalty otherwise, where much smaller values are in use.
    batch_size : int, default=64
        Most rows in a training step.
    max_epochs : int, default=50
        Passes through the training rows.
    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` sets aside. Their modalities
        are hidden as those of the training rows are, once and for all.
    early_stopping : bool, default=False
        Whether to stop when `scoring` on rows set aside has not improved for
        `n_iter_no_change` epochs, and to keep the weights of the best epoch. Saves
        time on many rows, and keeps few from being learnt by heart.
    n_iter_no_change : int, default=10
        Epochs to wait for a better one.
    scoring : str or callable, default="loss"
        What the best epoch is chosen by: `"loss"`, the name of a scikit-learn scorer,
        or a callable with the signature `scorer(estimator, X, y)`. Scorers given by
        name are handed `sample_weight` if `fit` was.
    bounds : (float, float) or None, default=None
        Range that predictions are clipped to; training targets must lie in it.
    standardize : bool, default=True
        Whether columns are divided by their standard deviation after their mean was
        subtracted, both learnt from the observed cells of the training rows. The
        tokens of a sequence share theirs.
    device : str, default="auto"
        `"cpu"`, `"cuda"` or `"cuda:1"`; `"auto"` takes CUDA where there is any.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the order of rows, what is hidden or dropped, and
        the rows set aside. An int makes runs repeatable.
    verbose : int, default=0
        Whether to print a line an epoch.

    Attributes
    ----------
    n_iter_ : int
        Epochs that were run.
    best_iter_ : int
        The epoch, counted from 1, whose weights were kept: the last one without
        `early_stopping`.
    loss_curve_ : list of float
        Training loss of each epoch.
    loss_terms_ : dict of str to list of float
        The same term by term: `"task"`; with `consistency`, also `"fuller"`, the
        loss of the task with all that the rows have, and `"consistency"` times its
        weight.
    validation_curve_ : list of float or None
        Validation loss of each epoch, or its score by `scoring`; None without
        `early_stopping`.
    net_ : skorch.NeuralNet
        The network with its weights in double precision, for prediction.
    modalities_ : mapping
        Name of each modality to its columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if X had names that are all strings.

    See Also
    --------
    MHSAFusionClassifier : The same for classes and labels.
    skmissing.ensemble.LateFusionRegressor : One plain model a modality.
    skmissing.impute.ClusterGuidedImputer : Completes the rows first, as the paper
        does.

    Notes
    -----
    Each present modality m becomes a token of width `hidden_dim` by a linear map of
    its own. With the tokens as the rows of H, each layer is

        H <- LayerNorm(H + Dropout(MultiHeadAttention(H)))

    without a feed-forward part; the mean over the modalities then goes through a
    linear map and a ReLU to the head: equations (4) to (8) of [1]_. There an imputer
    completes the rows before they come here, and no modality is hidden in training:
    `missing="error", modality_dropout=0`. Training on rows whose modalities are
    hidden at random [2]_ matters more for rows that lack some than what stands in
    their slots.

    A sequence of tokens, `(n_tokens, dim)` in `modalities`, shares its map, has a
    learned embedding of the position added, and counts as one modality in the mean.
    Tokens that are wholly NaN in a modality that is present are padding and hidden.
    A hole in a token that is otherwise observed is filled with the column's training
    mean.

    Rows without any modality take no part in training, and are predicted by the
    training mean; both are told in a warning. Weights are trained in single and used
    in double precision, in which predictions for a row do not depend on the rows
    beside it.

    The loss is the squared error of standardised targets, the mean over targets. It
    is not trained through `bounds`, unlike in [1]_: outside of them it would have no
    gradient. With noisy targets a network fits the noise sooner than with classes,
    hence fewer epochs and more weight decay than :class:`MHSAFusionClassifier` has.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743, equations (4) to
       (8).
    .. [2] Neverova, N., Wolf, C., Taylor, G. and Nebout, F. "ModDrop: adaptive
       multi-modal gesture recognition." IEEE Transactions on Pattern Analysis and
       Machine Intelligence 38(8), 2016.
    .. [3] Li, S., Chen, C. and Han, J. "SimMLM: A simple framework for multi-modal
       learning with missing modality." ICCV, 2025.
    .. [4] Lin, R. and Hu, H. "MissModal: increasing robustness to missing modality in
       multimodal sentiment analysis." Transactions of the Association for
       Computational Linguistics 11, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skmissing.fusion import MHSAFusionRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X[300:, :4] = np.nan  # these rows have blood values only
    >>> model = MHSAFusionRegressor(
    ...     modalities={"body": 4, "blood": 6}, max_epochs=20, random_state=0
    ... )
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.2
    True
    """

    _parameter_constraints: dict = {
        **BaseMHSAFusion._parameter_constraints,
        **FusionRegressorMixin._parameter_constraints,
    }

    def __init__(
        self,
        *,
        modalities=None,
        hidden_dim=64,
        n_heads=4,
        n_layers=1,
        dropout=0.1,
        head_dims=(),
        missing="mask",
        modality_dropout=0.5,
        mask_policy="uniform_size",
        consistency=None,
        consistency_weight=None,
        optimizer="adamw",
        lr=1e-3,
        weight_decay=1.0,
        batch_size=64,
        max_epochs=50,
        validation_fraction=0.1,
        early_stopping=False,
        n_iter_no_change=10,
        scoring="loss",
        bounds=None,
        standardize=True,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.modalities = modalities
        self.hidden_dim = hidden_dim
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.dropout = dropout
        self.head_dims = head_dims
        self.missing = missing
        self.modality_dropout = modality_dropout
        self.mask_policy = mask_policy
        self.consistency = consistency
        self.consistency_weight = consistency_weight
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.bounds = bounds
        self.standardize = standardize
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
