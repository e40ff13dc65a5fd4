"""What holds for the tree as a whole: layers, sizes, names, light imports."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import skmissing
from tests.estimators import NEEDS, is_installed, listed_modules, public_modules

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "skmissing"
SOURCES = sorted(PACKAGE.rglob("*.py"))
CODE = sorted(
    path
    for folder in ("skmissing", "tests", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)

# Imports point down, that is to a lower or the same rank. Whatever is not named here
# is a light package, of rank 2.
RANKS = {"_compat": 0, "fusion": 3, "encoders": 3, "benchmark": 4}
FOUNDATION, LIGHT = 1, 2
# Arrays in, arrays out: these know neither scikit-learn nor estimators.
KERNELS = sorted(
    {path.name for path in PACKAGE.glob("_*.py")}
    - {"__init__.py", "_base.py", "_compat.py"}
    | {"cluster/_lloyd.py", "cluster/_seeding.py", "impute/_completion.py"}
    | {f"mixture/{name}.py" for name in ("_calibration", "_factor_em", "_posterior")}
)
# Packages that the base install does not bring, and where they may be imported by an
# import statement. Elsewhere they come by import_optional, when they are needed.
HEAVY = {
    "torch": {"_torch", "fusion", "encoders"},
    "skorch": {"fusion"},
    "transformers": {"encoders"},
    "PIL": {"encoders"},
    "av": {"encoders"},
    "soundfile": {"encoders"},
    "dask": set(),
    "edfio": set(),
    "tqdm": set(),
    "distributed": set(),
    "matplotlib": set(),
    "pandas": set(),
    "polars": set(),
}
MOST_LINES = 500
MOST_BODY_LINES = 60


def part_of(path):
    """The top-level part of the package that a file belongs to."""
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def rank_of(part):
    """Rank of a part: private top-level modules lie below the packages."""
    return RANKS.get(part, FOUNDATION if part.startswith("_") else LIGHT)


def imports_of(path):
    """Names of the modules that a file imports anywhere, dotted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            yield node.module
            if node.module == "skmissing":
                yield from (f"skmissing.{alias.name}" for alias in node.names)


def own_imports(path):
    """Parts of skmissing that a file imports from."""
    names = [name.split(".") for name in imports_of(path)]
    return {n[1] for n in names if n[0] == "skmissing" and len(n) > 1}


def file_id(path):
    """Path inside the repository, as test id."""
    return path.relative_to(ROOT).as_posix()


every_source = pytest.mark.parametrize("path", SOURCES, ids=file_id)
every_code = pytest.mark.parametrize("path", CODE, ids=file_id)


@every_source
def test_imports_point_down(path):
    """A file imports from its own layer or from those below."""
    part = part_of(path)
    if part == "__init__":
        pytest.skip("resolves names on first use")
    too_high = {p for p in own_imports(path) if rank_of(p) > rank_of(part)}
    assert not too_high, f"{file_id(path)} imports from above: {sorted(too_high)}"
    if rank_of(part) == RANKS["fusion"]:
        across = {p for p in own_imports(path) if rank_of(p) == rank_of(part)}
        assert across <= {part}, f"{file_id(path)} imports {sorted(across - {part})}"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_know_arrays_only(kernel):
    """Kernels import from skmissing only other kernels, and nothing of scikit-learn."""
    allowed = {"skmissing." + k[:-3].replace("/", ".") for k in KERNELS}
    names = set(imports_of(PACKAGE / kernel))
    assert {name for name in names if name.startswith("skmissing")} <= allowed
    assert not {name for name in names if name.startswith("sklearn")}


def test_packages_do_not_import_in_circles():
    """The graph of imports between parts has no cycle."""
    graph = {}
    for path in SOURCES:
        if part_of(path) != "__init__":
            graph.setdefault(part_of(path), set()).update(own_imports(path))
    graph = {part: targets - {part} for part, targets in graph.items()}
    while graph:
        leaves = [part for part, targets in graph.items() if not targets & set(graph)]
        assert leaves, f"these import each other: {sorted(graph)}"
        for part in leaves:
            del graph[part]


@every_source
def test_scikit_learn_internals_come_through_compat(path):
    """Only _compat imports scikit-learn's underscored names."""
    if path.name == "_compat.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            # scikit-learn documents _safe_indexing in spite of its name.
            private = {n for n in names if n.startswith("_")} - {"_safe_indexing"}
            assert not private, f"{file_id(path)} imports {private} from scikit-learn"


@every_source
def test_heavy_imports_stay_where_they_belong(path):
    """No import statement brings an optional package outside its own folders."""
    roots = {name.split(".")[0] for name in imports_of(path)}
    strays = {r for r in roots & set(HEAVY) if part_of(path) not in HEAVY[r]}
    assert not strays, f"{file_id(path)} imports {sorted(strays)}"


