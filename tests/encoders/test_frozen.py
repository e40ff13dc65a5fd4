"""What all frozen encoders share: checks, columns, batches, models, pickles."""

import importlib
import pickle
import re
import shutil
import sys

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags

from skmissing.encoders import (
    ImageEncoder,
    ImageTextEncoder,
    ModelNotFoundError,
    SentenceTransformerEncoder,
    TextEncoder,
    _models,
    unload_models,
)
from skmissing.encoders._base import batches
from skmissing.encoders._models import ModelSpec, fingerprint, load_model

from .models import ENCODERS, LOCAL, make_bert, make_images, make_texts

MORE = [ImageTextEncoder, SentenceTransformerEncoder]
TEXTS = make_texts(12)
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_feature_names_out_error",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


every_encoder = pytest.mark.parametrize("cls", ENCODERS)


@pytest.mark.parametrize("cls", [*ENCODERS, *MORE])
@pytest.mark.parametrize("check", CHECKS)
def test_estimator_checks(cls, check):
    getattr(estimator_checks, check)(cls.__name__, cls())


@every_encoder
def test_tags(cls):
    """The input is one column of raw items, possibly missing; fit is not required."""
    tags = get_tags(cls())
    assert tags.input_tags.one_d_array and not tags.input_tags.two_d_array
    assert tags.input_tags.string and tags.input_tags.allow_nan
    assert tags.no_validation and not tags.requires_fit
    assert tags.transformer_tags.preserves_dtype == []


# --------------------------------------------------------------------------- columns


def test_every_kind_of_column(model_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    items = [*TEXTS[:3], None]
    columns = [
        tuple(items),
        np.array(items, dtype=object),
        np.array(items, dtype=object)[:, None],
        np.ma.MaskedArray([*TEXTS[:3], "masked"], mask=[0, 0, 0, 1]),
        [[item] for item in items],
        pd.Series(items),
        pd.Series(items, dtype="string"),
        pd.DataFrame({"review": items}),
        pl.Series("review", items),
        pl.DataFrame({"review": items}),
    ]
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    expected = encoder.fit_transform(items)
    assert_array_equal(np.isnan(expected).all(axis=1), [0, 0, 0, 1])
    for column in columns:
        assert_allclose(clone(encoder).fit_transform(column), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["bag", "array", "series", "frame"])
def test_partitions_are_encoded_lazily(model_path, n_encoded, kind):
    dask = pytest.importorskip("dask")
    pd = pytest.importorskip("pandas")
    items = [*TEXTS[:7], None]
    frame = pd.DataFrame({"review": pd.Series(items, dtype=object)})
    if kind == "bag":
        X = pytest.importorskip("dask.bag").from_sequence(items, npartitions=3)
        X = X.map(lambda item: item)  # partitions are iterators
    elif kind == "array":
        X = pytest.importorskip("dask.array").from_array(frame["review"].values, 3)
    else:
        X = pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=3)
        X = X["review"] if kind == "series" else X
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    expected = encoder.fit_transform(items)
    unload_models()
    n_encoded.clear()
    found = clone(encoder).fit_transform(X)
    assert found.shape == expected.shape and len(found.chunks[0]) == 3
    assert not n_encoded
    with dask.config.set(scheduler="threads"):
        assert_allclose(found.compute(), expected, atol=1e-6)
    assert len(n_encoded) == 3
    assert sum(key[0] == "model" for key in _models._loaded) == 1
    names = encoder.fit(X).get_feature_names_out()
    assert names[0] == ("text__00" if kind in ("bag", "array") else "review__00")


@pytest.mark.parametrize(
    "X, error, match",
    [
        ("a text", TypeError, "TextEncoder: X must be a sequence.*type str"),
        (np.array("a text"), TypeError, "TextEncoder: X must be a sequence"),
        (np.array([["a", "b"]]), ValueError, "X must have one column; got 2"),
        (np.zeros((2, 2, 2)), ValueError, r"an array of shape \(2, 2, 2\)"),
        (3, TypeError, "TextEncoder: X must be a sequence.*type int"),
    ],
)
def test_not_a_column(model_path, X, error, match):
    with pytest.raises(error, match=match):
        TextEncoder(model_path("bert"), **LOCAL).fit(X)


