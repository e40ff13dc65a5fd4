"""Fixtures of tiny models; the tests need transformers."""

import importlib.util

import pytest

NEEDED = ("av", "PIL", "soundfile", "torch", "transformers")
installed = all(importlib.util.find_spec(name) for name in NEEDED)
collect_ignore_glob = [] if installed else ["test_*.py"]


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    from transformers.utils import logging

    from .models import MAKERS

    folders = {}
    logging.disable_progress_bar()

    def find(name):
        if name not in folders:
            folders[name] = str(tmp_path_factory.mktemp(name))
            MAKERS[name](folders[name])
        return folders[name]

    return find


@pytest.fixture
def n_encoded(monkeypatch):
    """Return a growing list of the numbers of items that models have encoded."""
    from .models import ENCODERS

    counts = []
    for cls in ENCODERS:

        def counted(self, prepared, model, spec, plain=cls._encode):
            counts.append(len(prepared))
            return plain(self, prepared, model, spec)

        monkeypatch.setattr(cls, "_encode", counted)
    return counts
