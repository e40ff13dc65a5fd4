"""Compare TextEncoder with a loop over texts, one by one."""

import collections
import warnings
from decimal import Decimal

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal
from tokenizers import processors

from skmissing import ModalityWarning
from skmissing.encoders import TextEncoder, _text
from skmissing.encoders._text import valid_text

from .models import LOCAL, WORDS, make_bert, make_texts, make_tokenizer

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
    with pytest.warns(
        UserWarning, match="TextEncoder: 1 text is longer than the 24 tokens"
    ):
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


# ----------------------------------------------------------------------- odd characters


@pytest.mark.parametrize("with_cache", [False, True])
def test_half_a_character_is_a_broken_item(model_path, tmp_path, with_cache):
    """A lone surrogate, as in scraped text, concerns its own row only."""
    texts = ["the cat sat", "the dog \ud83d", None, "\udc00\ud83d", "red \udfff hill"]
    cache = tmp_path if with_cache else None
    encoder = TextEncoder(model_path("bert"), cache=cache, on_error="missing", **LOCAL)
    match = (
        r"3 of 5 items .* item 1, .*: it has half a character, '\\ud83d', at position 8"
    )
    with pytest.warns(ModalityWarning, match=match) as record:
        found = encoder.fit_transform(texts)
    assert len(record) == 1
    assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, True, True])
    assert_allclose(found[0], loop(model_path("bert"), texts[:1], "cls")[0], atol=1e-5)
    with pytest.raises(ValueError, match="item 1 of X, .*half a character"):
        encoder.set_params(on_error="raise").transform(texts)


def test_pairs_of_halves_are_characters():
    assert valid_text("a \ud83d\ude00 b") == "a \U0001f600 b"
    for text in ("a\0b", "\U0010ffff", "\ue000", "\x1b[31m", "\u202ecat"):
        assert valid_text(np.str_(text)) == text


BLANK = [
    "",
    " \t\n",
    "\x00",
    "\x07",
    "\u200b",
    "\u200e\u202e",
    "\ufeff",
    "\xa0",
    "\u3000",
]


def test_invisible_texts_are_missing(model_path):
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    found = encoder.fit_transform([*BLANK, "\u200bcat"])
    assert_array_equal(np.isnan(found).all(axis=1), [True] * len(BLANK) + [False])
    encoder.set_params(empty_is_missing=False)
    found = encoder.transform(BLANK)
    empty = loop(model_path("bert"), [""], "cls")
    assert_allclose(found[:2], np.repeat(empty, 2, axis=0), atol=1e-5)
    assert np.isfinite(found).all()


def test_long_and_unknown_texts(model_path):
    """Texts of other scripts and of a million characters equal a loop."""
    texts = ["\u65e5\u672c\u8a9e cat", "x" * 10**6, "cat\0dog", "e\u0301 \u202ecat"]
    found = TextEncoder(model_path("bert"), **LOCAL).fit_transform(texts)
    assert_allclose(found, loop(model_path("bert"), texts, "cls"), atol=1e-5)


def test_nulls_of_every_library(model_path):
    pd = pytest.importorskip("pandas")
    nulls = [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), pd.NA, pd.NaT]
    nulls += [Decimal("NaN"), np.ma.masked]
    encoder = TextEncoder(model_path("bert"), **LOCAL).fit(["cat"])
    for X in (["cat", *nulls], [["cat"], *([null] for null in nulls)]):
        found = np.isnan(encoder.transform(X)).all(axis=1)
        assert_array_equal(found, [False] + [True] * len(nulls))


def test_columns_of_every_library(model_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    texts = ["the cat", None, "a dog"]
    columns = [
        collections.deque(texts),
        pd.Series(texts, dtype="category"),
        pd.Series(texts, dtype=pd.ArrowDtype(pa.string())).to_frame("a"),
        pd.array(texts, dtype="string"),
        pd.Index(texts),
        pl.Series(texts, dtype=pl.Categorical),
        pa.array(texts),
        pa.chunked_array([texts[:1], texts[1:]]),
        pa.table({"a": texts}),
        np.array(["the cat", np.nan, "a dog"], np.dtypes.StringDType(na_object=np.nan)),
    ]
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    expected = encoder.fit_transform(texts)
    for column in columns:
        assert_array_equal(encoder.fit_transform(column), expected)


def test_written_nulls_warn(model_path):
    encoder = TextEncoder(model_path("bert"), **LOCAL)
    texts = np.array(["cat", np.nan, "nan", None, "NaN"], dtype=object)
    with pytest.warns(ModalityWarning, match="2 of 5 texts are 'nan' or similar"):
        found = encoder.fit_transform(texts)
    assert_array_equal(np.isnan(found).all(axis=1), [False, True, False, True, False])


def test_text_without_tokens(tmp_path):
    make_bert(tmp_path)
    tokenizer = make_tokenizer(24, "[CLS]", "[SEP]")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("$A")
    tokenizer.save_pretrained(tmp_path)
    encoder = TextEncoder(
        tmp_path, pooling="mean", empty_is_missing=False, on_error="missing", **LOCAL
    )
    with pytest.warns(
        ModalityWarning, match="item 0, '': the tokenizer finds no token"
    ):
        found = encoder.fit_transform(["", "cat"])
    assert_array_equal(np.isnan(found).all(axis=1), [True, False])


def test_tokenizer_that_fails_for_one_text(model_path, monkeypatch):
    tokenizer = _text.load_processor

    def fail(spec, name):
        def tokenize(texts, **options):
            if any("dog" in text for text in texts):
                raise RuntimeError("no dogs")
            return plain(texts, **options)

        plain = tokenizer(spec, name)
        tokenize.model_max_length = 24
        tokenize.cls_token_id, tokenize.pad_token_id = 2, 0
        return tokenize

    encoder = TextEncoder(model_path("bert"), on_error="missing", **LOCAL)
    expected = encoder.fit_transform(["cat", None, "hill"])
    monkeypatch.setattr(_text, "load_processor", fail)
    with pytest.warns(
        ModalityWarning, match="1 of 3 items .* item 1, 'a dog': no dogs"
    ):
        found = encoder.transform(["cat", "a dog", "hill"])
    assert_allclose(found, expected, atol=1e-6)


def test_tokenizer_without_a_limit(tmp_path):
    """T5 has relative positions: texts of any length are encoded whole."""
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = transformers.T5Config(vocab_size=len(WORDS) + 4, **sizes)
    transformers.T5Model(config).save_pretrained(tmp_path)
    make_tokenizer(int(1e30), "[CLS]", "[SEP]").save_pretrained(tmp_path)
    encoder = TextEncoder(tmp_path, pooling="mean", **LOCAL)
    text = "cat dog " * 999
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = encoder.fit_transform([text])
    model = transformers.T5EncoderModel.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[2, *[6, 7] * 999, 3]])
    with torch.no_grad():
        expected = model(ids).last_hidden_state[0].mean(dim=0)
    assert_allclose(found[0], expected, atol=1e-4)
