"""Imputation by a weighted sum of several imputers."""

import warnings
from numbers import Integral

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skmissing._base import _fit_context
from skmissing._blocks import fit_scaler
from skmissing._compat import Interval
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing._table import ModalityWarning, name_list
from skmissing.impute._base import BaseModalityImputer, ImputationStdMixin
from skmissing.impute._cluster_guided import ClusterGuidedImputer
from skmissing.impute._factor import FactorImputer
from skmissing.impute._regression import RegressionImputer
from skmissing.impute._retrieval import RetrievalImputer

MEMBERS = ("factor", "soft", "retrieval", "regression")
# Maximum number of clusters of "soft", and minimum number of samples per cluster.
SOFT_CLUSTERS, SAMPLES_PER_CLUSTER = 100, 3
# With more modalities, "regression" is not a default member. It fits one model per
# pattern and modality, and almost every sample would have its own pattern.
MOST_REGRESSED = 10
# Maximum number of modalities to hide per fold, unless this uses too few samples.
MOST_BLOCKS, FEWEST_ROWS = 3000, 20
# Minimum number of samples in which a modality is hidden to learn weights.
FEWEST_BLOCKS = 5
# Penalty on the squared weights, in units of the trace of the normal equations.
RIDGE = 1e-6


@shared_docs
class StackedImputer(ImputationStdMixin, MetaEstimatorMixin, BaseModalityImputer):
    """Impute missing modalities by a weighted sum of several imputers.

    The best imputer depends on the data. The weights for each modality are therefore
    learnt on training samples in which it is hidden. Observed cells are never changed.

    Read more in the :ref:`User Guide <stacked_imputation>`.

    Parameters
    ----------
    estimators : list or None, default=None
        The members: names, or pairs `(name, imputer)` with an imputer that accepts NaN.
        The names "factor", "retrieval" and "regression" are the imputers with default
        parameters. "soft" is `ClusterGuidedImputer(100)`, or one cluster per 3 samples
        if there are fewer than 300. None is all four, without "regression" if there are
        more than 10 modalities. Imputers of skmissing get the modalities of this
        imputer.
    %(modalities)s
    cv : int or splitter, default=3
        Folds of samples. Each fold is imputed by members that were fitted to the other
        folds. An int is the maximum number of folds. The folds are then random, or
        consist of whole `groups` if these are passed to `fit`.
    %(add_indicator, keep_empty_features)s
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of members given by name.
    n_jobs : int or None, default=None
        Number of folds or members to fit in parallel, as in joblib.

    Attributes
    ----------
    estimators_ : list of imputers
        The members, fitted to all samples.
    named_estimators_ : Bunch
        The members by name.
    weights_ : ndarray of shape (n_modalities, n_members)
        Non-negative weights of the members. If the weights of a modality sum to less
        than 1, its imputations are shrunk towards the training mean.
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If no cell is observed, `estimators` has unknown or repeated names, a member
        does not fit a fold, or `modalities` does not fit the columns of X.

    See Also
    --------
    masked_imputation_score : Compares imputers, also in a search.

    Notes
    -----
    This is stacked regression [1]_. In each fold, the modalities of samples with two or
    more modalities are hidden in turn. The number of samples is at most 3000 divided by
    the number of modalities, or 20 if this is more. Let :math:`d_e` be the standardised
    deviations of the values imputed by member e from the mean, and t those of the
    hidden values. The weights of a modality are

    .. math:: \\arg\\min_{w \\geq 0} \\|t - \\sum_e w_e d_e\\|^2
        + 10^{-6} \\sum_e \\|d_e\\|^2 \\, \\|w\\|^2.

    NaN returned by a member counts as the mean. A modality that was hidden in fewer
    than 5 samples is imputed with the training mean. Missing cells of partially
    observed modalities have the same weights. Standard errors are learnt from the
    residuals, per modality and number of other modalities of the sample.

    A :class:`FactorImputer` is first fitted to all samples. To save time, it uses the
    numbers of clusters and factors and the shrinkage of this fit in all folds.

    References
    ----------
    .. [1] L. Breiman, "Stacked regressions", Machine Learning 24, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import StackedImputer
    >>> a = np.random.RandomState(0).standard_normal(100)
    >>> X = np.column_stack([a, 2 * a, a > 0])
    >>> X[:20, 0] = X[20:40, 1] = X[40:60, 2] = np.nan
    >>> imputer = StackedImputer(["retrieval", "regression"], random_state=0).fit(X)
    >>> imputer.weights_.round(1)
    array([[0. , 1.1],
           [0. , 1. ],
           [1.1, 0. ]])
    >>> imputer.transform([[1., np.nan, 1.]]).round(1)
    array([[1., 2., 1.]])
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "estimators": [list, tuple, None],
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimators=None,
        *,
        modalities=None,
        cv=3,
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
        n_jobs=None,
    ):
        self.estimators = estimators
        self.modalities = modalities
        self.cv = cv
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.n_jobs = n_jobs

    # fit may call nested validation of the members.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, groups=None):
        """Learn the weights of the members, and fit them.

        Parameters
        ----------
        %(X, y)s
        groups : array-like of shape (n_samples,) or None, default=None
            Groups of samples that belong together, such as those of one person. If
            `cv` is an int, all samples of a group are in the same fold. Otherwise, the
            groups are passed to the splitter.

        Returns
        -------
        %(self)s
        """
        del y
        return self._fit(X, groups=groups)

    _most_columns, _consequence = (256, 256), ", with weights of its own"

    def _fit_imputer(self, table, groups=None):
        if not table.has_any.any():
            raise ValueError(f"X must have observed cells; got {len(table)} samples.")
        rng = check_random_state(self.random_state)
        seed = rng.randint(np.iinfo(np.int32).max)
        members = self._members(table, seed)
        scaler = fit_scaler(table).centered()
        splits = self._folds(table, groups, seed)
        task = self._fit_task.begin(len(members) + len(splits))
        parallel = Parallel(n_jobs=self.n_jobs, return_as=task.return_as)
        fitted = parallel(
            delayed(quietly)(fit_member, m, table) for m in members.values()
        )
        fitted = task.collect(members, fitted)
        self.estimators_ = [member for member, _ in fitted]
        folds = parallel(
            delayed(quietly)(compare, self._settled(fold[0], seed), *fold, scaler)
            for fold in splits
        )
        folds = task.collect([f"fold {n}" for n in range(len(splits))], folds)
        warn_once(table, [m for _, messages in [*folds, *fitted] for m in messages])
        self.named_estimators_ = Bunch(**dict(zip(members, self.estimators_)))
        none = np.zeros((0, len(members) + 1, len(members) + 1)), *np.zeros((3, 0), int)
        blocks = list(map(np.concatenate, zip(none, *(found for found, _ in folds))))
        counts = np.bincount(blocks[1], minlength=len(table.layout))
        self._learnt = counts >= FEWEST_BLOCKS
        self.weights_ = np.zeros((len(counts), len(members)))
        for m in np.flatnonzero(self._learnt):
            self.weights_[m] = stacking_weights(blocks[0][blocks[1] == m].sum(axis=0))
        self._errors = relative_errors(self.weights_, *blocks)
        self._deviation = np.where(self._seen, np.sqrt(scaler.variance), np.nan)
        alone = np.flatnonzero(~self._learnt & table.presence.any(axis=0))
        if len(alone) and len(counts) > 1:
            table.warn(
                f"{count(len(alone), 'modality is', 'modalities are')} observed "
                "together with another one in too few samples to learn weights: "
                f"{name_list(table.layout.names[m] for m in alone)}; each is imputed "
                "with the training mean."
            )
        return scaler.column_mean

    def _members(self, table, seed):
        """Members by name, ready to be fitted to a table."""
        listed = self.estimators
        if listed is None:
            listed = MEMBERS[: 3 if len(table.layout) > MOST_REGRESSED else 4]
        members = dict(read_member(entry, table, seed) for entry in listed)
        if len(members) < max(1, len(listed)):
            raise ValueError(
                f"estimators must be members with distinct names; got {listed!r}."
            )
        for member in members.values():
            if isinstance(member, BaseModalityImputer):
                self._hand_on(member)
                member._seen = table.observed_columns
        return members

    def _settled(self, table, seed):
        """Return members for a fold, with the choices of the fit to all samples."""
        members = self._members(table, seed)
        for member, fitted in zip(members.values(), self.estimators_):
            if isinstance(member, BaseModalityImputer):
                member._settle(fitted)
        return members

    def _folds(self, table, groups, seed):
        """Return pairs of tables: one to fit members, one to hide modalities in."""
        splitter, n_samples = self.cv, len(table)
        if groups is not None:
            check_consistent_length(table.X, groups)
        if isinstance(splitter, Integral) and groups is not None:
            splitter = GroupKFold(max(2, min(splitter, len(np.unique(groups)))))
        elif isinstance(splitter, Integral) and n_samples == 1:
            return []
        elif isinstance(splitter, Integral):
            splitter = KFold(min(splitter, n_samples), shuffle=True, random_state=seed)
        most = max(MOST_BLOCKS // len(table.layout), FEWEST_ROWS)
        folds = []
        for train, test in check_cv(splitter).split(table.X, None, groups):
            train = table[train]
            if train.has_any.any():
                held_out, _ = quietly(table[test].learnt, train.observed_columns)
                linked = np.flatnonzero(held_out.presence.sum(axis=1) > 1)
                folds.append((train, held_out[linked[:: -(-len(linked) // most) or 1]]))
        return folds

    def _impute(self, table):
        owner, dtype = table.layout.column_owner, table.X.dtype
        mean = self.statistics_.astype(dtype)
        total = np.zeros_like(table.X)
        shrunk = self._learnt & ~self.weights_.any(axis=1)
        reached = np.tile(shrunk[owner], (len(table), 1))
        for member, weights in zip(self.estimators_, self.weights_.T):
            if weights.any():
                deviation = impute(member, table) - mean
                found = ~np.isnan(deviation) & (weights > 0)[owner]
                total += weights[owner].astype(dtype) * np.where(found, deviation, 0)
                reached |= found
        return np.where(reached, total + mean, dtype.type(np.nan))

    def _std(self, table):
        n_others = table.presence.sum(axis=1)[:, None] - table.presence
        ratio = self._errors[np.arange(len(table.layout)), n_others]
        return ratio[:, table.layout.column_owner] * self._deviation


# Members.


def read_member(entry, table, seed):
    """Name and unfitted imputer of an entry of `estimators`."""
    if isinstance(entry, str) and entry in MEMBERS:
        n_clusters = np.count_nonzero(table.has_any) // SAMPLES_PER_CLUSTER
        n_clusters = min(SOFT_CLUSTERS, max(1, n_clusters))
        return entry, {
            "factor": FactorImputer(random_state=seed),
            "soft": ClusterGuidedImputer(n_clusters, random_state=seed),
            "retrieval": RetrievalImputer(),
            "regression": RegressionImputer(),
        }[entry]
    is_pair = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
    if not is_pair or not hasattr(entry[1], "transform"):
        expected = f"names from {MEMBERS} or pairs (name, imputer)"
        raise ValueError(f"estimators must be {expected}; got {entry!r}.")
    member = clone(entry[1])
    if isinstance(member, BaseModalityImputer):
        member._validate_params()
    elif "keep_empty_features" in member.get_params(deep=False):
        member.set_params(keep_empty_features=True)
    return entry[0], member


def quietly(function, *args):
    """Return the result of a call, and its warnings except ModalityWarning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*args)
    caught = [w for w in caught if not issubclass(w.category, ModalityWarning)]
    return result, [(w.category, str(w.message)) for w in caught]


