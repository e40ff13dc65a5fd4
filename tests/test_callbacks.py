"""Callbacks of scikit-learn 1.9: each run, iteration, epoch and member is a task."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

import skmissing
from skmissing import (
    ClusterGuidedImputer,
    FactorImputer,
    LateFusionClassifier,
    ModalityDropout,
    PartialModalityFactorMixture,
    PartialModalityKMeans,
    PatternClassifier,
    PerModality,
    RegressionImputer,
    StackedImputer,
)
from skmissing._sources import RowSource
from skmissing.ensemble import MultipleImputationClassifier

from .estimators import make_instances

callback = pytest.importorskip("sklearn.callback")

LAYOUT = {"modalities": {"a": 2, "b": 3, "c": 1}}
KMEANS = PartialModalityKMeans(3, **LAYOUT, random_state=0)


class Recorder:
    """Records the hooks that are called. Calls `act` at the end of a part of a fit."""

    def __init__(self, act=bool):
        self.hooks, self.act = [], act

    def setup(self, estimator, context):
        self.hooks.append(("setup", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.hooks.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.hooks.append(("end", context.task_name))
        return context.parent is not None and self.act()

    def teardown(self, estimator, context):
        self.hooks.append(("teardown", context.task_name))

    def count(self, task):
        return self.hooks.count(("end", task))


def make_network(**params):
    pytest.importorskip("torch")
    return skmissing.MHSAFusionClassifier(
        **LAYOUT, hidden_dim=8, max_epochs=4, random_state=0, **params
    )


def fit(model, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*args)


@pytest.mark.parametrize("model", make_instances(), ids=lambda m: type(m).__name__)
def test_every_fit_is_a_task(model):
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((40, 4)), np.arange(40) % 2
    if hasattr(model, "modalities"):
        model.set_params(modalities=[2, 2])
    recorder = Recorder()
    fit(model.set_callbacks(recorder), X, y)
    begun = [task for hook, task in recorder.hooks if hook == "begin"]
    ended = [task for hook, task in recorder.hooks if hook == "end"]
    assert recorder.hooks[:2] == [("setup", "fit"), ("begin", "fit")]
    assert recorder.hooks[-2:] == [("end", "fit"), ("teardown", "fit")]
    assert sorted(begun) == sorted(ended)
    assert begun.count("fit") == 1
    assert not {"_fit_task", "_callback_fit_ctx"} & set(vars(model))


N_ITER = "n_iter_"
EM = {**LAYOUT, "tol": 0.1}
PARTS = [
    (clone(KMEANS).set_params(n_init=2), "run", 2),
    (KMEANS, "iteration", N_ITER),
    (PartialModalityFactorMixture(1, **EM), "iteration", N_ITER),
    (PartialModalityFactorMixture("auto", n_factors=2, **EM), "calibrate", 1),
    (ClusterGuidedImputer(3, **LAYOUT, random_state=0), "iteration", N_ITER),
    (FactorImputer(1, **EM), "iteration", N_ITER),
    (RegressionImputer(**LAYOUT), "b, c -> a", 1),
    (StackedImputer(["retrieval"], **LAYOUT), "fold 2", 1),
    (LateFusionClassifier("linear", **LAYOUT), "linear of c", 1),
    (PatternClassifier(**LAYOUT, select="largest"), "model", "estimators_"),
    (
        MultipleImputationClassifier(
            LogisticRegression(), imputer=FactorImputer(1, **EM), n_imputations=2
        ),
        "estimator",
        2,
    ),
    (PerModality(StandardScaler(), **LAYOUT), "b", 1),
    (None, "epoch", N_ITER),
]


@pytest.mark.parametrize("model, task, expected", PARTS)
def test_parts_of_a_fit_are_tasks(model, task, expected, small_multimodal):
    X, y, _ = small_multimodal
    model = make_network(early_stopping=True) if model is None else clone(model)
    recorder = Recorder()
    fit(model.set_callbacks(recorder), X, y)
    if isinstance(expected, str):
        expected = getattr(model, expected)
    assert recorder.count(task) == (
        len(expected) if isinstance(expected, list) else expected
    )


def test_members_report_their_parts(small_multimodal):
    """Callbacks such as the progress bar are passed on, and set up once."""
    X, y, _ = small_multimodal
    recorder = Recorder()
    recorder.max_propagation_depth = None
    model = ModalityDropout(PatternClassifier(**LAYOUT, select="largest"), **LAYOUT)
    fit(model.set_callbacks(recorder), X, y)
    assert recorder.count("model") == len(model.estimator_.estimators_)
    assert [hook for hook, _ in recorder.hooks].count("setup") == 1
    assert recorder.count("fit") == 2 and recorder.count("estimator") == 0


@pytest.mark.parametrize("network", [False, True])
def test_monitor_gets_a_fitted_estimator_per_iteration(network, small_multimodal):
    """The scores are those of the estimator; the fit itself is as without callbacks."""
    pandas = pytest.importorskip("pandas")
    X, y, _ = small_multimodal
    X = np.random.RandomState(0).standard_normal(X.shape) + y[:, None]
    X = pandas.DataFrame(X).add_prefix("column")
    model = make_network() if network else clone(KMEANS)
    monitor = callback.ScoringMonitor(scoring={"score": lambda m, X, y: m.score(X, y)})
    plain = fit(clone(model), X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_callbacks(monitor).fit(X, y)
    scores = [entry["score"] for entry in monitor.get_logs().data]
    assert_array_equal(model.predict(X), plain.predict(X))
    final, *scores = scores
    assert len(scores) == model.n_iter_
    assert scores[-1] == final == plain.score(X, y)
    if not network:  # minus the inertia
        assert scores == sorted(scores) and scores[0] < scores[-1]
        assert_allclose(final, -plain.inertia_)


def test_mixture_is_monitored(small_multimodal):
    X, y, _ = small_multimodal
    model = PartialModalityFactorMixture(2, n_factors=1, **EM, random_state=0)
    monitor = callback.ScoringMonitor(scoring={"score": lambda m, X, y: m.score(X, y)})
    fit(model.set_callbacks(monitor), X, y)
    scores = [entry["score"] for entry in monitor.get_logs().data]
    assert scores[0] == scores[-1] == model.score(X)
    assert len(set(scores)) > 2


@pytest.mark.parametrize("network", [False, True])
def test_callback_stops_the_iterations(network, small_multimodal):
    X, y, _ = small_multimodal
    model = make_network() if network else clone(KMEANS)
    fit(model.set_callbacks(Recorder(act=lambda: True)), X, y)
    assert model.n_iter_ == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("network", [False, True])
def test_interrupted_fit_changes_nothing(network, error, small_multimodal):
    """The callbacks are torn down; without them, the estimator can be pickled."""
    X, y, _ = small_multimodal

    def act():
        raise error("stop")

    model = fit(make_network() if network else clone(KMEANS), X, y)
    recorder = Recorder(act)
    before = dict(vars(model.set_callbacks(recorder)))
    with pytest.raises(error, match="stop"):
        model.fit(X, y)
    assert vars(model) == before
    assert recorder.hooks[-1] == ("teardown", "fit")
    assert clone(model)._skl_callbacks == [recorder]
    again = pickle.loads(pickle.dumps(model.set_callbacks()))
    assert_array_equal(again.predict(X), model.predict(X))


def test_progress_of_a_search(small_multimodal, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("rich")
    X, y, widths = small_multimodal
    model = skmissing.make_ul4m4(
        "classification", modalities=widths, n_clusters=3, max_epochs=2, random_state=0
    )
    grid = {"clusterguidedimputer__n_clusters": [2, 3]}
    bar = callback.ProgressBar(max_propagation_depth=None)
    search = GridSearchCV(model, grid, cv=2).set_callbacks(bar)
    fit(search, X, y)
    shown = capsys.readouterr().out
    assert "ClusterGuidedImputer - run" in shown
    assert "MHSAFusionClassifier - fit" in shown


@pytest.mark.parametrize(
    "estimator",
    [KMEANS, PartialModalityFactorMixture(2, n_factors=1, tol=10, **LAYOUT)],
)
def test_parts_of_a_table_are_reported(estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    X[::3, :2] = np.nan
    table = RowSource(
        [partial(iter, [X[:25]]), partial(iter, [X[25:]])], [25, 15], 6, dtype=X.dtype
    )
    recorder = Recorder()
    with config_context(working_memory=0.001):
        clone(estimator).set_callbacks(recorder).fit(table)
    # The initial values of the mixture come from a sample in memory.
    pairs = list(zip(recorder.hooks, recorder.hooks[1:]))
    n_read = pairs.count((("begin", "iteration"), ("begin", "part")))
    assert n_read > 1
    assert recorder.count("part") == 2 * n_read
