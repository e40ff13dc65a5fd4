"""Panels of late fusion against the linear model, and many modalities against two."""

import warnings

import numpy as np
from _harness import compare, embeddings, record, seconds

from skmissing.ensemble import LateFusionClassifier

N_ROWS, N_CLASSES = 1000, 10


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=2 * N_ROWS)
    X = embeddings(2 * N_ROWS, [300] * 3, missing=0.3, dtype=np.float64)
    X += 0.25 * rng.standard_normal((N_CLASSES, 900))[y]
    models = {
        name: LateFusionClassifier(name, modalities=[300] * 3, random_state=0)
        for name in ("linear", "auto", "full")
    }
    shape = f"{N_ROWS} rows, 900 columns in 3 modalities, {N_CLASSES} classes"
    for name, target in (("auto", 6), ("full", 12)):
        compare(
            f"fit of estimator={name!r} against 'linear'",
            lambda name=name: models[name].fit(X[:N_ROWS], y[:N_ROWS]),
            lambda: models["linear"].fit(X[:N_ROWS], y[:N_ROWS]),
            target=target,
            shape=shape,
            repeats=2,
        )
    for n_rows, target in ((1, 0.005), (N_ROWS, 0.15)):
        new = X[N_ROWS : N_ROWS + n_rows]
        taken = min(seconds(lambda new=new: models["auto"].predict(new)) for _ in "123")
        record(
            f"seconds of predict of estimator='auto', {n_rows} rows",
            shape, taken, target, ours=f"{taken:.3g} s", peer="",
        )  # fmt: skip
    y %= 2
    many, two = (
        LateFusionClassifier("linear", modalities=widths)
        for widths in ([1] * 600, [300] * 2)
    )
    X = np.concatenate([X[:, :300], X[:, 600:]], axis=1)
    X[np.isnan(X).all(axis=1)] = 0
    compare(
        "fit of 600 modalities against two",
        lambda: many.fit(X[:N_ROWS], y[:N_ROWS]),
        lambda: two.fit(X[:N_ROWS], y[:N_ROWS]),
        target=10,
        shape=f"{N_ROWS} rows, 600 columns, 2 classes",
        repeats=2,
    )


if __name__ == "__main__":
    main()
