"""Predictions to act on: calibration, what to measure next, and weights."""

from skmissing.conformal._acquisition import (
    AcquisitionDisplay,
    acquisition_value,
    rank_acquisitions,
)
from skmissing.conformal._calibration import (
    CalibrationByPattern,
    CalibrationByPatternDisplay,
    calibration_error_by_pattern,
)
from skmissing.conformal._weights import missingness_weights

__all__ = [
    "AcquisitionDisplay",
    "CalibrationByPattern",
    "CalibrationByPatternDisplay",
    "acquisition_value",
    "calibration_error_by_pattern",
    "missingness_weights",
    "rank_acquisitions",
]
