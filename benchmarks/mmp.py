"""Masked modality projection against simpler methods for missing modalities.

    python benchmarks/mmp.py table OUT.csv [DATA.npz ...]
    python benchmarks/mmp.py search OUT.csv [DATA.npz ...]
    python benchmarks/mmp.py consistency OUT.csv [DATA.npz ...]
    python benchmarks/mmp.py cost OUT.csv

`table` trains on complete samples and on samples in which half of the modalities are
missing, and scores every combination of modalities. `search` draws settings, chooses
the best on held-out training samples, and scores it. `consistency` compares losses for
the consistency between fewer and more modalities. `cost` measures numbers of weights
and times. Without files, only embedded data are used. Results are appended to OUT.csv.
Results that are already in the file are not computed again.

A file contains modalities as float32 arrays of two or three axes, the target `y`, and
optionally `split`, which is 2 for test samples.
"""

import csv
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from skmissing.datasets import load_breast_cancer_views, load_digits_views
from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor
from skmissing.fusion import (
    MHSAFusionClassifier,
    MHSAFusionRegressor,
    MMPClassifier,
    MMPRegressor,
    make_ul4m4,
)
from skmissing.inspection import score_by_pattern
from skmissing.simulate import ampute

N_TRAIN, N_TEST, SEEDS, DRAWS, EPOCHS = 600, 400, 3, 8, 50
KEYS = ["part", "data", "regime", "method", "seed"]
FIELDS = [*KEYS, "mean", "full", "one", "valid", "seconds", "params"]


@dataclass
class Data:
    """Data set: columns, their modalities, targets, and test samples or None."""

    name: str
    X: np.ndarray
    modalities: dict
    y: np.ndarray
    test: np.ndarray | None = None

    @property
    def regression(self):
        return self.y.dtype.kind == "f"

    def split(self, seed):
        """At most N_TRAIN training samples and N_TEST test samples."""
        rows = np.arange(len(self.y))
        labels = None if self.regression else self.y
        if self.test is None:
            train, test = train_test_split(
                rows, test_size=0.4, stratify=labels, random_state=seed
            )
        else:
            train, test = rows[~self.test], rows[self.test]
        rng = np.random.RandomState(seed)
        train, test = rng.permutation(train)[:N_TRAIN], rng.permutation(test)[:N_TEST]
        return self.X[train], self.y[train], self.X[test], self.y[test]


