"""Leaves out what needs an extra, where that extra is not installed."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent
# Package, the module it needs, and words by which a page of the guide shows its use.
OPTIONAL = [
    ("fusion", "torch", ("skmissing.fusion", "MHSAFusion", "make_ul4m4")),
    ("encoders", "transformers", ("skmissing.encoders",)),
    ("benchmark", "matplotlib", ("skmissing.benchmark",)),
]


def pytest_ignore_collect(collection_path):
    """Ignore modules, tests and pages of the guide whose extra is not installed."""
    for package, module, words in OPTIONAL:
        if importlib.util.find_spec(module) is not None:
            continue
        for folder in (ROOT / "skmissing" / package, ROOT / "tests" / package):
            if collection_path.is_relative_to(folder):
                return True
        if collection_path.suffix == ".rst":
            text = collection_path.read_text(encoding="utf-8")
            if ">>>" in text and any(word in text for word in words):
                return True
    return None
