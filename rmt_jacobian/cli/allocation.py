"""How the process of a command gets memory for large arrays."""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # the parameters of mallopt in malloc.h
_LARGEST = 1 << 25  # glibc takes no higher threshold


def keep_freed_memory() -> bool:
    """Keep freed arrays of megabytes in the process rather than give them back to the system.

    By default glibc maps them anew each time, and the system clears every page: for products with
    vectors of 2^18 to 2^20 entries that is half of the time.  It is a setting of the whole process,
    which only a command may make for itself.

    Returns
    -------
    bool
        Whether the C library has the setting.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
    return bool(kept and mallopt(_MMAP_THRESHOLD, _LARGEST))
