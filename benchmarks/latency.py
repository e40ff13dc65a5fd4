"""Seconds of predict_proba for 1 and 1000 samples, with arrays and data frames."""

import warnings

import numpy as np
import pandas as pd
from _harness import embeddings, seconds
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.ensemble import (
    LateFusionClassifier,
    ModalityDropout,
    MultipleImputationClassifier,
    PatternClassifier,
)
from skmissing.fusion import MHSAFusionClassifier, MMPClassifier, make_ul4m4
from skmissing.impute import FactorImputer

WIDTHS = [300, 300, 306]
N_TRAIN, N_CLASSES = 600, 5


def make_models():
    """Unfitted models by name."""
    own = {"modalities": WIDTHS, "random_state": 0}
    fast = {**own, "max_epochs": 5}
    factor = FactorImputer(2, n_factors=4, max_iter=5, tol=1.0)
    return {
        "scikit-learn: imputer, scaler, logistic regression": make_pipeline(
            SimpleImputer(), StandardScaler(), LogisticRegression(C=0.05)
        ),
        "LateFusionClassifier('linear')": LateFusionClassifier("linear", **own),
        "LateFusionClassifier()": LateFusionClassifier(**own),
        "LateFusionClassifier('full')": LateFusionClassifier("full", **own),
        "PatternClassifier()": PatternClassifier(modalities=WIDTHS),
        "ModalityDropout(boosting)": ModalityDropout(
            HistGradientBoostingClassifier(max_iter=20), **own
        ),
        "MultipleImputationClassifier()": MultipleImputationClassifier(
            imputer=factor, **own
        ),
        "MHSAFusionClassifier()": MHSAFusionClassifier(**fast),
        "MMPClassifier()": MMPClassifier(**fast),
        "make_ul4m4()": make_ul4m4("classification", **fast),
    }


def main():
    """Print a table in Markdown, in milliseconds."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=N_TRAIN + 1000)
    X = embeddings(len(y), WIDTHS, missing=0.3, dtype=np.float64)
    X += 0.25 * rng.standard_normal((N_CLASSES, sum(WIDTHS)))[y]
    names = [f"{m}__{i}" for m, width in enumerate(WIDTHS) for i in range(width)]
    frame = pd.DataFrame(X, columns=names)
    print(f"{sum(WIDTHS)} columns, {N_CLASSES} classes, milliseconds\n")
    print("| predict_proba | 1, array | 1, frame | 1000, array | 1000, frame |")
    print("| --- | --- | --- | --- | --- |")
    for name, model in make_models().items():
        taken = []
        for table in (X, frame):
            model.fit(table[:N_TRAIN], y[:N_TRAIN])
            for n_rows, repeats in ((1, 20), (1000, 3)):
                new = table[N_TRAIN : N_TRAIN + n_rows]
                taken.append(
                    min(
                        seconds(lambda model=model, new=new: model.predict_proba(new))
                        for _ in range(repeats)
                    )
                )
        row, batch, row_frame, batch_frame = (f"{1e3 * t:.1f}" for t in taken)
        print(f"| {name} | {row} | {row_frame} | {batch} | {batch_frame} |", flush=True)


if __name__ == "__main__":
    main()
