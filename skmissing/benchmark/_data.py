"""Data sets of the benchmark: embedded ones by name, anyone's own from a file."""

import hashlib
from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedShuffleSplit,
)
from sklearn.utils.multiclass import type_of_target

from skmissing import datasets
from skmissing._modalities import resolve_modalities
from skmissing.metrics._inputs import read_table

TASKS = {
    "binary": "classification",
    "multiclass": "classification",
    "continuous": "regression",
    "multilabel-indicator": "multilabel",
}


@dataclass(frozen=True)
class BenchmarkData:
    """Rows to be split, and what is known about them.

    Parameters
    ----------
    name : str
        Stands in the results.
    X : array-like or dataframe of shape (n_samples, n_features)
        NaN where a modality is missing by nature. Kept as an array, and a dataframe's
        columns in the order of `modalities`.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Classes, numbers, or an indicator matrix of labels.
    modalities : dict
        From name to width or token shape, as every estimator takes it.
    split : array-like of shape (n_samples,) or None, default=None
        2 for test rows, other values for training rows. None draws test rows anew
        in each run.
    groups : array-like of shape (n_samples,) or None, default=None
        Rows of one group, a person or a film, are never on both sides of a drawn
        split.
    sentiment : bool, default=False
        Whether y is a sentiment from -3 to 3, to be scored as the papers do.
    task : {"classification", "regression", "multilabel"} or None, default=None
        None goes by y, and takes whole numbers for classes: say "regression" for
        ages in years.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.benchmark import BenchmarkData
    >>> data = BenchmarkData("toy", np.ones((4, 3)), np.arange(4) % 2, {"a": 2, "b": 1})
    >>> data.task
    'classification'
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    modalities: dict
    split: np.ndarray | None = None
    groups: np.ndarray | None = None
    sentiment: bool = False
    task: str | None = None

    def __post_init__(self):
        where = f"data {self.name!r}"
        X, modalities = _read_blocks(self.X, self.modalities, where)
        read = {"X": X, "modalities": modalities}
        for key in ("y", "split", "groups"):
            value = getattr(self, key)
            if value is not None:
                read[key] = _read_values(value, f"{where}: {key}", key, len(X))
        task = _find_task(self.task, read["y"], where)
        if self.sentiment and task != "regression":
            raise ValueError(
                f"{where}: sentiment=True needs a y of numbers, but the task is "
                f"{task}; pass task='regression' if y is whole numbers."
            )
        if task == "regression" and read["y"].dtype.kind != "f":
            read["y"] = read["y"].astype(np.float64)
        for key, value in {**read, "task": task}.items():
            object.__setattr__(self, key, value)

    @property
    def fingerprint(self):
        """Checksum of the values, so that results of other data are told apart."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self.X, self.y, self.split, self.groups):
            if array is not None:
                digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.modalities, self.sentiment)).encode())
        if self.task == "regression" and np.array_equal(self.y, np.rint(self.y)):
            digest.update(b"regression")  # not the classes that y looks like
        return digest.hexdigest()


def _read_blocks(X, modalities, where):
    """X as an array, and the modalities by width or token shape."""
    X, names = read_table(X, f"X of {where}")
    layout = resolve_modalities(modalities, X.shape[1], names)
    if names is None and isinstance(modalities, dict):
        return X, modalities
    sizes = {m.name: m.shape if m.n_tokens > 1 else m.width for m in layout.values()}
    return X[:, layout.order], sizes


def _read_values(values, where, key, n_rows):
    """One value a row as an array of numbers or strings, never of objects."""
    array = np.asarray(values)
    if array.dtype == object:
        found = array.ravel().tolist()
        if not any(
            all(isinstance(value, kind) for value in found)
            for kind in (str, (Real, np.bool_))
        ):
            kinds = sorted({type(value).__name__ for value in found})
            raise ValueError(
                f"{where} holds {', '.join(kinds)}; wanted numbers only or strings "
                "only, and none missing."
            )
        array = np.array(array.tolist())
    if key == "y" and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 and key != "y":
        raise ValueError(
            f"{where} has the shape {array.shape}; wanted one value a row."
        )
    if len(array) != n_rows:
        raise ValueError(f"{where} has {len(array)} rows, X has {n_rows}.")
    n_odd = np.count_nonzero(~np.isfinite(array)) if array.dtype.kind == "f" else 0
    if n_odd:
        raise ValueError(f"{where} holds {n_odd} missing or infinite values.")
    return array


def _find_task(task, y, where):
    """The task that was asked for, if y fits it; None goes by y."""
    if task not in (None, *TASKS.values()):
        raise ValueError(
            f"{where}: task must be None, 'classification', 'regression' or "
            f"'multilabel'; got {task!r}."
        )
    if task == "regression" and y.ndim == 1 and y.dtype.kind in "fiu":
        return task
    kind = type_of_target(y)
    if kind not in TASKS:
        raise ValueError(
            f"{where}: y is {kind}; wanted classes, numbers or an indicator matrix."
        )
    if task not in (None, TASKS[kind]):
        raise ValueError(f"{where}: task={task!r} does not fit y, which is {kind}.")
    return TASKS[kind]


