"""Values of missing modalities against slow loops, closed forms and revealed values."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge
from sklearn.pipeline import make_pipeline

from skmissing import LateFusionClassifier, ModalityWarning
from skmissing.conformal import (
    AcquisitionDisplay,
    acquisition_value,
    rank_acquisitions,
)
from skmissing.impute import FactorImputer, RetrievalImputer, SimpleModalityImputer

WIDTHS = [2, 3, 1]
COLUMNS = [[0, 1], [2, 3, 4], [5]]
NAMES = ("modality0", "modality1", "modality2")


def hot_deck(X, modalities=WIDTHS, **params):
    return SimpleModalityImputer(
        "hot_deck", modalities=modalities, random_state=0, **params
    ).fit(X)


@pytest.fixture
def data(small_multimodal):
    X, y, _ = small_multimodal
    model = make_pipeline(SimpleImputer(keep_empty_features=True), LogisticRegression())
    return X, y, model.fit(X, y), hot_deck(X)


class Constant(RegressorMixin, BaseEstimator):
    def __init__(self, value=None):
        self.value, self.fitted_ = value, True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.full(len(X), self.value)


class ConstantProba(ClassifierMixin, Constant):
    classes_ = [0, 1]

    def predict_proba(self, X):
        return np.full((len(X), 3 if self.value is None else 2), self.value or 1 / 3)


def slow_value(respond, risk, imputer, X, n_draws):
    """Loop over samples, modalities and draws."""
    seeds = np.random.RandomState(3).randint(np.iinfo(np.int32).max, size=n_draws)
    tables = [imputer._with_seed(int(seed)).transform(X) for seed in seeds]
    value = np.full((len(X), len(COLUMNS)), np.nan)
    for i, m in np.ndindex(value.shape):
        if not np.isnan(X[i, COLUMNS[m]]).all():
            continue
        found = []
        for drawn in tables:
            sample = X[i].copy()
            sample[COLUMNS[m]] = drawn[i, COLUMNS[m]]
            found.append(respond(sample[None])[0])
        value[i, m] = risk(np.mean(found, axis=0)) - np.mean([risk(p) for p in found])
    return value


@pytest.mark.parametrize(
    ("loss", "risk"),
    [
        ("log_loss", lambda p: -(p * np.log(p)).sum()),
        ("zero_one", lambda p: 1 - p.max()),
    ],
)
def test_value_equals_slow_loop(data, loss, risk):
    X, _, model, imputer = data
    params = {"loss": loss, "n_draws": 4, "random_state": 3}
    result = acquisition_value(model, imputer, X, **params)
    expected = slow_value(model.predict_proba, risk, imputer, X, 4)
    assert_allclose(result.value, expected, atol=1e-12)
    assert np.nanmax(result.value) > 0 and result.modalities == NAMES
    costs = dict(zip(NAMES, [1, 2, 4]))
    dear = acquisition_value(model, imputer, X, costs=costs, **params)
    assert_allclose(dear.value, expected / [1, 2, 4], atol=1e-12)
    assert result.loss == loss and dear.cost.tolist() == [1, 2, 4]


def test_value_for_numbers_is_the_variance_of_predictions(data):
    X, y, _, imputer = data
    fill = SimpleImputer(keep_empty_features=True)
    model = make_pipeline(fill, LinearRegression()).fit(X, y + 1e8)
    result = acquisition_value(model, imputer, X, n_draws=5, random_state=3)
    small = make_pipeline(fill, LinearRegression()).fit(X, y)
    expected = slow_value(small.predict, lambda f: -(f**2), imputer, X, 5)
    assert_allclose(result.value, expected, atol=1e-6)
    both = make_pipeline(fill, LinearRegression()).fit(X, np.c_[y, 3 * y])
    several = acquisition_value(both, imputer, X, n_draws=5, random_state=3)
    assert_allclose(several.value, 5 * expected, atol=1e-12)


class Sign(ClassifierMixin, BaseEstimator):
    """Knows the class if the first column is observed."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.where(np.isnan(X[:, 0]), 0.5, 0.9 * (X[:, 0] > 0) + 0.05)
        return np.column_stack([1 - p, p])


