import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap

from skmissing.simulate import ampute

rng = np.random.default_rng(0)
X = np.sort(rng.standard_normal((30, 4)), axis=0)
X[:, 1:] = rng.permuted(X[:, 1:], axis=0)
y, site = (X[:, 0] > 0).astype(int), np.arange(30) // 10
layout = {"text": 1, "audio": 1, "video": 1, "table": 1}
settings = {
    "mcar": {},
    "mar": {"driver": "text", "strength": 4.0},
    "mnar": {"strength": 4.0},
    "label": {"y": y, "strength": 4.0},
    "group": {"groups": site, "strength": 4.0},
    "burst": {},
}
figure, axes = plt.subplots(1, 6, sharey=True, figsize=(5.2, 3.4), layout="constrained")
for ax, (mechanism, params) in zip(axes, settings.items()):
    _, hidden = ampute(
        X,
        0.4,
        mechanism=mechanism,
        modalities=layout,
        random_state=0,
        return_mask=True,
        **params,
    )
    colors = ListedColormap(["#0072B2", "white"])
    ax.pcolormesh(hidden, cmap=colors, edgecolors="#cccccc", linewidth=0.3)
    ax.set_title(mechanism, fontsize=10)
    ax.set_xticks(np.arange(4) + 0.5, layout, rotation=90)
axes[0].set_ylabel("samples, by their text")
axes[0].set_yticks([])
axes[0].invert_yaxis()
