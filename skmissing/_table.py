"""Validation of X, and the resulting table of samples and their modalities."""

import sys
from functools import cached_property
from numbers import Number

import narwhals.stable.v2 as nw
import numpy as np
from scipy import sparse
from sklearn.utils import check_array, check_X_y
from sklearn.utils.validation import validate_data

from skmissing._blocks import find_patterns, find_presence, near_mean
from skmissing._callbacks import NO_TASK
from skmissing._compat import (
    _check_sample_weight,
    _get_feature_names,
    device_namespace,
    max_precision,
    to_numpy,
)
from skmissing._modalities import (
    ModalityWarning,
    count,
    resolve_modalities,
    warn,
)

# A value may be a code for missing if it fills a modality of at least this many columns
# in at least as many samples.
CODE_WIDTH = CODE_SAMPLES = 3
# Squares of numbers above the first overflow. Trees reject numbers above the second.
LARGEST, LARGEST_READ = 1e150, 1e38
# Checks of X by scikit-learn: cells are numbers or NaN.
NUMBERS = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}


class ModalityTable:
    """Samples, their observed modalities, and their weights.

    Validation returns a table for kernels, imputers, ensembles and networks. All
    warnings about samples, columns and modalities are in this class. They begin with
    `owner`, the name of the estimator. Missing cells of X are NaN.

    Attributes
    ----------
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
        True where at least one cell of the modality is observed.
    partial : ndarray of shape (n_samples,), dtype bool
        True where some modality is partially observed.
    has_any : ndarray of shape (n_samples,), dtype bool
        True where anything is observed.
    weight : ndarray of shape (n_samples,)
        `sample_weight`, or ones if it is None.

    Examples
    --------
    >>> from skmissing.base import validate_table
    >>> from skmissing.cluster import PartialModalityKMeans
    >>> kmeans = PartialModalityKMeans(modalities={"text": 2, "age": 1})
    >>> table = validate_table(kmeans, [[1.0, 2.0, float("nan")]], reset=True)
    >>> table.layout["text"].columns, table.has_any
    (array([0, 1]), array([ True]))
    """

    # Whether exact fits add up sums, with initial values from a sample in memory.
    in_pieces = False
    n_parts = 0  # of a task that `sums` reports
    # Whether X is an array of another package than NumPy.
    on_device = False

    def __init__(
        self,
        X,
        layout,
        *,
        sample_weight=None,
        feature_names=None,
        owner="",
        presence=None,
        partial=None,
        scan=True,
    ):
        self.X = X
        self.layout = layout
        self.sample_weight = sample_weight
        self.weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
        self.feature_names = feature_names
        self.owner = owner
        if presence is None and scan:
            presence, partial = find_presence(X, layout)
        self.presence = presence
        self.partial = partial
        self.has_any = None if presence is None else presence.any(axis=1)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, rows):
        """Table of some of the samples: a slice, a mask or positions."""
        weight = self.sample_weight
        return self._like(
            self._take(rows),
            sample_weight=None if weight is None else weight[rows],
            presence=self.presence[rows],
            partial=self.partial[rows],
        )

    def _like(self, X, **changes):
        kept = ("sample_weight", "feature_names", "owner", "presence", "partial")
        kept = {name: getattr(self, name) for name in kept}
        return type(self)(X, self.layout, **{**kept, **changes})

    def _take(self, rows):
        return self.X[rows]

    def _cells(self, columns):
        return self.X[:, columns]

    def _without(self, columns):
        X = self.X.copy()
        X[:, columns] = np.nan
        return self._like(X, presence=None, partial=None)

    @property
    def dtype(self):
        """NumPy dtype of X."""
        return self.X.dtype

    def as_given(self, array):
        """Return an array in the namespace and on the device of X."""
        return array

    # ------------------------------------------------------------------ what there is

    @cached_property
    def incomplete(self):
        """Positions of the samples with a missing cell."""
        return np.flatnonzero(~self.presence.all(axis=1) | self.partial)

    @property
    def n_empty(self):
        """Number of samples in which nothing is observed."""
        return np.count_nonzero(~self.has_any)

    @property
    def n_usable(self):
        """Number of samples with an observed cell and a positive weight."""
        return np.count_nonzero(self.has_any & (self.weight > 0))

    @property
    def n_partial(self):
        """Number of samples in which each modality is partially observed."""
        missing = np.isnan(self.X[self.partial])
        gaps = (missing[:, columns] for columns in self.layout.columns)
        return np.array([(g.any(axis=1) & ~g.all(axis=1)).sum() for g in gaps])

    def sums(self, function, *args, task=NO_TASK):
        """Return `function(table, *args)`; a SourceTable adds it up over its pieces."""
        return function(self, *args)

    @cached_property
    def patterns(self):
        """Distinct rows of `presence`, and the number of the one of each sample."""
        return find_patterns(self.presence)

    @property
    def pattern_counts(self):
        """Distinct rows of `presence`, and how many samples are so, and partial."""
        patterns, inverse = self.patterns
        partial = inverse[self.partial]
        counts = (np.bincount(i, minlength=len(patterns)) for i in (inverse, partial))
        return patterns, *counts

    @cached_property
    def observed_columns(self):
        """Mask of columns observed in any sample, shape (n_features,)."""
        whole = self.presence[~self.partial].any(axis=0)[self.layout.column_owner]
        return whole | ~np.isnan(self.X[self.partial]).all(axis=0)

    def near_mean(self):
        """Rough means of the columns, which are subtracted to keep variances exact."""
        return near_mean(self)

    def column_means(self):
        """Weighted means of observed cells, 0 if there are none, and total weights."""
        total, mass = self.sums(_column_totals)
        means = total / np.where(mass > 0, mass, 1)
        return means.astype(self.X.dtype), mass

    @property
    def bounds(self):
        """Smallest and largest observed value of each column, NaN if there is none."""
        return np.fmin.reduce(self.X, axis=0), np.fmax.reduce(self.X, axis=0)

    # ------------------------------------------------------------------ other tables

    def replace(self, X):
        """Table with other values in the observed cells, and the same missing cells."""
        return self._like(X)

    def change(self, function, *args):
        """Table in which the values X are `function(X, *args)`, with the same gaps."""
        return self._like(function(self.X, *args))

    def hide(self, hidden):
        """Table in which modalities are hidden by a mask like `presence`."""
        X = self.X.copy()
        for m in np.flatnonzero((hidden & self.presence).any(axis=0)):
            rows = np.flatnonzero(hidden[:, m])
            columns = self.layout.columns[m]
            if isinstance(columns, slice):
                X[rows, columns] = np.nan
            else:
                X[np.ix_(rows, columns)] = np.nan
        partial = self.partial.copy()
        if partial.any():
            partial[partial] = find_presence(X[partial], self.layout)[1]
        return self._like(X, presence=self.presence & ~hidden, partial=partial)

    def learnt(self, columns):
        """Table without the cells of columns that `fit` never saw, with a warning."""
        unlearnt = np.flatnonzero(~columns)
        cells = self._cells(unlearnt) if len(unlearnt) else np.empty((len(self), 0))
        if np.isnan(cells).all():
            return self
        known = self.any_column(columns)
        self.warn_unlearnt(known)
        odd = unlearnt[known[self.layout.column_owner[unlearnt]]]
        seen = ~np.isnan(cells[:, np.isin(unlearnt, odd)])
        self._warn_ignored("columns", self.name_columns(odd), seen)
        return self._without(unlearnt)

    # ----------------------------------------------------------------------- warnings

    def warn(self, message, category=ModalityWarning):
        """Warn in the name of the estimator."""
        warn(f"{self.owner}: {message}" if self.owner else message, category)

    def warn_empty(self, fate, presence=None):
        """Warn about samples in which nothing is observed. `fate` ends the sentence."""
        if presence is None:
            n_empty = self.n_empty
        else:
            n_empty = np.count_nonzero(~presence.any(axis=1))
        if n_empty:
            self.warn(
                f"{n_empty} of {len(self)} samples have no observed modality; they are "
                f"{fate}."
            )

    def warn_never_observed(self, seen, modalities, columns=None):
        """Warn about columns, or only modalities, that are never observed in `fit`."""
        # `modalities` and `columns` are ends of sentences: the consequences.
        if seen.all():
            return
        some = seen if columns is None else self.any_column(seen)
        if not some.all():
            names = [self.layout.names[m] for m in np.flatnonzero(~some)]
            self.warn(
                f"{len(names)} of {len(some)} modalities are not observed in any "
                f"sample: {name_list(names)}; {modalities}."
            )
        if columns is not None and not seen.all():
            odd = np.flatnonzero(~seen & some[self.layout.column_owner])
            if len(odd):
                self.warn(
                    f"{len(odd)} of {len(seen)} columns are not observed in any "
                    f"sample: {self.name_columns(odd)}; {columns}."
                )

    def warn_unlearnt(self, learnt):
        """Warn about modalities that `fit` did not observe; return others' presence."""
        if not learnt.all():
            ignored = self.presence & ~learnt
            names = [self.layout.names[m] for m in np.flatnonzero(ignored.any(axis=0))]
            self._warn_ignored("modalities", name_list(names), ignored)
        return self.presence & learnt

    def warn_codes(self):
        """Warn about values that fill whole modalities, like codes for missing.

        Counts or indicators may also be all 0 in a sample. However, they have single
        zeros in other samples, too.
        """
        found = []
        for m, (name, modality) in enumerate(self.layout.items()):
            if modality.width < CODE_WIDTH:
                continue
            columns, first = self.layout.columns[m], self.X[:, modality.columns[0]]
            rows = np.flatnonzero(first == self.X[:, modality.columns[1]])
            if len(rows) < CODE_SAMPLES:
                continue
            rows = rows[(self.X[rows][:, columns] == first[rows, None]).all(axis=1)]
            values, counts = np.unique(first[rows], return_counts=True)
            for value in values[counts >= CODE_SAMPLES]:
                n_filled = np.count_nonzero(first[rows] == value)
                if is_code(self.X[:, columns], value, n_filled):
                    share = f"{n_filled} of {count(len(self), 'sample')}"
                    found.append(f"{name!r} is {value:g} in {share}")
        if found:
            self.warn(
                f"whole modalities have one value: {', '.join(found[:5])}"
                f"{', ...' * (len(found) > 5)}. If it is a code for missing, replace "
                "it by NaN."
            )

    def check_enough(self, **wanted):
        """Number of usable samples. Raise ValueError if it is below a parameter."""
        ((name, value),) = wanted.items()
        n_usable = self.n_usable
        if n_usable < value:
            found = f"n_samples={len(self)}"
            if n_usable < len(self):
                weight = self.sample_weight
                positive = weight is None or np.all(weight > 0)
                weighed = "" if positive else " and a positive weight"
                found += f" ({n_usable} of them with an observed cell{weighed})"
            raise ValueError(f"{found} should be >= {name}={value}.")
        return n_usable

    def check_size(self):
        """Check that no number is too large for trees and for squares."""
        low, high = self.bounds
        largest = np.fmax(-low, high)
        huge = np.flatnonzero(largest > LARGEST_READ)
        if len(huge):
            raise ValueError(
                f"X must stay below {LARGEST_READ:g}; "
                f"{count(len(huge), 'column has', 'columns have')} larger values, "
                f"such as {largest[huge[0]]:g}: {self.name_columns(huge)}. "
                "Divide them by a constant."
            )

    def any_column(self, columns):
        """Mask of modalities with any of the chosen columns, shape (n_modalities,)."""
        owner = self.layout.column_owner
        return np.bincount(owner, columns, minlength=len(self.layout)) > 0

    @property
    def column_names(self):
        """Names of the columns, which are x0, x1, ... if X has none."""
        if self.feature_names is not None:
            return self.feature_names
        return [f"x{column}" for column in range(self.X.shape[1])]

    def name_columns(self, columns, most=5):
        """Names of the first columns in quotes, for messages."""
        names = self.column_names
        shown = name_list(names[column] for column in columns[:most])
        return shown + (", ..." if len(columns) > most else "")

    def _warn_ignored(self, what, names, cells):
        """Warn about columns or modalities that were never observed in `fit`."""
        having = int(cells.any(axis=1).sum())
        if having:
            self.warn(
                f"{what} that were not observed in fit are ignored: {names}, which "
                f"{having} of {len(self)} samples have."
            )


