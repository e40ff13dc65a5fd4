"""Presence, patterns and scaled blocks against plain numpy."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing._blocks import Centers, find_patterns, find_presence, fit_scaler
from skmissing._distances import nearest_centers, squared_distances
from skmissing._modalities import resolve_modalities
from skmissing._table import ModalityTable
from skmissing.cluster._lloyd import lloyd

LAYOUTS = [[2, 3, 1], {"a": [5, 0], "b": slice(1, 5)}, {"a": (2, 2), "b": 2}, None]


def make(layout, seed, dtype=np.float64, n=400):
    """Rows with absent modalities, holes, and some with nothing at all."""
    rng = np.random.RandomState(seed)
    X = (3 + rng.standard_normal((n, layout.n_features))).astype(dtype)
    for modality in layout.values():
        absent = rng.uniform(size=n) < 0.4
        X[np.ix_(absent, modality.columns)] = np.nan
    X[rng.uniform(size=X.shape) < 0.05] = np.nan
    return X


@pytest.mark.parametrize("modalities", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_presence_and_holes(modalities, dtype, seed):
    layout = resolve_modalities(modalities, 6)
    X = make(layout, seed, dtype)
    presence, holes = find_presence(X, layout)
    cells = [~np.isnan(X[:, m.columns]) for m in layout.values()]
    assert_array_equal(presence, np.stack([c.any(1) for c in cells], 1))
    expected = np.any([c.any(1) & ~c.all(1) for c in cells], axis=0)
    assert_array_equal(holes, expected)


def test_presence_does_not_mistake_overflow_for_a_gap():
    layout = resolve_modalities([4], 4)
    big = np.finfo(np.float32).max
    X = np.array([[big, big, -big, -big]], dtype=np.float32)
    presence, holes = find_presence(X, layout)
    assert presence.all() and not holes.any()


@pytest.mark.parametrize("n_modalities", [1, 3, 9, 70])
def test_patterns(n_modalities, seed):
    presence = np.random.RandomState(seed).uniform(size=(50, n_modalities)) < 0.7
    patterns, inverse = find_patterns(presence)
    assert_array_equal(patterns[inverse], presence)
    assert len(np.unique(patterns, axis=0)) == len(patterns)


@pytest.mark.parametrize("modalities", LAYOUTS)
@pytest.mark.parametrize("min_rows", [1, 40, 10_000])
def test_split_holds_every_row_once(modalities, min_rows, seed):
    layout = resolve_modalities(modalities, 6)
    X = make(layout, seed)
    presence, holes = find_presence(X, layout)
    scaler = fit_scaler(ModalityTable(X, layout))
    width = np.empty(6)
    for modality in layout.values():
        width[modality.columns] = modality.width
    scaled = (X - scaler.mean) / scaler.scale / np.sqrt(width)
    expected = np.where(np.isnan(X), 0, scaled)[:, layout.order]
    blocks = scaler.split(ModalityTable(X, layout), min_rows=min_rows)
    rows = np.concatenate([group.rows for group in blocks.groups])
    assert_array_equal(np.sort(rows), np.arange(len(X)))
    for group in blocks.groups:
        found = np.zeros((len(group.rows), 6))
        found[:, group.columns] = group.values
        assert_allclose(found, expected[group.rows], atol=1e-12)
        whole = np.broadcast_to(group.presence, (len(group.rows), len(group.widths)))
        assert_array_equal(whole, presence[group.rows][:, group.modalities])
        assert (group.observed is not None) == holes[group.rows].any()
    picked = [3, 1, 7]
    assert_allclose(blocks.take(picked).groups[0].values, expected[picked], atol=1e-12)


@pytest.mark.parametrize("standardize", [True, False])
def test_complete_rows_are_read_from_x(standardize, seed):
    layout = resolve_modalities([2, 3, 1], 6)
    X = np.random.RandomState(seed).standard_normal((500, 6)) * np.arange(1, 7) + 2
    presence, holes = find_presence(X, layout)
    scaler = fit_scaler(ModalityTable(X, layout), standardize=standardize)
    copied = scaler.split(ModalityTable(X, layout))
    shared = scaler.split(ModalityTable(X, layout), share=True)
    assert shared.groups[0].source is X
    assert not np.shares_memory(copied.groups[0].source, X)
    assert_allclose(shared.groups[0].values, copied.groups[0].values)
    assert_allclose(shared.groups[0].norms, copied.groups[0].norms)
    centers = scaler.center_blocks(X[:7] + 0.5)
    partial = Centers(centers.values, np.random.RandomState(seed).rand(7, 3) < 0.6)
    weight = np.ones(len(X))
    for start in (centers, partial):
        assert_allclose(
            squared_distances(shared, start), squared_distances(copied, start),
            atol=1e-12,
        )  # fmt: skip
        ours, theirs = (
            nearest_centers(b, start, return_squared=True) for b in (shared, copied)
        )
        assert_array_equal(ours[0], theirs[0])
        assert_allclose(ours[1], theirs[1], atol=1e-12)
        ours, theirs = (
            lloyd(b, start, weight, max_iter=20, tol=0) for b in (shared, copied)
        )
        assert_array_equal(ours.labels, theirs.labels)
        assert_allclose(ours.centers.values, theirs.centers.values, atol=1e-12)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda X: X + 1000,  # products of such columns would cancel
        np.asfortranarray,
        lambda X: np.where(np.arange(6) == 4, 3.0, X),
    ],
)
def test_rows_that_must_be_copied(prepare, seed):
    layout = resolve_modalities([2, 3, 1], 6)
    X = prepare(np.random.RandomState(seed).standard_normal((50, 6)))
    scaler = fit_scaler(ModalityTable(X, layout))
    assert scaler.split(ModalityTable(X, layout), share=True).groups[0].source is not X


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e18, 1e30])
def test_scaler_of_extreme_float32(scale, seed):
    layout = resolve_modalities([2, 3, 1], 6)
    X = (np.random.RandomState(seed).standard_normal((50, 6)) * scale).astype("f4")
    scaler = fit_scaler(ModalityTable(X, layout))
    assert_allclose(scaler.scale, X.std(axis=0, dtype="f8"), rtol=1e-5)


@pytest.mark.parametrize("modalities", [[2, 3, 1], None])
def test_scaler_is_nan_mean_and_std(modalities, seed):
    layout = resolve_modalities(modalities, 6)
    X = make(layout, seed)
    scaler = fit_scaler(ModalityTable(X, layout))
    assert_allclose(scaler.mean, np.nanmean(X, axis=0))
    assert_allclose(scaler.scale, np.nanstd(X, axis=0))


def test_scaler_weight_two_is_the_row_twice(seed):
    layout = resolve_modalities([2, 3, 1], 6)
    X = make(layout, seed)
    weight = np.random.RandomState(seed).randint(3, size=len(X))
    found = fit_scaler(ModalityTable(X, layout, sample_weight=weight))
    repeated = np.repeat(X, weight, axis=0)
    expected = fit_scaler(ModalityTable(repeated, layout))
    assert_allclose(found.mean, expected.mean)
    assert_allclose(found.scale, expected.scale)


@pytest.mark.parametrize("modalities", [[2, 3, 1], {"tokens": (2, 2), "vector": 2}])
def test_scaler_merges(modalities, seed):
    layout = resolve_modalities(modalities, 6)
    X = make(layout, seed)
    X[:150, 5] = np.nan
    whole, first, second = (
        fit_scaler(ModalityTable(part, layout)) for part in (X, X[:150], X[150:])
    )
    merged = first.merge(second, True, X.dtype)
    for name in [field.name for field in fields(merged)[1:]]:
        assert_allclose(getattr(merged, name), getattr(whole, name))


def test_tokens_share_statistics_and_keep_their_means(seed):
    layout = resolve_modalities({"tokens": (2, 2), "vector": 2}, 6)
    X = make(layout, seed)
    scaler = fit_scaler(ModalityTable(X, layout))
    pooled = X[:, :4].reshape(-1, 2)
    assert_allclose(scaler.mean[:4], np.tile(np.nanmean(pooled, axis=0), 2))
    assert_allclose(scaler.scale[:4], np.tile(np.nanstd(pooled, axis=0), 2))
    assert_allclose(scaler.column_mean, np.nanmean(X, axis=0))
    assert_array_equal(scaler.column_weight, (~np.isnan(X)).sum(axis=0))
    assert_array_equal(scaler.centered().mean, scaler.column_mean)


def test_scaler_of_constant_and_empty_columns():
    layout = resolve_modalities([3], 3)
    X = np.column_stack([np.full(20, 0.1) * 3, np.full(20, np.nan), np.arange(20.0)])
    X[::2, 0] = 0.3
    scaler = fit_scaler(ModalityTable(X, layout))
    assert_array_equal(scaler.scale[:2], [1, 1])
    assert scaler.mean[1] == 0
    assert scaler.weight.tolist() == [20, 0, 20]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("modalities", [[3, 1], {"tokens": (3, 1), "vector": 1}])
@pytest.mark.parametrize("value", [0.1, -7.7, 1e7 / 3, 1e-30, 3e35])
def test_constant_columns_have_scale_one(value, modalities, dtype, seed):
    layout = resolve_modalities(modalities, 4)
    rng = np.random.RandomState(seed)
    X = np.full((2000, 4), value, dtype=dtype)
    X[:, 3] = rng.standard_normal(2000)
    X[rng.rand(2000) < 0.4, 0] = np.nan
    rare = X.copy()
    rare[:, :3] = np.nan
    rare[7:13, :2] = value
    for rows in (X, rare):
        for weight in (None, rng.rand(2000)):
            scaler = fit_scaler(ModalityTable(rows, layout, sample_weight=weight))
            assert_array_equal(scaler.scale[:3], 1)


def test_one_ulp_is_rounding_in_float64_and_a_value_in_float32():
    """As in scikit-learn's StandardScaler; and factors stay finite."""
    layout = resolve_modalities([1], 1)
    for dtype, constant in ((np.float64, True), (np.float32, False)):
        X = np.full((100, 1), 0.1, dtype=dtype)
        X[:3] = np.nextafter(dtype(0.1), dtype(1))
        scaler = fit_scaler(ModalityTable(X, layout))
        assert (scaler.scale[0] == 1) == constant
        assert (
            np.abs(scaler.split(ModalityTable(X, layout)).groups[0].values).max() < 10
        )
    tiny = np.float32([[1e-44], [-1e-44], [0]])
    scaler = fit_scaler(ModalityTable(tiny, layout))
    assert scaler.scale[0] == 1


