"""Run every comparison in a process of its own, and write the table to README.md."""

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

Each script runs skmissing and a peer in one process, in turn, after a warm-up of
both, and prints the medians, their ratio, the memory each took beyond what was there,
and the versions. `python benchmarks/run_all.py` runs those below and writes this page.
`growth.py` draws how the time grows with the size of the data, `large_imputation.py`
takes a table of 2 GB through an imputer in pieces, and `soak.py` looks for memory that
grows over many calls.

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
        "| work | data | ours | peer | memory | ratio | wanted | reached |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]
    text = HEAD + f"{machine()}\n\n" + "\n".join(table) + "\n"
    (HERE / "README.md").write_text(text)


if __name__ == "__main__":
    main()
