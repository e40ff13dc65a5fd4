"""Means, intervals, paired tests and ranks of benchmark results."""

import warnings

import numpy as np
from scipy import stats

from skmissing.benchmark._protocol import LOSSES, MAIN_SCORES

TABLE = ("data", "missing", "regime")


def summarize(rows, *, metric=None, confidence_level=0.95):
    """Sum the runs of each method up, and test it against the best one.

    Parameters
    ----------
    rows : list of dict
        Of :func:`run_benchmark` or :func:`read_results`.
    metric : str or None, default=None
        Name of the score; None takes accuracy, mean absolute error or micro F1, by
        task.
    confidence_level : float, default=0.95
        Of the interval of the mean over runs.

    Returns
    -------
    list of dict
        One for each data set, missing configuration, regime and method, best first
        within the first three, with

        `metric`, `mean`, `std`, `half_width`
            Score over runs; the interval is mean plus or minus half width, by
            Student's t.
        `full`
            Mean score of the same fitted models on complete test rows.
        `n_runs`, `n_errors`, `error`
            Finished runs, failed ones and the first error.
        `best`
            Whether the mean is the best of the table.
        `p_ttest`, `p_wilcoxon`
            Two-sided paired tests against the best, over the runs both finished,
            each corrected by Holm's method for the number of methods compared; None
            for the best, where fewer than two runs are shared, and for the t-test where
            all differences are the same.
        `fit_seconds`, `predict_seconds`, `peak_mb`
            Medians, and the largest peak.
        `train_missing`, `test_missing`
            Realised share of missing modalities, mean over modalities and runs.

    Notes
    -----
    Runs share rows, so their scores are not independent, and the tests are bolder
    than their name. With n runs Wilcoxon's test cannot give less than
    :math:`2^{1-n}`: five runs are never significant at 5 %, by it.

    Examples
    --------
    >>> from skmissing.benchmark import run_benchmark, summarize
    >>> rows = run_benchmark(
    ...     ["breast_cancer"], methods=["zero", "mean"], regimes=["R1"], n_runs=2)
    >>> [(s["method"], s["best"]) for s in summarize(rows)]
    [('mean', True), ('zero', False)]
    """
    tables = {}
    for row in rows:
        table = tables.setdefault(tuple(row[k] for k in TABLE), {})
        table.setdefault(row["method"], []).append(row)
    summary = []
    for key, methods in tables.items():
        chosen = metric or _main_score(methods)
        lines = [
            {
                **dict(zip(TABLE, key)),
                **_summarize_method(name, runs, chosen, confidence_level),
            }
            for name, runs in methods.items()
        ]
        lines.sort(key=lambda line: _badness(line["mean"], chosen))
        _test_against_best(lines, methods, chosen)
        summary += lines
    return summary


def _main_score(methods):
    tasks = [r["task"] for runs in methods.values() for r in runs if not r["error"]]
    return MAIN_SCORES[tasks[0]] if tasks else None


def _badness(mean, metric):
    """Sorts best first, and what has no score last."""
    if mean is None:
        return np.inf
    return mean if metric in LOSSES else -mean


def _scores(runs, metric, key="scores"):
    """Score by seed, of the runs that have one."""
    found = {}
    for run in runs:
        if run["error"]:
            continue
        if metric not in run[key]:
            raise ValueError(
                f"metric={metric!r} is not among the scores of {run['data']}: "
                f"{', '.join(run[key])}."
            )
        if run[key][metric] is not None:
            found[run["seed"]] = run[key][metric]
    return found


def _summarize_method(name, runs, metric, confidence_level):
    good = [run for run in runs if not run["error"]]
    errors = [run["error"] for run in runs if run["error"]]
    line = {
        "method": name,
        "metric": metric,
        "mean": None,
        "std": None,
        "half_width": None,
        "full": None,
        "n_runs": len(good),
        "n_errors": len(errors),
        "error": errors[0] if errors else None,
        "best": False,
        "p_ttest": None,
        "p_wilcoxon": None,
    }
    values = np.array(list(_scores(runs, metric).values()))
    if len(values):
        line["mean"] = float(values.mean())
        full = list(_scores(runs, metric, "full_scores").values())
        line["full"] = float(np.mean(full)) if full else None
    if len(values) > 1:
        line["std"] = float(values.std(ddof=1))
        quantile = stats.t.ppf((1 + confidence_level) / 2, len(values) - 1)
        line["half_width"] = float(quantile * line["std"] / np.sqrt(len(values)))
    for key in ("fit_seconds", "predict_seconds"):
        line[key] = float(np.median([r[key] for r in good])) if good else None
    peaks = [r["peak_mb"] for r in good if r["peak_mb"] is not None]
    line["peak_mb"] = max(peaks) if peaks else None
    for key in ("train_missing", "test_missing"):
        rates = [np.mean(list(r[key].values())) for r in good]
        line[key] = float(np.mean(rates)) if rates else None
    return line


