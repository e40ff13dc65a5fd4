"""Parts of models that could do harm: trees, networks, devices, foreign names."""

import io
import warnings

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError

from skmissing.cluster import PartialModalityKMeans
from skmissing.io import ModelFileError, load_model, save_model
from tests.fuzz.models import repack, small_data, unpack
from tests.io.models import SEEDS, edited, load, refused

# ------------------------------------------------------------------------------- trees


def tree_node(tree):
    """The node of the first decision tree."""
    forest = tree["p"]["steps"][1]["v"][1]
    return forest["s"]["estimators_"][0]["s"]["tree_"]["v"]["v"]


@pytest.mark.parametrize(
    "column, value, match",
    [
        ("left_child", 10**6, "a child is not among"),
        ("left_child", 0, "a child is not among"),
        ("left_child", -2, "a child is not among|one child"),
        ("right_child", 1, "has no parent, or has two|not among"),
        ("right_child", -1, "one child is there, the other is not"),
        ("feature", 10**6, "a split is on none of 3 columns"),
        ("feature", -2, "a split is on none of 3 columns"),
    ],
)
def test_nodes_of_trees_stay_in_bounds(column, value, match):
    """Compiled code would follow any child and read any column."""
    about, tree, table, blob = unpack(SEEDS["forest"])
    index = tree_node(tree)["nodes"]["v"][column]["i"]
    start = table[str(index)]["data_offsets"][0]
    changed = np.array([value], dtype="<i8").tobytes()
    blob = blob[:start] + changed + blob[start + 8 :]
    with pytest.raises(ModelFileError, match=match):
        load(repack(about, tree, table, blob))


@pytest.mark.parametrize("name, value", [("n_features", 99), ("max_depth", 10**6)])
def test_sizes_of_trees_are_checked(name, value):
    """A tree that reads more columns than its forest has is refused."""

    def edit(tree):
        tree_node(tree)[name] = value

    refused("forest", edit, "max_depth of a tree|wanted tree; found a tree of 99")


def test_forest_reads_its_own_columns_only():
    """Trees of another width than their forest are refused."""

    def edit(tree):
        forest = tree["p"]["steps"][1]["v"][1]
        forest["s"]["n_features_in_"] = 2

    refused("forest", edit, r"estimators_\[\]: wanted estimator\(D\)")


@pytest.mark.parametrize("name", ["n_classes_", "n_outputs_"])
@pytest.mark.parametrize("whole", [True, False])
def test_counts_fit_what_they_count(name, whole):
    """A prediction would make room by them."""

    def edit(tree):
        forest = tree["p"]["steps"][1]["v"][1]
        holder = forest if whole else forest["s"]["estimators_"][1]
        holder["s"][name] = 2**31

    refused("forest", edit, f"{name}: wanted [12]; found 2147483648")


@pytest.mark.parametrize("n_jobs", [2**31, -(2**31)])
def test_workers_are_bounded(n_jobs):
    """A thread for each would be made at the first prediction."""

    def edit(tree):
        tree["p"]["steps"][1]["v"][1]["p"]["n_jobs"] = n_jobs

    refused("forest", edit, "n_jobs: wanted at most 1024 workers; found")


def test_deep_trees_come_back():
    """A check of depths that any real tree passes."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((300, 4)), rng.randint(4, size=300)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    file = io.BytesIO()
    save_model(forest, file)
    np.testing.assert_array_equal(
        load_model(file).predict_proba(X), forest.predict_proba(X)
    )


# ------------------------------------------------------------------------------ devices


def test_model_of_another_device_loads(monkeypatch):
    """A model that names a CUDA device that is not there computes where it can."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    X, _ = small_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = load(SEEDS["fusion"]).predict_proba(X)

    def edit(tree):
        tree["p"]["device"] = "cuda:1"

    with pytest.warns(UserWarning, match="names devices that are not here.*cuda:1"):
        loaded = load(edited("fusion", edit))
    assert loaded.device == "auto"
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


@pytest.mark.parametrize(
    "name, value, match",
    [
        ("hidden_dim", 10**9, "hidden_dim=1000000000 does not fit"),
        ("hidden_dim", 3, "weights: names or shapes differ|cannot be built"),
        ("n_layers", 10**9, "n_layers=1000000000 does not fit"),
        ("n_heads", 0, "n_heads=0 does not fit"),
        ("dropout", 7.0, "cannot be built"),
        ("n_outputs", 2, "n_outputs=2, but 1 priors"),
        ("shapes", [[1, 5]], "shapes=.* is not that of"),
        ("extra", 1, "cannot be built"),
    ],
)
def test_networks_fit_their_weights(name, value, match):
    """Before any memory is taken, and when the file is loaded, not at prediction."""
    pytest.importorskip("torch")

    def edit(tree):
        tree["s"]["_network"]["v"]["module_params"]["v"][name] = value

    refused("fusion", edit, match)


def test_weights_are_never_missing():
    """A layer that keeps its random start would predict nonsense in silence."""
    pytest.importorskip("torch")

    def edit(tree):
        weights = tree["s"]["_trained"]["v"]["weights"]["v"]
        name = sorted(weights)[0]
        weights["other"] = weights.pop(name)

    refused("fusion", edit, "weights: names or shapes differ")


def test_unfitted_stays_unfitted():
    """State and no state are told apart."""
    file = io.BytesIO()
    save_model(PartialModalityKMeans(2), file)
    with pytest.raises(NotFittedError):
        load_model(file).predict(small_data()[0])


def test_trusted_takes_classes_only():
    """Names could come from the file itself; classes cannot."""
    with pytest.raises(TypeError, match="classes of estimators; got 'os.system'"):
        load_model(io.BytesIO(), trusted=["os.system"])
    with pytest.raises(TypeError, match="classes of estimators; got <class 'int'>"):
        load_model(io.BytesIO(), trusted=[int])
