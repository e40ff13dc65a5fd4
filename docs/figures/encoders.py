from _drawing import BLUE, CELL, GREEN, ORANGE, arrow, box, canvas
from matplotlib.patches import Rectangle

ax = canvas(5.4, 2.6)
rows = [
    ("review", "TextEncoder", BLUE, 5),
    ("photo", "ImageEncoder", GREEN, 6),
    ("clip", "AudioEncoder", ORANGE, 4),
    ("age, price", "passthrough", "#CC79A7", 2),
]
for row, (item, encoder, color, width) in enumerate(rows):
    y = 2.05 - row * 0.55
    box(ax, 0.65, y, item, 1.0, 0.38)
    arrow(ax, (1.15, y), (1.5, y))
    box(ax, 2.15, y, encoder, 1.3, 0.38, "#f3f3f3")
    arrow(ax, (2.8, y), (3.2, y))
    for column in range(width):
        corner = (3.3 + column * CELL, y - CELL)
        for line in range(2):
            # The first sample has no photo, and the second one no clip.
            seen = (item, line) not in {("photo", 1), ("clip", 0)}
            style = {
                "fc": color if seen else "white",
                "ec": "white" if seen else "#bbb",
            }
            ax.add_patch(
                Rectangle((corner[0], corner[1] + line * CELL), CELL, CELL, **style)
            )
ax.text(0.65, 2.38, "columns of items", ha="center")
ax.text(2.15, 2.38, "ColumnTransformer", ha="center")
ax.text(3.3, 2.38, "modalities of X, two samples")
