"""Multiple imputation: pooling, and which imputers can be used."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from skmissing.ensemble import MultipleImputationClassifier, MultipleImputationRegressor
from skmissing.impute import FactorImputer, RetrievalImputer

from .test_imputer_baselines import factor_imputer, make_task

pytestmark = pytest.mark.filterwarnings("ignore:.*EM did not converge")


def test_predictions_are_pooled():
    X, labels, y = make_task(0)
    classifier = MultipleImputationClassifier(
        imputer=factor_imputer(), n_imputations=3, random_state=0
    ).fit(X[:200], labels[:200])
    regressor = MultipleImputationRegressor(
        Ridge(), factor_imputer(), n_imputations=3, random_state=0
    ).fit(X[:200], y[:200])
    each = [
        m.predict(i.transform(X[200:]))
        for m, i in zip(regressor.estimators_, regressor.imputers_)
    ]
    assert_allclose(regressor.predict(X[200:]), np.mean(each, axis=0))
    spread = regressor.imputation_spread(X[200:])
    assert_allclose(spread, np.std(each, axis=0))
    complete = ~np.isnan(X[200:]).any(axis=1)
    assert spread[complete].mean() < 0.5 * spread[~complete].mean()
    assert classifier.score(X[200:], labels[200:]) > 0.8
    assert_allclose(classifier.predict_proba(X[200:]).sum(axis=1), 1)


def test_imputer_must_draw():
    X, labels, _ = make_task(0)
    model = MultipleImputationClassifier(imputer=RetrievalImputer())
    with pytest.raises(ValueError, match="sample_posterior and random_state.*Retr"):
        model.fit(X, labels)


def test_frames_keep_their_names_and_failed_fits_the_model(df_module):
    X, labels, _ = make_task(0)
    names = ["a__0", "a__1", "b__0", "b__1", "b__2", "c__0"]
    frame = df_module.DataFrame({name: X[:, j] for j, name in enumerate(names)})
    imputer = FactorImputer(2, n_factors=3, max_iter=10)
    model = MultipleImputationClassifier(
        imputer=imputer, n_imputations=2, random_state=0
    ).fit(frame, labels)
    assert list(model.modalities_) == ["a", "b", "c"]
    before = model.predict_proba(frame)
    with pytest.raises(ValueError, match="Unknown label type"):
        model.fit(frame, np.linspace(0, 1, 300))
    assert_array_equal(model.predict_proba(frame), before)
