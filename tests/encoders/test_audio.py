"""Compare AudioEncoder with a loop over sounds, one by one."""

import functools
import io

import numpy as np
import pytest
import soundfile
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.encoders import AudioEncoder
from skmissing.encoders._audio import read_sound, resample

from .models import LOCAL, make_sounds

SOUNDS = make_sounds(6)
WAVE = SOUNDS[0][0].astype(np.float32) / 10


def loop(folder, sounds, pooling="mean"):
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(
        folder, local_files_only=True
    )
    rows = []
    for wave, rate in sounds:
        inputs = extractor(wave, sampling_rate=rate, return_tensors="pt")
        with torch.no_grad():
            hidden = model(inputs["input_values"].float()).last_hidden_state[0]
        rows.append(hidden.mean(dim=0) if pooling == "mean" else hidden.amax(dim=0))
    return torch.stack(rows).numpy()


@functools.cache
def alone(folder, pooling="mean"):
    return loop(folder, SOUNDS, pooling)


@pytest.mark.parametrize("name", ["wavlm", "wavlm-group"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_equals_a_plain_loop(model_path, name, pooling, batch_size):
    folder = model_path(name)
    encoder = AudioEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    found = encoder.fit_transform(SOUNDS)
    assert_allclose(found, alone(folder, pooling), atol=1e-5)


def test_padding_without_a_mask_would_change_the_result(model_path):
    folder = model_path("wavlm")
    padded = [(np.pad(w, (0, 1000 - len(w))), r) for w, r in SOUNDS]
    assert abs(loop(folder, padded) - alone(folder)).max() > 1e-2


def test_every_kind_of_sound(model_path, tmp_path):
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
    limits = np.iinfo(dtype)
    wave, rate = read_sound((np.array([limits.min, limits.max], dtype), 8000), None)
    assert rate == 8000
    assert_allclose(wave, [-1, 1], atol=0.01)
    assert wave.dtype == np.float32


def test_resampling():
    at = {
        rate: np.sin(2 * np.pi * 440 * np.arange(rate) / rate) for rate in (8000, 16000)
    }
    found = resample(at[8000], 8000, 16000)
    assert found.shape == at[16000].shape
    assert_allclose(found[500:-500], at[16000][500:-500], atol=1e-2)
    assert len(resample(np.zeros(1001), 44100, 16000)) == -(-1001 * 16000 // 44100)


def test_other_rates_are_resampled(model_path):
    encoder = AudioEncoder(model_path("wavlm"), **LOCAL)
    wave = SOUNDS[1][0]
    expected = encoder.fit_transform([(resample(wave, 8000, 16000), 16000)])
    assert_allclose(encoder.transform([(wave, 8000)]), expected, atol=1e-5)


def test_max_duration(model_path):
    encoder = AudioEncoder(model_path("wavlm"), max_duration=100 / 16000, **LOCAL)
    cut = [(wave[:100], rate) for wave, rate in SOUNDS]
    expected = loop(model_path("wavlm"), cut)
    assert_allclose(encoder.fit_transform(SOUNDS), expected, atol=1e-5)


def test_tokens(model_path):
    """pooling=None returns the frames, and NaN after the last frame."""
    encoder = AudioEncoder(model_path("wavlm"), pooling=None, max_tokens=200, **LOCAL)
    found = encoder.fit_transform(SOUNDS).reshape(len(SOUNDS), 200, 16)
    mean = AudioEncoder(model_path("wavlm"), **LOCAL).fit_transform(SOUNDS)
    assert_allclose(np.nanmean(found, axis=1), mean, atol=1e-5)
    n_frames = [((len(w) - 10) // 5 + 1 - 3) // 2 + 1 for w, _ in SOUNDS]
    assert_array_equal((~np.isnan(found)).all(axis=2).sum(axis=1), n_frames)


def test_rate_of_the_model(model_path):
    encoder = AudioEncoder(model_path("wavlm"), sampling_rate=8000, **LOCAL)
    with pytest.raises(ValueError, match=r"`sampling_rate=8000` must be.*\(16000 Hz\)"):
        encoder.fit_transform(SOUNDS)
