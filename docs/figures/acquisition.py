import numpy as np

from skmissing.conformal import AcquisitionDisplay
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import FactorImputer

rng = np.random.RandomState(0)
y = rng.randint(2, size=1200)
X = rng.standard_normal((1200, 6))
X[:, :2] += 0.5 * y[:, None]
X[:, 2:4] += 1.5 * y[:, None]
X[:, 4:] += y[:, None]
X[rng.uniform(size=1200) < 0.5, 2:4] = np.nan
X[rng.uniform(size=1200) < 0.5, 4:] = np.nan
modalities = {"history": 2, "assay": 2, "scan": 2}
train, test = slice(0, 600), slice(600, 1200)
model = LateFusionClassifier("linear", modalities=modalities).fit(X[train], y[train])
imputer = FactorImputer(1, n_factors=2, modalities=modalities, random_state=0)
imputer = imputer.fit(X[train])
AcquisitionDisplay.from_estimator(model, imputer, X[test], random_state=0)
