"""Display of imputed and observed values."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_random_state

from skmissing._compat import import_optional
from skmissing._docs import shared_docs
from skmissing._modalities import count
from skmissing._table import read_array, warn
from skmissing.compose._tables import is_pandas
from skmissing.inspection._displays import COLORS, tidy
from skmissing.inspection._scores import check_names
from skmissing.inspection._scoring import as_table
from skmissing.metrics._distances import check_same_columns

_COLUMNS = 3


@shared_docs
class ImputationDisplay:
    """Imputed and observed values of modalities, projected to two dimensions.

    There is one panel per modality. Real points are samples that have the modality.
    Imputed points are samples in which it is missing. With a good imputer, imputed
    points have the same location and spread as real points. If imputed points are
    concentrated in one place, the imputer predicts little more than the mean.

    It is recommended to use :meth:`from_data` or :meth:`from_estimator` to create a
    display.

    Parameters
    ----------
    points : dict of str to ndarray of shape (n_points, 2)
        Points by modality.
    imputed : dict of str to ndarray of shape (n_points,), dtype bool
        Which points are imputed.
    axis_labels : dict of str to tuple of str
        Labels of the horizontal and vertical axis, by modality.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One per modality.
    ax_ : matplotlib Axes
        The first of `axes_`.
    %(figure_)s

    See Also
    --------
    skmissing.metrics.block_nrmse : Error on cells whose true value is known.

    Notes
    -----
    Columns are standardised by their observed cells. PCA is fitted to the real points,
    and the imputed points are projected onto it. t-SNE is fitted to both kinds of
    points. Its distances between groups, and its sizes of groups, have no meaning.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from skmissing.inspection import ImputationDisplay
    >>> X = np.random.RandomState(0).standard_normal((50, 4))
    >>> X[:10, :2] = np.nan
    >>> X_imputed = SimpleImputer().fit_transform(X)
    >>> display = ImputationDisplay.from_data(
    ...     X, X_imputed, modalities={"text": 2, "audio": 2}
    ... )  # doctest: +SKIP
    """

    def __init__(self, *, points, imputed, axis_labels):
        self.points = points
        self.imputed = imputed
        self.axis_labels = axis_labels

    @classmethod
    def from_estimator(cls, imputer, X, *, modalities=None, **params):
        """Impute a table with a fitted imputer and draw the result.

        Parameters
        ----------
        imputer : transformer
            Fitted imputer. Columns that it adds after those of X, as with
            `add_indicator=True`, are left out.
        X : array-like of shape (n_samples, n_features)
            The incomplete table.
        modalities : list of int, dict or None, default=None
            Groups of columns of X. None uses the groups of the imputer.
        **params : dict
            Other parameters of :meth:`from_data`: `show`, `method`, `max_samples`,
            `random_state`, `ax`.

        Returns
        -------
        ImputationDisplay
            The display, drawn.
        """
        layout = as_table(X, modalities, imputer).layout
        return cls.from_data(
            X,
            _drop_added(imputer.transform(X), imputer, layout.n_features),
            modalities=layout,
            **params,
        )

    @classmethod
    def from_data(
        cls,
        X,
        X_imputed,
        *,
        modalities=None,
        show=None,
        method="pca",
        max_samples=1000,
        random_state=None,
        ax=None,
    ):
        """Compare a table before and after imputation, and draw the result.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The incomplete table.
        X_imputed : array-like of shape (n_samples, n_features)
            The completed table.
        %(modalities)s
        show : str or list of str, default=None
            Modalities to draw. None draws all modalities with imputed samples.
        method : {"pca", "tsne"}, default="pca"
            Projection to two dimensions.
        max_samples : int, default=1000
            Maximum number of real points, and of imputed points, per panel.
        random_state : int, RandomState instance or None, default=None
            Seed of the choice of points and of t-SNE.
        ax : matplotlib Axes or array of Axes, default=None
            One Axes per panel. None makes a new figure.

        Returns
        -------
        ImputationDisplay
            The display, drawn.
        """
        import_optional("matplotlib.pyplot", "plot")
        if method not in ("pca", "tsne"):
            raise ValueError(f"method must be 'pca' or 'tsne'; got {method!r}.")
        before, after = read_array(X, "X"), read_array(X_imputed, "X_imputed")
        check_same_columns(before, after, "X", "X_imputed")
        table, after = as_table(X, modalities), after[0]
        if len(table) != len(after):
            raise ValueError(
                f"X_imputed must have as many samples as X ({len(table)}); got "
                f"{len(after)}."
            )
        rng = check_random_state(random_state)
        points, imputed, labels = {}, {}, {}
        for name in _choose(show, table):
            m = table.layout.names.index(name)
            present = table.presence[:, m]
            groups = np.flatnonzero(present), np.flatnonzero(~present)
            rows = [rng.permutation(group)[:max_samples] for group in groups]
            rows = np.sort(np.concatenate(rows))
            block = after[rows][:, table.layout[name].columns].astype(np.float64)
            if np.isnan(block).any():
                raise ValueError(
                    f"X_imputed must be complete; got NaN in modality {name!r}."
                )
            imputed[name] = ~present[rows]
            points[name], labels[name] = _project(block, present[rows], method, rng)
        return cls(points=points, imputed=imputed, axis_labels=labels).plot(ax)

    def plot(self, ax=None):
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes or array of Axes, default=None
            One Axes per panel. None makes a new figure.

        Returns
        -------
        ImputationDisplay
            The display itself.
        """
        axes = _make_panels(ax, len(self.points))
        for panel, (name, points) in zip(axes, self.points.items()):
            imputed = self.imputed[name]
            for rows, label, color, marker in (
                (~imputed, "real", "#999999", "o"),
                (imputed, "imputed", COLORS[1], "x"),
            ):
                panel.scatter(
                    *points[rows].T,
                    s=14,
                    c=color,
                    marker=marker,
                    alpha=0.6,
                    linewidths=0.8 if marker == "x" else 0,
                    label=f"{label} ({rows.sum()})",
                )
            horizontal, vertical = self.axis_labels[name]
            panel.set(xlabel=horizontal, ylabel=vertical, xticks=[], yticks=[])
            panel.set_title(name, pad=18)
            panel.legend(
                frameon=False,
                ncols=2,
                loc="lower left",
                bbox_to_anchor=(0, 1),
                borderpad=0,
                borderaxespad=0.3,
                handletextpad=0.1,
                columnspacing=1,
            )
            if horizontal.startswith("PC"):
                panel.set_aspect("equal", adjustable="datalim")
            tidy(panel, grid="both")
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        return self


