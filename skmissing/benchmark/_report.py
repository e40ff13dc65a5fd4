"""The report of a benchmark: tables as text and as files, and figures."""

import base64
import datetime
import html
import importlib.util
import io
import platform
import re
from pathlib import Path

import numpy as np
import sklearn

import skmissing
from skmissing._compat import import_optional
from skmissing._table import warn
from skmissing.benchmark._displays import BenchmarkDisplay, draw_panels, draw_summary
from skmissing.benchmark._methods import list_methods
from skmissing.benchmark._protocol import REGIMES
from skmissing.benchmark._results import PARTS, score_parts
from skmissing.benchmark._scores import check_results, name_score
from skmissing.benchmark._statistics import (
    compare_methods,
    complete_scores,
    rank_methods,
    rank_scores,
    score_runs,
    summarize,
)

pd = import_optional("pandas", "benchmark")

TEXTS, PICTURES = ("md", "html", "tex"), ("png", "pdf", "svg")
FORMATS = (*TEXTS, "csv", *PICTURES)
_KINDS = {
    "scores": "Means over runs, with their intervals",
    "rates": "Scores against the share of missing modalities",
    "sets": "Scores by data set",
    "ranks": "Critical differences of mean ranks",
    "cost": "Scores against the time to fit",
}
_ROW = ["data", "missing", "regime", "method"]


class Bold(str):
    """Text of a cell in bold face."""


def write_report(
    results,
    folder,
    *,
    metric=None,
    confidence_level=0.95,
    reference=None,
    formats=("md", "csv", "png"),
    figsize=None,
):
    """Write tables and figures of the results to a folder.

    Parameters
    ----------
    results : pandas.DataFrame
        Results of :func:`run_benchmark` or :func:`read_results`.
    folder : path-like
        Folder to write to. It is created if it does not exist.
    metric : str or None, default=None
        Name of the score, as in :func:`summarize`.
    confidence_level : float, default=0.95
        Confidence level of the intervals. One minus it is the level of the critical
        difference.
    reference : str or None, default=None
        Method to compare the others with. None is the method with the best mean rank.
    formats : sequence of str, default=("md", "csv", "png")
        "md", "html" and "tex" write the same report as `report.md`, as a page with the
        figures in it, and for LaTeX with the package booktabs. "csv" writes
        `summary.csv`, `runs.csv`, `comparisons.csv` (:func:`compare_methods`) and
        `parts.csv` (:func:`score_parts`). "png", "pdf" and "svg" write the figures that
        the results have enough data for: `scores`, and the kinds of
        :class:`BenchmarkDisplay`.
    figsize : tuple of float, default=None
        Width and height of the figures in inches. None is by content.

    Returns
    -------
    list of pathlib.Path
        The files written, in the order of `formats`.

    Warns
    -----
    UserWarning
        If the figures are left out because matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from skmissing.benchmark import run_benchmark, write_report
    >>> results = run_benchmark(["breast_cancer"], methods=["mean"], n_runs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_report(results, folder, formats=["md", "csv"])
    >>> [path.name for path in files]
    ['report.md', 'summary.csv', 'runs.csv', 'parts.csv']
    """
    check_results(results)
    formats = [formats] if isinstance(formats, str) else list(formats)
    check_report(formats, reference, list(results["method"].unique()))
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"folder must be a folder; got the file {folder}.")
    folder.mkdir(parents=True, exist_ok=True)
    report = _Report(results, metric, confidence_level, reference, figsize)
    figures = report.draw(formats)
    written = [report.write(folder, name, figures, formats) for name in formats]
    return [path for paths in written for path in paths]


def check_report(formats, reference, methods):
    """Raise an error if the report cannot have these formats and this reference."""
    if not formats:
        raise ValueError("formats must hold at least one entry; got none.")
    for name in formats:
        if formats.count(name) > 1:
            raise ValueError(f"formats must hold each entry once; got {name!r} twice.")
        if name not in FORMATS:
            raise ValueError(
                f"formats must be among {', '.join(FORMATS)}; got {name!r}."
            )
    if reference is not None and reference not in methods:
        raise ValueError(
            f"reference must be among {', '.join(methods)}; got {reference!r}."
        )


