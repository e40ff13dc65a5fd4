"""ModalityAmputer: what is hidden, where, and what is left alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmissing.simulate import ModalityAmputer, OneMissing, PatternTable, ampute

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


def test_rest_is_untouched():
    """Cells that are not hidden are the input's, bit for bit, in the same columns."""
    X = make_X()
    Xt = amputer().fit_transform(X)
    seen = ~np.isnan(Xt)
    assert_array_equal(Xt[seen], X[seen])
    assert 0 < seen.sum() < X.size


def test_columns_of_a_modality_need_not_be_neighbours():
    """Groups of scattered columns are hidden together, and column order is kept."""
    X = make_X()
    modalities = {"a": [5, 0], "b": [1, 2, 4], "c": [3]}
    Xt = amputer(modalities=modalities).fit_transform(X)
    assert_array_equal(np.isnan(Xt[:, 0]), np.isnan(Xt[:, 5]))
    assert_array_equal(np.isnan(Xt[:, 1]), np.isnan(Xt[:, 4]))
    assert_array_equal(Xt[:, 3][~np.isnan(Xt[:, 3])], X[:, 3][~np.isnan(Xt[:, 3])])


def test_rates_without_empty_rows_in_closed_form(seed):
    """Realised rates are r_m - w_m * prod(r), w proportional to 1 - r."""
    rates = np.array([0.5, 0.8, 0.9])
    X = make_X(6000, seed)
    missing = dict(zip(WIDTHS, rates))
    hidden = gone(amputer(missing, random_state=seed).fit_transform(X))
    expected = rates - (1 - rates) / (1 - rates).sum() * rates.prod()
    assert not hidden.all(axis=1).any()
    # Standard deviations are at most 0.0065.
    assert_allclose(hidden.mean(axis=0), expected, atol=0.03)


def test_modalities_are_hidden_independently(seed):
    """With allow_empty, the eight patterns have the frequencies of a product."""
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


def test_all_gone_only_if_told_to():
    """allow_empty=True may blank a row; rate 1 then blanks every row."""
    X = make_X(50)
    assert np.isnan(amputer(1.0, allow_empty=True).fit_transform(X)).all()
    with pytest.raises(ValueError, match="takes all modalities from every row"):
        amputer(1.0).fit(X)
    table = PatternTable({"": 0.25, "text": 0.75})
    with pytest.raises(ValueError, match="takes all modalities from 25% of the rows"):
        amputer(table).fit(X)
    hidden = gone(amputer(table, allow_empty=True).fit_transform(X[:40]))
    assert hidden.all(axis=1).sum() == 10


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"missing": 0.9},
        {"missing": "complex-0-0-0-100-0-0-0"},
        {"missing": OneMissing(1.0)},
        {"mechanism": "mar"},
        {"mechanism": "mnar"},
        {"mechanism": "burst", "missing": 0.8},
    ],
    ids=str,
)
def test_rows_that_lack_modalities(params):
    """They keep what they lack, never become empty, and empty rows stay so."""
    X = make_X(600)
    X[:200, :3] = np.nan
    X[100:300, 3:5] = np.nan
    X[:10] = np.nan
    before = gone(X)
    after = gone(amputer(**params).fit_transform(X))
    assert (after >= before).all()
    assert_array_equal(after.all(axis=1), before.all(axis=1))
    assert (after > before).any()


def test_partial_modalities_keep_their_holes():
    """A hole is no missing modality: such rows may lose it, and holes stay."""
    X = make_X(200)
    X[::2, 0] = np.nan
    Xt = amputer(0.3).fit_transform(X)
    text_gone = np.isnan(Xt[:, 1])
    assert_array_equal(np.isnan(Xt[:, 0]), text_gone | np.isnan(X[:, 0]))
    assert text_gone.any()


