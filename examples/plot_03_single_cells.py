"""
=========================================
Single cells with gaps: MuData in and out
=========================================

A MuData object with three modalities, in which cells differ: some have proteins only.
The modalities become one X, gaps are imputed, and the result becomes a MuData object
again. This example needs the extra ``mudata``.
"""

# %%
# The data
# --------
# Handwritten digits stand in for cells: their pixels are genes, and two further views
# are proteins and peaks. A third of the cells lacks each of them.

import mudata
import numpy as np
import pandas as pd
from anndata import AnnData

from skmissing.compose import from_mudata, to_mudata
from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import RegressionImputer
from skmissing.inspection import score_by_pattern

mudata.set_options(pull_on_update=False)
digits, kinds = load_digits_views(return_X_y=True, as_frame=True)
names = dict(zip(["rna", "protein", "peaks"], ["pixels", "fourier", "gradients"]))
rng = np.random.default_rng(0)
cells = "cell" + pd.Series(range(600)).astype(str)
parts = {}
for modality, view in names.items():
    table = digits.filter(like=f"{view}__").iloc[:600].set_axis(cells)
    parts[modality] = AnnData(table[rng.random(600) < 2 / 3])
mdata = mudata.MuData(parts)
mdata.obs["kind"] = kinds.iloc[:600].set_axis(cells).reindex(mdata.obs_names)
print(mdata)

# %%
# One X with gaps
# ---------------
# X has the union of the cells. ``layers=`` and ``obsm=`` would read counts or
# embeddings instead.

X, y, report = from_mudata(mdata, y="kind", report=True)
print(report)

# %%
# Predict, also for cells with one modality
# -----------------------------------------

train = rng.random(len(X)) < 0.6
late = LateFusionClassifier("linear").fit(X[train], y[train])
scores = score_by_pattern(late, X[~train], y[~train])
for pattern, score, count in zip(scores.pattern, scores.score, scores.n_samples):
    print(f"{score:.2f} of {count:3} cells with {pattern}")

# %%
# Impute, and go back
# -------------------

imputer = RegressionImputer().set_output(transform="pandas")
imputed = to_mudata(imputer.fit_transform(X), obs=y.to_frame())
print(imputed)

# %%
# Each modality now has all cells, and those that were measured are unchanged.
