"""Importing, fitting and predicting open no connection."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Python tells of these before they are done, whoever asks; a hook cannot be taken back,
# hence a process of its own.
GUARD = """
import sys

def refuse(event, args):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname",
                 "socket.bind", "socket.sendto", "urllib.Request", "ftplib.connect"}:
        raise RuntimeError(f"network: {event} {args}")

sys.addaudithook(refuse)
"""
USE = """
import warnings
from tests.estimators import make_instances, public_modules
from tests.test_common import make_data, outputs, with_widths

warnings.simplefilter("ignore")
public_modules()
n_fitted = 0
for estimator in make_instances():
    X, y = make_data(estimator)
    outputs(with_widths(estimator).fit(X, y), X)
    n_fitted += 1
print("fitted", n_fitted)
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", GUARD + code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
    )


def test_no_connection_at_import_or_fit():
    done = run(USE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 10


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('localhost', 9))",
        "import urllib.request; urllib.request.urlopen('http://localhost:9')",
        "from skmissing.datasets import fetch_mfeat; "
        "import tempfile; fetch_mfeat(data_home=tempfile.mkdtemp())",
    ],
)
def test_the_guard_guards(code):
    done = run(code)
    assert done.returncode != 0
    assert "network: " in done.stderr
