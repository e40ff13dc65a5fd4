"""Memory of PartialModalityKMeans.fit in addition to X."""

from _harness import embeddings, extra_memory, record

from skmissing.cluster import PartialModalityKMeans

WIDTHS, K = [768, 1024, 768], 70
X = embeddings(50_000, WIDTHS)
model = PartialModalityKMeans(K, modalities=WIDTHS, max_iter=5, random_state=0)
model.fit(X[:2_000])
extra, size = extra_memory(lambda: model.fit(X)), X.nbytes / 2**20

record(
    "Peak memory of PartialModalityKMeans.fit beyond X against X",
    "n=50000, widths 768/1024/768, k=70, float32, k-means++",
    extra / size,
    1.3,
    ours=f"{extra:.0f} MB",
    peer=f"{size:.0f} MB",
)
