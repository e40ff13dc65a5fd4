from _drawing import BLUE, CELL, GREEN, GREY, ORANGE, arrow, box, canvas, table

ax = canvas(5.7, 1.9)
presence = ["tai", "ti", "ai", "t", "ta", "tai"]
left, top = 1.85, 1.55
centres = table(ax, left, top, presence, empty={(5, 7)})
sources = {"texts": BLUE, "sounds": ORANGE, "pictures": GREEN}
for i, (name, color) in enumerate(sources.items()):
    y = 1.54 - i * 0.5
    ink = "black" if color == ORANGE else "white"
    box(ax, 0.6, y, name, 0.9, 0.34, color, ink)
    arrow(ax, (1.05, y), (1.75, 1.04 + (y - 1.04) * 0.3))
for name, x in zip(("text", "audio", "image"), centres):
    ax.text(x, top + 0.08, name, ha="center")
ax.text(left + 0.74, 0.25, "X: one row per sample", ha="center")
arrow(ax, (3.4, 1.38), (3.85, 1.38))
box(ax, 4.45, 1.38, "estimator", 1.1, 0.4)
notes = {3.5: "missing: NaN in all columns", 5.5: "partially observed"}
for (row, note), y in zip(notes.items(), (0.92, 0.55)):
    line = {"arrowstyle": "-", "color": GREY}
    ax.annotate(note, (3.34, top - row * CELL), (3.7, y), va="center", arrowprops=line)
