from _drawing import BLUE, FAINT, GREEN, ORANGE, PALE, arrow, box, canvas

ax = canvas(3.7, 3.65)
for name, x, color in (("text", 0.65, BLUE), ("image", 3.05, GREEN)):
    box(ax, x, 0.3, name, 0.95, 0.36, color, "white")
    box(ax, x, 0.95, "linear", 0.95, 0.36)
    box(ax, x, 1.75, "token", 0.95, 0.36, PALE)
    arrow(ax, (x, 0.48), (x, 0.77))
    arrow(ax, (x, 1.13), (x, 1.57))
    arrow(ax, (x, 1.93), (x, 2.32))
    side = 0.475 if x < 1.85 else -0.475
    arrow(ax, (x + side, 1.66), (1.85 - side, 1.2))
box(ax, 1.85, 0.3, "missing", 0.95, 0.36, **FAINT)
box(ax, 1.85, 1.1, "projector", 0.95, 0.36, "#dcebf5")
box(ax, 1.85, 1.75, "estimated\ntoken", 0.95, 0.54, "#fbe5c0", edgecolor=ORANGE)
arrow(ax, (1.85, 1.28), (1.85, 1.48))
arrow(ax, (1.85, 2.02), (1.85, 2.32))
box(ax, 1.85, 2.55, "transformer", 3.4, 0.46, "#dcebf5")
arrow(ax, (1.85, 2.78), (1.85, 3.1))
box(ax, 1.85, 3.3, "prediction", 1.9, 0.38)
