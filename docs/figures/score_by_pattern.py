from _example import X_test, model, y_test
from matplotlib import pyplot as plt

from skmissing.inspection import score_by_pattern

table = score_by_pattern(model, X_test, y_test, as_frame=True)[::-1]
figure, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.hlines(table.index, 0.5, table["score"], color="#bbbbbb")
ax.plot(table["score"], table.index, "o", color="#0072B2")
for pattern, score in table["score"].items():
    ax.text(score + 0.015, pattern, f"{score:.2f}", va="center")
ax.set(xlabel="Accuracy (0.5 is chance)", xlim=(0.5, 1.04))
ax.tick_params(axis="y", length=0)
