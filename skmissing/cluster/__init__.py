"""Clustering of rows that lack modalities."""

from skmissing.cluster._kmeans import PartialModalityKMeans

__all__ = ["PartialModalityKMeans"]
