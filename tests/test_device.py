"""Arrays of torch and of the Array API standard: the same results as with NumPy."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version

from skmissing import ModalityWarning
from skmissing._compat import to_numpy
from skmissing.cluster import PartialModalityKMeans
from skmissing.impute import ClusterGuidedImputer, FactorImputer, RegressionImputer
from skmissing.inspection import check_drift
from skmissing.metrics import partial_modality_distances
from skmissing.mixture import PartialModalityFactorMixture

MODALITIES = {"text": [0, 2, 4, 6, 7], "audio": [1, 3, 5], "empty": [8]}


def on_torch(X):
    torch = pytest.importorskip("torch")
    return torch.asarray(X.copy())


def on_strict(X):
    strict = pytest.importorskip("array_api_strict")
    if parse_version(sklearn.__version__) < parse_version("1.8"):
        pytest.skip("scikit-learn asks array_api_strict for an early standard")
    # On another device than NumPy arrays, a mixture of devices is an error.
    return strict.asarray(X.copy(), device=strict.Device("device1"))


CASES = pytest.mark.parametrize(
    "put, dtype", [(on_torch, np.float32), (on_strict, np.float64)]
)


@pytest.fixture(autouse=True)
def _dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    try:
        with config_context(array_api_dispatch=True):
            pass
    except ImportError as error:  # old releases of SciPy
        pytest.skip(str(error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalityWarning)
        yield


def table(dtype, n_samples=700, seed=0):
    """Frequent, rare and partial modalities, an empty sample and an empty modality."""
    rng = np.random.RandomState(seed)
    centers = 3 * np.random.RandomState(9).normal(size=(4, 9))
    X = centers[rng.randint(4, size=n_samples)] + rng.normal(size=(n_samples, 9)) + 5
    X[:, 8] = np.nan
    X[np.ix_(np.flatnonzero(rng.rand(n_samples) < 0.4), MODALITIES["text"])] = np.nan
    X[:40, 1] = X[20:60, 4] = np.nan
    X[np.ix_(range(60, 90), MODALITIES["audio"])] = np.nan
    X[3] = np.nan
    return X.astype(dtype)


def on_device(call, *args, **kwargs):
    with config_context(array_api_dispatch=True):
        return call(*args, **kwargs)


def assert_same(found, expected, like=None, **tolerance):
    """Compare with NumPy, and the kind of array with that of X."""
    if like is not None:
        assert type(found) is type(like)
        assert found.device == like.device
        if expected.dtype.kind == "f":
            assert found.dtype == like.dtype
    assert_allclose(to_numpy(found), expected, **tolerance)


def tolerance(dtype):
    return {"rtol": 1e-9, "atol": 1e-9} if dtype == np.float64 else {"atol": 3e-5}


@CASES
def test_kmeans(put, dtype):
    X, new = table(dtype), table(dtype, 300, seed=1)
    weight = np.random.RandomState(1).rand(len(X))
    kmeans = PartialModalityKMeans(5, modalities=MODALITIES, random_state=0)
    kmeans.fit(X, sample_weight=weight)
    before = dict(vars(kmeans))
    expected = kmeans.predict(new), kmeans.transform(new), kmeans.score(new)
    given = put(new)
    on_device(kmeans.fit, put(X), sample_weight=put(weight))
    for name in ("cluster_centers_", "center_presence_", "labels_"):
        assert_same(getattr(kmeans, name), before[name], given, **tolerance(dtype))
    assert kmeans.n_iter_ == before["n_iter_"]
    assert kmeans.inertia_ == pytest.approx(before["inertia_"], rel=1e-5)
    labels, distances = (
        on_device(m, given) for m in (kmeans.predict, kmeans.transform)
    )
    assert_same(labels, expected[0], given)
    assert_same(distances, expected[1], given, **tolerance(dtype))
    assert on_device(kmeans.score, given) == pytest.approx(expected[2], rel=1e-5)
    # NumPy arrays are accepted by the same estimator.
    assert_array_equal(kmeans.predict(new), expected[0])


def test_kmeans_relocates_and_adopts():
    # Centre 2 is far from all samples. No centre has the second modality.
    X = np.arange(24.0).reshape(12, 2)
    X[:3, 1] = X[3:5, 0] = np.nan
    init = np.array([[8.0, np.nan], [20.0, np.nan], [900.0, np.nan]])
    kmeans = PartialModalityKMeans(3, init=init, standardize=False)
    expected = kmeans.fit(X).labels_
    assert len(set(expected)) == 3
    assert_same(on_device(kmeans.fit, on_torch(X)).labels_, expected)


@CASES
@pytest.mark.parametrize("strategy", ["soft", "nearest"])
def test_cluster_guided_imputer(put, dtype, strategy):
    X, new = table(dtype), table(dtype, 300, seed=1)
    new[5, 8] = 1  # not observed in fit
    imputer = ClusterGuidedImputer(
        5, strategy=strategy, add_indicator=True, modalities=MODALITIES, random_state=0
    )
    expected, statistics = imputer.fit(X).transform(new), imputer.statistics_
    given = put(new)
    filled = on_device(on_device(imputer.fit, put(X)).transform, given)
    assert_same(filled, expected, given, **tolerance(dtype))
    assert_same(imputer.statistics_, statistics, given, **tolerance(dtype))
    seen = ~np.isnan(new)
    assert_array_equal(to_numpy(filled)[:, :9][seen], new[seen])


@CASES
@pytest.mark.parametrize("n_factors", [0, 2])
def test_mixture(put, dtype, n_factors):
    X, new = table(dtype), table(dtype, 300, seed=1)
    weight = np.random.RandomState(1).rand(len(X))
    mixture = PartialModalityFactorMixture(
        3, n_factors=n_factors, modalities=MODALITIES, max_iter=20, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(X, sample_weight=weight)
        methods = ("predict_proba", "predict", "transform", "score_samples", "impute")
        before, given = dict(vars(mixture)), put(new)
        expected = {name: getattr(mixture, name)(new) for name in methods}
        scores = mixture.score(new), mixture.bic(new)
        on_device(mixture.fit, put(X), sample_weight=put(weight))
    for name in ("weights_", "means_", "loadings_", "noise_variance_", "shrinkage_"):
        assert_same(getattr(mixture, name), before[name], given, **tolerance(dtype))
    assert mixture.lower_bound_ == pytest.approx(before["lower_bound_"], rel=1e-5)
    close = tolerance(dtype) if dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-4}
    for name, values in expected.items():
        assert_same(on_device(getattr(mixture, name), given), values, given, **close)
    found = on_device(mixture.score, given), on_device(mixture.bic, given)
    assert found == pytest.approx(scores, rel=1e-5)
    assert mixture.sample(4)[0].shape == (4, 9)


@CASES
def test_factor_imputer(put, dtype):
    X, new = table(dtype), table(dtype, 300, seed=1)
    X[100, 0] = 200  # clipped
    imputer = FactorImputer(2, n_factors=2, modalities=MODALITIES, random_state=0)
    expected, given = imputer.fit(X).transform(new), put(new)
    filled = on_device(on_device(imputer.fit, put(X)).transform, given)
    assert_same(filled, expected, given, **tolerance(dtype))
    with pytest.warns(ModalityWarning, match="copied to the memory of the host"):
        std = on_device(imputer.imputation_std, given)
    assert_allclose(std, imputer.imputation_std(new), rtol=1e-5)


@CASES
@pytest.mark.parametrize("squared", [False, True])
def test_distances(put, dtype, squared):
    X, Y = table(dtype), table(np.float64, 150, seed=1)
    options = {"modalities": MODALITIES, "squared": squared}
    for pair in ((X, Y), (X,)):
        expected = partial_modality_distances(*pair, **options)
        with config_context(array_api_dispatch=True, working_memory=0.5):
            found = partial_modality_distances(*map(put, pair), **options)
        assert_same(found, expected, put(pair[-1]), rtol=1e-6, atol=1e-6)


def test_distances_on_two_devices():
    X = table(np.float64)
    with pytest.raises(ValueError, match="same device; got torch.Tensor on cpu and nu"):
        on_device(partial_modality_distances, on_torch(X), X)


def test_device_without_float64(monkeypatch):
    # As MPS. Sums are then added on the host.
    monkeypatch.setattr("skmissing._device.max_precision", lambda xp, _: xp.float32)
    X = table(np.float32)
    kmeans = PartialModalityKMeans(4, modalities=MODALITIES, random_state=0)
    mixture = PartialModalityFactorMixture(
        1, n_factors=1, modalities=MODALITIES, random_state=0
    )
    for model, name in ((kmeans, "cluster_centers_"), (mixture, "loadings_")):
        expected, distances = getattr(model.fit(X), name), model.transform(X)
        on_device(model.fit, on_torch(X))
        assert_same(getattr(model, name), expected, rtol=1e-4, atol=1e-5)
        found = on_device(model.transform, on_torch(X))
        assert_same(found, distances, on_torch(X), rtol=1e-3, atol=1e-4)


def test_saved_and_copied_estimators_hold_numpy_arrays():
    X = table(np.float32)
    kmeans = PartialModalityKMeans(3, modalities=MODALITIES, random_state=0)
    on_device(kmeans.fit, on_torch(X))
    loaded = pickle.loads(pickle.dumps(kmeans))
    assert type(loaded.labels_) is type(loaded.cluster_centers_) is np.ndarray
    assert_array_equal(loaded.predict(X), to_numpy(kmeans.labels_))
    assert on_device(check_drift, kmeans, on_torch(X)).n_samples == len(X)


def test_what_is_copied():
    X = table(np.float64)
    for imputer in (
        RegressionImputer(),
        ClusterGuidedImputer(4, strategy="greedy", random_state=0),
    ):
        imputer.set_params(modalities=MODALITIES)
        with pytest.warns(ModalityWarning, match="copied to the memory of the host"):
            filled = on_device(imputer.fit_transform, on_torch(X))
        assert_allclose(filled, imputer.fit_transform(X))
    # Without dispatch, as every array-like.
    kmeans = PartialModalityKMeans(3, modalities=MODALITIES).fit(on_torch(X))
    assert type(kmeans.labels_) is np.ndarray


@pytest.mark.parametrize(
    "cell, message",
    [(np.inf, "Input X contains infinity"), (1e200, "variance of 1 column")],
)
def test_bad_cells(cell, message):
    X = table(np.float64)
    X[9, 1] = cell
    with pytest.raises(ValueError, match=message):
        on_device(PartialModalityKMeans(3, modalities=MODALITIES).fit, on_torch(X))


def test_bad_calls(monkeypatch):
    X = on_torch(table(np.float64))
    kmeans = PartialModalityKMeans(800, modalities=MODALITIES)
    with pytest.raises(ValueError, match="n_samples=700 .* >= n_clusters=800"):
        on_device(kmeans.fit, X)
    with pytest.raises(ValueError, match="X has 4 features"):
        on_device(on_device(kmeans.set_params(n_clusters=3).fit, X).predict, X[:, :4])
    monkeypatch.delenv("SCIPY_ARRAY_API")
    with pytest.raises(RuntimeError, match="SCIPY_ARRAY_API=1"):
        on_device(kmeans.fit, X)


def test_settings_of_torch_are_kept():
    torch = pytest.importorskip("torch")
    from skmissing._device import full_products

    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with full_products(torch):
            precision = getattr(torch.backends.cuda.matmul, "fp32_precision", "ieee")
            assert precision == "ieee"
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
