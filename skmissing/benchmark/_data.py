"""Data sets of the benchmark: named data sets, and the user's own files."""

import difflib
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
from skmissing._modalities import warn
from skmissing._table import read_table

TASKS = {
    "binary": "classification",
    "multiclass": "classification",
    "continuous": "regression",
    "multilabel-indicator": "multilabel",
}


@dataclass(frozen=True)
class BenchmarkData:
    """Data set of the benchmark: samples, targets, modalities and split.

    Parameters
    ----------
    name : str
        Name in the results.
    X : array-like or data frame of shape (n_samples, n_features)
        Samples, with NaN where a modality is already missing. Stored as an array.
        Columns of a data frame are sorted in the order of `modalities`.
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Classes, numbers, or an indicator matrix of labels.
    modalities : dict
        Width or token shape by name, as in all estimators.
    split : array-like of shape (n_samples,) or None, default=None
        2 for test samples, other values for training samples. None draws new test
        samples in each run.
    groups : array-like of shape (n_samples,) or None, default=None
        Groups, such as persons or films. A drawn split never divides a group.
    sentiment : bool, default=False
        Whether y is a sentiment from -3 to 3, which has its own scores.
    task : {"classification", "regression", "multilabel", "clustering"} or None, \
            default=None
        Task. None infers it from y and treats whole numbers as classes. Use
        "regression" for ages in years, for example. "clustering" compares clusters,
        found without y, with classes.
    score_groups : array-like of shape (n_samples,) or None, default=None
        Groups, such as hospitals, for scores by group. See :func:`score_parts`.

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
    score_groups: np.ndarray | None = None

    def __post_init__(self):
        where = f"data {self.name!r}"
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a string; got {self.name!r}.")
        if self.y is None:
            raise ValueError(f"{where}: y must be given, also to score clusters.")
        table, given = read_table(self.X, self.modalities, name=f"X of {where}"), {}
        if table.feature_names is None and isinstance(self.modalities, dict):
            given = {"X": table.X, "modalities": self.modalities}
        else:
            layout = table.layout
            given["X"] = table.X[:, layout.order]
            given["modalities"] = {
                m.name: m.shape if m.n_tokens > 1 else m.width for m in layout.values()
            }
        for key in ("y", "split", "groups", "score_groups"):
            value = getattr(self, key)
            if value is not None:
                given[key] = _read_values(value, f"{where}: {key}", key, len(table))
        task = _find_task(self.task, given["y"], where)
        if self.sentiment and task != "regression":
            raise ValueError(
                f"{where}: task must be 'regression' if sentiment=True; got {task!r}."
                " Pass task='regression' if y holds whole numbers."
            )
        if task == "regression" and given["y"].dtype.kind != "f":
            given["y"] = given["y"].astype(np.float64)
        for key, value in {**given, "task": task}.items():
            object.__setattr__(self, key, value)

    @property
    def fingerprint(self):
        """Checksum of the values, to recognise results on other data."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self.X, self.y, self.split, self.groups, self.score_groups):
            if array is not None:
                digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.modalities, self.sentiment)).encode())
        if self.task == "clustering" or (
            self.task == "regression" and np.array_equal(self.y, np.rint(self.y))
        ):
            digest.update(self.task.encode())  # y could also be classes
        return digest.hexdigest()


def _read_values(values, where, key, n_samples):
    """One value per sample, as an array of numbers or strings instead of objects."""
    array = np.asarray(values)
    if array.dtype == object:
        found = array.ravel().tolist()
        if not any(
            all(isinstance(value, kind) for value in found)
            for kind in (str, (Real, np.bool_))
        ):
            kinds = sorted({type(value).__name__ for value in found})
            raise ValueError(
                f"{where} must hold only numbers or only strings, none missing; got "
                f"{', '.join(kinds)}."
            )
        array = np.array(array.tolist())
    if key == "y" and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 and key != "y":
        raise ValueError(
            f"{where} must hold one value per sample; got the shape {array.shape}."
        )
    if len(array) != n_samples:
        raise ValueError(
            f"{where} must have as many samples as X ({n_samples}); got {len(array)}."
        )
    n_odd = np.count_nonzero(~np.isfinite(array)) if array.dtype.kind == "f" else 0
    if n_odd:
        raise ValueError(f"{where} must be finite; got {n_odd} NaN or infinite values.")
    return array


def _find_task(task, y, where):
    """Check the given task against y, or infer it if it is None."""
    if task not in (None, "clustering", *TASKS.values()):
        raise ValueError(
            f"{where}: task must be None, 'classification', 'regression', "
            f"'multilabel' or 'clustering'; got {task!r}."
        )
    if task == "regression" and y.ndim == 1 and y.dtype.kind in "fiu":
        return task
    kind = type_of_target(y)
    if kind not in TASKS:
        raise ValueError(
            f"{where}: y must hold classes, numbers or an indicator matrix; got {kind}."
        )
    if task == "clustering" and TASKS[kind] == "classification":
        return task
    if task not in (None, TASKS[kind]):
        raise ValueError(f"{where}: task={task!r} does not fit y, which is {kind}.")
    return TASKS[kind]