def test_rows_without_weight_leave_the_scale_alone(seed):
    layout = resolve_modalities([2, 3, 1], 6)
    X = make(layout, seed, n=2000).astype(np.float32)
    weight = np.ones(len(X))
    weight[::7] = 0  # with 2000 rows, every eighth is in the sample
    weight[::8] = 0
    junk = X.copy()
    junk[weight == 0] = 1e12
    kept = X[weight > 0]
    expected = fit_scaler(ModalityTable(kept, layout))

    scaler = fit_scaler(ModalityTable(junk, layout, sample_weight=weight))
    assert_allclose(scaler.scale, expected.scale, rtol=1e-5)
    assert_allclose(scaler.mean, expected.mean, rtol=1e-5)


def test_variance_does_not_cancel():
    layout = resolve_modalities([1], 1)
    X = (1e4 + np.linspace(-1, 1, 1000)).astype(np.float32)[:, None]
    scaler = fit_scaler(ModalityTable(X, layout))
    assert_allclose(scaler.scale, X.astype(np.float64).std(), rtol=1e-6)


def test_centers_round_trip(seed):
    """Scaling centres and back gives them again, NaN where a modality is absent."""
    layout = resolve_modalities({"a": [5, 0], "b": slice(1, 5)}, 6)
    X = make(layout, seed)
    scaler = fit_scaler(ModalityTable(X, layout))
    centers = np.random.RandomState(seed).standard_normal((4, 6))
    centers[1, [0, 5]] = np.nan
    blocks = scaler.center_blocks(centers)
    assert blocks.presence.tolist() == [[True, True], [False, True]] + [[True] * 2] * 2
    assert_allclose(scaler.to_units(blocks), centers)


def test_variance_that_overflows_is_refused():
    X = np.random.RandomState(0).standard_normal((60, 4)) * [1, 1, 1e160, 1]
    layout = resolve_modalities({"a": 2, "b": 2}, 4)
    message = "variance of 1 column of X overflows: column 2, of modality 'b'"
    with pytest.raises(ValueError, match=message):
        fit_scaler(ModalityTable(X, layout))
