"""What happens to faulty data and in interrupted fits: the table of the user guide.

The test of a row of the table has the name of that row; see `fault` below.
"""

import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import get_tags

from skmissing import ModalityWarning
from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import (
    KernelRidgeClassifier,
    KernelRidgeRegressor,
    LateFusionClassifier,
    LateFusionRegressor,
    ModalityDropout,
    MultipleImputationClassifier,
    MultipleImputationRegressor,
    PatternClassifier,
)
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
)
from skmissing.mixture import PartialModalityFactorMixture
from skmissing.simulate import missing_rates

from .properties.strategies import no_warnings, short_name
from .test_common import (
    TABULAR,
    assert_same,
    make_data,
    outputs,
    reference,
    with_widths,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "user_guide" / "faults.rst"
PREDICTORS = [e for e in TABULAR if is_classifier(e) or is_regressor(e)]
every = pytest.mark.parametrize("estimator", TABULAR, ids=short_name)
every_predictor = pytest.mark.parametrize("estimator", PREDICTORS, ids=short_name)
# Rows of the page that this file tests, and those that other files do.
TESTED = {
    "Disk full at the cache of embeddings",
    "Broken entry in the cache of embeddings",
    "Two processes at one cache of embeddings",
    "A number such as -999 for missing",  # in test_warnings.py
}


def fault(name):
    """Name the row of the page that a test checks."""
    TESTED.add(name)
    return lambda test: test


def fitted(estimator, X=None, y=None):
    """Fit a clone to samples of three modalities, 2, 3 and 1 columns wide."""
    if X is None:
        return pickle.loads(pickle.dumps(reference(estimator)[2]))
    with no_warnings():
        return with_widths(estimator).fit(X, y)


def found(estimator, X):
    """Return the results of a fitted estimator, without its warnings."""
    with no_warnings():
        return outputs(estimator, X)


def assert_finite(estimator, X):
    """Check that there is no NaN in the results, except for makers of gaps."""
    results = found(estimator, X)
    assert results
    for method, values in results.items():
        if method == "transform" and keeps_gaps(estimator):
            continue
        if values.dtype.kind == "f":
            assert not np.isnan(values).any(), method


def keeps_gaps(estimator):
    """Whether NaN is returned for what is missing."""
    return type(estimator).__name__ in (
        "ModalityAmputer",
        "PerModality",
        "SignalEncoder",
    )


# It fills no gaps itself, and learns nothing of modalities.
QUIET = {"ModalityDropout", "ModalityAmputer"}


@fault("Sample with nothing observed")
@every
def test_empty_sample(estimator):
    """There is a warning, and never a prediction of NaN."""
    X, y = make_data(estimator)
    if not get_tags(estimator).input_tags.allow_nan:
        pytest.skip("takes no NaN")
    model = fitted(estimator)
    X[3] = np.nan
    if type(estimator).__name__ in QUIET | {"PerModality", "SignalEncoder"}:
        results = outputs(model, X[:5])
    else:
        with pytest.warns(ModalityWarning, match="1 of 5 samples"):
            results = outputs(model, X[:5])
    if "predict" in results:
        assert not np.isnan(np.asarray(results["predict"], dtype=float)).any()
    assert_finite(fitted(estimator, X, y), X)


@fault("Modality that no sample has")
@every
def test_modality_never_observed(estimator):
    """fit leaves it out; samples that have it later are predicted from the others."""
    X, y = make_data(estimator)
    X[:, 2:5] = np.nan
    X[np.isnan(X).all(axis=1), 5] = 1.0
    assert_finite(fitted(estimator, X, y), X)


@fault("Modality in `predict` only")
@every
def test_modality_that_comes_later(estimator):
    """A warning names it and counts its samples; the other modalities are used."""
    X, y = make_data(estimator)
    if not get_tags(estimator).input_tags.allow_nan:
        pytest.skip("takes no NaN")
    X[:, 5] = np.nan
    X[np.isnan(X).all(axis=1), 0] = 1.0
    model = fitted(estimator, X, y)
    X[:7, 5] = 1.0
    if type(estimator).__name__ in QUIET:
        outputs(model, X)
    else:
        with pytest.warns(ModalityWarning, match="in fit are.*'modality2', which 7"):
            outputs(model, X)
    assert_finite(model, X)


@fault("Combination of modalities not seen in fit")
@every
def test_unseen_pattern(estimator):
    """Samples with a combination that fit never saw are predicted."""
    X, y = make_data(estimator)
    X[:, :2] = 1.0 + np.arange(len(X))[:, None] % 3
    model = fitted(estimator, X, y)
    alone = X[:4].copy()
    alone[:, :2] = np.nan
    alone[:, 5] = 1.0
    assert_finite(model, alone)


def test_pattern_models_warn_of_unseen_patterns():
    """One warning counts the samples of combinations without a model."""
    X, y = make_data(PatternClassifier())
    X = np.nan_to_num(X)
    model = fitted(PatternClassifier(), X, y)
    X[:4, :2] = np.nan
    with pytest.warns(ModalityWarning, match="4 of 60 samples have 1 comb"):
        model.predict(X)


@fault("Constant column")
@every
def test_constant_column(estimator):
    """Its scale is 1, so nothing is divided by 0."""
    X, y = make_data(estimator)
    X[:, 0] = np.where(np.isnan(X[:, 0]), np.nan, 5.0)
    X[:, 5] = np.where(np.isnan(X[:, 5]), np.nan, 0.0)
    assert_finite(fitted(estimator, X, y), X)


@fault("Duplicate samples")
@every
def test_duplicate_samples(estimator):
    """Forty samples, of which five are different."""
    X, y = make_data(estimator)
    rows = np.arange(40) % 5
    assert_finite(fitted(estimator, X[rows], y[rows]), X[:5])


@fault("As many clusters as samples")
def test_k_is_n():
    X, _ = make_data(PartialModalityKMeans())
    X = np.nan_to_num(X[:6])
    kmeans = PartialModalityKMeans(6, modalities=[2, 3, 1], random_state=0).fit(X)
    assert_allclose(kmeans.inertia_, 0, atol=1e-12)
    assert sorted(kmeans.labels_) == list(range(6))


@fault("More clusters than samples")
@pytest.mark.parametrize(
    "estimator", [PartialModalityKMeans(9), ClusterGuidedImputer(9)], ids=short_name
)
def test_k_is_more_than_n(estimator):
    with pytest.raises(ValueError, match=r"n_samples=4 should be >= n_clusters=9"):
        estimator.fit(np.eye(4))


@fault("One sample")
@every
def test_one_sample(estimator):
    """It is fitted, or the error names what is too few."""
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
    """It is fitted, though nothing can be learnt across modalities."""
    X, y = make_data(estimator)
    model = clone(estimator).set_params(modalities=[6])
    with no_warnings():
        model.fit(X, y)
    assert_finite(model, X)


@fault("12 modalities in all 4095 combinations")
@pytest.mark.parametrize(
    "estimator",
    [
        PartialModalityKMeans(3, random_state=0),
        ClusterGuidedImputer(3, random_state=0),
        FactorImputer(2, n_factors=2, random_state=0),
        RegressionImputer(min_samples=1000),
        RetrievalImputer(),
        LateFusionClassifier("linear", cv=2),
        PatternClassifier(cv=2, patterns="observed", min_samples=1000),
    ],
    ids=short_name,
)
def test_all_combinations_of_twelve(estimator):
    codes = np.arange(1, 4096)
    presence = (codes[:, None] >> np.arange(12)) % 2 == 1
    X = np.random.RandomState(0).standard_normal((4095, 12))
    X[~presence] = np.nan
    model = clone(estimator).set_params(modalities=[1] * 12)
    with no_warnings():
        model.fit(X, codes % 2)
    assert_finite(model, X)


@fault("Values of 1e30 or 1e-30")
@every
@pytest.mark.parametrize(
    "scale, dtype", [(1e30, np.float64), (1e30, np.float32), (1e-30, np.float32)]
)
def test_extreme_scales(estimator, scale, dtype):
    """No overflow, no NaN."""
    others = {"ModalityDropout", "PatternConformalRegressor", "RoutedClassifier"}
    inside = type(estimator).__name__ in others
    if inside and dtype is np.float32:
        pytest.skip("the estimator inside overflows")
    X, y = make_data(estimator)
    X = (X * scale).astype(dtype)
    assert_finite(fitted(estimator, X, y), X)


@pytest.mark.parametrize(
    "estimator",
    [
        PartialModalityKMeans(3),
        ClusterGuidedImputer(3),
        RetrievalImputer(),
        PartialModalityFactorMixture(2),
    ],
    ids=short_name,
)
def test_new_samples_far_away(estimator):
    """Distances to them would be inf, as if they shared no modality."""
    X, y = make_data(estimator)
    model = fitted(estimator, X, y)
    X[np.flatnonzero(np.isnan(X[:, 5]))[:2], 0:2] = 1e160
    with pytest.raises(ValueError, match="closer .* overflow in float64 in 2 samples"):
        model.transform(X)


@fault("inf")
@every
def test_infinity_is_refused(estimator):
    """Raise an error in fit and afterwards."""
    X, y = make_data(estimator)
    model = fitted(estimator)
    X[2, 0] = np.inf
    with pytest.raises(ValueError, match="infinity.* infinite values: 'x0'"):
        with_widths(estimator).fit(X, y)
    with pytest.raises(ValueError, match="infinity.* infinite values: 'x0'"):
        outputs(model, X)


@fault("int, bool and object")
@every
@pytest.mark.parametrize("dtype", [int, bool, object])
def test_other_dtypes(estimator, dtype):
    """Numbers of other dtypes are read as float64."""
    X, y = make_data(estimator)
    X = np.nan_to_num(X).round()
    given = (X > 1).astype(bool) if dtype is bool else X.astype(dtype)
    with no_warnings():
        results = outputs(fitted(estimator, given, y), given)
        given = given.astype(float)
        assert_same(results, outputs(fitted(estimator, given, y), given))


@fault("Words in an object column")
@every
def test_words_are_refused(estimator):
    """The error is numpy's or scikit-learn's, and names the word."""
    X, y = make_data(estimator)
    X = np.nan_to_num(X).astype(object)
    X[1, 1] = "red"
    with pytest.raises(ValueError, match="red"):
        with_widths(estimator).fit(X, y)


@fault("Empty frame")
@every
def test_empty_frame(estimator):
    _, y = make_data(estimator)
    frame = pd.DataFrame(np.zeros((4, 6)))
    with pytest.raises(ValueError, match="0 sample"):
        clone(estimator).fit(frame.iloc[:0], y[:0])
    with pytest.raises(ValueError, match="0 feature"):
        clone(estimator).fit(frame.iloc[:, :0], y[:4])


@fault("Wrong number of columns")
@every
def test_wrong_width(estimator):
    """Raise an error after fit, and in fit if the layout has another width."""
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
    X, y = make_data(estimator)
    frame = pd.DataFrame(X, columns=[f"m__{i}" for i in range(6)])
    with no_warnings():
        model = clone(estimator).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        outputs(model, frame.rename(columns={"m__0": "other"}))
    with pytest.raises(ValueError, match="same order"):
        outputs(model, frame[frame.columns[::-1]])


@fault("One class in a fold")
@every_predictor
def test_one_class(estimator):
    """The class is predicted, or the error names the lack of classes."""
    if not is_classifier(estimator):
        pytest.skip("not a classifier")
    X, _ = make_data(estimator)
    try:
        model = fitted(estimator, X, np.ones(len(X), dtype=int))
    except ValueError as error:
        assert "class" in str(error)
    else:
        with no_warnings():
            assert set(model.predict(X)) == {1}


# --------------------------------------------------- what others passed as y and X

CLASSIFIERS = [
    LateFusionClassifier(DummyClassifier(), combine="log"),
    MultipleImputationClassifier(n_imputations=1),
    KernelRidgeClassifier(cv=2),
    ModalityDropout(HistGradientBoostingClassifier(max_iter=1)),
]
REGRESSORS = [
    LateFusionRegressor("linear", cv=2),
    MultipleImputationRegressor(n_imputations=1),
    KernelRidgeRegressor(cv=2),
]
MISSING_IN_Y = "y must have no missing values; 4 of 12 are missing"


def with_gaps(values, gap, dtype=object):
    """Every third value is replaced."""
    values = np.array(values, dtype=object)
    values[::3] = gap
    return values if dtype is object else pd.Series(values, dtype=dtype)


@fault("Missing or masked values in y")
@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize(
    "change, match",
    [
        (
            lambda y: np.ma.masked_array(y, np.arange(12) % 3 == 0),
            "masked; 4 of 12|4 of",
        ),
        (lambda y: with_gaps(y, None), MISSING_IN_Y),
        (lambda y: with_gaps(y, pd.NA), MISSING_IN_Y),
        (lambda y: with_gaps(y, pd.NaT), MISSING_IN_Y),
        (lambda y: with_gaps(y, np.float32("nan")), MISSING_IN_Y),
        (lambda y: with_gaps(y, np.nan).astype(float), MISSING_IN_Y),
        (lambda y: with_gaps(y, pd.NA, "Float64"), MISSING_IN_Y),
        (lambda y: with_gaps(y, np.inf).astype(float), "y contains infinity"),
        (
            lambda y: with_gaps(y, "b"),
            "y must be (all numbers or all str|numbers; got 'b)",
        ),
    ],
)
def test_targets_with_gaps_are_refused(classes, change, match):
    """Nothing is learnt of what is below a mask, or in the place of a gap."""
    X = np.random.RandomState(0).standard_normal((12, 4))
    y = np.arange(12) % 2 if classes else X.sum(axis=1)
    for estimator in CLASSIFIERS if classes else REGRESSORS:
        with pytest.raises((ValueError, TypeError), match=match):
            clone(estimator).fit(X, change(y))


def test_targets_of_several_columns_or_other_types_are_refused():
    X = np.random.RandomState(0).standard_normal((12, 4))
    y = np.arange(12) % 3
    words = with_gaps(np.where(y, "a", "b"), None)
    for estimator in CLASSIFIERS:
        with pytest.raises(ValueError, match=MISSING_IN_Y):
            clone(estimator).fit(X, words)
    for estimator in CLASSIFIERS[:3]:
        with pytest.raises(ValueError, match="one column; .*MultiOutputClassifier"):
            clone(estimator).fit(X, pd.DataFrame({"a": y, "b": -y}))
    for estimator in REGRESSORS:
        with pytest.raises(ValueError, match=r"got the shape .12, 2.*MultiOutputRegr"):
            clone(estimator).fit(X, pd.DataFrame({"a": y, "b": y}))
        for odd in (y.astype(str), pd.date_range("2020", periods=12)):
            with pytest.raises(TypeError, match="y must be numbers; got dtype"):
                clone(estimator).fit(X, odd)


@pytest.mark.parametrize("form", ["Float64", "None", "NA", "NaT", "array", "polars"])
def test_any_null_is_a_missing_cell(form):
    X = np.random.RandomState(0).standard_normal((12, 4))
    X[::3, :2] = np.nan
    frame = pd.DataFrame(X, columns=["text__0", "text__1", "audio__0", "audio__1"])
    known = frame.notna()
    forms = {
        "Float64": lambda: frame.astype("Float64"),
        "None": lambda: frame.astype(object).where(known, None),
        "NA": lambda: frame.astype(object).where(known, pd.NA),
        "NaT": lambda: frame.astype(object).where(known, pd.NaT),
        "array": lambda: frame.astype("Float64").to_numpy(),
        "polars": lambda: pytest.importorskip("polars").from_dict(
            frame.astype(object).where(known, None).to_dict("list")
        ),
    }
    imputer = ClusterGuidedImputer(2, modalities=[2, 2], random_state=0)
    expected = imputer.fit_transform(X)
    assert_allclose(imputer.fit(forms[form]()).transform(forms[form]()), expected)


def views():
    rng = np.random.RandomState(0)
    return rng.standard_normal((12, 3)), rng.standard_normal((12, 2))


def side_by_side(**columns):
    return pd.DataFrame({"a": views()[0][:, 0], **columns})


@fault("A list, a dict or a column of arrays")
@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: [*views()], "got a list of 2.*numpy.hstack.*modalities"),
        (lambda: views(), "got a tuple of 2.*numpy.hstack"),
        (lambda: [views()[0], views()[1][:5]], "got a list of 2.*numpy.hstack"),
        (lambda: [np.zeros((12, 3, 2)), views()[0]], "got a list of 2.*numpy.hstack"),
        (lambda: [*map(pd.DataFrame, views())], "got a list of 2.*numpy.hstack"),
        (lambda: dict(zip("ab", views())), "got a dict of 2.*numpy.hstack"),
        (
            lambda: side_by_side(b=[*views()[0]]),
            "column 'b' are of type ndarray.*hstack",
        ),
        (
            lambda: side_by_side(b=[None, pd.NA, *views()[0][2:].tolist()]),
            "column 'b' are of type list.*numpy.vstack.*hstack.*modalities",
        ),
        (
            lambda: pytest.importorskip("polars").DataFrame({"b": views()[0].tolist()}),
            "column 'b' are of type Series",
        ),
        (lambda: [[1, 2], [3]] * 6, "samples of 1 to 2 cells"),
        (lambda: np.zeros((12, 3, 2)), r"shape .12, 3, 2.*modalities={'name': .3, 2.}"),
        (lambda: sparse.csr_array(views()[0]), "toarray"),
        (lambda: side_by_side(b=pd.date_range("2020", periods=12)), "'b' has dates"),
        (lambda: side_by_side(b=pd.to_timedelta(range(12), "D")), "'b' has dates"),
        (lambda: side_by_side(b=[*map(pd.Timestamp, range(12))]), "'b' has dates"),
        (
            lambda: side_by_side(b=["x", "y"] * 6),
            "'x', in column 'b'.*PerModality",
        ),
        (lambda: side_by_side(b=pd.Categorical(["x", "y"] * 6)), "'x', in column 'b'"),
        (lambda: np.array([[1, "x"]] * 12, dtype=object), "'x', in column 'x1'"),
        (lambda: views()[0] + 1j, "Complex data not supported"),
        (lambda: np.full((12, 2), "NaT", "M8[s]"), "got dtype datetime64.*days since"),
    ],
)
def test_what_is_not_one_table_is_refused(make, match):
    """The error states what to do, in fit and afterwards."""
    for estimator in (*CLASSIFIERS[:2], ClusterGuidedImputer(2)):
        with pytest.raises((TypeError, ValueError), match=match):
            clone(estimator).fit(make(), np.arange(12) % 2)
    with pytest.raises((TypeError, ValueError), match=match):
        missing_rates(make())


