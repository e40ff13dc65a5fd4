"""Impute a table of 2 GB by ClusterGuidedImputer, in pieces and bounded memory.

The table has 200 000 samples of 2 560 columns in float32, three modalities, and 30 %
missing. Only one piece of 10 000 samples is in memory at a time. Additional peak memory
must stay below 6 pieces: the piece, its scaled copy, the imputed values, and temporary
arrays.
"""

import argparse
import time

import numpy as np
from _harness import embeddings, extra_memory, record

from skmissing.impute import ClusterGuidedImputer

WIDTHS, K, PIECE = [768, 1024, 768], 40, 10_000
MOST_PIECES = 6


def piece(number, n_rows=PIECE):
    """The samples of one piece, equal in each call."""
    return embeddings(n_rows, WIDTHS, missing=0.3, seed=number)


def run(imputer, n_pieces):
    """Fit to all pieces, then impute all; return seconds of both, and filled cells."""
    seconds, n_filled = {"fit": 0.0, "transform": 0.0}, 0
    for number in range(n_pieces):
        X = piece(number)
        start = time.perf_counter()
        imputer.partial_fit(X)
        seconds["fit"] += time.perf_counter() - start
    for number in range(n_pieces):
        X = piece(number)
        start = time.perf_counter()
        filled = imputer.transform(X)
        seconds["transform"] += time.perf_counter() - start
        observed = ~np.isnan(X)
        assert np.isfinite(filled).all()
        assert (filled[observed] == X[observed]).all()
        n_filled += X.size - int(observed.sum())
        del X, filled, observed
    return seconds, n_filled


def main():
    """Run the benchmark, and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    n_pieces = -(-parser.parse_args().rows // PIECE)
    imputer = ClusterGuidedImputer(K, modalities=WIDTHS, max_iter=20, random_state=0)
    run(ClusterGuidedImputer(2, modalities=WIDTHS, max_iter=1), 1)
    results = {}
    extra = extra_memory(lambda: results.update(done=run(imputer, n_pieces)))
    seconds, n_filled = results["done"]
    size = PIECE * sum(WIDTHS) * 4 / 2**20
    record(
        "Peak memory of ClusterGuidedImputer in pieces against one piece",
        f"n={n_pieces * PIECE}, widths 768/1024/768, k={K}, float32, 30 % missing",
        extra / size,
        MOST_PIECES,
        ours=f"{extra:.0f} MB",
        peer=f"{size:.0f} MB a piece, {n_pieces * size:.0f} MB the table",
        memory=f"{extra:.0f} MB",
        time=f"partial_fit {seconds['fit']:.0f} s, transform "
        f"{seconds['transform']:.0f} s, {n_filled} cells filled",
    )


if __name__ == "__main__":
    main()
