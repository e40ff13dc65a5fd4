"""The tables of UL4M4 on data at hand: mosi, Sleep-EDF and mfeat as .npz files.

    python benchmarks/ul4m4_tables.py MOSI SLEEP_EDF MFEAT OUT [N_RUNS]

At most 500 samples per run, regime R2, folds by video or subject. Of mosi, only the
samples of its test split are used, because its extractors saw the other labels. The
encoders and the samples are not those of the paper, so only the order of the methods
can be compared. Interrupted runs go on with the same OUT. Writes and prints the tables
OUT/ul4m4_*.csv, with the paper's figures, and OUT/ul4m4_tests.csv.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from skmissing import ModalityWarning
from skmissing.benchmark import compare_methods, load_data, run_benchmark

METHODS = "shaspec m3care icl_ca simmlm missmodal ul4m4 mask late".split()
MOSI = [
    *("100-text-100-audio-100-video", "100-text-100-audio-20-video"),
    *("100-text-20-audio-100-video", "100-text-20-audio-20-video"),
    *("20-text-100-audio-100-video", "20-text-100-audio-20-video"),
    *("20-text-20-audio-100-video", "complex-20-20-20-10-10-10-10"),
]
# Two shares of modalities that are lost, in four shares of samples.
SHARES = [
    f"mcar:{lost},{samples}" for lost in (0.3, 0.6) for samples in (0.2, 0.4, 0.6, 0.8)
]
# The figures of the paper as they are printed below ours, in the order of the columns.
PAPER = {
    "mosi_accuracy": {
        "shaspec": "35 33 32 30 28 25 27 29",
        "m3care": "36 34 33 31 29 26 28 30",
        "icl_ca": "71 56 78 56 67 56 65 68",
        "simmlm": "77 76 77 45 69 54 63 68",
        "missmodal": "80 80 80 81 67 57 68 71",
        "ul4m4": "81 81 81 81 69 59 69 72",
    },
    "mosi_squared_error": {
        "missmodal": "1.11 1.08 1.13 1.07 2.04 2.14 2.00 1.59",
        "ul4m4": "1.01 1.03 0.99 1.04 1.91 2.19 1.90 1.56",
    },
    "sleep_edf": {
        "shaspec": "32 34 34 34 33 33 32 32",
        "m3care": "39 39 38 37 38 37 36 36",
        "icl_ca": "39 36 36 35 36 36 35 35",
        "simmlm": "39 38 38 38 37 36 35 34",
        "ul4m4": "43 43 41 42 42 41 41 40",
    },
}


def clean_mosi(path, folder, task):
    """Test samples of mosi, with the sign or the sentiment as target."""
    arrays = dict(np.load(path))
    test = arrays["split"] == 2
    y = arrays["y"].astype(float)
    if task == "classification":
        test &= y != 0
        y = (y > 0).astype(int)
    kept = {name: arrays[name][test] for name in ("text", "audio", "video", "video_id")}
    # Columns that hardly vary would be warned of in each run.
    for name in ("text", "audio", "video"):
        kept[name] = kept[name][:, kept[name].std(axis=0) > 1e-6]
    out = Path(folder) / f"mosi_{task}.npz"
    np.savez(out, **kept, y=y[test])
    return load_data(out, groups="video_id", task=task)


def main(mosi, sleep_edf, mfeat, out, n_runs=3):
    """Run, write and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        signs = clean_mosi(mosi, folder, "classification")
        sentiment = clean_mosi(mosi, folder, "regression")
    sleep = load_data(sleep_edf, split="random", groups="subject")
    digits = load_data(mfeat, split="random")
    plans = {
        "mosi_accuracy": (signs, MOSI, METHODS, "accuracy"),
        "mosi_squared_error": (sentiment, MOSI, METHODS[-4:], "mse"),
        "sleep_edf": (sleep, SHARES, METHODS, "accuracy"),
        "mfeat": (digits, SHARES, METHODS, "accuracy"),
    }
    tests = []
    for name, (data, missing, methods, metric) in plans.items():
        results = run_benchmark(
            data, missing, methods, regimes="R2", n_runs=n_runs, max_rows=500,
            out=Path(out) / data.name,
        )  # fmt: skip
        table = tabulate(results, missing, metric, PAPER.get(name, {}))
        table.to_csv(Path(out) / f"ul4m4_{name}.csv", index=False)
        print(f"\n{name}\n{table.to_string()}")
        print(f"{results['error'].notna().sum()} of {len(results)} runs failed")
        tests.append(compare(name.replace("_", " "), results, metric))
    tests = pd.concat(tests)
    tests.to_csv(Path(out) / "ul4m4_tests.csv", index=False)
    print(f"\n{tests.to_string()}")


def tabulate(results, missing, metric, paper):
    """The means over the runs, and below each method the figures of the paper."""
    means = results.pivot_table(
        index="method", columns="missing", values=f"scores.{metric}", sort=False
    )
    percent, rows = metric == "accuracy", []
    for method, own in means[missing].iterrows():
        cells = [f"{100 * mean:.1f}" if percent else f"{mean:.2f}" for mean in own]
        rows.append([method, *cells])
        if method in paper:
            rows.append([f"{method} (paper)", *paper[method].split()])
    return pd.DataFrame(rows, columns=["method", *map(shorten, missing)])


def shorten(missing):
    """The shares of a missingness, without the names of modalities."""
    if missing.startswith("complex"):
        return "complex"
    for text in ("mcar:", "-text", "-audio", "-video"):
        missing = missing.replace(text, "")
    return missing


def compare(name, results, metric):
    """Each method against UL4M4, over columns and runs."""
    scale, digits = (100, 1) if metric == "accuracy" else (1, 2)
    tests = compare_methods(results, reference="ul4m4", over="runs", metric=metric)
    rows = [
        {
            "data": name,
            "method": row["method"],
            "difference": f"{scale * row['difference']:+.{digits}f}".replace("-", "−"),
            "pairs": row["n_pairs"],
            "wins / ties / losses": f"{row['wins']} / {row['ties']} / {row['losses']}",
            "t-test": name_p(row["p_ttest"]),
            "Wilcoxon": name_p(row["p_wilcoxon"]),
        }
        for _, row in tests.iterrows()
    ]
    return pd.DataFrame(rows)


def name_p(p):
    """A p-value with three digits."""
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:5], *map(int, sys.argv[5:]))
