"""Means, intervals and ranks of methods, with tests and effect sizes."""

import itertools
import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state

from skmissing._compat import import_optional
from skmissing._table import warn
from skmissing.benchmark._scores import LOSSES, MAIN_SCORES, check_results, check_share

pd = import_optional("pandas", "benchmark")

_TABLE = ["data", "missing", "regime"]
_COMPARISON = ["method", "other", "n_pairs", "difference", "low", "high", "wins"]
_COMPARISON += ["ties", "losses", "p_ttest", "p_wilcoxon", "cohen_d", "rank_biserial"]


def summarize(results, *, metric=None, confidence_level=0.95):
    """Summarize the runs of each method, and test it against the best method.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    metric : str or None, default=None
        Name of the score. None is accuracy, mean absolute error, micro F1 or
        the adjusted Rand index, by task.
    confidence_level : float, default=0.95
        Confidence level of the interval of the mean over runs.

    Returns
    -------
    pandas.DataFrame
        One row per `data`, `missing`, `regime` and `method`, the best method first
        within the first three. Undefined values are NaN. The other columns are

        `metric`, `mean`, `std`, `half_width`
            Score over runs. The interval is the mean plus or minus the half width, by
            Student's t.
        `full`
            Mean score of the same fitted models on complete test samples.
        `n_runs`, `n_errors`, `error`
            Numbers of finished and failed runs, and the first error.
        `best`
            Whether the mean is the best of the table.
        `p_ttest`, `p_wilcoxon`
            P-values of two-sided paired tests against the best method, over the runs
            that both finished, with Holm's correction for the number of methods. NaN
            for the best method, for fewer than two shared runs, and for the t-test if
            all differences are equal.
        `fit_seconds`, `predict_seconds`, `peak_mb`
            Medians, and the largest peak.
        `train_missing`, `test_missing`
            Actual share of missing modalities, averaged over modalities and runs.

    Notes
    -----
    Runs share samples, so their scores are not independent, and the tests find more
    differences than they should. With n runs, the p-value of Wilcoxon's test is at
    least :math:`2^{1-n}`, so five runs are never significant at 5 %.

    Examples
    --------
    >>> from skmissing.benchmark import run_benchmark, summarize
    >>> results = run_benchmark(
    ...     ["breast_cancer"], methods=["zero", "mean"], regimes=["R1"], n_runs=2)
    >>> summarize(results)[["method", "best"]]
      method   best
    0   mean   True
    1   zero  False
    """
    check_results(results)
    check_share("confidence_level", confidence_level)
    results = results.drop_duplicates([*_TABLE, "method", "seed"], keep="last")
    tables = [
        _summarize_table(table, results, metric, confidence_level).assign(
            **dict(zip(_TABLE, key))
        )
        for key, table in results.groupby(_TABLE, sort=False)
    ]
    summary = pd.concat(tables, ignore_index=True)
    return summary[[*_TABLE, *summary.columns.drop(_TABLE)]]


