"""What goes wrong in use, and what happens then: the rows of the guide's fault table.

A test that stands for a row has the row's name; see `fault` below.
"""

import pickle
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import LateFusionClassifier, PatternClassifier
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
)
from tests.estimators import make_instances
from tests.properties.strategies import short_name, told
from tests.test_common import assert_same, make_data, outputs, with_widths

PAGE = Path(__file__).resolve().parents[1] / "docs" / "user_guide" / "faults.rst"
ESTIMATORS = [e for e in make_instances() if get_tags(e).input_tags.two_d_array]
PREDICTORS = [e for e in ESTIMATORS if is_classifier(e) or is_regressor(e)]
every = pytest.mark.parametrize("estimator", ESTIMATORS, ids=short_name)
every_predictor = pytest.mark.parametrize("estimator", PREDICTORS, ids=short_name)
# Rows of the page that this file tests, and those that the tests of encoders do.
TESTED = {
    "Disk full at the cache of embeddings",
    "Broken entry in the cache of embeddings",
    "Two processes at one cache of embeddings",
}


def fault(name):
    """The row of the page that a test stands for."""
    TESTED.add(name)
    return lambda test: test


def fitted(estimator, X=None, y=None):
    """A clone fitted to rows of three modalities, 2, 3 and 1 columns wide."""
    default_X, default_y = make_data(estimator)
    X = default_X if X is None else X
    with told():
        return with_widths(estimator).fit(X, default_y[: len(X)] if y is None else y)


def is_amputer(estimator):
    """Whether the estimator makes gaps."""
    return type(estimator).__name__ == "ModalityAmputer"


def assert_finite(estimator, X):
    """No NaN in what a fitted estimator says, but where gaps are its business."""
    with told():
        said = outputs(estimator, X)
    assert said
    for method, values in said.items():
        if method == "transform" and keeps_gaps(estimator):
            continue
        if values.dtype.kind == "f":
            assert not np.isnan(values).any(), method


def keeps_gaps(estimator):
    """Amputers and encoders of signals return NaN for what is missing."""
    return type(estimator).__name__ in ("ModalityAmputer", "SignalEncoder")


@fault("Row with nothing observed")
@every
def test_empty_row(estimator):
    """It is told of, if it matters, and never answered with NaN."""
    X, y = make_data(estimator)
    if not get_tags(estimator).input_tags.allow_nan:
        pytest.skip("takes no NaN")
    model = fitted(estimator)
    X[3] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said = outputs(model, X[:5])
    quiet = keeps_gaps(estimator) or type(estimator).__name__ in QUIET_ABOUT_EMPTY
    assert quiet or any("1 of 5 " in str(w.message) for w in caught)
    if "predict" in said:
        assert not np.isnan(np.asarray(said["predict"], dtype=float)).any()
    assert_finite(fitted(estimator, X, y), X)


# An estimator of the user's answers, or a model for which it is a row like any other.
QUIET_ABOUT_EMPTY = {"ModalityDropout", "PartialModalityFactorMixture"}

# The same, and what hides modalities and learns nothing of them.
QUIET_ABOUT_NEW = {"ModalityDropout", "ModalityAmputer"}


@fault("Modality that no row has")
@every
def test_modality_never_observed(estimator):
    """fit leaves it out; rows that have it later are answered by the rest."""
    X, y = make_data(estimator)
    lacking = X.copy()
    lacking[:, 2:5] = np.nan
    lacking[np.isnan(lacking).all(axis=1), 5] = 1.0
    model = fitted(estimator, lacking, y)
    assert_finite(model, lacking)


@fault("Modality at predict time only")
@every
def test_modality_that_comes_later(estimator):
    """A warning names it and counts the rows; they are answered by the rest."""
    X, y = make_data(estimator)
    if not get_tags(estimator).input_tags.allow_nan:
        pytest.skip("takes no NaN")
    lacking = X.copy()
    lacking[:, 5] = np.nan
    lacking[np.isnan(lacking).all(axis=1), 0] = 1.0
    model = fitted(estimator, lacking, y)
    later = lacking.copy()
    later[:7, 5] = 1.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs(model, later)
    wanted = "not observed in fit.*'modality2', which 7"
    quiet = type(estimator).__name__ in QUIET_ABOUT_NEW
    assert quiet or any(re.search(wanted, str(w.message)) for w in caught)
    assert_finite(model, later)


