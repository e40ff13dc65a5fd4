"""Encoders in a pipeline, from a data frame of raw items to a tuned model."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from skmissing.encoders import AudioEncoder, ImageEncoder, TextEncoder
from skmissing.impute import ClusterGuidedImputer

from .models import LOCAL, make_images, make_sounds

N_ROWS = 30


def make_frame(folder):
    """Make a table of texts, image paths and sound paths, with a third missing."""
    soundfile = pytest.importorskip("soundfile")
    pd = pytest.importorskip("pandas")
    from PIL import Image

    rng = np.random.RandomState(0)
    y = rng.randint(2, size=N_ROWS)
    images, sounds = make_images(N_ROWS), make_sounds(N_ROWS)
    words = [["cat sat", "small red cat"], ["dog ran", "big blue dog"]]
    rows = []
    for i, label in enumerate(y):
        picture, sound = folder / f"{i}.png", folder / f"{i}.wav"
        Image.fromarray(images[i] // 2 + 100 * label.astype(np.uint8)).save(picture)
        wave, rate = sounds[i]
        soundfile.write(
            sound, 0.1 * np.cumsum(wave[:200]) if label else wave[:200], rate
        )
        text = f"{words[label][rng.randint(2)]} {'on the mat ' * rng.randint(3)}{i}"
        rows.append([text, str(picture), str(sound)])
    frame = pd.DataFrame(rows, columns=["review", "picture", "sound"])
    gone = rng.uniform(size=frame.shape) < 1 / 3
    gone[np.arange(N_ROWS), rng.randint(3, size=N_ROWS)] = False
    return frame.mask(gone), y, gone


def make_encoder(model_path, cache):
    common = {"cache": cache, **LOCAL}
    return ColumnTransformer(
        [
            ("text", TextEncoder(model_path("bert"), **common), "review"),
            ("image", ImageEncoder(model_path("clip"), **common), ["picture"]),
            ("audio", AudioEncoder(model_path("wavlm"), **common), ["sound"]),
        ]
    )


def test_columns_become_modalities(model_path, tmp_path):
    frame, _, gone = make_frame(tmp_path)
    encoder = make_encoder(model_path, None).set_output(transform="pandas")
    table = encoder.fit_transform(frame)
    imputer = ClusterGuidedImputer(3, random_state=0).fit(table)
    layout = imputer.modalities_
    assert {name: m.width for name, m in layout.items()} == {
        "text": 16,
        "image": 12,
        "audio": 16,
    }
    for m, expected in zip(layout.values(), gone.T):
        missing = np.isnan(table.to_numpy()[:, m.columns])
        assert_array_equal(missing.all(axis=1), expected)
        assert_array_equal(missing.any(axis=1), expected)
    assert not np.isnan(imputer.transform(table)).any()


def test_grid_search_encodes_each_item_once(model_path, tmp_path, n_encoded):
    """A grid search over UL4M4 on raw items takes the second fold from the cache."""
    pytest.importorskip("skorch")
    from skmissing.fusion import MHSAFusionClassifier

    frame, y, gone = make_frame(tmp_path)
    pipeline = make_pipeline(
        make_encoder(model_path, tmp_path / "cache").set_output(transform="pandas"),
        ClusterGuidedImputer(random_state=0).set_output(transform="pandas"),
        MHSAFusionClassifier(
            hidden_dim=8, module__n_heads=2, lr=0.01, max_epochs=30, random_state=0
        ),
    )
    search = GridSearchCV(
        pipeline,
        {"clusterguidedimputer__n_clusters": [2, 4]},
        cv=3,
        error_score="raise",
    )
    search.fit(frame, y)
    assert sum(n_encoded) == (~gone).sum()
    assert search.score(frame, y) > 0.7
    cross_val_predict(search.best_estimator_, frame, y, cv=2)
    assert sum(n_encoded) == (~gone).sum()


def test_make_ul4m4_takes_encoders_before_it(model_path, tmp_path):
    pytest.importorskip("skorch")
    from skmissing.fusion import make_ul4m4

    frame, y, _ = make_frame(tmp_path)
    encoder = make_encoder(model_path, None).set_output(transform="pandas")
    model = make_ul4m4(
        "classification",
        n_clusters=3,
        hidden_dim=8,
        module__n_heads=2,
        max_epochs=5,
        random_state=0,
    )
    predicted = make_pipeline(encoder, model).fit(frame, y).predict(frame)
    assert set(predicted) <= {0, 1}
