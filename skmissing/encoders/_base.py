"""Base class of the encoders of raw items by pretrained models."""

import gc
import os
from abc import ABC, abstractmethod
from collections import Counter
from numbers import Integral

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skmissing._base import SkmissingEstimator, _fit_context
from skmissing._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_feature_names_in,
    import_optional,
)
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing._sources import is_dask
from skmissing._torch import resolve_device
from skmissing.encoders._cache import EmbeddingCache
from skmissing.encoders._items import (
    BrokenItemError,
    column_name,
    describe,
    digest_item,
    is_missing,
    read_column,
    try_to,
)
from skmissing.encoders._models import (
    ModelSpec,
    fingerprint,
    load_config,
    load_model,
    model_class,
)

# Parameters that do not change the embedding of an item.
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
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


@shared_docs
class FrozenEncoder(TransformerMixin, SkmissingEstimator, ABC):
    """Base class of the encoders of raw items by a pretrained model.

    The input is one column of raw items, or two columns of `ImageTextEncoder`. The
    output has one row of float32 per item, which is NaN for a missing item. Nothing is
    trained: `fit` only reads the configuration of the model. The weights are loaded on
    first use, shared by all encoders of the process, and never pickled.

    Read more in the :ref:`User Guide <encoders>`.

    See Also
    --------
    TextEncoder : Encodes text.
    ImageEncoder : Encodes images.
    AudioEncoder : Encodes sound.
    VideoEncoder : Encodes video.
    ImageTextEncoder : Encodes images with texts.

    Notes
    -----
    A subclass implements `_check_item`, `_check_model`, `_guess_dim`, `_example` and
    `_encode`.

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
    _stem = "item"  # prefix of output columns if the input has no name
    _n_columns = 1
    _takes_arrays = True
    _reads_sources = True  # `fit` reads the configuration only

    # ------------------------------------------------------------------ to override

    @abstractmethod
    def _check_item(self, item):
        """Return the error message for an item of a wrong type, otherwise None."""

    @abstractmethod
    def _check_model(self, config, cls):
        """Raise ValueError if the model cannot encode such items."""

    @abstractmethod
    def _guess_dim(self, config, cls):
        """Return the width of the embedding, or None if the configuration has none."""

    @abstractmethod
    def _example(self):
        """Return an item to measure the width of its embedding."""

    @abstractmethod
    def _encode(self, prepared, model, spec):
        """Return embeddings of a batch: a tensor, or a list of tensors of tokens."""

    def _digest(self, item, hasher):
        """Update a hash with the content of an item."""
        digest_item(item, hasher)

    def _measure(self, items, spec):
        """Return handles and lengths of items; a broken item has its error."""
        return items, np.zeros(len(items))

    def _prepare(self, handle, spec):
        """Return the input of `_encode`, or raise BrokenItemError."""
        return handle

    def _load_model(self, spec):
        return load_model(spec, str(resolve_device(self.device)), self.dtype)

    def _fingerprint(self, spec):
        return fingerprint(spec)

    def _count_remarks(self, prepared, spec):
        """Return numbers of items of a batch by the text of a warning."""
        return {}

    def _settings_of_files(self, spec):
        """Return settings that are neither parameters nor part of the fingerprint."""
        return ""

    def _check_params(self, config):
        """Check the parameters against each other and against the model."""
        if self._n_tokens is None:
            raise ValueError(
                "`max_tokens` must be an int if pooling=None, which keeps this number "
                "of tokens per item; got None."
            )

    @property
    def _n_tokens(self):
        """Number of tokens per item in the output."""
        return self.max_tokens if self.pooling is None else 1

    # ------------------------------------------------------------------------- fit

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the model. Nothing is learnt from the items.

        Parameters
        ----------
        X : sequence or table
            The items, in one column, or in two columns of `ImageTextEncoder`.
        %(y)s

        Returns
        -------
        %(self)s
        """
        config, cls = self._resolve(self._spec(self.revision))
        self._read(X, reset=True)
        commit = getattr(config, "_commit_hash", None)
        self.revision_ = self.revision if commit is None else commit
        self.embedding_dim_ = self._find_dim(config, cls, self._spec(self.revision_))
        return self

    def _spec(self, revision):
        return ModelSpec(
            os.fspath(self.model),
            revision,
            self.local_files_only,
            bool(self.verbose),
            type(self).__name__,
        )

    def _resolve(self, spec):
        """Return the configuration and the class of the model, checked."""
        config = load_config(spec)
        cls = model_class(config)
        if cls is None:
            raise ValueError(
                f"model={spec.name!r} must be of a type that transformers.AutoModel "
                f"loads; got {config.model_type!r}."
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
        """Return the items, and a mask of those that are not missing."""
        owner = type(self).__name__
        if is_dask(X):  # names and types, without items
            X = getattr(X, "_meta", [])
        items = self._read_items(X)
        if hasattr(X, "columns") and hasattr(X, "shape"):
            validate_data(self, X, reset=reset, skip_check_array=True)
        elif reset:
            self.n_features_in_ = self._n_columns
            if (name := column_name(X)) is not None:
                self.feature_names_in_ = np.array([name], dtype=object)
        present = np.array([self._is_present(item) for item in items], dtype=bool)
        for row in np.flatnonzero(present):
            if (wrong := self._check_item(items[row])) is not None:
                raise TypeError(f"{owner}: item {row} of X {wrong}")
        return items, present

    def _read_items(self, X):
        return read_column(X, type(self).__name__, self._takes_arrays)

    def _is_present(self, item):
        return not is_missing(item, self.empty_is_missing)

    # ------------------------------------------------------------------- transform

    def transform(self, X):
        """Encode items.

        Parameters
        ----------
        X : sequence or table
            The items, in one column, or in two columns of `ImageTextEncoder`. They may
            also be a series, a data frame, an array or a bag of Dask.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_features_out), dtype float32
            Embeddings. NaN for missing items. For a collection of Dask, a lazy array
            of Dask, whose blocks are encoded where the partitions are.

        Raises
        ------
        ValueError
            If an item cannot be read, unless `on_error="missing"`.
        """
        if is_dask(X):
            return self._encode_partitions(X)
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
        broken, remarks = {}, Counter()
        keys, cache = self._group(items, np.flatnonzero(present), spec, broken)
        for found, rows in self._embed(items, keys, cache, spec, broken, remarks):
            if found.shape[-1] != dim:
                raise ValueError(
                    f"model={spec.name!r} must return embeddings of width {dim}, as "
                    f"in its configuration; got {found.shape[-1]}."
                )
            found = np.atleast_2d(found)
            out[rows, : len(found)] = found
        self._report(items, broken, cache, remarks)
        return out.reshape(len(items), self._n_tokens * dim)

    def _encode_partitions(self, X):
        """Embeddings of a collection of Dask, with a block per partition."""
        dask = import_optional("dask", "large")
        array = import_optional("dask.array", "large")
        parts = X.to_delayed()
        parts = list(getattr(parts, "flat", parts))
        # Items are counted first, because counting embeddings would compute them.
        lengths = dask.compute(*(dask.delayed(_count_items)(part) for part in parts))
        shape = self.transform([]).shape
        encode = dask.delayed(_encode_partition, pure=False)
        blocks = [
            array.from_delayed(encode(self, part), (n, *shape[1:]), np.float32)
            for n, part in zip(lengths, parts)
        ]
        return array.concatenate(blocks)

    def _group(self, items, rows, spec, broken):
        """Group rows with equal items, so that each item is encoded once."""
        settings = ""
        if self.cache is not None:
            params = sorted(self.get_params(deep=False).items())
            kept = [(name, v) for name, v in params if name not in NOT_IN_KEY]
            settings = f"{type(self).__name__} {self._fingerprint(spec)} {kept!r}"
            settings += self._settings_of_files(spec)
        cache = EmbeddingCache(self.cache, settings)
        keys = {}
        for row in rows:
            try:
                keys.setdefault(self._key(items[row], cache), []).append(row)
            except BrokenItemError as exc:
                broken[row] = str(exc)
        return keys, cache

    def _key(self, item, cache):
        """Return a key of equal items, from their content if there is a cache."""
        if cache.is_used:
            hasher = cache.hasher()
            self._digest(item, hasher)
            return hasher.hexdigest()
        return os.fspath(item) if isinstance(item, (str, os.PathLike)) else id(item)

    def _embed(self, items, keys, cache, spec, broken, remarks):
        """Yield embeddings and their rows."""
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
        usable = []
        for i, handle in enumerate(handles):
            if isinstance(handle, BrokenItemError):
                broken.update(dict.fromkeys(keys[todo[i]], str(handle)))
            else:
                usable.append(i)
        self._raise_if_broken(items, broken)
        done = batches(
            np.asarray(sizes)[usable],
            self.batch_size,
            lambda part: self._run([handles[usable[p]] for p in part], spec, remarks),
            self._warn,
        )
        tqdm = import_optional("tqdm", "encoders").tqdm
        name, silent = type(self).__name__, not self.verbose
        with tqdm(total=len(usable), desc=name, unit="item", disable=silent) as bar:
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

    def _run(self, handles, spec, remarks=None):
        """Return the embeddings of a batch as arrays of float32."""
        prepared = [try_to(self._prepare, handle, spec) for handle in handles]
        good = [one for one in prepared if not isinstance(one, BrokenItemError)]
        if not good:
            return prepared
        model = self._load_model(spec)
        with torch.inference_mode():
            found = self._encode(good, model, spec)
            if torch.is_tensor(found):
                found = iter(self._finish(found))
            else:
                found = map(self._finish, found)
        if remarks is not None:
            remarks.update(self._count_remarks(good, spec))
        return [
            one if isinstance(one, BrokenItemError) else next(found).copy()
            for one in prepared
        ]

    def _finish(self, values):
        if self.pooling is None:
            values = values[: self._n_tokens]
        if self.normalize:
            values = torch.nn.functional.normalize(values.float(), dim=-1)
        return values.float().cpu().numpy()

    def _raise_if_broken(self, items, broken):
        if broken and self.on_error == "raise":
            row = min(broken)
            raise ValueError(
                f"{type(self).__name__}: item {row} of X, {describe(items[row])}, "
                f"cannot be encoded: {broken[row]}. Set on_error='missing' to encode "
                "it as missing."
            )

    def _report(self, items, broken, cache, remarks):
        self._raise_if_broken(items, broken)
        for remark, n in remarks.items():
            if n:
                self._warn(f"{n} of {len(items)} items {remark}.")
        if cache.failures:
            self._warn(
                f"{count(len(cache.failures), 'embedding')} could not be cached and "
                f"will be computed again. The first: {cache.failures[0]}"
            )
        if broken:
            row = min(broken)
            self._warn(
                f"{len(broken)} of {len(items)} items cannot be encoded and are "
                f"treated as missing. The first is item {row}, {describe(items[row])}: "
                f"{broken[row]}."
            )

    # ----------------------------------------------------------------- description

    def get_feature_names_out(self, input_features=None):
        """Get the names of the output columns: the input name, `__` and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Name of the input column. By default the name seen in `fit`, or the kind
            of item.

        Returns
        -------
        ndarray of str
            Numbers are padded with zeros, so that sorting keeps the order.
        """
        check_is_fitted(self, "embedding_dim_")
        stem = self._stem
        if input_features is not None or hasattr(self, "feature_names_in_"):
            stem = "_".join(_check_feature_names_in(self, input_features))
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
        tags.no_validation = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _encode_partition(encoder, part):
    # The weights are loaded once per process.
    return np.asarray(encoder.transform(_list_items(part)))


def _count_items(part):
    return len(_list_items(part))


def _list_items(part):
    # Partitions of bags may be iterators.
    return part if hasattr(part, "shape") else list(part)


def batches(sizes, batch_size, encode, warn):
    """Encode items in batches of similar length, the longest items first."""
    # If a batch does not fit into memory, it is halved, and so are later batches.
    order = np.argsort(-np.asarray(sizes), kind="stable")
    asked, start = batch_size, 0
    while start < len(order):
        part = order[start : start + batch_size]
        try:
            result = encode(part)
        except (RuntimeError, MemoryError) as exc:
            if not _is_out_of_memory(exc):
                raise
            if len(part) == 1:
                raise MemoryError(
                    f"Out of memory with a batch of one item, of length "
                    f"{sizes[part[0]]}: {exc}"
                ) from exc
            result = None
        if result is None:  # not inside `except`, which would keep the tensors alive
            batch_size = len(part) // 2
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield part, result
        start += len(part)
    if batch_size < asked:
        warn(f"out of memory: batch_size was lowered from {asked} to {batch_size}.")


def _is_out_of_memory(exc):
    if isinstance(exc, MemoryError) or type(exc).__name__ == "OutOfMemoryError":
        return True
    text = str(exc).lower()
    return isinstance(exc, RuntimeError) and any(part in text for part in OUT_OF_MEMORY)


def _padded(n):
    width = len(str(n - 1))
    return [f"{i:0{width}d}" for i in range(n)]
