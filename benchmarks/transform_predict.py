"""ClusterGuidedImputer.transform against predict of its own clusters."""

from _harness import compare, embeddings

from skmissing.impute import ClusterGuidedImputer

WIDTHS = [64] * 4
X = embeddings(200_000, WIDTHS, missing=0.3)
imputer = ClusterGuidedImputer(40, modalities=WIDTHS, max_iter=5, random_state=0).fit(
    X[:20_000]
)

compare(
    "ClusterGuidedImputer.transform against PartialModalityKMeans.predict",
    lambda: imputer.transform(X),
    lambda: imputer.clusterer_.predict(X),
    target=3.0,
    shape="n=200000, widths 64x4, k=40, 30 % missing, float32",
)
