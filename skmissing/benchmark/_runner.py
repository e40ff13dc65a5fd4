"""Runs the cells, and estimates the remaining time."""

import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed

from skmissing.benchmark._data import BenchmarkData, did_you_mean, load_data
from skmissing.benchmark._methods import check_task, read_methods
from skmissing.benchmark._protocol import REGIMES, make_cells, make_split, run_cell
from skmissing.benchmark._results import BenchmarkResults, _as_frame, _key_of
from skmissing.benchmark._scores import MAIN_SCORES, read_scoring
from skmissing.simulate import make_amputer, parse_config


def run_benchmark(
    data,
    missing=("mcar:0.5",),
    methods=("mean", "knn", "late"),
    *,
    regimes=("R1", "R2"),
    n_runs=5,
    test_size=0.4,
    max_rows=None,
    scoring=None,
    out=None,
    retry_failed=False,
    n_jobs=1,
    verbose=0,
):
    """Compare methods on data with modalities hidden.

    Parameters
    ----------
    data : list of str, path-like or BenchmarkData
        Data sets, as in :func:`load_data`. Here and in the next parameters, a single
        entry need not be in a list.
    missing : sequence of str, default=("mcar:0.5",)
        Configurations of hidden modalities, as in
        :func:`skmissing.simulate.make_amputer`.
    methods : sequence of str or dict, default=("mean", "knn", "late")
        Methods of :func:`list_methods`, or a dict of your own methods by name. A value
        of the dict is

        - an estimator, such as a pipeline or a search. Its parameters `modalities` and
          `random_state`, also of nested estimators, are set if they are None.
        - a function `f(modalities, random_state)` that returns an estimator.
        - the name of a method of the benchmark, or None if the key is its name.
    regimes : sequence of {"R1", "R2"}, default=("R1", "R2")
        "R1" trains on the samples as they are and hides modalities at test time only.
        The published script of UL4M4 does this for CMU-MOSI by default. "R2" hides
        modalities in both. The best method may depend on the regime.
    n_runs : int, default=5
        Number of runs, with seeds 0, 1, and so on. Each run has its own masks, and its
        own split if the data have no split.
    test_size : float, default=0.4
        Share of test samples if the data have no split.
    max_rows : int or None, default=None
        Maximum number of samples per data set, drawn in each run.
    scoring : str, list of str or dict, default=None
        Further scores: scorers of scikit-learn by name, or a dict with names and
        scorers, as for :func:`~sklearn.model_selection.cross_validate`.
    out : path-like or None, default=None
        Folder in which each finished cell is appended to `results.jsonl`. Cells that
        are already in the file are not run again, unless the data, the settings or the
        parameters of an estimator have changed.
    retry_failed : bool, default=False
        Whether to run failed cells again.
    n_jobs : int, default=1
        Number of cells to run in parallel processes.
    verbose : int, default=0
        With 1, write a line to standard error for each finished cell, with the
        remaining time.

    Returns
    -------
    pandas.DataFrame
        One row per cell, in the order of data, missing, regime, method and seed. Scores
        are columns such as `scores.accuracy` and `full_scores.accuracy`. Shares of
        missing modalities are `train_missing.text` and `test_missing.text`. `error` is
        missing if the cell succeeded. `n_parameters` is the number of numbers that the
        fitted method holds. For scores by pattern, see :func:`score_parts`.

    Examples
    --------
    >>> from skmissing.benchmark import run_benchmark
    >>> results = run_benchmark(["breast_cancer"], methods=["mean"], n_runs=1)
    >>> (results.set_index("regime")["scores.accuracy"] > 0.8).to_dict()
    {'R1': True, 'R2': True}
    """
    sets, missing, regimes = _read_settings(
        data, missing, regimes, n_runs, test_size, max_rows
    )
    methods, scorers = read_methods(methods), read_scoring(scoring)
    if not methods:
        raise ValueError("methods must hold at least one entry; got none.")
    for each in sets:
        check_task(methods, each)
    store = BenchmarkResults(out)
    settings = {"test_size": test_size, "max_rows": max_rows}
    cells = make_cells(sets, missing, regimes, methods, n_runs, scorers, **settings)
    done = store._finished(cells, retry_failed)
    left = [cell for cell in cells if _key_of(vars(cell)) not in done]
    # Run by run, so that an interrupted benchmark has complete runs.
    left.sort(key=lambda cell: cell.seed)
    by_name = {d.name: d for d in sets}
    rows = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(run_cell)(
            cell, by_name[cell.data], methods[cell.method], scorers, **settings
        )
        for cell in left
    )
    progress = Progress(left, n_jobs, sys.stderr if verbose else None)
    for row in rows:
        store._append(row)
        progress.update(row)
    return _as_frame(store._rows[_key_of(vars(cell))] for cell in cells)


