"""
=========================================
What each part of the projection brings
=========================================

Masked modality projection is modality dropout, a projector that estimates what is
hidden, and a loss that draws the estimates to the real tokens. Its paper adds these one
by one. Here the same ladder is climbed on handwritten digits in four views, by
parameters of one class, and each rung is scored on every combination of views.
"""

# %%
# The rungs
# ---------
# Half of the rows train, all of them complete. The first network never saw a gap.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmissing.datasets import load_digits_views
from skmissing.fusion import MMPClassifier
from skmissing.inspection import score_by_pattern

X, y = load_digits_views(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, test_size=600, stratify=y, random_state=0
)
rungs = {
    "no gaps in training": {"projector": "none", "modality_dropout": 0},
    "modality dropout": {"projector": "none"},
    "+ linear projection": {"projector": "linear", "alignment_weight": 0},
    "+ alignment": {"projector": "linear"},
    "+ cross-attention": {"projector": "cross_attention"},
}
models, tables = {}, {}
for name, params in rungs.items():
    model = MMPClassifier(max_epochs=40, random_state=0, **params)
    models[name] = model.fit(X_train, y_train)
    tables[name] = score_by_pattern(model, X_test, y_test)

# %%
# Score by pattern
# ----------------
# Without gaps in training the network is lost as soon as a view is missing. Dropout
# mends that. What is built upon it matters far less.

patterns = tables["modality dropout"].pattern
fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
for i, (name, table) in enumerate(tables.items()):
    ax.plot(
        table.score,
        np.arange(len(patterns)) + 0.12 * (i - 2),
        "o",
        ms=5,
        alpha=0.8,
        label=f"{name}: mean {table.score.mean():.3f}",
    )
ax.set_yticks(np.arange(len(patterns)), patterns)
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.set_xlabel("accuracy")
ax.set_ylabel("views that are there")
fig.legend(loc="outside upper center", ncols=3, fontsize="small")
plt.show()

# %%
# By the number of views, as a table. One split and one start a rung: differences of a
# hundredth are noise.

sizes = tables["modality dropout"].n_modalities
print(f"{'views':20}" + "".join(f"{n:>8}" for n in (4, 3, 2, 1)))
for name, table in tables.items():
    means = [table.score[sizes == n].mean() for n in (4, 3, 2, 1)]
    print(f"{name:20}" + "".join(f"{mean:8.3f}" for mean in means))

# %%
# How good are the estimates?
# ---------------------------
# ``project`` estimates each view from the three others, ``embed`` shows the real
# tokens. Alignment makes the two alike; without it the projector makes whatever helps
# to tell the digits apart.

for name in ("+ linear projection", "+ alignment", "+ cross-attention"):
    made, real = models[name].project(X_test), models[name].embed(X_test)
    line = []
    for view in made:
        a, b = made[view][:, 0], real[view][:, 0]
        scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        line.append(f"{view} {np.mean((a * b).sum(axis=1) / scale):.2f}")
    print(f"{name:20} cosine with the real tokens: " + ", ".join(line))
