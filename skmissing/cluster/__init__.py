"""Clustering of samples with missing modalities."""

from skmissing.cluster._kmeans import PartialModalityKMeans

__all__ = ["PartialModalityKMeans"]
