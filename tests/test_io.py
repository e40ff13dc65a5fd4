"""Saved models come back whole, and a file from a stranger runs no code."""

import io
import json
import os
import pickle
import random
import zipfile
from collections import defaultdict
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_selector
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    check_cv,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

import skmissing
from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer, FactorImputer, RegressionImputer
from skmissing.io import OWN, _parts, dump, load
from skmissing.simulate import ModalityAmputer, PatternTable

from .estimators import make_imputing, public_estimators
from .test_common import (
    ESTIMATORS,
    as_pandas,
    assert_same,
    every_estimator,
    make_data,
    name_of,
    outputs,
    reference,
)

skops_io = pytest.importorskip("skops.io")
sk = SimpleNamespace(**dict(all_estimators()))


def saved(obj, **options):
    file = io.BytesIO()
    dump(obj, file, **options)
    return file.getvalue()


def loaded(data, **options):
    return load(io.BytesIO(data), **options)


def round_trip(obj, **options):
    return loaded(saved(obj, **options), **options)


# ------------------------------------------------------------------------ round trips


def test_every_public_estimator_is_listed():
    public = public_estimators()
    assert set(public) <= set(OWN), "add these to OWN in skmissing/io.py"


@every_estimator
@pytest.mark.parametrize("framed", [False, True], ids=["array", "frame"])
def test_estimators(estimator, framed):
    X, y, fitted, expected = reference(estimator)
    if framed:
        X = as_pandas(X)
        fitted = clone(estimator).fit(X, y)
        expected = outputs(fitted, X)
    twin = round_trip(fitted)
    assert type(twin) is type(fitted)
    if hasattr(fitted, "modalities_"):
        assert list(twin.modalities_.items()) == list(fitted.modalities_.items())
    if framed:
        assert_array_equal(twin.feature_names_in_, fitted.feature_names_in_)
    assert_same(outputs(twin, X), expected)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_estimators_that_are_not_fitted(estimator):
    twin = round_trip(estimator)
    assert repr(twin.get_params()) == repr(estimator.get_params())
    assert not [name for name in vars(twin) if name.endswith("_")]


def make_scikit_learn():
    """Estimators and pipelines of both libraries, to be fitted on complete data."""
    linear, forest = LogisticRegression(), sk.RandomForestClassifier(5, random_state=0)
    wide = ClusterGuidedImputer(2, modalities=[2, 3, 1], random_state=0)
    columns = sk.ColumnTransformer(
        [("a", StandardScaler(), [0, 1]), ("b", sk.MinMaxScaler(), slice(2, 4))],
        remainder="passthrough",
    )
    names = sk.ColumnTransformer(
        [("text", StandardScaler(), ["text__0", "text__1"])],
        remainder=sk.MinMaxScaler(),
    )
    selector = make_column_selector(dtype_include=np.number)
    late = LateFusionClassifier("linear", cv=2)
    parts = clone(late).set_params(modalities={"text": 2, "remainder": 4})
    return [
        make_pipeline(wide, StandardScaler(), linear),
        make_pipeline(
            sk.FeatureUnion([("mean", sk.SimpleImputer()), ("near", wide)]), forest
        ),
        make_pipeline(columns, linear),
        *(
            make_pipeline(clone(names).set_output(transform=output), parts)
            for output in ("default", "pandas", "polars")
        ),
        sk.ColumnTransformer([("a", sk.PCA(2), selector)]),
        make_imputing(sk.OneVsRestClassifier(linear)),
        sk.CalibratedClassifierCV(linear, cv=2),
        sk.CalibratedClassifierCV(forest, cv=2, method="isotonic"),
        sk.HistGradientBoostingClassifier(max_iter=5),
        sk.HistGradientBoostingRegressor(max_iter=5, categorical_features=[]),
        sk.GradientBoostingClassifier(n_estimators=3, random_state=0),
        sk.ExtraTreesRegressor(3, random_state=0),
        sk.IsolationForest(n_estimators=3, random_state=0),
        sk.DecisionTreeClassifier(max_leaf_nodes=5),
        make_pipeline(sk.SelectKBest(k=2), linear),
        make_pipeline(sk.SelectKBest(mutual_info_classif, k=2), sk.SVC()),
        sk.GridSearchCV(late, {"modalities": [[2, 3, 1], [5, 1]]}, cv=KFold(2)),
        sk.GridSearchCV(
            linear, {"C": [1, 2]}, scoring=["accuracy", "r2"], refit="r2", cv=2
        ),
        sk.RandomizedSearchCV(
            linear, {"C": np.logspace(-2, 2)}, n_iter=2, random_state=0, cv=2
        ),
        sk.StackingClassifier([("a", linear), ("b", forest)], cv=2),
        sk.MLPClassifier((3,), max_iter=300, random_state=0),
        sk.KNeighborsClassifier(algorithm="brute"),
        sk.KNNImputer(),
        sk.DummyClassifier(strategy="stratified", random_state=0),
        sk.TransformedTargetRegressor(sk.Ridge(), transformer=StandardScaler()),
        make_pipeline(sk.FunctionTransformer(np.exp), sk.BayesianRidge()),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator", make_scikit_learn(), ids=lambda e: type(e).__name__
)
def test_scikit_learn(estimator):
    pytest.importorskip("polars")
    X, y = make_data(LogisticRegression())
    X = as_pandas(X)
    fitted = estimator.fit(X, y)
    assert_same(outputs(round_trip(fitted), X), outputs(fitted, X))


