"""Leaves out the tests of encoders where transformers is not installed."""

import importlib.util

import pytest

NEEDED = ("av", "PIL", "soundfile", "torch", "transformers")
installed = all(importlib.util.find_spec(name) for name in NEEDED)
collect_ignore_glob = [] if installed else ["test_*.py"]


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    """A function from the name of an architecture to the folder of a tiny model."""
    from transformers.utils import logging

    from tests.encoders.models import MAKERS

    folders = {}
    logging.disable_progress_bar()

    def find(name):
        if name not in folders:
            folders[name] = str(tmp_path_factory.mktemp(name))
            MAKERS[name](folders[name])
        return folders[name]

    return find
