"""Saving a fitted estimator to a file, and loading it."""

import contextlib
import io
import json
import os
import tempfile
import warnings

import sklearn
from sklearn.base import BaseEstimator

import skmissing
from skmissing._compat import import_optional
from skmissing.io._container import ModelFileError, parse, read, write
from skmissing.io._decode import Decoder
from skmissing.io._encode import Encoder, own_path


def save_model(estimator, path, *, trusted=()):
    """Save an estimator or a pipeline to a file that needs no pickle.

    Parameters
    ----------
    estimator : estimator object
        Fitted or not. Of skmissing, of the part of scikit-learn that the user guide
        lists, or of a class in `trusted`; the same holds for all that it contains.
    path : str, path-like or binary file object
        Where to write. A file of that name is replaced when all has been written.
    trusted : sequence of type, default=()
        Classes of estimators beside those. Their fitted attributes must be numbers,
        strings, arrays, containers or estimators.

    Raises
    ------
    TypeError
        If the estimator or something in it cannot be saved; the message says which
        attribute and of what type it is. Nothing is written then.
    ValueError
        If a parameter or a learnt attribute is out of its range, so that the file
        could not be loaded; nothing is written.

    See Also
    --------
    load_model : The way back.

    Notes
    -----
    The file is one of safetensors, whose text beside the arrays describes the
    estimator. It holds parameters and what was learnt. It does not hold the weights
    of frozen encoders, which are found again by their name, nor the places of caches
    (`cache`, `memory`).

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> from skmissing.impute import ClusterGuidedImputer
    >>> from skmissing.io import load_model, save_model
    >>> X = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, 3.0], [5.0, 6.0, np.nan]])
    >>> imputer = ClusterGuidedImputer(1, modalities=[2, 1], random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "imputer.skmissing")
    ...     save_model(imputer, path)
    ...     loaded = load_model(path)
    >>> np.array_equal(loaded.transform(X), imputer.transform(X))
    True
    """
    if not isinstance(estimator, BaseEstimator) or isinstance(estimator, type):
        raise TypeError(
            f"save_model takes an estimator; got {estimator!r} of type "
            f"{type(estimator).__name__}."
        )
    trusted = _check_trusted(trusted)
    encoder = Encoder(trusted.values())
    tree = encoder.encode(estimator, "")
    text = json.dumps(tree, allow_nan=False, separators=(",", ":"))
    # What is saved can be loaded: the same checks, on the arrays as they are.
    Decoder(encoder.arrays, trusted).decode(parse(text, "the model"))
    versions = {"skmissing": skmissing.__version__, "scikit-learn": sklearn.__version__}
    if hasattr(path, "write"):
        write(path, text, encoder.arrays, versions)
        return
    with _replacing(os.fspath(path)) as file:
        write(file, text, encoder.arrays, versions)


@contextlib.contextmanager
def _replacing(path):
    """A file that takes the place of another when it has been written in full."""
    folder, name = os.path.split(os.path.abspath(path))
    number, draft = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with os.fdopen(number, "wb") as file:
            yield file
        os.chmod(draft, 0o666 & ~_umask())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_model(path, *, trusted=()):
    """Load an estimator that was saved by :func:`save_model`.

    Nothing in the file is run, whoever wrote it. Classes are looked up in a list of
    this package, never by what the file says. Names, types, shapes and ranges of
    parameters and learnt attributes are checked before the estimator is returned.

    Parameters
    ----------
    path : str, path-like, or binary file object that can seek
        What to read.
    trusted : sequence of type, default=()
        Classes of estimators that may be in the file beside those of skmissing and
        scikit-learn that are known. Their `__init__` is called, and their learnt
        attributes are set without a look at shapes and ranges.

    Returns
    -------
    estimator object
        With the parameters and learnt attributes that it was saved with.

    Raises
    ------
    ModelFileError
        If the file is no model, was cut short or changed, is of another version of
        the format, or holds a class or value that is not to be loaded.
    OSError
        If the file cannot be read.
    ImportError
        If it holds an estimator whose extra is not installed.

    Warns
    -----
    UserWarning
        If the file was written by another version of skmissing or scikit-learn, or
        names a CUDA device that is not there; its models then compute on what is.

    See Also
    --------
    save_model : Writes such files.

    Notes
    -----
    Checks cannot tell a good model from a bad one: whoever wrote the file decides
    what it predicts, and how many rows, weights and workers it takes.

    Examples
    --------
    >>> import io
    >>> from skmissing.io import load_model, save_model
    >>> from skmissing.cluster import PartialModalityKMeans
    >>> file = io.BytesIO()
    >>> save_model(PartialModalityKMeans(3), file)
    >>> load_model(file)
    PartialModalityKMeans(n_clusters=3)
    """
    trusted = _check_trusted(trusted)
    if hasattr(path, "read"):
        return _load(path, trusted)
    with open(path, "rb") as file:
        try:
            return _load(file, trusted)
        except ModelFileError as exc:
            raise ModelFileError(f"{os.fspath(path)}: {exc}") from exc


def loads(data):
    """Load a model from bytes."""
    return _load(io.BytesIO(data), {})


def _check_trusted(trusted):
    """Classes of the caller's by the name that a file has for them."""
    if isinstance(trusted, (str, type)):
        trusted = [trusted]
    for cls in trusted:
        if not isinstance(cls, type) or not issubclass(cls, BaseEstimator):
            raise TypeError(f"trusted must hold classes of estimators; got {cls!r}.")
    return {own_path(cls): cls for cls in trusted}


def _load(file, trusted):
    text, arrays, versions = read(file)
    own = {"skmissing": skmissing.__version__, "scikit-learn": sklearn.__version__}
    decoder = Decoder(arrays, trusted, versions == own)
    try:
        estimator = decoder.decode(parse(text, "the model"))
    except RecursionError:
        raise ModelFileError("the model: containers within containers.") from None
    if not isinstance(estimator, BaseEstimator):
        raise ModelFileError(
            f"the model: wanted an estimator; found a {type(estimator).__name__}."
        )
    if unused := set(range(len(arrays))) - decoder.used:
        raise ModelFileError(f"{len(unused)} arrays belong to nothing in the model.")
    if versions != own:
        found = ", ".join(f"{name} {version}" for name, version in versions.items())
        warnings.warn(
            f"The model was saved by {found[:200]}; this is skmissing "
            f"{own['skmissing']} and scikit-learn {own['scikit-learn']}, and results "
            "may differ.",
            stacklevel=3,
        )
    _find_devices(decoder.made)
    return estimator


def _find_devices(made):
    """Let models that were trained on a CUDA device compute where there is none."""
    named = [e for e in made if str(getattr(e, "device", "")).startswith("cuda")]
    if not named:
        return
    torch = import_optional("torch", "neural")
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    moved = {}
    for estimator in named:
        index = estimator.device.partition(":")[2] or "0"
        if index.isdigit() and int(index[:9]) >= n_devices:
            moved[estimator.device] = moved.get(estimator.device, 0) + 1
            estimator.device = "auto"
    if moved:
        warnings.warn(
            f"The model names devices that are not here ({moved}, by number of "
            f"estimators; torch finds {n_devices}); device='auto' takes their place.",
            stacklevel=4,
        )
