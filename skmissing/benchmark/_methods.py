"""What the benchmark compares: every method by name, with the settings it is run at.

Where a method only completes or encodes the data, the same linear model judges it, so
that what differs is how missing modalities are treated.
"""

from dataclasses import dataclass

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing._compat import import_optional
from skmissing.ensemble import (
    LateFusionClassifier,
    LateFusionRegressor,
    ModalityDropout,
    PatternClassifier,
    PatternRegressor,
)
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
)

# IterativeImputer fits one model a column, each on all the others.
MOST_COLUMNS_ITERATIVE = 60
# The number of clusters of the paper, that of soft centres, which gain from more, and
# that of a mixture whose clusters share factors, which needs few.
K_PAPER, K_SOFT, K_FACTOR = 40, 100, 10


@dataclass(frozen=True)
class Setting:
    """What a method is built for.

    Attributes
    ----------
    task : {"classification", "regression", "multilabel"}
    modalities : dict
    n_features : int
    seed : int
    """

    task: str
    modalities: dict
    n_features: int
    seed: int

    @property
    def regression(self):
        """Whether the target is a number."""
        return self.task == "regression"

    def head(self):
        """The linear model that judges completed data."""
        if self.regression:
            return make_pipeline(StandardScaler(), BayesianRidge())
        model = LogisticRegression(C=0.05, max_iter=1000)
        return make_pipeline(StandardScaler(), self.per_label(model))

    def per_label(self, classifier):
        """A classifier, or one a label."""
        multilabel = self.task == "multilabel"
        return OneVsRestClassifier(classifier) if multilabel else classifier


def _zero(s):
    fill = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    return make_pipeline(fill, s.head())


def _mean(s):
    return make_pipeline(SimpleImputer(keep_empty_features=True), s.head())


def _mean_indicator(s):
    # With one cluster every gap gets the training mean; unlike SimpleImputer this
    # adds one indicator a modality and not one a column.
    fill = ClusterGuidedImputer(
        1, modalities=s.modalities, add_indicator=True, random_state=s.seed
    )
    return make_pipeline(fill, s.head())


def _knn(s):
    fill = KNNImputer(n_neighbors=10, keep_empty_features=True)
    return make_pipeline(StandardScaler(), fill, s.head())


def _iterative(s):
    if s.n_features > MOST_COLUMNS_ITERATIVE:
        raise ValueError(
            f"iterative is for at most {MOST_COLUMNS_ITERATIVE} columns; X has "
            f"{s.n_features}."
        )
    fill = IterativeImputer(keep_empty_features=True, random_state=s.seed)
    return make_pipeline(StandardScaler(), fill, s.head())


def _clusters(strategy, n_clusters):
    def build(s):
        fill = ClusterGuidedImputer(
            n_clusters,
            modalities=s.modalities,
            strategy=strategy,
            random_state=s.seed,
        )
        return make_pipeline(fill, s.head())

    return build


def _factor(s):
    fill = FactorImputer(
        K_FACTOR, modalities=s.modalities, max_iter=300, random_state=s.seed
    )
    return make_pipeline(fill, s.head())


def _retrieval(s):
    return make_pipeline(RetrievalImputer(modalities=s.modalities), s.head())


def _ridge(s):
    return make_pipeline(RegressionImputer(modalities=s.modalities), s.head())


def _boosting(s):
    if s.regression:
        return HistGradientBoostingRegressor(early_stopping=False, random_state=s.seed)
    return s.per_label(
        HistGradientBoostingClassifier(early_stopping=False, random_state=s.seed)
    )


def _dropout(s):
    return ModalityDropout(_boosting(s), modalities=s.modalities, random_state=s.seed)


def _late(s):
    if s.regression:
        return LateFusionRegressor(modalities=s.modalities)
    return s.per_label(LateFusionClassifier(modalities=s.modalities))


def _pattern(s):
    if s.regression:
        return PatternRegressor(modalities=s.modalities)
    return s.per_label(PatternClassifier(modalities=s.modalities))


def _fusion(modality_dropout):
    def build(s):
        fusion = import_optional("skmissing.fusion", "neural")
        kind = "MHSAFusionRegressor" if s.regression else "MHSAFusionClassifier"
        return getattr(fusion, kind)(
            modalities=s.modalities,
            modality_dropout=modality_dropout,
            random_state=s.seed,
        )

    return build


def _mmp(s):
    fusion = import_optional("skmissing.fusion", "neural")
    kind = fusion.MMPRegressor if s.regression else fusion.MMPClassifier
    return kind(modalities=s.modalities, random_state=s.seed)