@pytest.mark.parametrize(
    "encoder",
    [
        sk.OneHotEncoder(min_frequency=11),
        sk.OneHotEncoder(drop=["x", "p"]),
        sk.OneHotEncoder(
            dtype=int, handle_unknown="infrequent_if_exist", max_categories=2
        ),
        sk.OrdinalEncoder(max_categories=2),
        make_pipeline(sk.OneHotEncoder(drop="if_binary"), sk.MinMaxScaler()).steps[0][
            1
        ],
    ],
    ids=repr,
)
def test_categories(encoder):
    table = np.array([list("xxyz" * 10), list("pq" * 20)], dtype=object).T
    fitted = encoder.fit(table)
    found, expected = (e.transform(table) for e in (round_trip(fitted), fitted))
    if hasattr(expected, "toarray"):
        found, expected = found.toarray(), expected.toarray()
    assert_array_equal(found, expected, strict=True)


def test_gradient_boosting_with_categories():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(
        {"a": np.arange(60.0), "b": pandas.Categorical(["u", "v"] * 30)}
    )
    fitted = sk.HistGradientBoostingClassifier(max_iter=2).fit(X, np.arange(60) % 3)
    assert_same(outputs(round_trip(fitted), X), outputs(fitted, X))


@pytest.mark.filterwarnings("ignore:Label not 2 is present|Some inputs do not have")
def test_several_targets():
    """Lists of classes, constant classes and out-of-bag estimates come back."""
    X, _ = make_data(LogisticRegression(), 40)
    Y = np.c_[np.arange(40) % 2, np.arange(40) % 3 > 0, np.zeros(40)].astype(int)
    for model in (
        sk.OneVsRestClassifier(LogisticRegression()).fit(X, Y),
        sk.RandomForestClassifier(20, oob_score=True, random_state=0).fit(X, Y[:, :2]),
        sk.MultiOutputRegressor(sk.Ridge()).fit(X, Y),
    ):
        assert_array_equal(round_trip(model).predict(X), model.predict(X))
    labels = sk.LabelEncoder().fit(["a", "bb"])
    assert list(round_trip(labels).inverse_transform([1, 0])) == ["bb", "a"]


def test_objects_made_of_estimators():
    twin = round_trip({"first": [PartialModalityKMeans(3)], 2: (np.float32(1), None)})
    assert twin["first"][0].n_clusters == 3
    assert twin[2] == (np.float32(1), None)


def test_loaded_model_learns_on(small_multimodal):
    """Arrays that come back can be written to: partial_fit goes on as before."""
    X, _, widths = small_multimodal
    model = PartialModalityKMeans(3, modalities=widths, random_state=0).fit(X)
    twin = round_trip(model)
    assert_array_equal(
        twin.partial_fit(X[:20]).cluster_centers_,
        model.partial_fit(X[:20]).cluster_centers_,
    )


