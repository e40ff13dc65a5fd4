"""Imputation by regression on the observed modalities."""

from numbers import Integral

import numpy as np
from scipy.linalg import solve
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import Bunch, get_tags

from skmissing._blocks import fit_scaler
from skmissing._compat import HasMethods, Interval
from skmissing._docs import shared_docs
from skmissing._sources import KeyedSums, working_memory
from skmissing.impute._base import MOST_DEVIATIONS, BaseModalityImputer


@shared_docs
class RegressionImputer(BaseModalityImputer):
    """Predict missing modalities from the observed modalities.

    For each pattern of observed modalities and each missing modality, a regression is
    fitted to the training samples that have all these modalities. Observed cells are
    never changed.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Regressor for standardised columns. One clone is fitted per pattern and missing
        modality, or per column if it supports a single target only. None is
        `Ridge(alpha=n_columns)`, where `n_columns` is the number of input columns, so
        that penalties of patterns are comparable. If there are more columns than
        samples, ridge regression is solved in the dual.
    %(modalities)s
    min_samples : int, default=10
        Minimum number of training samples of a regression. If there are fewer, observed
        modalities are left out, starting with the one that makes most samples
        available. If none is left, the training mean is imputed.
    standardize : bool, default=True
        Whether to scale columns to unit variance after centring.
    %(add_indicator, keep_empty_features)s

    Attributes
    ----------
    estimators_ : list of regressors
        Regressions for the patterns of the training samples. Regressions for other
        patterns are fitted when they are needed, and are not kept.
    named_estimators_ : Bunch
        The regressions by the names of the modalities, such as
        `"text, image -> audio"`.
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for missing cells without a regression.
    %(modalities_, n_features_in_, feature_names_in_)s

    See Also
    --------
    FactorImputer : One model for all patterns.
    sklearn.impute.IterativeImputer : Imputes single columns in several rounds.

    Notes
    -----
    Missing cells of a partially observed modality are predicted from the other
    modalities of the sample. In the inputs and targets of a regression, they are
    replaced by the mean. Inputs are clipped to four standard deviations from the mean.
    Otherwise, a column with little variance in training could dominate all others.
    There is one regression per pattern and missing modality, so the method is meant for
    wide modalities, not for many single columns. The training samples are stored.

    If X is read in pieces (:func:`skmissing.compose.scan_table`), the regressions are
    those of all samples. They are computed from sums of products of columns, one matrix
    per pattern of the training samples, which are stored instead of the samples. If
    there is an `estimator`, or if these matrices take more than a quarter of the
    `working_memory` of :func:`sklearn.set_config`, the regressions are fitted to a
    random sample that fits in memory, with a warning. Means and standard deviations are
    always those of all samples.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skmissing.impute import RegressionImputer
    >>> X = np.array([[0., 1.], [1., 3.], [2., 5.], [3., np.nan]])
    >>> RegressionImputer(LinearRegression(), min_samples=2).fit_transform(X)
    array([[0., 1.],
           [1., 3.],
           [2., 5.],
           [3., 7.]])
    """

    _has_parts = _reads_sources = True
    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "min_samples": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        modalities=None,
        min_samples=10,
        standardize=True,
        add_indicator=False,
        keep_empty_features=True,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.min_samples = min_samples
        self.standardize = standardize
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features

    _most_columns, _consequence = (256, 256), ", with regressions of its own"

    def _fit_imputer(self, table):
        self._scaler = fit_scaler(table, standardize=self.standardize).centered()
        self._learn(table)
        self._places = {}
        self.estimators_, self.named_estimators_ = [], Bunch()
        names = self.modalities_.names
        tasks = self._tasks(self._patterns, self._partial_counts)
        self._fit_task.begin(len(tasks))
        for key, (sources, target, _) in tasks.items():
            name = ", ".join(names[s] for s in np.flatnonzero(sources))
            name = f"{name} -> {names[target]}"
            part = self._fit_task.part(name)
            model = self._fit_model(sources, target)
            self._places[key] = len(self.estimators_)
            self.estimators_.append(model)
            self.named_estimators_[name] = model
            part.end()
        return self._scaler.column_mean

    def _learn(self, table):
        """Keep what regressions are fitted to: samples, or sums of a SourceTable."""
        self._products = self._train = self._presence = None
        if table.in_pieces:
            patterns = table.pattern_counts[0]
            widths = patterns[patterns.sum(axis=1) > 1] @ self.modalities_.widths
            # There may be two matrices of float64 per pattern.
            if self.estimator is None and (
                16 * np.square(widths, dtype=float).sum() <= working_memory() / 4
            ):
                sums = table.sums(_sum_products, self._scaler)
                self._products = [sums.get(p.tobytes()) for p in patterns]
            else:
                table, _ = table.in_memory()
        self._patterns, self._counts, self._partial_counts = table.pattern_counts
        if self._products is None:
            self._presence = table.presence
            self._train = standardized(table.X, self._scaler)

    def _impute(self, table):
        values = np.full_like(table.X, np.nan)
        cells = standardized(table.X, self._scaler)
        patterns, inverse = table.patterns
        counts = np.bincount(inverse)
        own = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts[:-1]))
        for key, task in self._tasks(patterns, table.pattern_counts[2]).items():
            sources, target, numbers = task
            rows = np.concatenate([own[p] for p in numbers])
            rows = rows[table.partial[rows] | ~table.presence[rows, target]]
            if key in self._places:
                model = self.estimators_[self._places[key]]
            else:
                model = self._fit_model(sources, target)
            columns = columns_of(self.modalities_, sources)
            guess = model.predict(
                clipped(cells[np.ix_(rows, columns)], columns, self._scaler)
            )
            columns = columns_of(self.modalities_, target)
            guess = guess.reshape(len(rows), -1) * self._scaler.scale[columns]
            values[np.ix_(rows, columns)] = guess + self._scaler.mean[columns]
        return values

    def _tasks(self, patterns, partial_counts):
        """Observed modalities, the one to predict, and numbers of patterns, by key."""
        tasks, known, learnt = {}, {}, self._patterns.any(axis=0)
        for p, pattern in enumerate(patterns):
            for m in np.flatnonzero(~pattern | (partial_counts[p] > 0)):
                sources = pattern & learnt
                sources[m] = False
                sources = self._back_off(sources, m, known)
                if sources is not None:
                    key = f"{np.flatnonzero(sources).tolist()} -> {m}"
                    tasks.setdefault(key, (sources, m, []))[2].append(p)
        return tasks

    def _back_off(self, sources, target, known):
        """Leave modalities out until enough training samples have the others."""
        has_target, counts = self._patterns[:, target], self._counts
        passed, found = [], None
        while sources.any():
            key = sources.tobytes(), target
            if key in known:
                found = known[key]
                break
            passed.append(key)
            lacking = (~self._patterns[:, sources]).sum(axis=1)
            if counts[has_target & (lacking == 0)].sum() >= self.min_samples:
                found = sources.copy()
                break
            single = has_target & (lacking == 1)
            freed = np.where(sources, counts[single] @ ~self._patterns[single], -1)
            sources[freed.argmax()] = False
        known.update(dict.fromkeys(passed, found))
        return found

    def _fit_model(self, sources, target):
        """Fit the regression from some modalities to one."""
        inputs, outputs = (columns_of(self.modalities_, m) for m in (sources, target))
        if self._products is not None:
            return self._solve(sources, target, inputs, outputs)
        rows = np.flatnonzero(self._presence[:, sources].all(axis=1))
        rows = rows[self._presence[rows, target]]
        X, y = (self._train[np.ix_(rows, columns)] for columns in (inputs, outputs))
        model = self._template(len(inputs), len(outputs))
        y = y[:, 0] if len(outputs) == 1 else y
        return model.fit(clipped(X, inputs, self._scaler), y)

    def _solve(self, sources, target, inputs, outputs):
        """Ridge regression from the sums of all samples that have the modalities."""
        n, d, k = 0, len(inputs), len(outputs)
        x, y, A, B = np.zeros(d), np.zeros(k), np.zeros((d, d)), np.zeros((d, k))
        place = np.empty(self.n_features_in_, dtype=np.intp)
        for pattern, n_own, sums in zip(self._patterns, self._counts, self._products):
            if not (pattern[sources].all() and pattern[target]):
                continue
            own = columns_of(self.modalities_, pattern)
            place[own] = np.arange(len(own))
            i, t = place[inputs], place[outputs]
            total, total_clipped, products, excess = sums
            n += n_own
            x += total_clipped[i]
            y += total[t]
            A += products[np.ix_(i, i)]
            B += products[np.ix_(i, t)]
            if excess is not None:
                B += excess[np.ix_(i, t)]
        x, y = x / n, y / n
        A -= n * np.outer(x, x)
        B -= n * np.outer(x, y)
        model = self._template(d, k)
        A[np.diag_indices(d)] += model.alpha
        coef = solve(A, B, assume_a="pos", overwrite_a=True)
        dtype = self._training["range"].dtype
        model.coef_ = (coef[:, 0] if k == 1 else coef.T).astype(dtype)
        intercept = y - x @ coef
        model.intercept_ = float(intercept[0]) if k == 1 else intercept.astype(dtype)
        model.n_features_in_, model.n_iter_, model.solver_ = d, None, "cholesky"
        return model

    def _template(self, n_columns, n_targets):
        if self.estimator is None:
            return Ridge(alpha=float(n_columns))
        model = clone(self.estimator)
        if n_targets > 1 and not get_tags(model).target_tags.multi_output:
            return MultiOutputRegressor(model)
        return model


