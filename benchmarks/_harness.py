"""Compares two functions in one process: median times, their ratio, peak memory."""

import json
import os
import platform
import statistics
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

RESULTS = "SKMISSING_BENCHMARK_RESULTS"


def embeddings(n_rows, widths, *, missing=0.0, dtype=np.float32, seed=0):
    """Standard normal samples with modalities missing at a rate, but never all."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, sum(widths)), dtype=dtype)
    if missing:
        keep = rng.random((n_rows, len(widths))) >= missing
        keep[np.arange(n_rows), rng.integers(len(widths), size=n_rows)] = True
        stops = np.cumsum(widths)
        for m, (start, stop) in enumerate(zip(stops - widths, stops)):
            X[~keep[:, m], start:stop] = np.nan
    return X


def seconds(function):
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def extra_memory(function):
    """Additional peak resident memory of one call, in MB (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return (_status("VmHWM") - before) / 1024


def _status(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise KeyError(key)


def compare(claim, ours, peer, *, target, shape, repeats=5, per_peer=1.0):
    """Time two functions alternately, after a warm-up of each, and report the ratio.

    Parameters
    ----------
    claim : str
        Name of the comparison.
    ours, peer : callable
        The functions. They may return seconds by their own clock.
    target : float
        Upper limit of the ratio of medians, ours to the peer's.
    shape : str
        The data.
    repeats : int
    per_peer : float
        Factor of the peer's time, if it did only a part of the work.
    """
    ours_mb, peer_mb = extra_memory(ours), extra_memory(peer)
    times = {"ours": [], "peer": []}
    for _ in range(repeats):
        times["ours"].append(_clock(ours))
        times["peer"].append(_clock(peer) * per_peer)
    medians = {side: statistics.median(t) for side, t in times.items()}
    record(
        claim, shape, medians["ours"] / medians["peer"], target,
        ours=f"{medians['ours']:.4g} s", peer=f"{medians['peer']:.4g} s",
        memory=f"{ours_mb:.0f} / {peer_mb:.0f} MB",
        spread=[[min(t), max(t)] for t in times.values()],
    )  # fmt: skip


def _clock(function):
    start = time.perf_counter()
    result = function()
    taken = time.perf_counter() - start
    return result if isinstance(result, float) else taken


def record(claim, shape, ratio, target, **values):
    """Print a result, and append it to the file named by the environment."""
    result = {"claim": claim, "shape": shape, "ratio": ratio, "target": target}
    result |= values | {"met": bool(ratio <= target)}
    print(f"{claim} [{shape}]")
    for name, value in values.items():
        print(f"    {name}: {value}")
    print(f"    ratio {ratio:.4g}, limit {target:.4g}")
    print(f"    {machine()}")
    if path := os.environ.get(RESULTS):
        with open(path, "a") as file:
            file.write(json.dumps(result) + "\n")


def machine():
    """Versions, threads and date in one line."""
    packages = ["skmissing", "scikit-learn", "numpy", "scipy"]
    packages += ["torch"] if "torch" in sys.modules else []
    names = ", ".join(f"{name} {version(name)}" for name in packages)
    threads = max((lib["num_threads"] for lib in threadpool_info()), default=1)
    system = f"Python {platform.python_version()}, {platform.machine()}"
    return f"{date.today()}; {system}, {threads} threads; {names}"
