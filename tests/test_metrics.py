"""Distances, imputation errors and scores against slow loops and hand counts."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.metrics.pairwise import euclidean_distances, nan_euclidean_distances

from skmissing._modalities import resolve_modalities
from skmissing.metrics import (
    block_nrmse,
    masked_cosine,
    masked_rmse,
    multilabel_f1,
    partial_modality_distances,
    sentiment_scores,
    slot_accuracy,
)

from .reference import partial_distance

WIDTHS = [3, 1, 4]


# Imputation errors


@pytest.fixture
def imputed():
    """A true table, an imputed one, and what was hidden: text, image and one cell."""
    rng = np.random.RandomState(0)
    true = rng.standard_normal((12, 8)) * np.arange(1, 9)
    mask = np.zeros(true.shape, dtype=bool)
    mask[:5, :3] = True
    mask[4:9, 4:] = True
    mask[0, 5] = True
    return true, np.where(mask, true + rng.standard_normal(true.shape), true), mask


def slow_block_error(true, found, mask, scale, columns):
    errors = [
        ((found[i, c] - true[i, c]) / scale[c]) ** 2
        for i in range(len(true))
        for c in columns
        if mask[i, c]
    ]
    return np.sqrt(np.mean(errors)) if errors else np.nan


def test_masked_rmse_counts_hidden_cells_only(imputed):
    true, found, mask = imputed
    expected = np.sqrt(((true - found)[mask] ** 2).sum() / mask.sum())
    assert masked_rmse(true, found, mask) == pytest.approx(expected)
    spoilt = np.where(mask, found, np.nan)
    assert masked_rmse(true, spoilt, mask) == pytest.approx(expected)
    assert masked_rmse(true, true, mask) == 0


@pytest.mark.parametrize("scale", [None, np.arange(1.0, 9.0)])
def test_block_nrmse_equals_slow_loop(imputed, scale):
    true, found, mask = imputed
    used = true.std(axis=0) if scale is None else scale
    blocks = {"modality0": range(3), "modality1": [3], "modality2": range(4, 8)}
    expected = {
        name: slow_block_error(true, found, mask, used, columns)
        for name, columns in blocks.items()
    }
    by_modality = block_nrmse(
        true, found, mask, modalities=WIDTHS, scale=scale, average=False
    )
    assert by_modality == pytest.approx(expected, nan_ok=True)
    assert np.isnan(by_modality["modality1"])
    pair = expected["modality0"], expected["modality2"]
    assert block_nrmse(
        true, found, mask, modalities=WIDTHS, scale=scale
    ) == pytest.approx(np.sqrt(np.mean(np.square(pair))))


def test_block_nrmse_of_the_mean_is_one():
    X = np.random.RandomState(0).standard_normal((50, 8)) * 10.0 ** np.arange(8) + 5
    means = np.tile(X.mean(axis=0), (50, 1))
    mask = np.ones(X.shape, dtype=bool)
    assert block_nrmse(X, means, mask, modalities=WIDTHS) == pytest.approx(1)


def test_block_nrmse_does_not_see_units(imputed):
    true, found, mask = imputed
    factor = 10.0 ** np.arange(-4, 4)
    assert block_nrmse(
        true * factor + 3, found * factor + 3, mask, modalities=WIDTHS
    ) == pytest.approx(block_nrmse(true, found, mask, modalities=WIDTHS))


def test_block_nrmse_leaves_constant_columns_in_their_units():
    true = np.full((4, 2), 0.1)
    found, mask = true + [[1.0, 3.0]], np.ones((4, 2), dtype=bool)
    assert block_nrmse(true, found, mask, modalities=[2]) == pytest.approx(np.sqrt(5))


def test_mask_may_be_the_incomplete_table(imputed):
    pd = pytest.importorskip("pandas")
    true, found, mask = imputed
    missing = np.where(mask, np.nan, true)
    for metric in (masked_rmse, block_nrmse, masked_cosine):
        expected = metric(true, found, mask)
        assert metric(true, found, missing) == expected
        assert metric(true, found, np.ma.masked_array(true, mask=mask)) == expected
        assert metric(true, found, pd.DataFrame(missing)) == expected


@pytest.mark.parametrize("metric", [masked_rmse, block_nrmse, masked_cosine])
def test_mask_may_be_any_frame_of_the_same_columns(imputed, metric):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    true, found, mask = imputed
    expected = metric(true, found, mask)
    names = [f"x{i}" for i in range(8)]
    X_true, booleans = (pd.DataFrame(t, columns=names) for t in (true, mask))
    table = X_true.mask(booleans)
    whole = (X_true * 0).astype("Int64").mask(booleans)
    gaps = [[None if hide else x for x, hide in zip(*r)] for r in zip(true, mask)]
    for given in (
        booleans,
        booleans.astype("boolean"),
        table,
        table.astype("Float64"),
        whole,
        pl.DataFrame(mask, schema=names),
        pl.DataFrame(gaps, schema=names, orient="row"),
    ):
        for truth in (true, X_true):
            assert metric(truth, found, given) == pytest.approx(expected)
    for given in (booleans, table, pl.DataFrame(mask, schema=names)):
        turned = given[names[::-1]]
        with pytest.raises(
            ValueError, match="column 0 is 'x0' in X_true and 'x7' in m"
        ):
            metric(X_true, found, turned)
        with pytest.raises(ValueError, match="column 0 is 'x0' in X_imputed and 'x7' "):
            metric(true, pd.DataFrame(found, columns=names), turned)


def test_frames_that_are_no_mask_are_refused(imputed):
    pd = pytest.importorskip("pandas")
    true, found, mask = imputed
    booleans = pd.DataFrame(mask)
    for given, dtype in (
        (booleans.astype(int), "int64"),
        (booleans.astype("Int64"), "int64"),
        (booleans.astype(object), "object"),
        (mask.astype(object), "object"),
    ):
        with pytest.raises(ValueError, match=f"must have booleans, .* dtype {dtype}"):
            masked_rmse(true, found, given)
    missing = booleans.astype("boolean")
    missing.iloc[:3, 0] = pd.NA
    with pytest.raises(ValueError, match="got booleans of which 3 are missing"):
        masked_rmse(true, found, missing)
    with pytest.raises(ValueError, match=r"shape of X_true, \(12, 8\); got \(11, 8\)"):
        masked_rmse(true, found, booleans[1:])


def test_cells_that_were_never_known_are_not_scored(imputed):
    true, found, mask = imputed
    missing = np.where(mask, np.nan, true)
    gaps, known = true.copy(), mask.copy()
    gaps[2] = missing[2] = np.nan
    known[2] = False
    assert masked_rmse(gaps, found, missing) == masked_rmse(true, found, known)
    with pytest.raises(ValueError, match="X_true is NaN in 3 of the 36 cells"):
        masked_rmse(gaps, found, mask)


def test_masked_cosine_by_hand(imputed):
    true, found, mask = imputed
    rows = {0: slice(0, 3), 1: slice(4, 8)}
    means = []
    for columns in rows.values():
        cosines = []
        for i in range(len(true)):
            cells = np.flatnonzero(mask[i, columns]) + columns.start
            if len(cells):
                x, y = true[i, cells], found[i, cells]
                cosines.append(x @ y / np.sqrt((x @ x) * (y @ y)))
        means.append(np.mean(cosines))
    found_cosine = masked_cosine(true, found, mask, modalities=WIDTHS)
    assert found_cosine == pytest.approx(np.mean(means))
    by_modality = masked_cosine(true, found, mask, modalities=WIDTHS, average=False)
    assert by_modality["modality0"] == pytest.approx(means[0])
    assert np.isnan(by_modality["modality1"])


def test_masked_cosine_sees_directions_only(imputed):
    """1 for any positive multiple, -1 for a negative one, 0 for a zero vector."""
    true, _, mask = imputed
    for factor, expected in ((3, 1), (-2, -1), (0, 0)):
        found = masked_cosine(true, factor * true, mask, modalities=WIDTHS)
        assert found == pytest.approx(expected)
    center = true.mean(axis=0)
    assert masked_cosine(true, np.tile(center, (12, 1)), mask, center=center) == 0
    shifted = masked_cosine(true + 5, 2 * true + 5, mask, center=np.full(8, 5.0))
    assert shifted == pytest.approx(1)


@pytest.mark.parametrize("metric", [masked_rmse, block_nrmse, masked_cosine])
def test_imputation_errors_refuse_bad_input(imputed, metric):
    true, found, mask = imputed
    with pytest.raises(ValueError, match=r"shape of X_true, \(12, 8\); got \(12, 7\)"):
        metric(true, found, mask[:, 1:])
    with pytest.raises(ValueError, match="must have booleans, .* got dtype int64"):
        metric(true, found, mask.astype(np.int64))
    with pytest.raises(ValueError, match="must hide a cell whose true value is known"):
        metric(true, found, np.zeros_like(mask))
    with pytest.raises(ValueError, match="must hide a cell whose true value is known"):
        metric(true, found, true)
    with pytest.raises(ValueError, match="must have the same samples; got 12 and 11"):
        metric(true, found[1:], mask)
    with pytest.raises(ValueError, match="the same columns; got 8 and 7"):
        metric(true, found[:, 1:], mask)
    with pytest.raises(ValueError, match="X_imputed is NaN in 36 of the 36 cells"):
        metric(true, np.where(mask, np.nan, true), mask)


def test_scale_and_center_are_checked(imputed):
    true, found, mask = imputed
    with pytest.raises(ValueError, match=r"scale must have one number per column"):
        block_nrmse(true, found, mask, scale=[1.0, 2.0])
    with pytest.raises(ValueError, match="must be positive; got 0.0 for column 2"):
        block_nrmse(true, found, mask, scale=[1, 1, 0, 1, 1, 1, 1, 1])
    with pytest.raises(ValueError, match="Input scale contains NaN"):
        block_nrmse(true, found, mask, scale=np.full(8, np.nan))
    with pytest.raises(ValueError, match=r"center must have one number per column"):
        masked_cosine(true, found, mask, center=np.zeros((1, 8)))


# Scores


@pytest.fixture
def labels():
    """Rare labels, as of film genres, and predictions that get some of them."""
    rng = np.random.RandomState(0)
    y_true = (rng.uniform(size=(200, 27)) < 2.5 / 27).astype(int)
    y_pred = y_true & (rng.uniform(size=y_true.shape) < 0.5)
    return y_true, y_pred | (rng.uniform(size=y_true.shape) < 0.03)


def test_slot_accuracy_is_what_papers_call_f1_micro(labels):
    y_true, y_pred = labels
    flat = y_true.ravel(), y_pred.ravel()
    score = slot_accuracy(y_true, y_pred)
    assert score == pytest.approx(f1_score(*flat, average="micro"))
    assert score == pytest.approx(accuracy_score(*flat))
    assert slot_accuracy(y_true, np.zeros_like(y_true)) > 0.9
    assert multilabel_f1(y_true, np.zeros_like(y_true)) == 0


@pytest.mark.parametrize("average", ["micro", "macro", "samples", "weighted", None])
def test_multilabel_f1_is_that_of_the_indicator(labels, average):
    y_true, y_pred = labels
    expected = f1_score(y_true, y_pred, average=average, zero_division=0)
    found = multilabel_f1(y_true.astype(bool), y_pred.astype(float), average=average)
    assert_allclose(found, expected)


def test_multilabel_f1_makes_a_scorer(labels):
    from sklearn.dummy import DummyClassifier

    y_true, _ = labels
    dummy = DummyClassifier(strategy="most_frequent").fit(y_true, y_true)
    scorer = make_scorer(multilabel_f1, average="macro")
    assert scorer(dummy, y_true, y_true) == 0


@pytest.mark.parametrize("score", [slot_accuracy, multilabel_f1])
def test_indicators_are_checked(labels, score):
    y_true, y_pred = labels
    with pytest.raises(
        ValueError, match=r"y_true must be a 2-D .* got shape \(5400,\)"
    ):
        score(y_true.ravel(), y_pred.ravel())
    with pytest.raises(ValueError, match=r"y_true must be a 2-D .* shape \(5400, 1\)"):
        score(y_true.reshape(-1, 1), y_pred.reshape(-1, 1))
    with pytest.raises(ValueError, match="y_pred must be 0 or 1; got .*0.5"):
        score(y_true, y_pred / 2)
    with pytest.raises(
        ValueError, match=r"same shape; got \(200, 27\) and \(199, 27\)"
    ):
        score(y_true, y_pred[1:])


def test_multilabel_f1_refuses_another_average(labels):
    with pytest.raises(ValueError, match="'average' parameter of multilabel_f1"):
        multilabel_f1(*labels, average="binary")


def test_sentiment_scores_by_hand():
    y_true = np.array([-3.0, -0.4, 0.0, 0.0, 1.0, 2.6])
    y_pred = np.array([-3.6, 0.2, 0.0, -0.2, 1.4, 2.0])
    found = sentiment_scores(y_true, y_pred)
    # Zeros positive: truth -,-,+,+,+,+ and prediction -,+,+,-,+,+.
    assert found["accuracy_zeros_positive"] == pytest.approx(4 / 6)
    assert found["f1_zeros_positive"] == pytest.approx(6 / 8)
    weighted = (2 * (2 / 4) + 4 * (6 / 8)) / 6
    assert found["f1_weighted_zeros_positive"] == pytest.approx(weighted)
    # Without zeros: truth -,-,+,+ and prediction -,+,+,+.
    assert found["accuracy_without_zeros"] == pytest.approx(3 / 4)
    assert found["f1_without_zeros"] == pytest.approx(4 / 5)
    weighted = (2 * (2 / 3) + 2 * (4 / 5)) / 4
    assert found["f1_weighted_without_zeros"] == pytest.approx(weighted)
    # Classes -3,0,0,0,1,3 and -3,0,0,0,1,2.
    assert found["accuracy_seven_classes"] == pytest.approx(5 / 6)
    assert found["mae"] == pytest.approx((0.6 + 0.6 + 0 + 0.2 + 0.4 + 0.6) / 6)
    assert found["pearson"] == pytest.approx(np.corrcoef(y_true, y_pred)[0, 1])
    assert set(map(type, found.values())) == {float}


def test_sentiment_scores_of_the_truth_are_perfect(seed):
    y = np.random.RandomState(seed).uniform(-3, 3, size=50)
    found = sentiment_scores(y, y)
    assert found.pop("mae") == 0
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_sentiment_scores_warn_of_what_is_not_defined():
    with pytest.warns(UndefinedMetricWarning, match="pearson .* y_pred is constant"):
        found = sentiment_scores([-1.0, 2.0, 0.3], [0.1, 0.1, 0.1])
    assert np.isnan(found["pearson"]) and found["accuracy_without_zeros"] == 2 / 3
    with pytest.warns(UndefinedMetricWarning) as record:
        found = sentiment_scores([0.0, 0.0], [0.1, -0.1])
    assert "every sample has sentiment 0" in str(record[0].message)
    assert np.isnan(found["accuracy_without_zeros"])
    assert found["accuracy_zeros_positive"] == 0.5


def test_sentiment_scores_refuse_bad_input():
    with pytest.raises(ValueError, match="between -3 and 3; got 4.5, and 1 such"):
        sentiment_scores([1.0, 4.5], [0.0, 0.0])
    with pytest.raises(ValueError, match="Input y_pred contains NaN"):
        sentiment_scores([1.0, 2.0], [0.0, np.nan])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        sentiment_scores([1.0, 2.0], [0.0])


# Distances


def make_table(seed, n_rows=30, *, holes=0.0, absent=0.4, widths=WIDTHS):
    """Samples with missing modalities, and partially observed ones."""
    rng = np.random.RandomState(seed)
    X = 10 * rng.standard_normal((n_rows, sum(widths))) + 3
    X[rng.uniform(size=X.shape) < holes] = np.nan
    gone = rng.uniform(size=(n_rows, len(widths))) < absent
    X[np.repeat(gone, widths, axis=1)] = np.nan
    return X


def slow_distances(X, Y, modalities):
    layout = resolve_modalities(modalities, X.shape[1])
    return np.array([[partial_distance(x, y, layout) for y in Y] for x in X])


@pytest.mark.parametrize("holes", [(0, 0), (0.3, 0), (0, 0.3), (0.5, 0.5)])
@pytest.mark.parametrize(
    "modalities",
    [WIDTHS, None, {"b": [7, 0, 3], "a": slice(1, 3), "c": [6, 4, 5]}],
    ids=["widths", "columns", "scattered"],
)
def test_distances_equal_slow_loop(seed, holes, modalities):
    X, Y = (
        make_table(seed, 25, holes=holes[0]),
        make_table(seed + 1, 35, holes=holes[1]),
    )
    expected = slow_distances(X, Y, modalities)
    found = partial_modality_distances(X, Y, modalities=modalities, squared=True)
    assert np.isinf(expected).any() or modalities is None
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    root = partial_modality_distances(X, Y, modalities=modalities)
    assert_allclose(root, np.sqrt(expected), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("holes", [0, 0.4])
def test_distances_within_one_table(seed, holes):
    """Y=None compares X with itself: symmetric, and exactly 0 on the diagonal."""
    X = make_table(seed, holes=holes)
    X[3] = np.nan
    found = partial_modality_distances(X, modalities=WIDTHS)
    expected = np.sqrt(slow_distances(X, X, WIDTHS))
    assert_allclose(found, expected, rtol=1e-9, atol=1e-6)
    empty = np.isnan(X).all(axis=1)
    assert (found.diagonal()[~empty] == 0).all()
    assert np.isinf(found[empty]).all() and np.isinf(found[:, empty]).all()


def test_distances_by_hand():
    """Width 2 and width 1 have the same weight; missing cells are left out."""
    nan = np.nan
    X = np.array([[0, 0, 0], [nan, 4, 1], [nan, nan, 3]])
    found = partial_modality_distances(X, modalities=[2, 1], squared=True)
    assert_allclose(found, [[0, 8.5, 9], [8.5, 0, 4], [9, 4, 0]])


def test_modality_without_common_cells_is_not_shared():
    X = np.array([[1.0, np.nan, 5.0], [np.nan, 2.0, 7.0], [np.nan, 2.0, np.nan]])
    found = partial_modality_distances(X, modalities=[2, 1], squared=True)
    assert found[0, 1] == pytest.approx(4)
    assert np.isinf(found[0, 2])
    assert found[1, 2] == pytest.approx(0, abs=1e-12)


def test_distances_of_complete_samples_are_euclidean():
    """Equal widths and nothing missing: Euclidean up to the factor sqrt(D)."""
    X, Y = np.random.RandomState(0).standard_normal((2, 20, 6))
    found = partial_modality_distances(X, Y, modalities=[2, 2, 2])
    assert_allclose(found, euclidean_distances(X, Y) / np.sqrt(6))


def test_distances_of_single_columns_are_nan_euclidean():
    """Each column a modality: scikit-learn's distances up to the factor sqrt(D)."""
    X, Y = make_table(0, absent=0, holes=0.3), make_table(1, absent=0, holes=0.3)
    found = partial_modality_distances(X, Y)
    expected = nan_euclidean_distances(X, Y) / np.sqrt(X.shape[1])
    assert_allclose(np.where(np.isinf(found), np.nan, found), expected)


