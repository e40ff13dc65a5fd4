"""One cell of the benchmark: data, what is missing, regime, method and seed."""

import hashlib
import itertools
import json
import os
import time
import types
import warnings
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path

import numpy as np

import skmissing
from skmissing.benchmark import _methods
from skmissing.benchmark._data import BenchmarkData, did_you_mean, split_rows
from skmissing.benchmark._scores import (
    SCORES,
    Predictions,
    name_patterns,
    predict_test,
    score_groups,
    score_predictions,
)
from skmissing.simulate import ampute, make_amputer, missing_rates

REGIMES = {
    "R1": "complete training samples, modalities hidden at test time only",
    "R2": "modalities hidden in training and at test time",
}
MOST_WARNINGS = 3
_NO_NUMBERS = (
    str,
    bytes,
    type,
    types.ModuleType,
    types.FunctionType,
    np.random.RandomState,
)


@dataclass(frozen=True)
class Cell:
    """One line of the results."""

    data: str
    missing: str
    regime: str
    method: str
    seed: int  # of the split, the masks and the method
    protocol: str  # checksum of the data, the settings and the method

    @property
    def stream(self):
        """Seed of the split and the masks: the same for all methods and regimes."""
        text = json.dumps([self.data, self.missing, self.seed])
        digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "little") >> 1


@dataclass(frozen=True)
class Split:
    """Training and test samples of one run, as yielded by :func:`splits`.

    Parameters
    ----------
    data : BenchmarkData
        The whole data set.
    missing : str
        Configuration of hidden modalities.
    regime : {"R1", "R2"}
        Whether modalities are hidden in the test samples only, or in both.
    seed : int
        Number of the run.
    protocol : str
        Checksum of the data and the settings.
    random_state : int
        Seed for a method. It is the same for all methods of a run.
    train, test : ndarray of int
        Positions of the samples in the data.
    X_train : ndarray of shape (n_train_samples, n_features)
        Training samples. Hidden modalities are NaN.
    y_train : ndarray of shape (n_train_samples,) or (n_train_samples, n_labels)
        Their targets.
    X_test : ndarray of shape (n_test_samples, n_features)
        Test samples. Hidden modalities are NaN.
    y_test : ndarray of shape (n_test_samples,) or (n_test_samples, n_labels)
        Their targets.
    X_full : ndarray of shape (n_test_samples, n_features)
        Test samples before modalities are hidden.

    Examples
    --------
    >>> from skmissing.benchmark import splits
    >>> split = next(splits("breast_cancer", "mcar:0.5"))
    >>> split.regime, split.X_train.shape, split.X_test.shape
    ('R1', (341, 30), (228, 30))
    """

    data: BenchmarkData
    missing: str
    regime: str
    seed: int
    protocol: str
    random_state: int
    train: np.ndarray
    test: np.ndarray
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    X_full: np.ndarray


def make_cells(
    data, missing, regimes, methods, n_runs, scorers=(), *, test_size, max_rows
):
    """Make all cells in the order of the results. Methods are a dict."""
    protocols = {}
    for d in data:
        # Once per data set, because the checksum reads all values.
        parts = [d.fingerprint, test_size, max_rows, *scorers]
        setting = make_setting(d, 0, len(d.X))
        for name, method in methods.items():
            of_method = _methods.fingerprint(name, method, setting)
            protocols[d.name, name] = _checksum(parts, of_method)
    return [
        Cell(name, gaps, regime, method, seed, protocols[name, method])
        for name, gaps, regime, method, seed in itertools.product(
            [d.name for d in data], missing, regimes, methods, range(n_runs)
        )
    ]


def make_setting(data, random_state, n_samples):
    """What a method may know of the data before it is fitted."""
    clustering = data.task == "clustering"
    return _methods.Setting(
        task=data.task,
        modalities=data.modalities,
        n_features=data.X.shape[1],
        seed=random_state,
        most_clusters=n_samples,
        n_classes=len(np.unique(data.y)) if clustering else None,
    )


def _checksum(parts, of_method):
    text = json.dumps([*parts, of_method] if of_method else parts)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def make_split(cell, data, *, test_size, max_rows):
    """The samples of a cell, with modalities hidden.

    One amputer is fitted to the training samples and hides modalities of both parts, so
    that mechanisms learn nothing from test samples.
    """
    train, test = split_rows(data, cell.seed, test_size=test_size, max_rows=max_rows)
    X_train, X_full = data.X[train], data.X[test]
    params = {"modalities": data.modalities, "random_state": cell.stream}
    amputer = make_amputer(cell.missing, **params)
    mechanism = amputer.mechanism
    if mechanism in ("label", "group"):
        # Two amputers, because transform takes no y, and test groups may be new.
        key, values = {"label": ("y", data.y), "group": ("groups", data.groups)}[
            mechanism
        ]
        hidden_train, X_test = (
            ampute(
                part,
                amputer.missing,
                config=amputer.config,
                mechanism=mechanism,
                segment=amputer.segment,
                **{key: values[rows]},
                **params,
            )
            for part, rows in ((X_train, train), (X_full, test))
        )
    else:
        amputer.set_output(transform="default")
        hidden_train = amputer.fit_transform(X_train)
        X_test = amputer.transform(X_full)
    return Split(
        data=data,
        missing=cell.missing,
        regime=cell.regime,
        seed=cell.seed,
        protocol=cell.protocol,
        random_state=cell.stream % 10**6,
        train=train,
        test=test,
        X_train=hidden_train if cell.regime == "R2" else X_train,
        y_train=data.y[train],
        X_test=X_test,
        y_test=data.y[test],
        X_full=X_full,
    )


