import numpy as np

from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.inspection import ContributionDisplay

X, y = load_digits_views(return_X_y=True, as_frame=True)
model = LateFusionClassifier("linear").fit(X[:900], y[:900])
sample = X[1501:1502].copy()
sample.loc[:, sample.columns.str.startswith("fourier")] = np.nan
ContributionDisplay.from_estimator(model, sample)
