"""Estimators and sources: validation, sums over pieces, and methods piece by piece."""

import copy
import functools
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from numbers import Number

import numpy as np
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns, mean_of_cells, shared_mean
from skmissing._callbacks import NO_TASK
from skmissing._compat import import_optional
from skmissing._modalities import count, warn
from skmissing._sources import (
    N_SAMPLED,
    Piece,
    RowSource,
    as_source,
    release,
    split_part,
    working_memory,
)
from skmissing._table import (
    ModalityTable,
    check_columns,
    check_sample_weight,
)

# Numbers of samples in warnings, which are added up over pieces.
N_SAMPLES = r"\b([0-9]+) of [0-9]+ samples"


@dataclass(frozen=True)
class Summary:
    """What one pass over the pieces of a source finds."""

    n_empty: int  # samples in which nothing is observed
    n_usable: int  # samples with an observed cell and a positive weight
    n_observed: np.ndarray  # (n_modalities,), samples that have the modality
    n_partial: np.ndarray  # (n_modalities,), samples that have only a part of it
    patterns: np.ndarray  # (n_patterns, n_modalities), distinct rows of `presence`
    counts: np.ndarray  # (n_patterns,), samples that have the pattern
    partial_counts: np.ndarray  # (n_patterns,), those with a partial modality
    low: np.ndarray  # (n_features,), NaN in columns without an observed cell
    high: np.ndarray  # (n_features,)
    near_mean: np.ndarray  # (n_features,), over a few samples of each piece


class SourceTable(ModalityTable):
    """A table whose samples are read in pieces, each a ModalityTable.

    Statistics are computed by `sums`. There are no arrays of all cells here.
    """

    in_pieces = True

    def __init__(self, source, layout, *, sample_weight, feature_names, owner):
        self.X, self.layout = source, layout
        self.sample_weight = sample_weight
        self.feature_names, self.owner = feature_names, owner
        self._change = None

    def __getitem__(self, rows):
        """Table of some of the samples: a slice, a mask or positions."""
        weight = self.sample_weight
        picked = SourceTable(
            self.X[rows],
            self.layout,
            sample_weight=None if weight is None else weight[rows],
            feature_names=self.feature_names,
            owner=self.owner,
        )
        picked._change = self._change
        return picked

    @cached_property
    def weight(self):
        """Weights of the samples, or ones."""
        weight = self.sample_weight
        return np.ones(len(self)) if weight is None else weight

    @cached_property
    def has_any(self):
        """Mask of the samples in which anything is observed."""
        if not self.n_empty:
            return np.ones(len(self), dtype=bool)
        return np.concatenate(self.sums(_has_any))

    def change(self, function, *args):
        """Table in which the values X of each piece are `function(X, *args)`."""
        changed = copy.copy(self)
        changed._change = functools.partial(_changed, function, args)
        return changed

    def sums(self, function, *args, per_sample=(), task=NO_TASK):
        """Add up `function(piece, *args, *values)` of all pieces, in order.

        `values` are those of `per_sample`, arrays with one value per sample.
        """
        work = functools.partial(_on_piece, function, self.layout, self._change, args)
        return self.X.map_reduce(work, self.sample_weight, *per_sample, task=task)

    def pieces(self):
        """Yield slices of rows, and their ModalityTables."""
        for rows, X in self.X.iter_chunks():
            yield rows, self._in_memory(X, rows)

    def sample(self, n_samples, rng):
        """Table in memory of samples drawn at random; of all if there are not more."""
        positions = np.arange(len(self))
        if len(self) > n_samples:
            positions = np.sort(rng.choice(len(self), n_samples, replace=False))
        return self._in_memory(self.X.take(positions), positions)

    def in_memory(self, random_state=0, what="fit needs X in memory. It is"):
        """Table in memory of the samples that fit there, and their positions."""
        positions = _fitting_rows(self.X, random_state, self.warn, what)
        return self._in_memory(self.X.take(positions), positions), positions

    def warn_codes(self):
        """Warn about values like codes for missing in the first samples."""
        few = self[: min(N_SAMPLED, self.X.piece_rows)]
        few._in_memory(few.X.take(slice(None)), slice(None)).warn_codes()

    def near_mean(self):
        """Rough means of the columns, which are subtracted to keep variances exact."""
        return shared_mean(self.summary.near_mean, self.layout)

    def _in_memory(self, X, rows):
        weight = self.sample_weight
        return ModalityTable(
            X if self._change is None else self._change(X),
            self.layout,
            sample_weight=None if weight is None else weight[rows],
            feature_names=self.feature_names,
            owner=self.owner,
        )

    @cached_property
    def summary(self):
        """The Summary of all pieces."""
        counts, n_observed, n_partial, pieces = self.sums(_describe)
        patterns, own, low, high, near = zip(*pieces)
        patterns, inverse = find_patterns(np.concatenate(patterns))
        own = [np.bincount(inverse, n).astype(int) for n in np.concatenate(own, axis=1)]
        return Summary(
            *map(int, counts),
            n_observed,
            n_partial,
            patterns,
            *own,
            np.fmin.reduce(low),
            np.fmax.reduce(high),
            mean_of_cells(np.stack(near)),
        )

    def check_finite(self):
        """Raise if a cell is infinite, as scikit-learn does."""
        found = self.summary
        infinite = np.flatnonzero(np.isinf(found.low) | np.isinf(found.high))
        if len(infinite):
            raise ValueError(
                "Input X contains infinity or a value too large for "
                f"{self.X.dtype!r}, in {count(len(infinite), 'column')}: "
                f"{self.name_columns(infinite)}."
            )

    bounds = property(lambda self: (self.summary.low, self.summary.high))
    n_parts = property(lambda self: self.X.n_parts)
    n_empty = property(lambda self: self.summary.n_empty)
    n_usable = property(lambda self: self.summary.n_usable)
    n_partial = property(lambda self: self.summary.n_partial)
    observed_columns = property(lambda self: ~np.isnan(self.summary.low))

    @property
    def pattern_counts(self):
        """Distinct rows of `presence`, and how many samples are so, and partial."""
        found = self.summary
        return found.patterns, found.counts, found.partial_counts


