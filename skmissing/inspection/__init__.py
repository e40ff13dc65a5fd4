"""Tables and displays of how models behave if modalities are missing."""

from skmissing.inspection._displays import (
    ClusterSensitivityDisplay,
    ContributionDisplay,
    MissingPatternDisplay,
    ModalityImportanceDisplay,
    RobustnessCurveDisplay,
)
from skmissing.inspection._drift import DriftDisplay, check_drift
from skmissing.inspection._imputation_display import ImputationDisplay
from skmissing.inspection._scores import (
    modality_importance,
    robustness_curve,
    score_by_pattern,
)

__all__ = [
    "ClusterSensitivityDisplay",
    "ContributionDisplay",
    "DriftDisplay",
    "ImputationDisplay",
    "MissingPatternDisplay",
    "ModalityImportanceDisplay",
    "RobustnessCurveDisplay",
    "check_drift",
    "modality_importance",
    "robustness_curve",
    "score_by_pattern",
]
