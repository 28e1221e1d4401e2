"""A lock on a store that ends with the process which holds it, however that ends."""

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from rmt_jacobian.runs.errors import StoreError

__all__ = ["locked"]


@contextmanager
def locked(file: Path, store: Path) -> Iterator[None]:
    """Hold a store for one run: the operating system locks one of its files, and lets go of it.

    Parameters
    ----------
    file
        A file of the store that is never replaced; it is opened, but not changed.
    store
        The store, for messages.

    Raises
    ------
    StoreError
        If another run holds it, or it cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock
        yield
        return
    _prepare_forks()
    try:
        stream = file.open("r+b")
    except OSError as error:
        raise StoreError(f"cannot write to {store}: {error.strerror or error}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"another run is using {store}: wait for it to end, or choose another store"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise
            warnings.warn(
                f"the file system of {store} has no locks: see to it that no other run uses it",
                stacklevel=4,
            )
        _HELD.add(stream)
        try:
            yield
        finally:
            _HELD.discard(stream)


_HELD: set[IO[bytes]] = set()


@cache
def _prepare_forks() -> None:
    """Let forked processes, such as those of a lent pool, not hold on to our locks."""
    os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    for stream in _HELD:
        stream.close()
