"""Data sets: embedded data, generators, and readers of common files."""

from skmissing.datasets._makers import (
    make_multimodal_classification,
    make_multimodal_regression,
)
from skmissing.datasets._openml import fetch_mfeat
from skmissing.datasets._readers import (
    read_mmimdb_embeddings,
    read_mosi,
    read_multimodal_npz,
    read_sleep_edf,
)
from skmissing.datasets._views import load_breast_cancer_views, load_digits_views

__all__ = [
    "fetch_mfeat",
    "load_breast_cancer_views",
    "load_digits_views",
    "make_multimodal_classification",
    "make_multimodal_regression",
    "read_mmimdb_embeddings",
    "read_mosi",
    "read_multimodal_npz",
    "read_sleep_edf",
]
