"""What to hide: rates, tables of patterns, and the strings that papers use for them.

Nothing here looks at X; the names of its modalities are enough.
"""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

_NUMBER = r"\d+(?:\.\d+)?"


@dataclass(frozen=True)
class ModalityRates:
    """Each modality is hidden independently of the others, at its own rate.

    Parameters
    ----------
    rates : float or dict
        The fraction of rows that lose a modality: one for all, or one by name.
        Modalities that a dict leaves out are never hidden.

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
        """Rates in the order of `names`.

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
            Fraction of rows that lose each modality.
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
    """Some modalities are drawn once; each of them is hidden in a fraction of the rows.

    This is the protocol of the Sleep-EDF experiments of UL4M4, where it is written
    `(pm, ps)`.

    Parameters
    ----------
    modalities : float
        The fraction of the modalities that is drawn; rounded to a whole number, halves
        upwards.
    rows : float
        The fraction of the rows that lose each modality drawn, independently.

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
        """Draw the modalities.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.
        rng : RandomState
            Draws them.
        spared : int or None, default=None
            Number of a modality that is never drawn.

        Returns
        -------
        ndarray of shape (n_modalities,)
            `rows` for the modalities drawn and 0 for the others.
        """
        asked = self.modalities * len(names)
        n_drawn = math.floor(asked + 0.5)
        if n_drawn == 0 and self.modalities > 0:
            raise ValueError(
                f"missing=({self.modalities}, {self.rows}): pm={self.modalities} of "
                f"{len(names)} modalities is {asked:g}, which rounds to none; give at "
                f"least {0.5 / len(names):g}."
            )
        rates = np.zeros(len(names))
        order = rng.permutation(len(names))
        rates[order[order != spared][:n_drawn]] = self.rows
        return rates


@dataclass(frozen=True)
class PatternTable:
    """Each row gets one of several explicit sets of modalities.

    Parameters
    ----------
    probabilities : dict
        From the modalities that a row keeps (a tuple of names, or one string with `+`
        between them; `()` or `""` for none) to the fraction of rows that get them.
        The fractions must sum to 1.
    exact : bool, default=True
        If True, the number of rows of each pattern is its fraction of the rows given,
        to rounding (largest remainders). If False, each row draws by itself.

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
                "PatternTable needs a dict from the modalities kept to a fraction; "
                f"got {self.probabilities!r}."
            )
        for pattern, value in self.probabilities.items():
            _check_fraction(value, f"PatternTable: the fraction of {pattern!r}")
        total = math.fsum(self.probabilities.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"PatternTable: the fractions sum to {total:g}, not 1: "
                f"{dict(self.probabilities)!r}."
            )

    def table_for(self, names):
        """Patterns in the order of `names`.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.

        Returns
        -------
        keep : ndarray of shape (n_patterns, n_modalities), dtype bool
            The modalities that each pattern keeps.
        probabilities : ndarray of shape (n_patterns,)
            Fraction of the rows that get each pattern.
        """
        keep = np.zeros((len(self.probabilities), len(names)), dtype=bool)
        for row, pattern in zip(keep, self.probabilities):
            kept = pattern
            if isinstance(pattern, str):
                # A name that itself holds a "+" is a pattern of its own.
                whole = pattern in names or not pattern
                kept = [pattern] * bool(pattern) if whole else pattern.split("+")
            _check_known(kept, names, f"PatternTable: pattern {pattern!r}")
            row[[list(names).index(name) for name in kept]] = True
        if len(np.unique(keep, axis=0)) < len(keep):
            raise ValueError(
                "PatternTable: the same set of modalities is named twice in "
                f"{list(self.probabilities)!r}."
            )
        return keep, np.array([float(p) for p in self.probabilities.values()])