@fault("Combination of modalities not seen in fit")
@every
def test_unseen_pattern(estimator):
    """Rows with a combination that fit never saw are answered."""
    X, y = make_data(estimator)
    X[:, :2] = 1.0 + np.arange(len(X))[:, None] % 3
    model = fitted(estimator, X, y)
    alone = X[:4].copy()
    alone[:, :2] = np.nan
    alone[:, 5] = 1.0
    assert_finite(model, alone)


def test_unseen_pattern_is_told_by_pattern_models():
    """Where there is a model a combination, one warning says that there is none."""
    X, y = make_data(PatternClassifier())
    X = np.nan_to_num(X)
    with told():
        model = PatternClassifier(modalities=[2, 3, 1]).fit(X, y)
    X[:4, :2] = np.nan
    with pytest.warns(UserWarning, match="4 of 60 samples have one of 1 comb"):
        model.predict(X)


@fault("Constant column")
@every
def test_constant_column(estimator):
    """Its scale is 1, so nothing is divided by 0."""
    X, y = make_data(estimator)
    X[:, 0] = np.where(np.isnan(X[:, 0]), np.nan, 5.0)
    X[:, 5] = np.where(np.isnan(X[:, 5]), np.nan, 0.0)
    assert_finite(fitted(estimator, X, y), X)


@fault("Duplicate rows")
@every
def test_duplicate_rows(estimator):
    """Forty rows, of which five are different."""
    X, y = make_data(estimator)
    rows = np.arange(40) % 5
    assert_finite(fitted(estimator, X[rows], y[rows]), X[:5])


@fault("As many clusters as rows")
def test_k_is_n():
    """Every row is a centre."""
    X, _ = make_data(PartialModalityKMeans())
    X = np.nan_to_num(X[:6])
    kmeans = PartialModalityKMeans(6, modalities=[2, 3, 1], random_state=0).fit(X)
    assert_allclose(kmeans.inertia_, 0, atol=1e-12)
    assert sorted(kmeans.labels_) == list(range(6))


@fault("More clusters than rows")
@pytest.mark.parametrize(
    "estimator", [PartialModalityKMeans(9), ClusterGuidedImputer(9)], ids=short_name
)
def test_k_is_more_than_n(estimator):
    """The error has both numbers."""
    with pytest.raises(ValueError, match=r"n_samples=4 should be >= n_clusters=9"):
        estimator.fit(np.eye(4))


@fault("One row")
@every
def test_one_row(estimator):
    """It is fitted, or the error says what is too few."""
    X, y = make_data(estimator)
    X, y = np.nan_to_num(X[:1]), y[:1]
    try:
        model = fitted(estimator, X, y)
    except ValueError as error:
        assert re.search(r"sample|row|class", str(error))
    else:
        assert_finite(model, X)


@fault("One modality")
@every
def test_one_modality(estimator):
    """Nothing can be learnt across modalities, and nothing breaks."""
    X, y = make_data(estimator)
    model = clone(estimator).set_params(modalities=[6])
    with told():
        model.fit(X, y)
    assert_finite(model, X)


@fault("12 modalities in all 4095 combinations")
@pytest.mark.parametrize(
    "estimator",
    [
        PartialModalityKMeans(3, random_state=0),
        ClusterGuidedImputer(3, random_state=0),
        FactorImputer(2, n_factors=2, random_state=0),
        RegressionImputer(min_rows=500),
        RetrievalImputer(),
        LateFusionClassifier(cv=2),
        PatternClassifier(cv=2, patterns="observed", min_rows=1000),
    ],
    ids=short_name,
)
def test_all_combinations_of_twelve(estimator):
    """Each row has a combination of its own."""
    codes = np.arange(1, 4096)
    presence = (codes[:, None] >> np.arange(12)) % 2 == 1
    X = np.random.RandomState(0).standard_normal((4095, 24))
    X[~np.repeat(presence, 2, axis=1)] = np.nan
    model = clone(estimator).set_params(modalities=[2] * 12)
    with told():
        model.fit(X, codes % 2)
    assert_finite(model, X)