def _summarize_table(table, results, metric, confidence_level):
    tasks = table["task"].dropna() if "task" in table else ()
    if metric is None and len(tasks):
        metric = MAIN_SCORES[tasks.iloc[0]]
    score, full = f"scores.{metric}", f"full_scores.{metric}"
    if len(tasks):
        known = results[results["data"] == table["data"].iloc[0]].dropna(
            axis=1, how="all"
        )
        if score not in known:
            names = known.filter(regex=r"^scores\.").columns.str.removeprefix("scores.")
            raise ValueError(
                f"metric={metric!r} is not among the scores of "
                f"{table['data'].iloc[0]}: {', '.join(names)}."
            )
    costs = ["fit_seconds", "predict_seconds", "peak_mb"]
    for name in {score, full, *costs} - set(table):
        table = table.assign(**{name: np.nan})
    shares = {
        name: table.filter(regex=rf"^{name}\.").mean(axis=1)
        for name in ("train_missing", "test_missing")
    }
    runs = table.assign(**shares).groupby("method", sort=False)
    n_scores = runs[score].count()
    quantile = stats.t.ppf((1 + confidence_level) / 2, n_scores - 1)
    summary = pd.DataFrame(
        {
            "metric": metric,
            "mean": runs[score].mean(),
            "std": runs[score].std(),
            "half_width": quantile * runs[score].std() / np.sqrt(n_scores),
            "full": runs[full].mean(),
            "n_runs": runs.size() - runs["error"].count(),
            "n_errors": runs["error"].count(),
            "error": runs["error"].first(),
            "best": False,
            "p_ttest": np.nan,
            "p_wilcoxon": np.nan,
            "fit_seconds": runs["fit_seconds"].median(),
            "predict_seconds": runs["predict_seconds"].median(),
            "peak_mb": runs["peak_mb"].max(),
            "train_missing": runs["train_missing"].mean(),
            "test_missing": runs["test_missing"].mean(),
        }
    )
    summary = summary.sort_values("mean", ascending=metric in LOSSES, kind="stable")
    best, *others = summary.index
    if not np.isnan(summary.loc[best, "mean"]):
        summary["best"] = summary["mean"] == summary.loc[best, "mean"]
        scores = table.pivot(index="seed", columns="method", values=score)
        pairs = [(scores[best] - scores[other]).dropna() for other in others]
        for name, test in (("p_ttest", p_ttest), ("p_wilcoxon", p_wilcoxon)):
            summary.loc[others, name] = holm([test(d) for d in pairs])
    return summary.rename_axis("method").reset_index()


def rank_methods(summary):
    """Rank each method over data sets.

    Parameters
    ----------
    summary : pandas.DataFrame
        Result of :func:`summarize`.

    Returns
    -------
    pandas.DataFrame
        One row per missing configuration, regime and method, best first. The columns
        are `missing`, `regime`, `method`, `mean_rank` (1 is best, and ties share their
        ranks), `n_data`, and `n_failed`, the number of data sets without a score of the
        method. If there is any, `mean_rank` is NaN, and the other methods are ranked
        without this method.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.benchmark import rank_methods
    >>> summary = pd.DataFrame({"method": ["mean", "knn"], "mean": [0.8, 0.9]})
    >>> summary = summary.assign(
    ...     data="a", missing="mcar:0.5", regime="R1", metric="accuracy")
    >>> rank_methods(summary)[["method", "mean_rank"]]
      method  mean_rank
    0    knn        1.0
    1   mean        2.0
    """
    if "mean" not in summary:
        raise ValueError("summary must be the result of summarize; got no 'mean'.")
    tables = []
    for (missing, regime), table in summary.groupby(["missing", "regime"], sort=False):
        means = table.pivot(index="data", columns="method", values="mean")
        loss = table.groupby("data")["metric"].first().isin(LOSSES)
        whole = means.columns[means.notna().all()]
        ranks = means[whole].mul(np.where(loss, 1, -1), axis=0).rank(axis=1).mean()
        names = table["method"].unique()
        ranks = pd.DataFrame(
            {
                "missing": missing,
                "regime": regime,
                "method": names,
                "mean_rank": ranks.reindex(names).to_numpy(),
                "n_data": len(means),
                "n_failed": means[names].isna().sum().to_numpy(),
            }
        )
        tables.append(ranks.sort_values("mean_rank", kind="stable"))
    return pd.concat(tables, ignore_index=True)


