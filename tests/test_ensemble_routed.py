"""RoutedClassifier."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skmissing.ensemble import LateFusionClassifier, RoutedClassifier

NAN = np.nan
LAYOUT = {"a": 1, "b": 1, "c": 1}
COSTS = {"a": 1, "b": 10, "c": 100}


class Sign(ClassifierMixin, BaseEstimator):
    """Predicts 1 if the sum of the observed columns is positive; learns nothing."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        high = np.nansum(X, axis=1) > 0
        return np.column_stack([~high, high]).astype(float)

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def make_data(n=300, rate=0.0):
    """The sign of c is the class; those of a and b are right less often."""
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=n)
    X = (2.0 * y - 1)[:, None] * [1, 2, 4] * rng.uniform(0.5, 1, (n, 3))
    X *= np.where(rng.uniform(size=(n, 3)) < [0.7, 0.9, 1], 1, -1)
    hidden = rng.uniform(size=(n, 3)) < rate
    hidden[np.arange(n), rng.randint(3, size=n)] = False
    X[hidden] = NAN
    return X, y


def make_model(**params):
    estimators = [("a", Sign(), ["a"]), ("ab", Sign(), ["a", "b"]), ("all", Sign())]
    params = {"modalities": LAYOUT, "costs": COSTS, **params}
    return RoutedClassifier(estimators, **params)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_table_by_loops(rate):
    """Scores on all samples that have at least the modalities, and costs."""
    X, y = make_data(rate=rate)
    model = make_model().fit(X, y)
    names = np.array(["a", "b", "c"])
    patterns = [np.array(p) for p in product([False, True], repeat=3)][1:]
    assert model.patterns_ == [tuple(names[p]) for p in patterns]
    for p, scores, costs in zip(patterns, model.scores_, model.costs_):
        rows = ~np.isnan(X[:, p]).any(axis=1)
        for used, score, cost in zip([[0], [0, 1], [0, 1, 2]], scores, costs):
            kept = [m for m in used if p[m]]
            assert cost == sum([1, 10, 100][m] for m in kept)
            if kept:
                right = (X[rows][:, kept].sum(axis=1) > 0) == y[rows]
                assert_allclose(score, right.mean())
            else:
                assert np.isnan(score)


def test_scores_are_of_held_out_samples():
    """A tree knows its own samples by heart. Targets are random, and weighted."""
    X, _ = make_data(60)
    rng = np.random.RandomState(1)
    y, weight = rng.randint(2, size=60), rng.uniform(0.5, 2, size=60)
    folds, tree = list(KFold(3).split(X)), DecisionTreeClassifier(random_state=0)
    model = RoutedClassifier([("tree", tree)], modalities=LAYOUT, cv=folds)
    model.fit(X, y, sample_weight=weight)
    assert model.score(X, y) == 1 and model.scores_.max() < 0.7
    for pattern, score in zip(model.patterns_, model.scores_[:, 0]):
        shown, right = np.where(np.isin(list(LAYOUT), pattern), X, NAN), np.empty(60)
        for train, test in folds:
            tree.fit(X[train], y[train], sample_weight=weight[train])
            right[test] = tree.predict(shown[test]) == y[test]
        assert_allclose(score, np.average(right, weights=weight))


def test_cheapest_within_the_tolerance_and_the_budget():
    X, y = make_data()
    model = make_model(tolerance=0).fit(X, y)
    a, ab, every = model.scores_[-1]
    assert a < ab < every
    for tolerance, name in [(0, "all"), (1 - ab, "ab"), (1 - a + 1e-9, "a")]:
        model.set_params(tolerance=tolerance)
        assert set(model.route(X)) == {name}
    model.set_params(tolerance=0)
    for budget, name in [(111, "all"), (110, "ab"), (10.5, "a")]:
        model.set_params(budget=budget)
        assert set(model.route(X)) == {name}
    # Without c, "all" is as good as "ab" and costs the same: the first is used.
    X[:, 2] = NAN
    model.set_params(budget=None)
    assert set(model.route(X)) == {"ab"}
    assert_array_equal(model.predict(X), X[:, 0] + X[:, 1] > 0)


