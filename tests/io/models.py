"""Fitted models to be saved: each estimator that a file may hold, and pipelines."""

import io

import numpy as np
import pytest
from sklearn.base import is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skmissing.impute import ClusterGuidedImputer
from skmissing.io import ModelFileError, load_model, save_model
from skmissing.io._trusted import SKLEARN, find_class
from tests.estimators import make_imputing
from tests.fuzz.models import make_seeds, repack, unpack

SEEDS = make_seeds()  # bytes of small models, by name
NAMES = sorted(SEEDS)


# Constructor arguments of scikit-learn's estimators that cannot do without.
SKLEARN_PARAMS = {
    "ColumnTransformer": {
        "transformers": [
            ("a", StandardScaler(), [0, 1]),
            ("b", MinMaxScaler(), slice(2, 4)),
        ],
        "remainder": "passthrough",
    },
    "ExtraTreesClassifier": {"n_estimators": 3},
    "ExtraTreesRegressor": {"n_estimators": 3},
    "FeatureUnion": {"transformer_list": [("a", StandardScaler()), ("b", "drop")]},
    "MultiOutputClassifier": {"estimator": LogisticRegression()},
    "MultiOutputRegressor": {"estimator": Ridge()},
    "OneVsRestClassifier": {"estimator": LogisticRegression()},
    "OneHotEncoder": {"sparse_output": False},
    "Pipeline": {"steps": [("a", StandardScaler()), ("b", BayesianRidge())]},
    "RandomForestClassifier": {"n_estimators": 3, "random_state": 0},
    "RandomForestRegressor": {"n_estimators": 3, "random_state": 0},
    "TransformedTargetRegressor": {
        "regressor": Ridge(),
        "transformer": StandardScaler(),
    },
}
LABELS_ONLY = {"LabelBinarizer", "LabelEncoder"}


def saved(estimator, **options):
    """The bytes of a saved model."""
    file = io.BytesIO()
    save_model(estimator, file, **options)
    return file.getvalue()


def round_trip(estimator, **options):
    """Save and load."""
    return load_model(io.BytesIO(saved(estimator, **options)), **options)


def sklearn_estimators():
    """One estimator of each class of scikit-learn's that a file may hold."""
    return [
        find_class(module, name)(**SKLEARN_PARAMS.get(name, {}))
        for module, names in SKLEARN.items()
        for name in names
    ]


def fit_sklearn(estimator):
    """Fit on complete rows; return what a loaded one must reproduce, and the rows."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((40, 5))
    y = X[:, 0] if is_regressor(estimator) else np.arange(40) % 3
    name = type(estimator).__name__
    if name in LABELS_ONLY:
        labels = np.array(["a", "bb", "c"])[np.arange(40) % 3]
        return estimator.fit(labels), labels
    if name in ("OneHotEncoder", "OrdinalEncoder"):
        X = rng.randint(3, size=(40, 5)).astype(float)
    if name.startswith("MultiOutput"):
        y = np.stack([y, y], axis=1)
    return estimator.fit(X, y), X


def make_pipelines():
    """Pipelines of steps of both libraries, and meta-estimators around them."""
    wide = ClusterGuidedImputer(2, modalities=[2, 3, 1], random_state=0)
    columns = ColumnTransformer(
        [("left", SimpleImputer(), [0, 1]), ("right", SimpleImputer(), [2, 3, 4, 5])]
    )
    forest = RandomForestClassifier(3, max_depth=3, random_state=0)
    union = FeatureUnion([("mean", SimpleImputer()), ("near", wide)])
    return [
        make_pipeline(wide, StandardScaler(), LogisticRegression()),
        make_pipeline(wide, forest),
        make_pipeline(columns, LogisticRegression()),
        make_pipeline(union, LogisticRegression()),
        make_imputing(OneVsRestClassifier(LogisticRegression())),
        make_imputing(TransformedTargetRegressor(Ridge())),
    ]


def load(data):
    """Load from bytes."""
    return load_model(io.BytesIO(data))


def edited(name, edit):
    """A model whose tree went through `edit`, with the right checksum."""
    about, tree, table, blob = unpack(SEEDS[name])
    changed = edit(tree)
    return repack(about, tree if changed is None else changed, table, blob)


def refused(name, edit, match):
    """Such a model is refused."""
    with pytest.raises(ModelFileError, match=match):
        load(edited(name, edit))
