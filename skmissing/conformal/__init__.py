"""Predictions to act on: calibration, abstention, what to measure next, and weights."""

from skmissing.conformal._abstention import (
    AbstainingClassifier,
    RiskCoverageDisplay,
    risk_coverage_curve,
)
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
    "AbstainingClassifier",
    "AcquisitionDisplay",
    "CalibrationByPattern",
    "CalibrationByPatternDisplay",
    "RiskCoverageDisplay",
    "acquisition_value",
    "calibration_error_by_pattern",
    "missingness_weights",
    "rank_acquisitions",
    "risk_coverage_curve",
]
