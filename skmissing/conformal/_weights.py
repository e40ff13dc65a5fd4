"""Inverse-probability weights, for scores if missingness is selective."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from skmissing._compat import HasMethods, Interval, validate_params
from skmissing._docs import shared_docs
from skmissing._table import fill_masked, name_list, read_table
from skmissing.conformal._base import check_proba
from skmissing.inspection._scores import check_names


@shared_docs
@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
        "clip": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=False,
)
def missingness_weights(
    X,
    *,
    modalities=None,
    observed=None,
    covariates=None,
    estimator=None,
    cv=5,
    clip=0.02,
):
    """Compute weights that correct scores for selective missingness.

    If a modality is measured in some kinds of samples more often than in others, the
    samples that have it are not like all samples. A sample with the modality is
    weighted by the inverse of its probability to have it, so that the weighted samples
    resemble all samples. Pass the weights as `sample_weight` to
    :func:`~skmissing.inspection.modality_importance` and other functions.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        Samples. NaN and masked cells are missing.
    %(modalities)s
    observed : list of str, str or None, default=None
        Names of modalities. Samples that have all of them are weighted, and the weight
        of the others is 0. None is all modalities.
    covariates : array-like or data frame of shape (n_samples, n_covariates), \
            default=None
        Numbers on which missingness depends, such as age, or indicators of the
        site or class (`pandas.get_dummies`). They must be known for every sample,
        unless `estimator` accepts NaN. None takes the columns that are observed in
        every sample.
    estimator : classifier or None, default=None
        Model of whether the modalities are observed, with `predict_proba`. None is
        logistic regression on standardised covariates.
    cv : int, splitter or iterable, default=5
        Folds. The probability of a sample is predicted by a model of other samples. For
        groups, pass `list(GroupKFold().split(X, groups=groups))`.
    clip : float, default=0.02
        Lower probabilities are raised to this number, with a warning.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
        Weights. They are multiplied by the share of samples with the modalities
        (stabilised weights), so the mean weight of these samples is about 1.

    Raises
    ------
    ValueError
        If no sample has all the modalities, if fewer samples than folds have them or do
        not have them, if `cv` does not hold out each sample once, or if there are no
        covariates.

    See Also
    --------
    skmissing.inspection.modality_importance : Takes the weights.
    skmissing.inspection.score_by_pattern : Takes the weights.

    Notes
    -----
    Let R be 1 if a sample has the modalities, and Z its covariates. The weight of a
    sample with R = 1 is

    .. math::
        w = \\frac{P(R = 1)}{P(R = 1 \\mid Z)} .

    The weighted mean of a loss over the samples with R = 1 estimates its mean over all
    samples under two assumptions. Given Z, missingness must not depend on the missing
    values or on the target (missing at random given Z). If it depends on the target,
    the target must be a covariate. In addition, every sample must have some probability
    to have the modalities. Where this probability is clipped, a bias remains.

    Weights that differ much increase the variance. The effective number of samples is
    about :math:`(\\sum w)^2 / \\sum w^2`. The use for the value of modalities is
    due to [1]_.

    References
    ----------
    .. [1] Y. S. Choi, V. Jeanselme, P. Elias and S. Joshi, "ICYM2I: The illusion of
       multimodal informativeness under missingness", arXiv:2505.16953, 2025.

    Examples
    --------
    An assay is measured more often in old persons, who differ from young ones:

    >>> import numpy as np
    >>> from skmissing.conformal import missingness_weights
    >>> rng = np.random.RandomState(0)
    >>> age = rng.standard_normal(10000)
    >>> assay = age + rng.standard_normal(10000)
    >>> measured = rng.uniform(size=10000) < 1 / (1 + np.exp(-age))
    >>> X = np.column_stack([age, np.where(measured, assay, np.nan)])
    >>> weights = missingness_weights(X, modalities={"age": 1, "assay": 1})
    >>> print(f"{assay.mean():.2f} {assay[measured].mean():.2f}")
    -0.01 0.43
    >>> print(f"{np.average(assay[measured], weights=weights[measured]):.2f}")
    0.02
    """
    table = read_table(X, modalities)
    names = table.layout.names
    wanted = list(names) if observed is None else observed
    kept = check_names(wanted, names, "observed")
    has = table.presence[:, kept].all(axis=1)
    if not has.any():
        raise ValueError(
            f"X must have samples with all of {name_list(names[m] for m in kept)}; got "
            "none."
        )
    if has.all() and covariates is None:
        return np.ones(len(table))
    Z = _read_covariates(table, covariates)
    if has.all():
        return np.ones(len(table))
    if estimator is None:
        if np.isnan(Z).any():
            raise ValueError(
                "covariates must have no missing values for estimator=None; got some "
                f"in {np.isnan(Z).any(axis=1).sum()} of {len(Z)} samples."
            )
        estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    proba = _held_out(estimator, Z, has, cv)
    rare = has & (proba < clip)
    if rare.any():
        table.warn(
            f"missingness_weights: {rare.sum()} of {has.sum()} samples with the "
            f"modalities have a probability of less than clip={clip:g} to have them. "
            "Their weights are too small, and a bias remains."
        )
    return np.where(has, has.mean() / np.maximum(proba, clip), 0.0)


def _read_covariates(table, covariates):
    """Covariates (n_samples, n_covariates); by default, what is always observed."""
    if covariates is None:
        Z = table.X[:, ~np.isnan(table.X).any(axis=0)]
        if not Z.shape[1]:
            raise ValueError(
                "covariates must be given if no column is observed in every sample."
            )
        return Z
    if np.ndim(covariates) != 2:
        raise ValueError(
            "covariates must have the shape (n_samples, n_covariates); got "
            f"{np.shape(covariates)}."
        )
    finite = {"ensure_all_finite": "allow-nan", "input_name": "covariates"}
    try:
        Z = check_array(fill_masked(covariates), dtype=np.float64, **finite)
    except (TypeError, ValueError) as error:
        if "covariates" in str(error):
            raise
        raise ValueError(
            f"covariates must be numbers: {str(error).rstrip('.')}. Encode words, for "
            "example with pandas.get_dummies."
        ) from error
    if len(Z) != len(table):
        raise ValueError(
            f"covariates must have as many samples as X ({len(table)}); got {len(Z)}."
        )
    return Z


def _held_out(estimator, Z, has, cv):
    """Held-out probability of each sample to have the modalities, (n_samples,)."""
    cv = 5 if cv is None else cv
    n_fewest = min(has.sum(), (~has).sum())
    if isinstance(cv, Integral) and n_fewest < cv:
        raise ValueError(
            f"cv={cv} must be at most the number of samples with the modalities "
            f"({has.sum()}) and of those without ({(~has).sum()})."
        )
    splits, codes = list(check_cv(cv, has, classifier=True).split(Z, has)), has * 1
    tests = np.concatenate([test for _, test in splits]) if splits else np.empty(0)
    if not np.array_equal(np.sort(tests), np.arange(len(Z))):
        raise ValueError(
            f"cv must hold out each of the {len(Z)} samples once; got {len(splits)} "
            f"folds, which hold out {len(np.unique(tests))} samples."
        )
    proba = np.empty(len(Z))
    for inside, outside in splits:
        if len(np.unique(codes[inside])) < 2:
            raise ValueError(
                "cv must leave samples with the modalities and samples without them to "
                f"fit the estimator on; got a fold with {has[inside].sum()} and "
                f"{(~has[inside]).sum()}."
            )
        model = clone(estimator).fit(Z[inside], codes[inside])
        found = model.predict_proba(Z[outside])
        name = f"The probabilities of {type(estimator).__name__}"
        proba[outside] = check_proba(found, (len(outside), 2), name)[:, 1]
    return proba
