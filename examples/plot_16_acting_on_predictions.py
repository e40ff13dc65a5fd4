"""
=====================
Acting on predictions
=====================

A prediction alone does not say whether to act on it. This example classifies tumours of
which some measurements are missing. It returns sets of classes that contain the right
one with a chosen probability, abstains from difficult samples, and says what to measure
next.
"""

# %%
# Tumours with missing measurements
# ---------------------------------
# The modalities are means, errors and worst values of ten measurements. Forty percent
# of them are hidden. In practice, the hidden values of the test samples are not known.
# Here, they are kept to see what measuring them is worth.

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from skmissing.conformal import (
    AbstainingClassifier,
    AcquisitionDisplay,
    PatternConformalClassifier,
    acquisition_value,
    coverage_by_pattern,
    rank_acquisitions,
)
from skmissing.datasets import load_breast_cancer_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import FactorImputer
from skmissing.simulate import ampute

complete, y = load_breast_cancer_views(return_X_y=True, as_frame=True)
complete, complete_test, y, y_test = train_test_split(
    complete, y, test_size=0.5, stratify=y, random_state=0
)
X = ampute(complete, 0.4, random_state=0)
X_test = ampute(complete_test, 0.4, random_state=1)

# %%
# Sets of classes
# ---------------
# The sets contain the class of 95 % of the samples, for each pattern of observed
# modalities. A set with both classes says that the observed modalities do not suffice.

model = LateFusionClassifier("linear")
conformal = PatternConformalClassifier(model, confidence=0.95).fit(X, y)
result = coverage_by_pattern(conformal, X_test, y_test)
for i, name in enumerate(result.pattern):
    print(
        f"{name:24}{result.n_samples[i]:4} samples, {result.coverage[i]:.2f} covered, "
        f"{result.mean_size[i]:.2f} classes"
    )

# %%
# Abstention
# ----------
# The classifier abstains if an error is expected to cost more than a second opinion,
# which costs a tenth of an error here.

abstaining = AbstainingClassifier(model, cost=0.1).fit(X, y)
answers = abstaining.predict(X_test, reject="abstain")
print(
    f"accuracy without abstention: {(abstaining.predict(X_test) == y_test).mean():.3f}"
)
print(
    f"accuracy of the {answers.count()} of {len(answers)} answers: "
    f"{(answers == y_test).mean():.3f}"
)

# %%
# What to measure next
# --------------------
# Each missing modality is drawn several times from its distribution given the observed
# ones. The more the prediction changes, the more the modality is worth.

imputer = FactorImputer(random_state=0).fit(X)
values = acquisition_value(model.fit(X, y), imputer, X_test, random_state=0)
AcquisitionDisplay.from_result(values)
plt.show()

# %%
# The most valuable fifth of the missing modalities is measured.

ranked = rank_acquisitions(values, budget=0.2)
measured = X_test.copy()
for sample, name in zip(ranked.sample, ranked.modality):
    columns = model.modalities_[name].columns
    measured.iloc[sample, columns] = complete_test.iloc[sample, columns]
for name, samples in (
    ("before", X_test), ("a fifth measured", measured), ("all measured", complete_test)
):  # fmt: skip
    print(f"accuracy, {name}: {model.score(samples, y_test):.3f}")

# %%
# About 95 % of the samples of most patterns are covered; patterns with few samples vary
# by chance. The 62 samples without an answer had most of the errors. Measuring a fifth
# of the missing modalities gains almost as much as measuring all of them.
