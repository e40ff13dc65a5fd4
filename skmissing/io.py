"""Saves fitted models with skops, and loads them without running code in the file."""

import io
import json
import os
from collections import Counter
from functools import partial
from zipfile import ZipFile

import numpy as np
from sklearn import feature_selection, metrics, model_selection

import skmissing
from skmissing._compat import import_optional
from skmissing._table import warn

__all__ = ["dump", "load"]

# Names that a file may contain, besides the estimators of scikit-learn that skops
# trusts. They are listed one by one, because modules also contain their imports.
# Distributions of scipy.stats are left out, because they execute text of their state.
# Trees of nearest neighbors are left out, because compiled code uses their indices
# without a check.
PARTS = """
builtins.range functools.partial numpy.dtype numpy.mean numpy.number
scipy.sparse._csc.csc_array scipy.sparse._csc.csc_matrix scipy.sparse._csr.csr_array
scipy.sparse._csr.csr_matrix sklearn._loss.loss.HalfTweedieLossIdentity
sklearn.calibration._CalibratedClassifier sklearn.calibration._SigmoidCalibration
sklearn.calibration._TemperatureScaling sklearn.multiclass._ConstantPredictor
sklearn.compose._column_transformer._RemainderColsList
sklearn.compose._column_transformer.make_column_selector
sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor
sklearn.metrics._scorer._CurveScorer sklearn.metrics._scorer._MultimetricScorer
sklearn.metrics._scorer._PassthroughScorer sklearn.metrics._scorer._Scorer
sklearn.model_selection._split._CVIterableWrapper sklearn.tree._tree.Tree
sklearn.neural_network._stochastic_optimizers.AdamOptimizer
sklearn.neural_network._stochastic_optimizers.SGDOptimizer sklearn.utils._bunch.Bunch
sklearn.utils._metadata_requests.MetadataRequest
sklearn.utils._metadata_requests.MethodMetadataRequest
sklearn.utils.validation.check_array
""".split()
PUBLIC = [
    *(score for score in vars(feature_selection).values() if callable(score)),
    *(cls for cls in vars(model_selection).values() if isinstance(cls, type)),
    *(metrics.get_scorer(name)._score_func for name in metrics.get_scorer_names()),
]
SKLEARN = {*PARTS, *(f"{part.__module__}.{part.__name__}" for part in PUBLIC)}
# Classes of this package in any file: estimators, then parts of fitted estimators.
OWN = """
AbstainingClassifier AnchorGraphClustering AudioEncoder AutoencoderImputer
CalibrationByPattern ClusterGuidedImputer FactorImputer FusionClassifier FusionRegressor
ImageEncoder ImageTextEncoder IncompleteGCCA KernelLogisticClassifier
KernelRidgeClassifier KernelRidgeRegressor LateFusionClassifier LateFusionRegressor
LateFusionSurvival MHSAFusionClassifier MHSAFusionRegressor MMPClassifier MMPRegressor
ModalityAmputer ModalityDropout MultipleImputationClassifier MultipleImputationRegressor
PartialModalityFactorMixture PartialModalityKMeans PatternClassifier
PatternConformalClassifier PatternConformalRegressor PatternRegressor PerModality
RegressionImputer RetrievalImputer RoutedClassifier SentenceTransformerEncoder
SignalEncoder SimpleModalityImputer StackedImputer TextEncoder VariationalImputer
VideoEncoder

ActionMAE BlockScaler BottleneckFusion Centers DynamicExperts EncodedClassifier
FactorParams FittedPanel KernelLeastSquares LevelScores MHSAFusion MMPFusion Modality
ModalityFraction ModalityLayout ModalityRates NeighborAttention NeighborGraph
NormalScores OneMissing PatternScores PatternTable Plan PooledFusion RiskModel Route
ShaSpec Standard StratumScores TargetScores TemperatureScaled TemperatureScores Units
""".split()
# Nodes of skops that look up a name without calling it, and names that others may call.
LOOK_UP = "DTypeNode FunctionNode ObjectNode PartialNode TreeNode TypeNode".split()
LOOK_UP += ["SparseMatrixNode"]
CALLED = {
    ("ConstructorFromReduceNode", "builtins.range"),
    ("DictNode", "sklearn.utils._bunch.Bunch"),
}


