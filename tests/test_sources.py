"""Tables that are read in pieces: the same results as in memory."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skmissing import ModalityWarning, _sources
from skmissing._sources import as_source
from skmissing.cluster import PartialModalityKMeans
from skmissing.compose import scan_table
from skmissing.impute import ClusterGuidedImputer, FactorImputer, RegressionImputer
from skmissing.mixture import PartialModalityFactorMixture

NAMES = [f"{m}__{c}" for m, w in (("text", 5), ("audio", 3)) for c in range(w)]
SMALL = {"working_memory": 0.01}  # pieces of 10 samples of float64


def table(n_samples=300, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    centers = 3 * rng.normal(size=(4, 8))
    X = centers[rng.randint(4, size=n_samples)] + rng.normal(size=(n_samples, 8)) + 5
    X[rng.rand(n_samples) < 0.3, :5] = np.nan
    X[rng.rand(n_samples) < 0.3, 5:] = np.nan
    X[3, :2] = np.nan
    return X.astype(dtype)


def memmap(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def zarr_array(X, folder):
    zarr = pytest.importorskip("zarr")
    return zarr.array(X, chunks=(50, 8), store=folder / "X.zarr")


def hdf5(X, folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "X.h5", "w").create_dataset("X", data=X)


def parquet(X, folder, lists=False):
    pyarrow = pytest.importorskip("pyarrow")
    columns = {"key": [str(n) for n in range(len(X))], **dict(zip(NAMES, X.T))}
    if lists:
        parts = {"text": X[:, :5], "audio": X[:, 5:]}
        columns = {
            name: [None if np.isnan(x).all() else x for x in part]
            for name, part in parts.items()
        }
    file = pyarrow.table(columns)
    pytest.importorskip("pyarrow.parquet").write_table(
        file, folder / "X.parquet", row_group_size=90
    )
    return folder / "X.parquet"


def parquet_lists(X, folder):
    return parquet(X, folder, lists=True)


def dask_array(X, folder):
    array = pytest.importorskip("dask.array")
    return array.from_array(X, chunks=(70, 3))


def dask_frame(X, folder):
    frame = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    return frame.from_pandas(pandas.DataFrame(X, columns=NAMES), npartitions=3)


SOURCES = [memmap, zarr_array, hdf5, parquet, parquet_lists, dask_array, dask_frame]


def quietly(call, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalityWarning)
        return call(*args, **kwargs)


@pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_source_holds_the_table(make, dtype, tmp_path):
    X = table(dtype=dtype)
    source = as_source(make(X, tmp_path))
    assert source.shape == X.shape
    with config_context(**SMALL):
        rows, pieces = zip(*source.iter_chunks())
        assert max(map(len, pieces)) <= source.piece_rows
        assert len(pieces) > 4
    assert {piece.dtype for piece in pieces} == {source.dtype}
    assert_array_equal(np.concatenate(pieces), X)
    assert [s.start for s in rows[1:]] == [s.stop for s in rows[:-1]]
    rng = np.random.RandomState(0)
    picks = slice(299, 20, -3), rng.rand(300) < 0.4, rng.randint(300, size=70)
    for rows in (*picks, np.arange(70, 140), np.array([], dtype=int)):
        found = source[rows]
        assert found.shape == X[rows].shape
        assert_array_equal(found.take(slice(None)), X[rows])
        chunks = [chunk for _, chunk in found.iter_chunks()]
        assert_array_equal(np.concatenate([X[:0], *chunks]), X[rows])


def test_rows_of_a_source(tmp_path):
    source = scan_table(memmap(table(), tmp_path))
    with pytest.raises(TypeError, match="a slice, a mask or an array of positions; g"):
        source[3]
    with pytest.raises(TypeError, match="got .'a'."):
        source[["a"]]
    with config_context(**SMALL), pytest.raises(ValueError, match="got 19200 bytes"):
        np.asarray(source)


@pytest.mark.parametrize("make", [memmap, dask_frame], ids=lambda make: make.__name__)
def test_cross_validation_of_a_source(make, tmp_path):
    X = table()
    y = np.nan_to_num(X[:, 5]) > 5
    params = {"modalities": [5, 3], "random_state": 0, "max_iter": 2}
    kmeans, imputer = (
        PartialModalityKMeans(4, **params),
        ClusterGuidedImputer(4, **params),
    )
    pipeline = make_pipeline(imputer, GaussianNB())
    source = scan_table(make(X, tmp_path))
    for model, folds in ((kmeans, KFold(2)), (pipeline, ShuffleSplit(2))):
        folds = list(folds.split(X))
        expected = quietly(cross_val_score, model, X, y, cv=folds)
        with config_context(working_memory=0.02):
            found = quietly(cross_val_score, model, source, y, cv=folds)
        assert_allclose(found, expected)


def test_outlier_of_weight_zero_costs_no_precision(tmp_path):
    """Sums of squares are exact only around a value near the mean."""
    X, weight = table(dtype=np.float32), np.ones(300)
    X[11, :5], weight[11] = 1e7, 0
    kmeans = PartialModalityKMeans(4, modalities=[5, 3], random_state=0)
    quietly(kmeans.fit, X, sample_weight=weight)
    expected = kmeans._scaler.scale
    with config_context(working_memory=0.005):
        quietly(kmeans.fit, memmap(X, tmp_path), sample_weight=weight)
    assert_allclose(kmeans._scaler.scale, expected, rtol=1e-5)


@pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)
def test_kmeans_in_pieces_is_that_in_memory(make, tmp_path):
    X, weight = table(), np.random.RandomState(1).rand(300)
    kmeans = PartialModalityKMeans(4, modalities=[5, 3], random_state=0)
    quietly(kmeans.fit, X, sample_weight=weight)
    centers, labels = kmeans.cluster_centers_, kmeans.labels_
    predicted, distances = quietly(kmeans.predict, X), quietly(kmeans.transform, X)
    source = make(X, tmp_path)
    with config_context(**SMALL):
        quietly(kmeans.fit, source, sample_weight=weight)
        assert_allclose(kmeans.cluster_centers_, centers, rtol=1e-9)
        assert "The most frequent patterns" in kmeans._repr_html_()
        found, again = quietly(kmeans.predict, source), kmeans.transform(source)
        if hasattr(found, "compute"):
            assert kmeans.labels_ is None
            found, again = quietly(found.compute), quietly(again.compute)
        else:
            assert_array_equal(kmeans.labels_, labels)
            again = quietly(again.take, np.arange(300))
        assert_array_equal(found, predicted)
        assert_allclose(again, distances, rtol=1e-9)


def test_source_that_fits_in_memory_is_read_once(tmp_path, monkeypatch):
    X, starts = table(), []

    def read(X, start, stop):
        starts.append(start)
        yield from whole(X, start, stop)

    whole = _sources._read_rows
    monkeypatch.setattr(_sources, "_read_rows", read)
    kmeans = PartialModalityKMeans(4, modalities=[5, 3], random_state=0)
    expected = quietly(kmeans.fit, X).cluster_centers_
    for memory, fits in ((0.08, True), (0.04, True), (0.03, False)):
        with config_context(working_memory=memory):
            source = scan_table(memmap(X, tmp_path))
            starts.clear()
            quietly(kmeans.fit, source)
        assert (starts.count(0) == 1) == fits
        assert_allclose(kmeans.cluster_centers_, expected, rtol=1e-9)


def test_kept_parts_are_not_saved():
    part = _sources._KeptPart(partial(np.split, np.zeros((2, 8)), 2), np.float32)
    size = len(pickle.dumps(part))
    first = part()
    assert part() is first and first[0].dtype == np.float32
    assert len(pickle.dumps(part)) == size
    assert_array_equal(pickle.loads(pickle.dumps(part))(), first)


@pytest.mark.parametrize("memory", [0.01, 1])
def test_codes_for_missing_in_a_source(memory, tmp_path):
    X = table()
    X[np.isnan(X[:, 5]), 5:] = -1
    kmeans = PartialModalityKMeans(4, modalities={"text": 5, "audio": 3})
    source = scan_table(memmap(X, tmp_path))
    with config_context(working_memory=memory):
        with pytest.warns(ModalityWarning, match="'audio' is -1 in .* a code for miss"):
            kmeans.fit(source)


def same_fit(model, source, X, **tolerance):
    """Fit in memory and in pieces, and compare all public numbers."""
    quietly(model.fit, X)
    expected = {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and isinstance(value, (np.ndarray, float, int))
    }
    with config_context(**SMALL):
        quietly(model.fit, source)
    for name, value in expected.items():
        assert_allclose(getattr(model, name), value, err_msg=name, **tolerance)
    return sorted(expected)


@pytest.mark.parametrize("make", [memmap, dask_array], ids=lambda make: make.__name__)
@pytest.mark.parametrize("n_factors", [0, 2])
def test_mixture_in_pieces_is_that_in_memory(make, n_factors, tmp_path):
    mixture = PartialModalityFactorMixture(
        3, n_factors=n_factors, modalities=[5, 3], random_state=0, max_iter=30
    )
    X = table()
    names = same_fit(mixture, make(X, tmp_path), X, rtol=1e-6, atol=1e-9)
    assert {"means_", "loadings_", "lower_bound_"} <= set(names)


@pytest.mark.parametrize(
    "imputer",
    [
        ClusterGuidedImputer(random_state=0),
        ClusterGuidedImputer(strategy="greedy", n_clusters=4, random_state=0),
        FactorImputer(random_state=0),
        RegressionImputer(),
        RegressionImputer(standardize=False, min_samples=100),
    ],
    ids=str,
)
def test_imputer_in_pieces_is_that_in_memory(imputer, tmp_path):
    X = table()
    imputer.set_params(modalities=[5, 3])
    expected = quietly(imputer.fit_transform, X)
    with config_context(**SMALL):
        filled = quietly(imputer.fit_transform, memmap(X, tmp_path))
        assert filled.shape == X.shape
        filled = quietly(filled.take, np.arange(len(X)))
    assert_allclose(filled, expected, rtol=1e-6)


def test_regressions_in_pieces_are_those_in_memory(tmp_path):
    X = np.random.RandomState(1).standard_t(2, size=(300, 8))  # some are clipped
    X[:, 6] += X[:, 0]
    X[:100, :3], X[50:150, 3:6], X[120:200, 6] = np.nan, np.nan, np.nan
    X[200, 0] = np.nan
    imputer = RegressionImputer(modalities=[3, 3, 1, 1])
    quietly(imputer.fit, X)
    models = imputer.named_estimators_
    new = np.tile(X[299:], (2, 1))
    new[0, 7] = new[1, 3:] = np.nan  # patterns that are not in X
    expected = imputer.transform(new)
    for make in (memmap, dask_array):
        with config_context(working_memory=0.02):
            quietly(imputer.fit, make(X, tmp_path))
        assert list(imputer.named_estimators_) == list(models)
        for name, model in imputer.named_estimators_.items():
            assert_allclose(model.coef_, models[name].coef_, rtol=1e-9, atol=1e-12)
            assert_allclose(model.intercept_, models[name].intercept_, atol=1e-12)
        assert_allclose(imputer.transform(new), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "imputer, memory",
    [(RegressionImputer(LinearRegression()), 0.02), (RegressionImputer(), 0.01)],
    ids=str,
)
def test_regressions_of_a_sample(imputer, memory, tmp_path):
    X, most = np.random.RandomState(0).rand(300, 8), int(memory * 2**20 / 4 / 64)
    X[:100, :4] = X[200:, 4] = X[150:250, 5] = np.nan
    imputer.set_params(modalities=[4, 1, 1, 1, 1])
    with config_context(working_memory=memory):
        with pytest.warns(ModalityWarning, match=f"fitted to {most} of 300 samples"):
            imputer.fit(scan_table(memmap(X, tmp_path)))
    assert_allclose(imputer.statistics_, np.nanmean(X, axis=0))


@pytest.mark.parametrize(
    "X, error, message",
    [
        (np.zeros((3, 2)), TypeError, "got an array in memory"),
        ("no/such/file", FileNotFoundError, "existing path; got no/such/file"),
    ],
)
def test_bad_source(X, error, message):
    with pytest.raises(error, match=message):
        scan_table(X)


def test_other_files_are_refused_with_their_path(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.py"
    path.write_text("X = 1")
    with pytest.raises(ValueError, match=r"path of a Parquet file .*; got /.*/x\.py"):
        scan_table(path)
