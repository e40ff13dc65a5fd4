"""What to hide: rates, tables of patterns, and the notation of papers for both."""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

_NUMBER = r"\d*\.?\d+"


@dataclass(frozen=True)
class ModalityRates:
    """Fraction of samples that *lose* each modality, independently of the others.

    Parameters
    ----------
    rates : float or dict
        One fraction for all modalities, or one per name. Modalities that are not in the
        dict are never hidden.

    Examples
    --------
    >>> from skmissing.simulate import ModalityRates
    >>> ModalityRates({"text": 0.8}).rates_for(["text", "audio"])
    array([0.8, 0. ])
    """

    rates: float | Mapping

    def __post_init__(self):
        items = self.rates.items() if isinstance(self.rates, Mapping) else ()
        for name, rate in items or [(None, self.rates)]:
            where = "missing" if name is None else f"missing[{name!r}]"
            _check_fraction(rate, where)

    def rates_for(self, names, rng=None, *, spared=None):
        """Return the fraction of samples that lose each modality.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.
        rng : object, default=None
            Not used.
        spared : int or None, default=None
            Number of a modality that is never hidden.

        Returns
        -------
        ndarray of shape (n_modalities,)
            In the order of `names`.
        """
        rates = np.zeros(len(names))
        if isinstance(self.rates, Mapping):
            _check_known(self.rates, names, "missing")
            rates[:] = [self.rates.get(name, 0.0) for name in names]
        else:
            rates[:] = self.rates
        rates[[] if spared is None else spared] = 0
        return rates


@dataclass(frozen=True)
class ModalityFraction:
    """Fraction of modalities drawn once, and of samples that *lose* each of them.

    This is the protocol `(pm, ps)` of the Sleep-EDF experiments of UL4M4.

    Parameters
    ----------
    modalities : float
        Fraction of the modalities to draw. The number is rounded, halves up.
    rows : float
        Fraction of the samples that lose each drawn modality, independently.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import ModalityFraction
    >>> rates = ModalityFraction(0.4, 0.8).rates_for(
    ...     ["c3", "c4", "eog", "emg", "resp"], np.random.RandomState(0))
    >>> sorted(rates.tolist())
    [0.0, 0.0, 0.0, 0.8, 0.8]
    """

    modalities: float
    rows: float

    def __post_init__(self):
        _check_fraction(self.modalities, "missing=(pm, ps): pm")
        _check_fraction(self.rows, "missing=(pm, ps): ps")

    def rates_for(self, names, rng, *, spared=None):
        """Draw the modalities, and return the fraction of samples that lose each.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.
        rng : RandomState
            Generator of the draws.
        spared : int or None, default=None
            Number of a modality that is never drawn.

        Returns
        -------
        ndarray of shape (n_modalities,)
            `rows` for the drawn modalities and 0 for the others.
        """
        asked = self.modalities * len(names)
        n_drawn = math.floor(asked + 0.5)
        if n_drawn == 0 and self.modalities > 0:
            raise ValueError(
                f"missing=({self.modalities}, {self.rows}): pm must be at least "
                f"{0.5 / len(names):g}; got {self.modalities}, which is {asked:g} of "
                f"{len(names)} modalities and rounds to 0."
            )
        rates = np.zeros(len(names))
        order = rng.permutation(len(names))
        rates[order[order != spared][:n_drawn]] = self.rows
        return rates


