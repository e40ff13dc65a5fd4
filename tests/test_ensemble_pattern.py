"""One model per combination of modalities: which samples fit it, and which use it."""

import tracemalloc

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from skmissing._table import ModalityWarning
from skmissing.ensemble import PatternClassifier, PatternRegressor
from skmissing.ensemble._pattern import count_rows

PLAIN = LogisticRegression()
NAMES = ("modality0", "modality1", "modality2")


def presence_of(X, widths):
    blocks = np.split(X, np.cumsum(widths)[:-1], axis=1)
    return np.column_stack([~np.isnan(block).all(axis=1) for block in blocks])


@pytest.mark.parametrize("min_samples", [1, 35])
def test_largest_model_on_all_samples_that_contain_it(min_samples, small_multimodal):
    X, y, widths = small_multimodal
    model = PatternClassifier(
        PLAIN, modalities=widths, min_samples=min_samples, select="largest"
    ).fit(X, y)
    presence = presence_of(X, widths)
    occurring = {tuple(row) for row in presence}
    found = model.predict_proba(X)
    n_backed_off = 0
    for i, row in enumerate(presence):
        usable = []
        for pattern in np.ndindex(2, 2, 2):
            pattern = np.array(pattern, dtype=bool)
            rows = (presence | ~pattern).all(axis=1)
            single = pattern.sum() == 1
            if pattern.any() and not (pattern & ~row).any():
                if single or (
                    tuple(pattern) in occurring and rows.sum() >= min_samples
                ):
                    usable.append((pattern.sum(), rows.sum(), tuple(pattern)))
        _, _, best = max(usable)
        n_backed_off += best != tuple(row)
        rows = (presence | ~np.array(best)).all(axis=1)
        columns = np.repeat(best, widths)
        reference = clone(PLAIN).fit(X[rows][:, columns], y[rows])
        expected = reference.predict_proba(X[i : i + 1, columns])[0]
        assert_allclose(found[i], expected, rtol=1e-6)
    assert (n_backed_off > 0) == (min_samples == 35)


def test_attributes_agree(small_multimodal):
    X, y, widths = small_multimodal
    model = PatternClassifier(modalities=widths, min_samples=10).fit(X, y)
    presence = presence_of(X, widths)
    assert len(model.patterns_) == len(model.estimators_) == len(model.scores_)
    for names, n_rows in zip(model.patterns_, model.n_training_samples_):
        wanted = [NAMES.index(name) for name in names]
        assert n_rows == presence[:, wanted].all(axis=1).sum()
    assert (model.scores_ < 0).all()


def make_noisy_second(seed, n_rows=200):
    rng = np.random.RandomState(seed)
    y = rng.randint(2, size=n_rows)
    X = rng.standard_normal((n_rows, 62))
    X[:, :2] += 2 * y[:, None]
    X[rng.uniform(size=n_rows) < 0.7, 2:] = np.nan
    return X, y


def test_score_prefers_fewer_modalities_that_do_better(seed):
    X, y = make_noisy_second(seed)
    model = PatternClassifier(LogisticRegression(C=100), modalities=[2, 60]).fit(X, y)
    assert model.patterns_ == [("modality1",), ("modality0",), NAMES[:2]]
    assert model.scores_.argmax() == 1
    expected = model.estimators_[1].predict_proba(X[:, :2])
    assert_allclose(model.predict_proba(X), expected)


