"""What is public: names, light imports, the API page, the extras that errors name."""

import importlib.util
import inspect
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import skmissing

from .estimators import NEEDS, is_installed, listed_modules, public_modules

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "skmissing"
HEAVY = "torch skorch transformers matplotlib pandas polars dask PIL av tqdm".split()


def test_import_optional_names_an_extra_that_brings_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = extras["project"]["optional-dependencies"]
    calls = r'import_optional\(\s*"([\w.]+)",\s*"(\w+)"'
    found = [
        call
        for path in PACKAGE.rglob("*.py")
        for call in re.findall(calls, path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 5
    for module, extra in found:
        root = module.partition(".")[0]
        package = {"PIL": "pillow", "sksurv": "scikit-survival"}.get(root)
        package = package or root.replace("_", "-")
        brought = requirements_of(extra, extras)
        assert package in brought | {"skmissing"}, f"{extra} brings no {package}"


def requirements_of(extra, extras):
    names = set()
    for requirement in extras[extra]:
        if inner := re.match(r"skmissing\[(.*)\]", requirement):
            for name in inner[1].split(","):
                names |= requirements_of(name, extras)
        else:
            names.add(re.match(r"[\w-]+", requirement)[0])
    return names


LOAD = """
import importlib, runpy, sys

def loaded(*names):
    for name in names:
        importlib.import_module(name)
    print(*{heavy} & set(sys.modules))

loaded("skmissing")
loaded("sklearn")
loaded({light})
sys.argv = ["benchmark", "--list"]
try:
    runpy.run_module("skmissing.benchmark", run_name="__main__")
except SystemExit as end:
    assert end.code == 0
print("torch" in sys.modules)
"""


def test_imports_are_light():
    """`import skmissing` loads no optional package, and the command no torch.

    Its light packages load only what scikit-learn itself loads, which is pandas where
    that is installed.
    """
    pytest.importorskip("pandas")  # the command needs it
    light = sorted(set(public_modules()) - {"fusion", "encoders", "benchmark"})
    light = ", ".join(repr(f"skmissing.{name}") for name in light)
    code = LOAD.format(heavy=set(HEAVY), light=light)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    first, scikit_learn, ours, *_, with_torch = done.stdout.splitlines()
    assert not first
    assert set(ours.split()) <= set(scikit_learn.split())
    assert with_torch == "False"


def test_top_level_names_resolve():
    assert skmissing.__all__ == sorted(skmissing.__all__)
    for name in skmissing.__all__:
        home = skmissing._homes.get(name, name)
        if is_installed(NEEDS.get(home, "skmissing")):
            assert getattr(skmissing, name) is not None
            assert name in dir(skmissing)


def test_help_leaves_out_names_whose_packages_are_not_installed(monkeypatch):
    find, load = importlib.util.find_spec, importlib.import_module

    def missing(name):
        return None if name in ("torch", "pandas") else find(name)

    def refused(name):
        if name.partition(".")[2] in ("benchmark", "encoders", "fusion"):
            raise ImportError("torch or pandas is needed here")
        return load(name)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    monkeypatch.setattr(importlib, "import_module", refused)
    for name in ("benchmark", "encoders", "fusion"):
        monkeypatch.delitem(vars(skmissing), name, raising=False)
    names = [name for name, _ in inspect.getmembers(skmissing)]
    assert "LateFusionClassifier" in names and "MMPClassifier" not in names
    with pytest.raises(ImportError, match="is needed here"):
        skmissing.MMPClassifier  # noqa: B018


def test_unknown_top_level_name_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        skmissing.nonsense  # noqa: B018


def test_modules_list_sorted_names_that_exist():
    for module_name, module in listed_modules().items():
        names = module.__all__
        assert list(names) == sorted(names), f"sort __all__ of {module_name}"
        for name in names:
            assert hasattr(module, name), f"skmissing.{module_name} lacks {name}"


def test_top_level_lists_all_public_modules():
    assert set(skmissing._submodules) >= set(public_modules())


def test_api_page_lists_what_is_public():
    """docs/api.rst holds every public name of every module, and nothing else."""
    text = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    listed, module = {}, None
    for line in text.splitlines():
        if found := re.match(r"\.\. currentmodule:: skmissing\.?([\w.]*)", line):
            module = listed.setdefault(found[1], [])
        elif found := re.match(r"   (\w+)$", line):
            module.append(found[1])
    assert listed.pop("") == ["ModalityWarning", "show_versions"]
    public = {name: sorted(m.__all__) for name, m in listed_modules().items()}
    for name in list(listed):
        if not is_installed(NEEDS.get(name.partition(".")[0], "skmissing")):
            listed.pop(name)
    assert {name: sorted(names) for name, names in listed.items()} == public


def test_show_versions_reports_dependencies_and_extras(capsys):
    skmissing.show_versions()
    shown = dict(re.findall(r"^ *([\w -]+): (.*)$", capsys.readouterr().out, re.M))
    assert shown["skmissing"] == skmissing.__version__
    assert int(shown["CPU cores"]) >= 1
    assert shown["scikit-learn"] == version("scikit-learn")
    assert {"threadpoolctl", "torch"} <= set(shown)
    assert "ruff" not in shown


def test_tests_import_each_other_as_parts_of_the_wheel():
    """The wheel has them as skmissing.tests."""
    for path in (ROOT / "tests").rglob("*.py"):
        assert not re.search(r"^ *from tests\b", path.read_text("utf-8"), re.M), path
