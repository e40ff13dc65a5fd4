from _drawing import BLUE, FAINT, GREEN, arrow, box, canvas

ax = canvas(5.4, 2.2)
for name, y, color in (("text", 1.85, BLUE), ("image", 0.35, GREEN)):
    box(ax, 0.6, y, name, 0.95, 0.42, color, "white")
    box(ax, 2.15, y, f"models of\nthe {name}", 1.15, 0.5)
    arrow(ax, (1.08, y), (1.57, y))
    arrow(ax, (2.73, y), (3.27, 1.1 + (y - 1.1) * 0.25))
box(ax, 0.6, 1.1, "missing", 0.95, 0.42, **FAINT)
box(ax, 2.15, 1.1, "models of\nthe audio", 1.15, 0.5, **FAINT)
box(ax, 3.95, 1.1, "weighted sum of\nlog-probabilities", 1.35, 0.6, "#dcebf5")
arrow(ax, (4.63, 1.1), (4.85, 1.1))
ax.text(5.1, 1.1, "class", ha="center", va="center")
