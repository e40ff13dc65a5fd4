"""What a model does when modalities are missing, in tables and pictures."""

from skmissing.inspection._importance import modality_importance
from skmissing.inspection._patterns import score_by_pattern
from skmissing.inspection._plot_clusters import ClusterSensitivityDisplay
from skmissing.inspection._plot_importance import ModalityImportanceDisplay
from skmissing.inspection._plot_imputation import ImputationDisplay
from skmissing.inspection._plot_patterns import MissingPatternDisplay
from skmissing.inspection._plot_robustness import RobustnessCurveDisplay
from skmissing.inspection._robustness import robustness_curve

__all__ = [
    "ClusterSensitivityDisplay",
    "ImputationDisplay",
    "MissingPatternDisplay",
    "ModalityImportanceDisplay",
    "RobustnessCurveDisplay",
    "modality_importance",
    "robustness_curve",
    "score_by_pattern",
]
