"""SentenceTransformerEncoder with tiny models of sentence-transformers."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal

from skmissing import ModalityWarning
from skmissing.encoders import (
    ImageEncoder,
    ModelNotFoundError,
    SentenceTransformerEncoder,
    TextEncoder,
    _sentence,
)
from skmissing.encoders._models import ModelSpec, find_sentence_model

from .models import LOCAL, SIZES, make_images, make_texts

TEXTS = make_texts(5)


@pytest.fixture(scope="module")
def folders(model_path, tmp_path_factory):
    """BERT with a dense layer, CLIP, and a spectrogram transformer for sound."""
    package = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Pooling,
        Transformer,
    )

    spectra = str(tmp_path_factory.mktemp("ast"))
    torch.manual_seed(0)
    sizes = {"patch_size": 8, "frequency_stride": 8, "time_stride": 8}
    config = transformers.ASTConfig(max_length=32, num_mel_bins=16, **sizes, **SIZES)
    transformers.ASTModel(config).save_pretrained(spectra)
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=32)
    extractor.save_pretrained(spectra)
    modules = {
        "bert": [Transformer(model_path("bert")), Pooling(16, "mean"), Dense(16, 5)],
        "clip": [Transformer(model_path("clip"))],
        "ast": [Transformer(spectra), Pooling(16, "cls")],
    }
    found = {}
    for name, parts in modules.items():
        found[name] = str(tmp_path_factory.mktemp(name))
        model = package.SentenceTransformer(modules=parts, device="cpu")
        model.save_pretrained(found[name], create_model_card=False)
    return found | {"spectra": spectra}


def test_text_with_a_dense_layer(folders):
    """TextEncoder does not implement this model."""
    folder = folders["bert"]
    with pytest.raises(ValueError, match="a module Dense"):
        TextEncoder(folder, **LOCAL).fit(TEXTS)
    encoder = SentenceTransformerEncoder(folder, batch_size=2, **LOCAL)
    found = encoder.fit_transform([*TEXTS, None, " "])
    assert found.shape == (7, 5) and found.dtype == np.float32
    assert_array_equal(np.isnan(found).all(axis=1), [False] * 5 + [True] * 2)
    assert encoder.get_feature_names_out()[0] == "text__0"
    tokens = TextEncoder(folder, pooling="mean", **LOCAL)
    with pytest.warns(ModalityWarning, match="a module Dense, which"):
        hidden = tokens.fit_transform(TEXTS)
    from sentence_transformers import SentenceTransformer

    dense = SentenceTransformer(folder, device="cpu")[2].linear
    with torch.no_grad():
        expected = torch.tanh(dense(torch.from_numpy(hidden)))
    assert_allclose(found[:5], expected, atol=1e-5)
    other = SentenceTransformerEncoder(folder, prompt=f"{TEXTS[0]} ", **LOCAL)
    expected = encoder.transform([f"{TEXTS[0]} {TEXTS[1]}"])
    assert_allclose(other.fit_transform(TEXTS[1:2]), expected, atol=1e-5)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_two_towers(model_path, folders, modality):
    """A text that looks like a path stays a text."""
    single = {"text": TextEncoder, "image": ImageEncoder}[modality]
    items = {"text": [*TEXTS, "cat.png"], "image": make_images(3)}[modality]
    encoder = SentenceTransformerEncoder(folders["clip"], modality=modality, **LOCAL)
    expected = single(model_path("clip"), pooling="cls", **LOCAL).fit_transform(items)
    assert_allclose(encoder.fit_transform(items), expected, atol=1e-5)


def test_sound(folders):
    """Sounds of other rates are resampled."""
    rng = np.random.RandomState(0)
    waves = [rng.standard_normal(n).astype(np.float32) for n in (4000, 6000)]
    encoder = SentenceTransformerEncoder(folders["ast"], modality="audio", **LOCAL)
    found = encoder.fit_transform([(waves[0], 16000), None, (waves[1], 8000)])
    extract = transformers.AutoFeatureExtractor.from_pretrained(folders["spectra"])
    model = transformers.AutoModel.from_pretrained(folders["spectra"]).eval()
    with torch.no_grad():
        inputs = extract(waves[0], sampling_rate=16000, return_tensors="pt")
        assert_allclose(found[0], model(**inputs).last_hidden_state[0, 0], atol=1e-5)
    assert np.isnan(found[1]).all() and np.isfinite(found[2]).all()


def test_truncated_texts_warn(folders):
    encoder = SentenceTransformerEncoder(folders["bert"], **LOCAL).fit(TEXTS)
    with pytest.warns(ModalityWarning, match="1 of 2 items are longer than the 24 tok"):
        encoder.transform(["cat " * 40, "cat"])


def test_modality_that_the_model_does_not_take(folders):
    encoder = SentenceTransformerEncoder(folders["bert"], modality="audio", **LOCAL)
    with pytest.raises(ValueError, match="`modality='audio'` must be one .* for text"):
        encoder.fit([(np.zeros(100), 16000)])


def test_cache(folders, tmp_path, monkeypatch):
    encoder = SentenceTransformerEncoder(folders["bert"], cache=tmp_path, **LOCAL)
    expected = encoder.fit_transform(TEXTS)
    monkeypatch.setattr(SentenceTransformerEncoder, "_encode", None)
    assert_array_equal(encoder.transform(TEXTS), expected)


# ---------------------------------------------------------------- without the package


def test_video_becomes_an_array_of_frames(tmp_path, monkeypatch):
    """Check what the model gets, because real models of videos need torchvision."""
    (tmp_path / "modules.json").write_text("[]")
    given = []

    def encode(items, **options):
        given.extend(items)
        return torch.ones(len(items), 3)

    model = SimpleNamespace(
        supports=["video"].__contains__,
        get_embedding_dimension=lambda: 3,
        get_max_seq_length=lambda: None,
        encode=encode,
    )
    monkeypatch.setattr(_sentence, "load_sentence_model", lambda *args: model)
    video = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones(
        (4, 5, 6, 3), dtype=np.uint8
    )
    encoder = SentenceTransformerEncoder(
        tmp_path, modality="video", n_frames=2, on_error="missing", **LOCAL
    )
    uneven = [np.zeros((4, 4), dtype=np.uint8), np.zeros((5, 5), dtype=np.uint8)]
    with pytest.warns(ModalityWarning, match="item 2.*frames must be of one size"):
        found = encoder.fit_transform([video, None, uneven])
    assert_array_equal(np.isnan(found).all(axis=1), [False, True, True])
    assert [list(item) for item in given] == [["video"]]
    assert_array_equal(given[0]["video"], video[[0, 3]])


def test_wrong_folder(model_path, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="it has no modules.json"):
        SentenceTransformerEncoder(model_path("bert"), **LOCAL).fit(TEXTS)
    (tmp_path / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r'"skmissing\[sentence\]"'):
        SentenceTransformerEncoder(tmp_path, **LOCAL).fit(TEXTS)
    with pytest.raises(TypeError, match="item 0 of X must be a str or missing; got 3"):
        SentenceTransformerEncoder(tmp_path, **LOCAL).fit([3])


def test_model_of_the_hub(tmp_path, monkeypatch):
    """The commit of the local copy identifies the weights."""
    import huggingface_hub as hub

    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    spec = ModelSpec("org/model", local_files_only=True)
    with pytest.raises(ModelNotFoundError, match="modules.json of model='org/model'"):
        find_sentence_model(spec)
    with pytest.raises(ModelNotFoundError, match="modules.json of model='/no/folder'"):
        find_sentence_model(ModelSpec("/no/folder", local_files_only=True))
    snapshot = tmp_path / "models--org--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "modules.json").write_text("[]")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    assert find_sentence_model(spec) == "abc"
    encoder = SentenceTransformerEncoder("org/model")
    assert encoder._fingerprint(spec) == "org/model@abc"
