"""Collections of Dask: only sums travel; schedulers and lost workers change nothing."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmissing import _sources
from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer

from .test_sources import quietly, table

dask = pytest.importorskip("dask")
array = pytest.importorskip("dask.array")


def make_kmeans(X):
    start = X[~np.isnan(X).any(axis=1)][:4]
    return PartialModalityKMeans(4, modalities=[5, 3], init=start, tol=0)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_only_sums_travel(monkeypatch):
    sizes = []

    def reduce_part(*args):
        sums = whole(*args)
        sizes.append(len(pickle.dumps(sums)))
        return sums

    whole = _sources._reduce_part
    monkeypatch.setattr(_sources, "_reduce_part", reduce_part)
    largest = []
    for n_samples in (640, 6400):
        X = table(n_samples)
        kmeans = make_kmeans(X).set_params(max_iter=2)
        sizes.clear()
        # Rows are read for a sample, which is not a sum.
        monkeypatch.setattr("skmissing.cluster._kmeans.N_SAMPLED", 1)
        monkeypatch.setattr("skmissing._source_table.N_SAMPLED", 1)
        with dask.config.set(scheduler="sync"):
            quietly(kmeans.fit, array.from_array(X, chunks=(n_samples // 64, 8)))
        assert len(sizes) >= 64 * (3 + kmeans.n_iter_)  # a task per partition and pass
        largest.append(max(sizes))
    assert largest[1] < 1.1 * largest[0]


def test_schedulers_and_lost_workers_change_nothing(client, monkeypatch):
    X = table(600)
    kmeans = make_kmeans(X)
    collection = array.from_array(X, chunks=(100, 8))
    with dask.config.set(scheduler="sync"):
        quietly(kmeans.fit, collection)
    expected = kmeans.cluster_centers_
    with dask.config.set(scheduler="threads"):
        quietly(kmeans.fit, collection)
    assert_array_equal(kmeans.cluster_centers_, expected)
    passes = []

    def sums(source, *args, **kwargs):
        passes.append(1)
        if len(passes) == 5:
            worker = next(iter(client.cluster.workers.values()))
            client.cluster.sync(worker.close, executor_wait=False)
        return map_reduce(source, *args, **kwargs)

    map_reduce = _sources.RowSource.map_reduce
    monkeypatch.setattr(_sources.RowSource, "map_reduce", sums)
    quietly(kmeans.fit, collection.persist())
    assert len(passes) > 5
    assert_array_equal(kmeans.cluster_centers_, expected)


def test_search_on_workers_is_that_without(client):
    joblib = pytest.importorskip("joblib")
    X = table(120)
    y = (np.nan_to_num(X[:, 0]) > 5).astype(int)
    pipeline = make_pipeline(
        ClusterGuidedImputer(modalities=[5, 3], random_state=0),
        LateFusionClassifier("linear", modalities=[5, 3]),
    )
    search = GridSearchCV(pipeline, {"clusterguidedimputer__n_clusters": [2, 5]}, cv=2)
    quietly(search.fit, X, y)
    expected = search.cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        quietly(search.fit, X, y)
    assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-9)
