"""Embedded views, artificial makers, and what comes from OpenML."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.utils import Bunch

from skmissing.datasets import _openml as openml
from skmissing.datasets import (
    fetch_mfeat,
    load_breast_cancer_views,
    load_digits_views,
    make_multimodal_classification,
    make_multimodal_regression,
)
from skmissing.datasets._views import digit_views

LOADERS = [load_digits_views, load_breast_cancer_views]


def column_names(bunch):
    return [name.split("__")[0] for name in bunch.feature_names]


@pytest.mark.parametrize("load", LOADERS)
def test_embedded_data_have_the_form_of_scikit_learns_loaders(load):
    pytest.importorskip("pandas")
    bunch, framed = load(), load(as_frame=True)
    X, y = load(return_X_y=True)
    X_frame, y_series = load(return_X_y=True, as_frame=True)
    assert type(X) is np.ndarray and bunch.frame is None
    assert_array_equal(bunch.data, X)
    assert_array_equal(X_frame.to_numpy(), X)
    assert_array_equal(y_series.to_numpy(), y)
    assert list(X_frame.columns) == bunch.feature_names
    assert list(framed.frame.columns) == [*bunch.feature_names, "target"]
    assert len(set(bunch.feature_names)) == X.shape[1]
    widths = [column_names(bunch).count(name) for name in bunch.modalities]
    assert widths == list(bunch.modalities.values())
    assert bunch.DESCR.strip() and len(bunch.target_names) == len(np.unique(y))


def test_pixels_and_profiles_are_the_image():
    digits, X = load_digits(), load_digits_views().data
    assert_array_equal(X[:, :64], digits.data)
    assert_array_equal(X[:, 130:138], digits.images.sum(axis=2))
    assert_array_equal(X[:, 138:], digits.images.sum(axis=1))


def test_fourier_magnitudes_against_the_sum():
    images = load_digits().images[:3]
    blocks, features = digit_views(images)
    rows, columns = np.mgrid[:8, :8]
    kept = [tuple(map(int, name.split("_"))) for name in features["fourier"]]
    for column, (k, m) in zip(blocks["fourier"].T, kept):
        wave = np.exp(-2j * np.pi * (k * rows + m * columns) / 8)
        assert_allclose(column, np.abs((images * wave).sum(axis=(1, 2))), atol=1e-9)
    twins = {tuple(sorted([w, ((-w[0]) % 8, (-w[1]) % 8)])) for w in kept}
    assert len(twins) == len(kept) == 34


def test_fourier_magnitudes_ignore_shifts():
    images = load_digits().images[:5]
    shifted = np.roll(images, (3, 2), axis=(1, 2))
    assert_allclose(
        digit_views(shifted)[0]["fourier"], digit_views(images)[0]["fourier"], atol=1e-9
    )


def test_gradient_histograms_by_hand():
    """A ramp to the right of slope 2 fills the bin of 0 degrees with 2 * 16 pixels."""
    right = np.tile(2.0 * np.arange(8), (8, 1))
    expected = np.zeros((4, 8))
    expected[:, 0] = 32
    images = np.stack([right, right.T, right[:, ::-1], right + right.T])
    found = digit_views(images)[0]["gradients"].reshape(4, 4, 8)
    assert_allclose(found[0], expected)
    assert_allclose(found[1], np.roll(expected, 2, axis=1))
    assert_allclose(found[2], np.roll(expected, 4, axis=1))
    assert_allclose(found[3], np.roll(expected, 1, axis=1) * np.sqrt(2))


def test_gradient_histograms_hold_the_whole_gradient():
    """Summed over bins and quarters they are the sum of the gradient's length."""
    images = load_digits().images[:50]
    length = np.hypot(*np.gradient(images, axis=(1, 2))).sum(axis=(1, 2))
    assert_allclose(digit_views(images)[0]["gradients"].sum(axis=1), length)


def test_breast_cancer_columns():
    """Each view has the ten properties, in the order of scikit-learn's columns."""
    bunch, source = load_breast_cancer_views(), load_breast_cancer()
    assert bunch.modalities == {"mean": 10, "error": 10, "worst": 10}
    assert_array_equal(bunch.data, source.data)
    assert bunch.feature_names[7] == "mean__concave_points"
    assert bunch.feature_names[19] == "error__fractal_dimension"