def test_distances_do_not_see_the_origin():
    X, Y = make_table(0, holes=0.1), make_table(1, holes=0.1)
    shift = 1e6 * np.arange(8)
    assert_allclose(
        partial_modality_distances(X + shift, Y + shift, modalities=WIDTHS),
        partial_modality_distances(X, Y, modalities=WIDTHS),
        rtol=1e-6,
    )


@pytest.mark.parametrize("offset", [0, 1e4])
def test_distances_of_float32_lose_no_more_than_their_rounding(offset):
    X = (make_table(0, holes=0.1) + offset).astype(np.float32)
    found = partial_modality_distances(X, modalities=WIDTHS)
    assert found.dtype == np.float32
    expected = np.sqrt(slow_distances(*[X.astype(np.float64)] * 2, WIDTHS))
    assert_allclose(found, expected, rtol=1e-6)
    mixed = partial_modality_distances(X, X.astype(np.float64), modalities=WIDTHS)
    assert mixed.dtype == np.float64


@pytest.mark.parametrize("holes", [0, 0.3])
def test_distances_do_not_depend_on_chunks(holes):
    X, Y = make_table(0, 40, holes=holes), make_table(1, 23, holes=holes / 2)
    whole = partial_modality_distances(X, Y, modalities=WIDTHS)
    with sklearn.config_context(working_memory=1e-3):
        chunked = partial_modality_distances(X, Y, modalities=WIDTHS)
    assert_allclose(chunked, whole, rtol=1e-9)


