"""Tables that are read in pieces: arrays on disk, Parquet files, Dask collections.

A source has the shape of X, and yields its samples in arrays that fit in memory. Sums
over its pieces are all that an exact fit needs.
"""

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from pathlib import Path

import numpy as np
from sklearn import get_config

from skmissing._callbacks import NO_TASK
from skmissing._compat import import_optional

# A piece has this share of scikit-learn's `working_memory`, because its scaled copy,
# the next piece and what is computed from them need memory, too.
PIECE_SHARE = 16
# Number of samples of a source on which initial values and sizes are chosen.
N_SAMPLED = 10_000
# How many partial sums are added in one task.
FAN_IN = 8


def is_source(X):
    """Whether X is to be read in pieces instead of as one array."""
    if type(X) is np.ndarray:
        return False
    if isinstance(X, np.memmap):
        return X.ndim == 2 and X.nbytes > working_memory()
    if isinstance(X, (str, os.PathLike, RowSource)):
        return True
    kind = f"{_package(X)}.{type(X).__name__}"
    return is_dask(X) or kind in (
        "zarr.Array", "h5py.Dataset", "pyarrow.FileSystemDataset"
    )  # fmt: skip


def is_dask(X):
    """Whether X is a collection of Dask."""
    return _package(X) in ("dask", "dask_expr")


def _package(X):
    return type(X).__module__.partition(".")[0]


def working_memory():
    """Memory that temporary arrays may take by scikit-learn's settings, in bytes."""
    return get_config()["working_memory"] * 2**20


