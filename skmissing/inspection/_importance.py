"""What each modality is worth to a model: Shapley values of the score."""

import itertools
import math
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skmissing._compat import Interval, validate_params
from skmissing.inspection._scoring import Scoring, name_score, run_parallel
from skmissing.inspection._tables import as_table

# With more modalities permutations are sampled.
MOST_EXACT = 10


@validate_params(
    {
        "empty_score": [Real, None],
        "n_bootstraps": [Interval(Integral, 0, None, closed="left")],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
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
    modalities=None,
    scoring=None,
    empty_score=None,
    n_bootstraps=200,
    confidence_level=0.95,
    n_permutations=100,
    sample_weight=None,
    random_state=None,
    n_jobs=None,
):
    """Share the score of a fitted model out among its modalities.

    The importance of a modality is its Shapley value: what the score gains when the
    modality is added, averaged over all orders in which modalities can be added.
    The importances add up to the score with all modalities less the score with none.

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
    scoring : str, callable or None, default=None
        Scorer, as for :func:`sklearn.metrics.check_scoring`; None takes the
        estimator's own `score`.
    empty_score : float, default=None
        The score with no modality, for an estimator that refuses rows without any.
        None scores what the estimator predicts for such rows, which is the same for
        all of them.
    n_bootstraps : int, default=200
        How often the rows of X are resampled for the intervals; 0 for none.
    confidence_level : float, default=0.95
        Of the intervals.
    n_permutations : int, default=100
        With more than 10 modalities, the number of orders that are sampled, in pairs
        of an order and its reverse. With fewer, all subsets are scored and this is
        ignored.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, handed to the scorer.
    random_state : int, RandomState instance or None, default=None
        Resamples rows, and samples orders.
    n_jobs : int, default=None
        Number of subsets scored in parallel.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With these entries:

        modalities : tuple of str
            Names, in the order of the other entries.
        importance : ndarray of shape (n_modalities,)
            What each modality adds to the score, on average.
        interval : ndarray of shape (n_modalities, 2)
            Percentiles of `bootstraps`; NaN without bootstraps.
        bootstraps : ndarray of shape (n_modalities, n_bootstraps)
            The importances on each resample of the rows.
        full_score, empty_score : float
            With all that the rows have, and with nothing.
        confidence_level : float
            As asked for.
        score_name : str
            For the axis of a plot.

    See Also
    --------
    score_by_pattern : The scores behind the importances.
    ModalityImportanceDisplay : Draws the importances.
    sklearn.inspection.permutation_importance : Shuffles columns, and breaks their
        ties with all others; here the model is told that they are missing.

    Notes
    -----
    With v(S) the score on all rows of X, each reduced to those of its modalities that
    are in S, the importance of modality m among M is

    .. math::
        \\phi_m = \\sum_{S \\not\\ni m} \\frac{|S|! \\, (M - |S| - 1)!}{M!}
        \\left( v(S \\cup \\{m\\}) - v(S) \\right) .

    It is a statement on this model and these rows: a modality that many rows lack is
    worth less, and two modalities that say the same share what they say. Warnings of
    the estimator about rows with nothing observed are not shown while X is reduced.

    An interval covers the choice of the rows of X, not that of the training rows;
    with sampled orders these are resampled as well. Predictions are made once a
    subset if `scoring` looks at predictions only, as all of scikit-learn's named
    scorers do; any other callable has the estimator predict each resample anew.

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
    >>> X[:, :2] += 2 * y[:, None]  # text tells more about y than audio
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
    table = as_table(X, modalities, estimator)
    n_modalities = len(table.layout)
    rng = check_random_state(random_state)
    samples = [
        rng.randint(table.n_rows, size=table.n_rows) for _ in range(n_bootstraps)
    ]
    exact = n_modalities <= MOST_EXACT
    orders = None if exact else sample_orders(n_modalities, n_permutations, rng)
    subsets = all_subsets(n_modalities) if exact else prefixes(orders)
    scoring_of = Scoring(estimator, scoring, y, sample_weight, table.n_rows)
    tasks = ((scoring_of, table, s, samples, empty_score) for s in subsets)
    values = dict(zip(subsets, run_parallel(_score_subset, tasks, n_jobs)))
    if exact:
        shares = exact_shapley(values, n_modalities)
    else:
        shares = sampled_shapley(values, orders, rng)
    return _summarise(
        shares,
        values,
        table.layout.names,
        confidence_level,
        name_score(estimator, scoring),
    )


def all_subsets(n_modalities):
    """Every subset, the empty one included, as frozenset of positions."""
    positions = range(n_modalities)
    return [
        frozenset(subset)
        for size in range(n_modalities + 1)
        for subset in itertools.combinations(positions, size)
    ]


def exact_shapley(values, n_modalities):
    """Shapley values from the values of all subsets.

    Parameters
    ----------
    values : dict of frozenset to ndarray of shape (n_games,)
    n_modalities : int

    Returns
    -------
    ndarray of shape (n_modalities, n_games)
    """
    shares = np.zeros((n_modalities, len(values[frozenset()])))
    for subset, value in values.items():
        size = len(subset)
        if size < n_modalities:
            orders = math.comb(n_modalities - 1, size) * n_modalities
            for m in set(range(n_modalities)) - subset:
                shares[m] += (values[subset | {m}] - value) / orders
    return shares


def sample_orders(n_modalities, n_orders, rng):
    """Random orders in pairs of one and its reverse, whose errors partly cancel."""
    forward = [rng.permutation(n_modalities) for _ in range((n_orders + 1) // 2)]
    return np.array([order for f in forward for order in (f, f[::-1])])


def prefixes(orders):
    """Every set of modalities that some order starts with, each once."""
    found = {
        frozenset(order[:length].tolist())
        for order in orders
        for length in range(len(order) + 1)
    }
    return sorted(found, key=lambda s: (len(s), sorted(s)))


def sampled_shapley(values, orders, rng):
    """Mean gain of each modality over some orders.

    Parameters
    ----------
    values : dict of frozenset to ndarray of shape (n_games,)
        For every prefix of the orders. The first game is the one that matters, the
        others are resampled: for them pairs of orders are resampled as well.
    orders : ndarray of shape (n_orders, n_modalities)
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_modalities, n_games)
    """
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


def _score_subset(scoring, table, subset, samples, empty_score):
    """Score of the table reduced to a subset, and of samples of its rows."""
    if not subset and empty_score is not None:
        return np.full(1 + len(samples), float(empty_score))
    hidden = np.ones(len(table.layout), dtype=bool)
    hidden[list(subset)] = False
    emptied = not (table.presence & ~hidden).any(axis=1).all()
    with warnings.catch_warnings():
        if emptied:
            warnings.simplefilter("ignore", UserWarning)
        return scoring.resampled(table, hidden, samples)


def _summarise(shares, values, names, confidence_level, score_name):
    tail = 50 * (1 - confidence_level)
    if shares.shape[1] > 1:
        interval = np.percentile(shares[:, 1:], [tail, 100 - tail], axis=1).T
    else:
        interval = np.full((len(names), 2), np.nan)
    return Bunch(
        modalities=names,
        importance=shares[:, 0],
        interval=interval,
        bootstraps=shares[:, 1:],
        full_score=float(values[frozenset(range(len(names)))][0]),
        empty_score=float(values[frozenset()][0]),
        confidence_level=confidence_level,
        score_name=score_name,
    )
