"""Folders of sentence-transformers: pooling, length, case, prompt, what is missing."""

import json
import warnings

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal

from skmissing import ModalityWarning
from skmissing.encoders import TextEncoder, unload_models

from .models import LOCAL, make_bert

TEXTS = ["the cat sat on the mat", "dog", "a big red hill and a small blue dog"]
OLD, NEW = "sentence_transformers.models.", "sentence_transformers.base.modules.x."
TRANSFORMER = {"path": "", "type": f"{OLD}Transformer"}
POOLING = {"path": "1_Pooling", "type": f"{OLD}Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": f"{OLD}Normalize"}
DENSE = {"path": "2_Dense", "type": f"{OLD}Dense"}
LIMIT, MODES = "sentence_bert_config.json", "1_Pooling/config.json"
PROMPTS = "config_sentence_transformers.json"


def write(folder, modules=(TRANSFORMER, POOLING), **files):
    """Write the files of sentence-transformers beside those of a BERT."""
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    files = {MODES: {"pooling_mode_mean_tokens": True}, **files}
    for name, content in {"modules.json": list(modules), **files}.items():
        (folder / name).write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    make_bert(tmp_path / "model")
    return tmp_path / "model"


def loop(folder, texts, pool, length=24):
    """Encode texts one by one; `pool` maps the tokens of a text to a vector."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        ids = ids if len(ids) <= length else [*ids[: length - 1], ids[-1]]
        with torch.no_grad():
            hidden = model(torch.tensor([ids])).last_hidden_state[0]
        rows.append(pool(hidden.numpy()))
    return np.array(rows)


def mean(hidden):
    return hidden.mean(axis=0)


def last(hidden):
    return hidden[-1]


POOLINGS = {
    "cls_token": lambda hidden: hidden[0],
    "mean_tokens": mean,
    "max_tokens": lambda hidden: hidden.max(axis=0),
    "mean_sqrt_len_tokens": lambda hidden: hidden.sum(axis=0) / len(hidden) ** 0.5,
    "weightedmean_tokens": lambda hidden: np.average(
        hidden, axis=0, weights=range(1, len(hidden) + 1)
    ),
    "lasttoken": last,
}


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("normalize", [False, True])
def test_pooling_of_the_folder(folder, mode, normalize):
    flags = {f"pooling_mode_{name}": name == mode for name in POOLINGS}
    new = (
        mode if "sqrt" in mode else mode.removesuffix("_tokens").removesuffix("_token")
    )
    expected = loop(folder, TEXTS, POOLINGS[mode])
    modules = [TRANSFORMER, POOLING]
    if normalize:
        modules.append(NORMALIZE)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for config in (flags, {"pooling_mode": new, "embedding_dimension": 16}):
        write(folder, modules, **{MODES: config})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = TextEncoder(folder, **LOCAL).fit_transform(TEXTS)
        assert_allclose(found, expected, atol=1e-5)


def test_folder_without_these_files(folder):
    found = TextEncoder(folder, **LOCAL).fit_transform(TEXTS)
    assert_array_equal(
        found, TextEncoder(folder, pooling="cls", **LOCAL).fit_transform(TEXTS)
    )


@pytest.mark.parametrize("name", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("pooling", ["auto", "mean"])
def test_limit_of_the_folder(folder, name, pooling):
    """max_seq_length holds for every pooling, and max_length goes beyond it."""
    config = {"max_seq_length": 6, "do_lower_case": False}
    write(folder, **{f"sentence_{name}_config.json": config})
    encoder = TextEncoder(folder, pooling=pooling, **LOCAL)
    with pytest.warns(ModalityWarning, match="2 texts are longer than the 6 tokens"):
        found = encoder.fit_transform(TEXTS)
    assert_allclose(found, loop(folder, TEXTS, mean, 6), atol=1e-5)
    for length in (4, 9):
        found = encoder.set_params(max_length=length).transform(TEXTS)
        assert_allclose(found, loop(folder, TEXTS, mean, length), atol=1e-5)


def test_limit_below_max_length_warns(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 6
    tokenizer.save_pretrained(folder)
    encoder = TextEncoder(folder, max_length=9, **LOCAL)
    with pytest.warns(ModalityWarning, match="2 texts are longer than the 6 tokens"):
        encoder.fit_transform(TEXTS)


@pytest.mark.parametrize("pooling", ["auto", "mean"])
def test_case_and_prompt(folder, pooling):
    write(
        folder,
        **{
            LIMIT: {"max_seq_length": 24, "do_lower_case": True},
            PROMPTS: {"prompts": {"q": "red hill "}, "default_prompt_name": "q"},
        },
    )
    prompt = "red hill " if pooling == "auto" else ""
    expected = loop(folder, [prompt + text for text in TEXTS], mean)
    encoder = TextEncoder(folder, pooling=pooling, **LOCAL)
    if pooling == "mean":
        with pytest.warns(ModalityWarning, match="and the prompt 'red hill '"):
            encoder.fit(TEXTS)
    found = encoder.transform([text.upper() for text in TEXTS])
    assert_allclose(found, expected, atol=1e-5)


def test_template_replaces_the_default_prompt(folder):
    prompts = {"prompts": {"q": "red hill "}, "default_prompt_name": "q"}
    modes = {"pooling_mode_lasttoken": True}
    write(folder, **{PROMPTS: prompts, MODES: modes})
    expected = loop(folder, [f"a {text} dog" for text in TEXTS], last)
    for pooling in ("auto", "last"):
        encoder = TextEncoder(folder, pooling=pooling, template="a {text} dog", **LOCAL)
        assert_allclose(encoder.fit_transform(TEXTS), expected, atol=1e-5)


def test_prompts_without_a_default(folder):
    prompts = {"prompts": {"query": "red"}, "default_prompt_name": None}
    write(folder, **{PROMPTS: prompts})
    found = TextEncoder(folder, **LOCAL).fit_transform(TEXTS)
    assert_allclose(found, loop(folder, TEXTS, mean), atol=1e-5)


UNSUPPORTED = [
    ({"modules": [TRANSFORMER, POOLING, DENSE]}, "a module Dense"),
    ({"modules": [TRANSFORMER, POOLING, {"path": "", "type": "own.Head"}]}, "own.Head"),
    ({"modules": [TRANSFORMER, NORMALIZE]}, "the order Transformer, Normalize"),
    ({MODES: {"pooling_mode": ["cls", "mean"]}}, "the pooling cls and mean"),
    ({MODES: {"pooling_mode": "median"}}, "the pooling median"),
    ({LIMIT: {"transformer_task": "fill-mask"}}, "the task fill-mask"),
    ({LIMIT: {"modality_config": {"message": {}}}}, "a chat template"),
    (
        {
            MODES: {"pooling_mode": "mean", "include_prompt": False},
            PROMPTS: {"prompts": {"q": "red "}, "default_prompt_name": "q"},
        },
        "pooling without the prompt",
    ),
]


@pytest.mark.parametrize("files, match", UNSUPPORTED)
def test_what_is_not_implemented(folder, files, match):
    write(folder, **files)
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=match):
            getattr(TextEncoder(folder, **LOCAL), method)(TEXTS)
    encoder = TextEncoder(folder, pooling="mean", **LOCAL)
    with pytest.warns(ModalityWarning, match=f"{match}, which pooling='mean' ignores"):
        encoder.fit(TEXTS)


def test_other_pooling_warns(folder):
    write(folder, [TRANSFORMER, POOLING, {"path": "", "type": f"{NEW}Dropout"}])
    encoder = TextEncoder(folder, pooling="cls", **LOCAL)
    with pytest.warns(ModalityWarning, match="made for pooling='mean'; got .*='cls'"):
        encoder.fit(TEXTS)
    encoder.set_params(pooling=None, max_tokens=2).fit(TEXTS)


def test_broken_file(folder):
    write(folder)
    (folder / "modules.json").write_text("[")
    with pytest.raises(ValueError, match="modules.json must be a JSON file; got"):
        TextEncoder(folder, **LOCAL).fit(TEXTS)


def test_cache_depends_on_the_pooling_of_the_folder(folder, tmp_path):
    encoder = TextEncoder(folder, cache=tmp_path / "cache", **LOCAL)
    before = encoder.fit_transform(TEXTS)
    write(folder)
    after = encoder.fit_transform(TEXTS)
    assert abs(after - before).max() > 0.01
    assert_allclose(after, loop(folder, TEXTS, mean), atol=1e-5)


@pytest.fixture
def hub_copy(tmp_path, monkeypatch):
    """Make the local copy of a model of the Hub, and forbid the network."""
    import huggingface_hub as hub

    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    copy = tmp_path / "models--org--model"
    make_bert(copy / "snapshots" / "abc")
    (copy / "refs").mkdir()
    (copy / "refs" / "main").write_text("abc")

    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(hub, "get_hf_file_metadata", fail)
    unload_models()
    yield copy
    unload_models()


def test_local_copy_of_a_model_of_the_hub(hub_copy):
    snapshot = hub_copy / "snapshots" / "abc"
    for local in (True, False):
        encoder = TextEncoder("org/model", local_files_only=local, device="cpu")
        with pytest.warns(ModalityWarning, match="modules.json is not on this machine"):
            encoder.fit(TEXTS)
        TextEncoder("org/model", pooling="cls", local_files_only=local).fit(TEXTS)
    unload_models()
    missing = hub_copy / ".no_exist" / "abc"
    missing.mkdir(parents=True)
    (missing / "modules.json").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.fit(TEXTS)
    (missing / "modules.json").unlink()
    write(snapshot)
    unload_models()
    found = encoder.fit_transform(TEXTS)
    assert_allclose(found, loop(snapshot, TEXTS, mean), atol=1e-5)


def test_model_of_the_hub_without_modules(hub_copy, monkeypatch):
    """The Hub has no modules.json: no warning, and the answer is kept."""
    import huggingface_hub as hub
    from huggingface_hub.utils import EntryNotFoundError

    def not_found(*args, **kwargs):
        missing = hub_copy / ".no_exist" / "abc"
        missing.mkdir(parents=True, exist_ok=True)
        (missing / kwargs.get("filename", "url")).touch()
        raise EntryNotFoundError.__new__(EntryNotFoundError)

    monkeypatch.setattr(hub, "get_hf_file_metadata", not_found)
    monkeypatch.setattr(hub, "hf_hub_download", not_found)
    encoder = TextEncoder("org/model", device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.fit(TEXTS)
        encoder.set_params(local_files_only=True).fit(TEXTS)


def test_files_of_the_hub_are_downloaded(hub_copy, monkeypatch):
    import huggingface_hub as hub

    asked = []

    def download(repo_id, filename, revision):
        asked.append((repo_id, filename, revision))
        if len(asked) == 1:
            write(hub_copy / "snapshots" / "abc")

    monkeypatch.setattr(hub, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(hub, "hf_hub_download", download)
    encoder = TextEncoder("org/model", device="cpu")
    found = encoder.fit_transform(TEXTS)
    assert asked[0] == ("org/model", "modules.json", "main")
    assert_allclose(found, loop(hub_copy / "snapshots/abc", TEXTS, mean), atol=1e-5)