def test_generator_comes_back_where_it_was():
    rng = np.random.RandomState(7)
    rng.standard_normal(3)
    twin = round_trip(PartialModalityKMeans(3, random_state=rng))
    assert_array_equal(twin.random_state.uniform(size=9), rng.uniform(size=9))


@pytest.mark.parametrize("mechanism", ["mar", "mnar", "label", "group", "burst"])
def test_amputer_of_each_mechanism(mechanism, small_multimodal):
    X, y, widths = small_multimodal
    amputer = ModalityAmputer(
        0.3,
        modalities=widths,
        mechanism=mechanism,
        when="fit" if mechanism == "label" else "both",
        random_state=0,
    )
    given = {"groups": y} if mechanism in ("group", "burst") else {"y": y}
    amputer.fit(X, **given)
    twin = round_trip(amputer)
    assert twin.realized_rates_ == amputer.realized_rates_
    given.pop("y", None)
    assert_array_equal(twin.transform(X, **given), amputer.transform(X, **given))


def test_configuration_objects_as_parameters():
    table = PatternTable({"text": 0.5, "text+audio": 0.5})
    assert round_trip(ModalityAmputer(table)).missing == table


@pytest.mark.parametrize(
    "cv",
    [
        GroupKFold(2),
        KFold(3, shuffle=True, random_state=1),
        LeaveOneOut(),
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        ShuffleSplit(2, test_size=0.3, random_state=np.random.RandomState(3)),
        StratifiedKFold(2),
        [(np.arange(30), np.arange(30, 60))],
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_splitters_and_ranges_as_parameters(cv, small_multimodal):
    X, y, _ = small_multimodal
    layout = {"b": range(5, 1, -1), "a": range(2)}
    twin = round_trip(LateFusionClassifier("linear", modalities=layout, cv=cv))
    assert twin.modalities == layout
    assert type(twin.cv) is type(cv)
    groups = y if isinstance(cv, GroupKFold) else None
    folds = [list(check_cv(c).split(X, y, groups)) for c in (twin.cv, cv)]
    for first, second in zip(*folds, strict=True):
        for found, expected in zip(first, second):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("special", ["partial", "never", "indicator", "float32"])
@pytest.mark.filterwarnings("ignore:.*not observed in any:UserWarning")
def test_imputers_with_odd_data(special, small_multimodal):
    """Single missing cells, unseen modalities, indicators and single precision."""
    X, _, widths = small_multimodal
    X = X.astype(np.float32) if special == "float32" else X.copy()
    X[3, 2] = np.nan if special == "partial" else X[3, 2]
    X[:, 5] = np.nan if special == "never" else X[:, 5]
    for imputer in (
        ClusterGuidedImputer(random_state=0),
        FactorImputer(2, max_iter=5, tol=1.0, random_state=0),
        RegressionImputer(),
    ):
        imputer.set_params(modalities=widths, add_indicator=special == "indicator")
        imputer.fit(X)
        assert_same(outputs(round_trip(imputer), X), outputs(imputer, X))


@pytest.mark.parametrize("output", ["pandas", "default"])
def test_output_container_is_kept(output, small_multimodal):
    X, _, widths = small_multimodal
    imputer = ClusterGuidedImputer(2, modalities=widths, random_state=0).fit(X)
    imputer.set_output(transform=output)
    assert type(round_trip(imputer).transform(X)) is type(imputer.transform(X))


def test_requests_for_metadata_are_kept():
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        request = round_trip(model).get_metadata_routing().fit.requests
    assert request["sample_weight"] is True


# ------------------------------------------------------------- what is saved, and how


class Majority(ClassifierMixin, BaseEstimator):
    """A user's class: predicts the most frequent label."""

    def __init__(self, offset=0):
        self.offset = offset

    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.label_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.full(len(X), self.label_)


@pytest.mark.parametrize("trusted", [Majority, f"{__name__}.Majority"])
def test_types_of_the_user(trusted):
    X, y = make_data(LogisticRegression())
    model = make_pipeline(StandardScaler(), Majority(2)).fit(X, y)
    data = saved(model, trusted=trusted)
    twin = loaded(data, trusted=[trusted])
    assert twin[-1].offset == 2
    assert_array_equal(twin.predict(X), model.predict(X))
    with pytest.raises(TypeError, match=r"in `trusted`; got \['tests.*Majority'\]"):
        saved(model)
    with pytest.raises(ValueError, match=r"Untrusted types.*tests.*Majority"):
        loaded(data)


@pytest.mark.parametrize(
    "value, match",
    [
        (make_data, r"test_common\.make_data"),
        (object(), r"builtins\.object"),
        ({True: 1}, "must not be booleans"),
        (
            sk.KNeighborsClassifier().fit(np.ones((20, 1)), np.arange(20)),
            r"\.EuclideanDistance64",
        ),
    ],
)
def test_what_cannot_be_loaded_is_not_saved(value, match, tmp_path):
    path = tmp_path / "model.skops"
    dump(PartialModalityKMeans(3), path)
    with pytest.raises(TypeError, match=match):
        dump(PartialModalityKMeans(3, init=value), path)
    assert load(path).n_clusters == 3


def test_objects_within_themselves_are_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(TypeError, match="must not contain itself"):
        saved(loop)


@pytest.mark.parametrize(
    "container",
    [
        lambda model: make_pipeline("passthrough", model),
        lambda model: {"a": [(model,)]},
        lambda model: np.ma.MaskedArray(
            np.array([model, None], dtype=object)[:1], mask=True
        ),
        lambda model: partial(np.exp, model),
        lambda model: partial(np.exp, out=model),
        lambda model: defaultdict(partial(np.exp, model)),
    ],
)
def test_caches_are_forgotten(container, tmp_path):
    model = make_pipeline(StandardScaler(), memory=str(tmp_path))
    found = [p for p in _parts(round_trip(container(model))) if hasattr(p, "memory")]
    assert [p.memory for p in found if isinstance(p, Pipeline)].count(None) >= 1
    assert str(tmp_path) not in [p.memory for p in found]
    assert model.memory == str(tmp_path)


def test_requests_under_routing(small_multimodal):
    X, y, widths = small_multimodal
    with config_context(enable_metadata_routing=True):
        model = LateFusionClassifier("linear", modalities=widths, cv=2).fit(X, y)
        twin = round_trip(model)
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


def test_devices_that_are_not_there(small_multimodal):
    pytest.importorskip("torch")
    X, y, widths = small_multimodal
    inner = skmissing.fusion.MHSAFusionClassifier(
        modalities=widths, hidden_dim=4, module__n_heads=1, max_epochs=1, random_state=0
    ).fit(X, y)
    data = saved([inner.set_params(device="cuda:77")])
    with pytest.warns(skmissing.ModalityWarning, match=r"\['cuda:77'\]"):
        (twin,) = loaded(data)
    assert twin.device == "auto"
    assert twin.predict(X).shape == (60,)


def test_other_versions():
    """A file of another version of skmissing warns; one of skops alone is loaded."""
    schema, entries = parts(saved(StandardScaler()))
    assert entries["skmissing"].decode() == skmissing.__version__
    with pytest.warns(skmissing.ModalityWarning, match=r"by skmissing 0\.0\.9\."):
        loaded(joined(schema, {"skmissing": "0.0.9"}))
    assert isinstance(loaded(skops_io.dumps(StandardScaler())), StandardScaler)


# ----------------------------------------------------------------- files of strangers


def parts(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(entries.pop("schema.json")), entries


def joined(schema, entries=(), compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in dict(entries).items():
            archive.writestr(name, data)
        archive.writestr(
            "schema.json", schema if isinstance(schema, str) else json.dumps(schema)
        )
    return file.getvalue()


def node(loader, path, **more):
    module, _, name = path.rpartition(".")
    number = more.pop("number", None) or random.randrange(1, 1 << 60)
    return {
        "__loader__": loader,
        "__module__": module,
        "__class__": name,
        "__id__": number,
        **more,
    }


def plain(value):
    """Nodes of strings, numbers, lists, tuples and dictionaries."""
    if isinstance(value, dict):
        return table([node("TypeNode", "builtins.str") for _ in value], value)
    if isinstance(value, (list, tuple)):
        kind = type(value).__name__
        content = [v if isinstance(v, dict) else plain(v) for v in value]
        return node(f"{kind.title()}Node", f"builtins.{kind}", content=content)
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def table(types, content, path="builtins.dict", **more):
    content = {k: v if isinstance(v, dict) else plain(v) for k, v in content.items()}
    keys = node("ListNode", "builtins.list", content=types, **more)
    return node("DictNode", path, key_types=keys, content=content)


MKDIR = f"{os.mkdir.__module__}.mkdir"
KMEANS = "skmissing.cluster._kmeans.PartialModalityKMeans"
SCORER = "sklearn.metrics._scorer._PassthroughScorer"


def partial_of(function, *args):
    content = {
        "func": function,
        "args": plain(args),
        "kwds": plain({}),
        "namespace": plain(None),
    }
    return node("PartialNode", "functools.partial", content=content)


def attacks(target):
    mkdir = node("FunctionNode", MKDIR)
    call = node("ConstructorFromReduceNode", MKDIR, content=plain((target,)))
    return {
        "constructor": call,
        "inside an estimator": node("ObjectNode", KMEANS, content=plain({"a": call})),
        "type of a key": table([mkdir], {target: 0}),
        "partial type of a key": table([partial_of(mkdir, target)], {"511": 0}),
        "class of a list": node("ListNode", MKDIR, content=list(map(plain, target))),
        "class of an array": node(
            "NdArrayNode", MKDIR, type="json", content=[], shape=plain((0,))
        ),
        "class of a loss": node(
            "LossNode", MKDIR, content=plain({}), __reduce__={"args": plain((target,))}
        ),
        "operator": node(
            "OperatorFuncNode", "operator.call", attrs=plain((mkdir, target))
        ),
        "method": node(
            "MethodNode",
            "pathlib.PosixPath",
            content={
                "func": "mkdir",
                "obj": node("ObjectNode", "pathlib.PosixPath", content=plain({})),
            },
        ),
        "random bits": node(
            "RandomGeneratorNode",
            "numpy.random._generator.Generator",
            content={
                "bit_generator": plain({"bit_generator": "seed"}),
                "seed_seq": plain({}),
            },
        ),
        "default": node(
            "DefaultDictNode",
            "collections.defaultdict",
            content={"main": plain({}), "default_factory": mkdir},
        ),
        "protocol": {**node("FunctionNode", MKDIR), "protocol": 0},
    }


@pytest.mark.parametrize("name", attacks("x"))
def test_no_code_runs(name, tmp_path):
    target = tmp_path / "made"
    schema = {"protocol": 2, **attacks(str(target))[name]}
    with pytest.raises(ValueError, match="must be an undamaged file"):
        loaded(joined(schema))
    assert not target.exists()


@pytest.mark.parametrize("name", ["constructor", "inside an estimator"])
def test_the_attacks_are_attacks(name, tmp_path):
    target = tmp_path / "made"
    schema = {"protocol": 2, **attacks(str(target))[name]}
    loaded(joined(schema), trusted=[MKDIR])
    assert target.exists()


def known_names_called():
    scorer = node("ObjectNode", SCORER, content=plain({"_estimator": None}))
    score = node("FunctionNode", "sklearn.metrics._regression.r2_score")
    search = "sklearn.model_selection._search.GridSearchCV"
    twin = node("ListNode", "builtins.list", content=[scorer], number=5)
    text = node("TypeNode", "builtins.str")
    return {
        "constructor": node("ConstructorFromReduceNode", KMEANS, content=plain(())),
        "list": node("ListNode", SCORER, content=[]),
        "dictionary": table([], {}, path=SCORER),
        "method": node(
            "MethodNode",
            search,
            content={"func": "fit", "obj": node("ObjectNode", search)},
        ),
        "loss": node("LossNode", SCORER, content=[], __reduce__={"args": plain(())}),
        "instance as type of a key": table([scorer], {"a": 1}),
        "function as type of a key": table([score], {"a": 1}),
        "known type as type of a key": table([node("TypeNode", SCORER)], {"a": 1}),
        "partial as type of a key": table([partial_of(score, [1])], {"a": 1}),
        "types of keys elsewhere": plain([twin, table([text], {"a": 1}, number=5)]),
        "type of a key elsewhere": plain(
            [{**scorer, "__id__": 6}, table([{**text, "__id__": 6}], {"a": 1})]
        ),
        "keys that are no list": {
            **table([], {}),
            "key_types": node("CachedNode", "builtins.list", content=[]),
        },
    }


@pytest.mark.parametrize("name", known_names_called())
def test_known_names_are_not_called(name):
    schema = {"protocol": 2, **known_names_called()[name]}
    with pytest.raises(ValueError, match="would call it|would be others"):
        loaded(joined(schema))


@pytest.mark.parametrize(
    "name",
    [
        "skmissing._compat.import_optional",
        "skmissing.datasets.fetch_mfeat",
        "skmissing.io.os.system",
        "skmissing.PartialModalityKMeans.fit",
        "skmissing_of_a_stranger.PartialModalityKMeans",
        "sklearn.datasets._base.fetch_file",
        "evil_module.Estimator",
        "",
        "os.system",
    ],
)
@pytest.mark.parametrize("loader", ["FunctionNode", "TypeNode", "ObjectNode"])
def test_other_names_are_not_looked_up(name, loader, tmp_path, monkeypatch):
    for module in ("evil_module", "skmissing_of_a_stranger"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="Untrusted types found"):
        loaded(joined({"protocol": 2, **node(loader, name)}))


def test_distributions_of_scipy_are_not_known():
    """They execute a text that they keep; a search over them needs trust."""
    from scipy.stats import loguniform

    search = sk.RandomizedSearchCV(LogisticRegression(), {"C": loguniform(0.1, 1)})
    with pytest.raises(TypeError, match=r"scipy\.stats"):
        saved(search)
    data = skops_io.dumps(search)
    names = skops_io.get_untrusted_types(data=data)
    assert loaded(data, trusted=names).param_distributions["C"].args == (0.1, 1)
    with pytest.raises(ValueError, match=r"scipy\.stats"):
        loaded(data)


def test_pickles_are_not_read(tmp_path):
    target = tmp_path / "made"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(target),)

    path = tmp_path / "model.skops"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"model\.skops must be an undamaged file"):
        load(path)
    file = io.BytesIO()
    np.save(file, np.array([Evil()]), allow_pickle=True)
    array = node("NdArrayNode", "numpy.ndarray", type="numpy", file="a.npy")
    with pytest.raises(ValueError, match="allow_pickle"):
        loaded(joined({"protocol": 2, **array}, {"a.npy": file.getvalue()}))
    assert not target.exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_bombs_are_refused(compression):
    schema, entries = parts(saved(StandardScaler()))
    data = joined(schema, {"bomb.npy": bytes(10**7)}, compression)
    with pytest.raises(ValueError, match="entries of 1000"):
        loaded(data)


@pytest.fixture(scope="module")
def forest():
    """A fitted tree, and its nodes, which compiled code follows without a check."""
    X, y = make_data(LogisticRegression())
    return sk.DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)


@pytest.mark.parametrize(
    "field, value",
    [
        ("left_child", 1000),
        ("right_child", -7),
        ("left_child", 0),
        ("right_child", 1),
        ("max_depth", 0),
    ],
)
def test_trees_do_not_lead_astray(field, value, forest):
    schema, entries = parts(saved(forest))
    state = schema["content"]["content"]["tree_"]["content"]["content"]
    if field in state:
        state[field] = plain(value)
    else:
        name = state["nodes"]["file"]
        nodes = np.load(io.BytesIO(entries[name]))
        nodes[field][0] = value
        file = io.BytesIO()
        np.save(file, nodes)
        entries[name] = file.getvalue()
    with pytest.raises(ValueError, match="decision tree"):
        loaded(joined(schema, entries))


def test_gradient_boosting_does_not_lead_astray():
    X, y = make_data(LogisticRegression())
    model = sk.HistGradientBoostingClassifier(max_iter=1).fit(X, y)
    model._predictors[0][0].nodes["left"][0] = 1000
    with pytest.raises(ValueError, match="decision tree"):
        loaded(saved(model))


# ------------------------------------------------------------------------ damaged files


@pytest.fixture(scope="module")
def model_bytes(forest):
    X, y = make_data(ClusterGuidedImputer())
    imputer = ClusterGuidedImputer(2, modalities=[2, 3, 1], random_state=0)
    return saved(make_pipeline(imputer, forest).fit(X, y))


def test_truncated_files(model_bytes, tmp_path):
    path = tmp_path / "model.skops"
    size = len(model_bytes)
    for length in [0, 1, 4, 30, *range(100, size, size // 40), size - 1]:
        path.write_bytes(model_bytes[:length])
        with pytest.raises(ValueError, match=r"model\.skops must be an undamaged"):
            load(path)


def test_altered_files(model_bytes):
    with zipfile.ZipFile(io.BytesIO(model_bytes)) as archive:
        entries = archive.infolist()
    for entry in entries[:: len(entries) // 20]:
        data = bytearray(model_bytes)
        data[entry.header_offset + 30 + len(entry.filename) + entry.file_size // 2] ^= 1
        with pytest.raises(ValueError, match="BadZipFile"):
            loaded(bytes(data))


@pytest.mark.parametrize("text", ["[" * 100_000, "NaN", "", "{", "3", "{}", "null"])
def test_schemas_that_are_none(text):
    with pytest.raises(ValueError, match="must be an undamaged file"):
        loaded(joined(text))


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.skops")


VALUES = [
    None,
    True,
    -1,
    0,
    3,
    2**62,
    0.5,
    "",
    "é",
    "builtins.list",
    [],
    {},
    [0],
    "NaN",
]


def mutated(schema, entries, rng):
    """Change a place of the schema, or a byte of an array; checksums will fit."""
    if rng.random() < 0.3:
        name = rng.choice(sorted(entries))
        data = bytearray(entries[name])
        for _ in range(rng.choice((1, 3))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 255, 39, 40))
        return schema, {**entries, name: bytes(data)}
    schema, places, queue = json.loads(json.dumps(schema)), [], []
    queue.append(schema)
    while queue:
        inner = queue.pop()
        for key in inner if isinstance(inner, dict) else range(len(inner)):
            places.append((inner, key))
            if isinstance(inner[key], (dict, list)):
                queue.append(inner[key])
    (first, key), (second, other) = rng.choices(places, k=2)
    how = rng.randrange(5)
    if how == 0:
        del first[key]
    elif how == 1:
        first[key] = json.loads(json.dumps(second[other]))
    elif how == 2 and isinstance(first, dict):
        names = ("__class__", "__module__", "__loader__", "__id__", "content", "file")
        first[rng.choice(names)] = json.loads(json.dumps(second[other]))
    else:
        first[key] = rng.choice(VALUES)
    return schema, entries


@pytest.mark.filterwarnings("ignore:.*was saved by skmissing")
def test_fuzz(model_bytes, seed):
    """Changed files load or end in the one error; no other error, no crash."""
    rng, counts = random.Random(seed), {True: 0, False: 0}
    originals = [parts(model_bytes), parts(saved(ModalityAmputer(0.2).fit(np.eye(9))))]
    for _ in range(200):
        schema, entries = rng.choice(originals)
        for _ in range(rng.choice((1, 1, 2))):
            schema, entries = mutated(schema, entries, rng)
        data = bytearray(joined(schema, entries))
        if rng.random() < 0.1:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            with np.errstate(all="ignore"):
                loaded(bytes(data))
        except ValueError as error:
            assert "must be an undamaged file" in str(error)
            counts[False] += 1
        else:
            counts[True] += 1
    assert min(counts.values()) > 15, counts
