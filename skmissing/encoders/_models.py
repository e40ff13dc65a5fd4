"""Loads each pretrained model once per process, for all encoders."""

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import torch

from skmissing._compat import import_optional
from skmissing._modalities import count
from skmissing._parallel import process_lock
from skmissing._table import warn

# Weights that encoders never use, or that are only used in training.
UNUSED_WEIGHTS = ("pooler.", "masked_spec_embed", "logit_scale", "logit_bias")

# Possible middle parts of the file names of the configuration of a sentence encoder.
SENTENCE_CONFIGS = (
    "bert_",
    "roberta_",
    "distilbert_",
    "camembert_",
    "albert_",
    "xlm-roberta_",
    "xlnet_",
)
SENTENCE_POOLINGS = ("cls", "mean", "max", "mean_sqrt_len", "weightedmean", "last")

_loaded = {}


class ModelNotFoundError(OSError):
    """A model is not on this machine and could not be downloaded.

    Examples
    --------
    >>> from skmissing.encoders import ModelNotFoundError, TextEncoder
    >>> encoder = TextEncoder("no-such/model", local_files_only=True)
    >>> try:
    ...     encoder.fit(["some text"])
    ... except ModelNotFoundError:
    ...     print("not here")
    not here
    """


@dataclass(frozen=True)
class ModelSpec:
    """Identifies a model: a name on the Hugging Face Hub, or a folder."""

    name: str
    revision: str | None = None  # branch, tag or commit
    local_files_only: bool = False
    verbose: bool = False  # whether transformers may report on loading
    owner: str = "Encoder"  # name of the estimator, for warnings

    @cached_property
    def key(self):
        """Name and revision, which identify a model."""
        folder = Path(self.name)
        name = str(folder.absolute()) if folder.is_dir() else self.name
        return name, self.revision

    @cached_property
    def stamps(self):
        """Path, size and time of each file of a local folder. Empty for the Hub."""
        files = sorted(p for p in Path(self.name).rglob("*") if p.is_file())
        return tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)

    @cached_property
    def sentence(self):
        """Settings of the model in sentence-transformers."""
        return _sentence_settings(self)


def unload_models():
    """Remove all models that encoders have loaded from memory.

    Encoders load them again when they need them.

    Examples
    --------
    >>> from skmissing.encoders import unload_models
    >>> unload_models()
    """
    with _lock():
        _loaded.clear()


def _lock():
    return process_lock("pretrained models")


def _shared(kind, spec, load, *details):
    """Return a part of a model. Load it if it is new or if its files changed."""
    key = kind, spec.key, *details
    with _lock():
        if key not in _loaded or _loaded[key][0] != spec.stamps:
            _loaded.pop(key, None)
            _loaded[key] = spec.stamps, load()
        return _loaded[key][1]


@contextlib.contextmanager
def _quiet(verbose):
    """Disable progress bars and advice of transformers."""
    logging = import_optional("transformers", "encoders").utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    if not verbose:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars and not verbose:
            logging.enable_progress_bar()


def _from_pretrained(loader, spec, what, **kwargs):
    """Load from a local copy if there is one, otherwise from the Hub."""
    for local in [True] if spec.local_files_only else [True, False]:
        try:
            with _quiet(spec.verbose):
                return loader.from_pretrained(
                    spec.name,
                    revision=spec.revision or "main",
                    local_files_only=local,
                    trust_remote_code=False,
                    **kwargs,
                )
        except (OSError, ValueError) as exc:
            if "trust_remote_code" in str(exc):
                raise ValueError(
                    f"model={spec.name!r} has its own code, but encoders run only the "
                    "code of transformers."
                ) from exc
            if isinstance(exc, ValueError):
                raise ValueError(
                    f"transformers cannot load the {what} of model={spec.name!r}: "
                    f"{_first_line(exc)}"
                ) from exc
            error = exc
    where = (
        "local_files_only=True does not allow a download"
        if spec.local_files_only
        else "it could not be downloaded"
    )
    revision = "" if spec.revision is None else f", revision {spec.revision!r},"
    raise ModelNotFoundError(
        f"The {what} of model={spec.name!r}{revision} was not found on this machine, "
        f"and {where}. `model` must be the name of a model on the Hugging Face Hub or "
        f"a folder written by save_pretrained. ({_first_line(error)})"
    ) from error


def _first_line(exc):
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


