"""Checks of shapes, dtypes and ranges: a line for each attribute, in a small language.

A schema is text with one attribute a line, or several with `;` between::

    n_features_in_: int=D >=1
    mean_: f(D) nan | none
    feature_names_in_?: s(D)

A name with `?` may be missing. After the colon come the kinds that are allowed, with
`|` between.

`none`, `bool`, `str`, `dtype`, `dtypename`
    A plain value of this type; the name of a dtype of numbers or strings.
`int`, `num`
    An integer; a real number.
`f(k, D)`, `i(n)`, `b(M)`, `s(D)`, `x(*)`
    An array of floats, integers, booleans, strings, or of any of these, with its
    shape. A letter stands for a length: the first array that has it decides, and the
    others must agree. `*` is any length, `...` any shape.
`list[...]`, `tuple[...]`, `dict[...]`
    All items, or values, are of the kind in the brackets.
`plain`
    Anything made of numbers, strings, arrays and containers.
`estimator`, `estimator(D)`
    An estimator; one that takes so many columns.
`layout`, `anylayout`, `@Name`, `units`, `tree`
    A layout with D columns, which decides M, or with any; a record; units of columns;
    the nodes of a decision tree on D columns.

After the kind: `=k` lets a number decide a length; `>=0`, `>0`, `<=1` are limits; `nan`
allows NaN, `inf` infinity. Without them numbers must be finite.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator

from skmissing._modalities import ModalityLayout
from skmissing.io._schemas import RECORD_SCHEMAS
from skmissing.io._trees import Tree
from skmissing.io._trusted import RECORDS, find_class
from skmissing.mixture._posterior import Units

_ALTERNATIVE = re.compile(
    r"(?P<kind>@?\w+)(?:\((?P<shape>[^)]*)\))?(?:\[(?P<inner>.*)\])?"
    r"(?:=(?P<symbol>\w+))?(?P<flags>(?:\s+(?:nan|inf|[<>]=?-?\d+))*)"
)
DTYPE_NAME = re.compile(r"[<>|](?:b1|[iu][1248]|f[248]|O)|[<>]U\d{1,4}")
_LETTERS = {"f": "f", "i": "iu", "b": "b", "s": "UO", "x": "fiubUO"}
_CONTAINERS = {"list": list, "tuple": tuple, "dict": dict}


@dataclass(frozen=True)
class Kind:
    """One alternative of an attribute, as parsed from its line."""

    text: str
    kind: str
    shape: tuple | None = None
    inner: tuple = ()
    symbol: str | None = None
    limits: tuple = ()
    nan: bool = False
    inf: bool = False


@dataclass
class Scope:
    """What the letters stand for in one estimator."""

    lengths: dict = field(default_factory=dict)


@cache
def parse_schema(text):
    """Turn a schema into a dict from name to `(optional, kinds)`."""
    lines = [line for part in text.splitlines() for line in part.split(";")]
    parsed = {}
    for line in filter(None, map(str.strip, lines)):
        name, _, kinds = line.partition(":")
        parsed[name.rstrip("?")] = name.endswith("?"), parse_kinds(kinds)
    return parsed


def parse_kinds(text):
    """Alternatives between `|`, but for those inside brackets."""
    pieces = re.split(r"\|(?![^\[]*\])", text)
    return tuple(_parse_kind(piece.strip()) for piece in pieces)


def _parse_kind(text):
    found = _ALTERNATIVE.fullmatch(text)
    if found is None:
        raise SyntaxError(f"not a kind: {text!r}")
    flags = found["flags"].split()
    shape = found["shape"]
    limits = [re.fullmatch(r"([<>]=?)(-?\d+)", flag) for flag in flags]
    return Kind(
        text,
        found["kind"],
        None if shape is None else tuple(part.strip() for part in shape.split(",")),
        parse_kinds(found["inner"]) if found["inner"] else (),
        found["symbol"],
        tuple((limit[1], int(limit[2])) for limit in limits if limit),
        "nan" in flags,
        "inf" in flags,
    )


def check_attributes(values, schema, scope, where):
    """Compare attributes with a schema.

    Parameters
    ----------
    values : dict of str to object
    schema : str
    scope : Scope
        Its lengths are filled in.
    where : str
        Begins messages.

    Raises
    ------
    ValueError
        Says which attribute, what was found, and what was wanted.
    """
    parsed = parse_schema(schema)
    if unknown := sorted(values.keys() - parsed.keys()):
        raise ValueError(
            f"{where}: wanted the attributes {sorted(parsed)}; found also {unknown}."
        )
    for name, (optional, kinds) in parsed.items():
        if name in values:
            check_value(values[name], kinds, scope, f"{where}.{name}")
        elif not optional:
            raise ValueError(f"{where}: the attribute {name!r} is missing.")


def check_value(value, kinds, scope, where):
    """Compare one value with the kinds that it may have."""
    problems = []
    for kind in kinds:
        known = dict(scope.lengths)
        problem = _mismatch(value, kind, scope, where)
        if problem is None:
            return
        scope.lengths = known
        problems.append(problem)
    wanted = " or ".join(kind.text for kind in kinds)
    raise ValueError(f"{where}: wanted {wanted}; found {problems[0]}.")


def describe(value):
    """A value for messages."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    if isinstance(value, BaseEstimator):  # which would show all that it contains
        return f"an estimator of type {type(value).__name__}"
    return f"{str(value)[:80]!r} of type {type(value).__name__}"


