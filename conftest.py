"""Leaves out what needs an extra that is not installed; threads of workers."""

import gc
import importlib.util
import os
from pathlib import Path

# Workers of pytest-xdist share the cores. Set before numpy or torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

ROOT = Path(__file__).parent
# Package or file, the module it needs, and words by which a page shows its use.
OPTIONAL = [
    ("_torch.py", "torch", ()),
    ("fusion", "torch", ("skmissing.fusion", "MHSAFusion", "MMP", "make_ul4m4")),
    ("encoders", "transformers", ("skmissing.encoders",)),
    ("benchmark", "matplotlib", ("skmissing.benchmark",)),
    ("benchmark", "pandas", ("skmissing.benchmark",)),
    ("io.py", "skops", ("skmissing.io",)),
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


def pytest_collection():
    """Collect without garbage collection: all that is made is kept."""
    gc.disable()


def pytest_collection_finish():
    """Leave modules and collected tests out of each later garbage collection."""
    gc.freeze()
    gc.enable()
