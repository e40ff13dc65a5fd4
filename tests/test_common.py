"""The contract that every public estimator keeps; instances in tests/estimators.py."""

import functools
import pickle
import random

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from .estimators import (
    EXPECTED_FAILED,
    INSTANCES,
    NEEDS,
    expected_failed_checks,
    is_installed,
    make_checked,
    make_instances,
    public_estimators,
)

ESTIMATORS = make_instances()
# Encoders take texts or files: tests/encoders tests them. TABULAR takes missing values.
PLAIN = [e for e in ESTIMATORS if get_tags(e).input_tags.two_d_array]
TABULAR = [e for e in PLAIN if get_tags(e).input_tags.allow_nan]
CHECKED = make_checked()
WIDTHS = [2, 3, 1]
NAMES = ["text__0", "text__1", "audio__0", "audio__1", "audio__2", "age__0"]

# Checks that scikit-learn runs on its own estimators, but not through
# parametrize_with_checks. They take the name and the estimator.
EXTRA_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]
EXTRA_TRANSFORMER_CHECKS = [
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


def name_of(value):
    """A short, stable test id for an estimator."""
    return type(value).__name__ if hasattr(value, "get_params") else None


def extra_checks():
    """Pairs of estimator and name of an extra check, expected failures marked."""
    for estimator in PLAIN:
        names = [*EXTRA_CHECKS]
        if hasattr(estimator, "transform"):
            names += EXTRA_TRANSFORMER_CHECKS
        reasons = expected_failed_checks(estimator)
        for name in names:
            marks = [pytest.mark.xfail(reason=reasons[name])] if name in reasons else []
            yield pytest.param(estimator, name, marks=marks)


every_estimator = pytest.mark.parametrize("estimator", TABULAR, ids=name_of)


CHECKS = parametrize_with_checks(CHECKED, expected_failed_checks=expected_failed_checks)
# Otherwise the estimator is printed anew for each of its checks.
CHECKS.kwargs["ids"] = functools.cache(CHECKS.kwargs["ids"])


# Default numbers of clusters are many for the small tables of the checks.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@CHECKS
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# The checks of set_output change from frames to arrays and back on purpose.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("estimator, check", list(extra_checks()), ids=name_of)
def test_extra_estimator_checks(estimator, check):
    """So do those that scikit-learn runs only on its own estimators."""
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


def test_every_public_estimator_is_checked():
    missing = sorted(set(public_estimators()) - set(INSTANCES))
    assert not missing, f"add to INSTANCES in tests/estimators.py: {missing}"
    if all(is_installed(needed) for needed in NEEDS.values()):
        stale = sorted({*INSTANCES, *EXPECTED_FAILED} - set(public_estimators()))
        assert not stale, f"not public any more: {stale}"


def make_data(estimator, n_rows=60):
    """Three modalities and a target; modalities missing if the estimator allows it."""
    rng = np.random.RandomState(0)
    group = rng.randint(3, size=n_rows)
    X = rng.standard_normal((n_rows, sum(WIDTHS))) + 2.0 * group[:, None]
    if get_tags(estimator).input_tags.allow_nan:
        keep = rng.uniform(size=(n_rows, len(WIDTHS))) < 0.7
        keep[np.arange(n_rows), rng.randint(len(WIDTHS), size=n_rows)] = True
        X[~np.repeat(keep, WIDTHS, axis=1)] = np.nan
    y = group.astype(float) + X[:, -1] if is_regressor(estimator) else group
    return X, np.nan_to_num(y)


def with_widths(estimator):
    """Return a clone that knows the widths of the modalities."""
    estimator = clone(estimator)
    if "modalities" in estimator.get_params(deep=False):
        estimator.set_params(modalities=WIDTHS)
    return estimator


def outputs(estimator, X):
    """Return the results of a fitted estimator on X, by method."""
    methods = ["transform", "predict", "predict_proba", "decision_function"]
    return {
        method: np.asarray(getattr(estimator, method)(X))
        for method in methods
        if hasattr(estimator, method)
    }


def assert_same(found, expected, **tolerance):
    """Two results of :func:`outputs` are equal; to rounding if a tolerance is given."""
    assert found.keys() == expected.keys()
    for method, value in expected.items():
        if tolerance and value.dtype.kind == "f":
            assert_allclose(found[method], value, err_msg=method, **tolerance)
        else:
            assert_array_equal(found[method], value, err_msg=method)


@functools.cache
def reference(estimator):
    """Return X, y, the estimator fitted to them, and its results on X."""
    X, y = make_data(estimator)
    fitted = with_widths(estimator).fit(X, y)
    return X, y, fitted, outputs(fitted, X)


def as_masked(X):
    """Missing cells masked, with a number beneath that must not leak."""
    return np.ma.MaskedArray(np.where(np.isnan(X), 1e6, X), mask=np.isnan(X))


def as_pandas(X):
    """A pandas frame with the modalities in the column names."""
    return pytest.importorskip("pandas").DataFrame(X, columns=NAMES)


def as_nullable_pandas(X):
    """A pandas frame of nullable floats, pd.NA where missing."""
    return as_pandas(X).astype("Float64")


def as_objects_of_pandas(X):
    """A pandas frame of objects, pd.NA where missing."""
    return as_nullable_pandas(X).astype(object)


def as_polars(X):
    """A polars frame, null where missing."""
    polars = pytest.importorskip("polars")
    return polars.DataFrame(X, schema=NAMES, nan_to_null=True)


ARRAYS = [np.copy, np.asfortranarray, as_masked]
FRAMES = [as_pandas, as_nullable_pandas, as_objects_of_pandas, as_polars]


@every_estimator
@pytest.mark.parametrize("container", ARRAYS + FRAMES)
def test_every_container_has_the_same_result_and_is_not_edited(estimator, container):
    """Arrays with widths, masked arrays and frames with prefixes are equivalent."""
    X, y, _, expected = reference(estimator)
    given, untouched, y_before = container(X), container(X), y.copy()
    model = with_widths(estimator) if container in ARRAYS else clone(estimator)
    found = outputs(model.fit(given, y), given)
    # scikit-learn before 1.7 computes means in the order of the memory.
    steps = {"rtol": 1e-12} if "transformer" in model.get_params() else {}
    assert_same(found, expected, **steps)
    assert_array_equal(y, y_before)
    if container in FRAMES:
        assert given.equals(untouched)
        assert list(model.modalities_) == ["text", "audio", "age"]
        assert_array_equal(model.feature_names_in_, NAMES)
    else:
        assert_array_equal(np.asarray(given), np.asarray(untouched))
        assert_array_equal(np.ma.getmaskarray(given), np.ma.getmaskarray(untouched))


@every_estimator
def test_pickle_keeps_results(estimator):
    """A fitted estimator that was pickled gives bit for bit the same results."""
    X, _, fitted, expected = reference(estimator)
    assert_same(outputs(pickle.loads(pickle.dumps(fitted)), X), expected)


@every_estimator
def test_clone_repeats_fit(estimator):
    """A clone of a fitted estimator is unfitted, and fitting it gives the same.

    The global generators of Python, numpy and torch are not used.
    """
    X, y, fitted, expected = reference(estimator)
    twin = clone(fitted)
    assert [name for name in vars(twin) if name.endswith("_")] == []
    assert repr(twin.get_params()) == repr(with_widths(estimator).get_params())
    states = global_states()
    assert_same(outputs(twin.fit(X, y), X), expected)
    for before, after in zip(states, global_states()):
        assert_array_equal(after, before)


def global_states():
    """State of the global random generators that an estimator could draw from."""
    states = [np.random.get_state()[1].copy(), [np.random.get_state()[2]]]
    states.append(random.getstate()[1])
    if is_installed("torch"):
        import torch

        states.append(torch.random.get_rng_state().numpy().copy())
    return states


@every_estimator
def test_float32_stays_float32(estimator):
    """Transformers that claim to keep float32 do so with modalities missing."""
    tags = get_tags(estimator)
    if tags.transformer_tags is None:
        pytest.skip("not a transformer")
    assert "float32" in tags.transformer_tags.preserves_dtype
    X, y = make_data(estimator)
    fitted = with_widths(estimator).fit(X.astype(np.float32), y)
    assert fitted.transform(X.astype(np.float32)).dtype == np.float32


@every_estimator
def test_samples_do_not_see_each_other(estimator):
    """With modalities missing, a result does not depend on the other samples."""
    if get_tags(estimator).non_deterministic:
        pytest.skip("draws at random when it transforms")
    X, _, fitted, expected = reference(estimator)
    rows = np.random.RandomState(1).permutation(len(X))[:17]
    expected = {method: out[rows] for method, out in expected.items()}
    assert_same(outputs(fitted, X[rows]), expected, rtol=1e-6, atol=1e-7)


@every_estimator
def test_classifiers_take_strings(estimator):
    """Labels may be strings, with modalities missing too."""
    if not is_classifier(estimator):
        pytest.skip("not a classifier")
    X, y = make_data(estimator)
    labels = np.array(["low", "middle", "high"])[y]
    fitted = with_widths(estimator).fit(X, labels)
    assert set(fitted.predict(X)) <= set(labels)
