"""Encodes sound."""

import os
import warnings
from math import ceil
from numbers import Integral, Real

import numpy as np

from skmissing._compat import Interval, StrOptions, import_optional
from skmissing.encoders._base import FrozenEncoder, try_to
from skmissing.encoders._items import BrokenItemError, digest_item
from skmissing.encoders._models import load_config, load_processor
from skmissing.encoders._pooling import pool_tokens, to_device
from skmissing.encoders._sound import (
    is_rate,
    n_conv_frames,
    read_sound,
    resample,
    sound_size,
)


class AudioEncoder(FrozenEncoder):
    """Encode a column of sounds by a pretrained model of waveforms.

    Takes WavLM, wav2vec 2.0, HuBERT and other models that `transformers.AutoModel`
    loads and that take the waveform itself.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="microsoft/wavlm-large"
        Name of a model on the Hugging Face Hub, or a folder that `save_pretrained`
        wrote. A copy on this machine is used if there is one; otherwise the model is
        downloaded on first use. Code that comes with a model is never run.

    sampling_rate : int, default=16000
        Rate, in Hz, that the model was trained for. Sounds of another rate are
        resampled.

    input_rate : int, default=None
        Rate of items that are bare arrays. None refuses them.

    pooling : {"mean", "max"} or None, default="mean"
        How the frames of a sound become one embedding, padding left out. None keeps
        the frames, see `max_tokens`.

    max_duration : float, default=None
        Longer sounds are cut to so many seconds.

    revision : str, default=None
        Branch, tag or commit of the model on the Hub. None is the main branch.

    normalize : bool, default=False
        Whether embeddings are scaled to Euclidean length 1.

    max_tokens : int, default=None
        Only with `pooling=None`: each sound takes so many frames in the output, NaN
        where it has fewer; those beyond are left out. The output is a flattened
        sequence of the layout `(max_tokens, embedding_dim_)`.

    batch_size : int, default=8
        Most sounds encoded at a time. Sounds of like length share a batch. Halved,
        with a warning, if the memory does not suffice.

    device : str, default="auto"
        Device of torch; "auto" is CUDA or Apple's GPU if there is one, else the CPU.

    dtype : {"float32", "float16", "bfloat16"}, default="float32"
        Precision of the model. The output is float32.

    cache : joblib.Memory, str or path, default=None
        Where to keep embeddings. They are found again by the content of the item,
        the revision of the model and the parameters that matter, so that no item is
        encoded twice, in whatever order and fold it comes.

    empty_is_missing : bool, default=True
        Whether a blank path is a missing sound. If False it is one that cannot be
        read.

    on_error : {"raise", "missing"}, default="raise"
        What becomes of a sound that cannot be read or is too short: an error, or a
        missing item and a warning.

    local_files_only : bool, default=False
        Whether to never download.

    verbose : bool or int, default=False
        Whether to show a progress bar with the rate and the time left.

    Attributes
    ----------
    embedding_dim_ : int
        Width of the embedding, or of one frame.

    revision_ : str or None
        Commit of the model that `fit` found; None for a folder without one.

    n_features_in_ : int
        1, the number of columns.

    feature_names_in_ : ndarray of shape (1,)
        Name of the column seen in `fit`, if it had one.

    Raises
    ------
    ModelNotFoundError
        If the model is not on this machine and cannot be downloaded.

    See Also
    --------
    SignalEncoder : Learns to encode signals, for which there is no pretrained model.
    VideoEncoder : Encodes the pictures of a video.

    Notes
    -----
    A sound is a path or the bytes of a file that libsndfile reads, a pair
    `(array, rate)`, or an array with `input_rate`. Arrays have the shape (frames,) or
    (frames, channels); channels are averaged.

    The script of UL4M4 [1]_ pads the sounds of a batch with zeros and averages over
    all frames, so that an embedding depends on the longest sound of its batch. Here
    padding is masked in the model and left out of the average. Models whose first
    layer normalises over time (`feat_extract_norm="group"`) see padding in spite of
    any mask: they are given sounds of equal length only.

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
                "is an array without its sampling rate; give a pair (array, rate), or "
                "input_rate= for all arrays."
            )
        if isinstance(item, tuple) and len(item) == 2:
            if isinstance(item[0], np.ndarray) and is_rate(item[1]):
                return None
            return (
                "must be a pair of an array and a sampling rate, an int above 0; got "
                f"({type(item[0]).__name__}, {item[1]!r:.20})."
            )
        return (
            "must be a path, bytes, a pair (array, rate), an array or missing; got "
            f"{item!r:.50} of type {type(item).__name__}."
        )

    def _check_model(self, config, cls):
        if cls.main_input_name != "input_values" or not hasattr(config, "conv_kernel"):
            raise ValueError(
                f"model={str(self.model)!r} is of type {config.model_type!r} and "
                f"takes {cls.main_input_name}: it has no tower for waveforms."
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
        """How many samples a sound has at the rate of the model."""
        n_frames, rate = sound_size(item, self.input_rate)
        length = ceil(n_frames * self.sampling_rate / rate)
        return min(length, self._most_samples() or length)

    def _most_samples(self):
        if self.max_duration is None:
            return None
        return max(1, round(self.max_duration * self.sampling_rate))

    def _prepare(self, handle, spec):
        wave, rate = read_sound(handle, self.input_rate)
        wave = resample(wave, rate, self.sampling_rate)[: self._most_samples()]
        extractor = load_processor(spec, "AutoFeatureExtractor")
        if extractor.sampling_rate != self.sampling_rate:
            raise ValueError(
                f"sampling_rate={self.sampling_rate}, but model={spec.name!r} was "
                f"trained for {extractor.sampling_rate} Hz."
            )
        if n_conv_frames(len(wave), load_config(spec)) < 1:
            raise BrokenItemError(
                f"it has {len(wave)} samples at {self.sampling_rate} Hz, too few for "
                f"one frame of model={spec.name!r}"
            )
        return wave

    def _encode(self, prepared, model, spec):
        if getattr(model.config, "feat_extract_norm", "group") != "group":
            return self._encode_padded(prepared, model, spec)
        # Normalised over time: padding would move the result of any sound.
        torch = import_optional("torch", "encoders")
        lengths = np.array([len(wave) for wave in prepared])
        found = [None] * len(prepared)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            part = self._encode_padded([prepared[row] for row in rows], model, spec)
            for row, one in zip(rows, part):
                found[row] = one
        return found if self.pooling is None else torch.stack(found)

    def _encode_padded(self, waves, model, spec):
        torch = import_optional("torch", "encoders")
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
        inputs = to_device(inputs, model.device, model.dtype)
        with warnings.catch_warnings():
            # WavLM hands torch one mask of numbers and one of truth values.
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            hidden = model(**inputs).last_hidden_state
        n_frames = model._get_feat_extract_output_lengths(torch.tensor(lengths))
        mask = torch.arange(hidden.shape[1]) < n_frames[:, None]
        return pool_tokens(hidden, mask.to(hidden.device), self.pooling)
