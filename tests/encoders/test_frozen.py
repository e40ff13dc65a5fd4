"""What all frozen encoders share: columns, caching, memory, pickles, names."""

import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.encoders import (
    AudioEncoder,
    ImageEncoder,
    ModelNotFoundError,
    TextEncoder,
    VideoEncoder,
    unload_models,
)
from skmissing.encoders._batching import batches
from skmissing.encoders._cache import EmbeddingCache
from skmissing.encoders._models import ModelSpec, fingerprint, load_model
from tests.encoders.models import make_bert, make_images, make_texts

LOCAL = {"local_files_only": True, "device": "cpu"}
TEXTS = make_texts(12)
ENCODERS = [TextEncoder, ImageEncoder, AudioEncoder, VideoEncoder]


@pytest.fixture
def n_encoded(monkeypatch):
    """How many items have gone through a model, as a list that grows."""
    counts = []
    for cls in ENCODERS:

        def counted(self, prepared, model, spec, plain=cls._encode):
            counts.append(len(prepared))
            return plain(self, prepared, model, spec)

        monkeypatch.setattr(cls, "_encode", counted)
    return counts


# --------------------------------------------------------------------------- columns


def test_every_kind_of_column(model_path):
    """Lists, arrays, masked arrays, series and tables of one column are the same."""
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


@pytest.mark.parametrize(
    "X, error, match",
    [
        ("a text", TypeError, "TextEncoder takes a sequence.*type str"),
        (np.array("a text"), TypeError, "TextEncoder takes a sequence"),
        (np.array([["a", "b"]]), ValueError, "takes one column; got 2"),
        (np.zeros((2, 2, 2)), ValueError, r"an array of shape \(2, 2, 2\)"),
        (3, TypeError, "TextEncoder takes a sequence.*type int"),
    ],
)
def test_what_is_no_column(model_path, X, error, match):
    """The error says what was given."""
    with pytest.raises(error, match=match):
        TextEncoder(model_path("bert"), **LOCAL).fit(X)


def test_table_of_two_columns(model_path, df_module):
    """A table with more than one column is refused by the names of its columns."""
    frame = df_module.DataFrame({"one": TEXTS, "two": TEXTS})
    with pytest.raises(ValueError, match="takes one column; got 2: 'one', 'two'"):
        TextEncoder(model_path("bert"), **LOCAL).fit(frame)


def test_names_and_set_output(model_path, df_module):
    """Columns are named by the input's column, and come out as a frame if asked."""
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
    """A frame or series with an index of its own keeps it."""
    pd = pytest.importorskip("pandas")
    series = pd.Series(TEXTS, index=range(100, 112), name="review")
    encoder = TextEncoder(model_path("bert"), **LOCAL).set_output(transform="pandas")
    for given in (series, series.to_frame()):
        out = clone(encoder).fit_transform(given)
        assert_array_equal(out.index, series.index)
        assert out.columns[0] == "review__00"


def test_transform_needs_no_fit(model_path):
    """Nothing is learnt, so an encoder that was not fitted encodes all the same."""
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    found = encoder.transform(TEXTS)
    assert not hasattr(encoder, "embedding_dim_")
    assert_array_equal(found, encoder.fit_transform(TEXTS))


# ----------------------------------------------------------------------------- cache


@pytest.mark.parametrize("kind", ["folder", "path", "memory"])
def test_second_fold_encodes_nothing(model_path, tmp_path, n_encoded, kind):
    """Rows come again in other folds and orders, and are found in the cache."""
    cache = {
        "folder": str(tmp_path),
        "path": tmp_path,
        "memory": joblib.Memory(tmp_path, verbose=0),
    }[kind]
    encoder = TextEncoder(model_path("bert"), cache=cache, batch_size=5, **LOCAL)
    expected = TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    n_encoded.clear()
    after = []
    for train, test in KFold(3, shuffle=True, random_state=0).split(TEXTS):
        fold = clone(encoder).fit([TEXTS[i] for i in train])
        for rows in (train, test):
            found = fold.transform([TEXTS[i] for i in rows])
            assert_allclose(found, expected[rows], atol=1e-5)
        after.append(sum(n_encoded))
    n_distinct = len(set(TEXTS))
    assert after == [n_distinct] * 3


def test_cached_items_need_no_weights(model_path, tmp_path, monkeypatch):
    """If all is in the cache the weights are not loaded."""
    from skmissing.encoders import _base

    encoder = TextEncoder(model_path("bert"), cache=tmp_path, **LOCAL)
    expected = encoder.fit_transform(TEXTS)
    monkeypatch.setattr(_base, "load_model", None)
    assert_array_equal(encoder.transform(TEXTS[::-1]), expected[::-1])


