"""Frozen encoders are saved without the weights of their model."""

import io

import numpy as np
import pandas as pd
import pytest

from skmissing.encoders import TextEncoder
from skmissing.io import ModelFileError, load_model, save_model
from tests.fuzz.models import repack, unpack


@pytest.fixture
def encoder(model_path, tmp_path):
    """A fitted encoder with a cache, and the texts it was fitted on."""
    texts = pd.DataFrame({"review": ["a good film", None, "bad"]})
    folder = str(tmp_path / "cache")
    return TextEncoder(model_path("bert"), cache=folder).fit(texts), texts


def test_weights_are_not_in_the_file(encoder):
    """The file is small, and the model is found again by its name."""
    fitted, texts = encoder
    file = io.BytesIO()
    save_model(fitted, file)
    assert len(file.getvalue()) < 4000
    loaded = load_model(file)
    assert loaded.cache is None
    np.testing.assert_array_equal(loaded.transform(texts), fitted.transform(texts))
    assert list(loaded.get_feature_names_out()) == list(fitted.get_feature_names_out())


def test_cache_of_a_file_is_refused(encoder, tmp_path):
    """A cache is read with pickle: no file may say where it is."""
    file = io.BytesIO()
    save_model(encoder[0], file)
    about, tree, table, blob = unpack(file.getvalue())
    tree["p"]["cache"] = str(tmp_path)
    with pytest.raises(ModelFileError, match="wanted cache=None"):
        load_model(io.BytesIO(repack(about, tree, table, blob)))
