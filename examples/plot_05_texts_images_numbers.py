"""
====================================
Texts, images and numbers in a model
====================================

A data frame has a column of texts, a column of images and two columns of numbers, and
each of the three is missing in some samples. Frozen encoders turn texts and images into
columns, and late fusion uses the observed modalities of each sample. The encoders are
tiny models with random weights. They are made below, so that nothing is downloaded.
Replace the two folders by the names of models, such as
``"sentence-transformers/all-MiniLM-L6-v2"`` and ``"openai/clip-vit-base-patch32"``.
This example needs the extras ``encoders``, ``datasets`` and ``plot``.
"""

# %%
# Two tiny models
# ---------------

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTModel,
)
from transformers.utils import logging

from skmissing.encoders import ImageEncoder, TextEncoder
from skmissing.ensemble import LateFusionClassifier
from skmissing.inspection import score_by_pattern

folder = Path(tempfile.mkdtemp())
words = "[PAD] [UNK] [CLS] [SEP] a red green blue small large shape picture of".split()
sizes = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.5,
}
torch.manual_seed(0)
logging.disable_progress_bar()
tokenizer = Tokenizer(
    models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
)
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer,
    pad_token="[PAD]",
    unk_token="[UNK]",
    model_max_length=16,
).save_pretrained(folder / "text")
config = BertConfig(vocab_size=len(words), max_position_embeddings=16, **sizes)
BertModel(config).save_pretrained(folder / "text")
ViTModel(ViTConfig(image_size=16, patch_size=8, **sizes)).save_pretrained(
    folder / "image"
)
processor = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 16, "width": 16},
}
_ = (folder / "image" / "preprocessor_config.json").write_text(json.dumps(processor))

# %%
# The data
# --------
# The class is a colour. The text names it in two of three samples, the image shows it,
# and the numbers depend on it a little. Each modality is missing in a third of the
# samples.

rng = np.random.default_rng(0)
colours = ["red", "green", "blue"]
y = rng.integers(3, size=240)
rows = []
for number in y:
    pixels = rng.integers(0, 160, size=(16, 16, 3))
    pixels[4:12, 4:12, number] += 95
    colour = colours[number] if rng.random() < 2 / 3 else rng.choice(colours)
    size = rng.choice(["small", "large"])
    rows.append(
        {
            "caption": f"a picture of a {size} {colour} shape",
            "picture": Image.fromarray(pixels.astype(np.uint8)),
            "width": number + rng.normal(),
            "height": rng.normal() - number,
        }
    )
data = pd.DataFrame(rows)
for columns in (["caption"], ["picture"], ["width", "height"]):
    data.loc[rng.random(len(data)) < 1 / 3, columns] = None
some = data.notna().any(axis=1)
data, y = data[some], y[some]
print(data.head())

# %%
# The pipeline
# ------------
# The names of the steps become the names of the modalities.

local = {"local_files_only": True}
encode = ColumnTransformer(
    [
        ("text", TextEncoder(str(folder / "text"), pooling="mean", **local), "caption"),
        ("image", ImageEncoder(str(folder / "image"), **local), "picture"),
        ("numbers", "passthrough", ["width", "height"]),
    ]
).set_output(transform="pandas")
model = make_pipeline(encode, LateFusionClassifier(random_state=0))
train, test, y_train, y_test = train_test_split(data, y, random_state=0)
model.fit(train, y_train)
print(model[-1].modalities_)

# %%
# Score by pattern
# ----------------
# The accuracy depends on the modalities of the sample.

scores = score_by_pattern(model[-1], encode.transform(test), y_test, as_frame=True)
print(scores)
scores.score.plot.barh(xlabel="accuracy", figsize=(6.5, 3)).invert_yaxis()
plt.tight_layout()
plt.show()

# %%
# Single texts predict most, and single numbers least. No sample was left out, and
# nothing was imputed.
