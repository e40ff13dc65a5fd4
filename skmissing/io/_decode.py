"""From plain text and arrays back to estimators, with everything checked.

Whatever a file holds, nothing of it is run: classes are those of `_trusted.py` or of
the caller, attributes are those of `_schemas.py`.
"""

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest

from skmissing._modalities import Modality, ModalityLayout
from skmissing.io._checks import DTYPE_NAME, Scope, check_attributes, describe
from skmissing.io._container import DTYPES, ModelFileError
from skmissing.io._encode import PLACES
from skmissing.io._relations import check_jobs, check_relations
from skmissing.io._schemas import RECORD_SCHEMAS, SCHEMAS
from skmissing.io._trees import make_tree
from skmissing.io._trusted import CLASSES, ESTIMATORS, RECORDS, find_class
from skmissing.mixture._posterior import Units

MOST_STRING_BYTES = 1 << 28
MOST_SHARED = 100_000
# The fields that a node of each type has beside `t`.
FIELDS = {
    "array": {"i"},
    "class": {"v"},
    "dict": {"v"},
    "dtype": {"v"},
    "estimator": {"c", "p"},
    "float": {"v"},
    "frozenset": {"v"},
    "layout": {"names", "widths", "tokens", "order"},
    "map": {"v"},
    "objects": {"shape", "v"},
    "RandomState": {"key", "pos", "has_gauss", "gauss"},
    "record": {"c", "v"},
    "range": {"v"},
    "ref": {"v"},
    "scalar": {"dtype", "v"},
    "set": {"v"},
    "slice": {"v"},
    "strings": {"shape", "v"},
    "tree": {"v"},
    "tuple": {"v"},
    "units": {"v", "split"},
}
KEPT = {"estimator", "layout", "record", "tree", "units"}
OPTIONAL = {"array": {"T"}, "estimator": {"s", "output", "request"}}


