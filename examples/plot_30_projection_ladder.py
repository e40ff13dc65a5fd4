"""
=======================================
The parts of masked modality projection
=======================================

Masked modality projection has three parts: modality dropout, a projector that estimates
the tokens of missing modalities, and a loss that aligns the estimates with the real
tokens. The paper adds these parts one by one. This example does the same on handwritten
digits in four modalities, with parameters of one class, and scores each network on
every combination of modalities.
"""

# %%
# Five networks
# -------------
# The training samples are complete. The first network is trained without missing
# modalities.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmissing.datasets import load_digits_views
from skmissing.fusion import MMPClassifier
from skmissing.inspection import score_by_pattern

X, y = load_digits_views(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=400, test_size=400, stratify=y, random_state=0
)
variants = {
    "no dropout": {"projector": "none", "modality_dropout": 0},
    "modality dropout": {"projector": "none"},
    "+ linear projection": {"projector": "linear", "alignment_weight": 0},
    "+ alignment": {"projector": "linear"},
    "+ cross-attention": {"projector": "cross_attention"},
}
models, tables = {}, {}
for name, params in variants.items():
    model = MMPClassifier(max_epochs=30, random_state=0, **params)
    models[name] = model.fit(X_train, y_train)
    tables[name] = score_by_pattern(model, X_test, y_test)

# %%
# Score by pattern
# ----------------
# Without dropout, the network fails as soon as a modality is missing. With dropout, it
# does not. The other parts matter less.

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
ax.set_ylabel("observed modalities")
fig.legend(loc="outside upper center", ncols=3, fontsize="small")
plt.show()

# %%
# The mean scores per number of observed modalities. There is only one split and one
# start per network, so differences of .01 are noise.

sizes = tables["modality dropout"].n_modalities
print(f"{'modalities':20}" + "".join(f"{n:>8}" for n in (4, 3, 2, 1)))
for name, table in tables.items():
    means = [table.score[sizes == n].mean() for n in (4, 3, 2, 1)]
    print(f"{name:20}" + "".join(f"{mean:8.3f}" for mean in means))

# %%
# How good are the estimates?
# ---------------------------
# ``project`` estimates each modality from the three others, and ``embed`` returns the
# real tokens.

for name in ("+ linear projection", "+ alignment", "+ cross-attention"):
    made, real = models[name].project(X_test), models[name].embed(X_test)
    line = []
    for modality in made:
        a, b = made[modality][:, 0], real[modality][:, 0]
        scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        line.append(f"{modality} {np.mean((a * b).sum(axis=1) / scale):.2f}")
    print(f"{name:20} cosine with the real tokens: " + ", ".join(line))

# %%
# Modality dropout brings nearly all of the gain. The projector adds to it with one
# observed modality only. Alignment makes estimates and real tokens similar, but does
# not improve the predictions here.
