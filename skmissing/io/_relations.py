"""Numbers of scikit-learn's estimators that repeat the length of something else.

Predictions make room by them before anything else is looked at.
"""

import numpy as np

MOST_JOBS = 1024


def check_relations(values, where):
    """Compare counts of classes and outputs with what they count.

    Parameters
    ----------
    values : dict of str to object
        Learnt attributes that fit their schema.
    where : str
        Begins messages.

    Raises
    ------
    ValueError
    """
    classes, tree = values.get("classes_"), values.get("tree_")
    several = isinstance(classes, list)
    n_classes = (
        [len(c) for c in (classes if several else [classes])]
        if (classes is not None)
        else None
    )
    if "n_classes_" in values and n_classes is not None:
        wanted = n_classes if several else n_classes[0]
        _compare(values["n_classes_"], wanted, f"{where}.n_classes_")
    if tree is not None:
        _compare(values["n_outputs_"], tree.n_outputs, f"{where}.n_outputs_")
        if n_classes is not None:
            _compare(tree.n_classes, n_classes, f"{where}.tree_.n_classes")
    elif "n_outputs_" in values and n_classes is not None:
        _compare(values["n_outputs_"], len(n_classes), f"{where}.n_outputs_")
    if "n_outputs_" in values:
        for i, part in enumerate(values.get("estimators_", ())):
            path = f"{where}.estimators_[{i}]"
            for name in ("n_outputs_", "n_classes_"):
                if name in values:
                    _compare(getattr(part, name, None), values[name], f"{path}.{name}")


def check_jobs(params, where):
    """Refuse a number of workers that no machine has."""
    n_jobs = params.get("n_jobs")
    if n_jobs is not None and not (
        isinstance(n_jobs, (int, np.integer)) and -MOST_JOBS <= n_jobs <= MOST_JOBS
    ):
        raise ValueError(
            f"{where}.n_jobs: wanted at most {MOST_JOBS} workers; found {n_jobs!r}."
        )


def _compare(found, wanted, where):
    if not np.array_equal(np.asarray(found), np.asarray(wanted)):
        raise ValueError(f"{where}: wanted {wanted}; found {found}.")
