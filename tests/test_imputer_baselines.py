"""RetrievalImputer, RegressionImputer, FactorImputer, masked_imputation_score."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
    masked_imputation_score,
)

from .reference import partial_distance

WIDTHS = [2, 3, 1]
pytestmark = pytest.mark.filterwarnings("ignore:.*EM did not converge")
NAN = np.nan


def make_rows(rng, n, rate=0.4):
    X = rng.standard_normal((n, 2)) @ rng.standard_normal((2, 6))
    X += 0.2 * rng.standard_normal(X.shape)
    keep = rng.uniform(size=(n, 3)) >= rate
    keep[np.arange(n), rng.randint(3, size=n)] = True
    X[~np.repeat(keep, WIDTHS, axis=1)] = NAN
    return X


@pytest.mark.parametrize("weights", ["uniform", "soft"])
def test_retrieval_by_loops(weights, seed):
    rng = np.random.RandomState(seed)
    train, X = make_rows(rng, 40), make_rows(rng, 15)
    imputer = RetrievalImputer(
        4, modalities=WIDTHS, weights=weights, standardize=False
    ).fit(train)
    found, layout = imputer.transform(X), imputer.modalities_
    for row, filled in zip(X, found):
        squared = np.array([partial_distance(row, r, layout) for r in train])
        for modality in layout.values():
            columns = modality.columns
            if not np.isnan(row[columns]).any():
                continue
            owners = np.flatnonzero(~np.isnan(train[:, columns[0]]))
            owners = owners[np.isfinite(squared[owners])]
            near = owners[np.argsort(squared[owners], kind="stable")[:4]]
            excess = squared[near] - squared[near].min()
            w = np.exp(-excess / excess.mean()) if weights == "soft" else None
            expected = np.average(train[near][:, columns], axis=0, weights=w)
            assert_allclose(filled[columns], expected, atol=1e-6)


def test_retrieval_fills_holes_from_rows_that_have_the_cell():
    X = [[0.0, 1.0, 5.0], [0.1, NAN, 5.0], [9.0, 7.0, 1.0], [0.05, NAN, 5.1]]
    filled = RetrievalImputer(1, modalities=[2, 1]).fit(X).transform(X)
    assert filled[1, 1] == filled[3, 1] == 1.0


def test_hops_pass_values_on():
    X = np.array([[1.0, NAN, NAN], [1.0, 2.0, NAN], [NAN, 2.0, 3.0], [5.0, 9.0, 8.0]])
    near = RetrievalImputer(1, standardize=False).fit(X).transform(X)
    far = RetrievalImputer(1, standardize=False, n_hops=3).fit(X).transform(X)
    assert near[0, 2] == 8.0
    assert far[0, 2] == 3.0


def test_hops_by_loops(seed):
    """Observed cells are reset after each hop; others are means of the neighbours."""
    X = make_rows(np.random.RandomState(seed), 25)
    imputer = RetrievalImputer(3, modalities=WIDTHS, n_hops=3, standardize=False)
    found, layout = imputer.fit(X).transform(X), imputer.modalities_
    squared = np.array([[partial_distance(a, b, layout) for b in X] for a in X])
    lent = X
    for hop in range(3):
        last, hopped = hop == 2, X.copy()
        for i, row in enumerate(X):
            for columns in (m.columns for m in layout.values()):
                owners = np.flatnonzero(~np.isnan(lent[:, columns[0]]))
                owners = owners[np.isfinite(squared[i, owners])]
                owners = owners[last | (owners != i)]
                near = owners[np.argsort(squared[i, owners], kind="stable")[:3]]
                if np.isnan(row[columns[0]]) and len(near):
                    hopped[i, columns] = lent[near][:, columns].mean(axis=0)
        lent = hopped
    assert_allclose(found, lent)


def test_more_neighbors_than_rows():
    X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, NAN]])
    filled = RetrievalImputer(50).fit_transform(X)
    assert filled[2, 1] == 2.0


def test_regression_by_hand(seed):
    rng = np.random.RandomState(seed)
    train, row = make_rows(rng, 200), make_rows(rng, 1, rate=0)
    row[0, 2:5] = NAN
    imputer = RegressionImputer(LinearRegression(), modalities=WIDTHS).fit(train)
    rows = train[~np.isnan(train).any(axis=1)]
    model = LinearRegression().fit(rows[:, [0, 1, 5]], rows[:, 2:5])
    expected = model.predict(row[:, [0, 1, 5]])
    assert_allclose(imputer.transform(row)[:, 2:5], expected)


def test_regression_in_the_dual_when_columns_outnumber_rows(seed):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((20, 65))
    imputer = RegressionImputer(modalities=[60, 5], standardize=False).fit(X)
    A, B = (X - X.mean(axis=0))[:, :60], (X - X.mean(axis=0))[:, 60:]
    beta = np.linalg.solve(A.T @ A + 60 * np.eye(60), A.T @ B)
    new = rng.uniform(-1, 1, (3, 65))
    new[:, 60:] = NAN
    expected = (new[:, :60] - X.mean(axis=0)[:60]) @ beta + X.mean(axis=0)[60:]
    assert_allclose(imputer.transform(new)[:, 60:], expected, atol=1e-8)


def test_regression_backs_off():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 3))
    X[:30, 0] = NAN
    X[30:58, 1] = NAN
    model = RegressionImputer(LinearRegression(), min_samples=5).fit(X)
    row = np.array([[1.0, 2.0, NAN]])
    assert "x0, x1 -> x2" not in model.named_estimators_
    assert list(model.named_estimators_.values()) == model.estimators_
    assert np.isfinite(model.transform(row)).all()
    none = RegressionImputer(LinearRegression(), min_samples=50).fit(X)
    with pytest.warns(UserWarning, match="imputed with the training mean"):
        filled = none.transform(row)
    assert_allclose(filled[0, 2], X[:, 2].mean())


def test_regression_hole_in_a_sequence():
    X = np.random.RandomState(0).standard_normal((200, 4)) + [0.0, 10.0, 0.0, 0.0]
    X[:, 3] += X[:, :3].sum(axis=1)
    modalities = {"tokens": (2, 1), "side": 1, "target": 1}
    imputer = RegressionImputer(modalities=modalities).fit(X)
    rows = [[1.0, NAN, 2.0, NAN], [1.0, X[:, 1].mean(), 2.0, NAN]]
    hole, mean = imputer.transform(rows)
    assert_allclose(hole[3], mean[3])


def test_regression_back_off_does_not_depend_on_company():
    X = make_rows(np.random.RandomState(0), 150, rate=0.5)
    imputer = RegressionImputer(modalities=WIDTHS, min_samples=25).fit(X)
    alone = np.vstack([imputer.transform(row[None]) for row in X])
    assert_allclose(imputer.transform(X), alone)


def test_regression_of_very_many_modalities_warns():
    X = make_rows(np.random.RandomState(0), 12)[:, np.arange(300) % 6]
    with pytest.warns(UserWarning, match="each of the 300 columns .* regressions"):
        RegressionImputer(min_samples=100).fit(X)


def test_regressors_of_one_target():
    X = make_rows(np.random.RandomState(0), 80)
    imputer = RegressionImputer(
        HistGradientBoostingRegressor(max_iter=3), modalities=WIDTHS
    )
    assert np.isfinite(imputer.fit_transform(X)).all()


def make_task(seed, n=300):
    """Rows with gaps, classes and numbers that follow the first two columns."""
    rng = np.random.RandomState(seed)
    X = make_rows(rng, n, rate=0)
    y = X[:, 0] + X[:, 2]
    keep = rng.uniform(size=(n, 3)) >= 0.3
    keep[np.arange(n), rng.randint(3, size=n)] = True
    X[~np.repeat(keep, WIDTHS, axis=1)] = NAN
    return X, (y > 0).astype(int), y


def factor_imputer():
    return FactorImputer(2, modalities=WIDTHS, n_factors=3, max_iter=10)


def test_factor_imputer_is_the_mixture(seed):
    """Check values, standard errors and draws; observed cells stay."""
    X, _, _ = make_task(seed)
    imputer = factor_imputer().set_params(random_state=seed).fit(X[:200])
    filled, std = imputer.transform(X[200:]), imputer.imputation_std(X[200:])
    gap = np.isnan(X[200:])
    assert_array_equal(filled[~gap], X[200:][~gap])
    assert (std[gap] > 0).all() and not std[~gap].any()
    drawing = imputer.set_params(sample_posterior=True)
    draws = drawing.transform(X[200:])
    assert_array_equal(draws, drawing.transform(X[200:]))
    z = ((draws - filled)[gap] / std[gap]).std()
    assert 0.8 < z < 1.2
    assert not np.array_equal(
        draws, drawing.set_params(random_state=99).transform(X)[200:]
    )


def test_factor_imputer_beats_the_mean():
    rng = np.random.RandomState(0)
    X = make_rows(rng, 400, rate=0)
    hidden = X[300:].copy()
    hidden[:, 2:5] = NAN
    filled = factor_imputer().fit(X[:300]).transform(hidden)
    error = np.mean((filled - X[300:])[:, 2:5] ** 2)
    assert error < 0.2 * X[300:, 2:5].var(axis=0).mean()


def test_outliers_count_in_means():
    X = np.random.RandomState(0).standard_normal((200, 6))
    X[3, 0] = 1000.0
    X[:100, 2:] = X[100:, :2] = NAN
    with pytest.warns(UserWarning, match="2 modalities are never observed together"):
        imputer = FactorImputer(2, modalities=[2, 4], random_state=0).fit(X)
    assert_allclose(imputer.statistics_, np.nanmean(X, axis=0))
    filled = imputer.transform(X)[100:, :2]
    assert_allclose(filled, np.tile(imputer.statistics_[:2], (100, 1)))


@pytest.mark.parametrize(
    "imputer",
    [
        *[ClusterGuidedImputer(2, strategy=s) for s in ("soft", "greedy")],
        FactorImputer(2),
        RegressionImputer(),
        RetrievalImputer(),
    ],
    ids=repr,
)
def test_tokens_are_filled_with_means_of_their_own(imputer):
    X = np.random.RandomState(0).standard_normal((200, 6)) + np.arange(6)
    X[:100, 4:] = X[100:, :4] = NAN
    imputer.set_params(modalities={"tokens": (2, 2), "vector": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        filled = imputer.fit_transform(X)
    mean = np.nanmean(X, axis=0)
    assert_allclose(imputer.statistics_, mean)
    assert_allclose(filled[100:, :4], np.tile(mean[:4], (100, 1)))


@pytest.mark.parametrize("standardize", [True, False, None])
def test_outliers_do_not_blow_up(standardize):
    rng = np.random.RandomState(0)
    X = 3 * make_rows(rng, 300, rate=0)
    if standardize is None:
        imputer = factor_imputer().fit(X)
    else:
        imputer = RegressionImputer(modalities=WIDTHS, standardize=standardize).fit(X)
    rows = np.repeat(X[:1], 2, axis=0)
    rows[:, 2:] = NAN
    rows[:, 0] = X[:, 0].mean() + np.array([4.0, 1000.0]) * X[:, 0].std()
    near, far = imputer.transform(rows)[:, 2:]
    assert_allclose(near, far)


@pytest.mark.parametrize("fitted", ["nearest", "soft", "greedy"])
@pytest.mark.parametrize("later", ["greedy", "soft"])
def test_strategy_of_the_fit_stays(fitted, later):
    X = make_rows(np.random.RandomState(0), 60)
    imputer = ClusterGuidedImputer(
        3, modalities=WIDTHS, strategy=fitted, random_state=0
    )
    filled = imputer.fit_transform(X)
    imputer.set_params(strategy=later)
    assert_array_equal(imputer.transform(X), filled)


def test_padding_warns(seed):
    X = np.random.RandomState(seed).standard_normal((40, 7))
    X[:5, 4:6] = NAN  # the third token
    X[3, 2:4] = NAN  # and the second
    X[5, 4] = NAN  # a hole in a token
    X[6, :6] = NAN  # the whole modality
    imputer = RetrievalImputer(modalities={"text": (3, 2), "size": 1})
    message = (
        "6 tokens are missing in 5 samples that have other tokens of modality 'text'"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        imputer.fit(X)
    assert len(caught) == 1
    assert np.isfinite(imputer.transform(X)).all()


def test_too_few_samples_for_the_components():
    X = make_rows(np.random.RandomState(0), 30)
    with pytest.raises(ValueError, match="n_samples=30 should be >= n_components=40"):
        FactorImputer(40, modalities=WIDTHS).fit(X)


class Filled(BaseEstimator):
    """Fills with one value."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return np.where(np.isnan(X), self.value, X)