class Decoder:
    """Builds objects from JSON nodes and a list of arrays.

    Parameters
    ----------
    arrays : list of ndarray
    trusted : iterable of (str, type)
        Names of further estimators, and their classes.
    same_version : bool
        Whether the file is of this version, so that no parameter may be missing.
    """

    def __init__(self, arrays, trusted=(), same_version=True):
        self.arrays = arrays
        self.trusted = dict(trusted)
        self.same_version = same_version
        self.made = []
        self._n_nodes = 0
        self._n_shown = 0  # the same if every reference were written out
        self._sizes = []  # of what was made
        self.used = set()

    def decode(self, node, where="model"):
        """The value of a JSON node; `where` says in messages which one it is."""
        self._n_nodes += 1
        self._n_shown += 1
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if isinstance(node, list):
            return [self.decode(item, f"{where}[{i}]") for i, item in enumerate(node)]
        kind = node.get("t")
        fields = FIELDS.get(kind) if isinstance(kind, str) else None
        if fields is None:
            raise ModelFileError(
                f"{where}: wanted a node of one of the types {sorted(FIELDS)}; found "
                f"{str(kind)[:80]!r}."
            )
        found = node.keys() - {"t"}
        if not fields <= found <= fields | OPTIONAL.get(kind, set()):
            raise ModelFileError(
                f"{where}: wanted the fields {sorted(fields)} in a node of the type "
                f"{kind}; found {sorted(found)}."
            )
        before = self._n_shown
        value = getattr(self, f"_{kind}")(node, where)
        if kind in KEPT:
            self._sizes.append(self._n_shown - before)
        return value

    def _fail(self, where, wanted, found):
        raise ModelFileError(f"{where}: wanted {wanted}; found {describe(found)}.")

    def _list(self, node, where, field="v"):
        if not isinstance(node[field], list):
            self._fail(where, f"a list in {field!r}", node[field])
        return node[field]

    # -------------------------------------------------------------------- plain data

    def _array(self, node, where):
        index = node["i"]
        if type(index) is not int or not 0 <= index < len(self.arrays):
            self._fail(where, f"the number of one of {len(self.arrays)} arrays", index)
        self.used.add(index)
        array = self.arrays[index]
        return array.T if node.get("T") is True else array

    def _float(self, node, where):
        if node["v"] not in ("nan", "inf", "-inf"):
            self._fail(where, "'nan', 'inf' or '-inf'", node["v"])
        return float(node["v"])

    def _scalar(self, node, where):
        value, name = node["v"], node["dtype"]
        dtype = DTYPES.get(name) if isinstance(name, str) else None
        if dtype is None:
            self._fail(where, f"a dtype of {sorted(DTYPES)}", name)
        value = self.decode(value, where)
        wanted = {"b": bool, "f": float}.get(dtype.kind, int)
        if type(value) is not wanted:
            self._fail(where, f"a {wanted.__name__} for {name}", value)
        try:
            with np.errstate(over="raise"):
                return dtype.newbyteorder("=").type(value)
        except (OverflowError, FloatingPointError):
            self._fail(where, f"a number that fits {name}", value)

    def _dtype(self, node, where):
        if not isinstance(node["v"], str) or not DTYPE_NAME.fullmatch(node["v"]):
            self._fail(where, "a dtype of numbers or strings", node["v"])
        try:
            return np.dtype(node["v"])
        except TypeError:
            self._fail(where, "a dtype of numbers or strings", node["v"])

    def _tuple(self, node, where):
        return tuple(self.decode(self._list(node, where), where))

    def _set(self, node, where, make=set):
        try:
            return make(self.decode(self._list(node, where), where))
        except TypeError:
            self._fail(where, "items that a set can have", node["v"])

    def _frozenset(self, node, where):
        return self._set(node, where, frozenset)

    def _slice(self, node, where):
        items = self._list(node, where)
        if len(items) != 3 or not all(
            i is None or type(i) in (int, str) for i in items
        ):
            self._fail(where, "start, stop and step", items)
        return slice(*items)

    def _range(self, node, where):
        items = self._list(node, where)
        good = len(items) == 3 and all(type(i) is int for i in items)
        if not good or max(map(abs, items)) >= 1 << 31 or items[2] == 0:
            self._fail(where, "start, stop and step", items)
        return range(*items)

    def _dict(self, node, where):
        if not isinstance(node["v"], dict):
            self._fail(where, "an object in 'v'", node["v"])
        return {k: self.decode(v, f"{where}[{k!r}]") for k, v in node["v"].items()}

    def _map(self, node, where):
        made = {}
        for pair in self._list(node, where):
            if not isinstance(pair, list) or len(pair) != 2:
                self._fail(where, "pairs of key and value", pair)
            key = self.decode(pair[0], where)
            try:
                made[key] = self.decode(pair[1], f"{where}[{str(key)[:40]!r}]")
            except TypeError:
                self._fail(where, "a key that a dict can have", key)
        return made

    def _strings(self, node, where):
        items = self._list(node, where)
        if not all(isinstance(item, str) for item in items):
            self._fail(where, "strings only", items)
        longest = max(map(len, items), default=1) or 1
        if longest * len(items) * 4 > MOST_STRING_BYTES:
            self._fail(where, f"at most {MOST_STRING_BYTES} bytes of strings", longest)
        # numpy drops null characters at the end, so that two labels could become one.
        if any(item.endswith("\0") for item in items):
            self._fail(where, "strings that do not end with null characters", items)
        return self._shaped(np.array(items, dtype=f"U{longest}"), node, where)

    def _objects(self, node, where):
        items = self.decode(self._list(node, where), where)
        plain = (bool, int, float, str)
        if not all(item is None or type(item) in plain for item in items):
            self._fail(where, "an array of numbers and strings", items)
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return self._shaped(array, node, where)

    def _shaped(self, array, node, where):
        shape = self._list(node, where, "shape")
        if len(shape) > 8 or not all(
            type(n) is int and 0 <= n < 1 << 31 for n in shape
        ):
            self._fail(where, "a shape", shape)
        try:
            return array.reshape(shape)
        except ValueError:
            self._fail(where, f"a shape for {array.size} items", shape)

    def _RandomState(self, node, where):
        key = self.decode(node["key"], where)
        pos, has_gauss, gauss = node["pos"], node["has_gauss"], node["gauss"]
        if not isinstance(key, np.ndarray) or key.dtype != np.uint32:
            self._fail(where, "624 numbers of 32 bits", key)
        # numpy does not look: beyond 624 it would read where nothing is.
        if key.shape != (624,) or type(pos) is not int or not 0 <= pos <= 624:
            self._fail(where, "624 numbers and a position from 0 to 624", pos)
        if type(has_gauss) is not int or has_gauss not in (0, 1):
            self._fail(where, "has_gauss of 0 or 1", has_gauss)
        if type(gauss) is not float:
            self._fail(where, "a float for gauss", gauss)
        state = np.random.RandomState()
        state.set_state(("MT19937", key, pos, has_gauss, gauss))
        return state

    def _class(self, node, where):
        if not isinstance(node["v"], str) or node["v"] not in CLASSES:
            self._fail(where, f"a class of {sorted(CLASSES)}", node["v"])
        return find_class(*CLASSES[node["v"]])

    # ----------------------------------------------------------------------- objects

    def _keep(self, made):
        self.made.append(made)
        return made

    def _ref(self, node, where):
        if type(node["v"]) is not int or not 0 <= node["v"] < len(self.made):
            self._fail(where, f"the number of one of {len(self.made)} objects", node)
        # Objects of the same objects over and over: small in memory, endless in print.
        self._n_shown += self._sizes[node["v"]]
        if self._n_shown > MOST_SHARED + 16 * self._n_nodes:
            self._fail(where, "fewer references", f"{self._n_shown} nodes by them")
        return self.made[node["v"]]

    def _layout(self, node, where):
        names, widths, tokens = (
            self._list(node, where, field) for field in ("names", "widths", "tokens")
        )
        order = self.decode(node["order"], where)
        if not names or not len(names) == len(widths) == len(tokens):
            self._fail(where, "a name, a width and a number of tokens each", names)
        if not all(type(n) in (str, int) for n in names) or len(set(names)) < len(
            names
        ):
            self._fail(where, "names of modalities, each once", names)
        if not all(type(n) is int and n > 0 for n in (*widths, *tokens)):
            self._fail(
                where, "widths and numbers of tokens from 1 on", [widths, tokens]
            )
        if any(width % n for width, n in zip(widths, tokens)):
            self._fail(where, "widths that the tokens divide", [widths, tokens])
        n_features = sum(widths)
        if not isinstance(order, np.ndarray) or order.dtype != np.int64:
            self._fail(where, "the positions of columns", order)
        if order.shape != (n_features,) or not np.array_equal(
            np.sort(order), np.arange(n_features)
        ):
            self._fail(where, f"each of {n_features} columns once", order)
        blocks = np.split(order.astype(np.intp), np.cumsum(widths)[:-1])
        parts = zip(names, blocks, tokens)
        return self._keep(ModalityLayout([Modality(*part) for part in parts]))

    def _units(self, node, where):
        slices, split = self._list(node, where), self._list(node, where, "split")
        end = 0
        for bounds in slices:
            good = isinstance(bounds, list) and len(bounds) == 2
            if not good or not all(type(n) is int for n in bounds):
                self._fail(where, "pairs of start and stop", bounds)
            if bounds[0] != end or not end < bounds[1] < 1 << 31:
                self._fail(where, f"a run of columns from {end} on", bounds)
            end = bounds[1]
        if not slices or len(split) != len(slices):
            self._fail(where, "one mark of each run", split)
        if not all(type(mark) is bool for mark in split):
            self._fail(where, "true or false for each run", split)
        # The arrays that hold a number a column bound what a file may ask for.
        if end > max((array.size for array in self.arrays), default=0):
            self._fail(where, "as many columns as there are numbers", end)
        made = Units([slice(*bounds) for bounds in slices], np.array(split, dtype=bool))
        return self._keep(made)

    def _tree(self, node, where):
        state = self.decode(node["v"], where)
        wanted = {"n_features", "n_classes", "max_depth", "nodes", "values"}
        if not isinstance(state, dict) or state.keys() != wanted:
            self._fail(where, f"the fields {sorted(wanted)} of a tree", state)
        try:
            return self._keep(make_tree(**state))
        except ValueError as exc:
            raise ModelFileError(f"{where}: {exc}.") from None

    def _record(self, node, where):
        name, fields = node["c"], node["v"]
        record = RECORDS.get(name) if isinstance(name, str) else None
        if record is None:
            self._fail(where, f"a record of {sorted(RECORDS)}", name)
        if not isinstance(fields, dict) or fields.keys() != set(record.fields):
            self._fail(where, f"the fields {sorted(record.fields)} of {name}", fields)
        cls = find_class(record.module, record.name)
        values = {k: self.decode(v, f"{where}.{k}") for k, v in fields.items()}
        try:
            if name not in RECORD_SCHEMAS:
                return self._keep(cls(**values))
            # Shapes are compared once more, with those of the estimator it is part of.
            check_attributes(values, RECORD_SCHEMAS[name], Scope(), where)
        except (TypeError, ValueError) as exc:
            raise ModelFileError(f"{where}: wanted a {name}; {exc}") from exc
        made = object.__new__(cls)
        vars(made).update(values)
        return self._keep(made)

    def _estimator(self, node, where):
        cls, known = self._find_estimator(node["c"], where)
        path = f"{where}.".removeprefix("model.")
        params, state = node["p"], node.get("s", {})
        if not isinstance(params, dict) or not isinstance(state, dict):
            self._fail(where, "objects of parameters and attributes", params)
        params = {k: self.decode(v, f"{path}{k}") for k, v in params.items()}
        estimator = self._build(cls, params, where)
        state = {k: self.decode(v, f"{path}{k}") for k, v in state.items()}
        try:
            if not known:
                _check_names(cls, state)
            elif state:
                check_attributes(state, SCHEMAS[node["c"]], Scope(), where)
                check_relations(state, where)
            vars(estimator).update(state)
            _set_output(estimator, self.decode(node.get("output")))
            _set_requests(estimator, node.get("request"))
            if state and hasattr(estimator, "_check_loaded"):
                estimator._check_loaded()
        except ValueError as exc:
            raise ModelFileError(str(exc)) from exc
        return self._keep(estimator)

    def _find_estimator(self, name, where):
        if isinstance(name, str) and name in self.trusted:
            return self.trusted[name], False
        if isinstance(name, str) and name in ESTIMATORS:
            return find_class(*ESTIMATORS[name]), True
        raise ModelFileError(
            f"{where}: found the class {str(name)[:200]!r}, which is not among the "
            f"{len(ESTIMATORS)} estimators that a model file may hold. Nothing of it "
            "was imported. If you trust it, pass the class in `trusted`."
        )

    def _build(self, cls, params, where):
        known = set(cls._get_param_names())
        missing = known - params.keys() if self.same_version else set()
        if missing or params.keys() - known:
            raise ModelFileError(
                f"{where}: wanted the parameters {sorted(known)} of {cls.__name__}; "
                f"found {sorted(params)}."
            )
        for place in PLACES:
            if params.get(place) is not None:
                # A folder of pickles, chosen by whoever wrote the file.
                self._fail(where, f"{place}=None", params[place])
        try:
            check_jobs(params, where)
            estimator = cls(**params)
            if hasattr(cls, "_parameter_constraints"):
                estimator._validate_params()
        except (TypeError, ValueError) as exc:
            raise ModelFileError(f"{where}: {exc}") from exc
        return estimator


