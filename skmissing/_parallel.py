"""A pool of threads for chunked kernels, limited by the number of cores."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock, RLock

from threadpoolctl import ThreadpoolController

_locks = {}


def process_lock(name):
    """Reentrant lock by name. A forked process does not use the lock of its parent."""
    return _locks.setdefault((name, os.getpid()), RLock())


@cache
def _controller():
    return ThreadpoolController()


@cache
def _pool(pid, n_threads):
    """Persistent threads, one pool per process. A fork has no threads of its parent."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="skmissing")


def n_blas_threads():
    """Number of threads that matrix products may use now, with all current limits."""
    libraries = _controller().select(user_api="blas").lib_controllers
    return max((library.num_threads for library in libraries), default=1)


class SingleBlas:
    """Context in which matrix products use one thread each."""

    def __init__(self):
        self._lock = Lock()
        self._n_inside = 0
        self._limiter = None

    def __enter__(self):
        with self._lock:
            if not self._n_inside:
                self._limiter = _controller().limit(limits=1, user_api="blas")
            self._n_inside += 1

    def __exit__(self, *_):
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._limiter.restore_original_limits()


@cache
def _single_blas(pid):
    """One SingleBlas per process, so that a fork does not wait for its parent."""
    return SingleBlas()


def map_in_threads(function, items):
    """Yield `function(item)` in the order of the items, computed by several threads.

    The number of threads is that of the matrix library. In each thread, matrix products
    use one thread. The function should mainly call NumPy or SciPy functions that
    release the lock of the interpreter, and must not call `map_in_threads`. Items must
    not depend on the number of threads, so that results do not.
    """
    n_threads = min(n_blas_threads(), len(items))
    if n_threads <= 1:
        yield from map(function, items)
        return
    with _single_blas(os.getpid()):
        yield from _pool(os.getpid(), n_threads).map(function, items)
