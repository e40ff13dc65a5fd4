"""Joins of one table per modality into one table X, and splits."""

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Number

import narwhals.stable.v2 as nw
import numpy as np

from skmissing._modalities import _shorten, count, resolve_modalities, warn
from skmissing._table import fill_masked, flat_names

HOW = ("outer", "inner", "left", "position")
# Columns that are added for joins, and dropped afterwards.
ROW, ORDER = "\x00row", "\x00order"


@dataclass(frozen=True, repr=False)
class TableReport:
    """Summary of a join by :func:`from_tables`.

    Parameters
    ----------
    index : list
        Key of each sample of X, in its order.
    n_samples : dict of str to int
        Number of samples of X per table.
    n_features : dict of str to int
        Number of columns per table.
    patterns : dict of tuple of str to int
        Number of samples per combination of tables, the most frequent first.
    dropped : dict of str to int
        Number of keys that were left out, by reason.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.compose import from_tables
    >>> text = pd.DataFrame({"words": [3, 5]}, index=["a", "b"])
    >>> sound = pd.DataFrame({"pitch": [7.0]}, index=["b"])
    >>> from_tables({"text": text, "sound": sound}, report=True)[1]
    TableReport of 2 samples
      text               2 samples  1 column
      sound              1 sample   1 column
      only text          1 sample
      only text + sound  1 sample
    """

    index: list
    n_samples: dict
    n_features: dict
    patterns: dict
    dropped: dict

    def _rows(self):
        for name, n in self.n_samples.items():
            yield name, count(n, "sample"), count(self.n_features[name], "column")
        for pattern, n in list(self.patterns.items())[:8]:
            yield f"only {' + '.join(pattern)}", count(n, "sample"), ""
        for reason, n in self.dropped.items():
            yield reason, f"{n} left out", ""

    def __repr__(self):
        rows = list(self._rows())
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        lines = [
            f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows
        ]
        return "\n".join([f"TableReport of {count(len(self.index), 'sample')}", *lines])

    def _repr_html_(self):
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>"
            for row in self._rows()
        )
        head = f"TableReport of {count(len(self.index), 'sample')}"
        return f"<table><caption>{head}</caption>{cells}</table>"