def dump(obj, file, *, trusted=()):
    """Save a fitted estimator, or an object that contains estimators, with skops.

    Parameters
    ----------
    obj : object
        Estimator of skmissing or scikit-learn, pipeline, search, list or dictionary.
    file : str, path-like or binary file object
        File to write. Paths end in `.skops` by convention.
    trusted : sequence of type or str, default=()
        Further classes and functions that `obj` contains, or their full names.

    Raises
    ------
    TypeError
        If `obj` contains other types, or objects that skops cannot save. Nothing is
        written.

    See Also
    --------
    load : Read such a file.

    Examples
    --------
    >>> import io
    >>> from skmissing.cluster import PartialModalityKMeans
    >>> from skmissing.io import dump, load
    >>> file = io.BytesIO()
    >>> dump(PartialModalityKMeans(3), file)
    >>> load(file)
    PartialModalityKMeans(n_clusters=3)
    """
    skops = import_optional("skops.io", "io")
    keys = {key for part in _parts(obj) if isinstance(part, dict) for key in part}
    if odd := [key for key in keys if isinstance(key, (bool, np.bool_))]:
        # skops would load all booleans as True.
        raise TypeError(f"keys of dictionaries must not be booleans; got {odd}.")
    # Requests for metadata contain their estimator for messages. A name is sufficient.
    kinds = ("MetadataRequest", "MethodMetadataRequest")
    requests = [part for part in _parts(obj) if type(part).__name__ in kinds]
    owners = [request.owner for request in requests]
    try:
        for request, owner in zip(requests, owners):
            request.owner = owner if isinstance(owner, str) else type(owner).__name__
        buffer = io.BytesIO(skops.dumps(obj))
    except RecursionError:
        raise TypeError("obj must not contain itself.") from None
    finally:
        for request, owner in zip(requests, owners):
            request.owner = owner
    with ZipFile(buffer, "a") as archive:
        archive.writestr("skmissing", skmissing.__version__)
        known = _known_names(json.loads(archive.read("schema.json")), trusted)
    if odd := sorted(set(skops.get_untrusted_types(file=buffer)) - known):
        raise TypeError(f"all types must be known or in `trusted`; got {odd}.")
    if hasattr(file, "write"):
        file.write(buffer.getvalue())
    else:
        with open(file, "wb") as opened:
            opened.write(buffer.getvalue())


def load(file, *, trusted=()):
    """Load a file of :func:`dump`. No code in the file is run, even of unknown files.

    Parameters
    ----------
    file : str, path-like or binary file object
        File to read. A file object must support seeking.
    trusted : sequence of type or str, default=()
        Further classes and functions that the file may name, or their full names. The
        file determines the arguments of their calls.

    Returns
    -------
    object
        The saved object. Folders of caches (`cache`, `memory`) are replaced by None,
        and devices that torch does not find by `"auto"`.

    Raises
    ------
    ValueError
        If the file was not written by `dump`, is damaged, or contains types that are
        not trusted. The message names the file.
    OSError
        If the file cannot be read.
    ImportError
        If an extra that the model needs is not installed.

    Warns
    -----
    ModalityWarning
        If another version of skmissing wrote the file, or a device is not available.

    See Also
    --------
    dump : Write such a file.

    Examples
    --------
    >>> import io
    >>> from skmissing.io import load
    >>> try:
    ...     load(io.BytesIO(b"no model"))
    ... except ValueError as error:
    ...     print(error)
    <_io.BytesIO object at ...> must be an undamaged file ... File is not a zip file.
    """
    if not hasattr(file, "read"):
        with open(file, "rb") as opened:
            return load(opened, trusted=trusted)
    skops, name = import_optional("skops.io", "io"), getattr(file, "name", repr(file))
    try:
        with ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > file.seek(0, os.SEEK_END):  # compressed, to any size
                raise ValueError(f"entries of {size} bytes")
            known = _known_names(json.loads(archive.read("schema.json")), trusted)
            version = skmissing.__version__
            if "skmissing" in archive.namelist():
                version = archive.read("skmissing").decode()
        obj = skops.load(file, trusted=sorted(known))
        moved = _make_safe(obj)
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"{name} must be an undamaged file of `skmissing.io.dump`, of known or "
            f"`trusted` types; got {type(error).__name__}: {error}."
        ) from error
    if version != skmissing.__version__:
        warn(f"{name} was saved by skmissing {version}. Results may differ now.")
    if moved:
        warn(f"{name} names unavailable devices, {moved}. They are now 'auto'.")
    return obj


