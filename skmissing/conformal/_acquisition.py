"""What to measure next: the value of missing modalities, and which to acquire."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.special import entr
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._blocks import find_patterns
from skmissing._compat import Interval, StrOptions, import_optional, validate_params
from skmissing._docs import shared_docs
from skmissing._sources import is_source
from skmissing._table import ModalityWarning, framed, has_levels, name_list, read_array
from skmissing.conformal._base import check_proba
from skmissing.ensemble._base import check_finite
from skmissing.ensemble._routed import read_costs
from skmissing.impute._base import BaseModalityImputer
from skmissing.inspection._displays import DARK, PALE, make_axes
from skmissing.inspection._scores import name_pattern
from skmissing.inspection._scoring import InspectionResult

# Expected loss of the best prediction, by the probabilities or predictions (n, ...).
RISKS = {
    "log_loss": lambda p: entr(p).sum(axis=-1),
    "zero_one": lambda p: 1 - p.max(axis=-1),
    # Up to a number that is the same for all draws.
    "squared_error": lambda f: -np.square(f).reshape(len(f), -1).mean(axis=1),
}
FOR_NUMBERS = ("squared_error",)
VALUE_NAMES = {
    "log_loss": "Mutual information (nats)",
    "zero_one": "Expected drop of the error",
    "squared_error": "Expected drop of the squared error",
}
# Tolerance of sums of costs.
ROUNDING = 1e-9


@validate_params(
    {
        "loss": [StrOptions(set(RISKS)), None],
        "n_draws": [Interval(Integral, 2, None, closed="left")],
        "as_frame": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def acquisition_value(
    estimator,
    imputer,
    X,
    *,
    costs=None,
    loss=None,
    n_draws=20,
    as_frame=False,
    random_state=None,
):
    """Estimate how much each missing modality of a sample would help a prediction.

    The value of a modality is the expected drop of the loss if it were observed. The
    modality is drawn several times from its distribution given the observed modalities,
    and the estimator predicts each draw. If the predictions differ, the modality is
    worth measuring.

    Parameters
    ----------
    estimator : estimator
        Fitted classifier with `predict_proba`, or fitted regressor, that accepts
        samples with missing modalities.
    imputer : imputer
        Fitted imputer that can draw: :class:`~skmissing.impute.FactorImputer`,
        :class:`~skmissing.fusion.VariationalImputer`, or
        :class:`~skmissing.impute.SimpleModalityImputer` with `strategy="hot_deck"`. It
        need not have `sample_posterior=True`. Its modalities are used. They must be
        those of the estimator, or several of these as one.
    X : array-like or data frame of shape (n_samples, n_features)
        Samples. NaN and masked cells are missing.
    costs : dict or None, default=None
        Cost of each modality by name. The value of a modality is divided by its cost.
        None is 1 for each.
    loss : {"log_loss", "zero_one", "squared_error"} or None, default=None
        Loss whose expected drop is the value. "log_loss" and "zero_one" are for
        classifiers, and "squared_error" for regressors. None is "log_loss" or
        "squared_error".
    n_draws : int, default=20
        Number of draws per missing modality.
    as_frame : bool, default=False
        Whether to return the values as a pandas data frame with one column per
        modality, and the index of X if it has one.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        A Bunch has these entries:

        modalities : tuple of str
            Names of the modalities.
        value : ndarray of shape (n_samples, n_modalities)
            Expected drop of the loss per unit of cost. NaN where the modality is
            observed.
        cost : ndarray of shape (n_modalities,)
            Cost of each modality.
        loss : str
            Name of the loss.

    Raises
    ------
    TypeError
        If `estimator` is neither a classifier with `predict_proba` nor a regressor, or
        `imputer` cannot draw.
    ValueError
        If the predictions are not finite, or if modalities of the imputer split or
        rename those of the estimator.

    See Also
    --------
    rank_acquisitions : Choose what to measure under a budget.
    AcquisitionDisplay : Draws the mean value per modality and pattern.

    Notes
    -----
    Let :math:`p_k` be the prediction if draw k of K is filled in. Only the modality in
    question is filled in; others stay missing. The value is

    .. math::
        \\rho\\left( \\frac{1}{K} \\sum_k p_k \\right)
        - \\frac{1}{K} \\sum_k \\rho(p_k)

    where :math:`\\rho` is the smallest expected loss if the class has the predicted
    probabilities: the entropy for the log-loss, and 1 minus the largest probability for
    the zero-one loss. For the log-loss, the value is the mutual information between the
    class and the modality given what is observed, as in [1]_, in nats. For the squared
    error, it is the variance of the predictions.

    The value assumes that the probabilities are calibrated, and that the draws follow
    the distribution of the modality given the observed ones. Draws of a hot deck ignore
    the observed modalities. Values of several missing modalities of one sample do not
    add up if the modalities are redundant.

    References
    ----------
    .. [1] C. Ma, S. Tschiatschek, K. Palla, J. M. Hernandez-Lobato, S. Nowozin and
       C. Zhang, "EDDI: Efficient Dynamic Discovery of High-Value Information with
       Partial VAE", ICML 2019.

    Examples
    --------
    The second modality decides the class, and the third one is noise:

    >>> import numpy as np
    >>> from skmissing.conformal import acquisition_value
    >>> from skmissing.ensemble import LateFusionClassifier
    >>> from skmissing.impute import FactorImputer
    >>> rng = np.random.RandomState(0)
    >>> X = rng.standard_normal((300, 3))
    >>> y = (X[:, 0] + 3 * X[:, 1] > 0).astype(int)
    >>> modalities = {"age": 1, "assay": 1, "scan": 1}
    >>> model = LateFusionClassifier("linear", modalities=modalities).fit(X, y)
    >>> imputer = FactorImputer(1, modalities=modalities, random_state=0).fit(X)
    >>> new = [[0.1, np.nan, np.nan], [0.1, 2.0, np.nan]]
    >>> result = acquisition_value(model, imputer, new, random_state=0)
    >>> result.value.round(1)
    array([[nan, 0.4, 0. ],
           [nan, nan, 0. ]])
    """
    if is_source(X):
        raise TypeError(f"X must be a table in memory; got {type(X).__name__}.")
    loss = _read_loss(estimator, loss)
    imputers = _draw_with(imputer, n_draws, check_random_state(random_state))
    table = imputer._validate(X, reset=False, on_device=False)
    names = table.layout.names
    cost = read_costs(costs, names, positive=True)
    _check_layouts(estimator, table.layout)
    gain = _expected_gain(estimator, imputers, table, X, loss)
    result = InspectionResult(modalities=names, value=gain / cost, cost=cost, loss=loss)
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    return pandas.DataFrame(result.value, getattr(X, "index", None), list(names))


def _read_loss(estimator, loss):
    """Name of the loss, after a check of the estimator."""
    name = type(estimator).__name__
    check_is_fitted(estimator)
    if is_classifier(estimator) and hasattr(estimator, "predict_proba"):
        known = ["log_loss", "zero_one"]
    elif is_regressor(estimator):
        known = ["squared_error"]
    else:
        raise TypeError(
            "estimator must be a classifier with predict_proba, or a regressor; got "
            f"{name}."
        )
    if loss is not None and loss not in known:
        raise ValueError(
            f"loss must be one of {name_list(known)} for {name}; got {loss!r}."
        )
    return known[0] if loss is None else loss


def _draw_with(imputer, n_draws, rng):
    """Copies of a fitted imputer that draw with different seeds."""
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_draws).tolist()
    if isinstance(imputer, BaseModalityImputer):
        check_is_fitted(imputer)
        imputers = [imputer._with_seed(seed) for seed in seeds]
        if imputers[0] is not None:
            return imputers
    raise TypeError(
        "imputer must be one that draws: FactorImputer, VariationalImputer or "
        f"SimpleModalityImputer(strategy='hot_deck'); got {imputer!r}."
    )


def _check_layouts(estimator, layout):
    """Raise an error if modalities of the imputer split or rename the estimator's."""
    own = getattr(estimator, "modalities_", None)
    if own is None or own.n_features != layout.n_features:
        return
    for name, modality in layout.items():
        columns = set(modality.columns.tolist())
        overlaps = (columns & set(m.columns.tolist()) for m in own.values())
        split = any(
            part and len(part) < len(m.columns)
            for part, m in zip(overlaps, own.values())
        )
        if split or name in own and columns != set(own[name].columns.tolist()):
            raise ValueError(
                "imputer must have the modalities of estimator, or several of them as "
                f"one; got {name!r} with the columns {sorted(columns)}, and estimator "
                f"has { ({k: m.columns.tolist() for k, m in own.items()}) }."
            )