def test_samples_that_no_estimator_can_use():
    X, y = make_data()
    model = RoutedClassifier([("a", Sign(), "a")], modalities=LAYOUT).fit(X, y)
    X[0, 0] = NAN
    message = "1 of 300 samples have modalities that no estimator can use; they are"
    with pytest.warns(UserWarning, match=message):
        assert_allclose(model.predict_proba(X)[0], model.class_prior_)
    with pytest.warns(UserWarning, match="can use within budget=0.5"):
        assert set(model.set_params(budget=0.5).route(X)) == {None}
    with pytest.warns(UserWarning, match="1 of 1 samples have no observed modality"):
        assert model.route(np.full((1, 3), NAN)).tolist() == [None]


def test_estimators_without_nan_need_all_of_their_modalities():
    X, y = make_data()
    estimators = [("pair", LogisticRegression(), ["a", "b"]), ("one", Sign(), ["a"])]
    model = RoutedClassifier(estimators, modalities=LAYOUT).fit(X, y)
    alone = X.copy()
    alone[:, 1:] = NAN
    assert set(model.route(X)) == {"pair"} and set(model.route(alone)) == {"one"}
    pair = model.named_estimators_.pair
    assert_allclose(model.predict_proba(X), pair.predict_proba(X[:, :2]))
    X[:150, 0] = X[150:, 1] = NAN
    with pytest.raises(ValueError, match="'pair' must be observed together .* in 300"):
        model.fit(X, y)


def test_estimators_get_the_modalities_that_they_use():
    X, y = make_data()
    late = LateFusionClassifier("linear", cv=2)
    model = RoutedClassifier([("late", late, ["c", "a"])], modalities=LAYOUT, cv=2)
    inner = model.fit(X, y, sample_weight=np.ones(300)).named_estimators_.late
    assert repr(inner.modalities) == "{'a': 1, 'c': 1}" and late.modalities is None
    assert_allclose(inner.predict_proba(X[:, [0, 2]]), model.predict_proba(X))


def test_the_estimators_do_not_repeat_a_warning():
    X, y = make_data(60)
    X[:5] = -999
    late = LateFusionClassifier("linear", cv=2)
    model = RoutedClassifier([("late", late)], modalities=[3], cv=2)
    with pytest.warns(UserWarning, match="'modality0' is -999 in 5 of 60") as record:
        model.fit(X, y)
    assert len(record) == 1


def test_unknown_pattern_is_routed_like_the_most_similar():
    X, y = make_data()
    X = np.hstack([X, np.ones((300, 5))])
    uses = [("a", Sign(), ["modality0"]), ("all", Sign())]
    model = RoutedClassifier(uses, modalities=[1] * 8, cv=2).fit(X, y)
    assert model.patterns_ == [tuple(f"modality{m}" for m in range(8))]
    X[:, 7] = NAN
    assert set(model.route(X)) == {["a", "all"][np.argmax(model.scores_[0])]}


@pytest.mark.parametrize(
    "params, message",
    [
        ({"estimators": [("a", Sign()), ("a", Sign())]}, "names; got .'a', 'a'"),
        ({"estimators": []}, "must hold at least one entry; got none"),
        ({"estimators": [(1, Sign())]}, r"be tuples .*; got .1, Sign"),
        ({"estimators": [("a", Sign)]}, r"be tuples .*; got .'a', <class"),
        ({"estimators": [("a", Sign(), 3)]}, r"'a' must be among .*; got .3."),
        ({"estimators": [("a", SVC())]}, "with predict_proba; got .'a', SVC"),
        ({"estimators": [("a", Sign(), ["d"])]}, "'a' must be among .*; got .'d'"),
        ({"costs": {"a": 1}}, "at least 0 per modality, 'a', 'b', 'c'; got {'a': 1}"),
        ({"costs": COSTS | {"c": -1}}, "at least 0 per modality"),
        ({"costs": COSTS | {"c": np.inf}}, "a finite number of at least 0"),
    ],
)
def test_errors(params, message):
    with pytest.raises(ValueError, match=message):
        make_model().set_params(**params).fit(*make_data(20))


def test_options_set_after_fit_are_checked():
    X, y = make_data(20)
    model = make_model().fit(X, y)
    for params in ({"tolerance": -1}, {"budget": NAN}):
        name = next(iter(params))
        with pytest.raises(ValueError, match=f"The '{name}' parameter"):
            model.set_params(**params).route(X)
        model.set_params(tolerance=0.0, budget=None)
