"""Late fusion compared with models fitted one by one, and unusual input."""

import warnings

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmissing._table import ModalityWarning
from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor

from .estimators import expected_failed_checks

BLOCKS = [slice(0, 2), slice(2, 5), slice(5, 6)]
PLAIN = LogisticRegression()


def target_of(X, rng):
    return np.nan_to_num(X[:, [0, 2, 5]]).sum(axis=1) + 0.1 * rng.standard_normal(60)


def expected_failures(estimator):
    reasons = dict(expected_failed_checks(estimator))
    if isinstance(estimator, LateFusionRegressor):
        reasons["check_regressors_train"] = "an average of one-column models shrinks"
    return reasons


@parametrize_with_checks(
    [
        LateFusionClassifier("linear", combine="mean"),
        LateFusionRegressor("linear", combine="variance", cv=2),
    ],
    expected_failed_checks=expected_failures,
)
def test_estimator_checks_of_other_rules(estimator, check):
    check(estimator)


def votes(X, y):
    """Probabilities and class frequencies of each block's own logistic regression."""
    said = np.full((3, len(X), 3), np.nan)
    frequencies = np.zeros((3, 3))
    for m, block in enumerate(BLOCKS):
        rows = ~np.isnan(X[:, block]).any(axis=1)
        said[m, rows] = (
            clone(PLAIN).fit(X[rows, block], y[rows]).predict_proba(X[rows, block])
        )
        frequencies[m] = np.bincount(y[rows], minlength=3) / rows.sum()
    return said, frequencies


def test_log_rule_is_the_product_of_ratios(small_multimodal):
    X, y, widths = small_multimodal
    said, frequencies = votes(X, y)
    prior = np.bincount(y) / len(y)
    model = LateFusionClassifier(PLAIN, modalities=widths, combine="log").fit(X, y)
    for i, found in enumerate(model.predict_proba(X)):
        expected = prior.copy()
        for m in range(3):
            if not np.isnan(said[m, i, 0]):
                floored = np.maximum(said[m, i], 0.01 / 3)
                expected *= floored / frequencies[m]
        assert_allclose(found, expected / expected.sum())


def test_mean_rule_is_the_mean(small_multimodal):
    X, y, widths = small_multimodal
    said, _ = votes(X, y)
    model = LateFusionClassifier(PLAIN, modalities=widths, combine="mean").fit(X, y)
    assert_allclose(model.predict_proba(X), np.nanmean(said, axis=0))


def test_one_modality_is_the_estimator(small_multimodal):
    X, y, _ = small_multimodal
    X = np.nan_to_num(X)
    expected = clone(PLAIN).set_params(C=0.1).fit(X, y).predict_proba(X)
    for combine in ("log", "mean"):
        model = LateFusionClassifier(
            LogisticRegression(C=0.1), modalities=[6], combine=combine
        )
        found = model.fit(X, y).predict_proba(X)
        assert_allclose(found, expected, atol=0.01)


