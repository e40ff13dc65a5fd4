"""PartialModalityKMeans: equal to scikit-learn on complete data, to loops on other."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skmissing._blocks import Centers, fit_scaler
from skmissing._distances import label_distances, nearest_centers, squared_distances
from skmissing._modalities import resolve_modalities
from skmissing._table import ModalityTable, ModalityWarning
from skmissing.cluster import PartialModalityKMeans

from .reference import partial_distance

WIDTHS = [2, 3, 1]
nan = np.nan


def blobs(seed, n=300, n_columns=6, dtype=np.float64):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, n_columns)) + 2.0 * rng.randint(4, size=(n, 1))
    return X.astype(dtype)


def gaps(seed, widths=WIDTHS, rate=0.4, holes=0.0, n=300, empty=0):
    rng = np.random.RandomState(seed + 1)
    X = blobs(seed, n=n, n_columns=sum(widths))
    keep = rng.uniform(size=(n, len(widths))) > rate
    keep[np.arange(n), rng.randint(len(widths), size=n)] = True
    X[~np.repeat(keep, widths, axis=1)] = np.nan
    X[rng.uniform(size=X.shape) < holes] = np.nan
    X[np.isnan(X).all(axis=1), 0] = 0
    X[:empty] = np.nan
    return X


@pytest.mark.parametrize("min_rows", [1, 10_000])
@pytest.mark.parametrize("holes", [0, 0.1])
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("widths", [WIDTHS, [1] * 6])
def test_kernels_equal_loops(min_rows, holes, complete, widths, seed):
    layout = resolve_modalities(widths, 6)
    X = gaps(seed, widths, holes=holes, n=60, empty=3)
    scaler = fit_scaler(ModalityTable(X, layout), standardize=False)
    units = blobs(seed + 5, n=7)
    if not complete:
        units[:3, layout.slices[1]] = np.nan
        units[2:4, layout.slices[0]] = np.nan
    blocks = scaler.split(ModalityTable(X, layout), min_rows=min_rows)
    centers = scaler.center_blocks(units)
    expected = np.array([[partial_distance(x, c, layout) for c in units] for x in X])
    assert_allclose(squared_distances(blocks, centers), expected, atol=1e-12)
    labels = np.where(np.isinf(expected.min(axis=1)), -1, expected.argmin(axis=1))
    assert_array_equal(nearest_centers(blocks, centers), labels)
    own = np.where(labels < 0, 0, expected.min(axis=1))
    assert_allclose(label_distances(blocks, centers, labels), own)


def test_distance_by_hand():
    layout = resolve_modalities([2, 1], 3)
    rows = np.array([[0, 0, 0], [0, 0, np.nan], [np.nan, 0, 0], [np.nan] * 3])
    scaler = fit_scaler(ModalityTable(rows, layout), standardize=False)
    centers = scaler.center_blocks(np.array([[3.0, 4, 2], [np.nan, np.nan, 2]]))
    squared = squared_distances(scaler.split(ModalityTable(rows, layout)), centers)
    first, second = (9 + 16) / 2, 4
    expected = [
        [(first + second) / 2, second],
        [first, np.inf],
        [(16 + second) / 2, second],
        [np.inf, np.inf],
    ]
    assert_allclose(squared, expected)


def test_float32_cancellation_is_bounded(seed):
    """Float32 squared distances differ from float64 by a few rounding errors."""
    layout = resolve_modalities([300, 200], 500)
    X = np.random.RandomState(seed).standard_normal((200, 500))
    X[::3, :300] = np.nan
    units = X[[1, 4, 7]]
    found = []
    for dtype in (np.float32, np.float64):
        data = X.astype(dtype)
        scaler = fit_scaler(ModalityTable(data, layout))
        centers = scaler.center_blocks(units.astype(dtype))
        found.append(
            squared_distances(scaler.split(ModalityTable(data, layout)), centers)
        )
    assert found[0].dtype == np.float32
    # Norms are near 1 a modality; products round each of 500 terms.
    assert np.abs(found[0] - found[1]).max() < 50 * np.finfo(np.float32).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_clusters", [1, 3, 20, 100])
def test_complete_data_equal_sklearn(dtype, n_clusters, seed):
    X = blobs(seed, dtype=dtype)
    init = X[:n_clusters]
    theirs = KMeans(n_clusters, init=init, n_init=1, algorithm="lloyd").fit(X)
    ours = PartialModalityKMeans(
        n_clusters, init=init, modalities=[2, 2, 2], standardize=False
    ).fit(X)
    assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.labels_.dtype == theirs.labels_.dtype
    assert ours.n_iter_ == theirs.n_iter_
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    assert_allclose(
        ours.cluster_centers_, theirs.cluster_centers_, rtol=rtol, atol=rtol
    )
    assert_allclose(ours.inertia_, theirs.inertia_ / 6, rtol=rtol)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_allclose(
        ours.transform(X), theirs.transform(X) / np.sqrt(6), rtol=rtol, atol=1e-5
    )
    assert_allclose(ours.score(X), theirs.score(X) / 6, rtol=rtol)


def test_empty_clusters_move_as_in_sklearn(seed):
    X = np.vstack([blobs(seed), blobs(seed, n=5) + 50])
    init = np.vstack([X[:2], np.full((3, 6), 1e3)])
    theirs = KMeans(5, init=init, n_init=1, algorithm="lloyd").fit(X)
    ours = PartialModalityKMeans(
        5, init=init, modalities=[3, 3], standardize=False
    ).fit(X)
    assert_array_equal(ours.labels_, theirs.labels_)


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_complete_data_start_as_sklearn(init, seed):
    X = blobs(seed)
    scaled = StandardScaler().fit_transform(X)
    params = {"init": init, "n_init": 2, "random_state": seed}
    theirs = KMeans(6, algorithm="lloyd", **params).fit(scaled)
    ours = PartialModalityKMeans(6, modalities=[2, 2, 2], **params).fit(X)
    assert_array_equal(ours.labels_, theirs.labels_)


def test_first_iteration_starts_at_kmeans_plusplus(seed):
    X = blobs(seed)
    seeds, _ = kmeans_plusplus(X, 5, random_state=seed)
    params = {"modalities": [3, 3], "standardize": False, "max_iter": 1}
    ours = PartialModalityKMeans(5, random_state=seed, **params).fit(X)
    given = PartialModalityKMeans(5, init=seeds, **params).fit(X)
    assert_allclose(ours.cluster_centers_, given.cluster_centers_)


def reference_lloyd(X, centers, layout, n_iter):
    for _ in range(n_iter):
        distances = [[partial_distance(x, c, layout) for c in centers] for x in X]
        labels = np.argmin(distances, axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            centers = np.array(
                [np.nanmean(X[labels == j], axis=0) for j in range(len(centers))]
            )
    return centers


def test_incomplete_data_equal_loops(seed):
    layout = resolve_modalities(WIDTHS, 6)
    X = gaps(seed)
    init = X[np.flatnonzero(~np.isnan(X).any(axis=1))[:4]]
    ours = PartialModalityKMeans(
        4, init=init, modalities=WIDTHS, standardize=False, max_iter=3, tol=0
    ).fit(X)
    expected = reference_lloyd(X, init, layout, 3)
    assert_allclose(ours.cluster_centers_, expected, atol=1e-12)


def test_result_describes_itself(seed):
    """Labels are nearest centres, inertia and score are sums of their distances."""
    X = gaps(seed, holes=0.05)
    ours = PartialModalityKMeans(8, modalities=WIDTHS, random_state=seed).fit(X)
    distances = ours.transform(X)
    assert_array_equal(ours.labels_, distances.argmin(axis=1))
    assert_array_equal(ours.predict(X), ours.labels_)
    assert_allclose(ours.inertia_, (distances.min(axis=1) ** 2).sum())
    assert_allclose(ours.score(X), -ours.inertia_)
    own = ~np.isnan(ours.cluster_centers_)
    assert_array_equal(own, np.repeat(ours.center_presence_, WIDTHS, axis=1))


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("n_clusters", [1, 2, 5, 40])
def test_every_modality_is_in_a_center(init, n_clusters, seed):
    X = gaps(seed, [1] * 6, rate=0.9)
    X = np.vstack([X[~np.isnan(X[:, :5]).all(axis=1)], [[np.nan] * 5 + [1.0]]])
    X[:-1, 5] = np.nan
    params = {"init": init, "n_init": 1, "random_state": seed}
    ours = PartialModalityKMeans(n_clusters, **params).fit(X)
    assert ours.center_presence_.any(axis=0).all()
    assert (ours.labels_ >= 0).all()


def test_one_cluster_is_the_mean(seed):
    X = gaps(seed, holes=0.05)
    ours = PartialModalityKMeans(1, modalities=WIDTHS, random_state=seed).fit(X)
    assert_allclose(ours.cluster_centers_[0], np.nanmean(X, axis=0))


def test_weight_two_is_the_row_twice(seed):
    X = gaps(seed, holes=0.05)
    weight = np.random.RandomState(seed).randint(3, size=len(X))
    init = blobs(seed, n=5)
    params = {"init": init, "modalities": WIDTHS}
    weighted = PartialModalityKMeans(5, **params).fit(X, sample_weight=weight)
    repeated = PartialModalityKMeans(5, **params).fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_)
    assert_allclose(weighted.inertia_, repeated.inertia_)
    assert_array_equal(np.repeat(weighted.labels_, weight), repeated.labels_)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_number_of_threads_does_not_matter(n_threads, monkeypatch, seed):
    X = gaps(seed, n=3000)
    model = PartialModalityKMeans(20, modalities=WIDTHS, random_state=seed)
    expected = model.fit(X).cluster_centers_
    with threadpool_limits(n_threads):
        found = model.fit(X).cluster_centers_
    assert_array_equal(found, expected)


def test_start_given_as_array_or_callable(seed):
    X = gaps(seed)
    init = np.where(np.isnan(X[:4]), np.nan, X[:4])

    def rows(X, n_clusters, random_state):
        return X[:n_clusters]

    by_array = PartialModalityKMeans(4, init=init, modalities=WIDTHS).fit(X)
    by_call = PartialModalityKMeans(4, init=rows, n_init=1, modalities=WIDTHS).fit(X)
    masked = np.ma.masked_invalid(init)
    by_mask = PartialModalityKMeans(4, init=masked, modalities=WIDTHS).fit(X)
    assert_array_equal(by_array.labels_, by_call.labels_)
    assert_array_equal(by_array.labels_, by_mask.labels_)


def test_token_modality_counts_as_one(seed):
    X = gaps(seed)
    vector = PartialModalityKMeans(
        3, modalities={"a": 2, "b": 3, "c": 1}, standardize=False, random_state=0
    ).fit(X)
    tokens = PartialModalityKMeans(
        3, modalities={"a": (2, 1), "b": (1, 3), "c": 1}, standardize=False,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert_array_equal(vector.labels_, tokens.labels_)


def test_rows_with_nothing(seed):
    """They get label -1 and infinite distances, and change nothing for the others."""
    X = gaps(seed)
    init = blobs(seed, n=5)
    padded = np.vstack([X, np.full((2, 6), np.nan)])
    model = PartialModalityKMeans(5, init=init, modalities=WIDTHS)
    plain = model.fit(X).cluster_centers_
    with pytest.warns(UserWarning, match="2 of 302 samples have no observed modality"):
        model.fit(padded)
    assert_array_equal(model.cluster_centers_, plain)
    assert (model.labels_[-2:] == -1).all() and (model.labels_[:-2] >= 0).all()
    with pytest.warns(UserWarning, match="2 of 302 samples .* labelled -1"):
        assert (model.predict(padded)[-2:] == -1).all()
    with pytest.warns(UserWarning, match="2 of 302 samples .* infinitely far"):
        assert np.isinf(model.transform(padded)[-2:]).all()


def test_modality_never_observed(seed):
    """It is NaN in the centres; at predict time it is ignored, with a warning."""
    X = gaps(seed)
    without = X.copy()
    without[:, 5] = np.nan
    without = without[~np.isnan(without).all(axis=1)]
    model = PartialModalityKMeans(5, modalities=WIDTHS, random_state=seed)
    with pytest.warns(
        UserWarning, match="1 of . modalities are not observed .*'modality2'"
    ):
        model.fit(without)
    assert np.isnan(model.cluster_centers_[:, 5]).all()
    with pytest.warns(UserWarning, match="ignored: 'modality2', which 1 of 1 samples"):
        found = model.predict([[0.0, 0, 0, 0, 0, 9]])
    assert found == model.predict([[0.0, 0, 0, 0, 0, np.nan]])


def test_duplicate_rows_warn():
    X = np.repeat([[0.0, 0, 1], [5, 5, 2]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\) .* \(4\)"):
        PartialModalityKMeans(4, modalities=[2, 1], random_state=0).fit(X)


def test_k_equals_n(seed):
    X = gaps(seed, n=30)
    model = PartialModalityKMeans(30, modalities=WIDTHS, random_state=seed).fit(X)
    assert model.inertia_ < 1e-20


def test_verbose_prints_progress(capsys, seed):
    model = PartialModalityKMeans(3, modalities=WIDTHS, verbose=1, random_state=0)
    model.fit(gaps(seed))
    lines = capsys.readouterr().out.splitlines()
    assert sum("inertia" in line for line in lines) == model.n_iter_


@pytest.mark.parametrize(
    "params, match",
    [
        ({"n_clusters": 301}, r"n_samples=300 should be >= n_clusters=301"),
        ({"n_clusters": 0}, "n_clusters.*Got 0 instead"),
        ({"init": "best"}, "init.*Got 'best' instead"),
        ({"init": np.ones((2, 6))}, r"\(2, 6\) does not match .*\(3, 6\)"),
        ({"init": np.full((3, 6), np.inf)}, "init contains infinity"),
        ({"init": np.full((3, 6), np.nan)}, "init has nothing but NaN in row 0"),
        ({"n_init": 0}, "n_init.*Got 0 instead"),
        ({"tol": -1}, "tol.*Got -1 instead"),
        ({"modalities": [2, 2]}, "add up to 4, but X has 6 features"),
    ],
)
def test_bad_parameters(params, match, seed):
    params = {"n_clusters": 3, "modalities": WIDTHS, **params}
    with pytest.raises(ValueError, match=match):
        PartialModalityKMeans(**params).fit(gaps(seed))


@pytest.mark.parametrize(
    "X, match",
    [
        ([[1.0, np.inf], [0, 1]], "infinity"),
        ([["a", "b"], ["c", "d"]], "could not convert string to float"),
        (np.array([[1j, 0], [1, 2]]), "Complex data not supported"),
    ],
)
def test_bad_data(X, match):
    """Infinity, text and complex numbers get scikit-learn's own errors."""
    with pytest.raises(ValueError, match=match):
        PartialModalityKMeans(1).fit(X)