def read(path):
    """A data set from a file."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    y, modalities, blocks = arrays["y"], {}, []
    for name, value in arrays.items():
        if value.dtype == np.float32 and value.ndim > 1 and name != "text_glove_mean":
            modalities[name] = value.shape[1:] if value.ndim == 3 else value.shape[1]
            blocks.append(value.reshape(len(value), -1))
    X, test = np.hstack(blocks), None
    if "split" in arrays:
        test = arrays["split"] == 2
    return Data(Path(path).stem, X, modalities, y, test)


def embedded():
    """Data that come with scikit-learn."""
    for name, load in [
        ("digits", load_digits_views),
        ("breast_cancer", load_breast_cancer_views),
    ]:
        bunch = load()
        X, y = np.asarray(bunch.data), np.asarray(bunch.target)
        yield Data(name, X, bunch.modalities, y)


def estimators(data, seed):
    """The methods of the table, by name."""
    late, mhsa, mmp = LateFusionClassifier, MHSAFusionClassifier, MMPClassifier
    if data.regression:
        late, mhsa, mmp = LateFusionRegressor, MHSAFusionRegressor, MMPRegressor
    base = {"modalities": data.modalities, "random_state": seed}
    task = "regression" if data.regression else "classification"
    return {
        "zeros": mhsa(missing="zero", modality_dropout=0, **base),
        "zeros + dropout": mhsa(missing="zero", **base),
        "mask + dropout": mhsa(**base),
        "make_ul4m4": make_ul4m4(task, strategy="soft", **base),
        "late fusion": late("linear", modalities=data.modalities),
        "MMP trunk": mmp(projector="none", modality_dropout=0, **base),
        "MMP trunk + dropout": mmp(projector="none", **base),
        "MMP linear, unaligned": mmp(projector="linear", alignment_weight=0, **base),
        "MMP linear": mmp(projector="linear", **base),
        "MMP": mmp(projector="cross_attention", **base),
    }


def scores(model, X, y, modalities):
    """Mean score of all patterns, of complete samples, and of single modalities."""
    table = score_by_pattern(model, X, y, modalities=modalities)
    values, sizes = np.asarray(table.score), np.asarray(table.n_modalities)
    full = values[sizes == sizes.max()].mean()
    return {"mean": values.mean(), "full": full, "one": values[sizes == 1].mean()}


class Log:
    """Results as lines of a file."""

    def __init__(self, path):
        self.path, self.done = Path(path), set()
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.done = {
                    tuple(row[k] for k in KEYS) for row in csv.DictReader(file)
                }
        else:
            self._write(FIELDS)

    def _write(self, values):
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow(values)

    def add(self, **result):
        result = {
            name: f"{value:.4f}" if isinstance(value, float) else value
            for name, value in result.items()
        }
        self._write([result.get(name, "") for name in FIELDS])
        print(result, flush=True)

    def has(self, *key):
        return tuple(map(str, key)) in self.done


def train_rows(data, regime, seed):
    """Training and test samples. In regime "half", training samples are incomplete."""
    X, y, X_test, y_test = data.split(seed)
    if regime == "half":
        X = ampute(X, 0.5, modalities=data.modalities, random_state=seed + 100)
    return X, y, X_test, y_test


def run_table(log, sets, part="table", methods=estimators):
    """Run every method on every data set, seed by seed."""
    for seed in range(SEEDS):
        for data in sets:
            for regime in ("complete", "half"):
                X, y, X_test, y_test = train_rows(data, regime, seed)
                for name, model in methods(data, seed).items():
                    if log.has(part, data.name, regime, name, seed):
                        continue
                    start = time.process_time()
                    model.fit(X, y)
                    seconds = time.process_time() - start
                    found = scores(model, X_test, y_test, data.modalities)
                    log.add(
                        part=part, data=data.name, regime=regime, method=name,
                        seed=seed, seconds=seconds, **found,
                    )  # fmt: skip


def tied(data, seed):
    """Masked attention with each kind of consistency."""
    make = MHSAFusionRegressor if data.regression else MHSAFusionClassifier
    base = {"modalities": data.modalities, "random_state": seed}
    kinds = (None, "ranking", "distill", "align")
    return {str(kind): make(criterion__consistency=kind, **base) for kind in kinds}


def run_consistency(log, sets):
    """Run the kinds of consistency on every data set."""
    run_table(log, sets, "consistency", tied)


SPACE = {
    "module__tokens_per_vector": [1, 4],
    "dropout_policy": ["uniform_size", "uniform_subset", "bernoulli"],
    "modality_dropout": [0.5, 0.8],
    "module__n_layers": [1, 2],
    "optimizer__weight_decay": [0.01, 0.3],
    "module__dropout": [0.1, 0.3],
}
ALIGNMENT = [0.1, 0.3, 1.0, 3.0]


def run_search(log, sets):
    """Draw the same number of settings for each projector, and test the best ones."""
    for data in sets:
        for regime in ("complete", "half"):
            for projector in ("none", "linear", "cross_attention"):
                if log.has("search", data.name, regime, projector, 0):
                    continue
                search_one(log, data, regime, projector)


def search_one(log, data, regime, projector):
    """Choose on a third of the training samples, and train again on all."""
    X, y, X_test, y_test = train_rows(data, regime, 0)
    labels = None if data.regression else y
    cut = train_test_split(np.arange(len(y)), test_size=1 / 3, stratify=labels,
                           random_state=0)  # fmt: skip
    make = MMPRegressor if data.regression else MMPClassifier
    make = partial(make, max_epochs=EPOCHS, modalities=data.modalities)
    rng, best, start = np.random.RandomState(0), None, time.process_time()
    for draw in range(DRAWS):
        params = {
            name: values[rng.randint(len(values))] for name, values in SPACE.items()
        }
        weight = ALIGNMENT[rng.randint(len(ALIGNMENT))]
        if projector != "none":
            params["alignment_weight"] = weight
        model = make(projector=projector, random_state=0, **params)
        model.fit(X[cut[0]], y[cut[0]])
        # Held-out samples are complete only if training samples are complete.
        if regime == "complete":
            valid = scores(model, X[cut[1]], y[cut[1]], data.modalities)["mean"]
        else:
            valid = model.score(X[cut[1]], y[cut[1]])
        log.add(part="draw", data=data.name, regime=regime, method=projector, seed=draw,
                valid=float(valid), params=params)  # fmt: skip
        if best is None or valid > best[0]:
            best = float(valid), params
    found = []
    for seed in range(2):
        model = make(projector=projector, random_state=seed, **best[1])
        found.append(scores(model.fit(X, y), X_test, y_test, data.modalities))
    means = {name: float(np.mean([f[name] for f in found])) for name in found[0]}
    log.add(part="search", data=data.name, regime=regime, method=projector, seed=0,
            valid=best[0], params=best[1], seconds=time.process_time() - start,
            **means)  # fmt: skip


def run_cost(log):
    """Weights, time per epoch, time to predict 1000 samples; 2 to 12 modalities."""
    rng = np.random.RandomState(0)
    for n_modalities in (2, 3, 4, 6, 8, 12):
        widths, X = [64] * n_modalities, rng.standard_normal((1280, 64 * n_modalities))
        y = np.arange(len(X)) % 5
        for regime, rows in [
            ("complete", X),
            ("half", ampute(X, 0.5, modalities=widths, random_state=0)),
        ]:
            base = {"modalities": widths, "random_state": 0}
            for name, model in {
                "mask + dropout": MHSAFusionClassifier(**base),
                "none": MMPClassifier(projector="none", **base),
                "linear": MMPClassifier(projector="linear", **base),
                "cross_attention": MMPClassifier(projector="cross_attention", **base),
            }.items():
                times = []
                for epochs in (1, 4):
                    start = time.process_time()
                    model.set_params(max_epochs=epochs).fit(rows, y)
                    times.append(time.process_time() - start)
                start = time.process_time()
                model.predict(rows[:1000])
                latency = time.process_time() - start
                weights = sum(w.numel() for w in model.net_.module_.parameters())
                log.add(part="cost", data=n_modalities, regime=regime, method=name,
                        seed=0, seconds=(times[1] - times[0]) / 3, valid=latency,
                        params=weights)  # fmt: skip


def main():
    part, out, *paths = sys.argv[1:]
    torch.set_num_threads(1)
    log = Log(out)
    if part == "cost":
        run_cost(log)
        return
    sets = [*embedded(), *map(read, paths)]
    runs = {
        "table": run_table,
        "search": run_search,
        "consistency": run_consistency,
    }
    runs[part](log, sets)


if __name__ == "__main__":
    main()
