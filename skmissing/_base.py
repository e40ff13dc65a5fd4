"""Base classes of the estimators: validation of X, and fits that do all or nothing."""

import functools

import numpy as np
from sklearn.base import BaseEstimator

from skmissing._callbacks import NO_TASK, Task
from skmissing._compat import (
    CALLBACK_STATE,
    CallbackSupportMixin,
    checked_fit,
    device_namespace,
    to_numpy,
)
from skmissing._html import modalities_html
from skmissing._modalities import (
    ModalityLayout,
    ModalityWarning,
    lost_names,
    resolve_modalities,
    warn,
)
from skmissing._sources import Piece, is_source
from skmissing._table import (
    CODE_WIDTH,
    ModalityTable,
    check_columns,
    check_sample_weight,
    check_table,
    check_target,
    fill_masked,
    has_levels,
    numbers_of,
    validate_numbers,
    validate_piece,
)


def _fit_context(*, prefer_skip_nested_validation):
    """Like `_fit_context` of scikit-learn, but a failed fit changes nothing.

    After an error or Ctrl-C, the estimator has the attributes that it had before. A fit
    that succeeds removes those of an earlier fit, except for `partial_fit`.
    """
    check = checked_fit(prefer_skip_nested_validation=prefer_skip_nested_validation)

    def decorate(fit):
        @functools.wraps(fit)
        def atomic_fit(estimator, *args, **kwargs):
            before = dict(vars(estimator))
            try:
                if fit.__name__ != "partial_fit":
                    for name in before:
                        if name.endswith("_") and not name.startswith("_"):
                            delattr(estimator, name)
                X = args[0] if args else kwargs.get("X")
                if is_source(X) and not estimator._reads_sources:
                    from skmissing._source_table import sample_for_fit

                    args, kwargs = sample_for_fit(estimator, args, kwargs)
                if fit.__name__ == "partial_fit":
                    return fit(estimator, *args, **kwargs)
                estimator._fit_task = Task.of_fit(estimator, fit, args, kwargs)
                if not estimator._has_parts:
                    estimator._fit_task.begin()
                result = fit(estimator, *args, **kwargs)
                estimator._fit_task.end_fit()
                del estimator._fit_task
                return result
            except BaseException:
                now = vars(estimator)
                kept = {name: now[name] for name in CALLBACK_STATE if name in now}
                estimator.__dict__ = before | kept
                raise

        return check(atomic_fit)

    return decorate


# Methods that treat each sample by itself.
PER_SAMPLE = {
    "decision_function",
    "imputation_std",
    "predict",
    "predict_log_proba",
    "predict_proba",
    "score_samples",
    "transform",
}


def in_pieces(method):
    """Make a method that treats each sample by itself read a source in pieces."""

    @functools.wraps(method)
    def call(estimator, X, *args, **kwargs):
        if not is_source(X):
            return method(estimator, X, *args, **kwargs)
        from skmissing._source_table import map_source

        return map_source(method, estimator, X, args, kwargs, kwargs.pop("out", None))

    return call


class SkmissingEstimator(CallbackSupportMixin, BaseEstimator):
    """Base class of all estimators of this library.

    It adds callbacks, warnings at the line of the user, and modalities in the HTML
    representation.

    Examples
    --------
    >>> from skmissing.base import SkmissingEstimator
    >>> from skmissing.cluster import PartialModalityKMeans
    >>> issubclass(PartialModalityKMeans, SkmissingEstimator)
    True
    """

    _doc_link_module = "skmissing"
    # The task of the current fit. `fit` begins it if it consists of parts.
    _fit_task, _has_parts = NO_TASK, False
    # Whether `fit` reads a source in pieces. If not, it is fitted to a sample.
    _reads_sources = False

    @property
    def _doc_link_template(self):
        return (
            "https://skmissing.readthedocs.io/en/stable/generated/"
            "{estimator_module}.{estimator_name}.html"
        )

    def _get_fitted_attr_html(self, doc_link=""):
        """Fitted attributes for the HTML representation, followed by the modalities."""
        attributes = super()._get_fitted_attr_html(doc_link)
        if hasattr(self, "modalities_"):
            table, before = attributes._html_repr, getattr(self, "_training", None)
            modalities = modalities_html(self.modalities_, before)
            attributes._html_repr = lambda: table() + modalities
        return attributes

    def __getstate__(self):
        """State in which attributes on a device are NumPy arrays."""
        return {k: to_numpy(v) for k, v in super().__getstate__().items()}

    def _warn(self, message, category=ModalityWarning):
        warn(f"{type(self).__name__}: {message}", category)


