"""A transformer that hides modalities, and segments of modalities."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing.simulate._config import (
    ModalityFraction,
    ModalityRates,
    OneMissing,
    PatternTable,
    parse_config,
    read_missing,
)
from skmissing.simulate._mechanisms import (
    LevelScores,
    Plan,
    StratumScores,
    TargetScores,
    count_steps,
    draw_hidden,
    hide_segments,
    row_keys,
    solve_intercept,
    uniforms,
)

MECHANISMS = ("mcar", "mar", "mnar", "label", "group", "burst")
_MISSING = [
    Interval(Real, 0, 1, closed="both"),
    tuple,
    Mapping,
    ModalityRates,
    ModalityFraction,
    PatternTable,
    OneMissing,
    None,
]


@shared_docs
class ModalityAmputer(
    OneToOneFeatureMixin, TransformerMixin, ModalityMixin, SkmissingEstimator
):
    """Hide modalities: `missing` is the share *lost*, `config` is the share *kept*.

    All columns of a hidden modality become NaN. Missing modalities stay missing. At
    least one modality of a sample is kept, unless `allow_empty=True`. With the same
    seed, a sample always loses the same modalities, at any position, in `fit_transform`
    and in `transform`.

    Read more in the :ref:`user guide <simulate>`.

    Parameters
    ----------
    missing : float, dict, tuple or configuration object, default=None
        Which modalities are lost.

        - float or dict: the fraction of samples that lose each modality. A dict has one
          fraction per name. Modalities that are not in the dict are never hidden.
        - `(pm, ps)`: a fraction `pm` of the modalities is drawn in `fit`, and each is
          lost in a fraction `ps` of the samples.
        - :class:`ModalityRates`, :class:`ModalityFraction`, :class:`PatternTable` or
          :class:`OneMissing`.
        - None: 0.5, or the value of `config` if it is given.
    config : str, default=None
        Which modalities are kept, in the notation of the papers. Replaces `missing`.

        - `"20-text-100-audio-20-video"`: the percentage of samples that keep each
          modality.
        - `"complex-10-45-45"`: the exact percentages of disjoint groups of samples,
          which keep all modalities, each single modality, each pair, and so on.

        See :func:`parse_config`.
    %(modalities)s
    mechanism : {"mcar", "mar", "mnar", "label", "group", "burst"}, default="mcar"
        Which samples lose modalities.

        - `"mcar"`: completely at random.
        - `"mar"`: depending on the values of the modality `driver`, which is never
          hidden.
        - `"mnar"`: depending on the values that are hidden.
        - `"label"`: depending on y. `transform` does not have y, so `when="fit"` is
          required.
        - `"group"`: depending on the site or device: `groups`, or the single column of
          the modality `driver`.
        - `"burst"`: runs of consecutive samples, independently for each modality, as if
          a sensor failed.

        All mechanisms except `"mcar"` need rates, not patterns.
    driver : str, int or None, default=None
        Name or number of the modality that drives `"mar"`, or whose column is the group
        for `"group"`. For `"mar"`, None is the first modality.
    strength : float, default=1.0
        Change of the log-odds of being hidden per standard deviation of the score of
        `"mar"`, `"mnar"`, `"label"` or `"group"`. If positive, modalities of samples
        with large scores are hidden more often. If negative, less often.
    burst_length : float, default=10
        Mean number of samples per run, for `"burst"`.
    missing_at_transform : same as `missing`, default=None
        Which modalities are lost in `transform`, to simulate drift between training and
        use. None is the same as in `fit_transform`.
    when : {"both", "fit", "transform"}, default="both"
        When modalities are hidden. `"fit"` hides them in `fit_transform` only: in the
        training samples of a pipeline. `"transform"` hides them in `transform` only:
        when a pipeline predicts.
    allow_empty : bool, default=False
        Whether a sample may lose all its modalities.
    segment : float, default=0.0
        Share, less than 1, that is also *lost* of each modality that a sample keeps, as
        if a recording were interrupted: one run of neighbouring columns, or of tokens
        if the modality consists of tokens. At least one column or token is kept.
    random_state : int, RandomState instance or None, default=None
        Seed of the masks.

    Attributes
    ----------
    nominal_rates_ : dict
        Intended fraction of samples that lose each modality in `fit_transform`, by
        name.
    realized_rates_ : dict
        Actual fraction, among the samples in `fit` that have the modality. NaN if no
        sample has it.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    ampute : The same for one array, without fitting.
    missing_rates : Fraction of samples in which each modality is missing.

    Notes
    -----
    *Randomness.* The mask of a sample is drawn from a hash of its cells and of the
    seed. Equal samples are counted to distinguish them. The masks of training and test
    samples are therefore independent although they share a seed, and the training
    samples always get their training masks. With a single rate for all modalities, the
    masks of one seed are nested: a modality that is hidden at one rate is also hidden
    at any higher rate. The mask also depends on other samples for patterns with exact
    counts, for `"burst"`, which uses the order of samples, and for equal samples.

    *Samples that would lose all modalities.* With rates :math:`r_m`, such a sample
    keeps modality m with probability :math:`w_m = (1 - r_m) / \\sum_l (1 - r_l)`. A
    complete sample thus loses m with probability :math:`r_m - w_m \\prod_l r_l`. This
    is less than :math:`r_m` unless some rate is 0, see `realized_rates_`. With a table
    of patterns, a sample without any modality of its pattern keeps one modality.

    *Mechanisms.* `"mar"`, `"mnar"`, `"label"` and `"group"` hide modality m in sample i
    with probability :math:`\\sigma(a_m + \\beta s_{im})`. Here, :math:`\\beta` is
    `strength`, and :math:`s` is a score with mean 0 and variance 1 over the training
    samples. The number :math:`a_m` is solved in `fit` so that the mean over the samples
    is the rate. The score is the mean standardised cell of the driver for `"mar"`, and
    of the modality itself for `"mnar"`. It is 0 if this modality is missing. Classes
    and groups get evenly spaced scores in an order that is drawn for each modality. A
    continuous y is standardised to be the score. All statistics are learnt from the
    training samples only.

    *Segments.* With n observed columns or tokens in a modality of a sample, the length
    of the segment is `segment * n`, rounded up or down at random so that its mean is
    exact. Each position of the segment among the observed columns or tokens is equally
    likely. The middle is therefore lost more often than the ends, and in every sample
    if `segment` is more than 0.5. A modality of one column or token loses nothing.
    `nominal_rates_` and `realized_rates_` count whole modalities only.

    References
    ----------
    H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743, for the configurations.

    W. Zheng et al., "MuteBench", arXiv:2605.15235, for segments.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import ModalityAmputer
    >>> X = np.arange(24.0).reshape(6, 4)
    >>> amputer = ModalityAmputer(
    ...     config="complex-34-33-33", modalities={"text": 3, "audio": 1},
    ...     random_state=0)
    >>> Xt = amputer.fit_transform(X)
    >>> np.isnan(Xt[:, [0, 3]]).sum(axis=0).tolist()
    [2, 2]
    >>> amputer.realized_rates_
    {'text': 0.333..., 'audio': 0.333...}
    """

    _most_columns = np.inf, np.inf  # hiding single cells is common
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "missing": _MISSING,
        "config": [str, None],
        "mechanism": [StrOptions(set(MECHANISMS))],
        "driver": [str, Integral, None],
        "strength": [Interval(Real, None, None, closed="neither")],
        "burst_length": [Interval(Real, 1, None, closed="left")],
        "missing_at_transform": _MISSING,
        "when": [StrOptions({"both", "fit", "transform"})],
        "allow_empty": ["boolean"],
        "segment": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        missing=None,
        *,
        config=None,
        modalities=None,
        mechanism="mcar",
        driver=None,
        strength=1.0,
        burst_length=10,
        missing_at_transform=None,
        when="both",
        allow_empty=False,
        segment=0.0,
        random_state=None,
    ):
        self.missing = missing
        self.config = config
        self.modalities = modalities
        self.mechanism = mechanism
        self.driver = driver
        self.strength = strength
        self.burst_length = burst_length
        self.missing_at_transform = missing_at_transform
        self.when = when
        self.allow_empty = allow_empty
        self.segment = segment
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, groups=None):
        """Resolve `missing` and `config`, and learn the statistics of the mechanism.

        Parameters
        ----------
        %(X)s
        y : array-like of shape (n_samples,), default=None
            Classes or a continuous target, for `mechanism="label"`. Otherwise ignored.
        groups : array-like of shape (n_samples,), default=None
            Site or device of each sample, for `mechanism="group"`. For `"burst"`, the
            recording: runs do not continue into the next recording.

        Returns
        -------
        self : ModalityAmputer
            Fitted amputer.
        """
        self._fit(X, y, groups)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None, groups=None):
        """Fit, and hide modalities of the training samples.

        Parameters
        ----------
        X, y, groups : array-like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            X with NaN where a modality is hidden, or a copy of X if
            `when="transform"`.
        """
        table, hidden = self._fit(X, y, groups)
        return self._hide(table, hidden, "fit")

    def transform(self, X, groups=None):
        """Hide modalities.

        Parameters
        ----------
        %(X)s
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            X with NaN where a modality is hidden, or a copy of X if `when="fit"`.
        """
        check_is_fitted(self)
        table = self._validate(X, reset=False)
        hidden = self._draw(table, "transform", groups=groups)
        return self._hide(table, hidden, "transform")

    def hidden_modalities(self, X, groups=None):
        """Return the mask of modalities that `transform` would hide.

        Parameters
        ----------
        X, groups : array-like
            As in `transform`.

        Returns
        -------
        ndarray of shape (n_samples, n_modalities), dtype bool
            In the order of `modalities_`.
        """
        check_is_fitted(self)
        table = self._validate(X, reset=False)
        return self._draw(table, "transform", groups=groups)

    def _fit(self, X, y, groups):
        """Fit; return the table, and the mask of modalities to hide."""
        if self.mechanism == "label":
            table, y = self._validate(X, y, reset=True)
        else:
            table = self._validate(X, reset=True)
        self._driver = self._find_driver(table.layout)
        rng = check_random_state(self.random_state)
        self._seed = int(rng.randint(np.iinfo(np.int32).max))
        plan, later = self._read_plan(table), self.missing_at_transform
        self._plans = {
            "fit": plan,
            "transform": self._read_plan(table, later) if later is not None else plan,
        }
        values = self._values(table, y, groups)
        self._scorer = self._make_scorer(table, values, rng)
        if self._scorer is not None:
            scores = self._scorer(table.X, values)
            for plan in self._plans.values():
                plan.intercepts = np.array(
                    [
                        solve_intercept(scores[present, m], rate, self.strength)
                        for m, (rate, present) in enumerate(
                            zip(plan.rates, table.presence.T)
                        )
                    ]
                )
        hidden = self._draw(table, "fit", y=y, groups=groups)
        names, single = table.layout.names, count_steps(table.layout) == 1
        if self.segment and single.any():
            table.warn(
                f"segment={self.segment} hides nothing in modalities of one column or "
                f"token: {', '.join(np.array(names)[single][:5])}."
            )
        self.nominal_rates_ = dict(zip(names, self._plans["fit"].rates.tolist()))
        n_had = table.presence.sum(axis=0)
        rates = np.full(len(names), np.nan)
        np.divide(hidden.sum(axis=0), n_had, out=rates, where=n_had > 0)
        self.realized_rates_ = dict(zip(names, rates.tolist()))
        return table, hidden

    def _find_driver(self, layout):
        """Number of the driving modality, or None."""
        if self.mechanism == "label" and self.when != "fit":
            raise ValueError(
                "when must be 'fit' for mechanism='label', because transform takes no "
                f"y; got {self.when!r}. For test samples, use ampute(X, y=y, ...)."
            )
        if self.driver is None:
            return 0 if self.mechanism == "mar" else None
        if self.mechanism not in ("mar", "group"):
            raise ValueError(
                "driver must be None unless mechanism is 'mar' or 'group'; got "
                f"driver={self.driver!r} and mechanism={self.mechanism!r}."
            )
        named = isinstance(self.driver, str)
        if named and self.driver not in layout:
            raise ValueError(
                f"driver must be a modality of X, {', '.join(layout.names)}; got "
                f"{self.driver!r}."
            )
        if not named and not 0 <= self.driver < len(layout):
            raise ValueError(
                f"driver must be a name, or a number from 0 to {len(layout) - 1}; got "
                f"{self.driver}."
            )
        driver = layout.names.index(self.driver) if named else int(self.driver)
        width = layout.widths[driver]
        if self.mechanism == "group" and width != 1:
            raise ValueError(
                f"driver={self.driver!r} must have one column, which holds the group; "
                f"got {width}."
            )
        return driver

    def _read_plan(self, table, missing=None):
        """Resolve `missing` or `config` against the modalities, and check it."""
        names, given = table.layout.names, f"missing={missing!r}"
        if missing is not None:
            config = read_missing(missing)
        elif self.config is None:
            given = f"missing={self.missing!r}"
            config = read_missing(0.5 if self.missing is None else self.missing)
        elif self.missing is None:
            given = f"config={self.config!r}"
            config = parse_config(self.config, names)
        else:
            raise ValueError(
                "missing or config must be None; got "
                f"missing={self.missing!r} and config={self.config!r}."
            )
        if hasattr(config, "table_for"):
            plan = self._plan_patterns(config, names, given)
        else:
            plan = self._plan_rates(config, names, given)
        if len(names) == 1 and plan.rates[0] > 0 and not self.allow_empty:
            table.warn(
                f"X has a single modality, {names[0]!r}, and samples must keep one "
                "modality: nothing is hidden. Pass modalities=, or allow_empty=True."
            )
        return plan

    def _plan_patterns(self, config, names, given):
        keep, probabilities = config.table_for(names)
        if self.mechanism != "mcar":
            raise ValueError(
                f"missing must be rates for mechanism={self.mechanism!r}, as in "
                f"missing=0.5; got {given}, whose patterns are assigned at random "
                "(mechanism='mcar')."
            )
        blank = probabilities[~keep.any(axis=1)].sum()
        if blank > 0 and not self.allow_empty and len(names) > 1:
            raise ValueError(
                f"{given} hides all modalities of {blank:.0%} of the samples. Pass "
                "allow_empty=True if that is intended."
            )
        return Plan(1 - probabilities @ keep, keep, probabilities, config.exact)

    def _plan_rates(self, config, names, given):
        rates = getattr(config, "rates", None)
        driver = None if self._driver is None else names[self._driver]
        if isinstance(rates, Mapping) and rates.get(driver, 0) > 0:
            raise ValueError(
                f"The driver {driver!r} is never hidden, so its rate must be 0; "
                f"got {rates[driver]:g} in {given}."
            )
        # The same seed in both phases, so that (pm, ps) draws the same modalities.
        rng = np.random.RandomState(self._seed)
        rates = config.rates_for(names, rng, spared=self._driver)
        if rates.min() == 1 and not self.allow_empty and len(names) > 1:
            raise ValueError(
                f"{given} hides all modalities of every sample. Lower a rate, or "
                "pass allow_empty=True."
            )
        return Plan(rates)

    def _values(self, table, y, groups):
        """The class or group of each sample; None if the mechanism uses none."""
        if groups is not None:
            if self.mechanism not in ("group", "burst"):
                raise ValueError(
                    "groups must be None unless mechanism is 'group' or 'burst'; got "
                    f"mechanism={self.mechanism!r}."
                )
            groups = column_or_1d(groups)
            check_consistent_length(table.X, groups)
        if self.mechanism == "label":
            return y
        if self.mechanism != "group" or groups is not None:
            return groups
        if self._driver is None:
            raise ValueError(
                "groups must be given for mechanism='group', or driver must be the "
                "modality whose only column is the group; got None for both."
            )
        return table.X[:, table.layout.columns[self._driver]][:, 0]

    def _make_scorer(self, table, values, rng):
        n_modalities = len(table.layout)
        if self.mechanism in ("mar", "mnar"):
            return LevelScores(table, self._driver)
        if self.mechanism == "group":
            return StratumScores(values, n_modalities, rng, "group")
        if self.mechanism != "label":
            return None
        if type_of_target(values) == "continuous":
            return TargetScores(values, n_modalities)
        return StratumScores(values, n_modalities, rng, "class")

    def _draw(self, table, phase, y=None, groups=None):
        """Mask of hidden modalities in a phase, shape (n_samples, n_modalities)."""
        if self.when not in ("both", phase):
            return np.zeros_like(table.presence)
        values = self._values(table, y, groups)
        plan, scores = self._plans[phase], None
        if plan.intercepts is not None:
            scores = self.strength * self._scorer(table.X, values)
        length = self.burst_length if self.mechanism == "burst" else None
        return draw_hidden(
            plan,
            row_keys(table.X, self._seed),
            table.presence,
            scores=scores,
            burst_length=length,
            groups=values if length else None,
            allow_empty=self.allow_empty,
        )

    def _hide(self, table, hidden, phase):
        """X without hidden modalities, and without a segment of each other one."""
        X, n_modalities = table.hide(hidden).X, len(table.layout)
        if self.segment and self.when in ("both", phase):
            # The first numbers of a sample decide which modalities are hidden.
            draws = uniforms(row_keys(table.X, self._seed), 3 * n_modalities + 1)
            hide_segments(X, table.layout, self.segment, draws[:, n_modalities + 1 :])
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.mechanism == "label"
        return tags
