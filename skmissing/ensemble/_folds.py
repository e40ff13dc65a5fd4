"""Folds by number, by group, or by a splitter."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)

from skmissing._table import check_groups


def deal_folds(codes, n_splits, stratify):
    """Return the number of the fold of each sample.

    The folds are those of KFold or StratifiedKFold. However, a class or the whole table
    may have fewer samples than folds.
    """
    folds = np.empty(len(codes), dtype=np.intp)
    common = np.ones(len(codes), dtype=bool)
    if stratify:
        common = np.bincount(codes)[codes] >= n_splits
    rare = np.flatnonzero(~common)
    rare = rare[np.argsort(codes[rare], kind="stable")]
    folds[rare] = np.arange(len(rare)) % n_splits
    common = np.flatnonzero(common)
    if stratify and len(common):
        splits = StratifiedKFold(n_splits).split(common, codes[common])
    elif len(common) > 1:
        splits = KFold(min(n_splits, len(common))).split(common)
    else:
        splits = [(None, slice(None))]
    for k, (_, held_out) in enumerate(splits):
        folds[common[held_out]] = k
    return folds


def deal_groups(codes, groups, n_splits, stratify):
    """Return the number of the fold of each sample; a group is in one fold."""
    n_splits = min(n_splits, len(np.unique(groups)))
    folds = np.zeros(len(codes), dtype=np.intp)
    if n_splits > 1:
        even = stratify and np.bincount(codes).max() >= n_splits
        splitter = StratifiedGroupKFold(n_splits) if even else GroupKFold(n_splits)
        with warnings.catch_warnings():
            # Some classes have fewer samples than folds.
            warnings.simplefilter("ignore", UserWarning)
            splits = list(splitter.split(codes, codes, groups))
        for k, (_, held_out) in enumerate(splits):
            folds[held_out] = k
    return folds


def check_positions(picked, n_samples):
    """Return the samples of a fold as positions, from positions or a mask."""
    picked = np.asarray(picked)
    if picked.dtype == bool and picked.shape == (n_samples,):
        return np.flatnonzero(picked)
    if not picked.size:
        return np.zeros(0, dtype=np.intp)
    if picked.ndim != 1 or picked.dtype.kind not in "iu":
        raise ValueError(
            "cv must yield positions of samples, or masks; got an array of shape "
            f"{picked.shape} and dtype {picked.dtype}."
        )
    if picked.min() < 0 or picked.max() >= n_samples:
        raise ValueError(
            f"cv must yield positions from 0 to {n_samples - 1}; got some from "
            f"{picked.min()} to {picked.max()}."
        )
    return picked


def partition(cv, X, y, groups, classifier):
    """Test sets of a splitter as positions; each sample must be in exactly one."""
    groups = check_groups(groups, len(X))
    if isinstance(cv, Integral) and groups is None:
        codes = (
            np.unique(y, return_inverse=True)[1] if classifier else np.arange(len(X))
        )
        dealt = deal_folds(codes, cv, classifier)
        return [np.flatnonzero(dealt == k) for k in np.unique(dealt)]
    splits = check_cv(cv, y, classifier=classifier).split(X, y, groups)
    folds = [check_positions(test, len(X)) for _, test in splits]
    counts = np.zeros(len(X), dtype=np.intp)
    for test in folds:
        counts[test] += 1
    if not (counts == 1).all():
        raise ValueError(
            f"cv={cv!r} must put each sample in exactly one test set; "
            f"{np.count_nonzero(counts != 1)} of {len(X)} samples are in none or in "
            "several."
        )
    return folds
