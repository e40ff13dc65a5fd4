"""Tables and a report with means, intervals, paired tests and ranks of results."""

import datetime
import importlib.util
import platform
from pathlib import Path

import numpy as np
import sklearn
from scipy import stats

import skmissing
from skmissing._compat import import_optional
from skmissing._table import warn
from skmissing.benchmark._methods import list_methods
from skmissing.benchmark._protocol import REGIMES
from skmissing.benchmark._results import PARTS
from skmissing.benchmark._scores import LOSSES, MAIN_SCORES
from skmissing.benchmark._statistics import holm, p_ttest, p_wilcoxon

pd = import_optional("pandas", "benchmark")

_TABLE = ["data", "missing", "regime"]
_COLORS = {"R1": "#0072B2", "R2": "#D55E00"}
_MARKERS = {"R1": "o", "R2": "s"}


def summarize(results, *, metric=None, confidence_level=0.95):
    """Summarize the runs of each method, and test it against the best method.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    metric : str or None, default=None
        Name of the score. None is accuracy, mean absolute error or micro F1, by task.
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


def write_report(results, folder, *, metric=None, confidence_level=0.95):
    """Write `report.md`, `summary.csv`, `runs.csv` and `report.png`.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    folder : path-like
        Folder to write to. It is created if it does not exist.
    metric : str or None, default=None
        Name of the score, as in :func:`summarize`.
    confidence_level : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Warns
    -----
    UserWarning
        If the picture is left out because matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from skmissing.benchmark import run_benchmark, write_report
    >>> results = run_benchmark(["breast_cancer"], methods=["mean"], n_runs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_report(results, folder)][:3]
    ['report.md', 'summary.csv', 'runs.csv']
    """
    if not len(results):
        raise ValueError("results must hold at least one row; got none.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarize(results, metric=metric, confidence_level=confidence_level)
    written = [folder / "report.md", folder / "summary.csv", folder / "runs.csv"]
    text = _format_report(results, summary, confidence_level)
    written[0].write_text(text, encoding="utf-8")
    runs = results.drop(columns=PARTS.values(), errors="ignore")
    for path, frame in zip(written[1:], (summary, runs)):
        frame.to_csv(path, index=False, lineterminator="\r\n", encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is None:
        text = (
            "report.png is left out, because matplotlib is not installed. Install it "
            'with: pip install "skmissing[plot]"'
        )
        warn(text, UserWarning)
    elif summary["mean"].notna().any():
        written.append(folder / "report.png")
        _draw_summary(summary, written[-1])
    return written


def _format_report(results, summary, confidence_level):
    lines = [
        "# Benchmark",
        "",
        f"{datetime.date.today().isoformat()}; skmissing {skmissing.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}; "
        f"{results['seed'].nunique()} runs.",
        "",
        f"Mean over runs ± half width of its {confidence_level:.0%} interval by "
        "Student's t. **Bold**: the best mean of a column. °: not significantly "
        "different from the best at 5 % by a paired t-test over the runs with "
        "Holm's correction. Wilcoxon's test and all p-values are in summary.csv. "
        "Runs share samples, so the tests are only rough guides. "
        "Rank: mean over data sets.",
    ]
    ranks = dict(list(rank_methods(summary).groupby(["missing", "regime"])))
    for key, table in summary.groupby(["missing", "regime"], sort=False):
        lines += ["", f"## {key[0]}, {key[1]}: {REGIMES[key[1]]}", ""]
        lines += _score_table(table, ranks[key])
    lines += ["", "## Cost", "", *_cost_table(results), ""]
    failed = summary[summary["n_errors"] > 0]
    lines += ["## Failed", ""] if len(failed) else []
    for line in failed.itertuples():
        lines.append(
            f"- {line.data}, {line.missing}, {line.regime}, {line.method}: "
            f"{line.n_errors} of {line.n_errors + line.n_runs} runs; {line.error}"
        )
    return "\n".join(lines).rstrip() + "\n"


def _score_table(summary, ranks):
    sets = dict(list(summary.groupby("data", sort=False)))
    titles, columns, shares = [], [], []
    for name, table in sets.items():
        titles.append(f"{name} ({_title(table['metric'].iloc[0])})")
        most = table["n_runs"].max()
        columns.append({line.method: _score(line, most) for line in table.itertuples()})
        shares.append(f"{name} {_number(table['test_missing'].mean(), 2)}")
    lines = [["method", *titles, "rank"]]
    for method, rank in zip(ranks["method"], ranks["mean_rank"]):
        scores = [column.get(method, "–") for column in columns]
        lines.append([method, *scores, _number(rank, 1)])
    share = f"Share of modalities missing in test samples: {', '.join(shares)}."
    return [*_markdown(lines), "", share]


def _score(line, most_runs):
    """Mean and interval, with the number of runs if other methods have more."""
    if np.isnan(line.mean):
        return "–"
    text = f"{line.mean:.3f}"
    if not np.isnan(line.half_width):
        text += f" ± {line.half_width:.3f}"
    if line.n_runs < most_runs:
        text += f" ({line.n_runs} of {most_runs} runs)"
    if line.best:
        return f"**{text}**"
    # A p-value of NaN shows no difference.
    together = not (np.isnan(line.half_width) or line.p_ttest < 0.05)
    return text + ("°" if together else "")


def _cost_table(results):
    """Median seconds and largest growth of memory by method, over all cells."""
    lines = [["method", "fit, s", "predict, s", "peak memory, MiB", "method in words"]]
    good, texts = results[results["error"].isna()], list_methods()
    for method, runs in good.groupby("method", sort=False):
        fit, predict = runs["fit_seconds"].median(), runs["predict_seconds"].median()
        cost = [_number(fit, 2), _number(predict, 3), _number(runs["peak_mb"].max(), 0)]
        lines.append([method, *cost, texts.get(method, "")])
    return _markdown(lines)


def _title(metric):
    if not isinstance(metric, str):
        return "no score"
    return metric.replace("_", " ") + (", less is better" if metric in LOSSES else "")


def _number(value, digits):
    return "–" if pd.isna(value) else f"{value:.{digits}f}"


def _markdown(lines):
    lines = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    lines = [" | ".join(str(c).replace("|", "\\|") for c in line) for line in lines]
    return [f"| {line} |" for line in lines]


def _draw_summary(summary, path):
    """Draw means and intervals of all methods, by data set and configuration."""
    figures = import_optional("matplotlib.figure", "plot")
    data, missing = summary["data"].unique(), summary["missing"].unique()
    methods = list(summary["method"].unique()[::-1])
    height = 0.7 + 0.2 * len(methods)
    figure = figures.Figure(
        figsize=(1.5 + 2.6 * len(missing), 0.9 + height * len(data)),
        layout="constrained",
    )
    axes = figure.subplots(
        len(data), len(missing), squeeze=False, sharey=True, sharex="row"
    )
    for row, name in zip(axes, data):
        for ax, gaps in zip(row, missing):
            here = (summary["data"] == name) & (summary["missing"] == gaps)
            _draw_panel(ax, summary[here], methods)
            ax.set_title(f"{name}, {gaps}", fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=120)


def _draw_panel(ax, table, methods):
    regimes = table["regime"].unique()
    for offset, regime in zip(np.linspace(0.15, -0.15, len(regimes)), regimes):
        found = table[(table["regime"] == regime) & table["mean"].notna()]
        ax.errorbar(
            found["mean"],
            [methods.index(method) + offset for method in found["method"]],
            xerr=found["half_width"].fillna(0.0),
            color=_COLORS[regime],
            marker=_MARKERS[regime],
            markersize=4,
            linestyle="",
            elinewidth=1,
            label=regime,
        )
    ax.set_yticks(range(len(methods)), methods, fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    ax.set_axisbelow(True)
    metric = next(iter(table["metric"].dropna()), None)
    ax.set_xlabel("score" if metric is None else _title(metric), fontsize=8)
