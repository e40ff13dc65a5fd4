"""Predictions one can act on: what to measure next."""

from skmissing.conformal._acquisition import (
    AcquisitionDisplay,
    acquisition_value,
    rank_acquisitions,
)

__all__ = [
    "AcquisitionDisplay",
    "acquisition_value",
    "rank_acquisitions",
]
