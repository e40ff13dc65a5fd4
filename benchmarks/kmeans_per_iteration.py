"""One iteration of PartialModalityKMeans against the matrix product inside it."""

import time

from _harness import compare, embeddings

from skmissing.cluster import PartialModalityKMeans

WIDTHS, K = [768, 1024, 768], 70
X = embeddings(50_000, WIDTHS)
C = X[:K].copy()


def fit(n_iter):
    start = time.perf_counter()
    PartialModalityKMeans(K, modalities=WIDTHS, init=C, max_iter=n_iter, tol=0).fit(X)
    return time.perf_counter() - start


def ten_products():
    start = time.perf_counter()
    for _ in range(10):
        X @ C.T
    return (time.perf_counter() - start) / 10


compare(
    "One iteration of PartialModalityKMeans against one X @ C.T",
    lambda: (fit(15) - fit(5)) / 10,
    ten_products,
    target=1.6,
    shape="n=50000, widths 768/1024/768, k=70, float32, nothing missing",
)
