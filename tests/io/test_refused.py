"""Damaged, foreign and malicious files end in one error that says what it is."""

import json

import pytest
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler

from skmissing.io import ModelFileError, load_model
from tests.fuzz.models import repack, unpack
from tests.io.models import NAMES, SEEDS, load, refused, round_trip

# ---------------------------------------------------------------------- the container


@pytest.mark.parametrize("name", NAMES)
def test_every_truncated_file_is_refused(name):
    """A file that stops anywhere is no model."""
    data = SEEDS[name]
    for length in [*range(0, 64), *range(64, len(data), 61), len(data) - 1]:
        with pytest.raises(ModelFileError):
            load(data[:length])


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_byte_is_noticed(name):
    """A checksum covers the header and the arrays: nothing changes unseen."""
    data = bytearray(SEEDS[name])
    stop = 8 + int.from_bytes(data[:8], "little")
    places = [*range(0, stop, 53), *range(stop, len(data), 17)]
    for place in places:
        if place < stop and data[place] in b" ":
            continue
        data[place] ^= 1
        with pytest.raises(ModelFileError):
            load(bytes(data))
        data[place] ^= 1


def test_longer_file_is_refused():
    """Nothing may follow the last array."""
    with pytest.raises(ModelFileError, match="bytes follow the header|follow the head"):
        load(SEEDS["kmeans"] + b"\0" * 8)


def test_other_files_are_refused(tmp_path):
    """A pickle, a zip and an empty file are told from models; the path is named."""
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04\x95\x15\x00\x00\x00\x00")
    with pytest.raises(ModelFileError, match=r"model\.pkl: wanted a file of skmissing"):
        load_model(path)
    for data in (b"", b"PK\x03\x04" + bytes(100)):
        with pytest.raises(ModelFileError, match="wanted a file of skmissing-model"):
            load(data)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


def test_pickle_is_never_read(tmp_path):
    """A pickle that would write a file does not, whatever it is called."""
    from pathlib import Path
    from pickle import dumps

    target = tmp_path / "written"

    class Evil:
        def __reduce__(self):
            return Path.touch, (target,)

    path = tmp_path / "model.skmissing"
    path.write_bytes(dumps(Evil()))
    with pytest.raises(ModelFileError):
        load_model(path)
    assert not target.exists()


def test_other_format_is_named():
    """Weights of another program in safetensors are no model."""
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    data = len(header).to_bytes(8, "little") + header + bytes(4)
    with pytest.raises(ModelFileError, match="its header says None"):
        load(data)


def test_newer_format_is_named():
    """A later version of the format is refused, and says who wrote it."""
    about, *rest = unpack(SEEDS["kmeans"])
    about.update(format_version="2", skmissing="9.9")
    with pytest.raises(ModelFileError, match="wanted format_version '1'.*'2'.*'9.9'"):
        load(repack(about, *rest))


def test_other_versions_are_told():
    """Another scikit-learn loads, with one warning that names both versions."""
    about, *rest = unpack(SEEDS["pipeline"])
    about["scikit-learn"] = "1.2.3"
    with pytest.warns(UserWarning, match="saved by skmissing .*, scikit-learn 1.2.3"):
        load(repack(about, *rest))


@pytest.mark.parametrize(
    "change, match",
    [
        ({"dtype": "F16"}, "takes"),
        ({"dtype": "C64"}, "wanted a dtype"),
        ({"dtype": ["F64"]}, "wanted a dtype"),
        ({"shape": [10**12]}, "takes 8000000000000 bytes"),
        ({"shape": [-1, -6]}, "counts from 0 on"),
        ({"shape": [True]}, "counts from 0 on"),
        ({"shape": [1] * 40}, "at most 8 dimensions"),
        ({"shape": None}, "wanted a dtype"),
        ({"data_offsets": [8, 56]}, "wanted it to start at byte|takes"),
        ({"data_offsets": [0]}, "two data_offsets"),
    ],
)
def test_table_of_arrays_is_checked(change, match):
    """Types, shapes and places must fit the bytes that are there."""
    about, tree, table, blob = unpack(SEEDS["kmeans"])
    first = min(table, key=lambda name: table[name]["data_offsets"])
    table[first].update(change)
    with pytest.raises(ModelFileError, match=match):
        load(repack(about, tree, table, blob))


