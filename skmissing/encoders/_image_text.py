"""Encodes samples of an image, a text or both by a vision-language model."""

import numpy as np
import torch

from skmissing._compat import StrOptions, import_optional
from skmissing._docs import shared_docs
from skmissing.encoders._base import FrozenEncoder
from skmissing.encoders._image import (
    DIM,
    IMAGES,
    count_dim_images,
    is_image,
    open_image,
)
from skmissing.encoders._items import (
    BrokenItemError,
    describe,
    digest_item,
    is_missing,
    read_columns,
    try_to,
)
from skmissing.encoders._models import load_processor
from skmissing.encoders._pooling import pool_tokens, to_device
from skmissing.encoders._text import most_tokens, valid_text


@shared_docs
class ImageTextEncoder(FrozenEncoder):
    """Encode two columns, images and texts, by a vision-language model.

    The model is a language model that also reads images, such as LLaVA, Qwen-VL or
    SmolVLM. Each sample is a message of its image and its text. A missing image or
    text is left out of the message, so that samples with either or both have
    embeddings in the same space.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    model : str or path, default="HuggingFaceTB/SmolVLM-256M-Instruct"
        Name of a model on the Hugging Face Hub, or a folder written by
        `save_pretrained`, with a processor that has a chat template. A local copy is
        used if there is one. Otherwise the model is downloaded on first use. Code that
        comes with a model is never run.
    pooling : {"last", "mean"}, default="last"
        How to reduce the tokens of a message to one embedding. "last" is the last
        token, after which the model would write its answer. "mean" is the mean of all
        tokens, including those of the image and of the chat template.
    prompt : str or None, default="Summarize the above in one word:"
        Text at the end of each message.
    %(revision, normalize)s
    batch_size : int, default=8
        Maximum number of samples per batch. It is halved, with a warning, if a batch
        does not fit into memory.
    %(device, dtype, cache)s
    empty_is_missing : bool, default=True
        Whether a blank text or empty bytes are missing.
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
    ImageEncoder : Encodes images, also by the image tower of a model such as CLIP.
    TextEncoder : Encodes texts, also by the text tower of a model such as CLIP.

    Notes
    -----
    X has a column of images, as in :class:`ImageEncoder`, followed by a column of
    texts. It is a table, an array of objects, or a list of pairs. The embedding is NaN
    if both are missing. If either cannot be read, the sample cannot be encoded, see
    `on_error`.

    The default `prompt` and `pooling` follow [1]_, which asks a model to describe an
    image or a text in one word, and takes the state of the last token. That paper also
    trains the model, on pairs of texts. Here, nothing is trained.

    References
    ----------
    .. [1] Jiang, T., Song, M., Zhang, Z., Huang, H., Deng, W., Sun, F., Zhang, Q.,
       Wang, D. & Zhuang, F. (2024). E5-V: Universal Embeddings with Multimodal Large
       Language Models. `arXiv:2407.12580 <https://arxiv.org/abs/2407.12580>`_

    Examples
    --------
    >>> from skmissing.encoders import ImageTextEncoder
    >>> encoder = ImageTextEncoder(dtype="bfloat16", cache="embeddings")
    >>> X = [("cat.png", "a small cat"), ("dog.png", None), (None, "a hill")]
    >>> encoder.fit_transform(X)  # doctest: +SKIP
    """

    _parameter_constraints: dict = {
        **FrozenEncoder._parameter_constraints,
        "pooling": [StrOptions({"last", "mean"})],
        "prompt": [str, None],
    }
    _stem = "image_text"
    _n_columns = 2

    def __init__(
        self,
        model="HuggingFaceTB/SmolVLM-256M-Instruct",
        *,
        pooling="last",
        prompt="Summarize the above in one word:",
        revision=None,
        normalize=False,
        batch_size=8,
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
        self.prompt = prompt
        self.revision = revision
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.empty_is_missing = empty_is_missing
        self.on_error = on_error
        self.local_files_only = local_files_only
        self.verbose = verbose

    def _read_items(self, X):
        images, texts = read_columns(X, type(self).__name__, ("images", "texts"))
        missing = self.empty_is_missing
        return [
            tuple(None if is_missing(part, missing) else part for part in pair)
            for pair in zip(images, texts)
        ]

    def _is_present(self, item):
        return any(part is not None for part in item)

    def _check_item(self, item):
        image, text = item
        if image is not None and not is_image(image):
            kind = type(image).__name__
            return f"must have {IMAGES} as image; got {image!r:.50} of type {kind}."
        if text is not None and not isinstance(text, str):
            kind = type(text).__name__
            return f"must have a str as text; got {text!r:.50} of type {kind}."
        return None

    def _check_model(self, config, cls):
        transformers = import_optional("transformers", "encoders")
        if (
            type(config) not in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
            or hasattr(cls, "get_text_features")
            or config.is_encoder_decoder
        ):
            raise ValueError(
                f"model={str(self.model)!r} must be a decoder-only language model that "
                f"reads images; got a model of type {config.model_type!r}. For a model "
                "with two towers, use an ImageEncoder and a TextEncoder."
            )

    def _check_params(self, config):
        pass

    def _guess_dim(self, config, cls):
        return config.get_text_config().hidden_size

    def _example(self):
        return None, "a"

    def _digest(self, item, hasher):
        image, text = item
        hasher.update(f"{image is None} {text!a} ".encode())
        if image is not None:
            digest_item(image, hasher)

    def _measure(self, items, spec):
        def read(image, text):
            return image, None if text is None else valid_text(text)

        # Samples with an image share batches, and so do those without.
        sizes = [1e9 * (image is not None) + len(text or "") for image, text in items]
        return [try_to(read, *item) for item in items], sizes

    def _prepare(self, handle, spec):
        image, text = handle
        if image is None:
            return handle
        try:
            return open_image(image), text
        except BrokenItemError as exc:
            raise BrokenItemError(f"its image is {describe(image)}: {exc}") from exc

    def _count_remarks(self, prepared, spec):
        images = [image for image, _ in prepared if image is not None]
        return {DIM: count_dim_images(images)}

    def _encode(self, prepared, model, spec):
        has_image = np.array([image is not None for image, _ in prepared])
        found = [None] * len(prepared)
        for group in (np.flatnonzero(has_image), np.flatnonzero(~has_image)):
            if len(group):
                pairs = [prepared[i] for i in group]
                for i, embedding in zip(group, self._encode_alike(pairs, model, spec)):
                    found[i] = embedding
        return torch.stack(found)

    def _encode_alike(self, pairs, model, spec):
        """Return embeddings of samples that all have an image, or that have none."""
        processor = load_processor(spec, "AutoProcessor")
        if getattr(processor, "chat_template", None) is None:
            raise ValueError(
                f"model={spec.name!r} must have a processor with a chat template."
            )
        messages = [[{"role": "user", "content": self._content(*p)}] for p in pairs]
        texts = processor.apply_chat_template(messages, add_generation_prompt=True)
        start = processor.tokenizer.bos_token
        images = [[image] for image, _ in pairs if image is not None]
        # Padding is on the right, where no token of a causal model depends on it.
        inputs = processor(
            text=texts,
            images=images or None,
            return_tensors="pt",
            padding=True,
            padding_side="right",
            # Not twice, if they are in the chat template.
            add_special_tokens=start is None or not texts[0].startswith(start),
        )
        n_tokens, limit = inputs["input_ids"].shape[1], most_tokens(model.config)
        if limit and n_tokens > limit:
            raise ValueError(
                f"A message must have at most {limit} tokens, which "
                f"model={spec.name!r} takes; got {n_tokens}. Shorten the texts."
            )
        inputs = to_device(inputs, model)
        hidden = model(**inputs).last_hidden_state
        return pool_tokens(hidden, inputs["attention_mask"].bool(), self.pooling)

    def _content(self, image, text):
        content = [] if image is None else [{"type": "image"}]
        texts = [part for part in (text, self.prompt) if part]
        return content + [{"type": "text", "text": part} for part in texts]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags
