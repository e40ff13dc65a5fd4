"""Random layouts and tables for property tests, and the forms a table may come in."""

import os
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import ConvergenceWarning

FORMS = ("C", "F", "strided", "memmap", "masked", "pandas", "polars")


@dataclass(frozen=True)
class Table:
    """A table with modalities missing."""

    X: np.ndarray  # NaN where missing
    columns: tuple  # positions of each modality
    presence: np.ndarray  # (n_rows, n_modalities)
    y: np.ndarray  # at least two classes of two rows each, if there are four rows

    @property
    def modalities(self):
        return {f"m{i}": list(columns) for i, columns in enumerate(self.columns)}

    @property
    def target(self):
        """A number a row that goes with y and the values."""
        return self.y + 0.1 * np.nan_to_num(self.X).sum(axis=1, dtype=np.float64)


@st.composite
def column_groups(draw, max_modalities=5, max_width=4):
    sizes = st.integers(1, max_width)
    widths = draw(st.lists(sizes, min_size=1, max_size=max_modalities))
    order = list(range(sum(widths)))
    if draw(st.booleans()):
        order = draw(st.permutations(order))
    stops = np.cumsum(widths)
    return tuple(
        tuple(order[stop - width : stop]) for width, stop in zip(widths, stops)
    )


@st.composite
def tables(
    draw,
    *,
    min_rows=4,
    max_rows=24,
    max_modalities=5,
    dtypes=(np.float64, np.float32),
    holes=True,
    empty_rows=True,
    ties=True,
):
    """Tables of two groups of rows.

    Values are normal, in drawn units and at a drawn distance from 0; if `ties`, they
    may be small integers, so that rows, distances and columns coincide. If not
    `empty_rows`, each row has a modality; two rows have one in any case.
    """
    columns = draw(column_groups(max_modalities))
    n_rows = draw(st.integers(min_rows, max_rows))
    presence = draw(hnp.arrays(bool, (n_rows, len(columns))))
    if not empty_rows:
        bare = np.flatnonzero(~presence.any(axis=1))
        presence[bare, bare % len(columns)] = True
    presence[:2, 0] = True
    rng = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    n_columns = sum(map(len, columns))
    y = np.arange(n_rows) % 2
    X = rng.standard_normal((n_rows, n_columns)) + 3.0 * y[:, None]
    if ties and draw(st.booleans()):
        X = X.round()
    else:
        X *= 10.0 ** draw(st.integers(-3, 3))
        X += draw(st.sampled_from([0.0, 0.0, 100.0])) * X.std()
    for m, positions in enumerate(columns):
        X[np.ix_(~presence[:, m], positions)] = np.nan
    if holes and draw(st.booleans()):
        _punch(X, columns, rng)
    return Table(X.astype(draw(st.sampled_from(dtypes))), columns, presence, y)


def _punch(X, columns, rng):
    """Make holes: take cells away, but never all of a modality that a row has."""
    for positions in columns:
        for position in positions[1:]:
            X[rng.uniform(size=len(X)) < 0.2, position] = np.nan


def in_form(X, form):
    """The same table as another kind of object, one of FORMS.

    "memmap" is a file that cannot be written to, "strided" a part of a larger array.
    """
    if form in "CF":
        return np.array(X, order=form)
    if form == "strided":
        larger = np.full((2 * X.shape[0], 2 * X.shape[1]), 7, dtype=X.dtype)
        larger[::2, ::2] = X
        return larger[::2, ::2]
    if form == "memmap":
        return as_memmap(X)
    if form == "masked":
        return np.ma.MaskedArray(np.where(np.isnan(X), 1e6, X), mask=np.isnan(X))
    names = [f"c{i}" for i in range(X.shape[1])]
    if form == "pandas":
        return pd.DataFrame(X, columns=names)
    import polars

    return polars.DataFrame(X, schema=names, nan_to_null=True)


def as_array(X, form):
    """What scikit-learn makes of a form: polars frames become float64, whatever."""
    return X.astype(np.float64) if form == "polars" else X


def as_memmap(X):
    """X in a file, mapped for reading only; the file is gone when nobody has it."""
    handle, path = tempfile.mkstemp()
    with os.fdopen(handle, "wb") as file:
        file.write(np.ascontiguousarray(X).tobytes())
    mapped = np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)
    try:
        os.unlink(path)
    except PermissionError:  # Windows keeps files that are mapped
        pass
    return mapped


@contextmanager
def no_warnings():
    """Ignore the warnings of estimators; those of numpy stay errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def short_name(estimator):
    """Class and what it was given, in one line, as test id."""
    if not hasattr(estimator, "get_params"):
        return None
    return "-".join([type(estimator).__name__, *_words(estimator)])


def _words(estimator):
    default = signature(type(estimator)).parameters
    given = estimator.get_params(deep=False)
    return [
        value
        for name, value in given.items()
        if isinstance(value, str) and value != default[name].default
    ]
