"""Algorithm 2 in closed form against its loops, with incomplete centres."""

import sys
from pathlib import Path

import numpy as np
from _harness import compare, embeddings

from skmissing._modalities import resolve_modalities
from skmissing.impute import ClusterGuidedImputer

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.reference import greedy_completion  # noqa: E402

WIDTHS, K, SAMPLE = [256] * 3, 100, 1
X = embeddings(5_000, WIDTHS, missing=0.3)
# After one step from few samples, many centres are incomplete.
start = X[np.flatnonzero(np.isnan(X).any(axis=1))[:K]]
ours = ClusterGuidedImputer(
    K, modalities=WIDTHS, strategy="greedy", init=start, max_iter=1
).fit(X[:K])
print("complete centres:", int(ours.clusterer_.center_presence_.all(axis=1).sum()))
layout = resolve_modalities(WIDTHS, sum(WIDTHS))
incomplete = np.flatnonzero(np.isnan(X).any(axis=1))
centers = ours.clusterer_.cluster_centers_


def loops():
    for row in X[incomplete[:SAMPLE]]:
        greedy_completion(row, centers, layout)


compare(
    "ClusterGuidedImputer(strategy='greedy').transform against the loops",
    lambda: ours.transform(X),
    loops,
    target=1 / 1000,
    shape="n=5000, widths 256x3, k=100 incomplete centres, 30 % missing; loops on "
    f"{SAMPLE} sample, scaled",
    repeats=3,
    per_peer=len(incomplete) / SAMPLE,
)
