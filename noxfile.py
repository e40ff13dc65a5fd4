"""The tests with other versions: `pipx run nox`, or `pipx run nox -s lowest`.

Each session makes an environment of its own. Words after `--` go to pytest.
"""

import shutil
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
PINNED = ("-c", "constraints.txt")

nox.options.sessions = "tests lowest latest coverage docs wheel workflows".split()


def floors(*extras):
    """The lowest versions that pyproject.toml allows, without those of skmissing."""
    wanted = [*PROJECT["dependencies"]]
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    wanted = [w for w in wanted if not w.startswith("skmissing")]
    return [requirement.replace(">=", "==") for requirement in wanted]


@nox.session(python="3.11")
def lowest(session):
    """The lowest versions, without torch: scikit-learn 1.6, numpy 2.0, Python 3.11."""
    # matplotlib 3.9 calls what later releases of pyparsing warn of.
    session.install(*floors("plot", "datasets", "test"), "pyparsing<3.2")
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "pytest", "-m", "not slow", *session.posargs)


@nox.session
def latest(session):
    """The newest versions that there are, early ones too, without torch."""
    session.install("--pre", "--upgrade", "-e", ".[plot,datasets,test]")
    session.run("python", "-m", "pytest", "-m", "not slow", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def light(session):
    """The pinned versions, without torch."""
    session.install(*PINNED, "-e", ".[plot,datasets,test]")
    session.run(
        "python", "-m", "pytest", "-n", "auto", "-m", "not slow", *session.posargs
    )


@nox.session(python="3.13")
def coverage(session):
    """The share of lines of the light packages that tests run: 95 % at least.

    Python 3.12 brought a way to measure that costs little time.
    """
    session.install(*PINNED, "-e", ".[plot,datasets,test]", "pytest-cov")
    session.run(
        *["python", "-m", "pytest", "-n", "auto", "-m", "not slow", "--cov"],
        *["--cov-report=term-missing:skip-covered", "--cov-fail-under=95"],
        *session.posargs,
        env={"COVERAGE_CORE": "sysmon"},
    )


@nox.session
def tests(session):
    """Everything, slow tests too, with the pinned versions and all extras."""
    session.install(*PINNED, "-e", ".[all,survival]", "skore")  # for its example
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session
def docs(session):
    """The documentation, warnings being errors."""
    session.install(*PINNED, "-e", ".[docs]")
    session.run(
        "python", "-m", "sphinx", "-W", "--keep-going", "docs", "docs/_build/html"
    )


@nox.session
def wheel(session):
    """The wheel, made from the sdist, and its tests in an empty folder."""
    session.install("build", "twine")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.run("python", "-m", "twine", "check", "--strict", "dist/*")
    (built,) = (ROOT / "dist").glob("*.whl")
    session.install(*PINNED, f"{built}[test]")
    session.chdir(session.create_tmp())
    flags = [
        "--doctest-modules",
        "-o",
        "doctest_optionflags=ELLIPSIS NORMALIZE_WHITESPACE",
    ]
    session.run(
        *["python", "-m", "pytest", "--pyargs", "skmissing", *flags, "-m", "not slow"],
        *session.posargs,
    )


@nox.session
def workflows(session):
    """The files for GitHub, Read the Docs and citation against their schemas."""
    session.install("check-jsonschema", "zizmor")
    files = {
        "github-workflows": sorted(Path(".github/workflows").iterdir()),
        "github-issue-forms": [
            f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("bug", "proposal")
        ],
        "github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
        "dependabot": [".github/dependabot.yml"],
        "readthedocs": [".readthedocs.yaml"],
        "citation-file-format": ["CITATION.cff"],
    }
    for schema, paths in files.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *paths)
    session.run("zizmor", "--offline", ".github")
