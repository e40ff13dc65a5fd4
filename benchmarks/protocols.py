"""Protocols of papers on a folder of .npz files: scores by method, and modality equity.

    python benchmarks/protocols.py FOLDER [OUT]

At most 600 samples per run and two runs. Files of other tasks than classification are
left out. Interrupted runs go on with the same OUT.
"""

import sys
import warnings
from pathlib import Path

import pandas as pd

from skmissing import ModalityWarning
from skmissing.benchmark import load_data, modality_equity_index, run_benchmark

METHODS = ["mean", "knn", "ridge", "late"]


def protocols(names):
    """Configurations by protocol, for the modalities of a data set."""
    # The first modality is the most reliable one, the last is often missing.
    keep = [round(90 - 70 * i / max(1, len(names) - 1)) for i in range(len(names))]
    unequal = "-".join(f"{share}-{name}" for share, name in zip(keep, names))
    without = "-".join(f"{0 if n == names[0] else 100}-{n}" for n in names)
    return {
        "shared rate (MissBench)": "mcar:0.5",
        "unequal rates (MissBench)": unequal,
        "segments (MuteBench)": "segment:0.3",
        "modalities and segments (MuteBench)": "mcar:0.3+segment:0.3",
        "first modality missing (MissMAC-Bench)": without,
    }


def main(folder, out="protocols"):
    """Run and print the tables."""
    tables = []
    for path in sorted(Path(folder).glob("*.npz")):
        data = load_data(path, split="random")
        if data.task != "classification" or any("-" in n for n in data.modalities):
            continue
        by_text = {text: name for name, text in protocols([*data.modalities]).items()}
        results = run_benchmark(
            data, [*by_text], METHODS, n_runs=2, max_rows=600, out=Path(out) / data.name
        )
        tables.append(results.assign(protocol=results["missing"].map(by_text)))
        equity = modality_equity_index(results[results["missing"].isin([*by_text][:2])])
        equity = equity.groupby(["missing", "regime", "method"])["index"].first()
        print(f"{data.name}: modality equity index", flush=True)
        print(equity.unstack("method").round(2).to_string())
    results = pd.concat(tables)
    for regime, table in results.groupby("regime"):
        means = table.pivot_table(
            index=["protocol", "data"], columns="method", values="scores.accuracy"
        )
        print(f"\n{regime}: accuracy\n{(100 * means).round(1).to_string()}")
        print((100 * means.groupby("protocol").mean()).round(1).to_string())
    print(f"{results['error'].notna().sum()} of {len(results)} cells failed.")
    print(results["error"].dropna().value_counts().to_string())


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:])