def test_sample_weight_all_zero(seed):
    with pytest.raises(ValueError, match="at least one non-zero"):
        PartialModalityKMeans(2).fit(blobs(seed), sample_weight=np.zeros(300))


def test_explicit_n_init_with_array_warns(seed):
    model = PartialModalityKMeans(3, init=blobs(seed, n=3), n_init=4)
    with pytest.warns(RuntimeWarning, match="performing only one init"):
        model.fit(blobs(seed))


def test_centers_are_plain_arrays():
    layout = resolve_modalities([1, 1], 2)
    X = np.array([[0.0, np.nan], [np.nan, 3.0]])
    scaler = fit_scaler(ModalityTable(X, layout), standardize=False)
    centers = Centers(np.array([[0.0, 0.0]]), np.array([[False, True]]))
    assert nearest_centers(
        scaler.split(ModalityTable(X, layout)), centers
    ).tolist() == [-1, 0]


def test_one_batch_is_fit(seed):
    X = gaps(seed, holes=0.05)
    model = PartialModalityKMeans(6, modalities=WIDTHS, random_state=seed)
    expected = model.fit(X).cluster_centers_
    found = PartialModalityKMeans(6, modalities=WIDTHS, random_state=seed)
    assert_array_equal(found.partial_fit(X).cluster_centers_, expected)


