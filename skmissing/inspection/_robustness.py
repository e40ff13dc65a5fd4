"""Score against the share of missing modalities."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_array, check_random_state

from skmissing._compat import Interval, validate_params
from skmissing.inspection._patterns import check_names, name_pattern
from skmissing.inspection._scoring import Scoring, name_score, run_parallel
from skmissing.inspection._tables import as_table

# What a curve is called that hides every modality.
ANY = "any modality"
_RATES = tuple(i / 10 for i in range(10))


@validate_params(
    {
        "rates": ["array-like"],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
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
    modalities=None,
    hide="all",
    rates=_RATES,
    n_repeats=5,
    scoring=None,
    sample_weight=None,
    random_state=None,
    n_jobs=None,
):
    """Score a fitted model against the share of missing modalities.

    Parameters
    ----------
    estimator : estimator
        Fitted; it must predict rows with missing modalities.
    X : array-like or dataframe of shape (n_samples, n_features)
        Rows that the estimator was not fitted on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    modalities : list of int, dict or None, default=None
        The groups of columns of X. None takes `modalities_` of the estimator, of a
        search's best estimator, or of the first step of a pipeline that has it; if
        there is none, columns named `modality__feature` are grouped by their prefix.
    hide : {"all", "each", "both"} or list, default="all"
        What is hidden. "all" hides any modality, each on its own, and gives one
        curve; "each" gives a curve a modality, with the others left alone; "both"
        gives all of these. A list holds names, or tuples of names of modalities
        that one curve hides, each on its own.
    rates : array-like of float, default=(0.0, 0.1, ..., 0.9)
        Shares of the rows that have a modality and lose it.
    n_repeats : int, default=5
        How often rows are drawn anew.
    scoring : str, callable or None, default=None
        Scorer, as for :func:`sklearn.metrics.check_scoring`; None takes the
        estimator's own `score`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, handed to the scorer.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that lose a modality.
    n_jobs : int, default=None
        Number of tables scored in parallel.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With these entries:

        curve : list of str
            What each curve hides: the names joined by " + ", or "any modality".
        rate : ndarray of shape (n_rates,)
            As asked for, in ascending order.
        realized_rate : ndarray of shape (n_curves, n_rates, n_repeats)
            The share of the curve's modalities, where rows had them, that was in
            fact hidden.
        score : ndarray of shape (n_curves, n_rates, n_repeats)
            What the scorer says of the rows with these gaps.
        score_name : str
            For the axis of a plot.

    See Also
    --------
    RobustnessCurveDisplay : Draws the curves.
    score_by_pattern : Score for each subset of modalities.

    Notes
    -----
    Of the n rows that have a modality, the whole number nearest to rate × n lose it.
    Within a repeat, a row that loses a modality at one rate also loses it at all
    higher ones, so that a curve shows the rate and not the luck of the draw. No row
    loses all it has: it keeps the modality that it would lose last. High rates are
    therefore not reached in full where several modalities are hidden, or where rows
    have no other; look at `realized_rate`.

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
    >>> X[:, :2] += 2 * y[:, None]  # text tells more about y than audio
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
    table = as_table(X, modalities, estimator)
    scoring_of = Scoring(estimator, scoring, y, sample_weight, table.n_rows)
    names, targets = _read_hide(hide, table.layout.names)
    rng = check_random_state(random_state)
    # Drawn as they are scored: all tables at once could be many.
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
    return Bunch(
        curve=names,
        rate=rates,
        realized_rate=found[..., 1],
        score=found[..., 0],
        score_name=name_score(estimator, scoring),
    )


def draw_hidden(presence, target, rates, rng):
    """Draw which modalities each row loses, one nested draw for all rates.

    Parameters
    ----------
    presence : ndarray of shape (n_samples, n_modalities), dtype bool
    target : ndarray of shape (n_modalities,), dtype bool
        The modalities that may be lost.
    rates : ndarray of shape (n_rates,)
    rng : RandomState

    Returns
    -------
    list of ndarray of shape (n_samples, n_modalities), dtype bool
        One a rate.
    """
    losable = presence & target
    counts = losable.sum(axis=0)
    rank = np.full(presence.shape, np.inf)
    for m in np.flatnonzero(counts):
        rank[losable[:, m], m] = rng.permutation(counts[m])
    # What a row would lose last, it keeps: the same at every rate.
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
    """Names of the curves, and which modalities each of them hides."""
    each = [(name,) for name in names]
    known = {"all": [names], "each": each, "both": [names, *each]}
    if isinstance(hide, str):
        if hide not in known:
            raise ValueError(
                "hide must be 'all', 'each', 'both' or a list of names of modalities; "
                f"got {hide!r}."
            )
        hide = known[hide]
    targets = np.zeros((len(hide), len(names)), dtype=bool)
    if not len(targets):
        raise ValueError("hide is empty; name at least one modality.")
    for i, (row, target) in enumerate(zip(targets, hide)):
        row[check_names(target, names, f"hide[{i}]")] = True
    labels = [
        ANY if row.all() and len(row) > 1 else name_pattern(row, names)
        for row in targets
    ]
    return labels, targets


def _score_hidden(scoring, table, hidden, target):
    """Score with something hidden, and the share of the target that is."""
    n_present = table.presence[:, target].sum()
    return scoring.score(table.hide(hidden)), hidden.sum() / max(1, n_present)
