"""Versions for bug reports."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

import joblib
import sklearn

import skmissing

REQUIREMENT = re.compile(r"""([\w.-]+).*?(?:extra == ['"]([\w-]+)['"])?$""")
DEVELOPMENT = {"all", "docs", "test", "test-weights"}


def show_versions():
    """Print the versions that are needed in bug reports.

    Prints the output of :func:`sklearn.show_versions`, which includes the system and
    the numerical libraries with their numbers of threads. The version of skmissing, the
    number of cores, and the versions of required and optional dependencies follow.
    Packages are not imported for this.

    See Also
    --------
    sklearn.show_versions : The same for scikit-learn.

    Examples
    --------
    >>> import skmissing
    >>> skmissing.show_versions()
    <BLANKLINE>
    System:
    ...
    skmissing: ...
    """
    sklearn.show_versions()
    print(f"\nskmissing: {skmissing.__version__}")
    print(f"CPU cores: {joblib.cpu_count()}")
    print("\nDependencies of skmissing:")
    for name in _dependencies():
        print(f"{name:>17}: {_version(name)}")


def _dependencies():
    """Names of the packages that skmissing and its extras for users require."""
    try:
        found = [REQUIREMENT.match(line).groups() for line in requires("skmissing")]
    except PackageNotFoundError:  # run from a source tree that is not installed
        return []
    names = (name for name, extra in found if extra not in DEVELOPMENT)
    return list(dict.fromkeys(name for name in names if name != "skmissing"))


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