def make_twins(seed, n_rows=400):
    rng = np.random.RandomState(seed)
    x = rng.standard_normal((n_rows, 3))
    y = (x.sum(axis=1) + 2 * rng.standard_normal(n_rows) > 0).astype(int)
    X = np.hstack([x, x])
    X[: n_rows // 4, :3] = np.nan
    X[n_rows // 4 : n_rows // 2, 3:] = np.nan
    return X, y


def test_stacking_corrects_overconfidence(seed):
    X, y = make_twins(seed, 2000)
    losses = {}
    for combine in ("log", "stacked"):
        model = LateFusionClassifier(PLAIN, modalities=[3, 3], combine=combine)
        said = model.fit(X[::2], y[::2]).predict_proba(X[1::2])
        losses[combine] = log_loss(y[1::2], said)
    assert losses["stacked"] < losses["log"]
    assert model.count_weights_[1] < 0.8 * model.count_weights_[0]


def test_complete_training_samples_teach_about_fewer(seed):
    X, y = make_twins(seed, 2000)
    model = LateFusionClassifier(PLAIN, modalities=[3, 3]).fit(X[1000:], y[1000:])
    one, two = model.modality_weights_[0] * model.count_weights_
    assert 0.7 < one < 1.4
    assert two < 0.7 * one


def test_order_of_modalities_does_not_matter(small_multimodal):
    """Without stacking, renaming and reordering the groups changes nothing."""
    X, y, widths = small_multimodal
    first = LateFusionClassifier("linear", modalities=widths, combine="log").fit(X, y)
    layout = {"c": [5], "a": [4, 2, 3], "b": slice(0, 2)}
    second = LateFusionClassifier("linear", modalities=layout, combine="log").fit(X, y)
    assert_allclose(first.predict_proba(X), second.predict_proba(X), rtol=1e-4)
    assert list(second.named_estimators_) == ["c", "a", "b"]


@pytest.mark.parametrize("combine", ["stacked", "log", "mean"])
def test_samples_without_modality_get_class_frequencies(combine, small_multimodal):
    X, y, widths = small_multimodal
    model = LateFusionClassifier(
        "linear", modalities=widths, combine=combine, cv=2
    ).fit(X, y)
    gone = X.copy()
    gone[:4] = np.nan
    with pytest.warns(ModalityWarning, match="4 of 60 samples have no observed"):
        found = model.predict_proba(gone)
    assert_allclose(found[:4], np.tile(np.bincount(y) / 60, (4, 1)))
    with pytest.warns(ModalityWarning, match="4 of 60 samples .* left out of"):
        refitted = clone(model).fit(gone, y)
    expected = clone(model).fit(X[4:], y[4:]).predict_proba(X)
    assert_allclose(refitted.predict_proba(X), expected)


@pytest.mark.parametrize("combine", ["stacked", "variance", "mean"])
def test_samples_without_modality_get_mean_target(combine, small_multimodal):
    X, y, widths = small_multimodal
    model = LateFusionRegressor("linear", modalities=widths, combine=combine, cv=2).fit(
        X, y
    )
    X[:4] = np.nan
    with pytest.warns(ModalityWarning, match="4 of 60 samples .* the mean target"):
        assert_allclose(model.predict(X)[:4], y.mean())


@pytest.mark.parametrize("cls", [LateFusionClassifier, LateFusionRegressor])
def test_modality_never_seen_is_ignored(cls, small_multimodal):
    X, y, widths = small_multimodal
    X[:, 5] = np.nan
    X, y = X[~np.isnan(X).all(axis=1)], y[~np.isnan(X).all(axis=1)]
    with pytest.warns(ModalityWarning, match="1 of 3 modalities are not .*modality2"):
        model = cls("linear", modalities=widths).fit(X, y)
    assert list(model.named_estimators_) == ["modality0", "modality1"]
    expected = model.predict(X)
    X[:, 5] = 1e3
    with pytest.warns(ModalityWarning, match="not observed in fit are ignored"):
        assert_array_equal(model.predict(X), expected)


def test_no_sample_with_a_modality_is_refused():
    X = np.full((6, 2), np.nan)
    with pytest.raises(ValueError, match="observed modality .*none of its 6 samples"):
        LateFusionClassifier().fit(X, [0, 1] * 3)


@pytest.mark.parametrize("combine", ["stacked", "log", "mean"])
def test_class_unseen_by_a_modality(combine, seed):
    rng = np.random.RandomState(seed)
    y = np.array(["a", "b", "c"], dtype=object)[np.arange(90) % 3]
    X = rng.standard_normal((90, 4)) + 3 * (np.arange(90) % 3)[:, None]
    X[y == "c", :2] = np.nan
    model = LateFusionClassifier("linear", modalities=[2, 2], combine=combine).fit(X, y)
    assert list(model.named_estimators_["modality0"].classes_) == [0, 1]
    assert model.score(X, y) > 0.9
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_unseen_class_ratio_is_one():
    """In the log rule its probability stays what the other modality makes it."""
    y = np.arange(60) % 3
    X = np.column_stack([y % 2 + 0.1 * np.arange(60) % 1, y]).astype(float)
    X[y == 2, 0] = np.nan
    model = LateFusionClassifier(PLAIN, modalities=[1, 1], combine="log").fit(X, y)
    both, second = model.predict_proba([[0.0, 2.0], [np.nan, 2.0]])
    ratio = both / second
    # The ratio of class 2 is 1 before normalising, like its modality's p over prior.
    said = model.named_estimators_["modality0"].predict_proba([[0.0]])[0] * (1 - 1 / 43)
    expected = np.append(said / (0.5 * (1 - 1 / 43)), 1)
    assert_allclose(ratio / ratio[2], expected)


def test_modality_of_one_class_is_no_evidence():
    y = np.arange(40) % 2
    X = np.column_stack([np.where(y == 1, np.arange(40), np.nan), y])
    model = LateFusionClassifier(PLAIN, modalities=[1, 1], combine="log").fit(X, y)
    assert isinstance(model.named_estimators_["modality0"], DummyClassifier)
    found = model.predict_proba([[5.0, 1.0], [np.nan, 1.0]])
    assert_allclose(found[0], found[1])


def test_missing_cells_are_filled_with_column_means(small_multimodal):
    X, y, widths = small_multimodal
    model = LateFusionClassifier("linear", modalities=widths).fit(X, y)
    gap, mean = X[:1].copy(), X[:1].copy()
    gap[0, :5] = mean[0, :5] = 1.0
    gap[0, 3] = np.nan
    mean[0, 3] = np.nanmean(X[:, 3])
    assert_allclose(model.predict_proba(gap), model.predict_proba(mean))


def test_missing_cells_are_left_to_estimators_that_accept_them(small_multimodal):
    X, y, widths = small_multimodal
    X[::3, 3] = np.nan
    inner = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=3)
    model = LateFusionClassifier(inner, modalities=widths, combine="mean").fit(X, y)
    rows = ~np.isnan(X[:, 2:5]).all(axis=1)
    expected = clone(inner).fit(X[rows, 2:5], y[rows]).predict_proba(X[rows, 2:5])
    found = model.named_estimators_["modality1"].predict_proba(X[rows, 2:5])
    assert_array_equal(found, expected)


def test_empty_column_warns(small_multimodal):
    X, y, widths = small_multimodal
    X[:, 3] = np.nan
    with pytest.warns(ModalityWarning, match="1 column has no observed cell"):
        LateFusionClassifier("linear", modalities=widths).fit(X, y)


def test_multilabel_is_referred_to_one_vs_rest(small_multimodal):
    X, y, widths = small_multimodal
    Y = np.column_stack([y == 0, y > 0]).astype(int)
    model = LateFusionClassifier("linear", modalities=widths)
    with pytest.raises(ValueError, match="multilabel .*OneVsRestClassifier"):
        model.fit(X, Y)
    found = OneVsRestClassifier(model).fit(X, Y).predict_proba(X)
    assert found.shape == (60, 2)
    assert ((found > 0.5) == Y).mean() > 0.9


def test_several_targets_by_multioutput(small_multimodal):
    X, y, widths = small_multimodal
    Y = np.column_stack([y, -2.0 * y])
    model = MultiOutputRegressor(LateFusionRegressor("linear", modalities=widths)).fit(
        X, Y
    )
    assert_allclose(model.predict(X) @ [2, 1], np.zeros(60), atol=1e-6)


def test_metadata_routing(small_multimodal):
    X, y, widths = small_multimodal
    weight = np.arange(60) % 3
    model = LateFusionClassifier("linear", modalities=widths)
    expected = model.fit(X, y, sample_weight=weight).predict_proba(X)
    with sklearn.config_context(enable_metadata_routing=True):
        found = model.fit(X, y, sample_weight=weight).predict_proba(X)
        assert_array_equal(found, expected)
        model.set_params(estimator=LogisticRegression())
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            model.fit(X, y, sample_weight=weight)
        model.estimator.set_fit_request(sample_weight=True)
        model.fit(X, y, sample_weight=weight)
        model.set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"estimator__C": [1.0]}, cv=2)
        search.fit(X, y, sample_weight=weight)


