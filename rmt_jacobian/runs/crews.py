"""Who computes the tasks of a run: this process, processes of its own, or a lent executor."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError

__all__ = ["Crew", "LentExecutor", "Processes", "ThisProcess", "crew_of", "is_loss"]


class Crew(Protocol):
    """What a run asks of those who compute for it."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Start a task."""
        ...

    def renew(self) -> None:
        """Get ready again after workers have died."""
        ...

    def dismiss(self) -> None:
        """Drop what is under way, without waiting for it."""
        ...

    def close(self) -> None:
        """End, when nothing is under way."""
        ...


class ThisProcess:
    """The calling thread: a task is done when it has been submitted."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Compute a task."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def renew(self) -> None:
        """There is nothing to renew."""

    def dismiss(self) -> None:
        """There is nothing under way."""

    def close(self) -> None:
        """There is nothing to end."""


class Processes:
    """Processes of our own.

    They are started afresh rather than forked, so that they hold no lock of ours; they leave Ctrl-C
    to us, and end when we do, even if we are killed.

    Parameters
    ----------
    workers
        How many.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Start a task, and a process for it where one is left to start."""
        with _interrupts_held():
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_start_worker,
                )
            return self._pool.submit(function, *arguments)

    def renew(self) -> None:
        """Start new processes for those that died."""
        self.dismiss()

    def dismiss(self) -> None:
        """Kill the processes."""
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        self._pool = None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Put Ctrl-C off; processes that are started meanwhile never see it, even while they import."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class LentExecutor:
    """An executor that somebody else has made and will end."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._under_way: set[Future[Any]] = set()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Start a task."""
        future = self._executor.submit(function, *arguments)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def renew(self) -> None:
        """Leave it to the owner of the executor to replace workers."""

    def dismiss(self) -> None:
        """Cancel what has not started."""
        for future in list(self._under_way):
            future.cancel()

    def close(self) -> None:
        """Leave the executor open."""


def crew_of(executor: Any | None, workers: int | None) -> Crew:
    """Return a crew: that of an executor, or a number of processes of our own.

    Parameters
    ----------
    executor
        Anything with the interface of :class:`concurrent.futures.Executor`, or a client of
        ``dask.distributed``, which lends one; None for processes of our own.
    workers
        How many processes; by default one for each core.  With one, no process is started.

    Examples
    --------
    >>> crew_of(None, 1).submit(max, 1, 2).result()
    2
    """
    if executor is not None:
        if workers is not None:
            raise ParameterError("give an executor or a number of workers, not both")
        lend = getattr(executor, "get_executor", None)
        return LentExecutor(executor if lend is None else lend())
    count = (os.cpu_count() or 1) if workers is None else workers
    check_counts(workers=count)
    return ThisProcess() if count == 1 else Processes(count)


def is_loss(error: BaseException) -> bool:
    """Tell whether an error says that a worker was lost, rather than that a task went wrong."""
    if isinstance(error, BrokenExecutor):
        return True
    distributed = sys.modules.get("distributed")  # loaded wherever one of its errors comes from
    return distributed is not None and isinstance(error, distributed.KilledWorker)