def _read_response(response, estimator, n_samples):
    """Return predictions for all samples as an array, or raise an error."""
    name = type(estimator).__name__
    if is_classifier(estimator):
        shape = n_samples, len(estimator.classes_)
        return check_proba(response, shape, f"The probabilities of {name}")
    response = np.asarray(response)
    if len(response) != n_samples or response.dtype.kind not in "biuf":
        raise ValueError(
            f"estimator must predict numbers per sample; {name} predicts an array of "
            f"dtype {response.dtype} and shape {response.shape} for {n_samples}."
        )
    return check_finite(response, estimator)


def _like(X, values, names):
    """Return values as an array, or as a data frame with the columns of X."""
    frame = framed(values, X, names)
    return frame.set_axis(X.columns, axis="columns") if has_levels(X) else frame


def _expected_gain(estimator, imputers, table, X, loss):
    """Expected drop of the loss (n_samples, n_modalities), NaN where observed."""
    risk, names = RISKS[loss], table.feature_names
    predict = getattr(estimator, "predict" if loss in FOR_NUMBERS else "predict_proba")
    lost = [np.flatnonzero(~present) for present in table.presence.T]
    means, risks, base = [0.0] * len(lost), [0.0] * len(lost), [0.0] * len(lost)
    for k, imputer in enumerate(imputers):
        with warnings.catch_warnings():
            if k:  # the first draw has warned
                warnings.simplefilter("ignore", ModalityWarning)
            drawn = imputer.transform(_like(X, table.X, names))
            for m, rows in enumerate(lost):
                if not len(rows):
                    continue
                columns, filled = table.layout.columns[m], table.X[rows]
                filled[:, columns] = drawn[rows][:, columns]
                response = predict(_like(X, filled, names))
                response = _read_response(response, estimator, len(rows))
                if k == 0 and loss in FOR_NUMBERS:
                    base[m] = response  # keeps variances exact
                response = response - base[m]
                means[m] = means[m] + response / len(imputers)
                risks[m] = risks[m] + risk(response) / len(imputers)
    gain = np.full(table.presence.shape, np.nan)
    for m, rows in enumerate(lost):
        if len(rows):
            # Rounding may leave a number below 0.
            gain[rows, m] = np.maximum(risk(means[m]) - risks[m], 0)
    return gain


