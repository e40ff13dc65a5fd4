"""Readers of local files. No reader runs code from a file."""

import pickle
import re
from collections import Counter
from pathlib import Path

import numpy as np

from skmissing._compat import import_optional
from skmissing._modalities import count
from skmissing._table import warn
from skmissing.datasets._bunch import build_bunch

# ------------------------------------------------------------------- numpy archives

_NPZ = """Multimodal data from {name}.

{n_samples} samples; modalities {modalities}. NaN marks what is missing.
"""

_MMIMDB = """Embeddings of MM-IMDb from {name}.

{n_samples} films: image (poster) and text (plot), and {n_genres} genres.
"""

# Codes of splits by the names that files use.
_SPLITS = {"train": 0, "valid": 1, "val": 1, "dev": 1, "validation": 1, "test": 2}


def read_multimodal_npz(
    path,
    *,
    modalities=None,
    target="y",
    split="split",
    return_X_y=False,
    as_frame=False,
):
    """Read modalities from a numpy archive with one array per modality.

    Parameters
    ----------
    path : str or path-like
        File written by `numpy.savez` or `numpy.savez_compressed`.
    modalities : list of str or None, default=None
        Arrays to read, in this order. None reads all arrays of numbers with two or
        three axes except the target, in the order of the file. Three axes are samples,
        tokens and columns. Missing modalities are NaN. Integers become floats.
    target : str, default="y"
        Array with the targets.
    split : str or None, default="split"
        Array with the split of each sample: training (0 or "train"), validation (1 or
        "valid") or test (2 or "test"). With the default, the file may be without it.
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `modality__feature`.

    Returns
    -------
    data : Bunch
        With `data` of shape (n_samples, n_features), `target`, `split` (None, or an
        array of 0, 1 and 2), `modalities` (widths or token shapes by name, to be passed
        as `modalities=`), `feature_names`, `target_names` (the array `class_names`, if
        there is one), `frame`, `extras` (all other arrays by name) and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Raises
    ------
    ValueError
        If an array is not in the file, or has a wrong shape or type.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skmissing.datasets import read_multimodal_npz
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "films.npz"
    >>> np.savez(path, image=np.ones((4, 3)), text=np.ones((4, 2, 5)), y=np.arange(4))
    >>> films = read_multimodal_npz(path)
    >>> films.data.shape, films.modalities
    ((4, 13), {'image': 3, 'text': (2, 5)})
    >>> folder.cleanup()
    """
    path, arrays = _read_arrays(path)
    y = _get(arrays, target, path)
    if isinstance(modalities, str):
        modalities = [modalities]
    if modalities is None:
        modalities = [
            key
            for key, array in arrays.items()
            if array.dtype.kind in "fiu" and array.ndim in (2, 3) and key != target
        ]
        if not modalities:
            found = ", ".join(f"{k!r} {a.dtype} {a.shape}" for k, a in arrays.items())
            raise ValueError(
                f"{path}: at least one array of numbers besides {target!r} must have "
                f"two or three axes; got {found}."
            )
    blocks = {key: _modality(arrays, key, path) for key in modalities}
    n_samples = _check_lengths({**blocks, target: y}, path)
    codes = None
    if split is not None and (split in arrays or split != "split"):
        codes = _split_codes(_get(arrays, split, path), n_samples, split, path)
    used = {*modalities, target, split, "class_names"}
    names = arrays.get("class_names")
    return build_bunch(
        blocks,
        y,
        target_names=None if names is None else names.tolist(),
        descr=_NPZ.format(
            name=path.name,
            n_samples=n_samples,
            modalities={key: block.shape[1:] for key, block in blocks.items()},
        ),
        return_X_y=return_X_y,
        as_frame=as_frame,
        split=codes,
        extras={key: array for key, array in arrays.items() if key not in used},
    )


