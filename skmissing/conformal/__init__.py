"""Predictions one can act on: what to measure next, and weights."""

from skmissing.conformal._acquisition import (
    AcquisitionDisplay,
    acquisition_value,
    rank_acquisitions,
)
from skmissing.conformal._weights import missingness_weights

__all__ = [
    "AcquisitionDisplay",
    "acquisition_value",
    "missingness_weights",
    "rank_acquisitions",
]
