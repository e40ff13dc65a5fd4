"""What the pattern classifier and regressor share: one model a combination."""

import warnings
from itertools import product
from numbers import Integral

import numpy as np

from skmissing._blocks import find_patterns
from skmissing._compat import Interval, StrOptions
from skmissing.ensemble._base import BlockEnsemble

# Above this many modalities, a model for every combination is surely a mistake.
MAX_MODALITIES = 10
# Above this many models, a warning tells of it.
MANY_MODELS = 256
# Cells of the table of patterns by patterns that is made at once.
CHUNK_CELLS = 1 << 18


def count_rows(candidates, presence):
    """How many rows have at least the modalities of each pattern.

    Parameters
    ----------
    candidates : ndarray of shape (n_patterns, n_modalities), dtype bool
    presence : ndarray of shape (n_samples, n_modalities), dtype bool

    Returns
    -------
    ndarray of shape (n_patterns,), dtype int64
    """
    found, inverse = find_patterns(presence)
    counts = np.bincount(inverse, minlength=len(found))
    absent = (~found).T.astype(np.float32)
    out = np.empty(len(candidates), dtype=np.int64)
    step = max(1, CHUNK_CELLS // len(found))
    for start in range(0, len(candidates), step):
        lacking = candidates[start : start + step].astype(np.float32) @ absent
        out[start : start + step] = (lacking == 0) @ counts
    return out


class PatternEnsemble(BlockEnsemble):
    """Fits one model a combination of modalities and chooses one for each row."""

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "patterns": [StrOptions({"observed", "all"})],
        "min_rows": [Interval(Integral, 1, None, closed="left")],
        "select": [StrOptions({"score", "largest"})],
    }

    def __init__(
        self,
        estimator=None,
        *,
        modalities=None,
        patterns="observed",
        min_rows=30,
        select="score",
        cv=5,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.patterns = patterns
        self.min_rows = min_rows
        self.select = select
        self.cv = cv
        self.n_jobs = n_jobs

    def _fit_patterns(self, template, train, codes, read_score):
        """Fit the models and, if they are to be chosen by it, their scores.

        `read_score(patterns)` makes, for each fold's fit, what turns a model and held
        out rows into one score a row.
        """
        candidates = self._candidates(train.presence)
        n_rows = count_rows(candidates, train.presence)
        # A pattern that all rows contain cannot be rare, however few rows there are.
        enough = min(self.min_rows, len(train.y))
        alone = candidates.sum(axis=1) == 1
        kept = (n_rows >= enough) | (alone & (n_rows > 0))
        self._patterns = candidates[kept]
        self.n_rows_ = n_rows[kept]
        if self.patterns == "observed" and len(self._patterns) > MANY_MODELS:
            warnings.warn(
                f"{len(self._patterns)} combinations of modalities get a model each, "
                f"since min_rows={self.min_rows} or more training rows contain them; a "
                "larger min_rows makes them fewer.",
                stacklevel=3,
            )
        support = [(train.presence | ~p).all(axis=1) for p in self._patterns]
        blocks = [(r, self._columns_of(p)) for p, r in zip(self._patterns, support)]
        self.estimators_ = self._fit_blocks(template, train, blocks)
        names = np.array(self.modalities_.names, dtype=object)
        self.patterns_ = [tuple(names[pattern]) for pattern in self._patterns]
        self.scores_ = np.full(len(support), np.nan)
        if self.select == "score" and len(support) > 1:
            self._fit_scores(template, train, codes, support, read_score)

    def _candidates(self, presence):
        """Combinations to fit: those asked for, and each modality alone."""
        n_modalities = presence.shape[1]
        alone = np.eye(n_modalities, dtype=bool)[self._seen]
        self._observed, _ = find_patterns(presence)
        if self.patterns == "observed":
            return find_patterns(np.concatenate([self._observed, alone]))[0]
        n_seen = int(self._seen.sum())
        if n_seen > MAX_MODALITIES:
            raise ValueError(
                f"patterns='all' asks for a model for each of the 2**{n_seen} - 1 "
                f"combinations of {n_seen} modalities; at most {MAX_MODALITIES} "
                "modalities are possible. Use patterns='observed'."
            )
        subsets = np.array(list(product([False, True], repeat=n_seen))[1:])
        every = np.zeros((len(subsets), n_modalities), dtype=bool)
        every[:, self._seen] = subsets
        return every

    def _columns_of(self, pattern):
        """Columns of a combination, in the order of the layout."""
        blocks = [
            m.columns for m, had in zip(self.modalities_.values(), pattern) if had
        ]
        return np.concatenate(blocks)

    def _fit_scores(self, template, train, codes, support, read_score):
        """Weighted mean score of each pattern's model on rows it did not see."""
        tasks, places = [], []
        for inside, outside in self._splits(train, codes):
            for i, rows in enumerate(support):
                if (inside & rows).any() and (outside & rows).any():
                    held_out = outside & rows
                    columns = self._columns_of(self._patterns[i])
                    read = read_score(inside & rows, held_out)
                    tasks.append((inside & rows, held_out, columns, read))
                    places.append((i, train.weight[held_out]))
        totals, masses = np.zeros((2, len(support)))
        for (i, weight), scores in zip(
            places, self._predict_held_out(template, train, tasks)
        ):
            totals[i] += weight @ scores
            masses[i] += weight.sum()
        tested = masses > 0
        self.scores_[tested] = totals[tested] / masses[tested]

    def _choose(self, pattern):
        """Index of the model that answers for rows with this pattern."""
        usable = np.flatnonzero((pattern | ~self._patterns).all(axis=1))
        scores = np.nan_to_num(self.scores_[usable], nan=-np.inf)
        sizes = self._patterns[usable].sum(axis=1)
        order = np.lexsort((self.n_rows_[usable], sizes, scores))
        return usable[order[-1]]

    def _route(self, X, fallback):
        """Rows, model number and block of each model that has rows to answer."""
        X, presence = self._read_new(X, fallback)
        patterns, inverse = find_patterns(presence)
        chosen = np.full(len(patterns), -1)
        unseen = np.zeros(len(patterns), dtype=bool)
        for p in np.flatnonzero(patterns.any(axis=1)):
            chosen[p] = self._choose(patterns[p])
            unseen[p] = not (
                (self._patterns == patterns[p]).all(axis=1).any()
                or (self._observed == patterns[p]).all(axis=1).any()
            )
        self._warn_of_unseen(int(unseen[inverse].sum()), len(X), int(unseen.sum()))
        by_row = chosen[inverse]
        routes = []
        for i in np.unique(chosen[chosen >= 0]):
            rows = np.flatnonzero(by_row == i)
            columns = self._columns_of(self._patterns[i])
            routes.append((rows, i, self._block(X, rows, columns)))
        return len(X), routes

    def _warn_of_unseen(self, n_rows, n_all, n_patterns):
        if n_rows:
            advice = " patterns='all' fits a model for every combination."
            if self.patterns == "all":
                advice = (
                    f" Fewer than min_rows={self.min_rows} training rows contain those."
                )
            warnings.warn(
                f"{n_rows} of {n_all} rows have one of {n_patterns} combinations of "
                "modalities that no row had in training; models of fewer modalities "
                f"answer for them.{advice}",
                stacklevel=4,
            )