def test_same_rows_same_mask_whatever_the_phase():
    """fit_transform, transform and a refit agree; order and neighbours do not count."""
    X = make_X(300)
    fitted = amputer()
    first = fitted.fit_transform(X)
    assert_array_equal(fitted.transform(X), first)
    assert_array_equal(fitted.fit(X).transform(X), first)
    assert_array_equal(fitted.transform(X[::-1])[::-1], first)
    assert_array_equal(fitted.transform(X[5:9]), first[5:9])
    assert_array_equal(gone(first) & ~gone(X), fitted.hidden_modalities(X))


def test_other_rows_draw_independently():
    """Row i of a test set does not share the mask of row i of the training set."""
    X_train, X_test = make_X(4000, seed=1), make_X(4000, seed=2)
    fitted = amputer()
    train, test = gone(fitted.fit_transform(X_train)), gone(fitted.transform(X_test))
    for m in range(3):
        assert abs(np.corrcoef(train[:, m], test[:, m])[0, 1]) < 0.08


def test_seeds_give_other_masks():
    """Another seed draws anew; no seed draws anew at each fit."""
    X = make_X(500)
    one = gone(amputer(random_state=1).fit_transform(X))
    two = gone(amputer(random_state=2).fit_transform(X))
    assert abs(np.corrcoef(one[:, 0], two[:, 0])[0, 1]) < 0.2
    fresh = amputer(random_state=None)
    assert (gone(fresh.fit_transform(X)) != gone(fresh.fit_transform(X))).any()


def test_equal_rows_draw_independently():
    """In a table with few distinct rows, rates are still met."""
    X = np.tile([[0.0, 0, 0, 1, 1, 2], [5, 5, 5, 5, 5, 5]], (1000, 1))
    hidden = gone(amputer(allow_empty=True).fit_transform(X))
    assert_allclose(hidden.mean(axis=0), 0.5, atol=0.06)
    assert_allclose(hidden[::2].mean(axis=0), 0.5, atol=0.08)


def test_masks_of_one_seed_are_nested():
    """What is hidden at one rate is hidden at every higher one."""
    X = make_X(400)
    previous = np.zeros((400, 3), dtype=bool)
    for rate in (0.1, 0.3, 0.5, 0.7, 0.95):
        hidden = gone(amputer(rate).fit_transform(X))
        assert (hidden >= previous).all()
        previous = hidden


def test_float32_and_float64_agree():
    """A float32 table and its float64 copy lose the same modalities."""
    X = make_X(100).astype(np.float32)
    narrow, wide = amputer().fit_transform(X), amputer().fit_transform(X.astype(float))
    assert narrow.dtype == np.float32 and wide.dtype == np.float64
    assert_array_equal(narrow, wide.astype(np.float32))


def test_when_fit_and_when_transform():
    """`when` leaves one of the two phases alone, as a copy."""
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


def test_pipeline_hides_where_it_is_told_to():
    """A pipeline's later steps see gaps in training, at prediction, or in both."""
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
    """(pm, ps) draws the same modalities for both phases."""
    X = make_X(500)
    for seed in range(5):
        fitted = amputer((0.3, 0.4), missing_at_transform=(0.7, 0.9), random_state=seed)
        train, later = gone(fitted.fit_transform(X)), gone(fitted.transform(X))
        assert train.any(axis=0).sum() == 1 and later.any(axis=0).sum() == 2
        assert (later.any(axis=0) >= train.any(axis=0)).all()


def test_ampute_keeps_the_container(df_module):
    """Frames stay frames; the mask says what was hidden on top."""
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


def test_search_over_missing():
    """`missing` can be tuned or cross-validated like any parameter."""
    X = make_X(90)
    y = (X[:, 0] > 0).astype(int)
    model = make_pipeline(
        amputer(), FunctionTransformer(np.nan_to_num), LogisticRegression()
    )
    grid = {
        "modalityamputer__missing": [0.1, (0.4, 0.5), "complex-40-10-10-10-10-10-10"]
    }
    search = GridSearchCV(model, grid, cv=3).fit(X, y)
    assert len(search.cv_results_["mean_test_score"]) == 3
    assert_array_equal(cross_val_score(model, X, y), cross_val_score(model, X, y))


