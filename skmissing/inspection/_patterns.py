"""Scores of a model by which modalities it is given."""

import itertools
import warnings
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch

from skmissing._blocks import find_patterns
from skmissing._compat import import_optional, validate_params
from skmissing.inspection._scoring import Scoring, name_score, run_parallel
from skmissing.inspection._tables import as_table

# 2 ** 10 - 1 subsets are the most that anyone can mean by "all".
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
    modalities=None,
    scoring=None,
    patterns="all",
    sample_weight=None,
    as_frame=False,
    n_jobs=None,
):
    """Score a fitted model on every subset of modalities.

    The table that answers "what does my model do if the audio fails?". For each
    subset the rows that have all of it are reduced to it, whatever else they have,
    and scored.

    Parameters
    ----------
    estimator : estimator
        Fitted; it must predict rows with missing modalities.
    X : array-like or dataframe of shape (n_samples, n_features)
        Rows that the estimator was not fitted on. A dataframe may hold text, for a
        pipeline that starts with encoders.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    modalities : list of int, dict or None, default=None
        The groups of columns of X. None takes `modalities_` of the estimator, of a
        search's best estimator, or of the first step of a pipeline that has it; if
        there is none, columns named `modality__feature` are grouped by their prefix.
    scoring : str, callable or None, default=None
        Scorer, as for :func:`sklearn.metrics.check_scoring`; None takes the
        estimator's own `score`.
    patterns : {"all", "observed"} or list, default="all"
        Which subsets. "all" takes every non-empty one, the largest first;
        "observed" hides nothing and groups the rows by what they have. A list holds
        tuples of names, or single names.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, handed to the scorer.
    as_frame : bool, default=False
        Whether to return a pandas dataframe indexed by pattern.
    n_jobs : int, default=None
        Number of patterns scored in parallel.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or dataframe
        With one entry a pattern in each of these:

        pattern : list of str
            Names of the modalities, joined by " + ".
        n_modalities : ndarray of int
            How many these are.
        n_samples : ndarray of int
            Rows that were scored. Patterns scored on different rows are comparable
            only as far as the rows are.
        score : ndarray of float
            NaN where no row has the pattern; a warning tells.

        A Bunch also holds `presence`, boolean of shape (n_patterns, n_modalities),
        the names `modalities`, and `score_name`.

    See Also
    --------
    modality_importance : Sums the table up, one number a modality.
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
    >>> X[:, :2] += 2 * y[:, None]  # text tells more about y than audio
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
    table = as_table(X, modalities, estimator)
    scoring_of = Scoring(estimator, scoring, y, sample_weight, table.n_rows)
    if isinstance(patterns, str) and patterns == "observed":
        presence, inverse = _observed_patterns(table.presence)
        rows = [np.flatnonzero(inverse == p) for p in range(len(presence))]
    else:
        presence = _read_patterns(patterns, table.layout.names)
        rows = [np.flatnonzero(table.presence[:, p].all(axis=1)) for p in presence]
    scores = run_parallel(
        _score_reduced,
        ((scoring_of, table, *task) for task in zip(rows, presence)),
        n_jobs,
    )
    result = Bunch(
        pattern=[name_pattern(p, table.layout.names) for p in presence],
        n_modalities=presence.sum(axis=1),
        n_samples=np.array([len(r) for r in rows]),
        score=np.array(scores),
        presence=presence,
        modalities=table.layout.names,
        score_name=name_score(estimator, scoring),
    )
    _warn_unseen(result)
    return _to_frame(result) if as_frame else result


def all_patterns(n_modalities):
    """Every non-empty subset, the largest first, in layout order.

    Parameters
    ----------
    n_modalities : int

    Returns
    -------
    ndarray of shape (2 ** n_modalities - 1, n_modalities), dtype bool
    """
    if n_modalities > MOST_MODALITIES:
        raise ValueError(
            f"patterns='all' means {2**n_modalities - 1} subsets of {n_modalities} "
            f"modalities, and is limited to {MOST_MODALITIES} modalities. If columns "
            "belong together, pass modalities=; otherwise list the patterns, or take "
            "patterns='observed'."
        )
    subsets = [
        subset
        for size in range(n_modalities, 0, -1)
        for subset in itertools.combinations(range(n_modalities), size)
    ]
    presence = np.zeros((len(subsets), n_modalities), dtype=bool)
    for row, subset in zip(presence, subsets):
        row[list(subset)] = True
    return presence


def name_pattern(present, names):
    """Names of the present modalities, joined by " + "."""
    return " + ".join(n for n, p in zip(names, present) if p) or "(none)"


def check_names(wanted, names, where):
    """Positions of modalities, given by name.

    Parameters
    ----------
    wanted : str or iterable of str
    names : tuple of str
    where : str
        What error messages call `wanted`.

    Returns
    -------
    list of int
    """
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in wanted:
        if name not in names:
            raise ValueError(
                f"{where} names the modality {name!r}; there are only: "
                f"{', '.join(map(repr, names))}."
            )
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"{where}={wanted!r} must name each modality once, and some.")
    return [names.index(name) for name in wanted]


def _read_patterns(patterns, names):
    if isinstance(patterns, str):
        if patterns != "all":
            raise ValueError(
                "patterns must be 'all', 'observed' or a list of tuples of names; got "
                f"{patterns!r}."
            )
        return all_patterns(len(names))
    presence = np.zeros((len(patterns), len(names)), dtype=bool)
    if not len(presence):
        raise ValueError("patterns is empty; list at least one pattern.")
    for i, (row, pattern) in enumerate(zip(presence, patterns)):
        row[check_names(pattern, names, f"patterns[{i}]")] = True
    return presence


def _observed_patterns(presence):
    """Distinct patterns, the largest first, and which one each row has."""
    patterns, inverse = find_patterns(presence)
    order = np.lexsort([*~patterns.T[::-1], -patterns.sum(axis=1)])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return patterns[order], rank[inverse]


def _score_reduced(scoring, table, rows, present):
    if not len(rows):
        return np.nan
    return scoring.score(table.take(rows).hide(~present[None, :]), rows)


def _warn_unseen(result):
    unseen = [p for p, n in zip(result.pattern, result.n_samples) if n == 0]
    if unseen:
        warnings.warn(
            f"{len(unseen)} of the {len(result.pattern)} patterns are found in no row "
            f"and their score is NaN: {', '.join(unseen)}.",
            UserWarning,
            stacklevel=4,
        )


def _to_frame(result):
    pandas = import_optional("pandas", "benchmark")
    columns = ("n_modalities", "n_samples", "score")
    return pandas.DataFrame(
        {name: result[name] for name in columns},
        index=pandas.Index(result.pattern, name="pattern"),
    )
