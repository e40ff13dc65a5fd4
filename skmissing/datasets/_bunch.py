"""Joins modalities into the objects that scikit-learn's loaders return."""

import numpy as np
from sklearn.utils import Bunch

from skmissing._compat import import_optional


def build_bunch(
    blocks,
    target,
    *,
    features=None,
    target_names=None,
    descr,
    return_X_y=False,
    as_frame=False,
    **extra,
):
    """Join modalities, (n_samples, width) or (n_samples, n_tokens, dim), by name."""
    odd = [name for name in blocks if f"{name}__".partition("__")[0] != name]
    if as_frame and odd:
        raise ValueError(
            "With as_frame=True columns are named modality__feature, and names of "
            f"modalities must not contain '__' or end in '_'; got {odd[0]!r}."
        )
    n_samples = len(target)
    data = np.concatenate([b.reshape(n_samples, -1) for b in blocks.values()], axis=1)
    names, modalities = [], {}
    for name, block in blocks.items():
        own = (features or {}).get(name)
        if own is None:  # column numbers, `3`, or token and column, `t0_3`
            own = range(block.shape[1])
            if block.ndim == 3:
                own = [f"t{t}_{d}" for t in own for d in range(block.shape[2])]
        names += [f"{name}__{feature}" for feature in own]
        modalities[name] = block.shape[1] if block.ndim == 2 else block.shape[1:]
    frame = None
    if as_frame:
        pandas = import_optional("pandas", "datasets")
        data = pandas.DataFrame(data, columns=names)
        if target.ndim == 1:
            target = pandas.Series(target, name="target")
        else:
            columns = target_names or [f"target_{i}" for i in range(target.shape[1])]
            target = pandas.DataFrame(target, columns=list(columns))
        frame = pandas.concat([data, target], axis=1)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=names,
        target_names=target_names,
        modalities=modalities,
        DESCR=descr,
        **extra,
    )
