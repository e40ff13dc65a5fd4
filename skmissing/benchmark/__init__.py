"""Benchmark of methods under missing modalities, with the protocols of papers.

On the command line: `python -m skmissing.benchmark --list`.
"""

from skmissing.benchmark._data import BenchmarkData, load_data
from skmissing.benchmark._displays import BenchmarkDisplay
from skmissing.benchmark._methods import list_methods, make_method
from skmissing.benchmark._protocol import Split
from skmissing.benchmark._report import write_report
from skmissing.benchmark._results import (
    BenchmarkResults,
    modality_equity_index,
    read_results,
    score_parts,
)
from skmissing.benchmark._runner import run_benchmark, splits
from skmissing.benchmark._statistics import (
    RankComparison,
    compare_methods,
    compare_ranks,
    rank_methods,
    summarize,
)

__all__ = [
    "BenchmarkData",
    "BenchmarkDisplay",
    "BenchmarkResults",
    "RankComparison",
    "Split",
    "compare_methods",
    "compare_ranks",
    "list_methods",
    "load_data",
    "make_method",
    "modality_equity_index",
    "rank_methods",
    "read_results",
    "run_benchmark",
    "score_parts",
    "splits",
    "summarize",
    "write_report",
]
