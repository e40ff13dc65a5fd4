"""Networks and building blocks for custom networks: plain torch modules."""

from skmissing.fusion._action_mae import ActionMAE
from skmissing.fusion._bottleneck import BottleneckFusion
from skmissing.fusion._experts import DynamicExperts
from skmissing.fusion._layers import FusionOutput, ModalityMean, ModalityProjection
from skmissing.fusion._neighbors import NeighborAttention, NeighborGraph
from skmissing.fusion._pooled import PooledFusion
from skmissing.fusion._projection import ModalityProjector, alignment_loss
from skmissing.fusion._shaspec import ShaSpec

__all__ = [
    "ActionMAE",
    "BottleneckFusion",
    "DynamicExperts",
    "FusionOutput",
    "ModalityMean",
    "ModalityProjection",
    "ModalityProjector",
    "NeighborAttention",
    "NeighborGraph",
    "PooledFusion",
    "ShaSpec",
    "alignment_loss",
]