def from_tables(tables, *, on=None, how="outer", y=None, report=False):
    """Join one table per modality into one table X.

    If a sample is not in a table, its columns of this table are missing. Samples are
    aligned by a key. They are aligned by position only with `how="position"`.

    Parameters
    ----------
    tables : dict of str to data frame
        One data frame of pandas, polars or pyarrow per modality, all of the same
        library.
    on : str, list of str, dict or None, default=None
        Columns of the key in all tables. A dict has the columns of each table. None
        uses the index of pandas data frames, which must not be the default index.
    how : {"outer", "inner", "left", "position"}, default="outer"
        Which samples X has: samples of any table ("outer"), of all tables ("inner") or
        of the first table ("left"). "position" joins row i of all tables, which must
        have equal lengths.
    y : str, data frame, Series or None, default=None
        The target. A string is a column of one table. A data frame has the key and one
        other column. The index of a Series is the key. With `how="position"`, y may be
        any array. Samples without a target are left out.
    report : bool, default=False
        Whether to also return a :class:`TableReport`.

    Returns
    -------
    X : data frame
        Columns are named `modality__feature`, in the order of the tables, without the
        key. Samples are in the order in which their keys appear. The index of pandas
        data frames is the key. Boolean columns become numbers, because cells may be
        missing.
    y : Series
        The target of the samples of X, if `y` is given.
    report : TableReport
        Summary of the join, if `report` is true.

    Raises
    ------
    ValueError
        If a key occurs twice in a table or is missing, if a table has no such column or
        only the default index, or if no sample is left.
    TypeError
        If tables are not data frames, or keys are not of one type.

    Warns
    -----
    ModalityWarning
        If no key of a table is in another table, or if samples without a target are
        left out.

    See Also
    --------
    split_tables : Splits X into one table per modality.
    align : Gives a new table the columns that a fitted estimator expects.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.compose import from_tables
    >>> blood = pd.DataFrame({"id": ["a", "b"], "iron": [1.0, 2.0], "sick": [0, 1]})
    >>> scan = pd.DataFrame({"id": ["b", "c"], "area": [5.0, 7.0]})
    >>> from_tables({"blood": blood, "scan": scan}, on="id")
        blood__iron  blood__sick  scan__area
    id
    a           1.0          0.0         NaN
    b           2.0          1.0         5.0
    c           NaN          NaN         7.0
    >>> tables = {"blood": blood, "scan": scan}
    >>> X, y = from_tables(tables, on="id", how="left", y="sick")
    >>> y.tolist()
    [0, 1]
    """
    check_names(tables, on, how)
    frames = {
        name: read_frame(table, f"tables[{name!r}]", name, on, how)
        for name, table in tables.items()
    }
    first, dropped = next(iter(frames.values())), {}
    target = None if y is None else find_target(y, frames, on, how)
    kinds = {name: frame.kind for name, frame in frames.items()}
    kinds |= {} if target is None else {"y": target.kind}
    if len(set(kinds.values())) > 1:
        raise TypeError(f"tables and y must be of one library; got {kinds}.")
    check_keys(frames, target, how)
    keys = choose_keys(frames, how)
    if target is not None:
        keys, dropped = with_target(keys, target)
    if not keys:
        raise ValueError(
            "No sample is left, because the tables (and y, if given) share no key."
        )
    parts = [frame.take(keys, f"{name}__") for name, frame in frames.items()]
    X = nw.concat(parts, how="horizontal").to_native()
    result = [first.with_index(X, keys)]
    if target is not None:
        column = target.take(keys, "")
        result.append(first.with_index(column[column.columns[0]].to_native(), keys))
    if report:
        patterns = Counter(
            tuple(name for name, frame in frames.items() if key in frame.rows)
            for key in keys
        )
        result.append(
            TableReport(
                keys,
                {n: sum(k in f.rows for k in keys) for n, f in frames.items()},
                {n: len(f.names) for n, f in frames.items()},
                dict(patterns.most_common()),
                dropped,
            )
        )
    return result[0] if len(result) == 1 else tuple(result)


def check_names(tables, on, how):
    """Check types and values of arguments, and names of tables."""
    if how not in HOW:
        raise ValueError(f"how must be one of {', '.join(HOW)}; got {how!r}.")
    if not isinstance(tables, Mapping) or not tables:
        found = repr(tables) if isinstance(tables, Mapping) else type(tables).__name__
        raise TypeError(
            "tables must be a dict from the names of modalities to data frames; got "
            f"{found}."
        )
    for name in tables:
        # "a_" would be the same modality as "a", because names end at the first "__".
        if not isinstance(name, str) or not name or "__" in name or name[-1] == "_":
            raise ValueError(
                "tables: names of modalities must be strings without '__', and must "
                f"not end with '_'; got {name!r}."
            )
    for key in on.values() if isinstance(on, Mapping) else [on]:
        names = key if isinstance(key, (list, tuple)) and key else [key]
        if key is not None and not all(isinstance(name, str) for name in names):
            raise TypeError(
                "on must be the name of a column, a list of names, a dict with the "
                f"names of each table, or None; got {on!r}."
            )
    if isinstance(on, Mapping) and set(on) - set(tables):
        raise ValueError(
            f"on must name tables ({_shorten(list(tables))}); got "
            f"{_shorten(sorted(set(on) - set(tables)))}."
        )


def find_target(y, frames, on, how):
    """Return the target with its keys. A column of a table is removed there."""
    if not isinstance(y, str):
        return read_target(y, next(iter(frames.values())), on, how)
    having = [name for name, frame in frames.items() if y in frame.names]
    if len(having) != 1:
        raise ValueError(
            f"y={y!r} must be a column of one table; got {len(having)} tables "
            f"with it{': ' + ', '.join(having) if having else ''}."
        )
    return frames[having[0]].pop(y)


