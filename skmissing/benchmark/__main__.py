"""The benchmark as a command: `python -m skmissing.benchmark`."""

import argparse
import importlib
import re
import sys

from skmissing.benchmark._data import NAMED, load_data
from skmissing.benchmark._methods import CLUSTERERS, OUTSIDE, list_methods
from skmissing.benchmark._protocol import REGIMES, check_metric
from skmissing.benchmark._report import check_report, write_report
from skmissing.benchmark._runner import run_benchmark
from skmissing.benchmark._scores import read_scoring

# These defaults do not need torch, and take minutes on embedded data.
_DEFAULT = "mean,mean+indicator,knn,nearest,soft,ridge,hgb,late,auto"
_MISSING_HELP = {
    "mcar:0.5": "each modality is lost in half the samples, at random",
    "mar:0.3, mnar:0.3, label:0.3": "depending on a modality, on itself, on the class",
    "group:0.3": "depending on the site or device, the array of --groups",
    "burst:0.3": "in runs of consecutive samples",
    "20-text-100-audio-20-video": "percentage of samples that keep each modality",
    "complex-10-45-45": "exact percentages: all modalities, each alone, ...",
    "mcar:0.4,0.8": "(pm, ps): 40 % of the modalities lost in 80 % of the samples",
    "segment:0.3": "a run of 30 % of the columns or tokens of each modality is lost",
    "mcar:0.5+segment:0.3": "whole modalities and segments are lost",
}
_PROTOCOLS = {
    "UL4M4": "--missing 20-text-100-audio-20-video or complex-20-20-20-10-10-10-10",
    "MissBench": "--missing mcar:0.5 (one rate) or 80-text-50-audio-20-video (unequal)",
    "MuteBench": "--missing mcar:0.3 or segment:0.3, at several rates",
    "MissMAC-Bench": "--regimes R1 --missing 100-text-0-audio-100-video (fixed) or "
    "mcar:0.5 (random)",
}


def main(arguments=None):
    """Run the command with the given arguments, or those of the command line.

    Without arguments, it prints help. Returns 0 if every cell has a score, 1 if some
    cells failed, 2 if an argument is invalid, and 130 after an interruption.
    """
    parser = _make_parser()
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help()
        return 0
    args = parser.parse_args(given)
    if args.list:
        print(_listing())
        return 0
    try:
        data = [
            load_data(
                source,
                modalities=_words(args.modalities),
                split=args.split,
                groups=args.groups,
                score_groups=args.score_groups,
                sentiment=args.sentiment,
                task=args.task,
            )
            for source in _words(args.data)
        ]
        scoring = _words(args.scoring)
        if args.metric is not None:
            check_metric(args.metric, data, read_scoring(scoring))
        names = args.methods
        if names is None:
            own = [name for name in CLUSTERERS if name not in OUTSIDE]
            names = ",".join(own) if args.task == "clustering" else _DEFAULT
        methods = dict.fromkeys(_words(names))
        for name, method in map(_load_method, args.method):
            if name in methods:
                raise ValueError(f"--method must have a new name; got {name!r} twice.")
            methods[name] = method
        formats = _words(args.formats)
        check_report(formats, args.reference, methods)
        results = run_benchmark(
            data,
            _words(" ".join(args.missing).replace(" ", ",")),
            methods,
            regimes=_words(args.regimes),
            n_runs=args.n_runs,
            test_size=args.test_size,
            max_rows=args.max_rows,
            scoring=scoring,
            out=args.out,
            retry_failed=args.retry_failed,
            n_jobs=args.n_jobs,
            verbose=0 if args.quiet else 1,
        )
        files = write_report(
            results,
            args.out,
            metric=args.metric,
            reference=args.reference,
            formats=formats,
        )
    except KeyboardInterrupt:
        print("Interrupted. Repeat the command to continue.", file=sys.stderr)
        return 130
    except (TypeError, ValueError, ImportError, OSError) as exc:
        print(f"{parser.prog}: {exc}", file=sys.stderr)
        return 2
    n_failed = results["error"].count()
    for path in files:
        if path.name == "report.md":
            print(path.read_text(encoding="utf-8"))
    print("Written: " + ", ".join(str(path) for path in files))
    if n_failed:
        print(f"{n_failed} of {len(results)} cells failed.", file=sys.stderr)
    return 1 if n_failed else 0