def share_explained(data, names):
    """R2 of a linear model of the scores from some modalities."""
    columns = np.isin(column_names(data), names)
    X, scores = data.data[:, columns], data.scores
    return LinearRegression().fit(X, scores).score(X, scores)


@pytest.mark.parametrize("redundancy", [0.0, 0.3, 1.0])
def test_redundancy_is_the_share_that_every_modality_has(redundancy, seed):
    data = make_multimodal_regression(
        4000,
        widths={"a": 8, "b": 9, "c": 12, "d": 30},
        redundancy=redundancy,
        noise=0,
        return_X_y=False,
        random_state=seed,
    )
    assert_allclose(data.scores.var(), 1, atol=0.12)
    for names in (["a"], ["d"], ["b", "c"], ["a", "b", "c", "d"]):
        expected = redundancy + (1 - redundancy) * len(names) / 4
        assert_allclose(share_explained(data, names), expected, atol=0.05)


def test_scores_of_classes_obey_the_same_law(seed):
    data = make_multimodal_classification(
        4000, n_classes=4, noise=0, return_X_y=False, random_state=seed
    )
    assert_allclose(share_explained(data, ["modality1"]), 0.5 + 0.5 / 3, atol=0.05)
    assert_allclose(share_explained(data, list(data.modalities)), 1, atol=1e-9)
    assert_array_equal(data.target, data.scores.argmax(axis=1))
    # The corners of a simplex sum to 0, and lie 1 from it and equally far apart.
    assert_allclose(data.scores.sum(axis=1), 0, atol=1e-9)
    correlation = np.corrcoef(data.scores.T)
    assert_allclose(correlation[~np.eye(4, dtype=bool)], -1 / 3, atol=0.08)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_classes_are_balanced(n_classes):
    _, y = make_multimodal_classification(5000, n_classes=n_classes, random_state=0)
    counts = np.bincount(y)
    assert len(counts) == n_classes
    assert np.all(np.abs(counts - 5000 / n_classes) < 5 * np.sqrt(5000 / n_classes))


def test_noise_and_flips():
    """Signal columns have variance 1, noise adds its own; flips change labels."""
    X, y = make_multimodal_classification(4000, noise=0, random_state=0)
    assert_allclose(X.var(axis=0), 1, atol=0.15)
    noisy, _ = make_multimodal_classification(4000, noise=2.0, random_state=0)
    assert_allclose(noisy.var(axis=0), 5, atol=0.6)
    _, flipped = make_multimodal_classification(
        4000, noise=0, flip_y=0.4, random_state=0
    )
    assert abs((flipped != y).mean() - 0.2) < 0.04


def test_target_noise_and_several_targets():
    clean = make_multimodal_regression(3000, n_targets=2, random_state=0)[1]
    noisy = make_multimodal_regression(
        3000, n_targets=2, target_noise=1.5, random_state=0
    )[1]
    assert clean.shape == noisy.shape == (3000, 2)
    assert_allclose((noisy - clean).var(axis=0), 2.25, atol=0.25)


@pytest.mark.parametrize(
    "make", [make_multimodal_classification, make_multimodal_regression]
)
def test_makers_repeat_themselves_and_hide(make):
    X, y = make(50, random_state=3)
    again, y_again = make(50, random_state=3)
    assert_array_equal(X, again)
    assert_array_equal(y, y_again)
    data = make(50, missing=0.5, return_X_y=False, random_state=3)
    hidden = np.isnan(data.data)
    assert_array_equal(data.data_complete, X)
    assert_array_equal(data.target, y)
    assert_array_equal(data.data[~hidden], X[~hidden])
    assert 0.2 < hidden.mean() < 0.7 and not hidden.all(axis=1).any()
    for block in np.split(hidden, 3, axis=1):
        assert_array_equal(block.all(axis=1), block.any(axis=1))


def test_makers_give_frames():
    pytest.importorskip("pandas")
    X, y = make_multimodal_regression(
        20, widths={"text": 9, "audio": 8}, n_targets=2, as_frame=True, random_state=0
    )
    assert list(X.columns[[0, 9]]) == ["text__0", "audio__0"]
    assert list(y.columns) == ["target_0", "target_1"]
    _, labels = make_multimodal_classification(20, as_frame=True, random_state=0)
    assert labels.name == "target"


