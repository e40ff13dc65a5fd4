"""Building blocks for networks of your own; plain torch modules, no estimators."""

from skmissing.fusion._layers import FusionOutput, ModalityMean, ModalityProjection
from skmissing.fusion._projection import ModalityProjector, alignment_loss

__all__ = [
    "FusionOutput",
    "ModalityMean",
    "ModalityProjection",
    "ModalityProjector",
    "alignment_loss",
]
