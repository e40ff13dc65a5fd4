"""One cell of the benchmark: data, what is missing, regime, method and seed."""

import hashlib
import itertools
import json
import os
import time
import warnings
from dataclasses import asdict, dataclass

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
from skmissing.benchmark._data import split_rows
from skmissing.benchmark._memory import PeakMemory
from skmissing.benchmark._methods import make_method
from skmissing.metrics import multilabel_f1, sentiment_scores
from skmissing.simulate import ampute, make_amputer, missing_rates

REGIMES = {
    "R1": "complete training rows, modalities hidden at test time only",
    "R2": "modalities hidden in training and at test time",
}
# The score that tables are made of, by task.
MAIN_SCORES = {
    "classification": "accuracy",
    "regression": "mae",
    "multilabel": "f1_micro",
}
# Of these less is better; of all others more is.
LOSSES = {"mae", "mse"}
MOST_WARNINGS = 3


@dataclass(frozen=True)
class Cell:
    """What a row of the results stands for.

    Attributes
    ----------
    data, missing, regime, method : str
    seed : int
        Number of the run; seeds the split, the masks and the method.
    protocol : str
        Checksum of the data and of what else decides the numbers.
    """

    data: str
    missing: str
    regime: str
    method: str
    seed: int
    protocol: str

    @property
    def stream(self):
        """Seed of the split and the masks: the same for all methods and regimes."""
        text = json.dumps([self.data, self.missing, self.seed])
        digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "little") >> 1


def protocol_of(data, test_size, max_rows):
    """Checksum of what the numbers depend on beside the cell's own fields."""
    text = json.dumps([data.fingerprint, test_size, max_rows])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def make_cells(data, missing, regimes, methods, n_runs, *, test_size, max_rows):
    """All cells, run by run, so that an interrupted benchmark has whole runs.

    Parameters
    ----------
    data : list of BenchmarkData
    missing, regimes, methods : list of str
    n_runs : int
    test_size : float
    max_rows : int or None

    Returns
    -------
    list of Cell
    """
    protocols = {d.name: protocol_of(d, test_size, max_rows) for d in data}
    return [
        Cell(name, gaps, regime, method, seed, protocols[name])
        for seed, name, gaps, regime, method in itertools.product(
            range(n_runs), protocols, missing, regimes, methods
        )
    ]


def draw_rows(cell, data, *, test_size, max_rows):
    """The rows of a cell, with modalities hidden.

    Parameters
    ----------
    cell : Cell
    data : BenchmarkData
    test_size : float
    max_rows : int or None

    Returns
    -------
    dict
        `X_train`, `y_train`, `X_test`, `y_test` as the method gets them, and
        `X_full`, the test rows before anything is hidden.

    Notes
    -----
    The split depends on data and seed only. Masks come from one amputer that is
    fitted on the training rows: what a mechanism learns, test rows do not teach it,
    and the modalities that `(pm, ps)` draws are the same in both parts. It draws
    each row's mask from a hash of the row, hence training and test rows are
    independent; and regimes and methods share the masks of a seed.
    """
    train, test = split_rows(data, cell.seed, test_size=test_size, max_rows=max_rows)
    X_train, X_full = data.X[train], data.X[test]
    y_train, y_test = data.y[train], data.y[test]
    params = {"modalities": data.modalities, "random_state": cell.stream}
    mechanism, _, gaps = cell.missing.partition(":")
    if mechanism in ("label", "group"):
        # transform is given no y, and sites of test rows may be new: two amputers.
        by = {"label": ("y", data.y), "group": ("groups", data.groups)}[mechanism]
        hidden_train, X_test = (
            ampute(part, gaps, mechanism=mechanism, **{by[0]: by[1][rows]}, **params)
            for part, rows in ((X_train, train), (X_full, test))
        )
    else:
        amputer = make_amputer(cell.missing, **params)
        amputer.set_output(transform="default")
        hidden_train = amputer.fit_transform(X_train)
        X_test = amputer.transform(X_full)
    return {
        "X_train": hidden_train if cell.regime == "R2" else X_train,
        "y_train": y_train,
        "X_test": X_test,
        "y_test": y_test,
        "X_full": X_full,
    }


def run_cell(cell, data, *, test_size, max_rows):
    """Fit and score one method on the rows of one run.

    Parameters
    ----------
    cell : Cell
    data : BenchmarkData
    test_size : float
    max_rows : int or None

    Returns
    -------
    dict
        A row of the results; with `error`, and without scores, if the cell failed.
    """
    row = {**asdict(cell), "error": None, "version": skmissing.__version__}
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row |= _measure(cell, data, test_size, max_rows)
        except Exception as exc:  # noqa: BLE001 - a cell must not stop the others
            row["error"] = f"{type(exc).__name__}: {exc}".strip()
    row["wall_seconds"] = round(time.perf_counter() - started, 4)
    said = dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught)
    row["n_warnings"] = len(said)
    row["warnings"] = [text[:300] for text in list(said)[:MOST_WARNINGS]]
    return row


def _measure(cell, data, test_size, max_rows):
    rows = draw_rows(cell, data, test_size=test_size, max_rows=max_rows)
    train, test = rows["X_train"], rows["X_test"]
    model = make_method(
        cell.method,
        task=data.task,
        modalities=data.modalities,
        n_features=data.X.shape[1],
        random_state=cell.stream % 10**6,
    )
    with PeakMemory() as memory:
        start = time.perf_counter()
        model.fit(train, rows["y_train"])
        fitted = time.perf_counter()
        predicted = model.predict(test)
        done = time.perf_counter()
    full = score_predictions(data, rows["y_test"], model.predict(rows["X_full"]))
    rates = [missing_rates(part, modalities=data.modalities) for part in (train, test)]
    return {
        "task": data.task,
        "scores": score_predictions(data, rows["y_test"], predicted),
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


def score_predictions(data, y, predicted):
    """All scores of a task, by name.

    Parameters
    ----------
    data : BenchmarkData
    y, predicted : ndarray of shape (n_samples,) or (n_samples, n_labels)

    Returns
    -------
    dict of str to float
    """
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
    return {name: _plain(value) for name, value in scores.items()}


def check_metric(metric, data):
    """Refuse a score that some data do not have.

    Parameters
    ----------
    metric : str
    data : list of BenchmarkData
    """
    for each in data:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only the names are looked at
            known = score_predictions(each, each.y, each.y)
        if metric not in known:
            raise ValueError(
                f"metric={metric!r} is not among the scores of {each.name}: "
                f"{', '.join(known)}."
            )


def _plain(value):
    """A float as JSON takes it."""
    return float(value) if np.isfinite(value) else None