def _test_against_best(lines, methods, metric):
    if lines[0]["mean"] is None:
        return
    lines[0]["best"] = True
    best = _scores(methods[lines[0]["method"]], metric)
    found = {"p_ttest": {}, "p_wilcoxon": {}}
    for place, line in enumerate(lines[1:], start=1):
        own = _scores(methods[line["method"]], metric)
        shared = sorted(best.keys() & own.keys())
        if len(shared) > 1:
            difference = np.array([best[s] - own[s] for s in shared])
            found["p_ttest"][place] = _ttest(difference)
            found["p_wilcoxon"][place] = _wilcoxon(difference)
    for name, values in found.items():
        defined = {place: p for place, p in values.items() if p is not None}
        for place, p in zip(defined, holm(list(defined.values()))):
            lines[place][name] = float(p)


def _ttest(difference):
    if not difference.any():
        return 1.0
    # Equal differences have no spread, but for rounding, to measure them by.
    spread = difference.std(ddof=1)
    if spread <= 1e-12 * np.abs(difference).max():
        return None
    t = difference.mean() / (spread / np.sqrt(len(difference)))
    return float(2 * stats.t.sf(abs(t), len(difference) - 1))


def _wilcoxon(difference):
    if not difference.any():
        return 1.0
    with warnings.catch_warnings():
        # scipy warns where zeros or ties keep it from the exact distribution.
        warnings.simplefilter("ignore", UserWarning)
        return float(stats.wilcoxon(difference).pvalue)


def holm(p_values):
    """Holm's correction of p-values for their number.

    Parameters
    ----------
    p_values : list of float

    Returns
    -------
    ndarray of shape (n,)
        At most 1, and in the order of the uncorrected ones.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    factors = np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return corrected


def rank_methods(summary):
    """Mean rank of each method over data sets.

    Parameters
    ----------
    summary : list of dict
        Of :func:`summarize`.

    Returns
    -------
    list of dict
        One for each missing configuration, regime and method, best first: `missing`,
        `regime`, `method`, `mean_rank` (1 is best; ties share their ranks), `n_data`,
        and `n_failed`, the data sets on which the method has no score. A method that
        has none on some data set gets no rank: `mean_rank` is None, and the ranks of
        the others are counted without it.

    Examples
    --------
    >>> from skmissing.benchmark import rank_methods
    >>> line = {"data": "a", "missing": "mcar:0.5", "regime": "R1"}
    >>> line["metric"] = "accuracy"
    >>> summary = [
    ...     line | {"method": "mean", "mean": 0.8},
    ...     line | {"method": "knn", "mean": 0.9},
    ... ]
    >>> [(r["method"], r["mean_rank"]) for r in rank_methods(summary)]
    [('knn', 1.0), ('mean', 2.0)]
    """
    tables = {}
    for line in summary:
        table = tables.setdefault((line["missing"], line["regime"]), {})
        table.setdefault(line["data"], {})[line["method"]] = _badness(
            line["mean"], line["metric"]
        )
    ranks = []
    for (missing, regime), data in tables.items():
        names = list(dict.fromkeys(name for table in data.values() for name in table))
        scores = np.array(
            [[table.get(name, np.inf) for name in names] for table in data.values()]
        )
        whole = np.isfinite(scores).all(axis=0)
        mean_ranks = np.full(len(names), np.inf)
        if whole.any():
            places = stats.rankdata(scores[:, whole], axis=1)
            mean_ranks[whole] = places.mean(axis=0)
        for m in np.argsort(mean_ranks, kind="stable"):
            ranks.append(
                {
                    "missing": missing,
                    "regime": regime,
                    "method": names[m],
                    "mean_rank": float(mean_ranks[m]) if whole[m] else None,
                    "n_data": len(data),
                    "n_failed": int((~np.isfinite(scores[:, m])).sum()),
                }
            )
    return ranks
