"""TextEncoder with a decoder-only language model."""

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal

from skmissing import ModalityWarning
from skmissing.encoders import TextEncoder
from skmissing.encoders._models import is_decoder_only, load_model
from skmissing.encoders._pooling import pool_tokens

from .models import LOCAL, make_texts

TEXTS = make_texts(13)


def loop(folder, texts, pooling):
    """Encode texts one by one, without padding."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).model.eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        with torch.no_grad():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            hidden = model(ids).last_hidden_state[0]
        rows.append(hidden[-1] if pooling == "last" else hidden.mean(dim=0))
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("pooling", ["auto", "last", "mean"])
@pytest.mark.parametrize("batch_size", [4, 64])
def test_equals_a_plain_loop(model_path, pooling, batch_size):
    folder = model_path("llama")
    encoder = TextEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    expected = loop(folder, TEXTS, pooling.replace("auto", "last"))
    assert_allclose(encoder.fit_transform(TEXTS), expected, atol=1e-5)


def test_last_token_with_padding_on_either_side():
    """Padding is infinite, so that any use of it shows."""
    hidden = torch.arange(24.0).reshape(3, 4, 2)
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=torch.bool)
    hidden[~mask] = float("inf")
    found = pool_tokens(hidden, mask, "last")
    assert_array_equal(found, [[2, 3], [14, 15], [22, 23]])


@pytest.mark.parametrize("pooling", ["auto", "mean"])
def test_template(model_path, pooling):
    template = "a big {text} hill {text} {then}"
    texts = [*make_texts(6, longest=8), "{text} cat"]
    encoder = TextEncoder(
        model_path("llama"), pooling=pooling, template=template, **LOCAL
    )
    filled = [f"a big {text} hill {text} {{then}}" for text in texts]
    expected = loop(model_path("llama"), filled, pooling.replace("auto", "last"))
    found = encoder.fit_transform([*texts, None])
    assert_allclose(found[:-1], expected, atol=1e-5)
    assert np.isnan(found[-1]).all()


def test_truncation_keeps_the_template(model_path, capsys):
    """The words after the text stay, because the last token is the embedding."""
    folder, text = model_path("llama"), " ".join(["cat dog"] * 20)
    encoder = TextEncoder(folder, template="the {text} ran on", **LOCAL)
    expected = loop(folder, ["the" + " cat dog" * 10 + " cat ran on"], "last")
    with pytest.warns(ModalityWarning, match="1 text is longer than the 24 tokens"):
        found = encoder.fit_transform([text, "hill"])
    assert not capsys.readouterr().err  # from transformers
    assert_allclose(found[:1], expected, atol=1e-5)
    encoder.set_params(max_length=5)
    expected = loop(folder, ["the cat dog ran on", "the hill ran on"], "last")
    assert_allclose(encoder.transform([text, "hill"]), expected, atol=1e-5)


def test_cache_depends_on_the_template(model_path, tmp_path):
    encoder = TextEncoder(model_path("llama"), cache=tmp_path, **LOCAL)
    plain = encoder.fit_transform(TEXTS)
    found = encoder.set_params(template="{text} ran").transform(TEXTS)
    assert abs(found - plain).max() > 0.01


def test_wrong_templates(model_path):
    encoder = TextEncoder(model_path("llama"), template="a {review}", **LOCAL)
    with pytest.raises(ValueError, match=r"must contain '\{text\}'; got 'a \{review"):
        encoder.fit(TEXTS)
    encoder.set_params(template="{text} the cat", max_length=2)
    with pytest.raises(ValueError, match="must leave room for a text in the 2 tokens"):
        encoder.fit_transform(TEXTS)


def test_class_token_of_a_decoder(model_path):
    encoder = TextEncoder(model_path("llama"), pooling="cls", **LOCAL)
    with pytest.raises(ValueError, match="choose pooling='mean' or 'last'"):
        encoder.fit_transform(TEXTS)


def test_kinds_of_models():
    decoders = ("GPT2Config", "LlamaConfig", "Qwen2Config", "MambaConfig")
    others = ("BertConfig", "RobertaConfig", "T5Config", "BartConfig", "CLIPConfig")
    for name in (*decoders, *others):
        config = getattr(transformers, name)()
        assert is_decoder_only(config) == (name in decoders), name


def test_no_cache_of_keys_and_values(model_path):
    """The model returns no keys and values, which only generation needs."""
    encoder = TextEncoder(model_path("llama"), **LOCAL).fit(TEXTS)
    model = load_model(encoder._spec(encoder.revision_), "cpu", "float32")
    assert model(torch.tensor([[4, 5]])).past_key_values is None
