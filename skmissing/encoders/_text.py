"""Encodes text."""

import warnings
from numbers import Integral

import numpy as np

from skmissing._compat import Interval, StrOptions, import_optional
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._models import load_config, load_processor
from skmissing.encoders._pooling import pool_tokens, pooled_output, to_device

# Texts tokenised in one call.
CHUNK = 1024
# Trained on texts padded to the full length, without a mask.
FIXED_LENGTH = {"siglip", "siglip2"}
# Number positions from the padding token on, and have as many fewer for tokens.
SHIFTED = {"camembert", "longformer", "mpnet", "roberta", "xlm-roberta"}


class TextEncoder(FrozenEncoder):
    """Encode a column of texts by a pretrained model.

    Takes any text model that `transformers.AutoModel` loads, and the text tower of
    models such as CLIP.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="bert-base-uncased"
        Name of a model on the Hugging Face Hub, or a folder that `save_pretrained`
        wrote. A copy on this machine is used if there is one; otherwise the model is
        downloaded on first use. Code that comes with a model is never run.

    pooling : {"cls", "mean", "max"} or None, default="cls"
        How the tokens of a text become one embedding. "cls" takes the token that the
        model has for this, or, of a model with two towers, the embedding that is
        compared with images. "mean" and "max" go over all tokens of the text,
        padding left out. None keeps the tokens, see `max_tokens`.

    max_length : int, default=None
        Longer texts are cut to so many tokens. None is as many as the model takes;
        texts that are longer then are counted in a warning.

    revision : str, default=None
        Branch, tag or commit of the model on the Hub. None is the main branch.

    normalize : bool, default=False
        Whether embeddings are scaled to Euclidean length 1.

    max_tokens : int, default=None
        Only with `pooling=None`: each text takes so many tokens in the output, NaN
        where it has fewer; those beyond are left out. The output is a flattened
        sequence of the layout `(max_tokens, embedding_dim_)`.

    batch_size : int, default=32
        Most texts encoded at a time. Texts of like length share a batch. Halved,
        with a warning, if the memory does not suffice.

    device : str, default="auto"
        Device of torch; "auto" is CUDA or Apple's GPU if there is one, else the CPU.

    dtype : {"float32", "float16", "bfloat16"}, default="float32"
        Precision of the model. The output is float32.

    cache : joblib.Memory, str or path, default=None
        Where to keep embeddings. They are found again by the content of the item,
        the revision of the model and the parameters that matter, so that no item is
        encoded twice, in whatever order and fold it comes.

    empty_is_missing : bool, default=True
        Whether a blank text is a missing one. If False it is encoded.

    on_error : {"raise", "missing"}, default="raise"
        What becomes of an item that cannot be encoded: an error, or a missing item
        and a warning.

    local_files_only : bool, default=False
        Whether to never download.

    verbose : bool or int, default=False
        Whether to show a progress bar with the rate and the time left.

    Attributes
    ----------
    embedding_dim_ : int
        Width of the embedding, or of one token.

    revision_ : str or None
        Commit of the model that `fit` found; None for a folder without one.

    n_features_in_ : int
        1, the number of columns.

    feature_names_in_ : ndarray of shape (1,)
        Name of the column seen in `fit`, if it had one.

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
    `fit` reads the configuration of the model only. The weights are loaded when the
    first text is encoded, once in a process for all clones, and are not in a pickle,
    which holds the model's name and revision.

    A missing text (None, NaN, a null or masked cell) is a row of NaN.

    Examples
    --------
    >>> from skmissing.encoders import TextEncoder
    >>> encoder = TextEncoder(pooling="mean", batch_size=64, cache="embeddings")
    >>> encoder.fit_transform(["a text", None])  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
        "pooling": [StrOptions({"cls", "mean", "max"}), None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
    }
    _stem = "text"
    _takes_arrays = False

    def __init__(
        self,
        model="bert-base-uncased",
        *,
        pooling="cls",
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
            return f"must be a str or missing; got {item!r:.50} of type {_type(item)}."
        return None

    def _check_model(self, config, cls):
        if not _has_tower(cls) and cls.main_input_name != "input_ids":
            raise ValueError(
                f"model={str(self.model)!r} is of type {config.model_type!r} and "
                f"takes {cls.main_input_name}: it has no text tower."
            )

    def _check_params(self, config):
        super()._check_params(config)
        limit = most_tokens(config)
        if self.max_length is not None and limit and self.max_length > limit:
            raise ValueError(
                f"max_length={self.max_length} is more than the {limit} tokens that "
                f"model={str(self.model)!r} takes."
            )

    def _guess_dim(self, config, cls):
        if _has_tower(cls) and self.pooling == "cls":
            return getattr(config, "projection_dim", None)
        return getattr(_text_config(config), "hidden_size", None)

    def _example(self):
        return "a"

    def _digest(self, item, hasher):
        hasher.update(item.encode("utf-8", "surrogatepass"))

    def _measure(self, items, spec):
        tokenizer, config = load_processor(spec, "AutoTokenizer"), load_config(spec)
        limits = [
            tokenizer.model_max_length,
            most_tokens(config),
            self.max_length,
        ]
        length = min(limit for limit in limits if limit)
        handles, n_cut = [], 0
        for start in range(0, len(items), CHUNK):
            found = tokenizer(
                [str(item) for item in items[start : start + CHUNK]],
                truncation=True,
                max_length=length,
                return_attention_mask=False,
            )
            encodings = getattr(found, "encodings", None) or []
            n_cut += sum(bool(encoding.overflowing) for encoding in encodings)
            columns = found.data
            handles += [dict(zip(columns, row)) for row in zip(*columns.values())]
        if n_cut and self.max_length is None:
            warnings.warn(
                f"TextEncoder: {n_cut} texts are longer than the {length} tokens that "
                f"model={spec.name!r} takes, and were cut. Set max_length to accept "
                "this.",
                UserWarning,
                stacklevel=5,
            )
        return handles, [len(handle["input_ids"]) for handle in handles]

    def _encode(self, prepared, model, spec):
        tokenizer = load_processor(spec, "AutoTokenizer")
        fixed = model.config.model_type in FIXED_LENGTH
        width = tokenizer.model_max_length if fixed else 0
        inputs, mask = _pad(prepared, tokenizer.pad_token_id or 0, width)
        if not fixed:
            inputs["attention_mask"] = mask.long()
        inputs = to_device(inputs, model.device, model.dtype)
        if _has_tower(type(model)):
            if self.pooling == "cls":
                return pooled_output(model.get_text_features(**inputs))
            model = model.text_model
        elif model.config.is_encoder_decoder:
            model = model.get_encoder()
        hidden = model(**inputs).last_hidden_state
        if self.pooling == "cls":
            rows, places = np.arange(len(prepared)), _places(prepared, tokenizer, spec)
            return hidden[rows, places].float()
        return pool_tokens(hidden, mask.to(hidden.device), self.pooling)


def _type(item):
    return type(item).__name__


def _has_tower(cls):
    return hasattr(cls, "get_text_features")


def _text_config(config):
    return getattr(config, "text_config", None) or config


def most_tokens(config):
    """How many tokens a model takes; None if it does not say.

    Parameters
    ----------
    config : transformers.PretrainedConfig

    Returns
    -------
    int or None
    """
    config = _text_config(config)
    limit = getattr(config, "max_position_embeddings", None)
    if limit and config.model_type in SHIFTED:
        limit -= config.pad_token_id + 1
    return limit


def _pad(handles, pad_id, width):
    """Tensors of token ids and their like, padded on the right, and which are real."""
    torch = import_optional("torch", "encoders")
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
    """Where the token that sums up a text stands."""
    token = tokenizer.cls_token_id
    if token is None or any(token not in handle["input_ids"] for handle in handles):
        raise ValueError(
            f"pooling='cls': model={spec.name!r} has no token that sums up a text; "
            "choose pooling='mean'."
        )
    return [handle["input_ids"].index(token) for handle in handles]
