"""A process of its own: the same results, no connection, no fork that hangs.

All is done in one process, because it takes seconds to start one.
"""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

import skmissing

from .estimators import is_installed, public_modules
from .properties.strategies import no_warnings
from .test_determinism import ESTIMATORS, fit_and_read

ROOT = Path(skmissing.__file__).resolve().parents[1]
# Python tells of these before they are done, whoever asks.
REFUSED = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
REFUSED |= {"socket.bind", "socket.sendto", "urllib.Request", "ftplib.connect"}
CONNECT = [
    "import socket; socket.create_connection(('localhost', 9))",
    "import urllib.request; urllib.request.urlopen('http://localhost:9')",
    "from skmissing.datasets import fetch_mfeat; "
    f"fetch_mfeat(data_home={tempfile.gettempdir() + '/skmissing-none'!r})",
]


def refuse(event, args):
    if event in REFUSED:
        raise RuntimeError(f"network: {event} {args}")


def digests():
    with no_warnings():
        return [
            type(e).__name__ + hashlib.blake2b(fit_and_read(e, 60)).hexdigest()
            for e in ESTIMATORS
        ]


def fork_while_a_thread_trains():
    """Return the status of a fork that predicts and fits while its parent fits."""
    from skmissing.fusion import MHSAFusionClassifier

    from .fusion.data import WIDTHS, make_data

    X, y = make_data(60)
    params = {"modalities": WIDTHS, "random_state": 0}
    model = MHSAFusionClassifier(max_epochs=1, **params).fit(X, y)
    held, data = threading.Event(), pickle.dumps(model)

    def score(model, X, y):
        held.set()
        threading.Event().wait()

    train = MHSAFusionClassifier(early_stopping=True, scoring=score, **params).fit
    threading.Thread(target=train, args=(X, y), daemon=True).start()
    held.wait()
    child = os.fork()
    if not child:
        signal.alarm(120)
        again = pickle.loads(data)
        good = (again.predict(X) == model.predict(X)).all()
        good &= (again.fit(X, y).predict(X) == model.predict(X)).all()
        os._exit(0 if good else 1)
    return os.waitpid(child, 0)[1]


def main():
    """Do all that needs a process of its own, and print what came of it."""
    sys.addaudithook(refuse)  # which cannot be taken back
    public_modules()
    found = {"digests": digests(), "errors": []}
    for code in CONNECT:
        try:
            exec(code)
        except Exception:
            found["errors"].append(traceback.format_exc())
    if is_installed("skorch") and hasattr(os, "fork"):
        found["fork"] = fork_while_a_thread_trains()
    print(json.dumps(found), flush=True)
    os._exit(0)  # a thread still trains


@pytest.fixture(scope="module")
def found():
    code = f"from {__name__} import main; main()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_fits_open_no_connection_and_give_the_same_bits(found):
    assert len(found["digests"]) > 10
    with threadpool_limits(1):  # earlier tests may have left another number
        assert found["digests"] == digests()


def test_connections_are_refused(found):
    """The test above would fail if an estimator opened one."""
    assert len(found["errors"]) == len(CONNECT)
    assert all("network: " in error for error in found["errors"])


def test_fork_while_a_thread_trains(found):
    if "fork" not in found:
        pytest.skip("needs skorch and forks")
    assert found["fork"] == 0
