"""make_ul4m4: both steps, one layout, tuned by scikit-learn."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmissing.datasets import load_digits_views
from skmissing.fusion import make_ul4m4
from skmissing.simulate import ampute

from .data import make_classifier, make_data, make_mmp

QUICK = {
    "hidden_dim": 16,
    "max_epochs": 10,
    "lr": 1e-2,
    "n_clusters": 10,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits_views(return_X_y=True, as_frame=True)
    X, y = X[:300], y[:300]
    return ampute(X, 0.5, random_state=0), y


def test_grid_search_over_both_steps(digits):
    X, y = digits
    model = make_ul4m4("classification", **QUICK).set_output(transform="pandas")
    soft = {
        "clusterguidedimputer__n_clusters": [5],
        "clusterguidedimputer__strategy": ["soft"],
        "mhsafusionclassifier__modality_dropout": [0.5],
    }
    grid = [soft, {"clusterguidedimputer__strategy": ["nearest"]}]
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X, y) > 0.5


@pytest.mark.parametrize(
    "model, grid",
    [
        (make_classifier(max_epochs=2), {"missing": ["mask", "zero"]}),
        (
            make_classifier(max_epochs=2),
            {"criterion__consistency": [None, "ranking", "distill", "align"]},
        ),
        (
            make_mmp(max_epochs=2),
            {
                "alignment_weight": [0.0, 1.0],
                "projector": ["none", "linear", "cross_attention"],
            },
        ),
    ],
)
def test_search_in_a_pipeline(model, grid):
    X, y = make_data(60)
    pipeline = make_pipeline(FunctionTransformer(), model)
    grid = {f"{type(model).__name__.lower()}__{k}": v for k, v in grid.items()}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc_ovr").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == y.shape


def test_both_steps_share_the_layout(digits):
    """Prefixed names, widths and a dict in another order mean the same columns."""
    X, y = digits
    by_name = make_ul4m4("classification", **QUICK).fit(X, y)
    widths = [m.width for m in by_name[0].modalities_.values()]
    assert by_name[1].modalities_ == by_name[0].modalities_
    by_width = make_ul4m4("classification", modalities=widths, **QUICK)
    by_width.fit(X.to_numpy(), y)
    expected = by_name.predict_proba(X)
    np.testing.assert_allclose(by_width.predict_proba(X.to_numpy()), expected)
    layout = by_name[0].modalities_
    reverse = {name: layout[name].width for name in reversed(layout.names)}
    by_dict = make_ul4m4("classification", modalities=reverse, **QUICK).fit(X, y)
    assert all(by_dict[1].modalities_[name] == layout[name] for name in reverse)


def test_regression(digits):
    X, y = digits
    model = make_ul4m4("regression", bounds=(0, 9), **QUICK).fit(X, y)
    assert model.predict(X).min() >= 0


def test_unknown_task():
    with pytest.raises(ValueError, match="'task'.*Got 'clustering' instead"):
        make_ul4m4("clustering")


def test_unknown_parameter(digits):
    model = make_ul4m4("classification", hiden_dim=8)
    with pytest.raises(TypeError, match="unexpected parameters .'hiden_dim'"):
        model.fit(*digits)


def test_only_frames_become_frames(digits):
    X, y = digits
    model = make_ul4m4("classification", **QUICK).fit(X, y)
    assert list(model[0].transform(X).columns) == list(X.columns)
    layout = {name: m.width for name, m in model[1].modalities_.items()}
    other = make_ul4m4("classification", modalities=layout, **QUICK)
    other.fit(X.to_numpy(), y)
    assert isinstance(other[0].transform(X.to_numpy()), np.ndarray)
    np.testing.assert_array_equal(
        other.predict_proba(X.to_numpy()), model.predict_proba(X)
    )
