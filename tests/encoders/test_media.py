"""Files and arrays of images, videos and sounds, as a person sees and hears them."""

import io
import struct
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageSequence

from skmissing import ModalityWarning
from skmissing.encoders import AudioEncoder, ImageEncoder, VideoEncoder
from skmissing.encoders._audio import read_sound, resample
from skmissing.encoders._image import open_image
from skmissing.encoders._items import BrokenItemError
from skmissing.encoders._video import read_frames

from .models import LOCAL, make_images

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
GRAY = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLORS = make_images(1)[0][:16, :16]


def as_file(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(item):
    return np.asarray(open_image(item))


def rounded(top, dtype):
    return np.rint(top * RAMP).astype(dtype)


# ---------------------------------------------------------------------- range of values

RAMPS = {
    "16-bit PNG": as_file(rounded(65535, np.uint16)),
    "16-bit TIFF": as_file(rounded(65535, np.uint16), "TIFF"),
    "16-bit big-endian TIFF": as_file(rounded(65535, ">u2"), "TIFF"),
    "16-bit PGM": as_file(rounded(65535, np.uint16), "PPM"),
    "12 bits in PNG": as_file(rounded(4095, np.uint16)),
    "32-bit TIFF": as_file(rounded(65535, np.int32), "TIFF"),
    "inverted TIFF": as_file(
        65535 - rounded(65535, np.uint16), "TIFF", tiffinfo={262: 0}
    ),
    "10-bit PGM": b"P5 16 16 1023\n" + rounded(1023, ">u2").tobytes(),
    "dark PGM": b"P5 16 16 65535\n" + rounded(65535, ">u2").tobytes(),
    "float TIFF": as_file(RAMP.astype(np.float32), "TIFF"),
    "float TIFF up to 255": as_file((255 * RAMP).astype(np.float32), "TIFF"),
    "uint8": GRAY,
    "uint16": rounded(65535, np.uint16),
    "12 bits in uint16": rounded(4095, np.uint16),
    "8 bits in uint16": rounded(255, np.uint16),
    "int64 up to 255": rounded(255, np.int64),
    "int16 up to 4095": rounded(4095, np.int16),
    "int32 up to 65535": rounded(65535, np.int32),
    "big-endian": rounded(65535, ">u2"),
    "float16": RAMP.astype(np.float16),
    "float32": RAMP.astype(np.float32),
    "float64 up to 255": 255 * RAMP,
    "float64 up to 65535": 65535 * RAMP,
    "rounding": np.where(RAMP == 1, 1.00001, np.where(RAMP == 0, -1e-7, RAMP)),
    "not contiguous": np.asfortranarray(RAMP.T).T,
    "channel first": np.stack([RAMP] * 3),
    "channel last": RAMP[..., None],
    "I": Image.fromarray(rounded(65535, np.int32)),
    "I;16": Image.fromarray(rounded(65535, np.uint16)),
    "I;16B": Image.frombytes("I;16B", (16, 16), rounded(65535, ">u2").tobytes()),
    "I;16L": Image.frombytes("I;16L", (16, 16), rounded(65535, "<u2").tobytes()),
    "F": Image.fromarray(RAMP.astype(np.float32)),
}


@pytest.mark.parametrize("item", RAMPS.values(), ids=RAMPS)
def test_range_of_gray_values(item):
    expected = np.repeat(GRAY[..., None], 3, axis=2)
    assert_array_equal(pixels(item), expected)


def test_booleans():
    for item in (GRAY > 99, Image.fromarray(GRAY > 99), as_file(GRAY > 99)):
        assert_array_equal(pixels(item)[..., 1], np.where(GRAY > 99, 255, 0))


def test_dark_images_stay_dark():
    """Values are not stretched to white, except for those of fewer bits."""
    for item in (GRAY // 9, RAMP / 9, rounded(65535, np.uint16) // 9):
        assert pixels(item).max() == 28
    assert pixels(as_file(np.zeros((4, 4), np.uint16))).max() == 0
    assert pixels(b"P5 1 1 65535\n" + struct.pack(">H", 2570)).max() == 10


@pytest.mark.parametrize(
    "item, match",
    [
        (RAMP - 0.5, "must hold numbers from 0 to 1; got -0.5 to 0.5"),
        (RAMP * 2, "must hold numbers from 0 to 1; got 0.0 to 2.0"),
        (RAMP * 1e6, "must hold numbers from 0 to 1; got 0.0 to 1000000.0"),
        (rounded(90, int) - 1, "must hold numbers from 0 to 65535; got -1 to 89"),
        (rounded(70000, int), "must hold numbers from 0 to 65535; got 0 to 70000"),
        (np.where(RAMP == 0, np.nan, RAMP), "NaN or infinite pixels"),
        (np.where(RAMP == 0, np.inf, RAMP), "NaN or infinite pixels"),
        (RAMP * 1j, "its pixels must be numbers; got complex128"),
        (RAMP.astype(str), "its pixels must be numbers; got <U"),
        (np.full((4, 4), None), "its pixels must be numbers; got object"),
        (as_file(np.full((4, 4), np.nan, np.float32), "TIFF"), "NaN or infinite"),
        (as_file(np.full((4, 4), -1, np.int32), "TIFF"), "0 to 65535; got -1"),
    ],
)
def test_values_that_are_no_image(item, match):
    with pytest.raises(BrokenItemError, match=match):
        open_image(item)


def test_fewer_bits_than_declared_warn(model_path):
    encoder = ImageEncoder(model_path("clip"), **LOCAL)
    narrow, wide = (as_file(rounded(top, np.uint16)) for top in (4095, 65535))
    with pytest.warns(ModalityWarning, match="ImageEncoder: 1 of 3 items of 16 bits"):
        encoder.fit_transform([narrow, wide, np.zeros((4, 4), np.uint16)])
    encoder = VideoEncoder(model_path("clip"), **LOCAL)
    with pytest.warns(ModalityWarning, match="VideoEncoder: 1 of 1 items of 16 bits"):
        encoder.fit_transform([[narrow, wide]])


def test_frames_of_a_video_share_their_white():
    ramp = rounded(65535, np.uint16)
    for video in ([ramp // 256, ramp], [RAMP, 255 * RAMP]):
        for one in (video, np.stack(video)):
            dark, light = map(np.asarray, read_frames(one, 2))
            assert_array_equal(light[..., 0], GRAY)
            assert dark.max() == 1


# ---------------------------------------------------------------------- modes of Pillow

ALPHA = np.where(GRAY % 2, 255, 0).astype(np.uint8)


def on_white(rgb, alpha):
    share = np.asarray(alpha)[..., None] / 255
    return np.rint(rgb * share + 255 * (1 - share))


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"]


@pytest.mark.parametrize("mode", [*MODES, "LAB", "La", "RGBa", "I", "F", "I;16"])
def test_gray_in_every_mode(mode):
    """A mid-gray image has the same colour in all modes."""
    if mode == "LAB":
        image = Image.new("LAB", (8, 8), (137, 128, 128))  # L = 53.6 is gray 128
    elif mode == "La":
        image = Image.new("LA", (8, 8), (128, 255)).convert("La")
    elif mode == "P":
        image = Image.new("L", (8, 8), 128).convert("P")
    elif mode in ("PA", "RGBa"):
        image = Image.new("RGBA", (8, 8), (128, 128, 128, 255)).convert(mode)
    elif mode in ("I", "F", "I;16"):
        image = Image.new(mode, (8, 8), 128)
    else:
        image = Image.new("RGB", (8, 8), (128, 128, 128)).convert(mode, dither=0)
    wanted = 255 if mode == "1" else 128
    assert_allclose(pixels(image), np.full((8, 8, 3), wanted), atol=2)


def test_transparent_pixels_are_white():
    rgba = np.dstack([COLORS, ALPHA])
    gray, color = np.repeat(GRAY[..., None], 3, axis=2), COLORS
    cases = [
        (rgba, color),
        (as_file(rgba), color),
        (np.moveaxis(rgba, -1, 0), color),
        (Image.fromarray(rgba).convert("RGBa"), color),
        (rgba / 255, color),
        (np.dstack([GRAY, ALPHA]), gray),
        (as_file(Image.fromarray(np.dstack([GRAY, ALPHA]), "LA")), gray),
        (np.stack([GRAY, ALPHA]), gray),
        (as_file(rgba, "WEBP", lossless=True, exact=True), color),
    ]
    for item, colors in cases:
        assert_array_equal(pixels(item), on_white(colors, ALPHA))
    half = np.full((4, 4, 4), [255, 0, 0, 128], np.uint8)
    assert_allclose(pixels(half)[0, 0], [255, 127, 127], atol=1)


def test_transparency_of_files():
    palette = Image.fromarray(GRAY, "L").convert("P")
    for kind in ("PNG", "GIF"):
        found = pixels(as_file(palette, kind, transparency=7))
        assert_array_equal(found[..., 0], np.where(GRAY == 7, 255, GRAY))
    found = pixels(as_file(GRAY, transparency=7))
    assert_array_equal(found[..., 0], np.where(GRAY == 7, 255, GRAY))
    found = pixels(as_file(COLORS, transparency=tuple(COLORS[3, 2].tolist())))
    assert_array_equal(found[3, 2], [255, 255, 255])
    wide = as_file(rounded(65535, np.uint16), transparency=7 * 257)
    assert_array_equal(pixels(wide)[..., 0], np.where(GRAY == 7, 255, GRAY))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_image_of_an_animation(kind):
    images = [Image.fromarray(np.full((16, 16, 3), v, np.uint8)) for v in (40, 200)]
    more = {"save_all": True, "append_images": images[1:]}
    file = as_file(
        images[0], kind, **more, **({"lossless": True} if kind == "WEBP" else {})
    )
    assert len(list(ImageSequence.Iterator(Image.open(io.BytesIO(file))))) == 2
    assert_array_equal(pixels(file), np.full((16, 16, 3), 40))


# -------------------------------------------------------------------------- orientation

# What a viewer does, by the number in EXIF: arrays are (height, width, channels).
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("number", TURNS)
@pytest.mark.parametrize("wide", [False, True])
def test_orientation_of_images(number, wide):
    array = rounded(65535, np.uint16)[:9] if wide else COLORS[:9]
    shown = np.repeat(GRAY[:9, :, None], 3, axis=2) if wide else array
    exif = Image.Exif()
    exif[274] = number
    kinds = {"PNG": {"exif": exif}, "TIFF": {"tiffinfo": {274: number}}}
    for kind, options in kinds.items():
        found = pixels(as_file(array, kind, **options))
        assert_array_equal(found, TURNS[number](shown))


def test_broken_exif_does_not_matter():
    for exif in (b"Exif\0\0no", b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x09", b"Exif\0\0II*\0"):
        file = as_file(COLORS, "PNG", exif=exif)
        assert_array_equal(pixels(file), COLORS)


def make_mp4(matrix=None, aspect=None, size=(64, 32)):
    """Return a video of four colours, and the first frame without a matrix."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 255
    image[height // 2 :, : width // 2] = 90
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 1_000_000
        if aspect is not None:
            stream.sample_aspect_ratio = aspect
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        out.mux([*stream.encode(frame), *stream.encode()])
    video = bytearray(file.getvalue())
    if matrix is not None:
        a, b, c, d = (65536 * value for value in matrix)
        at = video.find(b"tkhd") + 44
        video[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(video), image


# The matrix maps (x, y) to (a x + c y, b x + d y); x points to the right and y down.
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


@pytest.mark.parametrize("number", MATRICES)
def test_orientation_of_videos(number, tmp_path):
    video, image = make_mp4(MATRICES[number])
    path = tmp_path / "video.mp4"
    path.write_bytes(video)
    for item in (video, path):
        (found,) = read_frames(item, 1)
        expected = TURNS[number](image)
        assert np.asarray(found).shape == expected.shape
        assert abs(np.asarray(found) - expected.astype(int)).mean() < 8


def test_pixels_that_are_not_square():
    video, image = make_mp4(aspect=Fraction(3, 2))
    assert read_frames(video, 1)[0].size == (96, 32)
    video, _ = make_mp4((0, 1, -1, 0), aspect=Fraction(3, 2))
    assert read_frames(video, 1)[0].size == (32, 96)


# -------------------------------------------------------------------------------- sound


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_every_kind_of_wav(subtype, n_channels):
    rate = 22050
    time = np.arange(rate // 10) / rate
    left, right = np.sin(880 * np.pi * time) / 2, np.sin(1760 * np.pi * time) / 4
    wave = left if n_channels == 1 else np.stack([left, right], axis=1)
    expected = left if n_channels == 1 else (left + right) / 2
    file = io.BytesIO()
    soundfile.write(file, wave, rate, subtype=subtype, format="wav")
    found, found_rate = read_sound(file.getvalue(), None)
    assert found_rate == rate
    assert_allclose(found, expected, atol=0.01 if subtype == "PCM_U8" else 1e-4)
    time = np.arange(1600) / 16000
    at_16000 = np.sin(880 * np.pi * time) / 2
    if n_channels == 2:
        at_16000 = (at_16000 + np.sin(1760 * np.pi * time) / 4) / 2
    inner = slice(200, -200)
    found = resample(found, rate, 16000)
    assert_allclose(found[inner], at_16000[inner], atol=0.02)


@pytest.mark.parametrize(
    "item, match",
    [
        ((np.zeros(900, np.int64), 16000), "integers of 8, 16 or 32 bits.*got int64"),
        ((np.zeros(900), 2**31 - 1), "its rate of 2147483647 Hz cannot be converted"),
    ],
)
def test_sounds_of_unknown_range_or_rate(model_path, item, match):
    encoder = AudioEncoder(model_path("wavlm"), **LOCAL)
    with pytest.raises(ValueError, match=f"item 0 of X, .*{match}"):
        encoder.fit_transform([item])


def test_floats_of_16_bits_warn(model_path):
    wave = 30000 * np.sin(np.arange(900) / 9)
    encoder = AudioEncoder(model_path("wavlm-group"), **LOCAL)
    with pytest.warns(ModalityWarning, match="1 of 2 items have samples above 8"):
        encoder.fit_transform([(wave, 16000), (wave / 40000, 16000)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AudioEncoder(model_path("wavlm"), **LOCAL).fit_transform([(wave, 16000)])


# ------------------------------------------------------------------------- broken files


def damage(whole, step):
    """Yield files that are cut, or that have some bytes changed."""
    rng = np.random.RandomState(0)
    yield from (whole[:n] for n in range(0, len(whole), step))
    for at in range(0, len(whole), step):
        yield whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
        noise = rng.bytes(8)
        yield whole[:at] + noise + whole[at + 8 :]


def check_damage(read, whole, step):
    read(whole)
    n_broken = 0
    for file in damage(whole, step):
        try:
            read(file)
        except BrokenItemError as exc:
            n_broken += 1
            assert 0 < len(str(exc)) < 300
            assert "\n" not in str(exc)
    assert n_broken


KINDS = "PNG JPEG WEBP AVIF DDS GIF TIFF JPEG2000 ICO".split()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_images(kind):
    try:
        whole = as_file(COLORS, kind)
    except (KeyError, OSError):
        pytest.skip(f"Pillow cannot write {kind} here")
    check_damage(open_image, whole, max(1, len(whole) // 60))


@pytest.mark.filterwarnings("ignore:Exception ignored from cffi callback")
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "aiff", "mp3"])
def test_damaged_sounds(kind):
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(900) / 9), 16000, format=kind)
    whole = file.getvalue()

    check_damage(lambda item: AudioEncoder()._length(item), whole, len(whole) // 40)
    check_damage(lambda item: read_sound(item, None), whole, len(whole) // 40)


def test_damaged_videos():
    whole, _ = make_mp4()
    check_damage(lambda item: read_frames(item, 2), whole, len(whole) // 60)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no"),
        struct.error("no"),
        SyntaxError("no"),
        MemoryError(),
        KeyError(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_of_a_decoder_is_that_of_the_item(model_path, monkeypatch, error):
    good = COLORS
    file = as_file(COLORS)

    def fail(*args, **kwargs):
        raise error

    cases = [
        (ImageEncoder, "clip", good, file, (Image, "open")),
        (VideoEncoder, "clip", [good], make_mp4()[0], (av, "open")),
        (
            AudioEncoder,
            "wavlm",
            (np.sin(np.arange(99.0)), 16000),
            b"no sound",
            (soundfile, "info"),
        ),
    ]
    for cls, name, good, item, place in cases:
        monkeypatch.setattr(*place, fail)
        encoder = cls(model_path(name), on_error="missing", **LOCAL)
        with pytest.warns(ModalityWarning, match="1 of 2 items .* item 1, .* bytes: "):
            found = encoder.fit_transform([good, item])
        assert_array_equal(np.isnan(found).all(axis=1), [False, True])
        with pytest.raises(
            ValueError, match="item 1 of X, .* bytes, cannot be encoded"
        ):
            encoder.set_params(on_error="raise").transform([good, item])


def test_paths_that_cannot_be_read(model_path, tmp_path):
    empty, words = tmp_path / "empty", tmp_path / "words.txt"
    empty.write_bytes(b"")
    words.write_text("not a picture")
    paths = [tmp_path, empty, words, tmp_path / "none", "nul\0.png", "half\ud83d.png"]
    for cls, name in [
        (ImageEncoder, "clip"),
        (VideoEncoder, "clip"),
        (AudioEncoder, "wavlm"),
    ]:
        for cache in (None, tmp_path / "cache"):
            encoder = cls(model_path(name), cache=cache, on_error="missing", **LOCAL)
            with pytest.warns(ModalityWarning, match="6 of 6 items cannot be encoded"):
                assert np.isnan(encoder.fit_transform(paths)).all()


def test_too_many_pixels(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    with pytest.raises(BrokenItemError, match="decompression bomb"):
        open_image(as_file(COLORS))
