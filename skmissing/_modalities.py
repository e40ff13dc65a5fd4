"""Resolve the parameter `modalities=` for the columns of X, and warn about modalities.

A modality is a named group of columns. This file does not use values of X.
"""

import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np

# Packages whose stack frames do not belong to the user.
NOT_USER = {"skmissing", "sklearn", "joblib", "skorch", "threading", "concurrent"}


class ModalityWarning(UserWarning):
    """Warn that samples, modalities or columns were filled, dropped or ignored."""


def count(n, one, many=None):
    """Return a number and a noun, "1 column" or "2 columns", for messages."""
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"


def warn(message, category=ModalityWarning):
    """Warn at the line of the user's code that called the library.

    If Python shows a warning once per line, show it once per call. Messages that differ
    only in numbers count as equal. Otherwise, each fold of a search would warn.
    """
    *inner, frame = inner_frames()
    try:
        _warn_at(message, category, inner, frame)
    finally:
        # One of the frames is that of this function. With the list, they would be kept
        # alive with all of their arrays.
        del inner, frame


def _warn_at(message, category, inner, frame):
    """Warn at a frame, which called the others."""
    module, line = frame.f_globals.get("__name__", ""), frame.f_lineno
    if inner and _is_shown_once(message, category, module, line):
        # The set is stored in the frame that the user called, and is deleted with it.
        shown = inner[-1].f_locals.setdefault("_shown_warnings", set())
        alike = re.sub(r"\b[0-9]+\b", "#", message)
        if alike in shown:
            return
        shown.add(alike)
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        line,
        module=module,
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_shown_once(message, category, module, line):
    """Whether the filters show the warning once, which is the default."""
    for action, text, kind, where, number in warnings.filters:
        if (
            issubclass(category, kind)
            and number in (0, line)
            and re.match(text or "", message)
            and re.match(where or "", module)
        ):
            return action in ("default", "module", "once")
    return True