def test_overlapping_arrays_are_refused():
    """Two arrays of the same bytes could make much of little."""
    about, tree, table, blob = unpack(SEEDS["kmeans"])
    first = min(table, key=lambda name: table[name]["data_offsets"])
    table[str(len(table))] = dict(table[first])
    with pytest.raises(ModelFileError, match="wanted it to start at byte"):
        load(repack(about, tree, table, blob))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"t":' * 50_000, "NaN", "", "{", "3"])
def test_text_that_is_no_model(text):
    """Deep, broken and empty texts end in the same error."""
    about, _, table, blob = unpack(SEEDS["kmeans"])
    with pytest.raises(ModelFileError, match="the model"):
        load(repack(about, text, table, blob))


def test_name_that_comes_twice_is_refused():
    """Readers differ on which of two values of a name counts."""
    about, tree, table, blob = unpack(SEEDS["kmeans"])
    text = json.dumps(tree).replace('"p":', '"p": {}, "p":', 1)
    with pytest.raises(ModelFileError, match="a name comes twice"):
        load(repack(about, text, table, blob))


def test_booleans_must_be_booleans():
    """Bytes beyond 0 and 1 would be true and false at once."""
    about, tree, table, blob = unpack(SEEDS["kmeans"])
    place = next(e for e in table.values() if e["dtype"] == "BOOL")["data_offsets"][0]
    blob = bytearray(blob)
    blob[place] = 2
    with pytest.raises(ModelFileError, match="bytes 0 and 1 for booleans"):
        load(repack(about, tree, table, bytes(blob)))


# ------------------------------------------------------------------------- the classes


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "sklearn.svm.SVC",
        "skmissing.io.load_model",
        "skmissing.cluster._kmeans.PartialModalityKMeans",
        "",
        None,
        3,
        ["sklearn.svm.SVC"],
    ],
)
def test_foreign_classes_are_refused(name):
    """Only names of the table are looked up; nothing is imported for others."""

    def edit(tree):
        tree["c"] = name

    refused("kmeans", edit, "not among the .* estimators that a model file may hold")


def test_foreign_modules_are_not_imported(tmp_path, monkeypatch):
    """A module that would write a file on import is never imported."""
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))

    def edit(tree):
        tree["c"] = "evil_module.Estimator"

    refused("kmeans", edit, "evil_module.Estimator.*Nothing of it was imported")


def test_names_in_the_file_extend_no_list():
    """What the file says of trust is an unknown field."""

    def edit(tree):
        tree["trusted"] = ["os.system"]

    refused("kmeans", edit, "found .*trusted")


@pytest.mark.parametrize("kind", ["reduce", "object", "function", None, [], "__init__"])
def test_unknown_types_of_nodes_are_refused(kind):
    """There is no node that calls anything."""

    def edit(tree):
        tree["s"]["inertia_"] = {"t": kind, "v": []}

    refused("kmeans", edit, "wanted a node of one of the types")


@pytest.mark.parametrize("name", ["predict", "__class__", "__dict__", "fit", "foo_"])
def test_attributes_must_be_known(name):
    """An attribute that would hide a method is not among those of the class."""

    def edit(tree):
        tree["s"][name] = 3

    refused("kmeans", edit, "found also")


@pytest.mark.parametrize("name", ["n_clusters", "max_iter"])
def test_parameters_must_be_there(name):
    """And one that is missing is named."""

    def edit(tree):
        del tree["p"][name]

    refused("kmeans", edit, "wanted the parameters .*PartialModalityKMeans; found")


def test_caches_of_the_file_are_refused():
    """A file must not choose the folder from which pickles are read."""

    def edit(tree):
        tree["p"]["memory"] = "somewhere"

    refused("pipeline", edit, "wanted memory=None; found 'somewhere'")


# ------------------------------------------------------- values, shapes, types, ranges


