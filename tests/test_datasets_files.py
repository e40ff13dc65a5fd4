"""Loaders of files; every file is made by the test."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.datasets import read_mmimdb_embeddings, read_mosi, read_multimodal_npz
from skmissing.datasets._plain_pickle import load_plain_pickle
from skmissing.simulate import missing_rates

RNG = np.random.RandomState(0)


@pytest.fixture
def save(tmp_path):
    """Write an archive and return its path."""

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
    """Float arrays become modalities, in the file's order; the rest are extras."""
    arrays = archive(class_names=np.array(list("uvwxyz")))
    bunch = read_multimodal_npz(save(**arrays))
    assert bunch.modalities == {"image": 4, "audio": (3, 2)}
    assert bunch.data.dtype == np.float32
    assert_array_equal(bunch.data[:, :4], arrays["image"])
    assert_array_equal(bunch.data[:, 4:].reshape(6, 3, 2), arrays["audio"])
    assert_array_equal(bunch.target, arrays["y"])
    assert_array_equal(bunch.split, arrays["split"])
    assert set(bunch.extras) == {"speaker", "frame_rate"}
    assert bunch.target_names == list("uvwxyz")
    assert bunch.feature_names[4:7] == ["audio__t0_0", "audio__t0_1", "audio__t1_0"]
    assert missing_rates(bunch.data, modalities=bunch.modalities)["image"] == 1 / 6


def test_npz_choices(save):
    """Modalities, target and split can be named; integers may be a modality then."""
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
    assert X["half__0"].dtype == np.float32
    assert read_multimodal_npz(save(**archive(split=None))).split is None


BAD_ARCHIVES = [
    ({"y": None}, r"data.npz: wanted the key 'y', found image, audio, split"),
    ({"y": np.float64(3)}, r"key 'y' is a single value, wanted one a row"),
    ({"y": np.arange(5)}, r"found 'image' 6, 'audio' 6, 'y' 5 rows"),
    ({"image": None, "audio": None}, r"found no modality, wanted at least one float"),
    ({"audio": np.full((6, 2), np.inf)}, r"key 'audio' holds 12 infinite values"),
    ({"split": np.arange(6)}, r"key 'split' holds \[3\], wanted the codes 0 \(train\)"),
    ({"split": np.array(["train"] * 5 + ["tset"])}, r"holds 'tset', wanted one of"),
    (
        {"split": np.zeros((6, 1), int)},
        r"key 'split' has shape \(6, 1\), wanted \(6,\)",
    ),
    (
        {"speaker": np.array([{}], dtype=object)},
        r"key 'speaker' cannot be read, wanted",
    ),
]


@pytest.mark.parametrize("changes, message", BAD_ARCHIVES)
def test_npz_refuses(save, changes, message):
    """Errors name the file, the key, what was found and what was wanted."""
    with pytest.raises(ValueError, match=message):
        read_multimodal_npz(save(**archive(**changes)))


def test_npz_refuses_other_choices(save):
    """A named modality must exist and be a table or tokens."""
    path = save(**archive())
    with pytest.raises(ValueError, match=r"wanted the key 'video', found image, audio"):
        read_multimodal_npz(path, modalities=["video"])
    with pytest.raises(
        ValueError, match=r"key 'speaker' has shape \(6,\) and type <U1"
    ):
        read_multimodal_npz(path, modalities=["speaker"])
    with pytest.raises(ValueError, match=r"wanted the key 'split9'"):
        read_multimodal_npz(path, split="split9")


def test_npz_refuses_other_files(tmp_path):
    """What is no archive, or is not there, is told apart."""
    with pytest.raises(
        FileNotFoundError, match="none.npz: wanted a file, found nothing"
    ):
        read_multimodal_npz(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="wanted a file, found a folder"):
        read_multimodal_npz(tmp_path)
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    with pytest.raises(ValueError, match="text.npz: wanted a numpy archive"):
        read_multimodal_npz(text)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(ValueError, match="found a single array"):
        read_multimodal_npz(tmp_path / "one.npy")


