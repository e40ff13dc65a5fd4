"""The templates of the guide page "Write your own method" are sound estimators."""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from skmissing.base import BaseModalityImputer, validate_table

PAGE = Path(__file__).parents[1] / "docs" / "user_guide" / "own_method.rst"


def test_templates_pass_the_checks_of_scikit_learn(tmp_path, monkeypatch):
    """They are checked from a module, because doctests cannot be pickled."""
    text = PAGE.read_text(encoding="utf-8").partition("Compare it with")[0]
    sources = [e.source for e in doctest.DocTestParser().get_examples(text)]
    sources = [s for s in sources if s.startswith(("import", "from", "class"))]
    (tmp_path / "own_templates.py").write_text("".join(sources), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    templates = importlib.import_module("own_templates")
    check_estimator(templates.RandomSampleImputer(random_state=0))
    check_estimator(templates.AverageClassifier(LogisticRegression()))


class Given(BaseModalityImputer):
    """Return what the test gives."""

    def __init__(
        self,
        means,
        values,
        *,
        modalities=None,
        add_indicator=False,
        keep_empty_features=True,
    ):
        self.means = means
        self.values = values
        self.modalities = modalities
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features

    def _fit_imputer(self, table):
        return self.means

    def _impute(self, table):
        return self.values


@pytest.mark.parametrize(
    "means, values, message",
    [
        (None, None, r"_fit_imputer must .* per column \(2\); got None"),
        ([0.0], None, r"_fit_imputer must .* per column \(2\); got \[0.0\]"),
        ([0.0, 0.0], None, r"_impute must .* shape \(1, 2\); got None"),
        ([0.0, 0.0], np.zeros((1, 3)), r"_impute must .* shape \(1, 2\); got array"),
    ],
)
def test_own_imputers_must_return_arrays_of_the_right_shape(means, values, message):
    with pytest.raises(ValueError, match=message):
        Given(means, values).fit([[1.0, 2.0]]).transform([[np.nan, 1.0]])


@pytest.mark.parametrize(
    "estimator, params, message",
    [
        (LogisticRegression(), {}, "estimator must be an instance of ModalityMixin"),
        (Given(0, 0), {"reset": "x"}, "reset must be True or False; got 'x'"),
        (Given(0, 0), {"y": None}, "Given requires y to be passed"),
        (Given(0, 0), {"reset": False}, "Given instance is not fitted yet"),
    ],
)
def test_validate_table_names_what_is_wrong(estimator, params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        validate_table(estimator, [[1.0]], **{"reset": True, **params})