def numbers_of(xp, X):
    """Checks of X by scikit-learn, for an array in a namespace or for NumPy."""
    if xp is None:
        return NUMBERS
    return {**NUMBERS, "dtype": [max_precision(xp, X.device), xp.float32]}


def _column_totals(table):
    """Weighted sums of the observed cells of each column, and their weights."""
    total, mass = np.zeros((2, table.X.shape[1]))
    for m in np.flatnonzero(table.presence.any(axis=0)):
        columns, rows = table.layout.columns[m], table.presence[:, m]
        part = table.X[:, columns][rows]
        seen = ~np.isnan(part)
        mass[columns] = table.weight[rows] @ seen
        total[columns] = table.weight[rows] @ np.where(seen, part, 0)
    return total, mass


def fill_masked(X):
    """Return X with NaN in masked cells, because scikit-learn ignores the mask.

    In object columns, `pandas.NA` also becomes NaN, because NumPy rejects it. Column
    names that are tuples are joined: ("text", 0) becomes "text__0".
    """
    if not isinstance(X, np.ma.MaskedArray):
        return _fill_null(X)
    if X.dtype.kind in "biu":
        X = X.astype(np.float64)
    if np.ma.is_masked(X):
        return X.filled(np.nan)
    return X.data


def _fill_null(X):
    """Return X with NaN for `pandas.NA` in an array or in columns of objects."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return X
    if isinstance(X, np.ndarray) and X.dtype == object:
        if any(cell is pandas.NA for cell in X.flat):
            X = np.where(pandas.isna(X), np.nan, X)
    elif isinstance(X, pandas.DataFrame):
        objects = [n for n, dtype in enumerate(X.dtypes) if dtype.kind == "O"]
        X = X.copy(deep=False) if objects else X
        for number in objects:
            column = X.iloc[:, number]
            if column.dtype.name == "object":
                X.isetitem(number, column.where(column.notna(), np.nan))
        X = flat_names(X)
    return X


def validate_numbers(estimator, X, y="no_validation", **check_params):
    """`validate_data` for numbers or NaN, with more helpful errors."""
    try:
        return validate_data(estimator, X, y, **check_params)
    except ValueError as error:
        if "feature names should match" in str(error):
            raise ValueError(
                f"{error}skmissing.compose.align(X, estimator) sorts the columns, adds "
                "those of missing modalities, and leaves out unknown ones.\n"
            ) from error
        raise explain_words(error, X) from error


def validate_piece(estimator, X, y="no_validation", *, reset, **check_params):
    """`validate_data` without the checks of columns."""
    if isinstance(y, str) and y == "no_validation":
        return check_array(X, estimator=estimator, input_name="X", **check_params)
    return check_X_y(X, y, estimator=estimator, **check_params)


def check_columns(estimator, source, reset):
    """Set or check the number and the names of the columns of a source."""
    if reset:
        estimator.n_features_in_ = source.shape[1]
        if source.columns is not None:
            estimator.feature_names_in_ = np.asarray(source.columns, dtype=object)
        return
    if source.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {source.shape[1]} features, but {type(estimator).__name__} is "
            f"expecting {estimator.n_features_in_} features as input."
        )
    wanted = getattr(estimator, "feature_names_in_", None)
    if wanted is not None and source.columns is not None:
        other = [n for n, w in zip(source.columns, wanted) if n != w]
        if other:
            raise ValueError(
                "The columns of X must be those of fit, in the same order; got "
                f"{name_list(other[:5])} in other places."
            )


def take_samples(X, rows):
    """Samples of an array or a data frame by their positions."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return (X if hasattr(X, "shape") else np.asarray(X))[rows]


