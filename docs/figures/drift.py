from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier
from skmissing.inspection import DriftDisplay
from skmissing.simulate import ampute

X, y = load_digits_views(return_X_y=True, as_frame=True)
model = LateFusionClassifier("linear").fit(
    ampute(X[:900], 0.2, random_state=0), y[:900]
)
rates = {"pixels": 0.6, "fourier": 0.2, "gradients": 0.2, "profiles": 0.2}
new = ampute(X[900:], rates, random_state=0)
DriftDisplay.from_estimator(model, new)
