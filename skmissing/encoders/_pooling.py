"""Pools the outputs of a model to embeddings."""

import torch


def pool_tokens(hidden, mask, pooling):
    """Reduce the tokens of each item to one embedding. None keeps the tokens."""
    # hidden (n_items, n_tokens, dim); mask (n_items, n_tokens), False at padding
    hidden = hidden.float()
    if pooling is None:
        return [tokens[kept] for tokens, kept in zip(hidden, mask)]
    if pooling == "last":  # of the real tokens, with padding on either side
        places = torch.arange(hidden.shape[1], device=hidden.device)
        return hidden[range(len(hidden)), (places * mask).argmax(dim=1)]
    n_tokens = mask.sum(dim=1, keepdim=True)
    mask = mask.unsqueeze(-1)
    if pooling == "max":
        return hidden.masked_fill(~mask, float("-inf")).amax(dim=1)
    # Not by a product with the mask, because values at padding may be infinite.
    hidden = hidden.masked_fill(~mask, 0.0)
    if pooling == "weightedmean":  # with weights 1, 2, 3, ...
        weight = torch.arange(1, hidden.shape[1] + 1, device=hidden.device).float()
        total = n_tokens * (n_tokens + 1) / 2
        return torch.einsum("ijk,j->ik", hidden, weight) / total
    if pooling == "mean_sqrt_len":
        return hidden.sum(dim=1) / n_tokens.sqrt()
    return hidden.sum(dim=1) / n_tokens


def pooled_output(output):
    """Embedding returned by `get_text_features` in old and new transformers."""
    return getattr(output, "pooler_output", output).float()


def to_device(inputs, model):
    """Move inputs to the device of a model, and floating point inputs to its dtype."""
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }
