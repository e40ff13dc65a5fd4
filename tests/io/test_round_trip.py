"""A saved model comes back whole: same results, same parameters, same layout."""

import io
import json
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
    LeaveOneOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
    check_cv,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import LateFusionClassifier, PatternClassifier
from skmissing.impute import ClusterGuidedImputer, RegressionImputer
from skmissing.io import load_model, save_model
from skmissing.io._schemas import SCHEMAS
from skmissing.io._trusted import ESTIMATORS, SKMISSING
from skmissing.mixture import PartialModalityFactorMixture
from skmissing.simulate import ModalityAmputer, PatternTable
from tests.estimators import public_estimators
from tests.io.models import (
    fit_sklearn,
    make_pipelines,
    round_trip,
    saved,
    sklearn_estimators,
)
from tests.test_common import (
    ESTIMATORS as INSTANCES,
)
from tests.test_common import (
    as_pandas,
    assert_same,
    every_estimator,
    make_data,
    name_of,
    outputs,
    with_widths,
)


def test_every_public_estimator_can_be_saved():
    """The table of classes has all that is public, and a schema for each."""
    known = {name for names in SKMISSING.values() for name in names}
    missing = sorted(set(public_estimators()) - known)
    assert not missing, f"add to skmissing/io/_trusted.py and _schemas.py: {missing}"
    assert SCHEMAS.keys() == ESTIMATORS.keys()


@every_estimator
def test_round_trip_keeps_results(estimator):
    """Results are equal bit for bit, and so is the layout."""
    X, y = make_data(estimator)
    fitted = with_widths(estimator).fit(X, y)
    expected = outputs(fitted, X)
    loaded = round_trip(fitted)
    assert_same(outputs(loaded, X), expected)
    assert type(loaded) is type(fitted)
    assert list(loaded.modalities_.items()) == list(fitted.modalities_.items())


@every_estimator
def test_round_trip_of_frames(estimator):
    """Names of columns come back, and with them the layout of a refit."""
    X, y = make_data(estimator)
    frame = as_pandas(X)
    fitted = clone(estimator).fit(frame, y)
    loaded = round_trip(fitted)
    assert_array_equal(loaded.feature_names_in_, fitted.feature_names_in_)
    assert_same(outputs(loaded, frame), outputs(fitted, frame))


@pytest.mark.parametrize("estimator", INSTANCES, ids=name_of)
def test_round_trip_of_unfitted(estimator):
    """What was not fitted comes back so, with its parameters."""
    loaded = round_trip(estimator)
    assert repr(loaded.get_params()) == repr(estimator.get_params())
    assert not [name for name in vars(loaded) if name.endswith("_")]


@pytest.mark.parametrize("estimator", sklearn_estimators(), ids=name_of)
def test_round_trip_of_scikit_learn(estimator):
    """Every estimator of scikit-learn in the table comes back whole."""
    fitted, X = fit_sklearn(estimator)
    assert_same(outputs(round_trip(fitted), X), outputs(fitted, X))


@pytest.mark.parametrize("pipeline", make_pipelines())
def test_round_trip_of_pipelines(pipeline):
    """So do pipelines of both libraries."""
    X, y = make_data(pipeline)
    fitted = pipeline.fit(X, y)
    assert_same(outputs(round_trip(fitted), X), outputs(fitted, X))


def test_saving_twice_gives_the_same_bytes(small_multimodal):
    """The file depends on the model alone, also after it was loaded."""
    X, y, widths = small_multimodal
    fitted = LateFusionClassifier(modalities=widths, cv=2).fit(X, y)
    assert saved(fitted) == saved(fitted) == saved(round_trip(fitted))


def test_loaded_model_learns_on(small_multimodal):
    """Arrays that come back can be written to: partial_fit goes on as before."""
    X, _, widths = small_multimodal
    model = PartialModalityKMeans(3, modalities=widths, random_state=0).fit(X)
    loaded = round_trip(model)
    assert_array_equal(
        loaded.partial_fit(X[:20]).cluster_centers_,
        model.partial_fit(X[:20]).cluster_centers_,
    )


def test_generator_comes_back_where_it_was(small_multimodal):
    """A RandomState that was given goes on with the same numbers."""
    X, _, widths = small_multimodal
    rng = np.random.RandomState(7)
    rng.standard_normal(3)
    model = PartialModalityKMeans(3, modalities=widths, random_state=rng)
    loaded = round_trip(model)
    assert_array_equal(loaded.random_state.uniform(size=9), rng.uniform(size=9))


@pytest.mark.parametrize("mechanism", ["mar", "mnar", "label", "group", "burst"])
def test_amputer_of_each_mechanism(mechanism, small_multimodal):
    """What drives an amputer comes back too."""
    X, y, widths = small_multimodal
    amputer = ModalityAmputer(
        0.3,
        modalities=widths,
        mechanism=mechanism,
        when="fit" if mechanism == "label" else "both",
        random_state=0,
    )
    given = {"groups": y} if mechanism in ("group", "burst") else {"y": y}
    amputer.fit(X, **given)
    loaded = round_trip(amputer)
    assert loaded.realized_rates_ == amputer.realized_rates_
    given.pop("y", None)
    assert_array_equal(loaded.transform(X, **given), amputer.transform(X, **given))


