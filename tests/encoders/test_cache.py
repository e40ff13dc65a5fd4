"""Cache of embeddings: keys, hits, broken entries, a full disk, two processes."""

import errno
import multiprocessing
import os

import joblib
import numpy as np
import pytest
from joblib import numpy_pickle
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import KFold

from skmissing.encoders import ImageEncoder, TextEncoder, _base, _models, unload_models
from skmissing.encoders._cache import EmbeddingCache

from .models import LOCAL, make_bert, make_images, make_texts

TEXTS = make_texts(12)


@pytest.mark.parametrize("kind", ["folder", "path", "memory"])
def test_second_fold_encodes_nothing(model_path, tmp_path, n_encoded, kind):
    memory = joblib.Memory(tmp_path, verbose=0)
    cache = {"folder": str(tmp_path), "path": tmp_path, "memory": memory}[kind]
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
def test_cache_depends_on_parameters(model_path, tmp_path, n_encoded, change):
    encoder = TextEncoder(model_path("bert"), cache=tmp_path, **LOCAL)
    encoder.fit_transform(TEXTS[:2])
    clone(encoder).set_params(batch_size=1, verbose=True).fit_transform(TEXTS[:2])
    assert sum(n_encoded) == 2
    clone(encoder).set_params(**change).fit_transform(TEXTS[:2])
    assert sum(n_encoded) == 4


def test_cache_depends_on_weights(tmp_path, n_encoded):
    make_bert(tmp_path / "model")
    encoder = TextEncoder(tmp_path / "model", cache=tmp_path / "cache", **LOCAL)
    before = encoder.fit_transform(TEXTS[:2])
    make_bert(tmp_path / "model", seed=1)
    unload_models()
    assert abs(encoder.fit_transform(TEXTS[:2]) - before).max() > 0.1
    assert sum(n_encoded) == 4


def test_weights_are_loaded_again_if_the_folder_changes(tmp_path):
    """The cache never stores embeddings of old weights under the key of new ones."""
    make_bert(tmp_path / "model")
    encoder = TextEncoder(tmp_path / "model", cache=tmp_path / "cache", **LOCAL)
    before = encoder.fit_transform(TEXTS[:2])
    make_bert(tmp_path / "model", seed=1)
    after = encoder.transform(TEXTS[:2])
    assert abs(after - before).max() > 0.1
    assert sum(str(tmp_path / "model") in key[1] for key in _models._loaded) == 4
    unload_models()
    assert_array_equal(encoder.transform(TEXTS[:2]), after)
    assert_array_equal(encoder.set_params(cache=None).transform(TEXTS[:2]), after)


def test_relative_folder_in_another_place(tmp_path, monkeypatch):
    found = []
    for seed, place in enumerate(["one", "two"]):
        make_bert(tmp_path / place / "model", seed)
        for file in (tmp_path / place / "model").iterdir():
            os.utime(file, (0, 0))
        monkeypatch.chdir(tmp_path / place)
        found.append(TextEncoder("model", **LOCAL).fit_transform(TEXTS[:2]))
    assert abs(found[0] - found[1]).max() > 0.1


def test_cache_depends_on_content_of_files(model_path, tmp_path, n_encoded):
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
    found = TextEncoder(model_path("bert"), **LOCAL).fit_transform(
        ["cat", "dog", "cat"]
    )
    assert sum(n_encoded) == 2
    assert_array_equal(found[0], found[2])


def test_no_cache_keeps_nothing():
    for cache in (None, joblib.Memory(None)):
        store = EmbeddingCache(cache, "settings")
        store.put("key", np.ones(2))
        assert store.get("key") is None


def test_disk_full(model_path, tmp_path, monkeypatch):
    path = model_path("bert")
    expected = TextEncoder(path, **LOCAL).fit_transform(TEXTS[:3])

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numpy_pickle, "dump", full)
    encoder = TextEncoder(path, cache=tmp_path, **LOCAL)
    match = "TextEncoder: 3 embeddings could not be cached.*No space"
    with pytest.warns(UserWarning, match=match) as record:
        found = encoder.fit_transform(TEXTS[:3])
    assert len(record) == 1
    assert_array_equal(found, expected)


def test_broken_entry(tmp_path):
    cache = EmbeddingCache(tmp_path, "settings")
    value = np.arange(8, dtype=np.float32)
    cache.put("key", value)
    for path in tmp_path.rglob("output.pkl"):
        path.write_bytes(path.read_bytes()[:40])
    assert cache.get("key") is None
    cache.put("key", value)
    assert_array_equal(cache.get("key"), value)


def share(folder):
    cache = EmbeddingCache(folder, "settings")
    for _ in range(3):
        for number in range(40):
            expected = np.full(8, number, dtype=np.float32)
            found = cache.get(f"key{number}")
            assert found is None or np.array_equal(found, expected), number
            cache.put(f"key{number}", expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_two_processes(tmp_path):
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=share, args=(tmp_path,)) for _ in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join(300)
        assert process.exitcode == 0