def read_mmimdb_embeddings(path, *, return_X_y=False, as_frame=False):
    """Read embeddings of MM-IMDb: posters, plots and genres.

    Parameters
    ----------
    path : str or path-like
        A numpy archive with the float arrays `image` and `text` of shape (n_samples,
        width), `labels` of shape (n_samples, n_genres) with 0 and 1, and optionally
        `split` and `genres` (names).
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `modality__feature`.

    Returns
    -------
    data : Bunch
        As in :func:`read_multimodal_npz`. `target` is an indicator matrix of integers,
        and `target_names` has the genres.
    (data, target) : tuple
        If `return_X_y=True`.

    Notes
    -----
    UL4M4 uses CLIP ViT-B/32 embeddings of posters and plots, with 512 columns each, and
    27 genres. The usual benchmark has 23 genres. This function reads any number.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skmissing.datasets import read_mmimdb_embeddings
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "mmimdb.npz"
    >>> np.savez(path, image=np.ones((3, 4)), text=np.ones((3, 4)),
    ...          labels=np.eye(3, dtype=int), split=["train", "dev", "test"])
    >>> films = read_mmimdb_embeddings(path)
    >>> films.split, films.modalities
    (array([0, 1, 2]), {'image': 4, 'text': 4})
    >>> folder.cleanup()
    """
    path, arrays = _read_arrays(path)
    blocks = {key: _modality(arrays, key, path, axes=(2,)) for key in ("image", "text")}
    labels = _get(arrays, "labels", path)
    if labels.ndim != 2 or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{path}: key 'labels' must be a matrix of 0 and 1, one column per genre; "
            f"got shape {labels.shape} and type {labels.dtype}."
        )
    n_samples = _check_lengths({**blocks, "labels": labels}, path)
    split, genres = arrays.get("split"), arrays.get("genres")
    if genres is not None and genres.shape != (labels.shape[1],):
        raise ValueError(
            f"{path}: key 'genres' must have one name for each of the "
            f"{labels.shape[1]} columns of 'labels'; got shape {genres.shape}."
        )
    return build_bunch(
        blocks,
        labels.astype(np.int64),
        target_names=None if genres is None else genres.tolist(),
        descr=_MMIMDB.format(
            name=path.name, n_samples=n_samples, n_genres=labels.shape[1]
        ),
        return_X_y=return_X_y,
        as_frame=as_frame,
        split=None if split is None else _split_codes(split, n_samples, "split", path),
    )


def _existing_file(path):
    """Return the path of a file, or raise FileNotFoundError."""
    found = Path(path)
    if not found.is_file():
        kind = "a folder" if found.is_dir() else "nothing"
        raise FileNotFoundError(f"{path} must be a file; got {kind}.")
    return found


def _read_arrays(path):
    """Path and arrays of an archive. Object arrays are refused, as they are pickles."""
    path, arrays, key = _existing_file(path), {}, None
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            for key in archive.files:
                arrays[key] = archive[key]
    except Exception as error:  # zipfile and numpy raise many types for invalid files
        what = f": key {key!r} must hold numbers or strings"
        raise ValueError(
            f"{path}{' must be a numpy archive (.npz)' if key is None else what}; got "
            f"{type(error).__name__}: {str(error)[:200]}."
        ) from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path}: key {key!r} must be an array; got other data.")
    return path, arrays


def _get(arrays, key, where):
    """Return an array with at least one axis."""
    if key not in arrays:
        found = [found[:80] for found in arrays if isinstance(found, str)]
        raise ValueError(f"{where} must have the key {key!r}; got {found}.")
    array = np.asarray(arrays[key])
    if array.ndim == 0:
        raise ValueError(f"{where}: key {key!r} must have a value per sample; got one.")
    return array


def _modality(arrays, key, path, axes=(2, 3)):
    """Read a modality of finite floats or NaN. Half floats become float32."""
    array = _get(arrays, key, path)
    if array.dtype.kind not in "fiu" or array.ndim not in axes or not array.size:
        shape = "two axes" if axes == (2,) else "two or three axes"
        raise ValueError(
            f"{path}: key {key!r} must be numbers with {shape}; got shape "
            f"{array.shape} and type {array.dtype}."
        )
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.itemsize < 4 else np.float64)
    n_infinite = int(np.isinf(array).sum())
    if n_infinite:
        raise ValueError(
            f"{path}: key {key!r} must be finite, or NaN where a modality is missing; "
            f"got {count(n_infinite, 'infinite value')}."
        )
    return array


