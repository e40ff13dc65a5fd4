import numpy as np
from matplotlib import pyplot as plt

from skmissing.mixture import PartialModalityFactorMixture

rng = np.random.RandomState(0)
u = rng.standard_normal((300, 1))
centres = np.repeat([[0.0, 0.0], [6.0, -1.0]], 150, axis=0)
X = centres + u * [1.0, 1.2] + 0.3 * rng.standard_normal((300, 2))
X[::6, 1] = np.nan
mixture = PartialModalityFactorMixture(
    2, n_factors=1, modalities=[1, 1], random_state=0
)
mixture.fit(X)
gap = np.isnan(X[:, 1])
filled, std = mixture.impute(X)[gap], mixture.imputation_std(X)[gap, 1]
label = mixture.predict(X)
figure, ax = plt.subplots(figsize=(5.2, 3.3), layout="constrained")
for cluster, marker in enumerate("os"):
    own = ~gap & (label == cluster)
    ax.plot(
        *X[own].T, marker, color=f"C{cluster}", alpha=0.4, label=f"cluster {cluster}"
    )
ax.errorbar(*filled.T, std, fmt="kx", capsize=2, lw=1, label="audio imputed, ± std")
ax.set(xlabel="text", ylabel="audio")
ax.legend(frameon=False)
