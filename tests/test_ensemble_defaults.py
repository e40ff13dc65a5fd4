"""Late fusion with default arguments: small data, odd data, copies and threads."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.validation import validate_data

from skmissing._table import ModalityWarning
from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor, _panel

BOTH = [LateFusionClassifier, LateFusionRegressor]
each_class = pytest.mark.parametrize("cls", BOTH)
LABELS = np.array(["low", "middle", "high"])


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    """Forests of named panels are small here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_panel, "N_TREES", 15)
        yield


def make_data(cls, n_rows=42):
    """Two modalities in all patterns, and labels as strings or numbers."""
    rng = np.random.RandomState(0)
    group = rng.permutation(np.arange(n_rows) % 3)
    X = rng.standard_normal((n_rows, 3)) + 2.0 * group[:, None]
    X[rng.permutation(n_rows)[: n_rows // 3], :2] = np.nan
    X[rng.permutation(np.flatnonzero(~np.isnan(X[:, 0])))[: n_rows // 3], 2] = np.nan
    if cls is LateFusionClassifier:
        return X, LABELS[group]
    return X, group + 0.1 * rng.standard_normal(n_rows)


def make_model(cls, **params):
    return cls(modalities=[2, 1], random_state=0, **params)


def read(model, X):
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


@pytest.fixture(scope="module", params=BOTH, ids=lambda cls: cls.__name__)
def fitted(request):
    """A fitted default, its data, and what it predicts for them."""
    X, y = make_data(request.param)
    model = make_model(request.param).fit(X, y)
    return model, X, y, read(model, X)


@each_class
@pytest.mark.parametrize(
    "check",
    ["check_dict_unchanged", "check_fit2d_1feature", "check_fit2d_1sample"],
)
def test_checks_of_defaults(cls, check):
    """SKMISSING_CHECKS=all runs all of them; these are cheap and tell most."""
    getattr(estimator_checks, check)(cls.__name__, cls())


def test_default_is_a_panel(fitted):
    model, X, y, _ = fitted
    assert model.estimator == "auto"
    for members in model.named_estimators_.values():
        assert list(members) == ["linear", "rbf", "trees"]
    assert model.score(X, y) > 0.6


def test_any_pattern_is_predicted(fitted):
    """Modalities, and cells of one, may be missing in any combination."""
    model, X, _, _ = fitted
    rows = np.array([[1.0, 2.0, 1.0]] * 8)
    rows[np.array(list(product([False, True], repeat=3)))] = np.nan
    with pytest.warns(ModalityWarning, match="1 of 8 samples"):
        found = read(model, rows)
    assert np.isfinite(found).all()
    if is_classifier(model):
        assert_allclose(found.sum(axis=1), 1)
        assert set(model.predict(X)) <= set(LABELS)


def test_refits_threads_and_copies_agree(fitted):
    """The seed determines the fit; copies and threads predict the same."""
    model, X, y, expected = fitted
    with parallel_config(backend="threading"):
        again = clone(model).set_params(n_jobs=2).fit(X, y)
    assert_array_equal(read(again, X), expected)
    assert_array_equal(read(pickle.loads(pickle.dumps(model)), X), expected)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: read(model, X), range(16)):
            assert_array_equal(found, expected)
    assert_allclose(read(model, X[3:11]), expected[3:11], rtol=1e-9)


def test_saved_and_loaded(tmp_path):
    """tests/test_io.py has the kernels of both; many trees take long."""
    pytest.importorskip("skops")
    from skmissing.io import dump, load

    X, y = make_data(LateFusionClassifier)
    X, y = X[~np.isnan(X[:, 0]), :2], y[~np.isnan(X[:, 0])]
    members = ["linear", "rbf", ("trees", ExtraTreesClassifier(2, random_state=0))]
    model = LateFusionClassifier(members, modalities=[2]).fit(X, y)
    dump(model, tmp_path / "model.skops")
    twin = load(tmp_path / "model.skops")
    assert_array_equal(read(twin, X), read(model, X))


def test_units_of_columns_and_weights(fitted):
    """Factors change nothing, nor do samples of weight 0."""
    model, X, y, expected = fitted
    # Trees take a column for constant if its values differ by less than 1e-7.
    for unit in (2.0**17, 2.0**-40, 1e-9):
        found = read(clone(model).fit(unit * X, y), unit * X)
        assert_allclose(found, expected, atol=1e-6 if unit != 1e-9 else 1e-3)
    weight = np.ones(len(X))
    weight[::5] = 0
    small = read(clone(model).fit(X, y, sample_weight=weight * 1e-5), X)
    kept = weight > 0
    few = clone(model).fit(X[kept], y[kept], sample_weight=weight[kept])
    assert_allclose(small, read(few, X), atol=1e-6)


@pytest.mark.parametrize("n_rows", [2, 10, 40])
@each_class
def test_few_samples_and_rare_classes(cls, n_rows):
    """Ten samples, one sample of a class, and a class that a modality never has."""
    X, y = make_data(cls, 42)
    X, y = np.nan_to_num(X[:n_rows]), y[:n_rows]
    if cls is LateFusionClassifier:
        y[:2], y[2:] = "first", np.where(y[2:] == "high", "middle", y[2:])
        y[0] = "alone"
        X[y == "middle", 2] = np.nan
    model = make_model(cls).fit(X, y)
    assert np.isfinite(read(model, X)).all()
    members = model.named_estimators_.modality0
    assert hasattr(members, "trees") == (n_rows >= 10)


class Foundation(BaseEstimator):
    """Has the limits of a foundation model for tables."""

    def __init__(self, model):
        self.model = model

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = self.model.__sklearn_tags__().estimator_type
        tags.classifier_tags = self.model.__sklearn_tags__().classifier_tags
        tags.regressor_tags = self.model.__sklearn_tags__().regressor_tags
        return tags

    def fit(self, X, y):
        X, y = validate_data(self, X, y, y_numeric=not is_classifier(self))
        if X.shape[1] > 500:
            raise ValueError("too many columns")
        if is_classifier(self) and len(np.unique(y)) > 10:
            raise ValueError("too many classes")
        self.model_ = clone(self.model).fit(X, y)
        if is_classifier(self):
            self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(validate_data(self, X, reset=False))

    def predict_proba(self, X):
        return self.model_.predict_proba(validate_data(self, X, reset=False))


@each_class
def test_foundation_models_are_members(cls):
    """After PCA per modality: wide modalities, empty columns, classes not seen."""
    rng = np.random.RandomState(0)
    group = rng.permutation(np.arange(120) % 3)
    X = rng.standard_normal((120, 620)) + group[:, None]
    X[:, 7] = X[:30, :600] = X[30:60, 600:] = X[70, 3] = X[80:, 611] = np.nan
    classifier = cls is LateFusionClassifier
    inner = GaussianNB() if classifier else KNeighborsRegressor()
    line = LogisticRegression() if classifier else Ridge()
    foundation = Foundation(inner)
    members = [("line", line), ("foundation", make_pipeline(PCA(5), foundation))]
    y = LABELS[group] if classifier else 3e5 + 1e4 * group
    if classifier:
        X[y == "high", 600:] = np.nan
        X[y == "high", :600] = np.where(
            np.isnan(X[y == "high", :600]), 2.0, X[y == "high", :600]
        )
        X[:, 7] = np.nan
    model = cls(members, modalities={"image": 600, "table": 20}, cv=3)
    with pytest.warns(ModalityWarning, match="1 column has no observed cell"):
        model.fit(X, y)
    assert model.score(X, y) > 0.8
    assert set(model.pool_weights_["image"]) == {"line", "foundation"}
    if classifier:
        assert "foundation" in model.named_estimators_["table"]
    with pytest.warns(ModalityWarning, match="1 column has"):
        with pytest.raises(ValueError, match="does not take weights"):
            model.fit(X, y, sample_weight=np.ones(120))
        members[1] = ("foundation", foundation)
        with pytest.raises(ValueError, match="too many columns"):
            model.set_params(estimator=members).fit(X, y)