def test_table_of_two_columns(model_path, df_module):
    frame = df_module.DataFrame({"one": TEXTS, "two": TEXTS})
    with pytest.raises(ValueError, match="must have one column; got 2: 'one', 'two'"):
        TextEncoder(model_path("bert"), **LOCAL).fit(frame)


def test_names_and_set_output(model_path, df_module):
    name = df_module.__name__
    frame = df_module.DataFrame({"review": TEXTS})
    encoder = TextEncoder(model_path("bert"), **LOCAL).set_output(transform=name)
    out = encoder.fit_transform(frame)
    assert isinstance(out, df_module.DataFrame)
    names = [f"review__{i:02d}" for i in range(16)]
    assert list(out.columns) == names == list(encoder.get_feature_names_out())
    with pytest.raises(ValueError, match="feature names should match"):
        encoder.transform(df_module.DataFrame({"other": TEXTS}))
    plain = TextEncoder(model_path("bert"), **LOCAL).fit(TEXTS)
    assert plain.get_feature_names_out()[0] == "text__00"
    assert plain.get_feature_names_out(["title"])[0] == "title__00"


def test_index_is_kept(model_path):
    pd = pytest.importorskip("pandas")
    series = pd.Series(TEXTS, index=range(100, 112), name="review")
    encoder = TextEncoder(model_path("bert"), **LOCAL).set_output(transform="pandas")
    for given in (series, series.to_frame()):
        out = clone(encoder).fit_transform(given)
        assert_array_equal(out.index, series.index)
        assert out.columns[0] == "review__00"


def test_transform_needs_no_fit(model_path):
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    found = encoder.transform(TEXTS)
    assert not hasattr(encoder, "embedding_dim_")
    assert_array_equal(found, encoder.fit_transform(TEXTS))


# ---------------------------------------------------------------------------- memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_batch_is_halved(model_path, monkeypatch, error):
    sizes = []
    plain = TextEncoder._encode

    def small_memory(self, prepared, model, spec):
        sizes.append(len(prepared))
        if len(prepared) > 3:
            raise error
        return plain(self, prepared, model, spec)

    encoder = TextEncoder(model_path("bert"), batch_size=12, **LOCAL)
    texts = [f"cat {text}" for text in TEXTS]
    expected = encoder.fit_transform(texts)
    monkeypatch.setattr(TextEncoder, "_encode", small_memory)
    match = "TextEncoder: out of memory: batch_size was lowered from 12 to 3"
    with pytest.warns(UserWarning, match=match) as record:
        found = encoder.transform(texts)
    assert len(record) == 1 and record[0].filename == __file__
    assert sizes[:3] == [12, 6, 3] and max(sizes[2:]) == 3
    assert_allclose(found, expected, atol=1e-5)


def test_single_item_that_does_not_fit():

    def encode(part):
        raise MemoryError("too large")

    with pytest.raises(MemoryError, match="one item, of length 7: too large"):
        list(batches([7], 4, encode, pytest.fail))


def test_other_errors_are_raised():

    def encode(part):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(batches([1, 2], 4, encode, pytest.fail))


def test_batches_have_similar_lengths():
    found = batches([1, 5, 1, 4, 2], 2, lambda part: part, pytest.fail)
    parts = [list(part) for part, _ in found]
    assert parts == [[1, 3], [4, 0], [2]]


# --------------------------------------------------------------------- models, pickles


def test_weights_are_shared(model_path):
    spec = ModelSpec(model_path("bert"), None, True)
    first = load_model(spec, "cpu", "float32")
    TextEncoder(model_path("bert"), pooling="mean", **LOCAL).fit_transform(TEXTS)
    assert load_model(spec, "cpu", "float32") is first
    unload_models()
    assert load_model(spec, "cpu", "float32") is not first