@pytest.mark.parametrize(
    "name, value, match",
    [
        ("n_iter_", "three", "n_iter_: wanted int >=0; found 'three' of type str"),
        ("n_iter_", -1, "n_iter_: wanted int >=0; found -1|numbers from -1"),
        ("n_iter_", True, "n_iter_: wanted int >=0; found 'True' of type bool"),
        ("n_iter_", 10**30, "more than 64 bits"),
        ("inertia_", {"t": "float", "v": "nan"}, "inertia_: wanted num >=0"),
        ("n_features_in_", 2, "where D is 2"),
        ("cluster_centers_", None, r"cluster_centers_: wanted f\(k, D\) nan"),
        ("cluster_centers_", [1.0], "found .* of type list"),
        ("_scaler", {"t": "dict", "v": {}}, "wanted @BlockScaler; found"),
        ("labels_", {"t": "strings", "shape": [1], "v": ["a"]}, r"wanted i\(\*\)"),
    ],
)
def test_learnt_attributes_are_checked(name, value, match):
    """Type, shape and range of each; the message names attribute, wanted and found."""

    def edit(tree):
        tree["s"][name] = value

    refused("kmeans", edit, match)


def test_shapes_must_agree_with_each_other():
    """Centres of one number and counts of another do not go together."""

    def edit(tree):
        tree["s"]["_counts"] = tree["s"]["_scaler"]["v"]["mean"]

    refused("kmeans", edit, r"_counts: wanted f\(k, D\) >=0")


def test_parameters_are_checked_as_in_fit():
    """Ranges of parameters are those of the estimator itself."""

    def edit(tree):
        tree["p"]["n_clusters"] = -3

    refused("kmeans", edit, "'n_clusters' parameter.*-3")


def test_numbers_of_arrays_are_checked():
    """An array that is not there is named by its number."""

    def edit(tree):
        tree["s"]["cluster_centers_"]["i"] = 99

    refused("kmeans", edit, r"one of \d+ arrays; found '99'")


@pytest.mark.parametrize(
    "items", [[0, 2], [0, 2, 0], [0, 1 << 40, 1], [0, True, 1], [0, None, 1]]
)
def test_ranges_are_of_three_numbers(items):
    """A step of 0 would be an error of its own; bounds fit any number of columns."""

    def edit(tree):
        tree["p"]["modalities"] = {"t": "dict", "v": {"a": {"t": "range", "v": items}}}

    refused("kmeans", edit, r"modalities\['a'\]: wanted start, stop and step")


def test_arrays_that_belong_to_nothing_are_refused():
    """A file holds no freight."""

    def edit(tree):
        del tree["s"]

    refused("kmeans", edit, "arrays belong to nothing")


@pytest.mark.parametrize("pos", [625, -1, 10**9, 3.5, None])
def test_state_of_generators_is_checked(pos):
    """numpy would read beyond the 624 numbers of a generator."""

    def edit(tree):
        tree["p"]["random_state"]["pos"] = pos

    refused("generator", edit, "a position from 0 to 624")


def test_layout_must_hold_every_column_once():
    """Columns of a layout are a permutation."""

    def edit(tree):
        tree["s"]["modalities_"]["widths"] = [1, 1]

    refused("kmeans", edit, "each of 2 columns once")


def test_references_lead_back_only():
    """An object cannot hold itself."""

    def edit(tree):
        tree["s"]["_scaler"] = {"t": "ref", "v": 77}

    refused("kmeans", edit, "the number of one of")


def test_references_make_no_bomb():
    """Ten of ten of ten unions: small in memory, but endless in a message."""
    inner = FeatureUnion([("a", StandardScaler())])
    for _ in range(12):
        inner = FeatureUnion([(f"x{i}", inner) for i in range(10)])
    with pytest.raises(ModelFileError, match="wanted fewer references"):
        round_trip(inner)


def test_strings_make_no_bomb():
    """One long string and many short ones would take their product in memory."""

    def edit(tree):
        items = ["x" * 100_000, *["y"] * 10_000]
        tree["s"]["_scaler"] = {"t": "strings", "shape": [10_001], "v": items}

    refused("kmeans", edit, "at most .* bytes of strings")


def test_labels_that_would_become_equal_are_refused():
    """numpy drops null characters at the end of strings."""

    def edit(tree):
        node = {"t": "strings", "shape": [2], "v": ["a", "a\0"]}
        tree["p"]["steps"][1]["v"][1]["s"]["classes_"] = node

    refused("pipeline", edit, "do not end with null")
