"""Neural fusion of modalities that may be missing. Requires torch and skorch."""

from skmissing._compat import import_optional

for _package in ("torch", "skorch"):
    import_optional(_package, "neural")

from skmissing.fusion._autoencoder import AutoencoderImputer  # noqa: E402
from skmissing.fusion._base import FusionClassifier, FusionRegressor  # noqa: E402
from skmissing.fusion._export import export  # noqa: E402
from skmissing.fusion._mhsa import (  # noqa: E402
    MHSAFusionClassifier,
    MHSAFusionRegressor,
    make_ul4m4,
)
from skmissing.fusion._mmp import MMPClassifier, MMPRegressor  # noqa: E402
from skmissing.fusion._variational import VariationalImputer  # noqa: E402

__all__ = [
    "AutoencoderImputer",
    "FusionClassifier",
    "FusionRegressor",
    "MHSAFusionClassifier",
    "MHSAFusionRegressor",
    "MMPClassifier",
    "MMPRegressor",
    "VariationalImputer",
    "export",
    "make_ul4m4",
]