def framed(values, X, names):
    """Return an array of columns as a data frame of the library of X, if X is one.

    With as many samples as X, it has the index of X. Without names, it is an array.
    """
    if names is None:
        return values
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return values
    named = nw.from_numpy(values, list(names), backend=frame.implementation).to_native()
    if hasattr(X, "index") and len(named) == len(X):
        named.index = X.index
    return named


def flat_names(X):
    """Return a data frame whose column names are not tuples."""
    if not has_levels(X):
        return X
    return X.set_axis(["__".join(map(str, name)) for name in X.columns], axis="columns")


def has_levels(X):
    """Whether column names are tuples, as in a MultiIndex."""
    columns = getattr(X, "columns", None)
    return (
        columns is not None
        and len(columns) > 0
        and all(isinstance(name, tuple) for name in columns)
    )


def check_table(X):
    """Raise an error with a remedy if X is not one table of numbers."""
    shape = getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] == 0:
        # scikit-learn would check the dtypes of a data frame first.
        raise ValueError(
            f"Found array with 0 feature(s) (shape={tuple(shape)}) while a minimum "
            "of 1 is required."
        )
    if len(shape) > 2:
        raise ValueError(
            "X must have two dimensions, samples and columns; got the shape "
            f"{tuple(shape)}. Pass X.reshape(len(X), -1), and for sequences of tokens "
            f"modalities={{'name': {tuple(shape[1:3])}}}."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind in "mM":
        # scikit-learn would make a large negative number of each NaT.
        raise TypeError(
            f"X must be numbers; got dtype {X.dtype}. Convert dates and times to "
            "numbers, such as days since the first."
        )
    if type(X) is np.ndarray and X.dtype != object:
        return
    if isinstance(X, (list, tuple)):
        several = len(X) > 0 and all(len(getattr(x, "shape", ())) > 1 for x in X)
        widths = {len(x) for x in X if isinstance(x, (list, tuple))}
        if len(widths) > 1:
            raise ValueError(
                "X must have the same number of cells in each sample; got samples of "
                f"{min(widths)} to {max(widths)} cells. Pad them with NaN."
            )
    else:
        # Some sparse matrices are dicts, too.
        several = isinstance(X, dict) and not hasattr(X, "shape")
    if several:
        raise TypeError(
            f"X must be one table; got a {type(X).__name__} of {len(X)}. Put arrays "
            "side by side with numpy.hstack, and pass their numbers of columns as "
            "modalities. Join data frames with skmissing.compose.from_tables."
        )
    for name, column in _odd_columns(X):
        first = next((value for value in column if not _is_null(value)), None)
        kind = str(column.dtype) if column.dtype != object else type(first).__name__
        if hasattr(first, "__len__") and not isinstance(first, (str, bytes, dict)):
            raise TypeError(
                f"X must have one number per cell; the cells of column {name!r} are of "
                f"type {type(first).__name__}. Make an array of each such column with "
                "numpy.vstack, put the arrays side by side with numpy.hstack, and pass "
                "their numbers of columns as modalities."
            )
        if hasattr(first, "isoformat") or hasattr(first, "total_seconds"):
            raise TypeError(
                f"X must be numbers; column {name!r} has dates or times ({kind}). "
                "Convert them to numbers, such as days since the first, or leave them "
                "out."
            )


def _odd_columns(X):
    """Names and values of the columns of X without a numeric dtype."""
    if isinstance(X, np.ndarray):
        columns = X.T if X.ndim == 2 and X.dtype == object else ()
        return [(f"x{place}", column) for place, column in enumerate(columns)]
    if hasattr(X, "iloc") and hasattr(X, "dtypes") and len(X.shape) == 2:
        kinds = np.array([getattr(dtype, "kind", "O") for dtype in X.dtypes])
        places = np.flatnonzero(np.isin(kinds, ["O", "M", "m"]))
        return [(X.columns[place], X.iloc[:, place]) for place in places]
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        dtypes = frame.schema.items()
        return [(name, frame[name]) for name, d in dtypes if not d.is_numeric()]
    return []


def explain_words(error, X):
    """Return the error, with the name of the column that has a word or infinity."""
    if "X contains infinity" in str(error):
        return ValueError(f"{error}{_name_infinite(X)}")
    if "could not convert string" not in str(error):
        return error
    for name, column in _odd_columns(X):
        try:
            np.asarray(column, dtype=np.float64)
        except ValueError:
            return ValueError(
                f"X must be numbers: {error}, in column {name!r}. Encode the "
                "column per modality (skmissing.compose.PerModality), or leave it out."
            )
        except TypeError:
            continue
    return error


def _name_infinite(X):
    """Names of the columns of X that have infinite values, for an error."""
    names = getattr(X, "columns", None)
    try:
        columns = np.flatnonzero(np.isinf(np.asarray(X, dtype=float)).any(axis=0))
    except (TypeError, ValueError):  # pandas.NA, or numbers of another kind
        return ""
    found = [f"x{c}" if names is None else names[c] for c in columns[:5]]
    more = ", ..." * (len(columns) > 5)
    return f" Columns with infinite values: {name_list(found)}{more}." if found else ""


def check_unmasked(values, name):
    """Raise an error if any value is masked, because scikit-learn ignores masks."""
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} must have no masked values; {np.ma.count_masked(values)} of "
            f"{len(values)} are masked. Leave these samples out."
        )