def test_import_optional_names_an_extra_that_brings_the_package():
    """What an ImportError tells users to install does help them."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = extras["project"]["optional-dependencies"]
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) != 2:
                continue
            values = [getattr(arg, "value", None) for arg in node.args]
            if getattr(node.func, "id", None) != "import_optional" or None in values:
                continue
            module, extra = values
            root = module.partition(".")[0]
            assert extra in extras, f"{file_id(path)} names the extra {extra!r}"
            package = {"PIL": "pillow"}.get(root, root)
            brought = requirements_of(extra, extras)
            assert package in brought | {"skmissing"}, f"{extra} brings no {package}"


def requirements_of(extra, extras):
    """Names of the packages that an extra brings, also through other extras."""
    names = set()
    for requirement in extras[extra]:
        if inner := re.match(r"skmissing\[(.*)\]", requirement):
            for name in inner[1].split(","):
                names |= requirements_of(name, extras)
        else:
            names.add(re.match(r"[\w-]+", requirement)[0])
    return names


def loaded_after(statements):
    """Which optional packages a fresh interpreter has loaded after some statements."""
    code = f"import sys\n{statements}\nprint(*{set(HEAVY)} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_is_light():
    """`import skmissing` loads no optional package.

    Its light packages load none either but what scikit-learn itself loads, which is
    pandas where that is installed.
    """
    assert loaded_after("import skmissing") == set()
    light = [name for name in public_modules() if rank_of(name) == LIGHT]
    lines = [f"import skmissing.{name}" for name in light]
    assert loaded_after("\n".join(lines)) <= loaded_after("import sklearn")


def test_top_level_names_resolve():
    """Every name in `skmissing.__all__` is there, and `dir` lists it."""
    assert skmissing.__all__ == sorted(skmissing.__all__)
    for name in skmissing.__all__:
        home = skmissing._homes.get(name, name)
        if is_installed(NEEDS.get(home, "skmissing")):
            assert getattr(skmissing, name) is not None
        assert name in dir(skmissing)


def test_unknown_top_level_name_is_refused():
    """An unknown name gets Python's usual error, with the name."""
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        skmissing.nonsense  # noqa: B018


def test_modules_list_sorted_names_that_exist():
    """`__all__` of each public module is there, sorted, and resolves."""
    for module_name, module in listed_modules().items():
        names = module.__all__
        assert list(names) == sorted(names), f"sort __all__ of {module_name}"
        for name in names:
            assert hasattr(module, name), f"skmissing.{module_name} lacks {name}"


def test_top_level_lists_all_public_modules():
    """`import skmissing; skmissing.<package>` works for every public package."""
    assert set(skmissing._submodules) >= set(public_modules())


def test_api_page_lists_what_is_public():
    """docs/api.rst holds every public name of every module, and nothing else."""
    text = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    listed, module = {}, None
    for line in text.splitlines():
        if found := re.match(r"\.\. currentmodule:: skmissing\.([\w.]+)", line):
            module = listed.setdefault(found[1], [])
        elif found := re.match(r"   (\w+)$", line):
            module.append(found[1])
    public = {name: sorted(m.__all__) for name, m in listed_modules().items()}
    for name in list(listed):
        if not is_installed(NEEDS.get(name.partition(".")[0], "skmissing")):
            listed.pop(name)
    assert {name: sorted(names) for name, names in listed.items()} == public


@every_code
def test_files_and_functions_are_short(path):
    """A file has at most 500 lines, a body (without docstring) at most 60."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES, f"{file_id(path)} is too long"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[ast.get_docstring(node) is not None :]
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            where = f"{file_id(path)}:{node.lineno} {node.name}"
            assert lines <= MOST_BODY_LINES, f"{where} has a body of {lines} lines"


def test_no_file_names_a_machine():
    """No text in the tree holds an absolute path of the machine it was written on."""
    roots = "work|opt|root|home|Users|mnt"
    pattern = re.compile(rf"(?<![\w.:/<-])/(?:{roots})/\w|\b[A-Z]:\\\\?Users")
    folders = ["skmissing", "tests", "docs", "examples", "benchmarks", ".ci"]
    kinds = {".py", ".rst", ".md", ".toml", ".txt", ".csv", ".json", ""}
    built = {"_build", "generated", "auto_examples", "__pycache__"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in [*files, *ROOT.glob("*.*")]:
        inside = path.relative_to(ROOT)
        if path.is_file() and path.suffix in kinds and not built & set(inside.parts):
            found = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{inside} names {found[0]}"
