"""Compare ImageEncoder and VideoEncoder with a loop over images, one by one."""

import io

import av
import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from PIL import Image

from skmissing.encoders import ImageEncoder, VideoEncoder

from .models import LOCAL, make_images

IMAGES = make_images(7)


def loop(folder, images, pooling="cls"):
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(
        folder, local_files_only=True
    )
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
    folder = model_path(name)
    encoder = ImageEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    found = encoder.fit_transform(IMAGES)
    assert_allclose(found, loop(folder, IMAGES, pooling), atol=1e-5)


def as_png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def test_every_kind_of_image(model_path, tmp_path):
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
    stack = np.stack([image[:16, :16] for image in IMAGES])
    encoder = ImageEncoder(model_path("clip"), **LOCAL)
    expected = encoder.fit_transform(list(stack))
    assert_allclose(encoder.transform(stack), expected, atol=1e-6)
    gray = stack[..., 0]
    expected = encoder.transform([np.repeat(g[..., None], 3, axis=2) for g in gray])
    assert_allclose(encoder.transform(gray), expected, atol=1e-5)


def test_tokens(model_path):
    encoder = ImageEncoder(model_path("clip"), pooling=None, max_tokens=6, **LOCAL)
    found = encoder.fit_transform(IMAGES).reshape(7, 6, 16)
    assert np.isnan(found[:, 5]).all()  # 2 x 2 patches and one token
    expected = loop(model_path("clip"), IMAGES, "mean")
    assert_allclose(found[:, :5].mean(axis=1), expected, atol=1e-5)


# ------------------------------------------------------------------------------ video


def make_video(n_frames, seed=0):
    return np.random.RandomState(seed).randint(
        0, 256, (n_frames, 32, 32, 3), dtype=np.uint8
    )


@pytest.mark.parametrize(
    "n_frames, picked", [(1, [4]), (3, [0, 4, 9]), (99, range(10))]
)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_video_is_the_mean_of_its_frames(model_path, n_frames, picked, pooling):
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
    """pooling=None returns one token per frame, and NaN after the last frame."""
    video = make_video(3)
    encoder = VideoEncoder(model_path("clip"), n_frames=4, pooling=None, **LOCAL)
    found = encoder.fit_transform([video]).reshape(4, 12)
    assert_allclose(found[:3], loop(model_path("clip"), video), atol=1e-5)
    assert np.isnan(found[3]).all()


def write_video(path, video):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        for frame in video:
            frame = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_video_file(model_path, tmp_path):
    video, path = make_video(11), tmp_path / "video.mkv"
    write_video(path, video)
    encoder = VideoEncoder(model_path("clip"), n_frames=4, **LOCAL)
    found = encoder.fit_transform([video, str(path), path, path.read_bytes()])
    assert_allclose(found, np.repeat(found[:1], 4, axis=0), atol=1e-5)


def test_wrong_number_of_packets(model_path, tmp_path, monkeypatch):
    from skmissing.encoders import _video

    video, path = make_video(11), tmp_path / "video.mkv"
    write_video(path, video)
    encoder = VideoEncoder(model_path("clip"), n_frames=4, **LOCAL)
    expected = encoder.fit_transform([path])
    monkeypatch.setattr(_video, "_count_packets", lambda av, item: 20)
    assert_allclose(encoder.transform([path]), expected, atol=1e-6)


def test_file_without_video(model_path, tmp_path):
    import soundfile

    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(800), 8000)
    with pytest.raises(ValueError, match="it has no video stream"):
        VideoEncoder(model_path("clip"), **LOCAL).fit_transform([path])
