"""The file: numbers in the layout of safetensors, and one text beside them.

Eight bytes with the length of the header, the header in JSON, the arrays one after the
other. Nothing is compressed, so that no file unfolds to more than its own size. What
the text means is not known here.
"""

import hashlib
import json
import math

import numpy as np

FORMAT = "skmissing-model"
FORMAT_VERSION = 1
MOST_HEADER_BYTES = 100_000_000  # the limit that safetensors has
MOST_DIMENSIONS = 8
# What the header says beside the arrays; all strings.
FIELDS = {"format", "format_version", "model", "sha256", "skmissing", "scikit-learn"}
READ_BYTES = 1 << 24

DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
DTYPES = {name: np.dtype(code) for name, code in DTYPES.items()}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class ModelFileError(ValueError):
    """A file that is not a model, is damaged, or holds what is not to be loaded.

    Its message says what was found in the file, where, and what was wanted. It is the
    only error by which :func:`skmissing.io.load_model` refuses the content of a file.

    Examples
    --------
    >>> import io
    >>> from skmissing.io import ModelFileError, load_model
    >>> try:
    ...     load_model(io.BytesIO(b"not a model"))
    ... except ModelFileError as error:
    ...     print(type(error).__name__)
    ModelFileError
    """


def write(file, text, arrays, versions):
    """Write a model.

    Parameters
    ----------
    file : binary file object
    text : str
    arrays : list of ndarray
        C-contiguous, of a dtype in `NAMES`.
    versions : dict of str to str
    """
    # Large items first, so that each array starts at a multiple of its item's size.
    order = sorted(range(len(arrays)), key=lambda i: (-arrays[i].itemsize, i))
    table, stop = {}, 0
    for i in order:
        start, stop = stop, stop + arrays[i].nbytes
        table[str(i)] = {
            "dtype": NAMES[arrays[i].dtype],
            "shape": list(arrays[i].shape),
            "data_offsets": [start, stop],
        }
    about = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "model": text,
        **versions,
    }
    digest = start_digest(table, about)
    for i in order:
        digest.update(bytes_of(arrays[i]))
    header = {"__metadata__": {**about, "sha256": digest.hexdigest()}, **table}
    encoded = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little"))
    file.write(encoded)
    for i in order:
        file.write(bytes_of(arrays[i]))


def start_digest(table, about):
    """A hash that has been fed with all of the header but the hash itself."""
    known = json.dumps([table, about], sort_keys=True).encode()
    return hashlib.sha256(known)


def bytes_of(array):
    """The content of a C-contiguous array, without a copy."""
    return memoryview(array.reshape(-1).view(np.uint8))