def test_value_is_the_mutual_information():
    X = np.array([[1.0, 0.0], [-1.0, 1.0]] * 4)
    model, imputer = Sign().fit(X, X[:, 0] > 0), hot_deck(X, [1, 1])
    new = [[np.nan, 0.0], [1.0, np.nan]]
    kept = {"n_draws": 100, "random_state": 0}
    found = acquisition_value(model, imputer, new, **kept).value
    noise = -0.95 * np.log(0.95) - 0.05 * np.log(0.05)
    assert found[0, 0] == pytest.approx(np.log(2) - noise, abs=0.02)
    assert found[1, 1] == pytest.approx(0, abs=1e-12)
    error = acquisition_value(model, imputer, new, loss="zero_one", **kept).value
    assert error[0, 0] == pytest.approx(0.45, abs=0.05)


@pytest.fixture(scope="module")
def revealed():
    """Numbers whose second and third modality help by 4 * 0.51 and 1 * 0.51."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((3000, 3))
    X[:, 1:] = 0.7 * X[:, :1] + np.sqrt(0.51) * X[:, 1:]
    y = X @ [1.0, 2.0, 1.0] + rng.standard_normal(3000)
    hidden = X.copy()
    for m in (1, 2):
        hidden[rng.permutation(3000)[:1500], m] = np.nan
    imputer = FactorImputer(1, n_factors=1, modalities=[1, 1, 1], random_state=0)
    model = make_pipeline(imputer, Ridge()).fit(hidden[:1500], y[:1500])
    return model, X[1500:], hidden[1500:], y[1500:]


def test_value_predicts_the_gain_of_revealed_modalities(revealed):
    model, X, hidden, y = revealed
    imputer = model[0]
    value = acquisition_value(model, imputer, hidden, random_state=0).value
    before = (model.predict(hidden) - y) ** 2
    for m, weight in ((1, 4), (2, 1)):
        rows = np.isnan(hidden[:, m])
        shown = hidden[rows]
        shown[:, m] = X[rows, m]
        gain = before[rows].mean() - np.mean((model.predict(shown) - y[rows]) ** 2)
        assert value[rows, m].mean() == pytest.approx(weight * 0.51, rel=0.25)
        assert value[rows, m].mean() == pytest.approx(gain, abs=0.25)


def test_ranking_is_better_than_chance_and_worse_than_the_truth(revealed):
    model, X, hidden, y = revealed
    value = acquisition_value(model, model[0], hidden, random_state=0).value
    before = (model.predict(hidden) - y) ** 2
    chance = np.random.RandomState(0).uniform(size=value.shape)
    truth = np.full(value.shape, np.nan)
    for m in (1, 2):
        shown = hidden.copy()
        shown[:, m] = X[:, m]
        truth[:, m] = before - (model.predict(shown) - y) ** 2
    truth[~np.isnan(hidden)] = chance[~np.isnan(hidden)] = np.nan
    errors = []
    for values in (truth, value, chance):
        ranked = rank_acquisitions(values, budget=0.2)
        places = ranked.sample, [NAMES.index(name) for name in ranked.modality]
        shown = hidden.copy()
        shown[places] = X[places]
        errors.append(np.mean((model.predict(shown) - y) ** 2))
    assert errors[0] < errors[1] < errors[2] < before.mean()


def test_samples_are_independent_and_complete_ones_have_no_value(data):
    X, _, model, imputer = data
    kept = {"n_draws": 3, "random_state": 1}
    value = acquisition_value(model, imputer, X, **kept).value
    order = np.random.RandomState(0).permutation(len(X))
    shuffled = acquisition_value(model, imputer, X[order], **kept).value
    assert_allclose(shuffled, value[order], atol=1e-12)
    complete = X[~np.isnan(X).any(axis=1)]
    assert np.isnan(acquisition_value(model, imputer, complete, **kept).value).all()


def test_frames_and_imputers_are_left_alone(data):
    pandas = pytest.importorskip("pandas")
    X, y, *_ = data
    frame = pandas.DataFrame(X, columns=[f"c{i}" for i in range(6)])
    frame.index = frame.index + 7
    model = LateFusionClassifier("linear", modalities=WIDTHS, cv=2).fit(frame, y)
    imputer = FactorImputer(1, n_factors=1, modalities=WIDTHS, add_indicator=True)
    before = imputer.fit(frame).transform(frame)
    kept = {"n_draws": 2, "random_state": 1}
    values = acquisition_value(model, imputer, frame, as_frame=True, **kept)
    assert_array_equal(values.index, frame.index)
    assert tuple(values.columns) == NAMES
    plain = acquisition_value(model, imputer, frame, **kept)
    assert_array_equal(values, plain.value)
    assert imputer.sample_posterior is False and imputer.add_indicator
    assert_array_equal(imputer.transform(frame), before)
    ranked = rank_acquisitions(values, budget=3, as_frame=True)
    assert list(ranked.columns) == ["sample", "modality", "value", "total_cost"]
    assert len(ranked) == 3 and ranked["value"].iloc[0] == np.nanmax(values)


def test_frames_with_several_levels_of_names(data):
    pandas = pytest.importorskip("pandas")
    X, _, model, imputer = data
    levels = [(f"m{m}", c) for m, columns in enumerate(COLUMNS) for c in columns]
    frame = pandas.DataFrame(X, columns=pandas.MultiIndex.from_tuples(levels))
    named = hot_deck(frame, None)
    kept = {"n_draws": 2, "random_state": 1}
    result = acquisition_value(model, named, frame, **kept)
    assert result.modalities == ("m0", "m1", "m2")
    assert_array_equal(result.value, acquisition_value(model, imputer, X, **kept).value)


def test_draws_of_a_variational_autoencoder(data):
    pytest.importorskip("torch")
    from skmissing.fusion import VariationalImputer

    X, _, model, _ = data
    imputer = VariationalImputer(
        2, hidden_dim=4, modalities=WIDTHS, max_epochs=2, random_state=0
    ).fit(X)
    first, second, other = (
        acquisition_value(model, imputer, X, n_draws=2, random_state=seed).value
        for seed in (0, 0, 1)
    )
    assert_array_equal(first, second)
    missing = ~np.isnan(first)
    assert missing.any() and (first[missing] != other[missing]).all()


def test_warnings_are_given_once(data):
    X, _, model, imputer = data
    X = X.copy()
    X[0] = np.nan
    with pytest.warns(ModalityWarning) as found:
        acquisition_value(model, imputer, X, n_draws=3)
    (warning,) = found
    assert "1 of 60 samples have no observed modality" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"imputer": RetrievalImputer(2).fit([[1.0]] * 3)}, TypeError, "that draws"),
        (
            {"imputer": SimpleModalityImputer().fit([[1.0]])},
            TypeError,
            "imputer must be one that draws.*; got SimpleModalityImputer",
        ),
        ({"imputer": SimpleImputer()}, TypeError, "imputer must be one that draws"),
        ({"imputer": FactorImputer()}, NotFittedError, "FactorImputer"),
        ({"estimator": LogisticRegression()}, NotFittedError, "LogisticRegression"),
        ({"estimator": KMeans(1).fit([[1.0]])}, TypeError, "estimator must be a clas"),
        (
            {"estimator": Perceptron().fit([[1.0], [2.0]], [0, 1])},
            TypeError,
            "with predict_proba, or a regressor; got Perceptron",
        ),
        ({"loss": "squared_error"}, ValueError, "one of 'log_loss', 'zero_one' for"),
        ({"loss": "hinge"}, ValueError, "loss"),
        ({"n_draws": 1}, ValueError, "n_draws"),
        ({"costs": {"modality0": 1}}, ValueError, "a finite number above 0 per modal"),
        ({"costs": dict.fromkeys(NAMES, 0)}, ValueError, "costs must have a finite"),
        ({"costs": [1, 2, 3]}, ValueError, "costs must have a finite number"),
        ({"X": "file.parquet"}, TypeError, "X must be a table in memory; got str"),
        (
            {"estimator": Constant(np.nan)},
            ValueError,
            "estimator=Constant.*must be finite",
        ),
        ({"estimator": Constant("a")}, ValueError, "estimator must predict numbers pe"),
        ({"estimator": ConstantProba(0.7)}, ValueError, "of ConstantProba must add up"),
        ({"estimator": ConstantProba()}, ValueError, r"must have the shape \(\d+, 2\)"),
    ],
)
def test_bad_input_of_values(data, changes, error, match):
    X, _, model, imputer = data
    given = {"estimator": model, "imputer": imputer, "X": X} | changes
    with pytest.raises(error, match=match):
        acquisition_value(**given)


def test_modalities_of_the_imputer_and_the_estimator(data):
    X, y, _, _ = data
    model = LateFusionClassifier("linear", modalities=[1, 1, 4], cv=2)
    model = model.fit(X, y)
    together = hot_deck(X, {"first": 2, "last": 4})
    acquisition_value(model, together, X, n_draws=2)
    for widths in ([2, 1, 3], {"modality2": 1, "b": 1, "modality0": 4}):
        imputer = hot_deck(X, widths)
        with pytest.raises(ValueError, match="imputer must have the modalities of est"):
            acquisition_value(model, imputer, X, n_draws=2)


# rank_acquisitions

VALUES = np.array([[np.nan, 5.0], [4.0, 3.0], [2.0, np.nan]])
COSTS = {"modality0": 1, "modality1": 3}


@pytest.mark.parametrize(
    ("budget", "costs", "expected"),
    [
        (0.5, None, [(0, 1), (1, 0)]),
        (3, None, [(0, 1), (1, 0), (1, 1)]),
        (1, None, [(0, 1)]),
        (1.0, None, [(0, 1), (1, 0), (1, 1), (2, 0)]),
        (0, None, []),
        # The first two cost 4. The third would cost 3, and the fourth costs 1.
        (5, COSTS, [(0, 1), (1, 0), (2, 0)]),
        (2.5, COSTS, [(1, 0), (2, 0)]),
        (0.125, COSTS, [(1, 0)]),
    ],
)
def test_ranking_by_hand(budget, costs, expected):
    ranked = rank_acquisitions(VALUES, budget=budget, costs=costs)
    found = zip(ranked.sample, [NAMES.index(name) for name in ranked.modality])
    assert list(found) == expected
    assert_array_equal(ranked.value, [VALUES[cell] for cell in expected])
    price = [1, 1] if costs is None else [1, 3]
    assert_array_equal(ranked.total_cost, np.cumsum([price[m] for _, m in expected]))


def test_greedy_is_best_for_equal_costs():
    values = np.random.RandomState(0).uniform(size=(4, 2))
    for budget in range(9):
        best = max(
            sum(chosen) for chosen in itertools.combinations(values.ravel(), budget)
        )
        ranked = rank_acquisitions(values, budget=budget)
        assert ranked.value.sum() == pytest.approx(best)


def test_ranking_takes_the_costs_of_a_result(data):
    X, _, model, imputer = data
    costs = dict(zip(NAMES, [1, 2, 4]))
    result = acquisition_value(model, imputer, X, costs=costs, n_draws=2)
    ranked = rank_acquisitions(result, budget=0.3)
    again = rank_acquisitions(result.value, budget=0.3, costs=costs)
    for name, found in ranked.items():
        assert_array_equal(found, again[name])
    total = (~np.isnan(result.value) @ [1, 2, 4]).sum()
    assert 0.3 * total - 4 < ranked.total_cost[-1] <= 0.3 * total
    assert (np.diff(ranked.value) <= 0).all()


def test_ranking_with_other_costs_than_those_of_the_result(data):
    X, _, model, imputer = data
    costs = dict(zip(NAMES, [1, 2, 4]))
    given = {"n_draws": 2, "random_state": 0}
    plain = acquisition_value(model, imputer, X, **given)
    priced = acquisition_value(model, imputer, X, costs=costs, **given)
    found = rank_acquisitions(plain, budget=0.3, costs=costs)
    expected = rank_acquisitions(priced, budget=0.3)
    assert_array_equal(found.sample, expected.sample)
    assert_allclose(found.value, expected.value)


def test_bad_input_of_the_ranking():
    with pytest.raises(TypeError, match="budget must be a number; got True"):
        rank_acquisitions(VALUES, budget=True)
    for values in ([1, 2], None, np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="values must have the shape"):
            rank_acquisitions(values, budget=1)
    with pytest.raises(TypeError, match="values must be a Bunch .*; got dict"):
        rank_acquisitions({"text": [1]}, budget=1)
    with pytest.raises(ValueError, match="budget"):
        rank_acquisitions(VALUES, budget=-1)
    with pytest.raises(ValueError, match="costs must have .* 'modality0', 'modality1'"):
        rank_acquisitions(VALUES, budget=1, costs={"text": 1})
    with pytest.raises(ValueError, match="values contains infinity"):
        rank_acquisitions([[np.inf]], budget=1)


# AcquisitionDisplay


def test_display_shows_means_per_pattern(data):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, _, model, imputer = data
    X = X.copy()
    X[:, 5] = np.where(np.isnan(X[:, 5]), 0, X[:, 5])
    kept = {"n_draws": 2, "random_state": 0}
    result = acquisition_value(model, imputer, X, **kept)
    display = AcquisitionDisplay.from_estimator(model, imputer, X, **kept)
    assert (np.diff(display.counts) <= 0).all() and not display.presence.all(1).any()
    for present, n, mean in zip(display.presence, display.counts, display.value):
        rows = (np.isnan(result.value) == present).all(axis=1)
        assert rows.sum() == n
        assert_allclose(mean, result.value[rows].mean(axis=0))
    shown = [text.get_text() for text in display.ax_.texts]
    assert shown == [f"{v:.2g}" for v in display.value[~display.presence]]
    label = display.ax_.get_yticklabels()[0].get_text()
    assert label.endswith(f"({display.counts[0]})") and "modality2" in label
    assert display.value_name == "Mutual information (nats)"
    assert display.figure_ is display.ax_.figure
    costs = dict(zip(NAMES, [1, 2, 4]))
    dear = acquisition_value(model, imputer, X, costs=costs, **kept)
    ax = AcquisitionDisplay.from_result(dear).ax_
    assert ax.figure.axes[1].get_ylabel().endswith("per unit of cost")
    complete = acquisition_value(model, imputer, X[~np.isnan(X).any(axis=1)])
    with pytest.raises(ValueError, match="result must have a missing modality"):
        AcquisitionDisplay.from_result(complete)
    matplotlib.pyplot.close("all")


def test_bad_input_of_the_display():
    pytest.importorskip("matplotlib")
    for result in (VALUES, None, rank_acquisitions(VALUES, budget=1)):
        with pytest.raises(TypeError, match="result must be a Bunch returned by acqui"):
            AcquisitionDisplay.from_result(result)
    for n_patterns in (0, 1):
        presence = np.ones((n_patterns, 2), dtype=bool)
        display = AcquisitionDisplay(
            presence=presence,
            counts=np.ones(n_patterns),
            value=np.full((n_patterns, 2), np.nan),
            modalities=["a", "b"],
        )
        with pytest.raises(ValueError, match="presence must have a missing modality"):
            display.plot()
