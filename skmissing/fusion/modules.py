"""Building blocks for custom networks, and networks: plain torch modules."""

from skmissing.fusion._experts import DynamicExperts
from skmissing.fusion._layers import FusionOutput, ModalityMean, ModalityProjection
from skmissing.fusion._projection import ModalityProjector, alignment_loss

__all__ = [
    "DynamicExperts",
    "FusionOutput",
    "ModalityMean",
    "ModalityProjection",
    "ModalityProjector",
    "alignment_loss",
]
