"""Saving fitted models to files that can be read without running what they hold."""

from skmissing.io._container import ModelFileError
from skmissing.io._persist import load_model, save_model

__all__ = ["ModelFileError", "load_model", "save_model"]
