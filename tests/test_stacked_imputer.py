"""StackedImputer: weights, standard errors, members, folds, small tables, bad input."""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import nnls
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit

from skmissing import ModalityWarning
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
    StackedImputer,
)
from skmissing.mixture import PartialModalityFactorMixture

from .test_imputer_baselines import WIDTHS, make_rows

NAN = np.nan
QUICK = ["retrieval", "regression"]


def hidden_deviations(members, X, cv):
    """What each member imputes of each hidden modality, one sample at a time.

    In standard deviations from the mean, as lists of (modality, number of other
    modalities, members' values, actual values).
    """
    starts, scale = np.cumsum([0, *WIDTHS]), np.nanstd(X, axis=0)
    found = []
    for train, test in cv.split(X):
        fitted = [m.set_params(modalities=WIDTHS).fit(X[train]) for m in members]
        mean = np.nanmean(X[train], axis=0)
        for row in X[test]:
            present = [m for m in range(3) if not np.isnan(row[starts[m]])]
            for m in present if len(present) > 1 else ():
                columns = slice(starts[m], starts[m + 1])
                hidden = row.copy()
                hidden[columns] = NAN
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ModalityWarning)
                    rows = [f.transform(hidden[None])[0] for f in fitted]
                values = (np.array([*rows, row]) - mean) / scale
                found.append((m, len(present) - 1, values[:, columns]))
    return found


def test_weights_and_errors_by_loops(seed):
    """Least squares over all hidden cells, sample by sample; residuals by number."""
    X = make_rows(np.random.RandomState(seed), 90)
    cv = KFold(3, shuffle=True, random_state=1)
    stack = StackedImputer(QUICK, modalities=WIDTHS, cv=cv).fit(X)
    members = [RetrievalImputer(), RegressionImputer()]
    hidden = hidden_deviations(members, X, cv)
    for m in range(3):
        values = np.hstack([v for place, _, v in hidden if place == m])
        A, b = values[:-1].T, values[-1]
        ridge = np.sqrt(1e-6 * (A**2).sum()) * np.eye(2)
        expected, _ = nnls(np.vstack([A, ridge]), np.append(b, [0, 0]))
        assert_allclose(stack.weights_[m], expected, atol=1e-8)
        for n_others in (1, 2):
            row = make_rows(np.random.RandomState(9), 1, rate=0)
            row[:, np.repeat(range(3), WIDTHS) == m] = NAN
            other = (m + n_others) % 3
            row[:, np.repeat(range(3), WIDTHS) == other] *= NAN if n_others == 1 else 1
            values = np.hstack(
                [v for place, n, v in hidden if place == m and n == n_others]
            )
            error = np.sqrt(np.mean((values[-1] - expected @ values[:-1]) ** 2))
            std = stack.imputation_std(row)[0]
            columns = np.repeat(range(3), WIDTHS) == m
            assert_allclose(std[columns], error * np.nanstd(X, axis=0)[columns])
            assert not std[~np.isnan(row[0])].any()


def test_imputes_the_weighted_sum_of_members(seed):
    """Mean plus weighted deviations of members, which are usable by themselves."""
    X = make_rows(np.random.RandomState(seed), 80)
    stack = StackedImputer(modalities=WIDTHS, random_state=seed).fit(X)
    assert list(stack.named_estimators_) == [
        "factor",
        "soft",
        "retrieval",
        "regression",
    ]
    assert list(stack.named_estimators_.values()) == stack.estimators_
    assert stack.weights_.shape == (3, 4)
    assert (stack.weights_ >= 0).all()
    assert stack.named_estimators_.soft.n_clusters == 26
    mean = np.nanmean(X, axis=0)
    assert_allclose(stack.statistics_, mean)
    expected = np.tile(mean, (len(X), 1))
    for member, weights in zip(stack.estimators_, stack.weights_.T):
        expected += np.repeat(weights, WIDTHS) * (member.transform(X) - mean)
    filled = stack.transform(X)
    gaps = np.isnan(X)
    assert_array_equal(filled[~gaps], X[~gaps])
    assert_allclose(filled[gaps], expected[gaps], atol=1e-12)


def test_member_that_is_exact():
    """It gets the weight 1, and the standard error is 0."""
    rng = np.random.RandomState(0)
    a = rng.standard_normal((150, 1))
    X = np.hstack([a, 2 * a + 1, -a, 3 * a])
    keep = rng.uniform(size=(150, 2)) > 0.3
    keep[~keep.any(axis=1)] = True
    X[~np.repeat(keep, 2, axis=1)] = NAN
    exact = RegressionImputer(LinearRegression())
    members = ["retrieval", ("exact", exact), ("mean", SimpleImputer())]
    stack = StackedImputer(members, modalities=[2, 2], random_state=0).fit(X)
    assert_allclose(stack.weights_, [[0, 1, 0]] * 2, atol=1e-3)
    assert_allclose(stack.imputation_std(X), 0, atol=0.01)


