"""TextEncoder against a loop over texts, one by one."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from transformers import AutoModel, AutoTokenizer

from skmissing.encoders import TextEncoder
from tests.encoders.models import make_texts

LOCAL = {"local_files_only": True, "device": "cpu"}
TEXTS = make_texts(13)


def loop(folder, texts, pooling):
    """What transformers says of each text alone."""
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
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
    """Whatever the batch size, an embedding is that of the text alone."""
    folder = model_path(name)
    encoder = TextEncoder(folder, pooling=pooling, batch_size=batch_size, **LOCAL)
    found = encoder.fit_transform(TEXTS)
    assert found.dtype == np.float32
    assert_allclose(found, loop(folder, TEXTS, pooling), atol=1e-5)


def test_order_does_not_matter(model_path):
    """Rows in another order give the same rows in that order."""
    encoder = TextEncoder(model_path("bert"), batch_size=5, **LOCAL)
    order = np.random.RandomState(0).permutation(len(TEXTS))
    expected = encoder.fit_transform(TEXTS)[order]
    found = encoder.transform([TEXTS[i] for i in order])
    assert_allclose(found, expected, atol=1e-5)


MISSING = [None, float("nan"), np.nan, "", "  "]


@pytest.mark.parametrize("missing", MISSING)
def test_missing_text_is_a_row_of_nan(model_path, missing):
    """A missing text becomes NaN, and the others are what they are without it."""
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    alone = encoder.fit_transform(TEXTS[:2])
    found = encoder.transform([TEXTS[0], missing, TEXTS[1], missing])
    assert np.isnan(found[[1, 3]]).all()
    assert_allclose(found[[0, 2]], alone, atol=1e-6)


def test_all_missing(model_path):
    """A column with nothing in it needs no weights, and has the right width."""
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    found = encoder.fit_transform([None, None])
    assert found.shape == (2, 16)
    assert np.isnan(found).all()
    assert encoder.transform([]).shape == (0, 16)


def test_empty_text_can_be_encoded(model_path):
    """By choice, an empty text is one."""
    encoder = TextEncoder(model_path("bert"), empty_is_missing=False, **LOCAL)
    assert_allclose(
        encoder.fit_transform([""]), loop(model_path("bert"), [""], "cls"), atol=1e-5
    )


def test_tokens(model_path):
    """pooling=None gives the first tokens, NaN beyond the last of a text."""
    folder, texts = model_path("bert"), ["cat", "the cat sat on the mat"]
    encoder = TextEncoder(folder, pooling=None, max_tokens=5, **LOCAL)
    found = encoder.fit_transform(texts).reshape(2, 5, 16)
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for row, text in zip(found, texts):
        with torch.no_grad():
            inputs = tokenizer(text, return_tensors="pt")
            hidden = model(**inputs).last_hidden_state[0, :5].numpy()
        assert_allclose(row[: len(hidden)], hidden, atol=1e-5)
        assert np.isnan(row[len(hidden) :]).all()
    assert len(encoder.get_feature_names_out()) == 80
    assert encoder.get_feature_names_out()[16] == "text__1_00"


def test_tokens_need_a_number(model_path):
    """pooling=None without max_tokens is refused."""
    with pytest.raises(ValueError, match="needs max_tokens"):
        TextEncoder(model_path("bert"), pooling=None, **LOCAL).fit(TEXTS)


def test_normalize(model_path):
    """Embeddings have length 1, and the direction they have without."""
    plain = TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    unit = TextEncoder(model_path("bert"), normalize=True, **LOCAL).fit_transform(TEXTS)
    assert_allclose(unit, plain / np.linalg.norm(plain, axis=1)[:, None], atol=1e-5)


def test_long_texts_are_cut_with_a_warning(model_path):
    """What the model cannot take is told, unless max_length accepts it."""
    long = " ".join(["cat"] * 30)
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    with pytest.warns(UserWarning, match="1 texts are longer than the 24 tokens"):
        cut = encoder.fit_transform([long, "dog"])
    accepted = TextEncoder(model_path("bert"), max_length=24, **LOCAL)
    assert_array_equal(accepted.fit_transform([long, "dog"]), cut)
    same = encoder.transform([" ".join(["cat"] * 22)])
    assert_allclose(cut[0], same[0], atol=1e-5)


def test_max_length_beyond_the_model(model_path):
    """max_length cannot be more than the model takes."""
    with pytest.raises(ValueError, match="max_length=25 is more than the 24 tokens"):
        TextEncoder(model_path("bert"), max_length=25, **LOCAL).fit(TEXTS)


def test_wrong_type_in_the_column(model_path):
    """A number among texts is an error that names the row."""
    encoder = TextEncoder(model_path("bert"), **LOCAL).fit(TEXTS)
    with pytest.raises(TypeError, match="row 1 of X must be a str.*got 3 of type int"):
        encoder.transform(["cat", 3])


@pytest.mark.parametrize(
    "name, taken", [("resnet", "pixel"), ("wavlm", "input_values")]
)
def test_model_without_text_tower(model_path, name, taken):
    """A model of images or sound is refused with what it takes."""
    with pytest.raises(ValueError, match=f"takes {taken}.*: it has no text tower"):
        TextEncoder(model_path(name), **LOCAL).fit(TEXTS)


def test_model_without_class_token(model_path, tmp_path):
    """pooling="cls" needs a token that sums up the text."""
    from tests.encoders.models import make_bert, make_tokenizer

    make_bert(tmp_path)
    make_tokenizer(24, "[CLS]", "[SEP]").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no token that sums up a text"):
        TextEncoder(tmp_path, **LOCAL).fit_transform(TEXTS)


def test_unknown_pooling(model_path):
    """The error lists what pooling may be."""
    with pytest.raises(ValueError, match="The 'pooling' parameter of TextEncoder"):
        TextEncoder(model_path("bert"), pooling="median", **LOCAL).fit(TEXTS)
    with pytest.raises(ValueError, match="The 'pooling' parameter of TextEncoder"):
        TextEncoder(model_path("bert"), pooling="median", **LOCAL).transform(TEXTS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(model_path, dtype):
    """The output is float32, and near that of full precision."""
    full = TextEncoder(model_path("bert"), **LOCAL).fit_transform(TEXTS)
    half = TextEncoder(model_path("bert"), dtype=dtype, **LOCAL).fit_transform(TEXTS)
    assert half.dtype == np.float32
    assert_allclose(half, full, atol=0.2)
    assert not np.array_equal(half, full)


def test_random_weights_are_told(tmp_path):
    """A checkpoint that lacks weights is not used without a word."""
    from safetensors.torch import load_file, save_file

    from tests.encoders.models import make_bert

    make_bert(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    state = {k: v for k, v in state.items() if "layer.1.output.dense" not in k}
    save_file(state, file, metadata={"format": "pt"})
    with pytest.warns(UserWarning, match="lacks 2 of its weights.*random numbers"):
        TextEncoder(tmp_path, **LOCAL).fit_transform(["cat"])


def test_positions_that_padding_takes():
    """RoBERTa has 514 positions and takes 512 tokens."""
    from transformers import BertConfig, RobertaConfig

    from skmissing.encoders._text import most_tokens

    assert most_tokens(RobertaConfig(max_position_embeddings=514)) == 512
    assert most_tokens(BertConfig(max_position_embeddings=512)) == 512
