"""Kept for `skmissing.io` until models are saved by skops."""

from skmissing.mixture._em import FactorParams, Units

__all__ = ["FactorParams", "Units"]