def _has_any(table):
    return [table.has_any]


def _changed(function, args, X):
    return function(X, *args)


def _on_piece(function, layout, change, args, X, weight, *values):
    if change is not None:
        X = change(X)
    return function(ModalityTable(X, layout, sample_weight=weight), *args, *values)


def _describe(table):
    """Sums, and a list of one for what is not added up."""
    counts = np.array([table.n_empty, table.n_usable])
    patterns, *own = table.pattern_counts
    low, high = np.fmin.reduce(table.X), np.fmax.reduce(table.X)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite cells
        near = np.where(np.isnan(low), np.nan, table.near_mean())
    found = [(patterns, np.stack(own), low, high, near)]
    return counts, table.presence.sum(axis=0), table.n_partial, found


def validate_source(estimator, X, y, *, reset, sample_weight, check_params):
    """Validate a source; return a table, and y unless it is "no_validation".

    For `fit`, it is a table in memory if the source fits there. Partitions of a Dask
    collection stay where they are.
    """
    source = as_source(X)
    has_y = not (isinstance(y, str) and y == "no_validation")
    if not len(source):
        raise ValueError(
            f"Found array with 0 sample(s) (shape={source.shape}) while a minimum of 1 "
            "is required."
        )
    if has_y:
        y = per_sample(y, source, "y")
    if sample_weight is not None:
        sample_weight = per_sample(sample_weight, source, "sample_weight")
    if reset and not source.lazy and len(source) <= _most_rows(source):
        return estimator._validate(
            Piece(source.take(slice(None)), source.columns), y,
            reset=reset, sample_weight=sample_weight, **check_params,
        )  # fmt: skip
    check_columns(estimator, source, reset)
    if reset:
        source = source.kept()
        estimator._find_modalities(estimator._warn)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, sample_weight[:, None])
    table = SourceTable(
        source,
        estimator.modalities_,
        sample_weight=sample_weight,
        feature_names=getattr(estimator, "feature_names_in_", None),
        owner=type(estimator).__name__,
    )
    if reset:
        table.check_finite()
        estimator._look_at(table)
    if not has_y:
        return table
    many = estimator._validate_target(y, **check_params)
    return table, y if many else column_or_1d(y, warn=True)


