"""Tables to X and back, and transformers per modality."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from skmissing._table import ModalityWarning
from skmissing.compose import (
    PerModality,
    align,
    from_anndata,
    from_mudata,
    from_tables,
    mark_missing,
    split_tables,
    to_mudata,
)
from skmissing.ensemble import LateFusionClassifier, ModalityDropout
from skmissing.impute import FactorImputer, RegressionImputer, masked_imputation_score
from skmissing.simulate import ampute

GENE = {"id": ["p3", "p1", "p2"], "a": [3, 1, 2], "b": [True, False, True]}
CLINIC = {"id": ["p2", "p4"], "sex": ["f", "m"], "sick": [1, 0]}


@pytest.fixture(params=[pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def tables(request):
    return {"gene": request.param(GENE), "clinic": request.param(CLINIC)}


def cells(X):
    """Rows of a data frame of any library, None where missing."""
    rows = X.rows() if isinstance(X, pl.DataFrame) else X.itertuples(index=False)
    return [tuple(None if v != v else v for v in row) for row in rows]


@pytest.mark.parametrize(
    "how, expected",
    [
        ("outer", ["p3", "p1", "p2", "p4"]),
        ("inner", ["p2"]),
        ("left", ["p3", "p1", "p2"]),
    ],
)
def test_join_is_that_of_a_loop(tables, how, expected):
    X, report = from_tables(tables, on="id", how=how, report=True)
    assert list(X.columns) == ["gene__a", "gene__b", "clinic__sex", "clinic__sick"]
    known = [dict(zip(t["id"], zip(*list(t.values())[1:]))) for t in (GENE, CLINIC)]
    rows = [
        known[0].get(k, (None,) * 2) + known[1].get(k, (None,) * 2) for k in expected
    ]
    assert cells(X) == rows
    assert report.index == expected
    assert report.n_samples == {
        name: sum(k in seen for k in expected)
        for name, seen in zip(("gene", "clinic"), known)
    }
    assert sum(report.patterns.values()) == len(expected)
    assert (
        f"of {len(expected)} sample" in repr(report) and "gene" in report._repr_html_()
    )
    if isinstance(X, pd.DataFrame):
        assert X.index.tolist() == expected and X.index.name == "id"


@pytest.mark.parametrize("how", ["inner", "left"])
def test_rows_in_another_order_meet(tables, how):
    frame = type(tables["gene"])
    X, y = from_tables(
        {
            "a": frame({"id": ["p3", "p1", "p2"], "v": [3, 1, 2]}),
            "b": frame({"id": ["p1", "p2", "p3"], "v": [1, 2, 3]}),
        },
        on="id",
        how=how,
        y=frame({"id": ["p2", "p3", "p1"], "v": [2, 3, 1]}),
    )
    assert cells(X) == [(3, 3), (1, 1), (2, 2)] and list(y) == [3, 1, 2]


def test_target_keeps_the_order(tables):
    """It is a column of a table, a table of its own, or a Series with the index."""
    with pytest.warns(ModalityWarning, match="2 samples without y .* left out"):
        X, y = from_tables(tables, on="id", y="sick")
    assert list(X.columns) == ["gene__a", "gene__b", "clinic__sex"]
    assert cells(X) == [(2, 1, "f"), (None, None, "m")] and list(y) == [1, 0]
    target = type(tables["gene"])({"id": ["p9", "p2", "p1", "p4"], "y": [9, 2, 1, 4]})
    with pytest.warns(ModalityWarning) as caught:
        X, y = from_tables(tables, on="id", y=target)
    assert {str(w.message) for w in caught} == {
        "from_tables: 1 sample without y is left out.",
        "from_tables: 1 value of y without a sample is left out.",
    }
    assert list(y) == [1, 2, 4] and len(X) == 3
    if isinstance(target, pd.DataFrame):
        indexed = {name: t.set_index("id") for name, t in tables.items()}
        with pytest.warns(ModalityWarning, match="left out"):
            _, again = from_tables(indexed, y=target.set_index("id")["y"])
        assert_array_equal(again, y)


def test_keys_of_several_columns_and_of_other_names():
    visits = pd.DataFrame({"who": [1, 1], "day": [1, 2], "v": [1.0, 2.0]})
    scans = pd.DataFrame({"p": [1.0, 2.0], "day": [2, 2], "s": [5.0, 6.0]})
    X = from_tables(
        {"visit": visits, "scan": scans},
        on={"visit": ["who", "day"], "scan": ["p", "day"]},
    )
    assert X.index.tolist() == [(1, 1), (1, 2), (2, 2)]
    assert cells(X) == [(1.0, None), (2.0, 5.0), (None, 6.0)]


def test_position_is_only_used_if_asked(tables):
    equal = {"gene": tables["gene"], "clinic": tables["gene"][["a"]]}
    match = "default index|has no index"
    with pytest.raises(ValueError, match=match):
        from_tables(equal)
    X, y = from_tables(equal, how="position", y=["u", "v", "w"])
    assert list(X.columns) == ["gene__id", "gene__a", "gene__b", "clinic__a"]
    assert list(y) == ["u", "v", "w"] and cells(X)[0] == ("p3", 3, 1, 3)
    with pytest.raises(ValueError, match="lengths must be equal"):
        from_tables(tables, how="position")
    with pytest.raises(ValueError, match=r"one value per row \(3\); got shape \(2,\)"):
        from_tables(equal, how="position", y=[1, 2])
    with pytest.raises(ValueError, match="on must be None with how='position'"):
        from_tables(equal, how="position", on="id")


FRAME = pd.DataFrame({"id": ["a", "b"], "v": [1.0, 2.0]})


def frame(**columns):
    return pd.DataFrame({"v": [1.0, 2.0], **columns})


@pytest.mark.parametrize(
    "tables, params, error, match",
    [
        ([FRAME], {}, TypeError, "tables must be a dict .* got list"),
        ({"a__b": FRAME}, {}, ValueError, "strings without '__'.* got 'a__b'"),
        ({"a_": FRAME, "a": FRAME}, {}, ValueError, "not end with '_'; got 'a_'"),
        ({"a": FRAME}, {"on": 0}, TypeError, "on must be the name .* got 0"),
        ({"a": FRAME}, {"on": "id", "y": [0, 1]}, TypeError, "y must be .* got list"),
        (
            {"a": FRAME},
            {"on": "id", "y": pl.DataFrame({"id": ["a"], "y": [1]})},
            TypeError,
            "and y must be of one library; got .*'y': 'polars'",
        ),
        ({"a": np.ones((2, 2))}, {}, TypeError, r"tables\['a'\] must be a .* ndarray"),
        ({"a": FRAME}, {"how": "cross"}, ValueError, "how must be .* got 'cross'"),
        (
            {"a": FRAME},
            {"on": "key"},
            ValueError,
            "key 'key'; its columns are|key; its",
        ),
        ({"a": FRAME}, {"on": {"b": "id"}}, ValueError, "on must name .*a.*; got .*b"),
        ({"a": FRAME}, {"on": "id", "y": "z"}, ValueError, "y='z' must be a column"),
        ({"a": FRAME}, {"on": ["id", "v"]}, ValueError, "a column besides its key"),
        (
            {"a": FRAME.set_axis(["id", "id"], axis=1)},
            {"on": "id"},
            ValueError,
            "unique columns; got 'id' more than once",
        ),
        (
            {"a": FRAME, "b": FRAME},
            {"on": {"a": "id"}},
            ValueError,
            "on must have the key of each table; got none of b",
        ),
        (
            {"a": FRAME},
            {"on": {"a": "id"}, "y": FRAME.assign(w=1)},
            ValueError,
            "one column besides the key; got 2: 'v', 'w'",
        ),
        (
            {"a": frame(id=["p", "p"])},
            {"on": "id"},
            ValueError,
            "each key once; got 1 key more than once, such as 'p' in 2 rows",
        ),
        (
            {"a": frame(id=["p", None])},
            {"on": "id"},
            ValueError,
            "got 1 row of 2 without one",
        ),
        (
            {"a": FRAME, "b": frame(id=[1, 2])},
            {"on": "id"},
            TypeError,
            r"one type in all tables; got .*'a'.*str.*'b'.*number",
        ),
        (
            {"a": FRAME, "b": pl.DataFrame(FRAME)},
            {"on": "id"},
            TypeError,
            "of one library; got .*pandas.*polars",
        ),
        (
            {"a": FRAME, "b": frame(id=["b", "c"])[["id"]].assign(w=1)},
            {"on": "id", "y": pd.DataFrame({"id": ["z"], "y": [1]})},
            ValueError,
            "No sample is left",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::skmissing.ModalityWarning")
def test_bad_tables(tables, params, error, match):
    with pytest.raises(error, match=match):
        from_tables(tables, **params)


def test_keys_that_never_meet_warn():
    other = frame(id=[" A", "B "])
    with pytest.warns(ModalityWarning, match="no key is in two .* if blanks and case"):
        assert len(from_tables({"a": FRAME, "b": other}, on="id")) == 4


def test_a_table_whose_keys_match_no_other_warns(tables):
    """Also if all other tables match."""
    odd = type(tables["gene"])({"id": ["P1", "P2"], "size": [1.0, 2.0]})
    what = (
        r"none of the 2 keys of tables\['scan'\] is in another table; got 'P1', and "
        "'p3' in another table. Some keys are equal if blanks and case"
    )
    with pytest.warns(ModalityWarning, match=what) as caught:
        assert len(from_tables({**tables, "scan": odd}, on="id")) == 6
    assert len(caught) == 1


def test_split_is_the_way_back(tables):
    X = from_tables(tables, on="id")
    parts = split_tables(X, drop_missing=True)
    assert list(parts) == ["gene", "clinic"]
    assert list(parts["gene"].columns) == ["a", "b"] and len(parts["gene"]) == 3
    if isinstance(X, pd.DataFrame):
        again = from_tables(parts)
        pd.testing.assert_frame_equal(again, X, check_names=False)
    with pytest.raises(ValueError, match="named modality__feature; got .*id"):
        split_tables(tables["gene"])


@pytest.mark.parametrize("columns", [["b__0", "a__0"], ["b__0"]])
@pytest.mark.parametrize("name", ["imputer", "per_modality"])
def test_other_columns_than_in_fit_hint_at_align(name, columns):
    X = pd.DataFrame({"a__0": [1.0, 2, 3], "b__0": [2.0, 4, 6]})
    models = {
        "imputer": RegressionImputer(min_samples=2),
        "per_modality": PerModality(StandardScaler()),
    }
    model = models[name].fit(X)
    with pytest.raises(ValueError, match=r"compose.align\(X, estimator\) sorts the"):
        model.transform(X[columns])
    assert np.isfinite(model.transform(align(X[columns], model))[:, 1]).all()


def test_align():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        rng.standard_normal((40, 4)), columns=["a__0", "a__1", "b__0", "c__0"]
    )
    imputer = RegressionImputer().fit(X)
    new = X[["c__0", "a__1", "a__0"]]
    aligned = align(new.assign(extra=1.0)[["c__0", "a__1", "a__0"]], imputer)
    assert list(aligned.columns) == list(X.columns) and aligned["b__0"].isna().all()
    assert_allclose(
        imputer.transform(aligned), imputer.transform(X.assign(b__0=np.nan))
    )
    assert_array_equal(align(pl.DataFrame(new), imputer).to_numpy(), aligned)
    with pytest.raises(ValueError, match=r"missing:\n- b__0\n.*compose.align\(X, est"):
        imputer.transform(X[["a__0", "a__1", "c__0"]])
    with pytest.warns(ModalityWarning, match="1 column that .* is left out: .*extra"):
        align(new.assign(extra=1.0), imputer)
    with pytest.raises(ValueError, match="all columns of 'a', or none; got 1 of 2"):
        align(X[["a__0", "c__0"]], imputer)
    with pytest.raises(ValueError, match="must have a column of the estimator"):
        align(X[["c__0"]].set_axis(["z"], axis=1), imputer)
    with pytest.raises(ValueError, match="must be fitted to a data frame"):
        align(X, RegressionImputer().fit(X.to_numpy()))
    with pytest.raises(TypeError, match="X must be a .* got ndarray"):
        align(X.to_numpy(), imputer)


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, np.array])
def test_codes_are_marked_missing(container):
    X = {
        "lab__a": [1.0, -9.0, 3.0],
        "lab__b": [-9, 2, -999],
        "scan__0": [0.0, 0.0, 2.0],
        "scan__1": [0.0, 5.0, 0.0],
    }
    modalities = None if container is not np.array else {"lab": 2, "scan": 2}
    X = container(X) if modalities is None else np.array(list(X.values())).T
    before = np.array(X, copy=True)
    out, report = mark_missing(
        X, [-9, -999], blocks={"scan": 0}, modalities=modalities, report=True
    )
    nan = np.nan
    expected = [[1, nan, nan, nan], [nan, 2, 0, 5], [3, nan, 2, 0]]
    assert_array_equal(np.array(out, dtype=float), expected)
    assert report == {"lab": {-9: 2, -999: 1}, "scan": {0: 1}}
    assert_array_equal(np.array(X), before)


def test_codes_of_text_and_bad_codes():
    X = pd.DataFrame({"c__sex": ["f", "", "m"], "c__age": [1, 2, 3]})
    assert mark_missing(X, "")["c__sex"].isna().tolist() == [False, True, False]
    with pytest.warns(ModalityWarning, match="codes not found in X: .*-7"):
        mark_missing(X, -7)
    with pytest.raises(
        ValueError, match="codes must name modalities of X .'c'.; got 'd'"
    ):
        mark_missing(X, {"d": 1})
    with pytest.raises(ValueError, match=r"2-d array of numbers; got .* \(2,\)"):
        mark_missing(np.ones(2), 1)


@pytest.mark.parametrize(
    "values, dtype, codes",
    [
        ([-9, 1, None], "Int64", -9),
        ([-9, "x", None], object, -9),
        ([-9.9, 1.0, np.nan], "float32", -9.9),
        ([-9, 1, 2], "int32", np.array([-9, -9])),
        ([0, False, 2], object, 0),
    ],
)
@pytest.mark.filterwarnings("ignore:numpy.ndarray")
def test_codes_in_columns_of_any_type(values, dtype, codes):
    X = pd.DataFrame({"c__v": pd.Series(values, dtype=dtype)})
    found, report = mark_missing(X, codes, report=True)
    assert list(report["c"].values()) == [1]
    assert found["c__v"].isna().tolist() == [True, False, pd.isna(values[2])]


def make_blocks(n=60):
    rng = np.random.RandomState(0)
    y = np.arange(n) % 2
    names = [f"text__{i}" for i in range(5)] + [f"audio__{i}" for i in range(3)]
    X = pd.DataFrame(rng.standard_normal((n, 8)) + y[:, None], columns=names)
    X.iloc[:10, :5] = np.nan
    X.iloc[20:30, 5:] = np.nan
    return X, y


def test_transformer_sees_the_samples_that_have_the_modality():
    X, y = make_blocks()
    per = PerModality({"text": PCA(2), "audio": SelectKBest(f_classif, k=1)})
    out = per.set_output(transform="pandas").fit_transform(X, y)
    has = X["text__0"].notna()
    text = PCA(2).fit_transform(X.loc[has].iloc[:, :5])
    assert_allclose(out.loc[has].iloc[:, :2], text)
    assert out.loc[~has].iloc[:, :2].isna().all(axis=None)
    heard = X["audio__0"].notna()
    best = SelectKBest(f_classif, k=1).fit(X.loc[heard].iloc[:, 5:], y[heard])
    assert list(out.columns) == [
        "text__pca0",
        "text__pca1",
        *best.get_feature_names_out(),
    ]
    array = per.set_params(modalities=[5, 3])
    array = PerModality(
        {"modality0": PCA(2), "modality1": "drop"}, modalities=[5, 3]
    ).fit_transform(X.to_numpy())
    assert_allclose(array, out.iloc[:, :2])


def test_categories_dates_and_numbers():
    pytest.importorskip("pandas")
    X = pd.DataFrame(
        {
            "clinic__sex": ["f", "m", None, "f", None],
            "clinic__ward": pd.Categorical(["a", "b", "b", "a", None]),
            "clinic__age": [30, 40, 50, None, None],
            "gene__0": [1.0, 2.0, None, 4.0, 5.0],
        }
    )
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=True), ["clinic__sex"]),
        (OrdinalEncoder(), ["clinic__ward"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    per = PerModality({"clinic": encode, "gene": StandardScaler()})
    out = per.set_output(transform="pandas").fit_transform(X)
    assert out.iloc[4, :-1].isna().all() and out["clinic__sex_f"][0] == 1
    assert_array_equal(out["clinic__ward"][:4], [0, 1, 1, 0])
    model = make_pipeline(per, LateFusionClassifier("linear", cv=2))
    assert list(model.fit(X, [0, 1, 0, 1, 0])[-1].modalities_) == ["clinic", "gene"]
    skrub = pytest.importorskip("skrub")
    vectorized = PerModality({"clinic": skrub.TableVectorizer(), "gene": "passthrough"})
    out = vectorized.set_output(transform="pandas").fit_transform(X)
    assert out.iloc[4, :-1].isna().all() and out.iloc[:4, 0].notna().all()


def test_per_modality_warns():
    X, y = make_blocks()
    with pytest.warns(
        ModalityWarning, match="n_components .* of 'audio'. It is lowered"
    ):
        per = PerModality(make_pipeline(StandardScaler(), PCA(4))).fit(X)
    assert len(per.get_feature_names_out()) == 4 + 3
    X.iloc[:, 5:] = np.nan
    with pytest.warns(ModalityWarning, match="in any .*: 'audio'. Their columns"):
        per = PerModality(PCA(2)).fit(X)
    assert np.isnan(per.transform(X)[:, 2:]).all()
    with pytest.warns(ModalityWarning, match="ignored: 'audio', which 60 of 60"):
        assert np.isnan(per.transform(X.fillna(0.0))[:, 2:]).all()


def test_bad_transformers():
    X, y = make_blocks()
    with pytest.raises(
        ValueError, match="must name each modality, .*; got 'text'|text"
    ):
        PerModality({"text": PCA(2)}).fit(X)
    with pytest.raises(
        ValueError, match=r"transformer\['text'\] must be .* got 'keep'"
    ):
        PerModality({"text": "keep", "audio": PCA(1)}).fit(X)
    with pytest.raises(ValueError, match="requires y"):
        PerModality(SelectKBest(k=1)).fit(X)
    named = PerModality(FunctionTransformer(np.abs)).set_output(transform="pandas")
    with pytest.raises(ValueError, match="must have get_feature_names_out; got Func"):
        named.fit_transform(X)
    X.iloc[15, 0] = np.nan
    with pytest.raises(ValueError, match="NaN") as caught:
        PerModality(PCA(2)).fit(X)
    (note,) = caught.value.__notes__
    assert note.startswith("This is the transformer of modality 'text'. Its col")
    assert "'text__0', 'text__1'" in note
    X = pd.DataFrame({"c__sex": ["f", "m"], "g__0": [1.0, 2.0]})
    with pytest.raises(ValueError, match="columns of 'c' must be numbers"):
        PerModality({"c": "passthrough", "g": PCA(1)}).fit(X).transform(X)
    X = pd.DataFrame({"note__text": ["hot day", "cold day"], "g__0": [1.0, 2.0]})
    # It would vectorize the names of columns.
    with pytest.raises(ValueError, match="2 rows and .* one column: .*'note__text'"):
        PerModality({"note": TfidfVectorizer(), "g": "drop"}).fit_transform(X)


def test_components_of_text():
    """They are lowered to the number of words, not of columns."""
    X = pd.DataFrame({"note__text": ["hot day", "cold day", "wet night", None]})
    words = make_column_transformer((TfidfVectorizer(), "note__text"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ModalityWarning)
        per = PerModality(make_pipeline(words, TruncatedSVD(2))).fit(X)
    assert per.transform(X).shape == (4, 2)
    with pytest.warns(ModalityWarning, match="n_components .* of 'note'. It is low"):
        per = PerModality(make_pipeline(words, TruncatedSVD(9))).fit(X)
    assert per.transform(X).shape == (4, 3)


@pytest.mark.filterwarnings(
    "ignore:The inplace keyword", "ignore:var_names are not unique"
)
def test_mudata_there_and_back():
    pytest.importorskip("mudata")
    X, y = make_blocks(30)
    X.index = [f"cell{i}" for i in range(30)]
    obs = pd.DataFrame({"kind": y.astype(float)}, index=X.index)
    mdata = to_mudata(X, obs=obs)
    assert mdata["text"].n_obs == 20 and mdata["audio"].n_obs == 20
    both, target, report = from_mudata(mdata, y="kind", report=True)
    both = both.loc[[i for i in X.index if i in both.index]]
    pd.testing.assert_frame_equal(
        both, X.loc[both.index], check_names=False, check_dtype=False
    )
    assert_array_equal(target.loc[X.index], obs["kind"])
    assert report.n_samples == {"text": 20, "audio": 20}
    mdata["text"].obsm["X_pca"] = mdata["text"].X[:, :2] * 2
    mdata["audio"].layers["raw"] = mdata["audio"].X + 1
    other = from_mudata(mdata, obsm={"text": "X_pca"}, layers={"audio": "raw"})
    assert list(other.columns[:3]) == ["text__0", "text__1", "audio__0"]
    assert_allclose(other.loc["cell15", "text__0"], 2 * X.loc["cell15", "text__0"])
    one = from_anndata(mdata["text"], modalities={"all": None, "pca": "X_pca"})
    assert one.shape == (20, 7)
    with pytest.raises(ValueError, match=r"obsm of 'text' must be one of \['X_pca'\]"):
        from_mudata(mdata, obsm={"text": "X_umap"})
    with pytest.raises(ValueError, match="or an embedding; got .raw. and"):
        from_mudata(mdata, layers={"text": "raw"}, obsm={"text": "X_pca"})
    with pytest.raises(ValueError, match="layer of .audio. must be .* got .z"):
        from_mudata(mdata, layers={"audio": "z"})
    with pytest.raises(ValueError, match="layers must name modalities .* got video"):
        from_mudata(mdata, layers={"video": "raw"})
    with pytest.raises(ValueError, match="y must be a column of mdata.obs"):
        from_mudata(mdata, y="age")
    with pytest.raises(TypeError, match="must be a MuData object; got DataFrame"):
        from_mudata(X)
    with pytest.raises(TypeError, match="must be an AnnData object; got DataFrame"):
        from_anndata(X, modalities={"a": None})
    with pytest.raises(ValueError, match=r"modalities\['a'\] must be a key of obsm"):
        from_anndata(mdata["text"], modalities={"a": "X_umap"})
    with pytest.raises(TypeError, match="modalities must be a dict .* got .'X_pca'"):
        from_anndata(mdata["text"], modalities=["X_pca"])
    with pytest.raises(TypeError, match="obsm must be a str, a dict or None; got"):
        from_mudata(mdata, obsm=["X_pca"])
    with pytest.raises(TypeError, match="must be an AnnData object; got MuData"):
        from_anndata(mdata, modalities={"a": None})
    mdata["text"].X = None
    with pytest.raises(ValueError, match="'a' must have X; got None"):
        from_anndata(mdata["text"], modalities={"a": None})


def test_columns_of_two_levels():
    X, y = make_blocks()
    two = pd.concat(split_tables(X), axis=1)
    assert isinstance(two.columns, pd.MultiIndex)
    per = PerModality(PCA(2)).fit(two)
    assert_allclose(per.transform(two), PerModality(PCA(2)).fit_transform(X))
    pd.testing.assert_frame_equal(align(two[["audio"]], per), align(X.iloc[:, 5:], per))


def test_tables_of_pyarrow():
    """They are data frames like the others, and the same kind is returned."""
    pa = pytest.importorskip("pyarrow")
    X = np.random.RandomState(0).standard_normal((40, 4))
    X[:10, :2] = np.nan
    frame = pd.DataFrame(X, columns=["a__0", "a__1", "b__0", "b__1"])
    table = pa.Table.from_pandas(frame)  # null where missing
    y = np.arange(40) % 2
    tree = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2)
    for estimator in (ModalityDropout(tree, random_state=0), FactorImputer(1)):
        fitted = clone(estimator).fit(table, y)
        method = "predict_proba" if hasattr(fitted, "predict") else "transform"
        expected = getattr(estimator.fit(frame, y), method)(frame)
        assert_allclose(getattr(fitted, method)(table), expected)
        assert fitted.feature_names_in_.tolist() == list(frame)
    scores = [masked_imputation_score(fitted, X) for X in (table, frame)]
    assert scores[0] == pytest.approx(scores[1])
    lost = ampute(table, 0.3, random_state=0)
    assert isinstance(lost, pa.Table)
    for column, match in (
        (["x", "y"], "'x', in column 'b'"),
        (np.array([1, 2], "M8[s]"), r"column 'b' has dates or times \(Datetime"),
    ):
        with pytest.raises((TypeError, ValueError), match=match):
            FactorImputer().fit(pa.table({"a": [0.0, 1.0], "b": column}))
    assert_frame_equal(lost.to_pandas(), ampute(frame, 0.3, random_state=0))
