import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import make_blobs

from skmissing.cluster import PartialModalityKMeans

X, y = make_blobs(150, centers=[[0, 0], [6, 1], [3, 6]], random_state=0)
missing = np.random.RandomState(0).randint(5, size=150)
X[missing == 0, 0], X[missing == 1, 1] = np.nan, np.nan
kmeans = PartialModalityKMeans(3, modalities=[1, 1], random_state=0).fit(X)
figure, ax = plt.subplots(figsize=(5, 3.8), layout="constrained")
edge = np.where(np.isnan(X), [-4.2, -3.6], X)
for cluster, marker in enumerate("os^"):
    own = kmeans.labels_ == cluster
    both = own & ~np.isnan(X).any(axis=1)
    color = f"C{cluster}"
    ax.scatter(*X[both].T, marker=marker, s=28, color=color, alpha=0.8)
    ax.scatter(*edge[own & ~both].T, marker=marker, s=28, facecolor="none", color=color)
ax.scatter(
    *kmeans.cluster_centers_.T, marker="*", s=260, color="white", edgecolor="black"
)
ax.axvline(-3.3, color="#bbbbbb")
ax.axhline(-2.9, color="#bbbbbb")
ax.text(-4, 11.2, "audio only", rotation=90, va="top", ha="center")
ax.text(9.2, -4.6, "text only", ha="right")
ax.set(xlabel="text", ylabel="audio", xlim=(-4.6, 9.4), ylim=(-4.9, 11.3))
ax.set(xticks=range(-2, 9, 2), yticks=range(-2, 9, 2))
