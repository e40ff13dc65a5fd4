"""Calibration error, log-loss and abstention by pattern of observed modalities.

    python benchmarks/calibration_by_pattern.py [FILE.npz ...] --results results.csv
    python benchmarks/calibration_by_pattern.py --report results.csv --out FOLDER

Half of the modalities are hidden at random in training and in test samples. Each model
is fitted once, and its held-out probabilities once, from five folds. All calibrations
and thresholds use the same probabilities. Errors are means over the patterns, or over
the numbers of observed modalities, with at least 30 test samples.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    StratifiedKFold,
    StratifiedShuffleSplit,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing import ModalityAmputer, ModalityWarning
from skmissing.benchmark import load_data
from skmissing.conformal import (
    AbstainingClassifier,
    CalibrationByPattern,
    calibration_error_by_pattern,
)
from skmissing.ensemble import LateFusionClassifier

# Shrinkages are chosen on the first data sets, and reported on all others.
CHOSEN_ON = ["digits", "breast_cancer", "mfeat", "rosmap"]
SHRINKAGES, CHOSEN = [0, 20, 50, 100, 200, 500], 100
MOST_TRAIN, MOST_TEST, LEAST_IN_GROUP, LEAST = 600, 1500, 30, 1e-4

NAMES = {
    "error_n_observed": "error by number",
    "worst_n_observed": "worst number",
    "error_pattern": "error by pattern",
    "worst_pattern": "worst pattern",
    "log_loss": "log-loss",
}
MEASURES = list(NAMES)
OWN_GLOBAL = "temperature, global, no zeros"


class Known(ClassifierMixin, BaseEstimator):
    """Fitted classifier with known probabilities; the last column is a position."""

    def __init__(self, proba, classes):
        self.proba, self.classes = proba, classes
        self.classes_ = classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.proba[X[:, -1].astype(int)]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def make_models(layout):
    def fill(*steps):
        return make_pipeline(SimpleImputer(keep_empty_features=True), *steps)

    forest = RandomForestClassifier(random_state=0)
    return {
        "late": LateFusionClassifier(modalities=layout),
        "mean, forest": fill(forest),
        "mean, logistic": fill(StandardScaler(), LogisticRegression(max_iter=2000)),
    }


def split(data, rate, seed):
    """Training and test samples, with hidden modalities, and their presence."""
    rng = np.random.RandomState(seed)
    if data.split is None:
        splitter = StratifiedShuffleSplit(1, test_size=0.4, random_state=seed)
        train, test = next(splitter.split(data.y, data.y))
    else:
        train, test = np.flatnonzero(data.split != 2), np.flatnonzero(data.split == 2)
    train = rng.permutation(train)[:MOST_TRAIN]
    test = rng.permutation(test)[:MOST_TEST]
    rows = np.concatenate([train, test])
    amputer = ModalityAmputer(rate, modalities=data.modalities, random_state=seed)
    X = amputer.fit_transform(data.X[rows])
    ends = np.cumsum([np.prod(width) for width in data.modalities.values()])
    blocks = np.split(X, ends[:-1], axis=1)
    presence = np.column_stack([~np.isnan(b).all(axis=1) for b in blocks])
    kept = presence.any(axis=1)
    is_train = np.arange(len(rows)) < len(train)
    return X[kept], data.y[rows][kept], presence[kept], is_train[kept]


def score(model, Z, y, layout):
    """Errors by number and by pattern, and log-loss."""
    proba = model.predict_proba(Z)
    codes = np.searchsorted(model.classes_, y)
    loss = -np.log(np.clip(proba[np.arange(len(y)), codes], LEAST, 1))
    found = {"log_loss": loss.mean()}
    for by in ("n_observed", "pattern"):
        frame = calibration_error_by_pattern(
            proba, Z, y, by=by, modalities=layout, classes=model.classes_, as_frame=True
        )
        error = frame.calibration_error[frame.n_samples >= LEAST_IN_GROUP]
        found |= {f"error_{by}": error.mean(), f"worst_{by}": error.max()}
    return found


def abstain(model, Z, y, fitted_on, layout, by):
    """Risk, coverage, and the lowest coverage of a pattern, at 80 % of the samples."""
    chooser = AbstainingClassifier(model, by=by, cv="prefit", modalities=layout)
    answers = chooser.fit(*fitted_on).predict(Z, reject="abstain")
    masked = np.ma.getmaskarray(answers)
    number = (~np.isnan(Z)).sum(axis=1)
    sizes = np.bincount(number)
    groups = [number == n for n in np.flatnonzero(sizes >= LEAST_IN_GROUP)]
    return {
        "risk": (answers.data != y)[~masked].mean(),
        "coverage": (~masked).mean(),
        "least_coverage": min([(~masked[g]).mean() for g in groups], default=np.nan),
    }


def variants(shrinkages):
    # One temperature, but for probabilities of 0 as those by group.
    yield OWN_GLOBAL, "temperature", "n_observed", 1e9
    for method in ("temperature", "isotonic"):
        yield f"{method}, global", method, None, None
        for by in ("n_observed", "pattern"):
            for shrinkage in shrinkages:
                yield f"{method}, {by}, {shrinkage}", method, by, shrinkage


def measure(X, y, presence, is_train, model, layout, shrinkages):
    """Yield the scores of all calibrations of one model."""
    fitted = model.fit(X[is_train], y[is_train])
    proba = np.zeros((len(y), len(fitted.classes_)))
    proba[~is_train] = fitted.predict_proba(X[~is_train])
    proba[is_train] = cross_val_predict(
        model, X[is_train], y[is_train], cv=StratifiedKFold(5), method="predict_proba"
    )
    known = Known(proba, fitted.classes_)
    # The modalities are one column each, and the position is another one.
    Z = np.column_stack([np.where(presence, 1.0, np.nan), np.arange(len(y))])
    layout = {**dict.fromkeys(layout, 1), "position": 1}
    inside, outside = (Z[is_train], y[is_train]), (Z[~is_train], y[~is_train])
    yield {"variant": "none", **score(known, *outside, layout)}
    for name, method, by, shrinkage in variants(shrinkages):
        if by is None:
            calibrated = CalibratedClassifierCV(FrozenEstimator(known), method=method)
        else:
            calibrated = CalibrationByPattern(
                known, method=method, by=by, shrinkage=shrinkage, cv="prefit",
                modalities=layout,
            )  # fmt: skip
        calibrated.fit(*inside)
        yield {"variant": name, **score(calibrated, *outside, layout)}
        if name == "temperature, n_observed, 100":
            best = calibrated
    for before, used in (("none", known), ("calibrated", best)):
        for by in (None, "n_observed", "pattern"):
            found = abstain(used, *outside, inside, layout, by)
            yield {"variant": f"abstain, {before}, {by}", **found}


def run(paths, rates, seeds, results):
    rows = []
    for source in ["digits", "breast_cancer", *paths]:
        data = load_data(source)
        if data.task != "classification":
            continue
        shrinkages = SHRINKAGES if data.name in CHOSEN_ON else [CHOSEN]
        for rate in rates:
            for seed in range(seeds):
                X, y, presence, is_train = split(data, rate, seed)
                for name, model in make_models(data.modalities).items():
                    start = time.perf_counter()
                    cell = {
                        "data": data.name,
                        "rate": rate,
                        "seed": seed,
                        "model": name,
                    }
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", ModalityWarning)
                        found = measure(
                            X, y, presence, is_train, model, data.modalities, shrinkages
                        )
                        rows += [{**cell, **each} for each in found]
                    seconds = time.perf_counter() - start
                    print(*cell.values(), f"{seconds:.1f} s", flush=True)
        pd.DataFrame(rows).to_csv(results, index=False)


def report(cells, out):
    """Write the tables of the guide, and print the choice of the shrinkage."""
    cells["variant"] = cells["variant"].str.removesuffix(f", {CHOSEN}")
    chosen = cells["data"].isin(CHOSEN_ON)
    chosen, rest = cells[chosen], cells[~chosen]
    print(chosen.groupby("variant")[MEASURES].mean().round(4).to_string())
    names = ["none", "temperature, global", OWN_GLOBAL, "temperature, n_observed"]
    names += ["temperature, pattern", "isotonic, global", "isotonic, n_observed"]
    names += ["isotonic, pattern"]
    table = rest.pivot_table(MEASURES, ["model", "variant"])[MEASURES]
    keys = [(m, v) for m in rest["model"].unique() for v in names]
    table = table.loc[[key for key in keys if key in table.index]].rename(columns=NAMES)
    save(table, out / "calibration.csv", "model / calibration")
    sets = rest.pivot_table(["worst_pattern", "log_loss"], ["data", "model"], "variant")
    names = ["none", "temperature, global", "temperature, n_observed"]
    names += ["temperature, pattern"]
    sets = sets[[(m, v) for m in ("worst_pattern", "log_loss") for v in names]]
    sets.columns = [f"{NAMES[m]}, {v.split(', ')[-1]}" for m, v in sets.columns]
    save(sets, out / "calibration_sets.csv", "data / model")
    answers = rest[rest["variant"].str.startswith("abstain")]
    measures = ["risk", "coverage", "least_coverage"]
    answers = answers.pivot_table(measures, ["model", "variant"])[measures]
    answers = answers.rename(columns={"least_coverage": "least coverage"})
    save(answers, out / "abstention.csv", "model / calibration, by")


def save(table, path, label):
    table.index = [" / ".join(key).replace("abstain, ", "") for key in table.index]
    table.round(3).to_csv(path, index_label=label)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--rates", nargs="+", type=float, default=[0.5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", default="calibration_by_pattern.csv")
    parser.add_argument("--report")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.report:
        report(pd.read_csv(args.report), args.out)
    else:
        run(args.paths, args.rates, args.seeds, args.results)


if __name__ == "__main__":
    main()