class Piece:
    """Samples of a source in memory, with the names of their columns."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns
        self.shape = values.shape

    def __len__(self):
        return len(self.values)


class RowSource:
    """A table that is read in pieces.

    Made by :func:`skmissing.compose.scan_table`. It is given as X to the estimators,
    which read it once per pass.

    Attributes
    ----------
    shape : tuple of int
        Numbers of samples and of columns.
    dtype : dtype
        float32 or float64.
    columns : list of str or None
        Names of the columns.
    """

    # `parts` are functions that yield arrays; or, if `lazy`, objects of Dask that
    # become arrays or data frames. `lengths` are their numbers of samples.
    def __init__(self, parts, lengths, n_columns, *, dtype, columns=None, lazy=False):
        self.parts, self.lengths, self.lazy = parts, lengths, lazy
        self.shape = int(np.sum(lengths)), n_columns
        self.dtype = np.dtype(dtype)
        self.columns = columns

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"RowSource(shape={self.shape}, dtype={self.dtype})"

    @property
    def piece_rows(self):
        """Number of samples of a piece."""
        return piece_rows(self.shape[1], self.dtype)

    def iter_chunks(self, rng=None):
        """Yield the rows of each piece, a slice, and its values.

        They come in order, or the parts in an order that is drawn by `rng`.
        """
        places = np.arange(len(self.parts))
        if rng is not None:
            rng.shuffle(places)
        # Settings of scikit-learn are those of this thread, not of the one that reads.
        return _ahead(self._read(places, self.piece_rows))

    def _read(self, places, n_rows):
        starts = np.cumsum(self.lengths) - self.lengths
        for place in places:
            part = self.parts[place]
            part = part.compute() if self.lazy else part
            yield from split_part(part, n_rows, self.dtype, self.columns, starts[place])

    @property
    def n_parts(self):
        """Number of parts of a task that `map_reduce` reports."""
        return 0 if self.lazy else len(self.lengths)

    def map_reduce(self, function, *per_sample, task=NO_TASK):
        """Add up `function(X, *values)` over all pieces.

        Each of `per_sample` is None or an array, and the function is given the values
        of the samples of its piece. It returns numbers, arrays, lists, or tuples of
        these. Lists are joined. Sums are added in a fixed order. Each part that is read
        in this process is a part of `task`.
        """
        if self.lazy and self.parts:
            return self._map_reduce_dask(function, per_sample)
        chunks = self.iter_chunks()
        chunks = self._reported(chunks, task) if task else chunks
        return _total(function, chunks, per_sample)

    def _reported(self, chunks, task):
        """Yield the pieces. Each part of this source is a part of `task`."""
        stops, part = set(np.cumsum(self.lengths)), None
        for rows, X in chunks:
            part = part or task.part("part")
            yield rows, X
            if rows.stop in stops:
                part.end()
                part = None

    def _map_reduce_dask(self, function, per_sample):
        """The same, where each part is a task and only sums leave its worker."""
        dask = import_optional("dask", "large")
        shared = dask.delayed((function, self.piece_rows, self.dtype, self.columns))
        stops = np.cumsum(self.lengths)
        work = dask.delayed(_reduce_part, pure=False)
        sums = [
            work(part, shared, [None if v is None else v[a:b] for v in per_sample])
            for part, a, b in zip(self.parts, stops - self.lengths, stops)
        ]
        join = dask.delayed(_add_all, pure=False)
        while len(sums) > 1:
            sums = [join(sums[i : i + FAN_IN]) for i in range(0, len(sums), FAN_IN)]
        return sums[0].compute()

    def take(self, positions):
        """Read some samples, by their positions, as one array."""
        read = self[positions].map_reduce(_listed)
        return np.concatenate(read or [np.empty((0, self.shape[1]), self.dtype)])

    def __getitem__(self, rows):
        """Source of some samples: a slice, a mask or positions, in their order.

        Only the parts that have these samples are read. They are read once if the
        positions ascend, otherwise once per piece.
        """
        positions = self._positions(rows)
        if (np.diff(positions) > 0).all():
            return self._ascending(positions)
        parts, lengths = [], []
        for start in range(0, len(positions), self.piece_rows):
            wanted = positions[start : start + self.piece_rows]
            unique, order = np.unique(wanted, return_inverse=True)
            picked = self._ascending(unique)
            part = partial(_gathered, picked, order)
            if self.lazy:
                dask = import_optional("dask", "large")
                join = dask.delayed(_joined, pure=False)
                part = join(picked.parts, self.columns, order)
            parts.append(part)
            lengths.append(len(wanted))
        return self._like(parts, lengths)

    def _positions(self, rows):
        """Positions of samples from a slice, a mask or positions."""
        if isinstance(rows, tuple) and rows[1:] in ((...,), (slice(None),)):
            rows = rows[0]  # scikit-learn asks for X[rows, ...]
        if isinstance(rows, slice):
            return np.arange(len(self))[rows]
        picked = np.asarray(rows)
        if picked.ndim == 1 and not picked.size:
            picked = picked.astype(np.intp)
        if picked.ndim != 1 or picked.dtype.kind not in "biu":
            raise TypeError(
                "The rows of a source must be a slice, a mask or an array of "
                f"positions; got {rows!r}."
            )
        return np.arange(len(self))[picked]

    def _ascending(self, positions):
        """Source of samples by ascending positions."""
        stops = np.cumsum(self.lengths)
        cuts = np.searchsorted(positions, stops)
        parts, lengths = [], []
        for part, n, stop, a, b in zip(
            self.parts, self.lengths, stops, [0, *cuts[:-1]], cuts
        ):
            if b > a:
                whole = b - a == n
                own = positions[a:b] - (stop - n)
                parts.append(part if whole else self._picked(part, own))
                lengths.append(int(b - a))
        return self._like(parts, lengths)

    def _picked(self, part, positions):
        """Part with some of its samples."""
        if not self.lazy:
            return partial(_pick, part, positions)
        dask = import_optional("dask", "large")
        return dask.delayed(_joined, pure=False)([part], self.columns, positions)

    def kept(self):
        """The same source, which keeps what it reads if it takes little memory."""
        # Half, because a sample of it and some pieces need memory, too.
        size = len(self) * self.shape[1] * self.dtype.itemsize
        if self.lazy or not self.parts or size > working_memory() / 2:
            return self
        parts = [_KeptPart(part, self.dtype) for part in self.parts]
        return self._like(parts, self.lengths)

    def _like(self, parts, lengths):
        """Source of other samples with the same columns."""
        return RowSource(
            parts, lengths, self.shape[1],
            dtype=self.dtype, columns=self.columns, lazy=self.lazy,
        )  # fmt: skip

    def __array__(self, dtype=None, copy=None):
        size = len(self) * self.shape[1] * self.dtype.itemsize
        if size > working_memory():
            raise ValueError(
                f"X must fit in working_memory to be read as one array; got {size} "
                "bytes. Raise working_memory with sklearn.set_config, or use "
                "estimators that read pieces."
            )
        return self.take(slice(None)).astype(dtype or self.dtype, copy=False)


class _KeptPart:
    """A part that is read once. Another process reads it again."""

    def __init__(self, part, dtype):
        self._part, self._dtype, self._arrays = part, dtype, None

    def __call__(self):
        if self._arrays is None:
            kept = [np.ascontiguousarray(X, dtype=self._dtype) for X in self._part()]
            self._arrays = kept
        return self._arrays

    def __reduce__(self):
        return _KeptPart, (self._part, self._dtype)


def _listed(X):
    return [X]


def _pick(part, positions):
    """Yield some rows of the arrays of a part, by ascending positions."""
    start = 0
    for X in part():
        a, b = np.searchsorted(positions, [start, start + len(X)])
        if b > a:
            yield X[positions[a:b] - start]
        start += len(X)


def _gathered(picked, order):
    """Yield the rows of a source, which are read as one array, in another order."""
    yield picked.take(slice(None))[order]


def _joined(parts, columns, rows):
    """Some rows of several partitions, by their positions."""
    return np.concatenate([_as_array(part, columns) for part in parts])[rows]


def piece_rows(n_columns, dtype):
    """Number of samples that a piece of this many columns may have."""
    row = max(1, n_columns) * np.dtype(dtype).itemsize
    return max(1, int(working_memory() / PIECE_SHARE // row))


def _as_array(part, columns):
    """Values of a partition, an array or a data frame."""
    if columns is not None and hasattr(part, "columns"):
        part = part[list(columns)]
        return part.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(part)


def _ahead(arrays):
    """Yield from an iterator, whose next item is read while one is worked on."""
    done = object()
    with ThreadPoolExecutor(1, thread_name_prefix="skmissing-read") as reader:
        coming = reader.submit(next, arrays, done)
        while (item := coming.result()) is not done:
            coming = reader.submit(next, arrays, done)
            yield item


def _reduce_part(part, shared, values):
    """What a function returns for the pieces of one partition, added up."""
    function, *how = shared
    return _total(function, split_part(part, *how), values)


def split_part(part, n_rows, dtype, columns, start=0):
    """Yield the rows of a part, which begin at `start`, and their values in pieces."""
    arrays = part() if callable(part) else [_as_array(part, columns)]
    for X in arrays:
        for first in range(0, len(X), n_rows):
            piece = np.ascontiguousarray(X[first : first + n_rows], dtype=dtype)
            yield slice(start, start + len(piece)), piece
            start += len(piece)


def _total(function, chunks, per_sample):
    """Add up `function(X, *values)` over rows and values of pieces."""
    total = None
    for rows, X in chunks:
        values = (None if v is None else v[rows] for v in per_sample)
        total = add(total, function(X, *values))
    return total


def _add_all(sums):
    return reduce(add, sums, None)


def add(total, part):
    """Sum of numbers, arrays, lists that are joined, or tuples of these."""
    if total is None or part is None:
        return part if total is None else total
    if isinstance(total, tuple):
        return tuple(add(a, b) for a, b in zip(total, part))
    return total + part


class KeyedSums(dict):
    """Sums by key, such as a pattern, which are added up over pieces."""

    def __add__(self, other):
        keys = {**self, **other}
        return KeyedSums({key: add(self.get(key), other.get(key)) for key in keys})


# ------------------------------------------------------------------- kinds of sources


def as_source(X, columns=None):
    """Source of a path, a data set, an array on disk or a collection of Dask."""
    if isinstance(X, RowSource):
        return X
    if isinstance(X, (str, os.PathLike)):
        return _of_path(Path(X), columns)
    if is_dask(X):
        return _of_dask(X, columns)
    if _package(X) == "pyarrow":
        return _of_dataset(X, columns)
    if not hasattr(X, "shape") or len(X.shape) != 2:
        raise ValueError(
            "X must have two dimensions, samples and columns; got the shape "
            f"{getattr(X, 'shape', None)}."
        )
    if columns is not None:
        raise ValueError(
            f"columns must be None for an array without names; got {columns!r}."
        )
    return _of_array(X)


def _of_array(X):
    """Source of an array that can be sliced by rows, in memory or on disk."""
    n_rows, n_columns = X.shape
    dtype = _float_dtype([X.dtype], "X")
    step = piece_rows(n_columns, dtype)
    # Whole chunks of an array on disk are read together.
    chunk = (getattr(X, "chunks", None) or (1,))[0]
    step = max(step // chunk * chunk, min(chunk, n_rows), 1)
    starts = range(0, n_rows, step)
    parts = [partial(_read_rows, X, a, min(a + step, n_rows)) for a in starts]
    lengths = [min(a + step, n_rows) - a for a in starts]
    return RowSource(parts, lengths, n_columns, dtype=dtype)


def _read_rows(X, start, stop):
    # A copy: reading pages of a memory map would otherwise be left to the kernels.
    piece = np.array(X[start:stop])
    release(X)
    yield piece


def release(X):
    """Give the pages of a memory map back, because they count as memory."""
    pages = getattr(X, "_mmap", None)
    # Pages of mode "c" hold what was written.
    if pages is not None and X.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _float_dtype(dtypes, name):
    """float32 if all dtypes fit in it, otherwise float64; TypeError if not numbers."""
    for dtype in dtypes:
        if dtype.kind not in "fiub":
            raise TypeError(f"{name} must be numbers; got dtype {dtype}.")
    small = all(d.kind == "f" and d.itemsize <= 4 for d in dtypes)
    return np.dtype(np.float32 if small else np.float64)


def _of_path(path, columns):
    """Source of a Parquet file, or of a folder of them."""
    if not path.exists():
        raise FileNotFoundError(f"X must be a table or an existing path; got {path}.")
    if path.suffix in (".zarr", ".h5", ".hdf5", ".npy", ".npz", ".csv"):
        raise ValueError(
            f"X must be the path of a Parquet file or folder; got {path.name!r}. Open "
            "other files first, and pass the array: numpy.load(path, mmap_mode='r'), "
            "zarr.open(path), or h5py.File(path)['name']."
        )
    open_dataset = import_optional("pyarrow.dataset", "large").dataset
    try:
        dataset = open_dataset(path, format="parquet")
    except ValueError as error:
        raise ValueError(
            f"X must be the path of a Parquet file or folder; got {path}: {error}"
        ) from error
    return _of_dataset(dataset, columns)


def _of_dataset(dataset, columns):
    """Source of a data set of pyarrow: a part per row group."""
    if getattr(dataset.format, "default_extname", "") != "parquet":
        raise ValueError(
            f"X must be a data set of Parquet files; got {dataset.format}."
        )
    fields = _choose_fields(dataset.schema, columns)
    names, widths = [], []
    fragments = [g for f in dataset.get_fragments() for g in f.split_by_row_group()]
    for field in fields:
        width = _list_width(field, fragments)
        widths.append(width)
        names += [f"{field.name}__{c}" for c in range(width)] if width else [field.name]
    dtype = _float_dtype([_numpy_dtype(field) for field in fields], "X")
    chosen = [field.name for field in fields]
    n_rows = piece_rows(len(names), dtype)
    parts = [partial(_read_group, g, chosen, widths, dtype, n_rows) for g in fragments]
    lengths = [g.row_groups[0].num_rows for g in fragments]
    return RowSource(parts, lengths, len(names), dtype=dtype, columns=names)


def _choose_fields(schema, columns):
    """Fields of a schema by names or prefixes; by default those that look like X."""
    by_name = {field.name: field for field in schema}
    if columns is not None:
        chosen = []
        for name in columns:
            found = [f for n, f in by_name.items() if n.startswith(f"{name}__")]
            if name not in by_name and not found:
                raise ValueError(
                    "columns must be names or prefixes of columns, such as "
                    f"{list(by_name)[0]!r}; got {name!r}."
                )
            chosen += [by_name[name]] if name in by_name else found
        return chosen
    # Embeddings are lists or have a prefix; other columns are keys and labels.
    own = [f for n, f in by_name.items() if "__" in n.strip("_") or _is_list(f.type)]
    return own or list(by_name.values())


def _is_list(kind):
    return "list" in str(kind).partition("<")[0]


def _numpy_dtype(field):
    kind = field.type.value_type if _is_list(field.type) else field.type
    try:
        return np.dtype(kind.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        dtype = kind
    raise TypeError(
        f"X must be numbers; column {field.name!r} is of type {dtype}. Choose columns "
        "with skmissing.compose.scan_table(path, columns=...)."
    )


def _list_width(field, fragments):
    """Number of values in each list of a column, 0 if its cells are numbers."""
    if not _is_list(field.type):
        return 0
    if getattr(field.type, "list_size", -1) > 0:
        return field.type.list_size
    for fragment in fragments:
        for batch in fragment.to_batches(columns=[field.name], batch_size=1024):
            lists = batch.column(0).drop_null()
            if len(lists):
                return len(lists[0])
    raise ValueError(f"Column {field.name!r} of X has no list that is not null.")


def _read_group(fragment, names, widths, dtype, n_rows):
    """Yield the values of a row group in pieces."""
    for batch in fragment.to_batches(columns=names, batch_size=n_rows):
        X = np.empty((batch.num_rows, sum(max(w, 1) for w in widths)), dtype=dtype)
        start = 0
        for name, width in zip(names, widths):
            cells = X[:, start : start + max(width, 1)]
            _fill(cells, batch.column(name), width, name)
            start += max(width, 1)
        yield X


def _fill(out, column, width, name):
    """Write a column of numbers, or of lists of numbers, with NaN for null."""
    if not width:
        out[:, 0] = column.to_numpy(zero_copy_only=False)
        return
    known = ~np.asarray(column.is_null())
    lists = column.drop_null()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    lengths = getattr(lists, "value_lengths", lambda: [])()
    if len(values) != len(lists) * width or set(np.asarray(lengths)) - {width}:
        raise ValueError(f"Column {name!r} of X must have lists of {width} numbers.")
    out[known] = values.reshape(-1, width)
    out[~known] = np.nan


def _of_dask(X, columns):
    """Source of an array or a data frame of Dask, whose partitions stay in place."""
    dask = import_optional("dask", "large")
    names = None
    if hasattr(X, "columns"):
        names = list(map(str, X.columns if columns is None else columns))
        dtype = _float_dtype([_column_dtype(X, name) for name in names], "X")
        parts = X.to_delayed()
    else:
        if X.ndim != 2:
            raise ValueError(
                "X must have two dimensions, samples and columns; got the shape "
                f"{X.shape}."
            )
        if X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
        dtype, parts = _float_dtype([X.dtype], "X"), X.to_delayed().ravel().tolist()
    lengths = [] if names is not None else X.chunks[0]
    if not len(lengths) or np.isnan(lengths).any():
        lengths = dask.compute(*(dask.delayed(len)(part) for part in parts))
    n_columns = X.shape[1] if names is None else len(names)
    lengths = [int(n) for n in lengths]
    return RowSource(parts, lengths, n_columns, dtype=dtype, columns=names, lazy=True)


def _column_dtype(X, name):
    dtype = X.dtypes[name]
    return getattr(dtype, "numpy_dtype", None) or np.dtype(dtype)


def scan_table(X, columns=None):
    """Open a table that is read in pieces, because it may be larger than memory.

    The estimators accept such a table as X. `fit` reads it once per iteration.
    Methods such as `predict` read it once. Paths, arrays on disk and collections of
    Dask can also be given as X directly. Use this function to choose columns.

    Parameters
    ----------
    X : str, path, or object with rows on disk
        Path of a Parquet file or of a folder of them, `pyarrow.dataset.Dataset`,
        `numpy.memmap`, `zarr.Array`, `h5py.Dataset`, or an array or data frame of
        Dask.
    columns : list of str, default=None
        Names of columns, or prefixes such as "text" for ``text__0`` and others. A
        column of lists counts as one column per place in the lists. If None, these
        are the columns of a Parquet file that are lists or have a prefix, or all
        columns if there are none.

    Returns
    -------
    source : RowSource
        With the attributes `shape`, `dtype` and `columns`.

    Raises
    ------
    FileNotFoundError
        If there is no file at the path.
    TypeError
        If a column does not consist of numbers.

    Notes
    -----
    A piece takes a sixteenth of the `working_memory` of :func:`sklearn.set_config`. The
    default is 1 GiB. An array of `numpy.memmap` that is smaller than this memory is
    read as a whole.

    ``source[rows]`` with a slice, a mask or positions is again a table that is read in
    pieces. Therefore, :func:`sklearn.model_selection.cross_val_score` and
    :class:`sklearn.model_selection.GridSearchCV` accept `source` as X. If positions do
    not ascend, as after shuffling, the table is read once per piece.

    Examples
    --------
    >>> from tempfile import TemporaryFile
    >>> import numpy as np
    >>> from skmissing.compose import scan_table
    >>> with TemporaryFile() as file:
    ...     X = np.memmap(file, dtype=np.float32, mode="w+", shape=(100, 8))
    ...     scan_table(X)
    RowSource(shape=(100, 8), dtype=float32)
    """
    if not isinstance(X, RowSource) and type(X) is np.ndarray:
        raise TypeError(
            "X must be a path, an array on disk or a collection of Dask; got an array "
            "in memory, which the estimators accept as it is."
        )
    return as_source(X, columns)