def test_weights_do_not_add_up_to_one():
    """Answers that are twice too far from the mean count half; noise does not count."""
    a = np.random.RandomState(0).standard_normal((200, 1))
    X = np.hstack([a, 0.5 * a])
    stack = StackedImputer([("doubling", Doubling()), ("noise", Noise())]).fit(X)
    assert_allclose(stack.weights_[1], [0.5, 0], atol=0.02)


class Doubling(BaseEstimator):
    """Fills the second column with the first, which is twice as large."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.where(np.isnan(X), X[:, ::-1], X)


class Noise(Doubling):
    """Fills with alternating numbers."""

    def transform(self, X):
        return np.where(np.isnan(X), (-1.0) ** np.arange(len(X))[:, None], X)


def test_never_worse_than_the_mean(seed):
    """Modalities that have nothing in common: shrunk to the mean."""
    rng = np.random.RandomState(seed)
    X, new = rng.standard_normal((400, 6)), rng.standard_normal((400, 6))
    stack = StackedImputer(modalities=WIDTHS, random_state=0).fit(X)
    assert stack.weights_.max() < 0.5
    for m in range(3):
        columns = np.repeat(range(3), WIDTHS) == m
        hidden = np.where(columns, NAN, new)
        error = np.mean((stack.transform(hidden) - new)[:, columns] ** 2)
        assert error < 1.02 * np.mean((new - X.mean(axis=0))[:, columns] ** 2)


def test_standard_errors_cover(seed):
    """Intervals of 90 % cover 90 % of Gaussian values in units of any size."""
    rng = np.random.RandomState(seed)
    loadings = rng.standard_normal((2, 6))
    X = rng.standard_normal((1500, 2)) @ loadings + 0.5 * rng.standard_normal((1500, 6))
    X *= [1e-3, 1, 1, 1e4, 1, 1]
    keep = rng.uniform(size=(1500, 3)) > 0.4
    keep[np.arange(1500), rng.randint(3, size=1500)] = True
    gaps = np.where(np.repeat(keep, WIDTHS, axis=1), X, NAN)
    stack = StackedImputer(QUICK, modalities=WIDTHS, random_state=0).fit(gaps[:1000])
    std = stack.imputation_std(gaps[1000:])
    inside = np.abs(stack.transform(gaps[1000:]) - X[1000:]) < 1.645 * std
    for n_present in (1, 2):
        rows = keep[1000:].sum(axis=1) == n_present
        share = inside[rows][np.isnan(gaps[1000:][rows])].mean()
        assert 0.86 < share < 0.94


def test_standard_error_of_the_mean():
    """Samples with nothing observed: the deviation of the columns."""
    X = make_rows(np.random.RandomState(0), 100)
    X[:, 1] = NAN
    with pytest.warns(ModalityWarning, match="1 of . columns are not observed"):
        stack = StackedImputer(QUICK, modalities=WIDTHS, keep_empty_features=False)
        stack.fit(X)
    seen = [0, 2, 3, 4, 5]
    std = stack.imputation_std(np.full((1, 6), NAN))
    assert_allclose(std[0], np.nanstd(X[:, seen], axis=0))
    assert np.isnan(stack.set_params(keep_empty_features=True).imputation_std(X)).any()


def test_order_of_samples_and_members(seed):
    """Folds that move with the samples, members in another order: the same weights."""
    rng = np.random.RandomState(seed)
    X = make_rows(rng, 80)
    folds, order = rng.randint(3, size=80), rng.permutation(80)
    stack = StackedImputer(QUICK, modalities=WIDTHS, cv=PredefinedSplit(folds)).fit(X)
    moved = StackedImputer(
        QUICK[::-1], modalities=WIDTHS, cv=PredefinedSplit(folds[order])
    ).fit(X[order])
    assert_allclose(moved.weights_[:, ::-1], stack.weights_, atol=1e-8)
    assert_allclose(moved.transform(X), stack.transform(X), atol=1e-8)


@pytest.mark.parametrize("cv", [4, GroupKFold(4)])
def test_groups(cv):
    """No group is in two folds; `groups` of other lengths are refused."""
    X = make_rows(np.random.RandomState(0), 80)
    groups = np.arange(80) % 8
    found = StackedImputer(["retrieval"], modalities=WIDTHS, cv=cv).fit(
        X, groups=groups
    )
    folds = list(GroupKFold(4).split(X, groups=groups))
    expected = StackedImputer(["retrieval"], modalities=WIDTHS, cv=folds).fit(X)
    assert_array_equal(found.weights_, expected.weights_)
    assert_array_equal(found.fit_transform(X, groups=groups), expected.transform(X))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        found.fit(X, groups=groups[1:])
    with pytest.raises(ValueError, match="greater than the number of groups: 1"):
        found.fit(X, groups=np.zeros(80))


def test_more_folds_than_groups():
    """There are as many folds as groups then."""
    X = make_rows(np.random.RandomState(0), 60)
    stack = StackedImputer(["retrieval"], modalities=WIDTHS, cv=5)
    stack.fit(X, groups=np.arange(60) % 2)
    expected = StackedImputer(["retrieval"], modalities=WIDTHS, cv=2)
    expected.fit(X, groups=np.arange(60) % 2)
    assert_array_equal(stack.weights_, expected.weights_)


def test_seed_decides():
    """Two fits with an int agree, also in several processes."""
    X = make_rows(np.random.RandomState(0), 40)
    members = ["soft", "retrieval"]
    one, two = (
        StackedImputer(members, modalities=WIDTHS, random_state=3, n_jobs=n)
        for n in (None, 2)
    )
    assert_array_equal(one.fit_transform(X), two.fit_transform(X))


def test_any_imputer_is_a_member():
    """Of scikit-learn or of this package; names and pairs may be mixed."""
    X = make_rows(np.random.RandomState(0), 80, rate=0)
    X[:20, :2], X[:, 5] = NAN, NAN
    members = [
        "retrieval",
        ("knn", KNNImputer()),
        ("nearest", ClusterGuidedImputer(5, strategy="nearest", random_state=0)),
        ("stack", StackedImputer(QUICK, random_state=0)),
    ]
    stack = StackedImputer(members, modalities=WIDTHS, random_state=0)
    with pytest.warns(ModalityWarning, match="1 of . modalities are not observed"):
        filled = stack.fit_transform(X)
    assert np.isfinite(filled).all()
    assert list(stack.named_estimators_.stack.modalities_) == list(stack.modalities_)
    assert members[1][1].get_params() == KNNImputer().get_params()


def test_members_do_not_see_the_fold(seed):
    """Samples that know themselves, or a copy in their group, would look exact."""
    X = np.random.RandomState(seed).standard_normal((60, 6))
    copying = [("copying", RetrievalImputer(1))]
    stack = StackedImputer(copying, modalities=WIDTHS, random_state=0).fit(X)
    assert stack.weights_.max() < 0.4
    twice, groups = np.vstack([X, X]), np.tile(np.arange(60), 2)
    assert stack.fit(twice).weights_.min() > 0.4
    assert stack.fit(twice, groups=groups).weights_.max() < 0.4


@pytest.mark.parametrize("n_samples", [1, 2, 3, 10])
def test_few_samples(n_samples):
    """Ten samples in all, or one: finite values, and a warning if there are too few."""
    X = make_rows(np.random.RandomState(2), 10, rate=0.2)[:n_samples]
    row = X[:1].copy()
    row[:, :2], row[:, 2:] = NAN, 0.0
    stack = StackedImputer(modalities=WIDTHS, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stack.fit(X)
        filled = stack.transform(row)
    assert np.isfinite(filled).all()
    assert np.isfinite(stack.imputation_std(row)).all()
    few = [w for w in caught if "too few samples to learn weights" in str(w.message)]
    assert len(few) == (n_samples < 10)


def test_modality_without_company():
    """Never observed together with another one: named once, imputed with the mean."""
    X = make_rows(np.random.RandomState(0), 90, rate=0)
    X[:30, :5] = NAN
    X[30:, 5] = NAN
    stack = StackedImputer(modalities=WIDTHS, random_state=0)
    with pytest.warns(ModalityWarning) as caught:
        stack.fit(X)
    assert [str(w.message).partition(":")[0] for w in caught] == ["StackedImputer"]
    assert "too few samples to learn weights: 'modality2'" in str(caught[0].message)
    assert_array_equal(stack.weights_[2], 0)
    with pytest.warns(ModalityWarning, match="90 of 90 samples have missing cells"):
        filled = stack.transform(X)
    assert_allclose(filled[30:, 5], X[:30, 5].mean())
    assert_allclose(stack.imputation_std(X)[30:, 5], X[:30, 5].std())


def test_modality_that_is_only_in_one_fold():
    """Members that are fitted without the fold do not know it."""
    X = make_rows(np.random.RandomState(0), 60, rate=0)
    X[10:, 5] = NAN
    cv = PredefinedSplit(np.repeat([0, 1, 2], [10, 25, 25]))
    stack = StackedImputer(QUICK, modalities=WIDTHS, cv=cv)
    with pytest.warns(ModalityWarning, match="weights: 'modality2'"):
        stack.fit(X)
    assert stack.weights_[:2].any(axis=1).all()


def test_one_modality():
    """Nothing can be hidden: missing cells get the mean, without a warning of fit."""
    X = np.random.RandomState(0).standard_normal((40, 3))
    stack = StackedImputer(modalities=[3], random_state=0).fit(X)
    with pytest.warns(ModalityWarning, match="1 of 1 samples have no observed"):
        filled = stack.transform(np.full((1, 3), NAN))
    assert_allclose(filled[0], X.mean(axis=0))


def test_constant_columns(seed):
    """They change no weight of the others, and are known without an error."""
    X = make_rows(np.random.RandomState(seed), 80)
    constant = np.where(np.isnan(X[:, 2]), NAN, 0.1)
    wider = np.insert(X, 5, constant, axis=1)
    cv = KFold(3)
    plain = StackedImputer(["regression"], modalities=WIDTHS, cv=cv).fit(X)
    found = StackedImputer(["regression"], modalities=[2, 4, 1], cv=cv).fit(wider)
    assert_allclose(found.weights_[1], plain.weights_[1], rtol=0.1)
    gaps = np.isnan(wider[:, 5])
    assert_allclose(found.transform(wider)[gaps, 5], 0.1)
    assert_allclose(found.imputation_std(wider)[:, 5], 0, atol=1e-12)
    with warnings.catch_warnings(record=True):
        still = StackedImputer(random_state=0).fit(np.ones((20, 2)))
    assert_array_equal(still.weights_, 0)


def test_warnings_of_members_are_given_once():
    """Of the fit, one per kind, at the line of the user; none about modalities."""
    X = make_rows(np.random.RandomState(0), 60)
    X[:5] = NAN
    restless = FactorImputer(2, n_factors=2, max_iter=1, tol=0.0)
    stack = StackedImputer([("factor", restless), "soft"], modalities=WIDTHS)
    with pytest.warns() as caught:
        stack.set_params(random_state=0).fit(X)
    assert {w.filename for w in caught} == {__file__}
    assert [w.category for w in caught] == [ModalityWarning, ConvergenceWarning]
    assert "5 of 60 samples have no observed modality" in str(caught[0].message)
    message = "4 warnings in fits of members, of which the first is: .*EM did not"
    assert re.search(message, str(caught[1].message))


def test_folds_take_the_sizes_of_the_whole_fit(monkeypatch):
    """Numbers of clusters and factors and the shrinkage are learnt once per member."""
    fits = []

    def fit_table(mixture, *args, real=PartialModalityFactorMixture._fit_table):
        real(mixture, *args)
        fits.append((mixture.calibrate, mixture))

    monkeypatch.setattr(PartialModalityFactorMixture, "_fit_table", fit_table)
    X = make_rows(np.random.RandomState(0), 60)
    StackedImputer(["factor"], modalities=WIDTHS, random_state=0).fit(X)
    assert [calibrate for calibrate, _ in fits] == [True, False, False, False]
    whole, *others = (mixture for _, mixture in fits)
    for mixture in others:
        assert mixture.n_components_ == whole.n_components_
        assert mixture.n_factors_ == whole.n_factors_
        assert_array_equal(mixture.shrinkage_, whole.shrinkage_)


def test_many_modalities_leave_regression_out():
    """Its models, one per pattern, would take too long."""
    X = np.random.RandomState(0).standard_normal((30, 11))
    stack = StackedImputer(random_state=0).fit(X)
    assert list(stack.named_estimators_) == ["factor", "soft", "retrieval"]


class Narrow(Doubling):
    """Returns one column."""

    def transform(self, X):
        return X[:, :1]


@pytest.mark.parametrize(
    "estimators, message",
    [
        ([], "members with distinct names; got \\[\\]"),
        (["soft", "soft"], "distinct names; got \\['soft', 'soft'\\]"),
        (["best"], "names from .*regression.* or pairs .*; got 'best'"),
        ([("a", KNNImputer)], "should provide an instance"),
        ([("a", LinearRegression())], "pairs \\(name, imputer\\); got \\('a', Linear"),
        ([KNNImputer()], "pairs \\(name, imputer\\); got KNNImputer"),
        ([("a", ClusterGuidedImputer(0))], "'n_clusters' parameter"),
        ([("a", ClusterGuidedImputer(50))], "should be >= n_clusters=50"),
        ([("a", Narrow())], "Narrow must return shape \\(.*, 6\\); got \\(.*, 1\\)"),
    ],
)
def test_bad_members(estimators, message):
    """The message names what is wrong."""
    X = make_rows(np.random.RandomState(0), 60)
    with pytest.raises((ValueError, TypeError), match=message):
        StackedImputer(estimators, modalities=WIDTHS).fit(X)


def test_nothing_observed():
    """There is no mean to impute."""
    with (
        pytest.warns(ModalityWarning),
        pytest.raises(ValueError, match="observed cells; got 5 samples"),
    ):
        StackedImputer().fit(np.full((5, 3), NAN))
