"""Neural fusion of modalities that may be missing; needs torch and skorch."""

from skmissing._compat import import_optional

for _package in ("torch", "skorch"):
    import_optional(_package, "neural")

from skmissing.fusion._mhsa_classifier import MHSAFusionClassifier  # noqa: E402
from skmissing.fusion._mhsa_regressor import MHSAFusionRegressor  # noqa: E402
from skmissing.fusion._mmp_classifier import MMPClassifier  # noqa: E402
from skmissing.fusion._mmp_regressor import MMPRegressor  # noqa: E402
from skmissing.fusion._pipeline import make_ul4m4  # noqa: E402

__all__ = [
    "MHSAFusionClassifier",
    "MHSAFusionRegressor",
    "MMPClassifier",
    "MMPRegressor",
    "make_ul4m4",
]
