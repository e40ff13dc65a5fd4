"""A method of each family of the literature on a folder of .npz files.

    python benchmarks/families.py FOLDER OUT [N_RUNS]

At most 400 samples per run, 30, 50 and 70 % of the modalities missing, both regimes,
random splits. Files of other tasks than classification are left out. Interrupted runs
go on with the same OUT. Prints accuracy and time, and the difference to linear late
fusion on the same samples.
"""

import sys
import warnings
from itertools import product
from pathlib import Path

import pandas as pd

from skmissing import ModalityWarning
from skmissing.benchmark import load_data, run_benchmark

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
    report(pd.concat(tables.values()))


def report(results):
    """Print means over sets and runs."""
    results = results.rename(columns={"scores.accuracy": "accuracy"})
    same = ["data", "missing", "regime", "seed"]
    late = results[results["method"] == "late"].set_index(same)["accuracy"]
    results = results.join(late.rename("late"), on=same)
    results["difference"] = results["accuracy"] - results["late"]
    keys = ["method", "missing", "regime"]
    for score in ("accuracy", "difference"):
        table = 100 * results.groupby(keys)[score].mean().unstack([1, 2])
        print(f"\n{score}, in percent\n{table.round(1).to_string()}")
    counts = results.groupby("method").agg(
        runs=("accuracy", "count"), failed=("error", "count"), sets=("data", "nunique")
    )
    seconds = results.groupby("method")["fit_seconds"].median().rename("seconds")
    print(counts.join(seconds.round(2)).to_string())
    print(results["error"].dropna().value_counts().to_string())


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
