"""Distances over shared modalities against a slow loop and scikit-learn's."""

import numpy as np
import pytest
import sklearn
from sklearn.metrics.pairwise import euclidean_distances, nan_euclidean_distances

from skmissing._modalities import resolve_modalities
from skmissing.metrics import partial_modality_distances
from tests.reference import partial_distance

WIDTHS = [3, 1, 4]


def make_table(seed, n_rows=30, *, holes=0.0, absent=0.4, widths=WIDTHS):
    """Samples with missing modalities, and partially observed ones."""
    rng = np.random.RandomState(seed)
    X = 10 * rng.standard_normal((n_rows, sum(widths))) + 3
    X[rng.uniform(size=X.shape) < holes] = np.nan
    gone = rng.uniform(size=(n_rows, len(widths))) < absent
    X[np.repeat(gone, widths, axis=1)] = np.nan
    return X


def slow_distances(X, Y, modalities):
    """Squared distances, pair by pair."""
    layout = resolve_modalities(modalities, X.shape[1])
    return np.array([[partial_distance(x, y, layout) for y in Y] for x in X])


# ------------------------------------------------------------------------------------
# partial_modality_distances


@pytest.mark.parametrize("holes", [(0, 0), (0.3, 0), (0, 0.3), (0.5, 0.5)])
@pytest.mark.parametrize(
    "modalities",
    [WIDTHS, None, {"b": [7, 0, 3], "a": slice(1, 3), "c": [6, 4, 5]}],
    ids=["widths", "columns", "scattered"],
)
def test_distances_equal_slow_loop(seed, holes, modalities):
    """Missing and partially observed modalities on either side."""
    X, Y = (
        make_table(seed, 25, holes=holes[0]),
        make_table(seed + 1, 35, holes=holes[1]),
    )
    expected = slow_distances(X, Y, modalities)
    found = partial_modality_distances(X, Y, modalities=modalities, squared=True)
    assert np.isinf(expected).any() or modalities is None
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    root = partial_modality_distances(X, Y, modalities=modalities)
    np.testing.assert_allclose(root, np.sqrt(expected), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("holes", [0, 0.4])
def test_distances_within_one_table(seed, holes):
    """Y=None compares X with itself: symmetric, and exactly 0 on the diagonal."""
    X = make_table(seed, holes=holes)
    X[3] = np.nan
    found = partial_modality_distances(X, modalities=WIDTHS)
    expected = np.sqrt(slow_distances(X, X, WIDTHS))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)
    empty = np.isnan(X).all(axis=1)
    assert (found.diagonal()[~empty] == 0).all()
    assert np.isinf(found[empty]).all() and np.isinf(found[:, empty]).all()


def test_distances_by_hand():
    """Width 2 and width 1 have the same weight; missing cells are left out."""
    nan = np.nan
    X = np.array([[0, 0, 0], [nan, 4, 1], [nan, nan, 3]])
    found = partial_modality_distances(X, modalities=[2, 1], squared=True)
    np.testing.assert_allclose(found, [[0, 8.5, 9], [8.5, 0, 4], [9, 4, 0]])


def test_modality_without_common_cells_is_not_shared():
    """Both samples have the modality, but no cell of it in common."""
    X = np.array([[1.0, np.nan, 5.0], [np.nan, 2.0, 7.0], [np.nan, 2.0, np.nan]])
    found = partial_modality_distances(X, modalities=[2, 1], squared=True)
    assert found[0, 1] == pytest.approx(4)
    assert np.isinf(found[0, 2])
    assert found[1, 2] == pytest.approx(0, abs=1e-12)


def test_distances_of_complete_samples_are_euclidean():
    """Equal widths and nothing missing: Euclidean up to the factor sqrt(D)."""
    X, Y = np.random.RandomState(0).standard_normal((2, 20, 6))
    found = partial_modality_distances(X, Y, modalities=[2, 2, 2])
    np.testing.assert_allclose(found, euclidean_distances(X, Y) / np.sqrt(6))


def test_distances_of_single_columns_are_nan_euclidean():
    """Each column a modality: scikit-learn's distances up to the factor sqrt(D)."""
    X, Y = make_table(0, absent=0, holes=0.3), make_table(1, absent=0, holes=0.3)
    found = partial_modality_distances(X, Y)
    expected = nan_euclidean_distances(X, Y) / np.sqrt(X.shape[1])
    np.testing.assert_allclose(np.where(np.isinf(found), np.nan, found), expected)


