"""The modalities of a fitted estimator in its HTML representation."""

from html import escape

import numpy as np

# Most rows of the table, and most patterns and modalities of the picture.
MOST_ROWS, MOST_PATTERNS, MOST_CELLS = 30, 6, 40
TABLE = """
<div class="estimator-table"><details><summary>Modalities</summary>
<table class="parameters-table"><tbody>
<tr><th>Name</th><th>Columns</th>{heading}</tr>
{rows}
</tbody></table>{picture}</details></div>
"""


def modalities_html(layout, training=None):
    """Table of the modalities; with `training`, also how often each was observed."""
    modalities, shares = list(layout.values()), None
    if training is not None:
        shares = 1 - training["missing_rate"]
    rows = []
    for m, modality in enumerate(modalities[:MOST_ROWS]):
        size = str(modality.width)
        if modality.n_tokens > 1:
            size += " ({} tokens of {})".format(*modality.shape)
        cells = [escape(modality.name), size]
        cells += [] if shares is None else [f"{shares[m]:.0%} of samples"]
        cells = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr class="default">{cells}</tr>')
    if len(modalities) > MOST_ROWS:
        rows.append(f"<tr><td>and {len(modalities) - MOST_ROWS} more</td></tr>")
    return TABLE.format(
        heading="" if shares is None else "<th>Observed in training</th>",
        rows="\n".join(rows),
        picture="" if shares is None else _patterns_svg(len(modalities), training),
    )


def _patterns_svg(n_modalities, training):
    """Picture of the most frequent patterns; filled squares are observed."""
    if n_modalities > MOST_CELLS:
        return ""
    counts = training["pattern_counts"]
    shapes = []
    for line, p in enumerate(np.argsort(-counts, kind="stable")[:MOST_PATTERNS]):
        pattern = np.unpackbits(training["patterns"][p], count=n_modalities)
        for m, observed in enumerate(pattern):
            shapes.append(
                f'<rect x="{12 * m + 1}" y="{14 * line + 2}" width="10" height="10" '
                f'stroke="currentColor" fill="currentColor" '
                f'fill-opacity="{0.7 * observed:g}"/>'
            )
        share = counts[p] / counts.sum()
        shapes.append(
            f'<text x="{12 * n_modalities + 6}" y="{14 * line + 11}" font-size="10" '
            f'fill="currentColor">{share:.0%}</text>'
        )
    width, height = 12 * n_modalities + 40, 14 * min(len(counts), MOST_PATTERNS) + 2
    caption = (
        "The most frequent patterns in training. A row is a pattern, and a square is a "
        "modality, filled if it is observed. The number is the share of samples."
    )
    return (
        f'<svg width="{width}" height="{height}" role="img" style="display: block; '
        f'margin: 4px auto"><title>{caption}</title>{"".join(shapes)}</svg>'
        f'<div style="max-width: 30em">{caption}</div>'
    )