def compare_methods(
    results,
    *,
    reference=None,
    over="data",
    metric=None,
    confidence_level=0.95,
    n_resamples=9999,
    random_state=0,
):
    """Compare all pairs of methods, or all methods against one.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    reference : str or None, default=None
        Method to compare all others against. None compares all pairs.
    over : {"data", "runs"}, default="data"
        What a pair of scores is. "data" has one pair per data set, with the means over
        configurations and runs. "runs" has one pair per data set, configuration and
        run. These share samples, so their p-values are too small.
    metric : str or None, default=None
        Name of the score, as in :func:`summarize`.
    confidence_level : float, default=0.95
        Confidence level of the intervals.
    n_resamples : int, default=9999
        Number of bootstrap samples.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row per `regime`, `method` and `other`. Positive differences mean that
        `method` is better than `other`, also for losses. The other columns are

        `n_pairs`
            Number of pairs of scores.
        `difference`, `low`, `high`
            Mean difference, and its interval by the bootstrap (percentiles).
        `wins`, `ties`, `losses`
            Numbers of pairs.
        `p_ttest`, `p_wilcoxon`
            P-values of two-sided paired tests, with Holm's correction for the number of
            comparisons of the regime.
        `cohen_d`
            Mean difference divided by the standard deviation of the differences.
        `rank_biserial`
            Share of the signed ranks in favour of `method`, minus the share against it
            ([2]_), from -1 to 1.

    References
    ----------
    .. [1] J. Demšar. "Statistical comparisons of classifiers over multiple data sets."
           Journal of Machine Learning Research 7 (2006), 1-30.
    .. [2] D. S. Kerby. "The simple difference formula." Comprehensive Psychology 3
           (2014).

    Examples
    --------
    >>> from skmissing.benchmark import compare_methods, run_benchmark
    >>> results = run_benchmark(
    ...     "breast_cancer", methods=["zero", "late"], regimes="R1", n_runs=3)
    >>> compare_methods(results, reference="zero", over="runs")[
    ...     ["method", "other", "wins", "losses"]]
      method other  wins  losses
    0   late  zero     3       0
    """
    check_share("confidence_level", confidence_level)
    if not isinstance(n_resamples, Integral) or n_resamples < 1:
        raise ValueError(
            f"n_resamples must be an integer of at least 1; got {n_resamples!r}."
        )
    rng = check_random_state(random_state)
    tables = []
    for regime, runs in score_runs(results, metric, over).items():
        methods = list(runs.columns)
        if reference is None:
            pairs = list(itertools.combinations(methods, 2))
        elif reference in methods:
            pairs = [(method, reference) for method in methods if method != reference]
        else:
            raise ValueError(
                f"reference must be among {', '.join(methods)}; got {reference!r}."
            )
        lines = [
            _compare(_means(runs[list(pair)], over), confidence_level, n_resamples, rng)
            for pair in pairs
        ]
        table = pd.DataFrame(lines, columns=_COMPARISON)
        for name in ("p_ttest", "p_wilcoxon"):
            table[name] = holm(table[name])
        tables.append(table.assign(regime=regime))
    frame = pd.concat(tables, ignore_index=True)
    return frame[["regime", *frame.columns.drop("regime")]]


def score_runs(results, metric, over):
    """For each regime, scores by run and method. More is always better."""
    if over not in ("data", "runs"):
        raise ValueError(f"over must be 'data' or 'runs'; got {over!r}.")
    check_results(results)
    if "task" not in results or results["task"].isna().all():
        raise ValueError("results must hold at least one score; got none.")
    methods = results["method"].unique()
    if len(methods) < 2:
        raise ValueError(
            f"results must hold at least two methods; got {', '.join(methods)}."
        )
    results = results.drop_duplicates([*_TABLE, "method", "seed"], keep="last")
    results = results.reset_index(drop=True)
    tasks = results.groupby("data")["task"].first()
    used = results["data"].map(tasks).map(MAIN_SCORES) if metric is None else metric
    results = results.assign(score=np.nan, metric=used)
    for name, rows in results.groupby("metric").groups.items():
        if f"scores.{name}" not in results:
            known = results.filter(regex=r"^scores\.").columns.str.removeprefix(
                "scores."
            )
            raise ValueError(
                f"metric={name!r} is not among the scores of the results: "
                f"{', '.join(known)}."
            )
        sign = -1 if name in LOSSES else 1
        results.loc[rows, "score"] = sign * results.loc[rows, f"scores.{name}"]
    return {
        regime: table.pivot(
            index=["data", "missing", "seed"], columns="method", values="score"
        ).reindex(columns=[name for name in methods if name in set(table["method"])])
        for regime, table in results.groupby("regime", sort=False)
    }


def _means(runs, over):
    """Scores of the runs that all methods finished, or their means by data set."""
    runs = runs.dropna()
    return runs if over == "runs" else runs.groupby("data", sort=False).mean()


