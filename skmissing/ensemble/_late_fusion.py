"""What the late fusion classifier and regressor share: one model a modality."""

import numpy as np

from skmissing.ensemble._base import BlockEnsemble


class LateFusion(BlockEnsemble):
    """Fits one model a modality; subclasses join what the models say."""

    def __init__(
        self,
        estimator=None,
        *,
        modalities=None,
        combine="stacked",
        cv=5,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.modalities = modalities
        self.combine = combine
        self.cv = cv
        self.n_jobs = n_jobs

    def _fit_experts(self, template, train):
        """One model a modality seen in training, on the rows that have it."""
        known = np.flatnonzero(self._seen)
        blocks = [(train.presence[:, m], self.modalities_.columns_of(m)) for m in known]
        models = self._fit_blocks(template, train, blocks)
        names = self.modalities_.names
        self.estimators_ = {names[m]: model for m, model in zip(known, models)}

    def _cross_predict(self, template, train, codes, out, reader):
        """Fill `out[:, m]` with predictions of models that did not see the row.

        `reader(m, rows)` makes what reads the model of modality m fitted on `rows`.
        Stays NaN where a fold has no other row with the modality.
        """
        places, tasks = [], []
        for inside, outside in self._splits(train, codes):
            for m in np.flatnonzero(self._seen):
                rows = inside & train.presence[:, m]
                held_out = outside & train.presence[:, m]
                if rows.any() and held_out.any():
                    columns = self.modalities_.columns_of(m)
                    places.append((held_out, m))
                    tasks.append((rows, held_out, columns, reader(m, rows)))
        for place, said in zip(places, self._predict_held_out(template, train, tasks)):
            out[place] = said
        return out

    def _ask(self, X, presence):
        """Yield position, rows, model and block of each modality some row has."""
        for m, name in enumerate(self.modalities_):
            rows = np.flatnonzero(presence[:, m])
            if len(rows):
                block = self._block(X, rows, self.modalities_.columns_of(m))
                yield m, rows, self.estimators_[name], block
