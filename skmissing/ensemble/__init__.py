"""Ensembles: late fusion, pattern models, modality dropout, multiple imputation."""

from skmissing.ensemble._kernels import (
    KernelLogisticClassifier,
    KernelRidgeClassifier,
    KernelRidgeRegressor,
)
from skmissing.ensemble._late_fusion import LateFusionClassifier, LateFusionRegressor
from skmissing.ensemble._modality_dropout import ModalityDropout
from skmissing.ensemble._multiple_imputation import (
    MultipleImputationClassifier,
    MultipleImputationRegressor,
)
from skmissing.ensemble._pattern import PatternClassifier, PatternRegressor
from skmissing.ensemble._routed import RoutedClassifier
from skmissing.ensemble._survival import LateFusionSurvival

__all__ = [
    "KernelLogisticClassifier",
    "KernelRidgeClassifier",
    "KernelRidgeRegressor",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "LateFusionSurvival",
    "ModalityDropout",
    "MultipleImputationClassifier",
    "MultipleImputationRegressor",
    "PatternClassifier",
    "PatternRegressor",
    "RoutedClassifier",
]
