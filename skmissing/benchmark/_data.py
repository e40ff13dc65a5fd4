"""Data sets of the benchmark: embedded ones by name, anyone's own from a file."""

import hashlib
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedShuffleSplit,
)
from sklearn.utils.multiclass import type_of_target

from skmissing import datasets

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
    X : ndarray of shape (n_samples, n_features)
        NaN where a modality is missing by nature.
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Classes, numbers, or an indicator matrix of labels.
    modalities : dict
        From name to width or token shape, as every estimator takes it.
    split : ndarray of shape (n_samples,) or None, default=None
        2 for test rows, other values for training rows. None draws test rows anew
        in each run.
    groups : ndarray of shape (n_samples,) or None, default=None
        Rows of one group, a person or a film, are never on both sides of a drawn
        split.
    sentiment : bool, default=False
        Whether y is a sentiment from -3 to 3, to be scored as the papers do.

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

    def __post_init__(self):
        for key in ("y", "split", "groups"):
            value = getattr(self, key)
            if value is not None and len(value) != len(self.X):
                raise ValueError(
                    f"data {self.name!r}: {key} has {len(value)} rows, X has "
                    f"{len(self.X)}."
                )
        kind = type_of_target(self.y)
        if kind not in TASKS:
            raise ValueError(
                f"data {self.name!r}: y is {kind}; wanted classes, numbers or an "
                "indicator matrix."
            )

    @property
    def task(self):
        """Either "classification", "regression" or "multilabel"."""
        return TASKS[type_of_target(self.y)]

    @property
    def fingerprint(self):
        """Checksum of the values, so that results of other data are told apart."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self.X, self.y, self.split, self.groups):
            if array is not None:
                digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.modalities, self.sentiment)).encode())
        return digest.hexdigest()


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


def load_data(source, *, modalities=None, split="auto", groups=None, sentiment=False):
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

    Returns
    -------
    BenchmarkData
        Named like the file, without its ending.

    Examples
    --------
    >>> from skmissing.benchmark import load_data
    >>> data = load_data("breast_cancer")
    >>> data.X.shape, data.modalities
    ((569, 30), {'mean': 10, 'error': 10, 'worst': 10})
    """
    text = str(source)
    if text in NAMED:
        bunch = NAMED[text][0]()
        return BenchmarkData(text, bunch.data, bunch.target, bunch.modalities)
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
        None if bunch.split is None else bunch.split,
        None if groups is None else np.asarray(bunch.extras[groups]),
        sentiment,
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