@pytest.mark.parametrize("standardize", [True, False])
def test_batches_keep_means_of_what_they_were_given(standardize, seed):
    rng = np.random.RandomState(seed)
    group = rng.permutation(np.repeat([0, 1, 2], 100))
    X = gaps(seed, holes=0.05) * 0.1 + 50 * group[:, None]
    model = PartialModalityKMeans(
        3, modalities=WIDTHS, standardize=standardize, random_state=seed
    )
    for rows in np.array_split(np.arange(300), 5):
        model.partial_fit(X[rows])
    assert model.n_steps_ == 5
    order = np.argsort(model.cluster_centers_[:, 2])
    expected = [np.nanmean(X[group == g], axis=0) for g in range(3)]
    assert_allclose(model.cluster_centers_[order], expected)


def test_batches_approach_the_full_fit(seed):
    rng = np.random.RandomState(seed)
    X = gaps(seed, n=6000, rate=0.3)
    X = X[rng.permutation(len(X))]
    full = PartialModalityKMeans(4, modalities=WIDTHS, n_init=3, random_state=seed)
    stream = PartialModalityKMeans(4, modalities=WIDTHS, n_init=3, random_state=seed)
    for rows in np.array_split(np.arange(len(X)), 30):
        stream.partial_fit(X[rows])
    assert stream.score(X) > 1.03 * full.fit(X).score(X)


