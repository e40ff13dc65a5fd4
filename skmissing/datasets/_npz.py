"""Loaders for numpy archives, which are read without unpickling anything."""

import numpy as np

from skmissing.datasets._bunch import (
    build_bunch,
    check_finite,
    check_rows,
    existing_file,
    read_split,
)

_NPZ = """Multimodal data from {name}.

{n_samples} rows; modalities {modalities}. NaN marks what is missing.
"""

_MMIMDB = """Embeddings of MM-IMDb from {name}.

{n_samples} films: image (poster) and text (plot), and {n_genres} genres.
"""


def load_multimodal_npz(
    path,
    *,
    modalities=None,
    target="y",
    split="split",
    return_X_y=False,
    as_frame=False,
):
    """Load modalities that lie in a numpy archive, one array each.

    Parameters
    ----------
    path : str or path-like
        File that `numpy.savez` or `numpy.savez_compressed` wrote.
    modalities : list of str or None, default=None
        The arrays to take, in this order; None takes all float arrays with two or
        three axes but the target, in the order of the file. Three axes are rows,
        tokens and columns. A modality that a row lacks is NaN in that row.
    target : str, default="y"
        The array to predict.
    split : str or None, default="split"
        The array that says which rows are for training (0 or "train"), validation (1
        or "valid") and test (2 or "test"). It may be absent if this is left as it is.
    return_X_y : bool, default=False
        Whether to return the pair `(data, target)` instead of a bunch.
    as_frame : bool, default=False
        Whether data and target are pandas objects, with columns `modality__feature`.

    Returns
    -------
    data : Bunch
        With `data` of shape (n_samples, n_features), `target`, `split` (None, or an
        array of 0, 1 and 2), `modalities` (widths, or token shapes, by name; to be
        passed as `modalities=`), `feature_names`, `target_names` (the array
        `class_names`, if there is one), `frame`, `extras` (all other arrays, by name)
        and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Raises
    ------
    ValueError
        If an array is missing or does not fit; the message names file, key, what was
        found and what was wanted.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skmissing.datasets import load_multimodal_npz
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "films.npz"
    >>> np.savez(path, image=np.ones((4, 3)), text=np.ones((4, 2, 5)), y=np.arange(4))
    >>> films = load_multimodal_npz(path)
    >>> films.data.shape, films.modalities
    ((4, 13), {'image': 3, 'text': (2, 5)})
    >>> folder.cleanup()
    """
    path = existing_file(path)
    arrays = _read_arrays(path)
    y = _wanted(arrays, target, path)
    if modalities is None:
        modalities = [
            key
            for key, array in arrays.items()
            if array.dtype.kind == "f" and array.ndim in (2, 3) and key != target
        ]
        if not modalities:
            raise ValueError(
                f"{path}: found no modality, wanted at least one float array with two "
                f"or three axes beside {target!r}; found {_listing(arrays)}."
            )
    blocks = {
        key: _modality(_wanted(arrays, key, path), key, path) for key in modalities
    }
    n_rows = check_rows({**blocks, target: y}, path)
    codes = None
    if split is not None and (split in arrays or split != "split"):
        codes = read_split(_wanted(arrays, split, path), n_rows, split, path)
    used = {*modalities, target, split, "class_names"}
    names = arrays.get("class_names")
    return build_bunch(
        blocks,
        y,
        target_names=None if names is None else names.tolist(),
        descr=_NPZ.format(
            name=path.name,
            n_samples=n_rows,
            modalities={key: block.shape[1:] for key, block in blocks.items()},
        ),
        return_X_y=return_X_y,
        as_frame=as_frame,
        split=codes,
        extras={key: array for key, array in arrays.items() if key not in used},
    )


