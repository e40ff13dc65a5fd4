"""
==========================================
Sensitivity to the number of clusters
==========================================

UL4M4 imputes missing modalities from the centres of k clusters. Its paper reports that
results are almost the same for k = 40, 70 and 100. This example repeats this with
handwritten digits in four modalities. It compares three ways to use the centres, with
missing modalities at test time only and in training, too.
"""

# %%
# Three ways to impute
# --------------------
# ``"greedy"`` is the algorithm of the paper. ``"nearest"`` copies the nearest centre
# that has the modality. With complete centres, these two are the same. ``"soft"`` is a
# mean of all centres with larger weights for near ones. A linear model is fitted to the
# imputed samples.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.datasets import load_digits_views
from skmissing.impute import ClusterGuidedImputer
from skmissing.inspection import ClusterSensitivityDisplay
from skmissing.simulate import ampute

X, y = load_digits_views(return_X_y=True, as_frame=True)
numbers = [5, 20, 40, 70, 100]
strategies = ["greedy", "nearest", "soft"]


def score(k, strategy, seed, missing_in_training):
    """Return the accuracy with half of the modalities hidden."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=400, test_size=400, stratify=y, random_state=seed
    )
    if missing_in_training:
        X_train = ampute(X_train, 0.5, random_state=seed)
    model = make_pipeline(
        ClusterGuidedImputer(k, strategy=strategy, n_init=1, random_state=seed),
        StandardScaler(),
        LogisticRegression(C=0.05, max_iter=500),
    )
    model.fit(X_train, y_train)
    return model.score(ampute(X_test, 0.5, random_state=seed), y_test)


# %%
# Score against k
# ---------------
# The band is one standard deviation over two splits. The ring marks the best k.

fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
titles = ["Missing at test time only", "Missing in training, too"]
tables = {}
for ax, title, in_training in zip(axes, titles, [False, True]):
    table = np.array(
        [
            [[score(k, s, seed, in_training) for seed in range(2)] for k in numbers]
            for s in strategies
        ]
    )
    ClusterSensitivityDisplay.from_data(
        numbers, table, curve=strategies, score_name="Accuracy", ax=ax
    )
    ax.set_title(title)
    tables[title] = table
plt.show()

# %%
# The same as numbers:

print(f"{'':26}{'strategy':10}" + "".join(f"k = {k:<6}" for k in numbers))
for title, table in tables.items():
    for strategy, scores in zip(strategies, table.mean(axis=2)):
        print(f"{title:26}{strategy:10}" + "".join(f"{s:<10.3f}" for s in scores))

# %%
# With complete training samples, all centres are complete. "greedy" and "nearest" are
# then the same, and the accuracy rises by less than .02 from k = 40 on. With missing
# modalities in training, more clusters have fewer samples each, and more centres have
# missing modalities. "greedy" then prefers centres that share no modality with the
# sample, and gets worse. "soft" is best at every k in both cases.
