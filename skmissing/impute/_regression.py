"""Imputation by regression on the modalities that a row has."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags

from skmissing._base import warn_layout_forgotten
from skmissing._blocks import find_patterns, fit_scaler
from skmissing._compat import HasMethods, Interval
from skmissing._table import ModalityTable
from skmissing.impute._base import MOST_DEVIATIONS, BaseModalityImputer


class RegressionImputer(BaseModalityImputer):
    """Predict the modalities that a row lacks from those that it has.

    For each pattern of observed modalities and each missing one, a regression is
    fitted to the training rows that have them all. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation_error>`.

    Parameters
    ----------
    estimator : regressor or None, default=None
        Fitted to standardised columns, one clone a pattern and missing modality. A
        regressor that takes one target only is fitted once a column. None is
        `Ridge(alpha=n_columns)` with the number of columns that it predicts from: the
        penalty then means the same whatever the pattern. Where columns outnumber
        rows, ridge regression is solved in the dual.

    modalities : None, list of int, or dict, default=None
        Which columns form a modality. None groups columns named `modality__feature`
        by their prefix if all are named so, and otherwise makes every column a
        modality of its own. A list gives widths from left to right. A dict gives, by
        name, a width, a token shape `(n_tokens, dim)`, a slice, or a list of column
        names or positions.

    min_rows : int, default=10
        Fewest rows to fit a regression to. With fewer, observed modalities are left
        out, the one first that frees most rows; if none is left, the gap gets the
        training mean.

    standardize : bool, default=True
        Whether columns are brought to zero mean and unit variance, or only centred.

    add_indicator : bool, default=False
        Whether to append one column a modality that is 1 where the row lacks it.

    keep_empty_features : bool, default=True
        Whether columns that no row has in `fit` are kept, filled with 0. If False
        they are dropped.

    Attributes
    ----------
    estimators_ : dict
        Regressions by the pair of the names of the modalities they predict from, a
        tuple, and the name of the one they predict. Those for the patterns of the
        training rows; others are fitted when they are needed, and not kept.

    statistics_ : ndarray of shape (n_features,)
        Training mean of each column.

    modalities_ : ModalityLayout
        Ordered mapping from the name of each modality to its columns.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    See Also
    --------
    ClusterGuidedImputer : With `strategy="factor"`, one model for all patterns.
    sklearn.impute.IterativeImputer : Column by column, in rounds.

    Notes
    -----
    Holes, missing cells of a modality that the row otherwise has, are predicted from
    the row's other modalities; as inputs and targets of a regression they count as
    the mean. Inputs further than four standard deviations from the mean count as four
    off, or a column that hardly varied in training could drown all others. The number
    of regressions is that of pairs of pattern and missing modality: meant for
    modalities of some width, not for many single columns. The training rows are kept.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from skmissing.impute import RegressionImputer
    >>> X = np.array([[0., 1.], [1., 3.], [2., 5.], [3., np.nan]])
    >>> RegressionImputer(LinearRegression(), min_rows=2).fit_transform(X)
    array([[0., 1.],
           [1., 3.],
           [2., 5.],
           [3., 7.]])
    """

    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "min_rows": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        modalities=None,
        min_rows=10,
        standardize=True,
        add_indicator=False,
        keep_empty_features=True,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.min_rows = min_rows
        self.standardize = standardize
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features

    def _fit_imputer(self, table):
        X, presence, holes = table.X, table.presence, table.partial
        warn_layout_forgotten(
            self.modalities, self.modalities_, ", with regressions of its own"
        )
        self._scaler = fit_scaler(
            ModalityTable(X, self.modalities_, presence=presence, partial=holes),
            standardize=self.standardize,
        ).centered()
        self._presence = presence
        self._train = self._standardized(X)
        self.estimators_ = {}
        for _, sources, target in self._tasks(presence, holes):
            self._model(sources, target, keep=True)
        return self._scaler.column_mean

    def _standardized(self, X):
        """Columns without mean and scale, gaps at 0."""
        values = (X - self._scaler.mean) / self._scaler.scale
        return np.where(np.isnan(values), 0, values).astype(X.dtype)

    def _inputs(self, standardized, rows, columns):
        """Copy of some rows and columns without outliers."""
        deviation = np.sqrt(self._scaler.variance[columns])
        reach = MOST_DEVIATIONS * deviation / self._scaler.scale[columns]
        reach = reach.astype(standardized.dtype)
        return np.clip(standardized[np.ix_(rows, columns)], -reach, reach)

    def _tasks(self, presence, holes):
        """Yield rows, the modalities to predict from, and the one to predict.

        Patterns that come down to the same regression are one task.
        """
        patterns, inverse = find_patterns(presence)
        tasks, known = {}, {}
        for p, pattern in enumerate(patterns):
            rows = np.flatnonzero(inverse == p)
            with_holes = rows[holes[rows]]
            for m in range(len(pattern)):
                wanted = with_holes if pattern[m] else rows
                if not len(wanted):
                    continue
                sources = pattern.copy()
                sources[m] = False
                sources = self._back_off(sources, m, known)
                if sources is not None:
                    task = tasks.setdefault((sources.tobytes(), m), (sources, []))
                    task[1].append(wanted)
        for (_, m), (sources, rows) in tasks.items():
            yield np.concatenate(rows), sources, m

    def _back_off(self, sources, target, known):
        """Leave modalities out until enough training rows have what remains.

        `known` holds what earlier calls came to, and is added to.
        """
        has_target = self._presence[:, target]
        sources = sources & self._presence.any(axis=0)
        passed, found = [], None
        while sources.any():
            key = sources.tobytes(), target
            if key in known:
                found = known[key]
                break
            passed.append(key)
            lacking = (~self._presence[:, sources]).sum(axis=1)
            if (has_target & (lacking == 0)).sum() >= self.min_rows:
                found = sources.copy()
                break
            single = has_target & (lacking == 1)
            freed = np.where(sources, (~self._presence[single]).sum(axis=0), -1)
            sources[freed.argmax()] = False
        known.update(dict.fromkeys(passed, found))
        return found

    def _model(self, sources, target, keep=False):
        """Regression from some modalities to one; None if nothing is known of it."""
        names = self.modalities_.names
        key = tuple(names[s] for s in np.flatnonzero(sources)), names[target]
        if key in self.estimators_:
            return self.estimators_[key]
        rows = np.flatnonzero(self._presence[:, sources].all(axis=1))
        rows = rows[self._presence[rows, target]]
        columns, wanted = self._columns(sources), self._columns(target)
        y = self._train[np.ix_(rows, wanted)]
        model = self._template(len(columns), y.shape[1])
        inputs = self._inputs(self._train, rows, columns)
        model.fit(inputs, y[:, 0] if y.shape[1] == 1 else y)
        if keep:
            self.estimators_[key] = model
        return model

    def _template(self, n_columns, n_targets):
        if self.estimator is None:
            return Ridge(alpha=float(n_columns))
        model = clone(self.estimator)
        if n_targets > 1 and not get_tags(model).target_tags.multi_output:
            return MultiOutputRegressor(model)
        return model

    def _columns(self, modalities):
        """Columns of X of one modality by index, or of some by mask."""
        names, layout = np.array(self.modalities_.names, dtype=object), self.modalities_
        chosen = np.atleast_1d(names[modalities])
        return np.concatenate([layout[name].columns for name in chosen])

    def __getstate__(self):
        # As pairs: formats other than pickle want strings for keys.
        state = dict(super().__getstate__())
        if "estimators_" in state:
            state["estimators_"] = list(state["estimators_"].items())
        return state

    def __setstate__(self, state):
        state = dict(state)
        if "estimators_" in state:
            state["estimators_"] = dict(state["estimators_"])
        super().__setstate__(state)

    def _impute(self, table):
        X, presence, holes = table.X, table.presence, table.partial
        values = np.full_like(X, np.nan)
        standardized = self._standardized(X)
        for rows, sources, target in self._tasks(presence, holes):
            model = self._model(sources, target)
            inputs = self._inputs(standardized, rows, self._columns(sources))
            guess = model.predict(inputs)
            columns = self._columns(target)
            guess = guess.reshape(len(rows), -1) * self._scaler.scale[columns]
            values[np.ix_(rows, columns)] = guess + self._scaler.mean[columns]
        return values