def warn_once(table, messages):
    """Combine the warnings of all members into one per category."""
    for category in dict.fromkeys(category for category, _ in messages):
        texts = [text for kind, text in messages if kind is category]
        number = f"{count(len(texts), 'warning')} in fits of members"
        table.warn(f"{number}, of which the first is: {texts[0]}", category)


def fit_member(member, table):
    """Return a fitted member."""
    if isinstance(member, BaseModalityImputer):
        member.statistics_ = member._fit_imputer(table)
        return member
    return member.fit(table.X)


def impute(member, table):
    """Impute by a member, in the shape of X; cells that it cannot impute are NaN."""
    if isinstance(member, BaseModalityImputer):
        return member._impute(table)
    values = np.asarray(member.transform(table.X))
    if values.shape != table.X.shape:
        name, shape = type(member).__name__, table.X.shape
        raise ValueError(f"{name} must return shape {shape}; got {values.shape}.")
    return values


def impute_hidden(member, table):
    """Impute each observed modality as if only this modality was missing."""
    values = np.full_like(table.X, np.nan)
    for m, modality in enumerate(table.layout.values()):
        rows = np.flatnonzero(table.presence[:, m])
        if len(rows):
            alone = np.tile(np.arange(len(table.layout)) == m, (len(rows), 1))
            guess = impute(member, table[rows].hide(alone))
            values[np.ix_(rows, modality.columns)] = guess[:, modality.columns]
    return values


