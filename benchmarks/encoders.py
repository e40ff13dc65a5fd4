"""Compare TextEncoder with a plain loop over batches in the order of the samples.

The weights are random: a BERT of 4 layers and 256 columns, made from a configuration.
"""

import tempfile

import numpy as np
import torch
from _harness import compare
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from skmissing.encoders import TextEncoder

BATCH = 32
N_WORDS = 1000


def make_model(folder):
    """Write a model and a tokenizer of the words w0, w1, ... to a folder."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=N_WORDS + 4,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
    )
    BertModel(config).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(N_WORDS))]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)


def make_texts(lengths, seed=0):
    """Make texts of random words."""
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{w}" for w in rng.integers(N_WORDS, size=n)) for n in lengths]


def plain_loop(model, tokenizer, texts):
    """Encode batches in the order of the samples."""
    rows = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        inputs = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            rows.append(model(**inputs).last_hidden_state[:, 0].numpy())
    return np.concatenate(rows)


def main():
    logging.disable_progress_bar()
    rng = np.random.default_rng(0)
    skewed = np.clip(rng.lognormal(3, 1, size=128).astype(int), 3, 400)
    cases = [
        ("equal lengths", make_texts(np.full(128, 48)), 1 / 0.95, "48 words each"),
        (
            "skewed lengths",
            make_texts(skewed),
            1 / 1.5,
            f"{skewed.min()} to {skewed.max()} words, median {np.median(skewed):.0f}",
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder)
        encoder = TextEncoder(
            folder, batch_size=BATCH, device="cpu", local_files_only=True
        )
        model = AutoModel.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for name, texts, target, lengths in cases:
            encoder.fit(texts)
            expected = plain_loop(model, tokenizer, texts)
            np.testing.assert_allclose(encoder.transform(texts), expected, atol=1e-4)
            compare(
                f"TextEncoder against the plain loop, {name}",
                lambda texts=texts: encoder.transform(texts),
                lambda texts=texts: plain_loop(model, tokenizer, texts),
                target=target,
                shape=f"128 texts, {lengths}, batches of {BATCH}",
            )


if __name__ == "__main__":
    main()
