"""Functions around :class:`skmissing.simulate.ModalityAmputer`."""

import numpy as np
from sklearn.utils import check_array

from skmissing._base import fill_masked
from skmissing._blocks import find_presence
from skmissing._compat import _get_feature_names
from skmissing._modalities import resolve_modalities
from skmissing.simulate._amputer import ModalityAmputer

_MECHANISMS = ("mcar", "mar", "mnar", "label", "group", "burst")


def ampute(X, missing=0.5, *, y=None, groups=None, return_mask=False, **params):
    """Hide whole modalities of the rows of one table.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Missing cells are NaN or masked.
    missing : float, dict, str, tuple or configuration object, default=0.5
        How much is hidden, as in :class:`ModalityAmputer`.
    y : array-like of shape (n_samples,), default=None
        For `mechanism="label"`.
    groups : array-like of shape (n_samples,), default=None
        For `mechanism="group"` and `"burst"`.
    return_mask : bool, default=False
        Whether to return what was hidden, too.
    **params : dict
        Other parameters of :class:`ModalityAmputer`: `modalities`, `mechanism`,
        `driver`, `strength`, `burst_length`, `allow_empty`, `random_state`.

    Returns
    -------
    Xt : ndarray or dataframe of shape (n_samples, n_features)
        A copy of X with NaN where a modality is hidden; a dataframe, if X is one.
    hidden : ndarray of shape (n_samples, n_modalities), dtype bool
        Only if `return_mask=True`.

    See Also
    --------
    ModalityAmputer : The same as a transformer, for pipelines.

    Notes
    -----
    Masks are drawn row by row from the row's own cells, so that training and test
    rows draw independently although they share a seed. What a mechanism learns (means,
    intercepts) it learns from `X`: use :class:`ModalityAmputer` to learn it from
    training rows and apply it to others.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import ampute
    >>> X = np.arange(20.0).reshape(5, 4)
    >>> Xt, hidden = ampute(
    ...     X, "complex-0-40-60", modalities=[3, 1], random_state=0, return_mask=True)
    >>> hidden.sum(axis=0).tolist()
    [3, 2]
    """
    for name in ("when", "missing_at_transform"):
        if name in params:
            raise TypeError(
                f"ampute takes no {name}: it hides modalities of one table, once."
            )
    amputer = ModalityAmputer(missing, when="fit", **params)
    library = type(X).__module__.partition(".")[0]
    if library in ("pandas", "polars"):
        amputer.set_output(transform=library)
    else:
        amputer.set_output(transform="default")
    Xt = amputer.fit_transform(X, y, groups=groups)
    if not return_mask:
        return Xt
    before = _presence(X, amputer.modalities_)
    return Xt, before & ~_presence(Xt, amputer.modalities_)


def missing_rates(X, *, modalities=None):
    """Fraction of rows that lack each modality.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Missing cells are NaN or masked.
    modalities : list of int, dict or None, default=None
        As in :class:`ModalityAmputer`.

    Returns
    -------
    dict
        From name to fraction.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import missing_rates
    >>> X = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, 3.0]])
    >>> missing_rates(X, modalities={"text": 2, "audio": 1})
    {'text': 0.5, 'audio': 0.0}
    """
    names = _get_feature_names(X)
    n_features = np.shape(X)[1] if len(np.shape(X)) == 2 else 1
    layout = resolve_modalities(modalities, n_features, names)
    rates = (~_presence(X, layout)).mean(axis=0)
    return dict(zip(layout.names, rates.tolist()))


def make_amputer(text, **params):
    """Build an amputer from one string, as a command line has it.

    Parameters
    ----------
    text : str
        A mechanism, a colon and a value of `missing`: `"mcar:0.5"`, `"mar:0.3"`,
        `"burst:0.4"`, `"mcar:0.4,0.8"`. Without a mechanism, it is `"mcar"`:
        `"complex-10-45-45"`.
    **params : dict
        Other parameters of :class:`ModalityAmputer`.

    Returns
    -------
    ModalityAmputer
        Not fitted.

    Examples
    --------
    >>> from skmissing.simulate import make_amputer
    >>> make_amputer("mar:0.3", random_state=0)
    ModalityAmputer(mechanism='mar', missing='0.3', random_state=0)
    """
    mechanism, colon, missing = text.partition(":")
    if not colon:
        mechanism, missing = "mcar", text
    if mechanism not in _MECHANISMS:
        raise ValueError(
            f"{text!r}: unknown mechanism {mechanism!r}; wanted one of "
            f"{', '.join(_MECHANISMS)}."
        )
    return ModalityAmputer(missing, mechanism=mechanism, **params)


def _presence(X, layout):
    checked = check_array(
        fill_masked(X), dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
    )
    return find_presence(checked, layout)[0]
