"""Building blocks for networks of your own; plain torch modules, no estimators."""

from skmissing.fusion._projection import ModalityProjector, alignment_loss

__all__ = ["ModalityProjector", "alignment_loss"]
