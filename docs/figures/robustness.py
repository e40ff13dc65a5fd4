from _example import X_test, model, y_test

from skmissing.inspection import RobustnessCurveDisplay

RobustnessCurveDisplay.from_estimator(
    model, X_test, y_test, hide="both", rates=[0, 0.25, 0.5, 0.75, 1], random_state=0
)
