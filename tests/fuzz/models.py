"""Taking a saved model apart, and putting a changed one together again."""

import hashlib
import io
import json

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skmissing.cluster import PartialModalityKMeans
from skmissing.ensemble import LateFusionClassifier
from skmissing.impute import ClusterGuidedImputer, RetrievalImputer
from skmissing.io import save_model
from skmissing.mixture import PartialModalityFactorMixture
from skmissing.simulate import ModalityAmputer
from tests.estimators import is_installed

WIDTHS = [2, 1]


def unpack(data):
    """The header without the text, the tree of the text, and the arrays' bytes."""
    stop = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:stop])
    about = header.pop("__metadata__")
    tree = json.loads(about.pop("model"))
    about.pop("sha256")
    return about, tree, header, data[stop:]


def repack(about, tree, table, blob):
    """A file whose checksum is right, whatever it holds."""
    text = tree if isinstance(tree, str) else json.dumps(tree)
    about = {**about, "model": text}
    digest = hashlib.sha256(json.dumps([table, about], sort_keys=True).encode())
    digest.update(blob)
    about["sha256"] = digest.hexdigest()
    header = json.dumps({"__metadata__": about, **table}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + blob


def small_data():
    """Few rows, two modalities, some missing."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((12, 3))
    X[::3, :2] = np.nan
    X[1::3, 2] = np.nan
    return X, np.arange(12) % 2


def make_models():
    """Small fitted models of every kind of state, by name."""
    X, y = small_data()
    given = {"modalities": WIDTHS, "random_state": 0}
    imputer = ClusterGuidedImputer(2, modalities={"a": 2, "b": 1}, random_state=0)
    forest = RandomForestClassifier(2, max_depth=2, random_state=0)
    rng = np.random.RandomState(0)
    models = {
        "kmeans": PartialModalityKMeans(2, n_init=1, **given),
        "retrieval": RetrievalImputer(2, modalities=WIDTHS),
        "mixture": PartialModalityFactorMixture(2, n_factors=1, **given),
        "amputer": ModalityAmputer(0.3, mechanism="mnar", **given),
        "generator": PartialModalityKMeans(2, modalities=WIDTHS, random_state=rng),
        "pipeline": make_pipeline(imputer, LogisticRegression()),
        "forest": make_pipeline(imputer, forest),
        "late": LateFusionClassifier(modalities=WIDTHS, cv=2),
    }
    if is_installed("torch"):
        from skmissing.fusion import MHSAFusionClassifier

        models["fusion"] = MHSAFusionClassifier(
            hidden_dim=2, n_heads=1, max_epochs=1, device="cpu", **given
        )
    return {name: model.fit(X, y) for name, model in models.items()}


def make_seeds():
    """The bytes of those models, by name."""
    seeds = {}
    for name, model in make_models().items():
        file = io.BytesIO()
        save_model(model, file)
        seeds[name] = file.getvalue()
    return seeds
