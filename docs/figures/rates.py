import pandas as pd
from matplotlib import pyplot as plt

table = pd.read_csv("../results/rates.csv", index_col="method")
curves = {
    "auto": "late fusion, default panel",
    "late": "late fusion, linear",
    "stack": "linear, StackedImputer",
    "mask": "attention network",
    "mean": "linear, mean imputation",
    "hgb": "boosted trees",
}
colors = ["#0072B2", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#000000"]
figure, axes = plt.subplots(1, 2, sharey=True, figsize=(5.2, 3.6), layout="constrained")
for ax, regime in zip(axes, ("R1", "R2")):
    for method, color, marker in zip(curves, colors, "osD^vX"):
        score = table.loc[method].filter(like=regime)
        rate = [30, 50, 70]
        ax.plot(rate, score, marker=marker, color=color, label=curves[method])
    ax.set(title=regime, xlabel="Modalities hidden, %", xticks=rate)
    ax.grid(color="#dddddd", linewidth=0.8)
axes[0].set_ylabel("Accuracy, mean of ten sets")
handles = axes[0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