def with_target(keys, target):
    """Return the keys of samples with a target, and numbers of other keys by reason."""
    labelled, known = target.labelled(), set(keys)
    dropped = {
        "sample without y": sum(key not in labelled for key in keys),
        "value of y without a sample": sum(key not in known for key in labelled),
    }
    dropped = {reason: n for reason, n in dropped.items() if n}
    for reason, n in dropped.items():
        noun, rest = reason.split(" ", 1)
        are = "is" if n == 1 else "are"
        warn(f"from_tables: {count(n, noun)} {rest} {are} left out.")
    return [key for key in keys if key in labelled], dropped


class Keyed:
    """A data frame without its key, and the row of each key."""

    def __init__(self, frame, keys, where, key_names):
        self.frame, self.keys, self.where = frame, keys, where
        self.key_names = key_names
        self.rows = {key: i for i, key in enumerate(keys)}

    @property
    def kind(self):
        return self.frame.implementation.value

    @property
    def names(self):
        return self.frame.columns

    def pop(self, name):
        """Remove a column, and return it as the target."""
        target = Keyed(self.frame.select(name), self.keys, "y", self.key_names)
        self.frame = self.frame.drop(name)
        return target

    def labelled(self):
        """Return the keys that have a target."""
        null = null_cells(self.frame[self.names[0]])
        return {key: None for key, is_null in zip(self.keys, null) if not is_null}

    def take(self, keys, prefix):
        """Return rows by key, with nulls for keys that are not in the table."""
        frame = self.frame.with_row_index(ROW)
        frame = frame.with_columns(nw.col(ROW).cast(nw.Int64))
        rows = [self.rows.get(key, -1) for key in keys]
        wanted = nw.from_dict(
            {ROW: rows, ORDER: range(len(rows))},
            schema={ROW: nw.Int64, ORDER: nw.Int64},
            backend=self.frame.implementation,
        )
        if -1 in rows:
            frame = wanted.join(frame, on=ROW, how="left").sort(ORDER)
        else:
            frame = frame[rows]
        frame = frame.select(self.names)
        # Earlier narwhals would align the tables by the index of pandas.
        frame = nw.maybe_reset_index(frame)
        return frame.rename({name: prefix + name for name in self.names})

    def with_index(self, native, keys):
        """Set the keys as the index of a pandas object."""
        if self.kind != "pandas":
            return native
        pd = nw.get_native_namespace(self.frame)
        if self.key_names is None:  # by position
            return native.reset_index(drop=True)
        if len(self.key_names) > 1:
            native.index = pd.MultiIndex.from_tuples(keys, names=self.key_names)
        else:
            native.index = pd.Index(keys, name=self.key_names[0])
        return native


def as_narwhals(table, where):
    """Convert a data frame of any library to a narwhals data frame."""
    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise TypeError(
            f"{where} must be a data frame of pandas, polars or pyarrow; got "
            f"{type(table).__name__}."
        )
    return frame


def is_pandas(table):
    """Whether a table is a data frame of pandas."""
    return nw.dependencies.is_pandas_dataframe(table)