def did_you_mean(name, known):
    """The most similar known name, as a question for an error, or an empty string."""
    by_lower = {each.lower(): each for each in known}
    similar = difflib.get_close_matches(str(name).lower(), by_lower, 1)
    return f" Did you mean {by_lower[similar[0]]!r}?" if similar else ""


# Names of data sets for `load_data`.
NAMED = {
    "breast_cancer": (
        datasets.load_breast_cancer_views,
        "569 tumours, 3 views, 2 classes; embedded",
    ),
    "digits": (
        datasets.load_digits_views,
        "1797 digits, 4 views, 10 classes; embedded",
    ),
    "mfeat": (
        datasets.fetch_mfeat,
        "2000 digits, 6 views, 10 classes; downloaded from OpenML once",
    ),
}


def load_data(
    source,
    *,
    modalities=None,
    split="auto",
    groups=None,
    score_groups=None,
    sentiment=False,
    task=None,
):
    """Load a data set by name, or from a numpy archive.

    Parameters
    ----------
    source : str or path-like
        "digits", "breast_cancer", "mfeat", or the path of a file for
        :func:`skmissing.datasets.read_multimodal_npz`.
    modalities : list of str or None, default=None
        Arrays of the file to use. None uses all arrays of numbers with two or three
        axes.
    split : str, default="auto"
        Array of the file with the split. "auto" uses `split` if there is such an array.
        "random" ignores it.
    groups : str or None, default=None
        Array of the file with groups, which are not divided when test samples are
        drawn.
    score_groups : str or None, default=None
        Array of the file with groups for scores by group.
    sentiment : bool, default=False
        Whether y is a sentiment from -3 to 3.
    task : {"classification", "regression", "multilabel", "clustering"} or None, \
            default=None
        As in :class:`BenchmarkData`.

    Returns
    -------
    BenchmarkData
        Data set. Its name is that of the file, without the extension.

    Raises
    ------
    ValueError
        If there is no such data set or array, or if another argument is given for a
        named data set.

    Warns
    -----
    ModalityWarning
        If arrays of the file are not used, and `modalities` is None.

    Examples
    --------
    >>> from skmissing.benchmark import load_data
    >>> data = load_data("breast_cancer")
    >>> data.X.shape, data.modalities
    ((569, 30), {'mean': 10, 'error': 10, 'worst': 10})
    """
    text = str(source)
    if text in NAMED:
        options = {
            "modalities": modalities,
            "groups": groups,
            "score_groups": score_groups,
        }
        options["split"] = None if split in ("auto", "random") else split
        options["sentiment"] = sentiment or None
        for name, value in options.items():
            if value is not None:
                raise ValueError(
                    f"data={text!r} is known by name, and {name}={value!r} is for .npz "
                    "files only."
                )
        bunch = NAMED[text][0]()
        return BenchmarkData(
            text, bunch.data, bunch.target, bunch.modalities, task=task
        )
    if not text.endswith(".npz"):
        raise ValueError(
            f"data={text!r} is neither one of {', '.join(NAMED)} nor a path that ends "
            f"in .npz.{did_you_mean(text, NAMED)}"
        )
    key = {"auto": "split", "random": None}.get(split, split)
    bunch = datasets.read_multimodal_npz(source, modalities=modalities, split=key)
    for key, value in (("groups", groups), ("score_groups", score_groups)):
        if value is not None and value not in bunch.extras:
            found = ", ".join(bunch.extras) or "no arrays but modalities and the target"
            raise ValueError(f"{text}: no array {key}={value!r}; found {found}.")
    unused = {
        k: a.shape
        for k, a in bunch.extras.items()
        if k not in ("split", groups, score_groups)
    }
    if unused and modalities is None:
        shown = ", ".join(f"{key!r} of shape {shape}" for key, shape in unused.items())
        warn(
            f"{text}: arrays that are not used: {shown}. A modality must be numbers "
            "with two or three axes. Name groups by groups= or score_groups=, or "
            "give modalities=."
        )
    return BenchmarkData(
        text.replace("\\", "/").rpartition("/")[2].removesuffix(".npz"),
        bunch.data,
        bunch.target,
        bunch.modalities,
        bunch.split,
        None if groups is None else bunch.extras[groups],
        sentiment,
        task,
        None if score_groups is None else bunch.extras[score_groups],
    )


def split_rows(data, seed, *, test_size, max_rows):
    """Positions of training and test samples of one run, in the order of the data."""
    rng = np.random.RandomState(seed)
    rows = np.arange(len(data.X))
    if data.split is not None:
        train, test = rows[data.split != 2], rows[data.split == 2]
        if not len(train) or not len(test):
            raise ValueError(
                f"data {data.name!r}: split must have training and test samples; got "
                f"{len(train)} training and {len(test)} test samples."
            )
    else:
        if data.groups is not None:
            splitter = GroupShuffleSplit
        elif data.task in ("classification", "clustering"):
            splitter = StratifiedShuffleSplit
        else:
            splitter = ShuffleSplit
        splitter = splitter(1, test_size=test_size, random_state=rng)
        train, test = next(splitter.split(data.X, data.y, data.groups))
    if max_rows is not None and max_rows < len(rows):
        # Random samples, with the ratio of the split.
        share = max_rows / len(rows)
        train, test = (
            rng.choice(part, max(1, round(share * len(part))), replace=False)
            for part in (train, test)
        )
    return np.sort(train), np.sort(test)
