"""ClusterGuidedImputer.transform against KNNImputer.transform."""

from _harness import compare, embeddings
from sklearn.impute import KNNImputer

from skmissing.impute import ClusterGuidedImputer

WIDTHS = [256] * 3
X = embeddings(5_000, WIDTHS, missing=0.3)
ours = ClusterGuidedImputer(40, modalities=WIDTHS, random_state=0).fit(X)
peer = KNNImputer().fit(X)

compare(
    "ClusterGuidedImputer.transform against KNNImputer.transform",
    lambda: ours.transform(X),
    lambda: peer.transform(X),
    target=1 / 200,
    shape="n=5000, widths 256x3, k=40, 30 % missing, float32",
    repeats=1,
)
