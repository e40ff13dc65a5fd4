"""Methods of the benchmark by name, with their settings.

Methods that only complete or encode the data are followed by the same linear model, so
that they differ only in how they treat missing modalities.
"""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import joblib
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing._compat import import_optional
from skmissing._table import read_table
from skmissing.benchmark._data import did_you_mean
from skmissing.benchmark._scores import MAIN_SCORES
from skmissing.cluster import AnchorGraphClustering, PartialModalityKMeans
from skmissing.cross_decomposition import IncompleteGCCA
from skmissing.ensemble import (
    LateFusionClassifier,
    LateFusionRegressor,
    ModalityDropout,
    PatternClassifier,
    PatternRegressor,
    RoutedClassifier,
)
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
    SimpleModalityImputer,
    StackedImputer,
)
from skmissing.mixture import PartialModalityFactorMixture

try:  # public from scikit-learn 1.10 on
    from sklearn.impute import IterativeImputer
except ImportError:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

# IterativeImputer fits one model per column, each on all other columns.
MOST_COLUMNS_ITERATIVE = 60
# Numbers of clusters: of the paper, of soft centres, which improve with more clusters,
# and of a mixture with shared factors, which needs few clusters.
K_PAPER, K_SOFT, K_FACTOR = 40, 100, 10


@dataclass(frozen=True)
class Setting:
    """Task and data for which a method is built."""

    task: str
    modalities: dict
    n_features: int
    seed: int
    most_clusters: int
    n_classes: int | None = None

    @property
    def regression(self):
        """Whether the target is a number."""
        return self.task == "regression"

    @property
    def seeded(self):
        """Parameters of estimators of skmissing with a seed."""
        return {"modalities": self.modalities, "random_state": self.seed}

    def before_head(self, *steps):
        """Pipeline of some steps and the linear model for completed data."""
        if self.regression:
            model = BayesianRidge()
        else:
            model = self.per_label(LogisticRegression(C=0.05, max_iter=1000))
        return make_pipeline(*steps, make_pipeline(StandardScaler(), model))

    def per_label(self, classifier):
        """A classifier, or one classifier per label."""
        multilabel = self.task == "multilabel"
        return OneVsRestClassifier(classifier) if multilabel else classifier

    def either(self, classifier, regressor, **params):
        """The classifier or the regressor."""
        if self.regression:
            return regressor(**params)
        return self.per_label(classifier(**params))

    def fusion(self, kind, **params):
        """Classifier or regressor of skmissing.fusion."""
        fusion = import_optional("skmissing.fusion", "neural")
        kind += "Regressor" if self.regression else "Classifier"
        return getattr(fusion, kind)(**self.seeded, **params)


def _iterative(s):
    if s.n_features > MOST_COLUMNS_ITERATIVE:
        raise ValueError(
            f"iterative is for at most {MOST_COLUMNS_ITERATIVE} columns; X has "
            f"{s.n_features}."
        )
    fill = IterativeImputer(keep_empty_features=True, random_state=s.seed)
    return s.before_head(StandardScaler(), fill)


def _boosting(s):
    trees = HistGradientBoostingClassifier, HistGradientBoostingRegressor
    return s.either(*trees, early_stopping=False, random_state=s.seed)


def _late(panel):
    """Builder of late fusion with a panel."""
    late = LateFusionClassifier, LateFusionRegressor
    return lambda s: s.either(*late, estimator=panel, **s.seeded)


def _pattern(s):
    pattern = PatternClassifier, PatternRegressor
    return s.either(*pattern, modalities=s.modalities)


def _routed(s):
    if s.task != "classification":
        raise ValueError(f"routed is for classification; got the task {s.task!r}.")
    one = s.before_head()
    single = [(f"{name} alone", one, [name]) for name in s.modalities]
    late = LateFusionClassifier("linear", random_state=s.seed)
    return RoutedClassifier([("all", late), *single], modalities=s.modalities)


def _ul4m4(s):
    fusion = import_optional("skmissing.fusion", "neural")
    task = "regression" if s.regression else "classification"
    k = min(K_PAPER, s.most_clusters)
    return fusion.make_ul4m4(task, n_clusters=k, strategy="greedy", **s.seeded)


