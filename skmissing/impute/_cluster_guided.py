"""Imputation from cluster centres: stages 1 and 2 of UL4M4."""

import copy
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np

from skmissing._base import _fit_context
from skmissing._blocks import block_norms, find_patterns
from skmissing._compat import Interval, StrOptions
from skmissing._distances import label_distances, nearest_centers, squared_distances
from skmissing._docs import shared_docs
from skmissing.cluster import PartialModalityKMeans
from skmissing.impute._base import BaseModalityImputer

# Number of clusters of "auto". With fewer samples, it is their number.
USUAL_CLUSTERS = 40
# Maximum number of samples for the choice of the temperature.
MOST_SCORED = 2000


@shared_docs
class ClusterGuidedImputer(BaseModalityImputer):
    """Impute missing modalities from the centres of clusters.

    The samples are clustered by :class:`skmissing.cluster.PartialModalityKMeans`.
    Missing cells are filled from the centres that are nearest in the observed
    modalities of the sample. Observed cells are never changed.

    Read more in the :ref:`User Guide <imputation>`.

    Parameters
    ----------
    n_clusters : int or "auto", default="auto"
        Number of clusters. "auto" is 40, or the number of samples with an observed
        cell if there are fewer. With one cluster, the training mean is imputed.
    %(modalities)s
    strategy : {"soft", "nearest", "greedy"}, default="soft"
        How missing modalities are filled.

        - "soft": with the mean of all centres that have the modality, weighted by
          `exp(-d**2 / temperature_)`, where d is the distance over the observed
          modalities.
        - "nearest": from the nearest centre that has the modality.
        - "greedy": by Algorithm 2 of the paper. If all centres are complete, it is the
          same as "nearest". Otherwise, it favours centres that share no modality with
          the sample, see Notes.
    temperature : "auto" or float, default="auto"
        Scale of the squared distances in the weights of `strategy="soft"`. "auto"
        chooses it by hiding modalities of the training samples.
    standardize : bool or "modality", default=True
        Whether to compute distances on standardised columns. "modality" scales each
        modality as a whole, as in :class:`~skmissing.cluster.PartialModalityKMeans`.
    init : {"k-means++", "random"}, callable or array-like of shape \
            (n_clusters, n_features), default="k-means++"
        Initial centres of the clustering.
    n_init : "auto" or int, default="auto"
        Number of runs of the clustering.
    max_iter : int, default=300
        Maximum number of iterations of a single run.
    tol : float, default=1e-4
        Tolerance of the clustering.
    %(add_indicator, keep_empty_features)s
    random_state : int, RandomState instance or None, default=None
        Seed of the clustering.
    verbose : int, default=0
        Verbosity of the clustering.

    Attributes
    ----------
    clusterer_ : PartialModalityKMeans
        The fitted clustering.
    temperature_ : float
        The given or chosen temperature. Only with `strategy="soft"`.
    n_iter_ : int
        Number of iterations of the clustering.
    statistics_ : ndarray of shape (n_features,)
        Training mean of each column, for samples in which nothing is observed.
    %(modalities_, n_features_in_, feature_names_in_)s

    Raises
    ------
    ValueError
        If `n_clusters` is larger than the number of samples with an observed cell, or
        `modalities` does not fit the columns of X.

    See Also
    --------
    FactorImputer : Imputes from clusters with shared factors, with standard errors.
    skmissing.cluster.PartialModalityKMeans : The clustering.
    sklearn.impute.KNNImputer : Averages samples instead of centres, for each cell.

    Notes
    -----
    The paper [1]_ builds one candidate per centre: the sample with its missing cells
    filled from that centre. It finds the closest pair of a candidate and a centre,
    copies the missing cells from this candidate, and repeats while cells are missing.
    With complete centres, the first candidate comes from the nearest centre. With
    incomplete centres, copied cells are compared, too, and have distance 0 from their
    own centre. A centre that shares no modality with the sample therefore always wins.
    "nearest" compares only the observed cells of the sample.

    Missing cells of a partially observed modality are filled from the nearest centre
    that has the modality.

    To choose the temperature, at most 2000 training samples with two or more modalities
    are used. Each of their modalities is hidden in turn. Candidates are multiples of
    the median squared distance to the nearest centre. The temperature with the lowest
    mean squared error on the hidden modalities is chosen.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.impute import ClusterGuidedImputer
    >>> X = np.array([[0., 0., 5.], [0., 2., 5.], [8., 8., 1.], [8., 9., np.nan]])
    >>> imputer = ClusterGuidedImputer(2, modalities=[2, 1], random_state=0)
    >>> imputer.fit_transform(X)
    array([[0., 0., 5.],
           [0., 2., 5.],
           [8., 8., 1.],
           [8., 9., 1.]])
    """

    _has_parts = True
    _parameter_constraints: dict = {
        **BaseModalityImputer._parameter_constraints,
        **PartialModalityKMeans._parameter_constraints,
        "n_clusters": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "strategy": [StrOptions({"nearest", "greedy", "soft"})],
        "temperature": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
        ],
    }

    def __init__(
        self,
        n_clusters="auto",
        *,
        modalities=None,
        strategy="soft",
        temperature="auto",
        standardize=True,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        add_indicator=False,
        keep_empty_features=True,
        random_state=None,
        verbose=0,
    ):
        self.n_clusters = n_clusters
        self.modalities = modalities
        self.strategy = strategy
        self.temperature = temperature
        self.standardize = standardize
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state
        self.verbose = verbose

    _reads_sources = True

    @property
    def _reads_devices(self):
        return self.strategy != "greedy"

    def _fit_imputer(self, table):
        names = PartialModalityKMeans._get_param_names()
        clusterer = PartialModalityKMeans(**{n: getattr(self, n) for n in names})
        if self.n_clusters == "auto":
            clusterer.n_clusters = min(USUAL_CLUSTERS, max(1, table.n_usable))
        self._hand_on(clusterer)
        blocks = clusterer._fit_table(table, self._fit_task)
        self.clusterer_ = clusterer
        self.n_iter_ = clusterer.n_iter_
        self._strategy = self.strategy
        if self.strategy == "soft":
            self._scores = None
            if self.temperature == "auto":
                # The samples of `blocks` are in the centres, unless there were more.
                centers, labels = clusterer._centers, None
                if len(blocks.presence) == len(table):
                    labels = nearest_centers(blocks, centers)
                self._scores = score_temperatures(blocks, centers, labels)
            self._set_temperature()
        return clusterer._scaler.column_mean

    def _set_temperature(self):
        if self.temperature != "auto":
            self.temperature_ = float(self.temperature)
        elif self._scores is None:
            self.temperature_ = 1.0
        else:
            # The lowest mean error, with equal weights of all modalities.
            scores = self._scores
            means = scores.errors / np.maximum(scores.counts, 1)[:, None]
            self.temperature_ = float(scores.temperatures[means.sum(axis=0).argmin()])

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Update the clusters with new samples.

        The first call is `fit`. Later calls update the clusters by
        :meth:`skmissing.cluster.PartialModalityKMeans.partial_fit`. The temperature of
        `strategy="soft"` is chosen on the samples of all calls. New samples are
        evaluated before the centres are updated.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN and masked cells are missing. At least `n_clusters` samples in the
            first call.
        %(y)s

        Returns
        -------
        %(self)s
        """
        if not hasattr(self, "statistics_"):
            return self.fit(X, y)
        table = self._validate(X, reset=False, on_device=False)
        table.warn_empty("left out of the fit")
        self._seen = self._seen | table.observed_columns
        if self._strategy == "soft" and self.temperature == "auto":
            # On the previous centres, which were not fitted to these samples.
            linked = np.flatnonzero(table.presence.sum(axis=1) > 1)
            sample = table[linked[:: -(-len(linked) // MOST_SCORED) or 1]]
            blocks = self.clusterer_._scaler.split(sample)
            centers = self.clusterer_._centers_as(table.X.dtype)
            self._scores = score_temperatures(blocks, centers, before=self._scores)
            self._set_temperature()
        # On a copy, so that a failing call does not change the clustering.
        self.clusterer_ = copy.copy(self.clusterer_)
        self.clusterer_._partial_fit_table(table)
        self.statistics_ = self.clusterer_._scaler.column_mean
        return self

    def _impute(self, table):
        centers = self.clusterer_._centers_as(table.dtype)
        units = self.clusterer_._units().astype(table.dtype, copy=False)
        if table.on_device:
            temperature = self.temperature_ if self._strategy == "soft" else None
            squared = table.blocks(self.clusterer_._scaler).squared(centers)
            return fill_on_device(table, squared, centers, units, temperature)
        X, layout = table.X, self.modalities_
        blocks = self.clusterer_._scaler.split(table)
        values = np.full_like(X, np.nan)
        if self._strategy == "soft":
            squared = squared_distances(blocks, centers)
            weights = soft_weights(squared, self.temperature_)
        elif self._strategy == "greedy":
            donors = GreedyCompletion(centers, layout.slices).donors(blocks)
        else:
            donors = nearest_donors(blocks, centers)
        for m, columns in enumerate(layout.columns):
            rows = np.flatnonzero(~table.presence[:, m] | table.partial)
            if self._strategy == "soft":
                soft, reached = soft_values(
                    weights[rows], units[:, columns], centers.presence[:, m]
                )
                rows, filling = rows[reached], soft[reached]
            else:
                rows = rows[donors[rows, m] >= 0]
                filling = units[:, columns][donors[rows, m]]
            if isinstance(columns, slice):
                values[rows, columns] = filling
            else:
                values[np.ix_(rows, columns)] = filling
        return values


# Numerics: the choice of the centre that fills each missing modality.
# A donor is the centre from which a modality is copied, or -1 if there is none.


def nearest_donors(blocks, centers):
    """Nearest centre with each modality, (n_rows, n_modalities); -1 for none."""
    if centers.presence.all():
        labels = nearest_centers(blocks, centers)
        return np.repeat(labels[:, None], centers.presence.shape[1], axis=1)
    return _nearest_owners(squared_distances(blocks, centers), centers.presence)


def _nearest_owners(squared, owned):
    donors = np.full((len(squared), owned.shape[1]), -1, dtype=np.intp)
    rows = np.arange(len(squared))
    for m in np.flatnonzero(owned.any(axis=0)):
        owners = np.flatnonzero(owned[:, m])
        best = squared[:, owners].argmin(axis=1)
        reached = np.isfinite(squared[rows, owners[best]])
        donors[reached, m] = owners[best[reached]]
    return donors


def soft_weights(squared, temperature):
    """Weights exp(-(d² - min d²) / T) of the centres; 0 if no modality is shared."""
    lowest = squared.min(axis=1, keepdims=True)
    lowest[np.isinf(lowest)] = 0
    return np.exp((lowest - squared) / squared.dtype.type(temperature))


def soft_values(weights, centers, owned):
    """Weighted means of one modality over the centres that have it, and a mask."""
    # weights (n_rows, k), centers (k, width), owned (k,) -> (n_rows, width), (n_rows,)
    shares = weights[:, owned]
    total = shares.sum(axis=1, keepdims=True)
    reached = total > 0
    shares /= np.where(reached, total, 1)
    return shares @ centers[owned], reached[:, 0]


def fill_on_device(table, squared, centers, units, temperature=None):
    """Cells of all modalities, "soft" if there is a temperature, or "nearest"."""
    xp, parts = table.xp, []
    lowest = xp.min(squared, axis=1, keepdims=True)
    lowest = xp.where(xp.isinf(lowest), 0.0, lowest)
    for m, columns in enumerate(table.layout.columns):
        # Without any owner, the cells of the first centre are NaN.
        owners = np.flatnonzero(centers.presence[:, m])
        owners = owners if len(owners) else np.zeros(1, dtype=np.intp)
        cells = table.put(units[owners][:, columns])
        own = xp.take(squared, table.put(owners), axis=1)
        reached = ~xp.isinf(xp.min(own, axis=1))
        if temperature is None:
            filling = xp.take(cells, xp.argmin(own, axis=1), axis=0)
        else:
            shares = xp.exp((lowest - own) / temperature)
            total = xp.sum(shares, axis=1, keepdims=True)
            reached = total[:, 0] > 0
            filling = (shares / xp.where(total > 0, total, 1.0)) @ cells
        parts.append(xp.where(reached[:, None], filling, xp.nan))
    in_columns = table.put(np.argsort(table.layout.order))
    return xp.take(xp.concat(parts, axis=1), in_columns, axis=1)


@dataclass(frozen=True)
class TemperatureScores:
    """Errors of each temperature on hidden modalities of all samples so far."""

    temperatures: np.ndarray  # (n_temperatures,)
    errors: np.ndarray  # (n_modalities, n_temperatures), sums over samples
    counts: np.ndarray  # (n_modalities,), number of samples with a hidden modality


def score_temperatures(blocks, centers, labels=None, before=None):
    """Fill hidden modalities of some samples at several temperatures."""
    # labels: None if the centres were not fitted to the samples.
    # before: scores of earlier samples.
    linked = blocks.presence.sum(axis=1) > 1
    members = None
    if labels is not None:
        linked &= labels >= 0
        members = np.zeros(centers.presence.shape)
        np.add.at(members, labels[labels >= 0], blocks.presence[labels >= 0])
    linked = np.flatnonzero(linked)
    if not len(linked):
        return before
    linked = linked[:: -(-len(linked) // MOST_SCORED)]
    sample = blocks.take(linked)
    labels = None if labels is None else labels[linked]
    if before is None:
        n_modalities = blocks.presence.shape[1]
        _, squared = nearest_centers(sample, centers, return_squared=True)
        usual = float(np.median(np.sqrt(squared[np.isfinite(squared)]))) ** 2
        usual = usual if usual > 0 else 1.0
        # The median times 4, 2, ..., 1/256.
        temperatures = usual * 2.0 ** np.arange(2, -9, -1)
        before = TemperatureScores(
            temperatures,
            np.zeros((n_modalities, len(temperatures))),
            np.zeros(n_modalities),
        )
    errors, counts = before.errors.copy(), before.counts.copy()
    for m in range(len(counts)):
        rows = np.flatnonzero(sample.presence[:, m])
        if len(rows):
            hidden = blocks.take(linked[rows], hide=m)
            own = None if labels is None else (labels[rows], members[labels[rows]] - 1)
            errors[m] += _hidden_errors(
                sample, hidden, m, centers, rows, before.temperatures, own
            )
            counts[m] += len(rows)
    return TemperatureScores(before.temperatures, errors, counts)


def _hidden_errors(sample, hidden, m, centers, rows, temperatures, own):
    """Sum of squared errors on the hidden modality m, per temperature."""
    columns = sample.layout.slices[m]
    truth = sample.groups[0].source[rows, columns]
    owned, center_values = centers.presence[:, m], centers.values[:, columns]
    squared = squared_distances(hidden, centers)
    each = np.arange(len(rows))
    if own is not None:
        labels, others = own
        # The centre c is a mean that includes the sample x, so errors would be too
        # small. Use the mean of the other samples instead, c + (c - x) / (n - 1).
        group = hidden.groups[0]
        norms = block_norms(group.source - centers.values[labels], group.widths)
        shared = hidden.presence & (others >= 1)
        grown = (1 + 1 / np.maximum(others, 1)) ** 2 * norms * shared
        n_shared = shared.sum(axis=1)
        mean = grown.sum(axis=1) / np.maximum(n_shared, 1)
        squared[each, labels] = np.where(n_shared > 0, mean, np.inf)
        alone = others[:, m] < 1
        squared[each[alone], labels[alone]] = np.inf
        lent = (center_values[labels] - truth) / np.maximum(others[:, m], 1)[:, None]
    errors = []
    for temperature in temperatures:
        weights = soft_weights(squared, temperature)
        values, _ = soft_values(weights, center_values, owned)
        if own is not None:
            total = weights[:, owned].sum(axis=1)
            share = weights[each, labels] / np.where(total > 0, total, 1)
            values += share[:, None] * lent
        errors.append(((values - truth) ** 2).sum())
    return np.array(errors)


@dataclass
class GreedyCompletion:
    """Algorithm 2 of UL4M4, without its loops over candidates.

    Candidate j of a sample x is x with its missing cells filled from centre j. Its
    score is the minimum over the centres c of

    (S(x, c) + sum of E_m(j, c) over the filled modalities m that c has) / number of
    shared modalities,

    where S is the sum over the observed modalities of x, and E is between centres. Each
    missing modality is copied from the candidate with the lowest score that has it.
    Donors that fill the same set of modalities (a signature) differ only in E, which
    does not depend on x. Per pattern, signature and centre, only the donors with the
    lowest E are therefore needed. Each sample takes one comparison per signature and
    centre.

    If scores tie, the donor closest to x over the observed modalities is used, then the
    one with the lowest index.
    """

    centers: object
    slices: list  # columns of each modality in layout order
    _between: np.ndarray = field(init=False, repr=False)
    _plans: dict = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self):
        owned = self.centers.presence
        self._between = np.zeros((owned.shape[1], *[len(owned)] * 2))
        for m, columns in enumerate(self.slices):
            block = self.centers.values[:, columns].astype(np.float64)
            norms = np.einsum("ij,ij->i", block, block)
            squared = norms[:, None] - 2 * block @ block.T + norms
            np.maximum(squared, 0, out=squared)
            # The distance of a centre from itself is exactly 0.
            np.fill_diagonal(squared, 0)
            self._between[m] = np.where(np.outer(owned[:, m], owned[:, m]), squared, 0)

    def donors(self, blocks):
        """Donor of each missing modality, or nearest centre: (n_rows, n_modalities)."""
        if self.centers.presence.all():
            return nearest_donors(blocks, self.centers)
        squared = squared_distances(blocks, self.centers).astype(np.float64)
        # The distance of a sample that equals a centre is 0, but a product only
        # approximates it. Here it must be exact, because candidates at distance 0 tie.
        labels = squared.argmin(axis=1)
        exact = label_distances(blocks, self.centers, labels)
        reached = np.flatnonzero(blocks.presence.any(axis=1))
        squared[reached, labels[reached]] = exact[reached]
        donors = _nearest_owners(squared, self.centers.presence)
        patterns, inverse = find_patterns(blocks.presence)
        for p, pattern in enumerate(patterns):
            if not pattern.all() and pattern.any():
                rows = np.flatnonzero(inverse == p)
                donors[np.ix_(rows, ~pattern)] = self._complete(squared[rows], pattern)
        return donors

    def _complete(self, squared, pattern):
        """Donors of the missing modalities for samples of one pattern."""
        owned = self.centers.presence
        n_shared = owned[:, pattern].sum(axis=1)
        sums = np.where(n_shared > 0, squared, 0) * n_shared
        absent = np.flatnonzero(~pattern)
        best = np.full((len(absent), 3, len(squared)), np.inf)
        for lent, *plan in self._plan(pattern):
            found = np.stack(_best_candidate(sums, squared, n_shared, *plan))
            for a in np.flatnonzero(lent[absent]):
                better = _comes_before(found, best[a])
                best[a][:, better] = found[:, better]
        donors = np.where(np.isinf(best[:, 0]), -1, best[:, 2])
        return donors.T.astype(np.intp)

    def _plan(self, pattern):
        """Per signature: filled modalities, donors; lowest E and overlap per centre."""
        key = pattern.tobytes()
        if key not in self._plans:
            owned = self.centers.presence
            signatures, inverse = find_patterns(owned & ~pattern)
            self._plans[key] = []
            for s, lent in enumerate(signatures):
                if not lent.any():
                    continue
                donors = np.flatnonzero(inverse == s)
                between = self._between[lent][:, donors].sum(axis=0)
                least = between.min(axis=0)
                n_lent = owned[:, lent].sum(axis=1)
                plan = (lent, donors, least, n_lent, between == least)
                self._plans[key].append(plan)
        return self._plans[key]


def _best_candidate(sums, squared, n_shared, donors, least, n_lent, attains):
    """Score, distance to the sample, and index of the best donor of a signature."""
    rows = np.arange(len(sums))
    n_terms = n_shared + n_lent
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(n_terms > 0, (sums + least) / n_terms, np.inf)
    center = scores.argmin(axis=1)
    score = scores[rows, center]
    donor = donors[attains.argmax(axis=0)[center]]
    tied = (scores == score[:, None]).sum(axis=1) > 1
    tied |= attains.sum(axis=0)[center] > 1
    again = np.flatnonzero(tied & np.isfinite(score))
    if len(again):
        at_best = scores[again] == score[again, None]
        candidates = at_best.astype(np.float64) @ attains.T > 0
        own = np.minimum(squared[again][:, donors], np.finfo(np.float64).max)
        own[~candidates] = np.inf
        donor[again] = donors[own.argmin(axis=1)]
    return score, squared[rows, donor], donor


def _comes_before(found, best):
    """Whether (score, distance, index) of one candidate precede those of another."""
    before = found[2] < best[2]
    for key in (1, 0):
        before = (found[key] < best[key]) | ((found[key] == best[key]) & before)
    return before