def _compare(pair, confidence_level, n_resamples, rng):
    """One line of `compare_methods`, from the scores of two methods."""
    method, other = pair.columns
    d = (pair[method] - pair[other]).to_numpy()
    n, spread = len(d), np.std(d, ddof=1) if len(d) > 1 else np.nan
    low = high = np.nan
    if n > 1:
        means = d[rng.randint(n, size=(n_resamples, n))].mean(axis=1)
        tail = 50 * (1 - confidence_level)
        low, high = np.percentile(means, [tail, 100 - tail])
    ranks = stats.rankdata(np.abs(d[d != 0]))
    signs = np.sign(d[d != 0])
    return {
        "method": method,
        "other": other,
        "n_pairs": n,
        "difference": d.mean() if n else np.nan,
        "low": low,
        "high": high,
        "wins": int((d > 0).sum()),
        "ties": int((d == 0).sum()),
        "losses": int((d < 0).sum()),
        "p_ttest": p_ttest(d),
        "p_wilcoxon": p_wilcoxon(d),
        "cohen_d": d.mean() / spread if n > 1 and spread > 0 else np.nan,
        "rank_biserial": ranks @ signs / ranks.sum() if len(ranks) else 0.0,
    }


def p_ttest(difference):
    """P-value of the paired t-test. NaN if the differences are equal, but not 0."""
    d = np.asarray(difference)
    if len(d) < 2:
        return np.nan
    if not d.any():
        return 1.0
    # The spread of equal differences is only rounding errors.
    if d.std(ddof=1) <= 1e-12 * np.abs(d).max():
        return np.nan
    return stats.ttest_1samp(d, 0.0).pvalue


def p_wilcoxon(difference):
    """P-value of Wilcoxon's signed ranks."""
    d = np.asarray(difference)
    if len(d) < 2:
        return np.nan
    if not d.any():
        return 1.0
    with warnings.catch_warnings():
        # scipy warns if it cannot use the exact distribution because of zeros or ties.
        warnings.simplefilter("ignore", UserWarning)
        return stats.wilcoxon(d).pvalue


def holm(p_values):
    """Holm's correction of p-values for their number. NaN is kept and not counted."""
    p = pd.Series(p_values, dtype=float)
    ordered = p.dropna().sort_values(kind="stable")
    factors = np.arange(len(ordered), 0, -1)
    return (factors * ordered).cummax().clip(upper=1).reindex(p.index).to_numpy()


@dataclass(frozen=True)
class RankComparison:
    """Mean ranks of methods, with the tests of Friedman and Nemenyi.

    Parameters
    ----------
    mean_ranks : pandas.Series
        Mean rank of each method, best first. 1 is best.
    n_blocks : int
        Number of data sets or runs.
    statistic, p_value : float
        Friedman's test of the hypothesis that all methods are equal.
    alpha : float
        Level of the critical difference.
    critical_difference : float
        Methods whose mean ranks differ by more are different by Nemenyi's test.
    p_values : pandas.DataFrame
        P-value of Nemenyi's test for each pair of methods.

    Examples
    --------
    >>> from skmissing.benchmark import compare_ranks, run_benchmark
    >>> results = run_benchmark(
    ...     "breast_cancer", methods=["zero", "mean", "late"], regimes="R1", n_runs=3)
    >>> compare_ranks(results, over="runs").mean_ranks.index[0]
    'late'
    """

    mean_ranks: "pd.Series"
    n_blocks: int
    statistic: float
    p_value: float
    alpha: float
    critical_difference: float
    p_values: "pd.DataFrame"

    @property
    def groups(self):
        """Largest groups of methods that do not differ, as lists of names."""
        ranks, groups = self.mean_ranks.to_numpy(), []
        ends = np.searchsorted(ranks, ranks + self.critical_difference, side="right")
        for start, stop in enumerate(ends):
            if stop - start > 1 and not (groups and stop <= groups[-1][1]):
                groups.append((start, stop))
        return [list(self.mean_ranks.index[slice(*group)]) for group in groups]


