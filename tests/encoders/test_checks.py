"""scikit-learn's checks of what does not depend on X being a table of numbers.

The frozen encoders take one column of raw items, which no check of scikit-learn makes.
What those checks ask of fit and transform (names, containers, pickles, order of rows,
global state) is asked in test_frozen.py with items that encoders take.
"""

import pytest
from sklearn.utils import estimator_checks, get_tags

from skmissing.encoders import AudioEncoder, ImageEncoder, TextEncoder, VideoEncoder

ENCODERS = [TextEncoder(), ImageEncoder(), AudioEncoder(), VideoEncoder()]
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_feature_names_out_error",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_param_validation",
    "check_set_params",
    "check_valid_tag_types",
]


def name_of(value):
    """A short test id."""
    return type(value).__name__ if hasattr(value, "get_params") else None


@pytest.mark.parametrize("encoder", ENCODERS, ids=name_of)
@pytest.mark.parametrize("check", CHECKS)
def test_checks(encoder, check):
    """The check passes."""
    getattr(estimator_checks, check)(type(encoder).__name__, encoder)


@pytest.mark.parametrize("encoder", ENCODERS, ids=name_of)
def test_default_constructible(encoder):
    """The class can be made without arguments, and keeps its defaults."""
    estimator_checks.check_parameters_default_constructible(
        type(encoder).__name__, encoder
    )


@pytest.mark.parametrize("encoder", ENCODERS, ids=name_of)
def test_tags(encoder):
    """The tags say: one column of raw items, gaps allowed, nothing to fit."""
    tags = get_tags(encoder)
    assert tags.input_tags.one_d_array and not tags.input_tags.two_d_array
    assert tags.input_tags.string and tags.input_tags.allow_nan
    assert tags.no_validation and not tags.requires_fit
    assert tags.transformer_tags.preserves_dtype == []
