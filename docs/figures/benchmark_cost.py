import pandas as pd

from skmissing.benchmark import BenchmarkDisplay

results = pd.read_csv("../results/runs.csv")
BenchmarkDisplay.from_results(results, kind="cost", regime="R2")