@validate_params(
    {"budget": [Interval(Real, 0, None, closed="left")], "as_frame": ["boolean"]},
    prefer_skip_nested_validation=False,
)
def rank_acquisitions(values, *, budget, costs=None, as_frame=False):
    """Choose which missing modalities of which samples to measure under a budget.

    Modalities are chosen in descending order of their value per unit of cost, until the
    budget is spent. One that costs more than what is left is skipped.

    Parameters
    ----------
    values : Bunch, array-like or data frame of shape (n_samples, n_modalities)
        Result of :func:`acquisition_value`, or other values per unit of cost. NaN is
        not to be measured.
    budget : int or float
        A float of at most 1.0 is a share of the cost of everything that is missing.
        Without costs, it is the share of missing modalities that is measured. An int,
        or a float above 1.0, is a total cost. If it exceeds the cost of everything that
        is missing, everything is chosen.
    costs : dict or None, default=None
        Cost of each modality by name. None takes the costs of a Bunch, or 1 for each.
        Values of a Bunch are converted to other costs. The modalities of an array are
        named `modality0`, `modality1` and so on.
    as_frame : bool, default=False
        Whether to return a pandas data frame.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        One entry per chosen modality of a sample, the most valuable first, in each of
        the following:

        sample : ndarray of int
            Position of the sample.
        modality : ndarray of str
            Name of the modality.
        value : ndarray of float
            Value per unit of cost.
        total_cost : ndarray of float
            Cost of this and all earlier entries.

    See Also
    --------
    acquisition_value : Estimates the values.

    Notes
    -----
    This is the greedy algorithm for the knapsack problem. The values of several
    modalities of one sample are treated as if they added up.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import rank_acquisitions
    >>> values = [[np.nan, 0.3], [0.1, np.nan], [0.2, 0.0]]
    >>> rank_acquisitions(values, budget=0.5, as_frame=True)
       sample   modality  value  total_cost
    0       0  modality1    0.3         1.0
    1       2  modality0    0.2         2.0
    """
    if isinstance(budget, (bool, np.bool_)):
        raise TypeError(f"budget must be a number; got {budget!r}.")
    value, names, cost = _read_values(values, costs)
    share = not isinstance(budget, Integral) and budget <= 1
    missing = ~np.isnan(value)
    left = budget * (missing @ cost).sum() if share else budget
    order = np.argsort(-value[missing], kind="stable")
    cells, chosen, total = np.argwhere(missing)[order], [], [0.0]
    for i, (_, m) in enumerate(cells):
        if total[-1] + cost[m] <= left * (1 + ROUNDING):
            chosen.append(i)
            total.append(total[-1] + cost[m])
    sample, modality = cells[chosen].T
    result = InspectionResult(
        sample=sample,
        modality=np.array(names, dtype=object)[modality],
        value=value[sample, modality],
        total_cost=np.array(total[1:]),
    )
    if not as_frame:
        return result
    return import_optional("pandas", "datasets").DataFrame(result)


