"""Random changes of a saved model, from single bits to other trees of values."""

import json
import random

from tests.fuzz.models import repack

DTYPES = ["BOOL", "U8", "I8", "U16", "F16", "U32", "I32", "F32", "U64", "I64", "F64"]
SIZES = dict(zip(DTYPES, [1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8]))
TYPES = [
    *("array", "class", "dict", "dtype", "estimator", "float", "frozenset", "layout"),
    *("map", "objects", "RandomState", "record", "ref", "scalar", "set", "slice"),
    *("strings", "tree", "tuple", "units", "reduce", "", None, 3),
]
VALUES = [
    *(None, True, False, 0, 1, -1, 2, 7, 255, 625, 2**31, 2**53, -(2**63), 2**63),
    *(10**30, 0.0, -0.5, 1e308, 5e-324, "", "a", "nan", "model", "x" * 300, "\0", "é"),
    *("\ud800", [], [[]], {}, [None], [1, 2], {"t": "float", "v": "nan"}),
    *({"t": "float", "v": "-inf"}, {"t": "tuple", "v": []}, {"t": "dict", "v": {}}),
    *({"t": "array", "i": 0}, {"t": "array", "i": 1, "T": True}, {"t": "ref", "v": 0}),
    *({"t": "scalar", "dtype": "F32", "v": 1e300}, {"t": "dtype", "v": "<U9999"}),
    *({"t": "objects", "shape": [1], "v": [None]}, {"t": "set", "v": [[1]]}),
    *({"t": "strings", "shape": [0, 2**30], "v": []}, {"t": "map", "v": [[[], 1]]}),
    *({"t": "slice", "v": [None, -1, 0]}, {"t": "class", "v": "TaskLoss"}),
]
BYTES = [
    bytes(8),
    b"\xff" * 8,
    b"\x00" * 6 + b"\xf0\x7f",  # infinity
    b"\x00" * 6 + b"\xf8\x7f",  # NaN
    b"\xff" * 7 + b"\x7f",
    b"\x01" + bytes(7),
    b"\x02",
    b"\x00\x00\x80\x7f",
]


def mutate(parts, others, rng):
    """One changed file.

    Parameters
    ----------
    parts : tuple
        The original bytes, and what :func:`tests.fuzz.models.unpack` makes of them.
    others : list of tuple
        The same of all seeds, to take pieces from.
    rng : random.Random

    Returns
    -------
    bytes
    """
    data, text, about, table, blob = parts
    how = rng.random()
    if how < 0.12:
        return change_bytes(data, rng)
    if how < 0.2:
        return repack(about, change_text(text, rng), json.loads(table), blob)
    tree = json.loads(text)
    about, table = dict(about), json.loads(table)
    if how < 0.65:
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            change_tree(tree, rng.choice(others), rng)
    elif how < 0.8:
        for _ in range(rng.choice((1, 1, 2))):
            change_table(table, rng)
    elif how < 0.95:
        blob = change_blob(blob, rng)
    elif how < 0.97:
        tree = json.loads(rng.choice(others)[1])
    else:
        change_about(about, rng)
    try:
        return repack(about, tree, table, blob)
    except UnicodeEncodeError:
        return change_bytes(data, rng)


def change_bytes(data, rng):
    """Flip, drop, repeat or add bytes; the checksum is left as it was."""
    data = bytearray(data)
    how = rng.randrange(5)
    if how == 0:
        return bytes(data[: rng.randrange(len(data))])
    if how == 1:
        return bytes(data) + rng.randbytes(rng.randrange(1, 64))
    if how == 2:
        start = rng.randrange(len(data))
        del data[start : start + rng.randrange(1, 64)]
    elif how == 3:
        start = rng.randrange(len(data))
        data[start:start] = data[start : start + rng.randrange(1, 64)]
    else:
        for _ in range(rng.choice((1, 1, 2, 8))):
            # Half of the time in the first bytes, where the lengths stand.
            stop = 16 if rng.random() < 0.3 else len(data)
            data[rng.randrange(stop)] = rng.randrange(256)
    return bytes(data)


