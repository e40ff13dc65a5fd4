"""Leaves out the doctests of what an extra brings, where that is not installed."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent
# Folder, the module it needs, and how a page of the user guide betrays that it uses it.
OPTIONAL = [
    ("skmissing/fusion", "torch", ("skmissing.fusion", "MHSAFusion", "make_ul4m4")),
    ("skmissing/encoders", "transformers", ("skmissing.encoders",)),
]


def pytest_ignore_collect(collection_path):
    """Ignore modules, and pages of the guide, whose extra is not installed."""
    for folder, module, words in OPTIONAL:
        if importlib.util.find_spec(module) is not None:
            continue
        if collection_path.is_relative_to(ROOT / folder):
            return True
        if collection_path.suffix == ".rst":
            text = collection_path.read_text(encoding="utf-8")
            if ">>>" in text and any(word in text for word in words):
                return True
    return None
