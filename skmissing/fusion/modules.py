"""Building blocks for custom networks: plain torch modules, without estimators."""

from skmissing.fusion._layers import FusionOutput, ModalityMean, ModalityProjection
from skmissing.fusion._projection import ModalityProjector, alignment_loss

__all__ = [
    "FusionOutput",
    "ModalityMean",
    "ModalityProjection",
    "ModalityProjector",
    "alignment_loss",
]
