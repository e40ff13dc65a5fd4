"""Time of predict for one sample, against predict of scikit-learn's KMeans."""

from _harness import compare, embeddings
from sklearn.cluster import KMeans

from skmissing.cluster import PartialModalityKMeans

WIDTHS, K = [768, 1024, 768], 70
X = embeddings(2_000, WIDTHS)
PARAMS = {"init": X[:K].copy(), "n_init": 1, "max_iter": 5}
ours = PartialModalityKMeans(K, modalities=WIDTHS, **PARAMS).fit(X)
peer = KMeans(K, **PARAMS).fit(X)
row = X[:1]


def often(model):
    for _ in range(200):
        model.predict(row)


compare(
    "PartialModalityKMeans.predict on one sample against KMeans.predict",
    lambda: often(ours),
    lambda: often(peer),
    target=3.0,
    shape="1 sample, widths 768/1024/768, k=70, float32, 200 calls",
)