def check_target(y, *, numeric=False, one_column=""):
    """Raise an error if values of y are masked, missing, or of several types.

    `one_column` is the name of an estimator that accepts one column only, or empty.
    """
    check_unmasked(y, "y")
    if y is None or sparse.issparse(y):
        return
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] > 1 and one_column:
        kind = "MultiOutputRegressor" if numeric else "MultiOutputClassifier"
        raise ValueError(
            f"y must have one column; got the shape {values.shape}. Fit one model per "
            f"column, as sklearn.multioutput.{kind}({one_column}()) does."
        )
    if values.dtype == object:
        cells = values.ravel()
        known = np.array([not _is_null(cell) for cell in cells], dtype=bool)
        odd = [c for c in cells[known] if not isinstance(c, (Number, np.bool_))]
        if numeric and odd:
            raise TypeError(f"y must be numbers; got {odd[0]!r}.")
        if odd and len(odd) < known.sum():
            kinds = ", ".join(sorted({type(cell).__name__ for cell in cells[known]}))
            raise TypeError(f"y must be all numbers or all strings; got {kinds}.")
        known = known.reshape(values.shape)
    elif numeric and values.dtype.kind not in "biufc":
        raise TypeError(f"y must be numbers; got dtype {values.dtype}.")
    else:
        known = values == values
    if not known.all():
        known = known.reshape(len(values), -1).all(axis=1)
        raise ValueError(
            f"y must have no missing values; {(~known).sum()} of {len(known)} are "
            "missing. Leave these samples out."
        )