@fault("Values of 1e30 or 1e-30")
@every
@pytest.mark.parametrize("scale", [1e30, 1e-30])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_scales(estimator, scale, dtype):
    """No overflow, no NaN."""
    if type(estimator).__name__ == "ModalityDropout" and dtype is np.float32:
        pytest.skip("what the user's estimator makes of them is its own affair")
    X, y = make_data(estimator)
    X = (X * scale).astype(dtype)
    assert_finite(fitted(estimator, X, y), X)


@fault("inf")
@every
def test_infinity_is_refused(estimator):
    """In fit and afterwards."""
    X, y = make_data(estimator)
    model = fitted(estimator)
    X[2, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        with_widths(estimator).fit(X, y)
    with pytest.raises(ValueError, match="infinity"):
        outputs(model, X)


@fault("int, bool and object")
@every
@pytest.mark.parametrize("dtype", [int, bool, object])
def test_other_dtypes(estimator, dtype):
    """Numbers of other dtypes are read as float64."""
    X, y = make_data(estimator)
    X = np.nan_to_num(X).round()
    given = (X > 1).astype(bool) if dtype is bool else X.astype(dtype)
    with told():
        found = outputs(fitted(estimator, given, y), given)
        expected = outputs(
            fitted(estimator, given.astype(float), y), given.astype(float)
        )
    assert_same(found, expected)


@fault("Words in an object column")
@every
def test_words_are_refused(estimator):
    """The error is numpy's or scikit-learn's, and has the word."""
    X, y = make_data(estimator)
    X = np.nan_to_num(X).astype(object)
    X[1, 1] = "red"
    with pytest.raises(ValueError, match="red"):
        with_widths(estimator).fit(X, y)


@fault("Empty frame")
@every
def test_empty_frame(estimator):
    """No rows, or no columns."""
    pd = pytest.importorskip("pandas")
    _, y = make_data(estimator)
    frame = pd.DataFrame(np.zeros((4, 6)))
    with pytest.raises(ValueError, match="0 sample"):
        clone(estimator).fit(frame.iloc[:0], y[:0])
    with pytest.raises(ValueError, match="0 feature"):
        clone(estimator).fit(frame.iloc[:, :0], y[:4])


@fault("Wrong number of columns")
@every
def test_wrong_width(estimator):
    """After fit, and against the layout."""
    X, y = make_data(estimator)
    model = fitted(estimator)
    with pytest.raises(ValueError, match="5 features.*expecting 6"):
        outputs(model, X[:, :5])
    with pytest.raises(ValueError, match="add up to 6, but X has 5"):
        with_widths(estimator).fit(X[:, :5], y)


@fault("Renamed or reordered columns")
@every
def test_renamed_columns(estimator):
    """scikit-learn's error names them."""
    pd = pytest.importorskip("pandas")
    X, y = make_data(estimator)
    frame = pd.DataFrame(X, columns=[f"m__{i}" for i in range(6)])
    with told():
        model = clone(estimator).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        outputs(model, frame.rename(columns={"m__0": "other"}))
    with pytest.raises(ValueError, match="same order"):
        outputs(model, frame[frame.columns[::-1]])


@fault("One class in a fold")
@every_predictor
def test_one_class(estimator):
    """The class is predicted; or the error says that there is one only."""
    if not is_classifier(estimator):
        pytest.skip("not a classifier")
    X, _ = make_data(estimator)
    try:
        model = fitted(estimator, X, np.ones(len(X), dtype=int))
    except ValueError as error:
        assert "class" in str(error)
    else:
        with told():
            assert set(model.predict(X)) == {1}


class Interrupt:
    """Raises KeyboardInterrupt at the n-th call of a function of skmissing."""

    def __init__(self, at):
        self.left = at
        self.folder = str(Path(sys.modules["skmissing"].__file__).parent)

    def __call__(self, frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(self.folder):
            # Not within the generators that close on the way out.
            if not frame.f_code.co_flags & 0x20:
                self.left -= 1
                if self.left == 0:
                    sys.settrace(None)
                    raise KeyboardInterrupt
        return None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)


def interrupted(model, method, X, y, at):
    """Whether a call of fit or partial_fit was interrupted at the given call."""
    with told():
        try:
            with Interrupt(at):
                getattr(model, method)(X, y)
        except KeyboardInterrupt:
            return True
    return False


def says(model, X):
    """What a model says; None if it is not fitted."""
    try:
        with told():
            return outputs(model, X)
    except NotFittedError:
        return None


def same(found, expected):
    """Whether two models say the same."""
    return found is not None and all(
        np.array_equal(found[name], expected[name], equal_nan=True) for name in expected
    )


# Calls within a fit: the first checks, the first sums, far into it.
MOMENTS = [2, 6, 20, 60, 200]


@fault("Ctrl-C in fit")
@every
def test_interrupted_fit(estimator):
    """An estimator that was interrupted is not fitted, or as if it had not been."""
    X, y = make_data(estimator)
    new, y_new = X[::-1][:50] * 2.0, y[::-1][:50]
    old = fitted(estimator, X, y)
    before, after = says(old, X), says(fitted(estimator, new, y_new), X)
    n_interrupted = 0
    for at in MOMENTS:
        model = pickle.loads(pickle.dumps(old))
        if not interrupted(model, "fit", new, y_new, at):
            break
        n_interrupted += 1
        found = says(model, X)
        whole = same(found, before) or same(found, after)
        assert found is None or whole, f"half fitted at call {at}"
        model = with_widths(estimator)
        interrupted(model, "fit", new, y_new, at)
        found = says(model, X)
        assert found is None or same(found, after), f"half fitted at call {at}"
    assert n_interrupted > 1


@fault("Ctrl-C in partial_fit")
@pytest.mark.parametrize(
    "estimator",
    [e for e in ESTIMATORS if hasattr(e, "partial_fit")],
    ids=short_name,
)
def test_interrupted_partial_fit(estimator):
    """The model is that of before or that of after."""
    X, y = make_data(estimator)
    new, y_new = X[::-1][:50] * 2.0, y[::-1][:50]
    before = says(fitted(estimator, X, y), X)
    with told():
        after = says(fitted(estimator, X, y).partial_fit(new, y_new), X)
    for at in MOMENTS:
        model = fitted(estimator, X, y)
        if not interrupted(model, "partial_fit", new, y_new, at):
            break
        found = says(model, X)
        assert same(found, before) or same(found, after), f"half at call {at}"
    assert at > 2


@fault("Bad rows in a second fit")
@every
def test_failed_fit_changes_nothing(estimator):
    """After a fit that raises, an estimator is what it was before."""
    X, y = make_data(estimator)
    model = fitted(estimator)
    before = says(model, X)
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X, y)
    X[0, 0] = make_data(estimator)[0][0, 0]
    assert same(says(model, X), before)


@fault("Bad rows in partial_fit")
def test_failed_partial_fit_loses_nothing():
    """What the model has learnt lasts."""
    X, _ = make_data(PartialModalityKMeans())
    for estimator in (PartialModalityKMeans(2), ClusterGuidedImputer(2)):
        model = fitted(estimator, X)
        expected = says(model, X)
        with pytest.raises(ValueError, match="expecting 6"):
            model.partial_fit(X[:, :5])
        assert_same(says(model, X), expected)


def test_page_has_all_rows():
    """The page lists what is tested, and nothing else."""
    rows = re.findall(r"^   \* - (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows[0] == "Fault"
    assert set(rows[1:]) == TESTED
