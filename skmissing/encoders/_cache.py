"""Remembers embeddings by what was encoded and by which model, not by call."""

import hashlib
import warnings

import joblib

# Where joblib has had it since 1.3; it is in no public module.
from joblib._store_backends import CacheWarning


def keep(key, value):
    """Return `value`; joblib stores it under `key`."""
    del key
    return value


class EmbeddingCache:
    """Embeddings on disk, one entry an item.

    Parameters
    ----------
    cache : joblib.Memory, str, path or None
        None keeps nothing.
    settings : str
        All that decides how an item is encoded: the model, its revision, the pooling
        and so on. Part of every key.

    Attributes
    ----------
    failures : list of str
        Why embeddings could not be stored, one entry each.
    """

    def __init__(self, cache, settings):
        if cache is not None and not hasattr(cache, "cache"):
            cache = joblib.Memory(cache, verbose=0)
        self.is_used = cache is not None and cache.store_backend is not None
        self._settings = settings.encode()
        self.failures = []
        if self.is_used:
            self._store = cache.cache(keep, ignore=["value"])

    def hasher(self):
        """A hash that has the settings in it already."""
        hasher = hashlib.blake2b(digest_size=20)
        hasher.update(len(self._settings).to_bytes(8))
        hasher.update(self._settings)
        return hasher

    def get(self, key):
        """The embedding of a key.

        Parameters
        ----------
        key : str

        Returns
        -------
        ndarray or None
            None if it is not there, or cannot be read, as after a crash or while
            another process is clearing it; what is left of it is then removed.
        """
        if not self.is_used or not self._store.check_call_in_cache(key, None):
            return None
        entry = self._store.call_and_shelve(key, None)
        try:
            value = entry.get()
        except Exception:  # whatever unpickling half a file may raise
            value = None
        if value is None:
            entry.clear()
        return value

    def put(self, key, value):
        """Store an embedding; if that fails, note why in `failures` and go on.

        Parameters
        ----------
        key : str
        value : ndarray
        """
        if not self.is_used:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error", CacheWarning)
            try:
                self._store(key, value)
            except CacheWarning as problem:
                self.failures.append(str(problem))
