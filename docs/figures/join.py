from _drawing import BLUE, GREEN, GREY, arrow, canvas
from matplotlib.patches import Rectangle

ax = canvas(5.5, 2.3)


def draw(x, y, title, keys, columns):
    """Draw a table of keys and of coloured columns, white where a key is missing."""
    width = 0.34
    ax.text(x, y + 0.08, title)
    for row, key in enumerate(keys):
        low = y - (row + 1) * 0.27
        ax.text(x + width / 2, low + 0.135, key, ha="center", va="center", color=GREY)
        for column, (color, seen) in enumerate(columns, start=1):
            face = color if key in seen else "white"
            edge = "white" if key in seen else "#bbbbbb"
            cell = Rectangle((x + column * width, low), width, 0.27, fc=face, ec=edge)
            ax.add_patch(cell)


clinic, gene = [(BLUE, "123")] * 2, [(GREEN, "134")] * 2
draw(0.3, 2.0, "clinic", "123", clinic)
draw(0.3, 0.95, "gene", "314", gene)
draw(3.3, 1.6, "X:  clinic    gene", "1234", clinic + gene)
arrow(ax, (1.5, 1.6), (3.2, 1.15))
arrow(ax, (1.5, 0.6), (3.2, 1.0))
ax.text(2.35, 1.5, "from_tables", ha="left", va="bottom")
