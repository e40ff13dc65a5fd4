"""
=============================
Reports by pattern with skore
=============================

`skore <https://docs.skore.probabl.ai>`_ compares models in one call, and collects their
metrics, curves and checks in a report. This example adds a metric that shows the scores
by pattern, that is, by the modalities that a sample has. It needs skore.
"""

# %%
# Two models
# ----------
# Handwritten digits are described by three modalities, each of which is missing in half
# of the samples. One model imputes means. The other combines the predictions of one
# model per modality.

import skore
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.inspection import score_by_pattern
from skmissing.simulate import ampute

skore.configuration.show_progress = False
X, y = load_digits_views(return_X_y=True, as_frame=True)
X = ampute(X.drop(columns=X.filter(like="pixels__")), 0.5, random_state=0)
models = {
    "mean imputation": make_pipeline(
        SimpleImputer(), StandardScaler(), LogisticRegression(C=0.05)
    ),
    "late fusion": LateFusionClassifier("linear", cv=3, random_state=0),
}
comparison = skore.evaluate(models, X, y, splitter=0.4)

# %%
# A metric by pattern
# -------------------
# skore accepts a function that returns a dict of scores, and shows a line per score.
# With ``patterns="observed"``, each line scores the test samples that have exactly
# these modalities.


def accuracy_by_pattern(estimator, X, y):
    result = score_by_pattern(estimator, X, y, patterns="observed")
    return dict(zip(result.pattern, result.score))


comparison.metrics.add(accuracy_by_pattern, position="last")
metrics = ["accuracy", "log_loss", "accuracy_by_pattern"]
print(comparison.metrics.summarize(metric=metrics).frame().round(3))

# %%
# The report of one model
# -----------------------
# The comparison has an `EstimatorReport` per model. The report of late fusion draws the
# confusion matrix and lists the checks that passed. Without ``fast_mode``, skore also
# fits the model to single features, which takes minutes. The check for correlated
# features is left out, because it does not work with missing values.

report = comparison.reports_["late fusion"]
report.metrics.confusion_matrix().plot()
checks = report.checks.summarize(fast_mode=True, ignore=["SKD008"])
print(checks.frame(section="passed").title.tolist())

# %%
# Cross-validation with groups
# ----------------------------
# skore does not pass groups to a splitter, but it accepts a list of splits. Suppose
# that each person wrote 60 digits in a row. The table has the mean and the standard
# deviation over the folds.

persons = [i // 60 for i in range(len(X))]
folds = list(GroupKFold(3).split(X, y, groups=persons))
validation = skore.evaluate(models["late fusion"], X, y, splitter=folds)
validation.metrics.add(accuracy_by_pattern, position="last")
print(validation.metrics.summarize(metric="accuracy_by_pattern").frame().round(3))

# %%
# In a fold, a pattern may have few samples.
# :func:`~skmissing.inspection.score_by_pattern` also scores the samples of all folds
# together. Each sample is then predicted by the model that was not fitted on it.

scores = score_by_pattern(
    [fold.estimator_ for fold in validation.reports_],
    X,
    y,
    test_indices=[test for _, test in validation.split_indices],
    patterns="observed",
    as_frame=True,
)
print(scores.round(3))

# %%
# Late fusion is better by one percentage point on samples with all modalities, and by
# up to four on samples with one. The mean over all samples does not show this.
