"""The README's commands are those that are tested."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def readme_commands():
    """Lines of the README's blocks of shell code that make an environment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("python3 -m venv")]


def test_readme_has_two_commands():
    first, second = readme_commands()
    assert first.endswith(".venv/bin/python examples/plot_01_first_steps.py")
    assert second.endswith(".venv/bin/python -m pytest -n auto")


def test_ci_runs_the_commands_of_the_readme():
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("not a checkout of the repository")
    assert set(readme_commands()) <= set(script.read_text().splitlines())


def test_constraints_pin_every_requirement():
    """constraints.txt has one version of each package that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for requirements in project["optional-dependencies"].values():
        wanted += requirements
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert names - {"skmissing"} <= pinned