CHANGES = [
    {"pooling": "mean"},
    {"normalize": True},
    {"max_length": 3},
    {"dtype": "bfloat16"},
    {"pooling": None, "max_tokens": 2},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_cache_knows_the_parameters(model_path, tmp_path, n_encoded, change):
    """What changes the embedding is part of the key; batch_size is not."""
    encoder = TextEncoder(model_path("bert"), cache=tmp_path, **LOCAL)
    encoder.fit_transform(TEXTS[:2])
    clone(encoder).set_params(batch_size=1, verbose=True).fit_transform(TEXTS[:2])
    assert sum(n_encoded) == 2
    clone(encoder).set_params(**change).fit_transform(TEXTS[:2])
    assert sum(n_encoded) == 4


def test_cache_knows_the_weights(tmp_path, n_encoded):
    """Other weights in a folder of the same name are another model."""
    make_bert(tmp_path / "model")
    encoder = TextEncoder(tmp_path / "model", cache=tmp_path / "cache", **LOCAL)
    before = encoder.fit_transform(TEXTS[:2])
    make_bert(tmp_path / "model", seed=1)
    unload_models()
    assert abs(encoder.fit_transform(TEXTS[:2]) - before).max() > 0.1
    assert sum(n_encoded) == 4


def test_weights_are_loaded_anew_when_the_folder_changes(tmp_path):
    """The cache never files what old weights say under the name of the new ones."""
    make_bert(tmp_path / "model")
    encoder = TextEncoder(tmp_path / "model", cache=tmp_path / "cache", **LOCAL)
    before = encoder.fit_transform(TEXTS[:2])
    make_bert(tmp_path / "model", seed=1)
    after = encoder.transform(TEXTS[:2])
    assert abs(after - before).max() > 0.1
    from skmissing.encoders import _models

    assert sum(str(tmp_path / "model") in key[1] for key in _models._loaded) == 4
    unload_models()
    assert_array_equal(encoder.transform(TEXTS[:2]), after)
    assert_array_equal(encoder.set_params(cache=None).transform(TEXTS[:2]), after)


def test_relative_folder_in_another_place(tmp_path, monkeypatch):
    """One relative name means two models in two working directories."""
    found = []
    for seed, place in enumerate(["one", "two"]):
        make_bert(tmp_path / place / "model", seed)
        for file in (tmp_path / place / "model").iterdir():
            os.utime(file, (0, 0))
        monkeypatch.chdir(tmp_path / place)
        found.append(TextEncoder("model", **LOCAL).fit_transform(TEXTS[:2]))
    assert abs(found[0] - found[1]).max() > 0.1


def test_cache_is_by_content_of_files(model_path, tmp_path, n_encoded):
    """A file of another name is the same item, a file that was rewritten is not."""
    from PIL import Image

    images = [Image.fromarray(image) for image in make_images(2)]
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    images[0].save(paths[0])
    encoder = ImageEncoder(model_path("clip"), cache=tmp_path / "cache", **LOCAL)
    first = encoder.fit_transform([paths[0]])
    paths[0].rename(paths[1])
    assert_array_equal(encoder.transform([paths[1], paths[1]]), first[[0, 0]])
    assert sum(n_encoded) == 1
    images[1].save(paths[1])
    assert abs(encoder.transform([paths[1]]) - first).max() > 1e-3
    assert sum(n_encoded) == 2


def test_equal_items_are_encoded_once(model_path, n_encoded):
    """Without a cache too, a text that comes twice is encoded once."""
    found = TextEncoder(model_path("bert"), **LOCAL).fit_transform(
        ["cat", "dog", "cat"]
    )
    assert sum(n_encoded) == 2
    assert_array_equal(found[0], found[2])


def test_no_cache_keeps_nothing():
    """None and a Memory without a location find nothing."""
    for cache in (None, joblib.Memory(None)):
        store = EmbeddingCache(cache, "settings")
        store.put("key", np.ones(2))
        assert store.get("key") is None


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
    """A batch that does not fit is tried by halves; one warning tells."""
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
    with pytest.warns(UserWarning, match="lowered from 12 to 3") as told:
        found = encoder.transform(texts)
    assert len(told) == 1
    assert sizes[:3] == [12, 6, 3] and max(sizes[2:]) == 3
    assert_allclose(found, expected, atol=1e-5)


def test_single_item_that_does_not_fit():
    """With a batch of one there is nothing left to halve."""

    def encode(part):
        raise MemoryError("too large")

    with pytest.raises(
        MemoryError, match="a batch of one item, of length 7: too large"
    ):
        list(batches([7], 4, encode))


def test_other_errors_are_not_swallowed():
    """Only running out of memory is tried again."""

    def encode(part):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(batches([1, 2], 4, encode))


def test_batches_hold_like_lengths():
    """The longest come first, equal lengths in the order they have."""
    parts = [list(part) for part, _ in batches([1, 5, 1, 4, 2], 2, lambda part: part)]
    assert parts == [[1, 3], [4, 0], [2]]


# --------------------------------------------------------------------- models, pickles


def test_weights_are_shared(model_path):
    """Clones and encoders of other parameters use one copy of the weights."""
    spec = ModelSpec(model_path("bert"), None, True)
    first = load_model(spec, "cpu", "float32")
    TextEncoder(model_path("bert"), pooling="mean", **LOCAL).fit_transform(TEXTS)
    assert load_model(spec, "cpu", "float32") is first
    unload_models()
    assert load_model(spec, "cpu", "float32") is not first


def test_towers_share_weights(model_path):
    """Text and images of one model are encoded by one copy of it."""
    unload_models()
    TextEncoder(model_path("clip"), **LOCAL).fit_transform(TEXTS[:1])
    ImageEncoder(model_path("clip"), **LOCAL).fit_transform(make_images(1))
    from skmissing.encoders import _models

    assert sum(key[0] == "model" for key in _models._loaded) == 1


def test_pickle_holds_no_weights(model_path, tmp_path):
    """A fitted pipeline pickles small, and encodes the same where the model is."""
    pipeline = make_pipeline(TextEncoder(model_path("bert"), **LOCAL), StandardScaler())
    expected = pipeline.fit_transform(TEXTS)
    dump = pickle.dumps(pipeline)
    model = load_model(ModelSpec(model_path("bert"), None, True), "cpu", "float32")
    n_bytes = sum(4 * weights.numel() for weights in model.parameters())
    assert len(dump) < 3000 < n_bytes
    assert_array_equal(pickle.loads(dump).transform(TEXTS), expected)


def test_pickle_where_the_model_is_absent(tmp_path):
    """A process without the model gets an error that names it."""
    folder = tmp_path / "gone"
    make_bert(folder)
    encoder = TextEncoder(folder, **LOCAL).fit(TEXTS)
    (tmp_path / "encoder.pkl").write_bytes(pickle.dumps(encoder))
    folder.rename(tmp_path / "elsewhere")
    code = f"""
import pickle
encoder = pickle.load(open({str(tmp_path / "encoder.pkl")!r}, "rb"))
try:
    encoder.transform(["cat"])
except OSError as exc:
    print(type(exc).__name__, exc)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ModelNotFoundError")
    assert f"model='{folder}'" in done.stdout


@pytest.mark.parametrize("cls", ENCODERS)
def test_model_that_is_not_there(cls):
    """Without a local copy and leave to download, the error names the model."""
    encoder = cls("no-such/model", revision="abc", local_files_only=True)
    match = "model='no-such/model', revision 'abc', was not found on this machine"
    with pytest.raises(ModelNotFoundError, match=match):
        encoder.fit([None])


def test_no_network(monkeypatch):
    """A download that fails gives the same error; the local copy is tried first."""
    from transformers import AutoConfig

    calls = []

    def offline(name, *, local_files_only, **kwargs):
        calls.append(local_files_only)
        raise OSError("We couldn't connect")

    monkeypatch.setattr(AutoConfig, "from_pretrained", offline)
    with pytest.raises(ModelNotFoundError, match="could not be downloaded.*connect"):
        TextEncoder("no-such/model").fit(TEXTS)
    assert calls == [True, False]


def test_code_of_models_is_not_run(tmp_path):
    """A model that brings code is refused, and the code does not run."""
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}'
    )
    (tmp_path / "code.py").write_text("raise SystemExit('was run')")
    with pytest.raises(ValueError, match="brings code of its own"):
        TextEncoder(tmp_path, **LOCAL).fit(TEXTS)


def test_folder_that_is_no_model(tmp_path):
    """A folder without a configuration, or with an unknown one, is named."""
    with pytest.raises(ModelNotFoundError, match="a folder without a config.json"):
        TextEncoder(tmp_path, **LOCAL).fit(TEXTS)
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(ValueError, match="transformers cannot make the configuration"):
        TextEncoder(tmp_path, **LOCAL).fit(TEXTS)


def test_fingerprint_is_of_the_content(tmp_path):
    """A copy of a folder is the same model."""
    import shutil

    make_bert(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (fingerprint(ModelSpec(str(tmp_path / n))) for n in ("one", "two"))
    assert one == two


def test_unknown_device(model_path):
    """A device that torch does not reach is an error that names it."""
    encoder = TextEncoder(model_path("bert"), local_files_only=True, device="abacus")
    with pytest.raises(ValueError, match="device='abacus' is not known; use 'auto'"):
        encoder.fit_transform(TEXTS)


def test_progress_bar(model_path, capsys):
    """verbose shows a bar with rate; without it nothing is printed."""
    TextEncoder(model_path("bert"), **LOCAL).fit_transform(["cat", "dog"])
    assert capsys.readouterr() == ("", "")
    TextEncoder(model_path("bert"), verbose=1, **LOCAL).fit_transform(["cat", "dog"])
    assert "item/s" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_missing_package(monkeypatch, model_path, name):
    """Without the package, the error says what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "skmissing\[encoders\]"'):
        unload_models()
        TextEncoder(model_path("bert"), local_files_only=True).fit_transform(["cat"])


def test_generators_are_left_alone(model_path):
    """Encoding does not move the global random generators."""
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    unload_models()
    TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])
