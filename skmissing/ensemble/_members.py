"""Panels of models per modality: which members there are, and how they are fitted."""

from dataclasses import dataclass, replace
from itertools import chain
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import Bunch
from sklearn.utils.parallel import Parallel, delayed

from skmissing._compat import HasMethods, StrOptions
from skmissing._table import name_list
from skmissing.ensemble._base import (
    BlockEnsemble,
    accepts_nan,
    is_default_linear,
    take_block,
)
from skmissing.ensemble._panel import (
    KERNELS,
    LEAST_GAP,
    LEAST_RATIO,
    LEAST_SAMPLES,
    MANY_MODALITIES,
    NARROW,
    PANELS,
    make_panel,
    measure_dependence,
)


def own_estimators(form):
    """Return the pairs of a list whose estimators were given by the user."""
    if not isinstance(form, (list, tuple)):
        return [("estimator", form)]
    lasts = [p[-1] if isinstance(p, (list, tuple)) and p else p for p in form]
    return [p for p, last in zip(form, lasts) if not isinstance(last, str)]


@dataclass
class FittedPanel:
    """The fitted members of one modality and their pool weights."""

    names: list
    members: list
    weights: np.ndarray
    accept_nan: list


class LateFusion(BlockEnsemble):
    """Fit a panel of models per modality. Subclasses combine the predictions."""

    _parameter_constraints: dict = {
        **BlockEnsemble._parameter_constraints,
        "estimator": [HasMethods(["fit"]), StrOptions(set(PANELS)), list, dict],
        "random_state": ["random_state"],
    }

    def _template(self, dtype):
        """Return no common template, and the dtype to fit in."""
        return None, np.float64 if self._own and not is_classifier(self) else dtype

    @property
    def _own(self):
        """Whether all members are our own."""
        forms = self.estimator
        forms = forms.values() if isinstance(forms, dict) else [forms]
        return all(isinstance(form, str) or not own_estimators(form) for form in forms)

    def set_params(self, **params):
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Parameters by name. `estimator__<name>` is a parameter of `estimator`.

        Returns
        -------
        self : object
            This estimator.

        Raises
        ------
        ValueError
            If a parameter of `estimator` is set, but `estimator` is a panel.
        """
        form = params.get("estimator", self.estimator)
        nested = [name for name in params if name.startswith("estimator__")]
        if nested and not hasattr(form, "set_params"):
            raise ValueError(
                f"{nested[0]} needs an estimator that has parameters; got estimator="
                f"{form!r}, a panel without parameters."
            )
        return super().set_params(**params)

    _reads_sources = True

    def _sampled(self, data):
        """Samples of a table in pieces that fit in memory.

        All members but the linear ones are fitted to these.
        """
        members = chain.from_iterable(self._resolve_panels().values())
        linear = self._linear_fits(data) and any(map(self._is_linear, members))
        text = "members that are not linear need X in memory. They are"
        what = {"what": text} if linear else {}
        table, rows = data.table.in_memory(self.random_state, **what)
        if len(rows) == len(data.y):
            return replace(data, table=table)
        self._seen = table.presence.any(axis=0)
        table.warn_never_observed(self._seen, "they are ignored")
        return replace(
            data, table=table, y=data.y[rows], codes=data.codes[rows],
            whole=data, rows=rows, linear={},
        )  # fmt: skip

    def _is_linear(self, member):
        """Whether a pair of name and estimator is our linear model."""
        return is_default_linear(member[1], is_classifier(self))

    def _linear_fits(self, data):
        """Whether the linear members can be fitted to a table in pieces."""
        return True

    @property
    def _consequence(self):
        form = "linear model" if isinstance(self.estimator, str) else "model"
        return f", with a {form} of its own"

    def _resolve_panels(self):
        """Return the members per observed modality, as pairs of name and estimator."""
        names, named = self.modalities_.names, {}
        forms = self.estimator
        if not isinstance(forms, dict):
            forms = dict.fromkeys(names, forms)
        elif set(forms) != set(names):
            raise ValueError(
                f"estimator must have one entry per modality, {name_list(names)}; got "
                f"{name_list(forms)}."
            )
        widths, panels = np.bincount(self.modalities_.column_owner), {}
        for m in np.flatnonzero(self._seen):
            form = forms[names[m]]
            if self._seen.sum() > MANY_MODALITIES and widths[m] < NARROW:
                form = "linear" if isinstance(form, str) and form in PANELS else form
            if isinstance(form, str):
                # Templates are cloned, so all modalities can share them.
                named[form] = named.get(form) or self._resolve_members(form)
                panels[names[m]] = named[form]
            else:
                panels[names[m]] = self._resolve_members(form)
        for _, member in chain.from_iterable(panels.values()):
            if not any(hasattr(member, method) for method in self._methods):
                raise ValueError(
                    f"estimator must have {' or '.join(self._methods)}; got {member!r}."
                )
        return panels

    def _resolve_members(self, form):
        """Return the pairs of name and estimator for one value of `estimator`."""
        if isinstance(form, str):
            if form not in PANELS:
                raise ValueError(f"estimator must be one of {PANELS}; got {form!r}.")
            return make_panel(form, is_classifier(self), self.random_state)
        if hasattr(form, "fit"):
            return [(type(form).__name__.lower(), form)]
        ours = dict(make_panel("full", is_classifier(self), self.random_state))
        pairs = form if isinstance(form, (list, tuple)) else []
        pairs = [(p, p) if isinstance(p, str) else p for p in pairs]
        pairs = [p for p in pairs if isinstance(p, (list, tuple)) and len(p) == 2]
        names = [pair[0] for pair in pairs]
        unknown = [e for _, e in pairs if isinstance(e, str) and e not in ours]
        if not pairs or len(pairs) < len(form) or len(set(names)) < len(names):
            raise ValueError(
                "A panel must be a list of pairs (name, estimator) with different "
                f"names; got {form!r}."
            )
        if unknown:
            raise ValueError(
                f"A member must be an estimator or one of {name_list(ours)}; got "
                f"{unknown[0]!r}."
            )
        return [(name, ours[e] if isinstance(e, str) else e) for name, e in pairs]

    def _routed(self):
        """Return the estimators given by the user, by name, for metadata routing."""
        routed, forms = {}, self.estimator
        several = isinstance(forms, dict)
        for modality, form in forms.items() if several else [("estimator", forms)]:
            if isinstance(form, (list, tuple)):
                prefix = f"{modality}__" if several else ""
                routed |= {f"{prefix}{name}": e for name, e in own_estimators(form)}
            elif not isinstance(form, str):
                routed[modality] = form
        return routed

    def _fit_members(self, data, panels, hold_out):
        """Fit all members; return their held-out predictions per modality.

        Set `estimators_`, `named_estimators_` and the panels. A modality with few
        samples gets the first member only.
        """
        presence, fits = data.table.presence, []
        accepting = {id(e): e for members in panels.values() for _, e in members}
        accepting = {key: accepts_nan(e) for key, e in accepting.items()}
        routed = {id(member): key for key, member in self._routed().items()}
        splits = self._splits(data) if hold_out else None
        if data.whole is not None:
            if self._linear_fits(data.whole):
                linear = [n for n, p in panels.items() if any(map(self._is_linear, p))]
                modalities = [self.modalities_.names.index(name) for name in linear]
                data.linear.update(self._fit_linear(data, modalities, hold_out))
        # Sources such as HDF5 files cannot be sent to other processes.
        data = replace(data, whole=None, given=(None, None, data.given[2]))
        for name, members in panels.items():
            m = self.modalities_.names.index(name)
            rows = np.flatnonzero(presence[:, m])
            if len(rows) < LEAST_SAMPLES:
                members = panels[name] = members[:1]
            folds = None
            if hold_out:
                folds = [[np.flatnonzero(part[rows]) for part in s] for s in splits]
            for member, template in members:
                key = routed.get(id(template))
                params = self._params_of(data.table, template, key)
                params = {name: value[rows] for name, value in params.items()}
                nan = accepting[id(template)]
                fits.append(((member, name), template, nan, m, rows, params, folds))
        task = self._fit_task.begin(len(fits))
        fitted = Parallel(n_jobs=self.n_jobs, return_as=task.return_as)(
            delayed(self._fit_named)(data, *args) for args in fits
        )
        fitted = task.collect([" of ".join(names) for names, *_ in fits], fitted)
        self._panels, self.named_estimators_, held_out = {}, Bunch(), {}
        for name, members in panels.items():
            part, fitted = fitted[: len(members)], fitted[len(members) :]
            self._panels[name] = FittedPanel(
                [member for member, _ in members],
                [model for model, _ in part],
                np.ones(len(members)) / len(members),
                [accepting[id(template)] for _, template in members],
            )
            held_out[name] = np.stack([held for _, held in part], axis=1)
            models = Bunch()
            for (member, _), (model, _) in zip(members, part):
                models[member] = getattr(model, "model", model)
            self.named_estimators_[name] = models if len(part) > 1 else models[member]
        self.estimators_ = list(self.named_estimators_.values())
        self._guard(data, panels)
        return held_out

    def _keep_linear(self, members):
        """Set the linear members of each modality, fitted to a table in pieces."""
        self._panels, self.named_estimators_, self.dependence_ = {}, Bunch(), Bunch()
        self.pool_weights_, self.oof_scores_ = Bunch(), Bunch(members={}, pool={})
        for m, member in members.items():
            name = self.modalities_.names[m]
            self._panels[name] = FittedPanel(["linear"], [member], np.ones(1), [False])
            self.named_estimators_[name] = getattr(member, "model", member)
            self.pool_weights_[name] = {"linear": 1.0}
        self.estimators_ = list(self.named_estimators_.values())

    def _keep_scores(self, scores):
        """Set the held-out scores of linear members by number of the modality."""
        for m, score in scores.items():
            name = self.modalities_.names[m]
            self.oof_scores_.members[name] = {"linear": score}
            self.oof_scores_.pool[name] = score

    def _fit_named(self, data, names, *task):
        """Fit a member, and add its name and modality to errors."""
        template, _, m, *_ = task
        if m in data.linear and self._is_linear((None, template)):
            return data.linear[m]
        try:
            return self._fit_member(data, *task)
        except Exception as error:
            error.add_note("In the fit of member {!r} to modality {!r}.".format(*names))
            raise

    def _guard(self, data, panels):
        """Warn if samples look dependent, for example samples of the same person."""
        self.dependence_ = Bunch()
        kernels = [isinstance(e, KERNELS) for p in panels.values() for _, e in p]
        if data.grouped or not isinstance(self.cv, Integral) or not any(kernels):
            return
        classifier, far = is_classifier(self), []
        y = data.codes if classifier else data.y
        for name in panels:
            m = self.modalities_.names.index(name)
            rows = np.flatnonzero(data.table.presence[:, m])
            block = self._read_block(data.table.X, rows, m, False)
            gap, ratio = measure_dependence(block, y[rows], classifier, 0)
            self.dependence_[name] = gap
            if gap > LEAST_GAP and ratio > LEAST_RATIO:
                far.append(name)
        if far:
            gaps = [self.dependence_[name] for name in far]
            worst = far[int(np.argmax(gaps))]
            data.table.warn(
                f"samples look dependent. On {worst!r}, a kernel model explains "
                f"{max(gaps):.0%} more of the variance of y on random samples than on "
                f"runs of neighbouring samples ({len(far)} of {len(panels)} modalities "
                "differ). If new samples come from other persons, recordings or "
                "documents, pass groups= to fit. In a search, this needs metadata "
                "routing: see 'Samples in groups' in the user guide. Otherwise, pass a "
                "splitter as cv to skip this comparison."
            )

    def _read_block(self, X, rows, m, accept_nan):
        means = None if accept_nan else self._means
        return take_block(X, rows, self.modalities_.columns[m], means)

    def _observed_panels(self, table):
        """Yield number, samples and panel of each observed modality."""
        for m, name in enumerate(self.modalities_.names):
            rows = np.flatnonzero(table.presence[:, m])
            if len(rows) and name in self._panels:
                yield m, rows, self._panels[name]

    def _pooled(self, table, m, rows, panel, predict):
        """Weighted sum of what `predict(member, block)` returns for each member."""
        total = 0.0
        for member, weight, accept_nan in zip(
            panel.members, panel.weights, panel.accept_nan
        ):
            if weight > 0:
                block = self._read_block(table.X, rows, m, accept_nan)
                total = total + weight * predict(member, block)
        return total
