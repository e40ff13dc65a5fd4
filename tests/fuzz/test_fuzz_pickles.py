"""Changed pickles and archives of data end in ValueError, or are read."""

import io
import pickle
import random

import numpy as np

from skmissing.datasets import load_multimodal_npz
from skmissing.datasets._plain_pickle import load_plain_pickle
from tests.fuzz.mutations import change_bytes

N_CASES = 2000
OPCODES = b"\x80\x8c\x93\x94\x95R(tb}]us.0K\x85\x86\x87\x81\x82\x92hjqrCBX\x8a\x8bNQP)l"


def make_pickles():
    """What MOSI's files hold, by every protocol."""
    part = {
        "text": np.arange(6.0).reshape(2, 3),
        "id": np.array(["a", "b"], dtype=object),
        "labels": [np.float32(1), 2, None, {"x": (b"y", {3})}],
    }
    return [pickle.dumps({"train": part}, protocol=p) for p in (0, 2, 4, 5)]


def changed(data, rng):
    """Bytes changed at random, or to opcodes."""
    if rng.random() < 0.4:
        return change_bytes(data, rng)
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        data[rng.randrange(len(data))] = rng.choice(OPCODES)
    return bytes(data)


def test_changed_pickles(tmp_path, seed):
    """The reader of pickles has one error; it takes no memory to speak of."""
    rng, seeds, path = random.Random(seed), make_pickles(), tmp_path / "data.pkl"
    n_refused = 0
    for _ in range(N_CASES):
        path.write_bytes(changed(rng.choice(seeds), rng))
        try:
            load_plain_pickle(path)
        except ValueError:
            n_refused += 1
    assert N_CASES / 3 < n_refused < N_CASES


def test_changed_archives(tmp_path, seed):
    """So has that of archives."""
    rng, path, file = random.Random(seed), tmp_path / "data.npz", io.BytesIO()
    np.savez(file, image=np.ones((2, 3)), text=np.ones((2, 2, 2)), y=np.arange(2))
    n_refused = 0
    for _ in range(N_CASES // 4):
        path.write_bytes(change_bytes(file.getvalue(), rng))
        try:
            load_multimodal_npz(path)
        except ValueError:
            n_refused += 1
    assert n_refused
