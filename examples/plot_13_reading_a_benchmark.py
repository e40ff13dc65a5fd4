"""
===================
Reading a benchmark
===================

This example runs a small benchmark, and explains its results: two regimes, intervals,
paired tests, ranks and costs. This command does the same, and writes a report::

    python -m skmissing.benchmark --data digits,breast_cancer --missing mcar:0.5 \\
        --methods mean,knn,nearest,soft,late --n-runs 4 --max-rows 500 --out results/
"""

# %%
# Run it
# ------
# Each run has a data set, a missing rate, a regime, a method and a seed. All methods
# get the same samples with the same hidden modalities for the same seed.

import matplotlib.pyplot as plt

from skmissing.benchmark import (
    BenchmarkDisplay,
    rank_methods,
    run_benchmark,
    summarize,
)

methods = ["mean", "knn", "nearest", "soft", "late"]
results = run_benchmark(
    ["digits", "breast_cancer"], ["mcar:0.5"], methods, n_runs=4, max_rows=500
)
print(results[["data", "regime", "method", "seed", "scores.accuracy"]])

# %%
# How much is hidden
# ------------------
# The rate is .5, but no sample loses all modalities. Therefore, less than half is
# hidden, in particular with few modalities. The results have the rates of each run.

rates = results.filter(like="test_missing.").groupby(results["data"]).mean()
print(rates.T.round(2))

# %%
# Scores, intervals, tests
# ------------------------
# In R1, the training samples are complete. In R2, modalities are missing in training,
# too. The p-values compare each method with the best one over the same runs, and are
# corrected for the number of methods. Four runs are few. `full` is the score of the
# same fitted models on complete samples.

summary = summarize(results)
columns = ["mean", "half_width", "best", "p_ttest", "full"]
print(summary.set_index(["data", "regime", "method"])[columns].round(3))

# %%
# The picture
# -----------
# Intervals may overlap although the paired test finds a difference. All methods are
# better on the same easy runs, so that the difference of two methods varies less than
# their scores.

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
# Over several data sets, methods are compared by their ranks. Two data sets are few.
# The seconds depend on the machine.

ranks = rank_methods(summary)
print(ranks.pivot(index="method", columns="regime", values="mean_rank"))
print(summary.groupby("method")[["fit_seconds", "predict_seconds"]].mean().round(2))

# %%
# The critical-difference diagram ranks the methods in each run. Thick bars join methods
# that do not differ. The runs share samples, so that the test finds more differences
# than it should.

fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for ax, kind in zip(axes, ("ranks", "cost")):
    BenchmarkDisplay.from_results(results, kind=kind, regime="R1", over="runs", ax=ax)
plt.show()

# %%
# "soft" and "knn" have the best mean ranks in both regimes. With four runs, few of the
# differences to the other methods are significant.
