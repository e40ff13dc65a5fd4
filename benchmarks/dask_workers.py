"""K-means of a Zarr array: Dask with 1, 2 and 4 workers of one thread against none.

    python benchmarks/dask_workers.py [N_SAMPLES]

The array is read in each pass on all sides, as if it did not fit in memory. Prints
times, the largest difference of the centres, and the bytes of sums that leave the
partitions in each pass, with up to 64 partitions.
"""

import pickle
import statistics
import sys
import tempfile
import time
import warnings
from functools import partial

import dask
import dask.array
import numpy as np
import zarr
from distributed import Client, LocalCluster
from sklearn import config_context
from threadpoolctl import threadpool_limits

from skmissing import ModalityWarning, _sources
from skmissing.cluster import PartialModalityKMeans
from skmissing.compose import scan_table

WIDTHS, K = [192, 256, 192], 70
# Otherwise, workers give all memory back to the system after each operation.
MALLOC = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": 2**30
    for name in ("TRIM", "MMAP")
}


def clustered(n_samples):
    """Samples around K centres, of which half of the modalities are missing."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((K, sum(WIDTHS)), dtype=np.float32)
    X = centers[rng.integers(K, size=n_samples)]
    X += rng.standard_normal(X.shape, dtype=np.float32)
    start = X[:K].copy()
    stops = np.cumsum(WIDTHS)
    missing = rng.random((n_samples, len(WIDTHS))) < 0.5
    for a, b, rows in zip(stops - WIDTHS, stops, missing.T):
        X[rows, a:b] = np.nan
    return X, start


def fit(X, start):
    """Seconds of a fit of five iterations, and the centres."""
    kmeans = PartialModalityKMeans(
        K, modalities=WIDTHS, init=start, max_iter=5, tol=0, random_state=0
    )
    before = time.perf_counter()
    kmeans.fit(X)
    return time.perf_counter() - before, kmeans.cluster_centers_


def times(open_table, start, n_fits=4):
    """Median seconds of all fits but the first, and the centres."""
    fits = [fit(open_table(), start) for _ in range(n_fits)]
    return statistics.median(seconds for seconds, _ in fits[1:]), fits[0][1]


def sums_per_pass(X, start, n_partitions):
    """Bytes that leave each partition in an iteration."""
    sizes, whole = [], _sources._reduce_part

    def counted(part, shared, values):
        sums = whole(part, shared, values)
        if "_assign_piece" in repr(shared[0]):
            sizes.append(len(pickle.dumps(sums)))
        return sums

    _sources._reduce_part = counted
    try:
        with dask.config.set(scheduler="sync"):
            chunks = -(-len(X) // n_partitions), -1
            fit(dask.array.from_array(X, chunks=chunks), start)
    finally:
        _sources._reduce_part = whole
    return max(sizes), len(sizes) // 5


def main(n_samples=100_000):
    """Print the comparison."""
    X, start = clustered(n_samples)
    # The array takes more than half of this, so that it is not kept.
    memory = max(1, int(1.5 * X.nbytes / 2**20))
    with tempfile.TemporaryDirectory() as folder, config_context(working_memory=memory):
        path = f"{folder}/X.zarr"
        table = zarr.array(X, chunks=(n_samples // 8, X.shape[1]), store=path)
        with threadpool_limits(1):
            alone, expected = times(lambda: scan_table(table), start)
        print(f"{n_samples} samples, without Dask, one thread: {alone:.2f} s")
        for n_workers in (1, 2, 4):
            with (
                dask.config.set(MALLOC),
                LocalCluster(
                    n_workers=n_workers, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                opened = partial(dask.array.from_zarr, path)
                read, centers = times(opened, start)
                kept = client.persist(opened())
                held, _ = times(lambda kept=kept: kept, start)
                del kept
            off = np.nanmax(np.abs(centers - expected))
            print(
                f"{n_workers} workers: {read:.2f} s, {read / alone:.2f} times; "
                f"persisted {held:.2f} s, {held / alone:.2f} times; "
                f"largest difference {off:.1g}"
            )
    for n_rows in (n_samples // 5, n_samples):
        for n_partitions in (4, 16, 64):
            size, n_tasks = sums_per_pass(X[:n_rows], start, n_partitions)
            print(
                f"{n_rows} samples, {n_partitions} partitions: {n_tasks} tasks per "
                f"pass, {size / 1e3:.0f} kB of sums from each"
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*map(int, sys.argv[1:]))