def _breast_cancer():
    return datasets.load_breast_cancer_views()


def _digits():
    return datasets.load_digits_views()


def _mfeat():
    return datasets.fetch_mfeat()


# What `load_data` knows by name.
NAMED = {
    "breast_cancer": (_breast_cancer, "569 tumours, 3 views, 2 classes; embedded"),
    "digits": (_digits, "1797 digits, 4 views, 10 classes; embedded"),
    "mfeat": (_mfeat, "2000 digits, 6 views, 10 classes; downloaded from OpenML once"),
}


def load_data(
    source,
    *,
    modalities=None,
    split="auto",
    groups=None,
    sentiment=False,
    task=None,
):
    """Load a data set by name, or from a numpy archive.

    Parameters
    ----------
    source : str or path-like
        "digits", "breast_cancer", "mfeat", or the path of a file that
        :func:`skmissing.datasets.load_multimodal_npz` reads.
    modalities : list of str or None, default=None
        Arrays of the file to take; None takes all float arrays with two or three
        axes.
    split : str, default="auto"
        The array of the file that tells training from test rows; "auto" takes
        `split` if there is one, "random" none.
    groups : str or None, default=None
        The array of the file that tells whose rows must stay together when test rows
        are drawn.
    sentiment : bool, default=False
        Whether y is a sentiment from -3 to 3.
    task : {"classification", "regression", "multilabel"} or None, default=None
        As in :class:`BenchmarkData`.

    Returns
    -------
    BenchmarkData
        Named like the file, without its ending.

    Raises
    ------
    ValueError
        If there is no such data or array, or if a choice of arrays, a split, groups
        or a sentiment is asked of data that are known by name.

    Examples
    --------
    >>> from skmissing.benchmark import load_data
    >>> data = load_data("breast_cancer")
    >>> data.X.shape, data.modalities
    ((569, 30), {'mean': 10, 'error': 10, 'worst': 10})
    """
    text = str(source)
    if text in NAMED:
        _refuse_file_options(
            text,
            modalities=modalities,
            split=None if split in ("auto", "random") else split,
            groups=groups,
            sentiment=sentiment or None,
        )
        bunch = NAMED[text][0]()
        return BenchmarkData(
            text, bunch.data, bunch.target, bunch.modalities, task=task
        )
    if not text.endswith(".npz"):
        raise ValueError(
            f"data={text!r} is neither one of {', '.join(NAMED)} nor a path that ends "
            "in .npz."
        )
    key = {"auto": "split", "random": None}.get(split, split)
    bunch = datasets.load_multimodal_npz(source, modalities=modalities, split=key)
    if groups is not None and groups not in bunch.extras:
        raise ValueError(
            f"{text}: no array groups={groups!r}; found {', '.join(bunch.extras)}."
        )
    name = text.replace("\\", "/").rpartition("/")[2].removesuffix(".npz")
    return BenchmarkData(
        name,
        bunch.data,
        bunch.target,
        bunch.modalities,
        bunch.split,
        None if groups is None else bunch.extras[groups],
        sentiment,
        task,
    )


def _refuse_file_options(source, **options):
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"data={source!r} is known by name, and {name}={value!r} is for .npz "
                "files only."
            )


def split_rows(data, seed, *, test_size, max_rows):
    """Training and test rows of one run, each in the order of the data.

    Parameters
    ----------
    data : BenchmarkData
    seed : int
    test_size : float
        Share of test rows, where the data bring no split.
    max_rows : int or None
        Rows to keep in all, drawn at random; in the ratio of the split.

    Returns
    -------
    train, test : ndarray of intp
    """
    rng = np.random.RandomState(seed)
    rows = np.arange(len(data.X))
    if data.split is not None:
        train, test = rows[data.split != 2], rows[data.split == 2]
        if not len(train) or not len(test):
            raise ValueError(
                f"data {data.name!r}: split has {len(train)} training and "
                f"{len(test)} test rows; wanted some of both."
            )
    else:
        train, test = next(_splitter(data, test_size, rng))
    if max_rows is not None and max_rows < len(rows):
        share = max_rows / len(rows)
        train, test = (
            rng.choice(part, max(1, round(share * len(part))), replace=False)
            for part in (train, test)
        )
    return np.sort(train), np.sort(test)


def _splitter(data, test_size, rng):
    """Splits: by group if there are groups, else by class if there are classes."""
    if data.groups is not None:
        splitter = GroupShuffleSplit(1, test_size=test_size, random_state=rng)
    elif data.task == "classification":
        splitter = StratifiedShuffleSplit(1, test_size=test_size, random_state=rng)
    else:
        splitter = ShuffleSplit(1, test_size=test_size, random_state=rng)
    return splitter.split(data.X, data.y, data.groups)