def test_modality_that_comes_late(seed):
    X = gaps(seed)
    early = X[:150].copy()
    early[:, 5] = np.nan
    early[np.isnan(early).all(axis=1), 0] = 0
    model = PartialModalityKMeans(3, modalities=WIDTHS, random_state=seed)
    with pytest.warns(UserWarning, match="not observed in any sample: 'modality2'"):
        model.partial_fit(early)
    model.partial_fit(X[150:])
    assert model.center_presence_[:, 2].any()
    assert np.isfinite(model.transform([[np.nan] * 5 + [1.0]])).any()


def test_batch_with_empty_rows_warns(seed):
    X = gaps(seed)
    model = PartialModalityKMeans(3, modalities=WIDTHS, random_state=seed).fit(X)
    with pytest.warns(UserWarning, match="1 of 1 samples have no observed modality"):
        model.partial_fit(np.full((1, 6), np.nan))
    assert model.labels_.tolist() == [-1]


def test_columns_of_transform_are_the_learnt_centers(small_multimodal):
    X, _, widths = small_multimodal
    model = PartialModalityKMeans(3, modalities=widths, random_state=0).fit(X)
    expected = model.transform(X)
    assert np.array_equal(model.set_params(n_clusters=5).transform(X), expected)


def test_column_never_observed_has_no_say(seed):
    X = gaps(seed)
    X[:, 0] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    model = PartialModalityKMeans(5, modalities=WIDTHS, random_state=seed)
    with pytest.warns(
        UserWarning, match="1 of . columns are not observed .*'x0'; dist"
    ):
        model.fit(X)
    rows = np.array([[np.nan, 1, 0, 0, 0, 0], [99.0, np.nan, 0, 0, 0, 0]])
    hidden = rows.copy()
    hidden[:, 0] = np.nan
    for method in (model.transform, model.predict, model.score):
        with pytest.warns(UserWarning, match="'x0', which 1 of 2 samples"):
            found = method(rows)
        assert_array_equal(found, method(hidden))


