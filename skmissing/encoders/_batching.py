"""Batches of items of like length, halved where the memory is too small."""

import gc
import warnings

import numpy as np

from skmissing._compat import import_optional

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")


def is_out_of_memory(exc):
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(exc, MemoryError) or type(exc).__name__ == "OutOfMemoryError":
        return True
    text = str(exc).lower()
    return isinstance(exc, RuntimeError) and any(part in text for part in OUT_OF_MEMORY)


def batches(sizes, batch_size, encode):
    """Encode items in batches, the longest first.

    Items of like length share a batch, so that little is computed on padding. A batch
    that does not fit into memory is tried again by halves, and those that follow have
    its size; one warning tells.

    Parameters
    ----------
    sizes : array-like of shape (n_items,)
        Lengths of the items.
    batch_size : int
        Most items in a batch.
    encode : callable
        Takes positions of items and returns what belongs to them.

    Yields
    ------
    positions : ndarray of intp
    result : object
        What `encode` returned.

    Raises
    ------
    MemoryError
        If a single item does not fit.
    """
    order = np.argsort(-np.asarray(sizes), kind="stable")
    asked, start = batch_size, 0
    while start < len(order):
        part = order[start : start + batch_size]
        try:
            result = encode(part)
        except (RuntimeError, MemoryError) as exc:
            if not is_out_of_memory(exc):
                raise
            if len(part) == 1:
                raise MemoryError(
                    f"Out of memory with a batch of one item, of length "
                    f"{sizes[part[0]]}: {exc}"
                ) from exc
            result = None
        if result is None:  # outside of `except`, which would keep the tensors alive
            batch_size = len(part) // 2
            free_memory()
            continue
        yield part, result
        start += len(part)
    if batch_size < asked:
        warnings.warn(
            f"Out of memory: batch_size was lowered from {asked} to {batch_size}.",
            UserWarning,
            stacklevel=4,
        )


def free_memory():
    """Give back what a failed batch held."""
    torch = import_optional("torch", "encoders")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def progress_bar(total, name, verbose):
    """A bar with the rate and the time left, silent unless `verbose`.

    Parameters
    ----------
    total : int
    name : str
    verbose : bool or int

    Returns
    -------
    tqdm.tqdm
    """
    tqdm = import_optional("tqdm", "encoders").tqdm
    return tqdm(total=total, desc=name, unit="item", disable=not verbose)
