"""Transformers per modality, on the samples in which it is observed."""

from collections.abc import Mapping
from numbers import Integral

import narwhals.stable.v2 as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.base import MetaEstimatorMixin, TransformerMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
)

from skmissing._base import ModalityMixin, SkmissingEstimator, _fit_context
from skmissing._compat import HasMethods
from skmissing._docs import shared_docs
from skmissing._modalities import _shorten, resolve_modalities
from skmissing._table import flat_names, name_list, take_samples, validate_numbers
from skmissing.compose._tables import observed_rows

KEPT = ("passthrough", "drop")


@shared_docs
class PerModality(
    MetaEstimatorMixin, TransformerMixin, ModalityMixin, SkmissingEstimator
):
    """Apply a transformer per modality, to the samples in which it is observed.

    If a modality is missing in a sample, its new columns are NaN. PCA, feature
    selection or an encoder of categories can therefore precede an estimator for missing
    modalities, without imputation.

    Read more in the :ref:`User Guide <compose>`.

    Parameters
    ----------
    transformer : transformer or dict
        The transformer, which is cloned and fitted per modality. A dict maps the name
        of each modality to a transformer, "passthrough" or "drop".
    %(modalities)s

    Attributes
    ----------
    transformers_ : dict of str to transformer or str
        The fitted transformer of each modality.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `transformer` does not name each modality once, or if a transformer does not
        accept the NaN of a partially observed modality.

    Warns
    -----
    ModalityWarning
        If `n_components` of the transformer, or of a step of a pipeline, is larger than
        the number of columns or samples of a modality. It is lowered there. Also if a
        modality is never observed. Its columns are NaN.

    See Also
    --------
    sklearn.compose.ColumnTransformer : Does not leave out samples.

    Notes
    -----
    New columns are named `modality__name`, where `name` comes from the transformer. If
    X is a data frame, the transformers receive data frames. Their columns may have any
    type, and have the same names as in X, such as `text__0`. Call
    ``set_output(transform="pandas")`` to keep the names for the next step.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.decomposition import PCA
    >>> from skmissing.compose import PerModality
    >>> X = pd.DataFrame(np.random.RandomState(0).standard_normal((6, 5)))
    >>> X.columns = ["text__0", "text__1", "text__2", "audio__0", "audio__1"]
    >>> X.iloc[0, :3] = np.nan
    >>> per_modality = PerModality({"text": PCA(1), "audio": "passthrough"})
    >>> per_modality.set_output(transform="pandas").fit_transform(X).head(2).round(1)
       text__pca0  audio__0  audio__1
    0         NaN       2.2       1.9
    1        -0.0      -0.1       0.4
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "transformer": [HasMethods(["fit", "transform"]), dict],
    }

    def __init__(self, transformer, *, modalities=None):
        self.transformer = transformer
        self.modalities = modalities

    # fit may call nested validation of the transformers.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit a transformer per modality.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN, null and masked cells are missing.
        y : array-like of shape (n_samples,) or None, default=None
            Targets, for transformers that need them.

        Returns
        -------
        %(self)s
        """
        _, blocks = self._read(X, reset=True)
        if y is None and self.__sklearn_tags__().target_tags.required:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        if y is not None:
            check_consistent_length(X, y)
            y = y if hasattr(y, "iloc") else np.asarray(y)
        chosen = self._chosen()
        self._fit_task.begin(len(blocks))
        fitted, names, lowered, unseen = {}, {}, [], []
        for name, (rows, block, columns) in blocks.items():
            transformer = chosen[name]
            if not len(rows) and transformer != "drop":
                unseen.append(name)
                transformer = "passthrough"
            if not isinstance(transformer, str):
                transformer = clone(transformer)
                target = () if y is None else (take_samples(y, rows),)
                args = name, columns, lower_components, transformer, block, *target
                if name_errors(*args):
                    lowered.append(name)
                with self._fit_task.member(name, transformer):
                    name_errors(name, columns, transformer.fit, block, *target)
            fitted[name] = transformer
            names[name] = name_outputs(name, transformer, columns)
        if lowered:
            self._warn(
                "n_components is larger than the number of columns or of samples of "
                f"{name_list(lowered)}. It is lowered there."
            )
        if unseen:
            self._warn(
                f"{len(unseen)} of {len(blocks)} modalities are not observed in any "
                f"sample: {name_list(unseen)}. Their columns stay NaN."
            )
        self.transformers_ = fitted
        self._names = names
        self._unseen = unseen
        return self

    def _chosen(self):
        """Unfitted transformer of each modality."""
        if not isinstance(self.transformer, Mapping):
            return dict.fromkeys(self.modalities_, self.transformer)
        if set(self.transformer) != set(self.modalities_):
            raise ValueError(
                "transformer must name each modality, "
                f"{name_list(self.modalities_)}; got {name_list(self.transformer)}."
            )
        for name, value in self.transformer.items():
            if (
                value not in KEPT
                if isinstance(value, str)
                else not hasattr(value, "transform")
            ):
                raise ValueError(
                    f"transformer[{name!r}] must be a transformer, 'passthrough' or "
                    f"'drop'; got {value!r}."
                )
        return self.transformer

    def transform(self, X):
        """Transform each modality in the samples in which it is observed.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN, null and masked cells are missing.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            NaN where a modality is missing.
        """
        check_is_fitted(self)
        parts, unlearnt = [], []
        n_rows, blocks = self._read(X, reset=False)
        for name, (rows, block, _) in blocks.items():
            transformer, width = self.transformers_[name], len(self._names[name])
            part = np.full((n_rows, width), np.nan, self._dtype(X))
            if len(rows) and name in self._unseen:
                unlearnt.append(f"{name!r}, which {len(rows)} of {n_rows} samples have")
            elif len(rows) and transformer != "drop":
                columns = blocks[name][2]
                part[rows] = transformed(name, columns, transformer, block, width)
            parts.append(part)
        if unlearnt:
            self._warn(
                f"{len(unlearnt)} of {len(blocks)} modalities that are not observed in "
                f"fit are ignored: {'; '.join(unlearnt)}."
            )
        return np.hstack(parts)

    def _read(self, X, reset):
        """Number of samples, and rows, block and columns of each modality."""
        if not hasattr(X, "columns"):
            table = self._validate(X, reset=reset)
            names = np.array(table.column_names)
            blocks = {}
            for m, (name, modality) in enumerate(self.modalities_.items()):
                rows = np.flatnonzero(table.presence[:, m])
                # Column-major like data frames, so that rounding errors are the same.
                block = np.asfortranarray(table.X[np.ix_(rows, modality.columns)])
                blocks[name] = rows, block, names[modality.columns]
            return len(table), blocks
        for size, what in zip(X.shape, ("sample", "feature")):
            if not size:
                raise ValueError(
                    f"Found array with 0 {what}(s) (shape={X.shape}) while a "
                    "minimum of 1 is required."
                )
        X = flat_names(X)
        validate_numbers(self, X, reset=reset, skip_check_array=True)
        names = list(X.columns)
        if reset:
            self.modalities_ = resolve_modalities(self.modalities, len(names), names)
        frame = nw.from_native(X, eager_only=True)
        blocks = {}
        for name, modality in self.modalities_.items():
            columns = [names[c] for c in modality.columns]
            block = frame.select(columns)
            rows = np.flatnonzero(observed_rows(block))
            blocks[name] = rows, block[rows.tolist()].to_native(), columns
        return len(frame), blocks

    def _dtype(self, X):
        """Return float32 if X is in single precision, otherwise float64."""
        if not hasattr(X, "columns"):
            return np.float32 if getattr(X, "dtype", None) == np.float32 else float
        dtypes = nw.from_native(X, eager_only=True).schema.values()
        return np.float32 if set(dtypes) == {nw.Float32} else float

    def get_feature_names_out(self, input_features=None):
        """Get the names of the new columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X. They are checked if X had names in `fit`.

        Returns
        -------
        ndarray of str
            `modality__name`.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return np.array(
            [column for names in self._names.values() for column in names], dtype=object
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = self.transformer
        inner = inner.values() if isinstance(inner, Mapping) else [inner]
        for transformer in inner:
            if hasattr(transformer, "fit"):
                tags.target_tags.required |= get_tags(transformer).target_tags.required
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def lower_components(transformer, block, *target):
    """Lower each `n_components` that is too large; return whether any was lowered."""
    names = ["n_components"]
    if isinstance(transformer, Pipeline):
        names = [f"{step}__n_components" for step, _ in transformer.steps]
    params, lowered = transformer.get_params(), False
    for i, name in enumerate(names):
        wanted, shape = params.get(name), block.shape
        if not isinstance(wanted, Integral) or wanted <= min(shape):
            continue
        if i:  # Earlier steps may return more columns, such as words of a text.
            shape = clone(transformer[:i]).fit_transform(block, *target).shape
        if wanted > min(shape):
            transformer.set_params(**{name: min(shape)})
            lowered = True
    return lowered


def name_errors(name, columns, method, *args):
    """Call a method with a transformer, and add the name of the modality to errors."""
    try:
        return method(*args)
    except Exception as error:
        error.add_note(
            f"This is the transformer of modality {name!r}. Its columns are "
            f"{_shorten(list(columns))}."
        )
        raise


def transformed(name, columns, transformer, block, width):
    """Return the output of a transformer as numbers."""
    if isinstance(transformer, str):
        found = block
    else:
        found = name_errors(name, columns, transformer.transform, block)
    found = found.toarray() if issparse(found) else np.asarray(found)
    if found.shape != (len(block), width):
        hint = ""
        if hasattr(block, "columns") and len(found) != len(block):
            hint = (
                " Vectorizers of text take one column: make_column_transformer("
                f"(vectorizer, {columns[0]!r}))."
            )
        raise ValueError(
            f"The transformer of {name!r} must return {len(block)} rows and {width} "
            f"columns; got shape {found.shape}.{hint}"
        )
    try:
        return found.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The columns of {name!r} must be numbers after its transformer; "
            f"{error}. Encode them, for example with OneHotEncoder."
        ) from None


def name_outputs(name, transformer, columns):
    """Names of the new columns of a modality."""
    if isinstance(transformer, str):
        names = columns if transformer == "passthrough" else []
    else:
        try:
            names = transformer.get_feature_names_out(
                None if hasattr(transformer, "feature_names_in_") else list(columns)
            )
        except (AttributeError, ValueError) as error:
            raise ValueError(
                f"The transformer of {name!r} must have get_feature_names_out; got "
                f"{type(transformer).__name__}."
            ) from error
    prefix = f"{name}__"
    return [n if str(n).startswith(prefix) else f"{prefix}{n}" for n in map(str, names)]
