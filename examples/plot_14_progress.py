"""
=====================================
Progress of a search, and of each fit
=====================================

From version 1.9 on, scikit-learn passes the progress of a fit to callbacks. All
estimators of skmissing report to them. Clusterings and mixtures report each run and
iteration, networks each epoch, and ensembles each of their models. This example shows a
progress bar for a grid search, and the scores of a clustering after each iteration.
With earlier versions, it sets the parameter ``verbose`` instead.
"""

# %%
# A progress bar
# --------------
# Handwritten digits are described by four modalities, each of which is missing in half
# of the samples. A search compares numbers of clusters of an imputer. The bar needs the
# package rich. With ``max_propagation_depth=None``, it also shows the steps of each
# pipeline and the iterations of the imputer.

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing import ClusterGuidedImputer, PartialModalityKMeans
from skmissing.datasets import load_digits_views
from skmissing.simulate import ampute

X, y = load_digits_views(return_X_y=True, as_frame=True)
X = ampute(X, 0.5, random_state=0)
model = make_pipeline(
    ClusterGuidedImputer(random_state=0),
    StandardScaler(),
    LogisticRegression(C=0.05, max_iter=500),
)
grid = {"clusterguidedimputer__n_clusters": [5, 20, 80]}
search = GridSearchCV(model, grid, cv=3)
has_callbacks = hasattr(PartialModalityKMeans, "set_callbacks")
if has_callbacks:
    from sklearn.callback import ProgressBar, ScoringMonitor

    search.set_callbacks(ProgressBar(max_propagation_depth=0))
else:
    print("Progress bars need scikit-learn 1.9 or later.")
    search.verbose = 2
search.fit(X, y)
print(search.best_params_, f"accuracy {search.best_score_:.3f}")

# %%
# A score after each iteration
# ----------------------------
# A monitor computes scores of the estimator as it is after each iteration. It passes
# the samples and y, and scikit-learn 1.9 needs a y for it, also if it is not used.
# Three runs from different starts end at different values, and the best one is kept.


def inertia(estimator, X, y):
    return -estimator.score(X)


kmeans = PartialModalityKMeans(10, init="random", n_init=3, random_state=0)
if has_callbacks:
    monitor = ScoringMonitor(scoring={"inertia": inertia})
    kmeans.set_callbacks(monitor)
else:
    kmeans.verbose = 1
kmeans.fit(X, y)
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
if has_callbacks:
    curves = {}
    for entry in monitor.get_logs().data:
        if entry["task_name"] == "iteration":
            curves.setdefault(entry["parent_task_id_path"], []).append(entry["inertia"])
    for number, curve in enumerate(curves.values()):
        ax.plot(range(1, len(curve) + 1), curve, label=f"run {number}")
    ax.legend()
ax.axhline(kmeans.inertia_, color="gray", linestyle=":")
ax.set(xlabel="Iteration", ylabel="Inertia")
plt.show()

# %%
# The search reported its progress. The monitor shows that the inertia decreases most in
# the first iterations of each run.