def read_frame(table, where, name, on, how):
    """Read a table: its columns, as numbers where possible, and its keys."""
    if is_pandas(table):
        table = table.set_axis([str(c) for c in table.columns], axis=1)
        doubled = [c for c, n in Counter(table.columns).items() if n > 1]
        if doubled:
            raise ValueError(
                f"{where} must have unique columns; got {_shorten(doubled)} more than "
                "once."
            )
    frame = as_narwhals(table, where)
    if how == "position":
        if on is not None:
            raise ValueError(f"on must be None with how='position'; got {on!r}.")
        keys, names = list(range(len(frame))), None
    else:
        if isinstance(on, Mapping) and name not in on:
            raise ValueError(f"on must have the key of each table; got none of {name}.")
        chosen = on[name] if isinstance(on, Mapping) else on
        if chosen is None:
            keys, names = read_index(table, where)
        else:
            names = [chosen] if isinstance(chosen, str) else list(chosen)
            absent = [c for c in names if c not in frame.columns]
            if absent:
                raise ValueError(
                    f"{where} must have the key {_shorten(absent)}; its columns are "
                    f"{_shorten(list(frame.columns))}."
                )
            columns = [frame[c].to_list() for c in names]
            keys = columns[0] if len(names) == 1 else list(zip(*columns))
            frame = frame.drop(names)
    if not frame.columns:
        raise ValueError(f"{where} must have a column besides its key; got none.")
    booleans = [c for c, dtype in frame.schema.items() if dtype == nw.Boolean]
    if booleans:
        frame = frame.with_columns(nw.col(*booleans).cast(nw.Float64))
    return Keyed(frame, keys, where, names)


def read_index(table, where):
    """Keys and their names from the index of a pandas data frame."""
    if not is_pandas(table):
        raise ValueError(
            f"{where} has no index; pass the columns of the key as on=, or "
            "how='position'."
        )
    index = table.index
    if type(index).__name__ == "RangeIndex" and index.name is None:
        raise ValueError(
            f"{where} has the default index 0, 1, ...; pass the columns of the key as "
            "on=, call set_index, or pass how='position' if row i of each table is the "
            "same sample."
        )
    return index.tolist(), list(index.names)


def read_target(y, like, on, how):
    """Read y as a table with one column."""
    if how == "position":
        values = np.asarray(y)
        if values.shape != (len(like.keys),):
            raise ValueError(
                f"y must have one value per row ({len(like.keys)}); got shape "
                f"{values.shape}."
            )
        frame = nw.from_dict({"y": values.tolist()}, backend=like.frame.implementation)
        return Keyed(frame, like.keys, "y", None)
    if nw.dependencies.is_pandas_series(y):
        y = y.to_frame("y" if y.name is None else y.name)
        on = None
    elif isinstance(on, Mapping):
        on = next(iter(on.values()))
    if not nw.dependencies.is_into_dataframe(y):
        raise TypeError(
            "y must be the name of a column, a data frame with the key, or a pandas "
            f"Series whose index is the key; got {type(y).__name__}. Use an array with "
            "how='position'."
        )
    target = read_frame(y, "y", "y", on, how)
    if len(target.names) != 1:
        raise ValueError(
            "y must have one column besides the key; got "
            f"{len(target.names)}: {_shorten(list(target.names))}."
        )
    return target


def check_keys(frames, target, how):
    """Check that keys are unique, complete and of one type, and whether they match."""
    seen = Counter(key for frame in frames.values() for key in frame.rows)
    tables, frames = frames, {**frames} if target is None else {**frames, "y": target}
    if how == "position":
        lengths = {frame.where: len(frame.keys) for frame in frames.values()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"With how='position', lengths must be equal; got {lengths}."
            )
        return
    kinds = {}
    for frame in frames.values():
        missing = sum(map(is_missing, frame.keys))
        if missing:
            raise ValueError(
                f"{frame.where} must have a key in each row; got "
                f"{count(missing, 'row')} of {len(frame.keys)} without one."
            )
        counts = Counter(frame.keys)
        doubled = [key for key, n in counts.items() if n > 1]
        if doubled:
            raise ValueError(
                f"{frame.where} must have each key once; got "
                f"{count(len(doubled), 'key')} more than once, such as {doubled[0]!r} "
                f"in {counts[doubled[0]]} rows. Add a column to the key, or aggregate "
                "these rows first."
            )
        kinds[frame.where] = " and ".join(sorted(set(map(key_kind, frame.keys))))
    named = {kind for kind in kinds.values() if kind}
    if len(named) > 1 or any(" and " in kind for kind in named):
        raise TypeError(f"Keys must be of one type in all tables; got {kinds}.")
    warn_unmatched(list(tables.values()), seen)