def films(**changes):
    """Arrays of a sound MM-IMDb file."""
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
    ({"text": None}, r"wanted the key 'text', found image, labels"),
    ({"image": np.ones((4, 3, 2))}, r"key 'image' has shape .* numbers with two axes"),
    ({"labels": np.arange(4)}, r"key 'labels' has shape \(4,\) .* indicator matrix"),
    ({"labels": np.full((4, 2), 2)}, r"wanted an indicator matrix of 0 and 1"),
    ({"labels": np.ones((3, 3))}, r"found 'image' 4, 'text' 4, 'labels' 3 rows"),
    ({"genres": np.array(["War"])}, r"key 'genres' has shape \(1,\), wanted one name"),
]


@pytest.mark.parametrize("changes, message", BAD_FILMS)
def test_mmimdb_refuses(save, changes, message):
    """Errors name the file, the key, what was found and what was wanted."""
    with pytest.raises(ValueError, match=message):
        read_mmimdb_embeddings(save(**films(**changes)))


def utterances(n, **changes):
    """One split of a sound MOSI file; the last token of the last row is padding."""
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
    """Write a file with 5, 2 and 3 rows; the changes go to the validation split."""
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
    """All pickle protocols give the same rows, in the order train, valid, test."""
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
    with pytest.warns(UserWarning, match=r"key 'audio' holds 1 infinite cells"):
        bunch = read_mosi(path)
    assert bunch.target.shape == (10,)
    assert bunch.id[0].endswith("0.5_1.5")
    assert np.isnan(bunch.data[5, 6]) and not np.isinf(bunch.data).any()


def test_mosi_pooled(tmp_path):
    """pool='mean' averages what is no padding; a modality of zeros is missing."""
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
    ({"audio": None}, r"split 'valid': wanted the key 'audio', found text, vision"),
    ({"text": np.ones((2, 3))}, r"split 'valid': key 'text' has shape \(2, 3\)"),
    (
        {"text": np.ones((2, 4, 2))},
        r"key 'text' has the shapes train \(5, 3, 2\), valid",
    ),
    ({"text": np.ones((3, 3, 2))}, r"found 'text' 3, 'audio' 2, 'vision' 2, 'regr"),
    ({"regression_labels": None}, r"split 'valid': wanted the key 'labels'"),
    ({"regression_labels": np.ones((2, 4))}, r"'regression_labels' has shape \(2, 4\)"),
    ({"id": ["a"]}, r"key 'id' has 1 entries, wanted one for each of the 2 rows"),
]


@pytest.mark.parametrize("changes, message", BAD_PARTS)
def test_mosi_refuses(tmp_path, changes, message):
    """Errors name the file, the split, the key, what was found and wanted."""
    path, _ = mosi_file(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"mosi.pkl.*{message}"):
        read_mosi(path)


def test_mosi_refuses_other_contents(tmp_path):
    """What is no dict of splits, or no pickle, is refused."""
    path = tmp_path / "x.pkl"
    for content, message in [
        ({"train": {}}, r"split 'train': wanted the key 'text'"),
        ({"valid": {}}, r"dict under the key 'train', found the keys 'valid'"),
        ([1, 2], r"dict under the key 'train', found the keys none"),
    ]:
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=message):
            read_mosi(path)
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="x.pkl: wanted a pickle"):
        read_mosi(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="x.pkl: wanted a pickle, but .* EOFError"):
        read_mosi(path)