def _mismatch(value, kind, scope, where):
    """What is wrong with a value; None if nothing is."""
    if kind.shape is not None and kind.kind in _LETTERS:
        return _array_mismatch(value, kind, scope)
    if kind.kind in _CONTAINERS:
        if type(value) is not _CONTAINERS[kind.kind]:
            return describe(value)
        items = value.values() if kind.kind == "dict" else value
        for item in items:
            if kind.inner:
                check_value(item, kind.inner, scope, f"{where}[]")
        return None
    if kind.kind in ("int", "num"):
        return _number_mismatch(value, kind, scope)
    return _object_mismatch(value, kind, scope, where)


def _number_mismatch(value, kind, scope):
    wanted = Integral if kind.kind == "int" else Real
    if not isinstance(value, wanted) or isinstance(value, (bool, np.bool_)):
        return describe(value)
    if isinstance(value, Integral):
        value = int(value)
        if not -(1 << 63) <= value < 1 << 64:
            return "an integer of more than 64 bits"
    if _outside(value, kind):
        return str(value)
    return _bind(scope, kind.symbol, int(value)) if kind.symbol else None


def _array_mismatch(value, kind, scope):
    letters = _LETTERS[kind.kind]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in letters:
        return describe(value)
    if kind.shape != ("...",):
        if value.ndim != len(kind.shape):
            return describe(value)
        for symbol, length in zip(kind.shape, value.shape):
            if _bind(scope, symbol, length):
                lengths = {s: scope.lengths.get(s, s) for s in kind.shape}
                return f"{describe(value)}, where {lengths}"
    if kind.kind == "s" and value.dtype.kind == "O":
        if not all(isinstance(item, str) for item in value.flat):
            return "an array with items that are no strings"
    if value.dtype.kind in "fiu" and value.size:
        return _outside(value, kind)
    return None


def _bind(scope, symbol, length):
    """Let a letter stand for a length; says so if it stands for another one."""
    if symbol == "*":
        return None
    known = (
        int(symbol) if symbol.isdigit() else scope.lengths.setdefault(symbol, length)
    )
    return None if known == length else f"{length} where {symbol} is {known}"


def _outside(values, kind):
    """Whether numbers are out of the kind's limits; says how."""
    values = np.asarray(values)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            if not kind.nan and np.isnan(values).any():
                return "NaN"
            if not kind.inf and np.isinf(values).any():
                return "an infinite number"
            values = values[~np.isnan(values)]
            if not values.size:
                return None
    if not kind.limits:
        return None
    low, high = values.min(), values.max()
    for sign, limit in kind.limits:
        inside = {
            ">": low > limit,
            ">=": low >= limit,
            "<": high < limit,
            "<=": high <= limit,
        }[sign]
        if not inside:
            return f"numbers from {low} to {high}"
    return None


def _object_mismatch(value, kind, scope, where):
    if kind.kind == "layout":
        if not isinstance(value, ModalityLayout):
            return describe(value)
        problem = _bind(scope, "D", value.n_features)
        return problem or _bind(scope, "M", len(value))
    if kind.kind == "tree":
        if not isinstance(value, Tree):
            return describe(value)
        problem = _bind(scope, "D", int(value.n_features))
        return problem and f"a tree of {problem}"
    if kind.kind == "estimator":
        if not isinstance(value, BaseEstimator):
            return describe(value)
        return _width_mismatch(value, kind, scope)
    if kind.kind.startswith("@"):
        record = RECORDS[kind.kind[1:]]
        fits = type(value) is find_class(record.module, record.name)
        if fits:
            fields = {name: getattr(value, name) for name in record.fields}
            check_attributes(fields, RECORD_SCHEMAS[kind.kind[1:]], scope, where)
    elif kind.kind == "plain":
        fits = True
    else:
        fits = {
            "none": value is None,
            "bool": isinstance(value, (bool, np.bool_)),
            "str": isinstance(value, str),
            "dtype": isinstance(value, np.dtype),
            "anylayout": isinstance(value, ModalityLayout),
            "dtypename": isinstance(value, str) and bool(DTYPE_NAME.fullmatch(value)),
            "units": isinstance(value, Units),
        }[kind.kind]
    return None if fits else describe(value)


def _width_mismatch(estimator, kind, scope):
    """Whether an estimator takes other columns than those that it is given."""
    if kind.shape is None:
        return None
    width = getattr(estimator, "n_features_in_", None)
    wanted = scope.lengths[kind.shape[0]]
    if width == wanted:
        return None
    return f"one with n_features_in_={width}, where {kind.shape[0]} is {wanted}"
