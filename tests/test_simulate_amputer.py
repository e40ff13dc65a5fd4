"""ModalityAmputer: what is hidden, by which mechanism, and scikit-learn's checks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmissing import ModalityWarning
from skmissing.simulate import ModalityAmputer, OneMissing, PatternTable, ampute
from skmissing.simulate._mechanisms import (
    draw_bursts,
    draw_segments,
    give_back,
    largest_remainder,
    row_keys,
    solve_intercept,
    uniforms,
)

WIDTHS = {"text": 3, "audio": 2, "video": 1}


def make_X(n_rows=2000, seed=0):
    return np.random.RandomState(seed).standard_normal((n_rows, 6))


def gone(Xt):
    missing = np.isnan(Xt)
    blocks = [missing[:, :3], missing[:, 3:5], missing[:, 5:]]
    assert all((b.all(axis=1) == b.any(axis=1)).all() for b in blocks)
    return np.column_stack([b.any(axis=1) for b in blocks])


def amputer(missing=None, **params):
    params = {"modalities": WIDTHS, "random_state": 0, **params}
    return ModalityAmputer(missing, **params)


def test_rest_is_untouched():
    X = make_X()
    Xt = amputer().fit_transform(X)
    seen = ~np.isnan(Xt)
    assert_array_equal(Xt[seen], X[seen])
    assert 0 < seen.sum() < X.size


def test_columns_of_a_modality_need_not_be_neighbours():
    X = make_X()
    modalities = {"a": [5, 0], "b": [1, 2, 4], "c": [3]}
    Xt = amputer(modalities=modalities).fit_transform(X)
    assert_array_equal(np.isnan(Xt[:, 0]), np.isnan(Xt[:, 5]))
    assert_array_equal(np.isnan(Xt[:, 1]), np.isnan(Xt[:, 4]))
    assert_array_equal(Xt[:, 3][~np.isnan(Xt[:, 3])], X[:, 3][~np.isnan(Xt[:, 3])])


def test_rates_without_empty_rows_in_closed_form(seed):
    rates = np.array([0.5, 0.8, 0.9])
    X = make_X(6000, seed)
    missing = dict(zip(WIDTHS, rates))
    hidden = gone(amputer(missing, random_state=seed).fit_transform(X))
    expected = rates - (1 - rates) / (1 - rates).sum() * rates.prod()
    assert not hidden.all(axis=1).any()
    # Standard deviations are at most 0.0065.
    assert_allclose(hidden.mean(axis=0), expected, atol=0.03)


def test_modalities_are_hidden_independently(seed):
    rates = np.array([0.5, 0.3, 0.2])
    X = make_X(8000, seed)
    hidden = gone(
        amputer(
            dict(zip(WIDTHS, rates)), allow_empty=True, random_state=seed
        ).fit_transform(X)
    )
    for code in range(8):
        pattern = [bool(code & 4), bool(code & 2), bool(code & 1)]
        expected = np.where(pattern, rates, 1 - rates).prod()
        found = (hidden == pattern).all(axis=1).mean()
        assert abs(found - expected) < 5 * np.sqrt(expected / 8000)


def test_samples_are_emptied_only_if_asked_for():
    X = make_X(50)
    assert np.isnan(amputer(1.0, allow_empty=True).fit_transform(X)).all()
    with pytest.raises(ValueError, match="hides all modalities of every sample"):
        amputer(1.0).fit(X)
    table = PatternTable({"": 0.25, "text": 0.75})
    with pytest.raises(ValueError, match="hides all modalities of 25% of the samples"):
        amputer(table).fit(X)
    hidden = gone(amputer(table, allow_empty=True).fit_transform(X[:40]))
    assert hidden.all(axis=1).sum() == 10


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"missing": 0.9},
        {"config": "complex-0-0-0-100-0-0-0"},
        {"missing": OneMissing(1.0)},
        {"mechanism": "mar"},
        {"mechanism": "mnar"},
        {"mechanism": "burst", "missing": 0.8},
    ],
    ids=str,
)
def test_samples_with_missing_modalities(params):
    X = make_X(600)
    X[:200, :3] = np.nan
    X[100:300, 3:5] = np.nan
    X[:10] = np.nan
    before = gone(X)
    after = gone(amputer(**params).fit_transform(X))
    assert (after >= before).all()
    assert_array_equal(after.all(axis=1), before.all(axis=1))
    assert (after > before).any()


def test_partially_observed_modalities():
    """Such a modality may be hidden as a whole; single missing cells stay missing."""
    X = make_X(200)
    X[::2, 0] = np.nan
    Xt = amputer(0.3).fit_transform(X)
    text_gone = np.isnan(Xt[:, 1])
    assert_array_equal(np.isnan(Xt[:, 0]), text_gone | np.isnan(X[:, 0]))
    assert text_gone.any()


def test_same_rows_same_mask_whatever_the_phase():
    X = make_X(300)
    fitted = amputer()
    first = fitted.fit_transform(X)
    assert_array_equal(fitted.transform(X), first)
    assert_array_equal(fitted.fit(X).transform(X), first)
    assert_array_equal(fitted.transform(X[::-1])[::-1], first)
    assert_array_equal(fitted.transform(X[5:9]), first[5:9])
    assert_array_equal(gone(first) & ~gone(X), fitted.hidden_modalities(X))


def test_other_rows_draw_independently():
    X_train, X_test = make_X(4000, seed=1), make_X(4000, seed=2)
    fitted = amputer()
    train, test = gone(fitted.fit_transform(X_train)), gone(fitted.transform(X_test))
    for m in range(3):
        assert abs(np.corrcoef(train[:, m], test[:, m])[0, 1]) < 0.08


def test_seeds_give_other_masks():
    X = make_X(500)
    one = gone(amputer(random_state=1).fit_transform(X))
    two = gone(amputer(random_state=2).fit_transform(X))
    assert abs(np.corrcoef(one[:, 0], two[:, 0])[0, 1]) < 0.2
    fresh = amputer(random_state=None)
    assert (gone(fresh.fit_transform(X)) != gone(fresh.fit_transform(X))).any()


def test_equal_rows_draw_independently():
    X = np.tile([[0.0, 1, 2, 1, 1, 2], [5, 6, 7, 5, 6, 7]], (1000, 1))
    hidden = gone(amputer(allow_empty=True).fit_transform(X))
    assert_allclose(hidden.mean(axis=0), 0.5, atol=0.06)
    assert_allclose(hidden[::2].mean(axis=0), 0.5, atol=0.08)


def test_masks_of_one_seed_are_nested():
    X = make_X(400)
    previous = np.zeros((400, 3), dtype=bool)
    for rate in (0.1, 0.3, 0.5, 0.7, 0.95):
        hidden = gone(amputer(rate).fit_transform(X))
        assert (hidden >= previous).all()
        previous = hidden


def test_float32_and_float64_agree():
    X = make_X(100).astype(np.float32)
    narrow, wide = amputer().fit_transform(X), amputer().fit_transform(X.astype(float))
    assert narrow.dtype == np.float32 and wide.dtype == np.float64
    assert_array_equal(narrow, wide.astype(np.float32))


def test_when_fit_and_when_transform():
    X = make_X(100)
    expected = amputer().fit_transform(X)
    fit_only, later_only = amputer(when="fit"), amputer(when="transform")
    assert_array_equal(fit_only.fit_transform(X), expected)
    assert_array_equal(fit_only.transform(X), X)
    assert fit_only.transform(X) is not X
    assert not fit_only.hidden_modalities(X).any()
    assert_array_equal(later_only.fit_transform(X), X)
    assert_array_equal(later_only.transform(X), expected)
    assert later_only.realized_rates_ == dict.fromkeys(WIDTHS, 0.0)


def test_pipeline_hides_as_when_asks():
    X, y = make_X(90), np.arange(90) % 2
    for when, gaps in [("both", (1, 1)), ("fit", (1, 0)), ("transform", (0, 1))]:
        seen = []

        def look(X, seen=seen):
            seen.append(np.isnan(X).any())
            return np.nan_to_num(X)

        model = make_pipeline(
            amputer(when=when), FunctionTransformer(look), LogisticRegression()
        )
        model.fit(X, y).predict(X)
        assert tuple(map(int, seen)) == gaps


def test_drift_between_training_and_use():
    """missing_at_transform sets another rate for transform, masks still nested."""
    X = make_X(1000)
    fitted = amputer(0.2, missing_at_transform=0.7, allow_empty=True)
    train, later = gone(fitted.fit_transform(X)), gone(fitted.transform(X))
    assert_allclose(train.mean(axis=0), 0.2, atol=0.06)
    assert_allclose(later.mean(axis=0), 0.7, atol=0.06)
    assert (later >= train).all()


def test_drift_of_drawn_modalities():
    X = make_X(500)
    for seed in range(5):
        fitted = amputer((0.3, 0.4), missing_at_transform=(0.7, 0.9), random_state=seed)
        train, later = gone(fitted.fit_transform(X)), gone(fitted.transform(X))
        assert train.any(axis=0).sum() == 1 and later.any(axis=0).sum() == 2
        assert (later.any(axis=0) >= train.any(axis=0)).all()


def test_ampute_keeps_the_container(df_module):
    names = ["a__0", "a__1", "b__0"]
    X = make_X(50)[:, :3]
    X[:5, 2] = np.nan
    frame = df_module.DataFrame(dict(zip(names, X.T)))
    Xt, hidden = ampute(frame, 0.5, random_state=0, return_mask=True)
    assert isinstance(Xt, df_module.DataFrame) and list(Xt.columns) == names
    assert hidden.shape == (50, 2) and not hidden[:5, 1].any()
    values = np.asarray(Xt, dtype=float)
    assert_array_equal(np.isnan(values[:, 0]), hidden[:, 0])
    assert_array_equal(values, ampute(X, 0.5, modalities=[2, 1], random_state=0))


def test_ampute_keeps_numbers_as_names():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(make_X(50), index=range(7, 57))
    Xt = ampute(X, 0.5, modalities=[3, 3], random_state=0)
    assert Xt.columns.equals(X.columns) and Xt.index.equals(X.index)


def test_search_over_missing():
    X = make_X(90)
    y = (X[:, 0] > 0).astype(int)
    model = make_pipeline(
        amputer(), FunctionTransformer(np.nan_to_num), LogisticRegression()
    )
    grid = [
        {"modalityamputer__missing": [0.1, (0.4, 0.5)]},
        {"modalityamputer__config": ["complex-40-10-10-10-10-10-10"]},
    ]
    search = GridSearchCV(model, grid, cv=3).fit(X, y)
    assert len(search.cv_results_["mean_test_score"]) == 3
    assert_array_equal(cross_val_score(model, X, y), cross_val_score(model, X, y))


BAD_PARAMS = [
    ({"mechanism": "label"}, r"when must be 'fit' for mechanism='label'.*got 'both'"),
    ({"driver": "text"}, r"driver must be None unless .*; got driver='text'"),
    (
        {"mechanism": "mar", "driver": "x"},
        r"driver must be a modality of X, text, audio, video; got 'x'",
    ),
    (
        {"mechanism": "mar", "driver": 3},
        r"driver must be a name, or a number from 0 to 2; got 3",
    ),
    (
        {"mechanism": "mar", "driver": -1},
        r"driver must be a name, or a number .* got -1",
    ),
    (
        {"mechanism": "mar", "missing": {"text": 0.2}},
        r"The driver 'text' is never hidden.* must be 0; got 0.2 in missing=",
    ),
    ({"mechanism": "group"}, r"groups must be given for mechanism='group', or driver"),
    ({"mechanism": "group", "driver": 0}, r"driver=0 must have one column.*got 3"),
    (
        {"mechanism": "mnar", "missing": OneMissing(0.5)},
        r"missing must be rates for mechanism='mnar'",
    ),
    (
        {"mechanism": "burst", "missing": 0.9, "burst_length": 2},
        r"burst_length=2 is too short to hide .* in 90% .* must be at least 9",
    ),
    ({"missing": 1.5}, r"The 'missing' parameter of ModalityAmputer must be"),
    ({"missing": "0.5"}, r"The 'missing' parameter of ModalityAmputer must be"),
    ({"config": 0.5}, r"The 'config' parameter of ModalityAmputer must be"),
    (
        {"missing": 0.5, "config": "complex-40-10-10-10-10-10-10"},
        r"missing or config must be None; got missing=0.5 and config='complex",
    ),
    ({"when": "never"}, r"The 'when' parameter of ModalityAmputer must be"),
    ({"modalities": [3, 2]}, r"add up to 5, but X has 6 features"),
]


@pytest.mark.parametrize("params, message", BAD_PARAMS, ids=str)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        amputer(**params).fit(make_X(20), np.arange(20) % 2)


def test_bad_groups_and_targets():
    """Groups of another length, of mixed kinds or without use, and odd targets."""
    X = make_X(20)
    with pytest.raises(ValueError, match="groups must be None unless mechanism is"):
        amputer().fit(X, groups=np.zeros(20))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 3\]"):
        amputer(mechanism="group").fit(X, groups=[1, 2, 3])
    mixed = np.array([1, "a"] * 10, dtype=object)
    with pytest.raises(TypeError, match=r"group of the samples must be all numbers or"):
        amputer(mechanism="group").fit(X, groups=mixed)
    with pytest.raises(ValueError, match="requires y to be passed"):
        amputer(mechanism="label", when="fit").fit(X)
    with pytest.raises(TypeError, match="ampute .* takes no when"):
        ampute(X, when="fit")


def test_what_cannot_be_done_is_warned_of():
    X = make_X(20)
    with pytest.warns(UserWarning, match="X has a single modality, 'all'"):
        Xt = amputer(modalities={"all": 6}).fit_transform(X)
    assert_array_equal(Xt, X)
    flat = X.copy()
    flat[:, 5] = 1.0
    with pytest.warns(UserWarning, match="1 modality has one value in all.*: 'video'"):
        amputer(mechanism="mnar").fit(flat)
    with pytest.warns(UserWarning, match="all samples have the same group, \\['a'\\]"):
        amputer(mechanism="group").fit(X, groups=["a"] * 20)


def test_realized_rates_count_rows_that_had_it():
    X = make_X(100)
    X[:50, :3] = np.nan
    X[:, 5] = np.nan
    fitted = amputer({"text": 0.5, "audio": 0.1, "video": 0.5})
    before, after = gone(X), gone(fitted.fit_transform(X))
    rates = fitted.realized_rates_
    assert rates["text"] == (after & ~before)[:, 0].sum() / 50
    assert np.isnan(rates["video"])
    assert fitted.nominal_rates_ == {"text": 0.5, "audio": 0.1, "video": 0.5}


# Mechanisms


def test_mar_follows_the_driver():
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
    X = make_X(200)
    expected = amputer(mechanism="mar").fit_transform(X)
    for driver in (0, np.int64(0), "text"):
        same = amputer(mechanism="mar", driver=driver).fit_transform(X)
        assert_array_equal(same, expected)
    assert not gone(expected)[:, 0].any()


def test_mnar_follows_the_hidden_values():
    X = make_X(4000)
    for sign in (1, -1):
        fitted = amputer(0.3, mechanism="mnar", strength=2.0 * sign, allow_empty=True)
        hidden = gone(fitted.fit_transform(X))
        for m, block in enumerate([X[:, :3], X[:, 3:5], X[:, 5:]]):
            level = block.mean(axis=1) * sign
            assert level[hidden[:, m]].mean() > 0.3 > 0 > level[~hidden[:, m]].mean()
        assert_allclose(hidden.mean(axis=0), 0.3, atol=0.04)


def test_strength_zero_is_mcar():
    X = make_X(300)
    expected = amputer(0.4).fit_transform(X)
    assert_array_equal(
        amputer(0.4, mechanism="mnar", strength=0).fit_transform(X), expected
    )
    groups = np.arange(300) % 4
    grouped = amputer(0.4, mechanism="group", strength=0)
    assert_array_equal(grouped.fit_transform(X, groups=groups), expected)


def test_mechanism_learns_from_training_rows_only():
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
    X = make_X(3000)
    y = X[:, 0] + 0.5
    Xt = ampute(
        X, 0.3, y=y, mechanism="label", modalities=WIDTHS, strength=2, random_state=0
    )
    hidden = gone(Xt)
    assert (hidden[y > y.mean()].mean(axis=0) > 0.35).all()
    assert (hidden[y < y.mean()].mean(axis=0) < 0.2).all()


def test_group_mechanism_by_argument_and_by_column():
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


def test_new_groups_are_warned_of():
    X, groups = make_X(400), np.array(["a", "b"])[np.arange(400) % 2]
    fitted = amputer(mechanism="group").fit(X, groups=groups)
    other = np.where(np.arange(400) < 30, "new", groups)
    with pytest.warns(UserWarning, match=r"30 samples have a group .* \('new'\)"):
        fitted.transform(X, groups=other)


def test_groups_by_metadata_routing():
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
    X = make_X(3000)
    hidden = gone(amputer(0.6, mechanism="burst", burst_length=50).fit_transform(X))
    assert not hidden.all(axis=1).any()
    changes = (hidden[1:] != hidden[:-1]).any(axis=1).sum()
    assert changes < 600


def test_bursts_stop_at_the_end_of_a_recording():
    X, groups = make_X(400), np.repeat([0, 1], 200)
    fitted = amputer(mechanism="burst").fit(X)
    both = fitted.transform(X, groups=groups)
    alone = fitted.transform(X[200:], groups=groups[200:])
    assert_array_equal(both[200:], alone)


def test_largest_remainder_by_hand():
    assert largest_remainder(np.array([0.5, 0.3, 0.2]), 7).tolist() == [4, 2, 1]
    assert largest_remainder(np.array([0.29, 0.71]), 100).tolist() == [29, 71]


def test_give_back_by_weight():
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
    scores = np.random.RandomState(0).standard_normal(500)
    a = solve_intercept(scores, rate, 3.0)
    with np.errstate(over="ignore"):
        assert_allclose((1 / (1 + np.exp(-(a + 3.0 * scores)))).mean(), rate, atol=1e-9)


def test_bursts_of_one_row():
    hidden = draw_bursts(np.random.default_rng(0), 3000, 0.9, 9.0)
    visible = np.flatnonzero(~hidden)
    assert (np.diff(visible) > 1).all()
    assert abs(hidden.mean() - 0.9) < 0.03


# scikit-learn's checks beyond the default parameters. What a mask must depend on (all
# samples, their order, the phase) is excused, parameter by parameter.

EXACT = "exact counts over the rows given are what the parameter asks for"
ORDER = "runs of consecutive rows need the order of the rows"
PHASE = "fit_transform and transform are asked to hide different things"

EXCUSED = {
    "exact": {"check_methods_subset_invariance": EXACT},
    "burst": {
        "check_methods_subset_invariance": ORDER,
        "check_methods_sample_order_invariance": ORDER,
    },
    "phase": {
        "check_transformer_general": PHASE,
        "check_transformer_data_not_an_array": PHASE,
    },
    "none": {},
}

CASES = [
    (ModalityAmputer(OneMissing(0.7), random_state=0), "exact"),
    (ModalityAmputer(0.7, allow_empty=True, mechanism="mar", random_state=0), "none"),
    (
        ModalityAmputer((0.5, 0.5), mechanism="mnar", strength=2.0, random_state=0),
        "none",
    ),
    (ModalityAmputer(OneMissing(0.7, exact=False), random_state=0), "none"),
    (ModalityAmputer(mechanism="group", driver=0, random_state=0), "none"),
    (ModalityAmputer(mechanism="burst", random_state=0), "burst"),
    (ModalityAmputer(mechanism="label", when="fit", random_state=0), "phase"),
    (ModalityAmputer(when="transform", random_state=0), "phase"),
    (ModalityAmputer(0.2, missing_at_transform=0.8, random_state=0), "phase"),
]
KINDS = {repr(estimator): kind for estimator, kind in CASES}


def excused(estimator):
    return EXCUSED[KINDS[repr(estimator)]]


# A list in the place of the generator that scikit-learn before 1.9 hands to pytest.
CHECKS = list(
    parametrize_with_checks(
        [estimator for estimator, _ in CASES], expected_failed_checks=excused
    ).args[1]
)


# Groups or classes of few samples, and constant columns, cause warnings.
@pytest.mark.filterwarnings("ignore:.* samples have a group that was not seen in fit")
@pytest.mark.filterwarnings("ignore:.*all samples have the same (class|group)")
@pytest.mark.filterwarnings("ignore:.* modalities that should drive the mechanism")
@pytest.mark.parametrize("estimator, check", CHECKS)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_segment_is_one_run_of_the_observed_cells():
    """Lengths and starts by hand, from the two numbers of each sample."""
    observed = np.ones((4, 10), dtype=bool)
    observed[2, :6] = False  # 4 cells are left, and 1.2 of them are to be hidden
    observed[3, 1:] = False
    draws = [[0.0, 0.0], [0.9, 0.99], [0.8, 0.0], [0.99, 0.5]]
    lost = draw_segments(observed, 0.3, np.array(draws))
    expected = np.zeros((4, 10), dtype=bool)
    expected[0, :3] = expected[1, 7:] = expected[2, 6:8] = True
    assert_array_equal(lost, expected)


def test_segments_are_lost_beside_whole_modalities():
    modalities = {"text": [9, *range(9)], "audio": (5, 2), "age": 1}
    X = np.random.RandomState(0).standard_normal((3000, 21))
    with pytest.warns(ModalityWarning, match="segment=0.3 hides nothing .*: age"):
        Xt, hidden = ampute(
            X, 0.4, segment=0.3, modalities=modalities, random_state=0, return_mask=True
        )
    plain = ampute(X, 0.4, modalities=modalities, random_state=0, return_mask=True)
    assert_array_equal(hidden, plain[1])
    missing = np.isnan(Xt[~hidden[:, 0]][:, [9, *range(9)]])
    assert (missing.sum(axis=1) == 3).all()
    assert (np.diff(missing, prepend=0, append=0, axis=1) == 1).sum() == len(missing)
    tokens = np.isnan(Xt[~hidden[:, 1], 10:20]).reshape(-1, 5, 2)
    assert_array_equal(tokens[..., 0], tokens[..., 1])
    # 1.5 of 5 tokens: one or two, each in half the samples
    assert set(tokens[..., 0].sum(axis=1)) == {1, 2}
    assert_allclose(tokens.mean(), 0.3, atol=0.01)
    assert_array_equal(np.isnan(Xt[:, 20]), hidden[:, 2])


def test_segments_depend_on_the_sample_and_on_when():
    X = make_X(50)
    fitted = amputer(0.0, segment=0.5, modalities=[3, 3]).fit(X)
    assert_array_equal(fitted.transform(X)[::-1], fitted.transform(X[::-1]))
    assert np.isnan(fitted.transform(X)).any(axis=1).all()
    fitted.set_params(when="fit")
    assert_array_equal(fitted.transform(X), X)
    assert np.isnan(fitted.fit_transform(X)).any()
