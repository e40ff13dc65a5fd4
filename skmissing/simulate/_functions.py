"""Functions around :class:`skmissing.simulate.ModalityAmputer`."""

import re

from skmissing._table import framed, has_levels, read_table
from skmissing.simulate._amputer import MECHANISMS, ModalityAmputer
from skmissing.simulate._config import read_missing, read_numbers


def ampute(X, missing=None, *, y=None, groups=None, return_mask=False, **params):
    """Hide modalities of the samples of one table; `missing` is the share *lost*.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Missing cells are NaN or masked.
    missing : float, dict, tuple or configuration object, default=None
        Which modalities are lost, as in :class:`ModalityAmputer`.
    y : array-like of shape (n_samples,), default=None
        For `mechanism="label"`.
    groups : array-like of shape (n_samples,), default=None
        For `mechanism="group"` and `"burst"`.
    return_mask : bool, default=False
        Whether to also return the mask of hidden modalities.
    **params : dict
        Other parameters of :class:`ModalityAmputer`: `config`, `modalities`,
        `mechanism`, `driver`, `strength`, `burst_length`, `allow_empty`, `segment`,
        `random_state`.

    Returns
    -------
    Xt : ndarray or data frame of shape (n_samples, n_features)
        A copy of X with NaN where a modality is hidden. A data frame if X is one.
    hidden : ndarray of shape (n_samples, n_modalities), dtype bool
        Only if `return_mask=True`.

    See Also
    --------
    ModalityAmputer : The same as a transformer, for pipelines.

    Notes
    -----
    The mask of each sample is drawn from its own cells, so the masks of training and
    test samples are independent although they share a seed. The means and intercepts of
    a mechanism are learnt from `X`. Use :class:`ModalityAmputer` to learn them from
    training samples and apply them to test samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import ampute
    >>> X = np.arange(20.0).reshape(5, 4)
    >>> Xt, hidden = ampute(
    ...     X, config="complex-0-40-60", modalities=[3, 1], random_state=0,
    ...     return_mask=True)
    >>> hidden.sum(axis=0).tolist()
    [3, 2]
    """
    for name in ("when", "missing_at_transform"):
        if name in params:
            raise TypeError(f"ampute hides modalities once and takes no {name}.")
    amputer = ModalityAmputer(missing, when="fit", **params)
    Xt = amputer.set_output(transform="default").fit_transform(X, y, groups=groups)
    Xt = framed(Xt, X, amputer.get_feature_names_out())
    if hasattr(Xt, "iloc") and not has_levels(X):
        Xt.columns = X.columns  # which may be numbers
    if not return_mask:
        return Xt
    before, after = (read_table(t, amputer.modalities_).presence for t in (X, Xt))
    return Xt, before & ~after


def missing_rates(X, *, modalities=None):
    """Return the fraction of samples in which each modality is *missing*.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Missing cells are NaN or masked.
    modalities : list of int, dict or None, default=None
        As in :class:`ModalityAmputer`.

    Returns
    -------
    dict
        Fraction of each modality, by name.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.simulate import missing_rates
    >>> X = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, 3.0]])
    >>> missing_rates(X, modalities={"text": 2, "audio": 1})
    {'text': 0.5, 'audio': 0.0}
    """
    table = read_table(X, modalities)
    return dict(zip(table.layout.names, (~table.presence).mean(axis=0).tolist()))


def make_amputer(text, **params):
    """Build an amputer from one string: numbers are the share *lost*, strings *kept*.

    Parameters
    ----------
    text : str
        A mechanism, a colon, and a rate, a pair `pm,ps` or a value of `config`.
        Examples are `"mcar:0.5"`, `"burst:0.4"` and `"mcar:0.4,0.8"`. The mechanism
        `"mcar"` may be left out, as in `"complex-10-45-45"`. `"segment:0.3"` hides
        segments within all modalities instead, and `"mcar:0.5+segment:0.3"` hides both.
    **params : dict
        Other parameters of :class:`ModalityAmputer`.

    Returns
    -------
    ModalityAmputer
        Amputer that is not fitted.

    Examples
    --------
    >>> from skmissing.simulate import make_amputer
    >>> make_amputer("mar:0.3", random_state=0)
    ModalityAmputer(mechanism='mar', missing=0.3, random_state=0)
    >>> make_amputer("complex-10-45-45")
    ModalityAmputer(config='complex-10-45-45')
    >>> make_amputer("mcar:0.5+segment:0.3")
    ModalityAmputer(missing=0.5, segment=0.3)
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string such as 'mcar:0.5'; got {text!r}.")
    both = re.fullmatch(r"(?:(.+)\+)?segment:(.*)", text)
    if both is not None:
        share = read_numbers(both[2])
        if not isinstance(share, float) or share >= 1:
            raise ValueError(
                "segment must be a number, at least 0 and less than 1; got "
                f"{both[2]!r} in {text!r}."
            )
        return make_amputer(both[1] or "0", segment=share, **params)
    mechanism, colon, gaps = text.partition(":")
    if text in MECHANISMS:
        raise ValueError(f"text must have a rate, such as '{text}:0.5'; got {text!r}.")
    if not colon:
        mechanism, gaps = "mcar", text
    if mechanism not in MECHANISMS:
        raise ValueError(
            f"The mechanism must be among {', '.join(MECHANISMS)}, or segment; got "
            f"{mechanism!r} in {text!r}."
        )
    missing = read_numbers(gaps)
    if missing is None:
        return ModalityAmputer(config=gaps, mechanism=mechanism, **params)
    read_missing(missing)  # raises for numbers outside of 0 to 1
    return ModalityAmputer(missing, mechanism=mechanism, **params)
