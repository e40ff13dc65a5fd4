"""What holds for k-means over modalities, whatever the table."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.cluster import PartialModalityKMeans

from ..reference import partial_distance
from .strategies import FORMS, as_array, in_form, no_warnings, tables


@st.composite
def starts(draw, **options):
    table = draw(tables(empty_rows=False, holes=False, ties=False, **options))
    k = draw(st.integers(1, len(table.X)))
    return table, draw(st.permutations(range(len(table.X))))[:k]


def fit(table, start, X=None, **fit_params):
    """k-means from given rows, with nothing random in it."""
    kmeans = PartialModalityKMeans(
        len(start), modalities=table.modalities, init=table.X[start], tol=0
    )
    return kmeans.fit(table.X if X is None else X, **fit_params)


def assert_same_centers(found, expected):
    """Equal centres, up to rounding in units of the largest number."""
    scale = np.nanmax(np.abs(expected))
    assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-5)


@given(tables(), st.integers(1, 24), st.integers(0, 99), st.sampled_from(FORMS))
def test_labels_are_those_of_the_nearest_centres(table, k, seed, form):
    n_usable = int(table.presence.any(axis=1).sum())
    kmeans = PartialModalityKMeans(
        min(k, n_usable), modalities=table.modalities, random_state=seed
    )
    X, array = in_form(table.X, form), as_array(table.X, form)
    with no_warnings():
        kmeans.fit(X)
        labels, distances = kmeans.predict(X), np.asarray(kmeans.transform(X))
        assert_array_equal(labels, kmeans.fit(array).predict(array))
    empty = ~table.presence.any(axis=1)
    assert_array_equal(labels < 0, empty)
    assert np.isinf(distances[empty]).all()
    own = distances[np.arange(len(labels)), labels][~empty]
    least = distances[~empty].min(axis=1)
    largest = distances[np.isfinite(distances)].max(initial=1e-300)
    assert (own**2 <= least**2 + 1e-4 * max(largest**2, 1)).all()


@given(tables(ties=False, dtypes=[np.float64]), st.integers(1, 5))
def test_distances_are_those_of_plain_loops(table, k):
    """transform is the square root of eq. (2) of UL4M4, written as loops."""
    n_usable = int(table.presence.any(axis=1).sum())
    with no_warnings():
        kmeans = PartialModalityKMeans(
            min(k, n_usable),
            modalities=table.modalities,
            standardize=False,
            random_state=0,
        ).fit(table.X)
        distances = kmeans.transform(table.X)
    expected = [
        [partial_distance(x, c, kmeans.modalities_) for c in kmeans.cluster_centers_]
        for x in table.X
    ]
    scale = np.nanmax(np.abs(table.X))
    assert_allclose(distances / scale, np.sqrt(expected) / scale, atol=1e-6)


@given(starts(), st.randoms(use_true_random=False))
def test_order_of_rows_is_nothing(case, random):
    table, start = case
    rows = list(range(len(table.X)))
    random.shuffle(rows)
    with no_warnings():
        plain, shuffled = fit(table, start), fit(table, start, table.X[rows])
    assert_array_equal(shuffled.labels_, plain.labels_[rows])
    assert_same_centers(shuffled.cluster_centers_, plain.cluster_centers_)


@given(starts(), st.data())
def test_order_of_modalities_is_nothing(case, data):
    table, start = case
    names = data.draw(st.permutations(list(table.modalities)))
    with no_warnings():
        plain = fit(table, start)
        renamed = PartialModalityKMeans(
            len(start),
            modalities={name: table.modalities[name] for name in names},
            init=table.X[start],
            tol=0,
        ).fit(table.X)
    assert_array_equal(renamed.labels_, plain.labels_)
    assert_same_centers(renamed.cluster_centers_, plain.cluster_centers_)


@given(starts(), st.data())
def test_weight_two_is_the_row_twice(case, data):
    table, start = case
    n_rows = len(table.X)
    weight = data.draw(st.lists(st.integers(0, 3), min_size=n_rows, max_size=n_rows))
    weight = np.array(weight)
    weight[start] = np.maximum(weight[start], 1)
    with no_warnings():
        weighted = fit(table, start, sample_weight=weight)
        repeated = fit(table, start, np.repeat(table.X, weight, axis=0))
    # A centre that lost its rows moves to one row, be it one of two twins.
    assume(len(np.unique(weighted.labels_[weight > 0])) == len(start))
    assert_array_equal(np.repeat(weighted.labels_, weight), repeated.labels_)
    assert_same_centers(weighted.cluster_centers_, repeated.cluster_centers_)
    assert_allclose(weighted.inertia_, repeated.inertia_, rtol=1e-4, atol=1e-5)


@given(starts(dtypes=[np.float32]))
def test_float32_is_close_to_float64(case):
    table, start = case
    X = table.X.astype(np.float64)
    with no_warnings():
        kmeans = fit(table, start, X)
        wide, narrow = kmeans.transform(X), kmeans.transform(table.X)
    assert narrow.dtype == np.float32
    assert_array_equal(np.isinf(narrow), np.isinf(wide))
    assert_allclose(narrow[np.isfinite(wide)], wide[np.isfinite(wide)], rtol=1e-5)


@given(tables(ties=False), st.integers(1, 4))
def test_a_row_alone_is_labelled_as_among_others(table, k):
    n_usable = int(table.presence.any(axis=1).sum())
    with no_warnings():
        kmeans = PartialModalityKMeans(
            min(k, n_usable), modalities=table.modalities, random_state=0
        ).fit(table.X)
        together = kmeans.predict(table.X)
        alone = [kmeans.predict(row)[0] for row in table.X[:, None]]
    assert_array_equal(alone, together)