def _check_names(cls, state):
    """Attributes of a class of the caller's must not hide what the class has."""
    for name in state:
        if not name.isidentifier() or name.startswith("__") or hasattr(cls, name):
            raise ValueError(f"the attribute {name!r} of {cls.__name__} is not data.")


def _set_output(estimator, output):
    """What `set_output` had been told."""
    if output is None:
        return
    good = isinstance(output, dict) and output.keys() == {"transform"}
    if not good or output["transform"] not in ("default", "pandas", "polars"):
        raise ValueError(f"set_output: wanted a known container; found {output!r}.")
    estimator._sklearn_output_config = output


def _set_requests(estimator, found):
    """What `set_fit_request` and its like had been told."""
    if found is None:
        return
    request = MetadataRequest(owner=type(estimator).__name__)
    known = {name for name in vars(request) if name != "owner"}
    if not isinstance(found, dict) or not found.keys() <= known:
        raise ValueError(f"requests: wanted methods of {sorted(known)}; found {found}.")
    for method, wishes in found.items():
        if not isinstance(wishes, dict):
            raise ValueError(f"requests of {method}: wanted an object; found {wishes}.")
        for name, wish in wishes.items():
            if wish is not None and not isinstance(wish, (bool, str)):
                raise ValueError(f"requests of {method}: found {name}={wish!r}.")
            getattr(request, method).add_request(param=name, alias=wish)
    estimator._metadata_request = request