def test_distances_accept_masked_arrays_and_lists():
    X = make_table(0)
    expected = partial_modality_distances(X, modalities=WIDTHS)
    masked = np.ma.masked_array(np.where(np.isnan(X), 99, X), mask=np.isnan(X))
    found = partial_modality_distances(masked, modalities=WIDTHS)
    assert_array_equal(found, expected)
    assert_array_equal(
        partial_modality_distances(X.tolist(), modalities=WIDTHS), expected
    )


def test_distances_accept_dataframes(df_module):
    X = make_table(0)
    owner = np.repeat(["text", "age", "image"], WIDTHS)
    frame = df_module.DataFrame({f"{m}__{i}": X[:, i] for i, m in enumerate(owner)})
    expected = partial_modality_distances(X, modalities=WIDTHS)
    assert_array_equal(partial_modality_distances(frame), expected)
    found = partial_modality_distances(X, frame)
    assert_allclose(found, expected, atol=1e-6)


def test_distances_take_the_layout_of_an_estimator():
    X = make_table(0)
    layout = resolve_modalities(WIDTHS, X.shape[1])
    assert_array_equal(
        partial_modality_distances(X, modalities=layout),
        partial_modality_distances(X, modalities=WIDTHS),
    )
    with pytest.raises(ValueError, match="holds 8 columns, but X has 7 features"):
        partial_modality_distances(X[:, :7], modalities=layout)


def test_distances_leave_their_input_alone():
    X, Y = make_table(0, holes=0.2), make_table(1)
    before = X.copy(), Y.copy()
    partial_modality_distances(X, Y, modalities=WIDTHS)
    assert_array_equal(X, before[0])
    assert_array_equal(Y, before[1])


def test_distances_refuse_bad_input():
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