def _check_lengths(arrays, where):
    """Number of samples, which must be the same in all arrays."""
    counts = {key: len(array) for key, array in arrays.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{key!r} {count}" for key, count in counts.items())
        raise ValueError(f"{where}: all arrays must have as many samples; got {shown}.")
    return next(iter(counts.values()))


def _split_codes(split, n_samples, key, path):
    """Split codes 0, 1 and 2 from numbers or names."""
    if split.shape != (n_samples,):
        raise ValueError(
            f"{path}: key {key!r} must have shape ({n_samples},); got {split.shape}."
        )
    if split.dtype.kind == "S":
        split = np.char.decode(split, "utf-8", "replace")
    if split.dtype.kind == "U":
        words = [word.strip().lower() for word in split.tolist()]
        if unknown := sorted(set(words) - set(_SPLITS)):
            raise ValueError(
                f"{path}: key {key!r} must have the names {', '.join(_SPLITS)}; got "
                f"{unknown[0]!r}."
            )
        return np.array([_SPLITS[word] for word in words], dtype=np.int64)
    odd = np.setdiff1d(split, [0, 1, 2])
    if split.dtype.kind not in "iu" or odd.size:
        raise ValueError(
            f"{path}: key {key!r} must have the codes 0 (train), 1 (validation) and 2 "
            f"(test), or their names; got {odd[:1].tolist() or split.dtype}."
        )
    return split.astype(np.int64)


# ------------------------------------------------------------------------- CMU-MOSI

_MOSI = """CMU-MOSI from {name}.

{n_samples} utterances: text, audio and vision as sequences of tokens. Target: sentiment
from -3 to 3. Tokens that are padding are NaN.
"""


def read_mosi(path, *, pool=None, return_X_y=False, as_frame=False):
    """Read CMU-MOSI (or MOSEI) as published for MulT and MMSA.

    Parameters
    ----------
    path : str or path-like
        A pickled dict with the keys `train`, `valid` and `test`. Each value is a dict
        with the arrays `text`, `audio` and `vision` of shape (n_samples, n_tokens,
        dim), `regression_labels` or `labels`, and optionally `id`. Modalities may have
        different numbers of tokens (unaligned files).
    pool : {"mean", None}, default=None
        `"mean"` averages the tokens that are not padding, into one vector per modality.
        None keeps the sequences, flattened to one row per sample.
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `modality__feature`.

    Returns
    -------
    data : Bunch
        With `data` of shape (n_samples, n_features), training samples first, `target`
        of shape (n_samples,), `split` (0 train, 1 validation, 2 test), `id` (None, or
        an array of strings), `modalities` (token shapes or widths by name),
        `feature_names`, `frame` and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Raises
    ------
    ValueError
        If the file contains other objects than numpy arrays, numbers, strings and plain
        containers, or if a key is missing or invalid.

    Warns
    -----
    ModalityWarning
        If cells are infinite, as in the audio of some files. These cells become NaN.

    Notes
    -----
    A pickle can call any function when it is read. This function only accepts the names
    that describe numpy arrays, and builds the arrays itself.

    The files pad short sequences with zeros, without a mask. Tokens with zeros in all
    columns count as padding and become NaN. If all tokens of a modality are zero in a
    sample (failed extraction), the modality is therefore missing.

    References
    ----------
    A. Zadeh et al., "MOSI: Multimodal Corpus of Sentiment Intensity and Subjectivity
    Analysis in Online Opinion Videos", arXiv:1606.06259.

    Examples
    --------
    >>> import pathlib, pickle, tempfile
    >>> import numpy as np
    >>> from skmissing.datasets import read_mosi
    >>> def part(n):
    ...     return {"text": np.ones((n, 5, 3)), "audio": np.ones((n, 5, 2)),
    ...             "vision": np.ones((n, 5, 2)), "regression_labels": np.zeros(n)}
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "mosi.pkl"
    >>> _ = path.write_bytes(
    ...     pickle.dumps({"train": part(4), "valid": part(1), "test": part(2)}))
    >>> mosi = read_mosi(path)
    >>> mosi.data.shape, mosi.modalities["text"], mosi.split.tolist()
    ((7, 35), (5, 3), [0, 0, 0, 0, 1, 2, 2])
    >>> folder.cleanup()
    """
    if pool not in (None, "mean"):
        raise ValueError(f"pool must be 'mean' or None; got {pool!r}.")
    path = _existing_file(path)
    content = _read_pickle(path)
    parts = [_read_part(content, name, path) for name in ("train", "valid", "test")]
    blocks = {}
    for key in ("text", "audio", "vision"):
        arrays = [part[key] for part in parts]
        if len({array.shape[1:] for array in arrays}) > 1:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(
                f"{path}: key {key!r} must have the same tokens and columns in all "
                f"splits; got the shapes {shapes}."
            )
        tokens = _mark_padding(np.concatenate(arrays), key, path)
        blocks[key] = _mean_of_tokens(tokens) if pool == "mean" else tokens
    ids = [part["id"] for part in parts]
    target = np.concatenate([part["target"] for part in parts])
    return build_bunch(
        blocks,
        target,
        descr=_MOSI.format(name=path.name, n_samples=len(target)),
        return_X_y=return_X_y,
        as_frame=as_frame,
        split=np.repeat(np.arange(3), [len(part["target"]) for part in parts]),
        id=None if any(i is None for i in ids) else np.concatenate(ids),
    )


class _DType:
    """Replaces `numpy.dtype`: only numbers, booleans, strings and objects."""

    order = "="

    def __init__(self, code, *flags):
        self.code = re.fullmatch(r"[biufSU]\d+|O8?|\?", code)[0]

    def __setstate__(self, state):
        self.order = re.fullmatch("[<>=|]", state[1])[0]
        if any(field is not None for field in state[2:5]):
            raise ValueError("an array of records")

    def build(self):
        return np.dtype(self.order + self.code.replace("O8", "O"))


class _Array:
    """Replaces an array, whose own `__setstate__` could crash."""

    def __init__(self, *args):
        self.value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        dtype = dtype.build()
        if dtype.hasobject:
            value = np.empty(len(data), dtype=object)
            for i, item in enumerate(data):
                value[i] = item
        else:
            data = data.encode("latin1") if isinstance(data, str) else data
            value = np.frombuffer(data, dtype)
        self.value = value.reshape(shape, order="F" if fortran else "C")

    def __array__(self, dtype=None, copy=None):
        return self.value


class _Buffer:
    """Replaces `numpy._core.numeric._frombuffer`."""

    def __new__(cls, data, dtype, shape, order, axes=None):
        array = np.frombuffer(data, dtype.build())
        array = array.reshape(shape, order="F" if order == "F" else "C")
        return array if axes is None else array.transpose(axes)


class _Scalar:
    """Replaces `numpy._core.multiarray.scalar`."""

    def __new__(cls, dtype, data):
        data = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(data, dtype.build(), count=1)[0]


class _Latin1:
    """Replaces `_codecs.encode`, which old pickles use for bytes."""

    def __new__(cls, text, encoding):
        return text.encode("latin1")


_KNOWN = {("numpy", "ndarray"): None, ("numpy", "dtype"): _DType}
_KNOWN["_codecs", "encode"] = _Latin1
for _package in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_package}.multiarray", "_reconstruct"] = _Array
    _KNOWN[f"{_package}.multiarray", "scalar"] = _Scalar
    _KNOWN[f"{_package}.numeric", "_frombuffer"] = _Buffer