def test_booleans_and_numbers_as_words_are_numbers():
    X = views()[0].round(2)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0, "c": X[:, 2].astype(str)})
    frame["d"] = pd.array([True, pd.NA, False] * 4, dtype="boolean")
    read = ClusterGuidedImputer(1).fit_transform(frame)
    assert_allclose(read[:, :3], np.column_stack([X[:, 0], X[:, 1] > 0, X[:, 2]]))
    assert_allclose(read[:, 3], [1, 0.5, 0] * 4)


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


def moments(model, method, X, y):
    """Calls within a method: its first checks, its first sums, ..., its last calls."""
    with no_warnings(), Interrupt(10**9) as counter:
        getattr(pickle.loads(pickle.dumps(model)), method)(X, y)
    n_calls = 10**9 - counter.left
    assert n_calls > 10
    return [2, 6, *(at for at in (20, 60, 200) if at < n_calls), n_calls - 1, n_calls]


def interrupted(model, method, X, y, at):
    """Whether Ctrl-C at the given call ended the method; it must not be ignored."""
    try:
        with no_warnings(), Interrupt(at) as interrupt:
            getattr(model, method)(X, y)
    except KeyboardInterrupt:
        return True
    assert interrupt.left > 0, f"Ctrl-C at call {at} was ignored"
    return False


