"""The templates of the guide page "Write your own method" are sound estimators."""

import doctest
import importlib
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

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