class _Report:
    """What all formats of the report share."""

    def __init__(self, results, metric, confidence_level, reference, figsize):
        self.results = results
        self.metric = metric
        self.level = confidence_level
        self.reference = reference
        self.figsize = figsize
        self.summary = summarize(
            results, metric=metric, confidence_level=confidence_level
        )
        self.methods = list(results["method"].unique())
        self.over = "data" if results["data"].nunique() > 1 else "runs"
        self.ranks = self.comparisons = self.parts = None
        if self.summary["mean"].notna().any():
            self._compare()

    def _compare(self):
        """Compute the ranks by regime, the comparisons, and the scores by pattern."""
        if len(self.methods) > 1:
            self.ranks = {}
            for regime, runs in score_runs(
                self.results, self.metric, self.over
            ).items():
                scores = complete_scores(runs, self.over)
                if min(scores.shape) > 1:
                    self.ranks[regime] = rank_scores(scores, 1 - self.level)
            self.comparisons = compare_methods(
                self.results,
                over=self.over,
                metric=self.metric,
                confidence_level=self.level,
            )
        column = PARTS["pattern"]
        if column in self.results and self.results[column].notna().any():
            self.parts = score_parts(self.results, metric=self.metric)

    def draw(self, formats):
        """Draw the figures that these formats need and the results allow, by name."""
        if not set(formats) & {"html", *PICTURES}:
            return {}
        if importlib.util.find_spec("matplotlib") is None:
            warn(
                "the figures are left out, because matplotlib is not installed. "
                'Install it with: pip install "skmissing[plot]"',
                UserWarning,
            )
            return {}
        found = {}
        if self.summary["mean"].notna().any():
            found["scores"] = draw_summary(self.summary, self.figsize)
        for kind in ("rates", "sets", "ranks", "cost"):
            panels = self._displays(kind)
            if panels:
                found[kind] = draw_panels(panels, self.figsize)
        for figure in found.values():
            # The layout is computed once, and not again for each format.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        return found

    def _displays(self, kind):
        """Pairs of a label and the displays by regime, per data set or score."""
        if kind == "ranks":
            found = {
                r: v for r, v in (self.ranks or {}).items() if len(v.mean_ranks) > 2
            }
            row = [
                BenchmarkDisplay(kind=kind, values=values, regime=regime)
                for regime, values in found.items()
            ]
            return [("", row)] if row else []
        scored = self.summary[self.summary["metric"].notna()]
        table = scored[scored["mean"].notna()]
        enough = {
            "rates": table["missing"].nunique() > 1,
            "sets": table["data"].nunique() > 1,
            "cost": table.loc[table["fit_seconds"].notna(), "method"].nunique() > 1,
        }
        if not enough[kind]:
            return []
        by = "data" if kind == "rates" else "metric"
        return [
            (
                key if kind == "rates" else "",
                [
                    BenchmarkDisplay._from_summary(
                        part, kind, self.methods, self.reference
                    )
                    for _, part in rows.groupby("regime", sort=False)
                ],
            )
            for key, rows in scored.groupby(by, sort=False)
        ]

    def write(self, folder, name, figures, formats):
        """Write the files of one format, and return their paths."""
        if name in PICTURES:
            paths = [folder / f"{kind}.{name}" for kind in figures]
            for path, figure in zip(paths, figures.values()):
                _save(figure, path, name)
        elif name == "csv":
            runs = self.results.drop(columns=PARTS.values(), errors="ignore")
            frames = {
                "summary": self.summary,
                "runs": runs,
                "comparisons": self.comparisons,
                "parts": self.parts,
            }
            frames = {k: frame for k, frame in frames.items() if frame is not None}
            paths = [folder / f"{kind}.csv" for kind in frames]
            for path, frame in zip(paths, frames.values()):
                frame.to_csv(path, index=False, lineterminator="\r\n", encoding="utf-8")
        else:
            paths = [folder / f"report.{name}"]
            images = _find_images(name, figures, formats)
            blocks = [
                (kind, content)
                for kind, content in self.blocks()
                if kind != "figure" or content in images
            ]
            text = _WRITERS[name](blocks, images)
            paths[0].write_text(text, encoding="utf-8")
        return paths

    def blocks(self):
        """The report as pairs of a kind of block and its content."""
        n_runs = self.results["seed"].nunique()
        yield "title", "Benchmark"
        yield (
            "text",
            f"{datetime.date.today().isoformat()}; skmissing {skmissing.__version__}, "
            f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}; "
            f"{n_runs} runs.",
        )
        yield (
            "text",
            f"Mean over runs ± half width of its {100 * self.level:g} % interval by "
            "Student's t. Bold: the best mean of a column. °: not significantly "
            "different from the best at 5 % by a paired t-test over the runs with "
            "Holm's correction. Runs share samples, so the tests are only rough "
            "guides. Rank: mean over data sets.",
        )
        yield "figure", "scores"
        ranks = dict(list(rank_methods(self.summary).groupby(["missing", "regime"])))
        for key, table in self.summary.groupby(["missing", "regime"], sort=False):
            yield "section", f"{key[0]}, {key[1]}: {REGIMES[key[1]]}"
            yield from _score_blocks(table, ranks[key])
        yield "figure", "rates"
        yield "figure", "sets"
        if self.ranks:
            yield "section", "Comparisons"
            yield from self._comparison_blocks()
            yield "figure", "ranks"
        if self.parts is not None:
            yield "section", "Worst pattern"
            yield from self._part_blocks()
        yield "section", "Cost"
        yield "table", _cost_table(self.results)
        yield "figure", "cost"
        failed = self.summary[self.summary["n_errors"] > 0]
        if len(failed):
            yield "section", "Failed"
            yield (
                "list",
                [
                    f"{line.data}, {line.missing}, {line.regime}, {line.method}: "
                    f"{line.n_errors} of {line.n_errors + line.n_runs} runs; "
                    + line.error
                    for line in failed.itertuples()
                ],
            )

    def _comparison_blocks(self):
        for regime, ranks in self.ranks.items():
            runs = self.results[self.results["regime"] == regime]
            best = self.reference
            if best not in set(runs["method"]):
                best = ranks.mean_ranks.index[0]
            table = compare_methods(
                runs,
                reference=best,
                over=self.over,
                metric=self.metric,
                confidence_level=self.level,
            ).set_index("method")
            lines = [
                [
                    "method",
                    "mean rank",
                    "difference",
                    f"{100 * self.level:g} % interval",
                ]
            ]
            lines[0] += ["wins-ties-losses", "p, t-test", "p, Wilcoxon"]
            order = [*ranks.mean_ranks.index]
            order += [name for name in self.methods if name not in order]
            for name in order:
                cells = [name, _number(ranks.mean_ranks.get(name), 2)]
                if name in table.index:
                    line = table.loc[name]
                    interval = (_signed(line[end]) for end in ("low", "high"))
                    cells += [_signed(line["difference"]), " to ".join(interval)]
                    cells.append("-".join(f"{line[w]}" for w in _WINS))
                    cells += [_p(line["p_ttest"]), _p(line["p_wilcoxon"])]
                elif name == best:
                    cells += ["reference"] + ["–"] * 4
                else:
                    continue
                lines.append(cells)
            unit = "data sets" if self.over == "data" else "runs"
            yield (
                "text",
                f"{regime}: {REGIMES[regime]}. Differences to {best} over "
                f"{ranks.n_blocks} {unit}; positive is better. P-values have Holm's "
                f"correction. Friedman's test of equal ranks: p = {_p(ranks.p_value)}. "
                "Methods differ by Nemenyi's test if their mean ranks differ by more "
                f"than {ranks.critical_difference:.2f}.",
            )
            yield "table", lines

    def _part_blocks(self):
        yield (
            "text",
            "Observed modalities with which a method is worst, and the gap to those "
            "with which it is best. Patterns with few test samples are uncertain.",
        )
        worst = self.parts[self.parts["worst"]].drop_duplicates(_ROW)
        names = list(worst["data"].unique())
        lines = [["missing", "regime", "method", *names]]
        for key, table in worst.groupby(_ROW[1:], sort=False):
            cells = {
                line.data: f"{line.mean:.3f} ({line.part}; gap {line.gap:.3f})"
                for line in table.itertuples()
            }
            lines.append([*key, *(cells.get(name, "–") for name in names)])
        yield "table", lines