def _is_null(cell):
    """Whether a cell is None, NaN, NaT or pandas.NA."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, Number) and cell != cell


def check_squares(y):
    """Raise an error if squares of a target would overflow."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y must be numbers; got dtype {y.dtype}.")
    largest = float(y[np.abs(y).argmax()])
    if abs(largest) > LARGEST:
        raise ValueError(
            f"y must stay below {LARGEST:g}, so that squares do not overflow; got "
            f"{largest:g}. Divide y by a constant."
        )


def check_sample_weight(sample_weight, X, dtype=np.float64):
    """Return non-negative weights, one per sample and not all zero."""
    check_unmasked(sample_weight, "sample_weight")
    try:
        weight = _check_sample_weight(
            sample_weight, X, dtype=dtype, ensure_non_negative=True
        )
    except ValueError as error:
        if "could not convert string" in str(error):
            raise ValueError(f"sample_weight must be numbers: {error}.") from error
        raise
    if not weight.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number; got "
            f"{weight.shape[0]} zeros."
        )
    if weight.max() > LARGEST:
        raise ValueError(
            f"sample_weight must stay below {LARGEST:g}, so that products do not "
            f"overflow; got {weight.max():g}."
        )
    return weight


def check_groups(groups, n_samples):
    """Return groups as one known value per sample, or None."""
    if groups is None:
        return None
    check_unmasked(groups, "groups")
    shape = np.shape(groups)
    if shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(
            f"groups must have one value per sample, shape ({n_samples},); got an "
            f"array of shape {shape}."
        )
    groups = np.asarray(groups).reshape(n_samples)
    if groups.dtype == object:
        kinds = sorted({type(group).__name__ for group in groups})
        unknown = np.array([_is_null(group) for group in groups])
    else:
        kinds, unknown = [], groups != groups
    if unknown.any():
        raise ValueError(
            "groups must have no missing values; "
            f"{np.count_nonzero(unknown)} of {n_samples} are missing."
        )
    try:
        np.unique(groups)
    except TypeError as error:
        raise TypeError(
            f"groups must be all numbers or all strings; got {', '.join(kinds)}."
        ) from error
    return groups


