"""Check that memory does not grow over many calls of predict and transform.

Exits with status 1 if memory grew by more than the bound.
"""

import argparse
import sys

import numpy as np
from _harness import _status, embeddings, record

from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer, FactorImputer

WIDTHS = [32, 16, 48]
# Memory in MB that Linux and the allocator may keep.
MOST_MB = 8


def make_models(neural):
    """Fitted models and the methods to call."""
    X = embeddings(500, WIDTHS, missing=0.3)
    y = np.arange(len(X)) % 3
    models = [
        (PartialModalityKMeans(20, modalities=WIDTHS, random_state=0), "predict"),
        (ClusterGuidedImputer(20, modalities=WIDTHS, random_state=0), "transform"),
        (
            FactorImputer(
                3, n_factors=4, modalities=WIDTHS, max_iter=5, random_state=0
            ),
            "transform",
        ),
        (LateFusionClassifier("linear", modalities=WIDTHS), "predict"),
    ]
    if neural:
        from skmissing.fusion import MHSAFusionClassifier

        net = MHSAFusionClassifier(
            modalities=WIDTHS,
            hidden_dim=16,
            module__n_heads=2,
            max_epochs=2,
            random_state=0,
        )
        models.append((net, "predict"))
    return [getattr(model.fit(X, y), method) for model, method in models]


def call(methods, n_calls):
    """Call all methods with batches of different sizes and patterns."""
    for number in range(n_calls):
        X = embeddings(1 + number % 64, WIDTHS, missing=0.3, seed=number)
        for method in methods:
            method(X)


def main():
    """Warm up, make the calls, and compare memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--neural", action="store_true", help="a network as well")
    args = parser.parse_args()
    methods = make_models(args.neural)
    call(methods, 200)
    before = _status("VmRSS") / 1024
    call(methods, args.calls)
    after = _status("VmRSS") / 1024
    record(
        "Memory after many calls of predict and transform against before",
        f"{args.calls} calls of {len(methods)} models, batches of 1 to 64 rows",
        after / before,
        1 + MOST_MB / before,
        ours=f"{after:.1f} MB",
        peer=f"{before:.1f} MB",
        memory=f"{after - before:+.1f} MB",
    )
    sys.exit(int(after - before > MOST_MB))


if __name__ == "__main__":
    main()
