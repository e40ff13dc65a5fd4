"""Results of the benchmark: in memory, in a file, and from other code."""

import json
import os
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

import numpy as np
from scipy.special import entr

import skmissing
from skmissing._compat import import_optional
from skmissing._modalities import count
from skmissing._table import warn
from skmissing.benchmark._protocol import Split, describe_split, score_split
from skmissing.benchmark._scores import LOSSES, MAIN_SCORES, Predictions, check_results

pd = import_optional("pandas", "benchmark")

RESULTS = "results.jsonl"
_KEY = ("data", "missing", "regime", "method", "seed", "protocol")
# Scores of parts of the test samples. They stay dicts in the frame.
PARTS = {"pattern": "pattern_scores", "group": "group_scores"}


class BenchmarkResults:
    """Results of methods that are not estimators, one row per method and run.

    Parameters
    ----------
    out : path-like or None, default=None
        Folder of :func:`run_benchmark`. Each result is appended to its file
        `results.jsonl`, so that :func:`read_results` returns the results of both.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.benchmark import BenchmarkResults, splits, summarize
    >>> results = BenchmarkResults()
    >>> for split in splits("breast_cancer", n_runs=2):
    ...     majority = np.bincount(split.y_train).argmax()
    ...     results.add(split, "majority", np.full(len(split.y_test), majority))
    >>> summarize(results.frame)[["regime", "mean"]].round(2)
      regime  mean
    0     R1  0.63
    1     R2  0.63
    """

    def __init__(self, out=None):
        self._rows = {}
        self._path = None if out is None else Path(out) / RESULTS
        if out is None:
            return
        if Path(out).exists() and not Path(out).is_dir():
            raise NotADirectoryError(
                f"out must be a folder; got the file {str(out)!r}."
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._rows = _read_rows(self._path)
            text = self._path.read_bytes()
            if text and not text.endswith(b"\n"):
                self._path.write_bytes(text[: text.rfind(b"\n") + 1])

    @property
    def frame(self):
        """The results as a data frame, as returned by :func:`run_benchmark`."""
        return _as_frame(self._rows.values())

    def add(
        self,
        split,
        method,
        y_pred,
        *,
        y_proba=None,
        classes=None,
        scores=None,
        fit_seconds=None,
        predict_seconds=None,
    ):
        """Add the predictions of a method for the test samples of a split.

        Parameters
        ----------
        split : Split
            One of :func:`splits`.
        method : str
            Name of the method.
        y_pred : array-like of shape (n_test_samples,) or (n_test_samples, n_labels)
            Predictions for `split.X_test`.
        y_proba : array-like of shape (n_test_samples, n_classes), default=None
            Probabilities of the classes.
        classes : array-like of shape (n_classes,), default=None
            Classes of the columns of `y_proba`. None is the sorted classes of
            `split.y_train`.
        scores : dict of str to float, default=None
            Further scores. More must be better.
        fit_seconds, predict_seconds : float, default=None
            Times, for the table of costs.

        Raises
        ------
        ValueError
            If the predictions do not have one row per test sample, if they are not
            classes of y or finite numbers, or if `y_proba` does not have probabilities
            with one column per class.
        """
        if not isinstance(split, Split):
            raise TypeError(f"split must be one of splits(); got {split!r}.")
        if not isinstance(method, str) or not method:
            raise TypeError(f"method must be a name; got {method!r}.")
        scores = {} if scores is None else scores
        if not isinstance(scores, Mapping):
            raise TypeError(f"scores must be a dict of numbers; got {scores!r}.")
        numbers = {"fit_seconds": fit_seconds, "predict_seconds": predict_seconds}
        numbers = {k: v for k, v in numbers.items() if v is not None}
        for name, value in (dict(scores) | numbers).items():
            if not isinstance(value, Real) or not np.isfinite(value):
                where = name if name in numbers else f"scores[{name!r}]"
                raise ValueError(f"{where} must be a finite number; got {value!r}.")
        y_pred = _one_per_sample(y_pred, "y_pred", split)
        if y_proba is not None:
            y_proba = _one_per_sample(y_proba, "y_proba", split)
            classes = np.unique(split.y_train) if classes is None else classes
        found = Predictions(y_pred, y_proba, classes)
        row = {
            "data": split.data.name,
            "missing": split.missing,
            "regime": split.regime,
            "method": method,
            "seed": split.seed,
            "protocol": split.protocol,
            "error": None,
            "version": skmissing.__version__,
            **describe_split(split),
            **score_split(split, found),
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
        }
        for name, value in scores.items():
            if name in row["scores"]:
                raise ValueError(
                    f"scores must not hold {name!r}, which is computed from y_pred."
                )
            row["scores"][name] = float(value)
        self._append(row)

    def _append(self, row):
        self._rows[_key_of(row)] = row
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _finished(self, cells, retry_failed):
        """Rows for these cells that need not be run again, by key."""
        wanted = {_key_of(vars(cell)) for cell in cells}
        stale = {key[:5] for key in self._rows.keys() - wanted}
        stale &= {key[:5] for key in wanted - self._rows.keys()}
        if stale:
            n_cells = count(len(stale), "cell was", "cells were")
            warn(
                f"{RESULTS}: {n_cells} run on other data or settings (test_size, "
                "max_rows, scoring), or with another estimator of the same name, and "
                "will be run again.",
                UserWarning,
            )
        return {
            key
            for key, row in self._rows.items()
            if key in wanted and not (retry_failed and row["error"])
        }


def _one_per_sample(values, name, split):
    values = np.asarray(values)
    n_values = len(values) if values.ndim else repr(values.item())
    if n_values != len(split.y_test):
        raise ValueError(
            f"{name} must have as many samples as split.X_test ({len(split.y_test)}); "
            f"got {n_values}."
        )
    return values


def _key_of(row):
    return tuple(row[name] for name in _KEY)


def _as_frame(rows):
    """Convert nested entries to columns such as `scores.accuracy`."""
    flat = []
    for row in rows:
        flat.append({})
        for key, value in row.items():
            if isinstance(value, dict) and key not in PARTS.values():
                flat[-1] |= {f"{key}.{name}": v for name, v in value.items()}
            else:
                flat[-1][key] = "; ".join(value) if isinstance(value, list) else value
    frame = pd.DataFrame(flat)
    # These are integers, but missing if a cell failed.
    whole = frame.columns.intersection(["n_train", "n_test", "n_parameters", "pid"])
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


def score_parts(results, *, by="pattern", metric=None):
    """Summarize the scores by observed pattern, or by group.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    by : {"pattern", "group"}, default="pattern"
        "pattern" compares test samples by their observed modalities, "group" by
        `score_groups` of :class:`BenchmarkData`.
    metric : str or None, default=None
        Name of the score, as in :func:`summarize`. Areas under curves and scorers of
        `scoring` are not computed by pattern or group.

    Returns
    -------
    pandas.DataFrame
        One row per `data`, `missing`, `regime`, `method` and `part`, the pattern or
        group. The other columns are

        `metric`, `mean`, `std`
            Score over the runs in which it is defined.
        `n_samples`, `n_runs`
            Mean number of test samples, and the number of these runs.
        `worst`
            Whether the mean is the worst of the method.
        `gap`
            Difference of the means of the best and the worst part of the method.

    Examples
    --------
    >>> from skmissing.benchmark import run_benchmark, score_parts
    >>> results = run_benchmark(
    ...     "breast_cancer", methods="late", regimes="R1", n_runs=2)
    >>> parts = score_parts(results)
    >>> sorted(parts["part"])[:4]
    ['error', 'error + worst', 'mean', 'mean + error']
    """
    check_results(results)
    if by not in list(PARTS):
        raise ValueError(f"by must be 'pattern' or 'group'; got {by!r}.")
    column = PARTS[by]
    if column not in results or results[column].isna().all():
        hint = "" if by == "pattern" else " Pass score_groups to BenchmarkData."
        raise ValueError(f"results must have scores by {by}; got none.{hint}")
    lines = []
    for row in results[results[column].notna()].to_dict("records"):
        name = MAIN_SCORES[row["task"]] if metric is None else metric
        for part, scores in row[column].items():
            if name not in scores:
                raise ValueError(
                    f"metric={name!r} is not among the scores by {by} of "
                    f"{row['data']}: {', '.join(s for s in scores if s != 'n')}."
                )
            key = {k: row[k] for k in ("data", "missing", "regime", "method")}
            line = {"part": part, "metric": name, "score": scores[name]}
            lines.append(key | line | {"n": scores["n"]})
    frame = pd.DataFrame(lines).astype({"score": float})
    keys = ["data", "missing", "regime", "method"]
    runs = frame[frame["score"].notna()].groupby([*keys, "part", "metric"], sort=False)
    table = runs.agg(
        mean=("score", "mean"),
        std=("score", "std"),
        n_samples=("n", "mean"),
        n_runs=("n", "size"),
    ).reset_index()
    sign = np.where(table["metric"].isin(LOSSES), -1, 1)
    goodness = (table["mean"] * sign).groupby([table[k] for k in keys])
    table["worst"] = table["mean"] * sign == goodness.transform("min")
    table["gap"] = goodness.transform("max") - goodness.transform("min")
    return table


def modality_equity_index(results, *, metric=None):
    """Measure how evenly modalities contribute to the score of a method.

    The gain of a modality is the mean difference of the score over all pairs of
    observed patterns that differ only in this modality. Its share is its part of the
    sum of gains, where a negative gain counts as 0. The index is the entropy of the
    shares, divided by its maximum.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    metric : str or None, default=None
        Name of the score, as in :func:`score_parts`. If less is better, the sign of the
        differences is changed.

    Returns
    -------
    pandas.DataFrame
        One row per `data`, `missing`, `regime`, `method` and `modality`. The other
        columns are

        `metric`, `gain`, `n_pairs`
            Mean gain of the score, and the number of pairs of patterns.
        `share`
            Share of the modality in the gains.
        `index`
            1 if all modalities contribute equally, 0 if only one contributes. `share`
            and `index` are NaN if no modality has a positive gain, or if a modality has
            no pair, for example because it is never hidden.

    See Also
    --------
    score_parts : The scores by observed pattern.

    Notes
    -----
    MissBench [1]_ proposes an index of this name, for the same purpose. This definition
    is our own, so the numbers are not comparable with those of the paper. Scores of
    patterns with few samples are uncertain. Use several runs.

    References
    ----------
    .. [1] T. A. Pham et al., "MissBench", arXiv:2603.09874.

    Examples
    --------
    >>> from skmissing.benchmark import modality_equity_index, run_benchmark
    >>> results = run_benchmark(
    ...     "breast_cancer", methods="late", regimes="R1", n_runs=2)
    >>> table = modality_equity_index(results, metric="log_loss")
    >>> table.sort_values("share")[["modality", "n_pairs"]]
      modality  n_pairs
    1    error        3
    0     mean        3
    2    worst        3
    """
    check_results(results)
    keys = ["data", "missing", "regime", "method"]
    rates = results.filter(regex=r"^test_missing\.").groupby(results["data"]).count()
    tables = []
    for key, parts in score_parts(results, metric=metric).groupby(keys, sort=False):
        name = parts["metric"].iloc[0]
        scores = parts["mean"] * (-1 if name in LOSSES else 1)
        patterns = [frozenset(part.split(" + ")) - {"none"} for part in parts["part"]]
        scores = dict(zip(patterns, scores))
        of_data = rates.columns[rates.loc[key[0]] > 0]
        modalities = [column.removeprefix("test_missing.") for column in of_data]
        gains = [_pair_gains(scores, m) for m in modalities]
        mean = np.array([np.mean(gain) if gain else np.nan for gain in gains])
        total = np.maximum(mean, 0).sum()
        share = np.maximum(mean, 0) / (total if total > 0 else np.nan)
        index = entr(share).sum() / np.log(len(share)) if len(share) > 1 else np.nan
        columns = {"modality": modalities, "metric": name, "gain": mean}
        columns |= {"n_pairs": [len(gain) for gain in gains], "share": share}
        table = dict(zip(keys, key)) | columns | {"index": index}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def _pair_gains(scores, modality):
    """Differences between patterns, keys of `scores`, with and without a modality."""
    pairs = [(p, p - {modality}) for p in scores if modality in p]
    return [scores[p] - scores[less] for p, less in pairs if less in scores]