def warn_unmatched(tables, seen):
    """Warn about tables that share no key with another table."""
    tables = [frame for frame in tables if frame.keys]
    alone = [frame for frame in tables if all(seen[key] == 1 for key in frame.keys)]
    if len(tables) < 2 or not alone:
        return
    plain = Counter(
        key
        for frame in tables
        for key in {str(k).strip().casefold() for k in frame.keys}
    )
    for frame in alone:
        others = [key for key in seen if key not in frame.rows]
        what = (
            f"none of the {count(len(frame.keys), 'key')} of {frame.where} is in "
            f"another table; got {frame.keys[0]!r}, and {others[0]!r} in another table."
        )
        if len(alone) == len(tables):
            examples = (f"{each.keys[0]!r} in {each.where}" for each in tables)
            what = f"no key is in two tables ({', '.join(examples)})."
        if any(plain[str(key).strip().casefold()] > 1 for key in frame.keys):
            what += " Some keys are equal if blanks and case are ignored."
        warn(f"from_tables: {what}")
        if len(alone) == len(tables):
            return


def is_missing(key):
    """Whether a key, or a part of it, is None, NaN, NaT or NA."""
    if isinstance(key, tuple):
        return any(map(is_missing, key))
    equal = key == key
    return key is None or not isinstance(equal, (bool, np.bool_)) or not equal


def key_kind(key):
    """Name of the type of a key. All numbers are of one type."""
    if isinstance(key, tuple):
        return f"({', '.join(map(key_kind, key))})"
    return "number" if isinstance(key, Number) else type(key).__name__


def choose_keys(frames, how):
    """Keys of the samples of X, in order."""
    first, *others = frames.values()
    if how == "inner":
        return [key for key in first.keys if all(key in f.rows for f in others)]
    if how == "outer":
        return list(dict.fromkeys(key for f in frames.values() for key in f.keys))
    return list(first.keys)


def read_layout(X, modalities=None):
    """Read the layout of a data frame."""
    frame = as_narwhals(flat_names(X), "X")
    names = list(frame.columns)
    bare = [name for name in names if "__" not in str(name)]
    if modalities is None and bare:
        raise ValueError(
            "X must have columns named modality__feature; got "
            f"{_shorten(bare)}. Otherwise, pass modalities=."
        )
    return frame, names, resolve_modalities(modalities, len(names), names)


def split_tables(X, *, drop_missing=False):
    """Split X into one table per modality.

    Parameters
    ----------
    X : data frame of shape (n_samples, n_features)
        Samples. Columns are named `modality__feature`.
    drop_missing : bool, default=False
        Whether to leave out samples in which the modality is missing.

    Returns
    -------
    dict of str to data frame
        One table per modality, with columns named `feature`. If X is a pandas data
        frame, tables have the index of X.

    See Also
    --------
    from_tables : Joins one table per modality into one table X.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.compose import split_tables
    >>> X = pd.DataFrame({"text__0": [1.0, None], "audio__0": [3.0, 4.0]})
    >>> split_tables(X, drop_missing=True)["text"]
         0
    0  1.0
    """
    frame, names, layout = read_layout(X)
    tables = {}
    for name, modality in layout.items():
        part = frame.select([names[c] for c in modality.columns])
        if drop_missing:
            part = part.filter(observed_rows(part).tolist())
        short = {c: c[len(name) + 2 :] for c in part.columns}
        tables[name] = part.rename(short).to_native()
    return tables


def observed_rows(frame):
    """Mask of the rows with an observed cell."""
    return ~np.all([null_cells(column) for column in frame.iter_columns()], axis=0)


def null_cells(column):
    """Mask of the missing cells of a column."""
    if column.dtype.is_float():
        return np.isnan(column.to_numpy())  # null becomes NaN
    return column.is_null().to_numpy().astype(bool)


