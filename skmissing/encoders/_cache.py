"""Remembers embeddings by what was encoded and by which model, not by call."""

import hashlib

import joblib


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
    """

    def __init__(self, cache, settings):
        if cache is not None and not hasattr(cache, "cache"):
            cache = joblib.Memory(cache, verbose=0)
        self.is_used = cache is not None and cache.store_backend is not None
        self._settings = settings.encode()
        if self.is_used:
            self._store = cache.cache(keep, ignore=["value"])

    def hasher(self):
        """A hash that has the settings in it already."""
        hasher = hashlib.blake2b(digest_size=20)
        hasher.update(len(self._settings).to_bytes(8))
        hasher.update(self._settings)
        return hasher

    def get(self, key):
        """The embedding of a key; None if it is not there.

        Parameters
        ----------
        key : str

        Returns
        -------
        ndarray or None
        """
        if self.is_used and self._store.check_call_in_cache(key, None):
            return self._store(key, None)
        return None

    def put(self, key, value):
        """Store an embedding.

        Parameters
        ----------
        key : str
        value : ndarray
        """
        if self.is_used:
            self._store(key, value)
