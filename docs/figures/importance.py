from _example import X_test, model, y_test

from skmissing.inspection import ModalityImportanceDisplay

ModalityImportanceDisplay.from_estimator(model, X_test, y_test, random_state=0)
