"""A short run of the soak in benchmarks/: many calls, and no growth of memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from .estimators import is_installed

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "soak.py"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_calls_leave_nothing_behind():
    """120 calls of each of several models; the script leaves with 1 if memory grew."""
    neural = ["--neural"] if is_installed("skorch") else []
    done = subprocess.run(
        [sys.executable, SCRIPT, "--calls", "120", *neural],
        cwd=SCRIPT.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