def change_text(text, rng):
    """Change characters of the text."""
    start = rng.randrange(len(text))
    how = rng.randrange(4)
    if how == 0:
        return text[:start] + text[start + rng.randrange(1, 20) :]
    if how == 1:
        return text[:start] + rng.choice('{}[]",:0-9eENaInfinity\\u\0') + text[start:]
    if how == 2:
        return text[:start]
    stop = start + rng.randrange(1, 60)
    return text[:stop] + text[start:stop] * rng.choice((1, 3)) + text[stop:]


def places_of(tree):
    """All containers of a tree, each with one of its keys."""
    places, queue = [], [tree]
    while queue:
        node = queue.pop()
        keys = node if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                queue.append(node[key])
    return places


def change_tree(tree, other, rng):
    """Change one place of the tree: another value, another type, none at all."""
    places = places_of(tree)
    if not places:
        return
    node, key = rng.choice(places)
    how = rng.randrange(9)
    if how == 0:
        del node[key]
    elif how == 1:
        pieces = places_of(json.loads(other[1]))
        source, name = rng.choice(pieces)
        node[key] = source[name]
    elif how == 2:
        source, name = rng.choice(places)
        # Copies, since one may be inside of the other.
        pair = json.loads(json.dumps([node[key], source[name]]))
        source[name], node[key] = pair
    elif how == 3 and isinstance(node, dict):
        node[rng.choice(("x", "t", "v", "c", "s", "predict", "__class__"))] = node[key]
    elif how == 4:
        nodes = [place for place in places if place[1] == "t"]
        node, key = rng.choice(nodes or places)
        node[key] = rng.choice(TYPES)
    elif how == 5:
        numbers = [p for p in places if type(p[0][p[1]]) in (int, float)]
        node, key = rng.choice(numbers or places)
        node[key] = rng.choice((0, -1, 1, 2, 3, 1000, 2**31, 2**62, 0.5, 1e300, None))
    elif how == 6 and isinstance(node[key], list):
        node[key] = node[key] * rng.choice((0, 2, 3))
    else:
        node[key] = json.loads(json.dumps(rng.choice(VALUES)))


def change_table(table, rng):
    """Read the same bytes as something else, or with other sides."""
    name = rng.choice(sorted(table) or ["0"])
    entry = table.get(name)
    if not isinstance(entry, dict) or not _is_whole(entry):
        return
    how = rng.randrange(6)
    size = entry["data_offsets"][1] - entry["data_offsets"][0] if how < 3 else 0
    if how < 2:
        entry["dtype"] = rng.choice([d for d in DTYPES if size % SIZES[d] == 0])
        count = size // SIZES[entry["dtype"]]
        sides = [n for n in range(1, 7) if count % n == 0]
        side = rng.choice(sides)
        entry["shape"] = rng.choice(([count], [side, count // side], [1, count], []))
    elif how == 2:
        entry["shape"] = entry["shape"][::-1] + rng.choice(([], [1]))
    elif how == 3:
        key = rng.choice(sorted(entry))
        entry[key] = rng.choice([*VALUES[:28], [2**62] * 4, [0, 2**40]])
    elif how == 4:
        table[rng.choice(("0", "1", "99", "-1", "x"))] = entry
    else:
        del table[name]


def _is_whole(entry):
    """Whether the entry was not changed before."""
    offsets = entry.get("data_offsets")
    whole = isinstance(offsets, list) and len(offsets) == 2
    whole = whole and isinstance(entry.get("shape"), list)
    return whole and all(isinstance(n, int) for n in offsets)


def change_blob(blob, rng):
    """Overwrite numbers with odd ones; the checksum is made to fit."""
    blob = bytearray(blob)
    for _ in range(rng.choice((1, 1, 2, 10))):
        odd = rng.choice(BYTES) if rng.random() < 0.7 else rng.randbytes(8)
        start = rng.randrange(max(len(blob), 1)) // len(odd) * len(odd)
        blob[start : start + len(odd)] = odd[: max(len(blob) - start, 0)]
    return bytes(blob)


def change_about(about, rng):
    """Other words for format and versions."""
    key = rng.choice([*sorted(about), "more"])
    about[key] = rng.choice(["", "0", "2", "1" * 50, "é", 1, None, [], {}])


def generator(seed, case):
    """The generator of one case, so that it can be made again."""
    return random.Random(f"{seed}:{case}")
