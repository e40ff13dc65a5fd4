"""One pool of threads for chunked kernels, never more than the cores allow."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock, RLock

from threadpoolctl import ThreadpoolController

_locks = {}


def process_lock(name):
    """Reentrant lock of a name; a fork must not wait for that of its parent."""
    return _locks.setdefault((name, os.getpid()), RLock())


@cache
def _controller():
    return ThreadpoolController()


@cache
def _pool(pid, n_threads):
    """Threads that stay, one pool per process: a fork has none of its parent."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="skmissing")


def n_blas_threads():
    """Number of threads that matrix products may use now, by all limits in force."""
    libraries = _controller().select(user_api="blas").lib_controllers
    return max((library.num_threads for library in libraries), default=1)


class SingleBlas:
    """While any thread is inside, matrix products have one thread each."""

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
    """One per process: a fork must not wait for a thread of its parent."""
    return SingleBlas()


def map_in_threads(function, items):
    """Yield `function(item)` in the order of the items, computed by several threads.

    As many threads as the matrix library would use, each with one thread of its own
    for matrix products. The function should spend its time in numpy or scipy calls
    that release the interpreter, and must not itself map in threads. How the work is
    cut into items must not depend on the number of threads: then neither does the
    result.
    """
    n_threads = min(n_blas_threads(), len(items))
    if n_threads <= 1:
        yield from map(function, items)
        return
    with _single_blas(os.getpid()):
        yield from _pool(os.getpid(), n_threads).map(function, items)