@dataclass(frozen=True)
class PatternTable:
    """Sets of modalities that samples *keep*, and the fraction of samples of each set.

    Parameters
    ----------
    probabilities : dict
        Mapping from the modalities that a sample keeps to the fraction of such samples.
        A key is a tuple of names, or a string of names joined by `+`. `()` or `""` is
        no modality. The fractions must sum to 1.
    exact : bool, default=True
        If True, the number of samples with each pattern is exact up to rounding
        (largest remainders). If False, the pattern of each sample is drawn
        independently.

    Examples
    --------
    >>> from skmissing.simulate import PatternTable
    >>> table = PatternTable({"image+text": 0.1, "image": 0.45, "text": 0.45})
    >>> keep, probabilities = table.table_for(["image", "text"])
    >>> keep.astype(int).tolist()
    [[1, 1], [1, 0], [0, 1]]
    """

    probabilities: Mapping
    exact: bool = True

    def __post_init__(self):
        if not isinstance(self.probabilities, Mapping) or not self.probabilities:
            raise ValueError(
                "PatternTable: probabilities must be a dict from the modalities kept "
                f"to a fraction; got {self.probabilities!r}."
            )
        for pattern, value in self.probabilities.items():
            _check_fraction(value, f"PatternTable: the fraction of {pattern!r}")
        total = math.fsum(self.probabilities.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"PatternTable: the fractions must sum to 1; got {total:g} from "
                f"{dict(self.probabilities)!r}."
            )

    def table_for(self, names):
        """Return the modalities of each pattern, and its fraction of the samples.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.

        Returns
        -------
        keep : ndarray of shape (n_patterns, n_modalities), dtype bool
            In the order of `names`.
        probabilities : ndarray of shape (n_patterns,)
            Fraction of each pattern.
        """
        keep = np.zeros((len(self.probabilities), len(names)), dtype=bool)
        for row, pattern in zip(keep, self.probabilities):
            kept = pattern
            if isinstance(pattern, str):
                # A "+" may also be part of a name.
                whole = pattern in names or not pattern
                kept = [pattern] * bool(pattern) if whole else pattern.split("+")
            _check_known(kept, names, f"PatternTable: pattern {pattern!r}")
            row[[list(names).index(name) for name in kept]] = True
        if len(np.unique(keep, axis=0)) < len(keep):
            raise ValueError(
                "PatternTable: each set of modalities must be named once; got "
                f"{list(self.probabilities)!r}."
            )
        return keep, np.array([float(p) for p in self.probabilities.values()])


@dataclass(frozen=True)
class OneMissing:
    """Fraction of samples that *lose* exactly one modality, each equally often.

    Parameters
    ----------
    rows : float
        Fraction of the samples. The other samples stay complete.
    exact : bool, default=True
        As in :class:`PatternTable`.

    Examples
    --------
    >>> from skmissing.simulate import OneMissing
    >>> keep, probabilities = OneMissing(0.7).table_for(["image", "text"])
    >>> keep.astype(int).tolist(), probabilities.round(2).tolist()
    ([[1, 1], [0, 1], [1, 0]], [0.3, 0.35, 0.35])
    """

    rows: float
    exact: bool = True

    def __post_init__(self):
        _check_fraction(self.rows, "OneMissing: rows")

    def table_for(self, names):
        """Return the modalities of each pattern, and its fraction of the samples.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.

        Returns
        -------
        keep : ndarray of shape (n_modalities + 1, n_modalities), dtype bool
            In the order of `names`. The first pattern keeps all modalities.
        probabilities : ndarray of shape (n_modalities + 1,)
            Fraction of each pattern.
        """
        n = len(names)
        keep = np.vstack([np.ones((1, n), dtype=bool), ~np.eye(n, dtype=bool)])
        return keep, np.r_[1 - self.rows, np.full(n, self.rows / n)]


def parse_config(config, names):
    """Read percentages of samples that *keep* modalities, in the notation of papers.

    Parameters
    ----------
    config : str
        One of two forms.

        - `"20-text-100-audio-20-video"`: the percentage of samples that keep each
          modality, drawn independently. Every modality must be named, in any order.
        - `"complex-20-20-20-10-10-10-10"`: disjoint groups of exactly these
          percentages. The first group keeps all modalities. The next groups keep one,
          then two, and so on, in the order of `names`. Two modalities need three
          numbers (both, first, second), and three need seven.
    names : sequence of str
        The modalities of X, in order.

    Returns
    -------
    ModalityRates or PatternTable
        A value for the parameter `missing` of :class:`ModalityAmputer`.

    Raises
    ------
    ValueError
        If the string is invalid. The message states where, and what was expected.

    Examples
    --------
    >>> from skmissing.simulate import parse_config
    >>> parse_config("20-text-100-audio", ["text", "audio"])
    ModalityRates(rates={'text': 0.8, 'audio': 0.0})
    >>> parse_config("complex-10-45-45", ["image", "text"]).probabilities
    {('image', 'text'): 0.1, ('image',): 0.45, ('text',): 0.45}
    >>> parse_config("complex-10-40-40", ["image", "text"])
    Traceback (most recent call last):
    ...
    ValueError: config='complex-10-40-40' must sum to 100; got 90.
    """
    config, names = config.strip(), list(names)
    if config.startswith("complex-"):
        return _parse_complex(config, names)
    return _parse_kept(config, names)