@dataclass(frozen=True)
class OneMissing:
    """A fraction of the rows loses exactly one modality, each as often as another.

    Parameters
    ----------
    rows : float
        The fraction; the other rows stay complete.
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
        """Patterns in the order of `names`.

        Parameters
        ----------
        names : sequence of str
            The modalities of X.

        Returns
        -------
        keep : ndarray of shape (n_modalities + 1, n_modalities), dtype bool
            The modalities that each pattern keeps; the first one keeps all.
        probabilities : ndarray of shape (n_modalities + 1,)
            Fraction of the rows that get each pattern.
        """
        n = len(names)
        keep = np.vstack([np.ones((1, n), dtype=bool), ~np.eye(n, dtype=bool)])
        return keep, np.r_[1 - self.rows, np.full(n, self.rows / n)]


def parse_missing(missing, names):
    """Turn any value of `missing` into a configuration object.

    Parameters
    ----------
    missing : float, dict, tuple, str or configuration object
        A rate; rates by modality; `(pm, ps)`; or one of the strings

        - `"0.5"` and `"0.4,0.8"`, a rate and `(pm, ps)`;
        - `"20-text-100-audio-20-video"`: the percentage of rows that *keep* each
          modality, drawn independently. Every modality must be named, in any order;
        - `"complex-20-20-20-10-10-10-10"`: disjoint groups of exactly these
          percentages. The first keeps all modalities; then come those that keep one,
          those that keep two and so on, each in the order of `names`. Two modalities
          have three numbers (both, first, second), three have seven.
    names : sequence of str
        The modalities of X, in order.

    Returns
    -------
    ModalityRates, ModalityFraction, PatternTable or OneMissing
        What `missing` stands for; a configuration object comes back as it is.

    Raises
    ------
    ValueError
        If the value cannot be read; the message says where and what was wanted.

    Examples
    --------
    >>> from skmissing.simulate import parse_missing
    >>> parse_missing("20-text-100-audio", ["text", "audio"])
    ModalityRates(rates={'text': 0.8, 'audio': 0.0})
    >>> parse_missing("complex-10-45-45", ["image", "text"]).probabilities
    {('image', 'text'): 0.1, ('image',): 0.45, ('text',): 0.45}
    >>> parse_missing("complex-10-40-40", ["image", "text"])
    Traceback (most recent call last):
    ...
    ValueError: missing='complex-10-40-40' sums to 90, not 100.
    """
    if isinstance(missing, (ModalityRates, ModalityFraction, PatternTable, OneMissing)):
        return missing
    if isinstance(missing, tuple):
        if len(missing) != 2:
            raise ValueError(f"missing={missing!r} must be a pair (pm, ps).")
        return ModalityFraction(*missing)
    if isinstance(missing, str):
        return _parse_string(missing.strip(), list(names))
    return ModalityRates(missing)


def subset_order(n_modalities):
    """The sets of modalities that the numbers of `complex-...` stand for.

    Parameters
    ----------
    n_modalities : int

    Returns
    -------
    list of tuple of int
        All modalities, then the single ones, the pairs, and so on.
    """
    everything = tuple(range(n_modalities))
    smaller = (
        itertools.combinations(everything, size) for size in range(1, n_modalities)
    )
    return [everything, *itertools.chain.from_iterable(smaller)]


def _parse_string(text, names):
    if re.fullmatch(_NUMBER, text):
        return ModalityRates(float(text))
    pair = re.fullmatch(rf"\(?\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)?", text)
    if pair:
        return ModalityFraction(float(pair[1]), float(pair[2]))
    if text.startswith("complex-"):
        return _parse_complex(text, names)
    return _parse_kept(text, names)


def _parse_complex(text, names):
    parts = text.split("-")[1:]
    bad = [part for part in parts if not re.fullmatch(_NUMBER, part)]
    if bad:
        raise ValueError(f"missing={text!r}: {bad[0]!r} is not a percentage.")
    subsets = [tuple(names[m] for m in subset) for subset in subset_order(len(names))]
    if len(parts) != len(subsets):
        shown = ", ".join("+".join(subset) for subset in subsets[:7])
        raise ValueError(
            f"missing={text!r} has {len(parts)} numbers, but the {len(names)} "
            f"modalities of X need {len(subsets)}: {shown}"
            f"{', ...' if len(subsets) > 7 else ''}."
        )
    total = math.fsum(map(float, parts))
    if abs(total - 100) > 1e-6:
        raise ValueError(f"missing={text!r} sums to {total:g}, not 100.")
    return PatternTable({s: float(part) / 100 for s, part in zip(subsets, parts)})


def _parse_kept(text, names):
    """Read percentages and names in turn; names may hold hyphens and numbers."""
    rest, rates = text, {}
    while True:
        head = re.match(rf"({_NUMBER})-(.+)", rest, flags=re.DOTALL)
        if head is None:
            raise ValueError(
                f"missing={text!r} cannot be read at {rest!r}: wanted a rate, 'pm,ps', "
                "'complex-<percent>-...' or '<percent>-<modality>-...'."
            )
        percent, tail = float(head[1]), head[2]
        fits = [n for n in names if tail == n or tail.startswith(f"{n}-")]
        if not fits:
            unknown = re.split(rf"-(?={_NUMBER}-)", tail)[0]
            _check_known([unknown], names, f"missing={text!r}")
        name = max(fits, key=len)
        if name in rates:
            raise ValueError(f"missing={text!r} names {name!r} twice.")
        if percent > 100:
            raise ValueError(
                f"missing={text!r}: {name!r} is kept in {head[1]} %; percentages lie "
                "between 0 and 100."
            )
        # Rounded, so that 20 % kept is the rate 0.8 and not 0.8 less one bit.
        rates[name] = round(1 - percent / 100, 12)
        if tail == name:
            break
        rest = tail[len(name) + 1 :]
    left = [name for name in names if name not in rates]
    if left:
        raise ValueError(
            f"missing={text!r} does not say how often {left[0]!r} is kept; add "
            f"'-100-{left[0]}' to keep it always. X has {', '.join(names)}."
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
