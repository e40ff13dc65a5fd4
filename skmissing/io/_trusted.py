"""The classes that a file may name. Nothing else is ever looked up or imported.

A file names an estimator by its public path, such as `skmissing.cluster.
PartialModalityKMeans`, and the small records inside it by a name of this file's own.
"""

import importlib
from dataclasses import dataclass

SKMISSING = {
    "skmissing.cluster": ["PartialModalityKMeans"],
    "skmissing.encoders": [
        "AudioEncoder",
        "ImageEncoder",
        "SignalEncoder",
        "TextEncoder",
        "VideoEncoder",
    ],
    "skmissing.ensemble": [
        "LateFusionClassifier",
        "LateFusionRegressor",
        "ModalityDropout",
        "PatternClassifier",
        "PatternRegressor",
    ],
    "skmissing.fusion": [
        "MHSAFusionClassifier",
        "MHSAFusionRegressor",
        "MMPClassifier",
        "MMPRegressor",
    ],
    "skmissing.impute": [
        "ClusterGuidedImputer",
        "MultipleImputationClassifier",
        "MultipleImputationRegressor",
        "RegressionImputer",
        "RetrievalImputer",
    ],
    "skmissing.mixture": ["PartialModalityFactorMixture"],
    "skmissing.simulate": ["ModalityAmputer"],
}

# Those whose fitted state is plain numbers that can be checked. What keeps an object of
# compiled code, as support vector machines and neighbour trees do, is not among them.
SKLEARN = {
    "sklearn.compose": ["ColumnTransformer", "TransformedTargetRegressor"],
    "sklearn.decomposition": ["PCA", "TruncatedSVD"],
    "sklearn.discriminant_analysis": ["LinearDiscriminantAnalysis"],
    "sklearn.dummy": ["DummyClassifier", "DummyRegressor"],
    "sklearn.ensemble": [
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
    ],
    "sklearn.impute": ["KNNImputer", "MissingIndicator", "SimpleImputer"],
    "sklearn.linear_model": [
        "BayesianRidge",
        "ElasticNet",
        "Lasso",
        "LinearRegression",
        "LogisticRegression",
        "Ridge",
        "RidgeClassifier",
    ],
    "sklearn.multiclass": ["OneVsRestClassifier"],
    "sklearn.multioutput": ["MultiOutputClassifier", "MultiOutputRegressor"],
    "sklearn.naive_bayes": ["GaussianNB"],
    "sklearn.pipeline": ["FeatureUnion", "Pipeline"],
    "sklearn.preprocessing": [
        "FunctionTransformer",
        "LabelBinarizer",
        "LabelEncoder",
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "OneHotEncoder",
        "OrdinalEncoder",
        "RobustScaler",
        "StandardScaler",
    ],
    "sklearn.svm": ["LinearSVC", "LinearSVR"],
    "sklearn.tree": [
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
    ],
}

ESTIMATORS = {
    f"{module}.{name}": (module, name)
    for table in (SKMISSING, SKLEARN)
    for module, names in table.items()
    for name in names
}


@dataclass(frozen=True)
class Record:
    """A class of small objects inside fitted estimators.

    Attributes
    ----------
    module, name : str
        Where the class is.
    fields : tuple of str
        The attributes that are written.
    """

    module: str
    name: str
    fields: tuple


RECORDS = {
    "Architecture": Record(
        "skmissing.fusion._net",
        "Architecture",
        ("module", "module_params", "criterion", "criterion_params"),
    ),
    "BlockScaler": Record(
        "skmissing._blocks",
        "BlockScaler",
        (
            "layout",
            "mean",
            "scale",
            "variance",
            "weight",
            "column_mean",
            "column_weight",
        ),
    ),
    "Centers": Record("skmissing._blocks", "Centers", ("values", "presence")),
    "FactorParams": Record(
        "skmissing.mixture._posterior",
        "FactorParams",
        (
            "units",
            "weights",
            "means",
            "loadings",
            "noise",
            "var_means",
            "cov_cross",
            "cov_loadings",
        ),
    ),
    "KFold": Record(
        "sklearn.model_selection", "KFold", ("n_splits", "shuffle", "random_state")
    ),
    "LeaveOneOut": Record("sklearn.model_selection", "LeaveOneOut", ()),
    "LevelScores": Record(
        "skmissing.simulate._mechanisms",
        "LevelScores",
        ("layout", "driver", "scaler", "mean", "deviation"),
    ),
    "ModalityFraction": Record(
        "skmissing.simulate", "ModalityFraction", ("modalities", "rows")
    ),
    "ModalityRates": Record("skmissing.simulate", "ModalityRates", ("rates",)),
    "OneMissing": Record("skmissing.simulate", "OneMissing", ("rows", "exact")),
    "PatternTable": Record(
        "skmissing.simulate", "PatternTable", ("probabilities", "exact")
    ),
    "Plan": Record(
        "skmissing.simulate._mechanisms",
        "Plan",
        ("rates", "keep", "probabilities", "exact", "intercepts"),
    ),
    "ShuffleSplit": Record(
        "sklearn.model_selection",
        "ShuffleSplit",
        ("n_splits", "test_size", "train_size", "random_state"),
    ),
    "StratifiedKFold": Record(
        "sklearn.model_selection",
        "StratifiedKFold",
        ("n_splits", "shuffle", "random_state"),
    ),
    "StratifiedShuffleSplit": Record(
        "sklearn.model_selection",
        "StratifiedShuffleSplit",
        ("n_splits", "test_size", "train_size", "random_state"),
    ),
    "StratumScores": Record(
        "skmissing.simulate._mechanisms",
        "StratumScores",
        ("what", "strata", "table"),
    ),
    "TargetScores": Record(
        "skmissing.simulate._mechanisms",
        "TargetScores",
        ("n_modalities", "mean", "deviation"),
    ),
    "TemperatureScores": Record(
        "skmissing.impute._completion",
        "TemperatureScores",
        ("temperatures", "errors", "counts"),
    ),
    "Trained": Record(
        "skmissing.fusion._net", "Trained", ("weights", "history", "best_epoch")
    ),
}

# Classes that are mentioned, not instantiated: types of numbers, parts of networks.
CLASSES = {
    "AlignedLoss": ("skmissing.fusion._trunk", "AlignedLoss"),
    "MHSAFusion": ("skmissing.fusion._modules", "MHSAFusion"),
    "MMPFusion": ("skmissing.fusion._trunk", "MMPFusion"),
    "TaskLoss": ("skmissing.fusion._net", "TaskLoss"),
    "float32": ("numpy", "float32"),
    "float64": ("numpy", "float64"),
    "int32": ("numpy", "int32"),
    "int64": ("numpy", "int64"),
}


def find_class(module, name):
    """A class by its place in the tables above.

    Parameters
    ----------
    module, name : str
        From the tables, never from a file.

    Returns
    -------
    type
    """
    return getattr(importlib.import_module(module), name)
