"""A transformer that hides whole modalities."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skmissing._base import ModalityMixin, SkmissingEstimator
from skmissing._blocks import find_presence
from skmissing._compat import Interval, StrOptions, _fit_context
from skmissing.simulate._config import (
    ModalityFraction,
    ModalityRates,
    OneMissing,
    PatternTable,
)
from skmissing.simulate._mechanisms import row_keys
from skmissing.simulate._plan import draw_hidden, make_plan
from skmissing.simulate._scores import (
    LevelScores,
    StratumScores,
    TargetScores,
    fit_intercepts,
)

_MISSING = [
    Interval(Real, 0, 1, closed="both"),
    str,
    tuple,
    dict,
    ModalityRates,
    ModalityFraction,
    PatternTable,
    OneMissing,
]


class ModalityAmputer(
    OneToOneFeatureMixin, TransformerMixin, ModalityMixin, SkmissingEstimator
):
    """Hide whole modalities of some rows, to see what a model does without them.

    What is hidden becomes NaN in all columns of the modality. A row never loses all
    that it has, unless `allow_empty=True`, and what a row lacks already stays as it
    is. The same row with the same seed always loses the same modalities, wherever it
    stands and whether `fit_transform` or `transform` gets it.

    Read more in the :ref:`user guide <simulate>`.

    Parameters
    ----------
    missing : float, dict, str, tuple or configuration object, default=0.5
        How much is hidden:

        - a float, the fraction of rows that lose each modality, or a dict of such
          fractions by name (modalities left out are kept);
        - `"20-text-100-audio-20-video"`, the percentage of rows that keep each;
        - `"complex-10-45-45"`, the percentages of disjoint groups of rows, in exact
          numbers: all modalities, each alone, each pair, and so on;
        - `(pm, ps)`: a fraction `pm` of the modalities is drawn in `fit`, and each is
          hidden in a fraction `ps` of the rows;
        - a :class:`ModalityRates`, :class:`ModalityFraction`, :class:`PatternTable` or
          :class:`OneMissing`.
    modalities : list of int, dict or None, default=None
        The modalities of X: widths from left to right, or named groups of columns;
        None groups columns named `modality__feature` by prefix.
    mechanism : {"mcar", "mar", "mnar", "label", "group", "burst"}, default="mcar"
        Which rows are hit:

        - `"mcar"`: completely at random;
        - `"mar"`: depending on the values of the modality `driver`, which itself is
          never hidden;
        - `"mnar"`: depending on the values that are hidden;
        - `"label"`: depending on y. `transform` is given none, so this needs
          `when="fit"`;
        - `"group"`: depending on the row's site or device: `groups`, or the single
          column of the modality `driver`;
        - `"burst"`: in runs of consecutive rows, as a failing sensor does, each
          modality on its own clock.

        All but `"mcar"` need rates, not patterns.
    driver : str, int or None, default=None
        Name or number of the modality that drives `"mar"` (None: the first one) or
        that holds the group for `"group"`.
    strength : float, default=1.0
        Change of the log-odds of being hidden for one standard deviation of what
        drives `"mar"`, `"mnar"`, `"label"` or `"group"`. Large values are hidden more
        often if it is positive, less often if it is negative.
    burst_length : float, default=10
        Mean number of rows in a run, for `"burst"`.
    missing_at_transform : same as `missing`, or None, default=None
        How much `transform` hides, if it is to differ from what `fit_transform` hides:
        drift between training and use. None means the same.
    when : {"both", "fit", "transform"}, default="both"
        `"fit"` hides in `fit_transform` only, hence in a pipeline's training rows, and
        `transform` returns its input; `"transform"` hides in `transform` only, hence
        when a pipeline predicts.
    allow_empty : bool, default=False
        Whether a row may lose all its modalities.
    random_state : int, RandomState instance or None, default=None
        Seeds the masks.

    Attributes
    ----------
    nominal_rates_ : dict
        By modality, the fraction of rows that `missing` asks to hide in
        `fit_transform`.
    realized_rates_ : dict
        By modality, the fraction that `fit_transform` hides, of the rows given to
        `fit` that have the modality; NaN if none has it.
    modalities_ : ModalityLayout
        From name to columns.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen in `fit`; only if all are strings.

    See Also
    --------
    ampute : The same for one array, without fitting.
    missing_rates : Fraction of rows that lack each modality.

    Notes
    -----
    *Randomness.* The mask of a row is drawn from a hash of its cells and of the seed;
    equal rows are told apart by counting them. So training and test rows draw
    independently, though they share a seed, and a training score sees the training
    masks again. For independent rates the masks of one seed are nested: what is hidden
    at one rate is hidden at any higher one (with a single rate for all modalities). In
    three cases the mask depends on the set of rows as well: patterns with exact
    counts, `"burst"`, which needs the order of the rows, and equal rows.

    *Rows that would lose all.* With rates :math:`r_m`, such a row gets back modality m
    with probability :math:`w_m = (1 - r_m) / \\sum_l (1 - r_l)`. A complete row thus
    loses m with probability :math:`r_m - w_m \\prod_l r_l`, less than asked for, unless
    some rate is 0: `realized_rates_` tells. With a table of patterns, a row that has
    nothing of its pattern keeps one of the modalities that it has.

    *Mechanisms.* `"mar"`, `"mnar"`, `"label"` and `"group"` hide modality m in row i
    with probability :math:`\\sigma(a_m + \\beta s_{im})`: :math:`\\beta` is `strength`,
    :math:`s` a score with mean 0 and variance 1 over the training rows, and
    :math:`a_m` is solved in `fit` so that the mean over the training rows is the rate.
    The score of `"mar"` and `"mnar"` is the mean standardised cell of the driver and
    of the modality itself; 0 if the row lacks it. Classes and groups get evenly spaced
    scores in an order that is drawn for each modality; a continuous y is its own
    score. Nothing else is learnt, and from the training rows alone.

    References
    ----------
    H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743, for the configurations.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import ModalityAmputer
    >>> X = np.arange(24.0).reshape(6, 4)
    >>> amputer = ModalityAmputer(
    ...     "complex-34-33-33", modalities={"text": 3, "audio": 1}, random_state=0)
    >>> Xt = amputer.fit_transform(X)
    >>> np.isnan(Xt[:, [0, 3]]).sum(axis=0).tolist()
    [2, 2]
    >>> amputer.realized_rates_
    {'text': 0.333..., 'audio': 0.333...}
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "missing": _MISSING,
        "mechanism": [StrOptions({"mcar", "mar", "mnar", "label", "group", "burst"})],
        "driver": [str, Integral, None],
        "strength": [Interval(Real, None, None, closed="neither")],
        "burst_length": [Interval(Real, 1, None, closed="left")],
        "missing_at_transform": [*_MISSING, None],
        "when": [StrOptions({"both", "fit", "transform"})],
        "allow_empty": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        missing=0.5,
        *,
        modalities=None,
        mechanism="mcar",
        driver=None,
        strength=1.0,
        burst_length=10,
        missing_at_transform=None,
        when="both",
        allow_empty=False,
        random_state=None,
    ):
        self.missing = missing
        self.modalities = modalities
        self.mechanism = mechanism
        self.driver = driver
        self.strength = strength
        self.burst_length = burst_length
        self.missing_at_transform = missing_at_transform
        self.when = when
        self.allow_empty = allow_empty
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, groups=None):
        """Resolve `missing` and learn what the mechanism goes by.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Missing cells are NaN or masked.
        y : array-like of shape (n_samples,), default=None
            Classes or a continuous target, for `mechanism="label"`; otherwise ignored.
        groups : array-like of shape (n_samples,), default=None
            Site or device of each row, for `mechanism="group"`; for `"burst"`, the
            recording, so that no run goes on into the next one.

        Returns
        -------
        self : ModalityAmputer
            Fitted amputer.
        """
        self._fit(X, y, groups)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None, groups=None):
        """Fit, and hide modalities of the training rows.

        Parameters
        ----------
        X, y, groups : array-like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            X with NaN where a modality is hidden; X itself, copied, if
            `when="transform"`.
        """
        return self._blank(*self._fit(X, y, groups))

    def transform(self, X, groups=None):
        """Hide modalities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Missing cells are NaN or masked.
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            X with NaN where a modality is hidden; X itself, copied, if `when="fit"`.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        return self._blank(X, self._hide(X, "transform", groups=groups))

    def hidden_modalities(self, X, groups=None):
        """Which modalities `transform` would hide.

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
        return self._hide(self._validate(X, reset=False), "transform", groups=groups)

    def _fit(self, X, y, groups):
        """Learn, and return X with what `fit_transform` hides."""
        if self.mechanism == "label":
            X, y = self._validate(X, y, reset=True)
        else:
            X = self._validate(X, reset=True)
        self._check_params_vs_input()
        rng = check_random_state(self.random_state)
        self._seed = int(rng.randint(np.iinfo(np.int32).max))
        later = self.missing_at_transform
        missing = {
            "fit": self.missing,
            "transform": self.missing if later is None else later,
        }
        self._plans = {phase: self._plan(m) for phase, m in missing.items()}
        presence, holes = find_presence(X, self.modalities_)
        values = self._values(X, y, groups)
        if self.mechanism in ("mar", "mnar", "label", "group"):
            self._scorer = self._make_scorer(X, presence, holes, values, rng)
            scores = self._scorer(X, values)
            for plan in self._plans.values():
                plan.intercepts = fit_intercepts(
                    scores, plan.rates, self.strength, presence
                )
        hidden = self._hide(X, "fit", y=y, groups=groups)
        names = self.modalities_.names
        self.nominal_rates_ = dict(zip(names, self._plans["fit"].rates.tolist()))
        n_had = presence.sum(axis=0)
        rates = np.full(len(names), np.nan)
        np.divide(hidden.sum(axis=0), n_had, out=rates, where=n_had > 0)
        self.realized_rates_ = dict(zip(names, rates.tolist()))
        return X, hidden

    def _check_params_vs_input(self):
        layout = self.modalities_
        if self.mechanism == "label" and self.when != "fit":
            raise ValueError(
                f"mechanism='label' needs when='fit', since transform is given no y; "
                f"got when={self.when!r}. For test rows use ampute(X, y=y, ...)."
            )
        self._driver = 0 if self.mechanism == "mar" else None
        if self.driver is None:
            return
        if self.mechanism not in ("mar", "group"):
            raise ValueError(
                f"driver={self.driver!r} is used by mechanism='mar' and 'group' only; "
                f"got mechanism={self.mechanism!r}."
            )
        if isinstance(self.driver, str) and self.driver not in layout:
            raise ValueError(
                f"driver={self.driver!r} is no modality of X, which has "
                f"{', '.join(layout.names)}."
            )
        if not isinstance(self.driver, str) and not 0 <= self.driver < len(layout):
            raise ValueError(
                f"driver={self.driver} must be a name, or a number from 0 to "
                f"{len(layout) - 1}."
            )
        named = isinstance(self.driver, str)
        self._driver = layout.names.index(self.driver) if named else int(self.driver)
        width = layout.widths[self._driver]
        if self.mechanism == "group" and width != 1:
            raise ValueError(
                f"driver={self.driver!r} must have one column, to hold the group; it "
                f"has {width}."
            )

    def _plan(self, missing):
        return make_plan(
            missing,
            self.modalities_.names,
            # Seeded alike for both phases, so that (pm, ps) draws the same modalities.
            np.random.RandomState(self._seed),
            mechanism=self.mechanism,
            driver=self._driver,
            allow_empty=self.allow_empty,
        )

    def _values(self, X, y, groups):
        """What the row's stratum is known by; None where the mechanism needs none."""
        if groups is not None:
            if self.mechanism not in ("group", "burst"):
                raise ValueError(
                    "groups is used by mechanism='group' and 'burst' only; got "
                    f"mechanism={self.mechanism!r}."
                )
            groups = column_or_1d(groups)
            check_consistent_length(X, groups)
        if self.mechanism == "label":
            return y
        if self.mechanism != "group" or groups is not None:
            return groups
        if self._driver is None:
            raise ValueError(
                "mechanism='group' needs groups=, or driver=, the modality whose only "
                "column holds the group."
            )
        return X[:, self.modalities_.columns_of(self._driver)][:, 0]

    def _make_scorer(self, X, presence, holes, values, rng):
        n_modalities = len(self.modalities_)
        if self.mechanism in ("mar", "mnar"):
            return LevelScores(X, self.modalities_, presence, holes, self._driver)
        if self.mechanism == "label":
            kind = type_of_target(values)
            if kind == "continuous":
                return TargetScores(values, n_modalities)
            return StratumScores(values, n_modalities, rng, "class")
        return StratumScores(values, n_modalities, rng, "group")

    def _hide(self, X, phase, y=None, groups=None):
        presence, _ = find_presence(X, self.modalities_)
        if self.when not in ("both", phase):
            return np.zeros_like(presence)
        values = self._values(X, y, groups)
        plan, scores = self._plans[phase], None
        if plan.intercepts is not None:
            scores = self.strength * self._scorer(X, values)
        length = self.burst_length if self.mechanism == "burst" else None
        return draw_hidden(
            plan,
            row_keys(X, self._seed),
            presence,
            scores=scores,
            burst_length=length,
            groups=values if length else None,
            allow_empty=self.allow_empty,
        )

    def _blank(self, X, hidden):
        X = X.copy()
        for m in range(len(self.modalities_)):
            columns = np.arange(X.shape[1])[self.modalities_.columns_of(m)]
            X[np.ix_(hidden[:, m], columns)] = np.nan
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.mechanism == "label"
        return tags
