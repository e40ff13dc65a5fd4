"""Loads changed model files and wants clean errors only.

    python -m tests.fuzz.fuzz_models --cases 1000000 --seed 0 --seconds 3600

Every case is made from the seed and its number alone; `--case 123` runs one again. A
file may load, or end in `ModelFileError`; everything else counts as a failure: other
errors, more than a gibibyte of memory, more than ten seconds of computing. A part of
the models that load is asked for predictions, where ordinary errors are allowed and
counted: a model of other weights may well be one that fits no rows.
"""

import argparse
import collections
import json
import signal
import sys
import time
import traceback
import warnings

from skmissing.io import ModelFileError
from skmissing.io._persist import loads
from tests.fuzz.models import make_seeds, small_data, unpack
from tests.fuzz.mutations import generator, mutate

MEMORY = 1 << 30
SECONDS_A_CASE = 10
PREDICT_SHARE = 0.2
METHODS = ("predict_proba", "predict", "transform")
# What a model of odd numbers may end with when it meets rows.
ORDINARY = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class TooSlow(BaseException):
    """A case took too long."""


def make_parts():
    """Each seed in the pieces that mutations work on, small ones more often."""
    parts = []
    for name, data in make_seeds().items():
        about, tree, table, blob = unpack(data)
        piece = data, json.dumps(tree), about, json.dumps(table), blob
        parts += [piece] * (1 if name in ("fusion", "late", "forest") else 3)
    return parts


def run_case(parts, seed, case, rows):
    """Outcome of one case, as a word; an error that is not clean is raised."""
    rng = generator(seed, case)
    data = mutate(rng.choice(parts), parts, rng)
    try:
        model = loads(data)
    except (ModelFileError, ImportError):  # an extra that is not installed
        return "refused"
    if rng.random() > PREDICT_SHARE:
        return "loaded"
    try:
        for method in METHODS:
            if hasattr(model, method):
                getattr(model, method)(rows)
    except ORDINARY:
        return "loaded, prediction refused"
    return "loaded, predicted"


def fuzz(cases, seed=0, seconds=None, report=None, first=0, limit=None):
    """Run cases; return counts by outcome, failures, and the slowest.

    Parameters
    ----------
    cases : int
        How many, at most.
    seed : int
    seconds : float or None
        Stop after so long.
    report : callable or None
        Called with the number of cases and the counts, every 10 000.
    first : int
        Number of the first case.
    limit : callable or None
        Called with the seconds that a case may take, and with 0 after it.

    Returns
    -------
    counts : collections.Counter
    failures : list of (int, str)
        Number of the case, and its traceback.
    slowest : (float, int)
        Seconds, and number of the case.
    """
    parts, (rows, _) = make_parts(), small_data()
    counts, failures, slowest = collections.Counter(), [], (0.0, -1)
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in range(first, first + cases):
            start = time.process_time()
            try:
                limit and limit(SECONDS_A_CASE)
                counts[run_case(parts, seed, case, rows)] += 1
            except (Exception, TooSlow):
                counts["FAILED"] += 1
                failures.append((case, traceback.format_exc()))
                if report:
                    print(f"case {case}: {failures[-1][1]}", flush=True)
            finally:
                limit and limit(0)
            slowest = max(slowest, (time.process_time() - start, case))
            if report and (case + 1) % 10_000 == 0:
                report(case + 1, counts)
            if seconds is not None and time.monotonic() - began > seconds:
                break
    return counts, failures, slowest


def limit_resources():
    """Let too much memory be an error; return what does so with too long a time."""

    import resource

    def stop(*args):
        raise TooSlow

    signal.signal(signal.SIGPROF, stop)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    return lambda seconds: signal.setitimer(signal.ITIMER_PROF, seconds)


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--case", type=int, help="run this case alone")
    args = parser.parse_args(arguments)
    if args.case is not None:
        args.cases, args.first = 1, args.case
    make_parts()  # imports what the models need before memory is limited
    limit = limit_resources()
    began = time.monotonic()

    def report(n_cases, counts):
        print(f"{n_cases} {dict(counts)} {time.monotonic() - began:.0f} s", flush=True)

    counts, failures, slowest = fuzz(
        args.cases, args.seed, args.seconds, report, args.first, limit
    )
    report(sum(counts.values()), counts)
    print(f"slowest: {slowest[0]:.2f} s, case {slowest[1]}")
    kinds = collections.Counter(text.splitlines()[-1][:120] for _, text in failures)
    for line, count in kinds.most_common(20):
        print(count, line)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
