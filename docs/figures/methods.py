import pandas as pd
from matplotlib import pyplot as plt

names = {
    "auto": "late fusion, default",
    "full": "late fusion, full",
    "late": "late fusion, linear",
    "stack": "StackedImputer",
    "pattern": "PatternClassifier",
    "ridge": "RegressionImputer",
    "factor": "FactorImputer",
    "soft": "cluster-guided, soft",
    "mask": "attention network",
    "knn": "KNNImputer",
    "mean": "column mean",
    "greedy": "cluster-guided, greedy",
    "ul4m4": "UL4M4",
    "hgb": "boosted trees",
}
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(5.2, 4.2), layout="constrained")
for ax, regime in zip(axes, ("R1", "R2")):
    table = pd.read_csv(f"../results/methods_{regime.lower()}.csv", index_col="method")
    table = table.loc[list(names)[::-1]].rename(index=names)
    mean = table.pop("mean")
    for scores in table.to_numpy().T:
        ax.scatter(scores, mean.index, s=14, color="#999999", alpha=0.7)
    ax.scatter(mean, mean.index, marker="D", s=38, color="#0072B2", zorder=3)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.grid(axis="x", color="#dddddd", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set(title=regime, xlim=(-30, 6), xticks=[-20, -10, 0])
figure.supxlabel("Accuracy against late fusion, linear, in points", fontsize=10)