def _network(name, **params):
    """Builder of a network of skmissing.fusion.modules."""

    def make(s):
        modules = import_optional("skmissing.fusion.modules", "neural")
        return s.fusion("Fusion", module=getattr(modules, name), **params)

    return make


def _clusters(strategy, n_clusters):
    """Builder of a ClusterGuidedImputer before the linear model."""

    def make(s):
        k = min(n_clusters, s.most_clusters)
        return s.before_head(ClusterGuidedImputer(k, strategy=strategy, **s.seeded))

    return make


def _outside(package, kind, **params):
    """Builder of a classifier or regressor of another package, if it is installed."""

    def make(s):
        module = _import_outside(package)
        kinds = (
            getattr(module, kind + suffix) for suffix in ("Classifier", "Regressor")
        )
        return s.either(*kinds, random_state=s.seed, **params)

    return make


def _import_outside(name):
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise ImportError(
            f"This method needs the package {package}, which cannot be imported: {exc}"
        ) from exc


class ListOfModalities(ClusterMixin, BaseEstimator):
    """A clusterer of imml, which takes a list with one array per modality."""

    def __init__(self, clusterer, modalities):
        self.clusterer = clusterer
        self.modalities = modalities

    def fit(self, X, y=None):
        """Fit the clusterer."""
        table = read_table(X, self.modalities)
        columns = [m.columns for m in table.layout.values()]
        self.labels_ = self.clusterer.fit_predict([table.X[:, c] for c in columns])
        return self


def _imml(kind):
    """Builder of a clusterer of imml, if it is installed."""

    def make(s):
        clusterer = getattr(_import_outside("imml.cluster"), kind)
        clusterer = clusterer(n_clusters=s.n_classes, random_state=s.seed)
        return ListOfModalities(clusterer, s.modalities)

    return make


def _autoencoder(name):
    """Builder of an imputer of skmissing.fusion before the linear model."""

    def make(s):
        fusion = import_optional("skmissing.fusion", "neural")
        return s.before_head(getattr(fusion, name)(**s.seeded))

    return make