def align(X, estimator):
    """Select the columns that a fitted estimator expects, in its order.

    Modalities that are not in X are added as missing. Columns that the estimator does
    not know are left out.

    Parameters
    ----------
    X : data frame of shape (n_samples, n_columns)
        New samples.
    estimator : estimator
        Estimator that was fitted to a data frame.

    Returns
    -------
    data frame of shape (n_samples, n_features)
        Data frame with the columns `estimator.feature_names_in_`.

    Raises
    ------
    ValueError
        If the estimator was not fitted to a data frame, if X has only some columns of a
        modality, or if X has no column that the estimator knows.

    Warns
    -----
    ModalityWarning
        If columns are left out.

    See Also
    --------
    from_tables : Makes X from tables with keys.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.compose import align
    >>> from skmissing.impute import RegressionImputer
    >>> X = pd.DataFrame({"text__0": [1.0, 2, 3], "audio__0": [2.0, 4, 6]})
    >>> imputer = RegressionImputer(min_samples=2).fit(X)
    >>> align(X[["audio__0"]], imputer)
       text__0  audio__0
    0      NaN       2.0
    1      NaN       4.0
    2      NaN       6.0
    """
    expected = getattr(estimator, "feature_names_in_", None)
    if expected is None:
        raise ValueError(
            "estimator must be fitted to a data frame, which has feature_names_in_; "
            f"got {estimator!r}."
        )
    frame = as_narwhals(flat_names(X), "X")
    expected = list(map(str, expected))
    known = set(expected) & set(frame.columns)
    if not known:
        raise ValueError(
            f"X must have a column of the estimator ({_shorten(expected)}); got "
            f"{_shorten(list(frame.columns))}."
        )
    layout = getattr(estimator, "modalities_", None)
    if layout is None:
        layout = resolve_modalities(None, len(expected), expected)
    for name, modality in layout.items():
        absent = [expected[c] for c in modality.columns if expected[c] not in known]
        if 0 < len(absent) < modality.width:
            raise ValueError(
                f"X must have all columns of {name!r}, or none; got "
                f"{modality.width - len(absent)} of {modality.width}, without "
                f"{_shorten(absent)}."
            )
    unknown = [c for c in frame.columns if c not in set(expected)]
    if unknown:
        are = "is" if len(unknown) == 1 else "are"
        warn(
            f"align: {count(len(unknown), 'column')} that the estimator does not know "
            f"{are} left out: {_shorten(unknown)}."
        )
    gaps = [nw.lit(np.nan, nw.Float64).alias(c) for c in expected if c not in known]
    return frame.with_columns(*gaps).select(expected).to_native()