BAD_PARAMS = [
    ({"mechanism": "label"}, r"mechanism='label' needs when='fit'.*got when='both'"),
    ({"driver": "text"}, r"driver='text' is used by mechanism='mar' and 'group' only"),
    ({"mechanism": "mar", "driver": "x"}, r"driver='x' is no modality of X.*text, aud"),
    ({"mechanism": "mar", "driver": 3}, r"driver=3 must be a name, or a number from 0"),
    ({"mechanism": "mar", "driver": -1}, r"driver=-1 must be a name, or a number"),
    (
        {"mechanism": "mar", "missing": {"text": 0.2}},
        r"The driver 'text' is never hidden, but missing=.* the rate 0.2",
    ),
    ({"mechanism": "group"}, r"mechanism='group' needs groups=, or driver="),
    ({"mechanism": "group", "driver": 0}, r"driver=0 must have one column.*has 3"),
    (
        {"mechanism": "mnar", "missing": OneMissing(0.5)},
        r"mechanism='mnar' needs rates by modality",
    ),
    (
        {"mechanism": "burst", "missing": 0.9, "burst_length": 2},
        r"burst_length=2 is too short to hide a modality in 90% .* 9 rows or more",
    ),
    ({"missing": 1.5}, r"The 'missing' parameter of ModalityAmputer must be"),
    ({"when": "never"}, r"The 'when' parameter of ModalityAmputer must be"),
    ({"modalities": [3, 2]}, r"add up to 5, but X has 6 features"),
]


@pytest.mark.parametrize("params, message", BAD_PARAMS, ids=str)
def test_bad_parameters(params, message):
    """Parameters that do not fit together, or the data, are refused by name."""
    with pytest.raises(ValueError, match=message):
        amputer(**params).fit(make_X(20), np.arange(20) % 2)


def test_bad_groups_and_targets():
    """Groups of another length, of mixed kinds or without use, and odd targets."""
    X = make_X(20)
    with pytest.raises(ValueError, match="groups is used by mechanism='group'"):
        amputer().fit(X, groups=np.zeros(20))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 3\]"):
        amputer(mechanism="group").fit(X, groups=[1, 2, 3])
    mixed = np.array([1, "a"] * 10, dtype=object)
    with pytest.raises(TypeError, match=r"group of the rows must be all numbers or"):
        amputer(mechanism="group").fit(X, groups=mixed)
    with pytest.raises(ValueError, match="requires y to be passed"):
        amputer(mechanism="label", when="fit").fit(X)
    with pytest.raises(TypeError, match="ampute takes no when"):
        ampute(X, when="fit")


def test_what_cannot_be_done_is_told():
    """One modality, a constant driver and a single group each give one warning."""
    X = make_X(20)
    with pytest.warns(UserWarning, match="X has a single modality, 'all'"):
        Xt = amputer(modalities={"all": 6}).fit_transform(X)
    assert_array_equal(Xt, X)
    flat = X.copy()
    flat[:, 5] = 1.0
    with pytest.warns(UserWarning, match="1 modalities that should drive.*: 'video'"):
        amputer(mechanism="mnar").fit(flat)
    with pytest.warns(UserWarning, match="All rows have the same group, \\['a'\\]"):
        amputer(mechanism="group").fit(X, groups=["a"] * 20)


def test_realized_rates_count_rows_that_had_it():
    """Rates are over the rows that have the modality; NaN if none has it."""
    X = make_X(100)
    X[:50, :3] = np.nan
    X[:, 5] = np.nan
    fitted = amputer({"text": 0.5, "audio": 0.1, "video": 0.5})
    before, after = gone(X), gone(fitted.fit_transform(X))
    rates = fitted.realized_rates_
    assert rates["text"] == (after & ~before)[:, 0].sum() / 50
    assert np.isnan(rates["video"])
    assert fitted.nominal_rates_ == {"text": 0.5, "audio": 0.1, "video": 0.5}
