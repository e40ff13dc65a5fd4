"""Reports the tasks of a fit to the callbacks of scikit-learn (1.9 or newer).

Without callbacks, all methods do nothing.
"""

import copy
import inspect
from contextlib import contextmanager, nullcontext


class Task:
    """A task of a fit: the whole fit, a run, an iteration, or the fit of a member."""

    def __init__(self, estimator=None, data=None, keep=None):
        self._estimator, self._data, self._keep = estimator, data, keep
        self._context = None

    @classmethod
    def of_fit(cls, estimator, fit, args, kwargs):
        """Make the task of a whole call of `fit`, which begins later."""
        if not getattr(estimator, "_skl_callbacks", None):
            return NO_TASK
        given = inspect.signature(fit).bind(estimator, *args, **kwargs).arguments
        weight = given.get("sample_weight")
        metadata = None if weight is None else {"sample_weight": weight}
        data = {"X": given["X"], "y": given.get("y"), "metadata": metadata}
        return cls(estimator, data)

    def __bool__(self):
        return self._estimator is not None

    def __reduce__(self):
        # Processes that fit members do not report.
        return Task, ()

    def begin(self, n_parts=0):
        """Begin the fit, which consists of at most `n_parts` tasks."""
        if self:
            start = self._estimator._init_callback_context
            self._begin(start(max_subtasks=n_parts))
        return self

    def _begin(self, context):
        self._context = context
        context.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def keep_by(self, estimator, keep):
        """Use `keep(estimator, result)` to set the attributes after a part.

        It is not used for parts of the fit of another estimator, such as an imputer.
        """
        if estimator is self._estimator:
            self._keep = keep

    def part(self, name, n_parts=0):
        """Begin a task of this task, which consists of at most `n_parts` tasks."""
        if not self:
            return self
        part = Task(self._estimator, self._data, self._keep)
        part._begin(self._context.subcontext(task_name=name, max_subtasks=n_parts))
        return part

    @contextmanager
    def member(self, name, estimator):
        """Context of the fit of an estimator. It reports its own parts if possible."""
        if not self:
            yield
            return
        part = Task(self._estimator, self._data)
        context = self._context.subcontext(task_name=name)
        lend = nullcontext()
        if hasattr(estimator, "set_callbacks"):
            lend = context.propagate_callback_context(estimator)
        with lend:
            part._begin(context)
            yield
            part.end()

    def end(self, result=None):
        """End the task. Return whether a callback asks to leave out further tasks.

        `result()` returns the result from which fitted attributes are set.
        """
        if not self:
            return False
        made = None
        if result is not None and self._keep is not None:

            def made():
                fitted = copy.copy(self._estimator)
                self._keep(fitted, result())
                return vars(fitted)

        return self._end(made)

    def end_fit(self):
        """End the fit after its attributes are set."""
        if self:
            if self._context is None:
                self.begin()
            self._end({})

    def _end(self, attributes):
        return self._context.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=attributes,
            **self._data,
        )

    @property
    def return_as(self):
        """Parameter of `joblib.Parallel` for the results of `collect`."""
        return "generator" if self else "list"

    def collect(self, names, results):
        """List the results. Each result is a part of this task."""
        if not self:
            return results
        collected = []
        for name in names:
            part = self.part(name)
            collected.append(next(results))
            part.end()
        return collected + list(results)  # none is left


NO_TASK = Task()
