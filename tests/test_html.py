"""The HTML representation of fitted estimators in scikit-learn 1.9."""

import re
import warnings
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from skmissing import PartialModalityKMeans
from skmissing.impute import RetrievalImputer

from .estimators import make_instances

pytestmark = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"),
    reason="before scikit-learn 1.9, there is no table of fitted attributes",
)
VOID = {"input", "br"}


class Parser(HTMLParser):
    """Checks that tags are closed in order, and collects the cells of tables."""

    def __init__(self, page):
        super().__init__()
        self.open, self.cells, self.tags = [], [], set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open and "span" not in self.open:  # a description
            self.cells[-1] += data


@pytest.mark.parametrize("model", make_instances(), ids=lambda m: type(m).__name__)
def test_fitted_estimators_are_shown(model):
    X = np.random.RandomState(0).standard_normal((40, 4))
    if hasattr(model, "modalities"):
        model.set_params(modalities=[2, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, np.arange(40) % 2)
    page = model._repr_html_()
    cells = Parser(page).cells
    assert max(map(len, cells)) < 300
    if hasattr(model, "modalities_"):
        assert page.count("<summary>Modalities</summary>") == 1
        assert "modality1" in cells


def test_modalities_are_a_table_with_patterns():
    """In a pipeline as well. Names are text, and not tags."""
    X = np.arange(60.0).reshape(10, 6)
    X[:4, :2] = X[4, 2:] = np.nan
    layout = {"<b>": 2, "b&'\"": (2, 2)}
    model = make_pipeline(RetrievalImputer(modalities=layout)).fit(X)
    page = model._repr_html_()
    parser = Parser(page)
    start = parser.cells.index("<b>")
    assert parser.cells[start : start + 6] == [
        *("<b>", "2", "60% of samples"),
        *("b&'\"", "4 (2 tokens of 2)", "90% of samples"),
    ]
    assert "b" not in parser.tags - {"b"} and page.count("<b>") == 1  # of the fallback
    svg = ET.fromstring(re.search("<svg.*</svg>", page)[0])
    assert [text.text for text in svg.iter("text")] == ["50%", "40%", "10%"]
    assert "The number is the share of samples.</div>" in page
    filled = [rect.get("fill-opacity") for rect in svg.iter("rect")]
    assert filled == ["0.7", "0.7", "0", "0.7", "0.7", "0"]


def test_many_modalities_are_shortened():
    X = np.random.RandomState(0).standard_normal((10, 50))
    model = PartialModalityKMeans(2, modalities=[1] * 50).fit(X)
    parser = Parser(model._repr_html_())
    assert "and 20 more" in parser.cells and "svg" not in parser.tags


def test_unfitted_estimators_show_no_modalities():
    assert "Modalities" not in PartialModalityKMeans(modalities=[2])._repr_html_()
