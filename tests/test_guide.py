"""Figures of the user guide."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


def figures():
    """Return the script and the text of each figure, by page."""
    pattern = r"^\.\. (?:plot|image|figure):: (\S+)\n((?:   .*\n)*)"
    pages = sorted(DOCS.glob("user_guide/*.rst"))
    return [
        found
        for page in pages
        for found in re.findall(pattern, page.read_text("utf-8"), re.M)
    ]


def test_every_figure_has_a_text_and_a_script():
    if not DOCS.exists():
        pytest.skip("not a checkout of the repository")
    found = figures()
    assert len(found) > 15
    assert [name for name, options in found if ":alt: " not in options] == []
    scripts = {path.name for path in DOCS.glob("figures/[!_]*.py")}
    used = {Path(name).name for name, _ in found if name.endswith(".py")}
    assert used <= scripts
