"""PartialModalityKMeans where cells, rows or clusters count for nothing."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skmissing.cluster import PartialModalityKMeans
from tests.test_kmeans import WIDTHS, blobs, gaps

nan = np.nan


def test_column_never_observed_has_no_say(seed):
    """A column that is a hole everywhere in fit is a hole later, with a warning."""
    X = gaps(seed)
    X[:, 0] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    model = PartialModalityKMeans(5, modalities=WIDTHS, random_state=seed)
    with pytest.warns(UserWarning, match="1 columns are not observed .*'x0'; dist"):
        model.fit(X)
    rows = np.array([[np.nan, 1, 0, 0, 0, 0], [99.0, np.nan, 0, 0, 0, 0]])
    hidden = rows.copy()
    hidden[:, 0] = np.nan
    for method in (model.transform, model.predict, model.score):
        with pytest.warns(UserWarning, match="'x0', which 1 of 2 samples"):
            found = method(rows)
        np.testing.assert_array_equal(found, method(hidden))


def test_columns_never_observed_of_modalities_never_observed(seed):
    """A modality is named as a whole; in others the columns that are new."""
    X = gaps(seed, n=50)
    X[:, [2, 5]] = nan
    X[:, 0] = 1
    model = PartialModalityKMeans(3, modalities=WIDTHS, random_state=seed)
    with pytest.warns(UserWarning) as record:
        model.fit(X)
    assert ["'modality2'" in str(w.message) for w in record] == [True, False]
    assert "'x2'" in str(record[1].message)
    rows = np.array([[nan] * 5 + [3.0], [1.0] * 6])
    with pytest.warns(UserWarning) as record:
        labels = model.predict(rows)
    messages = "".join(str(w.message) for w in record)
    assert "ignored: 'modality2', which 2 of 2 samples have" in messages
    assert "ignored: 'x2', which 1 of 2 samples have" in messages
    assert "1 of 2 samples have no observed modality" in messages
    assert labels[0] == -1


def test_column_first_seen_in_a_batch():
    """Clusters that no row of it fell to are at the mean of the column, not at 0."""
    first = [[0, 0, nan], [0, 1, nan], [9, 9, nan], [9, 8, nan]]
    model = PartialModalityKMeans(2, modalities=[3], random_state=0)
    with pytest.warns(UserWarning, match="'x2'"):
        model.partial_fit(first)
    model.partial_fit([[0, 0, 1000], [0, 1, 1001]])
    near, far = np.argsort(model.cluster_centers_[:, 0])
    np.testing.assert_allclose(model.cluster_centers_[near], [0, 0.5, 1000.5])
    np.testing.assert_allclose(model.cluster_centers_[far], [9, 8.5, 1000.5])


def test_empty_cluster_stays_in_batches():
    """A centre that never had a row is not drawn to the mean."""
    init = [[0.0, 0], [9, 9], [5, 5]]
    X = np.array([[0.0, 0], [9, 9]] * 5)
    model = PartialModalityKMeans(3, init=init, modalities=[2])
    with pytest.warns(UserWarning, match=r"distinct clusters \(2\)"):
        model.partial_fit(X)
    model.partial_fit(X + 0.25)
    np.testing.assert_allclose(model.cluster_centers_[2], [5, 5])


def test_row_without_centre_goes_to_the_largest_cluster_of_all_rows():
    """What a batch brings first joins the cluster that most rows ever went to."""
    first = np.c_[[0.0, 0, 9, 9, 9, 9, 9], [nan] * 7]
    model = PartialModalityKMeans(2, modalities=[1, 1], random_state=0)
    with pytest.warns(UserWarning, match="'modality1'"):
        model.partial_fit(first)
    model.partial_fit([[0.0, nan], [0.0, nan], [nan, 7.0]])
    large = model.cluster_centers_[:, 0].argmax()
    np.testing.assert_array_equal(model.cluster_centers_[large], [9, 7])
    np.testing.assert_array_equal(model.cluster_centers_[1 - large], [0, nan])


def test_labels_follow_centers_that_were_moved():
    """Labels that repeat after an empty cluster was moved are no end."""
    rng = np.random.RandomState(237)
    X = np.round(rng.randn(rng.randint(4, 14), 3) * 3)
    X[rng.rand(*X.shape) < 0.4] = nan
    model = PartialModalityKMeans(5, random_state=237, modalities=[1, 1, 1]).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert len(set(model.labels_)) == 5


def test_moved_centers_of_complete_data_are_those_of_sklearn():
    """From starts with far centres: the labels of scikit-learn."""
    for seed in range(20):
        rng = np.random.RandomState(seed)
        X = rng.randn(40, 2)
        init = np.vstack([X[:3], 100 + 10 * rng.rand(2, 2)])
        theirs = KMeans(5, init=init, n_init=1, algorithm="lloyd").fit(X)
        ours = PartialModalityKMeans(
            5, init=init, modalities=[1, 1], standardize=False
        ).fit(X)
        np.testing.assert_array_equal(ours.labels_, theirs.labels_)


def test_rows_without_weight_are_no_rows(seed):
    """Neither scales nor the moves of empty clusters see them."""
    X = np.vstack([blobs(seed), [[1e12] * 6, [50.0] * 6]])
    weight = np.r_[np.ones(300), 0, 0]
    init = np.vstack([X[:3], np.full((2, 6), 500.0)])
    model = PartialModalityKMeans(5, init=init, modalities=WIDTHS)
    expected = model.fit(X[:-2]).cluster_centers_
    labels = model.labels_
    found = model.fit(X, sample_weight=weight)
    np.testing.assert_allclose(found.cluster_centers_, expected)
    np.testing.assert_array_equal(found.labels_[:-2], labels)


@pytest.mark.parametrize("row, n_usable", [(-1, 1), (0, 0)])
def test_too_few_rows_with_weight(row, n_usable, seed):
    """The error counts the rows that have weight and a cell, and names the weights."""
    X = gaps(seed, n=10, empty=8)
    weight = np.zeros(10)
    weight[row] = 1
    match = rf"10 \({n_usable} of them with an observed cell and a positive weight"
    with pytest.raises(ValueError, match=match):
        PartialModalityKMeans(2, modalities=WIDTHS).fit(X, sample_weight=weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_spread_around_a_large_mean(dtype):
    """Clusters in two columns are found whatever the third one's mean."""
    rng = np.random.RandomState(0)
    y, noise = rng.randint(3, size=600), rng.randn(600, 3)
    X = np.c_[4 * y, 4 * y, np.full(600, 2e7)] + noise * [0.3, 0.3, 2]
    model = PartialModalityKMeans(3, n_init=3, random_state=0).fit(X.astype(dtype))
    assert adjusted_rand_score(y, model.labels_) == 1