def splits(
    data,
    missing=("mcar:0.5",),
    *,
    regimes=("R1", "R2"),
    n_runs=5,
    test_size=0.4,
    max_rows=None,
):
    """Yield the splits and masks of the benchmark, for code that is not an estimator.

    Parameters
    ----------
    data, missing, regimes, n_runs, test_size, max_rows : object
        As in :func:`run_benchmark`.

    Returns
    -------
    generator of Split
        Training and test samples of one run, the same as those of
        :func:`run_benchmark`. Pass it to :meth:`BenchmarkResults.add` with the
        predictions.

    Examples
    --------
    >>> from skmissing.benchmark import splits
    >>> [(split.regime, split.seed) for split in splits("breast_cancer", n_runs=2)]
    [('R1', 0), ('R1', 1), ('R2', 0), ('R2', 1)]
    """
    sets, missing, regimes = _read_settings(
        data, missing, regimes, n_runs, test_size, max_rows
    )
    settings = {"test_size": test_size, "max_rows": max_rows}
    by_name = {d.name: d for d in sets}
    cells = make_cells(sets, missing, regimes, {"": ""}, n_runs, (), **settings)
    return (make_split(cell, by_name[cell.data], **settings) for cell in cells)


def _read_settings(data, missing, regimes, n_runs, test_size, max_rows):
    """Check the settings. Single entries become lists, and data are loaded."""
    if isinstance(data, (str, os.PathLike, BenchmarkData)):
        data = [data]
    missing, regimes = (
        [given] if isinstance(given, str) else given for given in (missing, regimes)
    )
    lists = {"data": data, "missing": missing, "regimes": regimes}
    for name, given in lists.items():
        if not isinstance(given, Iterable) or hasattr(given, "iloc"):
            raise TypeError(f"{name} must be a list; got {type(given).__name__}.")
    missing, regimes = list(missing), list(regimes)
    for entry in (*missing, *regimes):
        if not isinstance(entry, str):
            name = "missing" if entry in missing else "regimes"
            raise TypeError(f"{name} must hold strings; got {entry!r}.")
    sets = [d if isinstance(d, BenchmarkData) else load_data(d) for d in data]
    _check_settings(sets, missing, regimes, n_runs, test_size, max_rows)
    return sets, missing, regimes


def _check_settings(sets, missing, regimes, n_runs, test_size, max_rows):
    names = [d.name for d in sets]
    lists = {"data": names, "missing": missing, "regimes": regimes}
    for name, values in lists.items():
        if not len(values):
            raise ValueError(f"{name} must hold at least one entry; got none.")
        if len(set(values)) < len(values):
            doubled = next(v for v in values if list(values).count(v) > 1)
            raise ValueError(
                f"{name} must hold each entry once; got {doubled!r} twice."
            )
    for regime in regimes:
        if regime not in REGIMES:
            similar = did_you_mean(regime, REGIMES)
            raise ValueError(f"regimes must be among R1, R2; got {regime!r}.{similar}")
    if not isinstance(n_runs, Integral) or n_runs < 1:
        raise ValueError(f"n_runs must be an integer of at least 1; got {n_runs!r}.")
    if not isinstance(test_size, Real) or not 0 < test_size < 1:
        raise ValueError(f"test_size must lie between 0 and 1; got {test_size!r}.")
    if max_rows is not None and not (isinstance(max_rows, Integral) and max_rows >= 10):
        raise ValueError(
            f"max_rows must be None or an integer of at least 10; got {max_rows!r}."
        )
    for gaps, d in itertools.product(missing, sets):
        try:
            if gaps.startswith("group:") and d.groups is None:
                raise ValueError("it needs groups, such as sites or devices.")
            if gaps.startswith("label:") and d.task == "multilabel":
                raise ValueError("it needs one class or number per sample.")
            amputer = make_amputer(gaps)
            if amputer.config is not None:
                parse_config(amputer.config, list(d.modalities))
        except ValueError as exc:
            raise ValueError(f"missing={gaps!r} on data {d.name!r}: {exc}") from exc


class Progress:
    """Prints finished cells and the remaining time."""

    def __init__(self, cells, n_jobs, stream):
        self.left = Counter((cell.data, cell.method) for cell in cells)
        self.total = len(cells)
        self.n_jobs = n_jobs if n_jobs > 0 else os.cpu_count() or 1
        self.stream = stream
        self.seconds = {}

    def update(self, row):
        """Count a finished cell."""
        kind = (row["data"], row["method"])
        self.left[kind] -= 1
        self.seconds.setdefault(kind, []).append(row["wall_seconds"])
        if self.stream is None:
            return
        score = row["error"] or f"{row['scores'][MAIN_SCORES[row['task']]]:.3f}"
        n_done = self.total - self.left.total()
        print(
            f"[{n_done}/{self.total}] {row['data']} {row['missing']} {row['regime']} "
            f"{row['method']} run {row['seed']}: {score} "
            f"({row['wall_seconds']:.1f} s; {_spell(self.seconds_left())} left)",
            file=self.stream,
            flush=True,
        )

    def seconds_left(self):
        """Time for the remaining cells, from the mean time of each method and data."""
        known = {kind: float(np.mean(s)) for kind, s in self.seconds.items()}
        guess = float(np.mean(list(known.values()))) if known else 0.0
        work = sum(n * known.get(kind, guess) for kind, n in self.left.items())
        return work / min(self.n_jobs, max(1, self.left.total()))


def _spell(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
