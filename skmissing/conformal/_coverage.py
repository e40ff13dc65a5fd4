"""Coverage of sets and intervals per pattern of observed modalities."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import HasMethods, import_optional, validate_params
from skmissing.conformal._base import check_known, read_target
from skmissing.inspection._scores import name_pattern, sort_patterns
from skmissing.inspection._scoring import InspectionResult, as_table


@validate_params(
    {
        "estimator": [HasMethods(["predict_set"]), HasMethods(["predict_interval"])],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=False,
)
def coverage_by_pattern(estimator, X, y, *, modalities=None, as_frame=False):
    """Compute the coverage of sets or intervals per pattern of observed modalities.

    Parameters
    ----------
    estimator : PatternConformalClassifier or PatternConformalRegressor
        Fitted estimator.
    X : array-like or data frame of shape (n_samples, n_features)
        Samples that were not used in `fit`.
    y : array-like of shape (n_samples,)
        True classes or values. Classes that were not in `fit` count as not covered.
    modalities : None, list of int or dict, default=None
        Groups of columns of X that form the patterns. None uses those of the estimator.
    as_frame : bool, default=False
        Whether to return a pandas data frame indexed by pattern.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        One entry per pattern, the largest first, in each of the following:

        pattern : list of str
            Names of the modalities, joined by " + ".
        n_modalities, n_samples : ndarray of int
            Number of modalities, and of samples with exactly these.
        coverage : ndarray of float
            Share of the samples whose set or interval contains y.
        mean_size or mean_width : ndarray of float
            Mean number of classes per set, or mean width of the intervals.
        n_calibration_samples : ndarray of int
            Number of calibration samples used for the pattern, 0 if there are too few.

        A Bunch also contains `presence`, boolean of shape (n_patterns, n_modalities),
        and the names `modalities`.

    See Also
    --------
    skmissing.inspection.score_by_pattern : Scores of any estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import PatternConformalRegressor, coverage_by_pattern
    >>> from skmissing.ensemble import LateFusionRegressor
    >>> rng = np.random.RandomState(0)
    >>> y = rng.standard_normal(900)
    >>> X = y[:, None] + rng.standard_normal((900, 2)) * [0.5, 1]
    >>> X[::3, 0] = X[1::3, 1] = np.nan
    >>> model = PatternConformalRegressor(LateFusionRegressor("linear"))
    >>> result = coverage_by_pattern(model.fit(X[:600], y[:600]), X[600:], y[600:])
    >>> for row in zip(result.pattern, result.coverage, result.mean_width):
    ...     print("{:<8} {:.2f} {:.2f}".format(*row))
    x0 + x1  0.89 1.21
    x0       0.88 1.59
    x1       0.91 2.30
    """
    check_is_fitted(estimator)
    table = as_table(X, modalities, estimator)
    y = read_target(y, len(table), numeric=not is_classifier(estimator))
    if is_classifier(estimator):
        check_known(y, estimator.classes_)
        sets = estimator.predict_set(X)
        covered = (sets & (y[:, None] == estimator.classes_)).any(axis=1)
        size, name = sets.sum(axis=1), "mean_size"
    else:
        low, high = estimator.predict_interval(X).T
        covered, size, name = (low <= y) & (y <= high), high - low, "mean_width"
    used = _count_used(estimator, X)
    patterns, inverse = sort_patterns(*table.patterns)
    rows = [np.flatnonzero(inverse == p) for p in range(len(patterns))]
    result = InspectionResult(
        pattern=[name_pattern(pattern, table.layout.names) for pattern in patterns],
        n_modalities=patterns.sum(axis=1),
        n_samples=np.array([len(r) for r in rows]),
        coverage=np.array([covered[r].mean() for r in rows]),
        **{name: np.array([size[r].mean() for r in rows])},
        n_calibration_samples=np.array([used[r].min() for r in rows]),
        presence=patterns,
        modalities=table.layout.names,
    )
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    columns = {k: v for k, v in result.items() if k not in ("presence", "modalities")}
    return pandas.DataFrame(columns).set_index("pattern")


def _count_used(estimator, X):
    """Number of calibration samples behind the prediction of each sample."""
    presence = as_table(X, estimator.modalities_).presence & estimator._seen
    patterns, inverse = find_patterns(presence)
    counts = np.append(estimator.n_calibration_samples_, 0)
    return counts[[estimator._choose(pattern) for pattern in patterns]][inverse]