_FOREIGN = pickle.EXT1 + pickle.EXT2 + pickle.EXT4 + pickle.NEXT_BUFFER


class _Unpickler(pickle._Unpickler):
    # The reader in C reads extension codes from a cache without find_class. A few bytes
    # can also make it allocate any amount of memory.
    def find_class(self, module, name):
        return _KNOWN[module, name]

    def load_build(self):
        if not isinstance(self.stack[-2], (_DType, _Array)):
            raise pickle.UnpicklingError("a state of an object other than an array")
        super().load_build()

    dispatch = pickle._Unpickler.dispatch | {
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: pickle._Unpickler.load_binbytes8,
    }
    for _code in _FOREIGN:
        del dispatch[_code]


def _read_pickle(path):
    with open(path, "rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        except Exception as error:
            raise ValueError(
                f"{path} must be a pickle of numpy arrays, numbers, strings and plain "
                f"containers only; got {type(error).__name__}: {str(error)[:200]}."
            ) from error


def _read_part(content, name, path):
    """Read and check the arrays of one split."""
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        found = content if isinstance(content, dict) else []
        found = [key[:80] for key in found if isinstance(key, str)]
        raise ValueError(
            f"{path} must have a dict under the key {name!r}; got the keys {found}."
        )
    part, where, read = content[name], f"{path}: split {name!r}", {}
    for key in ("text", "audio", "vision"):
        array = _get(part, key, where)
        if array.ndim != 3 or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{where}: key {key!r} must be numbers of shape (n_samples, n_tokens, "
                f"dim); got shape {array.shape} and type {array.dtype}."
            )
        read[key] = array.astype(np.float32, copy=False)
    label = "regression_labels" if "regression_labels" in part else "labels"
    target = _get(part, label, where)
    if target.dtype.kind not in "fiu" or target.size != len(target):
        raise ValueError(
            f"{where}: key {label!r} must have one number per sample; got shape "
            f"{target.shape} and type {target.dtype}."
        )
    n_samples = _check_lengths({**read, label: target}, where)
    read["target"] = target.reshape(-1).astype(np.float64)
    ids = part.get("id")
    ids = ids.value if isinstance(ids, _Array) else ids
    if ids is not None and len(ids) != n_samples:
        raise ValueError(
            f"{where}: key 'id' must have an entry for each of the {n_samples} "
            f"samples; got {len(ids)}."
        )
    if ids is not None:  # several columns (video, start, end) are joined
        ids = [
            i if isinstance(i, str) else "_".join(map(str, np.ravel(i))) for i in ids
        ]
        ids = np.array(ids, dtype=np.str_)
    return {**read, "id": ids}


def _mark_padding(tokens, key, path):
    """Set tokens of zeros, and infinite cells, to NaN."""
    tokens[~tokens.any(axis=2)] = np.nan
    infinite = np.isinf(tokens)
    if infinite.any():
        warn(
            f"{path}: key {key!r} has "
            f"{count(infinite.sum(), 'infinite cell')}, set to NaN."
        )
        tokens[infinite] = np.nan
    return tokens


def _mean_of_tokens(tokens):
    """Mean over the tokens with an observed cell; NaN if there is none."""
    seen = ~np.isnan(tokens)
    total = np.where(seen, tokens, 0).sum(axis=1, dtype=np.float64)
    count = seen.sum(axis=1)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)


