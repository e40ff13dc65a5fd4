"""Imputation of whole modalities."""

from skmissing.impute._cluster_guided import ClusterGuidedImputer

__all__ = ["ClusterGuidedImputer"]