BAD_MAKERS = [
    ({"n_classes": 6}, r"n_shared=4 must be at least n_classes - 1 = 5 with redund"),
    (
        {"n_classes": 6, "n_private": 4, "n_shared": 5},
        r"n_private=4 must be at least n_classes - 1 = 5 with redundancy=0.5",
    ),
    ({"widths": (20, 7)}, r"'modality1' must have at least .* = 8 columns .* got 7"),
    ({"widths": {"a": 3}}, r"'a' must have at least .* = 8 columns"),
    ({"redundancy": 1.5}, r"The 'redundancy' parameter of make_multimodal_class"),
    ({"missing": {"x": 0.5}}, r"missing: unknown modality 'x'"),
]


@pytest.mark.parametrize("params, message", BAD_MAKERS)
def test_makers_refuse(params, message):
    with pytest.raises(ValueError, match=message):
        make_multimodal_classification(10, **params)


@pytest.mark.parametrize("names", [("left__eye", "left__ear"), ("left_", "right")])
def test_names_that_frames_cannot_tell_are_refused(names):
    pytest.importorskip("pandas")
    widths = dict.fromkeys(names, 9)
    with pytest.raises(
        ValueError, match=f"contain '__' or end in '_'; got '{names[0]}'"
    ):
        make_multimodal_classification(20, widths=widths, as_frame=True)
    X, _ = make_multimodal_classification(20, widths=widths)
    assert X.shape == (20, 18)


def test_regression_maker_refuses_no_signal():
    with pytest.raises(ValueError, match="n_shared=0 must be at least 1 with redund"):
        make_multimodal_regression(10, n_shared=0)
    X, _ = make_multimodal_regression(10, n_shared=0, redundancy=0.0, random_state=0)
    assert X.shape == (10, 60)
    with pytest.raises(ValueError, match="n_private=0 must be at least 1"):
        make_multimodal_regression(10, n_private=0)


@pytest.fixture
def fake_openml(monkeypatch):
    """fetch_openml without a network: six small frames in OpenML's form."""
    pandas = pytest.importorskip("pandas")
    calls = []
    target = pandas.Series(pandas.Categorical([str(1 + i // 2) for i in range(20)]))
    parts = {}
    for view, (data_id, width) in openml._MFEAT.items():
        values = np.random.RandomState(data_id).randint(7, size=(20, width))
        data = pandas.DataFrame(values, columns=[f"att{i + 1}" for i in range(width)])
        if view == "pix":  # categories, as OpenML has them
            data = data.astype(str).astype("category")
        parts[data_id] = (data, target)

    def fetch(*, data_id, data_home, cache, as_frame):
        calls.append((data_id, data_home, cache, as_frame))
        data, labels = parts[data_id]
        return Bunch(data=data, target=labels)

    monkeypatch.setattr(openml, "fetch_openml", fetch)
    return parts, calls


def test_fetch_mfeat_joins_six_sets(fake_openml):
    """Views keep their widths and order, categories become numbers, classes digits."""
    parts, calls = fake_openml
    mfeat = fetch_mfeat(data_home="somewhere", cache=False)
    assert [call[1:] for call in calls] == [("somewhere", False, True)] * 6
    assert mfeat.modalities == {
        "fou": 76, "fac": 216, "kar": 64, "pix": 240, "zer": 47, "mor": 6
    }  # fmt: skip
    assert mfeat.data.shape == (20, 649) and mfeat.data.dtype == np.float64
    assert_array_equal(mfeat.target, np.arange(20) // 2)
    pixels = parts[20][0].astype(str).astype(float).to_numpy()
    assert_array_equal(mfeat.data[:, 356:596], pixels)
    assert mfeat.feature_names[76] == "fac__0"


def test_fetch_mfeat_checks_what_came(fake_openml):
    """Other widths, other classes and words in the place of numbers are refused."""
    parts, _ = fake_openml
    data, target = parts[22]
    parts[22] = (data, target[::-1].reset_index(drop=True))
    with pytest.raises(
        ValueError, match=r"set 22 \(view 'zer'\) must have the same classes"
    ):
        fetch_mfeat()
    parts[22] = (data.iloc[:, 1:], target)
    with pytest.raises(ValueError, match=r"set 22 .* must have 47 columns; got 46"):
        fetch_mfeat()
    parts[22] = (data.astype(object).mask(data == 3, "x"), target)
    with pytest.raises(
        ValueError, match=r"set 22 .* column 'att\d+' must have numbers"
    ):
        fetch_mfeat()


def test_missing_pandas_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "skmissing\[datasets\]"'):
        load_digits_views(as_frame=True)
