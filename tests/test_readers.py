"""Readers of files; every file is made by the test."""

import collections
import copyreg
import os
import pickle
import random
import struct
import sys
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing._table import ModalityWarning
from skmissing.datasets import (
    read_mmimdb_embeddings,
    read_mosi,
    read_multimodal_npz,
    read_sleep_edf,
)
from skmissing.datasets._readers import _read_pickle
from skmissing.simulate import missing_rates

RNG = np.random.RandomState(0)


@pytest.fixture
def save(tmp_path):

    def write(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return write


def archive(**changes):
    """Arrays of a sound archive; None in `changes` leaves one out."""
    image = RNG.standard_normal((6, 4)).astype(np.float32)
    image[2] = np.nan
    arrays = {
        "image": image,
        "audio": RNG.standard_normal((6, 3, 2)).astype(np.float32),
        "y": np.arange(6),
        "split": np.array([0, 0, 0, 1, 2, 2]),
        "speaker": np.array(list("aabbcc")),
        "frame_rate": np.array([[1], [2], [3], [4], [5], [6]]),
        **changes,
    }
    return {key: array for key, array in arrays.items() if array is not None}


def test_npz_round_trip(save):
    """Arrays of numbers become modalities, in the file's order; others are extras."""
    arrays = archive(class_names=np.array(list("uvwxyz")))
    bunch = read_multimodal_npz(save(**arrays))
    assert bunch.modalities == {"image": 4, "audio": (3, 2), "frame_rate": 1}
    assert bunch.data.dtype == np.float64
    assert_array_equal(bunch.data[:, :4], arrays["image"])
    assert_array_equal(bunch.data[:, 4:10].reshape(6, 3, 2), arrays["audio"])
    assert_array_equal(bunch.data[:, 10:], arrays["frame_rate"])
    assert_array_equal(bunch.target, arrays["y"])
    assert_array_equal(bunch.split, arrays["split"])
    assert set(bunch.extras) == {"speaker"}
    assert bunch.target_names == list("uvwxyz")
    assert bunch.feature_names[4:7] == ["audio__t0_0", "audio__t0_1", "audio__t1_0"]
    assert missing_rates(bunch.data, modalities=bunch.modalities)["image"] == 1 / 6


def test_npz_choices(save):
    pytest.importorskip("pandas")
    path = save(
        **archive(split2=np.array(["train", "dev"] * 3), half=np.ones((6, 2), "e"))
    )
    bunch = read_multimodal_npz(
        path, modalities=["frame_rate", "half"], target="speaker", split="split2"
    )
    assert bunch.modalities == {"frame_rate": 1, "half": 2}
    assert bunch.data.dtype == np.float64
    assert bunch.split.tolist() == [0, 1] * 3
    X, y = read_multimodal_npz(path, return_X_y=True, as_frame=True)
    assert list(X.columns[:1]) == ["image__0"] and len(y) == 6
    assert X["image__0"].dtype == np.float64  # integers become float64
    assert read_multimodal_npz(save(**archive(split=None))).split is None


BAD_ARCHIVES = [
    ({"y": None}, r"data.npz must have the key 'y'; got \['image', 'audio', 'split'"),
    ({"y": np.float64(3)}, r"key 'y' must have a value per sample; got one"),
    ({"y": np.arange(5)}, r"samples; got 'image' 6, 'audio' 6, 'frame_rate' 6, 'y' 5"),
    (
        {"image": None, "audio": None, "frame_rate": None},
        r"one array of numbers besides 'y' must",
    ),
    ({"audio": np.full((6, 2), np.inf)}, r"must be finite, .* got 12 infinite values"),
    ({"split": np.arange(6)}, r"must have the codes 0 \(train\), .* got \[3\]"),
    (
        {"split": np.array(["train"] * 5 + ["tset"])},
        r"must have the names train, .* got 'tset'",
    ),
    ({"split": np.array([b"\xff"] * 6)}, "must have the names train, .* got '\ufffd'"),
    (
        {"split": np.zeros((6, 1), int)},
        r"key 'split' must have shape \(6,\); got \(6, 1\)",
    ),
    (
        {"speaker": np.array([{}], dtype=object)},
        r"key 'speaker' must hold numbers or strings; got ValueError",
    ),
]


@pytest.mark.parametrize("changes, message", BAD_ARCHIVES)
def test_npz_refuses(save, changes, message):
    with pytest.raises(ValueError, match=message):
        read_multimodal_npz(save(**archive(**changes)))


def test_npz_refuses_other_choices(save):
    path = save(**archive())
    with pytest.raises(ValueError, match=r"must have the key 'video'; got \['image'"):
        read_multimodal_npz(path, modalities=["video"])
    with pytest.raises(ValueError, match=r"got shape \(6,\) and type <U1"):
        read_multimodal_npz(path, modalities=["speaker"])
    with pytest.raises(ValueError, match=r"must have the key 'split9'"):
        read_multimodal_npz(path, split="split9")


def test_npz_refuses_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz must be a file; got nothing"):
        read_multimodal_npz(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="must be a file; got a folder"):
        read_multimodal_npz(tmp_path)
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    with pytest.raises(ValueError, match="text.npz must be a numpy archive"):
        read_multimodal_npz(text)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(ValueError, match="must be a numpy archive"):
        read_multimodal_npz(tmp_path / "one.npy")


def films(**changes):
    arrays = {
        "image": np.ones((4, 3), np.float32),
        "text": np.ones((4, 2), np.float32),
        "labels": np.array([[1, 0, 1]] * 4, dtype=bool),
        "split": np.array([b"train", b"val", b"test", b"test"]),
        "genres": np.array(["Drama", "Comedy", "War"]),
        **changes,
    }
    return {key: array for key, array in arrays.items() if array is not None}


def test_mmimdb(save):
    """Two modalities, an indicator matrix of integers, split codes, genres."""
    pytest.importorskip("pandas")
    path = save(**films())
    bunch = read_mmimdb_embeddings(path)
    assert bunch.modalities == {"image": 3, "text": 2}
    assert bunch.target.dtype == np.int64 and bunch.target.tolist() == [[1, 0, 1]] * 4
    assert bunch.split.tolist() == [0, 1, 2, 2]
    assert bunch.target_names == ["Drama", "Comedy", "War"]
    _, y = read_mmimdb_embeddings(path, return_X_y=True, as_frame=True)
    assert list(y.columns) == ["Drama", "Comedy", "War"]
    assert read_mmimdb_embeddings(save(**films(split=None, genres=None))).split is None


BAD_FILMS = [
    ({"text": None}, r"must have the key 'text'; got \['image', 'labels'"),
    (
        {"image": np.ones((4, 3, 2))},
        r"key 'image' must be numbers with two axes; got shape",
    ),
    ({"labels": np.arange(4)}, r"matrix of 0 and 1, .* got shape \(4,\)"),
    ({"labels": np.full((4, 2), 2)}, r"must be a matrix of 0 and 1"),
    ({"labels": np.ones((3, 3))}, r"got 'image' 4, 'text' 4, 'labels' 3"),
    ({"genres": np.array(["War"])}, r"must have one name for each .* got shape \(1,\)"),
]


@pytest.mark.parametrize("changes, message", BAD_FILMS)
def test_mmimdb_refuses(save, changes, message):
    with pytest.raises(ValueError, match=message):
        read_mmimdb_embeddings(save(**films(**changes)))


def utterances(n, **changes):
    """One split of a sound MOSI file; the last token of the last sample is padding."""
    text = RNG.uniform(1, 2, (n, 3, 2)).astype(np.float32)
    text[-1, -1] = 0
    part = {
        "text": text,
        "audio": RNG.uniform(1, 2, (n, 5, 1)).astype(np.float32),
        "vision": RNG.uniform(1, 2, (n, 4, 2)),
        "regression_labels": np.linspace(-3, 3, n).astype(np.float32),
        "id": [f"v{i}$_$0" for i in range(n)],
        "raw_text": np.array(["words"] * n),
        **changes,
    }
    return {key: value for key, value in part.items() if value is not None}


def mosi_file(tmp_path, protocol=4, **changes):
    """Write a file with 5, 2 and 3 samples; the changes go to the validation split."""
    content = {
        "train": utterances(5),
        "valid": utterances(2, **changes),
        "test": utterances(3),
    }
    path = tmp_path / "mosi.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path, content


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_mosi_of_every_protocol(tmp_path, protocol):
    path, content = mosi_file(tmp_path, protocol)
    bunch = read_mosi(path)
    assert bunch.modalities == {"text": (3, 2), "audio": (5, 1), "vision": (4, 2)}
    assert bunch.data.dtype == np.float32 and bunch.data.shape == (10, 19)
    assert bunch.split.tolist() == [0] * 5 + [1] * 2 + [2] * 3
    assert bunch.id.tolist()[4:6] == ["v4$_$0", "v0$_$0"]
    for start, part in zip((0, 5, 7), content.values()):
        text = bunch.data[start : start + len(part["id"]), :6].reshape(-1, 3, 2)
        assert np.isnan(text[-1, -1]).all() and np.isnan(text).sum() == 2
        assert_array_equal(text[:-1], part["text"][:-1])
        labels = bunch.target[start : start + len(part["id"])]
        assert_array_equal(labels, part["regression_labels"])


def test_mosi_in_the_layout_of_mult(tmp_path):
    """Labels of shape (n, 1, 1), ids of three columns and -inf in the audio."""
    audio = np.ones((2, 5, 1), np.float32)
    audio[0, 0] = -np.inf
    path, content = mosi_file(tmp_path, audio=audio)
    for part in content.values():
        part["labels"] = part.pop("regression_labels").reshape(-1, 1, 1)
        part["id"] = np.array([[b"v", 0.5, 1.5]] * len(part["labels"]), dtype=object)
    path.write_bytes(pickle.dumps(content))
    with pytest.warns(
        ModalityWarning, match="key 'audio' has 1 infinite cell, set to NaN"
    ):
        bunch = read_mosi(path)
    assert bunch.target.shape == (10,)
    assert bunch.id[0].endswith("0.5_1.5")
    assert np.isnan(bunch.data[5, 6]) and not np.isinf(bunch.data).any()


def test_mosi_pooled(tmp_path):
    vision = np.zeros((2, 4, 2))
    vision[0] = np.arange(8).reshape(4, 2)
    path, content = mosi_file(tmp_path, vision=vision)
    bunch = read_mosi(path, pool="mean")
    assert bunch.modalities == {"text": 2, "audio": 1, "vision": 2}
    assert_allclose(bunch.data[5, 3:], [3, 4])
    assert np.isnan(bunch.data[6, 3:]).all()
    assert_allclose(bunch.data[4, :2], content["train"]["text"][-1, :2].mean(axis=0))
    with pytest.raises(ValueError, match="pool must be 'mean' or None; got 'max'"):
        read_mosi(path, pool="max")


BAD_PARTS = [
    (
        {"audio": None},
        r"split 'valid' must have the key 'audio'; got \['text', 'vision'",
    ),
    (
        {"text": np.ones((2, 3))},
        r"split 'valid': key 'text' must be .* got shape \(2, 3\)",
    ),
    (
        {"text": np.ones((2, 4, 2))},
        r"key 'text' must have the same tokens .* got the shapes \(5, 3, 2\), \(2, 4",
    ),
    ({"text": np.ones((3, 3, 2))}, r"got 'text' 3, 'audio' 2, 'vision' 2, 'regr"),
    ({"regression_labels": None}, r"split 'valid' must have the key 'labels'"),
    (
        {"regression_labels": np.ones((2, 4))},
        r"one number per sample; got shape \(2, 4\)",
    ),
    ({"id": ["a"]}, r"an entry for each of the 2 samples; got 1"),
]


@pytest.mark.parametrize("changes, message", BAD_PARTS)
def test_mosi_refuses(tmp_path, changes, message):
    path, _ = mosi_file(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"mosi.pkl.*{message}"):
        read_mosi(path)


def test_mosi_refuses_other_contents(tmp_path):
    path = tmp_path / "x.pkl"
    for content, message in [
        ({"train": {}}, r"split 'train' must have the key 'text'"),
        ({"valid": {}}, r"dict under the key 'train'; got the keys \['valid'\]"),
        ([1, 2], r"dict under the key 'train'; got the keys \[\]"),
    ]:
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=message):
            read_mosi(path)
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="x.pkl must be a pickle of numpy arrays"):
        read_mosi(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="x.pkl must be a pickle .* got EOFError"):
        read_mosi(path)


