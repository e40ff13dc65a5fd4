"""Coverage of conformal sets by pattern: one quantile for all against one per pattern.

    python benchmarks/coverage_by_pattern.py OUT.csv FILE.npz ...

The embedded sets are added. At most 2 000 samples per run: a quarter trains, a quarter
calibrates, and half are tested. Modalities are hidden in all of them.
"""

import sys
import warnings

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


def read(paths):
    """Triples of a name, X with its modalities, and y."""
    for path in ["digits", "breast_cancer", *paths]:
        data = load_data(path, split="random")
        yield data.name, data.X, data.modalities, data.y
    X, y = load_diabetes(return_X_y=True)
    yield "diabetes", X, {"body": 4, "blood": 6}, y


def measure(X, modalities, y, mechanism, rate, seed):
    """Coverage by pattern for each level and each kind of calibration."""
    rows = np.random.RandomState(seed).permutation(len(X))[:MOST_SAMPLES]
    X, y = np.asarray(X)[rows], np.asarray(y)[rows]
    X = ModalityAmputer(
        rate, mechanism=mechanism, modalities=modalities, random_state=seed
    ).fit_transform(X)
    kept = ~np.isnan(X).all(axis=1)
    X, y = X[kept], y[kept]
    train, held_out, test = np.split(np.arange(len(X)), [len(X) // 4, len(X) // 2])
    classify = y.dtype.kind not in "f"
    kinds = LateFusionClassifier, PatternConformalClassifier
    if not classify:
        kinds = LateFusionRegressor, PatternConformalRegressor
    model = kinds[0]("linear", modalities=modalities).fit(X[train], y[train])
    if classify:  # a class without training samples cannot be in a set
        held_out, test = (r[np.isin(y[r], model.classes_)] for r in (held_out, test))
    plan = [("marginal", [X.shape[1]], "nested")]
    plan += [(patterns, modalities, patterns) for patterns in PATTERNS]
    tables = []
    for name, layout, patterns in plan:
        conformal = kinds[1](
            model, cv="prefit", modalities=layout, patterns=patterns,
            confidence_level=LEVELS[0],
        ).fit(X[held_out], y[held_out])  # fmt: skip
        for level in LEVELS:
            table = coverage_by_pattern(
                conformal.set_params(confidence_level=level), X[test], y[test],
                modalities=modalities, as_frame=True,
            )  # fmt: skip
            table = table.rename(columns={"mean_width": "size", "mean_size": "size"})
            tables.append(table.assign(calibration=name, level=level).reset_index())
    return pd.concat(tables)


def summarize(table):
    """Means and worst pattern per setting, over patterns with enough test samples."""
    table = table[table.n_samples >= LEAST_TESTED].copy()
    error = 1.96 * np.sqrt(table.level * (1 - table.level) / table.n_samples)
    table["short"] = 100 * (table.level - error - table.coverage)
    table["beyond"] = 100.0 * (table.short > 3)
    table["coverage"] *= 100
    table["weighted"] = table.n_samples * table.coverage
    groups = table.groupby(["level", "mechanism", "rate", "calibration"])
    out = groups.agg(
        patterns=("coverage", "size"),
        worst=("coverage", "min"),
        short=("short", "max"),
        beyond=("beyond", "mean"),
        relative=("relative", "mean"),
    )
    out.insert(1, "coverage", groups.weighted.sum() / groups.n_samples.sum())
    return out.round(2)


def main(out, *paths):
    """Measure all sets, write all patterns to a file, and print the summary."""
    tables = []
    for name, X, modalities, y in read(paths):
        for mechanism in ("mcar", "mnar"):
            for rate in RATES:
                for seed in SEEDS:
                    table = measure(X, modalities, y, mechanism, rate, seed)
                    tables.append(
                        table.assign(
                            data=name, mechanism=mechanism, rate=rate, seed=seed
                        )
                    )
        print(name, flush=True)
    table = pd.concat(tables)
    # Sizes relative to those of the marginal quantile for the same samples.
    keys = ["data", "mechanism", "rate", "seed", "level", "pattern"]
    marginal = table[table.calibration == "marginal"].set_index(keys)["size"]
    table["relative"] = (
        table["size"].to_numpy()
        / marginal.loc[pd.MultiIndex.from_frame(table[keys])].to_numpy()
    )
    table.round(4).to_csv(out, index=False)
    print(summarize(table).to_string())


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:])
