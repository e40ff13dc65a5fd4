"""Time to import skmissing against sklearn.cluster, each in a fresh interpreter."""

import subprocess
import sys

from _harness import compare


def load(module):
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


compare(
    "import skmissing against import sklearn.cluster",
    lambda: load("skmissing"),
    lambda: load("sklearn.cluster"),
    target=1.3,
    shape="fresh interpreter",
)
compare(
    "import skmissing.cluster against import sklearn.cluster",
    lambda: load("skmissing.cluster"),
    lambda: load("sklearn.cluster"),
    target=1.3,
    shape="fresh interpreter; the time until the first estimator",
)
