"""Concordance and integrated Brier score by pattern: late fusion against imputation.

    python benchmarks/survival.py --results docs/results

Data sets of scikit-survival. Modalities of training samples are hidden at random. The
test samples are complete, and each subset of their modalities is scored, with all
others hidden. "late" is LateFusionSurvival. "mean" is one Cox model with the penalty of
the default of "late", on columns whose missing cells are filled with the mean.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv import datasets
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import as_integrated_brier_score_scorer

from skmissing.ensemble import LateFusionSurvival
from skmissing.inspection import score_by_pattern
from skmissing.simulate import ampute

RATES = [0.0, 0.3, 0.5]
SETS = {
    "breast_cancer": {"genes": r"X\d", "clinical": "age|er|grade|size"},
    "gbsg2": {
        "patient": "age|menostat|horTh",
        "tumour": "tsize|tgrade|pnodes",
        "receptors": "progrec|estrec",
    },
    "flchain": {
        "patient": "age|sex",
        "creatinine": "creatinine",
        "light chains": "kappa|lambda|flc|mgus",
    },
}


def load(name, n_samples=1000):
    """X, y, and the columns of each modality. Categories are numbered."""
    X, y = getattr(datasets, f"load_{name}")()
    for column in X.columns:
        if X[column].dtype.kind not in "fiu":
            values = X[column].astype("category").replace("unkown", None)
            X[column] = values.cat.codes.where(values.notna()).astype(float)
    parts = [X.loc[:, X.columns.str.match(words)] for words in SETS[name].values()]
    widths = {m: part.shape[1] for m, part in zip(SETS[name], parts)}
    rows = np.random.RandomState(0).permutation(len(X))[:n_samples]
    return pd.concat(parts, axis=1).to_numpy(float)[rows], y[rows], widths


def models(widths):
    """Models by name."""
    cox = CoxPHSurvivalAnalysis(alpha=50)
    return {
        "late": LateFusionSurvival(modalities=widths),
        "mean": make_pipeline(
            SimpleImputer(keep_empty_features=True), StandardScaler(), cox
        ),
    }


def measure(name, rate, seed):
    """Scores of each method and pattern on one split."""
    X, y, widths = load(name)
    event, time = (y[field] for field in y.dtype.names)
    splits = StratifiedShuffleSplit(1, test_size=0.3, random_state=seed)
    train, test = next(splits.split(X, event))
    complete = test[~np.isnan(X[test]).any(axis=1)]
    # The Brier score needs test times below the last training time.
    limit = time[train].max() - 1e-6
    event[time > limit] = False
    time[:] = np.minimum(time, limit)
    times = np.quantile(time[train][event[train]], np.linspace(0.1, 0.8, 15))
    times = np.unique(times[times < time[complete].max()])
    hidden = ampute(X[train], rate, modalities=widths, random_state=seed)
    rows = []
    for method, model in models(widths).items():
        scorer = as_integrated_brier_score_scorer(model, times).fit(hidden, y[train])
        brier, concordance = (
            score_by_pattern(m, X[complete], y[complete], modalities=widths)
            for m in (scorer, scorer.estimator_)
        )
        for pattern, *scores in zip(brier.pattern, concordance.score, -brier.score):
            rows.append([name, rate, seed, pattern, method, *scores])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    rows = [
        row
        for name in given.sets
        for rate in RATES
        for seed in range(given.splits)
        for row in measure(name, rate, seed)
    ]
    keys = ["set", "missing", "split", "modalities", "method"]
    table = pd.DataFrame(rows, columns=[*keys, "concordance", "brier"])
    table["missing"] = (100 * table["missing"]).astype(int)
    rows = pd.MultiIndex.from_frame(table[["set", "modalities"]]).unique()
    for score, digits in (("concordance", 3), ("brier", 4)):
        wide = table.pivot_table(score, rows.names, ["missing", "method"])
        wide = wide.loc[rows].round(digits)
        wide.columns = [f"{rate} % {method}" for rate, method in wide.columns]
        print(score, wide.to_string(), sep="\n")
        gain = table.pivot_table(score, [*keys[:4]], "method", sort=False)
        gain = (gain["late"] - gain["mean"]).groupby(keys[:2]).agg(["mean", "sem"])
        print("late - mean, over splits and patterns", gain.to_string(), sep="\n")
        if given.results:
            path = given.results / f"survival_{score}.csv"
            wide.reset_index().to_csv(path, index=False, float_format=f"%.{digits}f")


if __name__ == "__main__":
    main()
