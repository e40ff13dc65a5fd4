"""Run each comparison in a separate process, and write the table to README.md."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _harness import RESULTS, machine

HERE = Path(__file__).parent
SCRIPTS = [
    "kmeans_complete",
    "kmeans_half_missing",
    "kmeans_per_iteration",
    "kmeans_narrow",
    "imputer_knn",
    "greedy_loops",
    "transform_predict",
    "predict_one_row",
    "panel_speed",
    "peak_memory",
    "factor_mixture",
    "import_time",
    "fusion_epoch",
    "encoders",
]
HEAD = """# Benchmarks

Each script alternately runs skmissing and another program in one process, after a
warm-up. It prints the median times, their ratio, the additional memory of both, and the
versions. `python benchmarks/run_all.py` runs the comparisons below and writes this
page. Other scripts: `growth.py` plots the time against the size of the data.
`large_imputation.py` imputes a table of 2 GB in pieces, and `large_file.py` a file that
is larger than memory. `dask_workers.py` compares a fit with and without Dask. `soak.py`
checks that memory does not grow over many calls. The scripts of the tables in the user
guide are named below these tables.

"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jsonl"
        for script in SCRIPTS:
            subprocess.run(
                [sys.executable, str(HERE / f"{script}.py")],
                env={**os.environ, RESULTS: str(path)},
                check=True,
            )
        results = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [
        f"| {r['claim']} | {r['shape']} | {r['ours']} | {r['peer']} | "
        f"{r.get('memory', '')} | {r['ratio']:.3g} | {r['target']:.3g} | "
        f"{'yes' if r['met'] else 'no'} |"
        for r in results
    ]
    table = [
        "| work | data | skmissing | other | memory | ratio | limit | within |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]
    text = HEAD + f"{machine()}\n\n" + "\n".join(table) + "\n"
    (HERE / "README.md").write_text(text)


if __name__ == "__main__":
    main()