# Weights. A block is a hidden modality of a sample.


def compare(members, train, held_out, scaler):
    """Hide modalities of samples, and compare the imputed with the observed values.

    Return, per block: products of deviations (of the members, and last of the observed
    values), the modality, the number of other modalities, and the number of cells in
    columns that vary.
    """
    values = [impute_hidden(fit_member(m, train), held_out) for m in members.values()]
    values.append(held_out.X)
    error = 10 * np.finfo(np.float64).eps * np.abs(scaler.mean)
    known = ~np.isnan(held_out.X) & (np.sqrt(scaler.variance) > error)
    mean = train.column_means()[0].astype(np.float64)
    products, n_cells = [], []
    for m, columns in enumerate(held_out.layout.columns):
        rows = held_out.presence[:, m]
        seen = known[rows][:, columns]
        # (n_blocks, n_members + 1, width) -> (n_blocks, n_members + 1, n_members + 1)
        part = np.stack([v[rows][:, columns] for v in values], axis=1)
        part = (part - mean[columns]) / scaler.scale[columns]
        part = np.where(seen[:, None] & ~np.isnan(part), part, 0)
        products.append(part @ part.swapaxes(1, 2))
        n_cells.append(seen.sum(axis=1))
    modality, rows = np.nonzero(held_out.presence.T)
    n_others = held_out.presence.sum(axis=1)[rows] - 1
    return np.concatenate(products), modality, n_others, np.concatenate(n_cells)