# Builder and description by name. Builders take a Setting. KEEP is for columns that are
# never observed in training.
KEEP = {"keep_empty_features": True}
METHODS = {
    "zero": (
        lambda s: s.before_head(
            SimpleImputer(strategy="constant", fill_value=0.0, **KEEP)
        ),
        "composition: gaps filled with 0; linear model",
    ),
    "mean": (
        lambda s: s.before_head(SimpleImputer(**KEEP)),
        "composition: gaps filled with the mean; linear model",
    ),
    # SimpleImputer adds one indicator per column instead of one per modality.
    "mean+indicator": (
        lambda s: s.before_head(
            SimpleModalityImputer(modalities=s.modalities, add_indicator=True)
        ),
        "composition: mean, and one 0/1 column per modality; linear model",
    ),
    "hot_deck": (
        lambda s: s.before_head(SimpleModalityImputer("hot_deck", **s.seeded)),
        "composition: copied from a random sample with the modality; linear model",
    ),
    "knn": (
        lambda s: s.before_head(StandardScaler(), KNNImputer(n_neighbors=10, **KEEP)),
        "composition: KNNImputer of 10 neighbours; linear model",
    ),
    "iterative": (
        _iterative,
        "generation: IterativeImputer; linear model; at most "
        f"{MOST_COLUMNS_ITERATIVE} columns",
    ),
    "greedy": (
        _clusters("greedy", K_PAPER),
        f"composition: UL4M4's imputer as in the paper, k={K_PAPER}; linear model",
    ),
    "nearest": (
        _clusters("nearest", K_PAPER),
        f"composition: nearest centre that has it, k={K_PAPER}; linear model",
    ),
    "soft": (
        _clusters("soft", K_SOFT),
        f"composition: weighted centres, k={K_SOFT}; linear model",
    ),
    "factor": (
        lambda s: s.before_head(
            FactorImputer(min(K_FACTOR, s.most_clusters), max_iter=300, **s.seeded)
        ),
        f"generation: mixture with shared factors, k={K_FACTOR}; linear model",
    ),
    "retrieval": (
        lambda s: s.before_head(RetrievalImputer(modalities=s.modalities)),
        "composition: mean of the 10 nearest samples that have it; linear model",
    ),
    "propagation": (
        lambda s: s.before_head(RetrievalImputer(modalities=s.modalities, n_hops=2)),
        "graph: feature propagation, retrieval with n_hops=2; linear model",
    ),
    "ridge": (
        lambda s: s.before_head(RegressionImputer(modalities=s.modalities)),
        "generation: ridge regression on observed modalities; linear model",
    ),
    "stack": (
        lambda s: s.before_head(StackedImputer(**s.seeded)),
        "generation: StackedImputer of four imputers; linear model",
    ),
    "autoencoder": (
        _autoencoder("AutoencoderImputer"),
        "generation: cascaded residual autoencoder; linear model",
    ),
    "vae": (
        _autoencoder("VariationalImputer"),
        "generation: variational autoencoder of any modalities; linear model",
    ),
    "gcca": (
        lambda s: s.before_head(IncompleteGCCA(modalities=s.modalities)),
        "coordinated representation: generalised CCA; linear model",
    ),
    "hgb": (_boosting, "no family: gradient boosted trees, which accept NaN"),
    "lightgbm": (
        _outside("lightgbm", "LGBM", n_jobs=1, verbose=-1),
        "boosted trees of lightgbm, which accept NaN; if installed",
    ),
    "tabicl": (
        _outside("tabicl", "TabICL"),
        "the pretrained tabular network TabICL; if installed, with its weights",
    ),
    "tabpfn": (
        _outside("tabpfn", "TabPFN"),
        "the pretrained tabular network TabPFN; if installed, with its weights",
    ),
    "dropout": (
        lambda s: ModalityDropout(_boosting(s), **s.seeded),
        "no family: the same trees, trained with modalities hidden as well",
    ),
    "late": (_late("linear"), "ensemble: one linear model per modality, stacked"),
    "auto": (_late("auto"), "ensemble: three models per modality, stacked"),
    "full": (_late("full"), "ensemble: six models per modality, stacked"),
    "pattern": (_pattern, "dedicated: one linear model per pattern of modalities"),
    "routed": (
        _routed,
        "scheduler: late fusion, or one modality alone if as good (classes only)",
    ),
    "mask": (
        lambda s: s.fusion("MHSAFusion", modality_dropout=0.5),
        "attention: over observed modalities, modality dropout",
    ),
    "mask-nodrop": (
        lambda s: s.fusion("MHSAFusion", modality_dropout=0.0),
        "attention: over observed modalities, no dropout",
    ),
    "ul4m4": (_ul4m4, f"composition: UL4M4, k={K_PAPER}; attention"),
    "mmp": (
        lambda s: s.fusion("MMP", projector="cross_attention"),
        "representation generation: MMP, missing tokens predicted",
    ),
    "simmlm": (
        # The higher rate replaces training the experts first.
        _network(
            "DynamicExperts",
            lr=0.01,
            modality_dropout=1.0,
            criterion__consistency="ranking",
        ),
        "ensemble: SimMLM, a gated expert per modality, ranking loss",
    ),
    "missmodal": (
        lambda s: s.fusion("MHSAFusion", criterion__consistency="align"),
        "distillation: MissModal, representations of fewer modalities aligned",
    ),
    "distill": (
        lambda s: s.fusion("MHSAFusion", criterion__consistency="distill"),
        "distillation: attention, from more to fewer modalities",
    ),
    "actionmae": (
        _network("ActionMAE"),
        "representation generation: ActionMAE, an autoencoder of tokens",
    ),
    "shaspec": (
        _network("ShaSpec"),
        "shared and specific representations: ShaSpec",
    ),
    "bottleneck": (
        _network("BottleneckFusion"),
        "attention: latents as a bottleneck between modalities (MBT)",
    ),
    "pooled": (
        _network("PooledFusion"),
        "representation composition: mean over observed modalities",
    ),
    "pooled-signmax": (
        _network("PooledFusion", module__pooling="sign_max"),
        "representation composition: largest absolute value",
    ),
    "film": (
        lambda s: s.fusion("MHSAFusion", module__adaptation="film"),
        "adaptation: attention scaled and shifted by the missing modalities",
    ),
    "prompt": (
        lambda s: s.fusion("MHSAFusion", module__adaptation="prompt"),
        "prompts: attention with a token for the missing modalities",
    ),
    "icl_ca": (
        _network("NeighborAttention"),
        "representation composition: ICL-CA, attention to similar training samples",
    ),
    "m3care": (
        _network("NeighborGraph"),
        "graph: M3Care, missing modalities from similar training samples",
    ),
}
# Methods for the task "clustering". The number of clusters is that of the classes.
CLUSTERERS = {
    "kmeans": (
        lambda s: PartialModalityKMeans(s.n_classes, **s.seeded),
        "PartialModalityKMeans, columns standardised",
    ),
    "kmeans-modality": (
        lambda s: PartialModalityKMeans(
            s.n_classes, standardize="modality", **s.seeded
        ),
        "PartialModalityKMeans, each modality scaled as a whole",
    ),
    "anchor": (
        lambda s: AnchorGraphClustering(s.n_classes, **s.seeded),
        "AnchorGraphClustering",
    ),
    "mixture": (
        lambda s: PartialModalityFactorMixture(s.n_classes, **s.seeded),
        "PartialModalityFactorMixture",
    ),
    "mean+kmeans": (
        lambda s: make_pipeline(
            SimpleImputer(**KEEP),
            StandardScaler(),
            KMeans(s.n_classes, random_state=s.seed),
        ),
        "gaps filled with the mean, KMeans",
    ),
}
for _kind in ("DAIMC", "EEIMVC", "NEMO"):
    CLUSTERERS[f"imml-{_kind.lower()}"] = (
        _imml(_kind),
        f"{_kind} of imml, fitted to the test samples; if installed",
    )