# ------------------------------------------------------------------------ Sleep-EDF

_STAGES = ["W", "N1", "N2", "N3", "REM"]
# Rechtschaffen and Kales' stages 3 and 4 are N3 of the AASM.
_CODES = {"W": 0, "1": 1, "2": 2, "3": 3, "4": 3, "R": 4}
_CODES |= {"N1": 1, "N2": 2, "N3": 3, "REM": 4}

_SLEEP = """Sleep-EDF: {n_epochs} epochs of {seconds:g} s from {n_records} recordings.

Modalities are the channels, {modalities}; NaN where a channel is missing.
Target: sleep stage, W, N1, N2, N3 (stages 3 and 4) or REM. Left out: {left_out}.
"""


def read_sleep_edf(
    path, *, channels=None, epoch_seconds=30, return_X_y=False, as_frame=False
):
    """Read Sleep-EDF recordings as epochs, one modality per channel.

    Parameters
    ----------
    path : str or path-like
        A file `...-PSG.edf` with its hypnogram `...-Hypnogram.edf` in the same folder,
        or a folder with such pairs. Both names have the same first seven characters
        (`SC4001E0-PSG.edf` and `SC4001EC-Hypnogram.edf`).
    channels : list of str or None, default=None
        Channels to read, by label (`"EEG Fpz-Cz"`) or by name of the modality
        (`"eeg_fpz_cz"`: lower case, underscores). None reads all channels. A channel
        that is not in a recording is a missing modality.
    epoch_seconds : float, default=30
        Length of an epoch.
    return_X_y, as_frame : bool, default=False
        Whether to return the pair `(data, target)`, and whether to return pandas
        objects, with columns named `channel__sample`.

    Returns
    -------
    data : Bunch
        With `data` (float32, physical units) of shape (n_epochs, n_features), `target`
        (0 to 4), `target_names` (W, N1, N2, N3, REM), `modalities` (values per epoch by
        channel), `record` and `onset` (seconds) of each epoch, `left_out` (number of
        epochs by other score, or without a score), `feature_names`, `frame` and
        `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Notes
    -----
    Stages 3 and 4 are merged into N3. Epochs are left out and counted if they are
    scored as movement or unknown, have no score, or are not covered by the signal. For
    evaluation by person, pass characters 4 and 5 of `record`, which identify the
    subject, as `groups`.

    The package edfio is required: ``pip install "skmissing[datasets]"``.

    References
    ----------
    B. Kemp et al., "Analysis of a sleep-dependent neuronal feedback loop: the slow-wave
    microcontinuity of the EEG", IEEE Transactions on Biomedical Engineering 47 (2000).

    Examples
    --------
    >>> from skmissing.datasets import read_sleep_edf
    >>> sleep = read_sleep_edf("sleep-cassette")  # doctest: +SKIP
    >>> sleep.modalities  # doctest: +SKIP
    {'eeg_fpz_cz': 3000, 'eeg_pz_oz': 3000, 'eog_horizontal': 3000, ...}
    """
    edfio = import_optional("edfio", "datasets")
    if not epoch_seconds > 0:
        raise ValueError(f"epoch_seconds must be positive; got {epoch_seconds!r}.")
    records, left_out = [], Counter()
    for signal_file, score_file in _find_pairs(Path(path)):
        record = _read_record(edfio, signal_file, score_file, channels, epoch_seconds)
        records.append(record)
        left_out.update(record["left_out"])
    widths = _common_widths(records, channels)
    blocks = {
        name: np.concatenate([_block(record, name, width) for record in records])
        for name, width in widths.items()
    }
    counts = [len(record["target"]) for record in records]
    target = np.concatenate([record["target"] for record in records])
    return build_bunch(
        blocks,
        target,
        target_names=_STAGES,
        descr=_SLEEP.format(
            n_epochs=len(target),
            seconds=epoch_seconds,
            n_records=len(records),
            modalities=", ".join(blocks),
            left_out=dict(left_out) or "nothing",
        ),
        return_X_y=return_X_y,
        as_frame=as_frame,
        record=np.repeat([record["name"] for record in records], counts),
        onset=np.concatenate([record["onset"] for record in records]),
        left_out=dict(left_out),
    )


