"""
==========================
Judging a model by pattern
==========================

What does a model do if a sensor fails? A single score on complete rows does not tell.
Here three models see handwritten digits in four views, and are scored on every
combination of views, first with complete training rows, as most papers do, and then
trained so that they know gaps.
"""

# %%
# The data at a glance
# --------------------
# Half of each view is hidden from the rows that come later. The picture shows which
# views are missing together, and how often.

import matplotlib.pyplot as plt
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier, ModalityDropout
from skmissing.impute import ClusterGuidedImputer
from skmissing.inspection import (
    MissingPatternDisplay,
    RobustnessCurveDisplay,
    score_by_pattern,
)
from skmissing.simulate import ampute

X, y = load_digits_views(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
MissingPatternDisplay.from_data(ampute(X_test, 0.5, random_state=0))
plt.show()

# %%
# Three models
# ------------
# The first fills gaps with the mean, the second from cluster centres; both hand on to
# the same linear model. The third combines the predictions of one linear model per
# view.

linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
models = {
    "mean": make_pipeline(SimpleImputer(keep_empty_features=True), linear),
    "cluster centres": make_pipeline(
        ClusterGuidedImputer(100, strategy="soft", random_state=0), linear
    ),
    "late fusion": LateFusionClassifier("linear"),
}
for model in models.values():
    model.fit(X_train, y_train)

# %%
# One row per pattern
# -------------------
# All test rows are reduced to each combination of views in turn. With everything there
# the models differ little; with one view left they differ a great deal.

tables = {name: score_by_pattern(m, X_test, y_test) for name, m in models.items()}
patterns = tables["mean"].pattern
print(f"{'accuracy on':42}" + "".join(f"{name:>17}" for name in models))
for i, pattern in enumerate(patterns):
    scores = [table.score[i] for table in tables.values()]
    print(f"{pattern:42}" + "".join(f"{score:17.3f}" for score in scores))

# %%
# The curve
# ---------
# The same in one line a model: accuracy against the share of views that are hidden,
# drawn three times.

fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, model in models.items():
    RobustnessCurveDisplay.from_estimator(
        model,
        X_test,
        y_test,
        rates=(0, 0.2, 0.4, 0.6, 0.8),
        n_repeats=3,
        random_state=0,
        name=name,
        ax=ax,
    )
ax.set_title("Trained on complete rows")
plt.show()

# %%
# Training with gaps
# ------------------
# Mean imputation is not hopeless: it was never shown a gap. Trained on the rows and on
# copies of them with views hidden, the same pipeline does much better where views are
# missing, at some cost where all are there.

robust = ModalityDropout(models["mean"], n_copies=2, random_state=0)
robust.fit(X_train, y_train)
after = score_by_pattern(robust, X_test, y_test)
for n in (4, 3, 2, 1):
    rows = after.n_modalities == n
    before = tables["mean"].score[rows].mean()
    print(f"{n} views: {before:.3f}, with dropout {after.score[rows].mean():.3f}")
