"""Shared paragraphs of docstrings."""

import inspect
import re
from functools import partial
from types import FunctionType

ENTRY = re.compile(r"^([\w*][\w, *]*) : .*(?:\n+ +.*)*", re.MULTILINE)
MARKER = re.compile(r"^( *)%\(([\w*, ]+)\)s$", re.MULTILINE)

SHARED = """
X : array-like of shape (n_samples, n_features)
    NaN and masked cells are missing.
y : None
    Ignored.
sample_weight : array-like of shape (n_samples,), default=None
    Weight of each sample. A weight of 2 counts the sample twice.
self : object
    Fitted estimator.
ax : matplotlib Axes, default=None
    Axes to draw on. None makes a new figure.
figure_ : matplotlib Figure
    Figure of the axes.
modalities : None, list of int or dict, default=None
    Which columns form a modality. None groups columns by their prefix if all are named
    `modality__feature`. Otherwise, each column is a modality. A list is the widths from
    left to right. A dict maps each name to a width, a token shape `(n_tokens, dim)`, a
    slice, or a list of column names or positions. The `modalities_` of a fitted
    estimator are also accepted. The first level of a `MultiIndex` is the prefix.
modalities_ : ModalityLayout
    Ordered mapping from the name of each modality to its columns.
n_features_in_ : int
    Number of columns seen in `fit`.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the columns seen in `fit`, if they were strings.
classes_ : ndarray of shape (n_classes,)
    Class labels.
n_jobs : int or None, default=None
    Number of models fitted in parallel, as in joblib.
device : str, default="auto"
    Device of torch. "auto" is CUDA or Apple's GPU if there is one, otherwise the CPU.
dtype : {"float32", "float16", "bfloat16"}, default="float32"
    Precision of the model. The output is always float32.
revision : str, default=None
    Branch, tag or commit of the model on the Hub. None is the main branch.
normalize : bool, default=False
    Whether to scale embeddings to Euclidean length 1.
max_tokens : int, default=None
    Number of tokens, or frames of a sound, per item in the output. Required by
    `pooling=None`. The output is a flattened sequence of the layout
    `(max_tokens, embedding_dim_)`. Shorter items are padded with NaN, and longer items
    are truncated.
cache : joblib.Memory, str or path, default=None
    Where to store embeddings. The key is the content of the item, the revision of the
    model and the parameters that change the embedding. Each item is therefore encoded
    only once, in any order and any fold.
empty_is_missing : bool, default=True
    Whether a blank path is a missing item. If False, it is a broken item.
on_error : {"raise", "missing"}, default="raise"
    Whether an item that cannot be read or encoded raises an error, or is treated as
    missing with a warning.
local_files_only : bool, default=False
    Whether to forbid downloads.
verbose : bool or int, default=False
    Whether to show a progress bar.
embedding_dim_ : int
    Width of the embedding, or of one token or frame.
revision_ : str or None
    Commit of the model found by `fit`. None for a folder without one.
"""


def shared_docs(obj=None, *, like=None):
    """Fill lines such as ``%(modalities, n_jobs)s`` in docstrings.

    Decorates a function, or a class with its methods. Paragraphs come from the function
    `like`, the base classes, or `SHARED`.
    """
    if obj is None:
        return partial(shared_docs, like=like)
    known = _entries(SHARED) | _entries(like.__doc__ if like else None)
    for base in reversed(getattr(obj, "__mro__", ())[1:]):
        if base.__module__.startswith("skmissing"):
            known |= _entries(base.__doc__)

    def fill(marker):
        indent, names = marker.groups()
        text = "\n".join(known[name] for name in names.split(", "))
        return re.sub(r"^(?=.)", indent, text, flags=re.MULTILINE)

    parts = [obj]
    if isinstance(obj, type):
        for part in vars(obj).values():  # perhaps a classmethod, or `available_if`
            parts.append(getattr(part, "__func__", getattr(part, "fn", part)))
    for part in parts:
        if isinstance(part, (type, FunctionType)) and part.__doc__:
            part.__doc__ = MARKER.sub(fill, part.__doc__)
    return obj


def _entries(doc):
    """Paragraphs of a docstring by the name of their parameter or attribute."""
    return {m[1]: m[0] for m in ENTRY.finditer(inspect.cleandoc(doc or ""))}