class Attack:
    """Pickles to a call of whatever it is given."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def attacks(marker):
    """Pickles that would leave a file, or overwrite something, if they were run."""
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


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_malicious_pickles_run_nothing(tmp_path, protocol):
    """Anything but plain arrays and containers is refused, and nothing happens."""
    marker, path = tmp_path / "was_run", tmp_path / "evil.pkl"
    for content in attacks(marker):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(
            ValueError, match=r"evil.pkl: wanted a pickle of numpy array"
        ):
            read_mosi(path)
        assert not marker.exists()
    # The attack works on Python's own reader, so that the test can fail.
    path.write_bytes(pickle.dumps(next(attacks(marker)), protocol=protocol))
    pickle.loads(path.read_bytes())
    assert marker.exists()


def short(text):
    """A short string in the opcodes of protocol 4."""
    return b"\x8c" + struct.pack("<B", len(text)) + text.encode()


def global_(module, name):
    """Push a name, by the opcode of protocol 4."""
    return short(module) + short(name) + b"\x93"


DTYPE = global_("numpy", "dtype")
HAND_WRITTEN = {
    # BUILD on what stands for a class or a function: no attribute may be set.
    "write to a class": global_("numpy", "ndarray")
    + b"N}"
    + short("x")
    + b"K\x01s\x86b",
    "write to a function": (
        global_("_codecs", "encode") + b"N}" + short("__new__") + b"K\x01s\x86b"
    ),
    "write to a type": DTYPE + b"N}" + short("build") + b"K\x01s\x86b",
    # numpy.ndarray((1,), "O", b"..."): an array of made-up pointers.
    "call ndarray": global_("numpy", "ndarray") + b"K\x01\x85" + short("O") + b"\x86R",
    "pointers": (
        global_("numpy.core.numeric", "_frombuffer")
        + b"(C\x08AAAAAAAA"
        + DTYPE
        + short("O8")
        + b"\x85R"
        + b"K\x01\x85"
        + short("C")
        + b"tR"
    ),
    "unfinished array": (
        global_("numpy.core.multiarray", "_reconstruct")
        + b"("
        + global_("numpy", "ndarray")
        + b"K\x00\x85C\x01btR"
    ),
    "array of another class": (
        global_("numpy.core.multiarray", "_reconstruct")
        + b"("
        + DTYPE
        + b"K\x00\x85C\x01btR"
    ),
    "all memory": global_("builtins", "bytes") + b"J\xff\xff\xff\x7f\x85R",
    "write to a container": global_("builtins", "set") + b"N}" + b"\x86b",
    "codec": global_("_codecs", "encode") + short("a") + short("zip") + b"\x86R",
    "persistent id": short("a") + b"Q",
    "bare name": DTYPE,
}


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_hand_written_pickles(tmp_path, name):
    """Opcodes that no pickler writes cannot reach numpy or this library either."""
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x04" + HAND_WRITTEN[name] + b".")
    with pytest.raises(ValueError, match=r"evil.pkl: wanted a pickle"):
        load_plain_pickle(path)
    good = {"a": np.arange(3.0), "b": np.array(["x", 1], dtype=object)}
    path.write_bytes(pickle.dumps(good))
    assert_array_equal(load_plain_pickle(path)["a"], good["a"])


def test_sizes_that_do_not_fit(tmp_path):
    """An array that claims more values than it has is refused before it is made."""
    path = tmp_path / "evil.pkl"
    honest = pickle.dumps(np.arange(3, dtype=np.int8), protocol=4)
    assert honest.count(b"K\x03\x85") == 1
    path.write_bytes(honest.replace(b"K\x03\x85", b"K\x63\x85"))
    with pytest.raises(
        ValueError, match=r"found 3 values for an array of shape \(99,\)"
    ):
        load_plain_pickle(path)


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
            np.empty((0, 3)),
            np.array(3.5),
        ],
        "objects": np.array([[1, "a"], [None, base]], dtype=object),
        "scalars": (np.float32(1.5), np.int64(3), 2.0, None, True, "s", b"b", {1, 2}),
    }
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    read = load_plain_pickle(path)
    for found, expected in zip(read["arrays"], content["arrays"]):
        assert_array_equal(found, expected)
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.flags.writeable
    assert read["scalars"] == content["scalars"]
    assert read["objects"].shape == (2, 2)
    assert_array_equal(read["objects"][1, 1], base)
