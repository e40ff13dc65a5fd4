"""Modality dropout: what the inner estimator is given, and what is delegated."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    clone,
    is_classifier,
    is_regressor,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skmissing.ensemble import ModalityDropout


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what it was given."""

    def fit(self, X, y, sample_weight=None):
        self.given_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        self.asked_ = X
        return np.full(len(X), self.classes_[0])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def make_linear(inner):
    return make_pipeline(SimpleImputer(keep_empty_features=True), inner)


@pytest.mark.parametrize("n_copies", [1, 3])
def test_samples_come_first_and_copies_keep_modalities(n_copies, small_multimodal):
    X, y, widths = small_multimodal
    before = X.copy()
    model = ModalityDropout(
        Recorder(), n_copies=n_copies, modalities=widths, random_state=0
    )
    given, target, weight = model.fit(X, y).estimator_.given_
    assert_array_equal(X, before)
    assert_array_equal(target, np.tile(y, n_copies + 1))
    assert weight is None
    assert_array_equal(given[:60], X)
    n_hidden = 0
    for copy in np.split(given, n_copies + 1)[1:]:
        for row, original in zip(copy, X):
            kept = 0
            for block in np.split(np.arange(6), np.cumsum(widths)[:-1]):
                hidden = np.isnan(row[block]).all()
                n_hidden += hidden and not np.isnan(original[block]).all()
                if not hidden:
                    kept += 1
                    assert_array_equal(row[block], original[block])
            assert kept
    assert n_hidden > 10


def test_scattered_columns_are_hidden_together(small_multimodal):
    X, y, _ = small_multimodal
    layout = {"a": [5, 0], "b": [1, 3], "c": [2, 4]}
    X = np.nan_to_num(X)
    given, _, _ = (
        ModalityDropout(Recorder(), modalities=layout, random_state=1)
        .fit(X, y)
        .estimator_.given_
    )
    gone = np.isnan(given[60:])
    for first, second in layout.values():
        assert_array_equal(gone[:, first], gone[:, second])
    assert gone.any(axis=0).all()


def test_bernoulli_of_zero_hides_nothing(small_multimodal):
    X, y, widths = small_multimodal
    model = ModalityDropout(
        Recorder(), dropout_policy="bernoulli", modality_dropout=0.0, modalities=widths
    )
    given, _, _ = model.fit(X, y).estimator_.given_
    assert_array_equal(given, np.vstack([X, X]))


def test_it_makes_estimators_robust(seed):
    inner = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5)
    rng = np.random.RandomState(seed)
    y = rng.randint(2, size=400)
    X = rng.standard_normal((400, 6)) + 1.5 * y[:, None]
    # The first modality is the better one, and the one that will be missing.
    X[:, :2] += 1.5 * y[:, None]
    late = X[200:].copy()
    late[:, :2] = np.nan
    plain = clone(inner).fit(X[:200], y[:200])
    robust = ModalityDropout(inner, n_copies=3, modalities=[2, 4], random_state=seed)
    robust.fit(X[:200], y[:200])
    assert robust.score(late, y[200:]) > plain.score(late, y[200:]) + 0.02


def test_kind_and_methods_are_those_of_the_estimator():
    classifier = ModalityDropout(make_linear(LogisticRegression()))
    regressor = ModalityDropout(HistGradientBoostingRegressor())
    assert is_classifier(classifier) and not is_regressor(classifier)
    assert is_regressor(regressor) and not is_classifier(regressor)
    methods = ["predict_proba", "predict_log_proba", "decision_function"]
    assert [hasattr(classifier, m) for m in methods] == [True] * 3
    assert [hasattr(regressor, m) for m in methods] == [False] * 3
    svm = ModalityDropout(make_linear(LinearSVC()))
    assert [hasattr(svm, m) for m in methods] == [False, False, True]
    assert not hasattr(regressor, "classes_")


