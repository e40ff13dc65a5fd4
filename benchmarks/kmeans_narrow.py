"""PartialModalityKMeans on many narrow samples against scikit-learn's KMeans."""

from _harness import compare, embeddings
from sklearn.cluster import KMeans

from skmissing.cluster import PartialModalityKMeans

WIDTHS, K = [64] * 4, 100
X = embeddings(200_000, WIDTHS)
PARAMS = {"init": X[:K].copy(), "n_init": 1, "max_iter": 10, "tol": 0}

compare(
    "PartialModalityKMeans.fit, narrow samples, against sklearn KMeans(lloyd)",
    lambda: PartialModalityKMeans(K, modalities=WIDTHS, **PARAMS).fit(X),
    lambda: KMeans(K, algorithm="lloyd", **PARAMS).fit(X),
    target=1.2,
    shape="n=200000, widths 64x4, k=100, float32, 10 iterations, same start",
)
