"""Masked modality projection, whatever it predicts."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmissing._base import warn_empty_rows
from skmissing._compat import Interval, StrOptions
from skmissing.fusion._base import BaseFusion
from skmissing.fusion._masking import LEVELS, POLICIES, Masking
from skmissing.fusion._net import Architecture
from skmissing.fusion._projection import KINDS
from skmissing.fusion._trunk import AlignedLoss, MMPFusion


def _has_projector(estimator):
    projector = estimator.projector
    if estimator.__sklearn_is_fitted__():  # as it was fitted, whatever is set since
        projector = estimator._network.module_params["projector"]
    if projector == "none":
        raise AttributeError("projector='none' estimates no modality.")
    return True


class BaseMMP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseFusion):
    """The network of masked modality projection, for any task."""

    _parameter_constraints: dict = {
        **BaseFusion._parameter_constraints,
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "projector": [StrOptions({*KINDS, "none"})],
        "n_aggregated_tokens": [Interval(Integral, 1, None, closed="left")],
        "alignment_weight": [Interval(Real, 0, None, closed="left")],
        "tokens_per_vector": [Interval(Integral, 1, None, closed="left")],
        "mask_probability": [Interval(Real, 0, 1, closed="both")],
        "mask_policy": [StrOptions(set(POLICIES))],
        "mask_level": [StrOptions(set(LEVELS))],
    }
    del _parameter_constraints["modality_dropout"]

    def _masking(self, n_tokens):
        return Masking(
            n_tokens, float(self.mask_probability), self.mask_policy, self.mask_level
        )

    def _architecture(self, shapes, target):
        params = {
            "shapes": shapes,
            "n_outputs": target.n_outputs,
            "hidden_dim": self.hidden_dim,
            "n_heads": self.n_heads,
            "n_layers": self.n_layers,
            "dropout": self.dropout,
            "projector": self.projector,
            "n_aggregated_tokens": self.n_aggregated_tokens,
            "tokens_per_vector": self.tokens_per_vector,
        }
        loss = {
            "task": target.task,
            "shapes": shapes,
            "alignment_weight": float(self.alignment_weight),
            "tokens_per_vector": self.tokens_per_vector,
        }
        return Architecture(MMPFusion, params, AlignedLoss, loss)

    def _count_cells(self, n_tokens):
        n_tokens = n_tokens * self.tokens_per_vector
        cells = super()._count_cells(n_tokens)
        if self.projector == "none":
            return cells
        n_pairs = len(self.modalities_) ** 2
        tokens = max(m.n_tokens for m in self.modalities_.values())
        tokens = max(tokens, self.tokens_per_vector) + self.n_aggregated_tokens
        return cells + n_pairs * tokens * 2 * self.hidden_dim

    def transform(self, X):
        """Fused representation of the rows, which the last linear map predicts from.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        ndarray of shape (n_samples, hidden_dim)
            A row without any modality gets the same as every such row.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        fused, presence = self._compute(X, lambda net, batch: net.infer(batch).fused)
        warn_empty_rows(presence, "represented by estimates of nothing")
        return fused.astype(X.dtype, copy=False)

    @available_if(_has_projector)
    def project(self, X):
        """Tokens of each modality as the projector estimates them from the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_tokens, hidden_dim)
            Of modalities that a row has, too, to be compared with what
            :meth:`embed` returns. NaN where a row has no other modality.
        """
        check_is_fitted(self)
        if len(self.modalities_) == 1:
            raise ValueError(
                f"X has one modality, {next(iter(self.modalities_))!r}, and none to "
                "project it from."
            )

        def estimate(net, batch):
            module = net.module_
            tokens, present = module.tokenize(**batch)
            there = module.slots.modality_present(present)
            made = module.slots.projector.project(tokens, present)
            others = there.sum(dim=1, keepdim=True) - there.long()
            return made.masked_fill((others < 1)[:, module.owner, None], np.nan)

        return self._by_modality(X, estimate)

    def embed(self, X):
        """Tokens of each modality that is there.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where a modality is missing.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_tokens, hidden_dim)
            By modality; NaN where a token is absent.
        """
        check_is_fitted(self)

        def tokenize(net, batch):
            tokens, present = net.module_.tokenize(**batch)
            return tokens.masked_fill(~present[..., None], np.nan)

        return self._by_modality(X, tokenize)

    def _by_modality(self, X, function):
        """Compute tokens (n_samples, T, hidden_dim), and cut them by modality."""
        tokens, _ = self._compute(self._validate(X, reset=False), function)
        stops = np.cumsum(self.net_.module_.slots.n_tokens)
        return dict(zip(self.modalities_, np.split(tokens, stops[:-1], axis=1)))

    @property
    def _n_features_out(self):
        check_is_fitted(self)
        return self._network.module_params["hidden_dim"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
