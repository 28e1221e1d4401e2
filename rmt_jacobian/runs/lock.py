"""A lock on a store that ends with the process which holds it, however that ends."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        yield
