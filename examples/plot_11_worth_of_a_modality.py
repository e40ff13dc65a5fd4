"""
=======================
The worth of a modality
=======================

Which view would be missed most, which could be saved? The Shapley value shares the
score of a model out among the modalities: what each adds, averaged over all orders in
which they can be added. The shares add up to the score with all modalities less the
score with none.
"""

# %%
# Two models of one kind of data
# ------------------------------
# Breast cancer data in three views: the mean, the standard error and the worst value
# of ten properties of cell nuclei. Gradient boosted trees take missing values; late
# fusion gives each view models of its own.

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
trees = HistGradientBoostingClassifier(max_iter=50, random_state=0)
models = {
    "Late fusion": LateFusionClassifier(random_state=0),
    "Trees that know gaps": ModalityDropout(trees, n_copies=3, random_state=0),
}

# %%
# Shares with intervals
# ---------------------
# The intervals come from resampling the test rows.

results = {}
for name, model in models.items():
    model.fit(X_train, y_train)
    results[name] = modality_importance(model, X_test, y_test, random_state=0)
    result = results[name]
    gain = result.full_score - result.empty_score
    print(
        f"{name}: {result.empty_score:.3f} with nothing, {result.full_score:.3f} with"
    )
    print(f"  all; the shares add up to {result.importance.sum():.3f} = {gain:.3f}")
    for view, share, (low, high) in zip(
        result.modalities, result.importance, result.interval
    ):
        print(f"  {view:6} {share:6.3f}   from {low:.3f} to {high:.3f}")

# %%
# The picture
# -----------
# Views that say the same share what they say: the mean and the worst value are each
# worth about half of what either is worth alone, and that is not an error. A modality
# with a small share may still be all that is left in some row.

fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for ax, (name, result) in zip(axes, results.items()):
    ModalityImportanceDisplay.from_result(result, ax=ax)
    ax.set_title(name)
plt.show()
