"""Encodes sound by a pretrained model of waveforms."""

import io
import os
import warnings
from math import ceil, gcd
from numbers import Integral, Real

import numpy as np
import torch
from scipy.signal import resample_poly

from skmissing._compat import Interval, StrOptions, import_optional
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._items import (
    BrokenItemError,
    broken_if_it_fails,
    digest_item,
    try_to,
    why_no_file,
)
from skmissing.encoders._models import load_config, load_processor
from skmissing.encoders._pooling import pool_tokens, to_device

# Maximum number of channels. An array with more columns is probably transposed.
MOST_CHANNELS = 32
# Larger factors of resampling would need very long filters.
MOST_FACTOR = 1_000_000
# Floats must be between -1 and 1. Slightly larger values are accepted.
LOUDEST = 8


@shared_docs
class AudioEncoder(FrozenEncoder):
    """Encode a column of sounds by a pretrained model of waveforms.

    The model may be WavLM, wav2vec 2.0, HuBERT or another model that
    `transformers.AutoModel` loads and whose input is the waveform.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="microsoft/wavlm-large"
        Name of a model on the Hugging Face Hub, or a folder written by
        `save_pretrained`. A local copy is used if there is one. Otherwise the model
        is downloaded on first use. Code that comes with a model is never run.
    sampling_rate : int, default=16000
        Sampling rate of the model in Hz. Sounds with other rates are resampled.
    input_rate : int, default=None
        Sampling rate of items that are arrays without a rate. If None, such items
        raise an error.
    pooling : {"mean", "max"} or None, default="mean"
        How to reduce the frames of a sound, without padding, to one embedding. None
        keeps the frames, see `max_tokens`.
    max_duration : float, default=None
        Maximum length in seconds. Longer sounds are truncated.
    %(revision, normalize, max_tokens)s
    batch_size : int, default=8
        Maximum number of sounds per batch. Sounds of similar length share a batch. It
        is halved, with a warning, if a batch does not fit into memory.
    %(device, dtype, cache, empty_is_missing, on_error, local_files_only, verbose)s

    Attributes
    ----------
    %(embedding_dim_, revision_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ModelNotFoundError
        If the model is not on this machine and cannot be downloaded.

    See Also
    --------
    SignalEncoder : Learns to encode signals without a pretrained model.
    VideoEncoder : Encodes the images of a video.

    Notes
    -----
    A sound is a path or the bytes of a file that libsndfile reads, a pair
    `(array, rate)`, or an array with `input_rate`. Arrays have the shape (frames,) or
    (frames, channels). Values are floats from -1 to 1, or integers of 8, 16 or 32 bits
    that use the range of their dtype. Channels are averaged.

    The script of UL4M4 [1]_ pads the sounds of a batch with zeros and averages over all
    frames. An embedding therefore depends on the longest sound of its batch. Here,
    padding is masked in the model and excluded from the average. A mask is not enough
    for models whose first layer normalises over time (`feat_extract_norm="group"`).
    Their batches contain only sounds of equal length.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.encoders import AudioEncoder
    >>> encoder = AudioEncoder("facebook/wav2vec2-base", batch_size=4)
    >>> sound = np.sin(np.arange(8000) / 10)
    >>> encoder.fit_transform(["speech.wav", (sound, 8000), None])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
        "sampling_rate": [Interval(Integral, 1, None, closed="left")],
        "input_rate": [Interval(Integral, 1, None, closed="left"), None],
        "pooling": [StrOptions({"mean", "max"}), None],
        "max_duration": [Interval(Real, 0, None, closed="neither"), None],
    }
    _stem = "audio"

    def __init__(
        self,
        model="microsoft/wavlm-large",
        *,
        sampling_rate=16000,
        input_rate=None,
        pooling="mean",
        max_duration=None,
        revision=None,
        normalize=False,
        max_tokens=None,
        batch_size=8,
        device="auto",
        dtype="float32",
        cache=None,
        empty_is_missing=True,
        on_error="raise",
        local_files_only=False,
        verbose=False,
    ):
        self.model = model
        self.sampling_rate = sampling_rate
        self.input_rate = input_rate
        self.pooling = pooling
        self.max_duration = max_duration
        self.revision = revision
        self.normalize = normalize
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.empty_is_missing = empty_is_missing
        self.on_error = on_error
        self.local_files_only = local_files_only
        self.verbose = verbose

    def _check_item(self, item):
        if isinstance(item, (str, os.PathLike, bytes)):
            return None
        if isinstance(item, np.ndarray):
            if self.input_rate is not None:
                return None
            return (
                "must have a sampling rate, as a pair (array, rate) or by input_rate= "
                "for all arrays; got an array without one."
            )
        if isinstance(item, tuple) and len(item) == 2:
            array, rate = item
            whole = isinstance(rate, Integral) and not isinstance(rate, bool)
            if isinstance(array, np.ndarray) and whole and rate > 0:
                return None
            return (
                "must be a pair of an array and a sampling rate, an int above 0; got "
                f"({type(array).__name__}, {rate!r:.20})."
            )
        return (
            "must be a path, bytes, a pair (array, rate), an array or missing; got "
            f"{item!r:.50} of type {type(item).__name__}."
        )

    def _check_model(self, config, cls):
        if cls.main_input_name != "input_values" or not hasattr(config, "conv_kernel"):
            raise ValueError(
                f"model={str(self.model)!r} must take waveforms; got a model of type "
                f"{config.model_type!r}, which takes {cls.main_input_name}."
            )

    def _guess_dim(self, config, cls):
        if getattr(config, "add_adapter", False):
            return config.output_hidden_size
        return config.hidden_size

    def _example(self):
        return np.zeros(self.sampling_rate), self.sampling_rate

    def _digest(self, item, hasher):
        digest_item((item, self.input_rate), hasher)

    def _measure(self, items, spec):
        sizes = [try_to(self._length, item) for item in items]
        broken = [isinstance(size, BrokenItemError) for size in sizes]
        handles = [s if b else i for i, s, b in zip(items, sizes, broken)]
        return handles, [0 if b else s for s, b in zip(sizes, broken)]

    def _length(self, item):
        """Return the number of samples of a sound at the rate of the model."""
        n_frames, rate = sound_size(item, self.input_rate)
        length = ceil(n_frames * self.sampling_rate / rate)
        return min(length, self._most_samples() or length)

    def _most_samples(self):
        if self.max_duration is None:
            return None
        return max(1, round(self.max_duration * self.sampling_rate))

    def _prepare(self, handle, spec):
        wave, rate = read_sound(handle, self.input_rate)
        with broken_if_it_fails():
            wave = resample(wave, rate, self.sampling_rate)[: self._most_samples()]
        extractor = load_processor(spec, "AutoFeatureExtractor")
        if extractor.sampling_rate != self.sampling_rate:
            raise ValueError(
                f"`sampling_rate={self.sampling_rate}` must be the rate that "
                f"model={spec.name!r} was trained for ({extractor.sampling_rate} Hz)."
            )
        if n_conv_frames(len(wave), load_config(spec)) < 1:
            raise BrokenItemError(
                f"it has {count(len(wave), 'sample')} at {self.sampling_rate} Hz, too "
                f"few for one frame of model={spec.name!r}"
            )
        return wave

    def _count_remarks(self, prepared, spec):
        extractor = load_processor(spec, "AutoFeatureExtractor")
        if getattr(extractor, "do_normalize", False):  # of any loudness
            return {}
        n_loud = sum(abs(wave).max() > LOUDEST for wave in prepared)
        return {f"have samples above {LOUDEST}; floats must be from -1 to 1": n_loud}

    def _encode(self, prepared, model, spec):
        if getattr(model.config, "feat_extract_norm", "group") != "group":
            return self._encode_padded(prepared, model, spec)
        # The model normalises over time, so padding would change embeddings.
        lengths = np.array([len(wave) for wave in prepared])
        found = [None] * len(prepared)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            part = self._encode_padded([prepared[row] for row in rows], model, spec)
            for row, one in zip(rows, part):
                found[row] = one
        return found if self.pooling is None else torch.stack(found)

    def _encode_padded(self, waves, model, spec):
        extractor = load_processor(spec, "AutoFeatureExtractor")
        inputs = extractor(
            waves,
            sampling_rate=self.sampling_rate,
            padding=True,
            return_attention_mask=True,
            return_tensors="pt",
        )
        lengths = [len(wave) for wave in waves]
        if min(lengths) == max(lengths):
            inputs.pop("attention_mask")
        inputs = to_device(inputs, model)
        with warnings.catch_warnings():
            # WavLM passes torch one floating point mask and one boolean mask.
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            hidden = model(**inputs).last_hidden_state
        n_frames = model._get_feat_extract_output_lengths(torch.tensor(lengths))
        mask = torch.arange(hidden.shape[1]) < n_frames[:, None]
        return pool_tokens(hidden, mask.to(hidden.device), self.pooling)


def _as_pair(item, input_rate):
    """Return the array and rate of an item in memory; None for a path or bytes."""
    if isinstance(item, np.ndarray):
        return item, input_rate
    return item if isinstance(item, tuple) else None


def _check_wave(wave):
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[1] > MOST_CHANNELS):
        raise BrokenItemError(
            "a sound must have the shape (frames,) or (frames, channels); got "
            f"{wave.shape}"
        )
    if wave.size == 0:
        raise BrokenItemError("it has no samples")
    if wave.dtype.kind not in "iuf":
        raise BrokenItemError(f"its samples must be numbers; got {wave.dtype}")
    if wave.dtype.kind in "iu" and wave.dtype.itemsize > 4:  # unknown loudness
        raise BrokenItemError(
            "its samples must be integers of 8, 16 or 32 bits, or floats; got "
            f"{wave.dtype}"
        )


def _read_file(item, soundfile, read):
    """Apply a function of soundfile to a path or bytes."""
    if isinstance(item, bytes):
        item = io.BytesIO(item)
    elif not os.path.isfile(item):
        raise BrokenItemError(why_no_file(item))
    with broken_if_it_fails():
        return read(item)


def sound_size(item, input_rate):
    """Return the number of frames and the rate of a sound, without decoding it."""
    pair = _as_pair(item, input_rate)
    if pair is not None:
        _check_wave(pair[0])
        return len(pair[0]), pair[1]
    soundfile = import_optional("soundfile", "encoders")
    info = _read_file(item, soundfile, soundfile.info)
    return info.frames, info.samplerate


def read_sound(item, input_rate):
    """Return the waveform of a sound, averaged over channels, and its rate."""
    pair = _as_pair(item, input_rate)
    if pair is None:
        soundfile = import_optional("soundfile", "encoders")
        pair = _read_file(item, soundfile, lambda f: soundfile.read(f, dtype="float32"))
    wave, rate = pair
    _check_wave(wave)
    if wave.dtype.kind in "iu":  # scale to between -1 and 1
        limits = np.iinfo(wave.dtype)
        middle = (limits.max + limits.min + 1) / 2
        wave = (wave - middle) / (limits.max - middle + 1)
    wave = wave.astype(np.float32, copy=False)
    wave = wave if wave.ndim == 1 else wave.mean(axis=1)
    if not np.isfinite(wave).all():
        raise BrokenItemError("it has NaN or infinite samples")
    return wave, int(rate)


def resample(wave, rate, wanted):
    """Resample a waveform to another rate with a polyphase filter."""
    if rate == wanted:
        return wave
    common = gcd(rate, wanted)
    if max(rate, wanted) // common > MOST_FACTOR:
        raise ValueError(f"its rate of {rate} Hz cannot be converted to {wanted} Hz")
    return resample_poly(wave, wanted // common, rate // common).astype(np.float32)


def n_conv_frames(n_samples, config):
    """Return the number of frames of a waveform after the convolutions of a model."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride):
        n_samples = (n_samples - kernel) // stride + 1
    return n_samples
