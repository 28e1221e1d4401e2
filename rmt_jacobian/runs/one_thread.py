"""Linear algebra on one thread, for all tasks that run in a process at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


class _Holders:
    """How many threads of this process want linear algebra on one thread."""

    lock = threading.Lock()
    count = 0
    limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread until the last task that runs in this process has ended.

    The setting belongs to the process: a task that restored it on its own would change the
    arithmetic of its neighbours.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with one_blas_thread():
    ...     {library["num_threads"] for library in threadpool_info()}
    {1}
    """
    with _Holders.lock:
        if _Holders.count == 0:
            _take_control()
            _Holders.limit = _controller().limit(limits=1)
        _Holders.count += 1
    try:
        yield
    finally:
        with _Holders.lock:
            _Holders.count -= 1
            if _Holders.count == 0:
                _take_control()
                _Holders.limit.restore_original_limits()
                _take_control()


@lru_cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # finds the libraries once; all of them are loaded by now


def _take_control() -> None:
    """Make OpenBLAS obey this thread: threadpoolctl 3.8 lets one thread set it and ignores others.

    That thread may be anyone's, and what starts tasks is rarely the one that ends the last.
    """
    for library in _controller().lib_controllers:
        clear = getattr(library, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)
