"""How `modalities=` is read against the columns of X."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor

from skmissing._modalities import count, resolve_modalities
from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import ModalityDropout

NAMES = ["text__0", "text__1", "audio__0", "text__2", "audio__1"]
LEFT = {"a": [4], "audio": [2], "text": [0, 1, 3]}
MIXED = [*NAMES[:4], "age"]


def columns(layout):
    return {name: m.columns.tolist() for name, m in layout.items()}


@pytest.mark.parametrize(
    "modalities, names, expected",
    [
        (None, None, {f"x{i}": [i] for i in range(5)}),
        (None, list("abcde"), {c: [i] for i, c in enumerate("abcde")}),
        (None, NAMES, {"text": [0, 1, 3], "audio": [2, 4]}),
        ([2, 3], None, {"modality0": [0, 1], "modality1": [2, 3, 4]}),
        (np.array([2, 3]), NAMES, {"modality0": [0, 1], "modality1": [2, 3, 4]}),
        ({"a": 2, "b": 3}, None, {"a": [0, 1], "b": [2, 3, 4]}),
        ({"a": (2, 2), "b": 1}, None, {"a": [0, 1, 2, 3], "b": [4]}),
        ({"b": slice(3, None), "a": slice(3)}, None, {"b": [3, 4], "a": [0, 1, 2]}),
        ({"a": [4, 0], "b": 3}, None, {"a": [4, 0], "b": [1, 2, 3]}),
        ({"a": ["audio__1", 0], "b": [1, 2, 3]}, NAMES, {"a": [4, 0], "b": [1, 2, 3]}),
        ({"audio": 2, "text": (3, 1)}, NAMES, {"audio": [2, 4], "text": [0, 1, 3]}),
        ({"video": 2, "text": 3}, NAMES, {"video": [2, 4], "text": [0, 1, 3]}),
        ({"a": 1, "audio": 1, "text": 3}, MIXED, LEFT),
    ],
)  # fmt: skip
def test_forms(modalities, names, expected):
    layout = resolve_modalities(modalities, 5, names)
    assert columns(layout) == expected
    assert list(layout) == list(expected)


def test_names_of_which_some_have_no_prefix_warn():
    match = r"1 of the 5 column names have no '__': 'age'; .* as in 'age__0', or pass"
    with pytest.warns(UserWarning, match=match):
        layout = resolve_modalities(None, 5, MIXED)
    assert columns(layout) == {n: [i] for i, n in enumerate(MIXED)}
    names = ["text__0", *"abcdefg"]
    with pytest.warns(
        UserWarning, match="7 of the 8 .*: 'a', 'b', 'c', 'd', 'e', ...;"
    ):
        resolve_modalities(None, 8, names)


def test_names_are_told_of_in_fit_only():
    X = np.random.RandomState(0).standard_normal((20, 5))
    frame = pd.DataFrame(X, columns=MIXED)
    for estimator in (
        PartialModalityKMeans(2),
        ModalityDropout(HistGradientBoostingRegressor()),
    ):
        with pytest.warns(UserWarning, match="have no '__'") as caught:
            estimator.fit(frame, X[:, 0])
        assert len(caught) == 1
        estimator.predict(frame)
        estimator.set_params(modalities={"text": 3, "audio": 1, "age": 1})
        estimator.fit(frame, X[:, 0]).predict(frame)


def test_layout_order_and_slices():
    layout = resolve_modalities({"a": [4, 0], "b": 3}, 5)
    x = np.arange(5) * 10
    assert [x[layout.order][s].tolist() for s in layout.slices] == [
        [40, 0],
        [10, 20, 30],
    ]
    assert layout.owner.tolist() == [0, 0, 1, 1, 1]


def test_token_shape():
    layout = resolve_modalities({"audio": (2, 3), "text": 4}, 10)
    assert layout["audio"].shape == (2, 3)
    assert layout["text"].shape == (1, 4)
    assert repr(layout) == "{'audio': (2, 3), 'text': 4}"


@pytest.mark.parametrize(
    "modalities, names, error, match",
    [
        ([2, 2], None, ValueError, r"add up to 4, but X has 5 features"),
        ([2, 0, 3], None, ValueError, r"modalities\[1\] must be at least 1; got 0"),
        ([2.0, 3], None, TypeError, r"modalities\[0\] must be an int; got 2.0"),
        ([True, 4], None, TypeError, r"modalities\[0\] must be an int; got True"),
        ([], None, ValueError, "modalities is empty"),
        ({}, None, ValueError, "modalities is empty"),
        ("text", None, TypeError, "must be None, a list of widths or a dict"),
        ({1: 5}, None, TypeError, "names must be strings; got 1"),
        ({"a": 2}, None, ValueError, r"3 of the 5 columns of X are in no modality: 2"),
        ({"a": 4, "b": 3}, None, ValueError, "ask for 7 columns, but X has 5 features"),
        ({"a": [0, 1], "b": [1, 2, 3, 4]}, None, ValueError, "Column 1 is named twice"),
        ({"a": [0, 0], "b": 3}, None, ValueError, "Column 0 is named twice .* 'a'"),
        ({"a": [5]}, None, ValueError, "position 5, but X has columns 0 to 4"),
        ({"a": [-1]}, None, ValueError, "position -1, but X has columns 0 to 4"),
        ({"a": ["nope"]}, NAMES, ValueError, "column 'nope', which X has 0 times"),
        ({"a": ["text__0"]}, None, ValueError, "X has no column names"),
        ({"a": [True]}, None, TypeError, "names or positions; got True"),
        ({"a": slice(7, 9)}, None, ValueError, "holds no column of X"),
        ({"a": slice("x", "y")}, None, TypeError, "slice of positions"),
        ({"a": (2, 2)}, None, ValueError, "1 of the 5 columns"),
        ({"a": (2, 3)}, None, ValueError, "ask for 6 columns, but X has 5 features"),
        ({"a": (2, 2, 1)}, None, ValueError, r"token shape .* got \(2, 2, 1\)"),
        ({"a": (0, 5)}, None, ValueError, "n_tokens must be at least 1; got 0"),
        ({"a": "text"}, None, TypeError, "must be an int, a token shape"),
        ({"a": 2.5}, None, TypeError, "must be an int, a token shape"),
        ({"text": 2, "audio": 3}, NAMES, ValueError, "3 columns named 'text__..."),
        (None, ["a", "a", "b", "c", "d"], ValueError, "found more than once: 'a'"),
    ],
)  # fmt: skip
def test_errors(modalities, names, error, match):
    with pytest.raises(error, match=match):
        resolve_modalities(modalities, 5, names)


def test_estimator_gives_layout_errors():
    X = np.ones((4, 5)) * np.arange(4)[:, None]
    with pytest.raises(ValueError, match="add up to 4, but X has 5 features"):
        PartialModalityKMeans(2, modalities=[2, 2]).fit(X)
    frame = pd.DataFrame(X, columns=NAMES)
    with pytest.raises(ValueError, match="column 'nope', which X has 0 times"):
        PartialModalityKMeans(2, modalities={"a": ["nope"]}).fit(frame)


def test_layout_of_another_estimator():
    X = np.random.RandomState(0).standard_normal((20, 5))
    layout = (
        PartialModalityKMeans(2, modalities={"a": (2, 2), "b": 1}).fit(X).modalities_
    )
    again = clone(PartialModalityKMeans(2, modalities=layout)).fit(X)
    assert again.modalities_ == layout
    with pytest.raises(ValueError, match="holds 5 columns, but X has 4 features"):
        again.fit(X[:, :4])


def test_plurals_of_messages():
    assert count(1, "column") == "1 column"
    assert count(np.int64(2), "column") == "2 columns"
    assert count(0, "text is", "texts are") == "0 texts are"
    with pytest.raises(ValueError, match=r"add up to 2, but X has 1 feature\."):
        resolve_modalities([2], 1)
