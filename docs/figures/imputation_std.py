import numpy as np
from matplotlib import pyplot as plt

from skmissing.impute import FactorImputer

rng = np.random.RandomState(0)
a = np.sort(rng.uniform(-2, 2, (400, 1)), axis=0)
noise = np.where(a > 0, 0.15, 0.5) * rng.standard_normal((400, 1))
X = np.hstack([a, a**2 / 2 + noise])
gap = X.copy()
gap[::4, 1] = np.nan
imputer = FactorImputer(6, random_state=0).fit(gap)
filled, std = imputer.transform(gap)[::4, 1], imputer.imputation_std(gap)[::4, 1]
figure, ax = plt.subplots(figsize=(5.2, 3.2), layout="constrained")
ax.plot(*gap.T, ".", color="#bbbbbb", label="observed")
ax.fill_between(
    a[::4, 0],
    filled - 1.645 * std,
    filled + 1.645 * std,
    alpha=0.25,
    label="90 % interval",
)
ax.plot(a[::4, 0], filled, label="imputed")
ax.plot(a[::4, 0], X[::4, 1], "x", label="true, hidden", color="#D55E00", markersize=5)
ax.set(xlabel="observed modality", ylabel="imputed modality")
ax.legend(frameon=False, ncols=2)
