"""Every public estimator, with small, fast, seeded constructor arguments.

tests/test_common.py runs all checks on each entry of INSTANCES; a public estimator
without an entry fails a test there. Keys are class names, so that this file needs no
torch.
"""

import importlib
import importlib.util
import inspect
import os
import pkgutil
import re

import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import skmissing
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import FactorImputer

# Packages that an extra brings, and the module whose absence leaves them out.
NEEDS = {"benchmark": "pandas", "fusion": "torch", "encoders": "transformers"}
# Public modules inside of packages.
NESTED = ["fusion.modules"]


def make_imputing(estimator):
    """A pipeline that fills NaN with means before the estimator."""
    return make_pipeline(SimpleImputer(keep_empty_features=True), estimator)


# Quick training. Parameters such as `module__n_heads` are attributes that a check of
# scikit-learn does not know; tests/fusion/test_own_network.py has them.
QUICK = {"lr": 0.05, "max_epochs": 5, "random_state": 0}

# class name -> list of constructor arguments, one dict an instance to be checked
INSTANCES = {
    # One column of raw items, which no common test makes: tests/encoders/ checks these.
    "AudioEncoder": [],
    "ImageEncoder": [],
    "ImageTextEncoder": [],
    "SentenceTransformerEncoder": [],
    "TextEncoder": [],
    "VideoEncoder": [],
    # Times that may be censored, which no common test makes either:
    # tests/test_ensemble_survival.py checks it.
    "LateFusionSurvival": [],
    "AutoencoderImputer": [{"hidden_dims": (8,), **QUICK, "max_epochs": 2}],
    "CalibrationByPattern": [
        {"estimator": LateFusionClassifier("linear", combine="log"), "cv": 2, **more}
        for more in ({}, {"method": "isotonic", "by": "pattern"})
    ],
    "ClusterGuidedImputer": [
        {"n_clusters": 2, "max_iter": 5, "random_state": 0, **more}
        for more in (
            {"strategy": "nearest"},
            {"strategy": "greedy"},
            {"strategy": "soft"},
        )
    ],
    "FactorImputer": [
        {"n_components": 2, "max_iter": 5, "tol": 1.0, "random_state": 0}
    ],
    "AbstainingClassifier": [
        {"estimator": LateFusionClassifier("linear", combine="log"), "cv": 2, **more}
        for more in ({}, {"cost": 0.2})
    ],
    "AnchorGraphClustering": [{"n_clusters": 3, "n_anchors": 6, "random_state": 0}],
    "IncompleteGCCA": [{"n_components": 1}],
    "KernelLogisticClassifier": [{"cv": 3}],
    "KernelRidgeClassifier": [
        {"cv": 3, "kernel": kernel} for kernel in ("rbf", "laplacian", "relevance")
    ],
    "KernelRidgeRegressor": [{"cv": 3}],
    "LateFusionClassifier": [{"estimator": "linear", "cv": 2}],
    "LateFusionRegressor": [{"estimator": "linear", "cv": 2}],
    "FusionClassifier": [QUICK],
    "FusionRegressor": [QUICK],
    "MHSAFusionClassifier": [{"hidden_dim": 8, **QUICK}],
    "MHSAFusionRegressor": [{"hidden_dim": 8, **QUICK, "max_epochs": 10}],
    "MMPClassifier": [{"hidden_dim": 8, **QUICK}],
    "MMPRegressor": [{"hidden_dim": 8, **QUICK}],
    "ModalityAmputer": [{"random_state": 0}],
    "MultipleImputationClassifier": [
        {
            "imputer": FactorImputer(2, n_factors=2, max_iter=5, tol=1.0),
            "n_imputations": 2,
            "random_state": 0,
        }
    ],
    "MultipleImputationRegressor": [
        {
            "imputer": FactorImputer(2, n_factors=2, max_iter=5, tol=1.0),
            "n_imputations": 2,
            "random_state": 0,
        }
    ],
    "PartialModalityFactorMixture": [
        {"n_components": 2, "n_factors": 2, "random_state": 0, **more}
        for more in ({}, {"calibrate": True, "noise": "feature", "tol": 0.1})
    ],
    "ModalityDropout": [
        {"estimator": make_imputing(inner), "random_state": 0}
        for inner in (LogisticRegression(), Ridge())
    ],
    "PartialModalityKMeans": [{"n_clusters": 3, "n_init": 1, "random_state": 0}],
    "PatternClassifier": [{"cv": 2, "min_samples": 10}],
    "PatternConformalClassifier": [
        {
            "estimator": make_imputing(LogisticRegression()),
            "confidence": 0.5,
            "cv": 2,
        }
    ],
    "PatternConformalRegressor": [
        {"estimator": make_imputing(Ridge()), "confidence": 0.5, "cv": 2}
    ],
    "PatternRegressor": [{"cv": 2, "min_samples": 10}],
    "PerModality": [{"transformer": StandardScaler()}],
    "RegressionImputer": [{"min_samples": 2}],
    "RetrievalImputer": [{"n_neighbors": 3}, {"weights": "soft", "n_hops": 2}],
    "RoutedClassifier": [
        {
            "estimators": [
                ("cautious", make_imputing(LogisticRegression(C=0.01))),
                ("bold", make_imputing(LogisticRegression())),
            ],
            "cv": 2,
        }
    ],
    "SimpleModalityImputer": [{}, {"strategy": "hot_deck", "random_state": 0}],
    "StackedImputer": [{"estimators": ["retrieval", "regression"], "random_state": 0}],
    "VariationalImputer": [
        {"latent_dim": 2, "hidden_dim": 8, **QUICK, "max_epochs": 2}
    ],
    "SignalEncoder": [
        {
            "latent_dim": 3,
            "channels": (4, 4),
            "max_epochs": 2,
            "device": "cpu",
            "random_state": 0,
        }
    ],
}

