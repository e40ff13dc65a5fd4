"""Spectral clustering of the graph of anchors, against loops and known clusters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import adjusted_rand_score

from skmissing import ModalityWarning
from skmissing.cluster import AnchorGraphClustering
from skmissing.metrics import partial_modality_distances
from skmissing.simulate import ampute

MODALITIES = {"a": 3, "b": 2}


def make_blobs(n=120, missing=0.4):
    rng = np.random.RandomState(0)
    y = np.arange(n) % 3
    X = rng.standard_normal((n, 5)) + 4 * np.eye(3)[y][:, [0, 1, 2, 0, 1]]
    return ampute(X, missing, modalities=MODALITIES, random_state=0), y


def slow_links(X, anchors, columns, n_neighbors):
    """Links over some columns, sample by sample."""
    links = np.zeros((len(X), len(anchors)))
    for i, x in enumerate(X):
        distances = []
        for anchor in anchors:
            terms = [
                np.mean((x[c] - anchor[c]) ** 2)
                for c in columns
                if not np.isnan(x[c] - anchor[c]).any()
            ]
            distances.append(np.mean(terms) if terms else np.inf)
        order = np.argsort(distances, kind="stable")
        finite = [distances[j] for j in order[: n_neighbors + 1]]
        scale = max([d for d in finite if np.isfinite(d)], default=1)
        for j in order[:n_neighbors]:
            links[i, j] = np.exp(-distances[j] / scale)
        if links[i].any():
            links[i] /= links[i].sum()
    return links


def test_links_are_those_of_a_loop():
    X, _ = make_blobs()
    model = AnchorGraphClustering(
        3, modalities=MODALITIES, n_anchors=8, standardize=False, random_state=0
    ).fit(X)
    blocks = [slice(0, 3), slice(3, 5)]
    joint = slow_links(X, model.anchors_, blocks, 5)
    alone = sum(slow_links(X, model.anchors_, [block], 5) for block in blocks)
    alone /= alone.sum(axis=1, keepdims=True)
    table = model._validate(X, reset=False)
    assert_allclose(model._links(table), (joint + alone) / 2, atol=1e-9)
    # The first eigenvector of the graph is the root of the degrees, with eigenvalue 1.
    degrees = model._degrees / np.linalg.norm(model._degrees)
    assert_allclose(np.abs(model._vectors[:, 0] @ degrees), 1, atol=1e-9)


@pytest.mark.parametrize("standardize", [True, "modality"])
def test_clusters_are_found_and_predicted(standardize):
    X, y = make_blobs(300)
    model = AnchorGraphClustering(
        3, modalities=MODALITIES, standardize=standardize, random_state=0
    ).fit(X[:200])
    assert adjusted_rand_score(y[:200], model.labels_) > 0.8
    assert adjusted_rand_score(y[200:], model.predict(X[200:])) > 0.8
    assert_array_equal(model.predict(X[:200]), model.labels_)
    # New samples do not depend on each other.
    assert_array_equal(model.predict(X[200:])[:7], model.predict(X[200:207]))


def test_rings_that_kmeans_cannot_find():
    angle = np.linspace(0, 50, 400)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    radius = np.repeat([1.0, 4.0], 200)[:, None]
    X = ampute(np.hstack([radius * ring, -radius * ring]), 0.3, modalities=[2, 2])
    model = AnchorGraphClustering(2, modalities=[2, 2], random_state=0).fit(X)
    assert adjusted_rand_score(radius.ravel(), model.labels_) == 1


def test_order_and_names_of_modalities_do_not_matter():
    X, _ = make_blobs()
    params = {"n_anchors": 12, "random_state": 0}
    first = AnchorGraphClustering(3, modalities=MODALITIES, **params).fit(X)
    swapped = AnchorGraphClustering(3, modalities={"b": 2, "a": 3}, **params)
    swapped.fit(X[:, [3, 4, 0, 1, 2]])
    assert adjusted_rand_score(first.labels_, swapped.labels_) == 1


def test_sample_without_any_modality():
    X, _ = make_blobs()
    X[5] = np.nan
    model = AnchorGraphClustering(3, modalities=MODALITIES, random_state=0)
    with pytest.warns(ModalityWarning, match="1 of 120 samples .* labelled -1"):
        model.fit(X)
    assert model.labels_[5] == -1 and (np.delete(model.labels_, 5) >= 0).all()
    with pytest.warns(ModalityWarning, match="labelled -1"):
        assert model.predict(X[5:6]) == [-1]


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_clusters": 4, "n_anchors": 3}, r"at least n_clusters \(4\); got 3"),
        ({"n_anchors": 500}, "n_anchors"),
        ({"n_clusters": 500}, "n_clusters"),
        ({"n_neighbors": 0}, "n_neighbors"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        AnchorGraphClustering(modalities=MODALITIES, **params).fit(make_blobs()[0])


def test_distances_are_those_of_the_metric():
    X, _ = make_blobs()
    model = AnchorGraphClustering(
        3, modalities=MODALITIES, standardize=False, random_state=0
    ).fit(X)
    table = model._validate(X, reset=False)
    wanted = partial_modality_distances(X, model.anchors_, modalities=MODALITIES)
    found = np.sqrt(model._distances(table))
    assert_allclose(found, wanted, atol=1e-7)
