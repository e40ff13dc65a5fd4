"""Encodes video with a pretrained image model."""

import io
import os
from numbers import Integral

import numpy as np
import torch

from skmissing._compat import Interval, StrOptions, import_optional
from skmissing._docs import shared_docs
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._image import (
    DIM,
    check_sees_images,
    count_dim_images,
    embed_images,
    image_dim,
    is_pil,
    open_image,
    value_limits,
)
from skmissing.encoders._items import BrokenItemError, broken_if_it_fails, why_no_file


@shared_docs
class VideoEncoder(FrozenEncoder):
    """Encode a column of videos with a pretrained image model.

    Evenly spaced frames are encoded one by one, and their embeddings are pooled.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="openai/clip-vit-base-patch32"
        Name of a model on the Hugging Face Hub, or a folder written by
        `save_pretrained`. A local copy is used if there is one. Otherwise the model
        is downloaded on first use. Code that comes with a model is never run.
    n_frames : int, default=8
        Number of frames per video to encode, from the first to the last. All frames
        of a shorter video are encoded.
    pooling : {"mean", "max"} or None, default="mean"
        How to reduce the embeddings of the frames to one embedding. With None, the
        output is a flattened sequence of the layout `(n_frames, embedding_dim_)`, which
        is NaN after the last frame.
    %(revision, normalize)s
    batch_size : int, default=4
        Maximum number of videos per batch, each with `n_frames` images. It is halved,
        with a warning, if a batch does not fit into memory.
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
    ImageEncoder : Encodes images.
    AudioEncoder : Encodes sound, from files of sound only.

    Notes
    -----
    A video is a path or the bytes of a file that FFmpeg reads, an array of shape
    (frames, height, width, channels), or a list of images as in :class:`ImageEncoder`.
    All arrays of a video have the same white. Frames of a file are rotated and mirrored
    by its display matrix, which phones record. They are resized if their pixels are not
    square. Frame `i` of `n_frames` is number `i * (n - 1) / (n_frames - 1)`, rounded,
    of the `n` frames of the video. With `n_frames=1`, the middle frame is encoded.

    Examples
    --------
    >>> from skmissing.encoders import VideoEncoder
    >>> encoder = VideoEncoder(n_frames=16, cache="embeddings")
    >>> encoder.fit_transform(["first.mp4", None])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "n_frames": [Interval(Integral, 1, None, closed="left")],
        "pooling": [StrOptions({"mean", "max"}), None],
    }
    _stem = "video"

    def __init__(
        self,
        model="openai/clip-vit-base-patch32",
        *,
        n_frames=8,
        pooling="mean",
        revision=None,
        normalize=False,
        batch_size=4,
        device="auto",
        dtype="float32",
        cache=None,
        empty_is_missing=True,
        on_error="raise",
        local_files_only=False,
        verbose=False,
    ):
        self.model = model
        self.n_frames = n_frames
        self.pooling = pooling
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
    def _n_tokens(self):
        return self.n_frames if self.pooling is None else 1

    def _check_item(self, item):
        if isinstance(item, (str, os.PathLike, bytes, np.ndarray)):
            return None
        if not isinstance(item, (list, tuple)):
            return (
                "must be a path, bytes, an array or a list of images, or missing; got "
                f"{item!r:.50} of type {type(item).__name__}."
            )
        for frame in item:
            if not isinstance(frame, (str, os.PathLike, bytes, np.ndarray)):
                if not is_pil(frame):
                    kind = type(frame).__name__
                    return f"must have images as frames; got a frame of type {kind}."
        return None

    def _check_model(self, config, cls):
        check_sees_images(self.model, config, cls)

    def _guess_dim(self, config, cls):
        return image_dim(config, cls, "cls")

    def _example(self):
        return np.zeros((1, 32, 32, 3), dtype=np.uint8)

    def _prepare(self, handle, spec):
        return read_frames(handle, self.n_frames)

    def _count_remarks(self, prepared, spec):
        return {DIM: sum(count_dim_images(frames) > 0 for frames in prepared)}

    def _encode(self, prepared, model, spec):
        images = [image for frames in prepared for image in frames]
        found = embed_images(images, model, spec, "cls")
        parts = found.split([len(frames) for frames in prepared])
        if self.pooling is None:
            return list(parts)
        if self.pooling == "max":
            return torch.stack([part.amax(dim=0) for part in parts])
        return torch.stack([part.mean(dim=0) for part in parts])


def pick_frames(n_available, n_wanted):
    """Return distinct positions of evenly spaced frames, from first to last."""
    if n_wanted >= n_available:
        return np.arange(n_available)
    if n_wanted == 1:
        return np.array([(n_available - 1) // 2])
    return np.linspace(0, n_available - 1, n_wanted).round().astype(np.intp)


def read_frames(item, n_wanted):
    """Return evenly spaced frames as RGB images, or raise BrokenItemError."""
    if isinstance(item, np.ndarray):
        if item.ndim != 4 and not (item.ndim == 3 and item.shape[-1] > 4):
            raise BrokenItemError(
                "a video must have the shape (frames, height, width, channels); got "
                f"{item.shape}"
            )
    if isinstance(item, (np.ndarray, list, tuple)):
        if len(item) == 0:
            raise BrokenItemError("it has no frames")
        limits = _joint_limits(item)
        picked = pick_frames(len(item), n_wanted)
        return [open_image(item[i], limits) for i in picked]
    if not isinstance(item, bytes) and not os.path.isfile(item):
        raise BrokenItemError(why_no_file(item))
    av = import_optional("av", "encoders")
    with broken_if_it_fails():
        n_available = _count_packets(av, item)
        frames, n_found = _decode_some(av, item, pick_frames(n_available, n_wanted))
        if n_found != n_available:  # packets without or with several frames
            frames, _ = _decode_some(av, item, pick_frames(n_found, n_wanted))
    if not frames:
        raise BrokenItemError("it has no frames")
    return frames


def _joint_limits(frames):
    """Return the lowest and highest value of all frames, if they are of one dtype."""
    # All frames have the same white, so that dark frames stay dark.
    if isinstance(frames, np.ndarray):
        return value_limits(frames) if frames.size else None
    arrays = [frame for frame in frames if isinstance(frame, np.ndarray)]
    if not all(frame.size for frame in arrays):
        return None
    if len(arrays) < len(frames) or len({frame.dtype for frame in arrays}) > 1:
        return None
    lows, highs = zip(*map(value_limits, arrays))
    return np.min(lows), np.max(highs)


def _open(av, item):
    container = av.open(
        io.BytesIO(item) if isinstance(item, bytes) else os.fspath(item)
    )
    if not container.streams.video:
        container.close()
        raise ValueError("it has no video stream")
    return container


def _count_packets(av, item):
    """Count the packets of the first video stream, usually one per frame."""
    with _open(av, item) as container:
        packets = container.demux(container.streams.video[0])
        return sum(packet.size > 0 for packet in packets)


def _decode_some(av, item, positions):
    """Return the frames at some positions as images, and the total number of frames."""
    wanted, images, n_found = set(positions.tolist()), [], 0
    with _open(av, item) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if n_found in wanted:
                image = _widen(frame.to_image(), stream.sample_aspect_ratio)
                images.append(_turn(image, _display_matrix(frame)))
            n_found += 1
    return images, n_found


def _widen(image, aspect):
    """Resize an image whose pixels are not square, as players do."""
    if not aspect or aspect == 1:
        return image
    width = max(1, round(image.width * float(aspect)))
    return image.resize((width, image.height))


def _display_matrix(frame):
    """Return a, b, c and d of x' = a x + c y, y' = b x + d y, or None."""
    # x points to the right and y down
    found = [data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
    if not found:
        return None
    return np.frombuffer(bytes(found[0]), dtype=np.int32)[[0, 1, 3, 4]].astype(float)


def _turn(image, matrix):
    """Rotate and mirror an image by a display matrix, in steps of 90 degrees."""
    if matrix is None:
        return image
    steps = import_optional("PIL.Image", "encoders").Transpose
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(steps.TRANSPOSE)
        a, d = c, b
    if a < 0:
        image = image.transpose(steps.FLIP_LEFT_RIGHT)
    if d < 0:
        image = image.transpose(steps.FLIP_TOP_BOTTOM)
    return image
