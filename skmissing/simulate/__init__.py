"""Simulation of missing modalities with the protocols of papers."""

from skmissing.simulate._amputer import ModalityAmputer
from skmissing.simulate._config import (
    ModalityFraction,
    ModalityRates,
    OneMissing,
    PatternTable,
    parse_config,
)
from skmissing.simulate._functions import ampute, make_amputer, missing_rates

__all__ = [
    "ModalityAmputer",
    "ModalityFraction",
    "ModalityRates",
    "OneMissing",
    "PatternTable",
    "ampute",
    "make_amputer",
    "missing_rates",
    "parse_config",
]