def test_configuration_objects_as_parameters(small_multimodal):
    """Tables of patterns are parameters that are saved."""
    X, _, widths = small_multimodal
    table = PatternTable({"modality0": 0.5, "modality0+modality1+modality2": 0.5})
    amputer = ModalityAmputer(table, modalities=widths, random_state=0).fit(X)
    assert round_trip(amputer).missing == table


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=1),
        LeaveOneOut(),
        ShuffleSplit(2, test_size=0.3, random_state=0),
        StratifiedKFold(2),
        StratifiedShuffleSplit(2, random_state=np.random.RandomState(3)),
        [(np.arange(30), np.arange(30, 60))],
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_splitters_and_ranges_as_parameters(cv, small_multimodal):
    """They come back, and split as they did."""
    X, y, _ = small_multimodal
    layout = {"b": range(5, 1, -1), "a": range(2)}
    loaded = round_trip(LateFusionClassifier(modalities=layout, cv=cv))
    assert loaded.modalities == layout
    assert type(loaded.cv) is type(cv)
    folds = [list(check_cv(c).split(X, y)) for c in (loaded.cv, cv)]
    for first, second in zip(*folds, strict=True):
        for found, expected in zip(first, second):
            assert_array_equal(found, expected)


def test_other_splitters_are_named():
    """The message says which parameter holds what cannot be saved."""
    model = LateFusionClassifier(cv=RepeatedKFold())
    with pytest.raises(TypeError, match=r"^cv is a sklearn.*RepeatedKFold, which can"):
        saved(model)


def test_failed_fit_is_saved_as_no_fit(small_multimodal):
    """What an earlier fit had left for itself alone is not in the file."""
    X, y, widths = small_multimodal
    model = LateFusionClassifier(modalities=widths, cv=2).fit(X, y)
    with pytest.raises(ValueError, match="add up to 2"):
        model.set_params(modalities=[1, 1]).fit(X, y)
    assert saved(model) == saved(clone(model))
    with pytest.raises(NotFittedError):
        round_trip(model).predict(X)


@pytest.mark.parametrize("special", ["hole", "never", "indicator", "float32"])
@pytest.mark.parametrize("strategy", ["nearest", "soft", "factor"])
@pytest.mark.filterwarnings("ignore:.*not observed in any row:UserWarning")
def test_imputer_with_odd_data(strategy, special, small_multimodal):
    """Holes, modalities that were never seen, indicators and single precision."""
    X, _, widths = small_multimodal
    X = X.astype(np.float32) if special == "float32" else X.copy()
    X[3, 2] = np.nan if special == "hole" else X[3, 2]
    X[:, 5] = np.nan if special == "never" else X[:, 5]
    imputer = ClusterGuidedImputer(
        2,
        modalities=widths,
        strategy=strategy,
        add_indicator=special == "indicator",
        random_state=0,
    ).fit(X)
    assert_same(outputs(round_trip(imputer), X), outputs(imputer, X))


@pytest.mark.filterwarnings("ignore:.*not observed in any row:UserWarning")
def test_mixture_with_a_modality_never_seen(small_multimodal):
    """Parameters of what was never seen may be NaN."""
    X, _, widths = small_multimodal
    X[:, 5] = np.nan
    model = PartialModalityFactorMixture(
        2, n_factors=2, modalities=widths, random_state=0
    ).fit(X)
    assert_same(outputs(round_trip(model), X), outputs(model, X))


def test_regression_imputer_with_several_targets(small_multimodal):
    """Models that predict one column each come back as they were."""
    X, _, widths = small_multimodal
    imputer = RegressionImputer(
        make_pipeline(StandardScaler(), LogisticRegression()), modalities=widths
    )
    loaded = round_trip(imputer)
    assert repr(loaded) == repr(imputer)
    fitted = RegressionImputer(modalities=widths, min_rows=2).fit(X)
    assert round_trip(fitted).estimators_.keys() == fitted.estimators_.keys()


@pytest.mark.parametrize("output", ["pandas", "default"])
def test_output_container_is_kept(output, small_multimodal):
    """What set_output was told is part of the model."""
    X, _, widths = small_multimodal
    imputer = ClusterGuidedImputer(2, modalities=widths, random_state=0).fit(X)
    imputer.set_output(transform=output)
    assert type(round_trip(imputer).transform(X)) is type(imputer.transform(X))


def test_requests_for_metadata_are_kept():
    """So is what was asked for with set_fit_request."""
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        loaded = round_trip(model)
        request = loaded.get_metadata_routing().fit.requests
    assert request["sample_weight"] is True


