"""Attacks on the reader of pickles and of archives; see also test_datasets_files.py."""

import copyreg
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmissing.datasets import read_mosi, read_multimodal_npz
from skmissing.datasets._plain_pickle import load_plain_pickle

PROTO = b"\x80\x04"


def short(text):
    """A short string in the opcodes of protocol 4."""
    return b"\x8c" + struct.pack("<B", len(text)) + text.encode()


def global_(module, name):
    """Push a name, by the opcode of protocol 4."""
    return short(module) + short(name) + b"\x93"


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file and read them as a pickle."""

    def load(data):
        path = tmp_path / "evil.pkl"
        path.write_bytes(data)
        return load_plain_pickle(path)

    return load


def refused(read, data, match):
    """The pickle is refused."""
    with pytest.raises(ValueError, match=match):
        read(data)


class Touch:
    """Leaves a file when it is called or filled."""

    def __init__(self, path=None):
        self.path = path

    def __setstate__(self, state):
        open(state["path"], "w").close()

    def __call__(self, *args):
        open(self.path, "w").close()


@pytest.fixture
def extension():
    """A code of the extension registry, in use before by a reader of the program."""
    key = __name__, "Touch"
    copyreg.add_extension(*key, 200)
    pickle.loads(pickle.dumps(Touch, protocol=2))  # fills the reader's cache
    yield
    copyreg.remove_extension(*key, 200)


def test_extension_registry_is_not_asked(read, tmp_path, extension):
    """Python's reader takes known codes from a cache, without a look at names."""
    marker = tmp_path / "was_run"
    path = short(os.fspath(marker))
    attack = PROTO + b"\x82\xc8)\x81}" + short("path") + path + b"sb."
    refused(read, attack, "found the opcode EXT1")
    assert not marker.exists()
    for data in (b"\x83\xc8\x00", b"\x84\xc8\x00\x00\x00"):
        refused(read, PROTO + data + b".", "found the opcode EXT[24]")
    pickle.loads(attack)  # so that the test can fail
    assert marker.exists()


@pytest.mark.parametrize("data", [b"Pname\n.", PROTO + short("a") + b"Q."])
def test_persistent_ids_are_refused(read, data):
    """Objects from elsewhere."""
    refused(read, data, "found the opcode (BIN)?PERSID")


@pytest.mark.parametrize("data", [b"\x97.", b"\x97\x98."])
def test_buffers_of_others_are_refused(read, data):
    """Arrays whose bytes come from elsewhere."""
    refused(read, b"\x80\x05" + data, "found the opcode NEXT_BUFFER")


