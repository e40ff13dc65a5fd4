"""Raw text, images, sound, video and signals to columns of numbers, with holes."""

from skmissing.encoders._audio import AudioEncoder
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._image import ImageEncoder
from skmissing.encoders._models import ModelNotFoundError, unload_models
from skmissing.encoders._signal import SignalEncoder
from skmissing.encoders._text import TextEncoder
from skmissing.encoders._video import VideoEncoder

__all__ = [
    "AudioEncoder",
    "FrozenEncoder",
    "ImageEncoder",
    "ModelNotFoundError",
    "SignalEncoder",
    "TextEncoder",
    "VideoEncoder",
    "unload_models",
]
