"""Slow, obvious versions of what skmissing.fusion computes: the oracle of its tests."""

import numpy as np


def weights_by_modality(module):
    """Projection of each modality as (weight of shape (p, d), bias of shape (p,))."""
    found = {}
    for linear, members in zip(module.embed.maps, module.embed.members):
        for g, m in enumerate(members):
            weight, bias = linear.weight[g], linear.bias[g, 0]
            found[m] = (weight.detach().numpy(), bias.detach().numpy())
    return [found[m] for m in range(len(found))]


def layer_norm(x, weight, bias):
    """Layer normalisation of one vector."""
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias


def self_attention(tokens, keys, state, prefix, n_heads):
    """Multi-head self-attention of one row by loops over queries and heads.

    Parameters
    ----------
    tokens : list of ndarray of shape (p,)
    keys : list of bool
        Tokens that may be attended to.
    state : dict of str to ndarray
    prefix : str
        Where the layer's weights are in `state`.
    n_heads : int
    """
    p = len(tokens[0])
    size = p // n_heads
    qkv = [
        state[prefix + "qkv.weight"] @ t + state[prefix + "qkv.bias"] for t in tokens
    ]
    mixed = []
    for query in qkv:
        heads = []
        for h in range(n_heads):
            part = slice(h * size, (h + 1) * size)
            usable = [i for i, key in enumerate(keys) if key]
            q = query[:p][part]
            scores = np.array([q @ qkv[i][p : 2 * p][part] for i in usable])
            share = np.exp(scores / np.sqrt(size))
            share /= share.sum()
            values = [qkv[i][2 * p :][part] for i in usable]
            heads.append(sum(a * v for a, v in zip(share, values)))
        mixed.append(np.concatenate(heads))
    weight, bias = state[prefix + "out.weight"], state[prefix + "out.bias"]
    return [weight @ m + bias for m in mixed]


def mhsa_fusion(module, shapes, x, present, n_heads, n_layers):
    """Logits of `MHSAFusion(missing="mask")` in eval mode, row by row.

    Parameters
    ----------
    module : MHSAFusion
        In double precision.
    shapes : list of (int, int)
    x : ndarray of shape (n_rows, n_columns)
    present : ndarray of shape (n_rows, n_tokens), dtype bool
        At least one in each row.
    n_heads, n_layers : int

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
    """
    state = {name: w.detach().numpy() for name, w in module.state_dict().items()}
    projections = weights_by_modality(module)
    logits = []
    for row, keys in zip(x, present):
        tokens, owner, start, placed = [], [], 0, 0
        for m, (n_tokens, width) in enumerate(shapes):
            weight, bias = projections[m]
            for _ in range(n_tokens):
                token = weight @ row[start : start + width] + bias
                if n_tokens > 1:
                    token = token + state["embed.position"][placed]
                    placed += 1
                tokens.append(token)
                owner.append(m)
                start += width
        tokens = [t if key else np.zeros_like(t) for t, key in zip(tokens, keys)]
        for i in range(n_layers):
            prefix = f"layers.{i}."
            mixed = self_attention(tokens, keys, state, prefix + "attention.", n_heads)
            norm = state[prefix + "norm.weight"], state[prefix + "norm.bias"]
            tokens = [layer_norm(t + a, *norm) for t, a in zip(tokens, mixed)]
        means = []
        for m in range(len(shapes)):
            own = [t for t, o, key in zip(tokens, owner, keys) if o == m and key]
            if own:
                means.append(sum(own) / len(own))
        h = sum(means) / len(means)
        h = np.maximum(state["project.weight"] @ h + state["project.bias"], 0)
        heads = sorted({int(n.split(".")[1]) for n in state if n.startswith("head.")})
        for i in heads:
            h = state[f"head.{i}.weight"] @ h + state[f"head.{i}.bias"]
            if i != heads[-1]:
                h = np.maximum(h, 0)
        logits.append(h)
    return np.array(logits)