@pytest.mark.parametrize(
    "module, name",
    [
        ("numpy", "ndarray.__reduce__"),
        ("numpy", "dtype.type.mro"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("builtins", "set.__class__"),
        ("_codecs", "encode.__self__"),
        ("skmissing.datasets._plain_pickle", "os.system"),
        ("numpy.core.multiarray ", "_reconstruct"),
        ("NUMPY", "dtype"),
        ("x" * 200, "y"),
    ],
)
def test_names_within_names_are_refused(read, module, name):
    """A dotted name would reach what a known object has."""
    refused(read, PROTO + global_(module, name) + b".", "found the name")


@pytest.mark.parametrize(
    "body",
    [
        # NEWOBJ: an object that was never initialised.
        global_("numpy", "dtype") + b")\x81",
        global_("numpy.core.multiarray", "_reconstruct") + b")\x81",
        global_("numpy.core.numeric", "_frombuffer") + b")\x81",
        # NEWOBJ_EX with arguments by name.
        global_("numpy", "dtype") + b")}" + short("code") + short("f8") + b"s\x92",
        # A call of what is no function, and of a function with no tuple.
        b"K\x05)R",
        global_("numpy", "dtype") + b"]R",
        # BUILD on numbers, lists and dicts.
        b"K\x05}b",
        b"]}" + short("append") + b"K\x01sb",
        b"}}" + short("get") + b"K\x01sb",
        # BUILD that describes a type or an array in an unusual way.
        global_("numpy", "dtype") + short("f8") + b"\x85RK\x05b",
        global_("numpy", "dtype") + short("f8") + b"\x85RN\x85b",
        # Types of records, dates, and pointers.
        global_("numpy", "dtype") + short("V8") + b"\x85R",
        global_("numpy", "dtype") + short("M8[s]") + b"\x85R",
        global_("numpy", "dtype") + short("f8,O") + b"\x85R",
        global_("numpy", "dtype") + b"N\x85R",
    ],
)
def test_odd_programs_are_refused(read, body):
    """Whatever is built by opcodes that picklers do not write so."""
    refused(read, PROTO + body + b".", "evil.pkl: wanted a pickle")


def test_old_opcodes_are_refused(read, tmp_path):
    """INST and OBJ call a class as REDUCE does."""
    marker = tmp_path / "was_run"
    code = f"open({os.fspath(marker)!r}, 'w')".encode()
    refused(read, b"(S'touch " + os.fsencode(marker) + b"'\nios\nsystem\n.", "name os")
    binary = b"(cbuiltins\neval\nX" + struct.pack("<I", len(code)) + code + b"o."
    refused(read, binary, "the name builtins.eval")
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"]r\xff\xff\xff\xff.",  # LONG_BINPUT: room for 2 ** 33 objects
        b"]p4294967295\n.",  # PUT
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f].",  # FRAME
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0fa.",  # BINBYTES8
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x0fa.",  # BINUNICODE8
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x0fa.",  # BYTEARRAY8
        b"\x8b\xff\xff\xff\x7fa.",  # LONG4
        b"I" + b"9" * 10_000 + b"\n.",
    ],
)
def test_sizes_without_content_are_refused(read, data):
    """A few bytes that ask for all memory are refused before any is taken."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(read, b"\x80\x05" + data, "evil.pkl: wanted a pickle")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100_000  # kB


def test_lists_of_the_same_lists_are_small(read):
    """Ten of ten of ten lists: 10 ** 40 items if each were built anew."""
    nested = ["x"]
    for _ in range(40):
        nested = [nested] * 10
    found = read(pickle.dumps(nested))
    assert found[0] is found[9]


def test_messages_stay_short(read):
    """Nor does such a list fill memory when it is shown."""
    nested = PROTO + b"]\x94"
    for i in range(40):
        get = b"h" + bytes([i])
        nested += b"](" + get * 10 + b"e\x94"
    call = global_("numpy", "dtype") + b"h\x28\x85R"
    with pytest.raises(ValueError, match="an array of type") as caught:
        read(nested + call + b".")
    assert len(str(caught.value)) < 5000


def test_containers_in_themselves_are_refused(read):
    """A list in itself would never end."""
    loop = []
    loop.append(loop)
    refused(read, pickle.dumps(loop), "found a container in itself")


def test_deep_containers_are_refused(read):
    """Deeper than Python can go."""
    refused(read, PROTO + b"]" * 50_000 + b"a" * 49_999 + b".", "RecursionError")


def test_same_arrays_stay_the_same(read):
    """An object array of one array many times takes its place once."""
    one = np.arange(1000.0)
    many = np.empty(500, dtype=object)
    many[:] = [one] * 500
    found = read(pickle.dumps({"many": many, "one": one}))
    assert found["many"][0] is found["many"][499] is found["one"]
    assert_array_equal(found["one"], one)


@pytest.mark.parametrize("protocol", [4, 5])
def test_booleans_and_strings_must_be_some(read, protocol):
    """Bytes that are no booleans, and numbers that are no characters."""
    data = pickle.dumps(np.array([True, False, True]), protocol=protocol)
    assert data.count(b"\x01\x00\x01") == 1
    found = data.replace(b"\x01\x00\x01", b"\x07\x00\x01")
    refused(read, found, "neither true nor false")
    data = pickle.dumps(np.array(["ab"]), protocol=protocol)
    content = "ab".encode("utf-32-le")
    assert data.count(content) == 1
    refused(read, data.replace(content, b"\xff" * 8), "characters that are none")


def test_reader_uses_names_of_its_own(read):
    """Real files still come back, also those that the older numpy wrote."""
    data = pickle.dumps({"a": np.arange(3.0)}, protocol=2)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert_array_equal(read(data)["a"], np.arange(3.0))
    assert_array_equal(read(old)["a"], np.arange(3.0))


def test_strings_of_python_2_are_read(read):
    """Protocol 0 escapes bytes, which need not be ASCII."""
    assert read(b"S'caf\\xe9'\n.") == "caf\xe9"


def test_scan_and_reader_see_the_same_program(read, tmp_path):
    """What follows the end of the program is read by neither."""
    marker = tmp_path / "was_run"
    attack = b"cos\nsystem\nX\x05\x00\x00\x00touch\x85R."
    assert read(pickle.dumps([1]) + attack) == [1]
    assert not marker.exists()


# --------------------------------------------------------------------------- archives


def member(header, content=b""):
    """A member of an archive: a header of numpy's format as given."""
    header = header.encode() + b" " * (63 - len(header) % 64) + b"\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
    return start + header + content


def archive(path, **members):
    """An archive of such members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


def test_archives_are_not_unpickled(tmp_path):
    """An object array in an archive is a pickle; it is refused unread."""
    marker = tmp_path / "was_run"

    class Evil:
        def __reduce__(self):
            return open, (os.fspath(marker), "w")

    path = tmp_path / "evil.npz"
    np.savez(path, image=np.ones((1, 2)), y=np.array([Evil()], dtype=object))
    with pytest.raises(ValueError, match="key 'y' cannot be read"):
        read_multimodal_npz(path)
    assert not marker.exists()
    single = tmp_path / "evil.npy"
    np.save(single, np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="wanted a numpy archive"):
        read_multimodal_npz(single)
    pickled = tmp_path / "evil.pkl"
    pickled.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="wanted a numpy archive"):
        read_multimodal_npz(pickled)
    assert not marker.exists()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }",
        "{'descr': '<U99999999', 'fortran_order': False, 'shape': (9000, 9), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }",
        "__import__('os').system('true')",
        "{'descr': '<f8', 'fortran_order': False, 'shape': 'no', }",
        "{" * 2000,
    ],
)
def test_headers_of_arrays_are_checked(tmp_path, header):
    """A header that asks for more than the member holds takes no memory."""
    y = io.BytesIO()
    np.save(y, np.arange(2))
    path = archive(tmp_path / "evil.npz", image=member(header), y=y.getvalue())
    with pytest.raises(ValueError, match="key 'image' cannot be read"):
        read_multimodal_npz(path)


def test_good_archives_are_read(tmp_path):
    """The same members with honest headers."""
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }"
    image = member(header, np.array([1.0, 2.0]).tobytes())
    y = io.BytesIO()
    np.save(y, np.arange(2))
    path = archive(tmp_path / "good.npz", image=image, y=y.getvalue())
    assert_array_equal(read_multimodal_npz(path).data, [[1.0], [2.0]])


def test_mosi_names_the_file(tmp_path):
    """The loader of MOSI goes through the same reader."""
    path = tmp_path / "mosi.pkl"
    path.write_bytes(PROTO + b"\x82\xc8.")
    with pytest.raises(ValueError, match="mosi.pkl: wanted a pickle.*EXT1"):
        read_mosi(path)
