"""PartialModalityFactorMixture against PartialModalityKMeans with 100 iterations.

The samples have clusters and 24 factors shared by all modalities, so that neither side
converges after a few steps.
"""

import warnings

import numpy as np
from _harness import compare, embeddings
from sklearn.exceptions import ConvergenceWarning

from skmissing.cluster import PartialModalityKMeans
from skmissing.mixture import PartialModalityFactorMixture

WIDTHS, K = [768, 1024, 768], 10
rng = np.random.default_rng(0)
shared = rng.standard_normal((20, 24))[rng.integers(20, size=20_000)]
shared += rng.standard_normal(shared.shape)
loadings = rng.standard_normal((24, sum(WIDTHS))) / 4
X = embeddings(20_000, WIDTHS, missing=0.45) + (shared @ loadings).astype(np.float32)
COMMON = {"modalities": WIDTHS, "random_state": 0}
warnings.simplefilter("ignore", ConvergenceWarning)

fits = {
    "factors": PartialModalityFactorMixture(K, n_factors=32, **COMMON),
    "k-means": PartialModalityKMeans(K, max_iter=100, tol=0, n_init=1, **COMMON),
}
compare(
    "PartialModalityFactorMixture.fit against PartialModalityKMeans.fit",
    lambda: fits["factors"].fit(X),
    lambda: fits["k-means"].fit(X),
    target=10.0,
    shape="n=20000, widths 768/1024/768, 30 % missing, k=10, r=32, float32",
    repeats=1,
)
print({name: f"{fit.n_iter_} iterations" for name, fit in fits.items()})
