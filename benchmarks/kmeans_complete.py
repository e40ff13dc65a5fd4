"""PartialModalityKMeans on complete samples against scikit-learn's KMeans."""

from _harness import compare, embeddings
from sklearn.cluster import KMeans

from skmissing.cluster import PartialModalityKMeans

WIDTHS, K = [768, 1024, 768], 70
X = embeddings(50_000, WIDTHS)
PARAMS = {"init": X[:K].copy(), "n_init": 1, "max_iter": 10, "tol": 0}

compare(
    "PartialModalityKMeans.fit, nothing missing, against sklearn KMeans(lloyd)",
    lambda: PartialModalityKMeans(K, modalities=WIDTHS, **PARAMS).fit(X),
    lambda: KMeans(K, algorithm="lloyd", **PARAMS).fit(X),
    target=1.0,
    shape="n=50000, widths 768/1024/768, k=70, float32, 10 iterations, same start",
)
