"""Runs the cells, stores finished cells, and estimates the remaining time."""

import itertools
import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from skmissing._compat import import_optional
from skmissing._modalities import count
from skmissing._table import warn
from skmissing.benchmark._data import BenchmarkData, did_you_mean, load_data
from skmissing.benchmark._methods import check_methods
from skmissing.benchmark._protocol import MAIN_SCORES, REGIMES, make_cells, run_cell
from skmissing.simulate import make_amputer, parse_config

pd = import_optional("pandas", "benchmark")

RESULTS = "results.jsonl"
_KEY = ("data", "missing", "regime", "method", "seed", "protocol")


def run_benchmark(
    data,
    missing=("mcar:0.5",),
    methods=("mean", "knn", "late"),
    *,
    regimes=("R1", "R2"),
    n_runs=5,
    test_size=0.4,
    max_rows=None,
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
    methods : sequence of str, default=("mean", "knn", "late")
        Methods of :func:`list_methods`.
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
    out : path-like or None, default=None
        Folder in which each finished cell is appended to `results.jsonl`. Cells that
        are already in the file are not run again.
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
        missing if the cell succeeded.

    Examples
    --------
    >>> from skmissing.benchmark import run_benchmark
    >>> results = run_benchmark(["breast_cancer"], methods=["mean"], n_runs=1)
    >>> (results.set_index("regime")["scores.accuracy"] > 0.8).to_dict()
    {'R1': True, 'R2': True}
    """
    if isinstance(data, (str, os.PathLike, BenchmarkData)):
        data = [data]
    missing, methods, regimes = (
        [given] if isinstance(given, str) else given
        for given in (missing, methods, regimes)
    )
    check_methods(methods)
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise NotADirectoryError(f"out must be a folder; got the file {str(out)!r}.")
    sets = [d if isinstance(d, BenchmarkData) else load_data(d) for d in data]
    _check_settings(sets, missing, methods, regimes, n_runs, test_size, max_rows)
    settings = {"test_size": test_size, "max_rows": max_rows}
    cells = make_cells(sets, missing, regimes, methods, n_runs, **settings)
    path = None if out is None else Path(out) / RESULTS
    done = {} if path is None else _finished(path, cells, retry_failed)
    left = [cell for cell in cells if _key_of(vars(cell)) not in done]
    # Run by run, so that an interrupted benchmark has complete runs.
    left.sort(key=lambda cell: cell.seed)
    by_name = {d.name: d for d in sets}
    rows = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(run_cell)(cell, by_name[cell.data], **settings) for cell in left
    )
    progress = Progress(left, n_jobs, sys.stderr if verbose else None)
    for row in rows:
        done[_key_of(row)] = row
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
        progress.update(row)
    return _as_frame(done[_key_of(vars(cell))] for cell in cells)


def _check_settings(sets, missing, methods, regimes, n_runs, test_size, max_rows):
    names = [d.name for d in sets]
    lists = {"data": names, "missing": missing, "methods": methods, "regimes": regimes}
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
    if n_runs < 1:
        raise ValueError(f"n_runs must be at least 1; got {n_runs}.")
    if not 0 < test_size < 1:
        raise ValueError(f"test_size must lie between 0 and 1; got {test_size}.")
    if max_rows is not None and max_rows < 10:
        raise ValueError(f"max_rows must be at least 10; got {max_rows}.")
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


def _key_of(row):
    return tuple(row[name] for name in _KEY)


def _as_frame(rows):
    """Convert nested entries to columns such as `scores.accuracy`."""
    flat = []
    for row in rows:
        flat.append({})
        for key, value in row.items():
            if isinstance(value, dict):
                flat[-1] |= {f"{key}.{name}": v for name, v in value.items()}
            else:
                flat[-1][key] = "; ".join(value) if isinstance(value, list) else value
    frame = pd.DataFrame(flat)
    # These are integers, but missing if a cell failed.
    whole = frame.columns.intersection(["n_train", "n_test", "pid"])
    return frame.astype(dict.fromkeys(whole, "Int64"))


def read_results(path):
    """Read the finished results of a benchmark.

    Parameters
    ----------
    path : path-like
        The folder, or the file `results.jsonl` in it.

    Returns
    -------
    pandas.DataFrame
        One row per cell, as in :func:`run_benchmark`. For a cell that was run twice,
        the later result.

    Warns
    -----
    UserWarning
        If the last line is cut off, for example by an interruption.

    Examples
    --------
    >>> import tempfile
    >>> from skmissing.benchmark import read_results, run_benchmark
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = run_benchmark(
    ...         ["breast_cancer"], methods=["mean"], n_runs=1, out=folder)
    ...     read_results(folder).equals(results)
    True
    """
    path = Path(path)
    return _as_frame(_read_rows(path / RESULTS if path.is_dir() else path).values())


def _read_rows(path):
    """Rows of the file as nested dicts, by their key."""
    rows, lines = {}, path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            rows[_key_of(row)] = row
        except (ValueError, KeyError, TypeError) as exc:
            if number == len(lines) and not line.endswith("\n"):
                text = f"{path.name}: the last line is cut off and is left out."
                warn(text, UserWarning)
                continue
            raise ValueError(
                f"{path}: line {number} is not a result of a benchmark: {line[:60]!r}."
            ) from exc
    return rows


def _finished(path, cells, retry_failed):
    """Rows of the file for these cells. Also prepares the file for more rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return {}
    rows = _read_rows(path)
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        path.write_bytes(text[: text.rfind(b"\n") + 1])
    wanted = {_key_of(vars(cell)) for cell in cells}
    stale = {key[:5] for key in rows.keys() - wanted} & {key[:5] for key in wanted}
    if stale:
        warn(
            f"{path.name}: {count(len(stale), 'cell was', 'cells were')} run on other "
            "data or settings (test_size, max_rows), and will be run again.",
            UserWarning,
        )
    return {
        key: row
        for key, row in rows.items()
        if key in wanted and not (retry_failed and row["error"])
    }


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
