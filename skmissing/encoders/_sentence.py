"""Encodes items of any modality by a model of sentence-transformers."""

from numbers import Integral
from types import SimpleNamespace

import numpy as np

from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing._torch import resolve_device
from skmissing.encoders._audio import AudioEncoder, read_sound, resample
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._image import DIM, ImageEncoder, count_dim_images, open_image
from skmissing.encoders._items import BrokenItemError, broken_if_it_fails, try_to
from skmissing.encoders._models import (
    find_sentence_model,
    fingerprint,
    load_sentence_model,
)
from skmissing.encoders._text import TextEncoder, valid_text
from skmissing.encoders._video import VideoEncoder, read_frames

KINDS = {
    "text": TextEncoder,
    "image": ImageEncoder,
    "audio": AudioEncoder,
    "video": VideoEncoder,
}


@shared_docs
class SentenceTransformerEncoder(FrozenEncoder):
    """Encode a column of one modality by a model of sentence-transformers.

    The package sentence-transformers, version 5.5 or later, runs the model with all of
    its modules. Its multimodal models encode texts, images, sounds and videos in one
    space.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="sentence-transformers/all-MiniLM-L6-v2"
        Name of a model on the Hugging Face Hub, or a folder, with a `modules.json`. A
        local copy is used if there is one. Otherwise the model is downloaded in `fit`.
        Code that comes with a model is never run.
    modality : {"text", "image", "audio", "video"}, default="text"
        Modality of the items.
    prompt : str, default=None
        Text before each text, or beside each other item if the model takes one. None is
        the default prompt of the model, if it has one.
    n_frames : int, default=8
        Number of evenly spaced frames per video.
    %(revision, normalize)s
    batch_size : int, default=32
        Maximum number of items per batch. It is halved, with a warning, if a batch does
        not fit into memory.
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
    TextEncoder : Encodes text without this package, also by some of its models.

    Notes
    -----
    Items are those of :class:`TextEncoder`, :class:`ImageEncoder`,
    :class:`AudioEncoder` (arrays in pairs with their rate) or :class:`VideoEncoder`.
    They are read as these classes read them. A text is never taken for the path of a
    file. A warning reports the number of truncated texts. Models of images and videos
    may also need torchvision.

    Examples
    --------
    >>> from skmissing.encoders import SentenceTransformerEncoder
    >>> encoder = SentenceTransformerEncoder("sentence-transformers/clip-ViT-B-32",
    ...                                      modality="image", cache="embeddings")
    >>> encoder.fit_transform(["first.png", None])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "modality": [StrOptions(set(KINDS))],
        "prompt": [str, None],
        "n_frames": [Interval(Integral, 1, None, closed="left")],
    }
    pooling = "model"  # one embedding per item

    def __init__(
        self,
        model="sentence-transformers/all-MiniLM-L6-v2",
        *,
        modality="text",
        prompt=None,
        n_frames=8,
        revision=None,
        normalize=False,
        batch_size=32,
        device="auto",
        dtype="float32",
        cache=None,
        empty_is_missing=True,
        on_error="raise",
        local_files_only=False,
        verbose=False,
    ):
        self.model = model
        self.modality = modality
        self.prompt = prompt
        self.n_frames = n_frames
        self.revision = revision
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.empty_is_missing = empty_is_missing
        self.on_error = on_error
        self.local_files_only = local_files_only
        self.verbose = verbose

    @property
    def _stem(self):
        return self.modality

    @property
    def _takes_arrays(self):
        return self.modality != "text"

    def _check_item(self, item):
        return KINDS[self.modality]()._check_item(item)

    def _digest(self, item, hasher):
        KINDS[self.modality]()._digest(item, hasher)

    def _resolve(self, spec):
        return SimpleNamespace(_commit_hash=find_sentence_model(spec)), None

    def _fingerprint(self, spec):
        commit = find_sentence_model(spec)
        return fingerprint(spec) if commit is None else f"{spec.name}@{commit}"

    def _load_model(self, spec):
        return load_sentence_model(spec, str(resolve_device(self.device)), self.dtype)

    def _check_model(self, config, cls):
        pass

    def _find_dim(self, config, cls, spec):
        model = self._load_model(spec)
        if not model.supports(self.modality):
            raise ValueError(
                f"`modality={self.modality!r}` must be one that model={spec.name!r} "
                f"takes; got a model for {', '.join(map(str, model.modalities))}."
            )
        return model.get_embedding_dimension()

    def _guess_dim(self, config, cls):
        pass

    def _example(self):
        pass

    def _measure(self, items, spec):
        if self.modality == "text":
            return [try_to(valid_text, item) for item in items], list(map(len, items))
        return super()._measure(items, spec)

    def _prepare(self, handle, spec):
        if self.modality == "image":
            return open_image(handle)
        if self.modality == "video":
            frames = read_frames(handle, self.n_frames)
            if len({frame.size for frame in frames}) > 1:
                raise BrokenItemError("its frames must be of one size")
            return np.stack([np.asarray(frame) for frame in frames])
        if self.modality == "audio":
            wave, rate = read_sound(handle, None)
            processor = self._load_model(spec).processor
            extractor = getattr(processor, "feature_extractor", processor)
            with broken_if_it_fails():
                wave = resample(wave, rate, extractor.sampling_rate)
            return {"array": wave, "sampling_rate": extractor.sampling_rate}
        return handle

    def _count_remarks(self, prepared, spec):
        if self.modality == "image":
            return {DIM: count_dim_images(prepared)}
        model = self._load_model(spec)
        limit = model.get_max_seq_length()
        if self.modality != "text" or limit is None:
            return {}
        prompt = self.prompt
        if prompt is None:
            prompt = model.prompts.get(model.default_prompt_name) or ""
        texts = [prompt + text for text in prepared]
        found = model.tokenizer(texts, truncation=True, max_length=limit + 1)
        n_cut = sum(len(ids) > limit for ids in found["input_ids"])
        remark = f"are longer than the {limit} tokens of the model and were truncated"
        return {remark: n_cut}

    def _encode(self, prepared, model, spec):
        return model.encode(
            # A modality by name, so that a text is not taken for the path of an image.
            [{self.modality: item} for item in prepared],
            prompt=self.prompt,
            batch_size=len(prepared),
            show_progress_bar=False,
            convert_to_tensor=True,
        ).float()
