"""Independent samples side by side: one BLAS thread each, several at a time."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from rmt_jacobian.counts import check_counts

__all__ = ["map_samples"]

Task = TypeVar("Task")
Result = TypeVar("Result")


def map_samples(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int | None = None,
    progress: str | None = None,
) -> Iterator[Result]:
    """Apply a function to independent tasks and yield the results in the order of the tasks.

    NumPy releases the interpreter lock in the linear algebra that dominates a sample, so threads
    are enough.  Every task runs on one BLAS thread: matrices of a few hundred rows gain nothing
    from more, results do not depend on the number of cores, and threads of the same library do not
    wait for each other.

    Parameters
    ----------
    function
        Must not share mutable state between tasks.
    tasks
        One for each sample.
    workers
        How many tasks run at a time; by default one for each core.
    progress
        Title of a progress bar on standard error; none by default.

    Examples
    --------
    >>> list(map_samples(lambda k: k * k, [1, 2, 3], workers=2))
    [1, 4, 9]
    """
    if workers is not None:
        check_counts(workers=workers)
    silent = progress is None
    bar = tqdm(total=len(tasks), desc=progress, unit="sample", disable=silent, mininterval=0.5)
    with (
        bar,
        threadpool_limits(1),
        ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool,
    ):
        for result in pool.map(function, tasks):
            bar.update()
            yield result
