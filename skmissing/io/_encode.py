"""From a fitted estimator to plain text and arrays."""

import json
import math
import os

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import MetadataRequest

from skmissing._modalities import ModalityLayout
from skmissing.io._checks import Scope, check_attributes
from skmissing.io._container import NAMES
from skmissing.io._schemas import SCHEMAS
from skmissing.io._trees import Tree, tree_arrays
from skmissing.io._trusted import CLASSES, ESTIMATORS, RECORDS, find_class
from skmissing.mixture._posterior import Units

# Attributes that scikit-learn keeps beside what was learnt, and how they are written.
OUTPUT, REQUEST = "_sklearn_output_config", "_metadata_request"
# Parameters that say where things are on the machine that trained; never written.
PLACES = ("cache", "memory")
# What an estimator makes anew when it is needed.
REMADE = {"_net", "_sklearn_version", "_label_cache"}


def own_path(cls):
    """The name under which a class of the caller's is written."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_public(name):
    """Whether an attribute of this name makes an estimator count as fitted."""
    return name.endswith("_") and not name.startswith("_")


class Encoder:
    """Turns objects into JSON nodes and a list of arrays.

    Parameters
    ----------
    trusted : iterable of type
        Further estimators that may be written.
    """

    def __init__(self, trusted=()):
        self.arrays = []
        self._numbers = {}  # id of an array -> its place in the list
        self._made = {}  # id of an object that is shared -> its number
        self._open = set()
        self._keep = []  # so that no id is used twice
        self._names = {own_path(cls): cls for cls in trusted}
        self._records = {
            (record.module, record.name): name for name, record in RECORDS.items()
        }

    def encode(self, value, where):
        """A JSON node for a value; `where` says in messages which one it is."""
        if value is None or isinstance(value, (bool, str)):
            return value if type(value) is not np.str_ else str(value)
        if type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"t": "float", "v": str(value)}
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, np.generic):
            return self._scalar(value, where)
        if isinstance(value, (list, tuple, set, frozenset, dict, slice)):
            return self._container(value, where)
        if isinstance(value, range):
            return {"t": "range", "v": [value.start, value.stop, value.step]}
        if isinstance(value, np.dtype):
            return {"t": "dtype", "v": value.str}
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, np.random.RandomState):
            return self._random_state(value)
        if isinstance(value, type):
            return self._class(value, where)
        return self._shared(value, where)

    # -------------------------------------------------------------------- plain data

    def _array(self, array, where):
        if type(array) is not np.ndarray:
            raise TypeError(f"{where} is a {type(array).__name__}; wanted an ndarray.")
        if array.dtype.kind in "OU":
            items = [self._item(item, where) for item in array.ravel().tolist()]
            kind = "strings" if array.dtype.kind == "U" else "objects"
            return {"t": kind, "shape": list(array.shape), "v": items}
        turned = array.flags.f_contiguous and not array.flags.c_contiguous
        if id(array) not in self._numbers:
            plain = np.ascontiguousarray(array.T if turned else array)
            if array.ndim == 0:
                plain = plain.reshape(())
            plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
            if plain.dtype not in NAMES:
                raise TypeError(
                    f"{where} is an array of {array.dtype}, not of numbers."
                )
            self._numbers[id(array)] = len(self.arrays)
            self.arrays.append(plain)
            self._keep.append(array)
        node = {"t": "array", "i": self._numbers[id(array)]}
        return {**node, "T": True} if turned else node

    def _item(self, item, where):
        if item is None or type(item) in (bool, int, float, str):
            return self.encode(item, where)
        raise TypeError(
            f"{where} is an array with a {type(item).__name__} in it; wanted numbers "
            "or strings."
        )

    def _scalar(self, value, where):
        if value.dtype.newbyteorder("<") not in NAMES:
            raise TypeError(f"{where} is a {value.dtype}; wanted a number.")
        inner = self.encode(value.item(), where)
        return {
            "t": "scalar",
            "dtype": NAMES[value.dtype.newbyteorder("<")],
            "v": inner,
        }

    def _container(self, value, where):
        if type(value) not in (list, tuple, set, frozenset, dict, slice):
            # Bunch and OrderedDict would come back as something else.
            raise TypeError(f"{where} is a {type(value).__name__}; wanted a plain one.")
        if id(value) in self._open:
            raise ValueError(f"{where} contains itself.")
        self._open.add(id(value))
        if type(value) is dict and all(type(key) is str for key in value):
            items = {k: self.encode(v, f"{where}[{k!r}]") for k, v in value.items()}
            node = {"t": "dict", "v": items}
        elif type(value) is dict:
            pairs = [
                [self.encode(k, where), self.encode(v, f"{where}[{k!r}]")]
                for k, v in value.items()
            ]
            node = {"t": "map", "v": pairs}
        else:
            if type(value) is slice:
                items = (value.start, value.stop, value.step)
            else:
                items = (
                    value
                    if isinstance(value, (list, tuple))
                    else sorted(value, key=repr)
                )
            items = [self.encode(v, f"{where}[{i}]") for i, v in enumerate(items)]
            name = type(value).__name__
            node = items if name == "list" else {"t": name, "v": items}
        self._open.discard(id(value))
        return node

    def _random_state(self, value):
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise TypeError(
                f"a RandomState of {state['bit_generator']}; wanted MT19937."
            )
        return {
            "t": "RandomState",
            "key": self._array(state["state"]["key"], "RandomState"),
            "pos": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        }

    def _class(self, value, where):
        for name, (module, own) in CLASSES.items():
            if value.__name__ == own and value.__module__ == module:
                return {"t": "class", "v": name}
        raise TypeError(f"{where} is the class {own_path(value)}, which is not known.")

    # ----------------------------------------------------------------------- objects

    def _shared(self, value, where):
        """An object; the second time, a reference to the first."""
        if id(value) in self._made:
            return {"t": "ref", "v": self._made[id(value)]}
        if id(value) in self._open:
            raise ValueError(f"{where} contains itself.")
        self._open.add(id(value))
        node = self._object(value, where)
        self._open.discard(id(value))
        self._made[id(value)] = len(self._made)
        self._keep.append(value)
        return node

    def _object(self, value, where):
        if isinstance(value, BaseEstimator):
            return self._estimator(value, where)
        if isinstance(value, ModalityLayout):
            return {
                "t": "layout",
                "names": list(value.names),
                "widths": value.widths.tolist(),
                "tokens": [m.n_tokens for m in value.values()],
                "order": self._array(value.order.astype(np.int64), where),
            }
        if isinstance(value, Units):
            slices = [[s.start, s.stop] for s in value.slices]
            return {"t": "units", "v": slices, "split": value.split.tolist()}
        if isinstance(value, Tree):
            return {"t": "tree", "v": self.encode(tree_arrays(value), where)}
        cls = type(value)
        name = self._records.get((cls.__module__, cls.__name__)) or cls.__name__
        record = RECORDS.get(name)
        if record is None or find_class(record.module, record.name) is not cls:
            raise TypeError(
                f"{where} is a {own_path(cls)}, which cannot be saved: a model file "
                "holds numbers, strings, containers and estimators that are known."
            )
        fields = {
            field: self.encode(getattr(value, field), f"{where}.{field}")
            for field in record.fields
        }
        return {"t": "record", "c": name, "v": fields}

    def _estimator(self, estimator, where):
        name, known = self._name_of(type(estimator), where)
        params = estimator.get_params(deep=False)
        made = vars(type(estimator)(**params))
        state = {
            key: value
            for key, value in vars(estimator).items()
            if key not in made and key not in REMADE
        }
        output, request = state.pop(OUTPUT, None), state.pop(REQUEST, None)
        params = {k: None if k in PLACES else v for k, v in params.items()}
        if known and not any(is_public(key) for key in state):
            # Not fitted: a fit that failed may have left what only it can use.
            state = {}
        if known and state:
            check_attributes(
                state, SCHEMAS[name], Scope(), where or own_path(type(estimator))
            )
        path = f"{where}.".removeprefix(".")
        node = {
            "t": "estimator",
            "c": name,
            "p": {k: self.encode(v, f"{path}{k}") for k, v in params.items()},
        }
        if state:
            node["s"] = {k: self.encode(v, f"{path}{k}") for k, v in state.items()}
        if output:
            node["output"] = self.encode(dict(output), where)
        if request is not None:
            node["request"] = requests_of(request)
        return node

    def _name_of(self, cls, where):
        """The name of a class of estimators, and whether the tables have it."""
        if self._names.get(own_path(cls)) is cls:
            return own_path(cls), False
        for name, (module, own) in ESTIMATORS.items():
            if own == cls.__name__ and find_class(module, own) is cls:
                return name, True
        raise TypeError(
            f"{where} is a {own_path(cls)}, which is not among the estimators that a "
            "model file may hold. If you trust it, pass the class in `trusted`, here "
            "and to load_model; its fitted attributes must be plain."
        )


def requests_of(request):
    """Requests for metadata, by method, as far as there are any."""
    if not isinstance(request, MetadataRequest):
        raise TypeError(f"wanted a MetadataRequest; found {type(request).__name__}.")
    methods = [name for name in vars(request) if name != "owner"]
    found = {
        name: dict(getattr(request, name).requests)
        for name in methods
        if getattr(getattr(request, name), "requests", None)
    }
    return json.loads(json.dumps(found))
