"""Accuracy if 20 % of the missing modalities are measured, by what chooses them.

    python benchmarks/acquisition.py FILE.npz [more.npz ...] --results results.csv

The names of embedded data sets are also accepted. Half of the modalities of training
and test samples are hidden at random. A classifier and an imputer are fitted to the
training samples. Then hidden modalities of test samples are revealed. They are chosen
at random (mean of 20 choices), by the entropy of the prediction, by
`acquisition_value`, or by an oracle: the actual drop of the log-loss of each, which
depends on the class. A third table compares the mean of the estimated and of the actual
drops over all hidden modalities.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from imputation_quality import hide, load
from scipy.special import entr

from skmissing.conformal import acquisition_value, rank_acquisitions
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import FactorImputer, SimpleModalityImputer

RATE, BUDGET, N_RANDOM = 0.5, 0.2, 20
SCORES = ["accuracy", "log_loss", "drop"]
# Methods whose values are drops of the log-loss.
ESTIMATES = ["factor, log_loss", "hot deck, log_loss", "oracle"]


def reveal(X, complete, chosen, owner):
    """X with the chosen modalities of its samples."""
    return np.where(chosen[:, owner], complete, X)


def choose(values):
    """Mask of the modalities to measure."""
    chosen = np.zeros(values.shape, dtype=bool)
    ranked = rank_acquisitions(values, budget=BUDGET)
    numbers = [int(name.removeprefix("modality")) for name in ranked.modality]
    chosen[ranked.sample, numbers] = True
    return chosen


def actual_drop(loss, X, complete, hidden, owner):
    """Drop of the loss (n_samples, n_modalities) by revealing one modality."""
    drop = np.empty(hidden.shape)
    for m in range(hidden.shape[1]):
        only = hidden & (np.arange(hidden.shape[1]) == m)
        drop[:, m] = loss(X) - loss(reveal(X, complete, only, owner))
    return drop


def measure(path, n_train, n_test, seed):
    """Accuracy, log-loss and mean value of the test samples, per method."""
    complete, y, layout, train, test = load(path, n_train, n_test, seed)
    if y.dtype.kind == "f":
        y = (y >= 0).astype(int)  # sentiment
    widths = [int(np.prod(shape)) for shape in layout.values()]
    owner = np.repeat(np.arange(len(widths)), widths)
    rng = np.random.RandomState([seed, 1])
    X = hide(complete, owner, RATE, rng)
    model = LateFusionClassifier("linear", modalities=layout).fit(X[train], y[train])
    fitted = X[train]
    complete, X, y = complete[test], X[test], np.searchsorted(model.classes_, y[test])
    gone, was = (
        np.stack([np.isnan(Z[:, owner == m]).all(axis=1) for m in set(owner)], axis=1)
        for Z in (X, complete)
    )
    hidden = gone & ~was

    def loss(X):
        proba = model.predict_proba(X)[np.arange(len(y)), y]
        return -np.log(np.maximum(proba, 1e-15))

    def score(chosen, drop=np.nan):
        shown = reveal(X, complete, chosen, owner)
        hits = model.predict_proba(shown).argmax(axis=1) == y
        return np.array([hits.mean(), loss(shown).mean(), drop])

    def score_values(values):
        ties = 1e-9 * rng.uniform(size=hidden.shape)
        chosen = choose(np.where(hidden, values + ties, np.nan))
        return score(chosen, np.broadcast_to(values, hidden.shape)[hidden].mean())

    entropy = entr(model.predict_proba(X)).sum(axis=1, keepdims=True)
    yield "nothing", score(np.zeros_like(hidden))
    chance = (score_values(rng.uniform(size=hidden.shape)) for _ in range(N_RANDOM))
    yield "random", sum(chance) / N_RANDOM
    yield "entropy", score_values(entropy)
    imputers = {
        "factor": FactorImputer(modalities=layout, random_state=seed),
        "hot deck": SimpleModalityImputer(
            "hot_deck", modalities=layout, random_state=seed
        ),
    }
    for name, imputer in imputers.items():
        imputer.fit(fitted)
        for kind in ("log_loss", "zero_one"):
            found = acquisition_value(model, imputer, X, loss=kind, random_state=seed)
            yield f"{name}, {kind}", score_values(found.value)
    yield "oracle", score_values(actual_drop(loss, X, complete, hidden, owner))
    yield "everything", score(hidden)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=500)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = []
    for path in options.paths:
        for seed in options.seeds:
            for method, found in measure(path, options.train, options.test, seed):
                lines.append([path.stem, seed, method, *found])
            print(path.stem, seed, flush=True)
    table = pd.DataFrame(lines, columns=["data", "seed", "method", *SCORES])
    methods = table["method"].drop_duplicates()
    for name in SCORES:
        means = table.pivot_table(name, "data", "method", sort=False)
        means = means[ESTIMATES if name == "drop" else methods]
        means.loc["mean"] = means.mean()
        shown = means.mul(100).round(1) if name == "accuracy" else means.round(3)
        print(f"\n{name}\n{shown.to_string()}")
        shown.to_csv(options.results.with_stem(f"{options.results.stem}_{name}"))


if __name__ == "__main__":
    main()