def state(model, X):
    """Attributes of an estimator, and its results if it is fitted."""
    results = found(model, X) if hasattr(model, "n_features_in_") else None
    return dict(vars(model)), results


def assert_unchanged(model, X, before):
    """Check that an estimator has the attributes and the results of `before`."""
    attributes, results = before
    assert vars(model).keys() == attributes.keys()
    assert all(vars(model)[name] is value for name, value in attributes.items())
    if results is not None:
        assert_same(found(model, X), results)


@fault("Ctrl-C in fit")
@every
def test_interrupted_fit_changes_nothing(estimator):
    """The attributes and the results are those of before, or there are none."""
    X, y = make_data(estimator)
    new = X[::-1][:50] * 2.0, y[::-1][:50]
    calls = moments(with_widths(estimator), "fit", *new)
    for model, moments_of_it in (
        (fitted(estimator), calls),
        (with_widths(estimator), [calls[1], calls[-1]]),
    ):
        before = state(model, X)
        for at in moments_of_it:
            if not interrupted(model, "fit", *new, at):
                break  # some calls are made only once per process
            assert_unchanged(model, X, before)
        assert at > 6


@fault("Ctrl-C in partial_fit")
@pytest.mark.parametrize(
    "estimator", [e for e in TABULAR if hasattr(e, "partial_fit")], ids=short_name
)
def test_interrupted_partial_fit_changes_nothing(estimator):
    """What was learnt before is kept, and nothing is added."""
    X, y = make_data(estimator)
    model = fitted(estimator)
    before = state(model, X)
    new = X[::-1][:50] * 2.0, y[::-1][:50]
    for at in moments(model, "partial_fit", *new):
        if not interrupted(model, "partial_fit", *new, at):
            break  # some calls are made only once per process
        assert_unchanged(model, X, before)
    assert at > 6


@fault("Bad values in a second fit")
@every
@pytest.mark.parametrize("is_fitted", [True, False])
def test_failed_fit_changes_nothing(estimator, is_fitted):
    """After a fit that raises, an estimator is what it was before."""
    X, y = make_data(estimator)
    bad = X.copy()
    bad[0, 0] = np.inf
    model = fitted(estimator) if is_fitted else with_widths(estimator)
    before = state(model, X)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(bad, y)
    assert_unchanged(model, X, before)


@fault("Bad values in partial_fit")
def test_failed_partial_fit_changes_nothing():
    """What the model has learnt lasts."""
    X, _ = make_data(PartialModalityKMeans())
    for estimator in (PartialModalityKMeans(2), ClusterGuidedImputer(2)):
        model = fitted(estimator)
        before = state(model, X)
        for bad in (X[:, :5], np.where(X > 3, np.inf, X)):
            with pytest.raises(ValueError, match="expecting 6|infinity"):
                model.partial_fit(bad)
            assert_unchanged(model, X, before)


@pytest.mark.skipif(not PAGE.exists(), reason="no guide beside the tests")
def test_page_has_all_rows():
    rows = re.findall(r"^   \* - (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows[0] == "Fault"
    assert set(rows[1:]) == TESTED
