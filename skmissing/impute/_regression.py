"""Imputation by regression on the observed modalities."""

from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import Bunch, get_tags

from skmissing._blocks import fit_scaler
from skmissing._compat import HasMethods, Interval
from skmissing._docs import shared_docs
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
    min_rows : int, default=10
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

    _has_parts = True
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

    _most_columns, _consequence = (256, 256), ", with regressions of its own"

    def _fit_imputer(self, table):
        self._scaler = fit_scaler(table, standardize=self.standardize).centered()
        self._presence = table.presence
        self._train = self._standardized(table.X)
        self._places = {}
        self.estimators_, self.named_estimators_ = [], Bunch()
        names = self.modalities_.names
        wanted = list(self._models_for(table))
        self._fit_task.begin(len(wanted))
        for key, _, sources, target in wanted:
            name = ", ".join(names[s] for s in np.flatnonzero(sources))
            name = f"{name} -> {names[target]}"
            part = self._fit_task.part(name)
            model = self._fit_model(sources, target)
            self._places[key] = len(self.estimators_)
            self.estimators_.append(model)
            self.named_estimators_[name] = model
            part.end()
        return self._scaler.column_mean

    def _impute(self, table):
        values = np.full_like(table.X, np.nan)
        standardized = self._standardized(table.X)
        for key, rows, sources, target in self._models_for(table):
            if key in self._places:
                model = self.estimators_[self._places[key]]
            else:
                model = self._fit_model(sources, target)
            guess = model.predict(self._inputs(standardized, rows, sources))
            columns = self._columns(target)
            guess = guess.reshape(len(rows), -1) * self._scaler.scale[columns]
            values[np.ix_(rows, columns)] = guess + self._scaler.mean[columns]
        return values

    def _standardized(self, X):
        """Standardised columns, missing cells at 0."""
        values = (X - self._scaler.mean) / self._scaler.scale
        return np.where(np.isnan(values), 0, values).astype(X.dtype)

    def _inputs(self, standardized, rows, sources):
        """Copy of some rows and modalities without outliers."""
        columns = self._columns(sources)
        deviation = np.sqrt(self._scaler.variance[columns])
        reach = MOST_DEVIATIONS * deviation / self._scaler.scale[columns]
        reach = reach.astype(standardized.dtype)
        return np.clip(standardized[np.ix_(rows, columns)], -reach, reach)

    def _columns(self, modalities):
        """Columns of X of one modality by index, or of some by mask."""
        layout = self.modalities_
        chosen = np.arange(len(layout))[modalities]
        return layout.order[np.isin(layout.owner, chosen)]

    def _models_for(self, table):
        """Yield a key, rows, the observed modalities, and the modality to predict."""
        patterns, inverse = table.patterns
        wanted_for, known, learnt = {}, {}, self._presence.any(axis=0)
        for p, pattern in enumerate(patterns):
            rows = np.flatnonzero(inverse == p)
            partial = rows[table.partial[rows]]
            for m in range(len(pattern)):
                wanted = partial if pattern[m] else rows
                if not len(wanted):
                    continue
                sources = pattern & learnt
                sources[m] = False
                sources = self._back_off(sources, m, known)
                if sources is not None:
                    key = f"{np.flatnonzero(sources).tolist()} -> {m}"
                    wanted_for.setdefault(key, ([], sources, m))[0].append(wanted)
        for key, (rows, sources, m) in wanted_for.items():
            yield key, np.concatenate(rows), sources, m

    def _back_off(self, sources, target, known):
        """Leave modalities out until enough training samples have the others."""
        has_target = self._presence[:, target]
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

    def _fit_model(self, sources, target):
        """Fit the regression from some modalities to one."""
        rows = np.flatnonzero(self._presence[:, sources].all(axis=1))
        rows = rows[self._presence[rows, target]]
        inputs = self._inputs(self._train, rows, sources)
        y = self._train[np.ix_(rows, self._columns(target))]
        model = self._template(inputs.shape[1], y.shape[1])
        return model.fit(inputs, y[:, 0] if y.shape[1] == 1 else y)

    def _template(self, n_columns, n_targets):
        if self.estimator is None:
            return Ridge(alpha=float(n_columns))
        model = clone(self.estimator)
        if n_targets > 1 and not get_tags(model).target_tags.multi_output:
            return MultiOutputRegressor(model)
        return model
