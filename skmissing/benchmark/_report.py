"""Writes results as Markdown, as CSV and as pictures."""

import csv
import datetime
import importlib.util
import platform
import warnings
from pathlib import Path

import numpy as np
import sklearn

import skmissing
from skmissing.benchmark._methods import list_methods
from skmissing.benchmark._plot import draw_summary
from skmissing.benchmark._protocol import LOSSES, REGIMES
from skmissing.benchmark._statistics import rank_methods, summarize


def write_report(rows, folder, *, metric=None, confidence_level=0.95):
    """Write `report.md`, `summary.csv`, `runs.csv` and `report.png`.

    Parameters
    ----------
    rows : list of dict
        Of :func:`run_benchmark` or :func:`read_results`.
    folder : path-like
        Where to write; made if it is not there.
    metric : str or None, default=None
        Name of the score, as in :func:`summarize`.
    confidence_level : float, default=0.95
        Of the intervals.

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
    >>> rows = run_benchmark(["breast_cancer"], methods=["mean"], n_runs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_report(rows, folder)][:3]
    ['report.md', 'summary.csv', 'runs.csv']
    """
    if not rows:
        raise ValueError("rows is empty; there is nothing to report.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarize(rows, metric=metric, confidence_level=confidence_level)
    written = [folder / "report.md", folder / "summary.csv", folder / "runs.csv"]
    written[0].write_text(
        format_report(rows, summary, confidence_level), encoding="utf-8"
    )
    _write_csv(written[1], summary)
    _write_csv(written[2], [_flatten(row) for row in rows])
    if importlib.util.find_spec("matplotlib") is None:
        warnings.warn(
            "report.png is left out, because matplotlib is not installed. Install it "
            'with: pip install "skmissing[plot]"',
            UserWarning,
            stacklevel=2,
        )
    elif any(line["mean"] is not None for line in summary):
        written.append(folder / "report.png")
        draw_summary(summary, written[-1])
    return written


def format_report(rows, summary, confidence_level=0.95):
    """The report as Markdown.

    Parameters
    ----------
    rows : list of dict
    summary : list of dict
        Of :func:`summarize`.
    confidence_level : float

    Returns
    -------
    str
    """
    lines = ["# Benchmark", "", *_describe(rows, confidence_level)]
    ranks = rank_methods(summary)
    pairs = dict.fromkeys((line["missing"], line["regime"]) for line in summary)
    for missing, regime in pairs:
        here = (missing, regime)
        lines += ["", f"## {missing}, {regime}: {REGIMES[regime]}", ""]
        lines += _score_table(
            [s for s in summary if (s["missing"], s["regime"]) == here],
            [r for r in ranks if (r["missing"], r["regime"]) == here],
        )
    lines += ["", "## Cost", "", *_cost_table(rows), ""]
    lines += _failures(summary)
    return "\n".join(lines).rstrip() + "\n"


def _describe(rows, confidence_level):
    seeds = len({row["seed"] for row in rows})
    return [
        f"{datetime.date.today().isoformat()}; skmissing {skmissing.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}; "
        f"{seeds} runs.",
        "",
        f"Mean over runs ± half width of its {confidence_level:.0%} interval by "
        "Student's t. **Bold**: the best mean of a column. °: not told apart from the "
        "best at 5 % by a paired t-test over the runs, Holm-corrected; Wilcoxon's test "
        "and all p-values are in summary.csv. Runs share rows, so take the tests for "
        "rough guides. Rank: mean over data sets.",
    ]


def _score_table(summary, ranks):
    data = list(dict.fromkeys(line["data"] for line in summary))
    cells = {(line["data"], line["method"]): line for line in summary}
    metrics = {line["data"]: line["metric"] for line in summary}
    most = {d: max(s["n_runs"] for s in summary if s["data"] == d) for d in data}
    titles = [f"{d} ({_title(metrics[d])})" for d in data]
    lines = _header(["method", *titles, "rank"])
    for rank in ranks:
        scores = [_score(cells.get((d, rank["method"])), most[d]) for d in data]
        place = "–" if rank["mean_rank"] is None else f"{rank['mean_rank']:.1f}"
        lines.append(_line([rank["method"], *scores, place]))
    shares = [f"{d} {_mean_share(summary, d)}" for d in data]
    return [
        *lines,
        "",
        f"Share of modalities missing in test rows: {', '.join(shares)}.",
    ]


def _mean_share(summary, name):
    rates = [line["test_missing"] for line in summary if line["data"] == name]
    rates = [rate for rate in rates if rate is not None]
    return f"{np.mean(rates):.2f}" if rates else "–"


def _title(metric):
    if metric is None:
        return "no score"
    return metric.replace("_", " ") + (", less is better" if metric in LOSSES else "")


def _score(line, most_runs):
    """Mean and interval; with the number of runs, if it is fewer than others have."""
    if line is None or line["mean"] is None:
        return "–"
    text = f"{line['mean']:.3f}"
    if line["half_width"] is not None:
        text += f" ± {line['half_width']:.3f}"
    if line["n_runs"] < most_runs:
        text += f" ({line['n_runs']} of {most_runs} runs)"
    if line["best"]:
        return f"**{text}**"
    p = line["p_ttest"]
    together = line["half_width"] is not None and (p is None or p >= 0.05)
    return text + ("°" if together else "")


def _cost_table(rows):
    """Median seconds and largest growth of memory by method, over all cells."""
    methods = {}
    for row in rows:
        if not row["error"]:
            methods.setdefault(row["method"], []).append(row)
    lines = _header(
        ["method", "fit, s", "predict, s", "peak memory, MiB", "what it is"]
    )
    texts = list_methods()
    for name, runs in methods.items():
        peaks = [r["peak_mb"] for r in runs if r["peak_mb"] is not None]
        lines.append(
            _line(
                [
                    name,
                    f"{np.median([r['fit_seconds'] for r in runs]):.2f}",
                    f"{np.median([r['predict_seconds'] for r in runs]):.3f}",
                    f"{max(peaks):.0f}" if peaks else "–",
                    texts.get(name, ""),
                ]
            )
        )
    return lines


def _failures(summary):
    failed = [line for line in summary if line["n_errors"]]
    if not failed:
        return []
    lines = ["## Failed", ""]
    for line in failed:
        lines.append(
            f"- {line['data']}, {line['missing']}, {line['regime']}, "
            f"{line['method']}: {line['n_errors']} of "
            f"{line['n_errors'] + line['n_runs']} runs; {line['error']}"
        )
    return lines


def _header(titles):
    return [_line(titles), _line(["---"] * len(titles))]


def _line(cells):
    return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"


def _flatten(row):
    """A row of results without nesting: `scores.accuracy`, `test_missing.text`."""
    flat = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": v for name, v in value.items()})
        elif isinstance(value, list):
            flat[key] = "; ".join(map(str, value))
        else:
            flat[key] = value
    return flat


def _write_csv(path, rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
