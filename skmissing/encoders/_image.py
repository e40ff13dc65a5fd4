"""Encodes images by a pretrained model."""

import io
import os
from numbers import Integral

import numpy as np
import torch

from skmissing._compat import Interval, StrOptions, import_optional
from skmissing._docs import shared_docs
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._items import BrokenItemError, broken_if_it_fails
from skmissing.encoders._models import load_processor
from skmissing.encoders._pooling import pool_tokens, pooled_output, to_device

# Tags of TIFF, and the value of the second tag for inverted images.
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
# Values of white for 8, 12 and 16 bits.
WHITES = (255, 4095, 65535)
# Rounding may lift floats slightly above 1. Images with white at 255 are nearly black
# if all values are below 10.
ROUNDING, DARKEST = 1e-3, 10
CHANNELS = (1, 2, 3, 4)
IMAGES = "a path, bytes, a PIL image, an array"
DIM = (
    "of 16 bits have no value above 4095 and were read as 8 or 12 bits. Floats between "
    "0 and 1 have a fixed white"
)


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
        How to reduce the patches of an image to one embedding. "cls" is the class
        token, the embedding for comparison with texts if the model has two towers, or
        the pooling of the model if it is convolutional. "mean" and "max" pool all
        tokens. None keeps the tokens, see `max_tokens`.
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
    (height, width), (height, width, channels) or (channels, height, width). The
    channels are gray, gray and alpha, RGB, or RGB and alpha. All images are converted
    to 8-bit RGB, then resized and scaled by the image processor of the model.

    The conversion shows an image as a viewer does. The orientation in the metadata of
    a file is applied, transparent pixels are white, and the first image of an
    animation is encoded. White in arrays, and in gray files of 16 or more bits, is

    - True for booleans,
    - 1 for floats up to 1,
    - otherwise 255, 4095 or 65535 (8, 12 or 16 bits): the smallest value that is not
      below the largest pixel. A TIFF file may declare its number of bits.

    Negative, NaN, infinite and larger values cannot be encoded. Floats with a largest
    value between 1 and 10 cannot be encoded either, because white may be 1 or 255. If
    the white of 16-bit images is below 65535, a warning reports the number of these
    images.

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
        if is_image(item):
            return None
        kind = type(item).__name__
        return f"must be {IMAGES} or missing; got {item!r:.50} of type {kind}."

    def _check_model(self, config, cls):
        check_sees_images(self.model, config, cls)

    def _guess_dim(self, config, cls):
        return image_dim(config, cls, self.pooling)

    def _example(self):
        return np.zeros((32, 32, 3), dtype=np.uint8)

    def _prepare(self, handle, spec):
        return open_image(handle)

    def _count_remarks(self, prepared, spec):
        return {DIM: count_dim_images(prepared)}

    def _encode(self, prepared, model, spec):
        return embed_images(prepared, model, spec, self.pooling)


def is_image(item):
    """Whether an item is of a type that `open_image` reads."""
    return isinstance(item, (str, os.PathLike, bytes, np.ndarray)) or is_pil(item)


def is_pil(item):
    """Whether an item is a PIL image."""
    return hasattr(item, "convert") and hasattr(item, "getbands")


def open_image(item, limits=None):
    """Return an RGB image of PIL, or raise BrokenItemError."""
    # `limits`: lowest and highest value of the video if the array is a frame
    Image = import_optional("PIL.Image", "encoders")
    if isinstance(item, np.ndarray):
        array = _channels_last(item)
        white = _find_white(array, *(limits or value_limits(array)))
        image = _on_white(Image, Image.fromarray(_as_bytes(array, white)))
        return _mark_if_dim(image, array, white)
    with broken_if_it_fails():
        if isinstance(item, bytes):
            item = Image.open(io.BytesIO(item))
        elif not is_pil(item):
            with Image.open(item) as opened:
                opened.load()
                item = opened
        item.load()
        upright = _turn_by_exif(item)
        if item.mode == "F" or item.mode.startswith("I"):
            return _open_gray(Image, item, np.asarray(upright))
        return _on_white(Image, upright)


def _turn_by_exif(image):
    ImageOps = import_optional("PIL.ImageOps", "encoders")
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken metadata of an intact image
        return image


def _on_white(Image, image):
    """Convert an image to RGB, with white behind its transparent pixels."""
    if image.mode == "La":  # PIL only converts it to LA
        image = image.convert("LA")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _open_gray(Image, image, array):
    """Return an RGB image of the gray values of a file, of 16 or more bits."""
    tags = getattr(image, "tag_v2", {})  # TIFF only
    declared = tags.get(BITS_PER_SAMPLE, (16,))[0]
    if image.format == "PPM" and image.mode == "I":  # PIL scales it to 16 bits
        white = 65535
    elif image.mode.startswith("I") and declared < 16:
        white = 2**declared - 1
    else:
        white = _find_white(array, *value_limits(array))
    gray = _as_bytes(array, white)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        gray = 255 - gray
    if "transparency" in image.info:  # in PNG, one transparent value
        gray[array == image.info["transparency"]] = 255
    return _mark_if_dim(Image.fromarray(gray).convert("RGB"), array, white)


def _mark_if_dim(image, array, white):
    is_16_bit = array.dtype.kind == "u" and array.dtype.itemsize == 2
    if is_16_bit and white in (255, 4095) and array.any():
        image.info["white"] = white
    return image


def count_dim_images(images):
    """Count images of 16 bits whose values do not exceed 12 bits."""
    return sum("white" in image.info for image in images)


def _channels_last(array):
    """Return an array of shape (height, width) or (height, width, channels)."""
    if array.size == 0:
        raise BrokenItemError(f"the array is empty, of shape {array.shape}")
    shape = array.shape
    if array.ndim == 3 and array.shape[-1] not in CHANNELS:
        array = np.moveaxis(array, 0, -1)
    if array.ndim not in (2, 3) or (
        array.ndim == 3 and array.shape[-1] not in CHANNELS
    ):
        raise BrokenItemError(
            "an image must have the shape (height, width), (height, width, channels) "
            f"or (channels, height, width), with 1 to 4 channels; got {shape}"
        )
    return array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array


def value_limits(array):
    """Return the lowest and the highest value, or NaN if any value is NaN."""
    if array.dtype.kind not in "buif":
        raise BrokenItemError(f"its pixels must be numbers; got {array.dtype}")
    return array.min(), array.max()


def _find_white(array, low, high):
    """Return the value of white for an array whose values are from low to high."""
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BrokenItemError("it has NaN or infinite pixels")
    is_float = array.dtype.kind == "f"
    slack = ROUNDING if is_float else 0
    whites = (1, *WHITES) if is_float else WHITES
    white = next((white for white in whites if high <= white + slack), None)
    if low < -slack or white is None or (white > 1 and is_float and high < DARKEST):
        wanted = "1" if is_float else "65535"
        others = " (or to 255, 4095 or 65535, if above 10)" if is_float else ""
        raise BrokenItemError(
            f"an array of {array.dtype} must hold numbers from 0 to {wanted}; got "
            f"{low} to {high}{others}"
        )
    return 1 if array.dtype.kind == "b" else white


def _as_bytes(array, white):
    scaled = np.clip(array.astype(np.float64) / white, 0, 1)
    return np.ascontiguousarray(np.rint(255 * scaled).astype(np.uint8))


def has_tower(cls):
    """Whether a model class has an image tower besides other towers."""
    return hasattr(cls, "get_image_features")


def check_sees_images(model, config, cls):
    """Check that a model takes images."""
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