def test_distances_do_not_see_the_origin():
    """A shift of a column, even a large one, changes nothing."""
    X, Y = make_table(0, holes=0.1), make_table(1, holes=0.1)
    shift = 1e6 * np.arange(8)
    np.testing.assert_allclose(
        partial_modality_distances(X + shift, Y + shift, modalities=WIDTHS),
        partial_modality_distances(X, Y, modalities=WIDTHS),
        rtol=1e-6,
    )


@pytest.mark.parametrize("offset", [0, 1e4])
def test_distances_of_float32_lose_no_more_than_their_rounding(offset):
    """Values around 10 000 would show cancellation in float32."""
    X = (make_table(0, holes=0.1) + offset).astype(np.float32)
    found = partial_modality_distances(X, modalities=WIDTHS)
    assert found.dtype == np.float32
    expected = np.sqrt(slow_distances(*[X.astype(np.float64)] * 2, WIDTHS))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    mixed = partial_modality_distances(X, X.astype(np.float64), modalities=WIDTHS)
    assert mixed.dtype == np.float64


@pytest.mark.parametrize("holes", [0, 0.3])
def test_distances_do_not_depend_on_chunks(holes):
    """A working memory too small for one row changes nothing."""
    X, Y = make_table(0, 40, holes=holes), make_table(1, 23, holes=holes / 2)
    whole = partial_modality_distances(X, Y, modalities=WIDTHS)
    with sklearn.config_context(working_memory=1e-3):
        chunked = partial_modality_distances(X, Y, modalities=WIDTHS)
    np.testing.assert_allclose(chunked, whole, rtol=1e-9)


def test_distances_accept_masked_arrays_and_lists():
    """A masked cell is missing, whatever value it holds."""
    X = make_table(0)
    expected = partial_modality_distances(X, modalities=WIDTHS)
    masked = np.ma.masked_array(np.where(np.isnan(X), 99, X), mask=np.isnan(X))
    found = partial_modality_distances(masked, modalities=WIDTHS)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        partial_modality_distances(X.tolist(), modalities=WIDTHS), expected
    )


def test_distances_accept_dataframes(df_module):
    """Prefixes name the modalities; the other table may be an array."""
    X = make_table(0)
    owner = np.repeat(["text", "age", "image"], WIDTHS)
    frame = df_module.DataFrame({f"{m}__{i}": X[:, i] for i, m in enumerate(owner)})
    expected = partial_modality_distances(X, modalities=WIDTHS)
    np.testing.assert_array_equal(partial_modality_distances(frame), expected)
    found = partial_modality_distances(X, frame)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_distances_take_the_layout_of_an_estimator():
    """`modalities_` of a fitted estimator is accepted as `modalities`."""
    X = make_table(0)
    layout = resolve_modalities(WIDTHS, X.shape[1])
    np.testing.assert_array_equal(
        partial_modality_distances(X, modalities=layout),
        partial_modality_distances(X, modalities=WIDTHS),
    )
    with pytest.raises(ValueError, match="holds 8 columns, but X has 7 features"):
        partial_modality_distances(X[:, :7], modalities=layout)


def test_distances_leave_their_input_alone():
    """Neither X nor Y is written to."""
    X, Y = make_table(0, holes=0.2), make_table(1)
    before = X.copy(), Y.copy()
    partial_modality_distances(X, Y, modalities=WIDTHS)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def test_distances_refuse_bad_input():
    """Each error names the parameter and what was given."""
    pd = pytest.importorskip("pandas")
    X = make_table(0)
    with pytest.raises(ValueError, match="X and Y must have the same columns; got 8"):
        partial_modality_distances(X, X[:, :5])
    with pytest.raises(ValueError, match="add up to 5, but X has 8"):
        partial_modality_distances(X, modalities=[2, 3])
    with pytest.raises(ValueError, match="Input Y contains infinity"):
        partial_modality_distances(X, np.full_like(X, np.inf))
    names = [f"c{i}" for i in range(8)]
    frame = pd.DataFrame(X, columns=names)
    with pytest.raises(ValueError, match="column 0 is 'c0' in X and 'c7' in Y"):
        partial_modality_distances(frame, frame[names[::-1]])
