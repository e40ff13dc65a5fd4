"""One cell of the benchmark: data, what is missing, regime, method and seed."""

import hashlib
import itertools
import json
import os
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)

import skmissing
from skmissing.benchmark._data import did_you_mean, split_rows
from skmissing.benchmark._methods import make_method
from skmissing.metrics import multilabel_f1, sentiment_scores
from skmissing.simulate import ampute, make_amputer, missing_rates

REGIMES = {
    "R1": "complete training samples, modalities hidden at test time only",
    "R2": "modalities hidden in training and at test time",
}
# The score in tables, by task.
MAIN_SCORES = {
    "classification": "accuracy",
    "regression": "mae",
    "multilabel": "f1_micro",
}
# For these scores, less is better. For all others, more is better.
LOSSES = {"mae", "mse", "log_loss", "calibration_error"}
MOST_WARNINGS = 3


@dataclass(frozen=True)
class Cell:
    """One line of the results."""

    data: str
    missing: str
    regime: str
    method: str
    seed: int  # of the split, the masks and the method
    protocol: str  # checksum of the data and of the settings

    @property
    def stream(self):
        """Seed of the split and the masks: the same for all methods and regimes."""
        text = json.dumps([self.data, self.missing, self.seed])
        digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "little") >> 1


def make_cells(data, missing, regimes, methods, n_runs, *, test_size, max_rows):
    """Make all cells in the order of the results."""
    protocols = {}
    for d in data:
        text = json.dumps([d.fingerprint, test_size, max_rows])
        protocols[d.name] = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    return [
        Cell(*names, seed, protocols[names[0]])
        for *names, seed in itertools.product(
            protocols, missing, regimes, methods, range(n_runs)
        )
    ]


def draw_rows(cell, data, *, test_size, max_rows):
    """The samples of a cell, with modalities hidden, as a dict of arrays.

    One amputer is fitted to the training samples and hides modalities of both parts, so
    that mechanisms learn nothing from test samples. `X_full` is the test samples before
    modalities are hidden.
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
                **{key: values[rows]},
                **params,
            )
            for part, rows in ((X_train, train), (X_full, test))
        )
    else:
        amputer.set_output(transform="default")
        hidden_train = amputer.fit_transform(X_train)
        X_test = amputer.transform(X_full)
    return {
        "X_train": hidden_train if cell.regime == "R2" else X_train,
        "y_train": data.y[train],
        "X_test": X_test,
        "y_test": data.y[test],
        "X_full": X_full,
    }


def run_cell(cell, data, *, test_size, max_rows):
    """Fit and score one method. A failed cell has an `error` and no scores."""
    row = {**asdict(cell), "error": None, "version": skmissing.__version__}
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row |= _measure(cell, data, test_size, max_rows)
        except Exception as exc:  # noqa: BLE001 - a cell must not stop the others
            row["error"] = f"{type(exc).__name__}: {exc}".strip()
    row["wall_seconds"] = round(time.perf_counter() - started, 4)
    texts = dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)
    row["n_warnings"] = len(texts)
    row["warnings"] = [text[:300] for text in list(texts)[:MOST_WARNINGS]]
    return row


def _measure(cell, data, test_size, max_rows):
    rows = draw_rows(cell, data, test_size=test_size, max_rows=max_rows)
    train, test = rows["X_train"], rows["X_test"]
    model = make_method(
        cell.method,
        task=data.task,
        modalities=data.modalities,
        n_features=data.X.shape[1],
        n_samples=int((~np.isnan(train)).any(axis=1).sum()),
        random_state=cell.stream % 10**6,
    )
    with PeakMemory() as memory:
        start = time.perf_counter()
        model.fit(train, rows["y_train"])
        fitted = time.perf_counter()
        predicted = model.predict(test)
        done = time.perf_counter()
    full = score_method(data, rows["y_test"], model, rows["X_full"])
    rates = [missing_rates(part, modalities=data.modalities) for part in (train, test)]
    return {
        "task": data.task,
        "scores": score_method(data, rows["y_test"], model, test, predicted),
        "full_scores": full,
        "n_train": len(train),
        "n_test": len(test),
        "train_missing": rates[0],
        "test_missing": rates[1],
        "fit_seconds": round(fitted - start, 4),
        "predict_seconds": round(done - fitted, 4),
        "peak_mb": memory.peak_mb,
        "pid": os.getpid(),
    }


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


def score_method(data, y, model, X, predicted=None):
    """All scores of a fitted method, by name."""
    predicted = model.predict(X) if predicted is None else predicted
    scores = score_predictions(data, y, predicted)
    if data.task == "classification" and hasattr(model, "predict_proba"):
        scores |= score_probabilities(y, model.predict_proba(X), model.classes_)
    return scores


def score_probabilities(y, proba, classes):
    """Log-loss and expected calibration error (ten bins). Unseen classes get 0."""
    every = np.union1d(classes, y)
    full = np.zeros((len(y), len(every)))
    full[:, np.searchsorted(every, classes)] = proba
    confidence = full.max(axis=1)
    hits = every[full.argmax(axis=1)] == y
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = np.bincount(bins, hits - confidence, minlength=10)
    # For the true class, a probability of 0 counts as 1e-4.
    true = np.clip(full[np.arange(len(y)), np.searchsorted(every, y)], 1e-4, 1)
    return {
        "log_loss": float(-np.log(true).mean()),
        "calibration_error": float(np.abs(gaps).sum() / len(y)),
    }


def score_predictions(data, y, predicted):
    """All scores of a task, by name; None if a score is undefined."""
    if data.task == "multilabel":
        return {
            "f1_micro": multilabel_f1(y, predicted),
            "f1_macro": multilabel_f1(y, predicted, average="macro"),
        }
    if data.task == "classification":
        scores = {
            "accuracy": accuracy_score(y, predicted),
            "balanced_accuracy": balanced_accuracy_score(y, predicted),
            "f1_macro": f1_score(y, predicted, average="macro", zero_division=0.0),
        }
    else:
        scores = {
            "mae": mean_absolute_error(y, predicted),
            "mse": mean_squared_error(y, predicted),
            "r2": r2_score(y, predicted),
        }
        if data.sentiment:
            scores |= sentiment_scores(y, predicted)
    return {k: float(v) if np.isfinite(v) else None for k, v in scores.items()}


def check_metric(metric, data):
    """Check that all data sets have this score."""
    for each in data:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only the names count
            known = [*score_predictions(each, each.y, each.y)]
        if each.task == "classification":
            known += ["log_loss", "calibration_error"]
        if metric not in known:
            raise ValueError(
                f"metric={metric!r} is not among the scores of {each.name}: "
                f"{', '.join(known)}.{did_you_mean(metric, known)}"
            )
