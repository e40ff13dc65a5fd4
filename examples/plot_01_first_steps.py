"""
==========================================
First steps: from gaps to a tuned pipeline
==========================================

Handwritten digits are described by four modalities: their pixels, the magnitudes of
their Fourier transform, histograms of their gradients, and the profiles of rows and
columns. Half of the modalities are then hidden.
:class:`~skmissing.ensemble.LateFusionClassifier` is fitted first. It is compared with a
pipeline of :class:`~skmissing.impute.ClusterGuidedImputer` and
:class:`~skmissing.fusion.MHSAFusionClassifier`, tuned by cross-validation, and with
simpler methods. There are two regimes in the literature: modalities are missing at test
time only, or in training, too.
"""

# %%
# The data
# --------
# X is one table of floats. A modality is a group of columns that share a prefix.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.fusion import MHSAFusionClassifier, make_ul4m4
from skmissing.simulate import ampute

X, y = load_digits_views(return_X_y=True, as_frame=True)
X = X.astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
regimes = {
    "missing at test only": X_train,
    "missing in training too": ampute(X_train, 0.5, random_state=1),
}
X_test = ampute(X_test, 0.5, random_state=2)
print(X_test.iloc[:4, [0, 1, 64, 65, 104, 105, -2, -1]].round(1))

# %%
# Start with this
# ---------------
# :class:`~skmissing.ensemble.LateFusionClassifier` has several models per modality: a
# linear model, a kernel and trees. It weights them by their predictions of held-out
# samples, and combines the predictions of the observed modalities. Nothing is imputed.
# The accuracy is in the table below, and these are the losses on held-out samples:

scores = {"late fusion": []}
for rows in regimes.values():
    late = LateFusionClassifier(random_state=0).fit(rows, y_train)
    scores["late fusion"].append(late.score(X_test, y_test))
print("held-out log-loss")
for name, losses in late.oof_scores_.members.items():
    print(f"  {name:9}", {k: round(v, 2) for k, v in losses.items()})

# %%
# Tune a pipeline
# ---------------
# :func:`~skmissing.fusion.make_ul4m4` is a pipeline of the two steps of UL4M4. Its
# imputer imputes averages of the centres (``"soft"``) instead of using the rule of the
# paper, ``"greedy"``, which is the default of `make_ul4m4`. The number of centres is
# searched. The search needs samples with missing modalities: with complete ones, there
# is nothing to impute, and all imputers are equally good.

network = {"lr": 2e-3, "max_epochs": 15, "random_state": 0}
search = GridSearchCV(
    make_ul4m4("classification", strategy="soft", **network),
    {"clusterguidedimputer__n_clusters": [40, 200]},
    cv=2,
    refit=False,
)
search.fit(regimes["missing in training too"], y_train)
print(search.best_params_)

# %%
# The other models
# ----------------
# The same network follows imputation by the mean and by neighbours. With
# ``missing="mask"``, its default, the network needs no imputer: missing modalities get
# no attention. By default, it also hides modalities in training
# (``modality_dropout``).

widths = X.columns.str.split("__").str[0].value_counts(sort=False).tolist()


def after(imputer):
    """Return a pipeline of an imputer of scikit-learn and the network."""
    fusion = MHSAFusionClassifier(modalities=widths, modality_dropout=0, **network)
    return make_pipeline(imputer, fusion)


models = {
    "column mean": after(SimpleImputer()),
    "KNNImputer": after(KNNImputer()),
    "make_ul4m4, tuned": search.estimator.set_params(**search.best_params_),
    "mask, no imputation": MHSAFusionClassifier(**network),
}
for name, model in models.items():
    scores[name] = [
        model.fit(rows, y_train).score(X_test, y_test) for rows in regimes.values()
    ]

print(f"\n{'accuracy':22}" + "".join(f"{regime:>25}" for regime in regimes))
for name, row in scores.items():
    print(f"{name:22}" + "".join(f"{score:25.3f}" for score in row))

# %%
# The picture
# -----------

fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
places = np.arange(len(scores))
ax.hlines(places, *np.array(list(scores.values())).T, color="0.8", lw=2, zorder=0)
for i, (regime, color) in enumerate(zip(regimes, ["#0072B2", "#D55E00"])):
    values = [row[i] for row in scores.values()]
    ax.scatter(values, places, s=60, label=regime, color=color)
ax.set(yticks=places, yticklabels=scores, xlabel="Test accuracy")
ax.set_title("Digits, half of the modalities missing")
ax.grid(axis="x", alpha=0.3)
ax.margins(y=0.2)
ax.invert_yaxis()
fig.legend(loc="outside lower center", ncols=2, frameon=False)
folder = Path("docs/images")
if folder.is_dir():  # the picture of the README
    fig.savefig(folder / "first_steps.png", dpi=120)
plt.show()

# %%
# Late fusion is best in both regimes. If the training samples are complete, neighbours
# and clusters are almost as good, and mean imputation is far behind. Mean imputation is
# better if modalities are missing in training, too, because the network has then seen
# imputed samples.