def per_sample(values, source, name):
    """Values of a target or weights in memory, one per sample of a source."""
    if hasattr(values, "compute"):
        values = values.compute()
    values = np.asarray(values)
    if values.shape[:1] != (len(source),):
        raise ValueError(
            f"{name} must have one value per sample of X ({len(source)}); got the "
            f"shape {values.shape}."
        )
    return values


def _most_rows(source):
    """Number of samples that `fit` may hold in memory."""
    row = source.shape[1] * source.dtype.itemsize
    return max(1, int(working_memory() / 4 // row))


def _fitting_rows(source, random_state, warn, what="fit needs X in memory. It is"):
    """Positions of the samples that fit in memory, drawn at random, with a warning."""
    most = _most_rows(source)
    if len(source) <= most:
        return np.arange(len(source))
    warn(
        f"{what} fitted to {most} of {len(source)} samples, drawn at random. To use "
        "more, raise working_memory with sklearn.set_config."
    )
    rng = check_random_state(random_state)
    return np.sort(rng.choice(len(source), most, replace=False))


def sample_for_fit(estimator, args, kwargs):
    """Arguments of `fit` with a sample of the source X that fits in memory."""
    args = list(args)
    source = as_source(args[0] if args else kwargs["X"])
    random_state = getattr(estimator, "random_state", 0)
    positions = _fitting_rows(source, random_state, estimator._warn)

    def picked(value, name):
        if value is None or isinstance(value, (str, Number)):
            return value
        return per_sample(value, source, name)[positions]

    piece = Piece(source.take(positions), source.columns)
    kwargs = {
        name: piece if name == "X" else picked(value, name)
        for name, value in kwargs.items()
    }
    args[1:] = [picked(value, "y") for value in args[1:]]
    args[:1] = [piece] * bool(args)
    return args, kwargs


# ----------------------------------------------------------- methods piece by piece


def map_source(method, estimator, X, args, kwargs, out=None):
    """Call a method on each piece of a source.

    The result of `transform` is a source or, with `out`, written there. Those of
    other methods are joined. Results of a Dask collection are lazy arrays of Dask.
    """
    check_is_fitted(estimator)
    source = as_source(X)
    check_columns(estimator, source, reset=False)
    work = functools.partial(_call, method, estimator, source.columns, args, kwargs)
    if out is not None:
        return _write(source, work, estimator, out)
    is_transform = method.__name__ == "transform"
    is_collection = source.lazy and not isinstance(X, RowSource)
    if not (is_collection or is_transform):
        parts = [values for _, values in _results(source, work)]
        masked = isinstance(parts[0], np.ma.MaskedArray)
        return (np.ma if masked else np).concatenate(parts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probe = work(np.zeros((1, source.shape[1]), dtype=source.dtype))
    if is_collection:
        return _lazy_array(source, work, probe)
    names = None
    if is_transform and hasattr(estimator, "get_feature_names_out"):
        names = list(map(str, estimator.get_feature_names_out()))
    return MappedSource(source, work, probe.shape[1], probe.dtype, names)


def _results(source, work):
    """Yield rows and results of all pieces; warn once of each kind."""
    gathered = PieceWarnings(len(source))
    for rows, X in source.iter_chunks():
        with gathered:
            values = work(X)
        yield rows, values
    gathered.give()


def _call(method, estimator, columns, args, kwargs, X):
    """Result of a method for the values of a piece, as an array."""
    return np.asanyarray(method(estimator, Piece(X, columns), *args, **kwargs))


def _lazy_array(source, work, probe):
    """Array of Dask, with one block per partition."""
    dask = import_optional("dask", "large")
    array = import_optional("dask.array", "large")
    shared = dask.delayed((work, source.piece_rows, source.dtype, source.columns))
    call = dask.delayed(_call_on_part, pure=False)
    blocks = [
        array.from_delayed(call(part, shared), (n, *probe.shape[1:]), probe.dtype)
        for part, n in zip(source.parts, source.lengths)
    ]
    return array.concatenate(blocks)


def _call_on_part(part, shared):
    work, *how = shared
    return np.concatenate([work(X) for _, X in split_part(part, *how)])


def _write(source, work, estimator, out):
    """Write the results of all pieces into an array or a Parquet file."""
    if isinstance(out, (str, bytes)) or hasattr(out, "__fspath__"):
        return _write_parquet(source, work, estimator, out)
    if not hasattr(out, "__setitem__") or len(getattr(out, "shape", ())) != 2:
        raise TypeError(
            "out must be the path of a Parquet file, or an array of two dimensions "
            f"such as numpy.memmap or zarr.Array; got {type(out).__name__}."
        )
    for rows, values in _results(source, work):
        if out.shape != (len(source), values.shape[1]):
            raise ValueError(
                f"out must have the shape {(len(source), values.shape[1])}; got "
                f"{tuple(out.shape)}."
            )
        out[rows] = values
        release(out)
    return out


def _write_parquet(source, work, estimator, path):
    """Write the results of all pieces into a file, a row group each."""
    pyarrow = import_optional("pyarrow", "large")
    parquet = import_optional("pyarrow.parquet", "large")
    names = list(map(str, estimator.get_feature_names_out()))
    writer = None
    try:
        for _, values in _results(source, work):
            part = pyarrow.table(dict(zip(names, values.T)))
            if writer is None:
                writer = parquet.ParquetWriter(path, part.schema)
            writer.write_table(part)
    finally:
        if writer is not None:
            writer.close()
    return as_source(path)


class MappedSource(RowSource):
    """What a method makes of the pieces of a source, computed when they are read."""

    def __init__(self, source, work, n_columns, dtype, columns):
        super().__init__([], source.lengths, n_columns, dtype=dtype, columns=columns)
        self.source, self.work = source, work
        self._warnings = PieceWarnings(len(source))

    def __getitem__(self, rows):
        """Source of some samples, by their positions."""
        source = self.source[rows]
        return MappedSource(source, self.work, self.shape[1], self.dtype, self.columns)

    def iter_chunks(self, rng=None):
        """Yield the rows of each piece, and the result for it."""
        for rows, X in self.source.iter_chunks(rng):
            with self._warnings:
                values = self.work(X)
            yield rows, values
        self._warnings.give()


class PieceWarnings:
    """Gathers the warnings of pieces, and gives each once, with sums of samples."""

    def __init__(self, n_samples):
        self.n_samples, self._texts, self._given = n_samples, {}, False

    def __enter__(self):
        self._catch = warnings.catch_warnings(record=True)
        self._caught = self._catch.__enter__()
        warnings.simplefilter("always")

    def __exit__(self, *error):
        self._catch.__exit__(*error)
        for caught in self._caught:
            text = str(caught.message)
            key = caught.category, re.sub(N_SAMPLES, "#", text)
            self._texts.setdefault(key, []).append(text)

    def give(self):
        """Warn at the line of the user; only once."""
        if self._given:
            return
        self._given = True
        for (category, _), texts in self._texts.items():
            found = [map(int, re.findall(N_SAMPLES, text)) for text in texts]
            totals = map(sum, zip(*found))
            text = re.sub(
                N_SAMPLES,
                lambda _, totals=totals: f"{next(totals)} of {self.n_samples} samples",
                texts[0],
            )
            warn(text, category)
