"""
===================
Reading a benchmark
===================

A table of scores with its best row in bold is soon made, and soon believed. This
example runs a small benchmark and reads it slowly: two regimes, intervals, paired
tests, ranks and costs. The same from a shell, with a report in Markdown::

    python -m skmissing.benchmark --data digits,breast_cancer --missing mcar:0.5 \\
        --methods mean,knn,nearest,soft,late --n-runs 4 --max-rows 500 --out results/
"""

# %%
# Running it
# ----------
# One cell is a data set, what is missing, a regime, a method and a seed. All methods
# of a seed get the same rows with the same modalities hidden.

import matplotlib.pyplot as plt
import numpy as np

from skmissing.benchmark import rank_methods, run_benchmark, summarize

methods = ["mean", "knn", "nearest", "soft", "late"]
rows = run_benchmark(
    ["digits", "breast_cancer"], ["mcar:0.5"], methods, n_runs=4, max_rows=500
)
print(len(rows), "cells; the first:", {k: rows[0][k] for k in ("method", "scores")})

# %%
# What was really hidden
# ----------------------
# Half of each modality was asked for, but no row loses all that it has. So a little
# less is hidden, and less still with few modalities. The rates are in each row.

for data in ("digits", "breast_cancer"):
    rates = [row["test_missing"] for row in rows if row["data"] == data]
    means = {name: float(np.mean([r[name] for r in rates])) for name in rates[0]}
    print(data, {name: round(rate, 2) for name, rate in means.items()})

# %%
# Scores, intervals, tests
# ------------------------
# R1 trains on complete rows and R2 on rows with gaps. The p-values compare each method
# with the best one over the same runs, corrected for the number of methods. Four runs
# are few: Wilcoxon's test cannot fall below 0.125 with them, before correction.
# `full` is the score of the same fitted models on complete rows.

summary = summarize(rows)
for line in summary:
    mark = "best" if line["best"] else f"p = {line['p_ttest']:.2f}"
    print(
        f"{line['data']:14}{line['regime']}  {line['method']:8} {line['mean']:.3f} "
        f"± {line['half_width']:.3f}  {mark:9} full {line['full']:.3f}"
    )

# %%
# The picture
# -----------
# Intervals overlap where the paired test tells methods apart: runs share what makes
# them easy or hard, and the difference of two methods varies less than either.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, data in zip(axes, ("digits", "breast_cancer")):
    for regime, shift, color in (("R1", 0.12, "#0072B2"), ("R2", -0.12, "#D55E00")):
        lines = [s for s in summary if (s["data"], s["regime"]) == (data, regime)]
        places = [methods.index(s["method"]) + shift for s in lines]
        means, widths = zip(*[(s["mean"], s["half_width"]) for s in lines])
        ax.errorbar(means, places, xerr=widths, fmt="o", color=color, label=regime)
    ax.set(yticks=range(len(methods)), yticklabels=methods, title=data)
    ax.set_xlabel("Accuracy")
axes[0].legend(frameon=False)
plt.show()

# %%
# Ranks and costs
# ---------------
# Over data sets methods are compared by their ranks: two sets say little, a dozen say
# more. Seconds and memory are those of this machine, and only to be compared with each
# other.

for rank in rank_methods(summary):
    print(f"{rank['regime']}  {rank['method']:8} mean rank {rank['mean_rank']:.1f}")
for method in methods:
    lines = [s for s in summary if s["method"] == method]
    seconds = np.mean([s["fit_seconds"] + s["predict_seconds"] for s in lines])
    print(f"{method:8} {seconds:.2f} s a cell")
