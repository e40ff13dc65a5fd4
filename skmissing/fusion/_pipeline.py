"""The whole of UL4M4 as one pipeline."""

from sklearn.pipeline import make_pipeline

from skmissing._compat import StrOptions, validate_params
from skmissing.fusion._mhsa_classifier import MHSAFusionClassifier
from skmissing.fusion._mhsa_regressor import MHSAFusionRegressor
from skmissing.impute import ClusterGuidedImputer

_ESTIMATORS = {
    "classification": MHSAFusionClassifier,
    "regression": MHSAFusionRegressor,
}


@validate_params(
    {"task": [StrOptions(set(_ESTIMATORS))]}, prefer_skip_nested_validation=True
)
def make_ul4m4(
    task,
    *,
    modalities=None,
    n_clusters=40,
    strategy="soft",
    modality_dropout=0.0,
    random_state=None,
    **fusion_params,
):
    """Make the pipeline of UL4M4: gaps filled from cluster centres, then attention.

    Parameters
    ----------
    task : {"classification", "regression"}
        Which fusion estimator ends the pipeline.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality, as everywhere; both steps get it.

    n_clusters : int, default=40
        Number of clusters of the imputer.

    strategy : {"soft", "nearest", "greedy"}, default="soft"
        Strategy of the imputer; "greedy" is the paper to the letter.

    modality_dropout : float, default=0.0
        Probability that the fusion estimator hides modalities of a training row. The
        paper does not, and after an imputer nothing is missing any more.

    random_state : int, RandomState instance or None, default=None
        Seed of both steps.

    **fusion_params : dict
        Other parameters of :class:`skmissing.fusion.MHSAFusionClassifier` or
        :class:`skmissing.fusion.MHSAFusionRegressor`.

    Returns
    -------
    Pipeline
        With the steps `clusterguidedimputer` and `mhsafusionclassifier` or
        `mhsafusionregressor`.

    See Also
    --------
    skmissing.impute.ClusterGuidedImputer : The first step.
    skmissing.fusion.MHSAFusionClassifier : The second; also takes gaps as they are.

    Notes
    -----
    Unless `modalities` is a list of widths, the second step reads the layout from the
    columns' names, so the first one hands on a pandas dataframe, and pandas must be
    installed.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.fusion import make_ul4m4
    >>> rng = np.random.RandomState(0)
    >>> y = np.repeat([0, 1], 50)
    >>> X = rng.normal(size=(100, 5)) + 3 * y[:, None]
    >>> X[::3, :2] = np.nan
    >>> model = make_ul4m4(
    ...     "classification", modalities=[2, 3], n_clusters=4, random_state=0
    ... )
    >>> model.fit(X, y).score(X, y) > 0.95
    True
    """
    imputer = ClusterGuidedImputer(
        n_clusters, modalities=modalities, strategy=strategy, random_state=random_state
    )
    if modalities is None or isinstance(modalities, dict):
        imputer.set_output(transform="pandas")
    fusion = _ESTIMATORS[task](
        modalities=modalities,
        modality_dropout=modality_dropout,
        random_state=random_state,
        **fusion_params,
    )
    return make_pipeline(imputer, fusion)
