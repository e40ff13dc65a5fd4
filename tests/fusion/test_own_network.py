"""FusionClassifier and FusionRegressor with networks of the user."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback
from torch import nn

from skmissing.fusion import FusionClassifier, FusionRegressor, MHSAFusionClassifier
from skmissing.fusion.modules import FusionOutput, ModalityMean, ModalityProjection

from .data import WIDTHS, make_data

BASE = {"modalities": WIDTHS, "lr": 0.05, "max_epochs": 10, "random_state": 0}


class Mean(nn.Module):
    """A linear map of the mean token."""

    def __init__(self, shapes, n_outputs, width=8, penalty=0.0):
        super().__init__()
        self.embed = ModalityProjection(shapes, width)
        self.pool = ModalityMean([n_tokens for n_tokens, _ in shapes])
        self.head = nn.Linear(width, n_outputs)
        self.penalty = penalty

    def forward(self, x, present, observed=None):
        fused = torch.tanh(self.pool(self.embed(x), present))
        losses = None
        if observed is not None:
            assert self.training and not (present & ~observed).any()
            losses = {"hidden": self.penalty * (observed & ~present).float().mean()}
        return FusionOutput(self.head(fused), fused, losses)


class Simple(Mean):
    """Takes the mask only, and returns logits only."""

    def forward(self, x, present):
        return FusionOutput(super().forward(x, present).logits)


@pytest.mark.parametrize("module", [Mean, Simple])
def test_classes_labels_and_numbers(module):
    X, y = make_data()
    assert FusionClassifier(module, **BASE).fit(X, y).score(X, y) > 0.8
    labels = np.column_stack([y > 0, y == 1]).astype(int)
    assert FusionClassifier(module, **BASE).fit(X, labels).score(X, labels) > 0.4
    assert FusionRegressor(module, **BASE).fit(X, y).score(X, y) > 0.5


def test_network_that_returns_a_tensor_is_refused():
    class Bare(Mean):
        def forward(self, x, present):
            return super().forward(x, present).logits

    X, y = make_data(60)
    with pytest.raises(TypeError, match="must return a FusionOutput; got Tensor"):
        FusionClassifier(Bare, **BASE).fit(X, y)


def test_losses_of_the_network_are_in_the_curve():
    X, y = make_data()
    model = FusionClassifier(Mean, module__penalty=3.0, early_stopping=True, **BASE)
    model.fit(X, y)
    assert min(model.loss_terms_["hidden"]) > 0
    total = np.sum(list(model.loss_terms_.values()), axis=0)
    assert_array_equal(np.round(model.loss_curve_, 4), np.round(total, 4))
    assert max(model.validation_curve_) < 3


def test_parameters_of_the_parts():
    X, y = make_data(60)
    model = FusionClassifier(Mean, module__width=6, **BASE)
    assert clone(model).get_params()["module__width"] == 6
    model.set_params(module__width=5, optimizer__weight_decay=0.0, max_epochs=2)
    assert model.fit(X, y).net_.module_.head.in_features == 5
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    grid = {"fusionclassifier__module__width": [2, 4]}
    pipeline = make_pipeline(FunctionTransformer(), model)
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    best = search.best_params_["fusionclassifier__module__width"]
    assert search.best_estimator_[-1].net_.module_.head.in_features == best
    with pytest.raises(ValueError, match="Invalid parameter 'witdh'"):
        model.set_params(witdh=3)
    with pytest.raises(TypeError, match="unexpected parameters .'witdh'"):
        FusionClassifier(Mean, witdh=3).fit(X, y)
    with pytest.raises(TypeError, match="witdh"):
        FusionClassifier(Mean, module__witdh=3).fit(X, y)


def test_the_default_network_is_attention():
    X, y = make_data(60)
    found = FusionClassifier(module__hidden_dim=8, **BASE).fit(X, y)
    expected = MHSAFusionClassifier(hidden_dim=8, **BASE).fit(X, y)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_optimizer_and_callbacks_of_the_user():
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append((type(net.optimizer_), net.history[-1, "valid_loss"]))

    X, y = make_data(60)
    params = {"optimizer": torch.optim.RMSprop, "optimizer__alpha": 0.9}
    model = FusionClassifier(
        Mean, callbacks=[Watch()], early_stopping=True, **params, **BASE
    ).fit(X, y)
    assert [kind for kind, _ in seen] == [torch.optim.RMSprop] * model.n_iter_
    assert [loss for _, loss in seen] == model.validation_curve_


def test_alignment_needs_a_representation():
    X, y = make_data(60)
    with pytest.raises(ValueError, match="needs a module that returns `fused`"):
        FusionClassifier(Simple, criterion__consistency="align", **BASE).fit(X, y)


def test_saved_by_skops(tmp_path):
    io = pytest.importorskip("skmissing.io")
    pytest.importorskip("skops")
    X, y = make_data(60)
    model = FusionClassifier(Mean, **BASE).fit(X, y)
    with pytest.raises(TypeError, match="Mean"):
        io.dump(model, tmp_path / "model.skops")
    io.dump(model, tmp_path / "model.skops", trusted=[Mean])
    again = io.load(tmp_path / "model.skops", trusted=[Mean])
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
