"""Slow, obvious versions of what skmissing.fusion computes: the oracle of its tests."""

from math import erf

import numpy as np
from scipy.special import softmax


def arrays(module):
    """State of a module as numpy arrays."""
    return {name: w.detach().numpy() for name, w in module.state_dict().items()}


def weights_by_modality(module):
    """Projection of each modality as (weight of shape (p, d), bias of shape (p,))."""
    found = {}
    for linear, members in zip(module.embed.maps, module.embed.members):
        for g, m in enumerate(members):
            weight, bias = linear.weight[g], linear.bias[g, 0]
            found[m] = (weight.detach().numpy(), bias.detach().numpy())
    return [found[m] for m in range(len(found))]


def layer_norm(x, weight, bias):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias


def self_attention(tokens, keys, state, prefix, n_heads):
    """Multi-head self-attention of one row by loops over queries and heads."""
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
            share = softmax(scores / np.sqrt(size))
            values = [qkv[i][2 * p :][part] for i in usable]
            heads.append(sum(a * v for a, v in zip(share, values)))
        mixed.append(np.concatenate(heads))
    weight, bias = state[prefix + "out.weight"], state[prefix + "out.bias"]
    return [weight @ m + bias for m in mixed]


def pre_norm_layer(tokens, keys, state, prefix, n_heads):
    """x + SelfAttention(norm(x)), then x + FeedForward(norm(x)), of one row."""

    def normed(x, name):
        return layer_norm(
            x, state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"]
        )

    query = [normed(t, "attention_norm") for t in tokens]
    mixed = self_attention(query, keys, state, prefix + "attention.", n_heads)
    made = []
    for t in (t + a for t, a in zip(tokens, mixed)):
        h = normed(t, "feed_norm")
        h = state[prefix + "widen.weight"] @ h + state[prefix + "widen.bias"]
        h = h * 0.5 * (1 + np.array([erf(v / np.sqrt(2)) for v in h]))
        h = state[prefix + "narrow.weight"] @ h + state[prefix + "narrow.bias"]
        made.append(t + h)
    return made


def prediction(state, h):
    """Logits from a fused vector: a linear map, ReLU, and the head."""
    h = np.maximum(state["project.weight"] @ h + state["project.bias"], 0)
    return state["head.weight"] @ h + state["head.bias"]


def mhsa_fusion(module, shapes, x, present, n_heads, n_layers):
    """Logits of `MHSAFusion(missing="mask")` in eval mode, row by row.

    With the adaptation that the module has.

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
    state = arrays(module)
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
        seen = {m for m, key in zip(owner, keys) if key}
        missing = np.array([m not in seen for m in range(len(shapes))], dtype=float)
        if "prompt.weight" in state:
            tokens.append(state["prompt.weight"] @ missing + state["prompt.bias"])
            keys = [*keys, True]
        for i in range(n_layers):
            prefix = f"layers.{i}."
            mixed = self_attention(tokens, keys, state, prefix + "attention.", n_heads)
            norm = state[prefix + "norm.weight"], state[prefix + "norm.bias"]
            tokens = [layer_norm(t + a, *norm) for t, a in zip(tokens, mixed)]
            if "films.0.scale.weight" in state:
                film = [state[f"films.{i}.{n}.weight"] for n in ("scale", "shift")]
                scale, shift = (weight @ missing for weight in film)
                tokens = [(1 + scale) * t + shift for t in tokens]
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


def cross_attention(state, prefix, i, query, keys, n_heads):
    """q + Attention(norm(q), norm(k)) of one query, by map `i` of a stack."""
    maps = {
        name: (state[f"{prefix}{name}.weight"][i], state[f"{prefix}{name}.bias"][i, 0])
        for name in ("query", "key", "value", "out")
        if f"{prefix}{name}.weight" in state
    }

    def through(name, x):
        weight, bias = maps[name]
        return weight @ x + bias

    one, zero = 1.0, 0.0
    keys = [layer_norm(key, one, zero) for key in keys]
    values = [through("value", key) for key in keys]
    if "query" not in maps:  # there is never more than one key
        return query + through("out", values[0])
    q = through("query", layer_norm(query, one, zero))
    k = [through("key", key) for key in keys]
    size, mixed = len(q) // n_heads, []
    for h in range(n_heads):
        part = slice(h * size, (h + 1) * size)
        share = softmax(np.array([q[part] @ key[part] for key in k]) / np.sqrt(size))
        mixed.append(sum(a * v[part] for a, v in zip(share, values)))
    return query + through("out", np.concatenate(mixed))


def cut(tokens, seen, n_tokens):
    stops = np.cumsum(n_tokens)
    return [
        [t for t, there in zip(tokens[stop - n : stop], seen[stop - n : stop]) if there]
        for n, stop in zip(n_tokens, stops)
    ]


def cross_attention_projection(projector, n_tokens, tokens, seen, n_heads):
    """One row of `ModalityProjector(kind="cross_attention")`, in eval mode."""
    state = arrays(projector.estimator)
    learned, present = state["aggregated"], cut(tokens, seen, n_tokens)
    n_aggregated, filled = learned.shape[1], np.where(seen[:, None], tokens, 0.0)
    there = [k for k in range(len(n_tokens)) if present[k]]
    summed = {
        k: [
            cross_attention(state, "aggregate.", k, a, present[k], n_heads)
            for a in learned[k]
        ]
        for k in there
    }
    for m, n in enumerate(n_tokens):
        if present[m]:
            continue
        mixed = np.zeros((n, tokens.shape[1]))
        sources = [k for k in range(len(n_tokens)) if k != m]
        for slot, k in enumerate(sources):
            if k not in there:
                continue
            for g, a in enumerate(learned[m]):
                z = cross_attention(state, "project.", m, a, summed[k], n_heads)
                z = cross_attention(state, "refine.", m, z, present[k], n_heads)
                for j in range(n):
                    mixed[j] += state["mix"][m, j, slot * n_aggregated + g] * z
        mixed *= len(sources) / len(there)
        start = sum(n_tokens[:m])
        for j in range(n):
            h = layer_norm(mixed[j], 1.0, 0.0)
            h = state["widen.weight"][m] @ h + state["widen.bias"][m, 0]
            h = h * 0.5 * (1 + np.array([erf(v / np.sqrt(2)) for v in h]))
            h = state["narrow.weight"][m] @ h + state["narrow.bias"][m, 0]
            filled[start + j] = h
    return filled


def linear_projection(projector, n_tokens, tokens, seen):
    state = arrays(projector.estimator)
    present, filled = cut(tokens, seen, n_tokens), np.where(seen[:, None], tokens, 0.0)
    there, p = [k for k in range(len(n_tokens)) if present[k]], tokens.shape[1]
    for m, n in enumerate(n_tokens):
        if present[m]:
            continue
        sources = [k for k in range(len(n_tokens)) if k != m]
        for j in range(n):
            total = np.zeros(p)
            for slot, k in enumerate(sources):
                mixed = np.zeros(p)
                for i, token in enumerate(present[k]):
                    share = state["mix"][m, slot, j, i] if "mix" in state else 1.0
                    mixed += share * token
                total += state["maps.weight"][m][:, slot * p : (slot + 1) * p] @ mixed
            total *= len(sources) / len(there)
            total += state["maps.bias"][m, 0]
            total += state["offset"][m, 0, j] if "offset" in state else 0.0
            filled[sum(n_tokens[:m]) + j] = total
    return filled