def load_mmimdb_embeddings(path, *, return_X_y=False, as_frame=False):
    """Load embeddings of MM-IMDb: posters, plots and genres.

    Parameters
    ----------
    path : str or path-like
        A numpy archive with the float arrays `image` and `text` of shape (n_samples,
        width), `labels` of shape (n_samples, n_genres) with 0 and 1, and optionally
        `split` and `genres` (names).
    return_X_y : bool, default=False
        Whether to return the pair `(data, target)` instead of a bunch.
    as_frame : bool, default=False
        Whether data and target are pandas objects, with columns `modality__feature`.

    Returns
    -------
    data : Bunch
        As of :func:`load_multimodal_npz`; `target` is an indicator matrix of integers
        and `target_names` holds the genres.
    (data, target) : tuple
        If `return_X_y=True`.

    Notes
    -----
    UL4M4 takes CLIP ViT-B/32 embeddings of posters and plots, 512 columns each, and
    counts 27 genres; the usual benchmark has 23. What the file holds is what is
    loaded.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skmissing.datasets import load_mmimdb_embeddings
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "mmimdb.npz"
    >>> np.savez(path, image=np.ones((3, 4)), text=np.ones((3, 4)),
    ...          labels=np.eye(3, dtype=int), split=["train", "dev", "test"])
    >>> films = load_mmimdb_embeddings(path)
    >>> films.split, films.modalities
    (array([0, 1, 2]), {'image': 4, 'text': 4})
    >>> folder.cleanup()
    """
    path = existing_file(path)
    arrays = _read_arrays(path)
    blocks = {}
    for key in ("image", "text"):
        blocks[key] = _modality(_wanted(arrays, key, path), key, path, axes=(2,))
    labels = _wanted(arrays, "labels", path)
    if labels.ndim != 2 or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{path}: key 'labels' has shape {labels.shape} and type {labels.dtype}, "
            "wanted an indicator matrix of 0 and 1, one column a genre."
        )
    n_rows = check_rows({**blocks, "labels": labels}, path)
    split = arrays.get("split")
    genres = arrays.get("genres")
    if genres is not None and genres.shape != (labels.shape[1],):
        raise ValueError(
            f"{path}: key 'genres' has shape {genres.shape}, wanted one name for each "
            f"of the {labels.shape[1]} columns of 'labels'."
        )
    return build_bunch(
        blocks,
        labels.astype(np.int64),
        target_names=None if genres is None else genres.tolist(),
        descr=_MMIMDB.format(
            name=path.name, n_samples=n_rows, n_genres=labels.shape[1]
        ),
        return_X_y=return_X_y,
        as_frame=as_frame,
        split=None if split is None else read_split(split, n_rows, "split", path),
    )


def _read_arrays(path):
    """All arrays of an archive; object arrays would need unpickling and are refused."""
    with open(path, "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except Exception as exc:  # whatever zipfile and numpy have for odd files
            raise ValueError(
                f"{path}: wanted a numpy archive (.npz), found something else "
                f"({str(exc)[:200]})."
            ) from exc
        if not hasattr(archive, "files"):
            raise ValueError(
                f"{path}: wanted a numpy archive (.npz), found a single array."
            )
        with archive:
            return {key: _read_array(archive, key, path) for key in archive.files}


def _read_array(archive, key, path):
    try:
        array = archive[key]
    except Exception as exc:
        raise ValueError(
            f"{path}: key {key!r} cannot be read, wanted an array of numbers or "
            f"strings ({str(exc)[:200]})."
        ) from exc
    if not isinstance(array, np.ndarray):  # a member that is no array of numpy's
        raise ValueError(
            f"{path}: key {key!r} is no array, wanted one of numbers or strings."
        )
    return array


def _wanted(arrays, key, path):
    if key not in arrays:
        raise ValueError(
            f"{path}: wanted the key {key!r}, found {', '.join(arrays) or 'no key'}."
        )
    if arrays[key].ndim == 0:
        raise ValueError(f"{path}: key {key!r} is a single value, wanted one a row.")
    return arrays[key]


def _modality(array, key, path, axes=(2, 3)):
    if array.dtype.kind not in "fiu" or array.ndim not in axes or not array.size:
        shape = "two axes" if axes == (2,) else "two or three axes"
        raise ValueError(
            f"{path}: key {key!r} has shape {array.shape} and type {array.dtype}, "
            f"wanted numbers with {shape}."
        )
    return check_finite(array, key, path)


def _listing(arrays):
    return ", ".join(
        f"{key!r} {array.dtype} {array.shape}" for key, array in arrays.items()
    )
