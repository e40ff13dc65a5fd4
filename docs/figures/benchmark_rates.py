import pandas as pd

from skmissing.benchmark import BenchmarkDisplay

results = pd.read_csv("../results/runs.csv")
# The full panel has two runs on some sets, which is too few for an interval.
results = results[results["method"] != "full"]
BenchmarkDisplay.from_results(results, kind="rates", regime="R2")
