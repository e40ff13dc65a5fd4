"""
==============================
Tables of any type, with skrub
==============================

This example predicts a diagnosis from three tables: visits with a date, a ward and an
age, notes in words, and blood values. Notes and blood values are missing for some
patients. `skrub <https://skrub-data.org>`_ converts words, dates and categories to
numbers, and tunes the encoders. The example needs skrub.
"""

# %%
# Three tables
# ------------
# Words of the notes and two blood values depend on the diagnosis.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import skrub
from sklearn.model_selection import StratifiedKFold

from skmissing.compose import PerModality, from_tables
from skmissing.ensemble import LateFusionClassifier
from skmissing.inspection import score_by_pattern

rng = np.random.default_rng(0)
n = 300
patient = np.array([f"P{i:03}" for i in range(n)])
sick = rng.random(n) < 0.4
visits = pd.DataFrame(
    {
        "patient": patient,
        "date": np.datetime64("2025-01-01") + rng.integers(365, size=n),
        "ward": rng.choice(["surgery", "medicine", "neurology"], n),
        "age": rng.integers(20, 90, n) + 5 * sick,
    }
)
calm = ["slept well", "eats again", "no pain", "walks without help", "quiet night"]
ill = ["fever at night", "short of breath", "pain in the chest", "coughs", "confused"]
notes = pd.DataFrame(
    {
        "patient": patient,
        "text": [
            ", ".join(rng.choice(ill if rng.random() < p else calm) for _ in range(3))
            for p in np.where(sick, 0.65, 0.35)
        ],
    }
).sample(frac=0.7, random_state=0)
blood = pd.DataFrame(
    {
        "patient": patient,
        "crp": np.exp(rng.standard_normal(n) + 1.2 * sick),
        "iron": np.where(rng.random(n) < 0.1, np.nan, rng.standard_normal(n)),
        "leucocytes": rng.standard_normal(n) + 0.8 * sick,
    }
).sample(frac=0.6, random_state=1)

# %%
# A look at X
# -----------
# :func:`~skmissing.compose.from_tables` joins the tables by patient. The `TableReport`
# of skrub shows the types of the columns and how many of their cells are missing. By
# default it also draws each column, which takes a few seconds more.

X = from_tables({"visit": visits, "notes": notes, "blood": blood}, on="patient")
skrub.TableReport(X, plot_distributions=False, compute_associations=False, verbose=0)

# %%
# A missing modality must stay missing
# ------------------------------------
# The `TableVectorizer` of skrub converts a table to numbers. Missing numbers stay
# missing, but a missing text is encoded as an empty one. The notes would then be
# observed in all samples. :class:`~skmissing.compose.PerModality` fits the vectorizer
# per modality, on the samples in which the modality is observed. In the other samples,
# its columns are missing. The names of the new columns begin with the name of their
# modality in both cases.

vectorizer = skrub.TableVectorizer(high_cardinality=skrub.StringEncoder(5))
per_modality = PerModality(vectorizer).set_output(transform="pandas")
counts = {
    "X": X,
    "TableVectorizer": vectorizer.fit_transform(X),
    "PerModality": per_modality.fit_transform(X),
}
print("samples without any value in a modality")
for name, table in counts.items():
    missing = {
        modality: int(table.filter(like=f"{modality}__").isna().all(axis=1).sum())
        for modality in ("visit", "notes", "blood")
    }
    print(f"{name:16}", missing)

# %%
# A plan from tables to predictions
# ---------------------------------
# DataOps of skrub record a plan. This plan joins the three tables, encodes them, and
# returns one prediction per visit. The number of columns per text is a parameter of the
# plan, which is chosen by a search.

visits_op = skrub.var("visits", visits).skb.mark_as_X()
y = skrub.var("sick", pd.Series(sick.astype(int))).skb.mark_as_y()
tables = {
    "visit": visits_op,
    "notes": skrub.var("notes", notes),
    "blood": skrub.var("blood", blood),
}
joined = skrub.deferred(from_tables)(tables, on="patient", how="left")
text = skrub.StringEncoder(skrub.choose_from([2, 10], name="columns per text"))
encoded = joined.skb.apply(
    PerModality(skrub.TableVectorizer(high_cardinality=text))
).skb.set_name("encoded")
fusion = LateFusionClassifier("linear", random_state=0)
plan = encoded.skb.apply(fusion, y=y).skb.set_name("fusion")

# %%
# The search fits the whole plan in each fold, including the encoders.

split = plan.skb.train_test_split(test_size=0.4, stratify=sick, random_state=0)
search = plan.skb.make_grid_search(scoring="roc_auc", cv=StratifiedKFold(3))
search.fit(split["train"])
print(search.results_.round(2))
print("ROC AUC on new visits:", round(search.score(split["test"]), 2))

# %%
# Scores by pattern
# -----------------
# The part of the fitted plan up to the encoders returns X of the new visits. The last
# step of the plan is the fitted estimator.

learner = search.best_learner_
scores = score_by_pattern(
    learner.find_fitted_estimator("fusion"),
    learner.truncated_after("encoded").transform(split["test"]),
    split["y_test"],
    patterns="observed",
    as_frame=True,
)
print(scores.round(2))
scores.score.plot.barh(xlabel="accuracy", figsize=(6.5, 3)).invert_yaxis()
plt.tight_layout()
plt.show()

# %%
# Late fusion found the three modalities by the names of the columns, and missing notes
# stayed missing. Predictions are better with blood values than without.