def test_score_by_hand():
    """Each modality hidden in turn; error over variance, mean, root, minus."""
    X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [NAN, 9.0]])

    expected = -np.sqrt((5 / 2 + 35 / 8) / 2)
    assert_allclose(masked_imputation_score(Filled(), X), expected)


def test_score_in_a_search_without_y():
    X = make_rows(np.random.RandomState(0), 120, rate=0.2)
    grid = {"regressionimputer__estimator": [Ridge(1e-3), Ridge(1e6)]}
    imputer = RegressionImputer(modalities=WIDTHS)
    pipeline = make_pipeline(StandardScaler(), imputer)
    search = GridSearchCV(pipeline, grid, scoring=masked_imputation_score, cv=3).fit(X)
    assert search.best_params_["regressionimputer__estimator"].alpha == 1e-3
    assert -1 < search.best_score_ < 0


def test_score_does_not_depend_on_units():
    X = make_rows(np.random.RandomState(0), 120, rate=0.2)
    imputer = RetrievalImputer(modalities=WIDTHS)
    plain = masked_imputation_score(imputer.fit(X), X)
    for scale, shift in ((1e-7, 0), (1e9, 0), (1.0, 1e6)):
        other = scale * X + shift
        found = masked_imputation_score(imputer.fit(other), other)
        assert_allclose(found, plain, rtol=1e-6)
    pipeline = make_pipeline(StandardScaler(), RetrievalImputer(modalities=WIDTHS))
    found = masked_imputation_score(pipeline.fit(X), X)
    assert_allclose(found, plain)