def test_combination_never_seen_in_training_backs_off(seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((80, 3))
    y = (X.sum(axis=1) > 0).astype(int)
    late = X[:10].copy()
    late[:, 2] = np.nan
    model = PatternClassifier(select="largest").fit(X, y)
    assert [len(names) for names in model.patterns_] == [1, 1, 1, 3]
    with pytest.warns(ModalityWarning, match="10 of 10 samples .* 1 combination of"):
        model.predict(late)
    every = PatternClassifier(patterns="all", select="largest").fit(X, y)
    assert len(every.patterns_) == 7
    expected = every.estimators_[every.patterns_.index(("x0", "x1"))]
    assert_allclose(every.predict_proba(late), expected.predict_proba(late[:, :2]))


def test_new_combination_where_all_were_asked_for(seed):
    X = np.random.RandomState(seed).standard_normal((40, 2))
    X[::2, 0] = X[1::2, 1] = np.nan
    model = PatternRegressor(patterns="all").fit(X, np.arange(40))
    with pytest.warns(ModalityWarning, match="fewer than min_samples=30 training"):
        model.predict([[0.0, 0.0]])


@pytest.mark.parametrize("chunk", [1, 40, 1 << 20])
def test_samples_are_counted_by_chunks(chunk, seed, monkeypatch):
    presence = np.random.RandomState(seed).uniform(size=(70, 5)) < 0.6
    candidates = np.random.RandomState(seed + 1).uniform(size=(12, 5)) < 0.4
    monkeypatch.setattr("skmissing.ensemble._pattern.CHUNK_CELLS", chunk)
    expected = [sum((row >= c).all() for row in presence) for c in candidates]
    assert_array_equal(count_rows(candidates, presence), expected)


def test_rare_combinations_take_no_memory(seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((3000, 20))
    X[rng.uniform(size=X.shape) < 0.5] = np.nan
    X[:, 0] = 1.0
    model = PatternRegressor(LinearRegression(), min_samples=10**6, select="largest")
    tracemalloc.start()
    model.fit(X, X[:, 0])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(model.patterns_) == 20
    assert most < 6_000_000


def test_very_many_models_warn(monkeypatch, seed):
    monkeypatch.setattr("skmissing.ensemble._pattern.MANY_MODELS", 4)
    X = np.random.RandomState(seed).standard_normal((40, 3))
    X[::4, 0] = X[1::4, 1] = X[2::4, 2] = np.nan
    model = PatternRegressor(LinearRegression(), select="largest", min_samples=9)
    with pytest.warns(
        ModalityWarning, match="7 combinations .* at least min_samples=9"
    ):
        model.fit(X, np.arange(40))
    model.set_params(patterns="all").fit(X, np.arange(40))


def test_rare_combination_backs_off_without_warning(small_multimodal):
    X, y, widths = small_multimodal
    model = PatternClassifier(modalities=widths, min_samples=50).fit(X, y)
    assert max(map(len, model.patterns_)) == 1
    model.predict(X)


def test_all_patterns_of_many_modalities_are_refused():
    X = np.random.RandomState(0).standard_normal((20, 11))
    with pytest.raises(ValueError, match="patterns='all' .* at most 10; got 11"):
        PatternRegressor(patterns="all").fit(X, X[:, 0])


def test_all_patterns_of_modalities_seen(small_multimodal):
    X, y, widths = small_multimodal
    X = np.column_stack([X, np.full(60, np.nan)])
    with pytest.warns(ModalityWarning, match="modality3"):
        model = PatternClassifier(modalities=[*widths, 1], patterns="all").fit(X, y)
    assert len(model.patterns_) == 7
    assert all("modality3" not in names for names in model.patterns_)


def test_samples_without_modality(small_multimodal):
    X, y, widths = small_multimodal
    classifier = PatternClassifier(modalities=widths).fit(X, y)
    regressor = PatternRegressor(modalities=widths).fit(X, y)
    X[:3] = np.nan
    counts = np.bincount(y)
    with pytest.warns(ModalityWarning, match="3 of 60 .* the class frequencies"):
        found = classifier.predict_proba(X)[:3]
    assert_allclose(found, np.tile(counts / 60, (3, 1)))
    with pytest.warns(ModalityWarning, match="3 of 60 .* the most frequent class"):
        assert (classifier.predict(X)[:3] == counts.argmax()).all()
    with pytest.warns(ModalityWarning, match="3 of 60 samples .* the mean target"):
        assert_allclose(regressor.predict(X)[:3], y.mean())


def test_classifier_without_probabilities(small_multimodal):
    X, y, widths = small_multimodal
    y = np.array(["a", "b", "c"])[y]
    model = PatternClassifier(LinearSVC(), modalities=widths, min_samples=10).fit(X, y)
    assert ((model.scores_ >= 0) & (model.scores_ <= 1)).all()
    assert model.score(X, y) > 0.8
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")


def test_one_score_for_models_and_dummies(seed):
    rng = np.random.RandomState(seed)
    X, y = rng.standard_normal((300, 2)), np.zeros(300, dtype=int)
    X[:100, 0] = X[100:200, 1] = np.nan
    y[200:] = 1
    model = PatternClassifier(LinearSVC(), modalities=[1, 1]).fit(X, y)
    assert isinstance(model.estimators_[2], DummyClassifier)
    assert model.scores_[2] == 1
    assert (model.predict(X[200:]) == 1).all()


def test_class_unseen_by_a_model(seed):
    """Its probability is one over the model's samples plus the number of classes."""
    rng = np.random.RandomState(seed)
    y = np.arange(90) % 3
    X = rng.standard_normal((90, 2)) + 3 * y[:, None]
    X[y == 2, 0] = np.nan
    X[y < 2, 1] = np.nan
    model = PatternClassifier(PLAIN, select="largest").fit(X, y)
    found = model.predict_proba([[0.0, np.nan], [np.nan, 0.0]])
    assert_allclose(found[0, 2], 1 / 63)
    # In the second modality, there is only class 2.
    assert_allclose(found[1], [1 / 33, 1 / 33, 31 / 33])


def test_regressor_is_least_squares_on_its_samples(small_multimodal, seed):
    X, _, widths = small_multimodal
    y = np.random.RandomState(seed).standard_normal(60)
    model = PatternRegressor(
        LinearRegression(), modalities=widths, min_samples=1, select="largest"
    ).fit(X, y)
    rows = ~np.isnan(X).any(axis=1)
    expected = LinearRegression().fit(X[rows], y[rows]).predict(X[rows])
    assert_allclose(model.predict(X[rows]), expected)
    assert np.isnan(model.scores_).all()


def test_scores_of_regressor_are_held_out_errors(seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((40, 2))
    y = X[:, 0] + 0.1 * rng.standard_normal(40)
    halves = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    model = PatternRegressor(Ridge(), cv=halves).fit(X, y)
    for names, score in zip(model.patterns_, model.scores_):
        columns = [int(name[1]) for name in names]
        errors = [
            (Ridge().fit(X[a][:, columns], y[a]).predict(X[b][:, columns]) - y[b]) ** 2
            for a, b in halves
        ]
        assert_allclose(score, -np.mean(errors))


def test_grid_search_jobs_and_multilabel(small_multimodal):
    X, y, widths = small_multimodal
    model = PatternClassifier(
        LogisticRegression(), modalities=widths, select="largest", min_samples=10
    )
    search = GridSearchCV(model, {"estimator__C": [1e-6, 1.0]}, cv=2).fit(X, y)
    assert search.best_params_ == {"estimator__C": 1.0}
    expected = model.fit(X, y).predict_proba(X)
    with parallel_config(backend="threading"):
        found = clone(model).set_params(n_jobs=2).fit(X, y).predict_proba(X)
    assert_array_equal(found, expected)
    Y = np.column_stack([y == 0, y > 0]).astype(int)
    with pytest.raises(ValueError, match="OneVsRestClassifier\\(PatternClassifier"):
        model.fit(X, Y)
    found = OneVsRestClassifier(model).fit(X, Y).predict(X)
    assert (found == Y).mean() > 0.9
