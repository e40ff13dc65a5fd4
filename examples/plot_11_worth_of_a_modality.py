"""
=======================
The worth of a modality
=======================

Which modality is needed most, and which could be left out? The Shapley value of a
modality is the gain of the score when it is added, averaged over all orders of adding
modalities. The values sum to the score with all modalities minus the score with none.
"""

# %%
# Two models of one kind of data
# ------------------------------
# The breast cancer data have three modalities: the mean, the standard error and the
# worst value of ten properties of cell nuclei. Late fusion has one linear model per
# modality. Gradient boosted trees accept missing values, and are trained with hidden
# modalities.

import matplotlib.pyplot as plt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

from skmissing.datasets import load_breast_cancer_views
from skmissing.ensemble import LateFusionClassifier, ModalityDropout
from skmissing.inspection import ModalityImportanceDisplay, modality_importance

X, y = load_breast_cancer_views(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.5, stratify=y, random_state=0
)
trees = HistGradientBoostingClassifier(max_iter=30, random_state=0)
models = {
    "Late fusion": LateFusionClassifier("linear", random_state=0),
    "Trees with dropout": ModalityDropout(trees, n_copies=3, random_state=0),
}

# %%
# Values with intervals
# ---------------------
# The intervals are from 50 resamples of the test samples. Take more, such as the
# default of 200, if you publish them.

results = {}
for name, model in models.items():
    model.fit(X_train, y_train)
    results[name] = modality_importance(
        model, X_test, y_test, n_bootstraps=50, random_state=0
    )
    result = results[name]
    gain = result.full_score - result.empty_score
    print(f"{name}: {result.empty_score:.3f} without, {result.full_score:.3f} with all")
    print(f"  sum of the values: {result.importance.sum():.3f} = {gain:.3f}")
    for modality, value, (low, high) in zip(
        result.modalities, result.importance, result.interval
    ):
        print(f"  {modality:6} {value:6.3f}   from {low:.3f} to {high:.3f}")

# %%
# The picture
# -----------

fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for ax, (name, result) in zip(axes, results.items()):
    ModalityImportanceDisplay.from_result(result, ax=ax)
    ax.set_title(name)
plt.show()

# %%
# The worst value is needed most, and the standard error least. The mean and the worst
# value are similar, and share their worth: each gets about half of what either would
# get alone. A modality with a small value may still be the only observed one of a
# sample.