_WINS = ("wins", "ties", "losses")


def _score_blocks(summary, ranks):
    titles, columns, shares = [], [], []
    for name, table in summary.groupby("data", sort=False):
        titles.append(f"{name} ({name_score(table['metric'].iloc[0])})")
        most = table["n_runs"].max()
        columns.append({line.method: _score(line, most) for line in table.itertuples()})
        shares.append(f"{name} {_number(table['test_missing'].mean(), 2)}")
    lines = [["method", *titles, "rank"]]
    for method, rank in zip(ranks["method"], ranks["mean_rank"]):
        scores = [column.get(method, "–") for column in columns]
        lines.append([method, *scores, _number(rank, 1)])
    yield "table", lines
    yield "text", f"Share of modalities missing in test samples: {', '.join(shares)}."


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
        return Bold(text)
    # A p-value of NaN shows no difference.
    together = not (np.isnan(line.half_width) or line.p_ttest < 0.05)
    return text + ("°" if together else "")


def _cost_table(results):
    """Medians and largest growth of memory by method, over all cells."""
    lines = [["method", "fit, s", "predict, s", "peak memory, MiB", "parameters"]]
    lines[0].append("method in words")
    good, texts = results[results["error"].isna()], list_methods()
    names = ["fit_seconds", "predict_seconds", "peak_mb", "n_parameters"]
    good = good.reindex(columns=["method", *names])
    for method, runs in good.groupby("method", sort=False):
        cost = runs[names].astype(float)
        lines.append(
            [
                method,
                _number(cost["fit_seconds"].median(), 2),
                _number(cost["predict_seconds"].median(), 3),
                _number(cost["peak_mb"].max(), 0),
                _number(cost["n_parameters"].median(), 0),
                texts.get(method, ""),
            ]
        )
    return lines


