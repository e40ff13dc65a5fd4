"""Caches embeddings by the content of the item and by the model."""

import hashlib
import warnings

import joblib

# In this module since joblib 1.3. There is no public import.
from joblib._store_backends import CacheWarning


def keep(key, value):
    """Return `value`. joblib stores it under `key`."""
    return value


class EmbeddingCache:
    """Embeddings on disk, one entry per item. If `cache` is None, nothing is stored."""

    def __init__(self, cache, settings):
        if cache is not None and not hasattr(cache, "cache"):
            cache = joblib.Memory(cache, verbose=0)
        self.is_used = cache is not None and cache.store_backend is not None
        self._settings = settings.encode()  # all that affects an embedding
        self.failures = []  # why entries could not be stored
        if self.is_used:
            self._store = cache.cache(keep, ignore=["value"])

    def hasher(self):
        """Return a hash that already includes the settings."""
        hasher = hashlib.blake2b(digest_size=20)
        hasher.update(len(self._settings).to_bytes(8))
        hasher.update(self._settings)
        return hasher

    def get(self, key):
        """Return an embedding or None, and remove broken entries."""
        if not self.is_used or not self._store.check_call_in_cache(key, None):
            return None
        entry = self._store.call_and_shelve(key, None)
        try:
            value = entry.get()
        except Exception:  # unpickling part of a file may raise anything
            value = None
        if value is None:
            entry.clear()
        return value

    def put(self, key, value):
        """Store an embedding; if that fails, add the reason to `failures`."""
        if not self.is_used:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error", CacheWarning)
            try:
                self._store(key, value)
            except CacheWarning as problem:
                self.failures.append(str(problem))
