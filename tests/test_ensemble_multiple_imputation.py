"""Multiple imputation: pooling, and which imputers can be used."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import Ridge

from skmissing import ModalityWarning
from skmissing.compose import scan_table
from skmissing.ensemble import MultipleImputationClassifier, MultipleImputationRegressor
from skmissing.impute import FactorImputer, RetrievalImputer

from .test_imputer_baselines import factor_imputer, make_task
from .test_sources import memmap, parquet, quietly, table

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


@pytest.mark.parametrize(
    "kind, imputer, make",
    [
        (MultipleImputationClassifier, FactorImputer(2, max_iter=10), parquet),
        (MultipleImputationRegressor, IterativeImputer(max_iter=1), memmap),
    ],
)
def test_tables_that_are_read_in_pieces(kind, imputer, make, tmp_path):
    X = table()
    X = X[~np.isnan(X).all(axis=1)][:200]
    y = (np.nan_to_num(X[:, 0]) > 4).astype(int)
    source = scan_table(make(X, tmp_path))
    whole = scan_table(memmap(X, tmp_path))  # is one piece with much memory
    own = None if isinstance(imputer, IterativeImputer) else [5, 3]
    model = kind(imputer=imputer, modalities=own, n_imputations=2, random_state=0)
    expected = quietly(quietly(model.fit, X, y).imputation_spread, X)
    quietly(model.fit, source, y)
    assert_allclose(quietly(model.imputation_spread, whole), expected)
    with config_context(working_memory=0.02):
        with pytest.warns(ModalityWarning, match="fitted to 81 of 200 samples"):
            model.fit(source, y)
        spread = quietly(model.imputation_spread, source)
        assert quietly(model.predict, source).shape == (200,)
    # Random draws depend on the samples of a piece.
    complete = ~np.isnan(X).any(axis=1)
    expected = quietly(model.imputation_spread, whole)
    assert_allclose(spread[complete], expected[complete])
    assert spread.shape == expected.shape and (spread[~complete] > 0).any()