def mark_missing(X, codes=None, *, blocks=None, modalities=None, report=False):
    """Replace codes for missing values by NaN.

    Parameters
    ----------
    X : data frame or ndarray of shape (n_samples, n_features)
        Samples. X is not changed.
    codes : number, str, list or dict, default=None
        Codes of single missing cells, such as -9 or "". A dict has the codes of each
        modality.
    blocks : number, str, list or dict, default=None
        Codes of missing modalities: all columns of the modality have the same code,
        such as 0 for images.
    modalities : None, list of int or dict, default=None
        Which columns form a modality, as in the estimators.
    report : bool, default=False
        Whether to also return how often each code was found.

    Returns
    -------
    X : data frame or ndarray
        X with NaN or null instead of the codes.
    report : dict of str to dict
        Number of cells (of `codes`) and of samples (of `blocks`) per modality and
        code, if `report` is true.

    Raises
    ------
    ValueError
        If a dict names a modality that X does not have.

    Warns
    -----
    ModalityWarning
        If a code was not found.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.compose import mark_missing
    >>> X = pd.DataFrame({"lab__a": [1.0, -9], "scan__0": [0.0, 2], "scan__1": [0, 0]})
    >>> mark_missing(X, -9, blocks={"scan": 0}, report=True)
    (   lab__a  scan__0  scan__1
    0     1.0      NaN      NaN
    1     NaN      2.0      0.0, {'lab': {-9: 1}, 'scan': {0: 1}})
    """
    is_frame = hasattr(X, "columns")
    if is_frame:
        frame, names, layout = read_layout(X, modalities)
    else:
        X = np.array(fill_masked(X))
        if X.ndim != 2 or X.dtype.kind not in "biufO":
            raise ValueError(
                "X must be a data frame or a 2-d array of numbers; got an array of "
                f"shape {X.shape} and dtype {X.dtype}."
            )
        X = X if X.dtype == np.float32 else X.astype(float)
        layout = resolve_modalities(modalities, X.shape[1])
    cells = read_codes(codes, layout, "codes")
    whole = read_codes(blocks, layout, "blocks")
    counts, columns, found = {}, {}, set()
    for name, modality in layout.items():
        values = {c: frame[names[c]] if is_frame else X[:, c] for c in modality.columns}
        masks = {c: np.zeros(len(X), bool) for c in values}
        for code in cells[name]:
            equal = {c: equals(column, code) for c, column in values.items()}
            add(counts, found, name, code, sum(int(e.sum()) for e in equal.values()))
            masks = {c: masks[c] | equal[c] for c in masks}
        for code in whole[name]:
            rows = np.all([equals(column, code) for column in values.values()], axis=0)
            add(counts, found, name, code, int(rows.sum()))
            masks = {c: masks[c] | rows for c in masks}
        columns.update({c: mask for c, mask in masks.items() if mask.any()})
    asked = {code for by_name in (cells, whole) for v in by_name.values() for code in v}
    unseen = sorted(asked - found, key=str)
    if unseen:
        warn(f"mark_missing: codes not found in X: {_shorten(unseen)}.")
    if is_frame:
        changed = [without(frame[names[c]], mask) for c, mask in columns.items()]
        X = frame.with_columns(*changed).to_native()
    for c, mask in {} if is_frame else columns.items():
        X[mask, c] = np.nan
    return (X, counts) if report else X


def add(counts, found, name, code, n):
    """Record that a code was found n times in a modality."""
    if n:
        counts.setdefault(name, {})[code] = n
        found.add(code)


def read_codes(codes, layout, where):
    """List of codes per modality."""
    if isinstance(codes, Mapping):
        unknown = [name for name in codes if name not in layout]
        if unknown:
            raise ValueError(
                f"{where} must name modalities of X ({_shorten(list(layout))}); got "
                f"{_shorten(unknown)}."
            )
        return {name: as_list(codes.get(name)) for name in layout}
    return {name: as_list(codes) for name in layout}


def as_list(codes):
    """List of codes from a single code or any container."""
    if codes is None:
        return []
    codes = codes.tolist() if hasattr(codes, "tolist") else codes
    is_one = isinstance(codes, str) or not isinstance(codes, Iterable)
    return [codes] if is_one else list(codes)


def equals(column, code):
    """Mask of cells equal to the code; all False if the types differ."""
    is_number = isinstance(code, Number)
    if isinstance(column, np.ndarray):
        # NumPy compares in the precision of the column.
        return column == code if is_number else np.zeros(len(column), bool)
    if column.dtype != nw.Object and column.dtype.is_numeric() != is_number:
        return np.zeros(len(column), bool)
    if column.dtype == nw.Float32:
        code = float(np.float32(code))
    null, is_bool = null_cells(column), isinstance(code, bool)
    return np.array(
        [
            not is_null and value == code and isinstance(value, bool) == is_bool
            for value, is_null in zip(column.to_list(), null)
        ],
        dtype=bool,
    )


def without(column, mask):
    """Return a column with nulls where the mask is true."""
    keep = nw.new_series("keep", (~mask).tolist(), backend=column.implementation)
    frame = column.to_frame()
    if column.dtype.is_integer():
        frame = frame.with_columns(nw.col(column.name).cast(nw.Float64))
    frame = frame.with_columns(keep.alias(ROW))
    cell = nw.when(nw.col(ROW)).then(nw.col(column.name)).alias(column.name)
    return frame.select(cell)[column.name]
