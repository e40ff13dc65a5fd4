"""Mixture models for rows that lack modalities."""

from skmissing.mixture._factor import PartialModalityFactorMixture

__all__ = ["PartialModalityFactorMixture"]