# ------------------------------------------------------------------ malicious pickles


class Attack:
    """Pickles to a call of whatever it is given."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def attacks(marker):
    """Pickles that would leave a file, or that have more than plain arrays."""
    code = f"open({os.fspath(marker)!r}, 'w').close()"
    shell = Attack(os.system, f"touch {marker}")
    yield shell
    yield Attack(exec, code)
    yield Attack(eval, code)
    yield Attack(getattr, [], "append")
    yield Attack(np.load, os.fspath(marker), None, True)
    yield {"train": {"text": np.array([shell], dtype=object)}}
    yield np.ones(3), collections.OrderedDict(a=1)
    yield np.ones(3).view(np.recarray)
    yield np.ma.masked_array([1.0], [True])
    yield np.zeros(2, dtype=[("a", "O"), ("b", "f8")])
    yield np.array(["2020-01-01"], dtype="M8[D]")


@pytest.fixture
def refused(tmp_path):

    def check(data, match="must be a pickle of numpy array"):
        path = tmp_path / "evil.pkl"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"evil.pkl.*{match}"):
            _read_pickle(path)

    return check


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_malicious_pickles_run_nothing(refused, tmp_path, protocol):
    marker = tmp_path / "was_run"
    for content in attacks(marker):
        refused(pickle.dumps(content, protocol=protocol))
        assert not marker.exists()
    # The attack works on Python's own reader, so that the test can fail.
    pickle.loads(pickle.dumps(next(attacks(marker)), protocol=protocol))
    assert marker.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_truncated_pickles(refused, protocol):
    data = pickle.dumps({"train": {"text": np.ones((2, 3))}}, protocol=protocol)
    for length in range(len(data)):
        refused(data[:length])


class Touch:
    """Leaves a file when it is filled."""

    def __setstate__(self, state):
        open(state["path"], "w").close()


def test_extension_registry_is_not_asked(refused, tmp_path):
    """Python's reader in C takes known codes from a cache, without a look at names."""
    copyreg.add_extension(__name__, "Touch", 200)
    try:
        pickle.loads(pickle.dumps(Touch, protocol=2))  # fills the cache
        marker = tmp_path / "was_run"
        attack = PROTO + b"\x82\xc8)\x81}" + short("path") + short(str(marker)) + b"sb."
        refused(attack)
        assert not marker.exists()
        pickle.loads(attack)  # so that the test can fail
        assert marker.exists()
    finally:
        copyreg.remove_extension(__name__, "Touch", 200)