def is_code(block, value, n_filled):
    """Whether a value that fills some samples differs from other cells of a block."""
    same = block == value
    others = block[~same & ~np.isnan(block)]
    if len(others) < CODE_SAMPLES * block.shape[1]:
        return False
    if np.count_nonzero(same) == n_filled * block.shape[1]:
        return True
    # If single cells have the value, too, it must be farther from the other values than
    # they are from each other. 0 may be a count, and the other values may all be 1.
    low, high = others.min(), others.max()
    return value != 0 and max(low - value, value - high) > high - low > 0


def name_list(names):
    """Names in quotes, for messages."""
    return ", ".join(repr(str(name)) for name in names)


def read_table(X, modalities=None, *, name="X"):
    """Table of an array or data frame, for functions without an estimator."""
    says = None if has_levels(X) else warn
    X, names = read_array(X, name)
    layout = resolve_modalities(modalities, X.shape[1], names, says)
    return ModalityTable(X, layout, feature_names=names)


def read_array(X, name, on_device=False):
    """Return X as an array, which may be the caller's own, and column names or None."""
    if not on_device:
        X = to_numpy(X)
    check_table(X)
    X = fill_masked(X)
    numbers = numbers_of(device_namespace(X), X)
    try:
        return check_array(X, input_name=name, **numbers), _get_feature_names(X)
    except ValueError as error:
        raise explain_words(error, X) from error
