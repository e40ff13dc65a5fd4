from _drawing import BLUE, FAINT, GREEN, PALE, arrow, box, canvas

ax = canvas(3.7, 4.6)
for name, x, color in (("text", 0.65, BLUE), ("", 1.85, None), ("image", 3.05, GREEN)):
    if name:
        box(ax, x, 0.3, name, 0.95, 0.36, color, "white")
        box(ax, x, 0.95, "linear", 0.95, 0.36)
        box(ax, x, 1.6, "token", 0.95, 0.36, PALE)
        for y in (0.48, 1.13, 1.78):
            arrow(ax, (x, y), (x, y + 0.29))
        arrow(ax, (x, 2.53), (1.85 + 0.17 * (x - 1.85), 2.83))
    else:
        box(ax, x, 0.3, "missing", 0.95, 0.36, **FAINT)
        box(ax, x, 0.95, "linear", 0.95, 0.36, **FAINT)
        box(ax, x, 1.6, "masked", 0.95, 0.36, **FAINT)
box(ax, 1.85, 2.3, "self-attention between tokens", 3.4, 0.46, "#dcebf5")
box(ax, 1.85, 3.02, "mean of the observed", 1.9, 0.38)
box(ax, 1.85, 3.65, "linear, ReLU", 1.9, 0.38)
box(ax, 1.85, 4.28, "prediction", 1.9, 0.38)
arrow(ax, (1.85, 3.21), (1.85, 3.46))
arrow(ax, (1.85, 3.84), (1.85, 4.09))