def run_cell(cell, data, method, scorers, *, test_size, max_rows):
    """Fit and score one method. A failed cell has an `error` and no scores."""
    row = {**asdict(cell), "error": None, "version": skmissing.__version__}
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            split = make_split(cell, data, test_size=test_size, max_rows=max_rows)
            row |= _measure(split, method, scorers)
        except Exception as exc:  # noqa: BLE001 - a cell must not stop the others
            row["error"] = f"{type(exc).__name__}: {exc}".strip()
    row["wall_seconds"] = round(time.perf_counter() - started, 4)
    texts = dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)
    row["n_warnings"] = len(texts)
    row["warnings"] = [text[:300] for text in list(texts)[:MOST_WARNINGS]]
    return row


def _measure(split, method, scorers):
    data, X, y = split.data, split.X_test, split.y_test
    n_observed = int((~np.isnan(split.X_train)).any(axis=1).sum())
    setting = make_setting(data, split.random_state, n_observed)
    model = _methods.build(method, setting)
    with PeakMemory() as memory:
        start = time.perf_counter()
        if data.task == "clustering":
            model.fit(split.X_train)
        else:
            model.fit(split.X_train, split.y_train)
        fitted = time.perf_counter()
        predicted = predict_test(model, X)
        done = time.perf_counter()
    found = Predictions.of(model, X, data.task, predicted)
    full = Predictions.of(model, split.X_full, data.task)
    row = describe_split(split) | score_split(split, found)
    for name, scorer in scorers.items():
        row["scores"][name] = _finite(scorer(model, X, y), name)
    row["full_scores"] = score_predictions(data, y, full) | {
        name: _finite(scorer(model, split.X_full, y), name)
        for name, scorer in scorers.items()
    }
    return row | {
        "fit_seconds": round(fitted - start, 4),
        "predict_seconds": round(done - fitted, 4),
        "peak_mb": memory.peak_mb,
        "n_parameters": count_parameters(model),
        "pid": os.getpid(),
    }


def _finite(value, name):
    if not isinstance(value, Real):
        raise TypeError(f"scoring[{name!r}] must return a number; got {value!r}.")
    return float(value) if np.isfinite(value) else None


def describe_split(split):
    """Describe the samples of a split for the results."""
    rates = [
        missing_rates(part, modalities=split.data.modalities)
        for part in (split.X_train, split.X_test)
    ]
    return {
        "task": split.data.task,
        "n_train": len(split.X_train),
        "n_test": len(split.X_test),
        "train_missing": rates[0],
        "test_missing": rates[1],
    }


def score_split(split, predictions):
    """Scores of predictions for the test samples, by pattern and by group."""
    data, y = split.data, split.y_test
    predictions.check(y, data)
    patterns = name_patterns(split.X_test, data.modalities)
    row = {
        "scores": score_predictions(data, y, predictions),
        "pattern_scores": score_groups(data, y, predictions, patterns),
    }
    if data.score_groups is not None:
        groups = data.score_groups[split.test]
        row["group_scores"] = score_groups(data, y, predictions, groups)
    return row


def count_parameters(model):
    """Count the numbers that a fitted model holds, in arrays, tensors and trees.

    Estimators that store training samples count these as well.
    """
    left, seen, total = [model], set(), 0
    while left:
        value = left.pop()
        if id(value) in seen or isinstance(value, _NO_NUMBERS):
            continue
        seen.add(id(value))
        if hasattr(value, "module_"):  # a network of skorch, without its optimizer
            left.append(value.module_)
        elif hasattr(value, "parameters") and hasattr(value, "state_dict"):
            total += sum(p.numel() for p in value.parameters())
        elif isinstance(value, np.ndarray) and value.dtype != object:
            total += value.size
        elif hasattr(value, "node_count"):
            total += value.node_count
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, (list, tuple, set)):
            left += value
        elif isinstance(value, np.ndarray):
            left += value.ravel().tolist()
        elif hasattr(value, "__dict__"):
            left += vars(value).values()
    return total


class PeakMemory:
    """Measures the peak growth of the process in MiB, on Linux only (else None)."""

    peak_mb = _start = None

    def __enter__(self):
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._start = self._read("VmRSS")
        except (OSError, LookupError):
            self._start = None
        return self

    def __exit__(self, *exc_info):
        if self._start is not None:
            self.peak_mb = round(max(0.0, self._read("VmHWM") - self._start) / 1024, 1)

    @staticmethod
    def _read(field):
        """A field of the process status, in KiB."""
        text = Path("/proc/self/status").read_text()
        return int(dict(line.split(":", 1) for line in text.splitlines())[field][:-2])


def check_metric(metric, data, scorers=()):
    """Check that all data sets have this score."""
    for each in data:
        known = [*SCORES[each.task], *scorers]
        if each.sentiment:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # only the names count
                known += score_predictions(each, each.y, Predictions(each.y))
        if metric not in known:
            raise ValueError(
                f"metric={metric!r} is not among the scores of {each.name}: "
                f"{', '.join(dict.fromkeys(known))}.{did_you_mean(metric, known)}"
            )
