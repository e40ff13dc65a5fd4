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
# of one seed get the same rows with the same modalities hidden.

import matplotlib.pyplot as plt

from skmissing.benchmark import rank_methods, run_benchmark, summarize

methods = ["mean", "knn", "nearest", "soft", "late"]
results = run_benchmark(
    ["digits", "breast_cancer"], ["mcar:0.5"], methods, n_runs=4, max_rows=500
)
print(results[["data", "regime", "method", "seed", "scores.accuracy"]])

# %%
# What was really hidden
# ----------------------
# Half of each modality was asked for, but no row loses all that it has. So a little
# less is hidden, and less still with few modalities. The rates are in each row of the
# results.

rates = results.filter(like="test_missing.").groupby(results["data"]).mean()
print(rates.T.round(2))

# %%
# Scores, intervals, tests
# ------------------------
# R1 trains on complete rows and R2 on rows with gaps. The p-values compare each method
# with the best one over the same runs, corrected for the number of methods. Four runs
# are few: Wilcoxon's test cannot fall below 0.125 with them, before correction.
# `full` is the score of the same fitted models on complete rows.

summary = summarize(results)
columns = ["mean", "half_width", "best", "p_ttest", "full"]
print(summary.set_index(["data", "regime", "method"])[columns].round(3))

# %%
# The picture
# -----------
# Intervals overlap where the paired test tells methods apart: runs share what makes
# them easy or hard, and the difference of two methods varies less than either.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, data in zip(axes, ("digits", "breast_cancer")):
    for regime, shift, color in (("R1", 0.12, "#0072B2"), ("R2", -0.12, "#D55E00")):
        lines = summary[(summary["data"] == data) & (summary["regime"] == regime)]
        places = [methods.index(method) + shift for method in lines["method"]]
        ax.errorbar(
            lines["mean"],
            places,
            xerr=lines["half_width"],
            fmt="o",
            color=color,
            label=regime,
        )
    ax.set(yticks=range(len(methods)), yticklabels=methods, title=data)
    ax.set_xlabel("Accuracy")
axes[0].legend(frameon=False)
plt.show()

# %%
# Ranks and costs
# ---------------
# Over data sets methods are compared by their ranks: two data sets show little, a dozen
# show more. The seconds are those of this machine, and only comparable with each
# other.

ranks = rank_methods(summary)
print(ranks.pivot(index="method", columns="regime", values="mean_rank"))
print(summary.groupby("method")[["fit_seconds", "predict_seconds"]].mean().round(2))
