"""Scores of a fitted model with some of the modalities, and their importance."""

import itertools
import math
import warnings
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_random_state

from skmissing._compat import Interval, import_optional, validate_params
from skmissing._docs import shared_docs
from skmissing._table import warn
from skmissing.inspection._scoring import (
    InspectionResult,
    Scoring,
    as_table,
    hide_modalities,
    name_score,
    read_folds,
    run_parallel,
)

# patterns="all" has at most 2 ** 10 - 1 subsets.
MOST_MODALITIES = 10


@validate_params(
    {
        "patterns": [str, "array-like"],
        "as_frame": ["boolean"],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=False,
)
def score_by_pattern(
    estimator,
    X,
    y=None,
    *,
    test_indices=None,
    modalities=None,
    scoring=None,
    patterns="all",
    sample_weight=None,
    as_frame=False,
    n_jobs=None,
):
    """Score a fitted model on every subset of modalities.

    The table shows, for example, how a model performs without audio. For each subset,
    the samples with all its modalities are scored, with all other modalities hidden.

    Parameters
    ----------
    estimator : estimator or list of estimators
        Fitted estimator that accepts samples with missing modalities. A list of
        estimators from :func:`~sklearn.model_selection.cross_validate` is scored as one
        model: each sample is predicted by the estimator that was not fitted to it.
    X : array-like or data frame of shape (n_samples, n_features)
        Samples that were not used in `fit`, or all samples for a list. A data frame may
        contain text, for a pipeline that starts with encoders.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    test_indices : list of ndarray of int or None, default=None
        Positions of the test samples per estimator of a list:
        `results["indices"]["test"]` of `cross_validate` with `return_indices=True`.
    modalities : list of int, dict or None, default=None
        Groups of columns of X. None uses `modalities_` of the estimator or of the first
        estimator inside it. Its columns are found in X by name, or by position if no
        step before it changes the columns. If there is no such attribute, columns named
        `modality__feature` are grouped by their prefix.
    scoring : str, callable or None, default=None
        Scorer, as for :func:`sklearn.metrics.check_scoring`. None uses the `score`
        method of the estimator.
    patterns : {"all", "observed"} or list, default="all"
        Subsets to score. "all" is every non-empty subset, the largest first. "observed"
        hides nothing, and groups the samples by their observed modalities. A list
        contains tuples of names, or single names.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, passed to the scorer.
    as_frame : bool, default=False
        Whether to return a pandas data frame indexed by pattern.
    n_jobs : int, default=None
        Number of patterns scored in parallel.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        One entry per pattern in each of the following:

        pattern : list of str
            Names of the modalities, joined by " + ".
        n_modalities : ndarray of int
            Number of modalities of the pattern.
        n_samples : ndarray of int
            Number of samples that were scored. Scores are comparable only if the
            samples of the patterns are.
        score : ndarray of float
            Scores. NaN, with a warning, if no sample has the pattern.

        A Bunch also contains `presence`, boolean of shape (n_patterns, n_modalities),
        the names `modalities`, and `score_name`.

    See Also
    --------
    modality_importance : Summarises the table by one number per modality.
    robustness_curve : Score against the share of missing modalities.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmissing.inspection import score_by_pattern
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 200)
    >>> X = rng.standard_normal((400, 4))
    >>> X[:, :2] += 2 * y[:, None]  # text is more informative than audio
    >>> X[:, 2:] += y[:, None]
    >>> X[rng.permutation(400)[:100], 2:] = np.nan
    >>> model = make_pipeline(SimpleImputer(), LogisticRegression())
    >>> model = model.fit(X[::2], y[::2])
    >>> result = score_by_pattern(
    ...     model, X[1::2], y[1::2], modalities={"text": 2, "audio": 2}
    ... )
    >>> for name, n, score in zip(result.pattern, result.n_samples, result.score):
    ...     print(f"{name:<12}{n:>5}{score:>6.2f}")
    text + audio  151  0.97
    text          200  0.94
    audio         151  0.73
    """
    estimator, X, y, sample_weight = read_folds(
        estimator, X, y, sample_weight, test_indices
    )
    table = as_table(X, modalities, estimator)
    scoring_of = Scoring(estimator, scoring, y, sample_weight, len(table))
    if isinstance(patterns, str) and patterns == "observed":
        presence, inverse = sort_patterns(*table.patterns)
        rows = [np.flatnonzero(inverse == p) for p in range(len(presence))]
    else:
        presence = _read_patterns(patterns, table.layout.names)
        rows = [np.flatnonzero(table.presence[:, p].all(axis=1)) for p in presence]
    scores = run_parallel(
        _score_reduced,
        ((scoring_of, table, *task) for task in zip(rows, presence)),
        n_jobs,
    )
    result = InspectionResult(
        pattern=[name_pattern(p, table.layout.names) for p in presence],
        n_modalities=presence.sum(axis=1),
        n_samples=np.array([len(r) for r in rows]),
        score=np.array(scores),
        presence=presence,
        modalities=table.layout.names,
        score_name=name_score(estimator, scoring),
    )
    unseen = [p for p, n in zip(result.pattern, result.n_samples) if n == 0]
    if unseen:
        warn(
            f"score_by_pattern: {len(unseen)} of the {len(result.pattern)} patterns "
            f"have no sample, and their score is NaN: {', '.join(unseen)}."
        )
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    columns = {name: result[name] for name in ("n_modalities", "n_samples", "score")}
    return pandas.DataFrame(columns, pandas.Index(result.pattern, name="pattern"))


def all_patterns(n_modalities):
    """Every non-empty subset, the largest first: (n_subsets, n_modalities)."""
    if n_modalities > MOST_MODALITIES:
        raise ValueError(
            f"patterns='all' needs at most {MOST_MODALITIES} modalities; got "
            f"{n_modalities}, which have {2**n_modalities - 1} subsets. If columns "
            "belong together, pass modalities=. Otherwise, list the patterns, or pass "
            "patterns='observed'."
        )
    subsets = sorted(all_subsets(n_modalities)[1:], key=len, reverse=True)
    presence = np.zeros((len(subsets), n_modalities), dtype=bool)
    for row, subset in zip(presence, subsets):
        row[list(subset)] = True
    return presence


def name_pattern(present, names):
    """Names of the observed modalities, joined by " + "."""
    return " + ".join(n for n, p in zip(names, present) if p) or "(none)"


def check_names(wanted, names, where):
    """Positions of modalities by name. Errors begin with `where`."""
    if not isinstance(wanted, Iterable):
        raise TypeError(
            f"{where} must be a list of names of modalities; got {wanted!r}."
        )
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in wanted:
        if name not in names:
            raise ValueError(
                f"{where} must name modalities of X, {', '.join(map(repr, names))}; "
                f"got {name!r}."
            )
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"{where} must name at least one modality, and each once; got {wanted!r}."
        )
    return [names.index(name) for name in wanted]


