"""The tables of UL4M4 on data at hand: mosi, Sleep-EDF and mfeat as .npz files.

    python benchmarks/ul4m4_tables.py MOSI SLEEP_EDF MFEAT OUT [N_RUNS]

At most 500 samples per run, regime R2, folds by video or subject. Of mosi, only the
samples of its test split are used, because its extractors saw the other labels. The
encoders and the samples are not those of the paper, so only the order of the methods
can be compared.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from skmissing import ModalityWarning
from skmissing.benchmark import compare_methods, load_data, run_benchmark

METHODS = [
    "shaspec",
    "m3care",
    "icl_ca",
    "simmlm",
    "missmodal",
    "ul4m4",
    "mask",
    "late",
]
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
    """Run and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        signs = clean_mosi(mosi, folder, "classification")
        sentiment = clean_mosi(mosi, folder, "regression")
    sleep = load_data(sleep_edf, split="random", groups="subject")
    digits = load_data(mfeat, split="random")
    plans = [
        (signs, MOSI, METHODS, "accuracy"),
        (sentiment, MOSI, ["missmodal", "ul4m4", "mask", "late"], "mse"),
        (sleep, SHARES, METHODS, "accuracy"),
        (digits, SHARES, METHODS, "accuracy"),
    ]
    for data, missing, methods, metric in plans:
        results = run_benchmark(
            data, missing, methods, regimes="R2", n_runs=n_runs, max_rows=500,
            out=Path(out) / data.name,
        )  # fmt: skip
        table = results.pivot_table(
            index="method", columns="missing", values=f"scores.{metric}", sort=False
        )
        print(f"\n{data.name}, {metric}\n{table.round(3).to_string()}")
        print(f"{results['error'].notna().sum()} of {len(results)} runs failed")
        tests = compare_methods(results, reference="ul4m4", over="runs", metric=metric)
        print(tests.drop(columns="regime").round(4).to_string(), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*sys.argv[1:5], *map(int, sys.argv[5:]))