def test_methods_are_delegated(small_multimodal):
    X, y, widths = small_multimodal
    y = np.array(["a", "b", "c"])[y]
    model = ModalityDropout(
        make_linear(LogisticRegression()), modalities=widths, random_state=0
    ).fit(X, y)
    inner = model.estimator_
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(inner, name)(X)
        assert_array_equal(getattr(model, name)(X), expected)
    assert model.score(X, y) == inner.score(X, y)
    weight = np.arange(60) % 2
    assert model.score(X, y, weight) == inner.score(X, y, weight)
    assert_array_equal(model.classes_, ["a", "b", "c"])


def test_frames_reach_the_estimator_as_frames(df_module, small_multimodal):
    X, y, _ = small_multimodal
    names = ["a__0", "a__1", "b__0", "b__1", "b__2", "c__0"]
    frame = df_module.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    model = ModalityDropout(Recorder(), random_state=0).fit(frame, y)
    given = model.estimator_.given_[0]
    model.predict(frame)
    for seen, n_rows in ((given, 120), (model.estimator_.asked_, 60)):
        assert isinstance(seen, df_module.DataFrame)
        assert list(seen.columns) == names
        assert seen.shape == (n_rows, 6)
    assert list(model.modalities_) == ["a", "b", "c"]


def test_several_targets(small_multimodal):
    X, y, widths = small_multimodal
    Y = np.column_stack([y, -y]).astype(float)
    model = ModalityDropout(make_linear(Ridge()), modalities=widths, random_state=0)
    assert model.fit(X, Y).predict(X).shape == (60, 2)


def test_estimator_must_accept_nan(small_multimodal):
    X, y, widths = small_multimodal
    model = ModalityDropout(LogisticRegression(), modalities=widths)
    with pytest.raises(ValueError, match="must accept NaN.*got LogisticRegression"):
        model.fit(X, y)
    model = ModalityDropout(make_linear(LogisticRegression()), modalities=widths)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.fit(X, np.zeros(60))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])


@pytest.mark.parametrize("dtype", [float, object])
def test_nan_in_y_is_named(dtype, small_multimodal):
    X, y, widths = small_multimodal
    y = y.astype(dtype)
    y[3] = np.nan
    model = ModalityDropout(HistGradientBoostingRegressor(), modalities=widths)
    with pytest.raises(
        ValueError, match="y must have no missing values|^Input contains NaN"
    ):
        model.fit(X, y)


def test_sample_weight_is_repeated(small_multimodal):
    X, y, widths = small_multimodal
    weight = np.arange(60) / 60
    model = ModalityDropout(Recorder(), modalities=widths).fit(X, y, weight)
    assert_array_equal(model.estimator_.given_[2], np.tile(weight, 2))
    model = ModalityDropout(make_linear(KNeighborsClassifier()), modalities=widths)
    with pytest.raises(ValueError, match="estimator=Pipeline does not take weights"):
        model.fit(X, y, weight)


def test_metadata_routing(small_multimodal):
    X, y, widths = small_multimodal
    weight = np.arange(60) / 60
    with sklearn.config_context(enable_metadata_routing=True):
        model = ModalityDropout(Recorder(), modalities=widths)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            model.fit(X, y, sample_weight=weight)
        model.estimator.set_fit_request(sample_weight=True)
        model.fit(X, y, sample_weight=weight)
        assert_array_equal(model.estimator_.given_[2], np.tile(weight, 2))
        model.estimator.set_score_request(sample_weight=True)
        found = model.fit(X, y).score(X, y, sample_weight=weight)
        assert found == pytest.approx(np.average(y == 0, weights=weight))


def test_grid_search(small_multimodal):
    X, y, widths = small_multimodal
    model = ModalityDropout(
        make_linear(LogisticRegression()), modalities=widths, random_state=0
    )
    grid = {"estimator__logisticregression__C": [1e-6, 1.0], "n_copies": [1, 2]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_params_["estimator__logisticregression__C"] == 1.0
