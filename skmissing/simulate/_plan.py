"""From `missing` and the layout of X to the mask of hidden modalities."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from skmissing.simulate._config import parse_missing
from skmissing.simulate._mechanisms import (
    assign_patterns,
    draw_bursts,
    give_back,
    give_back_runs,
    set_generator,
    uniforms,
)


@dataclass
class Plan:
    """`missing`, resolved against the modalities of X.

    Attributes
    ----------
    rates : ndarray of shape (n_modalities,)
        Fraction of rows that are to lose each modality.
    keep : ndarray of shape (n_patterns, n_modalities), dtype bool, or None
        The patterns of a table; None if modalities are hidden by their rates.
    probabilities : ndarray of shape (n_patterns,) or None
    exact : bool
        Whether the number of rows of each pattern is fixed.
    intercepts : ndarray of shape (n_modalities,) or None
        Log-odds of being hidden at score 0; None if nothing drives the mechanism.
    """

    rates: np.ndarray
    keep: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    exact: bool = False
    intercepts: np.ndarray | None = None


def make_plan(missing, names, rng, *, mechanism, driver, allow_empty):
    """Resolve `missing` and refuse what cannot be had.

    Parameters
    ----------
    missing : float, dict, str, tuple or configuration object
    names : sequence of str
        The modalities of X.
    rng : RandomState
        Draws the modalities of `(pm, ps)`.
    mechanism : str
    driver : int or None
        Never hidden.
    allow_empty : bool

    Returns
    -------
    Plan
    """
    config = parse_missing(missing, names)
    if hasattr(config, "table_for"):
        keep, probabilities = config.table_for(names)
        if mechanism != "mcar":
            raise ValueError(
                f"mechanism={mechanism!r} needs rates by modality, as in missing=0.5; "
                f"missing={missing!r} gives patterns, which are assigned at random "
                "(mechanism='mcar')."
            )
        blank = probabilities[~keep.any(axis=1)].sum()
        if blank > 0 and not allow_empty and len(names) > 1:
            raise ValueError(
                f"missing={missing!r} takes all modalities from {blank:.0%} of the "
                "rows; pass allow_empty=True if that is meant."
            )
        plan = Plan(1 - probabilities @ keep, keep, probabilities, config.exact)
    else:
        if driver is not None:
            _check_driver(config, names[driver], missing)
        rates = config.rates_for(names, rng, spared=driver)
        if rates.min() == 1 and not allow_empty and len(names) > 1:
            raise ValueError(
                f"missing={missing!r} takes all modalities from every row; lower a "
                "rate, or pass allow_empty=True."
            )
        plan = Plan(rates)
    if len(names) == 1 and plan.rates[0] > 0 and not allow_empty:
        warnings.warn(
            f"X has a single modality, {names[0]!r}, and no row may lose all it has: "
            "nothing is hidden. Pass modalities=, or allow_empty=True.",
            stacklevel=5,
        )
    return plan


def _check_driver(config, name, missing):
    """The driver is not hidden; an explicit wish to hide it is an error."""
    rates = getattr(config, "rates", None)
    if isinstance(rates, Mapping) and rates.get(name, 0) > 0:
        raise ValueError(
            f"The driver {name!r} is never hidden, but missing={missing!r} gives it "
            f"the rate {rates[name]:g}; make that 0, or choose another driver."
        )


def draw_hidden(
    plan, keys, presence, *, scores=None, burst_length=None, groups=None, allow_empty
):
    """Draw which modalities the rows lose.

    Parameters
    ----------
    plan : Plan
    keys : ndarray of shape (n_samples,), dtype uint64
        As :func:`skmissing.simulate._mechanisms.row_keys` returns them.
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    scores : ndarray of shape (n_samples, n_modalities) or None
        What is added to the intercepts.
    burst_length : float or None
        If given, modalities are hidden in runs of this mean length.
    groups : ndarray of shape (n_samples,) or None
        Runs end where the group does.
    allow_empty : bool

    Returns
    -------
    ndarray of shape (n_samples, n_modalities), dtype bool
    """
    n_modalities = presence.shape[1]
    draws = uniforms(keys, n_modalities + 1)
    if plan.keep is not None:
        assigned = assign_patterns(draws[:, -1], plan.probabilities, plan.exact)
        hidden = presence & ~plan.keep[assigned]
        if not allow_empty:
            give_back(hidden, presence, np.ones(n_modalities), draws[:, :-1])
        return hidden
    if burst_length is not None:
        return _draw_in_runs(plan, keys, presence, burst_length, groups, allow_empty)
    rates = plan.rates if scores is None else expit(plan.intercepts + scores)
    rates = np.broadcast_to(rates, presence.shape)
    draws = draws[:, :-1]
    hidden = presence & (draws < rates)
    if not allow_empty:
        # In a row that would be empty draws < rates, so that the quotient is again
        # uniform; with equal rates the modality hidden last comes back.
        quotient = draws / np.maximum(rates, np.finfo(float).tiny)
        give_back(hidden, presence, 1 - rates, quotient)
    return hidden


def _draw_in_runs(plan, keys, presence, length, groups, allow_empty):
    short = [r for r in plan.rates if 0 < r < 1 and r / (1 - r) > length + 1e-9]
    if short:
        rate = max(short)
        raise ValueError(
            f"burst_length={length} is too short to hide a modality in {rate:.0%} of "
            f"the rows: runs must have {rate / (1 - rate):.3g} rows or more."
        )
    hidden = np.empty_like(presence)
    code = np.zeros(len(keys), dtype=np.intp)
    if groups is not None:
        _, code = np.unique(groups, return_inverse=True)
    for c in np.unique(code):
        rows = np.flatnonzero(code == c)
        rng = set_generator(keys[rows])
        part = np.column_stack(
            [draw_bursts(rng, len(rows), rate, length) for rate in plan.rates]
        )
        part &= presence[rows]
        if not allow_empty:
            give_back_runs(part, presence[rows], 1 - plan.rates, rng)
        hidden[rows] = part
    return hidden