class Majority(ClassifierMixin, BaseEstimator):
    """A class of a user's: predicts the most frequent label."""

    def __init__(self, offset=0):
        self.offset = offset

    def fit(self, X, y):
        """Count the labels."""
        self.classes_, counts = np.unique(y, return_counts=True)
        self.label_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        """The label that was most frequent."""
        return np.full(len(X), self.label_)


def test_classes_of_the_callers(small_multimodal):
    """A class that the caller trusts is saved and loaded, also inside of others."""
    X, y, _ = small_multimodal
    model = make_pipeline(StandardScaler(), Majority(2)).fit(X, y)
    loaded = round_trip(model, trusted=[Majority])
    assert loaded[-1].offset == 2
    assert_array_equal(loaded.predict(X), model.predict(X))


def test_places_of_caches_are_not_saved(small_multimodal, tmp_path):
    """A pipeline's cache is a folder of pickles on the machine that trained."""
    X, y, widths = small_multimodal
    model = make_pipeline(
        ClusterGuidedImputer(2, modalities=widths, random_state=0),
        LogisticRegression(),
        memory=str(tmp_path / "cache"),
    ).fit(X, y)
    assert round_trip(model).memory is None


def test_file_replaces_another_when_whole(tmp_path, small_multimodal):
    """A model that cannot be saved leaves the older file as it was."""
    X, y, widths = small_multimodal
    path = tmp_path / "model.skmissing"
    save_model(PartialModalityKMeans(3), path)
    before = path.read_bytes()
    model = PatternClassifier(SVC(), modalities=widths, cv=2)
    with pytest.raises(TypeError, match="SVC, which is not among the estimators"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.skmissing"]
    save_model(PartialModalityKMeans(4), path)
    assert load_model(path).n_clusters == 4


def test_full_disk_leaves_the_older_file(tmp_path, monkeypatch):
    """So does an error in the middle of writing."""
    path = tmp_path / "model.skmissing"
    save_model(PartialModalityKMeans(3), path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skmissing.io._persist.write", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(PartialModalityKMeans(4), path)
    monkeypatch.undo()
    assert load_model(path).n_clusters == 3
    assert os.listdir(tmp_path) == ["model.skmissing"]


@pytest.mark.parametrize(
    "value, match",
    [
        (make_data, r"init is a builtins\.function"),
        (object(), r"init is a builtins\.object, which cannot be saved"),
        (np.array([1j]), r"init is an array of complex128"),
        (np.array([object()]), "init is an array with a object in it"),
    ],
)
def test_what_cannot_be_saved_is_named(value, match):
    """The message says which attribute it is, and of what type."""
    with pytest.raises(TypeError, match=match):
        saved(PartialModalityKMeans(3, init=value))


def test_what_could_not_be_loaded_is_not_saved(small_multimodal):
    """Saving makes the checks of loading."""
    X, _, widths = small_multimodal
    model = PartialModalityKMeans(3, modalities=widths, random_state=0).fit(X)
    with pytest.raises(ValueError, match="'max_iter' parameter .* Got -1"):
        saved(clone(model).set_params(max_iter=-1))
    model.inertia_ = np.nan
    with pytest.raises(ValueError, match="inertia_: wanted num >=0; found nan"):
        saved(model)


def test_unused_parts_of_networks_may_have_any_size(small_multimodal):
    """A size of a part that is not there fits no weight, and need not."""
    pytest.importorskip("torch")
    from skmissing import fusion

    X, y, widths = small_multimodal
    model = fusion.MMPClassifier(
        modalities=widths,
        projector="none",
        n_aggregated_tokens=100,
        hidden_dim=4,
        n_heads=1,
        max_epochs=1,
        random_state=0,
    ).fit(X, y)
    assert_array_equal(round_trip(model).predict_proba(X), model.predict_proba(X))


def test_what_contains_itself_is_refused():
    """A list in itself would never end."""
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match=r"contains itself"):
        saved(PartialModalityKMeans(3, init=loop))


def test_only_estimators_are_saved():
    """Other objects have other formats."""
    with pytest.raises(TypeError, match="save_model takes an estimator; got 3"):
        save_model(3, io.BytesIO())


def test_safetensors_reads_the_arrays(small_multimodal):
    """The file is one of safetensors: other tools can look at the numbers."""
    safetensors = pytest.importorskip("safetensors.numpy")
    X, _, widths = small_multimodal
    model = PartialModalityKMeans(3, modalities=widths, random_state=0).fit(X)
    arrays = safetensors.load(saved(model))
    assert any(np.array_equal(a, model.cluster_centers_) for a in arrays.values())


def test_text_of_the_file_is_plain(small_multimodal):
    """The header names the format, its version and the versions it was made with."""
    X, _, widths = small_multimodal
    data = saved(PartialModalityKMeans(3, modalities=widths, random_state=0).fit(X))
    length = int.from_bytes(data[:8], "little")
    about = json.loads(data[8 : 8 + length])["__metadata__"]
    assert about["format"] == "skmissing-model"
    assert json.loads(about["model"])["c"] == "skmissing.cluster.PartialModalityKMeans"
