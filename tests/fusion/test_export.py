"""Exported graphs return what the estimators return."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skmissing.ensemble import LateFusionClassifier
from skmissing.fusion import (
    FusionClassifier,
    MHSAFusionClassifier,
    MHSAFusionRegressor,
    MMPClassifier,
    MMPRegressor,
    export,
)

RNG = np.random.RandomState(0)
X = RNG.standard_normal((60, 8)).astype(np.float32)
Y = RNG.permutation(np.arange(60) % 3)
X[:15, :3] = X[20:35, 3:] = X[40, 1] = np.nan
NEW = np.vstack([X, np.full((1, 8), np.nan, np.float32)])
SCATTERED = {"c": [7, 0, 6], "b": slice(1, 6)}
TOKENS = {"a": 3, "b": (2, 2), "c": 1}
LABELS = np.column_stack([Y > 0, Y > 1]).astype(int)

NETWORKS = [
    (MHSAFusionClassifier, {"modalities": TOKENS, "missing": "token"}, LABELS),
    (MHSAFusionRegressor, {"modalities": SCATTERED}, Y + 0.5),
    # Two modalities, because a graph has a projector for each.
    (
        MMPClassifier,
        {"modalities": {"a": 4, "b": (2, 2)}, "projector": "cross_attention"},
        Y,
    ),
    (
        MMPRegressor,
        {"modalities": SCATTERED, "bounds": (-1.5, 2.5)},
        np.c_[Y, -Y] + 0.5,
    ),
]


def fitted(network, params, y):
    """A network, and what it predicts for the samples of NEW."""
    model = network(**params, max_epochs=2, random_state=0).fit(X, y)
    predict = getattr(model, "predict_proba", model.predict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the sample without any modality
        return model, predict(NEW)


@pytest.mark.parametrize("network, params, y", NETWORKS)
def test_torch_graph_equals_the_estimator(network, params, y, tmp_path):
    """For any number of samples, with any modalities."""
    model, expected = fitted(network, params, y)
    export(model, tmp_path / "model.pt2")
    graph = torch.export.load(tmp_path / "model.pt2").module()
    found = graph(torch.from_numpy(NEW)).detach().numpy()
    assert found.shape == expected.shape
    assert_allclose(found, expected, atol=1e-5)
    for rows in ([60], [0, 25]):
        found = graph(torch.from_numpy(NEW[rows])).detach().numpy()
        assert_allclose(found, expected[rows], atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("network, params, y", NETWORKS[1:2])
def test_onnx_graph_equals_the_estimator(network, params, y, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model, expected = fitted(network, params, y)
    export(model, tmp_path / "model.onnx", format="onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (found,) = session.run(None, {"X": NEW})
    assert_allclose(found, expected, atol=1e-5)
    (found,) = session.run(None, {"X": NEW[:1]})
    assert_allclose(found, expected[:1], atol=1e-5)


def test_bad_exports(tmp_path):
    with pytest.raises(TypeError, match="must be a fusion network; got LateFusion"):
        export(LateFusionClassifier(), tmp_path / "x")
    with pytest.raises(ValueError, match="not fitted"):
        export(FusionClassifier(), tmp_path / "x")
    with pytest.raises(ValueError, match="'format' parameter of export must be"):
        export(FusionClassifier(), tmp_path / "x", format="tflite")
    with pytest.raises(ValueError, match="'path' parameter of export must be"):
        export(FusionClassifier(), None)
