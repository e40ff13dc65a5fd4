"""FusionClassifier and FusionRegressor: from X to tensors, and from logits to y."""

import copy
import inspect
from numbers import Integral, Real

import numpy as np
import torch
from scipy import sparse
from scipy.special import expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, RegressorMixin, is_regressor
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d
from skorch.callbacks import EarlyStopping

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._blocks import fit_scaler, row_chunks
from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing._masking import POLICIES, read_dropout
from skmissing._modalities import count
from skmissing._source_table import SourceTable
from skmissing._sources import is_source, working_memory
from skmissing._table import check_squares, name_list
from skmissing._torch import few_threads, resolve_device
from skmissing.fusion._training import (
    OPTIMIZERS,
    Masking,
    Samples,
    StreamedSamples,
    Target,
    arrays_of,
    check_module,
    check_size,
    fit_net,
    load_module,
    make_net,
    make_predictor,
    name_rarest,
    split_samples,
)

# Approximate maximum number of values in all tensors of a prediction.
PREDICT_CELLS = 1 << 21
# Validation samples have at most this share of scikit-learn's `working_memory`.
HELD_SHARE = 4
# Keeps the logit finite for a label of all training samples, or of no training sample.
TINY = 1e-9
PREDICTED = "predicted from the training targets alone"
# Parameters of these parts have names such as `module__width`, as in skorch.
PARTS = ("module", "criterion", "optimizer", "iterator_train")
# Constraints of parameters that only some of the estimators have.
MODULE = {"module": [callable, None]}
CLASS_WEIGHT = {"class_weight": [dict, list, StrOptions({"balanced"}), None]}
BOUNDS = {"bounds": [tuple, list, None]}


