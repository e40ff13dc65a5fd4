"""Reads and resamples sounds."""

import io
import os
from math import gcd
from numbers import Integral

import numpy as np
from scipy.signal import resample_poly

from skmissing._compat import import_optional
from skmissing.encoders._items import BrokenItemError

# More columns than this are taken for a waveform that lies on its side.
MOST_CHANNELS = 32


def is_rate(value):
    """Whether a value can be a sampling rate."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value > 0


def _as_pair(item, input_rate):
    """Array and rate of an item in memory; None for a path or bytes."""
    if isinstance(item, np.ndarray):
        return item, input_rate
    return item if isinstance(item, tuple) else None


def _check_wave(wave):
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[1] > MOST_CHANNELS):
        raise BrokenItemError(
            f"a sound has the shape (frames,) or (frames, channels); got {wave.shape}"
        )
    if wave.size == 0:
        raise BrokenItemError("it has no samples")
    if wave.dtype.kind not in "iuf":
        raise BrokenItemError(f"its samples are not numbers but {wave.dtype}")


def _file(item, soundfile, read):
    """What a function of soundfile makes of a path or bytes."""
    if isinstance(item, bytes):
        item = io.BytesIO(item)
    elif not os.path.isfile(item):
        raise BrokenItemError("there is no such file")
    try:
        return read(item)
    except (soundfile.SoundFileError, OSError, TypeError) as exc:
        reason = getattr(exc, "error_string", None) or str(exc)
        raise BrokenItemError(reason.rstrip(".")) from exc


def sound_size(item, input_rate):
    """Number of frames and rate of a sound, without decoding it.

    Parameters
    ----------
    item : path, bytes, array or pair (array, rate)
    input_rate : int or None
        Rate of arrays.

    Returns
    -------
    n_frames, rate : int

    Raises
    ------
    BrokenItemError
        If it cannot be read.
    """
    pair = _as_pair(item, input_rate)
    if pair is not None:
        _check_wave(pair[0])
        return len(pair[0]), pair[1]
    soundfile = import_optional("soundfile", "encoders")
    info = _file(item, soundfile, soundfile.info)
    return info.frames, info.samplerate


def read_sound(item, input_rate):
    """Waveform of a sound, its channels averaged, and its rate.

    Parameters
    ----------
    item : path, bytes, array or pair (array, rate)
    input_rate : int or None
        Rate of arrays.

    Returns
    -------
    wave : ndarray of shape (n_frames,), dtype float32
        Integers are scaled to between -1 and 1.
    rate : int

    Raises
    ------
    BrokenItemError
        If it cannot be read, is empty, or holds NaN.
    """
    pair = _as_pair(item, input_rate)
    if pair is None:
        soundfile = import_optional("soundfile", "encoders")
        pair = _file(item, soundfile, lambda f: soundfile.read(f, dtype="float32"))
    wave, rate = pair
    _check_wave(wave)
    if wave.dtype.kind in "iu":
        limits = np.iinfo(wave.dtype)
        middle = (limits.max + limits.min + 1) / 2
        wave = (wave - middle) / (limits.max - middle + 1)
    wave = wave.astype(np.float32, copy=False)
    wave = wave if wave.ndim == 1 else wave.mean(axis=1)
    if not np.isfinite(wave).all():
        raise BrokenItemError("it holds NaN or infinity")
    return wave, int(rate)


def resample(wave, rate, wanted):
    """A waveform at another rate, by a polyphase filter.

    Parameters
    ----------
    wave : ndarray of shape (n_frames,)
    rate, wanted : int

    Returns
    -------
    ndarray of shape (ceil(n_frames * wanted / rate),)
    """
    if rate == wanted:
        return wave
    common = gcd(rate, wanted)
    return resample_poly(wave, wanted // common, rate // common).astype(np.float32)


def n_conv_frames(n_samples, config):
    """How many frames the convolutions of a model make of a waveform.

    Parameters
    ----------
    n_samples : int
    config : transformers.PretrainedConfig

    Returns
    -------
    int
    """
    for kernel, stride in zip(config.conv_kernel, config.conv_stride):
        n_samples = (n_samples - kernel) // stride + 1
    return n_samples