def short(text):
    return b"\x8c" + struct.pack("<B", len(text)) + text.encode()


def name(module, attribute):
    return short(module) + short(attribute) + b"\x93"


PROTO = b"\x80\x04"
DTYPE = name("numpy", "dtype")
BUFFER = name("numpy.core.numeric", "_frombuffer")
ARRAY = name("numpy.core.multiarray", "_reconstruct")
LATIN1 = name("_codecs", "encode")
FLOAT = DTYPE + short("f8") + b"\x85R"
ODD_PROGRAMS = [
    # BUILD on classes that stand for numpy's, on numbers, lists and dictionaries.
    *(
        what + b"N}" + short("build") + b"K\x01s\x86b"
        for what in (DTYPE, BUFFER, ARRAY)
    ),
    LATIN1 + b"N}" + short("__new__") + b"K\x01s\x86b",
    b"K\x05}b",
    b"]}" + short("append") + b"K\x01sb",
    # numpy.ndarray((1,), "O", b"..."): an array of made-up pointers.
    name("numpy", "ndarray") + b"K\x01\x85" + short("O") + b"\x86R",
    BUFFER
    + b"(C\x08AAAAAAAA"
    + DTYPE
    + short("O8")
    + b"\x85RK\x01\x85"
    + short("C")
    + b"tR",
    # More values than there are bytes, and all memory.
    BUFFER + b"(C\x08AAAAAAAA" + FLOAT + b"K\x63\x85" + short("C") + b"tR",
    name("builtins", "bytes") + b"J\xff\xff\xff\x7f\x85R",
    # Types of records, dates and pointers; states that are not as usual.
    *(
        DTYPE + short(code) + b"\x85R"
        for code in ("V8", "M8[s]", "f8,O", "", "O4", "P")
    ),
    DTYPE + b"N\x85R",
    FLOAT + b"K\x05b",
    FLOAT + b"N\x85b",
    # Calls of what is no function, names within names, codecs, persistent ids.
    b"K\x05)R",
    LATIN1 + b"K\x01" + short("zip") + b"\x86R",
    *(name("numpy", odd) for odd in ("ndarray.__reduce__", "dtype.type.mro", "load")),
    name("skmissing.datasets._readers", "np.load"),
    name("builtins", "set.__class__"),
    short("a") + b"Q",
    b"\x97",
    # Sizes without content.
    *(
        code + b"\xff\xff\xff\xff\xff\xff\xff\x0f"
        for code in (b"\x8e", b"\x8d", b"\x96")
    ),
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
]