class BaseFusion(ModalityMixin, SkmissingEstimator):
    """Base class: trains a network on samples with missing modalities.

    Parameters
    ----------
    hidden_dim : int, default=64
        Width of the tokens. It must be a multiple of `module__n_heads`.
    modality_dropout : float or dict, default=0.5
        Probability that modalities of a training sample are hidden, drawn in each
        epoch. With 0, no modality is hidden. At least one modality of a sample is kept.
        A dict has the probability of each modality.
    dropout_policy : {"uniform_size", "uniform_subset", "bernoulli"}, \
            default="uniform_size"
        Which modalities these samples keep. "uniform_size" keeps a random number of
        modalities. "uniform_subset" keeps any non-empty subset with equal probability.
        "bernoulli" hides each modality of every sample with the probability
        `modality_dropout`. Not used if `modality_dropout` is a dict.
    optimizer : {"adamw", "adam", "sgd"} or type, default="adamw"
        Name of the optimizer, or a class of :mod:`torch.optim`. `"sgd"` has a momentum
        of 0.9. Named optimizers have an `optimizer__weight_decay` of 0.3 in classifiers
        and 1.0 in regressors. With `"adamw"`, weight decay is decoupled from the
        gradient. Otherwise, it is an L2 penalty, for which smaller values are usual.
    lr : float, default=1e-3
        Largest learning rate. It rises to this value during the first tenth of the
        steps, and then decreases to 0 at `max_epochs`.
    batch_size : int, default=64
        Largest number of samples per training step.
    callbacks : list, default=None
        Callbacks of skorch. A callback for the learning rate, gradient clipping or
        early stopping replaces the default one.
    early_stopping : bool, default=False
        Whether to stop when the score of validation samples has not improved for
        `n_iter_no_change` epochs, and to keep the weights of the best epoch. This
        saves time on large data. With a few hundred samples, it mainly reduces the
        training data.
    validation_fraction : float, default=0.1
        Share of the samples for validation in `early_stopping`, stratified by class,
        with at least one sample of each class. Modalities are hidden as in training,
        but drawn only once. Of a table that is read in pieces, they take at most a
        quarter of `working_memory`.
    n_iter_no_change : int, default=10
        Number of epochs without improvement before training stops.
    scoring : str or callable, default="loss"
        Score that chooses the best epoch: `"loss"`, the name of a scikit-learn scorer,
        or a callable with the signature `scorer(estimator, X, y)`. Named scorers
        receive `sample_weight` if it is passed to `fit`.
    standardize : bool, default=True
        Whether to scale columns to zero mean and unit variance. The tokens of a
        sequence share a mean and a variance.
    device : str, default="auto"
        Device of torch, such as `"cpu"`, `"cuda"` or `"cuda:1"`. `"auto"` is CUDA if
        it is available.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of samples, the hidden modalities and
        the validation samples. Pass an int for reproducible results.
    verbose : int, default=0
        Whether to print a line per epoch.
    **kwargs : dict
        Parameters of the components, as in skorch: of the network (`module__...`) and
        of the optimizer (`optimizer__...`). `criterion__consistency` is `"ranking"`,
        `"distill"` or `"align"`, with the factor `criterion__consistency_weight`, see
        the :ref:`User Guide <consistency>`. With
        `iterator_train__dropout_level="batch"`, all samples of a batch lose the same
        modalities.

    Attributes
    ----------
    n_iter_ : int
        Number of epochs that were run.
    best_iter_ : int
        Epoch of the final weights, counted from 1. Without `early_stopping`, it is the
        last epoch.
    loss_curve_ : list of float
        Training loss of each epoch: the sum of all terms.
    loss_terms_ : dict of str to list of float
        Terms of the training loss: `"task"`, the losses of the module, and with
        consistency `"fuller"` and `"consistency"`.
    validation_curve_ : list of float or None
        Validation loss of each epoch, or its score by `scoring`. None without
        `early_stopping`.
    net_ : skorch.NeuralNet
        The network for predictions, in double precision.
    """

    _has_parts = _reads_sources = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "modality_dropout": [Interval(Real, 0, 1, closed="both"), dict],
        "dropout_policy": [StrOptions(set(POLICIES))],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable],
        "standardize": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    missing = None  # "error" raises for them; a parameter of the attention network

    def get_params(self, deep=True):
        """Get the parameters, including those of the components that have been set.

        Parameters
        ----------
        deep : bool, default=True
            As in scikit-learn.

        Returns
        -------
        dict
            Parameters by name.
        """
        given = {k: v for k, v in vars(self).items() if k[0] != "_" != k[-1]}
        return {**super().get_params(deep), **given}

    def set_params(self, **params):
        """Set parameters, including those of the components.

        Parameters
        ----------
        **params : dict
            Parameters by name, such as `lr=1e-4` or `module__width=32`.

        Returns
        -------
        self : object
            This estimator.
        """
        given = {k: v for k, v in params.items() if _is_of_part(k)}
        super().set_params(**{k: v for k, v in params.items() if k not in given})
        vars(self).update(given)
        return self

    def _find_parts(self):
        """Parameters of the components without prefixes. Others raise TypeError."""
        parts, odd = {part: {} for part in PARTS}, []
        own = super().get_params(deep=False)
        for name, value in self.get_params(deep=False).items():
            if name not in own and _is_of_part(name):
                part, _, name = name.partition("__")
                parts[part][name] = value
            elif name not in own:
                odd.append(name)
        if odd:
            name = type(self).__name__
            raise TypeError(f"{name} got unexpected parameters {sorted(odd)}.")
        return parts

    def _find_module(self, params):
        """Class of the network, and its parameters except shapes and n_outputs."""
        from skmissing.fusion._mhsa import MHSAFusion

        return self.module or MHSAFusion, params

    # ------------------------------------------------------------------------- fit

    def _fit(self, X, y, sample_weight):
        for name in ("_net", "_weights"):  # of an earlier fit
            vars(self).pop(name, None)
        parts = self._find_parts()
        table, y = self._validate(
            X, y, reset=True, sample_weight=sample_weight, multi_output=True,
            y_numeric=is_regressor(self),
        )  # fmt: skip
        y, labels = self._check_y(y, table.weight)
        device = resolve_device(self.device, double=True)
        scorer = None if self.scoring == "loss" else get_scorer(self.scoring)
        if not table.weight.all():
            kept = table.weight > 0
            y, table = y[kept], table[kept]
            labels = None if labels is None else labels[kept]
        if self.missing == "error":
            self._refuse_gaps(table)
        rng = check_random_state(self.random_state)
        seed, mask_seed, split_seed = (int(s) for s in rng.randint(2**31 - 1, size=3))
        used = np.flatnonzero(table.has_any)
        if not len(used):
            raise ValueError(f"X must have a modality in one of {len(table)} samples.")
        if not table.has_any.all():
            table.warn_empty("left out of training")
        # Samples without any modality are not used in training, except for the prior.
        learnt, valid, monitor = slice(None), None, None
        if self.early_stopping:
            used, held_out = self._split(used, labels, table, split_seed)
            learnt = np.setdiff1d(np.arange(len(table)), held_out)
        target = self._learn_target(y, labels, table.weight, learnt, used)
        self._prior = target.prior
        self._learn_inputs(table[learnt] if self.early_stopping else table)
        dropout = self.modality_dropout, self.dropout_policy
        if isinstance(self.modality_dropout, dict):
            dropout = read_dropout(self.modality_dropout, table.layout.names)
        if parts["criterion"].get("consistency") and dropout[0] == 0:
            table.warn(
                "criterion__consistency has no effect with modality_dropout=0, because "
                "no modality is hidden in training."
            )
        masking = Masking(self._token_counts, *dropout, **parts["iterator_train"])
        samples = self._make_samples(table, used, target, device)
        if self.early_stopping:
            held = table[held_out]
            if isinstance(held, SourceTable):
                held = held.sample(len(held), rng)  # all of them, in memory
            valid = self._make_samples(table, held_out, target, device, held.X)
            tokens = valid.tokens.cpu().numpy()
            tokens = masking(tokens, np.random.RandomState(mask_seed))
            valid.tokens = torch.from_numpy(tokens).to(device)
            if scorer is not None:
                monitor = self._make_monitor(scorer, held, tokens, y[held_out])
        task = self._fit_task.begin(self.max_epochs)
        task.keep_by(self, lambda fitted, net: fitted._keep(net, target))
        net = self._make_net(
            parts, target, device, samples=samples, valid=valid, masking=masking,
            monitor=monitor, rng=np.random.RandomState(seed), task=task,
        )  # fmt: skip
        n_rows = sum(self._token_counts) * self.batch_size
        fit_net(net, samples, seed=seed, n_rows=n_rows)
        self._keep(net, target)
        self._net = make_predictor(net.module_, self._task, self._history, device)
        return self

    def _make_net(self, parts, target, device, **data):
        """Make an untrained skorch net; set `_module`, from which it can be rebuilt."""
        module, params = self._find_module(parts["module"])
        shapes = self.modalities_.shapes
        params = {"shapes": shapes, "n_outputs": target.n_outputs, **params}
        check_module(module, params)
        self._module, self._n_cells = (module, params), self._count_cells(params)
        if hasattr(module, "set_bank"):  # a distance to each training sample
            self._n_cells += len(data["samples"])
        optimizer, defaults = OPTIMIZERS.get(self.optimizer, (self.optimizer, {}))
        if optimizer is not self.optimizer:
            # One call for all weights. On the CPU, this requires torch 2.4.
            fused = device.type == "cuda" or torch.__version__ >= "2.4"
            decay = self._weight_decay
            defaults = {**defaults, "weight_decay": decay, "fused": fused}
        parts = {
            "module": params,
            "criterion": {"task": target.task, **parts["criterion"]},
            "optimizer": {**defaults, **parts["optimizer"]},
        }
        return make_net(
            module,
            **data,
            observed="observed" in inspect.signature(module.forward).parameters,
            patience=self.n_iter_no_change,
            callbacks=self.callbacks,
            optimizer=optimizer,
            lr=self.lr,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            device=device,
            verbose=self.verbose,
            **{f"{part}__{k}": v for part, kw in parts.items() for k, v in kw.items()},
        )

    def _keep(self, net, target):
        """Set the attributes that result from training."""
        stops = [c for _, c in net.callbacks_ if isinstance(c, EarlyStopping)]
        best = [stop.best_epoch_ for stop in stops if stop.load_best]
        counts = ("batches", "train_batch_count", "valid_batch_count")
        self._history = [
            {name: value for name, value in epoch.items() if name not in counts}
            for epoch in net.history
        ]
        self.n_iter_ = len(net.history)
        self.best_iter_ = best[0] if best else self.n_iter_
        self.loss_curve_ = [epoch["train_loss"] for epoch in self._history]
        self.loss_terms_ = {
            name: [epoch[f"train_{name}"] for epoch in self._history]
            for name in net.terms_
        }
        self.validation_curve_ = None
        if self.early_stopping:
            name = "valid_loss" if self.scoring == "loss" else "valid_score"
            self.validation_curve_ = [epoch[name] for epoch in self._history]
        self._task, self._weights = target.task, arrays_of(net.module_)

    def _split(self, used, labels, table, seed):
        """Positions of the training samples and of the validation samples."""
        classes, fraction = None, self.validation_fraction
        if labels is not None:
            classes, labels = self.classes_, labels[used]
        if isinstance(table, SourceTable):
            row = table.X.shape[1] * table.X.dtype.itemsize
            most = max(1, int(working_memory() / HELD_SHARE // row))
            if fraction * len(used) > most:
                fraction = most / len(used)
                self._warn(
                    "validation samples are held in memory, so that validation_fraction"
                    f"={self.validation_fraction} is lowered to {fraction:.2g}. To use "
                    "more, raise working_memory with sklearn.set_config."
                )
        parts = split_samples(len(used), labels, classes, fraction, seed)
        return [np.sort(used[part]) for part in parts]

    def _learn_inputs(self, table):
        """Learn the scales of columns, and which modalities are observed at all."""
        self._scaler = fit_scaler(table, standardize=self.standardize)
        self._known = table.any_column(self._scaler.seen)
        shapes = self.modalities_.shapes
        self._token_counts = [n for n, _ in shapes]
        widths = [d for n, d in shapes for _ in range(n)]
        self._token_starts = np.cumsum(widths) - widths
        if not self._known.all():
            valid = "validation samples do not count; " if self.early_stopping else ""
            table.warn_never_observed(self._known, f"{valid}they are ignored")

    # ---------------------------------------------------------------------- inputs

    def _inputs(self, X):
        """Standardized values and observed tokens, both in layout order."""
        scaler = self._scaler
        order, starts = scaler.layout.order, self._token_starts
        values = (X - scaler.mean)[:, order]
        values /= scaler.scale[order]
        gaps = np.isnan(values)
        values[gaps] = 0.0
        unseen = scaler.weight == 0
        if unseen.any():
            values[:, unseen[order]] = 0.0
        return values, ~np.logical_and.reduceat(gaps, starts, axis=1)

    def _make_samples(self, table, index, target, device, X=None):
        """Samples at these positions, as tensors or as a stream from a source."""
        # X: the values of these samples if they are in memory
        weight = table.weight[index]
        kind = np.int64 if target.task == "multiclass" else np.float32
        if target.factor is not None:
            weight = weight * target.factor[index]
            if not weight.any():
                raise ValueError(
                    "class_weight must be positive for some training samples, and for "
                    f"some validation samples; got {self.class_weight!r}, with which "
                    f"all {len(index)} samples have weight 0."
                )
        targets = target.values[index].astype(kind)
        weight = (weight / weight.mean()).astype(np.float32)
        if X is None and isinstance(table, SourceTable):
            source, read = table.X[index], self._read_inputs
            return StreamedSamples(source, targets, weight, read=read, device=device)
        inputs = (
            self._read_inputs(table.X, index) if X is None else self._read_inputs(X)
        )
        arrays = *inputs, targets, weight
        return Samples(*(torch.from_numpy(array).to(device) for array in arrays))

    def _read_inputs(self, X, index=None):
        """Values and tokens, for training, of all samples or those at `index`."""
        known = np.repeat(self._known, self._token_counts)
        n_samples = len(X) if index is None else len(index)
        values = np.empty((n_samples, X.shape[1]), dtype=np.float32)
        tokens = np.empty((n_samples, len(known)), dtype=bool)
        for chunk in row_chunks(*values.shape):
            part = X[chunk] if index is None else X[index[chunk]]
            values[chunk], tokens[chunk] = self._inputs(part)
        return values, tokens & known

    def _count_cells(self, params):
        """Approximate number of values in the network per sample."""
        n_tokens = sum(self._token_counts)
        n_heads, width = params.get("n_heads", 4), params.get("hidden_dim", 64)
        if not isinstance(n_heads, Real) or not isinstance(width, Real):
            return n_tokens  # the network will refuse these parameters
        return n_tokens * (width + n_heads * n_tokens)

    # -------------------------------------------------------------------- outputs

    def _outputs(self, X, answer=None, fate=PREDICTED, dtype=np.float64):
        """Result of `answer(module, x, present)`, by default the logits."""
        # `fate` ends the warning about samples without a modality. A dtype of None is
        # that of X.
        check_is_fitted(self)
        if is_source(X):
            raise TypeError(
                "X must be in memory for this method; got a table that is read in "
                "pieces. Call the method with some samples at a time."
            )
        table = self._validate(X, reset=False, scan=False)
        if self.missing == "error":
            self._refuse_gaps(table)
        module = self.net_.module_
        like, outputs, tokens = next(module.parameters()), [], []
        known = np.repeat(self._known, self._token_counts)
        width = table.X.shape[1] + self._n_cells
        chunks = row_chunks(len(table.X), width, PREDICT_CELLS)
        n_weights = sum(weight.numel() for weight in module.parameters())
        work = n_weights * len(known) * chunks[0].stop
        with few_threads(work, like.device), torch.inference_mode():
            for chunk in chunks:
                values, present = self._inputs(table.X[chunk])
                check_size(values, self._scaler.layout, table)
                tokens.append(present)
                x = torch.from_numpy(values).to(like)
                present = torch.from_numpy(present & known).to(like.device)
                made = answer(module, x, present) if answer else module(x, present)[0]
                outputs.append(made.double().cpu().numpy())
        outputs, tokens = np.concatenate(outputs), np.concatenate(tokens)
        if not self._known.all():
            table.replace(table.X).warn_unlearnt(self._known)
        empty = ~(tokens & known).any(axis=1)
        if empty.any():
            if answer is None:
                outputs[empty] = self._prior
            if fate is not None:
                table.warn_empty(fate, tokens & known)
        return outputs.astype(dtype or table.X.dtype, copy=False)

    def _make_monitor(self, scorer, table, tokens, y):
        """Turn a scorer into a function of the net, on samples with these tokens."""
        hidden = np.empty(table.X.shape, dtype=bool)
        widths = [d for n, d in self.modalities_.shapes for _ in range(n)]
        hidden[:, self.modalities_.order] = np.repeat(~tokens, widths, axis=1)
        X, weight = np.where(hidden, np.nan, table.X), table.weight
        weighted = not callable(self.scoring) and (weight != weight[0]).any()
        weights = {"sample_weight": weight} if weighted else {}

        def monitor(net):
            view = copy.copy(self)
            view._net = net
            vars(view).pop("feature_names_in_", None)  # X is an array
            return self._score(scorer, view, X, y, weights)

        return monitor

    def _score(self, scorer, view, X, y, weights):
        """Score of the validation samples, NaN or finite."""
        samples = (
            f"the {count(len(y), 'validation sample')}, which have {self._describe(y)}"
        )
        try:
            score = float(scorer(view, X, y, **weights))
        except Exception as exc:
            reason = str(exc)
            if weights and "sample_weight" in reason:
                reason += " (named scorers get sample_weight if fit did)"
            raise ValueError(
                f"scoring={self.scoring!r} failed on {samples}: {reason}"
            ) from exc
        if np.isinf(score):
            raise ValueError(
                f"scoring={self.scoring!r} must return a finite number; got {score} "
                f"for {samples}."
            )
        return score

    @property
    def net_(self):
        """The skorch net with the trained weights, in float64, for predictions."""
        if "_net" not in vars(self):
            check_is_fitted(self)
            module = load_module(*self._module, self._weights)
            device = resolve_device(self.device, double=True)
            self._net = make_predictor(module, self._task, self._history, device)
        return self._net

    def __getstate__(self):
        # The weights are stored as arrays, so that pickles contain no torch objects.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_net"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "error"
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = True
        else:
            tags.target_tags.multi_output = True
        return tags


@shared_docs
class FusionClassifier(ClassifierMixin, BaseFusion):
    """Classifier with a custom fusion network.

    The network is a :class:`torch.nn.Module` that follows a small protocol. Columns
    are standardized, and modalities are hidden at random in training.

    Read more in the :ref:`User Guide <own_network>`.

    Parameters
    ----------
    module : type, default=None
        Class of the network, a subclass of :class:`torch.nn.Module`. None is the
        network of :class:`MHSAFusionClassifier`. The constructor takes `shapes`, a list
        of the number of tokens and the token width of each modality, `n_outputs`, and
        the parameters `module__...`. The method `forward(x, present)` returns a
        :class:`skmissing.fusion.modules.FusionOutput`. `x` is the standardized columns
        of shape `(n_samples, n_columns)`, in the order of the modalities and 0 where
        missing. `present` is a mask of observed tokens of shape `(n_samples,
        n_tokens)`. If there is a third argument `observed=None`, it is the mask before
        modalities were hidden, in training only.
    %(modalities, modality_dropout, dropout_policy, optimizer, lr, batch_size)s
    max_epochs : int, default=100
        Number of passes through the training samples.
    %(callbacks, early_stopping, validation_fraction, n_iter_no_change, scoring)s
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weight of each class in the loss, as in scikit-learn. `"balanced"` uses the
        class frequencies of the training samples, without validation samples.
    %(standardize, device, random_state, verbose, **kwargs)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, or the column numbers of an indicator y.
    %(n_iter_, best_iter_, loss_curve_, loss_terms_)s
    %(validation_curve_, net_, modalities_, n_features_in_)s
    %(feature_names_in_)s

    See Also
    --------
    FusionRegressor : The same for regression.
    MHSAFusionClassifier : Attention over the observed modalities.
    MMPClassifier : Projects missing modalities from the observed modalities.

    Notes
    -----
    The loss is the cross-entropy plus the losses that the module returns. With several
    labels, it has the sum of their binary cross-entropies. The norm of the gradient is
    clipped to 1.

    Samples without any modality are left out of training. The training frequencies of
    the classes are predicted for them. Both cause a warning. Hiding modalities in
    training [1]_ is the usual way to learn to predict from fewer modalities.
    Predictions are computed in double precision. The prediction for a sample does not
    depend on the other samples of X.

    References
    ----------
    .. [1] Neverova, N., Wolf, C., Taylor, G. and Nebout, F. "ModDrop: adaptive
       multi-modal gesture recognition." IEEE Transactions on Pattern Analysis and
       Machine Intelligence 38(8), 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from torch import nn
    >>> from skmissing.fusion import FusionClassifier
    >>> from skmissing.fusion.modules import FusionOutput, ModalityProjection
    >>> class LinearVotes(nn.Module):
    ...     def __init__(self, shapes, n_outputs):
    ...         super().__init__()
    ...         self.votes = ModalityProjection(shapes, n_outputs)
    ...
    ...     def forward(self, x, present):
    ...         votes = self.votes(x) * present[..., None]
    ...         return FusionOutput(votes.sum(dim=1))
    >>> X, y = load_digits(return_X_y=True)
    >>> model = FusionClassifier(
    ...     LinearVotes, modalities=[32, 32], max_epochs=20, random_state=0
    ... )
    >>> model.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.8
    True
    """

    _parameter_constraints = BaseFusion._parameter_constraints | MODULE | CLASS_WEIGHT
    _weight_decay = 0.3

    def __init__(
        self,
        module=None,
        *,
        modalities=None,
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
        self.module = module
        self.modalities = modalities
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or an indicator matrix of 0 and 1 for several labels per
            sample.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss. Samples of weight 0 are left out. A
            class without other samples stays in `classes_`, with a warning.

        Returns
        -------
        %(self)s
        """
        return self._fit(X, y, sample_weight)

    def _check_y(self, y, weight):
        """Learn the classes; return y and the class number of each sample."""
        y = y.toarray() if sparse.issparse(y) else y
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must be one column of classes, or columns of 0 and 1; got columns "
                f"of {', '.join(map(str, np.unique(y)[:5]))}. Leave out samples whose "
                "code stands for missing, or fit one classifier per column."
            )
        self._multilabel = kind == "multilabel-indicator"
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
            return y, None
        y = column_or_1d(y, warn=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        found = np.unique(codes[weight > 0])
        if len(found) == 1:
            where = " in the samples of positive weight" * (len(self.classes_) > 1)
            raise ValueError(
                f"{type(self).__name__} needs at least two classes; got one class, "
                f"{self.classes_.tolist()[found[0]]!r}{where}."
            )
        return y, codes

    def _describe(self, y):
        """Describe the targets of validation samples, for messages."""
        if self._multilabel:
            return f"samples per label {name_rarest(self.classes_, y.sum(axis=0))}"
        codes = np.searchsorted(self.classes_, y)
        counts = np.bincount(codes, minlength=len(self.classes_))
        return f"samples per class {name_rarest(self.classes_, counts)}"

    def _learn_target(self, y, codes, weight, learnt, used):
        """Learn the class frequencies; return y in the form for the loss."""
        self._y_dtype = y.dtype.str  # a string, so that models can be saved
        factor = None
        if self.class_weight is not None:
            counted = used if self.class_weight == "balanced" else None
            factor = compute_sample_weight(self.class_weight, y, indices=counted)
        weight = weight[learnt]
        if self._multilabel:
            share = np.average(y[learnt], axis=0, weights=weight)
            share = share.clip(TINY, 1 - TINY)
            return Target(y, "labels", y.shape[1], np.log(share / (1 - share)), factor)
        n_classes = len(self.classes_)
        untaught = np.bincount(codes[used], minlength=n_classes) == 0
        if untaught.any():
            self._warn(
                f"{untaught.sum()} of {n_classes} classes have no sample to learn "
                f"from: {name_list(self.classes_[untaught])}; all their samples have "
                "sample_weight=0 or no modality. They stay in classes_, but the "
                "network does not learn to predict them."
            )
        share = np.bincount(codes[learnt], weights=weight, minlength=n_classes)
        share = np.maximum(share / weight.sum(), TINY)
        if n_classes == 2:
            prior = np.log(share[1:] / share[0])
            return Target(codes[:, None], "labels", 1, prior, factor)
        return Target(codes, "multiclass", n_classes, np.log(share), factor)

    def decision_function(self, X):
        """Compute the outputs of the network before the conversion to probabilities.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes or n_labels)
            For two classes, the log-odds of the second class. Otherwise, one column per
            class or label. Samples without any modality get the training frequencies.
        """
        raw = self._outputs(X)
        return raw if self._multilabel or raw.shape[1] > 1 else raw[:, 0]

    def predict_proba(self, X):
        """Predict the probabilities of the classes.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`. With an indicator y, the probability of each
            label. Probabilities of labels need not sum to 1.
        """
        raw = self._outputs(X)
        if self._multilabel:
            return expit(raw)
        if raw.shape[1] == 1:
            return np.hstack([expit(-raw), expit(raw)])
        return softmax(raw, axis=1)

    def predict_log_proba(self, X):
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Exact even if probabilities would be rounded to 0.
        """
        raw = self._outputs(X)
        if self._multilabel:
            return -np.logaddexp(0, -raw)
        if raw.shape[1] == 1:
            return -np.logaddexp(0, np.hstack([raw, -raw]))
        return log_softmax(raw, axis=1)

    def predict(self, X):
        """Predict the most probable class, or all labels with a probability above 0.5.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or an indicator matrix like the y of `fit`.
        """
        raw = self._outputs(X)
        if self._multilabel:
            return (raw > 0).astype(self._y_dtype)
        if raw.shape[1] == 1:
            return self.classes_[(raw[:, 0] > 0).astype(int)]
        return self.classes_[raw.argmax(axis=1)]


@shared_docs
class FusionRegressor(RegressorMixin, BaseFusion):
    """Regressor with a custom fusion network.

    The network is a :class:`torch.nn.Module` that follows the protocol described in
    :class:`FusionClassifier`. It predicts one or several targets.

    Read more in the :ref:`User Guide <own_network>`.

    Parameters
    ----------
    module : type, default=None
        Class of the network, as in :class:`FusionClassifier`. None is the network of
        :class:`MHSAFusionRegressor`.
    %(modalities, modality_dropout, dropout_policy, optimizer, lr, batch_size)s
    max_epochs : int, default=50
        Number of passes through the training samples.
    %(callbacks, early_stopping, validation_fraction, n_iter_no_change, scoring)s
    bounds : (float, float) or None, default=None
        Range to which predictions are clipped. Training targets must be in this range.
    %(standardize, device, random_state, verbose, **kwargs)s

    Attributes
    ----------
    %(n_iter_, best_iter_, loss_curve_, loss_terms_, validation_curve_, net_)s
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    FusionClassifier : The same for classification.
    MHSAFusionRegressor : Attention over the observed modalities.
    MMPRegressor : Projects missing modalities from the observed modalities.

    Notes
    -----
    The loss is the mean squared error of the standardized targets, plus the losses that
    the module returns. Predictions are not clipped to `bounds` in training, because
    the gradient would be 0 outside. Networks overfit noisy targets sooner than classes.
    The defaults therefore have fewer epochs and more weight decay than in
    :class:`FusionClassifier`. Samples without any modality are left out of training,
    and the training mean is predicted for them. Both cause a warning.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmissing.fusion import FusionRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = FusionRegressor(modalities=[4, 6], module__n_layers=2, random_state=0)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints = BaseFusion._parameter_constraints | MODULE | BOUNDS
    _weight_decay = 1.0

    def __init__(
        self,
        module=None,
        *,
        modalities=None,
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
        self.module = module
        self.modalities = modalities
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss. A sample of weight 0 is left out.

        Returns
        -------
        %(self)s
        """
        return self._fit(X, y, sample_weight)

    def _check_y(self, y, weight):
        y = np.asarray(y.toarray() if sparse.issparse(y) else y, dtype=np.float64)
        check_squares(y.ravel())
        return y, None

    def _describe(self, y):
        """Describe the targets of validation samples, for messages."""
        return f"targets from {y.min():g} to {y.max():g}"

    def _learn_target(self, y, labels, weight, learnt, used):
        """Learn mean and scale of the targets; return them standardized."""
        self._bounds = -np.inf, np.inf
        if self.bounds is not None:
            pair = len(self.bounds) == 2
            pair = pair and all(isinstance(bound, Real) for bound in self.bounds)
            if not pair or not self.bounds[0] < self.bounds[1]:
                raise ValueError(
                    "bounds must be a pair (low, high) with low < high; got "
                    f"{self.bounds!r}."
                )
            self._bounds = tuple(float(bound) for bound in self.bounds)
        low, high = self._bounds
        if ((y < low) | (y > high)).any():
            raise ValueError(
                f"bounds={self.bounds!r} must contain all training targets; got "
                f"targets from {y.min():g} to {y.max():g}."
            )
        self._y_is_1d = y.ndim == 1
        columns = y.reshape(len(y), -1)
        weight, known = weight[learnt], columns[learnt]
        self._y_mean = np.average(known, axis=0, weights=weight)
        variance = np.average((known - self._y_mean) ** 2, axis=0, weights=weight)
        scale = np.sqrt(variance)
        constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(self._y_mean)
        self._y_scale = np.where(constant, 1.0, scale)
        n_outputs = columns.shape[1]
        values = (columns - self._y_mean) / self._y_scale
        return Target(values, "regression", n_outputs, np.zeros(n_outputs))

    def predict(self, X):
        """Predict the targets.

        Parameters
        ----------
        %(X)s

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Clipped to `bounds`. Samples without any modality get the training mean.
        """
        y = self._outputs(X) * self._y_scale + self._y_mean
        y = np.clip(y, *self._bounds)
        return y[:, 0] if self._y_is_1d else y


def _is_of_part(name):
    """Whether a parameter belongs to the module, the optimizer or another component."""
    part, _, rest = name.partition("__")
    return part in PARTS and rest != ""
