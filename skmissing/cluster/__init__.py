"""Clustering of samples with missing modalities."""

from skmissing.cluster._anchor_graph import AnchorGraphClustering
from skmissing.cluster._kmeans import PartialModalityKMeans

__all__ = ["AnchorGraphClustering", "PartialModalityKMeans"]