EVERY = METHODS | CLUSTERERS
# Methods of other packages. They are never needed, and not in the defaults.
OUTSIDE = {name for name, (_, text) in EVERY.items() if "; if installed" in text}
TORCH = (
    *("mask", "mask-nodrop", "ul4m4", "mmp", "simmlm", "missmodal", "distill"),
    *("actionmae", "shaspec", "bottleneck", "pooled", "pooled-signmax", "film"),
    *("prompt", "icl_ca", "m3care", "autoencoder", "vae"),
)


def list_methods():
    """List the methods of the benchmark.

    Returns
    -------
    dict of str to str
        Short description of each method, by name.

    Examples
    --------
    >>> from skmissing.benchmark import list_methods
    >>> list_methods()["mean"]
    'composition: gaps filled with the mean; linear model'
    """
    notes = dict.fromkeys(TORCH, " (needs torch)")
    notes |= dict.fromkeys(CLUSTERERS, " (clustering)")
    return {name: text + notes.get(name, "") for name, (_, text) in EVERY.items()}


def read_methods(methods):
    """Methods by name: names of the benchmark, estimators, or factories."""
    if isinstance(methods, str):
        methods = [methods]
    if not isinstance(methods, Mapping):
        if not isinstance(methods, Iterable):
            raise TypeError(
                "methods must be a list of names, or a dict of estimators by name; got "
                f"{methods!r}."
            )
        for method in methods:
            if not isinstance(method, str):
                raise TypeError(
                    "methods must be a dict to name estimators, as in "
                    f"{{'mine': estimator}}; got a list with {method!r}."
                )
        doubled = next((m for m in methods if list(methods).count(m) > 1), None)
        if doubled is not None:
            raise ValueError(
                f"methods must hold each entry once; got {doubled!r} twice."
            )
        methods = dict.fromkeys(methods)
    found = {name: name if m is None else m for name, m in methods.items()}
    for name, method in found.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"methods must have names as keys; got {name!r}.")
        if isinstance(method, str):
            _check_known(method)
        elif isinstance(method, type) or not (is_estimator(method) or callable(method)):
            raise TypeError(
                f"methods[{name!r}] must be a name of the benchmark, an estimator with "
                "fit and predict, a factory f(modalities, random_state), or None; got "
                f"{method!r}."
            )
    return found


