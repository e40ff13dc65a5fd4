"""What the ensembles share: weights, holes, folds, unseen classes."""

import zlib

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skmissing._blocks import find_presence
from skmissing._modalities import resolve_modalities
from skmissing.ensemble._experts import (
    _checksums,
    accepts_nan,
    class_frequencies,
    column_means,
    deal_folds,
    default_classifier,
    predict_all_classes,
    weight_names,
)

BOOSTING = HistGradientBoostingClassifier()


@pytest.mark.parametrize(
    "estimator, expected",
    [
        (LogisticRegression(), False),
        (BOOSTING, True),
        (make_pipeline(StandardScaler(), BOOSTING), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (make_pipeline(StandardScaler(), SimpleImputer(), PCA(), LinearSVC()), True),
        (make_pipeline(PCA(), SimpleImputer(), LinearSVC()), False),
        (make_pipeline("passthrough", BOOSTING), True),
        (make_pipeline(None, make_pipeline(SimpleImputer(), LinearSVC())), True),
    ],
)
def test_accepts_nan(estimator, expected):
    """Pipelines accept NaN as far as an imputer, or to the end, if each step does."""
    assert accepts_nan(estimator) is expected


@pytest.mark.parametrize(
    "estimator, expected",
    [
        (LogisticRegression(), ["sample_weight"]),
        (GridSearchCV(LogisticRegression(), {}), ["sample_weight"]),
        (KNeighborsClassifier(), []),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), []),
        (make_pipeline(PCA(), LinearSVC()), ["linearsvc__sample_weight"]),
        (
            make_pipeline("passthrough", default_classifier()),
            [
                "pipeline__standardscaler__sample_weight",
                "pipeline__logisticregression__sample_weight",
            ],
        ),
        (make_pipeline("passthrough"), []),
    ],
)
def test_weight_names(estimator, expected):
    """Weights go to every step of a pipeline that takes them, if the last one does."""
    assert weight_names(estimator) == expected


def test_column_means_of_observed_cells():
    """Weighted, over observed cells; empty columns of present modalities count."""
    nan = np.nan
    X = np.array([[1.0, nan, nan], [3.0, nan, nan], [nan, nan, nan]])
    layout = resolve_modalities([2, 1], 3)
    presence, _ = find_presence(X, layout)
    means, n_empty = column_means(X, presence, layout, np.array([1.0, 3.0, 5.0]))
    np.testing.assert_allclose(means, [2.5, 0, 0])
    assert n_empty == 1


def test_folds_follow_rows_not_their_order(seed):
    """Permuted rows keep their folds, and equal rows of a class share one."""
    rng = np.random.RandomState(seed)
    X, codes = rng.standard_normal((50, 3)), np.arange(50) % 2
    X, codes = np.vstack([X, X]), np.tile(codes, 2)
    X[0, 0] = X[50, 0] = np.nan
    order = rng.permutation(100)
    folds = deal_folds(X, codes, 5)
    permuted = deal_folds(X[order], codes[order], 5)
    assert len(folds) == 5
    for (inside, outside), (_, same) in zip(folds, permuted):
        np.testing.assert_array_equal(inside, ~outside)
        np.testing.assert_array_equal(outside[order], same)
        np.testing.assert_array_equal(outside[:50], outside[50:])


def test_folds_spread_classes_evenly(seed):
    """Every fold has its share of each class, up to one row."""
    rng = np.random.RandomState(seed)
    X, codes = rng.standard_normal((70, 2)), np.repeat([0, 1, 2], [10, 20, 40])
    for _, outside in deal_folds(X, codes, 5):
        np.testing.assert_array_equal(np.bincount(codes[outside]), [2, 4, 8])


def test_folds_of_negative_zero():
    """-0.0 equals 0.0, also for folds."""
    X = np.array([[0.0], [-0.0], [1.0], [2.0]])
    for _, outside in deal_folds(X, np.zeros(4, dtype=np.intp), 3):
        assert outside[0] == outside[1]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_folds_follow_values_not_bytes(seed, chunk, monkeypatch):
    """Width of numbers, kind of NaN, order of storage and chunks are nothing."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((50, 3)).astype(np.float32)
    X[rng.uniform(size=X.shape) < 0.3] = np.nan
    odd = np.where(np.isnan(X), -np.float64(np.nan), X)
    odd[:5] = np.frombuffer(b"\x01\x00\x00\x00\x00\x00\xf8\x7f", np.float64)
    X[:5] = np.nan
    codes = np.arange(50) % 2
    expected = [
        zlib.crc32(row.tobytes())
        for row in np.where(np.isnan(X), np.nan, X).astype("d")
    ]
    monkeypatch.setattr("skmissing.ensemble._experts.CHUNK_CELLS", chunk)
    np.testing.assert_array_equal(_checksums(X), expected)
    for other in (X.astype(np.float64), odd, np.asfortranarray(X)):
        for (_, first), (_, second) in zip(
            deal_folds(X, codes, 5), deal_folds(other, codes, 5), strict=True
        ):
            np.testing.assert_array_equal(first, second)


def test_class_frequencies_by_hand():
    """Plain weighted frequencies; a class without rows gets a small share."""
    codes, weight = np.array([0, 0, 2]), np.array([1.0, 2.0, 3.0])
    # Three classes and a weight of six: the unseen class gets 1/9.
    found = class_frequencies(codes, 3, weight)
    np.testing.assert_allclose(found, [4 / 9, 1 / 9, 4 / 9])
    found = class_frequencies(np.array([0, 1, 1, 1]), 2, np.ones(4))
    np.testing.assert_allclose(found, [0.25, 0.75])


def test_predict_all_classes_leaves_no_evidence_on_unseen_ones(seed):
    """Unseen classes have their frequency; the others share the rest as predicted."""
    rng = np.random.RandomState(seed)
    X, y = rng.standard_normal((30, 2)), np.array(["a", "c"])[np.arange(30) % 2]
    model = LogisticRegression().fit(X, y)
    classes = np.array(["a", "b", "c", "d"])
    frequencies = class_frequencies(np.searchsorted(classes, y), 4, np.ones(30))
    found = predict_all_classes(model, X, classes, frequencies)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[:, [1, 3]], 1 / 34)
    expected = model.predict_proba(X) * (1 - 2 / 34)
    np.testing.assert_allclose(found[:, [0, 2]], expected)
