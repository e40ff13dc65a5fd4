"""Time of PartialModalityKMeans against n, k, D, M and missing rate, one at a time.

Saves a picture at the path given as argument.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from _harness import embeddings, seconds

from skmissing.cluster import PartialModalityKMeans

BASE = {"rows": 20_000, "clusters": 50, "columns": 512, "modalities": 4, "missing": 0.0}
SWEEPS = {
    "rows": [10_000, 20_000, 40_000, 80_000, 160_000],
    "clusters": [10, 20, 50, 100, 200],
    "columns": [128, 256, 512, 1024, 2048],
    "modalities": [1, 2, 4, 8, 16, 32],
    "missing": [0.0, 0.2, 0.4, 0.6, 0.8],
}
TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2]


def fit_time(rows, clusters, columns, modalities, missing):
    widths = [columns // modalities] * modalities
    X = embeddings(rows, widths, missing=missing)
    start = embeddings(clusters, widths, seed=1)
    model = PartialModalityKMeans(
        clusters, modalities=widths, init=start, max_iter=10, tol=0
    )
    return np.median([seconds(lambda: model.fit(X)) for _ in range(3)])


def main(path):
    fig, axes = plt.subplots(1, 5, figsize=(13, 2.8), sharey=True, layout="constrained")
    for ax, (name, values) in zip(axes, SWEEPS.items()):
        times = [fit_time(**{**BASE, name: value}) for value in values]
        print(name, [f"{v:g}: {t:.3f} s" for v, t in zip(values, times)])
        ax.plot(values, times, "o-", color="#0072B2")
        ax.set(xlabel=name, yscale="log")
        if name != "missing":
            ax.set_xscale("log")
        ax.set_xticks(values, [f"{v / 1000:g}k" if v > 2999 else v for v in values])
        ax.minorticks_off()
        ax.set_yticks(TICKS, TICKS)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("Seconds, 10 iterations")
    fig.suptitle("PartialModalityKMeans: 20 000 samples, 50 clusters, 4 x 128 columns")
    fig.savefig(path, dpi=120)


if __name__ == "__main__":
    main(sys.argv[1])
