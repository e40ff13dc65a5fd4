"""The attention fusion of UL4M4, whatever it predicts."""

from numbers import Integral, Real

import numpy as np

from skmissing._compat import Interval, StrOptions
from skmissing.fusion._base import BaseFusion
from skmissing.fusion._modules import MHSAFusion
from skmissing.fusion._net import Architecture, TaskLoss
from skmissing.fusion._slots import SLOTS


class BaseMHSAFusion(BaseFusion):
    """The network of UL4M4, for any task."""

    _parameter_constraints: dict = {
        **BaseFusion._parameter_constraints,
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "head_dims": [list, tuple, np.ndarray],
        "missing": [StrOptions({*SLOTS, "error"})],
    }

    def _validate(self, X, y="no_validation", *, reset, **check_params):
        checked = super()._validate(X, y, reset=reset, **check_params)
        if self.missing == "error":
            self._refuse_gaps(checked[0] if isinstance(checked, tuple) else checked)
        return checked

    def _refuse_gaps(self, X):
        """Raise if a modality or a part of a token is missing; padding may be."""
        found = {}
        for modality in self.modalities_.values():
            gaps = np.isnan(X[:, modality.columns]).reshape(len(X), *modality.shape)
            partial = gaps.any(axis=2) & ~gaps.all(axis=2)
            rows = partial.any(axis=1) | gaps.all(axis=(1, 2))
            if rows.any():
                found[modality.name] = int(rows.sum())
        if found:
            raise ValueError(
                f"missing='error', but X contains NaN; rows with gaps by modality: "
                f"{found}, of {len(X)}. Impute first, or use missing='mask'."
            )

    def _check_params(self):
        super()._check_params()
        for width in self.head_dims:
            if not isinstance(width, Integral) or width < 1:
                raise ValueError(
                    "head_dims must hold the widths of the hidden layers, integers "
                    f"from 1 on; got {self.head_dims!r}."
                )

    def _architecture(self, shapes, target):
        params = {
            "shapes": shapes,
            "n_outputs": target.n_outputs,
            "hidden_dim": self.hidden_dim,
            "n_heads": self.n_heads,
            "n_layers": self.n_layers,
            "dropout": self.dropout,
            "head_dims": tuple(int(width) for width in self.head_dims),
            # Complete rows still have modalities that training hides.
            "missing": "mask" if self.missing == "error" else self.missing,
        }
        return Architecture(MHSAFusion, params, TaskLoss, {"task": target.task})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "error"
        return tags
