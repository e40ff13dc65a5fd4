"""How `modalities=` is read against the columns of X."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingRegressor
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skmissing import ModalityWarning
from skmissing._modalities import count, resolve_modalities
from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import (
    LateFusionClassifier,
    ModalityDropout,
    MultipleImputationClassifier,
)
from skmissing.impute import ClusterGuidedImputer
from skmissing.inspection import score_by_pattern
from skmissing.mixture import PartialModalityFactorMixture
from skmissing.simulate import missing_rates

NAMES = ["text__0", "text__1", "audio__0", "text__2", "audio__1"]
LEFT = {"a": [4], "audio": [2], "text": [0, 1, 3]}
MIXED = [*NAMES[:4], "age"]


def columns(layout):
    return {name: m.columns.tolist() for name, m in layout.items()}


@pytest.mark.parametrize(
    "modalities, names, expected",
    [
        (None, None, {f"x{i}": [i] for i in range(5)}),
        (None, list("abcde"), {c: [i] for i, c in enumerate("abcde")}),
        (None, NAMES, {"text": [0, 1, 3], "audio": [2, 4]}),
        ([2, 3], None, {"modality0": [0, 1], "modality1": [2, 3, 4]}),
        (np.array([2, 3]), NAMES, {"modality0": [0, 1], "modality1": [2, 3, 4]}),
        ({"a": 2, "b": 3}, None, {"a": [0, 1], "b": [2, 3, 4]}),
        ({"a": (2, 2), "b": 1}, None, {"a": [0, 1, 2, 3], "b": [4]}),
        ({"b": slice(3, None), "a": slice(3)}, None, {"b": [3, 4], "a": [0, 1, 2]}),
        ({"a": [4, 0], "b": 3}, None, {"a": [4, 0], "b": [1, 2, 3]}),
        ({"a": ["audio__1", 0], "b": [1, 2, 3]}, NAMES, {"a": [4, 0], "b": [1, 2, 3]}),
        ({"audio": 2, "text": (3, 1)}, NAMES, {"audio": [2, 4], "text": [0, 1, 3]}),
        ({"a": 1, "audio": 1, "text": 3}, MIXED, LEFT),
        # Behind the prefix of a step, in whatever order.
        ({"audio": 2, "text": 3}, [f"s__{n}" for n in NAMES],
         {"audio": [2, 4], "text": [0, 1, 3]}),
    ],
)  # fmt: skip
def test_forms(modalities, names, expected):
    layout = resolve_modalities(modalities, 5, names)
    assert columns(layout) == expected
    assert list(layout) == list(expected)


@pytest.mark.parametrize(
    "modalities, match",
    [
        (
            {"video": 2, "text": 3},
            r"\['video'\] takes the columns .* prefix 'audio', b",
        ),
        (
            {"audios": 1, "texts": 4},
            r"\['texts'\] takes some of .* 'audio' or 'text', b",
        ),
    ],
)
def test_counts_of_misspelt_names_warn(modalities, match):
    with pytest.warns(ModalityWarning, match=match) as caught:
        layout = resolve_modalities(modalities, 5, NAMES)
    assert {name: m.width for name, m in layout.items()} == modalities
    assert len(caught) == 1


@pytest.mark.parametrize(
    "modalities",
    [
        {"a": 1, "b": 2, "c": 2},
        {"text": 1, "audio": 2, "a": 1, "b": 1},
        {"a": 3, "image": 2},
    ],
)
def test_prefixes_may_be_renamed_divided_and_joined(modalities):
    names = ["text__0", "audio__0", "audio__1", "image__0", "image__1"]
    assert list(resolve_modalities(modalities, 5, names)) == list(modalities)


def test_names_of_which_some_have_no_prefix_warn():
    match = (
        r"1 of the 5 column names have no prefix .*: 'age'. .* as in 'age__0', or pass"
    )
    with pytest.warns(UserWarning, match=match):
        layout = resolve_modalities(None, 5, MIXED)
    assert columns(layout) == {n: [i] for i, n in enumerate(MIXED)}
    names = ["text__0", *"abcdefg"]
    with pytest.warns(
        UserWarning, match="7 of the 8 .*: 'a', 'b', 'c', 'd', 'e', ...."
    ):
        resolve_modalities(None, 8, names)


def test_names_are_told_of_in_fit_only():
    X = np.random.RandomState(0).standard_normal((20, 5))
    frame = pd.DataFrame(X, columns=MIXED)
    for estimator in (
        PartialModalityKMeans(2),
        ModalityDropout(HistGradientBoostingRegressor()),
    ):
        with pytest.warns(
            UserWarning, match="KMeans|Dropout: 1 of the 5 .* no prefix"
        ) as caught:
            estimator.fit(frame, X[:, 0])
        assert len(caught) == 1
        estimator.predict(frame)
        estimator.set_params(modalities={"text": 3, "audio": 1, "age": 1})
        estimator.fit(frame, X[:, 0]).predict(frame)


def test_layout_order_and_slices():
    layout = resolve_modalities({"a": [4, 0], "b": 3}, 5)
    x = np.arange(5) * 10
    assert [x[layout.order][s].tolist() for s in layout.slices] == [
        [40, 0],
        [10, 20, 30],
    ]
    assert layout.owner.tolist() == [0, 0, 1, 1, 1]


def test_token_shape():
    layout = resolve_modalities({"audio": (2, 3), "text": 4}, 10)
    assert layout["audio"].shape == (2, 3)
    assert layout["text"].shape == (1, 4)
    assert repr(layout) == "{'audio': (2, 3), 'text': 4}"


@pytest.mark.parametrize(
    "modalities, names, error, match",
    [
        ([2, 2], None, ValueError, r"add up to 4, but X has 5 features"),
        ([2, 0, 3], None, ValueError, r"modalities\[1\] must be at least 1; got 0"),
        ([2.0, 3], None, TypeError, r"modalities\[0\] must be an int; got 2.0"),
        ([True, 4], None, TypeError, r"modalities\[0\] must be an int; got True"),
        ([], None, ValueError, "modalities is empty"),
        ({}, None, ValueError, "modalities is empty"),
        ("text", None, TypeError, "must be None, a list of widths or a dict"),
        ({1: 5}, None, TypeError, "names must be strings; got 1"),
        ({"a": 2}, None, ValueError, r"3 of the 5 columns of X are in no modality: 2"),
        ({"a": 4, "b": 3}, None, ValueError, "ask for 7 columns, but X has 5 features"),
        ({"a": [0, 1], "b": [1, 2, 3, 4]}, None, ValueError, "Column 1 is named twice"),
        ({"a": [0, 0], "b": 3}, None, ValueError, "Column 0 is named twice .* 'a'"),
        ({"a": [5]}, None, ValueError, "position 5, but X has columns 0 to 4"),
        ({"a": [-1]}, None, ValueError, "position -1, but X has columns 0 to 4"),
        ({"a": ["nope"]}, NAMES, ValueError, "column 'nope', which X has 0 times"),
        ({"a": ["text__0"]}, None, ValueError, "X has no column names"),
        ({"a": [True]}, None, TypeError, "names or positions; got True"),
        ({"a": slice(7, 9)}, None, ValueError, "holds no column of X"),
        ({"a": slice("x", "y")}, None, TypeError, "slice of positions"),
        ({"a": (2, 2)}, None, ValueError, "1 of the 5 columns"),
        ({"a": (2, 3)}, None, ValueError, "ask for 6 columns, but X has 5 features"),
        ({"a": (2, 2, 1)}, None, ValueError, r"token shape .* got \(2, 2, 1\)"),
        ({"a": (0, 5)}, None, ValueError, "n_tokens must be at least 1; got 0"),
        ({"a": "text"}, None, TypeError, "must be an int, a token shape"),
        ({"a": 2.5}, None, TypeError, "must be an int, a token shape"),
        ({"text": 2, "audio": 3}, NAMES, ValueError, "3 columns named 'text__..."),
        (None, ["a", "a", "b", "c", "d"], ValueError, "found more than once: 'a'"),
    ],
)  # fmt: skip
def test_errors(modalities, names, error, match):
    with pytest.raises(error, match=match):
        resolve_modalities(modalities, 5, names)


def test_estimator_gives_layout_errors():
    X = np.ones((4, 5)) * np.arange(4)[:, None]
    with pytest.raises(ValueError, match="add up to 4, but X has 5 features"):
        PartialModalityKMeans(2, modalities=[2, 2]).fit(X)
    frame = pd.DataFrame(X, columns=NAMES)
    with pytest.raises(ValueError, match="column 'nope', which X has 0 times"):
        PartialModalityKMeans(2, modalities={"a": ["nope"]}).fit(frame)


def test_layout_of_another_estimator():
    X = np.random.RandomState(0).standard_normal((20, 5))
    layout = (
        PartialModalityKMeans(2, modalities={"a": (2, 2), "b": 1}).fit(X).modalities_
    )
    again = clone(PartialModalityKMeans(2, modalities=layout)).fit(X)
    assert again.modalities_ == layout
    with pytest.raises(ValueError, match="holds 5 columns, but X has 4 features"):
        again.fit(X[:, :4])


def test_plurals_of_messages():
    assert count(1, "column") == "1 column"
    assert count(np.int64(2), "column") == "2 columns"
    assert count(0, "text is", "texts are") == "0 texts are"
    with pytest.raises(ValueError, match=r"add up to 2, but X has 1 feature\."):
        resolve_modalities([2], 1)


# ------------------------------------------------- names that other tools make


def late():
    return LateFusionClassifier(DummyClassifier(), combine="log")


def samples(names):
    """A frame whose columns are numbered, and two classes."""
    X = pd.DataFrame(np.random.RandomState(0).standard_normal((12, len(names))))
    return X.set_axis(names, axis=1), np.arange(12) % 2


@pytest.mark.parametrize(
    "names, expected",
    [
        ([("gene", 0), ("lipid", 0), ("gene", 1)], {"gene": [0, 2], "lipid": [1]}),
        ([(7, 0), (7, 1), (8, 0)], {"7": [0, 1], "8": [2]}),
        (
            [("a", "p", "x"), ("a", "q", "x"), ("b", "p", "x")],
            {"a": [0, 1], "b": [2]},
        ),
        ([("a__0",), ("a__1",), ("b__0",)], {"a": [0, 1], "b": [2]}),
        ([("a", "x"), ("a", "y"), ("age", "")], {"a": [0, 1], "age": [2]}),
    ],
)
def test_first_level_is_the_modality(names, expected):
    X, y = samples(pd.MultiIndex.from_tuples(names))
    model = late().fit(X, y)
    assert columns(model.modalities_) == expected
    flat = X.set_axis(["__".join(map(str, name)) for name in names], axis=1)
    assert model.feature_names_in_.tolist() == flat.columns.tolist()
    expected = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(flat), expected)
    layout = {name: m.columns for name, m in model.modalities_.items()}
    model = late().set_params(modalities=layout).fit(flat, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.rename(columns={names[0][0]: "other"}, level=0))
    X.iloc[:3, :1] = np.nan
    imputer = ClusterGuidedImputer(2, random_state=0).set_output(transform="pandas")
    assert imputer.fit_transform(X).columns.tolist() == flat.columns.tolist()
    assert set(missing_rates(X)) == set(layout)
    scores = score_by_pattern(model, X, y)  # the caller's frame is handed on
    assert set(scores.modalities) == set(layout)


def test_other_names():
    """Numbers are no names; an empty prefix is none; mixed names are refused."""
    X, y = samples(range(3))
    assert list(late().fit(X, y).modalities_) == ["x0", "x1", "x2"]
    X, y = samples(["__0", "__1", "__2"])
    assert list(late().fit(X, y).modalities_) == ["__0", "__1", "__2"]
    X, y = samples(["__0", "a__1", "a__2"])
    with pytest.warns(ModalityWarning, match="1 of the 3 .*: '__0'..* as in '0__0'"):
        late().fit(X, y)
    X, y = samples([0, "a", "b"])
    with pytest.raises(TypeError, match="convert them all to strings"):
        late().fit(X, y)


@pytest.mark.parametrize("pair", [("Text", "text"), ("text ", "text"), (" a", "A")])
def test_prefixes_that_differ_in_case_or_blanks_warn(pair):
    X, y = samples([f"{prefix}__{i}" for prefix in pair for i in "01"])
    with pytest.warns(ModalityWarning, match="LateFusion.* differ only in blanks"):
        model = late().fit(X, y)
    assert list(model.modalities_) == list(pair)


@pytest.mark.parametrize(
    "names, merged",
    [
        (["s__text__0", "s__audio__0", "remainder__x__0"], "'s' .'text', 'audio'."),
        (["a__0", "a__1", "remainder__b__0", "remainder__age"], "'b', 'age'"),
        (["o__i__text__0", "o__i__audio__0", "o__i__audio__1"], "'o' .'text', 'audio'"),
        (["text__tfidf__good", "text__svd__0", "audio__0"], "'tfidf', 'svd'"),
        (["text__tfidf__good", "text__bad", "audio__0"], None),
        (["a__text__0", "b__audio__0", "b__audio__1"], None),
        (["a__0", "remainder__age", "remainder__sex"], None),
    ],
)
def test_prefix_of_a_step_warns(names, merged):
    """A prefix in front of several may be a modality, too: pass modalities= then."""
    X, y = samples(names)
    if merged is None:
        late().fit(X, y)
        return
    with pytest.warns(ModalityWarning, match=f"{merged}.* verbose_feature_names_out"):
        model = late().fit(X, y)
    late().set_params(modalities={n: m.width for n, m in model.modalities_.items()})
    late().set_params(modalities=model.modalities_).fit(X, y)


@pytest.mark.parametrize("verbose", [True, False])
def test_some_columns_scaled(verbose):
    X, y = samples([f"{m}__{i}" for m in ("text", "audio", "image") for i in (0, 1)])
    scaler = ColumnTransformer(
        [("scaled", StandardScaler(), X.columns[:4].tolist())],
        remainder="passthrough",
        verbose_feature_names_out=verbose,
    )
    model = make_pipeline(scaler, late()).set_output(transform="pandas")
    if verbose:
        with pytest.warns(ModalityWarning, match="'scaled' .'text', 'audio'."):
            model.fit(X, y)
        model.set_params(
            latefusionclassifier__modalities={"image": 2, "audio": 2, "text": 2}
        )
    layout = model.fit(X, y)[-1].modalities_
    assert columns(layout) == {
        "text": [0, 1],
        "audio": [2, 3],
        "image": [4, 5],
    }


# ----------------------------------------------------------- names that are lost


@pytest.mark.parametrize(
    "wrap, owner",
    [
        (lambda model: BaggingClassifier(model, 2), "BaggingClassifier"),
        (OneVsOneClassifier, "OneVsOneClassifier"),
        (SelfTrainingClassifier, "SelfTrainingClassifier"),
        (lambda model: make_pipeline(StandardScaler(), model), "Pipeline"),
    ],
)
def test_wrappers_that_hand_on_arrays_warn(wrap, owner):
    X, y = samples([f"{m}__{i}" for m in ("text", "audio") for i in range(3)])
    y = np.where(np.arange(12) == 0, -1, y) if owner[:4] == "Self" else y
    match = f"6 columns .* because {owner} was .* 'text__0' .* an array. To group"
    with pytest.warns(ModalityWarning, match=match) as caught:
        wrap(late()).fit(X, y)
    assert "modalities={'text': 3, 'audio': 3}" in str(caught[0].message)
    wrap(late().set_params(modalities={"text": 3, "audio": 3})).fit(X, y)
    wrap(late()).fit(X.to_numpy(), y)


def test_wrappers_that_hand_on_frames_keep_the_modalities():
    X, y = samples([f"{m}__{i}" for m in ("text", "audio") for i in range(3)])
    inner = OneVsRestClassifier(late()).fit(X, y).estimators_[0]
    assert list(inner.modalities_) == ["text", "audio"]


@pytest.mark.parametrize(
    "estimator",
    [
        late(),
        PartialModalityKMeans(2),
        PartialModalityFactorMixture(2, n_factors=1, max_iter=9, tol=1e9),
        ModalityDropout(HistGradientBoostingRegressor(max_iter=1)),
        MultipleImputationClassifier(n_imputations=1, random_state=0),
    ],
)
def test_arrays_of_many_columns_warn(estimator):
    """From 31 columns on; those of a frame with names of its own from 65 on."""
    X, y = samples(range(65))
    match = f"{type(estimator).__name__}: each of the 31 columns"
    with pytest.warns(ModalityWarning, match=match):
        estimator.fit(X.iloc[:, :31].to_numpy(), y)
    if not isinstance(estimator, LateFusionClassifier):
        return
    estimator.fit(X.iloc[:, :30].to_numpy(), y)
    estimator.fit(X.iloc[:, :64].add_prefix("item"), y)
    with pytest.warns(ModalityWarning, match="each of the 65 columns"):
        estimator.fit(X.add_prefix("item"), y)
    ClusterGuidedImputer(2).fit(X.to_numpy())