def _find_pairs(path):
    """Pairs of signal file and hypnogram."""
    if path.is_dir():
        signals = sorted(path.glob("*-PSG.edf"))
        if not signals:
            raise FileNotFoundError(f"{path} must have files *-PSG.edf; got none.")
    elif path.is_file():
        signals = [path]
    else:
        raise FileNotFoundError(f"{path} must be a file or a folder; got nothing.")
    pairs = []
    for signal in signals:
        scores = sorted(signal.parent.glob(f"{signal.name[:7]}*-Hypnogram.edf"))
        if len(scores) != 1:
            raise FileNotFoundError(
                f"{signal} must have one file {signal.name[:7]}*-Hypnogram.edf in its "
                f"folder; got {len(scores)}."
            )
        pairs.append((signal, scores[0]))
    return pairs


def _read_edf(edfio, path):
    try:
        return edfio.read_edf(path)
    except Exception as exc:
        raise ValueError(
            f"{path} must be an EDF file; got {type(exc).__name__}: {exc}."
        ) from exc


def _read_record(edfio, signal_file, score_file, channels, seconds):
    """Cut the signals of one recording into scored epochs."""
    signals = {}
    for signal in _read_edf(edfio, signal_file).signals:
        name = _as_name(signal.label)
        if channels is not None and name not in map(_as_name, channels):
            continue
        if name in signals:
            raise ValueError(
                f"{signal_file}: the names of channels must differ; got {name!r} "
                "twice. Choose other channels by channels=."
            )
        signals[name] = signal
    if not signals:
        raise ValueError(
            f"{signal_file} must have one of the channels {channels!r}; got none."
        )
    samples = {}
    for name, signal in signals.items():
        width = signal.sampling_frequency * seconds
        if abs(width - round(width)) > 1e-6 or round(width) < 1:
            raise ValueError(
                f"{signal_file}: channel {name!r} must have a whole number of values "
                f"in {seconds:g} s; got {signal.sampling_frequency:g} per second."
            )
        samples[name] = round(width)
    n_epochs = min(len(s.data) // samples[name] for name, s in signals.items())
    stages, left_out = _read_stages(edfio, score_file, n_epochs, seconds)
    scored = np.flatnonzero(stages >= 0)
    if not len(scored):
        raise ValueError(
            f"{score_file} must have annotations such as 'Sleep stage W' for the "
            f"{n_epochs} epochs of {signal_file.name}; got none."
        )
    blocks = {}
    for name, signal in signals.items():
        width = samples[name]
        whole = signal.data[: n_epochs * width].reshape(n_epochs, width)
        blocks[name] = whole[scored].astype(np.float32)
    return {
        "name": signal_file.name.removesuffix("-PSG.edf"),
        "path": signal_file,
        "blocks": blocks,
        "target": stages[scored],
        "onset": scored * float(seconds),
        "left_out": left_out,
    }


def _read_stages(edfio, path, n_epochs, seconds):
    """Stage of each epoch, -1 if there is none, and counts of left-out epochs."""
    stages = np.full(n_epochs, -1, dtype=np.int64)
    scores, left_out = np.full(n_epochs, "unscored", dtype=object), Counter()
    for annotation in _read_edf(edfio, path).annotations:
        text = annotation.text.strip()
        if not re.match(r"sleep stage|movement", text, flags=re.IGNORECASE):
            continue
        stage = re.sub(r"^sleep stage\s*", "", text, flags=re.IGNORECASE)
        start = annotation.onset / seconds
        if start < 0 or abs(start - round(start)) > 1e-6:
            raise ValueError(
                f"{path}: annotation {text!r} must start at a multiple of {seconds:g} "
                f"s; got {annotation.onset:g} s."
            )
        length = (annotation.duration or seconds) / seconds
        if stage in _CODES and abs(length - round(length)) > 1e-6:
            raise ValueError(
                f"{path}: annotation {text!r} must last a multiple of {seconds:g} s; "
                f"got {annotation.duration:g} s."
            )
        first, n_here = round(start), round(length)
        n_beyond = max(0, first + n_here - max(n_epochs, first))
        if stage in _CODES and n_beyond:
            left_out["beyond the signal"] += n_beyond
        stages[first : first + n_here] = _CODES.get(stage, -1)
        scores[first : first + n_here] = stage
    left_out.update(scores[stages < 0].tolist())
    return stages, left_out


def _common_widths(records, channels):
    """Values per epoch by channel, which must be the same in all recordings."""
    widths = {}
    for record in records:
        for name, block in record["blocks"].items():
            width = widths.setdefault(name, block.shape[1])
            if width != block.shape[1]:
                raise ValueError(
                    f"{record['path']}: channel {name!r} must have {width} values per "
                    f"epoch, as in earlier recordings; got {block.shape[1]}."
                )
    if channels is None:
        return widths
    for label in channels:
        if _as_name(label) not in widths:
            raise ValueError(
                f"{records[0]['path'].parent} must have the channel {label!r} in some "
                f"recording; got {', '.join(widths)}."
            )
    return {_as_name(label): widths[_as_name(label)] for label in channels}


def _block(record, name, width):
    """Values of a channel in a recording; NaN if there is no such channel."""
    if name in record["blocks"]:
        return record["blocks"][name]
    return np.full((len(record["target"]), width), np.nan, dtype=np.float32)


def _as_name(label):
    return re.sub(r"[^0-9a-z]+", "_", label.lower()).strip("_")