def test_columns_never_observed_of_modalities_never_observed(seed):
    X = gaps(seed, n=50)
    X[:, [2, 5]] = nan
    X[:, 0] = 1
    model = PartialModalityKMeans(3, modalities=WIDTHS, random_state=seed)
    with pytest.warns(ModalityWarning) as record:
        model.fit(X)
    assert ["'modality2'" in str(w.message) for w in record] == [True, False]
    assert "'x2'" in str(record[1].message)
    rows = np.array([[nan] * 5 + [3.0], [1.0] * 6])
    with pytest.warns(ModalityWarning) as record:
        labels = model.predict(rows)
    messages = "".join(str(w.message) for w in record)
    assert "ignored: 'modality2', which 2 of 2 samples have" in messages
    assert "ignored: 'x2', which 1 of 2 samples have" in messages
    assert "1 of 2 samples have no observed modality" in messages
    assert labels[0] == -1


def test_column_first_seen_in_a_batch():
    first = [[0, 0, nan], [0, 1, nan], [9, 9, nan], [9, 8, nan]]
    model = PartialModalityKMeans(2, modalities=[3], random_state=0)
    with pytest.warns(UserWarning, match="'x2'"):
        model.partial_fit(first)
    model.partial_fit([[0, 0, 1000], [0, 1, 1001]])
    near, far = np.argsort(model.cluster_centers_[:, 0])
    assert_allclose(model.cluster_centers_[near], [0, 0.5, 1000.5])
    assert_allclose(model.cluster_centers_[far], [9, 8.5, 1000.5])


def test_empty_cluster_stays_in_batches():
    init = [[0.0, 0], [9, 9], [5, 5]]
    X = np.array([[0.0, 0], [9, 9]] * 5)
    model = PartialModalityKMeans(3, init=init, modalities=[2])
    with pytest.warns(UserWarning, match=r"distinct clusters \(2\)"):
        model.partial_fit(X)
    model.partial_fit(X + 0.25)
    assert_allclose(model.cluster_centers_[2], [5, 5])


