import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from skmissing.impute import ClusterGuidedImputer

X, y = load_digits(return_X_y=True)
new = np.array([1501, 1502, 1503, 1524, 1525, 1526, 1527, 1529])
gap = X[new].copy()
gap[:4, 32:], gap[4:, :32] = np.nan, np.nan
layout = {"upper": 32, "lower": 32}
soft = ClusterGuidedImputer(100, modalities=layout, random_state=0).fit(X[:1400])
mean = np.where(np.isnan(gap), X[:1400].mean(axis=0), gap)
rows = {"observed": gap, "mean": mean, "soft": soft.transform(gap), "true": X[new]}
figure, axes = plt.subplots(4, 8, figsize=(5.4, 2.9), layout="constrained")
gray = plt.get_cmap("gray_r").with_extremes(bad="#f5d6c6")
for (name, images), line in zip(rows.items(), axes):
    for image, ax in zip(images, line):
        ax.imshow(image.reshape(8, 8), cmap=gray, vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color="#bbbbbb")
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
