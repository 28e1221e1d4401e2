"""What benchmarks of a GPU share: where there is none they are skipped, and clocks wait for it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from rmt_jacobian.arrays import namespace
from rmt_jacobian.errors import ParameterError

__all__ = ["device_or_skip", "seconds", "wait"]


def device_or_skip(device: str) -> Any:
    """Return the namespace of a device, or skip the benchmark with the reason."""
    try:
        return namespace(device)  # pyright: ignore[reportArgumentType]
    except ParameterError as error:
        pytest.skip(str(error))


def wait(xp: Any) -> None:
    """Return when all work of a device is done: a GPU takes orders and goes on by itself."""
    if "cupy" in xp.__name__:
        import cupy  # pyright: ignore[reportMissingImports]

        cupy.cuda.Stream.null.synchronize()


def seconds(xp: Any, work: Callable[[], Any], repeats: int = 1) -> float:
    """Return the least wall time of some work on a device, done once before."""
    work()
    found = []
    for _ in range(repeats):
        wait(xp)
        start = time.perf_counter()
        work()
        wait(xp)
        found.append(time.perf_counter() - start)
    return min(found)