class ModalityMixin:
    """Validates X into a :class:`~skmissing.base.ModalityTable`.

    An estimator with this mixin has a parameter `modalities`, and calls
    :func:`~skmissing.base.validate_table` in `fit` and `predict`.

    Examples
    --------
    >>> from skmissing.base import ModalityMixin, SkmissingEstimator, validate_table
    >>> class Counter(ModalityMixin, SkmissingEstimator):
    ...     def __init__(self, modalities=None):
    ...         self.modalities = modalities
    ...
    ...     def fit(self, X, y=None):
    ...         table = validate_table(self, X, reset=True)
    ...         self.n_observed_ = table.presence.sum(axis=0)
    ...         return self
    >>> Counter({"text": 2, "age": 1}).fit([[1.0, 2.0, float("nan")]]).n_observed_
    array([1, 0])
    """

    _parameter_constraints: dict = {
        "modalities": [None, list, tuple, np.ndarray, dict, ModalityLayout]
    }

    def _validate(
        self,
        X,
        y="no_validation",
        *,
        reset,
        sample_weight=None,
        scan=True,
        on_device=None,
        **check_params,
    ):
        """Validate data in which NaN and masked cells are missing.

        Sets `n_features_in_`, `feature_names_in_` and `modalities_` if `reset`.
        Returns a ModalityTable, or the pair (table, y) if y is given. Its X may be the
        caller's own array, so do not write to it.
        """
        has_y = not (isinstance(y, str) and y == "no_validation")
        on_device = self._reads_devices if on_device is None else on_device
        if is_source(X):
            from skmissing._source_table import validate_source

            return validate_source(
                self, X, y,
                reset=reset, sample_weight=sample_weight, check_params=check_params,
            )  # fmt: skip
        xp = device_namespace(X)
        if xp is not None and not on_device:
            self._warn("X is copied to the memory of the host, as a NumPy array.")
            X, xp = to_numpy(X), None
        y, sample_weight = to_numpy(y), to_numpy(sample_weight)
        if has_y:
            self._validate_target(y, **check_params)
        levels = has_levels(X)
        X = self._validate_cells(X, y, xp, reset=reset, **check_params)
        if has_y:
            X, y = X
        if reset:
            # With several levels, the first is the modality. No warning is needed.
            self._find_modalities(None if levels else self._warn)
        if sample_weight is not None:
            per_sample = X if xp is None else np.broadcast_to(0.0, (X.shape[0], 1))
            sample_weight = check_sample_weight(sample_weight, per_sample)
        kind, more = ModalityTable, {"scan": scan}
        if xp is not None:
            from skmissing._device import DeviceTable

            kind, more = DeviceTable, {"xp": xp}
        table = kind(
            X,
            self.modalities_,
            sample_weight=sample_weight,
            feature_names=getattr(self, "feature_names_in_", None),
            owner=type(self).__name__,
            **more,
        )
        if reset:
            self._look_at(table)
        return (table, y) if has_y else table

    def _validate_cells(self, X, y, xp, *, reset, **check_params):
        """Array of numbers or NaN, and y if it is given."""
        validate = validate_numbers
        if type(X) is Piece:
            check_columns(self, X, reset)
            validate, X = validate_piece, X.values
        # For an array of numbers, the checks of scikit-learn are sufficient.
        kind = X.dtype.kind if type(X) is np.ndarray and X.ndim == 2 and X.size else ""
        if kind not in ("f", "i", "u", "b"):
            check_table(X)
            X = fill_masked(X)
        return validate(self, X, y, reset=reset, **numbers_of(xp, X), **check_params)

    def _validate_target(self, y, *, multi_output=False, y_numeric=False, **others):
        """Check a target; return whether it may have several columns."""
        many = multi_output or not hasattr(self, "predict")
        if type(y) is not np.ndarray or y.ndim > 1 or y.dtype.kind not in "iub":
            one_column = "" if many else type(self).__name__
            check_target(y, numeric=y_numeric, one_column=one_column)
        return many

    def _find_modalities(self, says):
        """Set `modalities_`, after the number and the names of the columns."""
        names = getattr(self, "feature_names_in_", None)
        self.modalities_ = resolve_modalities(
            self.modalities, self.n_features_in_, names, says
        )
        if self.modalities is None:
            self._warn_single_columns(names)

    def _look_at(self, table):
        """Warn about codes for missing in X of `fit`, and describe it."""
        wide = (self.modalities_.widths >= CODE_WIDTH).any()
        # A layout comes from another estimator, which has already warned.
        if wide and not isinstance(self.modalities, ModalityLayout):
            table.warn_codes()
        # What new samples are compared with (skmissing.inspection.check_drift), and
        # what the HTML representation shows.
        patterns, counts, _ = table.pattern_counts
        self._training = {
            "n_samples": len(table),
            "missing_rate": 1 - counts @ patterns / len(table),
            "patterns": np.packbits(patterns, axis=1),
            "pattern_counts": counts,
            "range": np.stack(table.bounds),
        }

    # Whether arrays on a device stay there. If not, they are copied.
    _reads_devices = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in PER_SAMPLE & vars(cls).keys():
            method = vars(cls)[name]
            if hasattr(method, "fn"):  # available_if
                method.fn = in_pieces(method.fn)
            else:
                setattr(cls, name, in_pieces(method))

    # With more modalities of one column each, `modalities` was probably forgotten. The
    # first limit is for arrays, because scikit-learn's checks use up to 30 columns and
    # embeddings have more. The second is for data frames without prefixes, such as
    # questionnaires. The string is part of the warning.
    _most_columns, _consequence = (30, 64), ""

    def _warn_single_columns(self, names):
        """Warn if each column is a modality because names or a layout are missing."""
        layout = self.modalities_
        if len(layout) == 1 or not layout.one_column_each:
            return
        lost = lost_names(len(layout)) if names is None else None
        if lost is not None:
            owner, name, remedy = lost
            self._warn(
                f"each of the {len(layout)} columns of X is a modality of its own, "
                f"because {owner} was given column names such as {name!r} and passes "
                f"on an array. To group them, {remedy}."
            )
        elif len(layout) > self._most_columns[names is not None]:
            self._warn(
                f"each of the {len(layout)} columns of X is a modality of its own"
                f"{self._consequence}, because modalities=None and the columns have no "
                "common prefixes. Pass the layout, for example modalities=[512, 256] "
                "or modalities={'text': 512, 'image': 256}."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        # `array_api_support` stays False. For True, scikit-learn's checks want an error
        # if X of `predict` is not on the device of X of `fit`, which is possible here.
        return tags
