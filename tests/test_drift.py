"""New samples against the training samples."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import RegressionImputer
from skmissing.inspection import DriftDisplay, check_drift
from skmissing.simulate import ampute

NAMES = ["text__0", "text__1", "audio__0", "audio__1", "image__0"]


def make_frame(n, missing, seed):
    """Samples of three modalities, some missing, never all."""
    X = np.random.RandomState(seed).standard_normal((n, 5))
    frame = pd.DataFrame(X, columns=NAMES)
    return ampute(frame, missing, random_state=seed) if missing else frame


@pytest.fixture(scope="module")
def train():
    return make_frame(400, 0.1, 0)


def test_the_same_is_no_drift(train, seed):
    found = check_drift(RegressionImputer().fit(train), make_frame(300, 0.1, seed + 1))
    assert found.messages == [] and found.n_unseen == 0


def test_rates_patterns_and_columns(train):
    train = train[train.notna().sum(axis=1) > 1]  # two modalities or more
    new = make_frame(300, 0.7, 1)
    new["audio__1"] *= 9
    found = check_drift(RegressionImputer().fit(train), new)
    gone = new.isna()[["text__0", "audio__0", "image__0"]].to_numpy()
    assert_allclose(found.missing_rate, gone.mean(axis=0))
    before = train.isna()[["text__0", "audio__0", "image__0"]].to_numpy().mean(axis=0)
    assert_allclose(found.training_rate, before)
    patterns = {tuple(row) for row in train.isna().to_numpy()}
    unseen = [tuple(row) not in patterns for row in new.isna().to_numpy()]
    assert found.n_unseen == sum(unseen) > 50
    low, high = train["audio__1"].min(), train["audio__1"].max()
    seen = new["audio__1"].dropna()
    beyond = (~seen.between(low, high)).sum()
    assert found.shifted_columns == [[], ["audio__1"], []]
    assert found.outside[1] >= beyond / (2 * len(seen)) > 0.2
    assert len(found.messages) == 5
    text = f"'text' is missing in {100 * gone[:, 0].mean():.0f} % of the samples"
    assert text in found.messages[0]
    frame = check_drift(RegressionImputer().fit(train), new, as_frame=True)
    assert list(frame.index) == ["text", "audio", "image"]


def test_inside_of_pipelines_and_searches(train):
    y = np.arange(len(train)) % 2
    late = LateFusionClassifier("linear", cv=2)
    steps = make_pipeline(StandardScaler(), late).set_output(transform="pandas")
    search = GridSearchCV(steps, {"latefusionclassifier__combine": ["log"]}, cv=2)
    new = make_frame(300, 0.7, 1)
    found = check_drift(search.fit(train, y), new)
    expected = check_drift(RegressionImputer().fit(train), new)
    assert_allclose(found.missing_rate, expected.missing_rate)
    assert found.messages == expected.messages
    with pytest.raises(TypeError, match="one of skmissing, .* got LogisticRegression"):
        check_drift(make_pipeline(LogisticRegression()), new)
    with pytest.raises(ValueError, match="not fitted"):
        check_drift(RegressionImputer(), new)


def test_display(train):
    pytest.importorskip("matplotlib").use("agg")
    imputer = RegressionImputer().fit(train)
    display = DriftDisplay.from_estimator(imputer, make_frame(300, 0.7, 1))
    heights = [[bar.get_height() for bar in bars] for bars in display.bars_]
    rates = display.training_rate, display.missing_rate
    assert_allclose(heights, 100 * np.stack(rates))