def read_missing(missing):
    """Return the configuration object for any value of `missing`."""
    if isinstance(missing, (ModalityRates, ModalityFraction, PatternTable, OneMissing)):
        return missing
    if isinstance(missing, tuple):
        if len(missing) != 2:
            raise ValueError(f"missing must be a pair (pm, ps); got {missing!r}.")
        return ModalityFraction(*missing)
    return ModalityRates(missing)


def read_numbers(text):
    """Read a rate or a pair (pm, ps) from a string; None if it is neither."""
    if re.fullmatch(_NUMBER, text.strip()):
        return float(text)
    pair = re.fullmatch(rf"\(?\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)?", text.strip())
    return None if pair is None else (float(pair[1]), float(pair[2]))


def subset_order(n_modalities):
    """Sets of modalities in the order of the numbers of `complex-...`."""
    everything = tuple(range(n_modalities))
    smaller = (
        itertools.combinations(everything, size) for size in range(1, n_modalities)
    )
    return [everything, *itertools.chain.from_iterable(smaller)]


def _parse_complex(text, names):
    parts = text.split("-")[1:]
    bad = [part for part in parts if not re.fullmatch(_NUMBER, part)]
    if bad:
        raise ValueError(f"config={text!r} must have percentages only; got {bad[0]!r}.")
    subsets = [tuple(names[m] for m in subset) for subset in subset_order(len(names))]
    if len(parts) != len(subsets):
        shown = ", ".join("+".join(subset) for subset in subsets[:7])
        raise ValueError(
            f"config={text!r} must have {len(subsets)} numbers for {len(names)} "
            f"modalities: {shown}{', ...' if len(subsets) > 7 else ''}; got "
            f"{len(parts)}."
        )
    total = math.fsum(map(float, parts))
    if abs(total - 100) > 1e-6:
        raise ValueError(f"config={text!r} must sum to 100; got {total:g}.")
    return PatternTable({s: float(part) / 100 for s, part in zip(subsets, parts)})


def _parse_kept(text, names):
    """Read pairs of percentage and name. Names may contain hyphens and numbers."""
    rest, rates = text, {}
    while True:
        head = re.match(rf"({_NUMBER})-(.+)", rest, flags=re.DOTALL)
        if head is None:
            raise ValueError(
                f"config={text!r} must be 'complex-<percent>-...' or "
                f"'<percent>-<modality>-...'; cannot read it at {rest!r}."
            )
        percent, tail = float(head[1]), head[2]
        fits = [n for n in names if tail == n or tail.startswith(f"{n}-")]
        if not fits:
            unknown = re.split(rf"-(?={_NUMBER}-)", tail)[0]
            _check_known([unknown], names, f"config={text!r}")
        name = max(fits, key=len)
        if name in rates:
            raise ValueError(f"config={text!r} must name {name!r} once.")
        if percent > 100:
            raise ValueError(
                f"config={text!r}: percentages must lie between 0 and 100; got "
                f"{head[1]} for {name!r}."
            )
        # Rounded, so that 20 % kept is a rate of exactly 0.8.
        rates[name] = round(1 - percent / 100, 12)
        if tail == name:
            break
        rest = tail[len(name) + 1 :]
    left = [name for name in names if name not in rates]
    if left:
        raise ValueError(
            f"config={text!r} must name all modalities, {', '.join(names)}; to keep "
            f"{left[0]!r} always, add '-100-{left[0]}'."
        )
    return ModalityRates(rates)


def _check_known(given, names, where):
    for name in given:
        if name not in names:
            raise ValueError(
                f"{where}: unknown modality {name!r}; X has {', '.join(names)}."
            )


def _check_fraction(value, where):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(f"{where} must be a number between 0 and 1; got {value!r}.")
    if not 0 <= value <= 1:
        raise ValueError(f"{where} must lie between 0 and 1; got {value!r}.")
