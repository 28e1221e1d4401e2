"""Running a run: tasks out, results into the store, one by one, whatever happens."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tqdm import tqdm

from rmt_jacobian.runs.crews import Crew, crew_of, is_loss
from rmt_jacobian.runs.errors import StoreError, UnfinishedRunError
from rmt_jacobian.runs.layout import MISSING, Index
from rmt_jacobian.runs.run import Run
from rmt_jacobian.runs.store import RunStore, create_store, is_store_free, open_store
from rmt_jacobian.runs.tasks import Outcome, perform

__all__ = ["execute", "prepare_store"]

_AHEAD = 1000  # tasks submitted before their turn: enough for as many workers
_LOSSES = 3  # of workers in a row, without a result in between


def execute(
    run: Run,
    path: Path | str,
    *,
    executor: Any | None = None,
    workers: int | None = None,
    resume: bool = False,
    progress: bool = False,
    say: Callable[[str], object] | None = None,
) -> RunStore:
    """Compute all tasks of a run into a store.

    Each result is written when it is there, by renaming a file into place, so that nothing which is
    finished gets lost, and every file is the same for any number of workers and interruptions.

    Parameters
    ----------
    run
        What to compute.
    path
        The store, a folder.
    executor
        Anything with the interface of :class:`concurrent.futures.Executor`, such as those of
        ``mpi4py.futures``, or a ``dask.distributed`` client.  It is left open.
    workers
        Processes to start where there is no executor, by default one for each core, or one for the
        GPU; with 1, all is done in this process.
    resume
        Whether to go on with a store that is there.  If there is none, it is begun.
    progress
        Whether to show a progress bar on standard error.
    say
        Called with a line for the reader where a worker was lost or a point has no answer.

    Raises
    ------
    StoreError
        If the store exists and is not resumed, belongs to another run, is damaged, or is in use.
    UnfinishedRunError
        If the run has to stop, because a disk is full or workers keep dying; resume it.

    Notes
    -----
    Ctrl-C (:class:`KeyboardInterrupt`) stops it at once; results that were ready are stored first.
    A new process imports the module that was started: a script must call this below
    ``if __name__ == "__main__":`` unless ``workers=1``.

    Examples
    --------
    >>> import tempfile
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.runs import Ensemble
    >>> run = Run(vanilla, Parameters.of(vanilla), Ensemble("gaussian", 1, width=4, samples=3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = execute(run, folder + "/store", workers=1)
    ...     store.values("singular_values").shape
    (3, 4)
    """
    if executor is None and workers is None and getattr(run.work, "device", "cpu") == "gpu":
        workers = 1  # one card serves one process best
    crew = crew_of(executor, workers)
    if executor is None:
        run.work.check_here()
    store = prepare_store(run, Path(path), resume=resume)
    with store.locked():
        status = store.check()
        store.remove_leftovers()
        missing = [index for index in store.layout.indices() if status[index] == MISSING]
        bar = tqdm(
            total=status.size, initial=status.size - len(missing), desc=_title(run),
            unit="sample" if run.work.dimensions else "point", disable=not progress,
            mininterval=0.5,
        )  # fmt: skip
        with bar:
            _Execution(run, store, crew, bar, say or _silent).work_off(missing)
    return store


def prepare_store(run: Run, path: Path, *, resume: bool) -> RunStore:
    """Return the store of a run, new or to be resumed.

    Raises
    ------
    StoreError
        If it is there and not to be resumed, or is not that of this run.
    """
    if is_store_free(path):
        return create_store(path, run.layout(), run.named())
    if not resume:
        open_store(path)  # which says so if it is no store at all
        raise StoreError(f"{path} exists already: add --resume to go on, or choose another store")
    store = open_store(path)
    differences = _differences(store.specification, run.named())
    if differences:
        raise StoreError(f"{path} is the store of another run: {'; '.join(differences)}")
    if store.layout != run.layout():
        raise StoreError(f"{path} is damaged: its arrays are not those of its run")
    return store


def _differences(stored: Any, wanted: Any, where: str = "") -> list[str]:
    """Say which entries of two specifications differ."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        found = []
        for key in [*stored, *(key for key in wanted if key not in stored)]:
            inner = f"{where}.{key}" if where else key
            found += _differences(stored.get(key), wanted.get(key), inner)
        if not found and list(stored) != list(wanted):
            found = [f"the order of {where or 'its entries'} differs"]
        return found
    if stored == wanted:
        return []
    return [f"{where} is {_shown(stored)} there and {_shown(wanted)} here"]


def _shown(value: Any) -> str:
    text = "missing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _title(run: Run) -> str:
    settings = run.work.named()
    quantity = settings["quantity"]
    what = f"{settings['weights']} W" if quantity == "spectrum" else ", ".join(quantity)
    return f"{run.cell.name}, {what}"


def _silent(text: str) -> None:
    pass


class _Execution:
    """One call of :func:`execute`."""

    def __init__(
        self, run: Run, store: RunStore, crew: Crew, bar: tqdm, say: Callable[[str], object]
    ) -> None:
        self._run, self._store, self._crew, self._bar, self._say = run, store, crew, bar, say
        self._under_way: dict[Future[Any], Index] = {}
        self._ready: SimpleQueue[Future[Any]] = SimpleQueue()
        self._environments: list[dict[str, Any]] = []
        self._losses = 0

    def work_off(self, missing: list[Index]) -> None:
        waiting = deque(missing)
        try:
            while waiting or self._under_way:
                while waiting and len(self._under_way) < _AHEAD and self._ready.empty():
                    if not self._submit(waiting[0]):
                        break
                    waiting.popleft()
                if self._under_way:
                    self._take(self._ready.get(), waiting)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self._store_what_is_ready()
            self._crew.dismiss()
            raise
        self._crew.close()

    def _submit(self, index: Index) -> bool:
        """Start a task, unless the workers are gone."""
        try:
            future = self._crew.submit(perform, self._run, index)
        except RuntimeError as error:  # a broken or closed pool
            if not self._under_way:  # whose failures would be counted
                self._count_loss(error)
            return False
        self._under_way[future] = index
        future.add_done_callback(self._ready.put)
        return True

    def _take(self, future: "Future[Any]", waiting: "deque[Index]") -> None:
        index = self._under_way[future]
        error = _error(future)
        if error is None:
            self._keep(index, future.result())
            del self._under_way[future]
            return
        del self._under_way[future]
        if not is_loss(error):
            raise self._explained(error, index)
        lost = [index]
        while self._under_way and isinstance(error, BrokenExecutor):  # all else fails with it
            other = self._ready.get()
            index = self._under_way.pop(other)
            if _error(other) is None:
                self._keep(index, other.result())
            else:
                lost.append(index)
        # Those that were started first, one of which may be the cause, get their turn last.
        waiting.extend(reversed(lost))
        self._count_loss(error)

    def _keep(self, index: Index, outcome: Outcome) -> None:
        if outcome.environment not in self._environments:
            self._environments.append(outcome.environment)
            if self._store.add_environment(outcome.environment):
                self._tell(
                    "the results in the store were not all computed with the same versions or on "
                    "the same kind of processor: see its metadata; last digits may differ"
                )
        self._store.write(index, outcome.results, outcome.status)
        self._losses = 0
        if outcome.remark:
            self._tell(f"no answer at {self._place(index)}: {outcome.remark}")
        self._bar.update()

    def _count_loss(self, error: BaseException) -> None:
        self._losses += 1
        if self._losses > _LOSSES:
            cause = str(error) or type(error).__name__
            raise UnfinishedRunError(
                f"workers were lost {self._losses} times in a row ({cause}), for want of memory "
                "perhaps: try fewer of them, then resume the run"
            ) from error
        self._tell("a worker was lost: its tasks are given to others")
        self._crew.renew()

    def _explained(self, error: BaseException, index: Index) -> BaseException:
        if isinstance(error, MemoryError):
            return UnfinishedRunError(
                f"not enough memory at {self._place(index)} ({error}): use fewer workers, then "
                "resume the run"
            )
        if isinstance(error, CancelledError):
            return UnfinishedRunError(
                "tasks were cancelled: their executor was closed, or the scheduler of its cluster "
                "was lost; resume the run"
            )
        if isinstance(error, ImportError):
            return UnfinishedRunError(
                f"a worker could not import what it needs ({error}): install rmt-jacobian where "
                "the workers run, then resume the run"
            )
        return error

    def _store_what_is_ready(self) -> None:
        for future, index in self._under_way.items():
            if future.done() and _error(future) is None:
                self._keep(index, future.result())

    def _place(self, index: Index) -> str:
        values = self._run.grid.at(index[: len(self._run.grid.axes)])
        parts = [f"{name} = {value:g}" for name, value in values.items()]
        parts += [f"{name} {i}" for name, i in zip(self._run.work.dimensions, index[len(parts) :],
                                                   strict=True)]  # fmt: skip
        return ", ".join(parts) or "the one point"

    def _tell(self, text: str) -> None:
        self._bar.clear()
        self._say(text)


def _error(future: "Future[Any]") -> BaseException | None:
    try:
        return future.exception()
    except BaseException as error:  # it was cancelled
        return error