def test_towers_share_weights(model_path):
    unload_models()
    TextEncoder(model_path("clip"), **LOCAL).fit_transform(TEXTS[:1])
    ImageEncoder(model_path("clip"), **LOCAL).fit_transform(make_images(1))
    assert sum(key[0] == "model" for key in _models._loaded) == 1


def test_pickle_holds_no_weights(model_path, tmp_path):
    pipeline = make_pipeline(TextEncoder(model_path("bert"), **LOCAL), StandardScaler())
    expected = pipeline.fit_transform(TEXTS)
    dump = pickle.dumps(pipeline)
    model = load_model(ModelSpec(model_path("bert"), None, True), "cpu", "float32")
    n_bytes = sum(4 * weights.numel() for weights in model.parameters())
    assert len(dump) < 3000 < n_bytes
    assert_array_equal(pickle.loads(dump).transform(TEXTS), expected)


def test_pickle_without_the_model(tmp_path):
    folder = tmp_path / "gone"
    make_bert(folder)
    encoder = TextEncoder(folder, **LOCAL).fit(TEXTS)
    dump = pickle.dumps(encoder)
    folder.rename(tmp_path / "elsewhere")
    unload_models()
    with pytest.raises(ModelNotFoundError, match=re.escape(f"model='{folder}'")):
        pickle.loads(dump).transform(["cat"])


@pytest.mark.parametrize("cls", ENCODERS)
def test_unknown_model(cls):
    encoder = cls("no-such/model", revision="abc", local_files_only=True)
    match = "model='no-such/model', revision 'abc', was not found on this machine"
    with pytest.raises(ModelNotFoundError, match=match):
        encoder.fit([None])


def test_no_network(monkeypatch):
    """A failed download raises the same error; a local copy is tried first."""
    calls = []

    def offline(name, *, local_files_only, **kwargs):
        calls.append(local_files_only)
        raise OSError("We couldn't connect")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    with pytest.raises(ModelNotFoundError, match="could not be downloaded.*connect"):
        TextEncoder("no-such/model").fit(TEXTS)
    assert calls == [True, False]


def test_code_of_models_is_not_run(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}'
    )
    (tmp_path / "code.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ValueError, match="has its own code"):
        TextEncoder(tmp_path, **LOCAL).fit(TEXTS)


def test_folder_without_a_model(tmp_path):
    with pytest.raises(ModelNotFoundError, match="it has no config.json"):
        TextEncoder(tmp_path, **LOCAL).fit(TEXTS)
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ValueError, match="transformers cannot load the config"):
        TextEncoder(tmp_path, **LOCAL).fit(TEXTS)


def test_fingerprint_is_of_the_content(tmp_path):
    make_bert(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (fingerprint(ModelSpec(str(tmp_path / n))) for n in ("one", "two"))
    assert one == two


def test_unknown_device(model_path):
    encoder = TextEncoder(model_path("bert"), local_files_only=True, device="abacus")
    with pytest.raises(ValueError, match="device='abacus' is not known; use 'auto'"):
        encoder.fit_transform(TEXTS)


def test_progress_bar(model_path, capsys):
    TextEncoder(model_path("bert"), **LOCAL).fit_transform(["cat", "dog"])
    assert capsys.readouterr() == ("", "")
    TextEncoder(model_path("bert"), verbose=1, **LOCAL).fit_transform(["cat", "dog"])
    assert "item/s" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_missing_package(monkeypatch, model_path, name):
    path = model_path("bert")
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "skmissing.encoders")
    unload_models()
    with pytest.raises(ImportError, match=r'pip install "skmissing\[encoders\]"'):
        encoders = importlib.import_module("skmissing.encoders")
        encoders.TextEncoder(path, **LOCAL).fit(TEXTS)


def test_generators_are_left_alone(model_path):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    unload_models()
    TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])
