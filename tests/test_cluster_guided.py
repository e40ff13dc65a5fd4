"""ClusterGuidedImputer: Algorithm 2 against its loops, and what an imputer owes."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing._blocks import find_presence, fit_scaler
from skmissing._modalities import resolve_modalities
from skmissing._table import ModalityTable, ModalityWarning
from skmissing.cluster import PartialModalityKMeans
from skmissing.impute import ClusterGuidedImputer
from skmissing.impute._cluster_guided import GreedyCompletion, nearest_donors

from .reference import greedy_completion, partial_distance

STRATEGIES = ["nearest", "greedy", "soft"]
WIDTHS = [2, 3, 1]


def rows_with_gaps(rng, n, widths, rate=0.5):
    X = rng.standard_normal((n, sum(widths)))
    keep = rng.uniform(size=(n, len(widths))) > rate
    keep[np.arange(n), rng.randint(len(widths), size=n)] = True
    X[~np.repeat(keep, widths, axis=1)] = np.nan
    return X


def kernel_input(rows, centers, widths):
    layout = resolve_modalities(widths, sum(widths))
    origin = np.zeros_like(rows)
    scaler = fit_scaler(ModalityTable(origin, layout))
    return (
        layout,
        scaler.split(ModalityTable(rows, layout)),
        scaler.center_blocks(centers),
    )


def assert_equals_algorithm_2(rows, centers, widths):
    """Check that the closed form picks the donor that the loops of the paper pick."""
    layout, blocks, scaled = kernel_input(rows, centers, widths)
    donors = GreedyCompletion(scaled, layout.slices).donors(blocks)
    for row, found in zip(rows, donors):
        expected = greedy_completion(row, centers, layout)
        assert {m: found[m] for m in expected} == expected


@pytest.mark.parametrize("case", range(40))
def test_greedy_equals_algorithm_2(case, seed):
    rng = np.random.RandomState([seed, case])
    widths = rng.randint(1, 4, size=rng.randint(2, 6)).tolist()
    n_clusters = rng.randint(1, 25)
    rows = rows_with_gaps(rng, 12, widths, rng.choice([0.3, 0.6, 0.8]))
    centers = rows_with_gaps(rng, n_clusters, widths, rng.choice([0, 0.2, 0.5, 0.8]))
    assert_equals_algorithm_2(rows, centers, widths)


@pytest.mark.parametrize("case", range(40))
def test_greedy_ties_follow_the_rule(case, seed):
    """With small integers nearly everything ties: nearest donor, then lowest index."""
    rng = np.random.RandomState([seed, case])
    widths = [1] * rng.randint(2, 5)
    rows = rng.randint(3, size=(10, len(widths))).astype(float)
    centers = rng.randint(3, size=(rng.randint(2, 9), len(widths))).astype(float)
    for X in (rows, centers):
        keep = rng.uniform(size=X.shape) < 0.6
        keep[np.arange(len(X)), rng.randint(X.shape[1], size=len(X))] = True
        X[~keep] = np.nan
    assert_equals_algorithm_2(rows, centers, widths)


def test_greedy_prefers_what_shares_nothing():
    """The self-match of the paper: a centre without overlap is at distance 0."""
    nan = np.nan
    rows = np.array([[1.0, nan]])
    centers = np.array([[1.1, 5.0], [nan, 7.0]])
    layout, blocks, scaled = kernel_input(rows, centers, [1, 1])
    assert GreedyCompletion(scaled, layout.slices).donors(blocks)[0, 1] == 1
    assert nearest_donors(blocks, scaled)[0, 1] == 0


def test_nearest_by_loops(seed):
    rng = np.random.RandomState(seed)
    rows = rows_with_gaps(rng, 60, WIDTHS)
    centers = rows_with_gaps(rng, 9, WIDTHS)
    layout, blocks, scaled = kernel_input(rows, centers, WIDTHS)
    donors = nearest_donors(blocks, scaled)
    for row, found in zip(rows, donors):
        distances = np.array([partial_distance(row, c, layout) for c in centers])
        for m, modality in enumerate(layout.values()):
            owners = ~np.isnan(centers[:, modality.columns]).any(axis=1)
            allowed = np.where(owners, distances, np.inf)
            expected = -1 if np.isinf(allowed.min()) else allowed.argmin()
            assert found[m] == expected


def test_nearest_and_greedy_agree_on_complete_centers(seed):
    rng = np.random.RandomState(seed)
    train = rng.standard_normal((200, 6))
    X = rows_with_gaps(rng, 100, WIDTHS)
    found = [
        ClusterGuidedImputer(12, modalities=WIDTHS, strategy=s, random_state=seed)
        .fit(train)
        .transform(X)
        for s in ("nearest", "greedy")
    ]
    assert_array_equal(*found)


def test_soft_by_loops(seed):
    """A gap is the mean of the centres that have it, weighted by exp(-d^2 / T)."""
    rng = np.random.RandomState(seed)
    train, X = (rows_with_gaps(rng, n, WIDTHS) for n in (150, 20))
    imputer = ClusterGuidedImputer(
        15, modalities=WIDTHS, strategy="soft", standardize=False, random_state=seed
    ).fit(train)
    layout, centers = imputer.modalities_, imputer.clusterer_.cluster_centers_
    filled = imputer.transform(X)
    for row, found in zip(X, filled):
        squared = np.array([partial_distance(row, c, layout) for c in centers])
        weights = np.exp(-squared / imputer.temperature_)
        for modality in layout.values():
            if np.isnan(row[modality.columns]).all():
                block = centers[:, modality.columns]
                owners = ~np.isnan(block).any(axis=1)
                expected = np.average(block[owners], axis=0, weights=weights[owners])
                assert_allclose(found[modality.columns], expected)


def hidden_errors(X, centers, layout, temperature, labels=None):
    """Squared errors on each modality hidden in turn, by modality.

    A row with a label is left out of the centre of its cluster.
    """
    errors = []
    for hidden in layout.values():
        squares = []
        for i, row in enumerate(X):
            rest = row.copy()
            rest[hidden.columns] = np.nan
            if np.isnan(row[hidden.columns]).all() or np.isnan(rest).all():
                continue
            others = centers.copy()
            if labels is not None:
                mates = X[(labels == labels[i]) & (np.arange(len(X)) != i)]
                for modality in layout.values():
                    block = mates[:, modality.columns]
                    block = block[~np.isnan(block).any(axis=1)]
                    own = block.mean(axis=0) if len(block) else np.nan
                    others[labels[i], modality.columns] = own
            squared = np.array([partial_distance(rest, c, layout) for c in others])
            block = others[:, hidden.columns]
            owners = ~np.isnan(block).any(axis=1) & np.isfinite(squared)
            weights = np.exp((squared[owners].min() - squared[owners]) / temperature)
            guess = np.average(block[owners], axis=0, weights=weights)
            squares.append(np.mean((guess - row[hidden.columns]) ** 2))
        errors.append(squares)
    return errors


def linked_rows(rng, n_rows):
    latent = rng.standard_normal((n_rows, 2))
    X = latent @ np.random.RandomState(0).standard_normal((2, 6))
    X += 0.3 * rng.standard_normal((n_rows, 6))
    X[np.isnan(rows_with_gaps(rng, n_rows, WIDTHS, 0.3))] = np.nan
    return X


def grid_of(clusterer, X):
    linked = find_presence(X, clusterer.modalities_)[0].sum(axis=1) > 1
    nearest = clusterer.transform(X).min(axis=1)[linked]
    return np.median(nearest) ** 2 * 2.0 ** np.arange(2, -9, -1)


def test_temperature_is_the_best_on_hidden_modalities(seed):
    X = linked_rows(np.random.RandomState(seed), 90)
    imputer = ClusterGuidedImputer(
        9, modalities=WIDTHS, standardize=False, random_state=seed
    ).fit(X)
    model, grid = imputer.clusterer_, grid_of(imputer.clusterer_, X)
    centers, layout = model.cluster_centers_, model.modalities_
    errors = [
        sum(map(np.mean, hidden_errors(X, centers, layout, t, model.labels_)))
        for t in grid
    ]
    assert_allclose(imputer.temperature_, grid[np.argmin(errors)])


def test_new_rows_are_judged_before_they_are_learnt(seed):
    rng = np.random.RandomState(seed)
    X, new = linked_rows(rng, 60), linked_rows(rng, 40)
    imputer = ClusterGuidedImputer(
        9, modalities=WIDTHS, standardize=False, random_state=seed
    ).fit(X)
    model = imputer.clusterer_
    centers, layout, labels = model.cluster_centers_, model.modalities_, model.labels_
    errors = [
        [
            np.mean(first + later)
            for first, later in zip(
                hidden_errors(X, centers, layout, t, labels),
                hidden_errors(new, centers, layout, t),
            )
        ]
        for t in grid_of(model, X)
    ]
    imputer.partial_fit(new)
    scores = imputer._scores
    found = scores.errors / scores.counts[:, None]
    assert_allclose(found.T, errors)
    assert imputer.temperature_ == scores.temperatures[found.sum(axis=0).argmin()]


def test_rows_without_company_leave_the_temperature(seed):
    X = linked_rows(np.random.RandomState(seed), 90)
    imputer = ClusterGuidedImputer(9, modalities=WIDTHS, random_state=seed).fit(X)
    before = imputer.temperature_
    single = np.where(np.arange(6) < WIDTHS[0], np.nan_to_num(X), np.nan)
    imputer.partial_fit(single)
    with pytest.warns(UserWarning, match="90 samples have no observed modality"):
        imputer.partial_fit(X * np.nan)
    assert imputer.temperature_ == before


def test_temperature_without_linked_rows(seed):
    X = np.full((20, 2), np.nan)
    X[:10, 0] = X[10:, 1] = np.arange(10)
    imputer = ClusterGuidedImputer(
        3, modalities=[1, 1], strategy="soft", random_state=seed
    ).fit(X)
    assert imputer.temperature_ == 1.0
    with pytest.warns(UserWarning, match="samples have missing cells that no observed"):
        assert not np.isnan(imputer.transform(X)).any()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_cluster_is_mean_imputation(strategy, seed):
    X = rows_with_gaps(np.random.RandomState(seed), 60, WIDTHS)
    filled = ClusterGuidedImputer(
        1, modalities=WIDTHS, strategy=strategy, random_state=seed
    ).fit_transform(X)
    assert_allclose(filled, np.where(np.isnan(X), np.nanmean(X, axis=0), X))


def test_input_kinds_agree(df_module, seed):
    """Widths on an array, a masked array, and prefixed names give one result."""
    X = rows_with_gaps(np.random.RandomState(seed), 60, WIDTHS)
    names = ["a__0", "a__1", "b__0", "b__1", "b__2", "c__0"]
    expected = ClusterGuidedImputer(
        5, modalities=WIDTHS, random_state=seed
    ).fit_transform(X)
    masked = np.ma.array(np.nan_to_num(X, nan=99.0), mask=np.isnan(X))
    by_mask = ClusterGuidedImputer(5, modalities=WIDTHS, random_state=seed)
    assert_array_equal(by_mask.fit_transform(masked), expected)
    frame = df_module.DataFrame(dict(zip(names, X.T)))
    by_name = ClusterGuidedImputer(5, random_state=seed)
    assert_array_equal(by_name.fit_transform(frame), expected)
    assert list(by_name.modalities_) == ["a", "b", "c"]


def test_masked_integers():
    X = np.ma.array([[1, 2], [3, 4], [5, 6]], mask=[[0, 1], [0, 0], [0, 0]])
    filled = ClusterGuidedImputer(1).fit_transform(X)
    assert_array_equal(filled, [[1, 5], [3, 4], [5, 6]])


def test_indicator_depends_on_layout_only(seed):
    train = np.random.RandomState(seed).standard_normal((30, 6))
    imputer = ClusterGuidedImputer(
        3, modalities={"a": 2, "b": 3, "c": 1}, add_indicator=True, random_state=0
    ).fit(train)
    X = rows_with_gaps(np.random.RandomState(seed), 20, WIDTHS)
    filled = imputer.transform(X)
    assert_array_equal(filled[:, 6:], np.isnan(X[:, [0, 2, 5]]))
    names = ["x0", "x1", "x2", "x3", "x4", "x5", "missing_a", "missing_b", "missing_c"]
    assert imputer.get_feature_names_out().tolist() == names
    frame = imputer.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == names


def test_indicators_are_a_modality_by_prefix():
    columns = ["a__0", "a__1", "b__0", "b__1", "b__2", "c__0"]
    X = pd.DataFrame(rows_with_gaps(np.random.RandomState(0), 40, WIDTHS))
    X.columns = columns
    imputer = ClusterGuidedImputer(3, add_indicator=True, random_state=0)
    frame = imputer.set_output(transform="pandas").fit_transform(X)
    layout = PartialModalityKMeans(3, random_state=0).fit(frame).modalities_
    assert {name: m.width for name, m in layout.items()} == {
        "a": 2, "b": 3, "c": 1, "missing": 3,
    }  # fmt: skip


@pytest.mark.parametrize("keep", [True, False])
def test_modality_never_observed(keep, seed):
    X = rows_with_gaps(np.random.RandomState(seed), 40, [3, 3])
    X = np.hstack([X, np.full((40, 2), np.nan)])
    imputer = ClusterGuidedImputer(
        3, modalities=[3, 3, 2], keep_empty_features=keep, random_state=seed
    )
    fate = "filled with 0" if keep else "dropped"
    with pytest.warns(UserWarning, match=f"'modality2'; their columns are {fate}"):
        imputer.fit(X)
    filled = imputer.transform(X)
    assert filled.shape[1] == len(imputer.get_feature_names_out()) == (8 if keep else 6)
    if keep:
        assert (filled[:, 6:] == 0).all()
        X[0, 6:] = 7.0
        with pytest.warns(UserWarning, match="ignored: 'modality2', which 1 of 40"):
            assert (imputer.transform(X)[0, 6:] == 7).all()


@pytest.mark.parametrize("keep", [True, False])
def test_column_never_observed(keep, seed):
    X = np.random.RandomState(seed).standard_normal((40, 4))
    X[:, 1] = np.nan
    X[:5, 2:] = np.nan
    frame = pd.DataFrame(X, columns=["a__0", "a__1", "b__0", "b__1"])
    imputer = ClusterGuidedImputer(3, keep_empty_features=keep, random_state=seed)
    with pytest.warns(UserWarning, match="1 of . columns are not observed .*: 'a__1'"):
        imputer.fit(frame)
    filled = imputer.transform(frame)
    assert not np.isnan(filled).any()
    assert filled.shape[1] == (4 if keep else 3)
    if keep:
        assert (filled[:, 1] == 0).all()


def test_rows_with_nothing_get_the_mean(seed):
    X = rows_with_gaps(np.random.RandomState(seed), 40, WIDTHS)
    imputer = ClusterGuidedImputer(3, modalities=WIDTHS, random_state=seed).fit(X)
    with pytest.warns(UserWarning, match="2 of 3 samples have no observed modality"):
        filled = imputer.transform(np.vstack([np.full((2, 6), np.nan), np.ones(6)]))
    assert_allclose(filled[:2], np.nanmean(X, axis=0)[None].repeat(2, 0))


def test_holes_are_filled_from_the_nearest_owner(seed):
    X = np.random.RandomState(seed).standard_normal((50, 4)) + np.repeat(
        [[0], [9]], 25, 0
    )
    imputer = ClusterGuidedImputer(
        2, modalities=[2, 2], strategy="nearest", random_state=seed
    ).fit(X)
    row = X[:1].copy()
    row[0, 1] = np.nan
    label = imputer.clusterer_.predict(row)[0]
    expected = imputer.clusterer_.cluster_centers_[label, 1]
    assert imputer.transform(row)[0, 1] == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_batches(strategy, seed):
    rng = np.random.RandomState(seed)
    group = rng.permutation(np.repeat([0, 1], 100))
    X = 0.1 * rows_with_gaps(rng, 200, WIDTHS) + 50 * group[:, None]
    imputer = ClusterGuidedImputer(
        2, modalities=WIDTHS, strategy=strategy, random_state=seed
    )
    for rows in np.array_split(np.arange(200), 4):
        imputer.partial_fit(X[rows])
    assert_allclose(imputer.statistics_, np.nanmean(X, axis=0))
    means = np.array([np.nanmean(X[group == g], axis=0) for g in (0, 1)])
    expected = np.where(np.isnan(X), means[group], X)
    assert_allclose(imputer.transform(X), expected, atol=1e-4)


def test_k_larger_than_n():
    with pytest.raises(ValueError, match="n_samples=3 should be >= n_clusters=40"):
        ClusterGuidedImputer(40).fit(np.eye(3))
    X = np.vstack([np.eye(3), np.full(3, np.nan)])
    with pytest.warns(ModalityWarning, match="1 of 4 samples have no observed"):
        imputer = ClusterGuidedImputer(random_state=0).fit(X)
    assert imputer.clusterer_.n_clusters == 3
    many = ClusterGuidedImputer(random_state=0).fit(np.arange(90.0).reshape(-1, 2))
    assert many.clusterer_.n_clusters == 40


def test_unknown_strategy():
    with pytest.raises(ValueError, match="strategy.*Got 'best' instead"):
        ClusterGuidedImputer(2, strategy="best").fit(np.eye(3))
