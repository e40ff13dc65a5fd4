"""Missing, broken and wrong items, and models of the wrong kind."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmissing.encoders import AudioEncoder, ImageEncoder, TextEncoder, VideoEncoder

from .models import LOCAL, make_images, make_sounds, make_texts

WAVE = make_sounds(1)[0][0].astype(np.float32) / 10
# Encoder, its model, and two good items.
TEXT = TextEncoder, "bert", make_texts(2)
IMAGE = ImageEncoder, "clip", make_images(2)
AUDIO = AudioEncoder, "wavlm", make_sounds(2)
VIDEO = VideoEncoder, "clip", [make_images(3), make_images(2, seed=1)]


@pytest.mark.parametrize(
    "case, missing",
    [
        (TEXT, [None, float("nan"), np.nan, "", "  "]),
        (IMAGE, [None, np.nan, "", np.full((4, 4), np.nan)]),
        (AUDIO, [None, np.nan, " "]),
        (VIDEO, [None, np.nan, "", b""]),
    ],
    ids=["text", "image", "audio", "video"],
)
def test_missing_item_becomes_a_row_of_nan(model_path, case, missing):
    cls, name, (first, second) = case
    encoder = cls(model_path(name), **LOCAL)
    found = encoder.fit_transform([first, *missing, second])
    assert np.isnan(found[1:-1]).all()
    assert_allclose(found[[0, -1]], encoder.transform([first, second]), atol=1e-5)


BROKEN = [
    (IMAGE, b"no image", "cannot identify image file"),
    (IMAGE, "nowhere.png", "No such file"),
    (IMAGE, np.zeros((0, 4, 3)), "the array is empty"),
    (IMAGE, np.full((4, 4), 3.5), "must hold numbers from 0 to 1; got 3.5"),
    (IMAGE, np.zeros((5, 5, 6), dtype=np.uint8), "an image must have the shape"),
    (AUDIO, (np.zeros(0), 16000), "it has no samples"),
    (AUDIO, (np.zeros(5), 16000), "it has 5 samples at 16000 Hz, too few"),
    (AUDIO, (np.array([0, np.nan] * 50), 16000), "it has NaN or infinite samples"),
    (AUDIO, (np.zeros((2, 3, 4)), 16000), "a sound must have the shape"),
    (AUDIO, (np.zeros((2, 500)), 16000), "a sound must have the shape"),
    (AUDIO, (np.array(["a"] * 500), 16000), "its samples must be numbers"),
    (AUDIO, b"no sound", "Format not recognised"),
    (AUDIO, "nowhere.wav", "there is no such file"),
    (VIDEO, b"no video", "Invalid data"),
    (VIDEO, "nowhere.mp4", "there is no such file"),
    (VIDEO, [], "it has no frames"),
    (VIDEO, np.zeros((5, 4)), "a video must have the shape"),
    (VIDEO, [b"no image"], "cannot identify"),
]


@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("case, item, reason", BROKEN, ids=range(len(BROKEN)))
def test_broken_item(model_path, tmp_path, case, item, reason, with_cache):
    cls, name, (first, second) = case
    cache = tmp_path if with_cache else None
    encoder = cls(model_path(name), cache=cache, **LOCAL)
    items = [first, None, item, second]
    if reason == "there is no such file" and with_cache:
        reason = "No such file"  # the hash of its content is needed first
    with pytest.raises(ValueError, match=f"item 2 of X, .*{reason}"):
        encoder.fit_transform(items)
    encoder.set_params(on_error="missing")
    match = f"{cls.__name__}: 1 of 4 items .* item 2, .*{reason}"
    with pytest.warns(UserWarning, match=match) as record:
        found = encoder.transform(items)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, False])
    assert_allclose(found[[0, 3]], encoder.transform([first, second]), atol=1e-5)


WRONG = [
    (TEXT, 3, "must be a str.*got 3 of type int"),
    (IMAGE, 7, "must be a path.*got 7 of type int"),
    (AUDIO, WAVE, "must have a sampling rate"),
    (AUDIO, (WAVE, None), "must be a pair of an array and a sampling rate"),
    (AUDIO, (WAVE, 0), "must be a pair of an array and a sampling rate"),
    (AUDIO, 3, "must be a path.*got 3 of type int"),
    (VIDEO, 3, "must be a path.*got 3 of type int"),
    (VIDEO, [3], "must have images as frames; got a frame of type int"),
]


@pytest.mark.parametrize("case, item, match", WRONG, ids=range(len(WRONG)))
def test_item_of_a_wrong_type(model_path, case, item, match):
    cls, name, (first, _) = case
    encoder = cls(model_path(name), on_error="missing", **LOCAL)
    for method in (
        encoder.fit,
        clone(encoder).transform,
        encoder.fit([first]).transform,
    ):
        with pytest.raises(TypeError, match=f"{cls.__name__}: item 1 of X {match}"):
            method([first, item])


@pytest.mark.parametrize(
    "case, name, match",
    [
        (TEXT, "resnet", "must have a text tower.*takes pixel_values"),
        (TEXT, "wavlm", "must have a text tower.*takes input_values"),
        (IMAGE, "bert", "must have an image tower.*takes input_ids"),
        (VIDEO, "bert", "must have an image tower.*takes input_ids"),
        (AUDIO, "bert", "must take waveforms.*takes input_ids"),
        (AUDIO, "clip", "must take waveforms"),
    ],
)
def test_model_of_the_wrong_kind(model_path, case, name, match):
    cls, _, items = case
    with pytest.raises(ValueError, match=f"model='.*{name}.*{match}"):
        cls(model_path(name), **LOCAL).fit(items)


def test_tokens_need_a_number(model_path):
    for cls, name, items in (TEXT, IMAGE, AUDIO):
        encoder = cls(model_path(name), pooling=None, **LOCAL)
        with pytest.raises(ValueError, match="`max_tokens` must be an int"):
            encoder.fit(items)
