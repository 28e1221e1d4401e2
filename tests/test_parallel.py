"""Tasks that run side by side."""

import threading

import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.parallel import map_samples


def test_map_samples_keeps_the_order_and_runs_side_by_side() -> None:
    barrier = threading.Barrier(3, timeout=20)

    def task(k: int) -> int:
        barrier.wait()  # returns only if three tasks run at a time
        return k * k

    assert list(map_samples(task, range(6), workers=3)) == [0, 1, 4, 9, 16, 25]


def test_map_samples_passes_errors_on() -> None:
    def task(k: int) -> float:
        return 1 / k

    with pytest.raises(ZeroDivisionError):
        list(map_samples(task, [1, 0, 2], workers=2))
    with pytest.raises(ParameterError, match="workers"):
        list(map_samples(task, [1], workers=0))


def test_one_worker_is_enough() -> None:
    assert list(map_samples(lambda k: -k, [2, 1], workers=1)) == [-2, -1]
