"""Errors of imputers on hidden modalities, and scores of models after imputation.

Modalities are hidden at random in training and in test samples. Imputers are fitted to
training samples only. The script prints the normalised error on hidden modalities of
test samples (1 is the column mean), the calibration of standard errors, and the score
of a linear model on imputed samples. With `--fusion`, it also prints the score of the
attention network.

    python benchmarks/imputation_quality.py [FOLDER] --results results.csv

FOLDER contains archives for `skmissing.datasets.read_multimodal_npz`. Without it, the
embedded data sets are used. With `--report`, tables are made from existing results.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.datasets import (
    load_breast_cancer_views,
    load_digits_views,
    read_multimodal_npz,
)
from skmissing.ensemble import (
    LateFusionClassifier,
    LateFusionRegressor,
    MultipleImputationClassifier,
    MultipleImputationRegressor,
)
from skmissing.impute import (
    ClusterGuidedImputer,
    FactorImputer,
    RegressionImputer,
    RetrievalImputer,
    StackedImputer,
)
from skmissing.metrics import block_nrmse

try:  # public from scikit-learn 1.10 on
    from sklearn.impute import IterativeImputer
except ImportError:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

# Arrays that are no modalities or duplicates, and a file without a target.
LEFT_OUT_ARRAYS = {"text_glove_mean"}
LEFT_OUT_FILES = {"mosi_dev_seq"}
EMBEDDED = {"digits": load_digits_views, "breast_cancer": load_breast_cancer_views}
FIELDS = ["data", "rate", "seed", "method", "measure", "value"]


def load(path, most_train, most_test, seed):
    """Samples, target, layout, and positions of training and test samples."""
    bunch = EMBEDDED[path.stem]() if path.stem in EMBEDDED else read_archive(path)
    rng = np.random.RandomState(seed)
    order = rng.permutation(len(bunch.data))
    split = bunch.get("split")
    if split is None:
        train, test = np.split(order, [int(0.6 * len(order))])
    else:
        train, test = order[split[order] < 2], order[split[order] == 2]
    X = bunch.data.astype(np.float64)
    return X, bunch.target, bunch.modalities, train[:most_train], test[:most_test]


def read_archive(path):
    """All modalities of an archive."""
    with np.load(path, allow_pickle=False) as archive:
        names = [
            name
            for name in archive.files
            if archive[name].dtype == np.float32
            and archive[name].ndim > 1
            and name not in LEFT_OUT_ARRAYS
        ]
    return read_multimodal_npz(path, modalities=names)


def hide(X, owner, rate, rng):
    """Hide each modality with probability `rate`, but never all of a sample."""
    present = np.stack(
        [~np.isnan(X[:, owner == m]).all(axis=1) for m in range(owner.max() + 1)], 1
    )
    keep = rng.uniform(size=present.shape) >= rate
    draws = np.where(present, rng.uniform(size=present.shape), -1)
    keep[np.arange(len(X)), draws.argmax(axis=1)] = True
    hidden = X.copy()
    hidden[~keep[:, owner]] = np.nan
    return hidden


def make_imputers(layout, n_features, n_modalities, seed):
    """Imputers by name. Slow imputers are for narrow tables only."""
    common = {"modalities": layout, "random_state": seed}

    def cluster(**params):
        return ClusterGuidedImputer(**common, **params)

    imputers = {
        "mean": SimpleImputer(keep_empty_features=True),
        "greedy": cluster(strategy="greedy", n_clusters=40),
        "nearest": cluster(strategy="nearest", n_clusters=40),
        "soft": cluster(strategy="soft", n_clusters=100),
        "retrieval": RetrievalImputer(modalities=layout),
        "ridge": RegressionImputer(Ridge(), modalities=layout),
        "regression": RegressionImputer(modalities=layout),
        "factor k=1": FactorImputer(1, **common),
        "factor": FactorImputer(**common),
        "stack": StackedImputer(**common),
    }
    if n_features <= 700:
        imputers["KNNImputer"] = KNNImputer(keep_empty_features=True)
    if n_features <= 30:
        imputers["IterativeImputer"] = IterativeImputer(
            random_state=seed, keep_empty_features=True
        )
    return imputers


def calibration(imputer, X, X_imputed, incomplete, owner):
    """Mean square of standardised errors, and coverage of 90 % intervals."""
    std = imputer.imputation_std(incomplete)
    mask = np.isnan(incomplete) & ~np.isnan(X) & (std > 0)
    z = np.divide(X_imputed - X, std, out=np.zeros(X.shape), where=mask)
    squares, covered = [], []
    for m in range(owner.max() + 1):
        here = z[:, owner == m][mask[:, owner == m]]
        if len(here):
            squares.append(np.mean(here**2))
            covered.append(np.mean(np.abs(here) < 1.645))
    return {"z2": np.mean(squares), "coverage90": np.mean(covered)}


def head_for(y):
    """A plain linear model for the target."""
    if y.dtype.kind == "f":
        return make_pipeline(StandardScaler(), Ridge(100.0))
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=200))


def fusion_for(y, layout, seed, modality_dropout=0.0):
    """The attention network for the target."""
    from skmissing.fusion import MHSAFusionClassifier, MHSAFusionRegressor

    kind = MHSAFusionRegressor if y.dtype.kind == "f" else MHSAFusionClassifier
    return kind(modalities=layout, modality_dropout=modality_dropout, random_state=seed)


def other_models(layout, y, seed):
    """Models that accept missing modalities, for comparison with the linear model."""
    factor = FactorImputer(10, modalities=layout, random_state=seed)
    if y.dtype.kind == "f":
        many = MultipleImputationRegressor
        late = LateFusionRegressor(head_for(y), modalities=layout)
    else:
        many = MultipleImputationClassifier
        late = LateFusionClassifier(head_for(y), modalities=layout)
    return {
        "late fusion": late,
        "multiple": many(head_for(y), factor, n_imputations=3, random_state=seed),
    }


def run(path, rate, seed, options):
    """Yield the measures of all methods on one file at one rate."""
    X, y, layout, train, test = load(path, options.train, options.test, seed)
    widths = [v if np.isscalar(v) else v[0] * v[1] for v in layout.values()]
    owner = np.repeat(np.arange(len(widths)), widths)
    rng = np.random.RandomState([seed, int(100 * rate)])
    gaps = hide(X, owner, rate, rng)
    known = ~np.isnan(X[test]) & np.isnan(gaps[test])
    scale = np.nanstd(X[train], axis=0)
    # A column that hardly varies in training would dominate all others.
    usual = [np.sqrt(np.mean(scale[owner == m] ** 2)) for m in range(len(widths))]
    scale = np.maximum(scale, 0.1 * np.array(usual)[owner])
    imputers = make_imputers(layout, X.shape[1], len(widths), seed)
    for name, imputer in imputers.items():
        if options.methods and name not in options.methods:
            continue
        start = time.perf_counter()
        filled = imputer.fit(gaps[train]).transform(gaps[test])
        seconds = time.perf_counter() - start
        truth = np.where(known, X[test], 0)
        found = {
            "nrmse": block_nrmse(truth, filled, known, modalities=widths, scale=scale),
            "seconds": seconds,
        }
        if hasattr(imputer, "imputation_std"):
            found |= calibration(imputer, X[test], filled, gaps[test], owner)
        if options.downstream:
            head = head_for(y).fit(imputer.transform(gaps[train]), y[train])
            found["score"] = head.score(filled, y[test])
            indicator = [np.isnan(gaps[:, owner == m]).all(axis=1) for m in set(owner)]
            flags = np.stack(indicator, axis=1).astype(float)
            both = np.hstack([imputer.transform(gaps[train]), flags[train]])
            head = head_for(y).fit(both, y[train])
            both = np.hstack([filled, flags[test]])
            found["score+indicator"] = head.score(both, y[test])
        if options.fusion:
            network = fusion_for(y, layout, seed)
            network.fit(imputer.transform(gaps[train]), y[train])
            found["score, attention"] = network.score(filled, y[test])
        for measure, value in found.items():
            yield name, measure, value
    if options.fusion:
        network = fusion_for(y, layout, seed, modality_dropout=0.5)
        score = network.fit(gaps[train], y[train]).score(gaps[test], y[test])
        yield "nothing filled", "score, attention", score
    if options.downstream:
        for name, model in other_models(layout, y, seed).items():
            if options.methods and name not in options.methods:
                continue
            score = model.fit(gaps[train], y[train]).score(gaps[test], y[test])
            yield name, "score", score


def table(rows, measure, by=("data", "rate")):
    """Print means over seeds as a table, and the mean rank of each method."""
    values = {}
    for row in rows:
        if row["measure"] == measure:
            key = tuple(row[b] for b in by), row["method"]
            values.setdefault(key, []).append(float(row["value"]))
    methods = list(dict.fromkeys(m for _, m in values))
    print(f"\n{measure}\n" + "  ".join([*by, *methods]))
    ranks, sign = {}, -1 if measure.startswith("score") else 1
    for line in dict.fromkeys(key for key, _ in values):
        found = {m: np.mean(values[line, m]) for m in methods if (line, m) in values}
        cells = [f"{found[m]:.3f}" if m in found else "  -  " for m in methods]
        print("  ".join([*line, *cells]))
        for m, value in found.items():
            better = sum(sign * v < sign * value - 1e-12 for v in found.values())
            ranks.setdefault(m, []).append((1 + better) / len(found))
    print("mean rank / number of methods:")
    for m in sorted(ranks, key=lambda m: np.mean(ranks[m])):
        print(f"  {np.mean(ranks[m]):.3f}  {m} ({len(ranks[m])} lines)")


def report(path):
    """Print all tables."""
    rows = []
    for name in path:
        with open(name, newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    for measure in dict.fromkeys(row["measure"] for row in rows):
        table(rows, measure)
    for measure in ("score", "score, attention"):
        table(rows, measure, by=("rate",))


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--results", type=Path, nargs="+", required=True)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--only", nargs="*", help="names of files, without .npz")
    parser.add_argument("--rates", type=float, nargs="*", default=[0.3, 0.5, 0.7, 0.8])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=1800)
    parser.add_argument("--test", type=int, default=1200)
    parser.add_argument("--downstream", action="store_true")
    parser.add_argument("--fusion", action="store_true")
    parser.add_argument("--methods", nargs="*", help="names; default all")
    options = parser.parse_args()
    if options.report:
        report(options.results)
        return
    warnings.simplefilter("ignore")
    paths = [Path(name) for name in EMBEDDED]
    if options.folder is not None:
        paths = sorted(options.folder.glob("*.npz"))
    paths = [p for p in paths if p.stem not in LEFT_OUT_FILES]
    if options.only:
        paths = [p for p in paths if p.stem in options.only]
    with open(options.results[0], "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for seed in options.seeds:
            for path in paths:
                for rate in options.rates:
                    for found in run(path, rate, seed, options):
                        writer.writerow([path.stem, rate, seed, *found])
                    file.flush()
                    print(path.stem, rate, seed, flush=True)
    report(options.results)


if __name__ == "__main__":
    main()
