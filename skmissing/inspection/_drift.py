"""Comparison of new samples with the training samples of an estimator."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmissing._base import ModalityMixin
from skmissing._compat import import_optional, to_numpy
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing.inspection._displays import COLORS, make_axes, tidy
from skmissing.inspection._scoring import InspectionResult

# A missing rate is reported if it differs by more than both: a difference, and a number
# of standard errors.
LEAST_CHANGE, LEAST_ERRORS = 0.1, 4
# A column is reported if more than this share of its cells is outside of its range, and
# if it has at least this number of observed cells.
MOST_OUTSIDE, FEWEST_CELLS = 0.05, 20


def check_drift(estimator, X, *, as_frame=False):
    """Compare new samples with the training samples of an estimator.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator of skmissing, or a pipeline or search that ends with one.
    X : array-like of shape (n_samples, n_features)
        New samples.
    as_frame : bool, default=False
        Whether to return a pandas data frame with one row per modality.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or data frame
        A Bunch has these entries:

        messages : list of str
            Differences in missing rates, combinations of modalities, and columns. Empty
            if there are none.
        modalities : list of str
            Names of the modalities.
        training_rate : ndarray of shape (n_modalities,)
            Share of the training samples without the modality.
        missing_rate : ndarray of shape (n_modalities,)
            Share of the new samples without the modality.
        outside : ndarray of shape (n_modalities,)
            Share of the observed cells outside of the training range of their column.
        shifted_columns : list of list of str
            Columns of each modality with many such cells.
        n_unseen : int
            Number of new samples with a combination of modalities that no training
            sample has.
        n_samples : int
            Number of new samples.

    Raises
    ------
    TypeError
        If `estimator` is not an estimator of skmissing, or a pipeline or search that
        ends with one.

    See Also
    --------
    DriftDisplay : Draws the missing rates.
    robustness_curve : Score against the share of missing modalities.

    Notes
    -----
    A missing rate is reported if it differs by more than 0.1, and by more than four
    standard errors. A column is reported if more than 5 % of at least 20 observed cells
    are outside of the range of all training samples. The range is narrow if there were
    few training samples.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import RegressionImputer
    >>> from skmissing.inspection import check_drift
    >>> rng = np.random.RandomState(0)
    >>> X = rng.standard_normal((200, 4))
    >>> X[:20, :2] = np.nan
    >>> imputer = RegressionImputer(modalities={"text": 2, "audio": 2}).fit(X)
    >>> new = rng.standard_normal((100, 4))
    >>> new[:70, :2] = np.nan
    >>> new[:, 3] += 9
    >>> for message in check_drift(imputer, new).messages:
    ...     print(message)
    'text' is missing in 70 % of the samples; 10 % in training.
    'audio' has 1 column outside of its range in training: 'x3'.
    """
    estimator, X = find_last(estimator, X)
    table = estimator._validate(to_numpy(X), reset=False)
    seen, presence = estimator._training, table.presence
    n_samples, names = len(table), list(table.layout.names)
    rates, before = 1 - presence.mean(axis=0), seen["missing_rate"]
    error = np.sqrt(
        before * (1 - before) * (1 / n_samples + 1 / seen["n_samples"])
        + 0.25 / n_samples**2
    )
    changed = np.abs(rates - before) > np.maximum(LEAST_CHANGE, LEAST_ERRORS * error)
    messages = [
        f"{names[m]!r} is missing in {100 * rates[m]:.0f} % of the samples; "
        f"{100 * before[m]:.0f} % in training."
        for m in np.flatnonzero(changed)
    ]
    known = {row.tobytes() for row in seen["patterns"]}
    codes = np.packbits(presence, axis=1)
    n_unseen = sum(row.tobytes() not in known for row in codes)
    if n_unseen:
        have = "has a combination" if n_unseen == 1 else "have combinations"
        messages.append(
            f"{count(n_unseen, 'sample')} of {n_samples} {have} of modalities that no "
            "training sample has."
        )
    low, high = seen["range"]
    beyond = (table.X < low) | (table.X > high)
    n_beyond, n_cells = beyond.sum(axis=0), np.isfinite(table.X).sum(axis=0)
    odd = (n_beyond > MOST_OUTSIDE * n_cells) & (n_cells >= FEWEST_CELLS)
    outside, shifted = np.zeros(len(names)), []
    for m, columns in enumerate(table.layout.columns):
        outside[m] = n_beyond[columns].sum() / max(1, n_cells[columns].sum())
        found = np.arange(len(odd))[columns][odd[columns]]
        shifted.append([str(table.column_names[c]) for c in found])
        if len(found):
            messages.append(
                f"{names[m]!r} has {count(len(found), 'column')} outside of "
                f"{'its range' if len(found) == 1 else 'their ranges'} in "
                f"training: {table.name_columns(found)}."
            )
    result = InspectionResult(
        messages=messages,
        modalities=names,
        training_rate=before,
        missing_rate=rates,
        outside=outside,
        shifted_columns=shifted,
        n_unseen=n_unseen,
        n_samples=n_samples,
    )
    if not as_frame:
        return result
    pandas = import_optional("pandas", "datasets")
    columns = ("training_rate", "missing_rate", "outside", "shifted_columns")
    return pandas.DataFrame({name: result[name] for name in columns}, names)


def find_last(estimator, X):
    """Return the estimator of skmissing, and X as that estimator receives it."""
    while not isinstance(estimator, ModalityMixin):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
        else:
            raise TypeError(
                "estimator must be one of skmissing, or a pipeline or search that ends "
                f"with one; got {type(estimator).__name__}."
            )
    check_is_fitted(estimator)
    if not hasattr(estimator, "_training"):
        raise TypeError(
            f"estimator must learn from X as a table; got {type(estimator).__name__}."
        )
    return estimator, X


@shared_docs
class DriftDisplay:
    """Missing rates of new samples and of training samples, side by side.

    It is recommended to use :meth:`from_estimator` to create a display.

    Parameters
    ----------
    modalities : sequence of str
        Names of the modalities.
    training_rate : ndarray of shape (n_modalities,)
        Share of the training samples without each modality.
    missing_rate : ndarray of shape (n_modalities,)
        Share of the new samples without each modality.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    %(figure_)s
    bars_ : list of matplotlib BarContainer
        Bars of the training samples and of the new samples.

    See Also
    --------
    check_drift : The numbers behind the display.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import RegressionImputer
    >>> from skmissing.inspection import DriftDisplay
    >>> X = np.random.RandomState(0).standard_normal((100, 4))
    >>> imputer = RegressionImputer(modalities={"text": 2, "audio": 2}).fit(X)
    >>> X[:70, :2] = np.nan
    >>> display = DriftDisplay.from_estimator(imputer, X)  # doctest: +SKIP
    """

    def __init__(self, *, modalities, training_rate, missing_rate):
        self.modalities = modalities
        self.training_rate = training_rate
        self.missing_rate = missing_rate

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None):
        """Compare new samples with the training samples, and draw the rates.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator of skmissing, or a pipeline or search that ends with one.
        X : array-like of shape (n_samples, n_features)
            New samples.
        %(ax)s

        Returns
        -------
        DriftDisplay
            The display, drawn.
        """
        found = check_drift(estimator, X)
        names = ("modalities", "training_rate", "missing_rate")
        return cls(**{name: found[name] for name in names}).plot(ax)

    def plot(self, ax=None):
        """Draw the missing rates.

        Parameters
        ----------
        %(ax)s

        Returns
        -------
        DriftDisplay
            The display itself.
        """
        ax = make_axes(ax, (5.6, 3.8))
        places = np.arange(len(self.modalities))
        sides = {"training": self.training_rate, "new samples": self.missing_rate}
        self.bars_ = [
            ax.bar(places + 0.4 * n - 0.2, 100 * rate, 0.38, color=color, label=label)
            for n, ((label, rate), color) in enumerate(zip(sides.items(), COLORS))
        ]
        ax.set_xticks(places, self.modalities)
        ax.set(ylabel="Missing (% of the samples)", ylim=(0, 100))
        tidy(ax)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
