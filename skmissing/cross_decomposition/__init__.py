"""Components that modalities have in common."""

from skmissing.cross_decomposition._gcca import IncompleteGCCA

__all__ = ["IncompleteGCCA"]
