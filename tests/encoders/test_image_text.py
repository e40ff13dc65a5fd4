"""Compare ImageTextEncoder with a loop over samples, one by one."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.utils import get_tags

from skmissing import ModalityWarning
from skmissing.encoders import ImageTextEncoder

from .models import LOCAL, WORDS, make_images, make_texts

if transformers.LlavaConfig not in transformers.MODEL_MAPPING:
    pytest.skip("needs transformers 5", allow_module_level=True)

PROMPT = "the small hill"
IMAGES = make_images(4)
TEXTS = make_texts(4, longest=8)
SAMPLES = [
    (IMAGES[0], TEXTS[0]),
    (None, TEXTS[1]),
    (IMAGES[1], None),
    (IMAGES[2], TEXTS[2]),
    (None, " "),
    (None, TEXTS[3]),
    (IMAGES[3], TEXTS[0]),
]


def make_encoder(model_path, **params):
    params = {"prompt": PROMPT, **LOCAL, **params}
    return ImageTextEncoder(model_path("llava"), **params)


def loop(folder, samples, pooling="last", prompt=PROMPT):
    """Write the tokens by hand: <start>, four patches, text, prompt, "then"."""
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).model
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)
    numbers = {word: i for i, word in enumerate(["<start>", "<end>", *WORDS], 2)}
    rows = []
    for image, text in samples:
        words = f"{text or ''} {prompt} then".split()
        ids = [2] + [len(WORDS) + 4] * 4 * (image is not None)
        inputs = {"input_ids": torch.tensor([ids + [numbers[w] for w in words]])}
        if image is not None:
            inputs.update(pixels(image, return_tensors="pt"))
        with torch.no_grad():
            hidden = model.eval()(**inputs).last_hidden_state[0]
        rows.append(hidden[-1] if pooling == "last" else hidden.mean(dim=0))
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_equals_a_plain_loop(model_path, pooling, batch_size):
    encoder = make_encoder(model_path, pooling=pooling, batch_size=batch_size)
    found = encoder.fit_transform(SAMPLES)
    assert np.isnan(found[4]).all()
    kept = [i for i in range(len(SAMPLES)) if i != 4]
    expected = loop(model_path("llava"), [SAMPLES[i] for i in kept], pooling)
    assert_allclose(found[kept], expected, atol=1e-5)
    for a, b in [(0, 2), (0, 6)]:  # the image and the text both matter
        assert abs(found[a] - found[b]).max() > 0.01


def test_without_a_prompt(model_path):
    found = make_encoder(model_path, prompt=None).fit_transform(SAMPLES[:3])
    expected = loop(model_path("llava"), SAMPLES[:3], prompt="")
    assert_allclose(found, expected, atol=1e-5)


def test_tables(model_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    from PIL import Image

    images = [None if x is None else Image.fromarray(x) for x, _ in SAMPLES]
    texts = [text for _, text in SAMPLES]
    frame = pd.DataFrame({"photo": images, "review": texts})
    encoder = make_encoder(model_path)
    expected = encoder.fit_transform(SAMPLES)
    assert encoder.n_features_in_ == 2
    assert encoder.get_feature_names_out()[1] == "image_text__01"
    array = np.array(list(zip(images, texts)), dtype=object)
    other = pl.DataFrame({"photo": pl.Series(images, dtype=pl.Object), "review": texts})
    for X in (frame, array, other):
        assert_allclose(encoder.fit_transform(X), expected, atol=1e-5)
    transformer = ColumnTransformer([("post", encoder, ["photo", "review"])])
    found = transformer.set_output(transform="pandas").fit_transform(frame)
    assert_allclose(found, expected, atol=1e-5)
    assert found.columns[1] == "post__photo_review__01"


def test_all_missing(model_path):
    encoder = make_encoder(model_path)
    assert np.isnan(encoder.fit_transform([(None, None), [None, ""]])).all()
    assert encoder.transform([]).shape == (0, 16)
    tags = get_tags(encoder).input_tags
    assert tags.two_d_array and not tags.one_d_array


def test_images_that_cannot_be_read(model_path, tmp_path):
    samples = [(str(tmp_path / "no.png"), "a cat"), (None, "cat \ud83d"), (None, "cat")]
    encoder = make_encoder(model_path)
    with pytest.raises(ValueError, match=r"item 0 of X, .*its image is '.*no.png'"):
        encoder.fit_transform(samples[::2])
    with pytest.raises(ValueError, match="item 0 of X, .*half a character"):
        encoder.fit_transform(samples[1:])
    encoder.set_params(on_error="missing")
    with pytest.warns(ModalityWarning, match="2 of 3 items cannot be encoded"):
        found = encoder.transform(samples)
    assert_array_equal(np.isnan(found).all(axis=1), [True, True, False])


def test_dim_images_warn(model_path):
    image = np.full((16, 16), 900, dtype=np.uint16)
    with pytest.warns(ModalityWarning, match="1 of 2 items of 16 bits"):
        make_encoder(model_path).fit_transform([(image, None), (None, "cat")])


def test_cache(model_path, tmp_path, monkeypatch):
    """A cached embedding is found by image, text and prompt."""
    encoder = make_encoder(model_path, cache=tmp_path)
    expected = encoder.fit_transform(SAMPLES)
    changed = encoder.set_params(prompt="red").transform(SAMPLES[:1])
    assert abs(changed - expected[0]).max() > 0.01
    encoder.set_params(prompt=PROMPT)
    monkeypatch.setattr(ImageTextEncoder, "_encode", None)
    assert_array_equal(encoder.transform(SAMPLES), expected)


WRONG = [
    (["a.png", "b.png"], "must be a table, an array or a list of samples with 2 col"),
    ([("a.png",)], "2 columns: images and texts; got [('a.png',)]"),
    (pd.DataFrame({"a": ["a.png"]}), "images and texts; got the columns ['a']."),
    (np.zeros((2, 3)), "must be a table, an array or a list of samples with 2 col"),
    ([(3, "cat")], "item 0 of X must have a path, bytes, a PIL image, an array as"),
    ([(None, None), (None, 3)], "item 1 of X must have a str as text; got 3 of type"),
]


@pytest.mark.parametrize("X, match", WRONG)
def test_wrong_input(model_path, X, match):
    with pytest.raises((TypeError, ValueError), match=re.escape(match)):
        make_encoder(model_path).fit(X)


@pytest.mark.parametrize("name", ["bert", "clip", "llama"])
def test_other_models(model_path, name):
    encoder = ImageTextEncoder(model_path(name), **LOCAL)
    with pytest.raises(ValueError, match="must be a decoder-only language model that"):
        encoder.fit(SAMPLES)


def test_long_message(model_path):
    encoder = make_encoder(model_path)
    with pytest.raises(ValueError, match="at most 30 tokens, .*; got 35. Shorten"):
        encoder.fit_transform([(None, "cat " * 30)])


def test_model_without_a_chat_template(model_path, tmp_path):
    shutil.copytree(model_path("llava"), tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="must have a processor with a chat template"):
        ImageTextEncoder(tmp_path, **LOCAL).fit_transform(SAMPLES)
