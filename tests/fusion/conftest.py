"""Leaves out the tests of skmissing.fusion where torch is not installed."""

import importlib.util

import pytest

installed = all(importlib.util.find_spec(name) for name in ("torch", "skorch"))
collect_ignore_glob = [] if installed else ["test_*.py"]


@pytest.fixture(scope="session")
def fitted():
    from .data import make_classifier, make_data

    X, y = make_data()
    return make_classifier(max_epochs=20).fit(X, y), X, y
