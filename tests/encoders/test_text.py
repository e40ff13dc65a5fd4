"""Compare TextEncoder with a loop over texts, one by one."""

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.encoders import TextEncoder
from tests.encoders.models import LOCAL, make_bert, make_texts, make_tokenizer

TEXTS = make_texts(13)


def loop(folder, texts, pooling):
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder, local_files_only=True
    )
    rows = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            if hasattr(model, "get_text_features"):
                if pooling == "cls":
                    rows.append(model.get_text_features(**inputs).pooler_output[0])
                    continue
                hidden = model.text_model(**inputs).last_hidden_state[0]
            else:
                hidden = model(**inputs).last_hidden_state[0]
        if pooling == "cls":
            rows.append(hidden[0])
        elif pooling == "mean":
            rows.append(hidden.mean(dim=0))
        else:
            rows.append(hidden.max(dim=0).values)
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("name", ["bert", "clip"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("batch_size", [4, 64])
def test_equals_a_plain_loop(model_path, name, pooling, batch_size):
    folder = model_path(name)
    encoder = TextEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    found = encoder.fit_transform(TEXTS)
    assert found.dtype == np.float32
    assert_allclose(found, loop(folder, TEXTS, pooling), atol=1e-5)


def test_order_does_not_matter(model_path):
    encoder = TextEncoder(model_path("bert"), batch_size=5, **LOCAL)
    order = np.random.RandomState(0).permutation(len(TEXTS))
    expected = encoder.fit_transform(TEXTS)[order]
    found = encoder.transform([TEXTS[i] for i in order])
    assert_allclose(found, expected, atol=1e-5)


def test_all_missing(model_path):
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    found = encoder.fit_transform([None, None])
    assert found.shape == (2, 16)
    assert np.isnan(found).all()
    assert encoder.transform([]).shape == (0, 16)


def test_empty_text_can_be_encoded(model_path):
    encoder = TextEncoder(model_path("bert"), empty_is_missing=False, **LOCAL)
    assert_allclose(
        encoder.fit_transform([""]), loop(model_path("bert"), [""], "cls"), atol=1e-5
    )


def test_tokens(model_path):
    """pooling=None returns the first tokens, and NaN after the last token."""
    folder, texts = model_path("bert"), ["cat", "the cat sat on the mat"]
    encoder = TextEncoder(folder, pooling=None, max_tokens=5, **LOCAL)
    found = encoder.fit_transform(texts).reshape(2, 5, 16)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for row, text in zip(found, texts):
        with torch.no_grad():
            inputs = tokenizer(text, return_tensors="pt")
            hidden = model(**inputs).last_hidden_state[0, :5].numpy()
        assert_allclose(row[: len(hidden)], hidden, atol=1e-5)
        assert np.isnan(row[len(hidden) :]).all()
    assert len(encoder.get_feature_names_out()) == 80
    assert encoder.get_feature_names_out()[16] == "text__1_00"


def test_normalize(model_path):
    plain = TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    unit = TextEncoder(model_path("bert"), normalize=True, **LOCAL).fit_transform(TEXTS)
    assert_allclose(unit, plain / np.linalg.norm(plain, axis=1)[:, None], atol=1e-5)


def test_long_texts_are_truncated_with_a_warning(model_path):
    long = " ".join(["cat"] * 30)
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    with pytest.warns(UserWarning, match="TextEncoder: 1 texts are longer"):
        cut = encoder.fit_transform([long, "dog"])
    accepted = TextEncoder(model_path("bert"), max_length=24, **LOCAL)
    assert_array_equal(accepted.fit_transform([long, "dog"]), cut)
    same = encoder.transform([" ".join(["cat"] * 22)])
    assert_allclose(cut[0], same[0], atol=1e-5)


def test_max_length_beyond_the_model(model_path):
    with pytest.raises(ValueError, match=r"`max_length=25` must be at most .* \(24\)"):
        TextEncoder(model_path("bert"), max_length=25, **LOCAL).fit(TEXTS)


def test_model_without_class_token(model_path, tmp_path):
    make_bert(tmp_path)
    make_tokenizer(24, "[CLS]", "[SEP]").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="must have a class token for pooling='cls'"):
        TextEncoder(tmp_path, **LOCAL).fit_transform(TEXTS)


def test_unknown_pooling(model_path):
    encoder = TextEncoder(model_path("bert"), pooling="median", **LOCAL)
    for method in (encoder.fit, encoder.transform):
        with pytest.raises(ValueError, match="The 'pooling' parameter of TextEncoder"):
            method(TEXTS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(model_path, dtype):
    full = TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    half = TextEncoder(model_path("bert"), dtype=dtype, **LOCAL).fit_transform(TEXTS)
    assert half.dtype == np.float32
    assert_allclose(half, full, atol=0.2)
    assert not np.array_equal(half, full)


def test_random_weights_warn(tmp_path):
    from safetensors.torch import load_file, save_file

    make_bert(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    state = {k: v for k, v in state.items() if "layer.1.output.dense" not in k}
    save_file(state, file, metadata={"format": "pt"})
    with pytest.warns(UserWarning, match="TextEncoder: 2 weights.*random numbers"):
        TextEncoder(tmp_path, **LOCAL).fit_transform(["cat"])


def test_positions_that_padding_takes():
    from transformers import BertConfig, RobertaConfig

    from skmissing.encoders._text import most_tokens

    assert most_tokens(RobertaConfig(max_position_embeddings=514)) == 512
    assert most_tokens(BertConfig(max_position_embeddings=512)) == 512
