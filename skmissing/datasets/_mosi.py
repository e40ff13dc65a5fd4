"""Loader for CMU-MOSI, whose files are pickles; nothing that they name is run."""

import warnings

import numpy as np

from skmissing.datasets._bunch import build_bunch, check_rows, existing_file
from skmissing.datasets._plain_pickle import load_plain_pickle

_MODALITIES = ("text", "audio", "vision")
_SPLITS = ("train", "valid", "test")

_DESCR = """CMU-MOSI from {name}.

{n_samples} utterances: text, audio and vision as sequences of tokens. Target: sentiment
from -3 to 3. Tokens that are padding are NaN.
"""


def load_mosi(path, *, pool=None, return_X_y=False, as_frame=False):
    """Load CMU-MOSI (or MOSEI) as published for MulT and MMSA.

    Parameters
    ----------
    path : str or path-like
        A pickled dict with the keys `train`, `valid` and `test`. Each holds a dict with
        the arrays `text`, `audio` and `vision` of shape (n_samples, n_tokens, dim),
        `regression_labels` or `labels`, and optionally `id`. The lengths of the three
        may differ (unaligned files).
    pool : {"mean", None}, default=None
        `"mean"` averages the tokens that are no padding, which gives one vector a
        modality; None keeps the sequences, flattened row by row.
    return_X_y : bool, default=False
        Whether to return the pair `(data, target)` instead of a bunch.
    as_frame : bool, default=False
        Whether data and target are pandas objects, with columns `modality__feature`.

    Returns
    -------
    data : Bunch
        With `data` of shape (n_samples, n_features), training rows first, `target` of
        shape (n_samples,), `split` (0 train, 1 validation, 2 test), `id` (None, or an
        array of strings), `modalities` (token shapes or widths by name),
        `feature_names`, `frame` and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Raises
    ------
    ValueError
        If the file holds anything but numpy arrays, numbers, strings and plain
        containers, or if a key is missing or does not fit.

    Notes
    -----
    A pickle can name any function to be called when it is read. This loader imports and
    calls none: it knows the handful of names by which numpy describes arrays and builds
    those itself; at any other name it stops.

    The files pad short sequences with zeros and do not say where. A token that is zero
    in all its columns is taken for padding and becomes NaN. A modality that is zero
    throughout in a row (failed extraction) thereby is a missing modality. Infinite
    cells, which the audio of some files has, become NaN with a warning.

    References
    ----------
    A. Zadeh et al., "MOSI: Multimodal Corpus of Sentiment Intensity and Subjectivity
    Analysis in Online Opinion Videos", arXiv:1606.06259.

    Examples
    --------
    >>> import pathlib, pickle, tempfile
    >>> import numpy as np
    >>> from skmissing.datasets import load_mosi
    >>> def part(n):
    ...     return {"text": np.ones((n, 5, 3)), "audio": np.ones((n, 5, 2)),
    ...             "vision": np.ones((n, 5, 2)), "regression_labels": np.zeros(n)}
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "mosi.pkl"
    >>> _ = path.write_bytes(
    ...     pickle.dumps({"train": part(4), "valid": part(1), "test": part(2)}))
    >>> mosi = load_mosi(path)
    >>> mosi.data.shape, mosi.modalities["text"], mosi.split.tolist()
    ((7, 35), (5, 3), [0, 0, 0, 0, 1, 2, 2])
    >>> folder.cleanup()
    """
    if pool not in (None, "mean"):
        raise ValueError(f"pool must be 'mean' or None; got {pool!r}.")
    path = existing_file(path)
    content = load_plain_pickle(path)
    parts = {name: _read_part(content, name, path) for name in _SPLITS}
    blocks = {}
    for key in _MODALITIES:
        arrays = {name: part[key] for name, part in parts.items()}
        if len({array.shape[1:] for array in arrays.values()}) > 1:
            shown = ", ".join(f"{n} {a.shape}" for n, a in arrays.items())
            raise ValueError(
                f"{path}: key {key!r} has the shapes {shown}; wanted the same tokens "
                "and columns in all splits."
            )
        tokens = _mark_padding(np.concatenate(list(arrays.values())), key, path)
        blocks[key] = _mean_of_tokens(tokens) if pool == "mean" else tokens
    ids = [part["id"] for part in parts.values()]
    target = np.concatenate([part["target"] for part in parts.values()])
    counts = [len(part["target"]) for part in parts.values()]
    return build_bunch(
        blocks,
        target,
        descr=_DESCR.format(name=path.name, n_samples=len(target)),
        return_X_y=return_X_y,
        as_frame=as_frame,
        split=np.repeat(np.arange(3), counts),
        id=None if any(i is None for i in ids) else np.concatenate(ids),
    )


def _read_part(content, name, path):
    """The arrays of one split, checked."""
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        found = ", ".join(map(repr, content)) if isinstance(content, dict) else "none"
        raise ValueError(
            f"{path}: wanted a dict under the key {name!r}, found the keys {found}."
        )
    part, where = content[name], f"{path}: split {name!r}"
    read = {}
    for key in _MODALITIES:
        array = _wanted(part, key, where)
        if array.ndim != 3 or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{where}: key {key!r} has shape {array.shape} and type {array.dtype}, "
                "wanted numbers of shape (n_samples, n_tokens, dim)."
            )
        read[key] = array.astype(np.float32, copy=False)
    label = "regression_labels" if "regression_labels" in part else "labels"
    target = _wanted(part, label, where)
    if target.dtype.kind not in "fiu" or target.size != len(target):
        raise ValueError(
            f"{where}: key {label!r} has shape {target.shape} and type {target.dtype}, "
            "wanted one number a row."
        )
    read["target"] = target.reshape(-1).astype(np.float64)
    check_rows({**{key: read[key] for key in _MODALITIES}, label: target}, where)
    read["id"] = _read_ids(part.get("id"), len(target), where)
    return read


def _wanted(part, key, where):
    if key not in part:
        raise ValueError(
            f"{where}: wanted the key {key!r}, found {', '.join(map(str, part))}."
        )
    return np.asarray(part[key])


def _read_ids(ids, n_rows, where):
    """One string a row; several columns (video, start, end) are joined."""
    if ids is None:
        return None
    if len(ids) != n_rows:
        raise ValueError(
            f"{where}: key 'id' has {len(ids)} entries, wanted one for each of the "
            f"{n_rows} rows."
        )
    return np.array(
        [i if isinstance(i, str) else "_".join(map(str, np.ravel(i))) for i in ids],
        dtype=np.str_,
    )


def _mark_padding(tokens, key, path):
    """NaN in tokens that are zero throughout, and in infinite cells."""
    tokens = tokens.copy()
    tokens[~tokens.any(axis=2)] = np.nan
    infinite = np.isinf(tokens)
    if infinite.any():
        warnings.warn(
            f"{path}: key {key!r} holds {infinite.sum()} infinite cells; they are "
            "taken for missing and become NaN.",
            stacklevel=3,
        )
        tokens[infinite] = np.nan
    return tokens


def _mean_of_tokens(tokens):
    """Mean over the tokens with something observed; NaN if there is none."""
    seen = ~np.isnan(tokens)
    total = np.where(seen, tokens, 0).sum(axis=1, dtype=np.float64)
    count = seen.sum(axis=1)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)