# --------------------------------------------------------------------- numerics


def standardized(X, scaler):
    """Standardised columns, missing cells at 0."""
    values = (X - scaler.mean) / scaler.scale
    return np.where(np.isnan(values), 0, values).astype(X.dtype)


def clipped(cells, columns, scaler):
    """Standardised cells of some columns without outliers."""
    reach = MOST_DEVIATIONS * np.sqrt(scaler.variance[columns]) / scaler.scale[columns]
    reach = reach.astype(cells.dtype)
    return np.clip(cells, -reach, reach)


def columns_of(layout, modalities):
    """Columns of X of one modality by index, or of some by mask."""
    chosen = np.arange(len(layout))[modalities]
    return layout.order[np.isin(layout.owner, chosen)]


def _sum_products(table, scaler):
    """Sums of columns, of clipped columns, and of their products, by pattern.

    Products are those of clipped columns, and those of clipped columns with what was
    clipped, which is None if there is nothing.
    """
    sums, cells = KeyedSums(), standardized(table.X, scaler)
    patterns, inverse = table.patterns
    for p, pattern in enumerate(patterns):
        if pattern.sum() < 2:
            continue
        columns = columns_of(table.layout, pattern)
        X = cells[np.ix_(inverse == p, columns)]
        inputs = clipped(X, columns, scaler)
        excess = X - inputs
        far = excess.any(axis=1)
        totals = [part.sum(axis=0, dtype=np.float64) for part in (X, inputs)]
        products = (inputs.T @ inputs).astype(np.float64)
        beyond = inputs[far].T @ excess[far].astype(np.float64) if far.any() else None
        sums[pattern.tobytes()] = *totals, products, beyond
    return sums
