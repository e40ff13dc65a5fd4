"""MHSAFusionClassifier and MHSAFusionRegressor: data in, answers out, refusals."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skmissing.fusion import MHSAFusionClassifier, MHSAFusionRegressor

WIDTHS = [3, 2, 4]
SMALL = {
    "modalities": WIDTHS,
    "hidden_dim": 8,
    "n_heads": 2,
    "lr": 0.05,
    "max_epochs": 6,
    "random_state": 0,
}


def make_classifier(**params):
    """A small, quick classifier."""
    return MHSAFusionClassifier(**{**SMALL, **params})


def make_regressor(**params):
    """A small, quick regressor."""
    return MHSAFusionRegressor(**{**SMALL, **params})


def make_data(n_rows=80, n_classes=3, missing=0.3, seed=0):
    """X with modalities missing, never all of a row, and the group of each row."""
    rng = np.random.RandomState(seed)
    group = np.arange(n_rows) % n_classes
    X = rng.standard_normal((n_rows, sum(WIDTHS))) + 2.0 * group[:, None]
    keep = rng.uniform(size=(n_rows, len(WIDTHS))) >= missing
    keep[np.arange(n_rows), rng.randint(len(WIDTHS), size=n_rows)] = True
    X[~np.repeat(keep, WIDTHS, axis=1)] = np.nan
    return X, group


@pytest.fixture(scope="module")
def fitted():
    """A classifier, and the data it was fitted on."""
    X, y = make_data()
    return make_classifier(max_epochs=20).fit(X, y), X, y


# ------------------------------------------------------------------- classification


def test_classifier_learns_from_incomplete_rows(fitted):
    """Rows that lack modalities are learnt from, and classified."""
    model, X, y = fitted
    assert model.score(X, y) > 0.8
    late, truth = make_data(seed=1)
    assert model.score(late, truth) > 0.7


def test_answers_agree(fitted):
    """Probabilities, their logarithms, decisions and labels tell the same."""
    model, X, _ = fitted
    proba, raw = model.predict_proba(X), model.decision_function(X)
    assert_allclose(proba, softmax(raw, axis=1))
    assert_allclose(model.predict_log_proba(X), np.log(proba))
    assert_array_equal(model.predict(X), model.classes_[raw.argmax(axis=1)])


def test_two_classes():
    """Two classes have one decision, the log-odds of the second."""
    X, y = make_data(n_classes=2)
    labels = np.array(["no", "yes"])[y]
    model = make_classifier().fit(X, labels)
    raw, proba = model.decision_function(X), model.predict_proba(X)
    assert raw.shape == (len(X),) and proba.shape == (len(X), 2)
    assert_allclose(proba, np.column_stack([expit(-raw), expit(raw)]))
    assert_allclose(model.predict_log_proba(X), np.log(proba))
    assert_array_equal(model.predict(X), np.where(raw > 0, "yes", "no"))
    assert model.score(X, labels) > 0.8


def test_several_labels():
    """An indicator y gives one probability a label, in y's own type."""
    X, group = make_data(120)
    y = np.column_stack([group > 0, group == 1, group < 9]).astype(np.int32)
    model = make_classifier(max_epochs=30, class_weight="balanced").fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == y.shape
    assert_allclose(proba, expit(model.decision_function(X)))
    assert_allclose(model.predict_log_proba(X), np.log(proba))
    assert model.predict(X).dtype == y.dtype
    assert_array_equal(model.predict(X), proba > 0.5)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert (model.predict(X) == y).mean() > 0.8
    assert (proba[:, 2] > 0.9).all()  # a label that all rows have


def test_class_weight_moves_decisions():
    """A heavy class is predicted more often; by the class's name."""
    X, y = make_data(n_classes=2)
    X = X - 2.0 * y[:, None] + 0.3 * y[:, None]  # classes overlap
    labels = np.array(["a", "b"])[y]
    share = {
        weight: (
            make_classifier(class_weight={"b": weight}).fit(X, labels).predict(X) == "b"
        ).mean()
        for weight in (0.05, 1, 20)
    }
    assert share[0.05] < share[1] < share[20]