# Estimators that cannot be made without arguments, those that train networks, and
# those whose defaults fit a hundred trees per column in the checks.
REQUIRED = {"ModalityDropout", "PerModality", "RoutedClassifier"}
PANELS = {
    "AbstainingClassifier",
    "CalibrationByPattern",
    "LateFusionClassifier",
    "LateFusionRegressor",
    "PatternConformalClassifier",
    "PatternConformalRegressor",
}
NETWORKS = {"AutoencoderImputer", "SignalEncoder", "VariationalImputer"} | {
    f"{network}{kind}"
    for network in ("Fusion", "MHSAFusion", "MMP")
    for kind in ("Classifier", "Regressor")
}

# class name -> {name of a scikit-learn check: why it cannot hold here}
EXPECTED_FAILED = {
    # The classifier is not better: all of its probabilities are 0 or 1 in this check.
    "LateFusionRegressor": {
        "check_sample_weight_equivalence_on_dense_data": (
            "as in scikit-learn's forests, of which the default has one: the bootstrap "
            "draws samples, and a repeated sample changes the draws"
        )
    },
    **{
        f"{network}{kind}": {
            "check_sample_weight_equivalence_on_dense_data": (
                "as in stochastic gradient descent elsewhere: a repeated sample "
                "changes the batches and the draws, and training rounds to single "
                "precision"
            )
        }
        for network in ("Fusion", "MHSAFusion", "MMP")
        for kind in ("Classifier", "Regressor")
    },
    "ModalityDropout": {
        "check_sample_weight_equivalence_on_dense_data": (
            "each copy of a row, also of a repeated one, draws what it keeps"
        )
    },
    "PartialModalityFactorMixture": {
        "check_sample_weight_equivalence_on_dense_data": (
            "as in sklearn.cluster.KMeans: the start draws rows at random, and a "
            "repeated row changes the draws"
        )
    },
    "PartialModalityKMeans": {
        "check_sample_weight_equivalence_on_dense_data": (
            "as in sklearn.cluster.KMeans: seeding draws rows at random, and a "
            "repeated row changes the draws"
        )
    },
}

# The linear regressor of both.
LINEAR_FAILED = {}
if parse_version(sklearn.__version__) < parse_version("1.7"):
    reason = "before scikit-learn 1.7, BayesianRidge counts the rows, not their weights"
    for expected, regressor in (
        (LINEAR_FAILED, "LateFusionRegressor"),
        (EXPECTED_FAILED, "PatternRegressor"),
    ):
        expected[regressor] = {"check_sample_weight_equivalence_on_dense_data": reason}


def skip_if_weights_do_not_count(estimator):
    """Skip tests of weights with regressors of :data:`LINEAR_FAILED`."""
    if LINEAR_FAILED and re.search("(LateFusion|Pattern)Regressor", str(estimator)):
        pytest.skip("before scikit-learn 1.7, BayesianRidge counts the rows")


def is_installed(name):
    """Whether a module can be found, without importing it."""
    return importlib.util.find_spec(name) is not None


def public_modules():
    names = [m.name for m in pkgutil.iter_modules(skmissing.__path__)]
    return {
        name: importlib.import_module(f"skmissing.{name}")
        for name in names
        if not name.startswith("_")
        and name not in ("conftest", "tests")  # in an installed copy
        and is_installed(NEEDS.get(name, "skmissing"))
    }


def listed_modules():
    modules = public_modules()
    for name in NESTED:
        if name.partition(".")[0] in modules:
            modules[name] = importlib.import_module(f"skmissing.{name}")
    return modules


def public_objects():
    return [
        (module_name, name, getattr(module, name))
        for module_name, module in sorted(listed_modules().items())
        for name in getattr(module, "__all__", ())
    ]


def public_estimators():
    """Public estimator classes by name, without abstract and base classes."""
    return {
        name: cls
        for module, name, cls in public_objects()
        if module != "base"
        and inspect.isclass(cls)
        and issubclass(cls, BaseEstimator)
        and not inspect.isabstract(cls)
    }


def make_instances():
    """One estimator for each entry of INSTANCES whose class can be imported.

    Networks learn little: what these are for does not depend on how good they are.
    """
    return [
        cls(**{**params, "max_epochs": 2} if name in NETWORKS else params)
        for name, cls in public_estimators().items()
        for params in INSTANCES.get(name, ())
    ]


def make_checked():
    """What scikit-learn's checks run on: defaults, and instances of further code paths.

    Networks take minutes with their default number of epochs, and so do the default
    panels of late fusion. They are checked with defaults if the variable
    SKMISSING_CHECKS is "all". Encoders take raw items and are left out; tests/encoders
    checks them.
    """
    everything = os.environ.get("SKMISSING_CHECKS") == "all"
    slow = set() if everything else NETWORKS | PANELS
    checked = []
    for name, cls in public_estimators().items():
        listed = [cls(**params) for params in INSTANCES.get(name, ())]
        if listed and name not in REQUIRED | slow:
            listed[0] = cls()
        checked += listed
    return checked


def expected_failed_checks(estimator):
    name = type(estimator).__name__
    if name in PANELS and estimator.estimator == "linear":
        return LINEAR_FAILED.get(name, {})
    if name.startswith("PatternConformal") and estimator.estimator is None:
        reason = "a repeated sample changes the folds inside late fusion"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    return EXPECTED_FAILED.get(name, {})
