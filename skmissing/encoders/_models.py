"""Loads each pretrained model once per process, for all encoders."""

import contextlib
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from skmissing._compat import import_optional
from skmissing._parallel import process_lock
from skmissing._table import warn

# Weights that encoders never run, or that only training uses.
UNUSED_WEIGHTS = ("pooler.", "masked_spec_embed", "logit_scale", "logit_bias")

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
    owner: str = "Encoder"  # name of the estimator, which begins warnings

    @cached_property
    def key(self):
        """Name and revision, which identify a model."""
        folder = Path(self.name)
        name = str(folder.absolute()) if folder.is_dir() else self.name
        return name, self.revision

    @cached_property
    def stamps(self):
        """Path, size and time of each file of a local folder; empty for the Hub."""
        files = sorted(p for p in Path(self.name).rglob("*") if p.is_file())
        return tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)


def unload_models():
    """Remove all models that encoders have loaded from memory.

    They are loaded again when they are needed.

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
    """Return a loaded part of a model; load it if it is new or its files changed."""
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
    """Load from a local copy if there is one, and otherwise from the Hub."""
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
                    f"model={spec.name!r} brings its own code, but encoders run only "
                    "the code of transformers."
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
    """Return the tokenizer or processor of a model; `name` is its auto class."""
    loader = getattr(import_optional("transformers", "encoders"), name)
    what = name.removeprefix("Auto")
    return _shared(name, spec, lambda: _from_pretrained(loader, spec, what))


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
                f"{spec.owner}: {len(untrained)} weights are missing in the files of "
                f"model={spec.name!r} and are random numbers. The first is "
                f"{untrained[0]!r}."
            )
        return model.eval().requires_grad_(False).to(device, getattr(torch, dtype))

    return _shared("model", spec, load, device, dtype)


def model_class(config):
    """Return the class that AutoModel makes of a configuration, or None."""
    mapping = import_optional("transformers", "encoders").MODEL_MAPPING
    if type(config) not in mapping:
        return None
    found = mapping[type(config)]
    return found[0] if isinstance(found, (list, tuple)) else found


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