def test_balanced_class_weight_is_that_of_sample_weight():
    """Class weights multiply the rows' losses."""
    X, y = make_data(n_classes=2)
    keep = (y == 0) | (np.arange(len(y)) % 4 == 1)
    X, y = X[keep], y[keep]
    balanced = make_classifier(class_weight="balanced").fit(X, y)
    weight = len(y) / (2 * np.bincount(y))[y]
    byhand = make_classifier(class_weight=dict(enumerate(np.unique(weight)[[0, 1]])))
    factors = {c: weight[y == c][0] for c in (0, 1)}
    byhand = byhand.set_params(class_weight=factors).fit(X, y)
    assert_allclose(balanced.predict_proba(X), byhand.predict_proba(X))


# ----------------------------------------------------------------------- regression


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 2)])
def test_regressor_targets(shape):
    """One target or several; predictions have the shape of y, in its units."""
    X, group = make_data(120)
    y = 1000.0 * np.column_stack([group, 3 - group])[:, : abs(shape[-1])]
    y = y.reshape(shape)
    model = make_regressor(max_epochs=30).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.7


def test_bounds_clip_predictions(monkeypatch):
    """Predictions are those without bounds, clipped: training does not see them."""
    X, y = make_data(60)
    free, bounded = make_regressor(), make_regressor(bounds=(0, 2))
    assert bounded.fit(X, y).loss_curve_ == free.fit(X, y).loss_curve_
    raw = np.array([[-9.0], [0.1], [9.0]])
    for model in (free, bounded):
        monkeypatch.setattr(model, "_outputs", lambda X: raw)
    assert_allclose(free.predict(X[:3]), (raw * y.std() + y.mean())[:, 0])
    assert_array_equal(bounded.predict(X[:3]), np.clip(free.predict(X[:3]), 0, 2))
    assert bounded.predict(X[:3])[0] == 0 and bounded.predict(X[:3])[2] == 2


def test_scale_of_targets_does_not_matter():
    """Targets are standardised inside."""
    X, y = make_data(60)
    plain = make_regressor().fit(X, y).predict(X)
    scaled = make_regressor().fit(X, 1e4 * y - 7).predict(X)
    assert_allclose(scaled, 1e4 * plain - 7, rtol=1e-3)


def test_constant_target():
    """A target without variance is predicted, without a warning."""
    X, _ = make_data(60)
    y = np.full(60, 5.0)
    assert_allclose(make_regressor().fit(X, y).predict(X), 5.0, atol=0.5)


# ----------------------------------------------------------------- rows and columns


@pytest.mark.parametrize("missing", ["mask", "zero", "token"])
def test_batch_size_does_not_matter(missing):
    """A row alone is predicted as among others, to double precision."""
    X, y = make_data()
    model = make_classifier(missing=missing, max_epochs=2).fit(X, y)
    together = model.decision_function(X)
    alone = np.vstack([model.decision_function(X[i : i + 1]) for i in range(len(X))])
    assert_allclose(alone, together, rtol=1e-11, atol=1e-12)


def test_chunks_do_not_matter(fitted, monkeypatch):
    """Predictions in many chunks are those in one."""
    model, X, _ = fitted
    expected = model.decision_function(X)
    monkeypatch.setattr("skmissing.fusion._base.PREDICT_CELLS", 40)
    assert_allclose(model.decision_function(X), expected, rtol=1e-11, atol=1e-12)


