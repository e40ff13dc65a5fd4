"""Reads pickles of numpy arrays and plain containers without running what they name.

A pickle is a program: it names functions, which the reader looks up and calls, and
objects, whose `__setstate__` it calls. Here no name is ever looked up. The few by which
numpy describes arrays stand for small classes of this file, which take down what they
are told; arrays are built from that at the end, with everything checked. Any other name
ends the reading.

Before that the opcodes are looked through for those that no such pickle needs: Python
answers some of them without asking for a name, and others with all memory.
"""

import math
import os
import pickle
import pickletools
import re
import reprlib

import numpy as np

# Shows what a file holds: few items of few containers within each other.
_repr = reprlib.Repr()
_repr.maxlevel = 2
shown = _repr.repr
# Booleans, numbers, bytes, strings and Python objects; no records, no dates.
_TYPECODE = re.compile(r"[biufSUO]\d*|\?")


class _DType:
    """Stands for `numpy.dtype`."""

    __slots__ = ("code", "order")

    def __init__(self, code, *flags):
        if isinstance(code, bytes):
            code = code.decode("latin1")
        if not isinstance(code, str) or not _TYPECODE.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of type {shown(code)}")
        self.code, self.order = code, "="

    def __setstate__(self, state):
        if not isinstance(state, tuple) or len(state) < 5:
            raise pickle.UnpicklingError("a type that is not described as usual")
        order, extra = state[1], state[2:5]
        if isinstance(order, bytes):
            order = order.decode("latin1")
        if order not in ("<", ">", "|", "=") or any(e is not None for e in extra):
            raise pickle.UnpicklingError("an array of records")
        self.order = order

    def build(self):
        # The size of an object is that of a pointer, wherever it was written.
        code = "O" if self.code.startswith("O") else self.code
        return np.dtype(self.order.replace("|", "=") + code)


class _Array:
    """Stands for an array that is filled by `__setstate__`, as up to protocol 4."""

    __slots__ = ("state",)

    def __init__(self, kind, shape, typecode):
        if kind is not _NDARRAY:
            raise pickle.UnpicklingError(f"an array of another class, {shown(kind)}")
        self.state = None

    def __setstate__(self, state):
        usual = isinstance(state, tuple) and len(state) == 5
        if not usual or not isinstance(state[2], _DType):
            raise pickle.UnpicklingError("an array that is not described as usual")
        self.state = state

    def build(self, built):
        if self.state is None:
            raise pickle.UnpicklingError("an array without content")
        _, shape, dtype, fortran, data = self.state
        if isinstance(data, list):
            return _object_array(data, shape, dtype.build(), fortran, built)
        return _number_array(data, shape, dtype.build(), "F" if fortran else "C")


class _BufferArray:
    """Stands for an array made from bytes, as in protocol 5."""

    __slots__ = ("args",)

    def __init__(self, data, dtype, shape, order, axes=None):
        self.args = data, dtype, shape, order, axes

    def __setstate__(self, state):
        raise pickle.UnpicklingError("an array that is not described as usual")

    def build(self):
        data, dtype, shape, order, axes = self.args
        if not isinstance(dtype, _DType):
            raise pickle.UnpicklingError("an array that is not described as usual")
        array = _number_array(data, shape, dtype.build(), "F" if order == "F" else "C")
        return array if axes is None else array.transpose(axes)


class _Scalar:
    """Stands for a single number of numpy's."""

    __slots__ = ("args",)

    def __init__(self, dtype, data):
        self.args = dtype, data

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a number that is not described as usual")

    def build(self):
        dtype, data = self.args
        if not isinstance(dtype, _DType):
            raise pickle.UnpicklingError("a number that is not described as usual")
        return _number_array(data, (1,), dtype.build(), "C")[0]


class _Latin1:
    """Stands for `_codecs.encode`, by which old pickles write bytes."""

    __slots__ = ()

    def __new__(cls, text, encoding):
        if encoding != "latin1" or not isinstance(text, str):
            raise pickle.UnpicklingError(f"text in the encoding {shown(encoding)}")
        return text.encode("latin1")

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a class that is written to")


class _Name:
    """Stands for a class that is only mentioned."""

    __slots__ = ()

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a class that is written to")


class _Container:
    """Stands for a class of Python's that old protocols name."""

    __slots__ = ("make",)

    def __init__(self, make):
        self.make = make

    def __call__(self, *items):
        # Empty, or made from a list: `bytes(10**12)` would take all memory.
        if len(items) > 1 or not all(isinstance(item, list) for item in items):
            raise pickle.UnpicklingError(
                f"a {self.make.__name__} made from {shown(items)}"
            )
        return self.make(*items)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("a class that is written to")


_NDARRAY = _Name()
_NAMES = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Latin1,
}
for _module in ("builtins", "__builtin__"):
    for _kind in (bytes, frozenset, set):
        _NAMES[_module, _kind.__name__] = _Container(_kind)
