"""Every public class and function has an example; fitted attributes are documented."""

import inspect
import re

import pytest
from numpydoc.docscrape import ClassDoc
from sklearn.base import clone

from .estimators import public_objects
from .test_common import as_pandas, every_estimator, make_data

DOCUMENTED = [v for _, _, v in public_objects() if inspect.isclass(v) or callable(v)]


@pytest.mark.parametrize("value", DOCUMENTED, ids=lambda value: value.__name__)
def test_example_in_docstring(value):
    assert ">>>" in value.__doc__


@every_estimator
def test_fitted_attributes_are_documented(estimator):
    """What fit leaves behind is in the section Attributes, and the other way round."""
    X, y = make_data(estimator)
    fitted = clone(estimator).fit(as_pandas(X), y)
    documented = {
        name: " ".join(a.desc)
        for a in ClassDoc(type(fitted))["Attributes"]
        for name in re.split(r",\s*", a.name)
    }
    public = {name for name in vars(fitted) if name.endswith("_") and name[0] != "_"}
    assert public <= set(documented), f"document {sorted(public - set(documented))}"
    for name, text in documented.items():
        assert hasattr(fitted, name) or "only" in text.lower(), f"fit sets no {name}"
