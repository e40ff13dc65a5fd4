"""LateFusionSurvival. Left out if scikit-survival is not installed."""

import pickle
import sys
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sksurv.ensemble import RandomSurvivalForest
from sksurv.linear_model import CoxPHSurvivalAnalysis, IPCRidge
from sksurv.metrics import as_integrated_brier_score_scorer, integrated_brier_score
from sksurv.util import Surv

from skmissing.ensemble import LateFusionSurvival
from skmissing.ensemble._stacking import joint_covariance, scatters_of
from skmissing.ensemble._survival import fit_weights
from skmissing.inspection import modality_importance, score_by_pattern

LAYOUT = {"lab": 2, "scan": 3}
COX = CoxPHSurvivalAnalysis(alpha=10)


def make_data(n=80, missing=True):
    """Times with ties; the first column of each modality raises the hazard."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n, 5))
    time = rng.exponential(np.exp(-X[:, 0] - X[:, 2])).round(2) + 0.01
    y = Surv.from_arrays(event=time < 2, time=np.minimum(time, 2), name_time="days")
    if missing:
        gone = rng.randint(3, size=n)
        X[gone == 1, :2] = X[gone == 2, 2:] = np.nan
    return X, y


def make_model(**params):
    params = {"estimator": COX, "modalities": LAYOUT, "cv": 3, **params}
    return LateFusionSurvival(**params)


def slow_loss(w, Z, event, time, alpha):
    """Penalised partial likelihood by loops."""
    eta, loss = Z @ w, alpha / 2 * (w @ w)
    for i in np.flatnonzero(event):
        at_risk = [np.exp(eta[j]) for j in range(len(eta)) if time[j] >= time[i]]
        loss += np.log(sum(at_risk)) - eta[i]
    return loss


class FirstColumn(BaseEstimator):
    """Its risk is 3 times the first column minus 1; notes what it is fitted to."""

    seen = []

    def fit(self, X, y):
        self.seen.append(X[:, 0].tolist())
        return self

    def predict(self, X):
        return 3 * X[:, 0] - 1


# ------------------------------------------------------------------------- weights


def test_weights_by_loops():
    """No change of the weights that leaves them at 0 or more lowers the loss."""
    X, y = make_data(40, missing=False)
    Z = X[:, [0, 1, 2]] * [1, 1, -1]
    w = fit_weights(Z, y["event"], y["days"], 2.0)
    best = slow_loss(w, Z, y["event"], y["days"], 2.0)
    assert w[0] > 0 and w[2] == 0
    for change in product([-1e-3, 0, 1e-3], repeat=3):
        other = np.maximum(w + change, 0)
        assert slow_loss(other, Z, y["event"], y["days"], 2.0) >= best - 1e-12


def test_positive_weights_are_those_of_scikit_survival():
    X, y = make_data(missing=False)
    cox = CoxPHSurvivalAnalysis(alpha=0.5).fit(X[:, [0, 2]], y)
    w = fit_weights(X[:, [0, 2]], y["event"], y["days"], 0.5)
    assert_allclose(w, cox.coef_, rtol=1e-5)


def test_weights_by_hand():
    """One other sample is at risk at the only event, so 1 / (1 + exp(w)) = alpha w."""
    Z, event, time = np.array([[1.0], [0.0], [5.0]]), [True, False, False], [2, 3, 1]
    w = fit_weights(Z, np.array(event), np.array(time), 0.1)
    assert_allclose(1 / (1 + np.exp(w)), 0.1 * w, rtol=1e-6)


def test_outliers_do_not_overflow():
    event = np.array([True, True, False])
    w = fit_weights(np.array([[1e6], [0.0], [1.0]]), event, np.arange(3.0), 1.0)
    assert np.isfinite(w).all()


# -------------------------------------------------------------------------- fusion


def expected(Z, covariance):
    """Z in which missing risks are the expected ones, by loops."""
    out = Z.copy()
    for z in out:
        seen = ~np.isnan(z)
        inner = covariance[np.ix_(seen, seen)]
        z[~seen] = covariance[np.ix_(~seen, seen)] @ np.linalg.solve(inner, z[seen])
    return out


def test_risk_is_the_weighted_sum_of_standardised_held_out_risks():
    """Everything by hand, with models that do not learn."""
    X, y = make_data()
    model = make_model(estimator=FirstColumn()).fit(X, y)
    Z, held = np.zeros((2, len(X), 2))
    splits = list(StratifiedKFold(3).split(X, y["event"]))
    for m, column in enumerate([0, 2]):
        x = X[:, column]
        for inside, outside in splits:
            mean, deviation = np.nanmean(x[inside]), np.nanstd(x[inside])
            held[outside, m] = (x[outside] - mean) / deviation
        Z[:, m] = (x - np.nanmean(x)) / np.nanstd(x)
    covariance = joint_covariance(scatters_of(held, np.ones(len(X))))
    assert_allclose(model.covariance_, covariance)
    held, Z = expected(held, covariance), expected(Z, covariance)
    cox = CoxPHSurvivalAnalysis(alpha=1).fit(held, y)
    assert_allclose(model.modality_weights_, cox.coef_, rtol=1e-5)
    assert_allclose(model.predict(X), Z @ cox.coef_, rtol=1e-5)
    for name in ("predict_survival_function", "predict_cumulative_hazard_function"):
        values = getattr(cox, name)(Z, return_array=True)
        assert_allclose(getattr(model, name)(X, return_array=True), values, rtol=1e-4)
        function = getattr(model, name)(X[:1])[0]
        assert_allclose(function(model.unique_times_), values[0], rtol=1e-4)


def test_a_copy_of_a_modality_can_replace_it():
    """Risks of both are equal, so the expected one is almost the observed one."""
    X, y = make_data(500, missing=False)
    X = X[:, [0, 1, 0, 1]]
    model = make_model(modalities={"a": 2, "b": 2}).fit(X, y)
    complete = model.predict(X)
    X[::2, :2] = X[1::2, 2:] = np.nan
    assert_allclose(model.predict(X), complete, atol=0.05 * complete.std())


def test_one_complete_modality_ranks_as_its_model():
    X, y = make_data(missing=False)
    model = make_model(modalities={"all": 5}).fit(X, y)
    cox = clone(COX).fit(X, y)
    assert_array_equal(model.predict(X).argsort(), cox.predict(X).argsort())
    assert model.score(X, y) == cox.score(X, y) > 0.7
    assert_array_equal(model.estimators_[0].coef_, cox.coef_)


def test_order_of_samples_and_modalities():
    X, y = make_data()
    folds = np.arange(len(X)) % 3
    cv = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(3)]
    model = make_model(cv=cv).fit(X, y)
    expected = model.predict(X)
    order = np.random.RandomState(1).permutation(len(X))
    place = order.argsort()
    moved = [tuple(np.sort(place[part]) for part in split) for split in cv]
    other = make_model(cv=moved).fit(X[order], y[order])
    assert_allclose(other.predict(X), expected, rtol=1e-4, atol=1e-6)
    columns = [2, 3, 4, 0, 1]
    other = make_model(cv=cv, modalities={"scan": 3, "lab": 2}).fit(X[:, columns], y)
    assert_allclose(other.predict(X[:, columns]), expected, rtol=1e-4, atol=1e-6)
    # New samples do not depend on each other.
    assert_allclose(np.concatenate([model.predict(X[[i]]) for i in range(9)]),
                    expected[:9], rtol=1e-12)  # fmt: skip


def test_held_out_samples_are_not_fitted():
    X, y = make_data()
    FirstColumn.seen.clear()
    groups = np.arange(len(X)) // 8
    cv = GroupKFold(2)
    make_model(estimator=FirstColumn(), cv=cv).fit(X, y, groups=groups)
    splits = [train for train, _ in cv.split(X, groups=groups)]
    rows = [np.arange(len(X)), *splits]
    expected = [X[r, c] for c in (0, 2) for r in rows]
    assert FirstColumn.seen == [x[~np.isnan(x)].tolist() for x in expected]


def test_noise_gets_no_weight_by_held_out_risks():
    """Forests fit noise perfectly, but not on held-out samples."""
    X, y = make_data(missing=False)
    noise = np.random.RandomState(1).standard_normal((len(X), 3))
    X = np.column_stack([X[:, [0, 2]], noise])
    forest = RandomSurvivalForest(10, min_samples_leaf=2, random_state=0)
    model = make_model(estimator={"lab": COX, "scan": forest}).fit(X, y)
    assert model.named_estimators_.scan.score(noise, y) > 0.8
    assert model.modality_weights_[1] < 0.2 * model.modality_weights_[0]


def test_models_that_predict_times():
    X, y = make_data(missing=False)
    model = make_model(estimator=make_pipeline(IPCRidge(alpha=1.0))).fit(X, y)
    assert (model.modality_weights_ > 0.1).all()
    assert model.score(X, y) > 0.7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_partially_observed_modalities_and_single_precision(dtype):
    X, y = make_data()
    X = X.astype(dtype)
    X[:5, 1] = np.nan
    filled = X.copy()
    rows = ~np.isnan(X[:, 0]) & np.isnan(X[:, 1])
    filled[rows, 1] = np.nanmean(X[:, 1], dtype=np.float64)
    assert rows.any()
    model, other = make_model().fit(X, y), make_model().fit(filled, y)
    assert_allclose(model.predict(X), other.predict(filled), rtol=1e-4)


# ---------------------------------------------------------------- missing and faults


def test_samples_without_modalities():
    X, y = make_data()
    empty = np.vstack([X, np.full((2, 5), np.nan)])
    with pytest.warns(UserWarning, match="2 of 82 samples.*left out of training"):
        model = make_model().fit(empty, np.append(y, y[:2]))
    assert_array_equal(model.predict(X), make_model().fit(X, y).predict(X))
    with pytest.warns(UserWarning, match="given the average risk of training, 0"):
        assert model.predict(empty)[-1] == 0


def test_modality_without_an_event():
    X, y = make_data()
    X = np.column_stack([X, np.where(y["event"], np.nan, 1.0)])
    layout = {**LAYOUT, "late": 1}
    with pytest.warns(UserWarning, match="all samples with 'late' are censored"):
        model = make_model(modalities=layout).fit(X, y)
    assert list(model.named_estimators_) == ["lab", "scan"]
    assert model.modality_weights_[2] == 0
    expected = make_model().fit(X[:, :5], y).predict(X[:, :5])
    with pytest.warns(UserWarning, match="'late'"):
        assert_allclose(model.predict(X), expected, rtol=1e-5)


def test_samples_that_are_never_held_out():
    X, y = make_data()
    half = np.arange(40), np.arange(40, 80)
    with pytest.warns(UserWarning, match="40 of 80 samples have no held-out risk"):
        make_model(cv=[half]).fit(X, y)
    censored = np.flatnonzero(~y["event"])
    events = np.flatnonzero(y["event"])
    with pytest.raises(ValueError, match="cv must hold out a sample with an event"):
        make_model(cv=[(events, censored)]).fit(X, y)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda y: y["days"], "y must be a structured array"),
        (lambda y: y[:, None], r"y must have the shape \(n_samples,\); got .*80, 1"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: Surv.from_arrays(np.zeros(80, bool), y["days"]), "must have an ev"),
        (
            lambda y: Surv.from_arrays(y["event"], -y["days"]),
            "y must be .*smaller zero",
        ),
        (
            lambda y: Surv.from_arrays(y["event"], y["days"] * np.nan),
            "y must be .*contains NaN",
        ),
    ],
)
def test_bad_targets(change, words):
    X, y = make_data()
    model = make_model().fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=words):
        model.fit(X, change(y))
    assert vars(model) == before


def test_bad_parameters():
    X, y = make_data()
    with pytest.raises(ValueError, match="one survival model per modality, 'lab', 'sc"):
        make_model(estimator={"lab": COX}).fit(X, y)
    with pytest.raises(ValueError, match="one survival model per modality"):
        make_model(estimator={"lab": COX, "scan": "cox"}).fit(X, y)
    with pytest.raises(ValueError, match="'alpha' parameter"):
        make_model(alpha=0).fit(X, y)
    with pytest.raises(ValueError, match="must be finite"):
        make_model(estimator=Broken(np.full(80, np.nan))).fit(X, y)
    for found in (np.zeros(3), np.zeros((80, 2)), np.full(80, "a")):
        with pytest.raises(ValueError, match="must predict one number per sample; Bro"):
            make_model(estimator=Broken(found)).fit(X, y)
    with pytest.raises(NotFittedError, match="LateFusionSurvival"):
        make_model().predict_survival_function(X)


class Broken(FirstColumn):
    def __init__(self, found=None):
        self.found = found

    def predict(self, X):
        return self.found[: len(X)]


def test_score_of_bad_targets():
    X, y = make_data()
    model = make_model().fit(X, y)
    censored = Surv.from_arrays(np.zeros(80, bool), y["days"])
    for given, words in (
        (y["days"], "y must be a structured array"),
        (y[:3], r"y must have as many samples as X \(80\); got 3"),
        (censored, "y must have .* an event; got 80 samples and 0 events"),
    ):
        with pytest.raises(ValueError, match=words):
            model.score(X, given)


def test_folds_without_a_held_out_sample_of_a_modality():
    X, y = make_data(missing=False)
    X[:60, 2:] = np.nan
    folds = [(np.arange(20, 80), np.arange(20)), (np.arange(60), np.arange(60, 80))]
    folds.append((np.r_[:20, 50:80], np.arange(20, 50)))
    model = make_model(cv=[*folds, (np.r_[:50, 60:80], np.arange(50, 60))]).fit(X, y)
    assert list(model.named_estimators_) == ["lab", "scan"]


# --------------------------------------------------------------------- scikit-learn


def test_scikit_learn():
    """Its checks have no structured y."""
    X, y = make_data()
    model = make_model(n_jobs=2)
    assert_array_equal(
        clone(model).fit(X, y).predict(X), make_model().fit(X, y).predict(X)
    )
    search = GridSearchCV(model, {"estimator__alpha": [1, 100], "alpha": [1]}, cv=2)
    search.fit(X, y)
    assert search.cv_results_["mean_test_score"].min() > 0.55
    best = search.best_estimator_
    assert best.estimator.alpha == search.best_params_["estimator__alpha"]
    twin = pickle.loads(pickle.dumps(best))
    assert_array_equal(twin.predict(X), best.predict(X))
    assert cross_val_predict(model, X, y, cv=2).shape == (80,)
    assert model.get_params()["estimator__alpha"] == 10
    assert set(model.get_params(deep=False)) == {
        "alpha", "cv", "estimator", "modalities", "n_jobs"
    }  # fmt: skip
    with pytest.raises(ValueError, match="X has 4 features"):
        best.predict(X[:, :4])


def test_default_model_and_data_frames():
    pandas = pytest.importorskip("pandas")
    X, y = make_data()
    names = ["lab__a", "lab__b", "scan__a", "scan__b", "scan__c"]
    model = LateFusionSurvival().fit(pandas.DataFrame(X, columns=names), y)
    assert list(model.named_estimators_) == ["lab", "scan"]
    assert model.named_estimators_.lab[-1].alpha == 50
    assert model.score(pandas.DataFrame(X, columns=names), y) > 0.65


@pytest.mark.filterwarnings("ignore:`trapz` is deprecated")  # scikit-survival 0.24
def test_scores_by_pattern():
    """Concordance and integrated Brier score, with the other modality hidden."""
    X, y = make_data(missing=False)
    times = [0.2, 0.5, 1.0]
    scorer = as_integrated_brier_score_scorer(make_model(), times).fit(X, y)
    model = scorer.estimator_
    hidden = X.copy()
    hidden[:, 2:] = np.nan
    result = score_by_pattern(model, X, y)
    assert result.pattern == ["lab + scan", "lab", "scan"]
    assert_allclose(result.score[:2], [model.score(X, y), model.score(hidden, y)])
    result = score_by_pattern(scorer, X, y)
    survival = [[f(t) for t in times] for f in model.predict_survival_function(hidden)]
    brier = integrated_brier_score(y, y, np.array(survival), times)
    assert_allclose(result.score[1], -brier)
    assert (modality_importance(model, X, y, n_bootstraps=0).importance > 0).all()


def test_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sksurv.util", None)
    with pytest.raises(ImportError, match=r'pip install "skmissing\[survival\]"'):
        make_model().fit(*make_data())
