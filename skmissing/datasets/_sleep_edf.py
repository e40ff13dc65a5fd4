"""Loader for Sleep-EDF: polysomnograms and their hypnograms, as 30 s epochs."""

import re
from collections import Counter
from pathlib import Path

import numpy as np

from skmissing._compat import import_optional
from skmissing.datasets._bunch import build_bunch

_STAGES = ["W", "N1", "N2", "N3", "REM"]
# Rechtschaffen and Kales' stages 3 and 4 are N3 of the AASM.
_CODES = {"W": 0, "1": 1, "2": 2, "3": 3, "4": 3, "R": 4}
_CODES |= {"N1": 1, "N2": 2, "N3": 3, "REM": 4}

_DESCR = """Sleep-EDF: {n_epochs} epochs of {seconds:g} s from {n_records} recordings.

Modalities are the channels, {modalities}; NaN where a recording lacks a channel.
Target: sleep stage, W, N1, N2, N3 (stages 3 and 4) or REM. Left out: {left_out}.
"""


def load_sleep_edf(
    path, *, channels=None, epoch_seconds=30, return_X_y=False, as_frame=False
):
    """Load Sleep-EDF recordings as epochs, one modality a channel.

    Parameters
    ----------
    path : str or path-like
        A file `...-PSG.edf`, whose hypnogram `...-Hypnogram.edf` lies beside it, or a
        folder with such pairs. The two names agree in their first seven characters
        (`SC4001E0-PSG.edf` and `SC4001EC-Hypnogram.edf`).
    channels : list of str or None, default=None
        The channels to take, by label (`"EEG Fpz-Cz"`) or by the name that it gives
        (`"eeg_fpz_cz"`: lower case, underscores); None takes all. A recording that
        lacks one of them gets NaN: a missing modality.
    epoch_seconds : float, default=30
        Length of an epoch.
    return_X_y : bool, default=False
        Whether to return the pair `(data, target)` instead of a bunch.
    as_frame : bool, default=False
        Whether data and target are pandas objects, with columns `channel__sample`.

    Returns
    -------
    data : Bunch
        With `data` (float32, physical units) of shape (n_epochs, n_features), `target`
        (0 to 4), `target_names` (W, N1, N2, N3, REM), `modalities` (samples an epoch by
        channel), `record` and `onset` (seconds) of each epoch, `left_out` (what was
        scored otherwise or not at all, with the number of epochs), `feature_names`,
        `frame` and `DESCR`.
    (data, target) : tuple
        If `return_X_y=True`.

    Notes
    -----
    Stages 3 and 4 are merged to N3. Epochs scored as movement or unknown, those without
    a score and those that the signal does not cover are left out and counted. Evaluate
    by person: pass `record` as `groups`, or what it says of the subject (characters 4
    and 5 of the names).

    Reading needs the package edfio: ``pip install "skmissing[datasets]"``.

    References
    ----------
    B. Kemp et al., "Analysis of a sleep-dependent neuronal feedback loop: the slow-wave
    microcontinuity of the EEG", IEEE Transactions on Biomedical Engineering 47 (2000).

    Examples
    --------
    >>> from skmissing.datasets import load_sleep_edf
    >>> sleep = load_sleep_edf("sleep-cassette")  # doctest: +SKIP
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
        descr=_DESCR.format(
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
    """Signal files with the hypnogram of each."""
    if path.is_dir():
        signals = sorted(path.glob("*-PSG.edf"))
        if not signals:
            raise FileNotFoundError(f"{path}: wanted files *-PSG.edf, found none.")
    elif path.is_file():
        signals = [path]
    else:
        raise FileNotFoundError(f"{path}: wanted a file or a folder, found nothing.")
    pairs = []
    for signal in signals:
        scores = sorted(signal.parent.glob(f"{signal.name[:7]}*-Hypnogram.edf"))
        if len(scores) != 1:
            raise FileNotFoundError(
                f"{signal}: wanted one file {signal.name[:7]}*-Hypnogram.edf beside "
                f"it, found {len(scores)}."
            )
        pairs.append((signal, scores[0]))
    return pairs


def _read_edf(edfio, path):
    try:
        return edfio.read_edf(path)
    except Exception as exc:
        raise ValueError(
            f"{path}: wanted an EDF file, cannot read it ({exc})."
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
                f"{signal_file}: two channels are named {name!r}; wanted different "
                "names. Choose others by channels=."
            )
        signals[name] = signal
    if not signals:
        raise ValueError(
            f"{signal_file}: found none of the channels wanted, {channels!r}."
        )
    samples = {}
    for name, signal in signals.items():
        width = signal.sampling_frequency * seconds
        if abs(width - round(width)) > 1e-6 or round(width) < 1:
            raise ValueError(
                f"{signal_file}: channel {name!r} has {signal.sampling_frequency:g} "
                f"samples a second, wanted a whole number in {seconds:g} s."
            )
        samples[name] = round(width)
    n_epochs = min(len(s.data) // samples[name] for name, s in signals.items())
    stages, left_out = _read_stages(edfio, score_file, n_epochs, seconds)
    scored = np.flatnonzero(stages >= 0)
    if not len(scored):
        raise ValueError(
            f"{score_file}: found no scored epoch within the {n_epochs} epochs of "
            f"{signal_file.name}; wanted annotations such as 'Sleep stage W'."
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
    """Stage of each epoch, -1 where there is none, and what was left out."""
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
                f"{path}: annotation {text!r} starts at {annotation.onset:g} s, wanted "
                f"a multiple of {seconds:g} s."
            )
        length = (annotation.duration or seconds) / seconds
        if stage in _CODES and abs(length - round(length)) > 1e-6:
            raise ValueError(
                f"{path}: annotation {text!r} lasts {annotation.duration:g} s, wanted "
                f"a multiple of {seconds:g} s."
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
    """Samples an epoch by channel; recordings must agree on them."""
    widths = {}
    for record in records:
        for name, block in record["blocks"].items():
            width = widths.setdefault(name, block.shape[1])
            if width != block.shape[1]:
                raise ValueError(
                    f"{record['path']}: channel {name!r} has {block.shape[1]} samples "
                    f"an epoch, wanted {width} as in the recordings before."
                )
    if channels is None:
        return widths
    for label in channels:
        if _as_name(label) not in widths:
            raise ValueError(
                f"{records[0]['path'].parent}: wanted the channel {label!r}, which no "
                f"recording has; found {', '.join(widths)}."
            )
    return {_as_name(label): widths[_as_name(label)] for label in channels}


def _block(record, name, width):
    """The channel of a recording; NaN, if it lacks it."""
    if name in record["blocks"]:
        return record["blocks"][name]
    return np.full((len(record["target"]), width), np.nan, dtype=np.float32)


def _as_name(label):
    return re.sub(r"[^0-9a-z]+", "_", label.lower()).strip("_")
