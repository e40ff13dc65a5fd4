import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer
from skmissing.simulate import ampute

X, y = load_digits_views(return_X_y=True, as_frame=True)
X = ampute(X, 0.5, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
late = LateFusionClassifier("linear").fit(X_train, y_train)
imputer = ClusterGuidedImputer(random_state=0).set_output(transform="pandas")
filled = imputer.fit(X_train).transform(X_test)

# Eight samples with different patterns, and the four columns of each modality that vary
# most.
views = dict(zip(late.modalities_, ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]))
columns = [X.filter(like=f"{view}__").std().nlargest(4).index for view in views]
patterns = X_test[[names[0] for names in columns]].isna().reset_index(drop=True)
missing = patterns.drop_duplicates()[:8]
rows = missing.index


def draw_table(table, left):
    """Draw cells in grey, gaps in white, and imputed cells in colour."""
    for m, (names, color) in enumerate(zip(columns, views.values())):
        scaled = ((table - X_train.mean()) / X_train.std())[names].iloc[rows]
        edges = left + 4.6 * m + np.arange(5)
        ax.pcolormesh(edges, np.arange(9), scaled, cmap="Greys", vmin=-2, vmax=3)
        for i, gap in enumerate(missing.to_numpy()[:, m]):
            imputed = gap and table is filled
            ax.add_patch(
                plt.Rectangle(
                    (edges[0], i + 0.06),
                    4,
                    0.88,
                    facecolor=color if imputed else "none",
                    edgecolor="0.8" if gap and not imputed else color,
                    linestyle=":" if gap and not imputed else "-",
                    alpha=0.4 if imputed else 1,
                )
            )
        ax.text(edges[2], -0.3, list(views)[m], ha="center", color=color, fontsize=9)


def draw_arrow(start, end, text):
    style = {"arrowstyle": "simple,head_width=0.8,head_length=0.8", "color": "0.4"}
    ax.annotate("", (end, 4), (start, 4), arrowprops=style)
    ax.text((start + end) / 2, 3.2, text, ha="center")


fig, ax = plt.subplots(figsize=(10, 3))
draw_table(X_test, 0)
draw_arrow(-1, -5, "predict")
for i, digit in enumerate(late.predict(X_test.iloc[rows])):
    ax.text(-6.5, i + 0.5, digit, va="center", ha="center")
draw_arrow(18.8, 22.8, "impute")
draw_table(filled, 23.8)
titles = {-6.5: "digit", 8.9: "X, with missing modalities", 32.7: "X, imputed"}
for x, title in titles.items():
    ax.text(x, -1.2, title, ha="center", weight="bold")
ax.set(xlim=(-8, 42), ylim=(8.1, -1.9))
ax.axis("off")
plt.show()