def _known_names(schema, trusted):
    """Names that a file may look up. Raise ValueError if it would call one of them.

    skops calls the types of dictionary keys, and the classes of most nodes, with
    arguments from the file. It treats nodes with the same __id__ as the same object.
    """
    trusted = [trusted] if isinstance(trusted, (str, type)) else trusted
    names = {
        t if isinstance(t, str) else f"{t.__module__}.{t.__name__}" for t in trusted
    }
    kinds, times, keys, queue = {}, Counter(), [], [schema]
    while queue:
        node = queue.pop()
        if isinstance(node, dict):
            queue.extend(node.values())
        elif isinstance(node, list):
            queue.extend(node)
        if not isinstance(node, dict) or "__loader__" not in node:
            continue
        kind = loader, name = node["__loader__"], _name(node)
        times[node["__id__"]] += 1
        safe = kinds.setdefault(node["__id__"], kind) == kind
        if _is_listed(name):
            names.add(name)
            safe &= loader in LOOK_UP or kind in CALLED
        if loader == "DictNode":
            types = node["key_types"]
            keys.append(types["__id__"])
            safe &= types["__loader__"] == "ListNode"
            for key in types["content"]:
                safe &= key["__loader__"] == "TypeNode" and not _is_listed(_name(key))
        if not safe:
            raise ValueError(f"{name} in a {loader}, which would call it")
    if any(times[key] > 1 for key in keys):
        raise ValueError("types of keys that would be others")
    return names


def _name(node):
    return f"{node['__module__']}.{node['__class__']}"


def _is_listed(name):
    own = name.startswith("skmissing.") and name.rpartition(".")[2] in OWN
    return own or name in SKLEARN


def _parts(obj):
    """Yield an object and all objects that it contains, each once."""
    seen, queue = {}, [obj]
    while queue:
        part = queue.pop()
        if id(part) in seen or isinstance(part, (type, str)):
            continue
        seen[id(part)] = part  # keeps it alive, so that its id is not reused
        yield part
        if isinstance(part, dict):
            queue.extend([*part.values(), getattr(part, "default_factory", None)])
        elif isinstance(part, (list, tuple, set)):
            queue.extend(part)
        elif isinstance(part, np.ndarray) and part.dtype == object:
            queue.extend(np.asarray(part).ravel().tolist())
        elif isinstance(part, partial):
            queue.extend([part.func, part.args, part.keywords])
        queue.extend(getattr(part, "__dict__", {}).values())


def _make_safe(obj):
    """Remove folders and unavailable devices, and check the nodes of trees."""
    moved = set()
    for part in _parts(obj):
        state = getattr(part, "__dict__", {})
        kind = f"{type(part).__module__}.{type(part).__name__}"
        for name in ("cache", "memory"):  # joblib reads pickles there
            if isinstance(state.get(name), str):
                state[name] = None
        device = state.get("device")
        if isinstance(device, str) and device not in ("auto", "cpu"):
            try:
                import_optional("torch", "neural").empty(0, device=device)
            except (RuntimeError, AssertionError):
                moved.add(device)
                state["device"] = "auto"
        if kind == "sklearn.tree._tree.Tree":
            _check_nodes(part.children_left, part.children_right)
            if part.compute_node_depths().max() > part.max_depth + 1:
                raise ValueError("a decision tree that is deeper than it says")
        elif kind.endswith("predictor.TreePredictor"):
            nodes = part.nodes
            leaf = nodes["is_leaf"] != 0
            _check_nodes(
                *(np.where(leaf, -1, nodes[s].astype(int)) for s in ("left", "right"))
            )
    return sorted(moved)


def _check_nodes(left, right):
    """Check that each node except the first has one parent, which precedes it.

    Compiled code follows the nodes without a check, with space for `max_depth` nodes.
    """
    inner = np.flatnonzero(left != -1)
    children = np.concatenate([left[inner], right[inner]])
    if not np.array_equal(np.sort(children), np.arange(1, len(left))) or np.any(
        children <= np.tile(inner, 2)
    ):
        raise ValueError("nodes that are not those of a decision tree")
