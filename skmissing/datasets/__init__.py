"""Data: embedded real views, artificial makers, and loaders of common files."""

from skmissing.datasets._makers import (
    make_multimodal_classification,
    make_multimodal_regression,
)
from skmissing.datasets._mosi import load_mosi
from skmissing.datasets._npz import load_mmimdb_embeddings, load_multimodal_npz
from skmissing.datasets._openml import fetch_mfeat
from skmissing.datasets._sleep_edf import load_sleep_edf
from skmissing.datasets._views import load_breast_cancer_views, load_digits_views

__all__ = [
    "fetch_mfeat",
    "load_breast_cancer_views",
    "load_digits_views",
    "load_mmimdb_embeddings",
    "load_mosi",
    "load_multimodal_npz",
    "load_sleep_edf",
    "make_multimodal_classification",
    "make_multimodal_regression",
]