def inner_frames():
    """Stack frames of libraries, and then the frame of the user."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        yield frame
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in NOT_USER or name.startswith("skmissing.tests"):
            return
        frame = frame.f_back
    yield frame


def lost_names(n_features):
    """Name of the scikit-learn object that dropped column names, and a remedy.

    A wrapper such as `BaggingClassifier`, or a pipeline with a scaler, passes arrays.
    None if no caller had names with prefixes.
    """
    for frame in inner_frames():
        owner = frame.f_locals.get("self", frame.f_locals.get("ensemble"))
        if frame.f_globals.get("__name__", "").partition(".")[0] != "sklearn":
            continue
        names = getattr(owner, "feature_names_in_", None)
        groups, bare = _prefix_groups(names)
        if not groups or bare or len(groups) == len(names):
            continue
        remedy = "pass modalities="
        layout = ModalityLayout(_from_names(len(names), names))
        if np.array_equal(layout.order, np.arange(n_features)):
            remedy += repr(layout)
        if hasattr(owner, "steps"):
            remedy += ", or call set_output(transform='pandas') of the pipeline"
        return type(owner).__name__, str(names[0]), remedy
    return None


@dataclass(frozen=True, eq=False)
class Modality:
    """A named group of columns of X."""

    name: str
    columns: np.ndarray  # positions in X, in the order of the values
    n_tokens: int = 1  # number of tokens, row-major; 1 for a plain vector

    @property
    def width(self):
        """Number of columns."""
        return len(self.columns)

    @property
    def shape(self):
        """Token shape, `(n_tokens, dim)`."""
        return self.n_tokens, self.width // self.n_tokens

    def __eq__(self, other):
        return (
            isinstance(other, Modality)
            and self.name == other.name
            and self.n_tokens == other.n_tokens
            and np.array_equal(self.columns, other.columns)
        )

    def __repr__(self):
        size = self.shape if self.n_tokens > 1 else self.width
        return f"Modality({self.name!r}, {size})"


class ModalityLayout(Mapping):
    """Ordered mapping from modality name to :class:`Modality`.

    Every column of X is in exactly one modality. "Layout order" is the columns of the
    first modality, then of the second modality, and so on. The kernels use this order,
    in which each modality is a slice.
    """

    def __init__(self, modalities):
        self._modalities = {m.name: m for m in modalities}
        self.names = tuple(self._modalities)
        listed = list(self._modalities.values())
        self.widths = np.array([len(m.columns) for m in listed], dtype=np.intp)
        self.shapes = [(m.n_tokens, len(m.columns) // m.n_tokens) for m in listed]
        self.n_features = int(self.widths.sum())
        stops = np.cumsum(self.widths)
        starts = stops - self.widths
        # Slice of each modality in layout order, and the number of the modality at each
        # position. `X[:, order]` is X in layout order.
        self.slices = [slice(int(a), int(b)) for a, b in zip(starts, stops)]
        self.owner = np.repeat(np.arange(len(self.widths)), self.widths)
        self.order = np.concatenate([m.columns for m in listed])
        # The number of the modality of each column of X.
        self.column_owner = np.empty_like(self.owner)
        self.column_owner[self.order] = self.owner
        self.one_column_each = bool((self.widths == 1).all())
        self.has_tokens = any(m.n_tokens > 1 for m in listed)
        self.columns = [as_slice(m.columns) for m in listed]  # of X

    def __getitem__(self, name):
        return self._modalities[name]

    def __iter__(self):
        return iter(self._modalities)

    def __len__(self):
        return len(self._modalities)

    def __repr__(self):
        sizes = (
            f"{m.name!r}: {m.shape if m.n_tokens > 1 else m.width}"
            for m in self.values()
        )
        return "{" + ", ".join(sizes) + "}"


def as_slice(positions):
    """Return consecutive positions as a slice, which indexes without a copy."""
    if not len(positions):
        return slice(0, 0)
    first, length = int(positions[0]), len(positions)
    if positions[-1] - first + 1 == length and (np.diff(positions) == 1).all():
        return slice(first, first + length)
    return positions


def resolve_modalities(modalities, n_features, feature_names=None, warn=warn):
    """Turn the parameter `modalities` into a layout of X.

    Widths and token shapes in a dict are for the columns with this prefix, which may
    follow the prefix of a step. If there are none, they are for the next columns from
    left to right that no other entry names.
    """
    if isinstance(modalities, ModalityLayout):
        if modalities.n_features != n_features:
            raise ValueError(
                f"modalities={modalities!r} holds "
                f"{count(modalities.n_features, 'column')}, but X has "
                f"{count(n_features, 'feature')}."
            )
        return modalities
    if modalities is None:
        return ModalityLayout(_from_names(n_features, feature_names, warn))
    if isinstance(modalities, Mapping):
        return ModalityLayout(_from_dict(modalities, n_features, feature_names, warn))
    if not isinstance(modalities, (list, tuple, np.ndarray)):
        raise TypeError(
            "modalities must be None, a list of widths or a dict; got "
            f"{modalities!r} of type {type(modalities).__name__}."
        )
    if len(modalities) == 0:
        raise ValueError("modalities is empty; give at least one width.")
    widths = [_check_width(w, f"modalities[{i}]") for i, w in enumerate(modalities)]
    if sum(widths) != n_features:
        raise ValueError(
            f"The widths in modalities={widths} add up to {sum(widths)}, but X has "
            f"{count(n_features, 'feature')}."
        )
    columns = np.split(np.arange(n_features, dtype=np.intp), np.cumsum(widths)[:-1])
    return ModalityLayout(Modality(f"modality{i}", c) for i, c in enumerate(columns))


def _prefix_groups(feature_names):
    """Columns by prefix, in order of first appearance, and the names without one."""
    groups, bare = {}, []
    for position, name in enumerate(() if feature_names is None else feature_names):
        prefix, separator, _ = str(name).partition("__")
        if prefix and separator:
            groups.setdefault(prefix, []).append(position)
        else:
            bare.append(str(name))
    return groups, bare


def _from_names(n_features, feature_names, warn=None):
    groups, bare = _prefix_groups(feature_names)
    if groups and bare and warn:
        warn(
            f"{len(bare)} of the {n_features} column names have no prefix before '__': "
            f"{_shorten(bare)}. Therefore, no columns are grouped, and each column is "
            f"a modality of its own. Name all columns modality__feature, as in "
            f"'{bare[0].lstrip('_')}__0', or pass modalities=."
        )
    elif not bare and warn:
        _warn_prefixes(groups, feature_names, warn)
    if bare or not groups:
        names = (
            [f"x{i}" for i in range(n_features)]
            if feature_names is None
            else [str(name) for name in feature_names]
        )
        doubled = [n for n, c in zip(*np.unique(names, return_counts=True)) if c > 1]
        if doubled:
            raise ValueError(
                "Column names must be unique; found more than once: "
                f"{_shorten(doubled)}."
            )
        groups = {name: [i] for i, name in enumerate(names)}
    return [Modality(n, np.array(c, dtype=np.intp)) for n, c in groups.items()]


def _warn_prefixes(groups, feature_names, warn):
    """Warn about prefixes that are misspelt or that belong to a step."""
    spelt = {}
    for prefix in groups:
        spelt.setdefault(prefix.strip().casefold(), []).append(prefix)
    for alike in spelt.values():
        if len(alike) > 1:
            warn(
                f"the prefixes {_shorten(alike)} of column names differ only in blanks "
                "or in upper and lower case. They are different modalities. Rename "
                "the columns if they are one modality."
            )
    merged = {
        prefix: _second_prefixes(prefix, [str(feature_names[p]) for p in positions])
        for prefix, positions in groups.items()
    }
    merged = [f"{p!r} ({_shorten(parts)})" for p, parts in merged.items() if parts]
    if merged:
        own = {name: len(p) for name, p in groups.items()}
        warn(
            "columns of several prefixes are one modality, because another prefix is "
            f"in front: {', '.join(merged)}. If it is the name of a step, pass "
            "verbose_feature_names_out=False to the ColumnTransformer or FeatureUnion, "
            f"or pass modalities=. If it is the modality, pass modalities={own}."
        )


def _second_prefixes(prefix, names):
    """Different prefixes after a prefix, if all its columns have a second prefix."""
    # The remainder of a ColumnTransformer also contains columns without a prefix.
    rests = [name.split("__")[1:] for name in names]
    any_or_all = any if prefix == "remainder" else all
    parts = []
    while len(parts) < 2 and any_or_all(len(rest) > 1 for rest in rests):
        parts = list(dict.fromkeys(rest[0] for rest in rests))
        rests = [rest[1:] for rest in rests]
    return parts if len(parts) > 1 else []


def _check_width(width, where):
    if isinstance(width, (bool, np.bool_)) or not isinstance(width, Integral):
        raise TypeError(f"{where} must be an int; got {width!r}.")
    if width < 1:
        raise ValueError(f"{where} must be at least 1; got {width}.")
    return int(width)


def _from_dict(modalities, n_features, feature_names, warn=None):
    if not modalities:
        raise ValueError("modalities is empty; give at least one modality.")
    for name in modalities:
        if not isinstance(name, str) or not name:
            raise TypeError(f"modalities: names must be strings; got {name!r}.")
    prefixes, _ = _prefix_groups(feature_names)
    inner_names = () if feature_names is None else list(map(str, feature_names))
    columns, tokens, widths = {}, {}, {}
    for name, value in modalities.items():
        where = f"modalities[{name!r}]"
        if isinstance(value, (slice, list, range, np.ndarray)):
            columns[name] = _explicit(value, where, n_features, feature_names)
            continue
        tokens[name], widths[name] = _size(value, where)
        # A step may have added its own prefix.
        inner = [n for n, f in enumerate(inner_names) if f"__{name}__" in f]
        if name not in prefixes and len(inner) == widths[name]:
            columns[name] = inner
        if name in prefixes:
            columns[name] = prefixes[name]
            if len(columns[name]) != widths[name]:
                raise ValueError(
                    f"{where}={value!r} asks for "
                    f"{count(widths[name], 'column')}, but X has "
                    f"{count(len(columns[name]), 'column')} named '{name}__...'."
                )
    claimed = {c for group in columns.values() for c in group}
    free = [c for c in range(n_features) if c not in claimed]
    asked = sum(width for name, width in widths.items() if name not in columns)
    if asked > len(free):
        raise ValueError(
            f"The widths in modalities={dict(modalities)!r} ask for "
            f"{count(asked, 'column')}, but X has {count(n_features, 'feature')}, "
            f"of which {len(free)} are free."
        )
    counted = [name for name in modalities if name not in columns]
    for name in counted:
        columns[name], free = free[: widths[name]], free[widths[name] :]
    _check_partition(columns, n_features, feature_names)
    if warn:
        _warn_counted({n: columns[n] for n in counted}, columns, prefixes, warn)
    return [
        Modality(name, np.array(columns[name], dtype=np.intp), tokens.get(name, 1))
        for name in modalities
    ]


def _warn_counted(counted, columns, prefixes, warn):
    """Warn if modalities that no prefix names have columns with other prefixes.

    All prefixes may be renamed, one may be divided, and whole ones may be joined.
    """
    owner = {c: prefix for prefix, group in prefixes.items() for c in group}
    for name, group in counted.items():
        others = {owner.get(c) for c in group} - {None}
        n_columns = sum(len(prefixes[prefix]) for prefix in others)
        renamed = n_columns == len(group) and any(p in columns for p in prefixes)
        divided = n_columns > len(group)
        if (len(others) > 1 and divided) or (len(others) == 1 and renamed):
            part = "some of the" if divided else "the"
            warn(
                f"modalities[{name!r}] takes {part} columns with the prefix "
                f"{' or '.join(map(repr, sorted(others)))}, because no columns are "
                f"named '{name}__...'. Correct the name, or list the columns."
            )


def _size(value, where):
    """Number of tokens and width, from an int or a token shape."""
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(
                f"{where} must be a token shape (n_tokens, dim); got {value!r}. "
                "Give positions as a list."
            )
        n_tokens = _check_width(value[0], f"{where}: n_tokens")
        return n_tokens, n_tokens * _check_width(value[1], f"{where}: dim")
    if isinstance(value, Integral):
        return 1, _check_width(value, where)
    raise TypeError(
        f"{where} must be an int, a token shape (n_tokens, dim), a slice or a list of "
        f"columns; got {value!r}."
    )


def _explicit(value, where, n_features, feature_names):
    """Positions of columns, from a slice or a list of names or positions."""
    if isinstance(value, slice):
        try:
            positions = list(range(*value.indices(n_features)))
        except TypeError:
            raise TypeError(
                f"{where} must be a slice of positions; got {value!r}."
            ) from None
    else:
        positions = [_position(v, where, n_features, feature_names) for v in value]
    if not positions:
        raise ValueError(f"{where}={value!r} holds no column of X.")
    return positions


def _position(value, where, n_features, feature_names):
    if isinstance(value, str):
        if feature_names is None:
            raise ValueError(
                f"{where} names the column {value!r}, but X has no column names; pass "
                "a data frame, or give positions."
            )
        found = np.flatnonzero(np.asarray(feature_names, dtype=object) == value)
        if len(found) != 1:
            raise ValueError(
                f"{where} names the column {value!r}, which X has {len(found)} times."
            )
        return int(found[0])
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(f"{where}: columns are names or positions; got {value!r}.")
    if not 0 <= value < n_features:
        raise ValueError(
            f"{where} holds the position {value}, but X has columns 0 to "
            f"{n_features - 1}."
        )
    return int(value)


def _check_partition(columns, n_features, feature_names):
    """Check that every column is in exactly one modality."""

    def label(position):
        return position if feature_names is None else str(feature_names[position])

    owner = {}
    for name, positions in columns.items():
        for position in positions:
            if position in owner:
                raise ValueError(
                    f"Column {label(position)!r} is named twice in modalities: in "
                    f"{owner[position]!r} and in {name!r}."
                )
            owner[position] = name
    left = [label(c) for c in range(n_features) if c not in owner]
    if left:
        raise ValueError(
            f"{len(left)} of the {n_features} columns of X are in no modality: "
            f"{_shorten(left)}."
        )


def _shorten(items, most=5):
    shown = ", ".join(repr(i if isinstance(i, int) else str(i)) for i in items[:most])
    return shown + (", ..." if len(items) > most else "")
