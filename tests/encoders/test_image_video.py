"""ImageEncoder and VideoEncoder against a loop over images, one by one."""

import io

import av
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from skmissing.encoders import ImageEncoder, VideoEncoder
from tests.encoders.models import make_images

LOCAL = {"local_files_only": True, "device": "cpu"}
IMAGES = make_images(7)


def loop(folder, images, pooling="cls"):
    """What transformers says of each image alone."""
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    rows = []
    for image in images:
        inputs = processor(images=Image.fromarray(image), return_tensors="pt")
        with torch.no_grad():
            if hasattr(model, "get_image_features") and pooling == "cls":
                rows.append(model.get_image_features(**inputs).pooler_output[0])
                continue
            if hasattr(model, "vision_model"):
                hidden = model.vision_model(**inputs).last_hidden_state[0]
            else:
                output = model(**inputs)
                hidden = output.last_hidden_state[0].flatten(1).T
                if pooling == "cls":
                    rows.append(output.pooler_output.flatten())
                    continue
            reduced = hidden.mean(0) if pooling == "mean" else hidden.amax(0)
            rows.append(reduced)
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("name", ["clip", "resnet"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("batch_size", [3, 64])
def test_equals_a_plain_loop(model_path, name, pooling, batch_size):
    """Whatever the batch size, an embedding is that of the image alone."""
    folder = model_path(name)
    encoder = ImageEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    found = encoder.fit_transform(IMAGES)
    assert_allclose(found, loop(folder, IMAGES, pooling), atol=1e-5)


def as_png(image):
    """Bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def test_every_kind_of_image(model_path, tmp_path):
    """Path, bytes, PIL image and arrays in every layout are the same image."""
    array = IMAGES[0]
    path = tmp_path / "image.png"
    path.write_bytes(as_png(array))
    opaque = np.full((*array.shape[:2], 1), 255, dtype=np.uint8)
    kinds = [
        array,
        str(path),
        path,
        as_png(array),
        Image.fromarray(array),
        np.moveaxis(array, -1, 0),
        array / 255,
        array.astype(np.int64),
        np.concatenate([array, opaque], axis=2),
    ]
    found = ImageEncoder(model_path("clip"), **LOCAL).fit_transform(kinds)
    assert_allclose(found, np.repeat(found[:1], len(kinds), axis=0), atol=1e-5)


def test_stack_of_arrays(model_path):
    """One array of all images is a column of images."""
    stack = np.stack([image[:16, :16] for image in IMAGES])
    encoder = ImageEncoder(model_path("clip"), **LOCAL)
    expected = encoder.fit_transform(list(stack))
    assert_allclose(encoder.transform(stack), expected, atol=1e-6)
    gray = stack[..., 0]
    expected = encoder.transform([np.repeat(g[..., None], 3, axis=2) for g in gray])
    assert_allclose(encoder.transform(gray), expected, atol=1e-5)


def test_missing_image_is_a_row_of_nan(model_path):
    """None, NaN, a blank path and an array of NaN are missing; others are as before."""
    encoder = ImageEncoder(model_path("clip"), **LOCAL)
    items = [IMAGES[0], None, np.nan, "", np.full((4, 4), np.nan), IMAGES[1]]
    found = encoder.fit_transform(items)
    assert np.isnan(found[1:5]).all()
    assert_allclose(found[[0, 5]], encoder.transform(IMAGES[:2]), atol=1e-6)


BROKEN = [
    (b"no image", "cannot identify image file"),
    ("nowhere.png", "No such file"),
    (np.zeros((0, 4, 3)), "the array is empty"),
    (np.full((4, 4), 3.5), "must hold numbers from 0 to 1; got 3.5"),
    (np.zeros((5, 5, 6), dtype=np.uint8), "an image has the shape"),
]


@pytest.mark.parametrize("item, reason", BROKEN, ids=[r for _, r in BROKEN])
@pytest.mark.parametrize("with_cache", [False, True])
def test_broken_image(model_path, tmp_path, item, reason, with_cache):
    """It is an error with the row and the reason, or a counted missing item."""
    cache = tmp_path if with_cache else None
    encoder = ImageEncoder(model_path("clip"), cache=cache, **LOCAL)
    items = [IMAGES[0], None, item, IMAGES[1]]
    with pytest.raises(ValueError, match=f"row 2 of X, .*{reason}"):
        encoder.fit_transform(items)
    encoder.set_params(on_error="missing")
    with pytest.warns(UserWarning, match=f"1 of 4 items .* row 2, .*{reason}") as told:
        found = encoder.transform(items)
    assert len(told) == 1
    assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, False])
    assert_allclose(found[[0, 3]], encoder.transform(IMAGES[:2]), atol=1e-6)


def test_wrong_type_in_the_column(model_path):
    """A number among images is an error that names the row, whatever on_error says."""
    encoder = ImageEncoder(model_path("clip"), on_error="missing", **LOCAL)
    with pytest.raises(TypeError, match="row 1 of X must be a path.*got 7 of type int"):
        encoder.fit([IMAGES[0], 7])


@pytest.mark.parametrize("cls", [ImageEncoder, VideoEncoder])
def test_model_without_image_tower(model_path, cls):
    """A model of text is refused with what it takes."""
    with pytest.raises(ValueError, match="takes input_ids: it has no image tower"):
        cls(model_path("bert"), **LOCAL).fit(IMAGES)


def test_tokens(model_path):
    """pooling=None gives the class token and the patches."""
    encoder = ImageEncoder(model_path("clip"), pooling=None, max_tokens=6, **LOCAL)
    found = encoder.fit_transform(IMAGES).reshape(7, 6, 16)
    assert np.isnan(found[:, 5]).all()  # 2 x 2 patches and one token
    expected = loop(model_path("clip"), IMAGES, "mean")
    assert_allclose(found[:, :5].mean(axis=1), expected, atol=1e-5)


# ------------------------------------------------------------------------------ video


def make_video(n_frames, seed=0):
    """Frames that differ, as an array."""
    return np.random.RandomState(seed).randint(
        0, 256, (n_frames, 32, 32, 3), dtype=np.uint8
    )


@pytest.mark.parametrize(
    "n_frames, picked", [(1, [4]), (3, [0, 4, 9]), (99, range(10))]
)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_video_is_the_mean_of_its_frames(model_path, n_frames, picked, pooling):
    """Frames are evenly spaced; their embeddings are those of images."""
    video = make_video(10)
    encoder = VideoEncoder(
        model_path("clip"), n_frames=n_frames, pooling=pooling, **LOCAL
    )
    found = encoder.fit_transform([video, None, list(video)])
    frames = loop(model_path("clip"), video[list(picked)])
    expected = frames.mean(axis=0) if pooling == "mean" else frames.max(axis=0)
    assert_allclose(found[[0, 2]], [expected, expected], atol=1e-5)
    assert np.isnan(found[1]).all()


def test_tokens_of_video(model_path):
    """pooling=None gives a token a frame, NaN where a video has fewer."""
    video = make_video(3)
    encoder = VideoEncoder(model_path("clip"), n_frames=4, pooling=None, **LOCAL)
    found = encoder.fit_transform([video]).reshape(4, 12)
    assert_allclose(found[:3], loop(model_path("clip"), video), atol=1e-5)
    assert np.isnan(found[3]).all()


def write_video(path, video):
    """Losslessly, so that the frames come back as they were."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        for frame in video:
            frame = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_video_file(model_path, tmp_path):
    """A file, its bytes and its frames are encoded alike."""
    video, path = make_video(11), tmp_path / "video.mkv"
    write_video(path, video)
    encoder = VideoEncoder(model_path("clip"), n_frames=4, **LOCAL)
    found = encoder.fit_transform([video, str(path), path, path.read_bytes()])
    assert_allclose(found, np.repeat(found[:1], 4, axis=0), atol=1e-5)


def test_frames_that_packets_do_not_tell(model_path, tmp_path, monkeypatch):
    """Where the file misstates the number of frames, the decoded ones count."""
    from skmissing.encoders import _video

    video, path = make_video(11), tmp_path / "video.mkv"
    write_video(path, video)
    encoder = VideoEncoder(model_path("clip"), n_frames=4, **LOCAL)
    expected = encoder.fit_transform([path])
    monkeypatch.setattr(_video, "_count_packets", lambda av, item: 20)
    assert_allclose(encoder.transform([path]), expected, atol=1e-6)


BROKEN_VIDEOS = [
    (b"no video", "Invalid data"),
    ("nowhere.mp4", "there is no such file"),
    ([], "it has no frames"),
    (np.zeros((5, 4)), "a video has the shape"),
    ([b"no image"], "cannot identify"),
]


@pytest.mark.parametrize(
    "item, reason", BROKEN_VIDEOS, ids=[r for _, r in BROKEN_VIDEOS]
)
def test_broken_video(model_path, item, reason):
    """It is an error with the row and the reason, or a counted missing item."""
    encoder = VideoEncoder(model_path("clip"), n_frames=2, **LOCAL)
    items = [make_video(3), item]
    with pytest.raises(ValueError, match=f"row 1 of X, .*{reason}"):
        encoder.fit_transform(items)
    encoder.set_params(on_error="missing")
    with pytest.warns(UserWarning, match=f"1 of 2 items .* row 1, .*{reason}"):
        found = encoder.transform(items)
    assert_array_equal(np.isnan(found).all(axis=1), [False, True])


def test_sound_is_no_video(model_path, tmp_path):
    """A file without a video stream says so."""
    import soundfile

    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(800), 8000)
    with pytest.raises(ValueError, match="it has no video stream"):
        VideoEncoder(model_path("clip"), **LOCAL).fit_transform([path])


@pytest.mark.parametrize(
    "item, match", [(3, "got 3 of type int"), ([3], "a frame of type int")]
)
def test_wrong_type_of_video(model_path, item, match):
    """What is no video is an error that names the row."""
    with pytest.raises(TypeError, match=f"row 0 of X .*{match}"):
        VideoEncoder(model_path("clip"), **LOCAL).fit([item])
