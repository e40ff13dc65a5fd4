"""Mixture models for samples with missing modalities."""

from skmissing.mixture._factor_mixture import PartialModalityFactorMixture

__all__ = ["PartialModalityFactorMixture"]
