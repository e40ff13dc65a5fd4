"""Ensembles that need no imputation: late fusion, pattern models, modality dropout."""

from skmissing.ensemble._late_fusion_classifier import LateFusionClassifier
from skmissing.ensemble._late_fusion_regressor import LateFusionRegressor
from skmissing.ensemble._modality_dropout import ModalityDropout
from skmissing.ensemble._pattern_classifier import PatternClassifier
from skmissing.ensemble._pattern_regressor import PatternRegressor

__all__ = [
    "LateFusionClassifier",
    "LateFusionRegressor",
    "ModalityDropout",
    "PatternClassifier",
    "PatternRegressor",
]