@pytest.mark.parametrize("program", ODD_PROGRAMS)
def test_odd_programs_are_refused(refused, program):
    """Opcodes that no pickler writes cannot reach numpy or this library either."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(PROTO + program + b".")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100_000  # kB


def test_old_opcodes_are_refused(refused, tmp_path):
    marker = tmp_path / "was_run"
    code = f"open({os.fspath(marker)!r}, 'w')".encode()
    refused(b"(S'touch " + os.fsencode(marker) + b"'\nios\nsystem\n.")
    refused(b"(cbuiltins\neval\nX" + struct.pack("<I", len(code)) + code + b"o.")
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_come_back_as_they_were(tmp_path, protocol):
    """Arrays of all plain types and layouts, numbers, strings, nested containers."""
    base = np.arange(24).reshape(2, 3, 4)
    content = {
        "arrays": [
            base,
            np.asfortranarray(base[0]).astype(">f4"),
            base.transpose(1, 0, 2).astype(float),
            base[:, ::2].astype(np.float16),
            np.array(["a", "long word"]),
            np.array([b"x", b"yz"]),
            np.array([True, False]),
            np.array(3.5),
        ],
        "objects": np.array([[1, "a"], [None, base]], dtype=object),
        "scalars": (np.float32(1.5), np.int64(3), 2.0, None, True, "s", b"b"),
    }
    path, data = tmp_path / "plain.pkl", pickle.dumps(content, protocol=protocol)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for written in (data, old) if protocol < 4 else (data,):
        path.write_bytes(written)
        read = _read_pickle(path)
        for found, expected in zip(map(np.asarray, read["arrays"]), content["arrays"]):
            assert_array_equal(found, expected)
            assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        assert read["scalars"] == content["scalars"]
        objects = np.asarray(read["objects"])
        assert objects.shape == (2, 2) and objects[0].tolist() == [1, "a"]
        assert_array_equal(np.asarray(objects[1, 1]), base)


# ----------------------------------------------------------------- malicious archives


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }",
        "{'descr': '<U99999999', 'fortran_order': False, 'shape': (9000, 9), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }",
        "__import__('os').system('true')",
        "{" * 2000,
    ],
)
def test_headers_of_arrays_are_checked(tmp_path, header):
    header = header.encode() + b" " * (63 - len(header) % 64) + b"\n"
    with zipfile.ZipFile(tmp_path / "evil.npz", "w") as file:
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        file.writestr("image.npy", start + header)
    with pytest.raises(ValueError, match="key 'image' must hold numbers or strings"):
        read_multimodal_npz(tmp_path / "evil.npz")


def test_archives_are_not_unpickled(tmp_path):
    marker, path = tmp_path / "was_run", tmp_path / "evil.npz"
    evil = np.array([Attack(os.mkdir, str(marker))], dtype=object)
    np.savez(path, image=np.ones((1, 2)), y=evil)
    with pytest.raises(ValueError, match="key 'y' must hold numbers"):
        read_multimodal_npz(path)
    np.save(tmp_path / "evil.npy", evil, allow_pickle=True)
    with pytest.raises(ValueError, match="must be a numpy archive"):
        read_multimodal_npz(tmp_path / "evil.npy")
    path.write_bytes(pickle.dumps(evil))
    with pytest.raises(ValueError, match="must be a numpy archive"):
        read_multimodal_npz(path)
    assert not marker.exists()


OPCODES = b"\x80\x8c\x93\x94\x95R(tb}]us.0K\x85\x86\x87\x81\x82\x92hjqrCBX\x8a\x8bNQP)l"


def test_fuzz(tmp_path, seed):
    rng, n_refused = random.Random(seed), 0
    part = {
        "text": np.ones((2, 3)),
        "id": np.array(["a"], dtype=object),
        "x": [(1, b"y")],
    }
    originals = [pickle.dumps({"train": part}, protocol=p) for p in (0, 2, 4, 5)]
    np.savez(tmp_path / "data.npz", image=np.ones((2, 3)), y=np.arange(2))
    archive = (tmp_path / "data.npz").read_bytes()
    path = tmp_path / "changed"
    for case in range(1200):
        data = bytearray(rng.choice(originals) if case % 4 else archive)
        for _ in range(rng.choice((1, 1, 2, 5))):
            data[rng.randrange(len(data))] = rng.choice([*OPCODES, rng.randrange(256)])
        path.write_bytes(data)
        try:
            (_read_pickle if case % 4 else read_multimodal_npz)(path)
        except ValueError:
            n_refused += 1
    assert 400 < n_refused < 1200


# -------------------------------------------------------------------------- Sleep-EDF

STAGES = ["W", "1", "2", "3", "4", "R", "?", "2"]


@pytest.fixture
def record(tmp_path):
    edfio = pytest.importorskip("edfio")

    def write(name="SC4001", stages=STAGES, channels=("EEG Fpz-Cz",), rate=10, **extra):
        n_epochs = extra.pop("n_epochs", len(stages))
        n_samples = n_epochs * 30 * rate
        signals = [
            edfio.EdfSignal(
                np.linspace(-100, 100, n_samples) * (c + 1),
                rate,
                label=label,
                physical_range=(-400, 400),
            )
            for c, label in enumerate(channels)
        ]
        edfio.Edf(signals, data_record_duration=30).write(
            tmp_path / f"{name}E0-PSG.edf"
        )
        onset, seconds = extra.pop("onset", 0.0), extra.pop("seconds", 30.0)
        annotations = [
            edfio.EdfAnnotation(onset + i * seconds, seconds, f"Sleep stage {stage}")
            for i, stage in enumerate(stages)
        ]
        annotations.append(edfio.EdfAnnotation(1.0, None, "Lights off"))
        edfio.Edf([], annotations=annotations).write(
            tmp_path / f"{name}EC-Hypnogram.edf"
        )
        return tmp_path / f"{name}E0-PSG.edf"

    return write


def test_epochs_and_stages(record):
    """Epochs lie side by side, stages 3 and 4 are one, unknown ones are left out."""
    bunch = read_sleep_edf(record(channels=("EEG Fpz-Cz", "EOG horizontal")))
    assert bunch.modalities == {"eeg_fpz_cz": 300, "eog_horizontal": 300}
    assert bunch.data.shape == (7, 600) and bunch.data.dtype == np.float32
    assert bunch.target.tolist() == [0, 1, 2, 3, 3, 4, 2]
    assert bunch.target_names == ["W", "N1", "N2", "N3", "REM"]
    assert bunch.left_out == {"?": 1}
    assert_array_equal(bunch.onset, [0, 30, 60, 90, 120, 150, 210])
    assert set(bunch.record) == {"SC4001E0"}
    signal = np.linspace(-100, 100, 8 * 300).reshape(8, 300)
    # 16 bits over a range of 800 leave an error of 0.01.
    assert_allclose(bunch.data[:, :300], np.delete(signal, 6, axis=0), atol=0.02)
    assert_allclose(bunch.data[:, 300:], 2 * bunch.data[:, :300], atol=0.04)


def test_one_annotation_for_many_epochs(record):
    path = record(stages=["W", "2", "R"], seconds=90.0, n_epochs=8)
    bunch = read_sleep_edf(path)
    assert bunch.target.tolist() == [0, 0, 0, 2, 2, 2, 4, 4]
    assert bunch.left_out == {"beyond the signal": 1}
    longer = read_sleep_edf(record(stages=["W", "2"], n_epochs=5))
    assert longer.target.tolist() == [0, 2] and longer.left_out == {"unscored": 3}


def test_recordings_of_a_folder(record, tmp_path):
    pytest.importorskip("pandas")
    record("SC4001", channels=("EEG Fpz-Cz", "EMG"))
    record("SC4011", channels=("EEG Fpz-Cz",), stages=["W", "W"])
    bunch = read_sleep_edf(tmp_path)
    assert bunch.record.tolist() == ["SC4001E0"] * 7 + ["SC4011E0"] * 2
    assert np.isnan(bunch.data[7:, 300:]).all()
    assert (
        not np.isnan(bunch.data[:7]).any() and not np.isnan(bunch.data[:, :300]).any()
    )
    X, y = read_sleep_edf(
        tmp_path, channels=["EMG", "eeg_fpz_cz"], return_X_y=True, as_frame=True
    )
    assert X.columns[0] == "emg__0" and X.columns[300] == "eeg_fpz_cz__0"
    assert len(y) == 9


def test_channels_of_different_rates(record, tmp_path):
    edfio = pytest.importorskip("edfio")
    path = record()
    signals = [
        edfio.EdfSignal(np.arange(2400.0), 10, label="EEG Fpz-Cz"),
        edfio.EdfSignal(np.arange(240.0), 1, label="Temp rectal"),
    ]
    edfio.Edf(signals, data_record_duration=30).write(path)
    bunch = read_sleep_edf(path)
    assert bunch.modalities == {"eeg_fpz_cz": 300, "temp_rectal": 30}
    assert read_sleep_edf(path, epoch_seconds=30.0).data.shape == (7, 330)


def test_refusals(record, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"must have files \*-PSG.edf; got none"
    ):
        read_sleep_edf(tmp_path)
    with pytest.raises(FileNotFoundError, match="must be a file or a folder; got noth"):
        read_sleep_edf(tmp_path / "none.edf")
    path = record()
    with pytest.raises(ValueError, match="must have one of the channels \\['EMG'"):
        read_sleep_edf(path, channels=["EMG"])
    with pytest.raises(ValueError, match="must have the channel 'EMG' in some"):
        read_sleep_edf(path, channels=["EEG Fpz-Cz", "EMG"])
    with pytest.raises(ValueError, match="epoch_seconds must be positive; got 0"):
        read_sleep_edf(path, epoch_seconds=0)
    with pytest.raises(
        ValueError, match="a whole number of values in 30.01 s; got 10 per"
    ):
        read_sleep_edf(path, epoch_seconds=30.01)
    with pytest.raises(ValueError, match="must start at a multiple of 30 s; got 10 s"):
        read_sleep_edf(record(onset=10.0))
    with pytest.raises(ValueError, match=r"Hypnogram.edf must have annotations"):
        read_sleep_edf(record(stages=["?", "?"]))
    with pytest.raises(
        ValueError, match="names of channels must differ; got 'eeg' twice"
    ):
        read_sleep_edf(record(channels=("EEG", "EEG ")))
    record("SC4011", channels=("EEG Fpz-Cz",), rate=20)
    record("SC4001", channels=("EEG Fpz-Cz",), rate=10)
    with pytest.raises(ValueError, match="must have 300 values per epoch, .* got 600"):
        read_sleep_edf(tmp_path)
    path.write_bytes(b"no EDF")
    with pytest.raises(ValueError, match="PSG.edf must be an EDF file; got"):
        read_sleep_edf(path)
    (tmp_path / "SC4001EC-Hypnogram.edf").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"must have one file SC4001E\*-Hypnogram"
    ):
        read_sleep_edf(path)


def test_missing_reader_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "edfio", None)
    with pytest.raises(ImportError, match=r'pip install "skmissing\[datasets\]"'):
        read_sleep_edf(tmp_path)