def stacking_weights(products):
    """Non-negative least squares with a small ridge; 0 if members impute the mean."""
    gram, target = products[:-1, :-1], products[:-1, -1]
    if not np.trace(gram) > 0:
        return np.zeros(len(gram))
    gram = gram + RIDGE * np.trace(gram) * np.eye(len(gram))
    root = cholesky(gram, lower=True)
    return nnls(root.T, solve_triangular(root, target, lower=True))[0]


def relative_errors(weights, products, modality, n_others, n_cells):
    """Root mean squared errors of the stack, in standard deviations of the columns.

    Errors are per modality and number of others, (n_modalities, n_modalities). A number
    with too few blocks gets the error of the nearest number with enough blocks. The
    error is 1 without such a number or without other modalities.
    """
    residual = np.hstack([weights, -np.ones((len(weights), 1))])[modality]
    squares = np.einsum("be,bef,bf->b", residual, products, residual)
    sums = np.zeros((3, len(weights), len(weights)))
    for total, values in zip(sums, (squares, n_cells, 1)):
        np.add.at(total, (modality, n_others), values)
    errors = np.ones(sums.shape[1:])
    for m, (square, n, number) in enumerate(sums.swapaxes(0, 1)):
        enough = np.flatnonzero((number >= FEWEST_BLOCKS) & (n > 0))
        if len(enough):
            gaps = np.abs(enough - np.arange(1, len(weights))[:, None])
            near = enough[gaps.argmin(axis=1)]
            errors[m, 1:] = np.sqrt(np.maximum(square[near], 0) / n[near])
    return errors