def _drop_added(filled, imputer, n_features):
    """The columns of X, without columns added by the imputer."""
    if filled.shape[1] <= n_features or not hasattr(imputer, "get_feature_names_out"):
        return filled
    own = getattr(imputer, "feature_names_in_", [f"x{i}" for i in range(n_features)])
    if list(imputer.get_feature_names_out()[:n_features]) != list(own):
        return filled
    return filled.iloc[:, :n_features] if is_pandas(filled) else filled[:, :n_features]


def _choose(show, table):
    """Names of the modalities to draw."""
    names = table.layout.names
    missing = ~table.presence.all(axis=0) & table.presence.any(axis=0)
    narrow = table.layout.widths < 2
    if show is not None:
        wanted = check_names(show, names, "show")
        for m in wanted:
            if not missing[m] or narrow[m]:
                raise ValueError(
                    "show must name modalities of at least two columns that are "
                    f"missing in some samples and observed in others; got {names[m]!r}."
                )
        return [names[m] for m in wanted]
    drawn = [n for n, yes in zip(names, missing & ~narrow) if yes]
    skipped = [n for n, yes in zip(names, missing & narrow) if yes]
    if not drawn:
        raise ValueError(
            "X must have a modality of at least two columns that is missing in some "
            "samples and observed in others; got none. Check that modalities= groups "
            "the columns."
        )
    if skipped:
        nouns = "modality of one column is", "modalities of one column are"
        found = count(len(skipped), *nouns)
        warn(f"ImputationDisplay: {found} not drawn: {', '.join(skipped)}.")
    return drawn


def _project(block, real, method, rng):
    """Points in two dimensions, and labels of the axes."""
    scale = block[real].std(axis=0)
    z = (block - block[real].mean(axis=0)) / np.where(scale > 0, scale, 1)
    if method == "tsne":
        perplexity = min(30, max(1, (len(z) - 1) / 3))
        tsne = TSNE(
            perplexity=perplexity, init="pca", random_state=rng.randint(2**31 - 1)
        )
        return tsne.fit_transform(z), ("t-SNE 1", "t-SNE 2")
    if real.sum() < 2:
        raise ValueError("PCA needs at least two samples with the modality; got one.")
    pca = PCA(2, random_state=rng.randint(2**31 - 1)).fit(z[real])
    labels = [
        f"PC {i} ({share:.0%})"
        for i, share in enumerate(pca.explained_variance_ratio_, start=1)
    ]
    return pca.transform(z), tuple(labels)


def _make_panels(ax, n_panels):
    """Axes of the panels, given by the caller or in a new figure."""
    if ax is None:
        pyplot = import_optional("matplotlib.pyplot", "plot")
        n_columns = 2 if n_panels == 4 else min(n_panels, _COLUMNS)
        n_rows = -(-n_panels // n_columns)
        _, axes = pyplot.subplots(
            n_rows,
            n_columns,
            squeeze=False,
            layout="constrained",
            figsize=(3.4 * n_columns, 3.5 * n_rows),
        )
        for unused in axes.ravel()[n_panels:]:
            unused.remove()
        return axes.ravel()[:n_panels]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n_panels:
        raise ValueError(
            f"ax must have one Axes per modality ({n_panels}); got {len(axes)}."
        )
    return axes
