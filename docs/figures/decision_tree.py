from _drawing import BLUE, GREY, arrow, box, canvas

ax = canvas(4.0, 6.0)
steps = [
    ("Must a later step have\ncomplete columns?", "StackedImputer\nFactorImputer"),
    ("Must you keep a model\nthat you already have?", "ModalityDropout\naround it"),
    ("Start with\nLateFusionClassifier\nor …Regressor", None),
    ("Do several samples come from\none person or recording?", "pass groups\nto fit"),
    ("Are the training\nsamples complete?", "compare with\nPatternClassifier"),
    (
        "Do modalities interact, and\nare there many samples?",
        "compare with\nMHSAFusion",
    ),
]
for step, (question, answer) in enumerate(steps):
    y = 5.65 - step * 1.05
    if step < len(steps) - 1:
        arrow(ax, (1.2, y - 0.33), (1.2, y - 0.72))
    if answer is None:
        box(ax, 1.2, y, question, 2.3, 0.66, BLUE, "white")
        continue
    box(ax, 1.2, y, question, 2.3, 0.66, "#f3f3f3")
    box(ax, 3.3, y, answer, 1.35, 0.66, "#dcebf5")
    arrow(ax, (2.35, y), (2.62, y))
    ax.text(2.36, y + 0.07, "yes", color=GREY)
    if step < 2:
        ax.text(1.28, y - 0.54, "no", color=GREY)
