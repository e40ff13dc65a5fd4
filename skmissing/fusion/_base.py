"""What all neural estimators share: from X to tensors, from tensors to a trained net.

How an estimator's network looks is its own affair: it overrides `_architecture`. What
it predicts is that of the mixins in `_tasks.py`.
"""

import copy
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import is_regressor
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._base import (
    ModalityMixin,
    SkmissingEstimator,
    warn_empty_rows,
    warn_layout_forgotten,
    warn_never_observed,
    warn_unlearnt,
)
from skmissing._blocks import find_presence, fit_scaler, row_chunks
from skmissing._compat import Interval, StrOptions, check_sample_weight
from skmissing._table import ModalityTable
from skmissing.fusion._consistency import CONSISTENCY, WEIGHTS, Consistency
from skmissing.fusion._device import few_threads, resolve_device
from skmissing.fusion._masking import POLICIES, Masking
from skmissing.fusion._net import (
    OPTIMIZERS,
    Training,
    check_trained,
    load,
    train,
)
from skmissing.fusion._rows import TokenRows, split_rows

# Numbers that the tensors of a prediction may hold together, about.
PREDICT_CELLS = 1 << 21


class BaseFusion(ModalityMixin, SkmissingEstimator):
    """Trains a network on rows that may lack modalities.

    A subclass has the parameters below, `_architecture(shapes, target)`, and one of
    the mixins of `_tasks.py` before it.
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "modality_dropout": [Interval(Real, 0, 1, closed="both")],
        "mask_policy": [StrOptions(set(POLICIES))],
        "consistency": [StrOptions(set(CONSISTENCY)), None],
        "consistency_weight": [Interval(Real, 0, None, closed="left"), None],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "scoring": [str, callable],
        "standardize": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # ------------------------------------------------------------------ to override

    def _architecture(self, shapes, target):
        """The :class:`Architecture` for modalities of these shapes and this target."""
        raise NotImplementedError

    def _masking(self, n_tokens):
        """The :class:`Masking` of the training rows."""
        return Masking(n_tokens, float(self.modality_dropout), self.mask_policy)

    def _check_params(self):
        """Checks that need several parameters; raises ValueError."""
        if self.hidden_dim % self.n_heads:
            raise ValueError(
                f"hidden_dim={self.hidden_dim} must be a multiple of "
                f"n_heads={self.n_heads}."
            )

    # ------------------------------------------------------------------------- fit

    def _fit(self, X, y, sample_weight):
        vars(self).pop("_net", None)
        X, y = self._validate(
            X, y, reset=True, multi_output=True, y_numeric=is_regressor(self)
        )
        y = self._check_y(y)
        weight = check_sample_weight(sample_weight, X)
        self._check_params()
        device, scorer = resolve_device(self.device), self._find_scorer()
        warn_layout_forgotten(self.modalities, self.modalities_)
        if not weight.all():
            X, y, weight = (array[weight > 0] for array in (X, y, weight))
        rng = check_random_state(self.random_state)
        seed, mask_seed, split_seed = (int(s) for s in rng.randint(2**31 - 1, size=3))
        presence, holes = find_presence(X, self.modalities_)
        labels = self._labels(y)
        used = self._find_used(presence, labels)
        # Rows without any modality train nothing, but say what is told of their like.
        learnt = slice(None)
        if self.early_stopping:
            used, held_out = self._split(used, labels, split_seed)
            learnt = np.setdiff1d(np.arange(len(X)), held_out)
        target = self._learn_target(y, weight, learnt, used)
        self._prior = target.prior
        shapes = [m.shape for m in self.modalities_.values()]
        self._network = self._architecture(shapes, target)
        self._learn_inputs(X[learnt], presence[learnt], holes[learnt], weight[learnt])
        masking = self._masking(tuple(m.n_tokens for m in self.modalities_.values()))
        valid, monitor = None, None
        if self.early_stopping:
            valid = self._make_rows(X, held_out, target, weight)
            tokens = masking(valid.tokens.numpy(), np.random.RandomState(mask_seed))
            valid = replace(valid, tokens=torch.from_numpy(tokens)).to(device)
            shown = self._hide(X[held_out], tokens)
            monitor = self._make_monitor(scorer, shown, y[held_out], weight[held_out])
        rows = self._make_rows(X, used, target, weight).to(device)
        training = self._training(masking, device)
        trained = train(
            self._network, training, rows, valid, monitor=monitor, seed=seed
        )
        self._keep(trained, scorer)
        self._net = load(self._network, trained, device)
        return self

    def _training(self, masking, device):
        """The parameters of the training loop, together."""
        return Training(
            optimizer=self.optimizer,
            lr=self.lr,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.n_iter_no_change if self.early_stopping else None,
            masking=masking,
            device=device,
            verbose=self.verbose,
            consistency=self._make_consistency(),
        )

    def _make_consistency(self):
        """What ties a row's two views together; None for nothing."""
        if self.consistency is None:
            return None
        weight = self.consistency_weight
        if weight is None:
            weight = WEIGHTS[self.consistency]
        return Consistency(self.consistency, float(weight))

    def _keep(self, trained, scorer):
        """Set what training has left behind."""
        self.n_iter_ = len(trained.history)
        self.best_iter_ = trained.best_epoch
        self.loss_curve_ = [epoch["train_loss"] for epoch in trained.history]
        terms = [name for name in trained.history[0] if name.startswith("train_")]
        self.loss_terms_ = {
            name.removeprefix("train_"): [epoch[name] for epoch in trained.history]
            for name in terms
            if name != "train_loss"
        }
        self.validation_curve_ = None
        if self.early_stopping:
            name = "valid_task" if scorer is None else "valid_score"
            self.validation_curve_ = [epoch[name] for epoch in trained.history]
        self._trained = trained

    def _find_scorer(self):
        """The scorer that `scoring` means; None for the loss."""
        if callable(self.scoring):
            return self.scoring
        if self.scoring == "loss":
            return None
        try:
            return get_scorer(self.scoring)
        except ValueError:
            raise ValueError(
                f"scoring={self.scoring!r} is not known; use 'loss', a callable, or a "
                "name that sklearn.metrics.get_scorer_names() lists."
            ) from None

    def _find_used(self, presence, labels):
        """The rows that have some modality."""
        used = np.flatnonzero(presence.any(axis=1))
        if not len(used):
            raise ValueError(f"None of the {len(presence)} rows of X has any modality.")
        warn_empty_rows(presence, "left out of training")
        if labels is not None:
            self._warn_untaught(labels[used])
        return used

    def _split(self, used, labels, seed):
        """Rows to train on, and rows to validate on."""
        classes = None
        if labels is not None:
            classes, labels = self.classes_, labels[used]
        parts = split_rows(len(used), labels, classes, self.validation_fraction, seed)
        return [used[part] for part in parts]

    def _learn_inputs(self, X, presence, holes, weight):
        """Learn the columns' scales, and which modalities there are."""
        layout = self.modalities_
        self._scaler = fit_scaler(
            ModalityTable(X, layout, presence=presence, partial=holes),
            sample_weight=weight,
            standardize=self.standardize,
        )
        self._known = presence.any(axis=0)
        unseen = [n for n, known in zip(layout, self._known) if not known]
        consequence = "they are ignored"
        if self.early_stopping:
            consequence = f"rows set aside do not count; {consequence}"
        warn_never_observed(unseen, consequence)

    # ---------------------------------------------------------------------- inputs

    def _inputs(self, X):
        """Standardised values and present tokens, both in layout order."""
        layout, scaler = self.modalities_, self._scaler
        order = layout.order
        values = (X - scaler.mean)[:, order]
        values /= scaler.scale[order]
        gaps = np.isnan(values)
        values[gaps] = 0.0
        if not scaler.seen.all():
            values *= scaler.seen[order]
        dims = np.concatenate([[m.dim] * m.n_tokens for m in layout.values()])
        return values, ~np.logical_and.reduceat(gaps, np.cumsum(dims) - dims, axis=1)

    def _make_rows(self, X, index, target, weight):
        """The rows of these positions as tensors."""
        known = np.repeat(self._known, [m.n_tokens for m in self.modalities_.values()])
        values = np.empty((len(index), X.shape[1]), dtype=np.float32)
        tokens = np.empty((len(index), len(known)), dtype=bool)
        for chunk in row_chunks(*values.shape):
            values[chunk], tokens[chunk] = self._inputs(X[index[chunk]])
        tokens &= known
        kind = np.int64 if target.task == "multiclass" else np.float32
        weight = weight[index]
        if target.row_weight is not None:
            weight = weight * target.row_weight[index]
            if not weight.any():
                raise ValueError(
                    f"class_weight={self.class_weight!r} gives all {len(index)} rows "
                    "that are trained or validated on weight 0; wanted is a positive "
                    "weight for some."
                )
        return TokenRows(
            torch.from_numpy(values),
            torch.from_numpy(tokens),
            torch.from_numpy(target.values[index].astype(kind)),
            torch.from_numpy((weight / weight.mean()).astype(np.float32)),
        )

    def _hide(self, X, tokens):
        """A copy of X that is NaN in the columns of tokens that are not there."""
        layout = self.modalities_
        dims = np.concatenate([[m.dim] * m.n_tokens for m in layout.values()])
        hidden = np.empty(X.shape, dtype=bool)
        hidden[:, layout.order] = np.repeat(~tokens, dims, axis=1)
        return np.where(hidden, np.nan, X)

    # -------------------------------------------------------------------- outputs

    def _outputs(self, X):
        """Raw outputs of the network, shape (n_rows, n_outputs), float64."""
        shown, outputs = vars(self).get("_shown", (None, None))
        if X is shown:
            return outputs
        X = self._validate(X, reset=False)
        outputs, presence = self._compute(X, lambda net, batch: net.infer(batch).logits)
        outputs[~presence.any(axis=1)] = self._prior
        warn_empty_rows(presence, "predicted from the training targets alone")
        return outputs

    def _compute(self, X, function):
        """What `function(net, batch)` says of all rows, and what they have.

        Warns of modalities that were not seen in training, which are left out.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        function : callable
            Returns a tensor whose first axis are the rows of the batch.

        Returns
        -------
        outputs : ndarray of shape (n_samples, ...), float64
        presence : ndarray of shape (n_samples, n_modalities), dtype bool
            False for modalities that were not seen in training.
        """
        outputs, presence = [], np.empty((len(X), len(self.modalities_)), dtype=bool)
        net = self.net_
        like = next(net.module_.parameters())
        widths = [m.n_tokens for m in self.modalities_.values()]
        starts, n_tokens = np.cumsum(widths) - widths, sum(widths)
        known = np.repeat(self._known, widths)
        width = X.shape[1] + self._count_cells(n_tokens)
        chunks = list(row_chunks(len(X), width, PREDICT_CELLS))
        work = net.n_weights * n_tokens * (chunks[0].stop - chunks[0].start)
        with few_threads(work, like.device), torch.inference_mode():
            for chunk in chunks:
                values, tokens = self._inputs(X[chunk])
                presence[chunk] = np.logical_or.reduceat(tokens, starts, axis=1)
                batch = {
                    "x": torch.from_numpy(values).to(like),
                    "present": torch.from_numpy(tokens & known).to(like.device),
                }
                outputs.append(function(net, batch).double().cpu().numpy())
        warn_unlearnt(self.modalities_, presence, self._known)
        return np.concatenate(outputs), presence & self._known

    def _count_cells(self, n_tokens):
        """Numbers that the network holds for one row, about."""
        return n_tokens * (self.hidden_dim + self.n_heads * n_tokens)

    def _make_monitor(self, scorer, X, y, weight):
        """Turn a scorer into a function of the net and its logits for X.

        None, for the loss, stays None.
        """
        if scorer is None:
            return None
        view = copy.copy(self)
        vars(view).pop("feature_names_in_", None)
        weighted = not callable(self.scoring) and (weight != weight[0]).any()
        weights = {"sample_weight": weight} if weighted else {}

        def monitor(net, logits):
            # The usual scorers predict for X itself, and then what the loop has
            # computed anyway will do; for any other rows the view asks the net.
            vars(view)["_shown"] = X, logits.double().cpu().numpy()
            vars(view)["_net"] = net
            return self._score(scorer, view, X, y, weights)

        return monitor

    def _score(self, scorer, view, X, y, weights):
        """The score of the validation rows, NaN or finite."""
        rows = f"the {len(y)} validation rows, which hold {self._describe(y)}"
        try:
            score = float(scorer(view, X, y, **weights))
        except Exception as exc:
            told = str(exc)
            if weights and "sample_weight" in told:
                told += " (scorers given by name are handed sample_weight if fit was)"
            raise ValueError(
                f"scoring={self.scoring!r} failed on {rows}: {told}"
            ) from exc
        if np.isinf(score):
            raise ValueError(
                f"scoring={self.scoring!r} must return a finite number; got {score} "
                f"for {rows}."
            )
        return score

    # ----------------------------------------------------------------------- state

    @property
    def net_(self):
        """The skorch net with the trained weights, in float64, for predictions."""
        check_is_fitted(self)
        if "_net" not in vars(self):
            self._net = load(self._network, self._trained, resolve_device(self.device))
        return self._net

    def _check_loaded(self):
        """Raise ValueError if the learnt state does not fit together."""
        params, shapes = self._network.module_params, list(self.modalities_.values())
        if params.get("shapes") != [m.shape for m in shapes]:
            raise ValueError(f"shapes={params.get('shapes')} is not that of {shapes}.")
        if params.get("n_outputs") != len(self._prior):
            raise ValueError(
                f"n_outputs={params.get('n_outputs')!r}, but {len(self._prior)} priors."
            )
        check_trained(self._network, self._trained)

    def __sklearn_is_fitted__(self):
        # n_iter_ goes when a fit begins, _trained comes when it ends.
        fitted = hasattr(self, "n_iter_") and "_trained" in vars(self)
        return fitted or "_shown" in vars(self)

    def __getstate__(self):
        # Weights are kept as arrays in _trained, so that no pickle holds torch objects.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_net"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
