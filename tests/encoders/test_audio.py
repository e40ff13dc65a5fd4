"""AudioEncoder against a loop over sounds, one by one."""

import functools
import io

import numpy as np
import pytest
import soundfile
import torch
from numpy.testing import assert_allclose, assert_array_equal
from transformers import AutoFeatureExtractor, AutoModel

from skmissing.encoders import AudioEncoder
from tests.encoders.models import make_sounds

LOCAL = {"local_files_only": True, "device": "cpu"}
SOUNDS = make_sounds(6)
WAVE = SOUNDS[0][0].astype(np.float32) / 10


def loop(folder, sounds, pooling="mean"):
    """What transformers says of each sound alone, without padding."""
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    rows = []
    for wave, rate in sounds:
        inputs = extractor(wave, sampling_rate=rate, return_tensors="pt")
        with torch.no_grad():
            hidden = model(inputs["input_values"].float()).last_hidden_state[0]
        rows.append(hidden.mean(dim=0) if pooling == "mean" else hidden.amax(dim=0))
    return torch.stack(rows).numpy()


@functools.cache
def alone(folder, pooling="mean"):
    """The loop over SOUNDS."""
    return loop(folder, SOUNDS, pooling)


@pytest.mark.parametrize("name", ["wavlm", "wavlm-group"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_equals_a_plain_loop(model_path, name, pooling, batch_size):
    """Padding does not move the result, whatever the batch size."""
    folder = model_path(name)
    encoder = AudioEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    found = encoder.fit_transform(SOUNDS)
    assert_allclose(found, alone(folder, pooling), atol=1e-5)


def test_padding_without_a_mask_would_move_the_result(model_path):
    """The mistake of the authors' script shows on this model, so the test can fail."""
    folder = model_path("wavlm")
    padded = [(np.pad(w, (0, 1000 - len(w))), r) for w, r in SOUNDS]
    assert abs(loop(folder, padded) - alone(folder)).max() > 1e-2


def test_every_kind_of_sound(model_path, tmp_path):
    """Path, bytes and arrays are the same sound; channels are averaged."""
    path, file = tmp_path / "sound.wav", io.BytesIO()
    soundfile.write(path, WAVE, 16000, subtype="FLOAT")
    soundfile.write(file, WAVE, 16000, subtype="FLOAT", format="wav")
    stereo = np.stack([WAVE * 1.5, WAVE * 0.5], axis=1)
    kinds = [
        (WAVE, 16000),
        str(path),
        path,
        file.getvalue(),
        WAVE,
        WAVE.astype(np.float64),
        (stereo, 16000),
        (WAVE[:, None], 16000),
    ]
    encoder = AudioEncoder(model_path("wavlm"), input_rate=16000, **LOCAL)
    found = encoder.fit_transform(kinds)
    assert_allclose(found, np.repeat(found[:1], len(kinds), axis=0), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
def test_integers_are_scaled(model_path, dtype):
    """Integers stand for numbers between -1 and 1."""
    from skmissing.encoders._sound import read_sound

    limits = np.iinfo(dtype)
    wave, rate = read_sound((np.array([limits.min, limits.max], dtype), 8000), None)
    assert rate == 8000
    assert_allclose(wave, [-1, 1], atol=0.01)
    assert wave.dtype == np.float32


def test_resampling():
    """A sine of another rate becomes the same sine."""
    from skmissing.encoders._sound import resample

    at = {
        rate: np.sin(2 * np.pi * 440 * np.arange(rate) / rate) for rate in (8000, 16000)
    }
    found = resample(at[8000], 8000, 16000)
    assert found.shape == at[16000].shape
    assert_allclose(found[500:-500], at[16000][500:-500], atol=1e-2)
    assert len(resample(np.zeros(1001), 44100, 16000)) == -(-1001 * 16000 // 44100)


def test_other_rates_are_resampled(model_path):
    """A pair of another rate is encoded as what resampling makes of it."""
    from skmissing.encoders._sound import resample

    encoder = AudioEncoder(model_path("wavlm"), **LOCAL)
    wave = SOUNDS[1][0]
    expected = encoder.fit_transform([(resample(wave, 8000, 16000), 16000)])
    assert_allclose(encoder.transform([(wave, 8000)]), expected, atol=1e-5)


def test_missing_sound_is_a_row_of_nan(model_path):
    """Missing sounds change nothing in the others."""
    encoder = AudioEncoder(model_path("wavlm"), **LOCAL)
    found = encoder.fit_transform([SOUNDS[0], None, np.nan, " ", SOUNDS[1]])
    assert np.isnan(found[1:4]).all()
    assert_allclose(found[[0, 4]], encoder.transform(SOUNDS[:2]), atol=1e-5)


def test_max_duration(model_path):
    """Sounds are cut to so many seconds."""
    encoder = AudioEncoder(model_path("wavlm"), max_duration=100 / 16000, **LOCAL)
    cut = [(wave[:100], rate) for wave, rate in SOUNDS]
    expected = loop(model_path("wavlm"), cut)
    assert_allclose(encoder.fit_transform(SOUNDS), expected, atol=1e-5)


def test_tokens(model_path):
    """pooling=None gives the frames of a sound, NaN beyond the last."""
    encoder = AudioEncoder(model_path("wavlm"), pooling=None, max_tokens=200, **LOCAL)
    found = encoder.fit_transform(SOUNDS).reshape(len(SOUNDS), 200, 16)
    mean = AudioEncoder(model_path("wavlm"), **LOCAL).fit_transform(SOUNDS)
    assert_allclose(np.nanmean(found, axis=1), mean, atol=1e-5)
    n_frames = [((len(w) - 10) // 5 + 1 - 3) // 2 + 1 for w, _ in SOUNDS]
    assert_array_equal((~np.isnan(found)).all(axis=2).sum(axis=1), n_frames)


BROKEN = [
    ((np.zeros(0), 16000), "it has no samples"),
    ((np.zeros(5), 16000), "it has 5 samples at 16000 Hz, too few"),
    ((np.array([0, np.nan] * 50), 16000), "it holds NaN or infinity"),
    ((np.zeros((2, 3, 4)), 16000), "a sound has the shape"),
    ((np.zeros((2, 500)), 16000), "a sound has the shape"),
    ((np.array(["a"] * 500), 16000), "its samples are not numbers"),
    (b"no sound", "Format not recognised"),
    ("nowhere.wav", "there is no such file"),
]


@pytest.mark.parametrize("item, reason", BROKEN, ids=range(len(BROKEN)))
def test_broken_sound(model_path, item, reason):
    """It is an error with the row and the reason, or a counted missing item."""
    encoder = AudioEncoder(model_path("wavlm"), **LOCAL)
    items = [SOUNDS[0], item]
    with pytest.raises(ValueError, match=f"row 1 of X, .*{reason}"):
        encoder.fit_transform(items)
    encoder.set_params(on_error="missing")
    with pytest.warns(UserWarning, match=f"1 of 2 items .* row 1, .*{reason}"):
        found = encoder.transform(items)
    assert_array_equal(np.isnan(found).all(axis=1), [False, True])


WRONG = [
    (WAVE, "is an array without its sampling rate"),
    ((WAVE, None), "must be a pair of an array and a sampling rate"),
    ((WAVE, 0), "must be a pair of an array and a sampling rate"),
    (3, "must be a path.*got 3 of type int"),
]


@pytest.mark.parametrize("item, match", WRONG, ids=range(len(WRONG)))
def test_wrong_type_of_sound(model_path, item, match):
    """Raw sound without a rate, and what is no sound, name the row."""
    with pytest.raises(TypeError, match=f"row 1 of X {match}"):
        AudioEncoder(model_path("wavlm"), **LOCAL).fit([SOUNDS[0], item])


def test_rate_of_the_model(model_path):
    """A sampling rate that the model was not trained for is refused."""
    encoder = AudioEncoder(model_path("wavlm"), sampling_rate=8000, **LOCAL)
    with pytest.raises(ValueError, match="sampling_rate=8000.*trained for 16000 Hz"):
        encoder.fit_transform(SOUNDS)


@pytest.mark.parametrize("name", ["bert", "clip"])
def test_model_without_waveforms(model_path, name):
    """A model of text or images is refused."""
    with pytest.raises(ValueError, match="it has no tower for waveforms"):
        AudioEncoder(model_path(name), **LOCAL).fit(SOUNDS)
