"""Conversion of MuData and AnnData objects to X, and back."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse

from skmissing._compat import import_optional
from skmissing.compose._tables import from_tables, split_tables


def from_mudata(mdata, *, layers=None, obsm=None, y=None, report=False):
    """Join the modalities of a MuData object into one table X.

    If an observation is not in a modality, its columns of this modality are NaN.

    Parameters
    ----------
    mdata : mudata.MuData
        The modalities. X has the union of their observations.
    layers : str, dict or None, default=None
        Layer of each modality to read instead of its `X`. A string is the layer of all
        modalities.
    obsm : str, dict or None, default=None
        Embedding of each modality to read instead of its `X`, such as "X_pca".
    y : str or None, default=None
        Column of `mdata.obs` with the target. Samples without a target are left out.
    report : bool, default=False
        Whether to also return a :class:`TableReport`.

    Returns
    -------
    X : pandas data frame
        Columns are named `modality__feature`. The index is `obs_names`.
    y : pandas Series
        The target, if `y` is given.
    report : TableReport
        Summary of the join, if `report` is true.

    Raises
    ------
    ValueError
        If a modality has no such layer or embedding, or observations are not unique.

    See Also
    --------
    from_tables : Joins data frames.
    to_mudata : Splits X into the modalities of a MuData object.

    Examples
    --------
    >>> import mudata  # doctest: +SKIP
    >>> from skmissing.compose import from_mudata
    >>> mdata = mudata.read("cells.h5mu")  # doctest: +SKIP
    >>> X, y = from_mudata(mdata, obsm={"rna": "X_pca"}, y="kind")  # doctest: +SKIP
    """
    if not isinstance(getattr(mdata, "mod", None), Mapping):
        raise TypeError(f"mdata must be a MuData object; got {type(mdata).__name__}.")
    for name, asked in {"layers": layers, "obsm": obsm}.items():
        if asked is not None and not isinstance(asked, (str, Mapping)):
            raise TypeError(f"{name} must be a str, a dict or None; got {asked!r}.")
        unknown = set(asked) - set(mdata.mod) if isinstance(asked, Mapping) else ()
        if unknown:
            raise ValueError(
                f"{name} must name modalities of mdata ({', '.join(mdata.mod)}); got "
                f"{', '.join(sorted(unknown))}."
            )
    tables = {
        name: read_anndata(adata, chosen(layers, name), chosen(obsm, name), name)
        for name, adata in mdata.mod.items()
    }
    y = read_target(mdata, y, "mdata")
    return from_tables(tables, y=y, report=report)


def from_anndata(adata, *, modalities, y=None, report=False):
    """Join embeddings or layers of one AnnData object into one table X.

    Parameters
    ----------
    adata : anndata.AnnData
        Observations. If a row of an embedding is empty, the modality is missing.
    modalities : dict of str to str or None
        Maps the name of each modality to a key of `obsm` or `layers`, or to None for
        `adata.X`.
    y : str or None, default=None
        Column of `adata.obs` with the target. Samples without a target are left out.
    report : bool, default=False
        Whether to also return a :class:`TableReport`.

    Returns
    -------
    X : pandas data frame
        Columns are named `modality__feature`. The index is `obs_names`.
    y : pandas Series
        The target, if `y` is given.
    report : TableReport
        Summary of the join, if `report` is true.

    Raises
    ------
    ValueError
        If there is no such embedding or layer, or observations are not unique.

    See Also
    --------
    from_mudata : The same for several modalities.

    Examples
    --------
    >>> import anndata  # doctest: +SKIP
    >>> from skmissing.compose import from_anndata
    >>> adata = anndata.read_h5ad("cells.h5ad")  # doctest: +SKIP
    >>> X = from_anndata(
    ...     adata, modalities={"rna": "X_pca", "protein": "protein"}
    ... )  # doctest: +SKIP
    """
    if not hasattr(adata, "obsm") or hasattr(adata, "mod"):
        raise TypeError(f"adata must be an AnnData object; got {type(adata).__name__}.")
    if not isinstance(modalities, Mapping):
        raise TypeError(
            "modalities must be a dict from names of modalities to keys of obsm or "
            f"layers; got {modalities!r}."
        )
    tables = {}
    for name, key in modalities.items():
        if key is not None and key not in adata.obsm and key not in adata.layers:
            raise ValueError(
                f"modalities[{name!r}] must be a key of obsm ({', '.join(adata.obsm)}) "
                f"or layers ({', '.join(adata.layers)}); got {key!r}."
            )
        layer = key if key is not None and key not in adata.obsm else None
        embedding = key if key in adata.obsm else None
        tables[name] = read_anndata(adata, layer, embedding, name)
    y = read_target(adata, y, "adata")
    return from_tables(tables, y=y, report=report)


def to_mudata(X, *, obs=None):
    """Split X into the modalities of a MuData object.

    Parameters
    ----------
    X : pandas data frame of shape (n_samples, n_features)
        Samples, for example imputed values or embeddings. Columns are named
        `modality__feature`.
    obs : pandas data frame or None, default=None
        Annotations of the samples, with the index of X.

    Returns
    -------
    mudata.MuData
        Object in which each modality has the samples in which it is observed.

    Raises
    ------
    ImportError
        If mudata is not installed.

    See Also
    --------
    from_mudata : Joins the modalities of a MuData object into one table X.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmissing.compose import to_mudata
    >>> X = pd.DataFrame({"rna__0": [1.0, 2.0], "protein__0": [None, 3.0]})
    >>> to_mudata(X)["protein"].n_obs  # doctest: +SKIP
    1
    """
    anndata = import_optional("anndata", "mudata")
    mudata = import_optional("mudata", "mudata")
    parts = {}
    for name, table in split_tables(X, drop_missing=True).items():
        table.index = table.index.map(str)
        parts[name] = anndata.AnnData(table.astype(float))
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData(parts)
        if obs is not None:
            obs = obs.set_axis(obs.index.map(str)).reindex(mdata.obs_names)
            for column in obs:
                mdata.obs[column] = obs[column]
    return mdata


def read_target(data, y, where):
    """Return a column of the annotations, or None."""
    if y is None:
        return None
    if y not in list(data.obs):
        raise ValueError(
            f"y must be a column of {where}.obs ({', '.join(map(str, data.obs))}); "
            f"got {y!r}."
        )
    return data.obs[y]


def chosen(asked, name):
    """The choice for a modality, from a dict or one choice for all."""
    return asked.get(name) if isinstance(asked, Mapping) else asked


def read_anndata(adata, layer, embedding, name):
    """Read an AnnData object as a pandas data frame."""
    if layer is not None and embedding is not None:
        raise ValueError(
            f"{name!r} must have a layer or an embedding; got {layer!r} and "
            f"{embedding!r}."
        )
    columns = list(map(str, adata.var_names))
    if embedding is not None:
        if embedding not in adata.obsm:
            raise ValueError(
                f"obsm of {name!r} must be one of {list(adata.obsm)}; got "
                f"{embedding!r}."
            )
        values = adata.obsm[embedding]
        columns = list(map(str, getattr(values, "columns", range(values.shape[1]))))
    elif layer is not None:
        if layer not in adata.layers:
            raise ValueError(
                f"layer of {name!r} must be one of {list(adata.layers)}; got {layer!r}."
            )
        values = adata.layers[layer]
    else:
        values = adata.X
        if values is None:
            raise ValueError(
                f"{name!r} must have X; got None. Choose a layer or an embedding."
            )
    values = values.toarray() if issparse(values) else np.asarray(values)
    # anndata requires pandas: `obs` is a pandas data frame.
    return type(adata.obs)(values, index=adata.obs_names.rename(None), columns=columns)
