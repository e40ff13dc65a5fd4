"""Encodes images by a pretrained model."""

import io
import os
from numbers import Integral

import numpy as np
import torch

from skmissing._compat import Interval, StrOptions, import_optional
from skmissing._docs import shared_docs
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._items import BrokenItemError
from skmissing.encoders._models import load_processor
from skmissing.encoders._pooling import pool_tokens, pooled_output, to_device


@shared_docs
class ImageEncoder(FrozenEncoder):
    """Encode a column of images by a pretrained model.

    The model may be any vision model that `transformers.AutoModel` loads, or the
    vision tower of a model such as CLIP.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="openai/clip-vit-base-patch32"
        Name of a model on the Hugging Face Hub, or a folder written by
        `save_pretrained`. A local copy is used if there is one. Otherwise the model
        is downloaded on first use. Code that comes with a model is never run.
    pooling : {"cls", "mean", "max"} or None, default="cls"
        How the patches of an image are reduced to one embedding. "cls" takes the
        class token, the embedding that is compared with texts if the model has two
        towers, or the model's own pooling if it is convolutional. "mean" and "max"
        pool all tokens. None keeps the tokens, see `max_tokens`.
    %(revision, normalize, max_tokens)s
    batch_size : int, default=32
        Maximum number of images per batch. It is halved, with a warning, if a batch
        does not fit into memory.
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
    TextEncoder : Encodes text, with the same model if it has two towers.
    VideoEncoder : Averages the embeddings of frames.

    Notes
    -----
    An image is a path, the bytes of a file, a PIL image, or an array of shape
    (height, width), (height, width, channels) or (channels, height, width), of
    integers up to 255 or of floats between 0 and 1. All images are converted to RGB,
    then resized and scaled by the image processor of the model.

    Examples
    --------
    >>> from skmissing.encoders import ImageEncoder
    >>> encoder = ImageEncoder(normalize=True, on_error="missing")
    >>> encoder.fit_transform(["first.png", None])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
        "pooling": [StrOptions({"cls", "mean", "max"}), None],
    }
    _stem = "image"

    def __init__(
        self,
        model="openai/clip-vit-base-patch32",
        *,
        pooling="cls",
        revision=None,
        normalize=False,
        max_tokens=None,
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
        self.pooling = pooling
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
        if isinstance(item, (str, os.PathLike, bytes, np.ndarray)) or is_pil(item):
            return None
        return (
            "must be a path, bytes, a PIL image, an array or missing; got "
            f"{item!r:.50} of type {type(item).__name__}."
        )

    def _check_model(self, config, cls):
        check_sees_images(self.model, config, cls)

    def _guess_dim(self, config, cls):
        return image_dim(config, cls, self.pooling)

    def _example(self):
        return np.zeros((32, 32, 3), dtype=np.uint8)

    def _prepare(self, handle, spec):
        return open_image(handle)

    def _encode(self, prepared, model, spec):
        return embed_images(prepared, model, spec, self.pooling)


def is_pil(item):
    """Whether an item is a PIL image."""
    return hasattr(item, "convert") and hasattr(item, "getbands")


def open_image(item):
    """Return an RGB image of PIL, or raise BrokenItemError."""
    Image = import_optional("PIL.Image", "encoders")
    ImageOps = import_optional("PIL.ImageOps", "encoders")
    if isinstance(item, np.ndarray):
        item = Image.fromarray(_as_bytes(item))
    try:
        if isinstance(item, bytes):
            item = Image.open(io.BytesIO(item))
        elif not is_pil(item):
            with Image.open(item) as opened:
                opened.load()
                item = opened
        return ImageOps.exif_transpose(item).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise BrokenItemError(reason.split(" <_io")[0]) from exc


def _as_bytes(array):
    """Convert an array for PIL: channels last, numbers from 0 to 255."""
    if array.size == 0:
        raise BrokenItemError(f"the array is empty, of shape {array.shape}")
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)):
        raise BrokenItemError(
            "an image must have the shape (height, width), (height, width, channels) "
            f"or (channels, height, width), with 1, 3 or 4 channels; got {array.shape}"
        )
    top = 1 if array.dtype.kind == "f" else 255
    if array.dtype.kind not in "buif" or not (
        array.min() >= 0 and array.max() <= top
    ):  # NaN fails too
        raise BrokenItemError(
            f"an array of {array.dtype} must hold numbers from 0 to {top}; got "
            f"{array.min()} to {array.max()}"
        )
    scale = 255 if array.dtype.kind in "bf" else 1
    return np.ascontiguousarray(np.rint(array * scale).astype(np.uint8))


def has_tower(cls):
    """Whether a model class has an image tower besides others."""
    return hasattr(cls, "get_image_features")


def check_sees_images(model, config, cls):
    """Raise ValueError if a model does not take images."""
    if not has_tower(cls) and cls.main_input_name != "pixel_values":
        raise ValueError(
            f"model={str(model)!r} must have an image tower; got a model of type "
            f"{config.model_type!r}, which takes {cls.main_input_name}."
        )


def image_dim(config, cls, pooling):
    """Return the width of the embedding, or None if the configuration has none."""
    if has_tower(cls):
        if pooling == "cls":
            return getattr(config, "projection_dim", None)
        return getattr(getattr(config, "vision_config", None), "hidden_size", None)
    return getattr(config, "hidden_size", None)


def embed_images(images, model, spec, pooling):
    """Return embeddings (n_images, dim) of RGB images, or a list of tokens."""
    processor = load_processor(spec, "AutoImageProcessor")
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    inputs = to_device({"pixel_values": pixels}, model)
    if has_tower(type(model)):
        if pooling == "cls":
            return pooled_output(model.get_image_features(**inputs))
        model = model.vision_model
    output = model(**inputs)
    hidden = output.last_hidden_state
    is_map = hidden.ndim == 4  # channels, height, width
    if is_map:
        hidden = hidden.flatten(2).transpose(1, 2)
    if pooling == "cls":
        embeddings = getattr(model, "embeddings", None)
        if not is_map and getattr(embeddings, "cls_token", None) is not None:
            return hidden[:, 0].float()
        if getattr(output, "pooler_output", None) is None:
            raise ValueError(
                f"model={spec.name!r} must have a class token for pooling='cls'; "
                "choose pooling='mean'."
            )
        return output.pooler_output.flatten(1).float()
    mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    return pool_tokens(hidden, mask, pooling)