def read(file):
    """Read a model; everything but the text's meaning is checked.

    Parameters
    ----------
    file : binary file object that can seek

    Returns
    -------
    text : str
    arrays : list of ndarray
    versions : dict of str to str

    Raises
    ------
    ModelFileError
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(MOST_HEADER_BYTES, size - 8):
        raise ModelFileError(
            f"wanted a file of {FORMAT}, which begins with the length of its header; "
            f"found {size} bytes that begin with {head!r}. It may be another kind of "
            "file, or one that was cut short."
        )
    header = parse(file.read(length), "the header")
    about, table = _split(header)
    entries = _check_table(table, size - 8 - length)
    expected = about.pop("sha256")
    digest = start_digest(table, about)
    arrays = [None] * len(entries)
    for index, dtype, shape in entries:
        arrays[index] = _read_array(file, dtype, shape, digest)
    if digest.hexdigest() != expected:
        raise ModelFileError(
            f"the content does not fit its checksum: wanted sha256 {expected[:64]!r}, "
            f"found {digest.hexdigest()!r}. The file is damaged or was changed."
        )
    for index, array in enumerate(arrays):
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            raise ModelFileError(f"array {index}: wanted bytes 0 and 1 for booleans.")
    versions = {name: about[name] for name in ("skmissing", "scikit-learn")}
    return about["model"], arrays, versions


def _no_duplicates(pairs):
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name comes twice in one object")
    return made


def _no_constant(name):
    raise ValueError(f"the number {name}")


def parse(data, where):
    """JSON as the standard has it: no name twice, no NaN, no infinity."""
    try:
        if isinstance(data, bytes):
            data = data.decode("utf-8")
        return json.loads(
            data, object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{where}: wanted JSON; found {exc}.") from exc


def _split(header):
    """What the header says of the file, and the table of its arrays."""
    about = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else None
        raise ModelFileError(
            f"wanted a file of the format {FORMAT!r}; its header says {found!r}."
        )
    if about.get("format_version") != str(FORMAT_VERSION):
        raise ModelFileError(
            f"wanted format_version {str(FORMAT_VERSION)!r}, which this version of "
            f"skmissing reads; found {about.get('format_version')!r}, written by "
            f"skmissing {about.get('skmissing')!r}."
        )
    if about.keys() != FIELDS or not all(isinstance(v, str) for v in about.values()):
        raise ModelFileError(
            f"the header: wanted strings for {sorted(FIELDS)}; found "
            f"{ {name: type(value).__name__ for name, value in about.items()} }."
        )
    return about, header


def _check_table(table, n_bytes):
    """Number, dtype and shape of the arrays, in the order in which they lie."""
    entries, names = [], {str(i): i for i in range(len(table))}
    for name, entry in table.items():
        if name not in names:
            raise ModelFileError(
                f"arrays must be numbered from 0 to {len(table) - 1}; found {name!r}."
            )
        dtype, shape, start, stop = _check_entry(name, entry)
        entries.append((start, stop, names[name], dtype, shape))
    # An empty array comes before the one that starts where it does.
    entries.sort(key=lambda entry: entry[:2])
    end = 0
    for start, stop, index, *_ in entries:
        if start != end:
            raise ModelFileError(
                f"array {index}: wanted it to start at byte {end}, where the one "
                f"before it stops; found {start}."
            )
        end = stop
    if end != n_bytes:
        raise ModelFileError(
            f"the arrays take {end} bytes, but {n_bytes} follow the header. The file "
            "may have been cut short."
        )
    return [(index, dtype, shape) for _, _, index, dtype, shape in entries]


def _check_entry(name, entry):
    """Dtype, shape and place of one array."""
    try:
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        start, stop = entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ModelFileError(
            f"array {name}: wanted a dtype of {sorted(DTYPES)}, a shape and two "
            f"data_offsets; found {str(entry)[:200]}."
        ) from None
    numbers = (*shape, start, stop)
    if len(shape) > MOST_DIMENSIONS or not all(
        type(n) is int and 0 <= n < 1 << 63 for n in numbers
    ):
        raise ModelFileError(
            f"array {name}: wanted at most {MOST_DIMENSIONS} dimensions and counts "
            f"from 0 on; found shape {str(shape)[:200]} at {start!r} to {stop!r}."
        )
    if math.prod(shape) * dtype.itemsize != stop - start:
        raise ModelFileError(
            f"array {name}: shape {shape} of {entry['dtype']} takes "
            f"{math.prod(shape) * dtype.itemsize} bytes; found {stop - start}."
        )
    return dtype, shape, start, stop


def _read_array(file, dtype, shape, digest):
    """Read one array; its size was checked against the file's."""
    array = np.empty(math.prod(shape), dtype=dtype)
    target = memoryview(array.view(np.uint8))
    for start in range(0, len(target), READ_BYTES):
        piece = target[start : start + READ_BYTES]
        if file.readinto(piece) != len(piece):
            raise ModelFileError("the file became shorter while it was read.")
        digest.update(piece)
    try:
        return array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    except ValueError as exc:  # an empty array of sides that are too long
        raise ModelFileError(f"wanted an array of shape {shape}; {exc}.") from exc
