"""K-means and imputation of a file larger than memory: time per pass, and memory.

    python benchmarks/large_file.py [GB] [FOLDER]

Makes a file of float32 with 2560 columns in four modalities, of which half are missing,
and reads it in pieces. The time of a pass is compared with that of reading the file.
"""

import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from skmissing import ModalityWarning
from skmissing._sources import release
from skmissing.cluster import PartialModalityKMeans
from skmissing.compose import scan_table
from skmissing.impute import ClusterGuidedImputer

WIDTHS = [768, 1024, 512, 256]
N_CLUSTERS = 70


def make(path, n_samples):
    """Write the file in pieces."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((N_CLUSTERS, sum(WIDTHS)), dtype=np.float32)
    X = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(n_samples, sum(WIDTHS))
    )
    starts = np.cumsum([0, *WIDTHS])
    for start in range(0, n_samples, 8192):
        stop = min(start + 8192, n_samples)
        part = centers[rng.integers(N_CLUSTERS, size=stop - start)]
        part += rng.standard_normal(part.shape, dtype=np.float32)
        missing = rng.random((len(part), len(WIDTHS))) < 0.5
        for m, (a, b) in enumerate(zip(starts[:-1], starts[1:])):
            part[missing[:, m], a:b] = np.nan
        X[start:stop] = part
        release(X)


def peak():
    """Largest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work):
    """Seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(gigabytes=20, folder=None):
    """Print the times and the memory."""
    with tempfile.TemporaryDirectory(dir=folder) as folder:
        path = Path(folder) / "X.npy"
        n_samples = int(gigabytes * 2**30 / 4 / sum(WIDTHS))
        make(path, n_samples)
        source = scan_table(np.load(path, mmap_mode="r"))
        print(f"{n_samples} samples, {path.stat().st_size / 2**30:.1f} GiB")
        print(f"peak memory before reading: {peak():.0f} MB")

        def read():
            for _ in source.iter_chunks():
                pass

        reading = [timed(read) for _ in range(2)]
        print("reading alone: " + ", ".join(f"{t:.1f} s" for t in reading))
        kmeans = PartialModalityKMeans(
            N_CLUSTERS, modalities=WIDTHS, random_state=0, max_iter=5, tol=0
        )
        seconds = timed(lambda: kmeans.fit(source))
        # Range, moments, initial centres, iterations, and labels at the end.
        n_passes = 4 + kmeans.n_iter_
        each = seconds / n_passes
        print(f"fit: {seconds:.1f} s, {n_passes} passes of {each:.1f} s each")
        print(f"a pass against reading: {each / min(reading):.2f}")
        imputer = ClusterGuidedImputer(
            n_clusters=N_CLUSTERS, modalities=WIDTHS, random_state=0, max_iter=2
        ).fit(source)
        out = np.lib.format.open_memmap(
            Path(folder) / "filled.npy", mode="w+", dtype=np.float32, shape=source.shape
        )
        seconds = timed(lambda: imputer.transform(source, out=out))
        print(f"impute into another file: {seconds:.1f} s")
        print(f"peak memory: {peak():.0f} MB")


if __name__ == "__main__":
    warnings.simplefilter("ignore", ModalityWarning)
    main(*[float(w) if w[0].isdigit() else w for w in sys.argv[1:]])
