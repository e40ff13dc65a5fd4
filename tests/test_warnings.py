"""Warnings have one class, the estimator's name, and the line of the user.

The tests of encoders check theirs; they take raw items.
"""

import gc
import inspect
import re
import warnings
import weakref

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skmissing import LateFusionClassifier, ModalityWarning
from skmissing._modalities import warn
from skmissing.cluster import PartialModalityKMeans

from .test_common import TABULAR, make_data, name_of, with_widths

# ModalityAmputer and ModalityDropout make gaps and never warn of them.
SILENT = {"ModalityAmputer", "ModalityDropout"}
FIRST = {type(e).__name__: e for e in reversed(TABULAR)}


def apply(model, X, y=None):
    """Predict or transform; a scorer as well."""
    method = "predict" if hasattr(model, "predict") else "transform"
    getattr(model, method)(X)
    return 0.0


def direct(model, X, y, later):
    """Fit the model, and apply it to a table with a modality that is new."""
    model.fit(X, y)
    apply(model, later)


def pipeline(model, X, y, later):
    steps = make_pipeline("passthrough", model).fit(X, y)
    apply(steps, later)


def search(model, X, y, later):
    grid = {"steps": [[("only", model)]]}
    GridSearchCV(make_pipeline(model), grid, cv=2, scoring=apply).fit(X, y)


def cross_validation(model, X, y, later):
    cross_val_score(model, X, y, cv=2, scoring=apply)


WARNING = sorted({*FIRST} - SILENT)


# Searches fit more often, and are tested with half of the estimators.
@pytest.mark.parametrize(
    "name, way",
    [(name, way) for name in WARNING for way in (direct, pipeline)]
    + [(name, search) for name in WARNING[::2]]
    + [(name, cross_validation) for name in WARNING[1::2]],
)
def test_class_name_and_line(name, way):
    """Samples without a modality, and a modality unknown to fit, give warnings."""
    X, y = make_data(FIRST[name])
    later = X.copy()
    X[:, 2:5] = np.nan
    X[4:6] = later[5] = np.nan
    model = with_widths(FIRST[name])
    if hasattr(model, "max_epochs"):
        model.set_params(max_epochs=1)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        way(model, X, y, later)
    names = {name} | {name_of(value) for value in model.get_params().values()}
    lines = set()
    for function in (way, apply):
        source, start = inspect.getsourcelines(function)
        lines |= set(range(start, start + len(source)))
    for warning in record:
        assert warning.category is ModalityWarning
        assert str(warning.message).partition(":")[0] in names
        assert (warning.filename, warning.lineno in lines) == (__file__, True)
    messages = [str(w.message) for w in record]
    if way is direct:
        assert len(set(messages)) == len(messages)
    said = " ".join(messages)
    assert "not observed in any sample: 'modality1'" in said
    if way in (direct, pipeline):
        assert "not observed in fit are ignored: 'modality1', which 51 of 60" in said
    if name not in ("PerModality", "SignalEncoder"):
        assert "samples have no observed modality" in said


def test_late_fusion_of_single_columns_warns():
    X, y = np.random.RandomState(0).standard_normal((12, 31)), [0, 1] * 6
    model = LateFusionClassifier(DummyClassifier(), combine="log")
    with pytest.warns(ModalityWarning, match="each of the 31 columns .* model of its"):
        model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X[:, 1:], y)
        model.set_params(modalities=[10, 21]).fit(X, y)


@pytest.mark.parametrize("name", sorted(SILENT & {*FIRST}))
def test_what_makes_gaps_does_not_warn(name):
    X, y = make_data(FIRST[name])
    X[4:6] = X[:, 2:5] = np.nan
    direct(with_widths(FIRST[name]), X, y, X)


@pytest.mark.parametrize("action, n_shown", [("default", 2), ("always", 21)])
def test_each_kind_of_warning_is_shown_once_per_call(action, n_shown):
    """The folds differ in their numbers of empty samples; the next call warns again."""
    y = np.arange(60) % 2
    X = np.random.RandomState(0).standard_normal((60, 4))
    X[::7] = np.nan
    search = GridSearchCV(
        LateFusionClassifier(DummyClassifier(), modalities=[2, 2]),
        {"combine": ["log", "mean"]},
        cv=5,
    )
    for _ in range(2):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter(action)
            search.fit(X, y)
        kinds = {re.sub("[0-9]+", "#", str(w.message)) for w in record}
        assert (len(kinds), len(record)) == (2, n_shown)


def coded(kind, rng):
    """A table of 40 samples, and the value that fills its second modality in eight."""
    X = rng.standard_normal((40, 7))
    filled = np.arange(40) % 5 == 0
    if kind == "counts":
        X[:, 2:6] = rng.poisson(0.7, (40, 4))
    if kind == "one-hot":
        X[:, 2:6] = np.eye(4)[rng.randint(4, size=40)]
    if kind == "answers":  # 7 is in other samples, too
        X[:, 2:6] = rng.randint(1, 8, (40, 4))
    value = {"-9": -9, "-999": -999, "0": 0, "single cells": -99}.get(kind, 0)
    X[filled, 2:6] = 7 if kind == "answers" else value
    if kind == "single cells":
        X[1::5, 2] = value
    if kind == "two codes":
        X[filled, 2:6] = np.where(np.arange(filled.sum()) % 2, -8, -9)[:, None]
    if kind == "constant":
        X[:, 2:6] = 1
    return X


@pytest.mark.parametrize(
    "kind, match",
    [
        ("-9", "'b' is -9 in 8 of 40 samples. If it is a code for missing"),
        ("-999", "'b' is -999 in 8 of 40 samples"),
        ("0", "'b' is 0 in 8 of 40 samples"),
        ("single cells", "'b' is -99 in 8 of 40 samples"),
        ("two codes", "'b' is -9 in 4 of 40 samples, 'b' is -8 in 4 of 40 samples"),
        ("counts", None),
        ("one-hot", None),
        ("answers", None),
        ("constant", None),
    ],
)
@pytest.mark.parametrize("estimator", [PartialModalityKMeans, LateFusionClassifier])
def test_codes_for_missing_warn(kind, match, estimator):
    """One warning in fit; none of counts and categories, which are 0 elsewhere too."""
    X, y = coded(kind, np.random.RandomState(0)), np.arange(40) % 2
    model = estimator(2) if estimator is PartialModalityKMeans else estimator("linear")
    model.set_params(modalities={"a": 2, "b": 4, "c": 1})
    if match is None:
        model.fit(X, y)
        return
    with pytest.warns(ModalityWarning, match=match) as caught:
        model.fit(X, y)
    assert len(caught) == 1
    model.predict(X)
    model.fit(np.where(np.isin(X, [-9, -8, -99, -999, 0]), np.nan, X), y)


def test_warning_keeps_no_frame_alive():
    def work():
        X = np.zeros(3)
        with pytest.warns(ModalityWarning):
            warn("words")
        return weakref.ref(X)

    gc.disable()
    try:
        assert work()() is None
    finally:
        gc.enable()
