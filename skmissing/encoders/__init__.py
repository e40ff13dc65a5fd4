"""Encoders of text, images, sound, video and signals. Requires torch."""

from skmissing._compat import import_optional

import_optional("torch", "encoders")

from skmissing.encoders._audio import AudioEncoder  # noqa: E402
from skmissing.encoders._base import FrozenEncoder  # noqa: E402
from skmissing.encoders._image import ImageEncoder  # noqa: E402
from skmissing.encoders._image_text import ImageTextEncoder  # noqa: E402
from skmissing.encoders._models import ModelNotFoundError, unload_models  # noqa: E402
from skmissing.encoders._sentence import SentenceTransformerEncoder  # noqa: E402
from skmissing.encoders._signal import SignalEncoder  # noqa: E402
from skmissing.encoders._text import TextEncoder  # noqa: E402
from skmissing.encoders._video import VideoEncoder  # noqa: E402

__all__ = [
    "AudioEncoder",
    "FrozenEncoder",
    "ImageEncoder",
    "ImageTextEncoder",
    "ModelNotFoundError",
    "SentenceTransformerEncoder",
    "SignalEncoder",
    "TextEncoder",
    "VideoEncoder",
    "unload_models",
]
