"""Mechanisms of ModalityAmputer, and the kernels below them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmissing.simulate import ModalityAmputer, ampute
from skmissing.simulate._mechanisms import (
    draw_bursts,
    give_back,
    largest_remainder,
    row_keys,
    solve_intercept,
    uniforms,
)

WIDTHS = {"text": 3, "audio": 2, "video": 1}
STARTS = [0, 3, 5]


def make_X(n_rows=2000, seed=0):
    """Rows of three modalities, complete."""
    return np.random.RandomState(seed).standard_normal((n_rows, 6))


def gone(Xt):
    """Which modalities are missing; each is missing as a whole or not at all."""
    missing = np.isnan(Xt)
    blocks = [missing[:, :3], missing[:, 3:5], missing[:, 5:]]
    assert all((b.all(axis=1) == b.any(axis=1)).all() for b in blocks)
    return np.column_stack([b.any(axis=1) for b in blocks])


def amputer(missing=0.5, **params):
    """An amputer of the three modalities with seed 0."""
    params = {"modalities": WIDTHS, "random_state": 0, **params}
    return ModalityAmputer(missing, **params)


def test_mar_follows_the_driver():
    """Rows with high values of the driver lose more; the driver itself is whole."""
    X = make_X(4000)
    hidden = gone(
        amputer(0.3, mechanism="mar", driver="audio", strength=2.0).fit_transform(X)
    )
    level = X[:, 3:5].sum(axis=1)
    assert not hidden[:, 1].any()
    high, low = hidden[level > 0].mean(axis=0), hidden[level < 0].mean(axis=0)
    assert (high[[0, 2]] > low[[0, 2]] + 0.25).all()
    # 0.09 of the rows would lose both; audio stays, so the rates are met.
    assert_allclose(hidden.mean(axis=0)[[0, 2]], 0.3, atol=0.04)
    # Given the driver, the values that are hidden do not matter.
    assert abs(np.corrcoef(hidden[:, 2], X[:, 5])[0, 1]) < 0.08


def test_mar_drives_from_the_first_modality_by_default():
    """driver=None, 0 and the first name are the same."""
    X = make_X(200)
    expected = amputer(mechanism="mar").fit_transform(X)
    for driver in (0, np.int64(0), "text"):
        same = amputer(mechanism="mar", driver=driver).fit_transform(X)
        assert_array_equal(same, expected)
    assert not gone(expected)[:, 0].any()


def test_mnar_follows_the_hidden_values():
    """High values are hidden, with a negative strength low ones."""
    X = make_X(4000)
    for sign in (1, -1):
        fitted = amputer(0.3, mechanism="mnar", strength=2.0 * sign, allow_empty=True)
        hidden = gone(fitted.fit_transform(X))
        for m, block in enumerate([X[:, :3], X[:, 3:5], X[:, 5:]]):
            level = block.mean(axis=1) * sign
            assert level[hidden[:, m]].mean() > 0.3 > 0 > level[~hidden[:, m]].mean()
        assert_allclose(hidden.mean(axis=0), 0.3, atol=0.04)


def test_strength_zero_is_mcar():
    """With no strength every mechanism hides what MCAR hides."""
    X = make_X(300)
    expected = amputer(0.4).fit_transform(X)
    assert_array_equal(
        amputer(0.4, mechanism="mnar", strength=0).fit_transform(X), expected
    )
    groups = np.arange(300) % 4
    grouped = amputer(0.4, mechanism="group", strength=0)
    assert_array_equal(grouped.fit_transform(X, groups=groups), expected)


def test_mechanism_learns_from_training_rows_only():
    """Shifted rows are judged by the training mean: nearly all of them are hidden."""
    X = make_X(500)
    fitted = amputer(0.5, mechanism="mnar", strength=5.0, allow_empty=True).fit(X)
    assert gone(fitted.transform(X + 10)).mean() > 0.99
    assert gone(fitted.transform(X - 10)).mean() < 0.01


def test_label_mechanism():
    """Classes lose modalities at different rates; the mean is the rate asked for."""
    X, y = make_X(6000), np.array(["a", "b", "c"])[np.arange(6000) % 3]
    fitted = amputer(0.4, mechanism="label", when="fit", strength=2, allow_empty=True)
    hidden = gone(fitted.fit_transform(X, y))
    by_class = np.array([hidden[y == c].mean(axis=0) for c in "abc"])
    assert_allclose(by_class.mean(axis=0), 0.4, atol=0.03)
    # Scores are -1.22, 0 and 1.22: probabilities of about 0.06, 0.31 and 0.84.
    assert_allclose(np.sort(by_class, axis=0)[:, 0], [0.05, 0.36, 0.80], atol=0.08)
    assert_array_equal(fitted.transform(X), X)


def test_label_mechanism_with_a_continuous_target():
    """Rows with a high target lose more."""
    X = make_X(3000)
    y = X[:, 0] + 0.5
    Xt = ampute(
        X, 0.3, y=y, mechanism="label", modalities=WIDTHS, strength=2, random_state=0
    )
    hidden = gone(Xt)
    assert (hidden[y > y.mean()].mean(axis=0) > 0.35).all()
    assert (hidden[y < y.mean()].mean(axis=0) < 0.2).all()


def test_group_mechanism_by_argument_and_by_column():
    """Groups given apart, or in a column of X, give the same masks."""
    X = make_X(3000)
    X[:, 5] = np.arange(3000) % 5
    by_column = amputer({"text": 0.4, "audio": 0.4}, mechanism="group", driver="video")
    by_argument = amputer({"text": 0.4, "audio": 0.4}, mechanism="group")
    hidden = gone(by_column.fit_transform(X))
    assert_array_equal(gone(by_argument.fit_transform(X, groups=X[:, 5])), hidden)
    assert_array_equal(gone(by_argument.transform(X, groups=X[:, 5])), hidden)
    assert not hidden[:, 2].any()
    rates = np.array([hidden[X[:, 5] == g].mean(axis=0) for g in range(5)])
    assert (np.ptp(rates[:, :2], axis=0) > 0.3).all()
    assert_allclose(rates.mean(axis=0), [0.4, 0.4, 0], atol=0.04)


def test_new_groups_are_told():
    """Rows of a group that fit did not see lose at the average rate, with a warning."""
    X, groups = make_X(400), np.array(["a", "b"])[np.arange(400) % 2]
    fitted = amputer(mechanism="group").fit(X, groups=groups)
    other = np.where(np.arange(400) < 30, "new", groups)
    with pytest.warns(UserWarning, match=r"30 rows have a group .* \('new'\)"):
        fitted.transform(X, groups=other)


def test_groups_by_metadata_routing():
    """In a pipeline the groups come by metadata routing, in fit and in predict."""
    X, y, groups = make_X(200), np.arange(200) % 2, np.arange(200) % 4
    expected = gone(amputer(mechanism="group").fit_transform(X, groups=groups))
    with config_context(enable_metadata_routing=True):
        asks = amputer(mechanism="group")
        asks.set_fit_request(groups=True).set_transform_request(groups=True)
        seen = []

        def look(X):
            seen.append(gone(X))
            return np.nan_to_num(X)

        model = make_pipeline(asks, FunctionTransformer(look), LogisticRegression())
        model.fit(X, y, groups=groups)
        model.predict(X, groups=groups)
    assert len(seen) == 2
    for hidden in seen:
        assert_array_equal(hidden, expected)


def test_bursts_have_the_rate_and_the_length(seed):
    """Runs last burst_length rows on average, and hide the rate asked for."""
    X = make_X(30000, seed)
    fitted = amputer(
        {"text": 0.2, "audio": 0.5},
        mechanism="burst",
        burst_length=20,
        random_state=seed,
    )
    hidden = gone(fitted.fit_transform(X))
    for m, rate in enumerate([0.2, 0.5]):
        # About 300 and 750 runs, whose lengths have a deviation of 20 rows.
        assert abs(hidden[:, m].mean() - rate) < 0.08
        n_runs = np.sum(np.diff(hidden[:, m].astype(int)) == 1)
        assert 15 < hidden[:, m].sum() / n_runs < 25
    # Each modality has its own clock.
    assert abs(np.corrcoef(hidden[:, 0], hidden[:, 1])[0, 1]) < 0.15


def test_bursts_give_back_whole_runs():
    """Where all modalities fail at once, one comes back for as long as they do."""
    X = make_X(3000)
    hidden = gone(amputer(0.6, mechanism="burst", burst_length=50).fit_transform(X))
    assert not hidden.all(axis=1).any()
    changes = (hidden[1:] != hidden[:-1]).any(axis=1).sum()
    assert changes < 600


def test_bursts_stop_at_the_end_of_a_recording():
    """Each group has its own draw: it does not matter what comes before it."""
    X, groups = make_X(400), np.repeat([0, 1], 200)
    fitted = amputer(mechanism="burst").fit(X)
    both = fitted.transform(X, groups=groups)
    alone = fitted.transform(X[200:], groups=groups[200:])
    assert_array_equal(both[200:], alone)


def test_largest_remainder_by_hand():
    """7 rows over shares of 0.5, 0.3 and 0.2: 3.5, 2.1 and 1.4."""
    assert largest_remainder(np.array([0.5, 0.3, 0.2]), 7).tolist() == [4, 2, 1]
    assert largest_remainder(np.array([0.29, 0.71]), 100).tolist() == [29, 71]


def test_give_back_by_weight():
    """The modality that comes back is drawn by weight, among those the row has."""
    rng = np.random.RandomState(0)
    weights = np.array([0.6, 0.3, 0.1, 0.0])
    hidden, presence = np.ones((2, 20000, 4), dtype=bool)
    give_back(hidden, presence, weights, rng.uniform(size=(20000, 4)))
    assert_array_equal((~hidden).sum(axis=1), 1)
    assert_allclose((~hidden).mean(axis=0), weights, atol=0.02)
    only = np.array([[False, True, False, True]])
    hidden = only.copy()
    give_back(hidden, only, weights, np.full((1, 4), 0.5))
    assert hidden.tolist() == [[False, False, False, True]]


def test_give_back_evenly_without_weights():
    """If all weights are 0 the choice is even."""
    hidden, presence = np.ones((2, 9000, 3), dtype=bool)
    draws = np.random.RandomState(0).uniform(size=(9000, 3))
    give_back(hidden, presence, np.zeros(3), draws)
    assert_allclose((~hidden).mean(axis=0), 1 / 3, atol=0.03)


def test_uniforms_are_uniform_and_unrelated():
    """Draws of neighbouring keys and of one key fill [0, 1) and do not correlate."""
    draws = uniforms(np.arange(20000, dtype=np.uint64), 4)
    assert draws.min() >= 0 and draws.max() < 1
    for column in draws.T:
        assert_allclose(np.histogram(column, bins=10)[0], 2000, atol=250)
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.04
    assert abs(np.corrcoef(draws[1:, 0], draws[:-1, 0])[0, 1]) < 0.04
    assert_array_equal(uniforms(np.arange(5, dtype=np.uint64), 2), draws[:5, :2])


def test_row_keys_see_every_cell_and_no_disguise():
    """Keys change with any cell and the seed, not with the sign of 0 or of NaN."""
    X = make_X(10)
    keys = row_keys(X, 0)
    assert len(set(keys.tolist())) == 10
    for column in range(6):
        changed = X.copy()
        changed[:, column] += 1e-9
        assert not np.intersect1d(row_keys(changed, 0), keys).size
    assert not np.intersect1d(row_keys(X, 1), keys).size
    one = row_keys(np.array([[0.0, np.nan]]), 0)
    assert_array_equal(row_keys(np.array([[-0.0, -np.nan]]), 0), one)
    assert_array_equal(row_keys(np.asfortranarray(X), 0), keys)


@pytest.mark.parametrize("rate", [0, 0.01, 0.5, 0.99, 1])
def test_intercept_gives_the_rate(rate):
    """The mean probability is the rate."""
    scores = np.random.RandomState(0).standard_normal(500)
    a = solve_intercept(scores, rate, 3.0)
    with np.errstate(over="ignore"):
        assert_allclose((1 / (1 + np.exp(-(a + 3.0 * scores)))).mean(), rate, atol=1e-9)


def test_bursts_of_one_row():
    """At length = rate / (1 - rate), hidden runs are parted by single rows."""
    hidden = draw_bursts(np.random.default_rng(0), 3000, 0.9, 9.0)
    visible = np.flatnonzero(~hidden)
    assert (np.diff(visible) > 1).all()
    assert abs(hidden.mean() - 0.9) < 0.03
