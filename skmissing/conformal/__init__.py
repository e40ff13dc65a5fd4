"""Predictions to act on: sets and intervals, calibration, what to measure next."""

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
from skmissing.conformal._coverage import coverage_by_pattern
from skmissing.conformal._pattern_conformal import (
    PatternConformalClassifier,
    PatternConformalRegressor,
)
from skmissing.conformal._weights import missingness_weights

__all__ = [
    "AbstainingClassifier",
    "AcquisitionDisplay",
    "CalibrationByPattern",
    "CalibrationByPatternDisplay",
    "PatternConformalClassifier",
    "PatternConformalRegressor",
    "RiskCoverageDisplay",
    "acquisition_value",
    "calibration_error_by_pattern",
    "coverage_by_pattern",
    "missingness_weights",
    "rank_acquisitions",
    "risk_coverage_curve",
]
