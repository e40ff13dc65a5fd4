"""
===============================================
From four CSV files of patients to a prediction
===============================================

This example predicts a rare class from four files: a clinical form and three assays.
The samples of the files overlap in part, and are in a different order in each file.
Values of -9 mean missing. Sex and a gene variant are words. Several samples come from
one patient.
"""

# %%
# The files
# ---------
# The numeric columns are from the breast cancer data of scikit-learn. The others are
# drawn at random. Each assay has a part of the samples, and 8 % of the labels are
# positive.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skmissing.compose import PerModality, align, from_tables, mark_missing
from skmissing.ensemble import LateFusionClassifier
from skmissing.inspection import MissingPatternDisplay

rng = np.random.default_rng(0)
numbers, benign = load_breast_cancer(return_X_y=True, as_frame=True)
kept = np.r_[np.flatnonzero(benign == 1), np.flatnonzero(benign == 0)[:31]]
numbers = numbers.iloc[kept].set_index("S" + pd.Series(kept).astype(str).str.zfill(3))
numbers.index.name = "sample"
clinic = pd.DataFrame(index=numbers.index)
clinic["patient"] = "P" + pd.Series(
    rng.permutation(len(kept)) // 2, clinic.index
).astype(str)
clinic["sex"] = rng.choice(["f", "m"], len(clinic))
clinic["variant"] = rng.choice(["AA", "AG", "GG"], len(clinic))
clinic["age"] = np.where(
    rng.random(len(clinic)) < 0.2, -9, rng.integers(30, 80, len(clinic))
)
tables = {
    "clinic": clinic,
    "shape": numbers.filter(like="mean "),
    "spread": numbers.filter(like=" error"),
    "extremes": numbers.filter(like="worst "),
}
folder = Path(tempfile.mkdtemp())
for seed, (name, table) in enumerate(tables.items()):
    # The clinical form covers all samples, and each assay two thirds of them.
    share = 1 if name == "clinic" else 2 / 3
    table.sample(frac=share, random_state=seed).to_csv(folder / f"{name}.csv")
malignant = (1 - benign.iloc[kept]).set_axis(numbers.index).rename("malignant")
malignant.to_csv(folder / "outcome.csv")

# %%
# From files to X
# ---------------
# :func:`~skmissing.compose.from_tables` aligns the tables by the id of the sample.
# :func:`~skmissing.compose.mark_missing` replaces the codes by NaN. The patient is not
# a feature, but is used to group the samples.

names = ["clinic", "shape", "spread", "extremes"]
files = {name: pd.read_csv(folder / f"{name}.csv") for name in names}
outcome = pd.read_csv(folder / "outcome.csv")
X, y, report = from_tables(files, on="sample", y=outcome, report=True)
X, codes = mark_missing(X, {"clinic": -9}, report=True)
patient = X.pop("clinic__patient")
print(report, codes, sep="\n")
MissingPatternDisplay.from_data(X)
plt.show()

# %%
# The model
# ---------
# The words of the clinical form are one-hot encoded, only in samples in which the form
# is observed. Late fusion balances the classes.

encode = make_column_transformer(
    (OneHotEncoder(sparse_output=False), make_column_selector("sex|variant")),
    remainder=SimpleImputer(),
    verbose_feature_names_out=False,
)
encoders = dict.fromkeys(names, "passthrough") | {"clinic": encode}
model = make_pipeline(
    PerModality(encoders).set_output(transform="pandas"),
    LateFusionClassifier("linear", class_weight="balanced", random_state=0),
)

# %%
# Cross-validation
# ----------------
# Both samples of a patient are in the same fold.

folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
odds = cross_val_predict(model, X, y, groups=patient, cv=folds, method="predict_proba")[
    :, 1
]
print(f"area under the ROC curve: {roc_auc_score(y, odds):.3f}")
print(f"balanced accuracy: {balanced_accuracy_score(y, odds > 0.5):.3f}")
for name in names[1:]:
    has = (
        report.index
        if name == "clinic"
        else X.filter(like=f"{name}__").notna().any(axis=1)
    )
    print(f"  of samples with {name}: {roc_auc_score(y[has], odds[has]):.3f}")

# %%
# A new patient
# -------------
# Only one assay of this patient is observed. :func:`~skmissing.compose.align` adds the
# other columns.

model.fit(X, y)
new = from_tables({"extremes": files["extremes"].head(1)}, on="sample")
print(
    "probability of the rare class:",
    model.predict_proba(align(new, model))[0, 1].round(2),
)

# %%
# Samples are matched by their ids, samples that are not in a file are missing in X, and
# the same model predicts for a patient with one modality.
