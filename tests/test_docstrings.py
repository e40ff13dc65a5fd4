"""Docstrings of everything public: numpydoc's rules, examples, fitted attributes."""

import inspect

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate
from sklearn.base import BaseEstimator, clone

from tests.estimators import public_objects
from tests.test_common import as_pandas, every_estimator, make_data

# All of numpydoc's checks apply but these. scikit-learn leaves out the first three too.
IGNORED = {
    "GL01": "the summary starts on the line of the opening quotes",
    "GL02": "a docstring of one line closes on that line",
    "RT02": "a single returned value may be given a name",
    "SS05": "takes any first word that ends in s for a verb, such as Distances",
}
# Checks that only some kinds of objects have to pass: the sections of an estimator's
# page are all there, and every class and function has an example.
ASKED_OF = {
    "ES01": ("estimator",),
    "SA01": ("estimator",),
    "EX01": ("estimator", "class", "function"),
}
# A property says what it is, not what it takes.
NOT_PROPERTIES = {"PR01", "PR02"}


def documented_objects():
    """Import path and kind of every public class, function, method and property."""
    for _, _, value in public_objects():
        if inspect.isclass(value):
            path = f"{value.__module__}.{value.__qualname__}"
            kind = "estimator" if issubclass(value, BaseEstimator) else "class"
            yield pytest.param(path, kind, id=path)
            for name, member in own_members(value):
                kind = "property" if isinstance(member, property) else "method"
                yield pytest.param(f"{path}.{name}", kind, id=f"{path}.{name}")
        elif inspect.isroutine(value):
            path = f"{value.__module__}.{value.__qualname__}"
            yield pytest.param(path, "function", id=path)


def own_members(cls):
    """Public methods and properties that skmissing defines, with their names."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        code = implementation(member)
        if not name.startswith("_") and code is not None:
            if (getattr(code, "__module__", None) or "").startswith("skmissing"):
                yield name, member


def implementation(member):
    """The function behind a method or property; None if there is none."""
    if isinstance(member, property):
        return member.fget
    if isinstance(member, (classmethod, staticmethod)):
        return member.__func__
    code = getattr(member, "fn", member)  # sklearn's available_if keeps it there
    return inspect.unwrap(code) if inspect.isroutine(code) else None


def applies(code, kind):
    """Whether a check of numpydoc is asked of this kind of object."""
    if code in IGNORED or (kind == "property" and code in NOT_PROPERTIES):
        return False
    return kind in ASKED_OF.get(code, (kind,))


@pytest.mark.parametrize("path, kind", list(documented_objects()))
def test_docstring_is_complete(path, kind):
    """numpydoc finds nothing to complain about."""
    errors = [
        f"{c}: {text}" for c, text in validate(path)["errors"] if applies(c, kind)
    ]
    assert not errors, f"docstring of {path}:\n  " + "\n  ".join(errors)


@every_estimator
def test_fitted_attributes_are_documented(estimator):
    """What fit leaves behind is in the section Attributes, and the other way round."""
    X, y = make_data(estimator)
    fitted = clone(estimator).fit(as_pandas(X), y)
    documented = {
        a.name: " ".join(a.desc) for a in ClassDoc(type(fitted))["Attributes"]
    }
    public = {name for name in vars(fitted) if name.endswith("_") and name[0] != "_"}
    assert public <= set(documented), f"document {sorted(public - set(documented))}"
    for name, text in documented.items():
        assert hasattr(fitted, name) or "only" in text.lower(), f"fit sets no {name}"


def test_estimators_have_one_docstring_for_all_parameters():
    """`__init__` has no docstring of its own: its parameters are the class's."""
    for _, name, cls in public_objects():
        if inspect.isclass(cls) and issubclass(cls, BaseEstimator):
            assert "__init__" not in vars(cls) or not cls.__init__.__doc__, name
