"""What holds for the amputer, whatever the table."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skmissing.simulate import ModalityAmputer

from .strategies import FORMS, as_array, in_form, no_warnings, tables

rates = st.floats(0, 0.99)  # a rate of 1 leaves nothing, which is refused
mechanisms = st.sampled_from(["mcar", "mar", "mnar", "burst"])


def make(table, missing, mechanism="mcar", **params):
    return ModalityAmputer(
        missing,
        modalities=table.modalities,
        mechanism=mechanism,
        random_state=0,
        **params,
    )


def presence_of(X, table):
    return np.stack(
        [~np.isnan(X[:, list(c)]).all(axis=1) for c in table.columns], axis=1
    )


@given(tables(), rates, mechanisms, st.booleans(), st.sampled_from(FORMS))
def test_hides_whole_modalities_and_nothing_else(table, rate, how, allow_empty, form):
    if how == "burst":
        rate = min(rate, 0.9)  # higher rates need longer runs, as the error says
    X = in_form(table.X, form)
    with no_warnings():
        amputer = make(table, rate, how, allow_empty=allow_empty)
        out = np.asarray(amputer.fit_transform(X))
        again = np.asarray(amputer.transform(X))
    array = as_array(table.X, form)
    kept = presence_of(out, table)
    had = presence_of(array, table)
    assert not (kept & ~had).any()
    owner = np.empty(array.shape[1], dtype=int)
    for m, positions in enumerate(table.columns):
        owner[list(positions)] = m
    assert_array_equal(out, np.where(kept[:, owner], array, np.nan))
    assert out.dtype == array.dtype
    if not allow_empty:
        assert_array_equal(kept.any(axis=1), had.any(axis=1))
    assert_array_equal(again, out)


@given(tables(ties=False), rates, st.randoms(use_true_random=False))
def test_mask_goes_with_the_row(table, rate, random):
    rows = list(range(len(table.X)))
    random.shuffle(rows)
    with no_warnings():
        amputer = make(table, rate).fit(table.X)
        plain, shuffled = amputer.transform(table.X), amputer.transform(table.X[rows])
    assert_array_equal(shuffled, plain[rows])


@given(tables(), rates, rates)
def test_masks_of_one_seed_are_nested(table, one, other):
    with no_warnings():
        hidden = [
            make(table, rate, allow_empty=True).fit(table.X).hidden_modalities(table.X)
            for rate in sorted([one, other])
        ]
    assert not (hidden[0] & ~hidden[1]).any()
