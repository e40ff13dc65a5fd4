"""Puts modalities side by side, in the form in which scikit-learn's loaders answer."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skmissing._compat import import_optional

# What split codes mean, by the names that files use.
SPLITS = {"train": 0, "valid": 1, "val": 1, "dev": 1, "validation": 1, "test": 2}


def build_bunch(
    blocks,
    target,
    *,
    features=None,
    target_names=None,
    descr,
    return_X_y=False,
    as_frame=False,
    **extra,
):
    """Join modalities into one table.

    Parameters
    ----------
    blocks : dict
        From name to array of shape (n_samples, width) or (n_samples, n_tokens, dim).
    target : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    features : dict or None
        From name to the names of the modality's columns; numbers where it has none.
    target_names : list or None
        Names of the classes or outputs.
    descr : str
    return_X_y, as_frame : bool
        As in scikit-learn's loaders.
    **extra : dict
        Further entries of the bunch.

    Returns
    -------
    Bunch or (data, target)

    Raises
    ------
    ValueError
        If a modality's name could not be told from those of a frame's columns.
    """
    odd = [name for name in blocks if f"{name}__".partition("__")[0] != name]
    if as_frame and odd:
        raise ValueError(
            "With as_frame=True columns are named modality__feature, so the name of a "
            f"modality must not hold '__' or end in '_'; got {odd[0]!r}."
        )
    n_rows = len(target)
    data = np.concatenate([b.reshape(n_rows, -1) for b in blocks.values()], axis=1)
    names, modalities = [], {}
    for name, block in blocks.items():
        own = (features or {}).get(name)
        if own is None:
            own = _token_names(*block.shape[1:])
        names += [f"{name}__{feature}" for feature in own]
        modalities[name] = block.shape[1] if block.ndim == 2 else block.shape[1:]
    frame = None
    if as_frame:
        pandas = import_optional("pandas", "datasets")
        data = pandas.DataFrame(data, columns=names)
        if target.ndim == 1:
            target = pandas.Series(target, name="target")
        else:
            columns = target_names or [f"target_{i}" for i in range(target.shape[1])]
            target = pandas.DataFrame(target, columns=list(columns))
        frame = pandas.concat([data, target], axis=1)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=names,
        target_names=target_names,
        modalities=modalities,
        DESCR=descr,
        **extra,
    )


def _token_names(*shape):
    """Column numbers, `3`, or token and column, `t0_3`."""
    if len(shape) == 1:
        return range(shape[0])
    return [f"t{t}_{d}" for t in range(shape[0]) for d in range(shape[1])]


def existing_file(path):
    """The path as a Path, if it is a file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Path
    """
    found = Path(path)
    if not found.is_file():
        kind = "a folder" if found.is_dir() else "nothing"
        raise FileNotFoundError(f"{path}: wanted a file, found {kind}.")
    return found


def check_rows(arrays, path):
    """All arrays must have the same number of rows.

    Parameters
    ----------
    arrays : dict
        From key to array.
    path : Path
        Named in the error.

    Returns
    -------
    int
        The number of rows.
    """
    counts = {key: len(array) for key, array in arrays.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{key!r} {count}" for key, count in counts.items())
        raise ValueError(
            f"{path}: wanted as many rows in all arrays, found {shown} rows."
        )
    return next(iter(counts.values()))


def check_finite(array, key, path):
    """Refuse infinity and complex numbers; NaN is a missing cell.

    Parameters
    ----------
    array : ndarray of floats
    key : str
    path : Path

    Returns
    -------
    ndarray
        float32 or float64; half floats become float32.
    """
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.itemsize < 4 else np.float64)
    n_infinite = int(np.isinf(array).sum())
    if n_infinite:
        raise ValueError(
            f"{path}: key {key!r} holds {n_infinite} infinite values, wanted finite "
            "numbers, or NaN where a modality is missing."
        )
    return array


def read_split(split, n_rows, key, path):
    """Split codes 0, 1 and 2 from numbers or names.

    Parameters
    ----------
    split : ndarray of shape (n_samples,)
        Codes, or names such as train, dev and test.
    n_rows : int
    key : str
    path : Path

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64
    """
    if split.shape != (n_rows,):
        raise ValueError(
            f"{path}: key {key!r} has shape {split.shape}, wanted ({n_rows},)."
        )
    if split.dtype.kind == "S":
        split = split.astype(str)
    if split.dtype.kind == "U":
        words = [word.strip().lower() for word in split.tolist()]
        unknown = sorted(set(words) - set(SPLITS))
        if unknown:
            raise ValueError(
                f"{path}: key {key!r} holds {unknown[0]!r}, wanted one of "
                f"{', '.join(SPLITS)}."
            )
        return np.array([SPLITS[word] for word in words], dtype=np.int64)
    odd = np.setdiff1d(split, [0, 1, 2])
    if split.dtype.kind not in "iu" or odd.size:
        raise ValueError(
            f"{path}: key {key!r} holds {odd[:1].tolist() or split.dtype}, wanted the "
            "codes 0 (train), 1 (validation) and 2 (test), or their names."
        )
    return split.astype(np.int64)
