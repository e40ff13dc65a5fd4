"""
=========================================
Single cells with gaps: MuData in and out
=========================================

This example has a MuData object with three modalities. Some modalities are missing in
some cells. They are joined into one table X, which is imputed and converted to a MuData
object again. The example needs the extra ``mudata``.
"""

# %%
# The data
# --------
# Handwritten digits are used in place of cells. Their pixels are the genes, and two
# other modalities are the proteins and the peaks. Each modality is missing in a third
# of the cells.

import matplotlib.pyplot as plt
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
# X has the union of the cells. To read counts or embeddings instead, pass ``layers=``
# or ``obsm=``.

X, y, report = from_mudata(mdata, y="kind", report=True)
print(report)

# %%
# Predict cells with any modalities
# ---------------------------------

train = rng.random(len(X)) < 0.6
late = LateFusionClassifier("linear").fit(X[train], y[train])
scores = score_by_pattern(late, X[~train], y[~train])
for pattern, score, count in zip(scores.pattern, scores.score, scores.n_samples):
    print(f"{score:.2f} of {count:3} cells with {pattern}")

fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
ax.barh(scores.pattern, scores.score)
ax.invert_yaxis()
ax.set(xlabel="accuracy", title="Cells by what was measured")
plt.show()

# %%
# Impute, and convert to MuData
# -----------------------------

imputer = RegressionImputer().set_output(transform="pandas")
imputed = to_mudata(imputer.fit_transform(X), obs=y.to_frame())
print(imputed)

# %%
# The proteins alone predict least, and any two modalities predict more than nine of ten
# cells. Each modality now has all cells, and measured values are unchanged.
