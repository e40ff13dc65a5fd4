from matplotlib import pyplot as plt
from sklearn.impute import SimpleImputer

from skmissing.datasets import load_digits_views
from skmissing.impute import FactorImputer
from skmissing.inspection import ImputationDisplay
from skmissing.simulate import ampute

X, _ = load_digits_views(return_X_y=True, as_frame=True)
X = ampute(X, 0.3, random_state=0)
imputers = {
    "column mean": SimpleImputer(),
    "FactorImputer": FactorImputer(10, random_state=0),
}
figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
for ax, (name, imputer) in zip(axes, imputers.items()):
    imputer.set_output(transform="pandas").fit(X)
    ImputationDisplay.from_estimator(imputer, X, show=["fourier"], ax=ax)
    ax.set(xlabel=name, ylabel="")
