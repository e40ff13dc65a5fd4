from _drawing import CELL, GREY, arrow, box, canvas, table

ax = canvas(5.5, 2.95)
complete, gaps = ["tai"] * 5, ["ti", "tai", "a", "ai", "t"]
test = ["tai", "i", "ta", "ti"]
for name, top, training in (("R1", 2.5, complete), ("R2", 1.05, gaps)):
    middle = top - 2.5 * CELL
    what = "complete" if training is complete else "modalities missing"
    ax.text(0.15, middle, name, fontsize=15, weight="bold", va="center")
    ax.text(0.8, top + 0.1, f"training: {what}")
    table(ax, 0.8, top, training)
    arrow(ax, (2.38, middle), (2.65, middle))
    box(ax, 3.0, middle, "model", width=0.7)
    arrow(ax, (3.35, middle), (3.65, middle))
    ax.text(3.75, top + 0.1, "test: modalities missing")
    table(ax, 3.75, top - CELL / 2, test)
ax.axhline(1.42, color=GREY, linewidth=0.5)
