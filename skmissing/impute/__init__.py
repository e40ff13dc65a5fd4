"""Imputation of whole modalities."""

from skmissing.impute._cluster_guided import ClusterGuidedImputer
from skmissing.impute._factor import FactorImputer
from skmissing.impute._regression import RegressionImputer
from skmissing.impute._retrieval import RetrievalImputer
from skmissing.impute._selection import masked_imputation_score
from skmissing.impute._simple import SimpleModalityImputer
from skmissing.impute._stacked import StackedImputer

__all__ = [
    "ClusterGuidedImputer",
    "FactorImputer",
    "RegressionImputer",
    "RetrievalImputer",
    "SimpleModalityImputer",
    "StackedImputer",
    "masked_imputation_score",
]