def _ul4m4(s):
    fusion = import_optional("skmissing.fusion", "neural")
    return fusion.make_ul4m4(
        "regression" if s.regression else "classification",
        modalities=s.modalities,
        n_clusters=K_PAPER,
        strategy="greedy",
        random_state=s.seed,
    )


@dataclass(frozen=True)
class Method:
    """An entry of the list of methods.

    Attributes
    ----------
    build : callable
        From a Setting to an estimator.
    text : str
        What it does, in a line.
    torch : bool
        Whether it needs torch.
    """

    build: object
    text: str
    torch: bool = False


METHODS = {
    "zero": Method(_zero, "gaps filled with 0, linear model"),
    "mean": Method(_mean, "gaps filled with the mean, linear model"),
    "mean+indicator": Method(
        _mean_indicator, "mean, and one 0/1 column a modality; linear model"
    ),
    "knn": Method(_knn, "KNNImputer of 10 neighbours, linear model"),
    "iterative": Method(
        _iterative,
        f"IterativeImputer, linear model; at most {MOST_COLUMNS_ITERATIVE} columns",
    ),
    "greedy": Method(
        _clusters("greedy", K_PAPER),
        f"UL4M4's imputer to the letter, k={K_PAPER}; linear model",
    ),
    "nearest": Method(
        _clusters("nearest", K_PAPER),
        f"nearest centre that has the modality, k={K_PAPER}; linear model",
    ),
    "soft": Method(
        _clusters("soft", K_SOFT), f"weighted centres, k={K_SOFT}; linear model"
    ),
    "factor": Method(
        _factor,
        f"mixture with shared factors, k={K_FACTOR}; linear model",
    ),
    "retrieval": Method(
        _retrieval, "mean of the 10 nearest rows that have the modality; linear model"
    ),
    "ridge": Method(
        _ridge, "ridge regression on what the row has, by pattern; linear model"
    ),
    "hgb": Method(_boosting, "gradient boosted trees, which take NaN"),
    "dropout": Method(
        _dropout, "the same trees, trained with modalities hidden as well"
    ),
    "late": Method(_late, "one linear model a modality, stacked votes"),
    "pattern": Method(_pattern, "one linear model a pattern of modalities"),
    "mask": Method(
        _fusion(0.5), "attention over what is there, modality dropout", torch=True
    ),
    "mask-nodrop": Method(
        _fusion(0.0), "attention over what is there, no dropout", torch=True
    ),
    "ul4m4": Method(
        _ul4m4, f"UL4M4's imputer to the letter, k={K_PAPER}; attention", torch=True
    ),
    "mmp": Method(
        _mmp, "masked modality projection: missing tokens predicted", torch=True
    ),
}


def list_methods():
    """What the benchmark can compare.

    Returns
    -------
    dict of str to str
        From name to a line on what it does.

    Examples
    --------
    >>> from skmissing.benchmark import list_methods
    >>> list_methods()["mean"]
    'gaps filled with the mean, linear model'
    """
    return {
        name: method.text + (" (needs torch)" if method.torch else "")
        for name, method in METHODS.items()
    }


def check_methods(names):
    """Refuse unknown methods, and those whose packages are not installed.

    Parameters
    ----------
    names : iterable of str
    """
    for name in names:
        if name not in METHODS:
            raise ValueError(
                f"methods: {name!r} is unknown; wanted one of {', '.join(METHODS)}."
            )
        if METHODS[name].torch:
            try:
                import_optional("torch", "neural")
                import_optional("skorch", "neural")
            except ImportError as exc:
                raise ImportError(f"The method {name!r} cannot run: {exc}") from exc


def make_method(name, *, task, modalities, n_features, random_state=0):
    """Build the estimator of a method.

    Parameters
    ----------
    name : str
        One of :func:`list_methods`.
    task : {"classification", "regression", "multilabel"}
        What y is.
    modalities : dict
        From name to width or token shape.
    n_features : int
        Number of columns of X.
    random_state : int, default=0
        Seed of the estimator.

    Returns
    -------
    estimator
        Not fitted; takes X with NaN where a modality is missing.

    Examples
    --------
    >>> from skmissing.benchmark import make_method
    >>> make_method(
    ...     "late", task="classification", modalities={"a": 3, "b": 2}, n_features=5)
    LateFusionClassifier(modalities={'a': 3, 'b': 2})
    """
    check_methods([name])
    if task not in ("classification", "regression", "multilabel"):
        raise ValueError(
            "task must be 'classification', 'regression' or 'multilabel'; got "
            f"{task!r}."
        )
    setting = Setting(task, modalities, n_features, random_state)
    return METHODS[name].build(setting)
