"""Coverage of conformal sets by pattern: one quantile for all against one per pattern.

    python benchmarks/coverage_by_pattern.py FOLDER FILE.npz ...

The embedded sets are added. At most 2 000 samples per run: half of them are tested, and
modalities are hidden in all. Half of the others train and half calibrate the model.
With cv=5, there are at most 1 000 samples, and half of them do both. Writes the
coverage of all patterns, and tables, to the folder.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from skmissing import ModalityAmputer, ModalityWarning
from skmissing.benchmark import load_data
from skmissing.conformal import (
    PatternConformalClassifier,
    PatternConformalRegressor,
    coverage_by_pattern,
)
from skmissing.ensemble import LateFusionClassifier, LateFusionRegressor

LEVELS, RATES, SEEDS = (0.8, 0.9, 0.95), (0.3, 0.5, 0.7), (0, 1, 2)
PATTERNS, MOST_SAMPLES, LEAST_TESTED = ("mondrian", "nested", "weighted"), 2000, 50
SETTING, CELL = ["level", "mechanism", "missing"], ["data", "pattern", "calibration"]


def read(paths):
    """Triples of a name, X with its modalities, and y."""
    for path in ["digits", "breast_cancer", *paths]:
        data = load_data(path, split="random")
        yield data.name, data.X, data.modalities, data.y
    X, y = load_diabetes(return_X_y=True)
    yield "diabetes", X, {"body": 4, "blood": 6}, y


def measure(X, modalities, y, mechanism, rate, seed, cv):
    """Coverage by pattern for each level and each kind of calibration."""
    most = MOST_SAMPLES if cv == "prefit" else MOST_SAMPLES // 2
    rows = np.random.RandomState(seed).permutation(len(X))[:most]
    X, y = np.asarray(X)[rows], np.asarray(y)[rows]
    X = ModalityAmputer(
        rate, mechanism=mechanism, modalities=modalities, random_state=seed
    ).fit_transform(X)
    kept = ~np.isnan(X).all(axis=1)
    X, y = X[kept], y[kept]
    train, held_out, test = np.split(np.arange(len(X)), [len(X) // 4, len(X) // 2])
    kinds = LateFusionRegressor, PatternConformalRegressor
    if y.dtype.kind != "f":
        kinds = LateFusionClassifier, PatternConformalClassifier
        # A class without training samples cannot be in a set.
        held_out, test = (r[np.isin(y[r], y[train])] for r in (held_out, test))
    model = kinds[0]("linear", modalities=modalities)
    if cv == "prefit":
        model.fit(X[train], y[train])
    else:
        held_out = np.concatenate([train, held_out])
    plan = [("marginal", [X.shape[1]], "nested")]
    for patterns in PATTERNS if cv == "prefit" else PATTERNS[:1]:
        plan.append((patterns, modalities, patterns))
    tables = []
    for name, layout, patterns in plan:
        conformal = kinds[1](
            model, cv=cv, modalities=layout, patterns=patterns,
            confidence=LEVELS[0],
        ).fit(X[held_out], y[held_out])  # fmt: skip
        for level in LEVELS:
            table = coverage_by_pattern(
                conformal.set_params(confidence=level), X[test], y[test],
                modalities=modalities, as_frame=True,
            )  # fmt: skip
            table = table.rename(columns={"mean_width": "size", "mean_size": "size"})
            tables.append(table.assign(calibration=name, level=level).reset_index())
    table = pd.concat(tables)
    return table.assign(mechanism=mechanism, missing=rate, seed=seed, cv=cv)


def pool(table):
    """Add up the test samples of the seeds, and compare their coverage to the level.

    `short` is how much the coverage is below the level, beyond the binomial error.
    """
    table = table.assign(
        hits=table.n_samples * table.coverage, total=table.n_samples * table["size"]
    )
    table = table.groupby(SETTING + CELL)[["n_samples", "hits", "total"]].sum()
    table = table[table.n_samples >= LEAST_TESTED].reset_index()
    error = 1.96 * np.sqrt(table.level * (1 - table.level) / table.n_samples)
    table["coverage"] = table.hits / table.n_samples
    table["short"] = table.level - error - table.coverage
    table["beyond"] = table.short > 0.03
    return table


def summarize(table, keys):
    """One row per value of the keys; percentages, and sizes relative to marginal."""
    by = table.groupby([*keys, "calibration"])
    share = by.hits.sum() / by.n_samples.sum()
    parts = {"mean": share, "worst": by.coverage.min(), "short": by.short.max()}
    columns = {"patterns": by.size().unstack()["marginal"]}
    for name in ("marginal", PATTERNS[0]):
        for part, values in parts.items():
            columns[f"{name}, {part}"] = (100 * values.unstack()[name]).round(1)
    for name, beyond in by.beyond.sum().unstack().items():
        columns[f"{name}, > 3"] = beyond
    total = table.groupby([*SETTING, "data", "calibration"]).total.sum().unstack()
    size = total[PATTERNS[0]] / total["marginal"]
    columns["size"] = size.groupby(keys).median().round(2)
    return pd.DataFrame(columns).reset_index()


def main(folder, *paths):
    """Measure all sets, write the tables, and print them."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    tables = []
    for name, X, modalities, y in read(paths):
        for mechanism in ("mcar", "mnar"):
            for seed in SEEDS:
                for rate, cv in [*((rate, "prefit") for rate in RATES), (0.5, 5)]:
                    table = measure(X, modalities, y, mechanism, rate, seed, cv)
                    tables.append(table.assign(data=name))
        print(name, flush=True)
    report(pd.concat(tables), Path(folder))


def report(table, folder):
    """Write and print the tables."""
    table.round(4).to_csv(folder / "coverage_patterns.csv", index=False)
    split, cross = (pool(table[(table.cv == "prefit") == known]) for known in (1, 0))
    for name, part, keys in (
        ("rates", split, SETTING),
        ("sets", split, ["data", "mechanism"]),
        ("cv", cross, SETTING),
    ):
        summary = summarize(part, keys)
        summary.to_csv(folder / f"coverage_{name}.csv", index=False)
        print(summary.to_string())


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:])
