"""Small estimators and data that several test files of skmissing.fusion share."""

import numpy as np
import pytest

from skmissing._table import ModalityWarning
from skmissing.fusion import MHSAFusionClassifier, MHSAFusionRegressor, MMPClassifier

WIDTHS = [3, 2, 4]
SMALL = {
    "modalities": WIDTHS,
    "hidden_dim": 8,
    "module__n_heads": 2,
    "lr": 0.05,
    "max_epochs": 6,
    "random_state": 0,
}


def make_classifier(**params):
    return MHSAFusionClassifier(**{**SMALL, **params})


def make_regressor(**params):
    return MHSAFusionRegressor(**{**SMALL, **params})


def make_mmp(make=MMPClassifier, **params):
    return make(**{**SMALL, "module__n_aggregated_tokens": 3, **params})


def warns(match):
    return pytest.warns(ModalityWarning, match=match)


def make_data(n_rows=80, n_classes=3, missing=0.3, seed=0):
    rng = np.random.RandomState(seed)
    group = np.arange(n_rows) % n_classes
    X = rng.standard_normal((n_rows, sum(WIDTHS))) + 2.0 * group[:, None]
    keep = rng.uniform(size=(n_rows, len(WIDTHS))) >= missing
    keep[np.arange(n_rows), rng.randint(len(WIDTHS), size=n_rows)] = True
    X[~np.repeat(keep, WIDTHS, axis=1)] = np.nan
    return X, group