def test_row_without_centre_goes_to_the_largest_cluster_of_all_rows():
    first = np.c_[[0.0, 0, 9, 9, 9, 9, 9], [nan] * 7]
    model = PartialModalityKMeans(2, modalities=[1, 1], random_state=0)
    with pytest.warns(UserWarning, match="'modality1'"):
        model.partial_fit(first)
    model.partial_fit([[0.0, nan], [0.0, nan], [nan, 7.0]])
    large = model.cluster_centers_[:, 0].argmax()
    assert_array_equal(model.cluster_centers_[large], [9, 7])
    assert_array_equal(model.cluster_centers_[1 - large], [0, nan])


def test_labels_follow_centers_that_were_moved():
    rng = np.random.RandomState(237)
    X = np.round(rng.randn(rng.randint(4, 14), 3) * 3)
    X[rng.rand(*X.shape) < 0.4] = nan
    model = PartialModalityKMeans(5, random_state=237, modalities=[1, 1, 1]).fit(X)
    assert_array_equal(model.labels_, model.predict(X))
    assert len(set(model.labels_)) == 5


def test_moved_centers_of_complete_data_are_those_of_sklearn():
    for seed in range(20):
        rng = np.random.RandomState(seed)
        X = rng.randn(40, 2)
        init = np.vstack([X[:3], 100 + 10 * rng.rand(2, 2)])
        theirs = KMeans(5, init=init, n_init=1, algorithm="lloyd").fit(X)
        ours = PartialModalityKMeans(
            5, init=init, modalities=[1, 1], standardize=False
        ).fit(X)
        assert_array_equal(ours.labels_, theirs.labels_)


def test_rows_without_weight_are_no_rows(seed):
    X = np.vstack([blobs(seed), [[1e12] * 6, [50.0] * 6]])
    weight = np.r_[np.ones(300), 0, 0]
    init = np.vstack([X[:3], np.full((2, 6), 500.0)])
    model = PartialModalityKMeans(5, init=init, modalities=WIDTHS)
    expected = model.fit(X[:-2]).cluster_centers_
    labels = model.labels_
    found = model.fit(X, sample_weight=weight)
    assert_allclose(found.cluster_centers_, expected)
    assert_array_equal(found.labels_[:-2], labels)


@pytest.mark.parametrize("row, n_usable", [(-1, 1), (0, 0)])
def test_too_few_usable_samples(row, n_usable, seed):
    X = gaps(seed, n=10, empty=8)
    with pytest.raises(ValueError, match=r"\(2 of them with an observed cell\)"):
        PartialModalityKMeans(3, modalities=WIDTHS).fit(X)
    weight = np.zeros(10)
    weight[row] = 1
    match = rf"10 \({n_usable} of them with an observed cell and a positive weight"
    with pytest.raises(ValueError, match=match):
        PartialModalityKMeans(2, modalities=WIDTHS).fit(X, sample_weight=weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_spread_around_a_large_mean(dtype):
    rng = np.random.RandomState(0)
    y, noise = rng.randint(3, size=600), rng.randn(600, 3)
    X = np.c_[4 * y, 4 * y, np.full(600, 2e7)] + noise * [0.3, 0.3, 2]
    model = PartialModalityKMeans(3, n_init=3, random_state=0).fit(X.astype(dtype))
    assert adjusted_rand_score(y, model.labels_) == 1


def test_a_modality_is_scaled_as_a_whole():
    """Distances are those of columns divided by the root of their mean variance."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 5)) * [1.0, 5.0, 9.0, 100.0, 300.0]
    X[:20, 3:] = np.nan
    kmeans = PartialModalityKMeans(
        3, modalities=[3, 2], standardize="modality", random_state=0
    ).fit(X)
    scale = np.sqrt([np.mean(np.nanvar(X[:, c], axis=0)) for c in ([0, 1, 2], [3, 4])])
    divided = X / np.repeat(scale, [3, 2])
    wanted = PartialModalityKMeans(
        3, modalities=[3, 2], standardize=False, random_state=0
    ).fit(divided)
    assert_array_equal(kmeans.labels_, wanted.labels_)
    assert_allclose(kmeans.inertia_, wanted.inertia_)
    # Another unit of a whole modality changes nothing; of a column, it does.
    kmeans.fit(X * [1, 1, 1, 7, 7])
    assert_array_equal(kmeans.labels_, wanted.labels_)
    with pytest.raises(ValueError, match="standardize"):
        PartialModalityKMeans(3, standardize="columns").fit(X)
