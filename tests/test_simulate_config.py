"""The objects of `missing`, and the grammar of `config`."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.simulate import (
    ModalityAmputer,
    ModalityFraction,
    ModalityRates,
    OneMissing,
    PatternTable,
    make_amputer,
    missing_rates,
    parse_config,
)
from skmissing.simulate._config import read_missing, subset_order

TAV = ["text", "audio", "video"]


def test_kept_percentages():
    config = parse_config("100-audio-20-text-33.5-video", TAV)
    assert_allclose(config.rates_for(TAV), [0.8, 0, 0.665], atol=1e-12)


def test_names_with_hyphens_and_numbers():
    names = ["eeg-1", "eeg-1-20-x", "c-3"]
    config = parse_config("20-eeg-1-20-x-50-c-3-100-eeg-1", names)
    assert_allclose(config.rates_for(names), [0, 0.8, 0.5])


def test_complex_order_of_three():
    keep, probabilities = parse_config("complex-20-20-20-10-10-10-10", TAV).table_for(
        TAV
    )
    expected = ["111", "100", "010", "001", "110", "101", "011"]
    assert ["".join(map(str, row.astype(int))) for row in keep] == expected
    assert_allclose(probabilities, [0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1])


def test_complex_order_of_two():
    keep, probabilities = parse_config("complex-10-40-50", ["image", "text"]).table_for(
        ["image", "text"]
    )
    assert_array_equal(keep, [[1, 1], [1, 0], [0, 1]])
    assert_allclose(probabilities, [0.1, 0.4, 0.5])


@pytest.mark.parametrize("n_modalities", [1, 2, 4, 5])
def test_subset_order_has_each_subset_once(n_modalities):
    subsets = subset_order(n_modalities)
    assert len(subsets) == len(set(subsets)) == 2**n_modalities - 1
    sizes = [len(subset) for subset in subsets]
    assert sizes[0] == n_modalities
    assert sizes[1:] == sorted(sizes[1:])


def test_numbers_pairs_and_dicts():
    assert make_amputer("mcar:0.3").missing == make_amputer("0.3").missing == 0.3
    assert make_amputer("mcar:.3").missing == 0.3
    for text in ("mcar:0.4, 0.8", "mcar:(0.4,0.8)"):
        assert make_amputer(text).missing == (0.4, 0.8)
    assert read_missing((0.4, 0.8)) == ModalityFraction(0.4, 0.8)
    assert read_missing({"text": 0.2}) == ModalityRates({"text": 0.2})


def test_pattern_table_keys():
    table = PatternTable({("video", "text"): 0.5, "audio": 0.25, "": 0.25})
    assert_array_equal(table.table_for(TAV)[0], [[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    plus = PatternTable({"a+b": 0.5, "a+c": 0.5}).table_for(["a+b", "a", "c"])[0]
    assert_array_equal(plus, [[1, 0, 0], [0, 1, 1]])


def test_one_missing_is_its_table():
    keep, probabilities = OneMissing(0.6).table_for(TAV)
    assert_array_equal(keep.sum(axis=1), [3, 2, 2, 2])
    assert_allclose(probabilities, [0.4, 0.2, 0.2, 0.2])


@pytest.mark.parametrize(
    "pm, n_drawn", [(0, 0), (0.2, 1), (0.4, 2), (0.6, 3), (0.5, 3), (0.8, 4), (1, 5)]
)
def test_modality_fraction_draws_so_many(pm, n_drawn):
    rates = ModalityFraction(pm, 0.8).rates_for(list("abcde"), np.random.RandomState(0))
    assert sorted(rates) == [0.0] * (5 - n_drawn) + [0.8] * n_drawn


def test_modality_fraction_draws_each_alike():
    drawn = [
        ModalityFraction(0.4, 1.0).rates_for(list("abcde"), np.random.RandomState(s))
        for s in range(400)
    ]
    # Each count is binomial(400, 0.4), with standard deviation 9.8.
    assert_allclose(np.sum(drawn, axis=0), 160, atol=50)


def test_modality_fraction_spares():
    for s in range(20):
        rates = ModalityFraction(1.0, 0.5).rates_for(
            TAV, np.random.RandomState(s), spared=1
        )
        assert_array_equal(rates, [0.5, 0, 0.5])


BAD_STRINGS = [
    ("complex-20-20-20-10-10-5-5", r"must sum to 100; got 90"),
    ("complex-50-50", r"must have 7 numbers for 3 modalities: text\+audio.*; got 2"),
    ("complex-50-x-50", r"must have percentages only; got 'x'"),
    ("20-text-100-sound", r"unknown modality 'sound'; X has text, audio, video"),
    ("20-text-30-sound-40-video", r"unknown modality 'sound'; X has text, audio"),
    (
        "20-text-100-audio",
        r"must name all modalities.* 'video' always, add '-100-video'",
    ),
    ("20-text-30-text-1-audio-1-video", r"must name 'text' once"),
    ("120-text-100-audio-100-video", r"percentages must lie .* got 120 for 'text'"),
    ("text-20", r"must be .*; cannot read it at 'text-20'"),
    ("20-text-audio", r"unknown modality 'audio'|cannot read it at 'audio'"),
    ("20-text-", r"cannot read it at ''"),
    ("", r"cannot read it at ''"),
    ("0.5", r"must be .*; cannot read it at '0.5'"),
]


@pytest.mark.parametrize("text, message", BAD_STRINGS)
def test_bad_strings(text, message):
    with pytest.raises(ValueError, match=message):
        parse_config(text, TAV)


BAD_VALUES = [
    (lambda: read_missing((0.1, 0.2, 0.3)), ValueError, r"must be a pair"),
    (lambda: make_amputer("mar:1.5"), ValueError, r"missing must lie .* got 1.5"),
    (
        lambda: make_amputer("0.5,1.5"),
        ValueError,
        r"\(pm, ps\): ps must lie between 0 and 1; got 1.5",
    ),
    (lambda: make_amputer("segment:1"), ValueError, r"less than 1; got '1'"),
    (lambda: make_amputer("0.5+segment:x"), ValueError, r"number, .* got 'x' in '0.5"),
    (lambda: ModalityRates(1.2), ValueError, r"missing must lie between 0 and 1"),
    (lambda: ModalityRates({"text": -1}), ValueError, r"missing\['text'\] must lie"),
    (lambda: ModalityRates("0.5"), TypeError, r"must be a number between 0 and 1"),
    (lambda: ModalityRates(True), TypeError, r"must be a number between 0 and 1"),
    (lambda: ModalityRates(math.nan), ValueError, r"between 0 and 1; got nan"),
    (
        lambda: ModalityRates({"sound": 0.1}).rates_for(TAV),
        ValueError,
        r"missing: unknown modality 'sound'; X has text, audio, video",
    ),
    (lambda: ModalityFraction(2, 0.5), ValueError, r"pm must lie between 0 and 1"),
    (
        lambda: ModalityFraction(0.1, 0.5).rates_for(TAV, None),
        ValueError,
        r"pm must be at least .*; got 0.1, which is 0.3 of 3 modalities",
    ),
    (lambda: PatternTable({}), ValueError, r"must be a dict from the modalities kept"),
    (lambda: PatternTable([1]), ValueError, r"must be a dict from the modalities kept"),
    (lambda: PatternTable({"a": 0.4, "b": 0.4}), ValueError, r"must sum to 1; got 0.8"),
    (lambda: PatternTable({"a": 2.0}), ValueError, r"fraction of 'a' must lie"),
    (
        lambda: PatternTable({"text+sound": 1.0}).table_for(TAV),
        ValueError,
        r"pattern 'text\+sound': unknown modality 'sound'",
    ),
    (
        lambda: PatternTable({"text+audio": 0.5, ("audio", "text"): 0.5}).table_for(
            TAV
        ),
        ValueError,
        r"each set of modalities must be named once",
    ),
    (lambda: OneMissing(-0.1), ValueError, r"OneMissing: rows must lie"),
]


@pytest.mark.parametrize("make, error, message", BAD_VALUES)
def test_bad_objects(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_make_amputer():
    assert make_amputer("mnar:0.3").mechanism == "mnar"
    plain = make_amputer("complex-10-45-45", random_state=3)
    assert (plain.mechanism, plain.config) == ("mcar", "complex-10-45-45")
    assert make_amputer("mcar:complex-10-45-45").config == plain.config
    assert plain.random_state == 3
    both = make_amputer("burst:0.3+segment:0.2")
    assert (both.mechanism, both.missing, both.segment) == ("burst", 0.3, 0.2)
    alone = make_amputer("segment:0.2")
    assert (alone.missing, alone.config, alone.segment) == (0.0, None, 0.2)
    with pytest.raises(ValueError, match="must be among mcar, .*; got 'mcr'"):
        make_amputer("mcr:0.5")


def test_missing_rates_of_frames_and_masked_arrays(df_module):
    X = np.array([[1.0, np.nan, np.nan], [np.nan, np.nan, 2.0], [1, 1, 1], [1, 1, 1]])
    expected = {"a": 0.25, "b": 0.25}
    frame = df_module.DataFrame(dict(zip(["a__0", "b__0", "b__1"], X.T)))
    assert missing_rates(frame) == expected
    masked = np.ma.masked_invalid(X)
    assert missing_rates(masked, modalities={"a": 1, "b": 2}) == expected


# Every configuration in the tables of UL4M4; available percentages by name.
UL4M4 = [
    *(
        (f"{t}-text-{a}-audio-{v}-video", TAV)
        for t, a, v in itertools.product([100, 20], repeat=3)
        if (t, a, v) != (20, 20, 20)
    ),
    ("complex-20-20-20-10-10-10-10", TAV),
    ("100-image-100-text", ["image", "text"]),
    ("100-image-20-text", ["image", "text"]),
    ("20-image-100-text", ["image", "text"]),
    ("complex-10-45-45", ["image", "text"]),
    ("complex-20-40-40", ["image", "text"]),
    ("complex-30-35-35", ["image", "text"]),
    *(
        ((pm, ps), ["c3", "c4", "o1", "eog", "emg"])
        for pm in (0.2, 0.4, 0.6)
        for ps in (0.2, 0.4, 0.6, 0.8)
    ),
]


@pytest.mark.parametrize("missing, names", UL4M4, ids=str)
def test_realised_fractions_of_the_ul4m4_tables(missing, names, seed):
    """Counts are exact for `complex`, and within five deviations otherwise."""
    n = 2199
    X = np.random.RandomState(seed).standard_normal((n, 2 * len(names)))
    modalities = dict.fromkeys(names, 2)
    by_string = isinstance(missing, str)
    amputer = ModalityAmputer(
        **{"config" if by_string else "missing": missing},
        modalities=modalities,
        random_state=seed,
    )
    for part in (amputer.fit_transform(X), amputer.transform(X + 1)):
        present = ~np.isnan(part[:, ::2])
        assert_array_equal(present, ~np.isnan(part[:, 1::2]))
        assert present.any(axis=1).all()
        if by_string and missing.startswith("complex"):
            keep, probabilities = parse_config(missing, names).table_for(names)
            counts = [(present == row).all(axis=1).sum() for row in keep]
            assert sum(counts) == n
            # Largest remainders: each count is its share, rounded up or down.
            assert np.all(np.abs(counts - probabilities * n) < 1)
            continue
        rates = np.array(list(amputer.nominal_rates_.values()))
        deviation = np.sqrt(rates * (1 - rates) / n)
        assert np.all(np.abs(1 - present.mean(axis=0) - rates) <= 5 * deviation)
        if isinstance(missing, tuple):
            expected = round(missing[0] * len(names)) * missing[1]
            assert_allclose(rates.sum(), expected)


def test_complex_counts_by_hand():
    X = np.random.RandomState(0).standard_normal((2199, 3))
    amputer = ModalityAmputer(config="complex-20-20-20-10-10-10-10", random_state=0)
    Xt = amputer.fit_transform(X)
    codes = (~np.isnan(Xt)) @ [4, 2, 1]
    # TAV, T, A, V, TA, TV, AV; the floors leave six rows for the largest remainders.
    counts = [np.sum(codes == c) for c in (7, 4, 2, 1, 6, 5, 3)]
    assert counts == [440, 440, 439, 220, 220, 220, 220]


def test_make_amputer_needs_a_string():
    with pytest.raises(TypeError, match="text must be a string .*; got 0.5"):
        make_amputer(0.5)