def test_standardisation_sees_training_rows_only(fitted):
    """What is predicted for a row does not depend on outliers beside it."""
    model, X, _ = fitted
    wild = np.vstack([X, 1e6 * np.ones((3, X.shape[1]))])
    assert_allclose(model.predict_proba(wild)[:-3], model.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_columns_do_not_matter(dtype):
    """Columns are standardised: other units give the same predictions."""
    X, y = make_data()
    X = X.astype(dtype)
    factor = np.logspace(-2, 3, X.shape[1]).astype(dtype)
    first = make_classifier().fit(X, y).predict_proba(X)
    second = make_classifier().fit(X * factor + 5, y).predict_proba(X * factor + 5)
    assert_allclose(second, first, atol=1e-2)
    raw = make_classifier(standardize=False)
    raw = raw.fit(X * factor, y).predict_proba(X * factor)
    assert np.abs(raw - first).max() > 0.02


def test_holes_are_training_means(fitted):
    """A hole in a present modality stands for the mean of the training rows."""
    model, X, _ = fitted
    row = np.array([[0.5, np.nan, 1.0, *[np.nan] * 6]])
    filled = row.copy()
    filled[0, 1] = np.nanmean(X[:, 1])
    assert_allclose(model.predict_proba(row), model.predict_proba(filled), rtol=1e-6)


def test_columns_may_lie_anywhere():
    """Interleaved columns with a dict are the same as blocks with widths."""
    X, y = make_data()
    order = np.random.RandomState(0).permutation(X.shape[1])
    place = np.argsort(order)  # column j of X is column place[j] of the shuffled X
    stops = np.cumsum(WIDTHS)
    groups = {
        f"m{i}": place[stop - width : stop].tolist()
        for i, (width, stop) in enumerate(zip(WIDTHS, stops))
    }
    expected = make_classifier().fit(X, y).predict_proba(X)
    shuffled = make_classifier(modalities=groups).fit(X[:, order], y)
    assert_allclose(shuffled.predict_proba(X[:, order]), expected, rtol=1e-6)


def test_sequences_and_padding():
    """A sequence may be missing or padded, and the place of a token counts."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((60, 8)), np.arange(60) % 2
    X[:, 2:] += y[:, None]
    X[::2, 6:] = np.nan  # the last of three tokens is padding
    X[::5, 2:] = np.nan  # the whole sequence is missing
    model = make_classifier(modalities={"vector": 2, "sequence": (3, 2)}).fit(X, y)
    assert model.score(X, y) > 0.6
    assert model.modalities_["sequence"].shape == (3, 2)
    late = X[1:2].copy()
    assert not np.allclose(
        model.predict_proba(late),
        model.predict_proba(late[:, [0, 1, 4, 5, 2, 3, 6, 7]]),
    )


def test_rows_without_any_modality():
    """They are left out of training and predicted by frequencies, with warnings."""
    X, y = make_data(60)
    empty = np.full((4, X.shape[1]), np.nan)
    model = make_classifier()
    with pytest.warns(
        UserWarning, match="4 of 64 rows have no modality; they are left"
    ):
        model.fit(np.vstack([X, empty]), np.append(y, [0, 0, 0, 2]))
    with pytest.warns(UserWarning, match="1 of 3 rows have no modality that was seen"):
        proba = model.predict_proba(np.vstack([X[:2], empty[:1]]))
    assert_allclose(proba[2], np.array([23, 20, 21]) / 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = make_classifier().fit(X, y)
    assert_allclose(proba[:2], same.predict_proba(X[:2]))


def test_rows_without_any_modality_other_tasks():
    """Regression gives the mean, two classes and labels the frequencies."""
    X, y = make_data(60)
    empty = np.full((1, X.shape[1]), np.nan)
    weight = np.linspace(0.5, 2, 60)
    model = make_regressor().fit(X, y, sample_weight=weight)
    with pytest.warns(UserWarning, match="1 of 1 rows"):
        assert_allclose(model.predict(empty), [np.average(y, weights=weight)])
    model = make_classifier().fit(X, y == 1)
    with pytest.warns(UserWarning, match="1 of 1 rows"):
        assert_allclose(model.predict_proba(empty), [[2 / 3, 1 / 3]])
    model = make_classifier().fit(
        X, np.column_stack([y == 0, y < 3, y > 0]).astype(int)
    )
    with pytest.warns(UserWarning, match="1 of 1 rows"):
        assert_allclose(model.predict_proba(empty), [[1 / 3, 1, 2 / 3]], atol=1e-8)


def test_modality_never_seen_in_training():
    """It is ignored, with a warning, also where later rows have it."""
    X, y = make_data(60)
    X[:, 3:5] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    y = y[: len(X)]
    with pytest.warns(UserWarning, match=r"no training row has .*\['modality1'\]"):
        model = make_classifier().fit(X, y)
    late = X.copy()
    late[:, 3:5] = 7.0
    assert_array_equal(model.predict_proba(late), model.predict_proba(X))
    only = np.full((1, X.shape[1]), np.nan)
    only[0, 3:5] = 1.0
    with pytest.warns(UserWarning, match="1 of 1 rows have no modality that was seen"):
        model.predict(only)


# -------------------------------------------------------------------------- weights


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_of_weight_zero_have_no_influence(early_stopping):
    """They can be anything, and are as if they were not there."""
    X, y = make_data(60)
    other, labels = make_data(30, seed=5)
    weight = np.append(np.linspace(0.5, 2, 60), np.zeros(30))
    params = {"early_stopping": early_stopping, "scoring": "accuracy"}
    alone = make_classifier(**params).fit(X, y, sample_weight=weight[:60])
    both = make_classifier(**params).fit(
        np.vstack([X, 100 * other]), np.append(y, labels), sample_weight=weight
    )
    assert_array_equal(both.predict_proba(X), alone.predict_proba(X))


def test_only_ratios_of_weights_matter():
    """Weights times a constant give the same model."""
    X, y = make_data(60)
    weight = np.linspace(0.5, 2, 60)
    first = make_regressor().fit(X, y, sample_weight=weight)
    second = make_regressor().fit(X, y, sample_weight=8 * weight)
    assert_allclose(second.predict(X), first.predict(X), rtol=1e-6)


def test_weight_is_repetition_without_noise():
    """In whole batches, weight 2 is the row twice, up to single precision."""
    X, y = make_data(40)
    params = {"dropout": 0.0, "modality_dropout": 0, "batch_size": 200, "lr": 0.01}
    weight = np.where(np.arange(40) < 15, 3, 1)
    weighted = make_classifier(**params).fit(X, y, sample_weight=weight)
    repeated = make_classifier(**params).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-4)
    plain = make_classifier(**params).fit(X, y)
    assert np.abs(plain.predict_proba(X) - weighted.predict_proba(X)).max() > 1e-3


# ------------------------------------------------------------------- early stopping


@pytest.mark.parametrize(
    "scoring", ["loss", "accuracy", "neg_log_loss", make_scorer(accuracy_score)]
)
def test_early_stopping_keeps_the_best_epoch(scoring):
    """The epoch kept is the first of the best, and training ends after it."""
    X, y = make_data(100)
    model = make_classifier(
        early_stopping=True,
        scoring=scoring,
        n_iter_no_change=4,
        max_epochs=60,
        validation_fraction=0.3,
    ).fit(X, y)
    curve = np.array(model.validation_curve_)
    assert len(curve) == len(model.loss_curve_) == model.n_iter_
    best = curve.argmin() if scoring == "loss" else curve.argmax()
    assert model.best_iter_ == best + 1
    assert model.n_iter_ in (model.best_iter_ + 4, 60)


def test_scorer_sees_what_the_model_predicts():
    """A scorer may predict for any rows; they get the answers of the epoch's net."""
    X, y = make_data(100)
    seen = []

    def scorer(model, X_valid, y_valid):
        whole, part = model.predict_proba(X_valid), model.predict_proba(X_valid[::2])
        assert_allclose(part, whole[::2], atol=1e-5)
        seen.append((X_valid, y_valid, whole))
        return accuracy_score(y_valid, model.predict(X_valid))

    model = make_classifier(
        early_stopping=True,
        scoring=scorer,
        n_iter_no_change=60,
        validation_fraction=0.2,
    ).fit(X, y)
    X_valid, y_valid, whole = seen[model.best_iter_ - 1]
    assert len(X_valid) == 20
    assert_array_equal(np.bincount(y_valid), [7, 7, 6])  # as in y
    assert_allclose(model.predict_proba(X_valid), whole, atol=1e-5)
    assert all(np.array_equal(first, X_valid, equal_nan=True) for first, _, _ in seen)


def test_validation_rows_are_masked_like_training_rows():
    """Rows set aside lack modalities too, unless modality_dropout is 0."""
    X, y = make_data(200, missing=0.0)
    found = {}

    def scorer(model, X_valid, y_valid):
        found["gaps"] = np.isnan(X_valid[:, [0, 3, 5]])
        return 1.0

    for dropout in (0.0, 1.0):
        make_classifier(
            early_stopping=True,
            scoring=scorer,
            max_epochs=1,
            modality_dropout=dropout,
            validation_fraction=0.5,
        ).fit(X, y)
        rate = found["gaps"].mean()
        assert rate == 0 if dropout == 0 else abs(rate - 1 / 3) < 0.1
        assert not found["gaps"].all(axis=1).any()


def test_weights_reach_the_named_scorer():
    """A scorer given by name is weighted as the loss is."""
    X, y = make_data(100)
    y = np.random.RandomState(0).permutation(y)
    weight = np.where(y == 0, 50.0, 0.01)
    model = make_classifier(
        early_stopping=True, scoring="accuracy", validation_fraction=0.4, max_epochs=8
    ).fit(X, y, sample_weight=weight)
    assert model.validation_curve_[-1] > 0.95  # all that counts is class 0


def test_regressor_stops_early():
    """Regression validates too, by any scorer."""
    X, y = make_data(100)
    model = make_regressor(
        early_stopping=True, scoring="r2", max_epochs=20, validation_fraction=0.3
    ).fit(X, y)
    assert max(model.validation_curve_) == model.validation_curve_[model.best_iter_ - 1]
    assert model.score(X, y) > 0.5


def test_curves_without_early_stopping(fitted):
    """There is a training loss an epoch, no validation curve, and all epochs run."""
    model = fitted[0]
    assert model.n_iter_ == model.best_iter_ == len(model.loss_curve_) == 20
    assert model.validation_curve_ is None
    assert model.loss_curve_[-1] < model.loss_curve_[0]


# ---------------------------------------------------------------- state and manners


def test_pickle_holds_no_torch(fitted):
    """Pickles can be read where the bytes name no torch class, and predict the same."""
    model, X, _ = fitted
    data = pickle.dumps(model)
    assert b"torch" not in data and b"skorch" not in data
    again = pickle.loads(data)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.net_.history == model.net_.history


def test_net_is_a_skorch_net(fitted):
    """`net_` is there when fitted, in double precision, and not before."""
    from skorch import NeuralNet

    model = fitted[0]
    assert isinstance(model.net_, NeuralNet)
    assert {w.dtype for w in model.net_.module_.parameters()} == {torch.float64}
    assert not hasattr(clone(model), "net_")
    with pytest.raises(NotFittedError):
        clone(model).predict(fitted[1])


def test_clone_and_seeds(fitted):
    """The same seed gives the same model; another seed, or a generator, does not."""
    model, X, y = fitted
    expected = model.predict_proba(X)
    assert_array_equal(clone(model).fit(X, y).predict_proba(X), expected)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert np.abs(other.predict_proba(X) - expected).max() > 1e-6
    rng = np.random.RandomState(0)
    first = clone(model).set_params(random_state=rng).fit(X, y)
    second = clone(model).set_params(random_state=rng).fit(X, y)
    assert (first.predict_proba(X) != second.predict_proba(X)).any()


def test_interrupted_fit_leaves_an_unfitted_estimator():
    """Ctrl-C in a second fit takes the first one with it: never half of each."""
    X, y = make_data(60)

    def scorer(model, X_valid, y_valid):
        raise KeyboardInterrupt

    model = make_classifier().fit(X, y)
    model.set_params(early_stopping=True, scoring=scorer)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_search_and_pipeline():
    """The estimators are tuned inside a pipeline."""
    from sklearn.preprocessing import FunctionTransformer

    X, y = make_data(60)
    pipeline = make_pipeline(FunctionTransformer(), make_classifier(max_epochs=3))
    grid = {"mhsafusionclassifier__missing": ["mask", "zero"]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc_ovr")
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == y.shape


def test_metadata_routing():
    """sample_weight can be requested and is then handed on."""
    X, y = make_data(60)
    weight = np.ones(60)
    with config_context(enable_metadata_routing=True):
        model = make_classifier(max_epochs=2).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        scores = cross_val_score(model, X, y, cv=2, params={"sample_weight": weight})
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("params", [{"n_layers": 2}, {"head_dims": (6, 5)}])
def test_depth(params):
    """More layers and hidden layers in the head are made."""
    X, y = make_data(60)
    model = make_classifier(**params).fit(X, y)
    module = model.net_.module_
    assert len(module.layers) == params.get("n_layers", 1)
    assert len(module.head) == 3 * len(params.get("head_dims", ())) + 1


@pytest.mark.parametrize("policy", ["uniform_size", "uniform_subset", "bernoulli"])
def test_mask_policies_train(policy):
    """Every policy of hiding modalities works, and they differ."""
    X, y = make_data(60)
    proba = make_classifier(mask_policy=policy).fit(X, y).predict_proba(X)
    without = make_classifier(modality_dropout=0).fit(X, y).predict_proba(X)
    assert np.abs(proba - without).max() > 1e-3


def test_many_single_columns():
    """Hundreds of modalities of one column are told, with the way out."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((10, 257)), np.arange(10) % 2
    params = {"modalities": None, "max_epochs": 1, "hidden_dim": 2, "n_heads": 1}
    with pytest.warns(UserWarning, match="Each of the 257 columns .* modalities=\\["):
        make_classifier(**params).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_classifier(**{**params, "modalities": [1] * 257}).fit(X, y)


def test_missing_extra_is_named():
    """Without torch, the import says which extra brings it."""
    code = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, *args):\n"
        "        if name == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "try:\n"
        "    import skmissing.fusion\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert 'pip install "skmissing[neural]"' in done.stdout


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "params, match",
    [
        (
            {"hidden_dim": 10, "n_heads": 4},
            "hidden_dim=10 must be a multiple of n_heads",
        ),
        ({"head_dims": (8, 0)}, r"head_dims must hold .* got \(8, 0\)"),
        ({"head_dims": (8.5,)}, r"head_dims must hold .* got \(8.5,\)"),
        ({"scoring": "acuracy"}, "scoring='acuracy' is not known; use 'loss'"),
        ({"device": "gpu"}, "device='gpu' is not known"),
        ({"missing": "impute"}, "The 'missing' parameter of MHSAFusionClassifier"),
        ({"missing": "error"}, r"rows with gaps by modality: \{'modality0': \d+"),
        ({"modality_dropout": 1.5}, "The 'modality_dropout' parameter"),
        ({"class_weight": {7: 2.0}}, "The classes, .* are not in class_weight"),
        (
            {"early_stopping": True, "validation_fraction": 0.99},
            "should be greater or equal to the number of classes|leaves none",
        ),
    ],
)
def test_bad_parameters(params, match):
    """A bad parameter is named, with its value."""
    X, y = make_data(60)
    with pytest.raises(ValueError, match=match):
        make_classifier(**params).fit(X, y)


@pytest.mark.parametrize(
    "bounds, match",
    [
        ((2, 0), r"bounds=\(2, 0\): the lower bound must be below the upper"),
        ((1, 1), r"bounds=\(1, 1\): the lower bound must be below the upper"),
        ((0, 1, 2), r"bounds must be a pair \(low, high\); got \(0, 1, 2\)"),
        ((0, 1.5), r"bounds=\(0, 1.5\) leaves out .* which go from 0 to 2"),
    ],
)
def test_bad_bounds(bounds, match):
    """Bounds that are reversed, not a pair, or contradict y are refused."""
    X, y = make_data(30)
    with pytest.raises(ValueError, match=match):
        make_regressor(bounds=bounds).fit(X, y)


def test_lonely_class():
    """A class of one row cannot be both trained on and validated on."""
    X, y = make_data(60)
    labels = np.array(["a", "b", "c"], dtype=object)[y]
    labels[0] = "rare"
    with pytest.raises(ValueError, match=r"two rows of each class, .*: \['rare'\]"):
        make_classifier(early_stopping=True).fit(X, labels)
    model = make_classifier(max_epochs=1).fit(X, labels)
    assert "rare" in model.classes_


@pytest.mark.parametrize("maker", [make_classifier, make_regressor])
def test_bad_targets(maker):
    """NaN in y, and y of another length, are refused by scikit-learn's own words."""
    X, y = make_data(30)
    bad = y.astype(float)
    bad[3] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN"):
        maker().fit(X, bad)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        maker().fit(X, y[:-1])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        maker().fit(np.where(np.isnan(X), np.inf, X), y)


def test_bad_classes():
    """Continuous y, one class only, and several columns of classes are refused."""
    X, y = make_data(30)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make_classifier().fit(X, y + 0.5)
    with pytest.raises(ValueError, match="needs at least two classes; y has one class"):
        make_classifier().fit(X, np.ones(30))
    with pytest.raises(ValueError, match="fit one classifier a column"):
        make_classifier().fit(X, np.column_stack([y, y]))


def test_all_rows_empty():
    """Nothing at all to learn from is an error."""
    with pytest.raises(ValueError, match="None of the 6 rows of X has any modality"):
        make_classifier().fit(np.full((6, 9), np.nan), [0, 1] * 3)


def test_missing_error_refuses_gaps_and_takes_padding():
    """A hole, a missing modality and a broken token are gaps; padding is none."""
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


def test_interrupted_data_errors_leave_it_unfitted():
    """A fit that is refused does not leave the former fit behind."""
    X, y = make_data(30)
    model = make_classifier(max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="hidden_dim"):
        model.set_params(hidden_dim=7).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_other_columns_at_predict(fitted):
    """A fitted estimator refuses X of another width."""
    model, X, _ = fitted
    with pytest.raises(ValueError, match="X has 5 features, but MHSAFusionClassifier"):
        model.predict(X[:, :5])