for _package in ("numpy.core", "numpy._core"):
    _NAMES[f"{_package}.multiarray", "_reconstruct"] = _Array
    _NAMES[f"{_package}.multiarray", "scalar"] = _Scalar
    _NAMES[f"{_package}.numeric", "_frombuffer"] = _BufferArray


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        """Return what stands for a name; nothing is imported."""
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module}.{name}"[:200]) from None


# What no pickle of arrays needs. Extension codes name objects of a registry, which the
# reader may take from its cache without a question; the others, objects from elsewhere.
_FOREIGN = {
    *("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"),
    *("NEXT_BUFFER", "READONLY_BUFFER"),
}
_MEMO = {"PUT", "BINPUT", "LONG_BINPUT"}
_OPCODES = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}


def _scan(file, size):
    """Look through the opcodes without doing what they say."""
    opcode, position = None, 0
    while opcode is None or opcode.name != "STOP":
        code = file.read(1)
        if not code:
            raise EOFError("Ran out of input")
        opcode = _OPCODES.get(code)
        if opcode is None:
            raise pickle.UnpicklingError(f"the opcode {code!r}")
        if opcode.name == "STRING":  # bytes of Python 2, which need not be ASCII
            arg = file.readline()
        else:
            arg = opcode.arg and opcode.arg.reader(file)
        position = file.tell()
        if opcode.name in _FOREIGN:
            raise pickle.UnpicklingError(f"the opcode {opcode.name}")
        # The reader makes room for as many, at once.
        if opcode.name in _MEMO and not 0 <= int(arg) <= position:
            raise pickle.UnpicklingError(f"a place {arg} in the memo")
        if opcode.name == "FRAME" and arg > size - position:
            raise pickle.UnpicklingError(f"a frame of {arg} bytes")


def load_plain_pickle(path):
    """Read a pickle of numpy arrays, numbers, strings and plain containers.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    object
        Arrays and containers that come several times in the pickle are the same.

    Raises
    ------
    ValueError
        If it holds anything else, or is no pickle.
    """
    with open(path, "rb") as file:
        try:
            _scan(file, os.fstat(file.fileno()).st_size)
            file.seek(0)
            return _build(_PlainUnpickler(file, encoding="latin1").load(), {})
        except pickle.UnpicklingError as exc:
            raise ValueError(
                f"{path}: wanted a pickle of numpy arrays, numbers, strings and plain "
                f"containers only, found {exc}. Nothing that it names was run."
            ) from exc
        except Exception as exc:
            raise ValueError(
                f"{path}: wanted a pickle, but reading it ended with "
                f"{type(exc).__name__}: {exc}."
            ) from exc


def _build(value, built):
    """Put real arrays in the place of what stands for them.

    `built` holds what was built, by id: lists of the same lists over and over would
    otherwise grow without end.
    """
    if isinstance(value, _PLAIN):
        return value
    if id(value) not in built:
        built[id(value)] = None, value  # kept, so that no other object gets its id
        built[id(value)] = _build_new(value, built), value
    elif built[id(value)][0] is None:
        raise pickle.UnpicklingError("a container in itself")
    return built[id(value)][0]


_PLAIN = (bool, int, float, complex, str, bytes, bytearray, set, frozenset, type(None))


def _build_new(value, built):
    if isinstance(value, _Array):
        return value.build(built)
    if isinstance(value, (_BufferArray, _Scalar)):
        return value.build()
    if isinstance(value, dict):
        return {key: _build(item, built) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_build(item, built) for item in value)
    raise pickle.UnpicklingError(f"a {type(value).__name__.strip('_')}")


def _check_shape(shape, size):
    numbers = isinstance(shape, tuple) and all(isinstance(n, int) for n in shape)
    if not numbers or len(shape) > 64:
        raise pickle.UnpicklingError(f"an array of shape {shown(shape)}")
    if math.prod(shape) != size or any(n < 0 for n in shape):
        raise pickle.UnpicklingError(
            f"{size} values for an array of shape {shown(shape)}"
        )


def _number_array(data, shape, dtype, order):
    if isinstance(data, str):  # the bytes of Python 2, read as latin1
        data = data.encode("latin1")
    if dtype.hasobject or not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array that is not described as usual")
    size = len(data) // dtype.itemsize if dtype.itemsize else 0
    _check_shape(shape, size)
    array = np.frombuffer(data, dtype=dtype, count=size)
    # A copy, which is writeable, aligned and in the machine's own byte order.
    array = array.reshape(shape, order=order).astype(dtype.newbyteorder("="))
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise pickle.UnpicklingError("booleans that are neither true nor false")
    if dtype.kind == "U" and array.size and np.max(_characters(array)) > 0x10FFFF:
        raise pickle.UnpicklingError("strings of characters that are none")
    return array


def _characters(array):
    """The numbers of the characters of strings, in the machine's byte order."""
    return np.frombuffer(array.tobytes(), dtype=np.uint32)


def _object_array(data, shape, dtype, fortran, built):
    if not dtype.hasobject:
        raise pickle.UnpicklingError("an array that is not described as usual")
    _check_shape(shape, len(data))
    array = np.empty(len(data), dtype=object)
    for i, item in enumerate(data):
        array[i] = _build(item, built)
    return array.reshape(shape, order="F" if fortran else "C")