def test_constant_columns_are_not_scored():
    X = make_rows(np.random.RandomState(0), 80, rate=0.2)
    plain = masked_imputation_score(Filled(), X, modalities=WIDTHS)
    constant = np.where(np.isnan(X[:, 2]), NAN, 0.1)
    wider = np.insert(X, 5, constant, axis=1)
    found = masked_imputation_score(Filled(), wider, modalities=[2, 4, 1])
    assert_allclose(found, plain)
    with pytest.raises(
        ValueError, match="must have a column that varies .* none in 80"
    ):
        masked_imputation_score(Filled(), np.ones((80, 2)))


def test_score_refuses_an_imputer_that_leaves_gaps():
    X = make_rows(np.random.RandomState(0), 60, rate=0)
    message = "Filled must fill all 120 hidden cells .* got 120 cells"
    for value in (NAN, np.inf):
        with pytest.raises(ValueError, match=message):
            masked_imputation_score(Filled(value), X, modalities=WIDTHS)


def test_score_refuses_what_it_cannot_score():
    X = make_rows(np.random.RandomState(0), 60, rate=0)
    imputer = RetrievalImputer(modalities=WIDTHS).fit(X)
    single = X.copy()
    single[:, 2:] = NAN
    with pytest.raises(
        ValueError, match="two of the 3 modalities or more.* got none in 60"
    ):
        masked_imputation_score(imputer, single)
    dropping = RetrievalImputer(modalities=WIDTHS, keep_empty_features=False)
    with pytest.warns(UserWarning, match="dropped"):
        dropping.fit(np.where(np.arange(6) < 2, NAN, X))
    with pytest.raises(ValueError, match="at least 6 columns; got 4"):
        masked_imputation_score(dropping, X)


def test_score_takes_a_frame(df_module):
    X = make_rows(np.random.RandomState(0), 60, rate=0)
    names = ["a__0", "a__1", "b__0", "b__1", "b__2", "c__0"]
    frame = df_module.DataFrame(dict(zip(names, X.T)))
    found = masked_imputation_score(RetrievalImputer().fit(frame), frame)
    array = masked_imputation_score(RetrievalImputer(modalities=WIDTHS).fit(X), X)
    assert_allclose(found, array)