def load_config(spec):
    """Return the configuration of a model, without loading its weights."""
    loader = import_optional("transformers", "encoders").AutoConfig
    folder = Path(spec.name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelNotFoundError(
            f"model={spec.name!r} must be a folder with a model; it has no config.json."
        )
    return _shared(
        "config", spec, lambda: _from_pretrained(loader, spec, "configuration")
    )


def load_processor(spec, name):
    """Return the tokenizer or processor of a model. `name` is the auto class."""
    loader = getattr(import_optional("transformers", "encoders"), name)
    what = name.removeprefix("Auto")
    return _shared(name, spec, lambda: _from_pretrained(loader, spec, what))


def load_json(spec, filename):
    """Return the content of a JSON file of a model, or None if there is no file."""
    if Path(spec.name).is_dir():
        path = Path(spec.name) / filename
    else:
        path = _hub_file(spec, filename)
    if path is None or not Path(path).is_file():
        return None
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as exc:
        raise ValueError(
            f"model={spec.name!r}: {filename} must be a JSON file; got {exc}."
        ) from exc


def _hub_file(spec, filename):
    """Return a local copy of a file or None. Raise FileNotFoundError if unknown."""
    import huggingface_hub as hub  # a dependency of transformers
    from huggingface_hub.utils import EntryNotFoundError

    where = {"repo_id": spec.name, "filename": filename}
    where["revision"] = spec.revision or "main"
    found = hub.try_to_load_from_cache(**where)
    if found is None and not spec.local_files_only:
        try:
            # Unlike a download, this fails at once without a network.
            with contextlib.suppress(EntryNotFoundError):
                hub.get_hf_file_metadata(hub.hf_hub_url(**where), timeout=5)
            with _quiet(spec.verbose):
                hub.hf_hub_download(**where)
        except Exception:  # no network, or no such file (the cache then knows it)
            pass
        found = hub.try_to_load_from_cache(**where)
    if found is None:
        raise FileNotFoundError(filename)
    return found if isinstance(found, str) else None  # None if there is no such file


@dataclass
class SentenceSettings:
    """Settings of a model in sentence-transformers, if it is one of its models."""

    pooling: str | None = None  # None for other models
    normalize: bool = False
    max_length: int | None = None
    lower: bool = False
    prompt: str = ""
    unsupported: str = ""  # settings that encoders do not implement
    is_unknown: bool = False  # whether the files could not be read


def _sentence_settings(spec):
    try:
        modules = load_json(spec, "modules.json")
        if modules is None:
            return SentenceSettings()
        return _read_modules(spec, modules)
    except FileNotFoundError:
        return SentenceSettings(is_unknown=True)


def _read_modules(spec, modules):
    found, kinds, unsupported = SentenceSettings(pooling="mean"), [], []
    general = _optional_json(spec, "config_sentence_transformers.json")
    prompts = general.get("prompts") or {}
    found.prompt = prompts.get(general.get("default_prompt_name")) or ""
    for module in modules:
        package, _, kind = module["type"].rpartition(".")
        path = f"{module['path']}/" if module["path"] else ""
        if package.partition(".")[0] != "sentence_transformers":  # code of the model
            kind = module["type"]
        kinds.append(kind)
        if kind == "Transformer":
            unsupported += _read_transformer(spec, path, found)
        elif kind == "Pooling":
            unsupported += _read_pooling(spec, path, found)
        elif kind == "Normalize":
            found.normalize = True
        elif kind != "Dropout":  # used in training only
            unsupported.append(f"a module {kind}")
    if kinds[:2] != ["Transformer", "Pooling"] and not unsupported:
        unsupported.append(f"the order {', '.join(kinds)}")
    found.unsupported = ", ".join(unsupported)
    return found


def _optional_json(spec, filename):
    try:
        return load_json(spec, filename) or {}
    except FileNotFoundError:
        return {}


def _read_transformer(spec, path, found):
    """Read the limit and the case of texts; return unsupported settings."""
    names = (f"{path}sentence_{name}config.json" for name in SENTENCE_CONFIGS)
    config = next(filter(None, (_optional_json(spec, name) for name in names)), {})
    found.max_length = config.get("max_seq_length")
    found.lower = bool(config.get("do_lower_case"))
    task = config.get("transformer_task", "feature-extraction")
    method = (config.get("modality_config") or {}).get("text") or {}
    output = method.get("method_output_name", "last_hidden_state")
    unsupported = [] if task == "feature-extraction" else [f"the task {task}"]
    if output != "last_hidden_state":
        unsupported.append(f"the output {output}")
    if "message" in (config.get("modality_config") or {}):
        unsupported.append("a chat template")
    return unsupported


def _read_pooling(spec, path, found):
    """Read the pooling of tokens; return unsupported settings."""
    config = load_json(spec, f"{path}config.json") or {}
    modes = config.get("pooling_mode")
    if modes is None:  # old versions have one flag per mode
        flags = [name for name in config if name.startswith("pooling_mode_")]
        modes = [name.removeprefix("pooling_mode_") for name in flags if config[name]]
    modes = [modes] if isinstance(modes, str) else list(modes) or ["mean"]
    modes = [re.sub("_?tokens?$", "", mode) for mode in modes]
    found.pooling = modes[0]
    unsupported = []
    if len(modes) > 1 or modes[0] not in SENTENCE_POOLINGS:
        unsupported.append(f"the pooling {' and '.join(modes)}")
    if found.prompt and not config.get("include_prompt", True):
        unsupported.append("pooling without the prompt")
    return unsupported


def load_model(spec, device, dtype):
    """Return a model in evaluation mode, loaded once per device and dtype."""
    loader = import_optional("transformers", "encoders").AutoModel

    def load():
        model, info = _from_pretrained(
            loader, spec, "weights", output_loading_info=True
        )
        untrained = sorted(
            key
            for key in info["missing_keys"]
            if not any(part in key for part in UNUSED_WEIGHTS)
        )
        if untrained:
            warn(
                f"{spec.owner}: "
                f"{count(len(untrained), 'weight is', 'weights are')} missing in the "
                f"files of model={spec.name!r} and filled with random numbers. The "
                f"first is {untrained[0]!r}."
            )
        model.config.get_text_config().use_cache = False  # nothing is generated
        return model.eval().requires_grad_(False).to(device, getattr(torch, dtype))

    return _shared("model", spec, load, device, dtype)


def find_sentence_model(spec):
    """Return the commit of a model of sentence-transformers, None for a folder."""
    from huggingface_hub.utils import HFValidationError

    try:
        found = load_json(spec, "modules.json")
    except (FileNotFoundError, HFValidationError) as exc:
        raise ModelNotFoundError(
            f"The modules.json of model={spec.name!r} was not found on this machine, "
            "and could not be downloaded. `model` must be the name of a model on the "
            "Hugging Face Hub or a folder."
        ) from exc
    if found is None:
        raise ValueError(
            f"model={spec.name!r} must be a model of sentence-transformers; it has no "
            "modules.json."
        )
    if Path(spec.name).is_dir():
        return None
    return Path(_hub_file(spec, "modules.json")).parent.name


def load_sentence_model(spec, device, dtype):
    """Return a model of sentence-transformers, loaded once per device and dtype."""
    package = import_optional("sentence_transformers", "sentence")
    loader = SimpleNamespace(from_pretrained=package.SentenceTransformer)

    def load():
        model = _from_pretrained(loader, spec, "weights", device=device)
        return model.eval().requires_grad_(False).to(getattr(torch, dtype))

    return _shared("sentence model", spec, load, device, dtype)


def model_class(config):
    """Return the class that AutoModel uses for a configuration, or None."""
    mapping = import_optional("transformers", "encoders").MODEL_MAPPING
    if type(config) not in mapping:
        return None
    found = mapping[type(config)]
    return found[0] if isinstance(found, (list, tuple)) else found


def is_decoder_only(config):
    """Whether a model is a decoder-only language model, such as GPT-2 or Llama."""
    transformers = import_optional("transformers", "encoders")
    config = config.get_text_config()
    return (
        type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        and type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING
        and not config.is_encoder_decoder
    )


def fingerprint(spec):
    """Identify the weights by the commit, or by the content of a local folder."""
    if not Path(spec.name).is_dir():
        commit = getattr(load_config(spec), "_commit_hash", None)
        return f"{spec.name}@{commit or spec.revision}"
    return _shared("digest", spec, lambda: _digest_folder(spec))


def _digest_folder(spec):
    hasher = hashlib.blake2b(digest_size=20)
    for path, size, _ in spec.stamps:
        hasher.update(f"{Path(path).relative_to(spec.name)}:{size}:".encode())
        with open(path, "rb") as file:
            while chunk := file.read(1 << 22):
                hasher.update(chunk)
    return hasher.hexdigest()