def _read_values(values, costs):
    """Values (n_samples, n_modalities), names of the modalities, and their costs."""
    if isinstance(values, dict):
        _check_result(values, "values")
        names, value = values.modalities, values.value
        if costs is None:
            return value, names, values.cost
        cost = read_costs(costs, names, positive=True)
        return value * values.cost / cost, names, cost
    if np.ndim(values) != 2:
        raise ValueError(
            "values must have the shape (n_samples, n_modalities); got "
            f"{np.shape(values)}."
        )
    value, names = read_array(values, "values")
    if names is None:
        names = [f"modality{m}" for m in range(value.shape[1])]
    return value, names, read_costs(costs, names)


def _check_result(result, name):
    """Raise an error if this is not a Bunch of `acquisition_value`."""
    known = {*result} if isinstance(result, dict) else set()
    if not {"modalities", "value", "cost"} <= known:
        raise TypeError(
            f"{name} must be a Bunch returned by acquisition_value; got "
            f"{type(result).__name__}."
        )


@shared_docs
class AcquisitionDisplay:
    """Mean value of each missing modality, per pattern of observed modalities.

    Each row is a pattern, with the most frequent at the top, and each column is a
    modality that could be measured.

    It is recommended to use :meth:`from_estimator` or :meth:`from_result` to create a
    display.

    Parameters
    ----------
    presence : ndarray of shape (n_patterns, n_modalities), dtype bool
        The modalities of each pattern.
    counts : ndarray of shape (n_patterns,)
        Number of samples with each pattern.
    value : ndarray of shape (n_patterns, n_modalities)
        Mean value. NaN where the modality is observed.
    modalities : sequence of str
        Names of the modalities.
    value_name : str, default="Value"
        Label of the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the values.
    %(figure_)s
    image_ : matplotlib AxesImage
        The values as colours.

    See Also
    --------
    acquisition_value : The numbers behind the display.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.conformal import AcquisitionDisplay
    >>> display = AcquisitionDisplay(
    ...     presence=np.array([[True, False], [False, True]]),
    ...     counts=np.array([30, 10]),
    ...     value=np.array([[np.nan, 0.2], [0.1, np.nan]]),
    ...     modalities=["text", "audio"],
    ... )
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(self, *, presence, counts, value, modalities, value_name="Value"):
        self.presence = presence
        self.counts = counts
        self.value = value
        self.modalities = modalities
        self.value_name = value_name

    @classmethod
    def from_estimator(cls, estimator, imputer, X, *, ax=None, **params):
        """Estimate the values for a fitted estimator and draw them.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator.
        imputer : imputer
            Fitted imputer that can draw.
        %(X, ax)s
        **params : dict
            Other parameters of :func:`acquisition_value`: `costs`, `loss`, `n_draws`,
            `random_state`.

        Returns
        -------
        AcquisitionDisplay
            The display, drawn.
        """
        import_optional("matplotlib.pyplot", "plot")
        return cls.from_result(
            acquisition_value(estimator, imputer, X, **params), ax=ax
        )

    @classmethod
    def from_result(cls, result, *, ax=None):
        """Draw the result of :func:`acquisition_value`.

        Parameters
        ----------
        result : :class:`~sklearn.utils.Bunch`
            Result of :func:`acquisition_value`.
        %(ax)s

        Returns
        -------
        AcquisitionDisplay
            The display, drawn.
        """
        _check_result(result, "result")
        patterns, inverse = find_patterns(np.isnan(result.value))
        counts = np.bincount(inverse)
        total = np.zeros(patterns.shape)
        np.add.at(total, inverse, np.nan_to_num(result.value))
        order = np.argsort(-counts, kind="stable")
        order = order[~patterns[order].all(axis=1)]
        if not len(order):
            raise ValueError("result must have a missing modality; got none.")
        presence, counts = patterns[order], counts[order]
        name = VALUE_NAMES[result.loss]
        name += "" if (result.cost == 1).all() else " per unit of cost"
        return cls(
            presence=presence,
            counts=counts,
            value=np.where(presence, np.nan, total[order] / counts[:, None]),
            modalities=result.modalities,
            value_name=name,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the values.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        AcquisitionDisplay
            The display itself.
        """
        if np.all(self.presence):
            raise ValueError("presence must have a missing modality; got none.")
        n_patterns, n_modalities = self.value.shape
        ax = make_axes(ax, (3.2 + 1.1 * n_modalities, 1.2 + 0.36 * n_patterns))
        most = np.nanmax(self.value)
        ax.set_facecolor(PALE)
        self.image_ = ax.imshow(
            self.value, cmap="Blues", vmin=0, vmax=most or 1, aspect="auto"
        )
        for row, column in np.argwhere(np.logical_not(self.presence)):
            number = self.value[row, column]
            color = "white" if number > 0.6 * most else DARK
            ax.text(column, row, f"{number:.2g}", ha="center", va="center", color=color)
        rows = zip(self.presence, self.counts)
        labels = [f"{name_pattern(p, self.modalities)}  ({n})" for p, n in rows]
        ax.set_yticks(range(n_patterns), labels)
        ax.set_xticks(range(n_modalities), self.modalities)
        ax.set(xlabel="Measured in addition", ylabel="Observed (samples)")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.figure.colorbar(self.image_, ax=ax, label=self.value_name)
        self.ax_, self.figure_ = ax, ax.figure
        return self