def _read_patterns(patterns, names):
    if isinstance(patterns, str) and patterns in names:
        patterns = [patterns]
    elif isinstance(patterns, str):
        if patterns != "all":
            raise ValueError(
                "patterns must be 'all', 'observed' or a list of tuples of names; got "
                f"{patterns!r}."
            )
        return all_patterns(len(names))
    presence = np.zeros((len(patterns), len(names)), dtype=bool)
    if not len(presence):
        raise ValueError("patterns must have at least one pattern; got none.")
    for i, (row, pattern) in enumerate(zip(presence, patterns)):
        row[check_names(pattern, names, f"patterns[{i}]")] = True
    return presence


def sort_patterns(patterns, inverse):
    """Distinct patterns, the largest first, and the pattern of each sample."""
    order = np.lexsort([*~patterns.T[::-1], -patterns.sum(axis=1)])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return patterns[order], rank[inverse]


def _score_reduced(scoring, table, rows, present):
    if not len(rows):
        return np.nan
    return scoring.score(hide_modalities(table[rows], ~present), rows)


# ------------------------------------------------------------------ importance

# With more modalities, orders are sampled.
MOST_EXACT = 10


@shared_docs(like=score_by_pattern)
@validate_params(
    {
        "empty_score": [Real, None],
        "n_bootstraps": [Interval(Integral, 0, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
        "as_frame": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=False,
)
def modality_importance(
    estimator,
    X,
    y=None,
    *,
    test_indices=None,
    modalities=None,
    scoring=None,
    empty_score=None,
    n_bootstraps=200,
    confidence_level=0.95,
    n_permutations=100,
    sample_weight=None,
    as_frame=False,
    random_state=None,
    n_jobs=None,
):
    """Distribute the score of a fitted model over its modalities.

    The importance of a modality is its Shapley value: the gain of the score when the
    modality is added, averaged over all orders in which modalities can be added. The
    importances sum to the score with all modalities minus the score with none.

    Parameters
    ----------
    %(estimator, X, y, test_indices, modalities, scoring)s
    empty_score : float, default=None
        Score with no modality, for an estimator that does not accept samples without
        any modality. None scores its prediction for such samples.
    n_bootstraps : int, default=200
        Number of resamples of X for the intervals. With 0, there are no intervals.
    confidence_level : float, default=0.95
        Confidence level of the intervals.
    n_permutations : int, default=100
        Number of random orders if there are more than 10 modalities. Each order is
        paired with its reverse. With at most 10 modalities, all subsets are scored and
        this parameter is ignored.
    %(sample_weight)s
    as_frame : bool, default=False
        Whether to return a pandas data frame of the importances and the bounds of their
        intervals, indexed by modality.
    random_state : int, RandomState instance or None, default=None
        Seed of the resamples and of the orders.
    n_jobs : int, default=None
        Number of subsets scored in parallel.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        A Bunch has these entries:

        modalities : tuple of str
            Names in the order of the other entries.
        importance : ndarray of shape (n_modalities,)
            Average gain of the score per modality.
        interval : ndarray of shape (n_modalities, 2)
            Percentiles of `bootstraps`. NaN without bootstraps.
        bootstraps : ndarray of shape (n_modalities, n_bootstraps)
            Importances on each resample.
        full_score, empty_score : float
            Scores with all observed modalities and with no modality.
        confidence_level : float
            Confidence level of the intervals.
        score_name : str
            Label for the axis of a plot.

    See Also
    --------
    score_by_pattern : The scores behind the importances.
    ModalityImportanceDisplay : Draws the importances.
    sklearn.inspection.permutation_importance : Shuffles columns instead of making them
        missing.

    Notes
    -----
    Let v(S) be the score on all samples of X with all modalities outside S hidden. The
    importance of modality m out of M modalities is

    .. math::
        \\phi_m = \\sum_{S \\not\\ni m} \\frac{|S|! \\, (M - |S| - 1)!}{M!}
        \\left( v(S \\cup \\{m\\}) - v(S) \\right) .

    It depends on the model and the samples. A modality that is often missing is less
    important, and two redundant modalities share their importance. Warnings of the
    estimator about samples with no observed modality are not shown.

    The intervals account for the choice of the samples of X, but not of the training
    samples. Random orders are resampled, too. If `scoring` needs predictions only, as
    all named scorers of scikit-learn do, there is one prediction per subset. With other
    callables, the estimator predicts each resample.

    References
    ----------
    .. [1] Shapley, "A value for n-person games", Contributions to the Theory of
       Games 2, 1953.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmissing.inspection import modality_importance
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 200)
    >>> X = rng.standard_normal((400, 4))
    >>> X[:, :2] += 2 * y[:, None]  # text is more informative than audio
    >>> X[:, 2:] += y[:, None]
    >>> model = make_pipeline(SimpleImputer(), LogisticRegression())
    >>> model = model.fit(X[::2], y[::2])
    >>> result = modality_importance(
    ...     model, X[1::2], y[1::2], modalities={"text": 2, "audio": 2},
    ...     random_state=0,
    ... )
    >>> for name, value, (low, high) in zip(
    ...     result.modalities, result.importance, result.interval
    ... ):
    ...     print(f"{name:<6}{value:>6.2f}  from {low:.2f} to {high:.2f}")
    text    0.32  from 0.26 to 0.38
    audio   0.13  from 0.08 to 0.18
    >>> gain = result.full_score - result.empty_score
    >>> bool(np.isclose(result.importance.sum(), gain))
    True
    """
    estimator, X, y, sample_weight = read_folds(
        estimator, X, y, sample_weight, test_indices
    )
    table = as_table(X, modalities, estimator)
    n_modalities = len(table.layout)
    rng = check_random_state(random_state)
    resamples = [rng.randint(len(table), size=len(table)) for _ in range(n_bootstraps)]
    exact = n_modalities <= MOST_EXACT
    orders = None if exact else sample_orders(n_modalities, n_permutations, rng)
    subsets = all_subsets(n_modalities) if exact else prefixes(orders)
    scoring_of = Scoring(estimator, scoring, y, sample_weight, len(table))
    tasks = ((scoring_of, table, s, resamples, empty_score) for s in subsets)
    values = dict(zip(subsets, run_parallel(_score_subset, tasks, n_jobs)))
    if exact:
        shares = exact_shapley(values, n_modalities)
    else:
        shares = sampled_shapley(values, orders, rng)
    result = _summarize(
        shares,
        values,
        table.layout.names,
        confidence_level,
        name_score(estimator, scoring),
    )
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    columns = dict(
        zip(("importance", "low", "high"), (shares[:, 0], *result.interval.T))
    )
    return pandas.DataFrame(columns, pandas.Index(result.modalities, name="modality"))


def all_subsets(n_modalities):
    """Every subset, including the empty subset, as frozenset of positions."""
    positions = range(n_modalities)
    return [
        frozenset(subset)
        for size in range(n_modalities + 1)
        for subset in itertools.combinations(positions, size)
    ]


def exact_shapley(values, n_modalities):
    """Shapley values (n_modalities, n_games) from the scores (n_games,) of subsets."""
    shares = np.zeros((n_modalities, len(values[frozenset()])))
    for subset, value in values.items():
        size = len(subset)
        if size < n_modalities:
            orders = math.comb(n_modalities - 1, size) * n_modalities
            for m in set(range(n_modalities)) - subset:
                shares[m] += (values[subset | {m}] - value) / orders
    return shares


def sample_orders(n_modalities, n_orders, rng):
    """Random orders, each with its reverse, so that errors partly cancel out."""
    forward = [rng.permutation(n_modalities) for _ in range((n_orders + 1) // 2)]
    return np.array([order for f in forward for order in (f, f[::-1])])


def prefixes(orders):
    """Distinct sets of modalities at the start of the orders."""
    found = {
        frozenset(order[:length].tolist())
        for order in orders
        for length in range(len(order) + 1)
    }
    return sorted(found, key=lambda s: (len(s), sorted(s)))


def sampled_shapley(values, orders, rng):
    """Mean gain of each modality over orders, (n_modalities, n_games)."""
    # The first game uses each pair of orders once. The others resample pairs.
    n_games = len(values[frozenset()])
    n_pairs = len(orders) // 2
    weights = rng.multinomial(n_pairs, np.full(n_pairs, 1 / n_pairs), size=n_games)
    weights[0] = 1
    shares = np.zeros((orders.shape[1], n_games))
    for i, order in enumerate(orders):
        before = values[frozenset()]
        for length, m in enumerate(order, start=1):
            after = values[frozenset(order[:length].tolist())]
            shares[m] += weights[:, i // 2] * (after - before)
            before = after
    return shares / len(orders)


def _score_subset(scoring, table, subset, resamples, empty_score):
    """Scores of the table reduced to a subset, and of its resamples."""
    if not subset and empty_score is not None:
        return np.full(1 + len(resamples), float(empty_score))
    hidden = np.ones(len(table.layout), dtype=bool)
    hidden[list(subset)] = False
    emptied = not (table.presence & ~hidden).any(axis=1).all()
    with warnings.catch_warnings():
        if emptied:
            warnings.simplefilter("ignore", UserWarning)
        return scoring.resampled(table, hidden, resamples)


def _summarize(shares, values, names, confidence_level, score_name):
    tail = 50 * (1 - confidence_level)
    if shares.shape[1] > 1:
        interval = np.percentile(shares[:, 1:], [tail, 100 - tail], axis=1).T
    else:
        interval = np.full((len(names), 2), np.nan)
    return InspectionResult(
        modalities=names,
        importance=shares[:, 0],
        interval=interval,
        bootstraps=shares[:, 1:],
        full_score=float(values[frozenset(range(len(names)))][0]),
        empty_score=float(values[frozenset()][0]),
        confidence_level=confidence_level,
        score_name=score_name,
    )


# ------------------------------------------------------------------ robustness

# Name of a curve that hides every modality.
ANY = "any modality"
_RATES = tuple(i / 10 for i in range(10))


@shared_docs(like=score_by_pattern)
@validate_params(
    {
        "rates": ["array-like"],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "as_frame": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    },
    prefer_skip_nested_validation=False,
)
def robustness_curve(
    estimator,
    X,
    y=None,
    *,
    test_indices=None,
    modalities=None,
    hide="all",
    rates=_RATES,
    n_repeats=5,
    scoring=None,
    sample_weight=None,
    as_frame=False,
    random_state=None,
    n_jobs=None,
):
    """Score a fitted model against the share of missing modalities.

    Parameters
    ----------
    %(estimator, X, y, test_indices, modalities)s
    hide : {"all", "each", "both"} or list, default="all"
        Modalities to hide. "all" is one curve that hides all modalities, independently
        of each other. "each" is one curve per modality. "both" is all these curves. A
        list contains one entry per curve: a name, or a tuple of names to hide
        independently of each other.
    rates : array-like of float, default=(0.0, 0.1, ..., 0.9)
        Shares of the samples with a modality in which the modality is hidden.
    n_repeats : int, default=5
        Number of random draws of the hidden modalities.
    %(scoring, sample_weight)s
    as_frame : bool, default=False
        Whether to return a pandas data frame with one row per curve, rate and repeat.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.
    n_jobs : int, default=None
        Number of tables scored in parallel.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        A Bunch has these entries:

        curve : list of str
            Modalities hidden by each curve: names joined by " + ", or "any modality".
        rate : ndarray of shape (n_rates,)
            The parameter `rates` in ascending order.
        realized_rate : ndarray of shape (n_curves, n_rates, n_repeats)
            Share of the observed modalities of the curve that were actually hidden.
        score : ndarray of shape (n_curves, n_rates, n_repeats)
            Score with these modalities hidden.
        score_name : str
            Label for the axis of a plot.

    See Also
    --------
    RobustnessCurveDisplay : Draws the curves.
    score_by_pattern : Score for each subset of modalities.

    Notes
    -----
    Each modality is hidden in a share `rate` of the samples that have it, rounded to
    whole samples. Within a repeat, a modality that is hidden at one rate is also hidden
    at all higher rates, so a curve shows the effect of the rate and not of the draw. At
    least one modality per sample is kept: the one that would be hidden last. High rates
    are therefore not reached if several modalities are hidden, or if samples have no
    other modality. See `realized_rate`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmissing.inspection import robustness_curve
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 200)
    >>> X = rng.standard_normal((400, 4))
    >>> X[:, :2] += 2 * y[:, None]  # text is more informative than audio
    >>> X[:, 2:] += y[:, None]
    >>> X[rng.permutation(400)[:100], :2] = np.nan
    >>> model = make_pipeline(SimpleImputer(), LogisticRegression())
    >>> model = model.fit(X[::2], y[::2])
    >>> result = robustness_curve(
    ...     model, X[1::2], y[1::2], modalities={"text": 2, "audio": 2}, hide="each",
    ...     rates=[0, 0.5, 1], random_state=0,
    ... )
    >>> for name, scores in zip(result.curve, result.score):
    ...     print(name, scores.mean(axis=1).round(2))
    text [0.93 0.83 0.72]
    audio [0.93 0.93 0.92]
    """
    rates = _check_rates(rates)
    estimator, X, y, sample_weight = read_folds(
        estimator, X, y, sample_weight, test_indices
    )
    table = as_table(X, modalities, estimator)
    scoring_of = Scoring(estimator, scoring, y, sample_weight, len(table))
    names, targets = _read_hide(hide, table.layout.names)
    rng = check_random_state(random_state)
    # Tables are drawn one by one, because they may not fit into memory together.
    tasks = (
        (scoring_of, table, hidden, target)
        for target in targets
        for _ in range(n_repeats)
        for hidden in draw_hidden(table.presence, target, rates, rng)
    )
    found = np.reshape(
        run_parallel(_score_hidden, tasks, n_jobs),
        (len(targets), n_repeats, len(rates), 2),
    ).swapaxes(1, 2)
    result = InspectionResult(
        curve=names,
        rate=rates,
        realized_rate=found[..., 1],
        score=found[..., 0],
        score_name=name_score(estimator, scoring),
    )
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    index = pandas.MultiIndex.from_product(
        [names, rates, range(n_repeats)], names=["curve", "rate", "repeat"]
    )
    columns = {name: result[name].ravel() for name in ("realized_rate", "score")}
    return pandas.DataFrame(columns, index).reset_index()


def draw_hidden(presence, target, rates, rng):
    """Draw the modalities of `target` to hide: one nested mask per rate."""
    losable = presence & target
    counts = losable.sum(axis=0)
    rank = np.full(presence.shape, np.inf)
    for m in np.flatnonzero(counts):
        rank[losable[:, m], m] = rng.permutation(counts[m])
    # A sample keeps the modality that it would lose last. It is the same at every rate.
    share = np.where(presence, rank / np.maximum(counts, 1), -1)
    rank[np.arange(len(rank)), share.argmax(axis=1)] = np.inf
    return [rank < np.rint(rate * counts) for rate in rates]


def _check_rates(rates):
    rates = check_array(rates, ensure_2d=False, dtype=np.float64, input_name="rates")
    outside = rates[(rates < 0) | (rates > 1)]
    if rates.ndim != 1 or len(outside):
        found = f"{outside[0]:g}" if len(outside) else f"shape {rates.shape}"
        raise ValueError(f"rates must be a list of numbers from 0 to 1; got {found}.")
    return np.unique(rates)


def _read_hide(hide, names):
    """Names of the curves, and masks of the modalities that they hide."""
    each = [(name,) for name in names]
    known = {"all": [names], "each": each, "both": [names, *each]}
    if isinstance(hide, str) and hide not in known and hide in names:
        hide = [hide]
    elif isinstance(hide, str):
        if hide not in known:
            raise ValueError(
                "hide must be 'all', 'each', 'both' or a list of names of modalities; "
                f"got {hide!r}."
            )
        hide = known[hide]
    targets = np.zeros((len(hide), len(names)), dtype=bool)
    if not len(targets):
        raise ValueError("hide must name at least one modality; got none.")
    for i, (row, target) in enumerate(zip(targets, hide)):
        row[check_names(target, names, f"hide[{i}]")] = True
    labels = [
        ANY if row.all() and len(row) > 1 else name_pattern(row, names)
        for row in targets
    ]
    return labels, targets


def _score_hidden(scoring, table, hidden, target):
    """Score with hidden modalities, and the hidden share of the target."""
    n_present = table.presence[:, target].sum()
    return scoring.score(hide_modalities(table, hidden)), hidden.sum() / max(
        1, n_present
    )
