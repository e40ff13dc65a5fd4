"""From hidden states to embeddings."""

from skmissing._compat import import_optional


def pool_tokens(hidden, mask, pooling):
    """Reduce the tokens of each item, padding left out.

    Parameters
    ----------
    hidden : Tensor of shape (n_items, n_tokens, dim)
    mask : Tensor of shape (n_items, n_tokens), dtype bool
        False where there is padding.
    pooling : {"mean", "max"} or None
        None keeps the tokens.

    Returns
    -------
    Tensor of shape (n_items, dim), or list of Tensor of shape (n_tokens_i, dim)
    """
    hidden = hidden.float()
    if pooling is None:
        return [tokens[kept] for tokens, kept in zip(hidden, mask)]
    mask = mask.unsqueeze(-1)
    if pooling == "max":
        return hidden.masked_fill(~mask, float("-inf")).amax(dim=1)
    # Not a product with the mask: what stands in padding may be anything.
    return hidden.masked_fill(~mask, 0.0).sum(dim=1) / mask.sum(dim=1)


def normalize_length(values):
    """Scale to Euclidean length 1 along the last axis; zeros stay zeros."""
    torch = import_optional("torch", "encoders")
    return torch.nn.functional.normalize(values, dim=-1)


def pooled_output(output):
    """What `get_text_features` and its like found, in old and new transformers.

    Parameters
    ----------
    output : Tensor or transformers.utils.ModelOutput

    Returns
    -------
    Tensor
    """
    return getattr(output, "pooler_output", output).float()


def to_device(inputs, device, dtype):
    """Move inputs to the device of a model; those with fractions get its dtype.

    Parameters
    ----------
    inputs : dict of str to Tensor
    device, dtype
        Of the model.

    Returns
    -------
    dict of str to Tensor
    """
    return {
        name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
        for name, value in inputs.items()
    }
