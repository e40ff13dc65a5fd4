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


def test_readme_lists_the_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(project["project"]["optional-dependencies"])
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"Everything else is an extra:(.*?)\.", text, re.DOTALL)[1]
    listed = set(re.findall(r"`(\w+)`", listed))
    assert listed == extras - {"docs", "test", "test-weights"}


def test_ci_runs_the_commands_of_the_readme():
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("not a checkout of the repository")
    assert set(readme_commands()) <= set(script.read_text().splitlines())
