"""Frozen encoders are saved without the weights of their model."""

import io

import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skmissing.encoders import TextEncoder

pytest.importorskip("skops")


def test_weights_and_caches_are_not_in_the_file(model_path, tmp_path):
    from skmissing.io import dump, load

    texts = pd.DataFrame({"review": ["a good film", None, "bad"]})
    fitted = TextEncoder(model_path("bert"), cache=str(tmp_path / "cache")).fit(texts)
    file = io.BytesIO()
    dump(fitted, file)
    assert len(file.getvalue()) < 20_000
    loaded = load(file)
    assert loaded.cache is None
    assert_array_equal(loaded.transform(texts), fitted.transform(texts))
    assert list(loaded.get_feature_names_out()) == list(fitted.get_feature_names_out())