def is_estimator(method):
    """Whether a method is an estimator, and not a factory."""
    predicts = hasattr(method, "predict") or hasattr(method, "fit_predict")
    return hasattr(method, "fit") and predicts


def check_task(methods, data):
    """Check that the methods of the benchmark are for the task of some data."""
    known = CLUSTERERS if data.task == "clustering" else METHODS
    for method in methods.values():
        if isinstance(method, str) and method not in known:
            raise ValueError(
                f"methods must be among {', '.join(known)} for the task "
                f"{data.task!r} of data {data.name!r}; got {method!r}."
            )


def _check_known(name):
    """Check that a method exists and that its packages are installed."""
    if name not in EVERY:
        raise ValueError(
            f"methods must be among {', '.join(EVERY)}; got {name!r}."
            f"{did_you_mean(name, EVERY)}"
        )
    if name in TORCH:
        try:
            import_optional("torch", "neural")
            import_optional("skorch", "neural")
        except ImportError as exc:
            raise ImportError(f"The method {name!r} cannot run: {exc}") from exc


def build(method, setting):
    """Build the estimator of a method for some data."""
    if isinstance(method, str):
        return EVERY[method][0](setting)
    if not is_estimator(method):
        model = method(setting.modalities, setting.seed)
        if not is_estimator(model):
            raise TypeError(
                "The function of a method must return an estimator with fit and "
                f"predict; got {model!r}."
            )
        return model
    model = clone(method)
    given = {"modalities": setting.modalities, "random_state": setting.seed}
    unset = {
        path: given[path.rpartition("__")[2]]
        for path, value in model.get_params().items()
        if value is None and path.rpartition("__")[2] in given
    }
    return model.set_params(**unset)


def fingerprint(name, method, setting):
    """Text that tells methods of one name apart: empty for one of the benchmark."""
    if isinstance(method, str):
        return "" if method == name else method
    try:
        model = build(method, setting)
        return joblib.hash([type(model).__qualname__, model.get_params()])
    except Exception as exc:  # noqa: BLE001 - the cell will fail and say so
        return repr(exc)


def make_method(
    name,
    *,
    task,
    modalities,
    n_features,
    n_samples=None,
    n_classes=None,
    random_state=0,
):
    """Build the estimator of a method.

    Parameters
    ----------
    name : str
        One of :func:`list_methods`.
    task : {"classification", "regression", "multilabel", "clustering"}
        Task.
    modalities : dict
        Width or token shape by name.
    n_features : int
        Number of columns of X.
    n_samples : int or None, default=None
        Number of training samples with an observed modality. Methods that cluster make
        at most this number of clusters. None is no limit.
    n_classes : int or None, default=None
        Number of clusters, for the task "clustering".
    random_state : int, default=0
        Seed of the estimator.

    Returns
    -------
    estimator
        Estimator that is not fitted and accepts X with missing modalities.

    Examples
    --------
    >>> from skmissing.benchmark import make_method
    >>> make_method(
    ...     "auto", task="classification", modalities={"a": 3, "b": 2}, n_features=5)
    LateFusionClassifier(modalities={'a': 3, 'b': 2}, random_state=0)
    """
    _check_known(name)
    if task not in MAIN_SCORES:
        raise ValueError(f"task must be among {', '.join(MAIN_SCORES)}; got {task!r}.")
    known = CLUSTERERS if task == "clustering" else METHODS
    if name not in known:
        raise ValueError(
            f"name must be among {', '.join(known)} for the task {task!r}; got "
            f"{name!r}."
        )
    if task == "clustering" and n_classes is None:
        raise ValueError("n_classes must be given for clustering; got None.")
    most_clusters = K_SOFT if n_samples is None else n_samples
    return build(
        name,
        Setting(task, modalities, n_features, random_state, most_clusters, n_classes),
    )