def compare_ranks(results, *, regime=None, over="data", metric=None, alpha=0.05):
    """Compare the mean ranks of methods by the tests of Friedman and Nemenyi.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    regime : {"R1", "R2"} or None, default=None
        Regime. None is the only regime of the results.
    over : {"data", "runs"}, default="data"
        What is ranked, as in :func:`compare_methods`. Methods without a score anywhere
        are left out, and named in a warning.
    metric : str or None, default=None
        Name of the score, as in :func:`summarize`.
    alpha : float, default=0.05
        Level of the critical difference.

    Returns
    -------
    RankComparison
        Mean ranks and tests. Draw it by
        `BenchmarkDisplay.from_results(results, kind="ranks")`.

    References
    ----------
    .. [1] J. Demšar. "Statistical comparisons of classifiers over multiple data sets."
           Journal of Machine Learning Research 7 (2006), 1-30.

    Examples
    --------
    >>> from skmissing.benchmark import compare_ranks, run_benchmark
    >>> results = run_benchmark(
    ...     "breast_cancer", methods=["zero", "mean", "late"], regimes="R1", n_runs=3)
    >>> ranks = compare_ranks(results, over="runs")
    >>> round(ranks.critical_difference, 2), ranks.n_blocks
    (1.91, 3)
    """
    tables = score_runs(results, metric, over)
    runs = tables[pick_regime(list(tables), regime)]
    scores = complete_scores(runs, over)
    if len(scores.columns) < len(runs.columns):
        left_out = [str(name) for name in runs.columns if name not in scores]
        warn(
            "methods that have no score on some data set are not ranked: "
            f"{', '.join(left_out)}.",
            UserWarning,
        )
    return rank_scores(scores, alpha)


def pick_regime(regimes, regime):
    """Return the given regime, or the only one."""
    if regime is None and len(regimes) > 1:
        raise ValueError(
            f"regime must be given, because the results have {', '.join(regimes)}; got "
            "None."
        )
    if regime is not None and regime not in regimes:
        raise ValueError(f"regime must be among {', '.join(regimes)}; got {regime!r}.")
    return regimes[0] if regime is None else regime


def complete_scores(runs, over):
    """Scores of the methods that have a run on every data set."""
    whole = runs.columns[runs.groupby("data").count().gt(0).all()]
    return _means(runs[whole], over)


def rank_scores(scores, alpha=0.05):
    """Compare the ranks of a table of scores with one column per method."""
    check_share("alpha", alpha)
    n, k = scores.shape
    if k < 2 or n < 2:
        raise ValueError(
            "ranks need at least two methods and two data sets or runs; got "
            f"{k} methods and {n} data sets or runs."
        )
    ranks = scores.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    error = np.sqrt(k * (k + 1) / (6 * n))
    # Nemenyi's test uses the studentized range divided by the square root of 2.
    quantile = stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    gaps = np.abs(np.subtract.outer(ranks.to_numpy(), ranks.to_numpy())) / error
    p = stats.studentized_range.sf(gaps * np.sqrt(2), k, np.inf)
    statistic, p_value = _friedman(scores)
    return RankComparison(
        mean_ranks=ranks.rename("mean_rank").rename_axis("method"),
        n_blocks=n,
        statistic=statistic,
        p_value=p_value,
        alpha=alpha,
        critical_difference=float(quantile * error),
        p_values=pd.DataFrame(p, ranks.index, ranks.index).clip(upper=1.0),
    )


def _friedman(scores):
    """Friedman's test. scipy has it for three methods and more."""
    if scores.shape[1] > 2:
        found = stats.friedmanchisquare(*scores.to_numpy().T)
        # All ranks equal: the statistic is 0 divided by 0.
        return (0.0, 1.0) if np.isnan(found.statistic) else tuple(map(float, found))
    difference = scores.iloc[:, 0] - scores.iloc[:, 1]
    wins, losses = (difference > 0).sum(), (difference < 0).sum()
    if wins + losses == 0:
        return 0.0, 1.0
    statistic = (wins - losses) ** 2 / (wins + losses)
    return float(statistic), float(stats.chi2.sf(statistic, 1))
