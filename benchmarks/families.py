"""A method of each family of the literature on a folder of .npz files.

    python benchmarks/families.py FOLDER OUT [N_RUNS]

At most 400 samples per run, 30, 50 and 70 % of the modalities missing, both regimes,
random splits. Files of other tasks than classification are left out. Interrupted runs
go on with the same OUT. Writes and prints OUT/families.csv: the differences of the
accuracy to linear late fusion on the same samples, and the times of the fits.
"""

import sys
import warnings
from itertools import product
from pathlib import Path

import pandas as pd

from skmissing import ModalityWarning
from skmissing.benchmark import list_methods, load_data, run_benchmark

LIGHT = [
    *("mean", "hot_deck", "retrieval", "propagation", "ridge", "factor", "stack"),
    *("soft", "greedy", "gcca", "hgb", "pattern", "late", "auto", "routed"),
]
NETWORKS = [
    *("pooled", "mask", "film", "prompt", "missmodal", "distill", "simmlm", "ul4m4"),
    *("shaspec", "icl_ca", "m3care", "vae", "autoencoder", "mmp", "actionmae"),
    "bottleneck",
]
MISSING = ["mcar:0.5", "mcar:0.3", "mcar:0.7"]


def main(folder, out, n_runs=3):
    """Run and print the tables."""
    data = [load_data(path, split="random") for path in sorted(Path(folder).iterdir())]
    data = [
        d for d in data
        if d.task == "classification" and not any("-" in n for n in d.modalities)
    ]  # fmt: skip
    tables = {}
    for runs in range(1, n_runs + 1):
        for plan in product(MISSING, (LIGHT, NETWORKS), data):
            missing, methods, one = plan
            tables[missing, methods[0], one.name] = run_benchmark(
                one, missing, methods, n_runs=runs, max_rows=400,
                out=Path(out) / one.name,
            )  # fmt: skip
    report(pd.concat(tables.values()), out)


def report(results, out):
    """Write and print the means over sets and runs."""
    results = results.rename(columns={"scores.accuracy": "accuracy"})
    same = ["data", "missing", "regime", "seed"]
    late = results[results["method"] == "late"].set_index(same)["accuracy"]
    results = results.join(late.rename("late"), on=same)
    results["points"] = 100 * (results["accuracy"] - results["late"])
    every, families, rows = results["data"].nunique(), list_methods(), {}
    for method, own in results.groupby("method"):
        row = {"method": method, "family": families[method].partition(":")[0]}
        for missing, regime in product(sorted(MISSING), ("R1", "R2")):
            some = own[(own["missing"] == missing) & (own["regime"] == regime)]
            by_set = some.groupby("data")["points"].mean()
            share = f"{regime}, {100 * float(missing[5:]):.0f} %"
            row[share] = signed(by_set.mean()) if len(by_set) == every else ""
        half = own[own["missing"] == "mcar:0.5"].groupby("data")["points"].mean()
        row["worst set"] = f"{signed(half.min())} ({half.idxmin()})"
        row["runs"] = own["accuracy"].count()
        row["seconds"] = f"{own['fit_seconds'].median():.1f}"
        rows[half.mean(), method] = row
    table = pd.DataFrame([rows[key] for key in sorted(rows, reverse=True)])
    table.to_csv(Path(out) / "families.csv", index=False)
    print(table.to_string())
    print(f"{results['error'].notna().sum()} of {len(results)} runs failed")


def signed(points):
    """A difference with its sign."""
    return f"{points:+.1f}".replace("-", "−")


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
