"""Write the tables of the page on benchmark results to ``docs/results``.

    python benchmarks/results.py results.jsonl [more.jsonl ...]

The files are those of :func:`skmissing.benchmark.run_benchmark`, with the methods late,
auto and full, and any others. A cell that is in several files is taken from the first.
A method is compared with the others if it was run on all data sets.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

OUT = Path(__file__).resolve().parents[1] / "docs" / "results"
SETS = ["mfeat", "avdigits", "ccv", "wikipedia", "rosmap", "tcga_brca", "msrc_v1"]
SETS += ["bdgp", "sleep_edf", "mosi"]
CELL = ["data", "regime", "missing", "seed"]
SHOWN = "mean soft ridge stack pattern hgb late auto full".split()
SCORES = ["accuracy", "log_loss", "calibration_error"]


def read(paths):
    """Return one line per cell and method, with its scores and the time of the fit."""
    cells = pd.concat([pd.read_json(path, lines=True) for path in paths])
    cells = cells[cells["error"].isna()].drop_duplicates([*CELL, "method"])
    scores = pd.DataFrame(cells["scores"].tolist(), index=cells.index)[SCORES]
    cells = cells[[*CELL, "method", "fit_seconds"]].join(scores)
    runs = cells.groupby("method")["data"].nunique()
    return cells[cells["method"].isin(runs.index[runs == len(SETS)])]


def against(cells, method):
    """Return the differences of all methods to one, on the cells that both have."""
    base = cells[cells["method"] == method].drop(columns="method")
    both = cells.merge(base, on=CELL, suffixes=("", "_base"))
    for score in SCORES:
        both[score] -= both.pop(f"{score}_base")
    both["accuracy"] *= 100
    both["time"] = both["fit_seconds"] / both["fit_seconds_base"]
    return both


def by_set(cells, score):
    """Return the mean of a score per regime, method (rows) and data set (columns)."""
    return cells.pivot_table(score, ["regime", "method"], "data")[SETS]


def signed(value, digits):
    """Return a mean with its sign, and its standard error if there are digits of it."""
    text = f"{value.mean():+.{digits}f}"
    error = value.std() / np.sqrt(len(value))
    return f"{text} ± {error:.1f}" if digits == 1 else text


def write_panels(cells, differences, regime):
    """Write late fusion with each of its panels, per data set of the first nine."""
    table = {}
    for score, digits in (("accuracy", 1), ("log_loss", 2)):
        word, sets = score.replace("_", "-"), SETS[:-1]
        late = by_set(cells, score).loc[regime, "late"][sets]
        late["mean"] = late.mean()
        table[f"{word}, linear"] = late.map("{:.3f}".format)
        for panel in ("auto", "full"):
            change = by_set(differences, score).loc[regime, panel][sets]
            shown = change.map(f"{{:+.{digits}f}}".format)
            shown["mean"] = signed(change, digits)
            table[f"{word}, {panel}"] = shown
    name = f"panels_{regime.lower()}.csv"
    pd.DataFrame(table).to_csv(OUT / name, index_label="data")


def write_methods(cells, differences):
    """Write all methods against late fusion of linear models."""
    # Ranks and wins are of the one run that all methods have.
    first = cells[cells["seed"] == 0]
    ranks = first.groupby(CELL)["accuracy"].rank(ascending=False)
    ranks = ranks.groupby(first["method"]).mean().sort_values()
    table = pd.DataFrame(index=ranks.index)
    for score, digits in (("accuracy", 1), ("log_loss", 2)):
        for regime in ("R1", "R2"):
            change = by_set(differences, score).loc[regime].T
            late = by_set(cells, score).loc[regime, "late"].mean()
            column = change.apply(signed, digits=digits)
            column["late"] = f"{late:.3f}"
            table[f"{score.replace('_', '-')} {regime}"] = column
    table["mean rank"] = ranks.round(1)
    best = first["accuracy"] == first.groupby(CELL)["accuracy"].transform("max")
    best = first[best]["method"].value_counts()
    table["best"] = best.reindex(ranks.index, fill_value=0)
    time = differences[differences["seed"] == 0].groupby("method")["time"].median()
    table["time"] = time.map("{:.2g}".format)
    runs = cells.groupby(["method", "data"])["seed"].nunique().groupby("method")
    low, high = runs.min().astype(str), runs.max().astype(str)
    table["runs"] = low.where(low == high, low + " to " + high)
    table.to_csv(OUT / "methods.csv", index_label="method")
    for regime in ("R1", "R2"):
        change = by_set(differences, "accuracy").loc[regime].loc[ranks.index]
        change["mean"] = change.mean(axis=1)
        change.map("{:+.1f}".format).to_csv(OUT / f"methods_{regime.lower()}.csv")
    rates = first.pivot_table("accuracy", ["method", "data"], ["regime", "missing"])
    rates = rates.groupby("method").mean().loc[ranks.index]
    rates.columns = [f"{regime} {rate:.1f}" for regime, rate in rates.columns]
    rates.map("{:.3f}".format).to_csv(OUT / "rates.csv", index_label="method")


def write_runs(paths):
    """Write the runs of the page on reading a benchmark."""
    runs = pd.concat([pd.read_json(path, lines=True) for path in paths])
    runs = runs[runs["error"].isna() & runs["method"].isin(SHOWN)]
    runs = runs[runs["data"] != "mosi"].drop_duplicates([*CELL, "method"])
    shares = [np.mean([*share.values()]) for share in runs["test_missing"]]
    runs["test_missing.mean"] = np.round(shares, 4)
    runs["scores.accuracy"] = [round(s["accuracy"], 4) for s in runs["scores"]]
    columns = ["data", "missing", "regime", "method", "seed", "task", "error"]
    columns += ["test_missing.mean", "scores.accuracy", "fit_seconds"]
    runs[columns].sort_values(columns[:5]).to_csv(OUT / "runs.csv", index=False)


def report(cells, differences):
    """Print what the page says of log-loss and calibration of the panels."""
    nine = differences[differences["data"] != "mosi"]
    for panel in ("auto", "full"):
        one = nine[nine["method"] == panel]
        lower = (one["log_loss"] < 0).mean()
        won = np.sign(one["accuracy"].round(9)).value_counts().to_dict()
        print(f"{panel}: log-loss lower in {lower:.0%} of {len(one)}; accuracy {won}")
    error = by_set(cells, "calibration_error")[SETS[:-1]].groupby("method").mean()
    print(error.mean(axis=1).round(3)[["late", "auto", "full"]].to_dict())
    one_run = cells[cells["seed"] == 0][CELL].drop_duplicates()
    print("comparisons of one run:", len(one_run))


def main(paths):
    cells = read(paths)
    differences = against(cells, "late")
    for regime in ("R1", "R2"):
        write_panels(cells, differences, regime)
    write_methods(cells, differences)
    write_runs(paths)
    report(cells, differences)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