def test_estimator_without_probabilities_is_refused(small_multimodal):
    X, y, widths = small_multimodal
    match = "must have predict_proba or decision_function; got Ridge"
    with pytest.raises(ValueError, match=match):
        LateFusionClassifier([("ridge", Ridge())], modalities=widths).fit(X, y)


def test_forgotten_layout_warns():
    X = np.random.RandomState(0).standard_normal((12, 257))
    model = LateFusionRegressor(Ridge(), combine="mean")
    with pytest.warns(ModalityWarning, match="257 columns .* modalities=None"):
        model.fit(X, X[:, 0])


@pytest.mark.parametrize(
    "cv", [KFold(3), ShuffleSplit(2, test_size=0.3, random_state=0)]
)
def test_folds_of_the_user_refer_to_the_samples_given(cv, small_multimodal):
    X, y, widths = small_multimodal
    weight = np.ones(60)
    weight[::7] = 0
    splits = list(cv.split(X, y))
    for cls in (LateFusionClassifier, LateFusionRegressor):
        first = cls("linear", modalities=widths, cv=cv).fit(X, y, weight).predict(X)
        second = (
            cls("linear", modalities=widths, cv=splits).fit(X, y, weight).predict(X)
        )
        assert_array_equal(first, second)


def test_grid_search_and_jobs(small_multimodal):
    X, y, widths = small_multimodal
    y = np.array(["zero", "one", "two"])[y]
    model = LateFusionClassifier(LogisticRegression(), modalities=widths)
    search = GridSearchCV(model, {"estimator__C": [1e-6, 1.0]}, cv=2).fit(X, y)
    assert search.best_params_ == {"estimator__C": 1.0}
    expected = model.fit(X, y).predict_proba(X)
    with parallel_config(backend="threading"):
        found = model.set_params(n_jobs=2).fit(X, y).predict_proba(X)
    assert_array_equal(found, expected)


