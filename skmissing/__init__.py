"""Multimodal learning with scikit-learn when whole modalities are missing.

X is one table of floats, and a modality is a named group of columns. A missing modality
of a sample is NaN in all these columns. Public names are imported on first use, so that
importing the package does not load torch, transformers or matplotlib.
"""

import importlib
import importlib.util

__version__ = "0.1.0.dev0"

_submodules = [
    "base",
    "benchmark",
    "cluster",
    "compose",
    "conformal",
    "cross_decomposition",
    "datasets",
    "encoders",
    "ensemble",
    "fusion",
    "impute",
    "inspection",
    "io",
    "metrics",
    "mixture",
    "simulate",
]

_homes = {
    "AbstainingClassifier": "conformal",
    "AnchorGraphClustering": "cluster",
    "AudioEncoder": "encoders",
    "CalibrationByPattern": "conformal",
    "ClusterGuidedImputer": "impute",
    "FactorImputer": "impute",
    "FusionClassifier": "fusion",
    "FusionRegressor": "fusion",
    "ImageEncoder": "encoders",
    "ImageTextEncoder": "encoders",
    "IncompleteGCCA": "cross_decomposition",
    "LateFusionClassifier": "ensemble",
    "LateFusionRegressor": "ensemble",
    "LateFusionSurvival": "ensemble",
    "MHSAFusionClassifier": "fusion",
    "MHSAFusionRegressor": "fusion",
    "MMPClassifier": "fusion",
    "MMPRegressor": "fusion",
    "ModalityAmputer": "simulate",
    "ModalityDropout": "ensemble",
    "ModalityWarning": "_table",
    "PartialModalityFactorMixture": "mixture",
    "PartialModalityKMeans": "cluster",
    "PatternClassifier": "ensemble",
    "PatternConformalClassifier": "conformal",
    "PatternConformalRegressor": "conformal",
    "PatternRegressor": "ensemble",
    "PerModality": "compose",
    "RegressionImputer": "impute",
    "RetrievalImputer": "impute",
    "RoutedClassifier": "ensemble",
    "SentenceTransformerEncoder": "encoders",
    "SignalEncoder": "encoders",
    "SimpleModalityImputer": "impute",
    "StackedImputer": "impute",
    "TextEncoder": "encoders",
    "VideoEncoder": "encoders",
    "from_tables": "compose",
    "make_ul4m4": "fusion",
    "show_versions": "_show_versions",
}

# Packages that a submodule needs.
_needs = {
    "benchmark": ["pandas"],
    "encoders": ["torch"],
    "fusion": ["torch", "skorch"],
}

__all__ = sorted([*_homes, *_submodules, "__version__"])


def __dir__():
    """Names whose packages are installed, so that `help` can look at each of them."""
    lost = {
        home
        for home, packages in _needs.items()
        if not all(map(importlib.util.find_spec, packages))
    }
    return [name for name in __all__ if _homes.get(name, name) not in lost]


def __getattr__(name):
    if name in _homes:
        home = importlib.import_module(f"skmissing.{_homes[name]}")
        return getattr(home, name)
    if name in _submodules:
        return importlib.import_module(f"skmissing.{name}")
    raise AttributeError(f"module 'skmissing' has no attribute {name!r}")