def _number(value, digits):
    return "–" if pd.isna(value) else f"{value:.{digits}f}"


def _signed(value):
    return "–" if pd.isna(value) else f"{value:+.3f}"


def _p(value):
    if pd.isna(value):
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _save(figure, path, extension):
    """Save a figure without the date, so that equal figures are equal files."""
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    metadata = dates.get(extension)
    figure.savefig(path, format=extension, dpi=120, metadata=metadata)


def _find_images(name, figures, formats):
    """Addresses of the figures in a text of this format."""
    if name == "html":
        images = {}
        for kind, figure in figures.items():
            file = io.BytesIO()
            _save(figure, file, "svg")
            text = base64.b64encode(file.getvalue()).decode()
            images[kind] = f"data:image/svg+xml;base64,{text}"
        return images
    usable = ("pdf", "png") if name == "tex" else ("png", "svg")
    extensions = [extension for extension in usable if extension in formats]
    return {kind: f"{kind}.{extensions[0]}" for kind in figures if extensions}


def _to_markdown(blocks, images):
    def plain(text):
        return re.sub("<(?=[A-Za-z/!])", r"\\<", text)  # not a tag of HTML

    def cell(text):
        escaped = plain(text).replace("|", "\\|")
        return f"**{escaped}**" if isinstance(text, Bold) else escaped

    lines = []
    for kind, content in blocks:
        if kind == "table":
            rows = [content[0], ["---"] * len(content[0]), *content[1:]]
            lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
        elif kind == "list":
            lines += [f"- {plain(item)}" for item in content]
        elif kind == "figure":
            lines.append(f"![{_KINDS[content]}]({images[content]})")
        else:
            lines.append(
                {"title": "# ", "section": "## "}.get(kind, "") + plain(content)
            )
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _to_html(blocks, images):
    def cell(text, tag="td"):
        escaped = html.escape(text)
        return f"<{tag}>{f'<b>{escaped}</b>' if isinstance(text, Bold) else escaped}"

    lines = [_HTML_HEAD]
    for kind, content in blocks:
        if kind == "table":
            head = "".join(cell(text, "th") for text in content[0])
            rows = ["".join(map(cell, row)) for row in content[1:]]
            lines += ["<table>", *(f"<tr>{row}" for row in [head, *rows]), "</table>"]
        elif kind == "list":
            items = [f"<li>{html.escape(item)}" for item in content]
            lines += ["<ul>", *items, "</ul>"]
        elif kind == "figure":
            lines.append(f'<img alt="{_KINDS[content]}" src="{images[content]}">')
        else:
            tag = {"title": "h1", "section": "h2"}.get(kind, "p")
            lines.append(f"<{tag}>{html.escape(content)}</{tag}>")
    return "\n".join(lines) + "\n"


_HTML_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Benchmark</title>
<style>
body {font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em}
table {border-collapse: collapse; display: block; overflow-x: auto}
th, td {padding: 0.2em 0.8em; text-align: left; border-bottom: 1px solid #ddd}
img {max-width: 100%; margin: 1em 0}
</style>"""
_LATEX_SIGNS = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "–": "--",
}


def _escape_latex(text):
    escaped = "".join(_LATEX_SIGNS.get(sign, sign) for sign in text)
    return rf"\textbf{{{escaped}}}" if isinstance(text, Bold) else escaped


def _to_latex(blocks, images):
    lines = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}"]
    lines += [r"\usepackage{booktabs,graphicx}", r"\begin{document}"]
    for kind, content in blocks:
        if kind == "table":
            rows = [" & ".join(map(_escape_latex, row)) + r" \\" for row in content]
            # The table is made as narrow as the page.
            lines += [r"\noindent\resizebox{\ifdim\width>\linewidth\linewidth\else"]
            lines[-1] += r"\width\fi}{!}{%"
            lines += [rf"\begin{{tabular}}{{{'l' * len(content[0])}}}", r"\toprule"]
            lines += [rows[0], r"\midrule", *rows[1:], r"\bottomrule"]
            lines += [r"\end{tabular}}"]
        elif kind == "list":
            items = [rf"\item {_escape_latex(item)}" for item in content]
            lines += [r"\begin{itemize}", *items, r"\end{itemize}"]
        elif kind == "figure":
            lines.append(
                rf"\noindent\includegraphics[width=\linewidth]{{{images[content]}}}"
            )
        else:
            text = _escape_latex(content)
            command = {"title": r"\section*", "section": r"\subsection*"}.get(kind)
            lines.append(text if command is None else f"{command}{{{text}}}")
        lines.append("")
    return "\n".join([*lines, r"\end{document}"]) + "\n"


_WRITERS = {"md": _to_markdown, "html": _to_html, "tex": _to_latex}
