"""Pretrained models: found, loaded once in a process, and shared by all encoders."""

import contextlib
import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from skmissing._compat import import_optional
from skmissing._parallel import process_lock

# Weights that encoders never run, or that only training uses.
UNUSED_WEIGHTS = ("pooler.", "masked_spec_embed", "logit_scale", "logit_bias")

_loaded = {}


class ModelNotFoundError(OSError):
    """A model is not on this machine and could not be fetched.

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
    """Which model is meant.

    Attributes
    ----------
    name : str
        Identifier on the Hugging Face Hub, or a folder.
    revision : str or None
        Branch, tag or commit.
    local_files_only : bool
    verbose : bool
        Whether transformers may report on loading.
    """

    name: str
    revision: str | None = None
    local_files_only: bool = False
    verbose: bool = False

    @cached_property
    def key(self):
        """What tells two models apart."""
        folder = Path(self.name)
        name = str(folder.absolute()) if folder.is_dir() else self.name
        return name, self.revision

    @cached_property
    def stamps(self):
        """Path, size and time of each file of a local folder; none of the Hub's."""
        files = sorted(p for p in Path(self.name).rglob("*") if p.is_file())
        return tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)


def unload_models():
    """Forget all models that encoders of this process have loaded.

    They are loaded again when they are needed. Use it to give memory back.

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
    """What a model has of a kind, made by `load` if this process has none yet.

    What was made of files that are others now is dropped.
    """
    key = kind, spec.key, *details
    with _lock():
        if key not in _loaded or _loaded[key][0] != spec.stamps:
            _loaded.pop(key, None)
            _loaded[key] = spec.stamps, load()
        return _loaded[key][1]


@contextlib.contextmanager
def _quiet(verbose):
    """Keep transformers from printing bars and advice while it loads."""
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
    """Load from the local copy if there is one, and else from the Hub."""
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
                    f"model={spec.name!r} brings code of its own, and encoders run "
                    "none but that of transformers."
                ) from exc
            if isinstance(exc, ValueError):
                raise ValueError(
                    f"transformers cannot make the {what} of model={spec.name!r}: "
                    f"{_first_line(exc)}"
                ) from exc
            error = exc
    where = (
        "local_files_only=True forbids to download it"
        if spec.local_files_only
        else "it could not be downloaded"
    )
    revision = "" if spec.revision is None else f", revision {spec.revision!r},"
    raise ModelNotFoundError(
        f"The {what} of model={spec.name!r}{revision} was not found on this machine, "
        f"and {where}. Give the name of a model on the Hugging Face Hub or the path "
        f"of a folder that save_pretrained wrote. ({_first_line(error)})"
    ) from error


def _first_line(exc):
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


def load_config(spec):
    """The configuration of a model, without its weights.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    transformers.PretrainedConfig

    Raises
    ------
    ModelNotFoundError
        If it is not on this machine and cannot be downloaded.
    """
    import_optional("torch", "encoders")
    loader = import_optional("transformers", "encoders").AutoConfig
    folder = Path(spec.name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelNotFoundError(
            f"model={spec.name!r} is a folder without a config.json: it holds no model."
        )
    return _shared(
        "config", spec, lambda: _from_pretrained(loader, spec, "configuration")
    )


def load_processor(spec, loader_name):
    """The tokenizer, image processor or feature extractor of a model.

    Parameters
    ----------
    spec : ModelSpec
    loader_name : str
        Name of an auto class of transformers.

    Returns
    -------
    object
    """
    transformers = import_optional("transformers", "encoders")
    loader = getattr(transformers, loader_name)
    what = loader_name.removeprefix("Auto")
    return _shared(loader_name, spec, lambda: _from_pretrained(loader, spec, what))


def load_model(spec, device, dtype):
    """A model in evaluation mode, loaded once for each device and dtype.

    Parameters
    ----------
    spec : ModelSpec
    device : str
    dtype : str

    Returns
    -------
    torch.nn.Module
    """
    torch = import_optional("torch", "encoders")
    loader = import_optional("transformers", "encoders").AutoModel

    def load():
        model, info = _from_pretrained(
            loader, spec, "weights", output_loading_info=True
        )
        _warn_of_random_weights(spec.name, info["missing_keys"])
        return model.eval().requires_grad_(False).to(device, getattr(torch, dtype))

    return _shared("model", spec, load, device, dtype)


def _warn_of_random_weights(name, missing):
    untrained = sorted(
        key for key in missing if not any(part in key for part in UNUSED_WEIGHTS)
    )
    if untrained:
        warnings.warn(
            f"model={name!r} lacks {len(untrained)} of its weights, among them "
            f"{untrained[0]!r}: they are random numbers.",
            UserWarning,
            stacklevel=2,
        )


def model_class(config):
    """The class that AutoModel makes of a configuration.

    Parameters
    ----------
    config : transformers.PretrainedConfig

    Returns
    -------
    type or None
    """
    mapping = import_optional("transformers", "encoders").MODEL_MAPPING
    if type(config) not in mapping:
        return None
    found = mapping[type(config)]
    return found[0] if isinstance(found, (list, tuple)) else found


def fingerprint(spec):
    """What identifies the weights: the commit, or the content of a local folder.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    str
    """
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
