"""A full disk, a broken entry and a second process at the cache of embeddings."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from joblib import numpy_pickle
from numpy.testing import assert_array_equal

from skmissing.encoders import TextEncoder
from skmissing.encoders._cache import EmbeddingCache

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["a film", "a book", "a song"]
SHARE = """
import sys
import numpy as np
from skmissing.encoders._cache import EmbeddingCache

cache = EmbeddingCache(sys.argv[1], "settings")
for _ in range(3):
    for number in range(40):
        expected = np.full(8, number, dtype=np.float32)
        found = cache.get(f"key{number}")
        assert found is None or np.array_equal(found, expected), number
        cache.put(f"key{number}", expected)
print("done")
"""


def test_disk_full(model_path, tmp_path, monkeypatch):
    """One warning says what was not stored; the embeddings are what they are."""
    path = model_path("bert")
    expected = TextEncoder(path, device="cpu").fit_transform(TEXTS)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numpy_pickle, "dump", full)
    encoder = TextEncoder(path, device="cpu", cache=tmp_path)
    with pytest.warns(UserWarning, match="3 embeddings could not be cached.*No space"):
        found = encoder.fit_transform(TEXTS)
    assert_array_equal(found, expected)


def test_broken_entry(tmp_path):
    """An entry cut short, as by a crash, is not there; the next one stored is."""
    cache = EmbeddingCache(tmp_path, "settings")
    value = np.arange(8, dtype=np.float32)
    cache.put("key", value)
    for path in tmp_path.rglob("output.pkl"):
        path.write_bytes(path.read_bytes()[:40])
    assert cache.get("key") is None
    cache.put("key", value)
    assert_array_equal(cache.get("key"), value)


def test_two_processes(tmp_path):
    """Both read and write the same entries at the same time; neither reads rubbish."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SHARE, tmp_path],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out.strip()) == (0, "done"), err
