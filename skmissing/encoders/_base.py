"""What all encoders of raw items share: a column in, rows of an embedding out."""

import os
import warnings
from abc import ABC, abstractmethod
from numbers import Integral

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skmissing._base import SkmissingEstimator
from skmissing._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_feature_names_in,
    _fit_context,
    import_optional,
)
from skmissing.encoders._batching import batches, progress_bar
from skmissing.encoders._cache import EmbeddingCache
from skmissing.encoders._items import (
    BrokenItemError,
    column_name,
    describe,
    is_missing,
    read_column,
)
from skmissing.encoders._models import (
    ModelSpec,
    fingerprint,
    load_config,
    load_model,
    model_class,
)
from skmissing.encoders._pooling import normalize_length

# Parameters that do not change what an item is encoded to.
NOT_IN_KEY = {
    "batch_size",
    "cache",
    "device",
    "empty_is_missing",
    "local_files_only",
    "model",
    "on_error",
    "revision",
    "verbose",
}


class FrozenEncoder(TransformerMixin, SkmissingEstimator, ABC):
    """Base class of the encoders of raw items by a pretrained model.

    The input is one column of raw items, the output one row of float32 an item; a
    missing item becomes a row of NaN. Nothing is trained: `fit` looks up the model's
    configuration and learns nothing from the items. The weights are loaded on first
    use, shared by all encoders of the process, and never pickled.

    Read more in the :ref:`User Guide <encoders>`.

    See Also
    --------
    TextEncoder : Encodes text.
    ImageEncoder : Encodes images.
    AudioEncoder : Encodes sound.
    VideoEncoder : Encodes video.

    Notes
    -----
    A subclass says what its items are in `_check_item`, `_digest`, `_measure` and
    `_encode`, and which models it takes in `_check_model`.

    Examples
    --------
    >>> from skmissing.encoders import FrozenEncoder, TextEncoder
    >>> issubclass(TextEncoder, FrozenEncoder)
    True
    """

    _parameter_constraints: dict = {
        "model": [str, os.PathLike],
        "revision": [str, None],
        "normalize": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "dtype": [StrOptions({"float32", "float16", "bfloat16"})],
        "cache": [str, os.PathLike, HasMethods(["cache"]), None],
        "empty_is_missing": ["boolean"],
        "on_error": [StrOptions({"raise", "missing"})],
        "local_files_only": ["boolean"],
        "verbose": ["verbose"],
    }
    _stem = "item"  # of column names, where the column has none
    _takes_arrays = True

    # ------------------------------------------------------------------ to override

    @abstractmethod
    def _check_item(self, item):
        """Return what is wrong with the type of an item; None if nothing is."""

    @abstractmethod
    def _check_model(self, config, cls):
        """Raise ValueError if the model cannot encode such items."""

    @abstractmethod
    def _guess_dim(self, config, cls):
        """Width of the embedding as the configuration has it; None if it does not."""

    @abstractmethod
    def _example(self):
        """An item to learn the width from, where the configuration does not tell."""

    @abstractmethod
    def _digest(self, item, hasher):
        """Feed the content of an item to a hash."""

    @abstractmethod
    def _measure(self, items, spec):
        """Handles and lengths of items; a broken one has its BrokenItemError."""

    def _prepare(self, handle, spec):
        """Make of a handle what `_encode` takes; may raise BrokenItemError."""
        del spec
        return handle

    @abstractmethod
    def _encode(self, prepared, model, spec):
        """Embeddings of a batch: a tensor, or a list of tensors of tokens."""

    def _check_params(self, config):
        """Check parameters against each other and the model."""
        del config
        if self._n_tokens is None:
            raise ValueError(
                "pooling=None keeps the tokens of each item and needs max_tokens, how "
                "many; got max_tokens=None."
            )

    @property
    def _n_tokens(self):
        """How many tokens of each item the output has."""
        return self.max_tokens if self.pooling is None else 1

    # ------------------------------------------------------------------------- fit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Look up the model; nothing is learnt from the items.

        Parameters
        ----------
        X : sequence or table of one column
            The items.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted encoder.
        """
        del y
        spec = self._spec(self.revision)
        config, cls = self._resolve(spec)
        self._read(X, reset=True)
        commit = getattr(config, "_commit_hash", None)
        self.revision_ = self.revision if commit is None else commit
        self.embedding_dim_ = self._find_dim(config, cls, self._spec(self.revision_))
        return self

    def _spec(self, revision):
        name = os.fspath(self.model)
        return ModelSpec(name, revision, self.local_files_only, bool(self.verbose))

    def _resolve(self, spec):
        """Configuration and class of the model, checked."""
        config = load_config(spec)
        cls = model_class(config)
        if cls is None:
            raise ValueError(
                f"model={spec.name!r} is of type {config.model_type!r}, which "
                "transformers.AutoModel does not load."
            )
        self._check_model(config, cls)
        self._check_params(config)
        return config, cls

    def _find_dim(self, config, cls, spec):
        dim = self._guess_dim(config, cls)
        if dim is None:
            handles, _ = self._measure([self._example()], spec)
            dim = self._run(handles, spec)[0].shape[-1]
        return int(dim)

    def _read(self, X, reset):
        """Items, and which of them are there."""
        owner = type(self).__name__
        items = read_column(X, owner, self._takes_arrays)
        if hasattr(X, "columns") and hasattr(X, "shape"):
            validate_data(self, X, reset=reset, skip_check_array=True)
        elif reset:
            self.n_features_in_ = 1
            vars(self).pop("feature_names_in_", None)
            if (name := column_name(X)) is not None:
                self.feature_names_in_ = np.array([name], dtype=object)
        present = np.array(
            [not is_missing(item, self.empty_is_missing) for item in items], dtype=bool
        )
        for row in np.flatnonzero(present):
            if (wrong := self._check_item(items[row])) is not None:
                raise TypeError(f"{owner}: row {row} of X {wrong}")
        return items, present

    # ------------------------------------------------------------------- transform

    def transform(self, X):
        """Encode items.

        Parameters
        ----------
        X : sequence or table of one column
            The items.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_features_out), dtype float32
            NaN in the rows of missing items.

        Raises
        ------
        ValueError
            If an item cannot be read, unless `on_error="missing"`.
        """
        fitted = hasattr(self, "embedding_dim_")
        if not fitted:
            self._validate_params()
        items, present = self._read(X, reset=False)
        spec = self._spec(self.revision_ if fitted else self.revision)
        if fitted:
            dim = self.embedding_dim_
        else:
            dim = self._find_dim(*self._resolve(spec), spec)
        out = np.full((len(items), self._n_tokens, dim), np.nan, dtype=np.float32)
        broken = {}
        keys, cache = self._group(items, np.flatnonzero(present), spec, broken)
        for found, rows in self._embed(items, keys, cache, spec, broken):
            _write(out, rows, found, spec)
        self._report(items, broken, cache)
        return out.reshape(len(items), self._n_tokens * dim)

    def _group(self, items, rows, spec, broken):
        """Rows by the content of their item, so that each is encoded once."""
        settings = ""
        if self.cache is not None:
            params = sorted(self.get_params(deep=False).items())
            kept = [(name, v) for name, v in params if name not in NOT_IN_KEY]
            settings = f"{type(self).__name__} {fingerprint(spec)} {kept!r}"
        cache = EmbeddingCache(self.cache, settings)
        keys = {}
        for row in rows:
            try:
                keys.setdefault(self._key(items[row], cache), []).append(row)
            except BrokenItemError as exc:
                broken[row] = str(exc)
        return keys, cache

    def _key(self, item, cache):
        """What equal items share: their content if there is a cache."""
        if cache.is_used:
            hasher = cache.hasher()
            self._digest(item, hasher)
            return hasher.hexdigest()
        return os.fspath(item) if isinstance(item, (str, os.PathLike)) else id(item)

    def _embed(self, items, keys, cache, spec, broken):
        """Yield embeddings and the rows that they belong to."""
        todo = []
        for key, rows in keys.items():
            found = cache.get(key)
            if found is None:
                todo.append(key)
            else:
                yield found, rows
        if not todo:
            return
        firsts = [keys[key][0] for key in todo]
        handles, sizes = self._measure([items[row] for row in firsts], spec)
        usable = [
            i for i, h in enumerate(handles) if not isinstance(h, BrokenItemError)
        ]
        for i in set(range(len(todo))) - set(usable):
            broken.update(dict.fromkeys(keys[todo[i]], str(handles[i])))
        self._raise_if_broken(items, broken)
        done = batches(
            np.asarray(sizes)[usable],
            self.batch_size,
            lambda part: self._run([handles[usable[p]] for p in part], spec),
        )
        with progress_bar(len(usable), type(self).__name__, self.verbose) as bar:
            for part, results in done:
                for position, found in zip(part, results):
                    key = todo[usable[position]]
                    if isinstance(found, BrokenItemError):
                        broken.update(dict.fromkeys(keys[key], str(found)))
                        self._raise_if_broken(items, broken)
                        continue
                    cache.put(key, found)
                    yield found, keys[key]
                bar.update(len(part))

    def _run(self, handles, spec):
        """Embeddings of a batch as arrays of float32."""
        torch = import_optional("torch", "encoders")
        from skmissing._torch import resolve_device

        prepared = [try_to(self._prepare, handle, spec) for handle in handles]
        good = [one for one in prepared if not isinstance(one, BrokenItemError)]
        if not good:
            return prepared
        model = load_model(spec, str(resolve_device(self.device)), self.dtype)
        with torch.inference_mode():
            found = self._encode(good, model, spec)
            if torch.is_tensor(found):
                found = iter(self._finish(found))
            else:
                found = map(self._finish, found)
        return [
            one if isinstance(one, BrokenItemError) else next(found).copy()
            for one in prepared
        ]

    def _finish(self, values):
        if self.pooling is None:
            values = values[: self._n_tokens]
        if self.normalize:
            values = normalize_length(values.float())
        return values.float().cpu().numpy()

    def _raise_if_broken(self, items, broken):
        if broken and self.on_error == "raise":
            row = min(broken)
            raise ValueError(
                f"{type(self).__name__}: row {row} of X, {describe(items[row])}, "
                f"cannot be encoded: {broken[row]}. With on_error='missing' it "
                "becomes a missing item."
            )

    def _report(self, items, broken, cache):
        self._raise_if_broken(items, broken)
        if cache.failures:
            warnings.warn(
                f"{type(self).__name__}: {len(cache.failures)} embeddings could not be "
                f"cached and will be computed again. The first: {cache.failures[0]}",
                UserWarning,
                stacklevel=4,
            )
        if broken:
            row = min(broken)
            warnings.warn(
                f"{type(self).__name__}: {len(broken)} of {len(items)} items cannot "
                f"be encoded and count as missing. The first is row {row}, "
                f"{describe(items[row])}: {broken[row]}.",
                UserWarning,
                stacklevel=4,
            )

    # ----------------------------------------------------------------- description

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns: the input's, two underscores, and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Name of the input column; by default that seen in `fit`, or the kind of
            item.

        Returns
        -------
        ndarray of str
            Numbers are padded with zeros, so that names sort as the columns stand.
        """
        check_is_fitted(self, "embedding_dim_")
        stem = self._stem
        if input_features is not None or hasattr(self, "feature_names_in_"):
            stem = _check_feature_names_in(self, input_features)[0]
        dims = _padded(self.embedding_dim_)
        if self.pooling is not None:
            return np.array([f"{stem}__{i}" for i in dims], dtype=object)
        names = [f"{stem}__{t}_{i}" for t in _padded(self._n_tokens) for i in dims]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        tags.no_validation = True
        tags.requires_fit = False
        return tags


def try_to(read, *args):
    """What a function returns, or the BrokenItemError that it raises."""
    try:
        return read(*args)
    except BrokenItemError as exc:
        return exc


def _padded(n):
    width = len(str(n - 1))
    return [f"{i:0{width}d}" for i in range(n)]


def _write(out, rows, found, spec):
    """Put an embedding, or the first tokens of one, into its rows."""
    if found.shape[-1] != out.shape[-1]:
        raise ValueError(
            f"model={spec.name!r} made an embedding of width {found.shape[-1]}, but "
            f"its configuration says {out.shape[-1]}."
        )
    found = np.atleast_2d(found)
    out[rows, : len(found)] = found
