"""What the fusion estimators refuse, and how they say so."""

import numpy as np
import pytest
from sklearn.base import clone

from .data import make_classifier, make_data, make_mmp, make_regressor


@pytest.mark.parametrize(
    "params, match",
    [
        (
            {"hidden_dim": 10, "module__n_heads": 4},
            "hidden_dim=10 must be a multiple of n_heads",
        ),
        ({"module__head_dims": (8, 0)}, r"head_dims must be .* got head_dims=\(8, 0\)"),
        ({"module__head_dims": (8.5,)}, r"head_dims must be .* got head_dims=\(8.5,\)"),
        ({"module__head_dims": 8}, "head_dims must be a tuple .* got head_dims=8"),
        ({"scoring": "acuracy"}, "The .scoring. parameter .* Got .acuracy. instead."),
        ({"device": "gpu"}, "device='gpu' is not known"),
        ({"missing": "impute"}, "The 'missing' parameter of MHSAFusionClassifier"),
        ({"missing": "error"}, r"incomplete samples per modality: \{'modality0': \d+"),
        ({"modality_dropout": 1.5}, "The 'modality_dropout' parameter"),
        ({"dropout_policy": "all"}, "The 'dropout_policy' parameter"),
        (
            {"iterator_train__dropout_level": "row"},
            "iterator_train__dropout_level must be .* got 'row'",
        ),
        ({"criterion__consistency": "equal"}, "consistency must be None or one of"),
        ({"criterion__consistency_weight": -1.0}, "criterion__consistency_weight must"),
        ({"modalities": [3, 2]}, "modalities"),
        ({"class_weight": {7: 2.0}}, "The classes, .* are not in class_weight"),
        (
            {"class_weight": dict.fromkeys(range(3), 0)},
            r"got \{0: 0, 1: 0, 2: 0\}, with which all 60 samples have weight 0",
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.99},
            r"0.99 of 60 samples leaves 0 .* 3, one of each class, .*\{0: 20",
        ),
    ],
)
def test_bad_parameters(params, match):
    X, y = make_data(60)
    with pytest.raises(ValueError, match=match):
        make_classifier(**params).fit(X, y)


@pytest.mark.parametrize(
    "params, match",
    [
        ({"hidden_dim": 9}, "hidden_dim=9 must be a multiple of n_heads=2"),
        ({"projector": "mlp"}, "The 'projector' parameter of MMPClassifier"),
        ({"module__n_aggregated_tokens": 0}, "n_aggregated_tokens must be a positive"),
        ({"alignment_weight": -1.0}, "The 'alignment_weight' parameter"),
        ({"module__tokens_per_vector": 0}, "tokens_per_vector must be a positive"),
    ],
)
def test_bad_parameters_of_the_projection(params, match):
    X, y = make_data(30)
    with pytest.raises(ValueError, match=match):
        make_mmp(**params).fit(X, y)


@pytest.mark.parametrize(
    "bounds, match",
    [
        ((2, 0), r"bounds must be a pair .* got \(2, 0\)"),
        ((1, 1), r"bounds must be a pair .* got \(1, 1\)"),
        (("a", "b"), r"bounds must be a pair .* got \('a', 'b'\)"),
        ((0, 1, 2), r"bounds must be a pair .* got \(0, 1, 2\)"),
        ((0, 1.5), r"bounds=\(0, 1.5\) must contain all .* from 0 to 2"),
    ],
)
def test_bad_bounds(bounds, match):
    X, y = make_data(30)
    with pytest.raises(ValueError, match=match):
        make_regressor(bounds=bounds).fit(X, y)


def test_lonely_class():
    X, y = make_data(60)
    labels = np.array(["a", "b", "c"], dtype=object)[y]
    labels[0] = "rare"
    with pytest.raises(
        ValueError, match=r"two samples, .* got one sample of each of \['rare'\]"
    ):
        make_classifier(early_stopping=True).fit(X, labels)
    model = make_classifier(max_epochs=1).fit(X, labels)
    assert "rare" in model.classes_


@pytest.mark.parametrize("maker", [make_classifier, make_regressor])
def test_bad_targets(maker):
    """NaN in y, and y of another length, are refused by scikit-learn's own words."""
    X, y = make_data(30)
    bad = y.astype(float)
    bad[3] = np.nan
    with pytest.raises(ValueError, match="y must have no missing values"):
        maker().fit(X, bad)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        maker().fit(X, y[:-1])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        maker().fit(np.where(np.isnan(X), np.inf, X), y)


def test_bad_classes():
    X, y = make_data(30)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make_classifier().fit(X, y + 0.5)
    with pytest.raises(ValueError, match="two classes; got one class, 1.0"):
        make_classifier().fit(X, np.ones(30))
    with pytest.raises(
        ValueError, match="columns of 0, 1, 2. .* fit one classifier per column"
    ):
        make_classifier().fit(X, np.column_stack([y, y]))


def test_squares_must_not_overflow():
    """Such values would be predicted as NaN."""
    X, y = make_data(30)
    with pytest.raises(ValueError, match=r"y must stay below 1e\+150.* got 2e\+200"):
        make_regressor().fit(X, 1e200 * y)
    model = make_regressor(max_epochs=1).fit(X, y)
    X[0, 1] = 1e160
    with pytest.raises(ValueError, match="closer .* overflow in 1 column: 'x1'"):
        model.predict(X)


def test_all_rows_empty():
    with pytest.raises(ValueError, match="X must have a modality in one of 6 samples"):
        make_classifier().fit(np.full((6, 9), np.nan), [0, 1] * 3)


def test_missing_error_refuses_gaps_and_takes_padding():
    X, y = np.ones((6, 8)), np.arange(6) % 2
    X[:, 0] = y
    model = make_classifier(
        modalities={"vector": 2, "sequence": (3, 2)}, missing="error", max_epochs=1
    )
    X[0, 4:6] = np.nan
    model.fit(X, y).predict(X)
    for columns, name in [([0], "vector"), ([0, 1], "vector"), ([3], "sequence")]:
        late = X.copy()
        late[2, columns] = np.nan
        with pytest.raises(ValueError, match=f"{{'{name}': 1}}, of 6. Impute first"):
            model.predict(late)
        with pytest.raises(ValueError, match=f"{{'{name}': 1}}, of 6. Impute first"):
            clone(model).fit(late, y)