def _words(text):
    """Split a list at commas; None stays None."""
    if text is None:
        return None
    # A number after mcar:0.4 is the second number of a pair.
    words = re.findall(r"\w+:[0-9. ]+,[0-9. ]+(?:\+[^,]+)?(?=,|$)|[^,]+", text)
    return [word.strip() for word in words if word.strip()]


def _load_method(text):
    """Name and estimator or factory of `name=package.module:attribute`."""
    match = re.fullmatch(r"([^=]+)=([\w.]+):([\w.]+)", text)
    if match is None:
        raise ValueError(
            f"--method must be name=package.module:attribute; got {text!r}."
        )
    name, module, attribute = match.groups()
    sys.path.insert(0, "")  # modules in the current folder
    try:
        found = importlib.import_module(module)
    except ImportError as exc:
        raise ImportError(f"--method {text}: {exc}") from exc
    finally:
        sys.path.remove("")
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"--method {text}: {module} has no {attribute}.")
        found = getattr(found, part)
    return name.strip(), found


def _listing():
    blocks = {
        "data": {name: text for name, (_, text) in NAMED.items()}
        | {"path.npz": "your own file, with one array per modality, and y"},
        "missing": _MISSING_HELP,
        "regimes": REGIMES,
        "protocols of papers": _PROTOCOLS,
        "methods": list_methods(),
    }
    lines = []
    for title, entries in blocks.items():
        width = max(len(name) for name in entries)
        lines += [f"{title}:", *(f"  {k:<{width}}  {v}" for k, v in entries.items())]
    return "\n".join(lines)


def _make_parser():
    parser = argparse.ArgumentParser(
        prog="python -m skmissing.benchmark",
        description="Compare methods on data with modalities hidden.",
    )
    add = parser.add_argument
    add(
        "--list",
        action="store_true",
        help="list data sets, configurations and methods, and exit",
    )
    add(
        "--data",
        default="digits,breast_cancer",
        help="names or .npz paths, separated by commas (default: %(default)s)",
    )
    add(
        "--missing",
        nargs="+",
        default=["mcar:0.5"],
        help="configurations of hidden modalities, separated by commas "
        "(default: mcar:0.5)",
    )
    add(
        "--methods",
        help=f"names, separated by commas (default: {_DEFAULT}; "
        "for clustering: those of this library)",
    )
    add(
        "--regimes",
        default="R1,R2",
        help="R1: missing in test only; R2: in both (default: %(default)s)",
    )
    add(
        "--method",
        action="append",
        default=[],
        metavar="NAME=MODULE:ATTRIBUTE",
        help="your own method: an estimator, or a function f(modalities, random_state) "
        "that returns one; may be repeated",
    )
    add("--n-runs", type=int, default=5, help="number of seeds (default: %(default)s)")
    add("--out", default="results", help="folder of the results (default: %(default)s)")
    add("--max-rows", type=int, help="largest number of samples per data set")
    add(
        "--test-size",
        type=float,
        default=0.4,
        help="share of test samples, if there is no split (default: %(default)s)",
    )
    add("--modalities", help="arrays of the .npz files to use, separated by commas")
    add("--split", default="auto", help="array with the split; 'random' ignores it")
    add("--groups", help="array of groups that are never split")
    add("--score-groups", help="array of groups to score apart, such as hospitals")
    add(
        "--sentiment",
        action="store_true",
        help="y is a sentiment from -3 to 3: add sentiment scores",
    )
    add(
        "--task",
        help="classification, regression, multilabel or clustering (default: from y)",
    )
    add("--scoring", help="further scorers of scikit-learn, separated by commas")
    add("--metric", help="score in the report (default: by task)")
    add(
        "--formats",
        default="md,csv,png",
        help="of the report, among md, html, csv, tex, png, pdf, svg "
        "(default: %(default)s)",
    )
    add("--reference", help="method to compare the others with (default: the best)")
    add("--n-jobs", type=int, default=1, help="number of cells run in parallel")
    add("--retry-failed", action="store_true", help="run failed cells again")
    add("--quiet", action="store_true", help="do not print a line per cell")
    return parser


if __name__ == "__main__":
    sys.exit(main())
