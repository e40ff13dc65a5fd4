"""Export of fitted networks as graphs for torch and ONNX."""

import copy
import os

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmissing._compat import StrOptions, import_optional, validate_params
from skmissing.fusion._base import BaseFusion
from skmissing.fusion._projection import ModalityProjector


class FusionGraph(nn.Module):
    """Network from X, with NaN where missing, to probabilities or targets."""

    def __init__(self, estimator):
        super().__init__()
        scaler, known = estimator._scaler, estimator._known
        order, counts = scaler.layout.order, estimator._token_counts
        self.module = copy.deepcopy(estimator.net_.module_).cpu().float().eval()
        for part in self.module.modules():
            if isinstance(part, ModalityProjector):
                part.dense = True
        n_columns, n_tokens = len(order), sum(counts)
        widths = np.diff(np.append(estimator._token_starts, n_columns))
        token_of_column = np.repeat(np.arange(n_tokens), widths)
        member = token_of_column[:, None] == np.arange(n_tokens)
        member &= np.repeat(known, counts)
        arrays = {
            "order": order,
            "mean": np.asarray(scaler.mean, dtype=float)[order],
            "scale": np.asarray(scaler.scale, dtype=float)[order],
            "learnt": (scaler.weight > 0)[order],
            "member": member.astype(np.float32),
            "prior": np.asarray(estimator._prior, dtype=np.float32),
        }
        if is_classifier(estimator):
            self.kind = "labels" if estimator._multilabel else "classes"
        else:
            self.kind = "regression"
            arrays["y_mean"] = np.asarray(estimator._y_mean, dtype=float)
            arrays["y_scale"] = np.asarray(estimator._y_scale, dtype=float)
            self.y_is_1d = estimator._y_is_1d
            self.bounds = tuple(map(float, np.ravel(estimator._bounds)))
        for name, array in arrays.items():
            self.register_buffer(name, torch.as_tensor(array))

    def forward(self, X):
        """Predict from X of shape (n_samples, n_features) in single precision."""
        X = X[:, self.order].double()
        values = (X - self.mean) / self.scale
        observed = ~values.isnan()
        values = torch.where(observed & self.learnt, values, 0.0).float()
        present = observed.float() @ self.member > 0  # (B, T)
        logits = self.module(values, present)[0]
        known = present.any(dim=1, keepdim=True)
        logits = torch.where(known, logits, self.prior).double()
        if self.kind == "regression":
            y = (logits * self.y_scale + self.y_mean).clamp(*self.bounds)
            return y[:, 0] if self.y_is_1d else y
        if self.kind == "labels":
            return logits.sigmoid()
        if logits.shape[1] == 1:
            return torch.cat([-logits, logits], dim=1).sigmoid()
        return logits.softmax(dim=1)


@validate_params(
    {"path": [str, os.PathLike], "format": [StrOptions({"torch", "onnx"})]},
    prefer_skip_nested_validation=True,
)
def export(estimator, path, *, format="torch"):
    """Save a fitted network as a graph that runs without skmissing.

    The graph takes X, in which missing cells are NaN. It contains the scaling of
    columns and the masks. The number of samples is not fixed.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`FusionClassifier`, :class:`FusionRegressor`, or one of their
        subclasses. For a pipeline, pass its last step.
    path : str or path
        File to write.
    format : {"torch", "onnx"}, default="torch"
        Format of the file. Read "torch" with :func:`torch.export.load`, and "onnx" with
        onnxruntime and others (extra ``export``).

    Raises
    ------
    TypeError
        If `estimator` is not a fusion network.
    ImportError
        If a package for "onnx" is not installed.

    See Also
    --------
    skmissing.io.dump : Saves any estimator, for use with this library.

    Notes
    -----
    The graph takes one input `X` of shape (n_samples, n_features) in single precision,
    with the columns of `fit`. It returns the output of `predict_proba` for a classifier
    and of `predict` for a regressor. The graph uses single precision, and estimators
    use double precision. Results therefore differ by rounding errors, below 1e-5 for
    probabilities.

    The graph of :class:`MMPClassifier` projects all modalities of all samples, even of
    complete samples.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import torch
    >>> from skmissing.fusion import MHSAFusionClassifier, export
    >>> folder = tempfile.mkdtemp()
    >>> X = np.random.RandomState(0).standard_normal((60, 6)).astype(np.float32)
    >>> y = (X[:, 0] > 0).astype(int)
    >>> X[:20, :3] = np.nan
    >>> model = MHSAFusionClassifier(modalities=[3, 3], max_epochs=2, random_state=0)
    >>> path = os.path.join(folder, "model.pt2")
    >>> export(model.fit(X, y), path)
    >>> graph = torch.export.load(path).module()
    >>> difference = graph(torch.from_numpy(X)).numpy() - model.predict_proba(X)
    >>> bool(np.abs(difference).max() < 1e-5)
    True
    """
    if not isinstance(estimator, BaseFusion):
        raise TypeError(
            "estimator must be a fusion network; got "
            f"{type(estimator).__name__}. For a pipeline, pass its last step."
        )
    check_is_fitted(estimator)
    graph = FusionGraph(estimator).eval().requires_grad_(False)
    X = torch.zeros(3, estimator.n_features_in_)
    X[1:, ::2] = torch.nan
    shapes = {"X": {0: torch.export.Dim("n_samples")}}
    if format == "onnx":
        import_optional("onnxscript", "export")
        program = torch.onnx.export(
            graph, (X,), dynamo=True, dynamic_shapes=shapes, input_names=["X"],
            output_names=["y"], verbose=False,
        )  # fmt: skip
        program.save(str(path))
    else:
        program = torch.export.export(graph, (X,), dynamic_shapes=shapes)
        torch.export.save(program, str(path))
