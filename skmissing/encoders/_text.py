"""Encodes text by a pretrained model."""

from bisect import bisect_right
from collections import Counter
from numbers import Integral

import numpy as np
import torch

from skmissing._compat import Interval, StrOptions
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._items import BrokenItemError, broken_if_it_fails, try_to
from skmissing.encoders._models import (
    SentenceSettings,
    is_decoder_only,
    load_config,
    load_processor,
    model_class,
)
from skmissing.encoders._pooling import pool_tokens, pooled_output, to_device

# Number of texts per call of the tokenizer.
CHUNK = 1024
# Tokenizers without a limit have a large number.
UNLIMITED = 10**9
# Texts that probably mean a missing value.
WRITTEN_NULLS = {"nan", "NaN", "None", "<NA>", "NaT"}
# These models were trained on texts padded to the full length, without a mask.
FIXED_LENGTH = {"siglip", "siglip2"}
# The positions of these models start after the padding token, so there are fewer.
SHIFTED = {"camembert", "longformer", "mpnet", "roberta", "xlm-roberta"}


@shared_docs
class TextEncoder(FrozenEncoder):
    """Encode a column of texts by a pretrained model.

    The model may be any text model that `transformers.AutoModel` loads, including
    decoder-only language models, or the text tower of a model such as CLIP.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="bert-base-uncased"
        Name of a model on the Hugging Face Hub, or a folder written by
        `save_pretrained`. A local copy is used if there is one. Otherwise the model
        is downloaded on first use. Code that comes with a model is never run.
    pooling : {"auto", "cls", "mean", "max", "last"} or None, default="auto"
        How to reduce the tokens of a text to one embedding. "auto" is the embedding of
        sentence-transformers for its models (see Notes), "last" for other decoder-only
        language models, and otherwise "cls". "cls" is the class token or, if the model
        has two towers, the embedding for comparison with images. "mean" and "max" pool
        all tokens except padding. "last" is the last token before padding. None keeps
        the tokens, see `max_tokens`.
    template : str, default=None
        Prompt around each text, such as `"Represent this text: {text}"`. Each `{text}`
        is replaced by the text. It takes the place of the default prompt of a model of
        sentence-transformers. If the result is too long, only the text is truncated.
    max_length : int, default=None
        Maximum number of tokens. Longer texts are truncated. None is the maximum of
        the model, and a warning reports the number of truncated texts.
    %(revision, normalize, max_tokens)s
    batch_size : int, default=32
        Maximum number of texts per batch. Texts of similar length share a batch. It
        is halved, with a warning, if a batch does not fit into memory.
    %(device, dtype, cache)s
    empty_is_missing : bool, default=True
        Whether a blank text is missing. If False, it is encoded.
    %(on_error, local_files_only, verbose)s

    Attributes
    ----------
    %(embedding_dim_, revision_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ModelNotFoundError
        If the model is not on this machine and cannot be downloaded.

    See Also
    --------
    ImageEncoder : Encodes images, with the same model if it has two towers.
    sklearn.feature_extraction.text.TfidfVectorizer : Counts words.

    Notes
    -----
    `fit` reads only the configuration of the model. The weights are loaded when the
    first text is encoded, once per process for all clones. A pickle contains the name
    and the revision of the model, but no weights.

    A model of sentence-transformers has a file `modules.json`. Its maximum number of
    tokens and its lower case are always applied. Its pooling, normalization and default
    prompt are applied with `pooling="auto"`. Other modules, for example a dense layer,
    raise an error, or with another `pooling` a warning.

    A token of a decoder-only language model depends only on the tokens before it, so
    the last token is the one that represents the whole text. It is a special token if
    the tokenizer adds one at the end. The tokens of `template` are pooled, too.

    The embedding of a missing text (None, NaN, a null or masked cell) is NaN. A text is
    blank if it has only spaces, control characters and marks of direction or width.
    A text with half of a surrogate pair, as in a truncated emoji, cannot be encoded.

    Examples
    --------
    >>> from skmissing.encoders import TextEncoder
    >>> encoder = TextEncoder(pooling="mean", batch_size=64, cache="embeddings")
    >>> encoder.fit_transform(["a text", None])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
        "pooling": [StrOptions({"auto", "cls", "mean", "max", "last"}), None],
        "template": [str, None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
    }
    _stem = "text"
    _takes_arrays = False

    def __init__(
        self,
        model="bert-base-uncased",
        *,
        pooling="auto",
        template=None,
        max_length=None,
        revision=None,
        normalize=False,
        max_tokens=None,
        batch_size=32,
        device="auto",
        dtype="float32",
        cache=None,
        empty_is_missing=True,
        on_error="raise",
        local_files_only=False,
        verbose=False,
    ):
        self.model = model
        self.pooling = pooling
        self.template = template
        self.max_length = max_length
        self.revision = revision
        self.normalize = normalize
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.empty_is_missing = empty_is_missing
        self.on_error = on_error
        self.local_files_only = local_files_only
        self.verbose = verbose

    def _check_item(self, item):
        if not isinstance(item, str):
            kind = type(item).__name__
            return f"must be a str or missing; got {item!r:.50} of type {kind}."
        return None

    def _check_model(self, config, cls):
        if not _has_tower(cls) and cls.main_input_name != "input_ids":
            raise ValueError(
                f"model={str(self.model)!r} must have a text tower; got a model of "
                f"type {config.model_type!r}, which takes {cls.main_input_name}."
            )

    def _check_params(self, config):
        super()._check_params(config)
        if self.template is not None and "{text}" not in self.template:
            raise ValueError(
                f"`template` must contain '{{text}}'; got {self.template!r}."
            )
        limit = most_tokens(config)
        if self.max_length is not None and limit and self.max_length > limit:
            raise ValueError(
                f"`max_length={self.max_length}` must be at most the number of tokens "
                f"that model={str(self.model)!r} takes ({limit})."
            )

    def _resolve(self, spec):
        config, cls = super()._resolve(spec)
        self._check_sentence_settings(spec, _sentence_settings(spec, cls))
        return config, cls

    def _check_sentence_settings(self, spec, own):
        if own.is_unknown and self.pooling == "auto":
            self._warn(
                f"the pooling of model={spec.name!r} is unknown, because its "
                "modules.json is not on this machine. pooling='cls' is used. Set "
                "pooling to accept this."
            )
        if self.pooling == "auto" and own.unsupported:
            raise ValueError(
                f"`pooling='auto'` needs {own.unsupported} for model={spec.name!r}, "
                "which encoders do not implement. Choose another pooling, for example "
                "'mean'."
            )
        if self.pooling in ("auto", None) or own.pooling is None:
            return
        if own.unsupported:
            self._warn(
                f"the embedding of model={spec.name!r} has {own.unsupported}, which "
                f"pooling={self.pooling!r} ignores."
            )
        elif self.pooling != own.pooling or (own.prompt and self.template is None):
            prompt = f" and the prompt {own.prompt!r}" if own.prompt else ""
            self._warn(
                f"model={spec.name!r} is made for pooling={own.pooling!r}{prompt}; got "
                f"pooling={self.pooling!r}. pooling='auto' uses these settings."
            )

    def _settings_of_files(self, spec):
        return repr(_sentence_settings(spec, model_class(load_config(spec))))

    def _guess_dim(self, config, cls):
        if _has_tower(cls) and self.pooling in ("auto", "cls"):
            return getattr(config, "projection_dim", None)
        return getattr(_text_config(config), "hidden_size", None)

    def _example(self):
        return "a"

    def _digest(self, item, hasher):
        hasher.update(item.encode("utf-8", "surrogatepass"))

    def _measure(self, items, spec):
        tokenizer = load_processor(spec, "AutoTokenizer")
        config = load_config(spec)
        own = _sentence_settings(spec, model_class(config))
        length = self._longest(tokenizer, config, own)
        handles = [try_to(self._fill, item, tokenizer, own, length) for item in items]
        valid = [i for i, h in enumerate(handles) if not isinstance(h, BrokenItemError)]
        n_cut = sum(handles[i][1] for i in valid)
        for start in range(0, len(valid), CHUNK):
            part = valid[start : start + CHUNK]
            texts = [handles[i][0] for i in part]
            found, n_cut_here = _tokenize(tokenizer, texts, length)
            n_cut += n_cut_here
            for i, handle in zip(part, found):
                handles[i] = handle
        if n_cut and (self.max_length is None or length < self.max_length):
            self._warn(
                f"{count(n_cut, 'text is', 'texts are')} longer than the "
                f"{count(length, 'token')} that model={spec.name!r} takes, and "
                f"{'was' if n_cut == 1 else 'were'} truncated. Set max_length to "
                "accept this."
            )
        return handles, [
            0 if isinstance(handle, BrokenItemError) else len(handle["input_ids"])
            for handle in handles
        ]

    def _fill(self, item, tokenizer, own, length):
        """Return a text with its prompt, and whether it was truncated to fit."""

        def fill(text):
            if self.template is not None:
                text = self.template.replace("{text}", text)
            elif self.pooling == "auto":
                text = own.prompt + text
            return text.lower() if own.lower else text

        def n_tokens(n):  # up to length + 1
            cut = {"truncation": True, "max_length": length + 1}
            return len(tokenizer(fill(text[:n]), **cut)["input_ids"])

        text = valid_text(item)
        if self.template is None or length is None:  # truncated by the tokenizer
            return fill(text), False
        with broken_if_it_fails():
            if n_tokens(len(text)) <= length:
                return fill(text), False
            n = bisect_right(range(len(text)), length, key=n_tokens) - 1
        if n < 1:
            raise ValueError(
                f"`template` must leave room for a text in the {length} tokens that "
                f"model={str(self.model)!r} takes; got {self.template!r}."
            )
        return fill(text[:n]), True

    def _longest(self, tokenizer, config, own):
        """Return the number of tokens to truncate to, or None."""
        limit = tokenizer.model_max_length
        if own.max_length is not None:
            limit = own.max_length if self.max_length is None else None
        limits = [limit, most_tokens(config), self.max_length]
        length = min(limit for limit in [*limits, UNLIMITED] if limit)
        return length if length < UNLIMITED else None

    def _report(self, items, broken, cache, remarks):
        super()._report(items, broken, cache, remarks)
        texts = (str(item) for item in items if isinstance(item, str))
        found = Counter(text for text in texts if text in WRITTEN_NULLS)
        if found:
            (text, n), *_ = found.most_common()
            self._warn(
                f"{found.total()} of {len(items)} texts are {text!r} or similar, as "
                "str() writes a missing value, and were encoded as words. None is "
                "missing."
            )

    def _encode(self, prepared, model, spec):
        tokenizer = load_processor(spec, "AutoTokenizer")
        fixed = model.config.model_type in FIXED_LENGTH
        width = tokenizer.model_max_length if fixed else 0
        inputs, mask = _pad(prepared, tokenizer.pad_token_id or 0, width)
        if not fixed:
            inputs["attention_mask"] = mask.long()
        inputs = to_device(inputs, model)
        own = _sentence_settings(spec, type(model))
        pooling = self.pooling
        if pooling == "auto" and own.pooling is None:
            pooling = "last" if is_decoder_only(model.config) else "cls"
        elif pooling == "auto":
            pooling = "first" if own.pooling == "cls" else own.pooling
        if _has_tower(type(model)):
            if pooling == "cls":
                return pooled_output(model.get_text_features(**inputs))
            model = model.text_model
        elif model.config.is_encoder_decoder:
            model = model.get_encoder()
        hidden = model(**inputs).last_hidden_state
        if pooling == "cls":
            rows, places = np.arange(len(prepared)), _places(prepared, tokenizer, spec)
            return hidden[rows, places].float()
        if pooling == "first":
            found = hidden[:, 0].float()
        else:
            found = pool_tokens(hidden, mask.to(hidden.device), pooling)
        if self.pooling == "auto" and own.normalize:
            found = torch.nn.functional.normalize(found, dim=-1)
        return found


def _has_tower(cls):
    return hasattr(cls, "get_text_features")


def _sentence_settings(spec, cls):
    """Return the settings in sentence-transformers; none for models with towers."""
    return SentenceSettings() if _has_tower(cls) else spec.sentence


def _text_config(config):
    return getattr(config, "text_config", None) or config


def most_tokens(config):
    """Return the maximum number of tokens of a model, or None if it has no limit."""
    config = _text_config(config)
    limit = getattr(config, "max_position_embeddings", None)
    if limit and config.model_type in SHIFTED:
        limit -= config.pad_token_id + 1
    return limit


def valid_text(item):
    """Return a text that can be encoded, or raise BrokenItemError."""
    text = str(item)
    try:
        text.encode()
    except UnicodeEncodeError:
        pairs = text.encode("utf-16-le", "surrogatepass")
        text = pairs.decode("utf-16-le", "surrogatepass")  # joins pairs of halves
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise BrokenItemError(
                f"it has half a character, {text[exc.start]!a}, at position {exc.start}"
            ) from exc
    return text


def _tokenize(tokenizer, texts, length):
    """Return the tokens of each text, or its error, and the number of truncations."""
    options = {"return_attention_mask": False}
    cut = options | {"truncation": length is not None, "max_length": length}
    try:
        found = tokenizer(texts, **cut)
    except Exception:
        if len(texts) == 1:
            with broken_if_it_fails():
                raise
        parts = [try_to(_tokenize, tokenizer, [text], length) for text in texts]
        broken = [isinstance(part, BrokenItemError) for part in parts]
        handles = [p if b else p[0][0] for p, b in zip(parts, broken)]
        return handles, sum(0 if b else p[1] for p, b in zip(parts, broken))
    handles = [dict(zip(found.data, row)) for row in zip(*found.data.values())]
    if getattr(found, "encodings", None):
        n_cut = sum(bool(encoding.overflowing) for encoding in found.encodings)
    else:  # Python tokenizers do not report truncation
        full = [t for t, h in zip(texts, handles) if len(h["input_ids"]) == length]
        whole = tokenizer(full, **options)["input_ids"] if full else []
        n_cut = sum(len(ids) > length for ids in whole)
    none = BrokenItemError("the tokenizer finds no token in it")
    return [handle if handle["input_ids"] else none for handle in handles], n_cut


def _pad(handles, pad_id, width):
    """Return padded tensors of token ids and types, and the mask of real tokens."""
    lengths = torch.tensor([len(handle["input_ids"]) for handle in handles])
    width = max(int(lengths.max()), width)
    inputs = {}
    for name in handles[0]:
        fill = pad_id if name == "input_ids" else 0
        table = np.full((len(handles), width), fill, dtype=np.int64)
        for row, handle in zip(table, handles):
            row[: len(handle[name])] = handle[name]
        inputs[name] = torch.from_numpy(table)
    return inputs, torch.arange(width) < lengths[:, None]


def _places(handles, tokenizer, spec):
    """Return the position of the class token in each text."""
    token = tokenizer.cls_token_id
    if token is None or any(token not in handle["input_ids"] for handle in handles):
        raise ValueError(
            f"model={spec.name!r} must have a class token for pooling='cls'; choose "
            "pooling='mean' or 'last'."
        )
    return [handle["input_ids"].index(token) for handle in handles]
