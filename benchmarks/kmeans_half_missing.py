"""PartialModalityKMeans with half of the modalities missing against KMeans on all."""

import numpy as np
from _harness import compare, embeddings
from sklearn.cluster import KMeans

from skmissing.cluster import PartialModalityKMeans

WIDTHS, K = [768, 1024, 768], 70
filled = embeddings(50_000, WIDTHS)
# Every sample keeps one of three modalities: two thirds of this rate are missing.
X = embeddings(50_000, WIDTHS, missing=0.75)
PARAMS = {"init": filled[:K].copy(), "n_init": 1, "max_iter": 10, "tol": 0}
absent = np.isnan(X[:, [0, 768, 1792]]).mean()

compare(
    "PartialModalityKMeans.fit, half missing, against sklearn KMeans(lloyd), filled",
    lambda: PartialModalityKMeans(K, modalities=WIDTHS, **PARAMS).fit(X),
    lambda: KMeans(K, algorithm="lloyd", **PARAMS).fit(filled),
    target=0.7,
    shape=f"n=50000, widths 768/1024/768, k=70, float32, {absent:.0%} missing",
)
