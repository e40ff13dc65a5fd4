"""Leaves out what needs an extra that is not installed; threads of workers.

The wheel has this file as skmissing/conftest.py, and the tests as skmissing/tests.
"""

import ast
import functools
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
    ("ensemble/_survival.py", "sksurv", ("sksurv",)),
]
# Tests of files that the wheel does not have.
IN_CHECKOUT = ["dependencies", "examples", "public", "readme", "soak"]
# Packages that tests import and that are not installed, with the names of these tests.
LEFT_OUT = {}


def pytest_configure(config):
    """Declare the mark, because an installed copy has no pyproject.toml."""
    config.addinivalue_line("markers", "slow: takes more than some ten seconds")


def pytest_ignore_collect(collection_path):
    """Ignore modules, tests and pages of the guide whose extra is not installed."""
    if not (ROOT / "pyproject.toml").exists() and collection_path.name in [
        f"test_{name}.py" for name in IN_CHECKOUT
    ]:
        return True
    if collection_path.is_relative_to(ROOT / "tests"):
        path = collection_path
        path = path / "conftest.py" if path.is_dir() else path
        for package in not_installed(path) if path.suffix == ".py" else ():
            LEFT_OUT.setdefault(package, []).append(collection_path.name)
            return True
    for package, module, words in OPTIONAL:
        if importlib.util.find_spec(module) is not None:
            continue
        for folder in ("skmissing", "tests", "."):
            if collection_path.is_relative_to(ROOT / folder / package):
                return True
        if collection_path.suffix == ".rst":
            text = collection_path.read_text(encoding="utf-8")
            if ">>>" in text and any(word in text for word in words):
                return True
    return None


@functools.cache
def not_installed(path):
    """Packages that are not installed, of a file and the neighbours that it imports."""
    names, missing = [], []
    for node in ast.parse(path.read_bytes()).body if path.exists() else []:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module)
        elif isinstance(node, ast.ImportFrom):
            near = path.parents[node.level - 1].joinpath(
                *(node.module or "").split(".")
            )
            missing += not_installed(near.with_suffix(".py"))
    packages = dict.fromkeys(name.partition(".")[0] for name in names)
    return missing + [p for p in packages if importlib.util.find_spec(p) is None]


def pytest_report_collectionfinish():
    """Name the tests that are left out."""
    return [
        f"left out, because {package} is not installed: {', '.join(sorted(names))}"
        for package, names in sorted(LEFT_OUT.items())
    ]


def pytest_collection():
    """Collect without garbage collection: all that is made is kept."""
    gc.disable()


def pytest_collection_finish():
    """Leave modules and collected tests out of each later garbage collection."""
    gc.freeze()
    gc.enable()