def test_variance_rule_is_the_weighted_mean(small_multimodal, seed):
    X, _, widths = small_multimodal
    y = target_of(X, np.random.RandomState(seed))
    halves = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    model = LateFusionRegressor(
        Ridge(), modalities=widths, combine="variance", cv=halves
    ).fit(X, y)
    said, errors = np.full((60, 3), np.nan), np.full((60, 3), np.nan)
    for m, block in enumerate(BLOCKS):
        rows = ~np.isnan(X[:, block]).any(axis=1)
        said[rows, m] = Ridge().fit(X[rows, block], y[rows]).predict(X[rows, block])
        for inside, outside in halves:
            near, far = inside[rows[inside]], outside[rows[outside]]
            held = Ridge().fit(X[near, block], y[near]).predict(X[far, block])
            errors[far, m] = (held - y[far]) ** 2
    trust = ~np.isnan(said) / np.nanmean(errors, axis=0)
    expected = np.nansum(said * trust, axis=1) / trust.sum(axis=1)
    assert_allclose(model.predict(X), expected)
    assert_allclose(model.error_variances_, np.nanmean(errors, axis=0))


def test_mean_rule_of_numbers(small_multimodal, seed):
    X, _, widths = small_multimodal
    y = target_of(X, np.random.RandomState(seed))
    model = LateFusionRegressor(Ridge(), modalities=widths, combine="mean").fit(X, y)
    said = np.full((60, 3), np.nan)
    for m, block in enumerate(BLOCKS):
        rows = ~np.isnan(X[:, block]).any(axis=1)
        said[rows, m] = Ridge().fit(X[rows, block], y[rows]).predict(X[rows, block])
    assert_allclose(model.predict(X), np.nanmean(said, axis=1))
    assert np.isnan(model.error_variances_).all()


def test_stacking_adds_what_is_additive(seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((600, 4))
    y = X[:, 0] + X[:, 2]
    scores = {}
    for combine in ("stacked", "variance"):
        model = LateFusionRegressor(
            LinearRegression(), modalities=[2, 2], combine=combine
        )
        scores[combine] = model.fit(X[:300], y[:300]).score(X[300:], y[300:])
    assert scores["stacked"] > 0.95
    assert scores["variance"] < 0.85


def test_stacking_shares_between_twins(seed):
    X, _ = make_twins(seed, 2000)
    y = np.nanmean(X.reshape(-1, 2, 3), axis=1).sum(axis=1)
    model = LateFusionRegressor(LinearRegression(), modalities=[3, 3]).fit(X, y)
    assert_allclose(model.predict(X), y, atol=0.2)
    assert model.covariance_.shape == (3, 3)


def test_constant_target_is_predicted(small_multimodal):
    X, _, widths = small_multimodal
    for combine in ("stacked", "variance", "mean"):
        model = LateFusionRegressor("linear", modalities=widths, combine=combine)
        found = model.fit(X, np.full(60, 7.0)).predict(X)
        assert_allclose(found, 7)


@pytest.mark.parametrize("draw", [431, 452, 2586])
def test_few_float32_samples_do_not_blow_up(draw):
    """Bayesian ridge in single precision predicted up to 1e10 for repeated samples."""
    rng = np.random.RandomState(draw)
    widths = rng.randint(1, 5, size=rng.randint(1, 4))
    n_rows = rng.randint(12, 25)
    presence = rng.rand(n_rows, len(widths)) < 0.5
    presence[:2, 0] = True
    group = np.arange(n_rows) % 2
    X = rng.standard_normal((n_rows, widths.sum())) + 3 * group[:, None]
    X *= 10.0 ** rng.randint(-3, 4)
    X += rng.choice([0, 0, 100]) * X.std()
    X[~np.repeat(presence, widths, axis=1)] = np.nan
    X = X.astype(np.float32)
    y = group + 0.1 * np.nan_to_num(X).sum(axis=1, dtype=float)
    times = rng.randint(0, 3, size=n_rows)
    times[:4] = 1
    rows = np.repeat(np.arange(n_rows), times)
    model = LateFusionRegressor("linear", modalities=list(widths), cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalityWarning)
        found = model.fit(X[rows], y[rows]).predict(X)
    assert np.abs(found).max() < 20 * np.abs(y).max()
