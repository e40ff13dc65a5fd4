"""Distances between incomplete samples, imputation errors, and scores of papers."""

from skmissing.metrics._distances import partial_modality_distances
from skmissing.metrics._imputation import block_nrmse, masked_cosine, masked_rmse
from skmissing.metrics._scores import multilabel_f1, sentiment_scores, slot_accuracy

__all__ = [
    "block_nrmse",
    "masked_cosine",
    "masked_rmse",
    "multilabel_f1",
    "partial_modality_distances",
    "sentiment_scores",
    "slot_accuracy",
]
